"""
A memory world in a JSON file, so that a config can name one: `connector = "memory"`, `path = "world.json"`.

    {"name": "crm", "resources": {"people": {
        "fields": {"email": {"type": "email", "unique": true}, "name": {}},
        "capabilities": {"creates": true, "updates": true, "incremental": true},
        "manners": {"normalise": {"email": "trim | lower"}, "paging": "live"},
        "records": [{"id": "1", "fields": {"email": "ada@example.com", "name": "Ada"}}]}}}

The file is read at the first call and written after each write. Values that JSON does not have are tagged:
`{"$decimal": "1.20"}`, `$date`, `$datetime`, `$time` (ISO 8601), `$bytes` (base64). To edit as a person so that incremental
reads see it: `load_world`, edit, `save_world`; a record edited in the file by hand has no place in the history.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from syncengine.connector import Change, Choice, Context, Field, FieldType, Native, Outcome, Resource, Written
from syncengine.errors import ResourceError
from syncengine.testing.memory.connector import MemoryConnector
from syncengine.testing.memory.history import Event, Stored
from syncengine.testing.memory.manners import Clock, Manners, Paging, VirtualClock, normaliser_named
from syncengine.testing.memory.resource import MemoryResource
from syncengine.testing.memory.world import SIMPLE, MemoryWorld


class MemoryOptions(BaseModel):
    """The table of a system with `connector = "memory"`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path
    """The JSON file that holds the world."""


class FileConnector(MemoryConnector):
    """A memory connector whose world lives in a file."""

    def __init__(self, path: Path) -> None:
        super().__init__(MemoryWorld())
        self._path = path
        self._loaded = False

    @property
    def world(self) -> MemoryWorld:
        if not self._loaded:
            self._world = load_world(self._path)
            self._loaded = True
        return self._world

    def write(self, resource: str, changes: Sequence[Change]) -> Sequence[Outcome]:
        """Apply the changes, then save the world."""
        outcomes = super().write(resource, changes)
        save_world(self.world, self._path)
        return outcomes


def connect(options: MemoryOptions, context: Context) -> FileConnector:
    """Open the connector; the file is read at the first call."""
    return FileConnector(context.base / options.path)


def load_world(path: Path, *, clock: Clock | None = None) -> MemoryWorld:
    """
    The world that a file holds. Its clock goes on where the file's last change was, unless another one is given.

    ResourceError where there is no such file, or it holds something else.
    """
    try:
        told = json.loads(path.read_bytes(), object_hook=_untagged)
        world = MemoryWorld(name=told.get("name", path.stem), clock=clock if clock is not None else _clock_after(told))
        for name, each in told["resources"].items():
            _load_resource(world, name, each)
    except OSError as error:
        raise ResourceError(f"cannot read the memory world {path}: {error.strerror}; check `path`") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResourceError(f"{path} does not hold a memory world ({type(error).__name__}); see its format") from error
    return world


def save_world(world: MemoryWorld, path: Path) -> None:
    """Write a world to a file, all at once."""
    told = {"name": world.name, "resources": {name: _told(each, path) for name, each in world.resources.items()}}
    beside = path.with_name(path.name + ".new")
    beside.write_text(json.dumps(told, default=_tagged, indent=1, ensure_ascii=False), encoding="utf-8")
    beside.replace(path)


def _load_resource(world: MemoryWorld, name: str, told: Mapping[str, Any]) -> None:
    manners = dict(told.get("manners", {}))
    named = dict(manners.pop("normalise", {}))
    paging = Paging(manners.pop("paging", Paging.SNAPSHOT.value))
    normalise = {field: normaliser_named(text) for field, text in named.items()}
    resource = world.add_resource(
        Resource(
            name=name,
            fields={field: _field(field, spec) for field, spec in told["fields"].items()},
            capabilities=replace(SIMPLE, **{key: _tuple(value) for key, value in told.get("capabilities", {}).items()}),
            id_fields=tuple(told.get("id_fields", ())),
            blank_is_null=told.get("blank_is_null", False),
        ),
        Manners(normalise=normalise, paging=paging, **manners),
    )
    resource.normalisers = named
    states = [(each.get("number", 0), each.get("gone", False), each) for each in told.get("records", ())]
    for number, gone, each in sorted(states, key=lambda state: state[0]):
        _load_state(resource, max(number, resource.history.number + 1), gone, each)
    resource.born = told.get("born", resource.born)
    resource.epoch = told.get("epoch", 0)
    resource.answered.update({key: Written(**written) for key, written in told.get("answered", {}).items()})


