"""Two syncs on one state: the second steps back and names the first; a dead one holds nobody up."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.running import run, start_script
from tests.support.town import FIELDS, Town

HELD = """
import sys
from pathlib import Path
from syncengine.app import App
from syncengine.config import load
from syncengine.log import Format, Level, Redactor, configure
from syncengine.registry import Registry

configure(format=Format.CONSOLE, level=Level.WARNING, redactor=Redactor(()), color=False)

class Held:
    def update(self, pair, stage, done, total):
        print("at work", flush=True)
        sys.stdin.read()

registry = Registry.installed()
with App.open(load(Path("syncengine.toml"), environ={}, registry=registry), progress=Held()) as app:
    print([report.exit.name for report in app.sync()])
"""
"""A sync that waits, in the middle of its run, until its standard input ends."""


@pytest.fixture
def town(tmp_path: Path) -> Town:
    made = Town(tmp_path / "town")
    made.write_left([{"id": str(n), **dict.fromkeys(FIELDS, str(n)), "email": f"p{n}@example.com"} for n in range(1, 4)])
    return made


@contextmanager
def at_work(town: Town) -> Iterator[subprocess.Popen[str]]:
    with start_script(town.folder, HELD) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        yield process


def test_the_second_sync_leaves_with_1_and_names_the_first(town: Town) -> None:
    with at_work(town) as first:
        second = run(town.folder, "sync")
        assert second.returncode == 1
        assert f"is being synchronised by another run ({platform.node()} pid {first.pid})" in second.stderr
        assert "Traceback" not in second.stderr
        assert town.right() == []
        assert run(town.folder, "plan").returncode == 5, "looking is free"
        out, err = first.communicate(timeout=60)
        assert out.splitlines()[-1] == "['DONE']", err
    assert len(town.right()) == 3
    assert run(town.folder, "sync").returncode == 0


def test_the_lease_of_a_killed_process_is_taken_over_at_once(town: Town) -> None:
    with at_work(town) as first:
        first.send_signal(signal.SIGKILL)
        first.wait(timeout=60)
        second = run(town.folder, "sync")
    assert second.returncode == 0, second.stderr
    assert len(town.right()) == 3
    assert not town.faults()


def test_a_killed_process_that_nobody_waited_for_is_dead_all_the_same(town: Town) -> None:
    """It still has an entry in the process table, as under a container's first process that never waits."""
    with at_work(town) as first:
        first.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)
        second = run(town.folder, "sync")
        assert second.returncode == 0, second.stderr
