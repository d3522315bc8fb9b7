"""Batches: what lands, what is refused and why, what comes back."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from syncengine.connector import Archive, Create, Delete, Expected, Identify, Restore, SetChange, Tombstone, Update, Written
from syncengine.errors import AlreadyExists, NotFound, Rejected, VersionConflict
from tests.connectors.sql.sqltables import STAMP, errors, listed, made, people, update, written
from tests.support.databases import sqlite_database

CHECKED = ("email varchar(30) UNIQUE", "age integer CHECK (age < 200)", "boss integer REFERENCES people (id)", "born date")
BAD = {
    "taken": ({"name": "x", "email": "first@example.com"}, AlreadyExists, "email"),
    "null": ({"name": None}, Rejected, "name"),
    "missing": ({"age": 1}, Rejected, "name"),
    "dangling": ({"name": "x", "boss": 4711}, Rejected, "boss"),
    "check": ({"name": "x", "age": 500}, Rejected, None),
    "no number": ({"name": "x", "age": "twelve"}, Rejected, "age"),
    "unknown column": ({"name": "x", "agee": 1}, Rejected, "agee"),
    "read-only": ({"name": "x", "id": 9}, Rejected, "id"),
    "a set": ({"name": SetChange(add=("x",))}, Rejected, "name"),
    "surrogate": ({"name": "\ud800"}, Rejected, "name"),
}
BAD_ON_SERVERS = {
    "too long": ({"name": "x" * 41}, Rejected, "name"),
    "too big": ({"name": "x", "age": 2**40}, Rejected, "age"),
    "no date": ({"name": "x", "born": "31.12.2024"}, Rejected, "born"),
}
ROWS = {**BAD, **BAD_ON_SERVERS}


@pytest.mark.parametrize("bad", ROWS)
def test_one_bad_row_leaves_its_neighbours(database, connect, bad):
    """For each way a create can be refused: a classed error that names the field, and the rest of the batch lands."""
    if database.kind == "sqlite" and bad in BAD_ON_SERVERS:
        pytest.skip("SQLite does not enforce lengths, ranges and types")
    people(database, *CHECKED)
    connector = connect(database)
    fields, expected, field = ROWS[bad]
    rows = [{"name": "a", "email": "first@example.com"}, fields, {"name": "c"}, fields, {"name": "e"}]

    outcomes = connector.write("people", [Create(key=str(n), fields=row) for n, row in enumerate(rows)])

    assert [type(error) for error in errors(outcomes)] == [type(None), expected, type(None), expected, type(None)]
    assert [outcome.key for outcome in outcomes] == ["0", "1", "2", "3", "4"]
    assert errors(outcomes)[1].field == field
    assert [row["name"] for row in listed(connector, "people", "name").values()] == ["a", "c", "e"]
    if expected is AlreadyExists:
        assert errors(outcomes)[1].id == outcomes[0].id
    for value in fields.values():
        assert value is None or len(str(value)) < 3 or str(value) not in str(errors(outcomes)[1]) + str(errors(outcomes)[3])


@pytest.mark.parametrize("bad", [each for each in ROWS if each != "missing"])
def test_one_bad_update_leaves_its_neighbours(database, connect, bad):
    """The same for updates, of which the row keeps its old values."""
    if database.kind == "sqlite" and bad in BAD_ON_SERVERS:
        pytest.skip("SQLite does not enforce lengths, ranges and types")
    people(database, *CHECKED)
    connector = connect(database)
    fields, expected, field = ROWS[bad]
    ids = made(connector, "people", {"name": "a", "email": "first@example.com"}, {"name": "b"}, {"name": "c"})

    outcomes = connector.write(
        "people",
        [
            Update(key="0", id=ids[0], fields={"age": 1}),
            Update(key="1", id=ids[1], fields={"name": "new", **fields}),
            Update(key="2", id=ids[2], fields={"age": 3}),
        ],
    )

    assert [type(error) for error in errors(outcomes)] == [type(None), expected, type(None)]
    assert errors(outcomes)[1].field == field
    assert [tuple(row.values()) for row in listed(connector, "people", "name", "age").values()] == [
        ("a", 1),
        ("b", None),
        ("c", 3),
    ]


def test_a_row_that_others_refer_to_is_not_deleted(database, connect):
    """Rejected, and its neighbours in the batch go."""
    people(database, *CHECKED)
    connector = connect(database)
    boss, other = made(connector, "people", {"name": "boss"}, {"name": "other"})
    made(connector, "people", {"name": "worker", "boss": boss})

    outcomes = connector.write("people", [Delete(key="1", id=boss), Delete(key="2", id=other)])

    assert [type(error) for error in errors(outcomes)] == [Rejected, type(None)]
    assert "still refer" in str(errors(outcomes)[0])
    assert [row["name"] for row in listed(connector, "people", "name").values()] == ["boss", "worker"]


def test_a_large_batch_lands_in_one_go(database, connect):
    """As many changes as `max_batch` says, with one bad row among them."""
    people(database, "email varchar(40) UNIQUE")
    connector = connect(database)
    size = connector.resources()["people"].capabilities.max_batch
    rows = [{"name": f"n{n}", "email": f"{n if n != 700 else 3}@example.com"} for n in range(size)]

    outcomes = connector.write("people", [Create(key=str(n), fields=row) for n, row in enumerate(rows)])

    assert [n for n, error in enumerate(errors(outcomes)) if error is not None] == [700]
    assert [outcome.record["name"] for outcome in outcomes if isinstance(outcome, Written)] == [
        f"n{n}" for n in range(size) if n != 700
    ]
    assert len(listed(connector, "people")) == size - 1


@pytest.mark.parametrize("held", [True, False])
def test_expected_values_are_compared_as_they_were_delivered(database, connect, held):
    """Floats, decimals, dates, JSON and NULL: what was delivered holds; anything else is a conflict that changes nothing."""
    json = "jsonb" if database.kind == "postgres" else "json"
    people(database, "x float", "d decimal(9,3)", "born date", f"doc {json}", "active boolean", "empty varchar(9)", "n integer")
    connector = connect(database)
    (id,) = made(
        connector,
        "people",
        {
            "name": "a",
            "x": 0.1,
            "d": Decimal("1.250"),
            "born": date(2024, 2, 29),
            "doc": {"b": [1.5, None]},
            "active": True,
            "n": 1,
        },
    )
    (delivered,) = listed(connector, "people", "name", "x", "d", "born", "doc", "active", "empty").values()
    names = list(delivered) if not held else ["all"]

    for name in names:
        expected = dict(delivered) if held else {**delivered, name: "other"}
        outcome = update(connector, "people", id, Expected(fields=expected), n=2)

        (now,) = listed(connector, "people", "n").values()
        if held:
            assert written(outcome).record["n"] == now["n"] == 2
        else:
            assert type(outcome.error) is VersionConflict
            assert now["n"] == 1


def test_changes_to_rows_that_are_not_there_are_not_found(database, connect):
    """For every kind of change, also under ids that no row can have."""
    people(database, f"gone {STAMP[database.kind]}")
    connector = connect(database, archived_at="gone")

    for id in ("5", "x", "", "007"):
        changes = [
            Update(key="u", id=id, fields={"name": "x"}, expected=Expected(fields={"name": "y"})),
            Delete(key="d", id=id),
            Archive(key="a", id=id),
            Restore(key="r", id=id),
        ]
        assert [type(error) for error in errors(connector.write("people", changes))] == [NotFound] * 4


def test_a_version_of_ours_counts_each_write(database, connect):
    """A whole number as version: delivered, incremented by each write, and compared."""
    people(database, "revision integer NOT NULL")
    connector = connect(database, version="revision")
    (created,) = connector.write("people", [Create(key="1", fields={"name": "a"})])

    changed = update(connector, "people", created.id, Expected(version="1"), name="b")
    stale = update(connector, "people", created.id, Expected(version="1"), name="c")
    (page,) = connector.read("people", fields=["name"])

    assert written(created).version == "1"
    assert written(changed).version == "2"
    assert type(stale.error) is VersionConflict
    assert (page.versions, page.rows) == (["2"], [("b",)])
    assert connector.get("people", [created.id], fields=[])[0].version == "2"


@pytest.mark.postgres
def test_xmin_serves_as_a_version(servers, connect):
    """PostgreSQL's own transaction number: every write by anybody changes it."""
    database = servers("postgres")
    people(database)
    connector = connect(database, version="xmin")
    (created,) = connector.write("people", [Create(key="1", fields={"name": "a"})])
    (page,) = connector.read("people", fields=["name"])

    assert page.versions == [written(created).version]
    database.execute("UPDATE people SET name = 'b'")
    assert type(update(connector, "people", created.id, Expected(version=created.version), name="c").error) is VersionConflict
    (page,) = connector.read("people", fields=["name"])
    assert (
        written(update(connector, "people", created.id, Expected(version=page.versions[0]), name="c")).version != page.versions[0]
    )


