"""
Memory connectors that break the contract, each in one way, with the sentence (or quality, or clause) that it breaks.

Every class of this file is put to the kit by `test_mutants.py`, in a pytest run of its own.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from syncengine.connector import (
    Create,
    Delete,
    Failed,
    Page,
    Record,
    Restore,
    SetChange,
    Tombstone,
    Update,
    Written,
)
from syncengine.errors import (
    AlreadyExists,
    ConnectorError,
    CursorExpired,
    NotFound,
    OutcomeUnknown,
    Rejected,
    TransientError,
)
from syncengine.testing.memory import MemoryConnector
from tests.conformance.harness import MemoryConformance, world_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A way of breaking the contract: the sentences, qualities or words of it that a killing test must name."""

    connects: Callable[..., object]
    sentences: frozenset[int] = frozenset()
    qualities: frozenset[str] = frozenset()
    words: str = ""
    row: dict = field(default_factory=dict)
    in_its_source: bool = False
    """Only its source shows what is wrong. (This file's other mutants share that source, so it counts for nobody else.)"""


MUTANTS: dict[str, Mutant] = {}


def breaks(*sentences: int, qualities=(), words="", in_its_source=False, **row):
    """Enter a connector among the mutants under its class's name."""

    def enter(kind):
        MUTANTS[kind.__name__] = Mutant(
            connects=kind,
            sentences=frozenset(sentences),
            qualities=frozenset(qualities),
            words=words,
            row=row,
            in_its_source=in_its_source,
        )
        return kind

    return enter


# Reading


@breaks(1)
class DropsAPage(MemoryConnector):
    def read(self, resource, *, fields, cursor=None):
        pages = list(super().read(resource, fields=fields, cursor=cursor))
        yield from [page for number, page in enumerate(pages) if number != 1 or number == len(pages) - 1]


@breaks(1)
class SharesOnePositionAmongListings(MemoryConnector):
    """The position is kept in the connector instead of in the listing."""

    at = 0

    def read(self, resource, *, fields, cursor=None):
        if cursor is not None:
            yield from super().read(resource, fields=fields, cursor=cursor)
            return
        pages = list(super().read(resource, fields=fields))
        self.at = 0
        while self.at < len(pages):
            self.at += 1
            yield pages[self.at - 1]


@breaks(1)
class OffsetsIntoAMovingList(MemoryConnector):
    """Pages by offset, latest change first, and nobody notices that the list moved."""

    def read(self, resource, *, fields, cursor=None):
        if cursor is not None:
            yield from super().read(resource, fields=fields, cursor=cursor)
            return
        opened = self.world[resource]
        number = opened.view().number
        offset, size = 0, opened.resource.capabilities.page_size
        while True:
            states = sorted(opened.view().records.values(), key=lambda state: state.number)
            last = offset + size >= len(states)
            part = states[offset : offset + size]
            yield self._page(opened, tuple(fields), part, cursor=number if last else None, complete=last)
            if last:
                return
            offset += size


@breaks(2)
class SwallowsAnErrorIntoAShortListing(MemoryConnector):
    def read(self, resource, *, fields, cursor=None):
        page = None
        try:
            for page in super().read(resource, fields=fields, cursor=cursor):
                yield page
        except TransientError:
            if page is not None:
                yield replace(page, ids=[], rows=[], versions=None, modified_at=None, complete=True)


@breaks(2)
class CompleteTooEarly(MemoryConnector):
    def read(self, resource, *, fields, cursor=None):
        for page in super().read(resource, fields=fields, cursor=cursor):
            yield replace(page, complete=cursor is None)


@breaks(2)
class CompleteAfterACursor(MemoryConnector):
    def read(self, resource, *, fields, cursor=None):
        for page in super().read(resource, fields=fields, cursor=cursor):
            yield replace(page, complete=page.complete or cursor is not None)


@breaks(2)
class NothingSaidOfAnEmptyListing(MemoryConnector):
    def read(self, resource, *, fields, cursor=None):
        for page in super().read(resource, fields=fields, cursor=cursor):
            if page.ids or page.deleted:
                yield page


