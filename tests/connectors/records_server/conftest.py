"""A server a test, a clock that only moves when told, and a client that sends the three headers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from connectors.kizen.server import RecordsServer
from tests.connectors.records_server.client import NO_TLS, Client, Clock, Sleeper


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sleeper(clock: Clock) -> Sleeper:
    return Sleeper(clock)


@pytest.fixture
def start(clock: Clock, sleeper: Sleeper) -> Iterator[Callable[..., Client]]:
    """Start servers with options of one's own; all are stopped at the end."""
    with ExitStack() as stack:

        def run(**options: Any) -> Client:
            server = stack.enter_context(RecordsServer(**{"clock": clock, "sleep": sleeper, **options}))
            http = stack.enter_context(
                httpx.Client(base_url=server.url, headers=server.credentials.headers, verify=NO_TLS, trust_env=False)
            )
            return Client(server, http)

        yield run


@pytest.fixture
def api(start: Callable[..., Client]) -> Client:
    """A client of a server with the defaults."""
    return start()


@pytest.fixture
def server(api: Client) -> RecordsServer:
    """The server of `api`."""
    return api.server
