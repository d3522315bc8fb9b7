"""The real App over a simulated world, as one process after the other opens it, and the state in memory that outlives them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from syncengine.app import App
from syncengine.config.model import Config
from syncengine.core.model import PairSpec, Side
from syncengine.engine.context import Context, Ports
from syncengine.engine.remote import Remote
from syncengine.engine.wrap import Checked, Retrying
from syncengine.errors import ConnectorError
from syncengine.store.care import take_over
from syncengine.store.database import Database
from syncengine.store.migrations import STAGING
from syncengine.store.store import Store
from syncengine.testing.simulate.connector import SimConnector
from syncengine.testing.simulate.world import World

PLACE = "simulated"
"""Where every simulated process runs."""


class SimApp(App):
    """The real App over a simulated world: one process, which may die."""

    def __init__(self, world: World, store: Store, ports: Ports, connectors: Mapping[tuple[int, Side], SimConnector]) -> None:
        pairs = {pair.setup.spec.name: pair.setup.spec for pair in world.pairs}
        config = Config(path=Path(), base=Path(), state=Path(), systems={}, pairs=pairs)
        registry: Any = None
        super().__init__(config, registry, store, ports, place=PLACE)
        self._within_reach = {
            pair.setup.spec.name: (
                pair.setup.rule,
                {
                    side: Remote(
                        side=side,
                        end=pair.setup.spec.end(side),
                        connector=Checked(Retrying(connectors[pair.number, side], world.clock)),
                        resource=pair.setup.resources[side],
                        columns=pair.setup.rule.columns(side),
                        account=pair.far[side].name,
                    )
                    for side in Side
                },
            )
            for pair in world.pairs
        }

    @property
    def holder(self) -> str:
        """The name under which it takes leases."""
        return self._holder

    def _out_of_reach(self, specs: Sequence[PairSpec]) -> dict[str, ConnectorError]:
        del specs
        return {}

    def _context(self, spec: PairSpec, *, planning: bool = False) -> Context:
        del planning
        return self._over(self.store, spec, *self._within_reach[spec.name])


_IDLE: list[sqlite3.Connection] = []


def fresh_connection() -> sqlite3.Connection:
    """
    An empty state in memory.

    A connection is used again where there is one: to make the schema, and to prepare each statement anew, costs as much as the
    history itself.
    """
    if _IDLE:
        connection = _IDLE.pop()
        _empty(connection)
        connection.execute("DELETE FROM sqlite_sequence")
        return connection
    connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=512)
    Database(connection).prepare()
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.executescript(STAGING)
    return connection


def _empty(connection: sqlite3.Connection) -> None:
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    # All others may refer to a pair; the two that stay tell which migrations were made, and how far was counted.
    for table in (*sorted({*tables, "temp.staged"} - {"pair", "_sqlite_migrations", "sqlite_sequence"}), "pair"):
        connection.execute(f"DELETE FROM {table}")


def copied(connection: sqlite3.Connection) -> sqlite3.Connection:
    """A copy of the state as it is."""
    copy = sqlite3.connect(":memory:", isolation_level=None)
    connection.backup(copy)
    return copy


def rebuild(connection: sqlite3.Connection, backup: sqlite3.Connection | None = None) -> sqlite3.Connection:
    """
    Have the state rebuilt, as `syncengine state rebuild` does it, or a `backup` that was put back; returns the state as it was.

    Runs, links and intents are counted on, so that the judges can tell them apart.
    """
    old = copied(connection)
    _empty(connection)
    take_over(Database(backup or old), Database(connection))
    return old


def give_back(connection: sqlite3.Connection) -> None:
    """Let another history have the connection."""
    if connection.in_transaction:
        connection.rollback()
    _IDLE.append(connection)
