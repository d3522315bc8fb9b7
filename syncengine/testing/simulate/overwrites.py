"""Updates and removals: what a person wrote is not lost by them, unseen and unkept, and the journal can put it back."""

from __future__ import annotations

from collections.abc import Mapping

from syncengine.connector import Archive, Delete, Native, SetChange, Update
from syncengine.core.model import Direction, Policy, Side
from syncengine.testing.simulate.crash import Violation
from syncengine.testing.simulate.farside import Row
from syncengine.testing.simulate.ghost import NOTHING, Atom, atoms
from syncengine.testing.simulate.judge import STRANGE, Judge
from syncengine.testing.simulate.moments import Sent
from syncengine.testing.simulate.setup import Setup
from syncengine.testing.simulate.shapes import EMAIL, Normaliser, Shape, normalised


class Overwrites(Judge):
    """Judges what takes the place of values, or takes a record away."""

    def _update(self, side: Side, change: Update, sent: Sent, before: Row, after: Mapping[str, Native]) -> None:
        counts = self._counts
        counts["I1"] += 1
        counts["I4"] += 1
        counts["I12"] += 1
        touched = False
        partner = sent.id(side.other)
        setup = self._configs.of_run(sent.run)
        self.bounds.check_scope(side, change, sent, before, self._read_at(side, before.id))
        for shape in setup.fields:
            name = shape.native(side)
            if before.fields[name] == after[name]:
                continue
            touched = True
            now, then = atoms(shape, before.fields[name]), atoms(shape, after[name])
            self._no_invention(shape, now, then)
            if not setup.maps(side, name):
                self.bounds.check_unmapped(side, change, before, shape, after[name], self._read_at(side, before.id))
                continue
            raced = self._raced(side, change, sent, before, name)
            if now == then and name in sent.before:
                self._no_noise(side, change, before, shape, now, raced=raced)
            for atom in now - then:
                self._lost("I1", side, before.id, shape, atom, partner, raced=raced, unites=_unites(setup, shape))
            image = atoms(shape, sent.before.get(name))
            # A change of members overwrites only those that it takes away, whatever else somebody did to the set meanwhile.
            is_kept = now - then <= image if isinstance(change.fields.get(name), SetChange) else image == now or now == then
            if not raced and not is_kept:
                raise Violation("I12", f"{shape.name} of {before.id} was overwritten, and its before-image is not in the journal")
            is_rewriting = name not in sent.before and not setup.capabilities(side).partial_updates and now == then
            if not is_rewriting and not isinstance(change.fields.get(name), SetChange):
                self._can_be_put_back(side, sent, before, shape, raced=raced)
        if not touched:
            counts["writes without effect"] += 1

    def _no_noise(self, side: Side, change: Update, before: Row, shape: Shape, said: frozenset[Atom], *, raced: bool) -> None:
        """What a system makes of a text or a number that it is sent never travels back over what a person typed."""
        name, how = shape.native(side), self._setup.manners[side.other].normalise.get(shape.native(side.other), Normaliser.NONE)
        if self._setup.is_chain or how in STRANGE or normalised(how, before.fields[name]) != change.fields.get(name):
            return  # in a chain it may come from the system beyond, which nobody can tell from an edit
        for atom in said:
            if atom[0] in ("text", "number") and not self._ledger.is_kept(side, before.id, shape, atom):
                if raced:
                    # What was judged and sent was a word against another one; the old one was put back on its way.
                    self._excuse("spelled as before between the read and an unconditional write", None)
                    return
                raise Violation(
                    "I4", f"{shape.name} of {before.id} ({side.value}) is overwritten with what became of it elsewhere"
                )

    def _removal(self, side: Side, change: Archive | Delete, sent: Sent, before: Row) -> None:
        counts, ghost = self._counts, self._ghost
        counts["I2"] += 1
        counts["I8"] += 1
        partner = sent.id(side.other)
        if (side.other, partner) in ghost.reborn:
            partner = ghost.partner.get((side, before.id), partner)  # as long as its link does not know who has the id now
        setup = self._configs.of_run(sent.run)
        self.bounds.check_scope(side, change, sent, before, self._read_at(side, before.id))
        if sent.state == "suspended" and not self.bounds.was_chosen(sent):
            raise Violation("I8", f"{before.id} on the {side.value} was deleted although its link is suspended by a filter")
        if partner is not None and partner in self.far[side.other].live:
            back = ghost.born.get((side.other, partner), 0)
            if back > self._reads.get((side.other, partner), -1):
                self._excuse("partner came back between the look and the delete", None)
            elif (self.late_from.lied if self.late_from is not None else self.lied)[side.other]:
                self._excuse("partner was denied by its system", None)
            elif self._has_another_key(side, before, partner) and not self.bounds.was_chosen(sent):
                # A person is asked again, for an order was given about somebody else.
                self._excuse("partner was denied by its system, and came back with another key where nothing is archived", None)
            else:
                raise Violation("I8", f"{before.id} on the {side.value} was deleted although its partner {partner} lives")
        for shape in setup.fields:
            if shape not in setup.shapes and atoms(shape, before.fields[shape.native(side)]):
                self._excuse("a field that is not mapped went with its record", None)
        for shape in setup.shapes:
            name = shape.native(side)
            raced = self._raced(side, change, sent, before, name)
            for atom in atoms(shape, before.fields[name]):
                if atom[0] != "id":
                    self._lost("I2", side, before.id, shape, atom, partner, raced=raced)
            self._can_be_put_back(side, sent, before, shape, raced=raced)

    def _has_another_key(self, side: Side, row: Row, partner: str) -> bool:
        """
        Whether the partner of a record was denied by a system without an archive, and has another key by now: where nothing is
        archived nothing comes back, so that whoever has the id then is taken for somebody new.
        """
        email, far = self._setup.email, self.far[side.other].live[partner]
        one, other = (atoms(email, fields[email.native(each)]) for each, fields in ((side, row.fields), (side.other, far.fields)))
        is_final = self.has_hidden[side.other] and not self._setup.capabilities(side.other).archives
        return is_final and NOTHING not in (one, other) and one != other

    def _can_be_put_back(self, side: Side, sent: Sent, before: Row, shape: Shape, *, raced: bool) -> None:
        """Whether the journal holds to the letter what a write replaces or takes away."""
        self._counts["I18"] += 1
        image, held = sent.before.get(shape.native(side)), before.fields[shape.native(side)]
        if raced or image == held:
            return
        if atoms(shape, image) == atoms(shape, held) and not self._setup.capabilities(side).conditional_writes:
            self._excuse("spelled another way between the read and an unconditional write", None)
            return
        raise Violation("I18", f"{shape.name} of {before.id} could not be put back as it was")

    def _raced(self, side: Side, change: Update | Archive | Delete, sent: Sent, before: Row, name: str) -> bool:
        """Whether the field was edited after the engine's last strong read, where no conditional write could tell."""
        if self._setup.capabilities(side).conditional_writes or sent.before.get(name) == before.fields[name]:
            return False
        if isinstance(change, Update) and isinstance(change.fields.get(name), SetChange):
            return False
        where = (side, before.id)
        shape = next(shape for shape in self._setup.fields if shape.native(side) == name)
        marks = self._ghost.cells[side, before.id, shape.name]
        return marks[-1].seq > self._reads.get(where, 2**62)

    def _lost(
        self, rule: str, side: Side, id_: str, shape: Shape, atom: Atom, partner: str | None, *, raced: bool, unites: bool = False
    ) -> None:
        """`unites`: the field keeps every member that anybody added, so that the attic is no place for one."""
        if atom[0] == "id" or self._ghost.undelivered((side, id_, shape.name), atom, partner) is None:
            return
        if self._ledger.is_kept(side, id_, shape, atom) and not unites:
            return
        if raced:
            self._excuse("edit between the read and an unconditional write", (shape.name, atom))
            return
        if self._was_sent(side, id_, shape, atom):
            # 3.4, update: a record that holds what was sent proves the write. A person who typed the very same proves it, too.
            self._excuse("a person typed the very value that was in doubt", (shape.name, atom))
            return
        if atom[0] == "key" and partner is not None and self._was_agreed(side, id_, partner, shape, atom):
            # The sides are read one after the other: what was seen on both was given up on one when it was typed on the other.
            self._excuse("typed by one side right after the other gave it up", (shape.name, atom))
            return
        if any(self._is_mistaken(*where) for where in ((side, id_), (side.other, partner))):
            self._excuse(
                "made by a create in doubt, under the id and by chance with the key of one that is gone", (shape.name, atom)
            )
            return
        if self._ledger.was_in_doubt(side, id_):
            self._excuse("put back while a write was in doubt, where no version tells", (shape.name, atom))
            return
        raise Violation(rule, f"what a person wrote into {shape.name} of {id_} ({side.value}) is overwritten, unseen and unkept")

    def _is_mistaken(self, side: Side, id_: str | None) -> bool:
        """
        Whether a create that was given up made a record with the id of one that is gone, and a person gave it the key of that
        one as well: nobody can tell the two apart.
        """
        if id_ is None or (side, id_) not in self._ghost.reborn or (side, id_) not in self._ghost.made_by:
            return False
        key = self._ghost.holds((side, self._ghost.reborn[side, id_], EMAIL.name))
        is_alike = any(mark.atoms == key for mark in self._ghost.cells.get((side, id_, EMAIL.name), ()))
        return is_alike and self._ledger.was_given_up(self._ghost.made_by[side, id_])

    def _was_agreed(self, side: Side, id_: str, partner: str, shape: Shape, atom: Atom) -> bool:
        """Whether the engine saw the same on both sides, and a person had indeed put it on the other one."""
        both = self._ledger.shadows_of(side, id_)
        author = self._ghost.author((side.other, partner, shape.name), atom)
        is_base = all(atom in atoms(shape, both[each].get(shape.native(each))) for each in Side)
        return is_base and author is not None and author.by_person

    def _was_sent(self, side: Side, id_: str, shape: Shape, atom: Atom) -> bool:
        """Whether an update that never arrived would have put this there, and was taken to have done so."""
        if any(not mark.by_person and atom in mark.atoms for mark in self._ghost.cells.get((side, id_, shape.name), ())):
            return False
        name = shape.native(side)
        return any(atom in atoms(shape, payload.get(name)) for payload in self._ledger.proved_updates(side, id_))


def _unites(setup: Setup, shape: Shape) -> bool:
    """Whether a config has a field keep every member that anybody added."""
    policy = next(each.conflicts for each in setup.spec.fields if each.name == shape.name)
    return policy is Policy.UNION and setup.spec.direction is Direction.BOTH
