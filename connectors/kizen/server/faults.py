"""
Trouble on request: what goes wrong with the next matching calls (section 14.8), scripted or by seed.

    Fault(kind="throttle", method="POST", path="/search$", retry_after="date")     the next search: 429
    Fault(kind="reset", method="POST", path="/add$", committed=True)               the record exists, the answer is lost
    Fault(kind="late", method="PATCH", seconds=30)                                 lost now, applied 30 seconds later
    Fault(kind="error", probability=0.05, times=None)                              one call in twenty, for ever, by seed
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, get_args

FaultKind = Literal[
    "latency",  # waits `seconds`; before the effect, or after it if `committed`
    "throttle",  # 429, with `retry_after`
    "error",  # `status` (500 unless given) as JSON
    "html",  # `status` (502 unless given) as an HTML page, as proxies answer
    "conflict",  # the record is being archived by somebody else (C6); nothing is written
    "reset",  # the TCP connection is reset, before or (`committed`) after the effect
    "late",  # the connection is reset, and the request takes effect `seconds` later
    "truncate",  # the headers promise more than comes; the effect has happened
    "garbage",  # 200 and no JSON; the effect has happened
    "empty",  # a list or search answers 200 with nothing in it
    "short",  # a list or search loses the second half of its page without a word
]
_KINDS: Final = frozenset(get_args(FaultKind))
_LISTS: Final = frozenset({"empty", "short"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """
    What goes wrong, with whom and how often.

    `method` and `path` (a regular expression, searched in the path) choose the calls; None and empty mean all. The first
    `skip` of them are spared, then `times` are hit (None: for ever), each with `probability`. `committed` lets the request
    take effect first. `retry_after` is a number of seconds, or "date" for an HTTP date one second ahead.
    """

    kind: FaultKind
    method: str | None = None
    path: str = ""
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    status: int | None = None
    seconds: float = 0.0
    committed: bool = False
    retry_after: float | str | None = None

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            msg = f"there is no fault {self.kind!r}; the faults are {', '.join(sorted(_KINDS))}"
            raise ValueError(msg)
        if self.status is not None and not 400 <= self.status <= 599:
            msg = f"a fault answers with a status from 400 to 599, not {self.status}"
            raise ValueError(msg)
        try:
            re.compile(self.path)
        except re.error as error:
            msg = f"the path of a fault is a regular expression; {self.path!r} is none: {error}"
            raise ValueError(msg) from error

    @classmethod
    def of(cls, document: dict[str, Any]) -> Fault:
        """A fault from JSON. Raises `ValueError` naming an unknown key."""
        unknown = document.keys() - {one.name for one in fields(cls)}
        if unknown or "kind" not in document:
            msg = f"a fault has {', '.join(one.name for one in fields(cls))}; at least kind, and not {sorted(unknown)}"
            raise ValueError(msg)
        return cls(**document)


@dataclass(slots=True)
class _Armed:
    fault: Fault
    seen: int = 0
    hit: int = 0

    @property
    def spent(self) -> bool:
        return self.fault.times is not None and self.hit >= self.fault.times


@dataclass(slots=True)
class Faults:
    """The faults that are armed; each request takes those that are meant for it."""

    seed: int = 0
    _armed: list[_Armed] = field(default_factory=list)
    _random: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self._random.seed(f"faults:{self.seed}")

    def arm(self, fault: Fault) -> None:
        self._armed.append(_Armed(fault))

    def disarm(self) -> None:
        """Let everything work again."""
        self._armed.clear()

    def armed(self) -> Iterable[Fault]:
        return [one.fault for one in self._armed]

    def take(self, method: str, path: str) -> list[Fault]:
        """What hits this request: every latency, and the first of the other faults."""
        taken: list[Fault] = []
        if not self._armed:
            return taken
        for one in self._armed:
            fault = one.fault
            settled = fault.kind != "latency" and any(other.kind != "latency" for other in taken)
            if settled or (fault.method not in {None, method}) or not re.search(fault.path, path):
                continue
            one.seen += 1
            if one.seen <= fault.skip or self._random.random() >= fault.probability:
                continue
            one.hit += 1
            taken.append(fault)
        self._armed = [one for one in self._armed if not one.spent]
        return taken


def spoil_list(fault: Fault, body: object) -> object:
    """The answer of a list or search after an `empty` or `short` fault: well-formed, and wrong."""
    if fault.kind not in _LISTS:
        return body
    if isinstance(body, list):
        return [] if fault.kind == "empty" else body[: len(body) // 2]
    if isinstance(body, dict) and isinstance(body.get("results"), list):
        if fault.kind == "empty":
            return {**body, "count": 0, "next": None, "previous": None, "results": []}
        return {**body, "results": body["results"][: len(body["results"]) // 2]}
    return body
