"""
The rows of one run that need a decision, in temporary tables, so that a first sync of a million records stays flat in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from syncengine.connector import Fields
from syncengine.core.codec import decode, encode
from syncengine.core.detect import Presence
from syncengine.core.matching import Member
from syncengine.core.model import Side
from syncengine.store.database import Database, end_of, listed, pack, unpack

SIDES = {Side.LEFT: 0, Side.RIGHT: 1}
_OF_NUMBER = {0: Side.LEFT, 1: Side.RIGHT}
_PRESENCE = {presence.value: presence for presence in Presence}


# Never changed once made, but not frozen: there are several for every record, and a frozen one costs six times as much to make.
@dataclass(slots=True, kw_only=True)
class Staged:
    """One record as this run saw it; `fields` is None where it is gone or could not be read."""

    side: Side
    id: str
    presence: Presence
    fields: Fields | None = None
    fingerprint: bytes | None = None
    key: str | None = None
    link: int | None = None
    version: str | None = None
    modified_at: datetime | None = None
    provisional: bool = False


class Staging:
    """Rows by side and id; later rows replace earlier ones."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._is_empty = False
        self._has_provisional = True

    @property
    def is_empty(self) -> bool:
        """Whether nothing was put here since it was last cleared, so that nothing needs a decision."""
        return self._is_empty

    def clear(self) -> None:
        self._db.execute("DELETE FROM temp.staged")
        self._is_empty = True
        self._has_provisional = False

    def put(self, rows: Sequence[Staged]) -> None:
        if not rows:
            return
        self._is_empty = False
        self._has_provisional = self._has_provisional or any(row.provisional for row in rows)
        with self._db.scratch(len(rows)):
            self._put(rows)

    def _put(self, rows: Sequence[Staged]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO temp.staged "
            "(side, id, presence, doc, fingerprint, key, link, version, modified_at, provisional) VALUES (?,?,?,?,?,?,?,?,?,?)",
            [
                (
                    SIDES[row.side],
                    pack(row.id),
                    row.presence.value,
                    None if row.fields is None else encode(row.fields),
                    row.fingerprint,
                    row.key,
                    row.link,
                    row.version,
                    None if row.modified_at is None else row.modified_at.timestamp(),
                    row.provisional,
                )
                for row in rows
            ],
        )

    def drop(self, side: Side, ids: Sequence[str]) -> None:
        """Forget rows, so that they are read again by id."""
        self._db.executemany("DELETE FROM temp.staged WHERE side=? AND id=?", [(SIDES[side], pack(id_)) for id_ in ids])

    def present(self, side: Side, ids: Sequence[str]) -> set[str]:
        """Which of these ids are staged, whatever was found."""
        if not ids or self._is_empty:
            return set()
        rows = self._db.execute(
            "SELECT id FROM temp.staged WHERE side=? AND id IN (SELECT value FROM json_each(?))", (SIDES[side], packed(ids))
        )
        return {str(row[0]) for row in rows}

    def get(self, side: Side, ids: Sequence[str]) -> dict[str, Staged]:
        """The staged rows of these ids."""
        if not ids:
            return {}
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM temp.staged WHERE side=? AND id IN (SELECT value FROM json_each(?))",
            (SIDES[side], packed(ids)),
        )
        return {staged.id: staged for staged in map(_staged, rows)}

    def provisional(self, side: Side) -> list[Staged]:
        """The rows whose id is not lasting yet."""
        if not self._has_provisional:
            return []
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM temp.staged WHERE side=? AND provisional", (SIDES[side],))
        return [_staged(row) for row in rows]

    def links(self, *, after: int, limit: int) -> list[int]:
        """The next links that any staged row belongs to, in order of their number."""
        rows = self._db.execute("SELECT DISTINCT link FROM temp.staged WHERE link > ? ORDER BY link LIMIT ?", (after, limit))
        return [row[0] for row in rows]

    def of_links(self, links: Sequence[int]) -> dict[int, dict[Side, Staged]]:
        """The staged rows of these links, by link and side."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM temp.staged WHERE link IN (SELECT value FROM json_each(?))", (listed(links),)
        )
        found: dict[int, dict[Side, Staged]] = {}
        for staged in map(_staged, rows):
            assert staged.link is not None
            found.setdefault(staged.link, {})[staged.side] = staged
        return found

    def keyless(self, *, after: tuple[int, Any] | None, limit: int) -> tuple[list[Staged], tuple[int, Any] | None]:
        """The next rows that have neither link nor key, and where to go on."""
        side, id_ = after if after is not None else (-1, "")
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM temp.staged WHERE link IS NULL AND key IS NULL AND (side, id) > (?, ?) "
            "ORDER BY side, id LIMIT ?",
            (side, id_, limit),
        ).fetchall()
        place = (rows[-1][0], rows[-1][1]) if rows else None
        return [_staged(row) for row in rows], place

    def keys(self, *, after: str, limit: int) -> list[str]:
        """The next match keys of staged rows without a link, in order."""
        rows = self._db.execute(
            "SELECT DISTINCT key FROM temp.staged WHERE key > ? AND link IS NULL ORDER BY key LIMIT ?", (after, limit)
        )
        return [row[0] for row in rows]

    def free(self, keys: Sequence[str]) -> dict[str, list[Staged]]:
        """The staged rows without a link that have these keys."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM temp.staged WHERE link IS NULL AND key IN (SELECT value FROM json_each(?)) ORDER BY key",
            (listed(keys),),
        )
        return {str(key): list(group) for key, group in groupby(map(_staged, rows), key=lambda staged: staged.key)}

    def groups(self, pair: int, keys: Sequence[str]) -> dict[str, dict[Side, list[Member]]]:
        """All live records that share each key: as staged where this run could tell, else as the state knows them."""
        wanted = listed(keys)
        found: dict[str, dict[Side, list[Member]]] = {key: {Side.LEFT: [], Side.RIGHT: []} for key in keys}
        for side in Side:
            holders = self._db.execute(
                "SELECT id, key FROM temp.staged WHERE side=? AND presence='present' AND key IN (SELECT value FROM json_each(?)) "
                "UNION ALL SELECT r.id, r.key FROM record r WHERE r.end=? AND r.key IN (SELECT value FROM json_each(?)) "
                "AND NOT EXISTS (SELECT 1 FROM temp.staged s WHERE s.side=? AND s.id=r.id AND s.presence<>'unknown')",
                (SIDES[side], wanted, end_of(pair, side), wanted, SIDES[side]),
            ).fetchall()
            living, lost = self._linked(pair, side, [id_ for id_, _ in holders])
            for id_, key in holders:
                live, dead = living.get(id_), lost.get(id_)
                member = Member(id=str(id_), link=live or dead, spoken_for=live is not None)
                found[key][side].append(member)
        return found

    def _linked(self, pair: int, side: Side, ids: Sequence[str | int]) -> tuple[dict[str | int, int], dict[str | int, int]]:
        """The links of these records: those that are not dead, and the dead."""
        living: dict[str | int, int] = {}
        lost: dict[str | int, int] = {}
        if ids:
            for id_, number, is_dead in self._db.execute(linked_to(side), (pair, wanted := listed(ids), pair, wanted)):
                (lost if is_dead else living)[id_] = number
        return living, lost

    def count(self, side: Side, presence: Presence) -> int:
        """How many rows of a side were found in this state."""
        if self._is_empty:
            return 0
        found = self._db.value("SELECT count(*) FROM temp.staged WHERE side=? AND presence=?", (SIDES[side], presence.value))
        return int(found)

    def shared_keys(self, side: Side) -> list[tuple[str, int]]:
        """The match keys that more than one staged record of a side has, with how many, most first."""
        rows = self._db.execute(
            "SELECT key, count(*) AS records FROM temp.staged WHERE side=? AND key IS NOT NULL GROUP BY key HAVING records > 1 "
            "ORDER BY records DESC, key",
            (SIDES[side],),
        )
        return rows.fetchall()

    def without_key(self, side: Side) -> int:
        """How many staged records of a side have no match key."""
        return int(self._db.value("SELECT count(*) FROM temp.staged WHERE side=? AND key IS NULL", (SIDES[side],)))

    def bounds(self, pair: int) -> tuple[int, int, int]:
        """
        (linked rows, rows of links that have a side no more, free rows): no more updates, deletes and creates than these can come
        of them. What becomes of the survivor of a dead link may be yet to be decided.
        """
        if self._is_empty:
            return 0, 0, 0
        row = self._db.one(
            "SELECT count(link), count(CASE WHEN presence='gone' THEN link END), "
            "count(CASE WHEN link IS NULL AND presence='present' THEN 1 END) FROM temp.staged"
        )
        dead = self._db.value(
            "SELECT CASE WHEN EXISTS (SELECT 1 FROM link WHERE pair=? AND state='dead') THEN (SELECT count(*) FROM link "
            "WHERE id IN (SELECT link FROM temp.staged WHERE link IS NOT NULL) AND pair=? AND state='dead') ELSE 0 END",
            (pair, pair),
        )
        return row[0], row[1] + int(dead), row[2]

    def is_present(self, side: Side, id_: str) -> bool:
        """Whether this run saw the record alive."""
        row = self._db.one("SELECT presence FROM temp.staged WHERE side=? AND id=?", (SIDES[side], pack(id_)))
        return row is not None and row[0] == Presence.PRESENT.value

    def is_gone(self, side: Side, id_: str) -> bool:
        """Whether this run proved that the record is gone."""
        row = self._db.one("SELECT presence FROM temp.staged WHERE side=? AND id=?", (SIDES[side], pack(id_)))
        return row is not None and row[0] == Presence.GONE.value

    def strangers(self, pair: int, side: Side, *, newer_than: int, upto: int | None = None) -> list[str]:
        """Live records without a link that were first seen after the record numbered `newer_than`, and not after `upto`."""
        staged = self._db.execute(
            "SELECT s.id FROM temp.staged s LEFT JOIN record r ON r.end=? AND r.id=s.id "
            "WHERE s.side=? AND s.presence='present' AND s.link IS NULL AND (r.n IS NULL OR r.n>?) AND (? IS NULL OR r.n<=?)",
            (end_of(pair, side), SIDES[side], newer_than, upto, upto),
        )
        return [str(row[0]) for row in staged]

    def has_unread(self, pair: int, side: Side, *, newer_than: int) -> bool:
        """Whether a record without a link, first seen after the one numbered `newer_than`, could not be read by this run."""
        row = self._db.one(
            "SELECT 1 FROM temp.staged s LEFT JOIN record r ON r.end=? AND r.id=s.id "
            "WHERE s.side=? AND s.presence='unknown' AND s.link IS NULL AND (r.n IS NULL OR r.n>?) LIMIT 1",
            (end_of(pair, side), SIDES[side], newer_than),
        )
        return row is not None

    def rename(self, side: Side, old: str, new: str) -> None:
        """A record with a provisional id got its lasting one; whoever had that id before is gone."""
        self.drop(side, [new])
        self._db.execute("UPDATE temp.staged SET id=?, provisional=0 WHERE side=? AND id=?", (pack(new), SIDES[side], pack(old)))


