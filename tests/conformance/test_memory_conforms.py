"""The memory connector keeps the contract whatever it declares and however it behaves: a covering set of combinations."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest

from syncengine.testing.memory import Paging
from tests.conformance.harness import MemoryConformance, world_of

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


def covering_rows(knobs):
    """Rows of settings in which every two settings of two knobs occur together, found greedily; the same each time."""
    chance = random.Random(20261123)
    names = list(knobs)
    open_pairs = {(one, a, other, b) for one, other in itertools.combinations(names, 2) for a in knobs[one] for b in knobs[other]}
    rows = [{name: values[0] for name, values in knobs.items()}]
    while True:
        row = rows[-1]
        open_pairs -= {(one, row[one], other, row[other]) for one, other in itertools.combinations(names, 2)}
        if not open_pairs:
            return rows
        candidates = []
        for _ in range(12):
            one, a, other, b = chance.choice(sorted(open_pairs, key=repr))
            # Settings that come first are the ones with which most tests have something to say: they get more turns.
            candidate = {name: chance.choice((values[0], *values)) for name, values in knobs.items()} | {one: a, other: b}
            pairs = ((x, candidate[x], y, candidate[y]) for x, y in itertools.combinations(names, 2))
            candidates.append((sum(pair in open_pairs for pair in pairs), len(candidates), candidate))
        rows.append(max(candidates, key=lambda each: each[0])[2])


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


for number, settings in enumerate(covering_rows(KNOBS)):
    usual = sensible(settings)
    globals()[f"TestMemory{number}"] = type(
        f"TestMemory{number}", (MemoryConformance,), {"row": usual, "world": world_of(usual), "__module__": __name__}
    )
