"""
`GET /metrics`: what the daemon did and how its pairs are, for Prometheus.

What happened is counted as it happens; how things stand is read from the state when somebody asks. Labels are names of the config
and words of our own, never data of records, so their number is bounded by the config.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final, TypeAlias
from weakref import WeakSet

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from syncengine import __version__
from syncengine.config import Config
from syncengine.core.decision import Wait
from syncengine.core.model import Side
from syncengine.daemon.board import Activity, Board
from syncengine.daemon.events import EventsOptions
from syncengine.daemon.news import RunEnded
from syncengine.engine.pacing import Allowance
from syncengine.engine.ports import Clock
from syncengine.engine.report import Exit
from syncengine.errors import StateError
from syncengine.registry import Registry
from syncengine.store.store import Store

_RUN_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0)
_CALL_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_WENT_THROUGH: Final = (Exit.DONE, Exit.PARTIAL)

StoreKeeper: TypeAlias = Callable[[], AbstractContextManager[Store]]


class Metrics:
    """
    Counts what it is told; a registry of its own. It is the watcher of every App's calls, and hears of every run.

    All may be called from any thread.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._allowances: dict[str, WeakSet[Allowance]] = {}
        self._lock = threading.Lock()
        self._runs = Counter("syncengine_runs", "Runs that ended.", ["pair", "cause", "outcome"], registry=self.registry)
        self._run_seconds = Histogram(
            "syncengine_run_duration_seconds", "How long runs took.", ["pair"], buckets=_RUN_SECONDS, registry=self.registry
        )
        self._records = Counter(
            "syncengine_records", "Records read, by what became of them.", ["pair", "side", "bucket"], registry=self.registry
        )
        self._writes = Counter("syncengine_writes", "Changes written.", ["pair", "side", "operation"], registry=self.registry)
        self._failures = Counter("syncengine_write_failures", "Changes that failed.", ["pair"], registry=self.registry)
        self._calls = Counter(
            "syncengine_calls", "Calls to a system; status is ok, or the kind of error.", ["system", "call", "status"],
            registry=self.registry,
        )  # fmt: skip
        self._call_seconds = Histogram(
            "syncengine_call_duration_seconds", "How long calls to a system took.", ["system", "call"], buckets=_CALL_SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self._events = Counter(
            "syncengine_events", "Events sent to us, by HTTP status.", ["system", "status"], registry=self.registry
        )
        ProcessCollector(registry=self.registry)

    def ended(self, news: RunEnded) -> None:
        """A run ended."""
        report = news.report
        outcome = "failed" if report is None else report.exit.name.lower()
        self._runs.labels(news.pair, news.cause.value, outcome).inc()
        self._run_seconds.labels(news.pair).observe(news.seconds)
        if report is None:
            return
        for side, buckets in report.buckets.items():
            for bucket, count in buckets.items():
                self._records.labels(news.pair, side, bucket).inc(count)
        for kind, count in report.written.items():
            side, _, operation = kind.partition(".")
            self._writes.labels(news.pair, side, operation).inc(count)
        self._failures.labels(news.pair).inc(len(report.failed))

    def called(self, system: str, call: str, status: str, seconds: float) -> None:
        """A call to a system ended."""
        self._calls.labels(system, call, status).inc()
        self._call_seconds.labels(system, call).observe(seconds)

    def allowed(self, system: str, allowance: Allowance) -> None:
        """An App has this allowance of calls; it is forgotten with its App."""
        with self._lock:
            self._allowances.setdefault(system, WeakSet()).add(allowance)

    def received(self, system: str, status: int) -> None:
        """An event was answered."""
        self._events.labels(system, str(status)).inc()

    def allowances(self) -> Mapping[str, Sequence[Allowance]]:
        """What the Apps at work may call, by system."""
        with self._lock:
            found = {system: [*known] for system, known in self._allowances.items()}
        return {system: known for system, known in found.items() if known}


class Standing:
    """
    How the pairs stand, as gauges: read from the state and the board whenever somebody asks.

    `config` is asked for the config as it is now. A state that cannot be read shows as `syncengine_state_up 0`.
    """

    def __init__(
        self, config: Callable[[], Config], registry: Registry, board: Board, store: StoreKeeper, clock: Clock, metrics: Metrics
    ) -> None:
        self._config = config
        self._registry = registry
        self._board = board
        self._store = store
        self._clock = clock
        self._metrics = metrics

    def describe(self) -> Sequence[Metric]:
        """Nothing beforehand: prometheus_client would read the state to find the names out."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every gauge."""
        info = _gauge("syncengine_info", "The version of syncengine.", ["version"])
        info.add_metric([__version__], 1)
        yield info
        yield from self._activities()
        yield from self._quota()
        up = _gauge("syncengine_state_up", "Whether the state can be used.", [])
        try:
            gauges = self._of_state()
        except StateError as error:
            structlog.get_logger().warning("metrics.incomplete", why=str(error))
            gauges = []
        up.add_metric([], int(bool(gauges)))
        yield up
        yield from gauges

    def _activities(self) -> Iterator[Metric]:
        running = _gauge("syncengine_pair_running", "Whether a pair runs right now.", ["pair"])
        failures = _gauge("syncengine_pair_failures_in_a_row", "Runs that failed one after the other.", ["pair"])
        due = _gauge("syncengine_pair_next_run_timestamp_seconds", "When the schedule starts a pair next.", ["pair"])
        for activity in self._board.activities():
            running.add_metric([activity.pair], int(activity.activity is Activity.RUNNING))
            failures.add_metric([activity.pair], activity.failures)
            if activity.next_at is not None:
                due.add_metric([activity.pair], activity.next_at.timestamp())
        yield from (running, failures, due)

    def _quota(self) -> Iterator[Metric]:
        """Both limits on calls: those of one run, and those a second."""
        used = _gauge("syncengine_quota_used_calls", "Calls of the run that has made the most of them so far.", ["system"])
        most = _gauge("syncengine_quota_calls", "How many calls a run may make (max_calls).", ["system"])
        rate = _gauge("syncengine_call_rate_limit", "Calls a second as they may be made now.", ["system"])
        for system, allowances in self._metrics.allowances().items():
            used.add_metric([system], max(each.calls for each in allowances))
            rate.add_metric([system], max(each.rate for each in allowances))
            limits = [each.most for each in allowances if each.most is not None]
            if limits:
                most.add_metric([system], max(limits))
        yield from (used, most, rate)

    def _of_state(self) -> list[Metric]:
        config, now = self._config(), self._clock.now()
        with self._store() as store:
            return [*self._of_pairs(config, store, now), *self._of_events(config, store, now)]

    def _of_pairs(self, config: Config, store: Store, now: float) -> Sequence[Metric]:
        backlog = _gauge("syncengine_waiting_records", "Records that wait, by reason.", ["pair", "reason"])
        parked = _gauge("syncengine_quarantined_records", "Records in quarantine.", ["pair"])
        asked = _gauge("syncengine_open_conflicts", "Questions in the inbox.", ["pair"])
        hinted = _gauge("syncengine_hints_waiting", "Records that a hint named and no run has looked at.", ["pair"])
        fresh = _gauge("syncengine_freshness_seconds", "Since the latest run began that went through.", ["pair"])
        doubtful = _gauge("syncengine_writes_in_doubt", "Writes whose outcome is not proved.", ["pair"])
        hints = store.hints.counts()
        for name in config.pairs:
            hinted.add_metric([name], hints.get(name, 0))
            state = store.runs.find_pair(name)
            if state is None:
                continue
            waiting = store.records.waiting(state.number)
            for reason in Wait:
                backlog.add_metric([name, reason.value], waiting.get(reason.value, 0))
            parked.add_metric([name], waiting.get(Wait.QUARANTINED.value, 0))
            asked.add_metric([name], store.inbox.count(state.number))
            doubtful.add_metric([name], len(store.journal.unresolved(state.number)))
            began = store.runs.fresh_at(state.number, _WENT_THROUGH)
            if began is not None:
                fresh.add_metric([name], max(0.0, now - began))
        return backlog, parked, asked, hinted, fresh, doubtful

    def _of_events(self, config: Config, store: Store, now: float) -> Sequence[Metric]:
        unread = _gauge("syncengine_events_unread", "Records of events that a pair has not read yet.", ["system", "pair"])
        oldest = _gauge("syncengine_events_oldest_unread_seconds", "Since the oldest of them changed.", ["system", "pair"])
        refused = _gauge("syncengine_events_refused", "Bad events that are kept for inspection.", ["system"])
        counts = store.events.refused()
        for name, system in config.systems.items():
            if not issubclass(self._registry.load(system.connector).options, EventsOptions):
                continue
            refused.add_metric([name], counts.get(name, 0))
            for spec in config.pairs.values():
                for side in Side:
                    if spec.end(side).system == name:
                        state = store.runs.find_pair(spec.name)
                        cursor = state.cursors[side] if state is not None else None
                        count, since = store.events.changed_since(name, int(cursor or 0))
                        unread.add_metric([name, spec.name], count)
                        oldest.add_metric([name, spec.name], max(0.0, now - since) if since is not None else 0.0)
        return unread, oldest, refused


def _gauge(name: str, about: str, labels: Sequence[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, about, labels=labels)


def metrics_route(registry: CollectorRegistry) -> Route:
    """The route; it reads the state, so it belongs behind the door of the pages."""

    def encoded(accept: str) -> tuple[bytes, str]:
        encoder, kind = choose_encoder(accept)
        return encoder(registry), kind

    async def metrics(request: Request) -> Response:
        body, kind = await run_in_threadpool(encoded, request.headers.get("accept", ""))
        return Response(body, headers={"content-type": kind})

    return Route("/metrics", metrics, methods=["GET"])
