"""
A local HTTP server that behaves like the Records API (records-api.md, sections 5 to 8, 13 and 14).

    with RecordsServer(people=20) as server:
        server.url, server.credentials, server.requests

It knows nothing of the engine. `RecordsServer` is all that tests and the embedded mode need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connectors.kizen.server.faults import Fault
    from connectors.kizen.server.http import Credentials
    from connectors.kizen.server.log import Request, RequestLog
    from connectors.kizen.server.run import RecordsServer
    from connectors.kizen.server.switches import Switches, describe

__all__ = ["Credentials", "Fault", "RecordsServer", "Request", "RequestLog", "Switches", "describe"]

_HOMES = {
    "Credentials": "http",
    "Fault": "faults",
    "RecordsServer": "run",
    "Request": "log",
    "RequestLog": "log",
    "Switches": "switches",
    "describe": "switches",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use: the command line names this package in its help, and a web server is much to load for that.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
