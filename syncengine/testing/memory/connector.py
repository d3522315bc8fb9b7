"""
The memory connector: the contract in its plainest form, against a `MemoryWorld`.

`MemoryConnector` has every skill. `MemorySource`, `MemoryTarget` and the mixins make connectors that lack some:
`skilled(world, gets=False)`.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from syncengine.connector import (
    ABSENT,
    Account,
    Answer,
    Change,
    Failed,
    Hint,
    Native,
    Outcome,
    Page,
    Record,
    Resource,
    Tombstone,
    Unknown,
)
from syncengine.errors import AuthError, ConnectorError, CursorExpired, ProtocolError, ResourceError
from syncengine.testing.memory.history import Event, Stored, View
from syncengine.testing.memory.log import Call, CallKind, Moment
from syncengine.testing.memory.manners import Paging
from syncengine.testing.memory.resource import MemoryResource
from syncengine.testing.memory.rules import own, same
from syncengine.testing.memory.world import MemoryWorld


class _Connection:
    """What every memory connector has: a world, and the manners of a connection to it."""

    def __init__(self, world: MemoryWorld) -> None:
        self._world = world
        self._closed = False
        self._described: Mapping[str, Resource] | None = None

    @property
    def world(self) -> MemoryWorld:
        return self._world

    def check(self) -> Account:
        """Who we are: one account per world."""
        self._begin(CallKind.CHECK)
        return Account(id=f"memory:{self.world.name}", label=f"memory world {self.world.name}")

    def resources(self) -> Mapping[str, Resource]:
        """What the world said of its resources when it was first asked."""
        self._let_in()
        if self._described is None:
            self._described = MappingProxyType({name: each.resource for name, each in self.world.resources.items()})
        return self._described

    def close(self) -> None:
        """Let go; any other call after this is a mistake."""
        self._closed = True

    def _let_in(self) -> None:
        if self._closed:
            raise ProtocolError("this memory connector was closed; open a new one")
        if self.world.denied:
            raise AuthError(f"memory world {self.world.name!r} refuses these credentials; set `denied` to False")

    def _begin(
        self,
        kind: CallKind,
        resource: str = "",
        *,
        ids: Sequence[str] = (),
        changes: Sequence[Change] = (),
        cursor: str | None = None,
        field: str = "",
    ) -> Call:
        self._let_in()
        with self.world.lock:
            call = Call(
                number=len(self.world.calls) + 1,
                kind=kind,
                resource=resource,
                ids=tuple(ids),
                changes=tuple(changes),
                cursor=cursor,
                field=field,
            )
            self.world.calls.append(call)
        if self.world.on_call is not None:
            self.world.on_call(call, Moment.BEFORE)
        return call

    def _end(self, call: Call) -> None:
        if self.world.on_call is not None:
            self.world.on_call(call, Moment.AFTER)

    def _open(self, resource: str, fields: Sequence[str] = ()) -> MemoryResource:
        found = self.world.resources.get(resource)
        if found is None:
            raise ResourceError(f"memory world {self.world.name!r} has no resource {resource!r}; add it first")
        for name in fields:
            if name not in found.resource.fields:
                raise ResourceError(f"{resource} has no field {name!r}; ask for the fields it describes")
        return found


class MemorySource(_Connection):
    """A memory connector that only reads."""

    def read(self, resource: str, *, fields: Sequence[str], cursor: str | None = None) -> Iterator[Page]:
        """The listing, or the changes since a cursor, as the world's manners have it."""
        opened = self._open(resource, fields)
        if cursor is not None:
            yield from self._changes(opened, tuple(fields), cursor)
        elif opened.manners.paging is Paging.MOVING:
            yield from self._moving(opened, tuple(fields))
        else:
            yield from self._listing(opened, tuple(fields))

    def _listing(self, opened: MemoryResource, fields: tuple[str, ...]) -> Iterator[Page]:
        call = self._begin(CallKind.PAGE, opened.resource.name)
        view = opened.view()
        states = list(view.records.values())
        size = opened.resource.capabilities.page_size
        live = opened.manners.paging is Paging.LIVE
        last: list[Stored] = []
        for start in range(0, max(len(states), 1), size):
            if start:
                call = self._begin(CallKind.PAGE, opened.resource.name)
            part = states[start : start + size]
            if live:
                now = opened.view().records
                part = [now[state.id] for state in part if state.id in now]
            if opened.manners.repeats:
                part, last = last + part, part[-1:]
            final = start + size >= len(states)
            page = self._page(opened, fields, part, cursor=view.number if final else None, complete=final, total=len(states))
            self._end(call)
            yield page

    def _moving(self, opened: MemoryResource, fields: tuple[str, ...]) -> Iterator[Page]:
        """Offsets into a list that moves: taken again while it did, and never called complete unless it stood still."""
        size = opened.resource.capabilities.page_size
        first = opened.view().number
        for attempt in range(1, opened.manners.passes + 1):
            began = opened.view().number
            offset = 0
            while True:
                call = self._begin(CallKind.PAGE, opened.resource.name)
                view = opened.view()
                states = sorted(view.records.values(), key=lambda state: -state.number)
                part = states[offset : offset + size]
                offset += size
                at_end = offset >= len(states)
                still = view.number == began
                final = at_end and (still or attempt == opened.manners.passes)
                page = self._page(opened, fields, part, cursor=first if final else None, complete=final and still)
                self._end(call)
                yield page
                if at_end:
                    break
            if still:
                return

    def _changes(self, opened: MemoryResource, fields: tuple[str, ...], cursor: str) -> Iterator[Page]:
        call = self._begin(CallKind.PAGE, opened.resource.name, cursor=cursor)
        can = opened.resource.capabilities
        view = opened.view()
        since = self._resume(opened, view, cursor)
        events = opened.changes(after=max(since - opened.manners.overlap, 0), until=view.number)
        for start in range(0, max(len(events), 1), can.page_size):
            if start:
                call = self._begin(CallKind.PAGE, opened.resource.name, cursor=cursor)
            part = events[start : start + can.page_size]
            final = start + can.page_size >= len(events)
            page = self._page(
                opened,
                fields,
                [event.after for event in part if event.after is not None],
                deleted=_gone(part) if can.reports_deletions else (),
                cursor=view.number if final else max(part[-1].number, since),
            )
            self._end(call)
            yield page

    def _resume(self, opened: MemoryResource, view: View, cursor: str) -> int:
        epoch, _, number = cursor.partition(":")
        valid = opened.resource.capabilities.incremental and epoch == str(opened.epoch) and number.isdecimal()
        life = opened.manners.cursor_life
        if not valid or int(number) > view.number or (life is not None and view.number - int(number) > life):
            raise CursorExpired(f"{opened.resource.name}: this cursor can no longer be resumed; read from the beginning")
        return int(number)

    def _page(
        self,
        opened: MemoryResource,
        fields: tuple[str, ...],
        states: Sequence[Stored],
        *,
        deleted: Sequence[str] = (),
        cursor: int | None = None,
        complete: bool = False,
        total: int | None = None,
    ) -> Page:
        can, manners = opened.resource.capabilities, opened.manners
        return Page(
            fields=fields,
            ids=[state.id for state in states],
            rows=[tuple(own(state.fields.get(name, ABSENT)) for name in fields) for state in states],
            versions=[state.version for state in states] if manners.versions else None,
            modified_at=None if can.clock_resolution is None else [_moment(state, can.clock_resolution) for state in states],
            deleted=deleted,
            cursor=f"{opened.epoch}:{cursor}" if cursor is not None and can.incremental else None,
            complete=complete,
            provisional=frozenset(state.id for state in states if state.provisional),
            total=total,
        )


