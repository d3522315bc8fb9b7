"""Every example under config/: copied, loaded, synchronised, silent the second time, and what a person edits travels."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog

from connectors.kizen.server import RecordsServer
from syncengine.app import App
from syncengine.config import load
from syncengine.engine.context import Ports
from syncengine.engine.ports import RandomTokens, SystemClock, Threads
from syncengine.engine.report import Exit, RunReport
from syncengine.log import configure
from syncengine.registry import Registry
from syncengine.store.store import Store
from tests.support.databases import TestDatabase, servers
from tests.support.engine import TestClock

__all__ = ["servers"]

EXAMPLES = Path(__file__).parents[2] / "config"
FOLDERS = sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir())


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    configure()
    yield
    structlog.reset_defaults()


@pytest.fixture
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """What the example's config reads from the environment."""
    if request.param != "records-and-postgres":
        return {}
    database: TestDatabase = request.getfixturevalue("servers")("postgres")
    with database.engine.begin() as connection:
        connection.exec_driver_sql((EXAMPLES / request.param / "schema.sql").read_text("utf-8"))
    return {"DATABASE_URL": database.url}


def each_example() -> Any:
    """Every folder, the one that needs a server under its marker."""
    marks = {"records-and-postgres": [pytest.mark.postgres]}
    values = [pytest.param(name, name, marks=marks.get(name, []), id=name) for name in FOLDERS]
    return pytest.mark.parametrize(("name", "environment"), values, indirect=["environment"])


