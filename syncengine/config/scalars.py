"""
The small languages inside config values: percentages, durations, types, zones, schedules, `system.resource`.

Each parser takes a value as TOML delivers it and returns the parsed one, or raises `PydanticCustomError` through `wrong`.
A message never holds the value itself: `{value}` stands for it (see `config.problems`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from ipaddress import ip_network
from typing import TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic_core import PydanticCustomError

from syncengine.config.model import Address
from syncengine.connector import FieldType
from syncengine.core.model import End
from syncengine.core.values.moment import lacks_year
from syncengine.wording import nearest

_PERCENT = re.compile(r"\s*(\d{1,3}(?:\.\d{1,6})?)\s*%\s*", re.ASCII)
_DURATION = re.compile(r"\s*(\d{1,9}(?:\.\d{1,6})?)\s*([a-z]*)\s*", re.ASCII | re.IGNORECASE)
_EVERY = re.compile(r"\s*every\s+(?:(\d{1,9}(?:\.\d{1,6})?)\s*)?([a-z]+)\s*", re.ASCII | re.IGNORECASE)
_TYPE = re.compile(r"([a-z]+)(?:\((\d{1,2})\))?", re.ASCII)
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_UNITS = (
    _SECONDS | {f"{unit}s": seconds for unit, seconds in _SECONDS.items()} | {"s": 1, "sec": 1, "min": 60, "h": 3600, "d": 86_400}
)
_LONGEST_FORMAT = 100
_ADDRESS = re.compile(
    r"(?:\[(?P<six>[0-9a-f:.]{2,45})\]|(?P<host>[a-z0-9](?:[a-z0-9.-]{0,252})?)):(?P<port>\d{1,5})", re.ASCII | re.IGNORECASE
)
_LARGEST_PORT = 65_535
_SCALED = frozenset({FieldType.DECIMAL, FieldType.MONEY})
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_CRON: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, start=1)}),
    ("day of the week", 0, 7, {name: number for number, name in enumerate(_WEEKDAYS)}),
)
_LAST_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_SCHEDULE_CURE = 'write "every 5 minutes", "at start" or a cron line of five fields such as "0 6 * * 1-5"'


def wrong(text: str, cure: str = "") -> PydanticCustomError:
    """The error by which a parser reports a wrong value."""
    return PydanticCustomError("wrong", "wrong value", {"wrong": text, "cure": cure})


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeWord:
    """What `as = "decimal(2)"` says."""

    type: FieldType
    scale: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """A schedule of equal steps."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """
    A cron line: the allowed numbers of each field, with Sunday as 0, and its time zone if it names one.

    As in cron, a line that restricts both days matches when either does: `any_day` tells so.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    timezone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AtStart:
    """Once, when the daemon starts."""


Schedule: TypeAlias = Every | Cron | AtStart


def parse_share(value: object) -> float:
    """`"5%"` as 0.05."""
    found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise wrong("{value} is not a percentage", 'write it like "5%"')
    share = float(found[1]) / 100
    if share > 1:
        raise wrong("{value} is more than 100%", 'write a percentage from "0%" to "100%"')
    return share


def parse_duration(value: object) -> float:
    """`"5 minutes"`, or a number of seconds, as seconds."""
    cure = 'write a number of seconds, or text like "90 seconds", "5 minutes", "1 day"'
    if isinstance(value, int | Decimal) and not isinstance(value, bool) and _is_reasonable(value):
        return float(value)
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise wrong("{value} is not a duration", cure)
    unit = found[2].lower() or "seconds"
    if unit not in _UNITS:
        raise wrong("{value} is not a duration", nearest(unit, [f"{name}s" for name in _SECONDS]))
    return float(found[1]) * _UNITS[unit]


def _is_reasonable(value: int | Decimal) -> bool:
    return (isinstance(value, int) or value.is_finite()) and 0 <= value < 10**10


def parse_type(value: object) -> TypeWord:
    """`"text"`, `"decimal(2)"`."""
    found = _TYPE.fullmatch(value) if isinstance(value, str) else None
    names = {kind.value: kind for kind in FieldType}
    if found is None or found[1] not in names:
        raise wrong("{value} is not a type", nearest(found[1] if found else value, tuple(names)))
    kind = names[found[1]]
    if found[2] is not None and kind not in _SCALED:
        raise wrong("{value}: only decimal and money take a number of places", f'write "{kind.value}"')
    return TypeWord(type=kind, scale=int(found[2]) if found[2] is not None else None)


def parse_zone(value: object) -> str:
    """The name of a time zone."""
    if not isinstance(value, str):
        raise wrong("{value} is not a time zone", 'write a name like "Europe/Berlin" or "UTC"')
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise wrong("{value} is not a time zone", _zone_cure(value)) from None
    return value


def _zone_cure(value: str) -> str:
    zones = available_timezones()
    cities = {zone.rpartition("/")[2]: zone for zone in sorted(zones, reverse=True)}
    near = nearest(value, tuple(zones)) if "/" in value else nearest(value.replace(" ", "_"), tuple(cities))
    city = near.partition('"')[2].partition('"')[0]
    return (
        near.replace(city, cities.get(city, city), 1) if near.startswith("did") else 'write a name like "Europe/Berlin" or "UTC"'
    )


