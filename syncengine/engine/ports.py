"""
All nondeterminism of the engine: the clock, fresh tokens, and the order in which overlapping calls run.

Nothing else in `syncengine` imports `time`, `secrets` or threads. The simulator hands in ports of its own, driven by a seed.
"""

from __future__ import annotations

import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Final, Protocol, TypeVar

from syncengine.errors import Interrupted

T = TypeVar("T")
K = TypeVar("K")

_SLICE: Final = 0.2
"""How long a sleeper goes without asking whether to stop, in seconds. A signal handler may take no lock, so nobody wakes it."""

_GRACE: Final = 2.0
"""What is left of a wait that is sat out even then: the calls of a batch under way keep their pace, and it is finished."""


class Clock(Protocol):
    """
    Time: `now` in epoch seconds, `monotonic` in seconds for measuring, `sleep` for pacing and retries.

    `sleep` may raise `Interrupted`: the call that it was to come before is not made then.
    """

    def now(self) -> float: ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class Tokens(Protocol):
    """Fresh, unguessable text: idempotency keys and lease holders."""

    def token(self) -> str: ...

    def batch(self, size: int) -> list[str]:
        """Several at once, which may begin alike."""
        ...


class Executor(Protocol):
    """Runs connector calls, and nothing but connector calls, beside each other."""

    def interleave(self, sources: Mapping[K, Iterator[T]]) -> Iterator[tuple[K, T]]:
        """Pull from all iterators at once; items of one come in its order. Raises what an iterator raises."""
        ...

    def run(self, calls: Sequence[Callable[[], T]], *, at_once: int) -> Iterator[tuple[int, T | BaseException]]:
        """Make the calls, at most `at_once` overlapping; yields (index, result or exception) as they end."""
        ...


class SystemClock:
    """The machine's clock. On whatever thread it sleeps, a long sleep ends with `Interrupted` soon after `stop` says so."""

    def __init__(self, stop: Callable[[], bool] = lambda: False) -> None:
        self._stop = stop

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if left > _GRACE and self._stop():
                msg = f"asked to stop with {left:.0f} seconds to wait before the next call; nothing was sent"
                raise Interrupted(msg)
            time.sleep(min(left, _SLICE))


class RandomTokens:
    """128 bits from the operating system."""

    def token(self) -> str:
        return secrets.token_hex(16)

    def batch(self, size: int) -> list[str]:
        """Neighbours in an index of a million keys, where random ones would touch a page each."""
        token = self.token()
        return [f"{token}-{position}" for position in range(size)]


class Threads:
    """A thread per side for reading, a bounded pool for writing."""

    ahead = 2
    """How many pages a reader may be ahead of the coordinator: bounds memory."""

    def interleave(self, sources: Mapping[K, Iterator[T]]) -> Iterator[tuple[K, T]]:
        channel: queue.Queue[tuple[K, T | None, BaseException | None]] = queue.Queue(self.ahead)
        stopped = threading.Event()

        def put(item: tuple[K, T | None, BaseException | None]) -> bool:
            while not stopped.is_set():
                try:
                    channel.put(item, timeout=0.1)
                except queue.Full:
                    continue
                return True
            return False

        def pull(key: K, source: Iterator[T]) -> None:
            try:
                for item in source:
                    if not put((key, item, None)):
                        return
                put((key, None, StopIteration()))
            except BaseException as error:  # noqa: BLE001 - handed to the coordinator, which raises it
                put((key, None, error))

        threads = [threading.Thread(target=pull, args=pair, daemon=True) for pair in sources.items()]
        for thread in threads:
            thread.start()
        running = len(threads)
        try:
            while running:
                key, item, error = channel.get()
                if isinstance(error, StopIteration):
                    running -= 1
                elif error is not None:
                    raise error
                else:
                    yield key, item  # type: ignore[misc]
        finally:
            stopped.set()
            for thread in threads:
                thread.join()

    def run(self, calls: Sequence[Callable[[], T]], *, at_once: int) -> Iterator[tuple[int, T | BaseException]]:
        if len(calls) == 1 or at_once == 1:
            for index, call in enumerate(calls):
                yield index, _outcome(call)
            return
        with ThreadPoolExecutor(max_workers=at_once) as pool:
            futures = {pool.submit(_outcome, call): index for index, call in enumerate(calls)}
            for future in as_completed(futures):
                yield futures[future], future.result()


def _outcome(call: Callable[[], T]) -> T | BaseException:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - the coordinator decides what an error means
        return error
