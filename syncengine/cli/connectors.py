"""`connectors`: what can be connected, and the way in for authors of more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from syncengine.cli import trial
from syncengine.cli.context import Invocation
from syncengine.cli.run import Json

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def group() -> None:
    """List the installed connectors, begin a new one, hold one to its contract."""


@app.command()
def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What configs will call it: small letters, digits, dashes.")],
    folder: Annotated[Path, typer.Option("--folder", metavar="FOLDER", help="Where the package goes.")] = Path(),
) -> int:
    """Write a package with a small, working connector and its conformance test, to begin from."""
    from syncengine.errors import SyncError
    from syncengine.testing.skeleton import write

    invocation = Invocation.of(context)
    output = invocation.output()
    if name in invocation.registry().names():
        msg = f"a connector {name!r} is installed already: take another name"
        raise SyncError(msg)
    written = write(name, folder)
    for path in written:
        output.line(str(path))
    output.line(f"Next: cd {written[0].parent} && pip install --editable '.[dev]' && pytest")
    output.flush()
    return 0


app.command("test")(trial.try_out)


@app.command("list")
def list_(context: typer.Context, json: Json = False) -> int:
    """List the installed connectors with what they guarantee; one that cannot be imported says why."""
    from syncengine.cli.text import Style
    from syncengine.errors import ConfigError
    from syncengine.wording import harmless

    invocation = Invocation.of(context)
    output = invocation.output()
    registry = invocation.registry()
    found: list[dict[str, object]] = []
    for name in registry.names():
        entry: dict[str, object] = {
            "name": name,
            "package": registry.distribution(name),
            "title": "",
            "guarantee": "",
            "error": "",
        }
        try:
            plugin = registry.load(name)
        except ConfigError as error:
            entry["error"] = error.problems[0].wrong
        else:
            entry |= {"title": plugin.title, "guarantee": plugin.guarantee}
        found.append(entry)
    if json:
        output.json({"connectors": found})
    else:
        for entry in found:
            title = f"  {entry['title']}" if entry["title"] else ""
            package = (f"  ({entry['package']})", Style.FAINT) if entry["package"] else ""
            output.line((harmless(str(entry["name"])), Style.STRONG), harmless(title), package)
            if entry["error"]:
                output.line("    ", (harmless(str(entry["error"])), Style.BAD))
            elif entry["guarantee"]:
                output.line("    ", harmless(str(entry["guarantee"])))
    output.flush()
    return 0
