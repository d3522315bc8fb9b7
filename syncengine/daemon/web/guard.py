"""
What stands before every page: who may come in, and what a change must carry.

    Host (against a name that was made to point here) -> who is it -> small body -> our own form -> the page

Whoever can reach the pages can change what is synced. On loopback that is every user of the machine, unless a token is set;
beyond it, it is who shows the token, or whom a trusted proxy names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

import anyio
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from syncengine.config import DaemonConfig
from syncengine.daemon.web.render import Renderer
from syncengine.daemon.web.sessions import LASTS, Attempts, Session, Sessions, same
from syncengine.daemon.web.visit import VISIT, Visit, Wrong

LARGEST_FORM: Final = 64 * 1024
_MOST_FIELDS: Final = 2000
_PATIENCE: Final = 20.0
"""Seconds until a form must have arrived."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
_OPEN = ("/static/", "/login")
"""What people may see before they are let in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Caller:
    """Who asks. `is_in`: may see the pages; `ambient`: known by what a browser sends along unasked, so forms must be ours."""

    session: Session
    is_new: bool
    is_in: bool
    ambient: bool = True
    user: str = ""


class Guard:
    """Lets in who may come in, and hands the pages a `Visit`."""

    def __init__(self, app: ASGIApp, settings: DaemonConfig, sessions: Sessions, attempts: Attempts, renderer: Renderer) -> None:
        self._app = app
        self._renderer = renderer
        self._settings = settings
        self._sessions = sessions
        self._attempts = attempts
        self._proxies = [ip_network(each, strict=False) for each in settings.trusted_proxies]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        _check_host(request, self._settings)
        caller = self._caller(request)
        if not caller.is_in and not scope["path"].startswith(_OPEN):
            await self._turn_away(request)(scope, receive, send)
            return
        visit = Visit(
            form_token=self._sessions.form_token(caller.session),
            user=caller.user,
            may_leave=caller.session.signed_in and self._settings.token is not None,
            is_part=request.headers.get("hx-request") == "true",
        )
        if request.method not in _SAFE:
            visit = replace(visit, form=await _form(request))
            if caller.ambient:
                self._check_form(request, visit, caller.session)
        scope[VISIT] = visit
        await self._app(scope, receive, self._with_cookie(request, caller, send))

    # Who it is

    def _caller(self, request: Request) -> _Caller:
        found = self._session(request, signed_in=True) or self._session(request, signed_in=False)
        session = found or self._sessions.start(signed_in=False)
        caller = _Caller(session=session, is_new=found is None, is_in=False)
        settings = self._settings
        if settings.token is not None and (shown := _bearer(request)) is not None:
            return replace(caller, is_in=self.try_token(request, shown), ambient=False)
        if settings.proxy_user_header is not None and self._is_proxy(request):
            user = request.headers.get(settings.proxy_user_header, "").strip()
            if user:
                return replace(caller, is_in=True, user=user)
        if settings.token is not None:
            return replace(caller, is_in=session.signed_in)
        if settings.proxy_user_header is not None or not settings.listen.is_loopback:
            return caller
        _check_direct(request)
        return replace(caller, is_in=True)

    def _session(self, request: Request, *, signed_in: bool) -> Session | None:
        session = self._sessions.read(request.cookies.get(_cookie_name(request, signed_in=signed_in)))
        return session if session is not None and session.signed_in is signed_in else None

    def try_token(self, request: Request, shown: str) -> bool:
        """Whether this is the token; raises Wrong where too many were wrong."""
        address = _address(request)
        if not self._attempts.may_try(address):
            text = "Too many wrong tokens came from your address. Wait a minute, then try again."
            raise Wrong(429, "Too many attempts", text, headers={"retry-after": "60"})
        is_right = self._settings.token is not None and same(shown, self._settings.token)
        if not is_right:
            self._attempts.note_failure(address)
        return is_right

    def _is_proxy(self, request: Request) -> bool:
        try:
            address = ip_address(_address(request))
        except ValueError:
            return False
        return any(address in network for network in self._proxies)

    def _turn_away(self, request: Request) -> Response:
        if self._settings.token is None:
            raise Wrong(
                403, "Not let in", "This page is reached through a proxy that says who you are, and it did not. Sign in there."
            )
        path: str = request.scope["path"]
        if request.method == "GET" and request.headers.get("hx-request") == "true":
            return Response(status_code=401, headers={"hx-redirect": "/login"})
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            if request.headers.get("sec-fetch-site") == "cross-site":
                # A link from elsewhere: the browser kept the session to itself. It shows it when our own page leads there.
                return self._renderer.page("again.html", None, path=path)
            return RedirectResponse("/login" if path == "/" else f"/login?next={quote(path, safe='/')}", status_code=303)
        text = "Sign in with the token that stands under [daemon] in the config, or send it as: Authorization: Bearer TOKEN"
        raise Wrong(401, "Not signed in", text, headers={"www-authenticate": "Bearer"})

    # What a change must carry

    def _check_form(self, request: Request, visit: Visit, session: Session) -> None:
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        if site not in (None, "same-origin", "none") or (origin is not None and not _is_own(origin, request)):
            raise Wrong(403, "Not from this page", "The request came from another site. Nothing was changed.")
        if not self._sessions.is_form_token(session, visit.posted("form")):
            text = (
                "The daemon was restarted, or you signed in again since. Load the page anew, and repeat it. Nothing was changed."
            )
            raise Wrong(403, "The form is too old", text)

    # The cookie

    def _with_cookie(self, request: Request, caller: _Caller, send: Send) -> Send:
        """A browser that has no session yet gets one with its first page, so that its forms can be told from others'."""
        if not caller.is_new or not caller.ambient:
            return send

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if "set-cookie" not in headers:
                    headers.append("set-cookie", self.set_cookie(request, caller.session))
            await send(message)

        return sending

    def set_cookie(self, request: Request, session: Session) -> str:
        """
        The header that gives a browser this session. The one that only tells forms apart is sent along links from elsewhere too,
        lest following one give the browser another, and spend the forms of its open pages.
        """
        name, site = _cookie_name(request, signed_in=session.signed_in), "Strict" if session.signed_in else "Lax"
        return self._cookie(request, name, self._sessions.cookie(session), LASTS, site)

    def drop_cookie(self, request: Request) -> str:
        """The header that takes away the session that was signed in."""
        return self._cookie(request, _cookie_name(request, signed_in=True), "", 0, "Strict")

    def _cookie(self, request: Request, name: str, value: str, age: int, site: str) -> str:
        secure = "; Secure" if self._is_https(request) else ""
        return f"{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite={site}{secure}"

    def _is_https(self, request: Request) -> bool:
        told = request.headers.get("x-forwarded-proto") if self._is_proxy(request) else None
        return (told or request.url.scheme) == "https"


