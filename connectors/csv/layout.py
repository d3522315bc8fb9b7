"""One CSV file: its dialect as told by its head, its rows, and how a row is changed without touching its neighbours."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, count, islice
from operator import itemgetter
from pathlib import Path
from typing import Final

from connectors.csv.cells import CellCutter, Habit
from connectors.csv.dialect import has_preamble, sample_rows
from connectors.files.ids import IdKind, IdRule, fold
from connectors.files.layout import Batch
from connectors.files.text import LINE_END, Encoding, Measured
from connectors.files.values import plain_text
from syncengine.connector import ABSENT, Field, Fields, Native
from syncengine.errors import Rejected, ResourceError

LONGEST_CELL: Final = 1 << 23

# The limit is the whole process's, and its default of 131,072 characters is less than CRMs allow in a note.
csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))

Cells = list[str]
"""The values of one row, in the order of the header."""


class CsvLayout:
    """See `connectors.files.layout.Layout`; a record is the list of a row's cells."""

    split = ""

    def __init__(
        self, *, path: Path, encoding: Encoding, head: str, delimiter: str, names: Sequence[str], ids: IdRule, newline: str
    ) -> None:
        self.encoding = encoding
        self.newline = newline
        self.ids = ids
        self._path = path
        self._head = head
        self._delimiter = delimiter
        self._names = tuple(names)
        self._columns = {name: column for column, name in enumerate(self._names) if name}
        self._id_column = self._columns[ids.column]
        self._cutter = CellCutter(delimiter)
        self._habit: Habit | None = None

    def describe(
        self,
        lines: Iterator[str],  # noqa: ARG002 # the header says it all
    ) -> tuple[Mapping[str, Field], tuple[str, ...]]:
        rule = self.ids
        fields = {
            name: Field(name=name, unique=name == rule.column, required=name == rule.column and rule.kind is not IdKind.MADE)
            for name in self._columns
        }
        unnamed = [str(column) for column, name in enumerate(self._names, 1) if not name]
        if not unnamed:
            return fields, ()
        return fields, (f"{self._path}: column {', '.join(unnamed)} has no name: it is kept as it is, and cannot be mapped",)

    def require(self, fields: Sequence[str]) -> None:
        if missing := [name for name in fields if name not in self._columns]:
            raise ResourceError(
                f"{self._path} has no column {', '.join(map(repr, missing))}; it has {', '.join(self._columns)}: correct the"
                " config or the header"
            )

    def batches(self, lines: io.TextIOWrapper | Measured, size: int) -> Iterator[Batch[Cells]]:
        measured = lines if isinstance(lines, Measured) else None
        source = iter(lines)
        preamble = used = len(list(islice(source, has_preamble(self._head))))
        reader = csv.reader(source, delimiter=self._delimiter, strict=True)
        rows: list[Cells] = []
        try:
            next(reader)  # the header
            used += reader.line_num
            if measured:
                measured.take(used)
            while True:
                rows = []
                rows.extend(islice(reader, size))
                if not rows:
                    return
                taken = preamble + reader.line_num - used
                starts = measured.take(taken) if measured else []
                if len(starts) > len(rows):
                    starts = [starts[line] for line in accumulate(map(_lines_in, rows[:-1]), initial=0)]
                yield self._checked(rows, starts, used + 1)
                used += taken
        except csv.Error as error:
            raise self._broken(error, used + 1 + sum(map(_lines_in, rows))) from error

    def _checked(self, rows: list[Cells], starts: list[int], line: int) -> Batch[Cells]:
        width = len(self._names)
        blank = [""] * width
        if set(map(len, rows)) == {width} and blank not in rows:
            return Batch(records=rows, starts=starts)
        kept: Batch[Cells] = Batch(records=[], starts=[])
        for offset, row in enumerate(rows):
            # An empty line, or the row of bare delimiters that spreadsheets leave behind, is nobody's record.
            if not any(row) or (len(row) == 1 < width and row[0].isspace()):
                pass
            elif len(row) != width:
                raise ResourceError(
                    f"{self._path}, line {line}: {len(row)} cells where the header has {width}; the delimiter is"
                    f" {self._delimiter!r}: quote cells that contain it, or set the option `delimiter`"
                )
            else:
                kept.records.append(row)
                kept.starts.extend(starts[offset : offset + 1])
            line += _lines_in(row)
        return kept

    def _broken(self, error: csv.Error, line: int) -> ResourceError:
        return ResourceError(
            f"{self._path}, line {line}: the quoting of this row is broken ({error}): a quote that is not closed, as in a"
            " file that was cut short, or text after a closing quote; a quote inside a cell is written twice"
        )

    def first(self, text: str) -> tuple[Cells, str]:
        if '"' not in text:
            row, end = self._cutter.cut_bare(text)
            whole = self._cutter.join(row) + end
        else:
            lines = list(io.StringIO(text, newline=""))
            reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
            try:
                row = next(reader)
            except csv.Error as error:
                raise self._moved() from error
            whole = "".join(lines[: reader.line_num])
        if len(row) != len(self._names):
            raise self._moved()
        return row, whole

    def _moved(self) -> ResourceError:
        return ResourceError(f"{self._path}: a row is not where it was; read the file again")

    def ids_of(self, records: Sequence[Cells]) -> list[str]:
        ids = list(map(itemgetter(self._id_column), records))
        if self.ids.kind is IdKind.KEY:
            return list(map(fold, ids))
        if all(map(str.strip, ids)):
            return ids
        return list(map(self.ids.text, ids))

    def rows_of(self, records: Sequence[Cells], fields: Sequence[str]) -> list[tuple[Native, ...]]:
        columns = [self._columns[name] for name in fields]
        if columns == list(range(len(self._names))):
            return list(map(tuple, records))
        if len(columns) > 1:
            return list(map(itemgetter(*columns), records))
        return [tuple(record[column] for column in columns) for record in records]

    def values_of(self, record: Cells) -> Fields:
        return {name: record[column] for name, column in self._columns.items()}

    def search_texts(self, records: Sequence[Cells], field: str) -> list[str]:
        return list(map(fold, map(itemgetter(self._columns[field]), records)))

    def search_text(self, value: Native) -> str | None:
        try:
            return fold(plain_text(value))
        except ValueError:
            return None

    def content(self, record: Cells) -> str:
        return "\x1f".join(record)

    def same(self, record: Cells, field: str, expected: Native) -> bool:
        if field not in self._columns:
            return False
        try:
            return record[self._columns[field]] == plain_text(expected)
        except ValueError:
            return False

    def id_text(self, value: Native) -> str:
        return self.ids.text(self._cell(self.ids.column, value))

    def id_value(self, id_: str, like: Cells | None) -> Native:  # noqa: ARG002 # cells are all text
        return id_

    def composed(self, values: Fields) -> tuple[str, Cells]:
        cells = [""] * len(self._names)
        for name, value in values.items():
            if value is not ABSENT:
                cells[self._column(name)] = self._cell(name, value)
        return self._proved(self._cutter.join(map(self._quoting().written, cells, count())) + self.newline, cells)

    def edited(self, text: str, record: Cells, values: Fields) -> tuple[str, Cells]:
        raw, end = self._cutter.cut(text)
        assert len(raw) == len(record)
        cells = list(record)
        for name, value in values.items():
            if value is not ABSENT:
                column = self._column(name)
                new = self._cell(name, value)
                if new != cells[column]:
                    cells[column] = new
                    raw[column] = self._quoting().written(new, column)
        return self._proved(self._cutter.join(raw) + end, cells)

    def _proved(self, text: str, cells: Cells) -> tuple[str, Cells]:
        """The row, once it is certain that it can be written and that it reads back as meant."""
        if not any(cells):
            raise Rejected(f"{self._path}: a row needs at least one value")
        if "\0" in text or len(text) > LONGEST_CELL:
            self._refuse_unwritable(cells)
        try:
            text.encode(self.encoding.codec)
        except UnicodeEncodeError:
            self._refuse_unwritable(cells)
        back, whole = self.first(text)
        assert back == cells
        assert whole == text
        return text, back

    def _refuse_unwritable(self, cells: Cells) -> None:
        for name, cell in zip(self._names, cells, strict=True):
            if "\0" in cell:
                raise Rejected(f"{self._path}, column {name!r}: a CSV file cannot hold a NUL character", field=name)
            if len(cell) > LONGEST_CELL:
                raise Rejected(f"{self._path}, column {name!r}: a cell holds {LONGEST_CELL} characters at most", field=name)
            try:
                cell.encode(self.encoding.codec)
            except UnicodeEncodeError:
                raise Rejected(
                    f"{self._path}, column {name!r}: the file's encoding {self.encoding.codec} lacks a character of the"
                    " value; save the file as UTF-8",
                    field=name,
                ) from None

    def _column(self, name: str) -> int:
        try:
            return self._columns[name]
        except KeyError:
            raise Rejected(f"{self._path} has no column {name!r}: add it to the header", field=name) from None

    def _cell(self, name: str, value: Native) -> str:
        try:
            return plain_text(value)
        except ValueError as error:
            raise Rejected(f"{self._path}, column {name!r}: {error}", field=name) from error

    def _quoting(self) -> Habit:
        if self._habit is None:
            rows = (self._cutter.cut(text)[0] for text in sample_rows(self._head, self._delimiter))
            width = len(self._names)
            self._habit = Habit(self._delimiter, (cells for cells in rows if len(cells) == width), width)
        return self._habit


def _lines_in(row: Cells) -> int:
    """How many lines a row takes."""
    return 1 + sum(len(LINE_END.findall(cell)) for cell in row if "\n" in cell or "\r" in cell)
