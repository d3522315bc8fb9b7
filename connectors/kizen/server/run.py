"""
Starting and stopping the server: `RecordsServer` in a thread for tests and the embedded mode, `serve` for the command line.

    with RecordsServer(people=20) as server:
        httpx.get(f"{server.url}/team", headers=server.credentials.headers)
        server.edit(server.records("client_client")[0]["id"], first_name="Ada")     # a person in the UI
        server.fault("reset", method="POST", path="/add$", committed=True)          # the next add: done, answer lost
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import orjson
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from connectors.kizen.server import schema, seed
from connectors.kizen.server.app import application
from connectors.kizen.server.control import control_routes
from connectors.kizen.server.faults import Faults
from connectors.kizen.server.gateway import Sleep
from connectors.kizen.server.hands import Hands
from connectors.kizen.server.http import Api, Credentials
from connectors.kizen.server.log import RequestLog
from connectors.kizen.server.metadata import Business, Employee
from connectors.kizen.server.page import page_routes
from connectors.kizen.server.search import Searcher
from connectors.kizen.server.storage import SqliteStorage, load, load_identity, open_storage, save_identity
from connectors.kizen.server.switches import Switches
from connectors.kizen.server.world import Clock, World, utc_now

_STOP_SECONDS = 5.0


class _Protocol(H11Protocol):
    """Puts its transport into the ASGI scope, so that a fault can cut the connection where it really is."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        app = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope["records.transport"] = transport
            await app(cast("Any", scope), cast("Any", receive), cast("Any", send))

        self.app = cast("Any", with_transport)


