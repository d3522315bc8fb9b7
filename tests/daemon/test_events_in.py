"""Events in: verified, mapped, stored before the answer; then a pair like any other makes records of them."""

from __future__ import annotations

import json
import sqlite3
from base64 import b64encode
from contextlib import closing
from pathlib import Path

import pytest
from starlette.applications import Starlette

from syncengine.app import App
from syncengine.config import load
from syncengine.daemon.ingest import ingest_route, queues
from syncengine.daemon.keeper import StateKeeper
from syncengine.engine.report import Exit
from syncengine.errors import ConfigError, StateError
from syncengine.http.signatures import sign
from syncengine.registry import Registry
from syncengine.store import care, events
from syncengine.store.events import EventStatus
from tests.support.asgi import Caller
from tests.support.engine import TestClock

SECRET = "a-secret-of-the-form-9917"
SIGNING = "whsec_" + b64encode(b"k" * 32).decode()

SYSTEMS = """
[systems.signup]
connector = "events"
key = "email"
secret = "${SECRET}"
event_id = "header:Idempotency-Key"
max_bytes = 2000
[systems.signup.fields]
email = { type = "email", from = "contact.address" }
name = { type = "text", required = true, max_length = 20 }
phone = "phone"
age = "integer"
score = "decimal"
born = "date"
seen = "datetime"
agreed = "boolean"
tags = "set"
plan = { type = "choice", choices = ["free", "paid"] }

[systems.office]
connector = "jsonl"
path = "people.jsonl"
"""

PAIR = """
[pairs.signup]
left = "signup.events"
right = "office.people"
match = "email"
direction = "left_to_right"
[pairs.signup.fields]
email = "email"
name = "name"
phone = { left = "phone", right = "phone", as = "phone" }
age = "age"
"""

PEOPLE = '{"id": 1, "email": "bob@example.com", "name": "Bob", "phone": "+1 555 0100", "age": 41}\n'


class Door:
    """The daemon's door for events, over a state and a target file on disk, with a clock of the test's own."""

    def __init__(self, folder: Path, systems: str = SYSTEMS) -> None:
        self.folder = folder
        (folder / "people.jsonl").write_text(PEOPLE)
        (folder / "sync.toml").write_text(systems + PAIR)
        environ = {"SECRET": SECRET, "SIGNING": SIGNING}
        self.config = load(folder / "sync.toml", environ=environ, registry=Registry.installed())
        self.clock = TestClock()
        self.keeper = StateKeeper(lambda: self.config.state, self.clock)
        self.queues = queues(self.config, Registry.installed(), self.keeper, self.clock)
        self.hinted: list[str] = []
        self.client = Caller(Starlette(routes=[ingest_route(lambda: self.queues, self.hinted.extend)]))

    def post(self, body, *, path="/ingest/signup", id=None, secret=SECRET, **headers):
        """One delivery; a dict goes as JSON, text and bytes as they are."""
        given = {"Authorization": f"Bearer {secret}"} if secret else {}
        given |= {"Idempotency-Key": id} if id is not None else {}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = json.dumps(body) if isinstance(body, dict | list) else body
        return self.client.post(path, content=content, headers={"Content-Type": "application/json"} | given)

    def event(self, id, email="ada@example.com", /, **fields):
        """An accepted delivery of one person."""
        answer = self.post({"contact": {"address": email}, "name": "Ada"} | fields, id=id)
        assert answer.status_code == 202, answer.text
        return answer.json()

    def sync(self):
        """A run of the pair, in an app of its own."""
        with App.open(self.config) as app:
            [report] = app.sync("signup")
        assert not report.error
        return report

    def people(self):
        rows = [json.loads(line) for line in (self.folder / "people.jsonl").read_text().splitlines()]
        return {row["email"].lower(): row for row in rows}

    def stored(self):
        with self.keeper() as store:
            return store.events.recent(100)

    def records(self):
        with self.keeper() as store:
            return {each.id: dict(each.fields) for each in store.events.page("signup", after=0, limit=100)}


@pytest.fixture
def door(tmp_path):
    made = Door(tmp_path)
    made.sync()  # the pair is known from here on: there is no first contact any more
    yield made
    made.keeper.close()


# From the event to the record


def test_an_event_becomes_a_record_at_the_target(door):
    door.event("e1", age=36)
    assert door.people().keys() == {"bob@example.com"}, "nothing is written while the sender waits"
    report = door.sync()
    assert report.written == {"right.create": 1}
    assert door.people()["ada@example.com"] | {"id": None} == {"id": None, "email": "ada@example.com", "name": "Ada", "age": 36}
    assert door.sync().written == {}


