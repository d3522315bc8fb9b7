"""Canonical values as each side wants them, and there and back again."""

# ruff: noqa: DTZ001 - times without an offset are what is tested

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.connector import Choice, FieldType
from syncengine.core.model import Side
from syncengine.core.values import Unmappable
from tests.support.pairs import aware, kind, naive, read, rule_of, texts, written

T = FieldType
LEFT, RIGHT = Side.LEFT, Side.RIGHT
CELL = kind()
BERLIN = {LEFT: "Europe/Berlin", RIGHT: "Europe/Berlin"}
NOON = datetime(2026, 7, 31, 10, 0, tzinfo=UTC)
SUMMER = timezone(timedelta(hours=2))
STAGE = kind(T.CHOICE, choices=(Choice(value="u1", label="Won"), Choice(value="u2", label="Lost")))
YES_NO = kind(T.CHOICE, choices=(Choice(value="id-1", label="Yes"), Choice(value="id-2", label="No")))

WRITINGS = [
    # right field, options, canonical, native
    (kind(T.INTEGER), {"type": T.DECIMAL}, Decimal("2.5"), 3),
    (kind(T.INTEGER), {"type": T.DECIMAL}, Decimal("-2.5"), -3),
    (kind(T.DECIMAL, scale=2), {}, Decimal("1.005"), Decimal("1.01")),
    (kind(T.DECIMAL), {}, Decimal("1.005"), Decimal("1.005")),
    (kind(T.DECIMAL, scale=2), {}, None, None),
    (CELL, {"type": T.DECIMAL, "scale": 2}, Decimal("1.5"), "1.50"),
    (CELL, {"type": T.DECIMAL}, Decimal("1E+3"), "1000"),
    (CELL, {"type": T.DECIMAL}, Decimal("-0.0"), "0.0"),
    (CELL, {"type": T.DECIMAL, "decimal": {RIGHT: ","}}, Decimal("1234.5"), "1234,5"),
    (CELL, {"type": T.DECIMAL, "format": {RIGHT: "1,234.50"}}, Decimal("1234567.5"), "1,234,567.50"),
    (CELL, {"type": T.DECIMAL, "format": {RIGHT: "1.234,50"}}, Decimal("-1234.567"), "-1.234,567"),
    (CELL, {"type": T.INTEGER, "format": {RIGHT: "1 234"}}, 1234567, "1 234 567"),
    (CELL, {"type": T.INTEGER}, -5, "-5"),
    (CELL, {"type": T.MONEY}, Decimal(5), "5"),
    (CELL, {"type": T.MONEY, "scale": 2}, Decimal(5), "5.00"),
    (kind(T.BOOLEAN), {}, True, True),
    (kind(T.BOOLEAN, nullable=False), {}, None, False),
    (kind(T.INTEGER), {"type": T.BOOLEAN}, True, 1),
    (CELL, {"type": T.BOOLEAN}, False, "false"),
    (CELL, {"type": T.BOOLEAN, "format": {RIGHT: "ja/nein"}}, True, "ja"),
    (CELL, {"type": T.BOOLEAN, "format": {RIGHT: "x/"}}, False, ""),
    (YES_NO, {"type": T.BOOLEAN}, True, "id-1"),
    (kind(T.DATE), {}, date(2026, 1, 31), date(2026, 1, 31)),
    (kind(T.DATETIME, naive=True), {"type": T.DATE}, date(2026, 1, 31), datetime(2026, 1, 31)),
    (CELL, {"type": T.DATE}, date(2026, 1, 31), "2026-01-31"),
    (CELL, {"type": T.DATE, "format": {RIGHT: "%d.%m.%Y"}}, date(999, 1, 31), "31.01.0999"),
    (kind(T.DATETIME), {}, NOON, NOON),
    (kind(T.DATETIME, naive=True), {"timezones": BERLIN}, NOON, datetime(2026, 7, 31, 12)),
    (CELL, {"type": T.DATETIME}, NOON, "2026-07-31T10:00:00+00:00"),
    (CELL, {"type": T.DATETIME, "timezones": BERLIN}, NOON, "2026-07-31T12:00:00+02:00"),
    (
        CELL,
        {"type": T.DATETIME, "timezones": BERLIN, "format": {RIGHT: "%d.%m.%Y %H:%M"}},
        NOON,
        "31.07.2026 12:00",
    ),
    (STAGE, {}, "Won", "u1"),
    (STAGE, {}, "u1", "u1"),
    (STAGE, {}, " won", "u1"),
    (STAGE, {}, None, None),
    (kind(T.SET), {}, ("b", "a"), ["b", "a"]),
    (kind(T.SET), {}, (), []),
    (kind(T.SET), {}, None, []),
    (kind(T.DATETIME), {}, None, None),
    (kind(T.CHOICE, many=True, choices=STAGE.choices), {}, ("Won", "u2"), ["u1", "u2"]),
    (kind(T.JSON), {"type": T.SET}, ("a",), ["a"]),
    (CELL, {"type": T.SET}, ("b", "a"), "b;a"),
    (CELL, {"type": T.SET, "format": {RIGHT: ", "}}, ("b", "a"), "b, a"),
    (CELL, {"type": T.SET}, (), None),
    (kind(T.LIST), {}, (1, Decimal("2.5"), Decimal("1E+2"), "x"), [1, 2.5, 100, "x"]),
    (kind(T.JSON), {}, '{"b":[1,2.5]}', {"b": [1, 2.5]}),
    (CELL, {"type": T.JSON}, '{"b":[1,2.5]}', '{"b":[1,2.5]}'),
    (kind(T.TEXT, nullable=False), {}, None, ""),
    (kind(T.TEXT), {}, None, None),
]


