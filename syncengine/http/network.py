"""
The network under `HttpClient`: HTTP/1.1 over httpcore with one deadline for a whole call, and bodies of bounded size.
"""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any, Final

import httpcore
import httpx

_CHUNK: Final = 64 * 2**10

ENDS: ContextVar[float] = ContextVar("ends")
"""When the call under way in this thread must be over, on its client's clock."""


class Unreadable(Exception):
    """The answer's body can't be read as announced; the text holds no part of it."""


class DeadlineTransport(httpx.BaseTransport):
    """
    HTTP/1.1 over httpcore, with a network that keeps the deadline of the call.

    httpx's own timeouts are per operation: a server that sends one byte a second would never meet them.
    """

    def __init__(self, clock: Callable[[], float], connections: int) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=30.0,
            network_backend=_DeadlineBackend(clock),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        stream = response.extensions.get("network_stream")
        if isinstance(stream, _DeadlineStream) and not stream.has_heard:
            response.close()
            raise httpcore.RemoteProtocolError("the answer came before its question: the one before it was longer than announced")
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response))

    def close(self) -> None:
        self._pool.close()


class _Body(httpx.SyncByteStream):
    """The body of an httpcore answer as httpx wants it."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


class _DeadlineBackend(httpcore.NetworkBackend):
    """Opens connections whose every operation may take only what is left of the call."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the call's deadline counts
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(self._clock, httpcore.ConnectTimeout)
        stream = self._inner.connect_tcp(host, port, left, local_address, socket_options)
        return _DeadlineStream(stream, self._clock)


class _DeadlineStream(httpcore.NetworkStream):
    """
    `has_heard`: whether anything was read since the last write. Bytes behind an answer that was longer than announced stay in the
    buffer of httpcore, which would take them for the answer to the next request.
    """

    def __init__(self, inner: httpcore.NetworkStream, clock: Callable[[], float]) -> None:
        self._inner = inner
        self._clock = clock
        self.has_heard = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the call's deadline counts
        data = self._inner.read(max_bytes, _left(self._clock, httpcore.ReadTimeout))
        self.has_heard = True
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - the call's deadline counts
        self.has_heard = False
        # In pieces: a reader that takes one byte at a time must not stretch a single write for ever.
        for start in range(0, len(buffer), _CHUNK):
            self._inner.write(buffer[start : start + _CHUNK], _left(self._clock, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the call's deadline counts
    ) -> httpcore.NetworkStream:
        left = _left(self._clock, httpcore.ConnectTimeout)
        return _DeadlineStream(self._inner.start_tls(ssl_context, server_hostname, left), self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(clock: Callable[[], float], late: type[httpcore.TimeoutException]) -> float:
    left = ENDS.get() - clock()
    if left <= 0:
        raise late("the deadline of the call has passed")
    return left


def read_body(response: httpx.Response, cap: int) -> bytes:
    """
    The decompressed body, at most `cap` bytes long.

    httpx would decompress a whole chunk at once, and as many layers as the header names: 60 kB could fill the memory.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"gzip", "x-gzip", "identity", ""}:
        raise Unreadable("the answer is packed in a way that was not asked for")
    unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16) if "gzip" in encoding else None
    body = bytearray()
    for chunk in response.iter_raw():
        try:
            body += chunk if unpack is None else unpack.decompress(chunk, cap + 1 - len(body))
        except zlib.error:
            raise Unreadable("the answer is not the gzip it says it is") from None
        if len(body) > cap:
            raise Unreadable(f"the answer is larger than {cap} bytes")
    if unpack is not None and body and not unpack.eof:
        raise Unreadable("the answer is cut short")
    return bytes(body)
