"""
From what people know to the wire, for every field type (records-api.md sections 3.3 and 4). Pure.

A value that can't be sent is refused here, naming the field and never the value, before any call is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, Final, Protocol

from connectors.kizen.decoding import whole
from connectors.kizen.metadata import LARGEST_INTEGER, FieldInfo, Kind, Option
from syncengine.connector import Native, SetChange
from syncengine.errors import Rejected


class OptionShape(Enum):
    """How an option or a related record goes out (C4)."""

    OBJECT = "object"
    BARE = "bare"


class BlankShape(Enum):
    """How a blank goes out where both are thinkable; nobody documents it (records-api.md section 15.7)."""

    NULL = "null"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Shapes:
    """The shapes in use; `alternative` is what to try once when a value was refused in a shape not proved yet."""

    option: OptionShape = OptionShape.OBJECT
    blank: BlankShape = BlankShape.NULL

    def alternative(self, *, option: bool, blank: bool) -> Shapes:
        """These shapes with the other form of the named ones."""
        made = self
        if option:
            made = replace(made, option=OptionShape.BARE if self.option is OptionShape.OBJECT else OptionShape.OBJECT)
        if blank:
            made = replace(made, blank=BlankShape.EMPTY if self.blank is BlankShape.NULL else BlankShape.NULL)
        return made


class Directory(Protocol):
    """Who knows ids that metadata does not hold. Both answer None for a name that does not exist."""

    def member(self, email: str) -> str | None: ...

    def tag(self, field: FieldInfo, name: str) -> str | None: ...


class UnknownOption(Rejected):
    """The value is no option of the field, as far as our metadata goes."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """An option or a related record: by id, or a tag by a name that does not exist yet."""

    id: str | None
    name: str = ""

    def wire(self, shapes: Shapes) -> Any:
        """As it goes out."""
        if self.id is None:
            return {"name": self.name}
        return {"id": self.id} if shapes.option is OptionShape.OBJECT else self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of the `fields` array, before its shape is settled. `key` is value, add_values or remove_values."""

    field: FieldInfo
    key: str
    value: Any

    @property
    def has_options(self) -> bool:
        """Whether the shape of options matters for it."""
        return isinstance(self.value, Chosen) or (isinstance(self.value, tuple) and bool(self.value))

    @property
    def is_blank(self) -> bool:
        """Whether the shape of blanks matters for it."""
        return self.value is None and self.field.kind in _BLANK_TWICE

    def wire(self, shapes: Shapes) -> dict[str, Any]:
        """As it goes out, addressed by field id: names are refused for contacts (section 5.4)."""
        return {"id": self.field.id, self.key: self._value(shapes)}

    def _value(self, shapes: Shapes) -> Any:
        match self.value:
            case None if self.is_blank and (shapes.blank is BlankShape.EMPTY or not self.field.allows_nulls):
                return ""
            case Chosen() as one:
                return one.wire(shapes)
            case tuple() as several:
                return [one.wire(shapes) for one in several]
            case plain:
                return plain


_BLANK_TWICE: Final = frozenset({Kind.TEXT, Kind.OPTION})


def entries_for(field: FieldInfo, native: Native, directory: Directory) -> list[Entry]:
    """
    What to send so that the field holds the native value.

    Raises Rejected, naming the field and never the value, where it can't be: another type, no such option, read-only.
    """
    if field.read_only:
        raise Rejected(f"the field {field.shown} can't be written through the API", field=field.name)
    if isinstance(native, SetChange):
        if not field.many:
            raise Rejected(f"the field {field.shown} holds one value: it can't be added to", field=field.name)
        add = _several(field, native.add, directory)
        # The same option in other letters is added and removed at once: it stays.
        remove = tuple(one for one in _several(field, native.remove, directory) if one not in add)
        pairs = (("add_values", add), ("remove_values", remove))
        return [Entry(field=field, key=key, value=items) for key, items in pairs if items]
    return [Entry(field=field, key="value", value=_encoded(field, native, directory))]


def _encoded(field: FieldInfo, native: Native, directory: Directory) -> Any:
    if field.kind is Kind.CHECKBOX and native is None:
        return False
    if field.many:
        if native is None or isinstance(native, str | bytes) or not isinstance(native, Sequence | set | frozenset):
            if native is None:
                return None if not field.allows_empty else ()
            raise _misfit(field, "a list")
        return _several(field, list(native), directory)
    if native is None or native == "":
        if field.required or not (field.allows_nulls or field.allows_empty):
            raise Rejected(f"the field {field.shown} may not be blank", field=field.name)
        return None
    return _one(field, native, directory)


