"""What is wrong with which pair, and what the operator was told of it: so that a restart repeats nothing and forgets nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from syncengine.store.database import Database, listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """
    The condition of a pair (`subject`) as we know it, and as it was told.

    `level` counts what is wrong where that can be counted. `message` is how many messages went out since the pair was fine,
    `tries` how often the next one could not be delivered, `next_at` when that is tried again. Times are epoch seconds.
    """

    number: int
    subject: str
    condition: str
    reason: str
    level: int
    since: float
    message: int = 0
    told: str
    told_level: int = 0
    told_at: float | None = None
    tries: int = 0
    next_at: float = 0.0


class Alerts:
    """The table `alert`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def all(self) -> dict[str, Alert]:
        """By subject."""
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM alert ORDER BY subject")
        return {row[1]: _alert(row) for row in rows}

    def note(self, subject: str, condition: str, reason: str, *, level: int, fine: str, now: float) -> Alert:
        """Keep the condition that a pair is in; another one than before is told as soon as it can be."""
        with self._db.transaction():
            self._db.execute(
                "INSERT INTO alert (subject, condition, reason, level, since, message, told, told_level) "
                "VALUES (?,?,?,?,?,0,?,0) "
                "ON CONFLICT (subject) DO UPDATE SET reason=excluded.reason, level=excluded.level, "
                "since=CASE WHEN condition=excluded.condition THEN since ELSE excluded.since END, "
                "tries=CASE WHEN condition=excluded.condition THEN tries ELSE 0 END, "
                "next_at=CASE WHEN condition=excluded.condition THEN next_at ELSE 0 END, condition=excluded.condition",
                (subject, condition, reason, level, now, fine),
            )
        return _alert(self._db.one(f"SELECT {_COLUMNS} FROM alert WHERE subject=?", (subject,)))

    def told(self, alert: Alert, *, at: float) -> None:
        """The receiver took note of this condition."""
        with self._db.transaction():
            self._db.execute(
                "UPDATE alert SET told=?, told_level=?, told_at=?, message=message+1, tries=0, next_at=0 WHERE id=?",
                (alert.condition, alert.level, at, alert.number),
            )

    def put_off(self, alert: Alert, *, until: float) -> None:
        """It could not be delivered: try again then."""
        with self._db.transaction():
            self._db.execute("UPDATE alert SET tries=tries+1, next_at=? WHERE id=?", (until, alert.number))

    def forget(self, subjects: Collection[str]) -> None:
        """Drop what is over and told, or no longer there."""
        with self._db.transaction():
            self._db.execute("DELETE FROM alert WHERE subject IN (SELECT value FROM json_each(?))", (listed(subjects),))


_COLUMNS = "id, subject, condition, reason, level, since, message, told, told_level, told_at, tries, next_at"


def _alert(row: tuple[object, ...]) -> Alert:
    return Alert(**dict(zip(("number", *_COLUMNS.split(", ")[1:]), row, strict=True)))  # type: ignore[arg-type]
