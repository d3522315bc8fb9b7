"""What the deletion of one record does to its partner: by policy, never against an edit, never by mistake (failure mode 7)."""

from __future__ import annotations

from collections import Counter

import pytest

from syncengine.core.decision import AskKind, LinkState
from syncengine.core.merge import Pick
from syncengine.core.model import Deletes, Direction, Side
from syncengine.engine.report import Exit
from syncengine.testing.memory import SIMPLE, Call, CallKind, Manners, Moment
from tests.support.engine import Bench, able, fill, filled, once, people_spec

WAYS = [able(), able(incremental=False, reports_deletions=False), able(SIMPLE)]


@pytest.mark.parametrize("way", WAYS, ids=["reported", "by absence", "plain"])
@pytest.mark.parametrize("side", list(Side))
def test_propagate_deletes_the_partner_once(side: Side, way: dict[str, object]) -> None:
    bench, left, right = filled(left=way, right=way, deletes=Deletes.PROPAGATE)
    bench.resources[side].remove((left if side is Side.LEFT else right)["ada"])
    assert bench.sync().written == {f"{side.other.value}.delete": 1}
    assert len(bench.left) == len(bench.right) == 2
    assert not bench.link_states().count(LinkState.DEAD)
    bench.assert_quiet()
    bench.assert_same()


def test_archive_takes_the_partner_out_of_sight_so_that_it_can_come_back() -> None:
    bench, left, right = filled(deletes=Deletes.ARCHIVE)
    bench.left.remove(left["ada"])
    assert bench.sync().written == {"right.archive": 1}
    assert right["ada"] in bench.right.history.archived
    bench.assert_quiet()


def test_propagate_archives_where_the_system_cannot_delete() -> None:
    bench, left, right = filled(deletes=Deletes.PROPAGATE, right=able(deletes=False))
    bench.left.remove(left["ada"])
    assert bench.sync().written == {"right.archive": 1}
    assert right["ada"] in bench.right.history.archived
    bench.assert_quiet()


def test_ignore_keeps_the_partner_and_never_makes_the_record_again() -> None:
    bench, left, right = filled(deletes=Deletes.IGNORE)
    bench.left.remove(left["ada"])
    assert bench.sync().exit is Exit.DONE
    bench.assert_quiet()
    bench.right.edit(right["ada"], name="Edited later")
    bench.sync(sweep=True)
    assert len(bench.left) == 2
    assert bench.right[right["ada"]]["name"] == "Edited later"
    assert not bench.inbox()
    bench.assert_quiet()


@pytest.mark.parametrize("later_edit", [False, True])
def test_a_declined_delete_keeps_the_partner_is_not_asked_again_and_makes_nothing_anew(later_edit: bool) -> None:
    bench, left, right = filled()
    bench.left.remove(left["ada"])
    assert bench.sync().inbox_open == 1
    bench.assert_quiet()
    bench.choose(Pick.APART)
    assert bench.sync().exit is Exit.DONE
    if later_edit:
        bench.right.edit(right["ada"], name="Edited later")
    assert bench.sync(sweep=True).exit is Exit.DONE
    assert len(bench.left) == 2
    assert len(bench.right) == 3
    assert not bench.inbox()
    bench.assert_quiet()


def test_a_declined_delete_stays_declined_when_a_newcomer_with_its_key_vanishes_again() -> None:
    bench, left, right = filled("ada", "bob", left=able(SIMPLE), right=able(SIMPLE), deletes=Deletes.ASK)
    bench.left.remove(left["ada"])
    bench.sync()
    bench.choose(Pick.APART)
    bench.sync()
    assert not bench.inbox()
    bench.right.edit(right["ada"], phone=None)
    bench.sync()
    new = bench.left.insert(email="ada@example.com", name="Ada", phone="2", tags=["x"])
    once(bench.worlds[Side.LEFT], CallKind.GET, Moment.BEFORE, lambda call: bench.left.remove(new))
    bench.sync()
    bench.settle()
    assert not bench.inbox()
    assert right["ada"] in bench.right
    bench.assert_quiet()


def test_a_waiting_delete_stays_asked_and_is_carried_out_when_a_person_says_so() -> None:
    bench, left, right = filled()
    bench.left.remove(left["ada"])
    for _ in range(3):
        assert bench.sync().inbox_open == 1
    bench.choose(Pick.LEFT)  # the left is right: it is gone
    assert bench.sync().written == {"right.delete": 1}
    assert right["ada"] not in bench.right
    assert not bench.inbox()
    bench.assert_quiet()


