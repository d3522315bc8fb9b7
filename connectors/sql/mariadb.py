"""
MariaDB and MySQL, through pymysql.

Sessions run in UTC, so that TIMESTAMP columns are delivered as instants, and strictly: without it the server would cut long
texts and turn what it does not understand into zeros, silently. Tables of storage engines without transactions cannot be
written, since nothing could be taken back there.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from sqlalchemy import Connection, Engine, create_engine

from connectors.sql import values
from connectors.sql.dialect import CONNECT_TIMEOUT, Begin, Dialect, KeySource, Result, Row, Traits, one_by_one
from connectors.sql.facts import ColumnFacts, ForeignKey, TableFacts
from connectors.sql.keys import KeyKind
from connectors.sql.trouble import OF_ONE_ROW, Kind, Trouble
from connectors.sql.values import Shape
from syncengine.connector import FieldType

_SLOW_READER: Final = 3600
"""Seconds that the server waits for us to take the next rows of a listing."""

_COLUMN: Final = re.compile(r"for column (?:`[^`]+`\.)*[`']([^`']+)[`'] at row \d+$")
_CODES: Final = {
    1062: Kind.TAKEN,
    1169: Kind.TAKEN,
    1586: Kind.TAKEN,
    1048: Kind.NULL,
    1364: Kind.NULL,
    1263: Kind.NULL,
    1216: Kind.REFERENCE,
    1217: Kind.REFERENCE,
    1451: Kind.REFERENCE,
    1452: Kind.REFERENCE,
    1761: Kind.REFERENCE,
    1762: Kind.REFERENCE,
    4025: Kind.CHECK,
    3819: Kind.CHECK,
    1369: Kind.CHECK,
    1264: Kind.VALUE,
    1265: Kind.VALUE,
    1292: Kind.VALUE,
    1366: Kind.VALUE,
    1406: Kind.VALUE,
    1411: Kind.VALUE,
    1690: Kind.VALUE,
    1367: Kind.VALUE,
    1300: Kind.VALUE,
    1301: Kind.VALUE,
    3140: Kind.VALUE,
    4038: Kind.VALUE,
    1153: Kind.VALUE,
    1644: Kind.TRIGGER,
    1442: Kind.TRIGGER,
    1205: Kind.BUSY,
    1213: Kind.BUSY,
    1020: Kind.BUSY,
    1040: Kind.BUSY,
    1203: Kind.BUSY,
    1226: Kind.BUSY,
    1317: Kind.BUSY,
    1969: Kind.BUSY,
    3024: Kind.BUSY,
    1053: Kind.LOST,
    1927: Kind.LOST,
    2002: Kind.LOST,
    2003: Kind.LOST,
    2005: Kind.LOST,
    2006: Kind.LOST,
    2013: Kind.LOST,
    2014: Kind.LOST,
    2055: Kind.LOST,
    1044: Kind.DENIED,
    1045: Kind.DENIED,
    1130: Kind.DENIED,
    1698: Kind.DENIED,
    2059: Kind.DENIED,
    1142: Kind.FORBIDDEN,
    1143: Kind.FORBIDDEN,
    1227: Kind.FORBIDDEN,
    1370: Kind.FORBIDDEN,
    1049: Kind.NO_DATABASE,
    1051: Kind.NO_TABLE,
    1054: Kind.NO_TABLE,
    1146: Kind.NO_TABLE,
    1356: Kind.NO_TABLE,
    1290: Kind.READ_ONLY,
    1792: Kind.READ_ONLY,
    1836: Kind.READ_ONLY,
    1036: Kind.READ_ONLY,
    1021: Kind.FULL,
    1114: Kind.FULL,
}

_NAMES_SQL: Final = """
    SELECT table_name AS name FROM information_schema.tables
    WHERE table_schema = coalesce(%s, database()) AND table_type IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')
    ORDER BY BINARY table_name
"""
_TABLE_SQL: Final = """
    SELECT t.table_schema, t.table_name, t.table_type, t.engine, e.transactions
    FROM information_schema.tables t LEFT JOIN information_schema.engines e ON e.engine = t.engine
    WHERE t.table_schema = coalesce(%s, database()) AND BINARY t.table_name = BINARY %s
