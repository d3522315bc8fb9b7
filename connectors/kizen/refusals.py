"""
What a refused write says, as the right error (records-api.md section 2.3). Pure.

Codes and positions are read, messages never: they are made for people and may hold values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from connectors.kizen.encoding import Entry
from connectors.kizen.metadata import FieldInfo
from syncengine.errors import AlreadyExists, ConnectorError, NotFound, ProtocolError, Rejected, VersionConflict
from syncengine.http import Reply

_CODE: Final = re.compile(r"[a-z_]{1,40}")


class Doing(Enum):
    """What was tried; the same refusal means different things."""

    CREATE = "create"
    RENAME = "rename"
    WRITE = "write"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The codes of a refusal, and the positions in the `fields` sent that it complains of."""

    codes: frozenset[str]
    positions: tuple[int, ...]


def parse(body: Any) -> Refusal:
    """Read any of the shapes of section 2.3."""
    codes = frozenset(code for code in _codes(body) if _CODE.fullmatch(code))
    fields = body.get("fields") if isinstance(body, Mapping) else None
    listed = fields if isinstance(fields, list) else []
    # An entry that is accepted is an empty object.
    return Refusal(codes=codes, positions=tuple(index for index, entry in enumerate(listed) if entry))


def error_of(reply: Reply, entries: Sequence[Entry], identifier: FieldInfo | None, doing: Doing) -> ConnectorError:
    """The error of a refused write of these entries."""
    body = reply.refusal()
    refusal = parse(body)
    if reply.status == 404 and body is None:
        return ProtocolError(f"{reply.place} answered with an error page; check the url of the system")
    if reply.status in {404, 410}:
        return NotFound(f"{reply.place} answered {reply.status}: archived, gone, or not visible to this user")
    field = _at_fault(refusal, entries)
    if "unique" in refusal.codes:
        taken = field or identifier
        return AlreadyExists(_said(reply, refusal, taken, "another record has this value"), field=_name(taken))
    if "conflict" in refusal.codes or reply.status == 409:
        return _conflict(reply, refusal, identifier, doing)
    if reply.status == 403:
        return Rejected(_said(reply, refusal, field, "this user may not write it"), field=_name(field))
    if 400 <= reply.status < 500:
        return Rejected(_said(reply, refusal, field, "the platform does not take the value"), field=_name(field))
    return reply.error()


def _conflict(reply: Reply, refusal: Refusal, identifier: FieldInfo | None, doing: Doing) -> ConnectorError:
    # 409 is a race on the record; 400 is that, too, in some sources (C6), or an archived record of the same name.
    if reply.status == 409 or doing is Doing.WRITE:
        return VersionConflict(f"{reply.place} answered {reply.status}: somebody else archives or writes this record just now")
    cure = "an archived record has this value; unarchive it there, or set on_archived to unarchive or overwrite"
    return Rejected(_said(reply, refusal, identifier, cure), field=_name(identifier))


def _at_fault(refusal: Refusal, entries: Sequence[Entry]) -> FieldInfo | None:
    return next((entries[position].field for position in refusal.positions if position < len(entries)), None)


def _name(field: FieldInfo | None) -> str | None:
    return None if field is None else field.name


def _said(reply: Reply, refusal: Refusal, field: FieldInfo | None, what: str) -> str:
    place = "" if field is None else f" for the field {field.shown}"
    codes = f" ({', '.join(sorted(refusal.codes))})" if refusal.codes else ""
    return f"{reply.place} answered {reply.status}{place}{codes}: {what}"


def _codes(body: Any) -> Iterator[str]:
    if isinstance(body, Mapping):
        code = body.get("code")
        if isinstance(code, str):
            yield code
        for value in body.values():
            yield from _codes(value)
    elif isinstance(body, list):
        for item in body:
            yield from _codes(item)
