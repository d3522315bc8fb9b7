"""
Doing the jobs: each worker has an App of its own, which it keeps warm from run to run.

A run of the whole pair opens its systems anew, so that it sees their schema as it is by now; one that looks at single records
takes them as they are, because people wait for it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Final

import structlog

from syncengine.app import App
from syncengine.core.model import Side
from syncengine.daemon.news import Cause
from syncengine.daemon.roster import Job
from syncengine.daemon.schedule import Known
from syncengine.engine.report import Exit, RunReport
from syncengine.errors import StateError, StateLocked, SyncError
from syncengine.store.runs import PairState
from syncengine.store.store import Store

_AT_ONCE: Final = 500
"""Records that one run looks at because of hints; more are left to the next, so that each run is short."""


class Fate(Enum):
    """How a job ended."""

    WENT_THROUGH = "went through"
    FAILED = "failed"
    HELD_UP = "held up"
    STATE_UNUSABLE = "state unusable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """
    What became of a job. `full_at`: when both sides were last read whole, epoch seconds. `hints_left`: whether records are still
    to be looked at.
    """

    fate: Fate
    report: RunReport | None = None
    trouble: str = ""
    full_at: float | None = None
    hints_left: bool = False


class Worker:
    """
    Does one job at a time, on one thread. `open_app` opens an App that nobody else uses, and that asks `stop` too.

    `left_behind` is shared by all workers: the holders of leases that could not be given back, as the state was in trouble.
    """

    def __init__(self, open_app: Callable[[], App], stop: Callable[[], bool], left_behind: set[str]) -> None:
        self._open_app = open_app
        self._stop = stop
        self._left_behind = left_behind
        self._app: App | None = None
        self._log = structlog.get_logger()

    def perform(self, job: Job) -> Result:
        """Run a pair as its job says. Raises nothing: whatever goes wrong is in the result."""
        try:
            app = self._opened()
            if job.is_whole and not job.again:
                app.renew()
            return self._run(app, job)
        except StateLocked as error:
            self._give_back()
            return Result(fate=Fate.HELD_UP, trouble=str(error))
        except StateError as error:
            # The file may have been replaced, or its disk cleared: the next job opens it anew.
            self._abandon()
            return Result(fate=Fate.STATE_UNUSABLE, trouble=str(error))
        except SyncError as error:
            self._abandon()
            return Result(fate=Fate.FAILED, trouble=str(error))
        except Exception as bug:  # noqa: BLE001 - a connector may break in any way; the other pairs go on
            trouble = self._explained(bug)
            self._abandon()
            return Result(fate=Fate.FAILED if trouble is None else Fate.STATE_UNUSABLE, trouble=trouble or _named(bug))

    def _run(self, app: App, job: Job) -> Result:
        report: RunReport | None
        if job.cause is Cause.HINT:
            return self._look(app, job)
        if job.cause is Cause.WAITING:
            report = app.look_again(job.pair)
            if report is None:
                return Result(fate=Fate.WENT_THROUGH)
        else:
            began = app.now()
            [report] = app.sync(job.pair, approve=job.approve)
            if report.exit is not Exit.FAILED and not self._stop():
                note_scheduled(app.store, job.pair, began)
        return self._result(app, job.pair, report)

    def _look(self, app: App, job: Job) -> Result:
        hints = app.store.hints.waiting(job.pair, limit=_AT_ONCE)
        ids = {side: [hint.record for hint in hints if hint.side is side] for side in Side}
        if not hints:
            return Result(fate=Fate.WENT_THROUGH)
        report = app.look_at(job.pair, ids)
        result = self._result(app, job.pair, report)
        # A run that was asked to stop may not have looked at all of them.
        if result.fate is Fate.WENT_THROUGH and not self._stop():
            app.store.hints.settle(hints)
        left = bool(app.store.hints.waiting(job.pair, limit=1))
        return Result(fate=result.fate, report=report, trouble=result.trouble, full_at=result.full_at, hints_left=left)

    def _result(self, app: App, pair: str, report: RunReport) -> Result:
        state = app.store.runs.find_pair(pair)
        full_at = None if state is None else whole_at(state)
        if report.exit is Exit.FAILED:
            return Result(fate=Fate.FAILED, report=report, trouble=report.error, full_at=full_at)
        return Result(fate=Fate.WENT_THROUGH, report=report, full_at=full_at)

    def _explained(self, bug: Exception) -> str | None:
        """What the state file's disk is to blame for, in words; anything else is a bug, and logged as one."""
        if isinstance(bug, sqlite3.Error) and self._app is not None:
            explained = self._app.store.database.explained(bug)
            if explained is not None:
                return str(explained)
        self._log.error("run.broke", exc_info=bug)
        return None

    def _opened(self) -> App:
        if self._app is None:
            self._app = self._open_app()
        for holder in list(self._left_behind):
            self._app.store.leases.free(holder)
            self._left_behind.discard(holder)
        return self._app

    def _give_back(self) -> None:
        """A run that broke off may hold leases still, which would hold its pair up until they end."""
        if self._app is not None:
            self._left_behind.add(self._app.renounce())

    def _abandon(self) -> None:
        """Let go of an App that may be in trouble."""
        self._give_back()
        self.close()

    def close(self) -> None:
        """Close the App; what it cannot note any more about a disk in trouble, it finds out at the next start."""
        app, self._app = self._app, None
        if app is not None:
            with suppress(StateError, sqlite3.Error):
                app.close()


def _named(bug: Exception) -> str:
    """A bug as people are told of it: its text may quote values, its name does not."""
    return f"a bug in syncengine or in a connector ({type(bug).__name__}); the log has the traceback"


def note_scheduled(store: Store, pair: str, began: float) -> None:
    """Remember when the whole pair was last run: a restart neither repeats it nor drops what came due since."""
    store.runs.set_note(f"scheduled:{pair}", repr(began))


def known_of(store: Store, pairs: Iterable[str]) -> dict[str, Known]:
    """What the state knows of these pairs."""
    known = {}
    for pair in pairs:
        last, state = store.runs.note(f"scheduled:{pair}"), store.runs.find_pair(pair)
        known[pair] = Known(
            last=None if last is None else float(last),
            full_at=None if state is None else whole_at(state),
            in_doubt=state is not None and store.journal.is_in_doubt(state.number),
        )
    return known


def whole_at(state: PairState) -> float | None:
    """When both sides had last been read whole; None while one never was."""
    moments = [at for at in state.full_at.values() if at is not None]
    return min(moments) if len(moments) == len(state.full_at) else None
