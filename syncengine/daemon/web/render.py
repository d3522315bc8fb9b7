"""Templates, assets, and what every page has in common. Whatever is shown is escaped; nothing is marked as safe."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

import syncengine
from syncengine.daemon.web import wording
from syncengine.daemon.web.visit import Visit
from syncengine.engine.ports import Clock
from syncengine.engine.text import counted, lasted, plain, shown
from syncengine.wording import harmless

_HERE = Path(__file__).parent
_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that pages load; its address changes with its content, so browsers may keep it."""

    body: bytes
    kind: str
    digest: str


class Renderer:
    """Fills templates with values."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        files = sorted(path for path in (_HERE / "static").iterdir() if path.suffix in _KINDS)
        self._assets = {path.name: _asset(path) for path in files}
        environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update(
            shown=shown,
            plain=plain,
            harmless=harmless,
            whole=wording.whole,
            ago=self._ago,
            at=self._at,
            iso=_iso,
            lasted=lasted,
            quoted=_quoted,
            address=_address,
        )
        environment.tests.update(long=wording.is_long)
        environment.globals.update(counted=counted, asset=self._address, version=syncengine.__version__)
        self._environment = environment

    def now(self) -> datetime:
        """The present, as pages tell it."""
        return datetime.fromtimestamp(self._clock.now(), UTC)

    def _ago(self, at: datetime) -> str:
        return wording.ago(at, self.now())

    def _at(self, at: datetime) -> str:
        return wording.clock_time(at, self.now())

    def _address(self, name: str) -> str:
        return f"/static/{name}?v={self._assets[name].digest}"

    def asset(self, name: str) -> Asset | None:
        """An asset by its name."""
        return self._assets.get(name)

    def page(self, name: str, visit: Visit | None, *, status: int = 200, **values: Any) -> Response:
        """A page, or a part of one."""
        return HTMLResponse(self.text(name, visit, **values), status_code=status)

    def part(self, name: str, visit: Visit, *, seen: str, **values: Any) -> Response:
        """The changing part of a page; no content where it is what `seen` stands for, so that nothing on the screen moves."""
        digest = self.digest(name, visit, **values)
        if digest == seen:
            return Response(status_code=204)
        return HTMLResponse(self.text(name, visit, seen=digest, is_update=True, **values))

    def digest(self, name: str, visit: Visit, **values: Any) -> str:
        """What stands for a part as it is now."""
        text = self.text(name, visit, seen="", is_update=False, **values)
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

    def text(self, name: str, visit: Visit | None, **values: Any) -> str:
        """A filled template."""
        zone = wording.zone(self.now())
        return self._environment.get_template(name).render(visit=visit, zone=zone, now=self.now(), **values)


def static(asset: Asset) -> Response:
    """An asset as an answer."""
    return Response(asset.body, headers={"content-type": asset.kind, "cache-control": _FOREVER})


def _asset(path: Path) -> Asset:
    body = path.read_bytes()
    return Asset(body, _KINDS[path.suffix], hashlib.blake2b(body, digest_size=6).hexdigest())


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")


def _quoted(text: str) -> str:
    """A name as one part of a path."""
    return quote(text, safe="")


def _address(path: str) -> str:
    """A path of ours as an address; two slashes at its start would lead to another host."""
    return "/" + quote(path.lstrip("/"), safe="/")


def mapping(value: object) -> Mapping[str, Any]:
    """A table of a stored report; an empty one where a report of another version has none."""
    return value if isinstance(value, Mapping) else {}
