"""A mutant: the engine without one of its rules, to be noticed by the oracle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from syncengine.testing.simulate.chain import draw_setup
from syncengine.testing.simulate.history import simulate
from syncengine.testing.simulate.setup import Setup, World
from syncengine.testing.simulate.tape import Tape

Patch = tuple[object, str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """`rule` is what is taken out; hunted in `world`, in the histories that have what it `needs`."""

    name: str
    rule: str
    patches: Callable[[], list[Patch]]
    world: World = World.HOSTILE
    needs: Callable[[Setup], bool] = lambda _: True

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The engine without the rule."""
        with ExitStack() as stack:
            for owner, name, value in self.patches():
                stack.enter_context(patch.object(owner, name, value))
            yield

    def hunt(self, most: int, *, first: int = 0) -> int | None:
        """The first of so many seeds that notices, and that the whole engine passes; None if none does."""
        for seed in range(first, first + most):
            if not self.needs(draw_setup(Tape(seed), self.world)):
                continue
            with self.applied():
                violation = simulate(seed, self.world).violation
            if violation is not None and simulate(seed, self.world).violation is None:
                return seed
        return None
