"""
`POST /ingest/SYSTEM`: an event comes in, is stored, and only then answered. The pair that reads the queue does the rest.

    202  stored; the same event again is 202 too, and changes nothing
    400, 422  the event is bad: every field at fault is named with the cure, and it is kept (`syncengine events list`)
    401  the sender did not prove itself     404  no such system          409  another body under an id that was used
    408  too slow    413  too large    415  neither JSON nor a form    429  too many    503  the state cannot be written

A bad event is kept only where its sender proved itself, or the system is public. No answer holds a value of an event.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from syncengine.config import Config
from syncengine.core.model import Side
from syncengine.daemon.bodies import UnreadableBodyError, body_of
from syncengine.daemon.delivery import BadEventError, document_of, event_id_of, event_of, kind_of
from syncengine.daemon.events import EventsOptions
from syncengine.daemon.jsonline import JsonLine
from syncengine.daemon.rate import Rate
from syncengine.engine.ports import Clock
from syncengine.errors import AuthError, StateError
from syncengine.http.signatures import prove_shared, prove_signed
from syncengine.registry import Registry
from syncengine.store.events import Delivery, EventReusedError, Receipt
from syncengine.store.hints import Told
from syncengine.store.store import Store

_FORGED_PER_MINUTE: Final = 60
"""How many deliveries without proof are told why: they have a measure of their own, so that they never keep genuine ones out."""

StoreKeeper: TypeAlias = Callable[[], AbstractContextManager[Store]]
"""Lends the state to one thread at a time."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    content: Mapping[str, Any]
    retry_after: float | None = None

    def response(self) -> Response:
        headers = {} if self.retry_after is None else {"Retry-After": str(max(1, round(self.retry_after + 0.5)))}
        return JsonLine(dict(self.content), status_code=self.status, headers=headers)


