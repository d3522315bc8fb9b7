"""
A proxy on loopback that passes requests on to a real server, and spoils those that a test names: what can go wrong on the way.

A spoiler is handed the client's connection and a function that lets the server carry the request out and returns its answer.
"""

from __future__ import annotations

import gzip
import re
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

Forward = Callable[[], bytes]
Spoiler = Callable[[socket.socket, Forward], None]
_PATIENCE: Final = 30.0


@dataclass(slots=True)
class Plan:
    """Which requests are spoiled, and how: those whose first line fits `line`, the first `skip` spared, `times` of them."""

    line: str
    spoiler: Spoiler
    times: int | None
    skip: int = 0
    hits: int = 0


@dataclass
class Proxy:
    """A context manager; `url` takes the place of the server's. `tls` makes it speak HTTPS with that context."""

    port: int
    tls: ssl.SSLContext | None = None
    seen: list[str] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._plans: list[Plan] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.url = f"http{'s' if self.tls else ''}://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Refuse every connection from now on; closing twice is harmless."""
        self._ended.set()
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
        self._listener.close()
        self._thread.join(5)

    def spoil(self, line: str, spoiler: Spoiler, *, times: int | None = None, skip: int = 0) -> Plan:
        """From now on; `line` is a regular expression for `METHOD /path?query`."""
        plan = Plan(line, spoiler, times, skip)
        with self._lock:
            self._plans.append(plan)
        return plan

    def calm(self) -> None:
        """Let everything pass."""
        with self._lock:
            self._plans.clear()

    def asked(self, line: str) -> int:
        """How many requests there were whose first line fits."""
        return sum(bool(re.search(line, each)) for each in self.seen)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(_PATIENCE)
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection:
                request = read_request(connection)
                if request:
                    self._answer(connection, request)
        except OSError:
            return  # the client went away, as many of these make it

    def _answer(self, connection: socket.socket, request: bytes) -> None:
        line = request.partition(b" HTTP/")[0].decode("latin-1")
        with self._lock:
            self.seen.append(line)
            self.received.append(request)
            spoiler = self._spoiler(line)

        def forward() -> bytes:
            return self._forward(request)

        if spoiler is None:
            connection.sendall(forward())
        else:
            spoiler(connection, forward)

    def _spoiler(self, line: str) -> Spoiler | None:
        for plan in self._plans:
            if not re.search(plan.line, line) or plan.times == 0:
                continue
            if plan.skip:
                plan.skip -= 1
                continue
            plan.hits += 1
            plan.times = None if plan.times is None else plan.times - 1
            return plan.spoiler
        return None

    def _forward(self, request: bytes) -> bytes:
        head, _, body = request.partition(b"\r\n\r\n")
        kept = [each for each in head.split(b"\r\n") if not each.lower().startswith((b"connection:", b"accept-encoding:"))]
        with socket.create_connection(("127.0.0.1", self.port), timeout=_PATIENCE) as server:
            server.sendall(b"\r\n".join([*kept, b"Connection: close"]) + b"\r\n\r\n" + body)
            parts = []
            while part := server.recv(65536):
                parts.append(part)
        return b"".join(parts)


def read_request(connection: socket.socket) -> bytes:
    """One whole request; less where the client went away."""
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


# What a spoiler does. `applied`: the server carries the request out before anything goes wrong.


def reset(*, applied: bool) -> Spoiler:
    """The connection is reset instead of an answer."""

    def spoiler(connection: socket.socket, forward: Forward) -> None:
        if applied:
            forward()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return spoiler


def hang_up(*, applied: bool) -> Spoiler:
    """The connection is closed without a word."""

    def spoiler(connection: socket.socket, forward: Forward) -> None:
        del connection
        if applied:
            forward()

    return spoiler


def stall(*, applied: bool) -> Spoiler:
    """Nothing comes, until the client loses its patience."""

    def spoiler(connection: socket.socket, forward: Forward) -> None:
        if applied:
            forward()
        connection.recv(1)

    return spoiler


def drip(*, after: bytes = b"") -> Spoiler:
    """A byte now and then, never the end: after nothing, within the headers; after a head, within the body."""

    def spoiler(connection: socket.socket, forward: Forward) -> None:
        forward()
        connection.sendall(after)
        pause = threading.Event()
        while not pause.wait(0.05):
            connection.sendall(b" " if after else b"H")

    return spoiler


def cut(*, keep: float) -> Spoiler:
    """A part of the true answer, then the end."""

    def spoiler(connection: socket.socket, forward: Forward) -> None:
        answer = forward()
        connection.sendall(answer[: int(len(answer) * keep)])

    return spoiler


def say(body: bytes, *, status: str = "200 OK", headers: Sequence[str] = (), applied: bool = True) -> Spoiler:
    """Another answer than the server's."""

    def spoiler(connection: socket.socket, forward: Forward) -> None:
        if applied:
            forward()
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
        connection.sendall("\r\n".join([*head, "", ""]).encode() + body)

    return spoiler


def refuse(status: str, *headers: str, applied: bool = False) -> Spoiler:
    """An error status with a JSON body."""
    return say(b'{"detail": "no"}', status=status, headers=("Content-Type: application/json", *headers), applied=applied)


def retyped(content_type: str) -> Spoiler:
    """The true answer under another content type."""

    def spoiler(connection: socket.socket, forward: Forward) -> None:
        head, _, body = forward().partition(b"\r\n\r\n")
        head = re.sub(rb"(?i)content-type:[^\r\n]*", b"Content-Type: " + content_type.encode(), head)
        connection.sendall(head + b"\r\n\r\n" + body)

    return spoiler


def twice(*, answer: int) -> Spoiler:
    """The request arrives twice; the client hears the first (0) or the second (1) answer."""

    def spoiler(connection: socket.socket, forward: Forward) -> None:
        connection.sendall([forward(), forward()][answer])

    return spoiler


def swapped(old: bytes, new: bytes) -> Spoiler:
    """The true answer with one id in the place of another."""

    def spoiler(connection: socket.socket, forward: Forward) -> None:
        head, _, body = forward().partition(b"\r\n\r\n")
        found = re.search(old, body)
        assert found is not None, body
        connection.sendall(head + b"\r\n\r\n" + body.replace(found[1], new))

    return spoiler


def bomb(megabytes: int) -> Spoiler:
    """A small body that unpacks to a large one."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes)) + packer.flush()
    return say(packed, headers=("Content-Encoding: gzip", "Content-Type: application/json"))


def flood(megabytes: int) -> Spoiler:
    """A body that goes on and on."""

    def spoiler(connection: socket.socket, forward: Forward) -> None:
        forward()
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {megabytes * 2**20}\r\n\r\n[".encode())
        for _ in range(megabytes):
            connection.sendall(b"1," * 2**19)

    return spoiler


PACKED_HALF: Final = gzip.compress(b'{"results": []}' * 1000)[:-40]
