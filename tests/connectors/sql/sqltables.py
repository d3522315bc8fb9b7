"""Words that hold for all three databases, so that one test speaks to each of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from connectors.sql.connector import SqlConnector
from syncengine.connector import Create, Failed, Page, Update, Written
from tests.support.databases import TestDatabase

NUMBERED = {
    "sqlite": "INTEGER PRIMARY KEY",
    "postgres": "serial PRIMARY KEY",
    "mariadb": "integer PRIMARY KEY AUTO_INCREMENT",
}
STAMP = {"sqlite": "DATETIME", "postgres": "timestamptz", "mariadb": "datetime(6)"}
NOW = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now'{})",
    "postgres": "clock_timestamp(){}",
    "mariadb": "utc_timestamp(6){}",
}


def ago(database: TestDatabase, seconds: float) -> str:
    """SQL for the database's clock less some seconds."""
    shift = {
        "sqlite": f", '{-seconds} seconds'",
        "postgres": f" - interval '{seconds} seconds'",
        "mariadb": f" - INTERVAL {seconds} SECOND",
    }
    return NOW[database.kind].format(shift[database.kind])


def quoted(database: TestDatabase, name: str) -> str:
    """An identifier as this database quotes it."""
    mark = "`" if database.kind == "mariadb" else '"'
    return f"{mark}{name.replace(mark, mark * 2)}{mark}"


def people(database: TestDatabase, *columns: str) -> None:
    """A table `people` with a number as its key, a name, and more columns."""
    database.execute(
        f"CREATE TABLE people (id {NUMBERED[database.kind]}, name varchar(40) NOT NULL{''.join(f', {each}' for each in columns)})"
    )


def records(pages: Iterable[Page]) -> dict[str, dict[str, Any]]:
    """Everything that some pages hold, by id."""
    return {record.id: dict(record.fields) for page in pages for record in page.records()}


def listed(connector: SqlConnector, resource: str, *fields: str, cursor: str | None = None) -> dict[str, dict[str, Any]]:
    return records(connector.read(resource, fields=fields, cursor=cursor))


def last_cursor(connector: SqlConnector, resource: str, *fields: str) -> str | None:
    return list(connector.read(resource, fields=fields))[-1].cursor


def made(connector: SqlConnector, resource: str, *rows: dict[str, Any]) -> list[str]:
    """The ids of records created from these fields."""
    outcomes = connector.write(resource, [Create(key=str(number), fields=row) for number, row in enumerate(rows)])
    return [written(outcome).id for outcome in outcomes]


def update(connector: SqlConnector, resource: str, id: str, expected: Any = None, **fields: Any) -> Any:
    (outcome,) = connector.write(resource, [Update(key="update", id=id, fields=fields, expected=expected)])
    return outcome


def written(outcome: Any) -> Written:
    assert isinstance(outcome, Written), f"not written: {outcome}"
    return outcome


def errors(outcomes: Sequence[Any]) -> list[Any]:
    """The errors of outcomes, None for what was written."""
    return [outcome.error if isinstance(outcome, Failed) else None for outcome in outcomes]
