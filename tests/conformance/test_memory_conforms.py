"""
The memory connector keeps the contract whatever it declares and however it behaves: a set of combinations in which every two
settings meet.

    SYNCENGINE_COMBINATIONS=500 SYNCENGINE_SEED=1 python -m pytest -q tests/conformance/test_memory_conforms.py

tries so many more at random.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from syncengine.testing.memory import Paging
from tests.conformance.harness import CAPABILITIES, MANNERS, MemoryConformance, world_of

KNOBS = {
    # capabilities
    "incremental": (True, False),
    "reports_deletions": (True, False),
    "creates": (True, False),
    "updates": (True, False),
    "partial_updates": (True, False),
    "archives": (True, False),
    "deletes": (True, False),
    "restores": (True, False),
    "conditional_writes": (True, False),
    "idempotent_creates": (True, False),
    "upsert_keys": (("email",), ()),
    "returns_record": (True, False),
    "max_batch": (100, 3, 1),
    "max_concurrency": (4, 1),
    "chooses_ids": (True, False),
    "set_deltas": (True, False),
    "late_arrival": (0.0, 60.0),
    "lag": (0.0, 10.0),
    "clock_resolution": (1e-6, 60.0, None),
    "rewrites_whole": (False, True),
    "page_size": (2, 5, 100),
    # manners
    "normalise": (False, True),
    "versions": (True, False),
    "returns_version": (True, False),
    "returns_whole": (True, False),
    "touches": (False, True),
    "sparse": (False, True),
    "tells_holder": (True, False),
    "create_revives": (False, True),
    "checks_references": (False, True),
    "provisional": (False, True),
    "paging": tuple(Paging),
    "overlap": (0, 3),
    "repeats": (False, True),
    # the rest
    "blank_is_null": (False, True),
    "id_fields": ((), ("email",)),
    "ticks": (1.0, 0.0),
    "gets": (True, False),
    "finds": (True, False),
    "reads": (True, False),
    "writes": (True, False),
}


Pair = tuple[str, object, str, object]


def pairs_of(row: Mapping[str, Any]) -> set[Pair]:
    return {(one, row[one], other, row[other]) for one, other in itertools.combinations(KNOBS, 2)}


def possible_pairs() -> set[Pair]:
    """Every two settings of two knobs that can be declared together."""
    plainest = {name: values[0] for name, values in KNOBS.items()}
    return {
        (one, a, other, b)
        for one, other in itertools.combinations(KNOBS, 2)
        for a, b in itertools.product(KNOBS[one], KNOBS[other])
        if (one, a, other, b) in pairs_of(sensible(plainest | {one: a, other: b}))
    }


def any_row(chance: random.Random) -> dict[str, Any]:
    """Settings that come first are the ones with which most tests have something to say: they get more turns."""
    return {name: chance.choice((values[0], *values)) for name, values in KNOBS.items()}


def covering_rows() -> list[dict[str, Any]]:
    """Sensible rows in which every two settings that can be declared together are, found greedily; the same each time."""
    chance = random.Random(20261123)
    rows = [sensible({name: values[0] for name, values in KNOBS.items()})]
    open_pairs = possible_pairs() - pairs_of(rows[0])
    while open_pairs:
        candidates = []
        for _ in range(12):
            one, a, other, b = chance.choice(sorted(open_pairs, key=repr))
            candidate = sensible(any_row(chance) | {one: a, other: b})
            candidates.append((len(pairs_of(candidate) & open_pairs), len(candidates), candidate))
        found, _, best = max(candidates, key=lambda each: each[:2])
        if found:
            rows.append(best)
            open_pairs -= pairs_of(best)
            continue
        # What the others say took a setting back: alone with the plainest it stands.
        one, a, other, b = min(open_pairs, key=repr)
        plainest = sensible({name: values[0] for name, values in KNOBS.items()} | {one: a, other: b})
        rows.append(plainest)
        open_pairs -= pairs_of(plainest)
    return rows


def more_rows(number: int) -> list[dict[str, Any]]:
    """So many rows at random."""
    chance = random.Random(int(os.environ.get("SYNCENGINE_SEED", "1")))
    return [sensible(any_row(chance)) for _ in range(number)]


def sensible(row):
    """The row without declarations that contradict each other (which the kit's honesty tests refuse)."""
    row = dict(row)
    row["reads"] = row["reads"] or not row["writes"]
    for name in ("creates", "updates", "archives", "deletes", "restores"):
        row[name] = row[name] and row["writes"]
    row["incremental"] = row["incremental"] and row["reads"]
    row["reports_deletions"] = row["reports_deletions"] and row["incremental"]
    row["restores"] = row["restores"] and row["archives"]
    for name in ("idempotent_creates", "chooses_ids"):
        row[name] = row[name] and row["creates"]
    row["chooses_ids"] = row["chooses_ids"] and not row["id_fields"]
    row["upsert_keys"] = row["upsert_keys"] if row["creates"] else ()
    row["conditional_writes"] = row["conditional_writes"] and (row["updates"] or row["archives"] or row["deletes"])
    row["returns_record"] = row["returns_record"] and (row["creates"] or row["updates"] or row["restores"])
    row["set_deltas"] = row["set_deltas"] and row["updates"]
    row["rewrites_whole"] = row["rewrites_whole"] and row["max_batch"] > 1
    row["provisional"] = row["provisional"] and not row["id_fields"] and row["creates"]
    row["create_revives"] = row["create_revives"] and not row["id_fields"]
    return row


def test_every_two_settings_that_can_be_declared_together_are_tried_together():
    tried = set().union(*(pairs_of(row) for row in ROWS))
    assert possible_pairs() <= tried
    never = {(name, value) for name, values in KNOBS.items() for value in values} - {
        (name, row[name]) for row in ROWS for name in KNOBS
    }
    assert not never


def test_every_capability_and_every_manner_is_a_knob():
    left_alone = {"calls_per_page", "calls_per_write"}  # numbers for the forecast: the memory world counts none
    assert {*CAPABILITIES, *MANNERS} - KNOBS.keys() == {*left_alone, "passes", "cursor_life"}


class TestMemoryShared(MemoryConformance):
    """A sandbox that holds other records too: they stay as they are, and what the kit made goes."""

    row = {"page_size": 4}  # noqa: RUF012 - read only
    world = replace(world_of(row), shared=True, namespace="live7", secrets=("kit-secret-5512",), samples={"boss": ["1"]})

    @pytest.fixture(autouse=True)
    def others(self, memory):
        _, resource = memory
        for number in range(3):
            resource.insert(email=f"other{number}@example.com", name="other")
        before = resource.records()
        yield
        assert resource.records() == before


ROWS = covering_rows() + more_rows(int(os.environ.get("SYNCENGINE_COMBINATIONS", "0")))
for number, usual in enumerate(ROWS):
    globals()[f"TestMemory{number}"] = type(
        f"TestMemory{number}", (MemoryConformance,), {"row": usual, "world": world_of(usual), "__module__": __name__}
    )
