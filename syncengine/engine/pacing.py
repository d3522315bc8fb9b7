"""
How fast a system is called: a configured rate is kept to, an unknown limit is found by its refusals and remembered.

Every clock reading goes through the port; waiting is done by the caller's thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from syncengine.engine.ports import Clock
from syncengine.errors import TransientError

_TOO_MANY: Final = 429
_START: Final = 8.0
_RISE: Final = 1.5
"""How much faster per second while no limit is known."""

_CREDIT: Final = 0.02
"""Seconds that a late call may be made up for: threads wake late, and a slot that passed unused is lost otherwise."""

_WIDE: Final = 2.0
_STEP_UP: Final = 0.4
"""How far between bounds that are not wide apart the next rate lies: a refusal costs more than a little idleness."""

_STEP_DOWN: Final = 0.97
"""Where a limit that was known is looked for after a refusal, until the time between two refusals tells more."""

_PATIENCE: Final = 0.8
"""For what part of the time up to the refusal before a higher rate has to pass until it counts: some limits are by the minute."""

_CLOSE: Final = 1.02
"""The limit is known when the bounds around it are as close as this."""

_SHORTEST_CALM: Final = 2.0
_LONGEST_CALM: Final = 60.0
_LONGEST_SPAN: Final = 150.0
_SHORTEST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 900.0
_LEAST: Final = 0.5
_MARGIN: Final = 0.99
"""How much of a known limit is used: clocks differ, and a thread that wakes early costs a refusal."""

_SMALLEST_STEP: Final = 0.01
_LARGEST_STEP: Final = 0.08


_LATEST: ContextVar[Callable[[], float] | None] = ContextVar("latest", default=None)


@contextmanager
def begun_by(latest: Callable[[], float]) -> Iterator[None]:
    """On this thread, let no call begin after a moment (epoch seconds): a longer wait for it is given up at once."""
    token = _LATEST.set(latest)
    try:
        yield
    finally:
        _LATEST.reset(token)


def wait(clock: Clock, seconds: float) -> None:
    """Sleep before a call. Raises TransientError where the call could then no longer begin in time, Interrupted to stop."""
    _in_time(clock, seconds)
    clock.sleep(seconds)


def _in_time(clock: Clock, seconds: float = 0.0) -> None:
    latest = _LATEST.get()
    if latest is not None and clock.now() + seconds > latest():
        msg = f"the lease would end before a call that has to wait {seconds:.0f} seconds; the rest waits for the next run"
        raise TransientError(msg)


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Between which rates the limit lies."""

    low: float
    high: float

    @property
    def is_close(self) -> bool:
        return self.high <= self.low * _CLOSE

    @property
    def next(self) -> float:
        """The rate to go on with: in the middle first, then nearer to the lower bound, which is the better known one."""
        if self.is_close:
            return self.low
        return self.low + (0.5 if self.high > _WIDE * self.low else _STEP_UP) * (self.high - self.low)

    @property
    def calm(self) -> float:
        """Seconds without a refusal after which a rate is taken to be below the limit: small excesses show late."""
        return min(_LONGEST_CALM, max(_SHORTEST_CALM, 1.0 / max(self.high / self.low - 1.0, 0.001)))


