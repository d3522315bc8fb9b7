"""Section 14.8 of records-api.md: trouble on request, really at the level of the connection; and the rate limit (12)."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from connectors.kizen.server import Fault
from tests.connectors.records_server.client import COMPANIES, CONTACTS, NO_TLS, Client, Clock, Sleeper

ADD = f"/records/{COMPANIES}/add"


def add(api: Client) -> httpx.Response:
    return api.post(ADD, {"fields": [{"name": "name", "value": "Acme"}]})


def live(api: Client) -> int:
    return len(api.server.records(COMPANIES))


# The connection


@pytest.mark.parametrize(("committed", "records"), [(False, 0), (True, 1)])
def test_a_reset_is_a_reset(api: Client, committed: bool, records: int) -> None:
    """Before the commit nothing happened, after it everything did; the caller sees the same: ECONNRESET."""
    api.server.fault("reset", method="POST", path="/add$", committed=committed)
    with pytest.raises(httpx.ReadError):
        add(api)

    assert live(api) == records
    assert [one.status for one in api.server.requests.writes(COMPANIES)] == [0]
    assert add(api).status_code == 201


def test_a_truncated_body_ends_early(api: Client) -> None:
    """The headers promise more than comes; the write has happened."""
    api.server.fault("truncate", path="/add$")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        add(api)

    assert live(api) == 1


def test_a_lost_request_may_arrive_later(api: Client, clock: Clock) -> None:
    """A timed-out write that is applied afterwards: the hazard that no retry may ignore."""
    api.server.fault("late", path="/add$", seconds=30)
    with pytest.raises(httpx.ReadError):
        add(api)
    assert live(api) == 0
    clock.advance(29)
    assert live(api) == 0
    clock.advance(1)

    assert api.names(COMPANIES) == ["Acme"]


# Answers


@pytest.mark.parametrize(("committed", "records"), [(False, 0), (True, 1)])
@pytest.mark.parametrize("status", [500, 502, 503])
def test_server_errors(api: Client, status: int, committed: bool, records: int) -> None:
    """Before or after the effect: a 5xx says nothing about what happened."""
    api.server.fault("error", path="/add$", status=status, committed=committed)

    assert add(api).status_code == status
    assert live(api) == records


def test_an_html_page_instead_of_json(api: Client) -> None:
    """Section 2.3: proxies answer with HTML."""
    api.server.fault("html", path="/search$")
    answer = api.post(f"/records/{COMPANIES}/search")

    assert answer.status_code == 502
    assert answer.headers["content-type"].startswith("text/html")


def test_garbage_instead_of_json(api: Client) -> None:
    """200, and no JSON; the effect has happened."""
    api.server.fault("garbage", path="/add$")
    answer = add(api)

    assert answer.status_code == 200
    with pytest.raises(ValueError, match="Unterminated"):
        answer.json()
    assert live(api) == 1


@pytest.mark.parametrize("status", [409, 400])
def test_an_archive_race(api: Client, status: int) -> None:
    """C6: somebody else archives the record at this moment; nothing is written."""
    api.server.switch("archive_race", status)
    record_id = api.new(COMPANIES, name="Acme")
    api.server.fault("conflict", method="PATCH")
    answer = api.write(COMPANIES, record_id, name="Bolt")

    assert (answer.status_code, answer.json()["code"]) == (status, "conflict")
    assert api.read(COMPANIES, record_id)["name"] == "Acme"


def test_an_empty_listing(api: Client) -> None:
    """200 OK with nothing in it: no proof of absence."""
    api.server.add_people(30)
    api.server.fault("empty", path="/search$")
    body = api.post(f"/records/{CONTACTS}/search").json()

    assert (body["count"], body["results"], body["next"]) == (0, [], None)
    assert len(api.search(CONTACTS)) == 30


def test_a_short_page(api: Client) -> None:
    """Rows are missing without a word; the count tells."""
    api.server.add_people(30)
    api.server.fault("short", path="/search$")
    body = api.post(f"/records/{CONTACTS}/search").json()

    assert (body["count"], len(body["results"])) == (30, 15)


@pytest.mark.parametrize("form", [None, 7, "date"])
def test_throttling(api: Client, clock: Clock, form: Any) -> None:
    """429 without Retry-After, with seconds, with an HTTP date."""
    api.server.fault("throttle", retry_after=form)
    answer = add(api)

    assert answer.status_code == 429
    assert live(api) == 0
    if form is None:
        assert "retry-after" not in answer.headers
    elif form == "date":
        assert (parsedate_to_datetime(answer.headers["retry-after"]) - clock()).total_seconds() == 1
    else:
        assert answer.headers["retry-after"] == "7"


@pytest.mark.parametrize("committed", [False, True])
def test_latency(api: Client, sleeper: Sleeper, committed: bool) -> None:
    """It waits before or after the effect, with the sleep that was handed in."""
    api.server.fault("latency", seconds=3, committed=committed, times=2)

    assert (add(api).status_code, add(api).status_code) == (201, 201)
    assert sleeper.slept == [3, 3]


def test_latency_and_another_fault_come_together(api: Client, sleeper: Sleeper) -> None:
    api.server.fault("latency", seconds=1)
    api.server.fault("error", status=503)

    assert add(api).status_code == 503
    assert sleeper.slept == [1]
    assert api.server.requests[-1].fault == "latency+error"


# Which requests


def test_a_fault_hits_the_requests_it_is_meant_for(api: Client) -> None:
    """By method and path, so many times, after so many were spared."""
    api.server.fault("error", method="POST", path="/add$", skip=1, times=2)

    assert api.get("/team").status_code == 200
    assert [add(api).status_code for _ in range(5)] == [201, 500, 500, 201, 201]


def test_faults_of_the_same_request_take_turns(api: Client) -> None:
    """One trouble a request, in the order in which they were armed."""
    api.server.fault("error", status=500)
    api.server.fault("error", status=503)

    assert [add(api).status_code for _ in range(3)] == [500, 503, 201]


def test_seeded_faults_are_reproducible(start: Callable[..., Client]) -> None:
    """By probability, the same for the same seed, until calm."""

    def run(seed: int) -> list[int]:
        api = start(seed=seed)
        api.server.fault("error", probability=0.3, times=None)
        statuses = [api.get("/team").status_code for _ in range(40)]
        api.server.calm()
        assert api.get("/team").status_code == 200
        return statuses

    first = run(1)

    assert first == run(1) != run(2)
    assert 2 < first.count(500) < 25


def test_pages_and_control_are_never_spoiled(api: Client) -> None:
    """Faults and the rate limit are for the API."""
    api.server.fault("error", times=None)

    assert httpx.get(api.server.page_url, verify=NO_TLS).status_code == 200


@pytest.mark.parametrize(
    "wrong", [{"kind": "flood"}, {"kind": "error", "status": 200}, {"kind": "error", "path": "("}, {"kind": "error", "speed": 1}]
)
def test_wrong_faults_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="fault"):
        Fault.of(wrong)


# Rate


def statuses(api: Client, number: int) -> list[int]:
    return [api.get("/team").status_code for _ in range(number)]


def test_the_rate_limit(start: Callable[..., Client], clock: Clock) -> None:
    """R requests a second; above it 429 with Retry-After; refused ones do not count."""
    api = start(rate=4)

    assert statuses(api, 6) == [200] * 4 + [429] * 2
    answer = api.get("/team")
    assert answer.headers["retry-after"] == "1"
    assert api.server.requests[-1].fault == "rate"
    clock.advance(0.5)
    assert statuses(api, 3) == [200, 200, 429]


def test_a_caller_at_exactly_the_rate_is_never_refused(start: Callable[..., Client], clock: Clock) -> None:
    """All of R is usable."""
    api = start(rate=5, switches={"rate_burst": 1})
    answers = []
    for _ in range(40):
        answers += statuses(api, 1)
        clock.advance(0.2)

    assert set(answers) == {200}


@pytest.mark.parametrize(("form", "header"), [("none", None), ("date", "GMT")])
def test_the_form_of_retry_after(start: Callable[..., Client], form: str, header: str | None) -> None:
    """Not documented (section 12): switch."""
    api = start(rate=1, switches={"rate_retry_after": form})
    statuses(api, 1)
    given = api.get("/team").headers.get("retry-after")

    assert (given or "").endswith(header or "")
    assert (given is None) == (header is None)


def test_the_rate_can_be_changed_and_lifted(start: Callable[..., Client]) -> None:
    api = start(rate=1)
    assert statuses(api, 2) == [200, 429]
    api.server.switch("rate", 3)
    assert statuses(api, 4) == [200, 200, 200, 429]
    api.server.switch("rate", 0)
    assert statuses(api, 9) == [200] * 9
