"""What can go wrong on the way, over real sockets: reliability.md section 5, with a server that is able to lie."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from syncengine.errors import AuthError, ConfigError, OutcomeUnknown, ProtocolError, SyncError, TransientError
from syncengine.http import Effect, HttpClient, PlainHttp

CANARY = "canary-5d41402abc4b2a76"

Script = Callable[[socket.socket], None]


class LyingServer:
    """Runs one script a connection, in order, the last one for ever; keeps what it was sent."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = scripts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.received: list[bytes] = []
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for script in itertools.chain(self._scripts, itertools.repeat(self._scripts[-1])):
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    self.received.append(_request(connection))
                    script(connection)
                except OSError:
                    continue

    def close(self) -> None:
        # Closing a listener does not wake its accept; a last connection does.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return data
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length and (part := connection.recv(65536)):
        body += part
    return head + b"\r\n\r\n" + body


def say(*parts: bytes) -> Script:
    return lambda connection: [connection.sendall(part) for part in parts] and None


def answer(body: bytes, *, status: str = "200 OK", headers: bytes = b"", length: int | None = None) -> Script:
    shown = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Length: {shown}\r\n".encode()
    return say(head + headers + b"\r\n" + body)


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def drip(head: bytes, piece: bytes) -> Script:
    def script(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(200):
            connection.sendall(piece)
            time.sleep(0.02)  # the far side is slow; nothing waits for it

    return script


@pytest.fixture
def serve() -> Iterator[Callable[..., LyingServer]]:
    running: list[LyingServer] = []

    def start(*scripts: Script) -> LyingServer:
        running.append(LyingServer(*scripts))
        return running[-1]

    yield start
    for server in running:
        server.close()


@pytest.fixture
def connect() -> Iterator[Callable[..., HttpClient]]:
    made: list[HttpClient] = []

    def client(url: str, **options: object) -> HttpClient:
        made.append(HttpClient(url, headers={"X-API-KEY": SecretStr(CANARY)}, **{"deadline": 30.0, **options}))
        return made[-1]

    yield client
    for one in made:
        one.close()
        one.close()


def ask(client: HttpClient, effect: Effect) -> SyncError:
    """The error of one call; it holds neither the credential nor the record."""
    with pytest.raises(SyncError) as caught:
        _call(client, effect)
    assert CANARY not in str(caught.value)
    assert "ada" not in str(caught.value)
    return caught.value


def _call(client: HttpClient, effect: Effect) -> object:
    if effect is Effect.READ:
        return client.call(effect, "GET", "records/7", params={"identifier": "ada@example.com"}).json()
    return client.call(effect, "POST", "records/add", body={"email": "ada@example.com"}).json()


NO_ANSWER = {
    "closed at once": lambda connection: connection.close(),
    "reset": reset,
    "no HTTP": say(b"220 smtp.example.com ESMTP\r\n\r\n"),
    "header without end": say(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 200_000),
    "body cut short": answer(b'{"a":', length=100),
    "chunked without its end": say(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n'),
    "bad chunk size": say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n"),
    "headers drip": drip(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
    "body drips": drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" "),
}


@pytest.mark.parametrize("fault", NO_ANSWER)
def test_a_lost_answer_is_doubt_for_a_write_and_transient_for_a_read(
    fault: str, serve: Callable[..., LyingServer], connect: Callable[..., HttpClient]
) -> None:
    client = connect(serve(NO_ANSWER[fault]).url, deadline=0.3)
    assert type(ask(client, Effect.READ)) is TransientError
    assert type(ask(client, Effect.WRITE)) is OutcomeUnknown


UNREADABLE = {
    "HTML": answer(b"<html>log in</html>", headers=b"Content-Type: text/html\r\n"),
    "HTML called JSON": answer(b"<html>log in</html>", headers=b"Content-Type: application/json\r\n"),
    "garbage": answer(b"\x00\x01\x02"),
    "empty": answer(b""),
    "cut JSON": answer(b'{"a": '),
    "gzip cut": answer(gzip.compress(b'{"a": 1}' * 1000)[:-30], headers=b"Content-Encoding: gzip\r\n"),
    "no gzip": answer(b'{"a": 1}', headers=b"Content-Encoding: gzip\r\n"),
    "two layers of gzip": answer(gzip.compress(gzip.compress(b"{}")), headers=b"Content-Encoding: gzip, gzip\r\n"),
    "brotli nobody asked for": answer(b"abc", headers=b"Content-Encoding: br\r\n"),
}


@pytest.mark.parametrize("fault", UNREADABLE)
def test_a_success_that_cannot_be_read_is_nonsense_for_a_read_and_doubt_for_a_write(
    fault: str, serve: Callable[..., LyingServer], connect: Callable[..., HttpClient]
) -> None:
    client = connect(serve(UNREADABLE[fault]).url)
    assert type(ask(client, Effect.READ)) is ProtocolError
    assert type(ask(client, Effect.WRITE)) is OutcomeUnknown


@pytest.mark.parametrize("content_type", [b"", b"Content-Type: text/plain\r\n", b"Content-Type: application/json; charset=x\r\n"])
def test_json_is_taken_whatever_it_is_called(
    content_type: bytes, serve: Callable[..., LyingServer], connect: Callable[..., HttpClient]
) -> None:
    client = connect(serve(answer(b'{"a": 1}', headers=content_type)).url)
    assert client.call(Effect.READ, "GET", "x").json() == {"a": 1}


def test_a_bomb_is_refused_before_it_fills_the_memory(
    serve: Callable[..., LyingServer], connect: Callable[..., HttpClient]
) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(64)) + packer.flush()
    assert len(bomb) < 100_000
    client = connect(serve(answer(bomb, headers=b"Content-Encoding: gzip\r\n")).url, max_body=100_000)
    assert "larger than 100000 bytes" in str(ask(client, Effect.READ))
    assert type(ask(client, Effect.WRITE)) is OutcomeUnknown


def test_a_plain_body_beyond_the_cap_is_refused(serve: Callable[..., LyingServer], connect: Callable[..., HttpClient]) -> None:
    client = connect(serve(answer(b"[" + b"1," * 60_000 + b"1]")).url, max_body=100_000)
    assert type(ask(client, Effect.READ)) is ProtocolError


def test_a_connection_that_cannot_be_made_has_sent_nothing(connect: Callable[..., HttpClient]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for effect in Effect:
        error = ask(connect(f"http://127.0.0.1:{port}"), effect)
        assert type(error) is TransientError
        assert "nothing was sent" in str(error)


def test_a_name_that_does_not_resolve_has_sent_nothing(connect: Callable[..., HttpClient]) -> None:
    error = ask(connect("https://nowhere.invalid/api"), Effect.WRITE)
    assert type(error) is TransientError


def test_plain_http_where_tls_was_expected_has_sent_nothing(
    serve: Callable[..., LyingServer], connect: Callable[..., HttpClient]
) -> None:
    server = serve(say(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    error = ask(connect(server.url.replace("http:", "https:"), deadline=0.3), Effect.WRITE)
    assert type(error) is TransientError
    assert all(CANARY.encode() not in data for data in server.received)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command makes the certificate")
def test_a_certificate_that_cannot_be_trusted_stops_the_side_before_anything_is_sent(
    tmp_path: Path, connect: Callable[..., HttpClient]
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    received: list[bytes] = []

    def serve_once(listener: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(listener.accept()[0], server_side=True) as secured:
            received.append(secured.recv(65536))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve_once, args=(listener,), daemon=True)
        thread.start()
        error = ask(connect(f"https://localhost:{listener.getsockname()[1]}/api"), Effect.WRITE)
        thread.join(5)
    assert type(error) is ProtocolError
    assert "certificate" in str(error)
    assert b"".join(received) == b""


def test_429_is_throttling_with_the_wait_of_either_form(
    serve: Callable[..., LyingServer], connect: Callable[..., HttpClient]
) -> None:
    dated = b"Date: Mon, 23 Nov 2026 12:00:00 GMT\r\nRetry-After: Mon, 23 Nov 2026 12:00:07 GMT\r\n"
    for headers, seconds in ((b"Retry-After: 7\r\n", 7.0), (dated, 7.0), (b"", None)):
        error = ask(connect(serve(answer(b"{}", status="429 Slow", headers=headers)).url), Effect.WRITE)
        assert isinstance(error, TransientError)
        assert error.throttled
        assert error.retry_after == seconds


def test_errors_name_the_call_and_the_request_id_only(
    serve: Callable[..., LyingServer], connect: Callable[..., HttpClient]
) -> None:
    script = answer(
        CANARY.encode(), status="500 " + CANARY, headers=b"X-Request-ID: req-42\r\nX-Leak: " + CANARY.encode() + b"\r\n"
    )
    error = ask(connect(serve(script).url), Effect.READ)
    assert "GET /api/records/7 (request req-42) answered 500" in str(error)


def test_a_request_id_that_is_none_is_left_out(serve: Callable[..., LyingServer], connect: Callable[..., HttpClient]) -> None:
    script = answer(b"{}", status="500 X", headers=b"X-Request-ID: <script>alert(1)</script> and more\r\n")
    assert "script" not in str(ask(connect(serve(script).url), Effect.READ))


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temporary", "308 Permanent"])
def test_credentials_do_not_follow_a_redirect_to_another_place(
    status: str, serve: Callable[..., LyingServer], connect: Callable[..., HttpClient]
) -> None:
    other = serve(answer(b"{}"))
    for place in (f"http://127.0.0.1:{other.port}/x", f"//127.0.0.1:{other.port}/x", "https://127.0.0.1/x", "file:///etc/passwd"):
        first = serve(answer(b"{}", status=status, headers=f"Location: {place}\r\n".encode()))
        client = connect(first.url)
        assert type(ask(client, Effect.READ)) is ProtocolError
        assert type(ask(client, Effect.WRITE)) is OutcomeUnknown
    assert other.received == []


def test_a_read_follows_a_redirect_on_its_own_origin_and_not_for_ever(
    serve: Callable[..., LyingServer], connect: Callable[..., HttpClient]
) -> None:
    turn = answer(b"", status="302 Found", headers=b"Location: /api/there?page=2\r\nConnection: close\r\n")
    server = serve(turn, answer(b'{"there": true}'))
    assert connect(server.url).call(Effect.READ, "GET", "here").json() == {"there": True}
    assert server.received[1].startswith(b"GET /api/there?page=2 ")
    endless = serve(turn)
    assert "circle" in str(ask(connect(endless.url), Effect.READ))
    assert len(endless.received) == 6


def test_a_write_is_never_sent_twice(serve: Callable[..., LyingServer], connect: Callable[..., HttpClient]) -> None:
    for script in (answer(b"", status="307 X", headers=b"Location: /api/there\r\n"), reset, answer(b"", status="503 X")):
        server = serve(script)
        assert type(ask(connect(server.url), Effect.WRITE)) is OutcomeUnknown
        assert len(server.received) == 1


def test_links_are_followed_on_the_same_origin_only(
    serve: Callable[..., LyingServer], connect: Callable[..., HttpClient]
) -> None:
    server = serve(answer(b'{"page": 2}'))
    client = connect(server.url)
    assert client.call(Effect.READ, "GET", f"http://127.0.0.1:{server.port}/api/x?page=2").json() == {"page": 2}
    for link in (
        "http://127.0.0.1:1/api",
        f"https://127.0.0.1:{server.port}/api",
        f"http://user@127.0.0.1:{server.port}/api",
        f"http://localhost:{server.port}/api",
        f"//127.0.0.1:{server.port}/api",
        "file:///etc/passwd",
        "http://[::1/",
    ):
        with pytest.raises(ProtocolError):
            client.call(Effect.READ, "GET", link)
    assert len(server.received) == 1


def test_the_request_holds_the_credentials_the_json_and_no_cookie(
    serve: Callable[..., LyingServer], connect: Callable[..., HttpClient]
) -> None:
    server = serve(answer(b"{}", headers=b"Set-Cookie: session=1\r\nConnection: close\r\n"))
    client = connect(server.url)
    for _ in range(2):
        client.call(Effect.WRITE, "POST", "add", params={"all": "true"}, body={"name": "Ünï", "n": 1.5})
    head, _, body = server.received[1].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/add?all=true HTTP/1.1\r\n")
    assert b"X-API-KEY: " + CANARY.encode() in head
    assert b"cookie" not in head.lower()
    assert httpx.Response(200, content=body).json() == {"name": "Ünï", "n": 1.5}


def test_the_deadline_is_for_the_whole_call_and_by_the_clock_handed_in(
    serve: Callable[..., LyingServer], connect: Callable[..., HttpClient]
) -> None:
    ticks = itertools.count(step=10)
    client = connect(serve(answer(b"{}")).url, clock=lambda: float(next(ticks)), deadline=25.0)
    assert type(ask(client, Effect.WRITE)) is OutcomeUnknown


def test_a_connection_is_used_again(serve: Callable[..., LyingServer], connect: Callable[..., HttpClient]) -> None:
    def twice(connection: socket.socket) -> None:
        answer(b"1")(connection)
        _request(connection)
        answer(b"2")(connection)

    client = connect(serve(twice, reset).url)
    assert [client.call(Effect.READ, "GET", "x").json() for _ in range(2)] == [1, 2]


def test_a_connection_that_the_server_closed_meanwhile_costs_a_write_no_doubt(
    serve: Callable[..., LyingServer], connect: Callable[..., HttpClient]
) -> None:
    """Servers close what is idle; the next write goes out on a new connection, once."""
    closed = threading.Event()

    def last_words(connection: socket.socket) -> None:
        answer(b"1")(connection)
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()
        closed.set()

    server = serve(last_words, answer(b"2"))
    client = connect(server.url)
    assert client.call(Effect.READ, "GET", "x").json() == 1
    assert closed.wait(5)
    assert _call(client, Effect.WRITE) == 2
    assert sum(b"POST" in request for request in server.received) == 1


def test_an_answer_that_comes_too_late_does_not_reach_the_next_call(
    serve: Callable[..., LyingServer], connect: Callable[..., HttpClient]
) -> None:
    given_up = threading.Event()

    def too_late(connection: socket.socket) -> None:
        given_up.wait(5)
        answer(b'{"of": "the first"}')(connection)

    client = connect(serve(too_late, answer(b'{"of": "the second"}')).url, deadline=0.3)
    assert type(ask(client, Effect.WRITE)) is OutcomeUnknown
    given_up.set()
    assert client.call(Effect.READ, "GET", "x").json() == {"of": "the second"}


INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"


@pytest.mark.parametrize("effect", Effect)
def test_answers_that_announce_the_answer_are_passed_over(
    effect: Effect, serve: Callable[..., LyingServer], connect: Callable[..., HttpClient]
) -> None:
    client = connect(serve(say(INTERIM, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n7")).url)
    assert _call(client, effect) == 7


def test_announcements_without_end_are_no_answer(serve: Callable[..., LyingServer], connect: Callable[..., HttpClient]) -> None:
    client = connect(serve(drip(b"", INTERIM)).url, deadline=0.3)
    assert type(ask(client, Effect.READ)) is TransientError
    assert type(ask(client, Effect.WRITE)) is OutcomeUnknown


STRANGE_HEADS = {
    "two lengths": b"Content-Length: 8\r\nContent-Length: 3\r\n\r\n" + b'{"a": 1}',
    "a length and chunks": b'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"a": 1}\r\n0\r\n\r\n',
    "a folded header": b'X-A: 1\r\n 2\r\nContent-Length: 8\r\n\r\n{"a": 1}',
    "a header without a colon": b'Nonsense\r\nContent-Length: 8\r\n\r\n{"a": 1}',
    "a negative length": b'Content-Length: -8\r\n\r\n{"a": 1}',
    "2,000 headers": b"".join(b"X-%d: a\r\n" % number for number in range(2000)) + b'Content-Length: 8\r\n\r\n{"a": 1}',
    "64 kB of headers": b"X-A: " + b"a" * 65_536 + b'\r\nContent-Length: 8\r\n\r\n{"a": 1}',
}


@pytest.mark.parametrize("head", STRANGE_HEADS)
def test_an_answer_with_a_strange_head_is_understood_or_lost_and_never_something_else(
    head: str, serve: Callable[..., LyingServer], connect: Callable[..., HttpClient]
) -> None:
    """Whatever a proxy on the way makes of it, the next call gets its own answer."""
    client = connect(serve(say(b"HTTP/1.1 200 OK\r\n" + STRANGE_HEADS[head]), answer(b"2")).url, deadline=2.0)
    with contextlib.suppress(OutcomeUnknown):
        assert _call(client, Effect.WRITE) == {"a": 1}
    for _ in range(2):
        try:
            assert client.call(Effect.READ, "GET", "x").json() == 2
            break
        except TransientError:
            continue
    else:
        pytest.fail("no connection of its own")


@pytest.mark.parametrize("stays", [False, True], ids=["the server hangs up", "the connection stays open"])
def test_an_answer_with_more_than_it_announced_does_not_reach_the_next_call(
    serve: Callable[..., LyingServer], connect: Callable[..., HttpClient], stays: bool
) -> None:
    too_long = answer(b'{"mine": 1}HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n9', length=11)

    def script(connection: socket.socket) -> None:
        too_long(connection)
        if stays:
            _request(connection)

    client = connect(serve(script, answer(b"2")).url)
    assert client.call(Effect.READ, "GET", "x").json() == {"mine": 1}
    try:
        assert client.call(Effect.READ, "GET", "x").json() == 2
    except TransientError:
        assert client.call(Effect.READ, "GET", "x").json() == 2


@pytest.mark.parametrize(
    "url",
    [
        "",
        "crm.example.com",
        "ftp://crm.example.com",
        "file:///etc/passwd",
        "https://",
        "https://user:canary-5d41402abc4b2a76@crm.example.com",
        "https://crm.example.com/api?key=1",
        "https://crm.example.com/api#x",
        "http://crm.example.com/api",
        "http://10.0.0.1/api",
        "http://127.0.0.1.example.com/api",
        "http://[::1",
        "https://xn--crm-example.com",
        "https://0177.0.0.1",
        "https://crm.example.com\r\nX-Evil: 1",
    ],
)
def test_addresses_that_must_not_be_used_are_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        HttpClient(url, headers={})
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://127.8.8.8", "http://[::1]:1", "http://localhost/api", "https://a.example"]
)
def test_loopback_and_https_are_fine(url: str) -> None:
    HttpClient(url, headers={}).close()


def test_plain_http_elsewhere_has_to_be_allowed() -> None:
    HttpClient("http://records:8070/api", headers={}, plain_http=PlainHttp.ANYWHERE).close()


@pytest.mark.parametrize("value", ["", "a\nX-Evil: 1", "a\r", "ä", " a", "a\x00"])
def test_a_credential_that_no_header_can_carry_is_refused_without_showing_it(value: str) -> None:
    with pytest.raises(AuthError) as caught:
        HttpClient("https://a.example", headers={"X-API-KEY": SecretStr(value + CANARY if value.strip() else value)})
    assert CANARY not in str(caught.value)


def test_a_client_shows_no_credential(connect: Callable[..., HttpClient]) -> None:
    assert CANARY not in repr(connect("https://a.example"))


class _Gate:
    def __init__(self) -> None:
        self.seen: list[object] = []

    def before(self) -> None:
        self.seen.append("before")
        if self.seen.count("before") > 2:
            raise TransientError("the budget of calls is spent")

    def after(self, status: int | None, retry_after: float | None) -> None:
        self.seen.append((status, retry_after))


def test_a_gate_is_asked_before_each_request_and_told_each_outcome(
    serve: Callable[..., LyingServer], connect: Callable[..., HttpClient]
) -> None:
    server = serve(answer(b"{}", status="429 X", headers=b"Retry-After: 3\r\nConnection: close\r\n"), reset)
    client, gate = connect(server.url), _Gate()
    client.gate = gate
    for _ in range(2):
        ask(client, Effect.READ)
    assert gate.seen == ["before", (429, 3.0), "before", (None, None)]
    assert "budget" in str(ask(client, Effect.WRITE))
    assert len(server.received) == 2
