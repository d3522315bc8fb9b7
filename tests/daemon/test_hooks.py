"""Webhooks in: proved, stored before they are answered, gathered, limited; a hint and never data."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from base64 import b64encode
from contextlib import closing

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from syncengine.connector import Hint
from syncengine.core.model import Side
from syncengine.daemon.hooks import MOST_BYTES, MOST_RECORDS, Gatherer, hook_route, hooks_of
from syncengine.daemon.keeper import StateKeeper
from syncengine.daemon.rate import Rate
from syncengine.errors import ConfigError, TransientError
from syncengine.http.signatures import sign
from syncengine.store.hints import Told
from tests.support.asgi import Caller
from tests.support.household import Household, pair

SIGNING = "whsec_" + b64encode(b"k" * 32).decode()
OLD = "whsec_" + b64encode(b"o" * 32).decode()
TWO_PAIRS = pair("people", 'schedule = "every 1 hour"') + pair("copies", 'schedule = "every 1 hour"', right="three.people")


class Door:
    """The route over a household, with what was told to the service."""

    def __init__(self, house):
        config = house.service.config
        self.house = house
        self.told = []
        self.keeper = StateKeeper(lambda: config.state, house.clock)
        self.hooks = hooks = hooks_of(config, house._registry, house.clock)
        gatherer = Gatherer(self.keeper, lambda pairs: (self.told.extend(pairs), house.service.told(pairs)))
        self.app = Starlette(routes=[hook_route(lambda: hooks, gatherer, house.clock)])
        self.caller = Caller(self.app)

    def post(self, system, body, headers=None):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.caller.post(f"/hooks/{system}", content=content, headers=headers or {})

    def delivered(self, id_, event, world="one"):
        """As the world's own system sends it."""
        headers, body = self.house.worlds[world].delivery(Hint(resource="people", id=id_, event=event))
        return self.post(world, body, headers)

    def signed(self, body, *, id="msg_1", secret=SIGNING, at=None, system="two"):
        content = json.dumps(body).encode()
        at = int(self.house.clock.now()) if at is None else at
        return self.post(system, content, sign(secret, id=id, at=at, body=content))

    def stored(self):
        with closing(sqlite3.connect(self.house.service.config.state)) as state:
            return state.execute("SELECT pair, side, record FROM hint ORDER BY pair, side, record").fetchall()


@pytest.fixture
def door(tmp_path):
    with Household(
        tmp_path, TWO_PAIRS, f'jitter = 0\n[daemon.hooks.two]\nsecret = ["{SIGNING}", "{OLD}"]', worlds="one two three"
    ) as house:
        found = Door(house)
        yield found
        found.keeper.close()


# What is let in


def test_a_delivery_that_its_connector_verifies_is_stored_for_every_pair_of_its_resource(door):
    assert door.delivered("7", "e1").status_code == 202
    assert door.stored() == [("copies", "left", "7"), ("people", "left", "7")]
    assert sorted(door.told) == ["copies", "people"]


def test_the_record_is_read_from_its_system_whatever_the_delivery_says(door):
    ada = door.house.people("one").insert(email="ada@example.com", name="Ada")
    door.house.live(1)
    door.house.people("one").edit(ada, name="Ada L")
    headers, body = door.house.worlds["one"].delivery(Hint(resource="people", id=ada, event="e"))
    assert door.post("one", body, headers).status_code == 202
    door.house.work()
    assert [each["name"] for each in door.house.people("two").records().values()] == ["Ada L"]


def test_a_signed_delivery_names_one_record_or_many(door):
    assert door.signed({"resource": "people", "id": "1"}).json() == {"status": "accepted"}
    many = {"records": [{"resource": "people", "id": str(n)} for n in range(2, 5)]}
    assert door.signed(many, id="msg_2").status_code == 202
    assert [record for _, _, record in door.stored()] == ["1", "2", "3", "4"]


def test_both_secrets_are_good_while_one_replaces_the_other(door):
    assert door.signed({"resource": "people", "id": "1"}, secret=OLD).status_code == 202
    third = "whsec_" + b64encode(b"t" * 32).decode()
    assert door.signed({"resource": "people", "id": "2"}, id="m2", secret=third).status_code == 401


