"""Two memory systems and a pair between them, run by the real engine with a clock and an executor of the test's own."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from syncengine.connector import Capabilities, Field, FieldType
from syncengine.core.codec import Fingerprinter
from syncengine.core.decision import LinkState
from syncengine.core.mapping import compile_pair
from syncengine.core.merge import Pick
from syncengine.core.model import End, FieldSpec, PairSpec, Side
from syncengine.engine import run as engine
from syncengine.engine.context import Context, Ports, Resolver
from syncengine.engine.remote import Remote
from syncengine.engine.report import Exit, PlanReport, RunReport
from syncengine.engine.wrap import Checked, Retrying
from syncengine.errors import ConnectorError
from syncengine.store.inbox import Entry
from syncengine.store.store import Store
from syncengine.testing.memory import (
    FULL,
    Call,
    CallKind,
    Effect,
    EffectKind,
    Manners,
    MemoryConnector,
    MemoryResource,
    MemoryWorld,
    Moment,
    skilled,
)


class TestClock:
    """Time stands still unless a test moves it."""

    __test__ = False

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self.time = start

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def __call__(self) -> float:
        self.time += 0.001
        return self.time


class CountedTokens:
    def __init__(self) -> None:
        self.count = 0

    def token(self) -> str:
        self.count += 1
        return f"token-{self.count:06d}"

    def batch(self, size: int) -> list[str]:
        return [self.token() for _ in range(size)]


class OneByOne:
    """Calls in order, on the caller's thread."""

    def interleave(self, sources: Mapping[Any, Iterator[Any]]) -> Iterator[tuple[Any, Any]]:
        for key, source in sources.items():
            for item in source:
                yield key, item

    def run(self, calls: Sequence[Callable[[], Any]], *, at_once: int) -> Iterator[tuple[int, Any]]:
        for index, call in enumerate(calls):
            try:
                result = call()
            except Exception as error:  # noqa: BLE001 - as the real executor
                result = error
            yield index, result


PEOPLE = (
    Field(name="email", type=FieldType.EMAIL),
    Field(name="name", type=FieldType.TEXT),
    Field(name="phone", type=FieldType.TEXT),
    Field(name="tags", type=FieldType.SET, many=True),
)


def same_fields(*fields: Field, **specs: FieldSpec) -> tuple[FieldSpec, ...]:
    """Every field mapped onto the one of the same name; `specs` replaces some by their name."""
    return tuple(specs.get(each.name, FieldSpec(name=each.name, left=each.name, right=each.name)) for each in fields)


def people_spec(**changes: Any) -> PairSpec:
    values: dict[str, Any] = {
        "name": "people",
        "left": End(system="one", resource="people"),
        "right": End(system="two", resource="people"),
        "match": ("email",),
        "fields": same_fields(*PEOPLE),
    }
    return PairSpec(**(values | changes))


def able(base: Capabilities = FULL, /, manners: Manners | None = None, **changes: Any) -> dict[str, Any]:
    """Options of a side: capabilities changed from `base`, and manners."""
    return {"capabilities": replace(base, **changes), "manners": manners}


