"""Leaving a filter suspends a link and deletes nothing; coming back resumes it (failure mode 5)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from syncengine.connector import Field
from syncengine.core.decision import LinkState
from syncengine.core.model import Condition, Deletes, FieldSpec, Side, Test
from syncengine.engine.report import Exit
from syncengine.testing.memory import CallKind, Manners, Moment
from tests.support.engine import PEOPLE, Bench, able, once, people_spec, same_fields

COUNTRY = (*PEOPLE, Field(name="country"))
GERMANS = {Side.LEFT: (Condition(field="country", test=Test.IS, value="DE"),)}


def germans(*, left: dict[str, Any] | None = None, **changes: object) -> tuple[Bench, dict[str, str]]:
    """Three Germans and a French woman; the filter column is not mapped."""
    bench = Bench(people_spec(filters=GERMANS, **changes), fields=COUNTRY, left_options=left or {})
    ids = {
        name: bench.left.insert(email=f"{name}@example.com", name=name.title(), country=country)
        for name, country in {"ada": "DE", "bob": "DE", "cyd": "DE", "eve": "FR"}.items()
    }
    assert bench.sync().written == {"right.create": 3}
    return bench, ids


@pytest.mark.parametrize("deletes", list(Deletes))
def test_leaving_the_filter_suspends_the_link_and_deletes_nothing(deletes: Deletes) -> None:
    bench, ids = germans(deletes=deletes)
    right = str(bench.other(Side.LEFT, ids["ada"]))
    bench.left.edit(ids["ada"], country="FR", name="Away")
    report = bench.sync()
    assert not report.written
    assert bench.right[right]["name"] == "Ada"
    assert bench.link_states().count(LinkState.SUSPENDED) == 1
    assert not bench.inbox()
    bench.assert_quiet()
    bench.left.edit(ids["ada"], country="DE")
    assert bench.sync().written == {"right.update": 1}
    assert bench.right[right]["name"] == "Away"
    assert bench.other(Side.LEFT, ids["ada"]) == right
    bench.assert_quiet()


@pytest.mark.parametrize("versions", [True, False])
def test_a_record_that_leaves_the_filter_right_before_a_conditional_write_is_not_written_to(versions: bool) -> None:
    """Where no version tells, the condition names what the filter looks at as well, and not only what is to be replaced."""
    bench, ids = germans(left=able(manners=Manners(versions=versions)))
    bench.right.edit(str(bench.other(Side.LEFT, ids["ada"])), name="Countess")
    once(bench.worlds[Side.LEFT], CallKind.WRITE, Moment.BEFORE, lambda _: bench.left.edit(ids["ada"], country="FR"))
    assert bench.run().pending == {"deferred": 2}
    bench.settle()
    assert bench.left[ids["ada"]]["name"] == "Ada"
    assert bench.link_states().count(LinkState.SUSPENDED) == 1
    bench.assert_quiet()


def test_edits_made_on_both_sides_while_suspended_are_merged_when_the_record_returns() -> None:
    bench, ids = germans()
    right = str(bench.other(Side.LEFT, ids["ada"]))
    bench.left.edit(ids["ada"], country="FR")
    bench.sync()
    bench.left.edit(ids["ada"], phone="5")
    bench.right.edit(right, name="Edited")
    bench.assert_quiet()
    bench.left.edit(ids["ada"], country="DE")
    bench.sync()
    assert bench.left[ids["ada"]]["name"] == "Edited"
    assert bench.right[right]["phone"] == "5"
    bench.assert_quiet()


def test_a_record_deleted_while_it_was_out_of_scope_leaves_its_partner_alone() -> None:
    bench, ids = germans(deletes=Deletes.PROPAGATE)
    bench.left.edit(ids["ada"], country="FR")
    bench.sync()
    bench.left.remove(ids["ada"])
    bench.sync()
    assert len(bench.right) == 3
    assert bench.removals() == 0
    bench.assert_quiet()


def test_a_changed_filter_needs_approval_where_it_writes_and_never_deletes() -> None:
    bench, ids = germans(deletes=Deletes.PROPAGATE)
    french = {Side.LEFT: (Condition(field="country", test=Test.IS, value="FR"),)}
    bench.spec = replace(bench.spec, filters=french)
    report = bench.run()
    assert report.exit is Exit.REFUSED
    assert "config" in [trip.guard for trip in report.refused]
    assert bench.writes() == {Side.LEFT: 0, Side.RIGHT: 3}
    assert bench.run(approve=report.approval).written == {"right.create": 1}
    assert len(bench.right) == 4
    assert bench.removals() == 0
    assert bench.link_states().count(LinkState.SUSPENDED) == 3
    bench.assert_quiet()
    bench.left.edit(ids["bob"], country="FR", phone="7")
    bench.sync()
    assert bench.right[str(bench.other(Side.LEFT, ids["bob"]))]["phone"] == "7"
    bench.assert_quiet()


def test_a_create_that_would_fall_outside_the_targets_own_filter_is_refused_in_the_plan() -> None:
    active = {Side.RIGHT: (Condition(field="country", test=Test.IS, value="DE"),)}
    bench = Bench(people_spec(filters=active), fields=COUNTRY)
    bench.left.insert(email="ada@example.com", name="Ada", country="DE")
    plan = bench.plan()
    assert not plan.counts
    bench.sync()
    assert len(bench.right) == 0
    bench.assert_quiet()

    mapped = same_fields(*COUNTRY)
    bench.spec = replace(bench.spec, fields=mapped)
    bench.left.insert(email="bob@example.com", name="Bob", country="FR")
    bench.sync()
    assert [row["name"] for row in bench.right.records().values()] == ["Ada"]
    bench.assert_quiet()


def test_a_constant_can_put_a_created_record_into_the_targets_filter() -> None:
    fields = (*same_fields(*PEOPLE), FieldSpec(name="where", left=None, right="country", constant="DE", is_constant=True))
    bench = Bench(
        people_spec(filters={Side.RIGHT: (Condition(field="country", test=Test.IS, value="DE"),)}, fields=fields), fields=COUNTRY
    )
    bench.left.insert(email="ada@example.com", name="Ada")
    bench.sync()
    assert [row["country"] for row in bench.right.records().values()] == ["DE"]
    bench.assert_quiet()


def test_matching_sees_records_out_of_scope_so_that_no_twin_is_made() -> None:
    bench, ids = germans()
    twin = bench.right.insert(email="EVE@example.com", name="Eve R")
    report = bench.sync()
    assert not report.written
    assert bench.other(Side.LEFT, ids["eve"]) == twin
    bench.assert_quiet()
    bench.left.edit(ids["eve"], country="DE", phone="3")
    bench.sync()
    assert bench.right[twin]["phone"] == "3"
    assert len(bench.left) == len(bench.right) == 4
    bench.assert_quiet()


def test_a_filter_on_the_other_side_suspends_as_well() -> None:
    filters = {Side.RIGHT: (Condition(field="phone", test=Test.IS_NOT, value="blocked"),)}
    bench = Bench(people_spec(filters=filters))
    left = bench.left.insert(email="ada@example.com", name="Ada", phone="1")
    bench.sync()
    right = str(bench.other(Side.LEFT, left))
    bench.right.edit(right, phone="blocked")
    bench.left.edit(left, name="Later")
    bench.sync()
    assert bench.left[left]["phone"] == "1"
    assert bench.right[right]["name"] == "Ada"
    bench.assert_quiet()
    bench.right.edit(right, phone="2")
    bench.settle()
    assert (bench.left[left]["phone"], bench.right[right]["name"]) == ("2", "Later")
    bench.assert_quiet()


def test_an_update_that_would_move_the_target_out_of_its_own_filter_still_travels_and_then_suspends() -> None:
    filters = {Side.RIGHT: (Condition(field="country", test=Test.IS, value="DE"),)}
    bench = Bench(people_spec(filters=filters, fields=same_fields(*COUNTRY)), fields=COUNTRY)
    left = bench.left.insert(email="ada@example.com", name="Ada", country="DE")
    bench.sync()
    bench.left.edit(left, country="FR")
    bench.settle()
    assert bench.removals() == 0
    assert len(bench.left) == len(bench.right) == 1
    bench.assert_quiet()


@pytest.mark.parametrize("deletes", [Deletes.PROPAGATE, Deletes.ARCHIVE])
def test_what_our_own_write_moved_out_of_its_filter_may_be_deleted_there_and_stays_here(deletes: Deletes) -> None:
    filters = {Side.RIGHT: (Condition(field="country", test=Test.IS, value="DE"),)}
    bench = Bench(people_spec(filters=filters, fields=same_fields(*COUNTRY), deletes=deletes), fields=COUNTRY)
    left = bench.left.insert(email="ada@example.com", name="Ada", country="DE")
    bench.sync()
    right = str(bench.other(Side.LEFT, left))
    bench.left.edit(left, country="FR")
    bench.settle()
    assert bench.link_states() == [LinkState.SUSPENDED]
    bench.right.remove(right)
    bench.settle()
    assert bench.removals() == 0
    assert len(bench.left) == 1
    bench.assert_quiet()


def test_a_survivor_meets_a_namesake_that_was_left_alone_outside_the_filter_and_waits_no_more() -> None:
    named = {Side.RIGHT: (Condition(field="name", test=Test.BLANK, value=False),)}
    bench = Bench(people_spec(filters=named, deletes=Deletes.PROPAGATE))
    left = bench.left.insert(email="ada@example.com", name="Ada")
    bench.settle()
    partner = str(bench.other(Side.LEFT, left))
    bench.right.edit(partner, email="bob@example.com")
    bench.settle()
    bench.right.insert(email="ada@example.com")
    bench.sync()
    bench.right.remove(partner)
    bench.left.edit(left, email="ada@example.com")
    bench.sync()
    assert not bench.sync().pending
    assert bench.link_states() == [LinkState.SUSPENDED]
    bench.assert_quiet()
