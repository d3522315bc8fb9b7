"""Hints: which records somebody told us to look at, kept until a run has looked; and the deliveries that told, once each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from syncengine.core.model import Side
from syncengine.store.database import Database

KEPT_EVENTS: Final = 900.0
"""Seconds that a delivery is remembered: longer than a signed one is taken, late or early."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredHint:
    """A record to look at; `number` grows with each delivery that names it."""

    number: int
    pair: str
    side: Side
    record: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one delivery said: `event` is its id at the sender, `records` are (pair, side, record id)."""

    system: str
    event: str | None
    at: float
    records: Sequence[tuple[str, Side, str]]


class Hints:
    """The tables `hint` and `hint_event`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, deliveries: Sequence[Told]) -> list[bool]:
        """Keep what deliveries said, all in one commit; tells of each whether it is news, and no repetition of an earlier one."""
        news = []
        with self._db.transaction():
            if deliveries:
                self._db.execute("DELETE FROM hint_event WHERE at NOT BETWEEN ? AND ?", _remembered(deliveries[0].at))
            for told in deliveries:
                news.append(self._is_new(told))
                if news[-1]:
                    self._db.executemany(
                        "INSERT OR REPLACE INTO hint (pair, side, record, at) VALUES (?,?,?,?)",
                        [(pair, side.value, record, told.at) for pair, side, record in told.records],
                    )
        return news

    def _is_new(self, told: Told) -> bool:
        if told.event is None:
            return True
        added = self._db.execute(
            "INSERT OR IGNORE INTO hint_event (system, event, at) VALUES (?,?,?)", (told.system, told.event, told.at)
        )
        return bool(added.rowcount)

    def waiting(self, pair: str, *, limit: int) -> list[StoredHint]:
        """The hints of a pair, the oldest first."""
        rows = self._db.execute("SELECT id, pair, side, record FROM hint WHERE pair=? ORDER BY id LIMIT ?", (pair, limit))
        return [StoredHint(number=number, pair=pair, side=Side(side), record=record) for number, pair, side, record in rows]

    def counts(self) -> dict[str, int]:
        """How many records wait, by pair."""
        return dict(self._db.execute("SELECT pair, count(*) FROM hint GROUP BY pair").fetchall())

    def settle(self, hints: Sequence[StoredHint]) -> None:
        """A run has looked at these; what was told of them meanwhile stays."""
        with self._db.transaction():
            self._db.executemany("DELETE FROM hint WHERE id=?", [(hint.number,) for hint in hints])

    def keep_only(self, pairs: Sequence[str]) -> None:
        """Drop the hints of pairs that are no longer in the config."""
        with self._db.transaction():
            marks = ",".join("?" * len(pairs))
            self._db.execute(f"DELETE FROM hint WHERE pair NOT IN ({marks})", pairs)


def _remembered(now: float) -> tuple[float, float]:
    """The moments of deliveries that still count as known; what a wrong clock noted in the future does not."""
    return now - KEPT_EVENTS, now + KEPT_EVENTS
