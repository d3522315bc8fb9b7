"""
The protocol of a write, watched at the instants of which it speaks: the lease when a request goes out, the budget when a record
is removed, effect and shadows when a commit is done, the cursors and the books when a command is over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from sqlite3 import Connection

from syncengine.connector import Archive, Change, Delete
from syncengine.core.codec import Fingerprinter, decode, decode_beside
from syncengine.core.model import Side
from syncengine.engine.remote import LONGEST_CALL
from syncengine.engine.report import Exit, RunReport
from syncengine.store.database import end_of, unpack
from syncengine.store.links import shadows
from syncengine.testing.simulate.crash import Violation
from syncengine.testing.simulate.ledger import everywhere
from syncengine.testing.simulate.pair import Pair
from syncengine.testing.simulate.ports import SimClock

CALL_SECONDS = 0.05
"""How long a call is on its way, there and back."""

_DAY = 86_400.0
_WAITS = (
    "SELECT (SELECT count(*) FROM pending WHERE end IN (?, ?)) + (SELECT count(*) FROM inbox WHERE pair=? AND status='open' "
    "AND kind NOT IN ('edit_survived', 'met')) + (SELECT count(*) FROM intent WHERE pair=? "
    "AND state IN ('sent', 'unknown', 'parked'))"
)


class Protocol:
    """
    The watch over one history. `caller` is the lease holder whose process is at work; `is_calm` says that nothing but the engine
    can have changed anything since the command began.
    """

    def __init__(self, pairs: Sequence[Pair], states: Sequence[Connection], clock: SimClock, counts: Counter[str]) -> None:
        self._pairs = pairs
        self._connection = states[0]
        self._states = states
        self._clock = clock
        self._counts = counts
        self._removals: list[str] = []
        self._commands: list[tuple[int, bool]] = [(-1, False)]
        self._effects: Counter[tuple[int, Side]] = Counter()
        self._before: Counter[tuple[int, Side]] = Counter()
        self._had_doubts = False
        self.caller = ""
        self.is_calm = False

    # At a call and at its effect

    def check_lease(self, system: str) -> None:
        """I14: a request goes out only under a lease of its own process that outlasts the longest call."""
        self._counts["I14"] += 1
        row = self._connection.execute("SELECT holder, until FROM lease WHERE resource=?", (f"{system}/people",)).fetchone()
        if row is None or row[0] != self.caller:
            raise Violation("I14", f"a write to the {system} by a process that does not hold its lease")
        left = row[1] - self._clock.time
        if left < LONGEST_CALL - CALL_SECONDS:
            raise Violation("I14", f"a write to the {system} with {left:.1f} s left of its lease")

    def note(self, pair: Pair, side: Side, change: Change) -> None:
        """An effect of a pair on one of its sides."""
        self._effects[pair.number, side] += 1
        if isinstance(change, Archive | Delete):
            self._check_budget(pair, change)

    def _check_budget(self, pair: Pair, change: Archive | Delete) -> None:
        """I9: within 24 hours no more is removed than the guard lets pass, save in a command that somebody approved."""
        self._counts["I9"] += 1
        self._removals.append(change.key)
        number, run, sent_at = self._connection.execute(
            "SELECT id, run, sent_at FROM intent WHERE idempotency_key=?", (change.key,)
        ).fetchone()
        if next(approved for before, approved in reversed(self._commands) if before < run):
            return
        # One that landed and that nobody could tell of afterwards is closed, and does not count; nor does what was meant later.
        marks = ",".join("?" * len(self._removals))
        (recent,) = self._connection.execute(
            f"SELECT count(*) FROM intent WHERE idempotency_key IN ({marks}) AND pair=? AND id<=? AND state<>'closed' "
            "AND sent_at>?",
            (*self._removals, pair.number, number, sent_at - _DAY),
        ).fetchone()
        (links,) = self._connection.execute(
            "SELECT count(*) FROM link WHERE pair=? AND state IN ('live', 'suspended')", (pair.number,)
        ).fetchone()
        limit = pair.configs.of_run(run).spec.guards.deletes
        if recent > limit.number and recent > int(limit.share * (links + recent)):
            raise Violation("I9", f"{recent} records were removed within a day, and nobody approved")

    # After a commit

    def check_commit(self) -> None:
        """I15: what closes an update as done has moved both shadows: what was written, and what it came from."""
        for number, side_name, payload, source, left, right in self._connection.execute(
            "SELECT i.pair, i.side, i.payload, i.source, l.left_shadow, l.right_shadow FROM intent i JOIN link l ON l.id=i.link "
            "WHERE i.state='done' AND i.op='update' AND i.closed_at=? AND l.left_id IS NOT NULL AND l.right_id IS NOT NULL",
            (self._clock.time,),
        ).fetchall():
            self._counts["I15"] += 1
            side = Side(side_name)
            sent = decode(payload)
            came_from = decode_beside(source, sent)
            both = dict(zip(Side, shadows(left, right), strict=True))
            for shape in self._pairs[number - 1].setup.shapes:
                name, other = shape.native(side), shape.native(side.other)
                if name in sent and other in came_from:
                    shadow = both[side.other]
                    if name not in both[side] or other not in shadow or shadow[other] != came_from[other]:
                        raise Violation("I15", f"an update is done, and the shadows do not say so of {shape.name}")

    # Between commands

    def begin(self, *, last_run: int, approved: bool, is_calm: bool) -> None:
        """A command begins."""
        self._commands.append((last_run, approved))
        self._before = Counter(self._effects)
        self._had_doubts = (
            self._connection.execute("SELECT 1 FROM intent WHERE state IN ('sent', 'unknown')").fetchone() is not None
        )
        self.is_calm = is_calm

    def check_books(self, reports: Sequence[RunReport]) -> None:
        """What a command says agrees with the state, and with what happened at the far sides."""
        for report in reports:
            self._counts["accounted"] += 1
            if "do not balance" in report.error:
                raise Violation("ACCOUNTED", report.error)
            pair = next(pair for pair in self._pairs if pair.setup.spec.name == report.pair)
            number = pair.number
            ends = [end_of(number, side) for side in Side]
            (waits,) = self._connection.execute(_WAITS, (*ends, number, number)).fetchone()
            if self.is_calm and (report.exit is Exit.DONE) and waits:
                raise Violation("ACCOUNTED", f"{report.pair} ends with exit code 0, and {waits} things wait")
            if self.is_calm and not self._had_doubts and not report.error:
                self._check_written(pair, report)

    def _check_written(self, pair: Pair, report: RunReport) -> None:
        for side in Side:
            where = pair.number, side
            told = sum(count for name, count in report.written.items() if name.startswith(f"{side.value}."))
            done = self._effects[where] - self._before[where]
            if told != done:
                raise Violation("ACCOUNTED", f"{report.pair} tells of {told} writes on the {side.value}, where {done} arrived")

    def check_cursors(self) -> None:
        """I13: every record that a stored cursor has passed is settled as it is, or waits."""
        for pair in self._pairs:
            rule = pair.setup.rule
            row = self._connection.execute(
                "SELECT digest, left_cursor, right_cursor, left_full_at, right_full_at FROM pair WHERE id=?", (pair.number,)
            ).fetchone()
            if row is None or row[0] != rule.digest:
                continue  # both are read whole next
            for side, cursor, full_at in zip(Side, row[1:3], row[3:], strict=True):
                if None not in (cursor, full_at) and not pair.oracle.has_hidden[side]:
                    self._check_cursor(pair, side, int(cursor.partition(":")[2]))

    def _check_cursor(self, pair: Pair, side: Side, upto: int) -> None:
        rows = [row for row in pair.far[side].live.values() if row.number <= upto]
        if not rows:
            return
        self._counts["I13"] += 1
        end, rule = end_of(pair.number, side), pair.setup.rule
        columns = rule.columns(side)
        prints = Fingerprinter(rule.digest).rows([tuple(row.fields[name] for name in columns) for row in rows])
        settled = dict(
            self._connection.execute("SELECT CAST(id AS TEXT), fingerprint FROM record WHERE end=?", (end,)).fetchall()
        )
        # An open intent is remembered as well: whatever becomes of it, both records of its link are read again by id.
        waiting = {
            unpack(row[0])
            for row in self._connection.execute(
                f"SELECT id FROM pending WHERE end=? UNION ALL SELECT l.{side.value}_id FROM link l JOIN intent i ON i.link=l.id "
                "WHERE l.pair=? AND i.state IN ('sent', 'unknown', 'parked')",
                (end, pair.number),
            )
        }
        for row, print_ in zip(rows, prints, strict=True):
            if row.id not in waiting and settled.get(row.id) != print_:
                raise Violation("I13", f"the cursor of the {side.value} has passed {row.id}, which is neither settled nor waits")

    # At the end

    def check_end(self) -> None:
        """What can be told only of the whole: the attic, and how much was written for what people did."""
        self._check_attic()
        for pair in self._pairs:
            self._check_cost(pair)

    def _check_attic(self) -> None:
        """I16: what is in the attic is what a write replaced or took away, and is there once."""
        for link, side, record, name, value, run, count in self._connection.execute(
            "SELECT link, side, record, field, value, run, count(*) FROM attic GROUP BY run, link, side, record, field, value"
        ).fetchall():
            self._counts["I16"] += 1
            if count > 1:
                raise Violation("I16", f"what {name} of {record} on the {side} held is in the attic {count} times")
            images = self._connection.execute(
                "SELECT before FROM intent WHERE run=? AND link IS ? AND side=? AND record IS ?", (run, link, side, record)
            ).fetchall()
            lost = decode(value)["value"]
            if not any(decode(image).get(name) == lost for (image,) in images):
                raise Violation("I16", f"the attic holds a value of {name} of {record} on the {side} that no write replaced")

    def _check_cost(self, pair: Pair) -> None:
        """L6: what was written is bounded by what people did."""
        self._counts["L6"] += 1
        written = sum(self._effects[pair.number, side] for side in Side)
        happened = sum(len(pair.far[side].events) for side in Side) - written
        answers = len(everywhere(self._states, "SELECT 1 FROM inbox WHERE pair=? AND pick IS NOT NULL", (pair.number,)))
        records = sum(len(pair.far[side].live) for side in Side)
        beginnings = len(pair.configs.all) + len(self._states) - 1
        most = 3 * happened + 2 * answers + 2 * records * beginnings
        if written > most:
            raise Violation("L6", f"{written} writes for {happened} things that people did and {answers} answers")