def test_an_event_meets_the_record_that_is_there(door):
    """By match key, like any other record: no second Bob, and what the event does not name stays."""
    door.event("e1", "BOB@example.com", name="Robert")
    assert door.sync().written == {"right.update": 1}
    assert door.people()["bob@example.com"] | {"email": ""} == {
        "id": 1,
        "email": "",
        "name": "Robert",
        "phone": "+1 555 0100",
        "age": 41,
    }


def test_two_events_for_one_address_are_one_record_and_the_later_wins_per_field(door):
    door.event("e1", age=36, phone="+1 555 0199")
    door.event("e2", " Ada@Example.com", name="Countess")
    assert door.records() == {
        "ada@example.com": {"email": "Ada@Example.com", "name": "Countess", "phone": "+1 555 0199", "age": 36}
    }
    assert door.sync().written == {"right.create": 1}
    door.event("e3", age=37)
    assert door.sync().written == {"right.update": 1}
    assert {name: door.people()["ada@example.com"][name] for name in ("name", "phone", "age")} == {
        "name": "Ada",
        "phone": "+1 555 0199",
        "age": 37,
    }


def test_what_an_event_does_not_name_is_not_cleared_and_null_clears(door):
    door.event("e1", age=36, phone="+1 555 0199")
    door.sync()
    door.event("e2", age=None)
    door.sync()
    assert door.people()["ada@example.com"].get("age") is None
    assert door.people()["ada@example.com"]["phone"] == "+1 555 0199"


def test_an_edit_at_the_target_stays_until_an_event_changes_that_field(door):
    door.event("e1", age=36)
    door.sync()
    rows = list(door.people().values())
    edited = [row | {"name": "Countess"} if row["name"] == "Ada" else row for row in rows]
    (door.folder / "people.jsonl").write_text("".join(json.dumps(row) + "\n" for row in edited))
    door.event("e2", age=37)
    door.sync()
    assert (door.people()["ada@example.com"]["name"], door.people()["ada@example.com"]["age"]) == ("Countess", 37)


def test_a_run_with_nothing_new_reads_no_event(door):
    """The queue is read by cursor."""
    for number in range(3):
        door.event(f"e{number}", f"p{number}@example.com")
    assert door.sync().read["left"] == 3
    door.sync()  # looks at what it wrote, and at its partners
    door.event("more", "p3@example.com")
    assert door.sync().read["left"] == 1
    door.sync()
    assert door.sync().read["left"] == 0


def test_a_hint_for_each_pair_that_reads_is_stored_with_the_event(door):
    """So that the record is looked at at once, and also after a crash."""
    door.event("e1")
    with door.keeper() as store:
        hints = store.hints.waiting("signup", limit=10)
    assert [(hint.pair, hint.side.value, hint.record) for hint in hints] == [("signup", "left", "ada@example.com")]
    assert door.hinted == ["signup"]
    with App.open(door.config) as app:
        report = app.look_at("signup", {hints[0].side: [hints[0].record]})
    assert report.written == {"right.create": 1}


def test_the_queue_survives_a_rebuilt_state(door):
    """The events that no run has read yet are taken over, and those that one has read make nothing twice."""
    door.event("e1")
    door.sync()
    door.event("e2", "cyd@example.com", name="Cyd")
    door.keeper.close()
    care.rebuild(door.config.state, now=door.clock.now())
    assert door.records().keys() == {"ada@example.com", "cyd@example.com"}
    report = door.sync()
    with App.open(door.config) as app:
        [report] = app.sync("signup", approve=report.approval)
    assert report.written == {"right.create": 1}
    assert len(door.people()) == 3
    assert door.event("e2", "cyd@example.com", name="Cyd")["repeated"] is True


# Once each


def test_a_delivery_that_comes_twice_is_taken_once(door):
    first = door.event("e1", age=36)
    door.event("e2", age=37)
    again = door.event("e1", age=36)
    assert (first["repeated"], again["repeated"], again["event"]) == (False, True, first["event"])
    assert door.records()["ada@example.com"]["age"] == 37, "the later event is not undone by a late repetition"
    assert door.hinted == ["signup", "signup"]


