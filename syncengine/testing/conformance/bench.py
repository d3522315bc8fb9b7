"""The workbench of a test: a connector, the world it runs against, and the things tests do with both. No pytest in here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from syncengine.connector import (
    ABSENT,
    Answer,
    Archive,
    Change,
    Create,
    Delete,
    Expected,
    Failed,
    Fields,
    Getter,
    Native,
    Outcome,
    Page,
    Record,
    Tombstone,
    Update,
    Written,
)
from syncengine.errors import ConnectorError, TransientError
from syncengine.testing.conformance.subject import Subject
from syncengine.testing.conformance.values import same
from syncengine.testing.conformance.world import FarSide, World


class Bench(Subject):
    """What a test works with. Its assertions word the breach for the author of the connector."""

    def __init__(
        self,
        connector: Any,
        world: World,
        *,
        far_side: FarSide = None,
        reopen: Callable[[], Any] | None = None,
        test: str = "",
        waived: Collection[str] = (),
    ) -> None:
        super().__init__(connector, world, far_side=far_side, reopen=reopen)
        self.waived = frozenset(waived)
        self.made: list[str] = []
        self._test = test
        self._made_with: dict[str, Fields] = {}
        self._keys = 0
        self._records = 0
        self._proposals = 0
        self._unsettled = False
        self._left = False

    # Making records

    def key(self) -> str:
        """An idempotency key that no other test uses."""
        self._keys += 1
        return ":".join(part for part in ("kit", self.world.namespace, self._test, str(self._keys)) if part)

    def values(self, **given: Native) -> dict[str, Native]:
        """The values of the next record: the seed, with what must be unique made so."""
        self._records += 1
        values: dict[str, Native] = {}
        for name, seed in self.world.seed_fields.items():
            if callable(seed):
                values[name] = seed(self._records)
            elif name in self.resource.id_fields or self.resource.fields[name].unique:
                values[name] = _varied(seed, f"{self.world.namespace}{self._records}", self._records)
            else:
                values[name] = seed
        return values | given

    def make(self, count: int = 1, /, **given: Native) -> list[str]:
        """Put records there, by the connector if it can, else by the far side; returns their ids in order."""
        values = [self.values(**given) for _ in range(count)]
        if self.has("creates"):
            outcomes = self.send(*[self.creation(each) for each in values])
            ids = [self.done(outcome).id for outcome in outcomes]
        else:
            ids = [self.insert(each) for each in values]
        self._made_with.update(zip(ids, values, strict=True))
        self._unsettled = True
        return ids

    def insert(self, fields: Fields) -> str:
        """Add a record as a person would; its id is told by the far side, or by the next listing."""
        before = records_of(self.pages()).keys() if self.has("read") else set()
        id = self.far_side.insert(fields)
        self._unsettled = True
        if id is None:
            [id] = records_of(self.pages()).keys() - before
        self.made.append(str(id))
        return str(id)

    def make_one(self, **given: Native) -> str:
        [id] = self.make(**given)
        return id

    def edit(self, id: str, value: Native) -> None:
        """Change the editable field, by the far side if it can."""
        if hasattr(self.far_side, "edit"):
            self.far_side.edit(id, {self.world.editable: value})
            self._unsettled = True
        else:
            self.update(id, value)

    # Writing

    def send(self, *changes: Change) -> list[Outcome]:
        """Write changes, as many per call as are taken, and check that each gets its outcome."""
        outcomes: list[Outcome] = []
        size = self.can.max_batch
        for start in range(0, len(changes), size):
            part = list(changes[start : start + size])
            answered = list(self.connector.write(self.world.resource, part))
            self._unsettled = True
            keys, wanted = [outcome.key for outcome in answered], [change.key for change in part]
            assert keys == wanted, "one outcome per change, in order, with the change's key (sentence 6)"
            outcomes += answered
        self.made += [each.id for each in outcomes if isinstance(each, Written) and each.id not in self.made]
        return outcomes

    def send_one(self, change: Change) -> Outcome:
        [outcome] = self.send(change)
        return outcome

    def creation(self, fields: Fields | None = None, **more: Any) -> Create:
        """A create of these values, or of the next record, that proposes an id as the engine does where it may."""
        fields = self.values() if fields is None else fields
        proposes = self.can.chooses_ids and not fields.keys() & set(self.resource.id_fields)
        return Create(key=self.key(), fields=fields, **({"id": self.proposal()} if proposes else {}) | more)

    def create(self, fields: Fields | None = None, **more: Any) -> Outcome:
        return self.send_one(self.creation(fields, **more))

    def put(self, name: str, value: Native) -> Outcome:
        """Store a value in a field of some record, by a create where those are taken, else by an update."""
        if self.has("creates"):
            return self.create(self.values(**{name: value}))
        return self.send_one(self.update_of(self.make_one(), {name: value}))

    def proposal(self) -> str:
        """An id to propose, as the world has them, else in the form of a UUID."""
        self._proposals += 1
        if self.world.ids is not None:
            return self.world.ids(self._proposals)
        digest = hashlib.blake2b(f"{self.key()}".encode(), digest_size=16).hexdigest()
        return "-".join((digest[:8], digest[8:12], "4" + digest[13:16], "8" + digest[17:20], digest[20:]))

    def attempt(self, change: Change) -> ConnectorError | None:
        """The error of a change, raised or as its outcome; None: it was written."""
        try:
            outcome = self.send_one(change)
        except ConnectorError as error:
            return error
        return outcome.error if isinstance(outcome, Failed) else None

    def update(self, id: str, value: Native, *, expected: Expected | None = None) -> Written:
        """Set the editable field, and only it where updates are partial."""
        return self.done(self.send_one(self.update_of(id, {self.world.editable: value}, expected=expected)))

    def update_of(self, id: str, fields: Fields, *, expected: Expected | None = None) -> Update:
        """An update of these fields; where updates are not partial, it names all the others with their present values."""
        if not self.can.partial_updates:
            present = self._present(id)
            whole = {name: value for name, value in present.items() if name in self.writable and value is not ABSENT}
            fields = {**whole, **fields}
        return Update(key=self.key(), id=id, fields=fields, expected=expected)

    def _present(self, id: str) -> Fields:
        """The values a record has, or was made with where it cannot be read."""
        if not (self.has("get") or self.has("read")):
            return self._made_with.get(id, {})
        now = self.look(id)
        return now.fields if isinstance(now, Record) else {}

    def removal(self, id: str, *, expected: Expected | None = None) -> Archive | Delete:
        """The change that makes a record disappear: for good where that is taken."""
        kind = Delete if self.has("deletes") else Archive
        return kind(key=self.key(), id=id, expected=expected)

    def archival(self, id: str) -> Archive:
        return Archive(key=self.key(), id=id)

    def noticed(self, ids: Iterable[str]) -> None:
        """Remember records that were made past `send`, for tidying up."""
        self.made += ids
        self._unsettled = True

    def done(self, outcome: Outcome) -> Written:
        """The outcome, which must be `Written`."""
        if isinstance(outcome, Failed):
            wrong = f"this change should have been written: {type(outcome.error).__name__}"
            raise AssertionError(wrong) from outcome.error  # noqa: TRY004 - a failed test, with what the connector said
        assert isinstance(outcome.id, str), "Written.id is a string (sentence 4)"
        assert outcome.id, "Written.id is not empty (sentence 4)"
        return outcome

    def refused(self, outcome: Outcome, *kinds: type[ConnectorError]) -> ConnectorError:
        """The error of an outcome, which must be `Failed` with one of these classes."""
        assert isinstance(outcome, Failed), "this change should have failed"
        wanted = " or ".join(kind.__name__ for kind in kinds)
        assert isinstance(outcome.error, kinds), f"failed with {type(outcome.error).__name__} instead of {wanted}"
        return outcome.error

    # Reading

    def settle(self) -> None:
        """Wait until every write so far shows in `read` and `find`."""
        if self._unsettled and self.world.eventual is not None:
            self.world.eventual(self.connector)
        self._unsettled = False

    def pages(self, cursor: str | None = None, *, fields: Sequence[str] | None = None) -> list[Page]:
        """A whole listing, or the changes since a cursor."""
        self.settle()
        return list(self.connector.read(self.world.resource, fields=self.names if fields is None else fields, cursor=cursor))

    def read_on(self) -> tuple[list[Page], ConnectorError | None]:
        """A whole listing, or as much of it as came before an error."""
        pages: list[Page] = []
        try:
            pages.extend(self.connector.read(self.world.resource, fields=self.names))
        except ConnectorError as error:
            return pages, error
        return pages, None

    def rest_of(self, pages: Iterator[Page]) -> list[Page] | None:
        """The pages still to come of a listing that was disturbed; None: it raised, which is as good as being whole."""
        try:
            return list(pages)
        except TransientError:
            return None

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that tests look at: those of the seed, and what the system says of its own."""
        usable = [name for name, each in self.resource.fields.items() if not each.unusable]
        return tuple(usable)

    def look(self, id: str) -> Answer:
        """The record as it is now: by id where the connector can, else from a listing."""
        if isinstance(self.connector, Getter):
            [answer] = self.connector.get(self.world.resource, [id], fields=self.names)
            return answer
        return records_of(self.pages()).get(id, Tombstone(id=id))

    def there(self, id: str) -> Record:
        """The record, which must be there."""
        answer = self.look(id)
        assert isinstance(answer, Record), f"the record should be there, and the answer was {type(answer).__name__}"
        return answer

    def gone(self, id: str) -> None:
        """The record must not be there."""
        answer = self.look(id)
        assert isinstance(answer, Tombstone), f"the record should be gone, and the answer was {type(answer).__name__}"

    def expected(self, id: str) -> Expected:
        """What holds of a record now: its version if it has one, else its old values."""
        record = self.there(id)
        if record.version is not None:
            return Expected(version=record.version)
        return Expected(fields={name: record.fields.get(name) for name in self.world.seed_fields if name in self.writable})

    def stored(self, name: str, value: Native) -> Native:
        """What the system keeps of a value, as far as the world says."""
        if name in self.world.normalises:
            value = self.world.normalises[name](value)
        return None if value == "" and self.resource.blank_is_null else value

    def holds(self, record: Record | Fields, name: str, value: Native) -> bool:
        """Whether a record holds what the system keeps of `value`."""
        fields = record.fields if isinstance(record, Record) else record
        found = fields.get(name, ABSENT)
        if found == "" and self.resource.blank_is_null:
            found = None
        return same(found, self.stored(name, value), self.resource.fields[name])

    def alike(self, name: str, one: Native, other: Native) -> bool:
        """Whether two readings of a field say the same."""
        blank = ("", None, ABSENT) if self.resource.blank_is_null else (None, ABSENT)
        return (one in blank and other in blank) or same(one, other, self.resource.fields[name])

    def same_record(self, one: Record, other: Record) -> bool:
        """Whether two readings of a record agree in every value."""
        return all(self.alike(name, one.fields.get(name), other.fields.get(name)) for name in self.names)

    # Afterwards

    def leave(self) -> None:
        """From here on the connector is of no use: nothing is tidied up through it."""
        self._left = True

    def tidy(self) -> None:
        """Take away what was made, in a resource that is shared with others."""
        if self._left or not self.world.shared or not (self.has("deletes") or self.has("archives")):
            return
        here = [id for id in dict.fromkeys(self.made) if not isinstance(self.look(id), Tombstone)]
        self.send(*[self.removal(id) for id in here])


def records_of(pages: Sequence[Page]) -> dict[str, Record]:
    """The records of a listing by id; the last one counts where one came twice."""
    return {record.id: record for page in pages for record in page.records()}


def last_cursor(pages: Sequence[Page]) -> str:
    """The last cursor of a listing, which must have one."""
    cursors = [page.cursor for page in pages if page.cursor is not None]
    assert cursors, "an incremental resource's listing carries a cursor (Capabilities.incremental)"
    return cursors[-1]


def _varied(seed: Native, mark: str, number: int) -> Native:
    if isinstance(seed, bool) or not isinstance(seed, str | int):
        raise TypeError("World.seed_fields: a unique field that is neither text nor integer needs a function of the number")
    if isinstance(seed, int):
        return seed + number
    name, at, domain = seed.partition("@")
    return f"{name}{mark}{at}{domain}"
