"""The engine over two memory systems: what arrives, what travels, what stays, and that a second run is silent."""

from __future__ import annotations

from syncengine.core.model import Deletes, Policy, Side
from syncengine.engine.report import Exit
from tests.support.engine import Bench, people_spec


def filled(**changes: object) -> Bench:
    bench = Bench(people_spec(**changes))
    for name in ("ada", "bob", "cyd"):
        bench.left.insert(email=f"{name}@example.com", name=name.title(), phone="1", tags=["x"])
    report = bench.sync()
    assert report.exit is Exit.DONE, report
    return bench


def test_a_first_sync_into_an_empty_side_creates_everything_once() -> None:
    bench = filled()
    left, right = bench.sides()
    assert left == right
    assert len(right) == 3
    bench.assert_quiet()


def test_edits_on_both_sides_travel_field_by_field() -> None:
    bench = filled()
    left_id, right_id = min(bench.left.records()), min(bench.right.records())
    email = bench.right[right_id]["email"]
    left_id = next(id_ for id_, row in bench.left.records().items() if row["email"] == email)
    bench.left.edit(left_id, name="Changed left")
    bench.right.edit(right_id, phone="2")
    report = bench.sync()
    assert report.written == {"right.update": 1, "left.update": 1}
    assert bench.left[left_id]["phone"] == "2"
    assert bench.right[right_id]["name"] == "Changed left"
    bench.assert_quiet()


def test_a_conflict_waits_in_the_inbox_and_the_other_fields_go_on() -> None:
    bench = filled()
    left_id = next(iter(bench.left.records()))
    email = bench.left[left_id]["email"]
    right_id = next(id_ for id_, row in bench.right.records().items() if row["email"] == email)
    bench.left.edit(left_id, name="Left", phone="9")
    bench.right.edit(right_id, name="Right")
    report = bench.sync()
    assert report.exit is Exit.PARTIAL
    assert report.inbox_open == 1
    assert bench.right[right_id]["phone"] == "9"
    assert bench.right[right_id]["name"] == "Right"
    assert bench.left[left_id]["name"] == "Left"
    bench.assert_quiet()


def test_a_policy_settles_a_conflict_and_the_loser_is_in_the_attic() -> None:
    bench = filled(conflicts=Policy.LEFT)
    left_id = next(iter(bench.left.records()))
    email = bench.left[left_id]["email"]
    right_id = next(id_ for id_, row in bench.right.records().items() if row["email"] == email)
    bench.left.edit(left_id, name="Left")
    bench.right.edit(right_id, name="Right")
    assert bench.sync().exit is Exit.DONE
    assert bench.right[right_id]["name"] == "Left"
    assert [value.value for value in bench.store.journal.attic(1)] == ["Right"]
    bench.assert_quiet()


def test_a_deletion_travels_only_where_the_pair_says_so() -> None:
    bench = filled(deletes=Deletes.PROPAGATE)
    left_id = next(iter(bench.left.records()))
    bench.left.remove(left_id)
    report = bench.sync()
    assert report.written == {"right.delete": 1}
    assert len(bench.right) == 2
    bench.assert_quiet()

    asking = filled()
    asking.left.remove(next(iter(asking.left.records())))
    report = asking.sync()
    assert report.exit is Exit.PARTIAL
    assert len(asking.right) == 3
    asking.assert_quiet()


def test_an_edit_survives_a_deletion() -> None:
    bench = filled(deletes=Deletes.PROPAGATE)
    left_id = next(iter(bench.left.records()))
    email = bench.left[left_id]["email"]
    right_id = next(id_ for id_, row in bench.right.records().items() if row["email"] == email)
    bench.left.remove(left_id)
    bench.right.edit(right_id, name="Still here")
    bench.sync()
    assert "Still here" in {row["name"] for row in bench.left.records().values()}
    left, right = bench.sides()
    assert left == right
    bench.assert_quiet()


def test_two_filled_sides_need_an_approval_and_are_linked_by_key() -> None:
    bench = Bench()
    bench.left.insert(email="Ada@Example.com ", name="Ada", phone=None, tags=[])
    bench.right.insert(email="ada@example.com", name="Ada", phone="5", tags=[])
    refused = bench.run()
    assert refused.exit is Exit.REFUSED
    assert bench.writes() == {Side.LEFT: 0, Side.RIGHT: 0}
    report = bench.run(approve=refused.approval)
    assert report.written == {"left.update": 1}
    assert len(bench.left) == len(bench.right) == 1
    bench.assert_quiet()


def test_a_duplicate_key_creates_nothing_and_waits() -> None:
    bench = filled()
    bench.left.insert(email="new@example.com", name="One")
    bench.left.insert(email="NEW@example.com", name="Two")
    report = bench.sync()
    assert report.exit is Exit.PARTIAL
    assert len(bench.right) == 3
    assert report.inbox_open == 1
    bench.assert_quiet()


def test_a_plan_writes_nothing_and_says_what_a_run_then_does() -> None:
    bench = Bench()
    bench.left.insert(email="ada@example.com", name="Ada")
    plan = bench.plan()
    assert plan.counts == {"right.create": 1}
    assert [line.kind for line in plan.actions()] == ["create"]
    assert bench.writes() == {Side.LEFT: 0, Side.RIGHT: 0}
    assert bench.sync().written == {"right.create": 1}
