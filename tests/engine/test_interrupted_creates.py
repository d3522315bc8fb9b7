"""A process that dies with creates in doubt: what was there before is nobody's creation, and a batch of look-alikes is not parked."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from syncengine.core.guard import Tally, check
from syncengine.core.model import Guards, Side
from syncengine.engine.report import Exit
from syncengine.store.store import Store
from syncengine.testing.memory import FULL, CallKind, Moment
from tests.support.engine import Bench, able, filled, once

BY_KEY_ONLY = replace(FULL, chooses_ids=False, idempotent_creates=False, late_arrival=0.0, max_batch=50)
"""A system that gives ids itself and knows no idempotency key: a lost create is found by its match key, or not at all."""


class Death(BaseException):
    """The process ends here."""


def interrupted(path: Path) -> Bench:
    """Forty look-alikes arrived on the right, next to one who was there before; nobody noted it down."""
    bench = Bench(right_options={"capabilities": BY_KEY_ONLY}, store=Store.memory())
    bench.store.close()
    for number in range(40):
        bench.left.insert(email=f"p{number}@example.com", name="Same", phone="1", tags=["x"])
    bench.right.insert(email="old@example.com", name="Same", phone="1", tags=["x"])

    def on_commit(when: str) -> None:
        if when == "before" and len(bench.right) > 1:
            raise Death

    with closing(Store.open(path, now=bench.clock.now())) as bench.store:
        refused = bench.run()
    bench.store = Store.open(path, now=bench.clock.now(), on_commit=on_commit)
    with pytest.raises(Death):
        bench.run(approve=refused.approval)
    bench.store.database.disconnect()
    assert len(bench.right) == 41
    return bench


def test_a_batch_that_arrived_is_recognised_by_its_keys(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    bench = interrupted(path)
    bench.clock.time += 600
    with closing(Store.open(path, now=bench.clock.now())) as bench.store:
        report = bench.sync()
        assert report.exit is Exit.DONE, report
        assert report.inbox_open == 0
        left, right = bench.sides()
        assert left == right
        assert len(right) == 41
        bench.assert_quiet()


def test_a_stranger_that_came_after_the_crash_and_looks_alike_is_left_to_a_person(tmp_path: Path) -> None:
    """It may be what was made, with a key that somebody changed: linking or doubling it would be a guess."""
    path = tmp_path / "state.db"
    bench = interrupted(path)
    changed = next(id_ for id_, row in bench.right.records().items() if row["email"] == "p7@example.com")
    bench.right.edit(changed, email="seven@example.com")
    bench.clock.time += 600
    with closing(Store.open(path, now=bench.clock.now())) as bench.store:
        report = bench.run()
        assert report.inbox_open > 0
        assert len(bench.right) == 41
        assert "seven@example.com" not in {row["email"] for row in bench.left.records().values()}


def test_a_record_that_comes_back_before_its_replacement_was_made_is_linked_again() -> None:
    """The create in doubt is not sent again beside it, and the edit for which it was to be made anew meets what came back."""
    bench, left, right = filled(left=able(restores=False))
    bench.left.archive(left["ada"])
    bench.right.edit(right["ada"], name="Edited")

    def die(call: object) -> None:
        raise Death

    once(bench.worlds[Side.LEFT], CallKind.WRITE, Moment.BEFORE, die)
    with pytest.raises(Death):
        bench.sync()
    bench.left.revive(left["ada"])
    bench.clock.time += 600
    bench.settle()
    assert len(bench.left) == len(left)
    assert bench.other(Side.RIGHT, right["ada"]) == left["ada"]
    assert [(entry.ask.left, entry.ask.right) for entry in bench.inbox()] == [("Ada", "Edited")]


def vanished() -> tuple[Bench, str]:
    """The only record of a side is deleted while its create on the other side is in doubt: the bench, and the approval."""
    bench = Bench(right_options={"capabilities": replace(BY_KEY_ONLY, late_arrival=300.0)})
    only = bench.left.insert(email="ada@example.com", name="Ada")

    def die(call: object) -> None:
        raise Death

    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.BEFORE, die)
    with pytest.raises(Death):
        bench.run()
    bench.left.remove(only)
    refused = bench.run()
    assert [trip.guard for trip in refused.refused] == ["emptied"]
    return bench, refused.approval


def test_what_vanished_while_its_create_was_in_doubt_is_gone_at_the_first_word_of_a_person_after_that() -> None:
    """The run that ends the doubt is refused; the approved one has to read the side whole again, for nothing else tells."""
    bench, approval = vanished()
    assert bench.run(approve=approval).exit is Exit.PARTIAL
    assert list(bench.waiting(Side.LEFT).values()) == ["unread"]
    bench.clock.time += 600
    refused = bench.run()
    assert refused.exit is Exit.REFUSED
    assert bench.run(approve=refused.approval).exit is Exit.DONE
    assert not bench.waiting(Side.LEFT)
    bench.assert_quiet()


def test_what_vanished_is_gone_in_the_very_run_that_ends_the_doubt_about_its_create() -> None:
    """It is read once more, and denied once more: what a complete listing had told of it before stands."""
    bench, approval = vanished()
    bench.clock.time += 600
    assert bench.run(approve=approval).exit is Exit.DONE
    assert not bench.waiting(Side.LEFT)
    bench.assert_quiet()


@pytest.mark.parametrize(("is_first", "trips"), [(True, False), (False, True)])
def test_a_first_sync_that_was_interrupted_goes_on_unasked(is_first: bool, trips: bool) -> None:
    tally = Tally(links=1000, known=dict.fromkeys(Side, 1000), read=dict.fromkeys(Side, 6000), creates=5000, is_first=is_first)
    assert ("creates" in {trip.guard for trip in check(Guards(), tally)}) is trips
