"""A small page for people: the objects, the records of one, the request log. Works without JavaScript; reads only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import jinja2
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute, Route

from connectors.kizen.server import ui
from connectors.kizen.server.bulk import settle
from connectors.kizen.server.http import Api
from connectors.kizen.server.log import RequestLog
from connectors.kizen.server.metadata import CONTACTS, ObjectType, Record
from connectors.kizen.server.readers import display_name

_ROWS: Final = 20
_LOGGED: Final = 60
_LAST_COLUMNS: Final = ("updated", "created")
_SKIPPED: Final = ("display_name", "full_name")


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))


def page_routes(api: Api, log: RequestLog) -> list[BaseRoute]:
    """The route of the page."""

    async def show(request: HttpRequest) -> HTMLResponse:
        query = dict(parse_qsl(request.url.query))
        with api.world.lock:
            settle(api.world)
            api.world.commit()
            html = _template().render(_content(api, log, query))
        return HTMLResponse(html)

    return [Route("/", show)]


def _content(api: Api, log: RequestLog, query: Mapping[str, str]) -> dict[str, Any]:
    world = api.world
    objects = sorted(world.objects.values(), key=lambda one: (one.name != CONTACTS, one.object_name))
    obj = world.find_object(query.get("object", "")) or objects[0]
    archived = query.get("archived") == "1"
    wanted = query.get("search", "").strip().casefold()
    rows = [
        record
        for record in obj.records.values()
        if record.archived is archived and (not wanted or wanted in _text(api, obj, record))
    ]
    rows.sort(key=lambda record: record.updated, reverse=True)
    last = max(1, -(-len(rows) // _ROWS))
    number = min(max(1, int(query["page"])), last) if query.get("page", "").isdecimal() else 1
    shown = [ui.plain(world, obj, record) for record in rows[(number - 1) * _ROWS : number * _ROWS]]
    present = {name for row in shown for name in row}
    columns = [one for one in obj.fields.values() if one.name in present and one.name not in (*_LAST_COLUMNS, *_SKIPPED)]
    columns += [obj.by_name[name] for name in _LAST_COLUMNS]

    watching = query.get("watch") == "1"
    flags = {"archived": "1" if archived else "", "watch": "1" if watching else ""}

    def address(**changes: object) -> str:
        kept = {"object": obj.name, "search": query.get("search", ""), **flags, **changes}
        return "?" + urlencode({key: value for key, value in kept.items() if value})

    return {
        "business": world.business,
        "objects": [
            {
                "name": one.name,
                "label": one.object_name,
                "count": sum(not record.archived for record in one.records.values()),
                "current": one is obj,
                "href": address(object=one.name, search="", archived=""),
            }
            for one in objects
        ],
        "object": obj,
        "columns": columns,
        "rows": [[_cell(api, row.get(one.name)) for one in columns] for row in shown],
        "total": len(rows),
        "number": number,
        "last": last,
        "previous": address(page=number - 1) if number > 1 else "",
        "next": address(page=number + 1) if number < last else "",
        "archived": archived,
        "toggle": address(archived="" if archived else "1"),
        "watching": watching,
        "watch": address(page=number if number > 1 else "", watch="" if watching else "1"),
        "search": query.get("search", ""),
        "requests": [(one, one.at.astimezone(world.zone)) for one in islice(reversed(list(log)), _LOGGED)],
        "request_total": log.total,
        "write_total": len(log.writes()),
    }


def _text(api: Api, obj: ObjectType, record: Record) -> str:
    return " ".join(str(value) for value in ui.plain(api.world, obj, record).values()).casefold()


def _cell(api: Api, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(_cell(api, one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dt.datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, Mapping):
        return str(value.get("name", value.get("id", "")))
    record = api.world.record(value)
    return str(value) if record is None else display_name(api.world, record)
