"""The page about the simulator: its commands are run in order and print what it shows."""

from __future__ import annotations

import re

import pytest

from syncengine.testing.simulate.__main__ import main
from tests.support.documents import ROOT, Shell, assert_shown, blocks

PAGE = ROOT / "docs" / "simulator.md"


def test_every_command_of_the_page_does_what_it_shows(tmp_path):
    shell, output = Shell(tmp_path), ""
    for block in blocks(PAGE):
        if block.language == "sh":
            code, output = shell.run(block.text)
            assert code == 0, output
        else:
            assert_shown(block.text, output)


def test_every_option_that_the_page_names_there_is(capsys):
    named = set(re.findall(r"--[a-z]+", PAGE.read_text("utf-8")))
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    told = capsys.readouterr().out
    assert {option for option in named if option not in told} == set()
