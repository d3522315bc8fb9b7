"""
Writing: a batch of changes in one transaction.

What a row's refusal leaves of its neighbours is `transaction.py`'s affair; here a batch is made ready, committed, and, where
a deferred constraint spoils the commit, taken apart into one transaction for each change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from connectors.sql.database import Database
from connectors.sql.dialect import BatchRefused
from connectors.sql.pages import Layout
from connectors.sql.refusal import Refusals
from connectors.sql.statements import Statements
from connectors.sql.table import Table
from connectors.sql.transaction import Job, Transaction
from connectors.sql.values import Shape
from syncengine.connector import (
    ABSENT,
    Archive,
    Change,
    Create,
    Delete,
    Failed,
    Fields,
    Identify,
    Outcome,
    Restore,
    Update,
    Written,
)
from syncengine.errors import ConnectorError, OutcomeUnknown, Rejected, TransientError


class Writer:
    """Writes batches to one table."""

    def __init__(self, database: Database, table: Table, statements: Statements) -> None:
        self._database = database
        self._table = table
        self._statements = statements
        self._layout = Layout(table, tuple(table.columns), with_archived=True)
        self._refusals = Refusals(database, table, statements)
        self._shapes: dict[str, Shape] = {}

    def write(self, changes: Sequence[Change]) -> list[Outcome]:
        """One outcome per change, in order. Raises only when nothing was applied."""
        try:
            return self._together(changes)
        except BatchRefused as refused:
            if len(changes) == 1:
                return [Failed(key=changes[0].key, error=self._refusals.of_batch(refused.trouble))]
        return self._apart(changes)

    def _apart(self, changes: Sequence[Change]) -> list[Outcome]:
        """A transaction for each change; when one cannot be tried, what was written before it stands."""
        outcomes: list[Outcome] = []
        for number, change in enumerate(changes):
            try:
                outcomes.extend(self._together([change]))
            except BatchRefused as refused:
                outcomes.append(Failed(key=change.key, error=self._refusals.of_batch(refused.trouble)))
            except ConnectorError as stopped:
                if not any(isinstance(outcome, Written) for outcome in outcomes):
                    raise
                error = TransientError(f"not written, since the batch stopped here: {stopped}")
                outcomes.extend(Failed(key=each.key, error=error) for each in changes[number:])
                break
        return outcomes

    def _together(self, changes: Sequence[Change]) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        jobs = list(self._jobs(changes, outcomes))
        if jobs:
            try:
                with self._database.writing(f"table {self._table.name}") as connection:
                    transaction = Transaction(
                        database=self._database,
                        table=self._table,
                        statements=self._statements,
                        layout=self._layout,
                        refusals=self._refusals,
                        connection=connection,
                    )
                    for run in _runs(jobs):
                        outcomes.update(transaction.apply(run))
            except OutcomeUnknown as unknown:
                return [
                    outcome if isinstance(outcome := outcomes[number], Failed) else Failed(key=change.key, error=unknown)
                    for number, change in enumerate(changes)
                ]
        return [outcomes[number] for number in range(len(changes))]

    def _jobs(self, changes: Sequence[Change], outcomes: dict[int, Outcome]) -> Iterator[Job]:
        for position, change in enumerate(changes):
            try:
                yield self._job(position, change)
            except Rejected as error:
                outcomes[position] = Failed(key=change.key, error=error)

    def _job(self, position: int, change: Change) -> Job:
        table = self._table
        match change:
            case Create():
                values = self._values(change.fields)
                if change.id is not None and table.resource.capabilities.chooses_ids:
                    values.setdefault(table.key.columns[0], change.id)
                return Job(position, change, values)
            case Update():
                return Job(position, change, self._values(change.fields), change.id)
            case Delete():
                return Job(position, change, {}, change.id)
            case Archive() | Restore():
                if table.archived_at is None:
                    raise Rejected(f"table {table.name} has no column that marks archived rows; name one as archived_at")
                return Job(position, change, {}, change.id)
            case Identify():
                raise Rejected(f"table {table.name} has no provisional ids")

    def _values(self, fields: Fields) -> dict[str, object]:
        """What the driver takes, by column; Rejected names the first field that cannot be written."""
        values: dict[str, object] = {}
        for name, value in fields.items():
            shape = self._shapes.get(name) or self._writable(name)
            if type(value) in shape.passed:
                values[name] = value
            elif value is not ABSENT:
                try:
                    values[name] = shape.store(value)
                except (ValueError, ArithmeticError) as error:
                    where = f"table {self._table.name}: column {name}"
                    raise Rejected(f"{where} cannot hold this value: {error}", field=name) from None
        return values

    def _writable(self, name: str) -> Shape:
        column = self._table.columns.get(name)
        if column is None:
            raise Rejected(f"table {self._table.name} has no column {name} that can be written", field=name)
        if self._table.resource.fields[name].read_only:
            raise Rejected(f"table {self._table.name}: column {name} is read-only; leave it out of the mapping", field=name)
        return self._shapes.setdefault(name, column.shape)


def _runs(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Stretches of creates (upserting by the same field), and of changes to different rows, in the order given."""
    run: list[Job] = []
    seen: set[object] = set()
    kind: object = None
    for job in jobs:
        target = job.target
        if run and (job.kind != kind or target in seen):
            yield run
            run, seen = [], set()
        run.append(job)
        kind = job.kind
        if target is not None:
            seen.add(target)
    if run:
        yield run
