"""
From staged rows to decisions, in chunks: links first, then records without one, by match key.

Deciding is repeatable: a plan runs it to count and to show, the same run runs it again to apply.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from syncengine.core.creates import create_fields
from syncengine.core.decision import Decision, LinkState
from syncengine.core.detect import Presence
from syncengine.core.ground import Ground
from syncengine.core.merge import Half
from syncengine.core.model import Side
from syncengine.core.plan import decide_link
from syncengine.engine.context import Context
from syncengine.engine.doubts import Doubts
from syncengine.engine.linked import Linked, is_undecided
from syncengine.engine.unlinked import Unlinked

_CHUNK = 500


class Decider:
    """Makes the decisions of one run."""

    def __init__(self, context: Context, doubts: Doubts, *, planning: bool) -> None:
        self._context = context
        self._planning = planning
        self._doubts = doubts
        self._store = context.store
        left, right = (context.remotes[side].capabilities for side in Side)
        resolutions = [capabilities.clock_resolution for capabilities in (left, right)]
        slack = None
        if None not in resolutions:
            slack = max(context.rule.spec.tolerance, *(resolution for resolution in resolutions if resolution is not None))
        self._ground = Ground(
            resolve=context.resolver.resolve,
            locate=context.resolver.locate,
            follow=context.resolver.follow,
            capabilities={side: context.remotes[side].capabilities for side in Side},
            clock_slack=slack,
            creates={side: create_fields(context.rule, side) for side in Side},
        )

    def decisions(self) -> Iterator[Decision]:
        """One decision for every staged row: links in order of their number, then records without a link."""
        if self._store.staging.is_empty:
            return
        linked = Linked(self._context, self._doubts, self._ground, planning=self._planning)
        unlinked = Unlinked(self._context, self._doubts, self._ground, linked, planning=self._planning)
        after = 0
        while numbers := self._store.staging.links(after=after, limit=_CHUNK):
            after = numbers[-1]
            yield from linked.decisions(numbers)
        key = ""
        while keys := self._store.staging.keys(after=key, limit=_CHUNK):
            key = keys[-1]
            yield from unlinked.with_keys(keys)
        place = None
        while True:
            rows, place = self._store.staging.keyless(after=place, limit=_CHUNK)
            if not rows:
                return
            yield from unlinked.without_keys(rows)

    def is_in_doubt(self, key: str | None) -> bool:
        """Whether nobody knows if a record with this key was just created, by this pair or another one on its resources."""
        return key in self._doubts.keys

    def without_restoring(self, decision: Decision, side: Side) -> Decision:
        """The same question where a side turned out to have nothing left to restore."""
        capabilities = {**self._ground.capabilities, side: replace(self._ground.capabilities[side], restores=False)}
        halves = {each: decision.half(each) for each in Side}
        return self.again(decision, halves, replace(self._ground, capabilities=capabilities))

    def again(self, decision: Decision, halves: Mapping[Side, Half], ground: Ground | None = None) -> Decision:
        """The same question with fresher evidence: both sides of a link, or of a first contact, as they are now."""
        presence = {side: Presence.PRESENT if halves[side].now is not None else Presence.GONE for side in Side}
        ground = ground or self._ground
        if decision.link is not None:
            pair = self._context.pair.number
            choices = self._store.inbox.choices(pair, [decision.link])
            asked = decision.link in self._store.inbox.asked_deletes(pair)
            ground = replace(ground, choices=choices.get(decision.link, {}), asked=asked)
        state = LinkState.LIVE
        if decision.link is not None and decision.link in (loaded := self._store.links.load([decision.link])):
            link = loaded[decision.link]
            state = LinkState.LIVE if is_undecided(self._context, link, presence) else link.state
        return decide_link(
            self._context.rule,
            ground,
            link=decision.link,
            state=state,
            left=halves[Side.LEFT],
            right=halves[Side.RIGHT],
            presence=presence,
        )
