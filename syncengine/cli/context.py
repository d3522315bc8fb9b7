"""What every command is given: where the config is, how to log, how to print, and how to open the engine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:  # imported where they are used: `--help` needs none of it
    from syncengine.app import App
    from syncengine.cli.output import Output
    from syncengine.cli.progress import Watch
    from syncengine.config import Config
    from syncengine.log import Redactor
    from syncengine.registry import Registry

DEFAULT_CONFIG = Path("syncengine.toml")


@dataclass(slots=True, kw_only=True)
class Invocation:
    """The global options of one call, and what is made of them on demand."""

    config: Path = DEFAULT_CONFIG
    log_format: str = "console"
    log_level: str = "warning"
    color: bool = True
    secrets: set[str] = field(default_factory=set, repr=False)
    watch: Watch | None = None

    @classmethod
    def of(cls, context: typer.Context) -> Invocation:
        """The invocation that a command belongs to."""
        assert isinstance(context.obj, Invocation)
        return context.obj

    def output(self) -> Output:
        """Where the command prints."""
        from syncengine.cli.output import Output

        return Output(color=self.color, before=lambda: self.watch.hide() if self.watch else None)

    def redactor(self) -> Redactor:
        """Masks the secrets known by now."""
        from syncengine.log import Redactor

        return Redactor(self.secrets)

    def registry(self) -> Registry:
        """The installed connectors."""
        from syncengine.registry import Registry

        return Registry.installed()

    def load(self, registry: Registry | None = None) -> Config:
        """The config, with logging set up so that its secrets are masked. Raises ConfigError."""
        from syncengine.config import load

        config = load(self.config, environ=os.environ, registry=registry or self.registry())
        self.secrets |= config.secrets
        self.start_logging()
        return config

    def start_logging(self) -> None:
        """Set logging up as the global options say."""
        from syncengine.log import Format, Level, configure

        configure(
            format=Format(self.log_format),
            level=Level(self.log_level),
            redactor=self.redactor(),
            color=self.color and sys.stderr.isatty(),
        )

    @contextmanager
    def app(self, *, read_only_state: bool = False) -> Iterator[App]:
        """The engine over the config; SIGINT and SIGTERM ask it to stop, and progress shows on a terminal."""
        from syncengine.app import App
        from syncengine.cli.progress import watching
        from syncengine.cli.stop import stopping

        registry = self.registry()
        config = self.load(registry)
        with (
            stopping() as stop,
            watching(color=self.color) as self.watch,
            App.open(config, read_only_state=read_only_state, stop=stop, progress=self.watch, registry=registry) as app,
        ):
            yield app
