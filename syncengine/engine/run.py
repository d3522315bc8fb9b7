"""
One pass over one pair: the one file that knows the order of the stages.

    read -> recover -> decide -> guard -> identify -> apply -> commit

Everything up to the guard writes nothing outside; the cursor moves last, when every record read is settled or durably waits.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from syncengine.core.decision import Bucket, Decision, Op, Wait
from syncengine.core.guard import Tally, Trip, check
from syncengine.core.mapping import SCHEMA
from syncengine.core.model import Side
from syncengine.engine.actions import identify_lines, lines
from syncengine.engine.apply import Applier
from syncengine.engine.commit import lease_seconds
from syncengine.engine.context import Context
from syncengine.engine.decide import Decider
from syncengine.engine.doubts import Doubts
from syncengine.engine.forecast import forecast
from syncengine.engine.read import fetch, must_sweep, read_both, read_some, records_read
from syncengine.engine.recover import Recovery, doubt_ends_at
from syncengine.engine.references import stage_outdated
from syncengine.engine.report import ActionLine, Exit, PlanReport, RunReport, document
from syncengine.errors import ConnectorError, Interrupted, Refused

_DAY = 86_400.0
_APPROVAL_SECONDS = 7 * _DAY
_FEW_ITEMS = 10_000
_TOLD_BLOCKED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which records a run looks at: all (`ids` None), or these ids per side. `sweep` ignores the cursors."""

    ids: Mapping[Side, Sequence[str]] | None = None
    sweep: bool = False


def plan(context: Context) -> PlanReport:
    """Everything a run would do, as a value; nothing is written anywhere."""
    context.store.staging.clear()
    _check_accounts(context)
    _read(context, Scope())
    doubts = Recovery(context).doubts()
    decider = Decider(context, doubts, planning=True)
    survey = _survey(context, decider)
    trips = check(context.rule.spec.guards, survey.tally)
    left, right = (context.remotes[side].end for side in Side)

    def actions() -> Iterator[ActionLine]:
        yield from identify_lines(context)
        for decision in decider.decisions():
            yield from lines(context, decision)

    return PlanReport(
        pair=context.rule.name,
        left=str(left),
        right=str(right),
        counts=dict(survey.counts),
        actions=actions,
        read={side.value: records_read(context, side) for side in Side},
        conflicts=survey.asks,
        trips=trips,
        approval=survey.hash if trips else "",
        forecast=forecast(context, survey.counts),
        notes=(*context.rule.notes, *survey.blocked, *context.told_skips()),
    )


def run(context: Context, scope: Scope, *, holder: str, place: str, approve: str | None = None) -> RunReport:
    """
    One pass: reads, recovers, decides, writes, remembers.

    A connector's error ends the pass with exit FAILED, after everything known has been committed. Raises StateError when the
    state cannot be used, which leaves nothing to report into.
    """
    clock = context.ports.clock
    started = clock.now()
    resources = [f"{context.remotes[side].account}/{context.remotes[side].end.resource}" for side in Side]
    with context.store.database.transaction():
        leases = context.store.leases
        context.lease = leases.acquire(resources, holder=holder, place=place, now=started, ttl=lease_seconds(context))
        context.number = context.store.runs.start(context.pair.number, started)
    trips: tuple[Trip, ...] = ()
    approval = error = ""
    finished = False
    try:
        context.store.staging.clear()
        _check_accounts(context)
        _read(context, scope)
        recovery = Recovery(context)
        recovery.resolve()
        for side in Side:
            fetch(context, side, context.reread[side])
        doubts = recovery.doubts()
        trips, approval = _guard(context, doubts, approve)
        if not trips:
            finished = _apply(context, scope, doubts, approve)
            if finished and approve is not None:
                # A person vouched for a side that cannot prove healthy: now what it says of writes in doubt counts as well.
                Recovery(context, decided=True).resolve()
    except Refused as refusal:
        trips, error = (Trip(guard="account", message=str(refusal)),), ""
    except ConnectorError as failure:
        error = "" if isinstance(failure, Interrupted) else str(failure)
    report = _report(context, started, trips, approval, error, finished)
    with context.store.commit(context.held_lease):
        if finished and not report.error:
            _move_on(context, scope)
        context.store.runs.finish(context.number, clock.now(), report.exit, document(report))
        context.store.leases.release(context.held_lease)
    return report


