"""
A batch of changes worked out against one state of a file, before anything is written.

Only the records that the changes touch are held in memory. The result is a list of splices for `disk.replace` and one
outcome for each change.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic

from connectors.files.disk import Splice
from connectors.files.ids import IdKind, derived_ids, provisional_id
from connectors.files.index import Index, Place
from connectors.files.layout import R
from syncengine.connector import (
    ABSENT,
    Archive,
    Change,
    Create,
    Delete,
    Expected,
    Failed,
    Identify,
    Outcome,
    Restore,
    Update,
    Written,
)
from syncengine.errors import AlreadyExists, NotFound, RecordError, Rejected, VersionConflict


@dataclass(slots=True, kw_only=True)
class Slot(Generic[R]):
    """A record as the batch leaves it: `place` is None for a new one, `text` empty for a deleted one."""

    place: Place[R] | None
    text: str
    record: R


class ChangeBatch(Generic[R]):
    """Applies changes one after the other; each sees what those before it did."""

    def __init__(self, index: Index[R], file: io.FileIO) -> None:
        self._index = index
        self._layout = index.layout
        self._file = file
        self._kind = index.layout.ids.kind
        self._old: dict[int, Slot[R]] = {}
        self._new: list[Slot[R]] = []
        self._fresh: dict[str, Slot[R]] = {}
        self._counter = replace(index.counter)
        self._like: R | None = index.place(file, 0).record if len(index.starts) else None

    def apply(self, change: Change) -> Outcome:
        """The outcome of one change, if the batch is written."""
        try:
            match change:
                case Create():
                    return self._create(change)
                case Update():
                    return self._update(change)
                case Delete():
                    return self._delete(change)
                case Identify():
                    return self._identify(change)
                case Archive() | Restore():
                    raise Rejected(f"{self._index.path}: rows of a file can be deleted, not archived or restored")
        except RecordError as error:
            return Failed(key=change.key, error=error)

    def splices(self) -> Sequence[Splice]:
        """What has to be put where; empty if nothing changes."""
        codec = self._layout.encoding.codec
        changed = sorted(
            (slot.place.start, slot.place.end, slot.text)
            for slot in self._old.values()
            if slot.place is not None and slot.text != slot.place.text
        )
        splices = [Splice(start=start, end=end, put=text.encode(codec)) for start, end, text in changed]
        appended = "".join(slot.text for slot in self._new)
        if appended:
            size = self._index.stamp.size
            cut_off = bool(changed) and changed[-1][1] == size and not changed[-1][2]
            if self._index.unterminated and not cut_off:
                appended = self._layout.newline + appended
            splices.append(Splice(start=size, end=size, put=appended.encode(codec)))
        return splices

    def _create(self, change: Create) -> Outcome:
        if change.upsert_on is not None:
            raise Rejected(f"{self._index.path}: a file has no upsert; leave out `upsert_on`")
        fields = dict(change.fields)
        column = self._layout.ids.column
        id_ = self._given_id(change, fields)
        if id_ is None:
            id_ = self._made_id(change.key, "a new row")
            fields[column] = self._layout.id_value(id_, self._like)
        elif self._kind is not IdKind.KEY:
            fields.setdefault(column, self._layout.id_value(id_, self._like))
        self._refuse_taken(id_)
        text, record = self._layout.composed(fields)
        slot = Slot(place=None, text=text, record=record)
        self._new.append(slot)
        self._note_id(id_, slot)
        return Written(key=change.key, id=id_, record=self._layout.values_of(record))

    def _given_id(self, change: Create, fields: dict[str, object]) -> str | None:
        """The id that the create brings along, in its id field or proposed; an empty id field is dropped."""
        column = self._layout.ids.column
        value = fields.get(column, ABSENT)
        in_field = "" if value is ABSENT else self._layout.id_text(value)
        if not in_field:
            fields.pop(column, None)
        if self._kind is IdKind.KEY:
            return in_field or None
        proposed = self._layout.ids.text(change.id or "")
        if in_field and proposed and in_field != proposed:
            raise Rejected(
                f"{self._index.path}: the id column {column!r} was given a value that is not the proposed id", field=column
            )
        return in_field or proposed or None

    def _update(self, change: Update) -> Outcome:
        slot = self._live(change.id)
        self._require(slot, change.expected)
        self._require_exact(slot)
        if (id_value := change.fields.get(self._layout.ids.column, ABSENT)) is not ABSENT:
            self._layout.id_text(id_value)  # refuses what cannot be an id
        text, record = self._layout.edited(slot.text, slot.record, change.fields)
        before, after = self._id_of(slot.record), self._id_of(record)
        if before != after:
            self._check_new_id(before, after)
        slot.text, slot.record = text, record
        id_ = change.id
        if before != after:
            id_ = after
            self._note_id(after, slot)
        elif slot.place is not None and (not after or slot.place.row in self._index.repeats):
            id_ = provisional_id(self._layout.content(record), slot.place.row)
            self._fresh[id_] = slot
        return Written(key=change.key, id=id_, record=self._layout.values_of(record))

    def _check_new_id(self, before: str, after: str) -> None:
        column = self._layout.ids.column
        if before and self._kind is IdKind.MADE:
            raise Rejected(f"{self._index.path}: the id column {column!r} is set when a row is made, and stays", field=column)
        if not after:
            raise Rejected(f"{self._index.path}: the column {column!r} serves as id and cannot be emptied", field=column)
        self._refuse_taken(after)

    def _delete(self, change: Delete) -> Outcome:
        slot = self._live(change.id)
        self._require(slot, change.expected)
        slot.text = ""
        return Written(key=change.key, id=change.id)

    def _identify(self, change: Identify) -> Outcome:
        column = self._layout.ids.column
        slot = self._live(change.id)
        id_ = self._id_of(slot.record)
        if id_ and slot.place is not None and slot.place.row in self._index.repeats:
            raise Rejected(
                f"{self._index.path}: another row has the same {column!r}, which serves as id; change one of them,"
                " or add a column `id`",
                field=column,
            )
        if not id_:
            self._require_exact(slot)
            id_ = self._made_id(change.key, "a row")
            slot.text, slot.record = self._layout.edited(slot.text, slot.record, {column: self._layout.id_value(id_, self._like)})
            self._note_id(id_, slot)
        return Written(key=change.key, id=id_, record=self._layout.values_of(slot.record))

    def _id_of(self, record: R) -> str:
        return self._layout.ids_of([record])[0]

    def _made_id(self, seed: str, what: str) -> str:
        """The next id of the column, or one derived from the seed; `Rejected` where ids are for people to fill in."""
        continues = self._counter.any and self._counter.whole
        if self._kind is IdKind.KEY or (self._kind is IdKind.FILLED and not continues):
            column = self._layout.ids.column
            raise Rejected(
                f"{self._index.path}: {what} has no value in {column!r}, which serves as id; fill it in, or name another"
                " column in the option `id`",
                field=column,
            )
        if self._counter.whole:
            return self._counter.after()
        return next(id_ for id_ in derived_ids(seed) if self._holder(id_) is None)

    def _note_id(self, id_: str, slot: Slot[R]) -> None:
        self._fresh[id_] = slot
        if self._kind is not IdKind.KEY:
            self._counter.add([id_])

    def _refuse_taken(self, id_: str) -> None:
        if self._holder(id_) is not None:
            column = self._layout.ids.column
            raise AlreadyExists(f"{self._index.path}: a row has this {column!r} already", field=column, id=id_)

    def _holder(self, id_: str, *, repeats: bool = True) -> Slot[R] | None:
        """The live record that has this text as id; with `repeats`, one that is not listed under it counts too."""
        if (fresh := self._fresh.get(id_)) is not None and fresh.text:
            return fresh
        for place in self._index.holders(self._file, id_):
            slot = self._slot(place)
            if slot.text and self._id_of(slot.record) == id_ and (repeats or place.row not in self._index.repeats):
                return slot
        return None

    def _live(self, id_: str) -> Slot[R]:
        if (slot := self._holder(id_, repeats=False)) is not None:
            return slot
        for place in self._index.without_id(self._file, id_):
            slot = self._slot(place)
            if slot.text == place.text:  # of equal rows, an earlier change of this batch may have taken the first
                return slot
        raise NotFound(f"{self._index.path}: no row has the id that was to be changed")

    def _slot(self, place: Place[R]) -> Slot[R]:
        return self._old.setdefault(place.row, Slot(place=place, text=place.text, record=place.record))

    def _require_exact(self, slot: Slot[R]) -> None:
        if slot.place is not None and not slot.place.exact:
            codec = self._layout.encoding.codec
            raise Rejected(f"{self._index.path}: {codec} would not write the row's other values back as they are; use UTF-8")

    def _require(self, slot: Slot[R], expected: Expected | None) -> None:
        if expected is None:
            return
        if expected.version is not None or not all(
            self._layout.same(slot.record, name, value) for name, value in expected.fields.items()
        ):
            raise VersionConflict(f"{self._index.path}: the row was changed since it was read; nothing was written")
