"""
The oracle at the instant of an effect: what the reliability reference demands of every write, checked where it happens.

The invariants are named as there. What no protocol can prevent (an edit between the read and an unconditional write) is
excused, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from sqlite3 import Connection

from syncengine.connector import Archive, Change, Create, Delete, FieldType, Native, Restore, SetChange, Update
from syncengine.core.codec import decode
from syncengine.core.model import Direction, Policy, Side
from syncengine.store.database import unpack
from syncengine.testing.simulate.bounds import Bounds, Configs
from syncengine.testing.simulate.crash import Violation
from syncengine.testing.simulate.farside import Event, FarSide, Row, Witness
from syncengine.testing.simulate.ghost import NOTHING, Atom, Ghost, atoms
from syncengine.testing.simulate.ledger import Ledger
from syncengine.testing.simulate.moments import Moment, Probe, Sent
from syncengine.testing.simulate.setup import Setup
from syncengine.testing.simulate.shapes import EMAIL, Normaliser, Shape, normalised

_STRANGE = (Normaliser.APPEND, Normaliser.STRIP)
"""What a system may make of a value that nobody can tell from an edit, unless the system says what it stored."""


class Oracle(Witness):
    """Judges the effects of one pair; `late_from` is set while a late request lands: what was known at the moment it was sent."""

    def __init__(self, pair: int, configs: Configs, ghost: Ghost, connection: Connection, counts: Counter[str]) -> None:
        self._ledger = Ledger(pair, connection)
        self._configs = configs
        self._ghost = ghost
        self._connection = connection
        self._counts = counts
        self.far: Mapping[Side, FarSide] = {}
        self.probes = {side: Probe() for side in Side}
        self.late_from: Moment | None = None
        self.tell: Callable[[str], None] | None = None
        self.has_hidden = {Side.LEFT: False, Side.RIGHT: False}
        self.first_sent: dict[str, Probe] = {}
        self.lied: dict[Side, bool] = {Side.LEFT: False, Side.RIGHT: False}
        self.bounds = Bounds(configs, ghost, connection, counts, self._excuse)

    @property
    def _setup(self) -> Setup:
        return self._configs.now

    def happened(self, side: Side, event: Event, *, by_person: bool, named: Collection[str]) -> None:
        self._ghost.happened(side, event, by_person=by_person, named=named)

    def respelled(self, side: Side, event: Event) -> None:
        """The other pair of a chain wrote a record that this pair syncs as well."""
        self._ghost.note_respelling(side, event)

    def about_to(self, side: Side, change: Change, before: Row | None, after: Mapping[str, Native] | None) -> None:
        try:
            self._judge(side, change, before, after)
        except Exception as error:
            # It would reach the engine as a bug of the connector, one of the faults, and nobody would ever hear of it.
            raise Violation("ORACLE", f"the oracle itself failed: {type(error).__name__}: {error}") from error

    def _judge(self, side: Side, change: Change, before: Row | None, after: Mapping[str, Native] | None) -> None:
        sent = self._written_ahead(change)
        self.bounds.check_direction(side, sent)
        if self.bounds.fence is not None:
            self.bounds.fence.check(sent)
        match change:
            case Create():
                assert after is not None
                self._create(side, change, sent, after)
            case Update():
                assert before is not None
                assert after is not None
                self._update(side, change, sent, before, after)
            case Archive() | Delete():
                assert before is not None
                self._removal(side, change, sent, before)
            case Restore():
                self._revival(side, sent, change.id)

    def _written_ahead(self, change: Change) -> Sent:
        self._counts["I10"] += 1
        if self._connection.in_transaction:
            raise Violation("I10", "a request went out while a transaction was open")
        row = self._connection.execute(
            "SELECT i.id, i.link, i.before, i.state, l.left_id, l.right_id, i.record, i.run, l.state FROM intent i "
            "LEFT JOIN link l ON l.id=i.link WHERE i.idempotency_key=?",
            (change.key,),
        ).fetchone()
        if row is None:
            raise Violation("I10", "an effect without a committed intent")
        number, link, image, state, left, right, record, run, link_state = row
        if state not in ("sent", "unknown", "parked"):
            raise Violation("I10", f"an effect of an intent that is {state} already")
        return Sent(number, link, unpack(left), unpack(right), decode(image), unpack(record), run, link_state)

    # Creates and revivals

    def _create(self, side: Side, change: Create, sent: Sent, after: Mapping[str, Native]) -> None:
        ghost, counts = self._ghost, self._counts
        source = sent.id(side.other)
        counts["I5"] += 1
        if source is not None:
            here = self.far[side].live
            made = [id_ for id_ in ghost.made_for.get((side, source), ()) if id_ in here]
            alive = [id_ for id_ in made if not self._ledger.has_another(side, id_, source)]
            if alive and all(self.is_past_recognition(side, id_) for id_ in alive):
                self._excuse("made twice, for the first was edited beyond recognition while in doubt", None)
            elif alive and any(self.has_hidden.values()):
                self._excuse("made twice, for its system had denied the first", None)
            elif alive and all(self._was_away(side, id_) for id_ in alive):
                # 2.8, the last column: only if a person takes our new record away before we learn of it; here it came back too.
                self._excuse("made twice, for a person took the first away while in doubt, and brought it back", None)
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
            elif change.key in self.first_sent and ghost.born[side, origin] > self.first_sent[change.key].seq:
                # 3.4, create: what is in doubt is sent again first of all, for nothing else tells what became of it.
                self._excuse("mirrored back by a replay, for its origin came back since it was first sent", None)
            elif self.is_past_recognition(side.other, source):
                self._excuse("mirrored back, for it was edited beyond recognition while in doubt", None)
            elif any(self.has_hidden.values()):
                self._excuse("mirrored back, for its system had denied having it", None)
            else:
                raise Violation("I5", f"our own record {source} was mirrored back although its origin {origin} lives")
            self._resurrection(side, source, sent)
        self._twin(side, change.key, after)
        self.bounds.check_create(side, sent, after)
        for shape in self._setup.fields:
            self._no_invention(shape, NOTHING, atoms(shape, after[shape.native(side)]))

    def created(self, side: Side, key: str, id_: str) -> None:
        """Which record a create made, told right after it did."""
        source = self._ledger.made_for(side, key)
        if source is not None:
            self._ghost.made_for.setdefault((side, source), []).append(id_)
            self._ghost.made_from[side, id_] = source
            self._ghost.made_by[side, id_] = key

    def _was_away(self, side: Side, id_: str) -> bool:
        """Whether a record that we made, unhelped by its system against doubles, was gone for a while before it was linked."""
        can = self._setup.capabilities(side)
        helped = can.idempotent_creates or can.chooses_ids
        made = self._ghost.cells[side, id_, EMAIL.name][0].seq
        return not helped and (side, id_) not in self._ghost.partner and self._ghost.born[side, id_] > made

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
                return self._setup.manners[side].normalise.get(name) not in _STRANGE
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
        if any(how in _STRANGE for how in self._setup.manners[side.other].normalise.values()):
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
            shape.type is FieldType.TEXT
            and retyped is not None
            and not any(each.seq > retyped and not each.by_person for each in marks)
        ):
            return True  # the same words in other letters, by a person who took back what a system had made of them
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
            if seen_since > min(probe.seq, self._begun(key_of)) or row.at + self._setup.capabilities(side).lag >= probe.time:
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

    def _begun(self, key: str) -> int:
        """The moment the command began whose run first meant to send this: a create in doubt is only ever sent again."""
        run = self._ledger.ended_run(key)
        if run is None:
            return 2**62
        return max((seq for before, seq in self._ghost.begun if before < run), default=0)

    def _revival(self, side: Side, sent: Sent, id_: str) -> None:
        source = sent.id(side.other)
        if source is not None and (side, id_) in self._ghost.born:
            self._ghost.partner[side.other, source] = id_
            self._resurrection(side, source, sent)

    # Updates and removals

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
            if now == then and name in sent.before:
                self._no_noise(side, change, before, shape, now)
            raced = self._raced(side, change, sent, before, name)
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

    def _no_noise(self, side: Side, change: Update, before: Row, shape: Shape, said: frozenset[Atom]) -> None:
        """What a system makes of a text or a number that it is sent never travels back over what a person typed."""
        name, how = shape.native(side), self._setup.manners[side.other].normalise.get(shape.native(side.other), Normaliser.NONE)
        if self._setup.is_chain or how in _STRANGE or normalised(how, before.fields[name]) != change.fields.get(name):
            return  # in a chain it may come from the system beyond, which nobody can tell from an edit
        for atom in said:
            if atom[0] in ("text", "number") and not self._ledger.is_kept(side, before.id, shape, atom):
                raise Violation(
                    "I4", f"{shape.name} of {before.id} ({side.value}) is overwritten with what became of it elsewhere"
                )

    def _removal(self, side: Side, change: Archive | Delete, sent: Sent, before: Row) -> None:
        counts, ghost = self._counts, self._ghost
        counts["I2"] += 1
        counts["I8"] += 1
        partner = sent.id(side.other)
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

    @property
    def _reads(self) -> Mapping[tuple[Side, str], int]:
        """When each record was read last before the request was sent that takes effect now: nobody can call it back."""
        return self.late_from.reads if self.late_from is not None else self._ghost.strong_read

    def _read_at(self, side: Side, id_: str) -> int:
        return self._reads.get((side, id_), 2**62)

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
        if not self._setup.manners[side].versions and self._ledger.was_in_doubt(side, id_):
            self._excuse("put back while a write was in doubt, where no version tells", (shape.name, atom))
            return
        raise Violation(rule, f"what a person wrote into {shape.name} of {id_} ({side.value}) is overwritten, unseen and unkept")

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

    def _no_invention(self, shape: Shape, now: frozenset[Atom], then: frozenset[Atom]) -> None:
        if shape.references is not None:
            return
        for atom in then - now:
            if not self._ghost.known(shape.name, atom):
                raise Violation("M4", f"the engine wrote something into {shape.name} that nobody ever wrote")

    def _excuse(self, what: str, lost: tuple[str, Atom] | None) -> None:
        self._counts[f"excused: {what}"] += 1
        if lost is not None:
            self._ghost.excused.add(lost)
        if self.tell is not None:
            self.tell(f"(excused: {what})")


def _unites(setup: Setup, shape: Shape) -> bool:
    """Whether a config has a field keep every member that anybody added."""
    policy = next(each.conflicts for each in setup.spec.fields if each.name == shape.name)
    return policy is Policy.UNION and setup.spec.direction is Direction.BOTH
