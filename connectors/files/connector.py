"""The connector that all kinds of files share: `Source`, `Target`, `Getter` and `Finder` over a `Format`."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Generic

from connectors.files import disk
from connectors.files.batch import ChangeBatch
from connectors.files.disk import ChangedError, Stamp, failure, held, opened, stamp_of, unchanged
from connectors.files.ids import IdKind, Repeats, provisional_id
from connectors.files.index import BATCH, Index, Place, sound
from connectors.files.layout import Batch, Format, Layout, R
from connectors.files.places import Places, Resources
from connectors.files.text import Watched, text_of
from syncengine.connector import (
    Account,
    Answer,
    Capabilities,
    Change,
    Failed,
    Native,
    Outcome,
    Page,
    Record,
    Resource,
    Tombstone,
    Unknown,
    Written,
)
from syncengine.errors import CursorExpired, OutcomeUnknown, ResourceError, TransientError

TRIES: Final = 5
MAX_BATCH: Final = 100_000


class FileConnector(Generic[R]):
    """
    Files of one kind as resources; nothing is kept open between calls.

    Listing streams the file: memory does not grow with it, save for 8 bytes a record where ids are not rising whole
    numbers. `get`, `find` and `write` use an index of 16 bytes a record, kept until the file changes, plus 8 for each
    field ever looked up. `write` copies the whole file once, whatever the batch, and holds the records that the batch
    touches, 3 to 4 KB each: large batches are best. A symbolic link is followed; a hard link's other name keeps the old file.
    """

    def __init__(self, kind: Format[R], path: Path) -> None:
        self._format = kind
        self._places = Places(path, kind)
        self._described: dict[str, tuple[Stamp, Resource]] = {}
        self._indexes: dict[Path, Index[R]] = {}

    def check(self) -> Account:
        """Prove that the file, or the folder and its files, can be read; notes say what cannot be written."""
        return self._places.check()

    def resources(self) -> Mapping[str, Resource]:
        """Resources by file stem, listed and described when asked for."""
        return Resources(self._places, self._describe)

    def close(self) -> None:
        self._indexes.clear()
        self._described.clear()

    def read(self, resource: str, *, fields: Sequence[str], cursor: str | None = None) -> Iterator[Page]:
        """The whole file in file order. `TransientError` if it changes meanwhile, `ResourceError` if it is broken."""
        path = self._places.path(resource)
        if cursor is not None:
            raise CursorExpired(f"{path}: a file has no changes since a cursor; read it from the beginning")
        repeats: frozenset[int] = frozenset()
        with opened(path) as file, self._steady(path):
            stamp = stamp_of(file)
            layout = self._layout(file, path, stamp)
            layout.require(fields)
            if layout.ids.kind is IdKind.KEY:
                index = self._index(path)
                if index.stamp != stamp:
                    raise ChangedError
                repeats = index.repeats
            lines = text_of(Watched(file, path, layout.encoding), layout.encoding, newline=layout.split)
            seen = Repeats()
            row = 0
            held_back: Page | None = None
            for batch in sound(layout.batches(lines, BATCH), file, path, stamp, layout.encoding):
                if held_back is not None:
                    yield held_back
                held_back = _page(layout, batch, fields, row, repeats, seen)
                row += len(batch.records)
            if not unchanged(file, path, stamp):
                raise ChangedError
        if layout.ids.kind is not IdKind.KEY and seen.suspected():
            self._index(path)  # says which lines, if there really are two
        last = held_back or Page(fields=tuple(fields), ids=(), rows=())
        yield Page(fields=last.fields, ids=last.ids, rows=last.rows, provisional=last.provisional, complete=True, total=row)

    def get(self, resource: str, ids: Sequence[str], *, fields: Sequence[str]) -> Sequence[Answer]:
        """Strong reads from the file as it is now."""
        path = self._places.path(resource)
        for _ in range(TRIES):
            with opened(path) as file:
                try:
                    index = self._index(path)
                    index.layout.require(fields)
                    places = [index.resolve(file, id_) for id_ in ids]
                except ChangedError:
                    continue
                if unchanged(file, path, index.stamp):
                    return [self._answer(index, id_, place, fields) for id_, place in zip(ids, places, strict=True)]
        raise self._changing(path)

    def find(self, resource: str, field: str, values: Sequence[Native], *, fields: Sequence[str]) -> Sequence[Record]:
        """Records whose field holds one of the values, white space around it and case aside."""
        path = self._places.path(resource)
        for _ in range(TRIES):
            with opened(path) as file:
                try:
                    index = self._index(path)
                    index.layout.require((field, *fields))
                    texts = [text for value in values if (text := index.layout.search_text(value)) is not None]
                    places = index.find(file, field, texts)
                except ChangedError:
                    continue
                if unchanged(file, path, index.stamp):
                    return [self._record(index, index.listed_id(place), place, fields) for place in places]
        raise self._changing(path)

    def write(self, resource: str, changes: Sequence[Change]) -> Sequence[Outcome]:
        """Apply the changes to the file as it is now, all in one atomic replacement, or none of them."""
        path = self._places.path(resource)
        for _ in range(TRIES):
            with held(path) as file:
                try:
                    index = self._index(path)
                    batch = ChangeBatch(index, file)
                    outcomes = [batch.apply(change) for change in changes]
                    splices = batch.splices()
                    if splices and not disk.replace(path, file, index.stamp, index.digest, splices):
                        return [_in_doubt(outcome, path) for outcome in outcomes]
                    if splices or unchanged(file, path, index.stamp):
                        return outcomes
                except ChangedError:
                    continue
        raise self._changing(path)

    def _describe(self, name: str) -> Resource:
        path = self._places.path(name)
        with opened(path) as file, self._steady(path):
            stamp = stamp_of(file)
            known = self._described.get(name)
            if known is not None and known[0] == stamp:
                return known[1]
            layout = self._layout(file, path, stamp)
            lines = text_of(Watched(file, path, layout.encoding), layout.encoding, newline=layout.split)
            fields, notes = layout.describe(sound(lines, file, path, stamp, layout.encoding))
        rule = layout.ids
        if rule.kind is IdKind.KEY:
            notes = (
                f"{path} has no id column: {rule.column!r} serves as id, so a changed {rule.column} looks like one row"
                " deleted and another made; add a column `id`, or name one in the option `id`",
                *notes,
            )
        resource = Resource(
            name=name,
            fields=fields,
            capabilities=Capabilities(
                creates=True,
                updates=True,
                deletes=True,
                conditional_writes=True,
                returns_record=True,
                max_batch=MAX_BATCH,
                # A column of whole numbers goes on by itself: an id of the engine's choice would break the row of numbers.
                chooses_ids=rule.kind is IdKind.MADE and not self._is_numbered(layout, path),
                late_arrival=0.0,
                rewrites_whole=True,
                page_size=BATCH,
            ),
            label=str(path),
            id_fields=(rule.column,),
            blank_is_null=self._format.blank_is_null,
            notes=(*notes, *self._places.write_notes(path)),
        )
        self._described[name] = (stamp, resource)
        return resource

    def _is_numbered(self, layout: Layout[R], path: Path) -> bool:
        """Whether the ids are whole numbers, as the first rows tell."""
        with opened(path) as file:
            lines = text_of(Watched(file, path, layout.encoding), layout.encoding, newline=layout.split)
            first = next(iter(sound(layout.batches(lines, BATCH), file, path, stamp_of(file), layout.encoding)), None)
        ids = [id_ for id_ in (layout.ids_of(first.records) if first is not None else ()) if id_]
        return bool(ids) and all(id_.isascii() and id_.isdecimal() for id_ in ids)

    def _index(self, path: Path) -> Index[R]:
        """The index of the file as it is now; built anew if the file is not the one that was indexed."""
        for _ in range(TRIES):
            with opened(path) as file:
                stamp = stamp_of(file)
                known = self._indexes.get(path)
                if known is not None and known.stamp == stamp:
                    return known
                try:
                    index = Index.build(path, file, self._layout(file, path, stamp), stamp)
                except ChangedError:
                    continue
                self._indexes[path] = index
                return index
        raise self._changing(path)

    def _layout(self, file: io.FileIO, path: Path, stamp: Stamp) -> Layout[R]:
        try:
            return self._format.layout(file, path)
        except ResourceError as error:
            if not unchanged(file, path, stamp):
                raise ChangedError from error
            raise
        except OSError as error:
            raise failure(error, path, "read") from error

    @contextlib.contextmanager
    def _steady(self, path: Path) -> Iterator[None]:
        try:
            yield
        except ChangedError as error:
            raise self._changing(path) from error

    @staticmethod
    def _changing(path: Path) -> TransientError:
        return TransientError(f"{path} was changed while it was being used; try again when nobody is writing it")

    def _answer(self, index: Index[R], id_: str, place: Place[R] | None, fields: Sequence[str]) -> Answer:
        if place is not None:
            return self._record(index, id_, place, fields)
        if index.is_provisional(id_):
            return Unknown(id=id_, why="the row had no lasting id, and was changed or given one since")
        return Tombstone(id=id_)

    @staticmethod
    def _record(index: Index[R], id_: str, place: Place[R], fields: Sequence[str]) -> Record:
        values = index.layout.values_of(place.record)
        return Record(id=id_, fields={name: values[name] for name in fields if name in values})


def _page(layout: Layout[R], batch: Batch[R], fields: Sequence[str], row: int, repeats: frozenset[int], seen: Repeats) -> Page:
    ids = layout.ids_of(batch.records)
    provisional: set[str] = set()
    if "" in ids or repeats:
        for offset, record in enumerate(batch.records):
            if not ids[offset] or row + offset in repeats:
                ids[offset] = provisional_id(layout.content(record), row + offset)
                provisional.add(ids[offset])
    if layout.ids.kind is not IdKind.KEY:
        seen.add(ids)
    return Page(fields=tuple(fields), ids=ids, rows=layout.rows_of(batch.records, fields), provisional=frozenset(provisional))


def _in_doubt(outcome: Outcome, path: Path) -> Outcome:
    if isinstance(outcome, Written):
        return Failed(
            key=outcome.key,
            error=OutcomeUnknown(f"{path} was replaced, but its folder could not be synced: a power cut may still undo it"),
        )
    return outcome
