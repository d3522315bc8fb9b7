"""The journal: the row written before each effect, and the attic for every value that lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson

from syncengine.connector import Fields, Native
from syncengine.core.codec import decode, decode_beside, encode, encode_beside
from syncengine.core.decision import Op
from syncengine.core.model import Side
from syncengine.store.database import Database, listed, pack, unpack

OPEN = "state IN ('sent','unknown','parked')"
"""What an intent is whose outcome is not proved; word for word the condition of the index `intent_open`."""


class IntentState(Enum):
    """The life of an intent; a crash leaves it `SENT`, which recovery treats as unknown."""

    SENT = "sent"
    UNKNOWN = "unknown"
    PARKED = "parked"
    DONE = "done"
    CLOSED = "closed"


# Never changed once made, but not frozen: there are several for every record, and a frozen one costs six times as much to make.
@dataclass(slots=True, kw_only=True)
class Intent:
    """
    One write, as committed before its first byte left.

    `payload`: native values to store. `before`: those they replace. `source`: the other side's values they came from. `record`:
    the id of the record; of a create, that of the record which is made anew by it, if any.
    `newest`: the highest record number of the side then, so that what appeared later can be told; `upto`: the highest one when a
    create was parked, so that what appeared later still is nobody's concern. `sent_at`: epoch
    seconds of the last send. `result`: the id the system gave.
    """

    number: int = 0
    run: int
    pair: int
    side: Side
    op: Op
    link: int | None
    record: str | None
    idempotency_key: str
    match_key: str | None
    label: str
    payload: Fields
    before: Fields
    source: Fields
    whys: Mapping[str, str]
    version: str | None
    newest: int
    upto: int | None = None
    sent_at: float
    state: IntentState = IntentState.SENT
    closed_at: float | None = None
    result: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AtticValue:
    """A value that lost: on which side and record, in which native field, and why."""

    run: int
    pair: int
    link: int | None
    side: Side
    record: str | None
    label: str
    field: str
    value: Native
    why: str
    at: float


class Journal:
    """The tables `intent` and `attic`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, intents: Sequence[Intent]) -> list[int]:
        """Write intents; returns their numbers, in order."""
        first = int(self._db.value("SELECT coalesce(max(id), 0) FROM intent")) + 1
        self._db.executemany(
            "INSERT INTO intent (id, run, pair, side, op, link, record, idempotency_key, match_key, label, payload, before, "
            "source, whys, version, newest, state, sent_at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            [
                (
                    number,
                    intent.run,
                    intent.pair,
                    intent.side.value,
                    intent.op.value,
                    intent.link,
                    pack(intent.record),
                    intent.idempotency_key,
                    intent.match_key,
                    intent.label,
                    encode(intent.payload),
                    encode(intent.before),
                    encode_beside(intent.source, intent.payload),
                    _told(intent.whys, intent.payload),
                    intent.version,
                    intent.newest,
                    intent.state.value,
                    intent.sent_at,
                )
                for number, intent in enumerate(intents, first)
            ],
        )
        return list(range(first, first + len(intents)))

    def close(self, rows: Sequence[tuple[int, IntentState, float, str | None, str | None]]) -> None:
        """Set (number, state, time, resulting id, error); `UNKNOWN` and `PARKED` stay open."""
        self._db.executemany(
            "UPDATE intent SET state=?, sent_at=coalesce(?, sent_at), closed_at=?, result=?, error=? WHERE id=?",
            [
                (
                    state.value,
                    # What goes out late in a long batch can land late: the horizon counts from the moment the doubt came up.
                    at if state is IntentState.UNKNOWN else None,
                    None if state in (IntentState.UNKNOWN, IntentState.PARKED) else at,
                    pack(result),
                    error,
                    number,
                )
                for number, state, at, result, error in rows
            ],
        )

    def park(self, number: int, *, upto: int, why: str) -> None:
        """Leave an intent to a human: what it made, if anything, is among the records numbered up to `upto`."""
        self._db.execute("UPDATE intent SET state='parked', upto=?, error=? WHERE id=?", (upto, why, number))

    def presume_sent(self, pair: int, *, run: int, at: float) -> None:
        """What an earlier run that died may have sent at any moment until `at` is in doubt as from then."""
        self._db.execute(
            "UPDATE intent INDEXED BY intent_open SET state='unknown', sent_at=? "
            f"WHERE {OPEN} AND pair=? AND state='sent' AND run<>?",
            (at, pair, run),
        )

    def resent(self, number: int, at: float) -> None:
        """Note, before it goes out, that an intent is sent once more: the clock of late arrivals starts again."""
        self._db.execute("UPDATE intent SET state='sent', sent_at=? WHERE id=?", (at, number))

    def not_resent(self, number: int, at: float) -> None:
        """The last send turned out to be none: the intent is in doubt as from the one before."""
        self._db.execute("UPDATE intent SET state='unknown', sent_at=? WHERE id=?", (at, number))

    def unresolved(self, pair: int) -> list[Intent]:
        """Every intent whose outcome is not proved."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM intent INDEXED BY intent_open WHERE {OPEN} AND pair=? ORDER BY id", (pair,)
        )
        return [_intent(row) for row in rows]

    def is_in_doubt(self, pair: int) -> bool:
        """Whether an outcome is not proved that another look may prove: one that is not left to a human."""
        sql = f"SELECT 1 FROM intent INDEXED BY intent_open WHERE {OPEN} AND state<>'parked' AND pair=? LIMIT 1"
        return bool(self._db.value(sql, (pair,)))

    def replaced(self, pair: int, *, after: int) -> tuple[dict[Side, dict[str, int]], int]:
        """
        The ids whose record was made anew under another one, each with the link that it was made for, by intents above the number
        `after`; and up to which number all of them are known: what is still in doubt may turn out to be one more.
        """
        found: dict[Side, dict[str, int]] = {Side.LEFT: {}, Side.RIGHT: {}}
        newest, doubtful = self._db.execute(
            "SELECT coalesce(max(id), 0), min(CASE WHEN state IN ('sent','unknown','parked') THEN id END) FROM intent WHERE id>?",
            (after,),
        ).fetchone()
        upto = max(after, newest if doubtful is None else doubtful - 1)
        for side, record, link in self._db.execute(
            "SELECT side, record, link FROM intent WHERE id>? AND pair=? AND op='create' AND state='done' AND record IS NOT NULL "
            "ORDER BY id",
            (after, pair),
        ):
            found[Side(side)][str(unpack(record))] = link
        return found, upto

    def doubtful_keys(self, pairs: Sequence[str], side: Side) -> set[str]:
        """The match keys of creates in doubt on this side of these pairs (by name)."""
        rows = self._db.execute(
            "SELECT match_key FROM intent INDEXED BY intent_open "
            f"WHERE {OPEN} AND pair IN (SELECT id FROM pair WHERE name IN (SELECT value FROM json_each(?))) "
            "AND side=? AND op='create' AND match_key IS NOT NULL",
            (listed(pairs), side.value),
        )
        return {row[0] for row in rows}

    def overwritten(self, intent: Intent, pair: str, side: Side) -> set[str]:
        """
        The fields of its record that another pair (by name), to which its resource is on this side, may have written after an
        intent: those of its updates that were not over when the run of the intent began.
        """
        rows = self._db.execute(
            "SELECT payload FROM intent WHERE pair=(SELECT id FROM pair WHERE name=?) AND side=? AND op='update' AND record=? "
            "AND (closed_at IS NULL OR closed_at>=(SELECT started_at FROM run WHERE id=?))",
            (pair, side.value, pack(intent.record), intent.run),
        )
        return {name for (payload,) in rows for name in decode(payload)}

    def of_run(self, run: int, *, after: int = 0, limit: int = -1) -> Iterator[Intent]:
        """The intents of a run, in order; `limit` -1 is all of them."""
        sql = f"SELECT {_COLUMNS} FROM intent WHERE run=? AND id>? ORDER BY id LIMIT ?"
        for row in self._db.execute(sql, (run, after, limit)):
            yield _intent(row)

    def get(self, number: int) -> Intent | None:
        row = self._db.one(f"SELECT {_COLUMNS} FROM intent WHERE id=?", (number,))
        return None if row is None else _intent(row)

    def of_link(self, link: int) -> Intent | None:
        """The open intent of a link, if any."""
        row = self._db.one(f"SELECT {_COLUMNS} FROM intent WHERE link=? AND {OPEN}", (link,))
        return None if row is None else _intent(row)

    def deletes_since(self, pair: int, since: float) -> int:
        """How many deletes and archives were sent since a time (epoch seconds)."""
        return int(
            self._db.value(
                "SELECT count(*) FROM intent WHERE pair=? AND op IN ('archive','delete') AND state<>'closed' AND sent_at>?",
                (pair, since),
            )
        )

    def keep(self, values: Sequence[AtticValue]) -> None:
        """Put values into the attic."""
        self._db.executemany(
            "INSERT INTO attic (run, pair, link, side, record, label, field, value, why, at) VALUES (?,?,?,?,?,?,?,?,?,?)",
            [
                (
                    value.run,
                    value.pair,
                    value.link,
                    value.side.value,
                    pack(value.record),
                    value.label,
                    value.field,
                    encode({"value": value.value}),
                    value.why,
                    value.at,
                )
                for value in values
            ],
        )

    def attic(self, pair: int) -> Iterator[AtticValue]:
        """Everything in the attic of a pair, oldest first."""
        for row in self._db.execute(
            "SELECT run, pair, link, side, record, label, field, value, why, at FROM attic WHERE pair=? ORDER BY id", (pair,)
        ):
            run, number, link, side, record, label, name, value, why, at = row
            yield AtticValue(
                run=run,
                pair=number,
                link=link,
                side=Side(side),
                record=unpack(record),
                label=label,
                field=name,
                value=decode(value)["value"],
                why=why,
                at=at,
            )


_COLUMNS = (
    "id, run, pair, side, op, link, record, idempotency_key, match_key, label, payload, before, source, whys, version, "
    "newest, upto, state, sent_at, closed_at, result, error"
)


def _told(whys: Mapping[str, str], payload: Fields) -> str:
    """The reasons as stored: once where it is the same for every field of the payload, as in every create."""
    if whys and len(set(whys.values())) == 1 and list(whys) == list(payload):
        return orjson.dumps(next(iter(whys.values()))).decode()
    return orjson.dumps(dict(whys)).decode()


def _tell(whys: Any, payload: Fields) -> Mapping[str, str]:
    return dict.fromkeys(payload, whys) if isinstance(whys, str) else whys


def _intent(row: tuple[Any, ...]) -> Intent:
    (number, run, pair, side, op, link, record, key, match_key, label, payload, before, source, whys, version, newest, upto,
     state, sent_at, closed_at, result, error) = row  # fmt: skip
    fields = decode(payload)
    return Intent(
        number=number,
        run=run,
        pair=pair,
        side=Side(side),
        op=Op(op),
        link=link,
        record=unpack(record),
        idempotency_key=key,
        match_key=match_key,
        label=label,
        payload=fields,
        before=decode(before),
        source=decode_beside(source, fields),
        whys=_tell(orjson.loads(whys), fields),
        version=version,
        newest=newest,
        upto=upto,
        sent_at=sent_at,
        state=IntentState(state),
        closed_at=closed_at,
        result=unpack(result),
        error=error,
    )
