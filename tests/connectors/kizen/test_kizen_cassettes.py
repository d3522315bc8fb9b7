"""The connector plays against recorded answers, without a network and without a secret on tape."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing

import pytest

from connectors.kizen.connector import Kizen
from tests.connectors.kizen.tapes import EXPECTED, FOLDER, connect, recorder


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a replay opened a socket")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("scene", EXPECTED, ids=lambda scene: scene.__name__)
def test_a_recorded_life_is_understood_as_it_was(scene: Callable[[Kizen], object]) -> None:
    with recorder("none").use_cassette(f"{scene.__name__}.yaml") as tape, closing(connect()) as kizen:
        assert scene(kizen) == EXPECTED[scene]
    assert tape.all_played


@pytest.mark.parametrize("tape", sorted(FOLDER.glob("*.yaml")), ids=lambda tape: tape.stem)
def test_no_tape_holds_a_credential(tape: object) -> None:
    text = tape.read_text().lower()
    for word in ("x-api-key", "x-business-id", "x-user-id", "authorization", "cookie"):
        assert word not in text
