"""
How a write in doubt ends: done, not applied, adopted, or left to a human; each with all that follows in one transaction.

The base is what the intent sent, and what that was derived from: never what a record holds by now.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from syncengine.connector import Fields
from syncengine.core.decision import Ask, AskKind, LinkState, Op, Wait, Write
from syncengine.core.model import Side
from syncengine.engine.context import Context
from syncengine.engine.shadows import shortfalls, store_write
from syncengine.engine.vacancies import Vacancies
from syncengine.store.journal import Intent, IntentState
from syncengine.store.links import Link, LinkSide
from syncengine.store.records import Pending


class Ends:
    """
    Ends the open intents of one pair. `decided`: the run has decided on what it read, so that what follows is for the next one.

    `linked` are the records whose link changed by that; they are read again.
    """

    def __init__(self, context: Context, *, decided: bool) -> None:
        self._context = context
        self._store = context.store
        self._pair = context.pair.number
        self._decided = decided
        self._vacancies = Vacancies(context)
        self.linked: set[tuple[Side, str]] = set()

    def adopt(self, intent: Intent, id_: str, *, is_reused: bool = False) -> None:
        """
        Link with an empty base: nobody can prove that the record is ours, so its values are merged, never assumed.

        `is_reused`: it has the id of one that is gone, whose link still has it.
        """
        link = self._link(intent)
        if link is None:
            self.close(intent, "its link is gone; decided again")
            return
        link.replace(intent.side, LinkSide(id=id_))
        link.side(intent.side.other).shadow = {}
        link.state = _state(link)
        assert self._context.lease is not None
        with self._store.commit(self._context.lease):
            now = self._context.ports.clock.now()
            for vacated in self._vacancies.vacate(intent.side, id_) if is_reused else ():
                self._reread(vacated)
            for dead in self._store.links.load(self._store.links.dead_of(self._pair, intent.side, id_)).values():
                self._remember(dead)
                self._reread(dead)
                self._end(dead)
            self._store.links.save([link])
            self._store.records.put(self._pair, intent.side, [(id_, None, intent.match_key)])
            self._store.journal.close([(intent.number, IntentState.DONE, now, id_, None)])
            self._remember(link)
        self._reread(link)

    def park(self, intent: Intent, ids: Sequence[str]) -> None:
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

    def done(self, intent: Intent, id_: str, *, stored: Fields | None, version: str | None = None, met: bool = False) -> None:
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
                self._end(link)
                self._store.records.forget(self._pair, intent.side, [id_])
                if not self._decided:
                    self._store.staging.drop(intent.side, [id_])
                link.replace(intent.side, LinkSide(id=None))
                self._remember(link)
                self._reread(link)  # whose deletion was the reason may be back
                return
            if intent.op is Op.CREATE:
                if self._store.links.dead_of(self._pair, intent.side, id_):
                    for vacated in self._vacancies.vacate(intent.side, id_):
                        self._reread(vacated)
                if self._store.links.live_of(self._pair, intent.side, [id_]):
                    self._end(link)
                    self._remember(link)
                    self._reread(link)  # it is decided again without a link
                    return
                link.replace(intent.side, LinkSide(id=id_, version=version))
                link.side(intent.side.other).shadow = {}
                self._store.records.put(self._pair, intent.side, [(id_, None, intent.match_key)])
            link.state = _state(link)
            if intent.op is Op.UPDATE:
                # Which version it made is not known; the one that is seen next may be a later one.
                link.side(intent.side).version = None
                self._context.tell_others(intent.side, id_, intent.payload.keys())
            if not met and intent.op is not Op.RESTORE:
                write = Write(op=intent.op, side=intent.side, id=id_, fields=intent.payload, source=intent.source)
                store_write(self._context.rule, link, write, stored)
                for name, lack in shortfalls(self._context.rule, write, stored, self._context.resolver.resolve):
                    self._context.tell_shortfall(intent.side, intent.label, name, lack)
            self._store.links.save([link])
            self._remember(link)
        self._reread(link)

    def close(
        self,
        intent: Intent,
        why: str | None,
        *,
        without_base: Collection[str] = (),
        gone: str | None = None,
        holders: Sequence[str] = (),
    ) -> None:
        """
        The effect is disproved: back to where the link was before the intent; fields `without_base` meet anew. `gone`: the record
        that is not there, whatever a listing may have shown a moment before. `holders` were found to have its key: they are read
        again, for they may have got it since the listing, by which a twin would be made.
        """
        assert self._context.lease is not None
        link = self._link(intent)
        with self._store.commit(self._context.lease):
            now = self._context.ports.clock.now()
            self._store.journal.close([(intent.number, IntentState.CLOSED, now, None, why)])
            if link is not None and link.state is LinkState.CREATING:
                self._end(link)
            elif link is not None and without_base:
                self._drop_base(link, intent, without_base)
                self._store.links.save([link])
            if link is not None:
                self._remember(link)
        if gone is not None and not self._decided:
            self._store.staging.drop(intent.side, [gone])
        if holders and not self._decided:
            self._store.staging.drop(intent.side, holders)
            self._context.reread[intent.side] += holders
        if link is not None:
            self._reread(link)

    def is_vacated(self, intent: Intent) -> bool:
        """Whether the record that an update, removal or restore was sent to is gone for certain, for its id is another one's."""
        link = self._link(intent)
        return link is not None and link.side(intent.side).id is None

    def _drop_base(self, link: Link, intent: Intent, names: Collection[str]) -> None:
        rule = self._context.rule
        for field_rule in rule.fields:
            if field_rule.native(intent.side) in names:
                for side in Side:
                    link.side(side).shadow.pop(field_rule.native(side), None)
        # What is not mapped any more may be mapped again one day.
        for side, fields in ((intent.side, names), (intent.side.other, intent.source)):
            for name in fields:
                if name not in rule.natives(side):
                    link.side(side).shadow.pop(name, None)

    def _end(self, link: Link) -> None:
        """The link is no more, nor is anything left to ask about it (inside a transaction)."""
        self._store.links.end([link.number])
        self._store.inbox.close_others(self._pair, f"link:{link.number}", (), self._context.ports.clock.now())

    def _link(self, intent: Intent) -> Link | None:
        return None if intent.link is None else self._store.links.load([intent.link]).get(intent.link)

    def _remember(self, link: Link) -> None:
        """
        The records of the link wait from here on: the cursor may have passed all that the feed had to say of them, and this run
        may end before it decides about them (inside a transaction). One that was not to be found still counts as unread: a side
        of which nothing can be found has to be read whole. But the survivor of a dead link has to be told as undecided.
        """
        now = self._context.ports.clock.now()
        why = "what became of its write was found out just now"
        rows = []
        for side in Side:
            if (id_ := link.side(side).id) is None:
                continue
            waiting = self._store.records.pending_of(self._pair, side, [id_]).get(id_)
            is_unread = waiting is not None and waiting.reason is Wait.UNREAD and link.state is not LinkState.DEAD
            reason = Wait.UNREAD if is_unread else Wait.DEFERRED
            rows.append(Pending(side=side, id=id_, reason=reason, detail=why, label="", fingerprint=None, since=now, tries=1))
        self._store.records.wait(self._pair, rows)

    def _reread(self, link: Link) -> None:
        """
        What was read before this recovery is stale for the link: its records are read again by id, and decided on that. One that
        was proved gone stays so until that look finds it.
        """
        for side in Side:
            id_ = link.side(side).id
            if id_ is not None:
                self.linked.add((side, id_))
                if not self._decided:
                    self._context.reread[side].append(id_)
                    if not self._store.staging.is_gone(side, id_):
                        self._store.staging.drop(side, [id_])


def _state(link: Link) -> LinkState:
    """What a link is after a write to it: the record that it was written for may have gone meanwhile, and its id with it."""
    return LinkState.DEAD if None in (link.left.id, link.right.id) else LinkState.LIVE
