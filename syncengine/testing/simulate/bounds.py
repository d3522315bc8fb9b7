"""
The bounds that a config sets to the engine: what is not mapped is not touched, what is outside a filter is left alone, and a
config that changed is not acted on before somebody has approved of it.

What was sent under an earlier config may still land, and is judged by that one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from sqlite3 import Connection

from syncengine.connector import Archive, Delete, Native, Update
from syncengine.core.mapping import SCHEMA
from syncengine.core.model import Condition, PairSpec, Side, Test
from syncengine.testing.simulate.crash import Violation
from syncengine.testing.simulate.farside import Row
from syncengine.testing.simulate.ghost import Ghost, atoms
from syncengine.testing.simulate.moments import Sent
from syncengine.testing.simulate.setup import Setup
from syncengine.testing.simulate.shapes import Normaliser, Shape, normalised


class Configs:
    """The configs that a pair had, each with the number of the last run before it."""

    def __init__(self, first: Setup) -> None:
        self.now = first
        self.all: list[tuple[int, Setup]] = [(0, first)]

    def change(self, setup: Setup, *, last_run: int) -> None:
        """From the next run on, the config is this one."""
        self.now = setup
        self.all.append((last_run, setup))

    def of_run(self, run: int) -> Setup:
        """The config by which a run decided."""
        if len(self.all) == 1:
            return self.now
        return next(setup for before, setup in reversed(self.all) if before < run)

    def ever(self, holds: Callable[[PairSpec], bool]) -> bool:
        """Whether it was ever so."""
        return any(holds(setup.spec) for _, setup in self.all)


def in_scope(setup: Setup, side: Side, fields: Mapping[str, Native]) -> bool:
    """Whether a record is inside the filter of its side: the oracle's own reading of the conditions that are drawn here."""
    for condition in setup.spec.filters.get(side, ()):
        assert isinstance(condition, Condition)
        value = fields.get(condition.field)
        if condition.test is Test.CONTAINS:
            if str(condition.value).casefold() not in str(value or "").casefold():
                return False
        elif (value in (None, "", [])) is not condition.value:
            return False
    return True


def filtered(setup: Setup, side: Side) -> set[str]:
    """The native fields that decide whether a record of a side is inside the filter."""
    return {each.field for each in setup.spec.filters.get(side, ()) if isinstance(each, Condition)}


class Bounds:
    """Judges the effects of one pair by its config; `fence` is set while a change of it waits to be approved."""

    def __init__(
        self,
        configs: Configs,
        ghost: Ghost,
        connection: Connection,
        counts: Counter[str],
        excuse: Callable[[str, None], None],
    ) -> None:
        self._configs = configs
        self._ghost = ghost
        self._connection = connection
        self._counts = counts
        self._excuse = excuse
        self.fence: ConfigFence | None = None

    def check_direction(self, side: Side, sent: Sent) -> None:
        """A side that the pair's direction leaves alone is never written."""
        if not self._configs.of_run(sent.run).spec.direction.allows(side):
            raise Violation("I17", f"the {side.value} was written, which the pair's direction leaves alone")

    def check_create(self, side: Side, sent: Sent, after: Mapping[str, Native]) -> None:
        """Nothing but what is mapped is filled."""
        setup = self._configs.of_run(sent.run)
        if len(setup.shapes) == len(setup.fields):
            return
        self._counts["I17"] += 1
        for shape in setup.fields:
            if shape not in setup.shapes and atoms(shape, after[shape.native(side)]):
                raise Violation("I17", f"a create on the {side.value} fills {shape.name}, which is not mapped")

    def check_unmapped(self, side: Side, change: Update, before: Row, shape: Shape, after: Native, read: int) -> None:
        """
        A field that is not mapped changes only where whole records are replaced, and it was sent as it had been. `read` is the
        moment of the last strong read.
        """
        setup, name = self._configs.now, shape.native(side)
        can = setup.capabilities(side)
        is_blind = not (can.conditional_writes and change.expected is not None)
        if not can.partial_updates and is_blind and self._ghost.cells[side, before.id, shape.name][-1].seq > read:
            self._excuse("edit between the read and an unconditional write", None)
        elif (
            not can.partial_updates
            and normalised(setup.manners[side].normalise.get(name, Normaliser.NONE), before.fields[name]) == after
        ):
            self._excuse("a system that replaces whole records rewrote what it was sent as it was", None)
        else:
            raise Violation("I17", f"{shape.name} of {before.id} ({side.value}) is not mapped, and yet it was changed")

    def check_scope(self, side: Side, change: Update | Archive | Delete, sent: Sent, before: Row, read: int) -> None:
        """A record outside the filter is left alone, as far as the engine can have known at its last `read` that it is."""
        setup = self._configs.of_run(sent.run)
        if not setup.spec.filters:
            return
        self._counts["I17"] += 1
        if in_scope(setup, side, before.fields):
            return
        if not (setup.capabilities(side).conditional_writes and change.expected is not None):
            names = filtered(setup, side)
            cells = [(side, before.id, shape.name) for shape in setup.fields if shape.native(side) in names]
            if max(self._ghost.cells[cell][-1].seq for cell in cells) > read:
                self._excuse("it left the filter between the read and an unconditional write", None)
                return
        if not self.was_chosen(sent):
            raise Violation("I17", f"{before.id} on the {side.value} is outside the filter, and yet it was written to or deleted")

    def was_chosen(self, sent: Sent) -> bool:
        """Whether a person decided about the whole record: delete it, keep it."""
        row = self._connection.execute(
            "SELECT 1 FROM inbox WHERE link=? AND field='' AND pick IS NOT NULL", (sent.link,)
        ).fetchone()
        return row is not None


class ConfigFence:
    """
    I17: after the config of a pair with links changed, nothing is written before the operator has approved it.

    Good for one command. What an earlier run sent may still land, and a create in doubt is sent again as it was.
    """

    def __init__(self, digest: bytes, last_run: int, last_link: int, changed: str, connection: Connection) -> None:
        self._digest = digest
        self._last_run = last_run
        self._last_link = last_link
        self._changed = changed
        self._connection = connection

    def check(self, sent: Sent) -> None:
        """Raise where a write of this command goes out unapproved."""
        if sent.run <= self._last_run:
            return
        left = self._connection.execute(
            "SELECT 1 FROM link JOIN pair ON pair.id=link.pair WHERE pair=(SELECT pair FROM intent WHERE id=?) AND link.id<=? "
            "AND state='live' AND digest<>?",  # a pass of this very command that had nothing to write has accepted it
            (sent.number, self._last_link, self._digest),
        ).fetchone()
        if left is not None:
            raise Violation("I17", f"the config changed ({self._changed}), and it was written before anybody approved")


def fence(pair: int, setup: Setup, connection: Connection) -> ConfigFence | None:
    """What must be approved before the pair is written again; None where its config is the one that was accepted."""
    row = connection.execute("SELECT parts, digest FROM pair WHERE id=?", (pair,)).fetchone()
    if row is None or row[1] is None or row[1] == setup.rule.digest:
        return None
    accepted = json.loads(row[0])
    changed = sorted(name for name, digest in setup.rule.parts.items() if name != SCHEMA and accepted.get(name) != digest)
    runs, links = connection.execute(
        "SELECT (SELECT coalesce(max(id), 0) FROM run), (SELECT coalesce(max(id), 0) FROM link)"
    ).fetchone()
    return ConfigFence(setup.rule.digest, runs, links, ", ".join(changed), connection) if changed else None
