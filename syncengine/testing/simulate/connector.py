"""The connector to a far side: the contract, with everything that may go wrong with a call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from syncengine.connector import (
    Account,
    Answer,
    Change,
    Create,
    Failed,
    Native,
    Outcome,
    Page,
    Record,
    Resource,
    Tombstone,
    Unknown,
)
from syncengine.core.model import Side
from syncengine.errors import AuthError, CursorExpired, OutcomeUnknown, ProtocolError, Rejected, TransientError
from syncengine.testing.simulate.crash import Crash
from syncengine.testing.simulate.farside import Row
from syncengine.testing.simulate.moments import Probe
from syncengine.testing.simulate.pair import Pair
from syncengine.testing.simulate.protocol import CALL_SECONDS
from syncengine.testing.simulate.setup import Fault, Paging
from syncengine.testing.simulate.world import Blow, World, describe

_READ_FAULTS = (Fault.REFUSED, Fault.THROTTLED, Fault.SLOW, Fault.BUG, Fault.AUTH, Fault.GARBAGE)
_WRITE_FAULTS = (
    Fault.REFUSED, Fault.THROTTLED, Fault.SLOW, Fault.AUTH, Fault.LOST_ANSWER, Fault.LATE, Fault.NEVER_ARRIVED, Fault.PARTIAL,
    Fault.REJECTED, Fault.BUG,
)  # fmt: skip


_READ_SHARE = 0.2
"""Reads are many, and most histories would end in their faults if they had the full rate."""


class SimConnector:
    """A source and target; `connect` makes one with the skills that the system's manners give it."""

    def __init__(self, world: World, pair: Pair, side: Side) -> None:
        self._world = world
        self._pair = pair
        self._side = side
        self._far = pair.far[side]
        self._name = self._far.name
        rates = world.setup.rates
        self._read_rates = _capped([rates[fault] * _READ_SHARE for fault in _READ_FAULTS])
        self._write_rates = _capped([rates[fault] for fault in _WRITE_FAULTS])

    def check(self) -> Account:
        return Account(id=self._name, label=self._name)

    def resources(self) -> Mapping[str, Resource]:
        return {"people": self._far.resource}

    def close(self) -> None:
        """Nothing is held."""

    # Around a call

    def _begin(self, kind: str) -> None:
        world = self._world
        world.clock.time += CALL_SECONDS
        world.counts[f"call: {kind}"] += 1
        world.pass_time()

    def _read_begin(self, kind: str) -> None:
        self._begin(kind)
        world = self._world
        world.maybe_rival()
        world.crash_point(f"before a {kind}", share=_READ_SHARE)
        if not world.hostile:
            return
        fault = world.take_blow()
        hit = world.tape.pick(self._read_rates)
        if fault is None and hit:
            fault = _READ_FAULTS[hit - 1]
        if fault is not None:
            self._fail(fault, kind)
        self._let_in()

    def _end(self, kind: str) -> None:
        world = self._world
        world.clock.time += CALL_SECONDS
        world.pass_time()
        world.crash_point(f"after a {kind}", share=_READ_SHARE if kind == "page" else 1.0)

    def _let_in(self) -> None:
        if self._world.clock.time < self._world.denied_until[self._name]:
            raise AuthError("credentials refused")

    def _fail(self, fault: Fault, kind: str) -> None:
        world = self._world
        world.counts[f"fault: {fault.value}"] += 1
        if world.story is not None:
            world.tell(f"!! {fault.value} at a {kind} on the {self._name}")
        match fault:
            case Fault.REFUSED:
                raise TransientError("503 service unavailable")
            case Fault.THROTTLED:
                raise TransientError("429 too many requests", retry_after=2.0, throttled=True)
            case Fault.SLOW:
                world.clock.time += world.tape.choose((5.0, 25.0, 55.0))
            case Fault.AUTH:
                world.denied_until[self._name] = world.clock.time + world.tape.choose((1.0, 100.0))
            case Fault.GARBAGE:
                raise ProtocolError("200 OK, and the body is a login page")
            case _:
                raise RuntimeError("a bug in the connector")

    # Source

    def read(self, resource: str, *, fields: Sequence[str], cursor: str | None = None) -> Iterator[Page]:
        del resource
        if cursor is not None:
            yield from self._changes(tuple(fields), cursor)
        elif self._far.manners.paging is Paging.MOVING:
            yield from self._moving(tuple(fields))
        else:
            yield from self._listing(tuple(fields))

    def _listing(self, fields: tuple[str, ...]) -> Iterator[Page]:
        world, far = self._world, self._far
        self._read_begin("page")
        self._looked(self._whole)
        records, number = far.view()
        taken = self._pair.ghost.tick()
        lie = world.lies[self._name]
        rows = [row for row in records.values() if lie is None or not lie.hides(row.id)]
        if far.manners.numeric_ids:
            rows.sort(key=lambda row: (len(row.id), row.id))
        size = far.capabilities.page_size
        pages = max(1, -(-len(rows) // size))
        for index in range(pages):
            if index:
                self._read_begin("page")
            part = rows[index * size : (index + 1) * size]
            if far.manners.repeats and index:
                part = [rows[index * size - 1], *part]
            final = index == pages - 1
            short = not final and world.short[self._name]
            page = self._page(fields, part, taken, cursor=number if final else None, complete=final)
            self._end("page")
            yield page
            if short:
                return

    def _moving(self, fields: tuple[str, ...]) -> Iterator[Page]:
        """Offsets into a list with the latest change first: rows move between pages, and a listing that moved proves nothing."""
        world, far = self._world, self._far
        size = far.capabilities.page_size
        offset = 0
        began: int | None = None
        while True:
            self._read_begin("page")
            if began is None:
                self._looked(self._whole)
            records, number = far.view()
            taken = self._pair.ghost.tick()
            began = number if began is None else began
            lie = world.lies[self._name]
            rows = sorted((row for row in records.values() if lie is None or not lie.hides(row.id)), key=lambda row: -row.number)
            part = rows[offset : offset + size]
            offset += size
            final = offset >= len(rows)
            still = number == began
            page = self._page(fields, part, taken, cursor=began if final and still else None, complete=final and still)
            self._end("page")
            yield page
            if final:
                return

    def _changes(self, fields: tuple[str, ...], cursor: str) -> Iterator[Page]:
        world, far = self._world, self._far
        self._read_begin("page")
        epoch, _, since = cursor.partition(":")
        if epoch != str(far.epoch) or world.happens(Fault.CURSOR):
            far.epoch += 1
            raise CursorExpired("the cursor is too old")
        self._looked(frozenset())
        _, number = far.view()
        taken = self._pair.ghost.tick()
        lie = world.lies[self._name]
        events = far.changes(after=max(0, int(since) - far.manners.overlap), until=number)
        size = far.capabilities.page_size
        pages = max(1, -(-len(events) // size))
        for index in range(pages):
            if index:
                self._read_begin("page")
            part = events[index * size : (index + 1) * size]
            rows = [event.after for event in part if event.after is not None and (lie is None or not lie.hides(event.id))]
            if len(rows) < sum(event.after is not None for event in part):
                # Its cursor moves past what it hid: as good as never having had it, until the next full listing.
                self._pair.oracle.has_hidden[self._side] = True
            gone = [event.id for event in part if event.after is None] if far.capabilities.reports_deletions else []
            final = index == pages - 1
            yielded = number if final else max(part[-1].number, int(since))
            page = self._page(fields, rows, taken, deleted=gone, cursor=yielded)
            self._end("page")
            yield page

    def _page(
        self,
        fields: tuple[str, ...],
        rows: Sequence[Row],
        taken: int,
        *,
        deleted: Sequence[str] = (),
        cursor: int | None = None,
        complete: bool = False,
    ) -> Page:
        """A page of what the system showed at the moment `taken`."""
        far = self._far
        resolution = far.capabilities.clock_resolution
        if not far.manners.gets:
            self._saw([row.id for row in rows], taken)
        return Page(
            fields=fields,
            ids=[row.id for row in rows],
            rows=[tuple(row.fields[name] for name in fields) for row in rows],
            versions=[row.version for row in rows] if far.manners.versions else None,
            modified_at=None if resolution is None else [_moment(row, resolution, far.manners.skew) for row in rows],
            deleted=deleted,
            cursor=f"{far.epoch}:{cursor}" if cursor is not None and far.capabilities.incremental else None,
            complete=complete,
        )

    def _record(self, row: Row, fields: Sequence[str]) -> Record:
        manners, resolution = self._far.manners, self._far.capabilities.clock_resolution
        return Record(
            id=row.id,
            fields={name: row.fields[name] for name in fields},
            version=row.version if manners.versions else None,
            modified_at=None if resolution is None else _moment(row, resolution, manners.skew),
        )

    def _saw(self, ids: Sequence[str], seq: int) -> None:
        for id_ in ids:
            self._pair.ghost.strong_read[self._side, id_] = seq

    @property
    def _whole(self) -> frozenset[str] | None:
        """What a listing looks at: everything, where nothing else tells whether a key is there; else nothing by name."""
        return None if not (self._far.manners.finds or self._far.manners.unique) else frozenset()

    def _looked(self, texts: frozenset[str] | None) -> None:
        world = self._world
        lied = world.lies[self._name] is not None
        self._pair.oracle.probes[self._side] = Probe(self._pair.ghost.tick(), world.clock.time, texts, lied)

    # Target

    def write(self, resource: str, changes: Sequence[Change]) -> Sequence[Outcome]:
        del resource
        world = self._world
        if len(changes) > self._far.capabilities.max_batch:
            raise AssertionError("more changes than max_batch in one call")
        self._begin("write")
        world.protocol.check_lease(self._name)
        for change in changes:
            if isinstance(change, Create):
                self._pair.oracle.first_sent.setdefault(change.key, self._pair.oracle.probes[self._side])
        try:
            world.crash_point("before a write")
        except Crash:
            in_flight, world.struck = world.struck is Blow.IN_FLIGHT, None
            if self._far.capabilities.late_arrival and (in_flight or world.tape.chance(0.5)):
                for change in changes:
                    world.send_late(self._pair, self._side, change)
            raise
        fault = None
        if world.hostile:
            hit = world.tape.pick(self._write_rates)
            fault = world.take_blow() or (_WRITE_FAULTS[hit - 1] if hit else None)
            if fault in (Fault.REFUSED, Fault.THROTTLED, Fault.SLOW, Fault.AUTH):
                assert fault is not None
                self._fail(fault, "write")
            self._let_in()
        outcomes = self._outcomes(changes, fault)
        self._end("write")
        return outcomes

    def _outcomes(self, changes: Sequence[Change], fault: Fault | None) -> list[Outcome]:
        world = self._world
        if fault not in (None, Fault.SLOW, Fault.AUTH) and fault is not None:
            world.counts[f"fault: {fault.value}"] += 1
            if world.story is not None:
                world.tell(f"!! {fault.value} at a write on the {self._name}")
        unlucky = world.tape.draw(len(changes)) if fault in (Fault.PARTIAL, Fault.REJECTED) and len(changes) > 1 else 0
        outcomes: list[Outcome] = []
        for index, change in enumerate(changes):
            doubted = fault in (Fault.LOST_ANSWER, Fault.LATE, Fault.NEVER_ARRIVED) or (
                fault is Fault.PARTIAL and index == unlucky
            )
            if fault is Fault.REJECTED and index == unlucky and not self._far.has_answered(change):
                outcomes.append(Failed(key=change.key, error=Rejected("the system does not like it")))
                continue
            how = fault
            if fault is Fault.PARTIAL and doubted:
                how = world.tape.choose((Fault.LOST_ANSWER, Fault.LATE, Fault.NEVER_ARRIVED))
            if how is Fault.LATE and not self._far.capabilities.late_arrival:
                how = Fault.LOST_ANSWER
            if how is Fault.LATE:
                world.send_late(self._pair, self._side, change)
            elif how is not Fault.NEVER_ARRIVED:
                if how is Fault.BUG and world.tape.chance(0.5):
                    break
                outcome = world.apply(self._pair, self._side, change)
                if world.story is not None:
                    said = outcome.id if not isinstance(outcome, Failed) else type(outcome.error).__name__
                    world.tell(f"the engine on the {self._name}: {describe(change)} -> {said}")
                if not doubted:
                    outcomes.append(outcome)
            if doubted:
                outcomes.append(Failed(key=change.key, error=OutcomeUnknown("no answer")))
        if fault is Fault.BUG:
            raise RuntimeError("a bug in the connector")
        return outcomes


class _Gets(SimConnector):
    def get(self, resource: str, ids: Sequence[str], *, fields: Sequence[str]) -> Sequence[Answer]:
        del resource
        self._read_begin("get")
        lie = self._world.lies[self._name]
        answers: list[Answer] = []
        for id_ in ids:
            row = self._far.live.get(id_)
            if self._world.happens(Fault.UNTOLD):
                answers.append(Unknown(id=id_, why="timed out"))
            elif row is None or (lie is not None and lie.hides(id_)):
                answers.append(Tombstone(id=id_))
            else:
                answers.append(self._record(row, fields))
        self._saw(ids, self._pair.ghost.tick())
        self._end("get")
        return answers


class _Finds(SimConnector):
    def find(self, resource: str, field: str, values: Sequence[Native], *, fields: Sequence[str]) -> Sequence[Record]:
        del resource
        self._read_begin("find")
        self._looked(frozenset(str(value) for value in values))
        records, _ = self._far.view()
        lie = self._world.lies[self._name]
        wanted = set(values)
        if self._far.manners.folds:
            wanted |= {value.strip().casefold() for value in values if isinstance(value, str)}
        found = []
        for row in records.values():
            value = row.fields[field]
            hit = value in wanted or (self._far.manners.folds and isinstance(value, str) and value.strip().casefold() in wanted)
            if hit and (lie is None or not lie.hides(row.id)):
                found.append(self._record(row, fields))
        self._end("find")
        return found


class _Both(_Gets, _Finds):
    pass


def connect(world: World, pair: Pair, side: Side) -> SimConnector:
    """A connector of a pair to one of its systems, with the skills that the system's manners give it."""
    manners = pair.far[side].manners
    if manners.gets:
        return (_Both if manners.finds else _Gets)(world, pair, side)
    return (_Finds if manners.finds else SimConnector)(world, pair, side)


def _moment(row: Row, resolution: float, skew: float) -> datetime:
    return datetime.fromtimestamp((row.at + skew) // resolution * resolution, UTC)


def _capped(rates: list[float]) -> list[float]:
    total = sum(rates)
    return rates if total <= 0.8 else [rate * 0.8 / total for rate in rates]
