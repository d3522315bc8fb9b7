"""
JSON Lines files, or a folder of them: one JSON object a line, with typed values.

    [systems.office]
    connector = "jsonl"
    path = "people.jsonl"       # or a folder: every *.jsonl in it is a resource, named by its stem
    id = "customer_no"          # the field that holds ids; default "id"
    make_ids = true             # whether that field is for ids that may be made up; default: its name ends in "id"
    encoding = "latin-1"        # only where it is not UTF-8 and no byte order mark tells
    fields = { email = "text", age = "integer" }    # fields that no record has yet, or whose type is not to be guessed

Numbers with a point are Decimal, so 1.10 stays 1.10; a member that an object lacks is absent. Untouched lines stay byte for
byte; a touched one keeps the order and the text of its other members.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from connectors.files.connector import FileConnector
from connectors.files.ids import IdKind, IdRule, choose_rule
from connectors.files.text import HEAD, decoded_head, detect, usable_encoding
from connectors.jsonl.layout import JsonlLayout, JsonObject
from connectors.jsonl.members import ESCAPED, Style, parse_object, style_of
from syncengine.connector import Context, FieldType, Plugin

SAMPLE: Final = 200


class JsonlOptions(BaseModel):
    """The table `[systems.NAME]` of a JSON Lines system; see the module."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path = Field(description="A JSON Lines file, or a folder of them; relative to the config file.")
    id: str | None = Field(default=None, min_length=1, description='The field that holds the ids; "id" if not given.')
    make_ids: bool | None = Field(
        default=None, description='Whether ids may be made up for that field; by default if its name ends in "id".'
    )
    encoding: str | None = Field(default=None, description="The encoding, where it is not UTF-8.")
    fields: Mapping[str, FieldType] = Field(
        default_factory=dict, description="Types of fields that no record has yet, or that are not to be guessed."
    )

    @field_validator("encoding")
    @classmethod
    def _usable(cls, value: str | None) -> str | None:
        return usable_encoding(value) if value is not None else None


class JsonlFormat:
    """See `connectors.files.layout.Format`."""

    suffix = ".jsonl"
    blank_is_null = False
    missing_cure = "make an empty file"

    def __init__(self, options: JsonlOptions) -> None:
        self._options = options

    def layout(self, file: io.FileIO, path: Path) -> JsonlLayout:
        file.seek(0)
        head = file.read(HEAD)
        encoding = detect(head, self._options.encoding)
        text = decoded_head(head, encoding, path)
        lines = [line for line in text.split("\n")[:SAMPLE] if line.strip()]
        order: dict[str, None] = {}
        first = ""
        for line in lines:
            try:
                order |= dict.fromkeys(parse_object(line))
            except ValueError:
                break  # cut off by the end of the head, or broken: reading the file in earnest reports it
            first = first or line
        usual = Style(ascii_only=text.isascii() and ESCAPED.search(text) is not None)
        return JsonlLayout(
            path=path,
            encoding=encoding,
            newline="\r\n" if text.partition("\n")[0].endswith("\r") else "\n",
            ids=self._rule(order),
            style=style_of(first, usual) if first else usual,
            order=tuple(order),
            declared=self._options.fields,
        )

    def _rule(self, names: Mapping[str, None]) -> IdRule:
        """The id rule; where no field can serve, records get a field `id`, since any JSON object has room for one."""
        rule = choose_rule(names, self._options.id, self._options.make_ids)
        if rule is not None:
            return rule
        column = self._options.id or "id"
        made = self._options.make_ids if self._options.make_ids is not None else column.casefold().endswith("id")
        return IdRule(column=column, kind=IdKind.MADE if made else IdKind.FILLED)


def connect(options: JsonlOptions, context: Context) -> FileConnector[JsonObject]:
    """Open the connector; the disk is not touched yet."""
    return FileConnector(JsonlFormat(options), context.base / options.path)


plugin = Plugin(
    title="JSON Lines files",
    options=JsonlOptions,
    connect=connect,
    guarantee=(
        "Every write replaces the file atomically and carries its own proof: a row that changed since it was read is not"
        " overwritten, and a save by another program is lost only if it falls into the microseconds before the rename."
    ),
)