def _check_accounts(context: Context) -> None:
    for side in Side:
        known, remote = context.pair.accounts[side], context.remotes[side]
        if known is not None and known != remote.account:
            msg = (
                f"{remote.end.system}: this state was made with the account {known}, the config now reaches {remote.account}; "
                "put the old address back, or name a new state file with `state =`"
            )
            raise Refused(msg)


def _read(context: Context, scope: Scope) -> None:
    if scope.ids is not None:
        read_some(context, {side: list(scope.ids[side]) for side in Side})
        stage_outdated(context)
        return
    now = context.ports.clock.now()
    cursors: dict[Side, str | None] = {}
    for side in Side:
        cursor, full_at = context.pair.cursors[side], context.pair.full_at[side]
        due = full_at is None or now - full_at >= context.rule.spec.full_sweep
        moved = context.pair.digest != context.rule.digest
        incremental = context.remotes[side].capabilities.incremental and not (due or moved or scope.sweep)
        cursors[side] = cursor if incremental and cursor is not None and not must_sweep(context, side) else None
    read_both(context, cursors=cursors)
    stage_outdated(context)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Survey:
    tally: Tally
    counts: Counter[str]
    asks: int
    hash: str
    items: list[str] | None
    blocked: list[str]


def _survey(context: Context, decider: Decider) -> _Survey:
    """
    Go through all decisions once, to count them and to fingerprint what a guard might hold back.

    `items` are kept where they are few, so that an approval need not decide everything once more.
    """
    counts: Counter[str] = Counter()
    items: list[str] | None = []
    total = 0
    asked: set[tuple[int | str | None, str | None]] = set()
    blocked: list[str] = []
    for side in Side:
        if provisional := len(context.store.staging.provisional(side)):
            counts[f"{side.value}.identify"] = provisional
    for decision in decider.decisions():
        if decision.hold:
            continue
        if decision.skipped:
            context.skips[decision.skipped] += 1
        for write in decision.writes:
            counts[f"{write.side.value}.{write.op.value}"] += 1
        if decision.link is None and None not in (decision.left.id, decision.right.id):
            counts["link"] += 1
        asked.update((decision.link or decision.key, ask.field) for ask in decision.asks)
        if len(blocked) < _TOLD_BLOCKED:
            whys = {why for wait, why in decision.waits.values() if wait is Wait.BLOCKED}
            blocked += [f"{decision.label}: {why}" for why in sorted(whys)]
        for item in _items(decision):
            total = (total + int.from_bytes(hashlib.blake2b(item.encode(), digest_size=16).digest())) % 2**128
            if items is not None:
                items.append(item)
        if items is not None and len(items) > _FEW_ITEMS:
            items = None
    tally = _tally(
        context,
        creates=_sum(counts, Op.CREATE) + _sum(counts, Op.RESTORE),
        updates=_sum(counts, Op.UPDATE),
        deletes=_sum(counts, Op.DELETE) + _sum(counts, Op.ARCHIVE),
        linking=counts["link"],
    )
    return _Survey(tally=tally, counts=counts, asks=len(asked), hash=f"{total:032x}"[:10], items=items, blocked=blocked)


