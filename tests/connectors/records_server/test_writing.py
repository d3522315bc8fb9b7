"""Sections 2.3, 3.2, 3.3, 5.4, 5.5 and 5.6 of records-api.md: add, PATCH, PUT, the positional envelope, refusals."""

from __future__ import annotations

from typing import Any

import pytest

from tests.connectors.records_server.client import COMPANIES, CONTACTS, Client, named


def problems(answer: Any) -> list[dict[str, str]]:
    """The codes of a positional envelope, entry by entry."""
    return [{key: value[0]["code"] for key, value in entry.items()} for entry in answer.json()["fields"]]


def test_the_write_shape(api: Client) -> None:
    """Section 3.2: the union of what the sources name; only the fields written, and `updated`."""
    answer = api.add(COMPANIES, {"name": "Acme"}).json()

    assert list(answer) == [
        "id",
        "object_type",
        "display_name",
        "num_upcoming_activities",
        "num_associated_team_members",
        "access",
        "fields",
        "action",
    ]
    assert (answer["display_name"], answer["action"], answer["num_associated_team_members"]) == ("Acme", "created", 1)
    assert set(named(answer)) == {"name", "updated"}


def test_patch_returns_the_fields_written_and_updated(api: Client) -> None:
    """Section 3.2: so a connector has the new `updated` without a second read."""
    record_id = api.new(CONTACTS, email="ann@example.com", last_name="Lee")
    answer = api.write(CONTACTS, record_id, first_name="Ann").json()

    assert set(named(answer)) == {"first_name", "updated"}
    assert answer["action"] == "updated"
    assert named(answer)["updated"] == api.read(CONTACTS, record_id)["updated"]


def test_patch_returns_all_fields_on_request(api: Client) -> None:
    """Section 3.2: return_all_fields=true."""
    record_id = api.new(CONTACTS, email="ann@example.com", last_name="Lee")
    body = {"fields": api.entries(CONTACTS, {"first_name": "Ann"})}
    answer = api.patch(f"/records/{CONTACTS}/{record_id}", body, return_all_fields="true").json()

    assert {"first_name", "last_name", "email", "created", "updated"} <= set(named(answer))


def test_a_field_that_was_cleared_is_shown_as_null_in_the_answer(api: Client) -> None:
    """Section 3.2: the fields written are returned."""
    record_id = api.new(CONTACTS, email="ann@example.com", first_name="Ann")

    assert named(api.write(CONTACTS, record_id, first_name=None).json())["first_name"] is None


@pytest.mark.parametrize("status", [201, 200])
def test_the_status_of_add(api: Client, status: int) -> None:
    """C2: 201 in one source, 200 in the other."""
    api.server.switch("add_status", status)

    assert api.add(COMPANIES, {"name": "Acme"}).status_code == status


def test_add_is_not_the_bare_collection(api: Client) -> None:
    """Section 5.4: a bare POST /api/records/{object} is not the create route."""
    assert api.post(f"/records/{COMPANIES}", {"fields": []}).status_code == 404


def test_fields_are_addressed_by_name_or_id(api: Client) -> None:
    """Section 3.3."""
    by_name = api.post(f"/records/{COMPANIES}/add", {"fields": [{"name": "name", "value": "Acme"}]})

    assert by_name.status_code == 201
    assert api.add(COMPANIES, {"name": "Bolt"}).status_code == 201


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"name": "nope", "value": "x"}, {"name": "does_not_exist"}),
        ({"id": "0b8f6d0e-2f7a-4c52-9c6f-3a3c2d6f7a10", "value": "x"}, {"id": "does_not_exist"}),
        ({"value": "x"}, {"name": "required"}),
        ({"name": "birthday"}, {"value": "required"}),
        ({"name": "birthday", "value": "1990-01-01", "add_values": []}, {"value": "required"}),
        ({"name": "birthday", "add_values": ["1990-01-01"]}, {"add_values": "invalid"}),
        ("birthday", {"non_field_errors": "invalid"}),
        ({"name": "birthday", "value": "yesterday"}, {"value": "invalid"}),
    ],
)
def test_the_positional_envelope(api: Client, entry: Any, expected: dict[str, str]) -> None:
    """Section 2.3: entry n describes entry n of the array sent, {} = accepted; nothing is written."""
    record_id = api.new(CONTACTS, email="ann@example.com", first_name="Ann")
    fields = [{"name": "first_name", "value": "Bo"}, entry, {"name": "last_name", "value": "Lee"}]
    answer = api.patch(f"/records/{CONTACTS}/{record_id}", {"fields": fields})

    assert answer.status_code == 400
    assert problems(answer) == [{}, expected, {}]
    assert answer.json()["non_field_errors"] == []
    assert api.read(CONTACTS, record_id)["first_name"] == "Ann"


