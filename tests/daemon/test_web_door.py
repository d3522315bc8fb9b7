"""Who may come in, and what a change must carry: the guard before the pages, without a browser."""

from __future__ import annotations

import re

import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from syncengine.config import Address, DaemonConfig
from syncengine.daemon.web import build
from syncengine.daemon.web.answers import own_path
from syncengine.engine.ports import RandomTokens
from tests.support.engine import TestClock
from tests.support.plain_browser import PlainBrowser
from tests.support.web_town import WebTown

TOKEN = "a-token-of-at-least-24-characters"
OPEN_TO_ALL = Address(host="0.0.0.0", port=8080)
SAFE_HEADERS = {
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


@pytest.fixture
def clock():
    return TestClock()


@pytest.fixture
def town(tmp_path):
    made = WebTown(tmp_path)
    yield made
    made.close()


@pytest.fixture
def visit(town, clock):
    """Opens a browser on pages with these settings."""
    opened = []

    def made(*, address="127.0.0.1", base="http://127.0.0.1:8080", routes=(), guarded=(), **settings):
        app = build(
            town.board, town.desk, DaemonConfig(**settings), clock=clock, tokens=RandomTokens(), routes=routes, guarded=guarded
        )
        opened.append(PlainBrowser(app, address=address, base=base))
        return opened[-1]

    yield made
    for page in opened:
        page.__exit__(None, None, None)


def form_token(page, path="/"):
    """What a form on a page carries."""
    return re.search(r'name="form" value="([0-9a-f]{64})"', page.get(path).text)[1]


def sign_in(page, token=TOKEN):
    return page.post("/login", data={"form": form_token(page, "/login"), "token": token})


def test_this_machine_comes_in_without_a_token(visit):
    answer = visit().get("/")
    assert (answer.status_code, "contacts" in answer.text) == (200, True)


def test_beyond_this_machine_nobody_comes_in_without_settings_that_say_who(visit):
    """The config refuses such settings; the guard would too."""
    assert visit(listen=OPEN_TO_ALL).get("/").status_code == 403


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "via", "x-real-ip"])
def test_a_proxy_in_front_of_loopback_lets_nobody_in_by_accident(visit, header):
    answer = visit().get("/", headers={header: "203.0.113.9"})
    assert answer.status_code == 403
    assert "trusted_proxies" in answer.text


@pytest.mark.parametrize(
    "path", ["/", "/inbox", "/quarantine", "/runs/1", "/pairs/contacts", "/nowhere", "/static", "/login/x/../../inbox"]
)
def test_with_a_token_every_page_asks_for_it(visit, path):
    answer = visit(token=TOKEN).get(path)
    assert answer.status_code in (303, 404)
    assert "contacts" not in answer.text
    if answer.status_code == 303:
        assert answer.headers["location"].startswith("/login")


@pytest.mark.parametrize(
    "path", ["/pairs/contacts", "/runs/1/approve", "/runs/1/refuse", "/inbox/1", "/quarantine/release", "/logout"]
)
def test_with_a_token_every_change_asks_for_it(visit, town, path):
    page = visit(token=TOKEN)
    answer = page.post(path, data={"form": form_token(page, "/login")})
    assert answer.status_code == 401
    assert town.board.asked() == {}


