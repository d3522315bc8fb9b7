"""
What a decision leaves behind once it is carried out, or put off: link, shadows that move with no write, waits, questions,
fingerprints, and the bucket in which each record ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from syncengine.connector import Fields
from syncengine.core.decision import SAYS_NOTHING, Ask, Bucket, Decision, LinkState, Wait
from syncengine.core.model import Side
from syncengine.engine.context import Context
from syncengine.engine.vacancies import Vacancies
from syncengine.engine.work import Work
from syncengine.store.links import Link, LinkSide
from syncengine.store.records import Pending

_HOLDS = {
    Bucket.IN_DOUBT: (Wait.IN_DOUBT, "a write it depends on is in doubt"),
    Bucket.QUARANTINED: (Wait.QUARANTINED, "its link is in quarantine"),
}
"""Why a held record waits."""

CHANGED = "its link changed while the run went on"


class Settling:
    """Settles the decisions of one run. Everything here happens inside a transaction that its caller opened."""

    def __init__(self, context: Context, vacancies: Vacancies) -> None:
        self._context = context
        self._vacancies = vacancies
        self._store = context.store
        self._pair = context.pair.number
        self.asked: set[str] = set()

    @cached_property
    def _open_subjects(self) -> set[str]:
        return self._store.inbox.subjects(self._pair, "")

    @cached_property
    def may_be_dead(self) -> bool:
        """Whether any link of the pair may be dead, so that it is worth looking for those of a record."""
        return self._store.links.has_dead(self._pair)

    def new_link(self, decision: Decision, state: LinkState) -> Link:
        """A link without shadows; it takes the place of dead ones that its records survived."""
        ids = {side: decision.half(side).id for side in Side}
        for side in Side:
            if self.may_be_dead and (id_ := ids[side]) is not None:
                dead = self._store.links.dead_of(self._pair, side, id_)
                self._store.links.end(dead)
                for number in dead:
                    self._close_subject(f"link:{number}", ())
        return Link(pair=self._pair, state=state, left=LinkSide(id=ids[Side.LEFT]), right=LinkSide(id=ids[Side.RIGHT]))

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
                if half.now is None:
                    # Told apart, for a side of which nothing can be found has to be read whole.
                    reason, why = Wait.UNREAD, "it was not to be found, and a write it depends on is in doubt"
                rows.append(
                    Pending(
                        side=side, id=half.id, reason=reason, detail=why,
                        label=decision.label or self._context.rule.label(side, half.now or {}),
                        fingerprint=half.fingerprint if reason is Wait.QUARANTINED else None, since=now, tries=1,
                    )
                )  # fmt: skip
            waiting = self._store.records.pending_of(self._pair, side, [row.id for row in rows])
            keys = {half.id: half.key for decision in decisions if (half := decision.half(side)).delivered}
            # Also of one that is known: its key may be new, and whoever asks for that key must find it.
            self._store.records.put(self._pair, side, [(row.id, None, keys[row.id]) for row in rows if row.id in keys])
            unread = {row.id for row in rows if row.reason is Wait.UNREAD}
            stale = {
                id_
                for id_, pending in waiting.items()
                if pending.reason in (Wait.UNREAD, Wait.FAILED, Wait.DEFERRED)
                or (pending.reason is Wait.IN_DOUBT and id_ in unread)
            }
            self._wait([row for row in rows if row.id not in waiting or row.id in stale])

    def _has_dead_link(self, side: Side, id_: str) -> bool:
        return self.may_be_dead and bool(self._store.links.dead_of(self._pair, side, id_))

    def _is_settled(self, side: Side, id_: str) -> bool:
        """Whether a record survived its partner, and nothing is left to decide about that."""
        if not self._has_dead_link(side, id_):
            return False
        pending = self._store.records.pending_of(self._pair, side, [id_]).get(id_)
        return pending is None or pending.reason in SAYS_NOTHING

    def _wait(self, rows: Sequence[Pending]) -> None:
        """
        Note why records wait. The survivor of a dead link keeps the reason that tells that it is undecided, whatever could not be
        read this time or came into doubt.
        """
        kept: set[tuple[Side, str]] = set()
        for side in Side if self.may_be_dead else ():
            mine = {row.id: row for row in rows if row.side is side}
            waiting = self._store.records.pending_of(self._pair, side, list(mine))
            kept |= {(side, id_) for id_, row in waiting.items() if _says_less(mine[id_], row) and self._has_dead_link(side, id_)}
        self._store.records.wait(self._pair, [row for row in rows if (row.side, row.id) not in kept])

    def half_way(self, work: Work) -> None:
        """
        A write of a decision is over and another one is to follow: both records wait for it (inside a transaction).

        The run may end in between. The shadows say more by then than the fingerprints do, so that a person who puts back what was
        settled before would not be seen; and a first contact takes away what the fingerprint of a settled record says.
        """
        assert work.link is not None
        self._store.links.save([work.link])
        now = self._context.ports.clock.now()
        why = "the rest of what was decided about it is still to be written"
        rows = [
            Pending(
                side=side, id=id_, reason=Wait.DEFERRED, detail=why, label=work.decision.label, fingerprint=None, since=now,
                tries=0,
            )
            for side, id_ in self._ids(work).items()
            if id_ is not None
        ]  # fmt: skip
        self._store.records.wait_meanwhile(self._pair, rows)

    def settle(self, works: Sequence[Work]) -> None:
        """Everything a decision leaves behind: link, shadows, waits, inbox, fingerprints (inside a transaction)."""
        now = self._context.ports.clock.now()
        links: list[Link] = []
        # Whoever is decided about twice, as the survivor of a dead link and then by its key, is left as the last decision says.
        waits: dict[tuple[Side, str], Pending | None] = {}
        prints: dict[Side, list[tuple[str, bytes | None, str | None]]] = {Side.LEFT: [], Side.RIGHT: []}
        for work in works:
            if work.settled:
                continue
            work.settled = True
            if self._vacancies.is_stale(work.decision):
                if work.link is not None:
                    self._vacancies.let_go(work.link)
                work.trouble(Wait.DEFERRED, CHANGED, Bucket.WAITING)
            ended = self._settle_link(work, links)
            ids = self._ids(work)
            for side in Side:
                half, id_ = work.decision.half(side), ids[side]
                missing = half.id is not None and half.now is None and not self._vacancies.has_made(side, half.id)
                gone = missing and side not in work.waits
                if gone:
                    assert half.id is not None
                    self._store.records.forget(self._pair, side, [half.id])
                if id_ is None or (gone and id_ == half.id) or (ended and side not in work.now):
                    continue
                print_, key = work.prints.get(side, (None, None))
                is_survivor = work.link is None and None not in ids.values() and self._is_settled(side, id_)
                if side in work.waits and not is_survivor:  # else whoever was to be matched with it waits, and it is settled
                    reason, why = work.waits[side]
                    parked_at = half.fingerprint or self._stored_print(side, id_) if reason is Wait.QUARANTINED else None
                    row = Pending(
                        side=side, id=id_, reason=reason, detail=why, label=work.decision.label, fingerprint=parked_at,
                        since=now, tries=1,
                    )  # fmt: skip
                    if not _says_less(row, waits.get((side, id_))):
                        waits[side, id_] = row
                    print_ = None
                elif side in work.waits:
                    self._remember_survivor(side, id_, work.now.get(side))
                else:
                    waits[side, id_] = None
                if missing and half.id == id_:
                    continue  # one that may be gone is not known to be there, by which its side would have to prove healthy
                if work.decision.link is None and ids[side.other] is None and self._has_dead_link(side, id_):
                    continue  # a newcomer is told by not being known, until the link of who had its id lets go of it
                if side in work.prints or side in work.waits:
                    prints[side].append((id_, print_, key if side in work.prints else self.stored_key(side, id_)))
            self._ask(work, now)
            self._count(work)
        self._store.links.save(links)
        self.may_be_dead |= any(link.state is LinkState.DEAD for link in links)
        self._wait([row for row in waits.values() if row is not None])
        for side in Side:
            settled = [id_ for (where, id_), row in waits.items() if where is side and row is None]
            self._store.records.settle(self._pair, side, settled)
            self._store.records.put(self._pair, side, prints[side])

    def _remember_survivor(self, side: Side, id_: str, now: Fields | None) -> None:
        """The dead link of a settled survivor learns what it holds: should the partner come back, they are merged on that."""
        dead = list(self._store.links.load(self._store.links.dead_of(self._pair, side, id_)).values())
        for link in dead:
            stored = link.side(side)
            stored.aside = dict(now) if now is not None and now != stored.shadow else None
        self._store.links.save(dead)

    def _stored_print(self, side: Side, id_: str) -> bytes | None:
        return next((print_ for _, print_, _ in self._store.records.known(self._pair, side, [id_])), None)

    def stored_key(self, side: Side, id_: str) -> str | None:
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
            if work.bucket is not None or decision.state is None or None in (decision.left.id, decision.right.id):
                return False  # nobody links two records on a look that did not hold
            work.link = self.new_link(decision, decision.state)
            for side in Side:
                work.link.side(side).version = decision.half(side).version
            self._store.links.insert([work.link])
        link = work.link
        for side in Side:
            if link.state is LinkState.DEAD and decision.half(side).id is None and link.side(side).id is not None:
                link.replace(side, LinkSide(id=None))  # a newcomer has the id now
                self._store.inbox.lapse(link.number)
        finished = work.bucket is None
        if finished and decision.state is LinkState.ENDED:
            self._store.links.end([link.number])
            self._close_subject(f"link:{link.number}", ())
            return True
        if finished and decision.state is not None:
            link.state = decision.state
        if finished and link.state is not LinkState.SUSPENDED:
            # The shadows move below to what the systems hold, so that it is told once.
            for side, name, lack in decision.shortfalls:
                self._context.tell_shortfall(side, decision.label, name, lack)
        is_judged = finished and not decision.waits and all(decision.half(side).now is not None for side in Side)
        is_judged = is_judged and link.state is not LinkState.SUSPENDED
        for side in Side:
            stored, half, mapped = link.side(side), decision.half(side), self._context.rule.natives(side)
            if link.state is not LinkState.SUSPENDED:
                # What was agreed on when something went wrong may not have held: the next look will tell.
                for name, value in decision.bases.get(side, {}).items() if finished else ():
                    stored.shadow[name] = value
                    stored.unconfirmed -= {name}
            if half.delivered and stored.id == half.id and not any(write.side is side for write in decision.writes):
                stored.unconfirmed = stored.unconfirmed and frozenset(
                    name
                    for name in stored.unconfirmed & stored.shadow.keys()
                    if name not in mapped or (half.now and half.now.get(name) != stored.shadow[name])
                )
                if is_judged and half.version != stored.version:
                    # Somebody wrote since we did, or this is the first that is seen of our write, and it was judged just now:
                    # from here on a difference is an edit, not what became of our write. What is not mapped now was not judged:
                    # it stays open, and it may be in that very field that somebody wrote.
                    stored.unconfirmed -= mapped
                    stored.version = None if stored.unconfirmed else half.version
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
        if work.bucket is None and not any(reason is Wait.UNREAD for reason, _ in work.waits.values()):
            # What a person answered stays answered until it is carried out; what could not be read decides no question.
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


def _says_less(new: Pending, old: Pending | None) -> bool:
    """Whether a new reason to wait would hide that the survivor of a dead link is undecided."""
    vague = new.reason in SAYS_NOTHING and new.reason is not Wait.DELETE
    return vague and old is not None and old.reason not in SAYS_NOTHING
