"""`quarantine`: records that are parked until they change or are released."""

from __future__ import annotations

from typing import Annotated

import typer

from syncengine.cli.context import Invocation
from syncengine.cli.run import Json, Pair

app = typer.Typer(
    help="List, release and retry parked records.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)

Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="What `quarantine list` shows in its first column.")]


@app.command("list")
def list_(context: typer.Context, pair: Pair = None, json: Json = False) -> int:
    """
    List what is parked, and why.

    Exit code 0: nothing; 4: something.
    """
    from syncengine.cli import documents, render
    from syncengine.engine.report import Exit

    invocation = Invocation.of(context)
    output = invocation.output()
    with invocation.app(read_only_state=True) as engine:
        if pair is not None:
            engine.specs(pair)
        entries = engine.desk.quarantine(pair)
        if json:
            output.json({"quarantine": [documents.quarantined(entry) for entry in entries]})
        elif entries:
            output.table(render.quarantine(entries))
        else:
            output.line("Nothing is in quarantine.")
        output.flush()
    return int(Exit.PARTIAL if entries else Exit.DONE)


@app.command()
def retry(context: typer.Context, ids: Ids, json: Json = False) -> int:
    """Release records and sync their pairs at once."""
    from syncengine.cli import documents
    from syncengine.cli.run import show_run, worst_of

    invocation = Invocation.of(context)
    output = invocation.output()
    with invocation.app() as engine:
        reports = engine.retry(ids)
        if json:
            output.json({"pairs": [documents.run(report) for report in reports]})
        else:
            for report in reports:
                show_run(engine, report, output)
        output.flush()
    return worst_of([report.exit for report in reports])


@app.command()
def release(context: typer.Context, ids: Ids) -> int:
    """Let records be tried again by the next sync."""
    from syncengine.cli.text import counted

    invocation = Invocation.of(context)
    output = invocation.output()
    with invocation.app() as engine:
        engine.desk.release(ids)
        output.line(f"Released {counted(len(ids), 'record')}; the next sync tries again.")
        output.flush()
    return 0
