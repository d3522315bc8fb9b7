"""
A search index that lags behind the records (section 11): what search shows of a record until its last write arrives.

Membership and values both come from the index, as in a CRM that answers searches from one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from connectors.kizen.server.metadata import Record


@dataclass(frozen=True, slots=True)
class _Pending:
    object_id: str
    record: Record
    due: int
    search: int


@dataclass(slots=True)
class SearchLag:
    """Writes that search does not know yet. `searches` counts the searches made, one clock of the two."""

    searches: int = 0
    _queue: deque[_Pending] = field(default_factory=deque)
    _shown: dict[str, dict[str, Record | None]] = field(default_factory=dict)
    _open: dict[str, int] = field(default_factory=dict)

    def note(self, object_id: str, old: Record | None, new: Record, due: int, searches: int) -> None:
        """`new` replaces `old`; search learns it at `due` (microseconds) and after that many further searches."""
        self._shown.setdefault(object_id, {}).setdefault(new.id, old)
        self._open[new.id] = self._open.get(new.id, 0) + 1
        self._queue.append(_Pending(object_id, new, due, self.searches + searches))

    def search(self, object_id: str, now: int) -> dict[str, Record | None]:
        """Count one search; returns what it sees instead of the live records (None: not there yet)."""
        self.searches += 1
        self._settle(now)
        return self._shown.get(object_id, {})

    def _settle(self, now: int) -> None:
        while self._queue and self._queue[0].due <= now and self._queue[0].search < self.searches:
            arrived = self._queue.popleft()
            shown = self._shown[arrived.object_id]
            shown[arrived.record.id] = arrived.record
            self._open[arrived.record.id] -= 1
            if not self._open[arrived.record.id]:
                del self._open[arrived.record.id]
                del shown[arrived.record.id]
                if not shown:
                    del self._shown[arrived.object_id]


def seen_by_search(records: Iterable[Record], instead: dict[str, Record | None]) -> Iterator[Record]:
    """The records as search sees them."""
    for record in records:
        shown = instead.get(record.id, record)
        if shown is not None:
            yield shown
