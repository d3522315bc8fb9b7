"""
From a webhook to the other side's write: the local Records server, a SQLite database, and `syncengine daemon` as a process.

    python -m tests.benchmarks.hooks [--hooks 200] [--gap 0.05]

A person edits a contact, the hook is sent, and the clock stops when the other side has the value: seen in the table for an edit in
the CRM, in the CRM's own records for one in the office. Budget: 50 ms at the median. The daemon's 202 is measured as well.
"""

from __future__ import annotations

import argparse
import base64
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx

from connectors.kizen.server import RecordsServer
from syncengine.http.signatures import sign
from tests.support.daemons import Daemon, daemon

CONTACTS = "client_client"
SHARED = "a-shared-secret-of-enough-characters"
SIGNED = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ...").decode()
BUDGET = 0.050

CONFIG = """
state = "state.db"
[systems.crm]
connector = "kizen"
url = "{url}"
api_key = "{who.api_key}"
business_id = "{who.business_id}"
user_id = "{who.user_id}"
webhook_secret = "{shared}"
[systems.office]
connector = "sql"
url = "sqlite:///office.db"
[pairs.people]
left = "crm.client_client"
right = "office.people"
match = "email"
schedule = "every 1 hour"
[pairs.people.fields]
email = "email"
first_name = "first_name"
last_name = "last_name"
[daemon]
listen = "127.0.0.1:0"
jitter = 0
[daemon.hooks.office]
secret = "{signed}"
"""


def measure(hooks: int, gap: float) -> dict[str, list[float]]:
    """Seconds by what was measured."""
    with tempfile.TemporaryDirectory() as name, RecordsServer(people=200, page=False) as server:
        folder = Path(name)
        (folder / "syncengine.toml").write_text(
            CONFIG.format(url=server.url, who=server.credentials, shared=SHARED, signed=SIGNED)
        )
        with closing(sqlite3.connect(folder / "office.db", isolation_level=None)) as office:
            office.execute("PRAGMA journal_mode=WAL")
            office.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT UNIQUE, first_name TEXT, last_name TEXT)")
            with daemon(folder) as running, httpx.Client(base_url=running.url) as client:
                running.until(lambda: running.runs() >= 1, "the first run is over")
                return _story(server, office, client, running, hooks, gap)


def _story(
    server: RecordsServer, office: sqlite3.Connection, client: httpx.Client, running: Daemon, hooks: int, gap: float
) -> dict[str, list[float]]:
    contacts = server.records(CONTACTS)
    ids = {row[1]: row[0] for row in office.execute("SELECT id, email FROM people")}
    times: dict[str, list[float]] = {"crm -> office": [], "office -> crm": [], "answered": []}
    for turn in range(hooks):
        contact = contacts[turn % len(contacts)]
        email, value = str(contact["email"]), f"Turn {turn}"
        if turn % 2 == 0:
            server.edit(contact["id"], last_name=value)
            body = {"object": CONTACTS, "record_id": contact["id"], "event": str(turn)}
            began = time.perf_counter()
            answer = client.post("/hooks/crm", json=body, headers={"X-Webhook-Secret": SHARED})
            answered = time.perf_counter()
            _until(running, lambda: office.execute("SELECT last_name FROM people WHERE email=?", (email,)).fetchone()[0] == value)  # noqa: B023 - called at once
            times["crm -> office"].append(time.perf_counter() - began)
        else:
            office.execute("UPDATE people SET last_name=? WHERE email=?", (value, email))
            signed = json.dumps({"resource": "people", "id": str(ids[email])}).encode()
            headers = sign(SIGNED, id=f"msg_{turn}", at=int(time.time()), body=signed)
            began = time.perf_counter()
            answer = client.post("/hooks/office", content=signed, headers=headers)
            answered = time.perf_counter()
            _until(running, lambda: server.record(contact["id"])["last_name"] == value)  # noqa: B023 - called at once
            times["office -> crm"].append(time.perf_counter() - began)
        assert answer.status_code == 202, answer.text
        times["answered"].append(answered - began)
        time.sleep(gap)
    return times


def _until(running: Daemon, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, running.log
        time.sleep(0.0005)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 2)[1])
    parser.add_argument("--hooks", type=int, default=200)
    parser.add_argument("--gap", type=float, default=0.05, help="seconds between one edit and the next")
    given = parser.parse_args()
    for name, seconds in measure(given.hooks, given.gap).items():
        ordered = sorted(seconds)
        median, late = statistics.median(ordered), ordered[int(0.95 * len(ordered))]
        budget = "" if name == "answered" else f"  budget {BUDGET * 1e3:.0f} ms: {'kept' if median <= BUDGET else 'MISSED'}"
        print(f"{name:14} median {median * 1e3:6.1f} ms  95 % {late * 1e3:6.1f} ms  worst {ordered[-1] * 1e3:6.1f} ms{budget}")


if __name__ == "__main__":
    main()
