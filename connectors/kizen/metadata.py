"""
What the platform says about an object and its fields, as values (records-api.md sections 4 and 7). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from syncengine.connector import Capabilities, Choice, Field, FieldType, Resource

CONTACTS: Final = "client_client"
LARGEST_INTEGER: Final = 2**31
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

# Default fields are addressed as system fields in filters, others as custom fields (section 5.3).
_DEFAULT_NAMES: Final = frozenset(
    [
        "name",
        "owner",
        "created",
        "updated",
        "display_name",
        "stage",
        "entity_value",
        "estimated_close_date",
        "actual_close_date",
        "percentage_chance_to_close",
        "reasons_lost",
        "first_name",
        "last_name",
        "full_name",
        "email",
        "business_phone",
        "mobile_phone",
        "home_phone",
        "titles",
        "tags",
        "birthday",
        "email_status",
        "timezone",
        "company_primary",
        "company_additional",
    ]
)
_COMPUTED: Final = frozenset({"created", "updated", "display_name", "full_name"})
_TYPES: Final[Mapping[str, FieldType]] = {
    "text": FieldType.TEXT,
    "longtext": FieldType.TEXT,
    "wysiwyg": FieldType.TEXT,
    "email": FieldType.EMAIL,
    "phonenumber": FieldType.PHONE,
    "integer": FieldType.INTEGER,
    "decimal": FieldType.DECIMAL,
    "money": FieldType.MONEY,
    "date": FieldType.DATE,
    "datetime": FieldType.DATETIME,
    "checkbox": FieldType.BOOLEAN,
    "dropdown": FieldType.CHOICE,
    "radio": FieldType.CHOICE,
    "choices": FieldType.CHOICE,
    "status": FieldType.CHOICE,
    "selector": FieldType.CHOICE,
    "yesnomaybe": FieldType.CHOICE,
    "checkboxes": FieldType.SET,
    "dynamictags": FieldType.SET,
    "rating": FieldType.INTEGER,
    "relationship": FieldType.REFERENCE,
    "team_selector": FieldType.EMAIL,
    "timezone": FieldType.TEXT,
    "files": FieldType.JSON,
}


class Kind(Enum):
    """How the values of a field are read and written."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    MONEY = "money"
    DATE = "date"
    DATETIME = "datetime"
    CHECKBOX = "checkbox"
    OPTION = "option"
    OPTIONS = "options"
    TAGS = "tags"
    RATING = "rating"
    RELATION = "relation"
    MEMBER = "member"
    TIMEZONE = "timezone"
    FILES = "files"
    STAGE = "stage"
    UNKNOWN = "unknown"


