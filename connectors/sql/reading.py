"""Reading: whole listings, what changed since a cursor, rows by id, rows by value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, Final

from sqlalchemy import Connection

from connectors.sql.cursors import Cursor, Watermark
from connectors.sql.database import Database, Listing
from connectors.sql.dialect import Row
from connectors.sql.keys import KeyValues
from connectors.sql.pages import Batch, Layout
from connectors.sql.statements import KEYS_PER_STATEMENT, Prepared, Statements
from connectors.sql.table import Table
from connectors.sql.trouble import Kind
from connectors.sql.values import stamp, text_bound
from syncengine.connector import Answer, Native, Page, Record, Tombstone
from syncengine.errors import ResourceError

_READ_AHEAD: Final = 4
"""Pages."""

_FIRST_TEXT: Final = ""
"""In SQLite every number sorts below it."""


def listing(database: Database, table: Table, statements: Statements, fields: Sequence[str]) -> Listing:
    """Every live row, in the order of the key, from one snapshot; the last page is complete and carries the cursor."""
    layout = Layout(table, fields, with_archived=False)
    source = _Source(database, table, None)
    last_id: str | None = None
    waiting: Batch | None = None
    for rows in source.rows(statements.listing(layout.columns), []):
        batch = layout.batch(rows)
        last_id = _distinct(table, batch, last_id)
        source.saw(batch)
        if waiting is not None:
            yield _page(layout, waiting)
        waiting = batch
    yield _page(layout, waiting if waiting is not None else layout.batch([]), cursor=source.cursor(), complete=True)


def changes(database: Database, table: Table, statements: Statements, fields: Sequence[str], cursor: Cursor) -> Listing:
    """The rows whose `updated_at` moved since the cursor, with an overlap; archived ones as deletions."""
    assert table.updated_at is not None
    layout = Layout(table, fields, with_archived=True)
    shape = table.updated_at.shape
    since = cursor.since(table)
    if database.dialect.traits.times_as_text:
        bound: Any = text_bound(since, shape, table.zone)
        prepared = statements.changes(layout.columns, odd_below=_FIRST_TEXT)
    else:
        bound = shape.store(stamp(since, shape, table.zone))
        prepared = statements.changes(layout.columns, odd_below=None)
    source = _Source(database, table, cursor)
    waiting: Batch | None = None
    for rows in source.rows(prepared, [bound]):
        if waiting is not None:
            yield _changed(layout, waiting)
        waiting = layout.batch(rows)
        source.saw(waiting)
    yield _changed(layout, waiting if waiting is not None else layout.batch([]), cursor=source.cursor())


class _Source:
    """
    The rows of one listing, and the cursor for after it.

    The first few lists of rows are taken before any is handed out: a short listing is over, and its transaction with it,
    before its reader does anything, so that it keeps nobody from writing (SQLite locks out writers while it is read).
    """

    def __init__(self, database: Database, table: Table, before: Cursor | None) -> None:
        self._database = database
        self._table = table
        self._before = before
        self._mark: Watermark | None = None

    def rows(self, prepared: Prepared, values: Sequence[Any]) -> Iterator[list[Row]]:
        ahead: list[list[Row]] = []
        with self._database.reading(f"table {self._table.name}") as connection:
            if self._table.updated_at is not None:
                # the clock before the snapshot, so that nothing falls between them
                self._mark = Watermark(self._table, now=self._database.dialect.now(connection), before=self._before)
            stream = self._database.dialect.stream(
                connection, prepared.sql, prepared.bind(values), self._table.resource.capabilities.page_size
            )
            with closing(stream):
                for rows in stream:
                    ahead.append(rows)
                    if len(ahead) > _READ_AHEAD:
                        yield ahead.pop(0)
        yield from ahead

    def saw(self, batch: Batch) -> None:
        if self._mark is not None:
            self._mark.saw(batch.modified_at, sortable=batch.sortable)

    def cursor(self) -> str | None:
        return None if self._mark is None else self._mark.cursor()


def by_ids(database: Database, table: Table, statements: Statements, ids: Sequence[str], fields: Sequence[str]) -> list[Answer]:
    """One answer per id, in order; what a key column cannot hold is certainly not there."""
    layout = Layout(table, fields, with_archived=True)
    wanted = {id_: key for id_ in ids if (key := table.key.decode(id_)) is not None}
    found: dict[str, Record] = {}
    keys = list(wanted.values())
    for first in range(0, len(keys), KEYS_PER_STATEMENT):
        found.update(_rows_by_keys(database, layout, statements, keys[first : first + KEYS_PER_STATEMENT]))
    return [found.get(id_) or Tombstone(id=id_) for id_ in ids]


def by_values(
    database: Database, table: Table, statements: Statements, field: str, values: Sequence[Native], fields: Sequence[str]
) -> list[Record]:
    """Every live row whose column holds one of the values, as the database compares them."""
    layout = Layout(table, fields, with_archived=True)
    shape = table.columns[field].shape
    if not shape.comparable:
        raise ResourceError(
            f"table {table.name}: column {field} cannot be searched, for its type has no equality; match by another"
        )
    stored: list[Any] = []
    for value in values:
        try:
            stored.append(shape.store(value))
        except ValueError:
            continue  # no row can hold it
    distinct = [value for value in dict.fromkeys(stored) if value is not None]
    found: list[Record] = []
    for first in range(0, len(distinct), KEYS_PER_STATEMENT):
        found.extend(_rows_by_values(database, layout, statements, field, distinct[first : first + KEYS_PER_STATEMENT]))
    return list({record.id: record for record in found}.values())


def fetch(connection: Connection, prepared: Prepared, parameters: Sequence[Any]) -> list[Row]:
    """All rows of a small query, as the driver makes them."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(prepared.sql, parameters)
        return list(cursor.fetchall())
    finally:
        cursor.close()


