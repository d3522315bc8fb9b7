"""Answers for programs, and for whoever tries them out in a terminal."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse


class JsonLine(JSONResponse):
    """JSON that ends its line."""

    def render(self, content: Any) -> bytes:
        return super().render(content) + b"\n"
