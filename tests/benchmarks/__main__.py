"""
Benchmarks: ratios against a baseline measured in the same run on the same machine. Not part of the test suite.

    python -m tests.benchmarks [--records 100000] [--keep]

The floor is a bare loop that reads both sides, encodes every row (orjson) and hashes it (blake2b-16); the bulk baseline is a blind
upsert of the same rows. Every phase runs in a process of its own, so that its CPU time and peak memory are its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import orjson

COLUMNS = (
    "id", "email", "first_name", "last_name", "phone", "company", "city", "country", "title", "score", "note", "updated",
)  # fmt: skip

CONFIG = """
state = "state.db"
[systems.one]
connector = "sql"
url = "sqlite:///left.db"
[systems.two]
connector = "sql"
url = "sqlite:///right.db"
[pairs.people]
left = "one.people"
right = "two.people"
match = "email"
[pairs.people.guards]
updates = { share = "100%", number = 100000000 }
creates = { share = "100%", number = 100000000 }
[pairs.people.fields]
"""


def make(path: Path, records: int) -> None:
    """A table of people with 12 columns of about 200 bytes."""
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT UNIQUE, first_name TEXT, last_name TEXT, phone TEXT, "
            "company TEXT, city TEXT, country TEXT, title TEXT, score INTEGER, note TEXT, updated TEXT)"
        )
        connection.executemany("INSERT INTO people VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", (row(number) for number in range(records)))
    connection.close()


def row(number: int) -> tuple[object, ...]:
    return (
        number + 1, f"person{number:08d}@example.com", f"First{number % 5000}", f"Last{number % 9000}",
        f"+1 555 {number:07d}", f"Company {number % 700} Ltd", f"City {number % 300}", "Germany", "Head of Something",
        number % 100, "a short note about this person", "2026-01-01T00:00:00Z",
    )  # fmt: skip


def floor(folder: Path) -> None:
    """Read both sides, encode, hash."""
    for name in ("left.db", "right.db"):
        connection = sqlite3.connect(folder / name)
        cursor = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM people ORDER BY id")
        while rows := cursor.fetchmany(2000):
            for each in rows:
                blake2b(orjson.dumps(each), digest_size=16).digest()
        connection.close()


def bulk(folder: Path) -> None:
    """A blind upsert of every row of the left into an empty table."""
    source = sqlite3.connect(folder / "left.db")
    with sqlite3.connect(folder / "bulk.db") as target:
        target.execute(
            "CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT UNIQUE, first_name TEXT, last_name TEXT, phone TEXT, "
            "company TEXT, city TEXT, country TEXT, title TEXT, score INTEGER, note TEXT, updated TEXT)"
        )
        target.executemany(
            f"INSERT INTO people ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * 12)}) ON CONFLICT (id) DO UPDATE SET email=excluded.email",
            source.execute(f"SELECT {', '.join(COLUMNS)} FROM people"),
        )
    target.close()
    source.close()


def sync(folder: Path) -> None:
    """One run of the engine, as the command line makes it."""
    from syncengine.app import App
    from syncengine.config import load
    from syncengine.heap import spare_the_collector
    from syncengine.log import configure
    from syncengine.registry import Registry

    configure()
    spare_the_collector()
    with App.open(load(folder / "bench.toml", environ={}, registry=Registry.installed())) as app:
        (report,) = app.sync()
    print(json.dumps({"written": dict(report.written), "error": report.error, "refused": [t.message for t in report.refused]}))


PHASES: dict[str, Callable[[Path], None]] = {"floor": floor, "bulk": bulk, "sync": sync, "start": lambda _: None}


def measure(phase: str, folder: Path) -> dict[str, float]:
    """CPU seconds, wall seconds and peak megabytes of one phase in a fresh process."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", "--phase", phase, "--folder", str(folder)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    figures = json.loads(done.stdout.splitlines()[-1])
    figures["wall"] = time.monotonic() - started
    if len(done.stdout.splitlines()) > 1:
        told = json.loads(done.stdout.splitlines()[-2])
        if told["error"] or told["refused"]:
            raise SystemExit(f"{phase}: {told}")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--phase", choices=sorted(PHASES))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    if arguments.phase:
        before = resource.getrusage(resource.RUSAGE_SELF)
        if arguments.profile:
            import cProfile

            cProfile.runctx("PHASES[arguments.phase](arguments.folder)", globals(), locals(), sort="tottime")
            return
        PHASES[arguments.phase](arguments.folder)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu = usage.ru_utime + usage.ru_stime - before.ru_utime - before.ru_stime
        print(json.dumps({"cpu": cpu, "peak": usage.ru_maxrss / 1024}))
        return
    folder = Path(tempfile.mkdtemp(prefix="syncengine-bench-"))
    fields = "\n".join(f'{name} = "{name}"' for name in COLUMNS if name != "id")
    (folder / "bench.toml").write_text(CONFIG + fields)
    records = arguments.records
    make(folder / "left.db", records)
    make(folder / "right.db", 0)
    results: dict[str, dict[str, float]] = {}
    results["blind bulk upsert"] = measure("bulk", folder)
    results["first sync"] = measure("sync", folder)
    results["floor loop"] = measure("floor", folder)
    results["nothing changed"] = measure("sync", folder)
    connection = sqlite3.connect(folder / "left.db")
    with connection:
        connection.execute("UPDATE people SET phone = '+49 30 ' || id WHERE id % 100 = 0")
    connection.close()
    results["1 % changed"] = measure("sync", folder)
    bases = {
        "first sync": ("blind bulk upsert", 6.0),
        "nothing changed": ("floor loop", 1.5),
        "1 % changed": ("nothing changed", 1.4),
    }
    print(f"{records} records a side, CPU seconds")
    for name, figures in results.items():
        line = f"{name:20} {figures['cpu']:8.2f} s cpu {figures['wall']:8.2f} s wall {figures['peak']:8.1f} MB"
        if name in bases:
            base, budget = bases[name]
            line += f"   {figures['cpu'] / results[base]['cpu']:5.2f} x {base} (aim {budget})"
        print(line, flush=True)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
