"""
What a system failed to store of the value it was sent: the real loss, which people must hear of. Pure.

Trimmed blanks, letter case, a phone number written another way and dropped fractions of a second are no loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from syncengine.connector import FieldType
from syncengine.core.values.base import Value
from syncengine.core.values.image import Rule, digits, is_lossy_image, is_rounded, simple
from syncengine.core.values.text import is_blank


class Lack(Enum):
    """In which way a stored value falls short of the one that was sent."""

    CUT = "cut"
    """Its end is missing: `sent` and `kept` count characters."""
    ROUNDED = "rounded"
    """Digits are missing: `sent` and `kept` count decimal places."""
    MEMBERS = "members"
    """Some members are missing: `sent` and `kept` count members."""
    NOTHING = "nothing"
    """Nothing of it is there."""
    OTHER = "other"
    """Something else is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """What is lacking; it holds no part of either value."""

    lack: Lack
    sent: int = 0
    kept: int = 0


def shortfall(rule: Rule, sent: Value, now: Value) -> Shortfall | None:
    """What of `sent` is lacking in `now`, which its system stored for it; None where nothing is lost."""
    if is_blank(sent):
        return None if is_blank(now) else Shortfall(lack=Lack.OTHER)
    if is_blank(now):
        return Shortfall(lack=Lack.NOTHING)
    if rule.comparable(sent) == rule.comparable(now):
        return None
    match sent, now:
        case bool(), _:
            return Shortfall(lack=Lack.OTHER)
        case str(), str():
            return _of_text(rule, sent, now)
        case Decimal() | int(), Decimal() | int():
            places = (_places(sent), _places(now))
            if not is_rounded(Decimal(sent), Decimal(now)):
                return Shortfall(lack=Lack.OTHER)
            return Shortfall(lack=Lack.ROUNDED, sent=places[0], kept=places[1])
        case tuple(), tuple():
            return _of_group(rule, sent, now)
        case _:
            return None if is_lossy_image(rule, sent, now) else Shortfall(lack=Lack.OTHER)


def _of_text(rule: Rule, sent: str, now: str) -> Shortfall | None:
    if rule.type is FieldType.PHONE:
        if is_lossy_image(rule, sent, now):
            return None
        is_cut = digits(sent).startswith(digits(now) or now)
    elif rule.type is FieldType.JSON:
        is_cut = False
    elif simple(sent) == simple(now):
        return None
    else:
        is_cut = is_lossy_image(rule, sent, now)
    return Shortfall(lack=Lack.CUT, sent=len(sent), kept=len(now)) if is_cut else Shortfall(lack=Lack.OTHER)


def _of_group(rule: Rule, sent: tuple[Value, ...], now: tuple[Value, ...]) -> Shortfall | None:
    if is_lossy_image(rule, sent, now):
        return None
    held = {simple(str(member)) for member in now}
    kept = sum(simple(str(member)) in held for member in sent)
    if rule.type is FieldType.SET and kept == len(sent):
        return None  # it has added some of its own
    if rule.type is FieldType.SET and kept:
        return Shortfall(lack=Lack.MEMBERS, sent=len(sent), kept=kept)
    return Shortfall(lack=Lack.OTHER)


def _places(number: Decimal | int) -> int:
    exponent = Decimal(number).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
