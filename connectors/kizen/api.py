"""
The endpoints of the Records API that the connector uses (records-api.md sections 1 and 5 to 8).

One method an endpoint; shapes are checked here, so that the rest works on what is sure. Nothing is retried. What is learned
of this server on the way is kept here: which spelling of filter clauses it takes (conflict C10), whether its answers for
single records hold relationships (C8), and whether it obeys `ordering` (section 15.5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from connectors.kizen.metadata import FieldInfo
from syncengine.connector import Native
from syncengine.errors import ProtocolError
from syncengine.http import Effect, HttpClient, Reply, http_date

LIST_PAGE: Final = 1000
_MOST_PAGES: Final = 10_000
_LONGEST_QUERY: Final = 100  # field ids; a longer query string may be more than a proxy takes

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One condition of a search: `value` as it goes on the wire."""

    field: FieldInfo
    condition: str
    value: Native


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One page of a search: the rows, how many records match in all, and what the server's clock said."""

    rows: Sequence[Row]
    count: int
    more: bool
    date: datetime | None


class RecordsApi:
    """The platform's API over one `HttpClient`."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._spell: Callable[[Clause], Mapping[str, Any]] = _quoted
        self._spelling_proved = False
        self.single_has_relations: bool | None = None
        self.keeps_order: bool | None = None

    # Who we are, and what there is

    def access(self) -> Mapping[str, Any]:
        """The rights of the key; the connection test of section 1."""
        return _mapping(self._read("GET", "auth/access"))

    def bootstrap(self) -> Mapping[str, Any]:
        """The employee and the business behind the key."""
        return _mapping(self._read("GET", "auth/bootstrap"))

    def objects(self) -> Iterator[Row]:
        """Every object, contacts included."""
        return self._listed("custom-objects", {"custom_only": "false"})

    def object(self, path: str) -> Row:
        """One object."""
        return _mapping(self._read("GET", f"custom-objects/{_segment(path)}"))

    def fields(self, path: str) -> Reply:
        """The field metadata of an object: a bare array where the object exists."""
        return self._http.call(Effect.READ, "GET", f"custom-objects/{_segment(path)}/fields")

    def stages(self, object_id: str) -> Iterator[Row]:
        """The stages of a pipeline."""
        return self._listed(f"pipelines/{_segment(object_id)}/stages", {"ordering": "order"})

    def tags(self, object_id: str | None, field_id: str, search: str | None = None) -> Iterator[Row]:
        """The options of a dynamictags field, which its metadata lacks; `object_id` is None for contacts."""
        owner = "client" if object_id is None else f"pipelines/{_segment(object_id)}"
        wanted = {"ordering": "name"} if search is None else {"ordering": "name", "search": search}
        return self._listed(f"{owner}/fields/{_segment(field_id)}/tags", wanted)

    def members(self, search: str) -> Iterator[Row]:
        """Active team members that a text fits."""
        return _rows(self._read("GET", "team/typeahead", {"search": search}))

    # Records

    def search(
        self,
        path: str,
        *,
        field_ids: Sequence[str],
        clauses: Sequence[Clause] = (),
        any_clause: bool = False,
        ordering: str | None = None,
        page: int = 1,
        page_size: int = LIST_PAGE,
    ) -> Found | None:
        """One page of a search; None for a page after the last one."""
        params: dict[str, str | int] = {"page": page, "page_size": page_size, "include_hidden_fields": "true"}
        if ordering is not None:
            params["ordering"] = ordering
        reply = self._search(path, params, field_ids, clauses, any_clause=any_clause)
        if page > 1 and reply.status == 404 and isinstance(reply.refusal(), Mapping):
            return None
        body = _mapping(reply)
        rows, count = body.get("results"), body.get("count")
        if not isinstance(rows, list) or not isinstance(count, int) or not all(isinstance(row, Mapping) for row in rows):
            raise reply.nonsense("its body is no page of records")
        return Found(rows=rows, count=count, more=bool(body.get("next")), date=http_date(reply.headers.get("date", "")))

    def _search(
        self, path: str, params: Mapping[str, str | int], field_ids: Sequence[str], clauses: Sequence[Clause], *, any_clause: bool
    ) -> Reply:
        def ask(spell: Callable[[Clause], Mapping[str, Any]]) -> Reply:
            groups = [{"and": not any_clause, "filters": [spell(one) for one in clauses]}] if clauses else []
            body = {"query": groups, "and": True, "field_ids": list(field_ids)}
            return self._http.call(Effect.READ, "POST", f"records/{_segment(path)}/search", params=params, body=body)

        reply = ask(self._spell)
        if reply.status == 400 and clauses and not self._spelling_proved:
            other = _bare if self._spell is _quoted else _quoted
            second = ask(other)
            if not second.ok:
                return reply
            reply, self._spell = second, other
        self._spelling_proved = self._spelling_proved or (reply.ok and bool(clauses))
        return reply

    def get(self, path: str, record_id: str, field_ids: Sequence[str]) -> Reply:
        """One record, hidden fields included."""
        return self._http.call(Effect.READ, "GET", f"records/{_segment(path)}/{_segment(record_id)}", params=_chosen(field_ids))

    def lookup(self, path: str, identifier: str, field_ids: Sequence[str]) -> Reply:
        """One record by its name, a contact by its email."""
        params = {"identifier": identifier, **_chosen(field_ids)}
        return self._http.call(Effect.READ, "GET", f"records/{_segment(path)}/lookup", params=params)

    def field_values(self, record_id: str, field_id: str) -> Iterator[Row]:
        """Every value of a field that records only summarise (section 5.8)."""
        return self._listed(f"records/{_segment(record_id)}/field-values/{_segment(field_id)}", {})

    def add(self, path: str, entries: Sequence[Row], archived: str) -> Reply:
        """Create a record (section 5.4)."""
        return self._write("POST", f"records/{_segment(path)}/add", {"fields": entries, "unarchive": archived})

    def upsert(self, path: str, identifier: str, entries: Sequence[Row], *, archived: str, all_fields: bool) -> Reply:
        """Create a record, or meet the one of this name (section 5.10)."""
        body = {"lookup_value": identifier, "fields": entries, "oncreate_unarchive": archived}
        return self._write("POST", f"records/{_segment(path)}/upsert", body, all_fields=all_fields)

    def patch(self, path: str, record_id: str, entries: Sequence[Row], *, archived: str | None, all_fields: bool) -> Reply:
        """Change the listed fields of a record (section 5.5)."""
        body = {"fields": entries, **({} if archived is None else {"archived_conflict": archived})}
        return self._write("PATCH", f"records/{_segment(path)}/{_segment(record_id)}", body, all_fields=all_fields)

    def move(self, path: str, record_id: str, stage_id: str) -> Reply:
        """Put a pipeline record into another stage (section 5.9)."""
        return self._write("PATCH", f"records/{_segment(path)}/{_segment(record_id)}/move", {"stage_id": stage_id})

    def archive(self, path: str, record_id: str) -> Reply:
        """Archive a record: DELETE does (section 5.7)."""
        return self._write("DELETE", f"records/{_segment(path)}/{_segment(record_id)}", None)

    def bulk_archive(self, object_id: str, record_ids: Sequence[str]) -> Reply:
        """Have records archived a moment later (section 6)."""
        body = {"record_ids": list(record_ids), "send_email_notification": False}
        return self._write("POST", f"custom-objects/{_segment(object_id)}/bulk-archive-entity-record", body)

    def bulk_change(self, object_id: str, record_ids: Sequence[str], field_id: str, value: Native) -> Reply:
        """Have one value written into a field of records a moment later (section 6)."""
        body = {
            "record_ids": list(record_ids),
            "field_id": field_id,
            "field_value": value,
            "field_resolution": "overwrite",
            "send_email_notification": False,
        }
        return self._write("POST", f"custom-objects/{_segment(object_id)}/bulk-change-field-value", body)

    def jobs(self, object_id: str, since: datetime | None) -> Found | None:
        """The bulk calls of an object begun since a moment, as far as one page goes; None where the list is refused."""
        params: dict[str, str | int] = {"custom_object_id": object_id, "page_size": LIST_PAGE}
        if since is not None:
            params["started_after"] = instant(since)
        reply = self._read("GET", "bulk-action-progress", params)
        if not reply.ok:
            return None
        body, rows = reply.json(), list(_rows(reply))
        if not all(row.get("id") for row in rows):
            raise reply.nonsense("its body is no list of jobs")
        more = isinstance(body, Mapping) and bool(body.get("next"))
        return Found(rows=rows, count=len(rows), more=more, date=http_date(reply.headers.get("date", "")))

    def unarchive(self, path: str, record_id: str) -> Reply:
        """Bring an archived record back (section 5.9)."""
        return self._write("PATCH", f"records/{_segment(path)}/{_segment(record_id)}/unarchive", None)

    def _read(self, method: str, path: str, params: Mapping[str, str | int] | None = None) -> Reply:
        return self._http.call(Effect.READ, method, path, params=params)

    def _write(self, method: str, path: str, body: Row | None, *, all_fields: bool = False) -> Reply:
        params = {"return_all_fields": "true"} if all_fields else None
        return self._http.call(Effect.WRITE, method, path, params=params, body=body)

    def _listed(self, path: str, params: Mapping[str, str | int]) -> Iterator[Row]:
        """A whole list: a bare array, or the pages of an envelope, asked for by number (`next` may name another host)."""
        for page in range(1, _MOST_PAGES):
            reply = self._read("GET", path, {**params, "page": page, "page_size": LIST_PAGE})
            if page > 1 and reply.status == 404:
                return
            yield from _rows(reply)
            body = reply.json()
            if isinstance(body, list) or not body.get("next"):
                return
        raise ProtocolError(f"{path} has no end: {_MOST_PAGES} pages and still more to come")


def values_of(row: Row) -> Mapping[str, Row]:
    """The `fields` of a record by field id; they come as an object or as an array (section 3.1)."""
    fields = row.get("fields")
    if isinstance(fields, Mapping):
        return fields
    if isinstance(fields, list):
        return {str(entry["id"]): entry for entry in fields if isinstance(entry, Mapping) and "id" in entry}
    raise ProtocolError("a record came without its `fields`")


def instant(moment: datetime) -> str:
    """A point in time as filters take it: UTC, milliseconds, rounded down."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _quoted(clause: Clause) -> Mapping[str, Any]:
    if clause.field.system:
        return _spelled("fields", "non_custom", clause.field.name, clause)
    return _spelled("fields_v2", "custom", f'"custom"::{clause.field.id}', clause)


