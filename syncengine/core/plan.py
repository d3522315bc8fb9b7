"""
From what both sides hold to what a run intends. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from syncengine.connector import ABSENT, Capabilities, Fields, Native
from syncengine.core.decision import Ask, AskKind, Bucket, Decision, LinkState, Loss, Op, Wait, Write
from syncengine.core.detect import Delta, Presence, detect
from syncengine.core.ground import Ground
from syncengine.core.mapping import PairRule, Unmappable
from syncengine.core.merge import FieldResult, Half, Pick, Verdict, merge_field, says_the_same
from syncengine.core.model import Deletes, Side
from syncengine.core.singles import create_for


def decide_link(
    rule: PairRule,
    ground: Ground,
    *,
    link: int | None,
    state: LinkState,
    left: Half,
    right: Half,
    presence: Mapping[Side, Presence],
) -> Decision:
    """Decide about a link, new (no shadows) or old; every combination of presence is a case of its own."""
    halves = {Side.LEFT: left, Side.RIGHT: right}
    deltas = {side: detect(rule, side, halves[side], presence[side], ground.resolve) for side in Side}
    label = _label(rule, halves)
    here = [side for side in Side if halves[side].now is not None and presence[side] is Presence.PRESENT]
    if Delta.UNKNOWN in deltas.values():
        waits = {side: (Wait.UNREAD, "a side could not be read by id") for side in Side if halves[side].id is not None}
        return Decision(link=link, left=left, right=right, label=label, waits=waits, buckets=dict.fromkeys(here, Bucket.WAITING))
    if not here:
        return Decision(link=link, left=left, right=right, label=label, state=LinkState.ENDED)
    if len(here) == 1:
        return _one_gone(rule, ground, link, state, halves, here[0], deltas[here[0]], label)
    outside = [side for side in Side if not rule.in_scope(side, halves[side].now or {})]
    if outside:
        return Decision(
            link=link, left=left, right=right, label=label, state=LinkState.SUSPENDED,
            buckets=dict.fromkeys(Side, Bucket.SKIPPED),
            skipped="outside the filter",
        )  # fmt: skip
    return _merge(rule, ground, link, state, halves, label)


def _merge(
    rule: PairRule, ground: Ground, link: int | None, state: LinkState, halves: Mapping[Side, Half], label: str
) -> Decision:
    results = [
        merge_field(
            field_rule,
            halves[Side.LEFT],
            halves[Side.RIGHT],
            resolve=ground.resolve,
            locate=ground.locate,
            follow=ground.follow,
            choice=ground.choices.get(field_rule.name),
            clock_slack=ground.clock_slack,
        )
        for field_rule in rule.fields
    ]
    writes = tuple(write for side in Side if (write := _update(side, halves, results)) is not None)
    waits = _waits(results)
    return Decision(
        link=link,
        left=halves[Side.LEFT],
        right=halves[Side.RIGHT],
        label=label,
        writes=writes,
        bases=_bases(results, halves),
        state=LinkState.LIVE if state is not LinkState.LIVE or link is None else None,
        asks=tuple(_conflict(result, halves) for result in results if result.verdict is Verdict.ASK),
        losses=tuple(loss for result in results for loss in _losses(result, halves)),
        waits=dict.fromkeys(Side, waits) if waits is not None else {},
        buckets={side: _bucket(side, writes, results, waits, is_new=link is None) for side in Side},
        shortfalls=tuple(
            (side, result.rule.name, lack) for result in results for side, lack in result.short if side not in result.writes
        ),
    )


def _update(side: Side, halves: Mapping[Side, Half], results: list[FieldResult]) -> Write | None:
    fields: dict[str, Native] = {}
    before: dict[str, Native] = {}
    source: dict[str, Native] = {}
    whys: dict[str, str] = {}
    now, other = halves[side].now or {}, halves[side.other].now or {}
    for result in results:
        if side not in result.writes:
            continue
        name, other_name = result.rule.native(side), result.rule.native(side.other)
        fields[name] = result.writes[side]
        whys[name] = result.why
        before[name] = now.get(name)
        if side.other not in result.writes:
            # Where both sides are written (a union, a value that a person typed), no shadow moves until both writes are proved.
            source[other_name] = other.get(other_name)
    if not fields:
        return None
    return Write(op=Op.UPDATE, side=side, id=halves[side].id, fields=fields, before=before, source=source, whys=whys)


def _bases(results: list[FieldResult], halves: Mapping[Side, Half]) -> Mapping[Side, Fields]:
    bases: dict[Side, dict[str, Native]] = {Side.LEFT: {}, Side.RIGHT: {}}
    for result in results:
        # Where a side is written, its shadow is what the write stores, not what it held before.
        sides: tuple[Side, ...] = tuple(side for side in result.quiet if side not in result.writes)
        if result.verdict in (Verdict.AGREED, Verdict.APART):
            sides = tuple(Side)
        for side in sides:
            name = result.rule.native(side)
            value = (halves[side].now or {}).get(name, ABSENT)
            bases[side][name] = None if value is ABSENT else value
    return {side: fields for side, fields in bases.items() if fields}


def _conflict(result: FieldResult, halves: Mapping[Side, Half]) -> Ask:
    left, right = (result.rule.native(side) for side in Side)
    return Ask(
        kind=AskKind.CONFLICT,
        field=result.rule.name,
        left=(halves[Side.LEFT].now or {}).get(left),
        right=(halves[Side.RIGHT].now or {}).get(right),
        base=halves[Side.LEFT].base.get(left),
        why=result.why,
    )


def _losses(result: FieldResult, halves: Mapping[Side, Half]) -> list[Loss]:
    losses = []
    for side in result.losers:
        name = result.rule.native(side)
        value = (halves[side].now or {}).get(name, ABSENT)
        # A record that came without the field still holds what it held.
        held = halves[side].base.get(name) if value is ABSENT else value
        losses.append(Loss(side=side, field=name, value=held, why=result.why))
    return losses


def _waits(results: list[FieldResult]) -> tuple[Wait, str] | None:
    for verdict, wait in (
        (Verdict.ASK, Wait.CONFLICT),
        (Verdict.BLOCKED, Wait.BLOCKED),
        (Verdict.PENDING, Wait.REFERENCE),
    ):
        waiting = [result for result in results if result.verdict is verdict]
        if waiting:
            return wait, "; ".join(f"{result.rule.name}: {result.why}" for result in waiting)
    return None


def _bucket(
    side: Side, writes: tuple[Write, ...], results: list[FieldResult], waits: tuple[Wait, str] | None, *, is_new: bool
) -> Bucket:
    if waits is not None:
        return Bucket.CONFLICTED if waits[0] is Wait.CONFLICT else Bucket.WAITING
    if any(write.side is side for write in writes):
        return Bucket.RECEIVED
    if writes:
        return Bucket.SENT
    if is_new:
        return Bucket.LINKED
    if any(result.verdict is Verdict.AGREED for result in results):
        return Bucket.AGREED
    return Bucket.UNCHANGED


def _one_gone(
    rule: PairRule,
    ground: Ground,
    link: int | None,
    state: LinkState,
    halves: Mapping[Side, Half],
    survivor: Side,
    delta: Delta,
    label: str,
) -> Decision:
    """One record is gone for certain, its partner stays: policy, direction, edits since, and a human's word decide."""
    gone = survivor.other
    halves = {**halves, gone: Half(id=halves[gone].id, now=None, base=halves[gone].base)}
    blank = Decision(link=link, left=halves[Side.LEFT], right=halves[Side.RIGHT], label=label)

    def dead(*, ask: Ask | None = None) -> Decision:
        return replace(
            blank,
            state=LinkState.DEAD,
            asks=(ask,) if ask is not None else (),
            waits={survivor: (Wait.DELETE, ask.why)} if ask is not None else {},
            buckets={survivor: Bucket.WAITING if ask is not None else Bucket.SKIPPED},
            skipped="" if ask is not None else f"deleted on the {gone.value}",
        )

    def deletion(op: Op) -> Decision:
        half = halves[survivor]
        losses = _unseen(rule, ground, survivor, halves)
        write = Write(op=op, side=survivor, id=half.id, before=dict(half.now or {}))
        return replace(blank, writes=(write,), state=LinkState.ENDED, losses=losses, buckets={survivor: Bucket.DELETED})

    def revival(ask: Ask | None = None) -> Decision:
        asks = (ask,) if ask is not None else ()
        if ground.capabilities[gone].restores and halves[gone].id is not None:
            write = Write(op=Op.RESTORE, side=gone, id=halves[gone].id)
            return replace(blank, writes=(write,), state=LinkState.LIVE, asks=asks, buckets={survivor: Bucket.SENT})

        def elsewhere(pair: str, side: Side, number: int) -> str | None:
            # The link still names the record that is gone: nothing may point to it any more, least of all the record itself.
            return None if pair == rule.name and number == link else ground.locate(pair, side, number)

        created = create_for(rule, replace(ground, locate=elsewhere), survivor, halves[survivor], blank)
        if not created.writes or not ground.capabilities[gone].creates:
            why = f"deleted on the {gone.value}, edited on the {survivor.value}: delete it here too?"
            return dead(ask=Ask(kind=AskKind.DELETE, field=None, why=why))
        return replace(created, asks=asks, buckets={survivor: Bucket.SENT})

    question = Ask(kind=AskKind.DELETE, field=None, why=f"deleted on the {gone.value}: delete on the {survivor.value} too?")
    choice = ground.choices.get(None)
    if choice is not None:
        if choice.pick is Pick.APART:
            return dead()
        keeps = choice.pick is Pick(survivor.value)
        if not rule.spec.direction.allows(gone if keeps else survivor):
            return dead()  # the direction has changed since the question was asked, or leaves nothing to be written
        if keeps:
            return revival() if rule.in_scope(survivor, halves[survivor].now or {}) else dead()
        op = _removal(ground.capabilities[survivor], Deletes.PROPAGATE)
        return dead() if op is None else deletion(op)
    if state in (LinkState.SUSPENDED, LinkState.DEAD):
        # Once answered, or never asked, it is not asked again: no later edit of the survivor changes that its partner is gone.
        waiting = ground.asked and rule.spec.deletes is not Deletes.IGNORE and rule.spec.direction.allows(survivor)
        return dead(ask=question if waiting else None)
    if not rule.in_scope(survivor, halves[survivor].now or {}):
        return dead()
    if not rule.spec.direction.allows(survivor):
        return dead()
    if delta in (Delta.MODIFIED, Delta.CREATED) and rule.spec.deletes is not Deletes.IGNORE:
        if not rule.spec.direction.allows(gone):
            return dead(ask=question)
        return revival(
            Ask(
                kind=AskKind.EDIT_SURVIVED,
                field=None,
                why=f"deleted on the {gone.value} but edited on the {survivor.value}: the edit survived",
            )
        )
    match rule.spec.deletes:
        case Deletes.IGNORE:
            return dead()
        case Deletes.ASK:
            return dead(ask=question)
        case Deletes.PROPAGATE | Deletes.ARCHIVE:
            op = _removal(ground.capabilities[survivor], rule.spec.deletes)
            return dead(ask=question) if op is None else deletion(op)


