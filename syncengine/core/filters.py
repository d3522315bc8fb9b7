"""
Which records of a side belong to a pair: conditions on native values. Pure.

A missing field is blank. What a condition compares with decides how: a number numerically even if the cell is text, a
boolean by its meaning, a date by the calendar, text exactly after NFC and trimming (`contains` ignores case). A value
that cannot be compared that way does not hold the condition, and therefore holds its opposite (`is_not`, `none_of`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Final, TypeAlias
from unicodedata import normalize

from syncengine.connector import ABSENT, Fields, Native
from syncengine.core.model import AnyOf, Condition, Filter, Test
from syncengine.core.unmappable import Unmappable

Converters: TypeAlias = Mapping[str, Callable[[Native], Native]]
"""By native field: what the mapping reads its values as (a date in a format of its own, a choice's label)."""

_TRUE: Final = frozenset({"true", "t", "yes", "y", "1", "on"})
_FALSE: Final = frozenset({"false", "f", "no", "n", "0", "off"})
_NO_CONVERTERS: Final[Converters] = {}


def holds(filter: Filter, fields: Fields, converters: Converters = _NO_CONVERTERS) -> bool:
    """Whether a record with these native fields passes; a converter's reading counts beside the native value."""
    for clause in filter:
        if isinstance(clause, AnyOf):
            if not any(_holds(condition, fields, converters) for condition in clause.conditions):
                return False
        elif not _holds(clause, fields, converters):
            return False
    return True


def fields_of(filter: Filter) -> set[str]:
    """The native fields that a filter looks at."""
    return {condition.field for condition in conditions_of(filter)}


def conditions_of(filter: Filter) -> tuple[Condition, ...]:
    """Every condition of a filter, those of alternatives included."""
    return tuple(condition for clause in filter for condition in (clause.conditions if isinstance(clause, AnyOf) else (clause,)))


def _holds(condition: Condition, fields: Fields, converters: Converters) -> bool:
    native = fields.get(condition.field)
    if native is ABSENT:
        native = None
    readings = [native]
    convert = converters.get(condition.field)
    if convert is not None:
        with suppress(Unmappable):  # then the native value alone decides; mapping the field will report it
            readings.append(convert(native))
    wanted = condition.value
    match condition.test:
        case Test.IS:
            return _is_any(readings, wanted)
        case Test.IS_NOT:
            return not _is_any(readings, wanted)
        case Test.ONE_OF:
            return any(_is_any(readings, member) for member in _listed(wanted))
        case Test.NONE_OF:
            return not any(_is_any(readings, member) for member in _listed(wanted))
        case Test.ABOVE:
            return any(_order(reading, wanted) == 1 for reading in readings)
        case Test.BELOW:
            return any(_order(reading, wanted) == -1 for reading in readings)
        case Test.CONTAINS:
            return any(_contains(reading, wanted) for reading in readings)
        case Test.BLANK:
            return all(map(_is_blank, readings)) is bool(wanted)


def _listed(wanted: Native) -> Collection[Native]:
    return wanted if isinstance(wanted, list | tuple) else (wanted,)


def _is_blank(value: Native) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, list | tuple | dict) and not value)


def _is_any(readings: list[Native], wanted: Native) -> bool:
    return any(_is(reading, wanted) for reading in readings)


def _is(value: Native, wanted: Native) -> bool:
    if _is_blank(wanted) or _is_blank(value):
        return _is_blank(wanted) and _is_blank(value)
    if isinstance(value, list | tuple) or isinstance(wanted, list | tuple):
        members, others = _listed(value), _listed(wanted)
        return all(any(_is(member, other) for other in others) for member in members) and all(
            any(_is(member, other) for member in members) for other in others
        )
    if isinstance(wanted, bool) or isinstance(value, bool):
        meaning = _boolean(value)
        return meaning is not None and meaning is _boolean(wanted)
    if isinstance(value, str) and isinstance(wanted, str):
        return _text(value) == _text(wanted)
    return _order(value, wanted) == 0


def _contains(value: Native, wanted: Native) -> bool:
    if _is_blank(value) or _is_blank(wanted):
        return False
    if isinstance(value, list | tuple):
        return any(_is(member, wanted) for member in value)
    return _text(str(wanted)).casefold() in _text(str(value)).casefold()


def _order(value: Native, wanted: Native) -> int | None:
    """-1, 0 or 1; None if the two cannot be compared."""
    if isinstance(value, date) or isinstance(wanted, date):
        return _order_dates(_moment(value), _moment(wanted))
    left, right = _number(value), _number(wanted)
    if left is not None and right is not None:
        return (left > right) - (left < right)
    if isinstance(value, str) and isinstance(wanted, str) and value.strip():
        dates = _order_dates(_moment(value), _moment(wanted))
        if dates is not None:
            return dates
        first, second = _text(value).casefold(), _text(wanted).casefold()
        return (first > second) - (first < second)
    return None


def _order_dates(left: date | None, right: date | None) -> int | None:
    if left is None or right is None:
        return None
    if isinstance(left, datetime) and isinstance(right, datetime):
        if (left.utcoffset() is None) is not (right.utcoffset() is None):
            return None
    else:
        left, right = _day(left), _day(right)
    return (left > right) - (left < right)


def _day(value: date) -> date:
    return value.date() if isinstance(value, datetime) else value


def _moment(value: Native) -> date | None:
    if isinstance(value, date):
        return value
    if isinstance(value, str) and value.strip()[4:5] == "-":
        text = value.strip()
        try:
            return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
        except ValueError:
            return None
    return None


def _number(value: Native) -> Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return Decimal(repr(value)) if isfinite(value) else None
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, str):
        try:
            value = Decimal(value.strip())
        except InvalidOperation:
            return None
    return value if isinstance(value, Decimal) and value.is_finite() else None


def _boolean(value: Native) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.strip().casefold()
        return True if word in _TRUE else False if word in _FALSE else None
    number = _number(value)
    return bool(number) if number in (0, 1) else None


def _text(value: str) -> str:
    return normalize("NFC", value).strip()