@breaks(1)
class ColumnsInItsOwnOrder(MemoryConnector):
    def read(self, resource, *, fields, cursor=None):
        for page in super().read(resource, fields=sorted(fields), cursor=cursor):
            yield replace(page, fields=tuple(fields))


@breaks(1)
class ListsTheDead(MemoryConnector):
    """Deleted records come with the listing as if they lived."""

    def read(self, resource, *, fields, cursor=None):
        pages = list(super().read(resource, fields=fields, cursor=cursor))
        dead = [event.before for event in self.world[resource].history.events if event.after is None and event.before]
        if cursor is None and dead:
            pages.insert(0, self._page(self.world[resource], tuple(fields), dead))
        yield from pages


class Money(Decimal):
    """A number of the driver's own."""


@breaks(5)
class NumbersOfTheDriversOwn(MemoryConnector):
    def get(self, resource, ids, *, fields):
        def bent(value):
            return Money(value) if isinstance(value, Decimal) else value

        answers = super().get(resource, ids, fields=fields)
        return [
            replace(each, fields={name: bent(value) for name, value in each.fields.items()}) if isinstance(each, Record) else each
            for each in answers
        ]


@breaks(5)
class DecimalsAreRounded(MemoryConnector):
    def write(self, resource, changes):
        def bent(value):
            return value.quantize(Decimal(1)) if isinstance(value, Decimal) else value

        return super().write(resource, [with_values(change, bent) for change in changes])


@breaks(5)
class DatesTurnIntoTheirWallClocks(MemoryConnector):
    """The offset is cut off and another one put in its place."""

    def write(self, resource, changes):
        def bent(value):
            return value.replace(tzinfo=None).replace(tzinfo=ZONE) if isinstance(value, datetime) and value.tzinfo else value

        return super().write(resource, [with_values(change, bent) for change in changes])


ZONE = datetime.fromisoformat("2026-01-01T00:00:00+01:00").tzinfo


@breaks(5)
class StripsText(MemoryConnector):
    def write(self, resource, changes):
        bent = [with_values(change, lambda value: value.strip() if isinstance(value, str) else value) for change in changes]
        return super().write(resource, bent)


@breaks(5)
class ReadsNullAsBlank(MemoryConnector):
    def get(self, resource, ids, *, fields):
        answers = super().get(resource, ids, fields=fields)
        return [
            replace(each, fields={name: "" if value is None else value for name, value in each.fields.items()})
            if isinstance(each, Record)
            else each
            for each in answers
        ]


@breaks(4)
class NumbersRowsAsIds(MemoryConnector):
    """The id is the place in the listing."""

    def read(self, resource, *, fields, cursor=None):
        place = itertools.count(1)
        for page in super().read(resource, fields=fields, cursor=cursor):
            yield replace(page, ids=[str(next(place) + 100) for _ in page.ids])


@breaks(4)
class IdsAreNumbers(MemoryConnector):
    def read(self, resource, *, fields, cursor=None):
        for page in super().read(resource, fields=fields, cursor=cursor):
            yield replace(page, ids=[int.from_bytes(id.encode()) for id in page.ids])


@breaks(4)
class IdsLastAsLongAsTheConnector(MemoryConnector):
    def __init__(self, world):
        super().__init__(world)
        world.openings = getattr(world, "openings", 0) + 1
        self.mark = "'" * (world.openings - 1)

    def read(self, resource, *, fields, cursor=None):
        for page in super().read(resource, fields=fields, cursor=cursor):
            yield replace(page, ids=[id + self.mark for id in page.ids])


@breaks(qualities=["lag"])
class ListingsLagUndeclared(MemoryConnector):
    def read(self, resource, *, fields, cursor=None):
        stale = getattr(self, "stale", [])
        self.stale = list(super().read(resource, fields=fields, cursor=cursor))
        yield from (stale if cursor is None and stale else self.stale) if self.world.writes() else self.stale


@breaks(qualities=["clock_resolution"])
class MomentsWithoutAZone(MemoryConnector):
    def read(self, resource, *, fields, cursor=None):
        for page in super().read(resource, fields=fields, cursor=cursor):
            yield replace(page, modified_at=[at.replace(tzinfo=None) for at in page.modified_at])


