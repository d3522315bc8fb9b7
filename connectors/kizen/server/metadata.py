"""
What a business consists of before its records: objects, fields, options, stages, people (records-api.md sections 4 and 7).

Values only: frozen, replaced when they change. `ObjectType` is the one container, because its records are counted in
hundreds of thousands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Literal

# Text, numbers, option and record ids, instants (microseconds since 1970), and tuples of ids. Files are tuples of mappings.
Stored = str | int | bool | Decimal | tuple[Any, ...]

ObjectKind = Literal["standard", "pipeline", "client"]
RelationType = Literal["one_to_one", "primary", "primary_for", "additional", "additional_for"]
Cardinality = Literal["one_to_one", "many_to_one", "one_to_many", "many_to_many"]

CONTACTS: Final = "client_client"
COMPANIES: Final = "companies_company"

_FIELD_TYPES: Final = """
    checkbox checkboxes choices date datetime decimal dropdown dynamictags email files integer longtext money phonenumber
    radio rating relationship selector status team_selector text timezone wysiwyg yesnomaybe
"""
FIELD_TYPES: Final = frozenset(_FIELD_TYPES.split())
ONE_OPTION: Final = frozenset({"dropdown", "radio", "choices", "status", "selector", "yesnomaybe"})
MANY_OPTIONS: Final = frozenset({"checkboxes", "dynamictags"})
TEXTS: Final = frozenset({"text", "longtext", "wysiwyg", "email", "phonenumber"})

CARDINALITY: Final[Mapping[RelationType, Cardinality]] = {
    "one_to_one": "one_to_one",
    "primary": "many_to_one",
    "primary_for": "one_to_many",
    "additional": "many_to_many",
    "additional_for": "many_to_many",
}
MIRROR: Final[Mapping[RelationType, RelationType]] = {
    "one_to_one": "one_to_one",
    "primary": "primary_for",
    "primary_for": "primary",
    "additional": "additional_for",
    "additional_for": "additional",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One choice of a field; written by id, shown by name."""

    id: str
    name: str
    code: str = ""
    order: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """Where a relationship field points to, and which field of the other object shows the same fact."""

    object_id: str
    type: RelationType
    mirror_id: str
    related_name: str
    category: str | None = None

    @property
    def cardinality(self) -> Cardinality:
        return CARDINALITY[self.type]

    @property
    def to_many(self) -> bool:
        return self.cardinality in {"one_to_many", "many_to_many"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of an object; `settings` holds what only its type knows (currency, decimal places, rating scale)."""

    id: str
    name: str
    display_name: str
    type: str
    category: str | None = None
    order: int = 0
    description: str = ""
    required: bool = False
    read_only: bool = False
    hidden: bool = False
    default: bool = False
    visible: bool = True
    editable: bool = True
    allows_nulls: bool = True
    allows_empty: bool = True
    options: tuple[Option, ...] = ()
    relation: Relation | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def multiple(self) -> bool:
        """Whether it holds several values, and so takes `add_values` and `remove_values`."""
        if self.relation is not None:
            return self.relation.to_many
        return self.type in MANY_OPTIONS or self.type == "files"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of a pipeline."""

    id: str
    name: str
    status: Literal["open", "won", "lost", "disqualified"] = "open"
    percentage: int = 0
    order: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A group of fields on the form."""

    id: str
    name: str
    order: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Employee:
    """A member of the team; only active ones may own records."""

    id: str
    email: str
    first_name: str = ""
    last_name: str = ""
    active: bool = True
    service_account: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Business:
    """The account: its id is the `X-BUSINESS-ID` of every call, its zone the offset of every instant shown."""

    id: str
    name: str = "Local business"
    country: str = "US"
    phone_region: str = "US"
    timezone: str = "America/Chicago"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """
    An automation: when the field `when` changes on a record of the object (any field if None), `set` becomes `value`.

    Fields by id. `copy_of` is a field whose value is taken instead. `delay` is in seconds. Section 10: workflows fire on
    API writes.
    """

    id: str
    object_id: str
    when: str | None
    set: str
    value: Any = None
    copy_of: str | None = None
    on_create: bool = True
    delay: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record: values by field id, blanks left out; instants in microseconds. `position` is the order of creation."""

    id: str
    object_id: str
    position: int
    values: Mapping[str, Stored]
    created: int
    updated: int
    archived: bool = False
    visible: bool = True
    editable: bool = True


@dataclass(slots=True, kw_only=True)
class ObjectType:
    """One object with its fields and records; `version` moves with every change of either."""

    id: str
    name: str
    object_name: str
    entity_name: str
    kind: ObjectKind = "standard"
    custom: bool = True
    description: str = ""
    created: int = 0
    addable: bool = True
    visible: bool = True
    fields: dict[str, Field] = field(default_factory=dict)
    by_name: dict[str, Field] = field(default_factory=dict)
    categories: tuple[Category, ...] = ()
    stages: tuple[Stage, ...] = ()
    records: dict[str, Record] = field(default_factory=dict)
    by_key: dict[str, dict[str, None]] = field(default_factory=dict)
    version: int = 0

    @property
    def identifier(self) -> Field:
        """The field by which people know a record: email for contacts, name elsewhere (section 5.2)."""
        return self.by_name["email" if self.kind == "client" else "name"]

    def stage(self, stage_id: object) -> Stage | None:
        """The stage with this id, or None."""
        return next((one for one in self.stages if one.id == stage_id), None)


def folded(text: str) -> str:
    """Text as lookup and upsert compare it: case folded, blanks at the ends dropped, runs of blanks made one (section 5.2)."""
    return " ".join(text.split()).casefold()
