"""How many calls the CRM gets: counted in its own log."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from connectors.kizen.server import RecordsServer
from tests.support.records import COMPANIES, CONTACTS, DAY, Shop, firms, people

Open = Callable[..., Shop]


def filled(open_shop: Open, number: int, **options: object) -> Shop:
    """This many people in sync, and a quiet hour after."""
    shop = open_shop(people(), **options)
    shop.sql(*(f"INSERT INTO people (email, first_name) VALUES ('p{n:04}@example.com', 'P{n:04}')" for n in range(number)))
    for n in range(number):
        shop.server.add_record(CONTACTS, email=f"p{n:04}@example.com", first_name=f"P{n:04}")
    shop.sync()
    shop.clock.time += 3600
    return shop


def calls(shop: Shop) -> list[str]:
    """What the latest run asked for, in order."""
    return [one.action for one in shop.server.requests.select(after=shop.mark)]


@pytest.mark.parametrize(
    ("records", "page", "pages"), [(0, 10, 1), (1, 10, 1), (10, 10, 1), (11, 10, 2), (95, 10, 10), (1001, 1000, 2)]
)
def test_a_full_read_makes_one_search_a_page(open_shop: Open, records: int, page: int, pages: int) -> None:
    """ceil(N / page size) searches, one call for the metadata, and nothing else."""
    shop = filled(open_shop, records, options=f"page_size = {page}")
    shop.clock.time += DAY
    shop.run()
    assert calls(shop) == ["fields", *["search"] * pages]


def test_an_incremental_run_with_nothing_new_makes_one_search(open_shop: Open) -> None:
    """One search and one call for the metadata, for each resource; credentials are asked only while the state knows no account."""
    shop = open_shop(people() + firms())
    shop.sql("INSERT INTO people (email) VALUES ('ada@example.com')", "INSERT INTO firms (name) VALUES ('Acme')")
    shop.run()
    assert calls(shop)[:2] == ["access", "bootstrap"]
    shop.clock.time += 3600
    shop.run()
    assert sorted(calls(shop)) == ["fields", "fields", "search", "search"]
    assert {one.object for one in shop.server.requests.select(action="search", after=shop.mark)} == {CONTACTS, COMPANIES}


def test_a_pipeline_needs_no_more(open_shop: Open) -> None:
    """The metadata of its fields tells the stages too."""
    shop = open_shop(firms(fields='city = { left = "stage", right = "city" }').replace("companies_company", "deals"))
    shop.server.add_object(
        "Deals", name="deals", object_type="pipeline", stages=[{"name": "New"}, {"name": "Won", "status": "won"}]
    )
    shop.server.add_record("deals", name="First", stage="New")
    shop.sync()
    shop.clock.time += 3600
    shop.run()
    assert calls(shop) == ["fields", "search"]


@pytest.mark.parametrize("number", [1, 7])
def test_changed_rows_cost_a_read_and_a_write_each(open_shop: Open, number: int) -> None:
    """
    k rows changed: k reads by id right before, k writes, and the search; the unchanged ones cost nothing. The second look at the
    metadata tells that a field which none of these records shows is blank, and not there any more.
    """
    shop = filled(open_shop, 40)
    shop.sql(f"UPDATE people SET last_name='Changed' WHERE email < 'p{number:04}'")
    shop.run()
    assert sorted(calls(shop)) == ["fields", "fields", *["get"] * number, *["patch"] * number, "search"]


def test_changed_contacts_cost_no_write_there(open_shop: Open) -> None:
    """k contacts changed: they come with the search; each is read once more right before its row is written, because search lags."""
    shop = filled(open_shop, 40)
    for one in shop.server.records(CONTACTS)[:5]:
        shop.server.edit(one["id"], last_name="Changed")
    shop.run()
    assert sorted(calls(shop)) == ["fields", "fields", *["get"] * 5, "search"]
    assert shop.writes() == []


def test_new_rows_cost_a_look_up_and_a_write_each(open_shop: Open) -> None:
    """A contact is looked up and added (the platform refuses a twin); a company too, and its probes are made twenty at a time."""
    shop = filled(open_shop, 10)
    shop.sql("INSERT INTO people (email) VALUES ('new1@example.com'), ('new2@example.com')")
    shop.run()
    assert shop.actions() == ["add", "add"]
    assert shop.asked("lookup") <= 2
    assert shop.asked("get") == 0
    assert shop.asked("search") == 1


def test_another_key_on_the_same_account_asks_nothing_more(open_shop: Open) -> None:
    """A wrong key fails at the first call, whatever it is; another business is refused before any call."""
    shop = filled(open_shop, 3)
    key = shop.server.credentials.api_key
    text = shop.path.read_text()
    shop.path.write_text(text.replace(key, "wrong"))
    assert "401" in shop.run()["people"].error
    assert len(calls(shop)) == 1
    shop.path.write_text(text)
    shop.assert_quiet()


def test_another_business_on_a_known_state_is_refused(open_shop: Open, tmp_path) -> None:
    """The state belongs to one account: with another one behind the config nothing is read or written."""
    shop = filled(open_shop, 3)
    with RecordsServer(page=False, seed=9) as other:
        text = shop.path.read_text()
        for old, new in (
            (shop.server.url, other.url),
            (shop.server.credentials.api_key, other.credentials.api_key),
            (shop.server.credentials.business_id, other.credentials.business_id),
            (shop.server.credentials.user_id, other.credentials.user_id),
        ):
            text = text.replace(old, new)
        shop.path.write_text(text)
        report = shop.run()["people"]
        assert [trip.guard for trip in report.refused] == ["account"]
        assert other.records(CONTACTS) == []
        assert not [one for one in other.requests if one.action in {"search", "add", "upsert"}]
