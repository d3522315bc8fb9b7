"""The types of the value layer: canonical values, and the shape in which one side holds a field. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from syncengine.connector import Field, FieldType, Native
from syncengine.core.model import Side
from syncengine.core.unmappable import Unmappable


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A record's id on a side, and the number of the link it belongs to; None while it is not linked."""

    side: Side
    id: str
    link: int | None = None


Value: TypeAlias = "bool | int | Decimal | str | date | datetime | Reference | tuple[Value, ...] | None"
"""A canonical value; a datetime is always aware, its offset fixed."""

Reader: TypeAlias = Callable[[Native], Value]
Writer: TypeAlias = Callable[[Value], Native]

GROUPS: Final = frozenset({FieldType.SET, FieldType.LIST})
NUMBERS: Final = frozenset({FieldType.INTEGER, FieldType.DECIMAL, FieldType.MONEY})
WORDS: Final = frozenset({FieldType.TEXT, FieldType.EMAIL, FieldType.PHONE, FieldType.CHOICE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """
    How one side holds a field: its description and the config's options for that side.

    `format` means something else for every type: a strptime format, a sample number ("1,234.50"), a pair of words
    ("yes/no"), a separator, a phone region. `decimal` is the decimal mark of text cells. `zone` holds for naive times.
    """

    side: Side
    field: Field
    format: str | None = None
    decimal: str = "."
    zone: ZoneInfo | None = None
    blank_is_null: bool = False

    @property
    def is_text(self) -> bool:
        """Whether values are written as text whatever they mean."""
        return self.field.type is None or self.field.type in WORDS

    @property
    def is_group(self) -> bool:
        """Whether several values are written as a list."""
        return self.field.many or self.field.type in GROUPS or self.field.type is FieldType.JSON

    @property
    def nothing(self) -> Native:
        """What is written for null."""
        return "" if self.is_text and not self.field.nullable else None

    def unmappable(self, reason: str, cure: str = "") -> Unmappable:
        """The error for a value of this field."""
        return Unmappable(f"{self.side.value} field {self.field.name!r}: {reason}" + (f"; {cure}" if cure else ""))