def test_the_right_token_begins_a_session_and_leads_back(visit):
    page = visit(token=TOKEN, listen=OPEN_TO_ALL)
    assert page.get("/runs/12").headers["location"] == "/login?next=/runs/12"
    shown = page.get("/login?next=/runs/12")
    assert 'name="next" value="/runs/12"' in shown.text
    form = re.search(r'name="form" value="(\w+)"', shown.text)[1]
    answer = page.post("/login", data={"form": form, "token": TOKEN, "next": "/runs/12"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs/12")
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert TOKEN not in cookie
    assert page.get("/").status_code == 200


def test_a_session_before_signing_in_is_worth_nothing_after(visit):
    """A cookie that somebody planted in a browser becomes no key when its owner signs in, and neither does what its forms carry."""
    page = visit(token=TOKEN)
    known = form_token(page, "/login")
    planted = dict(page.cookies)
    assert sign_in(page).status_code == 303
    assert page.post("/pairs/contacts", data={"form": known}).status_code == 403
    other = visit(token=TOKEN)
    other.cookies.update(planted)
    assert other.get("/").status_code == 303


def test_a_link_from_elsewhere_costs_neither_the_session_nor_open_forms(visit):
    """A browser keeps the session to itself there; our own page leads on, and then it shows it."""
    page = visit(token=TOKEN)
    sign_in(page)
    kept, before = dict(page.cookies), form_token(page)
    page.cookies.delete("syncengine-8080")
    answer = page.get("/runs/12", headers={"sec-fetch-site": "cross-site"})
    assert '<meta http-equiv="refresh" content="0; url=/runs/12">' in answer.text
    assert "set-cookie" not in answer.headers
    page.cookies.update(kept)
    assert form_token(page) == before
    stranger = visit(token=TOKEN)
    assert stranger.get("/runs/12", headers={"sec-fetch-site": "same-origin"}).headers["location"] == "/login?next=/runs/12"


def test_a_cookie_of_a_form_is_no_session(visit):
    page = visit(token=TOKEN)
    page.get("/login")
    [form] = page.cookies.values()
    page.cookies.set("syncengine-8080", form)
    assert page.get("/").status_code == 303


def test_a_link_from_elsewhere_leads_on_to_us_alone(visit):
    page = visit(token=TOKEN)
    for path in ("//evil.example/x", '/"><script>', "/a;url=//evil.example"):
        shown = page.get(f"http://127.0.0.1:8080{path}", headers={"sec-fetch-site": "cross-site"}).text
        [leads] = re.findall(r'content="0; url=([^"]*)"', shown)
        assert re.fullmatch(r"/[^/;<>\s][^;<>\s]*", leads), leads


def test_a_wrong_token_says_so_and_nothing_else(visit):
    answer = sign_in(visit(token=TOKEN), "wrong")
    assert answer.status_code == 401
    assert "That is not the token." in answer.text
    assert TOKEN not in answer.text


def test_wrong_tokens_are_slowed_down_by_address(visit, clock):
    page = visit(token=TOKEN)
    codes = [sign_in(page, f"guess {number}").status_code for number in range(12)]
    assert codes == [401] * 10 + [429] * 2
    assert sign_in(page).status_code == 429
    clock.sleep(61)
    assert sign_in(page).status_code == 303


def test_wrong_bearers_are_slowed_down_too(visit):
    page = visit(token=TOKEN)
    codes = [page.get("/", headers={"authorization": "Bearer no"}).status_code for _ in range(12)]
    assert codes == [303] * 10 + [429] * 2


def test_a_session_ends_after_a_week(visit, clock):
    page = visit(token=TOKEN)
    sign_in(page)
    clock.sleep(6 * 86_400)
    assert page.get("/").status_code == 200
    clock.sleep(86_400)
    assert page.get("/").status_code == 303


def test_another_token_ends_every_session(visit):
    page = visit(token=TOKEN)
    sign_in(page)
    other = visit(token=TOKEN[::-1])
    other.cookies.update(dict(page.cookies))
    assert other.get("/").status_code == 303


def test_a_restart_signs_nobody_out(visit):
    page = visit(token=TOKEN)
    sign_in(page)
    other = visit(token=TOKEN)
    other.cookies.update(dict(page.cookies))
    assert other.get("/").status_code == 200


def test_every_bit_of_a_session_is_signed(visit):
    page = visit(token=TOKEN)
    sign_in(page)
    [(name, cookie)] = [(name, cookie) for name, cookie in page.cookies.items() if "form" not in name]
    for place in range(len(cookie)):
        altered = cookie[:place] + ("1" if cookie[place] != "1" else "0") + cookie[place + 1 :]
        other = visit(token=TOKEN)
        other.cookies.set(name, altered)
        assert other.get("/").status_code == 303, place


def test_signing_out_ends_it(visit):
    page = visit(token=TOKEN)
    sign_in(page)
    answer = page.post("/logout", data={"form": form_token(page)})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert page.get("/").status_code == 303


def test_a_program_shows_the_token_with_each_request_and_needs_no_form(visit, town):
    page = visit(token=TOKEN, listen=OPEN_TO_ALL)
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert page.get("/", headers=bearer).status_code == 200
    assert page.post("/pairs/contacts", headers=bearer).status_code == 303
    assert town.board.asked() == {"contacts": None}
    assert "set-cookie" not in page.get("/", headers=bearer).headers


def test_a_trusted_proxy_names_who_comes_in(visit):
    settings = {"listen": OPEN_TO_ALL, "proxy_user_header": "X-User", "trusted_proxies": ("10.0.0.0/8",)}
    inside, outside = visit(address="10.1.2.3", **settings), visit(address="203.0.113.9", **settings)
    assert "grace" in inside.get("/", headers={"x-user": "grace"}).text
    assert inside.get("/").status_code == 403
    assert inside.get("/", headers={"x-user": " "}).status_code == 403
    assert outside.get("/", headers={"x-user": "grace"}).status_code == 403


def test_a_cookie_is_secure_where_the_proxy_speaks_https(visit):
    settings = {"listen": OPEN_TO_ALL, "proxy_user_header": "X-User", "trusted_proxies": ("10.0.0.0/8",)}
    told = {"x-user": "grace", "x-forwarded-proto": "https"}
    assert "Secure" in visit(address="10.1.2.3", **settings).get("/", headers=told).headers["set-cookie"]
    assert "Secure" not in visit().get("/").headers["set-cookie"]


# Names


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "",
        "a@127.0.0.1",
        "localhost.evil",
        "[::1",
        "127.0.0.1:port",
    ],
)
def test_a_strange_name_is_refused(visit, host):
    """A site whose name points to this machine cannot read the pages through a visitor's browser."""
    answer = visit().get("/", headers={"host": host})
    assert answer.status_code == 421
    assert "contacts" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1:9", "[::1]:8080", "192.0.2.7", "localhost."])