def test_positional_errors_may_be_messages_alone(api: Client) -> None:
    """Section 2.3: the documented example shows plain messages: switch."""
    api.server.switch("positional_errors", "plain")
    answer = api.add(CONTACTS, {"email": "ann"}).json()

    assert answer["fields"] == [{"value": ["Enter a valid email address."]}]


@pytest.mark.parametrize(("body", "code"), [({}, "required"), ({"fields": {}}, "not_a_list")])
def test_fields_have_to_be_a_list(api: Client, body: dict[str, Any], code: str) -> None:
    """Sections 2.3 and 5.4: validation by body key."""
    answer = api.post(f"/records/{COMPANIES}/add", body)

    assert (answer.status_code, answer.json()["fields"][0]["code"]) == (400, code)


def test_required_fields_are_enforced_on_create(api: Client) -> None:
    """Section 5.4: is_required; fails atomically."""
    answer = api.add(COMPANIES, {})

    assert answer.status_code == 400
    assert answer.json()["non_field_errors"][0]["code"] == "required"
    assert api.server.records(COMPANIES) == []


def test_a_required_field_cannot_be_cleared(api: Client) -> None:
    """Section 3.3: allows_nulls and allows_empty say whether null and blank are accepted."""
    record_id = api.new(COMPANIES, name="Acme")

    assert problems(api.write(COMPANIES, record_id, name=None)) == [{"value": "required"}]
    assert problems(api.write(COMPANIES, record_id, name="")) == [{"value": "required"}]


def test_null_and_empty_text_clear(api: Client) -> None:
    """Section 3.3, inferred: {"value": null} clears where allows_nulls."""
    record_id = api.new(CONTACTS, email="ann@example.com", first_name="Ann", last_name="Lee")

    assert api.write(CONTACTS, record_id, first_name=None, last_name="").status_code == 200
    assert set(api.read(CONTACTS, record_id)) == {"email", "created", "updated"}


def test_null_may_be_refused(api: Client) -> None:
    """Section 15.7: whether null clears is unproved: by field, and for all by switch."""
    record_id = api.new(CONTACTS, email="ann@example.com", first_name="Ann", last_name="Lee")
    api.server.change_field(CONTACTS, "first_name", allows_nulls=False)

    assert problems(api.write(CONTACTS, record_id, first_name=None)) == [{"value": "null"}]
    assert api.write(CONTACTS, record_id, last_name=None).status_code == 200
    api.server.switch("null_clears", False)
    assert problems(api.write(CONTACTS, record_id, email=None)) == [{"value": "null"}]


def test_an_empty_value_may_be_refused(api: Client) -> None:
    """Section 3.3: allows_empty."""
    record_id = api.new(CONTACTS, email="ann@example.com", first_name="Ann")
    api.server.change_field(CONTACTS, "first_name", allows_empty=False)

    assert problems(api.write(CONTACTS, record_id, first_name="")) == [{"value": "blank"}]


def test_patch_changes_only_what_it_lists(api: Client) -> None:
    """Section 5.5."""
    record_id = api.new(CONTACTS, email="ann@example.com", first_name="Ann", last_name="Lee")
    api.write(CONTACTS, record_id, first_name="Bo")
    record = api.read(CONTACTS, record_id)

    assert (record["first_name"], record["last_name"]) == ("Bo", "Lee")


