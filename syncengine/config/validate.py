"""
pydantic's complaints in the words of this program, for the config file and for the options of connectors alike.

A document is validated again after its wrong parts were taken out, until what remains is right: so checks that need a
whole table still run over the rest of it, and every problem is found in one go.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Mapping
from typing import TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from syncengine.config.problems import Place, Problems, written_at
from syncengine.wording import nearest

Model = TypeVar("Model", bound=BaseModel)

_KINDS = {
    "string_type": "text",
    "path_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number",
    "list_type": "a list",
    "dict_type": "a table",
    "mapping_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
_BOUNDS = {
    "greater_than": ("is not above {gt}", "write a number above {gt}"),
    "greater_than_equal": ("is below {ge}", "write a number from {ge}"),
    "less_than": ("is not below {lt}", "write a number below {lt}"),
    "less_than_equal": ("is above {le}", "write a number up to {le}"),
}
_EXPECTED = re.compile(r"'([^']*)'")


def validate(
    model: type[Model], document: Mapping[str, object], problems: Problems, *, at: Place = (), hidden: Collection[str] = ()
) -> Model | None:
    """
    The document as a model, less its wrong parts, each of which is added to `problems`.

    `at` is where the document stands in the file. Values of the top-level keys in `hidden` are never quoted.
    None when nothing valid remains (a required key is missing, the connector's own check of the whole table failed).
    """
    rest = copy.deepcopy(dict(document))
    while True:
        try:
            return model.model_validate(rest)
        except ValidationError as error:
            details = error.errors(include_url=False)
        known = problems.snapshot()
        removed = False
        for detail in details:
            loc = _location(document, detail["loc"])
            place = problems.standing((*at, *loc))[len(at) :]
            if not known.touch((*at, *place)):
                wrong, cure = _words(detail, model, loc)
                if place and place[0] in hidden:
                    wrong, cure = (_without_value(text, detail["input"]) for text in (wrong, cure))
                problems.add((*at, *place), wrong, cure)
            removed |= _remove(rest, place)
        if not removed:
            return None


def _location(document: object, loc: Place) -> Place:
    """A place in the document; what is wrong with a key, rather than its value, comes with `[key]` at the end."""
    marked = loc[-1:] == ("[key]",) and len(loc) > 1 and not _has(written_at(document, loc[:-1]), "[key]")
    return loc[:-1] if marked else loc


def _has(holder: object, key: str) -> bool:
    return isinstance(holder, dict) and key in holder


def _remove(document: object, place: Place) -> bool:
    """Take a value out; a list loses the whole, as positions must not move."""
    while place:
        holder = written_at(document, place[:-1])
        if isinstance(holder, dict):
            return holder.pop(place[-1], holder) is not holder
        place = place[:-1]
    return False


def _words(detail: ErrorDetails, model: type[BaseModel], place: Place) -> tuple[str, str]:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "wrong":
            return context["wrong"], context["cure"]
        case "extra_forbidden":
            return "unknown key", nearest(place[-1], _keys(model, place[:-1]))
        case "missing":
            return "this key is missing", f"add {place[-1]} = ..."
        case "enum" | "literal_error":
            choices = _EXPECTED.findall(context["expected"])
            return "{value} is not a choice here", nearest(detail["input"], choices)
        case "string_too_short":
            return "the text is empty", "write at least one character"
        case "too_short":
            return "the list is empty", "write at least one entry, or leave the key out"
        case "value_error" | "assertion_error":
            return str(context["error"]), ""
        case kind if kind in _BOUNDS:
            wrong, cure = _BOUNDS[kind]
            return "{value} " + wrong.format(**context), cure.format(**context)
        case kind if kind in _KINDS:
            return f"{{value}} is not {_KINDS[kind]}", _type_cure(kind, detail["input"])
        case _:
            return "{value}: " + detail["msg"][:1].lower() + detail["msg"][1:], ""


def _type_cure(kind: str, value: object) -> str:
    if kind == "string_type" and not isinstance(value, list | dict):
        return "write it in quotes"
    if kind.startswith(("bool", "int", "float")) and isinstance(value, str):
        return f"write {_KINDS[kind]} without quotes"
    return f"write {_KINDS[kind]}"


def _without_value(text: str, value: object) -> str:
    text = text.replace("{value}", "this value")
    return text.replace(value, "***") if isinstance(value, str) and value else text


def _keys(kind: object, place: Place) -> list[str]:
    """The keys that the table at a place takes."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
        if not place:
            return list(fields)
        return _keys(fields.get(str(place[0])), place[1:])
    if get_origin(kind) in (dict, list):
        return _keys(get_args(kind)[-1], place[1:]) if place else []
    return next((keys for part in get_args(kind) if (keys := _keys(part, place))), [])