def _cookie_name(request: Request, *, signed_in: bool) -> str:
    """Browsers share cookies between the ports of a host, where another daemon may live."""
    server = request.scope.get("server")
    return f"syncengine-{server[1] if server else 0}{'' if signed_in else '-form'}"


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else ""


def _bearer(request: Request) -> str | None:
    kind, _, shown = request.headers.get("authorization", "").partition(" ")
    return shown.strip() if kind.casefold() == "bearer" else None


def _check_direct(request: Request) -> None:
    """Loopback is no protection behind a proxy: whoever reaches the proxy would be let in."""
    if any(name in request.headers for name in _FORWARDED):
        text = (
            "The request came through a proxy, and nothing tells who may come in. Set token, or proxy_user_header and "
            "trusted_proxies, under [daemon] in the config."
        )
        raise Wrong(403, "Not let in", text)


def _check_host(request: Request, settings: DaemonConfig) -> None:
    """
    A site can make its own name point to this machine, and a visitor's browser then takes our pages for that site's. It cannot
    do so with a bare address, nor with the names that are ours.
    """
    name = _host_name(request.headers.get("host", ""))
    names = {"localhost", settings.listen.host, *settings.hosts}
    if name is not None and (name in {each.casefold() for each in names} or _is_address(name)):
        return
    text = 'This daemon does not go by the name it was called. If the name is yours, add it: hosts = ["..."] under [daemon].'
    raise Wrong(421, "Wrong name", text)


def _host_name(header: str) -> str | None:
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port
    except ValueError:
        return None
    if parts.netloc != header or parts.username is not None or parts.hostname is None:
        return None
    return parts.hostname.casefold().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_own(origin: str, request: Request) -> bool:
    """The scheme is left out: a proxy may speak https for us."""
    return _netloc(origin) == _without_default_port(request.headers.get("host", ""))


def _netloc(origin: str) -> str | None:
    """Host and port of an origin, None for what is none (such as `null`)."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return _without_default_port(parts.netloc) if parts.scheme in ("http", "https") and parts.netloc else None


def _without_default_port(netloc: str) -> str:
    return netloc.casefold().removesuffix(":80").removesuffix(":443")


async def _form(request: Request) -> Mapping[str, list[str]]:
    """What was posted; raises Wrong for anything but a small form that arrives soon."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().casefold()
    body = await _body(request)
    if body and kind != "application/x-www-form-urlencoded":
        raise Wrong(415, "Not a form", "This page takes what its own forms send, and nothing else.")
    try:
        return parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise Wrong(400, "Not a form", "What was sent cannot be read as a form.") from None


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        with anyio.fail_after(_PATIENCE):
            async for part in request.stream():
                body += part
                if len(body) > LARGEST_FORM:
                    raise Wrong(413, "Too large", f"A form may have {LARGEST_FORM // 1024} KiB. Nothing was changed.")
    except TimeoutError:
        raise Wrong(408, "Too slow", "The form did not arrive in time. Nothing was changed.") from None
    return bytes(body)
