"""Incremental reads: a cursor passes a record only when its fate is recorded, and is never the only evidence (failure modes 10, 13)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncengine.core.model import Deletes, Keyless, Side
from syncengine.engine.report import Exit
from syncengine.errors import AuthError, OutcomeUnknown, TransientError
from syncengine.testing.memory import FULL, CallKind, Manners, Moment, Paging
from tests.support.engine import Bench, able, failing, filled, once


def cursors(bench: Bench) -> dict[Side, str | None]:
    state = bench.store.runs.pair(bench.spec.name)
    return dict(state.cursors)


def test_an_incremental_run_reads_only_what_changed() -> None:
    bench, left, _ = filled(*(f"p{number}" for number in range(10)), left=able(page_size=2), right=able(page_size=2))
    bench.sync()
    pages = bench.calls(Side.LEFT, CallKind.PAGE)
    bench.left.edit(left["p3"], name="Edited")
    report = bench.sync()
    assert report.read == {"left": 1, "right": 0}
    assert bench.calls(Side.LEFT, CallKind.PAGE) == pages + 1
    bench.assert_quiet()


def test_a_run_that_fails_keeps_its_cursor_so_that_nothing_is_missed() -> None:
    bench, left, right = filled("ada", "bob")
    bench.sync()
    before = cursors(bench)
    bench.left.edit(left["ada"], name="Edited")
    once(bench.worlds[Side.RIGHT], CallKind.PAGE, Moment.BEFORE, failing(TransientError("down")))
    assert bench.run().exit is Exit.FAILED
    assert cursors(bench) == before
    assert bench.sync().written == {"right.update": 1}
    assert bench.right[right["ada"]]["name"] == "Edited"
    bench.assert_quiet()


def test_a_cursor_may_pass_records_that_wait_because_they_are_looked_at_in_every_run() -> None:
    bench, left, right = filled("ada", "bob")
    bench.left.edit(left["ada"], name="L")
    bench.right.edit(right["ada"], name="R")
    bench.sync()
    before = cursors(bench)
    bench.sync()
    assert cursors(bench)[Side.LEFT] is not None
    assert before[Side.LEFT] is not None
    bench.right.edit(right["ada"], name="L")  # only the right shows up in the feed
    assert bench.sync().exit is Exit.DONE
    bench.assert_quiet()


def test_a_write_that_failed_is_made_by_the_next_run_although_no_feed_mentions_it() -> None:
    bench, left, right = filled("ada", "bob")
    bench.left.edit(left["ada"], name="Edited")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.BEFORE, failing(TransientError("503")))
    bench.run()
    assert bench.waiting(Side.LEFT) == {left["ada"]: "failed"}
    bench.sync()
    assert bench.right[right["ada"]]["name"] == "Edited"
    bench.assert_quiet()


def test_a_refused_run_leaves_the_cursor_where_it_was() -> None:
    bench, left, _ = filled(*(f"p{number}" for number in range(11)), deletes=Deletes.PROPAGATE)
    bench.sync()
    before = cursors(bench)
    for id_ in left.values():
        bench.left.remove(id_)
    report = bench.run()
    assert report.exit is Exit.REFUSED
    assert cursors(bench) == before
    bench.run(approve=report.approval)
    assert len(bench.right) == 0
    bench.assert_quiet()


@pytest.mark.parametrize("overlap", [1, 3, 100])
def test_what_a_feed_delivers_again_is_not_applied_again(overlap: int) -> None:
    can = able(manners=Manners(overlap=overlap))
    bench, left, _ = filled("ada", "bob", "cyd", left=can, right=can)
    for number in range(4):
        bench.left.edit(left["ada"], name=f"N{number}")
        assert bench.sync().written == {"right.update": 1}
    bench.assert_quiet()


def test_a_cursor_that_expired_means_a_full_read_and_no_mass_delete() -> None:
    bench, left, right = filled("ada", "bob", "cyd", deletes=Deletes.PROPAGATE)
    bench.left.edit(left["ada"], name="Edited")
    bench.left.remove(left["bob"])
    bench.left.expire_cursors()
    report = bench.sync()
    assert report.written == {"right.update": 1, "right.delete": 1}
    assert right["bob"] not in bench.right
    bench.assert_quiet()
    bench.assert_same()


def test_deletes_that_no_feed_reports_are_found_by_the_next_full_sweep() -> None:
    can = able(reports_deletions=False)
    bench, left, right = filled("ada", "bob", "cyd", left=can, right=can, deletes=Deletes.PROPAGATE, full_sweep=3600.0)
    bench.sync()
    bench.left.remove(left["ada"])
    assert not bench.sync().written
    bench.clock.time += 3600
    assert bench.sync().written == {"right.delete": 1}
    assert right["ada"] not in bench.right
    bench.assert_quiet()


def test_a_change_that_no_feed_reported_is_found_by_the_next_full_sweep() -> None:
    bench, left, right = filled("ada", "bob", full_sweep=3600.0)
    bench.sync()
    live = bench.left.history.live
    live[left["ada"]] = replace(live[left["ada"]], fields={**live[left["ada"]].fields, "name": "Changed behind the feed"})
    assert not bench.sync().written
    assert bench.sync(sweep=True).written == {"right.update": 1}
    assert bench.right[right["ada"]]["name"] == "Changed behind the feed"
    bench.assert_quiet()


def test_a_record_made_and_deleted_between_two_runs_leaves_no_trace() -> None:
    bench, _, _ = filled("ada")
    bench.sync()
    gone = bench.left.insert(email="short@example.com", name="Short")
    bench.left.remove(gone)
    assert not bench.sync().written
    bench.assert_quiet()


def test_a_record_gone_by_a_later_page_of_the_same_listing_is_not_made_on_the_other_side() -> None:
    from syncengine.connector import Page

    bench, _, _ = filled("ada")
    connector = bench.connectors[Side.LEFT]
    columns = bench.context().remotes[Side.LEFT].columns

    def read(resource: str, *, fields: object, cursor: object = None) -> object:
        row = tuple("x@example.com" if name == "email" else None for name in columns)
        yield Page(fields=columns, ids=["99"], rows=[row])
        yield Page(fields=columns, ids=[], rows=[], deleted=["99"])

    connector.read = read
    report = bench.run()
    assert not report.written
    bench.reconnect()
    assert len(bench.right) == 1
    bench.assert_quiet()


def test_changes_that_lag_behind_are_picked_up_later_and_nothing_is_doubled() -> None:
    can = able(lag=10.0)
    bench, left, right = filled("ada", left=can, right=can)
    for number in range(3):
        bench.left.edit(left["ada"], name=f"N{number}")
        bench.right.insert(email=f"n{number}@example.com", name="New")
        bench.sync()
    bench.clock.time += 60
    for _ in range(3):
        bench.sync()
    assert bench.right[right["ada"]]["name"] == "N2"
    assert len(bench.left) == len(bench.right) == 4
    bench.assert_same()
    bench.assert_quiet()


def test_a_listing_that_shows_an_old_state_does_not_undo_a_newer_one() -> None:
    for told in (True, False):
        bench = Bench(left_options=able(lag=500.0, returns_record=told))
        left = bench.left.insert(email="ada@example.com", name="Ada")
        bench.clock.time += 1000
        bench.sync()
        right = str(bench.other(Side.LEFT, left))
        bench.right.edit(right, name="Right")
        bench.sync()  # written to the left, whose listings will show it only later
        assert bench.left[left]["name"] == "Right"
        bench.sync(sweep=True)
        bench.assert_quiet()
        bench.clock.time += 1000
        bench.assert_quiet()
        assert bench.right[right]["name"] == bench.left[left]["name"] == "Right"


def test_a_hinted_record_is_synced_alone_and_concludes_nothing_about_the_rest() -> None:
    bench, left, right = filled("ada", "bob", "cyd", deletes=Deletes.PROPAGATE)
    before = cursors(bench)
    bench.left.edit(left["ada"], name="Edited")
    bench.left.edit(left["bob"], name="Not hinted")
    bench.left.remove(left["cyd"])
    report = bench.run(ids={Side.LEFT: [left["ada"]], Side.RIGHT: []})
    assert report.written == {"right.update": 1}
    assert report.read == {"left": 1, "right": 1}
    assert bench.right[right["bob"]]["name"] == "Bob"
    assert cursors(bench) == before
    bench.sync()
    bench.assert_same()
    bench.assert_quiet()


@pytest.mark.parametrize("gone", [True, False])
def test_a_hint_about_a_record_that_is_gone_or_unknown(gone: bool) -> None:
    bench, left, right = filled("ada", "bob", "cyd", deletes=Deletes.PROPAGATE)
    if gone:
        bench.left.remove(left["ada"])
    report = bench.run(ids={Side.LEFT: [left["ada"] if gone else "12345"], Side.RIGHT: []})
    assert report.exit is Exit.DONE
    assert (right["ada"] not in bench.right) is gone
    bench.assert_quiet()


def test_a_doubtful_write_is_resolved_even_if_no_feed_mentions_its_record() -> None:
    bench, left, right = filled("ada", "bob", right=able(FULL, late_arrival=30.0))
    bench.left.edit(left["ada"], name="Edited")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.BEFORE, failing(OutcomeUnknown("timeout")))
    bench.run()
    bench.clock.time += 60
    bench.settle()
    assert bench.right[right["ada"]]["name"] == "Edited"
    bench.assert_quiet()


def test_what_a_listing_left_out_under_a_new_config_is_read_by_the_next_run() -> None:
    """Wherever the cursor stands: those records are settled by the old config, and no feed will ever mention them again."""
    bench, left, _ = filled("ada", "bob", left=able(page_size=1, max_batch=100))
    bench.sync()
    bench.spec = replace(bench.spec, keyless=Keyless.CREATE)
    once(bench.worlds[Side.LEFT], CallKind.PAGE, Moment.AFTER, lambda _: bench.left.edit(left["ada"], phone="2"))
    bench.left.manners = replace(bench.left.manners, paging=Paging.MOVING, passes=1)
    bench.sync()
    assert bench.store.runs.pair("people").full_at[Side.LEFT] is None
    bench.left.manners = replace(bench.left.manners, paging=Paging.SNAPSHOT)
    assert bench.sync().read["left"] == 2
    assert bench.store.runs.pair("people").full_at[Side.LEFT] is not None
    bench.assert_quiet()


def test_both_listings_standing_still_costs_one_page_a_side_and_no_other_call() -> None:
    bench, _, _ = filled("ada", "bob")
    bench.sync()
    calls = {side: len(bench.worlds[side].calls) for side in Side}
    bench.sync()
    assert {side: len(bench.worlds[side].calls) - calls[side] for side in Side} == {Side.LEFT: 1, Side.RIGHT: 1}
    bench.assert_quiet()


def test_a_config_that_comes_back_after_a_failed_run_under_another_one_reads_everything() -> None:
    """What waited under the first may have been settled under the second, which did not know of it."""
    bench, left, right = filled("ada", "bob")
    whole = bench.spec
    bench.left.edit(left["ada"], name="L")
    bench.right.edit(right["ada"], name="R")
    bench.sync()
    assert bench.waiting(Side.LEFT) == {left["ada"]: "conflict"}
    bench.spec = replace(whole, fields=tuple(each for each in whole.fields if each.name != "name"))
    bench.left.edit(left["bob"], phone="9")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.BEFORE, failing(AuthError("no entry")))
    report = bench.run()
    report = bench.run(approve=report.approval) if report.approval else report
    assert "no entry" in report.error
    bench.spec = whole
    bench.settle()
    assert bench.waiting(Side.LEFT) == {left["ada"]: "conflict"}
    assert [entry.ask.field for entry in bench.inbox()] == ["name"]
