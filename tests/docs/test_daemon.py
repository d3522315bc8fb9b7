"""The guide to the daemon: its commands are run in order against a daemon that lives as long as the page needs it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket

from syncengine.config.document import DaemonTable
from tests.support.documents import ROOT, Shell, assert_shown, blocks

PAGE = ROOT / "docs" / "daemon.md"
NOT_RUN = {"As a service": 1}
"""Blocks of text that show commands for an administrator of a machine with systemd."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_every_command_of_the_page_does_what_it_shows(tmp_path):
    """Save for the port, which may be taken here."""
    shutil.copytree(ROOT / "config" / "csv-and-database", tmp_path / "config" / "csv-and-database")
    shell, output, port = Shell(tmp_path), "", free_port()
    shown: dict[str, int] = {}
    codes: dict[str, int] = {}
    pid = tmp_path / "work" / "daemon.pid"
    try:
        for block in blocks(PAGE):
            if block.language == "sh":
                codes[block.heading], output = shell.run(block.text.replace("8080", port))
            elif block.language == "text":
                shown[block.heading] = shown.get(block.heading, 0) + 1
                if shown[block.heading] > 1 and block.heading in NOT_RUN:
                    continue
                assert_shown(placeless(block.text.replace("8080", port)), placeless(output))
        assert codes == dict.fromkeys(codes, 0) | {"One at a time": 1}
        assert "Björk G." in (tmp_path / "work" / "files" / "people.csv").read_text("utf-8")
    finally:
        if pid.exists():
            end(int(pid.read_text()))


def end(pid):
    """The daemon of the page, which has ended by itself if all went well."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def placeless(text):
    """Without what differs from machine to machine."""
    text = re.sub(r"already \(\S+ pid \S+\)", "already (PLACE)", text)
    return re.sub(r"ends in \S+ seconds", "ends in SOME seconds", text)


def test_every_setting_is_in_the_table_with_its_default():
    rows = dict(re.findall(r"^\| `([a-z_]+)`(?:, `\w+`)* \| (.*?) \|", PAGE.read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"^\| (`.*?`) \|", PAGE.read_text("utf-8"), re.MULTILINE))
    for key in DaemonTable.model_fields:
        assert any(f"`{key}`" in each or f"`{key}." in each for each in named), key
    assert rows["parallel"] == f"`{DaemonTable().parallel}`"
    assert rows["web"] == "`true`"
    assert rows["stop_within"] == f'`"{DaemonTable().stop_within:.0f} seconds"`'
    assert rows["jitter"] == f'`"{DaemonTable().jitter:.0f} seconds"`'
    assert rows["keep"] == f'`"{DaemonTable().keep / 86400:.0f} days"`'