def test_a_deletion_can_be_taken_back_by_a_person() -> None:
    bench, left, right = filled()
    bench.left.archive(left["ada"])
    bench.sync()
    bench.choose(Pick.RIGHT)
    bench.settle()
    assert left["ada"] in bench.left
    assert bench.other(Side.LEFT, left["ada"]) == right["ada"]
    bench.assert_quiet()
    bench.assert_same()


def test_a_record_that_came_back_right_before_it_was_to_be_restored_is_merged_instead() -> None:
    bench, left, right = filled()
    bench.left.archive(left["ada"])
    bench.sync()
    bench.choose(Pick.RIGHT)

    def bring_back(call: Call) -> None:
        bench.left.revive(left["ada"])
        bench.left.edit(left["ada"], name="Edited")

    once(bench.worlds[Side.RIGHT], CallKind.GET, Moment.BEFORE, bring_back)
    written = Counter(bench.run().written)
    written += Counter(bench.run().written)
    assert written == {"right.update": 1}
    assert bench.right[right["ada"]]["name"] == "Edited"
    assert not bench.inbox()
    bench.assert_quiet()
    bench.assert_same()


def test_a_deletion_of_a_record_that_cannot_be_restored_is_taken_back_by_making_it_anew() -> None:
    bench, left, right = filled(left=able(restores=False))
    bench.left.remove(left["ada"])
    bench.sync()
    bench.choose(Pick.RIGHT)
    bench.settle()
    assert len(bench.left) == 3
    assert bench.other(Side.RIGHT, right["ada"]) in bench.left
    bench.assert_quiet()
    bench.assert_same()


@pytest.mark.parametrize("deletes", [Deletes.ASK, Deletes.PROPAGATE, Deletes.ARCHIVE])
@pytest.mark.parametrize("restores", [True, False])
def test_an_edit_survives_a_deletion_and_the_inbox_says_so(deletes: Deletes, restores: bool) -> None:
    bench, left, right = filled(deletes=deletes, left=able(restores=restores))
    bench.left.archive(left["ada"])
    bench.right.edit(right["ada"], name="Edited", tags=["y"])
    bench.settle()
    partner = bench.other(Side.RIGHT, right["ada"])
    assert partner is not None
    assert bench.left[partner]["name"] == "Edited"
    assert (partner == left["ada"]) is restores
    assert [entry.ask.kind for entry in bench.inbox()] == [AskKind.EDIT_SURVIVED]
    assert bench.removals() == 0
    bench.assert_quiet()
    bench.assert_same()


def test_deleted_on_both_sides_leaves_nothing_to_do() -> None:
    bench, left, right = filled(deletes=Deletes.PROPAGATE)
    bench.left.remove(left["ada"])
    bench.right.remove(right["ada"])
    assert not bench.sync().written
    assert bench.link_states() == [LinkState.LIVE] * 2
    bench.assert_quiet()


def test_a_record_that_comes_back_on_its_own_is_merged_again_instead_of_deleted() -> None:
    bench, left, right = filled()
    bench.left.archive(left["ada"])
    bench.sync()
    bench.left.revive(left["ada"])
    bench.right.edit(right["ada"], name="Edited")
    bench.settle()
    assert bench.left[left["ada"]]["name"] == "Edited"
    assert not bench.inbox()
    bench.assert_quiet()
    bench.assert_same()


def test_an_edit_between_the_reading_and_the_delete_saves_the_record() -> None:
    for can in (able(), able(conditional_writes=False)):
        bench, left, right = filled(deletes=Deletes.PROPAGATE, right=can)
        bench.left.remove(left["ada"])
        once(
            bench.worlds[Side.RIGHT],
            CallKind.GET,
            Moment.BEFORE,
            lambda call, bench=bench, right=right: bench.right.edit(right["ada"], name="Just in time"),
        )
        for _ in range(3):
            bench.sync()
        assert "Just in time" in {row["name"] for row in bench.right.records().values()}
        assert "Just in time" in {row["name"] for row in bench.left.records().values()}
        assert bench.removals() == 0
        bench.assert_quiet()


def test_a_record_deleted_and_made_anew_with_the_same_key_is_linked_once_and_stays() -> None:
    for deletes in Deletes:
        bench, left, right = filled(deletes=deletes)
        bench.left.remove(left["ada"])
        anew = bench.left.insert(email="ada@example.com", name="Ada", phone="1", tags=["x"])
        for _ in range(3):
            bench.run()
        assert anew in bench.left
        assert len(bench.left) == 3, deletes
        assert len(bench.right) == 3, deletes
        assert bench.other(Side.LEFT, anew) is not None, deletes
        bench.assert_quiet()
        bench.assert_same()
        del right


