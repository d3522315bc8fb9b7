"""`syncengine daemon` as a process of its own, waited for by looking at what it does."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.running import COMMAND, environment

PATIENCE = 120.0


class Daemon:
    """A daemon on the config `syncengine.toml` of a folder; its output goes to files there."""

    def __init__(self, folder: Path, *arguments: str, variables: Mapping[str, str] | None = None, **options: Any) -> None:
        self.folder = folder
        count = len(list(folder.glob("daemon-*.log")))
        self._out, self._log = folder / f"daemon-{count}.out", folder / f"daemon-{count}.log"
        with self._out.open("w") as out, self._log.open("w") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "daemon", *arguments],
                cwd=folder,
                env={**environment(), **(variables or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                **options,
            )

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self._log.read_text()

    @property
    def url(self) -> str:
        """The address of its pages, once it says so."""
        found = re.search(r"keeps watch(?: at (\S+)/)?", self._out.read_text())
        assert found is not None, self.log
        return found[1] or ""

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Wait until something is so, while the daemon lives."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"not {what} in time:\n{self.log}"
            try:
                code = self.process.wait(timeout=0.02)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"it ended with {code} before {what}:\n{self.log}")

    def until_ready(self) -> None:
        self.until(lambda: "keeps watch" in self._out.read_text(), "ready")

    def until_logged(self, text: str, times: int = 1) -> None:
        self.until(lambda: self.log.count(text) >= times, f"logged {text}")

    def runs(self) -> int:
        """How many runs have ended."""
        return self.log.count("run.ended")

    def until_more_runs(self, count: int = 1) -> None:
        """Wait for so many runs that end from now on."""
        before = self.runs()
        self.until(lambda: self.runs() >= before + count, f"{count} more runs")

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; returns its exit code."""
        self.process.send_signal(sign)
        return self.wait()

    def wait(self) -> int:
        return self.process.wait(timeout=PATIENCE)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=PATIENCE)


@contextmanager
def daemon(folder: Path, *arguments: str, ready: bool = True, **options: Any) -> Iterator[Daemon]:
    """A daemon that is killed in the end if it still lives."""
    running = Daemon(folder, *arguments, **options)
    try:
        if ready:
            running.until_ready()
        yield running
    finally:
        if running.process.poll() is None:
            running.kill()


def settings(folder: Path, schedule: str = "every 2 seconds", daemon: str = "") -> None:
    """Put a schedule and a table `[daemon]` into the config of a town."""
    path = folder / "syncengine.toml"
    text = re.sub(r'schedule = ".*"\n', "", path.read_text().partition("[daemon]")[0])
    text = text.replace('match = "email"\n', f'match = "email"\nschedule = "{schedule}"\n' if schedule else 'match = "email"\n')
    fresh = path.with_name("syncengine.toml.new")
    fresh.write_text(f'{text}[daemon]\nlisten = "127.0.0.1:0"\njitter = 0\n{daemon}\n')
    fresh.replace(path)
