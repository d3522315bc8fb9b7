"""
What stands before every endpoint: the request log, `X-Request-ID`, the rate limit, and trouble on request.

Faults happen where they would in the world: a reset really aborts the TCP connection, a truncated body really ends early.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import math
import socket
import struct
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Final, cast

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connectors.kizen.server.faults import Fault, Faults, spoil_list
from connectors.kizen.server.http import HTML_PAGES, JSON, MAX_BODY, Note
from connectors.kizen.server.log import Request, RequestLog
from connectors.kizen.server.records import race
from connectors.kizen.server.world import EPOCH, World

Sleep = Callable[[float], Awaitable[None]]

_HTML: Final = b"text/html; charset=utf-8"
_GARBAGE: Final = b'{"count": 3, "results": [{"id": "0b8f6d0e-2f'
_NO_LINGER: Final = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class RateLimit:
    """A token bucket over the world's clock: `rate` a second, `rate_burst` at once (switches; section 12)."""

    world: World
    _tokens: float = 0.0
    _at: int = 0
    _rate: float = 0.0

    def refuse(self) -> float | None:
        """Take a token; None if there was one, else the seconds until the next."""
        switches = self.world.switches
        if not switches.rate:
            return None
        now = self.world.now()
        burst = float(switches.rate_burst or max(1, math.floor(switches.rate)))
        if self._rate != switches.rate:
            self._rate, self._tokens, self._at = switches.rate, burst, now
        self._tokens = min(burst, self._tokens + max(0, now - self._at) * switches.rate / 1_000_000)
        self._at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return None
        return (1 - self._tokens) / switches.rate


@dataclass(slots=True)
class _Answer:
    """An answer held back, so that it can be spoiled."""

    status: int = 0
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes = b""

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], message.get("headers", ())
        else:
            self.body += message.get("body", b"")


@dataclass(slots=True)
class Gateway:
    """An ASGI application around the endpoints; serves `/api` with all this, and everything else without."""

    app: ASGIApp
    world: World
    faults: Faults
    log: RequestLog
    identify: Callable[[Scope], Note]
    sleep: Sleep = asyncio.sleep
    limit: RateLimit = field(init=False)

    def __post_init__(self) -> None:
        self.limit = RateLimit(self.world)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"this server speaks HTTP, not {scope['type']}")
        exchange = _Exchange(self, scope, receive, send)
        await exchange.serve()