def _bare(clause: Clause) -> Mapping[str, Any]:
    if clause.field.system:
        return _spelled("fields_v2", "non_custom", clause.field.name, clause)
    return _spelled("fields_v2", "custom", f"custom::{clause.field.id}", clause)


def _spelled(kind: str, subtype: str, field: str, clause: Clause) -> Mapping[str, Any]:
    return {"type": kind, "subtype": subtype, "field": field, "condition": clause.condition, "value": clause.value}


def _chosen(field_ids: Sequence[str]) -> Mapping[str, str]:
    hidden = {"include_hidden_fields": "true"}
    # Present but empty would mean the default fields; left out means every field (section 5.1).
    return hidden if not field_ids or len(field_ids) > _LONGEST_QUERY else {**hidden, "field_ids": ",".join(field_ids)}


def _mapping(reply: Reply) -> Mapping[str, Any]:
    body = reply.json()
    if not isinstance(body, Mapping):
        raise reply.nonsense("its body is not what this endpoint sends")
    return body


def _rows(reply: Reply) -> Iterator[Row]:
    body = reply.json()
    rows = body.get("results") if isinstance(body, Mapping) else body
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise reply.nonsense("its body is no list")
    return iter(rows)


def _segment(text: str) -> str:
    return quote(text, safe="")
