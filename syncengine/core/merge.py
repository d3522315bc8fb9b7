"""
The three-way merge, field by field. Pure.

Each side is compared with that side's own shadow, so a system that trims, rounds or re-formats what it is sent never looks
edited. Values are compared in canonical form; what travels is the text as it was typed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import InvalidOperation
from enum import Enum

from syncengine.connector import ABSENT, Fields, Native
from syncengine.core.mapping import FieldRule, Locate, Resolve, Unmappable, Unresolved
from syncengine.core.model import Policy, Side
from syncengine.core.references import heirs, is_unresolved, outdated
from syncengine.core.values import Shortfall, Value, is_lossy_image, shortfall


# Never changed once made, but not frozen: there are several for every record, and a frozen one costs six times as much to make.
@dataclass(slots=True, kw_only=True)
class Half:
    """
    One side of a link as far as we know it: `now` is what the system holds (None: it holds nothing), `base` its shadow.

    `unconfirmed` names native fields whose shadow is what we sent, with no word yet of what the system made of it; `unmoved`:
    the version is still that of our write, so whatever they hold now is what the system made of it.
    `fingerprint` and `key` are of the row that this run was delivered, if it was; `provisional` marks an id that is not lasting.
    """

    id: str | None
    now: Fields | None
    base: Fields = field(default_factory=dict)
    version: str | None = None
    modified_at: datetime | None = None
    unconfirmed: frozenset[str] = frozenset()
    unmoved: bool = False
    fingerprint: bytes | None = None
    key: str | None = None
    provisional: bool = False

    @property
    def delivered(self) -> bool:
        """Whether this run saw the record, rather than knowing it from the state."""
        return self.fingerprint is not None


class Verdict(Enum):
    """The result for one field."""

    SAME = "same"
    """Neither side changed."""
    AGREED = "agreed"
    """Both hold the same: the shadows advance."""
    TRAVELS = "travels"
    """One side's value goes to the other (a union may go to both)."""
    ASK = "ask"
    """A conflict that waits for a human; the other fields go on."""
    APART = "apart"
    """A human said that the sides may differ: the shadows advance, nothing is written."""
    KEPT = "kept"
    """They differ and stay so by policy (the target's own edit in a one-way field)."""
    BLOCKED = "blocked"
    """A value cannot be mapped: this field waits."""
    PENDING = "pending"
    """A reference does not resolve yet: nothing is blanked."""


class Pick(Enum):
    """What a human chose for a conflict."""

    LEFT = "left"
    RIGHT = "right"
    APART = "apart"
    VALUE = "value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A human's answer to one conflict, good only while both sides still hold what was shown."""

    pick: Pick
    left: Native = None
    right: Native = None
    value: Native = None


# Never changed once made, but not frozen: there are several for every record, and a frozen one costs six times as much to make.
@dataclass(slots=True, kw_only=True)
class FieldResult:
    """
    What becomes of one field: `writes` are native values per target side.

    `losers` are the sides whose value, changed since its shadow, is about to be overwritten. `quiet` are the sides whose
    shadow moves to what they hold now without any change in meaning (noise, re-formatting); `short` tells what of them was lost.
    """

    rule: FieldRule
    verdict: Verdict
    writes: Mapping[Side, Native] = field(default_factory=dict)
    losers: tuple[Side, ...] = ()
    quiet: tuple[Side, ...] = ()
    short: tuple[tuple[Side, Shortfall], ...] = ()
    why: str = ""


_UNLINKED = "the {} record it points to has no link yet"


# Never changed once made, but not frozen: there are several for every record, and a frozen one costs six times as much to make.
@dataclass(slots=True)
class _Look:
    value: Value
    has_base: bool
    changed: bool
    moved: bool  # the native text differs from the shadow without a change in meaning
    blocked: str
    short: Shortfall | None = None


