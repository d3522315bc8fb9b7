"""
The decision table of recovery, row by row: a write whose answer was lost, what the system can do, what is found there, and what
becomes of the intent while the request may still land (`soon`) and when it cannot any more (`late`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from syncengine.core.decision import AskKind
from syncengine.core.model import Deletes, Keyless, Side
from syncengine.errors import OutcomeUnknown
from syncengine.store.journal import Intent
from syncengine.testing.memory import CallKind, Moment
from tests.support.engine import Bench, able, failing, filled, once

HORIZON = 3600.0
ARRIVED, NOT = Moment.AFTER, Moment.BEFORE
OPEN, DONE, CLOSED, PARKED = "unknown", "done", "closed", "parked"


@dataclass(frozen=True, kw_only=True)
class Row:
    """`meanwhile` is what a person does before anybody looks; `then` looks at both sides once all is quiet."""

    arrives: Moment
    can: dict[str, Any]
    soon: str
    late: str
    meanwhile: Callable[[Bench, str], None] = field(default=lambda bench, id_: None)
    then: Callable[[Bench], None] = field(default=lambda bench: bench.assert_same())


def names(bench: Bench, side: Side = Side.RIGHT) -> list[Any]:
    return sorted(row["name"] for row in bench.resources[side].records().values())


def both_hold(*expected: str) -> Callable[[Bench], None]:
    def look(bench: Bench) -> None:
        assert names(bench, Side.LEFT) == names(bench, Side.RIGHT) == sorted(expected)

    return look


def right_holds(*expected: str) -> Callable[[Bench], None]:
    def look(bench: Bench) -> None:
        assert names(bench) == sorted(expected)

    return look


def asked(kind: AskKind) -> Callable[[Bench], None]:
    def look(bench: Bench) -> None:
        assert [entry.ask.kind for entry in bench.inbox()] == [kind]

    return look


def edits(**changes: Any) -> Callable[[Bench, str], None]:
    def person(bench: Bench, id_: str) -> None:
        bench.right.edit(id_, **changes)

    return person


def removes(bench: Bench, id_: str) -> None:
    bench.right.remove(id_)


CHECKED = able(conditional_writes=True, late_arrival=HORIZON)
PLAIN = able(conditional_writes=False, late_arrival=HORIZON)

UPDATES = {
    "landed, and the version moved": Row(arrives=ARRIVED, can=CHECKED, soon=DONE, late=DONE, then=both_hold("Bob", "Countess")),
    # A person may have typed the very same, and ours be still on its way.
    "landed, and nothing but the value shows it": Row(
        arrives=ARRIVED, can=PLAIN, soon=OPEN, late=DONE, then=both_hold("Bob", "Countess")
    ),
    "not landed yet, where versions are compared": Row(
        arrives=NOT, can=CHECKED, soon=OPEN, late=CLOSED, then=both_hold("Bob", "Countess")
    ),
    "not landed yet, where nothing is compared": Row(
        arrives=NOT, can=PLAIN, soon=OPEN, late=CLOSED, then=both_hold("Bob", "Countess")
    ),
    "landed and edited over, where versions are compared": Row(
        arrives=ARRIVED, can=CHECKED, soon=CLOSED, late=CLOSED, meanwhile=edits(name="Typed"), then=asked(AskKind.CONFLICT)
    ),
    "landed and edited over, where nothing is compared": Row(
        arrives=ARRIVED, can=PLAIN, soon=OPEN, late=CLOSED, meanwhile=edits(name="Typed"), then=asked(AskKind.CONFLICT)
    ),
    # Perhaps ours landed and somebody put the old value back: that is an edit, and nobody's base any more.
    "the old value is there under a new version": Row(
        arrives=ARRIVED, can=CHECKED, soon=CLOSED, late=CLOSED, meanwhile=edits(name="Ada"), then=asked(AskKind.CONFLICT)
    ),
    "landed, and another field edited since": Row(
        arrives=ARRIVED, can=CHECKED, soon=DONE, late=DONE, meanwhile=edits(phone="2"), then=both_hold("Bob", "Countess")
    ),
    "the record is gone": Row(
        arrives=NOT, can=CHECKED, soon=OPEN, late=CLOSED, meanwhile=removes, then=both_hold("Bob", "Countess")
    ),
}


def lose(bench: Bench, arrives: Moment) -> Intent:
    """A run whose one write on the right is not answered; returns its intent."""
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, arrives, failing(OutcomeUnknown("no answer came")))
    report = bench.run()
    (intent,) = bench.store.journal.of_run(report.run)
    assert intent.state.value == OPEN
    return intent


def state_of(bench: Bench, intent: Intent) -> str:
    found = {each.number: each for each in bench.store.journal.of_run(intent.run)}
    return found[intent.number].state.value


def play(bench: Bench, row: Row, intent: Intent) -> None:
    """The table's two looks; then all comes to rest, and nothing was done twice."""
    bench.run()
    assert state_of(bench, intent) == row.soon
    bench.clock.time += HORIZON
    bench.run()
    assert state_of(bench, intent) == row.late
    bench.settle()
    row.then(bench)
    bench.assert_quiet()


