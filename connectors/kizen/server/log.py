"""The request log: what was asked and what came of it. Never a header, never a body."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

_KEPT: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    One request. `number` grows by one; `status` is 0 where the connection was cut.

    `action` is what it was about (`search`, `add`, `patch`, `fields`, ...), `changed` how many records it changed,
    `fault` what was done to it on purpose (`rate` for the rate limit).
    """

    number: int
    at: dt.datetime
    method: str
    path: str
    query: str
    status: int
    action: str
    object: str
    write: bool
    changed: int
    seconds: float
    fault: str


@dataclass(slots=True)
class RequestLog:
    """The requests so far, oldest first; the last 200,000 are kept. Safe to read while requests come in."""

    _requests: deque[Request] = field(default_factory=lambda: deque(maxlen=_KEPT))
    total: int = 0

    def add(self, request: Request) -> None:
        self._requests.append(request)

    def number(self) -> int:
        """The number of the next request."""
        self.total += 1
        return self.total

    def __iter__(self) -> Iterator[Request]:
        return iter(list(self._requests))

    def __len__(self) -> int:
        return len(self._requests)

    def __getitem__(self, index: int) -> Request:
        return self._requests[index]

    def select(
        self,
        *,
        action: str | None = None,
        object: str | None = None,
        method: str | None = None,
        status: int | None = None,
        after: int = 0,
    ) -> list[Request]:
        """The requests with these properties, numbered above `after`."""
        return [
            one
            for one in self
            if one.number > after
            and action in {None, one.action}
            and object in {None, one.object}
            and method in {None, one.method}
            and status in {None, one.status}
        ]

    def writes(self, object: str | None = None, *, after: int = 0) -> list[Request]:
        """The requests that asked for a change of records, refused and lost ones included."""
        return [one for one in self.select(object=object, after=after) if one.write]

    def clear(self) -> None:
        """Forget the requests; numbers go on."""
        self._requests.clear()
