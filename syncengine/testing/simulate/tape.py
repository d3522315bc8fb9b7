"""
The tape: every random decision of a simulated history is one slot.

A seed makes a tape; a tape replays a history without the seed, and is what gets shrunk. Zero is always the benign choice,
and a tape that is too short goes on with zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")

Slot = int | None
"""A decision; None stands for the benign one."""


class Tape:
    """Decisions from a seed, or from slots that were recorded before; `slots` is what was decided so far."""

    __slots__ = ("_at", "_random", "_recorded", "slots")

    def __init__(self, seed: int = 0, recorded: Sequence[Slot] | None = None) -> None:
        self.slots: list[int] = []
        self._recorded = recorded
        self._at = 0
        self._random = Random(seed).random

    def draw(self, n: int) -> int:
        """One of n values, 0 the benign one."""
        value = int(self._random() * n) if self._recorded is None else min(self._next(), n - 1)
        self.slots.append(value)
        return value

    def chance(self, probability: float) -> bool:
        """Whether something with this probability happens."""
        value = int(self._random() < probability) if self._recorded is None else int(self._next() > 0)
        self.slots.append(value)
        return value == 1

    def pick(self, weights: Sequence[float]) -> int:
        """0 for nothing, else 1 + the index of the weight that was hit; the weights add up to at most 1."""
        if self._recorded is None:
            left = self._random()
            value = 0
            for index, weight in enumerate(weights, 1):
                left -= weight
                if left < 0:
                    value = index
                    break
        else:
            value = min(self._next(), len(weights))
        self.slots.append(value)
        return value

    def choose(self, options: Sequence[T]) -> T:
        """One of the options, the first being the benign one."""
        return options[self.draw(len(options))]

    def _next(self) -> int:
        assert self._recorded is not None
        self._at += 1
        if self._at > len(self._recorded):
            return 0
        return self._recorded[self._at - 1] or 0