@pytest.mark.parametrize("case", UPDATES)
def test_an_update_in_doubt(case: str) -> None:
    row = UPDATES[case]
    bench, left, right = filled("ada", "bob", right=row.can)
    bench.left.edit(left["ada"], name="Countess")
    intent = lose(bench, row.arrives)
    row.meanwhile(bench, right["ada"])
    play(bench, row, intent)


DELETES = {
    # A side may deny a record that it has, and the delete would still reach it.
    "gone": Row(arrives=ARRIVED, can=PLAIN, soon=OPEN, late=DONE, then=both_hold("Bob", "Cyd")),
    "there as it was": Row(arrives=NOT, can=PLAIN, soon=OPEN, late=CLOSED, then=both_hold("Bob", "Cyd")),
    "there, and edited since": Row(
        arrives=NOT, can=CHECKED, soon=OPEN, late=CLOSED, meanwhile=edits(name="Alive"), then=both_hold("Alive", "Bob", "Cyd")
    ),
}


@pytest.mark.parametrize("case", DELETES)
def test_a_delete_in_doubt(case: str) -> None:
    row = DELETES[case]
    bench, left, right = filled("ada", "bob", "cyd", right=row.can, deletes=Deletes.PROPAGATE)
    bench.left.remove(left["ada"])
    intent = lose(bench, row.arrives)
    row.meanwhile(bench, right["ada"])
    play(bench, row, intent)


def removes_ours(bench: Bench, _: str) -> None:
    (ours,) = [id_ for id_, row in bench.right.records().items() if row["name"] == "Ada"]
    bench.right.remove(ours)


def edits_ours(bench: Bench, _: str) -> None:
    (ours,) = [id_ for id_, row in bench.right.records().items() if row["name"] == "Ada"]
    bench.right.edit(ours, phone="2")


def types_the_same_person(bench: Bench, _: str) -> None:
    bench.right.insert(email="ADA@example.com", name="Ada", phone="7")


REPLAYED = able(idempotent_creates=True, chooses_ids=False, late_arrival=HORIZON)
NAMED = able(idempotent_creates=False, chooses_ids=True, late_arrival=HORIZON)
KEYED = able(idempotent_creates=False, chooses_ids=False, late_arrival=HORIZON)

