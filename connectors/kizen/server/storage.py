"""
The state of a business in one SQLite file: what was acknowledged is there after a kill -9.

One row a document, one transaction a request, committed before the answer leaves. The file belongs to one process at a time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson

from connectors.kizen.server.http import Credentials
from connectors.kizen.server.metadata import (
    MANY_OPTIONS,
    Business,
    Category,
    Employee,
    Field,
    ObjectType,
    Option,
    Record,
    Relation,
    Stage,
    Stored,
    Workflow,
)
from connectors.kizen.server.world import Job, World

_VERSION: Final = 1


class StateUnusable(Exception):
    """The state file is somebody else's, of another version, or in use."""


@dataclass(slots=True)
class SqliteStorage:
    """Documents in a SQLite file; see `open_storage`."""

    connection: sqlite3.Connection

    def save(self, changed: Mapping[tuple[str, str], object]) -> None:
        with self.connection:
            self.connection.executemany(
                "INSERT INTO document (kind, key, body) VALUES (?, ?, ?) "
                "ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
                [(kind, key, _encode(document)) for (kind, key), document in changed.items() if document is not None],
            )
            self.connection.executemany(
                "DELETE FROM document WHERE kind = ? AND key = ?",
                [at for at, document in changed.items() if document is None],
            )

    def documents(self, kind: str) -> Iterator[Any]:
        """The documents of a kind, decoded from JSON, in the order of their keys."""
        for (body,) in self.connection.execute("SELECT body FROM document WHERE kind = ? ORDER BY key", (kind,)):
            yield orjson.loads(body)

    def close(self) -> None:
        self.connection.close()


def open_storage(path: Path) -> SqliteStorage:
    """Open or create a state file, for this process alone. Raises `StateUnusable` naming the file and the cure."""
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, isolation_level="IMMEDIATE", check_same_thread=False, timeout=0.2)
    try:
        _prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise StateUnusable(f"{path} cannot be used: {error}; is it a state file, and no other server running on it?") from error
    except StateUnusable:
        connection.close()
        raise
    return SqliteStorage(connection)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if version != _VERSION and tables:
        raise StateUnusable(f"{path} is no state of this server (version {version}); name another file")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    with connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS document (kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, "
            "PRIMARY KEY (kind, key)) WITHOUT ROWID"
        )
        connection.execute(f"PRAGMA user_version = {_VERSION}")


def _encode(document: object) -> bytes:
    if isinstance(document, ObjectType):
        skipped = {"fields", "by_name", "records", "by_key", "version"}
        plain = {name: getattr(document, name) for name in document.__slots__ if name not in skipped}
        return orjson.dumps({**plain, "fields": list(document.fields.values())}, default=_decimal)
    return orjson.dumps(document, default=_decimal)


def _decimal(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be stored")


def save_identity(storage: SqliteStorage, credentials: Credentials) -> None:
    """Remember who may call, so that a restart needs no new configuration."""
    identity = {
        "api_key": credentials.api_key,
        "business_id": credentials.business_id,
        "user_id": credentials.user_id,
    }
    storage.save({("identity", "identity"): identity})


def load_identity(storage: SqliteStorage) -> Credentials | None:
    """Who may call, as `save_identity` remembered it."""
    found = next(storage.documents("identity"), None)
    return None if found is None else Credentials(**found)


def load(storage: SqliteStorage, world: World) -> bool:
    """Fill an empty world; False if the file holds no business yet."""
    business = next(storage.documents("business"), None)
    if business is None:
        return False
    world.put_business(Business(**business))
    for document in storage.documents("employee"):
        world.put_employee(Employee(**document))
    for document in sorted(storage.documents("object"), key=lambda one: one["created"]):
        world.put_object(_object(document))
    for document in storage.documents("workflow"):
        world.put_workflow(Workflow(**document))
    decoders = {
        one.id: decode for obj in world.objects.values() for one in obj.fields.values() if (decode := _decoder(one)) is not None
    }
    for document in sorted(storage.documents("record"), key=lambda one: one["position"]):
        values: dict[str, Stored] = document["values"]
        for key in values.keys() & decoders.keys():
            values[key] = decoders[key](values[key])
        world.adopt(Record(**document))
    for document in sorted(storage.documents("job"), key=lambda one: one["due"]):
        world.put_job(Job(**{**document, "failures": tuple(document["failures"])}))
    world.reseed()
    return True


def _decoder(one: Field) -> Callable[[Any], Stored] | None:
    if one.type in {"decimal", "money"}:
        return Decimal
    if one.type in MANY_OPTIONS or one.type in {"relationship", "files"}:
        return tuple
    return None


def _object(document: dict[str, Any]) -> ObjectType:
    fields = [_field(one) for one in document.pop("fields")]
    categories = tuple(Category(**one) for one in document.pop("categories"))
    stages = tuple(Stage(**one) for one in document.pop("stages"))
    return ObjectType(**document, categories=categories, stages=stages, fields={one.id: one for one in fields})


def _field(document: dict[str, Any]) -> Field:
    relation = document.pop("relation")
    options = tuple(Option(**one) for one in document.pop("options"))
    return Field(**document, options=options, relation=None if relation is None else Relation(**relation))
