"""What a database's catalogue says about a table, in one form for all databases. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.sql.keys import KeyKind
from connectors.sql.values import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """
    A column. `filled`: the database supplies a value when a create names none. `generated`: it always does.

    `key_kind` is what the driver delivers for it as part of a key; None where it cannot be one.
    """

    name: str
    shape: Shape
    nullable: bool
    filled: bool
    generated: bool
    key_kind: KeyKind | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """A foreign key; `table` is None where it leads out of the schema. `to_key`: to that table's one-column primary key."""

    columns: tuple[str, ...]
    table: str | None
    to_columns: tuple[str, ...]
    to_key: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """
    A table or view. `numbered`: its one key column is a whole number that the database hands out.

    `unique` holds the columns of every full unique constraint and index, the primary key included. `schema` qualifies
    the name in statements. `read_only` says why the table cannot be written, if so.
    """

    schema: str
    name: str
    columns: tuple[ColumnFacts, ...]
    primary_key: tuple[str, ...]
    numbered: bool
    unique: tuple[tuple[str, ...], ...]
    foreign_keys: tuple[ForeignKey, ...]
    read_only: str = ""
