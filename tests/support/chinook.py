"""The Chinook tables as a CSV folder and as database tables, and a reader of each that shares no code with the engine."""

from __future__ import annotations

import csv
import shutil
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.support.databases import TestDatabase

SOURCE = Path(__file__).parents[3] / "shared" / "data" / "chinook"

CONFIG = """
state = "state.db"

[systems.files]
connector = "csv"
path = "files"

[systems.base]
connector = "sql"
url = "{url}"

[pairs.employees]
left = "files.employees"
right = "base.employees"
match = "email"
deletes = "propagate"
[pairs.employees.fields]
email = "email"
first_name = "first_name"
last_name = "last_name"
title = "title"
phone = "phone"
birth_date = {{ left = "birth_date", right = "birth_date", as = "datetime", timezone = "UTC" }}
city = "city"
country = "country"
manager = {{ left = "reports_to_id", right = "reports_to_id", references = "employees" }}

[pairs.customers]
left = "files.customers"
right = "base.customers"
match = "email"
deletes = "propagate"
[pairs.customers.fields]
email = "email"
first_name = "first_name"
last_name = "last_name"
company = "company"
phone = "phone"
address = "address"
city = "city"
state = "state"
postal_code = "postal_code"
country = "country"
support = {{ left = "support_rep_id", right = "support_rep_id", references = "employees" }}

[pairs.artists]
left = "files.artists"
right = "base.artists"
match = "name"
deletes = "propagate"
[pairs.artists.fields]
name = "name"

[pairs.albums]
left = "files.albums"
right = "base.albums"
match = ["name", "artist"]
deletes = "propagate"
[pairs.albums.fields]
name = "name"
artist = {{ left = "artist_id", right = "artist_id", references = "artists" }}

[pairs.tracks]
left = "files.tracks"
right = "base.tracks"
match = ["name", "album"]
deletes = "propagate"
[pairs.tracks.fields]
name = "name"
album = {{ left = "album_id", right = "album_id", references = "albums" }}
composer = "composer"
milliseconds = {{ left = "milliseconds", right = "milliseconds", as = "integer" }}
bytes = {{ left = "bytes", right = "bytes", as = "integer" }}
unit_price = {{ left = "unit_price", right = "unit_price", as = "decimal(2)" }}
"""

TABLES = ("employees", "customers", "artists", "albums", "tracks")


def tables() -> sa.MetaData:
    """The database side, with foreign keys and types of its own."""
    meta = sa.MetaData()

    def text(name: str, size: int = 200, **options: Any) -> sa.Column[Any]:
        return sa.Column(name, sa.String(size), **options)

    def key() -> sa.Column[Any]:
        return sa.Column("id", sa.Integer, primary_key=True, autoincrement=True)

    sa.Table(
        "employees", meta, key(), text("email", nullable=False), text("first_name"), text("last_name"), text("title"), text("phone"),
        sa.Column("birth_date", sa.DateTime), text("city"), text("country"),
        sa.Column("reports_to_id", sa.Integer, sa.ForeignKey("employees.id")),
    )  # fmt: skip
    sa.Table(
        "customers", meta, key(), text("email", nullable=False), text("first_name"), text("last_name"), text("company"), text("phone"),
        text("address"), text("city"), text("state"), text("postal_code"), text("country"),
        sa.Column("support_rep_id", sa.Integer, sa.ForeignKey("employees.id")),
    )  # fmt: skip
    sa.Table("artists", meta, key(), text("name", 250, nullable=False))
    sa.Table(
        "albums", meta, key(), text("name", 250, nullable=False),
        sa.Column("artist_id", sa.Integer, sa.ForeignKey("artists.id"), nullable=False),
    )  # fmt: skip
    sa.Table(
        "tracks", meta, key(), text("name", 250, nullable=False), sa.Column("album_id", sa.Integer, sa.ForeignKey("albums.id"), nullable=False),
        text("composer", 400), sa.Column("milliseconds", sa.Integer), sa.Column("bytes", sa.Integer), sa.Column("unit_price", sa.Numeric(10, 2)),
    )  # fmt: skip
    return meta


