"""
The life of a daemon: its threads, what it does at each tick, reloading, and an end in good order.

    main        signals; starts and stops everything else
    scheduler   APScheduler, which calls `tick` once a second and decides nothing
    workers     a pair each
    chores      what is done beside the runs
    web         uvicorn
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import Final

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from syncengine.app import App
from syncengine.config import Config
from syncengine.daemon.chores import Chores
from syncengine.daemon.keeper import StateKeeper
from syncengine.daemon.parts import Parts
from syncengine.daemon.reload import watch_of
from syncengine.daemon.seat import Seat
from syncengine.daemon.server import WebServer, bound
from syncengine.daemon.service import Service
from syncengine.daemon.systemd import Systemd
from syncengine.daemon.workers import Worker, known_of
from syncengine.engine.context import Progress
from syncengine.engine.ports import Clock, Tokens
from syncengine.engine.wrap import Watcher
from syncengine.errors import ConfigError, Fenced, Problem, StateError, SyncError
from syncengine.registry import Registry
from syncengine.store.process import this_place

_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_TICK: Final = 1.0
_LOOK: Final = 0.5
"""How often the main thread looks whether it should stop for a reason of our own, in seconds."""

AppOpener = Callable[[Config, Progress, Callable[[], bool], Watcher], App]


class Daemon:
    """
    Keeps the pairs of a config the same until it is told to stop.

    `load` reads the config anew, with whatever the command line put over it; `open_app` opens an App on a config that shows its
    progress, asks whether to stop, and tells a watcher of its calls. `zone` is that of the machine. Raises StateLocked where a
    daemon runs on the state already.
    """

    def __init__(
        self,
        config: Config,
        *,
        load: Callable[[], Config],
        registry: Registry,
        clock: Clock,
        tokens: Tokens,
        zone: tzinfo,
        open_app: AppOpener,
        environ: Mapping[str, str],
    ) -> None:
        self._load, self._clock, self._open_app = load, clock, open_app
        self._log = structlog.get_logger()
        self._keeper = StateKeeper(lambda: config.state, clock)  # a reload never changes it
        self._seat = Seat(self._keeper, clock, holder=tokens.token(), place=this_place())
        self._seat.take()
        try:
            with self._keeper() as store:
                known, hints = known_of(store, config.pairs), store.hints.counts()
            self._service = Service(config, clock, zone=zone, known=known, hints=hints)
            self._parts = Parts(config, registry, self._service, self._keeper, clock, tokens)
        except BaseException:
            self._leave()
            raise
        self._service.listeners = self._parts.listeners
        self._chores = Chores(self._parts.chores, lambda: self._app(self._service.config), clock)
        self._watch = watch_of(config.path)
        self._systemd = Systemd(environ)
        self._workers: list[threading.Thread] = []
        self._left_behind: set[str] = set()
        self._web: WebServer | None = None
        self._reload_asked = False
        self._reason = ""
        self._failed = False
        # It starts no second tick while one is under way, and one after a stall, however long that was.
        self._scheduler = BackgroundScheduler(
            timezone="UTC", job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        )

    def _app(self, config: Config) -> App:
        return self._open_app(config, self._service, self._service.is_stopping, self._parts.metrics)

    # From start to end

    def run(self, ready: Callable[[str], None]) -> int:
        """Live; `ready` is called with the address of the pages, or nothing, once everything works. Returns the exit code."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # threads inherit it: signals come to nobody but `_wait`
        try:
            self._start()
        except BaseException:
            self._parts.close()
            self._leave()
            raise
        ready(f"http://{self._web.address}/" if self._web is not None else "")
        self._systemd.ready()
        self._wait()
        return self._stop()

    def _start(self) -> None:
        config = self._service.config
        if config.daemon.web:
            listening = bound(config.daemon.listen)
            self._web = WebServer(self._parts.app, listening)
            self._web.start()
        self._hire()
        self._chores.start()
        # That a tick is skipped while one takes long is as it should be, and no news.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler.add_job(self.tick, "interval", seconds=_TICK)
        self._scheduler.start()
        self.tick()

    def _hire(self) -> None:
        """As many workers as the config says; those that are too many by now leave on their own."""
        self._workers = [thread for thread in self._workers if thread.is_alive()]
        names = {thread.name for thread in self._workers}
        for number in range(self._service.config.daemon.parallel):
            if f"worker-{number}" not in names:
                thread = threading.Thread(target=self._work, args=(number,), name=f"worker-{number}", daemon=True)
                thread.start()
                self._workers.append(thread)

    def _work(self, number: int) -> None:
        worker: Worker | None = None
        generation = -1
        try:
            while (job := self._service.next_job(number)) is not None:
                if worker is None or generation != self._service.generation:
                    if worker is not None:
                        worker.close()
                    generation, config = self._service.generation, self._service.config
                    worker = Worker(lambda config=config: self._app(config), self._service.is_stopping, self._left_behind)  # type: ignore[misc]
                began = self._clock.monotonic()
                result = worker.perform(job)
                self._service.ended(job, result, self._clock.monotonic() - began)
        except Exception as bug:  # noqa: BLE001 - a daemon without its workers is better started anew than left standing
            self._log.error("worker.broke", exc_info=bug)
            self._end("a worker broke down, which is a bug in syncengine")
        finally:
            if worker is not None:
                worker.close()

    def _wait(self) -> None:
        """Until somebody asks to stop."""
        while not self._reason:
            told = signal.sigtimedwait(_SIGNALS, _LOOK)
            if told is not None and told.si_signo == signal.SIGHUP:
                self._reload_asked = True
            elif told is not None:
                self._reason = signal.Signals(told.si_signo).name

    def _stop(self) -> int:
        within = self._service.config.daemon.stop_within
        until = self._clock.monotonic() + within
        self._log.info("daemon.stopping", why=self._reason, running=self._service.running(), within=within)
        self._systemd.stopping(within)
        self._scheduler.shutdown(wait=False)
        if self._web is not None:
            self._web.leave()
        self._service.stop()
        self._chores.stop()
        is_late = not self._all_left(until)
        if self._web is not None:
            self._web.stop()
        self._parts.close()
        self._leave()
        if is_late:
            # What a run leaves open, the next one resolves: ending here loses nothing. Python itself would wait for the thread.
            self._log.warning("daemon.stopped_late", running=self._service.running(), within=within)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(1)
        self._log.info("daemon.stopped")
        return int(self._failed)

    def _leave(self) -> None:
        """Give the state back."""
        try:
            self._seat.leave()
            self._keeper.close()
        except StateError as error:
            self._log.warning("daemon.left_untidily", why=str(error))

    def _all_left(self, until: float) -> bool:
        """Wait for the threads; a second signal ends the process at once."""
        threads = [*self._workers, *self._chores.threads]
        while any(thread.is_alive() for thread in threads):
            if self._clock.monotonic() >= until:
                return False
            told = signal.sigtimedwait(_SIGNALS, 0.02)
            if told is not None and told.si_signo != signal.SIGHUP:
                signal.signal(told.si_signo, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
                os.kill(os.getpid(), told.si_signo)
        return True

    # Once a second

    def tick(self) -> None:
        """Whatever has to do with the time of day. A tick that breaks is not told to the watchdog, which then starts us anew."""
        try:
            self._tick()
        except Exception as bug:  # noqa: BLE001 - APScheduler would say no more than that something broke
            self._log.error("tick.broke", exc_info=bug)

    def _tick(self) -> None:
        try:
            self._seat.keep()
        except Fenced:
            self._end("another daemon took over the state while this one was stalled")
            return
        except StateError as error:
            self._log.warning("state.unusable", why=str(error))
        if self._web is not None and not self._web.is_serving:
            self._end("the web server ended by itself")
            return
        if self._watch.has_changed() or self._reload_asked:
            self._reload_asked = False
            self._reload()
        self._service.tick()
        self._chores.tick()
        self._parts.pulse.beat()
        self._systemd.alive()

    def _end(self, reason: str) -> None:
        self._log.error("daemon.ended", why=reason)
        self._failed, self._reason = True, reason

    # Reloading

    def _reload(self) -> None:
        self._systemd.reloading(self._clock.monotonic())
        self._watch.seen()
        try:
            self._take(self._load())
        except ConfigError as error:
            problems = [str(problem) for problem in error.problems]
            self._service.reject(problems)
            self._log.error("config.refused", problems=problems, cure="the old one stays in use; correct the file")
        except SyncError as error:
            self._service.reject([str(error)])
            self._log.error("config.refused", problems=[str(error)], cure="the old one stays in use")
        finally:
            self._systemd.ready()

    def _take(self, config: Config) -> None:
        """Go on with another config, or raise and leave everything as it was."""
        old = self._service.config
        if config.state != old.state:
            cure = "restart the daemon to use another state"
            raise ConfigError([Problem(place="state", wrong="the state cannot change while the daemon runs on it", cure=cure)])
        moved = (config.daemon.web, config.daemon.listen) != (old.daemon.web, old.daemon.listen)
        listening = bound(config.daemon.listen) if moved and config.daemon.web else None
        try:
            prepared = self._parts.prepared(config)
            with self._keeper() as store:
                known = known_of(store, config.pairs)
                store.hints.keep_only(list(config.pairs))
        except BaseException:
            if listening is not None:
                listening.close()
            raise
        self._service.adopt(config, known=known)
        self._parts.take(prepared)
        self._hire()
        if moved:
            if self._web is not None:
                self._web.stop()
            self._web = WebServer(self._parts.app, listening) if listening is not None else None
            if self._web is not None:
                self._web.start()
        self._log.info("config.reloaded", pairs=list(config.pairs))
