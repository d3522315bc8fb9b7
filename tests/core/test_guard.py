"""What is too dangerous to do unasked, by number."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.core.guard import Tally, check
from syncengine.core.model import Guards, Limit, Side

BOTH = dict.fromkeys(Side, 100)
GUARDS = Guards(deletes=Limit(share=0.05, number=10), updates=Limit(share=0.5, number=100), creates=Limit(share=0.5, number=100))


def tally(**changes: Any) -> Tally:
    values: dict[str, Any] = {"links": 1000, "known": BOTH, "read": BOTH}
    return Tally(**(values | changes))


def names(**changes: Any) -> list[str]:
    return [trip.guard for trip in check(GUARDS, tally(**changes))]


@pytest.mark.parametrize(("changes", "expected"), [
    ({}, []),
    ({"deletes": 50}, []),
    ({"deletes": 51}, ["deletes"]),
    ({"deletes": 10, "links": 10}, []),
    ({"deletes": 11, "links": 10}, ["deletes"]),
    ({"deletes": 11, "links": 1000}, []),
    ({"deletes": 1, "recent_deletes": 50}, ["deletes"]),
    ({"deletes": 0, "recent_deletes": 500}, []),
    ({"updates": 500}, []),
    ({"updates": 501}, ["updates"]),
    ({"updates": 100, "links": 100}, []),
    ({"updates": 101, "links": 100}, ["updates"]),
    ({"creates": 500}, []),
    ({"creates": 501}, ["creates"]),
    ({"creates": 10_000, "links": 0, "read": {Side.LEFT: 10_000, Side.RIGHT: 0}, "known": dict.fromkeys(Side, 0)}, []),
    ({"read": {Side.LEFT: 0, Side.RIGHT: 100}}, ["emptied"]),
    ({"read": {Side.LEFT: None, Side.RIGHT: None}}, []),
    ({"read": dict.fromkeys(Side, 0)}, ["emptied", "emptied"]),
    ({"links": 0, "known": dict.fromkeys(Side, 0)}, ["first_contact"]),
    ({"links": 0, "known": dict.fromkeys(Side, 0), "read": {Side.LEFT: 5, Side.RIGHT: None}}, []),
    ({"changed_config": ["mapping"], "updates": 1}, ["config"]),
    ({"changed_config": ["mapping"]}, []),
    ({"changed_config": ["mapping"], "links": 0, "creates": 1, "read": {Side.LEFT: 1, Side.RIGHT: 0},
      "known": dict.fromkeys(Side, 0)}, []),
    ({"changed_config": ["mapping"], "links": 0, "has_dead": True, "updates": 1, "read": dict.fromkeys(Side)}, ["config"]),
    ({"deletes": 51, "updates": 501, "creates": 501, "changed_config": ["filters"]}, ["config", "deletes", "updates", "creates"]),
])  # fmt: skip
def test_a_limit_trips_above_share_and_number(changes: dict[str, Any], expected: list[str]) -> None:
    assert names(**changes) == expected


def test_a_trip_says_what_it_saw_and_where_the_limit_was() -> None:
    (trip,) = check(GUARDS, tally(deletes=60))
    assert (trip.count, trip.limit) == (60, 50)
    assert trip.message == "60 deletes of 1000 links is above the limit (5% and 10)"
    (config,) = check(GUARDS, tally(changed_config=["filters", "match"], updates=2))
    assert config.message == "the config changed (filters, match), and that alone may cause these 2 writes"


counts = st.integers(min_value=0, max_value=2000)
tallies = st.builds(
    tally, links=counts, creates=counts, updates=counts, deletes=counts, recent_deletes=counts, linking=counts,
    read=st.fixed_dictionaries({side: st.none() | counts for side in Side}),
    known=st.fixed_dictionaries(dict.fromkeys(Side, counts)),
    changed_config=st.sampled_from([(), ("mapping",)]),
)  # fmt: skip


@given(tallies, st.sampled_from(["creates", "updates", "deletes"]), counts)
def test_doing_more_never_makes_a_plan_less_dangerous(small: Tally, kind: str, more: int) -> None:
    from dataclasses import replace

    large = replace(small, **{kind: getattr(small, kind) + more})
    assert {trip.guard for trip in check(GUARDS, small)} <= {trip.guard for trip in check(GUARDS, large)}
