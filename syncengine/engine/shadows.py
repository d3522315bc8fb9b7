"""
What a proved write leaves in the shadows of its link: what the answer said, else what was sent, and only for the fields that were
written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from syncengine.connector import ABSENT, Fields, FieldType, Native
from syncengine.core.codec import Fingerprinter
from syncengine.core.decision import Op, Write
from syncengine.core.mapping import PairRule, Resolve, Unmappable
from syncengine.core.merge import identical
from syncengine.core.model import Side
from syncengine.core.values import Lack, Shortfall, shortfall
from syncengine.store.links import Link


def set_fields(rule: PairRule, side: Side) -> set[str]:
    """The native fields of a side that hold sets."""
    return {field_rule.native(side) for field_rule in rule.fields if field_rule.type is FieldType.SET}


def store_write(rule: PairRule, link: Link, write: Write, stored: Fields | None) -> None:
    """
    Move both shadows for the fields of a proved write: what the answer said, else what was sent.

    A field that was sent without a source of its own is parked (see `rings`): it has no base any more, on either side.
    """
    target, source = link.side(write.side), link.side(write.side.other)
    others: Mapping[str, str] = {}
    if write.op is Op.UPDATE:
        others = {field_rule.native(write.side): field_rule.native(write.side.other) for field_rule in rule.fields}
    mapped = others or rule.natives(write.side)
    unconfirmed = set(target.unconfirmed)
    for name, sent in write.fields.items():
        if name not in mapped:
            continue
        if others and others[name] not in write.source:
            target.shadow.pop(name, None)
            source.shadow.pop(others[name], None)
            unconfirmed.discard(name)
        elif stored is not None and name in stored:
            target.shadow[name] = stored[name]
            unconfirmed.discard(name)
        else:
            target.shadow[name] = sent
            unconfirmed.add(name)
    target.unconfirmed = frozenset(unconfirmed)
    known = rule.natives(write.side.other)
    source.shadow.update((name, value) for name, value in write.source.items() if name in known)
    if source.unconfirmed:
        source.unconfirmed -= set(write.source)


def shortfalls(rule: PairRule, write: Write, stored: Fields | None, resolve: Resolve) -> Iterator[tuple[str, Shortfall]]:
    """What of a write its system did not store, as its own answer says: the fields, by their shared name."""
    if stored is None:
        return
    side = write.side
    for name, sent in write.fields.items():
        now = stored.get(name, sent)
        if now is ABSENT or identical(now, sent):
            continue
        field_rule = next((each for each in rule.fields if each.native(side) == name), None)
        if field_rule is None or (write.op is Op.UPDATE and field_rule.native(side.other) not in write.source):
            continue  # a constant, or a value that is only parked here
        try:
            meant = field_rule.canonical(side, sent, resolve)
        except Unmappable:
            continue  # it was written for people to read, not to be read back
        try:
            lack = shortfall(field_rule, meant, field_rule.canonical(side, now, resolve))
        except Unmappable:
            lack = Shortfall(lack=Lack.OTHER)
        if lack is not None:
            yield field_rule.name, lack


def store_blanks(rule: PairRule, link: Link, side: Side, source: Fields, stored: Fields | None) -> None:
    """Fields that were left out of a create because they are blank, and came back blank, agree."""
    if stored is None:
        return
    known = link.side(side).shadow
    for field_rule in rule.fields:
        name = field_rule.native(side)
        if name in known or name not in stored:
            continue
        other = field_rule.native(side.other)
        values: Mapping[Side, Native] = {side: stored[name], side.other: source.get(other)}
        try:
            blank = all(
                field_rule.blank(field_rule.canonical(each, None if value is ABSENT else value, lambda *_: None))
                for each, value in values.items()
            )
        except Unmappable:
            continue
        if blank:
            link.side(side).shadow[name] = values[side]
            link.side(side.other).shadow[other] = None if values[side.other] is ABSENT else values[side.other]


def print_of(fingerprinter: Fingerprinter, columns: Sequence[str], stored: Fields) -> bytes:
    return fingerprinter.rows([tuple(map(stored.__getitem__, columns))])[0]
