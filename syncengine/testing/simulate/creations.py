"""Creates and revivals: a record has one counterpart, no twin beside it, and what a person deleted stays away."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from syncengine.connector import Create, FieldType, Native
from syncengine.core.model import Side
from syncengine.testing.simulate.crash import Violation
from syncengine.testing.simulate.farside import Row
from syncengine.testing.simulate.ghost import NOTHING, Atom, atoms
from syncengine.testing.simulate.judge import STRANGE, Judge
from syncengine.testing.simulate.moments import Probe, Sent
from syncengine.testing.simulate.shapes import EMAIL, Shape


class Creations(Judge):
    """Judges what makes a record, or brings one back."""

    def _create(self, side: Side, change: Create, sent: Sent, after: Mapping[str, Native]) -> None:
        ghost, counts = self._ghost, self._counts
        source = sent.id(side.other)
        counts["I5"] += 1
        if source is not None:
            here = self.far[side].live
            made = [id_ for id_ in ghost.made_for.get((side, source), ()) if id_ in here]
            alive = [
                id_
                for id_ in made
                if not self._ledger.has_another(side, id_, source) and not self._was_replaced(side, id_, source)
            ]
            if alive and all(self.is_past_recognition(side, id_) for id_ in alive):
                self._excuse("made twice, for the first was edited beyond recognition while in doubt", None)
            elif alive and any(self.has_hidden.values()):
                self._excuse("made twice, for its system had denied the first", None)
            elif alive and all(self.was_away(side, id_) for id_ in alive):
                # 2.8, the last column: only if a person takes our new record away before we learn of it; here it came back too.
                self._excuse("made twice, for a person took the first away while in doubt, and brought it back", None)
            elif alive and self.late_from is not None and all(self._came_back(side, id_, change.key) for id_ in alive):
                self._excuse("made twice, for the first came back while the request was on its way", None)
            elif alive and all(self._was_seen_gone(side, id_) for id_ in alive):
                self._excuse("made twice, for the first came back between the look and the create", None)
            elif alive and all(self._looks_new(side.other, source, id_, sent) for id_ in alive):
                self._excuse("made twice, for nothing but a number was left of its source when it came back", None)
            elif alive:
                raise Violation("I5", f"a second record on the {side.value} for {source}: {alive[0]} is there already")
            origin = ghost.made_from.get((side.other, source))
            if origin is None or origin not in here or ghost.partner.get((side.other, source)) not in (None, origin):
                pass
            elif sent.record not in (None, origin):
                pass  # a person gave it the key of another record, by which it was found when that one's create was in doubt
            elif self._ledger.has_another(side, origin, source):
                pass  # ours was taken away, its origin got another partner, and then a person brought ours back
            elif ghost.born[side, origin] > ghost.strong_read.get((side, origin), -1):
                self._excuse("mirrored back, for its origin came back between the look and the create", None)
            elif self._came_back(side, origin, change.key):
                # 3.4, create: what is in doubt is sent again first of all, for nothing else tells what became of it.
                self._excuse("mirrored back by a replay, for its origin came back since it was first sent", None)
            elif self.was_away(side.other, source):
                # As above, but its origin has another key by now, or it has: nothing tells any more that the two belong together.
                self._excuse("mirrored back, for a person took it away while in doubt, and brought it back", None)
            elif self.is_past_recognition(side.other, source):
                self._excuse("mirrored back, for it was edited beyond recognition while in doubt", None)
            elif any(self.has_hidden.values()):
                self._excuse("mirrored back, for its system had denied having it", None)
            elif self._looks_new(side.other, source, origin, sent):
                self._excuse("mirrored back, for nothing but a number was left of it when it came back", None)
            else:
                raise Violation("I5", f"our own record {source} was mirrored back although its origin {origin} lives")
            self._resurrection(side, source, sent)
            self._not_met_again(side, source)
        self._twin(side, change.key, after)
        self.bounds.check_create(side, sent, after)
        for shape in self._setup.fields:
            self._no_invention(shape, NOTHING, atoms(shape, after[shape.native(side)]))

    def _not_met_again(self, side: Side, source: str) -> None:
        """
        A rebuilt state knows two records by their ids: those without a key, and those of whose keys each is one record's only,
        where what they hold is mostly the same.
        """
        ghost = self._ghost
        partner, rebuilt = ghost.once.get((side.other, source), ("", 0))
        if partner not in self.far[side].live or ghost.born[side, partner] > rebuilt or any(self.has_hidden.values()):
            return
        both = {side.other: source, side: partner}
        keys = [ghost.cells[each, id_, self._setup.email.name][-1] for each, id_ in both.items()]
        if max(key.seq for key in keys) > rebuilt:
            return
        if any(key.atoms for key in keys) and not self._are_still_alike(both, rebuilt):
            return
        if any(ghost.had_key_since(rebuilt, key.atoms, both.items()) for key in keys if key.atoms):
            return
        raise Violation("I5", f"{source} and {partner} on the {side.value} were linked before the state was rebuilt")

    def _are_still_alike(self, both: Mapping[Side, str], rebuilt: int) -> bool:
        """Whether two records agree in more than they differ in, and could be seen to ever since the state was rebuilt."""
        ghost, alike = self._ghost, 0
        if any(self._setup.capabilities(side).lag or (side, id_) in ghost.partner for side, id_ in both.items()):
            return False
        for shape in self._setup.shapes:
            if shape.references is not None or shape.name == self._setup.email.name:
                continue
            left, right = (ghost.cells[side, id_, shape.name][-1] for side, id_ in both.items())
            if max(left.seq, right.seq) > rebuilt:
                return False
            if left.atoms and right.atoms:
                alike += 1 if left.atoms == right.atoms else -1
        return alike > 0

    def created(self, side: Side, key: str, id_: str) -> None:
        """Which record a create made, told right after it did."""
        source = self._ledger.made_for(side, key)
        if source is not None:
            self._ghost.made_for.setdefault((side, source), []).append(id_)
            self._ghost.made_from[side, id_] = source
            self._ghost.made_by[side, id_] = key

    def _came_back(self, side: Side, id_: str, key: str) -> bool:
        """Whether a record was brought back since the create with this idempotency key was first sent."""
        return key in self.first_sent and self._ghost.born[side, id_] > self.first_sent[key].seq

    def _was_seen_gone(self, side: Side, id_: str) -> bool:
        """Whether the last read by id of a record that is there found it gone: somebody brought it back since."""
        read = self._reads.get((side, id_), -1)
        return any(gone < read < back for gone, back in self._ghost.away.get((side, id_), ()))

    def _was_replaced(self, side: Side, id_: str, source: str) -> bool:
        """
        Whether a record that we made was linked, and another one has been linked in its place since: what a person takes away is
        made anew for an edit of its partner, and whoever brings it back brings a new record.
        """
        ghost = self._ghost
        return ghost.partner.get((side, id_)) == source and ghost.partner.get((side.other, source)) not in (None, id_)

    def was_away(self, side: Side, id_: str) -> bool:
        """
        Whether a record that we made was gone when we gave up looking for it, and was never linked: a person took it away while
        its create was in doubt, and brought it back too late. Only a replay tells it from one that was never made (3.4, create).
        """
        can = self._setup.capabilities(side)
        if can.idempotent_creates or (side, id_) in self._ghost.partner:
            return False
        begun, ended = self._ledger.given_up(self._ghost.made_by[side, id_])
        gone = None
        for event in self.far[side].events:
            if event.id != id_:
                continue
            if event.after is None:
                gone = event.at
            elif gone is not None:
                if gone <= ended and event.at >= begun - can.lag:
                    return True
                gone = None
        return False

    def is_past_recognition(self, side: Side, id_: str) -> bool:
        """
        Whether a record that we made, without help by its system against doubles, ever held nothing any more of what we sent
        while its create was in doubt: what becomes of it when nobody looks for it any more makes no difference.
        """
        can = self._setup.capabilities(side)
        if can.idempotent_creates or can.chooses_ids:
            return False
        until = self._ledger.closed_at(self._ghost.made_by[side, id_])
        return any(
            event.id == id_ and event.at <= until and event.after is not None and not self._is_recognisable(side, event.after)
            for event in self.far[side].events
        )

    def _is_recognisable(self, side: Side, row: Row) -> bool:
        """Whether a state of a record that we made holds anything of what we sent, as far as anybody can tell."""
        for shape in self._setup.fields:
            name = shape.native(side)
            marks = self._ghost.cells.get((side, row.id, shape.name), ())
            if marks and marks[0].atoms & atoms(shape, row.fields[name]):
                return self._setup.manners[side].normalise.get(name) not in STRANGE
        return False

    def _looks_new(self, side: Side, id_: str, partner: str, sent: Sent) -> bool:
        """
        Whether a record was missed and then held another key than its partner, and nothing of all else that the two ever had in
        common: where ids are counted, one that was given to somebody new looks just the same.
        """
        ghost = self._ghost
        if not id_.isdecimal() or not ghost.was_missed(side, id_):
            return False
        email, key = self._setup.email, ghost.holds((side.other, partner, self._setup.email.name))
        shared: dict[Shape, frozenset[Atom]] = {}
        for shape in self._configs.of_run(sent.run).shapes:
            # Whom a record refers to goes by another id on the other side.
            where = (side, id_) if shape.references else (side.other, partner)
            marks = ghost.cells.get((*where, shape.name), ())
            shared[shape] = NOTHING.union(*(mark.atoms for mark in marks if mark.seq < ghost.born[side, id_]))
        beside = [shape for shape in shared if shape is not email and shared[shape]]
        for event in self.far[side].events if beside else ():
            if event.id == id_ and event.after is not None:
                now = {shape: atoms(shape, event.after.fields[shape.native(side)]) for shape in (email, *beside)}
                if now[email] not in (NOTHING, key) and all(now[shape].isdisjoint(shared[shape]) for shape in beside):
                    return True
        return False

    def _resurrection(self, side: Side, source: str, sent: Sent) -> None:
        ghost, shapes = self._ghost, self._configs.of_run(sent.run).shapes
        self._counts["I7"] += 1
        former = ghost.partner.get((side.other, source))
        if former is None or former in self.far[side].live or not ghost.gone.get((side, former), (0, False))[1]:
            return
        edited = any(
            ghost.holds((side.other, source, shape.name)) != ghost.holds((side, former, shape.name))
            for shape in shapes
            if shape.references is None or ghost.holds((side.other, source, shape.name))
        )
        edited |= any(self._has_edit(side, source, former, shape) for shape in shapes)
        if edited or self._ledger.was_chosen(side.other, source):
            return
        if ghost.born.get((side.other, source), 0) > ghost.gone[side, former][0]:
            return  # a person brought the source back since
        if ghost.gone[side, former][0] > ghost.strong_read.get((side, former), -1):
            return
        if self.has_hidden[side.other] and sent.record != former:
            # Where both are gone the link is no more (2.5, the last row), and whoever comes back is new.
            self._excuse("revived, for its system had denied it as well when its partner was gone", None)
            return
        if self._connection.execute(
            "SELECT 1 FROM intent WHERE link=? AND op IN ('create','update') AND id<>? AND state='closed'",
            (sent.link, sent.number),
        ).fetchone():
            self._excuse("revived, for an update in doubt could not be proved", None)
            return
        if any(
            ghost.respelled.get((side.other, source, shape.name), -1) > ghost.cells[side, former, EMAIL.name][0].seq
            for shape in shapes
        ):
            # The third system's spelling travelled here: to this pair an edit, though by its words the ghost cannot tell.
            self._excuse("revived, for the other pair had brought another spelling", None)
            return
        if self._has_no_base(side.other, source, sent):
            self._excuse("revived, for a field of it never had a base", None)
            return
        if any(how in STRANGE for how in self._setup.manners[side.other].normalise.values()):
            self._excuse("revived, for its system's rewriting looked like an edit", None)
            return
        raise Violation("I7", f"{former} was deleted on the {side.value}, {source} was not edited since, and yet it is made anew")

    def _has_no_base(self, side: Side, id_: str, sent: Sent) -> bool:
        """Whether a field of a linked record says something and has no shadow: nobody can tell whether it was edited."""
        shadow, shapes = self._ledger.shadow(side, sent.link), self._configs.of_run(sent.run).shapes
        return any(shape.native(side) not in shadow and self._ghost.holds((side, id_, shape.name)) for shape in shapes)

    def _has_edit(self, side: Side, source: str, former: str, shape: Shape) -> bool:
        """Whether a person did something to the source that the engine never wrote to its former partner."""
        mark = self._ghost.last_by_person((side.other, source, shape.name))
        marks = self._ghost.cells.get((side, former, shape.name), [])
        retyped = self._ghost.retyped.get((side.other, source, shape.name))
        if (
            shape.type in (FieldType.TEXT, FieldType.DECIMAL)
            and retyped is not None
            and not any(each.seq > retyped and not each.by_person for each in marks)
        ):
            return True  # the same words or number written otherwise, by a person who took back what a system had made of them
        if mark is None:
            return False
        if mark.seq < self._ghost.cells[side, former, EMAIL.name][0].seq:
            # What was edited between the listing and the create that was made of it did not come along.
            return shape.references is None and bool(marks) and not marks[0].by_person and marks[0].atoms != mark.atoms
        return not any(each.atoms == mark.atoms and each.seq > mark.seq and not each.by_person for each in marks)

    def _twin(self, side: Side, key_of: str, after: Mapping[str, Native]) -> None:
        self._counts["I6"] += 1
        email = self._setup.email
        key = atoms(email, after[email.native(side)])
        if not key:
            return
        probe, ghost = self.first_sent.get(key_of, self.probes[side]), self._ghost
        for row in self.far[side].live.values():
            value = row.fields[email.native(side)]
            if atoms(email, value) != key:
                continue
            mark = ghost.cells[side, row.id, "email"][-1]
            seen_since = max(mark.seq, ghost.born[side, row.id])
            begun, started_at = self._begun(key_of)
            shown_at = row.at + self._setup.capabilities(side).lag
            if seen_since > min(probe.seq, begun) or shown_at >= min(probe.time, started_at):
                self._excuse("twin made in the gap between probe and create", None)
            elif probe.lied or self.has_hidden[side]:
                self._excuse("twin while the system denied having it", None)
            elif not self._is_asked_for(side, str(value), probe):
                self._excuse("twin in another spelling since the listing", None)
            else:
                raise Violation("I6", f"a create on the {side.value} although {row.id} with the same key was there to be seen")

    def _is_asked_for(self, side: Side, text: str, probe: Probe) -> bool:
        """Whether the search that the engine made finds this text."""
        if probe.texts is None:
            return True
        if self._setup.manners[side].folds:
            return text.strip().casefold() in {each.strip().casefold() for each in probe.texts}
        return text in probe.texts

    def _begun(self, key: str) -> tuple[int, float]:
        """
        When the command began, and the run of it, that first meant to send this: a create in doubt is only ever sent again, and
        nobody knows whether it was sent at all.
        """
        run = self._ledger.ended_run(key)
        if run is None:
            return 2**62, inf
        return max((seq for before, seq in self._ghost.begun if before < run), default=0), self._ledger.started_at(run)

    def _revival(self, side: Side, sent: Sent, id_: str) -> None:
        source = sent.id(side.other)
        if source is not None and (side, id_) in self._ghost.born:
            self._ghost.partner[side.other, source] = id_
            self._resurrection(side, source, sent)
