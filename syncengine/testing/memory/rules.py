"""What a memory resource takes as a value: types, lengths, choices; each refusal names the field and never the value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from syncengine.connector import ABSENT, Field, FieldType, Native, SetChange
from syncengine.errors import Rejected

_TEXTS = frozenset({FieldType.TEXT, FieldType.EMAIL, FieldType.PHONE})
_NUMBERS = frozenset({FieldType.DECIMAL, FieldType.MONEY})
_MANY = frozenset({FieldType.SET, FieldType.LIST})
_SINGLE_OR_MANY = frozenset({FieldType.CHOICE, FieldType.REFERENCE})


def own(value: Native) -> Native:
    """The value as nobody else holds it: lists and dicts are copied, tuples become lists."""
    if isinstance(value, list | tuple):
        return [own(each) for each in value]
    if isinstance(value, dict):
        return {key: own(each) for key, each in value.items()}
    return value


def same(one: Native, other: Native) -> bool:
    """Whether two native values are equal; True is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def changed_set(current: Native, change: SetChange) -> Native:
    """The members of a set after a `SetChange`, the others in their old order."""
    members = list(current) if isinstance(current, list) else []
    kept = [member for member in members if member not in change.remove]
    return kept + [member for member in change.add if member not in kept]


def check_value(field: Field, value: Native) -> None:
    """Raise `Rejected` unless the field takes this value."""
    if value is None or value is ABSENT:
        if field.required or not field.nullable:
            raise Rejected(f"field {field.name!r} needs a value", field=field.name)
        return
    if not _fits(field, value):
        kind = field.type.value if field.type is not None else "untyped"
        raise Rejected(f"field {field.name!r} ({kind}) does not take a {type(value).__name__}", field=field.name)
    if field.max_length is not None and isinstance(value, str) and len(value) > field.max_length:
        raise Rejected(f"field {field.name!r} takes at most {field.max_length} characters", field=field.name)
    if field.choices:
        offered = {choice.value for choice in field.choices}
        if any(member not in offered for member in (value if isinstance(value, list) else [value])):
            raise Rejected(f"field {field.name!r} does not offer this choice", field=field.name)


def _fits(field: Field, value: Native) -> bool:
    if field.type is None or field.type is FieldType.JSON:
        return True
    if field.type in _MANY or field.many:
        return isinstance(value, list)
    if field.type in _TEXTS or field.type in _SINGLE_OR_MANY:
        return isinstance(value, str)
    if field.type in _NUMBERS:
        return isinstance(value, Decimal | int | float) and not isinstance(value, bool)
    if field.type is FieldType.INTEGER:
        return isinstance(value, int) and not isinstance(value, bool)
    if field.type is FieldType.BOOLEAN:
        return isinstance(value, bool)
    if field.type is FieldType.DATETIME:
        return isinstance(value, datetime) and (value.tzinfo is None) == field.naive
    return isinstance(value, date) and not isinstance(value, datetime)


def pointed_at(field: Field, fields: Mapping[str, Native]) -> Sequence[str]:
    """The ids that a reference field points at."""
    value = fields.get(field.name)
    if isinstance(value, str):
        return (value,)
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else ()
