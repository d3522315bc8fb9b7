"""
Which process holds something, in words that people can act on, and whether it is known to be dead.

A place reads `HOST pid N [NAMESPACE:START]`. The part in brackets is what makes the answer safe: a process number means
nothing in another container, and is given to somebody else after its process ended.
"""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

_PLACE = re.compile(r"(?P<host>\S+) pid (?P<pid>\d+) \[(?P<namespace>\d*):(?P<start>\d*)\]")
_PROC = Path("/proc")
_ENDED = frozenset("ZX")
"""The states of a process that is over, although its parent has not asked for its exit code yet (proc(5))."""


def this_place() -> str:
    """The place of this process."""
    pid = os.getpid()
    state = _state(pid)
    return f"{_host()} pid {pid} [{_namespace()}:{state[1] if state else ''}]"


def shown(place: str) -> str:
    """A place as people read it: host and process number."""
    return place.partition(" [")[0]


def is_dead(place: str) -> bool:
    """
    Whether the process of a place is proved to be over. False whenever that cannot be told: another host, another container,
    a place in other words.
    """
    known = _PLACE.fullmatch(place)
    if known is None or known["host"] != _host() or known["namespace"] != _namespace():
        return False
    pid = int(known["pid"])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # somebody else's process has the number now, or ours runs under another account: its start tells
    state = _state(pid)
    if state is None:
        return False
    code, start = state
    return code in _ENDED or (known["start"] != "" and start != known["start"])


def _host() -> str:
    return platform.node().replace(" ", "-") or "localhost"


def _namespace() -> str:
    """The number of the process namespace; empty where the system has none."""
    try:
        return re.sub(r"\D", "", str((_PROC / "self" / "ns" / "pid").readlink()))
    except OSError:
        return ""


def _state(pid: int) -> tuple[str, str] | None:
    """The state letter and start time of a process (fields 3 and 22 of stat, proc(5)); None where there is no such file."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], fields[19]
