"""An id that a system gives out twice: the newcomer is not the one who left."""

from __future__ import annotations

import pytest

from syncengine.core.decision import AskKind
from syncengine.core.merge import Pick
from syncengine.core.model import Deletes, Side
from syncengine.testing.memory import CallKind, Moment
from tests.support.engine import Bench, able, once, people_spec


class Death(BaseException):
    """The process ends here."""


def test_a_newcomer_under_a_deleted_records_id_does_not_inherit_its_partner() -> None:
    bench = Bench(people_spec(deletes=Deletes.IGNORE))
    first = bench.left.insert("7", email="ada@example.com", name="Ada")
    bench.left.insert("8", email="bob@example.com", name="Bob")
    bench.sync()
    bench.left.remove(first)
    bench.sync()
    bench.left.insert("7", email="new@example.com", name="Somebody else")
    bench.sync()
    bench.sync()

    names = sorted(str(row["name"]) for row in bench.right.records().values())
    assert names == ["Ada", "Bob", "Somebody else"]
    bench.assert_quiet()


def test_a_newcomer_under_a_deleted_records_id_is_told_from_it_though_the_process_died() -> None:
    bench = Bench(people_spec(deletes=Deletes.IGNORE))
    first = bench.left.insert("7", email="ada@example.com", name="Ada")
    bench.left.insert("8", email="bob@example.com", name="Bob")
    bench.sync()
    bench.left.remove(first)
    bench.sync()
    bench.left.insert("7", email="new@example.com", name="Somebody else")
    bench.right.insert(email="zed@example.com", name="Zed")

    def die(call: object) -> None:
        raise Death

    once(bench.worlds[Side.LEFT], CallKind.WRITE, Moment.BEFORE, die)
    with pytest.raises(Death):
        bench.run()
    bench.clock.time += 600
    bench.settle()
    names = sorted(str(row["name"]) for row in bench.right.records().values())
    assert names == ["Ada", "Bob", "Somebody else", "Zed"]
    bench.assert_quiet()


def test_a_record_that_comes_back_as_itself_finds_its_partner() -> None:
    bench = Bench(people_spec(deletes=Deletes.IGNORE))
    first = bench.left.insert("7", email="ada@example.com", name="Ada")
    bench.left.insert("8", email="bob@example.com", name="Bob")
    bench.sync()
    bench.left.remove(first)
    bench.sync()
    bench.left.insert("7", email="Ada@example.com", name="Ada again")
    bench.sync()

    names = sorted(str(row["name"]) for row in bench.right.records().values())
    assert names == ["Ada again", "Bob"]
    bench.assert_quiet()


@pytest.mark.parametrize(
    ("id_", "is_itself"), [("7", False), ("3|7", False), ("0b61c2de-6a1f-4a0a-9d4e-5b2f0c9d7e11", True), ("r7", True)]
)
def test_a_record_edited_all_over_while_it_was_archived_is_itself_by_an_id_that_nobody_counts(id_: str, is_itself: bool) -> None:
    bench = Bench(people_spec(deletes=Deletes.IGNORE))
    bench.left.insert(id_, email="ada@example.com", name="Ada")
    bench.left.insert("8", email="bob@example.com", name="Bob")
    bench.sync()
    bench.left.remove(id_)
    bench.sync()
    bench.left.insert(id_, email="countess@example.com", name="Countess of Lovelace")
    bench.sync()
    bench.sync()

    names = sorted(str(row["name"]) for row in bench.right.records().values())
    assert names == (["Bob", "Countess of Lovelace"] if is_itself else ["Ada", "Bob", "Countess of Lovelace"])
    bench.assert_quiet()


def test_an_order_to_delete_lapses_when_the_id_of_the_record_that_was_gone_is_seen_again() -> None:
    """It may be the very record, hidden for a while and edited meanwhile: what a person was told is not true any more."""
    bench = Bench(people_spec(deletes=Deletes.ASK), left_options=able(archives=False, restores=False))
    first = bench.left.insert("7", email="ada@example.com", name="Ada")
    bench.left.insert("8", email="bob@example.com", name="Bob")
    bench.sync()
    bench.left.remove(first)
    bench.sync()
    bench.choose(Pick.LEFT)
    bench.left.insert("7", email="ada.new@example.com", name="Ada")
    bench.settle()

    assert bench.removals() == 0
    (question,) = bench.inbox()
    assert (question.ask.kind, question.choice) == (AskKind.DELETE, None)
    bench.choose(Pick.LEFT)
    bench.settle()
    assert sorted(str(row["email"]) for row in bench.right.records().values()) == ["ada.new@example.com", "bob@example.com"]
    bench.assert_quiet()
