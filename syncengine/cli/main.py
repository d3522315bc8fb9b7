"""The entry point: global options, the commands, and the way from errors to exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from syncengine.cli.commands import Commands
from syncengine.cli.context import DEFAULT_CONFIG, Invocation
from syncengine.heap import spare_the_collector


class LogFormat(Enum):
    """How log lines are written; mirrors `syncengine.log.Format`, which is dear to import."""

    CONSOLE = "console"
    JSON = "json"


class LogLevel(Enum):
    """The least level that is logged; mirrors `syncengine.log.Level`."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


app = typer.Typer(
    cls=Commands,
    name="syncengine",
    help="Keep two systems the same, field by field, in both directions.",
    no_args_is_help=True,
    add_completion=False,
    # rich is as dear to import as everything else that --help needs together.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(wanted: bool) -> None:
    if wanted:
        from syncengine import __version__

        typer.echo(f"syncengine {__version__}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="The config file.")] = DEFAULT_CONFIG,
    log_format: Annotated[LogFormat, typer.Option("--log-format", help="How log lines are written.")] = LogFormat.CONSOLE,
    log_level: Annotated[LogLevel, typer.Option("--log-level", help="The least level that is logged.")] = LogLevel.WARNING,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours; the variable NO_COLOR does the same.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options that stand before or after any command."""
    del version
    invocation = context.obj
    invocation.config, invocation.color = config, not no_color
    invocation.log_format, invocation.log_level = log_format.value, log_level.value


_WITH_VALUE = frozenset({"--config", "--log-format", "--log-level"})
_FLAGS = frozenset({"--no-color"})


def hoisted(arguments: Sequence[str]) -> list[str]:
    """The arguments with the global options in front: people write them after the command as well."""
    first: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _WITH_VALUE:
            value = next(words, None)
            if value is None:
                return [word]  # for typer to complain about
            first += [word, value]
        elif word in _FLAGS or word.partition("=")[0] in _WITH_VALUE:
            first.append(word)
        else:
            rest.append(word)
    return [*first, *rest]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    spare_the_collector()
    sys.exit(execute(sys.argv[1:] if arguments is None else arguments))


def execute(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code."""
    invocation = Invocation()
    try:
        result: Any = typer.main.get_command(app).main(
            hoisted(arguments), prog_name="syncengine", standalone_mode=False, obj=invocation
        )
        sys.stdout.flush()
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - the last line of defence: nothing may end in a traceback
        from syncengine.cli.failure import report

        return report(error, invocation)
    return int(result or 0)


if __name__ == "__main__":
    main()