@dataclass(slots=True)
class _Exchange:
    """One request and what becomes of it."""

    gate: Gateway
    scope: Scope
    receive: Receive
    _send: Send
    fault: str = ""
    request_id: bytes = field(default_factory=lambda: uuid.uuid4().hex.encode())
    _number: int = 0
    _at: dt.datetime = EPOCH
    _begun: float = 0.0

    async def serve(self) -> None:
        scope, gate = self.scope, self.gate
        scope["records.note"] = Note()
        if not scope["path"].startswith("/api"):
            scope["records.body"] = await self._body() or b""
            await gate.app(scope, self.receive, self.send)
            return
        with gate.world.lock:
            self._number, self._at = gate.log.number(), gate.world.clock()
        self._begun = time.perf_counter()
        try:
            await self._serve_api(scope)
        finally:
            self._record(0)

    def _record(self, status: int) -> None:
        """Enter the request into the log, once: before the first byte of the answer, so that whoever has it finds it there."""
        if not self._number:
            return
        note = cast("Note", self.scope["records.note"])
        self.gate.log.add(
            Request(
                number=self._number,
                at=self._at,
                method=self.scope["method"],
                path=self.scope["path"],
                query=self.scope["query_string"].decode("latin-1"),
                status=status,
                action=note.action,
                object=note.object,
                write=note.write,
                changed=note.changed,
                seconds=time.perf_counter() - self._begun,
                fault=self.fault,
            )
        )
        self._number = 0

    async def _serve_api(self, scope: Scope) -> None:
        gate = self.gate
        body = await self._body()
        if body is None:
            problem = {"detail": "The request body is larger than 50 MB.", "code": "payload_exceeded"}
            await self._answer(413, orjson.dumps(problem))
            return
        scope["records.body"] = body
        with gate.world.lock:
            wait = gate.limit.refuse()
            taken = gate.faults.take(scope["method"], scope["path"]) if wait is None else []
        if wait is not None:
            self.fault = "rate"
            scope["records.note"] = gate.identify(scope)
            form = gate.world.switches.rate_retry_after
            await self._throttle(None if form == "none" else "date" if form == "date" else wait)
            return
        if not taken:
            await gate.app(scope, self.receive, self.send)
            return
        self.fault = "+".join(one.kind for one in taken)
        for one in taken:
            if one.kind == "latency" and not one.committed:
                await gate.sleep(one.seconds)
        trouble = next((one for one in taken if one.kind != "latency"), None)
        slow = sum(one.seconds for one in taken if one.kind == "latency" and one.committed)
        if trouble is not None and not _takes_effect(trouble):
            scope["records.note"] = gate.identify(scope)
            await self._before(trouble)
            return
        if trouble is not None and trouble.kind == "late":
            scope["records.late"] = trouble.seconds
        answer = _Answer()
        await gate.app(scope, self.receive, answer.take)
        if slow:
            await gate.sleep(slow)
        await self._after(trouble, answer)

    async def _before(self, fault: Fault) -> None:
        """Nothing takes effect."""
        match fault.kind:
            case "throttle":
                await self._throttle(fault.retry_after)
            case "conflict":
                with self.gate.world.lock:
                    problem = race(self.gate.world)
                await self._answer(problem.status, orjson.dumps(problem.body))
            case "reset":
                await self._reset()
            case _:
                await self._fail(fault)

    async def _after(self, fault: Fault | None, answer: _Answer) -> None:
        """The request has taken effect; what its caller sees of it."""
        match None if fault is None else fault.kind:
            case None:
                await self._answer(answer.status, answer.body, answer.headers)
            case "reset" | "late":
                await self._reset()
            case "truncate":
                headers = [one for one in answer.headers if one[0] != b"content-length"]
                promised = (b"content-length", str(max(len(answer.body), 2)).encode())
                await self.send({"type": "http.response.start", "status": answer.status, "headers": [*headers, promised]})
                half = answer.body[: len(answer.body) // 2]
                await self.send({"type": "http.response.body", "body": half, "more_body": True})
                self._transport().close()
                await self._gone()
            case "garbage":
                await self._answer(200, _GARBAGE)
            case "empty" | "short" if fault is not None:
                spoiled = spoil_list(fault, self.scope.get("records.reply"))
                headers = [one for one in answer.headers if one[0] != b"content-length"]
                await self._answer(answer.status, orjson.dumps(spoiled), headers)
            case _:
                assert fault is not None
                await self._fail(fault)

    async def _fail(self, fault: Fault) -> None:
        if fault.kind == "html":
            status = fault.status or 502
            page = f"<!doctype html>\n<html lang=en><title>{status}</title>\n<h1>{status} Bad Gateway</h1>\n".encode()
            await self._answer(status, HTML_PAGES.get(status, page), [(b"content-type", _HTML)])
        elif fault.kind == "throttle":
            await self._throttle(fault.retry_after)
        else:
            problem = {"detail": "A server error occurred.", "code": "error"}
            await self._answer(fault.status or 500, orjson.dumps(problem))

    async def _throttle(self, retry_after: float | str | None) -> None:
        headers = [(b"content-type", JSON)]
        if retry_after == "date":
            when = self.gate.world.clock().astimezone(dt.UTC) + dt.timedelta(seconds=1)
            headers.append((b"retry-after", format_datetime(when, usegmt=True).encode()))
        elif retry_after is not None:
            headers.append((b"retry-after", str(math.ceil(float(retry_after))).encode()))
        problem = {"detail": "Request was throttled.", "code": "throttled"}
        await self._answer(429, orjson.dumps(problem), headers)

    async def _answer(
        self, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ((b"content-type", JSON),)
    ) -> None:
        if status != 204 and all(name != b"content-length" for name, _ in headers):
            headers = [*headers, (b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._record(message["status"])
            message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", self.request_id)]}
        await self._send(message)

    async def _body(self) -> bytes | None:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                return b"".join(parts)
            chunk = message.get("body", b"")
            size += len(chunk)
            if size <= MAX_BODY:
                parts.append(chunk)
            if not message.get("more_body", False):
                return b"".join(parts) if size <= MAX_BODY else None

    def _transport(self) -> asyncio.Transport:
        return cast("asyncio.Transport", self.scope["records.transport"])

    async def _reset(self) -> None:
        """Cut the connection so that the caller's kernel reports a reset, not an orderly end."""
        self._record(0)
        transport = self._transport()
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()
        await self._gone()

    async def _gone(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            continue


def _takes_effect(fault: Fault) -> bool:
    return fault.committed or fault.kind in {"late", "truncate", "garbage", "empty", "short"}