def _look(rule: FieldRule, side: Side, half: Half, resolve: Resolve) -> _Look:
    name = rule.native(side)
    assert half.now is not None
    now = half.now.get(name, ABSENT)
    has_base = name in half.base
    base = half.base.get(name)
    if now is ABSENT:
        # The record came without the field: that says nothing about its value, least of all that it was cleared.
        now = base if has_base else None
    if has_base and identical(now, base):
        try:
            return _Look(rule.canonical(side, now, resolve), True, False, False, "")
        except Unmappable as problem:
            return _Look(None, True, False, False, str(problem))
    try:
        value = rule.canonical(side, now, resolve)
    except Unmappable as problem:
        return _Look(None, has_base, True, False, str(problem))
    if not has_base:
        return _Look(value, False, True, False, "")
    try:
        base_value = rule.canonical(side, base, resolve)
    except Unmappable:
        return _Look(value, False, True, False, "")  # the mapping changed: there is no usable base
    if rule.same(value, base_value):
        return _Look(value, True, False, True, "")
    if is_noise(rule, side, half, base_value, value):
        return _Look(value, True, False, True, "", shortfall(rule, base_value, value))
    return _Look(value, True, True, False, "")


def is_noise(rule: FieldRule, side: Side, half: Half, base: Value, now: Value) -> bool:
    """Whether a field differs from its shadow only by what the system made of the value that it was sent."""
    return rule.native(side) in half.unconfirmed and (half.unmoved or is_lossy_image(rule, base, now))


def identical(now: Native, base: Native) -> bool:
    """Whether two native values are the same to the type, which needs no mapping to see."""
    try:
        return type(now) is type(base) and now == base
    except InvalidOperation:  # a signalling NaN compares with nothing, not even itself
        return False


def merge_field(
    rule: FieldRule,
    left: Half,
    right: Half,
    *,
    resolve: Resolve,
    locate: Locate,
    follow: Resolve,
    choice: Choice | None = None,
    clock_slack: float | None = None,
) -> FieldResult:
    """
    Merge one field of two records that both exist.

    `follow` tells for which link the record that had an id was made anew, if it was. `clock_slack` is the number of seconds
    within which two modification times cannot be told apart (coarser resolution of both clocks, or the tolerance, whichever is
    more); None: the clocks say nothing.
    """
    halves = {Side.LEFT: left, Side.RIGHT: right}
    looks = {side: _look(rule, side, half, resolve) for side, half in halves.items()}
    one, two = looks[Side.LEFT], looks[Side.RIGHT]
    quiet = tuple(side for side in Side if looks[side].moved)
    short = tuple((side, lack) for side in quiet if (lack := looks[side].short) is not None)
    has_base = one.has_base and two.has_base
    is_calm = has_base and not one.changed and not two.changed
    values = {Side.LEFT: one.value, Side.RIGHT: two.value} if rule.references is not None and has_base else {}
    behind = outdated(values) if values else None
    if is_calm and behind is None:
        anew = heirs(rule, values, follow) if values else None
        if anew is None:
            return FieldResult(rule=rule, verdict=Verdict.SAME, quiet=quiet, short=short)
        fixed = [side for side in Side if not rule.writable(side)]
        followed = _write_both(rule, looks, anew, locate, "the records that it points to were made anew", there=fixed)
        return replace(followed, losers=(), quiet=quiet, short=short)
    for side in Side:
        if looks[side].blocked:
            return FieldResult(rule=rule, verdict=Verdict.BLOCKED, why=looks[side].blocked)
    if rule.same(one.value, two.value):
        return FieldResult(rule=rule, verdict=Verdict.AGREED)

    def travel(source: Side, why: str, *, contested: bool = False) -> FieldResult:
        target = source.other
        if not rule.writable(target):
            why = f"{target.value} is not written in this field"
            return FieldResult(rule=rule, verdict=Verdict.KEPT, quiet=quiet, short=short, why=why)
        value = looks[source].value
        if is_unresolved(value):
            return FieldResult(
                rule=rule, verdict=Verdict.PENDING, why=f"the {rule.references} record it points to has no link yet"
            )
        try:
            native = rule.to_native(target, value, locate)
        except Unresolved:
            return FieldResult(
                rule=rule, verdict=Verdict.PENDING, why=f"the {rule.references} record it points to has no link yet"
            )
        except Unmappable as problem:
            return FieldResult(rule=rule, verdict=Verdict.BLOCKED, why=str(problem))
        losers = (target,) if contested and not rule.blank(looks[target].value) else ()
        return FieldResult(
            rule=rule, verdict=Verdict.TRAVELS, writes={target: native}, losers=losers, quiet=quiet, short=short, why=why
        )

    if behind is not None and is_calm:
        return travel(behind.other, f"the record that the {behind.value} points to was made anew")
    if has_base and one.changed != two.changed:
        source = Side.LEFT if one.changed else Side.RIGHT
        if rule.writable(source.other):
            return travel(source, f"changed on the {source.value}", contested=_apart(rule, halves, looks, source, resolve))
        why = "its own edit stays until the source changes"
        return FieldResult(rule=rule, verdict=Verdict.KEPT, quiet=quiet, short=short, why=why)
    if not has_base and rule.blank(one.value) != rule.blank(two.value):
        source = Side.RIGHT if rule.blank(one.value) else Side.LEFT
        return travel(source, "filled from the other side")
    return _settle(rule, halves, looks, travel, resolve, locate, choice, clock_slack)


