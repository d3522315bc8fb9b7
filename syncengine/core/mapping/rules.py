"""The rules of a pair and of its fields, ready to be applied. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from datetime import date, tzinfo
from decimal import Decimal
from typing import TypeAlias

from syncengine.connector import ABSENT, Field, Fields, FieldType, Native
from syncengine.core.filters import Converters, holds
from syncengine.core.keys import composite_key, email_key, text_key
from syncengine.core.model import Direction, PairSpec, Policy, Side
from syncengine.core.unmappable import Unmappable, Unresolved, UnresolvedKey
from syncengine.core.values.base import Reader, Reference, Value, Writer
from syncengine.core.values.number import plain_number
from syncengine.core.values.text import is_blank

Resolve: TypeAlias = Callable[[str, Side, str], int | None]
"""(pair, side, native id) -> the number of the link that id belongs to, if it is linked."""

Locate: TypeAlias = Callable[[str, Side, int], str | None]
"""(pair, side, link number) -> the id on that side, if it is known."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FieldRule:
    """
    How one field is read, compared and written on both sides.

    `scale` is the coarser of both sides'; `policy` and `direction` are the effective ones. `zones` are the time zones of
    the sides. `comparable` makes of a value what is equal for all values that mean the same.
    """

    name: str
    left: str
    right: str
    left_field: Field
    right_field: Field
    type: FieldType
    scale: int | None
    policy: Policy
    direction: Direction
    references: str | None
    zones: tuple[tzinfo, ...]
    comparable: Callable[[Value], Hashable]
    left_reader: Reader = attribute(repr=False)
    right_reader: Reader = attribute(repr=False)
    left_writer: Writer = attribute(repr=False)
    right_writer: Writer = attribute(repr=False)

    def native(self, side: Side) -> str:
        """The native field's name on a side."""
        return self.left if side is Side.LEFT else self.right

    def field(self, side: Side) -> Field:
        """The native field on a side, as its system describes it."""
        return self.left_field if side is Side.LEFT else self.right_field

    def canonical(self, side: Side, native: Native, resolve: Resolve) -> Value:
        """
        What a native value means; raises Unmappable. `ABSENT` means nothing and must be left out by the caller.

        A reference whose record is not linked comes back with `link` None.
        """
        value = self.left_reader(native) if side is Side.LEFT else self.right_reader(native)
        if self.references is None or value is None:
            return value
        if isinstance(value, tuple):
            return tuple(_resolved(side, member, self.references, resolve) for member in value)
        return _resolved(side, value, self.references, resolve)

    def to_native(self, side: Side, value: Value, locate: Locate) -> Native:
        """
        The native value that says the same on a side.

        Raises Unmappable where the side cannot say it, Unresolved where a reference has no id there yet.
        """
        if self.references is not None and value is not None:
            if isinstance(value, tuple):
                value = tuple(_located(member, self, side, locate) for member in value)
            else:
                value = _located(value, self, side, locate)
        return self.left_writer(value) if side is Side.LEFT else self.right_writer(value)

    def same(self, a: Value, b: Value) -> bool:
        """Whether two values mean the same."""
        if type(a) is str and a == b:
            return True
        return self.comparable(a) == self.comparable(b)

    def members(self, value: Value) -> dict[Hashable, Value]:
        """The members of a set or list by their comparables, as typed, in order; for unions."""
        members: dict[Hashable, Value] = {}
        for member in value if isinstance(value, tuple) else ():
            (comparable,) = _listed(self.comparable((member,)))
            members.setdefault(comparable, member)
        return members

    def blank(self, value: Value) -> bool:
        """Whether a value says nothing: null, no members, no visible character."""
        return is_blank(value)

    def writable(self, side: Side) -> bool:
        """Whether values may travel to this side: direction and read-only considered."""
        return self.direction.allows(side) and not self.field(side).read_only

    def required(self, side: Side) -> bool:
        """Whether a record cannot be created on this side without a value."""
        return self.field(side).required

    def key_part(self, value: Value) -> str | None:
        """The value as part of a match key; None where it is blank. Raises UnresolvedKey and Unmappable."""
        if value is None:
            return None
        if isinstance(value, Reference):
            if value.link is None:
                raise UnresolvedKey(f"field {self.name!r} of the match key refers to a record that is not linked yet")
            return f"#{value.link}"
        if isinstance(value, str):
            if self.type is FieldType.PHONE:
                return str(self.comparable(value) or "") or None
            return email_key(value) if self.type is FieldType.EMAIL else text_key(value)
        comparable = self.comparable(value)
        if isinstance(comparable, bool):
            return "true" if comparable else "false"
        if isinstance(comparable, int | Decimal):
            return plain_number(Decimal(comparable))
        assert isinstance(comparable, date), "compile_pair refuses lists and documents in a match key"
        return comparable.isoformat()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairRule:
    """
    A pair, compiled against both described resources.

    `fields` are the data fields, `constants` what a new record gets on a side besides them, `match` the fields of the
    match key in order. `digest` (16 bytes) changes with everything that changes decisions; `parts` names its parts
    (mapping, schema, filters, match, policies) so that a guard can say what changed. `notes` are for people; `drift` are those
    about fields that are left out because a system changed.
    """

    name: str
    spec: PairSpec
    fields: tuple[FieldRule, ...]
    constants: Mapping[Side, Mapping[str, Native]]
    match: tuple[FieldRule, ...]
    left_columns: tuple[str, ...]
    right_columns: tuple[str, ...]
    left_natives: frozenset[str]
    right_natives: frozenset[str]
    left_converters: Converters = attribute(repr=False)
    right_converters: Converters = attribute(repr=False)
    notes: tuple[str, ...]
    digest: bytes
    parts: Mapping[str, str]
    drift: tuple[str, ...] = ()

    def columns(self, side: Side) -> tuple[str, ...]:
        """The native fields to read on a side, sorted; this order is that of fingerprinted rows."""
        return self.left_columns if side is Side.LEFT else self.right_columns

    def natives(self, side: Side) -> frozenset[str]:
        """The native fields that are mapped on a side: the columns without those that only a filter reads."""
        return self.left_natives if side is Side.LEFT else self.right_natives

    def key(self, side: Side, native: Fields, resolve: Resolve) -> str | None:
        """
        The match key of a record; None where a part is blank or absent.

        Raises UnresolvedKey where a reference in it is not linked yet, Unmappable where a part has no meaning.
        """
        parts: list[str | None] = []
        for rule in self.match:
            value = native.get(rule.native(side), ABSENT)
            parts.append(None if value is ABSENT else rule.key_part(rule.canonical(side, value, resolve)))
        return composite_key(parts)

    def label(self, side: Side, native: Fields) -> str:
        """What people call the record: the match fields as they were typed; "" where they are blank."""
        shown: list[str] = []
        references: list[str] = []
        for rule in self.match:
            value = native.get(rule.native(side), ABSENT)
            if value is not ABSENT and value is not None and value != "":
                (shown if rule.references is None else references).append(" ".join(str(value).split()))
        return " / ".join(shown or references)

    def in_scope(self, side: Side, native: Fields) -> bool:
        """Whether a record passes the filter of its side."""
        filter = self.spec.filters.get(side)
        if not filter:
            return True
        return holds(filter, native, self.left_converters if side is Side.LEFT else self.right_converters)


def _resolved(side: Side, id_: Value, pair: str, resolve: Resolve) -> Reference:
    assert isinstance(id_, str)
    return Reference(side=side, id=id_, link=resolve(pair, side, id_))


def _located(value: Value, rule: FieldRule, side: Side, locate: Locate) -> str:
    if not isinstance(value, Reference) or rule.references is None:
        raise Unmappable(f"field {rule.name!r}: the other side's value is not a reference; choose another type with `as`")
    if value.side is side:
        return value.id
    found = None if value.link is None else locate(rule.references, side, value.link)
    if found is None:
        raise Unresolved(
            f"field {rule.name!r} refers to a record of the pair {rule.references!r} that is not on the {side.value} side yet"
        )
    return found


def _listed(comparable: Hashable) -> tuple[Hashable, ...]:
    assert isinstance(comparable, tuple | frozenset)
    return tuple(comparable)
