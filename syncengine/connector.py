"""
The connector contract: all that the author of a connector reads.

A connector speaks to one kind of system. It can be read (`Source`), written (`Target`), or both. A *skill* is an
optional one-method protocol (`Getter`, `Finder`, `HintReceiver`, ...): have the method and you have the skill. A *quality* is
a flag in `Capabilities`. The engine never asks for a connector's name.

The sentences of the contract; each has a test in `syncengine.testing.conformance`:

 1. `read` yields every live record of the resource at least once, page by page; a record may come twice.
 2. A page that cannot be read raises; a short listing is never an answer. `complete` is true on the last page only, and
    only when the listing provably held every live record. Absence from a listing means nothing without it.
 3. A cursor used later returns every change since the page that carried it; overlap is allowed, gaps are not. A cursor is
    an opaque string that survives being stored. One that can no longer be resumed raises `CursorExpired`.
 4. Ids are non-empty strings, stable for the life of the record; one that is not lasting yet is in `Page.provisional`.
 5. Values are plain Python: None, bool, int, float, Decimal, str, bytes, date, datetime, time, list, dict. `ABSENT` marks
    a field that the record does not have; it is not the same as None.
 6. `write` returns one outcome per change, in order. Raising from `write` means that nothing at all was applied. One bad
    change is `Failed(RecordError)` and does not hurt its neighbours; a change that may have been applied is
    `Failed(OutcomeUnknown)`.
 7. An `Update` changes the fields it names and no other.
 8. A change whose `expected` is stale changes nothing and fails with `VersionConflict` (where `conditional_writes`).
 9. `Written.record` holds what the system says it stored by this very write, never a later read of it, unless both
    happened in one transaction.
10. `get` gives one answer per id, in order, and tells there, gone and could-not-tell apart.
11. Connectors do not retry, sleep, print, log record values, or read the clock. No secret and no record value stands in
    an error. `close` may be called twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

from pydantic import BaseModel

from syncengine.errors import ConnectorError

Native: TypeAlias = object
"""A value as a system delivers it; see sentence 5."""

Fields: TypeAlias = Mapping[str, Native]
"""Native values by field name."""


class Absent(Enum):
    """The type of `ABSENT`."""

    ABSENT = "\x00absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent.ABSENT


class FieldType(Enum):
    """What a field holds, in the words a config uses after `as =`."""

    TEXT = "text"
    EMAIL = "email"
    PHONE = "phone"
    INTEGER = "integer"
    DECIMAL = "decimal"
    MONEY = "money"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    CHOICE = "choice"
    SET = "set"
    LIST = "list"
    REFERENCE = "reference"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One option of a choice: `value` is what read and write use, `label` what people see."""

    value: str
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """
    One field of a resource as its system describes it.

    `type` None means untyped (a CSV cell): text unless the config says otherwise. `required` fields need a value on
    create. `read_only` fields are never written. `unique` means that the system itself refuses a second live record with
    the same value, compared at least exactly. `naive` datetimes carry no offset and need a time zone from the config.
    `references` names the resource a REFERENCE points to. `unusable` says why a field can't be mapped at all.
    """

    name: str
    type: FieldType | None = None
    label: str = ""
    required: bool = False
    read_only: bool = False
    unique: bool = False
    nullable: bool = True
    naive: bool = False
    many: bool = False
    max_length: int | None = None
    scale: int | None = None
    choices: tuple[Choice, ...] = ()
    references: str | None = None
    unusable: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """
    What a resource can do, declared per resource, and checked by the conformance kit.

    incremental: pages carry a cursor. reports_deletions: an incremental read lists deleted ids.
    creates, updates, archives, deletes, restores: which changes are taken. partial_updates: fields that are not named stay.
    conditional_writes: `expected` is honoured atomically. idempotent_creates: the same `Create.key` never makes two records.
    upsert_keys: fields by which a create with `upsert_on` meets an existing record instead of doubling it.
    returns_record: `Written.record` is given. max_batch, max_concurrency: changes per call, calls at once.
    chooses_ids: the engine may propose `Create.id`. set_deltas: `SetChange` values are taken.
    late_arrival: seconds a timed-out write may still land (0: a returned or raised call is over).
    lag: seconds until a write is certain to show in `read` and `find` (`get` is always strong).
    clock_resolution: seconds, of `modified_at`; None: there is no usable `modified_at`.
    rewrites_whole: each write costs the whole resource, so few large batches are best.
    page_size, calls_per_page, calls_per_write: for the forecast of calls.
    """

    incremental: bool = False
    reports_deletions: bool = False
    creates: bool = False
    updates: bool = False
    partial_updates: bool = True
    archives: bool = False
    deletes: bool = False
    restores: bool = False
    conditional_writes: bool = False
    idempotent_creates: bool = False
    upsert_keys: tuple[str, ...] = ()
    returns_record: bool = False
    max_batch: int = 1
    max_concurrency: int = 1
    chooses_ids: bool = False
    set_deltas: bool = False
    late_arrival: float = 60.0
    lag: float = 0.0
    clock_resolution: float | None = None
    rewrites_whole: bool = False
    page_size: int = 100
    calls_per_page: float = 0.0
    calls_per_write: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """
    A named collection in a system, described.

    `id_fields` are the fields that make up the id, if ids are made of fields. `blank_is_null`: this system does not tell
    "" from null. `notes` are things a person should know; `check` prints them.
    """

    name: str
    fields: Mapping[str, Field]
    capabilities: Capabilities
    label: str = ""
    id_fields: tuple[str, ...] = ()
    blank_is_null: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who we are in the system: `id` is stable and unique per account or place, `label` is for people, without secrets."""

    id: str
    label: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One live record. `version` is compared for equality only; `modified_at` is aware."""

    id: str
    fields: Fields
    version: str | None = None
    modified_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """The system says that no live record has this id (deleted or archived)."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """The system could not tell whether the record is there; `why` is for people."""

    id: str
    why: str = ""


Answer: TypeAlias = Record | Tombstone | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """
    Part of a listing, row-shaped: `rows[i]` are the values of `fields` for the record `ids[i]`.

    `deleted`: ids that the system reports as deleted since the cursor. `cursor`: where to resume so that nothing after
    this page is missed. `complete`: see sentence 2. `provisional`: ids of this page that are not lasting; an `Identify`
    change gives such a record its lasting id. `total`: how many records the system announced, for progress only.
    """

    fields: tuple[str, ...]
    ids: Sequence[str]
    rows: Sequence[tuple[Native, ...]]
    versions: Sequence[str | None] | None = None
    modified_at: Sequence[datetime | None] | None = None
    deleted: Sequence[str] = ()
    cursor: str | None = None
    complete: bool = False
    provisional: Collection[str] = frozenset()
    total: int | None = None

    @classmethod
    def of(
        cls,
        records: Iterable[Record],
        *,
        fields: Sequence[str],
        deleted: Sequence[str] = (),
        cursor: str | None = None,
        complete: bool = False,
        total: int | None = None,
    ) -> Page:
        """Make a page of records; a field that a record lacks becomes `ABSENT`. For connectors that are not in a hurry."""
        listed = list(records)
        names = tuple(fields)
        return cls(
            fields=names,
            ids=[record.id for record in listed],
            rows=[tuple(record.fields.get(name, ABSENT) for name in names) for record in listed],
            versions=[record.version for record in listed],
            modified_at=[record.modified_at for record in listed],
            deleted=tuple(deleted),
            cursor=cursor,
            complete=complete,
            total=total,
        )

    def records(self) -> Iterator[Record]:
        """The page as records, `ABSENT` values left out."""
        for index, (id_, row) in enumerate(zip(self.ids, self.rows, strict=True)):
            yield Record(
                id=id_,
                fields={name: value for name, value in zip(self.fields, row, strict=True) if value is not ABSENT},
                version=self.versions[index] if self.versions is not None else None,
                modified_at=self.modified_at[index] if self.modified_at is not None else None,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SetChange:
    """A change to a set that leaves its other members alone (only where `set_deltas`)."""

    add: tuple[Native, ...] = ()
    remove: tuple[Native, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """
    What must still hold for a write to happen: the version if there is one, else the old native values of some fields.

    `fields` is never empty when `version` is None, save for archive and delete of a record without mapped values.
    """

    version: str | None = None
    fields: Fields = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Make a record. `key` is the idempotency key; `upsert_on` one of `upsert_keys`; `id` proposed where `chooses_ids`."""

    key: str
    fields: Fields
    upsert_on: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """Set the named fields of a live record; a value may be a `SetChange` where `set_deltas`."""

    key: str
    id: str
    fields: Fields
    expected: Expected | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """Take a record out of sight so that `Restore` can bring it back with the same id."""

    key: str
    id: str
    expected: Expected | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Remove a record for good."""

    key: str
    id: str
    expected: Expected | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """Bring an archived record back under its old id."""

    key: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identify:
    """Give the record with this provisional id a lasting one, returned in `Written.id`; `key` may seed it."""

    key: str
    id: str


Change: TypeAlias = Create | Update | Archive | Delete | Restore | Identify


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """
    The change was applied. `record` holds what this write stored (at least the written fields), where the system tells.

    `met` is true when a create met a record that was there already (upsert, unarchive) instead of making a new one.
    """

    key: str
    id: str
    version: str | None = None
    record: Fields | None = None
    met: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The change was not applied (`RecordError`, `TransientError`), or nobody knows (`OutcomeUnknown`)."""

    key: str
    error: ConnectorError


