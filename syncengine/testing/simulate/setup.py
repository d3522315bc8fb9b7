"""
What a simulated history starts from: two systems with their capabilities and manners, a pair between them, and how often
what goes wrong. All of it is drawn from the tape; a blank tape is two fully capable, well-mannered systems.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_EVEN, Decimal
from enum import Enum

from syncengine.connector import Capabilities, Field, FieldType, Native, Resource
from syncengine.core.mapping import PairRule, compile_pair
from syncengine.core.model import Deletes, Direction, End, FieldSpec, Guards, Keyless, Limit, PairSpec, Policy, Side
from syncengine.testing.simulate.tape import Tape

PAIR = "people"


class World(Enum):
    """How rough it gets."""

    QUIET = "quiet"
    """People work; nothing goes wrong."""
    STANDARD = "standard"
    """Capable systems, crashes and faults."""
    HOSTILE = "hostile"
    """Every combination of capabilities and manners, every fault."""


class Paging(Enum):
    """What a listing shows of what happens while it is paged through."""

    SNAPSHOT = "snapshot"
    MOVING = "moving"


class Fault(Enum):
    """What may go wrong with a call, and when a process may die."""

    __hash__ = object.__hash__  # as for Side

    REFUSED = "refused"
    THROTTLED = "throttled"
    SLOW = "slow"
    LOST_ANSWER = "lost answer"
    LATE = "late arrival"
    NEVER_ARRIVED = "never arrived"
    PARTIAL = "one item of a batch in doubt"
    REJECTED = "one item rejected"
    BUG = "unclassified exception"
    AUTH = "credentials refused"
    GARBAGE = "nonsense answer"
    CURSOR = "cursor expired"
    UNTOLD = "a read by id could not tell"
    CRASH_CALL = "crash around a call"
    CRASH_COMMIT = "crash around a commit"
    BLACKOUT = "blackout"
    SHORT = "short listing"
    HIDDEN = "permission shrink"
    SECOND = "second engine"


class Normaliser(Enum):
    """What a system makes of a value before it stores it."""

    NONE = "none"
    TRIM = "trim"
    LOWER = "lower"
    ROUND = "round"
    TRUNCATE = "truncate"
    STRIP = "strip dashes"
    APPEND = "append"


_CENT = Decimal("0.01")
_NORMALISE: Mapping[Normaliser, Callable[[Native], Native]] = {
    Normaliser.TRIM: lambda value: value.strip() if isinstance(value, str) else value,
    Normaliser.LOWER: lambda value: value.lower() if isinstance(value, str) else value,
    Normaliser.ROUND: lambda value: value.quantize(_CENT, ROUND_HALF_EVEN) if isinstance(value, Decimal) else value,
    Normaliser.TRUNCATE: lambda value: value[:9] if isinstance(value, str) else value,
    Normaliser.STRIP: lambda value: value.replace("-", "") if isinstance(value, str) else value,
    Normaliser.APPEND: lambda value: value + "!" if isinstance(value, str) and value else value,
}


def normalised(how: Normaliser, value: Native) -> Native:
    """The value as a system with this manner stores it."""
    change = _NORMALISE.get(how)
    return value if change is None else change(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One mapped field: its shared name, its names on both sides, and what it holds."""

    name: str
    left: str
    right: str
    type: FieldType
    many: bool = False
    references: str | None = None

    def native(self, side: Side) -> str:
        return self.left if side is Side.LEFT else self.right


