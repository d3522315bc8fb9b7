"""Documents give back exactly what they were given, and fingerprints tell rows apart."""

# ruff: noqa: DTZ001 - times without an offset are what is tested

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.connector import ABSENT
from syncengine.core.codec import SAME_VALUES, Fingerprinter, decode, decode_beside, encode, encode_beside, fingerprint
from tests.support.pairs import exact, natives, texts

SEED = bytes(range(16))

EXACT = [
    None,
    True,
    0,
    -0.0,
    1.0,
    0.1 + 0.2,
    float("inf"),
    float("-inf"),
    float("nan"),
    2**63 - 1,
    -(2**63),
    2**64,
    -(2**64),
    10**5000,
    Decimal("1.50"),
    Decimal("1E+400"),
    Decimal("-0"),
    Decimal("NaN"),
    Decimal("sNaN123"),
    "",
    "\ud800",
    "\ud800\udc00",
    "a\x00b",
    b"",
    b"\x00\xff",
    date(1, 1, 1),
    datetime(2026, 3, 29, 2, 30),
    datetime(2026, 10, 25, 2, 30, fold=1),
    datetime(2026, 10, 25, 2, 30, tzinfo=UTC),
    datetime(1890, 1, 1, tzinfo=timezone(timedelta(seconds=3208, microseconds=7))),
    datetime.max.replace(tzinfo=UTC),
    time(23, 59, 59, 999999),
    time(1, 2, tzinfo=timezone(timedelta(hours=-3))),
    [],
    {},
    ["a", None, 1.5, True],
    [["a"], []],
    [Decimal(1), float("nan"), "\udfff"],
    ["\udfff", 2**70],
    {"decimal": "1.50"},
    {"tree": [["list", 3]]},
    {"a": {"b": [date(2026, 1, 1), {"c": None}]}},
    {"\ud800": "\udc00"},
]


@pytest.mark.parametrize("value", EXACT, ids=lambda value: type(value).__name__)
def test_every_value_of_the_contract_comes_back_exactly(value):
    (back,) = decode(encode({"field": value})).values()
    assert exact(back) == exact(value)


@settings(deadline=None)
@given(st.dictionaries(texts | st.just("\ud800"), natives, max_size=6))
def test_any_fields_come_back_exactly_types_and_order_included(fields):
    assert exact(decode(encode(fields))) == exact(fields)


@given(st.lists(natives, max_size=4), st.lists(texts | st.just("\ud800"), min_size=8, max_size=8, unique=True), st.booleans())
def test_fields_beside_a_document_with_the_same_or_other_values_come_back_exactly(values, names, same):
    other = dict(zip(names[:4], values, strict=False))
    fields = dict(zip(names if same else names[4:], values if same else values[::-1], strict=False))
    assert exact(decode_beside(encode_beside(fields, other), other)) == exact(fields)


@pytest.mark.parametrize(("one", "two"), [(1, True), (0, False), ("1", 1), (Decimal("1.0"), Decimal("1.00")), (1, 1.0)])
def test_values_that_only_compare_equal_are_stored_apart(one, two):
    assert exact(decode_beside(encode_beside({"a": one}, {"a": two}), {"a": two})) == exact({"a": one})


def test_plain_values_that_are_the_same_are_stored_once():
    assert encode_beside({"a": "x", "b": 2}, {"a": "x", "b": 2}) == SAME_VALUES
    assert encode_beside({"c": "x", "d": 2}, {"a": "x", "b": 2}) == SAME_VALUES + b'["c","d"]'


def test_an_aware_time_keeps_instant_and_offset_but_not_the_name_of_its_zone():
    moment = datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))
    back = decode(encode({"at": moment}))["at"]
    assert (back.timestamp(), back.utcoffset()) == (moment.timestamp(), timedelta(hours=1))


def test_a_tuple_becomes_a_list_and_an_absent_field_is_left_out():
    assert decode(encode({"tags": ("a", ("b",)), "gone": ABSENT})) == {"tags": ["a", ["b"]]}


def test_values_nested_deeper_than_any_json_writer_goes_come_back():
    deep: object = "bottom"
    for level in range(5000):
        deep = [deep] if level % 2 else {"k": deep}
    back = decode(encode({"field": deep}))["field"]
    for level in reversed(range(5000)):
        back = back[0] if level % 2 else back["k"]
    assert back == "bottom"
    assert len(fingerprint((deep,), SEED)) == 16


def test_a_plain_document_reads_as_json_after_its_version():
    assert encode({"name": "Ada", "age": 36}) == b'1{"name":"Ada","age":36}'


@pytest.mark.parametrize("data", [b"", b"2{}", b'{"a":1}', b"1", b"1{", b"1null", b'1{"a":{"unheard of":1}}', b"\x00\xff"])
def test_an_unknown_version_or_damaged_bytes_are_a_value_error(data):
    with pytest.raises(ValueError):
        decode(data)


@pytest.mark.parametrize("value", [object(), {1, 2}, timedelta(1), {1: "a"}, [object()], bytearray(b"a")])
def test_what_the_contract_does_not_know_is_a_type_error_that_names_the_type_not_the_value(value):
    with pytest.raises(TypeError, match="cannot be stored"):
        encode({"field": value})


def _document(row):
    return encode(dict(zip("abcdef", row, strict=False)))


lookalike_free = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.binary() | texts
)


@settings(deadline=None, max_examples=300)
@given(st.lists(lookalike_free, max_size=4), st.lists(lookalike_free, max_size=4))
def test_fingerprints_are_equal_exactly_when_the_encoded_rows_are(one, two):
    same = len(one) == len(two) and _document(one) == _document(two)
    assert (fingerprint(tuple(one), SEED) == fingerprint(tuple(two), SEED)) is same


@settings(deadline=None)
@given(st.tuples(natives, natives))
def test_every_row_of_native_values_has_a_fingerprint_that_its_stored_form_shares(row):
    stored = decode(encode({"a": row[0], "b": row[1]}))
    once, again = Fingerprinter(SEED).rows([row, (stored["a"], stored["b"])])
    assert once == again
    assert len(once) == 16


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ((1,), (True,)),
        ((1,), (1.0,)),
        ((1,), ("1",)),
        ((0.0,), (-0.0,)),
        (("a", "b"), ("b", "a")),
        (("ab", ""), ("a", "b")),
        ((None,), ("",)),
        ((None,), (ABSENT,)),
        ((Decimal("1.0"),), (Decimal("1.00"),)),
        ((2**64,), (2**64 + 1,)),
        (("\ud800",), ("\udc00",)),
        ((b"a",), ("a",)),
        ((["a", "b"],), (["a", ["b"]],)),
        ((datetime(2026, 1, 1),), (datetime(2026, 1, 1, tzinfo=UTC),)),
    ],
    ids=repr,
)
def test_rows_that_differ_have_different_fingerprints(one, two):
    assert fingerprint(one, SEED) != fingerprint(two, SEED)


def test_another_seed_makes_every_fingerprint_another_one():
    rows = [("a", 1), ("\ud800", 2**70)]
    assert not set(Fingerprinter(SEED).rows(rows)) & set(Fingerprinter(bytes(16)).rows(rows))


def test_a_page_and_its_rows_one_by_one_have_the_same_fingerprints():
    rows = [("a", None), (Decimal("1.5"), b"x"), ("\ud800", 2**70)]
    assert Fingerprinter(SEED).rows(rows) == [fingerprint(row, SEED) for row in rows]
