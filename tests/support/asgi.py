"""A starlette application called as a server would call it, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx


class Caller:
    """One request after the other. A content that is an iterator goes out in pieces, without its length."""

    def __init__(self, app) -> None:
        self.app = app

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, **more):
        return self.request("POST", path, **more)

    def request(self, method, path, *, content=None, headers=None):
        return asyncio.run(self._request(method, path, content, headers))

    async def _request(self, method, path, content, headers):
        async def pieces(parts):
            for part in parts:
                yield part

        sent = pieces(content) if isinstance(content, Iterator) else content
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=self.app), base_url="http://127.0.0.1") as client:
            return await client.request(method, path, content=sent, headers=headers)
