"""Objects, fields, bulk calls and tags over HTTP (records-api.md sections 6 and 7)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from connectors.kizen.server.bulk import accept, change_payload, record_ids
from connectors.kizen.server.errors import detail, invalid_key
from connectors.kizen.server.http import Action, Api, Call, Reply
from connectors.kizen.server.metadata import CONTACTS, Field, ObjectType, Option
from connectors.kizen.server.metadata_json import field_json, job_json, object_json, stage_json, visible_fields
from connectors.kizen.server.readers import option_json
from connectors.kizen.server.schema import add_option, field_from_body, object_from_body
from connectors.kizen.server.search import page
from connectors.kizen.server.values import is_uuid
from connectors.kizen.server.world import EPOCH, MICROSECOND, Job


def list_objects(api: Api, call: Call) -> Reply:
    """GET /api/custom-objects; without `custom_only=false` contacts are left out."""
    query = call.query
    found = [one for one in api.world.objects.values() if one.visible]
    if call.flag("custom_only", default=True) or call.flag("is_custom"):
        found = [one for one in found if one.custom]
    for key, get in (("name", _name), ("object_name", _label), ("object_type", _kind)):
        if key in query:
            found = [one for one in found if get(one) == query[key]]
    wanted = query.get("search", "").casefold()
    found = [one for one in found if wanted in one.object_name.casefold() or wanted in one.name.casefold()]
    ordering = query.get("ordering", "object_name")
    key_of = {"name": _name, "object_name": _label, "object_type": _kind}.get(ordering.removeprefix("-"))
    if key_of is not None:
        found.sort(key=key_of, reverse=ordering.startswith("-"))
    return Reply(200, page(api.world, found, query, call.address, lambda one: object_json(api.world, one)))


def _name(obj: ObjectType) -> str:
    return obj.name


def _label(obj: ObjectType) -> str:
    return obj.object_name


def _kind(obj: ObjectType) -> str:
    return obj.kind


def create_object(api: Api, call: Call) -> Reply:
    """POST /api/custom-objects."""
    return Reply(201, object_json(api.world, object_from_body(api.world, call.json())))


def get_object(api: Api, call: Call) -> Reply:
    """GET /api/custom-objects/{id or name}."""
    return Reply(200, object_json(api.world, api.object(call.params["object"])))


def list_fields(api: Api, call: Call) -> Reply:
    """GET /api/custom-objects/{id}/fields: a bare array."""
    obj = api.object(call.params["object"])
    return Reply(200, [field_json(api.world, one) for one in visible_fields(obj)])


def create_field(api: Api, call: Call) -> Reply:
    """POST /api/custom-objects/{id}/fields; a relationship creates its mirror too."""
    obj = api.object(call.params["object"], uuid_only=True)
    return Reply(201, field_json(api.world, field_from_body(api.world, obj, call.json())))


def search_fields(api: Api, call: Call) -> Reply:
    """POST /api/custom-objects/{id}/fields/search: metadata narrowed by `search`, `field_types`, `ids`, `names`."""
    obj = api.object(call.params["object"])
    body = call.json()
    found = visible_fields(obj)
    for key, attribute in (("ids", "id"), ("names", "name"), ("field_types", "type")):
        if isinstance(body.get(key), list):
            found = [one for one in found if getattr(one, attribute) in body[key]]
    wanted = str(body.get("search") or call.query.get("search", "")).casefold()
    found = [one for one in found if wanted in one.display_name.casefold() or wanted in one.name.casefold()]
    return Reply(200, page(api.world, found, call.query, call.address, lambda one: field_json(api.world, one)))


def list_categories(api: Api, call: Call) -> Reply:
    """GET /api/custom-objects/{id}/categories: a bare array."""
    obj = api.object(call.params["object"])
    return Reply(200, [{"id": one.id, "name": one.name, "order": one.order, "meta": {}} for one in obj.categories])


def create_option(api: Api, call: Call) -> Reply:
    """POST /api/custom-objects/{id}/fields/{field}/options."""
    obj = api.object(call.params["object"], uuid_only=True)
    name = call.json().get("name")
    if not isinstance(name, str) or not name.strip():
        raise invalid_key("name", "required", "This field is required.")
    option = add_option(api.world, obj, _field(obj, call.params["field_id"]), name)
    return Reply(201, {**option_json(option), "order": option.order})


def patch_field(api: Api, call: Call) -> Reply:
    """PATCH /api/custom-objects/{id}/fields/{field}: labels and flags; a list of `options` replaces them (section 7)."""
    obj = api.object(call.params["object"], uuid_only=True)
    one = _field(obj, call.params["field_id"])
    body = call.json()
    changes: dict[str, Any] = {}
    for key, name, kind in (
        ("display_name", "display_name", str),
        ("description", "description", str),
        ("is_required", "required", bool),
        ("is_read_only", "read_only", bool),
        ("is_hidden", "hidden", bool),
    ):
        if key in body:
            if not isinstance(body[key], kind):
                raise invalid_key(key, "invalid", "Not a valid value.")
            changes[name] = body[key]
    if "options" in body:
        changes["options"] = _replaced_options(api, one, body["options"])
    changed = replace(one, **changes)
    api.world.put_field(obj, changed)
    return Reply(200, field_json(api.world, changed))


def _replaced_options(api: Api, one: Field, given: object) -> tuple[Option, ...]:
    if not isinstance(given, list) or not all(isinstance(item, Mapping) and item.get("name") for item in given):
        raise invalid_key("options", "invalid", "Options are a list of objects with a name.")
    known = {option.id: option for option in one.options}
    return tuple(
        replace(known[item["id"]], name=str(item["name"]), order=order)
        if item.get("id") in known
        else _new_option(api, item, order)
        for order, item in enumerate(given)
    )


def _new_option(api: Api, item: Mapping[str, Any], order: int) -> Option:
    return Option(id=api.world.new_id(), name=str(item["name"]), code=str(item.get("code") or ""), order=order)


def _field(obj: ObjectType, field_id: str) -> Field:
    one = obj.fields.get(field_id.lower())
    if one is None or not one.visible:
        raise detail(404, "not_found", "Not found.")
    return one


def tags_of_contacts(api: Api, call: Call) -> Reply:
    """GET /api/client/fields/{field}/tags: the tags of a contact field."""
    return _tags(api, call, api.object(CONTACTS))


def tags_of_object(api: Api, call: Call) -> Reply:
    """GET /api/pipelines/{object}/fields/{field}/tags: the tags of any other object's field."""
    return _tags(api, call, api.object(call.params["object"], uuid_only=True))


