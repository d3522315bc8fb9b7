"""
The oracle at the instant of an effect: what the reliability reference demands of every write, checked where it happens.

The invariants are named as there. What no protocol can prevent (an edit between the read and an unconditional write) is
excused, and counted.
"""

from __future__ import annotations

from collections.abc import Mapping

from syncengine.connector import Archive, Change, Create, Delete, Native, Restore, Update
from syncengine.core.codec import decode
from syncengine.core.model import Side
from syncengine.store.database import unpack
from syncengine.testing.simulate.crash import Violation
from syncengine.testing.simulate.creations import Creations
from syncengine.testing.simulate.farside import Row
from syncengine.testing.simulate.moments import Sent
from syncengine.testing.simulate.overwrites import Overwrites


class Oracle(Creations, Overwrites):
    """Judges the effects of one pair, each by its kind."""

    def about_to(self, side: Side, change: Change, before: Row | None, after: Mapping[str, Native] | None) -> None:
        try:
            self._judge(side, change, before, after)
        except Exception as error:
            # It would reach the engine as a bug of the connector, one of the faults, and nobody would ever hear of it.
            raise Violation("ORACLE", f"the oracle itself failed: {type(error).__name__}: {error}") from error

    def _judge(self, side: Side, change: Change, before: Row | None, after: Mapping[str, Native] | None) -> None:
        sent = self._written_ahead(change)
        self.bounds.check_direction(side, sent)
        if self.bounds.fence is not None:
            self.bounds.fence.check(sent)
        match change:
            case Create():
                assert after is not None
                self._create(side, change, sent, after)
            case Update() | Archive() | Delete() if before is not None and self._was_for_another(side, before.id, sent):
                self._excuse("reached the record that was given the id of the one that it was for", None)
            case Update():
                assert before is not None
                assert after is not None
                self._update(side, change, sent, before, after)
            case Archive() | Delete():
                assert before is not None
                self._removal(side, change, sent, before)
            case Restore():
                self._revival(side, sent, change.id)

    def _written_ahead(self, change: Change) -> Sent:
        self._counts["I10"] += 1
        if self._connection.in_transaction:
            raise Violation("I10", "a request went out while a transaction was open")
        row = self._connection.execute(
            "SELECT i.id, i.link, i.before, i.state, l.left_id, l.right_id, i.record, i.run, l.state FROM intent i "
            "LEFT JOIN link l ON l.id=i.link WHERE i.idempotency_key=?",
            (change.key,),
        ).fetchone()
        if row is None:
            raise Violation("I10", "an effect without a committed intent")
        number, link, image, state, left, right, record, run, link_state = row
        if state not in ("sent", "unknown", "parked"):
            raise Violation("I10", f"an effect of an intent that is {state} already")
        return Sent(number, link, unpack(left), unpack(right), decode(image), unpack(record), run, link_state)
