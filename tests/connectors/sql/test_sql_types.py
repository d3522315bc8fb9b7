"""What columns are described as, what their values are delivered as, and what becomes of values that do not fit the type."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy.exc import DBAPIError

from syncengine.connector import Choice, Create, FieldType
from tests.connectors.sql.sqltables import listed, made, people, written

DECLARED = {
    "sqlite": {
        "a": ("VARCHAR(20) NOT NULL", {"type": FieldType.TEXT, "required": True, "nullable": False}),
        "b": ("TEXT DEFAULT 'x' NOT NULL", {"type": FieldType.TEXT, "required": False, "nullable": False}),
        "c": ("INT", {"type": FieldType.INTEGER}),
        "d": ("DECIMAL(8,2)", {"type": FieldType.DECIMAL, "scale": 2}),
        "e": ("REAL", {"type": FieldType.DECIMAL, "scale": None}),
        "f": ("BOOLEAN", {"type": FieldType.BOOLEAN}),
        "g": ("TINYINT(1)", {"type": FieldType.BOOLEAN}),
        "h": ("DATE", {"type": FieldType.DATE}),
        "i": ("DATETIME", {"type": FieldType.DATETIME, "naive": True}),
        "j": ("TIMESTAMP WITH TIME ZONE", {"type": FieldType.DATETIME, "naive": False}),
        "k": ("JSON", {"type": FieldType.JSON}),
        "l": ("BLOB", {"unusable": "it holds bytes"}),
        "m": ("", {"type": None}),
        "n": ("UUID", {"type": FieldType.TEXT}),
        "o": ("INT GENERATED ALWAYS AS (c + 1) VIRTUAL", {"type": FieldType.INTEGER, "read_only": True}),
        "p": ("TEXT UNIQUE", {"type": FieldType.TEXT, "unique": True}),
        "q": ("INT REFERENCES kinds", {"type": FieldType.REFERENCE, "references": "kinds"}),
        "r": ("TEXT REFERENCES kinds (code)", {"type": FieldType.TEXT, "references": None}),
    },
    "postgres": {
        "a": ("varchar(20) NOT NULL", {"type": FieldType.TEXT, "required": True, "max_length": 20, "nullable": False}),
        "b": ("text DEFAULT 'x' NOT NULL", {"type": FieldType.TEXT, "required": False, "max_length": None}),
        "c": ("bigint", {"type": FieldType.INTEGER}),
        "d": ("numeric(8,2)", {"type": FieldType.DECIMAL, "scale": 2}),
        "e": ("float4", {"type": FieldType.DECIMAL, "scale": None}),
        "f": ("boolean", {"type": FieldType.BOOLEAN}),
        "g": ("numeric", {"type": FieldType.DECIMAL, "scale": None}),
        "h": ("date", {"type": FieldType.DATE}),
        "i": ("timestamp", {"type": FieldType.DATETIME, "naive": True}),
        "j": ("timestamptz(3)", {"type": FieldType.DATETIME, "naive": False}),
        "k": ("jsonb", {"type": FieldType.JSON}),
        "l": ("bytea", {"unusable": "it holds bytes"}),
        "m": ("text[]", {"type": FieldType.LIST, "many": True}),
        "n": ("uuid", {"type": FieldType.TEXT}),
        "o": ("bigint GENERATED ALWAYS AS (c + 1) STORED", {"type": FieldType.INTEGER, "read_only": True}),
        "p": ("text UNIQUE", {"type": FieldType.TEXT, "unique": True}),
        "q": ("integer REFERENCES kinds", {"type": FieldType.REFERENCE, "references": "kinds"}),
        "r": ("text REFERENCES kinds (code)", {"type": FieldType.TEXT, "references": None}),
        "s": ("mood", {"type": FieldType.CHOICE, "choices": (Choice(value="glad"), Choice(value='it\'s "so"'))}),
        "t": ("short", {"type": FieldType.TEXT, "max_length": 5}),
        "u": ("interval", {"type": FieldType.TEXT}),
        "v": ("inet", {"type": FieldType.TEXT}),
        "w": ("time", {"type": FieldType.TEXT}),
        "x": ("bytea[]", {"unusable": "it is an array of bytea"}),
        "y": ("integer GENERATED ALWAYS AS IDENTITY", {"type": FieldType.INTEGER, "read_only": True, "required": False}),
    },
    "mariadb": {
        "a": ("varchar(20) NOT NULL", {"type": FieldType.TEXT, "required": True, "max_length": 20, "nullable": False}),
        "b": ("varchar(9) DEFAULT 'x' NOT NULL", {"type": FieldType.TEXT, "required": False, "max_length": 9}),
        "c": ("bigint unsigned", {"type": FieldType.INTEGER}),
        "d": ("decimal(8,2)", {"type": FieldType.DECIMAL, "scale": 2}),
        "e": ("float", {"type": FieldType.DECIMAL, "scale": None}),
        "f": ("boolean", {"type": FieldType.BOOLEAN}),
        "g": ("bit(1)", {"type": FieldType.BOOLEAN}),
        "h": ("date", {"type": FieldType.DATE}),
        "i": ("datetime", {"type": FieldType.DATETIME, "naive": True}),
        "j": ("timestamp(3) NULL", {"type": FieldType.DATETIME, "naive": False}),
        "k": ("json", {"type": FieldType.JSON}),
        "l": ("blob", {"unusable": "it is of type blob"}),
        "m": ("longtext", {"type": FieldType.TEXT, "max_length": None}),
        "n": ("uuid", {"type": FieldType.TEXT}),
        "o": ("bigint AS (c + 1) VIRTUAL", {"type": FieldType.INTEGER, "read_only": True}),
        "p": ("varchar(50) UNIQUE", {"type": FieldType.TEXT, "unique": True}),
        "q": ("integer REFERENCES kinds (id)", {"type": FieldType.REFERENCE, "references": "kinds"}),
        "r": ("varchar(50) REFERENCES kinds (code)", {"type": FieldType.TEXT, "references": None}),
        "s": (
            "enum('glad','it''s \"so\"')",
            {"type": FieldType.CHOICE, "choices": (Choice(value="glad"), Choice(value='it\'s "so"'))},
        ),
        "t": ("set('a','b')", {"type": FieldType.TEXT}),
        "w": ("time", {"type": FieldType.TEXT}),
    },
}

NATIVES = {
    "a": "x",
    "c": 2**40,
    "d": Decimal("12.50"),
    "e": 1.5,
    "f": True,
    "h": date(2024, 2, 29),
    "i": datetime(2024, 2, 29, 10, 11, 12),  # noqa: DTZ001 - a column without offsets
    "j": datetime(2024, 2, 29, 10, 11, 12, tzinfo=UTC),
    "k": {"a": [1, None, "é"]},
    "n": "8c5c3fc0-3b0e-4b4d-9d6d-0a4f8e3b1c2d",
    "o": 2**40 + 1,
    "q": 1,
}
OWN = {
    "sqlite": {"d": 12.5, "g": False, "m": "anything"},
    "postgres": {
        "g": Decimal("1.10"),
        "m": ["a", None, "c"],
        "s": 'it\'s "so"',
        "t": "12345",
        "u": "1 day",
        "v": "10.0.0.1/32",
        "w": "10:11:12",
    },
    "mariadb": {"g": False, "m": "long", "s": 'it\'s "so"', "t": "a,b", "w": "10:11:12"},
}


@pytest.fixture
def typed(database):
    """A table with a column of each type."""
    kind = database.kind
    key = "integer PRIMARY KEY"
    if kind == "postgres":
        database.execute("CREATE TYPE mood AS ENUM ('glad', 'it''s \"so\"')", "CREATE DOMAIN short AS varchar(5)")
    database.execute(f"CREATE TABLE kinds (id {key}, code varchar(50) UNIQUE)", "INSERT INTO kinds VALUES (1, 'one')")
    columns = ", ".join(f"{name} {declared}" for name, (declared, _) in DECLARED[kind].items())
    database.execute(f"CREATE TABLE typed (id varchar(40) PRIMARY KEY, {columns})")
    return database


def test_each_declared_type_is_described(typed, connect):
    """A table of declared types and what a field says of them."""
    fields = connect(typed).resources()["typed"].fields

    for name, (declared, expected) in DECLARED[typed.kind].items():
        assert {attribute: getattr(fields[name], attribute) for attribute in expected} == expected, f"{name} {declared}"


def test_natives_of_each_type_come_back_as_they_went(typed, connect):
    """What is written, what the write returns and what a listing delivers are the same plain values of the same types."""
    connector = connect(typed)
    natives = {name: value for name, value in {**NATIVES, **OWN[typed.kind]}.items() if name in DECLARED[typed.kind]}
    given = {name: value for name, value in natives.items() if name != "o"}

    (outcome,) = connector.write("typed", [Create(key="k", id="x" * 32, fields=given)])
    stored = written(outcome).record
    (delivered,) = listed(connector, "typed", *natives).values()

    for name, value in natives.items():
        assert (type(delivered[name]), delivered[name]) == (type(value), value), name
        assert (type(stored[name]), stored[name]) == (type(value), value), name


def test_null_of_each_type_is_none(typed, connect):
    """A column that was never filled is delivered as None."""
    connector = connect(typed)
    names = [name for name in DECLARED[typed.kind] if name not in "ably"]
    names = [name for name in names if not connector.resources()["typed"].fields[name].unusable]
    made(connector, "typed", {"id": "k", "a": "x"})

    (delivered,) = listed(connector, "typed", *names).values()

    assert delivered == dict.fromkeys(names)


def test_a_key_tells_whether_ids_may_be_proposed(typed, connect):
    """One text column without a default, long enough: the engine may choose; a handed-out number: it may not."""
    connector = connect(typed)
    people(typed)

    assert connector.resources()["typed"].capabilities.chooses_ids
    assert not connector.resources()["typed"].fields["id"].required
    assert not connector.resources()["people"].capabilities.chooses_ids
    assert connector.resources()["people"].fields["id"].read_only


def test_garbage_in_a_loose_column_is_delivered_as_it_is(sqlite_url, connect):
    """SQLite keeps anything in a DATE, DATETIME, BOOLEAN, JSON or INTEGER column, and one such row stops no listing."""
    import sqlite3
    from contextlib import closing

    path = sqlite_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, d DATE, t DATETIME, b BOOLEAN, j JSON, n INTEGER, x DECIMAL(5,2))")
        raw.execute("INSERT INTO t VALUES (1, '31.12.2024', 'yesterday', 'maybe', '{broken', 'many', 'free')")
        raw.execute("INSERT INTO t VALUES (2, 20241231, 1700000000, 7, 5, 1.5, 2)")
        raw.execute("INSERT INTO t VALUES (3, '2024-12-31', '2024-12-31T10:00:00Z', 1, '[1]', 1, 1.25)")

    found = listed(connect(sqlite_url), "t", "d", "t", "b", "j", "n", "x")

    assert list(found["1"].values()) == ["31.12.2024", "yesterday", "maybe", "{broken", "many", "free"]
    assert list(found["2"].values()) == [20241231, 1700000000, 7, 5, 1.5, 2]
    assert list(found["3"].values()) == [date(2024, 12, 31), datetime(2024, 12, 31, 10, tzinfo=UTC), True, [1], 1, 1.25]


@pytest.mark.parametrize("page_size", [1, 2, 1000])
def test_text_that_is_no_utf_8_does_not_stop_a_listing(sqlite_url, connect, page_size):
    """Such a value is delivered as its bytes; every row comes exactly once, whatever the page size."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as raw, raw:
        raw.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
        raw.executemany(
            "INSERT INTO t VALUES (?, CAST(? AS TEXT))", [(n, b"M\xfcller" if n == 4 else b"Zo\xc3\xab") for n in range(7)]
        )

    pages = list(connect(sqlite_url, page_size=page_size).read("t", fields=["name"]))

    assert [id for page in pages for id in page.ids] == [str(n) for n in range(7)]
    assert [row[0] for page in pages for row in page.rows] == ["Zoë"] * 4 + [b"M\xfcller"] + ["Zoë"] * 2


