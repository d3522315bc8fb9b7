"""Edits on both sides field by field, clocks, blanks, tags and stages (failure modes 8, 9, 10 and 14)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from syncengine.engine.report import Exit
from tests.support.records import CONTACTS, Shop, people

Open = Callable[..., Shop]
ADA = "INSERT INTO people (email, first_name, last_name, tags) VALUES ('ada@example.com', 'Ada', 'King', 'VIP;News')"


def shop_with_ada(open_shop: Open, policies: str = "", fields: str = "", **options: object) -> tuple[Shop, str]:
    """Ada on both sides, in sync, and her id in the CRM."""
    shop = open_shop(people(policies, fields), **options)
    shop.sql(ADA)
    shop.sync()
    return shop, shop.contact("ada@example.com")["id"]


def test_different_fields_edited_on_both_sides_cross(open_shop: Open) -> None:
    """A phone there, a first name here, and one field contested: two travel, the third waits alone."""
    shop, ada = shop_with_ada(open_shop)
    shop.server.edit(ada, mobile_phone="+12125550100", last_name="Byron")
    shop.sql("UPDATE people SET first_name='Augusta', last_name='Lovelace'")
    report = shop.sync()["people"]
    assert report.exit is Exit.PARTIAL
    assert shop.actions() == ["patch"]
    assert shop.rows("first_name, last_name, phone") == [("Augusta", "Lovelace", "+12125550100")]
    now = shop.contact("ada@example.com")
    assert (now["first_name"], now["last_name"]) == ("Augusta", "Byron")
    assert [(entry.field, entry.left, entry.right, entry.base) for entry in shop.inbox()] == [
        ("last_name", "Byron", "Lovelace", "King")
    ]
    shop.assert_quiet()
    shop.resolve("right")
    shop.sync()
    assert shop.actions() == ["patch"]
    assert shop.contact("ada@example.com")["last_name"] == "Lovelace"
    assert shop.inbox() == []
    shop.assert_quiet()


def test_a_patch_names_only_what_changed(open_shop: Open) -> None:
    """A field that somebody edits in the CRM between our read and our write survives, because we do not send it."""
    edits: list[Callable[[], None]] = []
    shop, ada = shop_with_ada(open_shop, between=lambda: edits.pop()() if edits else None)
    edits.append(lambda: shop.server.edit(ada, last_name="Byron"))
    shop.server.fault("latency", method="PATCH")
    shop.sql("UPDATE people SET first_name='Augusta'")
    shop.sync()
    now = shop.contact("ada@example.com")
    assert (now["first_name"], now["last_name"]) == ("Augusta", "Byron")
    shop.sync()
    assert shop.rows("first_name, last_name") == [("Augusta", "Byron")]
    shop.assert_quiet()


def test_an_edit_between_our_listing_and_our_write_is_seen(open_shop: Open) -> None:
    """The same field is edited there after the listing and before the read by id: a conflict, and no overwrite."""
    edits: list[Callable[[], None]] = []
    shop, ada = shop_with_ada(open_shop, between=lambda: edits.pop()() if edits else None)
    edits.append(lambda: shop.server.edit(ada, first_name="Theirs"))
    shop.server.fault("latency", method="GET", path=f"/{ada}$")
    shop.sql("UPDATE people SET first_name='Ours'")
    shop.sync()
    assert not edits
    assert shop.contact("ada@example.com")["first_name"] == "Theirs"
    assert shop.rows("first_name") == [("Ours",)]
    assert [entry.field for entry in shop.inbox()] == ["first_name"]
    shop.assert_quiet()


@pytest.mark.parametrize(("policy", "winner"), [("left", "Theirs"), ("right", "Ours"), ("ask", None)])
def test_the_policy_settles_a_conflict(open_shop: Open, policy: str, winner: str | None) -> None:
    """Left, right, or nobody: what lost is kept in the attic, and the next runs are silent."""
    shop, ada = shop_with_ada(open_shop, f'conflicts = "{policy}"')
    shop.server.edit(ada, first_name="Theirs")
    shop.sql("UPDATE people SET first_name='Ours'")
    shop.sync()
    assert shop.contact("ada@example.com")["first_name"] == (winner or "Theirs")
    assert shop.rows("first_name") == [(winner or "Ours",)]
    assert len(shop.actions()) == (1 if winner == "Ours" else 0)
    with shop.app() as app:
        kept = [value.value for value in app.store.journal.attic(app.store.runs.pair("people").number)]
    assert kept == ([] if winner is None else ["Ours" if winner == "Theirs" else "Theirs"])
    shop.assert_quiet()


def test_newer_asks_where_one_side_has_no_clock(open_shop: Open) -> None:
    """`newer` never guesses: the table has no time of change, so the conflict is asked."""
    shop, ada = shop_with_ada(open_shop, 'conflicts = "newer"')
    shop.server.edit(ada, first_name="Theirs")
    shop.sql("UPDATE people SET first_name='Ours'")
    shop.sync()
    assert [entry.field for entry in shop.inbox()] == ["first_name"]
    shop.assert_quiet()


def test_the_same_edit_on_both_sides_is_an_agreement(open_shop: Open) -> None:
    """Nothing is written and nothing asked; the next edit on one side travels, because the base has moved."""
    shop, ada = shop_with_ada(open_shop)
    shop.server.edit(ada, first_name="Augusta")
    shop.sql("UPDATE people SET first_name='Augusta'")
    assert shop.sync()["people"].exit is Exit.DONE
    assert shop.writes() == []
    shop.sql("UPDATE people SET first_name='Lovelace'")
    shop.sync()
    assert shop.contact("ada@example.com")["first_name"] == "Lovelace"
    shop.assert_quiet()


def test_an_edit_that_the_crm_dates_back_is_found_by_the_sweep(open_shop: Open) -> None:
    """A change whose `updated` never moved (an import, a restored backup) is invisible to increments; the daily sweep finds it."""
    shop, ada = shop_with_ada(open_shop)
    shop.clock.time += 3600
    shop.server.add_record(CONTACTS, email="bob@example.com", first_name="Bob")
    shop.sync()
    record, first_name = shop.server.world.record(ada), shop.server.field(CONTACTS, "first_name")
    with shop.server.world.lock:
        shop.server.world.put_record(replace(record, values={**record.values, first_name.id: "Silent"}))
    shop.sync()
    assert shop.rows("first_name") == [("Ada",), ("Bob",)]
    shop.sweep()
    assert shop.rows("first_name") == [("Silent",), ("Bob",)]
    shop.assert_quiet()


# Blank, null, empty, absent


@pytest.mark.parametrize("blanks", ["omit", "include"])
@pytest.mark.parametrize("text", ["null", "empty"])
def test_a_value_that_is_cleared_on_purpose_travels_as_cleared(open_shop: Open, blanks: str, text: str) -> None:
    """However the platform shows a blank, clearing goes both ways, once, and a blank is no change."""
    shop, ada = shop_with_ada(open_shop, switches={"get_blanks": blanks, "search_blanks": blanks, "blank_text": text})
    shop.server.edit(ada, last_name=None)
    shop.sync()
    assert shop.rows("first_name, last_name")[0] in [("Ada", None), ("Ada", "")]
    assert shop.writes() == []
    shop.sql("UPDATE people SET first_name=NULL")
    shop.sync()
    assert shop.actions() == ["patch"]
    assert "first_name" not in shop.contact("ada@example.com")
    shop.assert_quiet()


def test_an_empty_text_and_null_are_one_for_the_crm(open_shop: Open) -> None:
    """The office changes NULL into '' and back: the platform does not tell them apart, so nothing is written."""
    shop, _ = shop_with_ada(open_shop)
    for value in ("''", "NULL", "''"):
        shop.sql(f"UPDATE people SET phone={value}")
        assert shop.sync()["people"].exit is Exit.DONE
        assert shop.writes() == []
    shop.assert_quiet()


def test_a_constant_never_flows_back(open_shop: Open) -> None:
    """A filler is set on create and stays out of the other direction for ever."""
    shop = open_shop(people(fields='note = { right = "note", constant = "from the CRM" }'))
    ada = shop.server.add_record(CONTACTS, email="ada@example.com")
    shop.sync()
    assert shop.value("note", "ada@example.com") == "from the CRM"
    shop.sql("UPDATE people SET note='edited'")
    shop.server.edit(ada, first_name="Ada")
    shop.sync()
    assert shop.rows("first_name, note") == [("Ada", "edited")]
    assert shop.writes() == []
    shop.assert_quiet()


# Tags


def test_tags_edited_on_both_sides_between_read_and_write_all_stay(open_shop: Open) -> None:
    """We add one tag and remove another while a person adds a third: the request names only ours, so theirs survives."""
    edits: list[Callable[[], None]] = []
    shop, ada = shop_with_ada(open_shop, between=lambda: edits.pop()() if edits else None)
    edits.append(lambda: shop.server.edit(ada, tags=["VIP", "News", "Old"]))
    shop.server.fault("latency", method="PATCH")
    shop.sql("UPDATE people SET tags='VIP;Local'")
    shop.sync()
    assert set(shop.contact("ada@example.com")["tags"]) == {"VIP", "Local", "Old"}
    shop.sync()
    assert set(shop.value("tags", "ada@example.com").split(";")) == {"VIP", "Local", "Old"}
    assert shop.writes() == []
    shop.assert_quiet()


def test_a_union_keeps_what_both_sides_added_and_drops_what_either_removed(open_shop: Open) -> None:
    """`conflicts = "union"` on tags: additions of both sides, removals of both sides."""
    shop = open_shop(people().replace('as = "set" }', 'as = "set", conflicts = "union" }'))
    shop.sql(ADA)
    shop.sync()
    ada = shop.contact("ada@example.com")["id"]
    shop.server.edit(ada, tags=["News", "Old"])
    shop.sql("UPDATE people SET tags='VIP;News;Local'")
    shop.sync()
    assert set(shop.contact("ada@example.com")["tags"]) == {"News", "Old", "Local"}
    assert set(shop.value("tags", "ada@example.com").split(";")) == {"News", "Old", "Local"}
    shop.assert_quiet()


def test_tags_in_another_order_are_no_change(open_shop: Open) -> None:
    """Sets have no order: the same tags the other way round are not written."""
    shop, ada = shop_with_ada(open_shop)
    shop.server.edit(ada, tags=["News", "VIP"])
    shop.sync()
    shop.sql("UPDATE people SET tags='News;VIP'")
    shop.sync()
    assert shop.writes() == []
    shop.assert_quiet()


def test_a_tag_in_other_letters_is_the_tag_that_exists(open_shop: Open) -> None:
    """`vip` in the office is the tag VIP there: the existing one is sent, and the office keeps its own letters."""
    shop = open_shop(people())
    shop.sql(ADA.replace("VIP;News", "vip;NEWS"))
    shop.sync()
    assert set(shop.contact("ada@example.com")["tags"]) == {"VIP", "News"}
    assert shop.value("tags", "ada@example.com") == "vip;NEWS"
    shop.assert_quiet()
    shop.sql("UPDATE people SET tags='vip;NEWS;local'")
    shop.sync()
    assert shop.actions() == ["patch"]
    assert set(shop.contact("ada@example.com")["tags"]) == {"VIP", "News", "Local"}
    shop.assert_quiet()
    shop.sql("UPDATE people SET tags='news;local'")
    shop.sync()
    assert set(shop.contact("ada@example.com")["tags"]) == {"News", "Local"}
    shop.assert_quiet()


def test_a_tag_that_does_not_exist_parks_the_record_until_it_does(open_shop: Open) -> None:
    """The platform refuses an unknown tag: the field and the reason are told, everybody else goes on, and a retry works."""
    shop, _ = shop_with_ada(open_shop)
    shop.sql("UPDATE people SET tags='VIP;Unheard'", "INSERT INTO people (email) VALUES ('bob@example.com')")
    report = shop.run()["people"]
    assert report.exit is Exit.PARTIAL
    assert "tags" in report.failed[0]
    assert "bob@example.com" in shop.contacts()
    shop.server.add_option(CONTACTS, "tags", "Unheard")
    with shop.app() as app:
        app.desk.release([entry.id for entry in app.desk.quarantine()])
    shop.sync()
    assert set(shop.contact("ada@example.com")["tags"]) == {"VIP", "Unheard"}
    shop.assert_quiet()


# Pipelines

DEALS = """
[pairs.deals]
left = "crm.deals"
right = "office.firms"
match = "name"
[pairs.deals.fields]
name = "name"
stage = { left = "stage", right = "city" }
"""


def test_a_stage_moves_in_both_directions(open_shop: Open) -> None:
    """A stage is written by the move endpoint and never twice; what a move changes by itself is no echo."""
    shop = open_shop(DEALS)
    shop.server.add_object(
        "Deals", name="deals", object_type="pipeline", stages=[{"name": "New"}, {"name": "Won", "status": "won"}]
    )
    first = shop.server.add_record("deals", name="First", stage="New")
    shop.sql("INSERT INTO firms (name, city) VALUES ('Second', 'won')")
    shop.sync()
    assert {one["name"]: one["stage"] for one in shop.server.records("deals")} == {"First": "New", "Second": "Won"}
    assert shop.rows("name, city", "firms", "name") == [("First", "New"), ("Second", "won")]
    shop.assert_quiet(object="deals")
    shop.sql("UPDATE firms SET city='Won' WHERE name='First'")
    shop.sync()
    assert shop.actions("deals") == ["move"]
    assert shop.server.record(first)["stage"] == "Won"
    shop.server.edit(first, stage="New")
    shop.sync()
    assert shop.actions("deals") == []
    assert shop.rows("name, city", "firms", "name")[0] == ("First", "New")
    shop.assert_quiet(object="deals")
    shop.sql("UPDATE firms SET city='Nowhere' WHERE name='First'")
    report = shop.run()["deals"]
    assert report.exit is Exit.PARTIAL
    assert shop.server.record(first)["stage"] == "New"