def test_another_body_under_a_used_id_is_refused_and_changes_nothing(door):
    door.event("e1", age=36)
    for body in ({"contact": {"address": "ada@example.com"}, "name": "Ada", "age": 40}, {"name": 1}):
        answer = door.post(body, id="e1")
        assert (answer.status_code, "give each event its own id" in answer.json()["error"]) == (409, True)
    assert door.records()["ada@example.com"]["age"] == 36
    assert [row.status for row in door.stored()] == [EventStatus.ACCEPTED]


def test_an_event_is_on_disk_before_it_is_answered(door):
    """What was answered 202 is there for a process that only has the file."""
    number = door.event("e1")["event"]
    with closing(sqlite3.connect(f"{door.config.state.as_uri()}?mode=ro", uri=True)) as connection:
        assert connection.execute("SELECT status FROM event WHERE id=?", (number,)).fetchone() == ("accepted",)
    with door.keeper() as store:
        assert store.database.value("PRAGMA synchronous") == 2


def test_an_event_that_can_not_be_stored_is_not_answered_as_if_it_were(door, monkeypatch):
    def full(*_):
        raise StateError("the disk is full")

    monkeypatch.setattr(events.Events, "accept", full)
    answer = door.post({"contact": {"address": "ada@example.com"}, "name": "Ada"}, id="e1")
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    assert door.hinted == []


# Bad events

BAD = {
    "a missing key": ({"name": "Ada"}, "email", "is missing", "send it as contact.address"),
    "no email": (
        {"contact": {"address": "ada"}, "name": "Ada"},
        "email",
        "is no email address",
        "send one such as ada@example.com",
    ),
    "a missing required field": ({"contact": {"address": "a@b.c"}}, "name", "is missing", "send it as name"),
    "a blank required field": ({"contact": {"address": "a@b.c"}, "name": None}, "name", "is empty", "send it as name"),
    "too long": ({"contact": {"address": "a@b.c"}, "name": "A" * 21}, "name", "is too long", "send at most 20 characters"),
    "a list for a text": ({"contact": {"address": "a@b.c"}, "name": ["A"]}, "name", "is no text", "send a text"),
    "no number": (
        {"contact": {"address": "a@b.c"}, "name": "A", "age": "x"},
        "age",
        "is no number",
        "send a whole number such as 36",
    ),
    "a fraction": (
        {"contact": {"address": "a@b.c"}, "name": "A", "age": 1.5},
        "age",
        "is no whole number",
        "send one such as 36",
    ),
    "no date": (
        {"contact": {"address": "a@b.c"}, "name": "A", "born": "1.2.1999"},
        "born",
        "is no date",
        "send one such as 2026-01-31",
    ),
    "no offset": (
        {"contact": {"address": "a@b.c"}, "name": "A", "seen": "2026-01-31T10:00"},
        "seen",
        "has no offset",
        "timezone",
    ),
    "no boolean": (
        {"contact": {"address": "a@b.c"}, "name": "A", "agreed": "maybe"},
        "agreed",
        "is neither true nor false",
        "send true",
    ),
    "no choice": ({"contact": {"address": "a@b.c"}, "name": "A", "plan": "gold"}, "plan", "is none of its choices", "free, paid"),
    "no phone": (
        {"contact": {"address": "a@b.c"}, "name": "A", "phone": "call me"},
        "phone",
        "is no phone number",
        "+1 555 0100",
    ),
}


@pytest.mark.parametrize(("body", "field", "wrong", "cure"), BAD.values(), ids=BAD)
def test_a_bad_event_is_told_its_field_and_the_cure_and_kept(door, body, field, wrong, cure):
    answer = door.post(body, id="e1")
    assert answer.status_code == 422
    [fault] = answer.json()["faults"]
    assert (fault["field"], fault["wrong"], cure in fault["cure"]) == (field, wrong, True)
    [kept] = door.stored()
    assert (kept.status, json.loads(kept.body), kept.number) == (EventStatus.REFUSED, body, answer.json()["kept_as"])
    assert kept.why == answer.json()["error"]
    assert door.records() == {}


def test_everything_wrong_with_an_event_is_told_at_once_and_no_value_of_it(door):
    answer = door.post({"contact": {"address": "needle-1"}, "age": "needle-2", "plan": "needle-3"}, id="e1")
    assert [fault["field"] for fault in answer.json()["faults"]] == ["email", "name", "age", "plan"]
    assert "needle" not in answer.text


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"3", b"\xff", b'{"a": 1, "a": 2}', b"<html>", b'{"name": NaN}', b"[" * 1900, b'{"name": 1e999999999}'],
    ids=["empty", "cut", "list", "number", "no-utf8", "twice", "html", "nan", "deep", "huge"],
)
def test_a_body_that_can_not_be_read_is_400_and_kept(door, body):
    answer = door.post(body, id="e1")
    assert (answer.status_code, door.stored()[0].body) == (400, body)


