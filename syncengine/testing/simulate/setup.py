"""
What a simulated history starts from: two systems with their capabilities and manners, a pair between them, and how often
what goes wrong. All of it is drawn from the tape; a blank tape is two fully capable, well-mannered systems. (A third system
beyond them: see `chain`. What becomes of a config later on: see `reconfigure`.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from syncengine.connector import Capabilities, Field, Resource
from syncengine.core.mapping import PairRule, compile_pair
from syncengine.core.model import Deletes, Direction, End, FieldSpec, Guards, Keyless, Limit, PairSpec, Policy, Side
from syncengine.testing.simulate.shapes import AMOUNT, BOSS, EMAIL, NAME, PAIR, TAGS, Normaliser, Shape
from syncengine.testing.simulate.tape import Tape


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """
    How a system behaves beyond what it declares. `folds`: unique values and `find` ignore case. `picky`: the field in which it
    refuses some values for good; `names_field`: and says that it is this one. `reuses_ids`: a new record gets the number after
    the highest one that is there, as in a table of SQLite, so that the last id is given out again once its record is gone.
    """

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
    picky: str | None = None
    names_field: bool = True
    reuses_ids: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """
    One pair of a simulated world, as its config is at the moment, and the world around it.

    `fields` are those that the records of both systems have, `shapes` those of them that the pair maps. `names` are what the
    story calls the systems. `rates` holds the probability of each fault at each of its chances, 0 for those that are off. `next`:
    the pair between the right system and a third one, where `is_chain`. `is_changing`: the operator edits the config in
    mid-history. `is_rebuilding`: or has the state rebuilt. `is_restoring`: from a backup, too.
    """

    world: World
    fields: tuple[Shape, ...]
    shapes: tuple[Shape, ...]
    spec: PairSpec
    rule: PairRule
    resources: Mapping[Side, Resource]
    manners: Mapping[Side, Manners]
    rates: Mapping[Fault, float]
    busy: float
    between: int
    rounds: int
    names: Mapping[Side, str] = field(default_factory=lambda: {side: side.value for side in Side})
    next: Setup | None = None
    is_chain: bool = False
    is_changing: bool = False
    is_hinted: bool = False
    is_rebuilding: bool = False
    is_restoring: bool = False

    def capabilities(self, side: Side) -> Capabilities:
        return self.resources[side].capabilities

    @property
    def email(self) -> Shape:
        """The field that records are matched by."""
        return self.fields[0]

    def maps(self, side: Side, name: str) -> bool:
        """Whether the pair maps this native field."""
        return any(shape.native(side) == name for shape in self.shapes)

    def reconfigured(self, spec: PairSpec) -> Setup:
        """The same pair under another config."""
        mapped = {each.name for each in spec.fields}
        shapes = tuple(shape for shape in self.fields if shape.name in mapped)
        uniques = (self.manners[Side.LEFT].unique, self.manners[Side.RIGHT].unique)
        return replace(self, spec=spec, shapes=shapes, rule=compiled(spec, self.fields, uniques))


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


_SPECIAL: tuple[frozenset[str], ...] = (
    *[frozenset[str]()] * 13, frozenset({"chain"}), frozenset({"changing"}), frozenset({"chain", "changing"}),
    frozenset({"picky"}), frozenset({"hinted"}), frozenset({"picky", "hinted"}), frozenset({"reusing"}),
    frozenset({"reusing", "hinted"}), frozenset({"reusing", "changing"}), frozenset({"reusing", "chain"}),
    frozenset({"rebuilding"}), frozenset({"rebuilding", "hinted"}), frozenset({"rebuilding", "restoring"}),
    frozenset({"rebuilding", "restoring", "reusing"}),
)  # fmt: skip
"""What a history has beside one pair, one config, tolerant systems, ids for ever and runs over everything: one in ten each."""


def draw_pair(tape: Tape, world: World) -> Setup:
    """A world with one pair, from the tape."""
    shapes = (EMAIL, NAME, *(shape for shape, chance in ((AMOUNT, 0.5), (TAGS, 0.3)) if tape.chance(chance)))
    if world is World.HOSTILE and tape.chance(0.15):
        shapes = (*shapes, BOSS)
    manners = {side: draw_manners(tape, world, shapes, side) for side in Side}
    capabilities = {side: draw_capabilities(tape, world, manners[side]) for side in Side}
    manners = {side: consistent(manners[side], manners[side.other]) for side in Side}
    spec = draw_spec(tape, world, shapes, capabilities)
    uniques = (manners[Side.LEFT].unique, manners[Side.RIGHT].unique)
    rates: dict[Fault, float] = {}
    for fault in Fault:
        off = world is World.QUIET or (world is World.STANDARD and fault in _CALM)
        rates[fault] = 0.0 if off else _RATES[tape.draw(len(_RATES))]
    busy = tape.choose((0.0, 0.005, 0.01, 0.02, 0.05, 0.1))
    between = 1 + tape.draw(4)
    # One slot for all: below four it means what it meant in every tape that was kept before there was more than one pair.
    number, rounds = divmod(tape.draw(4 * len(_SPECIAL)), 4)
    special = _SPECIAL[number]
    if "picky" in special:
        side = tape.choose(tuple(Side))
        manners[side] = replace(manners[side], picky=NAME.native(side), names_field=tape.chance(0.5))
    if "reusing" in special and BOSS not in shapes:  # what names a record that is gone names whoever has its id next
        for side in tape.choose((tuple(Side), (Side.LEFT,), (Side.RIGHT,))):
            manners[side] = replace(manners[side], reuses_ids=True, numeric_ids=True)
            # A system that remembers what it answered, or takes the ids that it is given, does not count rows like this one.
            capabilities[side] = replace(capabilities[side], idempotent_creates=False, chooses_ids=False)
    return Setup(
        world=world,
        fields=shapes,
        shapes=shapes,
        spec=spec,
        rule=compiled(spec, shapes, uniques),
        resources={side: resource_of(shapes, side, capabilities[side], unique=manners[side].unique) for side in Side},
        manners=manners,
        rates=rates,
        busy=busy,
        between=between,
        rounds=3 + rounds,
        is_chain="chain" in special,
        is_changing="changing" in special,
        is_hinted="hinted" in special,
        is_rebuilding="rebuilding" in special,
        is_restoring="restoring" in special,
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
    spec = replace(draw_spec(Tape(0, ()), World.QUIET, shapes, capabilities), conflicts=conflicts, deletes=deletes)
    uniques = (manners[Side.LEFT].unique, manners[Side.RIGHT].unique)
    return Setup(
        world=World.QUIET,
        fields=shapes,
        shapes=shapes,
        spec=spec,
        rule=compiled(spec, shapes, uniques),
        resources={side: resource_of(shapes, side, capabilities[side], unique=manners[side].unique) for side in Side},
        manners=manners,
        rates=dict.fromkeys(Fault, 0.0),
        busy=0.0,
        between=0,
        rounds=rounds,
    )


def draw_manners(tape: Tape, world: World, shapes: tuple[Shape, ...], side: Side) -> Manners:
    """How a system behaves, by the tape."""
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


def draw_capabilities(tape: Tape, world: World, manners: Manners) -> Capabilities:
    """What a system can do, by the tape."""
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


def consistent(mine: Manners, *others: Manners) -> Manners:
    """What would be no system at all: one that archives but can't restore is one, two that both append at every write are not."""
    normalise = dict(mine.normalise)
    if any(Normaliser.APPEND in each.normalise.values() for each in others):
        normalise = {name: how for name, how in normalise.items() if how is not Normaliser.APPEND}
    return replace(mine, normalise=normalise)


