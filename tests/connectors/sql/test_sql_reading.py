"""Listings, reads by id and searches by value."""

from __future__ import annotations

import pytest

from syncengine.connector import Create, Delete, Expected, Record, Tombstone, Update
from syncengine.errors import ResourceError
from tests.connectors.sql.sqltables import errors, listed, made, people, quoted, update, written

HOSTILE_NAMES = [
    'x"; DROP TABLE victim;--',
    "select",
    "with space",
    "per%cent %s %(x)s",
    "co:lon :bound",
    "quest?ion",
    "back`tick",
    "quote's",
    "Zürich ☃ 東京",
    "UPPER lower",
]


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 13])
def test_a_listing_holds_each_row_once_in_the_order_of_the_key(database, connect, rows):
    """Whatever the number of pages; only the last one is complete."""
    people(database)
    connector = connect(database, page_size=2)
    ids = made(connector, "people", *({"name": f"n{number}"} for number in range(rows)))

    pages = list(connector.read("people", fields=["name"]))

    assert [id for page in pages for id in page.ids] == ids
    assert [row for page in pages for row in page.rows] == [(f"n{number}",) for number in range(rows)]
    assert [page.complete for page in pages] == [False] * (len(pages) - 1) + [True]
    assert len(pages) == max(1, -(-rows // 2))


def test_a_listing_is_one_moment(database, connect):
    """Rows added, changed and deleted by others once a long listing has begun are not seen by it."""
    if database.kind == "sqlite":
        database.execute("PRAGMA journal_mode = WAL")  # else the file would be locked for writers meanwhile
    people(database)
    connector = connect(database, page_size=1)
    ids = made(connector, "people", *({"name": "before"} for _ in range(12)))

    pages = iter(connector.read("people", fields=["name"]))
    first = next(pages)
    database.execute(
        "UPDATE people SET name = 'after'", f"DELETE FROM people WHERE id = {ids[7]}", "INSERT INTO people (name) VALUES ('new')"
    )
    seen = [first, *pages]

    assert [id for page in seen for id in page.ids] == ids
    assert {row for page in seen for row in page.rows} == {("before",)}


def test_a_short_listing_locks_nobody_out(database, connect):
    """The transaction of a listing of few pages is over before the first one is handed out."""
    people(database)
    connector = connect(database, page_size=1, lock_timeout=0.1)
    made(connector, "people", *({"name": "before"} for _ in range(3)))

    pages = connector.read("people", fields=["name"])
    next(iter(pages))

    assert made(connector, "people", {"name": "meanwhile"}) == ["4"]


def test_a_listing_that_is_never_finished_leaves_no_connection(database, connect):
    """Closing the connector ends what its listings still held open, and the listings end in their own time."""
    people(database)
    connector = connect(database, page_size=1)
    made(connector, "people", *({"name": "n"} for _ in range(12)))
    pages = iter(connector.read("people", fields=["name"]))
    next(pages)

    connector.close()
    connector.close()
    pages.close()  # type: ignore[attr-defined]

    database.execute("DROP TABLE people")


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_are_names(database, connect, name):
    """Tables and columns of any name can be listed, got, searched, written and deleted from; nothing else happens."""
    database.execute("CREATE TABLE victim (id integer PRIMARY KEY)")
    table, key, column, up = (quoted(database, each) for each in (name, f"{name} k", f"{name} c", "Up"))
    statement = f"CREATE TABLE {table} ({key} varchar(100) PRIMARY KEY, {column} varchar(100) UNIQUE, {up} timestamp)"
    database.execute(statement if database.kind == "sqlite" else statement.replace("%", "%%"))
    connector = connect(database, updated_at="Up")

    outcomes = connector.write(
        name,
        [
            Create(key="1", id=name * 2, fields={f"{name} c": name}),
            Create(key="2", id="b" * 32, fields={f"{name} c": name}),
            Create(key="3", fields={f"{name} k": "c", f"{name} c": name + "!"}),
            Update(key="4", id="c", fields={f"{name} c": name + "?"}, expected=Expected(fields={f"{name} c": name + "!"})),
        ],
    )

    assert name in connector.resources()
    assert [type(error).__name__ for error in errors(outcomes)] == ["NoneType", "AlreadyExists", "NoneType", "NoneType"]
    assert errors(outcomes)[1].id == name * 2
    assert listed(connector, name, f"{name} c") == {name * 2: {f"{name} c": name}, "c": {f"{name} c": name + "?"}}
    cursor = list(connector.read(name, fields=[]))[-1].cursor
    assert set(listed(connector, name, f"{name} c", cursor=cursor)) == {name * 2, "c"}
    assert [answer.id for answer in connector.get(name, [name * 2], fields=[f"{name} c"])] == [name * 2]
    assert [found.id for found in connector.find(name, f"{name} c", [name], fields=[])] == [name * 2]
    assert errors(connector.write(name, [Delete(key="5", id="c")])) == [None]
    assert "victim" in connector.resources()
    assert connector.resources()["victim"].fields


def test_composite_keys(database, connect):
    """Rows with a key of several columns are listed, got, changed and deleted by their JSON id."""
    database.execute("CREATE TABLE stock (shop integer NOT NULL, code varchar(20) NOT NULL, n integer, PRIMARY KEY (shop, code))")
    connector = connect(database, page_size=2)
    ids = made(connector, "stock", *({"shop": shop, "code": code, "n": 0} for shop in (2, 10) for code in ("a", 'b"')))

    assert ids == ['[2,"a"]', '[2,"b\\""]', '[10,"a"]', '[10,"b\\""]']
    assert list(listed(connector, "stock", "n")) == ids
    assert written(update(connector, "stock", '[10,"a"]', Expected(fields={"n": 0}), n=5)).record == {
        "shop": 10,
        "code": "a",
        "n": 5,
    }
    assert errors(connector.write("stock", [Delete(key="d", id='[2,"a"]')])) == [None]
    answers = connector.get("stock", ['[10,"a"]', '[2,"a"]', "[10]", "10", '["10","a"]'], fields=["n"])
    assert [type(answer) for answer in answers] == [Record, Tombstone, Tombstone, Tombstone, Tombstone]
    assert answers[0].fields == {"n": 5}
    assert not connector.resources()["stock"].fields["n"].read_only
    assert connector.resources()["stock"].id_fields == ("shop", "code")


def test_a_view_can_be_read_once_its_id_is_named(database, connect):
    """Without `id` the refusal tells the cure; with it the view is read, and never written."""
    people(database)
    database.execute(
        "INSERT INTO people (name) VALUES ('a'), ('b'), ('c')", "CREATE VIEW names AS SELECT id AS n, name FROM people"
    )

    plain = connect(database)
    assert any("has no primary key" in note for note in plain.resources()["names"].notes)
    with pytest.raises(ResourceError, match=r"tables\.names\] id ="):
        plain.read("names", fields=["name"])

    connector = connect(database, page_size=2, tables={"names": {"id": "n"}})
    assert list(listed(connector, "names", "name")) == ["1", "2", "3"]
    assert not connector.resources()["names"].capabilities.creates
    assert all(field.read_only for field in connector.resources()["names"].fields.values())
    with pytest.raises(ResourceError, match="it is a view"):
        connector.write("names", [Create(key="1", fields={"name": "x"})])


@pytest.mark.parametrize("page_size", [1, 2, 10])
def test_an_id_that_does_not_identify_is_refused(database, connect, page_size):
    """Two rows of one id, which the config alone says is one, stop the listing instead of passing for one record."""
    people(database)
    database.execute("INSERT INTO people (name) VALUES ('a'), ('b'), ('b')")

    connector = connect(database, page_size=page_size, tables={"people": {"id": "name"}})

    with pytest.raises(ResourceError, match="do not identify a row"):
        list(connector.read("people", fields=[]))


def test_a_row_without_an_id_is_refused(database, connect):
    """NULL in an id column: the listing says so instead of leaving the row out."""
    people(database, "code varchar(20)")
    database.execute("INSERT INTO people (name, code) VALUES ('a', 'x'), ('b', NULL)")

    connector = connect(database, tables={"people": {"id": "code"}})

    with pytest.raises(ResourceError, match="has NULL, empty text or bytes in its id column"):
        list(connector.read("people", fields=["name"]))


def test_a_table_without_a_key_can_be_written_by_a_unique_one(database, connect):
    """A unique NOT NULL column named as `id` serves for writing; any other column for reading only."""
    database.execute(
        "CREATE TABLE codes (code varchar(20) NOT NULL UNIQUE, label varchar(20))", "INSERT INTO codes VALUES ('a', 'A')"
    )

    strong, weak = (connect(database, tables={"codes": {"id": id}}) for id in ("code", "label"))

    assert written(update(strong, "codes", "a", label="B")).record == {"code": "a", "label": "B"}
    assert not weak.resources()["codes"].capabilities.updates
    assert list(listed(weak, "codes", "code")) == ["B"]


def test_get_answers_each_id_in_order(database, connect):
    """There, gone, repeated and impossible ids, more of them than one statement takes."""
    people(database)
    connector = connect(database)
    ids = made(connector, "people", *({"name": f"n{number}"} for number in range(600)))
    asked = [*reversed(ids), "999999", "x", "01", "1 ", "99999999999999999999999", ids[0]]

    answers = connector.get("people", asked, fields=["name"])

    assert [answer.id for answer in answers] == asked
    assert [isinstance(answer, Record) for answer in answers] == [True] * 600 + [False] * 5 + [True]
    assert answers[-1].fields == {"name": "n0"}
    assert list(connector.get("people", [], fields=["name"])) == []


def test_find_compares_exactly_at_least(database, connect):
    """Every row with one of the values; none for values that the column cannot hold; nothing for no values."""
    people(database, "n integer", "d date")
    connector = connect(database)
    ids = made(connector, "people", *({"name": name, "n": n} for name, n in (("a", 1), ("b", 2), ("c", 2), ("%", None))))

    def found(field, *values):
        return [record.id for record in connector.find("people", field, values, fields=["name"])]

    assert sorted(found("n", 2, "2", 5)) == ids[1:3]
    assert found("n", "many", None, 1.5, 10**30) == []
    assert found("n") == []
    assert found("name", "%") == ids[3:]
    assert found("name", *(f"x{number}" for number in range(1100)), "a") == ids[:1]
    assert found("d", "no date", "2024-02-31") == []


def test_what_cannot_be_searched_says_so(database, connect):
    """A JSON document has no equality."""
    people(database, f"doc {'jsonb' if database.kind == 'postgres' else 'json'}")

    with pytest.raises(ResourceError, match="column doc cannot be searched"):
        connect(database).find("people", "doc", [{}], fields=[])


def test_names_that_are_not_there_are_told_with_the_nearest(database, connect):
    """Of a table, of a column, and of a column that an option names."""
    people(database)
    connector = connect(database)

    with pytest.raises(ResourceError, match=r"no table or view peple; did you mean people\?"):
        connector.read("peple", fields=[])
    with pytest.raises(ResourceError, match=r"no column nmae; did you mean name\?"):
        connector.read("people", fields=["nmae"])
    with pytest.raises(KeyError):
        connector.resources()["peple"]
    with pytest.raises(ResourceError, match=r"no column upd \(option updated_at\)"):
        connect(database, updated_at={"people": "upd"}).resources()["people"]
    with pytest.raises(ResourceError, match=r"column id \(option updated_at\) is no timestamp"):
        connect(database, tables={"people": {"updated_at": "id"}}).resources()["people"]


def test_descriptions_are_lazy_and_kept(database, connect):
    """Listing the names describes nothing; a described table is not looked up again."""
    people(database)
    database.execute("CREATE TABLE other (id integer PRIMARY KEY)")
    connector = connect(database)

    names = list(connector.resources())
    described = connector.resources()["people"]
    database.execute("DROP TABLE other", "ALTER TABLE people ADD COLUMN late integer")

    assert names == ["other", "people"]
    assert connector.resources()["people"] is described
