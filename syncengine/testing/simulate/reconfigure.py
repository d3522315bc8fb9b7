"""
The operator edits the config in mid-history: policies, the direction, a field less or more, a filter, the guards.

The next process starts with it. What was sent under the config of before may still land, and is judged by that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from syncengine.core.model import Condition, Deletes, Direction, FieldSpec, Filter, PairSpec, Policy, Side, Test
from syncengine.testing.simulate.setup import CAREFUL, TRUSTING, Setup, field_of
from syncengine.testing.simulate.shapes import EMAIL, Shape
from syncengine.testing.simulate.tape import Tape


def edit_config(tape: Tape, setup: Setup) -> tuple[str, Setup]:
    """What the operator does to the config of a pair, in a word, and the pair from then on."""
    kind, edit = tape.choose(_EDITS)
    spec = edit(tape, setup)
    return kind, setup.reconfigured(spec)


def _conflicts(tape: Tape, setup: Setup) -> PairSpec:
    others = [each for each in (Policy.ASK, Policy.LEFT, Policy.RIGHT, Policy.NEWER) if each is not setup.spec.conflicts]
    return replace(setup.spec, conflicts=tape.choose(others))


def _deletes(tape: Tape, setup: Setup) -> PairSpec:
    return replace(setup.spec, deletes=tape.choose([each for each in Deletes if each is not setup.spec.deletes]))


def _direction(tape: Tape, setup: Setup) -> PairSpec:
    return replace(setup.spec, direction=tape.choose([each for each in Direction if each is not setup.spec.direction]))


def _guards(_: Tape, setup: Setup) -> PairSpec:
    return replace(setup.spec, guards=CAREFUL if setup.spec.guards == TRUSTING else TRUSTING)


def _field(tape: Tape, setup: Setup) -> PairSpec:
    """One field less, or one more that was left out."""
    shape = tape.choose([shape for shape in setup.fields if shape.name != EMAIL.name])
    kept = [each for each in setup.spec.fields if each.name != shape.name]
    if len(kept) == len(setup.spec.fields):
        order = [each.name for each in setup.fields]
        kept = sorted([*kept, _mapped(shape, tape)], key=lambda each: order.index(each.name))
    return replace(setup.spec, fields=tuple(kept))


def _mapped(shape: Shape, tape: Tape) -> FieldSpec:
    spec = field_of(shape)
    return replace(spec, conflicts=Policy.UNION) if shape.many and tape.chance(0.5) else spec


def _filter(tape: Tape, setup: Setup) -> PairSpec:
    """A filter on one side or both, or none any more."""
    filters: dict[Side, Filter] = {}
    for side in Side:
        if tape.chance(0.6):
            shape = tape.choose([shape for shape in setup.fields if shape.name != EMAIL.name])
            test = Condition(field=shape.native(side), test=Test.BLANK, value=False)
            if shape.name == "name" and tape.chance(0.7):
                test = Condition(field=shape.native(side), test=Test.CONTAINS, value=tape.choose(("1", "2", "b")))
            filters[side] = (test,)
    return replace(setup.spec, filters=filters)


_EDITS: tuple[tuple[str, Callable[[Tape, Setup], PairSpec]], ...] = (
    ("conflicts", _conflicts),
    ("deletes", _deletes),
    ("direction", _direction),
    ("a field less or more", _field),
    ("a field less or more", _field),
    ("the filter", _filter),
    ("the filter", _filter),
    ("guards", _guards),
)

KINDS = tuple(dict.fromkeys(kind for kind, _ in _EDITS))
"""What of a config may be edited."""
