"""
Leases: one writer per resource, with a fencing number that every commit checks.

A remote system cannot be fenced. That is why a call's deadline must be shorter than what is left of the lease.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from syncengine.errors import Fenced, StateLocked
from syncengine.store.database import Database
from syncengine.store.process import is_dead, shown


@dataclass(slots=True, kw_only=True)
class Lease:
    """
    What a run holds: resource -> fencing number; `until` in epoch seconds.

    `since` is when whoever held any of the resources before can have begun its last call at the latest, in epoch seconds.
    """

    holder: str
    epochs: dict[str, int]
    until: float
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who holds a lease, or held it last: `place` says where that runs, `until` in epoch seconds."""

    holder: str
    place: str
    until: float


class Leases:
    """The table `lease`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def acquire(self, resources: Sequence[str], *, holder: str, place: str, now: float, ttl: float) -> Lease:
        """
        Take the leases in sorted order, or none of them.

        `place` tells where the holder runs; the lease of a process that is proved dead is taken over at once. Raises StateLocked,
        naming the place of the other one.
        """
        epochs: dict[str, int] = {}
        since = 0.0
        with self._db.transaction():
            # One row a resource: the whole table is read faster than each of two rows is looked up.
            rows = {row[0]: row[1:] for row in self._db.execute("SELECT resource, holder, place, until, epoch FROM lease")}
            for resource in sorted(set(resources)):
                theirs, where, until, epoch = rows.get(resource, ("", "", 0.0, 0))
                if theirs != holder and until > now and not is_dead(where):
                    msg = (
                        f"{resource} is being synchronised by another run ({shown(where)}); wait for it to end, or, if it was "
                        f"killed, for its lease to end in {until - now:.0f} seconds"
                    )
                    raise StateLocked(msg)
                # A lease that was given back, or was not there, says nothing of its holder's last call.
                since = max(since, min(now, until) if until else now)
                epochs[resource] = epoch + 1
            self._db.executemany(
                "INSERT INTO lease (resource, holder, place, epoch, until) VALUES (?,?,?,?,?) ON CONFLICT (resource) "
                "DO UPDATE SET holder=excluded.holder, place=excluded.place, epoch=excluded.epoch, until=excluded.until",
                [(resource, holder, place, epoch, now + ttl) for resource, epoch in epochs.items()],
            )
        return Lease(holder=holder, epochs=epochs, until=now + ttl, since=since)

    def holder_of(self, resource: str) -> Claim | None:
        """Who holds the lease of a resource, or held it last."""
        row = self._db.one("SELECT holder, place, until FROM lease WHERE resource=?", (resource,))
        return None if row is None else Claim(holder=row[0], place=row[1], until=row[2])

    def confirm(self, lease: Lease) -> None:
        """Raise Fenced unless every resource is still ours; called inside every commit."""
        held = dict(self._db.execute("SELECT resource, epoch FROM lease WHERE holder=?", (lease.holder,)).fetchall())
        for resource, epoch in lease.epochs.items():
            if held.get(resource) != epoch:
                msg = f"{resource}: another run took over while this one was stalled; this run stops without committing"
                raise Fenced(msg)

    def renew(self, lease: Lease, *, now: float, ttl: float) -> None:
        """Extend the lease; inside a transaction that confirmed it."""
        self._db.executemany(
            "UPDATE lease SET until=? WHERE resource=? AND epoch=?",
            [(now + ttl, resource, epoch) for resource, epoch in lease.epochs.items()],
        )
        lease.until = now + ttl

    def release(self, lease: Lease) -> None:
        """Give the leases back; those that were taken over stay with their new holder."""
        with self._db.transaction():
            self._db.executemany(
                "UPDATE lease SET until=0 WHERE resource=? AND epoch=? AND holder=?",
                [(resource, epoch, lease.holder) for resource, epoch in lease.epochs.items()],
            )

    def free(self, holder: str) -> None:
        """Give back whatever a holder of this process left behind, whose run is known to be over."""
        with self._db.transaction():
            self._db.execute("UPDATE lease SET until=0 WHERE holder=?", (holder,))

    def break_dead(self, place: str) -> None:
        """End the leases of a place whose process is known to be dead."""
        self._db.execute("UPDATE lease SET until=0 WHERE place=?", (place,))

    def places(self, now: float) -> set[str]:
        """Where the leases that still run are held."""
        return {row[0] for row in self._db.execute("SELECT DISTINCT place FROM lease WHERE until>?", (now,))}