def test_two_changes_of_one_row_come_one_after_the_other(database, connect):
    """The second sees what the first did, in one batch; each record shows what its own change stored."""
    people(database)
    connector = connect(database)
    (id,) = made(connector, "people", {"name": "a"})

    outcomes = connector.write(
        "people",
        [
            Update(key="1", id=id, fields={"name": "b"}, expected=Expected(fields={"name": "a"})),
            Update(key="2", id=id, fields={"name": "c"}, expected=Expected(fields={"name": "a"})),
            Update(key="3", id=id, fields={"name": "d"}, expected=Expected(fields={"name": "b"})),
            Delete(key="4", id=id, expected=Expected(fields={"name": "d"})),
            Update(key="5", id=id, fields={"name": "e"}),
        ],
    )

    assert [type(error) for error in errors(outcomes)] == [type(None), VersionConflict, type(None), type(None), NotFound]
    assert [outcome.record for outcome in (outcomes[0], outcomes[2])] == [{"id": 1, "name": "b"}, {"id": 1, "name": "d"}]


def test_order_is_kept_where_it_matters(database, connect):
    """A value freed by a delete can be taken by the create that follows it, in one batch."""
    people(database, "email varchar(30) UNIQUE")
    connector = connect(database)
    (id,) = made(connector, "people", {"name": "a", "email": "e"})

    outcomes = connector.write(
        "people",
        [
            Create(key="1", fields={"name": "b", "email": "e"}),
            Delete(key="2", id=id),
            Create(key="3", fields={"name": "c", "email": "e"}),
        ],
    )

    assert [type(error) for error in errors(outcomes)] == [AlreadyExists, type(None), type(None)]


