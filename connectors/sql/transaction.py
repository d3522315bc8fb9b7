"""
The work of one writing transaction.

The rows that a run concerns are locked and read (`SELECT ... FOR UPDATE`; SQLite locks the whole file) and `expected` is
compared with them in Python, where a float, a JSON document or a date compares as the native it was delivered as. What
passes is written, and read again inside the transaction, so that `Written.record` holds what triggers, defaults and types
made of it. A row that the database refuses leaves its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from connectors.sql.database import Database
from connectors.sql.dialect import KeySource
from connectors.sql.keys import KeyValues
from connectors.sql.pages import Batch, Layout
from connectors.sql.reading import fetch
from connectors.sql.refusal import Refusals
from connectors.sql.statements import KEYS_PER_STATEMENT, Prepared, Statements
from connectors.sql.table import ArchiveMark, Column, Table
from connectors.sql.values import stamp
from syncengine.connector import (
    Archive,
    Change,
    Create,
    Delete,
    Expected,
    Failed,
    Native,
    Outcome,
    Restore,
    Update,
    Written,
)
from syncengine.errors import NotFound, RecordError, Rejected, ResourceError, VersionConflict


@dataclass(slots=True)  # neither is frozen: one is made for each change, and freezing costs a third of the work on it
class Job:
    """
    A change made ready: `values` by column, as the driver takes them.

    `position` is its place in the batch; `id` is None for a create.
    """

    position: int
    change: Change
    values: dict[str, Any]
    id: str | None = None

    @property
    def kind(self) -> object:
        """Jobs of one kind can be done together."""
        return (Create, self.change.upsert_on) if isinstance(self.change, Create) else None

    @property
    def target(self) -> object:
        """What no two jobs of a run may have in common; None for nothing."""
        if isinstance(self.change, Create):
            return None if self.change.upsert_on is None else self.values.get(self.change.upsert_on)
        return self.id


@dataclass(slots=True)
class Current:
    """A row as it is in the transaction, locked; `row` are the natives of all columns."""

    id: str
    key: KeyValues
    row: tuple[Native, ...]
    version: str | None
    archived: bool


class Transaction:
    """Applies runs of jobs on one connection, whose transaction the caller begins and commits."""

    def __init__(
        self,
        *,
        database: Database,
        table: Table,
        statements: Statements,
        layout: Layout,
        refusals: Refusals,
        connection: Connection,
    ) -> None:
        self._dialect = database.dialect
        self._database = database
        self._table = table
        self._statements = statements
        self._layout = layout
        self._refusals = refusals
        self._connection = connection
        self._clock: datetime | None = None
        self._stamps: dict[str, Any] = {}
        self._place = {name: number for number, name in enumerate(layout.fields)}

    def apply(self, run: Sequence[Job]) -> dict[int, Outcome]:
        """Apply jobs of one kind, no two on the same row; outcomes by position."""
        return self._create(run) if isinstance(run[0].change, Create) else self._change(run)

    def _change(self, run: Sequence[Job]) -> dict[int, Outcome]:
        outcomes: dict[int, Outcome] = {}
        rows = self._lock([job.id for job in run if job.id is not None])
        passed: list[tuple[Job, Current]] = []
        for job in run:
            current = rows.get(job.id or "")
            refused = self._judge(job, current)
            if refused is None and current is not None:
                passed.append((job, current))
            elif refused is not None:
                outcomes[job.position] = Failed(key=job.change.key, error=refused)
        outcomes.update(self._set(passed, met=False))
        return outcomes

    def _judge(self, job: Job, current: Current | None) -> RecordError | None:
        """Why a change may not be applied to the row as it is."""
        where = f"table {self._table.name}"
        if current is None:
            return NotFound(f"{where}: no row has this id; it was deleted, or its key was changed")
        if isinstance(job.change, Restore):
            return None
        if current.archived:
            return NotFound(f"{where}: the row with this id is archived")
        expected = job.change.expected if isinstance(job.change, (Update, Archive, Delete)) else None
        if expected is not None and not self._holds(expected, current):
            return VersionConflict(f"{where}: the row was changed since it was read; nothing was written")
        for column, old in zip(self._table.key.columns, current.key, strict=True):
            if column in job.values and self._table.columns[column].shape.store(old) != job.values[column]:
                return Rejected(f"{where}: column {column} makes up the id of a row and cannot be changed", field=column)
        return None

    def _set(self, passed: Sequence[tuple[Job, Current]], *, met: bool) -> dict[int, Outcome]:
        """Write to rows that are locked, in order, and read them again."""
        outcomes: dict[int, Outcome] = {}
        written: list[tuple[Job, KeyValues]] = []
        deleted: list[tuple[Job, KeyValues]] = []
        for names, group in groupby(passed, key=lambda each: self._columns_set(each[0])):
            chosen = list(group)
            if names is None:
                prepared = self._statements.delete()
                rows: list[Sequence[Any]] = [current.key for _, current in chosen]
            elif names:
                prepared = self._statements.update(names)
                rows = [prepared.bind([*self._row(job, names), *current.key]) for job, current in chosen]
            else:
                written.extend((job, current.key) for job, current in chosen)  # there is nothing to set
                continue
            results = self._dialect.apply(self._connection, prepared.sql, rows, KeySource.NONE)
            for (job, current), result in zip(chosen, results, strict=True):
                if isinstance(result, Exception):
                    outcomes[job.position] = self._refused(job, result, current)
                elif names is None:
                    deleted.append((job, current.key))
                else:
                    written.append((job, current.key))
        outcomes.update(self._read_again(written, met=met))
        outcomes.update(self._gone(deleted))
        return outcomes

    def _create(self, run: Sequence[Job]) -> dict[int, Outcome]:
        outcomes: dict[int, Outcome] = {}
        met = self._met(run)
        fresh = [job for job in run if job.position not in met]
        written: list[tuple[Job, KeyValues]] = []
        for names, group in groupby(fresh, key=lambda job: tuple(job.values)):
            jobs = list(group)
            columns = (*names, *self._stamped())
            source = self._key_source(columns)
            if source is KeySource.RETURNED and not self._connection.dialect.insert_returning:
                key = self._table.key.columns[0]
                unnamed = Rejected(f"table {self._table.name}: this server does not tell a key it makes; map {key}", field=key)
                outcomes.update((job.position, Failed(key=job.change.key, error=unnamed)) for job in jobs)
                continue
            prepared = self._statements.insert(columns, returning=source is KeySource.RETURNED)
            results = self._dialect.apply(
                self._connection, prepared.sql, [prepared.bind(self._row(job, columns)) for job in jobs], source
            )
            for job, result in zip(jobs, results, strict=True):
                if isinstance(result, Exception):
                    holder = self._holder(job)
                    if holder is not None:
                        met[job.position] = holder
                    else:
                        outcomes[job.position] = self._refused(job, result, None)
                    continue
                if result is None:
                    error = Rejected(f"table {self._table.name}: a trigger of the database swallowed the new row")
                    outcomes[job.position] = Failed(key=job.change.key, error=error)
                else:
                    written.append((job, result or tuple(job.values[name] for name in self._table.key.columns)))
        outcomes.update(self._read_again(written, met=False))
        outcomes.update(self._set([(job, met[job.position]) for job in run if job.position in met], met=True))
        return outcomes

    def _met(self, run: Sequence[Job]) -> dict[int, Current]:
        """For each create that names `upsert_on`, the live row that it meets, if any; by position."""
        change = run[0].change
        field = change.upsert_on if isinstance(change, Create) else None
        if field is None:
            return {}
        wanted = [job for job in run if job.values.get(field) is not None]
        if not wanted:
            return {}
        found: dict[Any, Current] = {}
        for first in range(0, len(wanted), KEYS_PER_STATEMENT):
            values = [(job.values[field],) for job in wanted[first : first + KEYS_PER_STATEMENT]]
            for current in self._rows(*self._statements.by_values(self._layout.columns, [field], values, lock=True)):
                if not current.archived:
                    found[self._table.columns[field].shape.store(current.row[self._place[field]])] = current
        return {job.position: found[job.values[field]] for job in wanted if job.values[field] in found}

    def _holder(self, job: Job) -> Current | None:
        """The live row that an upsert met only by being refused: a collation that ignores case, or a new neighbour."""
        field = job.change.upsert_on if isinstance(job.change, Create) else None
        if field is None or job.values.get(field) is None:
            return None
        values = [(job.values[field],)]
        rows = self._rows(*self._statements.by_values(self._layout.columns, [field], values, lock=True))
        return next((row for row in rows if not row.archived), None)

    def _refused(self, job: Job, error: Exception, current: Current | None) -> Failed:
        refusal = self._refusals.of_row(
            self._connection,
            error,
            job.change,
            values=job.values,
            fields={} if current is None else self._layout.named(current.row),
            own=None if current is None else current.id,
        )
        return Failed(key=job.change.key, error=refusal)

    def _lock(self, ids: Sequence[str]) -> dict[str, Current]:
        keys = [key for id_ in ids if (key := self._table.key.decode(id_)) is not None]
        found: dict[str, Current] = {}
        for first in range(0, len(keys), KEYS_PER_STATEMENT):
            part = keys[first : first + KEYS_PER_STATEMENT]
            for row in self._rows(*self._statements.by_keys(self._layout.columns, part, lock=True)):
                found[row.id] = row
        return found

    def _read_again(self, written: Sequence[tuple[Job, KeyValues]], *, met: bool) -> dict[int, Outcome]:
        """The rows as they are stored now, as outcomes."""
        outcomes: dict[int, Outcome] = {}
        named = self._layout.named
        for first in range(0, len(written), KEYS_PER_STATEMENT):
            part = written[first : first + KEYS_PER_STATEMENT]
            stored = self._by_keys([key for _, key in part])
            place = {key: number for number, key in enumerate(stored.keys)}
            for job, key in part:
                batch, number = stored, place.get(key)
                if number is None:
                    # stored under another form of its key: padded, in another case, as another type
                    batch = self._by_keys([key])
                    number = 0 if len(batch.ids) == 1 else None
                if number is None:
                    error = Rejected(f"table {self._table.name}: a trigger of the database removed the row as it was written")
                    outcomes[job.position] = Failed(key=job.change.key, error=error)
                    continue
                outcomes[job.position] = Written(
                    key=job.change.key,
                    id=batch.ids[number],
                    version=None if batch.versions is None else batch.versions[number],
                    record=named(batch.rows[number]),
                    met=met,
                )
        return outcomes

    def _gone(self, deleted: Sequence[tuple[Job, KeyValues]]) -> dict[int, Outcome]:
        """Outcomes of deletes: a trigger may have kept a row (or archived it, which is as good)."""
        kept: set[str] = set()
        for first in range(0, len(deleted), KEYS_PER_STATEMENT):
            batch = self._by_keys([key for _, key in deleted[first : first + KEYS_PER_STATEMENT]])
            archived = batch.archived if batch.archived is not None else [False] * len(batch.ids)
            kept.update(id_ for id_, hidden in zip(batch.ids, archived, strict=True) if not hidden)
        outcomes: dict[int, Outcome] = {}
        for job, _ in deleted:
            assert job.id is not None
            if job.id in kept:
                error = Rejected(f"table {self._table.name}: a trigger or rule of the database kept the row")
                outcomes[job.position] = Failed(key=job.change.key, error=error)
            else:
                outcomes[job.position] = Written(key=job.change.key, id=job.id)
        return outcomes

    def _by_keys(self, keys: Sequence[KeyValues]) -> Batch:
        return self._batch(*self._statements.by_keys(self._layout.columns, keys, lock=False))

    def _rows(self, prepared: Prepared, parameters: Sequence[Any]) -> list[Current]:
        batch = self._batch(prepared, parameters)
        count = len(batch.ids)
        versions = batch.versions if batch.versions is not None else [None] * count
        archived = batch.archived if batch.archived is not None else [False] * count
        return list(map(Current, batch.ids, batch.keys, batch.rows, versions, archived))

    def _holds(self, expected: Expected, current: Current) -> bool:
        if expected.version is not None:
            return current.version == expected.version
        row, place = current.row, self._place
        for name, value in expected.fields.items():
            number = place.get(name)
            if number is None:
                raise ResourceError(f"table {self._table.name} has no column {name} any more; check the mapping and run again")
            held = row[number]
            # a value that is not equal to itself is a NaN, and one NaN is as good as another
            if held != value and (held == held or value == value):
                return False
        return True

    def _batch(self, prepared: Prepared, parameters: Sequence[Any]) -> Batch:
        return self._layout.batch(fetch(self._connection, prepared, parameters), keys=True)

    def _key_source(self, columns: Sequence[str]) -> KeySource:
        """Where the key of a new row comes from."""
        if self._table.numbered:
            return self._dialect.traits.number_source
        if self._dialect.traits.number_source is KeySource.LAST and set(self._table.key.columns) <= set(columns):
            return KeySource.NONE
        return KeySource.RETURNED

    def _columns_set(self, job: Job) -> tuple[str, ...] | None:
        """The columns that a job sets; None for a delete."""
        match job.change:
            case Delete():
                return None
            case Archive() | Restore():
                assert self._table.archived_at is not None
                return (self._table.archived_at.name, *self._stamped())
            case Create():
                names = tuple(name for name in job.values if name not in self._table.key.columns)
                return (*names, *self._stamped()) if names else ()
        return (*job.values, *self._stamped()) if job.values else ()

    def _stamped(self) -> tuple[str, ...]:
        return () if self._table.updated_at is None else (self._table.updated_at.name,)

    def _row(self, job: Job, columns: Sequence[str]) -> list[Any]:
        """The values of these columns for a job, ours included."""
        values = job.values
        if self._table.updated_at is None and len(columns) == len(values):
            return list(values.values())  # nothing of ours is among them, so they are just the job's
        marks = self._marks(job.change)
        return [values[name] if name in values else marks[name] for name in columns]

    def _marks(self, change: Change) -> dict[str, Any]:
        """What we set ourselves, by column."""
        marks: dict[str, Any] = {}
        archived_at, updated_at = self._table.archived_at, self._table.updated_at
        if updated_at is not None:
            marks[updated_at.name] = self._now(updated_at)
        if archived_at is not None and isinstance(change, (Archive, Restore)):
            archive = isinstance(change, Archive)
            if self._table.archive_mark is ArchiveMark.FLAG:
                marks[archived_at.name] = archived_at.shape.store(archive)
            else:
                marks[archived_at.name] = self._now(archived_at) if archive else None
        return marks

    def _now(self, mark: Column) -> Any:
        """The database's clock as this column keeps it; one reading for the whole transaction."""
        if mark.name not in self._stamps:
            if self._clock is None:
                self._clock = self._dialect.now(self._connection)
            self._stamps[mark.name] = mark.shape.store(stamp(self._clock, mark.shape, self._table.zone))
        return self._stamps[mark.name]
