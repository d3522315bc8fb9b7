"""
The rules of record writes: duplicates, archived conflicts, mirrors, `updated`, workflows (sections 3.3 and 5).

Every function validates everything before it changes anything: a refused request has written nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from connectors.kizen.server.entries import Entries, judge
from connectors.kizen.server.errors import ApiError, detail, invalid_key
from connectors.kizen.server.metadata import ObjectType, Record, Stored, Workflow, folded
from connectors.kizen.server.relations import Overlay, relate
from connectors.kizen.server.values import parse, read_only_for_api
from connectors.kizen.server.world import Job, World

Action = Literal["created", "updated", "unarchived"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a write did: the record as it is now, which fields were addressed, and whether anything changed."""

    record: Record
    action: Action
    touched: tuple[str, ...]
    changed: bool


def create(world: World, obj: ObjectType, raw: object, archived: str | None) -> Written:
    """
    Add a record (section 5.4). `archived` is the choice of section 5.11: prompt, unarchive, overwrite, None is prompt.

    Fails atomically. Raises `ApiError`: validation, `unique`, archived conflict.
    """
    entries = judge(world, obj, raw, None)
    if entries.by_name and obj.kind == "client" and world.switches.contact_add_by_name == "refused":
        raise detail(403, "forbidden_field_write", "Contacts are added with field ids.")
    return create_with(world, obj, entries, archived)


def create_with(world: World, obj: ObjectType, entries: Entries, archived: str | None, *, as_admin: bool = False) -> Written:
    """Add a record from entries that are judged already; `as_admin` needs no permission and leaves the owner open."""
    if not as_admin and not obj.addable:
        raise detail(403, "permission_required", "You do not have permission to perform this action.")
    owner = obj.by_name.get("owner")
    given = tuple(entries.values)
    if owner is not None and entries.values.get(owner.id) is None and not as_admin:
        entries.values[owner.id] = world.me
    stage = obj.by_name.get("stage")
    if stage is not None and stage.id not in entries.values and obj.stages:
        entries.values[stage.id] = obj.stages[0].id
    missing = [
        ("required", f"{one.display_name} is required.")
        for one in obj.fields.values()
        if one.required and one.id not in entries.values and one is not owner
    ]
    _check_unique(world, obj, entries, None)
    entries.complain(world, missing)
    former = _archived_twin(world, obj, entries.values.get(obj.identifier.id), None)
    if former is not None:
        match archived:
            case "unarchive":
                return _restore_with(world, obj, former, entries, given)
            case "overwrite":
                _move_aside(world, obj, former)
            case _:
                raise archived_conflict()
    created = world.stamp()
    values = {key: value for key, value in entries.values.items() if value is not None}
    record = Record(
        id=world.new_id(), object_id=obj.id, position=world.position(), values=values, created=created, updated=created
    )
    record = _store(world, obj, record, entries.values, fresh=True)
    _automate(world, obj, record, frozenset(values), fresh=True)
    return Written(record=record, action="created", touched=given, changed=True)


def update(
    world: World,
    obj: ObjectType,
    record: Record,
    raw: object,
    archived: str | None,
    *,
    whole: bool = False,
) -> Written:
    """
    Change the listed fields (PATCH and PUT, sections 5.5 and 5.6). `archived` is `overwrite` or None.

    `whole` clears the writable fields that are not listed (C9 `replace`).
    """
    check_editable(world, record)
    entries = judge(world, obj, raw, record)
    if whole:
        for one in obj.fields.values():
            if one.id in record.values and one.id not in entries.values and not read_only_for_api(one) and not one.required:
                entries.values[one.id] = None
    return update_with(world, obj, record, entries, archived)


def update_with(world: World, obj: ObjectType, record: Record, entries: Entries, archived: str | None) -> Written:
    """Change a record by entries that are judged already; the rest of `update`."""
    _check_unique(world, obj, entries, record)
    entries.complain(world)
    identifier = obj.identifier.id
    if identifier in entries.values and entries.values[identifier] != record.values.get(identifier):
        former = _archived_twin(world, obj, entries.values[identifier], record)
        if former is not None:
            if archived != "overwrite":
                raise archived_conflict()
            _move_aside(world, obj, former)
    changed = frozenset(key for key, value in entries.values.items() if value != record.values.get(key))
    touched = tuple(entries.values)
    if not changed and not world.switches.noop_bumps_updated:
        return Written(record=record, action="updated", touched=touched, changed=False)
    after = _store(world, obj, replace(record, updated=world.stamp()), {key: entries.values[key] for key in changed})
    _automate(world, obj, after, changed, fresh=False)
    return Written(record=after, action="updated", touched=touched, changed=bool(changed))


