"""What native values mean: every type, typed and as text, and what has no meaning."""

# ruff: noqa: DTZ001 - times without an offset are what is tested

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings

from syncengine.connector import ABSENT, Choice, FieldType
from syncengine.core.model import Side
from syncengine.core.values import Unmappable
from tests.support.pairs import HOSTILE_TEXTS, kind, natives, read, rule_of

T = FieldType
BERLIN = {Side.LEFT: "Europe/Berlin", Side.RIGHT: "Europe/Berlin"}
PLUS1, PLUS2 = timezone(timedelta(hours=1)), timezone(timedelta(hours=2))
CELL = kind()


def rule(type_: FieldType, *, left=CELL, right=CELL, **options):
    return rule_of(left, right, type=type_, **options)


MEANINGS = [
    # type, options, native, canonical
    (T.TEXT, {}, None, None),
    (T.TEXT, {}, "", ""),
    (T.TEXT, {}, "  two  spaces ", "  two  spaces "),
    (T.TEXT, {}, 5, "5"),
    (T.TEXT, {}, 5.0, "5"),
    (T.TEXT, {}, 0.1 + 0.2, "0.30000000000000004"),
    (T.TEXT, {}, 1e22, "10000000000000000000000"),
    (T.TEXT, {}, Decimal("1.50"), "1.50"),
    (T.TEXT, {}, True, "true"),
    (T.TEXT, {}, date(2026, 1, 31), "2026-01-31"),
    (T.TEXT, {}, time(9, 30), "09:30:00"),
    (T.EMAIL, {}, " Ann@X.org ", " Ann@X.org "),
    (T.EMAIL, {}, "  ", None),
    (T.PHONE, {}, "+1 (312) 555-0100", "+1 (312) 555-0100"),
    (T.PHONE, {}, 3125550100, "3125550100"),
    (T.PHONE, {}, "", None),
    (T.INTEGER, {}, "42", 42),
    (T.INTEGER, {}, " -7 ", -7),
    (T.INTEGER, {}, "+7", 7),
    (T.INTEGER, {}, "007", 7),
    (T.INTEGER, {}, "5.0", 5),
    (T.INTEGER, {}, 5.0, 5),
    (T.INTEGER, {}, Decimal("5.00"), 5),
    (T.INTEGER, {}, "1e3", 1000),
    (T.INTEGER, {}, "", None),
    (T.INTEGER, {}, True, 1),
    (T.INTEGER, {"format": {Side.LEFT: "1,234"}}, "1,234,567", 1234567),
    (T.DECIMAL, {}, 0.1, Decimal("0.1")),
    (T.DECIMAL, {}, "1.50", Decimal("1.50")),
    (T.DECIMAL, {}, ".5", Decimal("0.5")),
    (T.DECIMAL, {}, "5.", Decimal(5)),
    (T.DECIMAL, {}, "\u22121.5", Decimal("-1.5")),
    (T.DECIMAL, {}, "1e-7", Decimal("1E-7")),
    (T.DECIMAL, {}, 10**30, Decimal(10**30)),
    (T.DECIMAL, {"decimal": {Side.LEFT: ","}}, "1,5", Decimal("1.5")),
    (T.DECIMAL, {"format": {Side.LEFT: "1,234.50"}}, "1,234.50", Decimal("1234.50")),
    (T.DECIMAL, {"format": {Side.LEFT: "1.234,50"}}, "-1.234.567,8", Decimal("-1234567.8")),
    (T.DECIMAL, {"format": {Side.LEFT: "1\u202f234,50"}}, "1\u202f234,50", Decimal("1234.50")),
    (T.DECIMAL, {"format": {Side.LEFT: "1'234.50"}}, "1234.5", Decimal("1234.5")),
    (T.MONEY, {}, "12.30", Decimal("12.30")),
    (T.BOOLEAN, {}, "", None),
    (T.BOOLEAN, {}, None, None),
    (T.BOOLEAN, {}, 1, True),
    (T.BOOLEAN, {}, 0.0, False),
    (T.BOOLEAN, {}, Decimal(1), True),
    (T.BOOLEAN, {"format": {Side.LEFT: "ja/nein"}}, "Nein", False),
    (T.BOOLEAN, {"format": {Side.LEFT: "x/"}}, "X", True),
    (T.BOOLEAN, {"format": {Side.LEFT: "x/"}}, " ", False),
    *((T.BOOLEAN, {}, word, True) for word in ("true", "TRUE", "t", "Yes", "y", "1", "on", " On ")),
    *((T.BOOLEAN, {}, word, False) for word in ("false", "False", "f", "NO", "n", "0", "off")),
    (T.DATE, {}, "2026-01-31", date(2026, 1, 31)),
    (T.DATE, {}, "2026-01-31T00:00:00Z", date(2026, 1, 31)),
    (T.DATE, {}, "2026-01-31 00:00:00", date(2026, 1, 31)),
    (T.DATE, {}, date(2026, 1, 31), date(2026, 1, 31)),
    (T.DATE, {}, datetime(2026, 1, 31, 23, 59), date(2026, 1, 31)),
    (T.DATE, {"timezones": BERLIN}, datetime(2026, 1, 31, 23, 30, tzinfo=UTC), date(2026, 2, 1)),
    (T.DATE, {"format": {Side.LEFT: "%d.%m.%Y"}}, "31.01.2026", date(2026, 1, 31)),
    (T.DATE, {"format": {Side.LEFT: "%d.%m.%Y"}}, "1.2.0999", date(999, 2, 1)),
    (T.DATE, {}, "  ", None),
    (T.DATETIME, {}, "", None),
    (T.DATETIME, {}, None, None),
    (T.DATETIME, {}, "2026-01-31T12:30:00Z", datetime(2026, 1, 31, 12, 30, tzinfo=UTC)),
    (T.DATETIME, {}, "2026-01-31 12:30:00.123456789+01:00", datetime(2026, 1, 31, 12, 30, 0, 123456, tzinfo=PLUS1)),
    (T.DATETIME, {"timezones": BERLIN}, "2026-01-31", datetime(2026, 1, 31, tzinfo=PLUS1)),
    (T.DATETIME, {"timezones": BERLIN}, date(2026, 7, 31), datetime(2026, 7, 31, tzinfo=PLUS2)),
    (T.DATETIME, {"timezones": BERLIN}, datetime(2026, 7, 31, 12), datetime(2026, 7, 31, 12, tzinfo=PLUS2)),
    (
        T.DATETIME,
        {"format": {Side.LEFT: "%m/%d/%Y %I:%M %p"}, "timezones": BERLIN},
        "07/31/2026 01:05 PM",
        datetime(2026, 7, 31, 13, 5, tzinfo=PLUS2),
    ),
    (
        T.DATETIME,
        {"format": {Side.LEFT: "%Y-%m-%d %H:%M %z"}},
        "2026-07-31 13:05 +0200",
        datetime(2026, 7, 31, 13, 5, tzinfo=PLUS2),
    ),
    (T.CHOICE, {}, "Won", "Won"),
    (T.CHOICE, {}, "", None),
    (T.SET, {}, "a; b;;c ;a", ("a", "b", "c")),
    (T.SET, {}, "", ()),
    (T.SET, {}, None, ()),
    (T.SET, {}, ["a", "", None, " b "], ("a", "b")),
    (T.SET, {}, [1, 2.0, True], ("1", "2", "true")),
    (T.SET, {"format": {Side.LEFT: ", "}}, "a,b,  c", ("a", "b", "c")),
    (T.LIST, {}, "b;a;b", ("b", "a", "b")),
    (T.LIST, {}, [1, 2.5, "x", None], (1, Decimal("2.5"), "x")),
    (T.JSON, {}, '{"b": 1, "a": [1.0]}', '{"b":1,"a":[1.0]}'),
    (T.JSON, {}, {"b": Decimal("1.5"), "d": date(2026, 1, 1)}, '{"b":1.5,"d":"2026-01-01"}'),
    (T.JSON, {}, "null", None),
    (T.JSON, {}, " ", None),
]


