"""
The pages in a real Chromium, as a person uses them: with a mouse, with the keyboard, on a phone, with JavaScript and without.

With SYNCENGINE_SCREENSHOTS=FOLDER the screens are kept there, for people to look at.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from syncengine.config import Address
from syncengine.daemon.server import WebServer, bound
from tests.support.chromium import DESK, PHONE, chromium, dress, picture
from tests.support.web_town import WebTown

pytestmark = pytest.mark.browser

PAGES = {
    "overview": "/",
    "pair": "/pairs/contacts",
    "run": "/runs/4",
    "refused": "/runs/5",
    "inbox": "/inbox",
    "quarantine": "/quarantine",
    "missing": "/nowhere",
}
CONTRAST = """
function light(c) {
  const parts = c.match(/[\\d.]+/g).map(Number).slice(0, 3).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
}
function ground(e) {
  for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor;
    if (!/, 0\\)$/.test(c)) return c;
  }
  return 'rgb(255, 255, 255)';
}
const poor = [];
for (const e of document.querySelectorAll('body *')) {
  const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  if (!own || !e.checkVisibility() || e.closest('.unseen, .skip, :disabled')) continue;
  const a = light(getComputedStyle(e).color), b = light(ground(e));
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) poor.push(e.className + ' ' + e.textContent.trim().slice(0, 30) + ' ' + ratio.toFixed(2));
}
return poor;
"""
SMALL = """
return [...document.querySelectorAll('button, input:not([type=hidden]), nav a')]
  .filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 40)
  .map(e => e.outerHTML.slice(0, 80));
