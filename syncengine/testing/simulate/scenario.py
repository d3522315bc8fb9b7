"""Kept tapes: a scenario is a JSON file with a title, the world, and the tape that once broke a rule."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from syncengine.testing.simulate.history import Result, simulate
from syncengine.testing.simulate.setup import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`title` says the property in words; `rule` is what broke when the tape was found."""

    title: str
    world: World
    rule: str
    tape: tuple[int, ...]

    def replay(self, *, story: bool = False) -> Result:
        """Play the tape again."""
        return simulate(0, self.world, recorded=self.tape, story=story)


def load(path: Path) -> Scenario:
    """A scenario from its file."""
    content = json.loads(path.read_text())
    return Scenario(
        title=content["title"], world=World(content["world"]), rule=content["rule"], tape=tuple(_unpack(content["tape"]))
    )


def save(path: Path, scenario: Scenario) -> None:
    """Write a scenario; runs of zeros are written as one negative number."""
    content = {
        "title": scenario.title,
        "world": scenario.world.value,
        "rule": scenario.rule,
        "tape": _pack(scenario.tape),
    }
    path.write_text(json.dumps(content, ensure_ascii=False) + "\n")


def _pack(tape: Sequence[int]) -> list[int]:
    packed: list[int] = []
    for slot in tape:
        if slot == 0 and packed and packed[-1] < 0:
            packed[-1] -= 1
        else:
            packed.append(slot or -1)
    return packed


def _unpack(packed: Sequence[int]) -> list[int]:
    return [each for slot in packed for each in ([slot] if slot >= 0 else [0] * -slot)]
