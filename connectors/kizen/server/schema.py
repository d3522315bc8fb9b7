"""
Objects and fields: the defaults that every business has, creating more, mirror fields (records-api.md sections 4 and 7).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from connectors.kizen.server.errors import HtmlError, detail, invalid_key
from connectors.kizen.server.metadata import (
    COMPANIES,
    CONTACTS,
    FIELD_TYPES,
    MANY_OPTIONS,
    MIRROR,
    ONE_OPTION,
    Category,
    Field,
    ObjectKind,
    ObjectType,
    Option,
    Relation,
    RelationType,
    Stage,
    folded,
)
from connectors.kizen.server.world import World

MAX_OBJECTS: Final = 500
MAX_FIELDS: Final = 500
_MAX_DECIMAL: Final = 999_999.99
_RESERVED_NAMES: Final = """
    name owner created updated id status first_name last_name full_name email home_phone mobile_phone business_phone birthday
"""
_RESERVED: Final = frozenset(_RESERVED_NAMES.split())
_EMAIL_STATUS: Final = (
    ("Opted In", "opted_in"),
    ("Not Opted In", "not_opted_in"),
    ("Unsubscribed", "unsubscribed"),
    ("Suppression List", "suppression_list"),
)
_STAGES: Final[tuple[tuple[str, str, int], ...]] = (
    ("New", "open", 10),
    ("Qualified", "open", 40),
    ("Won", "won", 100),
    ("Lost", "lost", 0),
)


def api_name(text: str) -> str:
    """The api_name that the platform derives from a label: slugified, with underscores (section 2.1)."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[\s_-]+", "_", re.sub(r"[^\w\s-]", "", plain).strip().lower()).strip("_")


def furnish(world: World) -> None:
    """Give a new business its default objects: contacts and companies (section 4)."""
    companies = new_object(world, object_name="Companies", entity_name="Company", name=COMPANIES)
    contacts = new_object(world, object_name="Contacts", entity_name="Contact", kind="client", name=CONTACTS)
    for name, label, cardinality, related in (
        ("company_primary", "Company", "primary", "Contacts"),
        ("company_additional", "Additional Companies", "additional", "Additional Contacts"),
    ):
        new_field(
            world,
            contacts,
            display_name=label,
            type="relationship",
            name=name,
            default=True,
            related_to=companies,
            relation_type=cardinality,  # type: ignore[arg-type]
            related_name=related,
        )


def new_object(
    world: World,
    *,
    object_name: str,
    entity_name: str,
    kind: ObjectKind = "standard",
    name: str | None = None,
    stages: Sequence[Stage] = (),
    description: str = "",
    track_value: bool = True,
) -> ObjectType:
    """Create an object with its default fields. A taken name gets a suffix, as the platform gives one (section 2.1)."""
    derived = name or api_name(object_name) or "object"
    if world.find_object(derived) is not None:
        derived = f"{derived}_{world.suffix()}"
    obj = ObjectType(
        id=world.new_id(),
        name=derived,
        object_name=object_name,
        entity_name=entity_name,
        kind=kind,
        custom=kind != "client",
        description=description,
        created=world.stamp(),
        categories=(Category(id=world.new_id(), name="General"),),
    )
    for one in _default_fields(world, kind, track_value=track_value):
        obj.fields[one.id] = replace(one, category=obj.categories[0].id, order=len(obj.fields))
    world.put_object(obj)
    if kind == "pipeline":
        set_stages(world, obj, stages or [
            Stage(id=world.new_id(), name=label, status=status, percentage=percentage, order=order)  # type: ignore[arg-type]
            for order, (label, status, percentage) in enumerate(_STAGES)
        ])  # fmt: skip
    return obj


def set_stages(world: World, obj: ObjectType, stages: Sequence[Stage]) -> None:
    """Replace the stages of a pipeline; the stage field shows them as its options."""
    obj.stages = tuple(stages)
    column = obj.by_name["stage"]
    world.put_field(obj, replace(column, options=tuple(Option(id=one.id, name=one.name, order=one.order) for one in stages)))


