"""
Ids made of key columns, and back.

Pure. The id of a row with one key column of text, whole numbers, UUIDs, dates or decimals is just its text: `42`, `DE`,
`2024-01-05`. A key of several columns, or of one column without a type, is a JSON array in the order of the key, without
spaces: `[12,"DE"]`, numbers as numbers and everything else as text. Both forms are unambiguous and never change: ids are
stored in the state.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum, auto
from typing import Any, Final, TypeAlias
from uuid import UUID

KeyValues: TypeAlias = tuple[Any, ...]
"""The values of the key columns as the driver delivers and takes them."""

_WHOLE: Final = re.compile(r"0|-?[1-9][0-9]*")


class KeyKind(Enum):
    """What the driver delivers for a key column."""

    INTEGER = auto()
    TEXT = auto()
    UUID = auto()
    DATE = auto()
    DATETIME = auto()
    DECIMAL = auto()
    LOOSE = auto()
    """An integer column of SQLite, which may hold text as well."""
    ANY = auto()
    """A column of SQLite that keeps whatever type it is given."""


class NoKey(ValueError):
    """A row whose key holds NULL, empty text or bytes, so that it has no id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """The id columns of a table, in order."""

    columns: tuple[str, ...]
    kinds: tuple[KeyKind, ...]
    plain: bool = field(init=False)
    """An id is the bare text of one column."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "plain", len(self.kinds) == 1 and self.kinds[0] is not KeyKind.ANY)

    def encode(self, values: KeyValues) -> str:
        """The id of a row; raises `NoKey`."""
        if self.plain:
            value = values[0]
            if type(value) is int:
                return str(value)
            if type(value) is str and value:
                return value
            return _text(value)
        return json.dumps([_json(value) for value in values], ensure_ascii=False, separators=(",", ":"))

    def decode(self, id: str) -> KeyValues | None:
        """The values of the key columns for an id; None for text that no row of this table can have as its id."""
        if self.plain:
            if id and self.kinds[0] is KeyKind.TEXT:
                return (id,)
            parts: list[Any] = [id]
        else:
            try:
                parts = json.loads(id)
            except ValueError:
                return None
            if type(parts) is not list or len(parts) != len(self.kinds):
                return None
        values = tuple(_parse(part, kind) for part, kind in zip(parts, self.kinds, strict=True))
        try:
            return values if self.encode(values) == id else None
        except NoKey:
            return None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (int, float, UUID)) or (isinstance(value, str) and value):
        return str(value)
    raise NoKey


def _json(value: Any) -> Any:
    if type(value) is int or type(value) is float or type(value) is str:
        return value
    return _text(value)


def _parse(part: Any, kind: KeyKind) -> Any:
    """The value of one part; None (which has no id) for what a column of this kind cannot hold."""
    match kind:
        case KeyKind.ANY:
            return part if type(part) in (int, float, str) else None
        case KeyKind.INTEGER | KeyKind.LOOSE:
            if type(part) is str and _WHOLE.fullmatch(part):
                part = int(part)
            if type(part) is int:
                return part if -(2**63) <= part < (2**63 if kind is KeyKind.LOOSE else 2**64) else None
            return part if kind is KeyKind.LOOSE and type(part) in (str, float) else None
    if type(part) is not str:
        return None
    try:
        match kind:
            case KeyKind.TEXT:
                return part
            case KeyKind.UUID:
                return UUID(part)
            case KeyKind.DATE:
                return date.fromisoformat(part)
            case KeyKind.DATETIME:
                return datetime.fromisoformat(part)
            case KeyKind.DECIMAL:
                return Decimal(part)
    except (ValueError, InvalidOperation):
        return None
