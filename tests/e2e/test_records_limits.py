"""Limits, outages, keys that stop working: it waits or stops cleanly, and goes on where it was (failure mode 17)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from syncengine.engine.report import Exit
from tests.support.records import CONTACTS, Shop, people

Open = Callable[..., Shop]


def filled(open_shop: Open, number: int = 6, **options: object) -> Shop:
    """People who are in sync, each with a change to carry to the CRM."""
    shop = open_shop(people(), **options)
    for n in range(number):
        shop.sql(f"INSERT INTO people (email, first_name) VALUES ('p{n:02}@example.com', 'P{n:02}')")
    shop.sync()
    shop.sql("UPDATE people SET last_name='New'")
    return shop


def arrived(shop: Shop) -> int:
    return sum(one.get("last_name") == "New" for one in shop.server.records(CONTACTS))


def effects(shop: Shop) -> int:
    """Patches that changed something, ever."""
    return sum(one.changed for one in shop.server.requests.select(action="patch", object=CONTACTS))


@pytest.mark.parametrize("method", ["POST", "GET", "PATCH"])
@pytest.mark.parametrize("retry_after", [7, "date", None])
def test_a_429_waits_as_long_as_it_is_told(open_shop: Open, method: str, retry_after: object) -> None:
    """Retry-After in seconds, as a date, or not at all: the same run waits and goes through; nothing is written twice."""
    shop = filled(open_shop)
    before = shop.clock.now()
    shop.server.fault("throttle", method=method, path="/records/", retry_after=retry_after)
    report = shop.sync()["people"]
    assert report.exit is Exit.DONE
    assert arrived(shop) == effects(shop) == 6
    waited = shop.clock.now() - before - 60
    assert waited >= {7: 7, "date": 0.5, None: 0.5}[retry_after]
    shop.assert_quiet()


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_outage_of_a_moment_is_waited_out(open_shop: Open, status: int) -> None:
    """Two answers of the gateway while reading: the run goes through."""
    shop = filled(open_shop)
    shop.server.fault("error", method="POST", path="/search$", status=status, times=2)
    assert shop.sync()["people"].exit is Exit.DONE
    assert arrived(shop) == effects(shop) == 6
    shop.assert_quiet()


def test_an_outage_of_ten_minutes_is_survived(open_shop: Open) -> None:
    """
    Every run of the outage fails and says so, after four tries of its first call; nothing is lost or doubled, and the first run
    after it catches up.
    """
    shop = filled(open_shop)
    shop.server.fault("error", status=503, times=None)
    for _ in range(5):
        shop.clock.time += 60
        calls = shop.server.requests.total
        report = shop.run()["people"]
        assert shop.server.requests.total - calls == 4
        assert report.exit is Exit.FAILED
        assert "503" in report.error
    assert arrived(shop) == 0
    shop.server.calm()
    assert shop.sync()["people"].exit is Exit.DONE
    assert arrived(shop) == effects(shop) == 6
    shop.assert_quiet()


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_that_fails_while_we_write_leaves_nothing_twice(open_shop: Open, status: int) -> None:
    """A write answered with 5xx may have been applied: it is looked up, not repeated on a guess."""
    shop = filled(open_shop)
    shop.server.fault("error", method="PATCH", status=status, times=3, committed=True)
    shop.run()
    shop.later(70)
    shop.sync()
    assert arrived(shop) == effects(shop) == 6
    shop.assert_quiet()


@pytest.mark.parametrize(("method", "path"), [("POST", "/search$"), ("GET", "/records/"), ("PATCH", "/records/")])
def test_a_key_that_stops_working_in_the_middle_stops_the_run(open_shop: Open, method: str, path: str) -> None:
    """401 is not retried and not taken for absence; what was written is known, the rest follows when the key works again."""
    shop = filled(open_shop)
    shop.server.fault("error", method=method, path=path, status=401, times=None, skip=0 if method == "POST" else 2)
    report = shop.run()["people"]
    assert report.exit is Exit.FAILED
    assert "401" in report.error
    assert len(shop.rows("*")) == len(shop.server.records(CONTACTS)) == 6
    refused = shop.server.requests.select(status=401, after=shop.mark)
    assert 1 <= len(refused) <= 6
    shop.server.calm()
    assert shop.sync()["people"].exit is Exit.DONE
    assert arrived(shop) == effects(shop) == 6
    shop.assert_quiet()


def test_the_calls_of_a_run_are_bounded_and_the_next_run_goes_on(open_shop: Open) -> None:
    """`max_calls` stops the run before its first call too many; run after run the rest is done, nothing twice."""
    shop = filled(open_shop, options="max_calls = 9\nmax_concurrency = 1")
    for _ in range(12):
        report = shop.run()["people"]
        assert len(shop.server.requests.select(after=shop.mark)) <= 9
        if report.exit is Exit.DONE:
            break
    assert arrived(shop) == 6
    assert sum(one.changed for one in shop.server.requests.select(action="add")) == 6


def test_a_server_that_hangs_up_while_we_read_is_asked_again(open_shop: Open) -> None:
    """Connections reset before any answer: reads are repeated, and the run goes through."""
    shop = filled(open_shop)
    shop.server.fault("reset", method="POST", path="/search$", times=2)
    shop.server.fault("reset", method="GET", path="/records/", times=2)
    assert shop.sync()["people"].exit is Exit.DONE
    assert arrived(shop) == effects(shop) == 6
    shop.assert_quiet()


def test_a_crm_that_restarts_between_runs_is_found_again(open_shop: Open) -> None:
    """While it is down the run fails with the reason; afterwards everything goes on."""
    shop = filled(open_shop)
    shop.server.stop()
    report = shop.run()["people"]
    assert report.exit is Exit.FAILED
    assert "can't be reached" in report.error
    with shop.app() as app:
        assert app.desk.runs(1)[0].exit is Exit.FAILED
    shop.server.start()
    assert shop.sync()["people"].exit is Exit.DONE
    assert arrived(shop) == 6
    shop.assert_quiet()


def test_what_was_learned_about_the_limit_is_remembered(open_shop: Open) -> None:
    """A second App starts at the limit that the first one found out."""
    shop = filled(open_shop, 3)
    shop.server.switch("rate", 4)
    shop.server.switch("rate_burst", 4)
    shop.sync()
    with shop.app() as app:
        learned = app.store.runs.note("rate:crm")
        assert learned is not None
        assert float(learned) > 0
        app.systems.connector("crm")
        assert app.systems.learned_rates()["crm"] == float(learned)
