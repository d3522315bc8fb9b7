"""The small languages of config values: schedules, durations, percentages."""

import pytest
from pydantic_core import PydanticCustomError

from syncengine.config.scalars import AtStart, Cron, Every, parse_duration, parse_schedule, parse_share

ALL = {
    "minutes": frozenset(range(60)),
    "hours": frozenset(range(24)),
    "days": frozenset(range(1, 32)),
    "months": frozenset(range(1, 13)),
    "weekdays": frozenset(range(7)),
    "any_day": False,
}

SCHEDULES = [
    ("every 5 minutes", Every(seconds=300)),
    ("every minute", Every(seconds=60)),
    ("Every  1.5 hours", Every(seconds=5400)),
    ("every 90s", Every(seconds=90)),
    ("at start", AtStart()),
    ("* * * * *", Cron(**ALL)),
    ("0 6 * * 1-5", Cron(**{**ALL, "minutes": frozenset({0}), "hours": frozenset({6}), "weekdays": frozenset({1, 2, 3, 4, 5})})),
    ("*/15 * * * *", Cron(**{**ALL, "minutes": frozenset({0, 15, 30, 45})})),
    ("5/20 * * * *", Cron(**{**ALL, "minutes": frozenset({5, 25, 45})})),
    ("1-9/4,30 * * * *", Cron(**{**ALL, "minutes": frozenset({1, 5, 9, 30})})),
    ("* * * jan-MAR *", Cron(**{**ALL, "months": frozenset({1, 2, 3})})),
    ("* * * * sun", Cron(**{**ALL, "weekdays": frozenset({0})})),
    ("* * * * 7", Cron(**{**ALL, "weekdays": frozenset({0})})),
    ("* * * * fri-7", Cron(**{**ALL, "weekdays": frozenset({5, 6, 0})})),
    ("* * 13 * fri", Cron(**{**ALL, "days": frozenset({13}), "weekdays": frozenset({5}), "any_day": True})),
    ("* * * * * Europe/Berlin", Cron(**ALL, timezone="Europe/Berlin")),
]


@pytest.mark.parametrize(("text", "schedule"), SCHEDULES)
def test_a_schedule_is_read_as_cron_and_people_mean_it(text, schedule):
    assert parse_schedule(text) == schedule


NOT_SCHEDULES = """
every; every 5; every 0 minutes; every -1 minutes; 60 * * * *; * 24 * * *; * * 0 * *; * * * 13 *; * * * * 8; */0 * * * *
5-1 * * * *; a * * * *; 0 0 30 2 *; 0 0 31 4,6,9,11 *; 1, * * * *; *-5 * * * *x; * * * * * * *; \u0661 * * * *; 0001 * * * *; ,; - - - - -
"""


@pytest.mark.parametrize("text", ["", *(part.strip() for line in NOT_SCHEDULES.split("\n") for part in line.split(";") if part)])
def test_what_is_no_schedule_is_refused(text):
    with pytest.raises(PydanticCustomError):
        parse_schedule(text)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(5, 5.0), (0, 0.0), ("2", 2.0), ("90 seconds", 90.0), ("1 day", 86400.0), ("1.5h", 5400.0), ("2 Weeks", 1209600.0)],
)
def test_a_duration_is_seconds_or_says_its_unit(value, seconds):
    assert parse_duration(value) == seconds


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0%", 0.0), ("100 %", 1.0), (" 12.5% ", 0.125)])
def test_a_percentage_is_a_share(text, share):
    assert parse_share(text) == share
