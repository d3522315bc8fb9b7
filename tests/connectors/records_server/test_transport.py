"""Sections 1 and 2.3 of records-api.md: headers, paths, methods, request ids, malformed bodies."""

from __future__ import annotations

import httpx
import pytest

from tests.connectors.records_server.client import CONTACTS, NO_TLS, Client


@pytest.mark.parametrize("missing", ["X-API-KEY", "X-BUSINESS-ID", "X-USER-ID"])
def test_each_of_the_three_headers_is_required(api: Client, missing: str) -> None:
    """Section 1: three headers on every call; missing ones give 401 with a JSON detail."""
    headers = {key: value for key, value in api.server.credentials.headers.items() if key != missing}
    answer = httpx.get(f"{api.server.url}/team", headers=headers, verify=NO_TLS)

    assert answer.status_code == 401
    assert answer.json()["code"] == "not_authenticated"


@pytest.mark.parametrize("wrong", ["X-API-KEY", "X-BUSINESS-ID", "X-USER-ID"])
def test_each_of_the_three_headers_has_to_match(api: Client, wrong: str) -> None:
    """Section 1: 401 where key, user and business do not match."""
    answer = httpx.get(f"{api.server.url}/team", headers={**api.server.credentials.headers, wrong: "x"}, verify=NO_TLS)

    assert answer.status_code == 401
    assert answer.json()["code"] == "authentication_failed"


def test_header_names_are_case_insensitive(api: Client) -> None:
    """Section 1: as HTTP headers are."""
    headers = {key.lower(): value for key, value in api.server.credentials.headers.items()}

    assert httpx.get(f"{api.server.url}/team", headers=headers, verify=NO_TLS).status_code == 200


def test_a_user_without_the_api_key_permission_gets_403(api: Client) -> None:
    """Section 1: API keys need the user's permission, else 403."""
    api.server.switch("api_keys_allowed", False)

    assert api.get("/auth/access").status_code == 403


@pytest.mark.parametrize("path", ["/nope", "/records", "/team/", "/records/client_client/search/", "/custom-objects/"])
def test_wrong_paths_and_trailing_slashes_give_an_html_404(api: Client, path: str) -> None:
    """Section 1: no trailing slashes; 404 with an HTML body and no redirect."""
    answer = api.get(path)

    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "<h1>" in answer.text


def test_a_record_id_that_is_no_uuid_is_a_wrong_path(api: Client) -> None:
    """Section 5.1: the path does not match."""
    answer = api.get(f"/records/{CONTACTS}/42")

    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", f"/records/{CONTACTS}/42/unarchive"),
        ("GET", "/records/42/field-values/43"),
        ("POST", "/records/42/related-pipeline-records"),
    ],
)
def test_every_record_id_in_a_path_is_a_uuid(api: Client, method: str, path: str) -> None:
    """Section 2.1: the path pattern."""
    answer = api.http.request(method, path, json={})

    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


def test_moving_needs_a_pipeline(api: Client) -> None:
    """Section 5.9: stages belong to pipeline objects."""
    record_id = api.new(CONTACTS, email="ann@example.com")

    assert api.patch(f"/records/{CONTACTS}/{record_id}/move", {"stage_id": "x"}).status_code == 400


def test_an_absent_record_gives_a_json_404(api: Client) -> None:
    """Section 2.3: a single error is detail and code."""
    answer = api.get(f"/records/{CONTACTS}/0b8f6d0e-2f7a-4c52-9c6f-3a3c2d6f7a10")

    assert answer.status_code == 404
    assert answer.json() == {"detail": "Not found.", "code": "not_found"}


def test_every_response_carries_its_own_request_id(api: Client) -> None:
    """Section 1: X-Request-ID on everything, refusals and HTML pages included."""
    answers = [
        api.get("/team"),
        api.get("/nope"),
        api.get(f"/records/{CONTACTS}/lookup"),
        httpx.get(f"{api.server.url}/team", verify=NO_TLS),
    ]
    ids = {answer.headers["x-request-id"] for answer in answers}

    assert len(ids) == len(answers)


def test_a_wrong_method_gives_405(api: Client) -> None:
    """Section 2.3."""
    assert api.get(f"/records/{CONTACTS}/search").status_code == 405
    assert api.post(f"/records/{CONTACTS}").status_code == 404


def test_a_body_that_is_no_json_gives_400(api: Client) -> None:
    """Section 2.3: a validation error with a detail."""
    headers = {"content-type": "application/json"}
    answer = api.http.post(f"/records/{CONTACTS}/search", content=b'{"query": [', headers=headers)

    assert answer.status_code == 400
    assert answer.json()["code"] == "parse_error"


def test_a_body_that_is_no_object_gives_400(api: Client) -> None:
    """Section 2.3: by body key."""
    answer = api.post(f"/records/{CONTACTS}/search", [1])

    assert answer.status_code == 400
    assert answer.json()["non_field_errors"][0]["code"] == "invalid"


def test_a_form_instead_of_json_is_refused(api: Client) -> None:
    """Section 1: Content-Type is application/json."""
    assert api.http.post(f"/records/{CONTACTS}/search", data={"a": "b"}).status_code == 415


def test_a_body_above_50_mb_is_refused(api: Client) -> None:
    """Section 1: the ceiling of the platform, code payload_exceeded of section 2.3."""
    headers = {"content-type": "application/json"}
    answer = api.http.post(f"/records/{CONTACTS}/search", content=b" " * (50 * 1024 * 1024 + 1), headers=headers)

    assert answer.status_code == 413
    assert answer.json()["code"] == "payload_exceeded"


def test_unknown_body_keys_are_ignored(api: Client) -> None:
    """Section 2.3: undeclared keys are silently ignored with 200, proved with {"fields": [], "archived": true}."""
    record_id = api.new(CONTACTS, email="ann@example.com")
    answer = api.patch(f"/records/{CONTACTS}/{record_id}", {"fields": [], "archived": True})

    assert answer.status_code == 200
    assert api.get(f"/records/{CONTACTS}/{record_id}").status_code == 200


def test_objects_are_addressed_by_api_name_or_uuid(api: Client) -> None:
    """Section 2.1."""
    by_name = api.get(f"/custom-objects/{CONTACTS}").json()
    by_uuid = api.get(f"/custom-objects/{by_name['id']}").json()

    assert by_name == by_uuid
    assert api.post(f"/records/{by_name['id']}/search").status_code == 200
    assert api.post("/records/no_such_object/search").json()["code"] == "not_found"