class Pacer:
    """
    The rate at which a system is called, shared by everything that speaks to it; it may be handed in as a connector's `gate`.

    With a configured `rate` it keeps to that. Otherwise it starts modest and rises while calls pass. Each refusal then bounds the
    limit: what passed since the refusal before came in over the whole time, its pause included, so the limit is no lower; and it
    is no higher than the rate that was refused. The rate goes between the bounds until they are close, and now and then tests a
    higher one. A call refused right after a pause, with none let through between, is the same refusal still. Slow answers say
    nothing about a limit.

    `learned` is the limit in calls a second, for the state to remember; a pacer that is given one starts there.
    """

    def __init__(self, clock: Clock, *, rate: float | None = None, learned: float | None = None) -> None:
        self._clock = clock
        self._fixed = rate
        self._bounds = None if rate is not None or learned is None else _Bounds(_MARGIN * learned, _MARGIN * learned * _CLOSE)
        self.learned = None if rate is not None else learned
        self.rate = rate or (self._bounds.low if self._bounds is not None else _START)
        self._step = _SMALLEST_STEP
        self._next = 0.0
        self._blocked_until = 0.0
        self._passed: deque[float] = deque()
        self._since_refusal = 0
        self._span = 0.0
        self._pause = _SHORTEST_PAUSE
        self._refused_at: float | None = None
        self._resumed_at = self._raised_at = clock.monotonic()
        self._lock = threading.Lock()

    def before(self) -> None:
        """Wait for the next free moment."""
        due = self._slot()
        # Asked also where nothing is waited for: a change may take several requests, and each may have been slow.
        _in_time(self._clock)
        while (left := due - self._clock.monotonic()) > 0:
            wait(self._clock, left)
            # Whoever slept while another call was refused would run into the same refusal.
            with self._lock:
                overtaken = due < self._blocked_until
            if overtaken:
                due = self._slot()

    def after(self, status: int | None, retry_after: float | None) -> None:
        """Learn from the answer: 429 was too fast, None is no answer at all, anything else passed."""
        with self._lock:
            now = self._clock.monotonic()
            if status == _TOO_MANY:
                self._refused(now, retry_after)
            elif status is not None:
                self._let_through(now)

    def pause(self, seconds: float) -> None:
        """Wait before a request that would come too early; raises TransientError where it could then not begin in time."""
        wait(self._clock, seconds)

    def _slot(self) -> float:
        with self._lock:
            now = self._clock.monotonic()
            due = max(self._next, now - _CREDIT, self._blocked_until)
            self._next = due + 1.0 / (self.rate * _MARGIN if self._fixed is not None else self.rate)
            return due

    def _refused(self, now: float, retry_after: float | None) -> None:
        if now < self._blocked_until:
            return  # it was under way when another call was refused, and tells nothing new
        is_same = self._refused_at is not None and not self._since_refusal
        # Whoever does not tell how long it takes is asked less and less often, until a call passes.
        self._pause = min(2 * self._pause, _LONGEST_CALM) if is_same else _SHORTEST_PAUSE
        pause = min(self._pause if retry_after is None else retry_after, _LONGEST_PAUSE)
        if not is_same:
            if self._fixed is None:
                self._forget(now)
                self._narrow(now)
            self._refused_at = now
        self._resumed_at = self._blocked_until = self._raised_at = now + pause
        self._since_refusal = 0

    def _narrow(self, now: float) -> None:
        """The bounds that this refusal shows; an older lower one holds unless this rate was hardly above it."""
        self._span = now - self._resumed_at
        high = self.rate if self._span < 1.0 else min(self.rate, len(self._passed) + 1.0)
        low = high / 3 if self._bounds is None else _STEP_DOWN * high
        if self._refused_at is not None and 0.5 < now - self._refused_at < _LONGEST_SPAN:
            low = self._since_refusal / (now - self._refused_at)
        if self._bounds is not None and self._bounds.low < 0.995 * high:
            low = max(low, self._bounds.low)
        high = max(high, _LEAST)
        self._step = _SMALLEST_STEP
        self._settle(_Bounds(min(max(low, _LEAST), high), high))

    def _settle(self, bounds: _Bounds) -> None:
        self._bounds = bounds
        self.rate = self.learned = bounds.next

    def _let_through(self, now: float) -> None:
        self._passed.append(now)
        self._since_refusal += 1
        self._forget(now)
        is_used = len(self._passed) >= 0.5 * self.rate or now - self._raised_at < 1.0
        if self._fixed is not None or not is_used:
            return
        if self._bounds is None:
            # No more than by half a second, so that one leap does not go far over the limit.
            self.rate *= 1.0 + min(0.025, (_RISE - 1.0) / self.rate)
        elif now - self._raised_at > max(self._bounds.calm, min(_PATIENCE * self._span, _LONGEST_CALM)):
            self._raised_at = now
            low = max(self._bounds.low, self.rate)
            self._settle(_Bounds(low, max(self._bounds.high, low)))
            if self._bounds.is_close:
                self.rate = low * (1.0 + self._step)
                self._step = min(2 * self._step, _LARGEST_STEP)

    def _forget(self, now: float) -> None:
        while self._passed and self._passed[0] < now - 1.0:
            self._passed.popleft()


class Allowance:
    """
    The calls that one App may make to a system in one run, at the pace that it shares with others: a connector's `gate`.

    `max_calls` None: as many as it likes.
    """

    def __init__(self, pacer: Pacer, max_calls: int | None) -> None:
        self.calls = 0
        self.most = max_calls
        self._pacer = pacer
        self._lock = threading.Lock()

    @property
    def rate(self) -> float:
        """Calls a second as they may be made now."""
        return self._pacer.rate

    def begin(self) -> None:
        """A run begins: nothing of what it may call is used up."""
        with self._lock:
            self.calls = 0

    def before(self) -> None:
        """Wait for the next free moment; raises TransientError when the calls of this run are used up."""
        with self._lock:
            if self.most is not None and self.calls >= self.most:
                msg = f"the limit of {self.most} calls (`max_calls`) is used up; the rest waits for the next run"
                raise TransientError(msg, retry_after=float("inf"))
            self.calls += 1
        self._pacer.before()

    def after(self, status: int | None, retry_after: float | None) -> None:
        """Learn from the answer."""
        self._pacer.after(status, retry_after)

    def pause(self, seconds: float) -> None:
        """Wait before a request that would come too early."""
        self._pacer.pause(seconds)