EMAIL = Shape(name="email", left="email", right="mail", type=FieldType.EMAIL)
NAME = Shape(name="name", left="name", right="title", type=FieldType.TEXT)
AMOUNT = Shape(name="amount", left="amount", right="total", type=FieldType.DECIMAL)
TAGS = Shape(name="tags", left="tags", right="labels", type=FieldType.SET, many=True)
BOSS = Shape(name="boss", left="boss", right="parent", type=FieldType.REFERENCE, references=PAIR)
SHAPES = (EMAIL, NAME, AMOUNT, TAGS, BOSS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How a system behaves beyond what it declares; `folds`: unique values and `find` ignore case."""

    normalise: Mapping[str, Normaliser] = field(default_factory=dict)
    gets: bool = True
    finds: bool = True
    versions: bool = True
    returns_version: bool = True
    returns_whole: bool = True
    unique: bool = False
    folds: bool = False
    tells_holder: bool = True
    paging: Paging = Paging.SNAPSHOT
    repeats: bool = False
    overlap: int = 0
    numeric_ids: bool = True
    skew: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One simulated world; `rates` holds the probability of each fault at each of its chances, 0 for those that are off."""

    world: World
    shapes: tuple[Shape, ...]
    spec: PairSpec
    rule: PairRule
    resources: Mapping[Side, Resource]
    manners: Mapping[Side, Manners]
    rates: Mapping[Fault, float]
    busy: float
    between: int
    rounds: int

    def capabilities(self, side: Side) -> Capabilities:
        return self.resources[side].capabilities


ABLE = Capabilities(
    incremental=True,
    reports_deletions=True,
    creates=True,
    updates=True,
    archives=True,
    deletes=True,
    restores=True,
    conditional_writes=True,
    idempotent_creates=True,
    returns_record=True,
    max_batch=100,
    max_concurrency=1,
    late_arrival=30.0,
    clock_resolution=0.001,
    page_size=100,
)
"""What a blank tape gives both systems."""

_RATES = (0.0, 0.0, 0.0, 0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Swarm: four in ten of all faults are off in a history; the others are spread evenly over orders of magnitude."""

_CALM = frozenset({Fault.BLACKOUT, Fault.SHORT, Fault.HIDDEN, Fault.SECOND, Fault.UNTOLD, Fault.GARBAGE})
"""Faults that the standard world leaves out."""


def draw_setup(tape: Tape, world: World) -> Setup:
    """A world from the tape."""
    shapes = (EMAIL, NAME, *(shape for shape, chance in ((AMOUNT, 0.5), (TAGS, 0.3)) if tape.chance(chance)))
    if world is World.HOSTILE and tape.chance(0.15):
        shapes = (*shapes, BOSS)
    manners = {side: _manners(tape, world, shapes, side) for side in Side}
    capabilities = {side: _capabilities(tape, world, manners[side]) for side in Side}
    manners = {side: _consistent(manners[side], capabilities[side], manners[side.other]) for side in Side}
    spec = _spec(tape, world, shapes, capabilities)
    uniques = (manners[Side.LEFT].unique, manners[Side.RIGHT].unique)
    rates: dict[Fault, float] = {}
    for fault in Fault:
        off = world is World.QUIET or (world is World.STANDARD and fault in _CALM)
        rates[fault] = 0.0 if off else _RATES[tape.draw(len(_RATES))]
    return Setup(
        world=world,
        shapes=shapes,
        spec=spec,
        rule=_rule(spec, shapes, uniques),
        resources={side: _resource(shapes, side, capabilities[side], unique=manners[side].unique) for side in Side},
        manners=manners,
        rates=rates,
        busy=tape.choose((0.0, 0.005, 0.01, 0.02, 0.05, 0.1)),
        between=1 + tape.draw(4),
        rounds=3 + tape.draw(4),
    )


def calm_setup(
    *,
    capabilities: Mapping[Side, Capabilities],
    manners: Mapping[Side, Manners],
    conflicts: Policy,
    deletes: Deletes,
    rounds: int,
) -> Setup:
    """A world in which nothing happens but what a script says."""
    shapes = (EMAIL, NAME, AMOUNT)
    spec = replace(_spec(Tape(0, ()), World.QUIET, shapes, capabilities), conflicts=conflicts, deletes=deletes)
    uniques = (manners[Side.LEFT].unique, manners[Side.RIGHT].unique)
    return Setup(
        world=World.QUIET,
        shapes=shapes,
        spec=spec,
        rule=_rule(spec, shapes, uniques),
        resources={side: _resource(shapes, side, capabilities[side], unique=manners[side].unique) for side in Side},
        manners=manners,
        rates=dict.fromkeys(Fault, 0.0),
        busy=0.0,
        between=0,
        rounds=rounds,
    )


def _manners(tape: Tape, world: World, shapes: tuple[Shape, ...], side: Side) -> Manners:
    normalise: dict[str, Normaliser] = {}
    choices = {
        "email": (Normaliser.NONE, Normaliser.NONE, Normaliser.TRIM, Normaliser.LOWER),
        "name": (
            Normaliser.NONE, Normaliser.NONE, Normaliser.TRIM, Normaliser.LOWER, Normaliser.TRUNCATE, Normaliser.STRIP,
            Normaliser.APPEND,
        ),
        "amount": (Normaliser.NONE, Normaliser.ROUND),
    }  # fmt: skip
    for shape in shapes:
        if shape.name in choices and (how := tape.choose(choices[shape.name])) is not Normaliser.NONE:
            normalise[shape.native(side)] = how
    if world is not World.HOSTILE:
        return Manners(normalise=normalise, returns_whole=not tape.chance(0.2), numeric_ids=not tape.chance(0.3))
    return Manners(
        normalise=normalise,
        gets=not tape.chance(0.15),
        finds=not tape.chance(0.2),
        versions=not tape.chance(0.3),
        returns_version=not tape.chance(0.3),
        returns_whole=not tape.chance(0.3),
        unique=tape.chance(0.3),
        folds=tape.chance(0.5),
        tells_holder=not tape.chance(0.5),
        paging=Paging.MOVING if tape.chance(0.2) else Paging.SNAPSHOT,
        repeats=tape.chance(0.2),
        overlap=tape.choose((0, 0, 1, 3)),
        numeric_ids=not tape.chance(0.3),
        skew=tape.choose((0.0, 0.0, -40.0, 40.0)),
    )


def _capabilities(tape: Tape, world: World, manners: Manners) -> Capabilities:
    if world is not World.HOSTILE:
        return replace(
            ABLE,
            conditional_writes=not tape.chance(0.2),
            returns_record=not tape.chance(0.3),
            incremental=not tape.chance(0.5),
            max_batch=tape.choose((100, 1, 2)),
            page_size=tape.choose((100, 1, 2)),
        )
    incremental = not tape.chance(0.4)
    return replace(
        ABLE,
        incremental=incremental,
        reports_deletions=incremental and not tape.chance(0.3),
        archives=not tape.chance(0.4),
        restores=not tape.chance(0.4),
        partial_updates=not tape.chance(0.2),
        conditional_writes=not tape.chance(0.5),
        idempotent_creates=not tape.chance(0.6),
        chooses_ids=tape.chance(0.25),
        set_deltas=tape.chance(0.3),
        returns_record=not tape.chance(0.5),
        max_batch=tape.choose((100, 1, 2, 3)),
        max_concurrency=tape.choose((1, 1, 3)),
        late_arrival=tape.choose((30.0, 0.0, 5.0)),
        lag=tape.choose((0.0, 0.0, 0.0, 5.0)) if manners.gets else 0.0,
        clock_resolution=tape.choose((0.001, 1.0, None)),
        page_size=tape.choose((100, 1, 2, 3)),
    )


def _consistent(mine: Manners, capabilities: Capabilities, others: Manners) -> Manners:
    """What would be no system at all: one that archives but can't restore is one, two that both append at every write are not."""
    del capabilities
    normalise = dict(mine.normalise)
    if Normaliser.APPEND in others.normalise.values():
        normalise = {name: how for name, how in normalise.items() if how is not Normaliser.APPEND}
    return replace(mine, normalise=normalise)


_TRUSTING = Guards(
    deletes=Limit(share=0.9, number=50), updates=Limit(share=1.0, number=1000), creates=Limit(share=1.0, number=1000)
)
_CAREFUL = replace(_TRUSTING, deletes=Limit(share=0.3, number=1))


def _spec(tape: Tape, world: World, shapes: tuple[Shape, ...], capabilities: Mapping[Side, Capabilities]) -> PairSpec:
    fields = tuple(
        FieldSpec(name=shape.name, left=shape.left, right=shape.right, references=shape.references) for shape in shapes
    )
    policy = tape.choose((Policy.ASK, Policy.LEFT, Policy.RIGHT, Policy.NEWER))
    if tape.chance(0.5):
        fields = tuple(replace(each, conflicts=Policy.UNION) if each.name == "tags" else each for each in fields)
    deletes = tape.choose((Deletes.PROPAGATE, Deletes.PROPAGATE, Deletes.ASK, Deletes.ARCHIVE, Deletes.IGNORE))
    direction = Direction.BOTH
    if world is World.HOSTILE and tape.chance(0.1):
        direction = Direction.LEFT_TO_RIGHT
    sweeping = any(each.incremental and not each.reports_deletions for each in capabilities.values())
    return PairSpec(
        name=PAIR,
        left=End(system="one", resource="people"),
        right=End(system="two", resource="people"),
        match=("email",),
        fields=fields,
        conflicts=policy,
        deletes=deletes,
        direction=direction,
        keyless=Keyless.CREATE if tape.chance(0.2) else Keyless.SKIP,
        guards=_CAREFUL if tape.chance(0.5) else _TRUSTING,
        full_sweep=600.0 if sweeping else 10 * 86400.0,
    )


def _resource(shapes: tuple[Shape, ...], side: Side, capabilities: Capabilities, *, unique: bool) -> Resource:
    fields = {}
    for shape in shapes:
        name = shape.native(side)
        fields[name] = Field(
            name=name,
            type=shape.type,
            many=shape.many,
            unique=unique and shape is EMAIL,
            references="people" if shape.references else None,
        )
    return Resource(name="people", fields=fields, capabilities=capabilities)


_RULES: dict[object, PairRule] = {}
"""Compiled rules by what they are made of: a campaign needs a few hundred of them, and compiling one costs a millisecond."""


def _rule(spec: PairSpec, shapes: tuple[Shape, ...], uniques: tuple[bool, bool]) -> PairRule:
    key = (
        tuple((each.name, each.conflicts) for each in spec.fields), spec.conflicts, spec.deletes, spec.direction, spec.keyless,
        spec.guards, spec.full_sweep, uniques,
    )  # fmt: skip
    rule = _RULES.get(key)
    if rule is None:
        left, right = (_resource(shapes, side, ABLE, unique=uniques[index]) for index, side in enumerate(Side))
        rule = compile_pair(spec, left, right, timezones=dict.fromkeys(Side))
        _RULES[key] = rule
    return rule
