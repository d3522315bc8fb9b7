"""
How names and values are put into words for people: quoting, escaping, the nearest valid name.

Pure, standard library only: config messages, logs and the command line share it.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Collection, Iterable
from datetime import date, datetime, time
from decimal import Decimal

_SHOWN = 60
_LISTED = 8
_LARGEST_INT = 2**128
_PLAIN_KEY = re.compile(r"[\w-]+")
_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^/\s]+@")
# What a terminal obeys or a reader can't see: controls, format and reading direction, surrogates, private use, separators.
_STEERING = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def nearest(word: object, choices: Collection[str]) -> str:
    """The cure for a misspelt name: the nearest valid one, else all of them, if they are few."""
    folded = {choice.casefold(): choice for choice in choices}
    near = difflib.get_close_matches(str(word).casefold(), folded, n=1)
    if near:
        return f"did you mean {quoted(folded[near[0]])}?"
    return f"use {listed(choices)}" if choices else ""


def listed(choices: Iterable[str]) -> str:
    """`"a", "b" or "c"`, cut short when there are many."""
    names = [quoted(choice) for choice in choices]
    if len(names) > _LISTED:
        return ", ".join(names[:_LISTED]) + ", ..."
    return " or ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def quoted(text: str) -> str:
    """The text in double quotes, cut to a readable length, made harmless, a password inside a URL masked."""
    masked = without_password(text)
    cut = masked if len(masked) <= _SHOWN else masked[:_SHOWN] + "..."
    return '"' + harmless(cut).replace('"', '\\"') + '"'


def without_password(text: str) -> str:
    """The text with the password of each URL in it masked."""
    return _PASSWORD.sub(r"\1***@", text)


def harmless(text: str) -> str:
    r"""The text with each character that steers a terminal or hides from a reader written as `\uXXXX`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"\\u{ord(char):04x}" if unicodedata.category(char) in _STEERING else char for char in text)


def shown(value: object) -> str:
    """A value of a config file as a message shows it."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return quoted(value)
        case int() if abs(value) >= _LARGEST_INT:
            return "a very large number"
        case int() | float() | Decimal() | datetime() | date() | time():
            return str(value)[:_SHOWN]
        case list():
            return f"a list of {len(value)}"
        case dict():
            return "a table"
        case _:
            return type(value).__name__


def dotted(place: Iterable[str | int]) -> str:
    """A place in the file as a dotted path; keys that TOML would quote are quoted."""
    path = ""
    for part in place:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += ("." if path else "") + (part if _PLAIN_KEY.fullmatch(part) else quoted(part))
    return path
