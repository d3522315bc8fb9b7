"""What the engine knew at some moment: its latest look for a key, what its journal says of a write, what it had read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from syncengine.connector import Native
from syncengine.core.model import Side


@dataclass(slots=True)
class Probe:
    """The latest look for a key on a side: when, and at which values (None: at all of them, by a listing of the whole)."""

    seq: int = 0
    time: float = 0.0
    texts: frozenset[str] | None = frozenset()
    lied: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """
    What the journal says of a write: the intent's number, its link, both ids of the link, the before-image, the id of the record
    (of a create: the one that is made anew by it), the run that meant it, and the state of the link.
    """

    number: int
    link: int | None
    left: str | None
    right: str | None
    before: Mapping[str, Native]
    record: str | None
    run: int
    state: str | None

    def id(self, side: Side) -> str | None:
        return self.left if side is Side.LEFT else self.right


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What the engine had read by then, and which side was lying."""

    reads: Mapping[tuple[Side, str], int]
    lied: Mapping[Side, bool]