_KINDS: Final[Mapping[str, Kind]] = {
    **dict.fromkeys(("text", "longtext", "wysiwyg", "email", "phonenumber"), Kind.TEXT),
    "integer": Kind.INTEGER,
    "decimal": Kind.NUMBER,
    "money": Kind.MONEY,
    "date": Kind.DATE,
    "datetime": Kind.DATETIME,
    "checkbox": Kind.CHECKBOX,
    **dict.fromkeys(("dropdown", "radio", "choices", "status", "selector", "yesnomaybe"), Kind.OPTION),
    "checkboxes": Kind.OPTIONS,
    "dynamictags": Kind.TAGS,
    "rating": Kind.RATING,
    "relationship": Kind.RELATION,
    "team_selector": Kind.MEMBER,
    "timezone": Kind.TIMEZONE,
    "files": Kind.FILES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of a field, or one stage: the id on the wire, `value` for people, `code` where there is one."""

    id: str
    value: str
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """The other object; `mirror` is the side that the platform made by itself, which is written through the other."""

    object: str
    many: bool
    mirror: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldInfo:
    """One field: `type` in the platform's words, `kind` in ours."""

    id: str
    name: str
    label: str
    type: str
    kind: Kind
    system: bool
    required: bool
    read_only: bool
    hidden: bool
    allows_nulls: bool
    allows_empty: bool
    scale: int | None
    options: tuple[Option, ...]
    relation: Relation | None

    @property
    def many(self) -> bool:
        """Whether it holds several values, and so takes changes to its set of values."""
        return self.kind in {Kind.OPTIONS, Kind.TAGS} or (self.relation is not None and self.relation.many)

    @property
    def shown(self) -> str:
        """The field as people know it."""
        return f'"{self.label}" ({self.name})' if self.label and self.label != self.name else f'"{self.name}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """One object: `path` is how requests address it (api_name or UUID, as the config has it), `id` its UUID where known."""

    path: str
    fields: Mapping[str, FieldInfo]
    id: str | None = None

    @property
    def is_contacts(self) -> bool:
        """Contacts have an email and no name (section 4); everything else has a name."""
        return "name" not in self.fields and "email" in self.fields

    @property
    def identifier(self) -> FieldInfo | None:
        """The field that lookup and upsert match: email for contacts, name elsewhere."""
        return self.fields.get("email" if self.is_contacts else "name")


def is_record_id(text: str) -> bool:
    """Whether it has the form that ids of records have (section 2.1); a path with another is not found as a path."""
    return _UUID.fullmatch(text) is not None


def fields_from(items: Sequence[Mapping[str, Any]], *, is_pipeline: bool, stages: Sequence[Option] = ()) -> dict[str, FieldInfo]:
    """The usable fields of the metadata array, by api_name. Deleted, suppressed and invisible ones are not there."""
    found = {}
    for item in items:
        access = item.get("access") or {}
        if item.get("deleted") or item.get("is_suppressed") or access.get("view") is False:
            continue
        one = _field(item, is_pipeline=is_pipeline, stages=stages, may_edit=access.get("edit") is not False)
        found[one.name] = one
    return found


def _field(item: Mapping[str, Any], *, is_pipeline: bool, stages: Sequence[Option], may_edit: bool) -> FieldInfo:
    name, type_ = str(item["name"]), str(item.get("field_type", ""))
    is_stage = is_pipeline and name == "stage"
    relation = _relation(item.get("relation")) if type_ == "relationship" else None
    kind = Kind.STAGE if is_stage else _KINDS.get(type_, Kind.UNKNOWN)
    locked = not may_edit or bool(item.get("is_read_only"))
    return FieldInfo(
        id=str(item["id"]),
        name=name,
        label=str(item.get("display_name") or name),
        type=type_,
        kind=kind,
        system=bool(item.get("is_default", name in _DEFAULT_NAMES)),
        # The platform fills the owner by itself, although it says that it is required (section 4).
        required=bool(item.get("is_required")) and not (name == "owner" and kind is Kind.MEMBER),
        # Stages are marked read-only because they have an endpoint of their own (section 5.9).
        read_only=(
            (locked and not is_stage)
            or name in _COMPUTED
            or kind in {Kind.FILES, Kind.UNKNOWN}
            or (relation is not None and relation.mirror)
        ),
        hidden=bool(item.get("is_hidden")),
        allows_nulls=item.get("allows_nulls") is not False,
        allows_empty=item.get("allows_empty") is not False,
        scale=_scale(item.get("decimal_options")),
        options=tuple(stages) if is_stage and stages else tuple(_options(item.get("options") or ())),
        relation=relation,
    )


def _relation(block: Mapping[str, Any] | None) -> Relation:
    block = block or {}
    kind = str(block.get("relation_type") or "")
    cardinality = block.get("cardinality")
    many = cardinality in {"one_to_many", "many_to_many"} if cardinality else kind not in {"one_to_one", "primary"}
    return Relation(
        object=str(block.get("related_object_object_name") or block.get("related_object") or ""),
        many=many,
        mirror=kind.endswith("_for"),
    )


def _scale(options: object) -> int | None:
    places = options.get("decimal_places") if isinstance(options, Mapping) else None
    return places if isinstance(places, int) and not isinstance(places, bool) else None


def _options(items: Iterable[Mapping[str, Any]]) -> Iterator[Option]:
    listed = list(items)
    labels = [str(item.get("name", "")) for item in listed]
    for item, label in zip(listed, labels, strict=True):
        # Two options of one name can't be told apart by it: those go by their ids.
        value = label if labels.count(label) == 1 else str(item["id"])
        yield Option(id=str(item["id"]), value=value, code=str(item.get("code") or ""))


def options_from(items: Iterable[Mapping[str, Any]]) -> tuple[Option, ...]:
    """Options, tags or stages as the platform lists them."""
    return tuple(_options(items))


def resource_of(info: ObjectInfo, *, max_concurrency: int, page_size: int) -> Resource:
    """The object as the engine knows it."""
    identifier = info.identifier
    has_stamps = "updated" in info.fields
    return Resource(
        name=info.path,
        fields={name: _described(one, unique=info.is_contacts and one is identifier) for name, one in info.fields.items()},
        capabilities=Capabilities(
            incremental=has_stamps,
            creates=True,
            updates=True,
            archives=True,
            restores=True,
            # The platform upserts by name too, but does not see to it that names are unique (C7).
            upsert_keys=("email",) if info.is_contacts else (),
            returns_record=True,
            max_concurrency=max_concurrency,
            set_deltas=True,
            late_arrival=60.0,
            lag=2.0,
            clock_resolution=1e-6 if has_stamps else None,
            page_size=page_size,
            calls_per_page=1.0,
            calls_per_write=1.0,
        ),
        blank_is_null=True,
        notes=("archived records are not listed anywhere: they are noticed by a full read and confirmed by id",),
    )


def _described(one: FieldInfo, *, unique: bool) -> Field:
    relation = one.relation
    return Field(
        name=one.name,
        type=FieldType.CHOICE if one.kind is Kind.STAGE else _TYPES.get(one.type),
        label=one.label,
        required=one.required and not one.read_only,
        read_only=one.read_only,
        unique=unique,
        nullable=one.kind not in {Kind.CHECKBOX, Kind.STAGE} and (one.allows_nulls or one.allows_empty) and not one.required,
        many=one.many,
        max_length=255 if one.type == "text" else None,
        scale=one.scale,
        choices=tuple(Choice(value=option.value, label=option.value) for option in one.options if one.kind is not Kind.RATING),
        references=None if relation is None or not relation.object else relation.object,
        unusable=f"the platform's field type {one.type!r} is not known to this connector" if one.kind is Kind.UNKNOWN else "",
    )
