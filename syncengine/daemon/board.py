"""The board: what the daemon shows of itself while it works, and the one thing that people ask of it, a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol


class Activity(Enum):
    """What a pair is doing right now."""

    IDLE = "idle"
    QUEUED = "queued"
    RUNNING = "running"
    BACKING_OFF = "backing off"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairActivity:
    """
    A pair as the daemon sees it; what the state knows of it stands in `Desk.status`.

    `since`: when the activity began. `next_at`: when the schedule starts it next, None where only hints and people do. `stage`,
    `done` and `total`: the progress of a run, `total` None where nobody knows. `failures`: runs that failed one after the other;
    `trouble`: what the last of them said, in words.
    """

    pair: str
    activity: Activity
    since: datetime
    next_at: datetime | None
    stage: str = ""
    done: int = 0
    total: int | None = None
    failures: int = 0
    trouble: str = ""


class Board(Protocol):
    """May be asked from any thread."""

    def activities(self) -> Sequence[PairActivity]:
        """Every pair of the config, in the order of the config."""
        ...

    def ask_run(self, pair: str, *, approve: str | None = None) -> None:
        """
        Run a pair as soon as a worker is free; `approve` is the approval of a refused run. Asked twice before it begins, it runs
        once. Raises SyncError for an unknown pair.
        """
        ...

    @property
    def is_ready(self) -> bool:
        """Whether the daemon has a valid config, a writable state, and is not stopping."""
        ...

    @property
    def config_problems(self) -> Sequence[str]:
        """Why the config file as it stands now is not in use, a line a mistake; empty when it is."""
        ...
