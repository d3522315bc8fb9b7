"""Databases, and shops: a Records server and a database between which the real App runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog

from syncengine.log import configure
from tests.support.databases import TestDatabase, database, servers, sqlite_database
from tests.support.records import Shop

__all__ = ["database", "servers"]


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """As the command line logs: warnings and worse, not every call."""
    configure()
    yield
    structlog.reset_defaults()


@pytest.fixture
def open_shop(tmp_path: Path) -> Iterator[Callable[..., Shop]]:
    """Open shops with a SQLite file, or with the database given; all are closed at the end."""
    with ExitStack() as stack:

        def run(pairs: str, database: TestDatabase | None = None, **options: Any) -> Shop:
            chosen = database or stack.enter_context(sqlite_database(tmp_path))
            return stack.enter_context(Shop(tmp_path, chosen, pairs, **options))

        yield run
