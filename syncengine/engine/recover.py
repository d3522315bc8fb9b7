"""
Resolving every open intent by looking, before anything new is decided. The procedure per operation and capability is that of
`reliability.md` 3.4.

In doubt is not failed: a timed-out request may still land within the system's `late_arrival`. Recovery never takes a
record's *current* value as a base: the base is what the intent sent, and what it was derived from.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from syncengine.connector import Create, Fields, Record, Tombstone, Written
from syncengine.core.decision import Ask, AskKind, LinkState, Op, Wait, Write
from syncengine.core.mapping import Unmappable
from syncengine.core.model import Side
from syncengine.core.values import is_lossy_image
from syncengine.core.verdict import verdict
from syncengine.engine.apply import proposed_id
from syncengine.engine.commit import store_write
from syncengine.engine.context import Context
from syncengine.engine.decide import Doubts
from syncengine.engine.read import is_healthy, match_key
from syncengine.errors import ConnectorError, OutcomeUnknown, TransientError
from syncengine.store.journal import Intent, IntentState
from syncengine.store.links import Link, LinkSide
from syncengine.store.records import Pending


class Recovery:
    """Resolves the open intents of one pair; both sides have been read in this run."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store
        self._pair = context.pair.number
        self._awaited: set[tuple[Side, str]] = set()

    def resolve(self) -> None:
        """Resolve what can be proved now; what cannot stays open, and its records wait."""
        context = self._context
        intents = self._store.journal.unresolved(self._pair)
        if any(intent.state is IntentState.SENT and intent.run != context.number for intent in intents):
            with self._store.commit(context.held_lease):
                self._store.journal.presume_sent(self._pair, run=context.number, at=context.held_lease.since)
            intents = self._store.journal.unresolved(self._pair)
        self._awaited = {
            (intent.side, intent.match_key) for intent in intents if intent.op is Op.CREATE and intent.match_key is not None
        }
        for side in Side:
            mine = [intent for intent in intents if intent.side is side]
            if not mine:
                continue
            if not self._context.remotes[side].is_readable:
                # Nobody can look. Past the horizon the write is made again: an update sets the same values, a create meets
                # its record by the upsert key.
                for intent in filter(self._late, mine):
                    self._close(intent, "nobody can tell; made again")
                continue
            healthy = is_healthy(self._context, side)
            records = [intent.record for intent in mine if intent.record is not None and intent.op is not Op.CREATE]
            answers = {answer.id: answer for answer in self._context.remotes[side].get(records)}
            removals = {intent.record for intent in mine if intent.op in (Op.ARCHIVE, Op.DELETE)}
            # Where we were removing all that the side is known to hold, there is nothing left by which it could prove healthy.
            emptied = self._context.listings[side].known <= len(removals)
            for intent in mine:
                if intent.op is Op.IDENTIFY:
                    # Whether the record got its id shows in the next listing; nothing else depends on it.
                    self._close(intent, None)
                elif intent.op is Op.CREATE:
                    self._create(intent, healthy=healthy)
                else:
                    answer = answers.get(intent.record or "")
                    if isinstance(answer, Record):
                        self._there(intent, answer)
                    elif isinstance(answer, Tombstone) and (
                        healthy or (emptied and intent.record in removals and self._late(intent))
                    ):
                        self._gone(intent)
                    elif self._late(intent):
                        # Nothing can land any more: whatever became of it, the next look at the record decides.
                        self._close(intent, "nobody could tell what became of it; decided again", without_base=intent.payload)

    def doubts(self) -> Doubts:
        """What stays untouchable, creates in doubt on the same resources by other pairs included."""
        doubts = Doubts()
        for intent in self._store.journal.unresolved(self._pair):
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
        """Whether the request can no longer land."""
        capabilities = self._context.remotes[intent.side].capabilities
        horizon = capabilities.late_arrival
        return not horizon or self._context.ports.clock.now() > intent.sent_at + horizon

    def _there(self, intent: Intent, record: Record) -> None:
        """An update, removal or restore, and the record is there."""
        match intent.op:
            case Op.RESTORE:
                self._done(intent, record.id, stored=None)
            case Op.UPDATE:
                conditional = self._context.remotes[intent.side].capabilities.conditional_writes
                moved = None not in (intent.version, record.version) and intent.version != record.version
                stayed = {name for name in intent.before if self._stayed(intent, name, record.fields)}
                unmoved = not moved and stayed == intent.before.keys()
                if self._holds(intent, record.fields) and (not unmoved or self._late(intent)):
                    # What looks like the sent value may be the value of before: that proves nothing while it can still land.
                    self._done(intent, record.id, stored=None)
                elif self._late(intent) or (conditional and not unmoved):
                    # Somebody wrote meanwhile: perhaps ours landed and a person took it back, there or at its source. Then an old
                    # value is an edit, and no longer the base of anything.
                    unsure = intent.payload.keys() if moved else intent.payload.keys() - stayed
                    self._close(intent, "not applied; decided again", without_base=unsure)
            case _ if self._late(intent):
                self._close(intent, "not applied; decided again")

    def _stayed(self, intent: Intent, name: str, fields: Fields) -> bool:
        """Whether a field means what it meant before the write."""
        now, before = fields.get(name), intent.before.get(name)
        rule = next((rule for rule in self._context.rule.fields if rule.native(intent.side) == name), None)
        if rule is None:
            return now == before
        try:
            one, two = (rule.canonical(intent.side, value, self._context.resolver.resolve) for value in (now, before))
        except Unmappable:
            return now == before
        return rule.same(one, two)

    def _gone(self, intent: Intent) -> None:
        """An update, removal or restore, and a healthy side says that the record is gone."""
        if intent.op in (Op.ARCHIVE, Op.DELETE):
            self._done(intent, intent.record or "", stored=None)
        elif self._late(intent):
            self._close(intent, "the record is gone; decided again", without_base=intent.payload)

    def _holds(self, intent: Intent, fields: Fields) -> bool:
        """Whether the record holds what was sent, or what its system plausibly makes of it."""
        for rule in self._context.rule.fields:
            name = rule.native(intent.side)
            if name is None or name not in intent.payload:
                continue
            try:
                sent = rule.canonical(intent.side, intent.payload[name], self._context.resolver.resolve)
                now = rule.canonical(intent.side, fields.get(name), self._context.resolver.resolve)
            except Unmappable:
                return False
            if not rule.same(sent, now) and not is_lossy_image(rule, sent, now):
                return False
        return True

    # Creates

    def _create(self, intent: Intent, *, healthy: bool) -> None:
        remote = self._context.remotes[intent.side]
        capabilities = remote.capabilities
        if intent.state is IntentState.PARKED:
            return
        if capabilities.idempotent_creates:
            self._replay(intent)
            return
        if (proposed := proposed_id(remote, intent.idempotency_key, intent.payload)) is not None:
            (answer,) = remote.get([proposed])
            if isinstance(answer, Record):
                self._done(intent, answer.id, stored=None)
            elif isinstance(answer, Tombstone) and healthy and self._late(intent):
                self._close(intent, "not applied; decided again")
            return
        if not self._late(intent) or not healthy:
            return
        unseen = capabilities.late_arrival + capabilities.lag
        if unseen and self._context.ports.clock.now() <= intent.sent_at + unseen:
            return
        found = self._with_key(intent) if intent.match_key is not None else []
        others = [id_ for id_ in self._perhaps_ours(intent) if id_ not in found]
        free = [id_ for id_ in found if not self._store.links.live_of(self._pair, intent.side, [id_])]
        listing = self._context.listings[intent.side]
        if others or len(free) > 1:
            self._park(intent, [*others, *free])
        elif free and len(found) == 1:
            self._adopt(intent, free[0])
        elif found:
            self._close(intent, "its key belongs to a record that is linked already; decided again")
        elif listing.complete or not listing.full:
            self._close(intent, "not applied; decided again")

    def _replay(self, intent: Intent) -> None:
        """Send the very same create again under the same key: the system answers with what it did the first time."""
        context, remote = self._context, self._context.remotes[intent.side]
        assert context.lease is not None
        with self._store.commit(context.lease):
            self._store.journal.resent(intent.number, context.ports.clock.now())
        id_ = proposed_id(remote, intent.idempotency_key, intent.payload)
        try:
            (outcome,) = remote.write([Create(key=intent.idempotency_key, fields=intent.payload, id=id_)])
        except ConnectorError as error:
            context.notes.append(f"{intent.label}: its create stays in doubt ({verdict(error).value}: {error})")
            return
        if isinstance(outcome, Written):
            self._done(intent, outcome.id, stored=outcome.record, version=outcome.version, met=outcome.met)
        elif isinstance(outcome.error, OutcomeUnknown):
            return
        elif self._late(intent) and not isinstance(outcome.error, TransientError):
            self._close(intent, f"{outcome.error}; decided again")
        else:
            # A refusal of the replay is no proof: an earlier send may still be on its way. The replay itself is over.
            with self._store.commit(context.lease):
                self._store.journal.resent(intent.number, intent.sent_at)

    def _with_key(self, intent: Intent) -> list[str]:
        """The live records that have the match key of a create, by probe."""
        rule = next((rule for rule in self._context.rule.match if rule.references is None), None)
        name = rule.native(intent.side) if rule is not None else None
        if name is None or name not in intent.payload:
            return []
        context, side = self._context, intent.side
        records = context.remotes[side].find(
            name, [intent.payload[name]], fits=lambda record: match_key(context, side, record.fields) == intent.match_key
        )
        return sorted(
            {record.id for record in records if match_key(self._context, intent.side, record.fields) == intent.match_key}
        )

    def _perhaps_ours(self, intent: Intent) -> list[str]:
        """
        The records that appeared since a create in doubt and may be what it made, edited by a person meanwhile: those that hold
        anything of what was sent, and, where it had no key, those without one. A record with the key of another create in doubt
        is explained by that: records of one batch are often alike.
        """
        fresh = self._store.staging.strangers(self._pair, intent.side, newer_than=intent.newest)
        rows = self._store.staging.get(intent.side, fresh)
        return [
            id_
            for id_, row in rows.items()
            if (intent.side, row.key) not in self._awaited
            and ((intent.match_key is None and row.key is None) or self._resembles(intent, row.fields or {}))
        ]

    def _resembles(self, intent: Intent, fields: Fields) -> bool:
        resolve = self._context.resolver.resolve
        for rule in self._context.rule.fields:
            name = rule.native(intent.side)
            if name not in intent.payload:
                continue
            try:
                sent = rule.canonical(intent.side, intent.payload[name], resolve)
                now = rule.canonical(intent.side, fields.get(name), resolve)
            except Unmappable:
                continue
            if not rule.blank(sent) and (is_lossy_image(rule, sent, now) or is_lossy_image(rule, now, sent)):
                return True
        return False

    def _adopt(self, intent: Intent, id_: str) -> None:
        """Link with an empty base: nobody can prove that the record is ours, so its values are merged, never assumed."""
        link = self._link(intent)
        if link is None:
            self._close(intent, "its link is gone; decided again")
            return
        link.replace(intent.side, LinkSide(id=id_))
        link.side(intent.side.other).shadow = {}
        link.state = LinkState.LIVE
        assert self._context.lease is not None
        with self._store.commit(self._context.lease):
            now = self._context.ports.clock.now()
            self._store.links.save([link])
            self._store.records.put(self._pair, intent.side, [(id_, None, intent.match_key)])
            self._store.journal.close([(intent.number, IntentState.DONE, now, id_, None)])
            self._remember(link)
        self._reread(link)

    def _park(self, intent: Intent, ids: Sequence[str]) -> None:
        """Nobody can tell which of these records is ours, if any: a human decides, and until then nobody adopts them."""
        assert self._context.lease is not None
        why = f"{len(ids)} new records on the {intent.side.value} may or may not be it: {', '.join(sorted(ids)[:5])}"
        ask = Ask(kind=AskKind.UNKNOWN_OUTCOME, field=None, why=why)
        records = self._store.records
        with self._store.commit(self._context.lease):
            now = self._context.ports.clock.now()
            known = {str(id_) for id_, _, _ in records.known(self._pair, intent.side, ids)}
            records.put(self._pair, intent.side, [(id_, None, None) for id_ in ids if id_ not in known])
            self._store.journal.park(intent.number, upto=records.newest(self._pair, intent.side), why=why)
            self._store.inbox.ask(self._pair, f"intent:{intent.number}", intent.link, intent.label, [ask], now)

    # Ends

    def _done(self, intent: Intent, id_: str, *, stored: Fields | None, version: str | None = None, met: bool = False) -> None:
        """The effect is proved: the base is exactly what was sent, and what it was derived from."""
        assert self._context.lease is not None
        link = self._link(intent)
        with self._store.commit(self._context.lease):
            now = self._context.ports.clock.now()
            self._store.journal.close([(intent.number, IntentState.DONE, now, id_, None)])
            self._context.written[f"{intent.side.value}.{intent.op.value}"] += 1
            if link is None:
                return
            if intent.op in (Op.ARCHIVE, Op.DELETE):
                self._store.links.end([link.number])
                self._store.records.forget(self._pair, intent.side, [id_])
                self._store.staging.drop(intent.side, [id_])
                link.replace(intent.side, LinkSide(id=None))
                self._remember(link)
                self._reread(link)  # whose deletion was the reason may be back
                return
            if intent.op is Op.CREATE:
                if self._store.links.live_of(self._pair, intent.side, [id_]):
                    self._store.links.end([link.number])
                    return
                link.replace(intent.side, LinkSide(id=id_, version=version))
                link.side(intent.side.other).shadow = {}
                self._store.records.put(self._pair, intent.side, [(id_, None, intent.match_key)])
            link.state = LinkState.LIVE
            if not met and intent.op is not Op.RESTORE:
                write = Write(op=intent.op, side=intent.side, id=id_, fields=intent.payload, source=intent.source)
                store_write(self._context.rule, link, write, stored)
            self._store.links.save([link])
            self._remember(link)
        self._reread(link)

    def _close(self, intent: Intent, why: str | None, *, without_base: Collection[str] = ()) -> None:
        """The effect is disproved: back to where the link was before the intent; fields `without_base` meet anew."""
        assert self._context.lease is not None
        link = self._link(intent)
        with self._store.commit(self._context.lease):
            now = self._context.ports.clock.now()
            self._store.journal.close([(intent.number, IntentState.CLOSED, now, None, why)])
            if link is not None and link.state is LinkState.CREATING:
                self._store.links.end([link.number])
            elif link is not None and without_base:
                for rule in self._context.rule.fields:
                    if rule.native(intent.side) in without_base:
                        for side in Side:
                            link.side(side).shadow.pop(rule.native(side), None)
                self._store.links.save([link])
            if link is not None:
                self._remember(link)
        if link is not None:
            self._reread(link)

    def _link(self, intent: Intent) -> Link | None:
        return None if intent.link is None else self._store.links.load([intent.link]).get(intent.link)

    def _remember(self, link: Link) -> None:
        """
        The records of the link wait from here on: the cursor may have passed all that the feed had to say of them, and this run
        may end before it decides about them (inside a transaction).
        """
        now = self._context.ports.clock.now()
        why = "what became of its write was found out just now"
        rows = [
            Pending(
                side=side, id=id_, reason=Wait.DEFERRED, detail=why, label="", fingerprint=None, since=now, tries=1,
            )
            for side in Side
            if (id_ := link.side(side).id) is not None
        ]  # fmt: skip
        self._store.records.wait(self._pair, rows)

    def _reread(self, link: Link) -> None:
        """What was read before this recovery is stale for the link: its records are read again by id, and decided on that."""
        for side in Side:
            id_ = link.side(side).id
            if id_ is not None:
                self._store.staging.drop(side, [id_])
                self._context.reread[side].append(id_)
