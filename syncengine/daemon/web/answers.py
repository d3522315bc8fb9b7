"""What people do on the pages: sign in and out, ask for a run, answer, approve or refuse, release."""

from __future__ import annotations

import re
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from syncengine.daemon.board import Board
from syncengine.daemon.web.desks import Desks
from syncengine.daemon.web.guard import Guard
from syncengine.daemon.web.pages import Pages, not_found, path_number
from syncengine.daemon.web.render import Renderer
from syncengine.daemon.web.sessions import Sessions
from syncengine.daemon.web.visit import Wrong, visit_of
from syncengine.errors import StateError, SyncError

_LONGEST_VALUE = 10_000
_CHOICES = frozenset({"left", "right", "apart", "value"})
_OVER = "This run waits for no answer any more: it was approved, it was refused, or a week has passed."
_OWN_PATH = re.compile(r"/(?![/\\])[^\\\s\x00-\x1f]*")


class Answers:
    """Each method is an endpoint of a form; the guard has proved that the form is ours."""

    def __init__(self, board: Board, desk: Desks, renderer: Renderer, pages: Pages) -> None:
        self._board = board
        self._desk = desk
        self._renderer = renderer
        self._pages = pages

    def run(self, request: Request) -> Response:
        """Run a pair now."""
        pair = request.path_params["pair"]
        self._ask_run(pair)
        return _go("/" if visit_of(request).posted("back") == "overview" else f"/pairs/{quote(pair, safe='')}")

    def _ask_run(self, pair: str, *, approve: str | None = None) -> None:
        try:
            self._board.ask_run(pair, approve=approve)
        except StateError:
            raise
        except SyncError:
            raise not_found("There is no pair of this name in the config.") from None

    def approve(self, request: Request) -> Response:
        """Let pass what a refused run showed; the engine holds it against what there is to do by then."""
        number, refusal = path_number(request, "run"), None
        with self._desk() as desk:
            if desk.has_run(number):
                refusal = desk.refusal(number, limit=0)
        if refusal is None or not refusal.waits or refusal.approval != visit_of(request).posted("approval"):
            raise Wrong(409, "Nothing to approve", f"{_OVER} Run the pair again.")
        self._ask_run(refusal.pair, approve=refusal.approval)
        return _go(f"/pairs/{quote(refusal.pair, safe='')}")

    def refuse(self, request: Request) -> Response:
        """Say no to a refused run."""
        number = path_number(request, "run")
        with self._desk() as desk:
            refusal = desk.refusal(number, limit=0) if desk.has_run(number) else None
            if refusal is None or not refusal.waits:
                raise Wrong(409, "Nothing to refuse", _OVER)
            desk.refuse(number)
        return _go(f"/runs/{number}")

    def resolve(self, request: Request) -> Response:
        """Answer a question."""
        number, visit = path_number(request, "entry"), visit_of(request)
        choice, value = visit.posted("choice"), visit.posted("value")
        if choice not in _CHOICES:
            raise Wrong(400, "No such answer", "Press one of the buttons of the question.")
        if choice == "value" and not value:
            raise Wrong(422, "No value", "Type the value first, then press the button beside it.")
        if len(value) > _LONGEST_VALUE:
            raise Wrong(422, "Too long", f"A value typed here may have {_LONGEST_VALUE:,} characters.")
        with self._desk() as desk:
            try:
                before = desk.question(number)
            except StateError:
                raise
            except SyncError:
                raise Wrong(404, "Not waiting any more", "This question is settled. The inbox shows what waits.") from None
            if visit.posted("mark") != before.mark:
                text = "The question has changed since it was shown. Load the page anew, and answer what it asks now."
                raise Wrong(409, "Nothing was changed", text)
            try:
                desk.resolve(number, choice, value if choice == "value" else None, mark=before.mark)
            except StateError:
                raise
            except SyncError as error:
                raise Wrong(409, "Nothing was changed", f"{error}") from None
            after = next((entry for entry in desk.some_conflicts(after=number - 1, limit=1) if entry.id == number), None)
            asked = self._pages.question(desk, after or before)
            frame = self._pages.frame(desk)
        if visit.is_part:
            return self._renderer.page("_answered.html", visit, question=asked, is_settled=after is None, **frame)
        return _go(f"/inbox?noted={number}")

    def release(self, request: Request) -> Response:
        """Let parked records be tried again."""
        visit = visit_of(request)
        with self._desk() as desk:
            if visit.posted("all"):
                count = desk.release_all(visit.posted("all"))
            else:
                ids = list(visit.form.get("id", ()))
                try:
                    desk.release(ids)
                except StateError:
                    raise
                except SyncError:
                    text = "A record is not in quarantine any more: a run has tried it again, or somebody released it."
                    raise Wrong(409, "Nothing was changed", text) from None
                count = len(ids)
        return _go(f"/quarantine?released={count}")


class Door:
    """Signing in with the token, and out."""

    def __init__(self, guard: Guard, sessions: Sessions, renderer: Renderer, *, takes_token: bool) -> None:
        self._guard = guard
        self._sessions = sessions
        self._renderer = renderer
        self._takes_token = takes_token

    def show(self, request: Request) -> Response:
        """The page that asks for the token."""
        if not self._takes_token:
            return _go("/")
        return self._page(request, own_path(request.query_params.get("next")), wrong=False)

    def enter(self, request: Request) -> Response:
        """Show the token; a right one begins a new session, so that one known to others is worth nothing."""
        visit = visit_of(request)
        if not self._takes_token:
            return _go("/")
        then = own_path(visit.posted("next"))
        if not self._guard.try_token(request, visit.posted("token").strip()):
            return self._page(request, then, wrong=True)
        answer = _go(then)
        answer.headers["set-cookie"] = self._guard.set_cookie(request, self._sessions.start(signed_in=True))
        return answer

    def leave(self, request: Request) -> Response:
        """End the session of this browser."""
        answer = _go("/login")
        answer.headers["set-cookie"] = self._guard.drop_cookie(request)
        return answer

    def _page(self, request: Request, then: str, *, wrong: bool) -> Response:
        status = 401 if wrong else 200
        return self._renderer.page("login.html", visit_of(request), status=status, then=then, wrong=wrong)


def own_path(text: str | None) -> str:
    """A path of ours to go on to; the overview for anything that would lead elsewhere."""
    return text if text and _OWN_PATH.fullmatch(text) else "/"


def _go(path: str) -> Response:
    return RedirectResponse(path, status_code=303)
