"""Makes the rule of one mapped field, or the value of a constant, and finds what is wrong with it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from syncengine.connector import Choice, Field, FieldType, Native, Resource
from syncengine.core.mapping.findings import Findings, nearest
from syncengine.core.mapping.kinds import can_hold, declared, joined
from syncengine.core.mapping.rules import FieldRule
from syncengine.core.mapping.vocabulary import shared_words, vocabularies
from syncengine.core.model import Direction, FieldSpec, PairSpec, Policy, Side
from syncengine.core.unmappable import Unmappable
from syncengine.core.values.base import GROUPS, NUMBERS, Shape
from syncengine.core.values.build import check_option, reader, writer
from syncengine.core.values.compare import comparer
from syncengine.core.values.moment import is_zoned, resolution

_TIMES: Final = frozenset({FieldType.DATE, FieldType.DATETIME})
_KEYLESS: Final = GROUPS | {FieldType.JSON}
Zones = Mapping[Side, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A field's rule, or a constant as (side, native field, native value); `described` goes into the digest."""

    rule: FieldRule | None = None
    constant: tuple[Side, str, Native] | None = None
    described: Mapping[str, Native]


def compile_field(
    spec: PairSpec, field: FieldSpec, resources: Mapping[Side, Resource], timezones: Zones, found: Findings
) -> Compiled | None:
    """The rule of a field, or None where `found` has got a problem with it."""
    before = len(found.problems)
    maker = _Maker(spec, field, resources, timezones, found)
    compiled = maker.constant() if field.is_constant else maker.rule()
    return compiled if len(found.problems) == before else None


