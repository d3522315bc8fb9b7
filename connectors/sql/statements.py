"""
The statements on one table, built by SQLAlchemy Core and compiled once.

Every identifier is quoted, whatever it looks like, and every value is a parameter. Statements carry no types: values go to
the driver, and come from it, as they are, so that a garbage value cannot stop a listing in a type's converter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Dialect,
    Executable,
    Text,
    and_,
    bindparam,
    cast,
    column,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    table,
    tuple_,
    update,
)
from sqlalchemy.sql import quoted_name
from sqlalchemy.types import NullType

from connectors.sql.keys import KeyValues
from connectors.sql.table import ArchiveMark, Table, VersionMark

KEYS_PER_STATEMENT: Final = 512
"""Keys looked up by one statement; a power of two, see `by_keys`."""

_UNTYPED: Final = NullType()


@dataclass(frozen=True, slots=True)
class Slot:
    """Stands in a statement for the parameter with this number."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A compiled statement. `parameters` are slots and constants in the order of the driver's placeholders."""

    sql: str
    parameters: tuple[Any, ...]
    straight: bool
    """The slots come in order, with nothing between them: parameters can be passed on as they are."""

    def bind(self, values: Sequence[Any]) -> Sequence[Any]:
        """The parameters for the driver."""
        if self.straight:
            return values
        return tuple(values[part.number] if type(part) is Slot else part for part in self.parameters)


