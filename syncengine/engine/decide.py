"""
From staged rows to decisions, in chunks: links first, then records without one, by match key.

Deciding is repeatable: a plan runs it to count and to show, the same run runs it again to apply.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from syncengine.core.creates import create_fields
from syncengine.core.decision import SAYS_NOTHING, Ask, AskKind, Bucket, Decision, LinkState, Wait
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
from syncengine.engine.read import fetch, match_key
from syncengine.store.links import Link, LinkSide
from syncengine.store.staging import Staged

_CHUNK = 500
_FREED = "the id of a deleted record was given to another one, which is matched anew"


class Decider:
    """Makes the decisions of one run."""

    def __init__(self, context: Context, doubts: Doubts, *, planning: bool) -> None:
        self._context = context
        self._planning = planning
        self._doubts = doubts
        self._store = context.store
        self._met: set[tuple[Side, str]] = set()
        self._survived: set[tuple[Side, str]] = set()
        self._revived: set[int] = set()
        self._freed: set[tuple[Side, str]] = set()
        self._brought: set[tuple[Side, str]] = set()
        self._last_key = ""
        left, right = (context.remotes[side].capabilities for side in Side)
        resolutions = [capabilities.clock_resolution for capabilities in (left, right)]
        slack = None
        if None not in resolutions:
            slack = max(context.rule.spec.tolerance, *(resolution for resolution in resolutions if resolution is not None))
        self._ground = Ground(
            resolve=context.resolver.resolve,
            locate=context.resolver.locate,
            capabilities={side: context.remotes[side].capabilities for side in Side},
            clock_slack=slack,
            creates={side: create_fields(context.rule, side) for side in Side},
        )

    def decisions(self) -> Iterator[Decision]:
        """One decision for every staged row: links in order of their number, then records without a link."""
        self._met.clear()
        self._survived.clear()
        self._revived.clear()
        self._freed.clear()
        self._brought.clear()
        if self._store.staging.is_empty:
            return
        after = 0
        while numbers := self._store.staging.links(after=after, limit=_CHUNK):
            after = numbers[-1]
            yield from self._of_links(numbers)
        key = ""
        while keys := self._store.staging.keys(after=key, limit=_CHUNK):
            key = keys[-1]
            yield from self._of_keys(keys)
        place = None
        while True:
            rows, place = self._store.staging.keyless(after=place, limit=_CHUNK)
            if not rows:
                return
            for row in rows:
                if (row.side, row.id) not in self._met:
                    yield self._keyless(row)

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
            state = LinkState.LIVE if self._is_undecided(link, presence) else link.state
        return decide_link(
            self._context.rule,
            ground,
            link=decision.link,
            state=state,
            left=halves[Side.LEFT],
            right=halves[Side.RIGHT],
            presence=presence,
        )

    def _of_links(self, numbers: Sequence[int]) -> Iterator[Decision]:
        pair = self._context.pair.number
        links = self._store.links.load(numbers)
        staged = self._with_whole_records(links, self._store.staging.of_links(numbers))
        choices = self._store.inbox.choices(pair, numbers)
        asked = self._store.inbox.asked_deletes(pair)
        parked = self._parked(links, staged)
        for number in numbers:
            if number in links:
                ground = self._ground
                if number in choices or number in asked:
                    ground = replace(ground, choices=choices.get(number, {}), asked=number in asked)
                rows = staged[number]
                if (side := self._newcomer(links[number], rows)) is not None:
                    self._freed.add((side, rows[side].id))
                    yield self._released(rows[side])
                    rows = {side.other: rows[side.other]} if side.other in rows else {}
                    links[number].replace(side, LinkSide(id=None))
                    ground = _asked_anew(ground)
                decision = self._of_link(links[number], rows, ground, number in parked)
                if links[number].state is LinkState.DEAD:
                    delivered = [(each, half) for each in Side if (half := decision.half(each)).delivered]
                    self._survived |= {(each, half.id) for each, half in delivered if half.id is not None}
                    if decision.writes or decision.state not in (None, LinkState.DEAD):
                        self._revived.add(number)  # with a write or without one: where both are there again it lives on
                yield decision

    def _with_whole_records(
        self, links: Mapping[int, Link], staged: dict[int, dict[Side, Staged]]
    ) -> dict[int, dict[Side, Staged]]:
        """
        The same rows, and those of partners that the state does not know whole: read by id.

        A record that was not delivered holds what the state knows of it. But a field without a base (the sides differed when they
        met) is not blank: nobody knows what it holds.
        """
        natives = {side: {rule.native(side) for rule in self._context.rule.fields} for side in Side}
        wanted: dict[Side, list[str]] = {Side.LEFT: [], Side.RIGHT: []}
        for number, link in links.items():
            for side in Side:
                stored = link.side(side)
                if side in staged[number] or stored.id is None:
                    continue
                if not natives[side] <= (stored.shadow if stored.aside is None else stored.aside).keys():
                    wanted[side].append(stored.id)
        if not any(wanted.values()):
            return staged
        for side, ids in wanted.items():
            fetch(self._context, side, ids)
        return self._store.staging.of_links(list(staged))

    def _of_link(self, link: Link, staged: Mapping[Side, Staged], ground: Ground, is_parked: bool) -> Decision:
        halves = {side: self._half(link, side, staged.get(side)) for side in Side}
        present = [side for side in Side if side in staged and staged[side].presence is Presence.PRESENT]
        held = Decision(link=link.number, left=halves[Side.LEFT], right=halves[Side.RIGHT], label="", hold=True)
        if link.number in self._doubts.links or link.state is LinkState.CREATING:
            return replace(held, buckets=dict.fromkeys(present, Bucket.IN_DOUBT))
        if is_parked and not ground.choices:
            return replace(held, buckets=dict.fromkeys(present, Bucket.QUARANTINED))
        presence = {side: self._presence(link, side, staged.get(side)) for side in Side}
        here = [side for side in Side if presence[side] is Presence.PRESENT]
        decision = decide_link(
            self._context.rule,
            ground,
            link=link.number,
            state=LinkState.LIVE if self._is_undecided(link, presence) else link.state,
            left=halves[Side.LEFT],
            right=halves[Side.RIGHT],
            presence=presence,
        )
        if len(here) == 1 and not ground.choices:
            decision = self._unless_reborn(decision, here[0])
        return self._held_if_provisional(decision)

    def _is_undecided(self, link: Link, presence: Mapping[Side, Presence]) -> bool:
        """
        Whether the deletion of a dead link's partner is still to be decided, for its revival failed, or a newcomer with its key
        stood in the way: what the survivor waits for tells. Such a link counts as live.
        """
        if link.state is not LinkState.DEAD or all(presence[side] is Presence.PRESENT for side in Side):
            return False
        ids = {side: id_ for side in Side if (id_ := link.side(side).id) is not None}
        pair, records = self._context.pair.number, self._store.records
        return any(
            row.reason not in SAYS_NOTHING for side, id_ in ids.items() for row in records.pending_of(pair, side, [id_]).values()
        )

    def _unless_reborn(self, decision: Decision, survivor: Side) -> Decision:
        """
        The same decision, unless the vanished record came back under another id: then nothing is removed, restored or asked.

        A free record with the survivor's key stands where its partner was (a row deleted and inserted again, a contact made
        anew): the link is dead, and the next pass matches the two by their key like any others.
        """
        half = decision.half(survivor)
        if not (decision.writes or decision.asks) or half.now is None:
            return decision
        key = match_key(self._context, survivor, half.now)
        if key is None:
            return decision
        members = self._store.staging.groups(self._context.pair.number, [key])[key][survivor.other]
        if all(member.link is not None for member in members):
            return decision  # whoever has a link, be it a dead one, is nobody new
        # One that was settled alone (it is outside the filter, say) was not staged: from here on it is to be matched as well.
        free = [member.id for member in members if member.link is None]
        staged = self._store.staging.present(survivor.other, free)
        fetch(self._context, survivor.other, [id_ for id_ in free if id_ not in staged])
        why = f"its partner on the {survivor.other.value} came back under another id: they are matched anew"
        wait, bucket = Wait.DEFERRED, Bucket.WAITING
        if len(members) > 1:
            why = f"its partner is gone, and {len(members)} records on the {survivor.other.value} have its key now"
            wait, bucket = Wait.AMBIGUOUS, Bucket.AMBIGUOUS
        return Decision(
            link=decision.link,
            left=decision.left,
            right=decision.right,
            label=decision.label,
            state=LinkState.DEAD,
            waits={survivor: (wait, why)},
            buckets={survivor: bucket},
        )

    def _newcomer(self, link: Link, staged: Mapping[Side, Staged]) -> Side | None:
        """
        The side of a dead link where the id of the record that is gone came back with another key: systems that count ids use
        the last one again.

        A record that came back with its key is itself again, and its link lives on. So is one that comes back to a system with an
        archive, unless the id may have been counted and nothing is left of all else that it held.
        """
        if link.state is not LinkState.DEAD:
            return None
        for side, row in staged.items():
            if row.presence is not Presence.PRESENT or row.id != link.side(side).id:
                continue
            if self._store.records.known(self._context.pair.number, side, [row.id]):
                continue
            shadow = link.side(side).shadow
            key = match_key(self._context, side, shadow)
            if key is None or row.key is None or key == row.key:
                continue
            keys = {field_rule.native(side) for field_rule in self._context.rule.match}
            held = {name: value for name, value in shadow.items() if name not in keys and value not in (None, "", [])}
            is_changed = held and all((row.fields or {}).get(name) != value for name, value in held.items())
            if (is_changed and _may_be_counted(row.id)) or not self._context.remotes[side].capabilities.archives:
                return side
        return None

    def _released(self, row: Staged) -> Decision:
        """The newcomer with a dead link's id waits until the link has let go of it, and is matched in the next pass."""
        half = self._context.half(row)
        alone = _alone(row.side, half, label=self._context.rule.label(row.side, row.fields or {}))
        return replace(alone, waits={row.side: (Wait.DEFERRED, _FREED)}, buckets={row.side: Bucket.WAITING})

    def _half(self, link: Link, side: Side, staged: Staged | None) -> Half:
        stored = link.side(side)
        common = {"base": stored.shadow, "unconfirmed": stored.unconfirmed}
        if staged is None:
            now = stored.aside if stored.aside is not None else stored.shadow
            return Half(id=stored.id, now=now if stored.id is not None else None, version=stored.version, **common)  # type: ignore[arg-type]
        unmoved = staged.version is not None and staged.version == stored.version
        return replace(self._context.half(staged), unmoved=unmoved, **common)  # type: ignore[arg-type]

    def _presence(self, link: Link, side: Side, staged: Staged | None) -> Presence:
        if staged is not None:
            return staged.presence
        id_ = link.side(side).id
        if id_ is None:
            return Presence.GONE
        if link.state is LinkState.DEAD and not self._store.records.known(self._context.pair.number, side, [id_]):
            return Presence.GONE
        return Presence.PRESENT

    def _parked(self, links: Mapping[int, Link], staged: Mapping[int, Mapping[Side, Staged]]) -> set[int]:
        """The links in quarantine whose records still hold exactly what they held when they were parked."""
        moved: set[int] = set()
        parked: set[int] = set()
        for side in Side:
            rows = {row.id: number for number, sides in staged.items() if (row := sides.get(side)) is not None}
            for id_, pending in self._store.records.pending_of(self._context.pair.number, side, list(rows)).items():
                number = rows[id_]
                if pending.reason is not Wait.QUARANTINED or number not in links:
                    continue
                parked.add(number)
                if pending.fingerprint != staged[number][side].fingerprint:
                    moved.add(number)
        return parked - moved

    def _of_keys(self, keys: Sequence[str]) -> Iterator[Decision]:
        self._last_key = keys[-1]
        free = self._store.staging.free(keys)
        groups = self._store.staging.groups(self._context.pair.number, keys)
        self._bring_partners(free, groups)
        parked = self._parked_singles([row for rows in free.values() for row in rows])
        for key in keys:
            done: set[tuple[Side, str]] = set()
            for row in free.get(key, ()):
                if (row.side, row.id) in done:
                    continue
                decision = self._of_key(key, row, groups[key], parked)
                done |= {(side, id_) for side in Side if (id_ := decision.half(side).id) is not None}
                yield decision

    def _of_key(self, key: str, row: Staged, group: Mapping[Side, Sequence[Member]], parked: set[tuple[Side, str]]) -> Decision:
        half, found = self._context.half(row), match(group, row.side)
        is_held = self._is_held(key, row)
        if found is Match.NEW and not is_held and (row.side, row.id) not in parked:
            decision = decide_single(self._context.rule, self._ground, side=row.side, half=half, key=key)
            return self._held_if_provisional(decision)
        label = self._context.rule.label(row.side, row.fields or {})
        alone = _alone(row.side, half, label=label, key=key)
        if is_held:
            return replace(alone, hold=True, buckets={row.side: Bucket.IN_DOUBT})
        match found:
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
                return self._held_if_provisional(self._pair(row, half, partner, key, alone))

    def is_in_doubt(self, key: str | None) -> bool:
        """Whether nobody knows if a record with this key was just created, by this pair or another one on its resources."""
        return key in self._doubts.keys

    def _is_held(self, key: str, row: Staged) -> bool:
        """Whether nothing is decided about a record, for a create in doubt has its key or may have made it."""
        return self.is_in_doubt(key) or self._may_be_ours(row)

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

    def _held_if_provisional(self, decision: Decision) -> Decision:
        """No link stores an id that is not lasting: a plan shows such a record's future, a run waits until it has an id."""
        if self._planning or not any(decision.half(side).provisional for side in Side):
            return decision
        return replace(decision, hold=True, buckets=dict.fromkeys(decision.buckets, Bucket.WAITING))

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
        if (found.side, found.id) in self._freed:
            return replace(alone, waits={row.side: (Wait.DEFERRED, _FREED)}, buckets={row.side: Bucket.WAITING})
        if found.link in self._revived:
            why = f"its partner on the {row.side.other.value} is about to get its old partner back"
            return self._both_wait(alone, row, found, why)
        halves = {row.side: half, row.side.other: self._context.half(found)}
        decision = decide_link(
            self._context.rule,
            self._ground,
            link=None,
            state=LinkState.LIVE,
            left=halves[Side.LEFT],
            right=halves[Side.RIGHT],
            presence=dict.fromkeys(Side, Presence.PRESENT),
        )
        if (found.side, found.id) in self._survived:
            # The partner survived a dead link, which counted it already.
            decision = replace(decision, buckets={row.side: decision.buckets[row.side]})
        return replace(decision, key=key)

    def _both_wait(self, alone: Decision, row: Staged, found: Staged, why: str) -> Decision:
        """
        The record waits for the reason, or is held where there is none; and its partner with it, if that was brought in too late
        to be decided about on its own.
        """
        halves = {row.side: self._context.half(row)}
        if found.link is None:
            is_late = (found.side, found.id) in self._brought and found.key is not None and found.key <= self._last_key
        else:
            is_late = (found.side, found.id) not in self._survived
        if is_late:
            halves[found.side] = self._context.half(found)
        return replace(
            alone,
            left=halves.get(Side.LEFT, alone.left),
            right=halves.get(Side.RIGHT, alone.right),
            hold=not why,
            waits=dict.fromkeys(halves, (Wait.DEFERRED, why)) if why else {},
            buckets=dict.fromkeys(halves, Bucket.WAITING if why else Bucket.IN_DOUBT),
        )

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

    def _keyless(self, row: Staged) -> Decision:
        """A record without a key: by policy; or one whose key cannot be told yet, which waits."""
        half = self._context.half(row)
        alone = _alone(row.side, half, label="")
        if row.presence is Presence.GONE:
            return replace(alone, state=LinkState.ENDED)
        if row.presence is Presence.UNKNOWN:
            return replace(alone, waits={row.side: (Wait.UNREAD, "it could not be read by id")})
        alone = replace(alone, label=self._context.rule.label(row.side, row.fields or {}))
        if self._parked_singles([row]):
            return replace(alone, hold=True, buckets={row.side: Bucket.QUARANTINED})
        try:
            key = self._context.rule.key(row.side, row.fields or {}, self._context.resolver.resolve)
        except UnresolvedKey as problem:
            return replace(alone, waits={row.side: (Wait.REFERENCE, str(problem))}, buckets={row.side: Bucket.WAITING})
        except Unmappable as problem:
            return replace(alone, waits={row.side: (Wait.QUARANTINED, str(problem))}, buckets={row.side: Bucket.QUARANTINED})
        if key is not None:
            why = "its key could be told only just now"
            return replace(alone, waits={row.side: (Wait.DEFERRED, why)}, buckets={row.side: Bucket.WAITING})
        if row.side in self._doubts.keyless or row.side.other in self._doubts.keyless or self._may_be_ours(row):
            return replace(alone, hold=True, buckets={row.side: Bucket.IN_DOUBT})
        decision = self._again_met(row, half)
        if decision is None:
            decision = decide_single(self._context.rule, self._ground, side=row.side, half=half, key=None)
        return self._held_if_provisional(decision)

    def _again_met(self, row: Staged, half: Half) -> Decision | None:
        """A record without a key whose partner a rebuilt state still knows by id: linked as if for the first time."""
        id_ = self._store.links.former(self._context.pair.number, row.side, row.id)
        partner = self._store.staging.get(row.side.other, [id_]).get(id_) if id_ is not None else None
        if partner is None or partner.presence is not Presence.PRESENT or partner.link is not None or partner.key is not None:
            return None
        self._met.add((partner.side, partner.id))
        halves = {row.side: half, partner.side: self._context.half(partner)}
        return decide_link(
            self._context.rule,
            self._ground,
            link=None,
            state=LinkState.LIVE,
            left=halves[Side.LEFT],
            right=halves[Side.RIGHT],
            presence=dict.fromkeys(Side, Presence.PRESENT),
        )


def _may_be_counted(id_: str) -> bool:
    """Whether a system may have counted up to an id, so that it gives it out once more. A UUID, say, is given out once."""
    return not any(map(str.isalpha, id_))


def _asked_anew(ground: Ground) -> Ground:
    """A person's word about a record whose partner was gone lapses once that one's id is seen again, whoever has it now."""
    if None not in ground.choices:
        return ground
    return replace(ground, choices={name: choice for name, choice in ground.choices.items() if name is not None}, asked=True)


def _alone(side: Side, half: Half, *, label: str, key: str | None = None) -> Decision:
    nobody = Half(id=None, now=None)
    left, right = (half, nobody) if side is Side.LEFT else (nobody, half)
    return Decision(link=None, left=left, right=right, label=label, key=key)
