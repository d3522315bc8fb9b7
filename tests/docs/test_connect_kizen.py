"""The guide to a Records API account, followed against the local server."""

from __future__ import annotations

import os
import signal
import socket

from connectors.kizen.connector import Kizen
from connectors.kizen.options import KizenOptions
from syncengine.connector import Context
from tests.support.documents import ROOT, Shell, assert_shown, blocks

GUIDE = ROOT / "docs" / "connect-kizen.md"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_every_command_of_the_guide_does_what_it_shows(tmp_path):
    """Save for the port, which may be taken here."""
    shell, output, port = Shell(tmp_path), "", free_port()
    try:
        for block in blocks(GUIDE):
            text = block.text.replace("8070", port)
            if block.language == "sh":
                started = "records-server" in text
                code, output = shell.run(f"{text}\necho $! > server.pid" if started else text)
                assert code == (3 if text == "syncengine plan\n" else 0), output
            elif block.language == "text":
                assert_shown(text, output)
        assert len((tmp_path / "people.csv").read_text("utf-8").splitlines()) == 27

    finally:
        pid = tmp_path / "server.pid"
        if pid.exists():
            os.kill(int(pid.read_text()), signal.SIGTERM)


def test_the_webhook_of_the_guide_is_understood():
    """Its body and header, with the merge fields filled in."""
    [block] = [block for block in blocks(GUIDE) if block.language == "json"]
    body = block.text.replace("<merge field: record id>", "0b8f6d0e-2f7a-4c52-9c6f-3a3c2d6f7a10").encode()
    secret = "practice-secret-of-some-length"
    options = KizenOptions(url="embedded", webhook_secret=secret)
    [hint] = Kizen(options, Context(system="crm", base=ROOT)).hints({"x-webhook-secret": secret}, body)
    assert (hint.resource, hint.id) == ("client_client", "0b8f6d0e-2f7a-4c52-9c6f-3a3c2d6f7a10")
    assert "X-Webhook-Secret" in GUIDE.read_text("utf-8")
