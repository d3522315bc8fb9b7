"""
What each transaction of a run contains: intents before the effect; outcomes, links and shadows after it.

Shadows change only here, and only in the transaction that proves a value was delivered or equal: what the write's own answer
said, else what was sent, and only for the fields that were written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from syncengine.connector import ABSENT, Fields, FieldType, Native, Written
from syncengine.core.codec import Fingerprinter
from syncengine.core.decision import Ask, AskKind, Bucket, Decision, LinkState, Op, Wait, Write
from syncengine.core.mapping import PairRule, Unmappable
from syncengine.core.model import Side
from syncengine.engine.context import Context
from syncengine.engine.read import match_key
from syncengine.errors import RecordError
from syncengine.store.journal import AtticValue, Intent, IntentState
from syncengine.store.links import Link, LinkSide
from syncengine.store.records import Pending

_HOLDS = {
    Bucket.IN_DOUBT: (Wait.IN_DOUBT, "a write it depends on is in doubt"),
    Bucket.QUARANTINED: (Wait.QUARANTINED, "its link is in quarantine"),
}
"""Why a held record waits."""


@dataclass(slots=True, kw_only=True)
class Work:
    """
    A decision on its way. `now`: what each side holds, writes included. `prints`: fingerprint and key to store per side, for
    the sides whose row is known exactly. `waits` and `bucket` override the decision's when something went wrong. `whole`: the
    record to be updated with the fields that nobody mapped, where the system replaces whole records.
    """

    decision: Decision
    todo: list[Write]
    link: Link | None = None
    now: dict[Side, Fields] = field(default_factory=dict)
    prints: dict[Side, tuple[bytes | None, str | None]] = field(default_factory=dict)
    waits: dict[Side, tuple[Wait, str]] = field(default_factory=dict)
    bucket: Bucket | None = None
    whole: Fields = field(default_factory=dict)
    asks: list[Ask] = field(default_factory=list)
    intent: int = 0
    key: str = ""
    revived: LinkSide | None = None
    former: LinkState = LinkState.DEAD
    is_void: bool = False
    settled: bool = False

    @classmethod
    def of(cls, decision: Decision) -> Work:
        """Take a decision up; the right side is written before the left."""
        work = cls(decision=decision, todo=sorted(decision.writes, key=lambda write: write.side is Side.LEFT))
        work.waits.update(decision.waits)
        for side in Side:
            half = decision.half(side)
            if half.now is not None:
                work.now[side] = half.now
            if half.delivered and half.id is not None and half.now is not None:
                work.prints[side] = (half.fingerprint, half.key)
        return work

    def trouble(self, wait: Wait, why: str, bucket: Bucket) -> None:
        """The rest of this decision is not carried out: both records wait."""
        self.todo.clear()
        self.bucket = bucket
        for side in Side:
            # A record that is gone waits as well: the cursor may have passed the only word of its end.
            if self.decision.half(side).id is not None:
                self.waits[side] = (wait, why)


class Commit:
    """The transactions of one run."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store
        self._pair = context.pair.number
        self._open_subjects = context.store.inbox.subjects(self._pair, "")
        self._may_be_dead = context.store.links.has_dead(self._pair)
        self._closures: list[tuple[int, IntentState, float, str | None, str | None]] = []
        self._met: set[Side] = set()
        self.asked: set[str] = set()

    def intend(self, side: Side, works: Sequence[Work]) -> None:
        """Before the effect: links, intents, losers and notices, in one transaction."""
        context, store = self._context, self._store
        now = context.ports.clock.now()
        with store.commit(context.held_lease):
            store.leases.renew(context.held_lease, now=now, ttl=lease_seconds(context))
            if side not in self._met and any(work.todo[0].op is Op.CREATE for work in works):
                # What was there before a create was sent is not what it made, however alike: after a crash that must be known.
                store.records.meet(self._pair, side)
                self._met.add(side)
            self._know(works)
            newest = store.records.newest(self._pair, side)
            store.links.insert([link for work in works if (link := self._prepare_link(work, work.todo[0])) is not None])
            intents = []
            for work in works:
                work.key = context.ports.tokens.token()
                intents.append(self._intent(work, work.todo[0], newest, now))
                self._keep_losers(work, work.todo[0], now)
            for work, number in zip(works, store.journal.add(intents), strict=True):
                work.intent = number

    def _know(self, works: Sequence[Work]) -> None:
        """Whoever gets a link is a known record from then on: its absence must be noticed, even after a crash."""
        for side in Side:
            rows = [
                (half.id, None, half.key)
                for work in works
                if work.link is None
                and (half := work.decision.half(side)).delivered
                and not half.provisional
                and half.id is not None
            ]
            if rows:
                self._store.records.put(self._pair, side, rows)

    def _prepare_link(self, work: Work, write: Write) -> Link | None:
        """The link of a write; returned where it is new."""
        if write.op is Op.IDENTIFY:
            return None
        if work.link is None:
            state = LinkState.CREATING if write.op is Op.CREATE else LinkState.LIVE
            work.link = self._new_link(work.decision, state)
            return work.link
        if write.op is Op.CREATE:
            work.revived, work.former = work.link.side(write.side), work.link.state
            work.link.replace(write.side, LinkSide(id=None))
            work.link.state = LinkState.CREATING
            self._store.links.save([work.link])
        return None

    def _new_link(self, decision: Decision, state: LinkState) -> Link:
        """A link without shadows; it takes the place of dead ones that its records survived."""
        ids = {side: decision.half(side).id for side in Side}
        for side in Side:
            if self._may_be_dead and (id_ := ids[side]) is not None:
                dead = self._store.links.dead_of(self._pair, side, id_)
                self._store.links.end(dead)
                for number in dead:
                    self._close_subject(f"link:{number}", ())
        return Link(pair=self._pair, state=state, left=LinkSide(id=ids[Side.LEFT]), right=LinkSide(id=ids[Side.RIGHT]))

    def _intent(self, work: Work, write: Write, newest: int, now: float) -> Intent:
        return Intent(
            run=self._context.number,
            pair=self._pair,
            side=write.side,
            op=write.op,
            link=work.link.number if work.link is not None else None,
            record=write.id if write.op is not Op.IDENTIFY else None,
            idempotency_key=work.key,
            match_key=work.decision.key,
            label=work.decision.label,
            payload=write.fields,
            before=write.before,
            source=write.source,
            whys=write.whys,
            version=work.decision.half(write.side).version,
            newest=newest,
            sent_at=now,
        )

    def _keep_losers(self, work: Work, write: Write, now: float) -> None:
        losses = [loss for loss in work.decision.losses if loss.side is write.side]
        if not losses:
            return
        self._store.journal.keep(
            [
                AtticValue(
                    run=self._context.number,
                    pair=self._pair,
                    link=work.link.number if work.link is not None else None,
                    side=loss.side,
                    record=write.id,
                    label=work.decision.label,
                    field=loss.field,
                    value=loss.value,
                    why=loss.why,
                    at=now,
                )
                for loss in losses
            ]
        )

    def written(self, work: Work, outcome: Written, taken: Collection[str]) -> None:
        """
        A proved effect: the intent is done and the shadows are what the write itself stored (inside a transaction).

        `taken` are ids, of those that the call answered with, that belong to a link already.
        """
        write = work.todo.pop(0)
        context = self._context
        now = context.ports.clock.now()
        self._closures.append((work.intent, IntentState.DONE, now, outcome.id, None))
        context.written[f"{write.side.value}.{write.op.value}"] += 1
        assert work.link is not None
        link = work.link
        match write.op:
            case Op.ARCHIVE | Op.DELETE:
                self._store.records.forget(self._pair, write.side, [outcome.id])
                work.prints.pop(write.side, None)
                work.now.pop(write.side, None)
            case Op.RESTORE:
                # What an archived record holds is read, not assumed: the next pass merges it like any other.
                link.state = LinkState.LIVE
                work.trouble(Wait.DEFERRED, "restored; its values are merged next", Bucket.SENT)
            case Op.CREATE:
                self._created(work, write, outcome, link, taken)
            case Op.UPDATE:
                half, stored = work.decision.half(write.side), link.side(write.side)
                conditional = context.remotes[write.side].capabilities.conditional_writes
                if half.version != stored.version or not conditional:
                    # As in _settle_link: what the earlier write left open was judged by now. And an unconditional write may have
                    # come right after somebody else's, so that the new version speaks for nothing but the fields just written.
                    stored.unconfirmed = frozenset()
                outcome = replace(outcome, record=self._without_strangers(write, outcome.record))
                store_write(context.rule, link, write, outcome.record)
                stored.version = outcome.version
                self._held(work, write, outcome, half.now or {})
            case Op.IDENTIFY:
                raise AssertionError("unreachable")

    def _created(self, work: Work, write: Write, outcome: Written, link: Link, taken: Collection[str]) -> None:
        side = write.side
        if outcome.id in taken and self._store.staging.is_gone(side, outcome.id) and self.vacate(side, outcome.id):
            taken = ()
        if outcome.id in taken:
            why = f"the system answered the create with a record that is linked already ({outcome.id})"
            work.asks.append(Ask(kind=AskKind.DUPLICATE, field=None, why=why))
            self._void(work)
            work.trouble(Wait.AMBIGUOUS, why, Bucket.AMBIGUOUS)
            return
        link.replace(side, LinkSide(id=outcome.id, version=outcome.version))
        link.state = LinkState.LIVE
        if outcome.met and self._context.remotes[side].is_readable:
            # Somebody was first: what the record held before is unknown, so nothing is a base and the values are merged.
            link.side(side.other).shadow = {}
            why = "the system had this record already: it was linked, and may have been overwritten"
            work.asks.append(Ask(kind=AskKind.MET, field=None, why=why))
            work.trouble(Wait.DEFERRED, why, Bucket.LINKED)
            self._store.records.put(self._pair, side, [(outcome.id, None, work.decision.key)])
            return
        link.side(side.other).shadow = {}
        store_write(self._context.rule, link, write, outcome.record)
        _store_blanks(self._context.rule, link, side, work.now.get(side.other, {}), outcome.record)
        self._held(work, write, outcome, {})

    def vacate(self, side: Side, id_: str) -> bool:
        """
        A system gave an id to a new record, so the record that had it is gone for certain: its link lets go of the id.

        Systems that count ids use the highest one again. What becomes of the partner is decided in the next pass, as for any
        deletion. Inside a transaction; tells whether any link had the id.
        """
        numbers = {
            *self._store.links.live_of(self._pair, side, [id_]).values(),
            *self._store.links.dead_of(self._pair, side, id_),
        }
        now = self._context.ports.clock.now()
        found = False
        for link in self._store.links.load(sorted(numbers)).values():
            if link.state is LinkState.CREATING or self._store.journal.of_link(link.number) is not None:
                continue
            found = True
            survivor = link.side(side.other).id
            if survivor is None:
                self._store.links.end([link.number])
                continue
            link.replace(side, LinkSide(id=None))
            link.state = LinkState.DEAD
            self._may_be_dead = True
            self._store.links.save([link])
            key = self._stored_key(side.other, survivor)
            why = f"its partner on the {side.value} is gone: the system gave the id to a new record"
            label = self._context.rule.label(side.other, link.side(side.other).shadow)
            self._store.records.put(self._pair, side.other, [(survivor, None, key)])
            pending = Pending(
                side=side.other, id=survivor, reason=Wait.DEFERRED, detail=why, label=label, fingerprint=None, since=now, tries=1
            )
            self._store.records.wait(self._pair, [pending])
        self._store.records.forget(self._pair, side, [id_])
        return found

    def _without_strangers(self, write: Write, stored: Fields | None) -> Fields | None:
        """The answer without what somebody else did to the members of a set that we changed member by member: an edit to come."""
        capabilities = self._context.remotes[write.side].capabilities
        if stored is None or not (capabilities.set_deltas and capabilities.partial_updates):
            return stored
        ours: dict[str, Native] = {}
        for name in set_fields(self._context.rule, write.side) & write.fields.keys() & stored.keys():
            sent, before, now = write.fields[name], write.before.get(name), stored[name]
            if isinstance(sent, list) and isinstance(before, list) and isinstance(now, list):
                # A system may know a member by other letters than those that it was sent.
                held, old = {_folded(member): member for member in now}, {_folded(member) for member in before}
                ours[name] = [
                    member if member in now else held.get(_folded(member), member)
                    for member in sent
                    if _folded(member) in held or _folded(member) in old
                ]
        return {**stored, **ours}

    def _held(self, work: Work, write: Write, outcome: Written, before: Fields) -> None:
        """Note what the written side holds now, and its fingerprint where the answer told the whole row."""
        side, columns = write.side, self._context.remotes[write.side].columns
        stored = outcome.record or {}
        shadow = work.link.side(side).shadow if work.link is not None else {}
        work.now[side] = {**before, **{name: shadow[name] for name in write.fields if name in shadow}}
        whole = outcome.record is not None and all(name in stored for name in columns)
        quiet = write.op is Op.CREATE or all(stored.get(name) == before.get(name) for name in columns if name not in write.fields)
        key = match_key(self._context, side, stored) if whole else work.decision.key or work.decision.half(side).key
        print_ = _print(self._context.fingerprinter, columns, stored) if whole and quiet else None
        work.prints[side] = (print_, key)
        if whole and write.op is Op.CREATE:
            work.now[side] = {name: stored[name] for name in columns}

    def failed(self, work: Work, error: Exception, wait: Wait, bucket: Bucket) -> None:
        """A proved failure: the intent is closed, nothing has changed over there (inside a transaction)."""
        now = self._context.ports.clock.now()
        self._closures.append((work.intent, IntentState.CLOSED, now, None, str(error)))
        write = work.todo[0]
        if write.op is Op.CREATE:
            self._void(work)
        work.trouble(wait, str(error), bucket)

    def narrowed(self, work: Work, error: RecordError, wait: Wait) -> None:
        """One field was refused: the update is made again without it, and the record waits for it (inside a transaction)."""
        now = self._context.ports.clock.now()
        self._closures.append((work.intent, IntentState.CLOSED, now, None, str(error)))
        write = work.todo[0]

        def rest(fields: Mapping[str, Any]) -> dict[str, Any]:
            return {name: value for name, value in fields.items() if name != error.field}

        # `source` names the other side's fields; the one that was not delivered must keep its shadow.
        rules = self._context.rule.fields
        other = next(rule.native(write.side.other) for rule in rules if rule.native(write.side) == error.field)
        source = {name: value for name, value in write.source.items() if name != other}
        narrow = replace(write, fields=rest(write.fields), before=rest(write.before), whys=rest(write.whys), source=source)
        work.todo[0] = narrow
        writes = tuple(narrow if each.side is write.side else each for each in work.decision.writes)
        # What this write overwrites was kept with the first attempt; what the other side loses is yet to be kept.
        losses = tuple(loss for loss in work.decision.losses if loss.side is not write.side)
        work.decision = replace(work.decision, writes=writes, losses=losses)
        for side in Side:
            work.waits[side] = (wait, str(error))

    def doubted(self, work: Work, error: Exception) -> None:
        """Nobody knows: the intent stays open, its records wait until the outcome is proved (inside a transaction)."""
        now = self._context.ports.clock.now()
        self._closures.append((work.intent, IntentState.UNKNOWN, now, None, str(error)))
        work.trouble(Wait.IN_DOUBT, str(error), Bucket.IN_DOUBT)

    def _void(self, work: Work) -> None:
        """Undo the link of a create that did not happen."""
        assert work.link is not None
        if work.revived is None:
            self._store.links.end([work.link.number])
            work.is_void = True
            return
        side = work.todo[0].side if work.todo else (Side.LEFT if work.link.left.id is None else Side.RIGHT)
        work.link.replace(side, work.revived)
        work.link.state = work.former
        self._store.links.save([work.link])

    def hold(self, decisions: Sequence[Decision]) -> None:
        """Records that nothing is decided about yet wait, so that the cursor may pass them (inside a transaction)."""
        now = self._context.ports.clock.now()
        for side in Side:
            rows: list[Pending] = []
            for decision in decisions:
                half, bucket = decision.half(side), decision.buckets.get(side, Bucket.IN_DOUBT)
                seen = half.delivered or half.now is None
                if half.id is None or half.provisional or not seen:
                    continue
                reason, why = _HOLDS.get(bucket, (Wait.DEFERRED, "a write it depends on is under way"))
                rows.append(
                    Pending(
                        side=side, id=half.id, reason=reason, detail=why,
                        label=decision.label or self._context.rule.label(side, half.now or {}),
                        fingerprint=half.fingerprint if reason is Wait.QUARANTINED else None, since=now, tries=1,
                    )
                )  # fmt: skip
            waiting = self._store.records.pending_of(self._pair, side, [row.id for row in rows])
            keys = {half.id: half.key for decision in decisions if (half := decision.half(side)).delivered}
            known = {str(id_) for id_, _, _ in self._store.records.known(self._pair, side, [row.id for row in rows])}
            self._store.records.put(
                self._pair, side, [(row.id, None, keys[row.id]) for row in rows if row.id in keys and row.id not in known]
            )
            stale = {id_ for id_, pending in waiting.items() if pending.reason in (Wait.UNREAD, Wait.FAILED, Wait.DEFERRED)}
            self._store.records.wait(self._pair, [row for row in rows if row.id not in waiting or row.id in stale])

    def settle(self, works: Sequence[Work]) -> None:
        """Everything a decision leaves behind: link, shadows, waits, inbox, fingerprints (inside a transaction)."""
        now = self._context.ports.clock.now()
        self._store.journal.close(self._closures)
        self._closures.clear()
        links: list[Link] = []
        waits: list[Pending] = []
        prints: dict[Side, list[tuple[str, bytes | None, str | None]]] = {Side.LEFT: [], Side.RIGHT: []}
        clear: dict[Side, list[str]] = {Side.LEFT: [], Side.RIGHT: []}
        for work in works:
            if work.settled:
                continue
            work.settled = True
            ended = self._settle_link(work, links)
            ids = self._ids(work)
            for side in Side:
                half, id_ = work.decision.half(side), ids[side]
                gone = half.id is not None and half.now is None and side not in work.waits
                if gone:
                    assert half.id is not None
                    self._store.records.forget(self._pair, side, [half.id])
                if id_ is None or (gone and id_ == half.id) or (ended and side not in work.now):
                    continue
                print_, key = work.prints.get(side, (None, None))
                if side in work.waits:
                    reason, why = work.waits[side]
                    parked_at = half.fingerprint or self._stored_print(side, id_) if reason is Wait.QUARANTINED else None
                    waits.append(
                        Pending(
                            side=side, id=id_, reason=reason, detail=why, label=work.decision.label, fingerprint=parked_at,
                            since=now, tries=1,
                        )
                    )  # fmt: skip
                    print_ = None
                else:
                    clear[side].append(id_)
                if side in work.prints or side in work.waits:
                    prints[side].append((id_, print_, key if side in work.prints else self._stored_key(side, id_)))
            self._ask(work, now)
            self._count(work)
        self._store.links.save(links)
        self._may_be_dead |= any(link.state is LinkState.DEAD for link in links)
        self._store.records.wait(self._pair, waits)
        for side in Side:
            self._store.records.settle(self._pair, side, clear[side])
            self._store.records.put(self._pair, side, prints[side])

    def _stored_print(self, side: Side, id_: str) -> bytes | None:
        return next((print_ for _, print_, _ in self._store.records.known(self._pair, side, [id_])), None)

    def _stored_key(self, side: Side, id_: str) -> str | None:
        return self._store.records.keys(self._pair, side, [id_]).get(id_)

    def _ids(self, work: Work) -> dict[Side, str | None]:
        if work.link is not None and not work.is_void:
            return {side: work.link.side(side).id or work.decision.half(side).id for side in Side}
        return {side: work.decision.half(side).id for side in Side}

    def _settle_link(self, work: Work, links: list[Link]) -> bool:
        """Bring the link up to date; returns whether it ended."""
        decision = work.decision
        if work.is_void:
            return False
        if work.link is None:
            if decision.link is not None:
                return False
            if decision.state is LinkState.ENDED:
                return True
            if decision.state is None or None in (decision.left.id, decision.right.id):
                return False
            work.link = self._new_link(decision, decision.state)
            for side in Side:
                work.link.side(side).version = decision.half(side).version
            self._store.links.insert([work.link])
        link = work.link
        finished = work.bucket is None
        if finished and decision.state is LinkState.ENDED:
            self._store.links.end([link.number])
            self._close_subject(f"link:{link.number}", ())
            return True
        if finished and decision.state is not None:
            link.state = decision.state
        for side in Side:
            stored, half = link.side(side), decision.half(side)
            if link.state is not LinkState.SUSPENDED:
                for name, value in decision.bases.get(side, {}).items():
                    if not finished and name in stored.shadow and stored.shadow[name] != value:
                        continue
                    stored.shadow[name] = value
                    stored.unconfirmed -= {name}
            if half.delivered and stored.id == half.id and not any(write.side is side for write in decision.writes):
                if half.version != stored.version:
                    # Somebody wrote since we did: from here on a difference is an edit, not what became of our write.
                    stored.unconfirmed = frozenset()
                stored.version = half.version
                stored.unconfirmed = frozenset(
                    name for name in stored.unconfirmed if half.now and half.now.get(name) != stored.shadow.get(name)
                )
            now = work.now.get(side)
            stored.aside = dict(now) if now is not None and now != stored.shadow else None
        links.append(link)
        return False

    def _ask(self, work: Work, now: float) -> None:
        decision = work.decision
        asks = [*decision.asks, *work.asks]
        if work.link is not None and not work.is_void:
            subject, number = f"link:{work.link.number}", work.link.number
        elif decision.key is not None:
            subject, number = f"key:{decision.key}", None
        else:
            return
        if asks:
            self._store.inbox.ask(self._pair, subject, number, decision.label, asks, now)
            self.asked.add(subject)
        if work.bucket is None:
            # What a person answered stays answered until it is carried out.
            self._close_subject(subject, asks)
        if asks:
            self._open_subjects.add(subject)
        if number is not None and decision.key is not None:
            self._close_subject(f"key:{decision.key}", ())

    def _close_subject(self, subject: str, asks: Sequence[Ask]) -> None:
        if subject in self._open_subjects:
            self._store.inbox.close_others(self._pair, subject, asks, self._context.ports.clock.now())

    def close_unasked(self) -> None:
        """After a run that saw everything: close the questions about keys that nobody shares any more."""
        now = self._context.ports.clock.now()
        for subject in self._store.inbox.subjects(self._pair, "key:") - self.asked:
            self._store.inbox.close_others(self._pair, subject, (), now)

    def _count(self, work: Work) -> None:
        if work.decision.skipped and work.bucket is None:
            self._context.skips[work.decision.skipped] += 1
        for side, bucket in work.decision.buckets.items():
            if work.decision.half(side).delivered:
                self._context.buckets[side][work.bucket or bucket] += 1


