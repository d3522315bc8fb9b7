"""
How much of a server's rate limit is used, in real time, over real HTTP: `python -m tests.benchmarks.rates [SECONDS]`.

Each line is a first sync into a local Records server that permits R requests a second: with `requests_per_second` from the start,
with an unknown limit, and a second process that starts with what the first learned in a minute; the same with slow answers.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import threading
from pathlib import Path

from connectors.kizen.server import RecordsServer
from syncengine.app import App
from syncengine.config import load
from syncengine.log import configure

_CONFIG = """
state = "{state}.db"
[systems.crm]
connector = "kizen"
url = "{url}"
api_key = "{key}"
business_id = "{business}"
user_id = "{user}"
{options}
[systems.office]
connector = "sql"
url = "sqlite:///office.db"
[pairs.people]
left = "crm.client_client"
right = "office.people"
match = "email"
[pairs.people.fields]
email = "email"
first_name = "first_name"
"""


_LEARNING = 60.0


def _sync(folder: Path, server: RecordsServer, seconds: float, *, state: str, options: str = "") -> tuple[float, float, float]:
    """
    (seconds from the first call to the last, passed a second, share refused) of a sync that is stopped after this time.
    """
    who = server.credentials
    config = folder / "rates.toml"
    config.write_text(
        _CONFIG.format(state=state, url=server.url, key=who.api_key, business=who.business_id, user=who.user_id, options=options)
    )
    over = threading.Event()
    timer = threading.Timer(seconds, over.set)
    mark = server.requests.total
    timer.start()
    with App.open(load(config, environ={}), stop=over.is_set) as app:
        app.sync()
    timer.cancel()
    calls = server.requests.select(after=mark)
    taken = (calls[-1].at - calls[0].at).total_seconds()
    refused = sum(call.status == 429 for call in calls)
    return taken, (len(calls) - refused - 1) / taken, refused / len(calls)


def _fill(folder: Path, people: int) -> None:
    with sqlite3.connect(folder / "office.db") as base:
        base.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, email VARCHAR(100) UNIQUE, first_name VARCHAR(100))")
        base.executemany(
            "INSERT INTO people (email, first_name) VALUES (?, ?)", ((f"p{n}@example.com", f"P{n}") for n in range(people))
        )
    base.close()


def main(seconds: float) -> None:
    configure()
    print(f"{'limit':>6} {'latency':>8} {'how':>12} {'seconds':>8} {'passed/s':>9} {'of limit':>9} {'refused':>8}")
    for rate, latency in ((5, 0.0), (20, 0.0), (50, 0.0), (20, 0.1)):
        for how in ("configured", "unknown", "learned"):
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place)
                _fill(folder, int(3 * rate * (seconds + _LEARNING)) + 100)
                with RecordsServer(page=False) as server:
                    server.switch("rate", rate)
                    if latency:
                        server.fault("latency", times=None, seconds=latency)
                    options = f"requests_per_second = {rate}" if how == "configured" else ""
                    if how == "learned":
                        _sync(folder, server, _LEARNING, state="state", options=options)
                    taken, passed, refused = _sync(folder, server, seconds, state="state", options=options)
            share = passed / rate
            print(f"{rate:6} {latency:8.2f} {how:>12} {taken:8.1f} {passed:9.1f} {share:9.1%} {refused:8.2%}", flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0)
