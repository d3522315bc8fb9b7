"""The daemon as a process, for programs: events come in, alerts go out, its health and figures can be asked for."""

from __future__ import annotations

import json
import sqlite3
from base64 import b64encode
from contextlib import closing

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.daemons import daemon
from tests.support.receiver import Receiver
from tests.support.running import run

SECRET = "whsec_" + b64encode(b"s" * 32).decode()
CONFIG = """
state = "state.db"
[systems.signup]
connector = "events"
key = "email"
secret = "a-secret-of-the-form-9917"
event_id = "id"
[systems.signup.fields]
email = "email"
name = "text"
age = "integer"
[systems.office]
connector = "sql"
url = "sqlite:///office.db"
[pairs.signup]
left = "signup.events"
right = "office.people"
match = "email"
direction = "left_to_right"
schedule = "{schedule}"
[pairs.signup.fields]
email = "email"
name = "name"
age = "age"
[daemon]
listen = "127.0.0.1:0"
jitter = 0
[daemon.alerts]
url = "{alerts}"
secret = "{secret}"
"""


class Office:
    """A folder with a database, a daemon's config, and a receiver of alerts."""

    def __init__(self, folder, receiver):
        self.folder, self.receiver = folder, receiver
        self.base = folder / "office.db"
        with self.open() as base:
            base.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT, name TEXT, age INTEGER)")
            base.execute("INSERT INTO people (email, name) VALUES ('bob@example.com', 'Bob')")
            base.commit()
        self.configure("every hour")

    def configure(self, schedule):
        (self.folder / "syncengine.toml").write_text(CONFIG.format(schedule=schedule, alerts=self.receiver.url, secret=SECRET))

    def open(self):
        return closing(sqlite3.connect(self.base, timeout=30))

    def people(self):
        with self.open() as base:
            rows = base.execute("SELECT email, name, age FROM people").fetchall()
        assert len({row[0].lower() for row in rows}) == len(rows), "somebody is doubled"
        return {email.lower(): (name, age) for email, name, age in rows}

    def send(self, url, id, email, **fields):
        headers = {"Authorization": "Bearer a-secret-of-the-form-9917"}
        return httpx.post(f"{url}/ingest/signup", json={"id": id, "email": email, **fields}, headers=headers, timeout=30)


@pytest.fixture
def office(tmp_path):
    receiver = Receiver()
    made = Office(tmp_path, receiver)
    assert run(tmp_path, "sync").returncode == 0  # an empty queue: from here on there is no first contact
    yield made
    receiver.close()


def test_events_become_records_at_once_and_once_and_bad_ones_are_kept(office):
    """The schedule is an hour away: what makes them arrive is their being sent."""
    with daemon(office.folder) as running:
        url = running.url
        assert office.send(url, "e1", "ada@example.com", name="Ada", age=36).status_code == 202
        running.until(lambda: office.people().get("ada@example.com") == ("Ada", 36), "Ada is there")
        assert office.send(url, "e2", "BOB@example.com", age=41).status_code == 202
        running.until(lambda: office.people()["bob@example.com"] == ("Bob", 41), "Bob is met, and keeps his name")
        for _ in range(3):
            again = office.send(url, "e1", "ada@example.com", name="Ada", age=36)
            assert (again.status_code, again.json()["repeated"]) == (202, True)
        assert office.send(url, "e1", "ada@example.com", name="Eve").status_code == 409
        bad = office.send(url, "e3", "cyd@example.com", age="old")
        assert (bad.status_code, bad.json()["faults"][0]["field"]) == (422, "age")
        assert httpx.post(f"{url}/ingest/signup", json={}).status_code == 401
        listed = run(office.folder, "events", "list", "--refused", "--json")
        [kept] = json.loads(listed.stdout)["events"]
        assert (listed.returncode, kept["id"], kept["event"]) == (4, "e3", bad.json()["kept_as"])
        assert office.send(url, "e3", "cyd@example.com", age=50, name="Cyd").status_code == 202
        running.until(lambda: "cyd@example.com" in office.people(), "the corrected event is there")
        assert running.stop() == 0, running.log
        assert "Traceback" not in running.log
        assert "ada@" not in running.log
    assert set(office.people()) == {"ada@example.com", "bob@example.com", "cyd@example.com"}


def test_what_was_answered_is_there_after_a_kill(office):
    sent = {f"p{number}@example.com" for number in range(20)}
    with daemon(office.folder) as running:
        url = running.url
        assert {office.send(url, f"e-{email}", email, name="P").status_code for email in sent} == {202}
        running.kill()
    with daemon(office.folder) as running:
        running.until(lambda: sent <= set(office.people()), "everybody is there")
        assert running.stop() == 0


def test_a_failure_is_told_once_over_restarts_and_so_is_the_recovery(office):
    office.configure("every 2 seconds")
    receiver = office.receiver
    with office.open() as base:
        base.execute("ALTER TABLE people RENAME TO folks")
        base.commit()
    with daemon(office.folder) as running:
        running.until(lambda: receiver.told() == [("failed", "signup")], "the failure is told")
        before = running.log.count("run.failed")
        assert before
        assert running.stop() == 0, running.log
    with daemon(office.folder) as running:
        running.until_logged("run.failed")
        with office.open() as base:
            base.execute("ALTER TABLE folks RENAME TO people")
            base.commit()
        running.until(lambda: len(receiver.told()) > 1, "the recovery is told")
        assert running.stop() == 0
    assert receiver.told() == [("failed", "signup"), ("recovered", "signup")]
    assert json.loads(receiver.deliveries[0][1])["data"]["command"] == "syncengine check"  # it broke off before it was a run


def test_health_and_figures_can_be_asked_for(office):
    with daemon(office.folder) as running:
        url = running.url
        assert httpx.get(f"{url}/healthz").json() == {"status": "lives"}
        running.until(lambda: httpx.get(f"{url}/readyz").status_code == 200, "ready")
        office.send(url, "e1", "ada@example.com", name="Ada")
        running.until(lambda: "ada@example.com" in office.people(), "Ada is there")
        running.until_more_runs(0)

        def samples():
            text = httpx.get(f"{url}/metrics").text
            assert "ada@" not in text
            found = text_string_to_metric_families(text)
            return {(each.name, *sorted(each.labels.values())): each.value for family in found for each in family.samples}

        running.until(lambda: ("syncengine_runs_total", "done", "hint", "signup") in samples(), "the run is counted")
        seen = samples()
        assert seen["syncengine_writes_total", "create", "right", "signup"] == 1
        assert seen["syncengine_events_total", "202", "signup"] == 1
        assert seen["syncengine_calls_total", "office", "ok", "write"] == 1
        assert seen["syncengine_hints_waiting", "signup"] == 0
        assert seen["syncengine_freshness_seconds", "signup"] < 120
        assert seen["process_open_fds",] > 0
        assert running.stop() == 0


def test_the_state_is_compacted_by_command_beside_a_running_daemon(office):
    with daemon(office.folder) as running:
        assert office.send(running.url, "e1", "ada@example.com", name="Ada").status_code == 202
        running.until(lambda: "ada@example.com" in office.people(), "Ada is there")
        running.until_logged("state.compacted")
        done = run(office.folder, "state", "compact", "--keep", "90d", "--json")
        assert done.returncode == 0, done.stderr
        assert sum(json.loads(done.stdout)["removed"].values()) == 0
        assert office.send(running.url, "e2", "ada@example.com", age=37).status_code == 202
        running.until(lambda: office.people()["ada@example.com"] == ("Ada", 37), "it goes on")
        assert running.stop() == 0
