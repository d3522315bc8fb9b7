"""
Listings that lose nothing while the records move.

The platform pages by offset over live data: when a record leaves the listing, those behind it move up, and one of them
slips over the border that a reader has already passed (records-api.md section 2.2). So there are two ways:

- **In order.** Ask for the newest first by creation, which no edit changes, and verify it in the rows. New records come in
  front and push the others back, so that some come twice; only a record that leaves pulls one over the border, and then the
  count has fallen, for a new record would have undone the pull as well. The page before is read once more. Costs one call a
  page. (What this can't see: a record leaves while one further back is unarchived.)
- **In windows.** Where the order is not kept, ask for spans of time so short that each fits into one answer, which can't
  move. Costs about two calls a page, and needs neither order nor offsets. Incremental reads go this way by `updated`, from
  old to new: a record that is edited meanwhile moves into a window that is still to come.

A listing that can't prove that it held every record is not `complete`, and its cursor is withheld.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, Literal

from connectors.kizen.api import Clause, Found, RecordsApi, instant
from connectors.kizen.metadata import ObjectInfo
from connectors.kizen.rows import RowReader, Seen
from syncengine.connector import Page
from syncengine.errors import CursorExpired, ProtocolError, TransientError

Stamp = Literal["created", "updated"]

_MOST_EMPTY: Final = 3
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_DATE_PRECISION: Final = timedelta(seconds=2)  # `Date` has whole seconds, at both ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Where an incremental read resumes: `updated` is the newest stamp that was read, `of` the field that holds it."""

    updated: datetime
    of: str

    def text(self) -> str:
        """As it is stored."""
        return json.dumps({"updated": self.updated.astimezone(UTC).isoformat(), "of": self.of})

    @classmethod
    def parse(cls, text: str, info: ObjectInfo) -> Cursor:
        """The cursor of a text. Raises CursorExpired for one of another object, or of none."""
        try:
            found = json.loads(text)
            cursor = cls(updated=datetime.fromisoformat(found["updated"]), of=str(found["of"]))
        except (ValueError, KeyError, TypeError):
            raise CursorExpired(f"the stored cursor of {info.path} can't be read; a full read replaces it") from None
        updated = info.fields.get("updated")
        if updated is None or updated.id != cursor.of or cursor.updated.tzinfo is None:
            raise CursorExpired(f"the stored cursor belongs to an earlier object {info.path}; a full read replaces it")
        return cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """One answer of a search, read."""

    rows: Sequence[Seen] = ()
    count: int = 0
    more: bool = False
    date: datetime | None = None

    @property
    def whole(self) -> bool:
        """Whether this one answer held everything that matched."""
        return not self.more and len({seen.id for seen in self.rows}) == self.count


@dataclass(frozen=True, slots=True)
class _Span:
    """A window of time: `low` belongs to it, `high` does not; None is open."""

    low: datetime | None = None
    high: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Portion:
    """
    Part of a windowed listing. `whole`: nothing up to `high` is missing; None while the pages of one window are coming.
    """

    rows: Sequence[Seen]
    whole: bool | None
    high: datetime | None


class _Disordered(Exception):
    """The rows are not in the order that was asked for."""


