"""Progress bars with counts and rates on a terminal; nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from syncengine.wording import harmless

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


class Watch:
    """A progress that nobody watches."""

    def update(self, pair: str, stage: str, done: int, total: int | None) -> None:
        del pair, stage, done, total

    def hide(self) -> None:
        """Make room for other output; the next update shows the bars again."""


class TerminalWatch(Watch):
    """A bar for each stage of each pair, with counts and rates."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[tuple[str, str], TaskID] = {}

    def update(self, pair: str, stage: str, done: int, total: int | None) -> None:
        key = (pair, stage)
        if key not in self._tasks:
            self._bars.start()
            self._tasks[key] = self._bars.add_task(harmless(f"{pair}: {stage}"), total=total)
        self._bars.update(self._tasks[key], completed=done, total=total)

    def hide(self) -> None:
        for task in self._tasks.values():
            self._bars.remove_task(task)
        self._tasks.clear()
        self._bars.stop()


@contextmanager
def watching(*, color: bool) -> Iterator[Watch]:
    """A progress that shows on stderr while the block runs, if stderr is a terminal; it leaves nothing behind."""
    if not sys.stderr.isatty():
        yield Watch()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        """Records a second."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:,.0f}/s" if speed else "")

    console = Console(stderr=True, no_color=None if color else True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), Rate())
    watch = TerminalWatch(Progress(*columns, console=console, transient=True))
    try:
        yield watch
    finally:
        watch.hide()