def _apart(rule: FieldRule, halves: Mapping[Side, Half], looks: Mapping[Side, _Look], source: Side, resolve: Resolve) -> bool:
    """Whether the sides had been left to differ, so that what is about to be overwritten was never on the other side."""
    base = rule.canonical(source, halves[source].base.get(rule.native(source)), resolve)
    return not says_the_same(rule, base, looks[source.other].value)


def says_the_same(rule: FieldRule, one: Value, two: Value) -> bool:
    """
    Whether neither of two values says anything that the other does not. "Ann" may be what a system kept of "Anna", or what a
    person wanted instead: where it is a question of losing it, it is something else.
    """
    return shortfall(rule, one, two) is None and shortfall(rule, two, one) is None


def is_like(rule: FieldRule, one: Value, two: Value) -> bool:
    """Whether two values are the same but for what a system makes of the one it is sent."""
    return rule.same(one, two) or is_lossy_image(rule, one, two) or is_lossy_image(rule, two, one)


def _settle(
    rule: FieldRule,
    halves: Mapping[Side, Half],
    looks: Mapping[Side, _Look],
    travel: Callable[..., FieldResult],
    resolve: Resolve,
    locate: Locate,
    choice: Choice | None,
    clock_slack: float | None,
) -> FieldResult:
    """Settle a conflict: a human's word first, then the direction, then the policy."""
    names = {side: rule.native(side) for side in Side}
    nows = {side: (halves[side].now or {}).get(names[side]) for side in Side}
    shows = {Side.LEFT: choice.left, Side.RIGHT: choice.right} if choice is not None else {}
    if choice is not None and all(
        shown == nows[side] or _is_typed(rule, choice, looks[side], resolve) for side, shown in shows.items()
    ):
        match choice.pick:
            case Pick.LEFT | Pick.RIGHT:
                return travel(Side(choice.pick.value), "chosen by a person", contested=True)
            case Pick.APART:
                return FieldResult(rule=rule, verdict=Verdict.APART, why="kept apart by a person")
            case Pick.VALUE:
                try:
                    typed = rule.canonical(Side.LEFT, choice.value, resolve)
                except Unmappable as problem:
                    return FieldResult(rule=rule, verdict=Verdict.BLOCKED, why=f"the value that was typed: {problem}")
                there = tuple(side for side, shown in shows.items() if shown != nows[side])
                return _write_both(rule, looks, dict.fromkeys(Side, typed), locate, "typed by a person", there=there)
    writable = [side for side in Side if rule.writable(side)]
    if not writable:
        return FieldResult(rule=rule, verdict=Verdict.KEPT, why="neither side is written in this field")
    if len(writable) == 1:
        return travel(writable[0].other, "one-way field", contested=True)
    match rule.policy:
        case Policy.LEFT:
            return travel(Side.LEFT, "the left wins", contested=True)
        case Policy.RIGHT:
            return travel(Side.RIGHT, "the right wins", contested=True)
        case Policy.FILL if rule.blank(looks[Side.LEFT].value) != rule.blank(looks[Side.RIGHT].value):
            source = Side.RIGHT if rule.blank(looks[Side.LEFT].value) else Side.LEFT
            return travel(source, "filled from the other side", contested=True)
        case Policy.UNION:
            union = dict.fromkeys(Side, _union(rule, halves, looks, resolve))
            return _write_both(rule, looks, union, locate, "both sides' members")
        case Policy.NEWER:
            newer = _newer(halves, clock_slack)
            if newer is not None:
                return travel(newer, f"the {newer.value} is newer", contested=True)
    first = not (looks[Side.LEFT].has_base and looks[Side.RIGHT].has_base)
    why = "the sides differed when they first met" if first else "both sides changed it"
    if rule.policy is Policy.NEWER:
        why += ", and their clocks cannot tell which is newer"
    return FieldResult(rule=rule, verdict=Verdict.ASK, why=why)


