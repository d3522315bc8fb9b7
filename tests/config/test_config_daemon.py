"""The `[daemon]` table: every mistake with its place and cure, nothing secret shown, and nobody let in by oversight."""

from __future__ import annotations

import json

import pytest

from syncengine.config import Address, load, show
from syncengine.config.scalars import parse_address
from syncengine.errors import ConfigError

FILE = """
[systems.crm]
connector = "csv"
[systems.office]
connector = "csv"
[pairs.people]
left = "crm.a"
right = "office.b"
match = "email"
fields = {{ email = "email" }}
[daemon]
{daemon}
"""
TOKEN = "canary-token-of-at-least-24"
SIGNING = "whsec_Y2FuYXJ5LXNpZ25pbmcta2V5LW9mLTMyLWJ5dGVz"


def loaded(tmp_path, daemon, **environ):
    (tmp_path / "s.toml").write_text(FILE.format(daemon=daemon))
    return load(tmp_path / "s.toml", environ=environ)


def test_everything_has_a_default(tmp_path):
    daemon = loaded(tmp_path, "").daemon
    assert (str(daemon.listen), daemon.web, daemon.parallel, daemon.jitter) == ("127.0.0.1:8080", True, 2, 10.0)
    assert (daemon.stop_within, daemon.keep, daemon.alerts.stale_after) == (30.0, 90 * 86400.0, 86400.0)
    assert (daemon.token, daemon.timezone, daemon.trusted_proxies, dict(daemon.hooks)) == (None, None, (), {})


def test_what_is_written_is_taken(tmp_path):
    text = f"""
listen = "[::1]:0"
parallel = 8
jitter = "1 minute"
timezone = "Europe/Berlin"
token = "${{TOKEN}}"
stop_within = 5
keep = "1 week"
proxy_user_header = "X-User"
trusted_proxies = ["10.0.0.1", "10.1.0.0/16"]
alerts = {{ url = "https://alerts.example/canary", secret = "{SIGNING}", stale_after = "2 hours" }}
hooks.office.secret = ["{SIGNING}", "{SIGNING[:-4]}"]
"""
    daemon = loaded(tmp_path, text, TOKEN=TOKEN).daemon
    assert daemon.listen == Address(host="::1", port=0)
    assert (daemon.token, daemon.keep, daemon.hooks["office"][0]) == (TOKEN, 604800.0, SIGNING)
    assert daemon.trusted_proxies == ("10.0.0.1/32", "10.1.0.0/16")


WRONG = [
    ('listen = "8080"', "daemon.listen", '"8080" is not an address to listen on', "HOST:PORT"),
    ('listen = "127.0.0.1:80800"', "daemon.listen", "there is no port above 65535", "HOST:PORT"),
    ('listen = "0.0.0.0:8080"', "daemon.listen", "nothing tells who may come in", "token"),
    ("parallel = 0", "daemon.parallel", "0 is below 1", "from 1"),
    ('jitter = "a while"', "daemon.jitter", "is not a duration", "5 minutes"),
    ('timezone = "Berlin"', "daemon.timezone", "is not a time zone", "Europe/Berlin"),
    ('proxy_user_header = "X-User"', "daemon.proxy_user_header", "stands without trusted_proxies", "add trusted_proxies"),
    ('trusted_proxies = ["10.0.0.1"]', "daemon.trusted_proxies", "stands without proxy_user_header", "add proxy_user_header"),
    ('trusted_proxies = ["proxy"]', "daemon.trusted_proxies[0]", '"proxy" is not an address or a network', "10.0.0.0/8"),
    ('alerts.url = "alerts.example"', "daemon.alerts.url", "is no address of a webhook", "https://"),
    (f'hooks.ofice.secret = "{SIGNING}"', "daemon.hooks.ofice", "there is no system", 'did you mean "office"?'),
    ("hooks.office = {}", "daemon.hooks.office", "the secret is missing", "add secret"),
    ("lisen = 1", "daemon.lisen", "unknown key", 'did you mean "listen"?'),
    ("hooks.office.secrets = 1", "daemon.hooks.office.secrets", "unknown key", 'did you mean "secret"?'),
]


@pytest.mark.parametrize(("line", "place", "wrong", "cure"), WRONG, ids=[case[0] for case in WRONG])
def test_a_mistake_is_named_with_its_cure(tmp_path, line, place, wrong, cure):
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, line)
    [problem] = caught.value.problems
    assert problem.place == place
    assert wrong in problem.wrong
    assert cure in problem.cure


@pytest.mark.parametrize(
    "line", ['token = "canary"', 'token = "${TOKEN}"', 'hooks.office.secret = "canary-not-base64-canary-!"', "token = 5"]
)
def test_a_secret_that_is_none_is_not_quoted(tmp_path, line):
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, line, TOKEN="canary")
    assert "canary" not in str(caught.value).replace("${TOKEN}", "")
    assert "openssl" in str(caught.value)


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "[::1]:1", "localhost:1", "127.8.8.8:1"])
def test_loopback_needs_no_token(tmp_path, listen):
    assert loaded(tmp_path, f'listen = "{listen}"').daemon.listen.is_loopback


@pytest.mark.parametrize("listen", ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.org:1", "localhost.example.org:1"])
def test_beyond_loopback_somebody_must_say_who_may_come_in(tmp_path, listen):
    assert not parse_address(listen).is_loopback
    for enough in (f'token = "{TOKEN}"', 'proxy_user_header = "X-User"\ntrusted_proxies = ["10.0.0.1"]', "web = false"):
        assert loaded(tmp_path, f'listen = "{listen}"\n{enough}').daemon.listen == parse_address(listen)


def test_no_secret_is_shown_or_stands_in_a_repr(tmp_path):
    text = f"""
token = "{TOKEN}"
alerts = {{ url = "https://alerts.example/canary", secret = "${{OTHER}}" }}
hooks.office.secret = "{SIGNING}"
"""
    config = loaded(tmp_path, text, OTHER="canary-other-of-at-least-24-characters")
    assert "canary" not in json.dumps(show(config)) + repr(config)
    assert SIGNING not in json.dumps(show(config)) + repr(config)
    assert show(config)["daemon"]["alerts"]["secret"] == "${OTHER}"
    assert {TOKEN, SIGNING, "https://alerts.example/canary", "canary-other-of-at-least-24-characters"} <= config.secrets