def make(folder: Path, database: TestDatabase, *, tracks: int | None = None) -> Path:
    """A folder with the CSV files, empty tables in the database, and the config; `tracks` limits the largest table."""
    files = folder / "files"
    files.mkdir(parents=True)
    for name in TABLES:
        shutil.copy(SOURCE / f"{name}.csv", files / f"{name}.csv")
        (files / f"{name}.csv").chmod(0o644)
    if tracks is not None:
        lines = (files / "tracks.csv").read_text(encoding="utf-8").splitlines(keepends=True)
        (files / "tracks.csv").write_text("".join(lines[: tracks + 1]), encoding="utf-8")
    tables().create_all(database.engine)
    config = folder / "chinook.toml"
    config.write_text(CONFIG.format(url=database.url), encoding="utf-8")
    return config


def rows_of_files(folder: Path) -> dict[str, list[dict[str, str]]]:
    """The CSV side, read by the csv module."""
    found = {}
    for name in TABLES:
        with (folder / "files" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            found[name] = list(csv.DictReader(file))
    return found


def rows_of_base(database: TestDatabase) -> dict[str, list[dict[str, Any]]]:
    """The database side, read by plain SELECTs."""
    with database.engine.connect() as connection:
        return {
            name: [dict(row._mapping) for row in connection.execute(sa.select(table))] for name, table in tables().tables.items()
        }


def plain(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[tuple[Any, ...]]]:
    """Both sides in one form, references replaced by what they point to, so that two sides with ids of their own compare equal."""
    names = {name: {str(row["id"]): row for row in rows} for name, rows in tables.items()}

    def person(table: str, id_: Any) -> str:
        return names[table][str(id_)]["email"] if id_ not in (None, "") else ""

    def album(id_: Any) -> tuple[str, str]:
        row = names["albums"][str(id_)]
        return row["name"], names["artists"][str(row["artist_id"])]["name"]

    def text(value: Any) -> str:
        return "" if value is None else str(value)

    def moment(value: Any) -> str:
        return text(value).replace("T", " ").removesuffix("Z").removesuffix("+00:00")

    return {
        "employees": sorted(
            (row["email"], text(row["first_name"]), text(row["last_name"]), text(row["title"]), text(row["phone"]),
             moment(row["birth_date"]), text(row["city"]), person("employees", row["reports_to_id"]))
            for row in tables["employees"]
        ),
        "customers": sorted(
            (row["email"], *(text(row[name]) for name in ("first_name", "last_name", "company", "phone", "address", "city",
             "state", "postal_code", "country")), person("employees", row["support_rep_id"]))
            for row in tables["customers"]
        ),
        "artists": sorted((row["name"],) for row in tables["artists"]),
        "albums": sorted((row["name"], names["artists"][str(row["artist_id"])]["name"]) for row in tables["albums"]),
        "tracks": sorted(
            (row["name"], *album(row["album_id"]), text(row["composer"]), int(row["milliseconds"] or 0), int(row["bytes"] or 0),
             text(row["unit_price"]))
            for row in tables["tracks"]
        ),
    }  # fmt: skip


def fill(database: TestDatabase, *, tracks: int) -> None:
    """The tables of the CSV files, loaded into a database without the engine; `tracks` limits the largest."""
    with database.engine.begin() as connection:
        for name, table in tables().tables.items():
            with (SOURCE / f"{name}.csv").open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))[: tracks if name == "tracks" else None]
            wanted = {column.name: column for column in table.columns}
            connection.execute(
                sa.insert(table),
                [{key: _typed(wanted[key], value) for key, value in row.items() if key in wanted} for row in rows],
            )


def _typed(column: sa.Column[Any], text: str) -> Any:
    if not text:
        return None
    if isinstance(column.type, sa.DateTime):
        return datetime.fromisoformat(text).replace(tzinfo=None)
    if isinstance(column.type, sa.Integer):
        return int(text)
    return Decimal(text) if isinstance(column.type, sa.Numeric) else text