def _default_fields(world: World, kind: ObjectKind, *, track_value: bool) -> Iterable[Field]:
    def one(name: str, label: str, type: str, **more: Any) -> Field:
        return Field(id=world.new_id(), name=name, display_name=label, type=type, default=True, **more)

    def computed(name: str, label: str, type: str, what: str) -> Field:
        return one(name, label, type, read_only=True, settings={"computed": what})

    if kind == "client":
        yield one("first_name", "First Name", "text")
        yield one("last_name", "Last Name", "text")
        yield computed("full_name", "Full Name", "text", "full_name")
        yield one("email", "Email", "email")
        for name, label in (("business_phone", "Business"), ("mobile_phone", "Mobile"), ("home_phone", "Home")):
            yield one(name, f"{label} Phone", "phonenumber")
        yield one("titles", "Titles", "dynamictags")
        yield one("tags", "Tags", "dynamictags")
        yield one("birthday", "Birthday", "date")
        statuses = tuple(
            Option(id=world.new_id(), name=name, code=code, order=order) for order, (name, code) in enumerate(_EMAIL_STATUS)
        )
        yield one("email_status", "Email Status", "dropdown", options=statuses)
        yield one("timezone", "Time Zone", "timezone")
    else:
        label = "Name"
        yield one("name", label, "text", required=True, allows_nulls=False, allows_empty=False)
        yield one("owner", "Owner", "team_selector", required=True, allows_nulls=False)
        yield computed("display_name", "Display Name", "text", "display_name")
    yield computed("created", "Date Created", "datetime", "created")
    yield computed("updated", "Last Modified", "datetime", "updated")
    if kind == "pipeline":
        yield one("stage", "Stage", "selector", read_only=True, settings={"stage": True})
        if track_value:
            yield one("entity_value", "Value", "money", settings={"currency": "USD", "symbol": "$"})
        yield one("estimated_close_date", "Estimated Close Date", "date")
        yield one("actual_close_date", "Actual Close Date", "datetime")
        yield computed("percentage_chance_to_close", "Chance to Close", "integer", "percentage")
        yield one("reasons_lost", "Reasons Lost", "dropdown")


def new_field(
    world: World,
    obj: ObjectType,
    *,
    display_name: str,
    type: str,
    name: str | None = None,
    category: str | None = None,
    options: Sequence[str | Mapping[str, Any]] = (),
    related_to: ObjectType | None = None,
    relation_type: RelationType = "primary",
    related_name: str = "",
    settings: Mapping[str, Any] | None = None,
    **more: Any,
) -> Field:
    """
    Create a field; a relationship also creates its mirror field on the other object (section 4).

    `more` are flags of `Field` (required, read_only, hidden, allows_nulls, ...). Raises `ValueError` on an unknown type.
    """
    if type not in FIELD_TYPES:
        raise ValueError(f"there is no field type {type!r}; the types are {', '.join(sorted(FIELD_TYPES))}")
    if type == "relationship" and related_to is None:
        raise ValueError(f"the relationship field {display_name!r} names no related object")
    kind = "longtext" if type == "wysiwyg" else type
    one = Field(
        id=world.new_id(),
        name=_free_name(world, obj, name or api_name(display_name) or "field"),
        display_name=display_name,
        type=kind,
        category=category or obj.categories[0].id,
        order=len(obj.fields),
        options=_options(world, kind, options, settings or {}),
        settings={"is_markdown": True} if type == "wysiwyg" else dict(settings or {}),
        **more,
    )
    if related_to is None:
        world.put_field(obj, one)
        return one
    mirror_id = world.new_id()
    one = replace(
        one,
        relation=Relation(object_id=related_to.id, type=relation_type, mirror_id=mirror_id, related_name=related_name),
    )
    world.put_field(obj, one)
    label = related_name or obj.object_name
    mirror = Field(
        id=mirror_id,
        name=_free_name(world, related_to, api_name(label) or "related"),
        display_name=label,
        type="relationship",
        category=related_to.categories[0].id,
        order=len(related_to.fields),
        relation=Relation(object_id=obj.id, type=MIRROR[relation_type], mirror_id=one.id, related_name=display_name),
    )
    world.put_field(related_to, mirror)
    return one


def _free_name(world: World, obj: ObjectType, wanted: str) -> str:
    return wanted if wanted not in obj.by_name else f"{wanted}_{world.suffix()}"


def _options(
    world: World, type: str, given: Sequence[str | Mapping[str, Any]], settings: Mapping[str, Any]
) -> tuple[Option, ...]:
    if type == "rating":
        given = [{"name": str(stars), "code": str(stars)} for stars in range(1, int(settings.get("max_value", 5)) + 1)]
    elif type == "yesnomaybe" and not given:
        given = ["Yes", "No", "Maybe"]
    elif type not in ONE_OPTION and type not in MANY_OPTIONS:
        return ()
    made = []
    for order, one in enumerate(given):
        name, code = (one, "") if isinstance(one, str) else (str(one["name"]), str(one.get("code") or ""))
        if type == "yesnomaybe":
            code = code or name.lower()
        made.append(Option(id=world.new_id(), name=name, code=code, order=order))
    return tuple(made)


