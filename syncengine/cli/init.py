"""`init`: a commented config, proposed from what two systems say about themselves."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from syncengine.cli.context import DEFAULT_CONFIG, Invocation

if TYPE_CHECKING:
    from syncengine.cli.propose import Mapped, Proposal
    from syncengine.connector import Plugin, Resource
    from syncengine.registry import Registry

_SIDES = ("left", "right")
_EXAMPLES = "csv:people/contacts.csv or sql:sqlite:///office.db#people"
_PASSWORD = re.compile(r"(://[^/\s:@]*:)([^/\s$]+)@")


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """One side of the proposal; `options` as they are written into the file."""

    system: str
    connector: str
    options: Mapping[str, str]
    resource: Resource


Left = Annotated[str | None, typer.Option("--left", metavar="SYSTEM", help=f"CONNECTOR:PLACE#RESOURCE, such as {_EXAMPLES}.")]
Right = Annotated[str | None, typer.Option("--right", metavar="SYSTEM", help="The other side, in the same way.")]
To = Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where to write; never overwritten.")]


def init(context: typer.Context, left: Left = None, right: Right = None, to: To = DEFAULT_CONFIG) -> int:
    """
    Look at two systems and propose a config that keeps them the same.

    Relative paths start from the folder of the written file. Passwords are read from the environment.
    """
    from syncengine.cli.propose import propose
    from syncengine.errors import SyncError

    invocation = Invocation.of(context)
    output = invocation.output()
    _refuse_to_overwrite(to)
    registry = invocation.registry()
    texts = [_asked(side, text) for side, text in zip(_SIDES, (left, right), strict=True)]
    ends: list[_End] = []
    for side, text in zip(_SIDES, texts, strict=True):
        ends.append(_look(side, text, registry, invocation, base=to.absolute().parent, taken={end.system for end in ends}))
    proposal = propose(ends[0].resource, ends[1].resource)
    if proposal is None:
        names = [", ".join(list(end.resource.fields)[:20]) or "no field" for end in ends]
        msg = f"no field of one side has a name like a field of the other; left has {names[0]}; right has {names[1]}"
        raise SyncError(msg)
    with to.open("x", encoding="utf-8") as file:
        file.write("\n".join(_lines(ends[0], ends[1], proposal)) + "\n")
    option = "" if to == DEFAULT_CONFIG else f" --config {to}"
    output.line(f"Wrote {to}: {len(proposal.fields)} fields mapped, records matched by {proposal.match}. Read it, then:")
    output.line(f"  syncengine check{option}")
    output.line(f"  syncengine plan{option}")
    output.flush()
    return 0


def _refuse_to_overwrite(path: Path) -> None:
    from syncengine.errors import ConfigError, Problem

    if path.exists():
        raise ConfigError([Problem(place=str(path), wrong="this file exists already", cure="name another one with -o")])


def _asked(side: str, text: str | None) -> str:
    if text is not None:
        return text
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"--{side} is missing: CONNECTOR:PLACE#RESOURCE, such as {_EXAMPLES}")
    return str(typer.prompt(f"The {side} system, such as {_EXAMPLES}"))


def _look(side: str, text: str, registry: Registry, invocation: Invocation, *, base: Path, taken: set[str]) -> _End:
    """Open a system as it would be from the written config, and describe the resource."""
    from syncengine.config import SystemConfig, fill_document
    from syncengine.errors import ConfigError, Problem
    from syncengine.registry import open_system

    connector, colon, rest = text.partition(":")
    place, _, wanted = rest.rpartition("#") if "#" in rest else (rest, "", "")
    if not colon or not place:
        problem = Problem(place=f"--{side}", wrong="this does not name a system", cure=f"write it like {_EXAMPLES}")
        raise ConfigError([problem])
    plugin = registry.load(connector, place=(f"--{side}",))
    system = _system_name(place, connector, side, taken)
    options, environ = _options(plugin, place, system, dict(os.environ))
    document = fill_document({"systems": {system: options}}, base=base, environ=environ)
    invocation.secrets |= document.secrets
    if document.problems:
        raise document.problems.error()
    filled: Any = document.filled["systems"]
    opened = open_system(SystemConfig(name=system, connector=connector, options=filled[system]), registry, base=base)
    try:
        opened.check()
        described = opened.resources()
        resource = described[_resource_name(side, wanted, list(described))]
    finally:
        opened.close()
    return _End(system=system, connector=connector, options=options, resource=resource)


def _system_name(place: str, connector: str, side: str, taken: set[str]) -> str:
    last = re.split(r"[/\\]", place.partition("?")[0].rstrip("/"))[-1].rpartition("@")[2]
    stem = re.sub(r"\W+", "_", last.partition(".")[0]).strip("_")
    names: list[str] = [stem[:40] or connector, connector, f"{side}_side"]
    return next(name for name in names if name not in taken)


def _options(plugin: Plugin, place: str, system: str, environ: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The options to write, secrets as placeholders, and the environment in which they can be filled."""
    fields = plugin.options.model_fields
    required = [name for name, field in fields.items() if field.is_required()]
    where = next((name for name in ("path", "url") if name in fields), required[0] if required else "path")

    def placeholder(name: str) -> str:
        return re.sub(r"\W+", "_", f"{system}_{name}").upper()

    def hide(found: re.Match[str]) -> str:
        variable = placeholder("password")
        environ[variable] = found[2]
        return f"{found[1]}${{{variable}}}@"

    options = {where: _PASSWORD.sub(hide, place)}
    options |= {fields[name].alias or name: f"${{{placeholder(name)}}}" for name in required if name != where}
    return options, environ