@breaks(qualities=["page_size", "calls_per_page"])
class SmallerPagesThanDeclared(MemoryConnector):
    def read(self, resource, *, fields, cursor=None):
        for page in super().read(resource, fields=fields, cursor=cursor):
            for start in range(max(len(page.ids), 1)):
                last = start + 1 >= len(page.ids)
                yield Page(
                    fields=page.fields,
                    ids=page.ids[start : start + 1],
                    rows=page.rows[start : start + 1],
                    deleted=page.deleted if last else (),
                    cursor=page.cursor if last else None,
                    complete=page.complete and last,
                )


# Cursors


class CursorIsAMoment(MemoryConnector):
    """The cursor is the latest `modified_at`; what is later comes next."""

    def later(self, moment, cursor):
        return moment > cursor

    def read(self, resource, *, fields, cursor=None):
        opened = self.world[resource]
        number = f"{opened.epoch}:0"
        since = datetime.fromisoformat(cursor) if cursor is not None and "T" in cursor else None
        if cursor is not None and since is None:
            raise CursorExpired("no such cursor")
        latest = since
        for page in super().read(resource, fields=fields, cursor=number if since is not None else None):
            keep = [i for i, at in enumerate(page.modified_at) if since is None or self.later(at, since)]
            for i in keep:
                latest = max(latest or page.modified_at[i], page.modified_at[i])
            yield replace(
                page,
                ids=[page.ids[i] for i in keep],
                rows=[page.rows[i] for i in keep],
                versions=[page.versions[i] for i in keep],
                modified_at=[page.modified_at[i] for i in keep],
                cursor=latest.isoformat() if latest is not None and page.cursor is not None else None,
            )


@breaks(3, ticks=0.0)
class CursorSkipsEqualMoments(CursorIsAMoment):
    pass


@breaks(3)
class CursorSkipsAnHour(CursorIsAMoment):
    def later(self, moment, cursor):
        return moment > cursor + timedelta(hours=1)


@breaks(3)
class CursorOfTheEndOfTheListing(MemoryConnector):
    """The cursor is minted when the last page is read: what changed while the first ones were is lost."""

    def read(self, resource, *, fields, cursor=None):
        for page in super().read(resource, fields=fields, cursor=cursor):
            opened = self.world[resource]
            yield replace(page, cursor=f"{opened.epoch}:{opened.view().number}") if page.cursor is not None else page


@breaks(3)
class CursorOfTheEndOnEveryPage(MemoryConnector):
    """Every page has the cursor of the whole: stopping early leaves a gap."""

    def read(self, resource, *, fields, cursor=None):
        for page in super().read(resource, fields=fields, cursor=cursor):
            opened = self.world[resource]
            yield replace(page, cursor=f"{opened.epoch}:{opened.view().number}")


@breaks(3)
class CursorsWorkOnce(MemoryConnector):
    used = None

    def read(self, resource, *, fields, cursor=None):
        self.used = self.used or set()
        if cursor in self.used:
            yield Page(fields=tuple(fields), ids=[], rows=[], cursor=cursor)
            return
        if cursor is not None:
            self.used.add(cursor)
        yield from super().read(resource, fields=fields, cursor=cursor)


@breaks(3)
class ExpiredCursorsReadNothing(MemoryConnector):
    def read(self, resource, *, fields, cursor=None):
        try:
            yield from super().read(resource, fields=fields, cursor=cursor)
        except CursorExpired:
            yield Page(fields=tuple(fields), ids=[], rows=[], cursor=cursor)


@breaks(3)
class CursorsLiveInTheConnector(MemoryConnector):
    def __init__(self, world):
        super().__init__(world)
        self.cursors = {}

    def read(self, resource, *, fields, cursor=None):
        if cursor is not None and cursor not in self.cursors:
            raise CursorExpired("no such cursor")
        for page in super().read(resource, fields=fields, cursor=self.cursors.get(cursor)):
            handle = f"handle {len(self.cursors)}"
            if page.cursor is not None:
                self.cursors[handle] = page.cursor
            yield replace(page, cursor=handle if page.cursor is not None else None)


