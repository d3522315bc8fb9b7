"""
One simulated history: a hostile phase in which people work, calls fail and processes die, and a healing phase after which
everything has to be in order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from syncengine.core.decision import AskKind
from syncengine.core.merge import Pick
from syncengine.core.model import Side
from syncengine.engine.context import Ports
from syncengine.engine.report import Exit, RunReport
from syncengine.errors import Fenced, StateLocked, SyncError
from syncengine.store.database import Database, end_of
from syncengine.store.store import Store
from syncengine.testing.simulate import audit
from syncengine.testing.simulate.bounds import fence
from syncengine.testing.simulate.caretaker import Caretaker
from syncengine.testing.simulate.chain import draw_setup
from syncengine.testing.simulate.connector import connect
from syncengine.testing.simulate.crash import Crash, Violation
from syncengine.testing.simulate.describe import ENGINE_RUNS, KILL_POINTS, WORLDS, describe_pair, describe_setup
from syncengine.testing.simulate.pair import Pair
from syncengine.testing.simulate.ports import CountedTokens, TapedExecutor
from syncengine.testing.simulate.process import PLACE, SimApp, fresh_connection, give_back
from syncengine.testing.simulate.reconfigure import edit_config
from syncengine.testing.simulate.setup import Fault, Setup
from syncengine.testing.simulate.setup import World as Kind
from syncengine.testing.simulate.tape import Slot, Tape
from syncengine.testing.simulate.world import Blow, Lie, World

HEALING_ROUNDS = 10


@dataclass(slots=True, kw_only=True)
class Result:
    """How a history went: the violation, if any; the story, if it was asked for; what was exercised."""

    violation: Violation | None
    slots: list[int]
    counts: Counter[str]
    rounds: int = 0
    story: list[str] = field(default_factory=list)
    trace: tuple[Any, ...] = ()


class History:
    """The driver: what happens between the engine's runs, restarts after a crash, the operator, and the final judgement."""

    def __init__(self, tape: Tape, kind: Kind, *, setup: Setup | None = None, story: bool = False) -> None:
        self.tape = tape
        self.counts: Counter[str] = Counter()
        self.is_scripted = setup is not None
        self.setup: Setup = setup or draw_setup(tape, kind)
        self.connection = fresh_connection()
        self.world = World(tape, self.setup, self.connection, self.counts)
        self.counts.update({f"world: {what}": int(is_so(self.setup)) for what, is_so in WORLDS.items()})
        if story:
            self.world.story = []
            for line in describe_setup(self.setup):
                self.world.tell(line)
        self.connectors = {(pair.number, side): connect(self.world, pair, side) for pair in self.world.pairs for side in Side}
        self.ports = Ports(clock=self.world.clock, tokens=CountedTokens(), executor=TapedExecutor(tape))
        self.app = self._start()
        self.rounds = 0
        self.world.rival = self._rival
        self.caretaker = Caretaker(self.world)

    def close(self) -> None:
        self.caretaker.close()
        self.counts[ENGINE_RUNS] += self._last_run()
        self.counts[KILL_POINTS] += len(self.world.boundaries)
        self.world.close()
        give_back(self.connection)

    def _start(self) -> SimApp:
        """A new process over the same state."""
        if self.connection.in_transaction:
            self.connection.rollback()
        store = Store(Database(self.connection, on_commit=self.world.on_commit))
        return SimApp(self.world, store, self.ports, self.connectors)

    def play(self) -> None:
        """The whole history; raises Violation."""
        world = self.world
        world.people.fill()
        for _ in range(self.setup.rounds):
            for _ in range(1 + self.tape.draw(self.setup.between)):
                world.pass_time()
                world.people.act()
            world.clock.time += self.tape.choose((60.0, 1.0, 10.0, 700.0))
            world.pass_time()
            if self.setup.is_restoring and self.tape.chance(0.3):
                self.caretaker.back_up()
            if self.setup.is_rebuilding and self.tape.chance(0.3) and self.caretaker.rebuild():
                self.app = self._start()
            self._lies()
            self._answer_some()
            if self.setup.is_changing and self.tape.chance(0.4):
                self._edit_config()
            if self.setup.is_hinted:
                self._hint()
            self._round()
            audit.check_state(world)
        self._heal()

    def play_script(
        self, steps: Sequence[Sequence[Callable[[World], None]]], boundary: int | None, blow: Blow | None
    ) -> list[str]:
        """
        What a script says before each round, and one blow at one boundary, counted from 1; raises Violation.

        Returns the boundaries before healing.
        """
        world = self.world
        world.blow, world.blow_at = blow, boundary or 0
        for step in steps:
            for do in step:
                do(world)
            world.clock.time += 60.0
            self._round()
            audit.check_state(world)
        passed = list(world.boundaries)
        world.blow = world.struck = None
        self._heal()
        return passed

    def _edit_config(self) -> None:
        """The operator edits the config, and the next process starts with it."""
        pair = self.tape.choose(self.world.pairs)
        kind, setup = edit_config(self.tape, pair.setup)
        pair.configs.change(setup, last_run=self._last_run())
        self.counts[f"config changed: {kind}"] += 1
        if self.world.story is not None:
            self.world.tell(f"the operator edits the config: {describe_pair(setup)}")
        self.app = self._start()

    def _last_run(self) -> int:
        found: int = self.connection.execute("SELECT coalesce(max(id), 0) FROM run").fetchone()[0]
        return found

    def _lies(self) -> None:
        world = self.world
        for name, far in world.systems.items():
            world.lies[name] = None
            world.short[name] = False
            if world.happens(Fault.BLACKOUT):
                world.lies[name] = Lie(everything=True)
            elif far.live and world.happens(Fault.HIDDEN):
                world.lies[name] = Lie(hidden=frozenset(id_ for id_ in far.live if self.tape.chance(0.5)))
            elif world.happens(Fault.SHORT):
                world.short[name] = True
            lie = world.lies[name]
            world.ever_lied |= lie is not None
            for pair in world.pairs:
                for side in Side:
                    if pair.far[side] is far:
                        self._lies_to(pair, side, lie)

    def _lies_to(self, pair: Pair, side: Side, lie: Lie | None) -> None:
        pair.oracle.lied[side] = lie is not None and not lie.everything
        first = self.connection.execute("SELECT 1 FROM record WHERE end=?", (end_of(pair.number, side),)).fetchone() is None
        pair.oracle.has_hidden[side] |= lie is not None and (first or not lie.everything)

    def _round(self) -> list[RunReport]:
        """One command: a sync, its crash and restart, and the operator's approval."""
        world = self.world
        approve = name = None
        latest: dict[str, RunReport] = {}
        for attempt in range(4 * len(world.pairs)):
            reports = self._sync(approve, name)
            if not reports:
                return []
            latest |= {each.pair: each for each in reports}
            refused = [each for each in latest.values() if each.exit is Exit.REFUSED]
            last = attempt == 4 * len(world.pairs) - 1
            chosen = None if last else next((each for each in refused if self._is_rightful(each)), None)
            if chosen is None:
                self.counts["refused and not approved"] += len(refused)
                break
            approve = chosen.approval
            name = self.tape.choose((chosen.pair, None)) if len(world.pairs) > 1 else None
            self.counts["approved"] += 1
            if world.story is not None:
                world.tell(f"the operator approves {approve}: {'; '.join(trip.message for trip in chosen.refused)}")
        return list(latest.values())

    def _is_rightful(self, report: RunReport) -> bool:
        """Whether the operator lets a refused run pass."""
        pair = next(each for each in self.world.pairs if each.setup.spec.name == report.pair)
        return bool(report.approval) and audit.is_rightful(self.world, pair, report.approval)

    def _sync(self, approve: str | None, name: str | None = None) -> list[RunReport]:
        if self.world.story is not None:
            self.world.tell(f"--- sync{f' {name}' if name else ''}{' with approval' if approve else ''}")
        return self._command(lambda: self.app.sync(name, approve=approve), approve)

    def _hint(self) -> None:
        """A webhook tells of a record, truly or not; those that it tells of are looked at alone."""
        pair, side = self.tape.choose(self.world.pairs), self.tape.choose(tuple(Side))
        told = list(dict.fromkeys(event.id for event in pair.far[side].events))
        if not told or not self.tape.chance(0.7):
            return
        ids = [self.tape.choose(told) for _ in range(1 + self.tape.draw(2))]
        name = pair.setup.spec.name
        self.counts["hints"] += 1
        if self.world.story is not None:
            self.world.tell(f"--- a hint: {', '.join(ids)} on the {pair.far[side].name}")
        self._command(lambda: [self.app.look_at(name, {side: ids})], None)
        audit.check_state(self.world)

    def _command(self, call: Callable[[], list[RunReport]], approve: str | None) -> list[RunReport]:
        """One command of a process, and its end, whichever that is."""
        world = self.world
        runs = self._last_run()
        for pair in world.pairs:
            pair.ghost.begun.append((runs, pair.ghost.seq))
            if self.setup.is_changing:
                self._fence(pair, approve)
        world.protocol.begin(last_run=runs, approved=approve is not None, is_calm=not world.hostile)
        world.protocol.caller = self.app.holder
        try:
            reports = call()
        except Crash as crash:
            if world.story is not None:
                world.tell(f"!! the process dies {crash}")
            self._restart()
            return []
        except StateLocked:
            self.counts["lease held"] += 1
            world.clock.time += 301.0
            return []
        except Fenced:
            self.counts["fenced"] += 1
            if world.story is not None:
                world.tell("the engine finds that another one took over, and stops")
            return []
        except SyncError as error:
            raise Violation("ENGINE", f"sync raised {type(error).__name__}: {error}") from error
        except RuntimeError as error:
            if str(error) != "a bug in the connector":
                raise Violation("ENGINE", f"sync raised {type(error).__name__}: {error}") from error
            self._restart()
            return []
        except Exception as error:
            raise Violation("ENGINE", f"sync raised {type(error).__name__}: {error}") from error
        audit.check_reports(world, reports)
        audit.learn_partners(world)
        return reports

    def _fence(self, pair: Pair, approve: str | None) -> None:
        """Whether the pair may be written in this command before anybody has approved of its config."""
        pair.oracle.bounds.fence = None
        known = self.connection.execute("SELECT 1 FROM approval WHERE pair=? AND hash=?", (pair.number, approve)).fetchone()
        if approve is None or known is None:
            pair.oracle.bounds.fence = fence(pair.number, pair.setup, self.connection)

    def _rival(self) -> None:
        """A second engine on the same state, while the first one stands still: a moment, or long beyond its lease."""
        world = self.world
        world.clock.time += self.tape.choose((0.0, 400.0, 1000.0))
        if world.story is not None:
            world.tell("another engine starts")
        staged = self.connection.execute("SELECT * FROM temp.staged").fetchall()
        rival = self._start()
        world.protocol.caller, stalled = rival.holder, world.protocol.caller
        try:
            rival.sync(
                self.tape.choose((None, *(pair.setup.spec.name for pair in world.pairs))) if len(world.pairs) > 1 else None
            )
            self.counts["another engine ran"] += 1
        except StateLocked:
            self.counts["another engine was kept out"] += 1
        except Crash:
            if self.connection.in_transaction:
                self.connection.rollback()
        finally:
            audit.learn_partners(world)
            world.protocol.caller = stalled
            self.connection.execute("DELETE FROM temp.staged")
            if staged:
                marks = ",".join("?" * len(staged[0]))
                self.connection.executemany(f"INSERT INTO temp.staged VALUES ({marks})", staged)
            if world.story is not None:
                world.tell("the first engine goes on")

    def _restart(self) -> None:
        """The next process finds the lease of the dead one: it knows that it is dead, or waits until it has run out."""
        world = self.world
        self.app = self._start()
        audit.check_state(world)
        audit.learn_partners(world)
        if self.is_scripted or self.tape.chance(0.7):
            self.app.store.leases.break_dead(PLACE)
        elif self.tape.chance(0.5):
            world.clock.time += 301.0

    def _answer_some(self) -> None:
        """People answer some of the questions in the inbox."""
        for entry in self.app.store.inbox.entries():
            if entry.choice is not None or not self.tape.chance(0.3):
                continue
            pair = self.world.pair(entry.pair)
            choices = ["left", "right", "apart"]
            value = None
            if entry.ask.kind is AskKind.CONFLICT and entry.ask.field == "name":
                choices.append("value")
            choice = self.tape.choose(choices)
            if choice == Pick.VALUE.value:
                value = self.world.people.typed(pair)
            if entry.ask.kind is AskKind.UNKNOWN_OUTCOME:
                continue
            pair.chosen |= entry.ask.field is None
            self.counts[f"answered: {entry.ask.kind.value} {choice}"] += 1
            if self.world.story is not None:
                self.world.tell(
                    f"a person answers {entry.ask.kind.value} {entry.label} {entry.ask.field}: {choice} {value or ''}"
                )
            if choice == Pick.APART.value and entry.ask.field is not None and entry.link is not None:
                pair.apart.add((entry.link, entry.ask.field))
            try:
                self.app.desk.resolve(entry.number, choice, value)
            except Crash:
                self._restart()
                return

    def _heal(self) -> None:
        """Faults and people stop, time passes; a few rounds later everything is in order."""
        world = self.world
        world.hostile = False
        world.lies = dict.fromkeys(world.systems)
        world.short = dict.fromkeys(world.systems, False)
        world.denied_until = dict.fromkeys(world.systems, 0.0)
        for pair in world.pairs:
            pair.oracle.lied = dict.fromkeys(Side, False)
        if world.story is not None:
            world.tell("=== healing: no more people, no more faults")
        world.clock.time += 700.0
        world.land_all()
        try:
            self.app.desk.release([entry.id for entry in self.app.desk.quarantine()])
        except SyncError as error:
            raise Violation("ENGINE", f"what is in quarantine could not be released: {error}") from error
        quiet, removals = 0, -1
        # In a chain what one pair did is news to the other, which may have to write in turn.
        most = HEALING_ROUNDS * len(world.pairs)
        for number in range(1, most + 1):
            world.clock.time += 60.0
            before, waited = world.effects, audit.waiting(world)
            reports = self._round()
            audit.check_state(world)
            for report in reports:
                if report.error:
                    raise Violation("L1", f"a run without any fault ends with an error: {report.error}")
            quiet = quiet + 1 if world.effects == before and reports and audit.waiting(world) == waited else 0
            gone = world.removals if len(world.pairs) > 1 else removals
            if quiet == 1 and (world.ever_lied or gone > removals):
                # What a system hid, it does not tell of when it shows it again, nor what the other pair deleted: only a full read
                # finds that. After it two rounds have to be quiet, as where nothing was hidden.
                world.ever_lied, quiet, removals = False, 0, gone
                world.clock.time += max(pair.setup.spec.full_sweep for pair in world.pairs)
            elif quiet == 2:
                self.rounds = number - 2
                break
        else:
            raise Violation("L1", f"still writing after {most} quiet rounds")
        audit.check_end(world)


def simulate(seed: int, kind: Kind = Kind.HOSTILE, *, recorded: Sequence[Slot] | None = None, story: bool = False) -> Result:
    """One history from a seed, or from a recorded tape."""
    tape = Tape(seed, recorded)
    history = History(tape, kind, story=story)
    violation = None
    try:
        history.play()
    except Violation as found:
        violation = found
    finally:
        history.close()
    if violation is not None and story:
        history.world.tell(f"VIOLATION {violation}")
    return Result(
        violation=violation,
        slots=tape.slots,
        counts=history.counts,
        rounds=history.rounds,
        story=history.world.story or [],
    )
