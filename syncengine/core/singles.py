"""A record that has no partner yet: one is created for it, or it is left alone. Pure."""

from __future__ import annotations

from dataclasses import replace

from syncengine.connector import ABSENT, Native
from syncengine.core.decision import Bucket, Decision, LinkState, Op, Wait, Write
from syncengine.core.filters import fields_of
from syncengine.core.ground import Ground
from syncengine.core.mapping import PairRule, Unmappable, Unresolved
from syncengine.core.merge import Half
from syncengine.core.model import Keyless, Side
from syncengine.core.values import Value, is_blank


def decide_single(rule: PairRule, ground: Ground, *, side: Side, half: Half, key: str | None) -> Decision:
    """Decide about a record that has no link and, by its key, no possible partner: create one for it, or leave it alone."""
    target = side.other
    alone = Decision.alone(side, half, label=rule.label(side, half.now or {}), key=key)
    blank = replace(alone, buckets={side: Bucket.SKIPPED})
    if not rule.spec.direction.allows(target):
        return replace(blank, skipped=f"only on the {side.value}, which the pair's direction leaves alone")
    if not ground.capabilities[target].creates:
        return replace(blank, skipped=f"the {target.value} takes no new records")
    if not rule.in_scope(side, half.now or {}):
        return replace(blank, skipped="outside the filter")
    if key is None and rule.spec.keyless is Keyless.SKIP:
        return replace(blank, skipped=f"no {', '.join(rule.spec.match)}")
    return create_for(rule, ground, side, half, blank)


def create_for(rule: PairRule, ground: Ground, side: Side, half: Half, blank: Decision) -> Decision:
    """The create on the other side: blanks are left out, an unresolved reference is left out too unless the target needs it."""
    target = side.other

    def waiting(wait: Wait, why: str) -> Decision:
        bucket = Bucket.QUARANTINED if wait is Wait.QUARANTINED else Bucket.WAITING
        return replace(blank, waits={side: (wait, why)}, buckets={side: bucket})

    fields: dict[str, Native] = dict(rule.constants.get(target, {}))
    source: dict[str, Native] = {}
    whys: dict[str, str] = {}
    late: dict[str, tuple[Wait, str]] = {}
    now, new = half.now or {}, f"new on the {side.value}"
    for each in ground.creates[target]:
        field_rule, name, other_name, needed = each.rule, each.target, each.source, each.needed
        native = now.get(other_name, ABSENT)
        try:
            if not each.is_reference:
                plain = None if native is ABSENT else each.read(native)
                if is_blank(plain):
                    continue
                fields[name] = each.write(plain)
            else:
                value: Value = None if native is ABSENT else field_rule.canonical(side, native, ground.resolve)
                if field_rule.blank(value):
                    continue
                fields[name] = field_rule.to_native(target, value, ground.locate)
        except Unresolved:
            why = f"{field_rule.name}: the {field_rule.references} record it points to has no link yet"
            if needed:
                return waiting(Wait.REFERENCE, why)
            late[name] = (Wait.REFERENCE, why)
            continue
        except Unmappable as problem:
            if needed:
                return waiting(Wait.QUARANTINED, f"{field_rule.name}: {problem}")
            late[name] = (Wait.BLOCKED, f"{field_rule.name}: {problem}")
            continue
        source[other_name] = native
        whys[name] = new
    first = next(iter(late.values()), (Wait.REFERENCE, ""))
    if not rule.in_scope(target, fields):
        if late.keys() & fields_of(rule.spec.filters.get(target, ())):
            return waiting(*first)  # what is still to come decides whether it belongs there
        return replace(blank, buckets={side: Bucket.SKIPPED}, skipped=f"would fall outside the {target.value} side's own filter")
    return Decision(
        link=blank.link,
        left=blank.left,
        right=blank.right,
        label=blank.label,
        writes=(Write(op=Op.CREATE, side=target, id=None, fields=fields, source=source, whys=whys),),
        state=LinkState.LIVE,
        waits={side: first} if late else {},
        buckets={side: Bucket.CREATED},
        bases=blank.bases,
        asks=blank.asks,
        losses=blank.losses,
        key=blank.key,
        hold=blank.hold,
        skipped=blank.skipped,
    )