@breaks(3, qualities=["reports_deletions"])
class DeletionsGoUnreported(MemoryConnector):
    def read(self, resource, *, fields, cursor=None):
        for page in super().read(resource, fields=fields, cursor=cursor):
            yield replace(page, deleted=())


@breaks(3)
class TheUnchangedAreCalledDeleted(MemoryConnector):
    def read(self, resource, *, fields, cursor=None):
        pages = list(super().read(resource, fields=fields, cursor=cursor))
        new = {id for page in pages for id in page.ids}
        if cursor is not None:
            gone = [id for id in self.world[resource].records() if id not in new]
            pages[-1] = replace(pages[-1], deleted=[*pages[-1].deleted, *gone])
        yield from pages


@breaks(qualities=["incremental"])
class NoCursorAtAll(MemoryConnector):
    def read(self, resource, *, fields, cursor=None):
        for page in super().read(resource, fields=fields, cursor=cursor):
            yield replace(page, cursor=None)


# Writing


def with_values(change, bent):
    """The change with every value bent."""
    if not isinstance(change, Create | Update):
        return change
    return replace(change, fields={name: bent(value) for name, value in change.fields.items()})


@breaks(6)
class LosesTheOrderOfOutcomes(MemoryConnector):
    def write(self, resource, changes):
        return list(super().write(resource, changes))[::-1]


@breaks(6)
class GivesOutcomesTheWrongIds(MemoryConnector):
    """The ids of a batch come back in another order than the records were sent."""

    def write(self, resource, changes):
        outcomes = list(super().write(resource, changes))
        made = [outcome.id for outcome in outcomes if isinstance(outcome, Written)]
        if len(made) != len(outcomes) or not all(isinstance(change, Create) for change in changes):
            return outcomes
        return [replace(outcome, id=id) for outcome, id in zip(outcomes, reversed(made), strict=True)]


@breaks(6)
class OneBadChangeFailsTheBatch(MemoryConnector):
    def write(self, resource, changes):
        outcomes = super().write(resource, changes)
        bad = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
        return [Failed(key=change.key, error=bad[0].error) for change in changes] if bad else outcomes


@breaks(6)
class RaisesForOneBadChange(MemoryConnector):
    def write(self, resource, changes):
        outcomes = super().write(resource, changes)
        for outcome in outcomes:
            if isinstance(outcome, Failed):
                raise outcome.error
        return outcomes


@breaks(6)
class SaysWrittenOfWhatIsNotThere(MemoryConnector):
    def write(self, resource, changes):
        outcomes = super().write(resource, changes)
        return [
            Written(key=each.key, id=change.id)
            if isinstance(each, Failed) and isinstance(each.error, NotFound) and isinstance(change, Delete)
            else each
            for each, change in zip(outcomes, changes, strict=True)
        ]


@breaks(6)
class UpdatesWhatIsNotThereIntoBeing(MemoryConnector):
    def write(self, resource, changes):
        changes = [
            Create(key=change.key, fields={"email": f"{change.key}@x", **change.fields}, id=change.id)
            if isinstance(change, Update) and change.id not in self.world[resource]
            else change
            for change in changes
        ]
        return super().write(resource, changes)


@breaks(6)
class ALostAnswerIsCalledTransient(MemoryConnector):
    def write(self, resource, changes):
        outcomes = super().write(resource, changes)
        lost = [each for each in outcomes if isinstance(each, Failed) and isinstance(each.error, OutcomeUnknown)]
        if lost:
            raise TransientError("the call timed out")
        return outcomes


@breaks(6)
class HalfWrittenWhenRefused(MemoryConnector):
    """A refused call is sent record by record until it fails: the first one is there."""

    def write(self, resource, changes):
        try:
            return super().write(resource, changes)
        except TransientError:
            super().write(resource, changes[:1])
            raise


@breaks(6)
class RefusedUpdatesLandInPart(MemoryConnector):
    def write(self, resource, changes):
        outcomes = super().write(resource, changes)
        for outcome, change in zip(outcomes, changes, strict=True):
            if isinstance(outcome, Failed) and isinstance(outcome.error, Rejected) and isinstance(change, Update):
                for name, value in change.fields.items():
                    super().write(resource, [Update(key=f"{change.key} {name}", id=change.id, fields={name: value})])
        return outcomes


