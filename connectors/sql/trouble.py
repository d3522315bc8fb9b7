"""
What a database complained about, and the classed error that says so.

Pure. The drivers' messages hold values ("Key (email)=(ann@...) already exists") and SQLAlchemy's hold parameters, so none
of them is ever shown: an error is told by its code, and by the names of constraints and columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from syncengine.errors import (
    AuthError,
    ConnectorError,
    ProtocolError,
    ResourceError,
    TransientError,
)


class Kind(Enum):
    """What happened, by what it means to us."""

    TAKEN = auto()
    """A unique value is held by another row."""
    NULL = auto()
    REFERENCE = auto()
    CHECK = auto()
    VALUE = auto()
    """Too long, out of range, or not of the column's type."""
    TRIGGER = auto()
    """A trigger or a rule of the database refused the row."""

    BUSY = auto()
    """A lock, a deadlock, a time limit, too many connections: later it may work."""
    LOST = auto()
    """No connection, or none any more."""
    DENIED = auto()
    """The login was refused."""
    FORBIDDEN = auto()
    """The login holds, the right to this table does not."""
    NO_DATABASE = auto()
    NO_TABLE = auto()
    """A table or column is not there (any more)."""
    READ_ONLY = auto()
    FULL = auto()
    BROKEN = auto()
    """The file is no database, or is damaged."""
    UNKNOWN = auto()


OF_ONE_ROW = frozenset({Kind.TAKEN, Kind.NULL, Kind.REFERENCE, Kind.CHECK, Kind.VALUE, Kind.TRIGGER})
"""What concerns one row only; its neighbours go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """
    A classed complaint. `code` is the database's own, for looking up.

    `constraint` and `column` are named where the driver tells them apart from its message. `settled`: the database said so
    in a well-formed answer, so that a COMMIT answered this way certainly did not happen.
    """

    kind: Kind
    code: str
    constraint: str = ""
    column: str | None = None
    settled: bool = True


def call_error(trouble: Trouble, *, place: str, what: str) -> ConnectorError:
    """
    The error for trouble that concerns the whole call, of which nothing was applied.

    `place` says where the database is, without secrets; `what` which table or step it was about.
    """
    where = f"{what} in {place}" if what else place
    code = f" ({trouble.code})" if trouble.code else ""
    match trouble.kind:
        case Kind.BUSY:
            return TransientError(
                f"{where}: locked or busy{code}, nothing was changed; "
                "it is tried again, and if it stays so, look for a program that keeps a transaction open"
            )
        case Kind.LOST:
            return TransientError(
                f"{where}: the database cannot be reached, or went away{code}; is the server running, and is the address right?"
            )
        case Kind.DENIED:
            return AuthError(f"{place}: the database refused the login{code}; check the user and the password in `url`")
        case Kind.FORBIDDEN:
            return AuthError(f"{where}: the login lacks the right to do this{code}; grant it, or use another login in `url`")
        case Kind.NO_DATABASE:
            return ResourceError(f"{place}: there is no such database{code}; create it, or correct `url`")
        case Kind.NO_TABLE:
            return ResourceError(
                f"{where}: a table or column is not there{code}; if the schema was changed, check the config and run again"
            )
        case Kind.READ_ONLY:
            return ResourceError(
                f"{where}: the database is read-only{code}; make it writable, or mark the system `read_only = true`"
            )
        case Kind.FULL:
            return ResourceError(f"{where}: the disk or the database is full{code}, nothing was changed; free some space")
        case Kind.BROKEN:
            return ResourceError(f"{where}: this is no database, or it is damaged{code}; correct `url`, or restore a backup")
    return ProtocolError(f"{where}: the database gave an answer that the sql connector does not know{code}; please report it")
