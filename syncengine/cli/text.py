"""
Words and values as people read them: styled pieces of text, free of anything that a terminal would obey.

Pure. What is data goes through `shown` or `plain`; styles are applied where a terminal is (`cli.output`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TypeAlias

from syncengine.engine.text import counted, joined, lasted, plain, shown

__all__ = ["Line", "Piece", "Style", "Table", "counted", "joined", "lasted", "moment", "plain", "shown", "written"]


class Style(Enum):
    """What a piece of text is, in the words of `rich`."""

    PLAIN = ""
    STRONG = "bold"
    FAINT = "dim"
    NAME = "cyan"
    GOOD = "green"
    GONE = "red"
    CAUTION = "yellow"
    BAD = "bold red"


Piece: TypeAlias = str | tuple[str, Style]
Line: TypeAlias = Sequence[Piece]
"""Pieces of one line; a plain string is unstyled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under headings."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Piece]]


def written(line: Line) -> str:
    """The line without its styles."""
    return "".join(piece if isinstance(piece, str) else piece[0] for piece in line)


def moment(at: datetime) -> str:
    """A time in the local zone of who reads it, to the second."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