@breaks(6, qualities=["max_batch"])
class TakesLessThanMaxBatch(MemoryConnector):
    def write(self, resource, changes):
        if len(changes) > 5:
            raise TransientError("too many changes in one call")
        return super().write(resource, changes)


@breaks(7)
class ClearsUnnamedFields(MemoryConnector):
    def write(self, resource, changes):
        blank = {"city": None, "age": None}
        return super().write(
            resource,
            [replace(each, fields={**blank, **each.fields}) if isinstance(each, Update) else each for each in changes],
        )


@breaks(7)
class UpdatesTheNeighbourToo(MemoryConnector):
    def write(self, resource, changes):
        outcomes = super().write(resource, changes)
        for change in changes:
            if isinstance(change, Update) and change.id in self.world[resource]:
                for id in self.world[resource].records():
                    plain = {name: value for name, value in change.fields.items() if name == "name"}
                    self.world[resource].edit(id, **plain)
        return outcomes


@breaks(7, qualities=["set_deltas"])
class SetChangesReplaceTheSet(MemoryConnector):
    def write(self, resource, changes):
        bent = [
            with_values(change, lambda value: list(value.add) if isinstance(value, SetChange) else value) for change in changes
        ]
        return super().write(resource, bent)


@breaks(9, normalise=True)
class ReturnsWhatWasSent(MemoryConnector):
    def write(self, resource, changes):
        outcomes = super().write(resource, changes)
        return [
            replace(each, record=dict(change.fields))
            if isinstance(each, Written) and each.record is not None and isinstance(change, Create | Update)
            else each
            for each, change in zip(outcomes, changes, strict=True)
        ]


@breaks(9)
class ReturnsALaterReading(MemoryConnector):
    def write(self, resource, changes):
        outcomes = super().write(resource, changes)
        table = self.world[resource]
        return [
            replace(each, record=table[each.id]) if isinstance(each, Written) and each.id in table else each for each in outcomes
        ]


@breaks(9, qualities=["returns_record"])
class ReturnsNoRecord(MemoryConnector):
    def write(self, resource, changes):
        return [replace(each, record=None) if isinstance(each, Written) else each for each in super().write(resource, changes)]


# Conditional writes


@breaks(8, qualities=["conditional_writes"])
class IgnoresExpected(MemoryConnector):
    def write(self, resource, changes):
        return super().write(resource, [without_expected(change) for change in changes])


def without_expected(change):
    return change if isinstance(change, Create | Restore) or not hasattr(change, "expected") else replace(change, expected=None)


@breaks(8)
class IgnoresExpectedOfRemovals(MemoryConnector):
    def write(self, resource, changes):
        changes = [change if isinstance(change, Update) else without_expected(change) for change in changes]
        return super().write(resource, changes)


@breaks(8)
class OverwritesAndThenComplains(MemoryConnector):
    """The check comes after the write."""

    def write(self, resource, changes):
        outcomes = super().write(resource, changes)
        super().write(resource, [without_expected(change) for change in changes if isinstance(change, Update)])
        return outcomes


@breaks(8, 9)
class ReturnsTheVersionBefore(MemoryConnector):
    def write(self, resource, changes):
        before = {state.id: state.version for state in self.world[resource].history.live.values()}
        outcomes = super().write(resource, changes)
        return [
            replace(each, version=before.get(each.id, each.version)) if isinstance(each, Written) else each for each in outcomes
        ]


@breaks(8, versions=False)
class NullIsNeverExpected(MemoryConnector):
    """`WHERE name = NULL` holds for nothing."""

    def write(self, resource, changes):
        def bent(change):
            expected = getattr(change, "expected", None)
            if expected is None or None not in expected.fields.values():
                return change
            return replace(change, expected=replace(expected, fields={**expected.fields, "email": "never"}))

        return super().write(resource, [bent(change) for change in changes])


# Creates


@breaks(6, qualities=["idempotent_creates"])
class DoublesACreateOfTheSameKey(MemoryConnector):
    sent = itertools.count()

    def write(self, resource, changes):
        changes = [replace(each, key=f"{each.key} {next(self.sent)}") for each in changes]
        outcomes = super().write(resource, changes)
        return [replace(each, key=each.key.rpartition(" ")[0]) for each in outcomes]


