"""`syncengine sync` killed with -9, for real, at random instants and at exact points; `tests.e2e.kill` tells how it is judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.kill import KINDS, play


@pytest.mark.parametrize("left", KINDS)
def test_a_town_whose_syncs_are_killed_ends_like_one_whose_syncs_are_not(tmp_path: Path, left: str) -> None:
    """A CSV file, then a Records server over HTTP, each kept the same with a database."""
    counts = play(tmp_path, kills=10, seed=1, kind=KINDS[left])
    assert counts["killed at an instant"] > 0
    assert counts["killed at a point"] > 0
