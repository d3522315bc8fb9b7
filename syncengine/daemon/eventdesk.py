"""What people do with events that were sent: look at them, take up a refused one again, drop it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from syncengine.config import Config
from syncengine.daemon.delivery import BadEventError, document_of, event_id_of, event_of
from syncengine.daemon.ingest import EventQueue, queues
from syncengine.engine.ports import Clock
from syncengine.errors import SyncError
from syncengine.registry import Registry
from syncengine.store.events import Delivery, EventReusedError, EventRow, EventStatus
from syncengine.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """What became of a refused event that was taken up again; `why` is what is still wrong with it, if so."""

    number: int
    record: str | None
    why: str = ""


class EventDesk:
    """The events of a config's systems, in a state that is open."""

    def __init__(self, config: Config, registry: Registry, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._config = config
        self._registry = registry

    def events(self, system: str | None = None, *, refused: bool = False, limit: int = 50) -> list[EventRow]:
        """The latest deliveries, newest first. Raises SyncError for a system that is sent none."""
        if system is not None:
            self._queue(system)
        status = EventStatus.REFUSED if refused else None
        return self._store.events.recent(limit, system=system, status=status)

    def event(self, number: int) -> EventRow:
        """One delivery; raises SyncError for an unknown number."""
        row = self._store.events.get(number)
        if row is None:
            msg = f"there is no event {number}; `syncengine events list` shows the latest"
            raise SyncError(msg)
        return row

    def retry(self, numbers: Sequence[int]) -> list[Retried]:
        """
        Look at refused events again, as the config is now; one that is good is accepted as if it came this moment.

        Raises SyncError for one that is not there.
        """
        rows = [self._refused(number) for number in numbers]
        return [self._retry(row) for row in rows]

    def drop(self, numbers: Sequence[int]) -> None:
        """Forget refused events; raises SyncError, and drops none, if one of them is not there."""
        rows = [self._refused(number) for number in numbers]
        with self._store.database.transaction():
            for row in rows:
                self._store.events.drop(row.number)

    def _retry(self, row: EventRow) -> Retried:
        queue = self._queue(row.system)
        assert row.body is not None, "the schema holds that a refused event has its body"
        try:
            document = document_of(row.form, row.body)
            # What stood in a header then is in `event`, if it was any good.
            name = row.event if row.event is not None else event_id_of(queue.options, {}, document)
            found = event_of(queue.options, row.form, document, name)
        except BadEventError as bad:
            return Retried(number=row.number, record=None, why=str(bad))
        delivery = Delivery(system=row.system, event=row.event, digest=row.digest, form=row.form, at=self._clock.now())
        try:
            queue.put(self._store, delivery, found.record, found.fields)
        except EventReusedError as error:
            return Retried(number=row.number, record=None, why=str(error))
        return Retried(number=row.number, record=found.record)

    def _refused(self, number: int) -> EventRow:
        row = self.event(number)
        if row.status is not EventStatus.REFUSED:
            msg = f"event {number} was accepted; only a refused one waits (`syncengine events list --refused`)"
            raise SyncError(msg)
        return row

    def _queue(self, system: str) -> EventQueue:
        known = queues(self._config, self._registry, lambda: nullcontext(self._store), self._clock)
        if system not in known:
            names = ", ".join(sorted(known)) or "none"
            msg = f"no system {system!r} of this config is sent events; those that are: {names}"
            raise SyncError(msg)
        return known[system]
