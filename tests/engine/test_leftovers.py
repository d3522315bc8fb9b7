"""When the reason is gone, nothing is left behind: no question, no parked or waiting record, no link, no stale approval."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncengine.core.decision import LinkState
from syncengine.core.merge import Pick
from syncengine.core.model import Condition, Deletes, Policy, Side, Test
from syncengine.engine.report import Exit
from syncengine.errors import OutcomeUnknown
from syncengine.testing.memory import CallKind, Moment
from tests.support.engine import PEOPLE, Bench, able, failing, fill, filled, once, people_spec


def assert_clean(bench: Bench) -> None:
    """Nothing waits, nothing is asked, and every link is alive."""
    report = bench.run()
    assert report.exit is Exit.DONE, report
    assert not bench.inbox()
    assert not report.pending
    assert set(bench.link_states()) <= {LinkState.LIVE}
    bench.assert_quiet()


def test_a_conflict_about_a_record_that_both_sides_deleted_is_closed() -> None:
    bench, left, right = filled("ada", "bob")
    bench.left.edit(left["ada"], name="L")
    bench.right.edit(right["ada"], name="R")
    assert bench.sync().inbox_open == 1
    bench.left.remove(left["ada"])
    bench.right.remove(right["ada"])
    bench.settle()
    assert_clean(bench)


def test_a_conflict_about_a_record_deleted_on_one_side_becomes_a_surviving_edit() -> None:
    bench, left, right = filled("ada", "bob")
    bench.left.edit(left["ada"], name="L")
    bench.right.edit(right["ada"], name="R")
    bench.sync()
    bench.left.remove(left["ada"])
    bench.settle()
    assert [entry.ask.kind.value for entry in bench.inbox()] == ["edit_survived"]
    partner = str(bench.other(Side.RIGHT, right["ada"]))
    assert bench.left[partner]["name"] == "R"
    bench.assert_same()
    bench.assert_quiet()


def test_a_question_about_a_deletion_is_closed_when_the_partner_goes_as_well() -> None:
    bench, left, right = filled("ada", "bob")
    bench.left.remove(left["ada"])
    assert bench.sync().inbox_open == 1
    bench.right.remove(right["ada"])
    bench.settle()
    assert_clean(bench)


def test_a_question_about_a_deletion_is_closed_when_the_policy_says_ignore() -> None:
    bench, left, _ = filled("ada", "bob")
    bench.left.remove(left["ada"])
    bench.sync()
    bench.spec = replace(bench.spec, deletes=Deletes.IGNORE)
    assert bench.sync().exit is Exit.DONE
    assert not bench.inbox()
    assert len(bench.right) == 2
    bench.assert_quiet()


@pytest.mark.parametrize("fresh", [True, False], ids=["never linked", "linked"])
def test_a_parked_record_that_is_deleted_leaves_the_quarantine(fresh: bool) -> None:
    bench = Bench(people_spec(deletes=Deletes.PROPAGATE))
    bench.redefine(Side.RIGHT, replace(PEOPLE[2], max_length=3))
    left = fill(bench, "ada", "bob")
    parked = left["ada"] if not fresh else bench.left.insert(email="new@example.com", phone="12345")
    bench.left.edit(parked, phone="12345")
    assert bench.sync().quarantined
    bench.left.remove(parked)
    for _ in range(3):
        bench.sync()
    assert_clean(bench)
    bench.assert_same()


def test_an_ambiguous_record_that_is_deleted_is_forgotten() -> None:
    bench, _, _ = filled("ada")
    twins = [bench.left.insert(email="twin@example.com", name=name) for name in ("One", "Two")]
    bench.sync()
    for id_ in twins:
        bench.left.remove(id_)
    bench.sync(sweep=True)
    bench.sync(sweep=True)
    assert_clean(bench)


@pytest.mark.parametrize(("proof", "left_over"), [("idempotent_creates", 1), ("chooses_ids", 1), ("", 2)])
def test_a_record_deleted_while_its_create_is_in_doubt_goes_where_the_create_can_be_proved_ours(
    proof: str, left_over: int
) -> None:
    """Where nothing can prove it, what looks like somebody's own record survives, and the inbox says so."""
    can = {"idempotent_creates": False, "chooses_ids": False} | ({proof: True} if proof else {})
    bench, _, _ = filled("ada", deletes=Deletes.PROPAGATE, right=able(**can))
    new = bench.left.insert(email="new@example.com", name="New")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.AFTER, failing(OutcomeUnknown("lost")))
    bench.run()
    bench.left.remove(new)
    bench.clock.time += 3600
    for _ in range(4):
        bench.sync()
    assert len(bench.left) == len(bench.right) == left_over
    assert [entry.ask.kind.value for entry in bench.inbox()] == ["edit_survived"] * (left_over - 1)
    bench.assert_same()
    bench.assert_quiet()


