"""
What a system made of the value it was sent. Pure.

Systems trim, fold case, round and cut. A value that is such an image of what was sent is noise, not an edit; what is lost
by it, `shortfall` tells.
"""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime, timedelta, tzinfo
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from typing import Final, Protocol
from unicodedata import normalize

from syncengine.connector import FieldType
from syncengine.core.keys import text_key
from syncengine.core.unmappable import Unmappable
from syncengine.core.values.base import Value
from syncengine.core.values.text import is_blank

_ROUNDINGS: Final = (ROUND_HALF_UP, ROUND_HALF_EVEN, ROUND_DOWN)
_PRECISION: Final = 3000
_SHORTEST_NATIONAL_NUMBER: Final = 6
_SECOND: Final = timedelta(seconds=1)
_MILLISECOND: Final = timedelta(milliseconds=1)


class Rule(Protocol):
    """What this module needs of a field rule."""

    @property
    def type(self) -> FieldType: ...
    @property
    def zones(self) -> tuple[tzinfo, ...]: ...
    def comparable(self, value: Value) -> Hashable: ...


def is_lossy_image(rule: Rule, sent: Value, now: Value) -> bool:
    """
    Whether `now` is what a system may plausibly have stored when it was sent `sent`.

    Equal in meaning, trimmed, white space or case changed, cut off, rounded, fractions of a second dropped, a phone
    number written another way, a local time without its offset. Nothing is never an image of something.
    """
    if is_blank(sent) or is_blank(now):
        return is_blank(sent) and is_blank(now)
    if rule.comparable(sent) == rule.comparable(now):
        return True
    match sent, now:
        case str(), str():
            return _is_text_image(rule, sent, now)
        case bool(), _:
            return False
        case Decimal() | int(), Decimal() | int():
            return is_rounded(Decimal(sent), Decimal(now))
        case datetime(), datetime():
            return _is_same_moment(rule, sent, now)
        case tuple(), tuple():
            return _is_group_image(rule, sent, now)
        case _:
            return False


def simple(text: str) -> str:
    """Text as systems tell it apart at the least: blanks, case and compatible characters folded."""
    try:
        return text_key(normalize("NFKC", text)) or ""
    except Unmappable:
        return text


def _is_text_image(rule: Rule, sent: str, now: str) -> bool:
    if rule.type is FieldType.JSON:
        return False
    if rule.type is FieldType.PHONE:
        before, after = digits(sent), digits(now)
        return before == after or (len(after) >= _SHORTEST_NATIONAL_NUMBER and before.endswith(after.lstrip("0")))
    return simple(sent).startswith(simple(now)) or sent.startswith(now)


def digits(text: str) -> str:
    """The digits of a phone number."""
    return "".join(character for character in text if character.isdecimal())


def is_rounded(sent: Decimal, now: Decimal) -> bool:
    """Whether a number is what another one becomes with fewer digits."""
    if Decimal(repr(float(sent))) == now:
        return True
    # The places that were stored count: 4.00 is what 3.996 becomes, and not what 3.5 does.
    exponent = now.as_tuple().exponent
    unit = Decimal((0, (1,), min(0, int(exponent))))
    return any(sent.quantize(unit, context=Context(prec=_PRECISION, rounding=rounding)) == now for rounding in _ROUNDINGS)


def _is_same_moment(rule: Rule, sent: datetime, now: datetime) -> bool:
    unit = _SECOND if not now.microsecond else _MILLISECOND if not now.microsecond % 1000 else timedelta(0)
    if abs(sent - now) < unit:
        return True
    # A system without offsets cannot say which of the two hours at the end of summer time it holds.
    return any(_wall(sent, zone) == _wall(now, zone) for zone in rule.zones)


def _wall(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _is_group_image(rule: Rule, sent: tuple[Value, ...], now: tuple[Value, ...]) -> bool:
    before = [simple(str(member)) for member in sent]
    after = [simple(str(member)) for member in now]
    if rule.type is FieldType.SET:
        return set(before) == set(after)
    return rule.type is FieldType.LIST and before == after
