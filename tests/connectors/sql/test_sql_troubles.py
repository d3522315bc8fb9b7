"""When the database is not there, refuses, is locked, or goes away: a classed error with its cure, and no secret in it."""

from __future__ import annotations

import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import Connection, event, make_url
from sqlalchemy.exc import DBAPIError

from connectors.sql import plugin
from connectors.sql.mariadb import MariaDB
from connectors.sql.postgres import PostgreSQL
from syncengine.connector import Context, Create, Expected, Update, Written
from syncengine.errors import AuthError, ConfigError, OutcomeUnknown, Rejected, ResourceError, TransientError
from tests.connectors.sql.sqltables import errors, listed, made, people, update, written

PASSWORD = "hunter2-secret"


def url_with(server, **parts):
    return make_url(server.url).set(**parts).render_as_string(hide_password=False)


def told(call, kind):
    """The message of the error of this kind that a call raises; a password never stands in it, nor in what led to it."""
    with pytest.raises(kind) as caught:
        call()
    error = caught.value
    assert PASSWORD not in f"{error!s}{error!r}{error.__cause__!r}"
    return str(error)


def test_a_missing_file_is_not_made(tmp_path, connect):
    """A misspelt path is an error that names it, and no empty database is left behind."""
    message = told(connect("sqlite:///offce.db").check, ResourceError)

    assert str(tmp_path / "offce.db") in message
    assert list(tmp_path.iterdir()) == []


def test_a_relative_path_starts_from_the_config(tmp_path, connect):
    """`sqlite:///office.db` is the file beside the config; the account is its real path."""
    with closing(sqlite3.connect(tmp_path / "office #1 %20?.db")) as raw:
        raw.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    (tmp_path / "link.db").symlink_to("office #1 %20?.db")
    connector = connect("sqlite:///link.db")

    assert connector.check().id == f"sqlite:{tmp_path / 'office #1 %20?.db'}"
    assert list(connector.resources()) == ["t"]


@pytest.mark.parametrize("content", [b"name,email\nAda,ada@example.com\n" * 100, b"\x00" * 4096])
def test_a_file_that_is_no_database_is_told(tmp_path, connect, content):
    """A CSV file under the name of a database."""
    (tmp_path / "x.db").write_bytes(content)

    told(connect("sqlite:///x.db").check, ResourceError)
    told(lambda: connect("sqlite:///x.db").read("t", fields=[]), ResourceError)


def test_a_folder_is_no_database(tmp_path, connect):
    """Nor is a directory."""
    assert str(tmp_path) in told(connect(f"sqlite:///{tmp_path}").check, ResourceError)


@pytest.mark.parametrize("call", ["read", "get", "write"])
def test_a_locked_file_is_tried_again_later(sqlite_url, connect, call):
    """Another program holds the file: TransientError that names it, and nothing was applied."""
    connector = connect(sqlite_url, lock_timeout=0.05)
    path = sqlite_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
        made(connector, "t", {"name": "a"})
        calls = {
            "read": lambda: list(connector.read("t", fields=["name"])),
            "get": lambda: connector.get("t", ["1"], fields=["name"]),
            "write": lambda: connector.write("t", [Create(key="1", fields={"name": "b"})]),
        }
        other.execute("BEGIN EXCLUSIVE")
        assert path in told(calls[call], TransientError)
        other.execute("ROLLBACK")
    assert len(listed(connector, "t")) == 1


def test_a_reader_that_keeps_the_commit_waiting_undoes_it(sqlite_url, connect):
    """SQLite takes the changes and then cannot commit for a reader: nothing was applied, and that is certain."""
    connector = connect(sqlite_url, lock_timeout=0.05)
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
        made(connector, "t", {"name": "a"})
        other.execute("BEGIN")
        other.execute("SELECT * FROM t").fetchall()
        told(lambda: connector.write("t", [Create(key="1", fields={"name": "b"})]), TransientError)
        other.execute("ROLLBACK")
    assert [row["name"] for row in listed(connector, "t", "name").values()] == ["a"]
    assert made(connector, "t", {"name": "c"}) == ["2"]


