"""A folder with a CSV file, a database and a config that keeps them the same, edited as people and their programs would."""

from __future__ import annotations

import csv
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from syncengine.app import App
from syncengine.config import load
from syncengine.registry import Registry
from syncengine.store import care
from syncengine.store.invariants import Gravity
from tests.support.zygote import Zygote

FIELDS = ("ref", "email", "name", "phone", "note")
CONFIG = """
state = "{state}"
[systems.files]
connector = "csv"
path = "files"
[systems.office]
connector = "sql"
url = "sqlite:///office.db"
[pairs.people]
left = "files.people"
right = "office.people"
match = "email"
deletes = "propagate"
[pairs.people.fields]
ref = "ref"
email = "email"
name = "name"
phone = "phone"
note = "note"
[pairs.people.guards]
deletes = "100%"
updates = "100%"
creates = "100%"
"""


class Town:
    """The folder; `ref` is what a person is known by. `state` names the state file."""

    def __init__(self, folder: Path, *, state: str = "state.db") -> None:
        self.folder = folder
        self.state = folder / state
        (folder / "files").mkdir(parents=True)
        (folder / "syncengine.toml").write_text(CONFIG.format(state=state))
        self._build()

    def _build(self) -> None:
        """Make both sides, empty."""
        self.write_left([])
        self._build_right()

    def _build_right(self) -> None:
        folder = self.folder
        with closing(sqlite3.connect(folder / "office.db")) as base, base:
            columns = ", ".join(f"{name} TEXT" for name in FIELDS)
            base.execute(f"CREATE TABLE people (id INTEGER PRIMARY KEY AUTOINCREMENT, {columns})")

    def close(self) -> None:
        """A town of files needs no closing."""

    def sync(self, zygote: Zygote, *, delay: float | None = None) -> dict[str, Any]:
        """The command, killed after `delay` seconds, unless that is None."""
        return zygote.command(self.folder, "sync", "--json", delay=delay)

    def sync_until(self, zygote: Zygote, point: int) -> dict[str, Any]:
        """A sync that kills itself at an exact point."""
        return zygote.sync_until(self.folder, point)

    def left(self) -> list[dict[str, str]]:
        with (self.folder / "files" / "people.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def write_left(self, rows: list[dict[str, str]]) -> None:
        with (self.folder / "files" / "people.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ("id", *FIELDS), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)

    def right(self) -> list[dict[str, str]]:
        with closing(sqlite3.connect(self.folder / "office.db")) as base:
            rows = base.execute(f"SELECT {', '.join(FIELDS)} FROM people")
            return [{name: value or "" for name, value in zip(FIELDS, row, strict=True)} for row in rows]

    def add(self, side: str, person: dict[str, str]) -> None:
        if side == "left":
            self.write_left([*self.left(), {"id": "", **person}])
            return
        with closing(sqlite3.connect(self.folder / "office.db")) as base, base:
            base.execute(f"INSERT INTO people ({', '.join(FIELDS)}) VALUES (?,?,?,?,?)", [person[name] for name in FIELDS])

    def edit(self, side: str, ref: str, **changes: str) -> None:
        if side == "left":
            rows = self.left()
            assert any(row["ref"] == ref for row in rows), ref
            self.write_left([row | changes if row["ref"] == ref else row for row in rows])
            return
        with closing(sqlite3.connect(self.folder / "office.db")) as base, base:
            for name, value in changes.items():
                assert base.execute(f"UPDATE people SET {name}=? WHERE ref=?", (value, ref)).rowcount == 1, ref

    def remove(self, side: str, ref: str) -> None:
        if side == "left":
            self.write_left([row for row in self.left() if row["ref"] != ref])
            return
        with closing(sqlite3.connect(self.folder / "office.db")) as base, base:
            base.execute("DELETE FROM people WHERE ref=?", (ref,))

    def answer(self) -> int:
        """A person answers every question: the left is right."""
        registry = Registry.installed()
        with App.open(load(self.folder / "syncengine.toml", environ={}, registry=registry), registry=registry) as app:
            entries = app.desk.conflicts()
            for entry in entries:
                app.desk.resolve(entry.id, "left")
        return len(entries)

    def sides(self) -> dict[str, dict[str, dict[str, str]]]:
        """What both sides hold by ref; fails where somebody is there twice."""
        found = {}
        for side, rows in (("left", self.left()), ("right", self.right())):
            counts = Counter(row["ref"] for row in rows)
            assert max(counts.values(), default=1) == 1, f"doubled on the {side}: {[ref for ref in counts if counts[ref] > 1]}"
            found[side] = {row["ref"]: {name: row[name] for name in FIELDS} for row in rows}
        return found

    def faults(self) -> list[str]:
        return [finding.text for finding in care.check(self.state, now=0.0) if finding.gravity is Gravity.FAULT]
