"""
Cells as they are written: cut out of a line without being changed, and put into one in the file's habit.

The grammar is that of RFC 4180 and of `csv.reader(strict=True)`: a cell that begins with a double quote ends with one, and a
double quote inside is doubled; any other cell reaches up to the next delimiter or line end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from connectors.files.text import LINE_END


class CellCutter:
    """Cuts the text of one row into raw cells."""

    __slots__ = ("_cell", "_delimiter")

    def __init__(self, delimiter: str) -> None:
        self._delimiter = delimiter
        self._cell = re.compile(rf'"[^"]*(?:""[^"]*)*"|[^{re.escape(delimiter)}\r\n]*')

    def cut_bare(self, text: str) -> tuple[list[str], str]:
        """As `cut`, for the first line of a text without quotes."""
        end = LINE_END.search(text)
        if end is None:
            return text.split(self._delimiter), ""
        return text[: end.start()].split(self._delimiter), end.group()

    def cut(self, text: str) -> tuple[list[str], str]:
        """The raw cells of a row, and its line end ("" if it has none)."""
        if '"' not in text:
            return self.cut_bare(text)
        cells: list[str] = []
        position = 0
        while True:
            match = self._cell.match(text, position)
            assert match is not None  # the second alternative matches the empty text
            cells.append(match.group())
            position = match.end()
            if not text.startswith(self._delimiter, position):
                return cells, text[position:]
            position += len(self._delimiter)

    def join(self, cells: Iterable[str]) -> str:
        return self._delimiter.join(cells)


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What the cells of a column look like."""

    quoted: int = 0
    bare: int = 0
    needless: int = 0
    quoted_empty: int = 0
    bare_empty: int = 0

    def add(self, cell: str, *, needs: bool) -> None:
        if cell == '""':
            self.quoted_empty += 1
        elif not cell:
            self.bare_empty += 1
        elif cell[0] == '"':
            self.quoted += 1
            self.needless += not needs
        else:
            self.bare += 1

    def plus(self, other: _Seen) -> _Seen:
        return _Seen(
            quoted=self.quoted + other.quoted,
            bare=self.bare + other.bare,
            needless=self.needless + other.needless,
            quoted_empty=self.quoted_empty + other.quoted_empty,
            bare_empty=self.bare_empty + other.bare_empty,
        )

    @property
    def always(self) -> bool | None:
        """Whether cells are quoted even where nothing asks for it; None without evidence."""
        if self.bare:
            return False
        return True if self.needless else None

    @property
    def empties(self) -> bool | None:
        if self.bare_empty:
            return False
        return True if self.quoted_empty else None


class Habit:
    """How a file quotes, column by column, told from sample rows; the whole file's where a column gives no evidence."""

    __slots__ = ("_always", "_empties", "_special")

    def __init__(self, delimiter: str, rows: Iterable[Sequence[str]], width: int) -> None:
        self._special = re.compile(f'["\r\n{re.escape(delimiter)}]')
        columns = [_Seen() for _ in range(width)]
        for cells in rows:
            for seen, cell in zip(columns, cells, strict=True):
                seen.add(cell, needs=self._special.search(cell[1:-1] if cell[:1] == '"' else cell) is not None)
        total = _Seen()
        for seen in columns:
            total = total.plus(seen)
        # In a file that quotes everything, an empty cell is quoted as well until one is seen that is not.
        whole, empties = total.always or False, total.always or False if total.empties is None else total.empties
        self._always = [whole if seen.always is None else seen.always for seen in columns]
        self._empties = [empties if seen.empties is None else seen.empties for seen in columns]

    def written(self, value: str, column: int) -> str:
        """A value as a raw cell of a column."""
        if not value:
            return '""' if self._empties[column] else ""
        if self._special.search(value) is not None:
            return '"' + value.replace('"', '""') + '"'
        return f'"{value}"' if self._always[column] else value
