"""Every field type of records-api.md section 4: written as people know it, and read back the same, on every way."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from syncengine.connector import ABSENT, FieldType, Native, Record, SetChange
from syncengine.errors import Rejected
from tests.connectors.kizen.crm import COMPANIES, CONTACTS, DEALS, THINGS, Crm, create, update

MOMENT = datetime(2026, 7, 1, 12, 30, 15, 123456, tzinfo=timezone(timedelta(hours=2)))

VALUES: Mapping[str, tuple[Native, Native]] = {
    # field: a first value, and what it is changed to
    "line": ("Grüße, 世界", "x" * 255),
    "story": ("One\nTwo", "y" * 10_000),
    "mail": ("ada@example.com", "bo@example.com"),
    "phone": ("+13125550100", "+442079460000"),
    "whole": (-(2**31), 2**31 - 1),
    "ratio": (Decimal("0.1234"), Decimal("-99.5")),
    "price": (Decimal("1250.50"), Decimal("0.01")),
    "day": (date(2024, 2, 29), date(1900, 1, 1)),
    "moment": (MOMENT, datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    "ticked": (True, False),
    "colour": ("Red", "Blue"),
    "size": ("S", "M"),
    "phase": ("Open", "Done"),
    "sure": ("Yes", "Maybe"),
    "parts": (["Top", "Bottom"], ["Side"]),
    "labels": (["New", "VIP"], ["Old"]),
    "stars": (3, 5),
    "keeper": ("ann@example.com", "bob@example.com"),
    "zone": ("Europe/Berlin", "America/Chicago"),
    "secret_note": ("hidden", "still hidden"),
}


def names(value: Native) -> Native:
    return sorted(value) if isinstance(value, list) else value


@pytest.mark.parametrize("field", VALUES)
def test_a_value_comes_back_as_it_was_written(crm: Crm, field: str) -> None:
    first, second = VALUES[field]
    made = crm.written(THINGS, create(name="Box", **{field: first}))
    assert made.record is not None
    assert names(made.record[field]) == names(first)
    assert type(made.record[field]) is type(first)
    changed = crm.written(THINGS, update(made.id, **{field: second}))
    assert changed.record is not None
    assert names(changed.record[field]) == names(second)
    got = crm.get(THINGS, made.id, field)
    assert names(got.fields[field]) == names(second)
    assert names(crm.rows(THINGS, field)[made.id][field]) == names(second)
    # What people see on the platform is the same value.
    shown = crm.server.record(made.id).get(field)
    assert field == "ticked" or shown is not None


@pytest.mark.parametrize("field", VALUES)
def test_a_field_is_cleared_by_none_and_reads_as_blank(crm: Crm, field: str) -> None:
    blank = {"ticked": False, "parts": [], "labels": []}.get(field)
    made = crm.written(THINGS, create(name="Box", **{field: VALUES[field][0]}))
    cleared = crm.written(THINGS, update(made.id, **{field: None}))
    assert cleared.record == {field: blank}
    assert crm.get(THINGS, made.id, field).fields == {field: blank}
    assert crm.rows(THINGS, field)[made.id] == {field: blank}


SHAPES = {
    "decimals": ["number", "string"],
    "option_write": ["any", "bare", "object"],
    "get_blanks": ["omit", "include"],
    "search_blanks": ["include", "omit"],
    "blank_text": ["null", "empty"],
    "null_clears": [True, False],
    "rating_read": ["integer", "string", "option"],
    "timezone_read": ["option", "string"],
    "record_fields": ["mapping", "list"],
}


@pytest.mark.parametrize(("switch", "position"), [(name, one) for name, positions in SHAPES.items() for one in positions])
def test_every_shape_that_the_sources_tell_of_is_read_and_written(
    start: Callable[..., Crm], switch: str, position: object
) -> None:
    crm = start(switches={switch: position})
    first = {name: pair[0] for name, pair in VALUES.items()}
    second = {name: pair[1] for name, pair in VALUES.items()}
    made = crm.written(THINGS, create(name="Box", **first))
    for expected, change in ((first, None), (second, second)):
        if change is not None:
            assert {name: names(value) for name, value in crm.written(THINGS, update(made.id, **change)).record.items()} == {
                name: names(value) for name, value in expected.items()
            }
        for found in (crm.get(THINGS, made.id, *VALUES).fields, crm.rows(THINGS, *VALUES)[made.id]):
            assert {name: names(value) for name, value in found.items()} == {
                name: names(value) for name, value in expected.items()
            }


@pytest.mark.parametrize("position", [True, False])
def test_texts_and_options_are_cleared_whether_null_or_empty_is_the_word_for_it(
    start: Callable[..., Crm], position: bool
) -> None:
    crm = start(switches={"null_clears": position})
    made = crm.written(THINGS, create(name="Box", line="x", colour="Red", parts=["Top"], labels=["VIP"]))
    cleared = crm.written(THINGS, update(made.id, line=None, colour=None, parts=None, labels=None))
    assert cleared.record == {"line": None, "colour": None, "parts": [], "labels": []}
    mark = crm.mark
    crm.written(THINGS, update(made.id, line="y"))
    crm.written(THINGS, update(made.id, line=None))
    assert crm.actions(mark) == ["patch", "patch"]  # the form is remembered


@pytest.mark.parametrize("form", ["any", "bare", "object"])
def test_the_form_of_options_and_related_records_is_learned_once(start: Callable[..., Crm], form: str) -> None:
    crm = start(switches={"option_write": form})
    company = crm.server.add_record(COMPANIES, name="Acme")
    made = crm.written(THINGS, create(name="Box", colour="Red", parts=["Top"], maker=company))
    assert crm.get(THINGS, made.id, "colour", "parts", "maker").fields == {"colour": "Red", "parts": ["Top"], "maker": company}
    mark = crm.mark
    crm.written(THINGS, update(made.id, colour="Blue"))
    assert crm.actions(mark) == ["patch"]


@pytest.mark.parametrize(
    ("field", "spelled", "stored"),
    [("colour", "b", "Blue"), ("colour", "RED", "Red"), ("sure", "yes", "Yes"), ("parts", ["TOP", "top"], ["Top"])],
)
def test_options_are_understood_by_label_or_code_and_without_regard_to_case(
    crm: Crm, field: str, spelled: Native, stored: Native
) -> None:
    assert crm.written(THINGS, create(name="Box", **{field: spelled})).record == {"name": "Box", field: stored} or (
        crm.get(THINGS, crm.find(THINGS, "name", "Box")[0].id, field).fields[field] == stored
    )


def test_an_option_is_understood_by_its_id_too(crm: Crm) -> None:
    red = crm.server.field(THINGS, "colour").options[0].id
    made = crm.written(THINGS, create(name="Box", colour=red))
    assert made.record is not None
    assert made.record["colour"] == "Red"


def test_two_options_of_one_name_go_by_their_ids(start: Callable[..., Crm]) -> None:
    crm = start()
    crm.server.add_field(THINGS, "Twin", "dropdown", options=["Same", "Same", "Other"])
    first, second, _ = crm.server.field(THINGS, "twin").options
    assert [choice.value for choice in crm.kizen.resources()[THINGS].fields["twin"].choices] == [first.id, second.id, "Other"]
    made = crm.written(THINGS, create(name="Box", twin=second.id))
    assert made.record is not None
    assert made.record["twin"] == second.id
    assert isinstance(crm.error(THINGS, update(made.id, twin="Same")), Rejected)


def test_a_set_is_changed_without_touching_its_other_members(crm: Crm) -> None:
    contact, other = (crm.server.add_record(CONTACTS, email=f"{name}@example.com") for name in ("a", "b"))
    made = crm.written(THINGS, create(name="Box", labels=["New"], parts=["Top"], people=[contact]))
    crm.server.edit(made.id, labels=["New", "Old"])
    changed = crm.written(
        THINGS,
        update(
            made.id,
            labels=SetChange(add=("VIP",), remove=("New",)),
            parts=SetChange(add=("Side",)),
            people=SetChange(add=(other,), remove=(contact,)),
        ),
    )
    assert {name: names(value) for name, value in changed.record.items()} == {
        "labels": ["Old", "VIP"],
        "parts": ["Side", "Top"],
        "people": [other],
    }


def test_related_records_are_ids_to_one_and_to_many(crm: Crm) -> None:
    company = crm.server.add_record(COMPANIES, name="Acme")
    people = sorted(crm.server.add_record(CONTACTS, email=f"{name}@example.com") for name in "abc")
    made = crm.written(THINGS, create(name="Box", maker=company, people=people))
    assert crm.get(THINGS, made.id, "maker", "people").fields == {"maker": company, "people": people}
    fields = crm.kizen.resources()[THINGS].fields
    assert (fields["maker"].references, fields["maker"].many) == (COMPANIES, False)
    assert (fields["people"].references, fields["people"].many) == (CONTACTS, True)


def test_the_side_of_a_relation_that_the_platform_made_is_not_written_twice(crm: Crm) -> None:
    mirror = crm.kizen.resources()[COMPANIES].fields["things_made"]
    assert mirror.read_only
    assert mirror.references == THINGS
    company = crm.server.add_record(COMPANIES, name="Acme")
    made = crm.written(THINGS, create(name="Box", maker=company))
    assert crm.get(COMPANIES, company, "things_made").fields == {"things_made": [made.id]}
    assert isinstance(crm.error(COMPANIES, update(company, things_made=[made.id])), Rejected)


@pytest.mark.parametrize("number", [99, 100, 101, 250])
def test_values_that_are_only_counted_are_fetched(start: Callable[..., Crm], number: int) -> None:
    crm = start()
    people = sorted(crm.server.add_record(CONTACTS, email=f"p{each}@example.com") for each in range(number))
    box = crm.server.add_record(THINGS, name="Box", people=people)
    assert names(crm.rows(THINGS, "people")[box]["people"]) == people
    mark = crm.mark
    assert names(crm.get(THINGS, box, "people").fields["people"]) == people
    assert crm.actions(mark).count("field_values") == (1 if number > 100 else 0)
    # What a write stored is told by its own answer, which only counts them: then nothing is claimed.
    changed = crm.written(THINGS, update(box, people=SetChange(remove=(people[0],))))
    assert (changed.record == {}) is (number > 101)


@pytest.mark.parametrize("relations", ["include", "omit"])
def test_a_relation_missing_in_the_answer_to_get_is_not_taken_for_a_cleared_one(
    start: Callable[..., Crm], relations: str
) -> None:
    crm = start(switches={"get_relations": relations})
    company = crm.server.add_record(COMPANIES, name="Acme")
    contact = crm.server.add_record(CONTACTS, email="a@example.com")
    full = crm.server.add_record(THINGS, name="Full", maker=company, people=[contact])
    bare = crm.server.add_record(THINGS, name="Bare")
    for _ in range(2):
        fields = crm.get(THINGS, full, "maker", "people").fields
        assert fields["people"] == [contact]
        assert fields.get("maker", company) == company
        blank = crm.get(THINGS, bare, "maker", "people").fields
        assert blank["people"] == []
        assert blank.get("maker") is None
        assert ("maker" in blank) is (relations == "include")


def test_a_stage_is_written_by_its_name_through_move(crm: Crm) -> None:
    stage = crm.kizen.resources()[DEALS].fields["stage"]
    assert stage.type is FieldType.CHOICE
    assert [choice.value for choice in stage.choices] == ["New", "Won", "Lost"]
    assert not stage.read_only
    made = crm.written(DEALS, create(name="First", stage="Won", entity_value=Decimal("12.5")))
    assert made.record == {"name": "First", "entity_value": Decimal("12.5"), "stage": "Won"}
    mark = crm.mark
    assert crm.written(DEALS, update(made.id, stage="lost")).record == {"stage": "Lost"}
    assert crm.actions(mark) == ["move"]
    assert crm.get(DEALS, made.id, "stage").fields == {"stage": "Lost"}
    assert isinstance(crm.error(DEALS, update(made.id, stage="Nowhere")), Rejected)
    assert isinstance(crm.error(DEALS, update(made.id, stage=None)), Rejected)


def test_a_custom_field_that_is_called_stage_is_not_a_stage(start: Callable[..., Crm]) -> None:
    crm = start()
    crm.server.add_field(THINGS, "Stage", "text", name="stage")
    assert crm.written(THINGS, create(name="Box", stage="anything")).record == {"name": "Box", "stage": "anything"}


def test_files_are_read_only(crm: Crm) -> None:
    assert crm.kizen.resources()[THINGS].fields["papers"].read_only
    made = crm.written(THINGS, create(name="Box"))
    assert isinstance(crm.error(THINGS, update(made.id, papers=["x"])), Rejected)


def test_a_field_type_of_tomorrow_is_unusable_and_hurts_nothing_else(crm: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    from connectors.kizen import metadata

    monkeypatch.delitem(metadata._KINDS, "rating")
    resource = crm.kizen.resources()[THINGS]
    assert "rating" in resource.fields["stars"].unusable
    assert resource.fields["line"].unusable == ""


WRONG: Mapping[str, list[Any]] = {
    "line": [5, True, ["x"], b"x", "\ud800"],
    "whole": ["5", 1.5, Decimal("1.5"), True, 2**31, -(2**31) - 1, Decimal("1e400")],
    "ratio": ["1", True, Decimal("NaN"), Decimal("Infinity"), Decimal("0.12345678901234567891")],
    "price": [Decimal("12345678901234567.89")],
    "day": ["2026-01-01", datetime(2026, 1, 1, tzinfo=UTC)],
    "moment": ["2026-01-01", datetime(2026, 1, 1), date(2026, 1, 1)],  # noqa: DTZ001 - naive is what is refused
    "ticked": ["true", 1],
    "colour": ["Green", 1, ["Red"]],
    "parts": ["Top", [1], {"Top": 1}, ["Nowhere"]],
    "labels": ["VIP", [None]],
    "stars": ["5", 2.5],
    "keeper": ["nobody@example.com", 5],
    "zone": [5],
    "maker": [["x"], 5],
    "people": ["x"],
    "nothing_of_this_name": ["x"],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, listed in WRONG.items() for value in listed])
def test_what_cannot_be_sent_is_refused_before_any_write_and_the_field_is_named(crm: Crm, field: str, value: Any) -> None:
    box = crm.server.add_record(THINGS, name="Box")
    error = crm.error(THINGS, update(box, **{field: value}))
    assert isinstance(error, Rejected)
    assert error.field == field
    assert crm.server.requests.writes() == []


def test_numbers_are_exact_or_refused(crm: Crm) -> None:
    box = crm.server.add_record(THINGS, name="Box")
    for text in ("0.1", "0.3", "999999.99", "-0.0001", "123456789012.25", "9007199254740991"):
        crm.written(THINGS, update(box, price=Decimal(text)))
        assert crm.get(THINGS, box, "price").fields["price"] == Decimal(text)


def test_a_field_that_the_metadata_does_not_list_is_absent_and_one_left_out_by_the_record_is_blank(crm: Crm) -> None:
    box = crm.server.add_record(THINGS, name="Box")
    (page,) = crm.pages(THINGS, "name", "line", "gone")
    assert list(page.rows) == [("Box", None, ABSENT)]
    got = crm.get(THINGS, box, "name", "line", "gone")
    assert got == Record(id=box, fields={"name": "Box", "line": None}, modified_at=got.modified_at)


def test_people_on_the_platform_and_the_connector_see_the_same_thing(crm: Crm) -> None:
    box = crm.server.add_record(THINGS, name="Box", colour="Blue", labels=["New"], keeper="bob@example.com", price="12.34")
    fields = crm.get(THINGS, box, "colour", "labels", "keeper", "price").fields
    assert fields == {"colour": "Blue", "labels": ["New"], "keeper": "bob@example.com", "price": Decimal("12.34")}


@pytest.mark.parametrize("created", [True, False])
def test_a_tag_that_does_not_exist_is_made_or_refused_by_the_platform(start: Callable[..., Crm], created: bool) -> None:
    crm = start(switches={"create_tags_on_write": created})
    change = create(name="Box", labels=["VIP", "Brand new"])
    if created:
        made = crm.written(THINGS, change)
        assert made.record is not None
        assert names(made.record["labels"]) == ["Brand new", "VIP"]
    else:
        error = crm.error(THINGS, change)
        assert isinstance(error, Rejected)
        assert error.field == "labels"


def test_tags_and_team_are_looked_up_once(crm: Crm) -> None:
    boxes = [crm.server.add_record(THINGS, name=f"Box {number}") for number in range(5)]
    mark = crm.mark
    for box, keeper in zip(boxes, itertools.cycle(["ann@example.com", "bob@example.com"]), strict=False):
        crm.written(THINGS, update(box, labels=["VIP"], keeper=keeper))
    assert len([one for one in crm.calls(mark) if one.method == "GET"]) <= 5


def test_contacts_have_tags_too(crm: Crm) -> None:
    crm.server.add_option(CONTACTS, "tags", "Friend")
    made = crm.written(CONTACTS, create(email="a@example.com", tags=["Friend"]))
    assert made.record == {"email": "a@example.com", "tags": ["Friend"]}
