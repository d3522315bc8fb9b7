"""
The `fields` array of a write, judged entry by entry (records-api.md section 3.3) for the positional envelope (2.3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.kizen.server.errors import ValueRefused, detail, invalid_key, positional
from connectors.kizen.server.metadata import Field, ObjectType, Record, Stored
from connectors.kizen.server.values import parse, read_only_for_api
from connectors.kizen.server.world import World

Problem = tuple[str, str]


@dataclass(slots=True)
class Entries:
    """The `fields` of a request, judged entry by entry: values to store and the problems at their positions."""

    values: dict[str, Stored | None] = field(default_factory=dict)
    problems: list[dict[str, Problem]] = field(default_factory=list)
    positions: dict[str, int] = field(default_factory=dict)
    refused: bool = False
    by_name: bool = False

    def complain(self, world: World, general: Sequence[Problem] = ()) -> None:
        """Raise the positional envelope if anything is wrong: 403 for fields that may not be written, else 400."""
        if not general and not any(self.problems):
            return
        form = world.switches.positional_errors
        if self.refused and world.switches.field_refusal != "400":
            if world.switches.field_refusal == "403_detail":
                raise detail(403, "forbidden_field_write", "You do not have permission to write some of these fields.")
            raise positional(403, self.problems, general, form=form)
        raise positional(400, self.problems, general, form=form)


def judge(world: World, obj: ObjectType, raw: object, current: Record | None) -> Entries:
    """
    Judge the `fields` array of a request (section 3.3).

    Raises `ApiError` where it is no list at all; problems of single entries are collected.
    """
    if raw is None:
        raise invalid_key("fields", "required", "This field is required.")
    if not isinstance(raw, list):
        raise invalid_key("fields", "not_a_list", "Expected a list of items.")
    entries = Entries()
    for position, entry in enumerate(raw):
        problem: dict[str, Problem] = {}
        try:
            one = _addressed(obj, entry)
            entries.by_name = entries.by_name or "id" not in entry
            if read_only_for_api(one):
                entries.refused = True
                problem = {"value": ("forbidden_field_write", f"You may not write {one.display_name}.")}
            else:
                before = entries.values[one.id] if one.id in entries.values else _stored(current, one)
                entries.values[one.id] = _resulting(world, obj.fields[one.id], entry, before)
                entries.positions[one.id] = position
        except _KeyRefused as refusal:
            problem = {refusal.key: (refusal.code, refusal.message)}
        except ValueRefused as refusal:
            problem = {"value": (refusal.code, refusal.message)}
        entries.problems.append(problem)
    return entries


class _KeyRefused(ValueRefused):
    def __init__(self, key: str, code: str, message: str) -> None:
        self.key = key
        super().__init__(code, message)


def _addressed(obj: ObjectType, entry: object) -> Field:
    if not isinstance(entry, Mapping):
        raise _KeyRefused("non_field_errors", "invalid", "Invalid data. Expected a dictionary.")
    for key, known in (("id", obj.fields), ("name", obj.by_name)):
        if key in entry:
            wanted = entry[key]
            one = known.get(wanted) if isinstance(wanted, str) else None
            if one is None or not one.visible:
                raise _KeyRefused(key, "does_not_exist", f"There is no field with this {key}.")
            return one
    raise _KeyRefused("name", "required", "Either name or id is required.")


def _stored(current: Record | None, one: Field) -> Stored | None:
    return None if current is None else current.values.get(one.id)


def _resulting(world: World, one: Field, entry: Mapping[str, Any], before: Stored | None) -> Stored | None:
    given = [key for key in ("value", "add_values", "remove_values") if key in entry]
    if len(given) != 1:
        raise _KeyRefused("value", "required", "Exactly one of value, add_values, remove_values is required.")
    if given[0] == "value":
        return parse(world, one, entry["value"])
    if not one.multiple:
        raise _KeyRefused(given[0], "invalid", "This field holds a single value.")
    items = parse(world, one, entry[given[0]]) or ()
    held = before or ()
    assert isinstance(items, tuple)
    assert isinstance(held, tuple)
    if given[0] == "add_values":
        return (*held, *(item for item in items if item not in held)) or None
    return tuple(item for item in held if item not in items) or None