def test_addresses_and_this_machines_name_are_ours(visit, host):
    assert visit().get("/", headers={"host": host}).status_code == 200


def test_names_of_the_config_are_ours(visit):
    assert visit(hosts=("sync.example.com",)).get("/", headers={"host": "Sync.Example.com"}).status_code == 200


def test_routes_of_machines_go_by_any_name_and_need_no_token(visit):
    def hook(_request):
        return PlainTextResponse("taken", status_code=202)

    page = visit(token=TOKEN, routes=[Route("/hooks/crm", hook, methods=["POST"])])
    answer = page.post("/hooks/crm", headers={"host": "tunnel.example"}, content=b"{}")
    assert (answer.status_code, answer.text) == (202, "taken")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_guarded_routes_stand_behind_the_door(visit):
    def metrics(_request):
        return PlainTextResponse("runs 3")

    page = visit(token=TOKEN, guarded=[Route("/metrics", metrics)])
    assert page.get("/metrics", headers={"accept": "*/*"}).status_code == 401
    assert page.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"}).text == "runs 3"


# Forms


def test_a_change_needs_the_form_of_this_session(visit, town):
    page, other = visit(), visit()
    strange = form_token(other)
    for data in ({}, {"form": ""}, {"form": strange}, {"form": "0" * 64}, {"form": "é"}):
        assert page.post("/pairs/contacts", data=data).status_code == 403, data
    assert town.board.asked() == {}
    assert page.post("/pairs/contacts", data={"form": form_token(page)}).status_code == 303
    assert town.board.asked() == {"contacts": None}


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8081"},
        {"origin": "http://[bad"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_change_from_another_site_is_refused_even_with_the_form(visit, town, headers):
    page = visit()
    assert page.post("/pairs/contacts", data={"form": form_token(page)}, headers=headers).status_code == 403
    assert town.board.asked() == {}


@pytest.mark.parametrize(
    "headers", [{"origin": "http://127.0.0.1:8080"}, {"sec-fetch-site": "same-origin"}, {"origin": "https://127.0.0.1:8080"}]
)
def test_a_change_from_our_own_page_passes(visit, headers):
    page = visit()
    assert page.post("/pairs/contacts", data={"form": form_token(page)}, headers=headers).status_code == 303


def test_a_form_has_a_size_a_kind_and_a_number_of_fields(visit):
    page = visit()
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert page.post("/pairs/contacts", content=b"x" * 65_537, headers=kind).status_code == 413
    assert page.post("/pairs/contacts", content=b"&".join([b"a=1"] * 2_001), headers=kind).status_code == 400
    assert page.post("/pairs/contacts", content=b"a=%ff", headers=kind).status_code == 400
    assert page.post("/pairs/contacts", content="a=é".encode(), headers=kind).status_code == 400
    assert page.post("/pairs/contacts", content=b"{}", headers={"content-type": "application/json"}).status_code == 415


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "BREW"])
def test_other_methods_change_nothing_and_get_a_page(visit, method):
    answer = visit().request(method, "/pairs/contacts")
    assert answer.status_code in (403, 405)
    assert "<h1>" in answer.text


# Answers


@pytest.mark.parametrize("path", ["/", "/inbox", "/nowhere", "/login", "/static/style.css", "/static/none.css"])
def test_every_answer_has_the_protecting_headers(visit, path):
    headers = visit().get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    wanted = {
        name: value for name, value in SAFE_HEADERS.items() if not (path == "/static/style.css" and name == "cache-control")
    }
    assert {name: headers[name] for name in wanted} == wanted


def test_an_error_is_a_plain_page_without_a_trace_of_the_inside(visit, town, capsys):
    def broken():
        message = "secret value of ada@example.com"
        raise KeyError(message)

    page = visit()
    town.board.activities = broken
    answer = page.get("/")
    assert answer.status_code == 500
    assert "Something went wrong here" in answer.text
    assert not re.search("Traceback|KeyError|ada@|secret|\\.py", answer.text)
    told = "".join(capsys.readouterr())
    assert "page.failed" in told
    assert "ada@" not in told


def test_a_state_that_cannot_be_used_is_told_with_its_cure(visit, town):
    (town.folder / "state.db").write_bytes(b"not a database at all" * 100)
    answer = visit().get("/")
    assert answer.status_code == 503
    assert "state file" in answer.text


def test_programs_get_errors_as_text(visit):
    answer = visit().get("/nowhere", headers={"accept": "application/json"})
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text == "Not found. There is no such page.\n"


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "", "inbox", "/a\nb", "/ ", "/\t/evil"],
)
def test_signing_in_leads_nowhere_else(path):
    assert own_path(path) == "/"


def test_signing_in_leads_on(visit):
    assert own_path("/runs/12") == "/runs/12"
