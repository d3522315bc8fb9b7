"""
Applying: evidence, intent, write, outcome, for one batch after the other.

Every write is preceded by evidence of its own: a conditional write carries it, a create is preceded by a probe for its key
unless the target refuses twins itself, and everything else by a read of the target by id.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from syncengine.connector import (
    Archive,
    Change,
    Create,
    Delete,
    Expected,
    Failed,
    Fields,
    Identify,
    Native,
    Outcome,
    Record,
    Restore,
    SetChange,
    Tombstone,
    Update,
    Written,
)
from syncengine.core.decision import Ask, AskKind, Bucket, Decision, Op, Wait, Write
from syncengine.core.merge import Half
from syncengine.core.model import Side
from syncengine.core.verdict import Fate, applied_nothing, verdict
from syncengine.engine.commit import Commit, Work, set_fields
from syncengine.engine.context import Context
from syncengine.engine.decide import Decider
from syncengine.engine.read import match_key, stage_record
from syncengine.engine.remote import Remote
from syncengine.errors import AlreadyExists, NotFound, OutcomeUnknown, RecordError, Rejected, TransientError, VersionConflict
from syncengine.store.journal import IntentState
from syncengine.store.staging import Staged

_SETTLE_BATCH = 500
_LARGEST_GROUP = 1000
_LARGEST_REWRITE = 20_000
_PATIENCE = 3
"""Tries after which a value that somebody else holds is a person's business."""


