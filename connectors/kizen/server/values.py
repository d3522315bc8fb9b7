"""
What each field type accepts, and what is stored of it (records-api.md section 4, "Write"); `readers` is the way out.

`parse` takes a wire value to the stored value, None for blank, and raises `ValueRefused` if it does not fit.
"""

# ruff: noqa: ARG001 - parsers share one signature

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import cache
from typing import Any, Final

import phonenumbers

from connectors.kizen.server.errors import ValueRefused
from connectors.kizen.server.metadata import (
    MANY_OPTIONS,
    ONE_OPTION,
    TEXTS,
    Field,
    Option,
    Stored,
    folded,
)
from connectors.kizen.server.world import EPOCH, MICROSECOND, World

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_INTEGER_LIMIT: Final = 2**31
_TEXT_LIMIT: Final = 255
_DECIMAL_DIGITS: Final = 30


def parse(world: World, field: Field, raw: Any) -> Stored | None:
    """The stored form of a wire value, None if it is blank. Raises `ValueRefused`."""
    if raw is None:
        if not (field.allows_nulls and world.switches.null_clears) or field.required:
            raise ValueRefused("required" if field.required else "null", "This field may not be null.")
        return None
    if raw in ("", []):
        if not isinstance(raw, list) and field.type not in TEXTS and field.type not in ONE_OPTION:
            raise ValueRefused("invalid", f"An empty text is no {field.type}.")
        if isinstance(raw, list) and not field.multiple:
            raise ValueRefused("invalid", "A single value was expected, not a list.")
        if not field.allows_empty or field.required:
            raise ValueRefused("required" if field.required else "blank", "This field may not be blank.")
        return None
    return _PARSERS[field.type](world, field, raw)


def read_only_for_api(field: Field) -> bool:
    """Whether the records endpoints refuse to write it: computed fields, files (section 9), stages (through `move` only)."""
    return field.read_only or not field.editable or field.type == "files" or field.settings.get("computed") is not None


# In: one function a type


def _text(world: World, field: Field, raw: Any) -> Stored | None:
    if not isinstance(raw, str):
        raise ValueRefused("invalid", "Not a valid string.")
    if "\0" in raw:
        raise ValueRefused("null_characters_not_allowed", "Null characters are not allowed.")
    text = raw.strip() if world.switches.trim_text else raw
    if field.type == "text" and len(text) > _TEXT_LIMIT:
        if world.switches.text_overflow == "reject":
            raise ValueRefused("max_length", f"Ensure this field has no more than {_TEXT_LIMIT} characters.")
        text = text[:_TEXT_LIMIT]
    if not text and field.required:
        raise ValueRefused("required", "This field may not be blank.")
    return text or None


def _email(world: World, field: Field, raw: Any) -> Stored | None:
    text = _text(world, field, raw)
    if isinstance(text, str):
        if not _EMAIL.fullmatch(text.strip() if world.switches.trim_text else text):
            raise ValueRefused("invalid", "Enter a valid email address.")
        if world.switches.lowercase_emails:
            text = text.lower()
    return text