class MemoryTarget(_Connection):
    """A memory connector that only writes."""

    def write(self, resource: str, changes: Sequence[Change]) -> Sequence[Outcome]:
        """Apply each change by itself."""
        call = self._begin(CallKind.WRITE, resource, changes=changes)
        opened = self._open(resource)
        most = opened.resource.capabilities.max_batch
        if len(changes) > most:
            raise ProtocolError(f"{resource}: {len(changes)} changes in one call; max_batch is {most}")
        outcomes = [opened.apply(change) for change in changes]
        try:
            self._end(call)
        except ConnectorError as lost:
            return [Failed(key=change.key, error=lost) for change in changes]
        return outcomes


class Gets(_Connection):
    """The skill `Getter`."""

    def get(self, resource: str, ids: Sequence[str], *, fields: Sequence[str]) -> Sequence[Answer]:
        """The records as they are now, whatever the lag of listings."""
        call = self._begin(CallKind.GET, resource, ids=ids)
        opened = self._open(resource, fields)
        answers = [_answer(opened, id, fields) for id in ids]
        self._end(call)
        return answers


class Finds(_Connection):
    """The skill `Finder`."""

    def find(self, resource: str, field: str, values: Sequence[Native], *, fields: Sequence[str]) -> Sequence[Record]:
        """Exact matches among what listings show."""
        call = self._begin(CallKind.FIND, resource, field=field)
        opened = self._open(resource, (field, *fields))
        found = [
            _record(opened, state, fields)
            for state in opened.view().records.values()
            if any(same(state.fields.get(field), value) for value in values)
        ]
        self._end(call)
        return found


