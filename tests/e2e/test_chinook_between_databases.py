"""The Chinook tables kept the same between SQLite and each other database: filled, silent, edited on both sides, silent."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from syncengine.app import App
from syncengine.config import load
from syncengine.engine.report import RunReport
from syncengine.registry import Registry
from tests.support import chinook
from tests.support.databases import TestDatabase, sqlite_database

pytestmark = pytest.mark.skipif(not chinook.SOURCE.exists(), reason=f"the Chinook tables are not at {chinook.SOURCE}")


def sync(config: Path) -> dict[str, RunReport]:
    with App.open(load(config, environ={}, registry=Registry.installed())) as app:
        reports = app.sync()
    assert not [report.error or report.refused for report in reports if report.error or report.refused]
    return {report.pair: report for report in reports}


def test_chinook_between_two_databases(database: TestDatabase, tmp_path: Path) -> None:
    with sqlite_database(tmp_path) as left:
        chinook.tables().create_all(left.engine)
        chinook.tables().create_all(database.engine)
        chinook.fill(left, tracks=60)
        text = chinook.CONFIG.format(url=database.url)
        config = tmp_path / "chinook.toml"
        config.write_text(text.replace('connector = "csv"\npath = "files"', f'connector = "sql"\nurl = "{left.url}"'))

        def both() -> tuple[object, object]:
            return tuple(chinook.plain(chinook.rows_of_base(each)) for each in (left, database))  # type: ignore[return-value]

        first = sync(config)
        assert {name: report.written.get("right.create") for name, report in first.items()} == {
            "employees": 8, "customers": 59, "artists": 275, "albums": 347, "tracks": 60,
        }  # fmt: skip
        one, two = both()
        assert one == two
        assert not any(report.written for report in sync(config).values())

        customers, artists = (chinook.tables().tables[name] for name in ("customers", "artists"))
        with left.engine.begin() as connection:
            connection.execute(sa.update(customers).where(customers.c.id == 5).values(city="Plzeň", phone=None))
            connection.execute(sa.delete(customers).where(customers.c.id == 6))
        with database.engine.begin() as connection:
            connection.execute(sa.update(customers).where(customers.c.email == "luisg@embraer.com.br").values(company="Embraer"))
            connection.execute(sa.insert(artists).values(name="Die Ärzte"))
        changed = sync(config)
        assert changed["customers"].written == {"right.update": 1, "left.update": 1, "right.delete": 1}
        assert changed["artists"].written == {"left.create": 1}
        one, two = both()
        assert one == two
        assert not any(report.written for report in sync(config).values())