CREATES = {
    "replayed, and it had landed": Row(arrives=ARRIVED, can=REPLAYED, soon=DONE, late=DONE, then=both_hold("Ada", "Bob")),
    "replayed, and it had not": Row(arrives=NOT, can=REPLAYED, soon=DONE, late=DONE, then=both_hold("Ada", "Bob")),
    # The replay tells the id of a record that is gone by now: deleted it stays.
    "replayed, and deleted meanwhile": Row(
        arrives=ARRIVED, can=REPLAYED, soon=DONE, late=DONE, meanwhile=removes_ours, then=right_holds("Bob")
    ),
    "found by the id we chose": Row(arrives=ARRIVED, can=NAMED, soon=DONE, late=DONE, then=both_hold("Ada", "Bob")),
    "not there by the id we chose": Row(arrives=NOT, can=NAMED, soon=OPEN, late=CLOSED, then=both_hold("Ada", "Bob")),
    # What a person did to it since is an edit, for the base is what we sent.
    "found by the id we chose, and edited": Row(
        arrives=ARRIVED, can=NAMED, soon=DONE, late=DONE, meanwhile=edits_ours, then=both_hold("Ada", "Bob")
    ),
    "found by its key": Row(arrives=ARRIVED, can=KEYED, soon=OPEN, late=DONE, then=both_hold("Ada", "Bob")),
    "not found by its key": Row(arrives=NOT, can=KEYED, soon=OPEN, late=CLOSED, then=both_hold("Ada", "Bob")),
    # Nobody can prove whose it is: linked with an empty base, so what differs is asked about.
    "somebody else made one with its key": Row(
        arrives=NOT, can=KEYED, soon=OPEN, late=DONE, meanwhile=types_the_same_person, then=asked(AskKind.CONFLICT)
    ),
    "two with its key": Row(
        arrives=ARRIVED, can=KEYED, soon=OPEN, late=PARKED, meanwhile=types_the_same_person, then=asked(AskKind.UNKNOWN_OUTCOME)
    ),
}


@pytest.mark.parametrize("case", CREATES)
def test_a_create_in_doubt(case: str) -> None:
    row = CREATES[case]
    bench, _, _ = filled("bob", right=row.can)
    bench.left.insert(email="ada@example.com", name="Ada", phone="1", tags=["x"])
    intent = lose(bench, row.arrives)
    row.meanwhile(bench, "")
    play(bench, row, intent)
    theirs = row.meanwhile is types_the_same_person and row.arrives is NOT
    assert bench.creates(Side.RIGHT) == (1 if theirs else 2)  # Bob and Ada, whatever was lost
    if row.meanwhile is edits_ours:
        assert {record["phone"] for record in bench.left.records().values()} == {"1", "2"}


KEYLESS = {
    "nothing new showed up": Row(arrives=NOT, can=KEYED, soon=OPEN, late=CLOSED, then=both_hold("Bob", "Nobody")),
    "one showed up that nothing explains": Row(
        arrives=ARRIVED, can=KEYED, soon=OPEN, late=PARKED, then=asked(AskKind.UNKNOWN_OUTCOME)
    ),
}


@pytest.mark.parametrize("case", KEYLESS)
def test_a_create_without_a_key_in_doubt(case: str) -> None:
    row = KEYLESS[case]
    bench, _, _ = filled("bob", right=row.can, keyless=Keyless.CREATE)
    bench.left.insert(email=None, name="Nobody")
    intent = lose(bench, row.arrives)
    play(bench, row, intent)
    assert bench.creates(Side.RIGHT) == 2


def test_each_item_of_a_batch_in_doubt_is_a_case_of_its_own() -> None:
    """The call broke off after two of three: those two are found, the third is made, none is made twice."""
    bench, _, _ = filled("bob", right=able(idempotent_creates=False, chooses_ids=True, max_batch=3, late_arrival=HORIZON))
    for name in ("ada", "cyd", "dee"):
        bench.left.insert(email=f"{name}@example.com", name=name.title(), phone="1", tags=["x"])

    def half_way(call: Any) -> None:
        for change in call.changes[:2]:
            bench.right.apply(change)
        raise OutcomeUnknown("the connection broke")

    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.BEFORE, half_way)
    report = bench.run()
    intents = list(bench.store.journal.of_run(report.run))
    bench.run()
    assert [state_of(bench, each) for each in intents] == [DONE, DONE, OPEN]
    bench.clock.time += HORIZON
    bench.settle()
    assert [state_of(bench, each) for each in intents] == [DONE, DONE, CLOSED]
    both_hold("Ada", "Bob", "Cyd", "Dee")(bench)
    bench.assert_quiet()


