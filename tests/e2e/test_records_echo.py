"""Our own write, seen again, is no change; what the platform or its workflows made of it is (failure modes 1 and 15)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from syncengine.engine.report import Exit
from tests.support.databases import TestDatabase
from tests.support.records import CONTACTS, Shop, people

Open = Callable[..., Shop]

ADA = "INSERT INTO people (email, first_name, last_name, phone, tags) VALUES ('ada@example.com', 'Ada', 'King', '+442079460018', NULL)"


def test_the_first_sync_goes_both_ways_and_then_there_is_silence(open_shop: Open, database: TestDatabase) -> None:
    """Contacts and rows find each other by email, the rest is created on the other side, on every database."""
    shop = open_shop(people(), database)
    shop.sql(ADA, "INSERT INTO people (email, first_name) VALUES ('bob@example.com', 'Bob')")
    shop.server.add_record(CONTACTS, email="bob@example.com", last_name="Ray")
    shop.server.add_record(CONTACTS, email="cyd@example.com", first_name="Cyd", mobile_phone="+12125550100", tags=["VIP"])
    shop.sync()
    assert sorted(shop.actions()) == ["add", "patch"]
    assert shop.contact("bob@example.com")["first_name"] == "Bob"
    assert shop.contact("ada@example.com")["mobile_phone"] == "+442079460018"
    assert shop.rows("email, first_name, last_name, phone") == [
        ("ada@example.com", "Ada", "King", "+442079460018"),
        ("bob@example.com", "Bob", "Ray", None),
        ("cyd@example.com", "Cyd", None, "+12125550100"),
    ]
    shop.assert_quiet()


def test_what_a_workflow_changes_after_our_write_travels_once(open_shop: Open) -> None:
    """A workflow answers our write by filling another field: that field comes over once, nothing goes back, then silence."""
    shop = open_shop(people(fields='note = { left = "nickname", right = "note" }'))
    shop.server.add_field(CONTACTS, "Nickname", "text", name="nickname")
    shop.server.add_workflow(CONTACTS, when="first_name", set="nickname", copy_of="first_name", delay=5)
    shop.sql(ADA)
    shop.sync()
    assert shop.actions() == ["add"]
    shop.later(30)
    assert shop.contact("ada@example.com")["nickname"] == "Ada"
    shop.sync()
    assert shop.actions() == []
    assert shop.value("note", "ada@example.com") == "Ada"
    shop.assert_quiet()

    shop.sql("UPDATE people SET first_name='Augusta'")
    shop.sync()
    assert shop.actions() == ["patch"]
    shop.later(30)
    shop.sync()
    assert shop.actions() == []
    assert shop.value("note", "ada@example.com") == "Augusta"
    shop.assert_quiet()


def test_a_workflow_that_undoes_our_write_is_an_edit_and_no_loop(open_shop: Open) -> None:
    """A workflow overwrites the very field we wrote: its value comes over once, and we do not write ours again."""
    shop = open_shop(people(fields='level = { left = "level", right = "level" }'))
    shop.server.add_field(CONTACTS, "Level", "text", name="level")
    shop.server.add_workflow(CONTACTS, when="level", set="level", value="Gold", delay=5)
    shop.sql("INSERT INTO people (email, level) VALUES ('ada@example.com', 'gilded')")
    shop.sync()
    shop.later(30)
    shop.sync()
    assert shop.actions() == []
    assert shop.value("level", "ada@example.com") == "Gold"
    shop.assert_quiet()


def test_a_workflow_within_the_same_instant_is_still_somebody_elses_change(open_shop: Open) -> None:
    """A workflow that runs before our write is answered changes the field that we just wrote: it is not taken for our echo."""
    shop = open_shop(people(fields='level = { left = "level", right = "level" }'))
    shop.server.add_field(CONTACTS, "Level", "text", name="level")
    shop.server.add_workflow(CONTACTS, when="level", set="level", value="Gold")
    shop.sql("INSERT INTO people (email, level) VALUES ('ada@example.com', 'gilded')")
    shop.sync()
    shop.sync()
    assert shop.contact("ada@example.com")["level"] == "Gold"
    assert shop.value("level", "ada@example.com") == "Gold"
    shop.assert_quiet()


def test_what_the_platform_makes_of_a_value_is_no_edit(open_shop: Open) -> None:
    """It trims, lower-cases, cuts and rounds what it stores: nothing is written a second time, and the office keeps its text."""
    fields = 'score = { left = "worth", right = "note", as = "decimal" }\nlevel = { left = "level", right = "level" }'
    shop = open_shop(
        people(fields=fields),
        switches={"trim_text": True, "lowercase_emails": True, "text_overflow": "truncate", "decimal_excess": "round"},
    )
    shop.server.add_field(CONTACTS, "Worth", "decimal", name="worth", settings={"decimal_places": 2})
    shop.server.add_field(CONTACTS, "Level", "text", name="level")
    long = "x" * 300
    shop.sql(
        f"INSERT INTO people (email, first_name, note, level) VALUES ('Ada@Example.COM', '  Ada ', '1.005', '{long}')",
        "INSERT INTO people (email, first_name, note) VALUES ('bob@example.com', 'Bob', '2.50')",
    )
    shop.sync()
    assert shop.actions() == ["add", "add"]
    stored = shop.contact("ada@example.com")
    assert (stored["first_name"], len(stored["level"])) == ("Ada", 255)
    assert stored["worth"] in (Decimal("1.00"), Decimal("1.01"))
    assert shop.rows("email, first_name, note, level")[0] == ("Ada@Example.COM", "  Ada ", "1.005", long)
    shop.assert_quiet()

    shop.server.edit(stored["id"], first_name="Augusta")
    shop.sync()
    assert shop.actions() == []
    assert shop.rows("email, first_name, note, level")[0] == ("Ada@Example.COM", "Augusta", "1.005", long)
    shop.assert_quiet()


def test_the_same_number_phone_and_instant_in_other_clothes_is_no_change(open_shop: Open) -> None:
    """Strings for numbers, an offset for UTC, a phone number as it is dialled: the second and third run write nothing."""
    fields = (
        'score = { left = "worth", right = "note", as = "decimal" }\nlevel = { left = "met", right = "level", as = "datetime" }'
    )
    shop = open_shop(people(fields=fields), switches={"decimals": "string"})
    shop.server.add_field(CONTACTS, "Worth", "decimal", name="worth", settings={"decimal_places": 2})
    shop.server.add_field(CONTACTS, "Met", "datetime", name="met")
    shop.sql(
        "INSERT INTO people (email, phone, note, level) VALUES "
        "('ada@example.com', '+44 20 7946 0018', '7', '2026-03-29T02:30:00+01:00')"
    )
    shop.sync()
    assert shop.contact("ada@example.com")["mobile_phone"] == "+442079460018"
    assert shop.value("phone", "ada@example.com") == "+44 20 7946 0018"
    shop.server.switch("decimals", "number")
    shop.assert_quiet()


def test_an_edit_that_returns_to_an_earlier_value_is_sent_again(open_shop: Open) -> None:
    """X, Y, X within the hour: the third write goes out like the first."""
    shop = open_shop(people())
    shop.sql(ADA)
    shop.sync()
    for name in ("Augusta", "Ada", "Augusta", "Ada"):
        shop.sql(f"UPDATE people SET first_name='{name}'")
        assert shop.sync()["people"].exit is Exit.DONE
        assert shop.actions() == ["patch"]
        assert shop.contact("ada@example.com")["first_name"] == name
    shop.assert_quiet()
