"""Rings of pairs: ways on which a value could travel round and come back changed to where it started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from syncengine.core.model import Direction, End

Ends = tuple[End | None, End | None, Direction]
"""The left end, the right end and the direction of a pair."""


def rings(pairs: Mapping[str, Ends]) -> Iterator[tuple[str, ...]]:
    """
    The rings that pairs form, each as the names of its pairs in travelling order, told at its last pair of the file.

    A two-way pair can be travelled both ways, a one-way pair in its direction. Pairs between the same two resources are
    no ring here: they are refused as such.
    """
    ways: dict[End, dict[End, str]] = {}
    for name, (left, right, direction) in pairs.items():
        if left is None or right is None or left == right or right in ways.get(left, {}) or left in ways.get(right, {}):
            continue
        hops = []
        if direction is not Direction.RIGHT_TO_LEFT:
            hops.append((left, right))
        if direction is not Direction.LEFT_TO_RIGHT:
            hops.append((right, left))
        for start, goal in hops:
            back = _way(ways, goal, start)
            if back:
                yield (*back, name)
                break
        else:
            for start, goal in hops:
                ways.setdefault(start, {})[goal] = name


def _way(ways: Mapping[End, Mapping[End, str]], start: End, goal: End) -> tuple[str, ...]:
    """The shortest way from one resource to another as names of pairs; empty when there is none."""
    reached: dict[End, tuple[str, ...]] = {start: ()}
    queue = [start]
    for here in queue:
        for there, name in ways.get(here, {}).items():
            if there not in reached:
                reached[there] = (*reached[here], name)
                queue.append(there)
    return reached.get(goal, ())
