"""What there is once for each pair of a simulated world: its config of the moment, its ghost, its oracle, its two systems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from sqlite3 import Connection

from syncengine.core.model import Side
from syncengine.testing.simulate.bounds import Configs
from syncengine.testing.simulate.farside import FarSide
from syncengine.testing.simulate.ghost import Ghost
from syncengine.testing.simulate.oracle import Oracle
from syncengine.testing.simulate.setup import Setup


class Pair:
    """
    One pair. `number` is that of the state. `apart`: links and fields that a person left to differ; `chosen`: whether a person
    ever decided about a whole record.
    """

    def __init__(self, number: int, setup: Setup, states: Sequence[Connection], counts: Counter[str]) -> None:
        self.number = number
        self.configs = Configs(setup)
        self.ghost = Ghost(setup.fields)
        self.oracle = Oracle(number, self.configs, self.ghost, states, counts)
        self.far: Mapping[Side, FarSide] = {}
        self.apart: set[tuple[int, str]] = set()
        self.chosen = False

    @property
    def setup(self) -> Setup:
        """The pair as its config is now."""
        return self.configs.now

    def join(self, far: Mapping[Side, FarSide]) -> None:
        """Stand between these two systems."""
        self.far = self.oracle.far = far
