"""Relations through links: late partners, to-many, mirrors, removal, more than a record shows (failure mode 19)."""

from __future__ import annotations

from collections.abc import Callable

from syncengine.engine.report import Exit
from tests.support.databases import TestDatabase
from tests.support.records import COMPANIES, CONTACTS, Shop, firms, people

Open = Callable[..., Shop]
COMPANY = 'company = { left = "company_primary", right = "firm_id", references = "firms" }'
MANY = 'others = { left = "company_additional", right = "note", references = "firms" }'


def linked(open_shop: Open, database: TestDatabase | None = None, fields: str = COMPANY) -> Shop:
    """Ada works at Acme, both in sync; the pair of people stands before that of firms in the config."""
    shop = open_shop(people(fields=fields) + firms(), database)
    shop.sql(
        "INSERT INTO firms (id, name) VALUES (101, 'Acme'), (102, 'Bolt')",
        "INSERT INTO people (email, first_name, firm_id) VALUES ('ada@example.com', 'Ada', 101)",
    )
    shop.sync()
    return shop


def company_of(shop: Shop, email: str) -> str | None:
    names = {one["id"]: one["name"] for one in shop.server.records(COMPANIES)}
    return names.get(shop.contact(email).get("company_primary", ""))


def test_a_contact_and_its_company_arrive_together(open_shop: Open, database: TestDatabase) -> None:
    """Companies go first whatever the order in the config; the contact points to its company, in one write each."""
    shop = linked(open_shop, database)
    assert company_of(shop, "ada@example.com") == "Acme"
    assert shop.actions(COMPANIES) == ["upsert", "upsert"]
    assert shop.actions() == ["add"]
    shop.assert_quiet()


def test_a_change_of_company_travels_both_ways_and_its_mirror_is_not_written(open_shop: Open) -> None:
    """One write moves Ada; the company's own list of contacts follows by itself and is no change of ours."""
    shop = linked(open_shop)
    shop.sql("UPDATE people SET firm_id=102")
    shop.sync()
    assert company_of(shop, "ada@example.com") == "Bolt"
    assert (shop.actions(), shop.actions(COMPANIES)) == (["patch"], [])
    shop.assert_quiet()
    acme = next(one["id"] for one in shop.server.records(COMPANIES) if one["name"] == "Acme")
    shop.server.edit(shop.contact("ada@example.com")["id"], company_primary=acme)
    shop.sync()
    assert shop.rows("firm_id") == [(101,)]
    assert shop.writes(None) == []
    shop.assert_quiet()


def test_a_removed_relation_travels_as_removed(open_shop: Open) -> None:
    """Cleared there, cleared here, and the other way round; the records themselves stay."""
    shop = linked(open_shop)
    ada = shop.contact("ada@example.com")["id"]
    shop.server.edit(ada, company_primary=None)
    shop.sync()
    assert shop.rows("firm_id") == [(None,)]
    shop.sql("UPDATE people SET firm_id=102")
    shop.sync()
    shop.sql("UPDATE people SET firm_id=NULL")
    shop.sync()
    assert company_of(shop, "ada@example.com") is None
    assert len(shop.server.records(COMPANIES)) == 2
    shop.assert_quiet()


def test_a_contact_whose_company_is_not_linked_yet_waits_and_is_not_blanked(open_shop: Open) -> None:
    """The company is refused at first: the contact is created without it, nothing is cleared, and the relation follows later."""
    shop = open_shop(people(fields=COMPANY) + firms())
    shop.sql(
        "INSERT INTO firms (id, name) VALUES (101, 'Acme')",
        "INSERT INTO people (email, firm_id) VALUES ('ada@example.com', 101)",
    )
    shop.server.fault("error", method="POST", path="/companies_company/upsert$", status=400, times=1)
    reports = shop.run()
    assert reports["people"].exit is Exit.PARTIAL
    assert shop.rows("firm_id") == [(101,)]
    assert company_of(shop, "ada@example.com") is None
    with shop.app() as app:
        app.desk.release([entry.id for entry in app.desk.quarantine()])
    shop.sync()
    assert company_of(shop, "ada@example.com") == "Acme"
    shop.assert_quiet()


def test_the_partner_of_a_relation_is_archived(open_shop: Open) -> None:
    """The company goes in the CRM and the office is asked: the row's reference is not blanked behind anybody's back for ever."""
    shop = linked(open_shop)
    acme = next(one["id"] for one in shop.server.records(COMPANIES) if one["name"] == "Acme")
    shop.server.archive(acme)
    shop.sweep()
    assert len(shop.rows("*", "firms", "name")) == 2
    assert [entry.pair for entry in shop.inbox()] == ["firms"]
    shop.server.unarchive(acme)
    shop.sweep()
    shop.sweep()
    assert company_of(shop, "ada@example.com") == "Acme"
    assert shop.rows("firm_id") == [(101,)]
    shop.assert_quiet()


