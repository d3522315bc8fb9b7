"""
The words of the engine as types: sides, policies, the specification of a pair.

Pure. A `PairSpec` is what a config says, before anybody looked at the systems; `core.mapping.compile_pair` makes a
`PairRule` of it once both resources are described.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, EnumMeta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from syncengine.connector import FieldType, Native

_Member = TypeVar("_Member")


class _Both(EnumMeta):
    """Every decision goes through both sides, many times: no generator as in `EnumMeta`, and no call of a Python function."""

    if TYPE_CHECKING:

        def __iter__(cls: type[_Member]) -> Iterator[_Member]: ...


class Side(Enum, metaclass=_Both):
    """One end of a pair."""

    LEFT = "left"
    RIGHT = "right"

    # Sides key the dictionaries of every decision; the inherited hash is computed in Python, this one is not.
    __hash__ = object.__hash__

    @property
    def other(self) -> Side:
        return Side.RIGHT if self is Side.LEFT else Side.LEFT


if not TYPE_CHECKING:
    _Both.__iter__ = staticmethod(partial(iter, (Side.LEFT, Side.RIGHT)))


class Direction(Enum):
    """Which way values travel."""

    BOTH = "both"
    LEFT_TO_RIGHT = "left_to_right"
    RIGHT_TO_LEFT = "right_to_left"

    def allows(self, target: Side) -> bool:
        """Whether values may travel to this side."""
        return self is Direction.BOTH or (self is Direction.LEFT_TO_RIGHT) == (target is Side.RIGHT)


class Policy(Enum):
    """What settles a conflict."""

    ASK = "ask"
    LEFT = "left"
    RIGHT = "right"
    NEWER = "newer"
    UNION = "union"
    FILL = "fill"


class Deletes(Enum):
    """What the deletion of one record does to its partner."""

    ASK = "ask"
    PROPAGATE = "propagate"
    ARCHIVE = "archive"
    IGNORE = "ignore"


class Keyless(Enum):
    """What happens to a record without a match key that has no partner yet."""

    SKIP = "skip"
    CREATE = "create"


class Test(Enum):
    """The tests of a filter condition."""

    __test__ = False  # pytest would take the name for a test class

    IS = "is"
    IS_NOT = "is_not"
    ONE_OF = "one_of"
    NONE_OF = "none_of"
    ABOVE = "above"
    BELOW = "below"
    CONTAINS = "contains"
    BLANK = "blank"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition on a native field: `blank` takes a bool, `one_of` and `none_of` a list, the others one value."""

    field: str
    test: Test
    value: Native


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf:
    """Alternatives: holds when at least one condition holds."""

    conditions: tuple[Condition, ...]


Filter = tuple[Condition | AnyOf, ...]
"""All must hold; an empty filter lets everything through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpec:
    """
    One mapped field as the config states it.

    `name` is the shared name. `left` and `right` are native field names; one is None for a constant. `format`, `decimal`
    and `timezone` are per side (a plain value in the config means both). `values` maps left values to right values.
    `references` names the pair whose links resolve the ids.
    """

    name: str
    left: str | None
    right: str | None
    type: FieldType | None = None
    scale: int | None = None
    direction: Direction | None = None
    conflicts: Policy | None = None
    references: str | None = None
    format: Mapping[Side, str] = field(default_factory=dict)
    decimal: Mapping[Side, str] = field(default_factory=dict)
    timezone: Mapping[Side, str] = field(default_factory=dict)
    values: Mapping[str, str] | None = None
    constant: Native = None
    is_constant: bool = False
    was: str | None = None

    def native(self, side: Side) -> str | None:
        """The native field name on a side."""
        return self.left if side is Side.LEFT else self.right


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A guard trips when a count is above `share` of the links *and* above `number`."""

    share: float
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """The limits of a pair; creates count only once links exist, deletes over a rolling 24 hours."""

    deletes: Limit = Limit(share=0.05, number=10)
    updates: Limit = Limit(share=0.5, number=100)
    creates: Limit = Limit(share=0.5, number=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One end of a pair: a resource in a configured system."""

    system: str
    resource: str

    def __str__(self) -> str:
        return f"{self.system}.{self.resource}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSpec:
    """Two resources kept the same, as the config states it. `tolerance` is clock tolerance in seconds, for `newer`."""

    name: str
    left: End
    right: End
    match: tuple[str, ...]
    fields: tuple[FieldSpec, ...]
    direction: Direction = Direction.BOTH
    conflicts: Policy = Policy.ASK
    deletes: Deletes = Deletes.ASK
    keyless: Keyless = Keyless.SKIP
    filters: Mapping[Side, Filter] = field(default_factory=dict)
    guards: Guards = Guards()
    tolerance: float = 2.0
    schedule: str | None = None
    full_sweep: float = 86400.0
    was: str | None = None

    def end(self, side: Side) -> End:
        return self.left if side is Side.LEFT else self.right
