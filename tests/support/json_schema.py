"""The part of JSON Schema (2020-12) that our config schema uses, to check documents against it without a further package."""

import datetime as dt
import re

_TYPES = {
    "object": dict,
    "array": list,
    "string": str | dt.date | dt.time,  # an editor sees TOML dates as text
    "boolean": bool,
    "integer": int,
    "number": int | float,
    "null": type(None),
}
_KNOWN = {
    *(
        "$defs",
        "$schema",
        "title",
        "description",
        "default",
        "examples",
        "type",
        "enum",
        "const",
        "$ref",
        "anyOf",
        "allOf",
        "if",
        "then",
    ),
    *("properties", "additionalProperties", "required", "propertyNames", "items", "minItems", "minLength", "pattern"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "format", "writeOnly"),
}


def faults(value, schema, root=None, at="$"):
    """What is wrong with a value, as a list of texts; empty when the schema accepts it."""
    root = root or schema
    if schema is True:
        return []
    if schema is False:
        return [f"{at}: nothing may stand here"]
    assert not (unknown := schema.keys() - _KNOWN), f"this helper lacks {unknown}"
    found = []
    if "$ref" in schema:
        target = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        found += faults(value, target, root, at)
    if "type" in schema and not _is(value, schema["type"]):
        return [*found, f"{at}: not {schema['type']}"]
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: not one of {schema['enum']}")
    if "const" in schema and value != schema["const"]:
        found.append(f"{at}: not {schema['const']}")
    if "anyOf" in schema and all(faults(value, part, root, at) for part in schema["anyOf"]):
        found.append(f"{at}: fits none of the alternatives")
    for part in schema.get("allOf", []):
        found += faults(value, part, root, at)
    if "if" in schema and not faults(value, schema["if"], root, at):
        found += faults(value, schema["then"], root, at)
    return found + _of_kind(value, schema, root, at)


def _is(value, kind):
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _of_kind(value, schema, root, at):
    found = []
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        found += [f"{at}: {key} is missing" for key in schema.get("required", []) if key not in value]
        for key, child in value.items():
            found += faults(key, schema.get("propertyNames", True), root, f"{at} (name {key})")
            found += faults(child, properties.get(key, schema.get("additionalProperties", True)), root, f"{at}.{key}")
    elif isinstance(value, list):
        found += [
            fault
            for index, child in enumerate(value)
            for fault in faults(child, schema.get("items", True), root, f"{at}[{index}]")
        ]
        found += [f"{at}: too few"] if len(value) < schema.get("minItems", 0) else []
    elif isinstance(value, str):
        found += [f"{at}: too short"] if len(value) < schema.get("minLength", 0) else []
        found += [f"{at}: no match"] if not re.search(schema.get("pattern", ""), value) else []
    elif isinstance(value, int | float):
        low, high = schema.get("minimum", value), schema.get("maximum", value)
        fits = low <= value <= high and schema.get("exclusiveMinimum", value - 1) < value
        found += [] if fits else [f"{at}: out of range"]
    return found
