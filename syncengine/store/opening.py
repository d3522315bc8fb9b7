"""
Opening the state file: everything that is proved about it before it is believed.

To read leaves every byte of it as it is, so that a plan changes nothing; to write makes it, brings its schema up to date and
notes that this process is in it.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import structlog

from syncengine.errors import StateError
from syncengine.store.copying import copy, moment
from syncengine.store.database import CommitHook, Database, corrupt, unusable
from syncengine.store.identity import REBUILD, Access, Identity, create, inspect
from syncengine.store.migrations import APPLICATION_ID, SCHEMA_VERSION, STAGING

PATIENCE = 5.0
"""Seconds to wait for another program's lock."""


def open_file(
    path: Path,
    *,
    now: float,
    access: Access = Access.WRITE,
    on_commit: CommitHook | None = None,
    patience: float = PATIENCE,
) -> Database:
    """
    Open the state file; what is not there yet is made to write, and is empty to read.

    `now` in epoch seconds decides whether its pages are due to be checked. Raises StateError with the way out when the file is
    no state, corrupt, newer than this program, an older copy put back, a copy, somebody else's, locked or not writable.
    """
    inspect(path, access)
    if access is Access.READ and not _has_content(path):
        return Database.memory(on_commit=on_commit)
    if access is Access.WRITE and not path.exists():
        create(path)
    try:
        database = connect(path, access, on_commit=on_commit, patience=patience)
        try:
            prove_ours(database, path)
            _prove_unaltered(database, path)
            if access is Access.READ and not is_made(database):
                database.disconnect()
                return Database.memory(on_commit=on_commit)
            _start(database, path, access, now)
        except BaseException:
            database.disconnect()
            raise
    except sqlite3.Error as error:
        raise unusable(path, error) from error
    return database


def connect(path: Path, access: Access, *, on_commit: CommitHook | None = None, patience: float = PATIENCE) -> Database:
    """Connect to the file, proving nothing about it; raises what SQLite raises."""
    if access is Access.WRITE:
        return Database(_connection(path, "rw", patience), on_commit=on_commit, path=path)
    anchor, mode = None, "ro"
    if not _has_content(path.with_name(f"{path.name}-wal")):
        if os.access(path.parent, os.W_OK):
            # A reader makes the files of the log but cannot remove them; a second connection that writes nothing can.
            anchor = _connection(path, "rw", patience)
        else:
            mode = "ro&immutable=1"  # nobody can be writing where no log can be made
    try:
        if anchor is not None:
            anchor.execute("SELECT count(*) FROM sqlite_master")
        return Database(_connection(path, mode, patience), on_commit=on_commit, path=path, anchor=anchor)
    except BaseException:
        if anchor is not None:
            anchor.close()
        raise


def is_made(database: Database) -> bool:
    """Whether the tables are there; the making of a file may have been cut short."""
    return bool(database.value("SELECT 1 FROM sqlite_master WHERE name='meta'"))


def prove_ours(database: Database, path: Path) -> None:
    """Refuse the database of another program, and a state of a newer one of ours; raises StateError."""
    database.execute("PRAGMA trusted_schema=OFF")
    database.execute("PRAGMA cell_size_check=ON")
    newest, kind = database.value("PRAGMA user_version"), database.value("PRAGMA application_id")
    if kind != APPLICATION_ID and database.value("SELECT 1 FROM sqlite_master"):
        msg = (
            f"state file {path}: is the database of another program; syncengine needs a file of its own, name another one with "
            "`state =`"
        )
        raise StateError(msg)
    if newest > SCHEMA_VERSION:
        msg = (
            f"state file {path}: written by a newer syncengine (schema {newest}, this program knows {SCHEMA_VERSION}); upgrade "
            "syncengine, or name another file with `state =`"
        )
        raise StateError(msg)


def _prove_unaltered(database: Database, path: Path) -> None:
    if database.value("SELECT 1 FROM sqlite_master WHERE type IN ('trigger', 'view')"):
        msg = (
            f"state file {path}: holds triggers or views, which syncengine never makes: somebody altered it. Restore a backup, "
            f"or: {REBUILD}"
        )
        raise StateError(msg)


def _start(database: Database, path: Path, access: Access, now: float) -> None:
    identity, checked = Identity(database, path), True
    if is_made(database):
        identity.verify()
        checked = identity.wants_check(now)
        if checked and (found := database.value("PRAGMA quick_check(1)")) != "ok":
            raise corrupt(path, str(found))
    if access is Access.WRITE:
        database.execute("PRAGMA journal_mode=WAL")
        if 0 < database.value("PRAGMA user_version") < SCHEMA_VERSION:
            _upgrade(database, path, now)
        database.prepare()
        database.enter(identity, now, checked=checked)
        return
    schema = database.value("PRAGMA user_version")
    if schema < SCHEMA_VERSION:
        msg = (
            f"state file {path}: written by an older syncengine (schema {schema}, this program needs {SCHEMA_VERSION}); the next "
            "`syncengine sync` brings it up to date, after which it can be read"
        )
        raise StateError(msg)
    database.connection.executescript(STAGING)


def _upgrade(database: Database, path: Path, now: float) -> None:
    """
    Bring the schema up to date, after a copy of the file as it was; another process waits meanwhile, and finds it done.

    The copy stands beside the state as STATE.schema-N.MOMENT; the older program takes it for what it is, a backup.
    """
    database.execute("PRAGMA synchronous=FULL")
    with database.transaction():
        schema = database.value("PRAGMA user_version")
        if schema >= SCHEMA_VERSION:
            return
        kept = path.with_name(f"{path.name}.schema-{schema}.{moment(now).replace(':', '')}")
        try:
            with closing(_connection(path, "ro", PATIENCE)) as source:
                copy(source, kept, now=now)
        except StateError as error:
            msg = (
                f"state file {path}: was written by an older syncengine (schema {schema}) and must be upgraded, and no backup of "
                f"it can be made first: {error}; nothing was changed"
            )
            raise StateError(msg) from error
        database.migrate()
    structlog.get_logger().warning("state.upgraded", state=str(path), schema=SCHEMA_VERSION, was=schema, backup=str(kept))


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _connection(path: Path, mode: str, patience: float) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=patience, check_same_thread=False)
