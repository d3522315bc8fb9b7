"""Small described resources, pairs and hostile values for tests of the pure core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from syncengine.connector import Capabilities, Field, FieldType, Native, Resource
from syncengine.core.mapping import FieldRule, PairRule, compile_pair
from syncengine.core.model import End, FieldSpec, PairSpec, Side

ALL_ABLE = Capabilities(creates=True, updates=True, archives=True, deletes=True, restores=True, clock_resolution=1.0)


def resource(*fields: Field | str, name: str = "people", capabilities: Capabilities = ALL_ABLE, **options: Any) -> Resource:
    """A resource; a field given by name alone is untyped."""
    described = [Field(name=field) if isinstance(field, str) else field for field in fields]
    return Resource(name=name, fields={field.name: field for field in described}, capabilities=capabilities, **options)


def mapped(name: str, left: str | None = "", right: str | None = "", **options: Any) -> FieldSpec:
    """A field spec; native names default to the shared one, None leaves the side out."""
    return FieldSpec(name=name, left=name if left == "" else left, right=name if right == "" else right, **options)


def pair(*fields: FieldSpec, match: tuple[str, ...] = ("id",), **options: Any) -> PairSpec:
    """A pair of `crm.people` and `office.people`; with the default match, an untyped field `id` is mapped as well."""
    listed = fields if match != ("id",) else (mapped("id"), *fields)
    return PairSpec(
        name="people",
        left=End(system="crm", resource="people"),
        right=End(system="office", resource="people"),
        match=match,
        fields=listed,
        **options,
    )


def rule_of(
    left: Field,
    right: Field,
    *,
    timezones: Mapping[Side, str | None] | None = None,
    blank_is_null: bool = False,
    **options: Any,
) -> FieldRule:
    """The rule of one field between two native fields; `options` go into its spec."""
    sides = {Side.LEFT: replace(left, name="l"), Side.RIGHT: replace(right, name="r")}
    compiled = compile_pair(
        pair(mapped("value", "l", "r", **options)),
        resource("id", sides[Side.LEFT], blank_is_null=blank_is_null),
        resource("id", sides[Side.RIGHT]),
        timezones=timezones or dict.fromkeys(Side),
    )
    return compiled.fields[1]


def compiled(spec: PairSpec, left: Resource, right: Resource, **timezones: str) -> PairRule:
    """The pair's rule; time zones by `left=` and `right=`."""
    return compile_pair(spec, left, right, timezones={side: timezones.get(f"{side.value}_zone") for side in Side})


def unlinked(pair: str, side: Side, id: str) -> None:
    """Resolve: nothing is linked."""


def nowhere(pair: str, side: Side, link: int) -> None:
    """Locate: no link has an id."""


def read(rule: FieldRule, side: Side, native: Native) -> Any:
    """The canonical value of a field that is no reference."""
    return rule.canonical(side, native, unlinked)


def written(rule: FieldRule, side: Side, value: Any) -> Native:
    """The native value of a field that is no reference."""
    return rule.to_native(side, value, nowhere)


def kind(type_: FieldType | None = None, **options: Any) -> Field:
    """A field of a type; its name is given by where it is used."""
    return Field(name="_", type=type_, **options)


HOSTILE_TEXTS = (
    "",
    " ",
    "\u00a0",
    "\u200b",
    "a\u0000b",
    "=1+1",
    "line\r\nline\rline\n",
    "Zoe\u0308",
    "\u0130stanbul",
    "stra\u00dfe",
    "\u202ereversed\u202c",
    "\ufeffbom",
    "\U0001f469\u200d\U0001f469\u200d\U0001f466",
    "\uff20fullwidth",
    "a" * 10_000,
    "\u0345\u03b1",
    "null",
    "NaN",
    "1e999999",
    "'; DROP TABLE people; --",
    "\x00absent",
)
"""Texts that break naive code; each is well-formed Unicode."""

texts = st.text() | st.sampled_from(HOSTILE_TEXTS)
"""Text as people and machines leave it, without lone surrogates."""

any_text = texts | st.text(st.characters(categories=["Cs", "L"]), min_size=1, max_size=5)
"""Text that may hold lone surrogates."""

offsets = st.timedeltas(min_value=timedelta(hours=-23), max_value=timedelta(hours=23)).map(
    lambda delta: timezone(timedelta(seconds=int(delta.total_seconds())))
)
aware = st.datetimes(timezones=st.just(UTC) | offsets)
naive = st.datetimes()
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats()
    | st.decimals()
    | any_text
    | st.binary(max_size=20)
    | st.dates()
    | aware
    | naive
    | st.times()
    | st.times(timezones=offsets)
)
natives = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4), max_leaves=12
)
"""Every native value the contract knows."""


def exact(value: Native) -> object:
    """A value that equals another one's only when both are the same to the last bit and type."""
    if isinstance(value, list | tuple):
        return ("list", *map(exact, value))
    if isinstance(value, dict):
        return ("dict", *((key, exact(member)) for key, member in value.items()))
    kind = type(value).__name__
    if isinstance(value, int):
        return (kind, hex(value))
    if hasattr(value, "utcoffset"):
        return (kind, repr(value.replace(tzinfo=None)), value.utcoffset())
    return (kind, repr(value))
