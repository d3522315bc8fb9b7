"""
What each field type looks like when read (records-api.md section 4, "Read"); `values` is the way in.

The two are not symmetrical: money is written as a number and read as an object, options are written by id and read with
their name.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from connectors.kizen.server.metadata import CONTACTS, MANY_OPTIONS, ONE_OPTION, TEXTS, Field, Option, Record, Stored
from connectors.kizen.server.world import World


def reader(world: World, field: Field) -> Callable[[Stored], Any]:
    """How stored values of this field look when read. Made once a request, called once a record."""
    match field.type:
        case "decimal":
            return _number_reader(world)
        case "money":
            number = _number_reader(world)
            currency, symbol = field.settings.get("currency", "USD"), field.settings.get("symbol", "$")
            return lambda value: {"currency": currency, "symbol": symbol, "amount": number(value)}
        case "datetime":
            return world.instant  # type: ignore[return-value]
        case kind if kind in ONE_OPTION:
            by_id = {one.id: option_json(one) for one in field.options}
            return lambda value: by_id.get(str(value))
        case kind if kind in MANY_OPTIONS:
            names = {one.id: {"id": one.id, "name": one.name} for one in field.options}
            return lambda value: [names[one] for one in _ids(value) if one in names]
        case "rating":
            return _rating_reader(world, field)
        case "relationship":
            return _relation_reader(world, field)
        case "team_selector":
            return lambda value: employee_json(world, str(value))
        case "timezone" if world.switches.timezone_read == "option":
            return lambda value: {"id": value, "code": value, "name": value}
        case "files":
            return lambda value: list(_ids(value))
        case _:
            return _as_is


def blank(field: Field, world: World) -> Any:
    """How a field without a value reads, where blanks are shown at all (C5)."""
    if field.multiple:
        return []
    return "" if field.type in TEXTS and world.switches.blank_text == "empty" else None


def _as_is(value: Stored) -> Any:
    return value


def _ids(value: Stored) -> tuple[Any, ...]:
    assert isinstance(value, tuple)
    return value


def _number_reader(world: World) -> Callable[[Stored], Any]:
    if world.switches.decimals == "string":
        return lambda value: format(value, "f") if isinstance(value, Decimal) else str(value)
    return lambda value: float(value)  # type: ignore[arg-type]


def _rating_reader(world: World, field: Field) -> Callable[[Stored], Any]:
    match world.switches.rating_read:
        case "integer":
            return _as_is
        case "string":
            return str
        case "option":
            by_code = {one.code: option_json(one) for one in field.options}
            return lambda value: by_code.get(str(value))


def _relation_reader(world: World, field: Field) -> Callable[[Stored], Any]:
    assert field.relation is not None
    obj = world.objects[field.relation.object_id]

    def all_of(value: Stored) -> list[dict[str, Any]]:
        live = (obj.records[one] for one in _ids(value))
        return [related_json(world, one) for one in live if not one.archived]

    if field.relation.to_many:
        return all_of
    return lambda value: next(iter(all_of(value)), None)


def option_json(option: Option) -> dict[str, Any]:
    """An option in a value: `{"id", "code", "name"}`."""
    return {"id": option.id, "code": option.code, "name": option.name}


def employee_json(world: World, employee_id: str) -> dict[str, Any]:
    """A team member in a value."""
    one = world.employees[employee_id]
    return {
        "id": one.id,
        "deleted": not one.active,
        "first_name": one.first_name,
        "last_name": one.last_name,
        "email": one.email,
    }


def related_json(world: World, record: Record) -> dict[str, Any]:
    """A related record in a value: `{"id", "name"}`, for contacts their name and email (section 4)."""
    obj = world.objects[record.object_id]
    names = obj.by_name
    if obj.name == CONTACTS:
        return {
            "id": record.id,
            "first_name": record.values.get(names["first_name"].id, ""),
            "last_name": record.values.get(names["last_name"].id, ""),
            "email": record.values.get(names["email"].id),
        }
    return {"id": record.id, "name": record.values.get(names["name"].id, "")}


def display_name(world: World, record: Record) -> str:
    """What a person calls the record: its name; a contact's full name, else its email."""
    obj = world.objects[record.object_id]
    if obj.name != CONTACTS:
        return str(record.values.get(obj.by_name["name"].id, ""))
    return full_name(world, record) or str(record.values.get(obj.by_name["email"].id, ""))


def full_name(world: World, record: Record) -> str:
    """A contact's first and last name; calculated, never stored (section 4)."""
    names = world.objects[record.object_id].by_name
    parts = (str(record.values.get(names[one].id, "")) for one in ("first_name", "last_name"))
    return " ".join(part for part in parts if part)
