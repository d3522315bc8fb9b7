"""A copy of the state while others go on working in it; whoever opens the copy is told that it is one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from syncengine.errors import StateError
from syncengine.store.database import Database, unusable
from syncengine.store.identity import Identity, create, sync_folder


def copy(source: sqlite3.Connection, target: Path, *, now: float) -> None:
    """
    Copy an open state to a new file, whole or not at all.

    Raises StateError where the target is there already, or its folder or disk does not take it.
    """
    if target.exists() or target.is_symlink():
        msg = f"{target}: this file exists already; name a new one for the backup"
        raise StateError(msg)
    fresh = target.with_name(f"{target.name}.part")
    with told(fresh):
        fresh.unlink(missing_ok=True)
        create(fresh)
        with closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
            source.backup(connection)
            made = Database(connection, path=fresh)
            identity = Identity(made, fresh)
            made.execute("PRAGMA journal_mode=DELETE")
            with made.transaction():
                identity.put("backup", moment(now))
                for mark in identity.writers():
                    identity.drop(mark)
        try:
            # A link refuses a target that appeared meanwhile, which a rename would replace.
            os.link(fresh, target)
            fresh.unlink()
            sync_folder(target.parent)
        except OSError as error:
            msg = f"{target}: the backup cannot be put there ({error.strerror}); it is kept as {fresh}"
            raise StateError(msg) from error


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Let trouble with a file or its disk be a StateError that says what to do about it."""
    try:
        yield
    except sqlite3.Error as error:
        raise unusable(path, error) from error
    except OSError as error:
        msg = f"{error.filename or path}: {error.strerror}; nothing was lost, free space or change permissions, and run again"
        raise StateError(msg) from error


def moment(now: float) -> str:
    """A time as it stands in marks and names of files, in UTC."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
