"""
The life of the connections: engine, transactions, and exceptions of drivers as classed errors.

Every transaction is one `with` block. What a driver raises inside it leaves it as a `ConnectorError` without the driver's
message (which holds values) and without the driver's exception as its cause.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any, TypeAlias
from weakref import WeakSet

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from connectors.sql.dialect import BatchRefused, Begin, Dialect
from connectors.sql.trouble import OF_ONE_ROW, Kind, Trouble, call_error
from syncengine.connector import Page
from syncengine.errors import OutcomeUnknown, ResourceError

Listing: TypeAlias = Generator[Page, None, None]


class Database:
    """
    One database. Safe to use from several threads, each in its own transaction.

    `close` also ends listings that were never finished.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._engine: Engine | None = None
        self._raises: type[Exception] = DBAPIError
        self._listings: WeakSet[Listing] = WeakSet()
        self._lock = Lock()

    @property
    def engine(self) -> Engine:
        with self._lock:
            if self._engine is None:
                self._engine = self._make_engine()
            return self._engine

    @contextmanager
    def reading(self, what: str) -> Iterator[Connection]:
        """A transaction that reads; `what` names the table or step, for errors."""
        with self._connection(what, Begin.READ) as connection:
            try:
                yield connection
            finally:
                if not connection.closed and not connection.invalidated:
                    connection.rollback()

    @contextmanager
    def writing(self, what: str) -> Iterator[Connection]:
        """
        A transaction that writes, committed at the end of the block.

        Raises `BatchRefused` when the commit met a deferred constraint, and OutcomeUnknown when nobody knows whether it
        happened. Every other error means that nothing was applied.
        """
        with self._connection(what, Begin.WRITE) as connection:
            try:
                yield connection
            except BaseException:
                self._abandon(connection)
                raise
            self._commit(connection, what)

    def classed(self, error: BaseException) -> Trouble | None:
        """The trouble that a driver's exception tells of; None for any other exception."""
        if isinstance(error, PoolTimeout):
            return Trouble(kind=Kind.BUSY, code="all connections are in use")
        if isinstance(error, DBAPIError) and error.orig is not None:
            error = error.orig
        if isinstance(error, self._raises):
            return self.dialect.trouble(error)
        if isinstance(error, (ValueError, OverflowError)):
            return Trouble(kind=Kind.VALUE, code=type(error).__name__)  # a driver's, about a value it cannot send
        return None

    def watch(self, listing: Listing) -> Listing:
        """Have `close` end this listing, should it not be finished by then."""
        self._listings.add(listing)
        return listing

    def close(self) -> None:
        with self._lock:
            engine, self._engine = self._engine, None
        for listing in list(self._listings):
            # one that another thread is just reading ends by itself, and its connection with it
            with suppress(ValueError):
                listing.close()
        if engine is not None:
            engine.dispose()

    @contextmanager
    def _connection(self, what: str, purpose: Begin) -> Iterator[Connection]:
        with self._errors(what):
            engine = self.engine
            connection = engine.connect()
        try:
            with self._errors(what, connection):
                connection.begin()
                for statement in self.dialect.opening(purpose):
                    connection.exec_driver_sql(statement)
                yield connection
        finally:
            if self._engine is not engine and not connection.invalidated and not connection.closed:
                connection.detach()  # closed meanwhile: there is no pool any more to go back to
            connection.close()

    @contextmanager
    def _errors(self, what: str, connection: Connection | None = None) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, self._raises) as error:
            trouble = self.classed(error)
            if trouble is None:
                raise
            if connection is not None and trouble.kind in (Kind.LOST, Kind.UNKNOWN):
                connection.invalidate()
            raise call_error(trouble, place=self.dialect.place(), what=what) from None

    def _commit(self, connection: Connection, what: str) -> None:
        try:
            connection.commit()
        except (SQLAlchemyError, self._raises) as error:
            trouble = self.classed(error)
            if trouble is None or not trouble.settled or trouble.kind in (Kind.LOST, Kind.UNKNOWN):
                connection.invalidate()
                raise OutcomeUnknown(
                    f"{what} in {self.dialect.place()}: the connection was lost while the changes were being committed; "
                    "whether they were is found out before anything else is written"
                ) from None
            self._abandon(connection)
            if trouble.kind in OF_ONE_ROW:
                raise BatchRefused(trouble) from None
            raise

    def _abandon(self, connection: Connection) -> None:
        """Roll back, whatever state the connection is in."""
        if connection.closed or connection.invalidated:
            return
        try:
            connection.rollback()
        except (SQLAlchemyError, self._raises):
            connection.invalidate()  # without a connection the database rolls back by itself

    def _make_engine(self) -> Engine:
        try:
            engine = self.dialect.engine()
        except ModuleNotFoundError as error:
            raise ResourceError(
                f"{self.dialect.place()}: the driver for {self.dialect.traits.title} is not installed "
                f"(module {error.name}); install it with: pip install 'syncengine[{self.dialect.traits.extra}]'"
            ) from None
        driver: Any = engine.dialect.loaded_dbapi
        self._raises = driver.Error
        return engine
