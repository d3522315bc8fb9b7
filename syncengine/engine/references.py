"""
References to records that were made anew: their partners' fields still name the record that is gone, and nobody edits them.

A deleted record whose partner was edited comes back under a new id. The journal tells which ids were replaced so; whoever points
to one of them is read again and decided about, though neither of its records has changed. Then the reference of the other side
tells who is meant, or the journal where the record that that one names was made anew as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from syncengine.core.decision import LinkState
from syncengine.core.model import Side
from syncengine.engine.context import Context
from syncengine.engine.read import fetch

_CHUNK = 2000


def stage_outdated(context: Context) -> None:
    """Stage the records that point to one which was made anew since the last run over this pair that went through."""
    names = {rule.references for rule in context.rule.fields if rule.references is not None}
    for name in sorted(names):
        pair = context.store.runs.find_pair(name)
        if pair is None:
            continue
        note = f"references of {context.rule.name} to {name}"
        replaced, upto = context.store.journal.replaced(pair.number, after=int(context.store.runs.note(note) or 0))
        context.notes_to_set[note] = str(upto)
        gone = {side: replaced[context.resolver.side_of(name, side)].keys() for side in Side}
        if any(gone.values()):
            _stage_those_who_name(context, name, gone)


def _stage_those_who_name(context: Context, referenced: str, gone: Mapping[Side, AbstractSet[str]]) -> None:
    store, pair = context.store, context.pair.number
    rules = [rule for rule in context.rule.fields if rule.references == referenced]
    after = 0
    while numbers := store.links.all_numbers(pair, after=after, limit=_CHUNK):
        after = numbers[-1]
        wanted: dict[Side, list[str]] = {Side.LEFT: [], Side.RIGHT: []}
        for link in store.links.load(numbers).values():
            named = {
                side: {name for rule in rules for name in _names(link.side(side).shadow.get(rule.native(side)))} for side in Side
            }
            if link.state is LinkState.LIVE and any(named[side] & gone[side] for side in Side):
                for side in Side:
                    wanted[side].append(link.side(side).id or "")
        for side, ids in wanted.items():
            staged = store.staging.present(side, ids)
            fetch(context, side, [id_ for id_ in ids if id_ not in staged])


def _names(value: object) -> set[str]:
    """The ids that a reference field holds."""
    if isinstance(value, list | tuple):
        return {each for each in value if isinstance(each, str)}
    return {value} if isinstance(value, str) else set()
