"""The pages of the real daemon, from another process: what is pressed there happens in both systems."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.chromium import chromium
from tests.support.daemons import Daemon, daemon
from tests.support.web_town import WebTown

LISTEN = '[daemon]\nlisten = "127.0.0.1:0"\njitter = 0'
TOKEN = "a-token-of-at-least-24-characters"


@pytest.fixture
def town(tmp_path: Path) -> WebTown:
    """A day's trouble, left by runs of the command; the pairs have no schedule, so that they run when asked."""
    made = WebTown(tmp_path, daemon=LISTEN)
    made.trouble()
    made.close()
    return made


@pytest.fixture
def running(town: WebTown) -> Iterator[Daemon]:
    with daemon(town.folder) as started:
        yield started


def phones(town: WebTown) -> list[str]:
    return [town.value(name, "SELECT phone FROM people WHERE email='ada@example.com'") for name in ("crm", "office")]


def moved(town: WebTown) -> int:
    return int(town.value("crm", "SELECT count(*) FROM companies WHERE city='Zürich'"))


def proof(page: httpx.Client, path: str) -> dict[str, str]:
    found = re.search(r'name="form" value="(\w+)"', page.get(path).text)
    assert found is not None
    return {"form": found[1]}


def test_what_is_answered_in_the_browser_happens(town: WebTown, running: Daemon) -> None:
    with chromium() as browser:
        browser.get(f"{running.url}/inbox")
        browser.find_element("xpath", "//article[contains(., 'ada@example.com')]//button[text()='Take office']").click()
        running.until(lambda: "Answered: Take office" in browser.find_element("tag name", "body").text, "answered")
        browser.get(f"{running.url}/pairs/contacts")
        browser.find_element("xpath", "//button[starts-with(., 'Run now')]").click()
        running.until(lambda: phones(town) == ["+1 555 0188"] * 2, "the answer in both systems")
        running.until(lambda: "crm: 1 updated" in browser.find_element("tag name", "body").text, "the run on the open page")
        browser.get(running.url)
        browser.find_element("xpath", "//a[starts-with(., 'Look and decide')]").click()
        browser.find_element("xpath", "//button[text()='Approve and run']").click()
        running.until(lambda: moved(town) == 5, "what was approved")
        running.until(lambda: "In sync" in browser.find_element("tag name", "body").text, "the end of the run on the open page")
        assert [line for line in browser.get_log("browser") if "favicon" not in line["message"]] == []
    assert running.stop() == 0


def test_what_is_answered_without_a_browser_happens_too(town: WebTown, running: Daemon) -> None:
    with httpx.Client(base_url=running.url, headers={"accept": "text/html"}) as page:
        mark = re.search(r'action="/inbox/1".*?name="mark" value="(\w+)"', page.get("/inbox").text, re.DOTALL)
        assert mark is not None
        assert page.post("/inbox/1", data={**proof(page, "/inbox"), "mark": mark[1], "choice": "left"}).status_code == 303
        assert page.post("/pairs/contacts", data=proof(page, "/")).status_code == 303
        running.until(lambda: phones(town) == ["+1 555 0199"] * 2, "the answer in both systems")
        approval = re.search(r'name="approval" value="(\w+)"', page.get("/runs/5").text)
        assert approval is not None
        assert page.post("/runs/5/approve", data={**proof(page, "/runs/5"), "approval": approval[1]}).status_code == 303
        running.until(lambda: moved(town) == 5, "what was approved")
        assert page.post("/quarantine/release", data={**proof(page, "/"), "all": "contacts"}).status_code == 303
        assert "Nothing is in quarantine." in page.get("/quarantine").text
    assert running.stop() == 0


def test_forms_of_an_open_page_outlive_a_changed_config(town: WebTown, running: Daemon) -> None:
    with httpx.Client(base_url=running.url, headers={"accept": "text/html"}) as page:
        before = proof(page, "/")
        town.path.write_text(town.path.read_text().replace("jitter = 0", "jitter = 1"))
        running.until_logged("config.reloaded")
        assert page.post("/pairs/deals", data=before).status_code == 303


def test_a_config_that_cannot_be_used_shows_on_the_pages(town: WebTown, running: Daemon) -> None:
    with httpx.Client(base_url=running.url, headers={"accept": "text/html"}) as page:
        town.path.write_text(town.path.read_text().replace('match = "email"', 'match = "mail"'))
        running.until(lambda: "the daemon goes on with the one before" in page.get("/").text, "told")
        assert "pairs.contacts" in page.get("/").text


def test_beyond_this_machine_the_token_is_asked_for(town: WebTown) -> None:
    town.path.write_text(
        town.path.read_text().replace("127.0.0.1:0", "0.0.0.0:0").replace("jitter = 0", f'jitter = 0\ntoken = "{TOKEN}"')
    )
    with daemon(town.folder) as running:
        url = re.sub(r"//[^:]+:", "//127.0.0.1:", running.url)
        with httpx.Client(base_url=url, headers={"accept": "text/html"}) as page:
            assert page.get("/").headers["location"] == "/login"
            assert page.get("/metrics").status_code in (303, 401)
            answer = page.post("/login", data={**proof(page, "/login"), "token": TOKEN})
            assert answer.headers["location"] == "/"
            assert "contacts" in page.get("/").text
            assert page.get("/", headers={"host": "rebound.example"}).status_code == 421
        assert TOKEN not in running.log