def test_an_upsert_meets_the_live_row(database, connect):
    """A create with `upsert_on` updates the row that holds the value, makes one where none does, and says which."""
    people(database, "email varchar(30) UNIQUE", "city varchar(30)")
    connector = connect(database)
    (id,) = made(connector, "people", {"name": "a", "email": "a@x", "city": "Kiel"})

    outcomes = connector.write(
        "people",
        [
            Create(key="1", fields={"name": "A", "email": "a@x"}, upsert_on="email"),
            Create(key="2", fields={"name": "B", "email": "b@x"}, upsert_on="email"),
            Create(key="3", fields={"name": "BB", "email": "b@x"}, upsert_on="email"),
            Create(key="4", fields={"name": "N", "email": None}, upsert_on="email"),
            Create(key="5", fields={"name": None, "email": "a@x"}, upsert_on="email"),
        ],
    )

    assert [(outcome.id, outcome.met) for outcome in outcomes[:4]] == [
        (id, True),
        (outcomes[1].id, False),
        (outcomes[1].id, True),
        (outcomes[3].id, False),
    ]
    assert type(outcomes[4].error) is Rejected
    assert list(listed(connector, "people", "name", "city").values()) == [
        {"name": "A", "city": "Kiel"},
        {"name": "BB", "city": None},
        {"name": "N", "city": None},
    ]


@pytest.mark.mariadb
def test_an_upsert_meets_what_the_collation_calls_equal(servers, connect):
    """MariaDB's default collations ignore case: the row is met, not reported as taken."""
    database = servers("mariadb")
    people(database, "email varchar(30) COLLATE utf8mb4_general_ci UNIQUE")
    connector = connect(database)
    (id,) = made(connector, "people", {"name": "a", "email": "Ann@X"})

    (outcome,) = connector.write("people", [Create(key="1", fields={"name": "b", "email": "ann@x"}, upsert_on="email")])

    assert (outcome.id, outcome.met, outcome.record["email"]) == (id, True, "ann@x")