def test_a_shared_secret_does_where_a_sender_cannot_sign(door):
    body = {"resource": "people", "id": "1"}
    assert door.post("two", body, {"Authorization": f"Bearer {SIGNING}"}).status_code == 202
    for wrong in (f"Bearer {SIGNING}x", f"Basic {SIGNING}", "Bearer", SIGNING, ""):
        assert door.post("two", body, {"Authorization": wrong}).status_code == 401
    assert door.post("two", body).status_code == 401


def test_a_resource_that_no_pair_has_is_taken_and_forgotten(door):
    assert door.signed({"resource": "elsewhere", "id": "1"}).json() == {"status": "nothing to look at"}
    assert door.stored() == []


# What is kept out


@pytest.mark.parametrize(("late", "status"), [(-299, 202), (299, 202), (-301, 401), (301, 401)])
def test_a_recorded_delivery_is_of_no_use_for_long(door, late, status):
    assert door.signed({"resource": "people", "id": "1"}, at=int(door.house.clock.now()) + late).status_code == status


def test_a_delivery_counts_once_also_after_a_restart(door):
    assert door.signed({"resource": "people", "id": "1"}).json() == {"status": "accepted"}
    assert door.signed({"resource": "people", "id": "1"}).json() == {"status": "repeated"}
    again = Door(door.house)
    assert again.signed({"resource": "people", "id": "1"}).json() == {"status": "repeated"}
    assert again.told == []
    again.keeper.close()


def test_a_sender_that_gives_all_its_deliveries_one_id_is_heard_all_the_same(door):
    """Administrators put a fixed text where an id belongs; the records still differ."""
    for n in range(3):
        assert door.delivered(str(n), "updated").json() == {"status": "accepted"}
    assert len(door.stored()) == 6


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_no_bit_of_a_signed_delivery_can_be_changed(door, data):
    body = json.dumps({"resource": "people", "id": "1"}).encode()
    headers = sign(SIGNING, id="msg_1", at=int(door.house.clock.now()), body=body)
    part = data.draw(st.sampled_from(["body", *headers]))
    text = bytearray(body if part == "body" else headers[part].encode())
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] ^= 1 << data.draw(st.integers(0, 6))
    if part == "body":
        body = bytes(text)
    else:
        value = bytes(text).decode("latin-1")
        if not value.isprintable() or value != value.strip():
            return
        headers[part] = value
    before = door.stored()
    answer = door.post("two", body, headers)
    assert answer.status_code in (401, 429)
    assert door.stored() == before


HOSTILE = [
    b"", b"{", b"null", b"[]", b'"x"', b"{}", b'{"resource": "people"}', b'{"resource": 1, "id": "1"}', b'{"resource": "people", "id": ""}',
    b'{"records": 5}', b'{"records": [5]}', b'{"records": null}', b"\xff\xfe", b"<html>", b"[" * 10_000, b'{"a": NaN}', b"1e999999",
    b'{"resource": "people", "id": "1", "id": "2"}',
    json.dumps({"records": [{"resource": "people", "id": "1"}] * (MOST_RECORDS + 1)}).encode(),
]  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: repr(body[:24]))
def test_a_genuine_delivery_that_names_no_record_is_told_so(door, body):
    answer = door.post("two", body, sign(SIGNING, id="m", at=int(door.house.clock.now()), body=body))
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("the delivery is genuine, but")
    assert door.stored() == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(st.binary(max_size=300), st.dictionaries(st.sampled_from(
    ["webhook-id", "webhook-timestamp", "webhook-signature", "authorization", "x-memory-signature", "content-type", "content-length"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40)), st.sampled_from(["one", "two", "three", "four", "%00", ".."]))  # fmt: skip
def test_whatever_a_stranger_sends_nothing_is_stored_and_nothing_breaks(door, body, headers, system):
    headers.pop("content-length", None)
    answer = door.post(system, body, headers)
    assert answer.status_code in (400, 401, 404, 429)
    assert "Traceback" not in answer.text
    assert door.stored() == []


def test_a_connector_that_chokes_on_a_delivery_breaks_nothing(door):
    for body in (b"{", b"[]", b"{}", b"\xff"):
        headers = {"X-Memory-Signature": door.house.worlds["one"].signature(body)}
        assert door.post("one", body, headers).status_code == 400
    hook = hooks_of(door.house.service.config, door.house._registry, door.house.clock)["one"]

    class Broken:
        def hints(self, headers, body):
            raise TransientError("ada@example.com")

    hook._connector = Broken()
    with pytest.raises(Exception, match="could not read the delivery") as caught:
        hook.hear({}, b"")
    assert "ada" not in str(caught.value)


def test_too_much_is_not_read(door):
    assert door.post("two", b"x" * (MOST_BYTES + 1)).status_code == 413
    huge = [b"x" * 65_536] * 8

    async def chunks():
        for chunk in huge:
            yield chunk

    async def send():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=door.app), base_url="http://x") as client:
            return (await client.post("/hooks/two", content=chunks())).status_code

    assert asyncio.run(send()) == 413


