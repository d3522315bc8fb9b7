"""Options: what is said of all tables, what of one, and what of neither."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from connectors.sql import plugin
from connectors.sql.options import options_for
from syncengine.errors import ResourceError
from tests.connectors.sql.sqltables import STAMP, people

URL = "sqlite:///office.db"


def options(**more):
    return plugin.options.model_validate({"url": URL, **more})


@pytest.mark.parametrize(
    ("more", "column", "asked"),
    [
        ({}, None, False),
        ({"updated_at": "changed"}, "changed", False),
        ({"updated_at": {"people": "changed"}}, "changed", True),
        ({"updated_at": {"others": "changed"}}, None, False),
        ({"updated_at": "changed", "tables": {"people": {"updated_at": "touched"}}}, "touched", True),
        ({"updated_at": "changed", "tables": {"people": {"updated_at": False}}}, None, False),
        ({"updated_at": "changed", "tables": {"people": {"version": "v"}}}, "changed", False),
    ],
)
def test_a_table_s_own_options_come_first(more, column, asked):
    """Those of the system hold for tables that have the column; those of one table, for it alone, and must fit."""
    chosen = options_for("people", options(**more))

    assert chosen.updated_at == column
    assert (column in chosen.asked) == asked


def test_id_is_one_column_or_several():
    """A name, or a list of names."""
    assert options_for("t", options(tables={"t": {"id": "code"}})).id == ("code",)
    assert options_for("t", options(tables={"t": {"id": ["shop", "code"]}})).id == ("shop", "code")


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"udpated_at": "x"}, ("udpated_at",)),
        ({"tables": {"people": {"ids": "x"}}}, ("tables", "people", "ids")),
        ({"tables": {"people": {"id": []}}}, ("tables", "people", "id")),
        ({"timezone": "Europe/Berln"}, ("timezone",)),
        ({"overlap": -1}, ("overlap",)),
        ({"timeout": 0}, ("timeout",)),
        ({"page_size": 0}, ("page_size",)),
    ],
)
def test_mistakes_are_told_with_their_place(more, place):
    """Each mistake under the name it has in the config."""
    with pytest.raises(ValidationError) as caught:
        options(**more)

    assert [error["loc"] for error in caught.value.errors()] == [place]


def test_a_column_for_all_tables_may_be_missing_in_some(database, connect):
    """`updated_at = "changed"` for the system: tables that have it are incremental, the others are read whole."""
    people(database, f"changed {STAMP[database.kind]}")
    database.execute("CREATE TABLE other (id integer PRIMARY KEY)")
    resources = connect(database, updated_at="changed", archived_at="gone", version="revision").resources()

    assert resources["people"].capabilities.incremental
    assert not resources["other"].capabilities.incremental


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"updated_at": "name"}, "is no timestamp"),
        ({"updated_at": "chnged"}, "did you mean changed"),
        ({"archived_at": "price"}, "neither a flag nor a timestamp"),
        ({"version": "revsion"}, "has no column revsion"),
        ({"id": "idd"}, "did you mean id"),
    ],
)
def test_a_column_that_does_not_fit_is_told(database, connect, more, message):
    """With the table, the option, and the nearest name."""
    if database.kind == "sqlite" and more == {"updated_at": "name"}:
        pytest.skip("SQLite keeps times as text")
    people(database, f"changed {STAMP[database.kind]}", "price decimal(5,2)")

    with pytest.raises(ResourceError, match=message) as caught:
        connect(database, tables={"people": more}).resources()["people"]
    assert str(caught.value).startswith("table people")


@pytest.mark.postgres
def test_a_schema_is_another_place(servers, connect):
    """PostgreSQL: the option leads to the tables of that schema, and makes another account of it."""
    database = servers("postgres")
    database.execute(
        "CREATE SCHEMA extra", "CREATE TABLE extra.t (id integer PRIMARY KEY)", "CREATE TABLE u (id integer PRIMARY KEY)"
    )
    inside, outside = connect(database, schema="extra"), connect(database)

    assert (list(inside.resources()), list(outside.resources())) == (["t"], ["u"])
    assert inside.resources()["t"].capabilities.creates
    assert list(inside.read("t", fields=[]))[-1].complete
    assert inside.check().id != outside.check().id
    database.execute("DROP SCHEMA extra CASCADE")
