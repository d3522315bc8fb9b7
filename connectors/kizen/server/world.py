"""
The whole state of one business: objects, records, people, automations, and the work that is still to happen.

Only storage and bookkeeping: identifiers, strictly increasing instants, indices, what has to be saved. The rules of the
platform live in `records`, `schema` and `bulk`. Every caller holds `lock`.
"""

from __future__ import annotations

import datetime as dt
import heapq
import random
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

from connectors.kizen.server.lag import SearchLag
from connectors.kizen.server.metadata import Business, Employee, Field, ObjectType, Record, Workflow, folded
from connectors.kizen.server.switches import Switches

Clock = Callable[[], dt.datetime]
EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND: Final = dt.timedelta(microseconds=1)


def utc_now() -> dt.datetime:
    """The clock of production; tests hand in their own."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work that was accepted and takes effect at `due` (microseconds): a bulk call (section 6) or a slow workflow."""

    id: str
    action: str
    object_id: str
    due: int
    payload: Mapping[str, Any]
    status: str = "queued"
    success_count: int = 0
    failed_count: int = 0
    pending_count: int = 0
    started_at: int = 0
    finished_at: int = 0
    failures: tuple[Mapping[str, Any], ...] = ()


class Storage(Protocol):
    """Where acknowledged state survives the process."""

    def save(self, changed: Mapping[tuple[str, str], object]) -> None:
        """Make these documents durable, all or none, before it returns; a None deletes."""

    def close(self) -> None: ...