@dataclass(slots=True, kw_only=True)
class _Border:
    """
    What is known at the border between two pages of a listing in order, newest first; `size` is the server's page size.

    `recent` are the records that may come again: those of the latest page, and all that share its last stamp.
    """

    size: int
    last: datetime | None = None
    recent: dict[str, datetime] = field(default_factory=dict)
    distinct: int = 0
    empty: int = 0
    full: bool = True
    gapless: bool = True
    quiet: bool = True
    tied: bool = False

    def cross(self, number: int, batch: _Batch) -> None:
        """Go on to the page of this number. Raises _Disordered."""
        stamps = [_stamp_of(seen, "created") for seen in batch.rows]
        if any(later > earlier for earlier, later in pairwise([*([] if self.last is None else [self.last]), *stamps])):
            raise _Disordered
        # Records of one stamp have no order among themselves; they may change places between two pages.
        new = bool(batch.rows) and batch.rows[0].id not in self.recent
        self.tied = self.tied or (new and self.last is not None and stamps[0] == self.last)
        self.empty = 0 if stamps else self.empty + 1
        self._judge(number, batch)

    def joined(self, number: int, again: _Batch, behind: _Batch) -> None:
        """A page was read again because its border moved: it has to begin within what was read before, and agree on the count."""
        self._judge(number, again)
        starts = _stamp_of(again.rows[0], "created") if again.rows else None
        overlaps = starts is not None and self.last is not None and starts >= self.last
        self.gapless = self.gapless and overlaps and again.count == behind.count
        self.quiet = False

    def fresh(self, rows: Sequence[Seen]) -> list[Seen]:
        """Those of the rows that did not come before."""
        new = [seen for seen in rows if seen.id not in self.recent]
        self.distinct += len(new)
        if rows:
            self.last = _stamp_of(rows[-1], "created")
            ties = {id_: stamp for id_, stamp in self.recent.items() if stamp == self.last}
            self.recent = {**ties, **{seen.id: _stamp_of(seen, "created") for seen in rows}}
        return new

    def proves(self, count: int) -> bool:
        """Whether nothing can have been missed, `count` being what the first answer announced."""
        return self.full and self.gapless and (self.distinct == count if self.quiet else not self.tied)

    def _judge(self, number: int, batch: _Batch) -> None:
        # An answer is consistent in itself, or rows are missing from it.
        self.full = self.full and len(batch.rows) == min(self.size, max(0, batch.count - (number - 1) * self.size))


