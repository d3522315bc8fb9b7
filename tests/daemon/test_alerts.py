"""Alerts: what is wrong is told once, with the reason and where to look; what could not be told is told later; recovery too."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest

from syncengine.config import load
from syncengine.daemon.alerts import Alerts, receiver_of
from syncengine.engine.report import Exit
from syncengine.errors import AuthError, ConfigError, TransientError
from syncengine.http.signatures import prove_signed
from syncengine.registry import Registry
from tests.support.household import START, Household, pair, tell
from tests.support.receiver import Receiver

SECRET = "whsec_" + b64encode(b"s" * 32).decode()
DAY = 86_400.0


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


class Home(Household):
    """A household whose alerts go to a receiver; `look` is the chore, done now."""

    def __init__(self, folder, receiver, *more, daemon=""):
        pairs = pair("people", 'schedule = "every 10 minutes"', *more)
        self.receiver = receiver
        super().__init__(folder, pairs, f'jitter = 0\n{daemon}\n[daemon.alerts]\nurl = "{receiver.url}"\nsecret = "{SECRET}"')

    def begin(self):
        super().begin()
        self.alerts = Alerts(lambda: self.service.config, self.service, self.clock, lambda: receiver_of(self.service.config))
        self.service.listeners = [*self.service.listeners, self.alerts.heard]

    def look(self):
        app = self.open_app()
        try:
            self.alerts.chore.work(app, self.clock.now())
        finally:
            app.close()
        return self.receiver.told()

    def restart(self):
        self.end()
        self.begin()


@pytest.fixture
def home(tmp_path, receiver):
    with Home(tmp_path, receiver) as made:
        made.people("one").insert(email="ada@example.com", name="needle-ada")
        made.live(1)
        assert made.look() == []
        yield made


def last(receiver):
    return json.loads(receiver.deliveries[-1][1])


def test_a_failure_is_told_once_and_so_is_the_recovery(home, receiver):
    home.fail("two", AuthError("the key is refused; check it"))
    home.live(600, step=30)
    assert home.look() == [("failed", "people")]
    document = last(receiver)
    assert document["data"] | {"since": ""} == {
        "pair": "people",
        "condition": "failed",
        "reason": "the key is refused; check it",
        "since": "",
        "command": "syncengine log 2",
    }
    assert document["text"] == "syncengine: people failed: the key is refused; check it (syncengine log 2)"
    home.live(3 * 3600, step=30)
    assert home.look() == [("failed", "people")], "it goes on failing, and everybody knows"
    home.fail("two", None)
    home.live(2 * 3600, step=30)
    assert home.look() == [("failed", "people"), ("recovered", "people")]
    assert home.look() == [("failed", "people"), ("recovered", "people")]


def test_a_pair_without_a_schedule_has_recovered_when_a_look_at_one_record_went_through(tmp_path, receiver):
    with Home(tmp_path, receiver) as home:
        home.configure(pair("people"), f'jitter = 0\n[daemon.alerts]\nurl = "{receiver.url}"\nsecret = "{SECRET}"')
        home.restart()
        ada = home.people("one").insert(email="ada@example.com", name="Ada")
        home.service.ask_run("people")
        home.work()
        home.fail("two", AuthError("the key is refused; check it"))
        tell(home, ada)
        home.live(1)
        assert home.look() == [("failed", "people")]
        home.restart()
        home.fail("two", None)
        home.live(60)
        assert home.look() == [("failed", "people"), ("recovered", "people")]


def test_a_restart_repeats_nothing_and_forgets_nothing(home, receiver):
    home.fail("two", AuthError("the key is refused"))
    home.live(600, step=30)
    assert home.look() == [("failed", "people")]
    home.restart()
    assert home.look() == [("failed", "people")]
    home.fail("two", None)
    home.restart()
    assert home.look() == [("failed", "people")], "nothing has run yet that would show it recovered"
    home.live(7200, step=30)
    assert home.look() == [("failed", "people"), ("recovered", "people")]


def test_a_refused_run_is_told_until_a_whole_run_goes_through(tmp_path, receiver):
    """A look at some records, because of a hint, tells nothing of the rest."""
    with Home(tmp_path, receiver, 'deletes = "propagate"', "guards.deletes = { number = 1 }") as home:
        for number in range(30):
            home.people("one").insert(email=f"p{number}@example.com", name="needle-x")
        home.live(1)
        for id_ in list(home.people("one").records())[:10]:
            home.people("one").remove(id_)
        home.live(600, step=30)
        told = home.look()
        assert told == [("refused", "people")]
        assert last(receiver)["data"]["reason"] == "10 deletes of 30 links is above the limit (5% and 1)"
        app = home.open_app()
        assert app.look_at("people", {}).exit is Exit.DONE
        approval = next(line.report["approval"] for line in app.desk.runs(10) if line.report["refused"])
        app.close()
        assert home.look() == told
        home.restart()
        assert home.look() == told
        home.service.ask_run("people", approve=approval)
        home.work()
        assert home.look() == [*told, ("recovered", "people")]


def alerting(receiver):
    return f'jitter = 0\n[daemon.alerts]\nurl = "{receiver.url}"\nsecret = "{SECRET}"'


def test_questions_are_told_at_first_and_when_they_have_doubled(home, receiver):
    home.people("one").insert(email="bob@example.com", name="Bob")
    home.live(600, step=30)

    def conflicts(count):
        for number in range(count):
            for side in ("one", "two"):
                rows = home.people(side).records()
                id_ = next((id_ for id_, row in rows.items() if row["email"] == f"c{number}@example.com"), None)
                if id_ is None:
                    home.people(side).insert(email=f"c{number}@example.com", name=f"needle-{side}")
        home.live(600, step=30)
        return home.look()

    assert conflicts(2) == [("degraded", "people")]
    assert last(receiver)["data"]["reason"] == "2 questions in the inbox"
    assert last(receiver)["data"]["command"] == "syncengine conflicts list people"
    assert conflicts(3) == [("degraded", "people")]
    assert conflicts(4) == [("degraded", "people")] * 2
    assert conflicts(5) == [("degraded", "people")] * 2
    app = home.open_app()
    for entry in app.desk.conflicts():
        app.desk.resolve(entry.id, "left")
    app.close()
    home.live(1200, step=30)
    assert home.look()[2:] == [("recovered", "people")]


def test_a_pair_that_stood_still_for_too_long_is_degraded(tmp_path, receiver):
    with Home(tmp_path, receiver) as home:
        home.live(1)
        assert home.look() == []
        home.clock.time += DAY + 60  # the process stood still, or a run hangs
        assert home.look() == [("degraded", "people")]
        assert last(receiver)["data"]["reason"] == "the last good run began 24 h 1 min ago (the limit is 24 h 0 min)"
        home.live(1)
        assert home.look() == [("degraded", "people"), ("recovered", "people")]


def test_what_stood_still_while_no_daemon_ran_is_no_news(tmp_path, receiver):
    with Home(tmp_path, receiver) as home:
        home.live(1)
        home.end()
        home.clock.time += 30 * DAY
        home.begin()
        assert home.look() == []


def test_what_can_not_be_delivered_is_tried_again_later_under_the_same_id(home, receiver):
    receiver.answer = 503
    home.fail("two", AuthError("refused"))
    home.live(600, step=30)
    for _ in range(4):
        home.look()
    assert len(receiver.deliveries) == 1, "not before its time has come"
    for pause in (30, 60, 120):
        home.clock.time += pause
        home.look()
    assert len(receiver.deliveries) == 4
    receiver.answer = 200
    home.clock.time += 240
    home.look()
    home.clock.time += DAY / 2
    home.look()
    assert len(receiver.deliveries) == 5
    assert len({headers["webhook-id"] for headers, _ in receiver.deliveries}) == 1


def test_what_was_over_before_anybody_could_be_told_is_not_told(home, receiver):
    receiver.answer = 500
    home.fail("two", AuthError("refused"))
    home.live(600, step=30)
    home.look()
    home.fail("two", None)
    home.live(7200, step=30)
    receiver.answer = 200
    before = len(receiver.deliveries)
    home.look()
    assert len(receiver.deliveries) == before


def test_a_receiver_that_is_not_there_hurts_nobody(tmp_path):
    receiver = Receiver()
    receiver.close()
    with Home(tmp_path, receiver) as home:
        home.fail("two", TransientError("down"))
        home.live(3600, step=60)
        home.look()
        home.fail("two", None)
        assert home.live(7200, step=60)[-1].trouble == ""


def test_deliveries_are_signed_and_hold_no_record(home, receiver):
    home.fail("two", AuthError("refused"))
    home.live(600, step=30)
    home.look()
    [(headers, body)] = receiver.deliveries
    prove_signed([SECRET], headers, body, now=home.clock.now())
    assert receiver.paths == ["/alerts?channel=ops"]
    assert b"needle" not in body
    assert b"ada@" not in body


def test_a_redirect_is_not_followed(home, receiver):
    other = Receiver()
    receiver.answer, receiver.location = 307, other.url
    home.fail("two", AuthError("refused"))
    home.live(600, step=30)
    home.look()
    assert (len(receiver.deliveries), other.deliveries) == (1, [])
    other.close()


def test_two_pairs_are_told_apart_and_one_that_left_the_config_is_forgotten(tmp_path, receiver):
    both = pair("people", 'schedule = "every 10 minutes"') + pair(
        "staff", 'schedule = "every 10 minutes"', left="one.staff", right="three.staff"
    )
    with Home.__new__(Home) as home:
        home.receiver = receiver
        Household.__init__(home, tmp_path, both, alerting(receiver), worlds="one two three")
        home.live(1)
        home.fail("three", AuthError("refused"))
        home.live(600, step=30)
        assert home.look() == [("failed", "staff")]
        home.configure(pair("people", 'schedule = "every 10 minutes"'), alerting(receiver))
        home.restart()
        home.live(600, step=30)
        assert home.look() == [("failed", "staff")]
        app = home.open_app()
        assert app.store.alerts.all() == {}
        app.close()
        assert home.clock.now() > START


@pytest.mark.parametrize(
    ("alerts", "place"),
    [
        ('url = "http://example.com/hook"', "daemon.alerts.url"),
        ('url = "https://me:secret@example.com/hook"', "daemon.alerts.url"),
        ('url = "ftp://example.com"', "daemon.alerts.url"),
        (f'url = "https://example.com"\nsecret = "{"no base 64 " * 4}"', "daemon.alerts.secret"),
    ],
)
def test_an_address_or_a_secret_that_can_not_be_used_is_a_config_error(tmp_path, alerts, place):
    path = tmp_path / "house.toml"
    path.write_text(
        '[systems.a]\nconnector = "csv"\npath = "a.csv"\n[systems.b]\nconnector = "csv"\npath = "b.csv"\n'
        + pair(left="a.a", right="b.b")
        + f"[daemon.alerts]\n{alerts}\n"
    )
    with pytest.raises(ConfigError) as refused:
        receiver_of(load(path, environ={}, registry=Registry.installed()))
    [problem] = refused.value.problems
    assert problem.place == place
    assert problem.cure
