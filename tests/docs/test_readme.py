"""The README is true: its commands do what it shows, its table names every command, its links lead somewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from syncengine.cli.main import execute
from tests.support.documents import ROOT, Shell, assert_shown, blocks

README = ROOT / "README.md"
INSTALL = "python3 -m venv .venv && .venv/bin/pip install --quiet ."
TIDY = ("*.pyc", "__pycache__", "state.db*", "*.card.json")


@pytest.fixture
def shell(tmp_path):
    """A copy of what the README needs, and in `.venv` an environment that sees what runs these tests: nothing is downloaded."""
    for name in ("config", "README.md"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name, **({"ignore": shutil.ignore_patterns(*TIDY)} if (ROOT / name).is_dir() else {}))
    shell = Shell(tmp_path)
    (tmp_path / ".venv").symlink_to(shell.environment)
    return shell


def under(heading):
    return [block for block in blocks(README) if block.heading == heading]


def test_the_try_command_syncs_the_sample_and_a_second_run_writes_nothing(shell):
    """Letter by letter, save that the environment is there already."""
    command, shown, *_ = under("Try it")
    assert command.text.startswith(INSTALL)
    there = command.text.replace(INSTALL, "test -x .venv/bin/python")
    code, output = shell.run(there)
    assert code == 0
    assert_shown(shown.text, output)
    code, output = shell.run(command.text.rpartition("&& ")[2])
    assert code == 0
    assert output.count("written  nothing") == output.count("written") == 3


def test_editing_either_side_does_what_is_shown(shell):
    codes, output = [], ""
    for block in under("Edit either side"):
        if block.language == "sh":
            before = (shell.folder / "files" / "people.csv").read_bytes() if codes else b""
            code, output = shell.run(block.text)
            codes.append(code)
        else:
            assert_shown(block.text, output)
    assert codes == [0, 5, 4]
    after = (shell.folder / "files" / "people.csv").read_bytes()
    carried = before.replace("José,García".encode(), "José,García Márquez".encode())
    assert after == carried + b"8,ZOE@example.com,Zoe,Duplicate,,,,,\n"


def commands_of(*words):
    """The commands that `syncengine WORDS --help` lists."""
    done = subprocess.run(
        [sys.executable, "-m", "syncengine.cli.main", *words, "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    listed = done.stdout.partition("Commands:\n")[2]
    return re.findall(r"^  (\S+)", listed, flags=re.MULTILINE)


def test_the_table_names_every_command_and_no_other():
    section = README.read_text("utf-8").partition("## Commands")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?`) \|", section, flags=re.MULTILINE)
    there = {name: commands_of(name) for name in commands_of()}
    told: dict[str, set[str]] = {}
    for row in rows:
        group = ""
        for piece in re.findall(r"`([^`]+)`", row):
            words = piece.split()
            if words[0] == "syncengine":
                group, words = words[1], words[2:]
            told.setdefault(group, set()).update(word for word in words[:1] if word[0] not in "[-")
    assert told == {name: set(below) for name, below in there.items()}


@pytest.mark.parametrize("document", [README, *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.name)
def test_every_link_leads_to_a_file(document):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text("utf-8"))
    missing = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert missing == []


def test_the_table_of_guarantees_names_every_connector_of_ours(capsys):
    assert execute(["connectors", "list"]) == 0
    ours = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.endswith("(syncengine)")}
    promised = README.read_text("utf-8").partition("## What is promised")[2].partition("\n## ")[0]
    assert {name for name in ours if f"`{name}`" in promised} == ours - {"memory"}


def test_the_wheel_holds_all_that_the_commands_need(tmp_path):
    """Templates, pages and the mark of typed packages are no Python: they are easily left behind."""
    shell = Shell(tmp_path)
    source = tmp_path / "source"
    shutil.copytree(ROOT / "syncengine", source / "syncengine", ignore=shutil.ignore_patterns(*TIDY))
    shutil.copytree(ROOT / "connectors", source / "connectors", ignore=shutil.ignore_patterns(*TIDY))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, source / name)
    code, output = shell.run("pip wheel --quiet --no-deps --wheel-dir . ./source")
    assert code == 0, output
    [wheel] = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        os.fspath(path.relative_to(source))
        for folder in ("syncengine", "connectors")
        for path in (source / folder).rglob("*")
        if path.is_file()
    }
    assert wanted - packed == set()
    assert "syncengine/py.typed" in packed
