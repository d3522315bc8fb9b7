"""One request as the pages see it: who asks, and what was sent with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request

VISIT = "syncengine.visit"
"""Where the guard leaves the visit for the pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """
    A request that was let in. `form_token` is what its forms carry; `user` the name that a proxy gave, else empty; `form` what
    was posted; `may_leave`: there is a session that can be signed out of. `is_part`: only the changing part of a page is wanted.
    """

    form_token: str
    user: str = ""
    may_leave: bool = False
    is_part: bool = False
    form: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def posted(self, name: str) -> str:
        """The posted value of this name, empty where there is none."""
        values = self.form.get(name, ())
        return values[0] if values else ""


class Wrong(Exception):
    """Something that a page cannot do; shown as a page of its own. Never holds what was sent."""

    def __init__(self, status: int, title: str, text: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.text = text
        self.headers = dict(headers or {})


def visit_of(request: Request) -> Visit:
    """The visit that the guard let in."""
    visit: Visit = request.scope[VISIT]
    return visit
