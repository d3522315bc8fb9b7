"""
Dates and instants. Pure.

Local times that a time zone has twice or not at all are settled the same way every time: a doubled one means the first
occurrence unless the value itself says otherwise (`fold`), a skipped one is read with the offset before the change, so
02:30 in a gap from 02:00 to 03:00 is the instant 03:30.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final

from syncengine.connector import FieldType, Native
from syncengine.core.values.base import Reader, Shape, Value, Writer

_ISO_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ISO_DATETIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.,]+ ?(?:[Zz]|[+-][0-9:]+)?)?")
_MIDNIGHT: Final = re.compile(r"[T ]00:00(?::00(?:\.0+)?)?(?:Z|[+-][0-9:]+)?")
_SAMPLE: Final = datetime(2001, 11, 23, 16, 54, 38, 123456, tzinfo=UTC)
_ZONED: Final = ("%z", "%s")
_CURE: Final = "set `format` for this side, in the words of Python's strptime"
_YEAR: Final = re.compile("%[EO]?[YyGcxDFs]")
_RESOLUTIONS: Final = (
    ("%f", timedelta(microseconds=1)),
    ("%S", timedelta(seconds=1)),
    ("%M", timedelta(minutes=1)),
    ("%H", timedelta(hours=1)),
)


def check_format(format_: str, kind: FieldType) -> None:
    """Raise ValueError unless the format writes a date (or a date and time) so that it can be read again."""
    if lacks_year(format_):
        raise ValueError("the format does not hold day, month and year")
    try:
        again = datetime.strptime(_show(_SAMPLE, format_), format_)  # noqa: DTZ007 - only the calendar parts are compared
    except ValueError:
        raise ValueError("the format cannot be read back; see strptime in Python's documentation") from None
    if again.date() != _SAMPLE.date():
        raise ValueError("the format does not hold day, month and year")
    if kind is FieldType.DATETIME and again.hour != _SAMPLE.hour:
        raise ValueError("the format does not hold the time of day")


def lacks_year(format_: str) -> bool:
    """Whether a date format has a day of the month and no year, which Python has warned of since 3.13 and is about to refuse."""
    return "%d" in format_ and _YEAR.search(format_) is None


def is_zoned(format_: str) -> bool:
    """Whether texts in this format tell their own offset."""
    return "%z" in format_


def resolution(format_: str) -> timedelta:
    """The shortest time that texts in this format can tell apart."""
    expanded = format_.replace("%T", "%H:%M:%S").replace("%c", "%S").replace("%X", "%S").replace("%R", "%H:%M")
    return next((step for directive, step in _RESOLUTIONS if directive in expanded), timedelta(days=1))


def truncate(moment: datetime, step: timedelta) -> datetime:
    """The instant in UTC, at the resolution `step`."""
    instant = moment.astimezone(UTC)
    if step <= timedelta(microseconds=1):
        return instant
    midnight = instant.replace(hour=0, minute=0, second=0, microsecond=0)
    return instant - (instant - midnight) % step


def read_date(shape: Shape) -> Reader:
    """Calendar dates; the time of day of a typed date and time is left out, in the side's time zone if it has one."""
    format_, zone = shape.format, shape.zone

    def read(native: Native) -> Value:
        if isinstance(native, datetime):
            if zone is not None and native.utcoffset() is not None:
                native = _shift(native, zone, shape)
            return native.date()
        if isinstance(native, date) or native is None:
            return native
        if not isinstance(native, str):
            raise shape.unmappable(f"a value of type {type(native).__name__} is not a date", "choose another type with `as`")
        text = native.strip()
        if not text:
            return None
        try:
            if format_ is not None:
                return datetime.strptime(text, format_).date()  # noqa: DTZ007 - a date has no zone
            if _ISO_DATE.match(text) and (len(text) == 10 or _MIDNIGHT.fullmatch(text, 10)):
                return date.fromisoformat(text[:10])
        except ValueError:
            pass
        raise shape.unmappable(f"the text is not a date {_wanted(format_, 'like 2026-01-31')}", _CURE)

    return read


