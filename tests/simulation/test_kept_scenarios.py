"""Histories that once broke a rule, shrunk and kept: the engine holds every rule in them for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncengine.testing.simulate.scenario import load

KEPT = sorted((Path(__file__).parent.parent / "scenarios").glob("*.json"))


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_kept_history_breaks_no_rule_any_more(path: Path) -> None:
    scenario = load(path)
    assert scenario.title
    result = scenario.replay(story=True)
    assert result.violation is None, "\n".join(result.story)


def test_there_are_kept_histories() -> None:
    assert len(KEPT) > 20
