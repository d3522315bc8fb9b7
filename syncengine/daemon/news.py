"""What the daemon tells of itself to whoever listens: alerts and metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from syncengine.engine.report import RunReport

if TYPE_CHECKING:
    from syncengine.app import App


class Cause(Enum):
    """What started a run."""

    SCHEDULE = "schedule"
    PERSON = "person"
    HINT = "hint"
    WAITING = "waiting"
    """Records waited for the run of another pair, which has happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """
    A run that ended, `now` in epoch seconds. `report` is None where it did not get so far that there is one; `trouble` says then,
    or when the run failed, in people's words why. `failures`: runs of this pair that failed
    one after the other, this one included.
    """

    pair: str
    cause: Cause
    now: float
    seconds: float
    report: RunReport | None
    trouble: str = ""
    failures: int = 0


Listener: TypeAlias = Callable[[RunEnded], None]
"""Called on the worker's thread right after a run; it must be quick, and reach nothing outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """
    Something the daemon does beside the runs, every so many seconds, on a thread of its own with an App of its own.

    `work` gets that App and the moment in epoch seconds. What it raises is logged; it is called again when its time comes.
    """

    name: str
    every: float
    work: Callable[[App, float], None]
