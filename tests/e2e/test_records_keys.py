"""Keys: case, blanks, changes, swaps, duplicates, none at all (failure mode 11)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from syncengine.engine.report import Exit
from syncengine.errors import ConfigError
from tests.support.records import COMPANIES, CONTACTS, Shop, firms, people

Open = Callable[..., Shop]


@pytest.mark.parametrize("lookup", ["normalized", "exact"])
@pytest.mark.parametrize("filters", ["insensitive", "sensitive"])
def test_an_email_in_other_letters_is_the_same_person(open_shop: Open, lookup: str, filters: str) -> None:
    """Case and blanks around an email neither create a second contact nor travel: each side keeps what was typed."""
    shop = open_shop(people(), switches={"lookup_mode": lookup, "text_filters": filters})
    shop.server.add_record(CONTACTS, email="Ada@Example.ORG", first_name="Ada")
    shop.sql("INSERT INTO people (email, first_name) VALUES (' ada@example.org ', 'Ada')")
    shop.sync()
    assert shop.writes() == []
    assert len(shop.server.records(CONTACTS)) == len(shop.rows("*")) == 1
    assert (shop.server.records(CONTACTS)[0]["email"], shop.rows("email")) == ("Ada@Example.ORG", [(" ada@example.org ",)])
    shop.assert_quiet()


@pytest.mark.parametrize("lookup", ["normalized", "exact"])
def test_a_name_in_other_letters_is_the_same_company(open_shop: Open, lookup: str) -> None:
    """ACME and "Acme " are one company, and no second one is created however the platform compares names."""
    shop = open_shop(firms(), switches={"lookup_mode": lookup})
    shop.server.add_record(COMPANIES, name="ACME")
    shop.sql("INSERT INTO firms (name) VALUES ('Acme ')")
    shop.sync()
    assert shop.writes(COMPANIES) == []
    assert len(shop.server.records(COMPANIES)) == len(shop.rows("*", "firms", "name")) == 1
    shop.assert_quiet()


def test_a_changed_email_follows_the_link(open_shop: Open) -> None:
    """Once linked, the key is a field like any other: it travels both ways and nothing is created."""
    shop = open_shop(people())
    shop.sql("INSERT INTO people (email, first_name) VALUES ('ada@example.com', 'Ada')")
    shop.sync()
    ada = shop.contact("ada@example.com")["id"]
    shop.sql("UPDATE people SET email='augusta@example.com'")
    shop.sync()
    assert shop.actions() == ["patch"]
    shop.server.edit(ada, email="lovelace@example.com")
    shop.sync()
    assert shop.actions() == []
    assert shop.rows("email") == [("lovelace@example.com",)]
    assert [one["id"] for one in shop.server.records(CONTACTS)] == [ada]
    shop.assert_quiet()


def test_two_people_who_swap_their_emails_keep_their_links(open_shop: Open) -> None:
    """The office swaps two emails: the platform refuses a taken one, and still nobody gets the other's record."""
    shop = open_shop(people())
    shop.sql("INSERT INTO people (email, first_name) VALUES ('ada@example.com', 'Ada'), ('bob@example.com', 'Bob')")
    shop.sync()
    ids = {one["first_name"]: one["id"] for one in shop.server.records(CONTACTS)}
    shop.sql("UPDATE people SET email = CASE first_name WHEN 'Ada' THEN 'bob@example.com' ELSE 'ada@example.com' END")
    for _ in range(3):
        shop.run()
    live = shop.server.records(CONTACTS)
    assert {one["first_name"]: one["id"] for one in live} == ids
    assert [name for (name,) in shop.rows("first_name", order="id")] == ["Ada", "Bob"]
    assert shop.run()["people"].exit in {Exit.PARTIAL, Exit.DONE}


def test_an_email_that_moves_on_to_somebody_else(open_shop: Open) -> None:
    """Ada gets a new email and Bob takes her old one: two updates, no link crosses."""
    shop = open_shop(people())
    shop.sql("INSERT INTO people (email, first_name) VALUES ('ada@example.com', 'Ada'), ('bob@example.com', 'Bob')")
    shop.sync()
    ids = {one["first_name"]: one["id"] for one in shop.server.records(CONTACTS)}
    shop.sql("UPDATE people SET email='new@example.com' WHERE first_name='Ada'")
    shop.sql("UPDATE people SET email='ada@example.com' WHERE first_name='Bob'")
    for _ in range(3):
        shop.run()
    live = shop.server.records(CONTACTS)
    assert {one["first_name"]: one["id"] for one in live} == ids
    assert {one["first_name"]: one["email"] for one in live} == {"Ada": "new@example.com", "Bob": "ada@example.com"}
    shop.assert_quiet()


