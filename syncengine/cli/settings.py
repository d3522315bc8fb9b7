"""`config`: the effective config, and the schema of config files."""

from __future__ import annotations

import typer

from syncengine.cli.context import Invocation
from syncengine.cli.run import Json

app = typer.Typer(help="Show the config and its schema.", no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.command()
def schema(context: typer.Context) -> int:
    """Print the JSON Schema of config files, with the options of the installed connectors, for editors."""
    import json

    from syncengine.config import config_schema

    invocation = Invocation.of(context)
    output = invocation.output()
    output.text(json.dumps(config_schema(invocation.registry()), indent=2) + "\n")
    output.flush()
    return 0


@app.command()
def show(context: typer.Context, json: Json = False) -> int:
    """Print the config as it is understood, with every default and without secrets."""
    from syncengine.cli.toml import document
    from syncengine.config import show as shown

    invocation = Invocation.of(context)
    output = invocation.output()
    registry = invocation.registry()
    effective = shown(invocation.load(registry), registry)
    if json:
        output.json(effective)
    else:
        output.text(document(effective))
    output.flush()
    return 0
