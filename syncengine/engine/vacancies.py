"""
Ids that a system gives out again, as one does that counts its rows: a new record has the id of one that is gone, whose link
has to let go of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from syncengine.connector import Record
from syncengine.core.decision import Decision, LinkState, Wait
from syncengine.core.detect import Presence
from syncengine.core.model import Side
from syncengine.engine.context import Context
from syncengine.engine.linked import is_undecided, may_be_counted
from syncengine.engine.read import match_key
from syncengine.engine.work import Work
from syncengine.errors import ConnectorError
from syncengine.store.links import Link, LinkSide
from syncengine.store.records import Pending


class Vacancies:
    """
    The ids that new records were given while one run wrote, where the state had heard of them. What the run decided before about
    whoever had such an id does not stand any more.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store
        self._pair = context.pair.number
        self._vacated: dict[int, Side] = {}
        self._made: dict[tuple[Side, str], int] = {}

    def made(self, side: Side, works: Mapping[str, Work]) -> None:
        """Creates made these records, by id."""
        ids, store = list(works), self._store
        heard_of = {str(id_) for id_, _, _ in store.records.known(self._pair, side, ids)}
        heard_of |= store.links.of_records(self._pair, side, ids).keys() | store.staging.present(side, ids)
        for id_, work in works.items():
            if work.link is not None and (id_ in heard_of or id_ == work.decision.half(side).id):
                self._made[side, id_] = work.link.number

    def has_made(self, side: Side, id_: str) -> bool:
        """Whether a create made a record with the id of another one, be it that in whose place it was made."""
        return (side, id_) in self._made

    def is_stale(self, decision: Decision) -> bool:
        """Whether a decision is about a record whose id was given to a new one since."""
        return bool(self._made) and any(
            (id_ := decision.half(side).id) is not None and self._made.get((side, id_), decision.link) != decision.link
            for side in Side
        )

    def new_ones(self, side: Side, keys: Mapping[str, str | None]) -> set[str]:
        """
        Of the records with a link that creates were answered with (by id: the key that was sent), those that are new even so.

        Whoever had the id is gone; or is known by another key, where a look at the record by id now finds the one that was sent,
        and the system may have counted up to the id. A system that answers with the wrong id is not believed.
        """
        if not keys:
            return set()
        new = {id_ for id_ in keys if self._store.staging.is_gone(side, id_)}
        known = self._store.records.keys(self._pair, side, list(keys))
        changed = [
            id_
            for id_, key in keys.items()
            if id_ not in new and None not in (key, known.get(id_)) and key != known[id_] and may_be_counted(id_)
        ]
        try:
            answers = self._context.remotes[side].get(changed)
        except ConnectorError:
            return new  # what can't be looked at now is left to a person
        for answer in answers:
            if isinstance(answer, Record) and match_key(self._context, side, answer.fields) == keys[answer.id]:
                new.add(answer.id)
        return new

    def vacate(self, side: Side, id_: str) -> list[Link]:
        """
        A new record has this id, so that the one that had it is gone for certain: its links let go of it (inside a transaction).

        What becomes of a partner is decided in the next pass, as for any deletion; where that was decided already, it stays so. A
        write in doubt stays so as well. Returns these links as they are then, those without a partner left out.
        """
        vacated = []
        links = self._store.links
        numbers = {*links.live_of(self._pair, side, [id_]).values(), *links.dead_of(self._pair, side, id_)}
        for link in links.load(sorted(numbers)).values():
            self._vacated[link.number] = side
            survivor = link.side(side.other).id
            if survivor is None:
                links.end([link.number])
                self._store.inbox.close_others(self._pair, f"link:{link.number}", (), self._context.ports.clock.now())
                continue
            presence = {side: Presence.GONE, side.other: Presence.PRESENT}
            is_decided = link.state is LinkState.DEAD and not is_undecided(self._context, link, presence)
            self.let_go(link)
            links.save([link])
            vacated.append(link)
            if not is_decided:
                self._wait(link, side.other, survivor)
        self._store.records.forget(self._pair, side, [id_])
        return vacated

    def let_go(self, link: Link) -> None:
        """Take from a link the id that it has no more, if so; one whose other record is still being made goes on without."""
        side = self._vacated.get(link.number)
        if side is None:
            return
        link.replace(side, LinkSide(id=None))
        if link.state is not LinkState.CREATING:
            link.state = LinkState.DEAD

    def _wait(self, link: Link, side: Side, survivor: str) -> None:
        """The partner of who is gone waits until that is decided."""
        records = self._store.records
        key = records.keys(self._pair, side, [survivor]).get(survivor)
        why = f"its partner on the {side.other.value} is gone: the system gave the id to a new record"
        label, now = self._context.rule.label(side, link.side(side).shadow), self._context.ports.clock.now()
        records.put(self._pair, side, [(survivor, None, key)])
        records.wait(
            self._pair,
            [
                Pending(
                    side=side, id=survivor, reason=Wait.DEFERRED, detail=why, label=label, fingerprint=None, since=now, tries=1
                )
            ],
        )  # fmt: skip
