"""What the head of a CSV file tells about its dialect."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

DELIMITERS: Final = (",", ";", "\t", "|")
SAMPLE: Final = 200
PREAMBLE: Final = re.compile(r"sep=(.)(?:\r\n|\r|\n)")


def has_preamble(head: str) -> bool:
    """Whether the first line is Excel's own `sep=;`, which stands before the header."""
    return PREAMBLE.match(head) is not None


def detect_delimiter(head: str) -> str:
    """
    The delimiter: the one `sep=` names, else the one that cuts the header into most columns.

    One that cuts the first rows into as many cells as the header goes before one that does not; a file of one column
    has a comma.
    """
    if (preamble := PREAMBLE.match(head)) is not None:
        return preamble.group(1)
    return max(DELIMITERS, key=lambda delimiter: _fit(head, delimiter))


def _fit(head: str, delimiter: str) -> tuple[bool, int]:
    # Not strict: a broken file shall be reported with its own delimiter, not mistaken for one with another.
    rows = islice(csv.reader(io.StringIO(head, newline=""), delimiter=delimiter), SAMPLE)
    widths = [len(row) for row in rows if any(row)]
    columns = widths[0] if widths else 0
    return columns > 1 and set(widths[:-1]) <= {columns}, columns  # the head may end within the last row


def sample_rows(head: str, delimiter: str) -> Iterator[str]:
    """The texts of the first data rows, of the header if there are none: what quoting habits are told from."""
    lines = list(io.StringIO(head, newline=""))[has_preamble(head) :]
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    texts: list[str] = []
    end = 0
    try:
        for _ in islice(reader, SAMPLE + 1):
            texts.append("".join(lines[end : reader.line_num]))
            end = reader.line_num
    except csv.Error:
        pass  # the head ends within a quoted cell: the rows before it are evidence enough
    yield from texts[1:] or texts
