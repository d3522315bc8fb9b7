"""The web server: uvicorn on a thread of its own, behind a socket that is bound before anything else depends on it."""

from __future__ import annotations

import socket
import threading
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from syncengine.config import Address
from syncengine.errors import ConfigError, Problem

_BACKLOG: Final = 512
_AT_ONCE: Final = 256
"""Requests at once; more are told to come again, so that a flood costs neither memory nor files."""

_LEAVE_WITHIN: Final = 3
"""Seconds that requests under way get when the server stops."""


class Current:
    """The application as it is now: a reload puts another one in its place, and requests under way end with theirs."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)


def bound(address: Address) -> socket.socket:
    """A socket that listens there. Raises ConfigError, naming `daemon.listen`, where that cannot be."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(place)
            found.listen(_BACKLOG)
        except OSError:
            found.close()
            raise
    except OSError as error:
        wrong = f"cannot listen on {address}: {error.strerror}"
        cure = "stop what listens there, or name another address; port 0 takes a free one"
        raise ConfigError([Problem(place="daemon.listen", wrong=wrong, cure=cure)]) from None
    return found


class WebServer:
    """Serves an application until it is stopped."""

    def __init__(self, app: ASGIApp, listening: socket.socket) -> None:
        self._socket = listening
        host, port = listening.getsockname()[:2]
        self.address = Address(host=host, port=port)
        self._server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                proxy_headers=False,
                limit_concurrency=_AT_ONCE,
                timeout_keep_alive=15,
                timeout_graceful_shutdown=_LEAVE_WITHIN,
                h11_max_incomplete_event_size=32 * 1024,
            )
        )
        self._thread = threading.Thread(target=self._server.run, args=([listening],), name="web", daemon=True)

    def start(self) -> None:
        """Serve; returns when requests are taken."""
        self._thread.start()
        self._server.serving.wait(timeout=30.0)

    @property
    def is_serving(self) -> bool:
        """Whether it goes on."""
        return self._thread.is_alive()

    def leave(self) -> None:
        """Take no more requests; those under way are answered meanwhile."""
        self._server.should_exit = True

    def stop(self) -> None:
        """Take no more requests, and return when those under way have been answered."""
        self.leave()
        self._thread.join(timeout=_LEAVE_WITHIN + 5.0)
        self._socket.close()


class _Server(uvicorn.Server):
    """Uvicorn that says when it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()
