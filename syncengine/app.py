"""
The composition root: a config becomes connectors, rules, a store and ports, and the engine is set to work.

What people can do stands here as methods, each returning plain values; the command line and the daemon only show them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from syncengine.config import Config
from syncengine.connector import Native, Resource
from syncengine.core.codec import Fingerprinter
from syncengine.core.decision import AskKind, Op, Wait
from syncengine.core.mapping import PairRule, compile_known_pair, compile_pair, mapping_digest
from syncengine.core.merge import Pick
from syncengine.core.model import PairSpec, Side
from syncengine.engine import run as engine
from syncengine.engine.cards import card_lines, card_path
from syncengine.engine.check import check_pair
from syncengine.engine.context import Context, Ports, Progress, Resolver, Silent
from syncengine.engine.pacing import Pacer
from syncengine.engine.ports import RandomTokens, SystemClock, Threads
from syncengine.engine.remote import Remote
from syncengine.engine.report import (
    ActionLine,
    CheckLine,
    CheckReport,
    Exit,
    FieldDiff,
    InboxEntry,
    PairStatus,
    PlanReport,
    QuarantineEntry,
    RunDetail,
    RunLine,
    RunReport,
    StatusReport,
)
from syncengine.engine.wrap import Checked, Logged, Paced, ReadOnly, Retrying
from syncengine.errors import ConfigError, Problem, SyncError
from syncengine.registry import Registry, open_system
from syncengine.store.identity import Access
from syncengine.store.journal import Intent, IntentState
from syncengine.store.process import this_place
from syncengine.store.runs import RunRow
from syncengine.store.store import Store

_PASSES = 4
_AGAIN = frozenset({Wait.REFERENCE, Wait.DEFERRED})
"""Waits that another pass of the same command may end."""


class App:
    """A config at work; a context manager that closes what it opened."""

    def __init__(self, config: Config, registry: Registry, store: Store, ports: Ports, *, is_planning: bool = False) -> None:
        self._is_planning = is_planning
        self._pacers: dict[str, Pacer] = {}
        self.config = config
        self.store = store
        self._registry = registry
        self._ports = ports
        self._connectors: dict[tuple[str, int], Any] = {}
        self._accounts: dict[tuple[str, int], str] = {}
        self._holder = ports.tokens.token()
        self._place = this_place()

    @classmethod
    def open(
        cls,
        config: Config,
        *,
        read_only_state: bool = False,
        stop: Callable[[], bool] = lambda: False,
        progress: Progress | None = None,
        registry: Registry | None = None,
    ) -> App:
        """
        Open the state; systems are opened when first used.

        `read_only_state`: for a plan; a state that does not exist yet is not made. Raises StateError.
        """
        ports = Ports(clock=SystemClock(), tokens=RandomTokens(), executor=Threads(), progress=progress or Silent(), stop=stop)
        store = Store.open(config.state, now=ports.clock.now(), access=Access.READ if read_only_state else Access.WRITE)
        return cls(config, registry or Registry.installed(), store, ports, is_planning=read_only_state)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
        if (explained := self.store.database.explained(error)) is not None:
            raise explained from error

    def close(self) -> None:
        """Close every connector and the state; what was learned about rates is kept."""
        rates = {f"rate:{system}": str(pacer.learned) for system, pacer in self._pacers.items() if pacer.learned is not None}
        for name, rate in rates.items():
            if self.store.runs.note(name) != rate and not self._is_planning:
                self.store.runs.set_note(name, rate)
        self._pacers.clear()
        for connector in self._connectors.values():
            connector.close()
        self._connectors.clear()
        self.store.close()

    # Running

    def plan(self, pair: str | None = None) -> list[PlanReport]:
        """What a sync would do; writes nothing anywhere."""
        return [self._plan(self._context(spec, planning=True)) for spec in self.specs(pair)]

    def _plan(self, context: Context) -> PlanReport:
        report = engine.plan(context)
        told = [line.text for side, remote in context.remotes.items() for line in self._card(remote, side.value)]
        return replace(report, notes=(*report.notes, *told))

    def sync(self, pair: str | None = None, *, records: Sequence[str] = (), approve: str | None = None) -> list[RunReport]:
        """
        One pass over each pair, referenced pairs first, and further passes over what the first left for a moment.

        `records` limits the run to the records with these labels or ids. Raises StateError when the state cannot be used.
        """
        specs = self.specs(pair)
        reports: dict[str, RunReport] = {}
        for spec in specs:
            if self._ports.stop():
                break
            context = self._context(spec)
            scope = self._scope(context, records) if records else engine.Scope()
            reports[spec.name] = self._run(context, scope, approve)
        for _ in range(_PASSES):
            moved = False
            # Children go first on the way back, so that what they deleted frees their parents.
            for spec in reversed(specs):
                if spec.name in reports and reports[spec.name].exit in (Exit.DONE, Exit.PARTIAL):
                    moved |= self._again(spec, reports)
            if not moved or self._ports.stop():
                break
        return [reports[spec.name] for spec in specs if spec.name in reports]

    def _again(self, spec: PairSpec, reports: dict[str, RunReport]) -> bool:
        """Another pass over the records that wait for something which may have happened meanwhile; tells whether it helped."""
        state = self.store.runs.pair(spec.name)
        ids: dict[Side, list[str]] = {}
        for side in Side:
            waiting = self.store.records.pending(state.number, side)
            ids[side] = [row.id for row in waiting if row.reason in _AGAIN or (row.reason is Wait.FAILED and row.tries < _PASSES)]
        if not any(ids.values()):
            return False
        report = self._run(self._context(spec), engine.Scope(ids=ids), None)
        first = reports[spec.name]
        written = {key: first.written.get(key, 0) + report.written.get(key, 0) for key in {*first.written, *report.written}}
        reports[spec.name] = replace(
            first,
            written=written,
            finished_at=report.finished_at,
            failed=report.failed,
            inbox_open=report.inbox_open,
            quarantined=report.quarantined,
            pending=report.pending,
            error=report.error,
            refused=report.refused,
            approval=report.approval,
            exit=report.exit,
            notes=tuple(dict.fromkeys((*first.notes, *report.notes))),
        )
        return sum(report.pending.values()) < sum(first.pending.values()) or bool(report.written)

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
        ordered: list[PairSpec] = []

        def visit(spec: PairSpec, path: tuple[str, ...]) -> None:
            if spec in ordered or spec.name in path:
                return
            for name in sorted({field.references for field in spec.fields if field.references} & set(self.config.pairs)):
                visit(self.config.pairs[name], (*path, spec.name))
            ordered.append(spec)

        for spec in self.config.pairs.values():
            visit(spec, ())
        return ordered

    def connector(self, system: str, instance: int = 0) -> Any:
        """The system's connector in its wrappers; a second instance where both sides of a pair are one system."""
        key = (system, instance)
        if key not in self._connectors:
            settings, clock = self.config.systems[system], self._ports.clock
            bare = open_system(settings, self._registry, base=self.config.base)
            inner: Any = Logged(bare, clock, system=system)
            if settings.read_only:
                inner = ReadOnly(inner)
            pacer = self._pacer(system, getattr(bare, "limits", settings.limits))
            if hasattr(bare, "gate"):
                bare.gate = pacer
            elif settings.limits.requests_per_second is not None or settings.limits.max_calls is not None:
                inner = Paced(inner, pacer)
            self._connectors[key] = Checked(Retrying(inner, clock))
        return self._connectors[key]

    def _pacer(self, system: str, limits: Any) -> Pacer:
        """One rate per system, whatever speaks to it; a limit learned in an earlier run is where this one starts."""
        if system not in self._pacers:
            configured = self.config.systems[system].limits
            learned = self.store.runs.note(f"rate:{system}")
            self._pacers[system] = Pacer(
                self._ports.clock,
                rate=configured.requests_per_second or limits.requests_per_second,
                max_calls=configured.max_calls or limits.max_calls,
                learned=float(learned) if learned is not None else None,
            )
        return self._pacers[system]

    def remotes(self, spec: PairSpec) -> tuple[PairRule, Mapping[Side, Remote]]:
        """Both sides of a pair within reach, and the rule compiled against them; raises ConfigError with all problems."""
        instances = {Side.LEFT: 0, Side.RIGHT: int(spec.left.system == spec.right.system)}
        connectors = {side: self.connector(spec.end(side).system, instances[side]) for side in Side}
        accounts = {side: self._account(spec, side, (spec.end(side).system, instances[side])) for side in Side}
        resources = {side: self._resource(spec, side, connectors[side]) for side in Side}
        zones = {side: self.config.systems[spec.end(side).system].timezone for side in Side}
        state = self.store.runs.find_pair(spec.name)
        is_known = state is not None and state.parts.get("mapping") == mapping_digest(spec)
        made = compile_known_pair if is_known else compile_pair
        rule = made(spec, resources[Side.LEFT], resources[Side.RIGHT], timezones=zones)
        return rule, {
            side: Remote(
                side=side,
                end=spec.end(side),
                connector=connectors[side],
                resource=resources[side],
                columns=rule.columns(side),
                account=accounts[side],
            )
            for side in Side
        }

    def _account(self, spec: PairSpec, side: Side, key: tuple[str, int]) -> str:
        """
        Who we are in a system. Where the config alone tells (a connector's `place`), and the state knows that account from a run
        that went through, no call is spent on it: with other credentials the next call is refused.
        """
        if key not in self._accounts:
            connector = self.connector(*key)
            state = self.store.runs.find_pair(spec.name)
            place: str | None = getattr(connector, "place", None)
            is_known = place is not None and state is not None and state.accounts[side] == place
            self._accounts[key] = place if place is not None and is_known else connector.check().id
        return self._accounts[key]

    def _resource(self, spec: PairSpec, side: Side, connector: Any) -> Resource:
        end = spec.end(side)
        resources = connector.resources()
        try:
            described: Resource = resources[end.resource]
        except KeyError:
            names = ", ".join(sorted(resources)[:20]) or "none at all"
            problem = Problem(
                place=f"pairs.{spec.name}.{side.value}",
                wrong=f"the system {end.system!r} has no resource {end.resource!r}",
                cure=f"it has: {names}",
            )
            raise ConfigError([problem]) from None
        return described

    def _context(self, spec: PairSpec, *, planning: bool = False) -> Context:
        rule, remotes = self.remotes(spec)
        if planning and self.store.runs.find_pair(spec.name) is None and self.config.state.exists():
            # A plan writes nothing, not even the pair's first row in the state.
            return self._over(Store.memory(), spec, rule, remotes)
        return self._over(self.store, spec, rule, remotes)

    def _over(self, store: Store, spec: PairSpec, rule: PairRule, remotes: Mapping[Side, Remote]) -> Context:
        sides: dict[str, Mapping[Side, Side]] = {}
        for field in spec.fields:
            if field.references is not None and field.references in self.config.pairs:
                sides[field.references] = _orientation(spec, self.config.pairs[field.references])
        return Context(
            store=store,
            rule=rule,
            pair=store.runs.pair(spec.name, was=spec.was),
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
                account = self.connector(name).check()
            except ConfigError as error:
                lines += [CheckLine(place=each.place, ok=False, text=each.wrong, cure=each.cure) for each in error.problems]
            except SyncError as error:
                lines.append(CheckLine(place=place, ok=False, text=str(error)))
            else:
                reachable.add(name)
                lines.append(CheckLine(place=place, ok=True, text=f"reached {account.label}"))
                lines += [CheckLine(place=place, ok=True, text=note) for note in account.notes]
                guarantee = self._registry.load(self.config.systems[name].connector).guarantee
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
            rule, remotes = self.remotes(spec)
            for remote in remotes.values():
                for note in remote.resource.notes:
                    notes.setdefault((remote.end.system, note), {})[remote.end.resource] = None
            guaranteed = [
                side for side in Side if self._registry.load(self.config.systems[spec.end(side).system].connector).guarantee
            ]
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

    def status(self) -> StatusReport:
        """Where every pair stands."""
        pairs = []
        for spec in self.config.pairs.values():
            state = self.store.runs.find_pair(spec.name)
            latest = self.runs(1, spec.name)
            pairs.append(
                PairStatus(
                    pair=spec.name,
                    left=str(spec.left),
                    right=str(spec.right),
                    links=self.store.links.count(state.number) if state else 0,
                    pending=self.store.records.waiting(state.number) if state else {},
                    inbox_open=self.store.inbox.count(state.number) if state else 0,
                    last=latest[0] if latest else None,
                )
            )
        return StatusReport(state=str(self.config.state), pairs=tuple(pairs))

    def runs(self, limit: int = 20, pair: str | None = None) -> list[RunLine]:
        """The latest runs, newest first."""
        return [_run_line(row) for row in self.store.runs.recent(limit, pair)]

    def run(self, number: int) -> RunDetail:
        """A past run with every write it made; raises SyncError for an unknown number."""
        row = self.store.runs.get(number)
        if row is None:
            msg = f"there is no run {number}; `syncengine log` lists the latest"
            raise SyncError(msg)
        spec = self.config.pairs.get(row.pair)
        names = {side: {field.native(side): field.name for field in spec.fields} if spec else {} for side in Side}
        intents = self.store.journal.of_run(number)
        return RunDetail(line=_run_line(row), actions=tuple(_intent_line(intent, names[intent.side]) for intent in intents))

    def conflicts(self, pair: str | None = None) -> list[InboxEntry]:
        """Every question that waits for a human."""
        entries = []
        for state in self._states(pair):
            entries += [
                InboxEntry(
                    id=entry.number,
                    pair=state.name,
                    kind=entry.ask.kind.value,
                    label=entry.label,
                    field=entry.ask.field,
                    left=entry.ask.left,
                    right=entry.ask.right,
                    base=entry.ask.base,
                    why=entry.ask.why if entry.choice is None else f"{entry.ask.why} (answered: the next sync acts on it)",
                    opened_at=datetime.fromtimestamp(entry.opened_at, UTC),
                )
                for entry in self.store.inbox.entries(state.number)
            ]
        return entries

    def resolve(self, entry_id: int, choice: str, value: Native = None) -> None:
        """
        Answer a question; the next sync acts on it, if both sides still hold what was shown.

        `choice`: left, right, apart, or value with the value to write on both sides. Raises SyncError for what does not fit.
        """
        entry = next((entry for entry in self.store.inbox.entries() if entry.number == entry_id), None)
        if entry is None:
            msg = f"there is no open entry {entry_id}; `syncengine conflicts list` shows them"
            raise SyncError(msg)
        pick = Pick(choice)
        if pick is Pick.VALUE and entry.ask.kind is not AskKind.CONFLICT:
            msg = f"entry {entry_id} is about a whole record: choose left, right or apart"
            raise SyncError(msg)
        with self.store.database.transaction():
            now = self._ports.clock.now()
            match entry.ask.kind:
                case AskKind.CONFLICT | AskKind.DELETE:
                    self.store.inbox.choose(entry_id, pick, value)
                case AskKind.UNKNOWN_OUTCOME:
                    self._resolve_unknown(entry.subject, now)
                    self.store.inbox.close(entry_id, now)
                case AskKind.EDIT_SURVIVED | AskKind.MET | AskKind.DUPLICATE:
                    self.store.inbox.close(entry_id, now)

    def _resolve_unknown(self, subject: str, now: float) -> None:
        """A human looked: the create in doubt counts as not applied, and the record is matched like any other."""
        intent = self.store.journal.get(int(subject.partition(":")[2]))
        if intent is None:
            return
        self.store.journal.close([(intent.number, IntentState.CLOSED, now, None, "resolved by a person")])
        if intent.link is not None:
            self.store.links.end([intent.link])

    def quarantine(self, pair: str | None = None) -> list[QuarantineEntry]:
        """Every parked record."""
        entries = []
        for state in self._states(pair):
            for side in Side:
                entries += [
                    QuarantineEntry(
                        id=f"{state.name}:{side.value}:{row.id}",
                        pair=state.name,
                        side=side.value,
                        label=row.label,
                        record=row.id,
                        reason=row.detail,
                        since=datetime.fromtimestamp(row.since, UTC),
                        tries=row.tries,
                    )
                    for row in self.store.records.pending(state.number, side)
                    if row.reason is Wait.QUARANTINED
                ]
        return entries

    def retry(self, ids: Sequence[str]) -> list[RunReport]:
        """Release parked records and run over them at once."""
        return [report for name in self.release(ids) for report in self.sync(name)]

    def release(self, ids: Sequence[str]) -> list[str]:
        """Let parked records be tried again by the next sync; returns their pairs. Raises SyncError for an unknown id."""
        known = {entry.id: entry for entry in self.quarantine()}
        pairs = []
        with self.store.database.transaction():
            for id_ in ids:
                if id_ not in known:
                    msg = f"nothing in quarantine has the id {id_!r}; `syncengine quarantine list` shows what is there"
                    raise SyncError(msg)
                entry = known[id_]
                state = self.store.runs.pair(entry.pair)
                self.store.records.release(state.number, Side(entry.side), [entry.record])
                pairs.append(entry.pair)
        return list(dict.fromkeys(pairs))

    def _states(self, pair: str | None) -> Iterator[Any]:
        for state in self.store.runs.pairs():
            if pair is None or state.name == pair:
                yield state


def _unreadable(spec: PairSpec, side: Side, connector: Any, resource: Resource) -> list[Problem]:
    """What speaks against a system that can only be written: it must be the target, and meet records by the match key itself."""
    if hasattr(connector, "read") or hasattr(connector, "get"):
        return []
    place, end = f"pairs.{spec.name}.{side.value}", spec.end(side)
    problems = []
    if spec.direction.allows(side.other):
        wrong = f"the system {end.system!r} cannot be read, so nothing can travel from it"
        cure = f'set direction = "{"left_to_right" if side is Side.RIGHT else "right_to_left"}"'
        problems.append(Problem(place=place, wrong=wrong, cure=cure))
    keys = {field.native(side) for field in spec.fields if field.name in spec.match}
    if len(spec.match) != 1 or not keys <= set(resource.capabilities.upsert_keys):
        wrong = f"the system {end.system!r} cannot be read and has no upsert by {', '.join(spec.match)}: records would be doubled"
        cure = f"match by one of: {', '.join(resource.capabilities.upsert_keys) or 'nothing, it has no upsert keys'}"
        problems.append(Problem(place=place, wrong=wrong, cure=cure))
    return problems


def _orientation(spec: PairSpec, referenced: PairSpec) -> Mapping[Side, Side]:
    """Which side of the referenced pair each of our sides is: the same systems, perhaps the other way round."""
    if spec.left.system == referenced.right.system and spec.left.system != referenced.left.system:
        return {Side.LEFT: Side.RIGHT, Side.RIGHT: Side.LEFT}
    return {Side.LEFT: Side.LEFT, Side.RIGHT: Side.RIGHT}


def _run_line(row: RunRow) -> RunLine:
    return RunLine(
        run=row.number,
        pair=row.pair,
        started_at=datetime.fromtimestamp(row.started_at, UTC),
        finished_at=None if row.finished_at is None else datetime.fromtimestamp(row.finished_at, UTC),
        exit=None if row.exit is None else Exit(row.exit),
        report=row.report,
    )


def _intent_line(intent: Intent, names: Mapping[str | None, str]) -> ActionLine:
    outcome = {"done": "done", "closed": "failed"}.get(intent.state.value, "unknown")
    diffs = tuple(
        FieldDiff(field=names.get(name, name), before=intent.before.get(name), after=value)
        for name, value in intent.payload.items()
    )
    return ActionLine(
        kind=intent.op.value,
        side=intent.side.value,
        label=intent.label,
        id=intent.result or intent.record,
        diffs=diffs if intent.op is not Op.DELETE else (),
        why=intent.error or "; ".join(sorted(set(intent.whys.values()))),
        outcome=outcome,
    )
