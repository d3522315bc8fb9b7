"""
A desk for the web's threads: one connection to the state, used by one of them at a time.

A connection per request would cost more than the page (opening for writing takes 7 ms, a page 1 to 3), and on a large state
each of them would begin with the daily check of its pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

from syncengine.app.desk import Desk
from syncengine.config import Config
from syncengine.daemon.keeper import StateKeeper
from syncengine.engine.ports import Clock
from syncengine.engine.report import RunLine
from syncengine.store.store import Store

Desks: TypeAlias = Callable[[], AbstractContextManager[Desk]]
"""Gives a desk for the length of a block; may be called from any thread."""


class SharedDesk:
    """
    Opens the state when it is first needed, and lets go of it on `close`; another use opens it again.

    `config` is asked for the config as it is now, so that a reloaded one shows at once.
    """

    def __init__(self, config: Callable[[], Config], clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._keeper = StateKeeper(lambda: config().state, clock)
        self._counted: dict[str, tuple[RunLine | None, int]] = {}
        self._counted_in: Store | None = None

    @contextmanager
    def __call__(self) -> Iterator[Desk]:
        """The desk, until the block ends; raises StateError when the state cannot be used."""
        with self._keeper() as store:
            if store is not self._counted_in:
                self._counted.clear()
                self._counted_in = store
            yield Desk(self._config(), store, self._clock, counted=self._counted)
            store.database.advance()

    def close(self) -> None:
        """Let go of the state."""
        self._keeper.close()
