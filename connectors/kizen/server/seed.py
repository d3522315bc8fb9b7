"""
Filling a business: from a JSON document, or with generated people.

The document (every part optional; people write labels, names and emails, never ids):

    {
      "business": {"name": "Acme", "country": "US", "phone_region": "US", "timezone": "America/Chicago"},
      "team":     [{"email": "ann@example.com", "first_name": "Ann", "last_name": "Lee", "active": true}],
      "objects":  [{"object_name": "Deals", "entity_name": "Deal", "name": "deals", "object_type": "pipeline",
                    "stages": [{"name": "New", "status": "open", "percentage": 10}, {"name": "Won", "status": "won"}],
                    "fields": [{"display_name": "Contract", "field_type": "dropdown", "options": ["Yearly", "Monthly"]},
                               {"display_name": "Company", "field_type": "relationship",
                                "relation": {"to": "companies_company", "type": "primary", "related_name": "Deals"}}]}],
      "fields":   {"client_client": [{"display_name": "Score", "field_type": "integer"}]},
      "records":  {"companies_company": [{"name": "Acme"}],
                   "client_client": [{"email": "bo@example.com", "company_primary": "Acme", "tags": ["VIP"]}],
                   "deals": [{"name": "First", "company": "Acme", "stage": "New", "owner": "ann@example.com"}]},
      "workflows": [{"object": "client_client", "when": "email", "set": "first_name", "value": "Somebody", "delay": 0}]
    }

A field also takes `name`, `required`, `read_only`, `hidden`, `allows_nulls`, `allows_empty`, `description` and `settings`
(`currency`, `symbol`; `decimal_places`, `min_value`, `max_value`). Records are made in the order of the document, so a
record may name those before it. A tag that does not exist is created. `"archived": true` archives the record at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields as fields_of
from dataclasses import replace
from typing import Any, Final

from connectors.kizen.server import schema, ui
from connectors.kizen.server.errors import ApiError
from connectors.kizen.server.metadata import COMPANIES, CONTACTS, Employee, Field, ObjectType, Stage, Workflow
from connectors.kizen.server.records import archive
from connectors.kizen.server.world import World

_FIELD_FLAGS: Final = ("required", "read_only", "hidden", "allows_nulls", "allows_empty", "description")
_FIELD_KEYS: Final = frozenset({"display_name", "field_type", "name", "options", "relation", "settings", *_FIELD_FLAGS})
_PARTS: Final = frozenset({"business", "team", "objects", "fields", "records", "workflows"})


def load_document(world: World, document: Mapping[str, Any]) -> None:
    """Add everything a document describes. Raises `ValueError` naming the part that is wrong."""
    _only(document, _PARTS, "the document")
    if "business" in document:
        _only(document["business"], {one.name for one in fields_of(world.business)} - {"id"}, "business")
        world.put_business(replace(world.business, **document["business"]))
    for one in document.get("team", ()):
        _only(one, {one.name for one in fields_of(Employee)} - {"id"}, "team")
        world.put_employee(Employee(id=world.new_id(), **one))
    for one in document.get("objects", ()):
        add_object(world, one)
    for name, listed in document.get("fields", {}).items():
        for one in listed:
            add_field(world, ui.object_named(world, name), one)
    for name, listed in document.get("records", {}).items():
        obj = ui.object_named(world, name)
        for number, one in enumerate(listed):
            _record(world, obj, dict(one), f"records.{name}[{number}]")
    for one in document.get("workflows", ()):
        add_workflow(world, one)


def _only(given: Mapping[str, Any], known: frozenset[str] | set[str], where: str) -> None:
    if unknown := given.keys() - known:
        msg = f"{where} has {', '.join(sorted(unknown))}; it knows {', '.join(sorted(known))}"
        raise ValueError(msg)


def add_object(world: World, one: Mapping[str, Any]) -> ObjectType:
    """Create an object from its description."""
    known = frozenset({"object_name", "entity_name", "name", "object_type", "stages", "fields", "description"})
    _only(one, known, f"object {one.get('object_name')}")
    stages = [
        Stage(
            id=world.new_id(),
            name=stage["name"],
            status=stage.get("status", "open"),
            percentage=stage.get("percentage", 0),
            order=order,
        )
        for order, stage in enumerate(one.get("stages", ()))
    ]
    obj = schema.new_object(
        world,
        object_name=one["object_name"],
        entity_name=one.get("entity_name", one["object_name"].removesuffix("s")),
        name=one.get("name"),
        kind=one.get("object_type", "standard"),
        stages=stages,
        description=one.get("description", ""),
    )
    for field in one.get("fields", ()):
        add_field(world, obj, field)
    return obj


def add_field(world: World, obj: ObjectType, one: Mapping[str, Any]) -> Field:
    """Create a field from its description."""
    _only(one, _FIELD_KEYS, f"field {one.get('display_name')} of {obj.name}")
    relation = one.get("relation")
    flags = {key: one[key] for key in _FIELD_FLAGS if key in one}
    return schema.new_field(
        world,
        obj,
        display_name=one["display_name"],
        type=one["field_type"],
        name=one.get("name"),
        options=one.get("options", ()),
        related_to=None if relation is None else ui.object_named(world, relation["to"]),
        relation_type="primary" if relation is None else relation.get("type", "primary"),
        related_name="" if relation is None else relation.get("related_name", ""),
        settings=one.get("settings"),
        **flags,
    )


def add_workflow(world: World, one: Mapping[str, Any]) -> Workflow:
    """Create an automation: when `when` is written on `object`, `set` becomes `value` (or the value of `copy_of`)."""
    _only(one, {"object", "when", "set", "value", "copy_of", "on_create", "delay"}, "workflow")
    obj = ui.object_named(world, one["object"])
    when, copy_of = (None if one.get(key) is None else ui.field_named(obj, one[key]).id for key in ("when", "copy_of"))
    target = ui.field_named(obj, one["set"])
    value = one.get("value")
    flow = Workflow(
        id=world.new_id(),
        object_id=obj.id,
        when=when,
        set=target.id,
        value=None if value is None else ui.wire(world, target, value),
        copy_of=copy_of,
        on_create=one.get("on_create", True),
        delay=float(one.get("delay", 0.0)),
    )
    world.put_workflow(flow)
    return flow


def _record(world: World, obj: ObjectType, values: dict[str, Any], where: str) -> None:
    gone = values.pop("archived", False)
    for name, value in values.items():
        column = ui.field_named(obj, name)
        if column.type == "dynamictags":
            ui.ensure_tags(world, obj, column, value)
    try:
        record = ui.create(world, obj, values)
    except (ApiError, ValueError) as error:
        msg = f"{where}: {ui.complaint(error) if isinstance(error, ApiError) else error}"
        raise ValueError(msg) from error
    if gone:
        archive(world, record)


_FIRST_NAMES: Final = """
    Ada Alan Anita Barbara Bjarne Brian Carol Charles Claude Dana Dennis Donald Dorothy Edith Edsger Elena Emmy Ernest Fatima
    Frances Georg Grace Guido Hedy Ida Jean John Joan Karen Katherine Ken Kurt Leslie Lise Lotfi Margaret Maria Mary Niklaus
    Noor Oscar Paul Radia Rosalind Ruth Shafi Sofia Stephen Tim Tony Ursula Vint Wei Whitfield Yasmin Zoë