@dataclass
class Bench:
    """
    `left` and `right` are the far sides, edited as a person would; `sync` and `plan` run the engine over them.

    Another bench `beside` shares its systems, its state and its clock: several pairs of one config.
    """

    spec: PairSpec = field(default_factory=people_spec)
    fields: Sequence[Field] = PEOPLE
    left_options: dict[str, Any] = field(default_factory=dict)
    right_options: dict[str, Any] = field(default_factory=dict)
    store: Store = field(default_factory=Store.memory)
    beside: Bench | None = None
    retrying: bool = False

    def __post_init__(self) -> None:
        self.sharing: Mapping[Side, Sequence[tuple[str, Side]]] = {}
        other = self.beside
        if other is None:
            self.clock = TestClock()
            self.tokens = CountedTokens()
            self.worlds = {side: MemoryWorld(name=side.value, clock=self.clock) for side in Side}
            weakref.finalize(self, self.store.close)
        else:
            self.store.close()
            self.store, self.clock, self.tokens, self.worlds = other.store, other.clock, other.tokens, other.worlds
        options = {Side.LEFT: self.left_options, Side.RIGHT: self.right_options}
        self.resources: dict[Side, MemoryResource] = {side: self._resource(side, options[side]) for side in Side}
        self.connectors: dict[Side, Any] = {}
        self.accounts = {side: side.value for side in Side}
        self.reconnect()
        self.ports = Ports(clock=self.clock, tokens=self.tokens, executor=OneByOne())

    def _resource(self, side: Side, options: dict[str, Any]) -> MemoryResource:
        name = self.spec.end(side).resource
        world = self.worlds[side]
        if name not in world.resources:
            world.add(name, self.fields, **({"capabilities": FULL} | options))
        return world[name]

    def reconnect(self, *, lacking: Mapping[Side, Sequence[str]] | None = None) -> None:
        """Open the connectors anew, so that they describe their systems as they are; some may lack skills (`gets`, `finds`)."""
        lacks = lacking or {}
        self.connectors = {
            side: skilled(self.worlds[side], **dict.fromkeys(lacks[side], False)) if side in lacks else MemoryConnector(world)
            for side, world in self.worlds.items()
        }

    def redefine(self, side: Side, *fields: Field, gone: Sequence[str] = ()) -> None:
        """The system describes these fields differently from now on, and no longer those that are gone."""
        resource = self.resources[side]
        described = {name: field for name, field in resource.resource.fields.items() if name not in gone}
        resource.redefine(replace(resource.resource, fields=described | {each.name: each for each in fields}))
        self.reconnect()

    @property
    def left(self) -> MemoryResource:
        return self.resources[Side.LEFT]

    @property
    def right(self) -> MemoryResource:
        return self.resources[Side.RIGHT]

    def context(self) -> Context:
        described = {side: self.connectors[side].resources()[self.spec.end(side).resource] for side in Side}
        rule = compile_pair(self.spec, described[Side.LEFT], described[Side.RIGHT], timezones=dict.fromkeys(Side))
        remotes = {
            side: Remote(
                side=side,
                end=self.spec.end(side),
                connector=Checked(Retrying(self.connectors[side], self.clock) if self.retrying else self.connectors[side]),
                resource=described[side],
                columns=rule.columns(side),
                account=self.accounts[side],
            )
            for side in Side
        }
        referenced = {each.references for each in self.spec.fields if each.references is not None} | {self.spec.name}
        return Context(
            store=self.store,
            rule=rule,
            pair=self.store.runs.pair(self.spec.name, was=self.spec.was),
            remotes=remotes,
            ports=self.ports,
            resolver=Resolver(self.store, {name: {side: side for side in Side} for name in referenced}),
            fingerprinter=Fingerprinter(rule.digest),
            sharing=self.sharing,
        )

    # Running

    def run(
        self,
        *,
        approve: str | None = None,
        ids: Mapping[Side, Sequence[str]] | None = None,
        sweep: bool = False,
        holder: str = "test",
    ) -> RunReport:
        self.clock.time += 60
        scope = engine.Scope(ids=ids, sweep=sweep)
        return engine.run(self.context(), scope, holder=holder, place="here", approve=approve)

    def sync(self, *, sweep: bool = False) -> RunReport:
        """One pass that must not be refused; a first contact is approved."""
        report = self.run(sweep=sweep)
        if report.exit is Exit.REFUSED:
            report = self.run(approve=report.approval, sweep=sweep)
        assert report.exit is not Exit.REFUSED, report.refused
        assert not report.error, report.error
        return report

    def settle(self, passes: int = 4) -> RunReport:
        """Passes until one writes nothing, as a sync command makes them."""
        for _ in range(passes):
            report = self.sync()
            if not report.written:
                return report
        return report

    def plan(self) -> PlanReport:
        return engine.plan(self.context())

    # Looking

    def effects(self, side: Side) -> list[Effect]:
        """What the engine did to the records of this pair's resource, as the far side saw it."""
        return self.worlds[side].writes(self.spec.end(side).resource)

    def writes(self) -> dict[Side, int]:
        """Effects that the engine had at the far sides so far."""
        return {side: len(self.effects(side)) for side in Side}

    def kinds(self, side: Side) -> list[str]:
        """The kinds of the engine's effects on a side, in order."""
        return [effect.kind.value for effect in self.effects(side)]

    def changed(self, side: Side, since: int = 0) -> list[set[str]]:
        """For each of the engine's updates on a side, the fields that were sent, as the far side received them."""
        name = self.spec.end(side).resource
        return [
            set(change.fields)
            for call in self.worlds[side].called(CallKind.WRITE, name)[since:]
            for change in call.changes
            if type(change).__name__ == "Update"
        ]

    def calls(self, side: Side, kind: CallKind) -> int:
        """How many calls of a kind this pair's resource got."""
        return len(self.worlds[side].called(kind, self.spec.end(side).resource))

    def creates(self, side: Side) -> int:
        """How many records the engine made on a side."""
        return sum(effect.kind is EffectKind.CREATED for effect in self.effects(side))

    def removals(self) -> int:
        """How many records the engine took away, on both sides."""
        gone = (EffectKind.DELETED, EffectKind.ARCHIVED)
        return sum(effect.kind in gone for side in Side for effect in self.effects(side))

    @property
    def pair(self) -> int:
        return self.context().pair.number

    def other(self, side: Side, id_: str) -> str | None:
        """The id that a record is linked to on the other side, dead links left out."""
        link = self.store.links.live_of(self.pair, side, [id_]).get(id_)
        if link is None:
            return None
        return self.store.links.partners(self.pair, side.other, [link])[link]

    def link_states(self) -> list[LinkState]:
        """The states of all links of the pair."""
        numbers = self.store.links.all_numbers(self.pair, after=0, limit=1000)
        return sorted((link.state for link in self.store.links.load(numbers).values()), key=lambda state: state.value)

    def inbox(self) -> list[Entry]:
        return self.store.inbox.entries(self.pair)

    def choose(self, pick: Pick, value: Any = None, *, entry: int = 0) -> None:
        """Answer an open question as a person would."""
        self.store.inbox.choose(self.inbox()[entry].number, pick, value)

    def attic(self) -> list[Any]:
        """The values that lost, oldest first."""
        return [value.value for value in self.store.journal.attic(self.pair)]

    def waiting(self, side: Side) -> dict[str, str]:
        """Why records of a side wait, by id."""
        return {row.id: row.reason.value for row in self.store.records.pending(self.pair)[side]}

    def assert_quiet(self, *, refused: bool = False, trying: bool = False) -> None:
        """
        Two more passes write nothing, counted at the far side, and a plan says so (unless a write is `trying` and failing).

        The engine itself ends with an error where the buckets do not add up to what was read.
        """
        before = self.writes()
        for _ in range(2):
            report = self.run()
            assert not report.error, report.error
            assert (report.exit is Exit.REFUSED) is refused, report.refused
            assert self.writes() == before
            if not refused:
                for side in ("left", "right"):
                    assert sum(report.buckets[side].values()) == report.read[side], report
        plan = self.plan()
        assert refused or trying or not plan.counts, plan.counts
        assert self.writes() == before

    def sides(self) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """What both far sides hold, without ids, sorted."""
        names = [each.name for each in self.fields]

        def rows(resource: MemoryResource) -> list[tuple[Any, ...]]:
            found = [tuple(_plain(row.get(name)) for name in names) for row in resource.records().values()]
            return sorted(found, key=repr)

        return rows(self.left), rows(self.right)

    def assert_same(self) -> None:
        """Both far sides hold the same."""
        left, right = self.sides()
        assert left == right


