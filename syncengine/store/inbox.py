"""The inbox: conflicts and ambiguous matches that wait for a human, one entry per subject, kind and field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from syncengine.connector import Native
from syncengine.core.codec import decode, encode
from syncengine.core.decision import Ask, AskKind
from syncengine.core.merge import Choice, Pick
from syncengine.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An inbox entry; `subject` is `link:N`, `key:K` or `intent:N`. `choice` is the human's word, once given."""

    number: int
    pair: int
    subject: str
    link: int | None
    ask: Ask
    label: str
    opened_at: float
    choice: Choice | None


class Inbox:
    """The table `inbox`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def ask(self, pair: int, subject: str, link: int | None, label: str, asks: Sequence[Ask], at: float) -> None:
        """Open entries, or refresh them; a choice that no longer fits what the sides hold is taken back."""
        for ask in asks:
            shown = encode({"left": ask.left, "right": ask.right, "base": ask.base})
            self._db.execute(
                "INSERT INTO inbox (pair, subject, link, kind, field, label, shown, why, status, opened_at) "
                "VALUES (?,?,?,?,?,?,?,?,'open',?) "
                "ON CONFLICT (pair, subject, kind, field) WHERE status IN ('open','chosen') DO UPDATE SET "
                "link=excluded.link, label=excluded.label, why=excluded.why, "
                "status=CASE WHEN shown=excluded.shown THEN status ELSE 'open' END, shown=excluded.shown",
                (pair, subject, link, ask.kind.value, ask.field or "", label, shown, ask.why, at),
            )

    def close_others(self, pair: int, subject: str, asks: Sequence[Ask], at: float) -> None:
        """Close the entries of a subject that the last decision no longer asks."""
        still = {(ask.kind.value, ask.field or "") for ask in asks}
        rows = self._db.execute(
            "SELECT id, kind, field FROM inbox WHERE pair=? AND subject=? AND status IN ('open','chosen') "
            "AND kind NOT IN ('edit_survived','met')",
            (pair, subject),
        ).fetchall()
        for number, kind, name in rows:
            if (kind, name) not in still:
                self.close(number, at)

    def close(self, number: int, at: float) -> None:
        self._db.execute("UPDATE inbox SET status='closed', closed_at=? WHERE id=?", (at, number))

    def choose(self, number: int, pick: Pick, value: Native = None) -> None:
        """Store what a human chose; the next run acts on it."""
        self._db.execute(
            "UPDATE inbox SET status='chosen', pick=?, value=? WHERE id=?", (pick.value, encode({"value": value}), number)
        )

    def lapse(self, link: int) -> None:
        """Take back what a human chose about the whole record of a link: the question is open again."""
        self._db.execute(
            "UPDATE inbox SET status='open', pick=NULL, value=NULL WHERE link=? AND field='' AND status='chosen'", (link,)
        )

    def choices(self, pair: int, links: Sequence[int]) -> dict[int, dict[str | None, Choice]]:
        """What humans chose for these links, by field (None: the whole record)."""
        if not self._db.value("SELECT 1 FROM inbox WHERE pair=? AND status='chosen' LIMIT 1", (pair,)):
            return {}
        wanted = set(links)
        found: dict[int, dict[str | None, Choice]] = {}
        for entry in self.entries(pair):
            if entry.choice is not None and entry.link in wanted:
                assert entry.link is not None
                found.setdefault(entry.link, {})[entry.ask.field] = entry.choice
        return found

    def asked_deletes(self, pair: int) -> set[int]:
        """The links about which a delete was asked and not answered yet."""
        rows = self._db.execute("SELECT link FROM inbox WHERE pair=? AND status='open' AND kind='delete'", (pair,))
        return {row[0] for row in rows}

    def entries(self, pair: int | None = None, *, after: int = 0, limit: int = -1) -> list[Entry]:
        """The open entries (those with a choice not yet acted on included), oldest first; `limit` -1 is all of them."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM inbox WHERE status IN ('open','chosen') AND (? IS NULL OR pair=?) AND id>? "
            "ORDER BY id LIMIT ?",
            (pair, pair, after, limit),
        )
        return [_entry(row) for row in rows]

    def count_chosen(self, pair: int) -> int:
        """How many entries a human has answered whose answer has not been acted on yet."""
        return int(self._db.value("SELECT count(*) FROM inbox WHERE pair=? AND status='chosen'", (pair,)))

    def get(self, number: int) -> Entry | None:
        """An open entry; None where it is closed, or never was."""
        row = self._db.one(f"SELECT {_COLUMNS} FROM inbox WHERE id=? AND status IN ('open','chosen')", (number,))
        return None if row is None else _entry(row)

    def subjects(self, pair: int, prefix: str) -> set[str]:
        """The subjects with an open entry that start so."""
        rows = self._db.execute(
            "SELECT DISTINCT subject FROM inbox WHERE pair=? AND status IN ('open','chosen') AND substr(subject, 1, ?)=?",
            (pair, len(prefix), prefix),
        )
        return {row[0] for row in rows}

    def count(self, pair: int) -> int:
        """How many entries wait for a human; notices that nothing waits for are not counted."""
        return int(
            self._db.value(
                "SELECT count(*) FROM inbox WHERE pair=? AND status='open' AND kind NOT IN ('edit_survived','met')", (pair,)
            )
        )


_COLUMNS = "id, pair, subject, link, kind, field, label, shown, why, status, pick, value, opened_at"


def _entry(row: tuple[Any, ...]) -> Entry:
    number, pair, subject, link, kind, name, label, shown, why, status, pick, value, opened_at = row
    sides = decode(shown)
    choice = None
    if status == "chosen":
        choice = Choice(
            pick=Pick(pick),
            left=sides["left"],
            right=sides["right"],
            value=None if value is None else decode(value)["value"],
        )
    return Entry(
        number=number,
        pair=pair,
        subject=subject,
        link=link,
        ask=Ask(kind=AskKind(kind), field=name or None, left=sides["left"], right=sides["right"], base=sides["base"], why=why),
        label=label,
        opened_at=opened_at,
        choice=choice,
    )