Outcome: TypeAlias = Written | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """A word to look at this record, never data. `resource` as named in configs; `event` de-duplicates deliveries."""

    resource: str
    id: str
    event: str | None = None


class Source(Protocol):
    """A system that can be read."""

    def check(self) -> Account:
        """Prove that the system is reachable and lets us in; else raise a classed error."""
        ...

    def resources(self) -> Mapping[str, Resource]:
        """
        Describe what is there: a lazy, cached mapping. Listing names costs one call at most, a look-up one more.

        An unknown name raises KeyError from the mapping.
        """
        ...

    def read(self, resource: str, *, fields: Sequence[str], cursor: str | None = None) -> Iterator[Page]:
        """List the live records, or what changed since `cursor`, page by page (sentences 1 to 5)."""
        ...

    def close(self) -> None:
        """Let go of everything; calling it twice is fine."""
        ...


class Target(Protocol):
    """A system that can be written."""

    def check(self) -> Account: ...

    def resources(self) -> Mapping[str, Resource]: ...

    def write(self, resource: str, changes: Sequence[Change]) -> Sequence[Outcome]:
        """Apply at most `max_batch` changes, or what a `Combiner` put together (sentences 6 to 9)."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Getter(Protocol):
    """Skill: strong reads by id."""

    def get(self, resource: str, ids: Sequence[str], *, fields: Sequence[str]) -> Sequence[Answer]:
        """One answer per id, in order; never from a lagging index (sentence 10)."""
        ...


@runtime_checkable
class Finder(Protocol):
    """Skill: find records by the value of a field."""

    def find(self, resource: str, field: str, values: Sequence[Native], *, fields: Sequence[str]) -> Sequence[Record]:
        """
        Every live record whose `field` holds one of `values`, compared at least exactly.

        More may be returned (a system that ignores case); the engine compares again. May lag by `Capabilities.lag`.
        """
        ...


@runtime_checkable
class Combiner(Protocol):
    """Skill: make many changes in one call where they are alike."""

    def combine(self, resource: str, changes: Sequence[Change]) -> Sequence[Sequence[Change]]:
        """
        The changes divided into calls of `write`, each change once; where they are alike, a call may take more than `max_batch`.

        Answered from what is known already: no call is made.
        """
        ...


@runtime_checkable
class HintReceiver(Protocol):
    """Skill: understand the system's webhooks."""

    def hints(self, headers: Mapping[str, str], body: bytes) -> Sequence[Hint]:
        """Verify the delivery (AuthError if it is not genuine) and tell which records to look at."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """
    Where a connector is opened: `system` as named in the config, `base` the folder that relative paths start from.

    `state` is the state file, for the few connectors that live in it; None where there is none.
    """

    system: str
    base: Path
    state: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """
    What an entry point of the group `syncengine.connectors` refers to.

    `options` validates the system's table of the config (without `connector`, `read_only`, `timezone`); a field that
    holds a secret is a `pydantic.SecretStr`. `connect` opens the connector without touching the network or disk.
    `guarantee` is the sentence that README and `check` show about lost updates and duplicates.
    """

    title: str
    options: type[BaseModel]
    connect: Callable[[Any, Context], Any]
    guarantee: str = ""
