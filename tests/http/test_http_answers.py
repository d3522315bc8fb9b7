"""From what came back to what it means: the status table, strict JSON, Retry-After."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.errors import (
    AuthError,
    NotFound,
    OutcomeUnknown,
    ProtocolError,
    Rejected,
    TransientError,
    VersionConflict,
)
from syncengine.http import Effect, Reply, parse_json, retry_after_seconds, status_error

TABLE = [
    # status, as a read, as a write
    (301, ProtocolError, OutcomeUnknown),
    (400, ProtocolError, Rejected),
    (401, AuthError, AuthError),
    (403, AuthError, Rejected),
    (404, NotFound, NotFound),
    (405, ProtocolError, Rejected),
    (408, TransientError, OutcomeUnknown),
    (409, ProtocolError, Rejected),
    (410, NotFound, NotFound),
    (412, ProtocolError, VersionConflict),
    (413, ProtocolError, Rejected),
    (415, ProtocolError, Rejected),
    (422, ProtocolError, Rejected),
    (425, TransientError, TransientError),
    (428, ProtocolError, VersionConflict),
    (429, TransientError, TransientError),
    (500, TransientError, OutcomeUnknown),
    (502, TransientError, OutcomeUnknown),
    (503, TransientError, OutcomeUnknown),
    (504, TransientError, OutcomeUnknown),
    (599, TransientError, OutcomeUnknown),
]


@pytest.mark.parametrize(("status", "read", "write"), TABLE)
def test_a_status_has_one_class_for_reads_and_one_for_writes(status: int, read: type, write: type) -> None:
    assert type(status_error(Effect.READ, status, "GET /x")) is read
    assert type(status_error(Effect.WRITE, status, "POST /x")) is write


@given(st.integers(min_value=300, max_value=599))
def test_no_status_of_a_write_is_taken_for_a_harmless_failure_unless_it_is_a_refusal(status: int) -> None:
    error = status_error(Effect.WRITE, status, "POST /x")
    assert isinstance(error, OutcomeUnknown) is (status < 400 or status == 408 or status >= 500)


def test_only_429_is_throttling_and_it_hands_on_the_wait() -> None:
    throttled = status_error(Effect.WRITE, 429, "POST /x", 7.0)
    assert isinstance(throttled, TransientError)
    assert throttled.throttled
    assert throttled.retry_after == 7.0
    trouble = status_error(Effect.READ, 503, "GET /x", 7.0)
    assert isinstance(trouble, TransientError)
    assert not trouble.throttled
    assert trouble.retry_after == 7.0


DATE = "Mon, 23 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": " 5 "}, 5.0),
        ({"retry-after": "-30"}, 0.0),
        ({"retry-after": "1000000000"}, 900.0),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT", "date": DATE}, 30.0),
        ({"retry-after": "Mon, 23 Nov 2026 11:00:00 GMT", "date": DATE}, 0.0),
        ({"retry-after": "Mon, 23 Nov 2099 12:00:00 GMT", "date": DATE}, 900.0),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT"}, None),
        ({"retry-after": "Mon, 99 Nov 2026 12:00:30 GMT", "date": DATE}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_seen_from_the_answer_itself(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers) == seconds


@given(st.text(), st.text())
def test_retry_after_never_fails_and_stays_in_bounds(after: str, date: str) -> None:
    found = retry_after_seconds({"retry-after": after, "date": date})
    assert found is None or 0.0 <= found <= 900.0


def test_numbers_keep_their_digits() -> None:
    found = parse_json(b'{"a": 0.10, "b": 12345678901234567890, "c": 1e3}')
    assert found == {"a": Decimal("0.10"), "b": 12345678901234567890, "c": Decimal("1E+3")}
    assert str(found["a"]) == "0.10"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"<html><title>502</title></html>",
        b" \n <!doctype html>",
        b"{",
        b'{"a": 1',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e400}',
        b'{"a": 1e999999999999999999999}',
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": "\xff"}',
        '{"a": "é"}'.encode("latin-1"),
        '{"a": 1}'.encode("utf-16"),
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"9" * 5000,
        b"canary",
    ],
)
def test_what_is_not_strict_json_is_refused_without_showing_it(body: bytes) -> None:
    with pytest.raises(ValueError) as caught:
        parse_json(body)
    assert "canary" not in str(caught.value)


def test_a_byte_order_mark_is_no_trouble() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_what_json_writes_is_read_back(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    try:
        body = text.encode()
    except UnicodeEncodeError:
        return
    assert parse_json(body) == value


def _reply(effect: Effect, status: int, body: bytes) -> Reply:
    return Reply(effect=effect, status=status, headers={}, body=body, place="X /x")


def test_a_success_that_makes_no_sense_is_nonsense_for_a_read_and_doubt_for_a_write() -> None:
    with pytest.raises(ProtocolError):
        _reply(Effect.READ, 200, b"<html>").json()
    with pytest.raises(OutcomeUnknown):
        _reply(Effect.WRITE, 201, b"<html>").json()


def test_a_refusal_can_be_looked_into_and_raises_when_taken_for_an_answer() -> None:
    refused = _reply(Effect.WRITE, 400, b'{"code": "unique"}')
    assert refused.refusal() == {"code": "unique"}
    with pytest.raises(Rejected):
        refused.json()
    assert _reply(Effect.WRITE, 404, b"<html>").refusal() is None


def test_a_reply_shows_neither_its_body_nor_its_headers() -> None:
    reply = Reply(effect=Effect.READ, status=200, headers={"set-cookie": "canary"}, body=b"canary", place="GET /x")
    assert "canary" not in repr(reply)
