"""What the connector needs of a kind of database: the part of the work that is not the same for all three."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias

from sqlalchemy import URL, Connection, Engine

from connectors.sql.facts import TableFacts
from connectors.sql.keys import KeyValues
from connectors.sql.trouble import Trouble

Row: TypeAlias = tuple[Any, ...]
"""A row as the driver delivers it."""

CONNECT_TIMEOUT: Final = 10
"""Seconds that a server may take to accept a connection."""


class Begin(Enum):
    """What a transaction is for."""

    READ = auto()
    WRITE = auto()


class KeySource(Enum):
    """Where the key of a new row comes from."""

    NONE = auto()
    """Nowhere: it is known, or not needed."""
    LAST = auto()
    """The driver tells the number that was handed out."""
    RETURNED = auto()
    """The statement returns it."""


Result: TypeAlias = KeyValues | Exception | None
"""What became of one row: its key (empty if not asked for), or what the driver raised. None: the statement wrote no row."""


class BatchRefused(Exception):
    """
    The database undid the whole transaction, or refused to commit it, because of some row: nothing was applied.

    Never leaves this package.
    """

    def __init__(self, trouble: Trouble) -> None:
        self.trouble = trouble
        super().__init__(trouble.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where the database is and how it is called."""

    url: URL
    schema: str | None
    base: Path
    timeout: float
    lock_timeout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """
    What holds for every database of a kind.

    `extra` is the optional extra that installs the driver. `overlap`: seconds, the default of that option.
    `clock_resolution`: seconds, of timestamps that others may write. `system_version`: `xmin` can serve as a version.
    `times_as_text`: text columns may hold timestamps, since there is no type for them. `number_source`: how the number
    that a new row was given is learned.
    """

    title: str
    extra: str
    overlap: float
    late_arrival: float
    max_concurrency: int
    clock_resolution: float
    number_source: KeySource
    system_version: bool = False
    times_as_text: bool = False


class Dialect(ABC):
    """
    One kind of database. Implementations have no state but where the database is.

    Methods that take a `Connection` run inside the transaction their caller began. They raise the driver's exceptions,
    which `trouble` classes.
    """

    traits: ClassVar[Traits]

    def __init__(self, placed: Placement) -> None:
        self.placed = placed

    @abstractmethod
    def engine(self) -> Engine:
        """A pool of connections, none of them open yet."""

    @abstractmethod
    def place(self) -> str:
        """Where the database is, for people; no secrets."""

    @abstractmethod
    def identity(self) -> str:
        """What makes this database the same one next time; no secrets."""

    @abstractmethod
    def label(self, connection: Connection) -> str:
        """What it is and who we are there, for people; no secrets."""

    @abstractmethod
    def opening(self, purpose: Begin) -> Sequence[str]:
        """The statements that a transaction opens with."""

    @abstractmethod
    def names(self, connection: Connection) -> Sequence[str]:
        """Tables and views, sorted."""

    @abstractmethod
    def facts(self, connection: Connection, name: str) -> TableFacts | None:
        """What the catalogue says about a table; None if there is none of that name."""

    @abstractmethod
    def stream(self, connection: Connection, sql: str, parameters: Sequence[Any], size: int) -> Generator[list[Row], None, None]:
        """The rows of one query in lists of `size`, with flat memory, from one snapshot."""

    @abstractmethod
    def apply(self, connection: Connection, sql: str, rows: Sequence[Sequence[Any]], keys: KeySource) -> list[Result]:
        """
        Run a statement for each row of parameters, in order; a row that is refused leaves the others.

        Raises for trouble that concerns more than one row.
        """

    @abstractmethod
    def now(self, connection: Connection) -> datetime:
        """The database's clock, aware."""

    @abstractmethod
    def trouble(self, error: BaseException) -> Trouble:
        """Class an exception of the driver."""
        ...


def one_by_one(
    cursor: Any, sql: str, rows: Sequence[Sequence[Any]], keys: KeySource, concerns_one_row: Callable[[Exception], bool]
) -> list[Result]:
    """For databases where a statement that fails leaves the transaction as it was before it."""
    results: list[Result] = []
    for row in rows:
        try:
            cursor.execute(sql, row)
            if keys is KeySource.RETURNED:
                results.append(cursor.fetchone())
            elif cursor.rowcount == 0:
                results.append(None)
            else:
                results.append((cursor.lastrowid,) if keys is KeySource.LAST else ())
        except Exception as error:
            if not concerns_one_row(error):
                raise
            results.append(error)
    return results
