"""A dangerous plan is stopped before its first write, and goes on only with a word that fits it (failure mode 6)."""

from __future__ import annotations

from dataclasses import replace

from syncengine.core.model import Deletes, Guards, Keyless, Limit, Policy, Side
from syncengine.engine.report import Exit
from tests.support.engine import Bench, filled, people_spec

NAMES = tuple(f"person{number:02}" for number in range(20))
TIGHT = Guards(deletes=Limit(share=0.05, number=2), updates=Limit(share=0.5, number=5), creates=Limit(share=0.5, number=5))


def test_too_many_deletes_are_refused_before_the_first_write() -> None:
    bench, left, _ = filled(*NAMES, deletes=Deletes.PROPAGATE, guards=TIGHT)
    bench.left.edit(left["person19"], name="Edited")
    for name in NAMES[:3]:
        bench.left.remove(left[name])
    before = bench.writes()
    report = bench.run()
    assert report.exit is Exit.REFUSED
    assert [(trip.guard, trip.count, trip.limit) for trip in report.refused] == [("deletes", 3, 2)]
    assert report.approval
    bench.assert_quiet(refused=True)
    assert bench.writes() == before
    assert bench.run(approve=report.approval).written == {"right.delete": 3, "right.update": 1}
    bench.assert_quiet()


def test_deletes_add_up_over_a_day_so_that_small_runs_leak_nothing() -> None:
    bench, left, _ = filled(*NAMES, deletes=Deletes.PROPAGATE, guards=TIGHT)
    for name in NAMES[:2]:
        bench.left.remove(left[name])
        assert bench.run().written == {"right.delete": 1}
    bench.left.remove(left[NAMES[2]])
    assert bench.run().exit is Exit.REFUSED
    assert len(bench.right) == 18
    bench.clock.time += 86_400
    assert bench.run().written == {"right.delete": 1}
    bench.assert_quiet()


def test_a_share_alone_does_not_trip_where_the_number_is_small() -> None:
    bench, left, _ = filled("ada", "bob", "cyd", deletes=Deletes.PROPAGATE, guards=TIGHT)
    for name in ("ada", "bob"):
        bench.left.remove(left[name])
    assert bench.run().written == {"right.delete": 2}
    bench.assert_quiet()


def test_too_many_updates_are_refused_as_a_broken_transform_would_make_them() -> None:
    bench, left, _ = filled(*NAMES, guards=TIGHT)
    for id_ in left.values():
        bench.left.edit(id_, phone="0")
    report = bench.run()
    assert [(trip.guard, trip.count, trip.limit) for trip in report.refused] == [("updates", 20, 10)]
    assert bench.writes() == {Side.LEFT: 0, Side.RIGHT: 20}
    bench.assert_quiet(refused=True)
    assert bench.run(approve=report.approval).written == {"right.update": 20}
    bench.assert_quiet()


def test_too_many_creates_are_refused_once_links_exist() -> None:
    bench, _, _ = filled("ada", "bob", guards=TIGHT)
    for number in range(6):
        bench.left.insert(email=f"new{number}@example.com", name="New")
    report = bench.run()
    assert [trip.guard for trip in report.refused] == ["creates"]
    assert len(bench.right) == 2
    assert bench.run(approve=report.approval).written == {"right.create": 6}
    bench.assert_quiet()


def test_the_first_contact_between_two_filled_sides_needs_an_approval_even_if_nothing_would_be_written() -> None:
    bench = Bench()
    for resource in (bench.left, bench.right):
        resource.insert(email="ada@example.com", name="Ada")
    report = bench.run()
    assert [trip.guard for trip in report.refused] == ["first_contact"]
    assert "1 records would be linked" in report.refused[0].message
    assert bench.run(approve=report.approval).exit is Exit.DONE
    assert bench.writes() == {Side.LEFT: 0, Side.RIGHT: 0}
    bench.assert_quiet()


