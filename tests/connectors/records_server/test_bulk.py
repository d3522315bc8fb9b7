"""Section 6 of records-api.md: bulk archive, bulk change of one value, progress; and C6."""

from __future__ import annotations

from typing import Any

import pytest

from tests.connectors.records_server.client import COMPANIES, CONTACTS, Client, Clock


def bulk(api: Client, call: str, object: str = COMPANIES, **body: Any) -> Any:
    return api.post(f"/custom-objects/{api.server.object(object).id}/{call}", body)


def change(api: Client, ids: list[str], field: str, value: Any, **more: Any) -> Any:
    field_id = api.server.field(COMPANIES, field).id
    return bulk(api, "bulk-change-field-value", record_ids=ids, field_id=field_id, field_value=value, **more)


def test_bulk_archive_takes_effect_later(api: Client, clock: Clock) -> None:
    """200 {"number_archived": N, "async": true}; visible in search in under 2 s."""
    one, two = api.new(COMPANIES, name="One"), api.new(COMPANIES, name="Two")
    answer = bulk(api, "bulk-archive-entity-record", record_ids=[one], send_email_notification=False)

    assert (answer.status_code, answer.json()) == (200, {"number_archived": 1, "async": True})
    assert len(api.search(COMPANIES)) == 2
    clock.advance(1.5)
    assert [row["id"] for row in api.search(COMPANIES)] == [two]
    assert api.get(f"/records/{COMPANIES}/{one}").status_code == 404


def test_the_delay_is_adjustable(api: Client) -> None:
    """Section 14.4."""
    api.server.switch("bulk_delay", 0)
    record_id = api.new(COMPANIES, name="One")
    bulk(api, "bulk-archive-entity-record", record_ids=[record_id])

    assert api.search(COMPANIES) == []


def test_the_bulk_routes_take_the_uuid_only(api: Client) -> None:
    """Section 2.1: the schema endpoints that write take the UUID only."""
    answer = api.post(f"/custom-objects/{COMPANIES}/bulk-archive-entity-record", {"record_ids": []})

    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("body", "code"), [({}, "required"), ({"record_ids": "x"}, "invalid"), ({"record_ids": ["x"]}, "invalid")]
)
def test_record_ids_are_checked(api: Client, body: dict[str, Any], code: str) -> None:
    answer = bulk(api, "bulk-archive-entity-record", **body)

    assert (answer.status_code, answer.json()["record_ids"][0]["code"]) == (400, code)


@pytest.mark.parametrize("status", [409, 400])
def test_a_write_to_a_record_that_is_being_archived(api: Client, clock: Clock, status: int) -> None:
    """C6: 409 code conflict for a concurrent archive in one source, only 400 in the other."""
    api.server.switch("archive_race", status)
    record_id = api.new(COMPANIES, name="One")
    bulk(api, "bulk-archive-entity-record", record_ids=[record_id])
    answer = api.write(COMPANIES, record_id, name="Two")

    assert (answer.status_code, answer.json()["code"]) == (status, "conflict")
    clock.advance(2)
    assert api.write(COMPANIES, record_id, name="Two").status_code == 404


def test_bulk_change_takes_effect_later(api: Client, clock: Clock) -> None:
    """A GET that follows may show the old value for about 1.5 s; then `updated` has moved."""
    record_id = api.new(COMPANIES, name="One")
    before = api.read(COMPANIES, record_id)

    assert change(api, [record_id], "name", "Two").status_code == 200
    assert api.read(COMPANIES, record_id) == before
    clock.advance(1.5)
    after = api.read(COMPANIES, record_id)
    assert after["name"] == "Two"
    assert after["updated"] > before["updated"]


def test_an_option_is_given_by_its_bare_id(api: Client, clock: Clock) -> None:
    """field_value is a bare scalar: the option's uuid as a string, not an object."""
    field = api.server.add_field(COMPANIES, "Color", "dropdown", options=["Red"])
    record_id = api.new(COMPANIES, name="One")
    red = field.options[0].id

    assert change(api, [record_id], "color", {"id": red}).status_code == 400
    assert change(api, [record_id], "color", red).status_code == 200
    clock.advance(2)
    assert api.read(COMPANIES, record_id)["color"]["name"] == "Red"


