"""
What the daemon knows and decides, under one lock: which pair runs when, who asked for it, how it went.

It starts no thread and reads the time only from the clock it was given, so that a test can live through a year in seconds.
Threads come to it: one that calls `tick`, workers that fetch jobs, the web's that ask.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import structlog

from syncengine.config import Config
from syncengine.daemon.board import PairActivity
from syncengine.daemon.news import Cause, Listener, RunEnded
from syncengine.daemon.roster import Job, Roster
from syncengine.daemon.schedule import Known, Timetable
from syncengine.daemon.workers import Fate, Result
from syncengine.engine.ports import Clock
from syncengine.errors import SyncError
from syncengine.wording import nearest


class Service:
    """
    The board of a running daemon, and the desk at which its workers fetch their jobs. May be used from any thread.

    `zone` is that of the machine, for cron lines where nothing names another. `known` by pair, and the pairs with `hints` that
    nobody has looked at, are from the state. `listeners` are told of every run that ended.
    """

    def __init__(
        self,
        config: Config,
        clock: Clock,
        *,
        zone: tzinfo,
        known: Mapping[str, Known],
        hints: Iterable[str] = (),
    ) -> None:
        self.config = config
        self.generation = 0
        self.listeners: Sequence[Listener] = ()
        self._clock, self._zone = clock, zone
        self._lock = threading.Condition()
        self._log = structlog.get_logger()
        self._roster = self._made(config, known)
        self._hinted = set(hints)
        self._referring: set[str] = set()
        self._idle: set[int] = set()
        self._last_worker: dict[str, int] = {}
        self._stopping = False
        self._state_trouble = ""
        self._config_problems: tuple[str, ...] = ()

    def _made(self, config: Config, known: Mapping[str, Known], before: Timetable | None = None) -> Roster:
        now = self._clock.now()
        zone = self._zone if config.daemon.timezone is None else ZoneInfo(config.daemon.timezone)
        timetable = Timetable(pairs=config.pairs, zone=zone, jitter=config.daemon.jitter, now=now, known=known, before=before)
        order = [spec.name for spec in config.in_order()]
        return Roster(pairs=config.pairs, order=order, timetable=timetable, changed=dict.fromkeys(config.pairs, now))

    # The board

    def activities(self) -> Sequence[PairActivity]:
        """Every pair of the config, in the order of the config."""
        with self._lock:
            return [self._activity(pair) for pair in self.config.pairs]

    def _activity(self, pair: str) -> PairActivity:
        roster, entry = self._roster, self._roster.timetable.entries[pair]
        activity, work, next_at = roster.activity(pair), roster.running.get(pair), roster.timetable.next_at(pair)
        return PairActivity(
            pair=pair,
            activity=activity,
            since=_moment(roster.changed.get(pair, self._clock.now())),
            next_at=None if next_at is None else _moment(next_at),
            stage=work.stage if work is not None else "",
            done=work.done if work is not None else 0,
            total=work.total if work is not None else None,
            failures=entry.failures,
            trouble=entry.trouble,
        )

    def ask_run(self, pair: str, *, approve: str | None = None) -> None:
        """Run a pair as soon as a worker is free. Raises SyncError for an unknown pair."""
        with self._lock:
            if pair not in self.config.pairs:
                msg = f"there is no pair {pair!r} ({nearest(pair, self.config.pairs)})"
                raise SyncError(msg)
            self._roster.ask(pair, Cause.PERSON, self._clock.now(), approve=approve)
            self._lock.notify_all()

    @property
    def is_ready(self) -> bool:
        """Whether the config is valid, the state can be written, and nobody asked to stop."""
        with self._lock:
            return not self._stopping and not self._state_trouble

    @property
    def config_problems(self) -> Sequence[str]:
        """Why the config file as it stands now is not in use."""
        with self._lock:
            return self._config_problems

    def update(self, pair: str, stage: str, done: int, total: int | None) -> None:
        """How far a run is: the progress of its App."""
        with self._lock:
            if (work := self._roster.running.get(pair)) is not None:
                work.stage, work.done, work.total = stage, done, total

    # Time and news

    def tick(self) -> None:
        """Look at the clock: what is due waits for a worker from now on."""
        with self._lock:
            now = self._clock.now()
            self._roster.tick(now)
            for pair in self._hinted:
                self._ask_look(pair, now)
            self._lock.notify_all()

    def told(self, pairs: Iterable[str]) -> None:
        """There are hints for these pairs in the state."""
        with self._lock:
            now = self._clock.now()
            for pair in pairs:
                if pair in self.config.pairs:
                    self._hinted.add(pair)
                    self._ask_look(pair, now)
            self._lock.notify_all()

    def _ask_look(self, pair: str, now: float) -> None:
        work = self._roster.running.get(pair)
        if work is None or work.job.cause is not Cause.HINT:
            self._roster.ask(pair, Cause.HINT, now)

    # Workers

    def next_job(self, worker: int, *, wait: bool = True) -> Job | None:
        """A job for this worker, when there is one; None when it should end, or at once where it is not to `wait`."""
        with self._lock:
            self._idle.add(worker)
            try:
                while not self._stopping and worker < self.config.daemon.parallel:
                    job = self._roster.take(self._clock.now(), leave=self._left_to_others(worker))
                    if job is not None:
                        self._last_worker[job.pair] = worker
                        return job
                    if not wait:
                        return None
                    self._lock.wait()
                return None
            finally:
                self._idle.discard(worker)

    def _left_to_others(self, worker: int) -> set[str]:
        """Pairs whose systems another idle worker has open already."""
        return {pair for pair, last in self._last_worker.items() if last != worker and last in self._idle}

    def ended(self, job: Job, result: Result, seconds: float) -> None:
        """A job came to its end, however."""
        with self._lock:
            now = self._clock.now()
            news = self._note(job, result, now, seconds)
            self._lock.notify_all()
        if news is None:
            return
        self._tell(news)
        for listener in self.listeners:
            try:
                listener(news)
            except Exception as bug:  # noqa: BLE001 - who listens must not end who works
                self._log.error("listener.broke", pair=news.pair, exc_info=bug)

    def _note(self, job: Job, result: Result, now: float, seconds: float) -> RunEnded | None:
        roster, pair = self._roster, job.pair
        roster.leave(pair, now)
        if pair not in roster.pairs:
            return None  # it left the config while it ran
        self._state_trouble = result.trouble if result.fate is Fate.STATE_UNUSABLE else ""
        if job.cause is Cause.HINT and result.fate is Fate.WENT_THROUGH and not result.hints_left:
            self._hinted.discard(pair)
        if result.fate is Fate.HELD_UP:
            roster.held_up(job, now)
            self._log.info("run.held_up", pair=pair, why=result.trouble)
            return None
        if result.fate is Fate.WENT_THROUGH:
            if job.is_whole or roster.timetable.entries[pair].moments is None:
                roster.timetable.ended(pair, now, full_at=result.full_at)
            self._follow_references(pair, result)
        else:
            roster.timetable.failed(pair, now, result.trouble, is_whole=job.is_whole)
        if result.report is not None:
            ends_at = result.report.doubt_ends_at
            roster.timetable.doubted(pair, now, None if ends_at is None else ends_at.timestamp(), is_whole=job.is_whole)
        if pair in self._hinted:
            self._ask_look(pair, now)
        return RunEnded(
            pair=pair,
            cause=job.cause,
            now=now,
            seconds=seconds,
            report=result.report,
            trouble=result.trouble,
            failures=roster.timetable.entries[pair].failures,
        )

    def _follow_references(self, pair: str, result: Result) -> None:
        """Records that refer to records of this pair may have waited for what it wrote."""
        if result.report is None:
            return
        self._referring.discard(pair)
        if result.report.pending.get("reference"):
            self._referring.add(pair)
        if result.report.written:
            for other in self._referring - {pair}:
                spec = self.config.pairs.get(other)
                if spec is not None and any(field.references == pair for field in spec.fields):
                    self._roster.ask(other, Cause.WAITING, self._clock.now())

    def _tell(self, news: RunEnded) -> None:
        """The line that the log has of a run."""
        log = self._log.bind(pair=news.pair, cause=news.cause.value, seconds=round(news.seconds, 3))
        if news.trouble:
            retry = self._roster.timetable.entries.get(news.pair)
            pause = None if retry is None or retry.retry_at is None else round(retry.retry_at - news.now)
            log.warning("run.failed", why=news.trouble, failures=news.failures, again_in=pause)
        elif news.report is not None:
            report = news.report
            log.info("run.ended", run=report.run, exit=report.exit.name.lower(), written=sum(report.written.values()))

    # Life

    def adopt(self, config: Config, *, known: Mapping[str, Known]) -> None:
        """Go on with another config; what runs goes on under its own, and every worker takes the new one for its next job."""
        with self._lock:
            roster = self._made(config, known, self._roster.timetable)
            roster.succeed(self._roster)
            self.config, self._roster = config, roster
            self.generation += 1
            self._hinted &= set(config.pairs)
            self._referring &= set(config.pairs)
            self._last_worker = {pair: worker for pair, worker in self._last_worker.items() if pair in config.pairs}
            self._config_problems = ()
            self._lock.notify_all()

    def reject(self, problems: Sequence[str]) -> None:
        """The config file was changed and cannot be used: say so, and go on with the one we have."""
        with self._lock:
            self._config_problems = tuple(problems)

    def stop(self) -> None:
        """Begin no more jobs; those that run are asked to end after their batch."""
        with self._lock:
            self._stopping = True
            self._lock.notify_all()

    def is_stopping(self) -> bool:
        """Asked by the engine between batches. Takes no lock: it is read in the middle of everything."""
        return self._stopping

    def running(self) -> list[str]:
        """The pairs at work."""
        with self._lock:
            return [pair for pair, work in self._roster.running.items() if work is not None]


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
