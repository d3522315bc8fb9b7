"""A browser without JavaScript, in this process: it keeps cookies, posts forms, and follows nothing by itself."""

from __future__ import annotations

import asyncio
import re
from types import TracebackType
from typing import Any, Self

import httpx
from starlette.types import ASGIApp

HERE = "http://127.0.0.1:8080"


class PlainBrowser:
    """Speaks to an application as a browser at `address` would that opened `base`."""

    def __init__(self, app: ASGIApp, *, address: str = "127.0.0.1", base: str = HERE) -> None:
        # An error that the application does not answer for itself is the test's to see.
        transport = httpx.ASGITransport(app=app, client=(address, 50_000))
        self._client = httpx.AsyncClient(transport=transport, base_url=base, headers={"accept": "text/html"})
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()

    @property
    def cookies(self) -> httpx.Cookies:
        return self._client.cookies

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def form(self, path: str) -> dict[str, str]:
        """The hidden fields that the forms of a page have in common: the proof that they are ours."""
        return {"form": re.findall(r'name="form" value="([0-9a-f]{64})"', self.get(path).text)[0]}

    def send(self, path: str, *, seen_on: str = "/", **fields: Any) -> httpx.Response:
        """Post a form of the page `seen_on`."""
        return self.post(path, data={**self.form(seen_on), **fields})