@pytest.mark.parametrize("declared", ["stamp", "boolean NOT NULL DEFAULT false", "integer"])
def test_archived_rows_are_out_of_sight_until_restored(database, connect, declared):
    """By a timestamp or by a flag: not listed, not found, a tombstone to `get`, not to be changed; back with the same id."""
    people(database, "email varchar(30) UNIQUE", f"gone {STAMP[database.kind] if declared == 'stamp' else declared}")
    connector = connect(database, archived_at="gone")
    id, other = made(connector, "people", {"name": "a", "email": "e"}, {"name": "b"})

    (archived,) = connector.write("people", [Archive(key="1", id=id, expected=Expected(fields={"name": "a"}))])

    assert written(archived).record["name"] == "a"
    assert list(listed(connector, "people", "name")) == [other]
    assert connector.get("people", [id], fields=[]) == [Tombstone(id=id)]
    assert connector.find("people", "email", ["e"], fields=[]) == []
    refused = connector.write(
        "people",
        [
            Update(key="2", id=id, fields={"name": "x"}),
            Archive(key="3", id=id),
            Delete(key="4", id=id),
            Create(key="5", fields={"name": "c", "email": "e"}),
            Create(key="6", fields={"name": "c", "email": "e"}, upsert_on="email"),
        ],
    )
    assert [type(error) for error in errors(refused)] == [NotFound, NotFound, NotFound, AlreadyExists, AlreadyExists]
    assert [error.id for error in errors(refused)[3:]] == [id, id]
    assert "archived" in str(errors(refused)[3])

    (restored,) = connector.write("people", [Restore(key="7", id=id)])

    assert written(restored).id == id
    assert listed(connector, "people", "name") == {id: {"name": "a"}, other: {"name": "b"}}
    assert connector.resources()["people"].fields["gone"].read_only


def test_what_a_table_cannot_do_is_rejected(database, connect):
    """Archiving without a column for it, lasting ids for what has them."""
    people(database)
    connector = connect(database)
    (id,) = made(connector, "people", {"name": "a"})

    outcomes = connector.write("people", [Archive(key="1", id=id), Restore(key="2", id=id), Identify(key="3", id=id)])

    assert [type(error) for error in errors(outcomes)] == [Rejected] * 3


def test_generated_columns_come_back_and_are_never_written(database, connect):
    """The database computes them; the record shows what it computed."""
    people(database, "n integer", "double integer GENERATED ALWAYS AS (n * 2) STORED".replace("double", "twice"))
    connector = connect(database)

    (good, bad) = connector.write(
        "people", [Create(key="1", fields={"name": "a", "n": 4}), Create(key="2", fields={"name": "a", "twice": 4})]
    )

    assert written(good).record["twice"] == 8
    assert bad.error.field == "twice"


@pytest.mark.mariadb
def test_the_column_that_mariadb_names_is_the_one_that_is_told(servers, connect):
    """Not the first that might be it, nor one that a value pretends to be."""
    server = servers("mariadb")
    server.execute(
        "CREATE TABLE people (id INT AUTO_INCREMENT PRIMARY KEY, kind ENUM('a','b'), c CHAR(5), big INT, "
        "latin VARCHAR(60) CHARACTER SET latin1)"
    )
    connector = connect(server)
    refused = [
        ({"kind": "b", "latin": "日本 for column `kind` at row 1"}, "latin"),
        ({"c": "abc  ", "big": 2**63 - 1}, "big"),
        ({"c": "abcdefgh", "big": 1}, "c"),
    ]
    for fields, column in refused:
        [outcome] = connector.write("people", [Create(key=column, fields=fields)])
        assert outcome.error.field == column
        assert f"column {column} " in str(outcome.error)
        assert "日本" not in str(outcome.error)


