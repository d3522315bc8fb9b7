"""The connector under test as the kit knows it: what it declares, what the test file gives, which fields are good for what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from syncengine.connector import Capabilities, Field, Fields, FieldType, Resource
from syncengine.testing.conformance.demand import SKILLS, Demand
from syncengine.testing.conformance.world import FarSide, World

_REASONS: Mapping[str, str] = {
    "reopen": "the test file gives no `reopen` fixture that opens the connector a second time",
    "records": "there is no way to make records: neither `creates` nor `far_side.insert`",
    "edits": "there is no way to edit a record: neither `updates` nor `far_side.edit`",
    "pages": "page_size is above World.most_records; open the connector with a smaller one to have this tested",
    "batches": "max_batch is too small for this test",
    "emptiness": "the resource is shared with others, so it is never empty",
    "other_field": "World.seed_fields has no second writable field",
    "unique_field": "no field of World.seed_fields is unique",
    "set_field": "there is no writable field of type set",
    "rejected": "nothing is known that this resource refuses; give World.rejected",
    "required_field": "no field is required",
    "secrets": "World.secrets is empty",
}


class Subject:
    """A connector, the world it runs against, and what both allow to be tested."""

    def __init__(self, connector: Any, world: World, *, far_side: FarSide, reopen: Callable[[], Any] | None) -> None:
        self.connector = connector
        self.world = world
        self.far_side = far_side
        self.reopen = reopen
        self.resource: Resource = connector.resources()[world.resource]
        self.can: Capabilities = self.resource.capabilities

    def undeclared(self, demand: Demand) -> list[str]:
        """The capabilities and skills that a test requires and this connector has not."""
        return [" or ".join(names) for names in demand.requires if not any(self.has(name) for name in names)]

    def has(self, name: str) -> bool:
        """Whether a capability is declared, or the method of a skill is there."""
        if name in SKILLS:
            return callable(getattr(self.connector, SKILLS[name], None))
        return bool(getattr(self.can, name)) and (name not in _WRITTEN or self.has("write"))

    def lacking(self, demand: Demand) -> list[str]:
        """Why a test cannot be run with what the test file gives; empty: it can."""
        return [_REASONS.get(name, f"far_side has no `{name}`") for name in demand.needs if not self._given(name)]

    def _given(self, name: str) -> bool:
        match name:
            case "reopen":
                return self.reopen is not None
            case "records":
                return self.has("creates") or hasattr(self.far_side, "insert")
            case "edits":
                return self.has("updates") or hasattr(self.far_side, "edit")
            case "pages":
                return self.can.page_size < self.world.most_records
            case "batches":
                return self.can.max_batch >= 3
            case "emptiness":
                return not self.world.shared
            case "other_field":
                return bool(self.other_fields)
            case "unique_field":
                return bool(self.unique_fields)
            case "set_field":
                return self.set_field is not None
            case "rejected":
                return self.rejected is not None
            case "required_field":
                return bool(self.required_fields)
            case "secrets":
                return bool(self.world.secrets)
            case _:
                return hasattr(self.far_side, name)

    @property
    def several_pages(self) -> int:
        """How many records make three pages, or as many as a test may make."""
        return min(self.can.page_size * 2 + 1, self.world.most_records)

    @property
    def writable(self) -> dict[str, Field]:
        """The fields that a write may name, those of the id left out."""
        return {
            name: each
            for name, each in self.resource.fields.items()
            if not each.read_only and not each.unusable and name not in self.resource.id_fields
        }

    @property
    def other_fields(self) -> list[str]:
        """Fields of the seed besides the editable one."""
        return [name for name in self.world.seed_fields if name != self.world.editable and name in self.writable]

    @property
    def unique_fields(self) -> list[str]:
        return [name for name in self.world.seed_fields if self.resource.fields[name].unique]

    @property
    def required_fields(self) -> list[str]:
        return [name for name, each in self.resource.fields.items() if each.required and not each.read_only]

    @property
    def set_field(self) -> str | None:
        found = [n for n, each in self.writable.items() if each.type is FieldType.SET and not each.choices]
        return found[0] if found else None

    @property
    def rejected(self) -> Fields | None:
        """Values that the resource says, or the author knows, it refuses."""
        if self.world.rejected is not None:
            return self.world.rejected
        for name, each in self.writable.items():
            if (each.required or not each.nullable) and not self.resource.blank_is_null:
                return {name: None}
        return None


_WRITTEN = frozenset({"creates", "updates", "archives", "deletes", "restores"})
