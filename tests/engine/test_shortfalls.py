"""Real loss is reported: what a system did not store of the value that it was sent (DESIGN.md section 6, failure mode 15)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from syncengine.connector import Field, FieldType
from syncengine.core import merge
from syncengine.core.model import FieldSpec, Side
from syncengine.engine import shadows
from syncengine.engine.report import Exit
from syncengine.errors import OutcomeUnknown
from syncengine.testing.memory import CallKind, Manners, Moment, lower, rounded, trim, truncated, without
from tests.support.engine import Bench, able, failing, once, people_spec, same_fields

EMAIL = Field(name="email", type=FieldType.EMAIL)
LONG = "a sentence of thirty characters"


def bench_of(kind: FieldType, normalise: Callable[[Any], Any], **right: Any) -> tuple[Bench, str]:
    """A pair of email and `value`, whose right side stores `normalise(value)`; one person without a value is in sync."""
    value = Field(name="value", type=kind, many=kind is FieldType.SET)
    fields = (*same_fields(EMAIL), FieldSpec(name="value", left="value", right="value"))
    options = able(manners=Manners(normalise={"value": normalise}), **right)
    bench = Bench(people_spec(fields=fields), fields=(EMAIL, value), right_options=options)
    id_ = bench.left.insert(email="ada@example.com")
    bench.sync()
    return bench, id_


def told(bench: Bench, runs: int = 4) -> list[tuple[str, ...]]:
    """What so many runs say of it, each; they read everything, for a write that left no trace is in no list of changes."""
    return [bench.sync(sweep=True).notes for _ in range(runs)]


FALLING_SHORT = {
    "cut": (FieldType.TEXT, truncated(10), LONG, "two cut value of ada@example.com from 31 to 10 characters"),
    "rounded": (FieldType.DECIMAL, rounded(2), Decimal("1.2345"), "two rounded value of ada@example.com from 4 to 2 decimal places"),
    "left out": (
        FieldType.SET, lambda members: members and members[:1], ["a", "b", "c"], "two kept 1 of 3 members of value of ada@example.com",
    ),
    "dropped": (FieldType.TEXT, lambda _: None, "x", "two stored nothing in value of ada@example.com"),
    "replaced": (FieldType.TEXT, lambda _: "no", "x", "two stored something else in value of ada@example.com than it was sent"),
}  # fmt: skip


@pytest.mark.parametrize("case", FALLING_SHORT)
def test_the_run_that_wrote_says_once_what_the_answer_showed_to_be_lost(case: str) -> None:
    kind, normalise, sent, note = FALLING_SHORT[case]
    bench, id_ = bench_of(kind, normalise)
    bench.left.edit(id_, value=sent)
    report = bench.sync()
    assert report.exit is Exit.DONE
    assert report.notes == (note,)
    assert report.shortfalls == {"right.value": 1}
    assert told(bench) == [()] * 4
    assert bench.left[id_]["value"] == sent
    bench.assert_quiet()


@pytest.mark.parametrize("case", FALLING_SHORT)
def test_where_the_answer_holds_no_values_the_next_run_says_it_once(case: str) -> None:
    kind, normalise, sent, note = FALLING_SHORT[case]
    bench, id_ = bench_of(kind, normalise, returns_record=False)
    bench.left.edit(id_, value=sent)
    assert told(bench) == [(), (note,), (), ()]
    assert bench.left[id_]["value"] == sent
    bench.assert_quiet()


@pytest.mark.parametrize("answers", [True, False], ids=["told", "not told"])
def test_a_new_record_that_was_cut_is_reported_like_a_changed_one(answers: bool) -> None:
    bench, _ = bench_of(FieldType.TEXT, truncated(10), returns_record=answers)
    bench.left.insert(email="bob@example.com", value=LONG)
    notes = [note for run in told(bench) for note in run]
    assert notes == ["two cut value of bob@example.com from 31 to 10 characters"]


@pytest.mark.parametrize("answers", [True, False], ids=["told", "not told"])
def test_every_write_that_is_cut_is_reported_anew(answers: bool) -> None:
    bench, id_ = bench_of(FieldType.TEXT, truncated(10), returns_record=answers)
    for text in (LONG, LONG.upper() + "!", "short", LONG):
        bench.left.edit(id_, value=text)
        notes = [note for run in told(bench) for note in run]
        assert notes == ([] if text == "short" else [f"two cut value of ada@example.com from {len(text)} to 10 characters"])


HARMLESS = {
    "trimmed": (FieldType.TEXT, trim, "  Ada "),
    "lower case": (FieldType.TEXT, lower, "ADA"),
    "a phone written another way": (FieldType.PHONE, without(" -()"), "+1 (555) 010-0199"),
    "members in another order": (FieldType.SET, lambda members: sorted(members or []), ["b", "a"]),
    "a member added": (FieldType.SET, lambda members: [*(members or []), "new"], ["a"]),
}


@pytest.mark.parametrize("answers", [True, False], ids=["told", "not told"])
@pytest.mark.parametrize("case", HARMLESS)
def test_what_is_only_written_another_way_is_no_loss(case: str, answers: bool) -> None:
    kind, normalise, sent = HARMLESS[case]
    bench, id_ = bench_of(kind, normalise, returns_record=answers)
    bench.left.edit(id_, value=sent)
    assert told(bench) == [()] * 4


def test_a_value_that_a_system_refuses_to_clear_is_reported() -> None:
    bench, id_ = bench_of(FieldType.TEXT, lambda text: text or "unknown")
    bench.left.edit(id_, value="x")
    bench.sync()
    bench.left.edit(id_, value=None)
    assert told(bench)[0] == ("two stored something else in value of ada@example.com than it was sent",)


@pytest.mark.parametrize("idempotent", [True, False], ids=["sent again", "looked up"])
def test_a_write_whose_answer_was_lost_is_reported_when_it_is_proved(idempotent: bool) -> None:
    bench, _ = bench_of(FieldType.TEXT, truncated(10), idempotent_creates=idempotent, chooses_ids=not idempotent)
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.AFTER, failing(OutcomeUnknown("no answer came")))
    bench.left.insert(email="bob@example.com", value=LONG)
    notes = [note for run in told(bench) for note in run]
    assert notes == ["two cut value of bob@example.com from 31 to 10 characters"]


def test_a_loss_that_both_sides_share_by_now_is_no_loss() -> None:
    bench, id_ = bench_of(FieldType.TEXT, truncated(10), returns_record=False)
    bench.left.edit(id_, value=LONG)
    bench.sync()
    bench.left.edit(id_, value=LONG[:10])
    assert told(bench) == [()] * 4


@pytest.mark.parametrize("answers", [True, False], ids=["told", "not told"])
def test_a_column_that_is_too_narrow_for_everybody_is_counted_and_named_for_the_first(answers: bool) -> None:
    bench, _ = bench_of(FieldType.TEXT, truncated(10), returns_record=answers)
    for number in range(50):
        bench.left.insert(email=f"p{number}@example.com", value=LONG)
    reports = [bench.sync() for _ in range(3)]
    (report,) = [report for report in reports if report.notes]
    assert report.shortfalls == {"right.value": 50}
    assert len(report.notes) == 21
    assert report.notes[-1] == "30 more values were not stored as they were sent"


def test_the_journal_keeps_it_with_the_write() -> None:
    bench, id_ = bench_of(FieldType.TEXT, truncated(10))
    bench.left.edit(id_, value=LONG)
    report = bench.sync()
    (intent,) = bench.store.journal.of_run(report.run)
    assert intent.error == "cut value from 31 to 10 characters"


def test_a_guard_that_counts_the_decisions_first_does_not_count_it_twice() -> None:
    bench, id_ = bench_of(FieldType.TEXT, truncated(10), returns_record=False)
    bench.left.edit(id_, value=LONG)
    bench.sync()
    many = [bench.left.insert(email=f"p{number}@example.com") for number in range(200)]
    refused = bench.run()
    assert refused.exit is Exit.REFUSED
    assert refused.notes == ()
    assert bench.run(approve=refused.approval).shortfalls == {"right.value": 1}
    assert len(bench.right) == len(many) + 1


def test_a_run_in_which_nothing_changed_does_not_even_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, id_ = bench_of(FieldType.TEXT, truncated(10))
    bench.left.edit(id_, value=LONG)
    bench.sync()

    def asked(*_: object) -> None:
        raise AssertionError("nothing was written, and nothing looks different")

    monkeypatch.setattr(merge, "shortfall", asked)
    monkeypatch.setattr(shadows, "shortfall", asked)
    bench.assert_quiet()
