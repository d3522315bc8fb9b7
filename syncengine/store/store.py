"""The store as the engine sees it: parts by subject, one transaction across them, fenced by the lease of the run."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from syncengine.store.alerts import Alerts
from syncengine.store.database import CommitHook, Database, Transaction
from syncengine.store.events import Events
from syncengine.store.hints import Hints
from syncengine.store.identity import Access
from syncengine.store.inbox import Inbox
from syncengine.store.journal import Journal
from syncengine.store.leases import Lease, Leases
from syncengine.store.links import Links
from syncengine.store.opening import PATIENCE, open_file
from syncengine.store.records import Records
from syncengine.store.runs import Runs
from syncengine.store.staging import Staging


class Store:
    """Everything the engine remembers; used by one thread."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.staging = Staging(database)
        self.records = Records(database)
        self.links = Links(database)
        self.journal = Journal(database)
        self.inbox = Inbox(database)
        self.runs = Runs(database)
        self.leases = Leases(database)
        self.hints = Hints(database)
        self.events = Events(database)
        self.alerts = Alerts(database)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        now: float,
        access: Access = Access.WRITE,
        on_commit: CommitHook | None = None,
        patience: float = PATIENCE,
    ) -> Store:
        """Open or make the state file; see `open_file`. Raises StateError when it cannot be trusted or used."""
        return cls(open_file(path, now=now, access=access, on_commit=on_commit, patience=patience))

    @classmethod
    def memory(cls, *, on_commit: CommitHook | None = None) -> Store:
        """A store that nothing outlives."""
        return cls(Database.memory(on_commit=on_commit))

    def commit(self, lease: Lease) -> Transaction:
        """One atomic change, made only while the lease is ours (raises Fenced)."""
        return self.database.transaction(partial(self.leases.confirm, lease))

    def close(self) -> None:
        self.database.close()
