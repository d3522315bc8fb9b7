"""
The local Records server inside this process, for `url = "embedded"`: to try the product without an account.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from syncengine.errors import ResourceError

if TYPE_CHECKING:
    from connectors.kizen.server import RecordsServer

PEOPLE: Final = 20


class Embedded:
    """A running server; `state` and `data` are files, relative to `base`, or empty. A new business gets `people` contacts."""

    def __init__(self, base: Path, *, state: str, data: str, people: int) -> None:
        # Starlette and uvicorn are loaded by those who use them.
        from connectors.kizen.server import RecordsServer

        try:
            self._server: RecordsServer = RecordsServer(
                state=base / state if state else None, data=base / data if data else None, people=people, page=False
            ).start()
        except (ValueError, OSError) as error:
            raise ResourceError(f"the embedded records server can't start: {error}") from error
        self.url = self._server.url
        self.business_id = self._server.credentials.business_id
        self.headers = dict(self._server.credentials.headers)

    def close(self) -> None:
        """Stop it; what is in a state file stays."""
        self._server.stop()