class Hears(_Connection):
    """The skill `HintReceiver`."""

    def hints(self, headers: Mapping[str, str], body: bytes) -> Sequence[Hint]:
        """Hints of `MemoryWorld.delivery`; AuthError where the signature does not fit."""
        given = {name.lower(): value for name, value in headers.items()}.get("x-memory-signature", "")
        if not hmac.compare_digest(given.encode(), self.world.signature(body).encode()):
            raise AuthError("the delivery's X-Memory-Signature does not fit its body; it is not from this world")
        told = json.loads(body)
        return (Hint(resource=told["resource"], id=told["id"], event=told["event"]),)


class MemoryConnector(MemorySource, MemoryTarget, Gets, Finds, Hears):
    """A memory connector with every skill."""


def skilled(
    world: MemoryWorld,
    *,
    reads: bool = True,
    writes: bool = True,
    gets: bool = True,
    finds: bool = True,
    hears: bool = False,
) -> _Connection:
    """A memory connector with some of the skills: one that a contract gives by having the method."""
    chosen = ((MemorySource, reads), (MemoryTarget, writes), (Gets, gets), (Finds, finds), (Hears, hears))
    bases = tuple(skill for skill, wanted in chosen if wanted)
    made: _Connection = type("MemoryConnector", bases, {})(world)
    return made


def _answer(opened: MemoryResource, id: str, fields: Sequence[str]) -> Answer:
    if id in opened.concealed:
        return Unknown(id=id, why="the world was told to conceal this record")
    state = opened.state(id)
    return Tombstone(id=id) if state is None else _record(opened, state, fields)


def _record(opened: MemoryResource, state: Stored, fields: Sequence[str]) -> Record:
    resolution = opened.resource.capabilities.clock_resolution
    return Record(
        id=state.id,
        fields={name: own(state.fields[name]) for name in fields if name in state.fields},
        version=state.version if opened.manners.versions else None,
        modified_at=_moment(state, resolution) if resolution is not None else None,
    )


def _moment(state: Stored, resolution: float) -> datetime:
    """The moment of the last change as a clock of this resolution tells it: cut off, never rounded up."""
    at = datetime.fromtimestamp(0, UTC) + timedelta(seconds=state.at)
    past = timedelta(seconds=state.at) % timedelta(seconds=resolution)
    return at - past


def _gone(events: Sequence[Event]) -> tuple[str, ...]:
    return tuple(event.id for event in events if event.after is None)
