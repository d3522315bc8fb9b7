"""Records that swap a value which the target keeps unique: one is parked blank for a moment, and nothing can go wrong in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from syncengine.connector import Capabilities
from syncengine.core.model import Policy, Side
from syncengine.engine.report import Exit
from syncengine.errors import OutcomeUnknown
from syncengine.testing.memory import FULL, Call, CallKind, Manners, Moment
from tests.support.engine import PEOPLE, Bench, failing, fill, once, people_spec

UNIQUE = (replace(PEOPLE[0], unique=True), *PEOPLE[1:])
PLAIN = replace(FULL, conditional_writes=False, returns_record=False, max_batch=1)


class Death(BaseException):
    """The process ends here."""


def turned(names: Sequence[str], **right: Any) -> tuple[Bench, dict[str, str], dict[str, str]]:
    """A bench where each of these people has taken the email of the next one on the left."""
    bench = Bench(people_spec(), fields=UNIQUE, right_options=right)
    left = fill(bench, *names)
    partners = {name: str(bench.other(Side.LEFT, id_)) for name, id_ in left.items()}
    turn(bench, left, names)
    return bench, left, partners


def turn(bench: Bench, left: dict[str, str], names: Sequence[str]) -> None:
    emails = [bench.left[left[name]]["email"] for name in names]
    bench.left.edit(left[names[0]], email="elsewhere@example.com")
    for name, email in reversed(list(zip(names, [*emails[1:], emails[0]], strict=True))):
        bench.left.edit(left[name], email=email)


def assert_turned(bench: Bench, left: dict[str, str], right: dict[str, str]) -> None:
    for name, id_ in left.items():
        assert bench.other(Side.LEFT, id_) == right[name]
        assert bench.right[right[name]]["email"] == bench.left[id_]["email"]
    bench.assert_same()
    bench.assert_quiet()


@pytest.mark.parametrize("capabilities", [FULL, PLAIN, replace(PLAIN, partial_updates=False)], ids=["full", "plain", "wholesale"])
@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("names", [("ada", "bob"), ("ada", "bob", "cyd", "dan")])
def test_a_ring_is_turned_in_one_pass_with_one_write_more_than_it_has_records(
    capabilities: Capabilities, tells: bool, names: Sequence[str]
) -> None:
    bench, left, right = turned(names, capabilities=capabilities, manners=Manners(tells_holder=tells))
    before = bench.writes()[Side.RIGHT]
    bench.sync()
    assert bench.writes()[Side.RIGHT] == before + len(names) + 1
    assert bench.sync().exit is Exit.DONE  # the command makes this second pass by itself
    assert_turned(bench, left, right)


def test_two_rings_are_turned_and_the_other_fields_go_with_them() -> None:
    bench, left, right = turned(("ada", "bob"))
    bench.settle()
    more = fill(bench, "cyd", "dan")
    assert_turned(bench, left, right)
    turn(bench, left, ("bob", "ada"))
    turn(bench, more, ("cyd", "dan"))
    bench.left.edit(left["ada"], name="Ida")
    bench.settle()
    assert bench.right[right["ada"]]["name"] == "Ida"
    assert_turned(bench, left, right)


@pytest.mark.parametrize("nth", range(1, 9))
@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.AFTER])
def test_a_process_that_dies_at_any_write_of_a_ring_leaves_it_to_the_next_run(nth: int, moment: Moment) -> None:
    bench, left, right = turned(("ada", "bob", "cyd"))

    def die(call: Call) -> None:
        del call
        raise Death

    once(bench.worlds[Side.RIGHT], CallKind.WRITE, moment, die, nth=nth)
    try:
        bench.sync()
    except Death:
        bench.clock.time += 3600
    bench.worlds[Side.RIGHT].on_call = None
    bench.settle()
    assert_turned(bench, left, right)


@pytest.mark.parametrize("nth", range(1, 8))
@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.AFTER])
def test_a_lost_answer_to_any_write_of_a_ring_is_looked_up(nth: int, moment: Moment) -> None:
    bench, left, right = turned(("ada", "bob"))
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, moment, failing(OutcomeUnknown("no answer")), nth=nth)
    bench.sync()
    bench.worlds[Side.RIGHT].on_call = None
    bench.clock.time += 3600
    bench.settle()
    assert_turned(bench, left, right)


@pytest.mark.parametrize("nth", range(1, 7))
def test_a_step_of_a_ring_before_which_its_record_changes_is_left_for_the_next_pass(nth: int) -> None:
    """Decided again, it would not blank the field but send what was refused once more, and keep once more what that replaces."""
    bench = Bench(people_spec(conflicts=Policy.LEFT), fields=UNIQUE, right_options={"capabilities": PLAIN})
    left = fill(bench, "ada", "bob")
    right = {name: str(bench.other(Side.LEFT, id_)) for name, id_ in left.items()}
    bench.left.edit(left["bob"], email="new@example.com")
    bench.left.edit(left["ada"], email="bob@example.com", tags=["x", "y"])
    bench.right.edit(right["ada"], email="new@example.com", tags=["x", "y"])
    once(
        bench.worlds[Side.RIGHT],
        CallKind.GET,
        Moment.BEFORE,
        lambda call: bench.right.edit(right["ada"], tags=["y", "x"]),
        nth=nth,
    )
    bench.sync()
    assert bench.attic() == ["new@example.com"]
    bench.settle()
    assert_turned(bench, left, right)


def test_a_person_who_takes_a_swap_back_while_one_is_parked_finds_both_as_before() -> None:
    """Were the blank the base of the parked field, the old value at its source would be no edit, and it stayed blank for ever."""
    bench, left, right = turned(("ada", "bob"))
    parked: list[str] = []

    def die(call: Call) -> None:
        del call
        parked.extend(name for name, id_ in right.items() if not bench.right[id_]["email"])
        if parked:
            raise Death
        bench.worlds[Side.RIGHT].on_call = watch

    def watch(call: Call, moment: Moment) -> None:
        if call.kind is CallKind.WRITE and moment is Moment.AFTER:
            die(call)

    bench.worlds[Side.RIGHT].on_call = watch
    with pytest.raises(Death):
        bench.sync()
    bench.worlds[Side.RIGHT].on_call = None
    assert len(parked) == 1
    turn(bench, left, ("ada", "bob"))
    bench.clock.time += 3600
    bench.settle()
    assert {bench.right[id_]["email"] for id_ in right.values()} == {"ada@example.com", "bob@example.com"}
    assert_turned(bench, left, right)


def test_a_field_that_cannot_be_blank_waits_and_the_run_says_why() -> None:
    bench = Bench(people_spec(), fields=UNIQUE)
    bench.redefine(Side.RIGHT, replace(UNIQUE[0], nullable=False))
    left = fill(bench, "ada", "bob")
    before = bench.writes()[Side.RIGHT]
    turn(bench, left, ("ada", "bob"))
    report = bench.sync()
    assert report.exit is Exit.PARTIAL
    assert any("cannot be blanked" in note for note in report.notes), report.notes
    assert bench.writes()[Side.RIGHT] == before
    assert sorted(str(row["email"]) for row in bench.right.records().values()) == ["ada@example.com", "bob@example.com"]
