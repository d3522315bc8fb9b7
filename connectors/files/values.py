"""Native values as plain text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal

from syncengine.connector import Native


def plain_text(value: Native) -> str:
    """
    A value as a person would type it: "" for None, `true`, digits without exponent, ISO dates, JSON for lists and dicts.

    Raises ValueError, worded without the value, for what has no such text.
    """
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case Decimal() | float():
            return number_text(value)
        case datetime() | date() | time():
            return value.isoformat()
        case list() | tuple() | Mapping():
            return json_text(value)
        case _:
            raise ValueError(f"a value of type {type(value).__name__} cannot be written as text")


def number_text(value: Decimal | float) -> str:
    """Digits without an exponent; ValueError for what is not a finite number."""
    number = value if isinstance(value, Decimal) else Decimal(repr(value))
    if not number.is_finite():
        raise ValueError("a number that is not finite cannot be written")
    return format(number, "f")


def json_text(value: Native, *, ascii_only: bool = False, item: str = ", ", colon: str = ": ") -> str:
    """A value as JSON with exact numbers; dates as ISO text. Raises ValueError as `plain_text`."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case Decimal() | float():
            return number_text(value)
        case str():
            return json.dumps(value, ensure_ascii=ascii_only)
        case datetime() | date() | time():
            return f'"{value.isoformat()}"'
        case list() | tuple():
            members = (json_text(member, ascii_only=ascii_only, item=item, colon=colon) for member in value)
            return f"[{item.join(members)}]"
        case Mapping():
            if not all(isinstance(key, str) for key in value):
                raise ValueError("the keys of a JSON object have to be text")
            pairs = (
                json.dumps(key, ensure_ascii=ascii_only)
                + colon
                + json_text(member, ascii_only=ascii_only, item=item, colon=colon)
                for key, member in value.items()
            )
            return f"{{{item.join(pairs)}}}"
        case _:
            raise ValueError(f"a value of type {type(value).__name__} cannot be written as JSON")
