"""
The far side: a system in memory that people edit directly and the engine through a connector.

Everything that happens to a record goes through `_put` and `_drop`, so that the history is complete: lagging views, change
feeds and the ghost's knowledge come from it. Values pass the system's normalisers whoever writes them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from syncengine.connector import (
    Archive,
    Change,
    Create,
    Delete,
    Expected,
    Failed,
    Fields,
    Native,
    Outcome,
    Resource,
    Restore,
    SetChange,
    Update,
    Written,
)
from syncengine.core.keys import email_key
from syncengine.core.model import Side
from syncengine.errors import AlreadyExists, NotFound, RecordError, Rejected, VersionConflict
from syncengine.testing.simulate.ports import SimClock
from syncengine.testing.simulate.setup import Manners
from syncengine.testing.simulate.shapes import EMAIL, Normaliser, is_disliked, normalised


@dataclass(frozen=True, slots=True)
class Row:
    """One state of one record; `number` is the place of the change in the system's history."""

    id: str
    fields: Mapping[str, Native]
    number: int
    at: float

    @property
    def version(self) -> str:
        return f"v{self.number}"


@dataclass(frozen=True, slots=True)
class Event:
    """
    One change: the live states before and after, None where the record was not live. `is_new`: a record that was never there,
    even if its id was.
    """

    number: int
    at: float
    id: str
    before: Row | None
    after: Row | None
    is_new: bool = False


class Witness:
    """Told of every effect at the instant it happens, before the answer is on its way."""

    def about_to(self, side: Side, change: Change, before: Row | None, after: Mapping[str, Native] | None) -> None:
        """The engine is about to do this; `after` is None where the record goes."""

    def happened(self, side: Side, event: Event, *, by_person: bool, named: Collection[str]) -> None:
        """It happened; `named` are the fields that were written, changed by it or not."""


