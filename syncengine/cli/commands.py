"""
Commands that are imported when they are called: ours, and those that other packages bring.

A package brings a command by an entry point of the group `syncengine.commands`: a `typer.Typer`, or a function that typer
can make a command of. It is not imported to be listed, so a broken package does not break `--help`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:  # dear to import
    from importlib.metadata import EntryPoint

GROUP = "syncengine.commands"

OURS = {
    "init": ("syncengine.cli.init:init", "Look at two systems and propose a config that keeps them the same."),
    "check": ("syncengine.cli.look:check", "Check the config, the systems, their fields and keys; write nothing."),
    "plan": ("syncengine.cli.run:plan", "Show what a sync would change, field by field, and write nothing."),
    "sync": ("syncengine.cli.run:sync", "Make both sides the same, once."),
    "daemon": ("syncengine.cli.daemon:daemon", "Keep all pairs the same: on schedule, and when a webhook says so."),
    "status": ("syncengine.cli.look:status", "Show where every pair stands."),
    "log": ("syncengine.cli.look:log", "Show the latest runs, or everything that one run wrote."),
    "conflicts": ("syncengine.cli.conflicts:app", "List, show and answer the questions that wait for you."),
    "quarantine": ("syncengine.cli.quarantine:app", "List, release and retry parked records."),
    "events": ("syncengine.cli.events:app", "List, show, retry and drop events that were sent."),
    "state": ("syncengine.cli.state:app", "Back up, check, compact, rebuild or adopt the state file."),
    "connectors": ("syncengine.cli.connectors:app", "List the installed connectors, begin a new one, hold one to its contract."),
    "config": ("syncengine.cli.settings:app", "Show the config and its schema."),
}
"""Where each command is, and the first line of its help, so that listing them imports nothing."""


class Commands(TyperGroup):
    """Our commands, then those of other packages; ours win."""

    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return [*OURS, *sorted(set(_installed()) - set(OURS))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command as it is listed; `resolve_command` gives the one to call."""
        del ctx
        if cmd_name in OURS:
            target, about = OURS[cmd_name]
            return _Listed(cmd_name, about, lambda: _import(target))
        entry = _installed().get(cmd_name)
        return None if entry is None else _Listed(cmd_name, f"Brought by the package {_package(entry)}.", lambda: _load(entry))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in OURS:
            # typer looks here for the nearest name of a misspelt one.
            self.commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.made() if isinstance(command, _Listed) else command, rest


class _Listed(TyperCommand):
    """A command of which only the name and a line of help are known."""

    def __init__(self, name: str, about: str, load: Callable[[], Any]) -> None:
        super().__init__(name, callback=None, help=about)
        self._load = load

    def made(self) -> Any:
        """The command itself."""
        loaded = self._load()
        if not isinstance(loaded, typer.Typer):
            group = typer.Typer(add_completion=False, rich_markup_mode=None)
            group.command(self.name)(loaded)
            loaded = group
        return typer.main.get_command(loaded)


def _import(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def _load(entry: EntryPoint) -> Any:
    """What an entry point names; a ConfigError names the package of one that cannot be imported."""
    from syncengine.errors import ConfigError, Problem

    try:
        return entry.load()
    except Exception as error:
        problem = Problem(
            place=f"syncengine {entry.name}",
            wrong=f"the command of the package {_package(entry)} cannot be imported: {type(error).__name__}: {error}",
            cure=f"install what it needs, or update {_package(entry)}",
        )
        raise ConfigError([problem]) from error


def _installed() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value