DEALS = """
[pairs.deals]
left = "crm.deals"
right = "office.deals"
match = "name"
[pairs.deals.fields]
name = "name"
people = { left = "people", right = "person_ids", references = "people" }
"""


def with_deals(open_shop: Open, number: int, **options: object) -> Shop:
    """One deal that this many people have a part in, as a list of row ids, in sync."""
    shop = open_shop(DEALS + people(), **options)
    shop.server.add_object("Deals", name="deals")
    shop.server.add_field(
        "deals", "People", "relationship", name="people", relation={"to": CONTACTS, "type": "additional", "related_name": "Deals"}
    )
    shop.sql("CREATE TABLE deals (id INTEGER PRIMARY KEY, name VARCHAR(100), person_ids TEXT)")
    for n in range(1, number + 1):
        shop.sql(f"INSERT INTO people (id, email) VALUES ({n}, 'p{n:03}@example.com')")
    everybody = ";".join(str(n) for n in range(1, number + 1))
    shop.sql(f"INSERT INTO deals (name, person_ids) VALUES ('Big', '{everybody}')")
    shop.sync()
    return shop


def members(shop: Shop) -> set[str]:
    """The emails of the people of the only deal in the CRM."""
    emails = {one["id"]: one["email"] for one in shop.server.records(CONTACTS)}
    (deal,) = shop.server.records("deals")
    return {emails[id_] for id_ in deal.get("people", ())}


def test_a_relation_to_many_is_kept_the_same(open_shop: Open) -> None:
    """Members added and removed on both sides; the mirror on the contacts is not written and no change."""
    shop = with_deals(open_shop, 4)
    assert members(shop) == {f"p{n:03}@example.com" for n in range(1, 5)}
    assert shop.actions("deals") == ["upsert"]
    shop.assert_quiet()
    shop.sql("UPDATE deals SET person_ids='1;2;3'")
    shop.sync()
    assert members(shop) == {f"p{n:03}@example.com" for n in range(1, 4)}
    assert (shop.actions("deals"), shop.actions()) == (["patch"], [])
    (deal,) = shop.server.records("deals")
    shop.server.edit(deal["id"], people=[shop.contact("p002@example.com")["id"], shop.contact("p004@example.com")["id"]])
    shop.sync()
    assert set(str(shop.database.rows("SELECT person_ids FROM deals")[0][0]).split(";")) == {"2", "4"}
    assert shop.writes(None) == []
    shop.assert_quiet()


def test_a_relation_above_what_a_record_shows_is_whole(open_shop: Open) -> None:
    """130 members, of which a record only shows the number: all are read, one more is added, none is lost."""
    shop = with_deals(open_shop, 130)
    assert len(members(shop)) == 130
    shop.assert_quiet()
    shop.sql(
        "INSERT INTO people (id, email) VALUES (131, 'p131@example.com')", "UPDATE deals SET person_ids = person_ids || ';131'"
    )
    shop.sync()
    shop.sync()
    assert len(members(shop)) == 131
    (deal,) = shop.server.records("deals")
    shop.server.edit(deal["id"], people=[id_ for id_ in deal["people"] if id_ != shop.contact("p001@example.com")["id"]])
    shop.sync()
    assert len(str(shop.database.rows("SELECT person_ids FROM deals")[0][0]).split(";")) == 130
    assert shop.writes(None) == []
    shop.assert_quiet()


def test_relations_that_answers_leave_out_are_not_taken_for_cleared(open_shop: Open) -> None:
    """Where get and lookup carry no relations (C8), an edit of another field clears nothing on either side."""
    shop = open_shop(people(fields=COMPANY) + firms(), switches={"get_relations": "omit"})
    shop.sql(
        "INSERT INTO firms (id, name) VALUES (101, 'Acme')",
        "INSERT INTO people (email, first_name, firm_id) VALUES ('ada@example.com', 'Ada', 101)",
    )
    shop.sync()
    shop.sql("UPDATE people SET first_name='Augusta'")
    shop.sync()
    shop.server.edit(shop.contact("ada@example.com")["id"], last_name="King")
    shop.sync()
    assert company_of(shop, "ada@example.com") == "Acme"
    assert shop.rows("first_name, last_name, firm_id") == [("Augusta", "King", 101)]
    shop.assert_quiet()
