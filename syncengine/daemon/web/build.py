"""
The web application of the daemon, put together.

    Shell (headers, every error a plain page) -> routes of machines, which prove themselves
                                              -> Guard (who may come in) -> pages and forms
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from syncengine.config import DaemonConfig
from syncengine.daemon.board import Board
from syncengine.daemon.web.answers import Answers, Door
from syncengine.daemon.web.desks import Desks
from syncengine.daemon.web.guard import Guard
from syncengine.daemon.web.pages import Pages, not_found
from syncengine.daemon.web.render import Renderer
from syncengine.daemon.web.sessions import Attempts, Sessions
from syncengine.daemon.web.visit import VISIT, Wrong
from syncengine.engine.ports import Clock, Tokens
from syncengine.errors import StateError, SyncError
from syncengine.wording import harmless

HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    # Not no-referrer: with that, browsers send our own forms with `Origin: null`, which is how a stranger's look.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "no-store",
}


def build(
    board: Board,
    desk: Desks,
    settings: DaemonConfig,
    *,
    clock: Clock,
    tokens: Tokens,
    routes: Sequence[BaseRoute] = (),
    guarded: Sequence[BaseRoute] = (),
    secret: str | None = None,
) -> ASGIApp:
    """
    The ASGI application that shows `board` and `desk`, and lets people answer.

    `routes` are those of machines, which prove themselves (hooks, events, health): no login, no Host check. `guarded` ones stand
    behind the same door as the pages. `secret` signs the forms where no token is set; without one it is made anew, which spends
    the forms of open pages. The server must hand over the peer's own address (uvicorn: `proxy_headers=False`).
    """
    renderer = Renderer(clock)
    sessions = Sessions(settings.token or secret, clock, tokens)
    pages = Pages(board, desk, renderer, stale_after=settings.alerts.stale_after)
    answers = Answers(board, desk, renderer, pages)
    inner = _Inner()
    guard = Guard(inner, settings, sessions, Attempts(clock), renderer)
    door = Door(guard, sessions, renderer, takes_token=settings.token is not None)
    own = [
        Route("/", pages.overview),
        Route("/static/{name}", pages.static),
        Route("/login", door.show),
        Route("/login", door.enter, methods=["POST"]),
        Route("/logout", door.leave, methods=["POST"]),
        Route("/pairs/{pair:path}", pages.pair),
        Route("/pairs/{pair:path}", answers.run, methods=["POST"]),
        Route("/runs/{run}", pages.run),
        Route("/runs/{run}/approve", answers.approve, methods=["POST"]),
        Route("/runs/{run}/refuse", answers.refuse, methods=["POST"]),
        Route("/inbox", pages.inbox),
        Route("/inbox/{entry}", answers.resolve, methods=["POST"]),
        Route("/quarantine", pages.quarantine),
        Route("/quarantine/release", answers.release, methods=["POST"]),
    ]
    inner.router = Router([*guarded, *own], redirect_slashes=False, default=_nowhere)
    return Shell(Router(list(routes), redirect_slashes=False, default=guard), renderer)


class _Inner:
    """The pages' router; naming itself the app makes Starlette raise for a wrong method, so that it gets a page too."""

    router: Router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.router({**scope, "app": self}, receive, send)


async def _nowhere(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise not_found()


class Shell:
    """Gives every answer its headers, and turns every error into a page that says what to do, and nothing else."""

    def __init__(self, app: Router, renderer: Renderer) -> None:
        self._app = app
        self._renderer = renderer
        self._log = structlog.get_logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_begun = False

        async def sending(message: Message) -> None:
            nonlocal is_begun
            if message["type"] == "http.response.start":
                is_begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - whoever asks gets a page, whatever happened
            wrong = self._explain(error)
            if not is_begun:
                await self._page(Request(scope), wrong)(scope, receive, sending)

    def _explain(self, error: Exception) -> Wrong:
        match error:
            case Wrong():
                return error
            case HTTPException(status_code=405):
                return Wrong(405, "Not possible here", "This address does not take that kind of request.", headers=error.headers)
            case HTTPException(status_code=status) if status < HTTPStatus.INTERNAL_SERVER_ERROR:
                return Wrong(status, HTTPStatus(status).phrase, "The request cannot be answered as it is.", headers=error.headers)
            case StateError():
                self._log.error("page.failed", error=str(error))
                return Wrong(503, "The state cannot be used", harmless(str(error)))
            case SyncError():
                return Wrong(409, "Nothing was changed", harmless(str(error)))
            case _:
                # Its message may quote a value, so the log gets the place instead.
                self._log.error("page.failed", kind=type(error).__name__, place=_place(error))
                text = "This is a bug in syncengine. The daemon goes on; what happened is in its log."
                return Wrong(500, "Something went wrong here", text)

    def _page(self, request: Request, wrong: Wrong) -> Response:
        if request.headers.get("hx-request") == "true":
            headers = {**wrong.headers, "hx-retarget": "#notices", "hx-reswap": "innerHTML"}
            answer = self._renderer.page("_notice.html", None, status=wrong.status, wrong=wrong)
        elif "text/html" in request.headers.get("accept", ""):
            headers = wrong.headers
            is_in = VISIT in request.scope
            answer = self._renderer.page("error.html", None, status=wrong.status, wrong=wrong, is_in=is_in)
        else:
            headers = wrong.headers
            answer = PlainTextResponse(f"{wrong.title}. {wrong.text}\n", status_code=wrong.status)
        answer.headers.update(headers)
        return answer


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