def test_a_changed_policy_that_writes_is_named_and_needs_an_approval() -> None:
    bench, left, right = filled("ada")
    bench.left.edit(left["ada"], name="L")
    bench.right.edit(right["ada"], name="R")
    bench.sync()
    bench.spec = replace(bench.spec, conflicts=Policy.LEFT)
    report = bench.run()
    assert [trip.guard for trip in report.refused] == ["config"]
    assert "policies" in report.refused[0].message
    assert bench.right[right["ada"]]["name"] == "R"
    bench.run(approve=report.approval)
    assert bench.right[right["ada"]]["name"] == "L"
    assert bench.attic() == ["R"]
    bench.assert_quiet()


def test_bringing_a_record_back_is_a_write_that_a_changed_config_may_not_make_unasked() -> None:
    bench, left, right = filled("ada", "bob", deletes=Deletes.PROPAGATE)
    bench.left.archive(left["ada"])
    bench.right.edit(right["ada"], name="Edited")
    bench.spec = replace(bench.spec, conflicts=Policy.LEFT)
    report = bench.run()
    assert [(trip.guard, trip.count) for trip in report.refused] == [("config", 1)]
    assert left["ada"] not in bench.left
    assert bench.run(approve=report.approval).written == {"left.restore": 1}
    assert left["ada"] in bench.left


def test_a_changed_config_that_writes_nothing_passes_unasked() -> None:
    bench, _, _ = filled("ada")
    bench.spec = replace(bench.spec, conflicts=Policy.LEFT, keyless=Keyless.CREATE)
    assert bench.run().exit is Exit.DONE
    bench.assert_quiet()


def test_an_emptied_side_stops_a_run_that_would_have_nothing_to_write() -> None:
    """A side that shows nothing for a while is not forgotten, and no cursor passes what it did not show."""
    bench = Bench(people_spec())
    id_ = bench.left.insert(name="Nobody")
    assert bench.sync().exit is Exit.DONE
    bench.left.remove(id_)
    report = bench.run(sweep=True)
    assert report.exit is Exit.REFUSED
    assert [(trip.guard, trip.count) for trip in report.refused] == [("emptied", 1)]
    assert bench.store.records.counts(bench.pair) == {Side.LEFT: 1, Side.RIGHT: 0}
    assert bench.run(approve=report.approval, sweep=True).exit is Exit.DONE
    bench.assert_quiet()


def test_an_approval_covers_a_later_plan_only_as_far_as_what_was_shown() -> None:
    bench, left, _ = filled(*NAMES, deletes=Deletes.PROPAGATE, guards=TIGHT)
    for name in NAMES[:4]:
        bench.left.remove(left[name])
    shown = bench.run().approval
    bench.left.remove(left[NAMES[5]])
    report = bench.run(approve=shown)
    assert report.exit is Exit.REFUSED
    assert ("approval", 1) in [(trip.guard, trip.count) for trip in report.refused]
    assert "1 actions are new" in report.refused[-1].message
    assert len(bench.right) == 20
    assert bench.run(approve=report.approval).written == {"right.delete": 5}
    bench.assert_quiet()


def test_an_approval_lets_a_smaller_plan_pass() -> None:
    bench, left, _ = filled(*NAMES, deletes=Deletes.PROPAGATE, guards=TIGHT)
    for name in NAMES[:4]:
        bench.left.archive(left[name])
    shown = bench.run().approval
    bench.left.revive(left[NAMES[0]])
    assert bench.run(approve=shown).written == {"right.delete": 3}
    bench.assert_quiet()


def test_an_approval_is_spent_once() -> None:
    bench, left, _ = filled(*NAMES, guards=TIGHT)
    for id_ in left.values():
        bench.left.edit(id_, phone="0")
    shown = bench.run().approval
    bench.run(approve=shown)
    for id_ in left.values():
        bench.left.edit(id_, phone="1")
    report = bench.run(approve=shown)
    assert report.exit is Exit.REFUSED
    assert "spent" in report.refused[-1].message
    assert {row["phone"] for row in bench.right.records().values()} == {"0"}
    bench.assert_quiet(refused=True)


