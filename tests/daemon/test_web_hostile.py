"""Requests that nobody would send in earnest: every endpoint answers with a page, never with a trace of its inside."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.plain_browser import PlainBrowser
from tests.support.web_town import WebTown

LEAK = re.compile(r"Traceback|File \"|/work/|\.py\b|sqlite3|jinja2|starlette|uvicorn|0x[0-9a-f]{8}|Error\(|a-token-of")
SECRET = "a-token-of-at-least-24-characters"
PATHS = [
    "/",
    "/inbox",
    "/inbox/1",
    "/quarantine",
    "/quarantine/release",
    "/runs/5",
    "/runs/5/approve",
    "/runs/5/refuse",
    "/runs/1",
]
PATHS += ["/pairs/contacts", "/login", "/logout", "/static/style.css", "/static/", "/pairs/", "/runs/"]

hostile = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "../../etc/passwd",
            "%2e%2e%2f",
            "\x00",
            "' OR 1=1 --",
            "{{7*7}}",
            "9" * 400,
            "-1",
            "NaN",
            "<script>",
            "\u202e",
            "ﬁ",
            "contacts",
        ]
    ),
)
latin = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f\x85"), max_size=60)
names = st.sampled_from(
    [
        "cookie",
        "origin",
        "sec-fetch-site",
        "accept",
        "hx-request",
        "content-type",
        "x-forwarded-for",
        "range",
        "if-none-match",
        "x-user",
    ]
)
fields = st.sampled_from(
    [
        "form",
        "choice",
        "value",
        "mark",
        "id",
        "all",
        "approval",
        "token",
        "next",
        "back",
        "seen",
        "after",
        "before",
        "noted",
        "released",
    ]
)


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    made = WebTown(tmp_path_factory.mktemp("town"))
    made.trouble()
    yield made
    made.close()


@pytest.fixture(scope="module")
def page(town):
    with PlainBrowser(town.app()) as opened:
        yield opened


def is_decent(answer):
    """No crash, and nothing told of the inside."""
    assert answer.status_code < 500, answer.text
    assert not LEAK.search(answer.text), answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "content-security-policy" in answer.headers


often = settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])


@often
@given(
    path=st.sampled_from(PATHS),
    tail=hostile,
    query=st.dictionaries(fields, hostile, max_size=4),
    headers=st.dictionaries(names, latin, max_size=3),
)
def test_any_reading_request_gets_a_page(page, path, tail, query, headers):
    page.cookies.clear()
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    for address in (path, quote(f"{path.rstrip('/')}/{tail}", safe="/%.,:;@&=+$!*'()")):
        is_decent(page.get(address, params=query or None, headers=encoded))


@often
@given(path=st.sampled_from(PATHS), body=st.dictionaries(fields, st.lists(hostile, max_size=3), max_size=5))
def test_any_form_with_our_proof_gets_a_page(town, page, path, body):
    """Signed in and from our own page, with anything in the fields; the questions are as they were, or answered in earnest."""
    proof = page.form("/")
    answer = page.post(path, data={**body, **proof})
    is_decent(answer)
    assert set(town.board.asked()) <= {"contacts"}


@often
@given(
    path=st.sampled_from(PATHS),
    body=st.binary(max_size=200),
    kind=st.sampled_from(
        ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "text/plain", "application/json"]
    ),
)
def test_any_body_without_our_proof_changes_nothing(town, page, path, body, kind):
    answer = page.post(path, content=body, headers={"content-type": kind})
    is_decent(answer)
    assert answer.status_code in (303, 400, 403, 405, 415, 404)
    assert "location" not in answer.headers or answer.headers["location"].startswith("/login")


@often
@given(token=latin, cookie=latin, path=st.sampled_from(PATHS))
def test_nothing_but_the_token_opens_the_door(tmp_path_factory, locked, token, cookie, path):
    headers = {"authorization": f"Bearer {token}".encode("latin-1"), "cookie": f"syncengine-8080={cookie}".encode("latin-1")}
    for method in ("GET", "POST"):
        answer = locked.request(method, path, headers=headers)
        is_decent(answer)
        assert "contacts" not in answer.text
        if not path.startswith(("/static", "/login")):
            assert answer.status_code in (303, 401, 404, 429)


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    made = WebTown(tmp_path_factory.mktemp("locked"), daemon=f'[daemon]\ntoken = "{SECRET}"')
    made.sync()
    with PlainBrowser(made.app()) as opened:
        yield opened
    made.close()


@often
@given(host=latin)
def test_any_host_is_ours_or_refused(page, host):
    answer = page.get("/", headers={"host": host.encode("latin-1")})
    is_decent(answer)
    assert answer.status_code in (200, 421)
