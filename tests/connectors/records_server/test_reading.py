"""Sections 3.1, 5.1 and 5.2 of records-api.md: the read shape, the choice of fields, lookup."""

from __future__ import annotations

import datetime as dt
import re

import pytest

from tests.connectors.records_server.client import COMPANIES, CONTACTS, Client, named


def test_the_read_shape(api: Client) -> None:
    """Section 3.1: id, object_type, client_info, access, and fields keyed by field UUID; nothing else at the top."""
    record_id = api.new(COMPANIES, name="Acme")
    record = api.get(f"/records/{COMPANIES}/{record_id}").json()
    name = api.server.field(COMPANIES, "name")

    assert list(record) == ["id", "object_type", "client_info", "access", "fields"]
    assert (record["id"], record["object_type"], record["client_info"]) == (record_id, "standard", None)
    assert record["access"] == {"view": True, "edit": True, "remove": True}
    assert record["fields"][name.id] == {
        "id": name.id,
        "name": "name",
        "display_name": "Name",
        "field_type": "text",
        "value": "Acme",
    }


def test_instants_have_microseconds_and_an_offset_that_is_not_utc(api: Client) -> None:
    """Sections 2.4 and 3.1: 2026-03-31T12:27:20.152070-05:00."""
    record_id = api.new(COMPANIES, name="Acme")
    created = api.read(COMPANIES, record_id)["created"]

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}-0[56]:00", created)
    assert abs(dt.datetime.fromisoformat(created) - dt.datetime(2026, 3, 2, 15, tzinfo=dt.UTC)) < dt.timedelta(seconds=1)


def test_the_owner_is_filled_in(api: Client) -> None:
    """Section 4: owner is required in the metadata, but create with `name` alone succeeds: the server fills it."""
    record_id = api.new(COMPANIES, name="Acme")
    owner = api.read(COMPANIES, record_id)["owner"]

    assert owner == {
        "id": api.server.credentials.user_id,
        "deleted": False,
        "first_name": "API",
        "last_name": "User",
        "email": "api@example.com",
    }


def test_display_name_equals_name_for_plain_objects(api: Client) -> None:
    """Section 3.1."""
    record_id = api.new(COMPANIES, name="Acme")

    assert api.read(COMPANIES, record_id)["display_name"] == "Acme"


def test_contacts_have_no_name_and_no_owner(api: Client) -> None:
    """Section 4: in the captured metadata."""
    assert not {"name", "owner"} & set(api.fields(CONTACTS))


def test_full_name_of_a_contact_is_calculated(api: Client) -> None:
    """Section 4: calculated, cannot be set."""
    record_id = api.new(CONTACTS, email="ann@example.com", first_name="Ann", last_name="Lee")

    assert api.read(CONTACTS, record_id)["full_name"] == "Ann Lee"
    assert api.write(CONTACTS, record_id, full_name="Bo").status_code == 403


def test_get_leaves_blank_fields_out(api: Client) -> None:
    """Section 3.1, C5: blank fields are omitted when fetching a record."""
    record_id = api.new(CONTACTS, email="ann@example.com")

    assert set(api.read(CONTACTS, record_id)) == {"email", "created", "updated"}


def test_get_may_include_blank_fields(api: Client) -> None:
    """C5, the other way: null for single values, [] for lists."""
    api.server.switch("get_blanks", "include")
    record = api.read(CONTACTS, api.new(CONTACTS, email="ann@example.com"))

    assert (record["first_name"], record["tags"]) == (None, [])


def test_a_blank_text_may_read_as_an_empty_text(api: Client) -> None:
    """C5: test data of the platform holds null, "" and []."""
    api.server.switch("blank_text", "empty")
    api.new(CONTACTS, email="ann@example.com")

    assert api.search(CONTACTS)[0]["first_name"] == ""


def test_search_shows_blank_fields(api: Client) -> None:
    """C5: a live search returned all keys."""
    api.new(CONTACTS, email="ann@example.com")

    assert set(api.search(CONTACTS)[0]) - {"id"} == set(api.fields(CONTACTS))


def test_search_may_leave_blank_fields_out(api: Client) -> None:
    """C5, the other way."""
    api.server.switch("search_blanks", "omit")
    api.new(CONTACTS, email="ann@example.com")

    assert set(api.search(CONTACTS)[0]) == {"id", "email", "created", "updated"}


def test_fields_may_be_an_array(api: Client) -> None:
    """Section 3.1: a warning of one source, as a switch."""
    api.server.switch("record_fields", "list")
    record_id = api.new(COMPANIES, name="Acme")
    fields = api.get(f"/records/{COMPANIES}/{record_id}").json()["fields"]

    assert {one["name"] for one in fields} == {"name", "owner", "display_name", "created", "updated"}


@pytest.mark.parametrize(("key", "by"), [("field_names", "name"), ("field_ids", "id")])
def test_get_narrows_by_names_or_ids(api: Client, key: str, by: str) -> None:
    """Section 5.1: only these fields; unknown ones are dropped."""
    record_id = api.new(CONTACTS, email="ann@example.com", first_name="Ann")
    wanted = getattr(api.server.field(CONTACTS, "email"), by)

    assert set(api.read(CONTACTS, record_id, **{key: f"{wanted},nope"})) == {"email"}


def test_get_with_an_empty_narrowing_shows_default_fields_only(api: Client) -> None:
    """Section 5.1: present but empty = default fields only."""
    api.server.add_field(COMPANIES, "Motto", "text")
    record_id = api.server.add_record(COMPANIES, name="Acme", motto="Onward")

    assert "motto" in api.read(COMPANIES, record_id)
    assert "motto" not in api.read(COMPANIES, record_id, field_ids="")


