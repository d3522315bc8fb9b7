"""When two values mean the same, and what a system may have made of the one it was sent."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.connector import FieldType
from syncengine.core.model import Side
from syncengine.core.values import Lack, Reference, Shortfall, is_lossy_image, shortfall
from tests.support.pairs import aware, kind, read, rule_of, texts

T = FieldType
LEFT, RIGHT = Side.LEFT, Side.RIGHT
CELL = kind()
EAST = timezone(timedelta(hours=5, minutes=30))


def rule(type_: FieldType, **options):
    return rule_of(CELL, CELL, type=type_, **options)


def ref(id_: str, link: int | None = None, side: Side = LEFT) -> Reference:
    return Reference(side=side, id=id_, link=link)


REFERENCES = rule_of(kind(T.REFERENCE), kind(T.REFERENCE), references="people")
SAME = [
    (rule(T.TEXT), "Zoe\u0308", "Zo\u00eb"),
    (rule(T.TEXT), "a\r\nb\rc", "a\nb\nc"),
    (rule(T.TEXT, blank_is_null=True), "", None),
    (rule(T.EMAIL), " Ann@X.org", "ann@x.org"),
    (rule(T.PHONE), "+1 (312) 555-0100", "+13125550100"),
    (rule(T.PHONE), "13125550100", "+1 312 555 0100"),
    (rule(T.PHONE, format={LEFT: "US", RIGHT: "US"}), "(312) 555-0100", "+1 312 555 0100"),
    (rule(T.PHONE, format={LEFT: "DE", RIGHT: "DE"}), "030 / 123 456", "+49 30 123456"),
    (rule(T.PHONE), "030 123-456", "030123456"),
    (rule(T.PHONE), "ask Ann", " ask Ann "),
    (rule(T.DECIMAL), Decimal(1), Decimal("1.00")),
    (rule(T.DECIMAL, scale=2), Decimal("0.1") + Decimal("0.2"), Decimal("0.30000000000000004")),
    (rule_of(kind(T.DECIMAL, scale=4), kind(T.DECIMAL, scale=2)), Decimal("1.2345"), Decimal("1.23")),
    (rule_of(kind(T.DECIMAL, scale=4), kind(T.INTEGER)), Decimal("1.5"), Decimal(2)),
    (rule_of(kind(T.BOOLEAN, nullable=False), CELL), None, False),
    (rule(T.DATETIME), datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, 17, 30, tzinfo=EAST)),
    (
        rule(T.DATETIME, format={RIGHT: "%Y-%m-%d %H:%M"}, timezones={LEFT: None, RIGHT: "UTC"}),
        datetime(2026, 1, 1, 12, 5, 59, tzinfo=UTC),
        datetime(2026, 1, 1, 12, 5, tzinfo=UTC),
    ),
    (rule(T.SET), ("a", "b"), ("b", "a")),
    (rule(T.SET), ("Zoe\u0308",), ("Zo\u00eb",)),
    (rule(T.SET), None, ()),
    (rule(T.LIST), (1, Decimal("2.50"), True), ("1", "2.5", "true")),
    (rule(T.JSON), '{"a":1,"b":[1.0]}', '{"b":[1],"a":1.0}'),
    (REFERENCES, ref("l1", 7), ref("r9", 7, RIGHT)),
    (REFERENCES, ref("l1"), ref("l1")),
    (REFERENCES, (ref("l1", 7), ref("l2", 8)), (ref("r8", 8, RIGHT), ref("r7", 7, RIGHT))),
]
DIFFERENT = [
    (rule(T.TEXT), "", None),
    (rule(T.TEXT), "Ann", "ann"),
    (rule(T.TEXT), "Ann", "Ann "),
    (rule(T.EMAIL), "a.nn@x.org", "ann@x.org"),
    (rule(T.PHONE), "+1 312 555 0100", "+1 312 555 0101"),
    (rule(T.PHONE), "+1 312 555 0100", "+1 312 555 0100 ext. 5"),
    (rule(T.DECIMAL), Decimal("1.005"), Decimal("1.01")),
    (rule(T.DECIMAL, scale=2), Decimal("1.01"), Decimal("1.02")),
    (rule(T.BOOLEAN), None, False),
    (rule(T.DATETIME), datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=EAST)),
    (rule(T.SET), ("a",), ("A",)),
    (rule(T.SET), ("a",), ("a", "b")),
    (rule(T.LIST), ("a", "b"), ("b", "a")),
    (rule(T.JSON), "[1,2]", "[2,1]"),
    (rule(T.JSON), "[1]", "[true]"),
    (rule(T.EMAIL), "\ud800", "\ud801"),
    (rule(T.LIST), (None,), ("",)),
    (REFERENCES, ref("x1"), ref("x1", side=RIGHT)),
    (REFERENCES, ref("x1", 7), ref("x1")),
]


@pytest.mark.parametrize(("field", "a", "b"), SAME)
def test_these_mean_the_same_both_ways(field, a, b):
    assert field.same(a, b)
    assert field.same(b, a)
    assert field.comparable(a) == field.comparable(b)


@pytest.mark.parametrize(("field", "a", "b"), DIFFERENT)
def test_these_do_not_mean_the_same(field, a, b):
    assert not field.same(a, b)
    assert not field.same(b, a)


def has_instant(moment):
    """Reading lets nothing else through: year 1 at +01:00 has no instant that a datetime could tell."""
    try:
        moment.astimezone(UTC)
    except OverflowError:
        return False
    return True


few_texts = st.sampled_from(["", "a", "A", " a", "Zoe\u0308", "Zo\u00eb", "x@Y.org", "X@y.org ", "+1 555", "1555"]) | texts
VALUES = {
    T.TEXT: few_texts,
    T.EMAIL: few_texts,
    T.PHONE: few_texts,
    T.CHOICE: few_texts,
    T.INTEGER: st.integers(-3, 3),
    T.DECIMAL: st.decimals(-3, 3, places=3),
    T.MONEY: st.decimals(-3, 3, places=3),
    T.BOOLEAN: st.booleans(),
    T.DATE: st.dates(date(2026, 1, 1), date(2026, 1, 3)),
    T.DATETIME: aware.filter(has_instant),
    T.SET: st.lists(st.sampled_from("abAB"), max_size=3).map(tuple),
    T.LIST: st.lists(st.sampled_from(["1", 1, Decimal("1.0"), True]), max_size=3).map(tuple),
    T.JSON: st.sampled_from(["1", "1.0", "true", "[1]", "[1.0]", '{"a":1,"b":2}', '{"b":2,"a":1}']),
    T.REFERENCE: st.builds(ref, st.sampled_from("xy"), st.none() | st.integers(1, 2), st.sampled_from(Side)),
}


@pytest.mark.parametrize("type_", T)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_sameness_is_an_equivalence_and_comparables_can_be_hashed(type_, data):
    field = REFERENCES if type_ is T.REFERENCE else rule(type_)
    values = st.none() | VALUES[type_]
    a, b, c = (data.draw(values) for _ in range(3))
    assert field.same(a, a)
    assert field.same(a, b) == field.same(b, a)
    if field.same(a, b) and field.same(b, c):
        assert field.same(a, c)
    if field.same(a, b):
        assert hash(field.comparable(a)) == hash(field.comparable(b))


LONG = "x" * 300
IMAGES = [
    # rule, sent, now, whether something was lost
    (rule(T.TEXT), "Ann", "Ann", False),
    (rule(T.TEXT), "  Ann ", "Ann", False),
    (rule(T.TEXT), "Ann  Lee", "Ann Lee", False),
    (rule(T.TEXT), "Ann\r\nLee", "Ann\nLee", False),
    (rule(T.TEXT), "ANN", "ann", False),
    (rule(T.TEXT), "ann", "Ann", False),
    (rule(T.TEXT), LONG, LONG[:255], True),
    (rule(T.TEXT), "  " + LONG.upper(), LONG[:255], True),
    (rule(T.TEXT), "Zo\u00eb" * 100, "Zoe\u0308" * 50, True),
    (rule(T.TEXT), "a\u200bb", "ab", False),
    (rule(T.EMAIL), "Ann@X.org", "ann@x.org", False),
    (rule(T.PHONE), "+1 (312) 555-0100", "312-555-0100", False),
    (rule(T.PHONE), "+49 30 123456", "030123456", False),
    (rule(T.CHOICE), "Won", "won", False),
    (rule(T.DECIMAL), Decimal("1.005"), Decimal("1.01"), True),
    (rule(T.DECIMAL), Decimal("1.005"), Decimal("1.00"), True),
    (rule(T.DECIMAL), Decimal("1.2345"), Decimal(1), True),
    (rule(T.DECIMAL), Decimal("0.1000000000000000055"), Decimal("0.1"), True),
    (rule(T.DECIMAL), Decimal(12345678901234567890), Decimal(12345678901234567000), True),
    (rule(T.DECIMAL), Decimal("1.50"), Decimal("1.5"), False),
    (rule(T.DATETIME), datetime(2026, 1, 1, 1, 2, 3, 456789, UTC), datetime(2026, 1, 1, 1, 2, 3, tzinfo=UTC), False),
    (rule(T.DATETIME), datetime(2026, 1, 1, 1, 2, 3, 987654, UTC), datetime(2026, 1, 1, 1, 2, 4, tzinfo=UTC), False),
    (rule(T.DATETIME), datetime(2026, 1, 1, 1, 2, 3, 456789, UTC), datetime(2026, 1, 1, 1, 2, 3, 456000, UTC), False),
    (
        rule(T.DATETIME, timezones={LEFT: "Europe/Berlin", RIGHT: None}),
        datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        False,
    ),
    (rule(T.SET), ("b", "A"), ("a", "b"), False),
    (rule(T.LIST), ("b ", "A"), ("b", "a"), False),
    (rule(T.JSON), '{"b":1,"a":2}', '{"a":2,"b":1}', False),
    (REFERENCES, ref("l1", 7), ref("r1", 7, RIGHT), False),
    (rule(T.TEXT), None, None, False),
    (rule(T.TEXT), " ", "", False),
    (rule(T.SET), (), None, False),
]
EDITS = [
    (rule(T.TEXT), "Ann", ""),
    (rule(T.TEXT), "Ann", None),
    (rule(T.TEXT), "Ann", " \u200b"),
    (rule(T.TEXT), None, "Ann"),
    (rule(T.TEXT), "Ann", "Anna"),
    (rule(T.TEXT), "\ud800", "a"),
    (rule(T.TEXT), "Ann", "Lee"),
    (rule(T.TEXT), "Ann Lee", "Lee"),
    (rule(T.EMAIL), "ann@x.org", "ann@y.org"),
    (rule(T.PHONE), "+1 312 555 0100", "+1 312 555 0199"),
    (rule(T.PHONE), "+1 312 555 0100", "100"),
    (rule(T.PHONE), "+1 312 555 0100", "+1 312 555"),
    (rule(T.INTEGER), 126, 130),
    (rule(T.INTEGER), 5, 6),
    (rule(T.DECIMAL), Decimal("1.5"), Decimal("1.05")),
    (rule(T.DECIMAL), Decimal("1.2"), Decimal("1.25")),
    (rule(T.DECIMAL), Decimal("1.2"), None),
    (rule(T.BOOLEAN), True, False),
    (rule(T.BOOLEAN), False, None),
    (rule(T.DATE), date(2026, 1, 1), date(2026, 1, 2)),
    (rule(T.DATETIME), datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)),
    (rule(T.DATETIME), datetime(2026, 1, 1, 1, 2, 3, tzinfo=UTC), datetime(2026, 1, 1, 1, 2, 3, 500001, tzinfo=UTC)),
    (rule(T.DATETIME), datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, 11, tzinfo=UTC)),
    (rule(T.SET), ("a", "b"), ("a",)),
    (rule(T.SET), ("a",), ()),
    (rule(T.LIST), ("a", "b"), ("b", "a")),
    (rule(T.JSON), "[1,2]", "[1]"),
    (REFERENCES, ref("l1", 7), ref("l2", 8)),
    (REFERENCES, (ref("l1", 7),), (ref("l2", 8),)),
]


@pytest.mark.parametrize(("field", "sent", "now", "lost"), IMAGES)
def test_what_a_system_may_have_stored_is_an_image_and_real_loss_is_told_apart(field, sent, now, lost):
    assert is_lossy_image(field, sent, now)
    assert (shortfall(field, sent, now) is not None) is lost


@pytest.mark.parametrize(("field", "sent", "now"), EDITS)
def test_anything_else_is_an_edit(field, sent, now):
    assert not is_lossy_image(field, sent, now)
    assert shortfall(field, sent, now) is not None


SHORTFALLS = [
    (rule(T.TEXT), LONG, LONG[:255], Shortfall(lack=Lack.CUT, sent=300, kept=255)),
    (rule(T.TEXT), "  Ann Lee ", "ann", Shortfall(lack=Lack.CUT, sent=10, kept=3)),
    (rule(T.EMAIL), "ann@example.org", "ann@example", Shortfall(lack=Lack.CUT, sent=15, kept=11)),
    (rule(T.PHONE), "+1 312 555 0100", "+1 312 555", Shortfall(lack=Lack.CUT, sent=15, kept=10)),
    (rule(T.PHONE), "+1 312 555 0100", "ask Ann", Shortfall(lack=Lack.OTHER)),
    (rule(T.CHOICE), "Won", "Lost", Shortfall(lack=Lack.OTHER)),
    (rule(T.DECIMAL), Decimal("1.2345"), Decimal("1.23"), Shortfall(lack=Lack.ROUNDED, sent=4, kept=2)),
    (rule(T.DECIMAL), Decimal("1.2345"), 1, Shortfall(lack=Lack.ROUNDED, sent=4, kept=0)),
    (rule(T.INTEGER), 12345678901234567890, 12345678901234567000, Shortfall(lack=Lack.ROUNDED)),
    (rule(T.INTEGER), 5, 6, Shortfall(lack=Lack.OTHER)),
    (rule(T.BOOLEAN), True, False, Shortfall(lack=Lack.OTHER)),
    (rule(T.SET), ("a", "b", "C"), ("c", "x"), Shortfall(lack=Lack.MEMBERS, sent=3, kept=1)),
    (rule(T.SET), ("a",), ("b",), Shortfall(lack=Lack.OTHER)),
    (rule(T.SET), ("a",), ("a", "b"), None),
    (rule(T.SET), ("a",), (), Shortfall(lack=Lack.NOTHING)),
    (rule(T.LIST), ("a", "b"), ("a",), Shortfall(lack=Lack.OTHER)),
    (rule(T.JSON), "[1,2]", "[1]", Shortfall(lack=Lack.OTHER)),
    (rule(T.TEXT), "Ann", " ", Shortfall(lack=Lack.NOTHING)),
    (rule(T.TEXT), None, "Unknown", Shortfall(lack=Lack.OTHER)),
    (rule(T.DATE), date(2026, 1, 1), date(2026, 1, 2), Shortfall(lack=Lack.OTHER)),
]


@pytest.mark.parametrize(("field", "sent", "now", "lacking"), SHORTFALLS)
def test_a_shortfall_says_what_is_lacking_and_quotes_nothing(field, sent, now, lacking):
    assert shortfall(field, sent, now) == lacking


@pytest.mark.parametrize("type_", T)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_value_is_a_lossless_image_of_itself_and_nothing_is_never_an_image_of_something(type_, data):
    field = REFERENCES if type_ is T.REFERENCE else rule(type_)
    value = data.draw(VALUES[type_])
    assert is_lossy_image(field, value, value)
    assert shortfall(field, value, value) is None
    if not field.blank(value):
        assert not is_lossy_image(field, value, None)


@pytest.mark.parametrize("type_", T)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_whatever_was_sent_and_stored_what_is_lacking_can_be_told(type_, data):
    """Nothing is lacking in a value of the same meaning; where something is, more was sent than kept."""
    field = REFERENCES if type_ is T.REFERENCE else rule(type_)
    sent, now = (data.draw(st.none() | VALUES[type_]) for _ in range(2))
    lack = shortfall(field, sent, now)
    if field.same(sent, now):
        assert lack is None
    elif not is_lossy_image(field, sent, now) and type_ not in (T.SET, T.PHONE):
        assert lack is not None
    if lack is not None and lack.lack is Lack.MEMBERS:
        assert 0 < lack.kept < lack.sent


@settings(deadline=None)
@given(texts, st.integers(1, 300))
def test_text_cut_anywhere_is_an_image_unless_nothing_is_left(text, length):
    field = rule(T.TEXT)
    cut = text[:length]
    assert is_lossy_image(field, text, cut) or field.blank(cut)
    lack = shortfall(field, text, cut)
    assert lack is None or lack.lack in (Lack.CUT, Lack.NOTHING)


@pytest.mark.parametrize("blank", [None, "", " ", "\u200b", "\u00a0", ()])
def test_what_says_nothing_is_blank(blank):
    assert rule(T.TEXT).blank(blank)


@pytest.mark.parametrize("value", ["a", "\ud800", 0, False, Decimal(0), ("",), ref("x")])
def test_what_says_something_is_not_blank(value):
    assert not rule(T.TEXT).blank(value)


def test_members_are_keyed_by_what_they_mean_and_keep_the_first_spelling():
    field = rule(T.SET)
    assert list(field.members(read(field, LEFT, "Zoe\u0308;a;Zo\u00eb")).values()) == ["Zoe\u0308", "a"]
    assert field.members(None) == {}
    linked = rule_of(kind(T.REFERENCE, many=True), CELL, references="people")
    assert list(linked.members((ref("a", 1), ref("b", 2)))) == [1, 2]
