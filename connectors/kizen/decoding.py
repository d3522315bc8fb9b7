"""
From the wire to what people know, for every field type (records-api.md section 4). Pure.

People see options and tags by their names, amounts as Decimal, the team by email, a stage by its name; related records are
ids, because the engine resolves them through links. A blank is None, whether it came as nothing, null, "" or [] (C5); but
several values without any are an empty list, and an unticked checkbox is False, because the platform means that by null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from connectors.kizen.metadata import FieldInfo, Kind
from syncengine.connector import Native
from syncengine.errors import ProtocolError

Decode = Callable[[Any], Native]


def decoder(field: FieldInfo) -> Decode:
    """How to read the `value` of an entry of this field. It raises ProtocolError on a shape that nobody knows."""
    decode = _DECODERS[field.kind](field)

    def read(value: Any) -> Native:
        # Some clients of the platform have seen values one level deeper (section 3.1).
        while isinstance(value, Mapping) and value.keys() == {"value"}:
            value = value["value"]
        if value is None or value == "" or value == []:
            return blank_of(field)
        try:
            return decode(value)
        except (ValueError, TypeError, KeyError, AttributeError, InvalidOperation, OverflowError):
            raise ProtocolError(
                f"the field {field.shown} of type {field.type} holds a value of a shape that is not known"
            ) from None

    return read


def blank_of(field: FieldInfo) -> Native:
    """What a field without a value holds, as people know it."""
    if field.many:
        return []
    return False if field.kind is Kind.CHECKBOX else None


def _text(_: FieldInfo) -> Decode:
    return lambda value: value if isinstance(value, str) else str(_scalar(value))


def _integer(_: FieldInfo) -> Decode:
    return lambda value: whole(Decimal(str(_scalar(value))))


def _number(_: FieldInfo) -> Decode:
    return lambda value: Decimal(str(_scalar(value)))


def _money(_: FieldInfo) -> Decode:
    def read(value: Any) -> Native:
        amount = value["amount"] if isinstance(value, Mapping) else value
        return None if amount is None or amount == "" else Decimal(str(_scalar(amount)))

    return read


def _date(_: FieldInfo) -> Decode:
    return date.fromisoformat


def _datetime(_: FieldInfo) -> Decode:
    return aware


def aware(text: str) -> datetime:
    """An instant of the platform. Raises ValueError for one without an offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no offset")
    return moment


def _checkbox(_: FieldInfo) -> Decode:
    def read(value: Any) -> Native:
        if not isinstance(value, bool):
            raise TypeError("not a boolean")
        return value

    return read


def _option(field: FieldInfo) -> Decode:
    known = {option.id: option.value for option in field.options}
    doubtful = {option.id for option in field.options if option.value == option.id}

    def read(value: Any) -> Native:
        if isinstance(value, str):
            return known.get(value, value)
        # The name in the record is newer than the one in our metadata.
        id_, name = str(value.get("id", "")), value.get("name")
        return id_ if id_ in doubtful else str(name or known[id_])

    return read


def _options(field: FieldInfo) -> Decode:
    read = _option(field)
    return lambda value: [read(item) for item in _list(value)]


def _rating(_: FieldInfo) -> Decode:
    def read(value: Any) -> Native:
        stars = (value.get("code") or value.get("name")) if isinstance(value, Mapping) else value
        return whole(Decimal(str(_scalar(stars))))

    return read


def _relation(field: FieldInfo) -> Decode:
    assert field.relation is not None
    if field.relation.many:
        return lambda value: [_id(item) for item in _list(value)]

    def read(value: Any) -> Native:
        items = _list(value)
        return _id(items[0]) if items else None

    return read


def _member(_: FieldInfo) -> Decode:
    return lambda value: str(value.get("email") or _id(value)) if isinstance(value, Mapping) else str(_scalar(value))


def _timezone(_: FieldInfo) -> Decode:
    return lambda value: _id(value)


def _files(_: FieldInfo) -> Decode:
    # Addresses of files expire, so that they would look like changes.
    return lambda value: [{key: str(item[key]) for key in ("id", "name") if key in item} for item in _list(value)]


def _stage(field: FieldInfo) -> Decode:
    return _option(field)


def _unknown(_: FieldInfo) -> Decode:
    return lambda _value: None


def _scalar(value: Any) -> Any:
    if isinstance(value, bool | Mapping | list):
        raise TypeError("not a scalar")
    return value


def whole(number: Decimal) -> int:
    if number.adjusted() > 30 or number != number.to_integral_value():
        raise ValueError("not an integer")
    return int(number)


def _list(value: Any) -> list[Any]:
    # One related record comes as an object or as a list of one, whatever the cardinality (section 4).
    return value if isinstance(value, list) else [value]


def _id(value: Any) -> str:
    return str(value["id"] if isinstance(value, Mapping) else _scalar(value))


_DECODERS: Final[Mapping[Kind, Callable[[FieldInfo], Decode]]] = {
    Kind.TEXT: _text,
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.MONEY: _money,
    Kind.DATE: _date,
    Kind.DATETIME: _datetime,
    Kind.CHECKBOX: _checkbox,
    Kind.OPTION: _option,
    Kind.OPTIONS: _options,
    Kind.TAGS: _options,
    Kind.RATING: _rating,
    Kind.RELATION: _relation,
    Kind.MEMBER: _member,
    Kind.TIMEZONE: _timezone,
    Kind.FILES: _files,
    Kind.STAGE: _stage,
    Kind.UNKNOWN: _unknown,
}
