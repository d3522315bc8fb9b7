"""Refused runs: what they would have done, and a person's word on them."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from syncengine.core.decision import Op
from syncengine.core.model import Side
from syncengine.engine.ports import Clock
from syncengine.engine.report import Exit, Refusal, RunLine
from syncengine.errors import SyncError
from syncengine.store.runs import PairState
from syncengine.store.store import Store

_LINK = "link"


class Refusals:
    """
    An approval covers a list of (kind of action, ids of both sides); it waits for a week, and is good for one run.

    A refusal by a person ends that. It is remembered as long as the pair would do the very same, so that nobody is asked again
    what was answered.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def of_run(self, line: RunLine, limit: int) -> Refusal | None:
        """What the run would have done, with up to `limit` of its records; None for a run that was not refused."""
        approval = _approval(line)
        if line.exit is not Exit.REFUSED:
            return None
        state = self._store.runs.pair(line.pair)
        now, expires = self._clock.now(), self._store.runs.expiry(state.number, approval) if approval else None
        declined = self._declined(line.pair)
        counts = self._counts(state, approval)
        return Refusal(
            run=line.run,
            pair=line.pair,
            approval=approval,
            counts=counts,
            covers=tuple(self._covers(state, approval, limit)),
            waits=expires is not None and expires > now,
            expires_at=None if expires is None else datetime.fromtimestamp(expires, UTC),
            declined_at=declined[1] if declined is not None and declined[0] == approval else None,
        )

    def decline(self, line: RunLine) -> None:
        """Say no: the approval is gone, and what was refused is remembered. Raises SyncError where nothing waits."""
        approval = _approval(line)
        state = self._store.runs.pair(line.pair)
        with self._store.database.transaction():
            if line.exit is not Exit.REFUSED or self._store.runs.expiry(state.number, approval) is None:
                msg = f"run {line.run} waits for no approval: it was approved, it was refused, or it expired"
                raise SyncError(msg)
            self._store.runs.spend_approval(state.number, approval)
            told = {"approval": approval, "at": self._clock.now()}
            self._store.runs.set_note(_note(line.pair), orjson.dumps(told).decode())

    def _declined(self, pair: str) -> tuple[str, datetime] | None:
        """The approval that a person last said no to, and when."""
        note = self._store.runs.note(_note(pair))
        if note is None:
            return None
        told = orjson.loads(note)
        return told["approval"], datetime.fromtimestamp(told["at"], UTC)

    def _counts(self, state: PairState, approval: str) -> dict[str, int]:
        counted = {f"{side.value}.{op.value}": f"{op.value}|{side.value}|" for side in Side for op in Op} | {_LINK: f"{_LINK}|"}
        counts = {name: self._store.runs.count_items(state.number, approval, prefix) for name, prefix in counted.items()}
        return {name: count for name, count in counts.items() if count}

    def _covers(self, state: PairState, approval: str, limit: int) -> list[tuple[str, str, str]]:
        """(kind, side, key or id) of records, the gravest kinds first."""
        gravest = (Op.DELETE, Op.ARCHIVE, Op.UPDATE, Op.CREATE, Op.RESTORE)
        covers: list[tuple[str, str, str]] = []
        for op in gravest:
            for side in Side:
                prefix = f"{op.value}|{side.value}|"
                items = self._store.runs.items(state.number, approval, prefix, limit - len(covers))
                covers += [(op.value, side.value, self._name(state, side, item.removeprefix(prefix))) for item in items]
        links = self._store.runs.items(state.number, approval, f"{_LINK}|", limit - len(covers))
        return covers + [
            (_LINK, Side.RIGHT.value, self._name(state, Side.RIGHT, item.removeprefix(f"{_LINK}|"))) for item in links
        ]

    def _name(self, state: PairState, side: Side, ids: str) -> str:
        """What people know a record by: its match key, where the state has met it; else its id."""
        halves = ids.split("|")
        if len(halves) != len(Side):
            return ids  # an id that holds the separator itself
        own = dict(zip(Side, halves, strict=True))
        for each in (side, side.other):
            key = self._store.records.keys(state.number, each, [own[each]]).get(own[each]) if own[each] else None
            if key:
                return key
        return own[side] or own[side.other]


def _approval(line: RunLine) -> str:
    return str((line.report or {}).get("approval") or "")


def _note(pair: str) -> str:
    return f"refused:{pair}"
