"""Deciding about records without a link: matched by key, or by id in a rebuilt state; created on the other side; left alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from syncengine.core.decision import Ask, AskKind, Bucket, Decision, LinkState, Wait
from syncengine.core.detect import Presence
from syncengine.core.ground import Ground
from syncengine.core.mapping import Unmappable, UnresolvedKey
from syncengine.core.matching import Match, Member, match
from syncengine.core.merge import Half
from syncengine.core.model import Side
from syncengine.core.plan import decide_link
from syncengine.core.singles import decide_single
from syncengine.engine.context import Context
from syncengine.engine.doubts import Doubts
from syncengine.engine.likeness import are_alike
from syncengine.engine.linked import FREED, Linked, held_if_provisional, may_be_counted
from syncengine.engine.read import fetch
from syncengine.store.staging import Staged


class Unlinked:
    """Decides about the records without a link of one pass, after the links: `linked` tells what became of those."""

    def __init__(self, context: Context, doubts: Doubts, ground: Ground, linked: Linked, *, planning: bool) -> None:
        self._context = context
        self._store = context.store
        self._doubts = doubts
        self._ground = ground
        self._linked = linked
        self._planning = planning
        self._met: set[tuple[Side, str]] = set()
        self._alone: set[tuple[Side, str]] = set()
        self._brought: set[tuple[Side, str]] = set()
        self._last_key: str | None = ""
        self._is_rebuilt = self._store.links.has_former(context.pair.number)

    def with_keys(self, keys: Sequence[str]) -> Iterator[Decision]:
        """One decision for every record that has one of these keys, or for two that belong together."""
        self._last_key = keys[-1]
        free = self._store.staging.free(keys)
        groups = self._store.staging.groups(self._context.pair.number, keys)
        self._bring_partners(free, groups)
        parked = self._parked_singles([row for rows in free.values() for row in rows])
        for key in keys:
            done: set[tuple[Side, str]] = set()
            for row in free.get(key, ()):
                if (row.side, row.id) in done or (row.side, row.id) in self._met:
                    continue
                decision = self._of_key(key, row, groups[key], parked)
                done |= {(side, id_) for side in Side if (id_ := decision.half(side).id) is not None}
                yield decision

    def _of_key(self, key: str, row: Staged, group: Mapping[Side, Sequence[Member]], parked: set[tuple[Side, str]]) -> Decision:
        half, found = self._context.half(row), match(group, row.side)
        is_held = self._is_held(key, row)
        is_free = found is Match.NEW and not is_held
        if is_free and not self._is_rebuilt and (row.side, row.id) not in parked:
            return self._single(half, row.side, key)
        label = self._context.rule.label(row.side, row.fields or {})
        alone = Decision.alone(row.side, half, label=label, key=key)
        if is_held:
            return replace(alone, hold=True, buckets={row.side: Bucket.IN_DOUBT})
        if is_free and (decision := self._again_met(row, half, alone)) is not None:
            return held_if_provisional(replace(decision, key=key), planning=self._planning)
        match found:
            case Match.NEW if (row.side, row.id) not in parked:
                return self._single(half, row.side, key)
            case Match.AMBIGUOUS:
                counts = " and ".join(f"{len(group[side])} on the {side.value}" for side in Side)
                why = f"{counts} share this key: merge them, or change the key of all but one"
                return replace(
                    alone,
                    asks=(Ask(kind=AskKind.DUPLICATE, field=None, why=why),),
                    waits={row.side: (Wait.AMBIGUOUS, why)},
                    buckets={row.side: Bucket.AMBIGUOUS},
                )
            case Match.TAKEN:
                why = f"the {row.side.other.value} record with this key is linked to another record, whose key may be on the move"
                return replace(alone, waits={row.side: (Wait.DEFERRED, why)}, buckets={row.side: Bucket.WAITING})
            case Match.NEW:
                return replace(alone, hold=True, buckets={row.side: Bucket.QUARANTINED})
            case Match.PAIR:
                partner = group[row.side.other][0]
                return held_if_provisional(self._pair(row, half, partner, key, alone), planning=self._planning)

    def _single(self, half: Half, side: Side, key: str | None) -> Decision:
        if self._is_rebuilt and half.id is not None:
            self._alone.add((side, half.id))
        decision = decide_single(self._context.rule, self._ground, side=side, half=half, key=key)
        return held_if_provisional(decision, planning=self._planning)

    def _is_held(self, key: str | None, row: Staged) -> bool:
        """Whether nothing is decided about a record, for a create in doubt has its key, or may have made it."""
        is_in_doubt = key in self._doubts.keys if key is not None else bool(self._doubts.keyless)
        return is_in_doubt or self._may_be_ours(row)

    def _may_be_ours(self, row: Staged) -> bool:
        """Whether the record appeared since a create that is in doubt on its side."""
        windows = self._doubts.newer.get(row.side)
        if windows is None:
            return False
        known = self._store.records.known(self._context.pair.number, row.side, [row.id])
        number = known[0][2] if known else None
        return any(
            upto is None if number is None else after < number and (upto is None or number <= upto) for after, upto in windows
        )

    def _pair(self, row: Staged, half: Half, partner: Member, key: str, alone: Decision) -> Decision:
        found = self._store.staging.get(row.side.other, [partner.id]).get(partner.id)
        if found is None or found.presence is not Presence.PRESENT:
            why = f"its partner on the {row.side.other.value} could not be read by id"
            return replace(alone, waits={row.side: (Wait.UNREAD, why)}, buckets={row.side: Bucket.WAITING})
        if found.key != key:
            why = f"its partner on the {row.side.other.value} changed its key just now"
            return self._both_wait(alone, row, found, why)
        if found.link is None and self._may_be_ours(found):
            return self._both_wait(alone, row, found, "")
        if (found.side, found.id) in self._linked.freed:
            return replace(alone, waits={row.side: (Wait.DEFERRED, FREED)}, buckets={row.side: Bucket.WAITING})
        if found.link in self._linked.revived:
            why = f"its partner on the {row.side.other.value} is about to get its old partner back"
            return self._both_wait(alone, row, found, why)
        halves = {row.side: half, row.side.other: self._context.half(found)}
        decision = self._first_contact(halves)
        if (found.side, found.id) in self._linked.survived:
            # The partner survived a dead link, which counted it already.
            decision = replace(decision, buckets={row.side: decision.buckets[row.side]})
        return replace(decision, key=key)

    def _both_wait(self, alone: Decision, row: Staged, found: Staged, why: str) -> Decision:
        """
        The record waits for the reason, or is held where there is none; and its partner with it, if that was brought in too late
        to be decided about on its own.
        """
        halves = {row.side: self._context.half(row)}
        if self._missed_its_turn(found):
            halves[found.side] = self._context.half(found)
            self._met.add((found.side, found.id))
        return _put_off(alone, halves, why)

    def _missed_its_turn(self, found: Staged) -> bool:
        """Whether a partner was brought in too late to be decided about on its own."""
        if found.link is not None:
            return (found.side, found.id) not in self._linked.survived
        has_passed = self._last_key is None or (found.key is not None and found.key <= self._last_key)
        return has_passed and (found.side, found.id) in self._brought

    def _bring_partners(
        self, free: Mapping[str, Sequence[Staged]], groups: Mapping[str, Mapping[Side, Sequence[Member]]]
    ) -> None:
        """Known records that turn out to be partners were unchanged, and so not staged: read them by id."""
        wanted: dict[Side, list[str]] = {Side.LEFT: [], Side.RIGHT: []}
        for key, rows in free.items():
            for row in rows:
                if match(groups[key], row.side) is Match.PAIR and not self._is_held(key, row):
                    wanted[row.side.other].append(groups[key][row.side.other][0].id)
        for side, ids in wanted.items():
            staged = self._store.staging.present(side, ids)
            missing = [id_ for id_ in ids if id_ not in staged]
            fetch(self._context, side, missing)
            self._brought |= {(side, id_) for id_ in missing}

    def _parked_singles(self, rows: Sequence[Staged]) -> set[tuple[Side, str]]:
        parked = set()
        for side in Side:
            prints = {row.id: row.fingerprint for row in rows if row.side is side}
            for id_, pending in self._store.records.pending_of(self._context.pair.number, side, list(prints)).items():
                if pending.reason is Wait.QUARANTINED and pending.fingerprint == prints[id_]:
                    parked.add((side, id_))
        return parked

    def without_keys(self, rows: Sequence[Staged]) -> Iterator[Decision]:
        """One decision for each of these records without a key, or for two that a rebuilt state knows by their ids."""
        self._last_key = None
        for row in rows:
            if (row.side, row.id) not in self._met:
                yield self._keyless(row)

    def _keyless(self, row: Staged) -> Decision:
        """A record without a key: by policy; or one whose key cannot be told yet, which waits."""
        half = self._context.half(row)
        alone = Decision.alone(row.side, half, label="")
        if row.presence is Presence.GONE:
            return replace(alone, state=LinkState.ENDED)
        if row.presence is Presence.UNKNOWN:
            return replace(alone, waits={row.side: (Wait.UNREAD, "it could not be read by id")})
        alone = replace(alone, label=self._context.rule.label(row.side, row.fields or {}))
        in_doubt = self._is_held(None, row)
        if self._parked_singles([row]):
            parked = replace(alone, hold=True, buckets={row.side: Bucket.QUARANTINED})
            return (None if in_doubt else self._again_met(row, half, alone)) or parked
        try:
            key = self._context.rule.key(row.side, row.fields or {}, self._context.resolver.resolve)
        except UnresolvedKey as problem:
            return replace(alone, waits={row.side: (Wait.REFERENCE, str(problem))}, buckets={row.side: Bucket.WAITING})
        except Unmappable as problem:
            return replace(alone, waits={row.side: (Wait.QUARANTINED, str(problem))}, buckets={row.side: Bucket.QUARANTINED})
        if key is not None:
            why = "its key could be told only just now"
            return replace(alone, waits={row.side: (Wait.DEFERRED, why)}, buckets={row.side: Bucket.WAITING})
        if in_doubt:
            return replace(alone, hold=True, buckets={row.side: Bucket.IN_DOUBT})
        decision = self._again_met(row, half, alone)
        return self._single(half, row.side, None) if decision is None else held_if_provisional(decision, planning=self._planning)

    def _again_met(self, row: Staged, half: Half, alone: Decision) -> Decision | None:
        """
        A record without a key, or with one that nobody has on the other side, whose partner a rebuilt state still knows by id:
        linked as if for the first time. What a listing does not show, for it lags or was cut short, is read by id, before a
        second partner is made.
        """
        id_ = self._store.links.former(self._context.pair.number, row.side, row.id) if self._is_rebuilt else None
        if id_ is None or (row.side.other, id_) in self._met or (row.side.other, id_) in self._alone:
            return None
        is_late = not self._store.staging.present(row.side.other, [id_])
        if is_late:
            fetch(self._context, row.side.other, [id_])
            self._brought.add((row.side.other, id_))
        partner = self._store.staging.get(row.side.other, [id_]).get(id_)
        if partner is not None and partner.presence is Presence.UNKNOWN:
            why = f"its partner on the {row.side.other.value} of before the state was rebuilt could not be read by id"
            return replace(alone, waits={row.side: (Wait.UNREAD, why)}, buckets={row.side: Bucket.WAITING})
        if partner is None or partner.presence is Presence.GONE:
            return None
        if partner.link is None and self._is_held(partner.key, partner):
            return self._both_wait(alone, row, partner, "")
        halves = {row.side: half, partner.side: self._context.half(partner)}
        if partner.link is not None or self._is_another(row, partner):
            if is_late and (partner.link is not None or self._missed_its_turn(partner)):
                # It is decided about in the next pass.
                return _put_off(alone, halves, "its partner of before the state was rebuilt is another one's now")
            return None
        self._met |= {(row.side, row.id), (partner.side, partner.id)}
        return self._first_contact(halves)

    def _is_another(self, row: Staged, partner: Staged) -> bool:
        """
        Whether the partner of before the state was rebuilt is somebody else's by now, or somebody else: it has a key that another
        record has as well; or the keys differ, and so does most of what the two hold, where an id may have been given out again.
        """
        if partner.key is not None:
            group = self._store.staging.groups(self._context.pair.number, [partner.key])[partner.key]
            if match(group, partner.side) is not Match.NEW:
                return True
        if row.key == partner.key or not (may_be_counted(row.id) or may_be_counted(partner.id)):
            return False
        return not are_alike(self._context, {each.side: each.fields or {} for each in (row, partner)})

    def _first_contact(self, halves: Mapping[Side, Half]) -> Decision:
        """Two records without a link, of which each is the other's counterpart."""
        return decide_link(
            self._context.rule,
            self._ground,
            link=None,
            state=LinkState.LIVE,
            left=halves[Side.LEFT],
            right=halves[Side.RIGHT],
            presence=dict.fromkeys(Side, Presence.PRESENT),
        )


def _put_off(alone: Decision, halves: Mapping[Side, Half], why: str) -> Decision:
    """The records wait for the reason, or are held where there is none."""
    return replace(
        alone,
        left=halves.get(Side.LEFT, alone.left),
        right=halves.get(Side.RIGHT, alone.right),
        hold=not why,
        waits=dict.fromkeys(halves, (Wait.DEFERRED, why)) if why else {},
        buckets=dict.fromkeys(halves, Bucket.WAITING if why else Bucket.IN_DOUBT),
    )
