"""What a plan says it would do, line by line."""

from __future__ import annotations

from collections.abc import Iterator

from syncengine.core.decision import Decision
from syncengine.core.detect import Presence
from syncengine.core.model import Side
from syncengine.engine.context import Context
from syncengine.engine.report import ActionLine, FieldDiff


def identify_lines(context: Context) -> Iterator[ActionLine]:
    """The records that are to be given an id."""
    for side in Side:
        for row in context.store.staging.provisional(side):
            if row.presence is Presence.PRESENT:
                label = context.rule.label(side, row.fields or {})
                yield ActionLine(kind="identify", side=side.value, label=label, id=None, why="it has no id yet")


def lines(context: Context, decision: Decision) -> Iterator[ActionLine]:
    """A decision as people read it."""
    if decision.hold:
        return
    names = {side: {rule.native(side): rule.name for rule in context.rule.fields} for side in Side}
    if decision.link is None and None not in (decision.left.id, decision.right.id):
        is_met = decision.left.key == decision.right.key is not None
        why = "same key" if is_met else "linked before the state was rebuilt"
        yield ActionLine(kind="link", side="right", label=decision.label, id=decision.right.id, why=why)
    for write in decision.writes:
        diffs = tuple(
            FieldDiff(
                field=names[write.side].get(name, name), before=write.before.get(name), after=value, why=write.whys.get(name, "")
            )
            for name, value in write.fields.items()
        )
        whys = sorted({why for why in write.whys.values() if why})
        yield ActionLine(
            kind=write.op.value, side=write.side.value, label=decision.label, id=write.id, diffs=diffs, why="; ".join(whys)
        )
