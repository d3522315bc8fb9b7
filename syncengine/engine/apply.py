"""
Applying: evidence, intent, write, outcome, for one batch after the other.

What a write stands on is looked at again right before it (`evidence`); what is sent, `changes` says; `commit` remembers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from syncengine.connector import (
    Failed,
    Outcome,
    Written,
)
from syncengine.core.decision import Bucket, Decision, Op, Wait, Write
from syncengine.core.model import Side
from syncengine.core.verdict import Fate, applied_nothing, verdict
from syncengine.engine.changes import change_of
from syncengine.engine.commit import Commit
from syncengine.engine.context import Context
from syncengine.engine.decide import Decider
from syncengine.engine.evidence import Evidence
from syncengine.engine.read import key_of_create
from syncengine.engine.rings import Rings
from syncengine.engine.settle import CHANGED
from syncengine.engine.work import Work
from syncengine.errors import (
    AlreadyExists,
    Interrupted,
    NotFound,
    OutcomeUnknown,
    RecordError,
    Rejected,
    VersionConflict,
)
from syncengine.store.journal import IntentState
from syncengine.store.staging import Staged

_SETTLE_BATCH = 500
_LARGEST_GROUP = 1000
_LARGEST_REWRITE = 20_000
_PATIENCE = 3
"""Tries after which a value that somebody else holds is a person's business."""


