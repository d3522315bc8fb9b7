"""
Why the database refused a row, and which column is to blame.

Drivers tell the column in a message, which holds values and is not to be parsed; some tell a constraint's name. So the
column is found by looking: which unique value is held by another row, which parent row is missing, which value does not fit
its column.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection

from connectors.sql.database import Database
from connectors.sql.pages import Layout
from connectors.sql.reading import fetch
from connectors.sql.statements import Statements
from connectors.sql.table import Table
from connectors.sql.trouble import Kind, Trouble
from connectors.sql.values import load_text
from syncengine.connector import Change, Create, Delete, Fields, FieldType
from syncengine.errors import AlreadyExists, RecordError, Rejected

_HALVES: Final = ("\ud800", "\udfff")


class Refusals:
    """Words the refusals of one table."""

    def __init__(self, database: Database, table: Table, statements: Statements) -> None:
        self._database = database
        self._table = table
        self._statements = statements
        self._layout = Layout(table, (), with_archived=True)

    def of_row(
        self,
        connection: Connection,
        error: Exception,
        change: Change,
        *,
        values: Mapping[str, Any],
        fields: Fields,
        own: str | None,
    ) -> RecordError:
        """
        The error for one row, looked into while its transaction goes on.

        `values` is what was to be written, as the driver takes it; `fields` what the row holds now; `own` its id.
        """
        trouble = self._database.classed(error) or Trouble(kind=Kind.UNKNOWN, code=type(error).__name__)
        match trouble.kind:
            case Kind.TAKEN:
                return self._taken(connection, trouble, values, fields, own)
            case Kind.REFERENCE:
                return self._dangling(connection, trouble, change, values, fields)
            case Kind.NULL:
                return self._null(trouble, change, values)
            case Kind.VALUE:
                return self._unfit(trouble, values)
        return self.of_batch(trouble)

    def of_batch(self, trouble: Trouble) -> RecordError:
        """The error where nothing more can be looked up."""
        where, code = f"table {self._table.name}", f"({trouble.code})"
        named = f" {trouble.constraint}" if trouble.constraint else ""
        match trouble.kind:
            case Kind.TAKEN:
                return AlreadyExists(
                    f"{where}: a unique value is taken by another row{_by(trouble)} {code}", field=trouble.column
                )
            case Kind.REFERENCE:
                return Rejected(f"{where}: a foreign key{named} does not hold {code}", field=trouble.column)
            case Kind.CHECK:
                return Rejected(
                    f"{where}: a check constraint{named} refused the row {code}; see its definition", field=trouble.column
                )
            case Kind.TRIGGER:
                return Rejected(f"{where}: a trigger or rule of the database refused the row {code}", field=trouble.column)
            case Kind.NULL:
                return Rejected(f"{where}: a column that must have a value was left empty {code}", field=trouble.column)
        return Rejected(f"{where}: a value does not fit its column {code}", field=trouble.column)

    def _taken(
        self, connection: Connection, trouble: Trouble, values: Mapping[str, Any], fields: Fields, own: str | None
    ) -> AlreadyExists:
        after = {**self._stored(fields), **values}
        for columns in self._table.unique:
            if not values.keys() & set(columns) or any(after.get(name) is None for name in columns):
                continue
            row = tuple(after[name] for name in columns)
            prepared, parameters = self._statements.by_values(self._layout.columns, columns, [row])
            batch = self._layout.batch(fetch(connection, prepared, parameters))
            for number, id_ in enumerate(batch.ids):
                if id_ != own:
                    hidden = batch.archived is not None and batch.archived[number]
                    return AlreadyExists(
                        f"table {self._table.name}: the value of {' and '.join(columns)} is taken by another "
                        f"{'row, which is archived' if hidden else 'row'} ({trouble.code})",
                        field=columns[0] if len(columns) == 1 else None,
                        id=id_,
                    )
        return AlreadyExists(
            f"table {self._table.name}: a unique value is taken by another row{_by(trouble)} ({trouble.code})",
            field=trouble.column,
        )

    def _dangling(
        self, connection: Connection, trouble: Trouble, change: Change, values: Mapping[str, Any], fields: Fields
    ) -> Rejected:
        if isinstance(change, Delete):
            return Rejected(f"table {self._table.name}: other rows still refer to this one ({trouble.code}); delete those first")
        after = {**self._stored(fields), **values}
        for key in self._table.foreign_keys:
            if key.table is None or not values.keys() & set(key.columns) or any(after.get(name) is None for name in key.columns):
                continue
            parent = self._statements.parent(self._table.schema, key.table, key.to_columns)
            if not fetch(connection, parent, parent.bind([after[name] for name in key.columns])):
                return Rejected(
                    f"table {self._table.name}: {' and '.join(key.columns)} names a row of {key.table} that is not there "
                    f"({trouble.code})",
                    field=key.columns[0] if len(key.columns) == 1 else None,
                )
        return Rejected(
            f"table {self._table.name}: a foreign key does not hold{_by(trouble)} ({trouble.code})", field=trouble.column
        )

    def _null(self, trouble: Trouble, change: Change, values: Mapping[str, Any]) -> Rejected:
        field = trouble.column
        if field is None:
            emptied = [name for name, value in values.items() if value is None and not self._table.columns[name].nullable]
            missing = [
                name
                for name, column in self._table.columns.items()
                if isinstance(change, Create) and column.required and name not in values
            ]
            field = next(iter([*emptied, *missing]), None)
        return Rejected(
            f"table {self._table.name}: column {field or '(unnamed)'} must have a value, and the row has none for it "
            f"({trouble.code}); map it, or give it a default",
            field=field,
        )

    def _unfit(self, trouble: Trouble, values: Mapping[str, Any]) -> Rejected:
        field, why = trouble.column, "a value does not fit its column"
        for name in [field] if field is not None and field in values else values:
            fault = _fault(self._table, name, values[name])
            if fault or name == field:
                field, why = name, f"column {name} {fault or 'cannot hold this value'}"
                break
        else:
            suspects = [name for name, value in values.items() if isinstance(value, str) and self._reads_text(name)]
            if field is None and len(suspects) == 1:
                field = suspects[0]
                why = f"column {field} cannot hold this value"
        return Rejected(f"table {self._table.name}: {why} ({trouble.code})", field=field)

    def _reads_text(self, name: str) -> bool:
        """Whether the database makes something else of the text that we send for a column."""
        shape = self._table.columns[name].shape
        return shape.type is not FieldType.TEXT or shape.as_text or shape.load is load_text

    def _stored(self, fields: Fields) -> dict[str, Any]:
        """What the row holds, as the driver takes it; only what unique and foreign keys are made of."""
        names: set[str] = {name for columns in self._table.unique for name in columns}
        names.update(name for key in self._table.foreign_keys for name in key.columns)
        return {name: self._table.columns[name].shape.store(fields[name]) for name in names if name in fields}


def _by(trouble: Trouble) -> str:
    return f" by constraint {trouble.constraint}" if trouble.constraint else ""


def _fault(table: Table, name: str, value: Any) -> str:
    """Why a column cannot hold a value, as far as its description tells."""
    shape = table.columns[name].shape
    if isinstance(value, str) and shape.max_length is not None and len(value) > shape.max_length:
        return f"holds at most {shape.max_length} characters, and the value has {len(value)}"
    if isinstance(value, str) and "\x00" in value:
        return "cannot hold the character NUL"
    if isinstance(value, str) and not value.isascii() and any(_HALVES[0] <= character <= _HALVES[1] for character in value):
        return "cannot hold half a character (a lone surrogate)"
    if isinstance(value, str) and shape.choices and value not in [choice.value for choice in shape.choices]:
        return "does not have this choice"
    if not isinstance(value, (bool, str)) and shape.smallest is not None and shape.largest is not None and value is not None:
        try:
            inside = shape.smallest - 1 < value < shape.largest + 1
        except TypeError:
            return ""
        if not inside:
            return f"holds numbers from {shape.smallest} to {shape.largest} only"
    return ""
