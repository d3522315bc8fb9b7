"""
Records by id, and by the value of a field.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

from connectors.kizen.api import Clause, RecordsApi, Row, instant
from connectors.kizen.encoding import option_named
from connectors.kizen.metadata import FieldInfo, Kind, ObjectInfo, is_record_id
from connectors.kizen.rows import RowReader, Seen
from syncengine.connector import Answer, Native, Record, Tombstone, Unknown
from syncengine.errors import ProtocolError, Rejected, ResourceError

_CLAUSES: Final = 20  # values asked for at once; how many the platform takes is not documented (section 15.8)


Again = Callable[[], ObjectInfo]
"""Describes the object anew."""


def get(api: RecordsApi, info: ObjectInfo, ids: Sequence[str], names: Sequence[str], *, again: Again) -> list[Answer]:
    """
    One answer per id.

    404 is the platform's answer to absent, archived and invisible alike; whether this user may see anything at all is for
    the engine to find out by asking for records that are known to live.
    """
    reader = RowReader(api, info, names)
    answers = [_answer(api, info, reader, id_) for id_ in ids]
    rows = [answer for answer in answers if isinstance(answer, Mapping)]
    gone = _gone(info, reader.not_shown(rows), again)
    return [_without(reader.record(reader.single(answer)), gone) if isinstance(answer, Mapping) else answer for answer in answers]


def _answer(api: RecordsApi, info: ObjectInfo, reader: RowReader, id_: str) -> Row | Tombstone | Unknown:
    if not is_record_id(id_):
        return Tombstone(id=id_)
    reply = api.get(info.path, id_, reader.field_ids)
    if reply.status == 404 and isinstance(reply.refusal(), Mapping):
        return Tombstone(id=id_)
    if reply.status == 404:
        # A page for people instead of JSON: the path is wrong, so it says nothing about the record.
        raise ProtocolError(f"{reply.place} answered with an error page; check the url of the system")
    if reply.status == 403:
        return Unknown(id=id_, why=f"{reply.place} answered 403: this user may not see the record")
    row = reply.json()
    if not isinstance(row, Mapping) or str(row.get("id", "")).lower() != id_.lower():
        raise reply.nonsense("its body is not the record asked for")
    return row


def find(
    api: RecordsApi,
    info: ObjectInfo,
    field: str,
    values: Sequence[Native],
    names: Sequence[str],
    *,
    page_size: int,
    again: Again,
) -> list[Record]:
    """
    Every record whose field holds one of the values, and by case or blanks perhaps some more.

    Names and emails that no search finds are looked up as well: search may lag and may mind the case, lookup may not (C1).
    """
    asked = info.fields.get(field)
    if asked is None:
        raise ResourceError(f"{info.path} has no field {field!r} any more")
    reader = RowReader(api, info, [*names, field])
    found: dict[str, Seen] = {}
    silent: set[str] | None = None
    wanted = [value for value in dict.fromkeys(values) if value is not None and value != ""]
    for start in range(0, len(wanted), _CLAUSES):
        clauses = [
            Clause(field=asked, condition="=", value=_filter_value(asked, value)) for value in wanted[start : start + _CLAUSES]
        ]
        rows = list(_matching(api, info, reader, clauses, page_size))
        for seen in map(reader.listed, rows):
            found.setdefault(seen.id, seen)
        silent = (silent or set()) | reader.not_shown(rows)
    if asked == info.identifier:
        held = {_folded(seen.values[-1]) for seen in found.values()}
        for value in wanted:
            if isinstance(value, str) and _folded(value) not in held and (row := _looked_up(api, info, value, reader)):
                seen = reader.single(row)
                found.setdefault(seen.id, seen)
                silent = (silent or set()) | reader.not_shown([row])
    gone = _gone(info, silent or set(), again)
    return [_without(reader.record(seen), gone if field in names else gone | {field}) for seen in found.values()]


def _gone(info: ObjectInfo, silent: Collection[str], again: Again) -> set[str]:
    """
    The fields that are not blank, but not there any more: rows leave out both (C5), so the object is described once more.
    """
    fields = again().fields if silent else {}
    return {name for name in silent if name not in fields or fields[name].id != info.fields[name].id}


def _without(record: Record, names: Collection[str]) -> Record:
    if not names:
        return record
    kept = {name: value for name, value in record.fields.items() if name not in names}
    return replace(record, fields=kept)


def lookup(api: RecordsApi, info: ObjectInfo, identifier: str, reader: RowReader) -> Seen | None:
    """
    The record of this name or email, or None where the platform says that there is none.

    Raises Rejected where there is one that this user may not see: neither a match nor an absence.
    """
    row = _looked_up(api, info, identifier, reader)
    return None if row is None else reader.single(row)


def _looked_up(api: RecordsApi, info: ObjectInfo, identifier: str, reader: RowReader) -> Row | None:
    if not identifier.strip():
        return None
    reply = api.lookup(info.path, identifier, reader.field_ids)
    if reply.status == 404 and isinstance(reply.refusal(), Mapping):
        return None
    if reply.status == 404:
        raise ProtocolError(f"{reply.place} answered with an error page; check the url of the system")
    if reply.status == 403:
        name = None if info.identifier is None else info.identifier.name
        raise Rejected(f"{reply.place} answered 403: there is such a record, and this user may not see it", field=name)
    row = reply.json()
    if not isinstance(row, Mapping):
        raise reply.nonsense("its body is no record")
    return row


def _matching(api: RecordsApi, info: ObjectInfo, reader: RowReader, clauses: Sequence[Clause], page_size: int) -> Iterator[Row]:
    page, more = 1, True
    while more:
        batch = api.search(
            info.path, field_ids=reader.field_ids, clauses=clauses, any_clause=True, page=page, page_size=page_size
        )
        if batch is None:
            return
        yield from batch.rows
        page, more = page + 1, batch.more and bool(batch.rows)


def _filter_value(field: FieldInfo, value: Native) -> Native:
    """A value as a filter takes it (section 5.3). Raises ResourceError for a type that no filter compares."""
    match field.kind, value:
        case Kind.TEXT | Kind.TIMEZONE, str() if field.type not in {"longtext", "wysiwyg"}:
            return value
        case Kind.INTEGER | Kind.NUMBER | Kind.MONEY, int() | float() | Decimal() if not isinstance(value, bool):
            return int(value) if value == int(value) else float(value)
        case Kind.RATING, int():
            return str(value)
        case Kind.DATE, date() if not isinstance(value, datetime):
            return value.isoformat()
        case Kind.DATETIME, datetime() if value.tzinfo is not None and value.microsecond % 1000 == 0:
            return instant(value.astimezone(UTC))
        case Kind.CHECKBOX, bool():
            return value
        case Kind.OPTION, str():
            return option_named(field, value).id
        case _:
            raise ResourceError(f"records can't be found by the field {field.shown} of type {field.type}; match by another field")


def _folded(value: Native) -> str:
    return " ".join(str(value).split()).casefold()
