"""One JSON Lines file: its records, and how one is changed without touching its neighbours."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Final

from connectors.files.ids import IdKind, IdRule, fold
from connectors.files.layout import Batch
from connectors.files.text import Encoding, Measured
from connectors.files.values import json_text, plain_text
from connectors.jsonl.kinds import FieldKinds
from connectors.jsonl.members import SURROGATE, Style, edited, parse_object
from syncengine.connector import ABSENT, Field, Fields, FieldType, Native
from syncengine.errors import Rejected, ResourceError

JsonObject = dict[str, Native]
"""The values of one line, by field."""

ID_TYPES: Final = frozenset({str, int, type(None)})
WHITE: Final = " \t\r\n"


class JsonlLayout:
    """See `connectors.files.layout.Layout`; a record is a JSON object."""

    split = "\n"

    def __init__(
        self,
        *,
        path: Path,
        encoding: Encoding,
        newline: str,
        ids: IdRule,
        style: Style,
        order: Sequence[str],
        declared: Mapping[str, FieldType],
    ) -> None:
        self.encoding = encoding
        self.newline = newline
        self.ids = ids
        self._path = path
        self._style = style
        self._order = tuple(order)
        self._declared = declared

    def describe(self, lines: Iterator[str]) -> tuple[Mapping[str, Field], tuple[str, ...]]:
        kinds = FieldKinds()
        for number, line in enumerate(lines, 1):
            if not kinds.add(line) and line.strip(WHITE):
                kinds.add_object(self._parsed(line, number))
        found = {**dict.fromkeys((*self._order, self.ids.column)), **kinds.types(), **self._declared}
        rule = self.ids
        found[rule.column] = None
        fields = {
            name: Field(
                name=name,
                type=type_,
                unique=name == rule.column,
                required=name == rule.column and rule.kind is not IdKind.MADE,
            )
            for name, type_ in found.items()
        }
        if kinds.empty and not self._declared:
            return fields, (f"{self._path} has no record to tell fields from: name them in the option `fields`",)
        return fields, ()

    def require(self, fields: Sequence[str]) -> None:
        """Any object may lack any field: it is absent there."""

    def batches(self, lines: io.TextIOWrapper | Measured, size: int) -> Iterator[Batch[JsonObject]]:
        measured = lines if isinstance(lines, Measured) else None
        source = iter(lines)
        used = 0
        while texts := list(islice(source, size)):
            starts = measured.take(len(texts)) if measured else []
            try:
                records = list(map(parse_object, texts))
            except ValueError:  # an empty line, or a broken one
                filled = [place for place, text in enumerate(texts) if text.strip(WHITE)]
                records = [self._parsed(texts[place], used + 1 + place) for place in filled]
                starts = [starts[place] for place in filled] if measured else []
            self._check_ids(records, texts, used)
            yield Batch(records=records, starts=starts)
            used += len(texts)

    def _check_ids(self, records: Sequence[JsonObject], texts: Sequence[str], used: int) -> None:
        column = self.ids.column
        if {type(record.get(column)) for record in records} <= ID_TYPES or self.ids.kind is IdKind.KEY:
            return
        for line, text in enumerate(texts, used + 1):
            if text.strip(WHITE) and type(self._parsed(text, line).get(column)) not in ID_TYPES:
                raise ResourceError(
                    f"{self._path}, line {line}: {column!r} is neither text nor a whole number, so it cannot be an id: correct"
                    " it, or name another field in the option `id`"
                )

    def _parsed(self, text: str, line: int) -> JsonObject:
        try:
            return parse_object(text)
        except ValueError as error:
            raise ResourceError(
                f"{self._path}, line {line} is not a JSON object: {error}; correct it, or restore the file if it was cut short"
            ) from error

    def first(self, text: str) -> tuple[JsonObject, str]:
        end = text.find("\n")
        line = text if end < 0 else text[: end + 1]
        return self._parsed(line, 0), line

    def ids_of(self, records: Sequence[JsonObject]) -> list[str]:
        column = self.ids.column
        return [self._id_text(record.get(column)) for record in records]

    def _id_text(self, value: Native) -> str:
        if isinstance(value, str):
            return self.ids.text(value)
        return "" if value is None else fold(json_text(value))

    def rows_of(self, records: Sequence[JsonObject], fields: Sequence[str]) -> list[tuple[Native, ...]]:
        if len(fields) > 1:
            take = itemgetter(*fields)
            try:
                return list(map(take, records))
            except KeyError:  # not every record has every field
                pass
        return [tuple(record.get(name, ABSENT) for name in fields) for record in records]

    def values_of(self, record: JsonObject) -> Fields:
        return record

    def search_texts(self, records: Sequence[JsonObject], field: str) -> list[str]:
        return [self.search_text(record.get(field)) or "" for record in records]

    def search_text(self, value: Native) -> str | None:
        if isinstance(value, (Decimal, float)):
            number = value if isinstance(value, Decimal) else Decimal(repr(value))
            if number.is_finite() and number == number.to_integral_value():
                value = int(number)
            elif number.is_finite():
                value = number.normalize()
        try:
            return fold(plain_text(value))
        except ValueError:
            return None

    def content(self, record: JsonObject) -> str:
        return json_text(record)

    def same(self, record: JsonObject, field: str, expected: Native) -> bool:
        present = record.get(field, ABSENT)
        return (present is ABSENT and expected is None) or _same(present, expected)  # what a row lacks is read as null

    def id_text(self, value: Native) -> str:
        if type(value) in ID_TYPES:
            return self._id_text(value)
        column = self.ids.column
        raise Rejected(f"{self._path}, field {column!r}: an id is text or a whole number", field=column)

    def id_value(self, id_: str, like: JsonObject | None) -> Native:
        """Whole numbers go on as numbers where the file's ids are numbers; in a file without records they are text."""
        known = like.get(self.ids.column) if like is not None else None
        if isinstance(known, int) and id_.isascii() and id_.isdecimal() and str(int(id_)) == id_:
            return int(id_)
        return id_

    def composed(self, values: Fields) -> tuple[str, JsonObject]:
        style = self._style_for(values)
        ordered = {name: values[name] for name in self._order if name in values}
        text = style.object({**ordered, **values}) + self.newline
        return text, parse_object(text)

    def edited(self, text: str, record: JsonObject, values: Fields) -> tuple[str, JsonObject]:
        style = self._style_for(values)
        changed = {name: value for name, value in values.items() if not _same(record.get(name, ABSENT), value, exact=True)}
        if not changed:
            return text, record
        try:
            new = edited(text, changed, style)
        except ValueError as error:
            raise Rejected(f"{self._path}: {error}") from error
        return new, parse_object(new)

    def _style_for(self, values: Fields) -> Style:
        """The usual style, or its ASCII form where the encoding lacks a character; `Rejected` for what JSON cannot hold."""
        style = self._style
        for name, value in values.items():
            if value is ABSENT:
                continue
            try:
                text = style.member(name, value)
                text.encode(self.encoding.codec)
                if "\\u" in text:
                    parse_object(f"{{{text}}}")
            except UnicodeEncodeError as error:
                if SURROGATE.search(text):
                    raise Rejected(f"{self._path}, field {name!r}: half a surrogate pair is no character", field=name) from error
                style = replace(style, ascii_only=True)
            except ValueError as error:
                raise Rejected(f"{self._path}, field {name!r}: {error}", field=name) from error
        return style


def _same(present: Native, expected: Native, *, exact: bool = False) -> bool:
    """Whether two JSON values are the same; numbers by value, or with `exact` also by scale (1.10 is not 1.1)."""
    if present is ABSENT or expected is ABSENT or present is None or expected is None:
        return present is expected
    try:
        left, right = json_text(present), json_text(expected)
    except ValueError:
        return False
    if left == right or exact:
        return left == right
    numbers = (int, float, Decimal)
    if isinstance(present, numbers) and isinstance(expected, numbers):
        return not isinstance(present, bool) and not isinstance(expected, bool) and Decimal(left) == Decimal(right)
    return False