class FarSide:
    """The records of one system through time. `side`: that by whose names its fields go."""

    def __init__(self, name: str, side: Side, resource: Resource, manners: Manners, clock: SimClock, witness: Witness) -> None:
        self.name = name
        self.side = side
        self.resource = resource
        self.capabilities = resource.capabilities
        self.manners = manners
        self.live: dict[str, Row] = {}
        self.archive: dict[str, Row] = {}
        self.events: list[Event] = []
        self.number = 0
        self.epoch = 0
        self.effects = 0
        self._clock = clock
        self._witness = witness
        self._answered: dict[str, Written] = {}
        self._born = 0
        self._email = EMAIL.native(side)
        self._normalise = tuple(manners.normalise.items())

    # Views

    def view(self) -> tuple[Mapping[str, Row], int]:
        """What listings and searches show, and the number of the last change they show."""
        lag = self.capabilities.lag
        fresh = 0
        if lag:
            horizon = self._clock.time - lag
            while fresh < len(self.events) and self.events[-1 - fresh].at > horizon:
                fresh += 1
        if not fresh:
            return self.live, self.number
        records = dict(self.live)
        for event in reversed(self.events[-fresh:]):
            if event.before is None:
                records.pop(event.id, None)
            else:
                records[event.id] = event.before
        return records, self.events[-fresh].number - 1

    def changes(self, *, after: int, until: int) -> list[Event]:
        """The last change of each record with `after` < number <= `until`, in order."""
        latest: dict[str, Event] = {}
        for event in self.events:
            if after < event.number <= until:
                latest.pop(event.id, None)
                latest[event.id] = event
        return list(latest.values())

    # People

    def insert(self, fields: Fields) -> str | None:
        """A person adds a record; None where the system refuses."""
        stored = self._stored(fields)
        if self._twin(stored, None) is not None:
            return None
        row = self._put(self._new_id(), {**dict.fromkeys(self.resource.fields), **stored}, by_person=True)
        return row.id

    def edit(self, id_: str, fields: Fields) -> bool:
        """A person edits a record; False where the system refuses."""
        row = self.live[id_]
        stored = {**row.fields, **self._stored(fields)}
        if self._twin(stored, id_) is not None:
            return False
        self._put(id_, stored, by_person=True)
        return True

    def swap_emails(self, one: str, two: str) -> None:
        """A person swaps the emails of two records, in one transaction."""
        first, second = self.live[one].fields, self.live[two].fields
        name = self._email
        self._put(one, {**first, name: second[name]}, by_person=True)
        self._put(two, {**second, name: first[name]}, by_person=True)

    def remove(self, id_: str, *, to_archive: bool) -> None:
        """A person deletes or archives a record."""
        self._drop(id_, to_archive=to_archive, by_person=True)

    def revive(self, id_: str) -> bool:
        """A person brings an archived record back; False where the system refuses."""
        row = self.archive[id_]
        if self._twin(row.fields, None) is not None:
            return False
        self._put(id_, row.fields, by_person=True)
        return True

    # The engine

    def apply(self, change: Change) -> Outcome:
        """Do one change, or say why not."""
        try:
            match change:
                case Create():
                    return self._create(change)
                case Update():
                    return self._update(change)
                case Archive() | Delete():
                    return self._take_away(change)
                case Restore():
                    return self._restore(change)
                case _:
                    raise Rejected("there are no provisional ids here")
        except RecordError as error:
            return Failed(key=change.key, error=error)

    def has_answered(self, change: Change) -> bool:
        """Whether a create with this key was done before, so that its answer is the first one again."""
        return isinstance(change, Create) and change.key in self._answered

    def _create(self, change: Create) -> Written:
        if self.capabilities.idempotent_creates and change.key in self._answered:
            return self._answered[change.key]
        self._refuse(change.fields)
        stored = {**dict.fromkeys(self.resource.fields), **self._stored(change.fields)}
        twin = self._twin(stored, None)
        if twin is not None:
            raise AlreadyExists("the email is taken", field=self._email, id=twin if self.manners.tells_holder else None)
        id_ = change.id if self.capabilities.chooses_ids and change.id is not None else None
        if id_ is not None and (id_ in self.live or id_ in self.archive):
            raise AlreadyExists("the id is taken", id=id_)
        self._witness.about_to(self.side, change, None, stored)
        row = self._put(id_ or self._new_id(), stored, by_person=False)
        written = self._written(change, row, change.fields)
        if self.capabilities.idempotent_creates:
            self._answered[change.key] = written
        return written

    def _update(self, change: Update) -> Written:
        row = self._live(change.id)
        self._hold(row, change.expected)
        start = row.fields if self.capabilities.partial_updates else dict.fromkeys(self.resource.fields)
        named: dict[str, Native] = {}
        for name, value in change.fields.items():
            if isinstance(value, SetChange):
                held = row.fields[name]
                kept = [each for each in (held if isinstance(held, list) else []) if each not in value.remove]
                named[name] = kept + [each for each in value.add if each not in kept]
            else:
                named[name] = value
        self._refuse(named)
        stored = {**start, **self._stored(named)}
        twin = self._twin(stored, row.id)
        if twin is not None:
            raise AlreadyExists("the email is taken", field=self._email, id=twin if self.manners.tells_holder else None)
        self._witness.about_to(self.side, change, row, stored)
        return self._written(
            change,
            self._put(row.id, stored, by_person=False, named=change.fields.keys() if self.capabilities.partial_updates else ()),
            change.fields,
        )

    def _take_away(self, change: Archive | Delete) -> Written:
        row = self._live(change.id)
        self._hold(row, change.expected)
        self._witness.about_to(self.side, change, row, None)
        self._drop(row.id, to_archive=isinstance(change, Archive), by_person=False)
        return Written(key=change.key, id=row.id)

    def _restore(self, change: Restore) -> Written:
        if change.id in self.live:
            return self._written(change, self.live[change.id], {})
        row = self.archive.get(change.id)
        if row is None:
            raise NotFound("there is nothing to restore")
        if self._twin(row.fields, None) is not None:
            raise AlreadyExists("the email is taken", field=self._email)
        self._witness.about_to(self.side, change, None, row.fields)
        return self._written(change, self._put(row.id, row.fields, by_person=False), {})

    # The rules

    def _live(self, id_: str) -> Row:
        row = self.live.get(id_)
        if row is None:
            raise NotFound("no such record")
        return row

    def _hold(self, row: Row, expected: Expected | None) -> None:
        if expected is None or not self.capabilities.conditional_writes:
            return
        stale = expected.version is not None and expected.version != row.version
        if stale or any(row.fields.get(name) != value for name, value in expected.fields.items()):
            raise VersionConflict("the record changed")

    def _refuse(self, fields: Fields) -> None:
        """A picky system takes no record that holds a value which it dislikes."""
        picky = self.manners.picky
        if picky is not None and is_disliked(fields.get(picky)):
            raise Rejected("the system does not like it", field=picky if self.manners.names_field else None)

    def _stored(self, fields: Fields) -> dict[str, Native]:
        stored = dict(fields)
        for name, how in self._normalise:
            if name in stored:
                stored[name] = normalised(how, stored[name])
        return stored

    def _twin(self, fields: Fields, id_: str | None) -> str | None:
        """The live record that holds this email already, where emails are unique."""
        value = fields.get(self._email)
        if not self.manners.unique or not isinstance(value, str) or not value.strip():
            return None
        mine = email_key(value) if self.manners.folds else value
        for row in self.live.values():
            theirs = row.fields[self._email]
            if row.id != id_ and isinstance(theirs, str) and (email_key(theirs) if self.manners.folds else theirs) == mine:
                return row.id
        return None

    def _new_id(self) -> str:
        if self.manners.reuses_ids:
            return str(1 + max(map(int, (*self.live, *self.archive)), default=100))
        self._born += 1
        return str(100 + self._born) if self.manners.numeric_ids else f"r{self._born}"

    def _put(self, id_: str, fields: Mapping[str, Native], *, by_person: bool, named: Collection[str] = ()) -> Row:
        self.number += 1
        before = self.live.get(id_)
        is_new = before is None and id_ not in self.archive
        row = Row(id_, dict(fields), self.number, self._clock.time)
        self.live[id_] = row
        self.archive.pop(id_, None)
        self._note(Event(self.number, row.at, id_, before, row, is_new), by_person=by_person, named=named)
        return row

    def _drop(self, id_: str, *, to_archive: bool, by_person: bool) -> None:
        self.number += 1
        before = self.live.pop(id_)
        if to_archive:
            self.archive[id_] = before
        self._note(Event(self.number, self._clock.time, id_, before, None), by_person=by_person)

    def _note(self, event: Event, *, by_person: bool, named: Collection[str] = ()) -> None:
        self.events.append(event)
        if not by_person:
            self.effects += 1
        self._witness.happened(self.side, event, by_person=by_person, named=named)

    def _written(self, change: Change, row: Row, named: Fields) -> Written:
        manners = self.manners
        record: Fields | None = None
        if self.capabilities.returns_record:
            record = dict(row.fields) if manners.returns_whole else {name: row.fields[name] for name in named}
        version = row.version if manners.versions and manners.returns_version else None
        return Written(key=change.key, id=row.id, version=version, record=record)


def is_normalised(manners: Manners) -> bool:
    """Whether the system changes anything it is sent."""
    return any(how is not Normaliser.NONE for how in manners.normalise.values())
