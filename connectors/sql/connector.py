"""The connector: databases through SQLAlchemy Core."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from threading import Lock

from connectors.sql import reading
from connectors.sql.cursors import parse_cursor
from connectors.sql.database import Database
from connectors.sql.describe import Unreadable, describe
from connectors.sql.options import SqlOptions, options_for
from connectors.sql.statements import Statements
from connectors.sql.table import Table
from connectors.sql.writing import Writer
from syncengine.connector import Account, Answer, Change, Native, Outcome, Page, Record, Resource
from syncengine.errors import ResourceError


class Tables(Mapping[str, Resource]):
    """The tables and views by name: names cost one look at the catalogue, each description one more."""

    def __init__(self, database: Database, options: SqlOptions) -> None:
        self._database = database
        self._options = options
        self._names: list[str] | None = None
        self._described: dict[str, Table | Unreadable] = {}
        self._statements: dict[str, Statements] = {}
        self._lock = Lock()

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed())

    def __len__(self) -> int:
        return len(self._listed())

    def __contains__(self, name: object) -> bool:
        return name in self._described or name in self._listed()

    def __getitem__(self, name: str) -> Resource:
        described = self._table(name)
        if described is None:
            raise KeyError(name)
        return described.resource

    def table(self, name: str) -> tuple[Table, Statements]:
        """A table that can be read; raises ResourceError."""
        described = self._table(name)
        if described is None:
            near = get_close_matches(name, self._listed(), n=1)
            cure = f"did you mean {near[0]}?" if near else "check the name in the pair, and the `schema` option"
            raise ResourceError(f"{self._database.dialect.place()}: there is no table or view {name}; {cure}")
        if isinstance(described, Unreadable):
            raise ResourceError(described.why)
        return described, self._statements[name]

    def _listed(self) -> list[str]:
        if self._names is None:
            with self._database.reading("the list of tables") as connection:
                self._names = list(self._database.dialect.names(connection))
        return self._names

    def _table(self, name: str) -> Table | Unreadable | None:
        with self._lock:
            if name not in self._described:
                dialect = self._database.dialect
                with self._database.reading(f"table {name}") as connection:
                    facts = dialect.facts(connection, name)
                if facts is None:
                    return None
                described = describe(facts, options_for(name, self._options), traits=dialect.traits)
                if isinstance(described, Table):
                    self._statements[name] = Statements(self._database.engine.dialect, described)
                self._described[name] = described
            return self._described[name]


class SqlConnector:
    """
    A database: read and written, with strong reads by id and searches by value.

    Tables with a primary key can be written; views, and tables without one, can be read where the config names their id.
    """

    def __init__(self, database: Database, options: SqlOptions) -> None:
        self._database = database
        self._tables = Tables(database, options)
        self._writers: dict[str, Writer] = {}
        self.deadline = max(60.0, options.timeout)

    def check(self) -> Account:
        dialect = self._database.dialect
        with self._database.reading("") as connection:
            return Account(id=dialect.identity(), label=dialect.label(connection))

    def resources(self) -> Mapping[str, Resource]:
        return self._tables

    def read(self, resource: str, *, fields: Sequence[str], cursor: str | None = None) -> Iterator[Page]:
        table, statements = self._tables.table(resource)
        _known(table, fields)
        if cursor is None:
            return self._database.watch(reading.listing(self._database, table, statements, fields))
        since = parse_cursor(cursor, table)
        return self._database.watch(reading.changes(self._database, table, statements, fields, since))

    def get(self, resource: str, ids: Sequence[str], *, fields: Sequence[str]) -> Sequence[Answer]:
        table, statements = self._tables.table(resource)
        _known(table, fields)
        return reading.by_ids(self._database, table, statements, ids, fields)

    def find(self, resource: str, field: str, values: Sequence[Native], *, fields: Sequence[str]) -> Sequence[Record]:
        table, statements = self._tables.table(resource)
        _known(table, [*fields, field])
        return reading.by_values(self._database, table, statements, field, values, fields)

    def write(self, resource: str, changes: Sequence[Change]) -> Sequence[Outcome]:
        table, statements = self._tables.table(resource)
        if not table.resource.capabilities.creates:
            raise ResourceError(f"table {resource} cannot be written: {'; '.join(table.resource.notes)}")
        writer = self._writers.get(resource)
        if writer is None:
            writer = self._writers.setdefault(resource, Writer(self._database, table, statements))
        return writer.write(changes)

    def close(self) -> None:
        self._database.close()


def _known(table: Table, fields: Sequence[str]) -> None:
    for name in fields:
        if name not in table.columns:
            described = table.resource.fields.get(name)
            if described is not None:
                raise ResourceError(f"table {table.name}: column {name} cannot be used: {described.unusable}")
            near = get_close_matches(name, table.columns, n=1)
            cure = f"did you mean {near[0]}?" if near else f"its columns are {', '.join(table.columns)}"
            raise ResourceError(f"table {table.name} has no column {name}; {cure}")
