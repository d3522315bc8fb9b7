"""The queue of events keeps the contract for what it declares: a source that is read by cursor and by id."""

from __future__ import annotations

import hashlib
from contextlib import closing

import pytest

from syncengine.connector import Context
from syncengine.daemon import events
from syncengine.daemon.delivery import JSON, event_of
from syncengine.store.events import Delivery
from syncengine.store.store import Store
from syncengine.testing.conformance import ConnectorConformance, World

OPTIONS = {
    "resource": "people",
    "key": "email",
    "public": True,
    "fields": {
        "email": "email",
        "name": "text",
        "city": {"type": "text", "max_length": 40},
        "age": "integer",
        "score": "decimal",
        "active": "boolean",
        "born": "date",
        "seen": "datetime",
        "tags": "set",
        "extra": "json",
    },
}


class Senders:
    """Whoever posts to `/ingest/signup`: each insert and edit is one more event."""

    def __init__(self, state):
        self.state = state
        self.options = events.EventsOptions(**OPTIONS)
        self.sent = 0

    def insert(self, fields):
        return self.send(fields)

    def edit(self, id, fields):
        self.send({"email": id, **fields})

    def send(self, document):
        self.sent += 1
        event = event_of(self.options, JSON, document, None)
        digest = hashlib.blake2b(str(self.sent).encode(), digest_size=16).digest()
        delivery = Delivery(system="signup", event=f"event-{self.sent}", digest=digest, form=JSON, at=1_800_000_000.0)
        with closing(Store.open(self.state, now=1_800_000_000.0)) as store:
            return store.events.accept(delivery, event.record, event.fields).record


class TestEvents(ConnectorConformance):
    world = World(
        resource="people",
        seed_fields={"email": "ada@example.com", "name": "Ada", "city": "London", "age": 36},
        editable="name",
        most_records=12,
    )

    @pytest.fixture(autouse=True)
    def small_pages(self, monkeypatch):
        monkeypatch.setattr(events, "PAGE", 3)

    @pytest.fixture
    def far_side(self, tmp_path):
        return Senders(tmp_path / "state.db")

    @pytest.fixture
    def reopen(self, far_side):
        with closing(Store.open(far_side.state, now=1_800_000_000.0)):
            pass  # the app opens the state before it opens a connector
        context = Context(system="signup", base=far_side.state.parent, state=far_side.state)
        return lambda: events.plugin.connect(events.EventsOptions(**OPTIONS), context)

    @pytest.fixture
    def connector(self, reopen):
        connector = reopen()
        yield connector
        connector.close()
