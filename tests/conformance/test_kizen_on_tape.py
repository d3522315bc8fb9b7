"""
The kit against answers that were recorded: no server, no network, no secret; what CI can do where a system has no local twin.

    SYNCENGINE_RECORD=1 python -m pytest tests/conformance/test_kizen_on_tape.py

records every tape anew from a local server, by the very same tests. A kit test without a tape fails: record again.
"""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from connectors.kizen.connector import Kizen
from connectors.kizen.options import KizenOptions
from connectors.kizen.server import RecordsServer
from connectors.kizen.server.http import Credentials
from syncengine.connector import Context
from syncengine.testing.conformance import ConnectorConformance, Waiver, World
from tests.support.tape_book import TapeBook

IS_RECORDING = os.environ.get("SYNCENGINE_RECORD") == "1"
BOOK = TapeBook(Path(__file__).with_name("kizen_tapes.json"))
KEY = "an-api-key-that-must-not-be-on-tape"
SECRET = "a-shared-secret-that-must-not-be-either"
BUSINESS, USER = "5b5a3c1e-7d1f-4f0e-9a55-3f1d0c7a0001", "5b5a3c1e-7d1f-4f0e-9a55-3f1d0c7a0002"


def seconds() -> Callable[[], datetime]:
    """A clock that moves by a second at each look, so that two recordings are the same."""
    passed = itertools.count()
    return lambda: datetime(2026, 3, 2, 15, 0, tzinfo=UTC) + timedelta(seconds=next(passed))


class TestContactsOnTape(ConnectorConformance):
    world = World(
        resource="client_client",
        seed_fields={"email": "ada@example.com", "first_name": "Ada", "birthday": None},
        editable="first_name",
        samples={"email": [], "timezone": ["Europe/Berlin"], "tags": [], "titles": []},
        rejected={"mobile_phone": "no number"},
        secrets=(KEY, SECRET),
        most_records=8,
        namespace="tape",
    )
    waivers: ClassVar = (
        Waiver("test_hostile_text[nul]", reason="the platform refuses text with a NUL"),
        Waiver(
            "test_the_source_keeps_off_clock_sleep_print_and_chance",
            reason="the local server, which the option `embedded` starts, lives in the connector's folder, and servers have clocks",
        ),
    )

    @pytest.fixture
    def url(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        if IS_RECORDING:
            who = Credentials(api_key=KEY, business_id=BUSINESS, user_id=USER)
            with RecordsServer(credentials=who, clock=seconds(), page=False) as server:
                for field, tag in itertools.product(("titles", "tags"), ("a", "b", "kit a", "kit b", "kit c")):
                    server.add_option("client_client", field, tag)
                yield server.url
            return

        def refuse(*_: object) -> None:
            raise AssertionError("a replay opened a socket")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        yield "http://127.0.0.1:8070/api"

    @pytest.fixture
    def reopen(self, url: str) -> Callable[[], Kizen]:
        given = {
            "url": url,
            "api_key": KEY,
            "business_id": BUSINESS,
            "user_id": USER,
            "webhook_secret": SECRET,
            "page_size": 3,
            "max_concurrency": 1,  # calls in an order that is the same each time
            "on_archived": "unarchive",
        }
        options = KizenOptions.model_validate(given)
        return lambda: Kizen(options, Context(system="crm", base=Path()), transport=httpx.HTTPTransport())

    @pytest.fixture
    def connector(self, request: pytest.FixtureRequest, reopen: Callable[[], Kizen]) -> Iterator[Kizen]:
        name = request.node.name
        with BOOK.tape(name, "all" if IS_RECORDING else "none") as tape:
            connector = reopen()
            yield connector
            connector.close()
        if IS_RECORDING:
            BOOK.keep()
        else:
            assert tape.all_played, "the connector made fewer calls than when it was recorded"


def test_no_tape_holds_a_secret() -> None:
    text = BOOK.file.read_text("utf-8").lower()
    for word in (KEY, SECRET, "x-api-key", "x-business-id", "x-user-id", "authorization", "cookie"):
        assert word not in text


def test_every_tape_belongs_to_a_test_of_the_kit() -> None:
    from syncengine.testing.conformance import kit_tests

    assert {name.partition("[")[0] for name in BOOK.names} <= kit_tests().keys()
    assert len(BOOK.names) > 100
