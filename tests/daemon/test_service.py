"""What runs when: the service over systems in memory, on a clock that the test moves."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from syncengine.daemon.board import Activity
from syncengine.daemon.chores import Chores
from syncengine.daemon.news import Cause, Chore
from syncengine.engine.report import Exit
from syncengine.errors import AuthError, OutcomeUnknown, SyncError, TransientError
from syncengine.testing.memory import CallKind, Moment
from tests.support.household import START, Household, pair, started, tell

EVERY_5 = 'schedule = "every 5 minutes"'


@pytest.fixture
def make(tmp_path):
    made = []

    def household(*args, **kwargs):
        made.append(Household(tmp_path, *args, **kwargs))
        return made[-1]

    yield household
    for each in made:
        each.end()


def hints_left(house):
    with closing(sqlite3.connect(house.service.config.state)) as state:
        return state.execute("SELECT count(*) FROM hint").fetchone()[0]


# Schedules


def test_what_changes_on_a_side_is_on_the_other_after_the_next_run(make):
    house = make(pair("people", EVERY_5))
    ada = house.people("one").insert(email="ada@example.com", name="Ada")
    house.live(1)
    assert [each["name"] for each in house.people("two").records().values()] == ["Ada"]
    house.people("one").edit(ada, name="Ada L")
    house.live(298)
    assert [each["name"] for each in house.people("two").records().values()] == ["Ada"]
    house.live(10)
    assert [each["name"] for each in house.people("two").records().values()] == ["Ada L"]
    assert [at for _, at in started(house.news)] == [1, 300]


def test_pairs_run_beside_each_other_up_to_the_limit(make):
    names = "abcde"
    house = make(
        "".join(pair(name, EVERY_5, left=f"one.{name}", right=f"two.{name}") for name in names), "jitter = 0\nparallel = 3"
    )
    house.service.tick()
    jobs = house.jobs()
    assert [job.pair for job in jobs] == ["a", "b", "c"]
    assert {house.activity(name).activity for name in "abc"} == {Activity.RUNNING}
    assert {house.activity(name).activity for name in "de"} == {Activity.QUEUED}
    assert house.service.next_job(3, wait=False) is None, "there is no fourth worker"
    for job in jobs:
        house.finish(job)
    assert [job.pair for job in house.jobs()] == ["d", "e"]


def test_a_pair_never_runs_twice_at_once(make):
    house = make(pair("people", EVERY_5), "jitter = 0\nparallel = 3")
    house.service.tick()
    [job] = house.jobs()
    house.clock.time += 1000
    house.service.tick()
    house.service.ask_run("people")
    tell(house, "1")
    assert house.jobs() == []
    house.finish(job)
    [again] = house.jobs()
    assert again.cause is Cause.PERSON, "one run for all who asked while it was busy"


def test_pairs_on_one_resource_take_turns(make):
    pairs = (
        pair("first", EVERY_5)
        + pair("second", EVERY_5, right="three.people")
        + pair("third", EVERY_5, left="one.b", right="two.b")
    )
    house = make(pairs, "jitter = 0\nparallel = 3", worlds="one two three")
    house.service.tick()
    jobs = house.jobs()
    assert [job.pair for job in jobs] == ["first", "third"]
    house.finish(jobs[0])
    assert [job.pair for job in house.jobs()] == ["second"]


def test_referenced_pairs_come_first(make):
    child = pair("a_people", EVERY_5).replace('name = "name"', 'name = { left = "name", right = "name", references = "firms" }')
    house = make(child + pair("firms", EVERY_5, left="one.firms", right="two.firms"), "jitter = 0\nparallel = 1")
    house.service.tick()
    assert [job.pair for job in house.jobs()] == ["firms"]


def test_a_person_goes_before_the_schedule_and_an_unknown_pair_is_named(make):
    house = make(
        "".join(pair(name, EVERY_5, left=f"one.{name}", right=f"two.{name}") for name in "abc"), "jitter = 0\nparallel = 1"
    )
    house.service.tick()
    house.service.ask_run("c")
    assert [job.pair for job in house.jobs()] == ["c"]
    with pytest.raises(SyncError, match="no pair 'peeple'"):
        house.service.ask_run("peeple")


def test_asked_twice_before_it_begins_it_runs_once(make):
    house = make(pair())
    house.service.ask_run("people")
    house.service.ask_run("people", approve="0123456789")
    [job] = house.jobs()
    assert (job.cause, job.approve) == (Cause.PERSON, "0123456789")
    house.finish(job)
    assert house.jobs() == []


def test_an_approval_lets_a_refused_run_pass(make):
    house = make(pair("people", EVERY_5))
    house.people("one").insert(email="ada@example.com", name="Ada")
    house.people("two").insert(email="ada@example.com", name="Ada L")
    [refused] = house.live(1)
    assert refused.report.exit is Exit.REFUSED
    assert house.activity().failures == 0
    house.service.ask_run("people", approve=refused.report.approval)
    house.work()
    assert house.news[-1].report.exit is Exit.PARTIAL, "the names differ: a question"
    assert house.news[-1].cause is Cause.PERSON


# Trouble


def test_a_failing_pair_backs_off_and_says_so_while_the_others_go_on(make):
    house = make(pair("people", EVERY_5) + pair("firms", EVERY_5, left="three.firms", right="two.firms"), worlds="one two three")
    house.fail("one", AuthError("the key was revoked"))
    house.live(4000)
    failed = [(at, each.failures) for each, (_, at) in zip(house.news, started(house.news), strict=True) if each.pair == "people"]
    assert failed == [(1, 1), (301, 2), (901, 3), (2101, 4)]
    seen = house.activity()
    assert (seen.activity, seen.failures) == (Activity.BACKING_OFF, 4)
    assert "the key was revoked" in seen.trouble
    assert seen.next_at.timestamp() == pytest.approx(START + 2101 + 2400, abs=1)
    assert len([each for each in house.news if each.pair == "firms" and not each.trouble]) == 14
    house.fail("one", None)
    house.service.ask_run("people")
    house.work()
    assert house.activity().activity is Activity.IDLE, "a person need not wait"
    assert (house.activity().failures, house.activity().trouble) == (0, "")


def test_a_system_that_is_down_for_an_hour_is_caught_up_with_and_nothing_is_doubled(make):
    house = make(pair("people", 'schedule = "every minute"'))
    ids = [house.people("one").insert(email=f"p{n}@example.com", name=str(n)) for n in range(20)]
    house.live(61)
    house.fail("two", TransientError("503 from two"))
    for minute in range(60):
        house.people("one").edit(ids[minute % 20], name=f"edited {minute}")
        house.live(60)
    house.fail("two", None)
    house.live(3601)
    left = sorted((each["email"], each["name"]) for each in house.people("one").records().values())
    assert sorted((each["email"], each["name"]) for each in house.people("two").records().values()) == left
    writes = len(house.worlds["two"].writes())
    house.live(3600)
    assert len(house.worlds["two"].writes()) == writes
    assert house.activity().failures == 0


def test_a_bug_in_a_connector_fails_its_pair_and_nothing_else(make, capsys):
    house = make(pair("people", EVERY_5) + pair("firms", EVERY_5, left="three.firms", right="two.firms"), worlds="one two three")
    house.worlds["one"].on_call = lambda call, moment: {}["ada@example.com"]
    house.live(2)
    failed = next(each for each in house.news if each.pair == "people")
    assert "bug in the connector" in failed.trouble
    assert "ada@example.com" not in failed.trouble
    assert [each.pair for each in house.news if not each.trouble] == ["firms"]


def test_a_listener_that_breaks_ends_nothing(make, capsys):
    house = make(pair("people", EVERY_5))

    def broken(news):
        raise ValueError(news.pair)

    house.service.listeners = [broken, house.news.append]
    house.live(301)
    assert [at for _, at in started(house.news)] == [1, 300]


def test_a_lease_of_another_process_is_no_failure_and_costs_no_calls(make):
    house = make(pair("people", EVERY_5))
    house.people("one").insert(email="ada@example.com", name="Ada")
    app = house.open_app()
    resources = [f"{house.worlds[name].name}/people" for name in ("one", "two")]
    account = {name: app.systems.connector(name).check().id for name in ("one", "two")}
    resources = [f"{account[name]}/people" for name in ("one", "two")]
    lease = app.store.leases.acquire(resources, holder="cron", place="elsewhere pid 1 [:]", now=house.clock.now(), ttl=10_000)
    house.live(20)
    calls = sum(len(world.calls) for world in house.worlds.values())
    house.live(600)
    assert house.news == []
    assert house.activity().activity is Activity.QUEUED
    assert house.activity().failures == 0
    assert sum(len(world.calls) for world in house.worlds.values()) == calls
    app.store.leases.release(lease)
    app.close()
    house.live(31)
    assert [each.report.exit for each in house.news] == [Exit.DONE]
    assert len(house.people("two")) == 1


def test_a_state_that_is_locked_in_the_middle_of_a_run_is_waited_for_and_holds_nobody_up(make):
    """The run that broke off gives its leases back, so that the next worker need not wait for their end."""
    house = make(pair("people", EVERY_5), "jitter = 0\nparallel = 2")
    house.people("one").insert(email="ada@example.com", name="Ada")
    with closing(sqlite3.connect(house.service.config.state, isolation_level=None)) as other:

        def lock(call, moment):
            if call.kind is CallKind.WRITE:
                house.worlds["two"].on_call = None
                other.execute("BEGIN IMMEDIATE")

        house.worlds["two"].on_call = lock
        house.service.tick()
        [job] = house.jobs()
        result = house.finish(job)
        assert "locked by another program" in result.trouble
        other.execute("ROLLBACK")
    house.workers.reverse()  # whoever had it is busy now
    house.live(3)
    [done] = house.news
    assert (done.report.exit, done.failures) == (Exit.DONE, 0)
    assert len(house.people("two")) == 1


def test_trouble_with_the_state_is_said_and_ends_when_the_state_is_back(make):
    house = make(pair("people", EVERY_5))
    house.live(1)
    state = house.service.config.state
    assert house.service.is_ready
    hidden = state.with_name("hidden")
    for worker in house.workers:
        worker.close()
    state.rename(hidden)
    state.mkdir()
    house.live(301)
    assert not house.service.is_ready
    assert "is a folder" in house.activity().trouble
    state.rmdir()
    hidden.rename(state)
    house.live(601)
    assert house.service.is_ready
    assert house.activity().failures == 0


# Restart and reload


def test_a_restart_goes_on_where_the_schedule_was(make):
    house = make(pair("people", EVERY_5))
    house.live(61)
    house.end()
    house.begin()
    house.live(100)
    assert [at for _, at in started(house.news)] == [1]
    house.end()
    house.clock.time += 7200
    house.begin()
    house.live(2)
    assert [at for _, at in started(house.news)] == [1, 7362], "what passed meanwhile is one run"


def test_a_reload_takes_pairs_in_and_out_and_lets_what_runs_end(make):
    house = make(pair("people", EVERY_5) + pair("firms", EVERY_5, left="one.firms", right="two.firms"))
    house.service.tick()
    jobs = {job.pair: job for job in house.jobs()}
    config = house.configure(
        pair("firms", EVERY_5, left="one.firms", right="two.firms") + pair("new", left="one.new", right="two.new")
    )
    house.service.reject(["pairs.people: wrong"])
    assert house.service.config_problems == ("pairs.people: wrong",)
    house.service.adopt(config, known={})
    assert house.service.config_problems == ()
    assert [each.pair for each in house.service.activities()] == ["firms", "new"]
    assert house.activity("firms").activity is Activity.RUNNING
    house.finish(jobs["people"])
    assert house.news == [], "nobody asks for it any more"
    house.finish(jobs["firms"])
    assert [each.pair for each in house.news] == ["firms"]
    house.service.ask_run("new")
    assert [job.pair for job in house.jobs()] == ["new"]


def test_once_asked_to_stop_nothing_begins(make):
    house = make(pair("people", EVERY_5))
    house.service.stop()
    house.service.tick()
    assert house.jobs() == []
    assert not house.service.is_ready


# Hints


def test_a_hint_brings_one_record_over_and_reads_no_listing(make):
    house = make(pair("people", EVERY_5))
    ada = house.people("one").insert(email="ada@example.com", name="Ada")
    house.people("one").insert(email="bob@example.com", name="Bob")
    house.live(1)
    house.people("one").edit(ada, name="Ada L")
    house.people("one").insert("77", email="new@example.com", name="New")
    lists = [len(world.called(CallKind.PAGE)) for world in house.worlds.values()]
    tell(house, ada)
    tell(house, "77")
    house.work()
    assert sorted(each["name"] for each in house.people("two").records().values()) == ["Ada L", "Bob", "New"]
    assert [len(world.called(CallKind.PAGE)) for world in house.worlds.values()] == lists
    assert house.news[-1].cause is Cause.HINT
    assert hints_left(house) == 0


def test_a_burst_is_one_run(make):
    house = make(pair("people", EVERY_5))
    ids = [house.people("one").insert(email=f"p{n}@example.com", name=str(n)) for n in range(50)]
    house.live(1)
    for id_ in ids:
        house.people("one").edit(id_, name="again")
        tell(house, id_)
        tell(house, id_)
    house.work()
    assert [each.cause for each in house.news] == [Cause.SCHEDULE, Cause.HINT]
    assert {each["name"] for each in house.people("two").records().values()} == {"again"}


def test_a_hint_that_comes_while_its_record_is_looked_at_is_looked_at_again(make):
    house = make(pair("people", EVERY_5))
    ada = house.people("one").insert(email="ada@example.com", name="Ada")
    house.live(1)
    house.people("one").edit(ada, name="second")
    tell(house, ada)
    [job] = house.jobs()

    def edit_once(call, moment):
        if call.kind is CallKind.WRITE:
            house.worlds["two"].on_call = None
            house.people("one").edit(ada, name="third")
            tell(house, ada)

    house.worlds["two"].on_call = edit_once
    house.finish(job)
    house.work()
    assert [each["name"] for each in house.people("two").records().values()] == ["third"]
    assert hints_left(house) == 0


def test_hints_outlive_the_process(make):
    house = make(pair("people", EVERY_5))
    ada = house.people("one").insert(email="ada@example.com", name="Ada")
    house.live(1)
    house.people("one").edit(ada, name="Ada L")
    house.service.stop()
    tell(house, ada)
    house.end()
    house.begin()
    house.live(1)
    assert [each["name"] for each in house.people("two").records().values()] == ["Ada L"]
    assert house.news[-1].cause is Cause.HINT


def test_hints_of_a_failing_pair_wait_with_it(make):
    """A burst against a system that is down is not a burst of failures."""
    house = make(pair("people", EVERY_5))
    ada = house.people("one").insert(email="ada@example.com", name="Ada")
    house.live(1)
    house.people("one").edit(ada, name="Ada L")
    house.fail("one", TransientError("503"))
    for _ in range(20):
        tell(house, ada)
        house.live(10)
    assert [each.failures for each in house.news if each.trouble] == [1]
    assert hints_left(house) == 1
    house.fail("one", None)
    house.live(301)
    assert [each["name"] for each in house.people("two").records().values()] == ["Ada L"]
    assert hints_left(house) == 0


@pytest.mark.parametrize("more", ['schedule = "every 6 hours"', ""])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_what_a_hint_left_in_doubt_does_not_wait_for_the_schedule(make, more, is_restarted):
    """Only a whole listing tells whether a create without an answer was made: nobody sends a hint for that."""
    house = make(pair("people", more))
    house.people("one").insert(email="ada@example.com", name="Ada")
    house.service.ask_run("people")
    house.work()

    def lose_answer(call, moment):
        if call.kind is CallKind.WRITE and moment is Moment.AFTER:
            house.worlds["two"].on_call = None
            raise OutcomeUnknown("no answer came")

    house.worlds["two"].on_call = lose_answer
    tell(house, house.people("one").insert(email="bob@example.com", name="Bob"))
    house.work()
    assert (house.news[-1].cause, house.news[-1].report.exit) == (Cause.HINT, Exit.PARTIAL)
    if is_restarted:
        house.end()
        house.begin()
    house.live(10)
    assert (house.news[-1].cause, house.news[-1].report.exit) == (Cause.SCHEDULE, Exit.DONE)
    assert sorted(each["name"] for each in house.people("two").records().values()) == ["Ada", "Bob"]
    runs = len(house.news)
    house.live(3600)
    assert len(house.news) == runs


def test_an_event_counts_once_and_again_after_its_time(make):
    house = make(pair("people", EVERY_5))
    assert tell(house, "1", event="e1")
    assert not tell(house, "1", event="e1")
    house.clock.time += 901
    assert tell(house, "1", event="e1")
    house.clock.time -= 10_000
    assert tell(house, "1", event="e1"), "a clock that was wrong keeps no delivery out"


def test_a_hint_for_a_pair_that_never_went_through_runs_all_of_it(make):
    house = make(pair("people"))
    house.people("one").insert("1", email="ada@example.com", name="Ada")
    house.people("one").insert("2", email="bob@example.com", name="Bob")
    tell(house, "1")
    house.work()
    assert len(house.people("two")) == 2


def test_a_hint_about_a_deleted_record_asks_as_a_run_does(make):
    house = make(pair("people", EVERY_5))
    ids = [house.people("one").insert(email=f"p{n}@example.com", name=str(n)) for n in range(5)]
    house.live(1)
    house.people("one").remove(ids[0])
    tell(house, ids[0])
    house.work()
    assert house.news[-1].report.inbox_open == 1
    assert len(house.people("two")) == 5


def test_records_that_waited_for_another_pair_follow_it_at_once(make):
    """A child that refers to what another pair is about to write does not wait for its own schedule."""
    child = pair("people", 'schedule = "every 6 hours"').replace(
        'name = "name"', 'name = { left = "name", right = "name", references = "firms" }'
    )
    house = make(child + pair("firms", 'schedule = "every 5 minutes"', left="one.firms", right="two.firms"))
    house.live(1)
    house.people("one", "firms").insert("f1", email="firm@example.com", name="Firm")
    house.people("one").insert(email="ada@example.com", name="f1")
    house.service.ask_run("people")
    house.work()
    assert house.news[-1].report.pending["reference"]
    house.live(301)
    assert [each.cause for each in house.news[-2:]] == [Cause.SCHEDULE, Cause.WAITING]
    [firm] = house.people("two", "firms").records()
    assert [each["name"] for each in house.people("two").records().values()] == [firm]


def test_a_pair_without_a_schedule_that_failed_on_a_hint_is_well_again_after_the_next_one(make):
    house = make(pair())
    ada = house.people("one").insert(email="ada@example.com", name="Ada")
    house.service.ask_run("people")
    house.work()
    house.people("one").edit(ada, name="Ada L")
    house.fail("one", TransientError("503"))
    tell(house, ada)
    house.live(1)
    assert house.activity().activity is Activity.BACKING_OFF
    house.fail("one", None)
    house.live(3601)
    assert [each["name"] for each in house.people("two").records().values()] == ["Ada L"]
    assert (house.activity().activity, house.activity().failures) == (Activity.IDLE, 0)
    assert house.activity().next_at is None


def test_a_hint_goes_to_the_worker_that_has_the_systems_open(make):
    """Whoever opens them first spends the time that somebody is waiting for."""
    names = "ab"
    house = make(
        "".join(pair(name, EVERY_5, left=f"one.{name}", right=f"two.{name}") for name in names), "jitter = 0\nparallel = 2"
    )
    house.service.tick()
    jobs = house.jobs()
    owner = {job.pair: number for number, job in enumerate(jobs)}
    for number, job in enumerate(jobs):
        house.service.ended(job, house.workers[number].perform(job), 0.0)
    assert owner == {"a": 0, "b": 1}
    tell(house, "1", name="b")
    house.service._idle.update((0, 1))  # both wait for work
    assert house.service.next_job(0, wait=False) is None
    found = house.service.next_job(1, wait=False)
    assert (found.pair, found.cause) == ("b", Cause.HINT)
    tell(house, "1", name="a")
    tell(house, "2", name="b")
    assert house.service.next_job(1, wait=False).pair == "a", "who is busy cannot be waited for"


def test_pairs_on_one_system_keep_to_its_rate_together(make):
    """However many workers there are: the far side sees one rate."""
    names = "abc"
    pairs = "".join(pair(name, EVERY_5, left=f"one.{name}", right=f"two.{name}") for name in names)
    house = make(pairs, "jitter = 0\nparallel = 3\n[systems.one.limits]\nrequests_per_second = 2")
    times = []
    house.worlds["one"].on_call = lambda call, moment: times.append(house.clock.time) if call.kind is CallKind.PAGE else None
    house.service.tick()
    jobs = house.jobs()
    for number, job in enumerate(jobs):
        house.service.ended(job, house.workers[number].perform(job), 0.0)
    first = sorted({round(at, 2) for at in times})
    assert len(first) >= 3
    assert first[-1] - first[0] >= 0.9, "three listings at two calls a second"


def test_what_is_done_beside_the_runs_has_its_own_time_and_outlives_trouble(make):
    house = make(pair("people", EVERY_5))
    done = []

    def work(app, now):
        done.append(round(now - START))
        if len(done) == 2:
            raise TransientError("the receiver is down")
        if len(done) == 3:
            raise ValueError("a bug")

    chores = Chores([Chore(name="count", every=60.0, work=work)], house.open_app, house.clock)
    for _ in range(300):
        house.clock.time += 1
        chores.do_due()
    assert done == [1, 61, 121, 181, 241]
    house.clock.time -= 10_000
    chores.do_due()
    assert len(done) == 6, "a clock that was set back keeps nothing waiting"
    chores.close()
