"""Sections 10 and 11 of records-api.md: search that lags, and workflows that write after us."""

from __future__ import annotations

from typing import Any

import pytest

from tests.connectors.records_server.client import COMPANIES, CONTACTS, Client, Clock, clause, named


def test_search_lags_by_seconds(api: Client, clock: Clock) -> None:
    """A created record is there by id at once, in search later."""
    api.server.switch("search_lag", 10)
    record_id = api.new(COMPANIES, name="Acme")

    assert api.read(COMPANIES, record_id)["name"] == "Acme"
    assert api.search(COMPANIES) == []
    clock.advance(9)
    assert api.search(COMPANIES) == []
    clock.advance(1)
    assert api.names(COMPANIES) == ["Acme"]


def test_search_lags_by_searches(api: Client) -> None:
    """For tests without a clock: so many searches still see the old state."""
    api.server.switch("search_lag_searches", 2)
    api.new(COMPANIES, name="Acme")

    assert [len(api.search(COMPANIES)) for _ in range(4)] == [0, 0, 1, 1]


def test_a_lagging_search_shows_old_values_and_archived_records(api: Client, clock: Clock) -> None:
    """Membership and values both come from the index; several writes arrive one by one."""
    one, two = api.new(COMPANIES, name="One"), api.new(COMPANIES, name="Two")
    api.server.switch("search_lag", 10)
    api.write(COMPANIES, one, name="One b")
    clock.advance(5)
    api.write(COMPANIES, one, name="One c")
    api.server.archive(two)

    assert api.names(COMPANIES) == ["One", "Two"]
    assert api.names(COMPANIES, clause("name", "=", "One c")) == []
    clock.advance(5)
    assert api.names(COMPANIES) == ["One b", "Two"]
    clock.advance(5)
    assert api.names(COMPANIES) == ["One c"]


def test_a_late_change_has_an_older_timestamp(api: Client, clock: Clock) -> None:
    """The hazard of cursors: a row appears in search with an `updated` before what was read already."""
    api.server.switch("search_lag", 10)
    early = api.new(COMPANIES, name="Early")
    clock.advance(5)
    api.server.switch("search_lag", 0)
    late = api.new(COMPANIES, name="Late")
    first = api.search(COMPANIES)
    clock.advance(10)
    second = api.search(COMPANIES)

    assert [row["id"] for row in first] == [late]
    assert {row["id"] for row in second} == {early, late}
    assert api.read(COMPANIES, early)["updated"] < first[0]["updated"]


def test_lookup_and_get_do_not_lag(api: Client) -> None:
    """Section 11: read-your-writes on single records."""
    api.server.switch("search_lag", 10)
    api.new(COMPANIES, name="Acme")

    assert api.get(f"/records/{COMPANIES}/lookup", identifier="Acme").status_code == 200
    assert api.post(f"/records/{COMPANIES}/upsert", {"lookup_value": "Acme"}).json()["action"] == "updated"


# Workflows


def test_a_workflow_changes_another_field_after_the_write(api: Client) -> None:
    """Section 10, echo risk: `updated` moves again after the answer was made."""
    api.server.add_workflow(CONTACTS, when="email", set="last_name", value="Checked")
    answer = api.add(CONTACTS, {"email": "ann@example.com"}).json()
    record = api.read(CONTACTS, answer["id"])

    assert "last_name" not in named(answer)
    assert record["last_name"] == "Checked"
    assert record["updated"] > named(answer)["updated"]


def test_a_workflow_fires_when_its_field_changes_only(api: Client) -> None:
    """Trigger field_updated, per field."""
    api.server.add_workflow(CONTACTS, when="email", set="last_name", value="Checked", on_create=False)
    record_id = api.new(CONTACTS, email="ann@example.com")
    api.write(CONTACTS, record_id, first_name="Ann")
    assert "last_name" not in api.read(CONTACTS, record_id)
    api.write(CONTACTS, record_id, email="ann@example.com")
    assert "last_name" not in api.read(CONTACTS, record_id)
    api.write(CONTACTS, record_id, email="ann2@example.com")

    assert api.read(CONTACTS, record_id)["last_name"] == "Checked"


def test_a_workflow_may_take_its_time(api: Client, clock: Clock) -> None:
    """Workflows run asynchronously."""
    api.server.add_workflow(CONTACTS, when="first_name", set="last_name", copy_of="first_name", delay=20)
    record_id = api.new(CONTACTS, email="ann@example.com", first_name="Ann")
    before = api.read(CONTACTS, record_id)
    clock.advance(20)
    after = api.read(CONTACTS, record_id)

    assert "last_name" not in before
    assert (after["last_name"], after["updated"] > before["updated"]) == ("Ann", True)


def test_workflows_fire_for_people_too_and_not_for_each_other(api: Client) -> None:
    """Edits in the interface trigger them; two that would chase each other stop after one step."""
    api.server.add_workflow(CONTACTS, when="first_name", set="last_name", value="A")
    api.server.add_workflow(CONTACTS, when="last_name", set="first_name", value="B")
    record_id = api.server.add_record(CONTACTS, email="ann@example.com")
    api.server.edit(record_id, first_name="Ann")

    assert api.read(CONTACTS, record_id)["first_name"] == "Ann"
    assert api.read(CONTACTS, record_id)["last_name"] == "A"


@pytest.mark.parametrize("wrong", [{"when": "nope", "set": "email"}, {"set": "nope"}, {"set": "email", "speed": 1}])
def test_wrong_workflows_are_refused(api: Client, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"nope|speed"):
        api.server.add_workflow(CONTACTS, **wrong)
