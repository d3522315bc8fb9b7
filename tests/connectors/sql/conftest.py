"""Fixtures of the sql connector's tests: an empty database of each kind, and the connector on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.sql import plugin
from connectors.sql.connector import SqlConnector
from syncengine.connector import Context
from tests.support.databases import (  # noqa: F401 - fixtures are used by their names
    TestDatabase,
    database,
    mariadb_url,
    postgres_url,
    servers,
    sqlite_url,
)


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Callable[..., SqlConnector]]:
    """Opens the connector on a test database, with options; everything is closed at the end."""
    opened: list[SqlConnector] = []

    def open_(target: TestDatabase | str, **options: Any) -> SqlConnector:
        url = target if isinstance(target, str) else target.url
        validated = plugin.options.model_validate({"url": url, **options})
        connector: SqlConnector = plugin.connect(validated, Context(system="office", base=tmp_path))
        opened.append(connector)
        return connector

    yield open_
    for connector in opened:
        connector.close()
