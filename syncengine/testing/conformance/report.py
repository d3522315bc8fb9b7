"""What a run of the kit showed, capability by capability. No pytest in here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from enum import Enum
from typing import Any

from syncengine.connector import Capabilities
from syncengine.testing.conformance.bench import Bench
from syncengine.testing.conformance.demand import Demand
from syncengine.testing.conformance.world import Waiver

PROPERTY = "conformance"
"""The name under which a test's note stands in its `user_properties`."""


class Standing(Enum):
    """What is known of a capability after a run; the later in this list, the louder."""

    UNDECLARED = "undeclared"
    UNTESTED = "declared, not tested"
    TESTED = "tested"
    WAIVED = "waived"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What one test of the kit was about, on one class, and what stood in its way."""

    kind: str
    sentences: tuple[int, ...]
    qualities: tuple[str, ...]
    undeclared: tuple[str, ...]
    missing: tuple[str, ...]
    lacking: tuple[str, ...]
    waiver: str
    reason: str

    @classmethod
    def of(
        cls,
        kind: type,
        demand: Demand,
        bench: Bench,
        *,
        undeclared: Sequence[str],
        lacking: Sequence[str],
        waiver: Waiver | None,
    ) -> Note:
        """Take down what is known before the test runs."""
        return cls(
            kind=kind.__qualname__,
            sentences=demand.sentences,
            qualities=demand.qualities,
            undeclared=tuple(name for name in demand.qualities if _is_off(getattr(bench.can, name))),
            missing=tuple(undeclared),
            lacking=tuple(lacking),
            waiver="" if waiver is None else waiver.test,
            reason="" if waiver is None else waiver.reason,
        )

    def as_property(self) -> tuple[str, dict[str, object]]:
        """The note in plain values, so that it crosses processes (pytest-xdist)."""
        return PROPERTY, asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A note, and how its test ended: `passed`, `failed`, `skipped` or `xfailed`."""

    note: Note
    ended: str


def _is_off(value: object) -> bool:
    return value is False or value is None or value == ()


def note_from(properties: Iterable[tuple[str, object]]) -> Note | None:
    """The note among a test's `user_properties`, if it is one of the kit."""
    for name, value in properties:
        if name == PROPERTY and isinstance(value, dict):
            told: dict[str, Any] = {key: tuple(each) if isinstance(each, list) else each for key, each in value.items()}
            return Note(**told)
    return None


def standings(observed: Sequence[Observed]) -> dict[str, Standing]:
    """Each capability of one class, after all its tests."""
    loud = list(Standing)
    found: dict[str, Standing] = {}
    for name in (each.name for each in fields(Capabilities)):
        seen = [_standing(name, each) for each in observed if name in each.note.qualities]
        found[name] = max(seen, key=loud.index, default=Standing.UNTESTED)
        if found[name] is Standing.TESTED and any(name in each.note.undeclared for each in observed):
            found[name] = Standing.UNDECLARED
    return found


def _standing(name: str, observed: Observed) -> Standing:
    match observed.ended:
        case "failed":
            return Standing.FAILED
        case "xfailed":
            return Standing.WAIVED
        case "passed":
            return Standing.TESTED
        case _:
            return Standing.UNDECLARED if name in observed.note.undeclared else Standing.UNTESTED


def summary(kind: str, observed: Sequence[Observed]) -> list[str]:
    """A class's report in lines: each standing with its capabilities, then each waiver with its reason."""
    by_standing = standings(observed)
    lines = [kind]
    for standing in Standing:
        names = [name for name, found in by_standing.items() if found is standing]
        if names:
            lines.append(f"  {standing.value}: {', '.join(names)}")
    waived = {(each.note.waiver, each.note.reason) for each in observed if each.note.waiver and each.ended == "xfailed"}
    lines += [f"  waiver of {test}: {reason}" for test, reason in sorted(waived)]
    return lines
