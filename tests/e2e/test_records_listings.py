"""Listings that lie, lag or move, lost rights, and mass changes: nothing is deleted on weak evidence (failure modes 4, 5, 6, 13)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from syncengine.engine.report import Exit
from syncengine.errors import ConfigError
from tests.support.records import COMPANIES, CONTACTS, DAY, Shop, firms, people

Open = Callable[..., Shop]


def filled(open_shop: Open, number: int = 30, policies: str = 'deletes = "propagate"', options: str = "") -> Shop:
    """A shop with this many people on both sides, in sync."""
    shop = open_shop(people(policies), options=options)
    values = ", ".join(f"('p{n:03}@example.com', 'P{n:03}')" for n in range(number))
    shop.sql(f"INSERT INTO people (email, first_name) VALUES {values}")
    shop.sync()
    assert len(shop.server.records(CONTACTS)) == number
    return shop


def assert_untouched(shop: Shop, number: int = 30) -> None:
    """Nothing was deleted and nothing created again on either side."""
    assert len(shop.server.records(CONTACTS)) == number
    assert len(shop.rows("*")) == number
    assert not [one for one in shop.writes() if one.changed]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "empty", "times": None},
        {"kind": "short", "times": None},
        {"kind": "garbage", "times": None},
        {"kind": "error", "status": 500, "times": None},
        {"kind": "html", "status": 502, "times": None},
        {"kind": "reset", "times": None},
        {"kind": "truncate", "times": None},
        {"kind": "error", "status": 404, "times": None},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault.get('status', 'x')}",
)
@pytest.mark.parametrize("first", [0, 2], ids=["at-once", "third-page"])
def test_a_listing_that_is_empty_short_or_broken_deletes_nothing(open_shop: Open, fault: dict[str, object], first: int) -> None:
    """Whatever is wrong with a listing, and with which of its pages, nothing is deleted and nothing is created again."""
    shop = filled(open_shop, options="page_size = 10")
    shop.server.fault(method="POST", path="/search$", skip=first, **fault)
    shop.clock.time += DAY
    shop.run()
    assert_untouched(shop)
    shop.server.calm()
    shop.sql("UPDATE people SET first_name='Anna' WHERE email='p007@example.com'")
    shop.sync()
    assert shop.actions() == ["patch"]
    assert_untouched_but_one(shop)
    shop.assert_quiet()


def assert_untouched_but_one(shop: Shop) -> None:
    assert len(shop.server.records(CONTACTS)) == len(shop.rows("*")) == 30
    assert shop.contact("p007@example.com")["first_name"] == "Anna"


def test_a_listing_that_fails_half_way_keeps_the_cursor(open_shop: Open) -> None:
    """A run that broke off has passed nothing: the next one finds every edit that was made before it."""
    shop = filled(open_shop)
    for name in ("p001@example.com", "p002@example.com"):
        shop.server.edit(shop.contact(name)["id"], first_name="Edited")
    shop.server.fault("error", method="POST", path="/search$", status=500, times=None)
    assert shop.run()["people"].exit is Exit.FAILED
    shop.server.calm()
    shop.clock.time += 3600  # far beyond the overlap
    shop.sync()
    assert shop.value("first_name", "p001@example.com") == shop.value("first_name", "p002@example.com") == "Edited"
    shop.assert_quiet()


def test_an_emptied_crm_is_refused(open_shop: Open) -> None:
    """Every contact is archived: the run is refused before its first write, until somebody approves."""
    shop = filled(open_shop)
    for one in shop.server.records(CONTACTS):
        shop.server.archive(one["id"])
    shop.clock.time += DAY
    report = shop.run()["people"]
    assert report.exit is Exit.REFUSED
    assert "emptied" in [trip.guard for trip in report.refused]
    assert len(shop.rows("*")) == 30
    assert shop.writes() == []


def test_many_archived_contacts_are_refused_and_few_are_not(open_shop: Open) -> None:
    """Eleven of thirty deletes are above both limits: refused, then approved; two go through."""
    shop = filled(open_shop)
    listed = shop.server.records(CONTACTS)
    for one in listed[:2]:
        shop.server.archive(one["id"])
    shop.sweep()
    assert len(shop.rows("*")) == 28
    for one in listed[2:13]:
        shop.server.archive(one["id"])
    shop.clock.time += DAY
    report = shop.run()["people"]
    assert report.exit is Exit.REFUSED
    assert [trip.guard for trip in report.refused] == ["deletes"]
    assert len(shop.rows("*")) == 28
    assert shop.run("people", approve=report.approval)["people"].exit is Exit.DONE
    assert len(shop.rows("*")) == 17
    shop.assert_quiet()


def test_a_mass_change_of_values_is_refused(open_shop: Open) -> None:
    """A bad import changes most of the rows: nothing is written before somebody looked."""
    shop = filled(open_shop, 210)
    shop.sql("UPDATE people SET first_name='NULL'")
    report = shop.run()["people"]
    assert report.exit is Exit.REFUSED
    assert [trip.guard for trip in report.refused] == ["updates"]
    assert shop.writes() == []
    assert {one["first_name"] for one in shop.server.records(CONTACTS)} != {"NULL"}


def test_contacts_that_the_key_may_no_longer_see_are_not_taken_for_deleted_without_limit(open_shop: Open) -> None:
    """The user loses the right to see half of the contacts: 404 looks like archived, and the guard stops it."""
    shop = filled(open_shop)
    for one in shop.server.records(CONTACTS)[:15]:
        shop.server.permit(one["id"], visible=False)
    shop.clock.time += DAY
    report = shop.run()["people"]
    assert report.exit is Exit.REFUSED
    assert len(shop.rows("*")) == 30
    for one in shop.server.records(CONTACTS):
        shop.server.permit(one["id"])
    shop.sync()
    assert_untouched(shop)
    shop.assert_quiet()


def test_an_object_that_the_key_may_no_longer_see_stops_the_pair(open_shop: Open) -> None:
    """The whole object disappears for this user: the run fails and says so, and nothing is deleted."""
    shop = open_shop(firms('deletes = "propagate"'))
    shop.sql("INSERT INTO firms (name) VALUES ('Acme'), ('Bolt')")
    shop.sync()
    shop.server.permit_object(COMPANIES, visible=False)
    shop.clock.time += DAY
    with pytest.raises(ConfigError, match="companies_company"):
        shop.run()
    assert len(shop.rows("*", "firms", "name")) == 2
    shop.server.permit_object(COMPANIES)
    shop.assert_quiet()


def test_leaving_the_filter_pauses_and_never_deletes(open_shop: Open) -> None:
    """A contact that leaves the scope stays where it is on both sides, and goes on where it left off when it comes back."""
    policies = 'deletes = "propagate"\nfilter.left = [{ field = "last_name", is = "DE" }]'
    shop = open_shop(people(policies))
    for name in ("ada", "bob"):
        shop.server.add_record(CONTACTS, email=f"{name}@example.com", first_name=name, last_name="DE")
    shop.server.add_record(CONTACTS, email="cyd@example.com", first_name="cyd", last_name="FR")
    shop.sync()
    assert [name for (name,) in shop.rows("first_name")] == ["ada", "bob"]
    ada = shop.contact("ada@example.com")["id"]
    shop.server.edit(ada, last_name="FR", first_name="Ada")
    shop.sync()
    assert [name for (name,) in shop.rows("first_name")] == ["ada", "bob"]
    shop.assert_quiet()
    shop.server.edit(ada, last_name="DE")
    shop.sync()
    assert [name for (name,) in shop.rows("first_name")] == ["Ada", "bob"]
    shop.assert_quiet()

    shop.configure(people(policies.replace('is = "DE"', 'is = "FR"')))
    shop.sync()
    assert sorted(name for (name,) in shop.rows("first_name")) == ["Ada", "bob", "cyd"]
    assert shop.writes() == []
    shop.assert_quiet()


@pytest.mark.parametrize("switches", [{"search_lag": 10}, {"search_lag_searches": 2}], ids=["seconds", "searches"])
def test_a_search_that_lags_doubles_and_loses_nothing(open_shop: Open, switches: dict[str, float]) -> None:
    """What we created is not in the search yet: it is not created again, not taken for deleted, and its edits come over."""
    shop = open_shop(people('deletes = "propagate"'), switches=switches)
    for number in range(4):
        shop.sql(f"INSERT INTO people (email, first_name) VALUES ('p{number}@example.com', 'P{number}')")
        shop.run()
        shop.clock.time -= 58  # the next run comes two seconds after this one
        shop.run()
        shop.clock.time -= 58
    shop.sweep()
    assert len(shop.server.records(CONTACTS)) == len(shop.rows("*")) == 4
    shop.server.edit(shop.contact("p2@example.com")["id"], first_name="Edited")
    for _ in range(4):
        shop.run()
    assert shop.value("first_name", "p2@example.com") == "Edited"
    assert sum(one.changed for one in shop.server.requests.writes(CONTACTS)) == 4
    shop.assert_quiet()


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"ordering": "ignored"},
        {"ordering": "ignored", "default_order": "updated"},
        {"ordering": "names"},
        {"default_order": "shuffled", "ordering": "ignored"},
    ],
    ids=lambda switches: "-".join(map(str, switches.values())) or "default",
)
def test_rows_that_move_between_pages_are_neither_lost_nor_doubled(open_shop: Open, switches: dict[str, str]) -> None:
    """Edits and archives while a first listing is under way, with pages in any order: both sides hold the same afterwards."""
    steps: list[Callable[[], None]] = []
    shop = open_shop(
        people('deletes = "propagate"'),
        options="page_size = 10",
        switches=switches,
        between=lambda: steps.pop(0)() if steps else None,
    )
    ids = []
    for n in range(45):
        ids.append(shop.server.add_record(CONTACTS, email=f"p{n:03}@example.com", first_name=f"P{n:03}"))
        shop.clock.time += 1
    steps += [
        lambda: shop.server.archive(ids[44]),
        lambda: shop.server.edit(ids[3], first_name="Moved"),
        lambda: shop.server.archive(ids[20]),
    ]
    shop.server.fault("latency", path="/search$", skip=1, times=None, seconds=0.1)
    shop.run()
    assert not steps
    shop.server.calm()
    shop.sweep()
    shop.sweep()
    left = {one["email"]: one["first_name"] for one in shop.server.records(CONTACTS)}
    assert dict(shop.rows("email, first_name")) == left
    assert len(left) == 43
    assert shop.server.requests.writes(CONTACTS) == []
    shop.assert_quiet()


def test_records_of_one_instant_on_both_sides_of_a_page_are_all_read(open_shop: Open) -> None:
    """Many contacts share the cursor's millisecond, with a page border among them: every edit comes over."""
    shop = filled(open_shop, options="page_size = 7")
    for one in shop.server.records(CONTACTS):
        shop.server.edit(one["id"], last_name="Same")
    shop.sync()
    assert {name for (name,) in shop.rows("last_name")} == {"Same"}
    for one in shop.server.records(CONTACTS)[::3]:
        shop.server.edit(one["id"], last_name="Third")
    shop.sync()
    assert sum(name == "Third" for (name,) in shop.rows("last_name")) == 10
    shop.assert_quiet()
