"""The ASGI application: routes, the HTML 404 of wrong paths (section 1), the gateway before them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from connectors.kizen.server import api_account, api_records, api_schema
from connectors.kizen.server.faults import Faults
from connectors.kizen.server.gateway import Gateway, Sleep
from connectors.kizen.server.http import HTML_PAGES, Action, Api, Endpoint, Note
from connectors.kizen.server.log import RequestLog


async def _wrong_path(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    return Response(HTML_PAGES[404], 404, media_type="text/html")


def routes(api: Api, table: tuple[tuple[str, Mapping[str, Action]], ...]) -> list[BaseRoute]:
    """Starlette routes for a table of paths; every method reaches the endpoint, which answers 405 itself."""
    return [Route(path, Endpoint(api, actions)) for path, actions in table]


def _identify(table: Sequence[BaseRoute], scope: Scope) -> Note:
    """What a request would have been, for the log of those that never reach their endpoint."""
    for route in table:
        match, child = route.matches(scope)
        if match is Match.FULL and isinstance(route, Route) and isinstance(route.app, Endpoint):
            action = route.app.actions.get(scope["method"])
            name = child["path_params"].get("object", "")
            obj = route.app.api.world.find_object(name)
            return Note(
                action="" if action is None else action.name,
                object=name if obj is None else obj.name,
                write=action is not None and action.write,
            )
    return Note()


def application(
    api: Api, faults: Faults, log: RequestLog, *, extra: list[BaseRoute] | None = None, sleep: Sleep = asyncio.sleep
) -> Gateway:
    """Everything of sections 5 to 8 behind the gateway; `extra` routes (page, control) are served without headers' check."""
    table = [
        *routes(api, api_records.ROUTES),
        *routes(api, api_schema.ROUTES),
        *routes(api, api_account.ROUTES),
    ]
    app = Starlette(
        routes=[*table, *(extra or [])],
        exception_handlers={404: _wrong_path},
    )
    # The platform does not redirect a path with a slash at its end: it does not know it (section 1).
    app.router.redirect_slashes = False
    return Gateway(app, api.world, faults, log, partial(_identify, table), sleep)
