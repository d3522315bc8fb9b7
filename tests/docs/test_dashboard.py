"""The page on the dashboard is true: its settings load, its command runs a pair, the pages it names are there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from syncengine.config import load
from tests.support.daemons import daemon
from tests.support.documents import ROOT, blocks
from tests.support.plain_browser import PlainBrowser
from tests.support.web_town import WebTown

PAGE = ROOT / "docs" / "dashboard.md"
TOKEN = "a-token-of-at-least-24-characters"
SETTINGS = [block.text for block in blocks(PAGE) if block.language == "toml"]
[COMMAND] = [block.text for block in blocks(PAGE) if block.language == "sh"]


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_settings_load(tmp_path: Path, settings: str) -> None:
    town = WebTown(tmp_path)
    town.path.write_text(town.path.read_text() + settings)
    loaded = load(town.path, environ={"SYNCENGINE_TOKEN": TOKEN}).daemon
    assert loaded.hosts == ("sync.example.com",)
    assert (loaded.token == TOKEN) is (loaded.proxy_user_header is None)


def test_the_command_runs_a_pair(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl on this machine")
    town = WebTown(tmp_path, daemon=f'[daemon]\nlisten = "127.0.0.1:0"\ntoken = "{TOKEN}"')
    with daemon(town.folder) as running:
        variables = {**os.environ, "SYNCENGINE_TOKEN": TOKEN, "PAGES": running.url}
        assert subprocess.run(["bash", "-c", COMMAND], env=variables, timeout=60, check=False).returncode == 0
        running.until(lambda: town.value("office", "SELECT count(*) FROM people") == 4, "the run")


def test_the_pages_of_the_table_are_the_pages(tmp_path: Path) -> None:
    told = re.findall(r"^\| ([A-Z]\w+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    with PlainBrowser(WebTown(tmp_path).app()) as page:
        nav = re.findall(r'<li><a href="/\w*"[^>]*>(\w+)', page.get("/").text)
    assert told == nav