def _folded(member: Native) -> Native:
    return member.casefold() if isinstance(member, str) else member


def set_fields(rule: PairRule, side: Side) -> set[str]:
    """The native fields of a side that hold sets."""
    return {field_rule.native(side) for field_rule in rule.fields if field_rule.type is FieldType.SET}


def store_write(rule: PairRule, link: Link, write: Write, stored: Fields | None) -> None:
    """Move both shadows for the fields of a proved write: what the answer said, else what was sent."""
    target, source = link.side(write.side), link.side(write.side.other)
    mapped = rule.natives(write.side)
    unconfirmed = set(target.unconfirmed)
    for name, sent in write.fields.items():
        if name not in mapped:
            continue
        if stored is not None and name in stored:
            target.shadow[name] = stored[name]
            unconfirmed.discard(name)
        else:
            target.shadow[name] = sent
            unconfirmed.add(name)
    target.unconfirmed = frozenset(unconfirmed)
    for name, value in write.source.items():
        source.shadow[name] = value
    source.unconfirmed -= set(write.source)


def _store_blanks(rule: PairRule, link: Link, side: Side, source: Fields, stored: Fields | None) -> None:
    """Fields that were left out of a create because they are blank, and came back blank, agree."""
    if stored is None:
        return
    for field_rule in rule.fields:
        name, other = field_rule.native(side), field_rule.native(side.other)
        if name in link.side(side).shadow or name not in stored:
            continue
        values: Mapping[Side, Native] = {side: stored[name], side.other: source.get(other)}
        try:
            blank = all(
                field_rule.blank(field_rule.canonical(each, None if value is ABSENT else value, lambda *_: None))
                for each, value in values.items()
            )
        except Unmappable:
            continue
        if blank:
            link.side(side).shadow[name] = values[side]
            link.side(side.other).shadow[other] = None if values[side.other] is ABSENT else values[side.other]


def _print(fingerprinter: Fingerprinter, columns: Sequence[str], stored: Fields) -> bytes:
    return fingerprinter.rows([tuple(stored[name] for name in columns)])[0]


def lease_seconds(context: Context) -> float:
    """How long a lease lasts: several times the longest single call."""
    return 5 * max(remote.deadline for remote in context.remotes.values())
