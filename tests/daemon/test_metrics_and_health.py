"""Monitoring: what is counted is what happened, how things stand is what the state says, and no label holds a record's data."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from contextlib import closing, contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from syncengine.app import App
from syncengine.config import load
from syncengine.daemon.health import LATE, Pulse, health_routes
from syncengine.daemon.keeper import StateKeeper
from syncengine.daemon.metrics import Metrics, Standing, metrics_route
from syncengine.engine.context import Ports
from syncengine.engine.pacing import Allowance, Pacer
from syncengine.engine.ports import RandomTokens
from syncengine.errors import AuthError
from syncengine.registry import Registry
from syncengine.store.events import Delivery
from syncengine.store.store import Store
from tests.support.asgi import Caller
from tests.support.engine import OneByOne
from tests.support.household import Household, pair


class Watched(Household):
    """A household that is measured; `scrape` gives every sample by name and labels."""

    def begin(self):
        super().begin()
        self.metrics = Metrics()
        self.keeper = StateKeeper(lambda: self.service.config.state, self.clock)
        standing = Standing(lambda: self.service.config, self._registry, self.service, self.keeper, self.clock, self.metrics)
        self.metrics.registry.register(standing)
        self.service.listeners = [*self.service.listeners, self.metrics.ended]
        self.pulse = Pulse(self.clock)
        routes = [metrics_route(self.metrics.registry), *health_routes(self.service, self.keeper, self.pulse)]
        self.caller = Caller(Starlette(routes=routes))

    def open_app(self):
        config = self.service.config
        ports = Ports(
            clock=self.clock, tokens=RandomTokens(), executor=OneByOne(), progress=self.service, stop=self.service.is_stopping
        )
        store = Store.open(config.state, now=self.clock.now())
        return App(config, self._registry, store, ports, pacers=self.pacers, watcher=self.metrics)

    def end(self):
        super().end()
        self.keeper.close()

    def text(self):
        answer = self.caller.get("/metrics")
        assert answer.status_code == 200
        return answer.text

    def scrape(self):
        families = text_string_to_metric_families(self.text())
        return {(each.name, *sorted(each.labels.items())): each.value for family in families for each in family.samples}

    def value(self, name, **labels):
        return self.scrape().get((f"syncengine_{name}", *sorted(labels.items())))


@pytest.fixture
def house(tmp_path):
    with Watched(tmp_path, pair("people", 'schedule = "every 10 minutes"')) as made:
        made.people("one").insert(email="needle@example.com", name="needle-name")
        yield made


def test_runs_records_and_writes_are_counted_as_they_happened(house):
    house.live(1)
    house.live(600, step=30)
    seen = house.scrape()

    def value(name, **labels):
        return seen[(f"syncengine_{name}", *sorted(labels.items()))]

    assert value("runs_total", pair="people", cause="schedule", outcome="done") == 2
    assert value("writes_total", pair="people", side="right", operation="create") == 1
    assert value("run_duration_seconds_count", pair="people") == 2
    counted = {key[1:]: count for key, count in seen.items() if key[0] == "syncengine_records_total"}
    told = Counter()
    for news in house.news:
        for side, buckets in news.report.buckets.items():
            for bucket, count in buckets.items():
                told[("bucket", bucket), ("pair", "people"), ("side", side)] += count
    assert counted == told
    assert sum(counted.values()) >= 1
    assert value("freshness_seconds", pair="people") < 600
    assert value("pair_failures_in_a_row", pair="people") == 0
    assert value("state_up") == 1


def test_calls_are_counted_by_system_and_status_with_their_time(house):
    house.live(1)
    calls = {key[1:]: count for key, count in house.scrape().items() if key[0] == "syncengine_calls_total"}
    assert calls[("call", "write"), ("status", "ok"), ("system", "two")] == 1
    assert calls[("call", "read"), ("status", "ok"), ("system", "one")] == 1
    house.fail("two", AuthError("no"))
    house.live(600, step=30)
    assert house.value("calls_total", system="two", call="check", status="AuthError") >= 1
    assert house.value("runs_total", pair="people", cause="schedule", outcome="failed") >= 1
    assert house.value("pair_failures_in_a_row", pair="people") >= 1
    assert house.value("call_duration_seconds_count", system="two", call="write") == 1


def test_what_waits_is_told_by_pair_and_reason(house):
    house.people("two").insert(email="needle@example.com", name="another needle")
    house.live(1)
    app = house.open_app()
    approval = app.desk.runs(1)[0].report["approval"]
    app.close()
    assert house.value("runs_total", pair="people", cause="schedule", outcome="refused") == 1
    house.service.ask_run("people", approve=approval)
    house.work()
    assert house.value("open_conflicts", pair="people") == 1
    assert house.value("waiting_records", pair="people", reason="conflict") >= 1
    assert house.value("quarantined_records", pair="people") == 0
    assert house.value("writes_in_doubt", pair="people") == 0


def test_no_label_and_no_text_holds_data_of_records_and_names_are_of_the_config_or_our_own(house):
    house.people("two").insert(email="needle2@example.com", name="needle")
    house.live(1)
    house.live(600, step=30)
    text = house.text()
    assert "needle" not in text
    labels = {(name, value) for key in house.scrape() for name, value in key[1:] if name in ("pair", "system", "side")}
    assert labels <= {("pair", "people"), ("system", "one"), ("system", "two"), ("side", "left"), ("side", "right")}


def test_the_number_of_series_does_not_grow_with_runs(house):
    house.live(1200, step=30)
    before = len(house.scrape())
    for number in range(20):
        house.people("one").insert(email=f"n{number}@example.com", name="x")
        house.live(600, step=60)
    assert len(house.scrape()) <= before + 5


def test_the_quota_of_the_busiest_run_is_told_and_forgotten_with_its_app(house):
    pacer = Pacer(house.clock, rate=5.0)
    one, two = Allowance(pacer, 100), Allowance(pacer, 100)
    house.metrics.allowed("crm", one)
    house.metrics.allowed("crm", two)
    for _ in range(3):
        two.before()
    assert house.value("quota_used_calls", system="crm") == 3
    assert house.value("quota_calls", system="crm") == 100
    assert house.value("call_rate_limit", system="crm") == 5.0
    del one, two
    assert house.value("quota_used_calls", system="crm") is None


def test_events_that_wait_and_that_were_refused_are_told(tmp_path):
    path = tmp_path / "sync.toml"
    (tmp_path / "people.jsonl").write_text("")
    path.write_text(
        '[systems.signup]\nconnector = "events"\nkey = "email"\npublic = true\n[systems.signup.fields]\nemail = "email"\nname = "text"\n'
        '[systems.office]\nconnector = "jsonl"\npath = "people.jsonl"\n'
        + pair("signup", 'direction = "left_to_right"', left="signup.events", right="office.people")
    )
    registry = Registry.installed()
    config = load(path, environ={}, registry=registry)
    with Watched(tmp_path, pair("people")) as house:
        house.live(1)
        keeper = StateKeeper(lambda: config.state, house.clock)
        with keeper() as store:
            store.runs.pair("signup")
            for number in range(3):
                digest = hashlib.blake2b(bytes([number]), digest_size=16).digest()
                delivery = Delivery(system="signup", event=None, digest=digest, form="json", at=house.clock.now() - 60 + number)
                if number < 2:
                    store.events.accept(delivery, f"needle{number}@example.com", {"email": f"needle{number}@example.com"})
                else:
                    store.events.refuse(delivery, b"needle", "bad")
        standing = Standing(lambda: config, registry, house.service, keeper, house.clock, house.metrics)
        values = {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in standing.collect()
            for sample in family.samples
        }
        assert values["syncengine_events_unread", "signup", "signup"] == 2
        assert values["syncengine_events_oldest_unread_seconds", "signup", "signup"] == 60
        assert values["syncengine_events_refused", "signup"] == 1
        keeper.close()


def test_a_state_that_can_not_be_read_is_told_and_the_rest_is_there(house, tmp_path):
    house.live(1)
    house.keeper.close()
    for worker in house.workers:
        worker.close()
    (tmp_path / "house.db").write_bytes(b"no database at all " * 1000)
    assert house.value("state_up") == 0
    assert house.value("runs_total", pair="people", cause="schedule", outcome="done") == 1


def test_it_lives_while_its_clock_ticks(house):
    house.live(1)
    house.pulse.beat()
    assert house.caller.get("/healthz").status_code == 200
    house.clock.time += LATE - 1
    assert house.caller.get("/healthz").json() == {"status": "lives"}
    house.clock.time += 2
    answer = house.caller.get("/healthz")
    assert (answer.status_code, answer.json()) == (503, {"status": "hangs", "why": "no tick for 61 seconds"})
    house.pulse.beat()
    assert house.caller.get("/healthz").status_code == 200


def test_it_is_ready_while_it_can_write_and_nobody_asked_it_to_stop(house):
    house.live(1)
    assert house.caller.get("/readyz").json() == {"status": "ready"}
    house.service.stop()
    assert house.caller.get("/readyz").status_code == 503


def test_without_a_state_to_write_or_room_on_its_disk_it_is_not_ready(house, tmp_path, monkeypatch):
    house.live(1)
    assert house.caller.get("/readyz").status_code == 200
    usage = os.statvfs(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "statvfs", lambda _: type("usage", (), {"f_bavail": 1, "f_frsize": usage.f_frsize}))
        answer = house.caller.get("/readyz")
        assert (answer.status_code, answer.json()["why"]) == (503, "the disk of the state is full")
    house.keeper.close()
    for worker in house.workers:
        worker.close()
    (tmp_path / "house.db").write_bytes(b"no database at all " * 1000)
    answer = house.caller.get("/readyz")
    assert (answer.status_code, answer.json()["why"]) == (503, "the state cannot be written")


@contextmanager
def locked(path):
    with closing(Store.open(path, now=0.0)) as other:
        other.database.execute("BEGIN IMMEDIATE")
        yield
        other.database.execute("ROLLBACK")


def test_a_commit_that_takes_long_is_no_trouble(house, monkeypatch):
    house.live(1)
    with house.keeper() as store:
        store.database.execute("PRAGMA busy_timeout=10")
    with locked(house.service.config.state):
        assert house.caller.get("/readyz").status_code == 200


def test_health_tells_nothing_but_health(house):
    house.live(1)
    for path in ("/healthz", "/readyz"):
        answer = house.caller.get(path)
        assert set(answer.json()) == {"status"}
        assert house.caller.post(path).status_code == 405
