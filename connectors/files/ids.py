"""
Ids of records in a file: which column they come from, what a row without one is called, and what the next one is.
"""

from __future__ import annotations

import hashlib
import operator
import unicodedata
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain, groupby, islice
from typing import Final

RUN: Final = 1 << 16
ROW_BITS: Final = 28
ROW_MASK: Final = (1 << ROW_BITS) - 1
HASH_MASK: Final = ((1 << 63) - 1) & ~ROW_MASK

PROVISIONAL: Final = "~"
FALLBACK_KEYS: Final = ("email", "name")
DERIVED: Final = 12
LONGEST_NUMBER: Final = 30


class IdKind(Enum):
    """Where ids come from."""

    MADE = "made"  # a column for ids: the engine or this connector may choose them
    FILLED = "filled"  # a column that people fill, such as an email, named by the option `id`
    KEY = "key"  # no id column: the match key, trimmed and case-folded, serves as id


@dataclass(frozen=True, slots=True, kw_only=True)
class IdRule:
    """The column that holds the ids, and its kind."""

    column: str
    kind: IdKind

    def text(self, cell: str) -> str:
        """The id that a cell stands for, "" for none."""
        return fold(cell) if self.kind is IdKind.KEY else cell if cell.strip() else ""


def fold(text: str) -> str:
    """A text as look-ups compare it."""
    text = text.strip().casefold()
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def choose_rule(columns: Iterable[str], option: str | None, make_ids: bool | None) -> IdRule | None:
    """The id rule for a file with these columns, None if nothing in it can serve as id."""
    names = tuple(columns)
    wanted = option or "id"
    exact = [name for name in names if name == wanted] or [name for name in names if name.casefold() == wanted.casefold()]
    if exact:
        made = make_ids if make_ids is not None else exact[0].casefold().endswith("id")
        return IdRule(column=exact[0], kind=IdKind.MADE if made else IdKind.FILLED)
    if option is None:
        for key in FALLBACK_KEYS:
            for name in names:
                if name.casefold() == key:
                    return IdRule(column=name, kind=IdKind.KEY)
    return None


def content_digest(content: str) -> str:
    """What a row without an id is told apart by."""
    return PROVISIONAL + hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def provisional_id(content: str, row: int) -> str:
    """An id for a row that has none: from its content, and its place so that equal rows differ."""
    return f"{content_digest(content)}.{row}"


def split_provisional(id_: str) -> tuple[str, int] | None:
    """The content digest and the row of a provisional id, None if it is not one."""
    digest, dot, row = id_.rpartition(".")
    if id_.startswith(PROVISIONAL) and dot and row.isascii() and row.isdecimal():
        return digest, int(row)
    return None


class Repeats:
    """
    Whether any id of a long listing came twice, in eight bytes an id.

    Whole numbers that only rise, as most files have them, need no more than a glance. `suspected` may be wrong one time
    in billions; whoever acts on it looks again.
    """

    __slots__ = ("_hashes", "_last", "_rising")

    def __init__(self) -> None:
        self._hashes = array("q")
        self._rising = True
        self._last = -1

    def add(self, ids: Sequence[str]) -> None:
        self._hashes.extend(map(hash, ids))
        if self._rising and ids:
            self._rising = self._continues(ids)

    def _continues(self, ids: Sequence[str]) -> bool:
        try:
            numbers = list(map(int, ids))
        except ValueError:
            return False
        rising = numbers[0] > self._last and all(map(operator.lt, numbers, islice(numbers, 1, None)))
        self._last = numbers[-1]
        return rising

    def suspected(self) -> bool:
        if self._rising:
            return False
        runs = [array("q", sorted(self._hashes[start : start + RUN])) for start in range(0, len(self._hashes), RUN)]
        return any(len(set(part)) < len(part) for part in _parts(runs))


def _parts(runs: Sequence[array[int]], low_bits: int = 0) -> Iterator[list[int]]:
    """
    The members of sorted runs, by ranges of about a run's size: one range at a time is all that memory holds.

    Members that differ in `low_bits` only are in the same range.
    """
    count = len(runs)
    if not count:
        return
    fences = [runs[0][len(runs[0]) * step // count] | low_bits for step in range(1, count)]
    starts = [0] * count
    for fence in (*fences, None):
        ends = [len(run) if fence is None else bisect_right(run, fence) for run in runs]
        yield list(chain.from_iterable(run[start:end] for run, start, end in zip(runs, starts, ends, strict=True)))
        starts = ends


class TextIndex:
    """
    Row numbers by text, eight bytes a row: 35 bits of the text's hash and 28 of the row number in one integer.

    First everything is added, then the index is sealed, then it answers. Answers are candidates: the caller compares the
    text itself.
    """

    __slots__ = ("_pending", "_runs", "_sorted")

    def __init__(self) -> None:
        self._pending: list[int] = []
        self._runs: list[array[int]] = []
        self._sorted = array("q")

    def add(self, texts: Iterable[str], first_row: int) -> None:
        """Enter the texts of consecutive rows."""
        self._pending.extend([(hash(text) & HASH_MASK) | row for row, text in enumerate(texts, first_row)])
        if len(self._pending) >= RUN:
            self._end_run()

    def seal(self) -> list[list[int]]:
        """Make everything findable; gives the groups of rows, ascending, that may have the same text."""
        self._end_run()
        groups: list[list[int]] = []
        for part in _parts(self._runs, ROW_MASK):
            part.sort()
            self._sorted.extend(part)
            hashes = [packed & HASH_MASK for packed in part]
            if len(set(hashes)) < len(part):
                alike = (list(rows) for _, rows in groupby(part, HASH_MASK.__and__))
                groups.extend([packed & ROW_MASK for packed in rows] for rows in alike if len(rows) > 1)
        self._runs.clear()
        return groups

    def candidates(self, text: str) -> list[int]:
        """Rows that may have this text, in ascending order."""
        found: list[int] = []
        low = hash(text) & HASH_MASK
        place = bisect_left(self._sorted, low)
        while place < len(self._sorted) and (packed := self._sorted[place]) <= low | ROW_MASK:
            found.append(packed & ROW_MASK)
            place += 1
        return found

    def _end_run(self) -> None:
        if self._pending:
            self._runs.append(array("q", sorted(self._pending)))
            self._pending = []


@dataclass(slots=True, kw_only=True)
class Counter:
    """How the id column goes on: whole numbers are continued, anything else is derived from a seed."""

    any: bool = False
    whole: bool = True
    highest: int = 0
    padded: int = 0

    def add(self, ids: Iterable[str]) -> None:
        """Take note of ids that are present; "" is passed over."""
        if not self.whole:
            return
        present = [id_ for id_ in ids if id_]
        if not present:
            return
        self.any = True
        if not all(map(_is_number, present)):
            self.whole = False
            return
        self.highest = max(self.highest, max(map(int, present)))
        if padded := max((len(id_) for id_ in present if id_[0] == "0" and len(id_) > 1), default=0):
            self.padded = max(self.padded, padded)

    def after(self) -> str:
        """The next whole number, with the column's leading zeros."""
        return str(self.highest + 1).zfill(self.padded)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER


def derived_ids(seed: str) -> Iterator[str]:
    """Ids derived from an idempotency key: the shortest first, longer ones in case it is taken."""
    digest = hashlib.sha256(seed.encode()).hexdigest()
    return (digest[:length] for length in range(DERIVED, len(digest) + 1, 4))