"""
_LAST_NAMES: Final = """
    Abel Allen Babbage Backus Borg Byron Cantor Cerf Chandra Clarke Dijkstra Díaz Easley Estrin Faber Floyd Franklin Germain
    Gödel Goldberg Granville Hamilton Hopper Hoare Ibrahim Jennings Johnson Kay Kernighan Knuth Lamarr Lamport Liskov Lovelace
    McCarthy Meitner Moore Naur Noether Nygaard Okafor Perlman Perlis Ritchie Rossum Sammet Shannon Shaw Søren Tarjan Thompson
    Turing Valiant Vaughan Wirth Wilkes Wing Yao Zadeh Zuse
"""
_TOWNS: Final = "Alder Birch Cedar Dover Elm Fjord Granite Harbor Iron Juniper Lake Mill North Oak Pine River Stone"
_TRADES: Final = "Freight Foods Optics Paper Robotics Textiles Tools Travel Timber Water"
_PER_COMPANY: Final = 8
_TAGS: Final = ("Customer", "Newsletter", "Partner", "VIP")


def _company_names(number: int) -> Iterator[str]:
    towns, trades = _TOWNS.split(), _TRADES.split()
    for index in range(number):
        lap, again = index // len(towns), index // (len(towns) * len(trades))
        name = f"{towns[index % len(towns)]} {trades[(3 * index + lap) % len(trades)]}"
        yield f"{name} {again + 1}" if again else name


def add_people(world: World, number: int) -> None:
    """Generate contacts, each with a company, the same for the same seed: names, unique emails, phones, birthdays, tags."""
    contacts = ui.object_named(world, CONTACTS)
    companies = ui.object_named(world, COMPANIES)
    start = len(contacts.records)
    chance = world.random(f"people:{number}:{start}")
    first_names, last_names = _FIRST_NAMES.split(), _LAST_NAMES.split()
    ui.ensure_tags(world, contacts, contacts.by_name["tags"], _TAGS)
    houses = [
        next((one.id for one in world.with_key(companies, name) if not one.archived), None)
        or ui.create(world, companies, {"name": name}).id
        for name in _company_names(-(-number // _PER_COMPANY))
    ]
    for index in range(start, start + number):
        first, last = chance.choice(first_names), chance.choice(last_names)
        mail = f"{first}.{last}.{index}@example.com".lower().translate(str.maketrans("ëíöø", "eioo"))
        person: dict[str, Any] = {"first_name": first, "last_name": last, "email": mail}
        person["company_primary"] = chance.choice(houses)
        if chance.random() < 0.8:
            person["mobile_phone"] = f"+1312555{chance.randrange(10_000):04d}"
        if chance.random() < 0.5:
            person["birthday"] = f"{chance.randrange(1950, 2005)}-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}"
        if chance.random() < 0.4:
            person["tags"] = chance.sample(_TAGS, chance.randrange(1, 3))
        ui.create(world, contacts, person)