"""
_COLUMNS_SQL: Final = """
    SELECT column_name, data_type, column_type, is_nullable, column_default, extra, character_maximum_length,
        numeric_precision, numeric_scale, datetime_precision, generation_expression
    FROM information_schema.columns WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position
"""
_UNIQUE_SQL: Final = """
    SELECT index_name, column_name FROM information_schema.statistics
    WHERE table_schema = %s AND table_name = %s AND non_unique = 0 ORDER BY index_name <> 'PRIMARY', index_name, seq_in_index
"""
_FOREIGN_SQL: Final = """
    SELECT constraint_name, column_name, referenced_table_schema, referenced_table_name, referenced_column_name
    FROM information_schema.key_column_usage
    WHERE table_schema = %s AND table_name = %s AND referenced_table_name IS NOT NULL
    ORDER BY constraint_name, ordinal_position
"""
_KEY_SQL: Final = """
    SELECT column_name FROM information_schema.statistics
    WHERE table_schema = %s AND table_name = %s AND index_name = 'PRIMARY' ORDER BY seq_in_index
"""
_CHECKS_SQL: Final = """
    SELECT check_clause FROM information_schema.check_constraints
    WHERE constraint_schema = %s AND table_name = %s AND check_clause LIKE 'json_valid(%%'
"""

_INTEGERS: Final = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_TEXTS: Final = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
_AS_TEXT: Final = frozenset({"time", "set", "uuid", "inet4", "inet6"})
_KEY_KINDS: Final = {
    "date": KeyKind.DATE,
    "datetime": KeyKind.DATETIME,
    "decimal": KeyKind.DECIMAL,
    "uuid": KeyKind.TEXT,
    "enum": KeyKind.TEXT,
    **dict.fromkeys(_INTEGERS, KeyKind.INTEGER),
    **dict.fromkeys(_TEXTS, KeyKind.TEXT),
}


class MariaDB(Dialect):
    """A MariaDB or MySQL server."""

    traits: ClassVar[Traits] = Traits(
        title="MariaDB or MySQL",
        extra="mysql",
        overlap=60.0,
        late_arrival=30.0,
        max_concurrency=4,
        clock_resolution=1e-6,
        number_source=KeySource.LAST,
    )

    def engine(self) -> Engine:
        settings = (
            "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'), time_zone = '+00:00', "
            f"innodb_lock_wait_timeout = {max(1, round(self.placed.lock_timeout))}, net_write_timeout = {_SLOW_READER}"
        )
        return create_engine(
            self.placed.url,
            paramstyle="format",
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            connect_args={
                "charset": "utf8mb4",
                "connect_timeout": CONNECT_TIMEOUT,
                "read_timeout": self.placed.timeout,
                "write_timeout": self.placed.timeout,
                "init_command": settings,
            },
        )

    def place(self) -> str:
        return f"MariaDB or MySQL database {self._database()} at {self._address()}"

    def identity(self) -> str:
        return f"mysql:{self._address()}/{self._database()}"

    def label(self, connection: Connection) -> str:
        version, user = connection.exec_driver_sql("SELECT version(), current_user()").one()
        return f"{self.place()}, as {user}, version {version}"

    def opening(self, purpose: Begin) -> Sequence[str]:
        return () if purpose is Begin.WRITE else ("START TRANSACTION READ ONLY",)

    def names(self, connection: Connection) -> Sequence[str]:
        return list(connection.exec_driver_sql(_NAMES_SQL, (self.placed.schema,)).scalars())

    def facts(self, connection: Connection, name: str) -> TableFacts | None:
        found = connection.exec_driver_sql(_TABLE_SQL, (self.placed.schema, name)).fetchone()
        if found is None:
            return None
        schema, table, kind, engine, transactions = found
        place = (schema, table)
        unique: dict[str, list[str | None]] = {}
        for index, column in connection.exec_driver_sql(_UNIQUE_SQL, place):
            unique.setdefault(index, []).append(column)
        documents = self._documents(connection, schema, table)
        columns = tuple(_column(*row, document=row[0] in documents) for row in connection.exec_driver_sql(_COLUMNS_SQL, place))
        primary_key = tuple(column for column in unique.get("PRIMARY", []) if column is not None)
        key = [column for column in columns if (column.name,) == primary_key]
        read_only = "it is a view" if kind == "VIEW" else ""
        if not read_only and transactions != "YES":
            read_only = f"its storage engine {engine} has no transactions; ALTER TABLE ... ENGINE=InnoDB gives it some"
        return TableFacts(
            schema=schema,
            name=table,
            columns=columns,
            primary_key=primary_key,
            numbered=len(key) == 1 and key[0].generated and key[0].key_kind is KeyKind.INTEGER,
            unique=tuple(
                dict.fromkeys(
                    tuple(column for column in parts if column is not None)
                    for parts in unique.values()
                    if None not in parts  # an index on an expression
                )
            ),
            foreign_keys=self._foreign_keys(connection, schema, table),
            read_only=read_only,
        )

    def stream(self, connection: Connection, sql: str, parameters: Sequence[Any], size: int) -> Generator[list[Row], None, None]:
        from pymysql.cursors import SSCursor  # type: ignore[import-untyped] # it ships no types

        driver: Any = connection.connection.driver_connection
        cursor = driver.cursor(SSCursor)
        finished = False
        try:
            cursor.execute(sql, parameters)
            while rows := cursor.fetchmany(size):
                yield rows
            finished = True
        finally:
            if not finished:
                _abandon(cursor)
                connection.invalidate()
            cursor.close()

    def apply(self, connection: Connection, sql: str, rows: Sequence[Sequence[Any]], keys: KeySource) -> list[Result]:
        from pymysql.err import MySQLError  # type: ignore[import-untyped] # it ships no types

        driver: Any = connection.connection.driver_connection

        def concerns_one_row(error: Exception) -> bool:
            if isinstance(error, MySQLError):
                return self.trouble(error).kind in OF_ONE_ROW
            return isinstance(error, (ValueError, OverflowError))

        # a statement that fails is undone by itself; all of our statements write one row
        with closing(driver.cursor()) as cursor:
            return one_by_one(cursor, sql, rows, keys, concerns_one_row)

    def now(self, connection: Connection) -> datetime:
        now: datetime = connection.exec_driver_sql("SELECT utc_timestamp(6)").scalar_one()
        return now.replace(tzinfo=UTC)

    def trouble(self, error: BaseException) -> Trouble:
        from pymysql.err import InterfaceError, ProgrammingError

        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        if number == 0:
            kind = (
                Kind.LOST
                if isinstance(error, InterfaceError)
                else Kind.VALUE
                if isinstance(error, ProgrammingError)
                else Kind.UNKNOWN
            )
            return Trouble(kind=kind, code=type(error).__name__, settled=False)
        kind = _CODES.get(number, Kind.UNKNOWN)
        # The name stands last, so that no value that the message quotes can pass for one.
        named = _COLUMN.search(str(error.args[1])) if kind is Kind.VALUE and len(error.args) > 1 else None
        return Trouble(
            kind=kind,
            code=f"error {number}",
            column=named[1] if named is not None else None,
            settled=kind in OF_ONE_ROW or number in (1205, 1213),
        )

    def _address(self) -> str:
        return f"{self.placed.url.host or 'localhost'}:{self.placed.url.port or 3306}"

    def _database(self) -> str:
        return self.placed.schema or self.placed.url.database or ""

    def _documents(self, connection: Connection, schema: str, table: str) -> set[str]:
        """Columns that MariaDB keeps as text and checks to be JSON; MySQL has a type for them."""
        dialect: Any = connection.dialect
        if not dialect.is_mariadb:
            return set()
        clauses = set(connection.exec_driver_sql(_CHECKS_SQL, (schema, table)).scalars())
        names = connection.exec_driver_sql(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s", (schema, table)
        ).scalars()
        return {name for name in names if f"json_valid(`{name.replace('`', '``')}`)" in clauses}

    def _foreign_keys(self, connection: Connection, schema: str, table: str) -> tuple[ForeignKey, ...]:
        grouped: dict[str, list[Any]] = {}
        for constraint, column, to_schema, to_table, to_column in connection.exec_driver_sql(_FOREIGN_SQL, (schema, table)):
            grouped.setdefault(constraint, []).append((column, to_schema, to_table, to_column))
        found = []
        for parts in grouped.values():
            _, to_schema, to_table, _ = parts[0]
            to_columns = tuple(to for _, _, _, to in parts)
            key = tuple(connection.exec_driver_sql(_KEY_SQL, (to_schema, to_table)).scalars())
            found.append(
                ForeignKey(
                    columns=tuple(column for column, _, _, _ in parts),
                    table=to_table if to_schema == schema else None,
                    to_columns=to_columns,
                    to_key=len(key) == 1 and to_columns == key,
                )
            )
        return tuple(found)


def _column(
    name: str,
    type_: str,
    full_type: str,
    nullable: str,
    default: str | None,
    extra: str,
    length: int | None,
    precision: int | None,
    scale: int | None,
    seconds: int | None,
    expression: str | None,
    *,
    document: bool,
) -> ColumnFacts:
    word, facets = type_.lower(), extra.lower()
    automatic = "auto_increment" in facets
    return ColumnFacts(
        name=name,
        shape=shape_of(
            word, full_type=full_type, length=length, precision=precision, scale=scale, seconds=seconds, document=document
        ),
        nullable=nullable == "YES",
        # MariaDB gives the default NULL as the word, MySQL as nothing at all
        filled=(default is not None and default != "NULL") or automatic or "default_generated" in facets,
        generated=bool(expression) or automatic or "generated" in facets.replace("default_generated", ""),
        key_kind=_KEY_KINDS.get(word),
    )


def shape_of(
    type_: str,
    *,
    full_type: str,
    length: int | None,
    precision: int | None,
    scale: int | None,
    seconds: int | None,
    document: bool,
) -> Shape:
    """The shape for a column of the information schema."""
    whole = full_type.lower()
    if document or type_ == "json":
        return Shape(type=FieldType.JSON, load=values.load_json, store=values.store_json, comparable=False)
    if whole == "tinyint(1)":
        return replace(values.boolean(), load=values.load_truth)
    if type_ in _INTEGERS:
        return values.integer(_INTEGERS[type_], unsigned="unsigned" in whole)
    if type_ in _TEXTS:
        return values.text(max_length=length if type_ in ("char", "varchar") else None)
    if type_ in _AS_TEXT:
        return values.text(as_text=True)
    match type_:
        case "enum":
            return values.choice(_labels(full_type))
        case "decimal":
            return values.decimal(precision=precision, scale=scale)
        case "float" | "double":
            return values.real()
        case "bit" if precision == 1:
            return replace(values.boolean(), load=values.load_bit)
        case "year":
            return values.integer()
        case "date":
            return Shape(type=FieldType.DATE, store=values.store_date)
        case "datetime":
            return Shape(type=FieldType.DATETIME, store=values.store_naive, naive=True, precision=seconds or 0)
        case "timestamp":
            return Shape(type=FieldType.DATETIME, load=values.load_utc, store=_store_timestamp, precision=seconds or 0)
    return values.unusable(f"it is of type {type_}")


def _abandon(cursor: Any) -> None:
    """
    Let go of a listing that was not read to its end.

    pymysql would read all the rest first, and where the connection is gone it would fail at that in a destructor.
    """
    result = cursor._result  # noqa: SLF001 - there is no public way
    if result is not None:
        result.unbuffered_active = False
    cursor.connection = None


def _store_timestamp(value: object) -> Any:
    stored = values.store_aware(value)
    return stored.astimezone(UTC).replace(tzinfo=None) if isinstance(stored, datetime) else stored


def _labels(full_type: str) -> tuple[str, ...]:
    """The values of `enum('a','b''c')`."""
    inside = full_type[full_type.index("(") + 1 : full_type.rindex(")")]
    return tuple(part.replace("''", "'") for part in inside[1:-1].split("','"))
