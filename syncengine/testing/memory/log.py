"""What a memory world remembers of those who used it: calls as they came, effects as they happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from syncengine.connector import Change, Fields


class Author(Enum):
    """Who did it: a person (or another program) at the far side, or whoever holds the connector."""

    PERSON = "person"
    CONNECTOR = "connector"


class CallKind(Enum):
    """The calls that a connector makes; one page of a listing is one call."""

    CHECK = "check"
    PAGE = "page"
    GET = "get"
    FIND = "find"
    WRITE = "write"


class Moment(Enum):
    """When a world's `on_call` is asked: before anything happened, or when all is done but not yet answered."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call as the far side saw it: `ids` of a get, `changes` of a write, `cursor` of a page, `field` of a find."""

    number: int
    kind: CallKind
    resource: str = ""
    ids: Sequence[str] = ()
    changes: Sequence[Change] = ()
    cursor: str | None = None
    field: str = ""


class EffectKind(Enum):
    """What can happen to a record."""

    CREATED = "created"
    UPDATED = "updated"
    ARCHIVED = "archived"
    DELETED = "deleted"
    RESTORED = "restored"
    IDENTIFIED = "identified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """
    One thing that happened to one record, counted where it happened.

    `before` and `after` are the fields of the live record, None where there is none. An update that changed nothing is an
    effect too. `key` is the idempotency key of the change; "" for a person's doing.
    """

    number: int
    at: float
    by: Author
    kind: EffectKind
    resource: str
    id: str
    before: Fields | None
    after: Fields | None
    key: str = ""
