"""Chinook pushed to the Records API and back into an empty database: customers, companies, artists, albums; read by others than us."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import phonenumbers
import pytest

from syncengine.engine.report import Exit
from tests.support import chinook
from tests.support.databases import TestDatabase, sqlite_database
from tests.support.records import COMPANIES, CONTACTS, Shop

pytestmark = pytest.mark.skipif(not chinook.SOURCE.exists(), reason=f"the Chinook tables are not at {chinook.SOURCE}")

ALBUMS = 200
REFUSED = "kara.nielsen@jubii.dk"

PAIRS = """
[pairs.companies]
left = "crm.companies_company"
right = "office.companies"
match = "name"
[pairs.companies.fields]
name = "name"

[pairs.customers]
left = "crm.client_client"
right = "office.customers"
match = "email"
[pairs.customers.fields]
email = "email"
first_name = "first_name"
last_name = "last_name"
phone = { left = "business_phone", right = "phone", as = "phone" }
city = "city"
country = "country"
company = { left = "company_primary", right = "company_id", references = "companies" }

[pairs.artists]
left = "crm.artists"
right = "office.artists"
match = "name"
[pairs.artists.fields]
name = "name"

[pairs.albums]
left = "crm.albums"
right = "office.albums"
match = "name"
[pairs.albums.fields]
name = "name"
artist = { left = "artist", right = "artist_id", references = "artists" }
"""

TABLES = (
    "CREATE TABLE companies (id INTEGER PRIMARY KEY, name VARCHAR(200) NOT NULL)",
    "CREATE TABLE customers (id INTEGER PRIMARY KEY, email VARCHAR(200), first_name VARCHAR(100), last_name VARCHAR(100), "
    "phone VARCHAR(40), city VARCHAR(100), country VARCHAR(100), company_id INTEGER REFERENCES companies (id))",
    "CREATE TABLE artists (id INTEGER PRIMARY KEY, name VARCHAR(250) NOT NULL)",
    "CREATE TABLE albums (id INTEGER PRIMARY KEY, name VARCHAR(250) NOT NULL, artist_id INTEGER REFERENCES artists (id))",
)


def source(name: str) -> list[dict[str, str]]:
    with (chinook.SOURCE / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def fill(database: TestDatabase) -> None:
    """Chinook as the office has it: the companies of its customers in a table of their own, some of its albums."""
    customers, albums = source("customers"), source("albums")[:ALBUMS]
    names = sorted({one["company"] for one in customers} - {""})
    wanted = {one["artist_id"] for one in albums}
    artists = [one for one in source("artists") if one["id"] in wanted]
    with database.engine.begin() as connection:
        for statement in TABLES:
            connection.exec_driver_sql(statement)
        run = connection.exec_driver_sql
        run("INSERT INTO companies VALUES (?, ?)", list(enumerate(names, start=1)))
        run(
            "INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    int(one["id"]), one["email"], one["first_name"], one["last_name"], one["phone"] or None, one["city"] or None,
                    one["country"] or None, names.index(one["company"]) + 1 if one["company"] else None,
                )
                for one in customers
            ],
        )  # fmt: skip
        run("INSERT INTO artists VALUES (?, ?)", [(int(one["id"]), one["name"]) for one in artists])
        run("INSERT INTO albums VALUES (?, ?, ?)", [(int(one["id"]), one["name"], int(one["artist_id"])) for one in albums])


def dialled(phone: Any) -> str:
    """A phone number as a telephone dials it; Chinook writes them with and without the zero in brackets."""
    if not phone:
        return ""
    return phonenumbers.format_number(phonenumbers.parse(str(phone), "US"), phonenumbers.PhoneNumberFormat.E164)


def of_base(database: TestDatabase) -> dict[str, list[tuple[str, ...]]]:
    """The database by plain SELECTs, references replaced by what they point to."""
    text = lambda row: tuple("" if value is None else str(value) for value in row)  # noqa: E731
    customers = database.rows(
        "SELECT email, first_name, last_name, phone, city, country, c.name FROM customers LEFT JOIN companies c ON c.id = company_id"
    )
    return {
        "companies": sorted(map(text, database.rows("SELECT name FROM companies"))),
        "customers": sorted((*text(row[:3]), dialled(row[3]), *text(row[4:])) for row in customers),
        "artists": sorted(map(text, database.rows("SELECT name FROM artists"))),
        "albums": sorted(map(text, database.rows("SELECT b.name, a.name FROM albums b LEFT JOIN artists a ON a.id = artist_id"))),
    }


def of_crm(shop: Shop) -> dict[str, list[tuple[str, ...]]]:
    """The CRM through its own API, by a client that knows no more than its documentation."""
    with httpx.Client(base_url=f"{shop.server.url}/", headers=shop.server.credentials.headers) as client:

        def rows(object: str) -> Iterator[dict[str, Any]]:
            page = 1
            while True:
                answer = (
                    client.post(f"records/{object}/search", params={"page": page, "page_size": 100}, json={})
                    .raise_for_status()
                    .json()
                )
                for row in answer["results"]:
                    yield {field["name"]: field.get("value") for field in row["fields"].values()}
                if not answer["next"]:
                    return
                page += 1

        def name(value: Any) -> str:
            return str(value["name"]) if value else ""

        return {
            "companies": sorted((row["name"],) for row in rows(COMPANIES)),
            "customers": sorted(
                (
                    row["email"], row["first_name"] or "", row["last_name"] or "", dialled(row["business_phone"]), row["city"] or "",
                    row["country"] or "", name(row["company_primary"]),
                )
                for row in rows(CONTACTS)
            ),
            "artists": sorted((row["name"],) for row in rows("artists")),
            "albums": sorted((row["name"], name(row["artist"])) for row in rows("albums")),
        }  # fmt: skip


def test_chinook_goes_to_the_records_api_and_back(open_shop: Callable[..., Shop], tmp_path: Any) -> None:
    """The CRM holds what the office holds, an empty database gets the same from the CRM, and every second run is silent."""
    shop = open_shop(PAIRS)
    for object, fields in ((CONTACTS, ("City", "Country")), ("artists", ()), ("albums", ())):
        if object != CONTACTS:
            shop.server.add_object(object.title(), name=object)
        for label in fields:
            shop.server.add_field(object, label, "text")
    shop.server.add_field(
        "albums", "Artist", "relationship", name="artist", relation={"to": "artists", "type": "primary", "related_name": "Albums"}
    )
    fill(shop.database)
    first = shop.run()["customers"]
    # One number in Chinook is none: its row waits with the field's name, and everybody else arrives.
    assert [failure.partition(":")[0] for failure in first.failed] == [REFUSED]
    assert first.quarantined == 1
    assert len(shop.server.records(CONTACTS)) == len(source("customers")) - 1
    shop.sql(f"UPDATE customers SET phone = '+45 33 31 99 91' WHERE email = '{REFUSED}'")
    reports = shop.sync()
    expected = of_base(shop.database)
    assert {report.exit for report in reports.values()} == {Exit.DONE}
    assert of_crm(shop) == expected
    shop.assert_quiet()

    (tmp_path / "back").mkdir()
    with sqlite_database(tmp_path / "back") as empty:
        empty.execute(*TABLES)
        shop.database, shop.path = empty, tmp_path / "back" / "shop.toml"
        shop.configure(PAIRS)
        shop._office = lambda: sorted(of_base(empty).items())
        before = shop.server.requests.total
        assert {report.exit for report in shop.sync().values()} == {Exit.DONE}
        assert of_base(empty) == expected
        assert shop.server.requests.writes(after=before) == []
        shop.assert_quiet()