def add_option(world: World, obj: ObjectType, one: Field, name: str) -> Option:
    """Add one option; a name that exists in any case is refused (section 7)."""
    if one.type not in ONE_OPTION | MANY_OPTIONS:
        raise invalid_key("name", "invalid", "This field has no options.")
    if any(folded(option.name) == folded(name) for option in one.options):
        raise invalid_key("name", "unique", "An option with this name already exists.")
    option = Option(id=world.new_id(), name=name, order=len(one.options))
    world.put_field(obj, replace(one, options=(*one.options, option)))
    return option


def remove_field(world: World, obj: ObjectType, one: Field) -> None:
    """Take a field away with its mirror and its values, as schema drift does."""
    if one.default:
        raise ValueError(f"{one.name} is a default field and cannot be removed")
    doomed = [(obj, one)]
    if one.relation is not None:
        other = world.objects[one.relation.object_id]
        if one.relation.mirror_id in other.fields:
            doomed.append((other, other.fields[one.relation.mirror_id]))
    for holder, field in doomed:
        for flow in [flow for flow in world.workflows.values() if flow.object_id == holder.id]:
            if field.id in {flow.when, flow.set, flow.copy_of}:
                world.drop_workflow(flow)
        for record in list(holder.records.values()):
            if field.id in record.values:
                world.put_record(replace(record, values={key: value for key, value in record.values.items() if key != field.id}))
        holder.fields.pop(field.id, None)
        world.put_object(holder)


# Requests that create


def object_from_body(world: World, body: Mapping[str, Any]) -> ObjectType:
    """POST /api/custom-objects (section 7). Raises `ApiError`."""
    if "name" in body:
        raise detail(403, "forbidden_field_write", "You may not set the name of an object.")
    for key in ("object_name", "entity_name", "object_type", "default_on_activities"):
        if body.get(key) in (None, ""):
            raise invalid_key(key, "required", "This field is required.")
    if body["object_type"] not in {"standard", "pipeline"}:
        raise invalid_key("object_type", "invalid_choice", "An object is standard or pipeline.")
    if len(world.objects) >= MAX_OBJECTS:
        raise detail(400, "max_objects_exceeded", f"A business has at most {MAX_OBJECTS} objects.")
    return new_object(
        world,
        object_name=str(body["object_name"]),
        entity_name=str(body["entity_name"]),
        kind=body["object_type"],
        description=str(body.get("description") or ""),
        track_value=body.get("track_entity_value") is not False,
    )


def field_from_body(world: World, obj: ObjectType, body: Mapping[str, Any]) -> Field:
    """POST /api/custom-objects/{id}/fields (section 7); several bad inputs give a 500, as they do there (section 2.3)."""
    for key in ("field_type", "display_name", "category"):
        if not isinstance(body.get(key), str) or not body[key]:
            raise invalid_key(key, "required", "This field is required.")
    if body["field_type"] not in FIELD_TYPES:
        raise invalid_key("field_type", "invalid_choice", "There is no such field type.")
    if body["category"] not in {one.id for one in obj.categories}:
        raise invalid_key("category", "does_not_exist", "There is no such category.")
    if len(obj.fields) >= MAX_FIELDS:
        raise detail(400, "max_fields_exceeded", f"An object has at most {MAX_FIELDS} fields.")
    settings = {**(body.get("decimal_options") or {}), **(body.get("money_options") or {}), **(body.get("rating") or {})}
    if api_name(body["display_name"]) in _RESERVED or float(settings.get("max_value") or 0) > _MAX_DECIMAL:
        raise HtmlError(500)
    related: ObjectType | None = None
    relation = body.get("relation") or {}
    if body["field_type"] == "relationship":
        related = world.find_object(str(relation.get("related_object", "")))
        if related is None:
            raise invalid_key("relation", "does_not_exist", "There is no such object.")
        if not relation.get("related_name"):
            raise HtmlError(500)
        if relation.get("relation_type") not in MIRROR:
            raise invalid_key("relation", "invalid_choice", "There is no such relation_type.")
    options = body.get("options") or []
    if not isinstance(options, list) or not all(isinstance(one, Mapping) and one.get("name") for one in options):
        raise invalid_key("options", "invalid", "Options are a list of objects with a name.")
    return new_field(
        world,
        obj,
        display_name=body["display_name"],
        type=body["field_type"],
        category=body["category"],
        options=options,
        related_to=related,
        relation_type=relation.get("relation_type", "primary"),
        related_name=str(relation.get("related_name", "")),
        settings=settings,
        description=str(body.get("description") or ""),
        required=body.get("is_required") is True,
        read_only=body.get("is_read_only") is True,
        hidden=body.get("is_hidden") is True,
        allows_nulls=body.get("is_required") is not True,
    )