@pytest.mark.parametrize(("type_", "options", "native", "meaning"), MEANINGS)
def test_a_native_value_means(type_, options, native, meaning):
    value = read(rule(type_, **options), Side.LEFT, native)
    assert (type(value), value) == (type(meaning), meaning)
    if isinstance(value, datetime):
        assert value.utcoffset() == meaning.utcoffset()


MEANINGLESS = [
    # type, options, native, a word of the reason or the cure
    (T.TEXT, {}, b"bytes", "bytes"),
    (T.TEXT, {}, ["a"], 'as = "set"'),
    (T.TEXT, {}, float("nan"), "not a number"),
    (T.TEXT, {}, Decimal("1E+2000"), "1000 digits"),
    (T.DATETIME, {}, "2026-13-01T00:00:00Z", "not a date and time"),
    (T.TEXT, {}, "\ud800", "surrogate"),
    (T.EMAIL, {}, "a\udfff@x.org", "surrogate"),
    (T.INTEGER, {}, "5.5", 'as = "decimal"'),
    (T.INTEGER, {}, "five", "not a number"),
    (T.INTEGER, {}, date(2026, 1, 1), "not a number"),
    (T.DECIMAL, {}, "1,5", "`decimal`"),
    (T.DECIMAL, {}, "1,234.50", "`format`"),
    (T.DECIMAL, {"decimal": {Side.LEFT: ","}}, "1.5", "1234,5"),
    (T.DECIMAL, {"format": {Side.LEFT: "1,234.50"}}, "12,34.50", "1,234.50"),
    (T.DECIMAL, {}, "$5", "not a number"),
    (T.DECIMAL, {}, "1_000", "not a number"),
    (T.DECIMAL, {}, "NaN", "not a number"),
    (T.DECIMAL, {}, "-", "not a number"),
    (T.DECIMAL, {}, "1e9999", "digits"),
    (T.DECIMAL, {}, "9" * 5000, "not a number"),
    (T.DECIMAL, {}, 10**5000, "digits"),
    (T.DECIMAL, {}, float("inf"), "not a number"),
    (T.DECIMAL, {}, Decimal("sNaN"), "not a number"),
    (T.BOOLEAN, {}, "maybe", "yes/no|true/false"),
    (T.BOOLEAN, {}, 2, "neither"),
    (T.BOOLEAN, {"format": {Side.LEFT: "ja/nein"}}, "yes", "ja/nein"),
    (T.DATE, {}, "31.01.2026", "`format`"),
    (T.DATE, {}, "2026-02-30", "not a date"),
    (T.DATE, {}, "2026-01-31T12:00:00", "not a date"),
    (T.DATE, {}, 20260131, "not a date"),
    (T.DATE, {"format": {Side.LEFT: "%d.%m.%Y"}}, "2026-01-31", "%d.%m.%Y"),
    (T.DATETIME, {}, "2026-01-31T12:30:00", "timezone"),
    (T.DATETIME, {}, datetime(2026, 1, 31, 12), "timezone"),
    (T.DATETIME, {}, 1769862600, "not guessed"),
    (T.DATETIME, {}, "yesterday", "strptime"),
    (T.DATETIME, {}, "0001-01-01T00:00:00+14:00", "years"),
    (T.SET, {}, {"a": 1}, 'as = "json"'),
    (T.SET, {}, [["a"]], 'as = "set"'),
    (T.JSON, {}, "{", "JSON"),
    (T.JSON, {}, "NaN", "JSON"),
    (T.JSON, {}, '"\\ud800"', "surrogate"),
    (T.JSON, {}, [float("nan")], "JSON"),
    (T.JSON, {}, b"{}", "bytes"),
    (T.JSON, {}, "[" * 100_000, "JSON"),
]


