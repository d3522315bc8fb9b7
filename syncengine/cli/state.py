"""`state`: care of the state file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncengine.cli.context import Invocation
from syncengine.cli.run import Json

if TYPE_CHECKING:
    from syncengine.cli.text import Line
    from syncengine.store.invariants import Finding

app = typer.Typer(
    help="Back up, check, compact, rebuild or adopt the state file.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


def _now() -> float:
    from syncengine.engine.ports import SystemClock

    return SystemClock().now()


@app.command()
def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new file; it must not be there yet.")],
) -> int:
    """Copy the state to a new file, also while a sync or the daemon is at work in it."""
    from syncengine.store import care

    invocation = Invocation.of(context)
    output = invocation.output()
    state = invocation.load().state
    care.backup(state, file, now=_now())
    output.line(f"The state {state} is backed up in {file}.")
    output.flush()
    return 0


@app.command()
def check(context: typer.Context, json: Json = False) -> int:
    """
    Check that the state is whole, the newest, in its place, and that its tables agree with each other; change nothing.

    Exit code 0: all is well; 1: something is not.
    """
    from syncengine.store import care
    from syncengine.store.invariants import Gravity

    invocation = Invocation.of(context)
    output = invocation.output()
    state = invocation.load().state
    findings = care.check(state, now=_now())
    broken = any(each.gravity is Gravity.FAULT for each in findings)
    if json:
        told = [{"gravity": each.gravity, "text": each.text, "cure": each.cure} for each in findings]
        output.json({"state": str(state), "findings": told, "exit": int(broken)})
    else:
        for each in findings:
            output.lines(_shown(each))
    output.flush()
    return int(broken)


def _shown(finding: Finding) -> list[Line]:
    from syncengine.cli.text import Style
    from syncengine.wording import harmless

    signs = {"fine": ("ok  ", Style.GOOD), "note": ("note", Style.CAUTION), "fault": ("FAIL", Style.BAD)}
    cure: list[Line] = [[f"      {harmless(finding.cure)}"]] if finding.cure else []
    return [[signs[finding.gravity.value], f"  {harmless(finding.text)}"], *cure]


@app.command()
def compact(
    context: typer.Context,
    keep: Annotated[
        str | None,
        typer.Option("--keep", metavar="TIME", help='How much to keep, such as "90 days"; default: `keep` of [daemon].'),
    ] = None,
    json: Json = False,
) -> int:
    """
    Let go of old journal, attic, runs, answered questions and events, and make the file smaller where that is worth it.

    What is open stays, whatever its age. Runs that went can no longer be looked at or undone.
    """
    from contextlib import closing

    from syncengine.cli.text import counted, joined
    from syncengine.errors import StateError
    from syncengine.store.compaction import compact
    from syncengine.store.store import Store

    invocation = Invocation.of(context)
    output = invocation.output()
    config = invocation.load()
    seconds = config.daemon.keep if keep is None else _seconds(keep)
    if not config.state.exists():
        msg = f"state file {config.state}: is not there; the first sync makes it"
        raise StateError(msg)
    now = _now()
    with closing(Store.open(config.state, now=now)) as store:
        done = compact(store.database, now=now, keep=seconds)
    if json:
        output.json({"removed": dict(done.removed), "before": done.before, "after": done.after, "why_not": done.why_not})
    else:
        went = joined((f"{count:,} {name}" for name, count in done.removed.items() if count), "nothing that is old enough")
        output.line(f"Removed: {went}.")
        output.line(f"The state has {counted(done.after, 'byte')} now, {counted(done.before, 'byte')} before.")
        if done.why_not:
            output.line(f"It could be smaller, but {done.why_not}.")
    output.flush()
    return 0


def _seconds(text: str) -> float:
    from pydantic_core import PydanticCustomError

    from syncengine.config.scalars import parse_duration

    try:
        return parse_duration(text)
    except PydanticCustomError as error:
        told = error.context or {}
        raise typer.BadParameter(f"{str(told['wrong']).replace('{value}', text)}: {told['cure']}", param_hint="--keep") from None


@app.command()
def rebuild(context: typer.Context) -> int:
    """
    Begin a new state in the place of a lost or broken one, which is kept beside it.

    The next sync links what belongs together again, by id where the old state can still be read, else by match key. It deletes
    nothing, and equal records cause no write.
    """
    from syncengine.cli.text import counted
    from syncengine.store import care

    invocation = Invocation.of(context)
    output = invocation.output()
    state = invocation.load().state
    rebuilt = care.rebuild(state, now=_now())
    output.line(f"The state {state} is new; the old one is kept as {rebuilt.old}.")
    if rebuilt.unread:
        output.line("Nothing could be taken over from it: records are linked again by their match keys.")
    else:
        output.line(f"{counted(rebuilt.links, 'link')} taken over by id.")
    if rebuilt.doubtful:
        doubtful = counted(rebuilt.doubtful, "write")
        output.line(f"{doubtful} of the old state had no proved outcome: look at both sides for duplicates before the next sync.")
    output.line("Next: syncengine plan")
    output.flush()
    return 0


@app.command()
def adopt(context: typer.Context) -> int:
    """Make a state that was moved here, with its original gone, the one to use."""
    from syncengine.store import care

    invocation = Invocation.of(context)
    output = invocation.output()
    state = invocation.load().state
    care.adopt(state, now=_now())
    output.line(f"The state {state} is the one to use from now on.")
    output.flush()
    return 0
