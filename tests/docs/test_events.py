"""Events: every command of the page is run in order, and every answer is the real one."""

from __future__ import annotations

import socket

import pytest

from tests.support.documents import ROOT, Shell, assert_shown, blocks

PAGE = ROOT / "docs" / "events.md"
PORT = "8094"
EXIT_CODES = [0, 0, 0, 0, 0, 0, 0]


def test_every_command_of_the_page_does_what_it_shows(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
    shell, output, codes = Shell(tmp_path), "", []
    try:
        for block in blocks(PAGE):
            if block.language == "sh":
                code, output = shell.run(block.text.replace(PORT, port))
                codes.append(code)
            else:
                assert_shown(block.text, output)
    finally:
        shell.run("kill $(cat daemon.pid) 2> /dev/null")
    assert codes == EXIT_CODES


@pytest.mark.parametrize("word", ["reference", "max_per_minute", "max_bytes", "old_secret", "public", "timezone"])
def test_the_page_names_the_options_that_there_are(word):
    assert word in PAGE.read_text("utf-8")