def test_an_event_without_the_id_that_the_config_promises_is_refused(door):
    answer = door.post({"contact": {"address": "a@b.c"}, "name": "A"})
    assert answer.status_code == 400
    assert "send it in the header Idempotency-Key" in answer.json()["error"]


def test_a_bad_event_delivered_again_takes_its_own_place_and_a_good_one_replaces_it(door):
    for _ in range(2):
        door.post({"contact": {"address": "ada@example.com"}}, id="e1")
    assert len(door.stored()) == 1
    door.event("e1")
    [row] = door.stored()
    assert (row.status, row.body, row.why) == (EventStatus.ACCEPTED, None, "")


def test_kept_bad_events_are_bounded(door, monkeypatch):
    """By number and by size: the oldest make room, and the latest is always kept."""
    monkeypatch.setattr(events, "MOST_REFUSED", 3)
    for number in range(5):
        door.post({"name": number}, id=f"e{number}")
    assert [row.event for row in door.stored()] == ["e4", "e3", "e2"]
    monkeypatch.setattr(events, "MOST_REFUSED_BYTES", 10)
    door.post({"name": "a longer one than that"}, id="e5")
    assert [row.event for row in door.stored()] == ["e5"]


# Who may send, and how much


@pytest.mark.parametrize("secret", [None, "", "another-secret", SECRET + "x", SECRET[:-1], "ü"])
def test_without_the_secret_nothing_is_taken_and_nothing_is_kept(door, secret):
    headers = {} if secret is None else {"Authorization": f"Bearer {secret}".encode()}
    answer = door.post({"contact": {"address": "ada@example.com"}, "name": "Ada"}, id="e1", secret=None, **headers)
    assert answer.status_code == 401
    assert SECRET not in answer.text
    assert door.stored() == []


def test_an_unknown_system_and_one_that_is_sent_no_events_are_404(door):
    for name in ("nobody", "office"):
        assert door.post({}, path=f"/ingest/{name}").status_code == 404
    assert door.client.get("/ingest/signup").status_code == 405


def test_a_body_that_is_too_large_is_not_taken_announced_or_not(door):
    large = b'{"name": "' + b"A" * 2000 + b'"}'
    assert door.post(large, id="e1").status_code == 413
    assert door.post(iter([large[:1000], large[1000:]]), id="e1").status_code == 413
    assert door.stored() == []


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/xml", ""])
def test_another_kind_of_body_is_415(door, kind):
    answer = door.post(b"name=Ada", id="e1", Content_Type=kind)
    assert answer.status_code == 415


def test_too_many_events_are_told_when_to_come_again_and_forged_ones_do_not_keep_them_out(tmp_path):
    door = Door(tmp_path, SYSTEMS.replace("max_bytes = 2000", "max_per_minute = 5"))
    forged = [door.post({}, secret="wrong-wrong-wrong-wrong").status_code for _ in range(70)]
    assert (forged.count(401), forged.count(429)) == (60, 10)
    assert [door.post({"name": 1}, id=f"e{n}").status_code for n in range(5)] == [422] * 5
    late = door.post({"name": 1}, id="late")
    assert (late.status_code, late.headers["Retry-After"]) == (429, "12")
    door.clock.time += 12
    assert door.post({"name": 1}, id="late").status_code == 422
    door.keeper.close()


# Other ways to send


def test_a_form_is_taken_and_what_it_leaves_blank_clears_nothing(tmp_path):
    """A browser sends every box of a form, also those that nobody filled in."""
    door = Door(tmp_path, SYSTEMS.replace('from = "contact.address"', "required = true"))
    kind = {"Content_Type": "application/x-www-form-urlencoded; charset=utf-8"}
    door.post(b"email=ada%40example.com&name=Ada&phone=%2B1+555+0199&tags=red&tags=blue&agreed=on", id="e1", **kind)
    answer = door.post("email=ada%40example.com&name=Gräfin&phone=&tags=&age=36".encode(), id="e2", **kind)
    assert answer.status_code == 202
    assert door.records()["ada@example.com"] == {
        "email": "ada@example.com",
        "name": "Gräfin",
        "phone": "+1 555 0199",
        "agreed": True,
        "tags": ["red", "blue"],
        "age": 36,
    }
    twice = door.post(b"email=a%40b.c&email=d%40e.f&name=Ada", id="e3", **kind)
    assert (twice.status_code, twice.json()["faults"][0]["field"]) == (422, "email")
    door.keeper.close()