def test_a_value_that_an_expression_cannot_take_spoils_no_neighbour(connect, tmp_path):
    """SQLite says "error" and no more when a generated column fails on a value: that row's fault, not the table's."""
    with sqlite_database(tmp_path) as database:
        people(database, "doc text", "x text GENERATED ALWAYS AS (json_extract(doc, '$.x')) STORED")
        connector = connect(database)
        rows = [{"name": "a", "doc": '{"x": 1}'}, {"name": "b", "doc": "{broken"}, {"name": "c", "doc": "{}"}]

        outcomes = connector.write("people", [Create(key=str(n), fields=row) for n, row in enumerate(rows)])

        assert [type(error) for error in errors(outcomes)] == [type(None), Rejected, type(None)]


TRIGGERS = {
    "sqlite": [
        """CREATE TRIGGER shout AFTER INSERT ON people BEGIN UPDATE people SET name = upper(name) WHERE id = new.id; END""",
        """CREATE TRIGGER swallow BEFORE INSERT ON people WHEN new.name = 'swallow' BEGIN SELECT RAISE(IGNORE); END""",
        """CREATE TRIGGER refuse BEFORE INSERT ON people WHEN new.name = 'refuse' BEGIN SELECT RAISE(ABORT, 'secret'); END""",
    ],
    "postgres": [
        """CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF new.name = 'swallow' THEN RETURN NULL; END IF;
            IF new.name = 'refuse' THEN RAISE EXCEPTION 'secret'; END IF;
            new.name = upper(new.name); RETURN new; END $$""",
        "CREATE TRIGGER meddle BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION meddle()",
    ],
    "mariadb": [
        """CREATE TRIGGER meddle BEFORE INSERT ON people FOR EACH ROW BEGIN
            IF new.name = 'refuse' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'secret'; END IF;
            SET new.name = upper(new.name); END""",
    ],
}


def test_triggers_are_told_as_they_worked(database, connect):
    """What a trigger changed comes back changed; a row it refused or swallowed is rejected, without its words; others land."""
    people(database)
    database.execute(*TRIGGERS[database.kind])
    connector = connect(database)
    names = ["a", "refuse", "b", "swallow", "c"] if database.kind != "mariadb" else ["a", "refuse", "b", "c"]

    outcomes = connector.write("people", [Create(key=name, fields={"name": name}) for name in names])

    assert [outcome.record["name"] for outcome in outcomes if isinstance(outcome, Written)] == ["A", "B", "C"]
    assert {type(error) for error in errors(outcomes) if error is not None} == {Rejected}
    assert not any("secret" in str(error) for error in errors(outcomes))
    assert [row["name"] for row in listed(connector, "people", "name").values()] == ["A", "B", "C"]


def test_a_delete_that_a_trigger_prevents_is_told(database, connect):
    """A row that is still there was not deleted, whatever the statement said."""
    if database.kind == "mariadb":
        pytest.skip("MariaDB's triggers cannot swallow a delete")
    people(database)
    keep = {
        "sqlite": ["CREATE TRIGGER keep BEFORE DELETE ON people WHEN old.name = 'keep' BEGIN SELECT RAISE(IGNORE); END"],
        "postgres": ["CREATE RULE keep AS ON DELETE TO people WHERE old.name = 'keep' DO INSTEAD NOTHING"],
    }
    database.execute(*keep[database.kind])
    connector = connect(database)
    ids = made(connector, "people", {"name": "keep"}, {"name": "go"})

    outcomes = connector.write("people", [Delete(key=id, id=id) for id in ids])

    assert [type(error) for error in errors(outcomes)] == [Rejected, type(None)]
    assert list(listed(connector, "people")) == ids[:1]


