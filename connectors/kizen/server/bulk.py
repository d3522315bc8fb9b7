"""
Bulk calls and everything else that takes effect later (records-api.md section 6).

A job is accepted at once and done when it comes due; `settle` does what is due and is called around every request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from connectors.kizen.server.errors import ApiError, ValueRefused, detail, invalid_key
from connectors.kizen.server.metadata import Field, ObjectType, Stored
from connectors.kizen.server.records import archive, check_editable, check_visible, run_workflow, update
from connectors.kizen.server.values import is_uuid, parse, read_only_for_api
from connectors.kizen.server.world import Job, World

_RESOLUTIONS: Final = ("overwrite", "add_only", "remove_only", "update_if_blank", "overwrite_except_null")


def settle(world: World) -> None:
    """Do everything that has come due, in the order in which it came due."""
    for work in world.due_work():
        if isinstance(work, Job):
            _run(world, work)
        else:
            work()


def accept(world: World, obj: ObjectType, action: str, payload: Mapping[str, Any]) -> Job:
    """Queue a bulk call; it takes effect after the switch `bulk_delay`."""
    now = world.now()
    job = Job(
        id=world.new_id(),
        action=action,
        object_id=obj.id,
        due=now + int(world.switches.bulk_delay * 1_000_000),
        payload=payload,
        pending_count=len(payload["record_ids"]),
        started_at=now,
    )
    world.put_job(job)
    return job


def record_ids(body: Mapping[str, Any]) -> list[str]:
    """`record_ids` of a bulk body. Raises `ApiError`; the form by a stored set of records is not part of this server."""
    ids = body.get("record_ids")
    if ids is None:
        raise invalid_key("record_ids", "required", "This field is required.")
    if not isinstance(ids, list) or not all(is_uuid(one) for one in ids):
        raise invalid_key("record_ids", "invalid", "Expected a list of record ids.")
    return [one.lower() for one in ids]


def change_payload(world: World, obj: ObjectType, body: Mapping[str, Any]) -> dict[str, Any]:
    """The checked body of bulk-change-field-value. Raises `ApiError`."""
    ids = record_ids(body)
    column = obj.fields.get(body.get("field_id") or "")
    if "field_id" not in body:
        raise invalid_key("field_id", "required", "This field is required.")
    if column is None:
        raise invalid_key("field_id", "does_not_exist", "There is no such field.")
    if read_only_for_api(column):
        raise detail(403, "forbidden_field_write", f"You may not write {column.display_name}.")
    resolution = body.get("field_resolution", "overwrite")
    if resolution not in _RESOLUTIONS:
        raise invalid_key("field_resolution", "invalid_choice", f"One of {', '.join(_RESOLUTIONS)}.")
    if isinstance(body.get("field_value"), dict | list):
        raise invalid_key("field_value", "invalid", "The value is a bare scalar: an option by its id, not an object.")
    payload = {"record_ids": ids, "field_id": column.id, "resolution": resolution, "value": body.get("field_value")}
    tags = {key: body.get(key) for key in ("tags_to_add", "tags_to_remove") if body.get(key) is not None}
    if not all(isinstance(one, list) for one in tags.values()):
        raise invalid_key("tags_to_add", "not_a_list", "Expected a list of items.")
    for wanted in tags.values() if tags else [payload["value"]]:
        if wanted is None and resolution in {"add_only", "remove_only", "overwrite_except_null"}:
            continue
        try:
            parse(world, column, _as_wire(column, wanted))
        except ValueRefused as refusal:
            raise invalid_key("field_value", refusal.code, refusal.message) from refusal
    return {**payload, **tags}


def _as_wire(column: Field, value: object) -> object:
    return [value] if column.multiple and value is not None and not isinstance(value, list) else value


def _run(world: World, job: Job) -> None:
    if job.action == "workflow":
        _run_workflow(world, job)
        return
    begun = replace(job, status="in_progress", started_at=max(world.now(), job.due))
    world.put_job(begun)
    obj = world.objects[job.object_id]
    failures: list[Mapping[str, Any]] = []
    for record_id in job.payload["record_ids"]:
        record = obj.records.get(record_id)
        try:
            live = check_visible(record)
            check_editable(world, live)
            if job.action == "bulk_archive":
                archive(world, live)
            else:
                _change(world, obj, job.payload, record_id)
        except ApiError as error:
            failures.append({"record_id": record_id, "error": error.body})
    total = len(job.payload["record_ids"])
    world.put_job(
        replace(
            begun,
            status="completed" if len(failures) < total or not total else "failed",
            success_count=total - len(failures),
            failed_count=len(failures),
            pending_count=0,
            finished_at=max(world.now(), job.due),
            failures=tuple(failures),
        )
    )


def _run_workflow(world: World, job: Job) -> None:
    flow = world.workflows.get(job.payload["workflow"])
    record = world.record(job.payload["record"])
    if flow is not None and record is not None and not record.archived:
        run_workflow(world, flow, record)
    world.drop_job(job)


def _change(world: World, obj: ObjectType, payload: Mapping[str, Any], record_id: str) -> None:
    record = obj.records[record_id]
    column = obj.fields.get(payload["field_id"])
    if column is None:
        raise invalid_key("field_id", "does_not_exist", "There is no such field.")
    held: Stored | None = record.values.get(column.id)
    value, resolution = payload["value"], payload["resolution"]
    entries: list[dict[str, Any]]
    if "tags_to_add" in payload or "tags_to_remove" in payload:
        entries = [
            {"id": column.id, key: payload[given]}
            for given, key in (("tags_to_add", "add_values"), ("tags_to_remove", "remove_values"))
            if given in payload
        ]
    elif (resolution == "update_if_blank" and held is not None) or (resolution == "overwrite_except_null" and value is None):
        return
    elif resolution in {"add_only", "remove_only"} and column.multiple:
        key = "add_values" if resolution == "add_only" else "remove_values"
        entries = [{"id": column.id, key: _as_wire(column, value)}]
    elif resolution == "add_only" and held is not None:
        return
    elif resolution == "remove_only":
        if held != parse(world, column, value):
            return
        entries = [{"id": column.id, "value": None}]
    else:
        entries = [{"id": column.id, "value": _as_wire(column, value)}]
    update(world, obj, record, entries, "overwrite")
