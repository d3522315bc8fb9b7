"""A local Records server with one object that has every type of field, and connectors to it over real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from connectors.kizen.server import RecordsServer
from tests.connectors.kizen.crm import DOCUMENT, Crm


@pytest.fixture
def start() -> Iterator[Callable[..., Crm]]:
    """Start servers; `options` are the connector's, the rest the server's. All are stopped at the end."""
    with ExitStack() as stack:

        def run(options: dict[str, Any] | None = None, **server: Any) -> Crm:
            running = stack.enter_context(RecordsServer(**{"data": DOCUMENT, **server}))
            return stack.enter_context(Crm(running, options or {}))

        yield run


@pytest.fixture
def crm(start: Callable[..., Crm]) -> Crm:
    """A connector with the defaults to a server with the defaults."""
    return start()