@pytest.mark.parametrize("names_in_order", [("ada", "cyd"), ("cyd", "ada")])
def test_what_one_create_made_is_not_linked_by_the_key_of_another(names_in_order: tuple[str, str]) -> None:
    """A person merged the two records that arrived: one is left, with the key of Ada and the rest of Cyd. Whose it is is asked."""
    bench, _, _ = filled("bob", right=able(KEYED["capabilities"], max_batch=2))
    for name in names_in_order:
        bench.left.insert(email=f"{name}@example.com", name=name.title(), phone=name, tags=[name])
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, ARRIVED, failing(OutcomeUnknown("no answer came")))
    intents = list(bench.store.journal.of_run(bench.run().run))
    ids = {row["name"]: id_ for id_, row in bench.right.records().items()}
    bench.right.remove(ids["Ada"])
    bench.right.edit(ids["Cyd"], email="ada@example.com")
    bench.clock.time += HORIZON
    bench.settle()
    assert [state_of(bench, each) for each in intents] == [PARKED, PARKED]
    assert [entry.ask.kind for entry in bench.inbox()] == [AskKind.UNKNOWN_OUTCOME] * 2
    right_holds("Bob", "Cyd")(bench)
    bench.assert_quiet()


def test_a_replay_starts_the_clock_of_its_own_late_arrival_before_it_is_sent() -> None:
    bench, _, _ = filled("bob", right=REPLAYED)
    bench.left.insert(email="ada@example.com", name="Ada")
    intent = lose(bench, NOT)
    seen = []

    def look(_: Any) -> None:
        (found,) = [each for each in bench.store.journal.unresolved(bench.pair) if each.number == intent.number]
        seen.append(found.sent_at)

    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.BEFORE, look)
    bench.clock.time += 600
    bench.run()
    assert seen[0] >= intent.sent_at + 600


def test_a_create_is_sent_again_only_under_a_lease_that_outlasts_the_call() -> None:
    """A run that stood still for most of its lease leaves the replay to the next one."""
    bench, _, _ = filled("bob", right=REPLAYED)
    bench.left.insert(email="ada@example.com", name="Ada")
    intent = lose(bench, NOT)
    bench.clock.time += 600

    def stand_still(_: Any) -> None:
        bench.clock.time += 299

    once(bench.worlds[Side.RIGHT], CallKind.PAGE, Moment.AFTER, stand_still)
    report = bench.run()
    assert state_of(bench, intent) == OPEN
    assert any("lease" in note for note in report.notes)
    bench.settle()
    assert state_of(bench, intent) == DONE
    both_hold("Ada", "Bob")(bench)
    bench.assert_quiet()


def test_an_update_in_doubt_whose_field_is_not_mapped_any_more_proves_nothing() -> None:
    """Nobody looks at the field, so its write is not taken for done; mapped again one day, it has no base."""
    bench, left, right = filled("ada")
    bench.left.edit(left["ada"], name="Edited")
    intent = lose(bench, NOT)
    whole = bench.spec
    bench.spec = replace(whole, fields=tuple(each for each in whole.fields if each.name != "name"))
    bench.clock.time += HORIZON
    bench.settle()
    assert state_of(bench, intent) == CLOSED
    (link,) = bench.store.links.load([intent.link or 0]).values()
    assert "name" not in link.left.shadow
    assert "name" not in link.right.shadow
    bench.spec = whole
    bench.settle()
    assert [entry.ask.field for entry in bench.inbox()] == ["name"]
    assert bench.right[right["ada"]]["name"] == "Ada"
