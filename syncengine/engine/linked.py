"""Deciding about links: what became of either side, and whether they still belong together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from syncengine.core.decision import SAYS_NOTHING, Bucket, Decision, LinkState, Wait
from syncengine.core.detect import Presence
from syncengine.core.ground import Ground
from syncengine.core.merge import Half
from syncengine.core.model import Side
from syncengine.core.plan import decide_link
from syncengine.engine.context import Context
from syncengine.engine.doubts import Doubts
from syncengine.engine.read import fetch, match_key
from syncengine.store.links import Link, LinkSide
from syncengine.store.staging import Staged

FREED = "the id of a deleted record was given to another one, which is matched anew"
"""Why a newcomer waits until the link of who had its id lets go of it."""


class Linked:
    """
    Decides about the links of one pass.

    What it leaves for the records without a link: `survived`, the records of dead links that were decided about, and so counted;
    `revived`, the dead links that live again; `freed`, the newcomers that have the id of a record that is gone.
    """

    def __init__(self, context: Context, doubts: Doubts, ground: Ground, *, planning: bool) -> None:
        self._context = context
        self._store = context.store
        self._doubts = doubts
        self._ground = ground
        self._planning = planning
        self.survived: set[tuple[Side, str]] = set()
        self.revived: set[int] = set()
        self.freed: set[tuple[Side, str]] = set()

    def decisions(self, numbers: Sequence[int]) -> Iterator[Decision]:
        """One decision for each of these links."""
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
                    self.freed.add((side, rows[side].id))
                    yield self._released(rows[side])
                    rows = {side.other: rows[side.other]} if side.other in rows else {}
                    links[number].replace(side, LinkSide(id=None))
                    ground = _asked_anew(ground)
                decision = self._of_link(links[number], rows, ground, number in parked)
                if links[number].state is LinkState.DEAD:
                    delivered = [(each, half) for each in Side if (half := decision.half(each)).delivered]
                    self.survived |= {(each, half.id) for each, half in delivered if half.id is not None}
                    if decision.writes or decision.state not in (None, LinkState.DEAD):
                        self.revived.add(number)  # with a write or without one: where both are there again it lives on
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
        if any(row.key in self._doubts.keys and is_another(self._context, link, row) for row in staged.values()):
            return replace(held, buckets=dict.fromkeys(present, Bucket.IN_DOUBT))
        presence = {side: self._presence(link, side, staged.get(side)) for side in Side}
        here = [side for side in Side if presence[side] is Presence.PRESENT]
        decision = decide_link(
            self._context.rule,
            ground,
            link=link.number,
            state=LinkState.LIVE if is_undecided(self._context, link, presence) else link.state,
            left=halves[Side.LEFT],
            right=halves[Side.RIGHT],
            presence=presence,
        )
        if len(here) == 1 and not ground.choices:
            decision = self._unless_reborn(decision, here[0])
        return held_if_provisional(decision, planning=self._planning)

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
            if (is_changed and may_be_counted(row.id)) or not self._context.remotes[side].capabilities.archives:
                return side
        return None

    def _released(self, row: Staged) -> Decision:
        """The newcomer with a dead link's id waits until the link has let go of it, and is matched in the next pass."""
        half = self._context.half(row)
        alone = Decision.alone(row.side, half, label=self._context.rule.label(row.side, row.fields or {}))
        return replace(alone, waits={row.side: (Wait.DEFERRED, FREED)}, buckets={row.side: Bucket.WAITING})

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


def is_undecided(context: Context, link: Link, presence: Mapping[Side, Presence]) -> bool:
    """
    Whether the deletion of a dead link's partner is still to be decided, for its revival failed, or a newcomer with its key
    stood in the way: what the survivor waits for tells. Such a link counts as live.
    """
    if link.state is not LinkState.DEAD or all(presence[side] is Presence.PRESENT for side in Side):
        return False
    ids = {side: id_ for side in Side if (id_ := link.side(side).id) is not None}
    pair, records = context.pair.number, context.store.records
    return any(
        row.reason not in SAYS_NOTHING for side, id_ in ids.items() for row in records.pending_of(pair, side, [id_]).values()
    )


def is_another(context: Context, link: Link, row: Staged) -> bool:
    """
    Whether a record of a link has another key than when its sides last agreed, and an id that its system may have counted up to:
    where a create is in doubt, it may be what that made in the place of one that is gone.
    """
    if row.presence is not Presence.PRESENT or row.key is None or not may_be_counted(row.id):
        return False
    return match_key(context, row.side, link.side(row.side).shadow) not in (None, row.key)


def held_if_provisional(decision: Decision, *, planning: bool) -> Decision:
    """No link stores an id that is not lasting: a plan shows such a record's future, a run waits until it has an id."""
    if planning or not any(decision.half(side).provisional for side in Side):
        return decision
    return replace(decision, hold=True, buckets=dict.fromkeys(decision.buckets, Bucket.WAITING))


def may_be_counted(id_: str) -> bool:
    """Whether a system may have counted up to an id, so that it gives it out once more. A UUID, say, is given out once."""
    return not any(map(str.isalpha, id_))


def _asked_anew(ground: Ground) -> Ground:
    """A person's word about a record whose partner was gone lapses once that one's id is seen again, whoever has it now."""
    if None not in ground.choices:
        return ground
    return replace(ground, choices={name: choice for name, choice in ground.choices.items() if name is not None}, asked=True)
