"""What came in at `/ingest`, made of its body: fields of the right types and the key they belong to, or what is wrong. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from syncengine.connector import ABSENT, Fields, FieldType, Native
from syncengine.core.keys import composite_key, email_key, text_key
from syncengine.core.unmappable import Unmappable
from syncengine.core.values.number import NumberFormat, is_too_long
from syncengine.daemon.events import EventField, EventsOptions
from syncengine.http import parse_json

JSON: Final = "json"
FORM: Final = "form"

_MOST_FORM_FIELDS: Final = 1_000
_LONGEST_KEY: Final = 1_000
_LONGEST_EVENT_ID: Final = 200
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)*\.?")
_PHONE: Final = re.compile(r"(?=(?:\D*\d){3})[+\d][\d\s()./-]*(?:(?:ext|x)\.?\s*\d+)?", re.IGNORECASE)
_YES: Final = frozenset({"true", "yes", "y", "1", "on"})
_NO: Final = frozenset({"false", "no", "n", "0", "off"})
_NUMBERS: Final = NumberFormat(None, ".")
_LATEST_SECONDS: Final = 10**11


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with an event, in words that hold none of its values; `field` is empty where it is about the whole."""

    field: str
    wrong: str
    cure: str

    def __str__(self) -> str:
        return (f"field {self.field!r} " if self.field else "the event ") + f"{self.wrong}: {self.cure}"


