"""
What a run intends, as values: one `Decision` per link or unlinked record. Pure.

A decision is complete: what to write, which shadows move without a write, what goes to the inbox and the attic, what the
record waits for, and in which bucket each record read ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from syncengine.connector import Fields, Native
from syncengine.core.merge import Half
from syncengine.core.model import Side
from syncengine.core.values import Shortfall


class Op(Enum):
    """What is done to a record of the target side."""

    __hash__ = object.__hash__  # as for Side

    CREATE = "create"
    UPDATE = "update"
    ARCHIVE = "archive"
    DELETE = "delete"
    RESTORE = "restore"
    IDENTIFY = "identify"


class LinkState(Enum):
    """The life of a link."""

    __hash__ = object.__hash__  # as for Side

    CREATING = "creating"
    """A create for one side is under way; it has one id so far."""
    LIVE = "live"
    SUSPENDED = "suspended"
    """A record left its filter: ids and shadows are kept, nothing travels."""
    DEAD = "dead"
    """A record is gone and its partner stays: the partner is never re-created, nor taken for new."""
    ENDED = "ended"
    """Both are gone, or the link was dissolved: the store forgets it."""


class Wait(Enum):
    """Why a record is not settled; it is decided again in every run."""

    __hash__ = object.__hash__  # as for Side

    CONFLICT = "conflict"
    AMBIGUOUS = "ambiguous"
    REFERENCE = "reference"
    BLOCKED = "blocked"
    IN_DOUBT = "in_doubt"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    DELETE = "delete"
    DEFERRED = "deferred"
    UNREAD = "unread"


SAYS_NOTHING: Final = frozenset({Wait.DELETE, Wait.UNREAD, Wait.IN_DOUBT})
"""
What the survivor of a dead link may wait for though its partner's deletion is settled: an answer that may come, a look, a write
that is in doubt. Whatever else it waits for tells that nothing was decided about it yet.
"""


class Bucket(Enum):
    """Where a record that was read ends; per side the buckets add up to what was read."""

    __hash__ = object.__hash__  # as for Side

    UNCHANGED = "unchanged"
    LINKED = "linked"
    CREATED = "created"
    SENT = "sent"
    RECEIVED = "received"
    AGREED = "agreed"
    DELETED = "deleted"
    CONFLICTED = "conflicted"
    AMBIGUOUS = "ambiguous"
    SKIPPED = "skipped"
    WAITING = "waiting"
    QUARANTINED = "quarantined"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"


class AskKind(Enum):
    """What an inbox entry is about."""

    CONFLICT = "conflict"
    DUPLICATE = "duplicate"
    DELETE = "delete"
    EDIT_SURVIVED = "edit_survived"
    UNKNOWN_OUTCOME = "unknown_outcome"
    MET = "met"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """An entry for the inbox; `field` is the shared field name, None when the whole record is meant."""

    kind: AskKind
    field: str | None
    left: Native = None
    right: Native = None
    base: Native = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A value on its way to the attic: native field and value of one side, and why it was overwritten."""

    side: Side
    field: str
    value: Native
    why: str


# Never changed once made, but not frozen: there are several for every record, and a frozen one costs six times as much to make.
@dataclass(slots=True, kw_only=True)
class Write:
    """
    One write to one record of side `side`: `fields` are the native values to store, `before` those they replace, and
    `source` the other side's native values they come from. `whys` tells why, by native field.
    """

    op: Op
    side: Side
    id: str | None
    fields: Fields = field(default_factory=dict)
    before: Fields = field(default_factory=dict)
    source: Fields = field(default_factory=dict)
    whys: Mapping[str, str] = field(default_factory=dict)


# Never changed once made, but not frozen: there are several for every record, and a frozen one costs six times as much to make.
@dataclass(slots=True, kw_only=True)
class Decision:
    """
    What a run intends for one link (`link` is its number) or for records without one.

    `bases` are shadow entries that move with no write. `state` is the link state to reach once the writes are done (None:
    as it is). `waits` and `buckets` are per side, for sides whose record exists. `hold` leaves everything as it is.
    `skipped` tells why the records are left alone, where they are. `shortfalls` are fields, by their shared name, of which a
    side is seen now not to have stored all that it was sent.
    """

    link: int | None
    left: Half
    right: Half
    label: str
    writes: tuple[Write, ...] = ()
    bases: Mapping[Side, Fields] = field(default_factory=dict)
    state: LinkState | None = None
    asks: tuple[Ask, ...] = ()
    losses: tuple[Loss, ...] = ()
    waits: Mapping[Side, tuple[Wait, str]] = field(default_factory=dict)
    buckets: Mapping[Side, Bucket] = field(default_factory=dict)
    key: str | None = None
    hold: bool = False
    skipped: str = ""
    shortfalls: tuple[tuple[Side, str, Shortfall], ...] = ()

    @classmethod
    def alone(cls, side: Side, half: Half, *, label: str, key: str | None = None) -> Decision:
        """Nothing yet about one record of a side that belongs to nobody on the other one."""
        nobody = Half(id=None, now=None)
        left, right = (half, nobody) if side is Side.LEFT else (nobody, half)
        return cls(link=None, left=left, right=right, label=label, key=key)

    def half(self, side: Side) -> Half:
        return self.left if side is Side.LEFT else self.right

    def write(self, side: Side) -> Write | None:
        """The write to this side, if any: there is at most one."""
        return next((write for write in self.writes if write.side is side), None)
