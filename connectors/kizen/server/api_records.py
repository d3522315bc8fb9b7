"""The records endpoints (records-api.md section 5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from connectors.kizen.server import records
from connectors.kizen.server.errors import HtmlError, detail, invalid_key
from connectors.kizen.server.http import Action, Api, Call, Reply
from connectors.kizen.server.metadata import Field, ObjectType, Record, folded
from connectors.kizen.server.readers import display_name
from connectors.kizen.server.search import page
from connectors.kizen.server.shapes import (
    Columns,
    default_columns,
    field_value_json,
    identified_columns,
    named_columns,
    written_json,
)
from connectors.kizen.server.values import is_uuid
from connectors.kizen.server.world import World

_CREATE_CHOICES: Final = ("prompt", "unarchive", "overwrite")


def _csv(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _single_columns(world: World, obj: ObjectType, call: Call, *, everything: bool) -> Columns:
    """The fields of get and lookup; hidden ones and, by C8, relationships only where they belong."""
    hidden = call.flag("include_hidden_fields")
    if call.query.get("field_ids"):
        chosen = identified_columns(obj, _csv(call.query["field_ids"].lower()))
    elif call.query.get("field_names"):
        chosen = named_columns(obj, _csv(call.query["field_names"]))
    elif "field_ids" in call.query or "field_names" in call.query or not everything:
        chosen = [one for one in obj.fields.values() if one.default]
    else:
        chosen = default_columns(obj, hidden=True)
        if call.query.get("field_category"):
            wanted = set(_csv(call.query["field_category"]))
            chosen = [one for one in chosen if one.category in wanted]
    shown: Iterable[Field] = [one for one in chosen if hidden or not one.hidden]
    if world.switches.get_relations == "omit":
        shown = [one for one in shown if one.relation is None]
    return Columns.of(world, obj, shown, blanks=world.switches.get_blanks == "include")


def get(api: Api, call: Call) -> Reply:
    """GET /api/records/{object}/{id} (section 5.1)."""
    obj = api.object(call.params["object"])
    record = api.record(obj, call.params["record_id"])
    body = _single_columns(api.world, obj, call, everything=True).record(record)
    if call.flag("detail_summary"):
        body["detail_summary"] = {"lead_sources": []}
    return Reply(200, body)


def lookup(api: Api, call: Call) -> Reply:
    """GET /api/records/{object}/lookup (section 5.2, C1)."""
    obj = api.object(call.params["object"])
    identifier = call.query.get("identifier", "")
    if not identifier:
        raise invalid_key("identifier", "required", "This field is required.")
    exact = api.world.switches.lookup_mode == "exact"
    key = obj.identifier.id
    for record in api.world.with_key(obj, identifier):
        held = str(record.values[key])
        if record.archived or (held != identifier if exact else folded(held) != folded(identifier)):
            continue
        if not record.visible:
            raise detail(403, "permission_required", "You do not have permission to perform this action.")
        columns = _single_columns(api.world, obj, call, everything=call.flag("all_fields", default=True))
        return Reply(200, columns.record(record))
    raise detail(404, "not_found", "Not found.")


def search(api: Api, call: Call) -> Reply:
    """POST /api/records/{object}/search (section 5.3)."""
    obj = api.object(call.params["object"])
    body = call.json()
    names, ids = body.get("field_names"), body.get("field_ids")
    if names is not None and ids is not None:
        raise invalid_key("field_names", "invalid", "Give field_names or field_ids, not both.")
    for key, value in (("field_names", names), ("field_ids", ids)):
        if value is not None and not isinstance(value, list):
            raise invalid_key(key, "not_a_list", "Expected a list of items.")
    if names is not None:
        chosen = named_columns(obj, names)
    elif ids is not None:
        chosen = identified_columns(obj, ids)
    else:
        chosen = default_columns(obj, hidden=call.flag("include_hidden_fields"))
    columns = Columns.of(api.world, obj, chosen, blanks=api.world.switches.search_blanks == "include")
    found = api.searcher.find(obj, body, call.query)
    return Reply(200, page(api.world, found, call.query, call.address, columns.record))


def _choice(body: Mapping[str, Any], key: str, choices: Iterable[str]) -> str | None:
    value = body.get(key)
    if value is not None and value not in choices:
        raise invalid_key(key, "invalid_choice", f'"{value}" is not a valid choice.')
    return value


def _reply(api: Api, call: Call, written: records.Written, *, created: int = 201, all_fields: bool = True) -> Reply:
    status = 200 if written.action == "updated" else created
    body = written_json(
        api.world,
        written.record,
        action=written.action,
        touched=written.touched,
        return_all=all_fields and call.flag("return_all_fields"),
    )
    return Reply(status, body)


def add(api: Api, call: Call) -> Reply:
    """POST /api/records/{object}/add (section 5.4, C2); `return_all_fields` is not declared for it."""
    obj = api.object(call.params["object"])
    body = call.json()
    choice = _choice(body, "unarchive", _CREATE_CHOICES)
    written = records.create(api.world, obj, body.get("fields"), choice)
    return _reply(api, call, written, created=api.world.switches.add_status, all_fields=False)


def patch(api: Api, call: Call) -> Reply:
    """PATCH /api/records/{object}/{id} (section 5.5)."""
    return _change(api, call, whole=False)


def put(api: Api, call: Call) -> Reply:
    """PUT /api/records/{object}/{id} (section 5.6, C9)."""
    return _change(api, call, whole=api.world.switches.put == "replace")


def _change(api: Api, call: Call, *, whole: bool) -> Reply:
    obj = api.object(call.params["object"])
    record = api.record(obj, call.params["record_id"])
    body = call.json()
    choice = _choice(body, "archived_conflict", ("overwrite",))
    return _reply(api, call, records.update(api.world, obj, record, body.get("fields"), choice, whole=whole))


def delete(api: Api, call: Call) -> Reply:
    """DELETE /api/records/{object}/{id}: archives (section 5.7)."""
    obj = api.object(call.params["object"])
    record = api.record(obj, call.params["record_id"])
    records.check_editable(api.world, record)
    records.archive(api.world, record)
    return Reply(204)


def upsert(api: Api, call: Call) -> Reply:
    """POST /api/records/{object}/upsert (section 5.10)."""
    obj = api.object(call.params["object"])
    body = call.json()
    value = body.get("lookup_value")
    if not isinstance(value, str) or not value:
        raise invalid_key("lookup_value", "required", "This field is required.")
    on_create = _choice(body, "oncreate_unarchive", _CREATE_CHOICES)
    on_update = _choice(body, "onupdate_archived_conflict", ("overwrite",))
    written = records.upsert(api.world, obj, value, body.get("fields"), on_create, on_update)
    return _reply(api, call, written)


def unarchive(api: Api, call: Call) -> Reply:
    """PATCH /api/records/{object}/{id}/unarchive (section 5.9): 400 where there is nothing to restore."""
    obj = api.object(call.params["object"])
    if not is_uuid(call.params["record_id"]):
        raise HtmlError(404)
    record = obj.records.get(call.params["record_id"].lower())
    if record is None or not record.visible:
        raise detail(404, "not_found", "Not found.")
    if not record.archived:
        raise detail(400, "invalid", "The record is not archived.")
    records.check_editable(api.world, record)
    back = records.unarchive(api.world, record)
    return _reply(api, call, records.Written(record=back, action="unarchived", touched=(), changed=True), created=200)


def move(api: Api, call: Call) -> Reply:
    """PATCH /api/records/{object}/{id}/move (section 5.9)."""
    obj = api.object(call.params["object"])
    record = api.record(obj, call.params["record_id"])
    if obj.kind != "pipeline":
        raise detail(400, "invalid", "Only records of a pipeline have stages.")
    body = call.json()
    if "stage_id" not in body:
        raise invalid_key("stage_id", "required", "This field is required.")
    return _reply(api, call, records.move(api.world, obj, record, body["stage_id"]))


def field_values(api: Api, call: Call) -> Reply:
    """GET /api/records/{id}/field-values/{field} (section 5.8): every value of a field that get and search summarise."""
    world = api.world
    if not is_uuid(call.params["record_id"]) or not is_uuid(call.params["field_id"]):
        raise HtmlError(404)
    record = records.check_visible(world.record(call.params["record_id"].lower()))
    column = world.objects[record.object_id].fields.get(call.params["field_id"].lower())
    if column is None or not column.visible or not column.multiple:
        raise detail(404, "not_found", "Not found.")
    held = record.values.get(column.id, ())
    assert isinstance(held, tuple)
    items: list[dict[str, Any]]
    if column.relation is not None:
        related = (world.record(one) for one in held)
        items = [field_value_json(world, one) for one in related if one is not None and not one.archived]
    else:
        named = {option.id: option for option in column.options}
        items = [
            {"id": one, "name": named[one].name, "display_name": named[one].name}
            for one in held
            if isinstance(one, str) and one in named
        ]
    wanted = call.query.get("search", "").casefold()
    items = [one for one in items if wanted in str(one["display_name"]).casefold()]
    return Reply(200, page(world, items, call.query, call.address, lambda one: one))


def related_pipeline_records(api: Api, call: Call) -> Reply:
    """POST /api/records/{id}/related-pipeline-records (section 5.9): pipeline records that a relationship ties to it."""
    world = api.world
    if not is_uuid(call.params["record_id"]):
        raise HtmlError(404)
    record = records.check_visible(world.record(call.params["record_id"].lower()))
    body = call.json()
    wanted_objects, wanted_fields = body.get("object_ids"), body.get("field_ids")
    found: dict[str, Record] = {}
    for column in world.objects[record.object_id].fields.values():
        if column.relation is None or (isinstance(wanted_fields, list) and column.id not in wanted_fields):
            continue
        other = world.objects[column.relation.object_id]
        if other.kind != "pipeline" or (isinstance(wanted_objects, list) and other.id not in wanted_objects):
            continue
        held = record.values.get(column.id, ())
        assert isinstance(held, tuple)
        found.update({one: other.records[one] for one in held if not other.records[one].archived})
    rows = sorted((one for one in found.values() if one.visible), key=lambda one: (display_name(world, one), one.position))
    blanks = world.switches.search_blanks == "include"

    def row(one: Record) -> dict[str, Any]:
        obj = world.objects[one.object_id]
        return Columns.of(world, obj, default_columns(obj), blanks=blanks).record(one)

    return Reply(200, page(world, rows, call.query, call.address, row))


# Longer and literal paths first: the first that matches is taken.
ROUTES: Final[tuple[tuple[str, Mapping[str, Action]], ...]] = (
    ("/api/records/{object}/lookup", {"GET": Action("lookup", lookup)}),
    ("/api/records/{object}/search", {"POST": Action("search", search)}),
    ("/api/records/{object}/add", {"POST": Action("add", add, write=True)}),
    ("/api/records/{object}/upsert", {"POST": Action("upsert", upsert, write=True)}),
    ("/api/records/{record_id}/related-pipeline-records", {"POST": Action("related", related_pipeline_records)}),
    ("/api/records/{record_id}/field-values/{field_id}", {"GET": Action("field_values", field_values)}),
    ("/api/records/{object}/{record_id}/unarchive", {"PATCH": Action("unarchive", unarchive, write=True)}),
    ("/api/records/{object}/{record_id}/move", {"PATCH": Action("move", move, write=True)}),
    (
        "/api/records/{object}/{record_id}",
        {
            "GET": Action("get", get),
            "PATCH": Action("patch", patch, write=True),
            "PUT": Action("put", put, write=True),
            "DELETE": Action("delete", delete, write=True),
        },
    ),
)