def test_a_read_only_file_is_told(sqlite_url, connect):
    """The error says what to do about it."""
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as raw:
        raw.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
    connector = connect(sqlite_url)
    event.listen(connector._database.engine, "connect", lambda raw, _: raw.execute("PRAGMA query_only = ON"))

    assert "read_only = true" in told(lambda: connector.write("t", [Create(key="1", fields={"name": "b"})]), ResourceError)


def test_a_full_disk_is_told(sqlite_url, connect):
    """Nothing of the batch was applied."""
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as raw:
        raw.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
    connector = connect(sqlite_url)
    event.listen(connector._database.engine, "connect", lambda raw, _: raw.execute("PRAGMA max_page_count = 3"))

    told(lambda: connector.write("t", [Create(key=str(n), fields={"name": "b" * 3000}) for n in range(9)]), ResourceError)
    assert listed(connector, "t") == {}


def test_a_table_that_went_is_told(database, connect):
    """Dropped, or altered, after it was described: every call says so, and stays usable for other tables."""
    people(database, "age integer")
    connector = connect(database)
    (id,) = made(connector, "people", {"name": "a"})
    calls = [
        lambda: list(connector.read("people", fields=["age"])),
        lambda: connector.get("people", [id], fields=["age"]),
        lambda: connector.find("people", "age", [1], fields=[]),
        lambda: update(connector, "people", id, age=2),
        lambda: connector.write("people", [Create(key="1", fields={"name": "b", "age": 2})]),
    ]

    for statement in ("ALTER TABLE people DROP COLUMN age", "DROP TABLE people"):
        database.execute(statement)
        for call in calls:
            assert "people" in told(call, ResourceError)


def test_expecting_a_column_that_went_is_told(database, connect):
    """An `expected` that names no column is a changed schema, not a conflict."""
    people(database)
    connector = connect(database)
    (id,) = made(connector, "people", {"name": "a"})

    told(lambda: update(connector, "people", id, Expected(fields={"age": 1}), name="b"), ResourceError)
    assert listed(connector, "people", "name") == {id: {"name": "a"}}


@pytest.fixture(params=[pytest.param("postgres", marks=pytest.mark.postgres), pytest.param("mariadb", marks=pytest.mark.mariadb)])
def server(request, servers):
    """An empty database on each server."""
    return servers(request.param)


@pytest.mark.parametrize("password", ["p@SECRET-TAIL/x", "SECRET/p@x"])
def test_a_password_that_needs_escaping_is_refused_and_no_part_of_it_shown(connect, password):
    with pytest.raises(ConfigError) as caught:
        connect(f"postgresql://usr:{password}@127.0.0.1:5999/crm")
    assert "%40" in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_a_server_that_is_down(server, connect):
    """Nobody listens there: TransientError, with the address and without the password."""
    connector = connect(url_with(server, port=1, password=PASSWORD))

    assert "127.0.0.1:1" in told(connector.check, TransientError)
    assert "127.0.0.1:1" in told(lambda: list(connector.resources()), TransientError)


def test_a_refused_login(server, connect):
    """An unknown user, or a wrong password: AuthError, without it."""
    told(connect(url_with(server, username="nobody_there", password=PASSWORD)).check, AuthError)


def test_a_database_that_is_not_there(server, connect):
    """ResourceError that names it."""
    assert "not_there" in told(connect(url_with(server, database="not_there")).check, ResourceError)


def test_a_missing_right(server, connect):
    """The login holds, the right to the table does not: AuthError for writes, while reading goes on."""
    user = f"{server.engine.url.database}_reader"
    people(server)
    grant = (
        (f"CREATE ROLE {user} LOGIN", f"GRANT USAGE ON SCHEMA public TO {user}", f"GRANT SELECT ON people TO {user}")
        if server.kind == "postgres"
        else (f"CREATE USER {user}@'%%'", f"GRANT SELECT ON people TO {user}@'%%'")
    )
    server.execute(*grant)
    try:
        connector = connect(url_with(server, username=user))
        assert listed(connector, "people") == {}
        assert "right" in told(lambda: made(connector, "people", {"name": "a"}), AuthError)
        connector.close()
    finally:
        server.execute(
            *((f"DROP OWNED BY {user}", f"DROP ROLE {user}") if server.kind == "postgres" else (f"DROP USER {user}@'%%'",))
        )