class _Server(uvicorn.Server):
    """Uvicorn that says when it listens and stops when told, not a tenth of a second later."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self._wake: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        self._ready()

    async def main_loop(self) -> None:
        assert self._wake is not None
        tick = 0
        while not await self.on_tick(tick):
            tick = (tick + 1) % 864_000
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), 0.1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        # Idle connections are gone after two turns of the loop; uvicorn's own way waits for them without looking.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)

    def stop(self) -> None:
        """Stop soon; callable from any thread."""
        self.should_exit = True
        if self._loop is not None and self._wake is not None:
            # The loop looks at `should_exit` by itself, too, and may be closed by now: then it has stopped.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake.set)


class RecordsServer(Hands):
    """
    A Records API on this machine; a context manager that serves from a thread.

    `port` 0 takes a free one. `state` is a SQLite file that survives restarts; `data` a seed document or its file, `people`
    a number of generated contacts, both only for a state that is new. `clock` returns aware datetimes and rules `updated`,
    lag, delays and the rate limit; `sleep` is what latency faults wait with. `control` opens `/_control` (see `control`),
    `page` shows records and log at `/`. The direct methods (`add_record`, `edit`, ...) are in `hands.Hands`.

    Raises `ValueError` on an unknown switch or wrong seed, `StateUnusable` on a bad state file, `OSError` where the address
    is taken.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        credentials: Credentials | None = None,
        state: Path | str | None = None,
        data: Mapping[str, Any] | Path | str | None = None,
        people: int = 0,
        switches: Mapping[str, object] | None = None,
        rate: float = 0.0,
        seed: int = 0,
        clock: Clock = utc_now,
        sleep: Sleep = asyncio.sleep,
        control: bool = False,
        page: bool = True,
    ) -> None:
        chosen = Switches()
        for name, value in {**(switches or {}), **({"rate": rate} if rate else {})}.items():
            chosen = chosen.change(name, value)
        self._state = None if state is None else Path(state)
        self._storage: SqliteStorage | None = None if self._state is None else open_storage(self._state)
        try:
            self.credentials = self._identity(credentials, seed)
            world = self._world(chosen, seed, clock, data, people)
        except BaseException:
            self._close_storage()
            raise
        self.requests = RequestLog()
        super().__init__(world, Faults(seed), self.requests)
        api = Api(world, Searcher(world), self.credentials)
        extra = [*(page_routes(api, self.requests) if page else []), *(control_routes(api, self) if control else [])]
        self.app = application(api, self.faults, self.requests, extra=extra, sleep=sleep)
        self._host, self._port = host, port
        self._socket: socket.socket | None = None
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def _identity(self, given: Credentials | None, seed_number: int) -> Credentials:
        kept = None if self._storage is None else load_identity(self._storage)
        if given is None and kept is None:
            fresh = World(clock=utc_now, business=Business(id=""), me="", seed=seed_number)
            given = Credentials(api_key=secrets.token_urlsafe(24), business_id=fresh.new_id(), user_id=fresh.new_id())
        chosen = given or kept
        assert chosen is not None
        if kept is not None and (chosen.business_id, chosen.user_id) != (kept.business_id, kept.user_id):
            msg = f"the state file belongs to business {kept.business_id} and user {kept.user_id}"
            raise ValueError(msg)
        if self._storage is not None:
            save_identity(self._storage, chosen)
        return chosen

    def _world(
        self, switches: Switches, seed_number: int, clock: Clock, data: Mapping[str, Any] | Path | str | None, people: int
    ) -> World:
        world = World(
            clock=clock,
            business=Business(id=self.credentials.business_id.lower()),
            me=self.credentials.user_id.lower(),
            switches=switches,
            seed=seed_number,
            storage=self._storage,
        )
        # The identity took the first two ids of this seed.
        world.new_id(), world.new_id()
        if self._storage is not None and load(self._storage, world):
            return world
        world.put_business(world.business)
        world.put_employee(Employee(id=world.me, email="api@example.com", first_name="API", last_name="User"))
        schema.furnish(world)
        if data is not None:
            seed.load_document(world, data if isinstance(data, Mapping) else orjson.loads(Path(data).read_bytes()))
        if people:
            seed.add_people(world, people)
        world.commit()
        return world

    # Address

    @property
    def url(self) -> str:
        """The API's base address, as a connector is configured with it: `http://127.0.0.1:8070/api`."""
        return f"{self.page_url}/api"

    @property
    def page_url(self) -> str:
        """Where a person looks: records and the request log."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    @property
    def port(self) -> int:
        """The port; the real one once the server has been bound."""
        return self._port

    # Running

    def bind(self) -> None:
        """Take the address, and the state file again after a `stop`. Connections wait until the server runs."""
        if self._state is not None and self._storage is None:
            self._storage = self.world.storage = open_storage(self._state)
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        # Not `create_server`: asyncio switches Nagle's algorithm off only where the protocol is named, and with it every
        # answer waits 40 ms for the client's acknowledgement.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host, self._port))
            listener.listen(2048)
        except OSError:
            listener.close()
            raise
        self._socket, self._port = listener, int(listener.getsockname()[1])

    def serve(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve in this thread until `stop`, SIGINT or SIGTERM; `ready` is called when requests are answered."""
        if self._socket is None:
            self.bind()
        assert self._socket is not None
        sockets = [self._socket]
        config = uvicorn.Config(
            cast("Any", self.app),
            http=_Protocol,
            ws="none",
            lifespan="off",
            loop="asyncio",
            access_log=False,
            log_level="error",
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config, ready)
        try:
            self._server.run(sockets=sockets)
        finally:
            self._socket.close()
            self._socket = None
            self._close_storage()

    def start(self) -> Self:
        """Serve from a thread; returns when requests are answered. After `stop` it comes back at the same address."""
        self.bind()
        ready = threading.Event()
        self._thread = threading.Thread(target=self.serve, args=(ready.set,), name="records-server", daemon=True)
        self._thread.start()
        if not ready.wait(_STOP_SECONDS):
            raise RuntimeError("the records server did not start; its thread has said why")
        return self

    def stop(self) -> None:
        """Stop serving and close the state file. Stopping twice is harmless."""
        if self._server is not None:
            self._server.stop()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)
            self._thread = None
        self._server = None
        self._close_storage()

    def _close_storage(self) -> None:
        if self._storage is not None:
            self._storage.close()
            self._storage = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
