"""Our credentials go to the configured origin and nowhere else, wherever a far side points: links, redirects, odd spellings."""

from __future__ import annotations

import httpx
import pytest
from pydantic import SecretStr

from syncengine.errors import OutcomeUnknown, ProtocolError
from syncengine.http import Effect, HttpClient

BASE = "https://crm.example.com/api"
ELSEWHERE = [
    "https://evil.example/api",
    "https://evil.example:443/api",
    "//evil.example/api",
    "https://crm.example.com.evil.example/api",
    "https://evil.example/crm.example.com/api",
    "https://crm.example.com@evil.example/api",
    "https://crm.example.com:443@evil.example/api",
    "https://evil.example#crm.example.com",
    "https://evil.example?crm.example.com",
    "https://evil.example\\.crm.example.com/api",
    "https://crm.example.com\\@evil.example/api",
    "https://crm.example.com:8443/api",
    "https://crm.example.com:80/api",
    "https://api.crm.example.com/api",
    "https://example.com/api",
    "https://crm.example.com./api",
    "https://crm。example。com.evil.example/api",
    "https://\u217drm.example.com/api",
    "https://xn--crm-example.com/api",
    "https://user:password@crm.example.com/api",
    "https://user@crm.example.com/api",
    "http://crm.example.com/api",
    "HTTP://crm.example.com/api",
    "http://crm.example.com:443/api",
    "ws://crm.example.com/api",
    "ftp://crm.example.com/api",
    "file:///etc/passwd",
    "file://crm.example.com/etc/passwd",
    "gopher://crm.example.com/",
    "dict://crm.example.com/",
    "data://crm.example.com/application/json,{}",
    "javascript://crm.example.com/%0aalert(1)",
    "unix:///var/run/docker.sock",
    "http://localhost/api",
    "https://localhost/api",
    "http://127.0.0.1/api",
    "http://127.1/api",
    "http://2130706433/api",
    "http://0x7f000001/api",
    "http://0177.0.0.1/api",
    "http://0/api",
    "http://0.0.0.0/api",
    "http://[::]/api",
    "http://[::1]/api",
    "http://[::ffff:127.0.0.1]/api",
    "http://[0:0:0:0:0:ffff:7f00:1]/api",
    "http://[fe80::1]/api",
    "http://[fc00::1]/api",
    "http://10.0.0.1/api",
    "http://172.16.0.1/api",
    "http://192.168.0.1/api",
    "http://100.64.0.1/api",
    "http://169.254.169.254/latest/meta-data/",
    "https://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://100.100.100.200/latest/meta-data/",
    "https://[crm.example.com]/api",
    "https://:443/api",
    "https:///api",
    "://crm.example.com/api",
    "https://crm.example.com\r\nHost: evil.example/api",
    "https://crm.example.com\x00.evil.example/api",
]


class Recorder(httpx.BaseTransport):
    """Answers like the CRM, and keeps what it was asked."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.asked: list[httpx.Request] = []
        self._answers = list(answers)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self._answers.pop(0) if self._answers else httpx.Response(200, stream=httpx.ByteStream(b"{}"))


def redirect(link: str, status: int = 302) -> httpx.Response:
    return httpx.Response(status, headers={"location": link}, stream=httpx.ByteStream(b""))


def client(transport: Recorder, base: str = BASE) -> HttpClient:
    return HttpClient(base, headers={"X-API-KEY": SecretStr("canary")}, transport=transport)


@pytest.mark.parametrize("link", ELSEWHERE)
def test_a_link_to_another_place_is_not_followed(link: str) -> None:
    transport = Recorder()
    with pytest.raises(ProtocolError):
        client(transport).call(Effect.READ, "GET", link)
    assert transport.asked == []


@pytest.mark.parametrize("link", [link for link in ELSEWHERE if link.isascii() and link.isprintable()])
def test_a_redirect_to_another_place_is_not_followed(link: str) -> None:
    """What is no address at all is taken as a path of the same server, as the standard says; it stays there."""
    transport = Recorder(redirect(link))
    try:
        client(transport).call(Effect.READ, "GET", "people")
    except ProtocolError:
        assert len(transport.asked) == 1
    assert {request.url.host for request in transport.asked} == {"crm.example.com"}
    assert {request.url.scheme for request in transport.asked} == {"https"}
    assert {request.url.port for request in transport.asked} == {None}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
def test_a_write_follows_no_redirect_at_all(status: int, method: str) -> None:
    """Not even to its own server: it would be sent a second time."""
    transport = Recorder(redirect("/api/there", status))
    with pytest.raises(OutcomeUnknown):
        client(transport).call(Effect.WRITE, method, "people", body={})
    assert len(transport.asked) == 1


@pytest.mark.parametrize(
    "link",
    [
        "https://crm.example.com/api/people?page=2",
        "https://crm.example.com:443/api/people?page=2",
        "HTTPS://CRM.EXAMPLE.COM/api/people?page=2",
        "https://crm.example.com/other/path",
    ],
)
def test_a_link_to_the_same_origin_is_followed_with_the_credentials(link: str) -> None:
    transport = Recorder()
    client(transport).call(Effect.READ, "GET", link)
    [request] = transport.asked
    assert request.url.host == "crm.example.com"
    assert request.headers["x-api-key"] == "canary"


@pytest.mark.parametrize(
    "path", ["../../etc/passwd", "..//evil.example/x", "@evil.example/x", ":8443/x", "?x=1", "#x", "\\\\evil.example\\x"]
)
def test_a_path_stays_on_its_server(path: str) -> None:
    transport = Recorder()
    client(transport).call(Effect.READ, "GET", path)
    assert {request.url.host for request in transport.asked} == {"crm.example.com"}
    assert {request.url.port for request in transport.asked} == {None}
