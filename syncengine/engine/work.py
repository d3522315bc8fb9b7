"""A decision on its way through evidence, intent, write and outcome."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from syncengine.connector import Fields
from syncengine.core.decision import Ask, Bucket, Decision, LinkState, Wait, Write
from syncengine.core.model import Side
from syncengine.store.links import Link, LinkSide


@dataclass(slots=True, kw_only=True)
class Work:
    """
    A decision on its way. `now`: what each side holds, writes included. `prints`: fingerprint and key to store per side, for
    the sides whose row is known exactly. `waits` and `bucket` override the decision's when something went wrong. `whole`: the
    record to be updated with the fields that nobody mapped, where the system replaces whole records. `first`: what the first of
    two writes stored in fields that the other is to bring to the same; `untold`: those of them of which the answer said nothing.
    `is_part`: it carries out only a part of what was decided, for a field was refused: the others without it, or a step of a
    ring.
    """

    decision: Decision
    todo: list[Write]
    link: Link | None = None
    now: dict[Side, Fields] = field(default_factory=dict)
    prints: dict[Side, tuple[bytes | None, str | None]] = field(default_factory=dict)
    waits: dict[Side, tuple[Wait, str]] = field(default_factory=dict)
    bucket: Bucket | None = None
    whole: Fields = field(default_factory=dict)
    first: Fields = field(default_factory=dict)
    untold: AbstractSet[str] = frozenset()
    asks: list[Ask] = field(default_factory=list)
    intent: int = 0
    key: str = ""
    revived: LinkSide | None = None
    former: LinkState = LinkState.DEAD
    is_void: bool = False
    is_part: bool = False
    settled: bool = False

    @classmethod
    def of(cls, decision: Decision) -> Work:
        """Take a decision up; the right side is written before the left."""
        work = cls(decision=decision, todo=sorted(decision.writes, key=lambda write: write.side is Side.LEFT))
        work.waits.update(decision.waits)
        for side in Side:
            half = decision.half(side)
            if half.now is not None:
                work.now[side] = half.now
            if half.delivered and half.id is not None and half.now is not None:
                work.prints[side] = (half.fingerprint, half.key)
        return work

    def trouble(self, wait: Wait, why: str, bucket: Bucket) -> None:
        """The rest of this decision is not carried out: both records wait."""
        self.todo.clear()
        self.bucket = bucket
        for side in Side:
            # A record that is gone waits as well: the cursor may have passed the only word of its end.
            if self.decision.half(side).id is not None:
                self.waits[side] = (wait, why)
