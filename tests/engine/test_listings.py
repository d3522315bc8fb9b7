"""Nothing is deleted, and nothing made again, on the evidence of an empty, short or broken listing (failure mode 4)."""

from __future__ import annotations

import pytest

from syncengine.core.model import Deletes, Side
from syncengine.engine.report import Exit
from syncengine.errors import AuthError, TransientError
from syncengine.testing.memory import SIMPLE, CallKind, Manners, Moment, Paging
from tests.support.engine import Bench, able, failing, fill, filled, once, people_spec

WHOLE = able(incremental=False, reports_deletions=False, page_size=2)
NAMES = tuple(f"person{number}" for number in range(7))


def forget(bench: Bench, side: Side, *ids: str) -> None:
    """The listing loses records that are still there, as a lagging index or lost rights make it."""
    resource = bench.resources[side]
    view = resource.view

    def short() -> object:
        from dataclasses import replace

        full = view()
        return replace(full, records={id_: state for id_, state in full.records.items() if id_ not in ids})

    resource.view = short  # type: ignore[method-assign,assignment]


def test_a_page_that_cannot_be_read_ends_the_run_before_anything_is_written() -> None:
    bench, left, _ = filled(*NAMES, left=WHOLE, deletes=Deletes.PROPAGATE)
    bench.left.edit(left["person0"], name="Edited")
    before = bench.writes()
    once(bench.worlds[Side.LEFT], CallKind.PAGE, Moment.BEFORE, failing(TransientError("page 3")), nth=3)
    report = bench.run()
    assert report.exit is Exit.FAILED
    assert "page 3" in report.error
    assert bench.writes() == before
    assert bench.sync().written == {"right.update": 1}
    bench.assert_quiet()


def test_a_listing_that_comes_back_empty_deletes_nothing_while_the_records_are_there_by_id() -> None:
    bench, left, _ = filled(*NAMES, left=WHOLE, deletes=Deletes.PROPAGATE)
    forget(bench, Side.LEFT, *left.values())
    report = bench.run()
    assert report.notes == ("one.people: a complete listing left out 7 records that are there when read by id",)
    bench.assert_quiet()
    assert bench.removals() == 0
    assert bench.creates(Side.LEFT) == 0


def test_a_side_that_really_lost_everything_is_refused_by_the_guard_until_somebody_approves() -> None:
    bench, left, _ = filled(*NAMES, left=WHOLE, deletes=Deletes.PROPAGATE)
    for id_ in left.values():
        bench.left.remove(id_)
    report = bench.run()
    assert report.exit is Exit.REFUSED
    assert [trip.guard for trip in report.refused] == ["emptied"]
    assert "7 records" in report.refused[0].message
    bench.assert_quiet(refused=True)
    assert bench.run(approve=report.approval).written == {"right.delete": 7}
    bench.assert_quiet()


@pytest.mark.parametrize("side", list(Side))
def test_a_record_missing_from_a_complete_listing_is_asked_for_by_id_before_it_counts_as_gone(side: Side) -> None:
    bench, left, right = filled(*NAMES, left=WHOLE, right=WHOLE, deletes=Deletes.PROPAGATE)
    forget(bench, side, (left if side is Side.LEFT else right)["person3"])
    bench.assert_quiet()
    assert len(bench.left) == len(bench.right) == 7


def test_a_record_that_the_system_cannot_tell_about_waits_and_loses_nothing() -> None:
    bench, left, _ = filled(*NAMES, left=WHOLE, deletes=Deletes.PROPAGATE)
    bench.left.conceal(left["person3"])
    forget(bench, Side.LEFT, left["person3"])
    report = bench.run()
    assert report.exit is Exit.PARTIAL
    assert bench.removals() == 0
    bench.assert_quiet()


def test_a_listing_that_never_stood_still_is_no_proof_of_absence() -> None:
    bench, left, right = filled(
        *NAMES, left=able(incremental=False, reports_deletions=False, manners=Manners(paging=Paging.MOVING), page_size=2)
    )
    bench.left.remove(left["person3"])

    def stir(call: object, moment: object) -> None:
        bench.worlds[Side.LEFT].on_call = None
        bench.left.edit(left["person0"], phone=str(bench.clock.time))
        bench.worlds[Side.LEFT].on_call = stir  # type: ignore[assignment]

    bench.worlds[Side.LEFT].on_call = stir  # type: ignore[assignment]
    bench.run()
    bench.worlds[Side.LEFT].on_call = None
    assert right["person3"] in bench.right
    assert not bench.inbox()
    bench.settle()
    assert len(bench.inbox()) == 1
    bench.assert_quiet()


def test_a_record_that_appears_twice_in_a_listing_is_one_record() -> None:
    bench = Bench(people_spec(), left_options=able(manners=Manners(repeats=True), incremental=False, page_size=2))
    fill(bench, *NAMES)
    assert bench.creates(Side.RIGHT) == 7
    bench.assert_quiet()


def test_a_short_first_listing_makes_no_twin_of_a_record_that_it_left_out() -> None:
    bench = Bench(people_spec(), left_options=WHOLE, right_options=WHOLE)
    for name in NAMES:
        bench.left.insert(email=f"{name}@example.com", name=name)
    hidden = bench.left.insert(email="hidden@example.com", name="Hidden")
    bench.right.insert(email="hidden@example.com", name="Hidden")
    view = bench.left.view
    forget(bench, Side.LEFT, hidden)
    listed = bench.worlds[Side.LEFT]
    # The index behind the search knows it, the listing does not yet.
    once(listed, CallKind.FIND, Moment.BEFORE, lambda call: setattr(bench.left, "view", view))
    report = bench.run()
    report = bench.run(approve=report.approval) if report.exit is Exit.REFUSED else report
    assert bench.creates(Side.LEFT) == 0
    bench.left.view = view  # type: ignore[method-assign]
    bench.settle()
    assert len(bench.left) == len(bench.right) == 8
    bench.assert_quiet()


def test_a_side_that_refuses_the_credentials_stops_the_run_and_nothing_is_concluded() -> None:
    bench, left, right = filled("ada", "bob", deletes=Deletes.PROPAGATE)
    bench.right.edit(right["ada"], name="Countess")
    once(bench.worlds[Side.LEFT], CallKind.PAGE, Moment.BEFORE, failing(AuthError("the key was revoked")))
    report = bench.run()
    assert report.exit is Exit.FAILED
    assert bench.writes() == {Side.LEFT: 0, Side.RIGHT: 2}
    assert bench.sync().written == {"left.update": 1}
    assert bench.left[left["ada"]]["name"] == "Countess"
    bench.assert_quiet()


def test_gone_counts_only_from_a_side_that_still_shows_something_it_is_known_to_hold() -> None:
    bench, left, _ = filled("ada", "bob", "cyd", left=able(SIMPLE, incremental=True), deletes=Deletes.PROPAGATE)
    # One record waits, so that it is read by id although the incremental listing does not bring it.
    bench.left.edit(left["ada"], name="L")
    bench.right.edit(str(bench.other(Side.LEFT, left["ada"])), name="R")
    bench.sync()
    live = bench.left.history.live
    bench.left.history.live = {}  # rights were lost: everything by id answers "no such record"
    bench.run()
    bench.left.history.live = live
    assert bench.removals() == 0
    assert len(bench.right) == 3
    bench.assert_quiet()
