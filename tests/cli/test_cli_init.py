"""`init` proposes a config that loads, maps what means the same, and overwrites nothing."""

import sqlite3
import tomllib

import pytest

from syncengine.cli.propose import Mapped, propose
from syncengine.config import load
from syncengine.connector import Capabilities, Field, FieldType, Resource
from syncengine.core.model import Direction
from syncengine.registry import Registry


def resource(*fields, id_fields=()):
    described = {field.name: field for field in (Field(name=each) if isinstance(each, str) else each for each in fields)}
    return Resource(name="people", fields=described, capabilities=Capabilities(), id_fields=id_fields)


def mapped(left, right):
    proposal = propose(resource(*left), resource(*right))
    return {(field.left, field.right) for field in proposal.fields} if proposal else None


def test_equal_names_synonyms_and_labels_are_mapped():
    left = ["Email", "First Name", "Surname", "Tel", Field(name="f_7", label="City")]
    right = ["e_mail", "given_name", "last_name", "phone", "town"]
    assert mapped(left, right) == {
        ("Email", "e_mail"),
        ("First Name", "given_name"),
        ("Surname", "last_name"),
        ("Tel", "phone"),
        ("f_7", "town"),
    }


def test_a_field_is_mapped_once_and_to_its_best_partner():
    assert mapped(["name", "full_name"], ["name"]) == {("name", "name")}
    assert mapped(["phone", "tel"], ["tel", "phone"]) == {("phone", "phone"), ("tel", "tel")}


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (["phone_1"], ["phone_2"]),
        (["apple"], ["orange"]),
        ([Field(name="born", type=FieldType.DATE)], [Field(name="born", type=FieldType.BOOLEAN)]),
        ([Field(name="a", read_only=True)], [Field(name="a", read_only=True)]),
        ([Field(name="a", unusable="a blob")], ["a"]),
        ([Field(name="a", type=FieldType.REFERENCE)], ["a"]),
    ],
)
def test_what_does_not_mean_the_same_or_cannot_be_written_is_not_mapped(left, right):
    assert mapped(left, right) is None


def test_own_ids_are_left_out_with_the_reason():
    proposal = propose(resource("id", "email", id_fields=("id",)), resource("id", "email", id_fields=("id",)))
    assert [field.name for field in proposal.fields] == ["email"]
    assert proposal.left_over == proposal.right_over == {"id": "the system's own id"}


def test_a_natural_key_is_mapped_though_it_is_the_id():
    proposal = propose(resource("email", id_fields=("email",)), resource("id", "email", id_fields=("id",)))
    assert [field.name for field in proposal.fields] == ["email"]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (Field(name="email"), Field(name="mail"), Mapped(name="email", left="email", right="mail", type=FieldType.EMAIL)),
        (Field(name="Tel"), Field(name="Phone"), Mapped(name="phone", left="Tel", right="Phone", type=FieldType.PHONE)),
        (Field(name="Shoe Size"), Field(name="shoesize"), Mapped(name="shoe_size", left="Shoe Size", right="shoesize")),
        (Field(name="a"), Field(name="a", type=FieldType.DATE), Mapped(name="a", left="a", right="a")),
        (
            Field(name="a", type=FieldType.TEXT),
            Field(name="a", type=FieldType.EMAIL),
            Mapped(name="a", left="a", right="a", type=FieldType.EMAIL),
        ),
        (
            Field(name="a", read_only=True),
            Field(name="a"),
            Mapped(name="a", left="a", right="a", direction=Direction.LEFT_TO_RIGHT),
        ),
        (
            Field(name="a"),
            Field(name="a", read_only=True),
            Mapped(name="a", left="a", right="a", direction=Direction.RIGHT_TO_LEFT),
        ),
        (
            Field(name="a", type=FieldType.DATETIME, naive=True),
            Field(name="a", type=FieldType.DATETIME),
            Mapped(name="a", left="a", right="a", is_naive=True),
        ),
    ],
)
def test_names_types_and_directions_are_proposed_where_they_need_saying(left, right, expected):
    assert propose(resource(left), resource(right)).fields == [expected]


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        (["name", "email"], "email"),
        (["city", "name"], "name"),
        (["city", Field(name="code", unique=True)], "code"),
        (["city", "street"], "city"),
    ],
)
def test_the_match_key_is_what_tells_records_apart(fields, match):
    assert propose(resource(*fields), resource(*fields)).match == match


