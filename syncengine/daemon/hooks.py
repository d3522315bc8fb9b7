"""
`POST /hooks/SYSTEM`: word that a record changed. It is proved, stored, and only then answered; the record itself is read from its
system, so a delivery is never data, and their order does not matter.

    202  stored, or said before     400  proved, but it names no record     401  not proved     404  no such system
    408  the sender is too slow     413  too large      429  too many       503  the state cannot be written

A delivery is proved by the connector where that knows its system's webhooks, otherwise by a secret of `[daemon.hooks.SYSTEM]`:
signed after Standard Webhooks, or as a bearer token. The body is then `{"resource": "...", "id": "..."}`, or
`{"records": [...]}` with many of these.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson
import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from syncengine.config import Config
from syncengine.connector import Hint
from syncengine.core.model import Side
from syncengine.daemon.bodies import UnreadableBodyError, body_of
from syncengine.daemon.keeper import StateKeeper
from syncengine.daemon.rate import Rate
from syncengine.engine.ports import Clock
from syncengine.errors import AuthError, ProtocolError, StateError
from syncengine.http.answers import parse_json
from syncengine.http.signatures import ID, SIGNATURE, prove_shared, prove_signed
from syncengine.registry import Registry, open_system
from syncengine.store.hints import Told

MOST_BYTES: Final = 256 * 1024
MOST_RECORDS: Final = 1000
_PER_MINUTE: Final = 6_000
_FORGED_PER_MINUTE: Final = 60
"""Deliveries without proof that are looked at: they have a measure of their own, so that they never keep genuine ones out."""


class Hook:
    """The webhooks of one system: proves a delivery, and tells which records it means."""

    def __init__(self, system: str, config: Config, connector: Any, clock: Clock) -> None:
        self.system = system
        self._secrets = config.daemon.hooks.get(system, ())
        self._connector = connector
        self._clock = clock
        self._ends = _ends(config, system)
        self.rate = Rate(_PER_MINUTE, clock.monotonic)
        self.forged = Rate(_FORGED_PER_MINUTE, clock.monotonic)

    def hear(self, headers: Mapping[str, str], body: bytes) -> Sequence[Hint]:
        """The hints of a delivery. Raises AuthError unless it is genuine, ProtocolError where it names no record."""
        if not self._secrets:
            return self._asked_of_connector(headers, body)
        given = {name.lower(): value for name, value in headers.items()}
        if SIGNATURE in given:
            prove_signed(self._secrets, given, body, now=self._clock.now())
        else:
            kind, _, secret = given.get("authorization", "").partition(" ")
            shared = secret.strip() if kind.lower() == "bearer" else ""
            prove_shared(self._secrets, shared, header=f"{SIGNATURE} (or Authorization)")
        return _named(body, given.get(ID) or None)

    def _asked_of_connector(self, headers: Mapping[str, str], body: bytes) -> Sequence[Hint]:
        try:
            hints: Sequence[Hint] = self._connector.hints(headers, body)
        except (AuthError, ProtocolError):
            raise
        except Exception as bug:
            msg = f"the connector could not read the delivery ({type(bug).__name__})"
            raise ProtocolError(msg) from bug
        return hints

    def records(self, hints: Sequence[Hint]) -> list[tuple[str, Side, str]]:
        """The same record in every pair that has it: (pair, side, id)."""
        return [(pair, side, hint.id) for hint in hints for pair, side in self._ends.get(hint.resource, ())]


def hooks_of(config: Config, registry: Registry, clock: Clock) -> dict[str, Hook]:
    """The systems of a config that take webhooks, by name. Opening a connector reaches nothing outside."""
    found = {}
    for name, settings in config.systems.items():
        connector = None
        if name not in config.daemon.hooks:
            connector = open_system(settings, registry, base=config.base, state=config.state)
            if not hasattr(connector, "hints"):
                connector.close()
                continue
        found[name] = Hook(name, config, connector, clock)
    return found


def _ends(config: Config, system: str) -> dict[str, list[tuple[str, Side]]]:
    ends: dict[str, list[tuple[str, Side]]] = {}
    for spec in config.pairs.values():
        for side in Side:
            if spec.end(side).system == system:
                ends.setdefault(spec.end(side).resource, []).append((spec.name, side))
    return ends


def _named(body: bytes, event: str | None) -> list[Hint]:
    """The records that a body in our own form names."""
    try:
        document = parse_json(body)
    except ValueError as error:
        raise ProtocolError(f"the delivery is genuine, but {error}") from None
    listed = document.get("records") if isinstance(document, dict) and "records" in document else [document]
    if not isinstance(listed, list) or len(listed) > MOST_RECORDS:
        raise ProtocolError(f"the delivery is genuine, but `records` is no list of at most {MOST_RECORDS}")
    hints = []
    for each in listed:
        match each:
            case {"resource": str(resource), "id": str(id_)} if resource and id_:
                hints.append(Hint(resource=resource, id=id_, event=event))
            case _:
                raise ProtocolError('the delivery is genuine, but it is not {"resource": "...", "id": "..."}')
    return hints


def _event_of(hints: Sequence[Hint]) -> str | None:
    """
    What tells a delivery from others: the sender's id of it, with its records, for some senders give the same id to all they
    send about one thing.
    """
    event = next((hint.event for hint in hints if hint.event), None)
    return None if event is None else orjson.dumps([event, *([hint.resource, hint.id] for hint in hints)]).decode()


class Gatherer:
    """
    Stores what deliveries say: those that come in while one commit is under way share the next.

    `told` is called with the pairs that have something new to look at. Used on the web's event loop.
    """

    def __init__(self, store: StateKeeper, told: Callable[[Sequence[str]], None]) -> None:
        self._store, self._told = store, told
        self._waiting: list[tuple[Told, asyncio.Future[bool]]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def add(self, told: Told) -> bool:
        """Return once it is durable; tells whether it was news. Raises StateError where it cannot be stored."""
        stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((told, stored))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return await stored

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                news = await run_in_threadpool(self._keep, [told for told, _ in batch])
            except Exception as error:  # noqa: BLE001 - whoever waits for one of these is told, whatever it is
                for _, stored in batch:
                    if not stored.done():
                        stored.set_exception(error)
                continue
            fresh = [told for (told, _), is_new in zip(batch, news, strict=True) if is_new]
            self._told(sorted({pair for told in fresh for pair, _, _ in told.records}))
            for (_, stored), is_new in zip(batch, news, strict=True):
                if not stored.done():
                    stored.set_result(is_new)

    def _keep(self, batch: Sequence[Told]) -> list[bool]:
        with self._store() as store:
            return store.hints.add(batch)


def hook_route(now: Callable[[], Mapping[str, Hook]], gatherer: Gatherer, clock: Clock) -> Route:
    """The route. `now` gives the hooks of the config as it is now."""
    log = structlog.get_logger()

    async def receive(request: Request) -> Response:
        hook = now().get(request.path_params["system"])
        if hook is None:
            return _answer(404, "no system of this name takes webhooks")
        try:
            body = await body_of(request, most=MOST_BYTES)
        except UnreadableBodyError as bad:
            return _answer(bad.status, str(bad))
        try:
            hints = hook.hear(dict(request.headers), body)
        except AuthError as error:
            if (wait := hook.forged.take()) > 0:
                return _answer(429, "too many deliveries without proof", wait)
            log.warning("hook.refused", system=hook.system, why=str(error))
            return _answer(401, "the delivery does not prove that it is genuine; the log of the daemon says why")
        except ProtocolError as error:
            return _answer(400, str(error))
        if (wait := hook.rate.take()) > 0:
            return _answer(429, f"more than {_PER_MINUTE} deliveries a minute: send this one again later", wait)
        records = hook.records(hints)
        if not records:
            return JSONResponse({"status": "nothing to look at"}, status_code=202)
        try:
            told = Told(system=hook.system, event=_event_of(hints), at=clock.now(), records=records)
            is_new = await gatherer.add(told)
        except StateError as error:
            log.warning("hook.failed", system=hook.system, why=str(error))
            return _answer(503, "it could not be stored: send it again later", 10.0)
        return JSONResponse({"status": "accepted" if is_new else "repeated"}, status_code=202)

    return Route("/hooks/{system}", receive, methods=["POST"])


def _answer(status: int, error: str, retry_after: float | None = None) -> Response:
    headers = {} if retry_after is None else {"Retry-After": str(max(1, round(retry_after + 0.5)))}
    return JSONResponse({"error": error}, status_code=status, headers=headers)
