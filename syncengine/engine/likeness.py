"""Whether a record may be what a create in doubt has made, by what it holds."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from syncengine.connector import Fields
from syncengine.core.mapping import FieldRule, Unmappable
from syncengine.core.model import Side
from syncengine.core.values import Value, is_lossy_image
from syncengine.engine.context import Context
from syncengine.store.journal import Intent


def resembles(context: Context, intent: Intent, fields: Fields, *, among: Collection[str] | None = None) -> bool:
    """
    Whether a record holds anything of what a create sent, or what its system plausibly made of it; `among` these fields, where
    they are told. Nobody can tell of a field that the config no longer maps: it counts.
    """
    resolve = context.resolver.resolve
    for rule in context.rule.fields:
        name = rule.native(intent.side)
        if name not in intent.payload or (among is not None and name not in among):
            continue
        try:
            sent = rule.canonical(intent.side, intent.payload[name], resolve)
            now = rule.canonical(intent.side, fields.get(name), resolve)
        except Unmappable:
            continue
        if rule.blank(sent):
            continue
        if _may_be_same(rule, sent, now):
            return True
    # What the config no longer maps is not read any more: nobody can tell whether the record still holds it.
    unread = intent.payload.keys() - context.rule.natives(intent.side) - context.rule.constants[intent.side].keys()
    return any(intent.payload[name] not in (None, "", []) for name in unread if among is None or name in among)


def takes_after(context: Context, intent: Intent, fields: Fields, former: Fields) -> bool:
    """
    Whether a record tells, by what it holds beside its key, what a create sent from what a `former` record with its id held:
    something of the one that is not of the other, and nothing the other way round. Whoever edits a record edits some of it.
    """
    resolve, side = context.resolver.resolve, intent.side
    takes = False
    for rule in context.rule.fields:
        name = rule.native(side)
        if rule in context.rule.match or name not in former:
            continue
        try:
            sent, now, before = (rule.canonical(side, each.get(name), resolve) for each in (intent.payload, fields, former))
        except Unmappable:
            continue
        is_sent, is_former = (is_lossy_image(rule, each, now) for each in (sent, before))
        if is_former and not is_sent:
            return False
        takes |= is_sent and not is_former and not rule.blank(sent)
    return takes


def are_alike(context: Context, records: Mapping[Side, Fields]) -> bool:
    """Whether two records agree in more fields than they differ in, of those beside the key that neither leaves blank."""
    balance = 0
    for rule in context.rule.fields:
        if rule in context.rule.match or rule.references is not None:  # whom it names may itself be still to be met again
            continue
        try:
            left, right = (rule.canonical(side, records[side].get(rule.native(side)), context.resolver.resolve) for side in Side)
        except Unmappable:
            continue
        if not (rule.blank(left) or rule.blank(right)):
            balance += 1 if _may_be_same(rule, left, right) else -1
    return balance > 0


def _may_be_same(rule: FieldRule, one: Value, two: Value) -> bool:
    """
    Whether a system may have made one value of the other. Two texts may be the same letters and digits, for systems re-format
    what they are sent in ways that nobody foresees; and two sets may share a member.
    """
    if is_lossy_image(rule, one, two) or is_lossy_image(rule, two, one):
        return True
    if isinstance(one, tuple) and isinstance(two, tuple):
        return any(member in two for member in one)
    if not isinstance(one, str) or not isinstance(two, str):
        return False
    left, right = ("".join(filter(str.isalnum, text.casefold())) for text in (one, two))
    return left == right != ""