@breaks(qualities=["upsert_keys"], upsert_keys=("name",))
class UpsertsByWhatIsNotUnique(MemoryConnector):
    pass


@breaks(7, qualities=["upsert_keys"], upsert_keys=("email",))
class UpsertsReplaceTheRecord(MemoryConnector):
    def write(self, resource, changes):
        blank = {"city": None, "age": None}
        return super().write(
            resource,
            [
                replace(each, fields={**blank, **each.fields}) if isinstance(each, Create) and each.upsert_on else each
                for each in changes
            ],
        )


@breaks(4, qualities=["chooses_ids"])
class IgnoresTheProposedId(MemoryConnector):
    def write(self, resource, changes):
        return super().write(resource, [replace(each, id=None) if isinstance(each, Create) else each for each in changes])


@breaks(6)
class NamesTheWrongHolder(MemoryConnector):
    def write(self, resource, changes):
        outcomes = super().write(resource, changes)
        for outcome in outcomes:
            if isinstance(outcome, Failed) and isinstance(outcome.error, AlreadyExists):
                outcome.error.id = "somebody else"
        return outcomes


@breaks(6, words="the system itself refuses a second live record with")
class OverwritesTheHolderOfAUniqueValue(MemoryConnector):
    def write(self, resource, changes):
        outcomes = list(super().write(resource, changes))
        for place, (outcome, change) in enumerate(zip(outcomes, changes, strict=True)):
            if isinstance(outcome, Failed) and isinstance(outcome.error, AlreadyExists) and isinstance(change, Create):
                self.world[resource].edit(outcome.error.id, name="overwritten")
                outcomes[place] = outcome
        return outcomes


# Removing


@breaks(4, qualities=["restores"])
class RestoresUnderANewId(MemoryConnector):
    def write(self, resource, changes):
        outcomes = list(super().write(resource, changes))
        for place, change in enumerate(changes):
            if isinstance(change, Restore) and isinstance(outcomes[place], Written):
                table = self.world[resource]
                fields = {name: value for name, value in table[change.id].items() if name != "total"}
                table.remove(change.id)
                outcomes[place] = Written(key=change.key, id=table.insert(**fields))
        return outcomes


@breaks(1, qualities=["deletes"])
class DeletesNothing(MemoryConnector):
    def write(self, resource, changes):
        kept = [change for change in changes if not isinstance(change, Delete)]
        outcomes = {outcome.key: outcome for outcome in super().write(resource, kept)}
        return [outcomes.get(change.key) or Written(key=change.key, id=change.id) for change in changes]


# Looking


@breaks(10)
class TombstoneInsteadOfUnknown(MemoryConnector):
    def get(self, resource, ids, *, fields):
        return [each if isinstance(each, Record) else Tombstone(id=each.id) for each in super().get(resource, ids, fields=fields)]


@breaks(10)
class LeavesOutWhatIsGone(MemoryConnector):
    def get(self, resource, ids, *, fields):
        return [each for each in super().get(resource, ids, fields=fields) if isinstance(each, Record)]


@breaks(10)
class AnswersInItsOwnOrder(MemoryConnector):
    def get(self, resource, ids, *, fields):
        return sorted(super().get(resource, ids, fields=fields), key=lambda answer: answer.id)


@breaks(10)
class RaisesForTheUnknown(MemoryConnector):
    def get(self, resource, ids, *, fields):
        answers = super().get(resource, ids, fields=fields)
        if any(not isinstance(answer, Record) for answer in answers):
            raise NotFound("no such record")
        return answers


@breaks(10, lag=10.0)
class GetsFromALaggingIndex(MemoryConnector):
    def get(self, resource, ids, *, fields):
        records = self.world[resource].view().records
        found = {record.id: record for page in self.read(resource, fields=fields) for record in page.records()}
        return [found[id] if id in records else Tombstone(id=id) for id in ids]


@breaks(words="Every live record whose `field` holds one of `values`")
class FindsTheFirstOnly(MemoryConnector):
    def find(self, resource, field, values, *, fields):
        return super().find(resource, field, values, fields=fields)[:1]


