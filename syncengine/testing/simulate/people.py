"""
People at the far sides. Every value they write is unique, save for emails: those come from a small pool with many spellings,
so that collisions are frequent.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from syncengine.connector import Fields, FieldType, Native
from syncengine.core.model import Side
from syncengine.testing.simulate.farside import FarSide
from syncengine.testing.simulate.shapes import BOSS, EMAIL, NAME, Shape

if TYPE_CHECKING:
    from syncengine.testing.simulate.pair import Pair
    from syncengine.testing.simulate.world import World

_POOL = ("ann", "bob", "zoë", "eve")
_SPELLINGS: tuple[Callable[[str], str], ...] = (
    lambda name: f"{name}@x.org",
    lambda name: f"{name.title()}@X.org",
    lambda name: f" {name}@x.org",
    lambda name: f"{name.upper()}@x.org ".replace("Ë", "E\u0308"),
)
_TAILS = ("", " ab-cd EF", "-x  ", " Gh")


class People:
    """Whoever edits the two systems besides the engine."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._count = 0
        self._acts: tuple[tuple[Callable[[FarSide], str | None], int], ...] = (
            (self._edit, 8),
            (self._create, 5),
            (self._clear, 2),
            (self._revert, 2),
            (self._remove, 3),
            (self._archive, 1),
            (self._restore, 1),
            (self._rename, 2),
            (self._swap, 1),
            (self._merge, 1),
        )
        self._wheel = [act for act, weight in self._acts for _ in range(weight)]

    def act(self) -> None:
        """One person does one thing."""
        world = self._world
        far = world.tape.choose(tuple(world.systems.values()))
        done = world.tape.choose(self._wheel)(far)
        if done is not None:
            world.counts["people's doings"] += 1
            if world.story is not None:
                world.tell(f"a person on the {far.name}: {done}")

    def fill(self) -> None:
        """The first records, before the engine is ever run."""
        for far in self._world.systems.values():
            for _ in range(self._world.tape.choose((1, 0, 2, 3))):
                done = self._create(far)
                if self._world.story is not None and done is not None:
                    self._world.tell(f"at first on the {far.name}: {done}")

    def typed(self, pair: Pair) -> str:
        """A value that a person types to settle a conflict of a pair."""
        self._count += 1
        value = f"T{self._count}"
        for side in Side:
            pair.ghost.introduced[side][NAME.name, ("text", str(self._count))] = pair.ghost.tick()
        return value

    # Values

    def _value(self, shape: Shape, far: FarSide, id_: str | None) -> Native:
        tape = self._world.tape
        self._count += 1
        match shape.type:
            case FieldType.EMAIL:
                return tape.choose(_SPELLINGS)(tape.choose(_POOL))
            case FieldType.TEXT:
                return ("  " if tape.chance(0.1) else "") + f"T{self._count}" + tape.choose(_TAILS)
            case FieldType.DECIMAL:
                return Decimal(self._count) + tape.choose((Decimal("0.5"), Decimal("0.125"), Decimal("0.004")))
            case FieldType.SET:
                held = far.live[id_].fields[shape.native(far.side)] if id_ is not None else None
                members = list(held) if isinstance(held, list) else []
                if members and tape.chance(0.4):
                    members.pop(tape.draw(len(members)))
                else:
                    members.append(f"m{self._count}")
                return members
            case _:
                others = sorted(far.live)
                return tape.choose(others) if others else None

    def _pick(self, far: FarSide) -> str | None:
        live = list(far.live)
        return self._world.tape.choose(live) if live else None

    def _shape(self) -> Shape:
        shapes = self._world.setup.shapes
        return self._world.tape.choose((*shapes[1:], shapes[0]) if len(shapes) > 1 else shapes)

    # Doings

    def _create(self, far: FarSide) -> str | None:
        fields: dict[str, Native] = {}
        for shape in self._world.setup.shapes:
            if not self._world.tape.chance(0.1 if shape is EMAIL else 0.2):
                fields[shape.native(far.side)] = self._value(shape, far, None)
        if not fields:
            return None
        id_ = far.insert(fields)
        return None if id_ is None else f"creates {id_} {fields}"

    def _edit(self, far: FarSide) -> str | None:
        id_ = self._pick(far)
        if id_ is None:
            return None
        fields = {}
        for _ in range(2 if self._world.tape.chance(0.2) else 1):
            shape = self._shape()
            fields[shape.native(far.side)] = self._value(shape, far, id_)
        return f"edits {id_} {fields}" if far.edit(id_, fields) else None

    def _clear(self, far: FarSide) -> str | None:
        id_ = self._pick(far)
        if id_ is None:
            return None
        shape = self._shape()
        fields: Fields = {shape.native(far.side): [] if shape.many else None}
        return f"clears {shape.name} of {id_}" if far.edit(id_, fields) else None

    def _revert(self, far: FarSide) -> str | None:
        """Put back what a field held before: ABA."""
        id_ = self._pick(far)
        if id_ is None:
            return None
        name = self._shape().native(far.side)
        now = far.live[id_].fields[name]
        for event in reversed(far.events):
            if event.id == id_ and event.is_new:
                return None  # what was before was another record with this id
            if event.id == id_ and event.before is not None and event.before.fields[name] != now:
                old = event.before.fields[name]
                return f"reverts {name} of {id_} to {old!r}" if far.edit(id_, {name: old}) else None
        return None

    def _remove(self, far: FarSide) -> str | None:
        id_ = self._pick(far)
        if id_ is None:
            return None
        far.remove(id_, to_archive=False)
        return f"deletes {id_}"

    def _archive(self, far: FarSide) -> str | None:
        id_ = self._pick(far)
        if id_ is None or not far.capabilities.archives:
            return None
        far.remove(id_, to_archive=True)
        return f"archives {id_}"

    def _restore(self, far: FarSide) -> str | None:
        if not far.archive:
            return None
        id_ = self._world.tape.choose(list(far.archive))
        return f"restores {id_}" if far.revive(id_) else None

    def _rename(self, far: FarSide) -> str | None:
        """Give a record the email of another one of the same side."""
        one, two = self._pick(far), self._pick(far)
        if one is None or two is None or one == two:
            return None
        name = EMAIL.native(far.side)
        value = far.live[two].fields[name]
        return f"gives {one} the email of {two}, {value!r}" if far.edit(one, {name: value}) else None

    def _swap(self, far: FarSide) -> str | None:
        one, two = self._pick(far), self._pick(far)
        if one is None or two is None or one == two:
            return None
        far.swap_emails(one, two)
        return f"swaps the emails of {one} and {two}"

    def _merge(self, far: FarSide) -> str | None:
        """Merge two records as a CRM does: the winner takes a value of the loser, the loser goes."""
        one, two = self._pick(far), self._pick(far)
        if one is None or two is None or one == two:
            return None
        fields = {}
        for shape in self._world.setup.shapes:
            name = shape.native(far.side)
            if shape is not EMAIL and shape is not BOSS and far.live[one].fields[name] in (None, []):
                fields[name] = far.live[two].fields[name]
        far.remove(two, to_archive=False)
        if fields:
            far.edit(one, fields)
        return f"merges {two} into {one}, which takes {fields}"
