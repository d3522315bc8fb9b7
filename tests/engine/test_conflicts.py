"""Both sides edited: by policy, field by field, and what loses is kept (failure modes 8, 9); what people answer (inbox)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncengine.connector import Field, FieldType
from syncengine.core.decision import AskKind
from syncengine.core.merge import Pick
from syncengine.core.model import Direction, FieldSpec, Policy, Side
from syncengine.engine.report import Exit
from syncengine.errors import TransientError
from syncengine.testing.memory import CallKind, Manners, Moment, lower
from tests.support.engine import PEOPLE, Bench, able, failing, filled, once, people_spec, same_fields


def conflicted(**changes: object) -> tuple[Bench, str, str]:
    """One person whose name was edited differently on both sides, and whose phone only on the left."""
    bench, left, right = filled("ada", **changes)  # type: ignore[arg-type]
    bench.left.edit(left["ada"], name="L", phone="5")
    bench.right.edit(right["ada"], name="R")
    return bench, left["ada"], right["ada"]


def test_different_fields_edited_on_both_sides_travel_alone_and_the_contested_one_waits_alone() -> None:
    bench, left, right = conflicted()
    bench.right.edit(right, tags=["x", "y"])
    bench.sync()
    assert bench.changed(Side.RIGHT) == [{"phone"}]
    assert bench.changed(Side.LEFT) == [{"tags"}]
    assert (bench.left[left]["name"], bench.right[right]["name"]) == ("L", "R")
    (entry,) = bench.inbox()
    assert (entry.ask.field, entry.ask.left, entry.ask.right, entry.ask.base) == ("name", "L", "R", "Ada")
    bench.assert_quiet()


@pytest.mark.parametrize(("policy", "winner", "loser"), [(Policy.LEFT, "L", "R"), (Policy.RIGHT, "R", "L")])
def test_a_side_wins_and_the_other_value_goes_to_the_attic(policy: Policy, winner: str, loser: str) -> None:
    bench, left, right = conflicted(conflicts=policy)
    assert bench.sync().exit is Exit.DONE
    assert bench.left[left]["name"] == bench.right[right]["name"] == winner
    assert bench.attic() == [loser]
    assert not bench.inbox()
    bench.assert_quiet()
    bench.assert_same()


def test_the_same_edit_on_both_sides_is_an_agreement() -> None:
    bench, left, right = filled("ada")
    bench.left.edit(left["ada"], email="Countess@example.com", tags=["a", "b"])
    bench.right.edit(right["ada"], email="countess@example.com ", tags=["b", "a"])
    report = bench.sync()
    assert not report.written
    assert report.buckets["left"] == {"agreed": 1}
    bench.assert_quiet()
    bench.right.edit(right["ada"], email="new@example.com")
    assert bench.sync().written == {"left.update": 1}
    bench.assert_quiet()


def dated(slack: float, resolution: float | None = 1e-6, tolerance: float = 2.0) -> tuple[Bench, str, str]:
    can = able(clock_resolution=resolution)
    bench, left, right = filled("ada", left=can, right=can, conflicts=Policy.NEWER, tolerance=tolerance)
    bench.left.edit(left["ada"], name="L")
    bench.clock.time += slack
    bench.right.edit(right["ada"], name="R")
    return bench, left["ada"], right["ada"]


def test_newer_wins_where_the_clocks_can_tell() -> None:
    bench, left, right = dated(10.0)
    assert bench.sync().exit is Exit.DONE
    assert bench.left[left]["name"] == bench.right[right]["name"] == "R"
    assert bench.attic() == ["L"]
    bench.assert_quiet()


@pytest.mark.parametrize(
    ("slack", "resolution", "tolerance"), [(1.0, 1e-6, 2.0), (100.0, 1e-6, 180.0), (30.0, 60.0, 2.0), (1e6, None, 2.0)]
)
def test_newer_asks_where_they_cannot(slack: float, resolution: float | None, tolerance: float) -> None:
    bench, left, right = dated(slack, resolution, tolerance)
    assert bench.sync().exit is Exit.PARTIAL
    assert (bench.left[left]["name"], bench.right[right]["name"]) == ("L", "R")
    assert "clocks" in bench.inbox()[0].ask.why
    bench.assert_quiet()


def test_union_keeps_what_either_added_and_drops_what_either_removed() -> None:
    spec = same_fields(*PEOPLE, tags=FieldSpec(name="tags", left="tags", right="tags", conflicts=Policy.UNION))
    for deltas in (True, False):
        bench, left, right = filled("ada", fields=spec, left=able(set_deltas=deltas), right=able(set_deltas=deltas))
        bench.left.edit(left["ada"], tags=["x", "l"])
        bench.right.edit(right["ada"], tags=["r"])
        bench.settle()
        assert sorted(bench.left[left["ada"]]["tags"]) == sorted(bench.right[right["ada"]]["tags"]) == ["l", "r"]  # type: ignore[type-var]
        bench.assert_quiet()


@pytest.mark.parametrize("side", list(Side))
def test_a_union_of_which_one_write_fails_loses_no_member_and_brings_none_back(side: Side) -> None:
    spec = same_fields(*PEOPLE, tags=FieldSpec(name="tags", left="tags", right="tags", conflicts=Policy.UNION))
    bench, left, right = filled("ada", fields=spec)
    bench.left.edit(left["ada"], tags=["x", "l"])
    bench.right.edit(right["ada"], tags=["r"])
    once(bench.worlds[side], CallKind.WRITE, Moment.BEFORE, failing(TransientError("503")))
    bench.run()
    bench.settle()
    for tags in (bench.left[left["ada"]]["tags"], bench.right[right["ada"]]["tags"]):
        assert isinstance(tags, list)
        assert sorted(tags) == ["l", "r"]
    bench.assert_quiet()


@pytest.mark.parametrize("side", list(Side))
def test_a_typed_value_of_which_one_write_fails_reaches_both_sides_all_the_same(side: Side) -> None:
    """And what the right makes of it does not travel back."""
    bench, left, right = filled("ada", right=able(manners=Manners(normalise={"name": lower}), returns_record=False))
    bench.left.edit(left["ada"], name="L")
    bench.right.edit(right["ada"], name="R")
    bench.sync()
    bench.choose(Pick.VALUE, "Typed")
    once(bench.worlds[side], CallKind.WRITE, Moment.BEFORE, failing(TransientError("503")))
    bench.run()
    bench.settle()
    assert bench.left[left["ada"]]["name"] == "Typed"
    assert bench.right[right["ada"]]["name"] == "typed"
    assert not bench.inbox()
    bench.assert_quiet()


def test_a_value_kept_apart_is_in_the_attic_when_it_goes_though_a_system_might_have_made_it_of_the_other_one() -> None:
    bench, left, right = filled("ada")
    bench.left.edit(left["ada"], name="Ann")
    bench.right.edit(right["ada"], name="Anna")
    bench.sync()
    bench.choose(Pick.APART)
    bench.sync()
    bench.right.edit(right["ada"], name="Annabel")
    bench.sync()
    assert bench.left[left["ada"]]["name"] == "Annabel"
    assert "Ann" in bench.attic()
    bench.assert_quiet()


def test_union_joins_both_sides_at_the_first_contact() -> None:
    spec = same_fields(*PEOPLE, tags=FieldSpec(name="tags", left="tags", right="tags", conflicts=Policy.UNION))
    bench = Bench(people_spec(fields=spec))
    left = bench.left.insert(email="ada@example.com", name="Ada", tags=["a", "b"])
    right = bench.right.insert(email="ada@example.com", name="Ada", tags=["b", "c"])
    bench.settle()
    assert set(bench.left[left]["tags"]) == set(bench.right[right]["tags"]) == {"a", "b", "c"}  # type: ignore[call-overload]
    bench.assert_quiet()


def test_fill_takes_the_side_that_says_something_and_asks_where_both_do() -> None:
    bench, left, right = filled("ada", conflicts=Policy.FILL)
    bench.left.edit(left["ada"], name="", phone="6")
    bench.right.edit(right["ada"], name="R", phone="7")
    bench.sync()
    assert bench.left[left["ada"]]["name"] == "R"
    assert [entry.ask.field for entry in bench.inbox()] == ["phone"]
    bench.assert_quiet()


def test_at_first_contact_equal_values_agree_blanks_are_filled_and_the_rest_follows_the_policy() -> None:
    for policy, name in ((Policy.ASK, None), (Policy.LEFT, "L"), (Policy.RIGHT, "R")):
        bench = Bench(people_spec(conflicts=policy))
        left = bench.left.insert(email="Ada@example.com", name="L", phone="1", tags=[])
        right = bench.right.insert(email="ada@example.com", name="R", phone=None, tags=["x"])
        bench.settle()
        assert bench.right[right]["phone"] == "1"
        assert bench.left[left]["tags"] == ["x"]
        assert bench.left[left]["email"] == "Ada@example.com"
        if name is None:
            assert [entry.ask.field for entry in bench.inbox()] == ["name"]
        else:
            assert bench.left[left]["name"] == bench.right[right]["name"] == name
            assert len(bench.attic()) == 1
        bench.assert_quiet()


def test_a_field_mapped_later_is_filled_for_that_field_only() -> None:
    wider = (*PEOPLE, Field(name="city"))
    bench = Bench(people_spec(), fields=wider)
    left = bench.left.insert(email="ada@example.com", name="Ada", city="Paris")
    bench.sync()
    right = str(bench.other(Side.LEFT, left))
    bench.right.edit(right, name="Edited since")
    bench.spec = replace(bench.spec, fields=same_fields(*wider))
    report = bench.run()
    assert report.exit is Exit.REFUSED  # the changed mapping writes: somebody looks first
    bench.run(approve=report.approval)
    assert bench.changed(Side.RIGHT) == [{"city"}]
    assert bench.changed(Side.LEFT) == [{"name"}]
    assert bench.right[right]["city"] == "Paris"
    bench.assert_quiet()
    bench.assert_same()


def test_a_field_mapped_later_that_differs_on_both_sides_is_a_conflict_of_that_field_only() -> None:
    wider = (*PEOPLE, Field(name="city"))
    bench = Bench(people_spec(), fields=wider)
    left = bench.left.insert(email="ada@example.com", name="Ada", city="Paris")
    bench.sync()
    bench.right.edit(str(bench.other(Side.LEFT, left)), city="London")
    bench.spec = replace(bench.spec, fields=same_fields(*wider))
    bench.sync()
    assert [entry.ask.field for entry in bench.inbox()] == ["city"]
    bench.assert_quiet()


# One way


def test_in_a_one_way_pair_the_targets_own_edit_stays_until_the_source_changes_that_field() -> None:
    bench, left, right = filled("ada", direction=Direction.LEFT_TO_RIGHT)
    bench.right.edit(right["ada"], name="Own", phone="9")
    assert not bench.sync().written
    bench.assert_quiet()
    bench.left.edit(left["ada"], name="Source")
    bench.sync()
    assert bench.right[right["ada"]]["name"] == "Source"
    assert bench.right[right["ada"]]["phone"] == "9"
    assert bench.changed(Side.RIGHT) == [{"name"}]
    assert bench.attic() == ["Own"]
    assert bench.writes()[Side.LEFT] == 0
    bench.assert_quiet()


def test_in_a_one_way_pair_target_only_records_are_left_alone() -> None:
    bench, _, _ = filled("ada", direction=Direction.LEFT_TO_RIGHT)
    bench.right.insert(email="own@example.com", name="Own")
    report = bench.sync()
    assert report.buckets["right"]["skipped"] == 1
    assert len(bench.left) == 1
    bench.assert_quiet()


def test_a_one_way_field_in_a_pair_that_goes_both_ways() -> None:
    spec = same_fields(*PEOPLE, phone=FieldSpec(name="phone", left="phone", right="phone", direction=Direction.LEFT_TO_RIGHT))
    bench, left, right = filled("ada", fields=spec)
    bench.right.edit(right["ada"], phone="own", name="Edited")
    bench.sync()
    assert bench.left[left["ada"]] == bench.left[left["ada"]] | {"phone": "1", "name": "Edited"}
    bench.assert_quiet()
    bench.left.edit(left["ada"], phone="2")
    bench.sync()
    assert bench.right[right["ada"]]["phone"] == "2"
    bench.assert_quiet()


def test_a_one_way_field_is_not_taken_back_by_a_record_made_on_the_target_side() -> None:
    spec = same_fields(*PEOPLE, phone=FieldSpec(name="phone", left="phone", right="phone", direction=Direction.LEFT_TO_RIGHT))
    bench = Bench(people_spec(fields=spec))
    right = bench.right.insert(email="ada@example.com", name="Ada", phone="own")
    bench.sync()
    left = str(bench.other(Side.RIGHT, right))
    assert bench.left[left]["phone"] is None
    bench.assert_quiet()
    assert bench.right[right]["phone"] == "own"


def test_a_constant_is_set_on_create_and_never_flows_back() -> None:
    origin = (*PEOPLE, Field(name="origin"))
    fields = (*same_fields(*PEOPLE), FieldSpec(name="origin", left=None, right="origin", constant="crm", is_constant=True))
    bench = Bench(people_spec(fields=fields), fields=origin)
    left = bench.left.insert(email="ada@example.com", name="Ada", origin="mine")
    bench.sync()
    right = str(bench.other(Side.LEFT, left))
    assert bench.right[right]["origin"] == "crm"
    bench.right.edit(right, origin="changed by hand")
    bench.left.edit(left, name="Edited")
    bench.sync()
    assert bench.right[right]["origin"] == "changed by hand"
    assert bench.left[left]["origin"] == "mine"
    bench.assert_quiet()


# Answers


@pytest.mark.parametrize(("pick", "value"), [(Pick.LEFT, "L"), (Pick.RIGHT, "R")])
def test_a_person_picks_a_side(pick: Pick, value: str) -> None:
    bench, left, right = conflicted()
    bench.sync()
    bench.choose(pick)
    assert bench.sync().exit is Exit.DONE
    assert bench.left[left]["name"] == bench.right[right]["name"] == value
    assert len(bench.attic()) == 1
    assert not bench.inbox()
    bench.assert_quiet()


def test_a_person_types_a_value_for_both_sides() -> None:
    bench, left, right = conflicted()
    bench.sync()
    bench.choose(Pick.VALUE, "Third")
    assert bench.settle().exit is Exit.DONE
    assert bench.left[left]["name"] == bench.right[right]["name"] == "Third"
    assert sorted(bench.attic()) == ["L", "R"]
    bench.assert_quiet()


def test_a_person_lets_the_sides_differ_until_one_of_them_changes() -> None:
    bench, left, right = conflicted()
    bench.sync()
    bench.choose(Pick.APART)
    assert bench.sync().exit is Exit.DONE
    assert (bench.left[left]["name"], bench.right[right]["name"]) == ("L", "R")
    bench.assert_quiet()
    bench.right.edit(right, name="R2")
    bench.sync()
    assert bench.left[left]["name"] == "R2"
    bench.assert_quiet()


@pytest.mark.parametrize("pick", [Pick.LEFT, Pick.RIGHT, Pick.APART, Pick.VALUE])
def test_an_answer_to_what_is_no_longer_so_is_not_carried_out(pick: Pick) -> None:
    bench, left, right = conflicted()
    bench.sync()
    bench.choose(pick, "Third" if pick is Pick.VALUE else None)
    bench.right.edit(right, name="R2")
    assert bench.sync().exit is Exit.PARTIAL
    assert (bench.left[left]["name"], bench.right[right]["name"]) == ("L", "R2")
    (entry,) = bench.inbox()
    assert (entry.ask.left, entry.ask.right, entry.choice) == ("L", "R2", None)
    bench.assert_quiet()


def test_a_conflict_that_people_settle_themselves_closes_its_entry() -> None:
    bench, left, right = conflicted()
    bench.sync()
    bench.right.edit(right, name="L")
    assert bench.sync().exit is Exit.DONE
    assert not bench.inbox()
    bench.assert_quiet()
    del left


def test_an_edit_that_arrives_between_the_reading_and_the_write_is_not_overwritten() -> None:
    for can in (able(), able(manners=Manners(versions=False)), able(conditional_writes=False)):
        bench, left, right = filled("ada", right=can)
        bench.left.edit(left["ada"], name="L")
        kind = CallKind.WRITE if can["capabilities"].conditional_writes else CallKind.GET
        once(
            bench.worlds[Side.RIGHT],
            kind,
            Moment.BEFORE,
            lambda call, bench=bench, right=right: bench.right.edit(right["ada"], name="R"),
        )
        bench.sync()
        bench.sync()
        assert bench.right[right["ada"]]["name"] == "R"
        assert [entry.ask.kind for entry in bench.inbox()] == [AskKind.CONFLICT]
        bench.assert_quiet()


def test_an_edit_of_another_field_in_between_survives_our_write() -> None:
    for can in (able(), able(conditional_writes=False)):
        bench, left, right = filled("ada", right=can)
        bench.left.edit(left["ada"], name="L")
        once(
            bench.worlds[Side.RIGHT],
            CallKind.WRITE,
            Moment.BEFORE,
            lambda call, bench=bench, right=right: bench.right.edit(right["ada"], phone="R"),
        )
        for _ in range(3):
            bench.sync()
        assert (bench.right[right["ada"]]["name"], bench.right[right["ada"]]["phone"]) == ("L", "R")
        bench.assert_same()
        bench.assert_quiet()


def test_members_that_somebody_adds_in_between_stay_where_sets_change_by_their_members() -> None:
    bench, left, right = filled("ada", right=able(set_deltas=True, conditional_writes=False))
    bench.left.edit(left["ada"], tags=["x", "l"])
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.BEFORE, lambda call: bench.right.edit(right["ada"], tags=["x", "r"]))
    for _ in range(3):
        bench.sync()
    assert set(bench.right[right["ada"]]["tags"]) == {"x", "l", "r"}  # type: ignore[call-overload]
    bench.assert_same()
    bench.assert_quiet()


def test_a_resource_that_replaces_whole_records_keeps_the_fields_that_nobody_mapped() -> None:
    wider = (*PEOPLE, Field(name="private"), Field(name="made_at", read_only=True))
    for gets in (True, False):
        bench = Bench(people_spec(), fields=wider, right_options=able(partial_updates=False))
        if not gets:
            bench.reconnect(lacking={Side.RIGHT: ["gets"]})
        left = bench.left.insert(email="ada@example.com", name="Ada", phone="1")
        bench.sync()
        right = str(bench.other(Side.LEFT, left))
        bench.right.edit(right, private="mine")
        bench.left.edit(left, name="Countess")
        bench.settle()
        assert bench.right[right]["name"] == "Countess"
        assert bench.right[right]["private"] == "mine"
        assert bench.right[right]["phone"] == "1"
        bench.assert_quiet()


def test_a_choice_of_words_is_compared_by_meaning() -> None:
    stage = Field(name="stage", type=FieldType.TEXT)
    spec = (*same_fields(*PEOPLE), FieldSpec(name="stage", left="stage", right="stage", values={"Won": "closed_won"}))
    bench = Bench(people_spec(fields=spec), fields=(*PEOPLE, stage))
    left = bench.left.insert(email="ada@example.com", name="Ada", stage="Won")
    bench.sync()
    right = str(bench.other(Side.LEFT, left))
    assert bench.right[right]["stage"] == "closed_won"
    bench.assert_quiet()
    bench.right.edit(right, stage="closed_lost")
    bench.sync()
    assert bench.left[left]["stage"] == "closed_lost"
    bench.assert_quiet()
