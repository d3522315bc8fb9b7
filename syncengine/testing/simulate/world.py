"""
A simulated world: two far sides or three, people, faults, late requests and virtual time, all decided by the tape.

The world is at work whenever the engine makes a call: before and after it time passes, people act, requests that had timed
out land, and processes die.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from enum import Enum
from heapq import heappop, heappush
from sqlite3 import Connection

from syncengine.connector import Change, Create, Outcome, Written
from syncengine.core.model import Side
from syncengine.testing.simulate.chain import Seats
from syncengine.testing.simulate.crash import Crash
from syncengine.testing.simulate.farside import FarSide
from syncengine.testing.simulate.ghost import Links
from syncengine.testing.simulate.moments import Moment
from syncengine.testing.simulate.pair import Pair
from syncengine.testing.simulate.people import People
from syncengine.testing.simulate.ports import SimClock
from syncengine.testing.simulate.protocol import Protocol
from syncengine.testing.simulate.setup import Fault, Setup
from syncengine.testing.simulate.tape import Tape


class Lie:
    """What a system pretends for a while: to be empty, or not to have some of its records."""

    __slots__ = ("everything", "hidden")

    def __init__(self, *, everything: bool = False, hidden: frozenset[str] = frozenset()) -> None:
        self.everything = everything
        self.hidden = hidden

    def hides(self, id_: str) -> bool:
        return self.everything or id_ in self.hidden


class Blow(Enum):
    """What can be struck at one chosen boundary."""

    CRASH = "crash"
    IN_FLIGHT = "crash with the request on its way"
    REFUSED = "refused"
    LOST_ANSWER = "lost answer"
    LATE = "late arrival"
    NEVER_ARRIVED = "never arrived"
    BUG = "unclassified exception"
    GARBAGE = "nonsense answer"

    def fits(self, boundary: str) -> bool:
        """Whether it can happen there."""
        match self:
            case Blow.CRASH:
                return True
            case Blow.REFUSED | Blow.BUG:
                return boundary.startswith("before a") and not boundary.endswith("commit")
            case Blow.GARBAGE:
                return boundary in ("before a page", "before a get", "before a find")
            case _:
                return boundary == "before a write"


class World:
    """
    One history in the making. `hostile` is switched off for healing; `tell` receives the story, if anybody listens. `states` are
    that which is in use, and those that it was rebuilt from.
    """

    def __init__(self, tape: Tape, setup: Setup, connection: Connection, counts: Counter[str]) -> None:
        self.tape = tape
        self.setup = setup
        self.connection = connection
        self.counts = counts
        self.clock = SimClock()
        self.states = [connection]
        setups = [setup] if setup.next is None else [setup, setup.next]
        self.pairs = [Pair(number, each, self.states, counts) for number, each in enumerate(setups, 1)]
        self.systems: dict[str, FarSide] = {}
        self.seats: dict[str, Seats] = {}
        for pair in self.pairs:
            self._join(pair)
        self.people = People(self)
        self.protocol = Protocol(self.pairs, self.states, self.clock, counts)
        self.hostile = True
        self.story: list[str] | None = None
        self.lies: dict[str, Lie | None] = dict.fromkeys(self.systems)
        self.denied_until = dict.fromkeys(self.systems, 0.0)
        self.boundaries: list[str] = []
        self.blow: Blow | None = None
        self.blow_at = 0
        self.struck: Blow | None = None
        self.ever_lied = False
        self.rival: Callable[[], None] | None = None
        self.short = dict.fromkeys(self.systems, False)
        self._late: list[tuple[float, int, Pair, Side, Change, Moment]] = []
        self._number = 0

    def _join(self, pair: Pair) -> None:
        """Let a pair stand between its systems; the one in the middle of a chain is there already."""
        setup, far = pair.setup, {}
        for side in Side:
            name = setup.names[side]
            if name not in self.systems:
                witness = Seats(name, self.connection, self.counts) if self.setup.is_chain else pair.oracle
                called = next(each for each in Side if setup.fields[0].native(side) == self.setup.fields[0].native(each))
                self.systems[name] = FarSide(name, called, setup.resources[side], setup.manners[side], self.clock, witness)
                if isinstance(witness, Seats):
                    self.seats[name] = witness
            if name in self.seats:
                self.seats[name].taken.append((pair.number, side, pair.oracle))
            far[side] = self.systems[name]
        pair.join(far)

    def pair(self, number: int) -> Pair:
        """A pair by its number."""
        return self.pairs[number - 1]

    def tell(self, text: str) -> None:
        """Add a line to the story; callers build the text only where `story` is kept."""
        if self.story is not None:
            self.story.append(f"{self.clock.time - 1_800_000_000.0:9.2f}  {text}")

    def rate(self, fault: Fault) -> float:
        return self.setup.rates[fault] if self.hostile else 0.0

    def happens(self, fault: Fault, share: float = 1.0) -> bool:
        """Whether a fault happens here and now."""
        rate = self.setup.rates[fault] * share
        if not self.hostile or not rate or not self.tape.chance(rate):
            return False
        self.counts[f"fault: {fault.value}"] += 1
        if self.story is not None:
            self.tell(f"!! {fault.value}")
        return True

    # Time

    def pass_time(self) -> None:
        """Everything that can happen between two steps of the engine, besides a crash."""
        while self._late and self._late[0][0] <= self.clock.time:
            self._land()
        if self.hostile and self.setup.busy and self.tape.chance(self.setup.busy):
            self.counts["person in between"] += 1
            self.people.act()

    def maybe_rival(self) -> None:
        """Another engine may run now, while this one stands still for as long as it likes."""
        if self.rival is not None and self.happens(Fault.SECOND):
            rival, self.rival = self.rival, None
            try:
                rival()
            finally:
                self.rival = rival

    def crash_point(self, what: str, fault: Fault = Fault.CRASH_CALL, *, share: float = 1.0) -> None:
        """The process may die here; `share` scales the rate where there are many such points."""
        self.boundaries.append(what)
        if self.blow is not None and len(self.boundaries) == self.blow_at:
            self.struck, self.blow = self.blow, None
            if self.struck in (Blow.CRASH, Blow.IN_FLIGHT):
                raise Crash(what)
        if self.happens(fault, share):
            self.counts[f"killed: {what}"] += 1
            raise Crash(what)

    def take_blow(self) -> Fault | None:
        """The fault that was struck here, once."""
        struck, self.struck = self.struck, None
        return None if struck is None else Fault[struck.name]

    def on_commit(self, moment: str) -> None:
        """The hook of the state's database."""
        if moment == "after":
            self.protocol.check_commit()
        self.crash_point(f"{moment} a commit", Fault.CRASH_COMMIT, share=0.3)

    # Requests that land late

    def send_late(self, pair: Pair, side: Side, change: Change) -> None:
        """A request is on its way and lands within the system's horizon."""
        horizon = pair.far[side].capabilities.late_arrival
        due = self.clock.time + horizon * self.tape.choose((0.5, 0.02, 0.9, 0.99))
        self._number += 1
        sent = Moment(reads=dict(pair.ghost.strong_read), lied=dict(pair.oracle.lied))
        heappush(self._late, (due, self._number, pair, side, change, sent))

    def _land(self) -> None:
        due, _, pair, side, change, sent = heappop(self._late)
        # Nobody looked since it landed: it landed when it was due.
        now, self.clock.time = self.clock.time, min(due, self.clock.time)
        self.counts["late arrivals"] += 1
        if self.story is not None:
            self.tell(f"a late request lands on the {pair.far[side].name}: {describe(change)}")
        pair.oracle.late_from = sent
        try:
            outcome = self.apply(pair, side, change)
        finally:
            pair.oracle.late_from = None
            self.clock.time = now
        if self.story is not None and not isinstance(outcome, Written):
            self.tell(f"  refused: {outcome.error}")

    def apply(self, pair: Pair, side: Side, change: Change) -> Outcome:
        """Do a change of a pair at a far side."""
        far = pair.far[side]
        before = far.effects
        outcome = far.apply(change)
        if far.effects > before:
            self.protocol.note(pair, side, change)
        if isinstance(change, Create) and isinstance(outcome, Written) and far.effects > before:
            pair.oracle.created(side, change.key, outcome.id)
        return outcome

    @property
    def is_awaited(self) -> bool:
        """Whether a request is still on its way."""
        return bool(self._late)

    def links(self) -> list[Links]:
        """Who is linked with whom at this moment, by pair."""
        return [pair.ghost.links() for pair in self.pairs]

    def forget(self, old: Connection, known: Sequence[Links]) -> None:
        """The state was rebuilt: what the engine knew is in the old one; these links it is to know again."""
        self.states.append(old)
        for pair, links in zip(self.pairs, known, strict=True):
            pair.ghost.forget_links(links)
            pair.apart.clear()

    def close(self) -> None:
        """Let go of the states that were rebuilt."""
        for old in self.states[1:]:
            old.close()

    @property
    def effects(self) -> int:
        """How often the engine changed anything."""
        return sum(far.effects for far in self.systems.values())

    @property
    def removals(self) -> int:
        """How often a record went, whoever took it away."""
        return sum(event.after is None for far in self.systems.values() for event in far.events)

    def land_all(self) -> None:
        """Let every request land that is still on its way."""
        while self._late:
            self.clock.time = max(self.clock.time, self._late[0][0])
            self._land()


def describe(change: Change) -> str:
    """A change in words."""
    fields = getattr(change, "fields", None)
    id_ = getattr(change, "id", None)
    return f"{type(change).__name__.lower()} {id_ or ''} {dict(fields) if fields else ''} [{change.key}]"
