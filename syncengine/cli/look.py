"""`check`, `status` and `log`: looking without touching."""

from __future__ import annotations

from typing import Annotated

import typer

from syncengine.cli.context import Invocation
from syncengine.cli.run import Json


def check(context: typer.Context, json: Json = False) -> int:
    """
    Check the config, the systems, their fields and keys; write nothing.

    Exit code 0: all is well; 1: something is not.
    """
    from syncengine.cli import documents, render

    invocation = Invocation.of(context)
    output = invocation.output()
    with invocation.app(read_only_state=True) as app:
        report = app.check()
        if json:
            output.json(documents.check(report))
        else:
            output.lines(render.check(report))
        output.flush()
    return int(report.exit)


def status(context: typer.Context, json: Json = False) -> int:
    """
    Show where every pair stands.

    Exit code 0: nothing waits; 4: something does.
    """
    from syncengine.cli import documents, render

    invocation = Invocation.of(context)
    output = invocation.output()
    with invocation.app(read_only_state=True) as app:
        report = app.desk.status()
        if json:
            output.json(documents.status(report))
        else:
            output.table(render.status(report))
        output.flush()
    return int(report.exit)


def log(
    context: typer.Context,
    run: Annotated[int | None, typer.Argument(metavar="RUN", help="The number of a run; else the latest runs.")] = None,
    pair: Annotated[str | None, typer.Option("--pair", metavar="PAIR", help="Only runs of this pair.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many runs.")] = 20,
    json: Json = False,
) -> int:
    """Show the latest runs, or everything that one run wrote."""
    from syncengine.cli import documents, render
    from syncengine.engine.words import names

    invocation = Invocation.of(context)
    output = invocation.output()
    with invocation.app(read_only_state=True) as app:
        if run is None:
            lines = app.desk.runs(limit, pair)
            if json:
                output.json({"runs": [documents.run_line(line) for line in lines]})
            elif lines:
                output.table(render.runs(lines))
            else:
                output.line("There was no run yet.")
        else:
            detail = app.desk.run(run)
            spec = app.config.pairs.get(detail.line.pair)
            called = names(str(spec.left), str(spec.right)) if spec else {"left": "left", "right": "right"}
            if json:
                output.json(documents.detail(detail))
            else:
                output.lines(render.detail(detail, called))
        output.flush()
    return 0