class Applier:
    """
    Carries decisions out; one coordinator, which alone touches the store. `may_remove` tells whether the guard lets so many
    removals pass: deciding reads what it misses, so that more may come of it than were counted before.
    """

    def __init__(self, context: Context, decider: Decider, *, may_remove: Callable[[int], bool]) -> None:
        self._context = context
        self._store = context.store
        self._decider = decider
        self._may_remove = may_remove
        self.commit = Commit(context)
        self._evidence = Evidence(context, decider, self._settle_later)
        self._rings = Rings(context, self._carry_out)
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
        self._put_off_removals()
        self._flush_all()
        self._settle_now()
        self._rings.turn()
        self._settle_now()

    def _put_off_removals(self) -> None:
        """The guard looks once more: where more would be removed than it let pass, the next run plans it all and asks."""
        removals = [work for works in self._queues.values() for work in works]
        if not removals or self._may_remove(len(removals)):
            return
        self._queues = {Side.LEFT: [], Side.RIGHT: []}
        for work in removals:
            work.trouble(Wait.DEFERRED, "more would be removed than the guard let pass; planned anew", Bucket.WAITING)
            self._settle_later(work)

    def identify(self, side: Side, rows: Sequence[Staged]) -> None:
        """Give records lasting ids, before anything else of the run."""
        works = []
        for row in rows:
            label = self._context.rule.label(side, row.fields or {})
            write = Write(op=Op.IDENTIFY, side=side, id=row.id)
            works.append(Work.of(replace(Decision.alone(side, self._context.half(row), label=label), writes=(write,))))
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
                work.trouble(Wait.DEFERRED, CHANGED, Bucket.WAITING)
        self._evidence.confirm(works)
        assert self._context.lease is not None
        with self._store.commit(self._context.lease):
            self.commit.settling.hold(held)
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

    def _carry_out(self, side: Side, work: Work) -> None:
        self._queues[side].append(work)
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
            batch = [work for work in batch if not self._is_overtaken(work)]
            self._load_links(batch)
            ready = self._evidence.ready(side, batch)
            if ready:
                self.commit.intend(side, ready)
                self._send(side, ready)
            self._done += len(batch)
            self._context.ports.progress.update(self._context.rule.name, "write", self._done, None)

    def _is_overtaken(self, work: Work) -> bool:
        """Whether a new record has an id that this was decided about, so that it waits until the next pass."""
        if not self.commit.vacancies.is_stale(work.decision):
            return False
        work.trouble(Wait.DEFERRED, CHANGED, Bucket.WAITING)
        self._settle_later(work)
        return True

    def _load_links(self, works: Sequence[Work]) -> None:
        wanted = [work for work in works if work.link is None and work.decision.link is not None]
        links = self._store.links.load([work.decision.link for work in wanted if work.decision.link is not None])
        for work in wanted:
            assert work.decision.link is not None
            work.link = links.get(work.decision.link)

    # Sending

    def _send(self, side: Side, works: Sequence[Work]) -> None:
        remote = self._context.remotes[side]
        by_key = {work.key: work for work in works}
        divided = remote.divided([change_of(self._context, side, work) for work in works])
        batches = [[by_key[change.key] for change in batch] for batch in divided]
        calls: list[Callable[[], Sequence[Outcome]]] = [partial(self._context.write, side, batch) for batch in divided]
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

    def _raised(self, works: Sequence[Work], error: BaseException) -> None:
        assert self._context.lease is not None
        with self._store.commit(self._context.lease):
            for work in works:
                if isinstance(error, Interrupted):
                    self.commit.failed(work, error, Wait.DEFERRED, Bucket.WAITING)
                elif isinstance(error, Exception) and applied_nothing(error):
                    self.commit.failed(work, error, Wait.FAILED, Bucket.FAILED)
                else:
                    self.commit.doubted(work, OutcomeUnknown(f"the call broke off ({type(error).__name__})"))
            self.commit.settle(works)
        if not isinstance(error, Interrupted):
            self._context.failures.append(str(error) if isinstance(error, Exception) else type(error).__name__)

    def _answered(self, works: Sequence[Work], outcomes: Sequence[Outcome]) -> None:
        assert self._context.lease is not None
        taken = self._taken(works, outcomes)
        with self._store.commit(self._context.lease):
            now = self._context.ports.clock.now()
            if self._context.lease.until - now < self._half_lease():
                self._store.leases.renew(self._context.lease, now=now, ttl=2 * self._half_lease())
            finished = []
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
                    self.commit.settling.half_way(work)
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

    def _taken(self, works: Sequence[Work], outcomes: Sequence[Outcome]) -> dict[str, bool]:
        """
        The ids that creates were answered with and that belong to a link already, and whether the record is a new one all the
        same; one answered twice counts as well.
        """
        side = works[0].todo[0].side
        made = [
            (outcome.id, work)
            for work, outcome in zip(works, outcomes, strict=True)
            if work.todo[0].op is Op.CREATE and isinstance(outcome, Written)
        ]
        if not made:
            return {}
        twice = {id_ for id_, count in Counter(id_ for id_, _ in made).items() if count > 1}
        linked = self._store.links.live_of(self._context.pair.number, side, [id_ for id_, _ in made]).keys() - twice
        keys = {id_: key_of_create(self._context, work.decision, work.todo[0]) for id_, work in made if id_ in linked}
        new = self.commit.vacancies.new_ones(side, keys)
        taken = {id_: id_ in new for id_ in twice | linked}
        self.commit.vacancies.made(side, {id_: work for id_, work in made if taken.get(id_, True)})
        return taken

    def _half_lease(self) -> float:
        return 2.5 * max(remote.deadline for remote in self._context.remotes.values())

    def _not_written(self, work: Work, outcome: Failed) -> None:
        error = outcome.error
        label = work.decision.label
        if isinstance(error, AlreadyExists):
            self._rings.note(work, error)
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
        """How often the records of a work were tried in vain so far; what is in quarantine was tried often enough."""
        tries = 0
        for side in Side:
            if (id_ := work.decision.half(side).id) is not None:
                pending = self._store.records.pending_of(self._context.pair.number, side, [id_]).get(id_)
                if pending is not None:
                    tries = max(tries, _PATIENCE if pending.reason is Wait.QUARANTINED else pending.tries)
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


def _is_one_of_several(work: Work, error: RecordError) -> bool:
    """Whether the system named one field of an update as the one it refuses, so that the others can go on without it."""
    write = work.todo[0]
    return write.op is Op.UPDATE and error.field in write.fields and len(write.fields) > 1
