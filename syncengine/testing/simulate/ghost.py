"""
The ghost: what really happened, which the engine cannot know. Every value a person writes is unique, so where a value came
from, whether it arrived, and whether anybody who replaced it had seen it, can be told exactly.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from math import inf
from typing import Any

from syncengine.connector import FieldType, Native
from syncengine.core.keys import email_key
from syncengine.core.model import Side
from syncengine.testing.simulate.farside import Event
from syncengine.testing.simulate.shapes import EMAIL, Shape

Atom = tuple[str, object]
"""One thing a person wrote, recognisable whatever a system made of it."""

Cell = tuple[Side, str, str]
"""(side, record, shared field name)."""

Links = dict[tuple[Side, str], tuple[str, int]]
"""The partner of each record, and as of which moment."""

NOTHING: frozenset[Atom] = frozenset()
_TOKEN = re.compile(r"t(\d+)", re.IGNORECASE)


def atoms(shape: Shape, value: Native) -> frozenset[Atom]:
    """What a native value says."""
    if value is None or value == "":
        return NOTHING
    match shape.type:
        case FieldType.TEXT:
            found = _TOKEN.search(str(value))
            return frozenset({("text", found.group(1) if found else str(value))})
        case FieldType.EMAIL:
            key = email_key(str(value))
            return NOTHING if key is None else frozenset({("key", key)})
        case FieldType.DECIMAL:
            return frozenset({("number", int(Decimal(str(value))))})
        case FieldType.SET:
            assert isinstance(value, list)
            return frozenset(("member", each) for each in value)
        case _:
            return frozenset({("id", value)})


@dataclass(frozen=True, slots=True)
class Mark:
    """A cell came to hold this, by a person's doing or the engine's, at a moment (`seq`) that both sides share."""

    seq: int
    atoms: frozenset[Atom]
    by_person: bool


class Ghost:
    """Everything that happened so far, by cell."""

    def __init__(self, shapes: tuple[Shape, ...]) -> None:
        self.seq = 0
        self.cells: dict[Cell, list[Mark]] = {}
        self.introduced: dict[Side, dict[tuple[str, Atom], int]] = {Side.LEFT: {}, Side.RIGHT: {}}
        self.partner: dict[tuple[Side, str], str] = {}
        self.begun: list[tuple[int, int]] = []
        self.partners: dict[tuple[Side, str], set[str]] = {}
        self.made_for: dict[tuple[Side, str], list[str]] = {}
        self.made_from: dict[tuple[Side, str], str] = {}
        self.made_by: dict[tuple[Side, str], str] = {}
        self.gone: dict[tuple[Side, str], tuple[int, bool]] = {}
        self.born: dict[tuple[Side, str], int] = {}
        self.away: dict[tuple[Side, str], list[tuple[int, int]]] = {}
        self.strong_read: dict[tuple[Side, str], int] = {}
        self.respelled: dict[Cell, int] = {}
        self.retyped: dict[Cell, int] = {}
        self.excused: set[tuple[str, Atom]] = set()
        self.once: Links = {}
        self.reborn: dict[tuple[Side, str], str] = {}
        self._buried = 0
        self._natives = {side: [(shape, shape.native(side)) for shape in shapes] for side in Side}

    def tick(self) -> int:
        """The next moment."""
        self.seq += 1
        return self.seq

    def happened(self, side: Side, event: Event, *, by_person: bool, named: Collection[str] = ()) -> None:
        """Note a change of a record."""
        seq = self.tick()
        where = (side, event.id)
        if event.after is None:
            self.gone[where] = (seq, by_person)
            return
        if event.is_new and where in self.gone:
            if by_person:
                self._is_not_ours(side, event.id)
            else:
                self._bury(side, event.id)
        gone = self.gone.pop(where, None)
        if event.before is None:
            self.born[where] = seq
            if gone is not None:
                self.away.setdefault(where, []).append((gone[0], seq))
        introduced = self.introduced[side]
        for shape, name in self._natives[side]:
            now = atoms(shape, event.after.fields[name])
            marks = self.cells.setdefault((side, event.id, shape.name), [])
            before = marks[-1].atoms if marks else None
            if before == now and (by_person or name not in named):
                if by_person and event.before is not None and event.before.fields[name] != event.after.fields[name]:
                    self.retyped[side, event.id, shape.name] = seq
                continue
            marks.append(Mark(seq, now, by_person))
            for atom in now - (before or NOTHING):
                introduced[shape.name, atom] = seq

    def links(self) -> Links:
        """Who is linked with whom at this moment."""
        return {where: (partner, self.seq) for where, partner in self.partner.items()}

    def had_key_since(self, seq: int, key: frozenset[Atom], apart_from: Collection[tuple[Side, str]]) -> bool:
        """Whether any other record had this key at a moment since, be it gone by now."""
        for (side, id_, name), marks in self.cells.items():
            if name != EMAIL.name or (side, id_) in apart_from or self.gone.get((side, id_), (inf, False))[0] <= seq:
                continue
            ends = (*(mark.seq for mark in marks[1:]), inf)
            if any(mark.atoms == key and end > seq for mark, end in zip(marks, ends, strict=True)):
                return True
        return False

    def forget_links(self, known: Links) -> None:
        """
        The state was rebuilt: who is linked with whom, and who was made for whom, the engine has to find out anew. It is to know
        these again.
        """
        self.once = known
        tables: tuple[dict[tuple[Side, str], Any], ...] = (
            self.partner, self.partners, self.made_for, self.made_from, self.made_by,
        )  # fmt: skip
        for known in tables:
            known.clear()

    def _is_not_ours(self, side: Side, id_: str) -> None:
        """A person made a new record with the id of one that is gone: neither did we make it, nor anything for it."""
        gone = {
            made for made, source in self.made_from.items() if made == (side, id_) or (made[0] is side.other and source == id_)
        }
        for made in gone:
            del self.made_from[made], self.made_by[made]
        self.made_for.pop((side.other, id_), None)
        for (where, _), ids in self.made_for.items():
            if where is side and id_ in ids:
                ids.remove(id_)

    def _bury(self, side: Side, id_: str) -> None:
        """
        The engine made a new record and was given the id of one that is gone: what is known of that one goes by another name
        from here on. (Where a person makes it, the engine sees but one record, edited all over, and is judged by that.)
        """
        self._buried += 1
        name = f"{id_}~{self._buried}"
        old, new = (side, id_), (side, name)
        self.reborn[old] = name
        tables: tuple[dict[tuple[Side, str], Any], ...] = (
            self.partner, self.partners, self.made_from, self.made_by, self.gone, self.born, self.away,
        )  # fmt: skip
        for known in tables:
            if old in known:
                known[new] = known.pop(old)
        if old in self.strong_read:
            self.strong_read[new] = self.strong_read[old]  # whoever was looked at by this id, the new one was not
        for names in (self.partner, self.made_from):
            names.update({where: name for where, other in names.items() if where[0] is side.other and other == id_})
        for (where, _), partners in self.partners.items():
            if where is side.other and id_ in partners:
                partners.remove(id_)
                partners.add(name)
        if (made := self.made_for.pop((side.other, id_), None)) is not None:
            self.made_for[side.other, name] = made
        for (where, _), ids in self.made_for.items():
            if where is side:
                ids[:] = [name if each == id_ else each for each in ids]
        by_cell: tuple[dict[Cell, Any], ...] = (self.cells, self.respelled, self.retyped)
        for cells in by_cell:
            for cell in [cell for cell in cells if cell[:2] == old]:
                cells[side, name, cell[2]] = cells.pop(cell)

    def was_missed(self, side: Side, id_: str) -> bool:
        """Whether a record that is there was gone for a while in which a command began, so that it could be missed."""
        return any(gone <= seq < back for gone, back in self.away.get((side, id_), ()) for _, seq in self.begun)

    def note_respelling(self, side: Side, event: Event) -> None:
        """Note where the other pair of a chain put the same words in other letters, as its far system spells them."""
        if event.before is None or event.after is None:
            return
        for shape, name in self._natives[side]:
            if event.before.fields[name] != event.after.fields[name]:
                self.respelled[side, event.id, shape.name] = self.seq

    def holds(self, cell: Cell) -> frozenset[Atom]:
        """What a cell holds, or held last."""
        marks = self.cells.get(cell)
        return marks[-1].atoms if marks else NOTHING

    def author(self, cell: Cell, atom: Atom) -> Mark | None:
        """The mark by which an atom last came into a cell."""
        found = None
        before: frozenset[Atom] = NOTHING
        for mark in self.cells.get(cell, ()):
            if atom in mark.atoms and atom not in before:
                found = mark
            before = mark.atoms
        return found

    def last_by_person(self, cell: Cell) -> Mark | None:
        """The latest thing that a person did to a cell."""
        for mark in reversed(self.cells.get(cell, ())):
            if mark.by_person:
                return mark
        return None

    def was_put_back(self, cell: Cell) -> bool:
        """Whether a cell ever held again what it had held before."""
        held = [mark.atoms for mark in self.cells.get(cell, ())]
        steps = [now for before, now in zip([None, *held], held, strict=False) if now != before]
        return len(set(steps)) < len(steps)

    def known(self, name: str, atom: Atom) -> bool:
        """Whether anybody ever wrote this."""
        return any((name, atom) in self.introduced[side] for side in Side)

    def undelivered(self, cell: Cell, atom: Atom, partner: str | None) -> int | None:
        """The moment a person put the atom into the cell, if it has not reached the other side since; else None."""
        mark = self.author(cell, atom)
        if mark is None or not mark.by_person:
            return None
        mark = self._before_reverts(cell, atom, mark, partner)
        if not mark.by_person:
            return None
        side, _, name = cell
        if self.introduced[side.other].get((name, atom), -1) >= mark.seq:
            return None
        if partner is not None and self._held_since((side.other, partner, name), atom, mark.seq):
            return None
        return mark.seq

    def stands_since(self, cell: Cell, mark: Mark, partner: str | None) -> int:
        """The moment from which a mark's value counts as written, reverts nobody saw left out."""
        if len(mark.atoms) != 1 or not mark.by_person:
            return mark.seq
        (atom,) = mark.atoms
        found = self.author(cell, atom)
        return mark.seq if found is None else self._before_reverts(cell, atom, found, partner).seq

    def _before_reverts(self, cell: Cell, atom: Atom, mark: Mark, partner: str | None) -> Mark:
        """
        A value put back before the other side saw what had replaced it is no edit: nobody can tell it was ever away. The
        mark from which it stood, in that sense.
        """
        marks = self.cells[cell]
        index = marks.index(mark)
        while (
            index >= 2
            and marks[index].by_person
            and marks[index - 1].by_person
            and not self._seen(cell, marks[index - 1], partner)
        ):
            earlier = next((at for at in range(index - 2, -1, -1) if atom in marks[at].atoms), None)
            if earlier is None or any(
                not each.by_person or self._seen(cell, each, partner) for each in marks[earlier + 1 : index]
            ):
                break
            index = earlier
            while index and atom in marks[index - 1].atoms:
                index -= 1
        return marks[index]

    def _seen(self, cell: Cell, mark: Mark, partner: str | None) -> bool:
        """Whether what a mark says has reached the other side."""
        side, _, name = cell
        if partner is not None:
            marks = self.cells.get((side.other, partner, name), ())
            if any(each.atoms == mark.atoms and each.seq > mark.seq and not each.by_person for each in marks):
                return True
        since = [self.introduced[side.other].get((name, atom), -1) for atom in mark.atoms if atom[0] != "key"]
        # A person who put the same old value back over there had not seen it put back here.
        theirs = {each.seq for each in self.cells.get((side.other, partner or "", name), ()) if each.by_person}
        return any(seq >= mark.seq and seq not in theirs for seq in since)

    def _held_since(self, cell: Cell, atom: Atom, seq: int) -> bool:
        """Whether a cell held the atom at a moment or later."""
        marks = self.cells.get(cell, ())
        return any(
            atom in mark.atoms and (index + 1 == len(marks) or marks[index + 1].seq > seq) for index, mark in enumerate(marks)
        )