def parse_region(value: object) -> str:
    """A country as two capital letters."""
    if not isinstance(value, str) or not re.fullmatch("[A-Z]{2}", value):
        raise wrong("{value} is not a country", 'write two capital letters such as "US" or "DE"')
    return value


def parse_end(value: object) -> End:
    """`"system.resource"`; the resource may hold further dots."""
    system, dot, resource = value.partition(".") if isinstance(value, str) else ("", "", "")
    if not (system and dot and resource):
        raise wrong("{value} does not name a resource", 'write "system.resource", such as "crm.contacts"')
    return End(system=system, resource=resource)


def is_date_format(text: str) -> bool:
    """Whether a format has a directive of `strftime`."""
    return re.search("%[a-zA-Z]", text) is not None


def parse_format(value: object) -> str:
    """
    How values of a field are written. With directives of `strftime`, such as `%d.%m.%Y`, it is a date and must read back what it
    writes; what else it may be depends on the field's type (`core.mapping` says).
    """
    cure = 'write it like "%d.%m.%Y"'
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_FORMAT:
        raise wrong("{value} is not a format", cure)
    if not is_date_format(value):
        return value
    partial = wrong("{value} does not hold a whole date", "it needs a day, a month and a year: " + cure)
    if lacks_year(value):
        raise partial
    sample = datetime(2001, 12, 31, 21, 43, 59)  # noqa: DTZ001 - a format is tried on a wall-clock time
    try:
        parsed = datetime.strptime(sample.strftime(value), value)  # noqa: DTZ007 - same
    except (ValueError, re.error, UnicodeError):
        raise wrong("{value} is not a date format that can be read back", cure) from None
    if parsed.date() != sample.date():
        raise partial
    return value


def parse_address(value: object) -> Address:
    """`"127.0.0.1:8080"`, `"[::1]:8080"`, `"localhost:8080"`."""
    cure = 'write HOST:PORT, such as "127.0.0.1:8080"; an IPv6 address stands in brackets: "[::1]:8080"'
    found = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise wrong("{value} is not an address to listen on", cure)
    if int(found["port"]) > _LARGEST_PORT:
        raise wrong(f"{{value}}: there is no port above {_LARGEST_PORT}", cure)
    return Address(host=found["six"] or found["host"], port=int(found["port"]))


def parse_network(value: object) -> str:
    """An IP address or a network in CIDR form."""
    try:
        return str(ip_network(value if isinstance(value, str) else "", strict=False))
    except ValueError:
        raise wrong("{value} is not an address or a network", 'write it like "10.0.0.7" or "10.0.0.0/8"') from None


def parse_schedule(value: object) -> Schedule:
    """`every 5 minutes`, `at start`, or a cron line: minute hour day month weekday, optionally a time zone."""
    if not isinstance(value, str):
        raise wrong("{value} is not a schedule", _SCHEDULE_CURE)
    if value.split() == ["at", "start"]:
        return AtStart()
    if found := _EVERY.fullmatch(value):
        unit = found[2].lower()
        if unit not in _UNITS:
            raise wrong("{value} is not a schedule", nearest(unit, [f"{name}s" for name in _SECONDS]))
        seconds = float(found[1] or 1) * _UNITS[unit]
        if seconds < 1:
            raise wrong("{value} is less than a second", _SCHEDULE_CURE)
        return Every(seconds=seconds)
    words = value.split()
    if len(words) not in (5, 6):
        raise wrong("{value} is not a schedule", _SCHEDULE_CURE)
    zone = parse_zone(words[5]) if len(words) == 6 else None
    minutes, hours, days, months, weekdays = (_cron_field(word, *rule) for word, rule in zip(words, _CRON, strict=False))
    any_day = not words[2].startswith("*") and not words[4].startswith("*")
    if not any_day and min(days) > max(_LAST_DAYS[month - 1] for month in months):
        raise wrong("{value}: there is no such day in these months", "it would never run")
    return Cron(
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=frozenset(day % 7 for day in weekdays),
        any_day=any_day,
        timezone=zone,
    )


def _cron_field(word: str, called: str, first: int, last: int, names: dict[str, int]) -> frozenset[int]:
    allowed: set[int] = set()
    for part in word.lower().split(","):
        span, slash, step_text = part.partition("/")
        low_text, dash, high_text = span.partition("-")
        step = _number(step_text, {}) if slash else 1
        low: int | None = first
        high: int | None = last
        if span != "*":
            low = _number(low_text, names)
            high = _number(high_text, names) if dash else (last if slash else low)
        if low is None or high is None or not step or not first <= low <= high <= last:
            raise wrong(
                f"{{value}}: the {called} of the cron line is wrong",
                f"it takes numbers from {first} to {last}, *, ranges and steps",
            )
        allowed.update(range(low, high + 1, step))
    return frozenset(allowed)


def _number(text: str, names: dict[str, int]) -> int | None:
    return names.get(text, int(text) if text.isascii() and text.isdigit() and len(text) < 4 else None)


def checked(parse: Callable[[object], object]) -> Callable[[object], object]:
    """A validator that keeps the text as written once `parse` accepts it."""

    def check(value: object) -> object:
        parse(value)
        return value

    return check
