"""Sets, lists and JSON documents. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final

from syncengine.connector import Native
from syncengine.core.values.base import Reader, Shape, Value, Writer
from syncengine.core.values.text import spell

SEPARATOR: Final = ";"


def check_separator(format_: str) -> None:
    """Raise ValueError unless the text can stand between the members of a text cell."""
    mark = format_.strip(" ")
    if not mark or any(character.isalnum() for character in mark):
        raise ValueError('the format of a set or list is what stands between its members, like ";" or ", "')


def members_of(native: Native, shape: Shape) -> Iterable[Native]:
    """The members of a list, or of a text cell with a separator; blank ones are left out."""
    if isinstance(native, list | tuple):
        return [member for member in native if member is not None and member != ""]
    if native is None:
        return ()
    if isinstance(native, str):
        mark = (shape.format or SEPARATOR).strip(" ")
        return [member for part in native.split(mark) if (member := part.strip())]
    if isinstance(native, dict):
        raise shape.unmappable("it holds an object, not a list", 'map it with as = "json"')
    return (native,)


def read_set(shape: Shape, read_member: Reader) -> Reader:
    """The members in the order they came, each once; nothing is an empty tuple."""

    def read(native: Native) -> Value:
        members = (read_member(spell(member, shape).strip()) for member in members_of(native, shape))
        return tuple(dict.fromkeys(member for member in members if member is not None and member != ""))

    return read


def read_list(shape: Shape) -> Reader:
    """The members in order, their types kept where the side has types; nothing is an empty tuple."""

    def read_member(native: Native) -> Value:
        text = spell(native, shape)
        if isinstance(native, bool | int | Decimal):
            return native
        return Decimal(text) if isinstance(native, float) else text.strip()

    def read(native: Native) -> Value:
        return tuple(member for native_ in members_of(native, shape) if (member := read_member(native_)) != "")

    return read


def write_group(shape: Shape, write_member: Writer) -> Writer:
    """The members as a list, or joined in a text cell; Unmappable where a member holds the separator itself."""
    separator = shape.format or SEPARATOR
    mark = separator.strip(" ")
    nothing = shape.nothing

    def write(value: Value) -> Native:
        members = [_plain(write_member(member)) for member in _members(value, shape)]
        if shape.is_group:
            return members
        texts = [spell(member, shape) for member in members]
        if any(mark in text or text != text.strip() for text in texts):
            raise shape.unmappable(f"a member of the other side's value holds the separator {mark!r}", "choose another `format`")
        return separator.join(texts) if texts else nothing

    return write


def _members(value: Value, shape: Shape) -> tuple[Value, ...]:
    if value is None:
        return ()
    if isinstance(value, tuple):
        return value
    raise shape.unmappable("the other side's value is not a list", "choose another type with `as`")


def _plain(member: Native) -> Native:
    """Numbers inside lists as JSON writers know them, unless that would change them."""
    if not isinstance(member, Decimal):
        return member
    if member == int(member):
        return int(member)
    return float(member) if Decimal(repr(float(member))) == member else member


def read_json(shape: Shape) -> Reader:
    """A document as compact JSON text, members in the order they came; null is None."""
    is_text = shape.is_text

    def read(native: Native) -> Value:
        if native is None:
            return None
        try:
            if is_text and isinstance(native, str):
                if not native.strip():
                    return None
                native = json.loads(native, parse_constant=_refuse)
            text = _dump(native, lambda member: spell(member, shape))
        except (ValueError, RecursionError):
            raise shape.unmappable("it is not a JSON document, or is nested too deeply", "correct it there") from None
        return None if text == "null" else spell(text, shape)

    return read


def write_json(shape: Shape) -> Writer:
    """A document as text where the side has text only, else as lists, dicts and scalars."""
    is_text, nothing = shape.is_text, shape.nothing

    def write(value: Value) -> Native:
        if value is None:
            return nothing
        if not isinstance(value, str):
            raise shape.unmappable("the other side's value is not a JSON document", "choose another type with `as`")
        return value if is_text else json.loads(value)

    return write


def canonical_json(text: str) -> str:
    """The same text for every spelling of a document: members sorted, whole floats as integers."""
    return json.dumps(_level(json.loads(text)), sort_keys=True, separators=(",", ":"))


def _level(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _level(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_level(member) for member in value]
    return value


def _dump(value: Native, default: Callable[[Any], Any]) -> str:
    def plain(member: Any) -> Any:
        text = default(member)
        number = _plain(member)
        return text if isinstance(number, Decimal) else number if number is not member else text

    return json.dumps(value, default=plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
