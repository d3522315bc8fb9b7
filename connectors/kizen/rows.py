"""
Records as they come over the wire, made rows of native values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from connectors.kizen.api import Clause, RecordsApi, Row, values_of
from connectors.kizen.decoding import Decode, decoder
from connectors.kizen.metadata import FieldInfo, Kind, ObjectInfo
from syncengine.connector import ABSENT, Native, Record
from syncengine.errors import NotFound, ProtocolError


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One record as a page or an answer showed it; the stamps are None where this user may not see them."""

    id: str
    values: tuple[Native, ...]
    created: datetime | None
    updated: datetime | None


class RowReader:
    """
    Reads the fields of `names` from records of one object.

    A field that the metadata lists and the record omits is blank (C5); one that the metadata does not list is `ABSENT`.
    """

    def __init__(self, api: RecordsApi, info: ObjectInfo, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._api = api
        self._path = info.path
        self._blank_everywhere: set[str] = set()
        self._parts = [_part(info.fields.get(name)) for name in names]
        self._created = _part(info.fields.get("created"))
        self._updated = _part(info.fields.get("updated"))
        asked = [part[0].id for part in (*self._parts, self._created, self._updated) if part is not None]
        self.field_ids = tuple(dict.fromkeys(asked))

    def listed(self, row: Row) -> Seen:
        """A row of a search."""
        return self._seen(row, gaps=False)

    def not_shown(self, rows: Sequence[Row]) -> set[str]:
        """The fields of which none of these rows says anything: blank in all of them, or not there any more."""
        if not rows:
            return set()
        shown = {str(id_) for row in rows for id_ in values_of(row)}
        fields = [part[0] for part in self._parts if part is not None]
        return {field.name for field in fields if field.id not in shown}

    def single(self, row: Row) -> Seen:
        """
        The answer of get or lookup, where some say that relationships are missing (C8).

        Until one is seen there, a missing relationship is not taken for a blank one.
        """
        return self._seen(row, gaps=True)

    def record(self, seen: Seen) -> Record:
        """As the contract has it; fields that do not exist any more are left out."""
        return Record(
            id=seen.id,
            fields={name: value for name, value in zip(self.names, seen.values, strict=True) if value is not ABSENT},
            modified_at=seen.updated,
        )

    def _seen(self, row: Row, *, gaps: bool) -> Seen:
        found = row.get("id")
        if found is None or found == "":
            raise ProtocolError("a record came without its id")
        id_, entries = str(found), values_of(row)
        values: list[Native] = []
        for part in self._parts:
            if part is None:
                values.append(ABSENT)
                continue
            field, decode = part
            entry = entries.get(field.id)
            if entry is not None and "value" in entry:
                values.append(decode(entry["value"]))
            elif entry is not None and "value_summary" in entry:
                values.append(self._summarised(id_, field))
            else:
                values.append(self._missing(id_, field, decode, gaps=gaps and entry is None))
            if gaps and entry is not None and field.kind is Kind.RELATION:
                self._api.single_has_relations = True
        created, updated = _stamp(entries, self._created), _stamp(entries, self._updated)
        return Seen(id=id_, values=tuple(values), created=created, updated=updated)

    def _missing(self, id_: str, field: FieldInfo, decode: Decode, *, gaps: bool) -> Native:
        if not gaps or field.kind is not Kind.RELATION or self._relations_shown(field):
            return decode(None)
        try:
            found = self._summarised(id_, field)
        except NotFound:
            # Nobody says that a single related record is listed there. Whoever can't tell does not say that it is blank.
            return ABSENT
        return found if field.many else next(iter(found), None)

    def _relations_shown(self, field: FieldInfo) -> bool:
        """Whether answers to get and lookup hold relationships at all: seen before, or tried on a record that has one."""
        shown = self._api.single_has_relations
        if shown is not None or field.id in self._blank_everywhere:
            return shown is not False
        found = self._api.search(
            self._path,
            field_ids=[field.id],
            clauses=[Clause(field=field, condition="is_blank", value=False)],
            page_size=1,
        )
        if found is None or not found.rows:
            self._blank_everywhere.add(field.id)
            return True
        reply = self._api.get(self._path, str(found.rows[0].get("id")), [field.id])
        if not reply.ok:
            return False
        self._api.single_has_relations = field.id in values_of(reply.json())
        return self._api.single_has_relations

    def _summarised(self, id_: str, field: FieldInfo) -> list[str]:
        """Every value of a field that the record only counts, or leaves out (section 5.8)."""
        items = list(self._api.field_values(id_, field.id))
        if field.kind is Kind.RELATION:
            return [str(item["id"]) for item in items]
        return [str(item.get("name") or item.get("display_name")) for item in items]


def _part(field: FieldInfo | None) -> tuple[FieldInfo, Decode] | None:
    return None if field is None else (field, decoder(field))


def _stamp(entries: object, part: tuple[FieldInfo, Decode] | None) -> datetime | None:
    if part is None or not isinstance(entries, dict):
        return None
    entry = entries.get(part[0].id)
    value = part[1](entry.get("value")) if isinstance(entry, dict) else None
    return value if isinstance(value, datetime) else None
