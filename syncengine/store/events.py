"""
Events that were sent to us: a durable log of the deliveries, and the records that they add up to.

The record of a key holds the latest value of every field that an event named; what no event named is absent. It outlives the
deliveries, which are only kept to recognise one that comes twice and to look into.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from syncengine.connector import Fields
from syncengine.core.codec import decode, encode
from syncengine.errors import SyncError
from syncengine.store.database import Database, listed
from syncengine.store.identity import Access
from syncengine.store.migrations import SCHEMA_VERSION
from syncengine.store.opening import connect, is_made, prove_ours

MOST_REFUSED: Final = 1_000
MOST_REFUSED_BYTES: Final = 16 * 2**20
"""How many refused deliveries of a system are kept: the oldest make room."""


class EventStatus(Enum):
    """What became of a delivery."""

    ACCEPTED = "accepted"
    REFUSED = "refused"


class EventReusedError(SyncError):
    """The sender gave two different events one id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """
    One delivery as it came. `event`: the sender's id of it, None where it has none. `digest` tells two bodies apart. `form`: the
    kind of body ("json" or "form"). `at` in epoch seconds.
    """

    system: str
    event: str | None
    digest: bytes
    form: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """An accepted event: its number, the record it went into, and whether it had been delivered before."""

    number: int
    record: str
    is_repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """A delivery as stored; `fields` are those that an accepted one named, `body` is what a refused one held."""

    number: int
    system: str
    event: str | None
    digest: bytes
    status: EventStatus
    received_at: float
    record: str | None
    fields: Fields | None
    form: str
    body: bytes | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """What the events of a key add up to; `n` rises with every change in its system."""

    id: str
    n: int
    fields: Fields