def test_a_row_that_somebody_holds(server, connect):
    """A lock that does not end in time: TransientError, and nothing of the batch was applied."""
    people(server)
    connector = connect(server, lock_timeout=1)
    free, held = made(connector, "people", {"name": "free"}, {"name": "held"})
    with server.engine.connect() as other:
        other.exec_driver_sql(f"UPDATE people SET name = 'mine' WHERE id = {held}")
        changes = [Update(key="1", id=free, fields={"name": "x"}), Update(key="2", id=held, fields={"name": "x"})]
        told(lambda: connector.write("people", changes), TransientError)
    assert [row["name"] for row in listed(connector, "people", "name").values()] == ["free", "held"]


def test_a_deadlock(server, connect):
    """Two who wait for each other: whoever the database gives up, our batch is written whole or, as a TransientError, not at all."""
    people(server)
    connector = connect(server, lock_timeout=20)
    first, second = made(connector, "people", {"name": "first"}, {"name": "second"})
    changes = [Update(key="1", id=first, fields={"name": "ours"}), Update(key="2", id=second, fields={"name": "ours"})]
    free = f"SELECT id FROM people WHERE id = {first} FOR UPDATE SKIP LOCKED"
    with server.engine.connect() as other, ThreadPoolExecutor(1) as threads:
        other.exec_driver_sql(f"UPDATE people SET name = 'theirs' WHERE id = {second}")
        writing = threads.submit(connector.write, "people", changes)
        while server.rows(free) and not writing.done():
            pass
        try:
            other.exec_driver_sql(f"UPDATE people SET name = 'theirs' WHERE id = {first}")
            other.commit()
        except DBAPIError:
            other.rollback()
        try:
            ours = {type(outcome) for outcome in writing.result(60)} == {Written}
        except TransientError:
            ours = False
    assert [row["name"] for row in listed(connector, "people", "name").values()] == ["ours" if ours else "theirs"] * 2
    assert written(update(connector, "people", first, name="later")).record["name"] == "later"


def kill(server, connection):
    """End the server's side of a connection."""
    statement = {"postgres": "SELECT pg_backend_pid()", "mariadb": "SELECT connection_id()"}[server.kind]
    number = connection.exec_driver_sql(statement).scalar_one()
    server.rows(f"SELECT pg_terminate_backend({number})") if server.kind == "postgres" else server.execute(f"KILL {number}")


def test_a_connection_lost_before_the_commit(server, connect, monkeypatch):
    """The server goes away in the middle of a batch: nothing was applied, and the next call works."""
    people(server)
    connector = connect(server)
    (id,) = made(connector, "people", {"name": "a"})
    dialect = PostgreSQL if server.kind == "postgres" else MariaDB
    real = dialect.apply

    def apply(self, connection, *rest):
        kill(server, connection)
        return real(self, connection, *rest)

    monkeypatch.setattr(dialect, "apply", apply)
    told(lambda: connector.write("people", [Update(key="1", id=id, fields={"name": "b"})]), TransientError)
    monkeypatch.undo()

    assert written(update(connector, "people", id, name="c")).record["name"] == "c"


def test_a_connection_lost_at_the_commit(server, connect, monkeypatch):
    """Nobody knows whether it was applied: OutcomeUnknown for what was written, the refusals stand, and the next call works."""
    people(server)
    connector = connect(server)
    (id,) = made(connector, "people", {"name": "a"})
    real = Connection.commit

    def commit(self):
        if self.engine is connector._database.engine:
            kill(server, self)
        real(self)

    monkeypatch.setattr(Connection, "commit", commit)
    changes = [
        Update(key="1", id=id, fields={"name": "b"}),
        Create(key="2", fields={"name": None}),
        Create(key="3", fields={"name": "c"}),
    ]
    outcomes = connector.write("people", changes)
    monkeypatch.undo()

    assert [type(error) for error in errors(outcomes)] == [OutcomeUnknown, Rejected, OutcomeUnknown]
    assert written(update(connector, "people", id, name="c")).record["name"] == "c"


