"""
What the engine tells people: plans, runs, inbox and quarantine entries. Plain values, ready to be shown or stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any

from syncengine.connector import Native
from syncengine.core.guard import Trip


class Exit(IntEnum):
    """The exit codes of the command line."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    PARTIAL = 4
    CHANGES = 5


_GRAVITY = (Exit.FAILED, Exit.REFUSED, Exit.PARTIAL, Exit.CHANGES, Exit.DONE)


def worst(codes: Iterator[Exit]) -> Exit:
    """The exit code of several pairs: the gravest of theirs."""
    return min(codes, key=_GRAVITY.index, default=Exit.DONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDiff:
    """One field's change, in the values that the written system holds, and why it is made."""

    field: str
    before: Native
    after: Native
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionLine:
    """
    One action as people read it. `kind`: create, update, archive, delete, restore, link, unlink, identify. `side`: the side
    that is written. `outcome`: empty in a plan; done, failed or unknown in a run.
    """

    kind: str
    side: str
    label: str
    id: str | None
    diffs: tuple[FieldDiff, ...] = ()
    why: str = ""
    outcome: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxEntry:
    """
    A question to a human; `id` is what `conflicts resolve` takes. `gone`: the side on which a record is gone, where that is the
    question. `answer`: what was chosen, until the next run acts on it. `mark` changes with what is shown, so that an answer given
    to something older can be told.
    """

    id: int
    pair: str
    kind: str
    label: str
    field: str | None
    left: Native
    right: Native
    base: Native
    why: str
    opened_at: datetime
    gone: str | None = None
    answer: str | None = None
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineEntry:
    """A parked record; `id` is what `quarantine retry` takes: pair, side and record."""

    id: str
    pair: str
    side: str
    label: str
    record: str
    reason: str
    since: datetime
    tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Calls per side that the plan would make, and the seconds that takes where a rate is known."""

    calls: Mapping[str, int]
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """
    What a run would do. `counts`: `right.create` and the like -> number. `actions` computes the lines anew at each call, so that
    a large plan is never held in memory; it works until the App is closed or another pair is planned.
    """

    pair: str
    left: str
    right: str
    counts: Mapping[str, int]
    actions: Callable[[], Iterator[ActionLine]]
    read: Mapping[str, int]
    conflicts: int
    trips: tuple[Trip, ...]
    approval: str
    forecast: Forecast
    notes: tuple[str, ...] = ()

    @property
    def exit(self) -> Exit:
        if self.trips:
            return Exit.REFUSED
        if any(self.counts.values()):
            return Exit.CHANGES
        return Exit.PARTIAL if self.conflicts else Exit.DONE


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """
    What a run did. Per side, `read` equals the sum of `buckets`. `written`: `right.create` and the like -> number.
    `pending`: records that are not settled, by reason. `shortfalls`: `right.name` and the like -> how many values of that field a
    system did not store as they were sent; `notes` tells of which records. `doubt_ends_at`: from when on a run over the whole
    pair may prove what became of a write in doubt, None where nothing is.
    """

    run: int
    pair: str
    left: str
    right: str
    started_at: datetime
    finished_at: datetime
    read: Mapping[str, int] = field(default_factory=dict)
    buckets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    written: Mapping[str, int] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    inbox_open: int = 0
    quarantined: int = 0
    pending: Mapping[str, int] = field(default_factory=dict)
    refused: tuple[Trip, ...] = ()
    approval: str = ""
    error: str = ""
    exit: Exit = Exit.DONE
    notes: tuple[str, ...] = ()
    shortfalls: Mapping[str, int] = field(default_factory=dict)
    doubt_ends_at: datetime | None = None


def document(report: RunReport) -> dict[str, Any]:
    """A run report as stored: numbers and messages, no values."""
    return {
        "read": dict(report.read),
        "buckets": {side: dict(buckets) for side, buckets in report.buckets.items()},
        "written": dict(report.written),
        "failed": len(report.failed),
        "inbox_open": report.inbox_open,
        "quarantined": report.quarantined,
        "pending": dict(report.pending),
        "refused": [trip.message for trip in report.refused],
        "approval": report.approval,
        "error": report.error,
        "notes": list(report.notes),
        "shortfalls": dict(report.shortfalls),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckLine:
    """One finding of `check`: `place` is a system, pair or field; `cure` says what to do where `ok` is false."""

    place: str
    ok: bool
    text: str
    cure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """Everything `check` found out."""

    lines: tuple[CheckLine, ...]

    @property
    def exit(self) -> Exit:
        return Exit.DONE if all(line.ok for line in self.lines) else Exit.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """A past run in one line; `finished_at` None: it was killed, and the next run of the pair resolves what it left."""

    run: int
    pair: str
    started_at: datetime
    finished_at: datetime | None
    exit: Exit | None
    report: Mapping[str, object] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetail:
    """A past run with everything it wrote, and how each write ended."""

    line: RunLine
    actions: tuple[ActionLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """
    What a refused run would have done, and what became of the question. `counts`: `right.delete`, `link` and the like -> number;
    `covers`: some of the records as (kind, side, key or id). `waits`: it can still be approved, until `expires_at`.
    `declined_at`: when a person said no to the very same.
    """

    run: int
    pair: str
    approval: str
    counts: Mapping[str, int]
    covers: tuple[tuple[str, str, str], ...]
    waits: bool
    expires_at: datetime | None
    declined_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairStatus:
    """
    Where a pair stands: links, what waits (by reason), open questions, and its latest run. `fresh_at`: when the latest run began
    that went through, whatever it left waiting; None where there was none.
    """

    pair: str
    left: str
    right: str
    links: int
    pending: Mapping[str, int]
    inbox_open: int
    last: RunLine | None
    fresh_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """All pairs of a config."""

    state: str
    pairs: tuple[PairStatus, ...]

    @property
    def exit(self) -> Exit:
        waiting = any(status.inbox_open or status.pending for status in self.pairs)
        return Exit.PARTIAL if waiting else Exit.DONE