class Applier:
    """Carries decisions out; one coordinator, which alone touches the store."""

    def __init__(self, context: Context, decider: Decider) -> None:
        self._context = context
        self._store = context.store
        self._decider = decider
        self.commit = Commit(context)
        self._calm: list[Work] = []
        self._held: list[Decision] = []
        self._queues: dict[Side, list[Work]] = {Side.LEFT: [], Side.RIGHT: []}
        self._removals: dict[Side, list[Work]] = {Side.LEFT: [], Side.RIGHT: []}
        self._done = 0
        self._down: dict[Side, str] = {}

    def apply(self, decisions: Iterable[Decision]) -> None:
        """
        Write what the decisions say and remember the outcome, batch by batch; removals come last.

        Stops between batches when asked to. Raises what stops a side, after everything known has been committed.
        """
        for decision in decisions:
            if self._context.ports.stop():
                break
            if decision.hold:
                self._hold(decision)
                continue
            work = Work.of(decision)
            if not work.todo:
                self._settle_later(work)
            elif work.todo[0].op in (Op.ARCHIVE, Op.DELETE):
                self._removals[work.todo[0].side].append(work)
            else:
                self._enqueue(work)
        self._flush_all()
        self._queues, self._removals = self._removals, {Side.LEFT: [], Side.RIGHT: []}
        self._flush_all()
        self._settle_now()

    def identify(self, side: Side, rows: Sequence[Staged]) -> None:
        """Give records lasting ids, before anything else of the run."""
        works = []
        for row in rows:
            half = self._context.half(row)
            label = self._context.rule.label(side, row.fields or {})
            nobody = Half(id=None, now=None)
            left, right = (half, nobody) if side is Side.LEFT else (nobody, half)
            write = Write(op=Op.IDENTIFY, side=side, id=row.id)
            works.append(Work.of(Decision(link=None, left=left, right=right, label=label, writes=(write,))))
        for start in range(0, len(works), self._group(side)):
            batch = works[start : start + self._group(side)]
            self.commit.intend(side, batch)
            self._send(side, batch)

    def _hold(self, decision: Decision) -> None:
        for side, bucket in decision.buckets.items():
            if decision.half(side).delivered:
                self._context.buckets[side][bucket] += 1
        self._held.append(decision)
        if len(self._held) >= _SETTLE_BATCH:
            self._settle_now()

    def _settle_later(self, work: Work) -> None:
        self._calm.append(work)
        if len(self._calm) >= _SETTLE_BATCH:
            self._settle_now()

    def _settle_now(self) -> None:
        if not self._calm and not self._held:
            return
        works, self._calm = self._calm, []
        held, self._held = self._held, []
        self._load_links(works)
        for work in works:
            if work.decision.link is not None and work.link is None:
                work.trouble(Wait.DEFERRED, "its link changed while the run went on", Bucket.WAITING)
        assert self._context.lease is not None
        with self._store.commit(self._context.lease):
            self.commit.hold(held)
            self.commit.settle(works)

    def _enqueue(self, work: Work) -> None:
        side = work.todo[0].side
        self._queues[side].append(work)
        if len(self._queues[side]) >= self._group(side):
            self._flush(side)

    def _flush_all(self) -> None:
        """A write may call for another one: the other half of a decision, or a create where nothing could be restored."""
        while any(self._queues.values()) and not self._context.ports.stop():
            for side in (Side.RIGHT, Side.LEFT):
                self._flush(side)

    def _group(self, side: Side) -> int:
        """How many writes share one journal transaction."""
        capabilities = self._context.remotes[side].capabilities
        if capabilities.rewrites_whole:
            return min(capabilities.max_batch, _LARGEST_REWRITE)
        return max(1, min(8 * capabilities.max_batch * capabilities.max_concurrency, _LARGEST_GROUP))

    def _flush(self, side: Side) -> None:
        works, self._queues[side] = self._queues[side], []
        for start in range(0, len(works), self._group(side)):
            if self._context.ports.stop():
                return
            batch = works[start : start + self._group(side)]
            if side in self._down:
                for work in batch:
                    work.trouble(Wait.FAILED, self._down[side], Bucket.FAILED)
                    self._settle_later(work)
                continue
            self._load_links(batch)
            ready = self._with_evidence(side, batch)
            if ready:
                self.commit.intend(side, ready)
                self._send(side, ready)
            self._done += len(batch)
            self._context.ports.progress.update(self._context.rule.name, "write", self._done, None)

    def _load_links(self, works: Sequence[Work]) -> None:
        wanted = [work for work in works if work.link is None and work.decision.link is not None]
        links = self._store.links.load([work.decision.link for work in wanted if work.decision.link is not None])
        for work in wanted:
            assert work.decision.link is not None
            work.link = links.get(work.decision.link)

    # Evidence

    def _with_evidence(self, side: Side, works: Sequence[Work]) -> list[Work]:
        """The works whose ground still holds; the others are settled as waiting, or as the fresher evidence says."""
        fresh = self._read_again(side, works)
        ready = []
        for work in works:
            if (work.decision.link is not None) and work.link is None:
                self._defer(work, "its link changed while the run went on")
            elif self._stands(side, work, fresh):
                ready.append(work)
        return self._with_wholes(side, self._without_twins(side, ready))

    def _read_again(self, side: Side, works: Sequence[Work]) -> dict[tuple[Side, str], Record | Tombstone | None]:
        """Strong reads by id: the target unless its writes are conditional; the source where the evidence must be strongest."""
        wanted: dict[Side, list[str]] = {Side.LEFT: [], Side.RIGHT: []}
        capabilities = {each: self._context.remotes[each].capabilities for each in Side}
        for work in works:
            write, target, source = work.todo[0], work.decision.half(side), work.decision.half(side.other)
            removal = write.op in (Op.ARCHIVE, Op.DELETE)
            stale_version = not target.delivered and target.version is not None
            if (
                write.id is not None
                and write.op is not Op.RESTORE
                and (removal or stale_version or not capabilities[side].conditional_writes)
            ):
                wanted[side].append(write.id)
            if not self._context.remotes[side].is_readable:
                wanted[side].clear()  # nothing can be proved about it: `check` says so
            first_contact = write.op is Op.UPDATE and work.decision.link is None
            touched = any(done.side is side.other for done in work.decision.writes if done not in work.todo)
            if source.id is not None and not touched and (removal or first_contact or capabilities[side.other].lag > 0):
                wanted[side.other].append(source.id)
        found: dict[tuple[Side, str], Record | Tombstone | None] = {}
        for each, ids in wanted.items():
            for answer in self._context.remotes[each].get(ids):
                found[each, answer.id] = answer if isinstance(answer, Record | Tombstone) else None
        return found

    def _stands(self, side: Side, work: Work, fresh: dict[tuple[Side, str], Record | Tombstone | None]) -> bool:
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
                if halves[each].now is None:  # gone it was, by proof, and gone it still is
                    continue
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
        """Somebody was faster: go on only if the fresher evidence asks for the same kind of write and nothing else."""
        if write.op is Op.UPDATE and len(work.decision.writes) == 1:
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

    def _without_twins(self, side: Side, works: list[Work]) -> list[Work]:
        """Probe for the keys of creates; a record that is there already is not created again but matched in the next pass."""
        context = self._context
        creates = [work for work in works if work.todo[0].op is Op.CREATE]
        # A record that is made anew for an old link comes without a key of its own.
        keys = {id(work): work.decision.key or match_key(context, side, work.todo[0].fields) for work in creates}
        probed = [work for work in creates if keys[id(work)] is not None]
        if not probed:
            return works
        field_rule = next((rule for rule in context.rule.match if rule.references is None), None)
        name = field_rule.native(side) if field_rule is not None else None
        if name is None:
            return works
        description = context.remotes[side].resource.fields.get(name)
        if description is not None and description.unique and len(context.rule.match) == 1:
            return works
        values: list[Native] = [work.todo[0].fields[name] for work in probed if name in work.todo[0].fields]
        wanted = set(keys.values())
        found = context.remotes[side].find(name, values, fits=lambda record: match_key(context, side, record.fields) in wanted)
        there = {match_key(context, side, record.fields) for record in found}
        if not there:
            return works
        ready = []
        for work in works:
            if keys.get(id(work)) is not None and keys[id(work)] in there and work.link is not None:
                # Another record has taken its key: only a human can say who is who.
                why = f"it is to be made anew, and another record on the {side.value} has its key"
                work.asks.append(Ask(kind=AskKind.DUPLICATE, field=None, why=why))
                work.trouble(Wait.AMBIGUOUS, why, Bucket.AMBIGUOUS)
                self._settle_later(work)
            elif keys.get(id(work)) is not None and keys[id(work)] in there:
                self._defer(work, f"a record with its key appeared on the {side.value} just now")
            else:
                ready.append(work)
        return ready

    def _defer(self, work: Work, why: str, *, wait: Wait = Wait.DEFERRED) -> None:
        work.trouble(wait, why, Bucket.WAITING)
        self._settle_later(work)

    # Sending

    def _send(self, side: Side, works: Sequence[Work]) -> None:
        remote = self._context.remotes[side]
        size = remote.capabilities.max_batch
        batches = [works[start : start + size] for start in range(0, len(works), size)]
        calls: list[Callable[[], Sequence[Outcome]]] = [
            partial(self._call, side, [self._change(side, work) for work in batch]) for batch in batches
        ]
        stop: BaseException | None = None
        for index, result in self._context.ports.executor.run(calls, at_once=remote.capabilities.max_concurrency):
            if isinstance(result, BaseException):
                fate = verdict(result)
                if fate is Fate.STOP or not isinstance(result, Exception):
                    stop = result
                elif fate is Fate.RETRY:
                    # It outlasted its retries: what else this run would send meets the same trouble.
                    self._down[side] = str(result)
                self._raised(batches[index], result)
            else:
                self._answered(batches[index], result)
        if stop is not None:
            self._settle_now()
            raise stop

    def _call(self, side: Side, changes: Sequence[Change]) -> Sequence[Outcome]:
        """Runs on a worker thread: touches nothing but the connector, and starts only while the lease will outlast it."""
        lease, remote = self._context.lease, self._context.remotes[side]
        assert lease is not None
        if lease.until - self._context.ports.clock.now() < remote.deadline:
            msg = f"{remote.end}: the lease would end before the call does; the rest waits for the next run"
            raise TransientError(msg)
        return remote.write(changes)

    def _raised(self, works: Sequence[Work], error: BaseException) -> None:
        assert self._context.lease is not None
        with self._store.commit(self._context.lease):
            for work in works:
                if isinstance(error, Exception) and applied_nothing(error):
                    self.commit.failed(work, error, Wait.FAILED, Bucket.FAILED)
                else:
                    self.commit.doubted(work, OutcomeUnknown(f"the call broke off ({type(error).__name__})"))
            self.commit.settle(works)
        self._context.failures.append(str(error) if isinstance(error, Exception) else type(error).__name__)

    def _answered(self, works: Sequence[Work], outcomes: Sequence[Outcome]) -> None:
        assert self._context.lease is not None
        with self._store.commit(self._context.lease):
            now = self._context.ports.clock.now()
            if self._context.lease.until - now < self._half_lease():
                self._store.leases.renew(self._context.lease, now=now, ttl=2 * self._half_lease())
            finished = []
            taken = self._taken(works, outcomes)
            for work, outcome in zip(works, outcomes, strict=True):
                if work.todo[0].op is Op.IDENTIFY:
                    self._identified(work, outcome)
                    continue
                if isinstance(outcome, Written):
                    self.commit.written(work, outcome, taken)
                elif work.todo[0].op is Op.RESTORE and isinstance(outcome.error, NotFound):
                    self._create_instead(work, outcome.error)
                    continue
                else:
                    self._not_written(work, outcome)
                if work.todo:
                    assert work.link is not None
                    self._store.links.save([work.link])
                    work.decision = replace(work.decision, link=work.link.number)
                    self._queues[work.todo[0].side].append(work)
                else:
                    finished.append(work)
            self.commit.settle(finished)

    def _create_instead(self, work: Work, error: NotFound) -> None:
        """The record is gone for good and cannot be restored: the edit survives in a new one."""
        now = self._context.ports.clock.now()
        self._store.journal.close([(work.intent, IntentState.CLOSED, now, None, str(error))])
        side = work.todo[0].side
        fresh = Work.of(self._decider.without_restoring(work.decision, side))
        fresh.link = work.link
        if fresh.todo:
            self._queues[side].append(fresh)
        else:
            self.commit.settle([fresh])

    def _taken(self, works: Sequence[Work], outcomes: Sequence[Outcome]) -> set[str]:
        """The ids that creates were answered with and that belong to a link already; one answered twice counts as well."""
        side = works[0].todo[0].side
        created = [
            outcome.id
            for work, outcome in zip(works, outcomes, strict=True)
            if work.todo[0].op is Op.CREATE and isinstance(outcome, Written)
        ]
        twice = {id_ for id_, count in Counter(created).items() if count > 1}
        return twice | set(self._store.links.live_of(self._context.pair.number, side, created)) if created else set()

    def _half_lease(self) -> float:
        return 2.5 * max(remote.deadline for remote in self._context.remotes.values())

    def _not_written(self, work: Work, outcome: Failed) -> None:
        error = outcome.error
        label = work.decision.label
        match error:
            case OutcomeUnknown():
                self.commit.doubted(work, error)
            case AlreadyExists() if _is_one_of_several(work, error):
                self.commit.narrowed(work, error, Wait.DEFERRED)
            case AlreadyExists() if self._tries(work) >= _PATIENCE:
                self._context.failures.append(f"{label}: {error}")
                self.commit.failed(work, error, Wait.QUARANTINED, Bucket.QUARANTINED)
            case VersionConflict() | NotFound() | AlreadyExists():
                self.commit.failed(work, error, Wait.DEFERRED, Bucket.WAITING)
            case Rejected() if _is_one_of_several(work, error):
                self._context.failures.append(f"{label}: {error}")
                self.commit.narrowed(work, error, Wait.QUARANTINED)
            case Rejected():
                self._context.failures.append(f"{label}: {error}")
                wait = Wait.FAILED if work.todo[0].op in (Op.DELETE, Op.ARCHIVE) else Wait.QUARANTINED
                bucket = Bucket.FAILED if wait is Wait.FAILED else Bucket.QUARANTINED
                self.commit.failed(work, error, wait, bucket)
            case _:
                self._context.failures.append(f"{label}: {error}")
                self.commit.failed(work, error, Wait.FAILED, Bucket.FAILED)

    def _tries(self, work: Work) -> int:
        """How often the records of a work were tried in vain so far."""
        tries = 0
        for side in Side:
            if (id_ := work.decision.half(side).id) is not None:
                pending = self._store.records.pending_of(self._context.pair.number, side, [id_]).get(id_)
                tries = max(tries, pending.tries if pending is not None else 0)
        return tries

    def _identified(self, work: Work, outcome: Outcome) -> None:
        write = work.todo.pop(0)
        now = self._context.ports.clock.now()
        assert write.id is not None
        if isinstance(outcome, Written):
            self._store.journal.close([(work.intent, IntentState.DONE, now, outcome.id, None)])
            self.commit.vacate(write.side, outcome.id)
            self._store.staging.rename(write.side, write.id, outcome.id)
            self._context.written[f"{write.side.value}.identify"] += 1
            return
        state = IntentState.UNKNOWN if isinstance(outcome.error, OutcomeUnknown) else IntentState.CLOSED
        self._store.journal.close([(work.intent, state, now, None, str(outcome.error))])
        self._context.failures.append(f"{work.decision.label}: {outcome.error}")

    def _change(self, side: Side, work: Work) -> Change:
        write, capabilities = work.todo[0], self._context.remotes[side].capabilities
        half = work.decision.half(side)
        expected = None
        if capabilities.conditional_writes:
            before = {**work.whole, **write.before} if half.version is None else {}
            expected = Expected(version=half.version, fields=before)
        match write.op:
            case Op.CREATE:
                remote = self._context.remotes[side]
                upsert_on = None if remote.is_readable else self._context.rule.match[0].native(side)
                id_ = proposed_id(remote, work.key, write.fields)
                return Create(key=work.key, fields=write.fields, upsert_on=upsert_on, id=id_)
            case Op.IDENTIFY:
                assert write.id is not None
                return Identify(key=work.key, id=write.id)
            case Op.RESTORE:
                assert write.id is not None
                return Restore(key=work.key, id=write.id)
            case Op.ARCHIVE | Op.DELETE:
                assert write.id is not None
                kind = Archive if write.op is Op.ARCHIVE else Delete
                return kind(key=work.key, id=write.id, expected=expected)
            case Op.UPDATE:
                assert write.id is not None
                fields: Fields = write.fields
                if not capabilities.partial_updates:
                    fields = {**work.whole, **fields}
                elif capabilities.set_deltas:
                    fields = self._as_deltas(side, write)
                return Update(key=work.key, id=write.id, fields=fields, expected=expected)

    def _as_deltas(self, side: Side, write: Write) -> Fields:
        """Sets as what is added and removed, so that members which somebody else touches meanwhile stay."""
        sets = set_fields(self._context.rule, side)
        fields: dict[str, Native] = {}
        for name, value in write.fields.items():
            before = write.before.get(name)
            if name in sets and isinstance(value, list) and isinstance(before, list):
                add = tuple(member for member in value if member not in before)
                remove = tuple(member for member in before if member not in value)
                fields[name] = SetChange(add=add, remove=remove)
            else:
                fields[name] = value
        return fields


def proposed_id(remote: Remote, key: str, fields: Fields) -> str | None:
    """
    The id proposed for a create: derived from the intent's key, so that a lost create is found by reading it.

    None where the system chooses, or where the mapping itself writes what ids are made of.
    """
    if not remote.capabilities.chooses_ids or not fields.keys().isdisjoint(remote.resource.id_fields):
        return None
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest()


def _is_one_of_several(work: Work, error: RecordError) -> bool:
    """Whether the system named one field of an update as the one it refuses, so that the others can go on without it."""
    write = work.todo[0]
    return write.op is Op.UPDATE and error.field in write.fields and len(write.fields) > 1


def _fresher(old: Half, new: Half) -> Half:
    """The same values, with the version and time of the later read."""
    return replace(old, version=new.version, modified_at=new.modified_at) if new.now is not None else old


def _same(one: Fields, two: Fields) -> bool:
    """Whether two readings of a record agree, as far as both tell."""
    return all(one[name] == two[name] for name in one.keys() & two.keys())
