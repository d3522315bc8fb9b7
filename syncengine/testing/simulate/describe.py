"""A simulated world in words, as its story begins and as the table of a campaign names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from syncengine.core.model import AnyOf, Condition, Side
from syncengine.testing.simulate.setup import Setup

ENGINE_RUNS: Final = "runs of the engine"
"""What a history counts its runs under: passes over one pair, those that were refused or broke off included."""
KILL_POINTS: Final = "kill points passed"
"""What it counts the moments under at which the process could have died: before and after each call and each commit."""

WORLDS: Mapping[str, Callable[[Setup], bool]] = {
    "a chain of two pairs": lambda setup: setup.is_chain,
    "a config that changes": lambda setup: setup.is_changing,
    "runs over single records": lambda setup: setup.is_hinted,
    "a system that gives ids out again": lambda setup: any(each.reuses_ids for each in setup.manners.values()),
    "a system that refuses some records": lambda setup: any(each.picky for each in setup.manners.values()),
    "a state that is rebuilt": lambda setup: setup.is_rebuilding,
    "a state that is rebuilt from a backup": lambda setup: setup.is_restoring,
}
"""What a history may have beside one pair, one config, one state, runs over everything, and systems that take all."""


def describe_setup(setup: Setup) -> list[str]:
    """The world in words."""
    lines = [f"pair: {describe_pair(setup)}", *(_describe_system(setup, side) for side in Side)]
    if setup.next is not None:
        left, right = (setup.next.names[side] for side in Side)
        third = next(side for side in Side if setup.next.names[side] not in setup.names.values())
        lines += [f"pair {left} <-> {right}: {describe_pair(setup.next)}", _describe_system(setup.next, third)]
    on = ", ".join(f"{fault.value} {rate:.1%}" for fault, rate in setup.rates.items() if rate)
    lines.append(f"faults: {on or 'none'}; people in between {setup.busy:.1%}")
    return lines


def describe_pair(setup: Setup) -> str:
    """What the config says of a pair, in words."""
    filters = "".join(
        f"; the {side.value} only where {' and '.join(map(_describe_clause, clauses))}"
        for side, clauses in setup.spec.filters.items()
    )
    return (
        f"fields {', '.join(shape.name for shape in setup.shapes)}; conflicts {setup.spec.conflicts.value}; deletes "
        f"{setup.spec.deletes.value}; {setup.spec.direction.value}; keyless {setup.spec.keyless.value}; "
        f"guard on deletes {setup.spec.guards.deletes.share:.0%} and {setup.spec.guards.deletes.number}{filters}"
    )


def _describe_clause(clause: Condition | AnyOf) -> str:
    if isinstance(clause, AnyOf):
        return " or ".join(map(_describe_clause, clause.conditions))
    return f"{clause.field} {clause.test.value} {clause.value!r}"


def _describe_system(setup: Setup, side: Side) -> str:
    can, manners = setup.capabilities(side), setup.manners[side]
    flags = [
        name for name in (
            "incremental", "reports_deletions", "archives", "restores", "partial_updates", "conditional_writes",
            "idempotent_creates", "chooses_ids", "set_deltas", "returns_record",
        ) if getattr(can, name)
    ]  # fmt: skip
    ways = [
        name for name in (
            "gets", "finds", "versions", "returns_version", "returns_whole", "unique", "folds", "repeats", "reuses_ids",
        ) if getattr(manners, name)
    ]  # fmt: skip
    return (
        f"{setup.names[side]}: {' '.join(flags)}; batch {can.max_batch}, page {can.page_size}, late {can.late_arrival:.0f} s, "
        f"lag {can.lag:.0f} s, clock {can.clock_resolution}; {' '.join(ways)}; {manners.paging.value}; "
        f"stores {', '.join(f'{name} {how.value}' for name, how in manners.normalise.items()) or 'as sent'}"
        f"{f'; refuses some of {manners.picky}' if manners.picky is not None else ''}"
    )
