"""How much of something is let through a minute."""

from __future__ import annotations

from collections.abc import Callable


class Rate:
    """
    A measure of `per_minute`, all of which may come at once: what is not used in a minute is not saved up beyond it.

    Asked on one thread. `clock` is monotonic, in seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._most = float(per_minute)
        self._clock = clock
        self._left = self._most
        self._at = clock()

    def take(self) -> float:
        """Take one, and return 0; or how many seconds to wait for the next."""
        now = self._clock()
        self._left = min(self._most, self._left + max(0.0, now - self._at) * self._most / 60.0)
        self._at = now
        if self._left >= 1.0:
            self._left -= 1.0
            return 0.0
        return (1.0 - self._left) * 60.0 / self._most
