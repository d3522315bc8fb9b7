"""The operator's care of the state: makes backups of it, and has it rebuilt."""

from __future__ import annotations

from sqlite3 import Connection

from syncengine.testing.simulate.ghost import Links
from syncengine.testing.simulate.process import copied, rebuild
from syncengine.testing.simulate.world import World


class Caretaker:
    """Keeps the last backup of a history's state, if one was made."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._backup: tuple[Connection, list[Links]] | None = None

    def back_up(self) -> None:
        """Make a backup, in the place of the one before."""
        self.close()
        self._backup = (copied(self._world.connection), self._world.links())
        if self._world.story is not None:
            self._world.tell("the operator makes a backup of the state")

    def rebuild(self) -> bool:
        """Have the state rebuilt, or a backup that is put back; does nothing, and says so, while a write is in doubt."""
        world, connection = self._world, self._world.connection
        if world.is_awaited or connection.execute("SELECT 1 FROM intent WHERE state NOT IN ('done', 'closed')").fetchone():
            return False
        backup, links = self._backup if self._backup is not None and world.tape.chance(0.8) else (None, world.links())
        world.counts["the state was rebuilt" if backup is None else "the state was rebuilt from a backup"] += 1
        if world.story is not None:
            world.tell(f"the operator {'puts a backup back and has it' if backup else 'has the state'} rebuilt")
        world.forget(rebuild(connection, backup), links)
        return True

    def close(self) -> None:
        """Let go of the backup."""
        if self._backup is not None:
            self._backup[0].close()
            self._backup = None
