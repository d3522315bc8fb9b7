"""
The index of one state of a file: where each record begins and under which id, in about 16 bytes a record.

A million records take about two seconds to index and 16 MB to keep. Records themselves are not kept: one that is asked
for is read again from its place.
"""

from __future__ import annotations

import io
import os
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from connectors.files.disk import ChangedError, Stamp, failure, unchanged
from connectors.files.ids import (
    ROW_MASK,
    Counter,
    IdKind,
    TextIndex,
    content_digest,
    provisional_id,
    split_provisional,
)
from connectors.files.layout import Layout, R
from connectors.files.text import Encoding, Measured, Watched, line_at, text_of, undecodable
from syncengine.errors import ResourceError

T = TypeVar("T")

BATCH = 500  # pages that stay in the processor's cache are read twice as fast as pages of 2000


def sound(items: Iterable[T], file: io.FileIO, path: Path, stamp: Stamp, encoding: Encoding) -> Iterator[T]:
    """What is read of a file, as it comes; trouble is classed, and put down to a change of the file where there was one."""
    try:
        yield from items
    except UnicodeDecodeError as error:
        if not unchanged(file, path, stamp):
            raise ChangedError from error
        raise undecodable(path, encoding) from error
    except ResourceError as error:
        if not unchanged(file, path, stamp):
            raise ChangedError from error
        raise
    except OSError as error:
        raise failure(error, path, "read") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Place(Generic[R]):
    """
    One record where it stands: its row, the bytes it takes, its text and what it says.

    Not `exact`: the encoding would write the text with other bytes than those that are there.
    """

    row: int
    start: int
    end: int
    text: str
    record: R
    exact: bool


