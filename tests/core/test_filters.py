"""Which records a filter lets through."""

# ruff: noqa: DTZ001 - times without an offset are what is tested

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.connector import ABSENT, Choice, Field, FieldType
from syncengine.core.filters import fields_of, holds
from syncengine.core.model import AnyOf, Condition, Side, Test
from tests.support.pairs import compiled, kind, mapped, natives, pair, resource

IS, ONE_OF, ABOVE, BELOW, CONTAINS, BLANK = Test.IS, Test.ONE_OF, Test.ABOVE, Test.BELOW, Test.CONTAINS, Test.BLANK


def where(test, value, field="f"):
    return Condition(field=field, test=test, value=value)


def passes(test, value, native) -> bool:
    return holds((where(test, value),), {"f": native})


TABLE = [
    # test, config value, natives that hold it, natives that do not
    (IS, "DE", ["DE", " DE ", ["DE"]], ["de", "D", "", None, 5, ["DE", "AT"], ABSENT]),
    (IS, "Zo\u00eb", ["Zoe\u0308"], ["Zoe"]),
    (IS, "5", ["5", 5, 5.0, Decimal("5.0")], ["5.0", 6, None]),
    (IS, 5, [5, 5.0, "5", " 5.00 ", Decimal(5)], [True, "five", None, "", "6"]),
    (IS, 0.1, [0.1, "0.1", Decimal("0.1")], [0.1000001, None]),
    (IS, True, [True, 1, "true", "YES", "y", "on", "1", "t"], [False, 0, "no", "", None, "maybe", 2]),
    (IS, False, [False, 0, "false", "off", "N", Decimal(0)], [True, None, "", "maybe"]),
    (
        IS,
        date(2026, 1, 31),
        [date(2026, 1, 31), "2026-01-31", datetime(2026, 1, 31, 9), "2026-01-31T09:00"],
        ["x", None, "2026-99-99"],
    ),
    (
        IS,
        datetime(2026, 1, 31, 12, tzinfo=UTC),
        [datetime(2026, 1, 31, 12, tzinfo=UTC), "2026-01-31T13:00:00+01:00", "2026-01-31"],
        ["2026-01-31T13:00:00Z", datetime(2026, 1, 31, 12), None],
    ),
    (IS, "", ["", None, " ", [], ABSENT], ["x", 0, False]),
    (ONE_OF, ["DE", 5], ["DE", "5", 5], ["AT", None, ""]),
    (ONE_OF, ["DE", ""], ["DE", None, ""], ["AT"]),
    (ABOVE, 5, [6, "6", 5.1, Decimal("5.01"), "1e3"], [5, "5", 4, None, "", "many", True]),
    (BELOW, 5, [4, "-6", 4.9], [5, 6, None, "", "few"]),
    (ABOVE, date(2026, 1, 1), ["2026-01-02", date(2027, 1, 1), datetime(2026, 1, 2)], ["2026-01-01", "02.01.2026", None, 5]),
    (BELOW, "2026-01-01", ["2025-12-31", date(2025, 1, 1)], ["2026-01-01", None]),
    (ABOVE, "10", ["11", 11, "100"], ["9", "2", 10]),
    (ABOVE, "m", ["n", "Zebra"], ["a", "Ant", "", None]),
    (CONTAINS, "vip", ["a VIP guest", ["vip", "x"], "vip"], ["v i p", None, "", ["VIPs"], []]),
    (CONTAINS, 5, [[5, 6], ["5"], "15"], [[6], 6]),
    (BLANK, True, [None, "", "  ", [], {}, ABSENT], ["x", 0, False, [None]]),
    (BLANK, False, ["x", 0, False], [None, "", [], ABSENT]),
]


@pytest.mark.parametrize(("test", "value", "native"), [(test, value, native) for test, value, yes, _ in TABLE for native in yes])
def test_holds(test, value, native):
    assert passes(test, value, native)


@pytest.mark.parametrize(("test", "value", "native"), [(test, value, native) for test, value, _, no in TABLE for native in no])
def test_does_not_hold(test, value, native):
    assert not passes(test, value, native)


@settings(deadline=None)
@given(native=natives, wanted=st.sampled_from(["DE", 5, True, date(2026, 1, 1), 0.5, ""]))
def test_any_native_value_can_be_asked_and_opposites_are_opposite(native, wanted):
    assert passes(IS, wanted, native) is not passes(Test.IS_NOT, wanted, native)
    assert passes(ONE_OF, [wanted], native) is not passes(Test.NONE_OF, [wanted], native)
    assert passes(BLANK, True, native) is not passes(BLANK, False, native)
    assert not (passes(ABOVE, wanted, native) and passes(BELOW, wanted, native))


def test_a_missing_field_behaves_as_blank():
    assert holds((where(BLANK, True), where(Test.IS_NOT, "x")), {})


def test_all_conditions_must_hold_and_of_alternatives_one():
    filter = (where(IS, True, "active"), AnyOf(conditions=(where(IS, "DE", "country"), where(IS, "AT", "country"))))
    assert holds(filter, {"active": "yes", "country": "AT"})
    assert not holds(filter, {"active": "no", "country": "AT"})
    assert not holds(filter, {"active": "yes", "country": "FR"})
    assert holds((), {})
    assert fields_of(filter) == {"active", "country"}


STAGE = Field(name="stage", type=FieldType.CHOICE, choices=(Choice(value="u1", label="Won"), Choice(value="u2", label="Lost")))


@pytest.mark.parametrize(
    ("condition", "native", "expected"),
    [
        (where(ABOVE, date(2026, 1, 1), "born"), {"born": "31.01.2026"}, True),
        (where(ABOVE, date(2026, 2, 1), "born"), {"born": "31.01.2026"}, False),
        (where(ABOVE, 1000, "amount"), {"amount": "1.234,50"}, True),
        (where(IS, True, "active"), {"active": "x"}, True),
        (where(CONTAINS, "vip", "tags"), {"tags": "a; vip"}, True),
        (where(IS, "u1", "stage"), {"stage": "u1"}, True),
        (where(IS, "Won", "stage"), {"stage": "u1"}, True),
        (where(IS, "Lost", "stage"), {"stage": "u1"}, False),
        (where(ABOVE, date(2026, 1, 1), "born"), {"born": "soon"}, False),
    ],
)
def test_a_mapped_field_is_also_compared_as_the_mapping_reads_it(condition, native, expected):
    left = Side.LEFT
    spec = pair(
        mapped("born", type=FieldType.DATE, format={left: "%d.%m.%Y"}),
        mapped("amount", type=FieldType.DECIMAL, format={left: "1.234,50"}),
        mapped("active", type=FieldType.BOOLEAN, format={left: "x/"}),
        mapped("tags", type=FieldType.SET),
        mapped("stage"),
        filters={left: (condition,)},
    )
    names = ["id", "born", "amount", "active", "tags"]
    rule = compiled(spec, resource(*names, STAGE), resource(*names, "stage"))
    assert rule.in_scope(left, native) is expected


def test_an_unset_checkbox_is_false_where_the_side_knows_no_unset_one():
    spec = pair(mapped("ok"), filters={Side.LEFT: (where(IS, False, "ok"),)})
    checkbox = kind(FieldType.BOOLEAN, nullable=False)
    rule = compiled(spec, resource("id", Field(name="ok", type=checkbox.type, nullable=False)), resource("id", "ok"))
    assert rule.in_scope(Side.LEFT, {"ok": None})
    assert rule.in_scope(Side.RIGHT, {"ok": None})
