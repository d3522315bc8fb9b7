"""The control interface and the page of a server process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from connectors.kizen.server.cli import app
from tests.connectors.records_server.client import COMPANIES, CONTACTS, NO_TLS, Client


@pytest.fixture
def api(start: Callable[..., Client]) -> Client:
    return start(control=True, people=3)


def control(api: Client, method: str, path: str, body: Any = None) -> httpx.Response:
    return api.http.request(method, f"{api.server.page_url}/_control{path}", json=body)


def test_control_is_closed_unless_opened(start: Callable[..., Client]) -> None:
    assert control(start(), "GET", "/switches").status_code == 404


def test_control_needs_the_same_headers(api: Client) -> None:
    assert httpx.get(f"{api.server.page_url}/_control/switches", verify=NO_TLS).status_code == 401


def test_switches_are_set_from_outside(api: Client) -> None:
    assert control(api, "POST", "/switches", {"add_status": "200"}).status_code == 200
    assert api.add(COMPANIES, {"name": "Acme"}).status_code == 200
    assert "no switch" in control(api, "POST", "/switches", {"nope": 1}).text


def test_faults_are_armed_and_disarmed_from_outside(api: Client) -> None:
    assert control(api, "POST", "/faults", {"kind": "error", "times": None}).status_code == 201
    assert api.get("/team").status_code == 500
    assert control(api, "DELETE", "/faults").status_code == 204
    assert api.get("/team").status_code == 200
    assert control(api, "POST", "/faults", {"kind": "flood"}).status_code == 400


def test_the_log_is_read_from_outside(api: Client) -> None:
    api.search(CONTACTS)
    log = control(api, "GET", "/requests").json()

    assert [(one["number"], one["action"]) for one in log] == [(1, "search")]
    assert control(api, "GET", "/requests?after=1").json() == []
    assert control(api, "GET", "/requests?after=x").status_code == 400


def test_a_person_edits_from_outside(api: Client) -> None:
    record_id = control(api, "POST", f"/records/{COMPANIES}", {"name": "Acme"}).json()["id"]
    assert control(api, "PATCH", f"/record/{record_id}", {"name": "Bolt"}).json()["name"] == "Bolt"
    assert control(api, "DELETE", f"/record/{record_id}").status_code == 204
    assert record_id in {one["id"] for one in control(api, "GET", f"/records/{COMPANIES}?archived=true").json()}
    assert control(api, "POST", f"/record/{record_id}/unarchive").status_code == 204
    assert control(api, "GET", f"/record/{record_id}").json()["name"] == "Bolt"
    assert control(api, "PATCH", f"/record/{record_id}", {"nope": 1}).status_code == 400
    assert control(api, "POST", "/people", {"number": 2}).status_code == 204
    assert control(api, "POST", "/people", {"number": -2}).status_code == 400
    assert len(api.search(CONTACTS)) == 5


# The page


def page(api: Client, **query: str) -> str:
    answer = httpx.get(api.server.page_url, params=query, verify=NO_TLS)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    return answer.text


def test_the_page_shows_records_and_requests(api: Client) -> None:
    api.search(CONTACTS, page_size=7)
    html = page(api)

    assert all(contact["email"] in html for contact in api.server.records(CONTACTS))
    assert "/api/records/client_client/search?page_size=7" in html
    assert "<script" not in html


def test_the_page_escapes_what_people_type(api: Client) -> None:
    api.server.add_record(COMPANIES, name="<b>Acme</b>")

    assert "&lt;b&gt;Acme" in page(api, object=COMPANIES)


def test_the_page_searches_pages_and_shows_archived_records(api: Client) -> None:
    api.server.add_people(60)
    gone = api.server.add_record(COMPANIES, name="Gone for good")
    api.server.archive(gone)

    assert "page 2 of 4" in page(api, page="2")
    assert "Nothing here contains" in page(api, search="nobody at all")
    assert "Gone for good" not in page(api, object=COMPANIES)
    assert "Gone for good" in page(api, object=COMPANIES, archived="1")
    assert "page 4 of 4" in page(api, page="99")


def test_the_page_can_be_watched(api: Client) -> None:
    """It reloads itself without JavaScript, and only when asked to."""
    assert 'http-equiv="refresh"' not in page(api)
    assert 'http-equiv="refresh"' in page(api, watch="1")


def test_the_page_may_be_left_out(start: Callable[..., Client]) -> None:
    assert httpx.get(start(page=False).server.page_url, verify=NO_TLS).status_code == 404


# The command line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "add_status"], "SWITCH=VALUE"),
        (["--set", "nope=1"], "no switch"),
        (["--api-key", "k"], "go together"),
        (["--data", "/no/such/file.json"], "No such file"),
    ],
)
def test_mistakes_on_the_command_line(arguments: list[str], words: str) -> None:
    """Exit code 2, and the mistake by name."""
    result = CliRunner().invoke(app, arguments)

    assert result.exit_code == 2
    assert words in result.output


def test_the_command_lists_its_switches() -> None:
    result = CliRunner().invoke(app, ["--switches"])

    assert result.exit_code == 0
    assert "lookup_mode" in result.output
