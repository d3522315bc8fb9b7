"""
`GET /healthz`: the process lives and its clock ticks; restart it if not. `GET /readyz`: it can do its work; send it none if not.

Both are for machines that ask often and without a login, so they tell nothing but the state of health.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, TypeAlias

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from syncengine.daemon.board import Board
from syncengine.daemon.jsonline import JsonLine
from syncengine.engine.ports import Clock
from syncengine.errors import StateError, StateLocked
from syncengine.store.store import Store

LATE: Final = 60.0
"""Seconds without a tick, which comes every second, after which the process is taken to hang."""

_LEAST_ROOM: Final = 1024 * 1024
"""Bytes without which the next commit may not fit on the disk."""

StoreKeeper: TypeAlias = Callable[[], AbstractContextManager[Store]]


class Pulse:
    """When the daemon last ticked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at = clock.monotonic()

    def beat(self) -> None:
        """A tick."""
        self._at = self._clock.monotonic()

    @property
    def age(self) -> float:
        """Seconds since the last tick."""
        return self._clock.monotonic() - self._at


def trouble_with(store: StoreKeeper) -> str:
    """Why nothing can be written to the state; empty where it can. A commit of somebody else that takes long is no trouble."""
    try:
        with store() as opened:
            database = opened.database
            with database.transaction():
                pass  # takes the lock that every write needs
            if database.path is not None:
                disk = os.statvfs(database.path)
                if disk.f_bavail * disk.f_frsize < _LEAST_ROOM:
                    return "the disk of the state is full"
    except StateLocked:
        return ""
    except (StateError, sqlite3.Error, OSError):
        return "the state cannot be written"
    return ""


def health_routes(board: Board, store: StoreKeeper, pulse: Pulse) -> list[Route]:
    """Both routes."""

    async def live(_request: Request) -> Response:
        if pulse.age > LATE:
            return JsonLine({"status": "hangs", "why": f"no tick for {pulse.age:.0f} seconds"}, status_code=503)
        return JsonLine({"status": "lives"})

    async def ready(_request: Request) -> Response:
        why = "" if board.is_ready else "starting, stopping, or the state is in trouble"
        why = why or await run_in_threadpool(trouble_with, store)
        if why:
            return JsonLine({"status": "not ready", "why": why}, status_code=503)
        return JsonLine({"status": "ready"})

    return [Route("/healthz", live, methods=["GET"]), Route("/readyz", ready, methods=["GET"])]
