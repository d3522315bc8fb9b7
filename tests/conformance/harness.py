"""The kit on a memory world, with every setting handed in; `TestMemory...` and the mutants are made of it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import ClassVar

import pytest

from syncengine.connector import Capabilities, Choice, Field, FieldType
from syncengine.testing.conformance import ConnectorConformance, World
from syncengine.testing.memory import (
    FULL,
    Manners,
    MemoryFarSide,
    MemoryWorld,
    VirtualClock,
    chained,
    lower,
    skilled,
    trim,
)

FIELDS = (
    Field(name="email", type=FieldType.EMAIL, unique=True, required=True),
    Field(name="name", type=FieldType.TEXT),
    Field(name="city", type=FieldType.TEXT, max_length=40),
    Field(name="phone", type=FieldType.PHONE),
    Field(name="age", type=FieldType.INTEGER),
    Field(name="score", type=FieldType.DECIMAL),
    Field(name="price", type=FieldType.MONEY, scale=2),
    Field(name="active", type=FieldType.BOOLEAN),
    Field(name="born", type=FieldType.DATE),
    Field(name="seen", type=FieldType.DATETIME),
    Field(name="local", type=FieldType.DATETIME, naive=True),
    Field(name="stage", type=FieldType.CHOICE, choices=(Choice(value="lead"), Choice(value="won"))),
    Field(name="tags", type=FieldType.SET),
    Field(name="aliases", type=FieldType.LIST),
    Field(name="boss", type=FieldType.REFERENCE, references="people"),
    Field(name="extra", type=FieldType.JSON),
    Field(name="anything"),
    Field(name="total", type=FieldType.INTEGER, read_only=True),
)

CAPABILITIES = [each.name for each in fields(Capabilities)]
MANNERS = [each.name for each in fields(Manners) if each.name != "normalise"]
SKILLS = ("reads", "writes", "gets", "finds")


class MemoryConformance(ConnectorConformance):
    """The kit on a memory world; `row` holds what differs from everything declared and the plainest manners."""

    row: ClassVar = {}
    connects = None
    """Opens the connector under test on a world; None: by the skills of the row."""

    def setting(self, name, otherwise):
        return self.row.get(name, otherwise)

    @pytest.fixture
    def memory(self):
        world = MemoryWorld(clock=VirtualClock(step=self.setting("ticks", 1.0)))
        resource = world.add(
            "people",
            FIELDS,
            capabilities=replace(FULL, **{name: self.row[name] for name in CAPABILITIES if name in self.row}),
            manners=Manners(
                normalise={"name": chained(trim, lower)} if self.setting("normalise", False) else {},
                **{name: self.row[name] for name in MANNERS if name in self.row},
            ),
            id_fields=self.setting("id_fields", ()),
            blank_is_null=self.setting("blank_is_null", False),
        )
        return world, resource

    @pytest.fixture
    def opens(self, memory):
        """Opens the connector under test, as often as it is asked to."""
        if self.connects is not None:
            return lambda: type(self).connects(memory[0])
        return lambda: skilled(memory[0], **{name: self.setting(name, True) for name in SKILLS}, hears=True)

    @pytest.fixture
    def connector(self, opens):
        connector = opens()
        yield connector
        connector.close()

    @pytest.fixture
    def far_side(self, memory):
        return MemoryFarSide(*memory)

    @pytest.fixture
    def reopen(self, opens):
        return opens


def world_of(row):
    return World(
        resource="people",
        seed_fields={"email": "ada@example.com", "name": "ada", "city": "London", "age": 36},
        editable="name",
        eventual=(lambda connector: connector.world.clock.advance(60)) if row.get("lag") else None,
        normalises={"name": chained(trim, lower)} if row.get("normalise") else {},
        rejected={"stage": "no such stage"},
        most_records=12,
    )
