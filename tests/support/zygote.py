"""
A process that has everything imported and forks one child for each command, so that hundreds of real processes can be killed
in the time that a handful would take to start.

One JSON object a line on standard input, one on standard output:
    {"folder", "arguments", "delay", "later"}  run `syncengine ARGUMENTS` in the folder, with a clock that is `later` seconds ahead;
                                       kill -9 after `delay` seconds, unless null
    {"folder", "point", "later"}       sync in the folder, with such a clock; the child kills itself at its point number `point`; it
                                       prints what `sync --json` would, shortened
The answer holds `code` (negative: the signal), `seconds`, `out`, `err` and, for a point, how many `points` were passed.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]


class Zygote:
    """The process, as a test uses it; a context manager that ends it."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.support.zygote"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=30)

    def command(self, folder: Path, *arguments: str, later: float = 0.0, delay: float | None = None) -> dict[str, Any]:
        """Run `syncengine` with a clock that is ahead, killed after `delay` seconds."""
        return self._ask({"folder": str(folder), "arguments": list(arguments), "later": later, "delay": delay})

    def sync_until(self, folder: Path, point: int, *, later: float = 0.0) -> dict[str, Any]:
        """Sync with a clock that is ahead, killed at an exact point (0: none)."""
        return self._ask({"folder": str(folder), "point": point, "later": later})

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


def serve() -> None:
    """Answer orders until standard input ends."""
    import syncengine.app
    import syncengine.cli.main
    from syncengine.config import load
    from syncengine.log import configure
    from syncengine.registry import Registry

    registry = Registry.installed()
    for name in registry.names():
        registry.load(name)
    del load, syncengine
    configure()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(_carry_out(order)), flush=True)  # noqa: T201 - the protocol


def _carry_out(order: dict[str, Any]) -> dict[str, Any]:
    folder = Path(order["folder"])
    streams = [folder.with_name(f"{folder.name}.{name}") for name in ("out", "err")]
    passed = folder.with_name(f"{folder.name}.points")
    for file in (passed, *streams):
        file.write_bytes(b"")  # the child may die before it makes one
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _child(order, folder, streams, passed)
    if order.get("delay") is not None and signal.sigtimedwait({signal.SIGCHLD}, order["delay"]) is None:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    while signal.sigtimedwait({signal.SIGCHLD}, 0) is not None:
        pass
    out, err = (stream.read_text(errors="replace") for stream in streams)
    code = os.waitstatus_to_exitcode(status)
    return {"code": code, "seconds": time.monotonic() - started, "out": out, "err": err, "points": passed.stat().st_size}


def _child(order: dict[str, Any], folder: Path, streams: list[Path], passed: Path) -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    code = 70
    try:
        for number, stream in enumerate(streams, 1):
            os.dup2(os.open(stream, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), number)
        os.chdir(folder)
        _set_ahead(order.get("later", 0.0))
        code = _sync(order["point"], passed) if "point" in order else _command(order["arguments"])
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - nothing of the parent's may run in the child
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _set_ahead(seconds: float) -> None:
    """Put this process's clock ahead."""
    from syncengine.engine.ports import SystemClock

    true = SystemClock.now
    SystemClock.now = lambda clock: true(clock) + seconds  # type: ignore[method-assign]


def _command(arguments: list[str]) -> int:
    from syncengine.cli.main import execute

    try:
        return execute(arguments)
    except SystemExit as leave:
        return int(leave.code or 0)


def _sync(point: int, passed: Path) -> int:
    """A sync whose points are counted: before and after every commit, and before and after every call to a system."""
    from syncengine.app import App
    from syncengine.config import load
    from syncengine.engine.context import Ports
    from syncengine.engine.ports import RandomTokens, SystemClock, Threads
    from syncengine.engine.report import worst
    from syncengine.registry import Registry
    from syncengine.store.store import Store

    numbers = itertools.count(1)
    file = os.open(passed, os.O_WRONLY | os.O_APPEND)

    def reach() -> None:
        if next(numbers) == point:
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(file, b".")

    registry = Registry.installed()
    plugins = {name: registry.load(name) for name in registry.names()}
    watched = {name: replace(plugin, connect=_watched(plugin.connect, reach)) for name, plugin in plugins.items()}
    registry = Registry(plugins=watched)
    config = load(Path("syncengine.toml"), environ=os.environ, registry=registry)
    ports = Ports(clock=SystemClock(), tokens=RandomTokens(), executor=Threads())
    store = Store.open(config.state, now=ports.clock.now(), on_commit=lambda _when: reach())
    with contextlib.closing(App(config, registry, store, ports)) as app:
        reports = app.sync()
    told = [{"written": dict(each.written), "error": each.error, "refused": str(each.refused)} for each in reports]
    sys.stdout.write(json.dumps({"pairs": told}))
    return int(worst(iter([report.exit for report in reports])))


def _watched(connect: Callable[..., Any], reach: Callable[[], None]) -> Callable[..., Any]:
    from syncengine.engine.wrap import Wrapper

    class Watched(Wrapper):
        def around(self, name: str, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            reach()
            result = call(*args, **kwargs)
            reach()
            return result

    return lambda *args: Watched(connect(*args))


if __name__ == "__main__":
    serve()
