"""Checks what a config says about a pair against both described resources, and makes the pair's rule of it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from syncengine.connector import FieldType, Native, Resource
from syncengine.core.filters import Converters, fields_of
from syncengine.core.mapping.checks import check_pair, check_required
from syncengine.core.mapping.digests import digests, total
from syncengine.core.mapping.fieldrule import Compiled, compile_field
from syncengine.core.mapping.findings import Findings
from syncengine.core.mapping.rules import FieldRule, PairRule
from syncengine.core.model import PairSpec, Side
from syncengine.errors import ConfigError, Problem


def compile_pair(
    spec: PairSpec,
    left: Resource,
    right: Resource,
    *,
    timezones: Mapping[Side, str | None],
    drifted: Mapping[str, str] | None = None,
) -> PairRule:
    """
    The rule of a pair; `timezones` are those of the two systems, by side. `drifted` are fields to leave out, and why.

    Raises ConfigError with every problem: its place, what is wrong, and the cure.
    """
    left_out = drifted or {}
    found = Findings(f"pairs.{spec.name}")
    resources = {Side.LEFT: left, Side.RIGHT: right}
    kept = [field for field in spec.fields if field.name not in left_out]
    compiled = [compile_field(spec, field, resources, timezones, found) for field in kept]
    check_pair(spec, resources, found)
    check_required(spec, resources, found)
    if found.problems:
        raise ConfigError(found.problems)
    rules = {entry.rule.name: entry.rule for entry in compiled if entry is not None and entry.rule is not None}
    constants = _constants(compiled)
    parts = digests(spec, [entry for entry in compiled if entry is not None])
    return PairRule(
        name=spec.name,
        spec=spec,
        fields=tuple(rules.values()),
        constants=constants,
        match=tuple(rules[name] for name in spec.match),
        left_columns=_columns(spec, rules, Side.LEFT),
        right_columns=_columns(spec, rules, Side.RIGHT),
        left_natives=frozenset(rule.left for rule in rules.values()),
        right_natives=frozenset(rule.right for rule in rules.values()),
        left_converters=_converters(rules, Side.LEFT),
        right_converters=_converters(rules, Side.RIGHT),
        notes=(*found.notes, *left_out.values()),
        digest=total(parts),
        parts=parts,
        drift=tuple(left_out.values()),
    )


def compile_known_pair(spec: PairSpec, left: Resource, right: Resource, *, timezones: Mapping[Side, str | None]) -> PairRule:
    """
    The rule of a pair whose config was in order before: what is wrong now came from a system that changed.

    A field that vanished, or became something else, is left out, and nothing is concluded about its values; the others go on.
    Raises ConfigError where the match or anything about the pair as a whole is at fault.
    """
    try:
        return compile_pair(spec, left, right, timezones=timezones)
    except ConfigError as error:
        drifted: dict[str, str] = {}
        for problem in error.problems:
            name = _field_of(problem, spec)
            if name is None or name in spec.match:
                raise
            drifted.setdefault(name, f"{name}: {problem.wrong}; the field is left alone until it is back or the mapping follows")
        return compile_pair(spec, left, right, timezones=timezones, drifted=drifted)


def _field_of(problem: Problem, spec: PairSpec) -> str | None:
    """The mapped field that a problem is about, None where it is about the pair."""
    start = f"pairs.{spec.name}.fields."
    names = [field.name for field in spec.fields if f"{problem.place}.".startswith(f"{start}{field.name}.")]
    return max(names, key=len, default=None)


def _constants(compiled: list[Compiled | None]) -> Mapping[Side, Mapping[str, Native]]:
    constants: dict[Side, dict[str, Native]] = {Side.LEFT: {}, Side.RIGHT: {}}
    for entry in compiled:
        if entry is not None and entry.constant is not None:
            side, name, native = entry.constant
            constants[side][name] = native
    return constants


def _columns(spec: PairSpec, rules: Mapping[str, FieldRule], side: Side) -> tuple[str, ...]:
    return tuple(sorted({rule.native(side) for rule in rules.values()} | fields_of(spec.filters.get(side, ()))))


def _converters(rules: Mapping[str, FieldRule], side: Side) -> Converters:
    return {
        rule.native(side): _converter(rule, side)
        for rule in rules.values()
        if rule.type not in {FieldType.REFERENCE, FieldType.JSON}
    }


def _converter(rule: FieldRule, side: Side) -> Callable[[Native], Native]:
    read = rule.left_reader if side is Side.LEFT else rule.right_reader
    if rule.type is FieldType.BOOLEAN:
        return lambda native: rule.comparable(read(native))  # where a side knows no unset boolean, null is false
    return read
