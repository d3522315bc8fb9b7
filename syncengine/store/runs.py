"""Pairs with their cursors, runs with their reports, approvals of refused runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from syncengine.core.model import Side
from syncengine.store.database import Database, listed


@dataclass(frozen=True, slots=True, kw_only=True)
class PairState:
    """What the state knows about a pair; `digest` and `parts` are of the config of the last accepted run."""

    number: int
    name: str
    digest: bytes | None
    parts: Mapping[str, str]
    accounts: Mapping[Side, str | None]
    cursors: Mapping[Side, str | None]
    full_at: Mapping[Side, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run as stored; `report` is the document that the engine made of it."""

    number: int
    pair: str
    started_at: float
    finished_at: float | None
    exit: int | None
    report: Mapping[str, Any] | None


class Runs:
    """The tables `pair`, `run`, `approval` and `approval_item`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def find_pair(self, name: str) -> PairState | None:
        """The state of a pair, None if it was never synchronised under this name."""
        row = self._db.one(f"SELECT {_COLUMNS} FROM pair WHERE name=?", (name,))
        return None if row is None else _pair(row)

    def pair(self, name: str, *, was: str | None = None) -> PairState:
        """The state of a pair, made on first use; a renamed pair keeps everything it had under its old name."""
        found = self.find_pair(name)
        if found is None and was is not None and self.find_pair(was) is not None:
            self._db.execute("UPDATE pair SET name=? WHERE name=?", (name, was))
            found = self.find_pair(name)
        if found is None:
            self._db.execute("INSERT INTO pair (name) VALUES (?)", (name,))
            found = self.find_pair(name)
        assert found is not None
        return found

    def pairs(self) -> list[PairState]:
        return [_pair(row) for row in self._db.execute(f"SELECT {_COLUMNS} FROM pair ORDER BY id")]

    def note(self, name: str) -> str | None:
        """A small thing remembered under a name, None if there is none."""
        found: str | None = self._db.value("SELECT value FROM meta WHERE name=?", (name,))
        return found

    def set_note(self, name: str, value: str) -> None:
        """Remember a small thing under a name."""
        with self._db.transaction():
            self._db.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?,?)", (name, value))

    def remember(self, notes: Mapping[str, str]) -> None:
        """Several notes at once; inside a transaction."""
        self._db.executemany("INSERT OR REPLACE INTO meta (name, value) VALUES (?,?)", list(notes.items()))

    def accept_config(self, number: int, digest: bytes, parts: Mapping[str, str]) -> None:
        """Note that a run under this config went through."""
        self._db.execute("UPDATE pair SET digest=?, parts=? WHERE id=?", (digest, json.dumps(dict(parts)), number))

    def outdate_config(self, number: int) -> None:
        """Note that records are settled under another config than the accepted one: whichever comes next reads everything."""
        self._db.execute("UPDATE pair SET digest=x'' WHERE id=?", (number,))

    def set_account(self, number: int, side: Side, account: str) -> None:
        self._db.execute(f"UPDATE pair SET {side.value}_account=? WHERE id=?", (account, number))

    def set_cursor(self, number: int, side: Side, cursor: str | None) -> None:
        self._db.execute(f"UPDATE pair SET {side.value}_cursor=? WHERE id=?", (cursor, number))

    def set_full_at(self, number: int, side: Side, at: float | None) -> None:
        """Note when the last complete listing of a side was taken; None: the next one is due."""
        self._db.execute(f"UPDATE pair SET {side.value}_full_at=? WHERE id=?", (at, number))

    def start(self, pair: int, at: float) -> int:
        cursor = self._db.execute("INSERT INTO run (pair, started_at) VALUES (?,?)", (pair, at))
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def finish(self, number: int, at: float, exit_code: int, report: Mapping[str, Any]) -> None:
        self._db.execute(
            "UPDATE run SET finished_at=?, exit=?, report=? WHERE id=?", (at, exit_code, orjson.dumps(report), number)
        )

    def recent(self, limit: int, pair: str | None = None, *, before: int | None = None) -> list[RunRow]:
        """The latest runs, newest first; `before`: those older than this one."""
        rows = self._db.execute(
            "SELECT r.id, p.name, r.started_at, r.finished_at, r.exit, r.report FROM run r JOIN pair p ON p.id=r.pair "
            "WHERE (? IS NULL OR p.name=?) AND (? IS NULL OR r.id<?) ORDER BY r.id DESC LIMIT ?",
            (pair, pair, before, before, limit),
        )
        return [_run(row) for row in rows]

    def get(self, number: int) -> RunRow | None:
        row = self._db.one(
            "SELECT r.id, p.name, r.started_at, r.finished_at, r.exit, r.report FROM run r JOIN pair p ON p.id=r.pair "
            "WHERE r.id=?",
            (number,),
        )
        return None if row is None else _run(row)

    def fresh_at(self, pair: int, exits: Sequence[int]) -> float | None:
        """When the latest run began that ended with one of these exit codes."""
        found: float | None = self._db.value(
            "SELECT started_at FROM run WHERE pair=? AND exit IN (SELECT value FROM json_each(?)) ORDER BY id DESC LIMIT 1",
            (pair, listed(map(int, exits))),
        )
        return found

    def expiry(self, pair: int, hash_: str) -> float | None:
        """Until when a refused run can be approved; None where nothing waits under this hash."""
        found: float | None = self._db.value("SELECT expires_at FROM approval WHERE pair=? AND hash=?", (pair, hash_))
        return found

    def items(self, pair: int, hash_: str, prefix: str, limit: int) -> list[str]:
        """Some of the guarded actions of a refused run that start so."""
        rows = self._db.execute(
            f"SELECT item FROM approval_item WHERE {_STARTS} ORDER BY item LIMIT ?", (pair, hash_, *_span(prefix), limit)
        )
        return [row[0] for row in rows]

    def count_items(self, pair: int, hash_: str, prefix: str) -> int:
        """How many guarded actions of a refused run start so."""
        return int(self._db.value(f"SELECT count(*) FROM approval_item WHERE {_STARTS}", (pair, hash_, *_span(prefix))))

    def ask_approval(self, pair: int, hash_: str, items: Iterable[str], expires_at: float) -> None:
        """Keep the guarded actions of a refused run under the hash that was shown."""
        self._db.execute("DELETE FROM approval_item WHERE pair=? AND hash=?", (pair, hash_))
        self._db.execute(
            "INSERT INTO approval (hash, pair, expires_at) VALUES (?,?,?) "
            "ON CONFLICT (pair, hash) DO UPDATE SET expires_at=excluded.expires_at",
            (hash_, pair, expires_at),
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO approval_item (pair, hash, item) VALUES (?,?,?)", ((pair, hash_, item) for item in items)
        )

    def has_approval(self, pair: int, hash_: str, now: float) -> bool:
        """Whether a refused run with this hash is waiting and has not expired."""
        return bool(self._db.value("SELECT 1 FROM approval WHERE pair=? AND hash=? AND expires_at>?", (pair, hash_, now)))

    def not_approved(self, pair: int, hash_: str, items: Iterable[str]) -> int:
        """How many of these guarded actions the approval does not cover."""
        return sum(
            self._db.value("SELECT 1 FROM approval_item WHERE pair=? AND hash=? AND item=?", (pair, hash_, item)) is None
            for item in items
        )

    def spend_approval(self, pair: int, hash_: str) -> None:
        """An approval is good for one run."""
        self._db.execute("DELETE FROM approval WHERE pair=? AND hash=?", (pair, hash_))
        self._db.execute("DELETE FROM approval_item WHERE pair=? AND hash=?", (pair, hash_))

    def drop_expired(self, now: float) -> None:
        self._db.execute(
            "DELETE FROM approval_item WHERE (pair, hash) IN (SELECT pair, hash FROM approval WHERE expires_at<=?)", (now,)
        )
        self._db.execute("DELETE FROM approval WHERE expires_at<=?", (now,))


_COLUMNS = "id, name, digest, parts, left_account, right_account, left_cursor, right_cursor, left_full_at, right_full_at"


_STARTS = "pair=? AND hash=? AND item>=? AND item<?"


def _span(prefix: str) -> tuple[str, str]:
    """The texts that begin so, as a range of the index."""
    return prefix, prefix + chr(0x10FFFF)


def _pair(row: tuple[Any, ...]) -> PairState:
    number, name, digest, parts, left_account, right_account, left_cursor, right_cursor, left_full, right_full = row
    return PairState(
        number=number,
        name=name,
        digest=digest,
        parts=json.loads(parts),
        accounts={Side.LEFT: left_account, Side.RIGHT: right_account},
        cursors={Side.LEFT: left_cursor, Side.RIGHT: right_cursor},
        full_at={Side.LEFT: left_full, Side.RIGHT: right_full},
    )


def _run(row: tuple[Any, ...]) -> RunRow:
    number, pair, started_at, finished_at, exit_code, report = row
    return RunRow(
        number=number,
        pair=pair,
        started_at=started_at,
        finished_at=finished_at,
        exit=exit_code,
        report=None if report is None else orjson.loads(report),
    )
