"""The links: the durable fact "this left id is this right id", with one shadow per side."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from syncengine.connector import Fields, Native
from syncengine.core.codec import decode, decode_beside, encode, encode_beside
from syncengine.core.decision import LinkState
from syncengine.core.model import Side
from syncengine.store.database import Database, end_of, listed, pack, unpack
from syncengine.store.journal import OPEN
from syncengine.store.staging import linked_to, packed


@dataclass(slots=True, kw_only=True)
class LinkSide:
    """
    One side of a link: `shadow` is what the system last said it stored, per field; `aside` what it was last seen to hold
    where that differs; `unconfirmed` the fields whose shadow is what we sent.
    """

    id: str | None
    shadow: dict[str, Native] = field(default_factory=dict)
    aside: Fields | None = None
    version: str | None = None
    unconfirmed: frozenset[str] = frozenset()


@dataclass(slots=True, kw_only=True)
class Link:
    """A link as stored; `number` is 0 until it is inserted."""

    number: int = 0
    pair: int
    state: LinkState
    left: LinkSide
    right: LinkSide

    def side(self, side: Side) -> LinkSide:
        return self.left if side is Side.LEFT else self.right

    def replace(self, side: Side, value: LinkSide) -> None:
        """Put another record on one side."""
        if side is Side.LEFT:
            self.left = value
        else:
            self.right = value


class Links:
    """The table `link`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def count(self, pair: int) -> int:
        """How many links are live or suspended."""
        return int(
            self._db.value(
                # Counted in an index: the table with its shadows is a hundred times as large. What is under way has an intent.
                "SELECT "
                "(SELECT count(*) FROM link INDEXED BY link_left WHERE pair=? AND state<>'dead' AND left_id IS NOT NULL) - "
                f"(SELECT count(*) FROM link WHERE id IN (SELECT link FROM intent INDEXED BY intent_open WHERE {OPEN}) "
                "AND pair=? AND state='creating' AND left_id IS NOT NULL)",
                (pair, pair),
            )
        )

    def load(self, numbers: Sequence[int]) -> dict[int, Link]:
        """These links, by number."""
        if not numbers:
            return {}
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM link WHERE id IN (SELECT value FROM json_each(?))", (listed(numbers),))
        return {link.number: link for link in map(_link, rows)}

    def of_records(self, pair: int, side: Side, ids: Sequence[str]) -> dict[str, int]:
        """The link of each of these records; a dead one only where there is no other."""
        if not ids:
            return {}
        wanted = packed(ids)
        # The dead come first, so that the living take their place.
        return {str(id_): number for id_, number, _ in self._db.execute(linked_to(side), (pair, wanted, pair, wanted))}

    def dead_of(self, pair: int, side: Side, id_: str) -> list[int]:
        """The dead links that this record survived."""
        rows = self._db.execute(f"SELECT id FROM link WHERE pair=? AND {side.value}_id=? AND state='dead'", (pair, pack(id_)))
        return [row[0] for row in rows]

    def partners(self, pair: int, side: Side, numbers: Iterable[int]) -> dict[int, str | None]:
        """The record on one side of each of these links; dead links point to nothing."""
        rows = self._db.execute(
            f"SELECT id, {side.value}_id FROM link WHERE pair=? AND state<>'dead' AND id IN (SELECT value FROM json_each(?))",
            (pair, listed(numbers)),
        )
        return {number: unpack(id_) for number, id_ in rows}

    def live_of(self, pair: int, side: Side, ids: Sequence[str]) -> dict[str, int]:
        """The link number of each record whose link is not dead: what references resolve to."""
        if not ids:
            return {}
        rows = self._db.execute(
            f"SELECT {side.value}_id, id FROM link WHERE pair=? AND state<>'dead' "
            f"AND {side.value}_id IN (SELECT value FROM json_each(?))",
            (pair, packed(ids)),
        )
        return {str(id_): number for id_, number in rows}

    def former(self, pair: int, side: Side, id_: str) -> str | None:
        """The record that this one was linked to before the state was rebuilt."""
        row = self._db.one(
            f"SELECT {side.other.value}_id FROM former WHERE pair=? AND {side.value}_id=? LIMIT 1", (pair, pack(id_))
        )
        return None if row is None else unpack(row[0])

    def has_former(self, pair: int) -> bool:
        """Whether any record that was linked before the state was rebuilt is still to be met again."""
        return bool(self._db.value("SELECT 1 FROM former WHERE pair=? LIMIT 1", (pair,)))

    def forget_former(self, pair: int) -> None:
        """A run saw everything: what is not linked by now, nor waits for it, is not the same thing."""
        self._db.execute(
            "DELETE FROM former WHERE pair=? AND left_id NOT IN (SELECT id FROM pending WHERE end=?) "
            "AND right_id NOT IN (SELECT id FROM pending WHERE end=?)",
            (pair, *(end_of(pair, side) for side in Side)),
        )

    def insert(self, links: Sequence[Link]) -> None:
        """Add links and set their numbers."""
        first = int(self._db.value("SELECT seq FROM sqlite_sequence WHERE name='link'") or 0) + 1
        for number, link in enumerate(links, first):
            link.number = number
        self._db.executemany(
            f"INSERT INTO link ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)", [(link.number, *_row(link)) for link in links]
        )

    def has_dead(self, pair: int) -> bool:
        """Whether any link of the pair is dead."""
        return bool(self._db.value("SELECT 1 FROM link WHERE pair=? AND state='dead' LIMIT 1", (pair,)))

    def save(self, links: Sequence[Link]) -> None:
        """Store links as they now are."""
        self._db.executemany(
            "UPDATE link SET state=?, left_id=?, right_id=?, left_shadow=?, right_shadow=?, left_aside=?, "
            "right_aside=?, left_version=?, right_version=?, left_unconfirmed=?, right_unconfirmed=? WHERE id=?",
            [(*_row(link)[1:], link.number) for link in links],
        )

    def overwritten(self, pair: str, side: Side, id_: str, fields: Collection[str]) -> None:
        """What these fields of a record hold is no longer what became of a write of that pair (by name)."""
        rows = self._db.execute(
            f"SELECT id FROM link WHERE pair=(SELECT id FROM pair WHERE name=?) AND {side.value}_id=? AND state<>'dead' "
            f"AND {side.value}_unconfirmed IS NOT NULL",
            (pair, pack(id_)),
        ).fetchall()
        links = list(self.load([number for (number,) in rows]).values())
        for link in links:
            link.side(side).unconfirmed -= frozenset(fields)
        self.save(links)

    def end(self, numbers: Sequence[int]) -> None:
        """Forget links whose records are both gone, or that were dissolved."""
        self._db.executemany("DELETE FROM link WHERE id=?", [(number,) for number in numbers])

    def all_numbers(self, pair: int, *, after: int, limit: int) -> list[int]:
        """The next link numbers of a pair, for whoever goes through all of them."""
        rows = self._db.execute("SELECT id FROM link WHERE pair=? AND id>? ORDER BY id LIMIT ?", (pair, after, limit))
        return [row[0] for row in rows]


