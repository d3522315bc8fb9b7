"""
A first mapping between two resources, guessed from the names, labels and types of their fields. Pure.

A guess is shown to a person before anything is synced, so it prefers a plain mapping to a clever one: a field is mapped to
at most one other, and only when the names say the same.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from syncengine.connector import Field, FieldType, Resource
from syncengine.core.model import Direction

_SAME_NAME, _SAME_MEANING, _SAME_LABEL, _ALIKE = 4.0, 3.0, 2.0, 1.0
_LEAST_LIKENESS = 0.87
_SYNONYMS = {
    "email": "email emailaddress mail mailaddress primaryemail workemail emailwork",
    "first_name": "firstname givenname forename vorname fname first prenom nombre",
    "last_name": "lastname surname familyname nachname lname last nom apellido",
    "name": "name fullname displayname",
    "phone": "phone phonenumber telephone tel telefon businessphone workphone phonework",
    "mobile": "mobile mobilephone mobilenumber cell cellphone handy",
    "company": "company organisation organization employer firma companyname account accountname",
    "job_title": "jobtitle position role",
    "birthday": "birthday birthdate dateofbirth dob born geburtstag geburtsdatum",
    "street": "street address address1 addressline1 streetaddress strasse",
    "city": "city town ort stadt",
    "postal_code": "postalcode postcode zip zipcode plz",
    "state": "state province",
    "country": "country land countrycode",
    "website": "website web homepage url webpage",
    "notes": "notes note comment comments remark remarks",
    "tags": "tags labels categories",
    "status": "status stage",
}
_MEANING = {word: meaning for meaning, words in _SYNONYMS.items() for word in words.split()}
_OWN_IDS = frozenset({"id", "uuid", "guid", "rowid", "recordid", "key", "pk"})
_TYPES_BY_MEANING = {"email": FieldType.EMAIL, "phone": FieldType.PHONE, "mobile": FieldType.PHONE}
# Types that can stand for each other; the value is the one to compare in.
_COMMON: Mapping[frozenset[FieldType], FieldType] = {
    frozenset({FieldType.TEXT, FieldType.EMAIL}): FieldType.EMAIL,
    frozenset({FieldType.TEXT, FieldType.PHONE}): FieldType.PHONE,
    frozenset({FieldType.TEXT, FieldType.CHOICE}): FieldType.TEXT,
    frozenset({FieldType.TEXT, FieldType.DATE}): FieldType.DATE,
    frozenset({FieldType.TEXT, FieldType.INTEGER}): FieldType.INTEGER,
    frozenset({FieldType.TEXT, FieldType.DECIMAL}): FieldType.DECIMAL,
    frozenset({FieldType.INTEGER, FieldType.DECIMAL}): FieldType.DECIMAL,
    frozenset({FieldType.INTEGER, FieldType.BOOLEAN}): FieldType.BOOLEAN,
    frozenset({FieldType.DECIMAL, FieldType.MONEY}): FieldType.DECIMAL,
    frozenset({FieldType.SET, FieldType.LIST}): FieldType.SET,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """One proposed field; `type` and `direction` None: nothing to say. `is_naive`: its times need a zone."""

    name: str
    left: str
    right: str
    type: FieldType | None = None
    direction: Direction | None = None
    is_naive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A mapping to start from; `left_over` and `right_over` are the fields that found no partner, with the reason."""

    fields: Sequence[Mapped]
    match: str
    left_over: Mapping[str, str]
    right_over: Mapping[str, str]


def propose(left: Resource, right: Resource) -> Proposal | None:
    """The mapping that the descriptions suggest; None when the two have nothing in common."""
    lefts, left_over = _usable(left)
    rights, right_over = _usable(right)
    scored = sorted(
        ((score, one.name, other.name) for one in lefts for other in rights if (score := _likeness(one, other)) > 0),
        key=lambda entry: -entry[0],
    )
    partners: dict[str, str] = {}
    for _, one, other in scored:
        if one not in partners and other not in partners.values():
            partners[one] = other
    mapped = [_mapped(field, right.fields[partners[field.name]], left_over) for field in lefts if field.name in partners]
    fields = _distinct([field for field in mapped if field is not None])
    if not fields:
        return None
    left_over |= {field.name: "" for field in lefts if field.name not in partners}
    right_over |= {field.name: "" for field in rights if field.name not in partners.values()}
    return Proposal(fields=fields, match=_match(fields, left, right), left_over=left_over, right_over=right_over)


