"""What the fields of JSON objects hold, told from all of them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import orjson

from syncengine.connector import FieldType, Native

BIG: Final = 2.0**63

TYPES: Final[dict[frozenset[type], FieldType]] = {
    frozenset({int}): FieldType.INTEGER,
    frozenset({Decimal}): FieldType.DECIMAL,
    frozenset({int, Decimal}): FieldType.DECIMAL,
    frozenset({bool}): FieldType.BOOLEAN,
    frozenset({list}): FieldType.LIST,
    frozenset({dict}): FieldType.JSON,
}


class FieldKinds:
    """
    Gathers the shapes of records: which fields, of which Python types.

    Text stays untyped: an email, a date and a choice are all text in JSON, and only the config knows which it is.
    """

    __slots__ = ("_shapes",)

    def __init__(self) -> None:
        self._shapes: dict[tuple[object, ...], None] = {}

    @property
    def empty(self) -> bool:
        return not self._shapes

    def add(self, line: str) -> bool:
        """Take note of a line; false if it is not one that this fast parser takes, which says nothing against it."""
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            return False
        if not isinstance(record, dict):
            return False
        shape = (*record, *map(type, record.values()))
        if float in shape and any(isinstance(value, float) and abs(value) >= BIG for value in record.values()):
            return False  # it may be a whole number that orjson has no room for
        self._shapes[shape] = None
        return True

    def add_object(self, record: Mapping[str, Native]) -> None:
        """Take note of a record as it is read in earnest."""
        self._shapes[(*record, *map(type, record.values()))] = None

    def types(self) -> dict[str, FieldType | None]:
        """The fields in the order they were first seen, with the type that all their values have, if there is one."""
        found: dict[str, set[type]] = {}
        for shape in self._shapes:
            half = len(shape) // 2
            for name, kind in zip(shape[:half], shape[half:], strict=True):
                assert isinstance(name, str)
                assert isinstance(kind, type)
                found.setdefault(name, set()).add(Decimal if kind is float else kind)
        return {name: TYPES.get(frozenset(kinds - {type(None)})) for name, kinds in found.items()}
