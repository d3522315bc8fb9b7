"""`conflicts`: the questions that wait for a human."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from syncengine.cli.context import Invocation
from syncengine.cli.run import Json, Pair

if TYPE_CHECKING:
    from syncengine.app import App
    from syncengine.engine.report import InboxEntry

app = typer.Typer(
    help="List, show and answer the questions that wait for you.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


class Choice(Enum):
    """Which value is right."""

    LEFT = "left"
    RIGHT = "right"
    APART = "apart"


Number = Annotated[int, typer.Argument(metavar="ID", help="The number that `conflicts list` shows.")]


@app.command("list")
def list_(context: typer.Context, pair: Pair = None, json: Json = False) -> int:
    """
    List what waits.

    Exit code 0: nothing; 4: something.
    """
    from syncengine.cli import documents, render
    from syncengine.engine.report import Exit

    invocation = Invocation.of(context)
    output = invocation.output()
    with invocation.app(read_only_state=True) as engine:
        _known_pair(engine, pair)
        entries = engine.desk.conflicts(pair)
        if json:
            output.json({"conflicts": [documents.conflict(entry) for entry in entries]})
        elif entries:
            output.table(render.conflicts(entries))
            output.line("More about one: syncengine conflicts show ID")
        else:
            output.line("Nothing waits for an answer.")
        output.flush()
    return int(Exit.PARTIAL if entries else Exit.DONE)


@app.command()
def show(context: typer.Context, number: Number, json: Json = False) -> int:
    """Show one question with all its values."""
    from syncengine.cli import documents, render

    invocation = Invocation.of(context)
    output = invocation.output()
    with invocation.app(read_only_state=True) as engine:
        entry = _entry(engine, number)
        if json:
            output.json(documents.conflict(entry))
        else:
            spec = engine.config.pairs.get(entry.pair)
            called = {"left": str(spec.left), "right": str(spec.right)} if spec else {"left": "left", "right": "right"}
            output.lines(render.conflict(entry, called))
        output.flush()
    return 0


@app.command()
def resolve(
    context: typer.Context,
    number: Number,
    choice: Annotated[
        Choice | None,
        typer.Argument(metavar="left|right|apart", help="The left value, the right one, or let them differ from now on."),
    ] = None,
    value: Annotated[str | None, typer.Option("--value", metavar="TEXT", help="Another value, for both sides.")] = None,
) -> int:
    """Answer a question; the next sync acts on it."""
    if (choice is None) == (value is None):
        raise typer.BadParameter("say left, right or apart, or give a value with --value")
    invocation = Invocation.of(context)
    output = invocation.output()
    with invocation.app() as engine:
        entry = _entry(engine, number)
        engine.desk.resolve(number, "value" if choice is None else choice.value, value)
        output.line(f"Noted. To act on it now: syncengine sync {entry.pair}")
        output.flush()
    return 0


def _entry(engine: App, number: int) -> InboxEntry:
    from syncengine.errors import SyncError

    for entry in engine.desk.conflicts():
        if entry.id == number:
            return entry
    msg = f"no question with the number {number} waits; see: syncengine conflicts list"
    raise SyncError(msg)


def _known_pair(engine: App, pair: str | None) -> None:
    """A misspelt pair is an error, not an empty list."""
    if pair is not None:
        engine.specs(pair)
