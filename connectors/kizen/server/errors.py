"""Refusals in the platform's words: status, body and code (records-api.md section 2.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal


class ApiError(Exception):
    """A request is refused: `status` and the JSON `body` that goes out. Nothing was written."""

    def __init__(self, status: int, body: object) -> None:
        self.status = status
        self.body = body
        super().__init__(f"{status}: {body!r}")


class HtmlError(Exception):
    """The platform answers with an HTML page: a wrong path (404), or a bad schema call that it does not survive (500)."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(str(status))


class ValueRefused(Exception):
    """One value does not fit its field; becomes one entry of the positional envelope."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


def detail(status: int, code: str, message: str) -> ApiError:
    """The shape of a single error: `{"detail", "code"}`."""
    return ApiError(status, {"detail": message, "code": code})


def not_found() -> ApiError:
    """What is absent, archived, or not visible to this user: the three are not told apart."""
    return detail(404, "not_found", "Not found.")


def invalid_key(key: str, code: str, message: str) -> ApiError:
    """One key of the body is wrong: `{"<key>": [{"message", "code"}]}`."""
    return ApiError(400, {key: [{"message": message, "code": code}]})


def positional(
    status: int,
    entries: Sequence[Mapping[str, tuple[str, str]]],
    general: Sequence[tuple[str, str]] = (),
    *,
    form: Literal["coded", "plain"],
) -> ApiError:
    """
    The envelope of record writes: entry n speaks of entry n of the `fields` sent, `{}` is accepted.

    `entries` map a key (`value`, `name`, `id`) to (code, message); `form` decides whether codes are shown.
    """

    def item(code: str, message: str) -> Any:
        return {"message": message, "code": code} if form == "coded" else message

    return ApiError(
        status,
        {
            "non_field_errors": [item(*one) for one in general],
            "fields": [{key: [item(*problem)] for key, problem in entry.items()} for entry in entries],
        },
    )