def _tags(api: Api, call: Call, obj: ObjectType) -> Reply:
    one = _field(obj, call.params["field_id"])
    if one.type != "dynamictags":
        raise detail(404, "not_found", "Not found.")
    wanted = call.query.get("search", "").casefold()
    found = [option for option in one.options if wanted in option.name.casefold()]
    if call.query.get("ordering", "name") in {"name", "-name"}:
        found.sort(key=lambda option: option.name.casefold(), reverse=call.query.get("ordering") == "-name")
    return Reply(200, page(api.world, found, call.query, call.address, lambda option: {"id": option.id, "name": option.name}))


def stages(api: Api, call: Call) -> Reply:
    """GET /api/pipelines/{object}/stages."""
    obj = api.object(call.params["object"], uuid_only=True)
    if obj.kind != "pipeline":
        raise detail(404, "not_found", "Not found.")
    backwards = call.query.get("ordering") == "-order"
    return Reply(200, [stage_json(one) for one in sorted(obj.stages, key=lambda one: one.order, reverse=backwards)])


def bulk_archive(api: Api, call: Call) -> Reply:
    """POST /api/custom-objects/{uuid}/bulk-archive-entity-record (section 6); takes effect after `bulk_delay`."""
    obj = api.object(call.params["object"], uuid_only=True)
    ids = record_ids(call.json())
    accept(api.world, obj, "bulk_archive", {"record_ids": ids})
    return Reply(200, {"number_archived": len(ids), "async": True})