def _resource_name(side: str, wanted: str, names: list[str]) -> str:
    from syncengine.errors import ConfigError, Problem
    from syncengine.wording import listed, nearest, quoted

    if wanted in names:
        return wanted
    if wanted:
        wrong, cure = f"there is no resource {quoted(wanted)}", nearest(wanted, names) or "it is empty"
    elif len(names) == 1:
        return names[0]
    elif names and sys.stdin.isatty():
        return _chosen(side, names, typer.prompt)
    else:
        wrong = "there are several resources" if names else "there is no resource"
        cure = f"add #RESOURCE: {listed(names)}" if names else "put one there first: a file, a table"
    raise ConfigError([Problem(place=f"--{side}", wrong=wrong, cure=cure)])


def _chosen(side: str, names: list[str], prompt: Callable[[str], object]) -> str:
    from syncengine.wording import harmless, nearest

    for number, name in enumerate(names, start=1):
        typer.echo(f"  {number}  {harmless(name)}")
    while True:
        answer = str(prompt(f"The {side} resource"))
        if answer in names:
            return answer
        if answer.isascii() and answer.isdigit() and 0 < int(answer) <= len(names):
            return names[int(answer) - 1]
        typer.echo(f"  {nearest(answer, names)}")


def _lines(left: _End, right: _End, proposal: Proposal) -> Iterator[str]:
    from syncengine.cli import toml

    pair = re.sub(r"\W+", "_", left.resource.name).strip("_") or "records"
    yield "# Proposed by `syncengine init`. Everything here may be changed; `syncengine check` tells what does not fit."
    yield "# Nothing is written before you say `syncengine sync`; `syncengine plan` shows what it would do."
    for end in (left, right):
        yield ""
        yield f"[systems.{toml.key(end.system)}]"
        yield f"connector = {toml.text(end.connector)}"
        for name, value in end.options.items():
            remark = "  # filled from the environment, or from .env" if "${" in value else ""
            yield f"{toml.key(name)} = {toml.text(value)}{remark}"
    yield ""
    yield f"[pairs.{toml.key(pair)}]"
    yield f"left = {toml.text(f'{left.system}.{left.resource.name}')}"
    yield f"right = {toml.text(f'{right.system}.{right.resource.name}')}"
    yield f"match = {toml.text(proposal.match)}  # by this field the same record is recognised on both sides"
    yield 'direction = "both"  # or left_to_right, right_to_left'
    yield 'conflicts = "ask"  # edited on both sides: ask, or left, right, newer, fill'
    yield 'deletes = "ask"  # deleted on one side: ask, or propagate, archive, ignore'
    yield ""
    yield f"[pairs.{toml.key(pair)}.fields]"
    for field in proposal.fields:
        yield f"{toml.key(field.name)} = {_field(field)}" + _remark(field)
    yield from _left_over(left, proposal.left_over)
    yield from _left_over(right, proposal.right_over)


def _field(field: Mapped) -> str:
    from syncengine.cli import toml

    table: dict[str, object] = {}
    if field.left != field.name or field.right != field.name:
        table |= {"left": field.left, "right": field.right}
    if field.type is not None:
        table["as"] = field.type.value
    if field.direction is not None:
        table["direction"] = field.direction.value
    if field.is_naive:
        table["timezone"] = "UTC"
    return toml.value(table) if table else toml.text(field.name)


def _remark(field: Mapped) -> str:
    if field.is_naive:
        return "  # the zone of these times: put in the right one"
    return "  # cannot be written on the other side" if field.direction is not None else ""


def _left_over(end: _End, names: Mapping[str, str]) -> Iterator[str]:
    from syncengine.wording import harmless

    if names:
        yield ""
        yield f"# Not mapped, of {harmless(end.system)}.{harmless(end.resource.name)}:"
    for name, why in names.items():
        yield f"#   {harmless(name)}" + (f" ({harmless(why)})" if why else "")