TRUSTING = Guards(
    deletes=Limit(share=0.9, number=50), updates=Limit(share=1.0, number=1000), creates=Limit(share=1.0, number=1000)
)
CAREFUL = replace(TRUSTING, deletes=Limit(share=0.3, number=1))


def field_of(shape: Shape) -> FieldSpec:
    """A field as the config maps it."""
    return FieldSpec(name=shape.name, left=shape.left, right=shape.right, references=shape.references)


def draw_spec(tape: Tape, world: World, shapes: tuple[Shape, ...], capabilities: Mapping[Side, Capabilities]) -> PairSpec:
    """What the config says of the pair, by the tape."""
    fields = tuple(map(field_of, shapes))
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
        guards=CAREFUL if tape.chance(0.5) else TRUSTING,
        full_sweep=600.0 if sweeping else 10 * 86400.0,
    )


def resource_of(shapes: tuple[Shape, ...], side: Side, capabilities: Capabilities, *, unique: bool) -> Resource:
    """The resource of a system that has these fields."""
    fields = {}
    for shape in shapes:
        name = shape.native(side)
        fields[name] = Field(
            name=name,
            type=shape.type,
            many=shape.many,
            unique=unique and shape.name == EMAIL.name,
            references="people" if shape.references else None,
        )
    return Resource(name="people", fields=fields, capabilities=capabilities)


_RULES: dict[object, PairRule] = {}
"""Compiled rules by what they are made of: a campaign needs a few hundred of them, and compiling one costs a millisecond."""


def compiled(spec: PairSpec, fields: tuple[Shape, ...], uniques: tuple[bool, bool]) -> PairRule:
    """The rule of a pair between systems that have these fields; `uniques`: whether the email is unique, left and right."""
    key = (
        spec.name, tuple((each.name, each.left, each.conflicts) for each in spec.fields), spec.conflicts, spec.deletes,
        spec.direction, spec.keyless, spec.guards, spec.full_sweep, tuple(spec.filters.items()), uniques,
    )  # fmt: skip
    rule = _RULES.get(key)
    if rule is None:
        left, right = (resource_of(fields, side, ABLE, unique=uniques[index]) for index, side in enumerate(Side))
        rule = compile_pair(spec, left, right, timezones=dict.fromkeys(Side))
        _RULES[key] = rule
    return rule
