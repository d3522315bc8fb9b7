"""
What one side did since its shadow. Pure.

Absence is never a deletion here: the caller says `GONE` only with proof (a tombstone, or absence from a complete listing
confirmed by id), on a side that showed itself healthy in the same round.
"""

from __future__ import annotations

from enum import Enum

from syncengine.connector import ABSENT
from syncengine.core.mapping import PairRule, Resolve, Unmappable
from syncengine.core.merge import Half, identical, is_noise
from syncengine.core.model import Side


class Presence(Enum):
    """Whether the record is there: could-not-tell is a case of its own."""

    PRESENT = "present"
    GONE = "gone"
    UNKNOWN = "unknown"


class Delta(Enum):
    """What one side did since its shadow."""

    UNCHANGED = "unchanged"
    CREATED = "created"
    MODIFIED = "modified"
    DELETED = "deleted"
    UNKNOWN = "unknown"


def detect(rule: PairRule, side: Side, half: Half, presence: Presence, resolve: Resolve) -> Delta:
    """Compare what a side holds with its shadow: no shadow at all means created, an unmappable value modified."""
    if presence is Presence.UNKNOWN:
        return Delta.UNKNOWN
    if presence is Presence.GONE or half.now is None:
        return Delta.DELETED
    edited = Delta.MODIFIED if half.base else Delta.CREATED
    for field_rule in rule.fields:
        name = field_rule.native(side)
        now = half.now.get(name, ABSENT)
        if now is ABSENT:
            continue
        if name not in half.base:
            try:
                if field_rule.blank(field_rule.canonical(side, now, resolve)):
                    continue
            except Unmappable:
                pass  # a value nobody has mapped yet is an edit like any other
            return edited
        base = half.base[name]
        if identical(now, base):
            continue
        try:
            value, known = field_rule.canonical(side, now, resolve), field_rule.canonical(side, base, resolve)
            same = field_rule.same(value, known) or is_noise(field_rule, side, half, known, value)
        except Unmappable:
            same = False
        if not same:
            return edited
    return Delta.UNCHANGED
