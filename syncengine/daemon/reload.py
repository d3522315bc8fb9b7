"""Noticing that the config file, or the `.env` beside it, was changed."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

_Look: TypeAlias = tuple[tuple[int, int, int] | None, ...]


class Watch:
    """
    Looks at files whenever it is asked. A change counts once two looks in a row saw the same: an editor may still be writing.

    A file that is gone is no change: many editors take it away for a moment.
    """

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self._paths = paths
        self._known = self._last = self._look()

    def has_changed(self) -> bool:
        """Whether there is something new to load; it says so once."""
        now = self._look()
        settled, self._last = now == self._last, now
        if not settled or now == self._known or now[0] is None:
            return False
        self._known = now
        return True

    def seen(self) -> None:
        """What is there now was loaded."""
        self._known = self._last = self._look()

    def _look(self) -> _Look:
        return tuple(_mark(path) for path in self._paths)


def watch_of(config: Path) -> Watch:
    """The files that a config is read from; a secret file that changes is taken with the next reload."""
    return Watch((config, config.parent / ".env"))


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
