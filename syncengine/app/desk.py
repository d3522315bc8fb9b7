"""The desk: what people look at, and what they answer. Everything here is in the state; no system is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from syncengine.app.refusals import Refusals
from syncengine.config import Config
from syncengine.connector import Native
from syncengine.core.codec import encode
from syncengine.core.decision import AskKind, Op, Wait
from syncengine.core.merge import Pick
from syncengine.core.model import Side
from syncengine.engine.ports import Clock
from syncengine.engine.report import (
    ActionLine,
    Exit,
    FieldDiff,
    InboxEntry,
    PairStatus,
    QuarantineEntry,
    Refusal,
    RunDetail,
    RunLine,
    StatusReport,
)
from syncengine.errors import SyncError
from syncengine.store.inbox import Entry
from syncengine.store.journal import Intent, IntentState
from syncengine.store.runs import PairState, RunRow
from syncengine.store.store import Store


class Desk:
    """
    The state of a config's pairs, as values to show; and the answers of people, written into it.

    `counted`: link counts by pair, each with the run after which it was taken; who keeps it over many desks has each pair counted
    once a run (counting a million takes a third of a second).
    """

    def __init__(
        self, config: Config, store: Store, clock: Clock, *, counted: dict[str, tuple[RunLine | None, int]] | None = None
    ) -> None:
        self._config = config
        self._store = store
        self._clock = clock
        self._counted = {} if counted is None else counted

    def status(self) -> StatusReport:
        """Where every pair stands."""
        pairs = []
        for spec in self._config.pairs.values():
            state = self._store.runs.find_pair(spec.name)
            latest = self.runs(1, spec.name)
            last = latest[0] if latest else None
            pairs.append(
                PairStatus(
                    pair=spec.name,
                    left=str(spec.left),
                    right=str(spec.right),
                    links=self._links(state, last) if state else 0,
                    pending=self._store.records.waiting(state.number) if state else {},
                    inbox_open=self._store.inbox.count(state.number) if state else 0,
                    last=last,
                    fresh_at=self._fresh_at(state) if state else None,
                )
            )
        return StatusReport(state=str(self._config.state), pairs=tuple(pairs))

    def _links(self, state: PairState, last: RunLine | None) -> int:
        """Nothing but a run makes or ends links, so the count stands until there is another, or this one ends."""
        after, count = self._counted.get(state.name, (None, 0))
        if last is None or after != last:
            count = self._store.links.count(state.number)
            self._counted[state.name] = (last, count)
        return count

    def ends(self, pair: str) -> tuple[str, str]:
        """Left and right of a pair as the config has them; of one that it no longer has, just that."""
        spec = self._config.pairs.get(pair)
        return (str(spec.left), str(spec.right)) if spec else (Side.LEFT.value, Side.RIGHT.value)

    def waiting(self) -> tuple[int, int]:
        """How many questions wait in the inbox, and how many records are parked."""
        states = self._store.runs.pairs()
        parked = [self._store.records.count_quarantined(state.number, side) for state in states for side in Side]
        return sum(self._store.inbox.count(state.number) for state in states), sum(parked)

    def _fresh_at(self, state: PairState) -> datetime | None:
        began = self._store.runs.fresh_at(state.number, (Exit.DONE, Exit.PARTIAL))
        return None if began is None else datetime.fromtimestamp(began, UTC)

    def runs(self, limit: int = 20, pair: str | None = None, *, before: int | None = None) -> list[RunLine]:
        """The latest runs, newest first; `before`: those older than this one."""
        return [_run_line(row) for row in self._store.runs.recent(limit, pair, before=before)]

    def has_run(self, number: int) -> bool:
        """Whether there is a run of this number."""
        return self._store.runs.get(number) is not None

    def run(self, number: int) -> RunDetail:
        """A past run with every write it made; raises SyncError for an unknown number."""
        line, actions = self.part_of_run(number, limit=-1)
        return RunDetail(line=line, actions=tuple(action for _, action in actions))

    def part_of_run(self, number: int, *, after: int = 0, limit: int) -> tuple[RunLine, list[tuple[int, ActionLine]]]:
        """
        A past run with some of the writes it made, in order, each with its number in the journal: those numbered above `after`,
        at most `limit` of them (-1: all). Raises SyncError for an unknown run.
        """
        row = self._store.runs.get(number)
        if row is None:
            msg = f"there is no run {number}; `syncengine log` lists the latest"
            raise SyncError(msg)
        spec = self._config.pairs.get(row.pair)
        names = {side: {field.native(side): field.name for field in spec.fields} if spec else {} for side in Side}
        intents = self._store.journal.of_run(number, after=after, limit=limit)
        return _run_line(row), [(intent.number, _intent_line(intent, names[intent.side])) for intent in intents]

    # Questions

    def conflicts(self, pair: str | None = None) -> list[InboxEntry]:
        """Every question that waits for a human."""
        return [self._question(entry, state) for state in self._states(pair) for entry in self._store.inbox.entries(state.number)]

    def some_conflicts(self, *, after: int = 0, limit: int) -> list[InboxEntry]:
        """The questions of all pairs numbered above `after`, oldest first, at most `limit` of them."""
        pairs = {state.number: state for state in self._store.runs.pairs()}
        return [self._question(entry, pairs[entry.pair]) for entry in self._store.inbox.entries(after=after, limit=limit)]

    def question(self, entry_id: int) -> InboxEntry:
        """One question; raises SyncError where it does not wait (any more)."""
        entry = self._entry(entry_id)
        return self._question(entry, next(state for state in self._store.runs.pairs() if state.number == entry.pair))

    def _entry(self, entry_id: int) -> Entry:
        entry = self._store.inbox.get(entry_id)
        if entry is None:
            msg = f"there is no open entry {entry_id}; `syncengine conflicts list` shows them"
            raise SyncError(msg)
        return entry

    def _question(self, entry: Entry, state: PairState) -> InboxEntry:
        return InboxEntry(
            id=entry.number,
            pair=state.name,
            kind=entry.ask.kind.value,
            label=entry.label,
            field=entry.ask.field,
            left=entry.ask.left,
            right=entry.ask.right,
            base=entry.ask.base,
            why=entry.ask.why if entry.choice is None else f"{entry.ask.why} (answered: the next sync acts on it)",
            opened_at=datetime.fromtimestamp(entry.opened_at, UTC),
            gone=self._gone(entry),
            answer=None if entry.choice is None else entry.choice.pick.value,
            mark=_mark(entry),
        )

    def _gone(self, entry: Entry) -> str | None:
        """The side whose record is gone, where that is the question: the state knows live records only."""
        if entry.ask.kind is not AskKind.DELETE or entry.link is None:
            return None
        link = self._store.links.load([entry.link]).get(entry.link)
        if link is None:
            return None
        ids = {side: id_ for side in Side if (id_ := link.side(side).id) is not None}
        here = {side for side, id_ in ids.items() if self._store.records.known(entry.pair, side, [id_])}
        gone = [side.value for side in Side if side not in here]
        return gone[0] if len(gone) == 1 else None

    def resolve(self, entry_id: int, choice: str, value: Native = None, *, mark: str | None = None) -> None:
        """
        Answer a question; the next sync acts on it, if both sides still hold what was shown.

        `choice`: left, right, apart, or value with the value to write on both sides. `mark`: that of the question as it was
        shown, where time may have passed since. Raises SyncError for what does not fit.
        """
        pick = Pick(choice)
        with self._store.database.transaction():
            entry = self._entry(entry_id)
            if mark is not None and mark != _mark(entry):
                msg = f"question {entry_id} has changed since it was shown: look at it as it is now, and answer again"
                raise SyncError(msg)
            if pick is Pick.VALUE and entry.ask.kind is not AskKind.CONFLICT:
                msg = f"entry {entry_id} is about a whole record: choose left, right or apart"
                raise SyncError(msg)
            now = self._clock.now()
            match entry.ask.kind:
                case AskKind.CONFLICT | AskKind.DELETE:
                    self._store.inbox.choose(entry_id, pick, value)
                case AskKind.UNKNOWN_OUTCOME:
                    self._resolve_unknown(entry.subject, now)
                    self._store.inbox.close(entry_id, now)
                case AskKind.EDIT_SURVIVED | AskKind.MET | AskKind.DUPLICATE:
                    self._store.inbox.close(entry_id, now)

    def _resolve_unknown(self, subject: str, now: float) -> None:
        """A human looked: the create in doubt counts as not applied, and the record is matched like any other."""
        intent = self._store.journal.get(int(subject.partition(":")[2]))
        if intent is None:
            return
        self._store.journal.close([(intent.number, IntentState.CLOSED, now, None, "resolved by a person")])
        if intent.link is not None:
            self._store.links.end([intent.link])

    # Parked records

    def quarantine(self, pair: str | None = None) -> list[QuarantineEntry]:
        """Every parked record."""
        return [entry for state in self._states(pair) for side in Side for entry in self.some_parked(state.name, side, limit=-1)]

    def some_parked(self, pair: str, side: Side, *, offset: int = 0, limit: int) -> list[QuarantineEntry]:
        """Parked records of one side, the longest parked first: at most `limit` (-1: all) after the first `offset`."""
        state = self._store.runs.find_pair(pair)
        if state is None:
            return []
        return [
            QuarantineEntry(
                id=f"{state.name}:{side.value}:{row.id}",
                pair=state.name,
                side=side.value,
                label=row.label,
                record=row.id,
                reason=row.detail,
                since=datetime.fromtimestamp(row.since, UTC),
                tries=row.tries,
            )
            for row in self._store.records.quarantined(state.number, side, offset=offset, limit=limit)
        ]

    def parked(self, pair: str) -> Mapping[Side, int]:
        """How many records of each side are parked."""
        state = self._store.runs.find_pair(pair)
        records = self._store.records
        return {side: records.count_quarantined(state.number, side) if state else 0 for side in Side}

    def release(self, ids: Sequence[str]) -> list[str]:
        """
        Let parked records be tried again by the next sync, each with its partner; returns their pairs. Raises SyncError for an
        unknown id.
        """
        with self._store.database.transaction():
            found = [self._find_parked(id_) for id_ in ids]
            for state, side, record in found:
                self._store.records.release(state.number, side, [record])
                self._release_partner(state.number, side, record)
        return list(dict.fromkeys(state.name for state, _, _ in found))

    def _release_partner(self, pair: int, side: Side, record: str) -> None:
        """A write that failed keeps both records of its link in quarantine."""
        number = self._store.links.of_records(pair, side, [record]).get(record)
        partner = self._store.links.load([number])[number].side(side.other).id if number is not None else None
        if partner is None:
            return
        waiting = self._store.records.pending_of(pair, side.other, [partner]).get(partner)
        if waiting is not None and waiting.reason is Wait.QUARANTINED:
            self._store.records.release(pair, side.other, [partner])

    def _find_parked(self, id_: str) -> tuple[PairState, Side, str]:
        for state in self._store.runs.pairs():
            for side in Side:
                start = f"{state.name}:{side.value}:"
                if id_.startswith(start):
                    record = id_.removeprefix(start)
                    found = self._store.records.pending_of(state.number, side, [record]).get(record)
                    if found is not None and found.reason is Wait.QUARANTINED:
                        return state, side, record
        msg = f"nothing in quarantine has the id {id_!r}; `syncengine quarantine list` shows what is there"
        raise SyncError(msg)

    def release_all(self, pair: str) -> int:
        """Let every parked record of a pair be tried again by the next sync; returns how many there were."""
        state = self._store.runs.find_pair(pair)
        if state is None:
            return 0
        with self._store.database.transaction():
            return sum(self._store.records.release_all(state.number, side) for side in Side)

    # Refused runs

    def refusal(self, number: int, *, limit: int = 100) -> Refusal | None:
        """What a refused run would have done, None for a run that was not refused; raises SyncError for an unknown number."""
        return Refusals(self._store, self._clock).of_run(self.part_of_run(number, limit=0)[0], limit)

    def refuse(self, number: int) -> None:
        """Say no to a refused run: it can no longer be approved. Raises SyncError where nothing waits."""
        Refusals(self._store, self._clock).decline(self.part_of_run(number, limit=0)[0])

    def _states(self, pair: str | None) -> Iterator[PairState]:
        for state in self._store.runs.pairs():
            if pair is None or state.name == pair:
                yield state


def _mark(entry: Entry) -> str:
    """Changes whenever what is asked, or what the sides hold, does."""
    shown = encode({"left": entry.ask.left, "right": entry.ask.right, "base": entry.ask.base})
    asked = f"{entry.number}|{entry.ask.kind.value}|{entry.ask.why}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(asked + b"|" + shown, digest_size=8).hexdigest()


def _run_line(row: RunRow) -> RunLine:
    return RunLine(
        run=row.number,
        pair=row.pair,
        started_at=datetime.fromtimestamp(row.started_at, UTC),
        finished_at=None if row.finished_at is None else datetime.fromtimestamp(row.finished_at, UTC),
        exit=None if row.exit is None else Exit(row.exit),
        report=row.report,
    )


def _intent_line(intent: Intent, names: Mapping[str | None, str]) -> ActionLine:
    outcome = {"done": "done", "closed": "failed"}.get(intent.state.value, "unknown")
    diffs = tuple(
        FieldDiff(field=names.get(name, name), before=intent.before.get(name), after=value, why=_why(intent, name))
        for name, value in intent.payload.items()
    )
    return ActionLine(
        kind=intent.op.value,
        side=intent.side.value,
        label=intent.label,
        id=intent.result or intent.record,
        diffs=diffs if intent.op is not Op.DELETE else (),
        why=_why(intent),
        outcome=outcome,
    )


def _why(intent: Intent, name: str | None = None) -> str:
    """Why it, or one field of it, was written; then what its system did not store of it, or what went wrong instead."""
    whys = "; ".join(sorted(set(intent.whys.values()))) if name is None else intent.whys.get(name, "")
    if intent.state is not IntentState.DONE:
        return intent.error or whys
    return "; ".join(filter(None, (whys, intent.error)))
