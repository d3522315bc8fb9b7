"""
The connection to the state file: opening, transactions, ids as SQLite holds them.

Durability is not negotiable: WAL with synchronous=FULL, because with NORMAL a committed intent may vanish in a power cut
although its request went out, and the next run would double the record.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from syncengine.core.model import Side
from syncengine.errors import StateError, StateLocked
from syncengine.store.identity import REBUILD, Identity
from syncengine.store.migrations import APPLICATION_ID, SCHEMA_VERSION, STAGING, migrations

CommitHook = Callable[[str], None]
"""Called around every commit with "before" or "after": the simulator's kill points."""

_LARGEST = 2**63 - 1

_MANY = 20
"""Rows from which a transaction is cheaper than none."""

_TROUBLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    }
)
"""What the file or its disk are to blame for, as opposed to a statement of ours."""


def pack(id_: str | None) -> str | int | None:
    """A record id as stored: an integer where its text is the plain form of one, so that numeric order is index order."""
    if id_ is not None and id_.isdecimal() and id_.isascii() and (id_[0] != "0" or id_ == "0"):
        number = int(id_)
        if number <= _LARGEST:
            return number
    return id_


def unpack(stored: str | int | None) -> str | None:
    """The record id as text again."""
    return None if stored is None else str(stored)


def listed(values: Iterable[str | int | None]) -> str:
    """
    Values for `json_each`.

    As text: since SQLite 3.45 bytes may be its own binary JSON, and some JSON, `["r1"]` for one, is taken for that.
    """
    return orjson.dumps([*values]).decode()


def end_of(pair: int, side: Side) -> int:
    """The number of one side of a pair, as in the table `record`."""
    return 2 * pair + (side is Side.RIGHT)


class Transaction:
    """One atomic change, as a context; not a generator, for there is one around everything that a run remembers."""

    __slots__ = ("_before", "_database", "_is_outer")

    def __init__(self, database: Database, before: Callable[[], None] | None) -> None:
        self._database = database
        self._before = before
        self._is_outer = False

    def __enter__(self) -> None:
        self._is_outer = self._database.begin()
        if self._before is not None:
            try:
                self._before()
            except BaseException as error:
                self.__exit__(type(error), error, error.__traceback__)
                raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._is_outer:
            self._database.end(error)


