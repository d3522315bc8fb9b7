"""What the pages show and change, without JavaScript: the real App, Desk and state behind them."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from tests.support.plain_browser import PlainBrowser
from tests.support.web_town import WebTown


@pytest.fixture
def town(tmp_path):
    made = WebTown(tmp_path)
    yield made
    made.close()


@pytest.fixture
def page(town):
    with PlainBrowser(town.app()) as opened:
        yield opened


class Text(HTMLParser):
    """The words of a page, as a reader without styles gets them."""

    def __init__(self, html):
        super().__init__()
        self.words = []
        self.tags = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(f" {word} " for word in self.words).split())


def text_of(answer):
    assert answer.status_code == 200, answer.text
    return Text(answer.text).text


def pair_card(page, pair):
    """The words of one pair on the overview."""
    cards = re.findall(r"<article.*?</article>", page.get("/").text, re.DOTALL)
    return next(Text(card).text for card in cards if f">{pair}<" in card)


# Pairs


def test_a_pair_that_never_ran_says_so(page):
    card = pair_card(page, "contacts")
    assert card.startswith("contacts crm.people ⇄ office.people Run now contacts Never ran")
    assert "Last run never" in card
    assert "Fresh as of never" in card


def test_the_overview_says_how_every_pair_stands(town, page):
    town.trouble()
    contacts, companies, deals = (pair_card(page, pair) for pair in ("contacts", "companies", "deals"))
    assert "In sync, but for what waits 3 questions about contacts 1 in quarantine of contacts" in contacts
    assert "Refused a guard stopped it; it waits for your word Look and decide" in companies
    assert "In sync Last run just now" in deals


def test_failures_in_a_row_are_told_in_words(town, page):
    (town.folder / "office.db").rename(town.folder / "gone.db")
    (town.folder / "office.db").mkdir()
    town.board.ask_run("contacts")
    town.board.work()
    card = pair_card(page, "contacts")
    assert "Failed" in card
    assert "office" in card


def test_run_now_asks_the_board_and_comes_back(town, page):
    answer = page.send("/pairs/contacts", back="overview")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "About to run as soon as a worker is free" in pair_card(page, "contacts")
    town.board.work()
    assert "In sync" in pair_card(page, "contacts")
    assert town.value("office", "SELECT count(*) FROM people") == 4


def test_links_are_counted_after_each_run(town, page):
    for count in (4, 5):
        town.sync("contacts")
        assert f"Linked {count} records" in pair_card(page, "contacts")
        town.insert("crm", "people (email)", [(f"new{count}@example.com",)])


def test_progress_shows_while_a_pair_runs(town, page):
    town.board.update("contacts", "read", 1200, 5000)
    answer = page.get("/")
    assert "Running reading: 1,200 of 5,000 records" in text_of(answer)
    assert ("progress", {"aria-labelledby": "pair-1", "max": "5000", "value": "1200"}) in Text(answer.text).tags
    assert 'hx-trigger="every 1s"' in answer.text


def test_a_page_that_is_open_is_told_only_what_changed(town, page):
    seen = re.search(r"\?seen=(\w+)", page.get("/").text)[1]
    part = {"hx-request": "true"}
    assert page.get(f"/?seen={seen}", headers=part).status_code == 204
    town.board.update("contacts", "read", 1, 5000)
    answer = page.get(f"/?seen={seen}", headers=part)
    assert answer.text.lstrip().startswith('<div id="live"')
    assert "contacts: Running, reading, 0 %" in text_of(answer)
    seen = re.search(r"\?seen=(\w+)", answer.text)[1]
    assert page.get(f"/?seen={seen}", headers=part).status_code == 204


def test_what_a_screen_reader_is_told_moves_in_quarters(town, page):
    def said(done):
        town.board.update("contacts", "read", done, 1000)
        return re.search(r'id="said".*?>(.*?)<', page.get("/?seen=", headers={"hx-request": "true"}).text, re.DOTALL)[1]

    assert said(260) == said(499)
    assert "25 %" in said(499)
    assert "50 %" in said(500)


def test_an_expired_session_leads_an_open_page_to_sign_in(tmp_path):
    town = WebTown(tmp_path, daemon='[daemon]\ntoken = "a-token-of-at-least-24-characters"')
    with PlainBrowser(town.app()) as page:
        answer = page.get("/", headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/login")


def test_a_pair_shows_its_runs_page_by_page(town, page):
    for _ in range(33):
        town.sync("deals")
    shown = page.get("/pairs/deals")
    numbers = [int(number) for number in re.findall(r'id="run-link-(\d+)"', shown.text)]
    assert numbers == list(range(33, 3, -1))
    older = page.get(re.search(r'href="(/pairs/deals\?before=\d+)"', shown.text)[1])
    assert [int(number) for number in re.findall(r'id="run-link-(\d+)"', older.text)] == [3, 2, 1]


# Runs


def test_a_run_shows_a_summary_that_balances_and_every_field(town, page):
    town.trouble()
    shown = text_of(page.get("/runs/4"))
    assert "Every record that was read is accounted for." in shown
    assert "unchanged 1 1 changed: sent to the other side 1 0 in conflict 2 2 in quarantine 1 0 Records read 5 3" in shown
    assert 'dora@example.com updated in office note before: (blank) → , after: "Call back on Monday" changed on the left' in shown
    assert "eve@example.com create failed in office" in shown
    assert "a check constraint refused the row" in shown


def test_the_writes_of_a_large_run_come_in_pages(town, page):
    town.insert("crm", "deals (name, worth)", [(f"Deal {number:03}", number) for number in range(250)])
    town.sync("deals")
    shown, names = "/runs/1", []
    while shown:
        answer = page.get(shown)
        names += re.findall(r'<span class="record">(.*?)</span>', answer.text)
        more = re.search(r'href="(/runs/1\?after=\d+)"', answer.text)
        shown = more and more[1]
    assert names == [f"Deal {number:03}" for number in range(250)]


def test_a_run_that_was_interrupted_says_what_comes_of_it(town, page):
    town.sync("deals")
    with town.desk() as desk:
        desk._store.database.execute("UPDATE run SET finished_at=NULL, exit=NULL, report=NULL")
    assert "was interrupted the next run resolves what it left" in text_of(page.get("/runs/1"))
    assert "was interrupted" in pair_card(page, "deals")


def test_a_pair_whose_last_good_run_is_too_long_ago_is_stale(town, page):
    town.sync("deals")
    assert "stale" not in pair_card(page, "deals")
    with town.desk() as desk:
        desk._store.database.execute("UPDATE run SET started_at = started_at - 172900")
    assert "Fresh as of 2 days ago : stale" in pair_card(page, "deals")


@pytest.mark.parametrize(
    "path",
    ["/runs/99", "/runs/abc", "/runs/-1", "/runs/1e3", f"/runs/{'9' * 40}", "/runs/¹", "/pairs/none", "/pairs/", "/pairs/a/b"],
)
def test_what_is_not_there_has_a_page(page, path):
    answer = page.get(path)
    assert answer.status_code == 404
    assert "Not found" in answer.text


# Refused runs


def test_a_refused_run_shows_what_it_would_have_done(town, page):
    town.trouble()
    shown = text_of(page.get("/runs/5"))
    assert "5 updates of 6 links is above the limit (1% and 1)" in shown
    assert "update crm 5" in shown
    assert "company 2" in shown
    assert "held back 0 5 Records read 6 6" in shown
    assert "Approve and run" in shown


def approval(page, path):
    return re.search(r'name="approval" value="(\w+)"', page.get(path).text)[1]


def test_approving_lets_pass_what_was_shown(town, page):
    town.trouble()
    answer = page.send("/runs/5/approve", seen_on="/runs/5", approval=approval(page, "/runs/5"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/pairs/companies")
    assert list(town.board.asked()) == ["companies"]
    town.board.work()
    assert town.value("crm", "SELECT count(*) FROM companies WHERE city='Zürich'") == 5
    assert "In sync" in pair_card(page, "companies")
    assert "A later run has taken its place" in text_of(page.get("/runs/5"))


def test_approving_does_not_cover_what_came_later(town, page):
    town.trouble()
    town.edit("office", "UPDATE companies SET city='Basel' WHERE id=1")
    page.send("/runs/5/approve", seen_on="/runs/5", approval=approval(page, "/runs/5"))
    [report] = town.board.work()
    assert [trip.guard for trip in report.refused] == ["updates", "approval"]
    assert town.value("crm", "SELECT count(*) FROM companies WHERE city='Bern'") == 6


def test_refusing_is_remembered_while_the_pair_would_do_the_same(town, page):
    town.trouble()
    assert page.send("/runs/5/refuse", seen_on="/runs/5").status_code == 303
    assert "You said no" in text_of(page.get("/runs/5"))
    town.sync("companies")
    assert "Refused you said no to it; nothing is written while it would do the same" in pair_card(page, "companies")
    shown = text_of(page.get("/runs/7"))
    assert "You said no to the very same" in shown
    assert "Approve and run" in shown
    town.edit("office", "UPDATE companies SET city='Bern' WHERE id > 4")
    town.sync("companies")
    assert "a guard stopped it; it waits for your word" in pair_card(page, "companies")


@pytest.mark.parametrize("what", ["approve", "refuse"])
def test_a_run_that_waits_for_nothing_is_not_answered(town, page, what):
    town.trouble()
    hash_ = approval(page, "/runs/5")
    assert page.send(f"/runs/1/{what}", approval=hash_).status_code == 409
    assert page.send(f"/runs/99/{what}", approval=hash_).status_code == 409
    assert page.send("/runs/5/refuse").status_code == 303
    assert page.send(f"/runs/5/{what}", approval=hash_).status_code == 409
    assert town.board.asked() == {}


def test_an_approval_of_something_else_is_refused(town, page):
    town.trouble()
    assert page.send("/runs/5/approve", approval="0000000000").status_code == 409
    assert town.board.asked() == {}


# Inbox


def answered(page, entry, **fields):
    return page.send(f"/inbox/{entry.id}", seen_on="/inbox", mark=entry.mark, **fields)


@pytest.mark.parametrize(
    ("fields", "left", "right"),
    [
        ({"choice": "left"}, "+1 555 0199", "+1 555 0199"),
        ({"choice": "right"}, "+1 555 0188", "+1 555 0188"),
        ({"choice": "apart"}, "+1 555 0199", "+1 555 0188"),
        ({"choice": "value", "value": "+1 555 0177"}, "+1 555 0177", "+1 555 0177"),
    ],
)
def test_a_conflict_is_answered_and_the_next_run_acts_on_it(town, page, fields, left, right):
    town.trouble()
    assert "phone: two different values contacts · question 1" in text_of(page.get("/inbox"))
    entry = town.question("ada@example.com")
    answer = answered(page, entry, **fields)
    assert answer.headers["location"] == f"/inbox?noted={entry.id}"
    assert "Noted your answer" in text_of(page.get(answer.headers["location"]))
    town.sync("contacts")
    held = [town.value(name, "SELECT phone FROM people WHERE email='ada@example.com'") for name in ("crm", "office")]
    assert held == [left, right]
    assert "ada@example.com" not in page.get("/inbox").text


@pytest.mark.parametrize(
    ("choice", "words", "crm", "office"),
    [("right", "Delete it in crm", 0, 0), ("left", "Bring it back in office", 1, 1), ("apart", "Leave it as it is", 1, 0)],
)
def test_a_deletion_is_asked_about_in_words_that_say_what_happens(town, page, choice, words, crm, office):
    town.trouble()
    shown = page.get("/inbox").text
    assert "Deleted in office. Delete it in crm too?" in shown
    assert re.search(rf'value="{choice}"[^>]*>{words}<', shown)
    answered(page, town.question("cleo@example.com"), choice=choice)
    town.sync("contacts")
    counts = [town.value(name, "SELECT count(*) FROM people WHERE email='cleo@example.com'") for name in ("crm", "office")]
    assert counts == [crm, office]


def test_several_records_with_one_key_are_put_away(town, page):
    town.insert("crm", "companies (name, city)", [("Company 1", "Genf")])
    town.sync("companies")
    shown = text_of(page.get("/inbox"))
    assert "Several records share one key" in shown
    entry = town.question("Company 1")
    assert answered(page, entry, choice="apart").status_code == 303
    assert "Nothing waits for an answer." in text_of(page.get("/inbox"))


def test_an_answer_to_an_older_question_is_not_taken(town, page):
    """A person who saw 0199 and presses its button must not choose the 0200 that came since."""
    town.trouble()
    entry = town.question("ada@example.com")
    town.edit("crm", "UPDATE people SET phone='+1 555 0200' WHERE email='ada@example.com'")
    town.sync("contacts")
    answer = answered(page, entry, choice="left")
    assert answer.status_code == 409
    assert "has changed since" in answer.text
    assert town.question("ada@example.com").answer is None


def test_an_answer_can_be_changed_until_the_next_run(town, page):
    town.trouble()
    answered(page, town.question("ada@example.com"), choice="left")
    assert "Answered: Take crm" in text_of(page.get("/inbox"))
    answered(page, town.question("ada@example.com"), choice="right")
    assert town.question("ada@example.com").answer == "right"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"choice": "value"}, 422),
        ({"choice": "value", "value": ""}, 422),
        ({"choice": "both"}, 400),
        ({}, 400),
        ({"choice": "value", "value": "x" * 10_001}, 422),
    ],
)
def test_half_an_answer_is_refused_in_words(town, page, fields, code):
    town.trouble()
    assert answered(page, town.question("ada@example.com"), **fields).status_code == code
    assert town.question("ada@example.com").answer is None


def test_a_question_that_is_settled_says_so(town, page):
    town.trouble()
    entry = town.question("ada@example.com")
    answered(page, entry, choice="left")
    town.sync("contacts")
    assert answered(page, entry, choice="right").status_code == 404


def test_an_answer_inside_the_page_brings_back_the_question_alone(town, page):
    town.trouble()
    entry = town.question("ada@example.com")
    data = {**page.form("/inbox"), "choice": "left", "mark": entry.mark}
    answer = page.post(f"/inbox/{entry.id}", data=data, headers={"hx-request": "true"})
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert "Answered: Take crm" in text_of(answer)
    assert 'id="inbox-count" hx-swap-oob="true"' in answer.text


def test_trouble_inside_the_page_shows_at_its_top(town, page):
    town.trouble()
    entry = town.question("ada@example.com")
    data = {**page.form("/inbox"), "choice": "left", "mark": "old"}
    answer = page.post(f"/inbox/{entry.id}", data=data, headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-retarget"]) == (409, "#notices")
    assert "<html" not in answer.text


def test_a_full_inbox_comes_in_pages(town, page):
    town.insert("crm", "deals (name, worth)", [(f"Deal {number:02}", number) for number in range(60)])
    town.sync("deals")
    town.edit("crm", "UPDATE deals SET worth = worth + 1000")
    town.edit("office", "UPDATE deals SET worth = worth + 2000")
    town.sync("deals")
    shown, names = "/inbox", []
    while shown:
        answer = page.get(shown)
        names += re.findall(r'<span class="record">(.*?)</span>', answer.text)
        more = re.search(r'href="(/inbox\?after=\d+)"', answer.text)
        shown = more and more[1]
    assert sorted(names) == [f"Deal {number:02}" for number in range(60)]


# Quarantine

WITHOUT_CHECK = """
ALTER TABLE people RENAME TO strict;
CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT, phone TEXT, note TEXT);
INSERT INTO people SELECT * FROM strict;
DROP TABLE strict;
"""


def test_a_parked_record_is_released_and_tried_again(town, page):
    town.trouble()
    shown = page.get("/quarantine")
    assert "eve@example.com in crm, 5 table people: a check constraint refused the row" in text_of(shown)
    parked = re.search(r'name="id" value="([^"]+)"', shown.text)[1]
    town.change("office", WITHOUT_CHECK)
    answer = page.send("/quarantine/release", seen_on="/quarantine", id=parked)
    assert answer.headers["location"] == "/quarantine?released=1"
    assert "Released 1 record. The next run tries again. Nothing is in quarantine." in text_of(page.get("/quarantine?released=1"))
    town.sync("contacts")
    assert town.value("office", "SELECT name FROM people WHERE email='eve@example.com'") == "Eve Long"


def test_all_parked_records_of_a_pair_are_released_at_once(town, page):
    town.sync("contacts")
    town.insert("crm", "people (email, phone)", [(f"p{number}@example.com", "9" * 30) for number in range(60)])
    town.sync("contacts")
    shown = text_of(page.get("/quarantine"))
    assert "contacts 60 records Release all of contacts" in shown
    assert "The first 50 of 60" in shown
    assert page.send("/quarantine/release", all="contacts").headers["location"] == "/quarantine?released=60"
    with town.desk() as desk:
        assert desk.waiting() == (0, 0)


def test_what_is_not_parked_is_not_released(town, page):
    town.trouble()
    for id_ in ("contacts:left:1", "contacts:left:99", "nonsense", ""):
        assert page.send("/quarantine/release", id=id_).status_code == 409, id_
    with town.desk() as desk:
        assert desk.waiting()[1] == 1


# What everything has


HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\x1b[31m{{7*7}}'


def test_hostile_values_are_shown_and_do_nothing(town, page):
    """Values of records appear as text in every page that shows them, and bring in no element and no steering character."""
    town.sync()
    town.edit("crm", "UPDATE people SET name=?, note=? WHERE email='ada@example.com'", HOSTILE, HOSTILE)
    town.edit("office", "UPDATE people SET note='x' WHERE email='ada@example.com'")
    town.insert("crm", "people (email, phone)", [(f"{HOSTILE[:20]}@example.com", "9" * 30)])
    town.insert("crm", "companies (name, city)", [(HOSTILE, "a"), (HOSTILE, "b")])
    town.sync()
    latest = max(int(number) for number in re.findall(r'href="/runs/(\d+)"', page.get("/").text))
    paths = ["/", "/inbox", "/quarantine", "/pairs/contacts", *(f"/runs/{number}" for number in range(1, latest + 1))]
    shown = {path: page.get(path).text for path in paths}
    assert sum("&lt;script&gt;" in html for html in shown.values()) >= 3
    for path, html in shown.items():
        tags = Text(html).tags
        assert [attrs for tag, attrs in tags if tag == "script"] == [
            attrs for tag, attrs in tags if tag == "script" and "src" in attrs
        ], path
        assert not [
            tag for tag, attrs in tags if tag == "img" or any(name.startswith("on") or name == "style" for name in attrs)
        ], path
        assert not set("\u202e\x1b") & set(html), path


def test_no_page_has_record_data_in_an_address(town, page):
    """Addresses end up in histories and logs."""
    town.trouble()
    for path in ("/", "/inbox", "/quarantine", "/pairs/contacts", "/runs/4", "/runs/5"):
        tags = Text(page.get(path).text).tags
        for address in {attrs.get(name, "") for _, attrs in tags for name in ("href", "action", "src", "hx-get", "hx-post")}:
            assert re.fullmatch(
                r"|#main|/|/inbox|/quarantine(/release)?|/inbox/\d+|/pairs/[a-z]+|/runs/\d+(/approve|/refuse)?|/static/[a-z.]+\?v=\w+|(/|/pairs/[a-z]+)\?seen=\w+",
                address,
            ), (path, address)


@pytest.mark.parametrize("path", ["/", "/inbox", "/quarantine", "/pairs/contacts", "/runs/4", "/runs/5", "/nowhere"])
def test_pages_are_built_for_keyboards_and_screen_readers(town, page, path):
    """One main, one h1, headings without gaps, labels on fields, captions on tables, words on buttons, unique ids."""
    town.trouble()
    html = page.get(path).text
    tags = Text(html).tags
    names = [tag for tag, _ in tags]
    assert names.count("main") == names.count("h1") == 1
    assert ("html", {"lang": "en"}) in tags
    levels = [int(name[1]) for name in names if re.fullmatch("h[1-6]", name)]
    assert all(after - before <= 1 for before, after in zip([0, *levels], levels, strict=False))
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    fields = [attrs for tag, attrs in tags if tag == "input" and attrs.get("type") != "hidden"]
    assert {attrs["id"] for attrs in fields} <= {attrs["for"] for tag, attrs in tags if tag == "label"}
    assert names.count("caption") == names.count("table")
    assert all(attrs.get("aria-hidden") == "true" for tag, attrs in tags if tag == "svg")
    assert all(Text(button).text for button in re.findall(r"<button.*?</button>", html, re.DOTALL))
    described = {attrs["aria-describedby"] for _, attrs in tags if "aria-describedby" in attrs}
    labelled = {attrs["aria-labelledby"] for _, attrs in tags if "aria-labelledby" in attrs}
    assert described | labelled <= set(ids)


def test_a_config_that_cannot_be_used_is_told_on_every_page(town, page):
    town.board.config_problems = ("pairs.contacts.match: there is no field 'mail'",)
    assert "the daemon goes on with the one before. pairs.contacts.match" in text_of(page.get("/inbox"))


def test_a_daemon_that_is_not_ready_says_so(town, page):
    town.board.is_ready = False
    assert "The daemon is not ready" in text_of(page.get("/"))


def test_assets_are_kept_by_browsers_as_long_as_they_do_not_change(page):
    address = re.search(r'href="(/static/style.css\?v=\w+)"', page.get("/").text)[1]
    answer = page.get(address)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
