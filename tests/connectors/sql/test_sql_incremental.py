"""Incremental reads on real clocks: nothing is missed, whoever wrote it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from syncengine.connector import Archive, Create, Delete, Update
from syncengine.errors import CursorExpired
from tests.connectors.sql.sqltables import STAMP, ago, last_cursor, listed, made, people, written


@pytest.fixture
def stamped(database):
    """A table whose column `changed` tells when a row was changed."""
    people(database, f"changed {STAMP[database.kind]}")
    return database


def test_our_own_writes_stamp_the_row(stamped, connect):
    """Creates, updates and what an upsert meets carry the database's clock, and come with the next read."""
    connector = connect(stamped, updated_at="changed", overlap=0)
    (first,) = made(connector, "people", {"name": "a"})
    cursor = last_cursor(connector, "people")
    stamped.execute(f"UPDATE people SET changed = {ago(stamped, 3600)}")

    (outcome,) = connector.write("people", [Update(key="1", id=first, fields={"name": "b"})])
    (second,) = made(connector, "people", {"name": "c"})

    assert set(listed(connector, "people", "name", cursor=cursor)) == {first, second}
    answer = connector.get("people", [first], fields=["changed"])[0]
    ((now,),) = stamped.rows(f"SELECT {ago(stamped, 0)}")
    clock = datetime.fromisoformat(now) if isinstance(now, str) else now
    clock = clock.astimezone(UTC) if clock.tzinfo else clock.replace(tzinfo=UTC)
    assert timedelta() <= clock - answer.modified_at < timedelta(seconds=30)
    assert written(outcome).record["changed"] is not None
    assert connector.resources()["people"].fields["changed"].read_only


@pytest.mark.parametrize("page_size", [1, 2, 3, 100])
def test_rows_of_one_instant_are_all_delivered(stamped, connect, page_size):
    """Ties do not fall between two pages, nor between two reads."""
    connector = connect(stamped, updated_at="changed", page_size=page_size, overlap=0)
    stamped.execute(*(f"INSERT INTO people (name, changed) VALUES ('n{n}', {ago(stamped, 100)})" for n in range(3)))
    stamped.execute("UPDATE people SET changed = (SELECT c FROM (SELECT max(changed) AS c FROM people) AS newest)")
    cursor = last_cursor(connector, "people")
    stamped.execute(
        *("INSERT INTO people (name, changed) SELECT 'late', max(changed) FROM people" for _ in range(4)),
    )

    pages = list(connector.read("people", fields=["name"], cursor=cursor))

    assert {id for page in pages for id in page.ids} >= {"4", "5", "6", "7"}
    assert not any(page.complete for page in pages)
    assert [page.cursor is not None for page in pages] == [False] * (len(pages) - 1) + [True]


def test_a_transaction_that_commits_late_is_not_missed(stamped, connect):
    """A row stamped before a read and committed after it comes with the next read, within the overlap."""
    if stamped.kind == "sqlite":
        stamped.execute("PRAGMA journal_mode = WAL")
    connector = connect(stamped, updated_at="changed", overlap=30)
    made(connector, "people", {"name": "a"})
    with stamped.engine.connect() as late:
        late.exec_driver_sql(f"INSERT INTO people (name, changed) VALUES ('late', {ago(stamped, 20)})")
        cursor = last_cursor(connector, "people")
        late.commit()

    assert "late" in [row["name"] for row in listed(connector, "people", "name", cursor=cursor).values()]


def test_only_what_changed_is_read(stamped, connect):
    """Rows older than the overlap stay away, and do so once nothing new has come."""
    connector = connect(stamped, updated_at="changed", overlap=10)
    stamped.execute(*(f"INSERT INTO people (name, changed) VALUES ('old', {ago(stamped, n)})" for n in (100, 200, 300)))
    stamped.execute(f"INSERT INTO people (name, changed) VALUES ('new', {ago(stamped, 1)})")

    cursor = last_cursor(connector, "people")

    assert [row["name"] for row in listed(connector, "people", "name", cursor=cursor).values()] == ["new"]


def test_rows_without_a_stamp_are_always_read(stamped, connect):
    """NULL in the column means that nobody knows when the row changed."""
    connector = connect(stamped, updated_at="changed", overlap=0)
    made(connector, "people", {"name": "a"})
    cursor = last_cursor(connector, "people")
    stamped.execute("INSERT INTO people (name) VALUES ('unstamped')")

    found = list(connector.read("people", fields=["name"], cursor=cursor))

    assert ("unstamped",) in [row for page in found for row in page.rows]
    assert None in [time for page in found for time in page.modified_at or ()]


def test_archived_rows_come_as_deletions(stamped, connect):
    """Listed in `Page.deleted`, not among the rows; so do rows that another program archived and stamped."""
    stamped.execute("ALTER TABLE people ADD COLUMN gone integer")
    connector = connect(stamped, updated_at="changed", archived_at="gone", page_size=2)
    ids = made(connector, "people", *({"name": f"n{n}"} for n in range(5)))
    cursor = last_cursor(connector, "people")
    connector.write("people", [Archive(key="1", id=ids[0])])
    stamped.execute(f"UPDATE people SET gone = 1, changed = {ago(stamped, 0)} WHERE id = {ids[1]}")

    pages = list(connector.read("people", fields=["name"], cursor=cursor))

    assert {id for page in pages for id in page.deleted} == set(ids[:2])
    assert {id for page in pages for id in page.ids} == set(ids[2:])
    assert all(len(page.rows) == len(page.ids) == len(page.modified_at or ()) for page in pages)


