"""Runs that overlap, crash, or meet a state of another age; pairs that were renamed; ids that are not lasting (failure modes 3, 20)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from syncengine.core.decision import AskKind
from syncengine.core.model import Deletes, End, FieldSpec, Keyless, Side
from syncengine.engine.report import Exit
from syncengine.errors import Fenced, StateLocked
from syncengine.store.store import Store
from syncengine.testing.memory import CallKind, EffectKind, Manners, Moment
from tests.support.engine import PEOPLE, Bench, able, fill, filled, once, people_spec, same_fields


class Killed(BaseException):
    """The process ended here."""


def test_two_runs_over_the_same_resources_take_turns() -> None:
    bench, left, _ = filled("ada")
    bench.left.edit(left["ada"], name="Edited")
    seen: list[str] = []

    def second(call: object) -> None:
        with pytest.raises(StateLocked, match="another run"):
            bench.run(holder="somebody else")
        seen.append("locked")

    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.BEFORE, second)
    assert bench.sync().written == {"right.update": 1}
    assert seen == ["locked"]
    bench.assert_quiet()


def test_a_run_whose_lease_was_taken_over_stops_and_commits_nothing_more() -> None:
    bench, left, right = filled("ada")
    bench.left.edit(left["ada"], name="Edited")

    def stall(call: object) -> None:
        bench.clock.time += 100_000
        assert bench.run(holder="somebody else").exit in (Exit.DONE, Exit.PARTIAL)

    once(bench.worlds[Side.RIGHT], CallKind.PAGE, Moment.BEFORE, stall)
    with pytest.raises(Fenced):
        bench.run()
    assert bench.right[right["ada"]]["name"] == "Edited"
    assert bench.kinds(Side.RIGHT).count("updated") == 1
    bench.assert_quiet()


def test_an_abandoned_lease_ends_by_itself() -> None:
    bench, left, _ = filled("ada")
    bench.left.edit(left["ada"], name="Edited")

    def die(call: object) -> None:
        raise Killed

    once(bench.worlds[Side.LEFT], CallKind.PAGE, Moment.BEFORE, die)
    with pytest.raises(Killed):
        bench.run(holder="dead")
    with pytest.raises(StateLocked):
        bench.run(holder="alive")
    bench.clock.time += 3600
    assert bench.run(holder="alive").written == {"right.update": 1}
    bench.assert_quiet()


def killable(kill_at: int, kind: str) -> tuple[Bench, list[int]]:
    """A bench whose process dies at the given commit boundary; `kind`: before or after."""
    count = [-1]

    def on_commit(moment: str) -> None:
        if moment == kind and count[0] >= 0:
            count[0] += 1
            if count[0] == kill_at:
                count[0] = -1
                raise Killed

    bench = Bench(
        people_spec(deletes=Deletes.PROPAGATE), store=Store.memory(on_commit=on_commit), right_options=able(max_batch=2)
    )
    count[0] = -1
    left = fill(bench, "ada", "bob", "cyd", "dan")
    bench.left.edit(left["ada"], name="Edited")
    bench.right.edit(str(bench.other(Side.LEFT, left["bob"])), phone="2")
    bench.left.remove(left["cyd"])
    bench.left.insert(email="new@example.com", name="New")
    bench.right.insert(email="other@example.com", name="Other")
    count[0] = 0
    return bench, count


@pytest.mark.parametrize("kind", ["before", "after"])
@pytest.mark.parametrize("kill_at", range(1, 9))
def test_a_crash_at_any_commit_ends_as_if_it_had_not_been(kill_at: int, kind: str) -> None:
    bench, count = killable(kill_at, kind)
    with suppress(Killed):
        bench.run()
    count[0] = -1
    bench.clock.time += 3600
    bench.settle(passes=6)
    assert len(bench.left) == len(bench.right) == 5
    bench.assert_same()
    assert bench.creates(Side.LEFT) == 1
    assert bench.creates(Side.RIGHT) == 4 + 1
    assert bench.removals() == 1
    assert bench.sync().exit is Exit.DONE
    bench.assert_quiet()


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_crash_at_any_write_ends_as_if_it_had_not_been(nth: int, moment: Moment) -> None:
    bench, count = killable(0, "never")
    count[0] = -1

    def die(call: object) -> None:
        raise Killed

    once(bench.worlds[Side.RIGHT], CallKind.WRITE, moment, die, nth=nth)
    with suppress(Killed):
        bench.run()
    bench.worlds[Side.RIGHT].on_call = None
    bench.clock.time += 3600
    bench.settle(passes=6)
    assert len(bench.left) == len(bench.right) == 5
    bench.assert_same()
    assert bench.creates(Side.RIGHT) == 4 + 1
    assert bench.removals() == 1
    bench.assert_quiet()


def test_a_renamed_pair_keeps_everything_it_had() -> None:
    bench, left, right = filled("ada", "bob", deletes=Deletes.PROPAGATE)
    bench.spec = replace(bench.spec, name="contacts", was="people")
    bench.left.edit(left["ada"], name="Edited")
    assert bench.sync().written == {"right.update": 1}
    assert bench.other(Side.LEFT, left["ada"]) == right["ada"]
    bench.left.remove(left["bob"])
    assert bench.sync().written == {"right.delete": 1}
    bench.assert_quiet()


def test_a_renamed_field_keeps_its_shadow() -> None:
    bench, left, right = filled("ada")
    renamed = FieldSpec(name="telephone", left="phone", right="phone", was="phone")
    bench.spec = replace(bench.spec, fields=same_fields(*PEOPLE, phone=renamed))
    assert not bench.sync().written
    bench.right.edit(right["ada"], phone="2")
    bench.sync()
    assert bench.left[left["ada"]]["phone"] == "2"
    assert not bench.inbox()
    bench.assert_quiet()


def test_two_pairs_on_one_resource_see_each_others_writes_as_ordinary_edits() -> None:
    bench, left, right = filled("ada")
    hub = Bench(
        people_spec(name="hub", left=End(system="one", resource="people"), right=End(system="two", resource="archive")),
        beside=bench,
    )
    hub.sync()
    assert len(hub.right) == 1
    hub.right.edit(str(hub.other(Side.LEFT, left["ada"])), name="From the hub")
    hub.sync()
    bench.sync()
    assert bench.right[right["ada"]]["name"] == "From the hub"
    for each in (bench, hub, bench):
        each.assert_quiet()


# Ids that are not lasting


def provisional(**options: Any) -> dict[str, Any]:
    return able(manners=Manners(provisional=True, **options))


@pytest.mark.parametrize("side", list(Side))
def test_a_record_without_a_lasting_id_gets_one_before_anything_else_and_no_link_stores_the_other(side: Side) -> None:
    bench = Bench(left_options=provisional(), right_options=provisional())
    resource = bench.resources[side]
    first = resource.insert(email="ada@example.com", name="Ada", phone="1")
    plan = bench.plan()
    assert plan.counts[f"{side.value}.identify"] == 1
    assert plan.counts[f"{side.other.value}.create"] == 1
    assert first in resource
    report = bench.sync()
    assert report.written == {f"{side.value}.identify": 1, f"{side.other.value}.create": 1}
    (lasting,) = resource.records()
    assert lasting != first
    assert bench.other(side, lasting) is not None
    assert bench.effects(side)[0].kind is EffectKind.IDENTIFIED
    bench.assert_quiet()
    resource.edit(lasting, name="Edited")
    bench.sync()
    bench.assert_same()
    bench.assert_quiet()


def test_provisional_records_on_both_sides_meet_by_key() -> None:
    bench = Bench(left_options=provisional(), right_options=provisional())
    bench.left.insert(email="ada@example.com", name="Ada", phone="1")
    bench.right.insert(email="ada@example.com", name="Ada", phone=None)
    bench.sync()
    bench.settle()
    assert len(bench.left) == len(bench.right) == 1
    bench.assert_same()
    bench.assert_quiet()


def test_a_provisional_record_whose_identification_fails_waits_unlinked() -> None:
    bench = Bench(left_options=provisional())
    bench.left.insert(email="ada@example.com", name="Ada")
    from syncengine.errors import OutcomeUnknown
    from tests.support.engine import failing

    once(bench.worlds[Side.LEFT], CallKind.WRITE, Moment.BEFORE, failing(OutcomeUnknown("lost")))
    report = bench.run()
    assert report.exit is not Exit.DONE
    assert len(bench.right) == 0
    bench.settle()
    assert len(bench.left) == len(bench.right) == 1
    bench.assert_quiet()


def test_keyless_provisional_records_are_identified_and_created_each_for_itself() -> None:
    bench = Bench(people_spec(keyless=Keyless.CREATE), left_options=provisional())
    for name in ("One", "Two"):
        bench.left.insert(email=None, name=name)
    bench.settle()
    assert len(bench.left) == len(bench.right) == 2
    bench.assert_same()
    bench.assert_quiet()


def test_a_state_that_forgot_a_deletion_asks_nobody_and_deletes_nothing() -> None:
    bench, left, _ = filled("ada", "bob", "cyd", deletes=Deletes.PROPAGATE)
    bench.left.remove(left["ada"])
    again = Bench(bench.spec)
    again.worlds, again.resources, again.clock = bench.worlds, bench.resources, bench.clock
    again.reconnect()
    again.sync()
    assert again.removals() == 0
    assert len(again.left) == len(again.right) == 3
    assert AskKind.DELETE not in [entry.ask.kind for entry in again.inbox()]
    again.assert_quiet()
