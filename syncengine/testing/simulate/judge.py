"""What every judgement of an effect stands on: the pair as its config is, what really happened, and what was known by then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from sqlite3 import Connection

from syncengine.core.model import Side
from syncengine.testing.simulate.bounds import Bounds, Configs
from syncengine.testing.simulate.crash import Violation
from syncengine.testing.simulate.farside import Event, FarSide, Witness
from syncengine.testing.simulate.ghost import Atom, Ghost
from syncengine.testing.simulate.ledger import Ledger
from syncengine.testing.simulate.moments import Moment, Probe, Sent
from syncengine.testing.simulate.setup import Setup
from syncengine.testing.simulate.shapes import Normaliser, Shape

STRANGE = (Normaliser.APPEND, Normaliser.STRIP)
"""What a system may make of a value that nobody can tell from an edit, unless the system says what it stored."""


class Judge(Witness):
    """
    The judges of one pair share this; `late_from` is set while a late request lands: what was known at the moment it was sent.
    """

    def __init__(self, pair: int, configs: Configs, ghost: Ghost, states: Sequence[Connection], counts: Counter[str]) -> None:
        connection = states[0]
        self._ledger = Ledger(pair, states)
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

    @property
    def _reads(self) -> Mapping[tuple[Side, str], int]:
        """When each record was read last before the request was sent that takes effect now: nobody can call it back."""
        return self.late_from.reads if self.late_from is not None else self._ghost.strong_read

    def _read_at(self, side: Side, id_: str) -> int:
        return self._reads.get((side, id_), 2**62)

    def _no_invention(self, shape: Shape, now: frozenset[Atom], then: frozenset[Atom]) -> None:
        if shape.references is not None:
            return
        for atom in then - now:
            if not self._ghost.known(shape.name, atom):
                raise Violation("M4", f"the engine wrote something into {shape.name} that nobody ever wrote")

    def _was_for_another(self, side: Side, id_: str, sent: Sent) -> bool:
        """Whether a write had been decided on when a create for another link was given the id of the record that it was for."""
        if (side, id_) not in self._ghost.reborn or (side, id_) not in self._ghost.made_by:
            return False
        run, link = self._ledger.origin(self._ghost.made_by[side, id_])
        return sent.run <= run and sent.link != link

    def _excuse(self, what: str, lost: tuple[str, Atom] | None) -> None:
        self._counts[f"excused: {what}"] += 1
        if lost is not None:
            self._ghost.excused.add(lost)
        if self.tell is not None:
            self.tell(f"(excused: {what})")
