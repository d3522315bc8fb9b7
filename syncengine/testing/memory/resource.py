"""One resource of a memory world: its records, its rules, and the two doors to it, the person's and the connector's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from threading import RLock

from syncengine.connector import (
    ABSENT,
    Archive,
    Change,
    Create,
    Delete,
    Expected,
    Failed,
    Fields,
    Identify,
    Native,
    Outcome,
    Resource,
    Restore,
    SetChange,
    Update,
    Written,
)
from syncengine.errors import AlreadyExists, NotFound, RecordError, Rejected, VersionConflict
from syncengine.testing.memory.history import Event, History, Stored, View
from syncengine.testing.memory.log import Author, Effect, EffectKind
from syncengine.testing.memory.manners import Clock, Manners
from syncengine.testing.memory.rules import changed_set, check_value, own, pointed_at, same


class MemoryResource:
    """
    A collection of records that a person edits directly and a connector through the contract.

    `insert`, `edit`, `remove`, `archive`, `revive` are the person's doing; the same rules and normalisers hold for them,
    for it is the system that has the rules. They raise the same errors as a write.
    """

    def __init__(
        self,
        resource: Resource,
        manners: Manners,
        *,
        clock: Clock,
        lock: RLock,
        effects: list[Effect],
        others: Mapping[str, MemoryResource],
    ) -> None:
        self.resource = resource
        self.manners = manners
        self.history = History()
        self.epoch = 0
        self.normalisers: dict[str, str] = {}
        self.concealed: set[str] = set()
        self._clock = clock
        self._effects = effects
        self._others = others
        self._holders: dict[str, dict[object, str]] = {}
        self.answered: dict[str, Written] = {}
        self.born = 0
        self._lock = lock

    # The person's door

    def insert(self, id: str | None = None, /, **fields: Native) -> str:
        """Add a record; returns its id (a provisional one where such are the manners)."""
        with self._lock:
            made = self._create(Create(key="", fields=fields, id=id), Author.PERSON)
            return made.id

    def edit(self, id: str, /, **fields: Native) -> None:
        """Change some fields of a live record."""
        with self._lock:
            self._update(Update(key="", id=id, fields=fields), Author.PERSON)

    def remove(self, id: str, /) -> None:
        """Delete a live record for good."""
        with self._lock:
            self._take_away(Delete(key="", id=id), Author.PERSON)

    def archive(self, id: str, /) -> None:
        """Take a live record out of sight."""
        with self._lock:
            self._take_away(Archive(key="", id=id), Author.PERSON)

    def revive(self, id: str, /) -> None:
        """Bring an archived record back."""
        with self._lock:
            self._restore(Restore(key="", id=id), Author.PERSON)

    def conceal(self, id: str, /) -> None:
        """From now on `get` cannot tell whether this record is there."""
        self.concealed.add(id)

    def expire_cursors(self) -> None:
        """No cursor minted so far can be resumed."""
        self.epoch += 1

    def redefine(self, resource: Resource, manners: Manners | None = None) -> None:
        """Change what the system says of this resource (a new field, another capability); the records stay as they are."""
        with self._lock:
            self.resource = resource
            self.manners = self.manners if manners is None else manners
            self._holders.clear()
            for state in self.history.live.values():
                self.hold_unique(state)

    def records(self) -> dict[str, dict[str, Native]]:
        """The live records as they are now, by id."""
        with self._lock:
            return {id: dict(state.fields) for id, state in self.history.live.items()}

    def __getitem__(self, id: str) -> dict[str, Native]:
        """The fields of a live record; KeyError where there is none."""
        with self._lock:
            return dict(self.history.live[id].fields)

    def __contains__(self, id: str) -> bool:
        return id in self.history.live

    def __len__(self) -> int:
        return len(self.history.live)

    # The connector's door

    def view(self) -> View:
        """What `read` and `find` see: everything, or all but the changes of the last `lag` seconds."""
        with self._lock:
            lag = self.resource.capabilities.lag
            return self.history.view(self._clock() - lag if lag else None)

    def changes(self, *, after: int, until: int) -> list[Event]:
        """The change feed; see `History.changes`."""
        with self._lock:
            return self.history.changes(after=after, until=until)

    def state(self, id: str) -> Stored | None:
        """The live record as it is now, however fresh."""
        return self.history.live.get(id)

    def apply(self, change: Change) -> Outcome:
        """Do one change, or say why not; a refused one leaves no trace."""
        with self._lock:
            try:
                match change:
                    case Create():
                        return self._create(change, Author.CONNECTOR)
                    case Update():
                        return self._update(change, Author.CONNECTOR)
                    case Archive() | Delete():
                        return self._take_away(change, Author.CONNECTOR)
                    case Restore():
                        return self._restore(change, Author.CONNECTOR)
                    case Identify():
                        return self._identify(change)
            except RecordError as error:
                return Failed(key=change.key, error=error)

    # The rules

    def _create(self, change: Create, by: Author) -> Written:
        can = self.resource.capabilities
        if by is Author.CONNECTOR:
            self._allow(can.creates, "creates")
            if can.idempotent_creates and change.key in self.answered:
                return self.answered[change.key]
        fields = self._stored_fields({}, change.fields)
        if change.upsert_on is not None and (met := self._met(change.upsert_on, fields)) is not None:
            done = self._change(Update(key=change.key, id=met, fields=change.fields), by)
            return self._remember(Written(key=done.key, id=met, version=done.version, record=done.record, met=True))
        for name in self.resource.fields:
            if not self.manners.sparse:
                fields.setdefault(name, None)
        for name, field in self.resource.fields.items():
            if not field.read_only:
                check_value(field, fields.get(name))
        revived = self._holder_in_archive(fields) if self.manners.create_revives else None
        if revived is not None:
            fields = {**self.history.archived[revived].fields, **self._stored_fields({}, change.fields)}
        self._check_shared_rules(None, fields)
        id, provisional = (revived, False) if revived is not None else self._new_id(change.id, fields, by)
        state = self._put(id, fields, provisional=provisional)
        kind = EffectKind.CREATED if revived is None else EffectKind.RESTORED
        self._log(by, kind, id, None, state.fields, change.key)
        return self._remember(self._written(change, state, change.fields, met=revived is not None))

    def _update(self, change: Update, by: Author) -> Written:
        if by is Author.CONNECTOR:
            self._allow(self.resource.capabilities.updates, "updates")
        return self._change(change, by)

    def _change(self, change: Update, by: Author) -> Written:
        before = self._live(change.id, by)
        self._hold(before, change.expected)
        partial = self.resource.capabilities.partial_updates or by is Author.PERSON
        kept = before.fields if partial else {name: before.fields.get(name) for name in self.resource.id_fields}
        start = {**dict.fromkeys(before.fields), **kept}
        fields = self._stored_fields(before.fields, change.fields, start=start)
        for name, field in self.resource.fields.items():
            if name in change.fields or not partial:
                check_value(field, fields.get(name))
        if any(not same(fields.get(name), before.fields.get(name)) for name in self.resource.id_fields):
            raise Rejected(f"{self.resource.name}: the fields that make up the id cannot change")
        self._check_shared_rules(before.id, fields)
        untouched = fields.keys() == before.fields.keys() and all(same(fields[name], before.fields[name]) for name in fields)
        after = before if untouched and not self.manners.touches else self._put(before.id, fields, provisional=before.provisional)
        self._log(by, EffectKind.UPDATED, before.id, before.fields, after.fields, change.key)
        return self._written(change, after, change.fields)

    def _take_away(self, change: Archive | Delete, by: Author) -> Written:
        can = self.resource.capabilities
        to_archive = isinstance(change, Archive)
        if by is Author.CONNECTOR:
            self._allow(can.archives if to_archive else can.deletes, "archives" if to_archive else "deletes")
        before = self._live(change.id, by)
        self._hold(before, change.expected)
        if self.manners.checks_references and (referring := self._referring(before.id)):
            raise Rejected(f"{self.resource.name}: a record of {referring!r} still refers to this one")
        self._release(before)
        self.history.drop(before.id, at=self._clock(), to_archive=to_archive)
        kind = EffectKind.ARCHIVED if to_archive else EffectKind.DELETED
        self._log(by, kind, before.id, before.fields, None, change.key)
        return Written(key=change.key, id=before.id)

    def _restore(self, change: Restore, by: Author) -> Written:
        if by is Author.CONNECTOR:
            self._allow(self.resource.capabilities.restores, "restores")
        if (live := self.history.live.get(change.id)) is not None:
            return self._written(change, live, live.fields, met=True)
        archived = self.history.archived.get(change.id)
        if archived is None:
            raise NotFound(f"{self.resource.name}: no archived record has this id")
        self._check_shared_rules(None, archived.fields)
        state = self._put(change.id, dict(archived.fields), provisional=archived.provisional)
        self._log(by, EffectKind.RESTORED, change.id, None, state.fields, change.key)
        return self._written(change, state, state.fields)

    def _identify(self, change: Identify) -> Written:
        if change.key in self.answered:
            return self.answered[change.key]
        before = self.history.live.get(change.id)
        if before is None:
            raise NotFound(f"{self.resource.name}: no live record has this id")
        if not before.provisional:
            raise Rejected(f"{self.resource.name}: this record has a lasting id already")
        self._release(before)
        self.history.drop(before.id, at=self._clock(), to_archive=False)
        id, _ = self._new_id(None, before.fields, Author.CONNECTOR)
        state = self._put(id, dict(before.fields), provisional=False)
        self._log(Author.CONNECTOR, EffectKind.IDENTIFIED, id, before.fields, state.fields, change.key)
        done = self._written(change, state, state.fields)
        self.answered[change.key] = done
        return done

    # The parts of a rule

    def _allow(self, allowed: bool, what: str) -> None:
        if not allowed:
            raise Rejected(f"{self.resource.name} does not take {what}; plan only what its capabilities declare")

    def _live(self, id: str, by: Author) -> Stored:
        state = self.history.live.get(id)
        if state is None:
            raise NotFound(f"{self.resource.name}: no live record has this id")
        if state.provisional and by is Author.CONNECTOR:
            raise Rejected(f"{self.resource.name}: this record has no lasting id yet; send Identify first")
        return state

    def _hold(self, state: Stored, expected: Expected | None) -> None:
        if expected is None or not self.resource.capabilities.conditional_writes:
            return
        if expected.version is not None:
            stale = not self.manners.versions or expected.version != state.version
        else:
            stale = any(not same(state.fields.get(name, ABSENT), own(value)) for name, value in expected.fields.items())
        if stale:
            raise VersionConflict(f"{self.resource.name}: the record was changed since it was read")

    def _stored_fields(self, current: Fields, given: Fields, *, start: Fields | None = None) -> dict[str, Native]:
        """`start` with the given values as the system stores them."""
        fields = dict(current if start is None else start)
        for name, value in given.items():
            field = self.resource.fields.get(name)
            if field is None:
                raise Rejected(f"{self.resource.name} has no field {name!r}", field=name)
            if field.read_only:
                raise Rejected(f"field {name!r} is read-only", field=name)
            if value is ABSENT:
                raise Rejected(f"field {name!r} was sent as ABSENT; leave it out instead", field=name)
            if isinstance(value, SetChange):
                if not self.resource.capabilities.set_deltas:
                    raise Rejected(f"field {name!r} does not take a SetChange here", field=name)
                value = changed_set(current.get(name), value)
            if name in self.manners.normalise:
                value = self.manners.normalise[name](value)
            fields[name] = None if value == "" and self.resource.blank_is_null else own(value)
        return fields

    def _check_shared_rules(self, id: str | None, fields: Fields) -> None:
        for name, field in self.resource.fields.items():
            value = fields.get(name)
            if value is None:
                continue
            if field.unique:
                holder = self._holders.get(name, {}).get(_hashable(value), id)
                if holder != id:
                    told = holder if self.manners.tells_holder else None
                    raise AlreadyExists(f"{self.resource.name}: field {name!r} is taken", field=name, id=told)
            if self.manners.checks_references and (referred := self._others.get(field.references or "")) is not None:
                others = referred.history.live
                if any(each not in others for each in pointed_at(field, fields)):
                    raise Rejected(f"field {name!r} refers to no live record of {field.references!r}", field=name)

    def _referring(self, id: str) -> str | None:
        for name, other in self._others.items():
            fields = [field for field in other.resource.fields.values() if field.references == self.resource.name]
            for state in other.history.live.values():
                if (other is not self or state.id != id) and any(id in pointed_at(field, state.fields) for field in fields):
                    return name
        return None

    def _met(self, upsert_on: str, fields: Fields) -> str | None:
        if upsert_on not in self.resource.capabilities.upsert_keys:
            raise Rejected(f"{self.resource.name} has no upsert by {upsert_on!r}", field=upsert_on)
        value = fields.get(upsert_on)
        return self._holders.get(upsert_on, {}).get(_hashable(value)) if value is not None else None

    def _holder_in_archive(self, fields: Fields) -> str | None:
        unique = [name for name, field in self.resource.fields.items() if field.unique and fields.get(name) is not None]
        for id, state in self.history.archived.items():
            if any(same(state.fields.get(name), fields[name]) for name in unique):
                return id
        return None

    def _new_id(self, proposed: str | None, fields: Fields, by: Author) -> tuple[str, bool]:
        if by is Author.CONNECTOR and not self.resource.capabilities.chooses_ids:
            proposed = None
        if self.resource.id_fields:
            parts = [fields.get(name) for name in self.resource.id_fields]
            if any(part is None for part in parts):
                raise Rejected(f"{self.resource.name}: the fields that make up the id need values")
            proposed = str(parts[0]) if len(parts) == 1 else json.dumps([str(part) for part in parts])
        if proposed is not None:
            if proposed in self.history.live or proposed in self.history.archived:
                raise AlreadyExists(f"{self.resource.name}: this id is taken", id=proposed)
            return proposed, False
        provisional = self.manners.provisional and by is Author.PERSON
        while True:
            self.born += 1
            id = f"row:{self.born}" if provisional else str(self.born)
            if id not in self.history.live and id not in self.history.archived:
                return id, provisional

    def _put(self, id: str, fields: dict[str, Native], *, provisional: bool) -> Stored:
        before = self.history.live.get(id)
        if before is not None:
            self._release(before)
        state = Stored(id=id, fields=fields, number=self.history.number + 1, at=self._clock(), provisional=provisional)
        self.history.put(state)
        self.hold_unique(state)
        return state

    def hold_unique(self, state: Stored) -> None:
        """Take the unique values of a live record."""
        for name in self._unique():
            if (value := state.fields.get(name)) is not None:
                self._holders.setdefault(name, {})[_hashable(value)] = state.id

    def _release(self, state: Stored) -> None:
        for name in self._unique():
            if (value := state.fields.get(name)) is not None:
                self._holders.get(name, {}).pop(_hashable(value), None)

    def _unique(self) -> set[str]:
        declared = {name for name, field in self.resource.fields.items() if field.unique}
        return declared | set(self.resource.capabilities.upsert_keys)

    def _written(
        self, change: Create | Update | Restore | Identify, state: Stored, named: Fields, *, met: bool = False
    ) -> Written:
        can, manners = self.resource.capabilities, self.manners
        record: Fields | None = None
        if can.returns_record:
            record = {name: own(value) for name, value in state.fields.items() if manners.returns_whole or name in named}
        version = state.version if manners.versions and manners.returns_version else None
        return Written(key=change.key, id=state.id, version=version, record=record, met=met)

    def _remember(self, written: Written) -> Written:
        if self.resource.capabilities.idempotent_creates and written.key:
            self.answered[written.key] = written
        return written

    def _log(self, by: Author, kind: EffectKind, id: str, before: Fields | None, after: Fields | None, key: str) -> None:
        number = len(self._effects) + 1
        at = self.history.events[-1].at if self.history.events else 0.0
        self._effects.append(
            Effect(
                number=number,
                at=at,
                by=by,
                kind=kind,
                resource=self.resource.name,
                id=id,
                before=before,
                after=after,
                key=key,
            )
        )


def _hashable(value: Native) -> object:
    return value if isinstance(value, str) else (type(value).__name__, repr(value))
