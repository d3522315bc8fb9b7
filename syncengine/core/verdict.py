"""
What the runner does about an error: one pure function, so that retrying, stopping and waiting are decided in one place.
"""

from __future__ import annotations

from enum import Enum

from syncengine.errors import (
    AuthError,
    CursorExpired,
    OutcomeUnknown,
    ProtocolError,
    RecordError,
    ResourceError,
    TransientError,
)


class Fate(Enum):
    """What follows from an error."""

    RETRY = "retry"
    """Nothing was applied; the same call may be made again."""
    DOUBT = "doubt"
    """It may have been applied: only a look can tell."""
    RECORD = "record"
    """This record failed; its neighbours go on."""
    REREAD = "reread"
    """The cursor is lost: read everything."""
    STOP = "stop"
    """This side stops; nothing that depends on it is done."""


def verdict(error: BaseException) -> Fate:
    """Class an error by what to do about it; an error that no connector may raise is the connector's bug and stops the side."""
    match error:
        case TransientError():
            return Fate.RETRY
        case OutcomeUnknown():
            return Fate.DOUBT
        case RecordError():
            return Fate.RECORD
        case CursorExpired():
            return Fate.REREAD
        case AuthError() | ResourceError() | ProtocolError():
            return Fate.STOP
        case _:
            return Fate.STOP


def applied_nothing(error: BaseException) -> bool:
    """
    Whether an error raised from `write` proves that no change of the call was applied.

    The contract says that raising means nothing was applied, but an unclassified exception is a bug of the connector, and
    a bug proves nothing.
    """
    return isinstance(error, TransientError | AuthError | ResourceError | RecordError)
