"""
The conformance kit: the contract of `syncengine.connector` as tests that any connector can be put to.

    from syncengine.testing.conformance import ConnectorConformance, Waiver, World

    class TestAcme(ConnectorConformance):
        world = World(resource="people", seed_fields={"email": "ada@example.com", "name": "Ada"}, editable="name")
        waivers = (Waiver("test_hostile_text[nul]", reason="the API answers 422 to a NUL"),)

        @pytest.fixture
        def connector(self):
            connector = AcmeConnector(...)      # on a fresh and empty resource, or a sandbox of one's own
            yield connector
            connector.close()

Tests that ask for what the connector does not declare are skipped with the reason; so are those that need a `far_side` or a
`reopen` fixture that is not given: each door that the far side opens has more of the contract tested. The pytest plugin
(`syncengine.testing.plugin`) lists after the run what was tested, undeclared and waived.

The same class runs three ways, by what its fixture opens:

- in memory, or against a real server or database on this machine: open it, empty it, close it;
- live, against a sandbox: `World(shared=True, namespace=..., eventual=...)`, with a namespace of its own for each run, and an
  `eventual` that waits as long as that system needs;
- from cassettes of a live run. With vcrpy, and the namespace of the recording:

        @pytest.fixture
        def connector(self, request):
            name = f"{request.node.name}.yaml"
            with vcr.VCR(record_mode="none", cassette_library_dir="cassettes").use_cassette(name):
                connector = AcmeConnector(...)
                yield connector
                connector.close()

  The kit's keys, values and order of calls are the same in every run with the same namespace, so a cassette fits; tests that
  call from several threads (`max_concurrency`) are best recorded one at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from syncengine.testing.conformance.world import FarSide, Seed, Waiver, World

if TYPE_CHECKING:
    from syncengine.testing.conformance.base import ConnectorConformance, kit_tests

__all__ = ["ConnectorConformance", "FarSide", "Seed", "Waiver", "World", "kit_tests"]


def __getattr__(name: str) -> object:
    """The parts that need pytest are imported when asked for: capability cards are made without it."""
    if name in {"ConnectorConformance", "kit_tests"}:
        from syncengine.testing.conformance import base

        return getattr(base, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
