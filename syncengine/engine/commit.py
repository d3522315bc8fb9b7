"""
What each transaction of a run contains: intents before the effect; outcomes, links and shadows after it.

Shadows change only here, and only in the transaction that proves a value was delivered or equal: what the write's own answer
said, else what was sent, and only for the fields that were written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

from syncengine.connector import Fields, Native, Written
from syncengine.core.decision import Ask, AskKind, Bucket, LinkState, Op, Wait, Write
from syncengine.core.model import Side
from syncengine.engine.context import Context
from syncengine.engine.read import key_of_create, match_key
from syncengine.engine.settle import Settling
from syncengine.engine.shadows import print_of, set_fields, shortfalls, store_blanks, store_write
from syncengine.engine.vacancies import Vacancies
from syncengine.engine.words import lacking
from syncengine.engine.work import Work
from syncengine.errors import NotFound, RecordError
from syncengine.store.journal import AtticValue, Intent, IntentState
from syncengine.store.links import Link, LinkSide


class Commit:
    """The transactions of one run."""

    def __init__(self, context: Context) -> None:
        self.vacancies = Vacancies(context)
        self.settling = Settling(context, self.vacancies)
        self._context = context
        self._store = context.store
        self._pair = context.pair.number
        self._closures: list[tuple[int, IntentState, float, str | None, str | None]] = []
        self._met: set[Side] = set()

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
            for work, key in zip(works, context.ports.tokens.batch(len(works)), strict=True):
                work.key = key
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
            work.link = self.settling.new_link(work.decision, state)
            if write.op is Op.CREATE:
                # Which version a create was made from tells later whether somebody put an old value back.
                work.link.side(write.side.other).version = work.decision.half(write.side.other).version
            return work.link
        if write.op is Op.CREATE:
            work.revived, work.former = work.link.side(write.side), work.link.state
            if work.revived.id is not None:
                # The link lets go of it here: whoever has this id from now on, even after a crash, is seen for the first time.
                self._store.records.forget(self._pair, write.side, [work.revived.id])
            work.link.replace(write.side, LinkSide(id=None))
            work.link.state = LinkState.CREATING
            self._store.links.save([work.link])
        return None

    def _intent(self, work: Work, write: Write, newest: int, now: float) -> Intent:
        key = key_of_create(self._context, work.decision, write) if write.op is Op.CREATE else work.decision.key
        return Intent(
            run=self._context.number,
            pair=self._pair,
            side=write.side,
            op=write.op,
            link=work.link.number if work.link is not None else None,
            record=work.revived.id if work.revived is not None else write.id if write.op is not Op.IDENTIFY else None,
            idempotency_key=work.key,
            match_key=key,
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

    def written(self, work: Work, outcome: Written, taken: Mapping[str, bool]) -> None:
        """
        A proved effect: the intent is done and the shadows are what the write itself stored (inside a transaction).

        `taken` are ids, of those that the call answered with, that belong to a link already, and whether the record is a new one
        all the same, for the system gave the id out again.
        """
        if work.todo[0].op is Op.RESTORE and self.vacancies.is_stale(work.decision):
            # There was nothing to restore: the same call made a new record, which has the id and is there.
            self.failed(work, NotFound("a new record has its id"), Wait.DEFERRED, Bucket.WAITING)
            return
        write = work.todo.pop(0)
        context = self._context
        now = context.ports.clock.now()
        context.written[f"{write.side.value}.{write.op.value}"] += 1
        assert work.link is not None
        link = work.link
        short = ""
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
                short = self._created(work, write, outcome, link, taken)
            case Op.UPDATE:
                half, stored = work.decision.half(write.side), link.side(write.side)
                conditional = context.remotes[write.side].capabilities.conditional_writes
                unseen: AbstractSet[str] = frozenset()
                if half.version is None or half.version != stored.version or not conditional:
                    # What an earlier write left open stays so until this decision is carried out. And a write without a
                    # condition, or on nothing but the fields it replaces, may have come right after somebody else's: then its
                    # version speaks for nothing but the fields just written.
                    unseen = stored.unconfirmed - write.fields.keys()
                outcome = replace(outcome, record=self._without_strangers(write, outcome.record))
                self._move_shadows(work, link, write, outcome.record)
                # The version of a set that was changed member by member is that of what somebody else had just put there as well.
                is_ours = not unseen and (conditional or not (self._deltas(write) & stored.unconfirmed))
                stored.version = outcome.version if is_ours else None
                self._held(work, write, outcome, half.now or {})
                context.tell_others(write.side, outcome.id, write.fields.keys())
                short = self._short(work, write, outcome)
            case Op.IDENTIFY:
                raise AssertionError("unreachable")
        self._closures.append((work.intent, IntentState.DONE, now, outcome.id, short or None))

    def _short(self, work: Work, write: Write, outcome: Written) -> str:
        """Report what the system did not store of a write; returns it for the journal."""
        lacks = list(shortfalls(self._context.rule, write, outcome.record, self._context.resolver.resolve))
        for name, lack in lacks:
            self._context.tell_shortfall(write.side, work.decision.label, name, lack)
        return "; ".join(lacking(name, lack) for name, lack in lacks)

    def _move_shadows(self, work: Work, link: Link, write: Write, stored: Fields | None) -> None:
        """
        Both shadows of the fields that were written. Where the other side is still to be written to the same, they stay until
        that is proved as well: whatever comes between, the next pass finds two edits and settles them as this one did.
        """
        side, other = write.side, write.side.other
        natives = {rule.native(side): rule.native(other) for rule in self._context.rule.fields}
        if work.todo:
            awaited = {name for name in write.fields if natives.get(name) in work.todo[0].fields}
            told = {name: stored[name] for name in awaited if stored is not None and name in stored}
            work.first = {**{name: write.fields[name] for name in awaited}, **told}
            work.untold = awaited - told.keys()
            work.todo[0] = replace(work.todo[0], source={**work.todo[0].source, **told})
            fields = {name: value for name, value in write.fields.items() if name not in awaited}
            link.side(side).unconfirmed -= awaited
            store_write(self._context.rule, link, replace(write, fields=fields), stored)
            return
        met = {natives[name] for name in write.fields if natives.get(name) in work.first}
        source = {**write.source, **{name: work.first[name] for name in met}}
        store_write(self._context.rule, link, replace(write, source=source), stored)
        link.side(other).unconfirmed |= met & work.untold

    def _created(self, work: Work, write: Write, outcome: Written, link: Link, taken: Mapping[str, bool]) -> str:
        """Returns what the system did not store of it, for the journal."""
        side = write.side
        is_new = taken.get(outcome.id)
        if is_new is False:
            why = f"the system answered the create with a record that is linked already ({outcome.id})"
            work.asks.append(Ask(kind=AskKind.DUPLICATE, field=None, why=why))
            self._void(work)
            work.trouble(Wait.AMBIGUOUS, why, Bucket.AMBIGUOUS)
            return ""
        if is_new or (self.settling.may_be_dead and self._store.links.dead_of(self._pair, side, outcome.id)):
            self.vacate(side, outcome.id)
        link.replace(side, LinkSide(id=outcome.id, version=outcome.version))
        link.state = LinkState.LIVE
        if outcome.met and self._context.remotes[side].is_readable:
            # Somebody was first: what the record held before is unknown, so nothing is a base and the values are merged.
            link.side(side.other).shadow = {}
            why = "the system had this record already: it was linked, and may have been overwritten"
            work.asks.append(Ask(kind=AskKind.MET, field=None, why=why))
            work.trouble(Wait.DEFERRED, why, Bucket.LINKED)
            self._store.records.put(self._pair, side, [(outcome.id, None, work.decision.key)])
            return ""
        link.side(side.other).shadow = {}
        store_write(self._context.rule, link, write, outcome.record)
        store_blanks(self._context.rule, link, side, work.now.get(side.other, {}), outcome.record)
        self._held(work, write, outcome, {})
        return self._short(work, write, outcome)

    def vacate(self, side: Side, id_: str) -> None:
        """A new record has this id: whoever had it is gone (inside a transaction)."""
        self.vacancies.vacate(side, id_)
        self.settling.may_be_dead = True

    def _without_strangers(self, write: Write, stored: Fields | None) -> Fields | None:
        """The answer without what somebody else did to the members of a set that we changed member by member: an edit to come."""
        if stored is None:
            return stored
        ours: dict[str, Native] = {}
        for name in self._deltas(write) & stored.keys():
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

    def _deltas(self, write: Write) -> set[str]:
        """The fields of a write that are sent as members to add and to remove."""
        capabilities = self._context.remotes[write.side].capabilities
        if not (capabilities.set_deltas and capabilities.partial_updates):
            return set()
        return set_fields(self._context.rule, write.side) & write.fields.keys()

    def _held(self, work: Work, write: Write, outcome: Written, before: Fields) -> None:
        """Note what the written side holds now, and its fingerprint where the answer told the whole row."""
        side, columns = write.side, self._context.remotes[write.side].columns
        stored = outcome.record or {}
        whole = outcome.record is not None and all(map(stored.__contains__, columns))
        quiet = write.op is Op.CREATE or all(stored.get(name) == before.get(name) for name in columns if name not in write.fields)
        key = match_key(self._context, side, stored) if whole else work.decision.key or work.decision.half(side).key
        # A record that was written out of its filter is not settled: the next look at it suspends the link.
        stays = whole and self._context.rule.in_scope(side, stored)
        print_ = print_of(self._context.fingerprinter, columns, stored) if quiet and stays else None
        work.prints[side] = (print_, key)
        if whole and write.op is Op.CREATE:
            work.now[side] = {name: stored[name] for name in columns}
        else:
            work.now[side] = {
                **before,
                **{name: stored.get(name, sent) for name, sent in write.fields.items() if name in columns},
            }

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
        work.is_part = True
        for side in Side:
            work.waits[side] = (wait, str(error))

    def doubted(self, work: Work, error: Exception) -> None:
        """Nobody knows: the intent stays open, its records wait until the outcome is proved (inside a transaction)."""
        now, write = self._context.ports.clock.now(), work.todo[0]
        self._closures.append((work.intent, IntentState.UNKNOWN, now, None, str(error)))
        if write.op is Op.UPDATE and write.id is not None:
            self._context.tell_others(write.side, write.id, write.fields.keys())
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
        if work.revived.id is not None and self.vacancies.has_made(side, work.revived.id):
            work.link.replace(side, LinkSide(id=None))  # the record that another create of the same call made has that id now
            work.link.state = LinkState.DEAD
        self._store.links.save([work.link])

    def settle(self, works: Sequence[Work]) -> None:
        """Everything that these works leave behind, and how their intents ended (inside a transaction)."""
        self._store.journal.close(self._closures)
        self._closures.clear()
        self.settling.settle(works)


def _folded(member: Native) -> Native:
    return member.casefold() if isinstance(member, str) else member


def lease_seconds(context: Context) -> float:
    """How long a lease lasts: several times the longest single call."""
    return 5 * max(remote.deadline for remote in context.remotes.values())