@pytest.mark.parametrize(("type_", "options", "native", "reason"), MEANINGLESS, ids=lambda value: type(value).__name__)
def test_what_has_no_meaning_is_unmappable_and_the_reason_names_the_field_and_never_the_value(type_, options, native, reason):
    with pytest.raises(Unmappable, match="left field 'l'") as caught:
        read(rule(type_, **options), Side.LEFT, native)
    assert any(word in str(caught.value) for word in reason.split("|"))
    if isinstance(native, str) and len(native) > 4:
        assert native not in str(caught.value)


@pytest.mark.parametrize("type_", [kind_ for kind_ in T if kind_ is not T.REFERENCE])
@settings(deadline=None)
@given(native=natives)
def test_any_native_value_has_a_meaning_or_a_reason_why_not(type_, native):
    try:
        value = read(rule(type_, timezones=BERLIN), Side.LEFT, native)
    except Unmappable:
        return
    assert not isinstance(value, float)
    assert not isinstance(value, datetime) or value.utcoffset() is not None
    hash(value)


@pytest.mark.parametrize("type_", [T.TEXT, T.EMAIL, T.PHONE, T.CHOICE])
@pytest.mark.parametrize("text", [text for text in HOSTILE_TEXTS if text.strip()], ids=ascii)
def test_text_is_kept_and_sent_as_typed(type_, text):
    kept = rule(type_)
    assert kept.to_native(Side.RIGHT, read(kept, Side.LEFT, text), lambda *_: None) == text


