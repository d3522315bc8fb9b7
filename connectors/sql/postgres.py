"""
PostgreSQL, through psycopg 3.

Sessions run in UTC, so that times come and are stamped alike whatever the server's zone. A listing is one query behind a
server-side cursor: one snapshot, flat memory. Constraints that are deferred are made immediate in our transactions, so that
a violation is met by the row that caused it and not by the commit.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from sqlalchemy import Connection, Engine, create_engine, event

from connectors.sql import values
from connectors.sql.dialect import CONNECT_TIMEOUT, Begin, Dialect, KeySource, Result, Row, Traits
from connectors.sql.facts import ColumnFacts, ForeignKey, TableFacts
from connectors.sql.keys import KeyKind
from connectors.sql.trouble import OF_ONE_ROW, Kind, Trouble
from connectors.sql.values import Shape
from syncengine.connector import FieldType

_CURSOR: Final = "syncengine_listing"
_SAVEPOINT: Final = "syncengine_rows"

_CODES: Final = {
    "23505": Kind.TAKEN,
    "23P01": Kind.TAKEN,
    "23502": Kind.NULL,
    "23503": Kind.REFERENCE,
    "23001": Kind.REFERENCE,
    "23514": Kind.CHECK,
    "23000": Kind.CHECK,
    "44000": Kind.CHECK,
    "42804": Kind.VALUE,
    "54000": Kind.VALUE,
    "428C9": Kind.VALUE,
    "40003": Kind.UNKNOWN,
    "53100": Kind.FULL,
    "55P03": Kind.BUSY,
    "55006": Kind.BUSY,
    "57014": Kind.BUSY,
    "42501": Kind.FORBIDDEN,
    "3D000": Kind.NO_DATABASE,
    "42P01": Kind.NO_TABLE,
    "3F000": Kind.NO_TABLE,
    "42703": Kind.NO_TABLE,
    "25006": Kind.READ_ONLY,
}
_CLASSES: Final = {
    "08": Kind.LOST,
    "22": Kind.VALUE,
    "28": Kind.DENIED,
    "40": Kind.BUSY,
    "53": Kind.BUSY,
    "57": Kind.LOST,
    "P0": Kind.TRIGGER,
    "XX": Kind.BROKEN,
}

_TABLES: Final = "'r', 'p'"
_READABLE: Final = {"v": "it is a view", "m": "it is a materialized view", "f": "it is a foreign table"}

_NAMES_SQL: Final = """
    SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = coalesce(%s, current_schema()) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
    ORDER BY c.relname COLLATE "C"
"""
_TABLE_SQL: Final = """
    SELECT c.oid, c.relkind::text, n.nspname
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = coalesce(%s, current_schema()) AND c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""
# A domain is looked through to the type beneath it.
_COLUMNS_SQL: Final = """
    SELECT a.attname, coalesce(b.typname, t.typname), coalesce(b.typtype, t.typtype)::text,
        coalesce(b.typcategory, t.typcategory)::text,
        CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END,
        (SELECT e.typname FROM pg_catalog.pg_type e WHERE e.oid = coalesce(b.typelem, t.typelem)),
        NOT (a.attnotnull OR t.typnotnull), a.atthasdef OR t.typdefault IS NOT NULL, a.attidentity::text, a.attgenerated::text,
        pg_catalog.pg_get_serial_sequence(pg_catalog.format('%%I.%%I', n.nspname, c.relname), a.attname) IS NOT NULL,
        ARRAY(SELECT l.enumlabel::text FROM pg_catalog.pg_enum l
            WHERE l.enumtypid = coalesce(b.oid, t.oid) ORDER BY l.enumsortorder)
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype AND t.typtype = 'd'
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_UNIQUE_SQL: Final = """
    SELECT i.indisprimary, ARRAY(
        SELECT a.attname::text FROM generate_series(0, i.indnkeyatts - 1) place
        JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[place] ORDER BY place)
    FROM pg_catalog.pg_index i
    WHERE i.indrelid = %s AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
    ORDER BY i.indisprimary DESC, i.indexrelid
