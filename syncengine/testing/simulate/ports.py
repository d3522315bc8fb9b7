"""The engine's ports in the simulator: a clock that others turn, counted tokens, calls in an order that the tape decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from syncengine.testing.simulate.tape import Tape

T = TypeVar("T")
K = TypeVar("K")


class SimClock:
    """Virtual time in seconds since the epoch; sleeping moves it."""

    __slots__ = ("time",)

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class CountedTokens:
    """Tokens by number: the same history has the same tokens."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def token(self) -> str:
        self.count += 1
        return f"token-{self.count:06d}"

    def batch(self, size: int) -> list[str]:
        return [self.token() for _ in range(size)]


class TapedExecutor:
    """Overlapping calls one after the other, in an order that the tape decides."""

    __slots__ = ("_tape",)

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def interleave(self, sources: Mapping[K, Iterator[T]]) -> Iterator[tuple[K, T]]:
        waiting = list(sources.items())
        while waiting:
            index = self._tape.draw(len(waiting)) if len(waiting) > 1 else 0
            key, source = waiting[index]
            for item in source:
                yield key, item
                break
            else:
                del waiting[index]

    def run(self, calls: Sequence[Callable[[], T]], *, at_once: int) -> Iterator[tuple[int, T | BaseException]]:
        waiting = list(enumerate(calls))
        while waiting:
            reach = min(at_once, len(waiting))
            index, call = waiting.pop(self._tape.draw(reach) if reach > 1 else 0)
            result: T | BaseException
            try:
                result = call()
            except Exception as error:  # noqa: BLE001 - as the production executor: the coordinator decides what it means
                result = error
            yield index, result
