"""
What a person does in the platform's own interface: reads and writes records by label, name and email, without HTTP.

No permission of the API user applies; the rules of the field types, duplicates, mirrors and workflows do.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from connectors.kizen.server.entries import Entries
from connectors.kizen.server.errors import ApiError, ValueRefused
from connectors.kizen.server.metadata import MANY_OPTIONS, ONE_OPTION, Field, ObjectType, Record, Stored, folded
from connectors.kizen.server.records import create_with, update_with
from connectors.kizen.server.schema import add_option
from connectors.kizen.server.shapes import stored_value
from connectors.kizen.server.values import is_uuid, parse
from connectors.kizen.server.world import EPOCH, World

_COMPUTED: Final = "computed"


def object_named(world: World, identifier: str) -> ObjectType:
    """The object with this api_name or id. Raises `ValueError` naming those there are."""
    obj = world.find_object(identifier)
    if obj is None:
        msg = f"there is no object {identifier!r}; there are {', '.join(sorted(one.name for one in world.objects.values()))}"
        raise ValueError(msg)
    return obj


def field_named(obj: ObjectType, name: str) -> Field:
    """The field with this api_name or id. Raises `ValueError` naming those there are."""
    one = obj.by_name.get(name) or obj.fields.get(name)
    if one is None:
        msg = f"{obj.name} has no field {name!r}; it has {', '.join(sorted(obj.by_name))}"
        raise ValueError(msg)
    return one


def record_named(world: World, record_id: str) -> Record:
    """The record with this id, archived or not. Raises `ValueError`."""
    record = world.record(record_id)
    if record is None:
        msg = f"there is no record {record_id!r}"
        raise ValueError(msg)
    return record


def create(world: World, obj: ObjectType, values: Mapping[str, Any], *, archived: str | None = "unarchive") -> Record:
    """Create a record. Raises `ValueError` naming the field that does not fit, or `ApiError` for duplicates."""
    return create_with(world, obj, _entries(world, obj, values), archived, as_admin=True).record


def edit(world: World, record: Record, values: Mapping[str, Any]) -> Record:
    """Change the fields listed; None clears. Raises as `create` does."""
    obj = world.objects[record.object_id]
    return update_with(world, obj, record, _entries(world, obj, values), "overwrite").record


def _entries(world: World, obj: ObjectType, values: Mapping[str, Any]) -> Entries:
    entries = Entries()
    for position, (name, value) in enumerate(values.items()):
        one = field_named(obj, name)
        if one.settings.get(_COMPUTED):
            msg = f"{obj.name}.{one.name} is computed and cannot be set"
            raise ValueError(msg)
        entries.values[one.id] = None if value is None else _stored(world, obj, one, value)
        entries.positions[one.id] = position
        entries.problems.append({})
    return entries


def _stored(world: World, obj: ObjectType, one: Field, value: Any) -> Stored | None:
    try:
        return parse(world, one, wire(world, one, value))
    except ValueRefused as refusal:
        msg = f"{obj.name}.{one.name}: {refusal.message}"
        raise ValueError(msg) from refusal


def ensure_tags(world: World, obj: ObjectType, column: Field, names: Iterable[str]) -> None:
    """Create the tags that do not exist yet, as typing them into the form does."""
    for name in names:
        known = obj.fields[column.id].options
        if all(name != option.id and folded(name) != folded(option.name) for option in known):
            add_option(world, obj, obj.fields[column.id], name)


def wire(world: World, one: Field, value: Any) -> Any:
    """A value as the API would be given it: ids in place of labels, names and emails; text in place of dates."""
    if isinstance(value, list | tuple | set | frozenset):
        return [wire(world, one, item) for item in value]
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if not isinstance(value, str):
        return value
    if one.type in ONE_OPTION or one.type in MANY_OPTIONS:
        for option in one.options:
            if value == option.id or value == option.code or folded(value) == folded(option.name):
                return _reference(world, option.id)
        return _reference(world, value)
    if one.relation is not None and not is_uuid(value):
        other = world.objects[one.relation.object_id]
        match = next((record for record in world.with_key(other, value) if not record.archived), None)
        return _reference(world, value if match is None else match.id)
    if one.relation is not None:
        return _reference(world, value)
    if one.type == "team_selector" and "@" in value:
        return next((who.id for who in world.employees.values() if who.email.casefold() == value.casefold()), value)
    return value


def _reference(world: World, id: str) -> Any:
    return {"id": id} if world.switches.option_write == "object" else id


def plain(world: World, obj: ObjectType, record: Record) -> dict[str, Any]:
    """
    A record as a person sees it, by api_name, blanks left out.

    Options, tags and stages by label, the owner by email, related records by id (one, or a tuple), instants as aware
    datetimes, numbers as they are stored.
    """
    shown: dict[str, Any] = {"id": record.id}
    for one in obj.fields.values():
        value = stored_value(world, obj, one)(record)
        if value is not None:
            seen = _plain(world, one, value)
            if seen not in (None, ()):
                shown[one.name] = seen
    return shown


def _plain(world: World, one: Field, value: Stored) -> Any:
    if one.type in ONE_OPTION or one.type in MANY_OPTIONS:
        labels = {option.id: option.name for option in one.options}
        if isinstance(value, tuple):
            return tuple(labels[item] for item in value if item in labels)
        return labels.get(str(value))
    if one.relation is not None:
        assert isinstance(value, tuple)
        records = world.objects[one.relation.object_id].records
        live = tuple(item for item in value if not records[item].archived)
        return live if one.relation.to_many else next(iter(live), None)
    if one.type == "team_selector":
        return world.employees[str(value)].email
    if one.type == "datetime":
        assert isinstance(value, int)
        return (EPOCH + dt.timedelta(microseconds=value)).astimezone(world.zone)
    return value


def complaint(error: ApiError) -> str:
    """What a refusal says, in one line, for people who did not ask over HTTP."""
    return f"refused with {error.status}: {error.body}"
