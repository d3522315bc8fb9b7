"""
Who is who: what follows from all live records that share one match key. Pure.

Exactly one on each side may be linked; several on a side are ambiguous and create nothing. Records that have a link count
too: a second record with the key of a linked one is a duplicate, not a new person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from syncengine.core.model import Side


# Never changed once made, but not frozen: there are several for every record, and a frozen one costs six times as much to make.
@dataclass(slots=True, kw_only=True)
class Member:
    """A live record with the key in question. `link`: its link, if any; `spoken_for`: that link is not dead."""

    id: str
    link: int | None = None
    spoken_for: bool = False


class Match(Enum):
    """What a key group means for its records without a link."""

    NEW = "new"
    """One record, nobody on the other side."""
    PAIR = "pair"
    """One record on each side, both free: the same thing."""
    AMBIGUOUS = "ambiguous"
    """Several records on a side share the key: a human decides."""
    TAKEN = "taken"
    """The only record with this key on the other side is linked to another one: wait, its key may be on the move."""


def match(group: Mapping[Side, Sequence[Member]], side: Side) -> Match:
    """What the group means for its free record on `side`."""
    mine, theirs = group[side], group[side.other]
    if len(mine) > 1 or len(theirs) > 1:
        return Match.AMBIGUOUS
    if not theirs:
        return Match.NEW
    return Match.TAKEN if theirs[0].spoken_for else Match.PAIR
