"""What to do when something is wrong: every command of the page is run in order, every message is the real one."""

from __future__ import annotations

import re
import shutil
import socket

from tests.support.documents import ROOT, Shell, assert_shown, blocks

PAGE = ROOT / "docs" / "recover.md"
UNREACHABLE = {"Credentials are wrong", "The disk is full"}
"""Sections whose trouble is not made here; tests/connectors and tests/e2e make it."""
EXIT_CODES = {
    "An older copy of the state was put back": [1, 0, 1, 0],
    "The state was copied or moved": [1, 0, 1, 0],
    "The state file is corrupt": [1, 0],
    "A run was refused": [3, 0],
    "The state file is lost": [3, 0],
    "Questions wait in the inbox": [4, 0],
    "Records are in quarantine": [4, 0],
    "A value arrived shorter than it was sent": [0],
}


def test_every_command_of_the_page_does_what_it_shows(tmp_path):
    shutil.copytree(ROOT / "config" / "csv-and-database", tmp_path / "config" / "csv-and-database")
    shell, output = Shell(tmp_path), ""
    codes: dict[str, list[int]] = {}
    for block in blocks(PAGE):
        if block.heading in UNREACHABLE:
            continue
        if block.language == "sh":
            code, printed = shell.run(block.text)
            codes.setdefault(block.heading, []).append(code)
            output = printed.replace(str(tmp_path), "/srv").replace(socket.gethostname(), "HOST")
        else:
            assert_shown(moments(block.text), moments(output))
    first = codes.pop("When something is wrong")
    assert first == [0, 0]
    assert codes == EXIT_CODES


def moments(text):
    """Without dates and times of day."""
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:?\d\d:?\d\dZ|\d{4}-\d\d-\d\d \d\d:\d\d\b", "TIME", text)
