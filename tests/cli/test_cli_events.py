"""`events`: what was sent is listed and shown; a refused event is taken up again or dropped."""

import hashlib
import json
from contextlib import closing

import pytest

from syncengine.config import load
from syncengine.registry import Registry
from syncengine.store.events import Delivery
from syncengine.store.store import Store

CONFIG = """
[systems.signup]
connector = "events"
key = "email"
public = true
[systems.signup.fields]
email = "email"
name = "text"
age = "integer"
[systems.office]
connector = "jsonl"
path = "people.jsonl"
fields = { email = "text", name = "text" }
[pairs.signup]
left = "signup.events"
right = "office.people"
match = "email"
direction = "left_to_right"
[pairs.signup.fields]
email = "email"
name = "name"
"""

NOW = 1_800_000_000.0
BODY = b'{"email": "ada@example.com", "name": "Ada", "age": "about 36"}'


@pytest.fixture
def sent(desk):
    """One accepted event, number 1, and one refused, number 2."""
    (desk.folder / "people.jsonl").write_text("")
    path = desk.folder / "syncengine.toml"
    path.write_text(CONFIG)
    config = load(path, environ={}, registry=Registry.installed())

    def delivery(number):
        digest = hashlib.blake2b(bytes([number]), digest_size=16).digest()
        return Delivery(system="signup", event=f"e{number}", digest=digest, form="json", at=NOW)

    with closing(Store.open(config.state, now=NOW)) as store:
        store.events.accept(delivery(1), "bob@example.com", {"email": "bob@example.com", "name": "Bob"})
        store.events.refuse(delivery(2), BODY, "field 'age' is no number: send a whole number such as 36")
    return path


def test_events_are_listed_with_what_became_of_them(sent, here):
    code, out, _ = here("events", "list")
    assert code == 4
    lines = out.splitlines()
    assert lines[0].split()[:4] == ["event", "system", "received", "outcome"]
    assert lines[1].split()[:2] == ["2", "signup"]
    assert "send a whole number such as 36" in lines[1]
    assert lines[2].split()[-2:] == ["accepted", "bob@example.com"]
    code, out, _ = here("events", "list", "signup", "--refused", "--json")
    [row] = json.loads(out)["events"]
    assert (code, row["event"], row["id"], row["outcome"]) == (4, 2, "e2", "refused")
    assert here("events", "list", "--limit", "1", "--refused")[1].count("\n") == 2


def test_an_event_is_shown_with_its_fields_or_its_body(sent, here):
    assert 'name: "Bob"' in here("events", "show", "1")[1] or "name: Bob" in here("events", "show", "1")[1]
    code, out, _ = here("events", "show", "2")
    assert (code, BODY.decode() in out, "syncengine events retry 2" in out) == (0, True, True)
    assert json.loads(here("events", "show", "2", "--json")[1])["body"] == BODY.decode()


def test_a_refused_event_is_accepted_once_the_config_takes_it(sent, here, desk):
    code, out, _ = here("events", "retry", "2")
    assert (code, "still bad" in out) == (4, True)
    sent.write_text(CONFIG.replace('age = "integer"', 'age = "text"'))
    code, out, err = here("events", "retry", "2")
    assert (code, out, err) == (0, "Event 2: accepted for ada@example.com\n", "")
    assert here("events", "list", "--refused")[1] == "No event was refused.\n"
    assert here("sync")[0] == 0
    assert {json.loads(line)["name"] for line in (desk.folder / "people.jsonl").read_text().splitlines()} == {"Ada", "Bob"}


def test_a_refused_event_is_dropped_and_an_accepted_one_is_not(sent, here):
    code, _, err = here("events", "drop", "2", "1")
    assert (code, "event 1 was accepted" in err) == (1, True)
    assert here("events", "drop", "2")[1] == "Dropped 1 event.\n"
    code, _, err = here("events", "show", "2")
    assert (code, "there is no event 2" in err) == (1, True)


def test_a_system_that_is_sent_no_events_is_named(sent, here):
    code, _, err = here("events", "list", "office")
    assert code == 1
    assert "those that are: signup" in err
