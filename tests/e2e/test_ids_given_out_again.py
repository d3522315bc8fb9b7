"""Files and SQLite give the highest id out again: the newcomer must not be taken for the one who left."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from syncengine.app import App
from syncengine.config import load
from syncengine.registry import Registry

CONFIG = """
state = "state.db"
[systems.files]
connector = "csv"
path = "people.csv"
[systems.office]
connector = "sql"
url = "sqlite:///office.db"
[pairs.people]
left = "files.people"
right = "office.people"
match = "email"
deletes = "propagate"
[pairs.people.fields]
email = "email"
name = "name"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pair.toml").write_text(CONFIG)
    (tmp_path / "people.csv").write_text("id,email,name\n" + "".join(f"{n},p{n}@example.com,P{n}\n" for n in range(1, 9)))
    database = sqlite3.connect(tmp_path / "office.db")
    database.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT, name TEXT)")
    database.close()
    return tmp_path


def sync(folder: Path) -> None:
    with App.open(load(folder / "pair.toml", environ={}, registry=Registry.installed())) as app:
        (report,) = app.sync()
    assert not report.error


def names(folder: Path) -> tuple[list[str], list[str]]:
    left = [line.split(",")[2] for line in (folder / "people.csv").read_text().splitlines()[1:]]
    database = sqlite3.connect(folder / "office.db")
    right = [row[0] for row in database.execute("SELECT name FROM people")]
    database.close()
    return sorted(left), sorted(right)


EXPECTED = sorted([*(f"P{n}" for n in range(1, 8)), "New"])


def assert_told_apart(folder: Path) -> None:
    """A new line in the file becomes a row of its own, and the one that is gone goes from the file."""
    with (folder / "people.csv").open("a") as file:
        file.write(",new@example.com,New\n")
    for _ in range(3):
        sync(folder)
    assert names(folder) == (EXPECTED, EXPECTED)


def test_a_row_made_under_the_id_of_a_row_deleted_in_the_same_run(folder: Path) -> None:
    sync(folder)
    database = sqlite3.connect(folder / "office.db")
    with database:
        database.execute("DELETE FROM people WHERE name='P8'")
    database.close()
    assert_told_apart(folder)


def test_a_row_without_id_that_is_given_the_id_of_a_removed_row(folder: Path) -> None:
    sync(folder)
    lines = (folder / "people.csv").read_text().splitlines(keepends=True)
    (folder / "people.csv").write_text("".join(lines[:-1]) + ",new@example.com,New\n")
    for _ in range(3):
        sync(folder)
    assert names(folder) == (EXPECTED, EXPECTED)


def test_a_row_made_under_the_id_of_a_row_that_is_deleted_right_before(folder: Path) -> None:
    """A trigger stands for whoever deletes a row between the listing of a run and its write."""
    sync(folder)
    database = sqlite3.connect(folder / "office.db")
    database.execute(
        "CREATE TRIGGER deleting BEFORE INSERT ON people WHEN new.name='New' BEGIN DELETE FROM people WHERE name='P8'; END"
    )
    database.close()
    assert_told_apart(folder)
    database = sqlite3.connect(folder / "office.db")
    assert database.execute("SELECT id FROM people WHERE name='New'").fetchone() == (8,)
    database.close()
