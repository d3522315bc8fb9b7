"""Archived, restored, merged and made anew: what a deletion may do to the other side (failure modes 7 and 12)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from syncengine.engine.report import Exit
from tests.support.records import COMPANIES, CONTACTS, Shop, firms, people

Open = Callable[..., Shop]


def filled(open_shop: Open, policies: str, **options: str) -> Shop:
    """Ada, Bob and Cyd on both sides, in sync."""
    shop = open_shop(people(policies), **options)
    shop.sql(
        "INSERT INTO people (email, first_name) VALUES ('ada@example.com', 'Ada'), ('bob@example.com', 'Bob'), "
        "('cyd@example.com', 'Cyd')"
    )
    shop.sync()
    return shop


def names(shop: Shop) -> tuple[list[str], list[str]]:
    """First names of the live contacts, and of the rows."""
    return sorted(one["first_name"] for one in shop.server.records(CONTACTS)), sorted(name for (name,) in shop.rows("first_name"))


ALL = ["Ada", "Bob", "Cyd"]
TWO = ["Bob", "Cyd"]


@pytest.mark.parametrize(("deletes", "left"), [("ask", ALL), ("propagate", TWO), ("ignore", ALL)])
def test_a_contact_archived_in_the_crm(open_shop: Open, deletes: str, left: list[str]) -> None:
    """The row waits for a word, goes, or stays, as the policy says; no listing brings the contact back."""
    shop = filled(open_shop, f'deletes = "{deletes}"')
    shop.server.archive(shop.contact("ada@example.com")["id"])
    shop.sync()
    assert names(shop) == (TWO, ALL)  # archives are seen by the daily full read
    shop.sweep()
    assert names(shop) == (TWO, left)
    assert shop.actions() == []
    assert len(shop.inbox()) == (1 if deletes == "ask" else 0)
    shop.assert_quiet()
    if deletes == "ask":
        shop.resolve("left")
        assert shop.inbox()[0].why.endswith("(answered: the next sync acts on it)")
        shop.sync()
        assert names(shop) == (TWO, TWO)
        assert shop.inbox() == []
        shop.assert_quiet()


@pytest.mark.parametrize(
    ("deletes", "direction", "left"),
    [("ask", "both", ALL), ("propagate", "both", TWO), ("archive", "right_to_left", TWO), ("ignore", "both", ALL)],
)
def test_a_row_deleted_in_the_office(open_shop: Open, deletes: str, direction: str, left: list[str]) -> None:
    """The contact waits for a word, is archived (never more than that), or stays."""
    shop = filled(open_shop, f'deletes = "{deletes}"\ndirection = "{direction}"')
    shop.sql("DELETE FROM people WHERE first_name='Ada'")
    shop.sync()
    assert names(shop) == (left, TWO)
    assert shop.actions() == (["delete"] if left == TWO else [])
    assert [one["first_name"] for one in shop.server.records(CONTACTS, archived=True)] == (["Ada"] if left == TWO else [])
    assert len(shop.inbox()) == (1 if deletes == "ask" else 0)
    shop.assert_quiet()


def test_a_person_answers_that_the_other_side_stays(open_shop: Open) -> None:
    """Asked about a deletion, a person keeps the record: it is brought back where it went, under its old id."""
    shop = filled(open_shop, 'deletes = "ask"')
    ada = shop.contact("ada@example.com")["id"]
    shop.server.archive(ada)
    shop.sweep()
    shop.resolve("right")
    shop.sync()
    assert shop.actions() == ["unarchive"]
    assert names(shop) == (ALL, ALL)
    assert shop.contact("ada@example.com")["id"] == ada
    shop.assert_quiet()


@pytest.mark.parametrize("deletes", ["ask", "propagate"])
def test_an_edit_survives_the_archive_on_the_other_side(open_shop: Open, deletes: str) -> None:
    """Archived in the CRM while the row was edited: the contact is restored with the edit, and a note says so."""
    shop = filled(open_shop, f'deletes = "{deletes}"')
    ada = shop.contact("ada@example.com")["id"]
    shop.server.archive(ada)
    shop.sql("UPDATE people SET first_name='Augusta' WHERE first_name='Ada'")
    for _ in range(3):
        shop.sweep()
    assert names(shop) == (["Augusta", *TWO], ["Augusta", *TWO])
    assert shop.contact("ada@example.com")["id"] == ada
    shop.assert_quiet()


def test_an_edit_in_the_crm_survives_the_deletion_of_the_row(open_shop: Open) -> None:
    """The row was deleted while the contact was edited: the row comes back with the edit, nothing is archived."""
    shop = filled(open_shop, 'deletes = "propagate"')
    shop.sql("DELETE FROM people WHERE first_name='Ada'")
    shop.server.edit(shop.contact("ada@example.com")["id"], first_name="Augusta")
    shop.sync()
    assert shop.actions() == []
    assert names(shop) == (["Augusta", *TWO], ["Augusta", *TWO])
    assert [entry.kind for entry in shop.inbox()] == ["edit_survived"]
    shop.assert_quiet()


def test_deleted_on_both_sides_is_over(open_shop: Open) -> None:
    """Both are gone: nothing to do, nothing to ask, and nothing comes back."""
    shop = filled(open_shop, 'deletes = "ask"')
    shop.server.archive(shop.contact("ada@example.com")["id"])
    shop.sql("DELETE FROM people WHERE first_name='Ada'")
    shop.sweep()
    assert names(shop) == (TWO, TWO)
    assert shop.inbox() == []
    shop.assert_quiet()


@pytest.mark.parametrize("deletes", ["ask", "propagate", "ignore"])
def test_an_unarchived_contact_is_kept_the_same_again(open_shop: Open, deletes: str) -> None:
    """Restored in the CRM: it meets its old row, or gets a new one; never two, and nothing is archived again."""
    shop = filled(open_shop, f'deletes = "{deletes}"')
    ada = shop.contact("ada@example.com")["id"]
    shop.server.archive(ada)
    shop.sweep()
    shop.server.unarchive(ada)
    shop.server.edit(ada, first_name="Augusta")
    shop.sync()
    shop.sync()
    assert names(shop) == (["Augusta", *TWO], ["Augusta", *TWO])
    assert shop.server.requests.writes(CONTACTS, after=shop.mark) == []
    assert shop.inbox() == []
    shop.assert_quiet()


def test_a_row_deleted_and_inserted_again_is_the_same_person(open_shop: Open) -> None:
    """The same email under a new row id, in one go: linked anew, nothing archived, nothing created."""
    shop = filled(open_shop, 'deletes = "propagate"')
    ada = shop.contact("ada@example.com")["id"]
    shop.sql(
        "DELETE FROM people WHERE first_name='Ada'", "INSERT INTO people (email, first_name) VALUES ('ada@example.com', 'Ada')"
    )
    shop.sync()
    shop.sync()
    live = shop.server.records(CONTACTS)
    assert names(shop) == (ALL, ALL)
    assert len(live) == 3
    assert shop.contact("ada@example.com")["id"] == ada or [
        one["id"] for one in shop.server.records(CONTACTS, archived=True)
    ] == [ada]
    shop.assert_quiet()


def test_a_contact_archived_and_made_anew_is_the_same_person(open_shop: Open) -> None:
    """The same email under a new contact id: its row stays the only one, and the old contact's deletion does not kill it."""
    shop = filled(open_shop, 'deletes = "propagate"')
    shop.server.archive(shop.contact("ada@example.com")["id"])
    shop.server.add_record(CONTACTS, {"email": "ada@example.com", "first_name": "Ada"}, on_archived="overwrite")
    for _ in range(3):
        shop.sweep()
    assert names(shop) == (ALL, ALL)
    shop.assert_quiet()