class Statements:
    """The statements on one table. Column names handed in are names of described columns, never data."""

    def __init__(self, dialect: Dialect, described: Table) -> None:
        self._dialect = dialect
        self._table = described
        names = dict.fromkeys([*described.columns, *described.key.columns, *_marks(described)])
        self._clause = table(
            quoted_name(described.name, quote=True),
            *(column(quoted_name(name, quote=True), _UNTYPED) for name in names),
            schema=quoted_name(described.schema, quote=True),
        )
        self._prepared: dict[object, Prepared] = {}

    def listing(self, columns: Sequence[str]) -> Prepared:
        """All live rows in the order of the key."""

        def build() -> Executable:
            statement = select(*map(self._selected, columns)).select_from(self._clause).order_by(*self._key())
            live = self._live()
            return statement if live is None else statement.where(live)

        return self._prepare(("listing", *columns), build)

    def changes(self, columns: Sequence[str], *, odd_below: str | None) -> Prepared:
        """
        All rows, archived ones too, whose `updated_at` is at least slot 0, or is NULL (nobody knows when they changed).

        `odd_below`: in SQLite numbers sort below all text; rows whose `updated_at` is less than this text are listed too.
        """
        assert self._table.updated_at is not None
        changed = self._clause.c[self._table.updated_at.name]
        conditions = [changed >= self._slot(0), changed.is_(None)]
        if odd_below is not None:
            conditions.append(changed < bindparam(None, odd_below, type_=_UNTYPED))

        def build() -> Executable:
            return select(*map(self._selected, columns)).where(or_(*conditions)).order_by(*self._key())

        return self._prepare(("changes", *columns), build)

    def by_keys(self, columns: Sequence[str], keys: Sequence[KeyValues], *, lock: bool) -> tuple[Prepared, Sequence[Any]]:
        """
        The rows with these keys (at most `KEYS_PER_STATEMENT`), archived ones too, and the parameters.

        The last key is repeated up to a power of two, so that few statements are ever compiled.
        """
        count = 1 << (len(keys) - 1).bit_length()
        padded = [*keys, *[keys[-1]] * (count - len(keys))]

        def build() -> Executable:
            statement = select(*map(self._selected, columns)).where(self._one_of(count)).order_by(*self._key())
            return statement.with_for_update() if lock else statement

        prepared = self._prepare(("by keys", lock, count, *columns), build)
        return prepared, prepared.bind([value for key in padded for value in key])

    def by_values(
        self, columns: Sequence[str], where: Sequence[str], rows: Sequence[Sequence[Any]], *, lock: bool = False
    ) -> tuple[Prepared, Sequence[Any]]:
        """The rows, archived ones too, whose columns `where` hold one of these rows of values, and the parameters."""
        count = 1 << (len(rows) - 1).bit_length()
        padded = [*rows, *[rows[-1]] * (count - len(rows))]

        def build() -> Executable:
            condition = self._in([self._comparable(name) for name in where], count)
            statement = select(*map(self._selected, columns)).where(condition)
            return statement.with_for_update() if lock else statement

        prepared = self._prepare(("by values", lock, count, tuple(where), *columns), build)
        return prepared, prepared.bind([value for row in padded for value in row])

    def insert(self, columns: Sequence[str], *, returning: bool) -> Prepared:
        """A new row: the values of `columns`, in order."""

        def build() -> Executable:
            statement = insert(self._clause).values({name: Slot(number) for number, name in enumerate(columns)})
            mark = self._table.version
            if mark is not None and self._table.version_mark is VersionMark.OURS and mark.required:
                statement = statement.values({mark.name: literal_column("1")})
            return statement.returning(*self._key()) if returning else statement

        return self._prepare(("insert", returning, *columns), build, column_keys=[])

    def update(self, columns: Sequence[str]) -> Prepared:
        """New values for a row: those of `columns`, in order, then its key."""

        def build() -> Executable:
            values: dict[str, Any] = {name: Slot(number) for number, name in enumerate(columns)}
            mark = self._table.version
            if mark is not None and self._table.version_mark is VersionMark.OURS:
                values[mark.name] = func.coalesce(self._clause.c[mark.name], literal_column("0")) + literal_column("1")
            return update(self._clause).values(values).where(self._this_row(len(columns)))

        return self._prepare(("update", *columns), build)

    def delete(self) -> Prepared:
        return self._prepare(("delete",), lambda: delete(self._clause).where(self._this_row(0)))

    def parent(self, schema: str, name: str, columns: Sequence[str]) -> Prepared:
        """Whether another table holds a row with these values."""

        def build() -> Executable:
            parent = table(
                quoted_name(name, quote=True),
                *(column(quoted_name(each, quote=True), _UNTYPED) for each in columns),
                schema=quoted_name(schema, quote=True),
            )
            matches = [parent.c[each] == self._slot(number) for number, each in enumerate(columns)]
            return select(literal_column("1")).select_from(parent).where(and_(*matches))

        return self._prepare(("parent", schema, name, *columns), build)

    def _prepare(self, purpose: object, build: Callable[[], Executable], column_keys: list[str] | None = None) -> Prepared:
        found = self._prepared.get(purpose)
        if found is None:
            compiled: Any = build().compile(  # type: ignore[attr-defined]
                dialect=self._dialect, column_keys=column_keys, compile_kwargs={"render_postcompile": True}
            )
            values = compiled.construct_params(escape_names=False)
            parameters = tuple(values[name] for name in compiled.positiontup)
            found = self._prepared[purpose] = Prepared(
                sql=compiled.string,
                parameters=parameters,
                straight=parameters == tuple(map(Slot, range(len(parameters)))),
            )
        return found

    def _slot(self, number: int) -> Any:
        return bindparam(None, Slot(number), type_=_UNTYPED)

    def _selected(self, name: str) -> ColumnElement[Any]:
        return self._comparable(name).label(None)

    def _comparable(self, name: str) -> ColumnElement[Any]:
        expression: ColumnElement[Any] = self._clause.c[name]
        described = self._table.columns.get(name)
        if (described is not None and described.shape.as_text) or name in _system_columns(self._table):
            return cast(expression, Text())
        return expression

    def _key(self) -> list[ColumnElement[Any]]:
        return [self._clause.c[name] for name in self._table.key.columns]

    def _one_of(self, count: int) -> ColumnElement[bool]:
        return self._in(self._key(), count)

    def _in(self, columns: Sequence[ColumnElement[Any]], count: int) -> ColumnElement[bool]:
        width = len(columns)
        if width == 1:
            return columns[0].in_([self._slot(number) for number in range(count)])
        rows = [tuple(Slot(row * width + part) for part in range(width)) for row in range(count)]
        return tuple_(*columns).in_(rows)

    def _this_row(self, first: int) -> ColumnElement[bool]:
        return and_(*(part == self._slot(first + number) for number, part in enumerate(self._key())))

    def _live(self) -> ColumnElement[bool] | None:
        archived_at = self._table.archived_at
        if archived_at is None:
            return None
        mark = self._clause.c[archived_at.name]
        if self._table.archive_mark is ArchiveMark.TIME:
            return mark.is_(None)
        return or_(mark.is_(None), mark == bindparam(None, archived_at.shape.store(False), type_=_UNTYPED))


def _marks(described: Table) -> list[str]:
    return [mark.name for mark in (described.updated_at, described.archived_at, described.version) if mark is not None]


def _system_columns(described: Table) -> frozenset[str]:
    """A version that is no declared column (PostgreSQL's xmin) has no Python value of its own."""
    version = described.version
    return frozenset() if version is None or version.name in described.columns else frozenset({version.name})