def test_patch_by_name_works_for_contacts(api: Client) -> None:
    """Section 5.5."""
    record_id = api.new(CONTACTS, email="ann@example.com")
    answer = api.patch(f"/records/{CONTACTS}/{record_id}", {"fields": [{"name": "first_name", "value": "Ann"}]})

    assert answer.status_code == 200


def test_patch_of_nothing_is_accepted(api: Client) -> None:
    """Section 5.5: {"fields": []} gives 200."""
    record_id = api.new(COMPANIES, name="Acme")

    assert api.patch(f"/records/{COMPANIES}/{record_id}", {"fields": []}).status_code == 200


@pytest.mark.parametrize(("mode", "kept"), [("partial", True), ("replace", False)])
def test_put(api: Client, mode: str, kept: bool) -> None:
    """C9: the fields that PUT does not list keep their values, or are cleared."""
    api.server.switch("put", mode)
    record_id = api.new(CONTACTS, email="ann@example.com", first_name="Ann", last_name="Lee")
    body = {"fields": api.entries(CONTACTS, {"email": "ann@example.com", "first_name": "Bo"})}

    assert api.http.put(f"/records/{CONTACTS}/{record_id}", json=body).status_code == 200
    assert api.http.put(f"/records/{CONTACTS}/{record_id}", json={}).status_code == 400
    assert ("last_name" in api.read(CONTACTS, record_id)) is kept
    assert api.read(CONTACTS, record_id)["first_name"] == "Bo"


# Several values


def test_values_are_added_and_removed(api: Client) -> None:
    """Section 3.3: add_values appends, remove_values removes; what others hold stays."""
    one, two, three = (api.server.add_option(CONTACTS, "tags", name) for name in ("one", "two", "three"))
    record_id = api.new(CONTACTS, email="ann@example.com", tags=[one, two])
    tags = api.server.field(CONTACTS, "tags").id
    fields = [{"id": tags, "add_values": [three, two]}, {"id": tags, "remove_values": [one]}]

    assert api.patch(f"/records/{CONTACTS}/{record_id}", {"fields": fields}).status_code == 200
    assert [tag["name"] for tag in api.read(CONTACTS, record_id)["tags"]] == ["two", "three"]


# Contacts


def test_a_contact_added_by_field_names_is_refused(api: Client) -> None:
    """Section 5.4: name-keyed entries can give 403; the proved path is field ids."""
    body = {"fields": [{"name": "email", "value": "ann@example.com"}]}

    assert api.post(f"/records/{CONTACTS}/add", body).status_code == 403
    api.server.switch("contact_add_by_name", "allowed")
    assert api.post(f"/records/{CONTACTS}/add", body).status_code == 201


def test_the_email_of_contacts_is_unique_whatever_its_case(api: Client) -> None:
    """Section 4 and C7: contacts' email is always unique; 400 code unique (2.3), at its position."""
    api.new(CONTACTS, email="ann@example.com")
    answer = api.add(CONTACTS, {"first_name": "Ann", "email": "ANN@example.com"})

    assert answer.status_code == 400
    assert problems(answer) == [{}, {"value": "unique"}]
    assert len(api.server.records(CONTACTS)) == 1


def test_a_contact_cannot_take_the_email_of_another(api: Client) -> None:
    """Section 4: unique across contacts, for updates too; one's own is no conflict."""
    api.new(CONTACTS, email="ann@example.com")
    other = api.new(CONTACTS, email="bo@example.com")

    assert problems(api.write(CONTACTS, other, email="ann@example.com")) == [{"value": "unique"}]
    assert api.write(CONTACTS, other, email="BO@example.com").status_code == 200