@pytest.fixture
def office(desk):
    """A CSV file and a table as people have them, besides the memory worlds."""
    (desk.folder / "people").mkdir()
    (desk.folder / "people" / "contacts.csv").write_text("id,Email,First Name,Phone,Seen\n1,ada@example.com,Ada,+1 555 0100,x\n")
    with sqlite3.connect(desk.folder / "office.db") as database:
        database.executescript(
            "CREATE TABLE company (id INTEGER PRIMARY KEY, name TEXT UNIQUE);"
            "CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT UNIQUE NOT NULL, given_name TEXT, tel TEXT,"
            ' "odd ""name""" TEXT, company_id INTEGER REFERENCES company (id));'
        )
    database.close()
    return desk


CSV = "csv:people/contacts.csv"
SQL = "sql:sqlite:///office.db#people"


def test_the_proposal_loads_and_syncs(office, here):
    code, out, _ = here("init", "--left", CSV, "--right", SQL, "-o", "new.toml")
    assert code == 0
    assert out.splitlines() == [
        "Wrote new.toml: 3 fields mapped, records matched by email. Read it, then:",
        "  syncengine check --config new.toml",
        "  syncengine plan --config new.toml",
    ]
    text = (office.folder / "new.toml").read_text()
    assert "#   company_id (refers to company: add a pair for those" in text
    config = load(office.folder / "new.toml", environ={}, registry=Registry.installed())
    assert [(field.name, field.left, field.right) for field in config.pairs["contacts"].fields] == [
        ("email", "Email", "email"),
        ("first_name", "First Name", "given_name"),
        ("phone", "Phone", "tel"),
    ]
    assert here("sync", "--config", "new.toml")[0] == 0
    with sqlite3.connect(office.folder / "office.db") as database:
        assert database.execute("SELECT email, given_name, tel FROM people").fetchall() == [
            ("ada@example.com", "Ada", "+1 555 0100")
        ]
    database.close()


def test_a_file_is_never_overwritten(office, here):
    before = office.config.read_text()
    code, _, err = here("init", "--left", CSV, "--right", SQL)
    assert code == 2
    assert "syncengine.toml: this file exists already (name another one with -o)" in err
    assert office.config.read_text() == before


@pytest.mark.parametrize(
    ("left", "right", "code", "words"),
    [
        ("csvs:x", SQL, 2, '--left: there is no connector "csvs" (did you mean "csv"?)'),
        ("csv", SQL, 2, "--left: this does not name a system (write it like csv:people/contacts.csv"),
        ("csv:", SQL, 2, "--left: this does not name a system"),
        (CSV, "sql:sqlite:///office.db", 2, '--right: there are several resources (add #RESOURCE: "company" or "people")'),
        (CSV, "sql:sqlite:///office.db#peple", 2, '--right: there is no resource "peple" (did you mean "people"?)'),
        ("csv:people/none.csv", SQL, 1, "none.csv"),
        (CSV, "memory:none.json#people", 1, "none.json"),
        (CSV, "sql:sqlite:///office.db#company", 1, "no field of one side has a name like a field of the other"),
    ],
)
def test_what_cannot_be_looked_at_is_said_and_nothing_is_written(office, here, left, right, code, words):
    got, out, err = here("init", "--left", left, "--right", right, "-o", "new.toml")
    assert (got, out) == (code, "")
    assert words in err
    assert not (office.folder / "new.toml").exists()


def test_without_a_terminal_a_missing_side_is_a_mistake(office):
    result = office.user("init", "--left", CSV, "-o", "new.toml")
    assert result.returncode == 2
    assert "--right is missing: CONNECTOR:PLACE#RESOURCE" in result.stderr


def test_on_a_terminal_it_asks(office):
    code, shown = office.terminal("init", "-o", "new.toml", keys=f"{CSV}\nsql:sqlite:///office.db\npeeple\n2\n")
    assert code == 0, shown
    assert 'did you mean "people"?' in shown
    assert tomllib.loads((office.folder / "new.toml").read_text())["pairs"]["contacts"]["right"] == "office.people"


def test_a_password_never_reaches_the_file(office, here):
    here("init", "--left", CSV, "--right", "sql:postgresql://me:canary-pw@127.0.0.1:1/db#people", "-o", "new.toml")
    code, out, err = here(
        "init", "--left", CSV, "--right", "sql:postgresql://me:canary-pw@127.0.0.1:1/db#people", "-o", "new.toml"
    )
    assert code != 0
    assert "canary-pw" not in out + err
    assert not (office.folder / "new.toml").exists()
