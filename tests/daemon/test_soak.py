"""A short life of many runs: nothing grows that a long one would suffer from. The long one: `python -m tests.benchmarks.soak`."""

from __future__ import annotations

import subprocess
import sys

from tests.support.running import ROOT, environment


def test_a_life_of_many_runs_outages_hints_and_reloads_leaves_memory_files_and_state_as_they_were():
    command = [sys.executable, "-m", "tests.benchmarks.soak", "--days", "60", "--hours", "8"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing grew" in done.stdout
