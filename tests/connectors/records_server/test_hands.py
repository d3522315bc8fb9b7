"""The Python handle: what a person does in the interface, the request log, seeds, switches, several threads."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.kizen.server import RecordsServer, describe
from tests.connectors.records_server.client import COMPANIES, CONTACTS, Client, Clock

SEED = {
    "business": {"name": "Acme", "timezone": "Asia/Kolkata", "phone_region": "DE"},
    "team": [{"email": "ann@example.com", "first_name": "Ann"}],
    "objects": [
        {
            "object_name": "Deals",
            "object_type": "pipeline",
            "stages": [{"name": "New"}, {"name": "Won", "status": "won", "percentage": 100}],
            "fields": [
                {"display_name": "Contract", "field_type": "dropdown", "options": ["Yearly", "Monthly"]},
                {
                    "display_name": "Company",
                    "field_type": "relationship",
                    "relation": {"to": COMPANIES, "type": "primary", "related_name": "Deals"},
                },
            ],
        }
    ],
    "fields": {CONTACTS: [{"display_name": "Score", "field_type": "decimal"}]},
    "records": {
        COMPANIES: [{"name": "Bolt"}, {"name": "Gone", "archived": True}],
        CONTACTS: [
            {
                "email": "bo@example.com",
                "company_primary": "Bolt",
                "tags": ["VIP"],
                "score": "1.50",
                "mobile_phone": "030 123456",
            }
        ],
        "deals": [{"name": "First", "company": "bolt", "stage": "Won", "owner": "ann@example.com", "contract": "Yearly"}],
    },
    "workflows": [{"object": CONTACTS, "when": "score", "set": "first_name", "value": "Scored"}],
}


def test_a_person_reads_what_they_wrote(server: RecordsServer) -> None:
    """Options, tags and stages by label, owners by email, relations by id; blanks left out."""
    server.add_employee("ann@example.com")
    server.add_field(COMPANIES, "Kind", "dropdown", options=["Small", "Large"])
    server.add_field(COMPANIES, "Worth", "money")
    company = server.add_record(COMPANIES, name="Acme", kind="large", worth=Decimal("10.50"), owner="ann@example.com")
    contact = server.add_record(CONTACTS, email="bo@example.com", company_primary="Acme")
    record = server.record(company)

    assert (record["kind"], record["worth"], record["owner"]) == ("Large", Decimal("10.50"), "ann@example.com")
    assert record["contacts"] == (contact,)
    assert server.record(contact)["company_primary"] == company
    assert server.records(CONTACTS) == [server.record(contact)]


def test_a_person_archives_and_restores(server: RecordsServer) -> None:
    record_id = server.add_record(COMPANIES, name="Acme")
    server.archive(record_id)
    assert (server.records(COMPANIES), len(server.records(COMPANIES, archived=True))) == ([], 1)
    server.unarchive(record_id)
    assert len(server.records(COMPANIES)) == 1


def test_a_person_is_asked_about_an_archived_twin(server: RecordsServer) -> None:
    """Section 5.11: restore it under its id, or make a new record."""
    old = server.add_record(CONTACTS, email="ann@example.com", first_name="Ann")
    server.archive(old)
    assert server.add_record(CONTACTS, email="ann@example.com", last_name="Lee") == old
    assert (server.record(old)["first_name"], server.record(old)["last_name"]) == ("Ann", "Lee")
    server.archive(old)
    assert server.add_record(CONTACTS, email="ann@example.com", on_archived="overwrite") != old


def test_a_person_is_not_bound_by_the_api_users_permissions(server: RecordsServer) -> None:
    """What the API refuses, the interface does."""
    record_id = server.add_record(COMPANIES, name="Acme")
    server.permit(record_id, visible=False, editable=False)
    server.change_field(COMPANIES, "name", read_only=True)
    server.switch("null_clears", False)
    server.edit(record_id, name="Bolt", owner=None)

    assert server.record(record_id)["name"] == "Bolt"


@pytest.mark.parametrize("form", ["any", "bare", "object"])
def test_a_person_is_not_bound_by_the_wire_forms(server: RecordsServer, form: str) -> None:
    """C4 is about the API."""
    server.switch("option_write", form)
    server.add_field(COMPANIES, "Kind", "dropdown", options=["Small"])

    assert server.record(server.add_record(COMPANIES, name="Acme", kind="Small"))["kind"] == "Small"


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda server: server.add_record("nope", name="x"), "no object 'nope'"),
        (lambda server: server.add_record(COMPANIES, nope="x"), "no field 'nope'"),
        (lambda server: server.add_record(CONTACTS, email="x"), "client_client.email"),
        (lambda server: server.add_record(COMPANIES), "required"),
        (lambda server: server.add_record(COMPANIES, name="x", created="y"), "computed"),
        (lambda server: server.edit("nope", name="x"), "no record 'nope'"),
        (lambda server: server.switch("nope", 1), "no switch 'nope'"),
        (lambda server: server.switch("put", "x"), "one of partial, replace"),
        (lambda server: server.switch("rate", "fast"), "a number"),
        (lambda server: server.switch("rate", -1), "at least 0"),
        (lambda server: server.switch("team_visible", "perhaps"), "true or false"),
        (lambda server: server.add_field(COMPANIES, "X", "color"), "no field type 'color'"),
    ],
)
def test_mistakes_are_named(server: RecordsServer, act: Callable[[RecordsServer], Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        act(server)


def test_a_duplicate_contact_is_refused_in_the_interface_too(server: RecordsServer) -> None:
    server.add_record(CONTACTS, email="ann@example.com")
    with pytest.raises(ValueError, match="unique"):
        server.add_record(CONTACTS, email="Ann@example.com")


def test_every_switch_is_described() -> None:
    """Name, values, default, source, meaning; C1 to C10 are all there."""
    listed = describe()

    assert {f"C{number}" for number in range(1, 11)} <= {one.source for one in listed}
    assert all(one.meaning and one.source and one.values for one in listed)


# The request log


def test_the_log_counts_what_came_in(api: Client, clock: Clock) -> None:
    """Number, time, method, path, status, action, object, write, changed; never a header or a body."""
    record_id = api.new(COMPANIES, name="Acme")
    clock.advance(1)
    api.write(COMPANIES, record_id, name="Acme")
    api.search(COMPANIES, page_size=5)
    api.get(f"/records/{api.server.object(COMPANIES).id}/{record_id}")
    log = list(api.server.requests)

    assert [(one.number, one.action, one.object, one.status, one.write, one.changed) for one in log] == [
        (1, "add", COMPANIES, 201, True, 1),
        (2, "patch", COMPANIES, 200, True, 0),
        (3, "search", COMPANIES, 200, False, 0),
        (4, "get", COMPANIES, 200, False, 0),
    ]
    assert log[2].query == "page_size=5"
    assert (log[1].at - log[0].at).total_seconds() == 1
    assert [one.number for one in api.server.requests.writes()] == [1, 2]
    assert [one.number for one in api.server.requests.select(action="search", after=1)] == [3]
    assert api.server.credentials.api_key not in repr(log)


def test_the_log_knows_lost_and_wrong_requests(api: Client) -> None:
    """A cut connection has status 0; a wrong path has no action."""
    api.server.fault("reset", committed=True)
    with pytest.raises(Exception, match="reset"):
        api.add(COMPANIES, {"name": "Acme"})
    api.get("/nope")
    lost, wrong = api.server.requests[0], api.server.requests[1]

    assert (lost.status, lost.fault, lost.changed, lost.write) == (0, "reset", 1, True)
    assert (wrong.status, wrong.action) == (404, "")


def test_credentials_hide_the_key(server: RecordsServer) -> None:
    assert server.credentials.api_key not in repr(server.credentials)


# Seeds


def test_a_seed_document(start: Callable[..., Client], tmp_path: Path) -> None:
    """The format of `seed`, from a mapping or a file."""
    path = tmp_path / "seed.json"
    path.write_text(json.dumps(SEED), encoding="utf-8")
    for api in (start(data=SEED), start(data=path)):
        deal = api.search("deals")[0]
        contact = api.server.records(CONTACTS)[0]

        assert (deal["stage"]["name"], deal["company"]["name"], deal["owner"]["first_name"]) == ("Won", "Bolt", "Ann")
        assert (contact["tags"], contact["score"]) == (("VIP",), Decimal("1.50"))
        assert "first_name" not in contact, "workflows begin when the seed is in"
        api.server.edit(contact["id"], score=2)
        assert api.server.record(contact["id"])["first_name"] == "Scored"
        assert contact["mobile_phone"] == "+4930123456"
        assert deal["created"].endswith("+05:30")
        assert [one["name"] for one in api.server.records(COMPANIES, archived=True)] == ["Gone"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"people": 3}, "the document has people"),
        ({"records": {COMPANIES: [{"name": "x"}, {"nope": 1}]}}, "no field 'nope'"),
        ({"records": {CONTACTS: [{"email": "x"}]}}, r"records.client_client\[0\]: client_client.email"),
        ({"objects": [{"object_name": "X", "color": 1}]}, "color"),
        ({"business": {"planet": "Mars"}}, "planet"),
    ],
)
def test_mistakes_in_a_seed_are_named(document: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RecordsServer(data=document)


def test_generated_people_are_the_same_for_the_same_seed() -> None:
    """Contacts with companies, unique emails; another seed, other people."""
    one, two, other = RecordsServer(people=60), RecordsServer(people=60), RecordsServer(people=60, seed=5)

    def mails(server: RecordsServer) -> list[str]:
        return [contact["email"] for contact in server.records(CONTACTS)]

    assert mails(one) == mails(two) != mails(other)
    assert [row["id"] for row in one.records(CONTACTS)] == [row["id"] for row in two.records(CONTACTS)]
    assert len(set(mails(one))) == 60
    assert all("company_primary" in contact for contact in one.records(CONTACTS))
    one.add_people(40)
    assert len(set(mails(one))) == 100


# Life


def test_it_comes_back_at_the_same_address(api: Client) -> None:
    """An outage: nothing answers, then the same records do."""
    api.new(COMPANIES, name="Acme")
    api.server.stop()
    with pytest.raises(Exception, match="refused"):
        api.search(COMPANIES)
    api.server.start()

    assert api.names(COMPANIES) == ["Acme"]


def test_a_taken_address_is_an_error(server: RecordsServer) -> None:
    with pytest.raises(OSError, match="in use"):
        RecordsServer(port=server.port).bind()


def test_it_serves_several_threads(api: Client) -> None:
    """Writes from many callers and edits from a person at once: none is lost, no two share an instant."""
    record_id = api.new(COMPANIES, name="Acme")

    def call(number: int) -> None:
        for step in range(10):
            api.write(COMPANIES, record_id, name=f"{number}.{step}")
            api.server.add_record(COMPANIES, name=f"{number}-{step}")

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stamps = [row["updated"] for row in api.search(COMPANIES)]

    assert len(api.server.requests.writes()) == 41
    assert len(set(stamps)) == 41