def linked_to(side: Side) -> str:
    """
    The statement that finds (record, link, whether it is dead) for (pair, ids, pair, ids), the ids as `packed`.

    The living and the dead have an index each, and one statement uses one of them.
    """
    return " UNION ALL ".join(
        f"SELECT {side.value}_id, id, {dead} FROM link WHERE pair=? AND state{test}'dead' "
        f"AND {side.value}_id IN (SELECT value FROM json_each(?))"
        for test, dead in (("=", 1), ("<>", 0))
    )


_COLUMNS = "side, id, presence, doc, fingerprint, key, link, version, modified_at, provisional"


def packed(ids: Sequence[str]) -> str:
    """Ids for `json_each`, in the form the tables hold."""
    return listed(map(pack, ids))


def _staged(row: tuple[Any, ...]) -> Staged:
    side, id_, presence, doc, fingerprint, key, link, version, modified_at, provisional = row
    return Staged(
        side=_OF_NUMBER[side],
        id=unpack(id_) or "",
        presence=_PRESENCE[presence],
        fields=None if doc is None else decode(doc),
        fingerprint=fingerprint,
        key=key,
        link=link,
        version=version,
        modified_at=None if modified_at is None else datetime.fromtimestamp(modified_at, UTC),
        provisional=bool(provisional),
    )