def _phone(world: World, field: Field, raw: Any) -> Stored | None:
    if not isinstance(raw, str):
        raise ValueRefused("invalid", "The phone number entered is not valid.")
    try:
        number = phonenumbers.parse(raw, world.business.phone_region)
    except phonenumbers.NumberParseException as error:
        raise ValueRefused("invalid", "The phone number entered is not valid.") from error
    judge = phonenumbers.is_valid_number if world.switches.phone_numbers == "valid" else phonenumbers.is_possible_number
    if not judge(number) or number.extension:
        raise ValueRefused("invalid", "The phone number entered is not valid.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _whole(raw: Any) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise ValueRefused("invalid", "A valid integer is required.")
    try:
        number = int(raw)
    except ValueError as error:
        raise ValueRefused("invalid", "A valid integer is required.") from error
    if isinstance(raw, float) and raw != number:
        raise ValueRefused("invalid", "A valid integer is required.")
    return number


def _integer(world: World, field: Field, raw: Any) -> Stored | None:
    number = _whole(raw)
    if not -_INTEGER_LIMIT <= number < _INTEGER_LIMIT:
        raise ValueRefused("limit_exceeded", f"An integer is between {-_INTEGER_LIMIT} and {_INTEGER_LIMIT - 1}.")
    return number


def _decimal(world: World, field: Field, raw: Any) -> Stored | None:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise ValueRefused("invalid", "A valid number is required.")
    try:
        number = Decimal(str(raw))
    except InvalidOperation as error:
        raise ValueRefused("invalid", "A valid number is required.") from error
    if not number.is_finite() or number.adjusted() >= _DECIMAL_DIGITS:
        raise ValueRefused("invalid", "A valid number is required.")
    places = field.settings.get("decimal_places")
    if places is not None:
        rounded = number.quantize(Decimal(1).scaleb(-int(places)), rounding=ROUND_HALF_UP)
        if rounded != number and world.switches.decimal_excess == "reject":
            raise ValueRefused("max_decimal_places", f"Ensure that there are no more than {places} decimal places.")
        number = rounded
    low, high = field.settings.get("min_value"), field.settings.get("max_value")
    if (low is not None and number < Decimal(str(low))) or (high is not None and number > Decimal(str(high))):
        raise ValueRefused("limit_exceeded", f"Ensure this value is between {low} and {high}.")
    return number


def _date(world: World, field: Field, raw: Any) -> Stored | None:
    if not isinstance(raw, str) or not _DATE.fullmatch(raw):
        raise ValueRefused("invalid", "Date has wrong format. Use one of these formats instead: YYYY-MM-DD.")
    try:
        return dt.date.fromisoformat(raw).isoformat()
    except ValueError as error:
        raise ValueRefused("invalid", "There is no such date.") from error


def instant_of(world: World, raw: Any) -> int:
    """Microseconds of an ISO 8601 text; one without an offset is in the zone of the business. Raises `ValueRefused`."""
    problem = ValueRefused("invalid", "Datetime has wrong format. Use ISO 8601 with an offset.")
    if not isinstance(raw, str) or _DATE.fullmatch(raw):
        raise problem
    try:
        moment = dt.datetime.fromisoformat(raw)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=world.zone)
        return (moment - EPOCH) // MICROSECOND
    except (ValueError, OverflowError) as error:
        raise problem from error


def _datetime(world: World, field: Field, raw: Any) -> Stored | None:
    microseconds = instant_of(world, raw)
    try:
        world.instant(microseconds)
    except OverflowError as error:
        raise ValueRefused("invalid", "Out of range.") from error
    return microseconds


def _checkbox(world: World, field: Field, raw: Any) -> Stored | None:
    if not isinstance(raw, bool):
        raise ValueRefused("invalid", "Must be a valid boolean.")
    return raw


def _reference(world: World, raw: Any) -> tuple[str, str]:
    """("id", x) or ("name", x), from the forms of C4: a bare id, {"id": x}, {"name": x}."""
    form = world.switches.option_write
    if isinstance(raw, str) and form != "object":
        return "id", raw
    if isinstance(raw, Mapping) and form != "bare":
        for key in ("id", "name"):
            if isinstance(raw.get(key), str):
                return key, raw[key]
    raise ValueRefused("invalid", "A value is given by its id.")


def _choose(world: World, field: Field, raw: Any) -> Option:
    key, wanted = _reference(world, raw)
    for option in field.options:
        if (option.id == wanted.lower()) if key == "id" else (folded(option.name) == folded(wanted)):
            return option
    raise ValueRefused("does_not_exist", f"There is no such option of {field.display_name}.")


def _option(world: World, field: Field, raw: Any) -> Stored | None:
    return _choose(world, field, raw).id