_COLUMNS = (
    "id, pair, state, left_id, right_id, left_shadow, right_shadow, left_aside, right_aside, "
    "left_version, right_version, left_unconfirmed, right_unconfirmed"
)


def _row(link: Link) -> tuple[Any, ...]:
    left, right = link.left, link.right
    return (
        link.pair,
        link.state.value,
        pack(left.id),
        pack(right.id),
        encode(left.shadow) if left.shadow else None,
        encode_beside(right.shadow, left.shadow) if right.shadow else None,
        None if left.aside is None else encode(left.aside),
        None if right.aside is None else encode(right.aside),
        left.version,
        right.version,
        "\n".join(sorted(left.unconfirmed)) or None,
        "\n".join(sorted(right.unconfirmed)) or None,
    )


def _link(row: tuple[Any, ...]) -> Link:
    number, pair, state, left_id, right_id, left_shadow, right_shadow, left_aside, right_aside, *rest = row
    left_version, right_version, left_unconfirmed, right_unconfirmed = rest
    left, right = shadows(left_shadow, right_shadow)
    return Link(
        number=number,
        pair=pair,
        state=LinkState(state),
        left=_side(left_id, left, left_aside, left_version, left_unconfirmed),
        right=_side(right_id, right, right_aside, right_version, right_unconfirmed),
    )


def shadows(left: bytes | None, right: bytes | None) -> tuple[dict[str, Native], dict[str, Native]]:
    """Both shadows of a link from its row, empty where there is none; ValueError where they cannot be read."""
    fields = {} if left is None else decode(left)
    return fields, {} if right is None else decode_beside(right, fields)


def _side(id_: Any, shadow: dict[str, Native], aside: bytes | None, version: str | None, unconfirmed: str | None) -> LinkSide:
    return LinkSide(
        id=unpack(id_),
        shadow=shadow,
        aside=None if aside is None else decode(aside),
        version=version,
        unconfirmed=frozenset(unconfirmed.split("\n")) if unconfirmed else frozenset(),
    )
