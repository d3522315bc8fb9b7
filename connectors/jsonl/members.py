"""
JSON objects as they are written: where each member of the outermost object stands, and how to change one in its place.

Text is scanned by the standard library's own decoder, so what counts as JSON is what `json.loads` takes, without `NaN` and
`Infinity`, which are not JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, NoReturn

from connectors.files.values import json_text
from syncengine.connector import ABSENT, Native

LINE_ENDS: Final = frozenset({"", "\n", "\r\n"})
SPACE: Final = re.compile(r"[ \t\r\n]*")
ESCAPED: Final = re.compile(r"\\u[0-9a-fA-F]{4}")
SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


_KEEP: Final = object()


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


DECODER: Final = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)


def parse_object(text: str) -> dict[str, Native]:
    """The object in a line; ValueError, worded without values, if it is not a whole JSON object of sound text."""
    try:
        value, end = DECODER.raw_decode(text) if text[:1] == "{" else (None, 0)
        if text[end:] not in LINE_ENDS:
            value = DECODER.decode(text)  # with white space around it, or no object
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("it is not an object in braces")  # noqa: TRY004 # the text is wrong, not the type of an argument
    if "\\u" in text and SURROGATE.search(json_text(value)):
        raise ValueError("it has half a surrogate pair (\\ud800 to \\udfff), which is no character")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How an object is written: what stands between members, between name and value, and whether all is ASCII."""

    item: str = ", "
    colon: str = ": "
    ascii_only: bool = False

    def value(self, value: Native) -> str:
        """A value as JSON in this style; ValueError for one that JSON cannot hold."""
        item = ", " if self.item.endswith(" ") else ","
        colon = ": " if self.colon.endswith(" ") else ":"
        return json_text(value, ascii_only=self.ascii_only, item=item, colon=colon)

    def member(self, name: str, value: Native) -> str:
        """A name and its value."""
        return json.dumps(name, ensure_ascii=self.ascii_only) + self.colon + self.value(value)

    def object(self, members: Mapping[str, Native]) -> str:
        """A whole object; absent members are left out."""
        return f"{{{self.item.join(self.member(name, value) for name, value in members.items() if value is not ABSENT)}}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member of an object: its name, where that begins and ends, and where its value begins and ends."""

    name: str
    start: int
    named: int
    value: int
    end: int


def members_of(text: str) -> list[Member]:
    """The members of the object in a line that `parse_object` takes, in order."""
    position = _skip(text, text.index("{") + 1)
    members: list[Member] = []
    while text[position] != "}":
        name, named = DECODER.raw_decode(text, position)
        value = _skip(text, _skip(text, named) + 1)
        _, end = DECODER.raw_decode(text, value)
        members.append(Member(name=name, start=position, named=named, value=value, end=end))
        position = _skip(text, end)
        if text[position] == ",":
            position = _skip(text, position + 1)
    return members


def style_of(text: str, usual: Style) -> Style:
    """The style of the object in a line; the usual one where the line gives no evidence."""
    return _style(text, members_of(text), usual)


def _style(text: str, members: Sequence[Member], usual: Style) -> Style:
    item = text[members[0].end : members[1].start] if len(members) > 1 else usual.item
    colon = text[members[0].named : members[0].value] if members else usual.colon
    return replace(usual, item=item, colon=colon)


def edited(text: str, values: Mapping[str, Native], usual: Style) -> str:
    """
    The line with these members set, `ABSENT` ones removed, new ones put last; all other text stays.

    Raises ValueError for an object that names a member twice.
    """
    members = members_of(text)
    style = _style(text, members, usual)
    names = {member.name for member in members}
    if len(names) < len(members):
        raise ValueError("the row names a field twice, so it is unclear which one counts: correct it by hand")
    pieces: list[str] = []
    between = ""
    for index, member in enumerate(members):
        value = values.get(member.name, _KEEP)
        if value is not ABSENT:
            whole = text[member.start : member.end]
            piece = whole if value is _KEEP else text[member.start : member.value] + style.value(value)
            pieces.append((between if pieces else "") + piece)
        if index + 1 < len(members):
            between = text[member.end : members[index + 1].start]
    for name, value in values.items():
        if name not in names and value is not ABSENT:
            pieces.append((style.item if pieces else "") + style.member(name, value))
    opening = text.index("{") + 1
    start, end = (members[0].start, members[-1].end) if members else (opening, opening)
    return text[:start] + "".join(pieces) + text[end:]


def _skip(text: str, position: int) -> int:
    match = SPACE.match(text, position)
    assert match is not None  # it matches the empty text
    return match.end()
