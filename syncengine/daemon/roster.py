"""
Which pair runs now and which waits. Pure, as the timetable: the service asks it under its lock.

A pair never runs twice at once; pairs on one resource take turns. What asks for a run of a pair that waits already joins it.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from syncengine.core.model import End, PairSpec, Side
from syncengine.daemon.board import Activity
from syncengine.daemon.news import Cause
from syncengine.daemon.schedule import Timetable

_GRAVITY: Final = (Cause.PERSON, Cause.SCHEDULE, Cause.HINT, Cause.WAITING)
"""The first of them names a run that several ask for."""

_WHOLE: Final = frozenset({Cause.PERSON, Cause.SCHEDULE})
"""Runs over the whole pair; the others look at single records."""


@dataclass(slots=True, kw_only=True)
class Job:
    """A run of one pair that was asked for. `again`: its systems were opened for it already, and are still."""

    pair: str
    cause: Cause
    since: float
    approve: str | None = None
    again: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether it covers the pair, and not only some records."""
        return self.cause in _WHOLE


@dataclass(slots=True, kw_only=True)
class Work:
    """A pair at work: its job, the resources that it has for itself, when it began, and how far it is."""

    job: Job
    ends: frozenset[End]
    began: float
    stage: str = ""
    done: int = 0
    total: int | None = None


@dataclass(slots=True, kw_only=True)
class Roster:
    """The jobs of one config. `order`: pairs that others refer to come first."""

    pairs: Mapping[str, PairSpec]
    order: Sequence[str]
    timetable: Timetable
    ready: dict[str, list[Job]] = field(default_factory=dict)
    running: dict[str, Work] = field(default_factory=dict)
    changed: dict[str, float] = field(default_factory=dict)
    """Since when each pair does what it does."""

    def tick(self, now: float) -> None:
        """Note which pairs are due."""
        for pair in self.timetable.due(now):
            self.ask(pair, Cause.SCHEDULE, now)

    def ask(self, pair: str, cause: Cause, now: float, *, approve: str | None = None) -> Job:
        """Ask for a run; returns the job. One whole run answers all who asked for one before it began."""
        waiting = self.ready.setdefault(pair, [])
        for job in waiting:
            if job.is_whole == (cause in _WHOLE):
                job.cause = min(job.cause, cause, key=_GRAVITY.index)
                job.approve = approve or job.approve
                return job
        if not waiting and pair not in self.running:
            self.changed[pair] = now
        asked = Job(pair=pair, cause=cause, since=now, approve=approve)
        waiting.append(asked)
        waiting.sort(key=lambda job: _GRAVITY.index(job.cause))
        return asked

    def take(self, now: float, *, leave: Container[str] = ()) -> Job | None:
        """The next job that can begin; it runs from then on. `leave`: pairs that somebody else is about to take."""
        held = {end for work in self.running.values() for end in work.ends}
        for pair in sorted((pair for pair, jobs in self.ready.items() if jobs), key=self._rank):
            if pair in self.running or pair in leave or not held.isdisjoint(self._ends(pair)):
                continue
            found = next((job for job in self.ready[pair] if self._may_begin(job, now)), None)
            if found is None:
                continue
            self.ready[pair].remove(found)
            self.running[pair] = Work(job=found, ends=self._ends(pair), began=now)
            self.changed[pair] = now
            if found.is_whole:
                self.timetable.started(pair, now)
            return found
        return None

    def _rank(self, pair: str) -> tuple[int, float, int]:
        """People first; then who has waited longest; of those, referenced pairs first."""
        first = self.ready[pair][0]
        return int(first.cause is not Cause.PERSON), first.since, self.order.index(pair)

    def _may_begin(self, job: Job, now: float) -> bool:
        """A pair that failed, or is held up, is left alone until its time has come, save by people."""
        retry_at = self.timetable.entries[job.pair].retry_at
        return retry_at is None or retry_at <= now or (job.cause is Cause.PERSON and not job.again)

    def held_up(self, job: Job, now: float) -> None:
        """Its resources are held by another process: the same job waits again."""
        self.timetable.held_up(job.pair, now)
        self.leave(job.pair, now)
        self.ask(job.pair, job.cause, now, approve=job.approve).again = True

    def leave(self, pair: str, now: float) -> None:
        """A pair is at work no longer."""
        self.running.pop(pair, None)
        self.changed[pair] = now

    def succeed(self, old: Roster) -> None:
        """Take over from the roster of an older config: what runs goes on, what was asked of pairs that are still there too."""
        self.running = old.running
        self.ready = {pair: jobs for pair, jobs in old.ready.items() if pair in self.pairs}
        self.changed = {pair: at for pair, at in old.changed.items() if pair in self.pairs}

    def activity(self, pair: str) -> Activity:
        """What a pair is doing."""
        if pair in self.running:
            return Activity.RUNNING
        waiting = self.ready.get(pair)
        if self.timetable.entries[pair].is_backing_off and not any(job.cause is Cause.PERSON for job in waiting or ()):
            return Activity.BACKING_OFF
        return Activity.QUEUED if waiting else Activity.IDLE

    def _ends(self, pair: str) -> frozenset[End]:
        return frozenset(self.pairs[pair].end(side) for side in Side)