def write_date(shape: Shape) -> Writer:
    """A date as this side's type wants it; midnight where the side holds date and time."""
    format_, nothing = shape.format, shape.nothing

    def write(value: Value) -> Native:
        if value is None:
            return nothing
        if not isinstance(value, date) or isinstance(value, datetime):
            raise shape.unmappable("the other side's value is not a date", "choose another type with `as`")
        if shape.field.type is FieldType.DATETIME:
            return datetime(value.year, value.month, value.day, tzinfo=None if shape.field.naive else shape.zone or UTC)
        if not shape.is_text:
            return value
        return value.isoformat() if format_ is None else _show(value, format_)

    return write


def read_datetime(shape: Shape) -> Reader:
    """Instants, with the offset they came with. A bare number is never taken for a time: its epoch would be a guess."""
    format_ = shape.format

    def read(native: Native) -> Value:
        if isinstance(native, str):
            text = native.strip()
            if not text:
                return None
            moment = _parse(text, format_)
            if moment is None:
                wanted = _wanted(format_, "like 2026-01-31T12:30:00+01:00")
                raise shape.unmappable(f"the text is not a date and time {wanted}", _CURE)
        elif native is None:
            return None
        elif isinstance(native, datetime):
            moment = native
        elif isinstance(native, date):
            moment = datetime(native.year, native.month, native.day)  # noqa: DTZ001 - its zone is the side's, below
        else:
            reason = f"a value of type {type(native).__name__} is not a date and time"
            raise shape.unmappable(reason, "choose another type with `as`; bare numbers are not guessed at")
        return _fixed(moment, shape)

    return read


def write_datetime(shape: Shape) -> Writer:
    """An instant as this side's type wants it: in the side's zone if it has one, without the offset if it keeps none."""
    format_, zone, naive, nothing = shape.format, shape.zone, shape.field.naive, shape.nothing

    def write(value: Value) -> Native:
        if value is None:
            return nothing
        if not isinstance(value, datetime):
            raise shape.unmappable("the other side's value is not a date and time", "choose another type with `as`")
        moment = value if zone is None else _shift(value, zone, shape)
        if naive:
            assert zone is not None, "compile_pair asks for the time zone of every side that keeps no offset"
            moment = moment.replace(tzinfo=None)
        else:
            moment = _fix_offset(moment)
        if not shape.is_text:
            return moment
        return moment.isoformat() if format_ is None else _show(moment, format_)

    return write


def _wanted(format_: str | None, otherwise: str) -> str:
    return otherwise if format_ is None else f'in the format "{format_}"'


def _parse(text: str, format_: str | None) -> datetime | None:
    try:
        if format_ is not None:
            return datetime.strptime(text, format_)  # noqa: DTZ007 - a naive result gets the side's zone
        return datetime.fromisoformat(text.replace(" +", "+").replace(" Z", "Z")) if _ISO_DATETIME.fullmatch(text) else None
    except ValueError:
        return None


def _fixed(moment: datetime, shape: Shape) -> datetime:
    """An aware datetime with a fixed offset, known to have an instant."""
    if moment.utcoffset() is None:
        if shape.zone is None:
            raise shape.unmappable("a time without an offset", 'set `timezone` for this side, like "Europe/Berlin"')
        moment = moment.replace(tzinfo=shape.zone)
    moment = _fix_offset(moment)
    _shift(moment, UTC, shape)
    return moment


def _fix_offset(moment: datetime) -> datetime:
    offset = moment.utcoffset()
    if offset is None or type(moment.tzinfo) is timezone:
        return moment
    return moment.replace(tzinfo=timezone(offset), fold=0)


def _shift(moment: datetime, zone: timezone | object, shape: Shape) -> datetime:
    try:
        return moment.astimezone(zone)  # type: ignore[arg-type]
    except OverflowError:
        raise shape.unmappable("the time lies outside the years 1 to 9999", "correct it there") from None


def _show(moment: date, format_: str) -> str:
    # strftime pads years below 1000 on some platforms only, and strptime wants four digits everywhere.
    return moment.strftime(re.sub(r"(?<!%)((?:%%)*)%Y", lambda match: f"{match[1]}{moment.year:04d}", format_))
