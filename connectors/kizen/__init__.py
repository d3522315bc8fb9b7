"""
The Records API (Kizen): the connector, and in `server` a local HTTP server that behaves like the platform.

The two do not import each other: `plugin` is loaded when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connectors.kizen.connector import plugin

__all__ = ["plugin"]


def __getattr__(name: str) -> object:
    if name == "plugin":
        from connectors.kizen.connector import plugin

        return plugin
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
