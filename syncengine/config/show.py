"""Showing a config without its secrets, and the JSON Schema of config files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from syncengine.config.daemon import MASK, show_daemon
from syncengine.config.document import RESERVED, DocumentTable
from syncengine.config.model import Config, SystemConfig
from syncengine.config.problems import written_at
from syncengine.core.model import AnyOf, Condition, FieldSpec, Filter, Limit, PairSpec, Side
from syncengine.errors import ConfigError
from syncengine.wording import without_password

if TYPE_CHECKING:  # the registry imports this package
    from syncengine.registry import Registry


def show(config: Config, registry: Registry | None = None) -> dict[str, object]:
    """
    The config with its defaults, as plain values in the shape of the file.

    Values from placeholders show as the placeholder, fields that a connector declares secret and passwords in URLs as
    asterisks. Without a registry nobody knows which options are secret, so every text option is masked.
    """
    return {
        "state": str(config.state),
        "region": config.region,
        "systems": {name: _system(system, config, registry) for name, system in config.systems.items()},
        "pairs": {name: _pair(pair) for name, pair in config.pairs.items()},
        "daemon": show_daemon(config),
    }


def _system(system: SystemConfig, config: Config, registry: Registry | None) -> dict[str, object]:
    secret = registry.secret_options(system.connector) if registry else frozenset(system.options)
    options = {
        key: MASK if key in secret and "${" not in str(written) else _as_written(written)
        for key in system.options
        if (written := written_at(config.written, ("systems", system.name, key))) is not None
    }
    return {
        "connector": system.connector,
        **options,
        "read_only": system.read_only,
        "timezone": system.timezone,
        "limits": {limit.name: getattr(system.limits, limit.name) for limit in fields(system.limits)},
    }


def _as_written(value: object) -> object:
    match value:
        case str():
            return without_password(value)
        case Decimal():
            return float(value)
        case dict():
            return {key: _as_written(child) for key, child in value.items()}
        case list():
            return [_as_written(child) for child in value]
        case _:
            return value


def _pair(pair: PairSpec) -> dict[str, object]:
    return {
        "left": str(pair.left),
        "right": str(pair.right),
        "match": list(pair.match),
        "direction": pair.direction.value,
        "conflicts": pair.conflicts.value,
        "deletes": pair.deletes.value,
        "keyless": pair.keyless.value,
        "schedule": pair.schedule,
        "tolerance": pair.tolerance,
        "full_sweep": pair.full_sweep,
        "was": pair.was,
        "filter": {side.value: _filter(pair.filters.get(side, ())) for side in Side},
        "fields": {spec.name: _field(spec) for spec in pair.fields},
        "guards": {guard.name: _limit(getattr(pair.guards, guard.name)) for guard in fields(pair.guards)},
    }


def _limit(limit: Limit) -> dict[str, object]:
    return {"share": f"{limit.share * 100:g}%", "number": limit.number}


def _filter(conditions: Filter) -> list[object]:
    return [
        {"any": [_condition(inner) for inner in condition.conditions]} if isinstance(condition, AnyOf) else _condition(condition)
        for condition in conditions
    ]


def _condition(condition: Condition) -> dict[str, object]:
    value = list(condition.value) if isinstance(condition.value, tuple) else condition.value
    return {"field": condition.field, condition.test.value: value}


def _field(spec: FieldSpec) -> dict[str, object]:
    kind = spec.type.value if spec.type else None
    shown = {
        "left": spec.left,
        "right": spec.right,
        "as": f"{kind}({spec.scale})" if spec.scale is not None else kind,
        "direction": spec.direction and spec.direction.value,
        "conflicts": spec.conflicts and spec.conflicts.value,
        "references": spec.references,
        "format": _per_side(spec.format),
        "decimal": _per_side(spec.decimal),
        "timezone": _per_side(spec.timezone),
        "values": dict(spec.values) if spec.values else None,
        "constant": spec.constant,
        "was": spec.was,
    }
    return {key: value for key, value in shown.items() if value is not None}


def _per_side(values: Mapping[Side, str]) -> dict[str, str] | None:
    return {side.value: value for side, value in values.items()} or None


def config_schema(registry: Registry | None = None) -> dict[str, Any]:
    """
    The JSON Schema of config files, for editors. With a registry it knows the options of the installed connectors.

    A connector that cannot be imported is left out; `syncengine connectors list` says why.
    """
    schema = _without_null(DocumentTable.model_json_schema())
    assert isinstance(schema, dict)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    if registry is None:
        return schema
    system = schema["$defs"]["SystemTable"]
    system["properties"]["connector"] = {**system["properties"]["connector"], "examples": list(registry.names())}
    system["allOf"] = []
    for name in registry.names():
        try:
            options = registry.options_schema(name)
        except ConfigError:
            continue
        schema["$defs"].update({f"{name}.{key}": _without_null(part) for key, part in options.pop("$defs", {}).items()})
        properties = _without_null(options.get("properties", {}))
        shared = dict.fromkeys(RESERVED, True)
        then = {
            "properties": properties | shared,
            "required": options.get("required", []),
            "additionalProperties": False,
        }
        system["allOf"].append({"if": {"properties": {"connector": {"const": name}}, "required": ["connector"]}, "then": then})
    return schema


def _without_null(schema: Any) -> Any:
    """TOML has no null: a key is there with a value, or not there."""
    if isinstance(schema, list):
        return [_without_null(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    rest = {key: _without_null(part) for key, part in schema.items() if part is not None}
    if "anyOf" in rest:
        rest["anyOf"] = [part for part in rest["anyOf"] if part != {"type": "null"}]
        if len(rest["anyOf"]) == 1:
            rest |= rest.pop("anyOf")[0]
    return rest
