"""Whatever is sent to `/ingest`, it is answered in words of our own: no 500, no traceback, and nothing half stored."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from syncengine.core.codec import encode
from syncengine.daemon.delivery import FORM, JSON, BadEventError, document_of, event_id_of, event_of
from syncengine.daemon.events import EventsOptions
from tests.daemon.test_events_in import SYSTEMS, Door

OPTIONS = EventsOptions(
    key=["email", "born"],
    public=True,
    event_id="meta.id",
    fields={
        "email": {"type": "email", "from": "a.b"},
        "name": {"type": "text", "max_length": 9},
        "phone": "phone",
        "age": "integer",
        "score": "decimal",
        "price": "money",
        "active": "boolean",
        "born": "date",
        "seen": "datetime",
        "plan": {"type": "choice", "choices": ["free"]},
        "tags": "set",
        "list": "list",
        "extra": "json",
    },
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(
        ["2026-01-31", "2026-01-31T10:00:00+01:00", "0001-01-01T00:00:00+14:00", "9" * 5000, "1e300", "a@b.c", "\x00", "\ud800"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from([*OPTIONS.fields, "a", "a.b", "meta", "meta.id", ""])
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=8)


def taken(options, form, body, *, told=False):
    """The event of a body, or why there is none."""
    try:
        document = document_of(form, body)
        event = event_id_of(options, {}, document) if told else None
        return event_of(options, form, document, event)
    except BadEventError as bad:
        return bad


@given(DOCUMENTS, st.sampled_from([JSON, FORM]))
@example({"a.b": "x@y.z", "born": "2026-01-31", "seen": "0001-01-01T00:00"}, JSON)
@example({"a.b": "x@y.z", "born": "2026-01-31", "seen": "0001-01-01T00:00:00+14:00"}, JSON)
@example(
    {"a": {"b": "x@y.z"}, "born": "9999-12-31", "seen": "9999-12-31T23:59:59-14:00", "tags": [], "extra": {"": [None]}}, JSON
)
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
def test_any_document_is_an_event_or_told_what_is_wrong_with_it(document, form):
    """An event that is taken can be stored; a refusal names fields of the config and holds no value."""
    body = (
        json.dumps(document).encode()
        if form == JSON
        else urlencode({name: str(value) for name, value in document.items()}, errors="replace").encode()
    )
    for options in (OPTIONS, OPTIONS.model_copy(update={"timezone": "Asia/Tokyo"})):
        found = taken(options, form, body)
        if isinstance(found, BadEventError):
            assert found.faults
            assert all(fault.field in {"", *options.fields} and fault.wrong and fault.cure for fault in found.faults)
        else:
            assert found.record
            assert set(found.fields) <= set(options.fields)
            encode(found.fields)


@given(st.binary(max_size=200), st.sampled_from([JSON, FORM]))
@settings(max_examples=300)
def test_any_body_can_be_read_or_is_told_why_not(body, form):
    found = taken(OPTIONS, form, body, told=True)
    assert not isinstance(found, BadEventError) or found.status in (400, 422)


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    made = Door(tmp_path_factory.mktemp("door"), SYSTEMS.replace("max_bytes = 2000", "max_per_minute = 1000000"))
    yield made
    made.keeper.close()


@given(
    body=st.binary(max_size=120) | DOCUMENTS.map(lambda document: json.dumps(document).encode()),
    kind=st.sampled_from(
        [
            "application/json",
            "application/x-www-form-urlencoded",
            "application/x+json; charset=latin-1",
            "text/html",
            "",
            ";",
            "application/json\t",
        ]
    ),
    id=st.none() | st.binary(max_size=300).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")),
    proof=st.sampled_from(
        [None, b"Bearer a-secret-of-the-form-9917", b"bearer  a-secret-of-the-form-9917 ", b"Bearer", b"Basic x", b"\xff\xfe"]
    ),
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_any_request_is_answered(door, body, kind, id, proof):
    headers = {"content-type": kind.encode()}
    headers |= {"idempotency-key": id} if id is not None else {}
    headers |= {"authorization": proof} if proof is not None else {}
    before = len(door.stored())
    answer = door.client.post("/ingest/signup", content=body, headers=headers)
    assert answer.status_code in (202, 400, 401, 409, 415, 422, 429)
    assert answer.json()
    assert "Traceback" not in answer.text
    if answer.status_code in (401, 415, 429):
        assert len(door.stored()) == before


@pytest.mark.parametrize(
    "path", ["/ingest/", "/ingest/a/b", "/ingest/%00", "/ingest/../signup", "/ingest/%2e%2e", "/ingest/" + "x" * 5000]
)
def test_any_address_is_answered(door, path):
    assert door.client.post(path, content=b"{}").status_code == 404
