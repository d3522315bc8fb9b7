"""
CSV files, or a folder of them, kept as people and their programs write them.

    [systems.office]
    connector = "csv"
    path = "people/"            # a folder: every *.csv in it is a resource, named by its stem; or one file
    id = "customer_no"          # the column that holds ids; default "id"
    make_ids = true             # whether that column is for ids that may be made up; default: its name ends in "id"
    encoding = "cp1252"         # only where neither a byte order mark nor UTF-8 tells
    delimiter = ";"             # only where the first lines do not tell

Cells are text, an empty cell is "". Delimiter, encoding, quoting and line ends stay as they are; a row that is not touched
stays byte for byte, and so does every untouched cell of a row that is. Values that a spreadsheet would take for a formula
are data like any other.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from connectors.csv.dialect import detect_delimiter, has_preamble
from connectors.csv.layout import Cells, CsvLayout
from connectors.files.connector import FileConnector
from connectors.files.ids import choose_rule
from connectors.files.text import HEAD, Encoding, Watched, decoded_head, detect, text_of, undecodable, usable_encoding
from syncengine import connector as contract
from syncengine.errors import ResourceError

WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


class CsvOptions(BaseModel):
    """The table `[systems.NAME]` of a CSV system; see the module."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path = Field(description="A CSV file, or a folder of them; relative to the config file.")
    id: str | None = Field(default=None, min_length=1, description='The column that holds the ids; "id" if not given.')
    make_ids: bool | None = Field(
        default=None, description='Whether ids may be made up for that column; by default if its name ends in "id".'
    )
    encoding: str | None = Field(default=None, description="The encoding, where the file itself does not tell.")
    delimiter: str | None = Field(default=None, description='One character, or "tab".')

    @field_validator("encoding")
    @classmethod
    def _usable(cls, value: str | None) -> str | None:
        return usable_encoding(value) if value is not None else None

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        if value in {"tab", "\\t"}:
            return "\t"
        if value is not None and (len(value) != 1 or value in '"\r\n\0'):
            raise ValueError('a delimiter is one character, or "tab"; not a quote or a line end')
        return value


class CsvFormat:
    """See `connectors.files.layout.Format`."""

    suffix = ".csv"
    blank_is_null = True
    missing_cure = "make the file with a header line, such as id,email,name"

    def __init__(self, options: CsvOptions) -> None:
        self._options = options

    def layout(self, file: io.FileIO, path: Path) -> CsvLayout:
        file.seek(0)
        head = file.read(HEAD)
        if head.startswith(WORKBOOKS):
            raise ResourceError(f"{path} is a spreadsheet workbook, not a CSV file: save it as CSV")
        encoding = detect(head, self._options.encoding)
        text = decoded_head(head, encoding, path)
        if not text.strip():
            raise ResourceError(f"{path} is empty, without even a header line: restore it, or {self.missing_cure}")
        delimiter = self._options.delimiter or detect_delimiter(text)
        names, newline = self._header(file, path, encoding, text, delimiter)
        ids = choose_rule(filter(None, names), self._options.id, self._options.make_ids)
        if ids is None:
            raise ResourceError(
                f"{path} has no column {self._options.id or 'id'!r} (it has {', '.join(filter(None, names))}): set"
                ' `id = "<a column that never repeats>"`, or add a column `id`'
            )
        return CsvLayout(path=path, encoding=encoding, head=text, delimiter=delimiter, names=names, ids=ids, newline=newline)

    @staticmethod
    def _header(file: io.FileIO, path: Path, encoding: Encoding, head: str, delimiter: str) -> tuple[list[str], str]:
        """The column names, "" for a column without one, and the line end of the header."""
        lines = text_of(Watched(file, path, encoding), encoding, newline="")
        first = 2 if has_preamble(head) else 1
        taken: list[str] = []
        try:
            if first == 2:
                next(lines)
            names = [name.strip() for name in next(csv.reader(map(_noted(taken), lines), delimiter=delimiter, strict=True))]
        except UnicodeDecodeError as error:
            raise undecodable(path, encoding) from error
        except csv.Error as error:
            raise ResourceError(f"{path}, line {first}: the quoting of the header is broken ({error}): correct it") from error
        if not any(names):
            raise ResourceError(f"{path}, line {first} is empty where the header is expected: remove it")
        for name, count in Counter(filter(None, names)).items():
            if count > 1:
                columns = [str(column) for column, other in enumerate(names, 1) if other == name]
                raise ResourceError(f"{path}: columns {' and '.join(columns)} are both named {name!r}: rename all but one")
        end = re.search(r"(?:\r\n|\r|\n)\Z", taken[-1])
        return names, end.group() if end else "\n"


def _noted(taken: list[str]) -> Callable[[str], str]:
    def note(line: str) -> str:
        taken.append(line)
        return line

    return note


def connect(options: CsvOptions, context: contract.Context) -> FileConnector[Cells]:
    """Open the connector; the disk is not touched yet."""
    return FileConnector(CsvFormat(options), context.base / options.path)


plugin = contract.Plugin(
    title="CSV files",
    options=CsvOptions,
    connect=connect,
    guarantee=(
        "Every write replaces the file atomically and carries its own proof: a row that changed since it was read is not"
        " overwritten, and a save by another program is lost only if it falls into the microseconds before the rename."
    ),
)