class Events:
    """The tables `event` and `event_record`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @classmethod
    def reader(cls, path: Path) -> Events:
        """
        The events of a state file on a connection of their own, to read beside others; none where there is no state yet.

        The caller has opened the same state, and so proved that it is the one to use.
        """
        if not path.exists():
            return cls(Database.memory())
        database = connect(path, Access.READ)
        try:
            prove_ours(database, path)
            if is_made(database) and database.value("PRAGMA user_version") >= SCHEMA_VERSION:
                return cls(database)
        except BaseException:
            database.disconnect()
            raise
        database.disconnect()
        return cls(Database.memory())

    def close(self) -> None:
        """Let go of a connection that `reader` made."""
        self._db.disconnect()

    # Deliveries

    def accept(self, delivery: Delivery, record: str, fields: Fields) -> Receipt:
        """
        Store an event durably, and what it changes in its record. One that was accepted before changes nothing more.

        Raises EventReusedError where another body came under the same id.
        """
        with self._db.transaction():
            known = self._known(delivery)
            if known is not None and known[1] is EventStatus.ACCEPTED:
                number, _, digest, into = known
                if digest != delivery.digest:
                    msg = f"event {delivery.event}: another body was accepted under this id before; give each event its own id"
                    raise EventReusedError(msg)
                return Receipt(number=number, record=into, is_repeated=True)
            row = (delivery.digest, EventStatus.ACCEPTED.value, delivery.at, record, encode(fields), delivery.form, None, "")
            number = self._put(delivery, known, row)
            self._merge(delivery.system, record, fields, delivery.at)
        return Receipt(number=number, record=record)

    def refuse(self, delivery: Delivery, body: bytes, why: str) -> int:
        """
        Keep a bad event for inspection; the same one delivered again takes its own place. Returns its number.

        Raises EventReusedError where another body was accepted under its id.
        """
        with self._db.transaction():
            known = self._known(delivery)
            if known is not None and known[1] is EventStatus.ACCEPTED:
                msg = f"event {delivery.event}: another body was accepted under this id before; give each event its own id"
                raise EventReusedError(msg)
            row = (delivery.digest, EventStatus.REFUSED.value, delivery.at, None, None, delivery.form, body, why)
            number = self._put(delivery, known, row)
            self._make_room(delivery.system)
        return number

    def drop(self, number: int) -> None:
        """Forget a refused event."""
        with self._db.transaction():
            self._db.execute("DELETE FROM event WHERE id=? AND status='refused'", (number,))

    def get(self, number: int) -> EventRow | None:
        row = self._db.one(f"SELECT {_COLUMNS} FROM event WHERE id=?", (number,))
        return None if row is None else _event(row)

    def recent(self, limit: int, *, system: str | None = None, status: EventStatus | None = None) -> list[EventRow]:
        """The latest deliveries, newest first."""
        wanted = None if status is None else status.value
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM event WHERE (? IS NULL OR system=?) AND (? IS NULL OR status=?) ORDER BY id DESC LIMIT ?",
            (system, system, wanted, wanted, limit),
        )
        return [_event(row) for row in rows]

    def refused(self) -> dict[str, int]:
        """How many refused events are kept, by system."""
        return dict(self._db.execute("SELECT system, count(*) FROM event WHERE status='refused' GROUP BY system").fetchall())

    def _known(self, delivery: Delivery) -> tuple[int, EventStatus, bytes, str] | None:
        """The delivery that this one repeats, or takes the place of."""
        columns = "SELECT id, status, digest, record FROM event"
        if delivery.event is not None:
            row = self._db.one(f"{columns} WHERE system=? AND event=?", (delivery.system, delivery.event))
        else:
            row = self._db.one(
                f"{columns} WHERE system=? AND digest=? AND status='refused' AND event IS NULL",
                (delivery.system, delivery.digest),
            )
        return None if row is None else (row[0], EventStatus(row[1]), row[2], row[3])

    def _put(self, delivery: Delivery, known: tuple[int, EventStatus, bytes, str] | None, row: tuple[Any, ...]) -> int:
        if known is None:
            cursor = self._db.execute(
                "INSERT INTO event (digest, status, received_at, record, fields, form, body, why, system, event) "
                "VALUES (?,?,?,?,?,?,?,?,?,?)",
                (*row, delivery.system, delivery.event),
            )
            assert cursor.lastrowid is not None
            return cursor.lastrowid
        self._db.execute(
            "UPDATE event SET digest=?, status=?, received_at=?, record=?, fields=?, form=?, body=?, why=? WHERE id=?",
            (*row, known[0]),
        )
        return known[0]

    def _make_room(self, system: str) -> None:
        self._db.execute(
            "DELETE FROM event WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER latest AS place, "
            "sum(length(body)) OVER latest AS bytes FROM event WHERE system=? AND status='refused' "
            "WINDOW latest AS (ORDER BY id DESC)) WHERE place>? OR (bytes>? AND place>1))",
            (system, MOST_REFUSED, MOST_REFUSED_BYTES),
        )

    # Records

    def _merge(self, system: str, record: str, fields: Fields, at: float) -> None:
        stored = self._db.value("SELECT fields FROM event_record WHERE system=? AND id=?", (system, record))
        merged = encode({**(decode(stored) if stored is not None else {}), **fields})
        if merged != stored:
            self._db.execute(
                "INSERT OR REPLACE INTO event_record (system, id, n, fields, changed_at) VALUES (?,?,?,?,?)",
                (system, record, self.newest(system) + 1, merged, at),
            )

    def newest(self, system: str) -> int:
        """The highest `n` of a system; 0 where it holds nothing. No record is ever taken out, so none is used twice."""
        return int(self._db.value("SELECT coalesce(max(n), 0) FROM event_record WHERE system=?", (system,)))

    def page(self, system: str, *, after: int, limit: int) -> list[EventRecord]:
        """The next records in the order of their latest change."""
        rows = self._db.execute(
            "SELECT id, n, fields FROM event_record WHERE system=? AND n>? ORDER BY n LIMIT ?", (system, after, limit)
        )
        return [_record(row) for row in rows.fetchall()]

    def records(self, system: str, ids: Sequence[str]) -> dict[str, EventRecord]:
        """These records by id, as far as there are any."""
        rows = self._db.execute(
            "SELECT id, n, fields FROM event_record WHERE system=? AND id IN (SELECT value FROM json_each(?))",
            (system, listed(ids)),
        )
        return {row[0]: _record(row) for row in rows.fetchall()}

    def count(self, system: str) -> int:
        """How many records there are."""
        return int(self._db.value("SELECT count(*) FROM event_record WHERE system=?", (system,)))

    def changed_since(self, system: str, after: int) -> tuple[int, float | None]:
        """How many records changed after a cursor, and when the first of them did (epoch seconds)."""
        count, first = self._db.one("SELECT count(*), min(changed_at) FROM event_record WHERE system=? AND n>?", (system, after))
        return int(count), first


_COLUMNS = "id, system, event, digest, status, received_at, record, fields, form, body, why"


def _event(row: tuple[Any, ...]) -> EventRow:
    number, system, event, digest, status, received_at, record, fields, form, body, why = row
    return EventRow(
        number=number,
        system=system,
        event=event,
        digest=digest,
        status=EventStatus(status),
        received_at=received_at,
        record=record,
        fields=None if fields is None else decode(fields),
        form=form,
        body=body,
        why=why,
    )


def _record(row: tuple[Any, ...]) -> EventRecord:
    id_, n, fields = row
    return EventRecord(id=id_, n=n, fields=decode(fields))