@dataclass(slots=True, kw_only=True)
class Index(Generic[R]):
    """
    What is known about the file at `path` in the state of `stamp`; see the module.

    `repeats` are rows whose key stands in an earlier row already (only where a key serves as id). `unterminated`: the last
    line has no line end.
    """

    path: Path
    layout: Layout[R]
    stamp: Stamp
    digest: bytes = b""
    starts: array[int] = field(default_factory=lambda: array("q"))
    counter: Counter = field(default_factory=Counter)
    repeats: frozenset[int] = frozenset()
    unterminated: bool = False
    _ids: TextIndex = field(default_factory=TextIndex)
    _repeated: dict[str, list[int]] = field(default_factory=dict)
    _fields: dict[str, TextIndex] = field(default_factory=dict)

    @classmethod
    def build(cls, path: Path, file: io.FileIO, layout: Layout[R], stamp: Stamp) -> Index[R]:
        """Read the whole file. Raises `ResourceError` for a broken one, `ChangedError` if it changed meanwhile."""
        index = cls(path=path, layout=layout, stamp=stamp)
        watched = Watched(file, path, layout.encoding, digest=True)
        lines = Measured(iter(text_of(watched, layout.encoding, newline=layout.split)), layout.encoding)
        for batch in sound(layout.batches(lines, BATCH), file, path, stamp, layout.encoding):
            index._enter(batch.records, batch.starts)
        if not unchanged(file, path, stamp):
            raise ChangedError
        if lines.end != stamp.size:
            raise ResourceError(f"{path}: its encoding {layout.encoding.codec} is not kept byte for byte; save it as UTF-8")
        index.digest = watched.digest()
        index.unterminated = not lines.last.endswith(("\n", "\r"))
        index._find_repeats(file, index._ids.seal())
        return index

    def _enter(self, records: list[R], starts: list[int]) -> None:
        row = len(self.starts)
        if row + len(records) > ROW_MASK:
            raise ResourceError(f"{self.path} has over {ROW_MASK} records: split it")
        self.starts.extend(starts)
        ids = self.layout.ids_of(records)
        if self.layout.ids.kind is not IdKind.KEY:
            self.counter.add(ids)
        if "" in ids:
            ids = [id_ or content_digest(self.layout.content(record)) for id_, record in zip(ids, records, strict=True)]
        self._ids.add(ids, row)

    def _find_repeats(self, file: io.FileIO, groups: Iterable[Sequence[int]]) -> None:
        repeats: set[int] = set()
        for group in groups:
            rows: dict[str, list[int]] = defaultdict(list)
            for row in group:
                rows[self.id_of(self.place(file, row))].append(row)
            rows.pop("", None)
            for same in rows.values():
                if len(same) > 1 and self.layout.ids.kind is not IdKind.KEY:
                    raise self._twice(same[0], same[1])
                repeats.update(same[1:])
        self.repeats = frozenset(repeats)
        for row in sorted(repeats):
            digest = content_digest(self.layout.content(self.place(file, row).record))
            self._repeated.setdefault(digest, []).append(row)

    def _twice(self, first: int, second: int) -> ResourceError:
        lines = [line_at(self.path, self.layout.encoding, self.starts[row]) for row in (first, second)]
        return ResourceError(
            f"{self.path}: lines {lines[0]} and {lines[1]} have the same value in the id column {self.layout.ids.column!r};"
            " give one of them another, or empty it for a new one"
        )

    def place(self, file: io.FileIO, row: int) -> Place[R]:
        """The record of a row, read from the open file. Raises `ChangedError` if it is not there as indexed."""
        start = self.starts[row]
        following = self.starts[row + 1] if row + 1 < len(self.starts) else self.stamp.size
        try:
            raw = os.pread(file.fileno(), following - start, start)
            record, text = self.layout.first(raw.decode(self.layout.encoding.codec))
        except (UnicodeDecodeError, ResourceError) as error:
            raise ChangedError from error
        written = text.encode(self.layout.encoding.codec)
        return Place(row=row, start=start, end=start + len(written), text=text, record=record, exact=raw.startswith(written))

    def id_of(self, place: Place[R]) -> str:
        """The id in a record, "" if it has none."""
        return self.layout.ids_of([place.record])[0]

    def listed_id(self, place: Place[R]) -> str:
        """The id under which a listing shows the record."""
        id_ = self.id_of(place)
        return id_ if id_ and place.row not in self.repeats else provisional_id(self.layout.content(place.record), place.row)

    def holders(self, file: io.FileIO, id_: str) -> list[Place[R]]:
        """Every record that has this text as id, in file order: more than one only where a key serves as id."""
        places = [self.place(file, row) for row in self._ids.candidates(id_)]
        return [place for place in places if self.id_of(place) == id_]

    def resolve(self, file: io.FileIO, id_: str) -> Place[R] | None:
        """The record with this id, lasting or provisional."""
        lasting = (place for place in self.holders(file, id_) if place.row not in self.repeats)
        return next(lasting, None) or next(iter(self.without_id(file, id_)), None)

    @staticmethod
    def is_provisional(id_: str) -> bool:
        return split_provisional(id_) is not None

    def without_id(self, file: io.FileIO, id_: str) -> list[Place[R]]:
        """The records that a provisional id may mean: equal rows are as good as each other, the one in its place comes first."""
        if (parts := split_provisional(id_)) is None:
            return []
        digest, wanted = parts
        rows = [*self._ids.candidates(digest), *self._repeated.get(digest, ())]
        places = [self.place(file, row) for row in sorted(rows, key=lambda row: (row != wanted, row))]
        return [
            place
            for place in places
            if (place.row in self.repeats or not self.id_of(place))
            and content_digest(self.layout.content(place.record)) == digest
        ]

    def find(self, file: io.FileIO, name: str, texts: Iterable[str]) -> list[Place[R]]:
        """Records whose field compares equal to one of the texts, in file order."""
        if name not in self._fields:
            self._fields[name] = self._index_field(file, name)
        wanted = set(texts)
        rows = sorted({row for text in wanted for row in self._fields[name].candidates(text)})
        places = [self.place(file, row) for row in rows]
        return [place for place in places if self.layout.search_texts([place.record], name)[0] in wanted]

    def _index_field(self, file: io.FileIO, name: str) -> TextIndex:
        watched = Watched(file, self.path, self.layout.encoding, digest=True)
        index, row = TextIndex(), 0
        lines = text_of(watched, self.layout.encoding, newline=self.layout.split)
        for batch in sound(self.layout.batches(lines, BATCH), file, self.path, self.stamp, self.layout.encoding):
            index.add(self.layout.search_texts(batch.records, name), row)
            row += len(batch.records)
        index.seal()
        if watched.digest() != self.digest:
            raise ChangedError
        return index
