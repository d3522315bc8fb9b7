"""
Every live record that was ever read, with its fingerprint and match key; and why a record is not settled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from syncengine.core.decision import Wait
from syncengine.core.model import Side
from syncengine.store.database import Database, end_of, pack
from syncengine.store.journal import OPEN
from syncengine.store.staging import SIDES, packed


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A record that is decided again in every run; `fingerprint` tells at which value it was quarantined."""

    side: Side
    id: str
    reason: Wait
    detail: str
    label: str
    fingerprint: bytes | None
    since: float
    tries: int


class Records:
    """The tables `record` and `pending`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def neighbours(self, pair: int, side: Side, ids: Sequence[str]) -> list[tuple[str, bytes | None, int]]:
        """
        (id, fingerprint, n) of the known records from the first to the last of `ids`, in the order of the index.

        A page of a full listing in id order is a range of the index, which costs a third of looking up each id. In any other
        order the range is somebody else's: it is cut off at twice the page, and the caller looks up what it misses.
        """
        return self._db.execute(
            "SELECT CAST(id AS TEXT), fingerprint, n FROM record WHERE end=? AND id BETWEEN ? AND ? ORDER BY id LIMIT ?",
            (end_of(pair, side), pack(ids[0]), pack(ids[-1]), 2 * len(ids)),
        ).fetchall()

    def known(self, pair: int, side: Side, ids: Sequence[str]) -> list[tuple[str, bytes | None, int]]:
        """(id, fingerprint, n) of those of `ids` that are known."""
        if not ids:
            return []
        return self._db.execute(
            "SELECT CAST(id AS TEXT), fingerprint, n FROM record WHERE end=? AND id IN (SELECT value FROM json_each(?))",
            (end_of(pair, side), packed(ids)),
        ).fetchall()

    def counts(self, pair: int) -> dict[Side, int]:
        """How many live records each side is known to hold."""
        left, right = (end_of(pair, side) for side in Side)
        counted = "SELECT count(*) FROM record WHERE end=?"
        return dict(zip(Side, self._db.one(f"SELECT ({counted}), ({counted})", (left, right)), strict=True))

    def newest(self, pair: int, side: Side) -> int:
        """
        The highest `n` of the side; 0 when it holds nothing. Whatever is seen for the first time later is above it, and above
        what any open intent remembers, even where the record that had the number is forgotten.
        """
        return int(
            self._db.value(
                "SELECT max(coalesce((SELECT max(n) FROM record WHERE end=?), 0), "
                "coalesce((SELECT max(max(newest, coalesce(upto, 0))) FROM intent INDEXED BY intent_open "
                f"WHERE {OPEN} AND pair=? AND side=?), 0))",
                (end_of(pair, side), pair, side.value),
            )
        )

    def unseen(self, pair: int, side: Side, seen: bytearray, *, batch: int = 2000) -> Iterator[list[str]]:
        """The known records whose `n` is not marked in `seen`, in batches."""
        after: Any = None
        while True:
            rows = self._db.execute(
                "SELECT id, n FROM record WHERE end=? AND (? IS NULL OR id > ?) ORDER BY id LIMIT ?",
                (end_of(pair, side), after, after, batch),
            ).fetchall()
            if not rows:
                return
            missing = [str(id_) for id_, n in rows if n >= len(seen) or not seen[n]]
            if missing:
                yield missing
            after = rows[-1][0]

    def some(self, pair: int, side: Side, limit: int) -> list[str]:
        """A few known live records, to prove by reading them that a side is healthy; none that this run found to be gone."""
        end = end_of(pair, side)
        found: list[str] = []
        # Those that wait for nothing first: a record may wait because it could not be found.
        for waits in ("NOT IN", "IN"):
            rows = self._db.execute(
                f"SELECT id FROM record r WHERE end=? AND id {waits} (SELECT id FROM pending WHERE end=?) AND NOT EXISTS "
                "(SELECT 1 FROM temp.staged s WHERE s.side=? AND s.id=r.id AND s.presence<>'present') LIMIT ?",
                (end, end, SIDES[side], limit - len(found)),
            )
            found += [str(row[0]) for row in rows]
        return found

    def keys(self, pair: int, side: Side, ids: Sequence[str]) -> dict[str, str | None]:
        """The stored match keys of these records."""
        if not ids:
            return {}
        rows = self._db.execute(
            "SELECT id, key FROM record WHERE end=? AND id IN (SELECT value FROM json_each(?))",
            (end_of(pair, side), packed(ids)),
        )
        return {str(id_): key for id_, key in rows}

    def put(self, pair: int, side: Side, rows: Sequence[tuple[str, bytes | None, str | None]]) -> None:
        """Store (id, fingerprint, key); a new record gets the next `n`."""
        if not rows:
            return
        end = end_of(pair, side)
        newest = self.newest(pair, side)
        values = [(end, pack(id_), newest + ordinal, print_, key) for ordinal, (id_, print_, key) in enumerate(rows, 1)]
        self._db.executemany(
            "INSERT INTO record (end, id, n, fingerprint, key) VALUES (?,?,?,?,?) "
            "ON CONFLICT (end, id) DO UPDATE SET fingerprint=excluded.fingerprint, key=excluded.key",
            values,
        )

    def meet(self, pair: int, side: Side) -> None:
        """
        Know, from now on, every live record of the side that this run was delivered and that is new to the state: one with a link
        is not, and may be a newcomer under the id of a record that is gone.
        """
        end = end_of(pair, side)
        self._db.execute(
            "INSERT INTO record (end, id, n, fingerprint, key) "
            "SELECT ?, s.id, ? + row_number() OVER (ORDER BY s.id), NULL, s.key FROM temp.staged s "
            "WHERE s.side=? AND s.presence='present' AND s.link IS NULL AND NOT s.provisional "
            "AND NOT EXISTS (SELECT 1 FROM record r WHERE r.end=? AND r.id=s.id)",
            (end, self.newest(pair, side), side is Side.RIGHT, end),
        )

    def forget(self, pair: int, side: Side, ids: Sequence[str]) -> None:
        """Drop records that are gone, and what they waited for."""
        end = end_of(pair, side)
        for table in ("record", "pending"):
            self._db.executemany(f"DELETE FROM {table} WHERE end=? AND id=?", [(end, pack(id_)) for id_ in ids])

    def pending(self, pair: int) -> dict[Side, list[Pending]]:
        """Everything that waits, by side."""
        ends = {end_of(pair, side): side for side in Side}
        rows = self._db.execute(
            "SELECT end, id, reason, detail, label, fingerprint, since, tries FROM pending WHERE end IN (?, ?) "
            "ORDER BY since, id",
            tuple(ends),
        )
        found: dict[Side, list[Pending]] = {side: [] for side in Side}
        for end, *row in rows:
            found[ends[end]].append(_pending(ends[end], row))
        return found

    def quarantined(self, pair: int, side: Side, *, offset: int, limit: int) -> list[Pending]:
        """Some of the parked records of a side, the longest parked first; `limit` -1 is all the rest."""
        rows = self._db.execute(
            "SELECT id, reason, detail, label, fingerprint, since, tries FROM pending WHERE end=? AND reason='quarantined' "
            "ORDER BY since, id LIMIT ? OFFSET ?",
            (end_of(pair, side), limit, offset),
        )
        return [_pending(side, row) for row in rows]

    def count_quarantined(self, pair: int, side: Side) -> int:
        """How many records of a side are parked."""
        return int(self._db.value("SELECT count(*) FROM pending WHERE end=? AND reason='quarantined'", (end_of(pair, side),)))

    def pending_of(self, pair: int, side: Side, ids: Sequence[str]) -> dict[str, Pending]:
        """What these records wait for."""
        if not ids:
            return {}
        rows = self._db.execute(
            "SELECT id, reason, detail, label, fingerprint, since, tries FROM pending "
            "WHERE end=? AND id IN (SELECT value FROM json_each(?))",
            (end_of(pair, side), packed(ids)),
        )
        return {str(row[0]): _pending(side, row) for row in rows}

    def wait(self, pair: int, rows: Sequence[Pending]) -> None:
        """Note why records wait; the same reason keeps its age and counts one more try."""
        self._db.executemany(
            "INSERT INTO pending (end, id, reason, detail, label, fingerprint, since, tries) VALUES (?,?,?,?,?,?,?,1) "
            "ON CONFLICT (end, id) DO UPDATE SET detail=excluded.detail, label=excluded.label, "
            "fingerprint=excluded.fingerprint, "
            "tries=CASE WHEN reason=excluded.reason THEN tries + 1 ELSE 1 END, "
            "since=CASE WHEN reason=excluded.reason THEN since ELSE excluded.since END, reason=excluded.reason",
            [
                (end_of(pair, row.side), pack(row.id), row.reason.value, row.detail, row.label, row.fingerprint, row.since)
                for row in rows
            ],
        )

    def wait_meanwhile(self, pair: int, rows: Sequence[Pending]) -> None:
        """Records wait that did not yet, which counts as no try; whoever waits already keeps its reason."""
        self._db.executemany(
            "INSERT INTO pending (end, id, reason, detail, label, fingerprint, since, tries) VALUES (?,?,?,?,?,?,?,0) "
            "ON CONFLICT (end, id) DO NOTHING",
            [
                (end_of(pair, row.side), pack(row.id), row.reason.value, row.detail, row.label, row.fingerprint, row.since)
                for row in rows
            ],
        )

    def settle(self, pair: int, side: Side, ids: Sequence[str]) -> None:
        """These records wait for nothing any more."""
        self._db.executemany("DELETE FROM pending WHERE end=? AND id=?", [(end_of(pair, side), pack(id_)) for id_ in ids])

    def release(self, pair: int, side: Side, ids: Sequence[str]) -> None:
        """Let quarantined records be tried again, as they are."""
        self._db.executemany(
            "UPDATE pending SET fingerprint=NULL, reason='failed' WHERE end=? AND id=?",
            [(end_of(pair, side), pack(id_)) for id_ in ids],
        )

    def release_all(self, pair: int, side: Side) -> int:
        """Let every quarantined record of a side be tried again; returns how many there were."""
        sql = "UPDATE pending SET fingerprint=NULL, reason='failed' WHERE end=? AND reason='quarantined'"
        return self._db.execute(sql, (end_of(pair, side),)).rowcount

    def waiting(self, pair: int) -> dict[str, int]:
        """How many records wait, by reason."""
        rows = self._db.execute(
            "SELECT reason, count(*) FROM pending WHERE end IN (?, ?) GROUP BY reason", (2 * pair, 2 * pair + 1)
        )
        return dict(rows.fetchall())

    def some_blocked(self, pair: int, *, limit: int) -> list[tuple[str, str]]:
        """Some of the records with a field that cannot be mapped, and what is wrong with it; one line for both of a link."""
        return self._db.execute(
            "SELECT label, detail FROM pending WHERE end IN (?, ?) AND reason='blocked' GROUP BY label, detail "
            "ORDER BY min(since) LIMIT ?",
            (2 * pair, 2 * pair + 1, limit),
        ).fetchall()

    def unread(self, pair: int, side: Side) -> int:
        """How many records of a side may be there or not: they could not be read, or are the undecided rest of a dead link."""
        return int(
            self._db.value(
                "SELECT count(*) FROM pending p WHERE end=? AND (reason='unread' OR (reason NOT IN ('delete','in_doubt') "
                f"AND EXISTS (SELECT 1 FROM link WHERE pair=? AND state='dead' AND {side.value}_id=p.id)))",
                (end_of(pair, side), pair),
            )
        )


def _pending(side: Side, row: Sequence[Any]) -> Pending:
    id_, reason, detail, label, fingerprint, since, tries = row
    return Pending(
        side=side,
        id=str(id_),
        reason=Wait(reason),
        detail=detail,
        label=label,
        fingerprint=fingerprint,
        since=since,
        tries=tries,
    )
