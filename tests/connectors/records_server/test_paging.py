"""Section 2.2 of records-api.md: the envelope, page sizes, `next`, pages past the end."""

from __future__ import annotations

import pytest

from tests.connectors.records_server.client import COMPANIES, CONTACTS, Client


def test_the_envelope(api: Client) -> None:
    """Section 2.2: count, next, previous, results, errors; nullable next and previous."""
    api.server.add_record(COMPANIES, name="Acme")
    body = api.post(f"/records/{COMPANIES}/search").json()

    assert list(body) == ["count", "next", "previous", "results", "errors"]
    assert (body["count"], body["next"], body["previous"], body["errors"]) == (1, None, None, [])


def test_an_empty_list_is_a_page_too(api: Client) -> None:
    """Section 2.2: page 1 always exists."""
    body = api.post(f"/records/{COMPANIES}/search").json()

    assert (body["count"], body["results"]) == (0, [])


def test_the_default_page_size_is_100(api: Client) -> None:
    """Section 2.2."""
    api.server.add_people(101)
    body = api.post(f"/records/{CONTACTS}/search").json()

    assert (body["count"], len(body["results"])) == (101, 100)


def test_next_is_absolute_keeps_the_query_and_leads_through_everything(api: Client) -> None:
    """Section 2.2: `next` is absolute; the clients continue while it is truthy."""
    api.server.add_people(25)
    seen: list[str] = []
    url = f"{api.server.url}/records/{CONTACTS}/search?page_size=10&ordering=email"
    while url:
        body = api.http.post(url, json={"field_names": ["email"]}).json()
        seen += [row["id"] for row in body["results"]]
        url = body["next"]
        assert url is None or (url.startswith(api.server.url) and "page_size=10" in url and "ordering=email" in url)

    assert len(seen) == len(set(seen)) == 25


def test_previous_leads_back(api: Client) -> None:
    """Section 2.2."""
    api.server.add_people(25)
    second = api.post(f"/records/{CONTACTS}/search", page_size=10, page=2).json()

    assert len(api.http.post(second["previous"], json={}).json()["results"]) == 10


def test_page_sizes_above_the_maximum_are_clamped(api: Client) -> None:
    """Section 2.2: maximum 1000; the emulator clamps."""
    api.server.switch("max_page_size", 20)
    api.server.add_people(25)

    assert len(api.search(CONTACTS, page_size=5000)) == 20


def test_page_sizes_above_the_maximum_may_be_refused(api: Client) -> None:
    """Section 15.13: whether it clamps or answers 400 is not documented: switch."""
    api.server.switch("page_size_over", "reject")

    assert api.post(f"/records/{CONTACTS}/search", page_size=1001).status_code == 400
    assert api.post(f"/records/{CONTACTS}/search", page_size=1000).status_code == 200


def test_the_largest_page_is_1000(api: Client) -> None:
    """Section 2.2."""
    assert api.server.switches.max_page_size == 1000


@pytest.mark.parametrize("number", ["3", "0", "-1", "x"])
def test_a_page_that_does_not_exist_gives_404(api: Client, number: str) -> None:
    """Section 2.2: the default of the framework, {"detail": "Invalid page."}."""
    api.server.add_people(15)
    answer = api.post(f"/records/{CONTACTS}/search", page_size=10, page=number)

    assert answer.status_code == 404
    assert answer.json()["detail"] == "Invalid page."


def test_a_page_past_the_end_may_be_empty(api: Client) -> None:
    """Section 15.13: not documented: switch."""
    api.server.switch("page_past_end", "empty")
    body = api.post(f"/records/{CONTACTS}/search", page=7).json()

    assert (body["results"], body["next"]) == ([], None)


def test_archiving_while_walking_forward_skips_rows(api: Client) -> None:
    """Section 2.2: paging is by offset over live data."""
    api.server.add_people(20)
    first = api.search(CONTACTS, page_size=10, page=1)
    for row in first[:5]:
        api.server.archive(row["id"])
    second = api.search(CONTACTS, page_size=10, page=2)

    assert len(first) + len(second) == 15


def test_rows_may_move_between_pages(api: Client) -> None:
    """Section 15.5: stability across pages is not documented: with `shuffled`, two walks differ and one may repeat rows."""
    api.server.switch("default_order", "shuffled")
    api.server.add_people(40)
    walks = [[row["id"] for page in range(1, 5) for row in api.search(CONTACTS, page_size=10, page=page)] for _ in range(3)]

    assert walks[0] != walks[1]
    assert any(len(set(walk)) < 40 for walk in walks)


def test_an_ordering_by_a_unique_field_holds_even_then(api: Client) -> None:
    """Section 5.3: what a connector may verify by comparing the rows it gets."""
    api.server.switch("default_order", "shuffled")
    api.server.add_people(40)
    walk = [mail for page in range(1, 5) for mail in api.names(CONTACTS, page_size=10, page=page, ordering="email")]

    assert walk == sorted(walk)
    assert len(set(walk)) == 40


def test_next_may_point_to_another_host(api: Client) -> None:
    """Section 2.2: clients reuse path and query only, and refuse another host; the switch lets them prove it."""
    api.server.switch("next_base", "https://elsewhere.example")
    api.server.add_people(2)

    assert (
        api.post(f"/records/{CONTACTS}/search", page_size=1).json()["next"].startswith("https://elsewhere.example/api/records/")
    )
