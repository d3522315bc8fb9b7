"""
What can go wrong between us and a CRM, over real sockets: each fault has one outcome, nothing hangs, the summary is true.

Between the engine and a Records server stands a proxy that spoils single requests. A fault while reading ends the run before
anything is written. A fault while writing leaves that one change in doubt, or known not to have happened, and the next runs
find out: everything arrives once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from syncengine.engine.report import Exit, RunReport
from tests.support.proxy import (
    PACKED_HALF,
    Proxy,
    Spoiler,
    bomb,
    cut,
    drip,
    flood,
    hang_up,
    refuse,
    reset,
    retyped,
    say,
    stall,
    swapped,
    twice,
)
from tests.support.records import CONTACTS, Shop, people

TIMEOUT = 1.5
TRIES = 4
SLACK = 8.0
"""Seconds that a busy machine may take beyond what is waited for."""

JSON = "Content-Type: application/json"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
LISTING = "POST .*/search"


class Line:
    """A shop whose CRM is reached through the proxy; two people are in sync, and there is something to carry each way."""

    def __init__(self, shop: Shop, proxy: Proxy) -> None:
        self.shop, self.proxy = shop, proxy
        shop.path.write_text(shop.path.read_text().replace(f"http://127.0.0.1:{shop.server.port}", proxy.url))
        shop.sql("INSERT INTO people (email, first_name) VALUES ('ada@example.com', 'Ada'), ('bob@example.com', 'Bob')")
        shop.sync()
        shop.sql("UPDATE people SET last_name='Lovelace' WHERE email='ada@example.com'")
        shop.sql("INSERT INTO people (email, first_name) VALUES ('cyd@example.com', 'Cyd')")
        shop.server.edit(shop.contact("bob@example.com")["id"], last_name="Marley")
        self.before = shop.rows("*")
        proxy.seen.clear()
        proxy.received.clear()

    def run(self) -> RunReport:
        """One sync; it takes no longer than its timeouts."""
        started = time.monotonic()
        report = self.shop.run()["people"]
        assert time.monotonic() - started < TRIES * TIMEOUT + SLACK
        told = "\n".join([report.error, *report.failed, *report.notes])
        assert self.shop.server.credentials.api_key not in told
        assert "Lovelace" not in told
        return report

    def assert_nothing_was_written(self) -> None:
        assert self.shop.writes() == []
        assert self.shop.rows("*") == self.before

    def assert_all_arrives_once(self) -> None:
        """With a good line, and when nothing can arrive late any more."""
        self.proxy.calm()
        self.shop.later(70)
        self.shop.sync()
        self.shop.sync()
        found = {email: (one["first_name"], one.get("last_name")) for email, one in self.shop.contacts().items()}
        assert len(self.shop.server.records(CONTACTS)) == 3
        assert found == {
            "ada@example.com": ("Ada", "Lovelace"),
            "bob@example.com": ("Bob", "Marley"),
            "cyd@example.com": ("Cyd", None),
        }
        assert self.shop.rows("first_name, last_name") == [("Ada", "Lovelace"), ("Bob", "Marley"), ("Cyd", None)]
        self.shop.assert_quiet()


@pytest.fixture
def line(open_shop: Callable[..., Shop]) -> Iterator[Line]:
    shop = open_shop(people(), options=f"timeout = {TIMEOUT}\nmax_concurrency = 1")
    with Proxy(shop.server.port) as proxy:
        yield Line(shop, proxy)


NO_ANSWER: dict[str, Spoiler] = {
    "reset": reset(applied=False),
    "closed": hang_up(applied=False),
    "stalled": stall(applied=False),
    "headers drip": drip(),
    "body drips": drip(after=HEAD),
    "cut in the headers": cut(keep=0.05),
    "cut in the body": cut(keep=0.8),
    "no HTTP": say(b"", status="\x00\x16\x03"),
    "500": refuse("500 Oops"),
    "502 page": say(b"<html>Bad Gateway</html>", status="502 Bad Gateway", headers=("Content-Type: text/html",)),
    "503": refuse("503 Busy", "Retry-After: 2"),
    "504": refuse("504 Gateway Timeout"),
    "408": refuse("408 Request Timeout"),
    "425": refuse("425 Too Early"),
    "429": refuse("429 Too Many Requests", "Retry-After: 2"),
}
"""Read: tried again. Written: in doubt, save for 425 and 429, which say that nothing was done."""

NONSENSE: dict[str, Spoiler] = {
    "a log-in page": say(b"<html>Log in</html>", headers=("Content-Type: text/html",)),
    "a log-in page called JSON": say(b"<html>Log in</html>", headers=(JSON,)),
    "garbage": say(b"\x80\x04\x95", headers=(JSON,)),
    "cut JSON": say(b'{"results": [{"id": ', headers=(JSON,)),
    "NaN": say(b'{"count": NaN, "results": []}', headers=(JSON,)),
    "a key twice": say(b'{"count": 0, "count": 3, "results": []}', headers=(JSON,)),
    "nested too deeply": say(b"[" * 200_000, headers=(JSON,)),
    "not UTF-8": say(b'{"results": "\xff"}', headers=(JSON,)),
    "nothing at all": say(b"", headers=(JSON,)),
    "an empty object": say(b"{}", headers=(JSON,)),
    "null for a list": say(b'{"count": 0, "results": null}', headers=(JSON,)),
    "a polite error": say(b'{"error": "try again tomorrow"}', headers=(JSON,)),
    "a gzip bomb": bomb(80),
    "gzip cut short": say(PACKED_HALF, headers=("Content-Encoding: gzip", JSON)),
    "gzip that is none": say(b'{"count": 0}', headers=("Content-Encoding: gzip", JSON)),
    "a body without end": flood(80),
    "a redirect elsewhere": say(b"", status="302 Found", headers=("Location: https://evil.example/search",)),
    "a redirect to the metadata service": say(b"", status="307 Go", headers=("Location: http://169.254.169.254/latest/",)),
    "a redirect to a file": say(b"", status="301 Moved", headers=("Location: file:///etc/passwd",)),
    "304": say(b"", status="304 Not Modified"),
    "204": say(b"", status="204 No Content"),
}
"""Read: the side stops at once. Written: in doubt, for the server may have done it."""

REFUSALS: dict[str, Spoiler] = {
    "400": refuse("400 Bad Request"),
    "401": refuse("401 Unauthorized"),
    "402": refuse("402 Payment Required"),
    "403": refuse("403 Forbidden"),
    "404": refuse("404 Not Found"),
    "405": refuse("405 Method Not Allowed"),
    "409": refuse("409 Conflict"),
    "410": refuse("410 Gone"),
    "412": refuse("412 Precondition Failed"),
    "413": refuse("413 Too Large"),
    "415": refuse("415 Unsupported Media Type"),
    "418": refuse("418 Teapot"),
    "422": refuse("422 Unprocessable"),
    "428": refuse("428 Precondition Required"),
    "431": refuse("431 Request Header Fields Too Large"),
    "451": refuse("451 Unavailable For Legal Reasons"),
}
"""The system has decided: nothing was done."""


@pytest.mark.parametrize("fault", NO_ANSWER)
def test_a_listing_without_an_answer_is_asked_for_again_and_then_ends_the_run(line: Line, fault: str) -> None:
    """Four tries, no more; nothing is decided on what did not come, and nothing is written."""
    line.proxy.spoil(LISTING, NO_ANSWER[fault])
    report = line.run()
    assert report.exit is Exit.FAILED
    assert "/search" in report.error
    assert line.proxy.asked(LISTING) == TRIES
    line.assert_nothing_was_written()
    line.assert_all_arrives_once()


@pytest.mark.parametrize("fault", NO_ANSWER)
def test_a_line_that_recovers_in_time_costs_nothing_but_time(line: Line, fault: str) -> None:
    line.proxy.spoil(LISTING, NO_ANSWER[fault], times=2)
    report = line.run()
    assert report.exit is Exit.DONE, report
    assert report.written == {"left.create": 1, "left.update": 1, "right.update": 1}
    line.assert_all_arrives_once()


@pytest.mark.parametrize("fault", ["reset", "503", "429", "cut in the body"])
def test_a_description_is_asked_for_again_like_a_listing(line: Line, fault: str) -> None:
    """The first call of a run is no weaker than the others."""
    plan = line.proxy.spoil("GET .*/fields", NO_ANSWER[fault], times=2)
    report = line.run()
    assert report.exit is Exit.DONE, report
    assert plan.hits == 2
    line.assert_all_arrives_once()


@pytest.mark.parametrize("fault", [*NONSENSE, *REFUSALS])
def test_a_listing_that_is_refused_or_makes_no_sense_ends_the_run_at_once(line: Line, fault: str) -> None:
    """It is never an empty page: nothing is deleted, nothing is created, nothing is written at all."""
    line.proxy.spoil(LISTING, (NONSENSE | REFUSALS)[fault])
    report = line.run()
    assert report.exit is Exit.FAILED, report
    assert report.error
    assert line.proxy.asked(LISTING) <= 2, "a spelling of its filter may be refused once"
    line.assert_nothing_was_written()
    line.assert_all_arrives_once()


@pytest.mark.parametrize(
    "content_type", ["text/html", "text/plain", "application/octet-stream", "application/json; charset=utf-7"]
)
def test_json_is_taken_whatever_it_is_called(line: Line, content_type: str) -> None:
    line.proxy.spoil("/records/", retyped(content_type))
    assert line.run().exit is Exit.DONE
    line.assert_all_arrives_once()


WRITES = {"create": "POST .*/add", "update": "PATCH "}
DOUBTFUL: dict[str, Spoiler] = {
    **{name: spoiler for name, spoiler in NO_ANSWER.items() if name not in {"425", "429"}},
    "reset after the effect": reset(applied=True),
    "closed after the effect": hang_up(applied=True),
    "stalled after the effect": stall(applied=True),
    "503 after the effect": refuse("503 Busy", applied=True),
    **{name: spoiler for name, spoiler in NONSENSE.items() if name not in {"204", "nothing at all"}},
    "a log-in page, and no effect": say(b"<html>Log in</html>", headers=("Content-Type: text/html",), applied=False),
    "a polite error, and no effect": say(b'{"error": "try again tomorrow"}', headers=(JSON,), applied=False),
}
"""An empty body is no nonsense here: 204 says that it was done."""


@pytest.mark.parametrize("fault", DOUBTFUL)
@pytest.mark.parametrize("write", WRITES)
def test_a_write_without_a_plain_answer_is_in_doubt_and_is_sent_once(line: Line, write: str, fault: str) -> None:
    """The others go on, the summary counts the records in doubt, and the next runs look instead of trying again."""
    line.proxy.spoil(WRITES[write], DOUBTFUL[fault])
    report = line.run()
    assert report.exit is Exit.PARTIAL, report
    assert report.pending["in_doubt"] == len({"create": ["right"], "update": ["left", "right"]}[write]), report
    assert report.written == {"right.update": 1, f"left.{'update' if write == 'create' else 'create'}": 1}
    assert line.proxy.asked(WRITES[write]) == 1
    line.assert_all_arrives_once()


@pytest.mark.parametrize("fault", ["204", "nothing at all"])
def test_an_empty_answer_is_an_answer_to_an_update_and_none_to_a_create(line: Line, fault: str) -> None:
    """Nobody learns the id of what was created: it is looked up."""
    line.proxy.spoil("PATCH |POST .*/add", NONSENSE[fault])
    report = line.run()
    assert report.exit is Exit.PARTIAL, report
    assert report.pending == {"in_doubt": 1}
    assert report.written == {"right.update": 1, "left.update": 1}
    line.assert_all_arrives_once()


REMOVED: dict[str, Spoiler] = {
    name: DOUBTFUL[name]
    for name in (
        "reset", "closed", "stalled", "body drips", "cut in the headers", "no HTTP", "500", "502 page", "503", "504", "408",
        "reset after the effect", "closed after the effect", "stalled after the effect", "503 after the effect", "a redirect elsewhere",
    )
}  # fmt: skip


@pytest.mark.parametrize("fault", REMOVED)
def test_a_removal_without_a_plain_answer_is_in_doubt_and_happens_once(open_shop: Callable[..., Shop], fault: str) -> None:
    """The record goes once; nothing else goes, and nothing comes back."""
    shop = open_shop(people('deletes = "propagate"'), options=f"timeout = {TIMEOUT}\nmax_concurrency = 1")
    with Proxy(shop.server.port) as proxy:
        line = Line(shop, proxy)
        shop.sync()
        proxy.seen.clear()
        shop.sql("DELETE FROM people WHERE email='cyd@example.com'")
        proxy.spoil("DELETE ", REMOVED[fault])
        report = line.run()
        assert report.exit is Exit.PARTIAL, report
        assert report.pending["in_doubt"] == 2, "the record that goes, and the row that has gone"
        assert proxy.asked("DELETE ") == 1
        proxy.calm()
        shop.later(70)
        shop.sync()
        shop.sync()
        assert sorted(shop.contacts()) == ["ada@example.com", "bob@example.com"]
        assert shop.rows("email") == [("ada@example.com",), ("bob@example.com",)]
        shop.assert_quiet()


LOOK = "GET .*/client_client/[0-9a-f-]{36}"
LOOKED = NO_ANSWER | {
    name: (NONSENSE | REFUSALS)[name]
    for name in (
        "a log-in page",
        "cut JSON",
        "an empty object",
        "a polite error",
        "a gzip bomb",
        "204",
        "401",
        "403",
        "404",
        "410",
        "422",
    )
}


@pytest.mark.parametrize("fault", LOOKED)
def test_a_look_at_the_record_that_is_not_answered_lets_no_write_through(line: Line, fault: str) -> None:
    """What is to be written over is read right before; whatever else is said of it, it is not gone, and nothing is written blindly."""
    line.proxy.spoil(LOOK, LOOKED[fault])
    report = line.run()
    assert report.exit in (Exit.PARTIAL, Exit.FAILED), report
    assert line.proxy.asked(LOOK)
    assert line.proxy.asked("PATCH ") == 0
    assert len(line.shop.contacts()) == len(line.shop.rows("id")) - ("left.create" not in report.written)
    line.assert_all_arrives_once()


@pytest.mark.parametrize("heard", [0, 1], ids=["the first answer is heard", "the second answer is heard"])
@pytest.mark.parametrize("write", WRITES)
def test_a_request_that_arrives_twice_makes_nothing_twice(line: Line, write: str, heard: int) -> None:
    """A proxy that tries again on its own: the second create is refused as a twin, which says nothing of the first."""
    line.proxy.spoil(WRITES[write], twice(answer=heard))
    report = line.run()
    assert report.exit in (Exit.DONE, Exit.PARTIAL), report
    line.assert_all_arrives_once()


def test_a_create_that_is_answered_with_another_record_is_asked_about_and_links_nothing_wrongly(line: Line) -> None:
    bob = line.shop.contact("bob@example.com")["id"].encode()
    line.proxy.spoil(WRITES["create"], swapped(rb'"id": ?"([0-9a-f-]{36})"', bob))
    report = line.run()
    assert report.exit is Exit.PARTIAL, report
    assert line.shop.contact("bob@example.com")["first_name"] == "Bob"
    line.assert_all_arrives_once()


@pytest.mark.parametrize("fault", ["425", "429"])
@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_is_put_off_is_made_in_the_same_run(line: Line, write: str, fault: str) -> None:
    line.proxy.spoil(WRITES[write], NO_ANSWER[fault], times=2)
    report = line.run()
    assert report.exit is Exit.DONE, report
    assert line.proxy.asked(WRITES[write]) == 3
    line.assert_all_arrives_once()


@pytest.mark.parametrize("fault", REFUSALS)
@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_is_refused_is_reported_and_hurts_no_neighbour(line: Line, write: str, fault: str) -> None:
    """401 stops the side, as the key is refused for everything; any other refusal is about this one record."""
    line.proxy.spoil(WRITES[write], REFUSALS[fault])
    report = line.run()
    assert report.exit is (Exit.FAILED if fault == "401" else Exit.PARTIAL), report
    assert "in_doubt" not in report.pending
    assert not any(one.changed for one in line.shop.writes() if one.action == ("add" if write == "create" else "patch"))
    line.proxy.calm()
    with line.shop.app() as app:
        app.desk.release([entry.id for entry in app.desk.quarantine()])
    line.assert_all_arrives_once()


@pytest.mark.parametrize(
    "after",
    ["0", "-30", "1000000000", "9" * 400, "soon", "1.5", "nan", "Mon, 99 Foo 2026 12:00:30 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"],
)
@pytest.mark.parametrize("status", ["429 Slow", "503 Busy"])
def test_an_absurd_retry_after_neither_hurries_nor_hangs_us(line: Line, status: str, after: str) -> None:
    """At most a quarter of an hour is believed, in the run's own time."""
    line.proxy.spoil(LISTING, refuse(status, f"Retry-After: {after}", "Date: Mon, 23 Nov 2026 12:00:00 GMT"), times=1)
    started = line.shop.clock.now()
    report = line.run()
    assert report.exit is Exit.DONE, report
    assert line.shop.clock.now() - started <= 60 + 900 + 60
    line.assert_all_arrives_once()


