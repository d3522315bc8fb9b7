"""
`HttpClient`: one origin, one set of credentials, one classed error for everything that can go wrong with a call.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

import httpcore
import httpx
from pydantic import SecretStr

from syncengine.errors import AuthError, ConfigError, ConnectorError, OutcomeUnknown, Problem, ProtocolError, TransientError
from syncengine.http.answers import Effect, Reply, retry_after_seconds, status_error
from syncengine.http.network import ENDS, DeadlineTransport, Unreadable, read_body

MAX_BODY: Final = 64 * 2**20
_MAX_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_REQUEST_ID: Final = re.compile(r"[\w.:/+=-]{1,128}", re.ASCII)

# Raised before the first byte of the request can have left. Injected transports raise httpx's classes, our own httpcore's.
_NEVER_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.PoolTimeout,
    httpcore.UnsupportedProtocol,
)
_BROKEN: Final = (
    httpx.TransportError,
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
)

# httpx names most of what is no address, and lets the rest out of the library for international names.
_NO_ADDRESS: Final = (httpx.InvalidURL, ValueError)


class PlainHttp(Enum):
    """Where `http://` is allowed: nobody else hears it on loopback."""

    LOOPBACK = "loopback"
    ANYWHERE = "anywhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a system permits, as configured: None means not known (the pacing wrapper learns it), or not bounded."""

    requests_per_second: float | None = None
    max_calls: int | None = None
    max_concurrency: int = 1


class Gate(Protocol):
    """
    Who decides when a call may go: handed in by the pacing wrapper, asked around every single request.

    `before` may wait, or refuse by raising: nothing was sent then. `after` hears the status, None where none came. `pause` lets
    seconds pass before a request that would come too early, as for the result of a job; connectors do not sleep themselves.
    """

    def before(self) -> None: ...

    def after(self, status: int | None, retry_after: float | None) -> None: ...

    def pause(self, seconds: float) -> None: ...


