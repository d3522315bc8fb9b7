"""
Values of columns: how a declared type is described, what a driver's value is delivered as, and what is sent for a native.

Pure. A `Shape` belongs to one column. `load` makes the native of what the driver delivered and never fails: what does not
look like the declared type (possible in SQLite, and for "infinity" or zero dates elsewhere) is delivered as it is. `store`
makes what the driver takes of a native and raises ValueError, without the value in it, for what the column cannot hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeAlias
from uuid import UUID

from syncengine.connector import Choice, FieldType, Native

Load: TypeAlias = Callable[[Any], Native]
Store: TypeAlias = Callable[[Native], Any]
_Type: TypeAlias = type

_WHOLE: Final = re.compile(r"[+-]?[0-9]+")
_TRUTH: Final = {0: False, 1: True}
_TRUE_WORDS: Final = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE_WORDS: Final = frozenset({"false", "f", "no", "n", "off", "0"})
_DASHES_OF_A_DATE: Final = 2
_DATE_LENGTH: Final = len("2024-01-05")
_SHORTEST_DATETIME: Final = len("2024-01-05 10:00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """
    One column's type: as it is described (`type` to `unusable`), and how its values come and go.

    `as_text`: the column is selected as text, since its type has no plain Python value. `precision`: digits of a second
    that a date and time keeps. `smallest` and `largest` bound a number, to name the column at fault in an error.
    `comparable`: an equality test on it is meaningful to the database.
    """

    type: FieldType | None
    store: Store
    load: Load | None = None
    max_length: int | None = None
    scale: int | None = None
    naive: bool = False
    many: bool = False
    choices: tuple[Choice, ...] = ()
    unusable: str = ""
    as_text: bool = False
    precision: int = 6
    smallest: int | None = None
    largest: int | None = None
    comparable: bool = True

    passed: frozenset[_Type] = field(init=False)
    """The types whose values `store` gives back as they are: a short cut past it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "passed", _PASSED.get(self.store, frozenset()))


def unusable(why: str) -> Shape:
    """The shape of a column that can be neither read nor written."""
    return Shape(type=None, store=as_given, unusable=why, comparable=False)


def text(*, max_length: int | None = None, as_text: bool = False, load: Load | None = None) -> Shape:
    return Shape(type=FieldType.TEXT, store=store_text, load=load, max_length=max_length, as_text=as_text)


def integer(bits: int | None = None, *, unsigned: bool = False) -> Shape:
    """A whole number of so many bits; None where the database does not bound it."""
    shape = Shape(type=FieldType.INTEGER, store=store_integer)
    if bits is None:
        return shape
    if unsigned:
        return replace(shape, smallest=0, largest=2**bits - 1)
    return replace(shape, smallest=-(2 ** (bits - 1)), largest=2 ** (bits - 1) - 1)


def decimal(*, precision: int | None = None, scale: int | None = None) -> Shape:
    """An exact number; without a scale, any number of digits."""
    largest = None if precision is None else 10 ** max(precision - (scale or 0), 0) - 1
    return Shape(
        type=FieldType.DECIMAL,
        store=store_decimal,
        scale=scale,
        largest=largest,
        smallest=None if largest is None else -largest,
    )


def real() -> Shape:
    return Shape(type=FieldType.DECIMAL, store=store_real)


def boolean() -> Shape:
    return Shape(type=FieldType.BOOLEAN, store=store_boolean)


def choice(values: tuple[str, ...]) -> Shape:
    return Shape(type=FieldType.CHOICE, store=store_text, choices=tuple(Choice(value=value) for value in values))


def as_given(value: Native) -> Any:
    """For columns without a type: the driver decides."""
    return value


def load_truth(value: Any) -> Native:
    return _TRUTH.get(value, value)


def load_bit(value: Any) -> Native:
    """The one-bit column of MariaDB, which arrives as a byte."""
    return value != b"\x00" if isinstance(value, bytes) else value


def load_date(value: Any) -> Native:
    """A date kept as ISO text."""
    if type(value) is str and len(value) == _DATE_LENGTH:
        try:
            return date.fromisoformat(value)
        except ValueError:
            return value
    return value


def load_datetime(value: Any) -> Native:
    """A date and time kept as ISO text, with "T" or a space between them."""
    if type(value) is str and len(value) >= _SHORTEST_DATETIME:
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return value
    return value


