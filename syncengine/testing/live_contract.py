"""The kit's class as `syncengine.testing.live` runs it, which brings `sandbox` and `sandbox_world`. Not for import by authors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from syncengine.testing.conformance import ConnectorConformance, World
from syncengine.testing.live import Sandbox


class TestLive(ConnectorConformance):
    """The contract, on a resource that is shared with others."""

    @pytest.fixture(autouse=True)
    def described(self, request: pytest.FixtureRequest, sandbox_world: World) -> None:
        """The world is known at run time only."""
        request.cls.world = sandbox_world

    @pytest.fixture
    def reopen(self, sandbox: Sandbox) -> Callable[[], Any]:
        """A second connector to the same place."""
        return sandbox.open

    @pytest.fixture
    def connector(self, sandbox: Sandbox) -> Iterator[Any]:
        """A connector for one test."""
        connector = sandbox.open()
        yield connector
        connector.close()