class BadEventError(Exception):
    """The event cannot be taken; `status` is the HTTP status that says so."""

    def __init__(self, faults: Sequence[Fault], *, status: int = 422) -> None:
        self.faults = tuple(faults)
        self.status = status
        super().__init__("; ".join(map(str, faults)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event that can be taken: the id of its record, and the fields that it names. `event` is the sender's id of it."""

    record: str
    fields: Fields
    event: str | None


def kind_of(content_type: str) -> str | None:
    """`JSON` or `FORM`, None for a kind of body that is not taken."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        return JSON
    return FORM if kind == "application/x-www-form-urlencoded" else None


def event_id_of(options: EventsOptions, headers: Mapping[str, str], document: Mapping[str, object]) -> str | None:
    """
    The sender's id of an event; None where events have none.

    Raises BadEventError where the config says that there is one.
    """
    where = options.event_id or ("header:webhook-id" if options.signed else "")
    if not where:
        return None
    scheme, _, name = where.partition(":")
    given: object = headers.get(name.lower(), "") if scheme == "header" else at(document, where)
    if isinstance(given, list) and len(given) == 1:
        [given] = given  # of a form
    text = str(given) if isinstance(given, str | int) and not isinstance(given, bool) else ""
    if not text or len(text) > _LONGEST_EVENT_ID or not text.isprintable():
        what = f"the header {name}" if scheme == "header" else f"the member {where}"
        cure = f"send it in {what}, as text of at most {_LONGEST_EVENT_ID} characters"
        raise BadEventError([Fault(field="", wrong="has no id", cure=cure)], status=400)
    return text


def document_of(form: str, body: bytes) -> Mapping[str, object]:
    """The members of a body; those of a form are lists of texts. Raises BadEventError for what cannot be read."""
    try:
        document = parse_json(body) if form == JSON else _form(body)
    except ValueError as error:
        cure = "send a JSON object, or a form (application/x-www-form-urlencoded)"
        raise BadEventError([Fault(field="", wrong=f"cannot be read ({error})", cure=cure)], status=400) from None
    if not isinstance(document, dict):
        fault = Fault(field="", wrong="is JSON, but no object", cure='send one event a request, as {"name": value, ...}')
        raise BadEventError([fault], status=400)
    return document


def event_of(options: EventsOptions, form: str, document: Mapping[str, object], event: str | None) -> Event:
    """
    The event that a body holds. What it does not name is not touched, nor what a form leaves blank; null clears.

    Raises BadEventError with everything that is wrong with it.
    """
    fields: dict[str, Native] = {}
    faults: list[Fault] = []
    for name, field in options.fields.items():
        given = at(document, field.from_ or name)
        if form == FORM:
            given = _of_form(given, field)
        try:
            value = _native(given, field, options.zone)
        except ValueError as error:
            faults.append(Fault(field=name, wrong=error.args[0], cure=error.args[1]))
            continue
        if value is not ABSENT:
            fields[name] = value
        if (field.required or name in options.key) and (value is ABSENT or value is None or value == ""):
            wrong = "is missing" if value is ABSENT else "is empty"
            faults.append(Fault(field=name, wrong=wrong, cure=f"send it as {field.from_ or name}"))
    if faults:
        raise BadEventError(faults)
    return Event(record=_key(options, fields), fields=fields, event=event)


def at(document: object, path: str) -> object:
    """What stands at a dotted path, ABSENT where nothing does; a member whose own name has dots comes first."""
    if isinstance(document, dict) and path in document:
        return document[path]
    for part in path.split("."):
        if isinstance(document, dict) and part in document:
            document = document[part]
        elif isinstance(document, list) and part.isascii() and part.isdigit() and len(part) < 5 and int(part) < len(document):
            document = document[int(part)]
        else:
            return ABSENT
    return document


def _form(body: bytes) -> dict[str, object]:
    found: dict[str, object] = {}
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FORM_FIELDS)
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    for name, value in pairs:
        values = found.setdefault(name, [])
        assert isinstance(values, list)
        values.append(value)
    return found


def _of_form(given: object, field: EventField) -> object:
    """A form sends every box, also those left blank: that says nothing, and clears nothing."""
    if not isinstance(given, list):
        return given
    filled = [value for value in given if value.strip()]
    if field.type in (FieldType.SET, FieldType.LIST):
        return filled or ABSENT
    return ABSENT if not filled else filled[0] if len(filled) == 1 else filled


def _native(given: object, field: EventField, zone: ZoneInfo | None) -> Native:
    """The value as it is stored; ValueError(wrong, cure) unless it is one of the field's type."""
    if given is ABSENT or given is None:
        return given
    if field.type is FieldType.DATETIME:
        value: Native = _datetime(given, zone)
    else:
        value = _READERS[field.type](given)
    members = value if isinstance(value, list) else [value]
    if field.choices and not all(member == "" or member in field.choices for member in members):
        raise ValueError("is none of its choices", f"send one of: {', '.join(field.choices)}")
    if field.max_length is not None and any(isinstance(member, str) and len(member) > field.max_length for member in members):
        raise ValueError("is too long", f"send at most {field.max_length} characters")
    return value


def _text(given: object) -> str:
    if isinstance(given, str):
        text = given
    elif isinstance(given, int | Decimal) and not isinstance(given, bool):
        text = format(given, "f") if isinstance(given, Decimal) else str(given)
    else:
        raise ValueError("is no text", "send a text")  # noqa: TRY004 - what is wrong with the event, not with our code
    if not _is_sound(text):
        raise ValueError("holds half of a surrogate pair, which no system can store", "correct it")
    return text


def _is_sound(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _email(given: object) -> str:
    text = _text(given).strip()
    if text and not _EMAIL.fullmatch(text):
        raise ValueError("is no email address", "send one such as ada@example.com")
    return text


def _phone(given: object) -> str:
    text = _text(given).strip()
    if text and not _PHONE.fullmatch(text):
        raise ValueError("is no phone number", "send one such as +1 555 0100")
    return text


def _number(given: object, cure: str) -> Decimal | None:
    number: Decimal | None = None
    if isinstance(given, int | Decimal) and not isinstance(given, bool):
        number = Decimal(given)
    elif isinstance(given, str):
        if not given.strip():
            return None
        number = _NUMBERS.parse(given.strip())
    if number is None or is_too_long(number):
        raise ValueError("is no number", cure)
    return number


def _decimal(given: object) -> Decimal | None:
    return _number(given, "send one such as 12.50")


def _integer(given: object) -> int | None:
    number = _number(given, "send a whole number such as 36")
    if number is None:
        return None
    if number != int(number):
        raise ValueError("is no whole number", "send one such as 36")
    return int(number)


def _boolean(given: object) -> bool | None:
    if isinstance(given, bool):
        return given
    word = str(given).strip().lower() if isinstance(given, str | int) else "?"
    if word in _YES | _NO:
        return word in _YES
    if word:
        raise ValueError("is neither true nor false", "send true or false")
    return None


def _date(given: object) -> date | None:
    if isinstance(given, str) and not given.strip():
        return None
    try:
        if isinstance(given, str) and len(given.strip()) == len("2026-01-31"):
            return date.fromisoformat(given.strip())
    except ValueError:
        pass
    raise ValueError("is no date", "send one such as 2026-01-31")


def _datetime(given: object, zone: ZoneInfo | None) -> datetime | None:
    """A time with its offset, or in the zone of the system; a whole number counts the seconds since 1970, as Unix does."""
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given < _LATEST_SECONDS:
        return datetime.fromtimestamp(given, UTC)
    if isinstance(given, str) and not given.strip():
        return None
    try:
        moment = datetime.fromisoformat(given.strip()) if isinstance(given, str) else None
    except ValueError:
        moment = None
    if moment is None:
        raise ValueError("is no time", "send one such as 2026-01-31T12:30:00+01:00")
    if moment.tzinfo is None:
        if zone is None:
            raise ValueError("has no offset", "send one such as 2026-01-31T12:30:00+01:00, or set `timezone` for the system")
        moment = moment.replace(tzinfo=zone)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is beyond the years 1 to 9999", "correct it") from None


def _list(given: object) -> list[Native]:
    members = given if isinstance(given, list) else [given]
    try:
        return [_text(member) for member in members]
    except ValueError:
        raise ValueError("is no list of texts", 'send one such as ["red", "blue"]') from None


def _json(given: object) -> Native:
    ahead = [given]
    while ahead:
        value = ahead.pop()
        if isinstance(value, str) and not _is_sound(value):
            raise ValueError("holds half of a surrogate pair, which no system can store", "correct it")
        if isinstance(value, dict):
            ahead += [*value, *value.values()]
        elif isinstance(value, list):
            ahead += value
    return given


_READERS: Final[Mapping[FieldType, Callable[[object], Native]]] = {
    FieldType.TEXT: _text,
    FieldType.CHOICE: _text,
    FieldType.EMAIL: _email,
    FieldType.PHONE: _phone,
    FieldType.INTEGER: _integer,
    FieldType.DECIMAL: _decimal,
    FieldType.MONEY: _decimal,
    FieldType.BOOLEAN: _boolean,
    FieldType.DATE: _date,
    FieldType.SET: _list,
    FieldType.LIST: _list,
    FieldType.JSON: _json,
}


def _key(options: EventsOptions, fields: Fields) -> str:
    """The id of the record: its key, normalised as match keys are, so that two spellings of one address are one record."""
    parts = []
    for name in options.key:
        value = fields[name]
        text = value.isoformat() if isinstance(value, date) else str(value)
        try:
            parts.append(email_key(text) if options.fields[name].type is FieldType.EMAIL else text_key(text))
        except Unmappable:
            parts.append(None)
        if parts[-1] is None or len(parts[-1]) > _LONGEST_KEY:
            cure = f"send at least one visible character, and at most {_LONGEST_KEY}"
            raise BadEventError([Fault(field=name, wrong="cannot tell whose event it is", cure=cure)])
    key = composite_key(parts)
    assert key is not None, "no part is blank"
    return key
