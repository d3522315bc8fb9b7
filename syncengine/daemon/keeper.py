"""The state for what comes in from outside: one connection, lent to one thread at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from syncengine.engine.ports import Clock
from syncengine.errors import StateError
from syncengine.store.store import Store


class StateKeeper:
    """
    Opens the state when it is first needed, and lets go of it on `close`; another use opens it again.

    `path` is asked for the state file as it is now. A connection for each request would cost more than what it stores.
    """

    def __init__(self, path: Callable[[], Path], clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._opened: Path | None = None

    @contextmanager
    def __call__(self) -> Iterator[Store]:
        """The store, until the block ends; raises StateError when the state cannot be used."""
        with self._lock:
            path = self._path()
            if self._opened != path:
                self._let_go()
            if self._store is None:
                self._store, self._opened = Store.open(path, now=self._clock.now()), path
            try:
                with self._store.database.translated():
                    yield self._store
            except StateError:
                self._let_go()  # what is wrong with the file is found out anew by the next who asks
                raise

    def close(self) -> None:
        """Let go of the state."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        store, self._store, self._opened = self._store, None, None
        if store is not None:
            store.close()