@breaks(words="compared at least exactly.")
class FindsByPattern(MemoryConnector):
    """A query without escapes: quotes and wildcards are lost on the way."""

    def find(self, resource, field, values, *, fields):
        return super().find(resource, field, [str(value).replace('"', "").replace("%", "") for value in values], fields=fields)


@breaks(words="Verify the delivery (AuthError if it is not genuine) and tell which records to look at.")
class BelievesEveryHint(MemoryConnector):
    def hints(self, headers, body):
        return super().hints({"x-memory-signature": self.world.signature(body)}, body)


# Manners


@breaks(11)
class LeaksValuesInErrors(MemoryConnector):
    def write(self, resource, changes):
        outcomes = super().write(resource, changes)
        return [
            Failed(key=each.key, error=leaking(each.error, change)) if isinstance(each, Failed) else each
            for each, change in zip(outcomes, changes, strict=True)
        ]


def leaking(error, change):
    error.args = (f"{error}: {getattr(change, 'fields', '')}",)
    return error


@breaks(11)
class Prints(MemoryConnector):
    def write(self, resource, changes):
        print(len(changes), "changes")  # noqa: T201 - this is what it does wrong
        return super().write(resource, changes)


@breaks(11)
class LogsValues(MemoryConnector):
    def write(self, resource, changes):
        logging.getLogger("mutant").debug("writing %s", changes)
        return super().write(resource, changes)


@breaks(11)
class Sleeps(MemoryConnector):
    def check(self):
        time.sleep(0)
        return super().check()


@breaks(11, in_its_source=True)
class ReadsTheClock(MemoryConnector):
    def check(self):
        assert time.monotonic() > 0
        return super().check()


@breaks(11)
class TriesAgain(MemoryConnector):
    def write(self, resource, changes):
        try:
            return super().write(resource, changes)
        except TransientError:
            return super().write(resource, changes)


@breaks(11)
class ClosesOnce(MemoryConnector):
    def close(self):
        if self._closed:
            self._closed = False
            raise ConnectorError("this connector is closed already")
        super().close()


@breaks(words="`id` is stable and unique per account or place")
class AccountsAreCounted(MemoryConnector):
    seen = itertools.count()

    def check(self):
        return replace(super().check(), id=f"session-{next(self.seen)}")


@breaks(words="Prove that the system is reachable and lets us in; else raise a classed error.")
class RefusedCredentialsAreTransient(MemoryConnector):
    def check(self):
        if self.world.denied:
            raise TransientError("HTTP 401")
        return super().check()


@breaks(words="An unknown name raises KeyError from the mapping.")
class UnknownResourcesAreEmpty(MemoryConnector):
    def read(self, resource, *, fields, cursor=None):
        if resource not in self.world.resources:
            return iter([Page(fields=tuple(fields), ids=[], rows=[], complete=True)])
        return super().read(resource, fields=fields, cursor=cursor)


@breaks(words="have the method and you have the skill")
class TakesNoCursor(MemoryConnector):
    def read(self, resource, fields):
        return super().read(resource, fields=fields)


@breaks(words="Describe what is there: a lazy, cached mapping.")
class DescribesUnderAnotherName(MemoryConnector):
    def resources(self):
        return (
            {name.title(): each for name, each in super().resources().items()}
            | dict(super().resources())
            | {"people": replace(super().resources()["people"], name="People")}
        )


@breaks(qualities=["max_concurrency"])
class DisturbedByACallAtTheSameTime(MemoryConnector):
    """One place for the outcomes of every call; calls meet in pairs before they answer."""

    def __init__(self, world):
        super().__init__(world)
        self.meeting = threading.Barrier(2, timeout=30)
        self.answers = ()

    def write(self, resource, changes):
        self.answers = super().write(resource, changes)
        self.meeting.wait()
        return self.answers


for name, mutant in MUTANTS.items():
    row = {"page_size": 2, **mutant.row}
    globals()[f"Test{name}"] = type(
        f"Test{name}",
        (MemoryConformance,),
        {"row": row, "connects": mutant.connects, "world": world_of(row), "__module__": __name__},
    )
