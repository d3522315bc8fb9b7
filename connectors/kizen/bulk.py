"""
Many records in one call: bulk archive, and bulk change of one value (records-api.md section 6).

Such a call is only accepted; it takes effect a moment later, and its answer proves nothing. Proof is the row of the job in the
list of bulk actions, completed with as many successes as there were records, and the last of the records, read by id. No answer
names the row, and times do not tell it either (they are rewritten when work begins): it is one that was not there before.

Until that is seen the outcome is unknown. Where it can't be seen, or the platform refuses, records go one by one from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from connectors.kizen.api import RecordsApi, Row
from connectors.kizen.catalogue import Catalogue
from connectors.kizen.decoding import aware
from connectors.kizen.encoding import Chosen, Entry
from connectors.kizen.finding import get
from connectors.kizen.metadata import FieldInfo, Kind, ObjectInfo, is_record_id
from connectors.kizen.writing import Writer
from syncengine.connector import Answer, Archive, Change, Failed, Outcome, Record, Tombstone, Unknown, Update, Written
from syncengine.errors import ConnectorError, NotFound, OutcomeUnknown, RecordError, TransientError, VersionConflict
from syncengine.http import Reply

_FEWEST: Final = 8  # four calls are the least that a job and its proof take
_MOST: Final = 500  # what Kizen's own tool sends at once
_DELAY: Final = 2.0  # seconds in which a job is done, as far as anybody saw
_LOOKS: Final = 4
_OVERLAP: Final = timedelta(seconds=1)
_ENDED: Final = frozenset({"completed", "failed", "cancelled", "skipped"})
_SCALARS: Final = frozenset(
    {
        Kind.TEXT,
        Kind.INTEGER,
        Kind.NUMBER,
        Kind.MONEY,
        Kind.DATE,
        Kind.DATETIME,
        Kind.CHECKBOX,
        Kind.OPTION,
        Kind.RATING,
        Kind.MEMBER,
        Kind.TIMEZONE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """A bulk call for these changes; `entry` is what all of them set, None where they archive."""

    info: ObjectInfo
    changes: Sequence[Archive | Update]
    entry: Entry | None

    @property
    def place(self) -> tuple[str, bool]:
        return self.info.path, self.entry is None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The jobs of an object, begun since a moment of the server's clock, that are none of ours; `busy`: some are not done yet."""

    since: datetime | None
    ids: frozenset[str]
    busy: bool


