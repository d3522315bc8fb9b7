"""Files to try the connectors on, and short ways to ask them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connectors.csv import plugin as csv_plugin
from connectors.jsonl import plugin as jsonl_plugin
from syncengine.connector import Change, Context, Native, Outcome, Page, Plugin

PLUGINS = {".csv": csv_plugin, ".jsonl": jsonl_plugin}


@dataclass(frozen=True)
class Desk:
    """A file and a connector that was opened on it."""

    path: Path
    connector: Any

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def content(self) -> bytes:
        return self.path.read_bytes()

    def pages(self, *fields: str) -> list[Page]:
        return list(self.connector.read(self.name, fields=fields))

    def listing(self, *fields: str) -> dict[str, tuple[Native, ...]]:
        """The complete listing by id."""
        pages = self.pages(*fields)
        assert [page.complete for page in pages] == [False] * (len(pages) - 1) + [True]
        rows = [(id_, row) for page in pages for id_, row in zip(page.ids, page.rows, strict=True)]
        listed = dict(rows)
        assert len(listed) == len(rows)
        return listed

    def provisional(self) -> list[str]:
        """Ids that do not last, in file order."""
        return [id_ for page in self.pages() for id_ in page.ids if id_ in page.provisional]

    def write(self, *changes: Change) -> Sequence[Outcome]:
        outcomes = self.connector.write(self.name, changes)
        assert [outcome.key for outcome in outcomes] == [change.key for change in changes]
        return outcomes

    def get(self, *ids: str, fields: Sequence[str] = ()) -> Sequence[Any]:
        return self.connector.get(self.name, ids, fields=fields)

    def find(self, field: str, *values: Native, fields: Sequence[str] = ()) -> list[str]:
        return [record.id for record in self.connector.find(self.name, field, values, fields=fields)]

    def resource(self) -> Any:
        return self.connector.resources()[self.name]


def opened(path: Path, **options: object) -> Desk:
    plugin: Plugin = PLUGINS[path.suffix]
    connector = plugin.connect(
        plugin.options.model_validate({"path": path.name, **options}), Context(system="office", base=path.parent)
    )
    return Desk(path=path, connector=connector)


@pytest.fixture
def desk(tmp_path: Path) -> Callable[..., Desk]:
    """Put content into a file of `tmp_path`, and open a connector on it."""

    def put(content: bytes | str, name: str = "people.csv", **options: object) -> Desk:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return opened(path, **options)

    return put


@pytest.fixture
def opened_at() -> Callable[..., Desk]:
    """As `desk`, at a path of the test's choice."""

    def put(path: Path, content: str, **options: object) -> Desk:
        path.write_text(content)
        return opened(path, **options)

    return put


@pytest.fixture(params=["people.csv", "people.jsonl"])
def people(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    """The same three people in either kind of file."""
    path = tmp_path / request.param
    rows = [("1", "Ann", "ann@example.com"), ("2", "Bo", "bo@example.com"), ("3", "Cy", "")]
    if path.suffix == ".csv":
        path.write_text("id,name,email\n" + "".join(f"{','.join(row)}\n" for row in rows))
    else:
        path.write_text("".join(f'{{"id": {i}, "name": "{n}", "email": "{e}"}}\n' for i, n, e in rows))
    return opened(path)
