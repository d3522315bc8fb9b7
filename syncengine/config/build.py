"""From a validated document to systems and pairs, with the checks that need more than one value at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from syncengine.config.document import (
    RESERVED,
    ConditionTable,
    DocumentTable,
    LimitTable,
    PairTable,
    SystemTable,
)
from syncengine.config.fields import FieldsBuilder
from syncengine.config.model import Limits, SystemConfig
from syncengine.config.problems import Place, Problems
from syncengine.config.rings import rings
from syncengine.core.model import (
    AnyOf,
    Condition,
    End,
    Filter,
    Guards,
    Limit,
    PairSpec,
    Side,
    Test,
)
from syncengine.wording import nearest, quoted

_NAME = re.compile(r"\w[\w-]{0,63}")
_PLURAL = frozenset({Test.ONE_OF, Test.NONE_OF})


def build_systems(document: DocumentTable, problems: Problems) -> dict[str, SystemConfig]:
    """The systems of a document."""
    if not document.systems and not problems.touch(("systems",)):
        problems.add(("systems",), "there is no system", 'add a table [systems.NAME] with connector = "..."')
    systems: dict[str, SystemConfig] = {}
    for name, table in (document.systems or {}).items():
        place: Place = ("systems", name)
        _check_name(name, "a system", place, problems)
        if table.connector is None and not problems.touch((*place, "connector")):
            problems.add(place, "the connector is missing", 'add connector = "..."; see: syncengine connectors list')
        systems[name] = SystemConfig(
            name=name,
            connector=table.connector or "",
            options=_options(table),
            read_only=table.read_only,
            timezone=table.timezone,
            limits=Limits(
                max_concurrency=table.limits.max_concurrency,
                requests_per_second=table.limits.requests_per_second,
                max_calls=table.limits.max_calls,
            ),
        )
    return systems


def _options(table: SystemTable) -> dict[str, object]:
    return {key: value for key, value in (table.model_extra or {}).items() if key not in RESERVED}


def _check_name(name: str, called: str, place: Place, problems: Problems) -> None:
    if not _NAME.fullmatch(name):
        problems.add(place, f"the name of {called} can't be {quoted(name)}", "use letters, digits, _ and -, at most 64")


def build_pairs(document: DocumentTable, problems: Problems) -> dict[str, PairSpec]:
    """The pairs of a document; those with problems are best efforts that nobody must use."""
    tables = document.pairs or {}
    if not tables and not problems.touch(("pairs",)):
        problems.add(("pairs",), "there is no pair", "add a table [pairs.NAME] with left, right, match and fields")
    builder = _Pairs(tables=tables, systems=document.systems or {}, problems=problems)
    pairs = {name: builder.pair(name, table) for name, table in tables.items()}
    builder.check_ends()
    return pairs


class _Pairs:
    """Builds the pairs of one document."""

    def __init__(self, *, tables: Mapping[str, PairTable], systems: Mapping[str, SystemTable], problems: Problems) -> None:
        self._tables = tables
        self._systems = systems
        self._problems = problems

    def pair(self, name: str, table: PairTable) -> PairSpec:
        place: Place = ("pairs", name)
        _check_name(name, "a pair", place, self._problems)
        fields = table.fields or {}
        if table.fields is not None and not fields and not self._problems.touch((*place, "fields")):
            self._problems.add((*place, "fields"), "no field is mapped", 'add one, such as email = "email"')
        for key, example in (
            ("left", '"system.resource"'),
            ("right", '"system.resource"'),
            ("match", '"email"'),
            ("fields", "{ ... }"),
        ):
            if getattr(table, key) is None and not self._problems.touch((*place, key)):
                self._problems.add(place, f"the key {key} is missing", f"add {key} = {example}")
        self._check_systems(table, place)
        self._check_match(table, place)
        self._check_was(name, table, place)
        builder = FieldsBuilder(pair=table, tables=self._tables, place=(*place, "fields"), problems=self._problems)
        return PairSpec(
            name=name,
            left=table.left or End(system="", resource=""),
            right=table.right or End(system="", resource=""),
            match=tuple(table.match or ()),
            fields=builder.specs(fields),
            direction=table.direction,
            conflicts=table.conflicts,
            deletes=table.deletes,
            keyless=table.keyless,
            filters={
                side: self._filter(getattr(table.filter, side.value), (*place, "filter", side.value))
                for side in Side
                if getattr(table.filter, side.value)
            },
            guards=Guards(
                deletes=_limit(table.guards.deletes, Guards().deletes),
                updates=_limit(table.guards.updates, Guards().updates),
                creates=_limit(table.guards.creates, Guards().creates),
            ),
            tolerance=table.tolerance,
            schedule=table.schedule,
            full_sweep=table.full_sweep,
            was=table.was,
        )

    def _check_systems(self, table: PairTable, place: Place) -> None:
        for side in Side:
            end: End | None = getattr(table, side.value)
            if end is not None and end.system not in self._systems and not self._problems.touch(("systems", end.system)):
                self._problems.add(
                    (*place, side.value),
                    "{value} names no system of this file",
                    nearest(end.system, self._systems),
                )

    def _check_match(self, table: PairTable, place: Place) -> None:
        if table.match is None or table.fields is None:
            return
        if not table.match:
            self._problems.add((*place, "match"), "the match key is empty", "name at least one field")
        for index, name in enumerate(table.match):
            # A plain string is the list of one in short.
            at: Place = (*place, "match", index)
            if name not in table.fields and not self._problems.touch((*place, "fields", name)):
                self._problems.add(at, "{value} is not a mapped field of this pair", nearest(name, table.fields))
            elif name in table.fields and table.fields[name].constant is not None:
                self._problems.add(at, "{value} is a constant and can't be matched by", "name a field that both sides have")
            elif name in table.match[:index]:
                self._problems.add(at, "{value} stands twice in the match key", "name each field once")

    def _check_was(self, name: str, table: PairTable, place: Place) -> None:
        if table.was is None:
            return
        if table.was in self._tables:
            self._problems.add(
                (*place, "was"),
                "{value} is still a pair of this file",
                "name what this pair was called before, or leave was out",
            )
        elif any(other.was == table.was for key, other in self._tables.items() if key != name):
            self._problems.add((*place, "was"), "{value} is claimed by two pairs", "only one of them can be its successor")

    def check_ends(self) -> None:
        """Refuse pairs between the same ends, and rings of pairs."""
        known = {name: table for name, table in self._tables.items() if table.left is not None and table.right is not None}
        first: dict[frozenset[End], str] = {}
        for name, table in known.items():
            assert table.left is not None
            assert table.right is not None
            if table.left == table.right:
                self._problems.add(
                    ("pairs", name, "right"), "{value} is the left side as well", "a pair connects two different resources"
                )
                continue
            other = first.setdefault(frozenset({table.left, table.right}), name)
            if other != name:
                self._problems.add(
                    ("pairs", name),
                    f"this pair connects the same two resources as the pair {quoted(other)}",
                    "put all fields into one pair; a field may have a direction of its own",
                )
        for ring in rings({name: (table.left, table.right, table.direction) for name, table in known.items()}):
            self._problems.add(
                ("pairs", ring[-1]),
                f"this pair closes a ring: values would travel round {' -> '.join(map(quoted, ring))}",
                "take one of these pairs out, or give one a direction that breaks the ring",
            )

    def _filter(self, tables: list[ConditionTable], place: Place) -> Filter:
        conditions: list[Condition | AnyOf] = []
        for index, table in enumerate(tables):
            at: Place = (*place, index)
            if table.any is None:
                conditions += self._conditions(table, at)
                continue
            if table.field is not None or table.tests():
                self._problems.add(at, "any stands beside other keys", "write a condition of its own for them")
            alternatives: list[Condition] = []
            for position, inner in enumerate(table.any):
                if inner.any is not None:
                    self._problems.add((*at, "any", position), "any stands inside any", "list the conditions in one any")
                    continue
                found = self._conditions(inner, (*at, "any", position))
                if len(found) > 1:
                    self._problems.add(
                        (*at, "any", position), "a condition inside any has several tests", "write one test in each"
                    )
                alternatives += found
            conditions.append(AnyOf(conditions=tuple(alternatives)))
        return tuple(conditions)

    def _conditions(self, table: ConditionTable, place: Place) -> list[Condition]:
        tests = table.tests()
        if table.field is None and not self._problems.touch(place):
            self._problems.add(place, "the condition names no field", 'add field = "..."')
        if not tests and not self._problems.touch(place):
            self._problems.add(place, "the condition tests nothing", "add one of " + ", ".join(test.value for test in Test))
        return [
            Condition(
                field=table.field or "",
                test=test,
                value=tuple(value) if test in _PLURAL and isinstance(value, list) else value,
            )
            for test, value in tests.items()
        ]


def _limit(table: LimitTable, default: Limit) -> Limit:
    return Limit(
        share=default.share if table.share is None else table.share,
        number=default.number if table.number is None else table.number,
    )


def state_path(document: DocumentTable, path: Path) -> Path:
    """Where the state is: as the file says, from its folder; else beside it under its name."""
    return path.parent / document.state if document.state else path.with_suffix(".db")
