"""Plan, sync and check: passes over pairs in the right order, and what they are put together from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from syncengine.app.desk import Desk
from syncengine.app.not_begun import not_begun
from syncengine.app.systems import Systems
from syncengine.config import Config
from syncengine.core.codec import Fingerprinter
from syncengine.core.decision import Wait
from syncengine.core.mapping import PairRule
from syncengine.core.model import PairSpec, Side
from syncengine.engine import run as engine
from syncengine.engine.cards import card_lines, card_path
from syncengine.engine.check import check_pair
from syncengine.engine.context import Context, Ports, Progress, Resolver, Silent
from syncengine.engine.pacing import Pacer
from syncengine.engine.ports import RandomTokens, SystemClock, Threads
from syncengine.engine.remote import Remote
from syncengine.engine.report import CheckLine, CheckReport, Exit, PlanReport, RunReport
from syncengine.engine.wrap import Watcher
from syncengine.errors import ConfigError, ConnectorError, Interrupted, Problem, SyncError
from syncengine.registry import Registry
from syncengine.store.identity import Access
from syncengine.store.process import this_place
from syncengine.store.runs import PairState
from syncengine.store.store import Store

_PASSES = 4
_AGAIN = frozenset({Wait.REFERENCE, Wait.DEFERRED})
"""Waits that another pass of the same command may end."""


class App:
    """A config at work; a context manager that closes what it opened."""

    def __init__(
        self,
        config: Config,
        registry: Registry,
        store: Store,
        ports: Ports,
        *,
        is_planning: bool = False,
        pacers: dict[str, Pacer] | None = None,
        watcher: Watcher | None = None,
        place: str | None = None,
    ) -> None:
        self._is_planning = is_planning
        self.config = config
        self.store = store
        shared = {} if pacers is None else pacers
        self.systems = Systems(config, registry, ports.clock, store.runs, pacers=shared, watcher=watcher)
        self.desk = Desk(config, store, ports.clock)
        self._ports = ports
        self._holder = ports.tokens.token()
        self._scratch: list[Store] = []
        self._place = this_place() if place is None else place

    @classmethod
    def open(
        cls,
        config: Config,
        *,
        read_only_state: bool = False,
        stop: Callable[[], bool] = lambda: False,
        progress: Progress | None = None,
        registry: Registry | None = None,
        pacers: dict[str, Pacer] | None = None,
        watcher: Watcher | None = None,
    ) -> App:
        """
        Open the state; systems are opened when first used.

        `read_only_state`: for a plan; a state that does not exist yet is not made. `pacers`: by system, shared by the apps of one
        process, so that together they call no faster than one. `watcher` hears of every call. Raises StateError.
        """
        clock, progress = SystemClock(stop), progress or Silent()
        ports = Ports(clock=clock, tokens=RandomTokens(), executor=Threads(), progress=progress, stop=stop)
        store = Store.open(config.state, now=clock.now(), access=Access.READ if read_only_state else Access.WRITE)
        known = registry or Registry.installed()
        return cls(config, known, store, ports, is_planning=read_only_state, pacers=pacers, watcher=watcher)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
        if (explained := self.store.database.explained(error)) is not None:
            raise explained from error

    def close(self) -> None:
        """Close every connector and the state; what was learned about rates is kept."""
        self.renew()
        while self._scratch:
            self._scratch.pop().close()
        self.store.close()

    def renounce(self) -> str:
        """
        Take leases under a new name from now on; returns the old one. For a run that broke off and could not give its leases
        back: whoever finds the state in order may free them.
        """
        old, self._holder = self._holder, self._ports.tokens.token()
        return old

    def now(self) -> float:
        """The moment by the clock of this App, in epoch seconds."""
        return self._ports.clock.now()

    def renew(self) -> None:
        """Let go of the systems: the next run opens them anew and sees how they look by then. Learned rates are kept."""
        for system, rate in self.systems.learned_rates().items():
            if self.store.runs.note(f"rate:{system}") != str(rate) and not self._is_planning:
                self.store.runs.set_note(f"rate:{system}", str(rate))
        self.systems.close()

    # Running

    def plan(self, pair: str | None = None) -> list[PlanReport]:
        """What a sync would do; writes nothing anywhere."""
        return [self._plan(spec) for spec in self.specs(pair)]

    def _plan(self, spec: PairSpec) -> PlanReport:
        rule, remotes = self.systems.remotes(spec)
        known = self.store.runs.find_pair(spec.name) or (self.store.runs.find_pair(spec.was) if spec.was else None)
        if known is not None or not self.config.state.exists():
            return self._planned(self._over(self.store, spec, rule, remotes, known))
        # A plan writes nothing, not even the pair's first row in the state. Its actions are told from here, later.
        empty = Store.memory()
        self._scratch.append(empty)
        return self._planned(self._over(empty, spec, rule, remotes))

    def _planned(self, context: Context) -> PlanReport:
        report = engine.plan(context)
        told = [line.text for side, remote in context.remotes.items() for line in self._card(remote, side.value)]
        return replace(report, notes=(*report.notes, *told))

    def sync(self, pair: str | None = None, *, records: Sequence[str] = (), approve: str | None = None) -> list[RunReport]:
        """
        One pass over each pair, referenced pairs first, and further passes over what the first left for a moment.

        There is a report for each pair, also where a system was out of reach or the stop came before its turn. `records` limits
        the run to the records with these labels or ids. Raises StateError when the state cannot be used; ConfigError, before the
        first pass, with all that is wrong with any of the pairs.
        """
        self.systems.begin()
        specs = self.specs(pair)
        out_of_reach = self._out_of_reach(specs) if len(specs) > 1 else {}
        reports: dict[str, RunReport] = {}
        for spec in specs:
            reports[spec.name] = self._pass(spec, records, approve, out_of_reach.get(spec.name))
        self._follow(specs, reports)
        return [reports[spec.name] for spec in specs]

    def _out_of_reach(self, specs: Sequence[PairSpec]) -> dict[str, ConnectorError]:
        """The pairs that cannot begin, and why; raises ConfigError with all that is wrong with any of them."""
        problems: list[Problem] = []
        found: dict[str, ConnectorError] = {}
        for spec in specs:
            if self._ports.stop():
                break
            try:
                self.systems.remotes(spec)
            except ConfigError as error:
                problems += error.problems
            except ConnectorError as error:
                found[spec.name] = error
        if problems:
            raise ConfigError(problems)
        return found

    def _pass(
        self, spec: PairSpec, records: Sequence[str], approve: str | None, out_of_reach: ConnectorError | None
    ) -> RunReport:
        started = self._ports.clock.now()
        try:
            if self._ports.stop():
                raise Interrupted("asked to stop before it began")
            if out_of_reach is not None:
                raise out_of_reach
            context = self._context(spec)
            scope = self._scope(context, records) if records else engine.Scope()
        except ConnectorError as error:
            with self.store.database.translated():
                return not_begun(self.store, spec, started=started, now=self._ports.clock.now(), error=error)
        return self._run(context, scope, approve)

    def look_at(self, pair: str, ids: Mapping[Side, Sequence[str]]) -> RunReport:
        """
        One pass over the records with these ids, by side, and further passes over what it left for a moment.

        A pair that never went through, or whose config changed since, is run whole: a part of it proves nothing. Systems that are
        open are taken as they are. Raises as `sync` does.
        """
        self.systems.begin()
        [spec] = self.specs(pair)
        context = self._context(spec)
        if context.pair.digest != context.rule.digest:
            return self.sync(pair)[0]
        reports = {pair: self._run(context, engine.Scope(ids={side: ids.get(side, ()) for side in Side}), None)}
        self._follow([spec], reports)
        return reports[pair]

    def look_again(self, pair: str) -> RunReport | None:
        """A pass over the records that wait for something which may have happened; None where none does."""
        self.systems.begin()
        state = self.store.runs.find_pair(pair)
        ids = self._waiting(state.number) if state is not None else {}
        return self.look_at(pair, ids) if any(ids.values()) else None

    def _follow(self, specs: Sequence[PairSpec], reports: dict[str, RunReport]) -> None:
        """Further passes, over what the first ones left for a moment."""
        for _ in range(_PASSES):
            moved = False
            # Children go first on the way back, so that what they deleted frees their parents.
            for spec in reversed(specs):
                if spec.name in reports and reports[spec.name].exit in (Exit.DONE, Exit.PARTIAL):
                    moved |= self._again(spec, reports)
            if not moved or self._ports.stop():
                break

    def _again(self, spec: PairSpec, reports: dict[str, RunReport]) -> bool:
        """Another pass over the records that wait for something which may have happened meanwhile; tells whether it helped."""
        state = self.store.runs.pair(spec.name)
        ids = self._waiting(state.number)
        if not any(ids.values()):
            return False
        report = self._run(self._context(spec), engine.Scope(ids=ids), None)
        first = reports[spec.name]
        reports[spec.name] = replace(
            first,
            written=_sums(first.written, report.written),
            shortfalls=_sums(first.shortfalls, report.shortfalls),
            finished_at=report.finished_at,
            failed=report.failed,
            inbox_open=report.inbox_open,
            quarantined=report.quarantined,
            pending=report.pending,
            error=report.error,
            refused=report.refused,
            approval=report.approval,
            exit=report.exit,
            doubt_ends_at=report.doubt_ends_at,
            notes=tuple(dict.fromkeys((*first.notes, *report.notes))),
        )
        return sum(report.pending.values()) < sum(first.pending.values()) or bool(report.written)

    def _waiting(self, number: int) -> dict[Side, list[str]]:
        """The records of a pair that wait for something which another pass may find done."""
        return {
            side: [row.id for row in rows if row.reason in _AGAIN or (row.reason is Wait.FAILED and row.tries < _PASSES)]
            for side, rows in self.store.records.pending(number).items()
        }

    def _run(self, context: Context, scope: engine.Scope, approve: str | None) -> RunReport:
        with self.store.database.translated():
            report = engine.run(context, scope, holder=self._holder, place=self._place, approve=approve)
            self.store.database.advance()
        return report

    def _scope(self, context: Context, records: Sequence[str]) -> engine.Scope:
        """The ids that these labels or ids mean: by match key in the state, by a probe in the systems, else taken as ids."""
        ids: dict[Side, list[str]] = {Side.LEFT: [], Side.RIGHT: []}
        rule = context.rule.match[0]
        for text in records:
            for side in Side:
                found = [record.id for record in context.remotes[side].find(rule.native(side), [text])]
                found += [id_ for id_ in [text] if context.store.records.known(context.pair.number, side, [text])]
                ids[side] += found
            if not any(ids.values()):
                msg = f"--record {text}: no record of {context.rule.name} has this {rule.name} or id on either side"
                raise SyncError(msg)
        return engine.Scope(ids=ids)

    # Putting together

    def specs(self, pair: str | None = None) -> list[PairSpec]:
        """The pairs asked for, those that others refer to first; raises ConfigError for an unknown name."""
        if pair is not None:
            if pair not in self.config.pairs:
                names = ", ".join(sorted(self.config.pairs))
                raise ConfigError([Problem(place="pairs", wrong=f"there is no pair {pair!r}", cure=f"the pairs are: {names}")])
            return [self.config.pairs[pair]]
        return self.config.in_order()

    def _context(self, spec: PairSpec) -> Context:
        rule, remotes = self.systems.remotes(spec)
        return self._over(self.store, spec, rule, remotes)

    def _over(
        self, store: Store, spec: PairSpec, rule: PairRule, remotes: Mapping[Side, Remote], known: PairState | None = None
    ) -> Context:
        sides: dict[str, Mapping[Side, Side]] = {}
        for field in spec.fields:
            if field.references is not None and field.references in self.config.pairs:
                sides[field.references] = _orientation(spec, self.config.pairs[field.references])
        return Context(
            store=store,
            rule=rule,
            pair=known or store.runs.pair(spec.name, was=spec.was),
            remotes=remotes,
            ports=self._ports,
            resolver=Resolver(store, sides),
            fingerprinter=Fingerprinter(rule.digest),
            sharing={side: self._sharing(spec, side) for side in Side},
        )

    def _sharing(self, spec: PairSpec, side: Side) -> list[tuple[str, Side]]:
        """The other pairs on the resource of a side."""
        return [
            (other.name, theirs)
            for other in self.config.pairs.values()
            for theirs in Side
            if other.name != spec.name and other.end(theirs) == spec.end(side)
        ]

    # Looking

    def check(self) -> CheckReport:
        """Credentials, schema, mapping, duplicate keys and what cannot be promised; writes nothing anywhere."""
        lines: list[CheckLine] = []
        reachable = set()
        for name in self.config.systems:
            place = f"systems.{name}"
            try:
                account = self.systems.connector(name).check()
            except ConfigError as error:
                lines += [CheckLine(place=each.place, ok=False, text=each.wrong, cure=each.cure) for each in error.problems]
            except SyncError as error:
                lines.append(CheckLine(place=place, ok=False, text=str(error)))
            else:
                reachable.add(name)
                lines.append(CheckLine(place=place, ok=True, text=f"reached {account.label}"))
                lines += [CheckLine(place=place, ok=True, text=note) for note in account.notes]
                guarantee = self.systems.guarantee(name)
                if guarantee:
                    lines.append(CheckLine(place=place, ok=True, text=guarantee))
        notes: dict[tuple[str, str], dict[str, None]] = {}
        pairs = [
            line
            for spec in self.specs()
            if {spec.left.system, spec.right.system} <= reachable
            for line in self._check_pair(spec, notes)
        ]
        # What holds for several resources of a system is said once.
        for (system, note), resources in notes.items():
            lines.append(CheckLine(place=f"systems.{system}", ok=True, text=f"{', '.join(resources)}: {note}"))
        return CheckReport(lines=(*lines, *pairs))

    def _check_pair(self, spec: PairSpec, notes: dict[tuple[str, str], dict[str, None]]) -> list[CheckLine]:
        """What was found out about a pair; notes of its resources are added to `notes`, by system and note."""
        place = f"pairs.{spec.name}"
        try:
            rule, remotes = self.systems.remotes(spec)
            for remote in remotes.values():
                for note in remote.resource.notes:
                    notes.setdefault((remote.end.system, note), {})[remote.end.resource] = None
            guaranteed = [side for side in Side if self.systems.guarantee(spec.end(side).system)]
            store = Store.memory()
            try:
                cards = [line for side, remote in remotes.items() for line in self._card(remote, f"{place}.{side.value}")]
                return [*check_pair(self._over(store, spec, rule, remotes), guaranteed=guaranteed), *cards]
            finally:
                store.close()
        except ConfigError as error:
            return [CheckLine(place=each.place, ok=False, text=each.wrong, cure=each.cure) for each in error.problems]
        except SyncError as error:
            return [CheckLine(place=place, ok=False, text=str(error))]

    def _card(self, remote: Remote, place: str) -> list[CheckLine]:
        """What the capability card of a system says of a resource, if there is one beside the config."""
        path = card_path(self.config.base, remote.end.system)
        return card_lines(path, remote.end, place=place, account=remote.account)

    def retry(self, ids: Sequence[str]) -> list[RunReport]:
        """Release parked records and run over them at once."""
        return [report for name in self.desk.release(ids) for report in self.sync(name)]


def _orientation(spec: PairSpec, referenced: PairSpec) -> Mapping[Side, Side]:
    """Which side of the referenced pair each of our sides is: the same systems, perhaps the other way round."""
    if spec.left.system == referenced.right.system and spec.left.system != referenced.left.system:
        return {Side.LEFT: Side.RIGHT, Side.RIGHT: Side.LEFT}
    return {Side.LEFT: Side.LEFT, Side.RIGHT: Side.RIGHT}


def _sums(one: Mapping[str, int], two: Mapping[str, int]) -> dict[str, int]:
    return {key: one.get(key, 0) + two.get(key, 0) for key in {*one, *two}}
