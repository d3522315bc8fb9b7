"""
A third system beyond the second, with a pair of its own between them: both pairs write the people of the one in the middle.

The pairs know nothing of each other. What one of them writes in the middle is to the other what a person wrote there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from sqlite3 import Connection

from syncengine.connector import Change, Create, Native
from syncengine.core.model import Direction, End, Side
from syncengine.testing.simulate.crash import Violation
from syncengine.testing.simulate.farside import Event, Row, Witness
from syncengine.testing.simulate.oracle import Oracle
from syncengine.testing.simulate.setup import (
    Setup,
    World,
    compiled,
    consistent,
    draw_capabilities,
    draw_manners,
    draw_pair,
    draw_spec,
    resource_of,
)
from syncengine.testing.simulate.shapes import EMAIL, Shape
from syncengine.testing.simulate.tape import Tape

FURTHER = "further"
"""The name of the pair between the second system and the third."""


def draw_setup(tape: Tape, world: World) -> Setup:
    """A world from the tape: one pair, or a chain of two."""
    first = draw_pair(tape, world)
    if not first.is_chain:
        return first
    first = replace(first, names={Side.LEFT: "first", Side.RIGHT: "middle"})
    return replace(first, next=_further(tape, world, first))


def _further(tape: Tape, world: World, first: Setup) -> Setup:
    """The pair between the middle and a third system; the middle is its left or its right, and it may map less."""
    middle = tape.choose((Side.LEFT, Side.RIGHT))
    third = middle.other
    fields = tuple(_seen_from(middle, shape) for shape in first.fields)
    shapes = tuple(shape for shape in fields if shape.name == EMAIL.name or not tape.chance(0.25))
    manners = draw_manners(tape, world, fields, third)
    can = draw_capabilities(tape, world, manners)
    manners = consistent(manners, *first.manners.values())
    both_manners = {middle: first.manners[Side.RIGHT], third: manners}
    both = {middle: first.capabilities(Side.RIGHT), third: can}
    ends = {middle: first.spec.right, third: End(system="three", resource="people")}
    spec = replace(
        draw_spec(tape, world, shapes, both),
        name=FURTHER,
        left=ends[Side.LEFT],
        right=ends[Side.RIGHT],
        direction=tape.choose((Direction.BOTH, Direction.BOTH, Direction.BOTH, Direction.LEFT_TO_RIGHT, Direction.RIGHT_TO_LEFT)),
    )
    return replace(
        first,
        fields=fields,
        shapes=shapes,
        spec=spec,
        rule=compiled(spec, fields, (both_manners[Side.LEFT].unique, both_manners[Side.RIGHT].unique)),
        resources={
            middle: first.resources[Side.RIGHT],
            third: resource_of(fields, third, can, unique=manners.unique),
        },
        manners=both_manners,
        names={middle: first.names[Side.RIGHT], third: "third"},
    )


def _seen_from(middle: Side, shape: Shape) -> Shape:
    """A field by its names on the sides of the second pair; the third system calls it what the first one does."""
    names = {middle: shape.right, middle.other: shape.left}
    return replace(
        shape, left=names[Side.LEFT], right=names[Side.RIGHT], references=FURTHER if shape.references is not None else None
    )


class Seats(Witness):
    """
    Who hears of a system in a chain: the oracles of the pairs that it is a side of.

    A pair answers for its own writes. Those of the other pair are to it what a person did there.
    """

    def __init__(self, name: str, connection: Connection, counts: Counter[str]) -> None:
        self._counts = counts
        self._name = name
        self.taken: list[tuple[int, Side, Oracle]] = []
        self._connection = connection
        self._acting = 0

    def about_to(self, side: Side, change: Change, before: Row | None, after: Mapping[str, Native] | None) -> None:
        del side
        row = self._connection.execute("SELECT pair FROM intent WHERE idempotency_key=?", (change.key,)).fetchone()
        # Without an intent the effect is nobody's, and any oracle says so.
        self._acting = row[0] if row is not None else self.taken[0][0]
        for pair, mine, oracle in self.taken:
            if pair == self._acting:
                if len(self.taken) > 1 and oracle.late_from is None:
                    self._takes_its_turn(pair)
                oracle.about_to(mine, change, before, after)
            elif isinstance(change, Create):
                self._not_in_doubt(pair, mine, change)

    def _takes_its_turn(self, pair: int) -> None:
        """The pairs on one resource take turns: whoever writes to it began last."""
        row = self._connection.execute("SELECT pair FROM run ORDER BY id DESC LIMIT 1").fetchone()
        self._counts["I14"] += 1
        if row[0] != pair:
            raise Violation("I14", f"two pairs were at work on the {self._name} at once")

    def _not_in_doubt(self, pair: int, side: Side, change: Create) -> None:
        """A create of another pair that is in doubt blocks its key in the resource: it may be about to appear."""
        row = self._connection.execute(
            "SELECT 1 FROM intent mine JOIN intent theirs ON theirs.match_key=mine.match_key WHERE mine.idempotency_key=? "
            "AND theirs.pair=? AND theirs.side=? AND theirs.op='create' AND theirs.state IN ('sent','unknown','parked')",
            (change.key, pair, side.value),
        ).fetchone()
        if row is not None:
            raise Violation("I6", f"a create in the {self._name} although one of the other pair with its key is in doubt there")

    def happened(self, side: Side, event: Event, *, by_person: bool, named: Collection[str]) -> None:
        del side
        for pair, mine, oracle in self.taken:
            is_own = not by_person and pair == self._acting
            oracle.happened(mine, event, by_person=not is_own, named=named if is_own else ())
            if not by_person and not is_own:
                oracle.respelled(mine, event)
