"""Once a day the state lets go of what is older than `[daemon] keep`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from syncengine.app import App
from syncengine.config import Config
from syncengine.daemon.news import Chore
from syncengine.store.compaction import compact

DAY: Final = 86_400.0
_LOOKED_EVERY: Final = 600.0
_NOTE: Final = "compacted"


class Upkeep:
    """Compacts the state when a day has gone by since it was done last, also across restarts."""

    def __init__(self, config: Callable[[], Config]) -> None:
        self._config = config

    @property
    def chore(self) -> Chore:
        return Chore(name="upkeep", every=_LOOKED_EVERY, work=self.work)

    def work(self, app: App, now: float) -> None:
        """Compact the state if it is time; raises StateError where it cannot be written."""
        last = app.store.runs.note(_NOTE)
        if last is not None and 0 <= now - float(last) < DAY:
            return
        app.store.runs.set_note(_NOTE, repr(now))
        done = compact(app.store.database, now=now, keep=self._config().daemon.keep)
        structlog.get_logger().info(
            "state.compacted", removed=dict(done.removed), before=done.before, after=done.after, why_not=done.why_not
        )
