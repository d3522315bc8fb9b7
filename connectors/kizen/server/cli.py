"""`records-server`: the local Records API as a process of its own."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from connectors.kizen.server.switches import describe

_USAGE = 2


def _say(text: str) -> None:
    typer.echo(text)


def _list_switches(wanted: bool) -> None:
    if wanted:
        for one in describe():
            _say(f"{one.name:24} {'|'.join(one.values):28} default {one.default or 'empty':12} {one.meaning} ({one.source})")
        raise typer.Exit


def records_server(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8070,
    api_key: Annotated[str, typer.Option(help="X-API-KEY that callers send; made up if left out.")] = "",
    business_id: Annotated[str, typer.Option(help="X-BUSINESS-ID (a UUID); made up if left out.")] = "",
    user_id: Annotated[str, typer.Option(help="X-USER-ID (a UUID); made up if left out.")] = "",
    state: Annotated[Path | None, typer.Option(help="SQLite file that keeps everything; without it memory only.")] = None,
    data: Annotated[Path | None, typer.Option(help="JSON document to start with, if the state is new.")] = None,
    people: Annotated[int, typer.Option(min=0, help="Generated contacts to start with, if the state is new.")] = 0,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="SWITCH=VALUE", help="Set a switch; repeatable.")] = None,
    rate: Annotated[float, typer.Option(min=0, help="Requests a second; above it 429. 0 is no limit.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of ids, generated people and chances.")] = 0,
    control: Annotated[bool, typer.Option("--control", help="Open /_control for faults, switches and edits.")] = False,
    switches: Annotated[  # noqa: ARG001 - its callback has answered and left
        bool, typer.Option("--switches", is_eager=True, callback=_list_switches, help="List all switches and exit.")
    ] = False,
) -> None:
    """Run a local server that behaves like the Records API, to try, test and develop without an account."""
    # Loaded here: a command line that only shows its help has no use for a web server.
    from connectors.kizen.server.http import Credentials
    from connectors.kizen.server.run import RecordsServer
    from connectors.kizen.server.storage import StateUnusable

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    chosen = {}
    for pair in set_ or []:
        name, equals, value = pair.partition("=")
        if not equals:
            _fail(f"--set takes SWITCH=VALUE, not {pair!r}")
        chosen[name] = value
    given = (api_key, business_id, user_id)
    if any(given) and not all(given):
        _fail("--api-key, --business-id and --user-id go together")
    credentials = Credentials(api_key=api_key, business_id=business_id, user_id=user_id) if all(given) else None
    try:
        server = RecordsServer(
            host=host,
            port=port,
            credentials=credentials,
            state=state,
            data=data,
            people=people,
            switches=chosen,
            rate=rate,
            seed=seed,
            control=control,
        )
        server.bind()
    except (ValueError, StateUnusable, OSError) as error:
        _fail(str(error))
    _say(f"url          {server.url}")
    _say(f"page         {server.page_url}/")
    _say(f"api_key      {server.credentials.api_key}")
    _say(f"business_id  {server.credentials.business_id}")
    _say(f"user_id      {server.credentials.user_id}")
    server.serve(lambda: _say("ready"))


def _leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a signal handler
    # Uvicorn raises the signal again when it has stopped; to be told to stop is no failure.
    raise SystemExit(0)


def _fail(message: str) -> None:
    typer.echo(message, err=True)
    raise typer.Exit(_USAGE)


app = typer.Typer(add_completion=False)
app.command(name="records-server")(records_server)


def main() -> None:
    """Entry point of `python -m connectors.kizen.server`."""
    app()