def test_contacts_without_an_email_are_allowed(api: Client) -> None:
    """Section 5.4, inferred from is_required false; they have no identifier."""
    api.new(CONTACTS, first_name="Ann")
    api.new(CONTACTS, first_name="Ann")

    assert len(api.server.records(CONTACTS)) == 2


def test_a_create_always_inserts(api: Client) -> None:
    """C7: duplicates by name are made, as observed live."""
    assert api.new(COMPANIES, name="Acme") != api.new(COMPANIES, name="Acme")


def test_names_may_be_unique(api: Client) -> None:
    """C7, the other way: the public documentation."""
    api.server.switch("enforce_unique_names", True)
    api.new(COMPANIES, name="Acme")

    assert problems(api.add(COMPANIES, {"name": "ACME"})) == [{"value": "unique"}]


# Permission


@pytest.mark.parametrize("name", ["created", "updated", "display_name"])
def test_computed_fields_cannot_be_written(api: Client, name: str) -> None:
    """Section 3.3: created and updated are read-only; 403 forbidden_field_write, positional."""
    record_id = api.new(COMPANIES, name="Acme")
    answer = api.write(COMPANIES, record_id, name="Bolt", **{name: "2020-01-01T00:00:00Z"}) if name != "name" else None
    assert answer is not None

    assert answer.status_code == 403
    assert problems(answer) == [{}, {"value": "forbidden_field_write"}]
    assert api.read(COMPANIES, record_id)["name"] == "Acme"


@pytest.mark.parametrize("flags", [{"read_only": True}, {"editable": False}])
def test_a_field_may_be_made_unwritable(api: Client, flags: dict[str, bool]) -> None:
    """Section 3.3: permission per field, announced in the metadata by access.edit."""
    api.server.change_field(COMPANIES, "name", **flags)
    record_id = api.server.add_record(COMPANIES, name="Acme")

    assert api.write(COMPANIES, record_id, name="Bolt").status_code == 403
    assert api.fields(COMPANIES)["name"]["access"]["edit"] is False


@pytest.mark.parametrize(
    ("form", "status", "key"), [("403_detail", 403, "detail"), ("400", 400, "fields"), ("403", 403, "fields")]
)
def test_the_forms_of_a_refused_field(api: Client, form: str, status: int, key: str) -> None:
    """Section 3.3: 403 or 400 positional: switch."""
    api.server.switch("field_refusal", form)
    api.server.change_field(COMPANIES, "name", editable=False)
    answer = api.write(COMPANIES, api.server.add_record(COMPANIES, name="Acme"), name="Bolt")

    assert answer.status_code == status
    assert key in answer.json()
    assert "forbidden_field_write" in answer.text


def test_an_invisible_field_does_not_exist(api: Client) -> None:
    """Section 7: metadata is permission-filtered."""
    api.server.change_field(COMPANIES, "owner", visible=False)
    record_id = api.new(COMPANIES, name="Acme")

    assert "owner" not in api.fields(COMPANIES)
    assert "owner" not in api.read(COMPANIES, record_id)
    fields = [{"name": "owner", "value": api.server.credentials.user_id}]
    assert problems(api.patch(f"/records/{COMPANIES}/{record_id}", {"fields": fields})) == [{"name": "does_not_exist"}]


def test_a_record_may_be_read_only(api: Client) -> None:
    """Sections 2.3 and 3.1: access.edit false, and 403 on every write."""
    record_id = api.new(COMPANIES, name="Acme")
    api.server.permit(record_id, editable=False)

    assert api.get(f"/records/{COMPANIES}/{record_id}").json()["access"]["edit"] is False
    assert api.write(COMPANIES, record_id, name="Bolt").status_code == 403
    assert api.http.delete(f"/records/{COMPANIES}/{record_id}").status_code == 403


def test_adding_may_be_forbidden(api: Client) -> None:
    """Section 2.3: authenticated but not permitted."""
    api.server.permit_object(COMPANIES, addable=False)
    answer = api.add(COMPANIES, {"name": "Acme"})

    assert (answer.status_code, answer.json()["code"]) == (403, "permission_required")
