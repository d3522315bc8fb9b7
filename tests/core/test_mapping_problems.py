"""Every mistake in a pair is reported with its place, the wrong thing and the cure, all at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncengine.connector import Capabilities, Choice, Field, FieldType
from syncengine.core.mapping import compile_pair
from syncengine.core.model import AnyOf, Condition, Deletes, Direction, Policy, Side, Test
from syncengine.errors import ConfigError
from tests.support.pairs import ALL_ABLE, mapped, pair, resource

T = FieldType
LEFT, RIGHT = Side.LEFT, Side.RIGHT
BOTH, TO_RIGHT, TO_LEFT = Direction.BOTH, Direction.LEFT_TO_RIGHT, Direction.RIGHT_TO_LEFT
STAGE = Field(name="stage", type=T.CHOICE, choices=(Choice(value="u1", label="Won"), Choice(value="u2", label="Lost")))
CRM = resource(
    "id",
    "text",
    Field(name="email", type=T.EMAIL),
    Field(name="age", type=T.INTEGER),
    Field(name="born", type=T.DATE),
    Field(name="at", type=T.DATETIME, naive=True),
    Field(name="seen", type=T.DATETIME),
    Field(name="tags", type=T.SET),
    Field(name="notes", type=T.JSON),
    Field(name="owner", type=T.REFERENCE),
    Field(name="groups", type=T.REFERENCE, many=True),
    Field(name="created", read_only=True),
    Field(name="blob", unusable="it holds files"),
    STAGE,
)
OFFICE = resource(
    "id",
    "text",
    "cell",
    Field(name="phone", type=T.PHONE),
    Field(name="age", type=T.TEXT),
    Field(name="tags", type=T.TEXT),
    Field(name="stamp", read_only=True),
    Field(name="owner_id", type=T.INTEGER),
)
READ_ONLY = Capabilities()


def problems(spec, left=CRM, right=OFFICE, timezones=None):
    with pytest.raises(ConfigError) as caught:
        compile_pair(spec, left, right, timezones=timezones or dict.fromkeys(Side))
    return caught.value.problems


def field(left, right, **options):
    return mapped("value", left, right, **options)


FIELD_PROBLEMS = [
    # spec of the field `value`, place below it, words of what is wrong, words of the cure
    (field("emial", "cell"), ".left", "crm.people (left) has no field 'emial'", "did you mean 'email'?"),
    (field("text", "zzz"), ".right", "office.people (right) has no field 'zzz'", "there are 'age', 'cell', 'id'"),
    (field("text", None), ".right", "no right field is named", "constant"),
    (field("blob", "cell"), ".left", "cannot be mapped: it holds files", "leave it out"),
    (field("age", "age"), "", "'age' is of type integer, office.people (right) field 'age' is of type text", "as = 'integer'"),
    (field("email", "phone"), "", "of type email", "as = 'text'"),
    (field("tags", "tags"), "", "of type set", "'set'"),
    (field("age", "cell", type=T.DATE), ".left", "'age' is of type integer and cannot hold a date", "'integer'"),
    (field("age", "cell", type=T.TEXT), ".left", "cannot hold a text", "'integer'"),
    (field("born", "cell", type=T.DATETIME), ".left", "cannot hold a datetime", "'date'"),
    (field("at", "cell"), ".timezone", "crm.people (left) field 'at' needs a time zone", "[systems.crm]"),
    (field("seen", "cell", type=T.DATE), ".timezone", "needs a time zone", "Europe/Berlin"),
    (
        field("seen", "cell", format={RIGHT: "%d.%m.%Y %H:%M"}),
        ".timezone",
        "office.people (right) field 'cell' needs",
        "[systems.office]",
    ),
    (field("at", "cell", timezone={LEFT: "Berlin"}), ".timezone", "unknown time zone 'Berlin'", "Europe/Berlin"),
    (field("text", "cell", timezone={LEFT: "UTC"}), ".timezone", "a text has no time zone", "leave it out"),
    (field("born", "cell", format={RIGHT: "%d.%m."}), ".format", "'%d.%m.' does not fit (right side)", "correct it"),
    (field("born", "cell", format={RIGHT: "%d.%Q.%Y"}), ".format", "cannot be read back", "correct it"),
    (field("seen", "cell", format={RIGHT: "%d.%m.%Y %z"}), ".format", "does not hold the time of day", "correct it"),
    (field("age", "cell", format={RIGHT: "#,##0"}), ".format", 'like "1,234.50"', "correct it"),
    (field("text", "cell", type=T.BOOLEAN, format={RIGHT: "yes"}), ".format", 'like "yes/no"', "correct it"),
    (field("tags", "cell", format={RIGHT: "and"}), ".format", "between its members", "correct it"),
    (field("text", "phone", format={RIGHT: "Germany"}), ".format", 'like "DE" or "US"', "correct it"),
    (field("text", "phone", format={LEFT: "DE", RIGHT: "US"}), ".format", "different phone regions", "one for both"),
    (field("text", "cell", format={RIGHT: "upper"}), ".format", "format means nothing for text", "leave it out"),
    (field("age", "cell", decimal={RIGHT: ";"}), ".decimal", "';' is no decimal mark", '"," '[:3]),
    (field("text", "cell", decimal={RIGHT: ","}), ".decimal", "a text has no decimal mark", "leave it out"),
    (
        field("age", "cell", decimal={RIGHT: ","}, format={RIGHT: "1.234,5"}),
        ".decimal",
        "shows the decimal mark already",
        "leave",
    ),
    (field("created", "stamp"), "", "'created' and office.people (right) field 'stamp' is read-only", "leave the field out"),
    (
        field("created", "cell", direction=BOTH),
        ".direction",
        "crm.people (left) field 'created' is read-only",
        "leave `direction` out",
    ),
    (field("text", "stamp", direction=TO_RIGHT), ".direction", "'stamp' is read-only, left_to_right would write it", "leave"),
    (field("owner", "owner_id"), "", "refers to other records", 'references = "PAIR"'),
    (field("owner", "cell"), "", "refers to other records", 'as = "text"'),
    (field("text", "cell", type=T.TEXT, references="people"), ".references", "a text refers to nothing", 'as = "reference"'),
    (
        field("text", "cell", conflicts=Policy.UNION),
        ".conflicts",
        '"union" settles sets and lists only, this is a text',
        "another",
    ),
    (field("born", "cell", values={"a": "b"}, type=T.DATE), ".values", "does not fit a date", 'as = "choice"'),
    (field("text", "cell", values={"a": "x", "b": "x"}), ".values", "several left values become 'x'", "left_to_right"),
    (field("stage", "cell", values={"Wno": "x"}), ".values", "has no choice 'Wno'", "did you mean 'Won'?"),
    (field("text", None, is_constant=True, constant="x", direction=BOTH), ".direction", "only ever travels to the left", "leave"),
    (
        field("text", None, is_constant=True, constant="x", direction=TO_RIGHT),
        ".direction",
        "only ever travels to the left",
        "leave",
    ),
    (field("text", "cell", is_constant=True, constant="x"), "", "a constant names one side's field", "constant ="),
    (field("created", None, is_constant=True, constant="x"), ".left", "'created' is read-only", "leave the constant out"),
    (field("age", None, is_constant=True, constant="old"), ".constant", "the constant does not fit", "give a integer"),
    (field("stage", None, is_constant=True, constant="Maybe"), ".constant", "'Won', 'Lost'", "choice"),
    (field("nope", None, is_constant=True, constant="x"), ".left", "has no field 'nope'", "did you mean"),
]


@pytest.mark.parametrize(("spec", "place", "wrong", "cure"), FIELD_PROBLEMS)
def test_a_wrong_field_is_named_with_the_cure(spec, place, wrong, cure):
    (problem,) = problems(pair(spec))
    assert problem.place == f"pairs.people.fields.value{place}"
    assert wrong in problem.wrong
    assert cure in problem.cure


def where(name, test=Test.IS, value="x"):
    return Condition(field=name, test=test, value=value)


PAIR_PROBLEMS = [
    # changes to the pair, place, wrong, cure
    ({"match": ()}, "match", "no field to match by", 'match = "email"'),
    ({"match": ("emial",)}, "match", "field 'emial' is not mapped", "did you mean 'email'?"),
    ({"match": ("email", "email")}, "match", "'email' stands there twice", "once"),
    ({"match": ("origin",)}, "match", "'origin' is a constant", "mapped field"),
    ({"match": ("tags",)}, "fields.tags", "a set cannot be part of the match key", "one value"),
    ({"match": ("groups",)}, "fields.groups", "a reference cannot be part of the match key", "one value"),
    ({"conflicts": Policy.UNION}, "conflicts", '"union" settles sets and lists only', "fields"),
    ({"filters": {RIGHT: (where("aeg"),)}}, "filter.right", "office.people has no field 'aeg'", "did you mean 'age'?"),
    (
        {"filters": {LEFT: (AnyOf(conditions=(where("blob"),)),)}},
        "filter.left",
        "'blob' cannot be used: it holds files",
        "another",
    ),
    ({"filters": {LEFT: (where("age", Test.BLANK, "yes"),)}}, "filter.left", "'blank' on field 'age'", "true or false"),
    ({"filters": {LEFT: (where("age", Test.ONE_OF, 5),)}}, "filter.left", "'one_of' on field 'age'", "a list"),
    ({"filters": {LEFT: (where("age", Test.ABOVE, True),)}}, "filter.left", "'above' on field 'age'", "a number, a date or text"),
    ({"filters": {LEFT: (where("age", Test.CONTAINS, ""),)}}, "filter.left", "'contains' on field 'age'", "one value"),
    ({"filters": {LEFT: (where("age", Test.IS, [1]),)}}, "filter.left", "'is' on field 'age'", "one_of"),
]


@pytest.mark.parametrize(("changes", "place", "wrong", "cure"), PAIR_PROBLEMS)
def test_a_wrong_pair_is_named_with_the_cure(changes, place, wrong, cure):
    fields = (
        mapped("email", "email", "cell"),
        mapped("tags", "tags", "tags", type=T.SET),
        mapped("groups", "groups", "text", references="people"),
        mapped("origin", "text", None, is_constant=True, constant="x"),
    )
    (problem,) = problems(replace(pair(*fields, match=("email",)), **changes))
    assert problem.place == f"pairs.people.{place}"
    assert wrong in problem.wrong
    assert cure in problem.cure


@pytest.mark.parametrize(
    ("changes", "able", "place", "wrong", "cure"),
    [
        ({}, READ_ONLY, "direction", "office.people (right) cannot be written", 'direction = "right_to_left"'),
        ({"direction": TO_RIGHT}, READ_ONLY, "direction", "office.people (right) cannot be written", "right_to_left"),
        (
            {"deletes": Deletes.ARCHIVE},
            replace(ALL_ABLE, archives=False),
            "deletes",
            "office.people (right) cannot archive records",
            "propagate",
        ),
        (
            {"deletes": Deletes.PROPAGATE},
            replace(ALL_ABLE, archives=False, deletes=False),
            "deletes",
            "office.people (right) cannot delete records",
            "ignore",
        ),
    ],
)
def test_what_a_side_cannot_do_is_named_with_the_cure(changes, able, place, wrong, cure):
    (problem,) = problems(replace(pair(), **changes), right=replace(OFFICE, capabilities=able))
    assert (problem.place, problem.wrong) == (f"pairs.people.{place}", wrong)
    assert cure in problem.cure


def test_a_side_that_is_never_written_needs_no_abilities():
    silent = replace(OFFICE, capabilities=READ_ONLY)
    compile_pair(pair(direction=TO_LEFT, deletes=Deletes.ARCHIVE), CRM, silent, timezones=dict.fromkeys(Side))


REQUIRED = resource("id", "text", "cell", Field(name="name", required=True), Field(name="no", required=True, read_only=True))


@pytest.mark.parametrize(
    ("fields", "options", "reported"),
    [
        ((), {}, True),
        ((mapped("n", "text", "name"),), {}, False),
        ((mapped("n", None, "name", is_constant=True, constant="x"),), {}, False),
        ((mapped("n", "text", "name", direction=TO_LEFT),), {}, True),
        ((), {"direction": TO_LEFT}, False),
    ],
)
def test_a_required_field_that_nothing_fills_is_a_problem_only_where_records_are_created(fields, options, reported):
    spec = pair(*fields, **options)
    if not reported:
        compile_pair(spec, CRM, REQUIRED, timezones=dict.fromkeys(Side))
        return
    (problem,) = problems(spec, right=REQUIRED)
    assert problem.place == "pairs.people.fields"
    assert "required field 'name' of office.people (right) is not mapped: creates will fail" in problem.wrong
    assert 'right = "name", constant' in problem.cure


@pytest.mark.parametrize(
    ("left", "right", "kind", "is_told"),
    [
        (Field(name="n", type=T.INTEGER), Field(name="n", type=T.DECIMAL), None, True),
        (Field(name="n", type=T.INTEGER), Field(name="n", type=T.DECIMAL, scale=0), None, False),
        (Field(name="n", type=T.DECIMAL), Field(name="n", type=T.INTEGER), T.DECIMAL, True),
        (Field(name="n"), Field(name="n", type=T.INTEGER), T.DECIMAL, True),
        (Field(name="n"), Field(name="n", type=T.INTEGER), None, False),
        (Field(name="n", type=T.INTEGER), Field(name="n", type=T.INTEGER), None, False),
        (Field(name="n", type=T.DECIMAL), Field(name="n", type=T.DECIMAL, scale=2), None, False),
    ],
)
def test_where_decimals_meet_whole_numbers_a_person_is_told(left, right, kind, is_told):
    spec = pair(mapped("n", "n", "n", type=kind))
    rule = compile_pair(spec, resource("id", "text", left), resource("id", "text", right), timezones=dict.fromkeys(Side))
    assert any("fields.n: " in note and "holds whole numbers" in note for note in rule.notes) is is_told


def test_an_id_that_nobody_gives_is_no_field_for_a_constant():
    (problem,) = problems(pair(), right=replace(REQUIRED, id_fields=("name",)))
    assert "new records of office.people (right) need an id in 'name'" in problem.wrong
    assert "make_ids" in problem.cure


def test_a_field_mapped_twice_or_written_by_two_is_a_problem():
    found = problems(pair(mapped("a", "text", "cell"), mapped("a", "email", "cell")))
    assert {(problem.place, problem.wrong) for problem in found} == {
        ("pairs.people.fields.a", "the field is mapped twice"),
        ("pairs.people.fields.a.right", "the right field 'cell' is written by 'a', 'a'"),
    }


def test_a_field_may_be_read_twice_as_long_as_one_writes_it():
    spec = pair(mapped("a", "text", "cell"), mapped("b", "text", "text", direction=TO_RIGHT))
    assert len(compile_pair(spec, CRM, OFFICE, timezones=dict.fromkeys(Side)).fields) == 3


def test_a_field_cannot_go_against_the_pair():
    (problem,) = problems(pair(field("text", "cell", direction=TO_LEFT), direction=TO_RIGHT))
    assert (problem.place, problem.wrong) == (
        "pairs.people.fields.value.direction",
        "the pair goes left_to_right, the field right_to_left",
    )


def test_a_constant_on_a_side_that_is_never_written_is_a_problem():
    (problem,) = problems(pair(field("text", None, is_constant=True, constant="x"), direction=TO_RIGHT))
    assert problem.wrong == "the pair never writes its left side"


def test_an_unknown_time_zone_of_a_system_names_the_system():
    (problem,) = problems(pair(field("at", "cell")), timezones={LEFT: "Mars/Olympus", RIGHT: None})
    assert problem.wrong == "unknown time zone 'Mars/Olympus' of [systems.crm]"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "", "a\x00b", "UTC\n", "x" * 10_000])
def test_hostile_time_zone_names_are_unknown(name):
    assert problems(pair(field("at", "cell", timezone={LEFT: name})))


def test_a_resource_without_fields_has_no_names_to_offer():
    (problem,) = problems(pair(), right=resource())
    assert (problem.place, problem.cure) == ("pairs.people.fields.id.right", "there are no fields to choose from")


def test_all_problems_of_a_pair_come_at_once():
    spec = pair(
        mapped("a", "nope", "cell"),
        mapped("b", "at", "text"),
        mapped("c", "blob", "nope"),
        match=("id",),
        filters={LEFT: (where("nope"),)},
    )
    places = [problem.place for problem in problems(spec)]
    assert places == [
        "pairs.people.fields.a.left",
        "pairs.people.fields.b.timezone",
        "pairs.people.fields.c.left",
        "pairs.people.fields.c.right",
        "pairs.people.filter.left",
    ]