@pytest.mark.parametrize("rows", [1, 5])
def test_a_deferred_constraint_is_told_of_its_row(database, connect, rows):
    """A foreign key that is checked at the end spoils no neighbour: only the row that breaks it fails."""
    if database.kind == "mariadb":
        pytest.skip("MariaDB has no deferred constraints")
    database.execute("CREATE TABLE kinds (id integer PRIMARY KEY)")
    people(database, "kind integer REFERENCES kinds (id) DEFERRABLE INITIALLY DEFERRED")
    connector = connect(database)
    changes = [Create(key=str(n), fields={"name": f"n{n}", "kind": 9 if n == rows // 2 else None}) for n in range(rows)]

    outcomes = connector.write("people", changes)

    assert [type(error) for error in errors(outcomes)] == [Rejected if n == rows // 2 else type(None) for n in range(rows)]
    assert len(listed(connector, "people")) == rows - 1


def test_a_row_that_undoes_the_transaction_spoils_no_neighbour(connect, tmp_path):
    """SQLite's ON CONFLICT ROLLBACK throws the whole batch away: it is done again, row by row."""
    with sqlite_database(tmp_path) as database:
        people(database, "email varchar(30) UNIQUE ON CONFLICT ROLLBACK")
        connector = connect(database)
        rows = [{"name": "a", "email": "1"}, {"name": "b", "email": "1"}, {"name": "c", "email": "2"}]

        outcomes = connector.write("people", [Create(key=str(n), fields=row) for n, row in enumerate(rows)])

        assert [type(error) for error in errors(outcomes)] == [type(None), AlreadyExists, type(None)]
        assert [row["name"] for row in listed(connector, "people", "name").values()] == ["a", "c"]


def test_a_chosen_id_is_kept_and_taken_once(database, connect):
    """Where the engine chooses, the row gets that id, and a second create under it is refused with the id."""
    database.execute("CREATE TABLE codes (code varchar(40) PRIMARY KEY, label varchar(20))")
    connector = connect(database)
    chosen = "0123456789abcdef" * 2

    outcomes = connector.write(
        "codes", [Create(key="1", id=chosen, fields={"label": "a"}), Create(key="2", id=chosen, fields={"label": "b"})]
    )
    given = connector.write("codes", [Create(key="3", id=chosen, fields={"code": "own", "label": "c"})])

    assert written(outcomes[0]).id == chosen
    assert (type(outcomes[1].error), outcomes[1].error.id) == (AlreadyExists, chosen)
    assert written(given[0]).id == "own"


def test_a_key_column_is_never_changed(database, connect):
    """An id is stable: the same value passes, another one is rejected."""
    database.execute("CREATE TABLE codes (code varchar(40) PRIMARY KEY, label varchar(20))")
    connector = connect(database)
    made(connector, "codes", {"code": "a", "label": "x"})

    assert type(update(connector, "codes", "a", code="b", label="y").error) is Rejected
    assert written(update(connector, "codes", "a", code="a", label="y")).record == {"code": "a", "label": "y"}


def test_an_empty_change_is_no_write(database, connect):
    """An update of no fields tells the record; a create of no fields makes one of defaults."""
    database.execute(
        {
            "sqlite": "CREATE TABLE t (id INTEGER PRIMARY KEY, n integer DEFAULT 7)",
            "postgres": "CREATE TABLE t (id serial PRIMARY KEY, n integer DEFAULT 7)",
            "mariadb": "CREATE TABLE t (id integer PRIMARY KEY AUTO_INCREMENT, n integer DEFAULT 7)",
        }[database.kind]
    )
    connector = connect(database)

    assert made(connector, "t", {}) == ["1"]
    assert written(update(connector, "t", "1")).record == {"id": 1, "n": 7}


@pytest.mark.mariadb
def test_a_table_without_transactions_is_not_written(servers, connect):
    """What cannot be taken back is not begun; the note tells the cure."""
    database = servers("mariadb")
    database.execute("CREATE TABLE t (id integer PRIMARY KEY) ENGINE=MyISAM")
    resource = connect(database).resources()["t"]

    assert not resource.capabilities.creates
    assert any("ENGINE=InnoDB" in note for note in resource.notes)


def test_a_key_made_by_the_database_comes_back(database, connect):
    """A key that is neither a number handed out nor given: a default makes it, and the record tells it."""
    default = {"sqlite": "(lower(hex(randomblob(8))))", "postgres": "md5(random()::text)", "mariadb": "(uuid())"}[database.kind]
    database.execute(f"CREATE TABLE t (code varchar(40) PRIMARY KEY DEFAULT {default}, n integer)")
    connector = connect(database)

    ids = made(connector, "t", {"n": 1}, {"n": 2})

    assert listed(connector, "t", "n") == {id: {"n": n} for id, n in sorted(zip(ids, (1, 2), strict=True))}
    assert not connector.resources()["t"].capabilities.chooses_ids
