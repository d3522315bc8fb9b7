"""Sections 7 and 8 of records-api.md: objects, fields, options, stages, tags, team, business, contact helpers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.connectors.records_server.client import COMPANIES, CONTACTS, Client

OBJECT_KEYS = {
    "id", "name", "object_name", "entity_name", "object_type", "fetch_url", "is_custom", "allow_relations", "description",
    "owner", "created", "access", "default_on_activities", "has_commerce_data", "track_entity_value",
}  # fmt: skip
FIELD_KEYS = {
    "id", "name", "display_name", "field_type", "category", "order", "description", "is_required", "is_read_only", "is_hidden",
    "is_hideable", "is_deletable", "is_suppressed", "is_default", "deleted", "allows_nulls", "allows_empty", "meta",
    "properties", "ui_default_value", "allow_on_forms", "options", "relation", "rating", "money_options", "decimal_options",
    "phonenumber_options", "access",
}  # fmt: skip


def object_body(**more: Any) -> dict[str, Any]:
    return {
        "object_name": "Wide Widgets",
        "entity_name": "Widget",
        "object_type": "standard",
        "default_on_activities": False,
        **more,
    }


def field_body(api: Client, **more: Any) -> dict[str, Any]:
    category = api.get(f"/custom-objects/{COMPANIES}/categories").json()[0]["id"]
    return {"field_type": "text", "display_name": "Motto", "category": category, **more}


def create_field(api: Client, **more: Any) -> Any:
    return api.post(f"/custom-objects/{api.server.object(COMPANIES).id}/fields", field_body(api, **more))


# Objects


def test_objects_are_listed_without_contacts_by_default(api: Client) -> None:
    """Section 7: custom_only defaults to true; false adds client_client."""
    narrow = api.get("/custom-objects").json()["results"]
    wide = api.get("/custom-objects", custom_only="false").json()["results"]

    assert [one["name"] for one in narrow] == [COMPANIES]
    assert {one["name"] for one in wide} == {COMPANIES, CONTACTS}
    assert set(narrow[0]) >= OBJECT_KEYS


def test_objects_are_filtered(api: Client) -> None:
    """Section 7: name (exact), object_name, object_type, search, ordering, paging."""
    api.server.add_object("Deals", object_type="pipeline")

    def names(**query: Any) -> list[str]:
        return [one["name"] for one in api.get("/custom-objects", **query).json()["results"]]

    assert names(name="deals") == ["deals"]
    assert names(name="deal") == []
    assert names(object_name="Companies") == names(object_type="standard") == [COMPANIES]
    assert names(search="DEA") == ["deals"]
    assert names(ordering="-name") == ["deals", COMPANIES]
    assert names(page_size=1, page=2) == ["deals"]


def test_an_unknown_object_is_404(api: Client) -> None:
    """Section 7: 404 is the only proof of absence."""
    assert api.get("/custom-objects/nope").json() == {"detail": "Not found.", "code": "not_found"}


def test_creating_an_object(api: Client) -> None:
    """Sections 2.1 and 7: 201; the api_name is derived from the plural label; a taken one gets a suffix."""
    first, second = api.post("/custom-objects", object_body()), api.post("/custom-objects", object_body())

    assert (first.status_code, first.json()["name"]) == (201, "wide_widgets")
    assert second.json()["name"].startswith("wide_widgets_")
    assert set(api.fields("wide_widgets")) == {"name", "owner", "display_name", "created", "updated"}
    assert api.new("wide_widgets", name="One")


@pytest.mark.parametrize("missing", ["object_name", "entity_name", "object_type", "default_on_activities"])
def test_what_an_object_needs(api: Client, missing: str) -> None:
    """Section 7."""
    answer = api.post("/custom-objects", object_body(**{missing: None}))

    assert (answer.status_code, answer.json()[missing][0]["code"]) == (400, "required")


def test_the_name_of_an_object_cannot_be_chosen(api: Client) -> None:
    """Section 7: staff-only, 403 forbidden_field_write."""
    answer = api.post("/custom-objects", object_body(name="x"))

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_field_write")


def test_the_number_of_objects_is_limited(api: Client) -> None:
    """Section 7: 500 objects a business."""
    for number in range(498):
        api.server.add_object(f"Things {number}")

    assert api.post("/custom-objects", object_body()).json()["code"] == "max_objects_exceeded"


# Fields


def test_fields_are_a_bare_array(api: Client) -> None:
    """Section 7: with everything the field list names; is_default marks the default ones."""
    listed = api.get(f"/custom-objects/{api.server.object(CONTACTS).id}/fields").json()

    assert isinstance(listed, list)
    assert all(set(one) == FIELD_KEYS for one in listed)
    assert api.get(f"/custom-objects/{CONTACTS}/fields/settings-search").json() == listed


def test_default_fields_of_contacts(api: Client) -> None:
    """Section 4."""
    fields = api.fields(CONTACTS)
    kinds = {name: one["field_type"] for name, one in fields.items()}

    assert kinds == {
        "first_name": "text",
        "last_name": "text",
        "full_name": "text",
        "email": "email",
        "business_phone": "phonenumber",
        "mobile_phone": "phonenumber",
        "home_phone": "phonenumber",
        "titles": "dynamictags",
        "tags": "dynamictags",
        "birthday": "date",
        "email_status": "dropdown",
        "timezone": "timezone",
        "company_primary": "relationship",
        "company_additional": "relationship",
        "created": "datetime",
        "updated": "datetime",
    }
    assert fields["company_primary"]["relation"]["cardinality"] == "many_to_one"
    assert fields["company_additional"]["relation"]["cardinality"] == "many_to_many"
    assert fields["company_primary"]["relation"]["related_object_object_name"] == COMPANIES
    assert fields["email"]["is_required"] is False
    assert fields["full_name"]["is_read_only"] is True


def test_creating_a_field(api: Client) -> None:
    """Section 7: 201; `name` is derived."""
    answer = create_field(api, display_name="Net Worth", field_type="dropdown", options=[{"name": "Low"}, {"name": "High"}])

    assert (answer.status_code, answer.json()["name"]) == (201, "net_worth")
    assert [one["name"] for one in answer.json()["options"]] == ["Low", "High"]


def test_creating_a_relationship_creates_its_mirror(api: Client) -> None:
    """Section 4."""
    relation = {"related_object": api.server.object(CONTACTS).id, "related_name": "Advised", "relation_type": "additional"}
    answer = create_field(api, display_name="Advisors", field_type="relationship", relation=relation)

    assert answer.status_code == 201
    assert api.fields(CONTACTS)["advised"]["relation"]["related_field"] == answer.json()["id"]


@pytest.mark.parametrize(
    ("more", "status", "key"),
    [
        ({"field_type": None}, 400, "field_type"),
        ({"field_type": "color"}, 400, "field_type"),
        ({"display_name": ""}, 400, "display_name"),
        ({"category": "x"}, 400, "category"),
        ({"options": ["x"]}, 400, "options"),
        ({"field_type": "relationship"}, 400, "relation"),
        ({"display_name": "Status"}, 500, None),
        ({"field_type": "decimal", "decimal_options": {"max_value": 1_000_000}}, 500, None),
        ({"field_type": "relationship", "relation": {"related_object": COMPANIES}}, 500, None),
    ],
)
def test_bad_fields(api: Client, more: dict[str, Any], status: int, key: str | None) -> None:
    """Sections 2.3 and 7: several bad inputs give 500 (reserved names, a decimal's maximum, no related_name)."""
    answer = create_field(api, **more)

    assert answer.status_code == status
    assert key is None or key in answer.json()


def test_the_number_of_fields_is_limited(api: Client) -> None:
    """Section 7: 500 fields an object."""
    for number in range(500 - len(api.fields(COMPANIES))):
        api.server.add_field(COMPANIES, f"Field {number}", "text")

    assert create_field(api).json()["code"] == "max_fields_exceeded"


def test_fields_are_searched(api: Client) -> None:
    """Section 7: filtered field metadata."""
    path = f"/custom-objects/{CONTACTS}/fields/search"

    assert [one["name"] for one in api.post(path, {"search": "birth"}).json()["results"]] == ["birthday"]
    assert {one["name"] for one in api.post(path, {"field_types": ["dynamictags"]}).json()["results"]} == {"tags", "titles"}


def test_schema_drift(api: Client) -> None:
    """A field disappears with its mirror, is renamed, loses an option: metadata and records follow."""
    api.server.add_field(CONTACTS, "Color", "dropdown", options=["Red", "Blue"])
    record_id = api.server.add_record(CONTACTS, email="ann@example.com", color="Red")
    api.server.change_field(CONTACTS, "color", name="hue")
    assert api.read(CONTACTS, record_id)["hue"]["name"] == "Red"
    api.server.remove_option(CONTACTS, "hue", "Blue")
    assert [one["name"] for one in api.fields(CONTACTS)["hue"]["options"]] == ["Red"]
    api.server.remove_field(CONTACTS, "hue")
    assert "hue" not in api.fields(CONTACTS)
    assert "hue" not in api.read(CONTACTS, record_id)
    with pytest.raises(ValueError, match="default field"):
        api.server.remove_field(CONTACTS, "email")


def test_patching_a_field(api: Client) -> None:
    """Section 7: never PATCH `options`: it replaces."""
    field = api.server.add_field(COMPANIES, "Color", "dropdown", options=["Red", "Blue"])
    path = f"/custom-objects/{api.server.object(COMPANIES).id}/fields/{field.id}"
    body = {"display_name": "Hue", "options": [{"id": field.options[1].id, "name": "Blue"}, {"name": "Green"}]}
    answer = api.patch(path, body).json()

    assert answer["display_name"] == "Hue"
    assert [one["name"] for one in answer["options"]] == ["Blue", "Green"]
    assert answer["options"][0]["id"] == field.options[1].id
    assert api.patch(path, {"is_hidden": "x"}).status_code == 400


# Options, tags, stages


def test_adding_an_option(api: Client) -> None:
    """Section 7: 201; duplicate names are rejected whatever their case."""
    field = api.server.add_field(COMPANIES, "Color", "dropdown", options=["Red"])
    path = f"/custom-objects/{api.server.object(COMPANIES).id}/fields/{field.id}/options"

    assert api.post(path, {"name": "Blue"}).status_code == 201
    assert api.post(path, {"name": "BLUE"}).json()["name"][0]["code"] == "unique"
    assert api.post(path, {}).json()["name"][0]["code"] == "required"


def test_tags_have_lists_of_their_own(api: Client) -> None:
    """Section 7: field metadata does not carry the options of dynamictags; these lists do."""
    for name in ("beta", "Alpha"):
        api.server.add_option(CONTACTS, "tags", name)
    tags = api.server.field(CONTACTS, "tags").id
    field = api.server.add_field(COMPANIES, "Labels", "dynamictags", options=["One"])
    companies = api.server.object(COMPANIES).id

    assert api.fields(CONTACTS)["tags"]["options"] == []
    listed = api.get(f"/client/fields/{tags}/tags", ordering="name").json()["results"]
    assert [one["name"] for one in listed] == ["Alpha", "beta"]
    assert set(listed[0]) == {"id", "name"}
    assert api.get(f"/client/fields/{tags}/tags", search="be", page_size=1).json()["count"] == 1
    assert api.get(f"/pipelines/{companies}/fields/{field.id}/tags").json()["results"][0]["name"] == "One"
    assert api.get(f"/client/fields/{field.id}/tags").status_code == 404


def test_stages(api: Client) -> None:
    """Section 7: {id, name, status, percentage_chance_to_close, order}."""
    deals = api.server.add_object("Deals", object_type="pipeline")
    stages = api.get(f"/pipelines/{deals.id}/stages", ordering="order").json()

    assert [one["status"] for one in stages] == ["open", "open", "won", "lost"]
    assert set(stages[0]) == {"id", "name", "status", "percentage_chance_to_close", "order"}
    assert api.get(f"/pipelines/{api.server.object(COMPANIES).id}/stages").status_code == 404


# People and the account


def test_auth_access(api: Client) -> None:
    """Section 1: sections, contacts, custom_objects, custom_object_entities."""
    assert set(api.get("/auth/access").json()) == {"sections", "contacts", "custom_objects", "custom_object_entities"}


def test_auth_bootstrap(api: Client) -> None:
    """Section 1: the contacts object's id is at business.client_object.id."""
    body = api.get("/auth/bootstrap").json()

    assert body["business"]["client_object"]["id"] == api.server.object(CONTACTS).id
    assert body["business"]["id"] == api.server.credentials.business_id
    assert body["employee"]["id"] == api.server.credentials.user_id


def test_business_mine(api: Client) -> None:
    """Section 8."""
    body = api.get("/business/mine", v2="true").json()

    assert set(body) == {"id", "name", "country", "phone_default_region", "timezone"}
    assert body["timezone"]["id"] == "America/Chicago"


def test_the_team(api: Client) -> None:
    """Section 8: a bare array without service accounts; with page_size or search it paginates; /api/employee is the same."""
    ann = api.server.add_employee("ann@example.com", first_name="Ann", last_name="Lee")
    api.server.add_employee("robot@example.com", service_account=True)

    assert [one["email"] for one in api.get("/team").json()] == ["api@example.com", "ann@example.com"]
    assert api.get("/employee").json() == api.get("/team").json()
    assert api.get("/team", search="lee").json()["results"][0]["id"] == ann
    assert api.get("/team", page_size=1).json()["count"] == 2
    assert api.get(f"/team/{ann}").json()["full_name"] == "Ann Lee"
    assert api.get("/team/0b8f6d0e-2f7a-4c52-9c6f-3a3c2d6f7a10").status_code == 404
    assert api.post("/team/search", {"search": "ann"}).json()["results"][0]["id"] == ann
    assert [one["id"] for one in api.get("/team/typeahead", search="ann").json()] == [ann]


def test_without_the_permission_the_team_is_the_caller(api: Client) -> None:
    """Section 8: silently returns only the caller."""
    api.server.switch("team_visible", False)
    ann = api.server.add_employee("ann@example.com")

    assert [one["id"] for one in api.get("/team").json()] == [api.server.credentials.user_id]
    assert api.get(f"/team/{ann}").status_code == 404


def test_the_contact_object(api: Client) -> None:
    """Section 8: undeletable_fields.<api_name>.id."""
    body = api.get("/client/custom-object").json()

    assert body["id"] == api.server.object(CONTACTS).id
    assert body["undeletable_fields"]["email"]["id"] == api.server.field(CONTACTS, "email").id


def test_the_flat_way_to_create_a_contact(api: Client) -> None:
    """Section 8: POST /api/client; email_status is a slug there (section 4)."""
    body = {"email": "ann@example.com", "first_name": "Ann", "email_status": "opted_in", "timezone": "UTC"}
    answer = api.post("/client", body)

    assert answer.status_code == 201
    assert api.server.record(answer.json()["id"])["email_status"] == "Opted In"
    assert api.post("/client", body).json()["email"][0]["code"] == "unique"
    assert api.post("/client", {"email": "x"}).json()["email"][0]["code"] == "invalid"
