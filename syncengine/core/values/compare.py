"""When two canonical values mean the same. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from unicodedata import normalize

from syncengine.connector import FieldType
from syncengine.core.keys import email_key
from syncengine.core.unmappable import Unmappable
from syncengine.core.values.base import Reference, Value
from syncengine.core.values.group import canonical_json
from syncengine.core.values.moment import truncate
from syncengine.core.values.number import plain_number, quantise

Comparer = Callable[[Value], Hashable]


def comparer(
    kind: FieldType,
    *,
    scale: int | None = None,
    region: str | None = None,
    step: timedelta = timedelta(0),
    blank_is_null: bool = False,
    null_is_false: bool = False,
) -> Comparer:
    """
    What makes the comparable of a value: equal comparables mean the same.

    `scale` is the coarser of both sides' and `step` the coarser resolution of their times; `region` is where phone
    numbers without a country code belong; `null_is_false` where a side knows no unset boolean.
    """
    compare: Comparer
    match kind:
        case FieldType.EMAIL:
            compare = _email
        case FieldType.PHONE:
            compare = _phone(region)
        case FieldType.INTEGER | FieldType.DECIMAL | FieldType.MONEY:
            compare = _number(scale)
        case FieldType.BOOLEAN:
            compare = (lambda value: value or False) if null_is_false else _itself
        case FieldType.DATE:
            compare = _itself
        case FieldType.DATETIME:
            compare = _moment(step)
        case FieldType.SET:
            compare = _set
        case FieldType.LIST:
            compare = _list
        case FieldType.REFERENCE:
            compare = _reference
        case FieldType.JSON:
            compare = _json
        case FieldType.TEXT | FieldType.CHOICE:
            compare = _blank_text if blank_is_null else _text
    return compare


def _itself(value: Value) -> Hashable:
    return value


def _text(value: Value) -> Hashable:
    if type(value) is not str:
        return value
    if "\r" in value:
        value = value.replace("\r\n", "\n").replace("\r", "\n")
    return value if value.isascii() else normalize("NFC", value)


def _blank_text(value: Value) -> Hashable:
    return _text(value) or None


def _email(value: Value) -> Hashable:
    if type(value) is not str:
        return value
    try:
        return email_key(value)
    except Unmappable:
        return value


def _phone(region: str | None) -> Comparer:
    def compare(value: Value) -> Hashable:
        return phone_digits(value, region) if type(value) is str else value

    return compare


@lru_cache(maxsize=4096)
def phone_digits(text: str, region: str | None) -> str:
    """
    The digits of a phone number with its country code where it can be known (E.164), else those that were typed.

    An extension follows after "x". Text without a digit stands for itself.
    """
    import phonenumbers

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        digits = "".join(str(int(character)) for character in text if character.isdecimal())
        return digits or normalize("NFC", text).strip()
    digits = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:]
    return f"{digits}x{number.extension}" if number.extension else digits


def _number(scale: int | None) -> Comparer:
    def compare(value: Value) -> Hashable:
        if scale is None or not isinstance(value, Decimal):
            return value
        return quantise(value, scale)

    return compare


def _moment(step: timedelta) -> Comparer:
    def compare(value: Value) -> Hashable:
        return truncate(value, step) if isinstance(value, datetime) else value

    return compare


def _member(value: Value) -> Hashable:
    if isinstance(value, str):
        return normalize("NFC", value).strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return plain_number(Decimal(value))
    return value


def _set(value: Value) -> Hashable:
    return frozenset(map(_member, value)) if isinstance(value, tuple) else frozenset()


def _list(value: Value) -> Hashable:
    return tuple(map(_member, value)) if isinstance(value, tuple) else ()


def _reference(value: Value) -> Hashable:
    if isinstance(value, tuple):
        return frozenset(map(_reference, value))
    if isinstance(value, Reference):
        return value.link if value.link is not None else (value.side, value.id)
    return value


def _json(value: Value) -> Hashable:
    return canonical_json(value) if isinstance(value, str) else value