@dataclass(slots=True)
class World:
    """One business. Not safe by itself: hold `lock` around everything."""

    clock: Clock
    business: Business
    me: str
    switches: Switches = field(default_factory=Switches)
    seed: int = 0
    storage: Storage | None = None
    employees: dict[str, Employee] = field(default_factory=dict)
    objects: dict[str, ObjectType] = field(default_factory=dict)
    workflows: dict[str, Workflow] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    lag: SearchLag = field(default_factory=SearchLag)
    zone: ZoneInfo = field(init=False)
    changed: set[str] = field(default_factory=set)
    archiving: set[str] = field(default_factory=set)
    _names: dict[str, ObjectType] = field(default_factory=dict)
    _places: dict[str, ObjectType] = field(default_factory=dict)
    _positions: int = 0
    _last: int = 0
    _random: random.Random = field(default_factory=random.Random)
    _waiting: list[tuple[int, int, str]] = field(default_factory=list)
    _deferred: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    _tickets: int = 0
    _dirty: dict[tuple[str, str], object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.zone = ZoneInfo(self.business.timezone)
        self._random.seed(self.seed)

    # Time and identity

    def now(self) -> int:
        """The clock in microseconds."""
        return (self.clock() - EPOCH) // MICROSECOND

    def stamp(self, at: int | None = None) -> int:
        """An instant later than every one given before, so that no two writes share their `updated`."""
        self._last = max(self.now() if at is None else at, self._last + 1)
        return self._last

    def instant(self, microseconds: int) -> str:
        """An instant as the platform shows it: microseconds, and the offset of the business (section 2.4)."""
        return (EPOCH + dt.timedelta(microseconds=microseconds)).astimezone(self.zone).isoformat(timespec="microseconds")

    def new_id(self) -> str:
        """A fresh UUID, reproducible from the seed."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def suffix(self) -> str:
        """The eight letters that the platform appends to a name that is taken (section 2.1)."""
        return "".join(self._random.choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789", k=8))

    def random(self, purpose: str) -> random.Random:
        """A generator of its own for one purpose, reproducible from the seed."""
        return random.Random(f"{self.seed}:{purpose}")

    def position(self) -> int:
        """The next place in the order of creation."""
        self._positions += 1
        return self._positions

    # Objects

    def find_object(self, identifier: str) -> ObjectType | None:
        """The object with this UUID or api_name (section 2.1)."""
        return self._names.get(identifier) or self.objects.get(identifier.lower())

    def put_object(self, obj: ObjectType) -> None:
        """Add an object, or note that its description or fields changed."""
        self.objects[obj.id] = obj
        self._names[obj.name] = obj
        obj.by_name = {one.name: one for one in obj.fields.values()}
        obj.version += 1
        self._save("object", obj.id, obj)

    def put_field(self, obj: ObjectType, one: Field) -> None:
        """Add or replace one field."""
        obj.fields[one.id] = one
        self.put_object(obj)

    def field(self, field_id: str) -> tuple[ObjectType, Field] | None:
        """The field with this id, with its object."""
        for obj in self.objects.values():
            if field_id in obj.fields:
                return obj, obj.fields[field_id]
        return None

    # Records

    def record(self, record_id: object) -> Record | None:
        """The record with this id, archived ones included."""
        obj = self._places.get(record_id) if isinstance(record_id, str) else None
        return None if obj is None else obj.records[record_id]  # type: ignore[index]

    def put_record(self, record: Record) -> None:
        """Add a record or replace its earlier version; indices, search lag and storage follow."""
        obj = self.objects[record.object_id]
        old = obj.records.get(record.id)
        obj.records[record.id] = record
        self._places[record.id] = obj
        obj.version += 1
        self.changed.add(record.id)
        self._index(obj, old, record)
        if self.switches.search_lag or self.switches.search_lag_searches:
            due = self.now() + int(self.switches.search_lag * 1_000_000)
            self.lag.note(obj.id, old, record, due, self.switches.search_lag_searches)
        self._save("record", record.id, record)

    def with_key(self, obj: ObjectType, text: str) -> Iterator[Record]:
        """Records, archived ones included, whose identifier folds to the same key; oldest first."""
        found = [obj.records[record_id] for record_id in obj.by_key.get(folded(text), ())]
        yield from sorted(found, key=lambda one: one.position) if len(found) > 1 else found

    def _index(self, obj: ObjectType, old: Record | None, new: Record) -> None:
        identifier = obj.identifier.id
        before = None if old is None else old.values.get(identifier)
        after = new.values.get(identifier)
        if before == after and old is not None:
            return
        if isinstance(before, str):
            holders = obj.by_key[folded(before)]
            holders.pop(new.id, None)
            if not holders:
                del obj.by_key[folded(before)]
        if isinstance(after, str):
            obj.by_key.setdefault(folded(after), {})[new.id] = None

    # People, automations, business

    def put_employee(self, one: Employee) -> None:
        self.employees[one.id] = one
        self._save("employee", one.id, one)

    def put_workflow(self, one: Workflow) -> None:
        self.workflows[one.id] = one
        self._save("workflow", one.id, one)

    def drop_workflow(self, one: Workflow) -> None:
        del self.workflows[one.id]
        self._save("workflow", one.id, None)

    def put_business(self, one: Business) -> None:
        self.business = one
        self.zone = ZoneInfo(one.timezone)
        self._save("business", one.id, one)

    # Work to come

    def put_job(self, job: Job) -> None:
        """Add a job, or note how it went."""
        if job.id not in self.jobs and job.status == "queued":
            self._tickets += 1
            heapq.heappush(self._waiting, (job.due, self._tickets, job.id))
        self.jobs[job.id] = job
        if job.action == "bulk_archive":
            change = self.archiving.update if job.status == "queued" else self.archiving.difference_update
            change(job.payload["record_ids"])
        self._save("job", job.id, job)

    def drop_job(self, job: Job) -> None:
        """Forget a job that nobody can ask about."""
        del self.jobs[job.id]
        self._save("job", job.id, None)

    def defer(self, due: int, work: Callable[[], None]) -> None:
        """A request that lost its caller and still arrives, at `due`. Not acknowledged, so not saved."""
        self._tickets += 1
        heapq.heappush(self._deferred, (due, self._tickets, work))

    def due_work(self) -> Iterator[Job | Callable[[], None]]:
        """What has come due, earliest first; each is handed out once."""
        while True:
            now = self.now()
            job_due = self._waiting[0][0] if self._waiting else now + 1
            late_due = self._deferred[0][0] if self._deferred else now + 1
            if min(job_due, late_due) > now:
                return
            if job_due <= late_due:
                yield self.jobs[heapq.heappop(self._waiting)[2]]
            else:
                yield heapq.heappop(self._deferred)[2]

    # Durability

    def _save(self, kind: str, key: str, document: object) -> None:
        if self.storage is not None:
            self._dirty[kind, key] = document

    def commit(self) -> None:
        """Make everything changed since the last call durable. Called before an answer leaves."""
        if self.storage is not None and self._dirty:
            self.storage.save(self._dirty)
            self._dirty.clear()

    def adopt(self, record: Record) -> None:
        """Take a record back from storage."""
        obj = self.objects[record.object_id]
        obj.records[record.id] = record
        self._places[record.id] = obj
        self._index(obj, None, record)
        self._positions = max(self._positions, record.position)
        self._last = max(self._last, record.updated, record.created)

    def reseed(self) -> None:
        """After a restart: continue with identifiers that were never given before."""
        self._random.seed(f"{self.seed}:{self._positions}:{self._last}")
        self._dirty.clear()