def _usable(resource: Resource) -> tuple[list[Field], dict[str, str]]:
    usable: list[Field] = []
    over: dict[str, str] = {}
    for field in resource.fields.values():
        if field.unusable:
            over[field.name] = field.unusable
        elif field.type is FieldType.REFERENCE:
            target = f"to {field.references}" if field.references else "to other records"
            over[field.name] = f'refers {target}: add a pair for those, then map it with references = "PAIR"'
        elif field.name in resource.id_fields and _word(field.name) in _OWN_IDS:
            over[field.name] = "the system's own id"
        else:
            usable.append(field)
    return usable, over


def _word(name: str) -> str:
    """The name without case, accents and everything that separates words."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    return "".join(char for char in plain if char.isalnum())


def _likeness(one: Field, other: Field) -> float:
    if one.read_only and other.read_only:
        return 0.0
    if None not in (one.type, other.type) and one.type is not other.type and _common(one, other) is None:
        return 0.0
    first, second = _word(one.name), _word(other.name)
    if not first or not second:
        return 0.0
    if first == second:
        return _SAME_NAME
    if first in _MEANING and _MEANING.get(first) == _MEANING.get(second):
        return _SAME_MEANING
    if _meanings(one) & _meanings(other):
        return _SAME_LABEL
    likeness = difflib.SequenceMatcher(None, first, second).ratio()
    # Names that end in different numbers (phone_1, phone_2) are alike and mean different things.
    return likeness * _ALIKE if likeness >= _LEAST_LIKENESS and _digits(first) == _digits(second) else 0.0


def _meanings(field: Field) -> set[str]:
    return {_MEANING.get(word, word) for word in (_word(field.name), _word(field.label)) if word}


def _digits(word: str) -> str:
    return "".join(filter(str.isdigit, word))


def _common(one: Field, other: Field) -> FieldType | None:
    kinds = {one.type or FieldType.TEXT, other.type or FieldType.TEXT}
    return next(iter(kinds)) if len(kinds) == 1 else _COMMON.get(frozenset(kinds))


def _mapped(one: Field, other: Field, over: dict[str, str]) -> Mapped | None:
    meaning = _MEANING.get(_word(one.name)) or _MEANING.get(_word(other.name))
    if one.type is None and other.type is None:
        kind = _TYPES_BY_MEANING.get(meaning or "")
    elif None in (one.type, other.type) or one.type is other.type:
        kind = None
    else:
        kind = _common(one, other)
    direction = None
    if one.read_only or other.read_only:
        direction = Direction.LEFT_TO_RIGHT if one.read_only else Direction.RIGHT_TO_LEFT
        if (other if one.read_only else one).read_only:
            over[one.name] = "can be written on neither side"
            return None
    name = one.name if one.name == other.name else meaning or _snake(one.name)
    is_naive = FieldType.DATETIME in (kind, one.type, other.type) and (one.naive or other.naive or None in (one.type, other.type))
    return Mapped(name=name, left=one.name, right=other.name, type=kind, direction=direction, is_naive=is_naive)


def _snake(name: str) -> str:
    """`First Name` as `first_name`; a name without letters and digits stays as it is."""
    return "_".join(re.findall(r"\w+", name.casefold())) or name


def _distinct(fields: Iterable[Mapped]) -> list[Mapped]:
    """Two fields may mean the same (phone, tel): the later one keeps the name of its left side."""
    kept: dict[str, Mapped] = {}
    for field in fields:
        name = field.name if field.name not in kept else _snake(field.left)
        while name in kept:
            name += "_2"
        kept[name] = Mapped(
            name=name, left=field.left, right=field.right, type=field.type, direction=field.direction, is_naive=field.is_naive
        )
    return list(kept.values())


def _match(fields: Sequence[Mapped], left: Resource, right: Resource) -> str:
    def rank(field: Mapped) -> int:
        sides = (left.fields[field.left], right.fields[field.right])
        if FieldType.EMAIL in (field.type, *(side.type for side in sides)) or field.name == "email":
            return 0
        if all(side.unique for side in sides):
            return 1
        return 2 if field.name == "name" else 3 if any(side.unique for side in sides) else 4

    return min(fields, key=rank).name
