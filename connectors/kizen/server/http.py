"""
From ASGI to the handlers: a request as a value, an answer as a value, and the check of the three headers (section 1).

Handlers are plain functions `(Api, Call) -> Reply`, so that a request which lost its caller can still be run later.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import parse_qsl, urlencode

import orjson
from starlette.types import Receive, Scope, Send

from connectors.kizen.server.bulk import settle
from connectors.kizen.server.errors import ApiError, HtmlError, detail, invalid_key
from connectors.kizen.server.metadata import ObjectType, Record
from connectors.kizen.server.records import check_visible
from connectors.kizen.server.search import Searcher
from connectors.kizen.server.values import is_uuid
from connectors.kizen.server.world import World

MAX_BODY: Final = 50 * 1024 * 1024
JSON: Final = b"application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The three values that every call carries in its headers."""

    api_key: str = field(repr=False)
    business_id: str
    user_id: str

    @property
    def headers(self) -> dict[str, str]:
        """As they go out: `X-API-KEY`, `X-BUSINESS-ID`, `X-USER-ID`."""
        return {"X-API-KEY": self.api_key, "X-BUSINESS-ID": self.business_id, "X-USER-ID": self.user_id}


@dataclass(frozen=True, slots=True)
class Api:
    """What handlers work on."""

    world: World
    searcher: Searcher
    credentials: Credentials

    def object(self, identifier: str, *, uuid_only: bool = False) -> ObjectType:
        """The object of a path, by UUID or api_name; the schema-writing routes know UUIDs only (section 2.1)."""
        if uuid_only and not is_uuid(identifier):
            raise HtmlError(404)
        obj = self.world.find_object(identifier)
        if obj is None or not obj.visible:
            raise detail(404, "not_found", "Not found.")
        return obj

    def record(self, obj: ObjectType, record_id: str) -> Record:
        """The live, visible record of a path. An id that is no UUID is a wrong path (section 5.1)."""
        if not is_uuid(record_id):
            raise HtmlError(404)
        return check_visible(obj.records.get(record_id.lower()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, body read and undecoded."""

    method: str
    base: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    content_type: str

    def json(self) -> Mapping[str, Any]:
        """The body as an object; nothing at all is an empty object. Unknown keys are the caller's affair (section 2.3)."""
        if not self.body:
            return {}
        if not self.content_type.startswith("application/json"):
            raise detail(415, "unsupported_media_type", f'Unsupported media type "{self.content_type}" in request.')
        try:
            document = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise detail(400, "parse_error", f"JSON parse error - {error}") from error
        if not isinstance(document, dict):
            raise invalid_key("non_field_errors", "invalid", "Invalid data. Expected a dictionary.")
        return document

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean of the query string."""
        return self.query[name].lower() in {"true", "1", "yes"} if name in self.query else default

    def address(self, page: int) -> str:
        """The absolute URL of another page of this list (section 2.2)."""
        return f"{self.base}{self.path}?{urlencode({**self.query, 'page': str(page)})}"


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes out; None is an empty body."""

    status: int
    body: object = None


Handler = Callable[[Api, Call], Reply]


@dataclass(frozen=True, slots=True)
class Action:
    """One method of one path: its name in the request log, its handler, and whether it asks for a change of records."""

    name: str
    handler: Handler
    write: bool = False


@dataclass(slots=True)
class Note:
    """What the endpoint tells the gateway about the request it has just served."""

    action: str = ""
    object: str = ""
    write: bool = False
    changed: int = 0


HTML_PAGES: Final[Mapping[int, bytes]] = {
    404: b"<!doctype html>\n<html lang=en><title>Not Found</title>\n<h1>Not Found</h1>"
    b"<p>The requested resource was not found on this server.</p>\n",
    500: b"<!doctype html>\n<html lang=en><title>Server Error (500)</title>\n<h1>Server Error (500)</h1>\n",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An ASGI application for one path: checks the headers, holds the lock, runs the handler, answers."""

    api: Api
    actions: Mapping[str, Action]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI signature
        body = cast("bytes", scope["records.body"])
        note = cast("Note", scope["records.note"])
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        base = self.api.world.switches.next_base or f"{scope['scheme']}://{headers.get('host', 'localhost')}"
        call = Call(
            method=scope["method"],
            base=base,
            path=scope["path"],
            params=scope["path_params"],
            query=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            body=body,
            content_type=headers.get("content-type", ""),
        )
        action = self.actions.get(call.method)
        note.action = "" if action is None else action.name
        note.write = action is not None and action.write
        note.object = call.params.get("object", "")
        late = scope.get("records.late")
        if late is not None:
            with self.api.world.lock:
                due = self.api.world.now() + int(late * 1_000_000)
                self.api.world.defer(due, lambda: self._lost(call, action, headers))
            return
        reply = self.answer(call, action, headers, note)
        if isinstance(reply.body, bytes):
            payload, kind = reply.body, b"text/html; charset=utf-8"
        else:
            scope["records.reply"] = reply.body
            payload, kind = (b"" if reply.body is None else orjson.dumps(reply.body)), JSON
        length = str(len(payload)).encode()
        sent = [(b"content-type", kind), (b"content-length", length)] if reply.status != 204 else []
        await send({"type": "http.response.start", "status": reply.status, "headers": sent})
        await send({"type": "http.response.body", "body": payload})

    def answer(self, call: Call, action: Action | None, headers: Mapping[str, str], note: Note) -> Reply:
        """Run the handler under the lock; what it changed is durable before this returns."""
        world = self.api.world
        with world.lock:
            settle(world)
            world.changed.clear()
            reply = self._run(call, action, headers, note)
            note.changed = len(world.changed)
            settle(world)
            world.commit()
            return reply

    def _lost(self, call: Call, action: Action | None, headers: Mapping[str, str]) -> None:
        self._run(call, action, headers, Note())

    def _run(self, call: Call, action: Action | None, headers: Mapping[str, str], note: Note) -> Reply:
        try:
            self._authenticate(headers)
            if action is None:
                return Reply(405, {"detail": f'Method "{call.method}" not allowed.', "code": "method_not_allowed"})
            obj = self.api.world.find_object(note.object)
            note.object = note.object if obj is None else obj.name
            return action.handler(self.api, call)
        except ApiError as error:
            return Reply(error.status, error.body)
        except HtmlError as error:
            return Reply(error.status, HTML_PAGES[error.status])

    def _authenticate(self, headers: Mapping[str, str]) -> None:
        # The exact body of a 401 is not documented (section 15.12); this is the shape of every single error.
        for name, value in self.api.credentials.headers.items():
            given = headers.get(name.lower())
            if given is None:
                raise detail(401, "not_authenticated", "Authentication credentials were not provided.")
            if not hmac.compare_digest(given.encode(), value.encode()):
                raise detail(401, "authentication_failed", "Invalid API key, business or user.")
        if not self.api.world.switches.api_keys_allowed:
            raise detail(403, "permission_required", "This user may not use API keys.")
