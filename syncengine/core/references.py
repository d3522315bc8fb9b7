"""References whose record lost its link: who is meant is told by the other side, or by what was made anew. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from syncengine.core.mapping import FieldRule, Resolve
from syncengine.core.model import Side
from syncengine.core.values import Reference, Value


def is_unresolved(value: Value) -> bool:
    """Whether a reference, or one of several, names a record without a link."""
    if isinstance(value, Reference):
        return value.link is None
    return isinstance(value, tuple) and any(isinstance(member, Reference) and member.link is None for member in value)


def outdated(values: Mapping[Side, Value]) -> Side | None:
    """The side whose reference, once the other's equal, names a record that lost its link: another one took its place there."""
    lost = [side for side in Side if is_unresolved(values[side])]
    if len(lost) != 1 or not values[lost[0].other]:
        return None
    return lost[0]


def heirs(rule: FieldRule, values: Mapping[Side, Value], follow: Resolve) -> Mapping[Side, Value] | None:
    """
    What each side is to name where the records that both name lost their link, for both were made anew; None where it is not so.
    """
    if not all(map(is_unresolved, values.values())):
        return None
    meant = {side: _followed(rule, value, follow) for side, value in values.items()}
    if any(map(is_unresolved, meant.values())) or not rule.same(meant[Side.LEFT], meant[Side.RIGHT]):
        return None
    # A reference is put into the words of the other side: in its own it would still be the old one.
    return {side: meant[side.other] for side in Side}


def _followed(rule: FieldRule, value: Value, follow: Resolve) -> Value:
    """The same references, those to records that were made anew with the link for which they were."""
    if isinstance(value, tuple):
        return tuple(_followed(rule, member, follow) for member in value)
    if isinstance(value, Reference) and value.link is None and rule.references is not None:
        return replace(value, link=follow(rule.references, value.side, value.id))
    return value