@pytest.mark.postgres
def test_dates_beyond_python_are_delivered_as_text(postgres_url, connect, servers):
    """PostgreSQL's infinity, BC and far years stop no listing, and can be written back."""
    from sqlalchemy import create_engine

    engine = create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as raw:
        raw.exec_driver_sql("CREATE TABLE t (id integer PRIMARY KEY, d date, t timestamp, z timestamptz, n numeric)")
        raw.exec_driver_sql("INSERT INTO t VALUES (1, 'infinity', '-infinity', '20000-01-01 00:00:00+00', 'NaN')")
    engine.dispose()
    connector = connect(postgres_url)

    (found,) = listed(connector, "t", "d", "t", "z").values()

    assert found == {"d": "infinity", "t": "-infinity", "z": "20000-01-01 00:00:00+00"}
    assert made(connector, "t", {"id": 2, **found}) == ["2"]


@pytest.mark.postgres
def test_text_that_ignores_case_is_searched_by_its_index(servers, connect):
    """PostgreSQL's citext is text to us, and the database compares it as it does."""
    database = servers("postgres")
    try:
        database.execute("CREATE EXTENSION citext")
    except DBAPIError:
        pytest.skip("this server has no citext")
    people(database, "email citext UNIQUE")
    connector = connect(database)
    (id,) = made(connector, "people", {"name": "a", "email": "Ann@X"})

    (found,) = connector.find("people", "email", ["ann@x"], fields=["email"])

    assert (found.id, found.fields) == (id, {"email": "Ann@X"})
    assert connector.resources()["people"].fields["email"].type is FieldType.TEXT


