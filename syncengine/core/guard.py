"""
What is too dangerous to do unasked. Pure; a guard that cannot count refuses.

A limit trips when a count is above its share of the links *and* above its number. Deletes count over a rolling 24 hours, so
that many small runs cannot leak what one big run may not do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from syncengine.core.model import Guards, Limit, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """
    What a plan would do, in numbers.

    `links`: live links before the run; `has_dead`: there are others, whose partner was gone. `known`, `read`: live records per
    side in the state and in this run's complete listing (None: no complete listing). `recent_deletes`: deletes of the last 24
    hours. `linking`: links that a first contact would make. `changed_config`: the parts of the pair's config that changed since
    the last accepted run. `is_first`: no pass over the pair went through yet.
    """

    links: int
    known: Mapping[Side, int]
    read: Mapping[Side, int | None]
    creates: int = 0
    updates: int = 0
    deletes: int = 0
    recent_deletes: int = 0
    linking: int = 0
    has_dead: bool = False
    changed_config: Sequence[str] = ()
    is_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """A guard that stopped the run: its name, what it saw, and the count and limit behind it."""

    guard: str
    message: str
    count: int = 0
    limit: int = 0


def check(guards: Guards, tally: Tally) -> tuple[Trip, ...]:
    """Every guard that trips; an empty tuple lets the plan pass."""
    trips: list[Trip] = []
    for side in Side:
        if tally.known[side] > 0 and tally.read[side] == 0:
            message = f"the {side.value} side is empty, but held {tally.known[side]} records in the last run"
            trips.append(Trip(guard="emptied", message=message, count=tally.known[side]))
    writes = tally.creates + tally.updates + tally.deletes
    if tally.links == 0 and all((tally.read[side] or 0) > 0 for side in Side):
        message = (
            f"first contact between two filled sides: {tally.linking} records would be linked, {tally.creates} created, "
            f"{tally.updates} updated"
        )
        trips.append(Trip(guard="first_contact", message=message, count=tally.linking))
    if tally.changed_config and (tally.links or tally.has_dead) and writes:
        message = f"the config changed ({', '.join(tally.changed_config)}), and that alone may cause these {writes} writes"
        trips.append(Trip(guard="config", message=message, count=writes))
    trips += _limit("deletes", guards.deletes, tally.deletes + tally.recent_deletes, tally.links, acting=tally.deletes > 0)
    trips += _limit("updates", guards.updates, tally.updates, tally.links, acting=True)
    # A first sync that was interrupted half-way goes on where it stopped: most of its creates are still to come.
    if tally.links and not tally.is_first:
        trips += _limit("creates", guards.creates, tally.creates, tally.links, acting=True)
    return tuple(trips)


def _limit(name: str, limit: Limit, count: int, links: int, *, acting: bool) -> list[Trip]:
    share = int(limit.share * links)
    if not acting or count <= limit.number or count <= share:
        return []
    message = f"{count} {name} of {links} links is above the limit ({limit.share:.0%} and {limit.number})"
    return [Trip(guard=name, message=message, count=count, limit=max(share, limit.number))]