def test_a_row_deleted_for_good_leaves_no_trace(stamped, connect):
    """So deletions are not declared to be reported, and a note says who sees them."""
    connector = connect(stamped, updated_at="changed")
    (id,) = made(connector, "people", {"name": "a"})
    cursor = last_cursor(connector, "people")
    connector.write("people", [Delete(key="1", id=id)])

    (page,) = connector.read("people", fields=["name"], cursor=cursor)

    assert (page.ids, page.deleted) == ([], ())
    assert not connector.resources()["people"].capabilities.reports_deletions
    assert any("full sweep" in note for note in connector.resources()["people"].notes)


def test_without_updated_at_there_is_no_cursor(stamped, connect):
    """A cursor from another time is refused, and a note says what it costs."""
    connector = connect(stamped)
    cursor = last_cursor(connect(stamped, updated_at="changed"), "people")

    assert last_cursor(connector, "people") is None
    assert any("reads the whole table" in note for note in connector.resources()["people"].notes)
    with pytest.raises(CursorExpired):
        connector.read("people", fields=[], cursor=cursor)


def test_local_times_are_read_in_the_zone_that_is_named(database, connect):
    """A column without offsets, in the zone of the option: what is delivered, and what our own writes put there."""
    people(database, f"changed {'timestamp' if database.kind == 'postgres' else 'datetime'}")
    connector = connect(database, updated_at="changed", timezone="Asia/Kolkata")
    database.execute("INSERT INTO people (name, changed) VALUES ('a', '2024-01-05 10:00:00')")

    (page,) = connector.read("people", fields=["name"])
    (id,) = made(connector, "people", {"name": "b"})
    (answer,) = connector.get("people", [id], fields=["changed"])

    assert page.modified_at == [datetime(2024, 1, 5, 4, 30, tzinfo=UTC)]
    local = answer.fields["changed"].replace(tzinfo=UTC)
    assert local - answer.modified_at == timedelta(hours=5, minutes=30)


@pytest.mark.mariadb
def test_an_instant_is_no_local_time(servers, connect):
    """MariaDB's TIMESTAMP is an instant: the zone that is named for local times does not move it."""
    database = servers("mariadb")
    people(database, "changed timestamp(3) NULL")
    connector = connect(database, updated_at="changed", timezone="Asia/Kolkata", overlap=0)
    (id,) = made(connector, "people", {"name": "a"})
    (answer,) = connector.get("people", [id], fields=["changed"])
    ((seconds,),) = database.rows("SELECT unix_timestamp(changed) FROM people")

    assert answer.fields["changed"] == answer.modified_at == datetime.fromtimestamp(float(seconds), UTC)
    assert set(listed(connector, "people", cursor=last_cursor(connector, "people"))) == {id}


def test_texts_with_offsets_of_their_own_need_whole_listings(sqlite_url, connect):
    """SQLite compares texts: where times are written under another offset, no cursor is minted."""
    from sqlalchemy import create_engine

    engine = create_engine(sqlite_url)
    with engine.begin() as raw:
        raw.exec_driver_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, changed TEXT)")
        raw.exec_driver_sql("INSERT INTO t VALUES (1, '2024-01-05T10:00:00Z'), (2, '2024-01-05 10:00:00')")
    connector = connect(sqlite_url, updated_at="changed")
    with_utc = last_cursor(connector, "t")
    with engine.begin() as raw:
        raw.exec_driver_sql("INSERT INTO t VALUES (3, '2024-01-05T10:00:00-05:00')")
    engine.dispose()

    assert with_utc is not None
    assert last_cursor(connector, "t") is None


def test_numbers_among_texts_are_always_read(sqlite_url, connect):
    """SQLite sorts numbers below texts: a row stamped with seconds since 1970 is delivered each time, never missed."""
    from sqlalchemy import create_engine

    engine = create_engine(sqlite_url)
    with engine.begin() as raw:
        raw.exec_driver_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, changed DATETIME)")
        raw.exec_driver_sql("INSERT INTO t VALUES (1, '2024-01-05 10:00:00'), (2, 1700000000), (3, 1.5)")
    engine.dispose()
    connector = connect(sqlite_url, updated_at="changed")

    assert set(listed(connector, "t", cursor=last_cursor(connector, "t"))) == {"2", "3"}


def test_an_upsert_stamps_too(stamped, connect):
    """A row met by a create is a changed row."""
    stamped.execute("CREATE UNIQUE INDEX by_name ON people (name)")
    connector = connect(stamped, updated_at="changed", overlap=0)
    (id,) = made(connector, "people", {"name": "a"})
    stamped.execute(f"UPDATE people SET changed = {ago(stamped, 3600)}")
    cursor = last_cursor(connector, "people")

    (outcome,) = connector.write("people", [Create(key="1", fields={"name": "a"}, upsert_on="name")])

    assert (outcome.id, outcome.met) == (id, True)
    assert set(listed(connector, "people", cursor=cursor)) == {id}
