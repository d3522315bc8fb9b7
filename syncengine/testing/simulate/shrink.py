"""Shrinking a tape: blocks are deleted, then blanked, while the same rule stays broken."""

from __future__ import annotations

import time
from collections.abc import Sequence

from syncengine.testing.simulate.history import simulate
from syncengine.testing.simulate.setup import World
from syncengine.testing.simulate.tape import Slot


def shrink(slots: Sequence[Slot], world: World, rule: str, *, seconds: float = 30.0) -> list[int]:
    """A tape as short and as benign as can be found in the given time that still breaks the same rule."""
    best = [slot or 0 for slot in slots]
    deadline = time.monotonic() + seconds

    def fails(candidate: list[int]) -> bool:
        violation = simulate(0, world, recorded=candidate).violation
        return violation is not None and violation.rule == rule

    improved = True
    while improved and time.monotonic() < deadline:
        improved = False
        size = max(1, len(best) // 2)
        while size and time.monotonic() < deadline:
            at = 0
            while at < len(best) and time.monotonic() < deadline:
                block = best[at : at + size]
                without = best[:at] + best[at + size :]
                blank = [*best[:at], *([0] * len(block)), *best[at + size :]]
                if fails(without):
                    best, improved = without, True
                    continue
                if any(block) and fails(blank):
                    best, improved = blank, True
                at += size
            size //= 2
        for index, slot in enumerate(best):
            if time.monotonic() >= deadline:
                break
            if slot > 1 and fails([*best[:index], slot // 2, *best[index + 1 :]]):
                best[index], improved = slot // 2, True
    while best and not best[-1]:
        best.pop()
    return best
