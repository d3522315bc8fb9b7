"""Blank, absent and cleared values (failure mode 14), and values that systems write their own way (failure mode 15)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from syncengine.connector import Choice, Field, FieldType
from syncengine.core.model import FieldSpec, Policy, Side
from syncengine.testing.memory import Manners, lower, rounded, truncated, without
from tests.support.engine import PEOPLE, Bench, able, filled, people_spec, same_fields


def one_field(
    left: Field,
    right: Field,
    *,
    left_options: dict[str, Any] | None = None,
    right_options: dict[str, Any] | None = None,
    **spec: Any,
) -> tuple[Bench, str]:
    """A pair of email and one field `value`, described differently on the two sides; a person is in sync without a value."""
    email = Field(name="email", type=FieldType.EMAIL)
    sides = {Side.LEFT: left, Side.RIGHT: right}
    fields = (*same_fields(email), FieldSpec(name="value", left="value", right="value", **spec))
    bench = Bench(people_spec(fields=fields), fields=(email,), left_options=left_options or {}, right_options=right_options or {})
    for side, field in sides.items():
        bench.redefine(side, field)
    return bench, bench.left.insert(email="ada@example.com")


def value(type: FieldType | None = None, **options: Any) -> Field:
    return Field(name="value", type=type, **options)


# Blank


def test_a_field_that_a_record_lacks_clears_nothing() -> None:
    sparse = able(manners=Manners(sparse=True))
    bench, left, right = filled("ada", left=sparse)
    state = bench.left.history.live[left["ada"]]
    fields = {name: each for name, each in state.fields.items() if name != "phone"}
    bench.left.history.live[left["ada"]] = replace(state, fields=fields)
    bench.sync(sweep=True)
    assert bench.right[right["ada"]]["phone"] == "1"
    assert bench.writes()[Side.RIGHT] == 1
    bench.assert_quiet()


@pytest.mark.parametrize("blank", ["", None])
def test_a_value_that_somebody_clears_is_cleared_on_the_other_side_and_nowhere_else(blank: str | None) -> None:
    bench, left, right = filled("ada")
    bench.left.edit(left["ada"], phone=blank)
    assert bench.sync().written == {"right.update": 1}
    assert bench.changed(Side.RIGHT) == [{"phone"}]
    assert not bench.right[right["ada"]]["phone"]
    assert bench.right[right["ada"]]["name"] == "Ada"
    bench.assert_quiet()


def test_blank_text_is_null_only_where_a_system_says_so() -> None:
    for blank_is_null, writes in ((True, 0), (False, 1)):
        bench, left, right = filled("ada", right={"blank_is_null": blank_is_null})
        bench.left.edit(left["ada"], phone=None)
        bench.sync()
        before = bench.writes()[Side.RIGHT]
        bench.left.edit(left["ada"], phone="")
        bench.sync()
        assert bench.writes()[Side.RIGHT] - before == writes
        bench.assert_quiet()
        del right


def test_a_blank_never_wins_over_a_value_at_the_first_contact() -> None:
    for policy in (Policy.ASK, Policy.LEFT, Policy.FILL):
        bench = Bench(people_spec(conflicts=policy))
        bench.left.insert(email="ada@example.com", name="", phone=None, tags=[])
        right = bench.right.insert(email="ada@example.com", name="Ada", phone="1", tags=["x"])
        bench.settle()
        assert bench.right[right] == {"email": "ada@example.com", "name": "Ada", "phone": "1", "tags": ["x"]}
        bench.assert_same()
        bench.assert_quiet()


def test_clearing_on_one_side_and_editing_on_the_other_is_a_conflict() -> None:
    bench, left, right = filled("ada")
    bench.left.edit(left["ada"], phone=None)
    bench.right.edit(right["ada"], phone="2")
    bench.sync()
    assert [entry.ask.field for entry in bench.inbox()] == ["phone"]
    assert (bench.left[left["ada"]]["phone"], bench.right[right["ada"]]["phone"]) == (None, "2")
    bench.assert_quiet()


def test_a_required_field_that_is_blank_at_the_source_defers_the_create_with_its_reason() -> None:
    bench = Bench()
    bench.redefine(Side.RIGHT, Field(name="name", type=FieldType.TEXT, required=True))
    left = bench.left.insert(email="ada@example.com", name="")
    report = bench.sync()
    assert len(bench.right) == 0
    assert report.buckets["left"] == {"quarantined": 1}
    bench.assert_quiet()
    bench.left.edit(left, name="Ada")
    bench.sync()
    assert len(bench.right) == 1
    bench.assert_quiet()


# Noise

NOISY = {
    "a number as text": (value(), value(FieldType.DECIMAL, scale=2), {}, {}, "0.30", "1.0"),
    "two scales": (value(FieldType.DECIMAL), value(FieldType.DECIMAL, scale=2), {}, {"value": rounded(2)}, Decimal("0.305"), Decimal(7)),
    "floats": (value(FieldType.DECIMAL), value(FieldType.DECIMAL), {}, {}, 0.1 + 0.2, 1.0),
    "an integer and a decimal": (value(FieldType.INTEGER), value(FieldType.DECIMAL), {}, {}, 1, 10**18),
    "a decimal comma": (value(), value(FieldType.DECIMAL), {"decimal": {Side.LEFT: ","}}, {}, "1,50", "1000,5"),
    "phone formats": (
        value(FieldType.PHONE), value(FieldType.PHONE), {}, {"value": without(" -()")}, "+1 (555) 010-0199", "+49 30 123456",
    ),
    "truncation": (value(FieldType.TEXT), value(FieldType.TEXT), {}, {"value": truncated(8)}, "a long sentence", "another long one"),
    "lower case": (value(FieldType.TEXT), value(FieldType.TEXT), {}, {"value": lower}, "MiXeD", "SHOUT"),
    "composed and decomposed": (value(FieldType.TEXT), value(FieldType.TEXT), {}, {}, "Zoe\u0308", "Caf\u00e9"),
    "line ends": (value(FieldType.TEXT), value(FieldType.TEXT), {}, {}, "a\r\nb", "a\nb\nc"),
    "members in any order": (
        value(FieldType.SET, many=True), value(FieldType.SET, many=True), {}, {"value": lambda members: sorted(members or [])},
        ["z", "a"], ["b", "a", "z"],
    ),
    "set as text": (value(), value(FieldType.SET, many=True), {}, {}, "b;a", "a;c"),
    "a date with its own format": (
        value(), value(FieldType.DATE), {"type": FieldType.DATE, "format": {Side.LEFT: "%d.%m.%Y"}}, {}, "24.12.1815", "1.2.2003",
    ),
    "instants in other offsets": (
        value(FieldType.DATETIME), value(FieldType.DATETIME), {}, {"value": lambda at: at and at.astimezone(UTC)},
        datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 10, 25, 2, 30, tzinfo=timezone(timedelta(hours=1))),
    ),
    "local times without offset": (
        value(FieldType.DATETIME), value(FieldType.DATETIME, naive=True), {"timezone": {Side.RIGHT: "Europe/Berlin"}}, {},
        datetime(2026, 10, 25, 1, 30, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    ),
    "milliseconds": (
        value(FieldType.DATETIME), value(FieldType.DATETIME), {}, {"value": lambda at: at and at.replace(microsecond=0)},
        datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC), datetime(2026, 1, 1, 12, 0, 1, 999999, tzinfo=UTC),
    ),
    "a date on an instant": (
        value(FieldType.DATE), value(FieldType.DATETIME), {"type": FieldType.DATE, "timezone": {Side.RIGHT: "Europe/Berlin"}}, {},
        date(2026, 3, 29), date(2026, 10, 25),
    ),
    "choices by label": (
        value(FieldType.CHOICE, choices=(Choice(value="1", label="Open"), Choice(value="2", label="Won"))),
        value(FieldType.TEXT), {}, {}, "1", "2",
    ),
    "booleans as words": (value(), value(FieldType.BOOLEAN), {}, {}, "yes", "false"),
}  # fmt: skip

LOSSY = {"truncation", "lower case", "two scales", "milliseconds", "local times without offset"}
"""Where the far side holds less than it was sent, so that typing the old value there may be no edit at all."""


@pytest.mark.parametrize("answers", [True, False], ids=["told", "not told"])
@pytest.mark.parametrize("noise", NOISY)
def test_what_a_system_writes_its_own_way_is_written_once_and_never_comes_back(noise: str, answers: bool) -> None:
    left, right, spec, normalise, first, second = NOISY[noise]
    bench, id_ = one_field(left, right, right_options=able(manners=Manners(normalise=normalise), returns_record=answers), **spec)
    bench.left.edit(id_, value=first)
    bench.sync()
    assert bench.creates(Side.RIGHT) == 1
    bench.assert_quiet()
    bench.left.edit(id_, value=second)
    assert bench.sync().written == {"right.update": 1}
    bench.assert_quiet()
    assert bench.left[id_]["value"] == second
    assert bench.writes() == {Side.LEFT: 0, Side.RIGHT: 2}


@pytest.mark.parametrize("noise", [noise for noise in NOISY if noise not in LOSSY])
def test_an_edit_on_the_far_side_of_such_a_field_travels_back_once(noise: str) -> None:
    left, right, spec, normalise, first, second = NOISY[noise]
    bench, id_ = one_field(left, right, right_options=able(manners=Manners(normalise=normalise)), **spec)
    bench.left.edit(id_, value=first)
    bench.sync()
    other = str(bench.other(Side.LEFT, id_))
    before = bench.right[other]["value"]
    bench.left.edit(id_, value=second)
    bench.sync()
    bench.right.edit(other, value=before)
    assert bench.sync().written == {"left.update": 1}
    bench.assert_quiet()


def test_a_value_that_the_target_cannot_hold_blocks_its_field_only() -> None:
    bench, id_ = one_field(value(), value(FieldType.INTEGER), type=FieldType.INTEGER)
    bench.sync()
    bench.left.edit(id_, value="no number", email="new@example.com")
    report = bench.sync()
    assert report.buckets["left"] == {"waiting": 1}
    assert bench.right[str(bench.other(Side.LEFT, id_))]["email"] == "new@example.com"
    bench.assert_quiet()
    bench.left.edit(id_, value="7")
    bench.sync()
    assert bench.right[str(bench.other(Side.LEFT, id_))]["value"] == 7
    bench.assert_quiet()


def test_a_create_goes_ahead_without_a_value_that_cannot_be_mapped_and_fills_it_in_later() -> None:
    bench, id_ = one_field(value(), value(FieldType.INTEGER), type=FieldType.INTEGER)
    bench.left.edit(id_, value="seven")
    report = bench.sync()
    assert report.written == {"right.create": 1}
    assert report.pending == {"blocked": 1}
    bench.assert_quiet()
    bench.left.edit(id_, value="7")
    bench.sync()
    assert bench.right[str(bench.other(Side.LEFT, id_))]["value"] == 7
    bench.assert_quiet()


def test_hostile_text_goes_there_and_back_unchanged() -> None:
    from tests.support.pairs import HOSTILE_TEXTS

    bench = Bench(people_spec(), fields=PEOPLE)
    made = {
        number: bench.left.insert(email=f"h{number}@example.com", name=text, phone=text)
        for number, text in enumerate(HOSTILE_TEXTS)
    }
    bench.sync()
    bench.assert_quiet()
    for number, id_ in made.items():
        text = HOSTILE_TEXTS[number]
        if text.strip(" \u00a0\u200b"):
            assert bench.right[str(bench.other(Side.LEFT, id_))]["name"] == text
