"""
Which type a mapped field has, and which native types can hold it. Pure.

Without `as` the type is the typed side's. Two typed sides go together when they are the same, both numbers, text with a
kind of text (email, phone, choice), or set, list and JSON lists. Anything else needs an `as` that both sides can hold:
text columns hold everything, and a side that is only ever read may be anything that has a text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from syncengine.connector import Field, FieldType
from syncengine.core.values.base import GROUPS, NUMBERS, WORDS

_T: Final = FieldType
_LISTS: Final = GROUPS | {_T.JSON}

_HELD_BY: Final[Mapping[FieldType, frozenset[FieldType]]] = {
    _T.TEXT: WORDS | {_T.REFERENCE},
    _T.EMAIL: frozenset({_T.EMAIL}),
    _T.PHONE: frozenset({_T.PHONE}),
    _T.CHOICE: frozenset({_T.CHOICE, _T.INTEGER, _T.BOOLEAN}),
    _T.INTEGER: NUMBERS,
    _T.DECIMAL: NUMBERS,
    _T.MONEY: NUMBERS,
    _T.BOOLEAN: frozenset({_T.BOOLEAN, _T.INTEGER, _T.CHOICE}),
    _T.DATE: frozenset({_T.DATE, _T.DATETIME}),
    _T.DATETIME: frozenset({_T.DATETIME}),
    _T.SET: _LISTS,
    _T.LIST: _LISTS,
    _T.REFERENCE: _LISTS | {_T.REFERENCE, _T.INTEGER},
    _T.JSON: _LISTS,
}


def declared(field: Field) -> FieldType | None:
    """The type a field declares, several values seen as a set."""
    if field.many and field.type not in _LISTS | {_T.REFERENCE}:
        return _T.SET
    return field.type


def can_hold(kind: FieldType, side: FieldType | None, *, written: bool) -> bool:
    """Whether a native field of type `side` can be read (and written, if it is) as `kind`."""
    if side is None or side is _T.TEXT or side in _HELD_BY[kind]:
        return True
    return kind is _T.TEXT and not written and side not in _LISTS


def joined(left: FieldType | None, right: FieldType | None) -> FieldType | None:
    """The type of a field without `as`; None where the sides' types do not go together."""
    known = {kind for kind in (left, right) if kind is not None}
    if len(known) < 2:
        return known.pop() if known else _T.TEXT
    if _T.REFERENCE in known and known <= {_T.REFERENCE, _T.INTEGER, _T.TEXT}:
        return _T.REFERENCE
    if known <= NUMBERS:
        return _T.DECIMAL if _T.DECIMAL in known else _T.MONEY
    if _T.TEXT in known and known <= WORDS:
        return (known - {_T.TEXT}).pop()
    if known <= _LISTS:
        return _T.SET if _T.SET in known else _T.LIST
    return None
