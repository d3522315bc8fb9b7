"""The desk: what people look at, and what they answer. Everything here is in the state; no system is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from syncengine.config import Config
from syncengine.connector import Native
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
    RunDetail,
    RunLine,
    StatusReport,
)
from syncengine.errors import SyncError
from syncengine.store.journal import Intent, IntentState
from syncengine.store.runs import PairState, RunRow
from syncengine.store.store import Store


class Desk:
    """The state of a config's pairs, as values to show; and the answers of people, written into it."""

    def __init__(self, config: Config, store: Store, clock: Clock) -> None:
        self._config = config
        self._store = store
        self._clock = clock

    def status(self) -> StatusReport:
        """Where every pair stands."""
        pairs = []
        for spec in self._config.pairs.values():
            state = self._store.runs.find_pair(spec.name)
            latest = self.runs(1, spec.name)
            pairs.append(
                PairStatus(
                    pair=spec.name,
                    left=str(spec.left),
                    right=str(spec.right),
                    links=self._store.links.count(state.number) if state else 0,
                    pending=self._store.records.waiting(state.number) if state else {},
                    inbox_open=self._store.inbox.count(state.number) if state else 0,
                    last=latest[0] if latest else None,
                )
            )
        return StatusReport(state=str(self._config.state), pairs=tuple(pairs))

    def runs(self, limit: int = 20, pair: str | None = None) -> list[RunLine]:
        """The latest runs, newest first."""
        return [_run_line(row) for row in self._store.runs.recent(limit, pair)]

    def run(self, number: int) -> RunDetail:
        """A past run with every write it made; raises SyncError for an unknown number."""
        row = self._store.runs.get(number)
        if row is None:
            msg = f"there is no run {number}; `syncengine log` lists the latest"
            raise SyncError(msg)
        spec = self._config.pairs.get(row.pair)
        names = {side: {field.native(side): field.name for field in spec.fields} if spec else {} for side in Side}
        intents = self._store.journal.of_run(number)
        return RunDetail(line=_run_line(row), actions=tuple(_intent_line(intent, names[intent.side]) for intent in intents))

    def conflicts(self, pair: str | None = None) -> list[InboxEntry]:
        """Every question that waits for a human."""
        entries = []
        for state in self._states(pair):
            entries += [
                InboxEntry(
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
                )
                for entry in self._store.inbox.entries(state.number)
            ]
        return entries

    def resolve(self, entry_id: int, choice: str, value: Native = None) -> None:
        """
        Answer a question; the next sync acts on it, if both sides still hold what was shown.

        `choice`: left, right, apart, or value with the value to write on both sides. Raises SyncError for what does not fit.
        """
        entry = next((entry for entry in self._store.inbox.entries() if entry.number == entry_id), None)
        if entry is None:
            msg = f"there is no open entry {entry_id}; `syncengine conflicts list` shows them"
            raise SyncError(msg)
        pick = Pick(choice)
        if pick is Pick.VALUE and entry.ask.kind is not AskKind.CONFLICT:
            msg = f"entry {entry_id} is about a whole record: choose left, right or apart"
            raise SyncError(msg)
        with self._store.database.transaction():
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

    def quarantine(self, pair: str | None = None) -> list[QuarantineEntry]:
        """Every parked record."""
        entries = []
        for state in self._states(pair):
            for side in Side:
                entries += [
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
                    for row in self._store.records.pending(state.number, side)
                    if row.reason is Wait.QUARANTINED
                ]
        return entries

    def release(self, ids: Sequence[str]) -> list[str]:
        """Let parked records be tried again by the next sync; returns their pairs. Raises SyncError for an unknown id."""
        known = {entry.id: entry for entry in self.quarantine()}
        pairs = []
        with self._store.database.transaction():
            for id_ in ids:
                if id_ not in known:
                    msg = f"nothing in quarantine has the id {id_!r}; `syncengine quarantine list` shows what is there"
                    raise SyncError(msg)
                entry = known[id_]
                state = self._store.runs.pair(entry.pair)
                self._store.records.release(state.number, Side(entry.side), [entry.record])
                pairs.append(entry.pair)
        return list(dict.fromkeys(pairs))

    def _states(self, pair: str | None) -> Iterator[PairState]:
        for state in self._store.runs.pairs():
            if pair is None or state.name == pair:
                yield state


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
        FieldDiff(field=names.get(name, name), before=intent.before.get(name), after=value)
        for name, value in intent.payload.items()
    )
    return ActionLine(
        kind=intent.op.value,
        side=intent.side.value,
        label=intent.label,
        id=intent.result or intent.record,
        diffs=diffs if intent.op is not Op.DELETE else (),
        why=intent.error or "; ".join(sorted(set(intent.whys.values()))),
        outcome=outcome,
    )
