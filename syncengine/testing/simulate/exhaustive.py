"""
Every boundary of the canonical scenarios, and at each of them everything that can go wrong there.

A scenario is a world and what people do before each of its rounds. It is played once undisturbed, to count its boundaries
(the moments before and after each call and each commit); then once for every boundary and every kind of failure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from syncengine.connector import Capabilities, Fields, Native
from syncengine.core.model import Deletes, Policy, Side
from syncengine.testing.simulate.crash import Violation
from syncengine.testing.simulate.history import History
from syncengine.testing.simulate.setup import ABLE, Manners, Setup, calm_setup
from syncengine.testing.simulate.shapes import Normaliser
from syncengine.testing.simulate.tape import Tape
from syncengine.testing.simulate.world import Blow, World

Doing = Callable[[World], None]
"""What a person does, by the script."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`steps` are what people do before each round; the first one fills the systems."""

    name: str
    setup: Setup
    steps: tuple[tuple[Doing, ...], ...]


def _natives(world: World, side: Side, values: Mapping[str, Native]) -> Fields:
    shapes = {shape.name: shape.native(side) for shape in world.setup.shapes}
    return {shapes[name]: value for name, value in values.items()}


def _makes(side: Side, **values: Native) -> Doing:
    def do(world: World) -> None:
        world.pair(1).far[side].insert(_natives(world, side, values))

    return do


def _edits(side: Side, **values: Native) -> Doing:
    def do(world: World) -> None:
        for id_ in list(world.pair(1).far[side].live)[:1]:
            world.pair(1).far[side].edit(id_, _natives(world, side, values))

    return do


def _removes(side: Side) -> Doing:
    def do(world: World) -> None:
        for id_ in list(world.pair(1).far[side].live)[:1]:
            world.pair(1).far[side].remove(id_, to_archive=False)

    return do


def _swaps(side: Side) -> Doing:
    def do(world: World) -> None:
        one, two, *_ = world.pair(1).far[side].live
        world.pair(1).far[side].swap_emails(one, two)

    return do


_FILLED = (
    _makes(Side.LEFT, email="ann@x.org", name="T901", amount=Decimal("901.125")),
    _makes(Side.LEFT, email="bob@x.org", name="T902 ab-cd"),
)
_BOTH_FILLED = (*_FILLED, _makes(Side.RIGHT, email="Ann@X.org", name="T903"), _makes(Side.RIGHT, email="eve@x.org", name="T904"))
_STORIES: Mapping[str, tuple[tuple[Doing, ...], ...]] = {
    "creates": (_FILLED,),
    "first contact": (_BOTH_FILLED,),
    "an edit each way": (_FILLED, (_edits(Side.LEFT, name="T911"), _edits(Side.RIGHT, amount=Decimal(912)))),
    "a conflict": (_FILLED, (_edits(Side.LEFT, name="T921"), _edits(Side.RIGHT, name="T922"))),
    "a deletion": (_FILLED, (_removes(Side.LEFT),)),
    "a deletion against an edit": (_FILLED, (_edits(Side.RIGHT, name="T931"), _removes(Side.LEFT))),
    "edits in a row": (_FILLED, (_edits(Side.LEFT, name="T941"),), (_edits(Side.RIGHT, name="T942"),)),
    "made again under the same key": (_FILLED, (_removes(Side.LEFT), _makes(Side.LEFT, email="ANN@x.org", name="T951"))),
    "a swap of keys": (_FILLED, (_swaps(Side.LEFT),)),
}

_PLAIN = replace(ABLE, conditional_writes=False, idempotent_creates=False, returns_record=False, restores=False, max_batch=2)

_SYSTEMS: tuple[tuple[str, Capabilities, Manners], ...] = (
    ("able", ABLE, Manners()),
    ("plain", _PLAIN, Manners()),
    ("full listings", replace(ABLE, incremental=False, reports_deletions=False, idempotent_creates=False), Manners()),
    (
        "rewriting",
        replace(_PLAIN, conditional_writes=True),
        Manners(normalise={"title": Normaliser.TRUNCATE, "mail": Normaliser.LOWER}),
    ),
    ("choosing ids", replace(ABLE, idempotent_creates=False, chooses_ids=True), Manners(versions=False)),
)


def scenarios() -> Iterator[Scenario]:
    """The canonical scenarios: every story with every sort of right-hand system, under two sets of policies."""
    for story, steps in _STORIES.items():
        for system, capabilities, manners in _SYSTEMS:
            for policy, deletes in ((Policy.ASK, Deletes.ASK), (Policy.LEFT, Deletes.PROPAGATE)):
                setup = calm_setup(
                    capabilities={Side.LEFT: ABLE, Side.RIGHT: capabilities},
                    manners={Side.LEFT: Manners(), Side.RIGHT: manners},
                    conflicts=policy,
                    deletes=deletes,
                    rounds=len(steps),
                )
                yield Scenario(name=f"{story}, {system}, {policy.value}", setup=setup, steps=steps)


def play(scenario: Scenario, boundary: int | None = None, blow: Blow | None = None) -> tuple[list[str], Violation | None]:
    """The scenario with one blow at one boundary; returns the boundaries there were before healing, and what broke."""
    history = History(Tape(0, ()), scenario.setup.world, setup=scenario.setup)
    try:
        return history.play_script(scenario.steps, boundary, blow), None
    except Violation as violation:
        return [], violation
    finally:
        history.close()


def sweep(say: Callable[[str], None], *, share: int = 1) -> int:
    """Play every `share`-th combination; say how much it was and what broke; 1 if anything did."""
    runs = count = 0
    blows: Counter[str] = Counter()
    broken: list[str] = []
    for scenario in scenarios():
        boundaries, violation = play(scenario)
        if violation is not None:
            broken.append(f"{scenario.name}, undisturbed: {violation}")
            continue
        for boundary, what in enumerate(boundaries, 1):
            for blow in Blow:
                count += blow.fits(what)
                if not blow.fits(what) or count % share:
                    continue
                _, violation = play(scenario, boundary, blow)
                runs += 1
                blows[f"{blow.value} {what.replace('before', 'at')}"] += 1
                if violation is not None:
                    broken.append(f"{scenario.name}, {blow.value} at {boundary} ({what}): {violation}")
    say(f"{runs} runs")
    for name, number in sorted(blows.items()):
        say(f"  {number:>8}  {name}")
    say(f"violations: {len(broken)}")
    for line in broken[:50]:
        say(f"  {line}")
    return int(bool(broken))
