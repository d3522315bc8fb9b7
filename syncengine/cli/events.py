"""`events`: what was sent to the daemon, and the events that were refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from syncengine.cli.context import Invocation
from syncengine.cli.run import Json

if TYPE_CHECKING:
    from syncengine.cli.text import Line
    from syncengine.daemon.eventdesk import EventDesk
    from syncengine.store.events import EventRow

app = typer.Typer(
    help="List, show, retry and drop events that were sent.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)

System = Annotated[str | None, typer.Argument(metavar="[SYSTEM]", help="Only those of this system.")]
Numbers = Annotated[list[int], typer.Argument(metavar="EVENT...", help="What `events list --refused` shows in its first column.")]


@contextmanager
def _desk(invocation: Invocation, *, read_only_state: bool = False) -> Iterator[EventDesk]:
    from syncengine.daemon.eventdesk import EventDesk
    from syncengine.engine.ports import SystemClock

    registry = invocation.registry()
    with invocation.app(read_only_state=read_only_state) as engine:
        yield EventDesk(engine.config, registry, engine.store, SystemClock())


@app.command("list")
def list_(
    context: typer.Context,
    system: System = None,
    refused: Annotated[bool, typer.Option("--refused", help="Only those that were refused.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many, the latest first.")] = 50,
    json: Json = False,
) -> int:
    """
    List the latest events, and what became of them.

    Exit code 0: none of them was refused; 4: one was.
    """
    from syncengine.cli.text import Table, plain
    from syncengine.engine.report import Exit
    from syncengine.store.events import EventStatus
    from syncengine.wording import harmless

    invocation = Invocation.of(context)
    output = invocation.output()
    with _desk(invocation, read_only_state=True) as desk:
        rows = desk.events(system, refused=refused, limit=limit)
        if json:
            output.json({"events": [_document(row) for row in rows]})
        elif rows:
            columns = ("event", "system", "received", "outcome", "record, or why it was refused")
            cells = [
                [str(row.number), plain(row.system), _when(row), row.status.value, harmless(row.why) or plain(row.record or "")]
                for row in rows
            ]
            output.table(Table(columns=columns, rows=cells))
        else:
            output.line("No event was refused." if refused else "No event was sent yet.")
        output.flush()
    return int(Exit.PARTIAL if any(row.status is EventStatus.REFUSED for row in rows) else Exit.DONE)


@app.command()
def show(
    context: typer.Context,
    event: Annotated[int, typer.Argument(metavar="EVENT", help="What `events list` shows in its first column.")],
    json: Json = False,
) -> int:
    """Show an event: the fields that it named, or the body of a refused one as it came."""
    invocation = Invocation.of(context)
    output = invocation.output()
    with _desk(invocation, read_only_state=True) as desk:
        row = desk.event(event)
        if json:
            output.json(_document(row) | {"fields": row.fields, "body": _body(row)})
        else:
            output.lines(_shown(row))
        output.flush()
    return 0


@app.command()
def retry(context: typer.Context, events: Numbers, json: Json = False) -> int:
    """
    Look at refused events again, as the config is now; the next run syncs those that are good.

    Exit code 0: all were accepted; 4: one is still bad.
    """
    from syncengine.cli.text import plain
    from syncengine.engine.report import Exit
    from syncengine.wording import harmless

    invocation = Invocation.of(context)
    output = invocation.output()
    with _desk(invocation) as desk:
        retried = desk.retry(events)
        if json:
            output.json({"events": [{"event": each.number, "record": each.record, "why": each.why} for each in retried]})
        for each in retried if not json else []:
            became = f"still bad: {harmless(each.why)}" if each.record is None else f"accepted for {plain(each.record)}"
            output.line(f"Event {each.number}: {became}")
        output.flush()
    return int(Exit.PARTIAL if any(each.record is None for each in retried) else Exit.DONE)


@app.command()
def drop(context: typer.Context, events: Numbers) -> int:
    """Forget refused events for good."""
    from syncengine.cli.text import counted

    invocation = Invocation.of(context)
    output = invocation.output()
    with _desk(invocation) as desk:
        desk.drop(events)
        output.line(f"Dropped {counted(len(events), 'event')}.")
        output.flush()
    return 0


def _when(row: EventRow) -> str:
    from datetime import UTC, datetime

    from syncengine.cli.render import age

    return age(datetime.fromtimestamp(row.received_at, UTC))


def _document(row: EventRow) -> dict[str, object]:
    from datetime import UTC, datetime

    return {
        "event": row.number,
        "system": row.system,
        "id": row.event,
        "received_at": datetime.fromtimestamp(row.received_at, UTC),
        "outcome": row.status.value,
        "record": row.record,
        "why": row.why,
    }


def _body(row: EventRow) -> str | None:
    return None if row.body is None else row.body.decode("utf-8", "backslashreplace")


def _shown(row: EventRow) -> Iterator[Line]:
    from syncengine.cli.text import Style, plain, shown
    from syncengine.wording import harmless

    yield [(f"event {row.number}", Style.STRONG), f"  {plain(row.system)}  {_when(row)}  {row.status.value}"]
    if row.event is not None:
        yield [f"  id: {plain(row.event)}"]
    if row.record is not None:
        yield [f"  record: {plain(row.record)}"]
    for name, value in (row.fields or {}).items():
        yield [f"  {plain(name)}: {shown(value)}"]
    if row.why:
        yield [("  refused: ", Style.BAD), harmless(row.why)]
    body = _body(row)
    if body is not None:
        yield ["  body:"]
        for line in body.splitlines():
            yield [f"    {harmless(line)}"]
        yield [f"  next: syncengine events retry {row.number}, or: syncengine events drop {row.number}"]
