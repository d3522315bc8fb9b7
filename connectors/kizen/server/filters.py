"""
Search filters: from the clauses on the wire to one predicate (records-api.md section 5.3, "Filter clauses").

Blank values match `!=` and the negations, as everything does that is not the value; they match no comparison.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from connectors.kizen.server.errors import ApiError, ValueRefused, invalid_key
from connectors.kizen.server.metadata import MANY_OPTIONS, ONE_OPTION, Field, ObjectType, Record, Stored
from connectors.kizen.server.shapes import stored_value
from connectors.kizen.server.values import instant_of, is_uuid
from connectors.kizen.server.world import EPOCH, MICROSECOND, World

Predicate = Callable[[Record], bool]
Test = Callable[[Any], bool]

_CUSTOM: Final = re.compile(r'(?P<quote>"?)custom(?P=quote)::(?P<id>.+)')
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_TEXT_CONDITIONS: Final = frozenset(
    {"=", "!=", "contains", "!contains", "starts_with", "ends_with", "!starts_with", "!ends_with"}
)
_ORDER_CONDITIONS: Final = frozenset({"=", "!=", "<", "<=", ">", ">="})
_MONTHS: Final = range(1, 13)


def compile_query(world: World, obj: ObjectType, body: Mapping[str, Any]) -> Predicate | None:
    """The predicate of `query` and `and`; None when everything matches. Raises `ApiError` 400 on a bad filter."""
    groups = body.get("query")
    if groups is None:
        return None
    if not isinstance(groups, list):
        raise invalid_key("query", "not_a_list", "Expected a list of items.")
    compiled = [one for one in (_group(world, obj, group) for group in groups) if one is not None]
    if not compiled:
        return None
    return _combine(compiled, conjunction=body.get("and", True) is not False)


def _group(world: World, obj: ObjectType, group: object) -> Predicate | None:
    if not isinstance(group, Mapping) or not isinstance(group.get("filters", []), list):
        raise _bad("A group has filters.")
    clauses = [_clause(world, obj, clause) for clause in group.get("filters", [])]
    return _combine(clauses, conjunction=group.get("and", True) is not False) if clauses else None


def _combine(parts: Sequence[Predicate], *, conjunction: bool) -> Predicate:
    if len(parts) == 1:
        return parts[0]
    if conjunction:
        return lambda record: all(part(record) for part in parts)
    return lambda record: any(part(record) for part in parts)


def _bad(message: str) -> ApiError:
    return invalid_key("query", "invalid", message)


def _clause(world: World, obj: ObjectType, clause: object) -> Predicate:
    if not isinstance(clause, Mapping):
        raise _bad("A filter is an object.")
    field = _field(world, obj, clause)
    condition, value = clause.get("condition"), clause.get("value")
    if value is None:
        raise _bad("The value of a filter may not be null.")
    test = _test(world, field, condition, value)
    get = stored_value(world, obj, field)
    return lambda record: test(get(record))


def _field(world: World, obj: ObjectType, clause: Mapping[str, Any]) -> Field:
    kind, subtype, name = clause.get("type"), clause.get("subtype"), clause.get("field")
    if kind not in {"fields", "fields_v2"} or subtype not in {"custom", "non_custom"} or not isinstance(name, str):
        raise _bad("A filter has type, subtype, field, condition and value.")
    form = world.switches.clause_form
    field: Field | None
    if subtype == "custom":
        match = _CUSTOM.fullmatch(name)
        if match is None or (form != "any" and bool(match["quote"]) != (form == "quoted")):
            raise _bad("This spelling of a custom field is not understood.")
        field = obj.fields.get(match["id"].lower())
    else:
        if (form == "quoted" and kind != "fields" and name != "stage") or (form == "bare" and kind != "fields_v2"):
            raise _bad("This spelling of a system field is not understood.")
        field = obj.by_name.get(name)
        if field is not None and not field.default:
            field = None
    if field is None or not field.visible:
        raise _bad("There is no such field.")
    if field.settings.get("stage") and clause.get("overwrite") != {"type": "stage"}:
        raise _bad("A stage is filtered with overwrite.")
    return field


def _test(world: World, field: Field, condition: object, value: Any) -> Test:
    if not isinstance(condition, str):
        raise _bad("A filter has a condition.")
    if condition == "is_blank":
        return _blank(field, value)
    made: Test | None
    match field.type:
        case "text" | "longtext" | "wysiwyg" | "email" | "phonenumber":
            made = _text(world, condition, value)
        case "integer" | "decimal" | "money":
            made = _ordered(condition, value, _number)
        case "rating":
            made = _rating(condition, value)
        case "date":
            made = _date(condition, value)
        case "datetime":
            made = _datetime(world, condition, value)
        case "checkbox":
            if not isinstance(value, bool):
                raise _bad("A checkbox is true or false.")
            made = (lambda stored: bool(stored) is value) if condition == "=" else None
        case kind if kind in ONE_OPTION:
            made = _one_of(condition, _ids(field, value, slug=field.name == "email_status"))
        case kind if kind in MANY_OPTIONS:
            made = _has(condition, _list(value))
        case "relationship":
            made = _related(condition, _list(value))
        case "team_selector":
            made = _one_of(condition, [world.me if one == "is_me" else one for one in _scalars(value)])
        case "timezone":
            made = _one_of(condition, _scalars(value))
        case "files":
            made = _count(condition, value)
        case _:
            made = None
    if made is None:
        raise _bad(f"The condition {condition} does not exist for {field.type}.")
    return made


def _blank(field: Field, value: Any) -> Test:
    if not isinstance(value, bool):
        raise _bad("is_blank is true or false.")
    if field.name in {"created", "updated", "owner"} and field.default:
        raise _bad(f"is_blank does not exist for {field.name}.")
    return lambda stored: (stored is None) is value


def _text(world: World, condition: str, value: Any) -> Test | None:
    if condition not in _TEXT_CONDITIONS:
        return None
    if not isinstance(value, str):
        raise _bad("A text is compared with a text.")
    fold: Callable[[str], str] = str.casefold if world.switches.text_filters == "insensitive" else str
    wanted = fold(value)
    plain: Mapping[str, Callable[[str], bool]] = {
        "=": lambda text: text == wanted,
        "contains": lambda text: wanted in text,
        "starts_with": lambda text: text.startswith(wanted),
        "ends_with": lambda text: text.endswith(wanted),
    }
    if condition[0] == "!":
        test = plain[condition[1:] if condition != "!=" else "="]
        return lambda stored: stored is None or not test(fold(stored))
    test = plain[condition]
    return lambda stored: stored is not None and test(fold(stored))


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _bad("A number is compared with a number.")
    return Decimal(str(value))


def _ordered(condition: str, value: Any, convert: Callable[[Any], Any]) -> Test | None:
    if condition == "between":
        if not isinstance(value, list) or len(value) != 2:
            raise _bad("between has two values.")
        low, high = convert(value[0]), convert(value[1])
        return lambda stored: stored is not None and low <= stored <= high
    if condition not in _ORDER_CONDITIONS:
        return None
    return _compare(condition, convert(value))


def _compare(condition: str, wanted: Any) -> Test | None:
    match condition:
        case "=":
            return lambda stored: stored is not None and bool(stored == wanted)
        case "!=":
            return lambda stored: stored is None or bool(stored != wanted)
        case "<":
            return lambda stored: stored is not None and bool(stored < wanted)
        case "<=":
            return lambda stored: stored is not None and bool(stored <= wanted)
        case ">":
            return lambda stored: stored is not None and bool(stored > wanted)
        case ">=":
            return lambda stored: stored is not None and bool(stored >= wanted)
        case _:
            return None


def _rating(condition: str, value: Any) -> Test | None:
    def stars(one: Any) -> int:
        if not isinstance(one, str) or not one.isdecimal():
            raise _bad("A rating is compared with its number as a string.")
        return int(one)

    if condition in {"is_any_of", "is_none_of"}:
        return _one_of(condition, [stars(one) for one in _list(value)])
    return _ordered(condition, value, stars) if condition != "between" else None


def _date(condition: str, value: Any) -> Test | None:
    if condition == "month_equals":
        month = _month(value)
        return lambda stored: stored is not None and int(stored[5:7]) == month

    def day(one: Any) -> str:
        return _parse_day(one).isoformat()

    return _ordered(condition, value, day)


def _month(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value not in _MONTHS:
        raise _bad("A month is a number from 1 to 12.")
    return value


def _parse_day(value: Any) -> dt.date:
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return dt.date.fromisoformat(value)
        except ValueError as error:
            raise _bad("There is no such date.") from error
    raise _bad("A date is written YYYY-MM-DD.")


def _datetime(world: World, condition: str, value: Any) -> Test | None:
    if condition == "month_equals":
        month = _month(value)
        return lambda stored: (
            stored is not None and (EPOCH + dt.timedelta(microseconds=stored)).astimezone(world.zone).month == month
        )
    if condition == "between":
        if not isinstance(value, list) or len(value) != 2:
            raise _bad("between has two values.")
        start, end = _span(world, value[0])[0], _span(world, value[1])[1]
        return lambda stored: stored is not None and start <= stored <= end
    if condition not in _ORDER_CONDITIONS:
        return None
    first, last = _span(world, value)
    match condition:
        case "=":
            return lambda stored: stored is not None and first <= stored <= last
        case "!=":
            return lambda stored: stored is None or not first <= stored <= last
        case "<" | ">=":
            return _compare(condition, first)
        case _:
            return _compare(condition, last)


def _span(world: World, value: Any) -> tuple[int, int]:
    """First and last microsecond of what is named: an instant, or a whole day of the business where the date is bare."""
    if isinstance(value, str) and _DAY.fullmatch(value):
        day = _parse_day(value)
        try:
            begin = dt.datetime.combine(day, dt.time(), world.zone)
            end = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), world.zone)
            return (begin - EPOCH) // MICROSECOND, (end - EPOCH) // MICROSECOND - 1
        except OverflowError as error:
            raise _bad("Out of range.") from error
    try:
        moment = instant_of(world, value)
    except ValueRefused as error:
        raise _bad(error.message) from error
    return moment, moment


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _bad("This condition takes a list.")
    return value


def _scalars(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in items):
        raise _bad("This condition takes ids.")
    return list(items)


def _ids(field: Field, value: Any, *, slug: bool) -> list[str]:
    items = _scalars(value)
    if slug:
        by_code = {option.code: option.id for option in field.options}
        if any(one not in by_code for one in items):
            raise _bad("email_status is compared with its slug.")
        return [by_code[one] for one in items]
    if not all(is_uuid(one) for one in items):
        raise _bad("An option is compared by its id.")
    return [one.lower() for one in items]


def _one_of(condition: str, wanted: Sequence[Stored]) -> Test | None:
    chosen = frozenset(wanted)
    if condition in {"=", "!="} and len(chosen) != 1:
        raise _bad("This condition takes a single value.")
    match condition:
        case "=" | "is_any_of":
            return lambda stored: stored in chosen
        case "!=" | "is_none_of":
            return lambda stored: stored not in chosen
        case _:
            return None


def _has(condition: str, wanted: Sequence[Any]) -> Test | None:
    chosen = frozenset(_scalars(wanted))
    match condition:
        case "has":
            return lambda stored: chosen.issubset(stored or ())
        case "!has":
            return lambda stored: not chosen.issubset(stored or ())
        case "has_any":
            return lambda stored: not chosen.isdisjoint(stored or ())
        case "!has_any":
            return lambda stored: chosen.isdisjoint(stored or ())
        case _:
            return None


def _related(condition: str, wanted: Sequence[Any]) -> Test | None:
    spelled = {"contains": "has", "!contains": "!has", "is_any_of": "has_any", "is_none_of": "!has_any"}.get(condition)
    return None if spelled is None else _has(spelled, [str(one).lower() for one in _scalars(wanted)])


def _count(condition: str, value: Any) -> Test | None:
    if condition not in {">", ">=", "<"}:
        return None
    test = _compare(condition, _number(value))
    assert test is not None
    return lambda stored: test(len(stored or ()))
