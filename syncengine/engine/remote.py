"""One side of a pair as the engine reaches it: the connector in its wrappers, the resource, the columns that are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from unicodedata import normalize

from syncengine.connector import (
    Answer,
    Capabilities,
    Change,
    Native,
    Outcome,
    Page,
    Record,
    Resource,
    Tombstone,
    Unknown,
)
from syncengine.core.model import End, Side
from syncengine.errors import ProtocolError

LONGEST_CALL: Final = 60.0
"""Seconds that a call takes at the longest, where the connector does not say."""

_SKILLS: Final = ("read", "get", "find", "combine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """
    A side within reach. `connector` carries its wrappers; `deadline` is the longest a single call may take, in seconds.

    A system that cannot read by id is read whole instead: slower, but evidence all the same. `skills` are the optional methods
    that it has, found out once and by `hasattr`: since Python 3.12, isinstance with a protocol no longer sees what a wrapper
    passes through.
    """

    side: Side
    end: End
    connector: Any
    resource: Resource
    columns: tuple[str, ...]
    account: str
    deadline: float = LONGEST_CALL
    skills: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "skills", frozenset(name for name in _SKILLS if hasattr(self.connector, name)))

    @property
    def capabilities(self) -> Capabilities:
        return self.resource.capabilities

    @property
    def is_readable(self) -> bool:
        """Whether anything can be known about the system besides the answers to our own writes."""
        return "read" in self.skills or "get" in self.skills

    @property
    def is_read_whole(self) -> bool:
        """Whether everything has to be read, whatever is looked for."""
        return self.is_readable and self.skills.isdisjoint({"get", "find"})

    def read(self, cursor: str | None) -> Iterator[Page]:
        """The listing, or what changed since the cursor; nothing, and nothing complete, where there is none."""
        if "read" not in self.skills:
            return iter(())
        pages: Iterator[Page] = self.connector.read(self.end.resource, fields=self.columns, cursor=cursor)
        return pages

    def get(self, ids: Sequence[str], *, whole: bool = False) -> list[Answer]:
        """One answer per id, in order; `whole`: with every field that can be written, mapped or not."""
        if not ids:
            return []
        names = self._writable if whole else self.columns
        if "get" in self.skills:
            return list(self.connector.get(self.end.resource, ids, fields=names))
        if not self.is_readable:
            return [Unknown(id=id_, why="the system cannot be read") for id_ in ids]
        return self._pick(ids, self.connector.read(self.end.resource, fields=names, cursor=None))

    def _pick(self, ids: Sequence[str], pages: Iterable[Page]) -> list[Answer]:
        """The answers that a listing gives."""
        wanted = set(ids)
        found: dict[str, Record] = {}
        complete = False
        for page in pages:
            complete = page.complete
            if not wanted.isdisjoint(page.ids):
                found.update((record.id, record) for record in page.records() if record.id in wanted)
        missing = Tombstone if complete else Unknown
        return [found[id_] if id_ in found else missing(id=id_) for id_ in ids]

    @property
    def _writable(self) -> tuple[str, ...]:
        return tuple(name for name, field in self.resource.fields.items() if not field.read_only and not field.unusable)

    def find(self, name: str, values: Sequence[Native], *, fits: Callable[[Record], bool] | None = None) -> list[Record]:
        """
        The records whose field holds one of the values, compared at least exactly, and in the plainest spelling too.

        `fits` decides instead where the system cannot search and everything has to be read.
        """
        if not values:
            return []
        composed = [normalize("NFC", value) for value in values if isinstance(value, str)]
        plain = [*map(str.strip, composed), *map(str.lower, composed)]
        wanted = list(dict.fromkeys([*values, *plain, *(value.strip() for value in plain)]))
        if "find" in self.skills:
            return list(self.connector.find(self.end.resource, name, wanted, fields=self.columns))
        fits = fits or (lambda record: record.fields.get(name) in wanted)
        return [record for page in self.read(None) for record in page.records() if fits(record)]

    def probe(self, name: str, values: Sequence[Native], *, fits: Callable[[Record], bool]) -> list[Record] | None:
        """As `find`, where nothing found is evidence; None where everything had to be read and the listing broke off."""
        if "find" in self.skills or "read" not in self.skills:
            return self.find(name, values, fits=fits)
        return self.look((), fits)[1]

    def look(self, ids: Sequence[str], fits: Callable[[Record], bool]) -> tuple[list[Answer], list[Record] | None]:
        """`get` and `probe` where everything has to be read for either: read once, so that both tell of one moment."""
        found: list[Record] = []
        complete = False

        def noting(page: Page) -> Page:
            nonlocal complete
            complete = page.complete
            found.extend(filter(fits, page.records()))
            return page

        answers = self._pick(ids, map(noting, self.read(None)))
        return answers, found if complete else None

    def divided(self, changes: Sequence[Change]) -> list[Sequence[Change]]:
        """
        The changes as calls of `write` take them: by `max_batch`, or as the connector puts together what is alike.

        Raises ProtocolError where a connector forgets a change or names one twice.
        """
        if "combine" not in self.skills:
            size = self.capabilities.max_batch
            return [changes[start : start + size] for start in range(0, len(changes), size)]
        batches: list[Sequence[Change]] = list(self.connector.combine(self.end.resource, changes))
        if sorted(change.key for batch in batches for change in batch) != sorted(change.key for change in changes):
            msg = f"{self.end}: combine must return each of the {len(changes)} changes that it was given once (class Combiner)"
            raise ProtocolError(msg)
        return batches

    def write(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        outcomes: Sequence[Outcome] = self.connector.write(self.end.resource, changes)
        return outcomes