def _rows_by_keys(database: Database, layout: Layout, statements: Statements, keys: Sequence[KeyValues]) -> dict[str, Record]:
    with database.reading(f"table {layout.table.name}") as connection:
        rows = fetch(connection, *statements.by_keys(layout.columns, keys, lock=False))
    batch = layout.batch(rows)
    return {record.id: record for record, live in zip(layout.records(batch), _live(batch), strict=True) if live}


def _rows_by_values(
    database: Database, layout: Layout, statements: Statements, field: str, values: Sequence[Any]
) -> list[Record]:
    """Halves the values when the database cannot even read one of them as the column's type: no row holds that one."""
    with database.reading(f"table {layout.table.name}") as connection:
        try:
            rows = fetch(connection, *statements.by_values(layout.columns, [field], [(value,) for value in values]))
        except Exception as error:
            trouble = database.classed(error)
            if trouble is None or trouble.kind is not Kind.VALUE:
                raise
            rows = None
    if rows is None:
        if len(values) == 1:
            return []
        half = len(values) // 2
        return [
            *_rows_by_values(database, layout, statements, field, values[:half]),
            *_rows_by_values(database, layout, statements, field, values[half:]),
        ]
    batch = layout.batch(rows)
    return [record for record, live in zip(layout.records(batch), _live(batch), strict=True) if live]


def _live(batch: Batch) -> list[bool]:
    return [True] * len(batch.ids) if batch.archived is None else [not archived for archived in batch.archived]


def _distinct(table: Table, batch: Batch, last_id: str | None) -> str | None:
    """Refuse ids that occur twice, where nothing but the config says that they do not; rows come in key order."""
    if table.certain_ids or not batch.ids:
        return last_id
    if batch.ids[0] == last_id or len(set(batch.ids)) != len(batch.ids):
        raise ResourceError(
            f"table {table.name}: two rows have the same id; the columns named as `id` ({', '.join(table.key.columns)}) "
            "do not identify a row, name more of them"
        )
    return batch.ids[-1]


def _page(layout: Layout, batch: Batch, *, cursor: str | None = None, complete: bool = False) -> Page:
    return Page(
        fields=layout.fields,
        ids=batch.ids,
        rows=batch.rows,
        versions=batch.versions,
        modified_at=batch.modified_at,
        cursor=cursor,
        complete=complete,
    )


def _changed(layout: Layout, batch: Batch, *, cursor: str | None = None) -> Page:
    live = _live(batch)
    if all(live):
        return _page(layout, batch, cursor=cursor)

    def pick(items: Sequence[Any] | None) -> list[Any] | None:
        return None if items is None else [item for item, keep in zip(items, live, strict=True) if keep]

    return Page(
        fields=layout.fields,
        ids=pick(batch.ids) or [],
        rows=pick(batch.rows) or [],
        versions=pick(batch.versions),
        modified_at=pick(batch.modified_at),
        deleted=[id_ for id_, keep in zip(batch.ids, live, strict=True) if not keep],
        cursor=cursor,
    )