def _tally(context: Context, *, creates: int, updates: int, deletes: int, linking: int) -> Tally:
    store, pair, listings = context.store, context.pair, context.listings
    changed = sorted(
        name for name, digest in context.rule.parts.items() if name != SCHEMA and pair.parts.get(name, digest) != digest
    )
    return Tally(
        links=store.links.count(pair.number),
        known={side: listings[side].known for side in Side},
        read={side: records_read(context, side) if listings[side].full and listings[side].complete else None for side in Side},
        creates=creates,
        updates=updates,
        deletes=deletes,
        recent_deletes=store.journal.deletes_since(pair.number, context.ports.clock.now() - _DAY),
        linking=linking,
        has_dead=store.links.has_dead(pair.number),
        changed_config=changed if pair.digest is not None else (),
        is_first=pair.digest is None,
    )


def _sum(counts: Counter[str], op: Op) -> int:
    return sum(counts[f"{side.value}.{op.value}"] for side in Side)


def _items(decision: Decision) -> list[str]:
    """What an approval covers: the kind of each action and the record."""
    ids = f"{decision.left.id or ''}|{decision.right.id or ''}"
    items = [f"{write.op.value}|{write.side.value}|{ids}" for write in decision.writes]
    if decision.link is None and None not in (decision.left.id, decision.right.id):
        items.append(f"link|{ids}")
    return items


def _guard(context: Context, doubts: Doubts, approve: str | None) -> tuple[tuple[Trip, ...], str]:
    """The guards that trip, and the hash to approve them with; nothing when a valid approval covers all of it."""
    linked, gone, free = context.store.staging.bounds(context.pair.number)
    gone += context.store.inbox.count_chosen(context.pair.number)
    if context.store.staging.is_empty and not gone:
        return (), ""  # nothing can happen; where a side is empty that was not, what is missing there is staged
    most = _tally(context, creates=free + gone, updates=2 * linked + free, deletes=gone, linking=free)
    if not check(context.rule.spec.guards, most):
        return (), ""
    decider = Decider(context, doubts, planning=True)
    survey = _survey(context, decider)
    context.skips.clear()
    trips = check(context.rule.spec.guards, survey.tally)
    if not trips:
        return (), ""
    runs, pair, now = context.store.runs, context.pair.number, context.ports.clock.now()

    def items() -> Iterator[str]:
        if survey.items is not None:
            return iter(survey.items)
        return (item for decision in decider.decisions() if not decision.hold for item in _items(decision))

    if approve is not None and runs.has_approval(pair, approve, now):
        new = runs.not_approved(pair, approve, items())
        if not new:
            for listing in context.listings.values():
                # A person saw what is gone and vouches for it, also where nothing is left that could prove the side healthy.
                listing.healthy = True
            return (), ""
        message = f"{new} actions are new since {approve} was approved; look at the plan again"
        trips = (*trips, Trip(guard="approval", message=message, count=new))
    elif approve is not None:
        message = f"there is no approval {approve} waiting for this pair: it was spent, it expired, or it belongs to another pair"
        trips = (*trips, Trip(guard="approval", message=message))
    with context.store.commit(context.held_lease):
        runs.drop_expired(now)
        runs.ask_approval(pair, survey.hash, items(), now + _APPROVAL_SECONDS)
    return trips, survey.hash


def _apply(context: Context, scope: Scope, doubts: Doubts, approve: str | None) -> bool:
    """Write and remember; returns whether everything was gone through (not stopped half-way)."""
    if context.pair.digest not in (None, context.rule.digest):
        # If this run ends half-way, what it settled under this config says nothing to the one before, should that come back.
        with context.store.commit(context.held_lease):
            context.store.runs.outdate_config(context.pair.number)
    decider = Decider(context, doubts, planning=False)
    runs, now = context.store.runs, context.ports.clock.now()
    is_approved = approve is not None and runs.has_approval(context.pair.number, approve, now)

    def may_remove(count: int) -> bool:
        tally = _tally(context, creates=0, updates=0, deletes=count, linking=0)
        return is_approved or all(trip.guard != "deletes" for trip in check(context.rule.spec.guards, tally))

    applier = Applier(context, decider, may_remove=may_remove)
    for side in Side:
        if rows := context.store.staging.provisional(side):
            applier.identify(side, rows)
    applier.apply(decider.decisions())
    if context.ports.stop():
        return False
    saw_everything = scope.ids is None and all(listing.full for listing in context.listings.values())
    if approve is not None or saw_everything:
        with context.store.commit(context.held_lease):
            if approve is not None:
                context.store.runs.spend_approval(context.pair.number, approve)
            if saw_everything:
                applier.commit.settling.close_unasked()
    return True


