"""A system that counts its rows gives the last id out again: what the engine makes there may get the id of a record that is gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from syncengine.connector import Fields
from syncengine.core.decision import AskKind
from syncengine.core.model import Deletes, Guards, Limit, Policy, Side
from syncengine.engine.report import Exit
from syncengine.errors import OutcomeUnknown
from syncengine.testing.memory import Call, CallKind, Moment
from tests.support.engine import PEOPLE, Bench, able, fill, once, people_spec

COUNTED = able(chooses_ids=False, idempotent_creates=False)


def counted(*names: str, deletes: Deletes = Deletes.PROPAGATE, **changes: object) -> tuple[Bench, dict[str, str]]:
    """Both sides hold these people, and the left counts its rows; with their ids on the left."""
    bench = Bench(people_spec(deletes=deletes, **changes), left_options=COUNTED)
    return bench, fill(bench, *names)


def free(bench: Bench, id_: str) -> None:
    """A person deletes the last row of a table, and with it the count goes back."""
    assert bench.left.born == int(id_), "only the last id is given out again"
    bench.left.remove(id_)
    bench.left.born -= 1


def freeing(bench: Bench, id_: str) -> Callable[[Call], None]:
    return lambda _: free(bench, id_)


def names(bench: Bench, side: Side) -> list[str]:
    return sorted(str(row["name"]) for row in bench.resources[side].records().values())


def lose(_: Call) -> None:
    raise OutcomeUnknown("no answer")


def test_a_deletion_goes_on_though_a_create_of_the_same_run_is_given_the_id() -> None:
    bench, left = counted("ada", "bob")
    free(bench, left["bob"])
    bench.right.insert(email="eve@example.com", name="Eve")
    bench.settle()
    assert names(bench, Side.LEFT) == names(bench, Side.RIGHT) == ["Ada", "Eve"]
    assert bench.left[left["bob"]]["name"] == "Eve"
    bench.assert_quiet()


def test_a_record_that_is_deleted_right_before_a_create_gets_its_id_hands_on_nothing_but_the_id() -> None:
    bench, left = counted("ada", "bob")
    bench.right.insert(email="eve@example.com", name="Eve")
    once(bench.worlds[Side.LEFT], CallKind.WRITE, Moment.BEFORE, freeing(bench, left["bob"]))
    bench.settle()
    assert names(bench, Side.LEFT) == names(bench, Side.RIGHT) == ["Ada", "Eve"]
    assert bench.inbox() == []
    bench.assert_quiet()


def test_an_edit_survives_the_deletion_of_its_partner_whose_id_a_create_is_given_meanwhile() -> None:
    bench, left = counted("ada", "bob")
    bench.right.insert(email="eve@example.com", name="Eve")
    bench.right.edit(str(bench.other(Side.LEFT, left["bob"])), name="Robert")
    once(bench.worlds[Side.LEFT], CallKind.WRITE, Moment.BEFORE, freeing(bench, left["bob"]))
    bench.settle()
    assert names(bench, Side.LEFT) == names(bench, Side.RIGHT) == ["Ada", "Eve", "Robert"]
    bench.assert_quiet()


def test_two_that_were_to_be_linked_are_not_when_a_create_is_given_the_id_of_one() -> None:
    bench = Bench(people_spec(), left_options=COUNTED)
    for resource in (bench.left, bench.right):
        resource.insert(email="ada@example.com", name="Ada")
    bench.right.insert(email="eve@example.com", name="Eve")
    once(bench.worlds[Side.LEFT], CallKind.WRITE, Moment.BEFORE, freeing(bench, "1"))
    bench.settle()
    assert names(bench, Side.LEFT) == names(bench, Side.RIGHT) == ["Ada", "Eve"]
    assert bench.left["1"]["name"] == "Eve"
    bench.assert_quiet()


def test_a_record_that_is_made_anew_under_the_id_that_it_had_is_missed_when_it_goes_again() -> None:
    bench, left = counted("ada", "bob")
    free(bench, left["bob"])
    there = str(bench.other(Side.LEFT, left["bob"]))
    bench.right.edit(there, name="Robert")
    bench.settle()
    assert bench.left[left["bob"]]["name"] == "Robert"
    bench.left.remove(left["bob"])
    bench.settle()
    assert names(bench, Side.LEFT) == names(bench, Side.RIGHT) == ["Ada"]
    bench.assert_quiet()


def test_of_two_that_are_made_anew_the_first_gets_the_id_of_the_second() -> None:
    bench, left = counted("ada", "bob", "cyd")
    for name in ("cyd", "bob"):
        free(bench, left[name])
    for name in ("bob", "cyd"):
        bench.right.edit(str(bench.other(Side.LEFT, left[name])), name=name.upper())
    bench.left.born += 1  # so that the one is given what the other had
    bench.settle()
    assert names(bench, Side.LEFT) == names(bench, Side.RIGHT) == ["Ada", "BOB", "CYD"]
    bench.assert_quiet()


def test_a_deletion_that_shows_only_by_its_id_is_one_that_the_guard_counts() -> None:
    """It is found while the run writes; the next one has to ask, and not to put it off for ever."""
    some = Limit(share=1.0, number=100)
    careful = Guards(deletes=Limit(share=0.0, number=0), updates=some, creates=some)
    bench, left = counted("ada", "bob", guards=careful)
    bench.right.insert(email="eve@example.com", name="Eve")
    once(bench.worlds[Side.LEFT], CallKind.WRITE, Moment.BEFORE, freeing(bench, left["bob"]))
    bench.run()
    report = bench.run()
    assert report.exit is Exit.REFUSED
    assert [trip.guard for trip in report.refused] == ["deletes"]
    bench.run(approve=report.approval)
    assert names(bench, Side.LEFT) == names(bench, Side.RIGHT) == ["Ada", "Eve"]
    bench.assert_quiet()


def test_what_was_let_alone_when_its_partner_was_deleted_stays_so_when_the_id_is_given_out_again() -> None:
    bench, left = counted("ada", "bob", deletes=Deletes.IGNORE)
    free(bench, left["bob"])
    bench.settle()
    bench.right.insert(email="eve@example.com", name="Eve")
    bench.settle()
    assert names(bench, Side.LEFT) == ["Ada", "Eve"]
    assert names(bench, Side.RIGHT) == ["Ada", "Bob", "Eve"]
    bench.assert_quiet()


@pytest.mark.parametrize("deletes", [Deletes.PROPAGATE, Deletes.ASK])
def test_what_a_lost_create_made_under_the_id_of_a_deleted_record_is_not_taken_for_that_record(deletes: Deletes) -> None:
    bench, left = counted("ada", "bob", deletes=deletes)
    bench.right.insert(email="eve@example.com", name="Eve")

    def arrive(_: Call) -> None:
        free(bench, left["bob"])
        once(bench.worlds[Side.LEFT], CallKind.WRITE, Moment.AFTER, lose)

    once(bench.worlds[Side.LEFT], CallKind.WRITE, Moment.BEFORE, arrive)
    bench.run()
    assert bench.left[left["bob"]]["name"] == "Eve"
    bench.clock.time += 3600
    bench.settle()
    assert names(bench, Side.LEFT) == ["Ada", "Eve"]
    if deletes is Deletes.ASK:
        assert names(bench, Side.RIGHT) == ["Ada", "Bob", "Eve"]
        assert [entry.ask.kind for entry in bench.inbox()] == [AskKind.DELETE]
    else:
        assert names(bench, Side.RIGHT) == ["Ada", "Eve"]
    bench.assert_quiet()


def test_what_a_lost_create_made_there_is_not_taken_for_that_record_though_somebody_edited_it_since() -> None:
    bench, left = counted("ada", "bob", conflicts=Policy.LEFT)
    bench.right.insert(email="eve@example.com", name="Eve", phone="7")

    def arrive(_: Call) -> None:
        free(bench, left["bob"])
        once(bench.worlds[Side.LEFT], CallKind.WRITE, Moment.AFTER, lose)

    once(bench.worlds[Side.LEFT], CallKind.WRITE, Moment.BEFORE, arrive)
    bench.run()
    bench.left.edit(left["bob"], name="Evelyn")
    bench.clock.time += 3600
    bench.settle()
    assert names(bench, Side.LEFT) == names(bench, Side.RIGHT) == ["Ada", "Evelyn"]
    bench.assert_quiet()


@pytest.mark.parametrize("edits", [{}, {"name": "Eve"}, {"name": "Evelyn", "phone": None}])
def test_a_record_that_somebody_gives_the_key_of_a_lost_create_is_itself_where_it_holds_what_it_held(edits: Fields) -> None:
    bench, left = counted("ada", "bob")
    bench.right.insert(email="eve@example.com", name="Eve", phone="7")
    once(bench.worlds[Side.LEFT], CallKind.WRITE, Moment.BEFORE, lose)
    bench.run()
    bench.left.edit(left["bob"], email="eve@example.com", **edits)
    bench.clock.time += 3600
    bench.settle()
    partner = bench.right[str(bench.other(Side.LEFT, left["bob"]))]
    assert (partner["email"], partner["name"]) == ("eve@example.com", edits.get("name", "Bob"))
    assert len(bench.right) == 3, "nobody is removed"


def test_what_could_not_be_made_anew_does_not_claim_the_id_that_another_one_was_given() -> None:
    """Both are sent in one call: the first is given the id that the second had, and the second is refused."""
    bench, left = counted("ada", "bob", "cyd")
    for name in ("cyd", "bob"):
        free(bench, left[name])
    bench.left.born += 1
    bench.redefine(Side.LEFT, replace(PEOPLE[2], max_length=3))
    there = {name: str(bench.other(Side.LEFT, left[name])) for name in ("bob", "cyd")}
    bench.right.edit(there["bob"], name="Robert")
    bench.right.edit(there["cyd"], phone="much too long")
    bench.run()
    assert bench.left[left["cyd"]]["name"] == "Robert"
    bench.run()
    assert bench.waiting(Side.RIGHT) == {there["cyd"]: "quarantined"}
    bench.right.edit(there["cyd"], phone="22")
    bench.settle()
    assert names(bench, Side.LEFT) == names(bench, Side.RIGHT) == ["Ada", "Cyd", "Robert"]
    bench.assert_quiet()
