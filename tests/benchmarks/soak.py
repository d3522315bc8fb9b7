"""
A daemon that lives for a year, in minutes: its service, workers and chores on a clock that only this program moves.

    python -m tests.benchmarks.soak [--days 365] [--hours 1]

Two SQLite databases, both edited; hints, an outage each fortnight, a reload each month. Memory, open files, threads and the size
of the state are looked at ten times: from the second look on they may not grow.
"""

from __future__ import annotations

import argparse
import gc
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path
from time import perf_counter

from syncengine.app import App
from syncengine.config import Config, load
from syncengine.core.model import Side
from syncengine.daemon.alerts import Alerts
from syncengine.daemon.chores import Chores
from syncengine.daemon.service import Service
from syncengine.daemon.upkeep import Upkeep
from syncengine.daemon.workers import Worker, known_of
from syncengine.engine.context import Ports
from syncengine.engine.pacing import Pacer
from syncengine.engine.ports import RandomTokens, Threads
from syncengine.log import Level, configure
from syncengine.registry import Registry
from syncengine.store.hints import Told
from syncengine.store.store import Store
from tests.support.engine import TestClock

DAY = 86_400.0
PEOPLE = 200
LOOKS = 10

CONFIG = """
state = "state.db"
[systems.one]
connector = "sql"
url = "sqlite:///one.db"
[systems.two]
connector = "sql"
url = "sqlite:///two.db"
[pairs.people]
left = "one.people"
right = "two.people"
match = "email"
conflicts = "left"
schedule = "every {hours} hours"
[pairs.people.fields]
email = "email"
name = "name"
[daemon]
jitter = 0
keep = "{keep:.3f} days"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the process and the state weighed at a moment."""

    day: float
    runs: int
    memory: int
    files: int
    threads: int
    objects: int
    state: int


class Life:
    """The daemon and its two databases, in a folder."""

    def __init__(self, folder: Path, *, hours: float, keep: float) -> None:
        self._folder = folder
        self.clock = TestClock()
        self._registry = Registry.installed()
        self._pacers: dict[str, Pacer] = {}
        (folder / "soak.toml").write_text(CONFIG.format(hours=hours, keep=keep))
        for name in ("one", "two"):
            with closing(sqlite3.connect(folder / f"{name}.db")) as base:
                base.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT UNIQUE, name TEXT)")
                if name == "one":
                    base.executemany("INSERT INTO people VALUES (?,?,?)", [(n, f"p{n}@x.example", str(n)) for n in range(PEOPLE)])
                base.commit()
        self.runs = self.failures = 0
        config = self._load()
        with closing(Store.open(config.state, now=self.clock.now())) as store:
            known = known_of(store, config.pairs)
        self.service = Service(config, self.clock, zone=UTC, known=known)
        alerts = Alerts(lambda: self.service.config, self.service, self.clock, lambda: None)
        self.service.listeners = [alerts.heard, self._count]
        chores = [alerts.chore, replace(Upkeep(lambda: self.service.config).chore, every=DAY)]
        self._chores = Chores(chores, self._open, self.clock)
        self._worker = Worker(self._open, self.service.is_stopping, set())

    def _load(self) -> Config:
        return load(self._folder / "soak.toml", environ={}, registry=self._registry)

    def _open(self) -> App:
        ports = Ports(clock=self.clock, tokens=RandomTokens(), executor=Threads(), progress=self.service)
        store = Store.open(self.service.config.state, now=self.clock.now())
        return App(self.service.config, self._registry, store, ports, pacers=self._pacers)

    def _count(self, news: object) -> None:
        self.runs += 1
        self.failures += bool(getattr(news, "trouble", ""))

    def step(self, seconds: float, number: int) -> None:
        """So much time passes; somebody edits something, and sometimes more happens."""
        self._edit("one" if number % 2 else "two", number % PEOPLE, f"value {number}")
        if number % 5 == 0:
            self._hint(number % PEOPLE)
        self.clock.time += seconds
        day = self.clock.time // DAY
        if day % 14 == 0:
            (self._folder / "two.db").rename(self._folder / "away.db")
        self.service.tick()
        self._work()
        if day % 14 == 0:
            (self._folder / "away.db").rename(self._folder / "two.db")
        self._chores.do_due()
        if number % 700 == 699:
            self._reload()

    def _work(self) -> None:
        while (job := self.service.next_job(0, wait=False)) is not None:
            self.service.ended(job, self._worker.perform(job), 0.0)

    def _edit(self, name: str, number: int, value: str) -> None:
        with closing(sqlite3.connect(self._folder / f"{name}.db")) as base:
            base.execute("UPDATE people SET name=? WHERE email=?", (value, f"p{number}@x.example"))
            base.commit()

    def _hint(self, number: int) -> None:
        told = Told(system="one", event=f"{number}", at=self.clock.now(), records=[("people", Side.LEFT, str(number))])
        with closing(Store.open(self.service.config.state, now=self.clock.now())) as store:
            store.hints.add([told])
        self.service.told(["people"])

    def _reload(self) -> None:
        config = self._load()
        with closing(Store.open(config.state, now=self.clock.now())) as store:
            self.service.adopt(config, known=known_of(store, config.pairs))
        self._worker.close()
        self._worker = Worker(self._open, self.service.is_stopping, set())

    def settle(self) -> None:
        """A last run with nobody editing."""
        for _ in range(3):
            self.clock.time += 2 * DAY
            self.service.tick()
            self._work()

    def sides(self) -> list[list[tuple[str, str]]]:
        found = []
        for name in ("one", "two"):
            with closing(sqlite3.connect(self._folder / f"{name}.db")) as base:
                found.append(base.execute("SELECT email, name FROM people ORDER BY email").fetchall())
        return found

    def look(self, began: float) -> Look:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return Look(
            day=(self.clock.time - began) / DAY,
            runs=self.runs,
            memory=pages * 4096,
            files=len(list(Path("/proc/self/fd").iterdir())),
            threads=threading.active_count(),
            objects=len(gc.get_objects()),
            state=(self._folder / "state.db").stat().st_size,
        )

    def close(self) -> None:
        self._worker.close()
        self._chores.close()