@pytest.mark.parametrize(("field", "options", "value", "native"), WRITINGS)
def test_a_value_is_written_as_the_side_wants_it(field, options, value, native):
    result = written(rule_of(CELL, field, **options), RIGHT, value)
    assert (type(result), result) == (type(native), native)


UNWRITABLE = [
    (STAGE, {}, "Perhaps", "'Won', 'Lost'"),
    (CELL, {"type": T.SET}, ("a;b",), "format"),
    (kind(T.INTEGER), {}, "five", "as"),
    (kind(T.DATE), {}, "2026", "as"),
    (kind(T.DATETIME), {}, date(2026, 1, 1), "as"),
    (kind(T.BOOLEAN), {}, "yes", "as"),
    (kind(T.SET), {}, "lonely", "as"),
    (kind(T.JSON), {}, 987, "as"),
    (kind(T.DECIMAL, scale=2), {}, Decimal("1E+4000"), "digits"),
]


@pytest.mark.parametrize(("field", "options", "value", "cure"), UNWRITABLE)
def test_what_a_side_cannot_say_is_unmappable_with_a_cure_and_without_the_value(field, options, value, cure):
    with pytest.raises(Unmappable, match="right field 'r'") as caught:
        written(rule_of(CELL, field, **options), RIGHT, value)
    assert cure in str(caught.value)
    assert str(value) not in str(caught.value)


members = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters=";"), min_size=1)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
numbers = st.decimals(allow_nan=False, allow_infinity=False, places=4) | st.floats(-1e15, 1e15) | st.integers()
recent = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))
recent_aware = recent.map(lambda moment: moment.replace(tzinfo=UTC))

