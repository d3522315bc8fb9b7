"""
The error tree. Classes say what the runner does and how far the trouble reaches; nothing ever parses a message.

    SyncError                        a person can act on it: shown as one sentence, never as a traceback
    ├── ConfigError                  the config is wrong; carries every problem at once          exit code 2
    ├── StateError                   the state file cannot be trusted or used                    exit code 1
    │   ├── StateLocked              somebody else holds the lease
    │   └── Fenced                   our lease was taken over: stop at once, commit nothing
    ├── Refused                      a guard, or a missing approval, stopped the run              exit code 3
    └── ConnectorError               what a connector may raise
        ├── TransientError           the whole call, nothing was applied; try again later
        │   └── Interrupted          the engine's own: it was asked to stop while it waited to make the call
        ├── OutcomeUnknown           one change, it may have been applied: look before doing anything else
        ├── RecordError              one record; its neighbours go on
        │   ├── Rejected             the system refused the values (validation, too long, not null, foreign key)
        │   ├── NotFound             no live record has this id
        │   ├── AlreadyExists        a unique value is taken; carries the id of the holder where known
        │   └── VersionConflict      `expected` was stale; nothing was changed
        ├── CursorExpired            read again from the beginning
        ├── AuthError                credentials refused: the side stops
        ├── ResourceError            this resource is unusable until a person acts (missing table, broken file)
        └── ProtocolError            the system, or the connector, answered nonsense: the side stops

Messages name the wrong thing, where it is, and the cure. They never hold a secret or a record's values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class SyncError(Exception):
    """Anything a person can act on; its text is the whole message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in a config: `place` is a dotted path (`pairs.contacts.match`), `cure` tells what to do about it."""

    place: str
    wrong: str
    cure: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.wrong}" + (f" ({self.cure})" if self.cure else "")


class ConfigError(SyncError):
    """The config cannot be used; `problems` lists everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class StateError(SyncError):
    """The state file is corrupt, newer than the program, rolled back, copied or unusable."""


class StateLocked(StateError):
    """Another run holds the lease on a resource that this run would write."""


class Fenced(StateError):
    """Our lease was taken over while we worked: whatever we would commit now could be wrong."""


class Refused(SyncError):
    """A guard stopped the run before its first write; `approval` is the hash that `--approve` takes, if any."""

    def __init__(self, message: str, *, approval: str = "") -> None:
        self.approval = approval
        super().__init__(message)


class ConnectorError(SyncError):
    """What a connector raises, or hands back inside `Failed`."""


class TransientError(ConnectorError):
    """
    The call failed and nothing was applied; the same call may succeed later.

    `retry_after` is in seconds when the system named a time. `throttled` marks a refusal for rate, which tells the
    pacing wrapper that the permitted rate was exceeded.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, throttled: bool = False) -> None:
        self.retry_after = retry_after
        self.throttled = throttled
        super().__init__(message)


class Interrupted(TransientError):
    """The run was asked to stop while it waited to make a call; nothing was sent."""


class OutcomeUnknown(ConnectorError):
    """The change was sent and no proof came back; it may be applied already, later, or never."""


class RecordError(ConnectorError):
    """One record could not be written; `field` names the native field at fault where the system told."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        self.field = field
        super().__init__(message)


class Rejected(RecordError):
    """The system refused the values of this record."""


class NotFound(RecordError):
    """No live record has this id."""


class AlreadyExists(RecordError):
    """A unique value is taken by another record; `id` is that record's id where the system told."""

    def __init__(self, message: str, *, field: str | None = None, id: str | None = None) -> None:
        self.id = id
        super().__init__(message, field=field)


class VersionConflict(RecordError):
    """`expected` no longer holds: somebody changed the record since it was read. Nothing was written."""


class CursorExpired(ConnectorError):
    """The cursor can no longer be resumed: a full read is needed, and its absences prove nothing about the gap."""


class AuthError(ConnectorError):
    """The system refused our credentials or our rights to this resource."""


class ResourceError(ConnectorError):
    """This resource cannot be used until a person acts: a missing table, a broken file, a lock that does not end."""


class ProtocolError(ConnectorError):
    """The system or its connector broke the contract; the text is worded for the connector's author."""