class EventQueue:
    """The queue of one system that is sent events: verifies, maps and stores what comes in."""

    def __init__(self, system: str, options: EventsOptions, config: Config, store: StoreKeeper, clock: Clock) -> None:
        self.system = system
        self._store = store
        self._clock = clock
        self.options = options
        self.readers = _readers(config, system, options.resource)
        self._rate = Rate(options.max_per_minute, clock.monotonic)
        self._forged = Rate(_FORGED_PER_MINUTE, clock.monotonic)

    def prove(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raise AuthError unless the sender proved itself."""
        options = self.options
        if options.public:
            return
        if options.signed:
            prove_signed(options.secrets, headers, body, now=self._clock.now())
            return
        scheme, _, name = options.proof.partition(":")
        if scheme == "bearer":
            kind, _, given = headers.get("authorization", "").partition(" ")
            given = given.strip() if kind.lower() == "bearer" else ""
            prove_shared(options.secrets, given, header="Authorization (Bearer)")
        else:
            prove_shared(options.secrets, headers.get(name.lower(), ""), header=name)

    def refusal_of(self, headers: Mapping[str, str], body: bytes) -> _Answer | None:
        """What is said to a sender that did not prove itself, or sends too much; None to one that may go on."""
        try:
            self.prove(headers, body)
        except AuthError as error:
            if (wait := self._forged.take()) > 0:
                return _Answer(429, {"error": "too many deliveries without proof"}, wait)
            return _Answer(401, {"error": str(error)})
        if (wait := self._rate.take()) > 0:
            most = self.options.max_per_minute
            return _Answer(429, {"error": f"more than {most} events a minute: send this one again later"}, wait)
        return None

    def take(self, form: str, headers: Mapping[str, str], body: bytes) -> tuple[_Answer, bool]:
        """Store an event of a sender that proved itself; returns the answer, and whether there is something new to read."""
        event, digest = None, hashlib.blake2b(form.encode() + b"\0" + body, digest_size=16).digest()
        try:
            try:
                document = document_of(form, body)
                event = event_id_of(self.options, headers, document)
                found = event_of(self.options, form, document, event)
            except BadEventError as bad:
                delivery = Delivery(system=self.system, event=event, digest=digest, form=form, at=self._clock.now())
                with self._store() as store:
                    number = store.events.refuse(delivery, body, str(bad))
                return _Answer(bad.status, _bad(number, bad)), False
            delivery = Delivery(system=self.system, event=event, digest=digest, form=form, at=self._clock.now())
            with self._store() as store:
                receipt = self.put(store, delivery, found.record, found.fields)
        except EventReusedError as error:
            return _Answer(409, {"error": str(error)}), False
        except StateError as error:
            structlog.get_logger().error("ingest.failed", system=self.system, error=str(error))
            return _Answer(503, {"error": "the event could not be stored: send it again later"}, 10.0), False
        said = {"status": "accepted", "event": receipt.number, "repeated": receipt.is_repeated}
        return _Answer(202, said), not receipt.is_repeated

    def put(self, store: Store, delivery: Delivery, record: str, fields: Mapping[str, object]) -> Receipt:
        """Store an event, and the word to its readers that there is something to look at, in one commit."""
        with store.database.transaction():
            receipt = store.events.accept(delivery, record, fields)
            if not receipt.is_repeated:
                told = [(pair, side, record) for pair, side in self.readers]
                store.hints.add([Told(system=self.system, event=None, at=delivery.at, records=told)])
        return receipt


def _readers(config: Config, system: str, resource: str) -> Sequence[tuple[str, Side]]:
    """The pairs, with the side, that read the queue."""
    return [
        (spec.name, side)
        for spec in config.pairs.values()
        for side in Side
        if (spec.end(side).system, spec.end(side).resource) == (system, resource)
    ]


def _bad(number: int, bad: BadEventError) -> Mapping[str, Any]:
    faults = [{"field": fault.field, "wrong": fault.wrong, "cure": fault.cure} for fault in bad.faults]
    return {"error": str(bad), "faults": faults, "kept_as": number}


def queues(config: Config, registry: Registry, store: StoreKeeper, clock: Clock) -> dict[str, EventQueue]:
    """The queues of every system of a config that is sent events, by name."""
    found = {}
    for name, system in config.systems.items():
        kind = registry.load(system.connector).options
        if issubclass(kind, EventsOptions):
            given = dict(system.options) | ({"timezone": system.timezone} if system.timezone is not None else {})
            found[name] = EventQueue(name, kind.model_validate(given), config, store, clock)
    return found


def ingest_route(
    now: Callable[[], Mapping[str, EventQueue]],
    hinted: Callable[[Sequence[str]], None],
    counted: Callable[[str, int], None] = lambda _system, _status: None,
) -> Route:
    """
    The route. `now` gives the queues of the config as it is now; `hinted` is told the pairs that have something to read, after it
    was stored, and `counted` the system and status of every answer; both must be quick.
    """

    async def ingest(request: Request) -> Response:
        queue = now().get(request.path_params["system"])
        if queue is None:
            return _Answer(404, {"error": "no system of this name is sent events"}).response()
        answer = await answered(queue, request)
        counted(queue.system, answer.status)
        return answer.response()

    async def answered(queue: EventQueue, request: Request) -> _Answer:
        try:
            body = await body_of(request, most=queue.options.max_bytes)
        except UnreadableBodyError as bad:
            return _Answer(bad.status, {"error": str(bad)})
        headers = {name.lower(): value for name, value in request.headers.items()}
        refused = queue.refusal_of(headers, body)
        if refused is not None:
            return refused
        form = kind_of(headers.get("content-type", ""))
        if form is None:
            cure = "send application/json, or application/x-www-form-urlencoded"
            return _Answer(415, {"error": f"this kind of body is not taken: {cure}"})
        answer, is_new = await run_in_threadpool(queue.take, form, headers, body)
        if is_new:
            hinted([pair for pair, _ in queue.readers])
        return answer

    return Route("/ingest/{system}", ingest, methods=["POST"])
