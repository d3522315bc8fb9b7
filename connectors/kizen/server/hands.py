"""
The server's handles for Python: switches, faults, and what a person would do in the platform's interface.

Everything here takes effect at once, without HTTP and without permissions, and is safe from any thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

from connectors.kizen.server import records, schema, seed, ui
from connectors.kizen.server.bulk import settle
from connectors.kizen.server.errors import ApiError
from connectors.kizen.server.faults import Fault, FaultKind, Faults
from connectors.kizen.server.log import RequestLog
from connectors.kizen.server.metadata import Employee, Field, ObjectType, Workflow
from connectors.kizen.server.switches import Switches
from connectors.kizen.server.world import World


class Hands:
    """
    Direct access to one business. Objects and fields are named by api_name or id, records by id.

    Values are given and shown as people see them: options, tags and stages by label, relations by id, name or email,
    owners by email. Wrong names and values raise `ValueError`, duplicates too.
    """

    def __init__(self, world: World, faults: Faults, log: RequestLog) -> None:
        self.world = world
        self.faults = faults
        self.requests = log

    @contextmanager
    def _hold(self) -> Iterator[World]:
        with self.world.lock:
            settle(self.world)
            try:
                yield self.world
            except ApiError as error:
                raise ValueError(ui.complaint(error)) from error
            finally:
                settle(self.world)
                self.world.commit()

    # Behaviour

    @property
    def switches(self) -> Switches:
        """How the server answers where the platform's sources disagree."""
        return self.world.switches

    def switch(self, name: str, value: object) -> None:
        """Set one switch; see `switches`."""
        with self.world.lock:
            self.world.switches = self.world.switches.change(name, value)

    def fault(self, kind: FaultKind | Fault, **details: Any) -> Fault:
        """Arm a fault for the next matching requests; see `faults.Fault` for the details."""
        fault = kind if isinstance(kind, Fault) else Fault(kind=kind, **details)
        with self.world.lock:
            self.faults.arm(fault)
        return fault

    def calm(self) -> None:
        """Disarm every fault."""
        with self.world.lock:
            self.faults.disarm()

    def settle(self) -> None:
        """Let everything that is due happen now: bulk calls, workflows, requests that were lost and arrive late."""
        with self._hold():
            pass

    # Schema

    def object(self, name: str) -> ObjectType:
        """An object; read it, do not change it."""
        with self.world.lock:
            return ui.object_named(self.world, name)

    def field(self, object: str, name: str) -> Field:
        """A field with its id, options and relation."""
        with self.world.lock:
            return ui.field_named(ui.object_named(self.world, object), name)

    def add_object(self, object_name: str, **description: Any) -> ObjectType:
        """Create an object; `description` as in a seed document (`entity_name`, `name`, `object_type`, `stages`, `fields`)."""
        with self._hold() as world:
            return seed.add_object(world, {"object_name": object_name, **description})

    def add_field(self, object: str, display_name: str, field_type: str, **description: Any) -> Field:
        """Create a field; `description` as in a seed document (`name`, `options`, `relation`, `required`, ...)."""
        with self._hold() as world:
            document = {"display_name": display_name, "field_type": field_type, **description}
            return seed.add_field(world, ui.object_named(world, object), document)

    def change_field(self, object: str, field: str, /, **changes: Any) -> Field:
        """
        Change a field: `name`, `display_name`, `required`, `read_only`, `hidden`, `allows_nulls`, `allows_empty`, `settings`.

        `visible=False` hides it from the API user altogether, `editable=False` refuses writes with 403, both although its
        metadata does not say so beforehand (`access.edit` follows).
        """
        with self._hold() as world:
            obj = ui.object_named(world, object)
            changed = replace(ui.field_named(obj, field), **changes)
            world.put_field(obj, changed)
            return changed

    def remove_field(self, object: str, name: str) -> None:
        """Remove a field, its mirror and their values."""
        with self._hold() as world:
            obj = ui.object_named(world, object)
            schema.remove_field(world, obj, ui.field_named(obj, name))

    def add_option(self, object: str, field: str, name: str) -> str:
        """Add an option or a tag; returns its id."""
        with self._hold() as world:
            obj = ui.object_named(world, object)
            return schema.add_option(world, obj, ui.field_named(obj, field), name).id

    def remove_option(self, object: str, field: str, name: str) -> None:
        """Remove an option or a tag by label; records that hold it keep its id and show nothing."""
        with self._hold() as world:
            obj = ui.object_named(world, object)
            one = ui.field_named(obj, field)
            world.put_field(obj, replace(one, options=tuple(option for option in one.options if option.name != name)))

    def add_employee(self, email: str, **details: Any) -> str:
        """Add a member of the team (`first_name`, `last_name`, `active`, `service_account`); returns the id."""
        with self._hold() as world:
            one = Employee(id=world.new_id(), email=email, **details)
            world.put_employee(one)
            return one.id

    def add_workflow(self, object: str, *, set: str, **details: Any) -> Workflow:
        """Add an automation: `when`, `set`, `value` or `copy_of`, `on_create`, `delay` (see `metadata.Workflow`)."""
        with self._hold() as world:
            return seed.add_workflow(world, {"object": object, "set": set, **details})

    # Records

    def add_record(
        self,
        object: str,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        on_archived: Literal["unarchive", "overwrite"] = "unarchive",
        **more: Any,
    ) -> str:
        """
        Create a record; returns its id.

        Where an archived one has the same identifier, it is restored (blanks take the new values), or with `overwrite` a
        new one is made beside it, which is what a person answers when the interface asks (section 5.11).
        """
        with self._hold() as world:
            obj = ui.object_named(world, object)
            return ui.create(world, obj, {**(values or {}), **more}, archived=on_archived).id

    def add_people(self, number: int) -> None:
        """Generate contacts with companies."""
        with self._hold() as world:
            seed.add_people(world, number)

    def edit(self, record_id: str, values: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Change fields of a record; None clears."""
        with self._hold() as world:
            ui.edit(world, ui.record_named(world, record_id), {**(values or {}), **more})

    def archive(self, record_id: str) -> None:
        """Archive a record."""
        with self._hold() as world:
            records.archive(world, records.check_visible(ui.record_named(world, record_id)))

    def unarchive(self, record_id: str) -> None:
        """Restore a record."""
        with self._hold() as world:
            records.unarchive(world, ui.record_named(world, record_id))

    def permit(self, record_id: str, *, visible: bool = True, editable: bool = True) -> None:
        """What the API user may do with a record: see it at all, change it."""
        with self._hold() as world:
            world.put_record(replace(ui.record_named(world, record_id), visible=visible, editable=editable))

    def permit_object(self, object: str, *, visible: bool = True, addable: bool = True) -> None:
        """What the API user may do with an object: see it at all, add records."""
        with self._hold() as world:
            obj = ui.object_named(world, object)
            obj.visible, obj.addable = visible, addable
            world.put_object(obj)

    def record(self, record_id: str) -> dict[str, Any]:
        """One record as a person sees it, archived or not: values by api_name and `id`, blanks left out."""
        with self._hold() as world:
            record = ui.record_named(world, record_id)
            return ui.plain(world, world.objects[record.object_id], record)

    def records(self, object: str, *, archived: bool = False) -> Sequence[dict[str, Any]]:
        """The live (or the archived) records of an object in the order of creation."""
        with self._hold() as world:
            obj = ui.object_named(world, object)
            return [ui.plain(world, obj, one) for one in obj.records.values() if one.archived is archived]
