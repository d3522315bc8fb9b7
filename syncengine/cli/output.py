"""
Printing: styled text and tables on a terminal, plain lines into a pipe, stable documents with `--json`.

A reader that goes away (`| head`) ends the printing, not the run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING

from syncengine.cli.text import Line, Style, Table, written
from syncengine.connector import ABSENT

if TYPE_CHECKING:  # dear to import, and a pipe needs none of it
    from rich.console import Console

_INDENT = "  "


class Output:
    """Standard output of one command; `before` is called ahead of everything that is printed."""

    def __init__(self, *, color: bool = True, before: Callable[[], None] = lambda: None) -> None:
        self._before = before
        self.is_terminal = sys.stdout.isatty()
        self.closed = False
        self._color = color
        self._made: Console | None = None

    def _console(self) -> Console:
        from rich.console import Console

        if self._made is None:
            colorless = None if self._color else True
            self._made = Console(highlight=False, markup=False, emoji=False, no_color=colorless, soft_wrap=True)
        return self._made

    def line(self, *line: str | tuple[str, Style]) -> None:
        """Print one line; nothing in it is read as markup."""
        if not self.is_terminal:
            self._write(written(line) + "\n")
            return
        from rich.text import Text

        self._before()
        styled = ((piece, "") if isinstance(piece, str) else (piece[0], piece[1].value) for piece in line)
        self._console().print(Text.assemble(*styled))

    def lines(self, lines: Iterable[Line]) -> None:
        """Print lines until there are no more, or nobody reads them."""
        for line in lines:
            if self.closed:
                return
            self.line(*line)

    def text(self, text: str) -> None:
        """Print text of our own making as it is."""
        self._write(text)

    def table(self, table: Table) -> None:
        """Print a table; in a pipe its columns are padded with spaces and there is no frame."""
        if self.is_terminal:
            self._rich_table(table)
            return
        cells = [[written((piece,)) for piece in row] for row in (table.columns, *table.rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(table.columns))]
        for row in cells:
            padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            self._write(_INDENT.join(padded).rstrip() + "\n")

    def _rich_table(self, table: Table) -> None:
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        made = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in table.columns:
            made.add_column(Text(column), overflow="fold")
        for row in table.rows:
            made.add_row(*(Text(piece) if isinstance(piece, str) else Text(piece[0], style=piece[1].value) for piece in row))
        self._before()
        self._console().print(made)

    def json(self, document: Mapping[str, object]) -> None:
        """Print a document as JSON, one line; iterators in it are written as they come, so a large plan needs no memory."""
        for part in _chunks(document):
            if self.closed:
                return
            self._write(part)
        self._write("\n")

    def _write(self, text: str) -> None:
        if self.closed:
            return
        self._before()
        try:
            sys.stdout.write(text)
        except BrokenPipeError:
            self._close()
        except UnicodeEncodeError:
            encoding = sys.stdout.encoding or "ascii"
            sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))

    def flush(self) -> None:
        """Hand everything to whoever reads."""
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            self._close()

    def _close(self) -> None:
        """Nobody reads any more: later writes, the interpreter's last flush included, go nowhere."""
        self.closed = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _chunks(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield "{"
        for index, (key, child) in enumerate(value.items()):
            yield ("," if index else "") + _scalar(str(key)) + ":"
            yield from _chunks(child)
        yield "}"
    elif isinstance(value, Iterator | list | tuple | set | frozenset):
        yield "["
        members: Iterable[object] = value
        for index, child in enumerate(members):
            yield "," if index else ""
            yield from _chunks(child)
        yield "]"
    else:
        yield _scalar(value)


def _scalar(value: object) -> str:
    import orjson

    return orjson.dumps(jsonable(value)).decode()


def jsonable(value: object) -> object:
    """
    A single value as JSON has it: decimals and huge numbers as text, times in ISO 8601, bytes in hex, ABSENT and NaN as null.
    """
    match value:
        case None | bool():
            return value
        case str():
            return value.encode("utf-8", "replace").decode()
        case int():
            return value if abs(value) < 2**53 else str(value)
        case float():
            return value
        case Decimal():
            return str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case bytes():
            return value.hex()
        case Enum():
            return None if value is ABSENT else value.value
        case _:
            return str(value)
