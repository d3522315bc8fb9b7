"""
What came back: the reply to a call, strict JSON, and the one table from status to error. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, Final

from syncengine.errors import (
    AuthError,
    ConnectorError,
    NotFound,
    OutcomeUnknown,
    ProtocolError,
    Rejected,
    TransientError,
    VersionConflict,
)

MAX_RETRY_AFTER: Final = 900.0


class Effect(Enum):
    """What a call does at the far side, whatever its method: a search by POST is a READ."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A definite answer: a success, or a refusal that says that nothing was done. `place` names the call for people."""

    effect: Effect
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    place: str

    @property
    def ok(self) -> bool:
        """Whether the call succeeded."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """
        The body of a success; floats are Decimal.

        Raises the classed error of a refusal. A success whose body is not JSON is a `ProtocolError` for a read and
        `OutcomeUnknown` for a write.
        """
        if not self.ok:
            raise self.error()
        try:
            return parse_json(self.body)
        except ValueError as error:
            raise self.nonsense(str(error)) from None

    def refusal(self) -> Any:
        """The body of a refusal, or None where it is not JSON (an error page)."""
        try:
            return parse_json(self.body)
        except ValueError:
            return None

    def error(self) -> ConnectorError:
        """The classed error of a refusal."""
        return status_error(self.effect, self.status, self.place)

    def nonsense(self, what: str) -> ConnectorError:
        """The error for a success that makes no sense: a write may well have happened."""
        if self.effect is Effect.WRITE:
            return OutcomeUnknown(f"{self.place} answered {self.status}, but {what}; whether it was applied must be looked up")
        return ProtocolError(f"{self.place} answered {self.status}, but {what}")


def status_error(effect: Effect, status: int, place: str, retry_after: float | None = None) -> ConnectorError:
    """The one table from status to error; `place` names the call. See reliability.md section 3.1."""
    said = f"{place} answered {status}"
    match effect, status:
        case _, 401:
            return AuthError(f"{said}: the credentials are refused; check the key and the ids that go with it")
        case _, 429:
            return TransientError(f"{said}: too many requests", retry_after=retry_after, throttled=True)
        case _, 425:
            return TransientError(f"{said}: too early", retry_after=retry_after)
        case Effect.WRITE, 403:
            return Rejected(f"{said}: this user may not do that to this record")
        case Effect.READ, 403:
            return AuthError(f"{said}: this user may not read that; ask for the permission")
        case _, 404 | 410:
            return NotFound(f"{said}: not there, or not visible to this user")
        case Effect.WRITE, 412 | 428:
            return VersionConflict(f"{said}: the record was changed since it was read")
        case Effect.WRITE, status if 400 <= status < 500 and status != 408:
            return Rejected(f"{said}: the system refuses these values")
        case Effect.WRITE, _:
            return OutcomeUnknown(f"{said}: whether it was applied must be looked up")
        case Effect.READ, status if status == 408 or status >= 500:
            return TransientError(f"{said}: the system is in trouble", retry_after=retry_after)
        case Effect.READ, status if 300 <= status < 400:
            return ProtocolError(f"{said}: a redirect that is not followed; check the url of the system")
        case _:
            return ProtocolError(f"{said}: the system does not take this request")


def parse_json(body: bytes) -> Any:
    """
    Parse JSON strictly: UTF-8, floats as Decimal, no NaN or infinity, no duplicate keys, no absurd numbers or nesting.

    Raises ValueError with a reason that holds no part of the body.
    """
    if not body:
        raise ValueError("the body is empty")
    if body.lstrip()[:1] == b"<":
        raise ValueError("the body is a page for people, not JSON")
    try:
        return json.loads(
            body.decode("utf-8-sig"), parse_float=_decimal, parse_constant=_no_constant, object_pairs_hook=_unique_keys
        )
    except UnicodeDecodeError:
        raise ValueError("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"the body is not JSON ({error.msg} at character {error.pos})") from None
    except RecursionError:
        raise ValueError("the body is nested too deeply") from None


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """
    `Retry-After` in seconds, between 0 and `MAX_RETRY_AFTER`; None where there is none or it makes no sense.

    A date is taken relative to the answer's own `Date`, so that no clock of ours is involved (RFC 9110 section 10.2.3).
    """
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"-?\d{1,300}", text, re.ASCII):
        return min(max(float(text), 0.0), MAX_RETRY_AFTER)
    until, now = http_date(text), http_date(headers.get("date", ""))
    if until is None or now is None:
        return None
    return min(max((until - now).total_seconds(), 0.0), MAX_RETRY_AFTER)


def http_date(text: str) -> datetime | None:
    """An HTTP date as an instant, or None where it is none."""
    try:
        instant = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return instant if instant.tzinfo is not None else None


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError("the body holds a number out of all bounds") from None
    # Beyond what a double can hold no system means it, and turning 1e999999999 into an integer would take all memory.
    if abs(value.adjusted()) > 308:
        raise ValueError("the body holds a number out of all bounds")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"the body holds {name}, which JSON does not know")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("the body holds a key twice in one object")
    return made
