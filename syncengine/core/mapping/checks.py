"""What can be wrong with a pair as a whole: match, filters, policies, deletes, required fields. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from syncengine.connector import Native, Resource
from syncengine.core.filters import conditions_of
from syncengine.core.mapping.findings import Findings, nearest
from syncengine.core.model import Condition, Deletes, Direction, PairSpec, Policy, Side, Test


def check_pair(spec: PairSpec, resources: Mapping[Side, Resource], found: Findings) -> None:
    """Everything about a pair that is not about one field."""
    _check_names(spec, found)
    _check_match(spec, found)
    for side, filter in spec.filters.items():
        for condition in conditions_of(filter):
            _check_condition(condition, f"filter.{side.value}", spec, resources[side], side, found)
    _check_capabilities(spec, resources, found)
    if spec.conflicts is Policy.UNION:
        found.problem(
            "conflicts", '"union" settles sets and lists only', 'give those fields conflicts = "union", the pair another'
        )
    if Policy.NEWER in {spec.conflicts, *(field.conflicts for field in spec.fields)}:
        blind = [str(spec.end(side)) for side in Side if resources[side].capabilities.clock_resolution is None]
        if blind:
            found.note("conflicts", f"{' and '.join(blind)} cannot tell when a record changed: newer asks instead")


def check_required(spec: PairSpec, resources: Mapping[Side, Resource], found: Findings) -> None:
    """Fields that a new record needs and that nothing fills."""
    for side in Side:
        if not spec.direction.allows(side) or not resources[side].capabilities.creates:
            continue
        filled = {
            field.native(side) for field in spec.fields if field.is_constant or (field.direction or spec.direction).allows(side)
        }
        for name, described in resources[side].fields.items():
            if not described.required or described.read_only or name in filled:
                continue
            if name in resources[side].id_fields:
                found.problem(
                    "fields",
                    f"new records of {spec.end(side)} ({side.value}) need an id in {name!r}, and nothing gives them one",
                    "map the field, or let ids be made: an option of a file system (make_ids = true), a default in a database",
                )
            else:
                found.problem(
                    "fields",
                    f"required field {name!r} of {spec.end(side)} ({side.value}) is not mapped: creates will fail",
                    f'add a mapping that writes it, or a constant: name = {{ {side.value} = "{name}", constant = ... }}',
                )


def _check_names(spec: PairSpec, found: Findings) -> None:
    for name, count in Counter(field.name for field in spec.fields).items():
        if count > 1:
            found.problem(f"fields.{name}", "the field is mapped twice", "keep one of them, or give one another name")
    for side in Side:
        users: dict[str, list[str]] = {}
        for field in spec.fields:
            native = field.native(side)
            if native is not None and (field.is_constant or (field.direction or spec.direction).allows(side)):
                users.setdefault(native, []).append(field.name)
        for native, names in users.items():
            if len(names) > 1:
                found.problem(
                    f"fields.{names[1]}.{side.value}",
                    f"the {side.value} field {native!r} is written by {', '.join(repr(name) for name in names)}",
                    "let one of them write it; a direction can keep the others from it",
                )


def _check_match(spec: PairSpec, found: Findings) -> None:
    mapped = {field.name: field for field in spec.fields}
    if not spec.match:
        found.problem("match", "no field to match by", 'name a mapped field that both sides share, like match = "email"')
    for name, count in Counter(spec.match).items():
        if count > 1:
            found.problem("match", f"field {name!r} stands there twice", "name it once")
        if name not in mapped:
            found.problem("match", f"field {name!r} is not mapped", nearest(name, mapped))
        elif mapped[name].is_constant:
            found.problem("match", f"field {name!r} is a constant, which tells no records apart", "match by a mapped field")


def _check_condition(condition: Condition, place: str, spec: PairSpec, resource: Resource, side: Side, found: Findings) -> None:
    if condition.field not in resource.fields:
        wrong = f"{spec.end(side)} has no field {condition.field!r}"
        found.problem(place, wrong, f"filters name native fields of their side; {nearest(condition.field, resource.fields)}")
    elif resource.fields[condition.field].unusable:
        found.problem(
            place, f"field {condition.field!r} cannot be used: {resource.fields[condition.field].unusable}", "filter by another"
        )
    wanted, cure = _fits(condition.test, condition.value)
    if not wanted:
        found.problem(place, f"{condition.test.value!r} on field {condition.field!r} does not take that value", cure)


def _fits(test: Test, value: Native) -> tuple[bool, str]:
    match test:
        case Test.BLANK:
            return isinstance(value, bool), "it takes true or false"
        case Test.ONE_OF | Test.NONE_OF:
            return isinstance(value, list | tuple) and bool(value), 'it takes a list, like ["DE", "AT"]'
        case Test.ABOVE | Test.BELOW:
            ordered = isinstance(value, int | float | Decimal | date | str) and not isinstance(value, bool)
            return ordered and value != "", "it takes a number, a date or text"
        case Test.CONTAINS:
            return value is not None and value != "" and not isinstance(value, list | tuple | dict), "it takes one value"
        case Test.IS | Test.IS_NOT:
            return not isinstance(value, list | tuple | dict), "it takes one value; one_of takes several"


def _check_capabilities(spec: PairSpec, resources: Mapping[Side, Resource], found: Findings) -> None:
    for side in Side:
        can = resources[side].capabilities
        end = spec.end(side)
        if not spec.direction.allows(side):
            continue
        if not can.creates and not can.updates:
            way = Direction.LEFT_TO_RIGHT if side is Side.LEFT else Direction.RIGHT_TO_LEFT
            found.problem("direction", f"{end} ({side.value}) cannot be written", f'set direction = "{way.value}"')
        elif spec.deletes is Deletes.ARCHIVE and not can.archives:
            found.problem("deletes", f"{end} ({side.value}) cannot archive records", 'choose "ask", "propagate" or "ignore"')
        elif spec.deletes is Deletes.PROPAGATE and not can.deletes and not can.archives:
            found.problem("deletes", f"{end} ({side.value}) cannot delete records", 'choose "ask" or "ignore"')