class Example:
    """An example at work in a folder of its own."""

    PASSES = range(3)
    """A pair that others refer to is approved first; what their plans can do then is more, and is shown again."""

    def __init__(self, name: str, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder / name
        self.environment = environment
        # What somebody's trial run left behind is no part of the example.
        shutil.copytree(EXAMPLES / name, self.folder, ignore=shutil.ignore_patterns("state.db*", "crm.db*", "*.lock"))

        self.clock = TestClock(SystemClock().now())

    def _run(self, pair: str | None = None, approve: str | None = None) -> dict[str, RunReport]:
        config = load(self.folder / "syncengine.toml", environ=self.environment)
        store = Store.open(config.state, now=self.clock.now())
        ports = Ports(clock=self.clock, tokens=RandomTokens(), executor=Threads())
        with App(config, Registry.installed(), store, ports) as app:
            return {report.pair: report for report in app.sync(pair, approve=approve)}

    def sync(self) -> dict[str, RunReport]:
        """A sync to its end; a first contact is approved, as the example's reader would."""
        reports = self._run()
        for _ in self.PASSES:
            for name, report in reports.items():
                if report.exit is Exit.REFUSED:
                    assert "first_contact" in {trip.guard for trip in report.refused}
                    reports |= self._run(name, report.approval)
            if any(report.exit is Exit.PARTIAL for report in reports.values()):
                reports |= self._run()  # what waited for a refused pair
        for report in reports.values():
            assert not report.error, report.error
            assert not report.refused, report.refused
        return reports

    def assert_silent(self) -> None:
        for report in self._run().values():
            assert report.exit is Exit.DONE, report
            assert not report.written, report

    def crm(self) -> RecordsServer:
        """The embedded server's records, between two runs."""
        return RecordsServer(state=self.folder / "crm.db", page=False)


@each_example()
def test_an_example_converges_and_is_silent(name: str, environment: dict[str, str], tmp_path: Path) -> None:
    """Both sides meet, nothing waits, and a second run writes nothing."""
    example = Example(name, tmp_path, environment)
    reports = example.sync()
    assert {report.exit for report in reports.values()} == {Exit.DONE}
    example.assert_silent()


@each_example()
def test_a_plan_of_an_example_writes_nothing(name: str, environment: dict[str, str], tmp_path: Path) -> None:
    """Looking first leaves the folder as it was, save for the records of the embedded server."""
    example = Example(name, tmp_path, environment)

    def content() -> dict[str, bytes]:
        return {
            str(path.relative_to(example.folder)): path.read_bytes()
            for path in example.folder.rglob("*")
            if path.is_file() and not path.name.startswith(("state.db", "crm.db"))
        }

    before = content()
    config = load(example.folder / "syncengine.toml", environ=environment)
    with App.open(config, read_only_state=True) as app:
        assert [report.pair for report in app.plan()]
    assert content() == before


def test_every_example_is_documented_and_named_in_no_secret() -> None:
    """Each folder has a config that begins with what it is for, and holds no credentials."""
    for name in FOLDERS:
        text = (EXAMPLES / name / "syncengine.toml").read_text("utf-8")
        assert text.startswith("# "), name
        assert "api_key" not in text or "${KIZEN_API_KEY}" in text, name


def test_records_and_csv(tmp_path: Path) -> None:
    """Codes for options, German dates and numbers, tags of both sides; and an edit of the file changes one contact."""
    example = Example("records-and-csv", tmp_path, {})
    example.sync()
    path = example.folder / "files" / "members.csv"
    text = path.read_text("utf-8")
    rows = {row["email"]: row for row in csv.DictReader(text.splitlines(), delimiter=";")}
    assert rows["jürgen@example.de"] | {"id": ""} == {
        "id": "", "email": "jürgen@example.de", "Vorname": "Jürgen", "Nachname": "Groß", "Telefon": "+4971112345678",
        "geboren": "28.02.1961", "Merkmale": "Vorstand", "Stufe": "1", "Bemerkung": "",
    }  # fmt: skip
    assert set(rows["Ana@example.pt"]["Merkmale"].split(", ")) == {"Vorstand", "Beitrag offen"}
    assert rows["Ana@example.pt"]["Bemerkung"] == "zahlt bar; immer"
    with example.crm() as crm:
        contacts = {one.get("email"): one for one in crm.records("client_client")}
        assert contacts["ole@example.dk"]["mobile_phone"] == "+497112345679"
        assert contacts["ole@example.dk"]["level"] == "Gold"
    path.write_text(text.replace("0711 2345679", "0711 2345670"), "utf-8")
    example.sync()
    with example.crm() as crm:
        [ole] = [one for one in crm.records("client_client") if one.get("email") == "ole@example.dk"]
        assert ole["mobile_phone"] == "+497112345670"
    assert path.read_text("utf-8") == text.replace("0711 2345679", "0711 2345670")
    example.assert_silent()


@pytest.mark.postgres
def test_records_and_postgres(tmp_path: Path, servers: Callable[[str], TestDatabase]) -> None:
    """Deals arrive with company and stage, the constant is set, and the newer of two edits wins on either side."""
    database = servers("postgres")
    with database.engine.begin() as connection:
        connection.exec_driver_sql((EXAMPLES / "records-and-postgres" / "schema.sql").read_text("utf-8"))
    example = Example("records-and-postgres", tmp_path, {"DATABASE_URL": database.url})
    example.sync()
    deals = "SELECT d.name, stage, worth::text, closes_on::text, c.name FROM deals d JOIN companies c ON c.id = company_id"
    assert database.rows(deals) == [("Thousand widgets", "New", "12500.50", "2027-01-31", "Acme Widgets")]
    assert database.rows("SELECT email, last_name, origin FROM people ORDER BY email") == [
        ("ada@example.com", "Lovelace", "crm"),
        ("olga@example.pl", None, None),
        ("zoe@example.com", "O'Neill", None),
    ]
    assert len(database.rows("SELECT 1 FROM companies")) == 3
    database.execute(
        "UPDATE people SET last_name = 'King' WHERE email = 'ada@example.com'",
        "DELETE FROM people WHERE email = 'olga@example.pl'",
    )
    example.sync()
    with example.crm() as crm:
        contacts = {one["email"]: one for one in crm.records("client_client")}
        assert contacts["ada@example.com"]["last_name"] == "King"
        assert "olga@example.pl" in contacts
    example.clock.time += 86_400  # deletions show in the daily read of everything
    example.sync()
    with example.crm() as crm:
        contacts = {one["email"]: one for one in crm.records("client_client")}
        assert "olga@example.pl" not in contacts
        assert [one["email"] for one in crm.records("client_client", archived=True)] == ["olga@example.pl"]
    example.assert_silent()


def test_one_way_jsonl(tmp_path: Path) -> None:
    """Only paid orders that are no tests arrive; an edit follows, a deletion too, and the feed's own edits never go back."""
    example = Example("one-way-jsonl", tmp_path, {})
    example.sync()
    feed = example.folder / "feed.jsonl"

    def orders() -> dict[str, dict[str, Any]]:
        return {order["order"]: order for order in map(json.loads, feed.read_text("utf-8").splitlines())}

    def shop(statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(example.folder / "shop.db")) as base, base:
            return base.execute(statement).fetchall()

    assert list(orders()) == ["A-1001", "A-1004"]
    assert orders()["A-1001"] == {
        "order": "A-1001",
        "customer": "ada@example.com",
        "paid_on": "2026-10-01",
        "total": 129.9,
        "lines": 3,
    }
    before = shop("SELECT * FROM orders")
    feed.write_text(feed.read_text("utf-8").replace('"lines": 3', '"lines": 7'), "utf-8")
    example.sync()
    assert shop("SELECT * FROM orders") == before
    shop("UPDATE orders SET paid_on = '2026-10-02' WHERE number = 'A-1002'")
    shop("UPDATE orders SET total = 99.50 WHERE number = 'A-1001'")
    shop("DELETE FROM orders WHERE number = 'A-1004'")
    example.sync()
    assert {number: order["total"] for number, order in orders().items()} == {"A-1001": 99.5, "A-1002": 15}
    example.assert_silent()


def test_quickstart(tmp_path: Path) -> None:
    """A contact edited in the CRM reaches the database, with its company and its deal."""
    example = Example("quickstart", tmp_path, {})
    example.sync()
    with example.crm() as crm:
        [zoe] = [one for one in crm.records("client_client") if one.get("email") == "zoe@example.com"]
        crm.edit(zoe["id"], last_name="Neill")
    example.sync()
    with closing(sqlite3.connect(example.folder / "office.db")) as base:
        query = (
            "SELECT p.family_name, c.name FROM people p JOIN companies c ON c.id = p.company_id WHERE p.email = 'zoe@example.com'"
        )
        assert base.execute(query).fetchall() == [("Neill", "  Acme   Widgets ")]
        assert base.execute("SELECT count(*) FROM deals WHERE stage IN ('New', 'Won')").fetchone() == (2,)
    example.assert_silent()


def test_csv_and_database(tmp_path: Path) -> None:
    """A phone number edited in the file and a name edited in the database cross."""
    example = Example("csv-and-database", tmp_path, {})
    example.sync()
    path = example.folder / "files" / "people.csv"
    path.write_text(path.read_text("utf-8").replace("+354 555 0199", "+354 555 0200"), "utf-8")
    with closing(sqlite3.connect(example.folder / "office.db")) as base, base:
        base.execute("UPDATE people SET family_name = 'García Márquez' WHERE given_name = 'José'")
    example.sync()
    with closing(sqlite3.connect(example.folder / "office.db")) as base:
        assert base.execute("SELECT phone FROM people WHERE email LIKE 'bjork%'").fetchone() == ("+354 555 0200",)
    assert "García Márquez" in path.read_text("utf-8")
    example.assert_silent()