@pytest.mark.mariadb
def test_zero_dates_are_delivered_as_text(mariadb_url, connect, servers):
    """MariaDB's 0000-00-00, left there by a lax program, stops no listing."""
    servers("mariadb").execute(
        "SET SESSION sql_mode = ''",
        "CREATE TABLE t (id integer PRIMARY KEY, d date, t datetime)",
        "INSERT INTO t VALUES (1, '0000-00-00', '2024-00-00 00:00:00')",
    )

    (found,) = listed(connect(mariadb_url), "t", "d", "t").values()

    assert found == {"d": "0000-00-00", "t": "2024-00-00 00:00:00"}


def test_unique_is_said_only_of_what_refuses_every_twin(database, connect):
    """A unique index over several columns does not make its columns unique; nor does a partial one, or one on an expression."""
    people(database, "a integer", "b integer", "c varchar(20)", "d integer", "e integer")
    database.execute("CREATE UNIQUE INDEX i1 ON people (a, b)", "CREATE UNIQUE INDEX i2 ON people (d)")
    if database.kind != "mariadb":
        database.execute("CREATE UNIQUE INDEX i3 ON people (lower(c))", "CREATE UNIQUE INDEX i4 ON people (e) WHERE e > 5")

    resource = connect(database).resources()["people"]

    assert {name for name, field in resource.fields.items() if field.unique} == {"id", "d"}
    assert resource.capabilities.upsert_keys == ("d",)