"""
_FOREIGN_SQL: Final = """
    SELECT p.relname, p.relnamespace = c.relnamespace,
        ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (num, place)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY u.place),
        ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (num, place)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY u.place),
        EXISTS (SELECT 1 FROM pg_catalog.pg_index i
            WHERE i.indexrelid = k.conindid AND i.indisprimary AND i.indnkeyatts = 1)
    FROM pg_catalog.pg_constraint k
    JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_class p ON p.oid = k.confrelid
    WHERE k.contype = 'f' AND k.conrelid = %s ORDER BY k.oid
"""

_INTEGERS: Final = {"int2": 16, "int4": 32, "int8": 64}
_TEXTS: Final = frozenset({"text", "varchar", "bpchar", "name", "citext"})
_LISTED: Final = _TEXTS - {"citext"} | _INTEGERS.keys()
"""Arrays of these arrive as lists; of others, as one text."""

_LENGTH_OFFSET: Final = 4
"""The catalogue keeps lengths and precisions with the size of a header added."""

_KEY_KINDS: Final = {
    "uuid": KeyKind.UUID,
    "date": KeyKind.DATE,
    "timestamp": KeyKind.DATETIME,
    "timestamptz": KeyKind.DATETIME,
    "numeric": KeyKind.DECIMAL,
    **dict.fromkeys(_INTEGERS, KeyKind.INTEGER),
    **dict.fromkeys(_TEXTS, KeyKind.TEXT),
}


class PostgreSQL(Dialect):
    """A PostgreSQL server (10 or newer)."""

    traits: ClassVar[Traits] = Traits(
        title="PostgreSQL",
        extra="postgres",
        overlap=60.0,
        late_arrival=30.0,
        max_concurrency=4,
        clock_resolution=1e-6,
        number_source=KeySource.RETURNED,
        system_version=True,
    )

    def engine(self) -> Engine:
        engine = create_engine(
            self.placed.url,
            paramstyle="format",
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            connect_args={"connect_timeout": CONNECT_TIMEOUT, "client_encoding": "utf8"},
        )
        event.listen(engine, "connect", self._connected)
        return engine

    def place(self) -> str:
        return f"PostgreSQL database {self.placed.url.database} at {self._address()}"

    def identity(self) -> str:
        schema = "" if self.placed.schema is None else f"#{self.placed.schema}"
        return f"postgresql:{self._address()}/{self.placed.url.database}{schema}"

    def label(self, connection: Connection) -> str:
        version, user, schema = connection.exec_driver_sql(
            "SELECT current_setting('server_version'), current_user, current_schema()"
        ).one()
        return f"{self.place()}, schema {self.placed.schema or schema}, as {user}, version {version}"

    def opening(self, purpose: Begin) -> Sequence[str]:
        return ("SET CONSTRAINTS ALL IMMEDIATE",) if purpose is Begin.WRITE else ("SET TRANSACTION READ ONLY",)

    def names(self, connection: Connection) -> Sequence[str]:
        return list(connection.exec_driver_sql(_NAMES_SQL, (self.placed.schema,)).scalars())

    def facts(self, connection: Connection, name: str) -> TableFacts | None:
        found = connection.exec_driver_sql(_TABLE_SQL, (self.placed.schema, name)).fetchone()
        if found is None:
            return None
        number, kind, schema = found
        declared = connection.exec_driver_sql(_COLUMNS_SQL, (number,)).fetchall()
        unique: list[tuple[str, ...]] = []
        primary_key: tuple[str, ...] = ()
        for primary, parts in connection.exec_driver_sql(_UNIQUE_SQL, (number,)):
            primary_key = tuple(parts) if primary else primary_key
            if tuple(parts) not in unique:
                unique.append(tuple(parts))
        columns = tuple(_column(*row) for row in declared)
        key = [column for column in columns if (column.name,) == primary_key]
        return TableFacts(
            schema=schema,
            name=name,
            columns=columns,
            primary_key=primary_key,
            numbered=len(key) == 1 and key[0].generated and key[0].key_kind is KeyKind.INTEGER,
            unique=tuple(unique),
            foreign_keys=tuple(
                ForeignKey(
                    columns=tuple(own),
                    table=table if same_schema else None,
                    to_columns=tuple(other),
                    to_key=to_key,
                )
                for table, same_schema, own, other, to_key in connection.exec_driver_sql(_FOREIGN_SQL, (number,))
            ),
            read_only=_READABLE.get(kind, ""),
        )

    def stream(self, connection: Connection, sql: str, parameters: Sequence[Any], size: int) -> Generator[list[Row], None, None]:
        driver: Any = connection.connection.driver_connection
        with driver.cursor(name=_CURSOR) as cursor:
            cursor.execute(sql, parameters)
            while rows := cursor.fetchmany(size):
                yield rows

    def apply(self, connection: Connection, sql: str, rows: Sequence[Sequence[Any]], keys: KeySource) -> list[Result]:
        driver: Any = connection.connection.driver_connection
        with closing(driver.cursor()) as cursor:
            cursor.execute(f"SAVEPOINT {_SAVEPOINT}")
            try:
                results = self._all(cursor, sql, rows, keys)
            except Exception as error:  # psycopg refuses values with exceptions of its own as well
                if not self._concerns_one_row(error):
                    raise
                cursor.execute(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
                results = [self._one(cursor, sql, row, keys) for row in rows]
            cursor.execute(f"RELEASE SAVEPOINT {_SAVEPOINT}")
        return results

    def now(self, connection: Connection) -> datetime:
        now: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        return now.astimezone(UTC)

    def trouble(self, error: BaseException) -> Trouble:
        code = getattr(error, "sqlstate", None)
        if code is None:
            return self._without_code(error)
        diagnosis: Any = getattr(error, "diag", None)
        return Trouble(
            kind=_CODES.get(code) or _CLASSES.get(code[:2], Kind.UNKNOWN),
            code=f"SQLSTATE {code}",
            constraint=getattr(diagnosis, "constraint_name", None) or "",
            column=getattr(diagnosis, "column_name", None),
            settled=getattr(diagnosis, "severity_nonlocalized", "") == "ERROR",
        )

    def _address(self) -> str:
        return f"{self.placed.url.host or 'localhost'}:{self.placed.url.port or 5432}"

    def _connected(self, driver: Any, _record: object) -> None:
        register_tolerant_loaders(driver)
        with driver.cursor() as cursor:
            for name, value in (
                ("TimeZone", "UTC"),
                ("lock_timeout", f"{int(self.placed.lock_timeout * 1000)}ms"),
                ("statement_timeout", f"{int(self.placed.timeout * 1000)}ms"),
            ):
                cursor.execute("SELECT set_config(%s, %s, false)", (name, value))
        driver.commit()

    def _all(self, cursor: Any, sql: str, rows: Sequence[Sequence[Any]], keys: KeySource) -> list[Result]:
        """All rows in one pipeline."""
        if keys is not KeySource.RETURNED:
            cursor.executemany(sql, rows)
            return [()] * len(rows)
        cursor.executemany(sql, rows, returning=True)
        results: list[Result] = []
        more = True
        while more:
            results.append(cursor.fetchone())
            more = cursor.nextset()
        return results

    def _one(self, cursor: Any, sql: str, row: Sequence[Any], keys: KeySource) -> Result:
        """One row; the savepoint is set before each of them anew."""
        cursor.execute(f"SAVEPOINT {_SAVEPOINT}_one")
        try:
            cursor.execute(sql, row)
            result: Result = cursor.fetchone() if keys is KeySource.RETURNED else ()
        except Exception as error:
            if not self._concerns_one_row(error):
                raise
            cursor.execute(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}_one")
            result = error
        cursor.execute(f"RELEASE SAVEPOINT {_SAVEPOINT}_one")
        return result

    def _concerns_one_row(self, error: Exception) -> bool:
        import psycopg

        if isinstance(error, psycopg.Error):
            return self.trouble(error).kind in OF_ONE_ROW
        return isinstance(error, (ValueError, OverflowError))

    def _without_code(self, error: BaseException) -> Trouble:
        import psycopg

        if isinstance(error, (psycopg.DataError, psycopg.ProgrammingError)):
            return Trouble(kind=Kind.VALUE, code=type(error).__name__)  # refused by the driver before it was sent
        if not isinstance(error, psycopg.OperationalError):
            return Trouble(kind=Kind.UNKNOWN, code=type(error).__name__, settled=False)
        return Trouble(kind=_failed_login(error), code=type(error).__name__, settled=False)


def register_tolerant_loaders(driver: Any) -> None:
    """Deliver dates that Python has no value for (infinity, years beyond 9999, BC) as the text they are."""
    from psycopg.errors import DataError
    from psycopg.types.datetime import DateLoader, TimestampLoader, TimestamptzLoader

    def tolerant(base: Any) -> Any:
        def load(self: Any, data: Any) -> Any:
            try:
                return base.load(self, data)
            except DataError:
                return bytes(data).decode()

        return type(f"Tolerant{base.__name__}", (base,), {"load": load})

    for name, base in (("date", DateLoader), ("timestamp", TimestampLoader), ("timestamptz", TimestamptzLoader)):
        driver.adapters.register_loader(name, tolerant(base))


def _failed_login(error: Any) -> Kind:
    """
    Why a connection was not made.

    The one place where a message is read: libpq gives no code for it, and only to tell people which knob to turn; a server
    that speaks another language leaves it at "cannot be reached".
    """
    connection = getattr(error, "pgconn", None)
    message = str(error) if connection is not None else ""
    if "FATAL" not in message:
        return Kind.LOST
    if 'database "' in message and "does not exist" in message:
        return Kind.NO_DATABASE
    if any(word in message for word in ("authentication", "role ", "pg_hba.conf", "password", "permission denied")):
        return Kind.DENIED
    return Kind.LOST


def _column(
    name: str,
    type_: str,
    kind: str,
    category: str,
    modifier: int,
    element: str | None,
    nullable: bool,
    filled: bool,
    identity: str,
    generated: str,
    serial: bool,
    labels: list[str],
) -> ColumnFacts:
    return ColumnFacts(
        name=name,
        shape=shape_of(type_, kind=kind, category=category, modifier=modifier, element=element, labels=labels),
        nullable=nullable,
        filled=filled or bool(identity),
        generated=bool(generated) or bool(identity) or serial,
        key_kind=KeyKind.TEXT if kind == "e" else _KEY_KINDS.get(type_),
    )


def shape_of(type_: str, *, kind: str, category: str, modifier: int, element: str | None, labels: list[str]) -> Shape:
    """The shape for a type of the catalogue; types without a plain Python value are read and written as text."""
    if kind == "e":
        return values.choice(tuple(labels))
    if type_ in _INTEGERS:
        return values.integer(_INTEGERS[type_])
    if type_ in _TEXTS:
        bounded = type_ in ("varchar", "bpchar") and modifier >= _LENGTH_OFFSET
        return values.text(max_length=modifier - _LENGTH_OFFSET if bounded else None)
    if category == "A":
        if element in _LISTED:
            return Shape(type=FieldType.LIST, store=values.store_list, many=True, comparable=False)
        return values.unusable(f"it is an array of {element}")
    match type_:
        case "numeric":
            if modifier < _LENGTH_OFFSET:
                return values.decimal()
            packed = modifier - _LENGTH_OFFSET
            return values.decimal(precision=(packed >> 16) & 0xFFFF, scale=((packed & 0x7FF) ^ 0x400) - 0x400)
        case "float4" | "float8":
            return values.real()
        case "bool":
            return values.boolean()
        case "date":
            return Shape(type=FieldType.DATE, store=values.store_date)
        case "timestamp" | "timestamptz":
            naive = type_ == "timestamp"
            return Shape(
                type=FieldType.DATETIME,
                store=values.store_naive if naive else values.store_aware,
                naive=naive,
                precision=modifier if modifier >= 0 else 6,
            )
        case "json" | "jsonb":
            return Shape(type=FieldType.JSON, store=values.store_json, comparable=False)
        case "uuid":
            return values.text(load=values.load_text)
        case "bytea":
            return values.unusable("it holds bytes")
    if kind in ("c", "p"):
        return values.unusable(f"it is of the composite or pseudo type {type_}")
    return values.text(as_text=True)