def fill(bench: Bench, *names: str, side: Side = Side.LEFT) -> dict[str, str]:
    """Put people on one side and sync: the ids of the left records by name."""
    resource = bench.resources[side]
    made = {name: resource.insert(email=f"{name}@example.com", name=name.title(), phone="1", tags=["x"]) for name in names}
    report = bench.sync()
    assert report.exit is Exit.DONE, report
    if side is Side.LEFT:
        return made
    return {name: str(bench.other(Side.RIGHT, id_)) for name, id_ in made.items()}


def filled(
    *names: str,
    left: dict[str, Any] | None = None,
    right: dict[str, Any] | None = None,
    retrying: bool = False,
    **changes: Any,
) -> tuple[Bench, dict[str, str], dict[str, str]]:
    """A bench where these people are in sync, with their ids on the left and on the right; `changes` go into the spec."""
    bench = Bench(people_spec(**changes), left_options=left or {}, right_options=right or {}, retrying=retrying)
    lefts = fill(bench, *(names or ("ada", "bob", "cyd")))
    return bench, lefts, {name: str(bench.other(Side.LEFT, id_)) for name, id_ in lefts.items()}


def once(world: MemoryWorld, kind: CallKind, moment: Moment, action: Callable[[Call], None], *, nth: int = 1) -> None:
    """Step in at the nth call of a kind, before or after it."""
    seen = 0

    def on_call(call: Call, now: Moment) -> None:
        nonlocal seen
        if call.kind is kind and now is moment:
            seen += 1
            if seen == nth:
                world.on_call = None
                action(call)

    world.on_call = on_call


def failing(error: ConnectorError) -> Callable[[Call], None]:
    """An action that raises."""

    def action(call: Call) -> None:
        del call
        raise error

    return action


def _plain(value: Any) -> Any:
    return tuple(sorted(value)) if isinstance(value, list) else value or None