def _removal(capabilities: Capabilities, deletes: Deletes) -> Op | None:
    """Propagating means deleting where the system can, archiving where that is all it has; archiving never deletes."""
    if deletes is Deletes.PROPAGATE and capabilities.deletes:
        return Op.DELETE
    return Op.ARCHIVE if capabilities.archives else None


def _unseen(rule: PairRule, ground: Ground, side: Side, halves: Mapping[Side, Half]) -> tuple[Loss, ...]:
    """The values of a record about to be deleted that were never on the other side: edits since, and what was kept apart."""
    half, other = halves[side], halves[side.other]
    losses = []
    for field_rule in rule.fields:
        name, other_name = field_rule.native(side), field_rule.native(side.other)
        now = (half.now or {}).get(name)
        if now is None or now is ABSENT:
            continue
        seen = now == half.base.get(name) and other_name in other.base
        if seen:
            try:
                mine = field_rule.canonical(side, now, ground.resolve)
                theirs = field_rule.canonical(side.other, other.base[other_name], ground.resolve)
                seen = says_the_same(field_rule, mine, theirs)
            except Unmappable:
                seen = False
        if not seen:
            losses.append(Loss(side=side, field=name, value=now, why="deleted, and never on the other side"))
    return tuple(losses)


def _label(rule: PairRule, halves: Mapping[Side, Half]) -> str:
    for side in Side:
        now = halves[side].now
        if now is not None and (label := rule.label(side, now)):
            return label
    for side in Side:
        if halves[side].base and (label := rule.label(side, halves[side].base)):
            return label
    return ""