class HttpClient:
    """
    Calls one origin with one set of credentials; safe to use from several threads.

    `base_url` comes from the config only. `deadline` is in seconds, for a whole call. `clock` is monotonic. A `transport`
    that is handed in (a recorder, a test) has no hard deadline. Raises `ConfigError` for an address that must not be used
    and `AuthError` for a credential that no header can carry.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str | SecretStr],
        deadline: float = 30.0,
        max_body: int = MAX_BODY,
        connections: int = 8,
        plain_http: PlainHttp = PlainHttp.LOOPBACK,
        clock: Callable[[], float] = time.monotonic,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.gate: Gate | None = None
        self._base = _base_url(base_url, plain_http)
        self._headers = dict(_checked_headers(headers))
        self._deadline = deadline
        self._max_body = max_body
        self._clock = clock
        self._transport = transport or DeadlineTransport(clock, connections)

    def __repr__(self) -> str:
        return f"HttpClient({str(self._base)!r})"

    def close(self) -> None:
        """Close all connections; calling it twice is fine."""
        self._transport.close()

    def call(
        self,
        effect: Effect,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int | bool] | None = None,
        body: object = None,
        content: bytes | None = None,
    ) -> Reply:
        """
        Send one request and return the definite answer to it: 2xx, or a refusal (4xx) by which nothing was done.

        `path` is relative to the base url, or an absolute link of the same origin. `params` are only for a path without a
        query. `body` goes out as JSON (floats must be finite), `content` as it is, for JSON that is signed.

        Raises `TransientError` where nothing was sent or done, and for a read without an answer; `OutcomeUnknown` where a
        write may have happened; `AuthError` for refused credentials; `ProtocolError` for a far side that is not who it
        should be (certificate, redirect), or answers a read with what can't be read.
        """
        url = self._url(path)
        if params:
            url = url.copy_merge_params(params)
        if body is not None:
            content = json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
        for _ in range(_MAX_REDIRECTS + 1):
            reply, location = self._exchange(effect, method, url, content)
            if location is None:
                return reply
            scheme = location.partition(":")[0].lower() if ":" in location.partition("/")[0] else ""
            if scheme not in ("", "http", "https"):
                raise ProtocolError(f"{reply.place} redirects to a {scheme} address; check the url of the system")
            try:
                target = str(url.join(location))
            except _NO_ADDRESS:
                raise ProtocolError(f"{reply.place} redirects to what is no address; check the url of the system") from None
            url = self._url(target)
        raise ProtocolError(f"{reply.place} redirects in a circle; check the url of the system")

    def _exchange(self, effect: Effect, method: str, url: httpx.URL, content: bytes | None) -> tuple[Reply, str | None]:
        place = f"{method} {url.path}"
        if self.gate is not None:
            self.gate.before()
        status: int | None = None
        retry_after: float | None = None
        try:
            status, headers, body = self._send(method, url, content)
            place += _request_id(headers)
            retry_after = retry_after_seconds(headers)
        except _NEVER_SENT as error:
            raise _never_sent(place, self._base.host, error) from None
        except (*_BROKEN, Unreadable) as error:
            raise _lost(effect, place, error) from None
        finally:
            if self.gate is not None:
                self.gate.after(status, retry_after)
        if status in _REDIRECTS and effect is Effect.READ and method == "GET" and "location" in headers:
            return Reply(effect=effect, status=status, headers=headers, body=body, place=place), headers["location"]
        if 200 <= status < 300 or (400 <= status < 500 and status not in {401, 408, 425, 429}):
            return Reply(effect=effect, status=status, headers=headers, body=body, place=place), None
        raise status_error(effect, status, place, retry_after)

    def _send(self, method: str, url: httpx.URL, content: bytes | None) -> tuple[int, httpx.Headers, bytes]:
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "syncengine", **self._headers}
        if content is not None:
            headers["Content-Type"] = "application/json"
        timeout = httpx.Timeout(self._deadline).as_dict()
        request = httpx.Request(method, url, headers=headers, content=content, extensions={"timeout": timeout})
        token = ENDS.set(self._clock() + self._deadline)
        try:
            response = self._transport.handle_request(request)
            try:
                return response.status_code, response.headers, read_body(response, self._max_body)
            finally:
                response.close()
        finally:
            ENDS.reset(token)

    def _url(self, path: str) -> httpx.URL:
        if "://" not in path and not path.startswith("//"):
            return httpx.URL(f"{str(self._base).rstrip('/')}/{path.lstrip('/')}")
        try:
            link = httpx.URL(path)
            origin = _origin(link)
        except _NO_ADDRESS:
            raise ProtocolError(f"{self._base.host} sent a link that is no address") from None
        if origin != _origin(self._base) or link.userinfo:
            elsewhere = f"{link.scheme}://{link.host}"
            raise ProtocolError(
                f"{self._base.host} sent a link to another place ({elsewhere}); it is not followed, because our credentials "
                f"would go there; check the url of the system"
            )
        return link


def _never_sent(place: str, host: str, error: Exception) -> ConnectorError:
    # httpcore and httpx both chain the error of the socket or of OpenSSL.
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ProtocolError(
                f"{place}: the certificate of {host} can't be trusted ({cause.verify_message}); nothing was sent"
            )
    return TransientError(f"{place}: {host} can't be reached ({_reason(error)}); nothing was sent")


def _lost(effect: Effect, place: str, error: Exception) -> ConnectorError:
    reason = str(error) if isinstance(error, Unreadable) else _reason(error)
    if effect is Effect.WRITE:
        return OutcomeUnknown(f"{place}: no answer that can be trusted ({reason}); whether it was applied must be looked up")
    if isinstance(error, Unreadable):
        return ProtocolError(f"{place}: {reason}")
    return TransientError(f"{place}: the answer was lost ({reason})")


def _reason(error: Exception) -> str:
    """Why a connection failed, in words that can't hold what was sent: the class, and the text of the operating system."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _base_url(text: str, plain_http: PlainHttp) -> httpx.URL:
    try:
        url = httpx.URL(text)
        _origin(url)
    except _NO_ADDRESS:
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo or url.query or url.fragment:
        wrong = "this is no address of an API"
        cure = "write https://HOST/PATH, without a user, a password or a query"
        raise ConfigError([Problem(place="url", wrong=wrong, cure=cure)])
    if url.scheme == "http" and plain_http is PlainHttp.LOOPBACK and not _is_loopback(url.host):
        wrong = f"http://{url.host} would send the credentials unencrypted"
        raise ConfigError([Problem(place="url", wrong=wrong, cure="write https://, or allow plain http for this system")])
    return url


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _checked_headers(headers: Mapping[str, str | SecretStr]) -> Iterator[tuple[str, str]]:
    for name, value in headers.items():
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if not _HEADER_VALUE.fullmatch(text):
            raise AuthError(f"the value for the header {name} is empty or holds characters that no header can carry; check it")
        yield name, text


def _request_id(headers: Mapping[str, str]) -> str:
    found = headers.get("x-request-id", "")
    return f" (request {found})" if _REQUEST_ID.fullmatch(found) else ""
