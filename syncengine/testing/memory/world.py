"""The far side: what a memory connector connects to, and what a test looks at and edits as a person would."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Mapping
from threading import RLock
from types import MappingProxyType

from syncengine.connector import Capabilities, Field, Hint, Resource
from syncengine.testing.memory.log import Author, Call, CallKind, Effect, Moment
from syncengine.testing.memory.manners import Clock, Manners, VirtualClock
from syncengine.testing.memory.resource import MemoryResource

READABLE = Capabilities(late_arrival=0.0)
"""Reads whole listings and takes no write: the least a resource can do."""

SIMPLE = Capabilities(creates=True, updates=True, deletes=True, max_batch=100, late_arrival=0.0)
"""A plain table without any help against lost updates or doubled creates."""

FULL = Capabilities(
    incremental=True,
    reports_deletions=True,
    creates=True,
    updates=True,
    archives=True,
    deletes=True,
    restores=True,
    conditional_writes=True,
    idempotent_creates=True,
    returns_record=True,
    max_batch=100,
    max_concurrency=8,
    chooses_ids=True,
    set_deltas=True,
    late_arrival=0.0,
    clock_resolution=1e-06,
    calls_per_page=1.0,
    calls_per_write=1.0,
)
"""Everything a system could offer (upsert keys depend on the fields)."""


class MemoryWorld:
    """
    A system in memory: an account, resources, and a record of everything that was done to it.

    `calls` is what connectors asked, `effects` what happened to records, whoever did it. `on_call` is asked before and
    after every call; it may edit the world (a person in between), and raise a `ConnectorError`: before, nothing happens;
    after a write, every change of it ends as `Failed` with that error though it was applied (a lost answer), so raise
    `OutcomeUnknown` there. `denied` refuses the credentials.
    """

    def __init__(self, *, name: str = "memory", clock: Clock | None = None, secret: bytes = b"memory") -> None:
        self.name = name
        self.clock = clock if clock is not None else VirtualClock()
        self.calls: list[Call] = []
        self.effects: list[Effect] = []
        self.on_call: Callable[[Call, Moment], None] | None = None
        self.denied = False
        self.lock = RLock()
        self._secret = secret
        self._resources: dict[str, MemoryResource] = {}

    def add(
        self,
        name: str,
        fields: Iterable[Field],
        *,
        capabilities: Capabilities = SIMPLE,
        manners: Manners | None = None,
        id_fields: tuple[str, ...] = (),
        blank_is_null: bool = False,
    ) -> MemoryResource:
        """Add a resource; it starts empty."""
        resource = Resource(
            name=name,
            fields={field.name: field for field in fields},
            capabilities=capabilities,
            id_fields=id_fields,
            blank_is_null=blank_is_null,
        )
        return self.add_resource(resource, manners if manners is not None else Manners())

    def add_resource(self, resource: Resource, manners: Manners) -> MemoryResource:
        """Add a resource that is described already."""
        made = MemoryResource(resource, manners, clock=self.clock, lock=self.lock, effects=self.effects, others=self._resources)
        self._resources[resource.name] = made
        return made

    @property
    def resources(self) -> Mapping[str, MemoryResource]:
        return MappingProxyType(self._resources)

    def __getitem__(self, name: str) -> MemoryResource:
        return self._resources[name]

    def writes(self, resource: str | None = None) -> list[Effect]:
        """What connectors did to records, counted here at the far side."""
        return [effect for effect in self.effects if effect.by is Author.CONNECTOR and resource in (None, effect.resource)]

    def called(self, kind: CallKind | None = None, resource: str | None = None) -> list[Call]:
        """The calls so far, of one kind or on one resource where asked."""
        return [call for call in self.calls if kind in (None, call.kind) and resource in (None, call.resource)]

    def delivery(self, hint: Hint) -> tuple[dict[str, str], bytes]:
        """A webhook as this world would send it: headers with a signature, and the body."""
        body = json.dumps({"resource": hint.resource, "id": hint.id, "event": hint.event}).encode()
        return {"X-Memory-Signature": self.signature(body)}, body

    def signature(self, body: bytes) -> str:
        """HMAC-SHA256 of a webhook's body, in hex."""
        return hmac.new(self._secret, body, hashlib.sha256).hexdigest()
