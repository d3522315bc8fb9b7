"""Records as JSON: the read shape (section 3.1), the write shape (3.2), and the choice of fields (5.1, 5.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.kizen.server.metadata import CONTACTS, Field, ObjectType, Record, Stored
from connectors.kizen.server.readers import blank, display_name, full_name, reader, related_json
from connectors.kizen.server.world import World

FULL_ACCESS = {"view": True, "edit": True, "remove": True}


def stored_value(world: World, obj: ObjectType, field: Field) -> Callable[[Record], Stored | None]:
    """How to get a field's stored value from a record; some are computed, some belong to the record itself."""
    match field.settings.get("computed"):
        case "created":
            return lambda record: record.created
        case "updated":
            return lambda record: record.updated
        case "display_name":
            return lambda record: display_name(world, record) or None
        case "full_name":
            return lambda record: full_name(world, record) or None
        case "percentage":
            stage_id = obj.by_name["stage"].id

            def percentage(record: Record) -> Stored | None:
                stage = obj.stage(record.values.get(stage_id))
                return None if stage is None else stage.percentage

            return percentage
        case _:
            field_id = field.id
            return lambda record: record.values.get(field_id)


def _read(world: World, obj: ObjectType, field: Field) -> Callable[[Stored], Any]:
    if field.settings.get("stage"):
        shapes = {one.id: {"id": one.id, "name": one.name, "status": one.status, "order": one.order} for one in obj.stages}
        return shapes.get  # type: ignore[return-value]
    return reader(world, field)


@dataclass(frozen=True, slots=True)
class Columns:
    """The fields of one answer, prepared once and applied to every record of it."""

    world: World
    parts: Sequence[tuple[dict[str, Any], Callable[[Record], Stored | None], Callable[[Stored], Any], Any, bool]]
    blanks: bool

    @classmethod
    def of(cls, world: World, obj: ObjectType, fields: Iterable[Field], *, blanks: bool) -> Columns:
        """Prepare these fields; `blanks` shows those without a value (C5)."""
        return cls(
            world,
            [
                (
                    {"id": one.id, "name": one.name, "display_name": one.display_name, "field_type": one.type},
                    stored_value(world, obj, one),
                    _read(world, obj, one),
                    blank(one, world),
                    one.multiple,
                )
                for one in fields
                if one.visible
            ],
            blanks,
        )

    def fields(self, record: Record) -> Any:
        """The `fields` of one record: keyed by field id, or an array (switch `record_fields`)."""
        out: dict[str, Any] = {}
        threshold = self.world.switches.summary_threshold
        for head, get, read, nothing, multiple in self.parts:
            stored = get(record)
            value = None if stored is None else read(stored)
            if multiple:
                if not value:
                    value = None
                elif len(value) > threshold:
                    out[head["id"]] = {**head, "value_summary": {"count": len(value)}}
                    continue
            if value is not None:
                out[head["id"]] = {**head, "value": value}
            elif self.blanks:
                out[head["id"]] = {**head, "value": nothing}
        return out if self.world.switches.record_fields == "mapping" else list(out.values())

    def record(self, record: Record) -> dict[str, Any]:
        """The read shape of section 3.1."""
        return {
            "id": record.id,
            "object_type": self.world.objects[record.object_id].kind,
            "client_info": None,
            "access": access_json(record),
            "fields": self.fields(record),
        }


def access_json(record: Record) -> dict[str, bool]:
    """What this user may do with the record."""
    return FULL_ACCESS if record.editable else {"view": True, "edit": False, "remove": False}


def written_json(world: World, record: Record, *, action: str, touched: Iterable[str], return_all: bool) -> dict[str, Any]:
    """The write shape of section 3.2: only the fields written and `updated`, or all of them."""
    obj = world.objects[record.object_id]
    updated = obj.by_name["updated"]
    if return_all:
        fields: Any = Columns.of(world, obj, default_columns(obj), blanks=world.switches.get_blanks == "include").fields(record)
    else:
        chosen = dict.fromkeys([*touched, updated.id])
        fields = Columns.of(world, obj, [obj.fields[one] for one in chosen if one in obj.fields], blanks=True).fields(record)
    owner = obj.by_name.get("owner")
    return {
        "id": record.id,
        "object_type": obj.kind,
        "display_name": display_name(world, record),
        "num_upcoming_activities": 0,
        "num_associated_team_members": int(owner is not None and owner.id in record.values),
        "access": access_json(record),
        "fields": fields,
        "action": action,
    }


def default_columns(obj: ObjectType, *, hidden: bool = False) -> list[Field]:
    """Every field, hidden ones only on request (section 5.1)."""
    return [one for one in obj.fields.values() if hidden or not one.hidden]


def named_columns(obj: ObjectType, names: Iterable[object]) -> list[Field]:
    """Fields by api_name; what does not exist is dropped without a word (section 5.3)."""
    return [obj.by_name[one] for one in dict.fromkeys(names) if isinstance(one, str) and one in obj.by_name]


def identified_columns(obj: ObjectType, ids: Iterable[object]) -> list[Field]:
    """Fields by UUID; what does not exist is dropped without a word."""
    return [obj.fields[one] for one in dict.fromkeys(ids) if isinstance(one, str) and one in obj.fields]


def field_value_json(world: World, record: Record) -> dict[str, Any]:
    """One item of the field-values list (section 5.8)."""
    item = related_json(world, record)
    name = display_name(world, record)
    if world.objects[record.object_id].name == CONTACTS:
        return {**item, "full_name": full_name(world, record), "display_name": name}
    return {**item, "display_name": name}