def test_a_connection_lost_in_a_listing(server, connect):
    """A page that cannot be read raises, and is never the end of the listing."""
    people(server, "filler text")
    series = {"postgres": "generate_series(1, 4000)", "mariadb": "seq_1_to_4000"}[server.kind]
    server.execute(f"INSERT INTO people (name, filler) SELECT 'n', repeat('x', 5000) FROM {series}")
    pages = iter(connect(server, page_size=100).read("people", fields=["name", "filler"]))
    next(pages)
    # the connection that is in the middle of it
    found = {
        "postgres": "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'",
        "mariadb": "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id() AND info <> ''",
    }[server.kind]
    ((number,),) = server.rows(found)
    server.rows(f"SELECT pg_terminate_backend({number})") if server.kind == "postgres" else server.execute(f"KILL {number}")

    def rest():
        for page in pages:
            assert not page.complete

    told(rest, TransientError)


@pytest.mark.parametrize("module", ["psycopg", "pymysql"])
def test_a_missing_driver_is_named_with_its_cure(monkeypatch, connect, module):
    """The message says what to install."""
    monkeypatch.setitem(sys.modules, module, None)
    url = {"psycopg": f"postgresql://me:{PASSWORD}@127.0.0.1/x", "pymysql": f"mysql://me:{PASSWORD}@127.0.0.1/x"}[module]

    extra = {"psycopg": "postgres", "pymysql": "mysql"}[module]
    assert f"pip install 'syncengine[{extra}]'" in told(connect(url).check, ResourceError)


@pytest.mark.parametrize(
    "url",
    [
        f"nonsense {PASSWORD}",
        f"oracle://me:{PASSWORD}@host/x",
        f"postgresql://me:{PASSWORD}@host",
        f"postgresql://me:{PASSWORD}@host:port/x",
        f"sqlite://me:{PASSWORD}@host/x.db",
        "sqlite:///:memory:",
        "sqlite://",
        "sqlite:///x.db?mode=ro",
    ],
)
def test_a_wrong_url_is_a_config_error(url, tmp_path):
    """It names the option and the cure, and repeats nothing of the URL."""
    options = plugin.options.model_validate({"url": url})
    message = told(lambda: plugin.connect(options, Context(system="office", base=tmp_path)), ConfigError)

    assert message.startswith("systems.office.url: ")
    assert PASSWORD not in repr(options)


@pytest.mark.parametrize(
    ("scheme", "kind"),
    [
        ("postgresql", PostgreSQL),
        ("postgres", PostgreSQL),
        ("postgresql+psycopg", PostgreSQL),
        ("mysql", MariaDB),
        ("mariadb", MariaDB),
        ("mysql+pymysql", MariaDB),
    ],
)
def test_schemes_that_people_write(scheme, kind, tmp_path):
    """Each of them leads to the driver that comes with us."""
    options = plugin.options.model_validate({"url": f"{scheme}://me:pw@db.example.com/x"})

    assert type(plugin.connect(options, Context(system="office", base=tmp_path))._database.dialect) is kind


def test_an_account_is_the_place_and_who_we_are(database, connect):
    """The same for every connection to this database, without the password."""
    connector = connect(url_with(database, password=PASSWORD) if database.kind == "postgres" else database)
    again = connect(database)

    account = connector.check()

    assert account.id == again.check().id
    assert PASSWORD not in repr(account)
    assert str(make_url(database.url).database) in account.label


def test_one_connector_serves_several_threads(database, connect):
    """A listing in one thread while another gets and writes: each call in a transaction of its own."""
    from concurrent.futures import ThreadPoolExecutor

    if database.kind == "sqlite":
        database.execute("PRAGMA journal_mode = WAL")
    people(database)
    connector = connect(database, page_size=1, lock_timeout=30)
    ids = made(connector, "people", *({"name": "a"} for _ in range(30)))
    pages = iter(connector.read("people", fields=["name"]))
    next(pages)

    with ThreadPoolExecutor(4) as pool:
        gets = [pool.submit(connector.get, "people", [id], fields=["name"]) for id in ids]
        write = pool.submit(update, connector, "people", ids[20], None, name="b")
        rest = pool.submit(list, pages)
        assert [call.result()[0].id for call in gets] == ids
        assert isinstance(write.result(), Written)
        assert len(rest.result()) == 29
