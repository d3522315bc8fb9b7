"""What a kind of file has to say about itself; the shared manners need no more than this."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from connectors.files.ids import IdRule
from connectors.files.text import Encoding, Measured
from syncengine.connector import Field, Fields, Native

R = TypeVar("R")
"""One record as its kind of file delivers it: a list of cells, a JSON object."""


@dataclass(slots=True, kw_only=True)
class Batch(Generic[R]):
    """Consecutive records; `starts` are the bytes they begin at, if they were measured."""

    records: list[R]
    starts: list[int]


class Layout(Protocol[R]):
    """
    How one file is written, as its head tells, and what that makes of its records.

    A layout is valid for one state of the file. Texts of records include their line end, if they have one.
    """

    encoding: Encoding
    newline: str
    split: str
    ids: IdRule

    def describe(self, lines: Iterator[str]) -> tuple[Mapping[str, Field], tuple[str, ...]]:
        """The fields of the resource, and what a person should know about it; `lines` are the whole file."""
        ...

    def require(self, fields: Sequence[str]) -> None:
        """Raise `ResourceError` if a field is not there to be read."""
        ...

    def batches(self, lines: io.TextIOWrapper | Measured, size: int) -> Iterator[Batch[R]]:
        """All records, at most `size` at a time; `ResourceError` for a broken file. `lines` begin at the file's first."""
        ...

    def first(self, text: str) -> tuple[R, str]:
        """The first record of a text that begins with one, and that record's own text."""
        ...

    def ids_of(self, records: Sequence[R]) -> list[str]:
        """The id of each record, "" where it has none."""
        ...

    def rows_of(self, records: Sequence[R], fields: Sequence[str]) -> list[tuple[Native, ...]]:
        """The values of these fields."""
        ...

    def values_of(self, record: R) -> Fields:
        """All values of a record."""
        ...

    def search_texts(self, records: Sequence[R], field: str) -> list[str]:
        """What `find` compares, of each record."""
        ...

    def search_text(self, value: Native) -> str | None:
        """What `find` compares, of a value looked for; None if no record can hold it."""
        ...

    def content(self, record: R) -> str:
        """A text that differs where two records differ."""
        ...

    def same(self, record: R, field: str, expected: Native) -> bool:
        """Whether the record's field still holds this value."""
        ...

    def id_text(self, value: Native) -> str:
        """The id that a value for the id column stands for, "" for none; `Rejected` for what cannot be one."""
        ...

    def id_value(self, id_: str, like: R | None) -> Native:
        """The native value of the id column for an id; `like` is a record of the file, if it has any."""
        ...

    def composed(self, values: Fields) -> tuple[str, R]:
        """A new record as text with a line end, and as it reads back; `Rejected` for values that the file cannot hold."""
        ...

    def edited(self, text: str, record: R, values: Fields) -> tuple[str, R]:
        """A record's text with these values set and all else as it was, and as it reads back; `Rejected` as above."""
        ...


class Format(Protocol[R]):
    """A kind of file, with the options of one configured system."""

    suffix: str
    blank_is_null: bool
    missing_cure: str

    def layout(self, file: io.FileIO, path: Path) -> Layout[R]:
        """Look at the head of an open file; `ResourceError` if it is not of this kind."""
        ...
