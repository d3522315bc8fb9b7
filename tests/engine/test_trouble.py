"""Poison rows, partial batches, limits, outages, drifting schemas (failure modes 16, 17, 18): one record's trouble stays its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from syncengine.connector import Choice, Field, FieldType
from syncengine.core.model import Deletes, Side
from syncengine.engine.report import Exit
from syncengine.errors import AuthError, ConfigError, OutcomeUnknown, ProtocolError, ResourceError, TransientError
from syncengine.testing.memory import SIMPLE, Call, CallKind, Moment
from tests.support.engine import PEOPLE, Bench, able, failing, fill, filled, once, people_spec, same_fields

NAMES = tuple(f"person{number:02}" for number in range(20))


def picky(bench: Bench) -> None:
    """The right takes no phone longer than three characters."""
    bench.redefine(Side.RIGHT, replace(PEOPLE[2], max_length=3))


def test_one_poison_row_in_a_batch_is_parked_with_its_reason_and_the_others_land() -> None:
    bench = Bench()
    picky(bench)
    for name in NAMES:
        bench.left.insert(email=f"{name}@example.com", name=name, phone="12345" if name == "person07" else "1")
    report = bench.sync()
    assert report.exit is Exit.PARTIAL
    assert report.written == {"right.create": 19}
    assert report.quarantined == 1
    assert report.buckets["left"] == {"created": 19, "quarantined": 1}
    assert len(report.failed) == 1
    assert "person07@example.com" in report.failed[0]
    assert "12345" not in report.failed[0]
    bench.assert_quiet()


@pytest.mark.parametrize("fresh", [True, False], ids=["created", "updated"])
def test_a_parked_record_is_left_in_peace_until_it_changes(fresh: bool) -> None:
    bench = Bench()
    picky(bench)
    left = bench.left.insert(email="ada@example.com", name="Ada", phone="12345" if fresh else "1")
    bench.sync()
    if not fresh:
        bench.left.edit(left, phone="12345")
        bench.sync()
    tried = bench.calls(Side.RIGHT, CallKind.WRITE)
    for _ in range(3):
        report = bench.run()
        assert report.exit is Exit.PARTIAL
        assert report.quarantined
    assert bench.calls(Side.RIGHT, CallKind.WRITE) == tried
    bench.assert_quiet()
    bench.left.edit(left, phone="123")
    assert bench.sync().exit is Exit.DONE
    assert [row["phone"] for row in bench.right.records().values()] == ["123"]
    bench.assert_quiet()


def test_a_parked_link_is_tried_again_when_its_partner_changes() -> None:
    bench = Bench()
    picky(bench)
    left = fill(bench, "ada")["ada"]
    right = str(bench.other(Side.LEFT, left))
    bench.left.edit(left, phone="12345")
    bench.sync()
    tried = bench.calls(Side.RIGHT, CallKind.WRITE)
    bench.right.edit(right, name="Edited")
    bench.sync()
    assert bench.calls(Side.RIGHT, CallKind.WRITE) == tried + 1
    bench.assert_quiet()
    bench.left.edit(left, phone="1")
    bench.settle()
    assert bench.left[left]["name"] == "Edited"
    bench.assert_quiet()


@pytest.mark.parametrize("side", list(Side))
def test_one_refused_field_of_an_update_waits_and_the_others_land(side: Side) -> None:
    bench = Bench()
    bench.redefine(side.other, replace(PEOPLE[2], max_length=3))
    ids = {Side.LEFT: fill(bench, "ada")["ada"]}
    ids[Side.RIGHT] = str(bench.other(Side.LEFT, ids[Side.LEFT]))
    bench.resources[side].edit(ids[side], phone="12345", name="Edited")
    report = bench.sync()
    assert report.exit is Exit.PARTIAL
    assert report.failed
    there = bench.resources[side.other]
    assert (there[ids[side.other]]["name"], there[ids[side.other]]["phone"]) == ("Edited", "1")
    bench.sync()
    tried = bench.calls(side.other, CallKind.WRITE)
    assert bench.sync().quarantined
    assert bench.calls(side.other, CallKind.WRITE) == tried
    bench.assert_quiet()
    there.edit(ids[side.other], phone="99")  # the very field that waits: both changed it now
    assert bench.sync().inbox_open == 1
    bench.assert_quiet()
    bench.resources[side].edit(ids[side], phone="99")
    bench.settle()
    assert bench.sync().exit is Exit.DONE
    bench.assert_same()
    bench.assert_quiet()


def test_a_released_record_is_tried_once_more_and_parked_again() -> None:
    bench = Bench()
    picky(bench)
    left = bench.left.insert(email="ada@example.com", name="Ada", phone="12345")
    bench.sync()
    bench.redefine(Side.RIGHT, PEOPLE[2])
    bench.run()
    assert len(bench.right) == 0  # nobody told us that the system changed its mind
    bench.store.records.release(bench.pair, Side.LEFT, [left])
    assert bench.sync().exit is Exit.DONE
    assert len(bench.right) == 1
    bench.assert_quiet()


def test_a_refusal_released_in_vain_is_parked_again() -> None:
    bench = Bench()
    picky(bench)
    left = bench.left.insert(email="ada@example.com", name="Ada", phone="12345")
    bench.sync()
    bench.store.records.release(bench.pair, Side.LEFT, [left])
    assert bench.sync().quarantined == 1
    tried = bench.calls(Side.RIGHT, CallKind.WRITE)
    bench.assert_quiet()
    assert bench.calls(Side.RIGHT, CallKind.WRITE) == tried


def test_a_part_of_a_batch_without_answer_is_in_doubt_and_the_rest_lands() -> None:
    bench = Bench(right_options=able(idempotent_creates=False, chooses_ids=False))
    for name in NAMES:
        bench.left.insert(email=f"{name}@example.com", name=name)
    apply = bench.right.apply

    def halfway(change: object) -> object:
        outcome = apply(change)  # type: ignore[arg-type]
        if "person03" in str(change):
            from syncengine.connector import Failed

            return Failed(key=change.key, error=OutcomeUnknown("no word about this one"))  # type: ignore[attr-defined]
        return outcome

    bench.right.apply = halfway  # type: ignore[method-assign,assignment]
    report = bench.sync()
    assert report.written == {"right.create": 19}
    assert report.buckets["left"] == {"created": 19, "in_doubt": 1}
    bench.right.apply = apply  # type: ignore[method-assign]
    bench.clock.time += 3600
    bench.settle()
    assert bench.creates(Side.RIGHT) == len(bench.right) == 20
    bench.assert_quiet()
    bench.assert_same()


def test_answers_that_break_the_contract_leave_every_change_of_the_call_in_doubt() -> None:
    bench = Bench()
    bench.left.insert(email="ada@example.com", name="Ada")
    write = bench.connectors[Side.RIGHT].write
    bench.connectors[Side.RIGHT].write = lambda resource, changes: [*write(resource, changes), *write(resource, changes)]
    report = bench.run()
    assert report.buckets["left"] == {"in_doubt": 1}
    bench.connectors[Side.RIGHT].write = write
    bench.settle()
    assert len(bench.right) == 1
    bench.assert_quiet()


@pytest.mark.parametrize("error", [TransientError("429", retry_after=7.0, throttled=True), TransientError("503")])
def test_a_short_outage_is_waited_out(error: TransientError) -> None:
    bench, left, right = filled("ada", retrying=True)
    bench.left.edit(left["ada"], name="Countess")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.BEFORE, failing(error))
    started = bench.clock.time
    report = bench.sync()
    assert report.exit is Exit.DONE
    assert bench.clock.time - started >= 60 + (error.retry_after or 0.5)
    assert bench.right[right["ada"]]["name"] == "Countess"
    bench.assert_quiet()


def test_an_outage_in_the_middle_keeps_what_is_done_and_the_next_run_does_the_rest() -> None:
    bench = Bench(right_options=able(max_batch=5, max_concurrency=1))
    for name in NAMES:
        bench.left.insert(email=f"{name}@example.com", name=name)
    calls = 0

    def down(call: Call, moment: Moment) -> None:
        nonlocal calls
        if call.kind is CallKind.WRITE and moment is Moment.BEFORE:
            calls += 1
            if calls > 2:
                raise TransientError("503")

    bench.worlds[Side.RIGHT].on_call = down
    report = bench.run()
    assert report.exit is Exit.PARTIAL
    assert report.written == {"right.create": 10}
    assert report.buckets["left"] == {"created": 10, "failed": 10}
    bench.worlds[Side.RIGHT].on_call = None
    assert bench.sync().written == {"right.create": 10}
    assert bench.creates(Side.RIGHT) == 20
    bench.assert_quiet()
    bench.assert_same()


@pytest.mark.parametrize("error", [AuthError("401"), ResourceError("the table is gone"), ProtocolError("nonsense")])
def test_a_side_that_stops_in_the_middle_ends_the_run_after_everything_known_is_kept(error: Exception) -> None:
    bench = Bench(right_options=able(max_batch=5, max_concurrency=1))
    for name in NAMES:
        bench.left.insert(email=f"{name}@example.com", name=name)
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.BEFORE, failing(error), nth=3)  # type: ignore[arg-type]
    report = bench.run()
    assert report.exit is Exit.FAILED
    bench.clock.time += 3600
    bench.settle()
    assert bench.creates(Side.RIGHT) == len(bench.right) == 20
    bench.assert_quiet()
    bench.assert_same()


@pytest.mark.parametrize("kind", [CallKind.PAGE, CallKind.GET, CallKind.FIND, CallKind.WRITE])
def test_a_bug_in_a_connector_fails_the_run_and_spoils_nothing(kind: CallKind) -> None:
    bench, left, right = filled("ada", "bob", right=able(SIMPLE))
    bench.left.edit(left["ada"], name="Countess")
    bench.left.insert(email="new@example.com", name="New")

    def bug(call: Call) -> None:
        raise KeyError("a bug")

    once(bench.worlds[Side.RIGHT], kind, Moment.BEFORE, bug)
    report = bench.run()
    assert report.exit is Exit.FAILED
    assert "KeyError" in report.error
    bench.clock.time += 3600
    bench.settle()
    assert bench.right[right["ada"]]["name"] == "Countess"
    assert len(bench.right) == 3
    bench.assert_quiet()


@contextmanager
def asked_to_stop(bench: Bench, *, after: int) -> Iterator[None]:
    """Runs in here are asked to stop once so many writes were made on the right."""
    ports, stopping = bench.ports, False

    def stop(call: Call) -> None:
        nonlocal stopping
        stopping = True

    bench.ports = replace(ports, stop=lambda: stopping)
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.AFTER, stop, nth=after)
    yield
    bench.ports = ports


def test_stopping_in_the_middle_ends_cleanly_and_the_next_run_goes_on() -> None:
    bench = Bench(right_options=able(max_batch=1, max_concurrency=1))
    for name in NAMES:
        bench.left.insert(email=f"{name}@example.com", name=name)
    with asked_to_stop(bench, after=3):
        report = bench.run()
    assert report.exit is Exit.PARTIAL
    assert "stopped on request" in " ".join(report.notes)
    bench.settle()
    assert bench.creates(Side.RIGHT) == len(bench.right) == 20
    bench.assert_quiet()


def test_edits_that_are_taken_back_after_a_run_that_ended_between_the_two_writes_of_a_record_are_seen() -> None:
    """Both records look as they were settled before, and the side that was written holds what nobody has typed there."""
    bench, left, right = filled("ada")
    bench.left.edit(left["ada"], name="Countess")
    bench.right.edit(right["ada"], phone="2")
    with asked_to_stop(bench, after=1):
        assert bench.run().written == {"right.update": 1}
    bench.left.edit(left["ada"], name="Ada")
    bench.right.edit(right["ada"], phone="1")
    bench.settle()
    assert bench.right[right["ada"]]["name"] == "Ada"
    bench.assert_quiet()
    bench.assert_same()


# Schema drift


def test_a_field_that_disappears_is_a_config_error_and_never_clears_anything() -> None:
    bench, left, right = filled("ada")
    bench.redefine(Side.LEFT, gone=["phone"])
    with pytest.raises(ConfigError, match="phone"):
        bench.run()
    assert bench.right[right["ada"]]["phone"] == "1"
    bench.redefine(Side.LEFT, PEOPLE[2])
    bench.left.edit(left["ada"], name="Later")
    assert bench.sync().written == {"right.update": 1}
    bench.assert_quiet()


def test_a_listing_that_lacks_a_mapped_field_stops_the_run() -> None:
    from syncengine.connector import Page

    bench, _, right = filled("ada")
    connector = bench.connectors[Side.LEFT]
    connector.read = lambda resource, fields, cursor=None: iter(
        [Page(fields=("email",), ids=["1"], rows=[("ada@example.com",)], complete=True)]
    )
    report = bench.run()
    assert report.exit is Exit.FAILED
    assert "lacks the fields name, phone, tags" in report.error
    bench.reconnect()
    assert bench.right[right["ada"]]["phone"] == "1"
    bench.assert_quiet()


def test_a_field_that_becomes_read_only_goes_one_way_from_then_on() -> None:
    bench, left, right = filled("ada")
    bench.redefine(Side.RIGHT, replace(PEOPLE[2], read_only=True))
    bench.left.edit(left["ada"], phone="2", name="Edited")
    report = bench.sync()
    assert bench.right[right["ada"]]["name"] == "Edited"
    assert bench.right[right["ada"]]["phone"] == "1"
    assert report.exit is Exit.DONE
    bench.assert_quiet()


def test_a_choice_that_is_withdrawn_blocks_its_field_only() -> None:
    both = (Choice(value="Open"), Choice(value="Won"))
    stage = Field(name="stage", type=FieldType.CHOICE, choices=both)
    wider = (*PEOPLE, stage)
    bench = Bench(people_spec(fields=same_fields(*wider)), fields=wider)
    left = bench.left.insert(email="ada@example.com", name="Ada", stage="Open")
    bench.sync()
    right = str(bench.other(Side.LEFT, left))
    bench.redefine(Side.RIGHT, replace(stage, choices=both[:1]))
    bench.left.edit(left, stage="Won", name="Edited")
    report = bench.sync()
    assert report.exit is Exit.PARTIAL
    assert (bench.right[right]["name"], bench.right[right]["stage"]) == ("Edited", "Open")
    bench.assert_quiet()


def test_a_type_that_changes_keeps_the_state_and_rewrites_nothing() -> None:
    bench, left, right = filled("ada")
    bench.redefine(Side.RIGHT, replace(PEOPLE[1], type=FieldType.CHOICE, choices=(Choice(value="Ada"), Choice(value="Bob"))))
    report = bench.sync()
    assert not report.written
    assert bench.other(Side.LEFT, left["ada"]) == right["ada"]
    bench.assert_quiet()


def test_a_new_required_field_that_nothing_fills_is_a_config_error() -> None:
    bench, _, _ = filled("ada")
    bench.redefine(Side.RIGHT, Field(name="tax_number", required=True))
    with pytest.raises(ConfigError, match="tax_number"):
        bench.run()


def test_a_system_without_the_skill_to_get_or_find_is_read_whole_instead() -> None:
    for lacking in (["gets"], ["finds"], ["gets", "finds"]):
        bench = Bench(people_spec(deletes=Deletes.PROPAGATE), left_options=able(SIMPLE), right_options=able(SIMPLE))
        bench.reconnect(lacking={Side.LEFT: lacking, Side.RIGHT: lacking})
        left = fill(bench, "ada", "bob", "cyd")
        bench.left.edit(left["ada"], name="Edited")
        bench.left.remove(left["bob"])
        bench.right.edit(str(bench.other(Side.LEFT, left["cyd"])), phone="7")
        bench.right.insert(email="eve@example.com", name="Eve")
        bench.settle()
        assert len(bench.left) == len(bench.right) == 3
        bench.assert_same()
        bench.assert_quiet()


def test_a_connectors_skills_are_used_through_its_wrappers() -> None:
    bench, left, _ = filled("ada", right=able(SIMPLE))
    bench.left.edit(left["ada"], name="Edited")
    bench.left.insert(email="new@example.com")
    bench.sync()
    assert bench.calls(Side.RIGHT, CallKind.GET)
    assert bench.calls(Side.RIGHT, CallKind.FIND)
    bench.assert_quiet()
