"""
One simulated history: a hostile phase in which people work, calls fail and processes die, and a healing phase after which
everything has to be in order.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from syncengine.app import App
from syncengine.config.model import Config
from syncengine.core.codec import Fingerprinter
from syncengine.core.decision import AskKind
from syncengine.core.merge import Pick
from syncengine.core.model import PairSpec, Side
from syncengine.engine.context import Context, Ports, Resolver
from syncengine.engine.remote import Remote
from syncengine.engine.report import Exit, RunReport
from syncengine.engine.wrap import Checked, Retrying
from syncengine.errors import Fenced, StateLocked, SyncError
from syncengine.store.database import Database, end_of
from syncengine.store.migrations import STAGING
from syncengine.store.store import Store
from syncengine.testing.simulate import audit
from syncengine.testing.simulate.connector import SimConnector, connect
from syncengine.testing.simulate.crash import Crash, Violation
from syncengine.testing.simulate.describe import describe_setup
from syncengine.testing.simulate.ports import CountedTokens, TapedExecutor
from syncengine.testing.simulate.setup import Fault, Setup, draw_setup
from syncengine.testing.simulate.setup import World as Kind
from syncengine.testing.simulate.tape import Slot, Tape
from syncengine.testing.simulate.world import Blow, Lie, World

HEALING_ROUNDS = 10
_PLACE = "simulated"


@dataclass(slots=True, kw_only=True)
class Result:
    """How a history went: the violation, if any; the story, if it was asked for; what was exercised."""

    violation: Violation | None
    slots: list[int]
    counts: Counter[str]
    rounds: int = 0
    story: list[str] = field(default_factory=list)
    trace: tuple[Any, ...] = ()


class SimApp(App):
    """The real App over a simulated world: one process, which may die."""

    def __init__(self, world: World, store: Store, ports: Ports, connectors: dict[Side, SimConnector]) -> None:
        config = Config(path=Path(), base=Path(), state=Path(), systems={}, pairs={world.setup.spec.name: world.setup.spec})
        registry: Any = None
        super().__init__(config, registry, store, ports)
        self._place = _PLACE
        self._world = world
        self._remotes = {
            side: Remote(
                side=side,
                end=world.setup.spec.end(side),
                connector=Checked(Retrying(connectors[side], world.clock)),
                resource=world.setup.resources[side],
                columns=world.setup.rule.columns(side),
                account=side.value,
            )
            for side in Side
        }

    def _context(self, spec: PairSpec, *, planning: bool = False) -> Context:
        del planning
        rule = self._world.setup.rule
        return Context(
            store=self.store,
            rule=rule,
            pair=self.store.runs.pair(spec.name),
            remotes=self._remotes,
            ports=self._ports,
            resolver=Resolver(self.store, {spec.name: {side: side for side in Side}}),
            fingerprinter=Fingerprinter(rule.digest),
        )


_IDLE: list[sqlite3.Connection] = []


def fresh_connection() -> sqlite3.Connection:
    """
    An empty state in memory.

    A connection is used again where there is one: to make the schema, and to prepare each statement anew, costs as much as the
    history itself.
    """
    if _IDLE:
        connection = _IDLE.pop()
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        # All others may refer to a pair; the last one tells which migrations were made.
        for table in (*sorted({*tables, "temp.staged"} - {"pair", "_sqlite_migrations"}), "pair"):
            connection.execute(f"DELETE FROM {table}")
        return connection
    connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=512)
    Database(connection).prepare()
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.executescript(STAGING)
    return connection


def give_back(connection: sqlite3.Connection) -> None:
    """Let another history have the connection."""
    if connection.in_transaction:
        connection.rollback()
    _IDLE.append(connection)


class History:
    """The driver: what happens between the engine's runs, restarts after a crash, the operator, and the final judgement."""

    def __init__(self, tape: Tape, kind: Kind, *, setup: Setup | None = None, story: bool = False) -> None:
        self.tape = tape
        self.counts: Counter[str] = Counter()
        self.is_scripted = setup is not None
        self.setup: Setup = setup or draw_setup(tape, kind)
        self.connection = fresh_connection()
        self.world = World(tape, self.setup, self.connection, self.counts)
        if story:
            self.world.story = []
            for line in describe_setup(self.setup):
                self.world.tell(line)
        self.connectors = {side: connect(self.world, side) for side in Side}
        self.ports = Ports(clock=self.world.clock, tokens=CountedTokens(), executor=TapedExecutor(tape))
        self.app = self._start()
        self.rounds = 0
        self.world.rival = self._rival

    def close(self) -> None:
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
            self._lies()
            self._answer_some()
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

    def _lies(self) -> None:
        world = self.world
        for side, far in world.far.items():
            world.lies[side] = None
            world.short[side] = False
            if world.happens(Fault.BLACKOUT):
                world.lies[side] = Lie(everything=True)
            elif far.live and world.happens(Fault.HIDDEN):
                world.lies[side] = Lie(hidden=frozenset(id_ for id_ in far.live if self.tape.chance(0.5)))
            elif world.happens(Fault.SHORT):
                world.short[side] = True
            lie = world.lies[side]
            world.ever_lied |= lie is not None
            world.oracle.lied[side] = lie is not None and not lie.everything
            first = self.connection.execute("SELECT 1 FROM record WHERE end=?", (end_of(1, side),)).fetchone() is None
            world.oracle.has_hidden[side] |= lie is not None and (first or not lie.everything)

    def _round(self) -> list[RunReport]:
        """One command: a sync, its crash and restart, and the operator's approval."""
        world = self.world
        approve: str | None = None
        reports: list[RunReport] = []
        for attempt in range(4):
            reports = self._sync(approve)
            if not reports or reports[0].exit is not Exit.REFUSED:
                return reports
            approve = reports[0].approval or None
            if approve is None or attempt == 3 or not audit.is_rightful(world, approve):
                self.counts["refused and not approved"] += 1
                return reports
            self.counts["approved"] += 1
            if world.story is not None:
                world.tell(f"the operator approves {approve}: {'; '.join(trip.message for trip in reports[0].refused)}")
        return reports

    def _sync(self, approve: str | None) -> list[RunReport]:
        world = self.world
        before = {side: far.effects for side, far in world.far.items()}
        runs = self.connection.execute("SELECT coalesce(max(id), 0) FROM run").fetchone()[0]
        world.ghost.begun.append((runs, world.ghost.seq))
        if world.story is not None:
            world.tell(f"--- sync{' with approval' if approve else ''}")
        try:
            reports = self.app.sync(approve=approve)
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
        audit.check_reports(world, reports, before)
        audit.learn_partners(world)
        return reports

    def _rival(self) -> None:
        """A second engine on the same state, while the first one stands still: a moment, or long beyond its lease."""
        world = self.world
        world.clock.time += self.tape.choose((0.0, 400.0, 1000.0))
        if world.story is not None:
            world.tell("another engine starts")
        staged = self.connection.execute("SELECT * FROM temp.staged").fetchall()
        try:
            self._start().sync()
            self.counts["another engine ran"] += 1
        except StateLocked:
            self.counts["another engine was kept out"] += 1
        except Crash:
            if self.connection.in_transaction:
                self.connection.rollback()
        finally:
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
            self.app.store.leases.break_dead(_PLACE)
        elif self.tape.chance(0.5):
            world.clock.time += 301.0

    def _answer_some(self) -> None:
        """People answer some of the questions in the inbox."""
        for entry in self.app.store.inbox.entries():
            if entry.choice is not None or not self.tape.chance(0.3):
                continue
            choices = ["left", "right", "apart"]
            value = None
            if entry.ask.kind is AskKind.CONFLICT and entry.ask.field == "name":
                choices.append("value")
            choice = self.tape.choose(choices)
            if choice == Pick.VALUE.value:
                value = self.world.people.typed()
            if entry.ask.kind is AskKind.UNKNOWN_OUTCOME:
                continue
            self.world.chosen |= entry.ask.field is None
            self.counts[f"answered: {entry.ask.kind.value} {choice}"] += 1
            if self.world.story is not None:
                self.world.tell(
                    f"a person answers {entry.ask.kind.value} {entry.label} {entry.ask.field}: {choice} {value or ''}"
                )
            if choice == Pick.APART.value and entry.ask.field is not None and entry.link is not None:
                self.world.apart.add((entry.link, entry.ask.field))
            try:
                self.app.desk.resolve(entry.number, choice, value)
            except Crash:
                self._restart()
                return

    def _heal(self) -> None:
        """Faults and people stop, time passes; a few rounds later everything is in order."""
        world = self.world
        world.hostile = False
        world.lies = dict.fromkeys(Side)
        world.short = dict.fromkeys(Side, False)
        world.oracle.lied = dict.fromkeys(Side, False)
        world.denied_until = dict.fromkeys(Side, 0.0)
        if world.story is not None:
            world.tell("=== healing: no more people, no more faults")
        world.clock.time += 700.0
        world.land_all()
        self.app.desk.release([entry.id for entry in self.app.desk.quarantine()])
        quiet = 0
        for number in range(1, HEALING_ROUNDS + 1):
            world.clock.time += 60.0
            before, waited = world.effects, audit.waiting(world)
            reports = self._round()
            audit.check_state(world)
            for report in reports:
                if report.error:
                    raise Violation("L1", f"a run without any fault ends with an error: {report.error}")
            quiet = quiet + 1 if world.effects == before and reports and audit.waiting(world) == waited else 0
            if quiet == 2 and world.ever_lied:
                # What a system hid, it does not tell of when it shows it again: only a full read finds that.
                world.ever_lied, quiet = False, 0
                world.clock.time += self.setup.spec.full_sweep
            elif quiet == 2:
                self.rounds = number - 2
                break
        else:
            raise Violation("L1", f"still writing after {HEALING_ROUNDS} quiet rounds")
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