SHAPES = [
    # type, left, right, options, natives of the left side
    *((type_, left, right, {}, texts) for type_ in (T.TEXT, T.EMAIL, T.PHONE, T.CHOICE) for left, right in (
        (CELL, CELL), (kind(type_), CELL), (kind(type_), kind(type_)), (kind(type_), kind(type_, nullable=False)))),
    *((T.INTEGER, left, right, {}, st.none() | st.integers()) for left, right in (
        (kind(T.INTEGER), CELL), (kind(T.INTEGER), kind(T.INTEGER)))),
    (T.INTEGER, CELL, kind(T.INTEGER), {}, st.integers().map(str)),
    (T.INTEGER, kind(T.INTEGER), CELL, {"format": {RIGHT: "1.234"}}, st.integers()),
    *((T.DECIMAL, left, right, options, numbers) for left, right, options in (
        (kind(T.DECIMAL), CELL, {}),
        (kind(T.DECIMAL), kind(T.INTEGER), {}),
        (kind(T.DECIMAL, scale=4), kind(T.DECIMAL, scale=2), {}),
        (kind(T.DECIMAL), CELL, {"scale": 3}),
        (kind(T.DECIMAL), CELL, {"decimal": {RIGHT: ","}}),
        (kind(T.DECIMAL), CELL, {"format": {RIGHT: "1 234,5"}}),
        (kind(T.DECIMAL), CELL, {"format": {RIGHT: "1'234"}}),
    )),
    (T.MONEY, kind(T.MONEY), CELL, {}, numbers),
    *((T.BOOLEAN, kind(T.BOOLEAN), right, options, st.none() | st.booleans()) for right, options in (
        (CELL, {}), (CELL, {"format": {RIGHT: "on duty/off duty"}}), (kind(T.INTEGER), {}), (YES_NO, {}))),
    (T.BOOLEAN, kind(T.BOOLEAN, nullable=False), CELL, {"format": {RIGHT: "x/"}}, st.booleans()),
    (T.BOOLEAN, CELL, kind(T.BOOLEAN, nullable=False), {}, st.sampled_from(["", "yes", "NO", "1", "off"])),
    *((T.DATE, kind(T.DATE), right, options, st.none() | st.dates()) for right, options in (
        (CELL, {}), (CELL, {"format": {RIGHT: "%d/%m/%Y"}}), (kind(T.DATETIME, naive=True), {}), (kind(T.DATE), {}))),
    *((T.DATETIME, kind(T.DATETIME), right, options, recent_aware) for right, options in (
        (CELL, {}),
        (CELL, {"timezones": BERLIN}),
        (kind(T.DATETIME), {"timezones": BERLIN}),
        (kind(T.DATETIME, naive=True), {"timezones": BERLIN}),
        (CELL, {"format": {RIGHT: "%d.%m.%Y %H:%M"}, "timezones": {LEFT: None, RIGHT: "UTC"}}),
        (CELL, {"format": {RIGHT: "%Y-%m-%d %H:%M:%S %z"}}),
    )),
    (T.DATETIME, kind(T.DATETIME, naive=True), CELL, {"timezones": BERLIN}, recent),
    *((T.SET, left, right, options, st.lists(members, max_size=4)) for left, right, options in (
        (kind(T.SET), CELL, {}),
        (kind(T.SET), kind(T.LIST), {}),
        (kind(T.TEXT, many=True), kind(T.JSON), {}),
        (kind(T.SET), kind(T.TEXT, nullable=False), {"format": {RIGHT: " ; "}, "type": T.SET}),
    )),
    *((T.LIST, kind(T.LIST), right, {}, st.lists(members | st.integers(), max_size=4)) for right in (CELL, kind(T.LIST))),
    *((T.JSON, kind(T.JSON), right, {}, json_values) for right in (CELL, kind(T.JSON))),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "left", "right", "options", "strategy"), SHAPES)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_value_carried_over_means_the_same_there_and_carried_again_is_the_same_native(
    type_, left, right, options, strategy, data
):
    rule = rule_of(left, right, **{"type": type_} | options)
    value = read(rule, LEFT, data.draw(strategy))
    native = written(rule, RIGHT, value)
    back = read(rule, RIGHT, native)
    if (
        type_ is not T.DATETIME or not right.naive or value.astimezone(rule.zones[1]).fold == 0
    ):  # a system without offsets cannot hold the second hour
        assert rule.same(value, back) or (type_ is T.TEXT and rule.blank(value) and rule.blank(back))
    assert written(rule, RIGHT, back) == native
    home = written(rule, LEFT, back)
    assert rule.same(read(rule, LEFT, home), back) or rule.blank(back)


@settings(deadline=None)
@given(aware)
def test_any_instant_is_written_or_refused_but_never_shifted(moment):
    rule = rule_of(kind(T.DATETIME), CELL, timezones=BERLIN)
    try:
        value = read(rule, LEFT, moment)
        native = written(rule, RIGHT, value)
    except Unmappable:
        return
    assert rule.same(read(rule, RIGHT, native), value)


@settings(deadline=None)
@given(naive)
def test_any_local_time_settles_after_one_round(wall):
    rule = rule_of(kind(T.DATETIME, naive=True), kind(T.DATETIME), timezones=BERLIN)
    try:
        value = read(rule, LEFT, wall)
        once = written(rule, LEFT, value)
        again = written(rule, LEFT, read(rule, LEFT, once))
    except Unmappable:
        return
    assert again == once
