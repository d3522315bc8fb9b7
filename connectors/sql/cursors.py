"""
Cursors of incremental reads: up to when the changes of a table are known.

Pure. The next read asks for rows with `updated_at` of at least `mark - overlap`. `mark` is the database's clock at the
start of the read less the `lag`: the shortest distance ever seen between that clock and the newest row. It makes the mark
as early as the newest row where stamps come from a clock that is behind the database's (an application server, local time
in a column without offsets), and lets it move on where they do not, so that a table filled at one instant is not read again
for ever. It never exceeds a day. Rows stamped in the future do not count; they are delivered again each time.

What is missed until the full sweep: a transaction that commits more than `overlap` after the time it stamped, a row changed
without moving `updated_at`, a row stamped by a clock more than `overlap` behind the others', and deleted rows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from connectors.sql.table import Table
from syncengine.errors import CursorExpired

_FORMAT: Final = 1
_LONGEST_LAG: Final = timedelta(days=1)
_AN_HOUR_AND_MORE: Final = timedelta(hours=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """A resume point; `mark` is an instant of the database's clock."""

    mark: datetime
    lag: timedelta

    def since(self, table: Table) -> datetime:
        """The earliest `updated_at` that a change made after this cursor can carry, as an aware instant."""
        since = self.mark - timedelta(seconds=table.overlap)
        # When clocks go back, local times are used twice: what comes after may be stamped up to an hour before.
        here, soon = since.astimezone(table.zone), (since + _AN_HOUR_AND_MORE).astimezone(table.zone)
        back = (here.utcoffset() or timedelta()) - (soon.utcoffset() or timedelta())
        return since - max(back, timedelta())


class Watermark:
    """Watches the rows of one read and makes its cursor."""

    def __init__(self, table: Table, *, now: datetime, before: Cursor | None) -> None:
        self._table = table
        self._now = now
        self._lag = _LONGEST_LAG if before is None else before.lag
        self._sortable = True

    def saw(self, times: Sequence[datetime | None] | None, *, sortable: bool) -> None:
        """Rows with these times were delivered; not `sortable`: the database would not compare them as times."""
        self._sortable = self._sortable and sortable
        past = [time for time in times or () if time is not None and time <= self._now]
        if past:
            self._lag = min(self._lag, self._now - max(past))

    def cursor(self) -> str | None:
        """The cursor for after this read; None where only a whole listing is certain to find every change."""
        if not self._sortable:
            return None
        return json.dumps(
            {
                "format": _FORMAT,
                "table": self._table.name,
                "column": self._table.updated_at.name if self._table.updated_at is not None else None,
                "mark": (self._now - self._lag).isoformat(),
                "lag": self._lag.total_seconds(),
            }
        )


def parse_cursor(text: str, table: Table) -> Cursor:
    """Read a cursor back; CursorExpired for one that is damaged, of another release, or of another table or column."""
    try:
        content = json.loads(text)
        known = (content["format"], content["table"], content["column"])
        cursor = Cursor(
            mark=datetime.fromisoformat(content["mark"]).astimezone(UTC), lag=timedelta(seconds=float(content["lag"]))
        )
    except (ValueError, TypeError, KeyError, OverflowError):
        raise CursorExpired(f"table {table.name}: the stored cursor cannot be read; the table is read from the start") from None
    if table.updated_at is None or known != (_FORMAT, table.name, table.updated_at.name):
        raise CursorExpired(
            f"table {table.name}: the stored cursor belongs to another table or another updated_at column; "
            "the table is read from the start"
        )
    return cursor