def test_a_record_made_anew_after_an_ignored_delete_takes_the_surviving_partner() -> None:
    bench, left, right = filled(deletes=Deletes.IGNORE)
    bench.left.remove(left["ada"])
    bench.sync()
    anew = bench.left.insert(email="ADA@example.com", name="Ada", phone="7")
    bench.settle()
    assert bench.other(Side.LEFT, anew) == right["ada"]
    assert len(bench.left) == len(bench.right) == 3
    bench.assert_quiet()


def test_in_a_one_way_pair_a_target_record_that_was_deleted_is_not_made_again() -> None:
    bench, left, right = filled(direction=Direction.LEFT_TO_RIGHT, deletes=Deletes.PROPAGATE)
    bench.right.remove(right["ada"])
    bench.left.edit(left["ada"], name="Edited")
    bench.settle()
    assert len(bench.right) == 2
    assert len(bench.left) == 3
    bench.assert_quiet()


def test_in_a_one_way_pair_a_deletion_at_the_source_travels_unless_the_target_was_edited() -> None:
    bench, left, right = filled(direction=Direction.LEFT_TO_RIGHT, deletes=Deletes.PROPAGATE)
    bench.left.remove(left["ada"])
    bench.left.remove(left["bob"])
    bench.right.edit(right["bob"], name="Edited")
    bench.settle()
    assert right["ada"] not in bench.right
    assert right["bob"] in bench.right
    assert [entry.ask.kind for entry in bench.inbox()] == [AskKind.DELETE]
    assert len(bench.left) == 1
    bench.assert_quiet()


def test_a_delete_that_the_system_refuses_is_reported_and_tried_again() -> None:
    from syncengine.connector import Field, FieldType

    bench, left, right = filled(deletes=Deletes.PROPAGATE, right=able(manners=Manners(checks_references=True)))
    tasks = bench.worlds[Side.RIGHT].add("tasks", [Field(name="who", type=FieldType.REFERENCE, references="people")])
    task = tasks.insert(who=right["ada"])
    bench.left.remove(left["ada"])
    report = bench.sync()
    assert report.exit is Exit.PARTIAL
    assert report.failed
    assert right["ada"] in bench.right
    bench.assert_quiet(trying=True)
    tasks.remove(task)
    assert bench.sync().written == {"right.delete": 1}
    bench.assert_quiet()


def test_an_id_that_is_used_again_for_somebody_else_does_not_end_up_in_the_old_partner() -> None:
    bench = Bench(people_spec(deletes=Deletes.PROPAGATE), left_options=able(incremental=False, reports_deletions=False))
    left = fill(bench, "ada", "bob")
    right = str(bench.other(Side.LEFT, left["ada"]))
    bench.left.remove(left["ada"])
    bench.sync()
    assert right not in bench.right
    bench.left.insert(left["ada"], email="eve@example.com", name="Eve")
    bench.settle()
    assert sorted(str(row["name"]) for row in bench.right.records().values()) == ["Bob", "Eve"]
    bench.assert_quiet()
    bench.assert_same()


@pytest.mark.parametrize("pick", [Pick.LEFT, Pick.RIGHT])
def test_an_answer_about_a_deletion_writes_nothing_to_a_side_that_the_direction_leaves_alone(pick: Pick) -> None:
    """Keeping the edited target means leaving it: its source is not made anew, and least of all empty."""
    bench, left, right = filled("ada", direction=Direction.LEFT_TO_RIGHT, left=able(restores=False))
    bench.left.remove(left["ada"])
    bench.right.edit(right["ada"], name="Edited")
    bench.settle()
    before = bench.writes()[Side.LEFT]
    bench.choose(pick)
    bench.settle()
    assert bench.writes()[Side.LEFT] == before
    assert (right["ada"] in bench.right) is (pick is Pick.RIGHT)
    assert not bench.inbox()
    bench.assert_quiet()


def test_the_only_record_of_a_side_is_restored_though_nothing_is_left_to_prove_that_side_healthy() -> None:
    bench, left, right = filled("ada")
    bench.right.archive(right["ada"])
    bench.left.edit(left["ada"], phone="2")
    bench.settle()
    assert bench.right[right["ada"]]["phone"] == "2"
    bench.assert_quiet()
