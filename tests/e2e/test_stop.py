"""A sync that is asked to stop finishes its batch, leaves everything in order and goes on next time."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.running import run, start
from tests.support.town import FIELDS, Town

PEOPLE = 4000


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """Thousands of people in a file, and an empty database."""
    made = Town(tmp_path / "town")
    made.write_left([{"id": str(n), **dict.fromkeys(FIELDS, str(n)), "email": f"p{n}@example.com"} for n in range(1, PEOPLE + 1)])
    return made


def wait_for_first_rows(town: Town, process: subprocess.Popen[str]) -> None:
    """Until the first batch has arrived; the process must be at work still."""
    with closing(sqlite3.connect(town.folder / "office.db")) as base:
        while not base.execute("SELECT 1 FROM people LIMIT 1").fetchone():
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=0.01)


def arrived(town: Town) -> int:
    with closing(sqlite3.connect(town.folder / "office.db")) as base:
        count, distinct = base.execute("SELECT count(*), count(DISTINCT email) FROM people").fetchone()
    assert count == distinct
    return int(count)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_sync_that_is_asked_to_stop_ends_after_its_batch_and_resumes(town: Town, sign: signal.Signals) -> None:
    process = start(town.folder, "sync")
    wait_for_first_rows(town, process)
    process.send_signal(sign)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 4, err
    assert "Stopping after the current batch" in err
    assert "stopped on request" in out
    some = arrived(town)
    assert 0 < some < PEOPLE
    assert not town.faults()
    with closing(sqlite3.connect(town.state)) as state:
        assert state.execute("SELECT count(*) FROM intent WHERE state<>'done'").fetchone() == (0,)
        assert state.execute("SELECT count(*) FROM link WHERE state='live'").fetchone() == (some,)
        assert state.execute("SELECT count(*) FROM lease WHERE until>0").fetchone() == (0,)
        assert state.execute("SELECT count(*) FROM meta WHERE name LIKE 'open %'").fetchone() == (0,)
    again = run(town.folder, "sync")
    assert again.returncode == 0, again.stderr
    assert arrived(town) == PEOPLE
    assert "written  nothing" in run(town.folder, "sync").stdout


def test_a_second_signal_ends_it_at_once_and_nothing_is_lost_or_doubled(town: Town) -> None:
    process = start(town.folder, "sync")
    wait_for_first_rows(town, process)
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    while "Stopping" not in (line := process.stderr.readline()):
        assert line, "it ended without a word"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode in (-signal.SIGTERM, 4)
    assert not town.faults()
    again = run(town.folder, "sync")
    assert again.returncode == 0, again.stderr
    assert arrived(town) == PEOPLE
