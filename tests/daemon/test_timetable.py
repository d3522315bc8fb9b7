"""When pairs run, by a clock that the test sets: nothing is dropped, nothing is stacked, whatever the clock does."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.core.model import End, PairSpec
from syncengine.daemon.schedule import Known, Timetable, offset, timing

START = 1_800_000_000.0
BERLIN = ZoneInfo("Europe/Berlin")
DAY = 86_400.0


def spec(name="people", schedule="every 5 minutes", **more):
    ends = {"left": End(system="one", resource=name), "right": End(system="two", resource=name)}
    return PairSpec(name=name, **ends, match=("email",), fields=(), schedule=schedule, **more)


def table(*specs, now=START, jitter=0.0, known=None, before=None, zone=UTC):
    return Timetable(
        pairs={each.name: each for each in specs}, zone=zone, jitter=jitter, now=now, known=known or {}, before=before
    )


def lived(timetable, pair, *, since, until, step=1.0):
    """The moments at which a pair is started by ticks every `step` seconds, each run taking no time."""
    found, now = [], since
    while now <= until:
        if pair in timetable.due(now):
            timetable.started(pair, now)
            timetable.ended(pair, now, full_at=None)
            found.append(now - START)
        now += step
    return found


def moments(text, zone, start, count):
    found, moment, clock = [], start.timestamp(), timing(text, zone=zone, start=0.0)
    for _ in range(count):
        moment = clock.after(moment)
        found.append(datetime.fromtimestamp(moment, zone).isoformat(timespec="minutes"))
    return found


# Schedules


def test_a_pair_that_never_ran_runs_at_once_and_then_in_step():
    assert lived(table(spec()), "people", since=START, until=START + 1000) == [0.0, 300.0, 600.0, 900.0]


def test_at_start_runs_once():
    assert lived(table(spec(schedule="at start")), "people", since=START, until=START + DAY, step=60) == [0.0]


def test_a_pair_without_a_schedule_is_left_to_people_and_hints():
    timetable = table(spec(schedule=None))
    assert lived(timetable, "people", since=START, until=START + DAY, step=600) == []
    timetable.failed("people", START, "no", is_whole=False)
    assert lived(timetable, "people", since=START, until=START + DAY, step=600) == []
    assert timetable.entries["people"].due_at is None


def test_a_run_that_a_person_asked_for_and_that_failed_is_tried_again_without_a_schedule():
    timetable = table(spec(schedule=None))
    timetable.started("people", START)
    timetable.failed("people", START, "no")
    assert timetable.next_at("people") == START + 10
    assert lived(timetable, "people", since=START, until=START + DAY) == [10.0]


def test_a_late_tick_runs_once_and_is_never_stacked():
    timetable = table(spec())
    assert timetable.due(START) == ["people"]
    timetable.started("people", START)
    assert timetable.due(START + 3700) == ["people"], "twelve moments passed: one run"
    timetable.started("people", START + 3700)
    assert timetable.due(START + 3701) == []
    assert timetable.next_at("people") == START + 3900


def test_a_moment_that_passes_during_a_run_is_run_after_it():
    timetable = table(spec())
    timetable.started("people", START)
    timetable.ended("people", START + 700, full_at=None)
    assert timetable.due(START + 700) == ["people"]


def test_a_moment_that_passed_while_no_daemon_ran_is_late_and_not_lost():
    daily = spec(schedule="0 6 * * *")
    six = datetime(2027, 1, 15, 6, tzinfo=UTC).timestamp()
    assert table(daily, now=six + 3600, known={"people": Known(last=six - DAY)}).due(six + 3600) == ["people"]
    assert table(daily, now=six + 3600, known={"people": Known(last=six + 5)}).due(six + 3600) == []
    assert table(daily, now=six + 3600).due(six + 3600) == [], "it never ran: nothing was missed"


def test_a_restart_does_not_run_what_has_just_run():
    assert table(spec(), now=START + 60, known={"people": Known(last=START)}).due(START + 60) == []


@given(st.lists(st.floats(0.5, 4000.0), min_size=1, max_size=40), st.sampled_from([30.0, 300.0, 3600.0]))
def test_whatever_the_ticks_each_moment_is_followed_by_exactly_one_start_before_the_next_tick(gaps, seconds):
    """Between two ticks there is one run if a moment of the schedule lies between them, and none otherwise."""
    timetable = table(spec(schedule=f"every {seconds:.0f} seconds"), known={"people": Known(last=START)})
    now = START
    for gap in gaps:
        before, now = now, now + gap
        passed = now // seconds > before // seconds
        due = timetable.due(now) == ["people"]
        assert due == passed
        if due:
            timetable.started("people", now)


# Daylight saving


@pytest.mark.parametrize(
    ("text", "zone", "start", "expected"),
    [
        ("30 2 * * *", "Europe/Berlin", (2026, 3, 28), ["03-28T02:30+01:00", "03-29T03:30+02:00", "03-30T02:30+02:00"]),
        ("30 2 * * *", "Europe/Berlin", (2026, 10, 24), ["10-24T02:30+02:00", "10-25T02:30+02:00", "10-26T02:30+01:00"]),
        ("0,30 2,3 * * *", "Europe/Berlin", (2026, 3, 29), ["03-29T03:00+02:00", "03-29T03:30+02:00", "03-30T02:00+02:00"]),
        ("0 1-3 * * *", "Europe/Berlin", (2026, 10, 25), ["10-25T01:00+02:00", "10-25T02:00+02:00", "10-25T03:00+01:00"]),
        ("0 0 * * sun", "America/Havana", (2026, 3, 7), ["03-08T01:00-04:00", "03-15T00:00-04:00", "03-22T00:00-04:00"]),
        ("30 0 * * *", "America/Havana", (2026, 10, 31), ["10-31T00:30-04:00", "11-01T00:30-04:00", "11-02T00:30-05:00"]),
        ("15 2 * * *", "Australia/Lord_Howe", (2026, 10, 3), ["10-03T02:15+10:30", "10-04T02:45+11:00", "10-05T02:15+11:00"]),
    ],
)
def test_a_time_of_day_comes_once_a_day_also_when_the_clocks_change(text, zone, start, expected):
    """One that is left out comes as late as the clocks were put forward; one that comes twice counts once."""
    assert moments(text, ZoneInfo(zone), datetime(*start, tzinfo=ZoneInfo(zone)), 3) == [f"2026-{each}" for each in expected]


def test_a_line_that_runs_in_every_hour_keeps_its_pace_when_the_clocks_change():
    for day in (datetime(2026, 3, 29, tzinfo=BERLIN), datetime(2026, 10, 25, tzinfo=BERLIN)):
        clock, moment, gaps = timing("*/30 * * * *", zone=BERLIN, start=0.0), day.timestamp(), set()
        for _ in range(12):
            following = clock.after(moment)
            gaps.add(following - moment)
            moment = following
        assert gaps == {1800.0}


def test_a_line_names_its_own_zone():
    start = datetime(2026, 7, 1, tzinfo=UTC)
    assert moments("0 6 * * * America/New_York", UTC, start, 1) == ["2026-07-01T10:00+00:00"]
    assert moments("0 6 * * *", UTC, start, 1) == ["2026-07-01T06:00+00:00"]


def test_a_line_with_both_days_runs_on_either_as_cron_does():
    assert [each[5:10] for each in moments("0 0 13 * fri", UTC, datetime(2026, 2, 1, tzinfo=UTC), 4)] == [
        "02-06", "02-13", "02-20", "02-27",
    ]  # fmt: skip
    assert [each[5:10] for each in moments("0 0 * * 0", UTC, datetime(2026, 2, 1, 1, tzinfo=UTC), 2)] == ["02-08", "02-15"]


@given(
    st.integers(0, 59), st.integers(0, 22), st.integers(0, 1000),
    st.sampled_from(["Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "Asia/Gaza", "America/Sao_Paulo", "Africa/Casablanca"]),
)  # fmt: skip
def test_every_day_has_its_run_in_every_zone(minute, hour, day, zone):
    """From any moment on, the next one is at most a day and the largest step of the clocks away, and after it."""
    clock = timing(f"{minute} {hour} * * *", zone=ZoneInfo(zone), start=0.0)
    moment = START - 500 * DAY + day * DAY
    following = clock.after(moment)
    assert 0 < following - moment <= DAY + 2 * 3600
    assert clock.after(following) - following >= DAY - 2 * 3600


# Clocks that jump


def test_a_clock_set_forward_runs_once_and_goes_on_in_step():
    timetable = table(spec())
    timetable.started("people", START)
    assert lived(timetable, "people", since=START + 10 * DAY, until=START + 10 * DAY + 700) == [864000.0, 864300.0, 864600.0]


def test_a_clock_set_back_stops_nothing():
    timetable = table(spec(), known={"people": Known(full_at=START)})
    timetable.started("people", START)
    timetable.failed("people", START, "no")
    assert timetable.due(START - 10 * DAY) == []
    assert timetable.next_at("people") <= START - 10 * DAY + 3600
    found = lived(timetable, "people", since=START - 10 * DAY, until=START - 10 * DAY + 8000)
    assert len(found) >= 10


@given(st.lists(st.floats(-5 * DAY, 5 * DAY), min_size=1, max_size=20))
def test_however_the_clock_is_set_a_pair_runs_within_its_interval(jumps):
    timetable, now = table(spec()), START
    for jump in jumps:
        now = max(0.0, now + jump)
        runs = lived(timetable, "people", since=now, until=now + 900, step=10)
        assert 2 <= len(runs) <= 4
        now += 900


# Jitter


def test_jitter_is_the_same_each_time_and_differs_between_pairs():
    offsets = {name: offset(name, "0 6 * * *", 600.0) for name in "abcdefgh"}
    assert offsets == {name: offset(name, "0 6 * * *", 600.0) for name in "abcdefgh"}
    assert len(set(offsets.values())) == 8
    assert all(0 <= each <= 600 for each in offsets.values())
    assert max(offset(name, "every 10 seconds", 600.0) for name in "abcdefgh") <= 5.0


def test_jitter_moves_every_run_by_the_same_time():
    later = offset("people", "every 5 minutes", 60.0)
    found = lived(table(spec(), jitter=60.0, known={"people": Known(last=START)}), "people", since=START, until=START + 1000)
    assert found == pytest.approx([later, 300 + later, 600 + later, 900 + later], abs=1.0)


# Failures


def test_a_pair_that_fails_waits_twice_as_long_each_time_up_to_an_hour():
    timetable, now, pauses = table(spec()), START, []
    for _ in range(6):
        assert timetable.due(now) == ["people"]
        timetable.started("people", now)
        timetable.failed("people", now, "it is down")
        pauses.append(timetable.next_at("people") - now)
        assert timetable.due(now + pauses[-1] - 1) == []
        now += pauses[-1]
    assert pauses == [300.0, 600.0, 1200.0, 2400.0, 3600.0, 3600.0]
    assert timetable.entries["people"].trouble == "it is down"
    timetable.started("people", now)
    timetable.ended("people", now, full_at=None)
    assert (timetable.entries["people"].failures, timetable.entries["people"].trouble) == (0, "")
    assert timetable.next_at("people") - now <= 300


def test_a_nightly_pair_that_fails_does_not_wait_for_the_next_night():
    timetable = table(spec(schedule="0 6 * * *"))
    timetable.started("people", START)
    timetable.failed("people", START, "no")
    assert timetable.next_at("people") == START + 10


def test_a_pair_held_up_by_another_run_looks_again_soon_and_counts_no_failure():
    timetable, now, looks = table(spec()), START, []
    for _ in range(7):
        timetable.started("people", now)
        timetable.held_up("people", now)
        looks.append(timetable.next_at("people") - now)
        now += looks[-1]
        assert timetable.due(now) == ["people"]
    assert looks == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert timetable.entries["people"].failures == 0


# Doubts


def doubting(timetable, now, ends_at, *, is_whole=True):
    """A run that left a write in doubt."""
    if is_whole:
        timetable.started("people", now)
        timetable.ended("people", now, full_at=None)
    timetable.doubted("people", now, ends_at, is_whole=is_whole)


@pytest.mark.parametrize("schedule", ["every 6 hours", None])
def test_a_write_in_doubt_is_looked_for_when_it_can_be_proved_and_not_when_the_schedule_says_so(schedule):
    timetable = table(spec(schedule=schedule), known={"people": Known(last=START)})
    doubting(timetable, START, START + 120, is_whole=False)
    assert timetable.due(START + 119) == []
    assert timetable.due(START + 120) == ["people"]
    doubting(timetable, START + 120, None)
    assert timetable.due(START + 7200) == []


def test_a_doubt_that_nothing_proves_is_looked_at_ever_more_rarely():
    timetable, now, pauses = table(spec(schedule=None)), START, []
    for _ in range(14):
        doubting(timetable, now, START)
        pauses.append(timetable.next_at("people") - now)
        now += pauses[-1]
        assert timetable.due(now - 0.5) == []
        assert timetable.due(now) == ["people"]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 3600.0, 3600.0]


def test_runs_over_single_records_never_put_off_the_one_that_may_prove_a_doubt():
    timetable = table(spec(schedule=None))
    doubting(timetable, START, START)
    for second in range(2):
        doubting(timetable, START + second, START, is_whole=False)
    assert timetable.due(START + 2) == ["people"]


def test_a_pair_that_failed_waits_its_pause_whatever_is_in_doubt():
    for schedule in ("every hour", None):
        timetable = table(spec(schedule=schedule), known={"people": Known(last=START)})
        timetable.failed("people", START, "no")
        timetable.doubted("people", START, START, is_whole=False)
        pause = timetable.next_at("people") - START
        assert pause == (300.0 if schedule else 10.0)
        assert timetable.due(START + pause - 1) == []
        assert timetable.due(START + pause) == ["people"]


def test_a_run_that_was_to_prove_a_doubt_and_failed_is_made_again():
    timetable = table(spec(schedule=None))
    doubting(timetable, START, START, is_whole=False)
    timetable.started("people", START + 1)
    timetable.failed("people", START + 1, "no")
    assert timetable.due(START + 10) == []
    assert timetable.due(START + 11) == ["people"]


def test_a_restart_looks_at_what_is_in_doubt_first():
    for schedule in ("every 6 hours", None):
        assert table(spec(schedule=schedule), known={"people": Known(last=START, in_doubt=True)}).due(START) == ["people"]


# Sweeps and reloads


def test_everything_is_read_again_on_a_schedule_of_its_own():
    """Also where the pair's own schedule is rarer, or is over."""
    timetable = table(spec(schedule="at start", full_sweep=3600.0), known={"people": Known(full_at=START - 3000)})
    assert timetable.due(START) == ["people"]
    timetable.started("people", START)
    timetable.ended("people", START, full_at=START - 3000)
    assert timetable.due(START + 599) == []
    assert timetable.due(START + 600) == ["people"]
    timetable.started("people", START + 600)
    timetable.ended("people", START + 600, full_at=START + 600)
    assert timetable.next_at("people") == START + 4200


def test_a_sweep_that_does_not_come_about_is_not_asked_for_without_end():
    timetable = table(spec(schedule="at start", full_sweep=3600.0), known={"people": Known(full_at=START - DAY)})
    timetable.started("people", START)
    timetable.ended("people", START, full_at=START - DAY)
    assert timetable.next_at("people") == START + 60


def test_a_reload_tries_again_at_once_what_failed_and_does_not_run_at_start_again():
    old = table(spec(), spec("once", "at start"))
    for pair in ("people", "once"):
        old.started(pair, START)
    old.failed("people", START, "it is down")
    new = table(spec(schedule="every minute"), spec("once", "at start"), spec("fresh"), now=START + 10, before=old)
    assert new.due(START + 10) == ["people", "fresh"]
    assert new.entries["people"].failures == 1
