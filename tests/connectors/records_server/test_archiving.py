"""Sections 5.7, 5.9, 5.10 and 5.11 of records-api.md: archive, restore, upsert, archived-record conflicts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.connectors.records_server.client import COMPANIES, CONTACTS, Client, clause, named

CONFLICT = {
    "non_field_errors": [{"message": "An archived record with this identifier exists.", "code": "conflict"}],
    "fields": [],
}


def upsert(api: Client, object: str, value: str, values: dict[str, Any] | None = None, **more: Any) -> Any:
    body = {"lookup_value": value, **({} if values is None else {"fields": api.entries(object, values)}), **more}
    return api.post(f"/records/{object}/upsert", body)


def test_delete_archives(api: Client) -> None:
    """Section 5.7: 204, empty; GET gives 404, search omits it, a second DELETE gives 404."""
    record_id = api.new(COMPANIES, name="Acme")
    answer = api.http.delete(f"/records/{COMPANIES}/{record_id}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert api.get(f"/records/{COMPANIES}/{record_id}").status_code == 404
    assert api.search(COMPANIES) == []
    assert api.http.delete(f"/records/{COMPANIES}/{record_id}").status_code == 404
    assert api.write(COMPANIES, record_id, name="Bolt").status_code == 404


def test_archiving_writes_no_progress_row(api: Client) -> None:
    """Section 5.7."""
    api.http.delete(f"/records/{COMPANIES}/{api.new(COMPANIES, name='Acme')}")

    assert api.get("/bulk-action-progress").json()["count"] == 0


def test_unarchive_restores_the_same_id_with_its_values(api: Client) -> None:
    """Section 5.9: no body; 200; visible in search again."""
    record_id = api.new(CONTACTS, email="ann@example.com", first_name="Ann")
    api.server.archive(record_id)
    answer = api.http.patch(f"/records/{CONTACTS}/{record_id}/unarchive")

    assert (answer.status_code, answer.json()["id"], answer.json()["action"]) == (200, record_id, "unarchived")
    assert api.read(CONTACTS, record_id)["first_name"] == "Ann"
    assert len(api.search(CONTACTS)) == 1


def test_unarchive_of_what_is_not_archived(api: Client) -> None:
    """Section 5.9: 200 or 400; absent is 404."""
    record_id = api.new(COMPANIES, name="Acme")

    assert api.patch(f"/records/{COMPANIES}/{record_id}/unarchive").status_code == 400
    assert api.patch(f"/records/{COMPANIES}/0b8f6d0e-2f7a-4c52-9c6f-3a3c2d6f7a10/unarchive").status_code == 404


def test_unarchive_against_a_live_record_of_the_same_identifier(api: Client) -> None:
    """Sections 4 and 5.9: what is unique cannot come back while another holds it: 400."""
    old = api.new(COMPANIES, name="Acme")
    api.server.archive(old)
    twin = api.new(COMPANIES, name="Bolt")
    api.server.switch("archived_match", "exact")
    api.server.edit(twin, name="ACME")
    api.server.switch("enforce_unique_names", True)
    answer = api.patch(f"/records/{COMPANIES}/{old}/unarchive")

    assert (answer.status_code, answer.json()["code"]) == (400, "conflict")
    api.server.archive(twin)
    assert api.patch(f"/records/{COMPANIES}/{old}/unarchive").status_code == 200


@pytest.mark.parametrize("bumps", [True, False])
def test_whether_restoring_counts_as_updated(api: Client, bumps: bool) -> None:
    """Section 15.6: not documented: switch."""
    api.server.switch("unarchive_bumps_updated", bumps)
    record_id = api.new(COMPANIES, name="Acme")
    before = api.read(COMPANIES, record_id)["updated"]
    api.server.archive(record_id)
    api.patch(f"/records/{COMPANIES}/{record_id}/unarchive")

    assert (api.read(COMPANIES, record_id)["updated"] > before) is bumps


# Add against an archived record


@pytest.mark.parametrize("choice", [{}, {"unarchive": None}, {"unarchive": "prompt"}])
def test_prompt_is_the_default_and_writes_nothing(api: Client, choice: dict[str, Any]) -> None:
    """Sections 5.11 and 14.7: 400 with the suggested body."""
    api.server.archive(api.new(COMPANIES, name="Acme"))
    answer = api.add(COMPANIES, {"name": "acme"}, **choice)

    assert (answer.status_code, answer.json()) == (400, CONFLICT)
    assert api.server.records(COMPANIES) == []


def test_unarchive_restores_under_the_same_id(api: Client) -> None:
    """Section 5.11: action unarchived; archived values stay, only blanks take the new data."""
    old = api.new(CONTACTS, email="ann@example.com", first_name="Ann")
    api.server.archive(old)
    answer = api.add(CONTACTS, {"email": "ann@example.com", "first_name": "Bo", "last_name": "Lee"}, unarchive="unarchive")

    assert (answer.status_code, answer.json()["id"], answer.json()["action"]) == (201, old, "unarchived")
    assert (api.read(CONTACTS, old)["first_name"], api.read(CONTACTS, old)["last_name"]) == ("Ann", "Lee")


@pytest.mark.parametrize(("mode", "first", "last"), [("overwrite", "Bo", "Lee"), ("ignore", "Ann", None)])
def test_what_becomes_of_the_values_when_restored(api: Client, mode: str, first: str, last: str | None) -> None:
    """Section 5.11: unknown for the API: switch."""
    api.server.switch("unarchive_values", mode)
    old = api.new(CONTACTS, email="ann@example.com", first_name="Ann")
    api.server.archive(old)
    api.add(CONTACTS, {"email": "ann@example.com", "first_name": "Bo", "last_name": "Lee"}, unarchive="unarchive")

    assert (api.read(CONTACTS, old)["first_name"], api.read(CONTACTS, old).get("last_name")) == (first, last)


@pytest.mark.parametrize(("object", "key", "value"), [(COMPANIES, "name", "Acme"), (CONTACTS, "email", "ann@example.com")])
def test_overwrite_creates_a_new_record_and_moves_the_archived_one_aside(api: Client, object: str, key: str, value: str) -> None:
    """Section 5.11: create despite the archived one, whose identifier is changed out of the way."""
    old = api.new(object, **{key: value})
    api.server.archive(old)
    answer = api.add(object, {key: value}, unarchive="overwrite").json()

    assert answer["action"] == "created"
    assert answer["id"] != old
    assert api.server.record(old)[key] != value
    assert api.patch(f"/records/{object}/{old}/unarchive").status_code == 200


def test_archived_names_may_be_compared_exactly(api: Client) -> None:
    """Section 5.11: exact in the UI, iexact in upsert: switch."""
    api.server.switch("archived_match", "exact")
    api.server.archive(api.new(COMPANIES, name="Acme"))

    assert api.add(COMPANIES, {"name": "acme"}).status_code == 201
    assert api.add(COMPANIES, {"name": "Acme"}).status_code == 400


def test_an_unknown_choice_is_refused(api: Client) -> None:
    """Sections 5.4, 5.5 and 5.10: the enums."""
    record_id = api.new(COMPANIES, name="Acme")
    entries = api.entries(COMPANIES, {"name": "B"})

    assert api.add(COMPANIES, {"name": "B"}, unarchive="maybe").status_code == 400
    assert (
        api.patch(f"/records/{COMPANIES}/{record_id}", {"fields": entries, "archived_conflict": "unarchive"}).status_code == 400
    )
    assert upsert(api, COMPANIES, "B", oncreate_unarchive="x").status_code == 400
    assert upsert(api, COMPANIES, "B", onupdate_archived_conflict="prompt").status_code == 400


# Update against an archived record


def test_renaming_to_the_name_of_an_archived_record(api: Client) -> None:
    """Sections 5.5 and 5.11: 400 unless archived_conflict is overwrite, which rewrites the archived identifier."""
    old, live = api.new(COMPANIES, name="Acme"), api.new(COMPANIES, name="Bolt")
    api.server.archive(old)
    entries = api.entries(COMPANIES, {"name": "Acme"})

    assert api.patch(f"/records/{COMPANIES}/{live}", {"fields": entries}).json() == CONFLICT
    body = {"fields": entries, "archived_conflict": "overwrite"}
    assert api.patch(f"/records/{COMPANIES}/{live}", body).status_code == 200
    assert api.server.record(old)["name"] != "Acme"


def test_writing_ones_own_name_again_is_no_conflict(api: Client) -> None:
    """Section 5.11: only a new identifier can collide."""
    live, twin = api.new(COMPANIES, name="Acme"), api.new(COMPANIES, name="Acme")
    api.server.archive(twin)

    assert api.write(COMPANIES, live, name="Acme").status_code == 200


# Upsert


def test_upsert_creates_with_the_lookup_value_as_name(api: Client) -> None:
    """Section 5.10: 201 created; `name` equals lookup_value."""
    answer = upsert(api, COMPANIES, "Acme")

    assert (answer.status_code, answer.json()["action"]) == (201, "created")
    assert api.names(COMPANIES) == ["Acme"]


def test_upsert_updates_in_place(api: Client) -> None:
    """Section 5.10: 200 updated, the same id; case is ignored."""
    record_id = api.new(CONTACTS, email="ann@example.com")
    answer = upsert(api, CONTACTS, "ANN@example.com", {"first_name": "Ann", "email": "ann@example.com"})

    assert (answer.status_code, answer.json()["id"], answer.json()["action"]) == (200, record_id, "updated")
    assert api.read(CONTACTS, record_id)["first_name"] == "Ann"


@pytest.mark.parametrize(("mode", "name"), [("always", "ACME"), ("create", "Acme")])
def test_the_injected_lookup_field_is_written_too(api: Client, mode: str, name: str) -> None:
    """Section 5.10: the lookup field is injected if absent; whether an update writes it is open: switch."""
    api.server.switch("upsert_injects", mode)
    api.new(COMPANIES, name="Acme")
    upsert(api, COMPANIES, "ACME")

    assert api.names(COMPANIES) == [name]


def test_upsert_takes_the_first_of_several(api: Client) -> None:
    """Section 5.10: first match wins."""
    first = api.new(COMPANIES, name="Acme")
    api.new(COMPANIES, name="Acme")

    assert upsert(api, COMPANIES, "Acme").json()["id"] == first


def test_upsert_does_not_collapse_blanks(api: Client) -> None:
    """Section 5.10: iexact, nothing else."""
    first = api.new(COMPANIES, name="Acme Tools")

    assert upsert(api, COMPANIES, "Acme  Tools").json()["id"] != first


@pytest.mark.parametrize("value", [None, "", 5])
def test_upsert_requires_a_lookup_value(api: Client, value: Any) -> None:
    """Section 5.10: string, min length 1, required."""
    answer = api.post(f"/records/{COMPANIES}/upsert", {"lookup_value": value, "fields": []})

    assert (answer.status_code, answer.json()["lookup_value"][0]["code"]) == (400, "required")


def test_a_lookup_value_that_does_not_fit_its_field(api: Client) -> None:
    """Section 2.3: by body key, because it stands at no position of `fields`."""
    answer = upsert(api, CONTACTS, "no email", {"first_name": "Ann"})

    assert (answer.status_code, answer.json()["lookup_value"][0]["code"]) == (400, "invalid")


def test_upsert_against_an_archived_record(api: Client) -> None:
    """Sections 5.10 and 5.11: prompt 400, unarchive 201 with the same id, overwrite 201 with a new one."""
    old = api.new(COMPANIES, name="Acme")
    api.server.archive(old)

    assert upsert(api, COMPANIES, "Acme").json() == CONFLICT
    back = upsert(api, COMPANIES, "Acme", oncreate_unarchive="unarchive")
    assert (back.status_code, back.json()["id"], back.json()["action"]) == (201, old, "unarchived")
    api.server.archive(old)
    fresh = upsert(api, COMPANIES, "Acme", oncreate_unarchive="overwrite")
    assert (fresh.status_code, fresh.json()["action"]) == (201, "created")
    assert fresh.json()["id"] != old


def test_upsert_that_renames_onto_an_archived_record(api: Client) -> None:
    """Section 5.10: onupdate_archived_conflict overwrite rewrites the archived identifier."""
    old, live = api.new(COMPANIES, name="Acme"), api.new(COMPANIES, name="Bolt")
    api.server.archive(old)

    assert upsert(api, COMPANIES, "Bolt", {"name": "Acme"}).json() == CONFLICT
    answer = upsert(api, COMPANIES, "Bolt", {"name": "Acme"}, onupdate_archived_conflict="overwrite")
    assert (answer.status_code, answer.json()["id"]) == (200, live)


def test_upsert_returns_all_fields_on_request(api: Client) -> None:
    """Section 5.10."""
    body = {"lookup_value": "Acme", "fields": []}
    answer = api.post(f"/records/{COMPANIES}/upsert", body, return_all_fields="true").json()

    assert {"name", "owner", "created", "updated"} <= set(named(answer))


def test_upsert_of_contacts_by_field_names_may_be_refused(api: Client) -> None:
    """Section 5.10: the name-keyed 403 risk: switch."""
    body = {"lookup_value": "ann@example.com", "fields": [{"name": "first_name", "value": "Ann"}]}

    assert api.post(f"/records/{CONTACTS}/upsert", body).status_code == 201
    api.server.switch("contact_upsert_by_name", "refused")
    assert api.post(f"/records/{CONTACTS}/upsert", body).status_code == 403


def test_upsert_obeys_record_permissions(api: Client) -> None:
    """Section 5.10: permissions apply."""
    api.server.permit(api.new(COMPANIES, name="Acme"), editable=False)

    assert upsert(api, COMPANIES, "Acme", {"name": "Acme"}).status_code == 403


# `updated`


def test_updated_moves_with_every_effective_write_and_created_stays(api: Client) -> None:
    """Section 14.5: strictly increasing, microseconds, even while the clock stands still."""
    record_id = api.new(COMPANIES, name="Acme")
    first = api.read(COMPANIES, record_id)
    seen = [first["updated"]]
    for name in ("Bolt", "Coil", "Dock"):
        api.write(COMPANIES, record_id, name=name)
        seen.append(api.read(COMPANIES, record_id)["updated"])

    assert seen == sorted(set(seen))
    assert api.read(COMPANIES, record_id)["created"] == first["created"]


@pytest.mark.parametrize("bumps", [True, False])
def test_a_write_that_changes_nothing(api: Client, bumps: bool) -> None:
    """Sections 14.5 and 15.6: whether a no-op moves `updated` is not documented: switch."""
    api.server.switch("noop_bumps_updated", bumps)
    record_id = api.new(COMPANIES, name="Acme")
    before = api.read(COMPANIES, record_id)["updated"]
    api.write(COMPANIES, record_id, name="Acme")

    assert (api.read(COMPANIES, record_id)["updated"] > before) is bumps


def test_the_incremental_pull(api: Client, clock: Any) -> None:
    """Section 5.3: `updated` >= a moment finds what changed since, archived records never."""
    old, changed, gone = (api.new(COMPANIES, name=name) for name in ("Old", "Changed", "Gone"))
    clock.advance(60)
    moment = clock().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    clock.advance(60)
    api.write(COMPANIES, changed, name="Changed more")
    api.server.archive(gone)

    assert api.names(COMPANIES, clause("updated", ">=", moment)) == ["Changed more"]
    assert old in {row["id"] for row in api.search(COMPANIES)}