"""


@pytest.fixture
def town(tmp_path):
    made = WebTown(tmp_path)
    made.trouble()
    yield made
    made.close()


@pytest.fixture
def address(town):
    server = WebServer(town.app(), bound(Address(host="127.0.0.1", port=0)))
    server.start()
    yield f"http://{server.address}"
    server.stop()


@pytest.fixture
def browser():
    with chromium() as opened:
        yield opened


def wait(browser, condition):
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.support.ui import WebDriverWait

    # An element that was found may be gone before it is asked: the page that it stood on was just left.
    patience = WebDriverWait(browser, 20, poll_frequency=0.05, ignored_exceptions=[StaleElementReferenceException])
    return patience.until(condition)


def by_text(browser, tag, words):
    return browser.find_element("xpath", f"//{tag}[contains(normalize-space(.), '{words}')]")


def reads(browser, words):
    """Waits until the page shows these words."""
    wait(browser, lambda seen: words in " ".join(seen.find_element("tag name", "body").text.split()))


def question(browser, label):
    return browser.find_element("xpath", f"//article[.//span[@class='record' and text()='{label}']]")


def complaints(browser):
    """What the browser itself found wrong: refused scripts, styles, requests."""
    return [line["message"] for line in browser.get_log("browser") if "favicon" not in line["message"]]


def test_a_conflict_is_resolved_without_leaving_the_page(town, address, browser):
    browser.get(f"{address}/inbox")
    question(browser, "ada@example.com").find_element("xpath", ".//button[text()='Take office']").click()
    reads(browser, "Answered: Take office")
    assert browser.current_url == f"{address}/inbox"
    assert browser.find_element("id", "inbox-count").text.split() == ["2", ",", "2", "questions"]
    assert "Noted." in browser.find_element("id", "said").get_attribute("textContent")
    town.sync("contacts")
    assert town.value("crm", "SELECT phone FROM people WHERE email='ada@example.com'") == "+1 555 0188"
    assert complaints(browser) == []


def test_a_value_of_ones_own_is_typed_with_the_keyboard_alone(town, address, browser):
    from selenium.webdriver.common.keys import Keys

    browser.get(f"{address}/inbox")
    summary = question(browser, "bob@example.com").find_element("tag name", "summary")
    browser.execute_script("arguments[0].focus()", summary)
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    browser.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.get_attribute("name") == "value"
    browser.switch_to.active_element.send_keys("Bob Q. Stone", Keys.ENTER)
    reads(browser, "Answered: Your own value")
    town.sync("contacts")
    assert town.value("office", "SELECT name FROM people WHERE email='bob@example.com'") == "Bob Q. Stone"


def test_a_refused_run_is_approved(town, address, browser):
    browser.get(address)
    by_text(browser, "a", "Look and decide").click()
    reads(browser, "5 updates of 6 links is above the limit")
    by_text(browser, "button", "Approve and run").click()
    reads(browser, "About to run")
    town.board.work()
    reads(browser, "In sync")
    assert town.value("crm", "SELECT count(*) FROM companies WHERE city='Zürich'") == 5
    assert complaints(browser) == []


def test_a_refused_run_is_refused(town, address, browser):
    browser.get(f"{address}/runs/5")
    by_text(browser, "button", "Refuse").click()
    reads(browser, "You said no")
    assert town.board.asked() == {}
    browser.get(address)
    reads(browser, "you said no to it")


def test_a_parked_record_is_released(town, address, browser):
    browser.get(f"{address}/quarantine")
    by_text(browser, "button", "Release").click()
    reads(browser, "Released 1 record. The next run tries again.")
    reads(browser, "Nothing is in quarantine.")


def test_an_open_page_follows_a_run_and_keeps_the_focus(town, address, browser):
    town.board.update("contacts", "read", 1100, 5000)
    browser.get(address)
    reads(browser, "reading: 1,100 of 5,000 records")
    browser.execute_script("document.getElementById('run-3').focus()")
    town.board.update("contacts", "read", 3000, 5000)
    reads(browser, "reading: 3,000 of 5,000 records")
    assert browser.switch_to.active_element.get_attribute("id") == "run-3"
    assert "contacts: Running, reading, 50 %" in browser.find_element("id", "said").get_attribute("textContent")
    assert complaints(browser) == []


def test_a_page_left_open_says_when_the_daemon_is_gone(town, browser):
    server = WebServer(town.app(), bound(Address(host="127.0.0.1", port=0)))
    server.start()
    town.board.update("contacts", "read", 1, 5000)
    browser.get(f"http://{server.address}")
    reads(browser, "reading: 1 of 5,000")
    assert not browser.find_element("id", "offline").is_displayed()
    server.stop()
    reads(browser, "The daemon does not answer.")


def test_signing_in_and_out(tmp_path_factory, browser):
    token = "a-token-of-at-least-24-characters"
    town = WebTown(tmp_path_factory.mktemp("locked"), daemon=f'[daemon]\ntoken = "{token}"')
    server = WebServer(town.app(), bound(Address(host="127.0.0.1", port=0)))
    server.start()
    browser.get(f"http://{server.address}/inbox")
    browser.switch_to.active_element.send_keys("wrong\n")
    reads(browser, "That is not the token.")
    shoot(browser, "login-wrong")
    browser.switch_to.active_element.send_keys(f"{token}\n")
    reads(browser, "Nothing waits for an answer.")
    assert browser.current_url.endswith("/inbox")
    assert browser.execute_script("return document.cookie") == ""
    browser.get(f"data:text/html,<a href='http://{server.address}/quarantine'>see</a>")
    browser.find_element("link text", "see").click()
    reads(browser, "Nothing is in quarantine.")
    by_text(browser, "button", "Sign out").click()
    reads(browser, "Sign in")
    browser.get(f"http://{server.address}/")
    reads(browser, "Sign in")
    server.stop()
    town.close()


def test_everything_works_without_javascript(town, address):
    with chromium(scripts=False) as browser:
        browser.get(f"{address}/inbox")
        question(browser, "ada@example.com").find_element("xpath", ".//button[text()='Take crm']").click()
        reads(browser, "Noted your answer to question 1.")
        question(browser, "bob@example.com").find_element("tag name", "summary").click()
        question(browser, "bob@example.com").find_element("name", "value").send_keys("Bob Q. Stone\n")
        reads(browser, "Noted your answer to question 2.")
        browser.get(f"{address}/quarantine")
        by_text(browser, "button", "Release").click()
        reads(browser, "Released 1 record.")
        browser.get(f"{address}/runs/5")
        by_text(browser, "button", "Approve and run").click()
        reads(browser, "About to run")
        assert list(town.board.asked()) == ["companies"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_pages_fit_the_screen_and_can_be_read(address, browser, size, scheme):
    """Nothing reaches beyond the screen, every text stands out from its ground by 4.5 to 1, every button is big enough."""
    dress(browser, size, scheme)
    for name, path in PAGES.items():
        browser.get(address + path)
        for details in browser.find_elements("tag name", "details"):
            browser.execute_script("arguments[0].open = true", details)
        shoot(browser, f"{name}-{'phone' if size == PHONE else 'desk'}-{scheme}")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0], name
        assert browser.execute_script(CONTRAST) == [], name
        assert browser.execute_script(SMALL) == [], name


def test_the_first_stop_of_the_keyboard_leads_past_the_head(address, browser):
    from selenium.webdriver.common.keys import Keys

    browser.get(address)
    browser.find_element("tag name", "body").send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to the content"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    browser.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.get_attribute("href").endswith("/pairs/contacts")
    outline = browser.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def shoot(browser, name):
    if folder := os.environ.get("SYNCENGINE_SCREENSHOTS"):
        picture(browser, Path(folder), name)
