"""
What a write stands on, right before it is sent: strong reads by id, and the probe for a create's key.

Listings and searches are hints, and hours may have passed since. A conditional write carries its own evidence; a create is
preceded by a probe for its key unless the target refuses twins itself; everything else by a read of the target by id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from syncengine.connector import Fields, Native, Record, Tombstone
from syncengine.core.decision import Ask, AskKind, Bucket, LinkState, Op, Wait, Write
from syncengine.core.merge import Half
from syncengine.core.model import Side
from syncengine.engine.context import Context
from syncengine.engine.decide import Decider
from syncengine.engine.read import is_healthy, key_of_create, match_key, stage_record
from syncengine.engine.settle import CHANGED
from syncengine.engine.work import Work


@dataclass(slots=True, kw_only=True)
class _Probe:
    """
    A search for the keys of creates, by the id() of their works. `found`: what has them, where the search `is_done` already; None
    where it could not tell.
    """

    keys: Mapping[int, str]
    name: str
    values: Sequence[Native]
    fits: Callable[[Record], bool]
    found: Sequence[Record] | None = None
    is_done: bool = False


class Evidence:
    """Looks again before a write; `put_off` is told of works that do not stand any more, with the reason noted in them."""

    def __init__(self, context: Context, decider: Decider, put_off: Callable[[Work], None]) -> None:
        self._context = context
        self._decider = decider
        self._put_off = put_off

    def ready(self, side: Side, works: Sequence[Work]) -> list[Work]:
        """The works whose ground still holds; the others are settled as waiting, or as the fresher evidence says."""
        probe = self._probe(side, works)
        fresh = self._read_again(side, works, probe)
        ready = []
        for work in works:
            if (work.decision.link is not None) and work.link is None:
                self._defer(work, CHANGED)
            elif self._is_in_doubt(work):
                self._defer(work, "a create with its key is in doubt, and may be about to appear")
            elif self._stands(side, work, fresh):
                ready.append(work)
        return self._with_wholes(side, self._without_twins(side, ready, probe))

    def _is_in_doubt(self, work: Work) -> bool:
        """Whether what is to be made anew for a link, which is decided without its key, may be there already."""
        write = work.todo[0]
        return (
            write.op is Op.CREATE
            and work.decision.link is not None
            and self._decider.is_in_doubt(key_of_create(self._context, work.decision, write))
        )

    def confirm(self, works: Sequence[Work]) -> None:
        """Read by id, where a listing lags, the records whose shadow is to move with no write; those that differ are put off."""
        for side in Side:
            suspects = {work.decision.half(side).id or "": work for work in works if self._steps_back(side, work)}
            for answer in self._context.remotes[side].get(list(suspects)):
                work = suspects[answer.id]
                if not (isinstance(answer, Record) and _same(work.now.get(side, {}), answer.fields)):
                    work.trouble(Wait.DEFERRED, "it was changed while the run went on", Bucket.WAITING)

    def _steps_back(self, side: Side, work: Work) -> bool:
        """
        Whether the sides are taken to agree on something else than the shadow of a side whose listing lags: it may show what
        the record held before our own write, and the next one would show that write as somebody's edit. Likewise where the two
        meet for the first time: what both are taken to hold is the base of all that follows.
        """
        remote, decision = self._context.remotes[side], work.decision
        if not remote.capabilities.lag or not remote.is_readable or not decision.half(side).delivered:
            return False
        if work.link is None:
            return decision.state is LinkState.LIVE and decision.half(side.other).id is not None  # a first contact
        shadow = work.link.side(side).shadow
        bases = work.decision.bases.get(side, {})
        return any(name in shadow and shadow[name] != value for name, value in bases.items())

    def _read_again(
        self, side: Side, works: Sequence[Work], probe: _Probe | None
    ) -> dict[tuple[Side, str], Record | Tombstone | None]:
        """Strong reads by id: the target unless its writes are conditional; the source where the evidence must be strongest."""
        wanted: dict[Side, list[str]] = {Side.LEFT: [], Side.RIGHT: []}
        capabilities = {each: self._context.remotes[each].capabilities for each in Side}
        is_readable = self._context.remotes[side].is_readable
        for work in works:
            write, target, source = work.todo[0], work.decision.half(side), work.decision.half(side.other)
            removal = write.op in (Op.ARCHIVE, Op.DELETE)
            # A record to be restored may be back by itself: a system that hid it for a while does not tell of its return.
            is_unproved = removal or write.op is Op.RESTORE or not capabilities[side].conditional_writes
            stale_version = not target.delivered and target.version is not None
            if write.id is not None and (is_unproved or stale_version or self._steps_back(side, work)):
                wanted[side].append(write.id)
            if write.op is Op.CREATE and work.decision.link is not None and target.id is not None:
                wanted[side].append(target.id)  # whoever is to be replaced may have been brought back a moment ago
            if not is_readable:
                wanted[side].clear()  # nothing can be proved about it: `check` says so
            first_contact = write.op is Op.UPDATE and work.decision.link is None
            touched = any(done.side is side.other for done in work.decision.writes if done not in work.todo)
            if source.id is not None and not touched and (removal or first_contact or capabilities[side.other].lag > 0):
                wanted[side.other].append(source.id)
        found: dict[tuple[Side, str], Record | Tombstone | None] = {}
        for each, ids in wanted.items():
            missing = {half.id for work in works if (half := work.decision.half(each)).now is None}
            gone = [id_ for id_ in ids if id_ in missing]
            if gone and "get" not in self._context.remotes[each].skills:
                # Where everything is read whatever is looked for, nothing is to be read later than the evidence.
                is_healthy(self._context, each, gone)
            remote = self._context.remotes[each]
            if each is side and ids and probe is not None and remote.is_read_whole:
                answers, probe.found = remote.look(ids, probe.fits)
                probe.is_done = True
            else:
                answers = remote.get(ids)
            for answer in answers:
                found[each, answer.id] = answer if isinstance(answer, Record | Tombstone) else None
        return found

    def _stands(self, side: Side, work: Work, fresh: dict[tuple[Side, str], Record | Tombstone | None]) -> bool:
        if not fresh:
            return True
        write = work.todo[0]
        halves = {each: work.decision.half(each) for each in Side}
        changed = False
        for each in (side, side.other):
            id_ = halves[each].id
            if id_ is None or (each, id_) not in fresh:
                continue
            answer = fresh[each, id_]
            if answer is None:
                self._defer(work, f"the {each.value} record could not be read right before the write", wait=Wait.UNREAD)
                return False
            if isinstance(answer, Tombstone):
                if halves[each].now is None and (write.op in (Op.CREATE, Op.RESTORE) or is_healthy(self._context, each, [id_])):
                    continue  # gone it was, by proof, perhaps in an earlier run, and gone it still is
                if halves[each].now is None:
                    self._defer(work, f"the {each.value} side cannot show anything that it is known to hold")
                    return False
                self._defer(work, f"the {each.value} record vanished while the run went on")
                return False
            staged = stage_record(self._context, each, answer, link=work.decision.link)
            now = self._context.half(staged)
            assert now.now is not None
            expected = work.now.get(each)
            if expected is None or not _same(expected, now.now):
                changed = True
            halves[each] = replace(now, base=halves[each].base, unconfirmed=halves[each].unconfirmed)
        if not changed:
            work.decision = replace(
                work.decision,
                left=_fresher(work.decision.left, halves[Side.LEFT]),
                right=_fresher(work.decision.right, halves[Side.RIGHT]),
            )
            return True
        return self._decide_again(side, work, write, halves)

    def _decide_again(self, side: Side, work: Work, write: Write, halves: dict[Side, Half]) -> bool:
        """
        Somebody was faster: go on only if the fresher evidence asks for the same kind of write and nothing else.

        A part of what was decided is left for the next pass: decided again, it would bring back the field that was refused.
        """
        if write.op is Op.UPDATE and len(work.decision.writes) == 1 and not work.is_part:
            fresh = self._decider.again(work.decision, halves)
            if [(each.op, each.side) for each in fresh.writes] == [(Op.UPDATE, side)]:
                # A record that the run was not delivered before is accounted for already: it looked unchanged.
                buckets = {
                    each: bucket
                    for each, bucket in fresh.buckets.items()
                    if each in work.decision.buckets and work.decision.half(each).delivered
                }
                renewed = Work.of(replace(fresh, key=work.decision.key, buckets=buckets))
                work.decision, work.todo, work.now = renewed.decision, renewed.todo, renewed.now
                work.prints, work.waits = renewed.prints, renewed.waits
                return True
        self._defer(work, "it was changed while the run went on")
        return False

    def _with_wholes(self, side: Side, works: list[Work]) -> list[Work]:
        """A system that replaces whole records is sent what nobody mapped as well, as it is right now."""
        remote = self._context.remotes[side]
        updates = {work.todo[0].id or "": work for work in works if work.todo[0].op is Op.UPDATE}
        if remote.capabilities.partial_updates or not updates:
            return works
        ready = [work for work in works if work.todo[0].op is not Op.UPDATE]
        for answer in remote.get(list(updates), whole=True):
            work = updates[answer.id]
            if isinstance(answer, Record) and _same(work.now.get(side, {}), answer.fields):
                work.whole = answer.fields
                ready.append(work)
            else:
                self._defer(work, "it was changed while the run went on")
        return ready

    def _probe(self, side: Side, works: Sequence[Work]) -> _Probe | None:
        """What to search a side for before the creates among these works; None where there is nothing to search for or by."""
        context = self._context
        field_rule = next((rule for rule in context.rule.match if rule.references is None), None)
        name = field_rule.native(side) if field_rule is not None else None
        if name is None:
            return None
        description = context.remotes[side].resource.fields.get(name)
        refuses_twins = description is not None and description.unique and len(context.rule.match) == 1
        keys: dict[int, str] = {}
        values: list[Native] = []
        for work in works:
            write = work.todo[0]
            if write.op is not Op.CREATE or (refuses_twins and work.decision.link is None):
                # Its system tells twins by their spelling, though, and what is made anew for a link was matched with nobody.
                continue
            if (key := key_of_create(context, work.decision, write)) is not None:
                keys[id(work)] = key
                if name in write.fields:
                    values.append(write.fields[name])
        if not keys:
            return None
        wanted = set(keys.values())
        return _Probe(keys=keys, name=name, values=values, fits=lambda record: match_key(context, side, record.fields) in wanted)

    def _without_twins(self, side: Side, works: list[Work], probe: _Probe | None) -> list[Work]:
        """Probe for the keys of creates; a record that is there already is not created again but matched in the next pass."""
        context = self._context
        if probe is None or not any(id(work) in probe.keys for work in works):
            return works
        found = probe.found if probe.is_done else context.remotes[side].probe(probe.name, probe.values, fits=probe.fits)
        if found is None:
            # What a listing lacks may be there all the same, unless it was complete.
            ready = [work for work in works if id(work) not in probe.keys]
            for work in works:
                if id(work) in probe.keys:
                    why = f"a listing of the {side.value} did not come to its end, and nothing else tells who has its key"
                    self._defer(work, why)
            return ready
        there = {match_key(context, side, record.fields) for record in found}
        if not there:
            return works
        ready = []
        for work in works:
            key = probe.keys.get(id(work))
            if key is not None and key in there and work.link is not None:
                # Another record has taken its key: only a human can say who is who.
                why = f"it is to be made anew, and another record on the {side.value} has its key"
                work.asks.append(Ask(kind=AskKind.DUPLICATE, field=None, why=why))
                work.trouble(Wait.AMBIGUOUS, why, Bucket.AMBIGUOUS)
                self._put_off(work)
            elif key is not None and key in there:
                self._defer(work, f"a record with its key appeared on the {side.value} just now")
            else:
                ready.append(work)
        return ready

    def _defer(self, work: Work, why: str, *, wait: Wait = Wait.DEFERRED) -> None:
        work.trouble(wait, why, Bucket.WAITING)
        self._put_off(work)


def _fresher(old: Half, new: Half) -> Half:
    """The same values, with the version and time of the later read."""
    return replace(old, version=new.version, modified_at=new.modified_at) if new.now is not None else old


def _same(one: Fields, two: Fields) -> bool:
    """Whether two readings of a record agree, as far as both tell."""
    return all(one[name] == two[name] for name in one.keys() & two.keys())
