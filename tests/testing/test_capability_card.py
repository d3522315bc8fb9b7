"""Capability cards tell what a resource does, not what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from syncengine.connector import Capabilities, Field, FieldType, Resource
from syncengine.errors import AuthError
from syncengine.testing.card import Verdict, capability_card, world_for
from syncengine.testing.memory import (
    FULL,
    READABLE,
    SIMPLE,
    Manners,
    MemoryConnector,
    MemoryWorld,
    chained,
    lower,
    trim,
    truncated,
)

FIELDS = [
    Field(name="email", type=FieldType.EMAIL, unique=True, required=True),
    Field(name="name", type=FieldType.TEXT),
    Field(name="age", type=FieldType.INTEGER),
]


def card_of(capabilities=FULL, manners=None, **more):
    world = MemoryWorld()
    table = world.add("people", FIELDS, capabilities=capabilities, manners=manners, **more)
    connector = MemoryConnector(world)
    return capability_card(connector, world_for(connector.resources()["people"])), table


def test_a_card_finds_everything_that_is_there():
    card, _ = card_of()
    wanted = {
        "read", "complete listings", "incremental", "creates", "returns_record", "idempotent_creates", "chooses_ids",
        "refuses a second email", "updates", "partial_updates", "versions stay where nothing changes", "conditional_writes",
        "text: mixed case", "text: nul", "get", "find", "changes follow a cursor", "reports_deletions", "archives", "restores",
        "deletes", "find sees a write at once",
    }  # fmt: skip
    assert {finding.subject for finding in card.findings if finding.verdict is Verdict.CAN} >= wanted
    assert not [finding for finding in card.findings if finding.surprising]


def test_a_card_finds_what_is_not_there():
    card, _ = card_of(SIMPLE)
    for subject in ("incremental", "idempotent_creates", "conditional_writes", "archives", "returns_record", "chooses_ids"):
        assert card[subject].verdict is Verdict.CANNOT
        assert not card[subject].surprising
    assert card["conditional_writes"].declared is False


@pytest.mark.parametrize(
    ("normaliser", "row", "detail"),
    [
        (trim, "text: blanks at the ends", "is trimmed"),
        (lower, "text: mixed case", "is put in lower case"),
        (truncated(10), "text: ten kilobytes", "is cut off after 10 characters"),
        (chained(trim, lower), "text: blanks at the ends", "is trimmed and put in lower case"),
        (lambda value: " ".join(value.split()), "text: inner blanks", "has its blanks squeezed"),
        (lambda value: value.replace("\r\n", "\n"), "text: crlf", "has its line ends changed"),
        (lambda value: value[::-1], "text: formula", "comes back changed"),
        (len, "text: formula", "comes back as int"),
    ],
)
def test_a_card_says_what_becomes_of_text(normaliser, row, detail):
    world = MemoryWorld()
    fields = [Field(name="email", unique=True, required=True), Field(name="name")]
    world.add("people", fields, manners=Manners(normalise={"name": normaliser}))
    connector = MemoryConnector(world)
    finding = capability_card(connector, world_for(connector.resources()["people"]))[row]
    assert (finding.verdict, finding.detail) == (Verdict.CANNOT, detail)


def test_a_card_says_that_blank_becomes_null():
    card, _ = card_of(blank_is_null=True)
    assert card["text: empty"].detail == "becomes null"


def test_a_card_is_surprised_by_a_declaration_that_does_not_hold():
    class Boasting(MemoryConnector):
        def resources(self):
            found = super().resources()["people"]
            return {"people": replace(found, capabilities=replace(found.capabilities, conditional_writes=True, restores=True))}

    world = MemoryWorld()
    world.add("people", FIELDS, capabilities=replace(SIMPLE, archives=True))
    connector = Boasting(world)
    card = capability_card(connector, world_for(connector.resources()["people"]))
    assert {finding.subject for finding in card.findings if finding.surprising} == {"conditional_writes", "restores"}


def test_a_card_leaves_nothing_behind():
    _, table = card_of()
    assert table.records() == {}


def test_a_card_says_what_it_had_to_leave_behind():
    card, table = card_of(Capabilities(creates=True, late_arrival=0.0))
    assert card["tidied up"].verdict is Verdict.CANNOT
    assert len(table) > 0


def test_a_card_of_a_resource_that_is_only_read_tries_no_write():
    world = MemoryWorld()
    world.add("people", FIELDS, capabilities=READABLE).insert(email="a@x")
    connector = MemoryConnector(world)
    card = capability_card(connector, world_for(connector.resources()["people"]))
    assert card["read"].verdict is Verdict.CAN
    assert card["creates"].verdict is Verdict.CANNOT
    assert len(world["people"]) == 1


def test_a_card_is_json_and_holds_no_record_value():
    world = MemoryWorld()
    world.add("people", FIELDS, capabilities=FULL).insert(email="somebody@private.example", name="Private")
    connector = MemoryConnector(world)
    text = json.dumps(capability_card(connector, world_for(connector.resources()["people"])).as_dict())
    assert "rivate" not in text
    assert json.loads(text)["resource"] == "people"


def test_trouble_is_a_finding_and_refused_credentials_are_raised():
    class Broken(MemoryConnector):
        def find(self, resource, field, values, *, fields):
            raise AuthError("searching is not allowed")

    world = MemoryWorld()
    world.add("people", FIELDS, capabilities=FULL)
    connector = Broken(world)
    card = capability_card(connector, world_for(connector.resources()["people"]))
    assert card["looking"].verdict is Verdict.UNCLEAR
    assert card["deletes"].verdict is Verdict.CAN
    world.denied = True
    with pytest.raises(AuthError):
        capability_card(
            MemoryConnector(world), world_for(Resource(name="people", fields={"n": Field(name="n")}, capabilities=FULL))
        )


def test_a_world_needs_a_text_field_and_known_values():
    with pytest.raises(ValueError, match="no text field"):
        world_for(Resource(name="r", fields={"n": Field(name="n", type=FieldType.INTEGER)}, capabilities=Capabilities()))
    needed = {
        "t": Field(name="t"),
        "boss": Field(name="boss", type=FieldType.REFERENCE, references="r", required=True),
    }
    with pytest.raises(ValueError, match="boss"):
        world_for(Resource(name="r", fields=needed, capabilities=Capabilities()))


def test_a_card_is_made_without_pytest():
    code = "import sys, syncengine.testing.card; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
