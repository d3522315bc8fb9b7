"""The body of a request, read with patience that has an end."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect, Request

SLOWEST: Final = 10.0
"""Seconds in which a body must have come in."""


class UnreadableBodyError(Exception):
    """The body cannot be had; `status` is the HTTP status that says so, the text the reason."""

    def __init__(self, status: int, why: str) -> None:
        self.status = status
        super().__init__(why)


async def body_of(request: Request, *, most: int) -> bytes:
    """
    The whole body, at most `most` bytes; what is announced as larger is not read.

    Raises UnreadableBodyError for one that is too large, too slow or cut short.
    """
    too_large = UnreadableBodyError(413, f"the body is larger than {most} bytes")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced[:18]) > most:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(SLOWEST):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise too_large
    except TimeoutError:
        raise UnreadableBodyError(408, f"the body must have come in within {SLOWEST:.0f} seconds") from None
    except ClientDisconnect:
        raise UnreadableBodyError(400, "the body was cut short") from None
    return bytes(body)