def _is_typed(rule: FieldRule, choice: Choice, look: _Look, resolve: Resolve) -> bool:
    """Whether a side holds the value that a person typed for both already: the write to the other one failed."""
    if choice.pick is not Pick.VALUE:
        return False
    try:
        return is_like(rule, rule.canonical(Side.LEFT, choice.value, resolve), look.value)
    except Unmappable:
        return False


def _write_both(
    rule: FieldRule,
    looks: Mapping[Side, _Look],
    values: Mapping[Side, Value],
    locate: Locate,
    why: str,
    *,
    there: Sequence[Side] = (),
) -> FieldResult:
    """Both sides get their value, but for those where it is `there` already, as its system stored it."""
    writes: dict[Side, Native] = {}
    for side in Side:
        if side in there or rule.same(looks[side].value, values[side]):
            continue
        if not rule.writable(side):
            return FieldResult(rule=rule, verdict=Verdict.KEPT, why=f"{side.value} is not written in this field")
        try:
            writes[side] = rule.to_native(side, values[side], locate)
        except Unresolved:
            return FieldResult(rule=rule, verdict=Verdict.PENDING, why=_UNLINKED.format(rule.references))
        except Unmappable as problem:
            return FieldResult(rule=rule, verdict=Verdict.BLOCKED, why=str(problem))
    return FieldResult(rule=rule, verdict=Verdict.TRAVELS, writes=writes, losers=tuple(writes), why=why)


def _union(rule: FieldRule, halves: Mapping[Side, Half], looks: Mapping[Side, _Look], resolve: Resolve) -> Value:
    """Every member that somebody added stays; one that somebody removed goes."""
    held = {side: rule.members(looks[side].value) for side in Side}
    union = {**held[Side.RIGHT], **held[Side.LEFT]}
    if all(looks[side].has_base for side in Side):
        for side in Side:
            base = rule.canonical(side, halves[side].base.get(rule.native(side)), resolve)
            for member in rule.members(base):
                if member not in held[side]:
                    union.pop(member, None)
    return tuple(union.values())


def _newer(halves: Mapping[Side, Half], clock_slack: float | None) -> Side | None:
    left, right = halves[Side.LEFT].modified_at, halves[Side.RIGHT].modified_at
    if left is None or right is None or clock_slack is None:
        return None
    lead = (left - right).total_seconds()
    if abs(lead) <= clock_slack:
        return None
    return Side.LEFT if lead > 0 else Side.RIGHT