class _Maker:
    """Compiles one field; every method reports what it finds and goes on as far as it makes sense."""

    def __init__(
        self, spec: PairSpec, field: FieldSpec, resources: Mapping[Side, Resource], timezones: Zones, found: Findings
    ) -> None:
        self.spec = spec
        self.field = field
        self.resources = resources
        self.timezones = timezones
        self.found = found
        self.place = f"fields.{field.name}"

    def rule(self) -> Compiled | None:
        left, right = self.described(Side.LEFT), self.described(Side.RIGHT)
        if left is None or right is None:
            return None
        sides = {Side.LEFT: left, Side.RIGHT: right}
        direction = self.direction(sides)
        kind = self.kind(sides, direction)
        if kind is None:
            return None
        self.check_references(kind)
        many = kind is FieldType.REFERENCE and any(side.many or declared(side) in _KEYLESS for side in sides.values())
        if self.field.name in self.spec.match and (kind in _KEYLESS or many):
            self.problem("", f"a {kind.value} cannot be part of the match key", "match by a field that holds one value")
        policy = self.field.conflicts or self.spec.conflicts
        if self.field.conflicts is Policy.UNION and kind not in GROUPS and not many:
            self.problem(".conflicts", f'"union" settles sets and lists only, this is a {kind.value}', "choose another policy")
        shapes = {side: self.shape(side, sides[side], kind) for side in Side}
        merging = self.check_values(kind, sides, direction)
        words = vocabularies(left, right, self.field.values, merging=merging) if kind in _WORDY else (None, None)
        if self.found_something():
            return None
        scale = self.scale(kind, sides)
        comparable = comparer(
            kind,
            scale=scale,
            region=self.region(kind),
            step=max((_step(kind, shape) for shape in shapes.values()), default=timedelta(0)),
            blank_is_null=shapes[Side.LEFT].blank_is_null,
            null_is_false=any(side.type is FieldType.BOOLEAN and not side.nullable for side in sides.values()),
        )
        readers = [reader(kind, shapes[side], vocabulary=words[index], many=many) for index, side in enumerate(Side)]
        writers = [writer(kind, shapes[side], scale=scale, vocabulary=words[index], many=many) for index, side in enumerate(Side)]
        rule = FieldRule(
            name=self.field.name,
            left=left.name,
            right=right.name,
            left_field=left,
            right_field=right,
            type=kind,
            scale=scale,
            policy=policy,
            direction=direction,
            references=self.field.references,
            zones=tuple(shape.zone for shape in shapes.values() if shape.zone is not None),
            comparable=comparable,
            left_reader=readers[0],
            right_reader=readers[1],
            left_writer=writers[0],
            right_writer=writers[1],
        )
        return Compiled(rule=rule, described=self.describe(rule, shapes))

    def constant(self) -> Compiled | None:
        target = [side for side in Side if self.field.native(side) is not None]
        if len(target) != 1:
            self.problem("", "a constant names one side's field", 'write it like { right = "origin", constant = "crm" }')
            return None
        (side,) = target
        if self.field.direction is not None and (self.field.direction is Direction.BOTH or not self.field.direction.allows(side)):
            self.problem(".direction", f"a constant only ever travels to the {side.value} side", "leave `direction` out")
        if not self.spec.direction.allows(side):
            self.problem("", f"the pair never writes its {side.value} side", "leave the constant out")
        described = self.described(side)
        if described is None:
            return None
        if described.read_only:
            self.problem(f".{side.value}", f"{self.end(side)} field {described.name!r} is read-only", "leave the constant out")
        kind = self.field.type or declared(described) or FieldType.TEXT
        if kind is FieldType.REFERENCE:
            kind = FieldType.TEXT
        shape = self.shape(side, described, kind)
        given = Shape(side=side, field=Field(name=described.name), zone=shape.zone)
        words = vocabularies(described, Field(name=described.name), None, merging=False) if kind in _WORDY else (None, None)
        if self.found_something():
            return None
        try:
            value = reader(kind, given, vocabulary=words[1])(self.field.constant)
            native = writer(kind, shape, scale=described.scale, vocabulary=words[0])(value)
        except Unmappable as error:
            self.problem(".constant", f"the constant does not fit: {error}", f"give a {kind.value}, or choose another `as`")
            return None
        content = {"name": self.field.name, "side": side, "field": described.name, "constant": repr(native)}
        return Compiled(constant=(side, described.name, native), described=content)

    def described(self, side: Side) -> Field | None:
        name = self.field.native(side)
        place = f".{side.value}"
        if name is None:
            self.problem(place, f"no {side.value} field is named", f'add {side.value} = "...", or make it a constant')
            return None
        described = self.resources[side].fields.get(name)
        if described is None:
            self.problem(place, f"{self.end(side)} has no field {name!r}", nearest(name, self.resources[side].fields))
        elif described.unusable:
            self.problem(place, f"{self.end(side)} field {name!r} cannot be mapped: {described.unusable}", "leave it out")
            return None
        return described

    def direction(self, sides: Mapping[Side, Field]) -> Direction:
        pair, own = self.spec.direction, self.field.direction
        if own is not None and pair is not Direction.BOTH and own is not pair:
            self.problem(".direction", f"the pair goes {pair.value}, the field {own.value}", "leave the field's direction out")
        direction = own or pair
        closed = [side for side in Side if direction.allows(side) and sides[side].read_only]
        open_ = [side for side in Side if direction.allows(side) and not sides[side].read_only]
        if not closed:
            return direction
        names = " and ".join(f"{self.end(side)} field {sides[side].name!r}" for side in closed)
        is_matched = self.field.name in self.spec.match
        if own is not None:
            self.problem(".direction", f"{names} is read-only, {own.value} would write it", "leave `direction` out")
        elif open_:
            direction = Direction.LEFT_TO_RIGHT if open_[0] is Side.RIGHT else Direction.RIGHT_TO_LEFT
            self.found.note(self.place, f"{names} is read-only, so the field goes {direction.value}")
        elif is_matched:
            self.found.note(self.place, f"{names} is read-only, so the field only matches records")
        else:
            self.problem("", f"{names} is read-only, so nothing can be written", "leave the field out")
        return direction

    def kind(self, sides: Mapping[Side, Field], direction: Direction) -> FieldType | None:
        natives = {side: declared(sides[side]) for side in Side}
        written = {side: direction.allows(side) and not sides[side].read_only for side in Side}
        wanted = self.field.type
        if wanted is None and self.field.references is not None:
            wanted = FieldType.REFERENCE
        if wanted in {None, FieldType.TEXT} and self.field.values is not None:
            wanted = FieldType.SET if GROUPS & set(natives.values()) else FieldType.CHOICE
        if wanted is FieldType.TEXT and FieldType.CHOICE in natives.values():
            wanted = FieldType.CHOICE
        fitting = [kind.value for kind in FieldType if all(can_hold(kind, natives[side], written=written[side]) for side in Side)]
        cure = f"choose as = {' or '.join(repr(kind) for kind in fitting)}" if fitting else "map another field"
        if wanted is None:
            kind = joined(natives[Side.LEFT], natives[Side.RIGHT])
            if kind is None:
                shown = [f"{self.end(side)} field {sides[side].name!r} is {_named(natives[side])}" for side in Side]
                self.problem("", ", ".join(shown), cure)
            return kind
        for side in Side:
            if not can_hold(wanted, natives[side], written=written[side]):
                wrong = f"{self.end(side)} field {sides[side].name!r} is {_named(natives[side])} and cannot hold a {wanted.value}"
                self.problem(f".{side.value}", wrong, cure)
        return wanted

    def check_references(self, kind: FieldType) -> None:
        if kind is FieldType.REFERENCE and self.field.references is None:
            cure = 'say references = "PAIR", the pair that keeps those records the same, or as = "text" to carry the ids over'
            self.problem("", "it refers to other records, whose ids differ between the sides", cure)
        elif kind is not FieldType.REFERENCE and self.field.references is not None:
            self.problem(".references", f"a {kind.value} refers to nothing", 'leave `as` out, or say as = "reference"')

    def check_values(self, kind: FieldType, sides: Mapping[Side, Field], direction: Direction) -> bool:
        """Check the table `values`; true when several left words share a right one and may."""
        values = self.field.values
        if values is None:
            return False
        place = ".values"
        if kind not in _WORDY:
            self.problem(place, f"a table of values does not fit a {kind.value}", 'leave it out, or say as = "choice"')
        for side, words in ((Side.LEFT, values.keys()), (Side.RIGHT, values.values())):
            for word in words:
                if sides[side].choices and word and not _is_choice(word, sides[side].choices):
                    known = [name for choice in sides[side].choices for name in (choice.value, choice.label) if name]
                    self.problem(
                        place, f"{self.end(side)} field {sides[side].name!r} has no choice {word!r}", nearest(word, known)
                    )
        shared = shared_words(values)
        if shared and direction is not Direction.LEFT_TO_RIGHT:
            names = ", ".join(repr(word) for word in shared)
            wrong = f"several left values become {names}, so the way back is not known"
            self.problem(place, wrong, 'make it one to one, or set direction = "left_to_right" on the field')
        return bool(shared)

    def shape(self, side: Side, described: Field, kind: FieldType) -> Shape:
        shape = Shape(side=side, field=described)
        format_ = self.field.format.get(side)
        if format_ is not None:
            try:
                check_option(kind, format_)
            except ValueError as error:
                self.problem(".format", f"{format_!r} does not fit ({side.value} side): {error}", "correct it or leave it out")
                format_ = None
        decimal = self.field.decimal.get(side, ".")
        if side in self.field.decimal and kind not in NUMBERS:
            self.problem(".decimal", f"a {kind.value} has no decimal mark", "leave it out")
        elif decimal not in {".", ","}:
            self.problem(".decimal", f"{decimal!r} is no decimal mark", 'choose "." or ","')
            decimal = "."
        if format_ is not None and kind in NUMBERS and side in self.field.decimal:
            self.problem(".decimal", "`format` shows the decimal mark already", "leave `decimal` out")
        if kind is FieldType.PHONE and len(set(self.field.format.values())) > 1 and side is Side.RIGHT:
            self.problem(".format", "the sides name different phone regions", "name one for both")
        zone = self.zone(side, kind)
        text_format = format_ if shape.is_text else None
        self.check_zone(side, described, kind, text_format, zone)
        return Shape(
            side=side,
            field=described,
            format=text_format,
            decimal=decimal,
            zone=zone,
            blank_is_null=any(resource.blank_is_null for resource in self.resources.values()),
        )

    def zone(self, side: Side, kind: FieldType) -> ZoneInfo | None:
        own = self.field.timezone.get(side)
        if own is not None and kind not in _TIMES:
            self.problem(".timezone", f"a {kind.value} has no time zone", "leave it out")
            return None
        name = own or self.timezones.get(side)
        if name is None or kind not in _TIMES:
            return None
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            where = "" if own is not None else f" of [systems.{self.spec.end(side).system}]"
            self.problem(".timezone", f"unknown time zone {name!r}{where}", 'use a name like "Europe/Berlin" or "UTC"')
            return ZoneInfo("UTC")  # already reported; the rest of the field is still worth checking

    def check_zone(self, side: Side, described: Field, kind: FieldType, format_: str | None, zone: ZoneInfo | None) -> None:
        is_typed = described.type is FieldType.DATETIME
        needs = (
            (kind is FieldType.DATETIME and described.naive)
            or (kind is FieldType.DATETIME and format_ is not None and not is_zoned(format_))
            or (kind is FieldType.DATE and is_typed and not described.naive)
        )
        if needs and zone is None:
            cure = f'set timezone = "Europe/Berlin" (or yours) for the field, or on [systems.{self.spec.end(side).system}]'
            wrong = f"{self.end(side)} field {described.name!r} needs a time zone to tell which instant or day is meant"
            self.problem(".timezone", wrong, cure)

    def scale(self, kind: FieldType, sides: Mapping[Side, Field]) -> int | None:
        if kind not in NUMBERS:
            return None
        self.note_rounding(kind, sides)
        if kind is FieldType.INTEGER:
            return 0
        known = [] if self.field.scale is None else [self.field.scale]
        for side in sides.values():
            if side.type is FieldType.INTEGER:
                known.append(0)
            elif side.scale is not None:
                known.append(side.scale)
        return min(known, default=None)

    def note_rounding(self, kind: FieldType, sides: Mapping[Side, Field]) -> None:
        whole = [side for side in Side if sides[side].type is FieldType.INTEGER]
        fine = [
            side
            for side in Side
            if sides[side].scale != 0 and FieldType.DECIMAL in (sides[side].type, None if side in whole else kind)
        ]
        if whole and fine:
            coarse, exact = self.end(whole[0]), self.end(fine[0])
            told = f"{coarse} holds whole numbers: those of {exact} are rounded there, and equal if they round to the same"
            self.found.note(self.place, told)

    def region(self, kind: FieldType) -> str | None:
        if kind is not FieldType.PHONE:
            return None
        return next((self.field.format[side] for side in Side if side in self.field.format), None)

    def describe(self, rule: FieldRule, shapes: Mapping[Side, Shape]) -> Mapping[str, Native]:
        return {
            "name": rule.name,
            "type": rule.type,
            "scale": rule.scale,
            "direction": rule.direction,
            "references": rule.references,
            "values": self.field.values,
            "region": self.region(rule.type),
            "sides": [
                [
                    shape.field.name,
                    shape.field.type,
                    shape.field.many,
                    shape.field.naive,
                    shape.format,
                    shape.decimal,
                    None if shape.zone is None else shape.zone.key,
                    shape.blank_is_null,
                ]
                for shape in shapes.values()
            ],
        }

    def found_something(self) -> bool:
        own = f"{self.found.place}.{self.place}"
        return any(problem.place == own or problem.place.startswith(own + ".") for problem in self.found.problems)

    def problem(self, place: str, wrong: str, cure: str) -> None:
        self.found.problem(self.place + place, wrong, cure)

    def end(self, side: Side) -> str:
        return f"{self.spec.end(side)} ({side.value})"


_WORDY: Final = frozenset({FieldType.CHOICE, FieldType.SET})


def _step(kind: FieldType, shape: Shape) -> timedelta:
    return resolution(shape.format) if kind is FieldType.DATETIME and shape.format is not None else timedelta(0)


def _named(kind: FieldType | None) -> str:
    return "untyped" if kind is None else f"of type {kind.value}"


def _is_choice(word: str, choices: tuple[Choice, ...]) -> bool:
    return any(word.strip() in {choice.value, choice.label} for choice in choices)