def upsert(
    world: World,
    obj: ObjectType,
    lookup: str,
    raw: object,
    on_create: str | None,
    on_update: str | None,
) -> Written:
    """
    Update the first live record whose identifier equals `lookup` without regard to case, else create (section 5.10).

    The lookup field is added to `fields` if it is not among them.
    """
    listed: Any = [] if raw is None else raw
    key = obj.identifier
    injected = isinstance(listed, list) and not any(
        isinstance(entry, Mapping) and (entry.get("id") == key.id or entry.get("name") == key.name) for entry in listed
    )
    if injected:
        listed = [*listed, {"id": key.id, "value": lookup}]
    match = next(
        (
            one
            for one in world.with_key(obj, lookup)
            if not one.archived and str(one.values[key.id]).casefold() == lookup.casefold()
        ),
        None,
    )
    entries = judge(world, obj, listed, match)
    if injected and (problem := entries.problems.pop()):
        raise invalid_key("lookup_value", *problem["value"])
    if entries.by_name and obj.kind == "client" and world.switches.contact_upsert_by_name == "refused":
        raise detail(403, "forbidden_field_write", "Contacts are written with field ids.")
    if match is None:
        return create_with(world, obj, entries, on_create)
    check_visible(match)
    check_editable(world, match)
    if injected and world.switches.upsert_injects == "create":
        entries.values.pop(key.id, None)
    return update_with(world, obj, match, entries, on_update)


def archive(world: World, record: Record) -> Record:
    """Archive it (section 5.7): it keeps its id and its values, and `updated` stays where it was."""
    gone = replace(record, archived=True)
    world.put_record(gone)
    return gone


def unarchive(world: World, record: Record) -> Record:
    """Bring it back under the same id (section 5.9). Raises `ApiError` if a live record has taken its place."""
    obj = world.objects[record.object_id]
    key = record.values.get(obj.identifier.id)
    if isinstance(key, str) and _twins(world, obj, key, record):
        raise detail(400, "conflict", "A record with this identifier exists.")
    stamp = world.stamp() if world.switches.unarchive_bumps_updated else record.updated
    back = replace(record, archived=False, updated=stamp)
    world.put_record(back)
    return back


def move(world: World, obj: ObjectType, record: Record, stage_id: object) -> Written:
    """Put a pipeline record into another stage (section 5.9); closing stages set `actual_close_date`."""
    check_editable(world, record)
    stage = obj.stage(stage_id)
    if stage is None:
        raise invalid_key("stage_id", "does_not_exist", "There is no such stage.")
    changes: dict[str, Stored | None] = {obj.by_name["stage"].id: stage.id}
    closed = obj.by_name.get("actual_close_date")
    if record.values.get(obj.by_name["stage"].id) == stage.id:
        return Written(record=record, action="updated", touched=tuple(changes), changed=False)
    stamp = world.stamp()
    if closed is not None:
        changes[closed.id] = None if stage.status == "open" else stamp
    after = _store(world, obj, replace(record, updated=stamp), changes)
    _automate(world, obj, after, frozenset(changes), fresh=False)
    return Written(record=after, action="updated", touched=tuple(changes), changed=True)


def run_workflow(world: World, flow: Workflow, record: Record) -> bool:
    """Let an automation write its field; automations do not set off each other."""
    obj = world.objects[flow.object_id]
    target = obj.fields[flow.set]
    if flow.copy_of is not None:
        value = record.values.get(flow.copy_of)
    else:
        value = parse(world, replace(target, required=False), flow.value)
    if value == record.values.get(target.id):
        return False
    _store(world, obj, replace(record, updated=world.stamp()), {target.id: value})
    return True


# What may be seen and written


def check_visible(record: Record | None) -> Record:
    """Absent, archived and invisible look the same: 404."""
    if record is None or record.archived or not record.visible:
        raise detail(404, "not_found", "Not found.")
    return record


def check_editable(world: World, record: Record) -> None:
    """403 where this user may only look; the answer of C6 while a bulk call is archiving it."""
    if not record.editable:
        raise detail(403, "permission_required", "You do not have permission to perform this action.")
    if record.id in world.archiving:
        raise race(world)


def race(world: World) -> ApiError:
    """The record is being archived by somebody else (C6)."""
    return detail(world.switches.archive_race, "conflict", "The record is being archived.")


def archived_conflict() -> ApiError:
    """An archived record has this identifier; the body is the suggestion of section 14.7."""
    return ApiError(
        400,
        {
            "non_field_errors": [{"message": "An archived record with this identifier exists.", "code": "conflict"}],
            "fields": [],
        },
    )


