"""From the driver's rows to the rows, ids, versions and times that a page holds. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connectors.sql.dialect import Row
from connectors.sql.keys import KeyKind, KeyValues, NoKey
from connectors.sql.table import Table
from connectors.sql.values import Load, instant, is_foreign
from syncengine.connector import Fields, Native, Record
from syncengine.errors import ResourceError


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some rows made ready: natives, ids, key values, and what the marks of each row say."""

    ids: Sequence[str]
    keys: Sequence[KeyValues]
    rows: Sequence[tuple[Native, ...]]
    versions: Sequence[str | None] | None
    modified_at: Sequence[datetime | None] | None
    archived: Sequence[bool] | None
    sortable: bool = True
    """The values of `updated_at` compare as the instants they stand for."""


class Layout:
    """
    Which columns a query selects, and where they stand: the fields asked for, then what else is needed.

    Rows that need no conversion are passed on as the driver made them: this is the hot path of a listing.
    """

    def __init__(self, table: Table, fields: Sequence[str], *, with_archived: bool) -> None:
        self.table = table
        self.fields = tuple(fields)
        selected = dict.fromkeys(fields)
        for column in table.key.columns:
            selected.setdefault(column)
        for mark in (table.updated_at, table.version, table.archived_at if with_archived else None):
            if mark is not None:
                selected.setdefault(mark.name)
        self.columns = tuple(selected)
        position = {name: number for number, name in enumerate(self.columns)}
        self._key = tuple(position[name] for name in table.key.columns)
        self._loads: list[tuple[int, Load]] = [
            (position[name], load) for name in fields if (load := table.columns[name].shape.load) is not None
        ]
        self._updated_at = None if table.updated_at is None else position[table.updated_at.name]
        self._version = None if table.version is None else position[table.version.name]
        self._archived_at = None if table.archived_at is None or not with_archived else position[table.archived_at.name]

    def batch(self, rows: Sequence[Row], *, keys: bool = False) -> Batch:
        """The rows made ready; `keys` asks for the key values too. Raises ResourceError for a row without an id."""
        if not rows:
            return Batch(ids=[], keys=[], rows=[], versions=None, modified_at=None, archived=None)
        table = self.table
        width = len(self.fields)
        if not self._loads and self._archived_at is None and self._updated_at is None and self._version is None:
            ids = self._ids([row[self._key[0]] for row in rows] if len(self._key) == 1 else None, rows)
            natives = rows if width == len(self.columns) else [row[:width] for row in rows]
            return Batch(
                ids=ids,
                keys=self._key_values(rows) if keys else (),
                rows=natives,
                versions=None,
                modified_at=None,
                archived=None,
            )
        columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
        raw_times = None if self._updated_at is None else columns[self._updated_at]
        raw_archived = None if self._archived_at is None else columns[self._archived_at]
        versions = None if self._version is None else [_version_text(value) for value in columns[self._version]]
        ids = self._ids(columns[self._key[0]] if len(self._key) == 1 else None, rows)
        for number, load in self._loads:
            columns[number] = list(map(load, columns[number]))
        return Batch(
            ids=ids,
            keys=self._key_values(rows) if keys else (),
            rows=list(zip(*columns[:width], strict=True)) if width else [()] * len(rows),
            versions=versions,
            modified_at=None if raw_times is None else self._instants(raw_times),
            sortable=raw_times is None or not any(map(self._is_odd, raw_times)),
            archived=None if raw_archived is None else [table.is_archived(value) for value in raw_archived],
        )

    def _instants(self, times: Sequence[Any]) -> list[datetime | None]:
        assert self.table.updated_at is not None
        load = self.table.updated_at.shape.load
        return [instant(value, self.table.zone) for value in (times if load is None else map(load, times))]

    def _is_odd(self, value: Any) -> bool:
        """Whether a time is kept as text with an offset of its own, so that comparing texts does not compare times."""
        return type(value) is str and is_foreign(value, self.table.zone)

    def records(self, batch: Batch) -> Iterable[Record]:
        """The rows of a batch as records."""
        for number, (id_, row) in enumerate(zip(batch.ids, batch.rows, strict=True)):
            yield Record(
                id=id_,
                fields=self.named(row),
                version=None if batch.versions is None else batch.versions[number],
                modified_at=None if batch.modified_at is None else batch.modified_at[number],
            )

    def named(self, row: tuple[Native, ...]) -> Fields:
        return dict(zip(self.fields, row, strict=False))  # as long by construction, and checking costs on the hot path

    def _key_values(self, rows: Sequence[Row]) -> list[KeyValues]:
        return [tuple(row[number] for number in self._key) for row in rows]

    def _ids(self, single: Sequence[Any] | None, rows: Sequence[Row]) -> list[str]:
        key = self.table.key
        try:
            if single is not None and key.plain:
                kind = key.kinds[0]
                if kind is KeyKind.INTEGER and self.table.certain_ids:
                    return list(map(str, single))
                encode = key.encode
                return [value if type(value) is str and value else encode((value,)) for value in single]
            return [key.encode(values) for values in self._key_values(rows)]
        except NoKey:
            raise ResourceError(
                f"table {self.table.name}: a row has NULL, empty text or bytes in its id column "
                f"({', '.join(key.columns)}), so it has no id; give it one, or name other columns as `id`"
            ) from None


def _version_text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, datetime) else str(value)
