"""One daemon for each state: whoever sits in the seat says where it runs, and gets up when it leaves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, TypeAlias

from syncengine.engine.ports import Clock
from syncengine.errors import StateLocked
from syncengine.store.leases import Lease
from syncengine.store.process import is_dead, shown
from syncengine.store.store import Store

SEAT: Final = "daemon"
"""The name of the lease; those of resources hold a slash."""

_SECONDS: Final = 90.0
_RENEWED_AFTER: Final = 30.0

StoreKeeper: TypeAlias = Callable[[], AbstractContextManager[Store]]


class Seat:
    """
    The lease of the daemon itself. The resources have leases of their own, so nothing is lost should two daemons run after all.

    `holder` is unguessable, `place` says where we run.
    """

    def __init__(self, store: StoreKeeper, clock: Clock, *, holder: str, place: str) -> None:
        self._store, self._clock, self._holder, self._place = store, clock, holder, place
        self._lease: Lease | None = None
        self._renewed_at = 0.0

    def take(self) -> None:
        """Sit down. Raises StateLocked, naming whoever sits there, unless that process is known to be dead."""
        now = self._clock.now()
        with self._store() as store, store.database.transaction():
            taken = store.leases.holder_of(SEAT)
            if taken is not None and taken.until > now and taken.holder != self._holder and not is_dead(taken.place):
                msg = (
                    f"a daemon runs on this state already ({shown(taken.place)}); stop that one, or name another file with "
                    f"`state =`. If its machine is gone for good, its claim ends in {taken.until - now:.0f} seconds"
                )
                raise StateLocked(msg)
            self._lease = store.leases.acquire([SEAT], holder=self._holder, place=self._place, now=now, ttl=_SECONDS)
        self._renewed_at = now

    def keep(self) -> None:
        """Stay seated; costs nothing while there is time. Raises Fenced when another daemon sits there by now."""
        now = self._clock.now()
        if self._lease is None or 0 <= now - self._renewed_at < _RENEWED_AFTER:
            return
        with self._store() as store, store.commit(self._lease):
            store.leases.renew(self._lease, now=now, ttl=_SECONDS)
        self._renewed_at = now

    def leave(self) -> None:
        """Get up, so that the next daemon need not wait."""
        lease, self._lease = self._lease, None
        if lease is not None:
            with self._store() as store:
                store.leases.release(lease)
