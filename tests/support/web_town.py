"""
Two SQLite databases with people, companies and deals, kept the same by the real App, and a board that runs pairs on request:
what the pages of the daemon show and change, without the daemon's own threads and schedules.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from syncengine.app import App
from syncengine.config import Config, load
from syncengine.daemon.board import Activity, PairActivity
from syncengine.daemon.web import SharedDesk, build
from syncengine.engine.ports import RandomTokens, SystemClock
from syncengine.engine.report import RunReport
from syncengine.errors import SyncError

CONFIG = """
state = "state.db"
{daemon}
[systems.crm]
connector = "sql"
url = "sqlite:///crm.db"
[systems.office]
connector = "sql"
url = "sqlite:///office.db"

[pairs.contacts]
left = "crm.people"
right = "office.people"
match = "email"
[pairs.contacts.fields]
email = "email"
name = "name"
phone = "phone"
note = "note"

[pairs.companies]
left = "crm.companies"
right = "office.companies"
match = "name"
[pairs.companies.fields]
name = "name"
city = "city"
[pairs.companies.guards]
updates = {{ share = "1%", number = 1 }}

[pairs.deals]
left = "crm.deals"
right = "office.deals"
match = "name"
[pairs.deals.fields]
name = "name"
worth = "worth"
"""
TABLES = """
CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT, phone TEXT {check}, note TEXT);
CREATE TABLE companies (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT);
CREATE TABLE deals (id INTEGER PRIMARY KEY, name TEXT NOT NULL, worth INTEGER);
"""
PEOPLE = (
    ("ada@example.com", "Ada Lovelace", "+1 555 0100", "Met in London"),
    ("bob@example.com", "Bob Stone", "+1 555 0101", None),
    ("cleo@example.com", "Cleo Marsh", None, "Prefers mail"),
    ("dora@example.com", "Dora Lang", "+1 555 0103", None),
)
COMPANIES = tuple((f"Company {number}", "Bern") for number in range(1, 7))


class WebTown:
    """The folder of one test; `crm` and `office` are edited with SQL, as their own users would."""

    def __init__(self, folder: Path, *, daemon: str = "") -> None:
        self.folder = folder
        self.path = folder / "syncengine.toml"
        self.path.write_text(CONFIG.format(daemon=daemon))
        self.change("crm", TABLES.format(check=""))
        self.change("office", TABLES.format(check="CHECK (length(phone) <= 24)"))
        self.insert("crm", "people (email, name, phone, note)", PEOPLE)
        self.insert("crm", "companies (name, city)", COMPANIES)
        self.board = AppBoard(self.config)
        self.desk = SharedDesk(lambda: self.config, SystemClock())

    @property
    def config(self) -> Config:
        return load(self.path, environ={})

    def app(self, **options: Any) -> ASGIApp:
        """The pages over this folder."""
        return build(self.board, self.desk, self.config.daemon, clock=SystemClock(), tokens=RandomTokens(), **options)

    def change(self, system: str, script: str) -> None:
        with closing(sqlite3.connect(self.folder / f"{system}.db")) as database, database:
            database.executescript(script)

    def insert(self, system: str, table: str, rows: Sequence[Sequence[object]]) -> None:
        with closing(sqlite3.connect(self.folder / f"{system}.db")) as database, database:
            for row in rows:
                database.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(row))})", row)

    def edit(self, system: str, sql: str, *values: object) -> None:
        with closing(sqlite3.connect(self.folder / f"{system}.db")) as database, database:
            database.execute(sql, values)

    def value(self, system: str, sql: str, *values: object) -> Any:
        with closing(sqlite3.connect(self.folder / f"{system}.db")) as database:
            return database.execute(sql, values).fetchone()[0]

    def sync(self, pair: str | None = None, **options: Any) -> list[RunReport]:
        with App.open(self.config) as app:
            return app.sync(pair, **options)

    def trouble(self) -> None:
        """A day's work that leaves something of everything: conflicts, a delete, a parked record, a refused run."""
        self.sync()
        self.edit("crm", "UPDATE people SET phone='+1 555 0199' WHERE email='ada@example.com'")
        self.edit("office", "UPDATE people SET phone='+1 555 0188' WHERE email='ada@example.com'")
        self.edit("crm", "UPDATE people SET name='Robert Stone' WHERE email='bob@example.com'")
        self.edit("office", "UPDATE people SET name='Bobby Stone' WHERE email='bob@example.com'")
        self.edit("office", "DELETE FROM people WHERE email='cleo@example.com'")
        self.edit("crm", "UPDATE people SET note='Call back on Monday' WHERE email='dora@example.com'")
        self.insert(
            "crm", "people (email, name, phone)", [("eve@example.com", "Eve Long", "+1 555 0104 extension 9000 ask for Eve")]
        )
        self.edit("office", "UPDATE companies SET city='Zürich' WHERE id > 1")
        self.sync()

    def question(self, label: str) -> Any:
        """The open question about a record."""
        with self.desk() as desk:
            return next(entry for entry in desk.conflicts() if entry.label == label)

    def close(self) -> None:
        self.desk.close()


class AppBoard:
    """A board whose pairs run when a test says `work`, each by an App of its own."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._asked: dict[str, str | None] = {}
        self._running: dict[str, tuple[str, int, int | None]] = {}
        self.is_ready = True
        self.config_problems: tuple[str, ...] = ()
        self.began = datetime.now(UTC)

    def activities(self) -> list[PairActivity]:
        with self._lock:
            return [self._activity(pair) for pair in self._config.pairs]

    def _activity(self, pair: str) -> PairActivity:
        stage, done, total = self._running.get(pair, ("", 0, None))
        activity = Activity.RUNNING if pair in self._running else Activity.QUEUED if pair in self._asked else Activity.IDLE
        next_at = self.began + timedelta(minutes=5)
        return PairActivity(pair=pair, activity=activity, since=self.began, next_at=next_at, stage=stage, done=done, total=total)

    def ask_run(self, pair: str, *, approve: str | None = None) -> None:
        with self._lock:
            if pair not in self._config.pairs:
                msg = f"there is no pair {pair!r}"
                raise SyncError(msg)
            self._asked[pair] = approve or self._asked.get(pair)

    def update(self, pair: str, stage: str, done: int, total: int | None) -> None:
        """The progress of an App."""
        with self._lock:
            self._running[pair] = (stage, done, total)

    def asked(self) -> dict[str, str | None]:
        """What waits to be run, with the approvals."""
        with self._lock:
            return dict(self._asked)

    def work(self) -> list[RunReport]:
        """Run what was asked for."""
        reports = []
        while True:
            with self._lock:
                if not self._asked:
                    return reports
                pair, approve = self._asked.popitem()
                self._running[pair] = ("", 0, None)
            try:
                with App.open(self._config, progress=self) as app:
                    reports += app.sync(pair, approve=approve)
            finally:
                with self._lock:
                    del self._running[pair]
