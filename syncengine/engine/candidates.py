"""The records that a create in doubt may have made: those that appeared since it was sent, and what each of them holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from syncengine.core.model import Side
from syncengine.engine.context import Context
from syncengine.engine.likeness import resembles
from syncengine.engine.read import match_key
from syncengine.store.journal import Intent
from syncengine.store.staging import Staged


class Candidates:
    """
    What may be whose, of all the creates in doubt of one pair.

    `linked` are the records that recovery has linked meanwhile. `told` are the creates, by number, of which something else than a
    look tells what became of them: a replay, or the id that was chosen for them.
    """

    def __init__(self, context: Context, linked: Collection[tuple[Side, str]]) -> None:
        self._context = context
        self._store = context.store
        self._pair = context.pair.number
        self._linked = linked
        self._creates: Sequence[Intent] = ()
        self._awaited: dict[tuple[Side, str | None], Intent] = {}
        self._strangers: dict[tuple[Side, int, int | None], dict[str, Staged]] = {}
        self.told: set[int] = set()

    def of(self, creates: Sequence[Intent]) -> None:
        """These are the creates in doubt."""
        self._creates = creates
        self._awaited = {(each.side, each.match_key): each for each in creates if each.match_key is not None}

    def newcomers(self, intent: Intent) -> dict[str, Staged]:
        """The records without a link that appeared since a create was sent, and before it was parked."""
        return {id_: row for id_, row in self._appeared(intent).items() if (intent.side, id_) not in self._linked}

    def _appeared(self, intent: Intent) -> dict[str, Staged]:
        """The same, and those that recovery has linked meanwhile."""
        window = (intent.side, intent.newest, intent.upto)
        if window not in self._strangers:
            staging = self._store.staging
            ids = staging.strangers(self._pair, intent.side, newer_than=intent.newest, upto=intent.upto)
            self._strangers[window] = staging.get(intent.side, ids)
        return self._strangers[window]

    def returned(self, intent: Intent) -> str | None:
        """
        The record in whose place a create was to make another one, where it is back and nothing speaks against it: with the key
        that was sent, with that of its last agreement with its partner, without any, or with something of what was sent. Beside
        it the create is not sent again: had the first send never arrived, the second would double the record.
        """
        former = self.newcomers(intent).get(intent.record) if intent.record is not None else None
        if former is None:
            return None
        is_it = former.key in (None, intent.match_key, self._agreed_key(intent))
        return former.id if is_it or resembles(self._context, intent, former.fields or {}) else None

    def _agreed_key(self, intent: Intent) -> str | None:
        """The key of both records of a link when they last agreed, before one of them was to be made anew."""
        link = self._store.links.load([intent.link]).get(intent.link) if intent.link is not None else None
        partner = intent.side.other
        return match_key(self._context, partner, link.side(partner).shadow) if link is not None else None

    def perhaps_ours(self, intent: Intent) -> list[str]:
        """
        The records that appeared since a create in doubt and may be what it made, edited by a person meanwhile: those that hold
        anything of what was sent, and, where it had no key, those without one. Records of one batch are often alike, so that one
        which another create in doubt explains is left to that.
        """
        rows = self.newcomers(intent)
        holders = Counter(row.key for row in rows.values())
        return [
            id_
            for id_, row in rows.items()
            if (row.key == intent.match_key or holders[row.key] > 1 or not self._is_explained(row))
            and self._may_have_made(intent, row)
        ]

    def is_claimed(self, intent: Intent, id_: str) -> bool:
        """
        Whether the one record with the key of a create holds nothing else of what was sent, but something of what another create
        in doubt sent. A person may have given it that key: linked by it, it would be lost to the other create, and made twice.
        """
        row = self.newcomers(intent).get(id_)
        if row is None or self._explains(intent, row):
            return False
        return any(
            other.number != intent.number and self._may_have_made(other, row) and id_ in self.newcomers(other)
            for other in self._creates
            if other.side is intent.side and other.number not in self.told
        )

    def _may_have_made(self, intent: Intent, row: Staged) -> bool:
        return (intent.match_key is None and row.key is None) or resembles(self._context, intent, row.fields or {})

    def _is_explained(self, row: Staged) -> bool:
        """
        Whether a create in doubt awaits a record with this key, no other one with it has appeared since, and nothing else that
        was sent speaks against it.
        """
        intent = self._awaited.get((row.side, row.key))
        if intent is None or not self._explains(intent, row):
            return False
        return [each.id for each in self._appeared(intent).values() if each.key == row.key] == [row.id]

    def _explains(self, intent: Intent, row: Staged) -> bool:
        """Whether a record holds something of what a create sent besides its key, if it sent anything."""
        keys = {rule.native(row.side) for rule in self._context.rule.match}
        beside = {name for name, value in intent.payload.items() if name not in keys and value not in (None, "", [])}
        return not beside or resembles(self._context, intent, row.fields or {}, among=beside)
