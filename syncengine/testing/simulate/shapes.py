"""What the records of a simulated system are made of, and what a system makes of the values it is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from enum import Enum

from syncengine.connector import FieldType, Native
from syncengine.core.model import Side

PAIR = "people"
"""The name of the pair between the first two systems."""


class Normaliser(Enum):
    """What a system makes of a value before it stores it."""

    NONE = "none"
    TRIM = "trim"
    LOWER = "lower"
    ROUND = "round"
    TRUNCATE = "truncate"
    STRIP = "strip dashes"
    APPEND = "append"


_CENT = Decimal("0.01")
_NORMALISE: Mapping[Normaliser, Callable[[Native], Native]] = {
    Normaliser.TRIM: lambda value: value.strip() if isinstance(value, str) else value,
    Normaliser.LOWER: lambda value: value.lower() if isinstance(value, str) else value,
    Normaliser.ROUND: lambda value: value.quantize(_CENT, ROUND_HALF_EVEN) if isinstance(value, Decimal) else value,
    Normaliser.TRUNCATE: lambda value: value[:9] if isinstance(value, str) else value,
    Normaliser.STRIP: lambda value: value.replace("-", "") if isinstance(value, str) else value,
    Normaliser.APPEND: lambda value: value + "!" if isinstance(value, str) and value else value,
}


def normalised(how: Normaliser, value: Native) -> Native:
    """The value as a system with this manner stores it."""
    change = _NORMALISE.get(how)
    return value if change is None else change(value)


_TOKEN = re.compile(r"t(\d+)", re.IGNORECASE)


def is_disliked(value: Native) -> bool:
    """Whether a picky system refuses this text, now and for ever: one name in three."""
    found = _TOKEN.search(value) if isinstance(value, str) else None
    return found is not None and int(found[1]) % 3 == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One mapped field: its shared name, its names on both sides, and what it holds."""

    name: str
    left: str
    right: str
    type: FieldType
    many: bool = False
    references: str | None = None

    def native(self, side: Side) -> str:
        return self.left if side is Side.LEFT else self.right


EMAIL = Shape(name="email", left="email", right="mail", type=FieldType.EMAIL)
NAME = Shape(name="name", left="name", right="title", type=FieldType.TEXT)
AMOUNT = Shape(name="amount", left="amount", right="total", type=FieldType.DECIMAL)
TAGS = Shape(name="tags", left="tags", right="labels", type=FieldType.SET, many=True)
BOSS = Shape(name="boss", left="boss", right="parent", type=FieldType.REFERENCE, references=PAIR)
SHAPES = (EMAIL, NAME, AMOUNT, TAGS, BOSS)
