"""Who am I, who else is there, and the contact helpers (records-api.md sections 1 and 8)."""

# ruff: noqa: ARG001 - handlers share one signature

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from connectors.kizen.server import records
from connectors.kizen.server.errors import ApiError, detail
from connectors.kizen.server.http import Action, Api, Call, Reply
from connectors.kizen.server.metadata import CONTACTS, Employee
from connectors.kizen.server.metadata_json import contact_object_json, team_json
from connectors.kizen.server.search import page
from connectors.kizen.server.shapes import FULL_ACCESS


def access(api: Api, call: Call) -> Reply:
    """GET /api/auth/access: what the key may do; the connection test of section 1."""
    objects = [one for one in api.world.objects.values() if one.visible]
    rights = {one.id: {**FULL_ACCESS, "add": one.addable} for one in objects}
    contacts = next(one for one in objects if one.name == CONTACTS)
    return Reply(
        200,
        {
            "sections": {"contacts": True, "custom_objects": True, "settings": True},
            "contacts": rights[contacts.id],
            "custom_objects": {one.id: rights[one.id] for one in objects if one is not contacts},
            "custom_object_entities": {one.id: rights[one.id] for one in objects if one is not contacts},
        },
    )


def bootstrap(api: Api, call: Call) -> Reply:
    """GET /api/auth/bootstrap: the employee and the business, with the id of the contacts object."""
    contacts = api.object(CONTACTS)
    return Reply(
        200,
        {
            "employee": team_json(api.world.employees[api.world.me]),
            "business": {**_business(api), "client_object": {"id": contacts.id, "name": contacts.name}},
        },
    )


def business(api: Api, call: Call) -> Reply:
    """GET /api/business/mine."""
    return Reply(200, _business(api))


def _business(api: Api) -> dict[str, Any]:
    one = api.world.business
    return {
        "id": one.id,
        "name": one.name,
        "country": one.country,
        "phone_default_region": one.phone_region,
        "timezone": {"id": one.timezone, "code": one.timezone, "name": one.timezone},
    }


def _visible_team(api: Api) -> list[Employee]:
    # Without the permission for the whole team the platform does not refuse: it lists the caller alone.
    if not api.world.switches.team_visible:
        return [api.world.employees[api.world.me]]
    return [one for one in api.world.employees.values() if not one.service_account]


def _named(team: Sequence[Employee], text: str) -> list[Employee]:
    wanted = text.casefold()
    return [one for one in team if wanted in f"{one.first_name} {one.last_name} {one.email}".casefold()]


def team(api: Api, call: Call) -> Reply:
    """GET /api/team: a bare array; with `page_size` or `search` the envelope of section 2.2."""
    people = _named(_visible_team(api), call.query.get("search", ""))
    if "page_size" in call.query or "search" in call.query:
        return Reply(200, page(api.world, people, call.query, call.address, team_json))
    return Reply(200, [team_json(one) for one in people])


def member(api: Api, call: Call) -> Reply:
    """GET /api/team/{id}."""
    found = next((one for one in _visible_team(api) if one.id == call.params["member_id"].lower()), None)
    if found is None:
        raise detail(404, "not_found", "Not found.")
    return Reply(200, team_json(found))


def team_search(api: Api, call: Call) -> Reply:
    """POST /api/team/search."""
    text = str(call.json().get("search") or call.query.get("search", ""))
    return Reply(200, page(api.world, _named(_visible_team(api), text), call.query, call.address, team_json))


def typeahead(api: Api, call: Call) -> Reply:
    """GET /api/team/typeahead?search=: a bare array of active members."""
    people = _named(_visible_team(api), call.query.get("search", ""))
    return Reply(200, [team_json(one) for one in people if one.active])


def contact_object(api: Api, call: Call) -> Reply:
    """GET /api/client/custom-object."""
    return Reply(200, contact_object_json(api.world))


_FLAT: Final = ("email", "first_name", "last_name", "birthday", "timezone", "email_status")


def create_contact(api: Api, call: Call) -> Reply:
    """POST /api/client: the flat, deprecated way to create a contact; `email_status` is a slug there."""
    contacts = api.object(CONTACTS)
    body = call.json()
    given = [name for name in _FLAT if body.get(name) not in (None, "")]
    entries = []
    for name in given:
        value: object = body[name]
        if name == "email_status":
            slugs = {option.code: option.id for option in contacts.by_name[name].options}
            value = slugs.get(str(value), str(value))
        entries.append({"id": contacts.by_name[name].id, "value": value})
    try:
        written = records.create(api.world, contacts, entries, None)
    except ApiError as error:
        raise _by_key(error, given) from error
    flat = {name: body.get(name) for name in _FLAT}
    return Reply(201, {"id": written.record.id, **flat})


def _by_key(error: ApiError, given: Sequence[str]) -> ApiError:
    """The flat route complains by key, not by position."""
    body = error.body
    if not isinstance(body, Mapping) or "fields" not in body or not any(body["fields"]):
        return error
    return ApiError(error.status, {name: entry["value"] for name, entry in zip(given, body["fields"], strict=True) if entry})


_TEAM: Final[Mapping[str, Action]] = {"GET": Action("team", team)}
ROUTES: Final[tuple[tuple[str, Mapping[str, Action]], ...]] = (
    ("/api/auth/access", {"GET": Action("access", access)}),
    ("/api/auth/bootstrap", {"GET": Action("bootstrap", bootstrap)}),
    ("/api/business/mine", {"GET": Action("business", business)}),
    ("/api/team", _TEAM),
    ("/api/employee", _TEAM),
    ("/api/team/search", {"POST": Action("team_search", team_search)}),
    ("/api/team/typeahead", {"GET": Action("team_typeahead", typeahead)}),
    ("/api/team/{member_id}", {"GET": Action("member", member)}),
    ("/api/client/custom-object", {"GET": Action("contact_object", contact_object)}),
    ("/api/client", {"POST": Action("create_contact", create_contact, write=True)}),
)
