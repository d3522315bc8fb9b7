"""What the state says of a pair's records, where the oracle asks: who is linked, what was answered, sent, kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf
from sqlite3 import Connection
from typing import Any

from syncengine.connector import Native
from syncengine.core.codec import decode
from syncengine.core.model import Side
from syncengine.store.database import pack, unpack
from syncengine.store.links import shadows
from syncengine.testing.simulate.ghost import Atom, atoms
from syncengine.testing.simulate.shapes import Shape


class Ledger:
    """The state of one pair, read only."""

    def __init__(self, pair: int, states: Sequence[Connection]) -> None:
        self._pair = pair
        self._connection = states[0]
        self._states = states

    def has_another(self, side: Side, id_: str, source: str) -> bool:
        """Whether a record found another partner meanwhile than the one it was made for."""
        row = self._connection.execute(
            f"SELECT {side.other.value}_id FROM link WHERE pair=? AND {side.value}_id=? AND state='live'", (self._pair, pack(id_))
        ).fetchone()
        return row is not None and unpack(row[0]) != source

    def was_chosen(self, side: Side, id_: str) -> bool:
        """Whether a person answered any question about a record."""
        row = self._connection.execute(
            f"SELECT 1 FROM inbox n JOIN link l ON l.id=n.link WHERE l.pair=? AND l.{side.value}_id=? AND n.pick IS NOT NULL",
            (self._pair, pack(id_)),
        ).fetchone()
        return row is not None

    def closed_at(self, key: str) -> float:
        """When the outcome of the intent with this idempotency key was settled; never, while it is in doubt."""
        (at,) = self._connection.execute(
            "SELECT CASE WHEN state IN ('done','closed') THEN closed_at END FROM intent WHERE idempotency_key=?", (key,)
        ).fetchone()
        return inf if at is None else float(at)

    def was_given_up(self, key: str) -> bool:
        """Whether nobody could prove what became of the intent with this idempotency key, so that it was decided again."""
        (state,) = self._connection.execute("SELECT state FROM intent WHERE idempotency_key=?", (key,)).fetchone()
        return bool(state == "closed")

    def given_up(self, key: str) -> tuple[float, float]:
        """When the run began that settled the intent with this idempotency key, and when it did; never, while it is in doubt."""
        ended = self.closed_at(key)
        (begun,) = self._connection.execute(
            "SELECT max(started_at) FROM run WHERE pair=? AND started_at<=?", (self._pair, ended)
        ).fetchone()
        return float(begun), ended

    def proved_updates(self, side: Side, id_: str) -> Iterator[Mapping[str, Native]]:
        """What the updates of a record sent that were proved."""
        sql = "SELECT payload FROM intent WHERE pair=? AND side=? AND record=? AND op='update' AND state='done'"
        for (payload,) in everywhere(self._states, sql, (self._pair, side.value, pack(id_))):
            yield decode(payload)

    def was_in_doubt(self, side: Side, id_: str) -> bool:
        """Whether an update of the record ever ended without proof, and no version was known that could have proved anything."""
        sql = "SELECT 1 FROM intent WHERE pair=? AND side=? AND record=? AND op='update' AND state='closed' AND version IS NULL"
        return bool(everywhere(self._states, sql, (self._pair, side.value, pack(id_))))

    def is_kept(self, side: Side, id_: str, shape: Shape, atom: Atom) -> bool:
        """Whether a value of a record was put into the attic."""
        sql = "SELECT value FROM attic WHERE pair=? AND side=? AND record=? AND field=?"
        rows = everywhere(self._states, sql, (self._pair, side.value, pack(id_), shape.native(side)))
        return any(atom in atoms(shape, decode(value)["value"]) for (value,) in rows)

    def shadows_of(self, side: Side, id_: str) -> Mapping[Side, Mapping[str, Native]]:
        """Both shadows of the live link of a record; empty where there is none."""
        row = self._connection.execute(
            f"SELECT left_shadow, right_shadow FROM link WHERE pair=? AND {side.value}_id=? AND state='live'",
            (self._pair, pack(id_)),
        ).fetchone()
        return dict(zip(Side, ({}, {}) if row is None else shadows(*row), strict=True))

    def made_for(self, side: Side, key: str) -> str | None:
        """The record for which a create was sent, by the key of its intent."""
        row = self._connection.execute(
            f"SELECT l.{side.other.value}_id FROM intent i JOIN link l ON l.id=i.link WHERE i.idempotency_key=?", (key,)
        ).fetchone()
        return None if row is None else unpack(row[0])

    def shadow(self, side: Side, link: int | None) -> Mapping[str, Native]:
        """One shadow of a link."""
        row = self._connection.execute("SELECT left_shadow, right_shadow FROM link WHERE id=?", (link,)).fetchone()
        return {} if row is None else dict(zip(Side, shadows(*row), strict=True))[side]

    def origin(self, key: str) -> tuple[int, int | None]:
        """The run that first meant to send the intent with this idempotency key, and its link."""
        run, link = self._connection.execute("SELECT run, link FROM intent WHERE idempotency_key=?", (key,)).fetchone()
        return int(run), link

    def started_at(self, run: int) -> float:
        """When a run began."""
        (at,) = self._connection.execute("SELECT started_at FROM run WHERE id=?", (run,)).fetchone()
        return float(at)

    def ended_run(self, key: str) -> int | None:
        """The run that first meant to send an intent; None while it is the latest one."""
        run, latest = self._connection.execute(
            "SELECT run, (SELECT max(id) FROM run) FROM intent WHERE idempotency_key=?", (key,)
        ).fetchone()
        return None if run == latest else int(run)


def everywhere(states: Sequence[Connection], sql: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """What a state and those that it was rebuilt from say: their journals, attics and inboxes are kept beside it."""
    return [row for each in states for row in each.execute(sql, parameters)]
