"""What ends a simulated process, and what ends a simulated history."""

from __future__ import annotations


class Crash(BaseException):
    """The process died here; the next one starts on the same state."""


class Violation(BaseException):  # it must pass through every `except Exception` of the engine
    """
    A property does not hold: `rule` is its name in the reliability reference (I1, L2, ...), `story` says what was seen.
    """

    def __init__(self, rule: str, story: str) -> None:
        self.rule = rule
        self.story = story
        super().__init__(f"{rule}: {story}")
