"""The mapped fields of a pair: from tables to `FieldSpec`, with the checks that concern several of them."""

from __future__ import annotations

from collections.abc import Mapping

from syncengine.config.document import FieldTable, PairTable
from syncengine.config.problems import Place, Problems
from syncengine.config.scalars import is_date_format
from syncengine.connector import FieldType
from syncengine.core.model import Direction, FieldSpec, Policy, Side
from syncengine.wording import nearest, quoted

_DATED = frozenset({FieldType.DATE, FieldType.DATETIME})
_NUMERIC = frozenset({FieldType.DECIMAL, FieldType.MONEY, FieldType.INTEGER})
_PLAIN = frozenset({FieldType.TEXT, FieldType.EMAIL, FieldType.CHOICE, FieldType.JSON})
_REFERRING = frozenset({FieldType.REFERENCE, FieldType.SET, FieldType.LIST})


class FieldsBuilder:
    """Builds the mapped fields of one pair."""

    def __init__(self, *, pair: PairTable, tables: Mapping[str, PairTable], place: Place, problems: Problems) -> None:
        self._pair = pair
        self._tables = tables
        self._place = place
        self._problems = problems

    def specs(self, fields: Mapping[str, FieldTable]) -> tuple[FieldSpec, ...]:
        specs = tuple(self._spec(name, table) for name, table in fields.items())
        self._check_was(specs)
        self._check_writers(specs)
        return specs

    def _add(self, name: str, key: str, wrong: str, cure: str) -> None:
        self._problems.add((*self._place, name, key) if key else (*self._place, name), wrong, cure)

    def _spec(self, name: str, table: FieldTable) -> FieldSpec:
        left, right = self._names(name, table)
        self._check_direction(name, table)
        self._check_kind(name, table)
        self._check_values(name, table)
        self._check_reference(name, table)
        return FieldSpec(
            name=name,
            left=left,
            right=right,
            type=_type(table),
            scale=table.as_.scale if table.as_ else None,
            direction=table.direction,
            conflicts=table.conflicts,
            references=table.references,
            format=_per_side(table.format),
            decimal=_per_side(table.decimal),
            timezone=_per_side(table.timezone),
            values=table.values,
            constant=table.constant,
            is_constant=table.constant is not None,
            was=table.was,
        )

    def _names(self, name: str, table: FieldTable) -> tuple[str | None, str | None]:
        place = (*self._place, name)
        if not name:
            self._add(name, "", "a field has no name", 'write it before the "="')
        if table.constant is not None:
            if (table.left is None) == (table.right is None) and not self._problems.touch(place):
                self._add(name, "", "a constant is set on exactly one side", 'name it: right = "..." or left = "..."')
        elif table.left is None and table.right is None:
            return name, name
        else:
            for side in Side:
                if getattr(table, side.value) is None and not self._problems.touch(place):
                    self._add(name, "", f"the {side.value} side is missing", f'add {side.value} = "..."')
        return table.left, table.right

    def _direction(self, table: FieldTable) -> Direction:
        return table.direction or self._pair.direction

    def _check_direction(self, name: str, table: FieldTable) -> None:
        whole = self._pair.direction
        if table.direction not in (None, whole) and whole is not Direction.BOTH:
            self._add(
                name,
                "direction",
                f"{{value}} goes against the pair, which is {whole.value}",
                f'use "{whole.value}", or leave it out',
            )

    def _check_kind(self, name: str, table: FieldTable) -> None:
        kind = table.as_.type if table.as_ else None
        if table.format is not None and kind in _PLAIN:
            self._add(
                name, "format", f"a format means nothing for {kind.value}", 'leave it out, or use as = "date", "decimal", ...'
            )
        elif kind in _DATED and not all(map(is_date_format, _per_side(table.format).values())):
            self._add(name, "format", "{value} is not a date format", 'write it like "%d.%m.%Y"')
        if table.decimal is not None and kind is not None and kind not in _NUMERIC:
            self._add(
                name,
                "decimal",
                f"a decimal sign is for numbers, and the field is {kind.value}",
                'use as = "decimal" or "money"',
            )
        if table.timezone is not None and kind is not None and kind not in _DATED:
            self._add(name, "timezone", f"a time zone is for times, and the field is {kind.value}", 'use as = "datetime"')
        if table.conflicts is Policy.UNION and kind is not None and kind not in _REFERRING:
            self._add(name, "conflicts", f"union joins sets, and the field is {kind.value}", 'use as = "set", or another policy')

    def _check_values(self, name: str, table: FieldTable) -> None:
        if table.values is None:
            return
        if not table.values and not self._problems.touch((*self._place, name, "values")):
            self._add(
                name, "values", "the table of values is empty", 'write pairs such as { Won = "closed_won" }, or leave it out'
            )
        seen: dict[str, str] = {}
        for left, right in table.values.items():
            other = seen.setdefault(right, left)
            if other != left and self._direction(table).allows(Side.LEFT):
                self._problems.add(
                    (*self._place, name, "values", left),
                    f"{{value}} stands for {quoted(other)} as well, so the way back is open",
                    'make the values one to one, or the field direction = "left_to_right"',
                )

    def _check_reference(self, name: str, table: FieldTable) -> None:
        if table.references is None:
            return
        kind = table.as_.type if table.as_ else None
        if kind is not None and kind not in _REFERRING:
            self._add(
                name,
                "as",
                f"the field references another pair, so it can't be {kind.value}",
                'use as = "reference", or leave it out',
            )
        other = self._tables.get(table.references)
        if other is None:
            if not self._problems.touch(("pairs", table.references)):
                self._add(name, "references", "{value} is not a pair of this file", nearest(table.references, self._tables))
            return
        mine, its = ([end.system if end else None for end in (pair.left, pair.right)] for pair in (self._pair, other))
        if None not in (*mine, *its) and its not in (mine, mine[::-1]):
            self._add(
                name,
                "references",
                "{value} connects other systems, so its links can't translate these ids",
                "name a pair between the same two systems",
            )

    def _check_was(self, specs: tuple[FieldSpec, ...]) -> None:
        names = {spec.name for spec in specs}
        seen: set[str] = set()
        for spec in specs:
            if spec.was in names:
                self._add(
                    spec.name,
                    "was",
                    "{value} is still a field of this pair",
                    "name what this field was called before, or leave was out",
                )
            elif spec.was in seen:
                self._add(spec.name, "was", "{value} is claimed by two fields", "only one of them can be its successor")
            if spec.was is not None:
                seen.add(spec.was)

    def _check_writers(self, specs: tuple[FieldSpec, ...]) -> None:
        """A native field that two mapped fields write would change back and forth."""
        for side in Side:
            writers: dict[str, str] = {}
            for spec in specs:
                native = spec.native(side)
                if native is None or not (spec.direction or self._pair.direction).allows(side):
                    continue
                other = writers.setdefault(native, spec.name)
                if other != spec.name and not self._problems.touch((*self._place, spec.name)):
                    self._add(
                        spec.name,
                        side.value if spec.name != native else "",
                        f"it writes the same {side.value} field as the field {quoted(other)}",
                        "map it once, or give one of them a direction away from it",
                    )


def _per_side(table: object) -> dict[Side, str]:
    if table is None:
        return {}
    return {side: value for side in Side if (value := getattr(table, side.value)) is not None}


def _type(table: FieldTable) -> FieldType | None:
    if table.as_ is not None:
        return table.as_.type
    return FieldType.REFERENCE if table.references is not None else None