class Bulk:
    """Makes changes that are alike in one call. Remembers where that does not work."""

    def __init__(self, api: RecordsApi, catalogue: Catalogue, writer: Writer) -> None:
        self._api = api
        self._catalogue = catalogue
        self._writer = writer
        self._unfit: set[tuple[str, bool]] = set()
        self._listed: dict[str, datetime] = {}

    def combine(self, resource: str, changes: Sequence[Change]) -> list[list[Change]]:
        """The changes in calls: those that a bulk call can make together, the others alone."""
        info = self._catalogue.known(resource)
        alike: dict[Hashable, list[Change]] = {}
        for change in changes:
            kind = None if info is None else self._kind(info, change)
            alike.setdefault(("alone", change.key) if kind is None else kind, []).append(change)
        calls: list[list[Change]] = []
        for group in alike.values():
            chunks = [group[start : start + _MOST] for start in range(0, len(group), _MOST)]
            for chunk in chunks:
                calls += [chunk] if len(chunk) >= _FEWEST else [[change] for change in chunk]
        return calls

    def write(self, resource: str, changes: Sequence[Change], pause: Callable[[float], None]) -> list[Outcome] | None:
        """
        Make changes that are alike in one call; None where that is not possible, and then nothing was applied.

        `pause` lets seconds pass. Raises what says that nothing was applied.
        """
        job = self._job(resource, changes)
        object_id = None if job is None else self._catalogue.uuid(job.info)
        if job is None or object_id is None:
            return None
        known = self._before(object_id)
        if known is None:
            self._unfit.add(job.place)
        if known is None or known.busy:
            return None
        try:
            reply = self._send(job, object_id)
        except OutcomeUnknown as error:
            self._unfit.add(job.place)
            return _all_failed(job, error)
        if not reply.ok:
            self._unfit.add(job.place)
            return None
        try:
            return self._outcomes(job, object_id, known, pause)
        except ConnectorError as error:
            self._unfit.add(job.place)
            return _all_failed(job, OutcomeUnknown(f"{reply.place} was accepted, but nothing proves that it is done: {error}"))

    def _kind(self, info: ObjectInfo, change: Change) -> Hashable | None:
        """What has to be the same in changes that share a call."""
        match change:
            case Archive() if is_record_id(change.id) and (info.path, True) not in self._unfit:
                return "archive"
            case Update(fields=fields) if is_record_id(change.id) and len(fields) == 1 and (info.path, False) not in self._unfit:
                ((name, native),) = fields.items()
                field = info.fields.get(name)
                # A blank, a set and a related record have shapes that nobody saw in a bulk call; a name may meet an archived one.
                if field is None or native in (None, "") or not _is_plain(field, info) or not isinstance(native, Hashable):
                    return None
                return name, type(native), native
        return None

    def _job(self, resource: str, changes: Sequence[Change]) -> _Job | None:
        info = self._catalogue.info(resource)
        alike = [change for change in changes if isinstance(change, Archive | Update)]
        kinds = {self._kind(info, change) for change in changes}
        one_each = len({change.id.lower() for change in alike}) == len(changes)
        if len(changes) < _FEWEST or len(kinds) != 1 or None in kinds or not one_each:
            return None
        first = alike[0]
        if isinstance(first, Archive):
            return _Job(info=info, changes=alike, entry=None)
        try:
            info, entry = self._writer.entry(info, first.fields)
        except RecordError:
            return None  # whoever sends them one by one is told why
        return _Job(info=info, changes=alike, entry=entry)

    def _send(self, job: _Job, object_id: str) -> Reply:
        ids = [change.id for change in job.changes]
        if job.entry is None:
            return self._api.bulk_archive(object_id, ids)
        value = job.entry.value
        return self._api.bulk_change(object_id, ids, job.entry.field.id, value.id if isinstance(value, Chosen) else value)

    # What became of it

    def _before(self, object_id: str) -> _Known | None:
        """The jobs there are before ours; None where this user may not see them, or too many of them."""
        for _ in range(2):
            since = self._listed.get(object_id)
            found = self._api.jobs(object_id, since)
            if found is None:
                return None
            if begun := [stamp for row in found.rows if (stamp := _begun(row)) is not None]:
                self._listed[object_id] = max(begun) - _OVERLAP
            if not found.more:
                busy = any(row.get("status") not in _ENDED for row in found.rows)
                return _Known(since=since, ids=frozenset(str(row["id"]) for row in found.rows), busy=busy)
        return None

    def _new(self, object_id: str, known: _Known) -> list[Row]:
        """The jobs that came since; none where they can't all be seen."""
        found = self._api.jobs(object_id, known.since)
        rows = [] if found is None or found.more else found.rows
        return [row for row in rows if str(row["id"]) not in known.ids]

    def _outcomes(self, job: _Job, object_id: str, known: _Known, pause: Callable[[float], None]) -> list[Outcome]:
        for _ in range(_LOOKS):
            pause(_DELAY)
            new = self._new(object_id, known)
            ended = [row for row in new if row.get("status") in _ENDED and _count(row) == len(job.changes)]
            if ended and all(row.get("status") in _ENDED for row in new):
                break
        else:
            raise OutcomeUnknown(f"it was not done {_DELAY * _LOOKS:.0f} seconds later")
        if any(row.get("status") != "completed" or row.get("success_count") != len(job.changes) for row in ended):
            return self._one_by_one(job, failures=ended[0].get("failed_count") if len(ended) == 1 else None)
        if not self._has(job, self._look(job, job.changes[-1])):
            return self._one_by_one(job, failures=None)
        return [Written(key=change.key, id=change.id) for change in job.changes]

    def _one_by_one(self, job: _Job, *, failures: object) -> list[Outcome]:
        """
        Some were refused, and what the report of it looks like is not documented: each record is read.

        Where those without the change are as many as were refused, they are these, and written singly for the reason. Otherwise
        somebody edited one meanwhile, and what to do with it is decided anew.
        """
        answers = [self._look(job, change) for change in job.changes]
        missed = [index for index, answer in enumerate(answers) if not self._has(job, answer)]
        if failures is None and len(missed) == len(answers):
            raise OutcomeUnknown("a job is told as done, and no record read by id shows it")
        return [
            Written(key=change.key, id=change.id)
            if index not in missed
            else self._again(job, change, answer, refused=len(missed) == failures)
            for index, (change, answer) in enumerate(zip(job.changes, answers, strict=True))
        ]

    def _again(self, job: _Job, change: Archive | Update, answer: Answer, *, refused: bool) -> Outcome:
        if isinstance(answer, Tombstone):
            return Failed(key=change.key, error=NotFound(f"the record of {job.info.path} is archived, gone, or not visible"))
        if isinstance(answer, Unknown):
            return Failed(key=change.key, error=OutcomeUnknown(f"a bulk call was not proved for the record: {answer.why}"))
        if not refused:
            said = f"after a bulk call the record of {job.info.path} holds something else: somebody wrote it just now"
            return Failed(key=change.key, error=VersionConflict(said))
        try:
            return self._writer.apply(job.info.path, change)
        except (RecordError, OutcomeUnknown, TransientError) as error:
            return Failed(key=change.key, error=error)
        except ConnectorError as error:
            return Failed(key=change.key, error=TransientError(str(error)))

    def _look(self, job: _Job, change: Archive | Update) -> Answer:
        names = [] if job.entry is None else [job.entry.field.name]
        (answer,) = get(self._api, job.info, [change.id], names, again=lambda: job.info)
        return answer

    def _has(self, job: _Job, answer: Answer) -> bool:
        """Whether a record, read by id, shows what the job was to do."""
        if job.entry is None:
            return isinstance(answer, Tombstone)
        name = job.entry.field.name
        native = answer.fields.get(name) if isinstance(answer, Record) else None
        if native in (None, ""):
            return False
        try:
            return self._writer.entry(job.info, {name: native})[1] == job.entry
        except RecordError:
            return False


def _is_plain(field: FieldInfo, info: ObjectInfo) -> bool:
    """Whether the field takes a bare value, and gives it back as it was sent."""
    formatted = field.type in {"phonenumber", "email"}
    return field.kind in _SCALARS and not field.read_only and not formatted and field != info.identifier


def _count(row: Row) -> int | None:
    """How many records a job is about."""
    counts = [row.get(name) for name in ("success_count", "failed_count", "pending_count")]
    return sum(one for one in counts if isinstance(one, int)) if all(isinstance(one, int) for one in counts) else None


def _begun(row: Row) -> datetime | None:
    """When work on a job began, by the platform's clock."""
    try:
        return aware(str(row.get("started_at")))
    except ValueError:
        return None


def _all_failed(job: _Job, error: OutcomeUnknown) -> list[Outcome]:
    return [Failed(key=change.key, error=error) for change in job.changes]