@pytest.mark.parametrize(
    ("wall", "fold", "instant"),
    [
        # clocks go back: 02:30 twice
        (datetime(2026, 10, 25, 2, 30), 0, datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        (datetime(2026, 10, 25, 2, 30), 1, datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
        # clocks go forward: there is no 02:30
        (datetime(2026, 3, 29, 2, 30), 0, datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        (datetime(2026, 3, 29, 3, 30), 0, datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
    ],
)
def test_local_times_that_exist_twice_or_not_at_all_mean_one_instant(wall, fold, instant):
    dated = rule_of(kind(T.DATETIME, naive=True), kind(T.DATETIME), timezones={Side.LEFT: "Europe/Berlin", Side.RIGHT: None})
    assert read(dated, Side.LEFT, wall.replace(fold=fold)) == instant


def test_blank_text_is_null_as_soon_as_one_side_cannot_tell_them_apart():
    assert read(rule_of(CELL, CELL, blank_is_null=True), Side.RIGHT, "") is None
    assert read(rule_of(CELL, CELL), Side.RIGHT, "") == ""


def test_a_closed_choice_is_read_as_its_label_from_its_value_or_its_label_whatever_the_case():
    stage = kind(T.CHOICE, choices=(Choice(value="u1", label="Won"), Choice(value="u2", label="Lost")))
    choice = rule_of(stage, CELL)
    assert [read(choice, Side.LEFT, "u1"), read(choice, Side.RIGHT, "u1"), read(choice, Side.RIGHT, " won ")] == ["Won"] * 3
    assert read(choice, Side.RIGHT, "Unheard of") == "Unheard of"


def test_a_json_value_of_a_typed_side_is_not_parsed_but_a_text_cell_is():
    document = rule_of(kind(T.JSON), CELL)
    assert read(document, Side.LEFT, '{"a":1}') == json.dumps('{"a":1}')
    assert read(document, Side.RIGHT, '{"a":1}') == '{"a":1}'


def test_absent_is_not_a_value():
    with pytest.raises(Unmappable):
        read(rule(T.TEXT), Side.LEFT, ABSENT)