def _move_on(context: Context, scope: Scope) -> None:
    """The end of a pass that went through: config, accounts and, last of all, the cursors."""
    runs, pair, now = context.store.runs, context.pair.number, context.ports.clock.now()
    for side in Side:
        if context.pair.accounts[side] is None:
            runs.set_account(pair, side, context.remotes[side].account)
    if scope.ids is not None:
        return
    runs.remember(context.notes_to_set)
    is_new = context.pair.digest != context.rule.digest
    if is_new:
        runs.accept_config(pair, context.rule.digest, context.rule.parts)
    for side in Side:
        listing = context.listings[side]
        if listing.cursor is not None and listing.cursor != context.pair.cursors[side]:
            runs.set_cursor(pair, side, listing.cursor)
        if listing.full and listing.complete:
            runs.set_full_at(pair, side, now)
        elif is_new:
            # What this listing left out was judged by the old config: the next one has to bring it, wherever the cursor stands.
            runs.set_full_at(pair, side, None)
    if all(listing.full and listing.complete for listing in context.listings.values()):
        context.store.links.forget_former(pair)


def _report(context: Context, started: float, trips: tuple[Trip, ...], approval: str, error: str, finished: bool) -> RunReport:
    store, pair = context.store, context.pair.number
    read = {side: records_read(context, side) for side in Side}
    for side in Side:
        context.buckets[side][Bucket.UNCHANGED] += context.listings[side].seen.unchanged
    pending = store.records.waiting(pair)
    inbox = store.inbox.count(pair)
    unresolved = store.journal.unresolved(pair)
    blocked: list[str] = []
    if Wait.BLOCKED.value in pending:
        blocked = [f"{label}: {why}" for label, why in store.records.some_blocked(pair, limit=_TOLD_BLOCKED)]
    stopped = not (finished or trips or error)
    if stopped:
        context.notes.append("stopped on request; the next run goes on where this one left off")
    if finished and not error:
        for side in Side:
            if (total := sum(context.buckets[side].values())) != read[side]:
                error = (
                    f"the accounts do not balance: {read[side]} records read on the {side.value}, {total} accounted for; "
                    "this is a bug in syncengine, please report it"
                )
    if error:
        code = Exit.FAILED
    elif trips:
        code = Exit.REFUSED
    elif inbox or pending or stopped or context.failures or context.rule.drift or unresolved:
        code = Exit.PARTIAL
    else:
        code = Exit.DONE
    left, right = (context.remotes[side].end for side in Side)
    return RunReport(
        run=context.number,
        pair=context.rule.name,
        left=str(left),
        right=str(right),
        started_at=datetime.fromtimestamp(started, UTC),
        finished_at=datetime.fromtimestamp(context.ports.clock.now(), UTC),
        read={side.value: read[side] for side in Side},
        buckets={side.value: {bucket.value: count for bucket, count in context.buckets[side].items() if count} for side in Side},
        written={name: count for name, count in context.written.items() if count},
        failed=tuple(context.failures),
        inbox_open=inbox,
        quarantined=pending.get("quarantined", 0),
        pending=pending,
        refused=trips,
        approval=approval,
        error=error,
        exit=code,
        notes=(*context.rule.drift, *context.notes, *blocked, *context.told_shortfalls(), *context.told_skips()),
        shortfalls=dict(context.shortfalls),
        doubt_ends_at=doubt_ends_at(context, unresolved),
    )
