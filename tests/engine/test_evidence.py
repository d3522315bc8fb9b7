"""What is looked at right before a write, and what happens when it is no longer as it was planned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from syncengine.connector import Written
from syncengine.core.decision import AskKind
from syncengine.core.merge import Pick
from syncengine.core.model import Deletes, Side
from syncengine.engine.report import Exit
from syncengine.testing.memory import SIMPLE, Call, CallKind, Manners, Moment, Paging
from tests.support.engine import PEOPLE, Bench, able, filled, once, people_spec

PLAIN = able(SIMPLE)
WHOLESALE = able(SIMPLE, partial_updates=False)


@pytest.mark.parametrize("can", [PLAIN, WHOLESALE, able()], ids=["plain", "wholesale", "conditional"])
def test_a_target_that_vanishes_before_the_write_is_no_failure_and_nothing_is_lost(can: dict[str, Any]) -> None:
    bench, left, right = filled("ada", "bob", right=can)
    bench.left.edit(left["ada"], name="Edited")
    kind = CallKind.WRITE if can["capabilities"].conditional_writes else CallKind.GET
    once(bench.worlds[Side.RIGHT], kind, Moment.BEFORE, lambda call: bench.right.remove(right["ada"]))
    report = bench.sync()
    assert report.exit is Exit.PARTIAL
    assert not report.failed
    for _ in range(3):
        bench.sync()
    assert "Edited" in {row["name"] for row in bench.right.records().values()}  # the edit survived the deletion
    assert len(bench.right) == 2
    bench.assert_same()
    bench.assert_quiet()


def test_a_target_that_cannot_be_read_right_before_the_write_waits() -> None:
    bench, left, right = filled("ada", right=PLAIN)
    bench.left.edit(left["ada"], name="Edited")
    bench.right.conceal(right["ada"])
    report = bench.run()
    assert report.pending == {"unread": 2}
    assert bench.right[right["ada"]]["name"] == "Ada"
    bench.assert_quiet(trying=True)
    bench.right.concealed.clear()
    bench.sync()
    assert bench.right[right["ada"]]["name"] == "Edited"
    bench.assert_quiet()


@pytest.mark.parametrize("can", [PLAIN, WHOLESALE], ids=["plain", "wholesale"])
def test_an_edit_of_another_field_right_before_the_write_is_merged_in_the_same_pass(can: dict[str, Any]) -> None:
    bench, left, right = filled("ada", right=can)
    bench.left.edit(left["ada"], name="Edited")
    once(bench.worlds[Side.RIGHT], CallKind.GET, Moment.BEFORE, lambda call: bench.right.edit(right["ada"], phone="own"))
    for _ in range(3):
        bench.sync()
    assert bench.right[right["ada"]] == {"email": "ada@example.com", "name": "Edited", "phone": "own", "tags": ["x"]}
    bench.assert_same()
    bench.assert_quiet()


def test_an_edit_after_the_first_look_and_before_the_whole_record_is_read_defers_the_write() -> None:
    bench, left, right = filled("ada", right=WHOLESALE)
    bench.left.edit(left["ada"], name="Edited")
    once(bench.worlds[Side.RIGHT], CallKind.GET, Moment.BEFORE, lambda call: bench.right.edit(right["ada"], phone="own"), nth=2)
    for _ in range(3):
        bench.sync()
    assert bench.right[right["ada"]]["phone"] == "own"
    assert bench.right[right["ada"]]["name"] == "Edited"
    bench.assert_quiet()


def test_a_first_contact_is_decided_again_where_the_source_moved_since_it_was_read() -> None:
    bench = Bench(left_options=PLAIN, right_options=PLAIN)
    left = bench.left.insert(email="ada@example.com", name="Ada", phone="1")
    right = bench.right.insert(email="ada@example.com", name="Ada")
    report = bench.run()
    once(bench.worlds[Side.LEFT], CallKind.GET, Moment.BEFORE, lambda call: bench.left.edit(left, phone="2"))
    bench.run(approve=report.approval)
    for _ in range(2):
        bench.sync()
    assert bench.right[right]["phone"] == "2"
    bench.assert_quiet()


def test_a_delete_is_not_carried_out_when_the_source_is_back_before_it() -> None:
    bench, left, right = filled("ada", "bob", "cyd", deletes=Deletes.PROPAGATE)
    bench.left.archive(left["ada"])
    # Its absence is confirmed by id when it is noticed, and once more right before the write.
    once(bench.worlds[Side.LEFT], CallKind.GET, Moment.BEFORE, lambda call: bench.left.revive(left["ada"]), nth=2)
    for _ in range(3):
        bench.sync()
    assert right["ada"] in bench.right
    assert bench.removals() == 0
    bench.assert_same()
    bench.assert_quiet()


def test_a_delete_that_a_person_chose_waits_while_the_other_side_can_show_nothing_that_it_held() -> None:
    """Its "gone" proves nothing then, and the record may be there again since the question was asked."""
    bench, left, right = filled("ada", "bob", deletes=Deletes.ASK)
    bench.left.archive(left["ada"])
    bench.sync()
    bench.choose(Pick.LEFT)
    bench.left.conceal(left["bob"])
    bench.run()
    assert bench.removals() == 0
    bench.left.concealed.clear()
    bench.settle()
    assert right["ada"] not in bench.right
    bench.assert_quiet()


def test_a_member_added_right_before_ours_is_an_edit_whatever_version_the_write_is_answered_with() -> None:
    silent = able(conditional_writes=False, set_deltas=True, returns_record=False)
    bench, left, right = filled("ada", right=silent)
    bench.left.edit(left["ada"], tags=["x", "ours"])
    once(
        bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.BEFORE, lambda call: bench.right.edit(right["ada"], tags=["x", "theirs"])
    )
    bench.settle()
    for tags in (bench.left[left["ada"]]["tags"], bench.right[right["ada"]]["tags"]):
        assert isinstance(tags, list)
        assert sorted(tags) == ["ours", "theirs", "x"]
    bench.assert_quiet()


def answering(bench: Bench, change: Callable[[Written], Any]) -> None:
    """The right answers creates with something else than what it did."""
    apply = bench.right.apply

    def apply_and_answer(asked: Any) -> Any:
        outcome = apply(asked)
        if type(asked).__name__ == "Create" and isinstance(outcome, Written):
            bench.right.apply = apply  # type: ignore[method-assign]
            return change(outcome)
        return outcome

    bench.right.apply = apply_and_answer  # type: ignore[method-assign]


def test_a_create_that_is_answered_with_a_linked_record_links_nothing_twice() -> None:
    bench, left, right = filled("ada", right=able(idempotent_creates=False, chooses_ids=False))
    new = bench.left.insert(email="new@example.com", name="New")
    answering(bench, lambda outcome: replace(outcome, id=right["ada"]))
    report = bench.run()
    assert report.exit is Exit.PARTIAL
    assert bench.other(Side.LEFT, left["ada"]) == right["ada"]
    assert bench.other(Side.LEFT, new) is None
    assert [entry.ask.kind for entry in bench.inbox()] == [AskKind.DUPLICATE]


def test_a_stale_version_is_read_again_and_decided_anew() -> None:
    bench, left, right = filled("ada")
    bench.left.edit(left["ada"], name="L")

    def refuse(call: Call) -> None:
        bench.right.edit(right["ada"], phone="own")

    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.BEFORE, refuse)
    report = bench.sync()
    assert report.pending == {"deferred": 2}
    bench.settle()
    bench.settle()
    assert (bench.right[right["ada"]]["name"], bench.left[left["ada"]]["phone"]) == ("L", "own")
    bench.assert_quiet()


def test_a_revival_whose_key_somebody_else_took_meanwhile_asks_instead_of_doubling() -> None:
    bench, left, right = filled("ada", "bob", left=able(restores=False), deletes=Deletes.PROPAGATE)
    bench.left.remove(left["ada"])
    bench.right.edit(right["ada"], name="Edited")
    once(
        bench.worlds[Side.LEFT],
        CallKind.FIND,
        Moment.BEFORE,
        lambda call: bench.left.insert(email="ada@example.com", name="Somebody"),
    )
    for _ in range(3):
        bench.sync()
    assert sum(row["email"] == "ada@example.com" for row in bench.left.records().values()) == 1
    assert len(bench.right) == 2
    bench.assert_quiet()


def test_a_record_that_could_not_be_restored_is_made_anew_in_the_same_pass() -> None:
    bench, left, right = filled("ada", "bob")
    bench.left.remove(left["ada"])  # gone for good, though the system could restore what is archived
    bench.right.edit(right["ada"], name="Edited")
    bench.settle()
    assert bench.left[str(bench.other(Side.RIGHT, right["ada"]))]["name"] == "Edited"
    bench.assert_same()
    bench.assert_quiet()


def test_nothing_is_probed_where_the_system_itself_refuses_a_twin() -> None:
    unique = (replace(PEOPLE[0], unique=True), *PEOPLE[1:])
    for fields, probes in ((unique, 0), (PEOPLE, 1)):
        bench = Bench(people_spec(), fields=fields)
        bench.left.insert(email="ada@example.com", name="Ada")
        bench.sync()
        assert bench.calls(Side.RIGHT, CallKind.FIND) == probes
        bench.assert_quiet()


def test_conditional_writes_need_no_look_before_them() -> None:
    bench, left, _ = filled("ada")
    looks = bench.calls(Side.RIGHT, CallKind.GET)
    bench.left.edit(left["ada"], name="Edited")
    bench.right.edit(str(bench.other(Side.LEFT, left["ada"])), phone="2")
    bench.sync()
    assert bench.calls(Side.RIGHT, CallKind.GET) == looks
    bench.assert_quiet()


def test_a_system_that_can_only_be_read_whole_is_read_once_before_an_update_and_a_create() -> None:
    bench, left, _ = filled("ada", right=PLAIN)
    bench.reconnect(lacking={Side.RIGHT: ("gets", "finds")})
    bench.left.edit(left["ada"], name="Edited")
    bench.left.insert(email="bob@example.com", name="Bob")
    pages = bench.calls(Side.RIGHT, CallKind.PAGE)
    bench.sync()
    assert bench.calls(Side.RIGHT, CallKind.PAGE) == pages + 2  # the run's own listing, and one right before the writes
    bench.assert_same()
    bench.assert_quiet()


def test_nothing_is_created_on_the_word_of_a_listing_that_did_not_come_to_its_end() -> None:
    moving = able(page_size=1, manners=Manners(paging=Paging.MOVING, passes=1))
    bench, _, right = filled("ada", "bob", right=moving)
    bench.reconnect(lacking={Side.RIGHT: ("finds",)})
    bench.left.insert(email="cyd@example.com", name="Cyd")
    phones = iter(range(1000))

    def somebody_works(call: Call, moment: Moment) -> None:
        if call.kind is CallKind.PAGE and moment is Moment.AFTER:
            bench.right.edit(right["ada"], phone=str(next(phones)))

    bench.worlds[Side.RIGHT].on_call = somebody_works
    bench.run()
    assert len(bench.right) == 2
    bench.worlds[Side.RIGHT].on_call = None
    bench.settle()
    assert len(bench.right) == 3
    bench.assert_same()
    bench.assert_quiet()
