"""The fields of a create: what is the same for every new record of a side, found out once. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from syncengine.connector import Native
from syncengine.core.mapping import FieldRule, PairRule
from syncengine.core.model import Side
from syncengine.core.values import Value


@dataclass(frozen=True, slots=True)
class CreateField:
    """
    A field that a create on one side may fill: native names on the target and the source; `needed`: not without it. `read` and
    `write` make of the source's value the target's, where it is no reference.
    """

    rule: FieldRule
    target: str
    source: str
    needed: bool
    read: Callable[[Native], Value]
    write: Callable[[Value], Native]
    is_reference: bool


@lru_cache(maxsize=64)
def create_fields(rule: PairRule, target: Side) -> tuple[CreateField, ...]:
    """The fields of a create on this side; the same for every record and every run under one config."""
    matched = {field_rule.name for field_rule in rule.match}
    return tuple(
        CreateField(
            field_rule,
            field_rule.native(target),
            field_rule.native(target.other),
            field_rule.required(target) or field_rule.name in matched,
            field_rule.right_reader if target is Side.LEFT else field_rule.left_reader,
            field_rule.left_writer if target is Side.LEFT else field_rule.right_writer,
            field_rule.references is not None,
        )
        for field_rule in rule.fields
        if field_rule.writable(target)
    )
