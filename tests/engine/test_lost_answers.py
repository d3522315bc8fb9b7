"""In doubt is not failed: writes whose answer was lost are proved by looking, never by doing them again (failure modes 2, 3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from syncengine.connector import Written
from syncengine.core.decision import AskKind
from syncengine.core.model import Deletes, Keyless, Side
from syncengine.engine.report import Exit
from syncengine.errors import OutcomeUnknown, TransientError
from syncengine.testing.memory import SIMPLE, CallKind, Manners, Moment
from tests.support.engine import PEOPLE, Bench, able, failing, fill, filled, once, people_spec

LOST = OutcomeUnknown("no answer came")

CREATING = {
    "idempotent": able(idempotent_creates=True, chooses_ids=False),
    "chosen ids": able(idempotent_creates=False, chooses_ids=True),
    "neither": able(idempotent_creates=False, chooses_ids=False),
    "neither, lagging": able(idempotent_creates=False, chooses_ids=False, lag=30.0, late_arrival=60.0),
    "plain": able(SIMPLE),
}


@pytest.fixture(params=CREATING)
def target(request: pytest.FixtureRequest) -> dict[str, Any]:
    return CREATING[request.param]


def test_a_create_whose_answer_is_lost_makes_exactly_one_record(target: dict[str, Any]) -> None:
    bench = Bench(people_spec(), right_options=target)
    left = bench.left.insert(email="ada@example.com", name="Ada")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.AFTER, failing(LOST))
    report = bench.run()
    assert report.exit is Exit.PARTIAL
    assert report.buckets["left"] == {"in_doubt": 1}
    bench.clock.time += 3600
    bench.settle()
    assert bench.creates(Side.RIGHT) == len(bench.right) == 1
    assert bench.other(Side.LEFT, left) is not None
    bench.assert_quiet()
    bench.assert_same()


def test_a_create_that_never_arrived_is_made_once_its_time_has_passed(target: dict[str, Any]) -> None:
    bench = Bench(people_spec(), right_options=target)
    bench.left.insert(email="ada@example.com", name="Ada")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.BEFORE, failing(LOST))
    assert bench.run().buckets["left"] == {"in_doubt": 1}
    bench.clock.time += 3600
    bench.settle()
    assert bench.creates(Side.RIGHT) == len(bench.right) == 1
    bench.assert_quiet()
    bench.assert_same()


def test_nothing_is_decided_about_a_create_in_doubt_while_it_may_still_arrive() -> None:
    bench = Bench(people_spec(), right_options=able(idempotent_creates=False, chooses_ids=False, late_arrival=3600.0))
    bench.left.insert(email="ada@example.com", name="Ada")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.BEFORE, failing(LOST))
    bench.run()
    writes = bench.calls(Side.RIGHT, CallKind.WRITE)
    for _ in range(3):
        assert bench.run().exit is Exit.PARTIAL
    assert bench.calls(Side.RIGHT, CallKind.WRITE) == writes
    bench.assert_quiet()
    bench.clock.time += 3600
    bench.settle()
    assert len(bench.right) == 1
    bench.assert_quiet()


def test_a_record_that_a_person_made_with_the_key_of_a_create_in_doubt_is_linked_not_doubled(target: dict[str, Any]) -> None:
    bench = Bench(people_spec(), right_options=target)
    bench.left.insert(email="ada@example.com", name="Ada", phone="1")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.BEFORE, failing(LOST))
    bench.run()
    bench.right.insert(email="ADA@example.com", name="Ada", phone=None)
    bench.clock.time += 3600
    bench.settle()
    if not target["capabilities"].idempotent_creates and not target["capabilities"].chooses_ids:
        assert len(bench.right) == 1
    assert bench.creates(Side.RIGHT) <= 1
    bench.assert_quiet()


def test_no_twin_is_made_of_a_record_that_got_the_key_of_a_lost_create_since_the_listing() -> None:
    """Its system refuses twins in the same spelling only; the search for the lost create is what found the other one."""
    unique = (replace(PEOPLE[0], unique=True), *PEOPLE[1:])
    bench = Bench(people_spec(), fields=unique, right_options=CREATING["neither"])
    ada = fill(bench, "ada")["ada"]
    bench.left.insert(email="New@example.com", name="New")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.BEFORE, failing(LOST))
    bench.run()
    bench.clock.time += 3600
    there = str(bench.other(Side.LEFT, ada))
    once(bench.worlds[Side.RIGHT], CallKind.PAGE, Moment.AFTER, lambda call: bench.right.edit(there, email="new@example.com"))
    bench.settle()
    assert len(bench.right) == 1
    assert bench.left[ada]["email"] == "new@example.com"
    bench.assert_quiet()


def test_a_keyless_create_in_doubt_is_parked_for_a_human_as_soon_as_an_unexplained_record_shows_up() -> None:
    bench = Bench(
        people_spec(keyless=Keyless.CREATE), right_options=able(idempotent_creates=False, chooses_ids=False, late_arrival=0.0)
    )
    bench.left.insert(email=None, name="Nobody")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.AFTER, failing(LOST))
    bench.run()
    bench.clock.time += 3600
    report = bench.run()
    assert report.exit is Exit.PARTIAL
    assert [entry.ask.kind for entry in bench.inbox()] == [AskKind.UNKNOWN_OUTCOME]
    assert len(bench.right) == 1
    assert len(bench.left) == 1
    bench.assert_quiet()


@pytest.mark.parametrize("arrived", [Moment.AFTER, Moment.BEFORE])
@pytest.mark.parametrize("conditional", [True, False])
def test_an_update_whose_answer_is_lost_ends_as_if_it_had_not_been(arrived: Moment, conditional: bool) -> None:
    bench, left, right = filled("ada", right=able(conditional_writes=conditional))
    bench.left.edit(left["ada"], name="Countess")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, arrived, failing(LOST))
    assert bench.run().buckets["left"] == {"in_doubt": 1}
    bench.clock.time += 3600
    bench.settle()
    assert bench.right[right["ada"]]["name"] == "Countess"
    updates = [kind for kind in bench.kinds(Side.RIGHT) if kind == "updated"]
    assert len(updates) == 1
    bench.assert_quiet()
    bench.assert_same()


def test_an_edit_made_over_an_update_in_doubt_is_not_taken_for_what_we_wrote() -> None:
    bench, left, right = filled("ada")
    bench.left.edit(left["ada"], name="Countess")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.AFTER, failing(LOST))
    bench.run()
    bench.right.edit(right["ada"], name="Typed by a person")
    bench.clock.time += 3600
    bench.settle()
    values = {bench.left[left["ada"]]["name"], bench.right[right["ada"]]["name"]}
    assert "Typed by a person" in values
    lost = {"Countess"} - values
    shown = {value for entry in bench.inbox() for value in (entry.ask.left, entry.ask.right)}
    assert lost <= {*bench.attic(), *shown} or values == {"Typed by a person"}
    bench.assert_quiet()


@pytest.mark.parametrize("arrived", [Moment.AFTER, Moment.BEFORE])
def test_a_delete_whose_answer_is_lost_ends_as_if_it_had_not_been(arrived: Moment) -> None:
    bench, left, right = filled("ada", "bob", "cyd", deletes=Deletes.PROPAGATE)
    bench.left.remove(left["ada"])
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, arrived, failing(LOST))
    bench.run()
    bench.clock.time += 3600
    bench.settle()
    assert right["ada"] not in bench.right
    assert len(bench.right) == len(bench.left) == 2
    assert bench.removals() == 1
    bench.assert_quiet()


def test_a_delete_in_doubt_whose_record_is_edited_before_it_is_proved_keeps_the_edit() -> None:
    bench, left, right = filled("ada", "bob", "cyd", deletes=Deletes.PROPAGATE)
    bench.left.remove(left["ada"])
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.BEFORE, failing(LOST))
    bench.run()
    bench.right.edit(right["ada"], name="Alive")
    bench.clock.time += 3600
    bench.settle()
    assert "Alive" in {row["name"] for row in bench.right.records().values()}
    assert "Alive" in {row["name"] for row in bench.left.records().values()}
    bench.assert_quiet()


@pytest.mark.parametrize("arrived", [Moment.AFTER, Moment.BEFORE])
def test_a_restore_whose_answer_is_lost_brings_one_record_back(arrived: Moment) -> None:
    bench, left, right = filled("ada", "bob")
    bench.left.archive(left["ada"])
    bench.right.edit(right["ada"], name="Alive")
    once(bench.worlds[Side.LEFT], CallKind.WRITE, arrived, failing(LOST))
    bench.run()
    bench.clock.time += 3600
    bench.settle()
    assert bench.left[left["ada"]]["name"] == "Alive"
    assert len(bench.left) == len(bench.right) == 2
    bench.assert_quiet()
    bench.assert_same()


def test_a_create_that_meets_a_revived_record_is_linked_merged_and_reported() -> None:
    people = tuple(each if each.name != "email" else _unique(each) for each in Bench().fields)
    bench = Bench(people_spec(), fields=people, right_options=able(manners=Manners(create_revives=True)))
    old = bench.right.insert(email="ada@example.com", name="Old", phone="9")
    bench.right.archive(old)
    left = bench.left.insert(email="ada@example.com", name="New", phone=None)
    bench.settle()
    assert bench.other(Side.LEFT, left) == old
    assert AskKind.MET in [entry.ask.kind for entry in bench.inbox()]
    assert bench.left[left]["phone"] == "9"
    assert bench.right[old]["name"] == bench.left[left]["name"] == "New"
    bench.assert_quiet()


def test_a_replay_that_is_answered_with_a_linked_record_leaves_its_source_to_be_decided_again() -> None:
    bench, left, right = filled("ada")
    new = bench.left.insert(email="ida@example.com", name="Ida")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.BEFORE, failing(LOST))
    bench.run()
    bench.clock.time += 3600
    apply, bench.right.apply = bench.right.apply, lambda asked: Written(key=asked.key, id=right["ada"])  # type: ignore[method-assign]
    report = bench.run()
    assert not report.error
    assert [entry.ask.kind for entry in bench.inbox()] == [AskKind.DUPLICATE]
    assert bench.waiting(Side.LEFT) == {new: "ambiguous"}
    bench.right.apply = apply  # type: ignore[method-assign]
    assert bench.other(Side.LEFT, left["ada"]) == right["ada"]


def test_a_call_that_failed_for_certain_is_simply_made_again() -> None:
    bench, left, right = filled("ada")
    bench.left.edit(left["ada"], name="Countess")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.BEFORE, failing(TransientError("503")))
    report = bench.run()
    assert report.exit is Exit.PARTIAL
    assert report.buckets["left"] == {"failed": 1}
    bench.settle()
    assert bench.right[right["ada"]]["name"] == "Countess"
    bench.assert_quiet()


def test_an_update_in_doubt_never_blocks_its_neighbours() -> None:
    bench, left, right = filled("ada", "bob", right=able(max_batch=1, max_concurrency=1))
    bench.left.edit(left["ada"], name="A")
    bench.left.edit(left["bob"], name="B")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.BEFORE, failing(LOST))
    bench.run()
    assert bench.right[right["bob"]]["name"] == "B"
    bench.clock.time += 3600
    bench.settle()
    assert bench.right[right["ada"]]["name"] == "A"
    bench.assert_quiet()


def _unique(field: Any) -> Any:
    from dataclasses import replace

    return replace(field, unique=True)


UNMAPPED = tuple(field for field in people_spec().fields if field.name != "name")


def test_a_record_that_may_hold_what_is_not_mapped_any_more_may_be_what_a_create_in_doubt_made() -> None:
    bench = Bench(people_spec(), right_options=able(idempotent_creates=False, chooses_ids=False))
    bench.left.insert(email="ada@example.com", name="Ada")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.AFTER, failing(LOST))
    bench.run()
    ours = next(iter(bench.right.records()))
    bench.right.edit(ours, email="other@example.com")
    bench.spec = replace(bench.spec, fields=UNMAPPED)
    bench.clock.time += 3600
    bench.settle()
    assert bench.creates(Side.RIGHT) == 1
    assert [entry.ask.kind for entry in bench.inbox()] == [AskKind.UNKNOWN_OUTCOME]


def test_nothing_is_made_again_while_what_a_create_in_doubt_may_have_made_cannot_be_read() -> None:
    bench = Bench(people_spec(), right_options=able(idempotent_creates=False, chooses_ids=False, late_arrival=3000.0))
    bench.left.insert(email="ada@example.com", name="Ada")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.AFTER, failing(LOST))
    bench.run()
    (ours,) = bench.right.records()
    bench.right.edit(ours, email="bob@example.com")
    bench.run()  # it is seen, but the create may still land
    another = bench.right.insert(email="cyd@example.com")
    bench.run()  # the listing moves on
    bench.clock.time += 3600
    bench.right.conceal(ours)
    bench.run()
    assert sorted(bench.right.records()) == [ours, another]
    bench.right.concealed.clear()
    bench.run()
    assert sorted(bench.right.records()) == [ours, another]
    assert [entry.ask.kind for entry in bench.inbox()] == [AskKind.UNKNOWN_OUTCOME]
    bench.assert_quiet()


def test_of_two_records_with_the_key_of_a_lost_create_one_may_be_what_another_lost_create_made() -> None:
    """A person gave it that key: the first is not linked to either unasked, nor is the second made once more."""
    bench = Bench(people_spec(), right_options=able(idempotent_creates=False, chooses_ids=False, late_arrival=3000.0))
    bench.left.insert(email="ada@example.com")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.AFTER, failing(LOST))
    bench.run()
    bench.left.insert(email="bob@example.com", name="Bob")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.AFTER, failing(LOST))
    bench.run()
    (bobs,) = (id_ for id_, row in bench.right.records().items() if row["name"] == "Bob")
    bench.right.edit(bobs, email="ada@example.com")
    bench.clock.time += 3600
    bench.settle()
    assert bench.creates(Side.RIGHT) == len(bench.right) == 2
    assert [entry.ask.kind for entry in bench.inbox()] == [AskKind.UNKNOWN_OUTCOME] * 2
    bench.assert_quiet()
