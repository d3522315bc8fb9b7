"""What the daemon does beside the runs, on a thread of its own, so that long runs never keep an alert waiting."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog

from syncengine.app import App
from syncengine.daemon.news import Chore
from syncengine.engine.ports import Clock
from syncengine.errors import StateError, SyncError


class Chores:
    """
    Does each chore when its time comes. `tick` says that time went by; `do_due` does what is due, on whatever thread calls it.

    `open_app` opens an App that nobody else uses, kept from chore to chore and opened anew after trouble.
    """

    def __init__(self, chores: Sequence[Chore], open_app: Callable[[], App], clock: Clock) -> None:
        self._chores, self._open_app, self._clock = list(chores), open_app, clock
        self._due_at = {chore.name: 0.0 for chore in chores}
        self._app: App | None = None
        self._wake = threading.Event()
        self._stopping = False
        self._log = structlog.get_logger()
        self.threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin, on a thread of its own."""
        if self._chores:
            self.threads = [threading.Thread(target=self._live, name="chores", daemon=True)]
            self.threads[0].start()

    def tick(self) -> None:
        """Time went by."""
        self._wake.set()

    def stop(self) -> None:
        """Begin no more chores."""
        self._stopping = True
        self._wake.set()

    def _live(self) -> None:
        while not self._stopping:
            self._wake.wait()
            self._wake.clear()
            self.do_due()
        self.close()

    def do_due(self) -> None:
        """Do what is due by now."""
        for chore in self._chores:
            now = self._clock.now()
            # A clock that was set back must not keep a chore waiting for the time that comes again.
            if self._stopping or not (self._due_at[chore.name] <= now or self._due_at[chore.name] > now + chore.every):
                continue
            self._due_at[chore.name] = now + chore.every
            self._do(chore, now)

    def _do(self, chore: Chore, now: float) -> None:
        try:
            if self._app is None:
                self._app = self._open_app()
            with self._app.store.database.translated():
                chore.work(self._app, now)
        except SyncError as error:
            self._log.warning("chore.failed", chore=chore.name, why=str(error))
            if isinstance(error, StateError):
                self.close()
        except Exception as bug:  # noqa: BLE001 - one chore that breaks must not end the others
            self._log.error("chore.broke", chore=chore.name, exc_info=bug)
            self.close()

    def close(self) -> None:
        """Let go of the state."""
        app, self._app = self._app, None
        if app is not None:
            with suppress(StateError, sqlite3.Error):
                app.close()
