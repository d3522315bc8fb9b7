"""
A system in memory: the reference implementation of the connector contract, with a knob for every capability.

    world = MemoryWorld()
    people = world.add("people", [Field(name="email", unique=True), Field(name="name")], capabilities=FULL)
    id = people.insert(email="ada@example.com", name="Ada")      # as a person at the far side
    connector = MemoryConnector(world)                           # what the engine gets
    ...
    people[id], people.records(), world.writes("people"), world.called(CallKind.GET)

`Capabilities` says what a resource can do, `Manners` how it behaves beyond that. `world.on_call` lets a test step in
between any two calls. Time is a callable handed to the world; the default advances by itself.
"""

from __future__ import annotations

from syncengine.connector import Plugin
from syncengine.testing.memory.connector import (
    Finds,
    Gets,
    Hears,
    MemoryConnector,
    MemorySource,
    MemoryTarget,
    skilled,
)
from syncengine.testing.memory.far_side import MemoryFarSide
from syncengine.testing.memory.file import FileConnector, MemoryOptions, connect, load_world, save_world
from syncengine.testing.memory.log import Author, Call, CallKind, Effect, EffectKind, Moment
from syncengine.testing.memory.manners import (
    Clock,
    Manners,
    Normaliser,
    Paging,
    VirtualClock,
    appended,
    chained,
    lower,
    normaliser_named,
    rounded,
    trim,
    truncated,
    without,
)
from syncengine.testing.memory.resource import MemoryResource
from syncengine.testing.memory.world import FULL, READABLE, SIMPLE, MemoryWorld

__all__ = [
    "FULL",
    "READABLE",
    "SIMPLE",
    "Author",
    "Call",
    "CallKind",
    "Clock",
    "Effect",
    "EffectKind",
    "FileConnector",
    "Finds",
    "Gets",
    "Hears",
    "Manners",
    "MemoryConnector",
    "MemoryFarSide",
    "MemoryOptions",
    "MemoryResource",
    "MemorySource",
    "MemoryTarget",
    "MemoryWorld",
    "Moment",
    "Normaliser",
    "Paging",
    "VirtualClock",
    "appended",
    "chained",
    "load_world",
    "lower",
    "normaliser_named",
    "plugin",
    "rounded",
    "save_world",
    "skilled",
    "trim",
    "truncated",
    "without",
]

plugin = Plugin(
    title="Memory (for tests)",
    options=MemoryOptions,
    connect=connect,
    guarantee="As the world's file declares; nothing outside this machine is touched.",
)
