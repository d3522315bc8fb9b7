"""Writing TOML. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SHORT = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_INLINE_BELOW = 2
"""Tables deeper than `[pairs.contacts]` are written on one line, but for `[pairs.contacts.fields]`, which people read."""


def text(value: str) -> str:
    """A basic string in quotes."""
    return '"' + "".join(_SHORT.get(char) or (char if char.isprintable() else _escape(char)) for char in value) + '"'


def _escape(char: str) -> str:
    # A lone surrogate cannot stand in TOML at all.
    return "\\ufffd" if 0xD800 <= ord(char) < 0xE000 else f"\\U{ord(char):08x}"


def key(name: str) -> str:
    """A key, quoted where it must be."""
    return name if _BARE.fullmatch(name) else text(name)


def value(value: object) -> str:
    """A value on one line. Raises TypeError for what TOML lacks."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return text(value)
        case int() | float() | Decimal():
            return str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case Mapping():
            pairs = ", ".join(f"{key(str(name))} = {_value(child)}" for name, child in value.items() if child is not None)
            return f"{{ {pairs} }}" if pairs else "{}"
        case list() | tuple():
            return "[" + ", ".join(_value(child) for child in value) + "]"
        case _:
            raise TypeError(f"TOML has no {type(value).__name__}")


_value = value


def document(tables: Mapping[str, object]) -> str:
    """A whole document; keys without a value are left out (TOML has no null), and so are empty tables."""
    return "\n".join(_lines(tables, ())).lstrip("\n") + "\n"


def _lines(table: Mapping[str, object], path: tuple[str, ...]) -> Iterator[str]:
    filled = {name: child for name, child in table.items() if child is not None and child != {}}
    here = {name: child for name, child in filled.items() if not _is_table(name, child, path)}
    if path and here:
        yield ""
        yield "[" + ".".join(map(key, path)) + "]"
    for name, child in here.items():
        yield f"{key(name)} = {value(child)}"
    for name, child in filled.items():
        if isinstance(child, Mapping) and name not in here:
            yield from _lines(child, (*path, name))


def _is_table(name: str, child: object, path: tuple[str, ...]) -> bool:
    return isinstance(child, Mapping) and (len(path) < _INLINE_BELOW or (len(path) == _INLINE_BELOW and name == "fields"))
