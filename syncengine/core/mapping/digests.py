"""Digests of what decides about records, so that a changed config is noticed and named. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Final

from orjson import OPT_SORT_KEYS, dumps

from syncengine.connector import Native
from syncengine.core.filters import conditions_of
from syncengine.core.keys import KEY_VERSION
from syncengine.core.mapping.fieldrule import Compiled
from syncengine.core.model import AnyOf, Condition, Filter, PairSpec, Side

SCHEMA: Final = "schema"
_BYTES: Final = 16


def digests(spec: PairSpec, compiled: Sequence[Compiled]) -> Mapping[str, str]:
    """
    The digests of the parts of a pair that change decisions.

    `mapping`, `filters`, `match` and `policies` come from the config alone; `SCHEMA` from what the systems say of the fields, and
    so changes when a system does.
    """
    described = sorted((entry.described for entry in compiled), key=lambda entry: str(entry["name"]))
    return {
        "mapping": mapping_digest(spec),
        SCHEMA: _digest(described),
        "filters": _digest({side.value: _filter(spec.filters.get(side, ())) for side in Side}),
        "match": _digest([KEY_VERSION, list(spec.match), spec.keyless]),
        "policies": _digest(
            [
                [spec.direction, spec.conflicts, spec.deletes, spec.tolerance],
                {
                    field.name: field.conflicts
                    for field in spec.fields
                    if field.conflicts is not None and field.conflicts is not spec.conflicts
                },
            ]
        ),
    }


def mapping_digest(spec: PairSpec) -> str:
    """The digest of what the config says of the two ends and the fields between them."""
    fields = sorted(repr(replace(field, was=None, conflicts=None)) for field in spec.fields)
    return _digest([str(spec.left), str(spec.right), fields])


def total(parts: Mapping[str, str]) -> bytes:
    """One digest of all parts."""
    return blake2b(dumps(parts, option=OPT_SORT_KEYS), digest_size=_BYTES).digest()


def _digest(content: Native) -> str:
    return blake2b(dumps(content, repr, OPT_SORT_KEYS), digest_size=_BYTES).hexdigest()


def _filter(filter: Filter) -> list[Native]:
    return [
        ["any", [_condition(condition) for condition in conditions_of((clause,))]]
        if isinstance(clause, AnyOf)
        else _condition(clause)
        for clause in filter
    ]


def _condition(condition: Condition) -> Native:
    return [condition.field, condition.test, repr(condition.value)]
