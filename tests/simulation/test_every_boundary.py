"""Every boundary of the canonical scenarios, and at each of them everything that can go wrong there (a sample for every push)."""

from __future__ import annotations

from syncengine.testing.simulate.exhaustive import play, scenarios, sweep


def test_every_canonical_scenario_ends_well_when_nothing_goes_wrong() -> None:
    for scenario in scenarios():
        boundaries, violation = play(scenario)
        assert violation is None, scenario.name
        assert len(boundaries) > 15


def test_one_blow_at_a_boundary_breaks_nothing() -> None:
    lines: list[str] = []
    assert sweep(lines.append, share=37) == 0, "\n".join(lines)
