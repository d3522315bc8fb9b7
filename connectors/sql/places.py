"""From the `url` option to the dialect that speaks to what it names. Touches nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from connectors.sql.dialect import Dialect, Placement
from connectors.sql.mariadb import MariaDB
from connectors.sql.options import SqlOptions
from connectors.sql.postgres import PostgreSQL
from connectors.sql.sqlite import SQLite
from syncengine.connector import Context
from syncengine.errors import ConfigError, Problem

Wrong: TypeAlias = Callable[[str, str], ConfigError]

_FORMS: Final = "sqlite:///office.db, postgresql://user:password@host:5432/database or mariadb://user:password@host:3306/database"


def dialect_for(options: SqlOptions, context: Context) -> Dialect:
    """The dialect for a URL; ConfigError (which never repeats the URL, for it may hold a password) for one that is wrong."""

    def wrong(what: str, cure: str) -> ConfigError:
        return ConfigError([Problem(place=f"systems.{context.system}.url", wrong=what, cure=cure)])

    try:
        url = make_url(options.url.get_secret_value())
    except (ArgumentError, ValueError):
        raise wrong("this is no database URL", f"write {_FORMS}") from None
    placed = Placement(
        url=url,
        schema=options.schema_,
        base=context.base,
        timeout=options.timeout,
        lock_timeout=options.lock_timeout,
    )
    match url.get_backend_name():
        case "sqlite":
            return _sqlite(placed, wrong)
        case "postgresql" | "postgres":
            return PostgreSQL(_with_driver(placed, "postgresql+psycopg", wrong))
        case "mysql" | "mariadb":
            return MariaDB(_with_driver(placed, "mysql+pymysql", wrong))
    raise wrong("only SQLite, PostgreSQL, MariaDB and MySQL are supported", f"write {_FORMS}")


def _sqlite(placed: Placement, wrong: Wrong) -> SQLite:
    url = placed.url
    if url.host or url.username or url.password:
        raise wrong(
            "the URL of a SQLite file has no host or user",
            "write three slashes before a relative path (sqlite:///office.db), four before an absolute one",
        )
    if not url.database or url.database == ":memory:":
        raise wrong("a database in memory is empty and gone at the end", "name a file: sqlite:///office.db")
    if url.query:
        raise wrong("the URL of a SQLite file takes no parameters", "remove what follows the question mark")
    if placed.schema is not None:
        raise wrong("a SQLite file has no schemas", "remove the option schema")
    return SQLite(placed)


def _with_driver(placed: Placement, driver: str, wrong: Wrong) -> Placement:
    if not placed.url.database:
        raise wrong("the URL names no database", f"write {_FORMS}")
    if "@" in f"{placed.url.host}{placed.url.database}":
        # Then what was taken for the host or the database is a part of the password, and would be shown as such.
        raise wrong("the URL has more than one @", "write an @ in the user or the password as %40, a / as %2F")
    return Placement(
        url=placed.url.set(drivername=driver),
        schema=placed.schema,
        base=placed.base,
        timeout=placed.timeout,
        lock_timeout=placed.lock_timeout,
    )