def lived(folder: Path, *, days: float, hours: float, keep: float) -> tuple[Life, list[Look]]:
    """A life of so many days, with a run every so many hours; what was kept is dropped after `keep` days."""
    life = Life(folder, hours=hours, keep=keep)
    try:
        steps = int(days * 24 / hours)
        looks, began = [], life.clock.time
        for number in range(steps):
            life.step(hours * 3600.0, number)
            if number % (steps // LOOKS) == steps // LOOKS - 1:
                looks.append(life.look(began))
        life.settle()
    finally:
        life.close()
    return life, looks


def faults(looks: Sequence[Look]) -> list[str]:
    """What grew from the second look to the last, beyond what allocators and pages of a file round up to."""
    first, last = looks[1], looks[-1]
    allowed = {"files": 0, "threads": 0, "memory": 4 * 2**20, "objects": 2_000, "state": 256 * 2**10}
    return [
        f"{name}: {getattr(first, name):,} -> {getattr(last, name):,}"
        for name, more in allowed.items()
        if getattr(last, name) > getattr(first, name) + more
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 2)[1])
    parser.add_argument("--days", type=float, default=365)
    parser.add_argument("--hours", type=float, default=1, help="hours between two runs")
    given = parser.parse_args()
    configure(level=Level.ERROR)
    began = perf_counter()
    with tempfile.TemporaryDirectory() as name:
        life, looks = lived(Path(name), days=given.days, hours=given.hours, keep=given.days / 12)
        one, two = life.sides()
    for look in looks:
        print(
            f"day {look.day:5.0f}  {look.runs:6} runs  {look.memory / 2**20:6.1f} MiB  {look.files:3} files  {look.threads} threads  "
            f"{look.objects:8,} objects  state {look.state / 2**20:6.2f} MiB"
        )
    print(f"both sides hold the same {len(one)} people" if one == two else "THE SIDES DIFFER")
    print(f"{life.failures} of {life.runs} runs failed, all in outages; {perf_counter() - began:.0f} s")
    grown = faults(looks)
    print("\n".join(f"GREW  {fault}" for fault in grown) or "nothing grew")
    sys.exit(bool(grown) or one != two)


if __name__ == "__main__":
    main()