def _one(field: FieldInfo, native: Native, directory: Directory) -> Any:
    match field.kind, native:
        case ((Kind.TEXT | Kind.TIMEZONE), str()):
            return _sendable(field, native)
        case ((Kind.INTEGER | Kind.RATING), (int() | Decimal())) if not isinstance(native, bool):
            return _bounded(field, native)
        case ((Kind.NUMBER | Kind.MONEY), (int() | float() | Decimal())) if not isinstance(native, bool):
            return _exact(field, Decimal(str(native)))
        case Kind.DATE, date() if not isinstance(native, datetime):
            return native.isoformat()
        case Kind.DATETIME, datetime() if native.tzinfo is not None:
            return _utc(field, native)
        case Kind.CHECKBOX, bool():
            return native
        case Kind.OPTION, str():
            return Chosen(option_named(field, native).id)
        case Kind.RELATION, str():
            return Chosen(_sendable(field, native))
        case Kind.MEMBER, str():
            return _member_id(field, native, directory)
        case _:
            raise _misfit(field, _EXPECTED.get(field.kind, "another value"))


def _several(field: FieldInfo, items: Sequence[Native], directory: Directory) -> tuple[Chosen, ...]:
    chosen = []
    for item in items:
        if not isinstance(item, str) or not item:
            raise _misfit(field, "texts in its list")
        match field.kind:
            case Kind.TAGS:
                name = _sendable(field, item)
                known = directory.tag(field, name)
                chosen.append(Chosen(known) if known is not None else Chosen(None, name))
            case Kind.OPTIONS:
                chosen.append(Chosen(option_named(field, item).id))
            case _:
                chosen.append(Chosen(_sendable(field, item)))
    return tuple(dict.fromkeys(chosen))


def option_named(field: FieldInfo, text: str) -> Option:
    """The option that people call so: by its name, its id or its code, at last without regard to case."""
    tests: tuple[Callable[[Option], bool], ...] = (
        lambda option: option.value == text,
        lambda option: option.id == text,
        lambda option: option.code == text,
        lambda option: option.value.casefold() == text.casefold(),
        lambda option: option.code.casefold() == text.casefold(),
    )
    for test in tests:
        found = [option for option in field.options if test(option)]
        if len(found) == 1:
            return found[0]
    raise UnknownOption(
        f"the field {field.shown} has no option of this name; add it on the platform, or map the value with `values`",
        field=field.name,
    )


def _member_id(field: FieldInfo, email: str, directory: Directory) -> str:
    found = directory.member(_sendable(field, email))
    if found is None:
        raise Rejected(f"no active team member that we may see has the email given for {field.shown}", field=field.name)
    return found


def _utc(field: FieldInfo, moment: datetime) -> str:
    try:
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except OverflowError:
        raise _misfit(field, "an instant between the years 1 and 9999") from None


def _bounded(field: FieldInfo, native: int | Decimal) -> int:
    try:
        number = whole(Decimal(native))
    except (ValueError, InvalidOperation):
        raise _misfit(field, "a whole number") from None
    if not -LARGEST_INTEGER <= number < LARGEST_INTEGER:
        raise Rejected(f"the field {field.shown} holds integers of 4 bytes only", field=field.name)
    return number


def _exact(field: FieldInfo, number: Decimal) -> int | float:
    """The same number as JSON has it: the platform takes numbers, and a double holds about 15 digits."""
    if not number.is_finite() or number.adjusted() > 30:
        raise _misfit(field, "a number")
    if number == number.to_integral_value() and abs(number) < 2**53:
        return int(number)
    nearest = float(number)
    if Decimal(repr(nearest)) != number:
        raise Rejected(f"the number for {field.shown} has more digits than the API can carry", field=field.name)
    return nearest


def _sendable(field: FieldInfo, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Rejected(f"the text for {field.shown} holds half a character (a lone surrogate)", field=field.name) from None
    return text


def _misfit(field: FieldInfo, wanted: str) -> Rejected:
    return Rejected(f"the field {field.shown} of type {field.type} takes {wanted}", field=field.name)


_EXPECTED: Final[Mapping[Kind, str]] = {
    Kind.TEXT: "a text",
    Kind.TIMEZONE: "the name of a time zone",
    Kind.INTEGER: "a whole number",
    Kind.RATING: "a whole number",
    Kind.NUMBER: "a number",
    Kind.MONEY: "a number",
    Kind.DATE: "a date",
    Kind.DATETIME: "an instant with an offset",
    Kind.CHECKBOX: "true or false",
    Kind.OPTION: "the name of an option",
    Kind.RELATION: "the id of a record",
    Kind.MEMBER: "the email of a team member",
}
