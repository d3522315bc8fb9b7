"""Ids made of key columns: unambiguous, and back to the very values."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sql.keys import Key, KeyKind, NoKey

VALUES = {
    KeyKind.INTEGER: st.integers(-(2**63), 2**64 - 1),
    KeyKind.TEXT: st.text(min_size=1),
    KeyKind.UUID: st.uuids(),
    KeyKind.DATE: st.dates(),
    KeyKind.DATETIME: st.datetimes(),
    KeyKind.DECIMAL: st.decimals(allow_nan=False, allow_infinity=False, places=3),
    KeyKind.LOOSE: st.integers(-(2**63), 2**63 - 1) | st.text(min_size=1).filter(lambda text: not text.strip("-").isdigit()),
    KeyKind.ANY: st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0),
}


@st.composite
def keys(draw):
    """A key of one to three columns, and the values of two rows."""
    kinds = tuple(draw(st.lists(st.sampled_from(list(KeyKind)), min_size=1, max_size=3)))
    key = Key(columns=tuple(f"c{number}" for number in range(len(kinds))), kinds=kinds)
    return key, *(tuple(draw(VALUES[kind]) for kind in kinds) for _ in range(2))


@given(keys())
def test_an_id_leads_back_to_its_values(case):
    """Decoding is the inverse of encoding, for every kind and number of key columns."""
    key, values, _ = case

    assert key.decode(key.encode(values)) == values


@given(keys())
def test_two_rows_never_share_an_id(case):
    """Different values have different ids, and ids are never empty."""
    key, one, other = case

    assert key.encode(one) != ""
    assert (key.encode(one) == key.encode(other)) == (one == other and list(map(type, one)) == list(map(type, other)))


@given(st.sampled_from(list(KeyKind)), st.text())
def test_text_that_is_no_id_is_told(kind, text):
    """Whatever text is handed in, it is decoded to values that encode to it again, or to None."""
    key = Key(columns=("c",), kinds=(kind,))
    values = key.decode(text)

    assert values is None or key.encode(values) == text


@pytest.mark.parametrize(
    ("kinds", "values", "id"),
    [
        ([KeyKind.INTEGER], (42,), "42"),
        ([KeyKind.TEXT], ("DE",), "DE"),
        ([KeyKind.TEXT], ('["x"]',), '["x"]'),
        ([KeyKind.UUID], (UUID(int=1),), "00000000-0000-0000-0000-000000000001"),
        ([KeyKind.DATE], (date(2024, 1, 5),), "2024-01-05"),
        ([KeyKind.DATETIME], (datetime(2024, 1, 5, 1, tzinfo=UTC),), "2024-01-05T01:00:00+00:00"),
        ([KeyKind.DECIMAL], (Decimal("1.50"),), "1.50"),
        ([KeyKind.ANY], ("1",), '["1"]'),
        ([KeyKind.ANY], (1,), "[1]"),
        ([KeyKind.INTEGER, KeyKind.TEXT], (12, 'a"b,é'), '[12,"a\\"b,é"]'),
        ([KeyKind.DATE, KeyKind.DECIMAL], (date(2024, 1, 5), Decimal("1.50")), '["2024-01-05","1.50"]'),
    ],
)
def test_the_form_of_ids_stays(kinds, values, id):
    """Ids are stored in the state: their form is fixed."""
    assert Key(columns=tuple("abc"[: len(kinds)]), kinds=tuple(kinds)).encode(values) == id


@pytest.mark.parametrize("value", [None, "", b"x"])
def test_what_cannot_be_an_id_is_refused(value):
    """NULL, empty text and bytes identify nothing."""
    with pytest.raises(NoKey):
        Key(columns=("c",), kinds=(KeyKind.TEXT,)).encode((value,))
