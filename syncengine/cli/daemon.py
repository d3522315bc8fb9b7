"""`daemon`: keep all pairs the same, for as long as it runs."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from syncengine.cli.context import Invocation

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncengine.app import App
    from syncengine.config import Config
    from syncengine.engine.context import Progress
    from syncengine.engine.pacing import Pacer
    from syncengine.engine.wrap import Watcher
    from syncengine.registry import Registry


def daemon(
    context: typer.Context,
    listen: Annotated[
        str | None, typer.Option("--listen", metavar="HOST:PORT", help="Where the pages are; goes before the config.")
    ] = None,
    no_web: Annotated[bool, typer.Option("--no-web", help="Listen nowhere: no pages, webhooks or metrics.")] = False,
    unit: Annotated[bool, typer.Option("--unit", help="Print a systemd unit for this config, and exit.")] = False,
) -> int:
    """
    Keep all pairs the same: on schedule, and when a webhook says so.

    SIGTERM stops it in order, SIGHUP reads the config anew; so does saving the file.

    Exit code 0: stopped as asked; 1: it could not go on, or could not stop in time.
    """
    from syncengine.engine.ports import RandomTokens, SystemClock

    invocation = Invocation.of(context)
    if _is_left_to_us(context):
        invocation.log_level = "info"
    registry = invocation.registry()

    def load() -> Config:
        return _overridden(invocation.load(registry), listen, no_web=no_web)

    config = load()
    if unit:
        _print_unit(config, invocation)
        return 0

    from tzlocal import get_localzone

    from syncengine.daemon.life import Daemon

    living = Daemon(
        config,
        load=load,
        registry=registry,
        clock=SystemClock(),
        tokens=RandomTokens(),
        zone=get_localzone(),
        open_app=_Opener(registry).open,
        environ=os.environ,
    )
    return living.run(_ready)


class _Opener:
    """Opens Apps that share the pace of each system, as long as the config stays the same."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._config: Config | None = None
        self._pacers: dict[str, Pacer] = {}

    def open(self, config: Config, progress: Progress, stop: Callable[[], bool], watcher: Watcher) -> App:
        from syncengine.app import App

        if config is not self._config:
            self._config, self._pacers = config, {}
        return App.open(config, registry=self._registry, progress=progress, stop=stop, pacers=self._pacers, watcher=watcher)


def _overridden(config: Config, listen: str | None, *, no_web: bool) -> Config:
    """The config with what the command line says; raises ConfigError as the file would."""
    from dataclasses import replace

    from pydantic_core import PydanticCustomError

    from syncengine.config.daemon import beyond_reach
    from syncengine.config.scalars import parse_address
    from syncengine.errors import ConfigError, Problem

    settings = config.daemon
    if no_web:
        settings = replace(settings, web=False)
    if listen is not None:
        try:
            settings = replace(settings, listen=parse_address(listen))
        except PydanticCustomError as error:
            told = error.context or {}
            problem = Problem(place="--listen", wrong=str(told["wrong"]).replace("{value}", listen), cure=str(told["cure"]))
            raise ConfigError([problem]) from None
        if beyond_reach(settings) is not None:
            wrong, cure = beyond_reach(settings) or ("", "")
            raise ConfigError([Problem(place="--listen", wrong=wrong.replace("{value}", listen), cure=cure)])
    return replace(config, daemon=settings)


def _is_left_to_us(context: typer.Context) -> bool:
    """Whether nobody said how much to log: a daemon says when it runs what."""
    parent = context.parent
    source = parent.get_parameter_source("log_level") if parent is not None else None
    return source is None or source.name == "DEFAULT"


def _print_unit(config: Config, invocation: Invocation) -> None:
    import getpass
    from pathlib import Path

    from syncengine.daemon.systemd import unit

    command = (
        Path(sys.argv[0]).absolute() if Path(sys.argv[0]).name == "syncengine" else Path(sys.executable).with_name("syncengine")
    )
    output = invocation.output()
    text = unit(
        config.path, state=config.state, command=str(command), user=getpass.getuser(), stop_within=config.daemon.stop_within
    )
    output.text(text)
    output.flush()


def _ready(address: str) -> None:
    sys.stdout.write(f"syncengine keeps watch{' at ' + address if address else ''}\n")
    sys.stdout.flush()
