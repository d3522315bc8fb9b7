"""
Keeping the state bounded: what is over and older than a horizon goes, and the file gets its room back.

What is open stays, whatever its age: writes in doubt, questions, quarantine, refused runs that can still be approved. So does
what the next run needs: links, shadows, cursors, the records of events, and the latest runs of every pair. A run older than the
horizon can no longer be looked at or undone.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from syncengine.errors import StateLocked
from syncengine.store.database import Database
from syncengine.store.runs import Runs

SHORTEST_KEEP: Final = 86_400.0
"""The guard on deletes counts over a day, and webhooks are recognised for a day."""

SHORTEST_KEEP_EVENTS: Final = 7 * 86_400.0
"""Senders try an event again for days: until then its id is known."""

_BATCH: Final = 2_000
"""Rows a commit, so that a run that begins meanwhile waits for milliseconds."""

_WORTHWHILE: Final = 0.25
_LEAST_GAIN: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """
    What went, by what people call it; the size of the file before and after in bytes. `why_not`: why it could not be made
    smaller, though there was much to gain.
    """

    removed: Mapping[str, int]
    before: int
    after: int
    why_not: str = ""


_GOING: Final[tuple[tuple[str, str, str], ...]] = (
    ("journal entries", "intent", "state IN ('done', 'closed') AND coalesce(closed_at, sent_at) < :cutoff"),
    ("attic values", "attic", "at < :cutoff"),
    ("inbox entries", "inbox", "status = 'closed' AND closed_at < :cutoff"),
    # The latest run of each kind tells when a pair last ran, went through, or was refused.
    (
        "runs",
        "run",
        "coalesce(finished_at, started_at) < :cutoff AND id NOT IN (SELECT max(id) FROM run GROUP BY pair, exit) "
        "AND id NOT IN (SELECT run FROM intent) AND id NOT IN (SELECT run FROM attic)",
    ),
    ("events", "event", "received_at < :events"),
)
"""(what people call it, table, which rows), in an order in which nothing is left pointing nowhere."""


def compact(database: Database, *, now: float, keep: float) -> Compacted:
    """
    Let go of what is older than `keep` seconds, in small commits beside whoever works in the state, then make the file smaller
    where that is worth it and nobody is at work.

    Raises StateError where the state cannot be written.
    """
    keep = max(keep, SHORTEST_KEEP)
    moments = {"cutoff": now - keep, "events": now - max(keep, SHORTEST_KEEP_EVENTS), "now": now}
    before = _size(database)
    with database.translated():
        removed = {name: sum(_batches(database, table, which, moments)) for name, table, which in _GOING}
        with database.transaction():
            Runs(database).drop_expired(now)
        why_not = _shrink(database, now)
        database.advance()
    return Compacted(removed=removed, before=before, after=_size(database), why_not=why_not)


def _batches(database: Database, table: str, which: str, moments: Mapping[str, float]) -> Iterator[int]:
    """Delete in small commits; the newest row stays, because a table gives the number after its highest to the next one."""
    while True:
        with database.transaction():
            gone = database.execute(
                f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {which} "
                f"AND id < (SELECT max(id) FROM {table}) ORDER BY id LIMIT {_BATCH})",
                moments,
            ).rowcount
        yield gone
        if gone < _BATCH:
            return


def _shrink(database: Database, now: float) -> str:
    """Write the file anew without its free pages; returns why not, where there is much to gain and it cannot be."""
    pages, free, size = (int(database.value(f"PRAGMA {name}")) for name in ("page_count", "freelist_count", "page_size"))
    if free * size < _LEAST_GAIN or free < _WORTHWHILE * pages:
        return ""
    if database.value("SELECT 1 FROM lease WHERE until > ? AND resource LIKE '%/%'", (now,)):
        return "a run is at work in the state"
    assert database.path is not None
    if shutil.disk_usage(database.path.parent).free < 2 * (pages - free) * size:
        return "the disk has no room for a second copy of the state"
    try:
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError as error:
        explained = database.explained(error)
        if isinstance(explained, StateLocked):
            return "another program is at work in the state"
        if explained is None:
            raise
        return str(explained)
    return ""


def _size(database: Database) -> int:
    """The size of the file and its log."""
    path = database.path
    if path is None:
        return 0
    return sum(part.stat().st_size for part in (path, path.with_name(f"{path.name}-wal")) if part.exists())