def _twins(world: World, obj: ObjectType, key: str, besides: Record | None) -> Iterable[Record]:
    if obj.kind != "client" and not world.switches.enforce_unique_names:
        return []
    return [
        one
        for one in world.with_key(obj, key)
        if not one.archived
        and (besides is None or one.id != besides.id)
        and str(one.values[obj.identifier.id]).casefold() == key.casefold()
    ]


def _check_unique(world: World, obj: ObjectType, entries: Entries, besides: Record | None) -> None:
    identifier = obj.identifier
    key = entries.values.get(identifier.id)
    if isinstance(key, str) and _twins(world, obj, key, besides):
        problem = ("unique", f"A record with this {identifier.display_name} already exists.")
        position = entries.positions[identifier.id]
        if position < len(entries.problems):
            entries.problems[position] = {"value": problem}
        else:
            entries.problems.append({"value": problem})


def _archived_twin(world: World, obj: ObjectType, key: Stored | None, besides: Record | None) -> Record | None:
    if not isinstance(key, str):
        return None
    for one in world.with_key(obj, key):
        if one.archived and (besides is None or one.id != besides.id):
            held = str(one.values[obj.identifier.id])
            if held == key or (world.switches.archived_match == "folded" and folded(held) == folded(key)):
                return one
    return None


def _move_aside(world: World, obj: ObjectType, former: Record) -> None:
    """Rewrite the identifier of an archived record, so that its name is free (`overwrite` of section 5.11)."""
    key = obj.identifier
    held = str(former.values[key.id])
    # The form of the rewritten identifier is not documented; a contact's has to stay an email address.
    aside = f"archived.{former.id[:8]}.{held}" if key.type == "email" else f"{held[:200]} (archived {former.id[:8]})"
    world.put_record(replace(former, values={**former.values, key.id: aside}))


def _restore_with(world: World, obj: ObjectType, former: Record, entries: Entries, given: tuple[str, ...]) -> Written:
    mode = world.switches.unarchive_values
    if mode == "ignore":
        wanted: dict[str, Stored | None] = {}
    elif mode == "overwrite":
        wanted = {key: value for key, value in entries.values.items() if key in given}
    else:
        wanted = {key: value for key, value in entries.values.items() if key in given and key not in former.values}
    stamp = world.stamp() if world.switches.unarchive_bumps_updated or wanted else former.updated
    record = _store(world, obj, replace(former, archived=False, updated=stamp), wanted)
    _automate(world, obj, record, frozenset(wanted), fresh=False)
    return Written(record=record, action="unarchived", touched=given, changed=True)


def _store(world: World, obj: ObjectType, record: Record, changes: Mapping[str, Stored | None], *, fresh: bool = False) -> Record:
    overlay = Overlay(world)
    values = dict(record.values)
    if fresh:
        # Mirrors look partners up by id, so a new record has to exist before its relations do.
        values = {key: value for key, value in values.items() if obj.fields[key].relation is None}
        world.put_record(replace(record, values=values))
    for key, value in changes.items():
        if obj.fields[key].relation is not None:
            relate(overlay, record.id, obj.fields[key], value if isinstance(value, tuple) else ())
        elif value is None:
            values.pop(key, None)
        else:
            values[key] = value
    for key, value in overlay.changes.get(record.id, {}).items():
        _assign(values, key, value)
    after = replace(record, values=values)
    if not fresh or overlay.changes:
        world.put_record(after)
    for other_id, changed in overlay.others(record.id):
        other = world.record(other_id)
        assert other is not None
        mirrored = dict(other.values)
        for key, value in changed.items():
            _assign(mirrored, key, value)
        if mirrored != other.values:
            stamp = world.stamp() if world.switches.mirror_bumps_updated else other.updated
            world.put_record(replace(other, values=mirrored, updated=stamp))
    return after


def _assign(values: dict[str, Stored], key: str, value: Stored | None) -> None:
    if value is None:
        values.pop(key, None)
    else:
        values[key] = value


def _automate(world: World, obj: ObjectType, record: Record, changed: frozenset[str], *, fresh: bool) -> None:
    for flow in world.workflows.values():
        if flow.object_id != obj.id or (fresh and not flow.on_create):
            continue
        if flow.when is None or flow.when in changed:
            world.put_job(
                Job(
                    id=world.new_id(),
                    action="workflow",
                    object_id=obj.id,
                    due=world.now() + int(flow.delay * 1_000_000),
                    payload={"workflow": flow.id, "record": record.id},
                )
            )