def _load_state(resource: MemoryResource, number: int, gone: bool, told: Mapping[str, Any]) -> None:
    history = resource.history
    state = Stored(
        id=told["id"],
        fields=dict(told.get("fields", {})),
        number=number,
        at=told.get("at", 0.0),
        provisional=told.get("provisional", False),
    )
    if not gone:
        history.put(state)
        resource.hold_unique(state)
        return
    history.append(Event(number=number, at=state.at, id=state.id, before=None, after=None))
    if "fields" in told:
        history.archived[state.id] = state


def _told(resource: MemoryResource, path: Path) -> dict[str, Any]:
    unnamed = resource.manners.normalise.keys() - resource.normalisers.keys()
    if unnamed:
        raise ResourceError(f"cannot save {path}: the normaliser of {min(unnamed)!r} has no name; load it from a file")
    manners = {each.name: getattr(resource.manners, each.name) for each in fields(Manners)}
    described = resource.resource
    return {
        "fields": {
            name: {key: value for key, value in asdict(field).items() if key != "name" and value != _DEFAULTS[key]}
            for name, field in described.fields.items()
        },
        "capabilities": asdict(described.capabilities),
        "manners": {**manners, "normalise": dict(resource.normalisers), "paging": resource.manners.paging.value},
        "id_fields": described.id_fields,
        "blank_is_null": described.blank_is_null,
        "born": resource.born,
        "epoch": resource.epoch,
        "answered": {
            key: {each.name: getattr(told, each.name) for each in fields(Written)} for key, told in resource.answered.items()
        },
        "records": _told_records(resource),
    }


def _told_records(resource: MemoryResource) -> list[dict[str, Any]]:
    history = resource.history
    told: list[dict[str, Any]] = []
    for event in history.changes(after=0, until=history.number):
        state = event.after if event.after is not None else history.archived.get(event.id)
        entry: dict[str, Any] = {"id": event.id, "number": event.number, "at": event.at}
        if state is not None:
            entry["fields"] = dict(state.fields)
            entry["provisional"] = state.provisional
        if event.after is None:
            entry["gone"] = True
        told.append(entry)
    return told


def _field(name: str, told: Mapping[str, Any]) -> Field:
    spec = {key: _tuple(value) for key, value in told.items()}
    if spec.get("type") is not None:
        spec["type"] = FieldType(spec["type"])
    spec["choices"] = tuple(Choice(**each) if isinstance(each, dict) else Choice(value=each) for each in spec.get("choices", ()))
    return Field(name=name, **spec)


_DEFAULTS: Mapping[str, object] = {each.name: each.default for each in fields(Field)}


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _clock_after(told: Mapping[str, Any]) -> VirtualClock:
    moments = [record.get("at", 0.0) for each in told["resources"].values() for record in each.get("records", ())]
    return VirtualClock(start=max([1_700_000_000.0, *moments]))


def _tagged(value: Native) -> object:
    match value:
        case Decimal():
            return {"$decimal": str(value)}
        case datetime():
            return {"$datetime": value.isoformat()}
        case date():
            return {"$date": value.isoformat()}
        case time():
            return {"$time": value.isoformat()}
        case bytes():
            return {"$bytes": base64.b64encode(value).decode()}
        case FieldType():
            return value.value
        case _:
            raise TypeError(f"a memory world cannot hold a {type(value).__name__}")


def _untagged(told: dict[str, Any]) -> object:
    if len(told) != 1:
        return told
    [(tag, text)] = told.items()
    match tag:
        case "$decimal":
            return Decimal(text)
        case "$datetime":
            return datetime.fromisoformat(text)
        case "$date":
            return date.fromisoformat(text)
        case "$time":
            return time.fromisoformat(text)
        case "$bytes":
            return base64.b64decode(text)
        case _:
            return told
