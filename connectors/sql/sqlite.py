"""
SQLite: one file.

Transactions are begun by us (`BEGIN`, `BEGIN IMMEDIATE`) on connections in autocommit mode, the way SQLAlchemy documents
for pysqlite, since the module's own transaction handling begins too late for a consistent read. A reader in rollback-journal
mode keeps writers from committing while it reads; we do not switch a file that is not ours to WAL.

Columns are loosely typed: a DATE column may hold any text. What parses is delivered as a date, anything else as it is.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, QueuePool, create_engine

from connectors.sql import values
from connectors.sql.dialect import BatchRefused, Begin, Dialect, KeySource, Result, Row, Traits, one_by_one
from connectors.sql.facts import ColumnFacts, ForeignKey, TableFacts
from connectors.sql.keys import KeyKind
from connectors.sql.trouble import OF_ONE_ROW, Kind, Trouble
from connectors.sql.values import Shape
from syncengine.connector import FieldType, Native

_DECLARED: Final = re.compile(r"\s*([^(]*?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*")
_HIDDEN: Final = 1
_GENERATED: Final = frozenset({2, 3})
_VIEW: Final = "view"

_KINDS: Final = {
    sqlite3.SQLITE_BUSY: Kind.BUSY,
    sqlite3.SQLITE_LOCKED: Kind.BUSY,
    sqlite3.SQLITE_INTERRUPT: Kind.BUSY,
    sqlite3.SQLITE_SCHEMA: Kind.BUSY,
    sqlite3.SQLITE_CANTOPEN: Kind.NO_DATABASE,
    sqlite3.SQLITE_PERM: Kind.FORBIDDEN,
    sqlite3.SQLITE_AUTH: Kind.FORBIDDEN,
    sqlite3.SQLITE_READONLY: Kind.READ_ONLY,
    sqlite3.SQLITE_FULL: Kind.FULL,
    sqlite3.SQLITE_IOERR: Kind.BROKEN,
    sqlite3.SQLITE_CORRUPT: Kind.BROKEN,
    sqlite3.SQLITE_NOTADB: Kind.BROKEN,
    sqlite3.SQLITE_ERROR: Kind.NO_TABLE,  # our SQL is well-formed, so what it names is gone
    sqlite3.SQLITE_TOOBIG: Kind.VALUE,
    sqlite3.SQLITE_MISMATCH: Kind.VALUE,
    sqlite3.SQLITE_CONSTRAINT: Kind.CHECK,
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: Kind.TAKEN,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: Kind.TAKEN,
    sqlite3.SQLITE_CONSTRAINT_ROWID: Kind.TAKEN,
    sqlite3.SQLITE_CONSTRAINT_NOTNULL: Kind.NULL,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: Kind.REFERENCE,
    sqlite3.SQLITE_CONSTRAINT_CHECK: Kind.CHECK,
    sqlite3.SQLITE_CONSTRAINT_TRIGGER: Kind.TRIGGER,
}
_CONSTRAINT_DATATYPE: Final = 3091  # not named by the sqlite3 module before 3.12


class SQLite(Dialect):
    """A database file."""

    traits = Traits(
        title="SQLite",
        extra="",
        overlap=5.0,
        late_arrival=0.0,
        max_concurrency=1,
        clock_resolution=1.0,
        number_source=KeySource.LAST,
        times_as_text=True,
    )

    @property
    def path(self) -> Path:
        return self.placed.base / (self.placed.url.database or "")

    def engine(self) -> Engine:
        # mode=rw: a misspelt path must not make an empty database
        uri = f"file:{quote(str(self.path.absolute()))}?mode=rw"

        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(
                uri, uri=True, isolation_level=None, timeout=self.placed.lock_timeout, check_same_thread=False
            )
            try:
                connection.execute("PRAGMA foreign_keys = ON")
            except BaseException:
                connection.close()
                raise
            return connection

        return create_engine("sqlite+pysqlite://", creator=connect, poolclass=QueuePool)

    def place(self) -> str:
        return str(self.path)

    def identity(self) -> str:
        return f"sqlite:{self.path.resolve()}"

    def label(self, connection: Connection) -> str:
        version, _ = connection.exec_driver_sql("SELECT sqlite_version(), count(*) FROM sqlite_master").one()
        return f"SQLite {version} file {self.path}"

    def opening(self, purpose: Begin) -> Sequence[str]:
        return ("BEGIN IMMEDIATE",) if purpose is Begin.WRITE else ("BEGIN",)

    def names(self, connection: Connection) -> Sequence[str]:
        rows = connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND substr(name, 1, 7) <> 'sqlite_' ORDER BY name"
        )
        return [name for (name,) in rows]

    def facts(self, connection: Connection, name: str) -> TableFacts | None:
        # the table-valued pragmas take the name as a value, so that no name is ever part of a statement
        found = connection.exec_driver_sql(
            "SELECT type FROM sqlite_master WHERE type IN ('table', 'view') AND name = ?", (name,)
        ).fetchone()
        if found is None:
            return None
        view = found[0] == _VIEW
        declared = connection.exec_driver_sql(
            'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid', (name,)
        ).fetchall()
        keyed = sorted((pk, column) for column, _, _, _, pk, _ in declared if pk)
        primary_key = tuple(column for _, column in keyed)
        indexes = connection.exec_driver_sql(
            'SELECT name, origin, partial FROM pragma_index_list(?) WHERE "unique"', (name,)
        ).fetchall()
        # a key that has no index of its own is the row number itself (INTEGER PRIMARY KEY)
        numbered = len(primary_key) == 1 and all(origin != "pk" for _, origin, _ in indexes)
        unique = [primary_key] if primary_key else []
        for index, _, partial in indexes:
            parts = connection.exec_driver_sql("SELECT name FROM pragma_index_info(?) ORDER BY seqno", (index,)).scalars()
            columns = tuple(parts)
            if not partial and None not in columns and columns not in unique:
                unique.append(columns)
        return TableFacts(
            schema="main",
            name=name,
            columns=tuple(
                ColumnFacts(
                    name=column,
                    shape=shape_of(type_),
                    nullable=not notnull and not (pk and numbered),
                    filled=default is not None or (numbered and bool(pk)),
                    generated=hidden in _GENERATED or (numbered and bool(pk)),
                    key_kind=_key_kind(type_),
                )
                for column, type_, notnull, default, pk, hidden in declared
                if hidden != _HIDDEN
            ),
            primary_key=primary_key,
            numbered=numbered,
            unique=tuple(unique),
            foreign_keys=_foreign_keys(connection, name),
            read_only="it is a view" if view else "",
        )

    def stream(self, connection: Connection, sql: str, parameters: Sequence[Any], size: int) -> Generator[list[Row], None, None]:
        driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
        delivered = 0
        cursor = driver.cursor()
        try:
            cursor.execute(sql, parameters)
            while True:
                try:
                    rows = cursor.fetchmany(size)
                except sqlite3.OperationalError as error:
                    if getattr(error, "sqlite_errorcode", None) is not None:
                        raise
                    break  # the module's own complaint: text that is no UTF-8
                if not rows:
                    return
                delivered += len(rows)
                yield rows
            # Again, in the same snapshot and order, with such text delivered as bytes.
            driver.text_factory = _decoded
            cursor.execute(sql, parameters)
            for _ in range(0, delivered, size):
                cursor.fetchmany(size)
            while rows := cursor.fetchmany(size):
                yield rows
        finally:
            driver.text_factory = str
            cursor.close()

    def apply(self, connection: Connection, sql: str, rows: Sequence[Sequence[Any]], keys: KeySource) -> list[Result]:
        driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]

        def concerns_one_row(error: Exception) -> bool:
            if not isinstance(error, sqlite3.Error):
                return isinstance(error, (ValueError, OverflowError))
            trouble = self.trouble(error)
            if trouble.kind in OF_ONE_ROW and not driver.in_transaction:
                raise BatchRefused(trouble)  # ON CONFLICT ROLLBACK, RAISE(ROLLBACK)
            return trouble.kind in OF_ONE_ROW or (trouble.kind is Kind.NO_TABLE and _is_sound(driver, sql, rows[0]))

        with closing(driver.cursor()) as cursor:
            return one_by_one(cursor, sql, rows, keys, concerns_one_row)

    def now(self, connection: Connection) -> datetime:
        text = connection.exec_driver_sql("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')").scalar_one()
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    def trouble(self, error: BaseException) -> Trouble:
        extended = getattr(error, "sqlite_errorcode", None)
        name = getattr(error, "sqlite_errorname", "")
        if extended is None:
            # raised by the sqlite3 module before SQLite saw the value
            unfit = isinstance(error, (sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError))
            return Trouble(kind=Kind.VALUE if unfit else Kind.UNKNOWN, code=type(error).__name__)
        if extended == _CONSTRAINT_DATATYPE:
            return Trouble(kind=Kind.VALUE, code=name)
        kind = _KINDS.get(extended) or _KINDS.get(extended & 0xFF, Kind.UNKNOWN)
        settled = (extended & 0xFF) != sqlite3.SQLITE_IOERR
        return Trouble(kind=kind, code=name, settled=settled)


def shape_of(declared: str) -> Shape:
    """
    The shape for a declared type, which SQLite takes as a hint only.

    Lengths are not enforced by SQLite and so not described; a scale is, since it tells what the numbers mean.
    """
    match_ = _DECLARED.fullmatch(declared)
    name, first, second = match_.groups() if match_ else (declared, None, None)
    word = name.upper()
    if not word:
        return Shape(type=None, store=_store_any)
    if word in ("BOOL", "BOOLEAN") or (word == "TINYINT" and first == "1"):
        return replace(values.boolean(), load=values.load_truth)
    if word == "DATE":
        return Shape(type=FieldType.DATE, load=values.load_date, store=_store_date)
    if word.startswith(("DATETIME", "TIMESTAMP")):
        if word.endswith(("TZ", "WITH TIME ZONE", "OFFSET")):
            return Shape(type=FieldType.DATETIME, load=values.load_datetime, store=_store_aware)
        return Shape(type=FieldType.DATETIME, load=values.load_datetime, store=_store_naive, naive=True)
    if word.startswith("JSON"):
        return Shape(type=FieldType.JSON, load=values.load_json, store=values.store_json, comparable=False)
    if "INT" in word:
        return values.integer(64)
    if any(part in word for part in ("CHAR", "CLOB", "TEXT", "UUID", "STRING")) or word == "TIME":
        return values.text()
    if any(part in word for part in ("BLOB", "BINARY", "BYTEA")):
        return values.unusable("it holds bytes")
    if any(part in word for part in ("REAL", "FLOA", "DOUB")):
        return values.real()
    if word.startswith(("DEC", "NUM")):
        scale = int(second) if second else 0 if first else None
        return Shape(type=FieldType.DECIMAL, store=_store_number, scale=scale)
    return Shape(type=None, store=_store_any)


def _is_sound(driver: sqlite3.Connection, sql: str, row: Sequence[Any]) -> bool:
    """
    Whether a statement fits the schema, so that what failed with the general error code was a value.

    A generated column or a trigger fails so on a value that its expression cannot take.
    """
    try:
        driver.execute(f"EXPLAIN {sql}", row).close()
    except sqlite3.Error:
        return False
    return True


def _decoded(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _foreign_keys(connection: Connection, name: str) -> tuple[ForeignKey, ...]:
    rows = connection.exec_driver_sql(
        'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?) ORDER BY id, seq', (name,)
    ).fetchall()
    grouped: dict[int, list[Any]] = {}
    for number, table, column, to in rows:
        grouped.setdefault(number, []).append((table, column, to))
    found = []
    for parts in grouped.values():
        # SQLite compares names of tables without regard to case; a resource has the name it was created under
        written = parts[0][0]
        table = connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE", (written,)
        ).scalar()
        key = tuple(
            connection.exec_driver_sql("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (written,)).scalars()
        )
        to_columns = key if parts[0][2] is None else tuple(to for _, _, to in parts)
        found.append(
            ForeignKey(
                columns=tuple(column for _, column, _ in parts),
                table=table,
                to_columns=to_columns,
                to_key=len(key) == 1 and to_columns == key,
            )
        )
    return tuple(found)


def _key_kind(declared: str) -> KeyKind:
    word = declared.upper()
    if "INT" in word:
        return KeyKind.LOOSE
    if any(part in word for part in ("CHAR", "CLOB", "TEXT")):
        return KeyKind.TEXT
    return KeyKind.ANY


def _store_any(value: Native) -> Any:
    if isinstance(value, Decimal):
        return _store_number(value)
    if isinstance(value, (datetime, list, dict)):
        return values.store_json(value) if isinstance(value, (list, dict)) else value.isoformat(" ")
    return value if isinstance(value, (bytes, int, float)) else values.store_text(value)


def _store_number(value: Native) -> Any:
    # As text: the column's own affinity makes a whole or a floating number of it, or keeps it where neither would do.
    if value is None or type(value) is int or type(value) is float:
        return value
    number = values.store_decimal(value)
    return format(number, "f")


def _store_date(value: Native) -> Any:
    stored = values.store_date(value)
    return stored if stored is None or isinstance(stored, str) else stored.isoformat()


def _store_naive(value: Native) -> Any:
    stored = values.store_naive(value)
    return stored.isoformat(" ") if isinstance(stored, datetime) else stored


def _store_aware(value: Native) -> Any:
    stored = values.store_aware(value)
    return stored.isoformat(" ") if isinstance(stored, datetime) else stored
