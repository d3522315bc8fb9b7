"""Ctrl-C and SIGTERM: the first asks to stop after the current batch, the second ends the process at once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Yields the question whether to stop, which the engine asks between batches; the old handlers come back after."""
    asked = False

    def ask(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            # The state survives any crash, so ending here loses nothing; the default action gives the right exit status.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        asked = True
        # A handler may interrupt a write to the buffered stream, which must not be entered twice.
        os.write(sys.stderr.fileno(), b"Stopping after the current batch. Once more ends at once.\n")

    before = {number: signal.signal(number, ask) for number in _SIGNALS}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
