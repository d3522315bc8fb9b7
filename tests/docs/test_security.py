"""The page on security is true: its commands do what they show, every test that it names exists, no item is left out."""

from __future__ import annotations

import re
import shutil

import pytest

from tests.support.documents import ROOT, Shell, assert_shown, blocks

PAGE = ROOT / "docs" / "security.md"
ITEMS = 28


def rows():
    """(number, item, what we do, names of tests)"""
    table = PAGE.read_text("utf-8").partition("## Item by item")[2]
    for line in table.splitlines():
        if re.match(r"\| \d", line):
            number, item, told, tests = (cell.strip() for cell in line.strip("|").split("|"))
            yield int(number), item, told, re.findall(r"`([^`]+)`", tests)


def test_every_command_of_the_page_does_what_it_shows(tmp_path):
    shutil.copytree(ROOT / "config" / "csv-and-database", tmp_path / "config" / "csv-and-database")
    shell, output = Shell(tmp_path), ""
    ran = 0
    for block in blocks(PAGE):
        if block.language == "sh":
            code, output = shell.run(block.text)
            assert code == 0, output
            ran += 1
        elif block.language == "text":
            assert_shown(block.text, output)
    assert ran == 1


def test_no_item_is_left_out():
    """Each is tested, or the page says that it is not offered, and why."""
    found = list(rows())
    assert [number for number, *_ in found] == list(range(1, ITEMS + 1))
    assert [item for _, item, told, tests in found if not tests and not told.startswith("Not offered: ")] == []


@pytest.mark.parametrize("name", sorted({name for *_, tests in rows() for name in tests}))
def test_every_test_that_is_named_exists(name):
    file, _, function = name.partition("::")
    path = ROOT / "tests" / file
    assert path.is_file()
    assert function, "a whole file proves nothing in particular"
    assert re.search(rf"^def {function}\(", path.read_text("utf-8"), flags=re.MULTILINE)