class Listing:
    """
    One read of one object. `overlap` is how far before the cursor an incremental read begins; `again` describes the object anew.

    Rows leave blanks out (C5), and also a field that was removed after it was described. So where all rows of an answer are
    silent about a field, the object is described once more at the end: it is there, or the listing is not used.
    """

    def __init__(
        self,
        api: RecordsApi,
        info: ObjectInfo,
        names: Sequence[str],
        *,
        page_size: int,
        overlap: timedelta,
        again: Callable[[], ObjectInfo],
    ) -> None:
        self._api = api
        self._info = info
        self._reader = RowReader(api, info, names)
        self._page_size = page_size
        self._overlap = overlap
        self._again = again
        self._silent: set[str] = set()
        self._total: int | None = None
        self._date: datetime | None = None

    def everything(self) -> Iterator[Page]:
        """Every live record; the last page carries the cursor, and says whether the listing is proved complete."""
        yield from self._everything()
        self._check_fields()

    def changes(self, cursor: Cursor) -> Iterator[Page]:
        """Every record changed since the cursor, and some more; each page carries the cursor to go on from."""
        yield from self._changes(cursor)
        self._check_fields()

    def _check_fields(self) -> None:
        """Raises TransientError where a field was blank in the rows because it is not there any more."""
        if not self._silent:
            return
        fields = self._again().fields
        gone = sorted(name for name in self._silent if name not in fields or fields[name].id != self._info.fields[name].id)
        if gone:
            raise TransientError(
                f"{', '.join(gone)} vanished from {self._info.path} while it was listed; the next run goes by the new fields"
            )

    def _everything(self) -> Iterator[Page]:
        first = self._search(1, order="-created")
        assert first is not None
        self._total = first.count
        if first.whole:
            yield self._page(first.rows, cursor=self._resume(first, _newest(first.rows)), complete=True)
            return
        if "created" not in self._info.fields or self._api.keeps_order is False:
            yield from self._in_windows(first)
            return
        try:
            yield from self._in_order(first)
        except _Disordered:
            yield from self._in_windows(first)

    def _changes(self, cursor: Cursor) -> Iterator[Page]:
        newest, proved = cursor.updated, True
        for portion in self._windows("updated", cursor.updated - self._overlap):
            newest = max(newest, _newest(portion.rows) or newest)
            proved = proved and portion.whole is not False
            # A row may show a newer stamp than its window has; what that stamp would pass over is still unread.
            reached = newest if portion.high is None else max(cursor.updated, min(newest, portion.high))
            resume = Cursor(updated=reached, of=cursor.of).text() if proved and portion.whole else None
            yield self._page(portion.rows, cursor=resume)

    # In order

    def _in_order(self, first: _Batch) -> Iterator[Page]:
        border = _Border(size=len(first.rows))
        newest = _newest(first.rows)
        number, batch, rows = 1, first, first.rows
        while True:
            border.cross(number, batch)
            fresh = border.fresh(rows)
            newest = max(filter(None, (newest, _newest(fresh))), default=None)
            if not batch.more:
                break
            yield self._page(fresh)
            if border.empty > _MOST_EMPTY:
                raise ProtocolError(f"the search of {self._info.path} promises more and more pages, and they are empty")
            number += 1
            after = self._search(number, order="-created")
            if after is None or after.count < batch.count:
                # Rows left, so one behind them may have moved up over the border of the page before: it is read once more.
                again = self._search(number - 1, order="-created") or _Batch()
                batch = after or _Batch(count=again.count)
                border.joined(number - 1, again, batch)
                rows = [*again.rows, *batch.rows]
            else:
                border.quiet = border.quiet and after.count == batch.count
                batch, rows = after, after.rows
        if not border.quiet and not self._keeps_order(border.size):
            raise _Disordered
        proved = border.proves(first.count)
        yield self._page(fresh, cursor=self._resume(first, newest) if proved else None, complete=proved)

    def _keeps_order(self, size: int) -> bool:
        """
        Whether the server orders by creation because it was asked to, once rows have moved.

        Another order, of the latest edit say, may look the same until an edit takes a record back to the front. The opposite
        order tells: it begins with the oldest only where the wish is obeyed.
        """
        if self._api.keeps_order is None:
            opposite = self._search(1, order="created")
            stamps = [_stamp_of(seen, "created") for seen in ([] if opposite is None else opposite.rows)]
            kept = all(earlier <= later for earlier, later in pairwise(stamps)) and stamps[:1] < stamps[-1:]
            self._api.keeps_order = kept and len(stamps) == size
        return self._api.keeps_order

    # In windows

    def _in_windows(self, first: _Batch) -> Iterator[Page]:
        dated = "created" in self._info.fields
        portions = self._windows("created", None) if dated else self._moving(_Span(), "created")
        newest, proved = _newest(first.rows), True
        held: Sequence[Seen] | None = None
        for portion in portions:
            if held is not None:
                yield self._page(held)
            held, proved = portion.rows, proved and portion.whole is not False
            newest = max(filter(None, (newest, _newest(portion.rows))), default=None)
        yield self._page(held or (), cursor=self._resume(first, newest) if proved else None, complete=proved)

    def _windows(self, stamp: Stamp, low: datetime | None) -> Iterator[_Portion]:
        """The records from `low` on, oldest stamps first."""
        todo = [_Span(None if low is None else _floor(low))]
        while todo:
            span = todo.pop()
            batch = self._search(1, order=stamp, span=span)
            assert batch is not None
            # A stamp only grows, so a row may be newer than the filter that let it in, but never older.
            if span.low is not None and any(_stamp_of(seen, stamp) < span.low for seen in batch.rows):
                raise ProtocolError(f"the search of {self._info.path} does not obey a filter by {stamp!r}")
            if batch.whole:
                yield _Portion(rows=batch.rows, whole=True, high=span.high)
                continue
            middle = _split(batch.rows, stamp, span)
            if middle is None:
                yield from self._moving(span, stamp)
            else:
                todo += [_Span(middle, span.high), _Span(span.low, middle)]

    def _moving(self, span: _Span, stamp: Stamp) -> Iterator[_Portion]:
        """Pages by offset where no window is short enough: more records than a page holds share one millisecond."""
        met: set[str] = set()
        counts: set[int] = set()
        number = 1
        while (batch := self._search(number, order=stamp, span=span)) is not None:
            fresh = [seen for seen in batch.rows if seen.id not in met]
            met.update(seen.id for seen in fresh)
            counts.add(batch.count)
            if not (batch.more and batch.rows):
                yield _Portion(rows=fresh, whole=counts == {len(met)}, high=span.high)
                return
            yield _Portion(rows=fresh, whole=None, high=span.high)
            number += 1
        yield _Portion(rows=(), whole=False, high=span.high)

    # One search, one page

    def _search(self, number: int, *, order: str, span: _Span = _Span()) -> _Batch | None:
        bounds = ((">=", span.low), ("<", span.high))
        clauses = [
            Clause(field=self._info.fields[order], condition=condition, value=instant(moment))
            for condition, moment in bounds
            if moment is not None
        ]
        found: Found | None = self._api.search(
            self._info.path,
            field_ids=self._reader.field_ids,
            clauses=clauses,
            ordering=order,
            page=number,
            page_size=self._page_size,
        )
        if found is None:
            return None
        self._date = found.date
        rows = [self._reader.listed(row) for row in found.rows]
        self._silent |= self._reader.not_shown(found.rows)
        return _Batch(rows=rows, count=found.count, more=found.more, date=found.date)

    def _page(self, rows: Sequence[Seen], *, cursor: str | None = None, complete: bool = False) -> Page:
        return Page(
            fields=self._reader.names,
            ids=[seen.id for seen in rows],
            rows=[seen.values for seen in rows],
            modified_at=[seen.updated for seen in rows],
            cursor=cursor,
            complete=complete,
            total=self._total,
        )

    def _resume(self, first: _Batch, newest: datetime | None) -> str | None:
        """
        The cursor of a full read.

        A record read early may have been changed while the rest was read, so the newest stamp of all rows may be too new. What
        was changed before the first answer is in the rows. That moment is no earlier than the newest stamp of the first page,
        and than the newest stamp of all less the time that the listing took, by the `Date` of the answers.
        """
        updated = self._info.fields.get("updated")
        if updated is None:
            return None
        if newest is None:
            return Cursor(updated=_BEGINNING, of=updated.id).text()
        bounds = [_newest(first.rows) or _BEGINNING]
        if first.date is not None and self._date is not None:
            bounds.append(newest - (self._date - first.date) - _DATE_PRECISION)
        return Cursor(updated=min(newest, max(bounds)), of=updated.id).text()


def _newest(rows: Sequence[Seen]) -> datetime | None:
    return max((seen.updated for seen in rows if seen.updated is not None), default=None)


def _stamp_of(seen: Seen, stamp: Stamp) -> datetime:
    moment = seen.created if stamp == "created" else seen.updated
    if moment is None:
        raise ProtocolError(f"a record came without {stamp!r}, which the metadata lists")
    return moment


def _split(rows: Sequence[Seen], stamp: Stamp, span: _Span) -> datetime | None:
    """Where to cut a span: so that the older part fits a page if the rows are in order, else in the middle of what was seen."""
    exact = [_stamp_of(seen, stamp) for seen in rows]
    cuts = sorted(_floor(one) for one in exact)
    inside = [one for one in cuts if (span.low is None or one > span.low) and (span.high is None or one < span.high)]
    if not inside:
        return None
    in_order = all(earlier <= later for earlier, later in pairwise(exact))
    return inside[-1] if in_order else inside[len(inside) // 2]


def _floor(moment: datetime) -> datetime:
    """Filters have milliseconds, stamps microseconds (section 11)."""
    return moment - timedelta(microseconds=moment.microsecond) + (moment.microsecond // 1000) * _MILLISECOND