def test_strangers_use_up_no_room_of_genuine_senders(door):
    answers = [door.post("one", b"{}").status_code for _ in range(70)]
    assert answers[:60] == [401] * 60
    assert answers[60:] == [429] * 10
    assert door.delivered("7", "e1").status_code == 202
    door.house.clock.time += 1.0
    assert door.post("one", b"{}").status_code == 401


def test_a_flood_of_genuine_deliveries_is_slowed_and_told_when_to_come_again(door):
    door.hooks["one"].rate = Rate(60, door.house.clock.monotonic)
    answers = [door.delivered(str(n % 7), None) for n in range(65)]
    assert [each.status_code for each in answers] == [202] * 60 + [429] * 5
    assert answers[-1].headers["retry-after"] == "2"
    assert len(door.stored()) == 14
    door.house.clock.time += 2.0
    assert door.delivered("7", None).status_code == 202


def test_only_what_is_posted_counts(door):
    assert door.caller.get("/hooks/two").status_code == 405


# Storing


def test_deliveries_that_come_in_together_share_commits(door):
    commits = []
    with door.keeper() as store:
        store.database._on_commit = commits.append
    gatherer = Gatherer(door.keeper, door.told.extend)

    async def burst():
        told = [Told(system="one", event=str(n), at=1.0, records=[("people", Side.LEFT, str(n))]) for n in range(100)]
        return await asyncio.gather(*(gatherer.add(each) for each in told))

    assert asyncio.run(burst()) == [True] * 100
    assert len(door.stored()) == 100
    assert commits.count("after") <= 3


def test_what_cannot_be_stored_is_not_answered_as_if_it_were(door):
    door.keeper.close()
    state = door.house.service.config.state
    for worker in door.house.workers:
        worker.close()
    state.rename(state.with_name("hidden"))
    state.mkdir()
    answer = door.delivered("7", "e1")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "folder" not in answer.text
    state.rmdir()
    state.with_name("hidden").rename(state)
    assert door.delivered("7", "e1").json() == {"status": "accepted"}


def test_the_order_of_deliveries_does_not_matter(door):
    """Whatever comes when, and however often: both sides are the same in the end."""
    chance = random.Random(7)
    ids = [door.house.people("one").insert(email=f"p{n}@example.com", name=str(n)) for n in range(8)]
    door.house.live(1)
    deliveries = []
    for turn in range(24):
        id_ = chance.choice(ids)
        door.house.people("one").edit(id_, name=f"turn {turn}")
        deliveries += [(id_, str(turn))] * chance.choice((1, 2))
    chance.shuffle(deliveries)
    for id_, event in deliveries:
        door.delivered(id_, event)
        if chance.random() < 0.3:
            door.house.work()
    door.house.work()
    left = sorted((each["email"], each["name"]) for each in door.house.people("one").records().values())
    for world in ("two", "three"):
        assert sorted((each["email"], each["name"]) for each in door.house.people(world).records().values()) == left


def test_a_secret_that_cannot_sign_is_a_mistake_in_the_config(tmp_path):
    with pytest.raises(ConfigError) as caught:
        Household(
            tmp_path,
            pair(),
            '[daemon.hooks.two]\nsecret = "canary-secret-of-enough-characters"\n[daemon.hooks.tow]\nsecret = "whsec_x"',
        )
    assert {problem.place for problem in caught.value.problems} == {
        "daemon.hooks.two.secret",
        "daemon.hooks.tow",
        "daemon.hooks.tow.secret",
    }
    assert "canary" not in str(caught.value)
