"""Whether a record may be what a create in doubt has made, by what it holds."""

from __future__ import annotations

from collections.abc import Collection

from syncengine.connector import Fields
from syncengine.core.mapping import Unmappable
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
        if is_lossy_image(rule, sent, now) or is_lossy_image(rule, now, sent) or _is_alike(sent, now):
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
    keys = {rule.native(side) for rule in context.rule.match}
    takes = False
    for rule in context.rule.fields:
        name = rule.native(side)
        if name is None or name in keys or name not in former:
            continue
        try:
            sent, now, before = (rule.canonical(side, each.get(name), resolve) for each in (intent.payload, fields, former))
        except Unmappable:
            continue
        is_sent, is_former = (rule.same(now, each) or is_lossy_image(rule, each, now) for each in (sent, before))
        if is_former and not is_sent:
            return False
        takes |= is_sent and not is_former and not rule.blank(sent)
    return takes


def _is_alike(one: Value, two: Value) -> bool:
    """
    Whether two texts are the same letters and digits, for systems re-format what they are sent in ways that nobody foresees; or
    two sets share a member.
    """
    if isinstance(one, tuple) and isinstance(two, tuple):
        return any(member in two for member in one)
    if not isinstance(one, str) or not isinstance(two, str):
        return False
    left, right = ("".join(filter(str.isalnum, text.casefold())) for text in (one, two))
    return left == right != ""