def load_utc(value: Any) -> Native:
    """An instant that the driver delivers without its offset, in a session that runs in UTC."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def load_json(value: Any) -> Native:
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def load_text(value: Any) -> Native:
    """A value whose text is its native: a UUID."""
    return None if value is None else str(value)


def store_text(value: Native) -> Any:
    if value is None or type(value) is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (str, int, float, UUID)):
        return str(value)
    raise ValueError(f"a {type(value).__name__} is no text")


def store_integer(value: Native) -> Any:
    if value is None or type(value) is int:
        return value
    if isinstance(value, (int, float, Decimal)) and value == int(value):
        return int(value)
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value)
    raise ValueError(f"this {type(value).__name__} is no whole number")


def store_decimal(value: Native) -> Any:
    if value is None or type(value) is Decimal:
        return value
    number = _number(value)
    if number is None:
        raise ValueError(f"this {type(value).__name__} is no number")
    return number


def store_real(value: Native) -> Any:
    if value is None or type(value) is float:
        return value
    number = _number(value)
    if number is None:
        raise ValueError(f"this {type(value).__name__} is no number")
    return float(number)


def store_boolean(value: Native) -> Any:
    if value is None or type(value) is bool:
        return value
    if isinstance(value, (int, float, Decimal)) and value in (0, 1):
        return bool(value)
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _TRUE_WORDS:
            return True
        if word in _FALSE_WORDS:
            return False
    raise ValueError(f"this {type(value).__name__} is neither true nor false")


def store_date(value: Native) -> Any:
    """A date for a driver that takes dates; text is left to the database to judge."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime):
        if value.timetz().replace(tzinfo=None) != time():
            raise ValueError("this date has a time of day, which the column would drop")
        return value.date()
    if isinstance(value, date):
        return value
    raise ValueError(f"a {type(value).__name__} is no date")


def store_naive(value: Native) -> Any:
    """A date and time for a column without offsets: an aware one is stored in UTC."""
    moment = _datetime(value)
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return moment.astimezone(UTC).replace(tzinfo=None)
    return moment


def store_aware(value: Native) -> Any:
    """A date and time for a column of instants: a naive one is taken for UTC."""
    moment = _datetime(value)
    if isinstance(moment, datetime) and moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment


def store_json(value: Native) -> Any:
    if value is None:
        return None
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError("it holds something that JSON cannot say") from None


def store_list(value: Native) -> Any:
    if value is None or type(value) is list:
        return value
    if isinstance(value, (tuple, set, frozenset)):
        return list(value)
    raise ValueError(f"a {type(value).__name__} is no list")


def instant(value: Native, zone: tzinfo) -> datetime | None:
    """
    The aware instant (in UTC) of what a timestamp column delivered, None for anything that is no time.

    Naive values are local to `zone`; a bare date means its first moment.
    """
    moment: Native = value
    if type(value) is str:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    if not isinstance(moment, datetime):
        return None
    try:
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError:
        return None


def is_foreign(text: str, zone: tzinfo) -> bool:
    """Whether a time kept as text names an offset under which it reads otherwise than in `zone`."""
    if "+" not in text and "Z" not in text and text.count("-") == _DASHES_OF_A_DATE:
        return False
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return False
    return moment.tzinfo is not None and moment.replace(tzinfo=None) != moment.astimezone(zone).replace(tzinfo=None)


def stamp(moment: datetime, shape: Shape, zone: tzinfo) -> Native:
    """An aware instant as the native of a timestamp column, cut (never rounded up) to the digits the column keeps."""
    if shape.type is FieldType.DATE:
        return moment.astimezone(zone).date()
    step = 10 ** (6 - shape.precision)
    cut = moment - timedelta(microseconds=moment.microsecond % step)
    return cut.astimezone(zone).replace(tzinfo=None) if shape.naive else cut


def text_bound(moment: datetime, shape: Shape, zone: tzinfo) -> str:
    """
    The smallest text that a time of at least this instant has in a column that keeps times as text.

    Whole seconds without an offset: the beginning of every longer way to write the time; a space sorts before "T".
    """
    local = moment.astimezone(zone).replace(tzinfo=None)
    return local.date().isoformat() if shape.type is FieldType.DATE else local.isoformat(" ", "seconds")


def _number(value: Native) -> Decimal | None:
    if isinstance(value, (int, Decimal)):
        return Decimal(value)
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, str):
        try:
            return Decimal(value.strip())
        except InvalidOperation:
            return None
    return None


def _datetime(value: Native) -> Any:
    if value is None or isinstance(value, (str, datetime)):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    raise ValueError(f"a {type(value).__name__} is no date and time")


_NONE: Final = type(None)
_PASSED: Final[dict[Store, frozenset[_Type]]] = {
    as_given: frozenset({_NONE, bool, int, float, str}),
    store_text: frozenset({_NONE, str}),
    store_integer: frozenset({_NONE, int}),
    store_decimal: frozenset({_NONE, Decimal}),
    store_real: frozenset({_NONE, float}),
    store_boolean: frozenset({_NONE, bool}),
    store_date: frozenset({_NONE, str}),
    store_naive: frozenset({_NONE, str}),
    store_aware: frozenset({_NONE, str}),
    store_list: frozenset({_NONE, list}),
}
