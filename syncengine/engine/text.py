"""
Values and counts as people read them, on one line and free of anything that a terminal would obey. Pure.

What is data goes through `shown` (values) or `plain` (names), which cut it short.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from syncengine.connector import ABSENT, Native
from syncengine.wording import harmless

_LONGEST = 160
_MEMBERS = 12


def plain(text: str) -> str:
    """Text from outside on one line, made harmless and cut to a readable length."""
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"
    return harmless(cut)


def shown(value: Native) -> str:
    """A native value: text in quotes, blanks in words, everything on one line."""
    match value:
        case None:
            return "(blank)"
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + plain(value).replace('"', '\\"') + '"'
        case bytes():
            return f"({len(value)} bytes)"
        case datetime():
            return value.isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case Decimal():
            return format(value, "f") if value.is_finite() and abs(value.adjusted()) < _LONGEST else str(value)
        case Mapping():
            return "{" + _members([f"{plain(str(key))}: {shown(child)}" for key, child in value.items()]) + "}"
        case list() | tuple():
            return "[" + _members([shown(child) for child in value]) + "]"
        case set() | frozenset():
            return "[" + _members(sorted(shown(child) for child in value)) + "]"
        case _:
            return "(none)" if value is ABSENT else plain(str(value))


def _members(texts: Sequence[str]) -> str:
    rest = len(texts) - _MEMBERS
    return ", ".join(texts[:_MEMBERS]) + (f", and {rest:,} more" if rest > 0 else "")


def counted(number: int, one: str, many: str = "") -> str:
    """`1 record`, `2,000 records`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def joined(parts: Iterable[str], otherwise: str = "nothing") -> str:
    """The parts with commas between, or a word for none."""
    return ", ".join(parts) or otherwise


def lasted(length: timedelta) -> str:
    """A length of time, to about two digits."""
    seconds = length.total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
