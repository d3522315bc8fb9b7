"""`plan` and `sync`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from syncengine.cli.context import Invocation

if TYPE_CHECKING:
    from syncengine.app import App
    from syncengine.cli.output import Output
    from syncengine.engine.report import Exit, PlanReport, RunReport

_LINES_ON_A_TERMINAL = 60
_LINES_AFTER_A_RUN = 20

Pair = Annotated[str | None, typer.Argument(metavar="PAIR", help="Only this pair; else all of them.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def plan(
    context: typer.Context,
    pair: Pair = None,
    json: Json = False,
    all_: Annotated[bool, typer.Option("--all", help="Show every change, however many; in a pipe this is so anyway.")] = False,
) -> int:
    """
    Show what a sync would change, field by field, and write nothing.

    Exit code 0: nothing to do; 5: changes; 3: a guard would refuse them.
    """
    from syncengine.cli import documents

    invocation = Invocation.of(context)
    output = invocation.output()
    codes: list[Exit] = []
    with invocation.app(read_only_state=True) as app:
        reports = _plans(app, pair, codes)
        if json:
            output.json({"pairs": (documents.plan(report) for report in reports)})
        else:
            for report in reports:
                _show_plan(report, output, shorten=output.is_terminal and not all_)
        output.flush()
    return worst_of(codes)


def _plans(app: App, pair: str | None, codes: list[Exit]) -> Iterator[PlanReport]:
    """One plan at a time: its actions can only be told until the next one is made."""
    for spec in app.specs(pair):
        for report in app.plan(spec.name):
            codes.append(report.exit)
            yield report


def _show_plan(report: PlanReport, output: Output, *, shorten: bool) -> None:
    from syncengine.cli import render
    from syncengine.engine.words import names

    output.line(*render.heading(report.pair, report.left, report.right))
    called = names(report.left, report.right)
    lines = (line for entry in report.actions() for line in render.action(entry, called))
    output.lines(islice(lines, _LINES_ON_A_TERMINAL) if shorten else lines)
    rest = sum(1 for _ in lines) if shorten else 0
    if rest:
        output.line(f"{render.INDENT}... and {rest:,} lines more: syncengine plan {report.pair} --all")
    output.lines(render.plan(report))


def sync(
    context: typer.Context,
    pair: Pair = None,
    record: Annotated[
        list[str] | None, typer.Option("--record", metavar="KEY", help="Only the record with this key or id; may be repeated.")
    ] = None,
    approve: Annotated[
        str | None, typer.Option("--approve", metavar="HASH", help="Let pass what a refused run showed under this hash.")
    ] = None,
    json: Json = False,
) -> int:
    """
    Make both sides the same, once.

    Exit code 0: done and in sync; 4: done in part; 3: refused by a guard; 1: failed.
    """
    from syncengine.cli import documents

    invocation = Invocation.of(context)
    output = invocation.output()
    with invocation.app() as app:
        if record and pair is None and len(app.config.pairs) > 1:
            raise typer.BadParameter("--record needs the name of the pair when there are several")
        reports = app.sync(pair, records=record or (), approve=approve)
        if json:
            output.json({"pairs": [documents.run(report) for report in reports]})
        else:
            for report in reports:
                show_run(app, report, output)
        output.flush()
    return worst_of([report.exit for report in reports])


def show_run(app: App, report: RunReport, output: Output) -> None:
    from syncengine.cli import render
    from syncengine.engine.words import names

    output.line(*render.heading(report.pair, report.left, report.right))
    called = names(report.left, report.right)
    lines = (line for entry in app.desk.run(report.run).actions for line in render.action(entry, called))
    output.lines(islice(lines, _LINES_AFTER_A_RUN))
    if next(lines, None) is not None:
        output.line(f"{render.INDENT}... the rest: syncengine log {report.run}")
    output.lines(render.run(report))


def worst_of(codes: list[Exit]) -> int:
    from syncengine.engine.report import worst

    return int(worst(iter(codes)))