def test_two_contacts_merged_in_the_crm(open_shop: Open) -> None:
    """Bob is merged into Ada there: his row is asked about and not deleted, her record follows, nothing is made anew."""
    shop = filled(open_shop, 'deletes = "ask"')
    shop.server.archive(shop.contact("bob@example.com")["id"])
    shop.server.edit(shop.contact("ada@example.com")["id"], last_name="Bob")
    shop.sweep()
    assert names(shop) == (["Ada", "Cyd"], ALL)
    assert shop.value("last_name", "ada@example.com") == "Bob"
    assert [(entry.kind, entry.label) for entry in shop.inbox()] == [("delete", "bob@example.com")]
    shop.assert_quiet()


# An archived record has the name or email of one that is created


@pytest.mark.parametrize(
    ("choice", "values"),
    [
        ("ask", "fill_blank"),
        ("overwrite", "fill_blank"),
        *(("unarchive", values) for values in ("fill_blank", "overwrite", "ignore")),
    ],
)
@pytest.mark.parametrize("object", [CONTACTS, COMPANIES])
def test_a_create_that_meets_an_archived_record(open_shop: Open, object: str, choice: str, values: str) -> None:
    """`on_archived` decides: parked with the reason, restored with the new values, or made beside it; once in every case."""
    contacts = object == CONTACTS
    pair = people() if contacts else firms(fields='city = "city"')
    shop = open_shop(pair, options=f'on_archived = "{choice}"', switches={"unarchive_values": values})
    shop.server.add_field(COMPANIES, "City", "text", name="city")
    old = {"email": "Ada@Example.com", "first_name": "Old", "last_name": "King"} if contacts else {"name": "ACME", "city": "Old"}
    id_ = shop.server.add_record(object, old)
    shop.server.archive(id_)
    shop.sql(
        "INSERT INTO people (email, first_name) VALUES ('ada@example.com', 'New')"
        if contacts
        else "INSERT INTO firms (name, city) VALUES ('Acme', 'New')"
    )
    report = shop.run()["people" if contacts else "firms"]
    live = shop.server.records(object)
    if choice == "ask":
        assert live == []
        assert report.exit is Exit.PARTIAL
        assert report.quarantined == 1
        assert any("archived" in failure for failure in report.failed)
        shop.run()
        assert shop.actions(object) == []
        return
    shop.sync()
    (now,) = shop.server.records(object)
    assert now["first_name" if contacts else "city"] == "New"
    assert (now["id"] == id_) is (choice == "unarchive")
    assert (now.get("last_name") == "King") is (choice == "unarchive" and contacts)
    if contacts:
        assert shop.rows("first_name, last_name") == [("New", "King" if choice == "unarchive" else None)]
    # Whoever restored it may have lost a value that nobody showed us: that is told.
    assert [entry.kind for entry in shop.inbox()] == (["met"] if choice == "unarchive" else [])
    shop.assert_quiet()


def test_a_new_email_that_an_archived_contact_has(open_shop: Open) -> None:
    """A row takes the email of an archived contact: the change is parked and told, and goes through with `overwrite`."""
    shop = filled(open_shop, 'deletes = "ignore"')
    old = shop.server.add_record(CONTACTS, email="old@example.com")
    shop.server.archive(old)
    shop.sql("UPDATE people SET email='old@example.com' WHERE first_name='Ada'")
    report = shop.run()["people"]
    assert report.quarantined == 2  # the contact and its row
    assert "ada@example.com" in shop.contacts()
    shop.configure(people('deletes = "ignore"'), 'on_archived = "overwrite"')
    with shop.app() as app:
        app.desk.release([entry.id for entry in app.desk.quarantine()])
    shop.sync()
    assert "old@example.com" in shop.contacts()
    shop.assert_quiet()
