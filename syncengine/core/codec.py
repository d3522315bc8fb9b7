"""
Native values as bytes: the documents that shadows and the journal hold, and the fingerprints of delivered rows.

Pure. A document is one version byte and a JSON object. What JSON says exactly stays plain JSON; everything else is a
JSON object with one member, whose name is the tag: `{"decimal": "1.50"}`. So a document stays readable in a database
shell, and a value comes back exactly as it was, its type included.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from hashlib import blake2b
from math import isfinite
from typing import Any, Final

from orjson import dumps, loads

from syncengine.connector import ABSENT, Absent, Native

DOCUMENT_VERSION: Final = b"1"
SAME_VALUES: Final = b"="
"""Instead of the version: the values are those of the document beside it, under the names that follow or the same ones."""

FINGERPRINT_BYTES: Final = 16

_PLAIN: Final = frozenset({str, int, bool, type(None)})
_UNTAGGED: Final = frozenset({str, int, bool, type(None), float})
_SMALLEST_INT: Final = -(2**63)
_LARGEST_INT: Final = 2**64 - 1


def encode(fields: Mapping[str, Native]) -> bytes:
    """
    Native values by field name as a document; `ABSENT` values are left out, a tuple becomes a list.

    Raises TypeError for a value that the connector contract does not allow (sentence 5).
    """
    if type(fields) is dict and _PLAIN.issuperset(map(type, fields.values())):
        try:
            return DOCUMENT_VERSION + dumps(fields)
        except TypeError:
            pass  # an integer beyond 64 bits or a lone surrogate: those need a tag
    tagged = [(name, _tag(value)) for name, value in fields.items() if value is not ABSENT]
    if all(map(_is_utf8, fields)):
        return DOCUMENT_VERSION + dumps(dict(tagged))
    return DOCUMENT_VERSION + dumps([(_tag_text(name), value) for name, value in tagged])


def decode(data: bytes) -> dict[str, Native]:
    """The fields of a document; ValueError for an unknown version or damaged bytes."""
    if data[:1] != DOCUMENT_VERSION:
        raise ValueError(
            f"a document of version {data[:1]!r} cannot be read, only version {DOCUMENT_VERSION!r}: "
            "it was written by another release of syncengine, or is damaged"
        )
    content = loads(memoryview(data)[1:])
    if type(content) is dict:
        fields: dict[str, Native] = content
        if not _UNTAGGED.issuperset(map(type, fields.values())):
            for name, value in fields.items():
                if type(value) is dict:
                    fields[name] = _untag(value)
        return fields
    if type(content) is list:
        return {str(_untag(name)): _untag(value) for name, value in content}
    raise ValueError("a damaged document: it holds no object")


def encode_beside(fields: Mapping[str, Native], other: Mapping[str, Native]) -> bytes:
    """
    As `encode`, for a document that is kept beside the one of `other`: where both hold the same values in the same order, as the
    two sides of a link mostly do, the values are not stored twice.
    """
    if len(fields) == len(other):
        values, others = list(fields.values()), list(other.values())
        kinds = list(map(type, values))
        if _PLAIN.issuperset(kinds) and kinds == list(map(type, others)) and values == others:
            names = list(fields)
            if names == list(other):
                return SAME_VALUES
            if all(map(_is_utf8, names)):
                return SAME_VALUES + dumps(names)
    return encode(fields)


def decode_beside(data: bytes, other: Mapping[str, Native]) -> dict[str, Native]:
    """The fields of a document that `encode_beside` made; ValueError for an unknown version or damaged bytes."""
    if data[:1] != SAME_VALUES:
        return decode(data)
    return dict(zip(loads(data[1:]) if len(data) > 1 else other, other.values(), strict=True))


class Fingerprinter:
    """
    Makes fingerprints of delivered rows: 16 bytes of BLAKE2b over their JSON.

    `seed` (at most 16 bytes) goes into the hash as its salt, which costs nothing per row, so that a changed config makes
    every fingerprint a new one. The order of the columns is the caller's and must be fixed. Rows that differ in value
    have different fingerprints, save for look-alikes that mean the same to every rule: a date or time and its own ISO
    text, another type and its own repr, and a float that is no number, which reads as null (it maps to nothing, so it
    never settles).
    """

    __slots__ = ("_empty",)

    def __init__(self, seed: bytes) -> None:
        self._empty = blake2b(digest_size=FINGERPRINT_BYTES, salt=seed)

    def row(self, row: tuple[Native, ...]) -> bytes:
        """The fingerprint of one row."""
        return self.rows((row,))[0]

    def rows(self, rows: Iterable[tuple[Native, ...]]) -> list[bytes]:
        """The fingerprints of the rows of a page, in order."""
        fingerprints = []
        copy = self._empty.copy  # copying a prepared hash is cheaper than building one (measured: 0.50 against 0.65 us a row)
        for row in rows:
            try:
                data = dumps(row, repr)
            except TypeError:
                data = _exact(row)
            hashed = copy()
            hashed.update(data)
            fingerprints.append(hashed.digest())
        return fingerprints


def fingerprint(row: tuple[Native, ...], seed: bytes) -> bytes:
    """The fingerprint of one row; a page goes through `Fingerprinter.rows`."""
    return Fingerprinter(seed).row(row)


def _exact(row: tuple[Native, ...]) -> bytes:
    # JSON of a row begins with "[", this with "{": the two ways never meet.
    return dumps({"tree": _flatten(list(row))})


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _tag(value: Native) -> Any:
    kind = type(value)
    writer = _TAGGERS.get(kind)
    if writer is None:
        raise TypeError(
            f"a value of type {kind.__module__}.{kind.__qualname__} cannot be stored: connectors deliver None, bool, int, "
            "float, Decimal, str, bytes, date, datetime, time, list and dict only (contract, sentence 5)"
        )
    return writer(value)


def _tag_text(value: str) -> Any:
    if _is_utf8(value):
        return value
    return {"text": b64encode(value.encode("utf-8", "surrogatepass")).decode()}


def _tag_int(value: int) -> Any:
    return value if _SMALLEST_INT <= value <= _LARGEST_INT else {"int": hex(value)}


def _tag_float(value: float) -> Any:
    return value if isfinite(value) else {"float": repr(value)}


def _tag_moment(value: datetime | time) -> Any:
    # ISO text has no place for `fold`, which tells the two hours at the end of summer time apart.
    return {type(value).__name__: [value.isoformat(), value.fold] if value.fold else value.isoformat()}


def _tag_list(value: list[Native] | tuple[Native, ...]) -> Any:
    if _UNTAGGED.issuperset(map(type, value)):
        members = [_tag(member) for member in value]
        if dict not in map(type, members):
            return members
    return {"tree": _flatten(value)}


def _flatten(value: Native) -> list[Any]:
    """
    A value of any depth as a flat list: `["list", n]` before n members, `["dict", n]` before n keys and values.

    Flat, because JSON writers and Python's stack both give up at some depth and hostile data goes deeper.
    """
    tokens: list[Any] = []
    ahead: list[Native] = [value]
    while ahead:
        value = ahead.pop()
        if type(value) is list or type(value) is tuple:
            tokens.append(["list", len(value)])
            ahead.extend(reversed(value))
        elif type(value) is dict:
            tokens.append(["dict", len(value)])
            for key, member in reversed(value.items()):
                if type(key) is not str:
                    raise TypeError(f"a dict with keys of type {type(key).__qualname__} cannot be stored: keys are text")
                ahead.append(member)
                ahead.append(key)
        else:
            tokens.append(_tag(value))
    return tokens


def _unflatten(tokens: list[Any]) -> Native:
    built: list[Native] = []
    for token in reversed(tokens):
        if type(token) is not list:
            built.append(_untag(token))
            continue
        kind, size = token
        count = size if kind == "list" else 2 * size
        members = built[len(built) - count :][::-1]
        del built[len(built) - count :]
        built.append(members if kind == "list" else dict(zip(members[::2], members[1::2], strict=True)))
    (value,) = built
    return value


def _untag(value: Any) -> Native:
    if type(value) is not dict:
        return value  # JSON's own scalars, and lists of them
    ((tag, content),) = value.items()
    reader = _UNTAGGERS.get(tag)
    if reader is None:
        raise ValueError(f"a damaged document: unknown tag {tag!r}")
    return reader(content)


def _untag_datetime(content: Any) -> datetime:
    if type(content) is list:
        return datetime.fromisoformat(content[0]).replace(fold=content[1])
    return datetime.fromisoformat(content)


def _untag_time(content: Any) -> time:
    if type(content) is list:
        return time.fromisoformat(content[0]).replace(fold=content[1])
    return time.fromisoformat(content)


_TAGGERS: Final[Mapping[type, Callable[[Any], Any]]] = {
    type(None): lambda value: value,
    bool: lambda value: value,
    str: _tag_text,
    int: _tag_int,
    float: _tag_float,
    Decimal: lambda value: {"decimal": str(value)},
    bytes: lambda value: {"bytes": b64encode(value).decode()},
    datetime: _tag_moment,
    date: lambda value: {"date": value.isoformat()},
    time: _tag_moment,
    list: _tag_list,
    tuple: _tag_list,
    dict: lambda value: {"tree": _flatten(value)},
    Absent: lambda _value: {"absent": None},  # inside a list or a fingerprinted row only
}

_UNTAGGERS: Final[Mapping[str, Callable[[Any], Native]]] = {
    "text": lambda content: b64decode(content).decode("utf-8", "surrogatepass"),
    "int": lambda content: int(content, 16),
    "float": float,
    "decimal": Decimal,
    "bytes": b64decode,
    "datetime": _untag_datetime,
    "date": date.fromisoformat,
    "time": _untag_time,
    "tree": _unflatten,
    "absent": lambda _content: ABSENT,
}
