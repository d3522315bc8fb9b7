"""How a remote behaves beyond what it declares: normalisers, paging, versions, cursors; and a clock that is no clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from enum import Enum
from typing import TypeAlias

from syncengine.connector import Native

Clock: TypeAlias = Callable[[], float]
"""Seconds since the epoch, by a clock that somebody else turns."""

Normaliser: TypeAlias = Callable[[Native], Native]
"""What a system makes of a value before it stores it."""


class VirtualClock:
    """A clock that advances by `step` seconds at each look, and by `advance`; it knows nothing of the real time."""

    def __init__(self, *, start: float = 1_700_000_000.0, step: float = 1.0) -> None:
        self.now = start
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def trim(value: Native) -> Native:
    """Text without blanks at its ends."""
    return value.strip() if isinstance(value, str) else value


def lower(value: Native) -> Native:
    """Text in lower case."""
    return value.lower() if isinstance(value, str) else value


def rounded(places: int) -> Normaliser:
    """Numbers rounded half to even at so many places."""
    step = Decimal(1).scaleb(-places)

    def normalise(value: Native) -> Native:
        if isinstance(value, Decimal):
            return value.quantize(step, rounding=ROUND_HALF_EVEN) if value.is_finite() else value
        return round(value, places) if isinstance(value, float) else value

    return normalise


def truncated(length: int) -> Normaliser:
    """Text cut off after so many characters."""

    def normalise(value: Native) -> Native:
        return value[:length] if isinstance(value, str) else value

    return normalise


def without(characters: str) -> Normaliser:
    """Text with these characters stripped from anywhere (the dashes of a phone number)."""
    table = str.maketrans("", "", characters)

    def normalise(value: Native) -> Native:
        return value.translate(table) if isinstance(value, str) else value

    return normalise


def appended(suffix: str) -> Normaliser:
    """Text that grows by `suffix` at every write: a normaliser that never comes to rest, as some systems have."""

    def normalise(value: Native) -> Native:
        return value + suffix if isinstance(value, str) and value else value

    return normalise


def chained(*normalisers: Normaliser) -> Normaliser:
    """Several normalisers, one after the other."""

    def normalise(value: Native) -> Native:
        for each in normalisers:
            value = each(value)
        return value

    return normalise


def normaliser_named(text: str) -> Normaliser:
    """
    The normaliser that a data file names: `trim`, `lower`, `round 2`, `truncate 10`, `without -()`, `append x`; several are
    joined with `|`. ValueError names one that does not exist.
    """
    found: list[Normaliser] = []
    for part in text.split("|"):
        match part.split():
            case ["trim"]:
                found.append(trim)
            case ["lower"]:
                found.append(lower)
            case ["round", places]:
                found.append(rounded(int(places)))
            case ["truncate", length]:
                found.append(truncated(int(length)))
            case ["without", characters]:
                found.append(without(characters))
            case ["append", suffix]:
                found.append(appended(suffix))
            case _:
                raise ValueError(
                    f"there is no normaliser {part.strip()!r}; write trim, lower, round N, truncate N, without X, append X"
                )
    return chained(*found)


class Paging(Enum):
    """What a listing shows of changes made while it is paged through."""

    SNAPSHOT = "snapshot"
    """Every page shows the moment of the first."""
    LIVE = "live"
    """Each page shows its records as they are when it is asked for; a record gone meanwhile is left out."""
    MOVING = "moving"
    """Pages are offsets into a list with the latest change first: records move between pages while somebody works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """
    What a memory resource does that no capability declares.

    normalise: per field, what is stored instead of what was sent.
    versions: records carry a version, which `expected` may name; without it `expected` names old values.
    returns_version, returns_whole: what `Written` tells: the new version, all fields instead of the written ones.
    touches: an update that changes nothing still makes a new version and shows in the change feed.
    sparse: a field never given is absent instead of null.
    tells_holder: `AlreadyExists` names the record that holds the unique value.
    create_revives: a create whose unique value an archived record holds brings that one back (`Written.met`).
    checks_references: a reference must name a live record of this world, and a record referred to cannot go.
    provisional: records that a person inserts have no lasting id until `Identify`.
    paging: see `Paging`. passes: how often a moving listing is taken before it is given up as incomplete.
    overlap: how many changes before the cursor an incremental read delivers again.
    repeats: each page of a listing repeats the last record of the page before.
    cursor_life: how many changes a cursor stays valid for; None: for ever.
    """

    normalise: Mapping[str, Normaliser] = field(default_factory=dict)
    versions: bool = True
    returns_version: bool = True
    returns_whole: bool = True
    touches: bool = False
    sparse: bool = False
    tells_holder: bool = True
    create_revives: bool = False
    checks_references: bool = False
    provisional: bool = False
    paging: Paging = Paging.SNAPSHOT
    passes: int = 3
    overlap: int = 0
    repeats: bool = False
    cursor_life: int | None = None
