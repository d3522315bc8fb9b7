"""The daemon compacts the state once a day, also across restarts, and never while it would hurt."""

from __future__ import annotations

import structlog.testing

from syncengine.daemon.upkeep import DAY, Upkeep
from tests.support.household import Household, pair


def upkeep(house):
    """Does the chore now; tells what the log says of it."""
    app = house.open_app()
    try:
        with structlog.testing.capture_logs() as logs:
            Upkeep(lambda: house.service.config).chore.work(app, house.clock.now())
    finally:
        app.close()
    return [log["removed"] for log in logs if log["event"] == "state.compacted"]


def test_it_is_done_once_a_day_also_across_restarts(tmp_path):
    with Household(tmp_path, pair("people", 'schedule = "every 10 minutes"')) as house:
        house.live(1)
        assert len(upkeep(house)) == 1
        assert upkeep(house) == []
        house.end()
        house.begin()
        house.clock.time += DAY - 60
        assert upkeep(house) == []
        house.clock.time += 120
        assert len(upkeep(house)) == 1
        house.clock.time -= 30 * DAY  # a clock that was wrong must not put it off for a month
        assert len(upkeep(house)) == 1


def test_what_is_older_than_keep_goes_and_the_pair_goes_on(tmp_path):
    with Household(tmp_path, pair("people", 'schedule = "every hour"'), 'jitter = 0\nkeep = "2 days"') as house:
        house.people("one").insert(email="ada@example.com", name="Ada")
        for day in range(10):
            house.people("one").edit(next(iter(house.people("one").records())), name=f"day {day}")
            house.live(DAY, step=1800)
        app = house.open_app()
        before = len(app.desk.runs(1000))
        app.close()
        [removed] = upkeep(house)
        assert removed["journal entries"] >= 7
        assert removed["runs"] > 7 * 20
        app = house.open_app()
        assert len(app.desk.runs(1000)) == before - removed["runs"]
        assert app.desk.status().pairs[0].fresh_at is not None
        app.close()
        house.people("one").edit(next(iter(house.people("one").records())), name="Countess")
        assert [sum(news.report.written.values()) for news in house.live(3700, step=60) if news.report.written] == [1]