def test_two_companies_of_one_name_go_to_the_inbox(open_shop: Open) -> None:
    """The platform lets two objects have one name: nothing is created or linked for them until a person mends it."""
    shop = open_shop(firms())
    shop.server.add_record(COMPANIES, name="Acme")
    twin = shop.server.add_record(COMPANIES, name="acme")
    shop.server.add_record(COMPANIES, name="Bolt")
    shop.sql("INSERT INTO firms (name) VALUES ('Acme')")
    report = shop.sync()["firms"]
    assert report.exit is Exit.PARTIAL
    assert report.pending == {"ambiguous": 3}
    assert shop.rows("name", "firms", "name") == [("Acme",), ("Bolt",)]
    assert len(shop.server.records(COMPANIES)) == 3
    assert {entry.kind for entry in shop.inbox()} == {"duplicate"}
    shop.assert_quiet()
    shop.server.edit(twin, name="Acme Holding")
    shop.sync()
    assert [name for (name,) in shop.rows("name", "firms", "name")] == ["Acme", "Acme Holding", "Bolt"]
    assert shop.inbox() == []
    shop.assert_quiet()


def test_two_rows_of_one_email_create_nothing(open_shop: Open) -> None:
    """The office holds one email twice: no contact is made of either before that is mended."""
    shop = open_shop(people())
    shop.sql("INSERT INTO people (email, first_name) VALUES ('ada@example.com', 'Ada'), ('ADA@example.com', 'Other')")
    assert shop.sync()["people"].pending == {"ambiguous": 2}
    assert shop.server.records(CONTACTS) == []
    shop.assert_quiet()
    shop.sql("DELETE FROM people WHERE first_name='Other'")
    shop.sync()
    assert [one["first_name"] for one in shop.server.records(CONTACTS)] == ["Ada"]
    shop.assert_quiet()


def test_a_company_of_the_same_name_appears_while_we_create_one(open_shop: Open) -> None:
    """Somebody makes Acme in the CRM between our listing and our create: ours meets it, and there is one."""
    steps: list[Callable[[], object]] = []
    shop = open_shop(firms(), between=lambda: steps.pop()() if steps else None)
    shop.sql("INSERT INTO firms (name) VALUES ('Bolt')")
    shop.sync()
    steps.append(lambda: shop.server.add_record(COMPANIES, name="Acme"))
    shop.server.fault("latency", method="POST", path="/companies_company/upsert$")
    shop.sql("INSERT INTO firms (name) VALUES ('ACME')")
    shop.sync()
    assert not steps
    assert sorted(one["name"].casefold() for one in shop.server.records(COMPANIES)) == ["acme", "bolt"]
    assert len(shop.rows("*", "firms", "name")) == 2
    shop.assert_quiet()


def test_people_without_an_email_are_left_alone_and_never_matched(open_shop: Open) -> None:
    """No key, no partner: both sides keep theirs, unless the config says that such records are created."""
    shop = open_shop(people())
    shop.server.add_record(CONTACTS, first_name="Nobody")
    shop.sql("INSERT INTO people (email, first_name) VALUES (NULL, 'Nobody'), ('', 'Noone')")
    assert shop.sync()["people"].exit is Exit.DONE
    assert len(shop.server.records(CONTACTS)) == 1
    assert len(shop.rows("*")) == 2
    shop.assert_quiet()


def test_two_objects_of_the_same_label_are_told_apart_by_their_api_names(open_shop: Open) -> None:
    """Labels are for people; a pair names the object by api_name or UUID, and a wrong one is told with those there are."""
    pair = firms().replace("crm.companies_company", "crm.{}")
    shop = open_shop(firms())
    one = shop.server.add_object("Machines", name="machines")
    two = shop.server.add_object("Machines")
    assert one.name != two.name
    shop.server.add_record(two.name, name="Lathe")
    shop.configure(pair.replace('"crm.{}"', f'"crm.{two.id}"'))
    shop.sync()
    assert shop.rows("name", "firms", "name") == [("Lathe",)]
    shop.assert_quiet()
    shop.configure(pair.replace('"crm.{}"', '"crm.Machines"'))
    with pytest.raises(ConfigError, match=two.name):
        shop.run()