def test_credentials_that_are_revoked_between_two_writes_stop_the_run_with_a_true_summary(line: Line) -> None:
    for number in range(5):
        line.shop.sql(f"INSERT INTO people (email, first_name) VALUES ('p{number}@example.com', 'P')")
    line.proxy.spoil(" ", refuse("401 Unauthorized"), skip=_calls_until(line, "POST .*/add", 3))
    report = line.run()
    assert report.exit is Exit.FAILED
    assert "401" in report.error
    there = sum(one.changed for one in line.shop.writes() if one.action == "add")
    assert 0 < there < 6
    assert report.written["left.create"] == there
    line.proxy.calm()
    line.shop.sync()
    assert len(line.shop.server.records(CONTACTS)) == 8
    line.shop.assert_quiet()


def _calls_until(line: Line, wanted: str, nth: int) -> int:
    """How many requests a run makes before its nth of a kind: a rehearsal that changes nothing, for it stops at the first write."""
    line.proxy.spoil(wanted, refuse("429 Slow", "Retry-After: 1000"), times=1)
    line.run()
    line.proxy.calm()
    first = next(index for index, each in enumerate(line.proxy.seen) if "/add" in each)
    line.proxy.seen.clear()
    return first + 2 * (nth - 1)


def test_a_far_side_that_is_gone_is_named(line: Line) -> None:
    line.proxy.close()
    report = line.run()
    assert report.exit is Exit.FAILED
    assert "can't be reached" in report.error
    line.assert_nothing_was_written()
