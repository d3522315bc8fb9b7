"""
Reports of the engine as JSON documents. Pure.

The keys are stable: they may gain neighbours, and keep their names and meaning. Lists of actions are iterators, so that a
large plan can be written as it is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from syncengine.core.guard import Trip
from syncengine.engine.report import (
    ActionLine,
    CheckReport,
    InboxEntry,
    PlanReport,
    QuarantineEntry,
    RunDetail,
    RunLine,
    RunReport,
    StatusReport,
)

Document = Mapping[str, object]


def _all_of(value: Any) -> dict[str, object]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def action(line: ActionLine) -> Document:
    """`kind`, `side`, `label`, `id`, `fields` (each `field`, `before`, `after`, `why`), `why`, `outcome`."""
    diffs = [_all_of(diff) for diff in line.diffs]
    return {
        "kind": line.kind,
        "side": line.side,
        "label": line.label,
        "id": line.id,
        "fields": diffs,
        "why": line.why,
        "outcome": line.outcome,
    }


def _guards(trips: tuple[Trip, ...]) -> list[Document]:
    return [_all_of(trip) for trip in trips]


def plan(report: PlanReport) -> Document:
    """The plan of one pair; `exit` is that of the pair alone."""
    return {
        "pair": report.pair,
        "left": report.left,
        "right": report.right,
        "read": report.read,
        "counts": report.counts,
        "conflicts": report.conflicts,
        "refused": _guards(report.trips),
        "approval": report.approval,
        "forecast": _all_of(report.forecast),
        "notes": report.notes,
        "exit": int(report.exit),
        "actions": (action(line) for line in report.actions()),
    }


def run(report: RunReport) -> Document:
    """What one run did."""
    return {**_all_of(report), "refused": _guards(report.refused), "exit": int(report.exit)}


def check(report: CheckReport) -> Document:
    """Every finding, and `exit`."""
    return {"lines": [_all_of(line) for line in report.lines], "exit": int(report.exit)}


def run_line(line: RunLine) -> Document:
    """A past run; `exit` is null for one that was killed."""
    return {**_all_of(line), "exit": None if line.exit is None else int(line.exit)}


def detail(detail: RunDetail) -> Document:
    """A past run with its `actions`."""
    return {**run_line(detail.line), "actions": [action(line) for line in detail.actions]}


def status(report: StatusReport) -> Document:
    """Every pair, and `exit`."""
    pairs = [{**_all_of(pair), "last": None if pair.last is None else run_line(pair.last)} for pair in report.pairs]
    return {"state": report.state, "pairs": pairs, "exit": int(report.exit)}


def conflict(entry: InboxEntry) -> Document:
    """One open question."""
    return _all_of(entry)


def quarantined(entry: QuarantineEntry) -> Document:
    """One parked record."""
    return _all_of(entry)