def test_a_record_that_leaves_the_filter_while_its_conflict_waits_closes_the_question_until_it_returns() -> None:
    filters = {Side.LEFT: (Condition(field="phone", test=Test.IS_NOT, value="out"),)}
    bench, left, right = filled("ada", filters=filters)
    bench.left.edit(left["ada"], name="L")
    bench.right.edit(right["ada"], name="R")
    assert bench.sync().inbox_open == 1
    bench.left.edit(left["ada"], phone="out")
    assert bench.sync().exit is Exit.DONE
    assert not bench.inbox()
    bench.assert_quiet()
    bench.left.edit(left["ada"], phone="1")
    assert bench.sync().inbox_open == 1
    assert (bench.left[left["ada"]]["name"], bench.right[right["ada"]]["name"]) == ("L", "R")
    bench.assert_quiet()


def test_an_answer_is_spent_by_the_run_that_acts_on_it() -> None:
    bench, left, right = filled("ada")
    bench.left.edit(left["ada"], name="L")
    bench.right.edit(right["ada"], name="R")
    bench.sync()
    bench.choose(Pick.LEFT)
    bench.sync()
    bench.left.edit(left["ada"], name="L2")
    bench.right.edit(right["ada"], name="R2")
    assert bench.sync().inbox_open == 1
    bench.assert_quiet()


def test_an_answer_whose_write_fails_is_carried_out_later() -> None:
    bench, left, right = filled("ada")
    bench.left.edit(left["ada"], name="L")
    bench.right.edit(right["ada"], name="R")
    bench.sync()
    bench.choose(Pick.LEFT)
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.BEFORE, failing(OutcomeUnknown("lost")))
    bench.run()
    bench.clock.time += 3600
    bench.settle()
    values = (bench.left[left["ada"]]["name"], bench.right[right["ada"]]["name"])
    assert values == ("L", "L")
    assert_clean(bench)


def test_an_answer_waits_with_its_plan_while_a_guard_holds_it_back() -> None:
    bench, left, right = filled("ada", "bob")
    bench.left.edit(left["ada"], name="L")
    bench.right.edit(right["ada"], name="R")
    bench.sync()
    bench.choose(Pick.RIGHT)
    bench.spec = replace(bench.spec, conflicts=Policy.FILL)
    report = bench.run()
    assert report.exit is Exit.REFUSED
    assert bench.left[left["ada"]]["name"] == "L"
    bench.run(approve=report.approval)
    assert bench.left[left["ada"]]["name"] == "R"
    assert_clean(bench)


def test_a_duplicate_question_is_closed_by_the_run_that_sees_the_key_alone() -> None:
    bench, left, _ = filled("ada")
    twin = bench.left.insert(email="ADA@example.com", name="Twin")
    assert bench.sync().inbox_open == 1
    bench.left.remove(twin)
    bench.sync(sweep=True)
    assert_clean(bench)
    del left


def test_a_union_settles_without_any_answer_from_the_systems() -> None:
    from syncengine.core.model import FieldSpec
    from tests.support.engine import same_fields

    spec = same_fields(*PEOPLE, tags=FieldSpec(name="tags", left="tags", right="tags", conflicts=Policy.UNION))
    silent = able(returns_record=False)
    bench, left, right = filled("ada", fields=spec, left=silent, right=silent)
    bench.left.edit(left["ada"], tags=["x", "l"])
    bench.right.edit(right["ada"], tags=["x", "r"])
    bench.settle()
    assert set(bench.left[left["ada"]]["tags"]) == set(bench.right[right["ada"]]["tags"]) == {"x", "l", "r"}  # type: ignore[call-overload]
    assert_clean(bench)


def test_a_deletion_that_a_person_ordered_and_the_system_refused_is_tried_again() -> None:
    from syncengine.connector import Field, FieldType
    from syncengine.testing.memory import Manners

    bench, left, right = filled("ada", "bob", right=able(manners=Manners(checks_references=True)))
    tasks = bench.worlds[Side.RIGHT].add("tasks", [Field(name="who", type=FieldType.REFERENCE, references="people")])
    task = tasks.insert(who=right["ada"])
    bench.left.remove(left["ada"])
    bench.sync()
    bench.choose(Pick.LEFT)
    assert bench.sync().exit is Exit.PARTIAL
    assert right["ada"] in bench.right
    tasks.remove(task)
    assert bench.sync().written == {"right.delete": 1}
    assert_clean(bench)


@pytest.mark.parametrize("arrived", [Moment.BEFORE, Moment.AFTER], ids=["never arrived", "answer lost"])
def test_a_question_is_closed_when_recovery_ends_what_it_was_about(arrived: Moment) -> None:
    bench, left, right = filled("ada", "bob", deletes=Deletes.ASK)
    bench.left.archive(left["ada"])
    bench.sync()
    bench.choose(Pick.LEFT)
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, arrived, failing(OutcomeUnknown("no answer came")))
    bench.run()
    bench.clock.time += 3600
    bench.settle()
    assert right["ada"] not in bench.right
    assert not bench.inbox()
    assert bench.sync().exit is Exit.DONE