def test_a_signed_delivery_is_taken_and_a_forged_late_or_changed_one_is_not(tmp_path):
    signed = SYSTEMS.replace('secret = "${SECRET}"', 'secret = "${SIGNING}"\nproof = "standard-webhooks"').replace(
        'event_id = "header:Idempotency-Key"\n', ""
    )
    door = Door(tmp_path, signed)
    body = b'{"contact": {"address": "ada@example.com"}, "name": "Ada"}'
    now = int(door.clock.now())
    genuine = sign(SIGNING, id="msg_1", at=now, body=body)
    hostile = {
        "unsigned": {},
        "another body": sign(SIGNING, id="msg_1", at=now, body=body + b" "),
        "another id": genuine | {"webhook-id": "msg_2"},
        "another secret": sign("whsec_" + b64encode(b"x" * 32).decode(), id="msg_1", at=now, body=body),
        "recorded": sign(SIGNING, id="msg_1", at=now - 301, body=body),
        "ahead": sign(SIGNING, id="msg_1", at=now + 301, body=body),
        "no time": genuine | {"webhook-timestamp": "NaN"},
        "no base64": genuine | {"webhook-signature": "v1,=="},
        "no comma": genuine | {"webhook-signature": "v1"},
        "many": genuine | {"webhook-signature": "v1,AAAA " * 1000},
    }
    for name, headers in hostile.items():
        assert door.post(body, secret=None, **headers).status_code == 401, name
    rotated = genuine | {"webhook-signature": f"v1,AAAA {genuine['webhook-signature']}"}
    assert door.post(body, secret=None, **rotated).status_code == 202
    assert door.post(body, secret=None, **genuine).json()["repeated"] is True
    assert [row.event for row in door.stored()] == ["msg_1"]
    door.keeper.close()


def test_a_secret_in_a_header_of_its_own_and_an_old_one_while_it_is_replaced(tmp_path):
    other = 'secret = "${SECRET}"\nold_secret = "the-one-before-that-44"\nproof = "header:X-Form-Secret"'
    door = Door(tmp_path, SYSTEMS.replace('secret = "${SECRET}"', other))
    body = {"contact": {"address": "ada@example.com"}, "name": "Ada"}
    for number, secret in enumerate((SECRET, "the-one-before-that-44")):
        assert door.post(body, id=f"e{number}", secret=None, X_Form_Secret=secret).status_code == 202
    assert door.post(body, id="e3").status_code == 401
    door.keeper.close()


def test_a_public_system_takes_events_from_anybody(tmp_path):
    door = Door(tmp_path, SYSTEMS.replace('secret = "${SECRET}"', "public = true"))
    assert door.post({"contact": {"address": "a@b.c"}, "name": "A"}, id="e1", secret=None).status_code == 202
    door.keeper.close()


# The config


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('secret = "${SECRET}"', "", "there is no secret"),
        ('secret = "${SECRET}"', 'secret = "short"', "has less than 16 characters"),
        ('secret = "${SECRET}"', 'secret = "${SECRET}"\npublic = true', "keep one of them"),
        ('secret = "${SECRET}"', 'secret = "${SECRET}"\nproof = "standard-webhooks"', "secret is not whsec_ and base64"),
        ('secret = "${SECRET}"', 'secret = "${SECRET}"\nproof = "basic"', "write \"bearer\""),
        ('key = "email"', 'key = "mail"', "key names 'mail'"),
        ('key = "email"', 'key = "tags"', "a key is a single value"),
        ('key = "email"\n', "", "key is missing"),
        ('age = "integer"', 'age = "number"', "number"),
        ('age = "integer"', 'age = "reference"', "events hold no references"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_told_with_its_cure(tmp_path, old, new, said):
    (tmp_path / "sync.toml").write_text(SYSTEMS.replace(old, new) + PAIR)
    with pytest.raises(ConfigError) as refused:
        load(tmp_path / "sync.toml", environ={"SECRET": SECRET}, registry=Registry.installed())
    assert said in str(refused.value)
    assert SECRET not in str(refused.value)


def test_before_the_first_event_a_plan_and_a_check_see_an_empty_queue(tmp_path):
    door = Door(tmp_path)
    with App.open(door.config, read_only_state=True) as app:
        [plan] = app.plan()
        assert plan.counts == {}
        assert app.check().exit is Exit.DONE
    assert not door.config.state.exists()
