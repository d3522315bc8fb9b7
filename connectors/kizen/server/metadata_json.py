"""Objects, fields, options, stages and people as JSON (records-api.md sections 7 and 8)."""

from __future__ import annotations

from typing import Any

from connectors.kizen.server.metadata import CONTACTS, Employee, Field, ObjectType, Stage
from connectors.kizen.server.readers import employee_json, option_json
from connectors.kizen.server.shapes import FULL_ACCESS
from connectors.kizen.server.values import read_only_for_api
from connectors.kizen.server.world import Job, World


def object_json(world: World, obj: ObjectType) -> dict[str, Any]:
    """One item of GET /api/custom-objects."""
    return {
        "id": obj.id,
        "name": obj.name,
        "object_name": obj.object_name,
        "entity_name": obj.entity_name,
        "object_type": obj.kind,
        "fetch_url": f"/api/records/{obj.name}/search",
        "is_custom": obj.custom,
        "allow_relations": True,
        "description": obj.description,
        "owner": employee_json(world, world.me),
        "created": world.instant(obj.created),
        "access": {**FULL_ACCESS, "add": obj.addable},
        "default_on_activities": False,
        "has_commerce_data": False,
        "track_entity_value": "entity_value" in obj.by_name,
        "color": "#4a6fa5",
        "icon": "cube",
    }


def field_json(world: World, one: Field) -> dict[str, Any]:
    """One field of the metadata array (section 7); dynamictags carry no options there."""
    settings = dict(one.settings)
    for internal in ("computed", "stage"):
        settings.pop(internal, None)
    tags = one.type == "dynamictags"
    return {
        "id": one.id,
        "name": one.name,
        "display_name": one.display_name,
        "field_type": one.type,
        "category": one.category,
        "order": one.order,
        "description": one.description,
        "is_required": one.required,
        "is_read_only": one.read_only,
        "is_hidden": one.hidden,
        "is_hideable": not one.required,
        "is_deletable": not one.default,
        "is_suppressed": False,
        **({"is_default": one.default} if world.switches.defaults_shown else {}),
        "deleted": False,
        "allows_nulls": one.allows_nulls,
        "allows_empty": one.allows_empty,
        "meta": {"is_markdown": True} if settings.pop("is_markdown", False) else {},
        "properties": {},
        "ui_default_value": None,
        "allow_on_forms": True,
        "options": [] if tags else [{**option_json(option), "order": option.order} for option in one.options],
        "relation": relation_json(world, one),
        "rating": {"min_value": 1, "max_value": settings.get("max_value", 5)} if one.type == "rating" else None,
        "money_options": settings or {"currency": "USD", "symbol": "$"} if one.type == "money" else None,
        "decimal_options": settings if one.type == "decimal" else None,
        "phonenumber_options": {"default_region": world.business.phone_region} if one.type == "phonenumber" else None,
        "access": {"view": True, "edit": not read_only_for_api(one), "remove": not one.default},
    }


def relation_json(world: World, one: Field) -> dict[str, Any] | None:
    """The `relation` block of a relationship field."""
    if one.relation is None:
        return None
    other = world.objects[one.relation.object_id]
    mirror = other.fields.get(one.relation.mirror_id)
    return {
        "related_object": other.id,
        "related_object_name": other.object_name,
        "related_object_object_name": other.name,
        "related_field": one.relation.mirror_id,
        "related_category": None if mirror is None else mirror.category,
        "related_name": one.relation.related_name,
        "related_entity_name": other.entity_name,
        "relation_type": one.relation.type,
        "cardinality": one.relation.cardinality,
        "fetch_url": f"/api/records/{other.name}/search",
        "rollup_relationship": False,
    }


def visible_fields(obj: ObjectType) -> list[Field]:
    """The fields that this user may see, in order."""
    return sorted((one for one in obj.fields.values() if one.visible), key=lambda one: one.order)


def stage_json(stage: Stage) -> dict[str, Any]:
    """One item of GET /api/pipelines/{id}/stages."""
    return {
        "id": stage.id,
        "name": stage.name,
        "status": stage.status,
        "percentage_chance_to_close": stage.percentage,
        "order": stage.order,
    }


def team_json(one: Employee) -> dict[str, Any]:
    """One member of the team (section 8)."""
    name = f"{one.first_name} {one.last_name}".strip()
    return {
        "id": one.id,
        "first_name": one.first_name,
        "last_name": one.last_name,
        "full_name": name,
        "email": one.email,
        "active": one.active,
        "deleted": not one.active,
    }


def contact_object_json(world: World) -> dict[str, Any]:
    """GET /api/client/custom-object: the contact object with the ids of its default fields (section 8)."""
    contacts = world.find_object(CONTACTS)
    assert contacts is not None
    undeletable = {
        one.name: {"id": one.id, "name": one.name, "display_name": one.display_name}
        for one in visible_fields(contacts)
        if one.default
    }
    return {**object_json(world, contacts), "undeletable_fields": undeletable}


def job_json(world: World, job: Job) -> dict[str, Any]:
    """One row of the bulk progress list (section 6)."""
    return {
        "id": job.id,
        "custom_object_id": job.object_id,
        "action": job.action,
        "status": job.status,
        "success_count": job.success_count,
        "failed_count": job.failed_count,
        "pending_count": job.pending_count,
        "started_at": world.instant(job.started_at),
        "finished_at": world.instant(job.finished_at) if job.finished_at else None,
        "completed": job.status in {"completed", "failed"},
        "failure_report": list(job.failures) or None,
    }