def test_get_narrows_by_category(api: Client) -> None:
    """Section 5.1: a csv of category ids, ignored when field_ids are present."""
    record_id = api.new(COMPANIES, name="Acme")
    category = api.get(f"/custom-objects/{COMPANIES}/categories").json()[0]["id"]

    assert api.read(COMPANIES, record_id, field_category=category)["name"] == "Acme"
    assert api.read(COMPANIES, record_id, field_category="0b8f6d0e-2f7a-4c52-9c6f-3a3c2d6f7a10") == {}


def test_hidden_fields_come_on_request_only(api: Client) -> None:
    """Section 5.1: without include_hidden_fields they are absent."""
    api.server.add_field(COMPANIES, "Secret", "text", hidden=True)
    record_id = api.server.add_record(COMPANIES, name="Acme", secret="x")

    assert "secret" not in api.read(COMPANIES, record_id)
    assert "secret" not in api.read(COMPANIES, record_id, field_names="secret")
    assert api.read(COMPANIES, record_id, include_hidden_fields="true")["secret"] == "x"


def test_detail_summary_adds_a_summary(api: Client) -> None:
    """Section 5.1."""
    record_id = api.new(COMPANIES, name="Acme")

    assert "detail_summary" in api.get(f"/records/{COMPANIES}/{record_id}", detail_summary="true").json()


def test_get_and_lookup_may_leave_relationships_out(api: Client) -> None:
    """C8: one source says they are not in the main record response; search shows them all the same."""
    company = api.new(COMPANIES, name="Acme")
    contact = api.new(CONTACTS, email="ann@example.com", company_primary=company)

    assert api.read(CONTACTS, contact)["company_primary"] == {"id": company, "name": "Acme"}
    api.server.switch("get_relations", "omit")
    assert "company_primary" not in api.read(CONTACTS, contact)
    assert api.search(CONTACTS)[0]["company_primary"] == {"id": company, "name": "Acme"}


def test_invisible_records_look_absent(api: Client) -> None:
    """Section 2.3: 404 is absent, archived, or not visible to this user; search leaves them out (5.3)."""
    record_id = api.new(COMPANIES, name="Acme")
    api.server.permit(record_id, visible=False)

    assert api.get(f"/records/{COMPANIES}/{record_id}").status_code == 404
    assert api.search(COMPANIES) == []


def test_invisible_objects_look_absent(api: Client) -> None:
    """Section 7: metadata is permission-filtered."""
    api.server.permit_object(COMPANIES, visible=False)

    assert api.post(f"/records/{COMPANIES}/search").status_code == 404
    assert api.get("/custom-objects").json()["results"] == []


# Lookup, section 5.2


def test_lookup_finds_contacts_by_email_and_others_by_name(api: Client) -> None:
    contact, company = api.new(CONTACTS, email="ann@example.com"), api.new(COMPANIES, name="Acme")

    assert api.get(f"/records/{CONTACTS}/lookup", identifier="ann@example.com").json()["id"] == contact
    assert api.get(f"/records/{COMPANIES}/lookup", identifier="Acme").json()["id"] == company


def test_lookup_folds_case_and_blanks(api: Client) -> None:
    """C1: the public documentation: case-insensitive, leading, trailing and duplicate whitespace stripped."""
    company = api.new(COMPANIES, name="Acme  Tools")

    assert api.get(f"/records/{COMPANIES}/lookup", identifier="  ACME tools ").json()["id"] == company


def test_lookup_may_be_exact(api: Client) -> None:
    """C1, the other way: exact and case-sensitive, no trimming."""
    api.server.switch("lookup_mode", "exact")
    company = api.new(COMPANIES, name="Acme")

    assert api.get(f"/records/{COMPANIES}/lookup", identifier="acme").status_code == 404
    assert api.get(f"/records/{COMPANIES}/lookup", identifier="Acme ").status_code == 404
    assert api.get(f"/records/{COMPANIES}/lookup", identifier="Acme").json()["id"] == company


def test_lookup_without_identifier_is_a_bad_request(api: Client) -> None:
    """Section 5.2: 400 code required."""
    answer = api.get(f"/records/{COMPANIES}/lookup")

    assert (answer.status_code, answer.json()["identifier"][0]["code"]) == (400, "required")


def test_lookup_does_not_create_and_does_not_find_archived_ones(api: Client) -> None:
    """Section 5.2."""
    api.server.archive(api.new(COMPANIES, name="Acme"))

    assert api.get(f"/records/{COMPANIES}/lookup", identifier="Acme").status_code == 404
    assert api.server.records(COMPANIES) == []


def test_lookup_of_an_invisible_record_gives_403(api: Client) -> None:
    """Section 5.2: match without permission."""
    api.server.permit(api.new(COMPANIES, name="Acme"), visible=False)

    assert api.get(f"/records/{COMPANIES}/lookup", identifier="Acme").status_code == 403


def test_lookup_of_several_takes_the_oldest(api: Client) -> None:
    """Section 5.2, inferred: first match."""
    first = api.new(COMPANIES, name="Acme")
    api.new(COMPANIES, name="Acme")

    assert api.get(f"/records/{COMPANIES}/lookup", identifier="Acme").json()["id"] == first


def test_lookup_shows_all_fields_unless_told_otherwise(api: Client) -> None:
    """Section 5.2: all_fields defaults to true on this route."""
    api.server.add_field(COMPANIES, "Motto", "text")
    api.server.add_record(COMPANIES, name="Acme", motto="Onward")
    wide = api.get(f"/records/{COMPANIES}/lookup", identifier="Acme").json()
    narrow = api.get(f"/records/{COMPANIES}/lookup", identifier="Acme", all_fields="false").json()

    assert named(wide)["motto"] == "Onward"
    assert "motto" not in named(narrow)