@pytest.mark.parametrize(
    ("resolution", "held", "given", "after"),
    [
        ("overwrite", "old", "new", "new"),
        ("overwrite", "old", None, None),
        ("overwrite_except_null", "old", None, "old"),
        ("overwrite_except_null", "old", "new", "new"),
        ("update_if_blank", "old", "new", "old"),
        ("update_if_blank", None, "new", "new"),
        ("add_only", "old", "new", "old"),
        ("remove_only", "old", "old", None),
        ("remove_only", "old", "new", "old"),
    ],
)
def test_field_resolution(
    api: Client, clock: Clock, resolution: str, held: str | None, given: str | None, after: str | None
) -> None:
    """The five resolutions."""
    api.server.add_field(COMPANIES, "Motto", "text")
    record_id = api.server.add_record(COMPANIES, name="One", motto=held)
    assert change(api, [record_id], "motto", given, field_resolution=resolution).status_code == 200
    clock.advance(2)

    assert api.server.record(record_id).get("motto") == after


def test_tags_are_added_and_removed(api: Client, clock: Clock) -> None:
    """tags_to_add and tags_to_remove."""
    field = api.server.add_field(COMPANIES, "Labels", "dynamictags", options=["A", "B"])
    a, b = (option.id for option in field.options)
    record_id = api.server.add_record(COMPANIES, name="One", labels=["A"])
    body: dict[str, Any] = {"record_ids": [record_id], "field_id": field.id, "tags_to_add": [b], "tags_to_remove": [a]}
    assert bulk(api, "bulk-change-field-value", **body).status_code == 200
    clock.advance(2)

    assert api.server.record(record_id)["labels"] == ("B",)


@pytest.mark.parametrize(
    ("field", "more", "status", "key"),
    [
        ("name", {"field_resolution": "x"}, 400, "field_resolution"),
        ("name", {"field_value": 5}, 400, "field_value"),
        ("created", {}, 403, "detail"),
    ],
)
def test_bulk_change_is_checked_before_it_is_accepted(
    api: Client, field: str, more: dict[str, Any], status: int, key: str
) -> None:
    field_id = api.server.field(COMPANIES, field).id
    body = {"record_ids": [], "field_id": field_id, "field_value": "x", **more}
    answer = bulk(api, "bulk-change-field-value", **body)

    assert answer.status_code == status
    assert key in answer.json()
    assert bulk(api, "bulk-change-field-value", record_ids=[]).json()["field_id"][0]["code"] == "required"


def test_progress(api: Client, clock: Clock) -> None:
    """One row a call with status and counts; started_at is rewritten when work begins; failures are reported."""
    one, two = api.new(COMPANIES, name="One"), api.new(COMPANIES, name="Two")
    bulk(api, "bulk-archive-entity-record", record_ids=[one, two])
    api.server.archive(two)
    before = api.get("/bulk-action-progress").json()["results"][0]
    clock.advance(2)
    row = api.get(f"/bulk-action-progress/{before['id']}").json()

    assert (before["status"], before["pending_count"]) == ("queued", 2)
    assert (row["status"], row["success_count"], row["failed_count"], row["pending_count"]) == ("completed", 1, 1, 0)
    assert row["failure_report"][0]["record_id"] == two
    assert row["started_at"] > before["started_at"]
    assert row["custom_object_id"] == api.server.object(COMPANIES).id


def test_progress_is_filtered(api: Client, clock: Clock) -> None:
    """By custom_object_id, action, completed, started_after."""
    api.new(CONTACTS, email="ann@example.com")
    bulk(api, "bulk-archive-entity-record", record_ids=[])

    def count(**query: str) -> int:
        return int(api.get("/bulk-action-progress", **query).json()["count"])

    assert count(custom_object_id=api.server.object(COMPANIES).id) == 1
    assert count(custom_object_id=api.server.object(CONTACTS).id) == 0
    assert (count(action="bulk_archive"), count(action="bulk_change")) == (1, 0)
    assert (count(completed="true"), count(completed="false")) == (0, 1)
    assert (count(started_after="2026-01-01T00:00:00Z"), count(started_after="2027-01-01T00:00:00Z")) == (1, 0)
    assert api.get("/bulk-action-progress", started_after="soon").status_code == 400
    assert api.get("/bulk-action-progress/nope").status_code == 404


def test_bulk_change_makes_no_duplicates(api: Client, clock: Clock) -> None:
    """Section 4: unique emails hold for bulk calls too; the rest of the job goes on."""
    one = api.new(CONTACTS, email="one@example.com")
    two = api.new(CONTACTS, email="two@example.com")
    field_id = api.server.field(CONTACTS, "email").id
    body = {"record_ids": [one, two], "field_id": field_id, "field_value": "same@example.com"}
    assert bulk(api, "bulk-change-field-value", CONTACTS, **body).status_code == 200
    clock.advance(2)

    assert [row["email"] for row in api.server.records(CONTACTS)] == ["same@example.com", "two@example.com"]
    assert api.get("/bulk-action-progress").json()["results"][0]["failed_count"] == 1