def bulk_change(api: Api, call: Call) -> Reply:
    """POST /api/custom-objects/{uuid}/bulk-change-field-value (section 6); takes effect after `bulk_delay`."""
    obj = api.object(call.params["object"], uuid_only=True)
    accept(api.world, obj, "bulk_change", change_payload(api.world, obj, call.json()))
    return Reply(200, {"async": True})


def list_jobs(api: Api, call: Call) -> Reply:
    """GET /api/bulk-action-progress with its filters."""
    found: Iterable[Job] = [one for one in api.world.jobs.values() if one.action != "workflow"]
    query = call.query
    if "custom_object_id" in query:
        found = [one for one in found if one.object_id == query["custom_object_id"].lower()]
    if "action" in query:
        found = [one for one in found if one.action == query["action"]]
    if "completed" in query:
        found = [one for one in found if (one.status in {"completed", "failed"}) == call.flag("completed")]
    if "started_after" in query:
        try:
            moment = dt.datetime.fromisoformat(query["started_after"])
        except ValueError as error:
            raise invalid_key("started_after", "invalid", "Enter a valid date and time.") from error
        edge = ((moment if moment.tzinfo else moment.replace(tzinfo=api.world.zone)) - EPOCH) // MICROSECOND
        found = [one for one in found if one.started_at > edge]
    newest = sorted(found, key=lambda one: one.started_at, reverse=True)
    return Reply(200, page(api.world, newest, query, call.address, lambda one: job_json(api.world, one)))


def get_job(api: Api, call: Call) -> Reply:
    """GET /api/bulk-action-progress/{id}."""
    job = api.world.jobs.get(call.params["job_id"].lower()) if is_uuid(call.params["job_id"]) else None
    if job is None or job.action == "workflow":
        raise detail(404, "not_found", "Not found.")
    return Reply(200, job_json(api.world, job))


_OBJECT: Final = "/api/custom-objects/{object}"
ROUTES: Final[tuple[tuple[str, Mapping[str, Action]], ...]] = (
    ("/api/custom-objects", {"GET": Action("objects", list_objects), "POST": Action("create_object", create_object)}),
    (_OBJECT, {"GET": Action("object", get_object)}),
    (f"{_OBJECT}/fields", {"GET": Action("fields", list_fields), "POST": Action("create_field", create_field)}),
    (f"{_OBJECT}/fields/settings-search", {"GET": Action("fields", list_fields)}),
    (f"{_OBJECT}/fields/search", {"POST": Action("fields_search", search_fields)}),
    (f"{_OBJECT}/categories", {"GET": Action("categories", list_categories)}),
    (f"{_OBJECT}/fields/{{field_id}}", {"PATCH": Action("patch_field", patch_field)}),
    (f"{_OBJECT}/fields/{{field_id}}/options", {"POST": Action("create_option", create_option)}),
    (f"{_OBJECT}/bulk-archive-entity-record", {"POST": Action("bulk_archive", bulk_archive, write=True)}),
    (f"{_OBJECT}/bulk-change-field-value", {"POST": Action("bulk_change", bulk_change, write=True)}),
    ("/api/client/fields/{field_id}/tags", {"GET": Action("tags", tags_of_contacts)}),
    ("/api/pipelines/{object}/fields/{field_id}/tags", {"GET": Action("tags", tags_of_object)}),
    ("/api/pipelines/{object}/stages", {"GET": Action("stages", stages)}),
    ("/api/bulk-action-progress", {"GET": Action("jobs", list_jobs)}),
    ("/api/bulk-action-progress/{job_id}", {"GET": Action("job", get_job)}),
)