def test_an_approval_expires() -> None:
    bench, left, _ = filled(*NAMES, guards=TIGHT)
    for id_ in left.values():
        bench.left.edit(id_, phone="0")
    shown = bench.run().approval
    bench.clock.time += 8 * 86_400
    report = bench.run(approve=shown)
    assert report.exit is Exit.REFUSED
    assert "expired" in report.refused[-1].message
    bench.run(approve=report.approval)
    bench.assert_quiet()


def test_an_approval_that_nobody_asked_for_approves_nothing() -> None:
    bench, left, _ = filled(*NAMES, guards=TIGHT)
    for id_ in left.values():
        bench.left.edit(id_, phone="0")
    report = bench.run(approve="0123456789")
    assert report.exit is Exit.REFUSED
    assert bench.writes() == {Side.LEFT: 0, Side.RIGHT: 20}
    bench.assert_quiet(refused=True)


def test_an_approval_that_is_not_needed_changes_nothing() -> None:
    bench, left, _ = filled("ada")
    bench.left.edit(left["ada"], name="X")
    assert bench.run(approve="0123456789").written == {"right.update": 1}
    bench.assert_quiet()


def test_another_account_on_a_known_state_is_refused() -> None:
    bench, left, _ = filled("ada", "bob", deletes=Deletes.PROPAGATE)
    bench.left.edit(left["ada"], name="X")
    bench.accounts[Side.LEFT] = "somebody else's"
    report = bench.run()
    assert report.exit is Exit.REFUSED
    assert [trip.guard for trip in report.refused] == ["account"]
    assert "one" in report.refused[0].message
    assert bench.writes() == {Side.LEFT: 0, Side.RIGHT: 2}
    bench.accounts[Side.LEFT] = "left"
    assert bench.run().written == {"right.update": 1}
    bench.assert_quiet()


def test_a_lost_state_is_linked_again_by_key_without_deletes_and_equal_records_are_no_writes() -> None:
    bench, left, right = filled(*NAMES, deletes=Deletes.PROPAGATE)
    bench.left.remove(left[NAMES[0]])
    bench.right.edit(right[NAMES[1]], name="Differs")
    fresh = Bench(bench.spec)
    fresh.worlds, fresh.resources, fresh.clock = bench.worlds, bench.resources, bench.clock
    fresh.reconnect()
    before = fresh.writes()
    report = fresh.run()
    assert report.exit is Exit.REFUSED
    report = fresh.run(approve=report.approval)
    assert report.written == {"left.create": 1}  # nobody can know any more that it was deleted
    assert fresh.removals() == 0
    assert fresh.writes()[Side.RIGHT] == before[Side.RIGHT]
    assert [entry.ask.field for entry in fresh.inbox()] == ["name"]
    fresh.assert_quiet()


def test_a_plan_says_what_a_guard_would_refuse_and_stores_nothing() -> None:
    bench, left, _ = filled(*NAMES, guards=TIGHT)
    for id_ in left.values():
        bench.left.edit(id_, phone="0")
    plan = bench.plan()
    assert plan.exit is Exit.REFUSED
    assert [trip.guard for trip in plan.trips] == ["updates"]
    assert plan.approval
    report = bench.run()
    assert report.approval == plan.approval
    bench.run(approve=plan.approval)
    bench.assert_quiet()


def test_answering_many_deletes_at_once_is_guarded_like_any_other_mass_delete() -> None:
    bench, left, _ = filled(*NAMES, deletes=Deletes.ASK, guards=TIGHT)
    for name in NAMES[:4]:
        bench.left.remove(left[name])
    assert bench.run().inbox_open == 4
    from syncengine.core.merge import Pick

    for number in range(4):
        bench.choose(Pick.LEFT, entry=number)
    report = bench.run()
    assert report.exit is Exit.REFUSED
    assert len(bench.right) == 20
    assert bench.run(approve=report.approval).written == {"right.delete": 4}
    bench.assert_quiet()


def test_the_spec_is_read_before_each_run() -> None:
    bench = Bench(people_spec(guards=TIGHT))
    assert bench.run().exit is Exit.DONE
    bench.assert_quiet()
