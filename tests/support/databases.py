"""
Fresh, empty databases for tests: a SQLite file, a PostgreSQL database, a MariaDB database.

Import the fixtures into a conftest.py, `servers` with them: `database` (each kind in turn), `sqlite_url`, `postgres_url`,
`mariadb_url`. On a server they share one database, emptied for each test and dropped at the end of the session; for one of
your own, `with database_of(kind, folder) as database`. Servers are looked for where SYNCENGINE_TEST_POSTGRES and
SYNCENGINE_TEST_MARIADB say, else on this machine; where none answers, tests skip and say so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import OperationalError

POSTGRES = "postgresql+psycopg://postgres@127.0.0.1:5432/test"
MARIADB = "mysql+pymysql://root@127.0.0.1:3306/test"
KINDS = ("sqlite", "postgres", "mariadb")

_numbers = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TestDatabase:
    """An empty database: `url` as a config would name it, and an engine of our own to look and to meddle with."""

    __test__ = False

    kind: str
    url: str
    engine: Engine

    def execute(self, *statements: str) -> None:
        """Run statements, as they are, in one transaction (each by itself where DDL commits)."""
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]


@contextmanager
def sqlite_database(folder: Path) -> Iterator[TestDatabase]:
    """An empty SQLite file in a folder."""
    path = folder / f"test{next(_numbers)}.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql("VACUUM")  # makes the file
    try:
        yield TestDatabase(kind="sqlite", url=f"sqlite:///{path}", engine=engine)
    finally:
        engine.dispose()


@contextmanager
def postgres_database() -> Iterator[TestDatabase]:
    """An empty PostgreSQL database, dropped at the end; skips where there is no server."""
    with _server_database("postgres", _server("SYNCENGINE_TEST_POSTGRES", POSTGRES), "DROP DATABASE {} WITH (FORCE)") as database:
        yield database


@contextmanager
def mariadb_database() -> Iterator[TestDatabase]:
    """An empty MariaDB database, dropped at the end; skips where there is no server."""
    with _server_database("mariadb", _server("SYNCENGINE_TEST_MARIADB", MARIADB), "DROP DATABASE {}") as database:
        yield database


@contextmanager
def database_of(kind: str, folder: Path) -> Iterator[TestDatabase]:
    """An empty database of a kind."""
    opened: dict[str, Callable[[], object]] = {"postgres": postgres_database, "mariadb": mariadb_database}
    manager = sqlite_database(folder) if kind == "sqlite" else opened[kind]()
    with manager as database:  # type: ignore[attr-defined]
        yield database


def kinds() -> list[object]:
    """All three kinds as pytest parameters, the servers' under their markers."""
    return [
        pytest.param("sqlite", id="sqlite"),
        pytest.param("postgres", id="postgres", marks=pytest.mark.postgres),
        pytest.param("mariadb", id="mariadb", marks=pytest.mark.mariadb),
    ]


def _server(variable: str, fallback: str) -> URL:
    url = make_url(os.environ.get(variable, fallback))
    driver = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mysql+pymysql"}
    return url.set(drivername=driver[url.get_backend_name()])


@contextmanager
def _server_database(kind: str, server: URL, drop: str) -> Iterator[TestDatabase]:
    name = f"syncengine_test_{os.getpid()}_{next(_numbers)}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
    try:
        try:
            connection = admin.connect()
        except OperationalError:
            reason = f"no {kind} server at {server.host}:{server.port} (SYNCENGINE_TEST_{kind.upper()} names another)"
            if os.environ.get("SYNCENGINE_REQUIRE_SERVICES"):
                pytest.fail(f"{reason}, although SYNCENGINE_REQUIRE_SERVICES is set")
            pytest.skip(reason)
        with connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
            url = server.set(database=name)
            engine = create_engine(url)
            try:
                plain = url.set(drivername=url.get_backend_name())
                yield TestDatabase(kind=kind, url=plain.render_as_string(hide_password=False), engine=engine)
            finally:
                engine.dispose()
                connection.exec_driver_sql(drop.format(name))
    finally:
        admin.dispose()


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], TestDatabase]]:
    """One database a server for the whole session, emptied each time it is asked for."""
    with ExitStack() as stack:
        opened: dict[str, TestDatabase] = {}

        def empty(kind: str) -> TestDatabase:
            if kind not in opened:
                opened[kind] = stack.enter_context(database_of(kind, tmp_path_factory.mktemp(kind)))
            _empty(opened[kind])
            return opened[kind]

        yield empty


@pytest.fixture
def sqlite_url(tmp_path: Path) -> Iterator[str]:
    """The URL of an empty SQLite file."""
    with sqlite_database(tmp_path) as database:
        yield database.url


@pytest.fixture
def postgres_url(servers: Callable[[str], TestDatabase]) -> str:
    """The URL of an empty PostgreSQL database."""
    return servers("postgres").url


@pytest.fixture
def mariadb_url(servers: Callable[[str], TestDatabase]) -> str:
    """The URL of an empty MariaDB database."""
    return servers("mariadb").url


@pytest.fixture(params=kinds())
def database(request: pytest.FixtureRequest, tmp_path: Path, servers: Callable[[str], TestDatabase]) -> Iterator[TestDatabase]:
    """An empty database of each kind in turn."""
    if request.param == "sqlite":
        with sqlite_database(tmp_path) as made:
            yield made
    else:
        yield servers(request.param)


def _empty(database: TestDatabase) -> None:
    if database.kind == "postgres":
        database.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    elif database.kind == "mariadb":
        found = "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = database()"
        names = [(str(name).replace("`", "``"), kind) for name, kind in database.rows(found)]
        drops = [f"DROP {'VIEW' if kind == 'VIEW' else 'TABLE'} `{name}`".replace("%", "%%") for name, kind in names]
        database.execute("SET foreign_key_checks = 0", *drops, "SET foreign_key_checks = 1")