class Database:
    """One SQLite connection, used by one thread. `path` is None for a state in memory."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        on_commit: CommitHook | None = None,
        path: Path | None = None,
        anchor: sqlite3.Connection | None = None,
    ) -> None:
        self.connection = connection
        self.connection.isolation_level = None
        self.path = path
        self._anchor = anchor
        self._identity: Identity | None = None
        self._on_commit = on_commit
        self._depth = 0
        self._commits = 0
        self._raised_at = 0
        self.execute = connection.execute

    @classmethod
    def memory(cls, *, on_commit: CommitHook | None = None) -> Database:
        """A state that lives in memory: for a plan without a state file, and for tests."""
        database = cls(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False), on_commit=on_commit)
        database.prepare()
        return database

    def prepare(self) -> None:
        """Set the pragmas, migrate, and make the temporary tables."""
        self.execute("PRAGMA synchronous=FULL")
        self.execute("PRAGMA foreign_keys=ON")
        self.execute("PRAGMA cache_size=-16000")
        if self.value("PRAGMA user_version") < SCHEMA_VERSION:
            with self.transaction():
                self.migrate()
        self.connection.executescript(STAGING)

    def migrate(self) -> None:
        """Bring the schema up to date; inside a transaction."""
        if self.value("PRAGMA user_version") < SCHEMA_VERSION:  # unless another process was faster
            self.execute(f"PRAGMA application_id={APPLICATION_ID:d}")
            from sqlite_utils import Database as UtilsDatabase

            migrations().apply(UtilsDatabase(self.connection))
            self.execute(f"PRAGMA user_version={SCHEMA_VERSION:d}")

    def transaction(self, before: Callable[[], None] | None = None) -> Transaction:
        """
        One atomic change; anything raised inside undoes it. Nested use joins the outer transaction.

        `before` is called first thing inside it.
        """
        return Transaction(self, before)

    def begin(self) -> bool:
        """Begin a transaction; False where there is one already."""
        if self._depth:
            return False
        with self.translated():
            self.execute("BEGIN IMMEDIATE")
        self._depth = 1
        return True

    def end(self, error: BaseException | None) -> None:
        """End the transaction that `begin` began: committed, or undone where there was an error. Raises what went wrong here."""
        failure = error
        if failure is None:
            try:
                if self._on_commit is not None:
                    self._on_commit("before")
                self.execute("COMMIT")
                self._commits += 1
            except BaseException as refused:  # noqa: BLE001 - raised again below, once it is undone
                failure = refused
        self._depth = 0
        if failure is not None:
            # A disk in trouble may refuse this too; the transaction ends with the connection then.
            with suppress(sqlite3.OperationalError):
                if self.connection.in_transaction:
                    self.execute("ROLLBACK")
        if (explained := self.explained(failure)) is not None:
            raise explained from failure
        if failure is not None and failure is not error:
            raise failure
        if failure is None and self._on_commit is not None:
            self._on_commit("after")

    @contextmanager
    def scratch(self, rows: int) -> Iterator[None]:
        """Put this many rows into temporary tables: on their own, each would be a transaction with a journal file."""
        if rows < _MANY or self.connection.in_transaction:
            yield
            return
        self.execute("BEGIN")
        try:
            yield
        finally:
            self.execute("COMMIT")

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Let trouble with the file be a StateError that says what to do about it."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if (explained := self.explained(error)) is not None:
                raise explained from error
            raise

    def explained(self, error: BaseException | None) -> StateError | None:
        """Trouble with the file as a StateError; None for anything else, a mistake of ours included."""
        if isinstance(error, sqlite3.DatabaseError) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _TROUBLE:
            return unusable(self.path, error)
        return None

    def enter(self, identity: Identity, now: float, *, checked: bool) -> None:
        """Note in the state that this process writes from now on, and that its pages were `checked`."""
        identity.enter(now, checked=checked)
        self._raised_at = self._commits
        self._identity = identity

    def advance(self) -> None:
        """Tell the state as it is now from every copy taken before, if anything changed since the last time."""
        if self._identity is not None and self._commits > self._raised_at:
            with self.translated():
                self._identity.advance()
            self._raised_at = self._commits

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each row; an empty list costs nothing, and most lists of most runs are empty."""
        if rows != []:
            self.connection.executemany(sql, rows)

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The first row, or None."""
        return self.execute(sql, parameters).fetchone()

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The first column of the first row, or None."""
        row = self.execute(sql, parameters).fetchone()
        return None if row is None else row[0]

    def close(self) -> None:
        """Leave the state in order and let go of it."""
        identity, self._identity = self._identity, None
        if identity is not None:
            # What cannot be noted any more makes the next start check the file, as it should where a disk is in trouble, or
            # where the file was taken away meanwhile.
            with suppress(sqlite3.Error, StateError, OSError):
                identity.leave(moved=self._commits > self._raised_at)
        self.disconnect()

    def disconnect(self) -> None:
        """Let go of the file as it is."""
        self.connection.close()
        if self._anchor is not None:
            self._anchor.close()


def corrupt(path: Path | None, found: str) -> StateError:
    where = f"state file {path}" if path is not None else "state file"
    return StateError(f"{where}: corrupt or not a state file ({found}); restore it from a backup, or: {REBUILD}")


def unusable(path: Path | None, error: sqlite3.Error) -> StateError:
    """What an error of SQLite means for the state, and what to do about it."""
    where = f"state file {path}" if path is not None else "state file"
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StateLocked(f"{where}: locked by another program; close it or wait, then run again")
        case sqlite3.SQLITE_FULL:
            return StateError(f"{where}: the disk is full; nothing was lost, free some space and run again")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return StateError(f"{where}: cannot be written ({error}); check its permissions and those of its folder")
        case sqlite3.SQLITE_IOERR:
            return StateError(
                f"{where}: the disk refused ({error}): it is full, over a quota, or failing; nothing was lost, make room or "
                "replace it, and run again"
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return corrupt(path, str(error))
        case _:
            return StateError(f"{where}: {error}; nothing was lost, see `syncengine state check`")
