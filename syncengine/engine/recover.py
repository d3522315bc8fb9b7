"""
Resolving every open intent by looking, before anything new is decided. The procedure per operation and capability is that of
`reliability.md` 3.4.

In doubt is not failed: a timed-out request may still land within the system's `late_arrival`. Recovery never takes a
record's *current* value as a base: the base is what the intent sent, and what it was derived from.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from syncengine.connector import Answer, Create, Fields, Record, Tombstone, Written
from syncengine.core.decision import Op
from syncengine.core.mapping import Unmappable
from syncengine.core.model import Side
from syncengine.core.values import is_lossy_image
from syncengine.core.verdict import applied_nothing, verdict
from syncengine.engine.candidates import Candidates
from syncengine.engine.changes import proposed_id
from syncengine.engine.context import Context
from syncengine.engine.doubts import Doubts
from syncengine.engine.ends import Ends
from syncengine.engine.likeness import takes_after
from syncengine.engine.linked import is_another
from syncengine.engine.read import is_healthy, match_key
from syncengine.errors import ConnectorError, OutcomeUnknown, TransientError
from syncengine.store.journal import Intent, IntentState


def doubt_ends_at(context: Context, unresolved: Sequence[Intent]) -> datetime | None:
    """When a run over the whole pair may prove one of these outcomes at the earliest; None where all are left to people."""
    ends = []
    for intent in unresolved:
        if intent.state is not IntentState.PARKED:
            capabilities = context.remotes[intent.side].capabilities
            unseen = capabilities.lag if intent.op is Op.CREATE else 0.0
            ends.append(intent.sent_at + capabilities.late_arrival + unseen)
    return datetime.fromtimestamp(min(ends), UTC) if ends else None


class Recovery:
    """
    Resolves the open intents of one pair; both sides have been read in this run. `decided`: and decided on, so that what becomes
    of the intents is for the next run.
    """

    def __init__(self, context: Context, *, decided: bool = False) -> None:
        self._context = context
        self._ends = Ends(context, decided=decided)
        self._store = context.store
        self._pair = context.pair.number
        self._candidates = Candidates(context, self._ends.linked)
        self._looked = context.ports.clock.now()
        self._by_id: dict[str, Answer] = {}
        self._by_key: list[tuple[str, str | None]] = []
        self._is_clear = False
        self._replayed: set[int] = set()

    def resolve(self) -> None:
        """Resolve what can be proved now; what cannot stays open, and its records wait."""
        context = self._context
        intents = self._store.journal.unresolved(self._pair)
        self._is_clear = not intents
        if any(intent.state is IntentState.SENT and intent.run != context.number for intent in intents):
            with self._store.commit(context.held_lease):
                self._store.journal.presume_sent(self._pair, run=context.number, at=context.held_lease.since)
            intents = self._store.journal.unresolved(self._pair)
        self._candidates.of([intent for intent in intents if intent.op is Op.CREATE])
        for side in Side:
            mine = [intent for intent in intents if intent.side is side]
            if not mine:
                continue
            if not self._context.remotes[side].is_readable:
                # Nobody can look. Past the horizon the write is made again: an update sets the same values, a create meets
                # its record by the upsert key.
                for intent in filter(self._late, mine):
                    self._ends.close(intent, "nobody can tell; made again")
                continue
            self._looked = context.ports.clock.now()
            healthy = is_healthy(self._context, side)
            records = [intent.record for intent in mine if intent.record is not None and intent.op is not Op.CREATE]
            answers = {answer.id: answer for answer in self._context.remotes[side].get(records)}
            removals = {intent.record for intent in mine if intent.op in (Op.ARCHIVE, Op.DELETE)}
            # Where we were removing all that the side is known to hold, there is nothing left by which it could prove healthy.
            emptied = self._context.listings[side].known <= len(removals)
            self._look_for(side, [intent for intent in mine if intent.op is Op.CREATE], healthy=healthy)
            for intent in mine:
                if intent.op is Op.IDENTIFY:
                    # Whether the record got its id shows in the next listing; nothing else depends on it.
                    self._ends.close(intent, None)
                elif intent.op is Op.CREATE:
                    self._create(intent, healthy=healthy)
                elif self._ends.is_vacated(intent):
                    # Before that it may still land, on the other one: whatever comes of it, it is ours.
                    if self._late(intent):
                        self._ends.close(intent, "the record is gone, and its id given to another one; decided again")
                else:
                    answer = answers.get(intent.record or "")
                    if isinstance(answer, Record):
                        self._there(intent, answer)
                    elif not self._late(intent):
                        # A side that shows most of its records may deny one, and what is on its way would still reach it.
                        continue
                    elif isinstance(answer, Tombstone) and (healthy or (emptied and intent.record in removals)):
                        self._gone(intent)
                    else:
                        # Nothing can land any more: whatever became of it, the next look at the record decides.
                        self._ends.close(
                            intent, "nobody could tell what became of it; decided again", without_base=intent.payload
                        )

    def doubts(self) -> Doubts:
        """What stays untouchable, creates in doubt on the same resources by other pairs included."""
        doubts = Doubts()
        for intent in () if self._is_clear else self._store.journal.unresolved(self._pair):
            if intent.link is not None:
                doubts.links.add(intent.link)
            if intent.op is Op.CREATE:
                doubts.newer.setdefault(intent.side, []).append((intent.newest, intent.upto))
                if intent.match_key is not None:
                    doubts.keys.add(intent.match_key)
                else:
                    doubts.keyless.add(intent.side)
        for sharing in self._context.sharing.values():
            for name, side in sharing:
                # Whatever is in doubt there may be about to appear here: a second create of the same key would double it.
                doubts.keys |= self._store.journal.doubtful_keys([name], side)
        return doubts

    def _late(self, intent: Intent) -> bool:
        """Whether the request could no longer land when we began to look."""
        horizon = self._context.remotes[intent.side].capabilities.late_arrival
        return not horizon or self._looked > intent.sent_at + horizon

    def _there(self, intent: Intent, record: Record) -> None:
        """An update, removal or restore, and the record is there."""
        match intent.op:
            case Op.RESTORE:
                self._ends.done(intent, record.id, stored=None)
            case Op.UPDATE:
                conditional = self._context.remotes[intent.side].capabilities.conditional_writes
                told = None not in (intent.version, record.version)
                moved = told and intent.version != record.version
                stayed = {name for name in intent.before if self._stayed(intent, name, record.fields, to_the_letter=not told)}
                unmoved = not moved and stayed == intent.before.keys()
                # A version that has moved on never comes back, so that ours cannot land any more; old values may come back.
                over = self._late(intent) or (conditional and moved)
                is_mapped = self._context.rule.natives(intent.side) >= intent.payload.keys()
                if over and is_mapped and self._holds(intent, record.fields, stayed):
                    # What looks like the sent value may be the value of before, or the same that a person typed meanwhile: that
                    # proves nothing while ours can still land.
                    self._ends.done(intent, record.id, stored=None)
                elif over:
                    # Somebody wrote meanwhile: perhaps ours landed and a person took it back, there or at its source. Then an old
                    # value is an edit, and no longer the base of anything. Nor is one that is not mapped now: nobody looks at it.
                    self._ends.close(
                        intent, "not applied; decided again", without_base=() if unmoved and is_mapped else intent.payload
                    )
            case _ if self._late(intent):
                self._ends.close(intent, "not applied; decided again")

    def _stayed(self, intent: Intent, name: str, fields: Fields, *, to_the_letter: bool) -> bool:
        """
        Whether a field means what it meant before the write; `to_the_letter` where no version tells: whoever put an old value
        back may have spelled it another way.
        """
        now, before = fields.get(name), intent.before.get(name)
        rule = next((rule for rule in self._context.rule.fields if rule.native(intent.side) == name), None)
        if rule is None or (to_the_letter and isinstance(now, str)):
            return now == before
        try:
            one, two = (rule.canonical(intent.side, value, self._context.resolver.resolve) for value in (now, before))
        except Unmappable:
            return now == before
        return rule.same(one, two)

    def _gone(self, intent: Intent) -> None:
        """An update, removal or restore that can land no more, and a healthy side says that the record is gone."""
        if intent.op in (Op.ARCHIVE, Op.DELETE):
            self._ends.done(intent, intent.record or "", stored=None)
        else:
            self._ends.close(intent, "the record is gone; decided again", without_base=intent.payload)

    def _holds(self, intent: Intent, fields: Fields, stayed: Collection[str]) -> bool:
        """
        Whether the record holds what was sent, or what its system plausibly makes of it.

        A field that `stayed` as it was before has to hold exactly that: "T1" is no image of the "T10" that was to replace it. So
        has one that another pair may have written since: "T1" may be what that one sent.
        """
        for rule in self._context.rule.fields:
            name = rule.native(intent.side)
            if name is None or name not in intent.payload:
                continue
            try:
                sent = rule.canonical(intent.side, intent.payload[name], self._context.resolver.resolve)
                now = rule.canonical(intent.side, fields.get(name), self._context.resolver.resolve)
            except Unmappable:
                return False
            if rule.same(sent, now):
                continue
            if name in stayed or not is_lossy_image(rule, sent, now) or name in self._overwritten(intent):
                return False
        return True

    def _overwritten(self, intent: Intent) -> set[str]:
        """The fields of its record that other pairs on the same resource may have written after an intent."""
        others = self._context.sharing.get(intent.side, ())
        return {field for name, side in others for field in self._store.journal.overwritten(intent, name, side)}

    # Creates

    def _look_for(self, side: Side, creates: Sequence[Intent], *, healthy: bool) -> None:
        """One read by id for all the creates whose id we chose, and one search for all those that only their key can tell."""
        context, remote = self._context, self._context.remotes[side]
        if remote.capabilities.idempotent_creates:
            self._replayed |= {intent.number for intent in creates if self._candidates.returned(intent) is None}
            creates = [intent for intent in creates if intent.number not in self._replayed]
        proposed = {intent.number: id_ for intent in creates if (id_ := self._proposed(intent)) is not None}
        self._candidates.told |= self._replayed | proposed.keys()
        self._by_id = {answer.id: answer for answer in remote.get(list(proposed.values()))}
        rule = next((rule for rule in context.rule.match if rule.references is None), None)
        due = [intent for intent in creates if self._is_due(intent, healthy=healthy) and intent.match_key is not None]
        name = rule.native(side) if rule is not None else None
        self._by_key = []
        if name is not None:
            wanted = {intent.match_key for intent in due}
            values = [intent.payload[name] for intent in due if name in intent.payload]
            found = remote.find(name, values, fits=lambda record: match_key(context, side, record.fields) in wanted)
            self._by_key = [(record.id, match_key(context, side, record.fields)) for record in found]

    def _proposed(self, intent: Intent) -> str | None:
        return proposed_id(self._context.remotes[intent.side], intent.idempotency_key, intent.payload)

    def _is_due(self, intent: Intent, *, healthy: bool) -> bool:
        """Whether a create that nothing but its key can tell may be looked for: it can land no more, and shows if it did."""
        if intent.state is IntentState.PARKED or self._proposed(intent) is not None or not healthy or not self._late(intent):
            return False
        # It may be there under another key: only a listing brings what is new, and only one that began when all had landed.
        listing, capabilities = self._context.listings[intent.side], self._context.remotes[intent.side].capabilities
        unseen = capabilities.late_arrival + capabilities.lag
        if listing.narrow or intent.run == self._context.number or (listing.full and not listing.complete):
            return False  # a person vouches for what is gone, not for what a listing broke off before
        return not unseen or listing.begun > intent.sent_at + unseen

    def _create(self, intent: Intent, *, healthy: bool) -> None:
        if intent.state is IntentState.PARKED:
            return
        if intent.number in self._replayed:
            self._replay(intent)
            return
        if (proposed := self._proposed(intent)) is not None:
            answer = self._by_id.get(proposed)
            if isinstance(answer, Record):
                self._ends.done(intent, answer.id, stored=None)
            elif isinstance(answer, Tombstone) and healthy and self._late(intent):
                if (returned := self._candidates.returned(intent)) is not None:
                    self._ends.adopt(intent, returned)
                else:
                    self._ends.close(intent, "not applied; decided again", gone=proposed)
            return
        if not self._is_due(intent, healthy=healthy):
            return
        found = self._with_key(intent)
        others = [id_ for id_ in self._candidates.perhaps_ours(intent) if id_ not in found]
        free = [id_ for id_ in found if not self._store.links.live_of(self._pair, intent.side, [id_])]
        if self._store.staging.has_unread(self._pair, intent.side, newer_than=intent.newest):
            return  # one that appeared since it was sent, and may be it, could not be read just now
        is_back = free == [self._candidates.returned(intent)]
        if others or (free and not is_back and (len(found) > 1 or self._candidates.is_claimed(intent, free[0]))):
            self._ends.park(intent, [*others, *free])
        elif free:
            self._ends.adopt(intent, free[0])
        elif len(found) == 1 and self._is_reborn(intent, found[0]):
            self._ends.adopt(intent, found[0], is_reused=True)
        elif found:
            self._ends.close(intent, "its key belongs to a record that is linked already; decided again", holders=found)
        else:
            self._ends.close(intent, "not applied; decided again")

    def _is_reborn(self, intent: Intent, id_: str) -> bool:
        """
        Whether a record that has a link is what a create made under an id that its system gave out again: it has the key that was
        sent, which is not that of the link, and holds all that was sent, or more of it than of what the link's record held.
        """
        row = self._store.staging.get(intent.side, [id_]).get(id_)
        number = self._store.links.live_of(self._pair, intent.side, [id_]).get(id_)
        link = self._store.links.load([number]).get(number) if number is not None else None
        if row is None or link is None or row.key != intent.match_key or not is_another(self._context, link, row):
            return False
        fields, former = row.fields or {}, link.side(intent.side)
        last = former.shadow if former.aside is None else former.aside
        return self._holds(intent, fields, ()) or takes_after(self._context, intent, fields, last)

    def _replay(self, intent: Intent) -> None:
        """Send the very same create again under the same key: the system answers with what it did the first time."""
        context, remote = self._context, self._context.remotes[intent.side]
        assert context.lease is not None
        with self._store.commit(context.lease):
            self._store.journal.resent(intent.number, context.ports.clock.now())
        id_ = proposed_id(remote, intent.idempotency_key, intent.payload)
        try:
            (outcome,) = context.write(intent.side, [Create(key=intent.idempotency_key, fields=intent.payload, id=id_)])
        except ConnectorError as error:
            context.notes.append(f"{intent.label}: its create stays in doubt ({verdict(error).value}: {error})")
            if applied_nothing(error):
                self._not_replayed(intent)
            return
        if isinstance(outcome, Written):
            self._ends.done(intent, outcome.id, stored=outcome.record, version=outcome.version, met=outcome.met)
        elif isinstance(outcome.error, OutcomeUnknown):
            with self._store.commit(context.lease):
                now = context.ports.clock.now()
                self._store.journal.close([(intent.number, IntentState.UNKNOWN, now, None, str(outcome.error))])
        elif self._late(intent) and not isinstance(outcome.error, TransientError):
            self._ends.close(intent, f"{outcome.error}; decided again")
        else:
            self._not_replayed(intent)

    def _not_replayed(self, intent: Intent) -> None:
        """The replay itself is over, and proves nothing: an earlier send may still be on its way."""
        with self._store.commit(self._context.held_lease):
            self._store.journal.not_resent(intent.number, intent.sent_at)

    def _with_key(self, intent: Intent) -> list[str]:
        """
        The live records that have the match key of a create, by probe and by what the listing brought since; and the one that it
        was to replace, should that be back.
        """
        known = dict(self._by_key)
        # A search compares exactly, and may miss the spelling that its system stored.
        known |= {id_: row.key for id_, row in self._candidates.newcomers(intent).items() if id_ not in known}
        found = {id_ for id_, key in known.items() if key is not None and key == intent.match_key}
        returned = self._candidates.returned(intent)
        return sorted(found if returned is None else {*found, returned})