def _options(world: World, field: Field, raw: Any) -> Stored | None:
    if not isinstance(raw, list):
        raise ValueRefused("not_a_list", "Expected a list of items.")
    chosen: dict[str, None] = {}
    for item in raw:
        if (
            field.type == "dynamictags"
            and world.switches.create_tags_on_write
            and isinstance(item, Mapping)
            and isinstance(item.get("name"), str)
            and item["name"].strip()
            and all(folded(option.name) != folded(item["name"]) for option in field.options)
        ):
            field = _add_tag(world, field, item["name"])
        chosen[_choose(world, field, item).id] = None
    return tuple(chosen) or None


def _add_tag(world: World, field: Field, name: str) -> Field:
    found = world.field(field.id)
    assert found is not None
    obj, current = found
    tag = Option(id=world.new_id(), name=name, order=len(current.options))
    grown = replace(current, options=(*current.options, tag))
    world.put_field(obj, grown)
    return grown


def _rating(world: World, field: Field, raw: Any) -> Stored | None:
    highest = int(field.settings.get("max_value", 5))
    stars = int(_choose(world, field, raw).code) if isinstance(raw, Mapping) else _whole(raw)
    if not 1 <= stars <= highest:
        raise ValueRefused("limit_exceeded", f"A rating is between 1 and {highest}.")
    return stars


def _related(world: World, field: Field, raw: Any) -> str:
    assert field.relation is not None
    key, wanted = _reference(world, raw)
    obj = world.objects[field.relation.object_id]
    if key == "name":
        match = next((one for one in world.with_key(obj, wanted) if not one.archived), None)
    else:
        match = obj.records.get(wanted.lower())
    if match is None or match.archived or not match.visible:
        raise ValueRefused("does_not_exist", f"There is no such record of {obj.object_name}.")
    return match.id


def _relationship(world: World, field: Field, raw: Any) -> Stored | None:
    assert field.relation is not None
    if not field.relation.to_many:
        if isinstance(raw, list):
            raise ValueRefused("invalid", "A single value was expected, not a list.")
        return (_related(world, field, raw),)
    if not isinstance(raw, list):
        raise ValueRefused("not_a_list", "Expected a list of items.")
    return tuple(dict.fromkeys(_related(world, field, item) for item in raw)) or None


def _team(world: World, field: Field, raw: Any) -> Stored | None:
    wanted = raw.get("id") if isinstance(raw, Mapping) else raw
    employee = world.employees.get(wanted.lower()) if isinstance(wanted, str) else None
    if employee is None or not employee.active:
        raise ValueRefused("does_not_exist", "There is no such active team member.")
    return employee.id


@cache
def _is_zone(name: str) -> bool:
    # One file is looked for; `available_timezones` would open all six hundred.
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _timezone(world: World, field: Field, raw: Any) -> Stored | None:
    if not isinstance(raw, str) or not _is_zone(raw):
        raise ValueRefused("invalid", "There is no such time zone.")
    return raw


def _files(world: World, field: Field, raw: Any) -> Stored | None:
    if not isinstance(raw, list) or not all(isinstance(item, Mapping) and isinstance(item.get("id"), str) for item in raw):
        raise ValueRefused("invalid", "Files are listed with their ids.")
    return tuple(dict(item) for item in raw) or None


_PARSERS: Final[Mapping[str, Callable[[World, Field, Any], Stored | None]]] = {
    "text": _text,
    "longtext": _text,
    "wysiwyg": _text,
    "email": _email,
    "phonenumber": _phone,
    "integer": _integer,
    "decimal": _decimal,
    "money": _decimal,
    "date": _date,
    "datetime": _datetime,
    "checkbox": _checkbox,
    **dict.fromkeys(ONE_OPTION, _option),
    **dict.fromkeys(MANY_OPTIONS, _options),
    "rating": _rating,
    "relationship": _relationship,
    "team_selector": _team,
    "timezone": _timezone,
    "files": _files,
}


def is_uuid(text: object) -> bool:
    """Whether it has the form that the platform's paths and ids have (section 2.1)."""
    return isinstance(text, str) and _UUID.fullmatch(text) is not None
