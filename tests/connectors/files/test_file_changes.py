"""What a batch of changes does to a file, change by change; the same for every kind of file."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest

from syncengine.connector import (
    ABSENT,
    Archive,
    Create,
    Delete,
    Expected,
    Failed,
    Record,
    Restore,
    SetChange,
    Tombstone,
    Unknown,
    Update,
    Written,
)
from syncengine.errors import NotFound, Rejected, TransientError, VersionConflict


def test_one_outcome_per_change_in_order_and_neighbours_land(people):
    outcomes = people.write(
        Update(key="a", id="1", fields={"name": "Anna"}),
        Update(key="b", id="99", fields={"name": "x"}),
        Create(key="c", id="2", fields={"name": "x"}),
        Delete(key="d", id="3"),
        Update(key="e", id="3", fields={"name": "x"}),
        Create(key="f", id="4", fields={"name": "Di", "email": "di@example.com"}),
        Delete(key="g", id="3"),
    )
    assert [type(outcome) for outcome in outcomes] == [Written, Failed, Failed, Written, Failed, Written, Failed]
    assert [type(outcome.error) for outcome in outcomes if isinstance(outcome, Failed)][0::2] == [NotFound, NotFound]
    assert people.listing("name", "email") == {
        "1": ("Anna", "ann@example.com"),
        "2": ("Bo", "bo@example.com"),
        "4": ("Di", "di@example.com"),
    }


def test_changes_see_what_those_before_them_did(people):
    outcomes = people.write(
        Create(key="a", id="9", fields={"name": "x"}),
        Update(key="b", id="9", fields={"name": "y"}, expected=Expected(fields={"name": "x"})),
        Update(key="c", id="9", fields={"email": "z"}, expected=Expected(fields={"name": "x"})),
        Update(key="d", id="1", fields={"name": "A"}),
        Update(key="e", id="1", fields={"email": "B"}, expected=Expected(fields={"name": "A"})),
        Create(key="f", id="8", fields={"name": "gone"}),
        Delete(key="g", id="8"),
    )
    assert [isinstance(outcome, Written) for outcome in outcomes] == [True, True, False, True, True, True, True]
    assert people.listing("name", "email")["1"] == ("A", "B")
    assert people.listing("name")["9"] == ("y",)
    assert "8" not in people.listing()


def test_the_record_of_an_outcome_is_what_a_read_delivers(people):
    outcomes = people.write(
        Update(key="a", id="1", fields={"name": 'x "y"\nz', "email": None}), Create(key="b", fields={"name": "Ü", "email": "e"})
    )
    for outcome in outcomes:
        (record,) = people.get(outcome.id, fields=["id", "name", "email"])
        assert outcome.record == record.fields


@pytest.mark.parametrize("kind", [Update, Delete])
@pytest.mark.parametrize(
    ("expected", "holds"),
    [
        (None, True),
        (Expected(fields={}), True),
        (Expected(fields={"name": "Ann"}), True),
        (Expected(fields={"name": "Ann", "email": "ann@example.com"}), True),
        (Expected(fields={"name": "Ann", "email": "other"}), False),
        (Expected(fields={"name": "ann"}), False),
        (Expected(fields={"name": ""}), False),
        (Expected(fields={"name": None}), False),
        (Expected(fields={"nickname": "x"}), False),
        (Expected(version="1"), False),
    ],
)
def test_a_stale_expectation_changes_nothing(people, kind, expected, holds):
    before = people.content
    change = (
        Update(key="k", id="1", fields={"email": "new"}, expected=expected)
        if kind is Update
        else Delete(key="k", id="1", expected=expected)
    )
    (outcome,) = people.write(change)
    assert isinstance(outcome, Written) == holds
    if not holds:
        assert isinstance(outcome.error, VersionConflict)
        assert people.content == before


def test_an_expectation_is_compared_with_the_file_as_it_is_now(people):
    people.listing("name")
    people.get("1", fields=["name"])
    people.path.write_bytes(people.content.replace(b"Ann", b"Eve"))
    (outcome,) = people.write(Update(key="k", id="1", fields={"email": "x"}, expected=Expected(fields={"name": "Ann"})))
    assert isinstance(outcome.error, VersionConflict)


def test_expectations_in_a_csv_file_are_compared_as_text(desk):
    office = desk("id,n,empty,day\n1,5,,2026-11-23\n")
    was = Expected(fields={"n": 5, "empty": None, "day": date(2026, 11, 23)})
    (outcome,) = office.write(Update(key="k", id="1", fields={"n": 6}, expected=was))
    assert isinstance(outcome, Written)
    (outcome,) = office.write(Update(key="k", id="1", fields={"n": 7}, expected=Expected(fields={"n": object()})))
    assert isinstance(outcome.error, VersionConflict)


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        (Decimal("1.10"), True),
        (Decimal("1.1"), True),
        (1.1, True),
        ("1.10", False),
        (None, False),
        (ABSENT, False),
        (True, False),
        (object(), False),
    ],
)
def test_expectations_in_a_jsonl_file_are_compared_by_type_and_value(desk, value, holds):
    office = desk('{"id": 1, "n": 1.10}\n', "people.jsonl")
    (outcome,) = office.write(Update(key="k", id="1", fields={"x": 1}, expected=Expected(fields={"n": value})))
    assert isinstance(outcome, Written) == holds


@pytest.mark.parametrize(("stored", "value"), [("true", 1), ("1", True), ("null", ABSENT), ("null", "")])
def test_lookalikes_in_json_are_different(desk, stored, value):
    office = desk(f'{{"id": 1, "n": {stored}}}\n', "people.jsonl")
    (outcome,) = office.write(Update(key="k", id="1", fields={"x": 1}, expected=Expected(fields={"n": value})))
    assert isinstance(outcome.error, VersionConflict)


def test_absent_is_expected_where_a_member_is_missing(desk):
    office = desk('{"id": 1}\n', "people.jsonl")
    (outcome,) = office.write(Update(key="k", id="1", fields={"x": 1}, expected=Expected(fields={"n": ABSENT})))
    assert isinstance(outcome, Written)


def test_if_every_change_fails_the_file_is_not_written(people):
    before = people.path.stat()
    people.write(Delete(key="a", id="77"), Create(key="b", id="1", fields={}))
    after = people.path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_no_changes_are_no_outcomes(people):
    assert people.write() == []


@pytest.mark.parametrize(
    "change", [Archive(key="k", id="1"), Restore(key="k", id="1"), Create(key="k", fields={"name": "x"}, upsert_on="name")]
)
def test_what_a_file_cannot_do_is_rejected(people, change):
    (outcome,) = people.write(change)
    assert isinstance(outcome.error, Rejected)


FORMULAS = ["=1+1", "+49 30 1234", "-5", "@home", "=cmd|' /C calc'!A0", "\t=1", "'=1", "\uff1d1", '="05"', '=HYPERLINK("x")']


@pytest.mark.parametrize("value", FORMULAS)
def test_what_a_spreadsheet_takes_for_a_formula_is_data(people, value):
    people.write(Update(key="u", id="1", fields={"name": value}), Create(key="c", id="9", fields={"name": value}))
    assert people.listing("name")["1"] == people.listing("name")["9"] == (value,)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (-5, "-5"),
        (10**30, "1" + "0" * 30),
        (Decimal("1.10"), "1.10"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-7"), "0.0000001"),
        (0.1, "0.1"),
        (1e21, "1000000000000000000000"),
        (date(2026, 11, 23), "2026-11-23"),
        (time(9, 5), "09:05:00"),
        (datetime(2026, 11, 23, 9, 5), "2026-11-23T09:05:00"),  # noqa: DTZ001 # a time zone is the config's affair
        (datetime(2026, 11, 23, 9, 5, tzinfo=UTC), "2026-11-23T09:05:00+00:00"),
        (["a", Decimal("1.50"), None, True], '["a", 1.50, null, true]'),
        ({"a": {"b": [1]}, "é": date(2026, 1, 2)}, '{"a": {"b": [1]}, "é": "2026-01-02"}'),
        (" spaces kept ", " spaces kept "),
    ],
)
def test_values_are_written_into_csv_as_plain_text(desk, value, text):
    office = desk("id,v\n1,old\n")
    (outcome,) = office.write(Update(key="k", id="1", fields={"v": value}))
    assert outcome.record == {"id": "1", "v": text}
    assert office.listing("v") == {"1": (text,)}


def test_absent_leaves_a_csv_cell_alone(desk):
    office = desk("id,a,b\n1,x,y\n")
    office.write(Update(key="k", id="1", fields={"a": ABSENT, "b": "z"}), Create(key="c", fields={"a": ABSENT}))
    assert office.content == b"id,a,b\n1,x,z\n2,,\n"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"nickname": "x"}, "nickname"),
        ({"name": "a\0b"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"name": b"bytes"}, "name"),
        ({"name": Decimal("NaN")}, "name"),
        ({"name": float("inf")}, "name"),
        ({"name": [object()]}, "name"),
        ({"name": {1: 2}}, "name"),
        ({"name": SetChange(add=("x",))}, "name"),
        ({"name": "x" * (2**23 + 1)}, "name"),
    ],
)
def test_a_value_that_a_csv_file_cannot_hold_is_rejected_by_field(desk, fields, field):
    office = desk("id,name\n1,Ann\n")
    before = office.content
    outcomes = office.write(Update(key="a", id="1", fields=fields), Create(key="b", fields=fields))
    for outcome in outcomes:
        assert isinstance(outcome.error, Rejected)
        assert outcome.error.field == field
        assert len(str(outcome.error)) < 300
    assert office.content == before


@pytest.mark.parametrize(
    "fields", [{"n": b"x"}, {"n": Decimal("Infinity")}, {"n": [float("nan")]}, {"n": {1: 2}}, {"n": "\ud800"}, {"n": SetChange()}]
)
def test_a_value_that_a_jsonl_file_cannot_hold_is_rejected_by_field(desk, fields):
    office = desk('{"id": 1}\n', "people.jsonl")
    for outcome in office.write(Update(key="a", id="1", fields=fields), Create(key="b", fields=fields)):
        assert isinstance(outcome.error, Rejected)
        assert outcome.error.field == "n"
    assert office.content == b'{"id": 1}\n'


def test_an_encoding_that_lacks_a_character_rejects_the_value_and_not_its_neighbours(desk):
    office = desk("id,name\n1,Zoë\n".encode("latin-1"), encoding="latin-1")
    bad, good = office.write(Update(key="a", id="1", fields={"name": "Łódź"}), Create(key="b", fields={"name": "Ümit"}))
    assert (type(bad.error), bad.error.field) == (Rejected, "name")
    assert "Ł" not in str(bad.error)
    assert isinstance(good, Written)
    assert office.content == "id,name\n1,Zoë\n2,Ümit\n".encode("latin-1")


def test_json_escapes_what_its_encoding_lacks(desk):
    office = desk('{"id": 1, "n": "ë"}\n'.encode("latin-1"), "people.jsonl", encoding="latin-1")
    (outcome,) = office.write(Update(key="a", id="1", fields={"n": "Łódź"}))
    assert outcome.record["n"] == "Łódź"
    assert office.listing("n") == {"1": ("Łódź",)}


def test_get_tells_there_gone_and_could_not_tell_apart_in_order(people):
    answers = people.get("2", "99", "1", "~00.5", "", fields=["name"])
    assert answers == [
        Record(id="2", fields={"name": "Bo"}),
        Tombstone(id="99"),
        Record(id="1", fields={"name": "Ann"}),
        Unknown(id="~00.5", why="the row had no lasting id, and was changed or given one since"),
        Tombstone(id=""),
    ]


def test_get_and_find_see_the_file_as_it_is_now(people):
    assert people.find("name", "Ann") == ["1"]
    people.path.write_bytes(people.content.replace(b"Ann", b"Eve"))
    assert people.find("name", "Ann") == []
    assert people.get("1", fields=["name"])[0].fields == {"name": "Eve"}
    people.write(Delete(key="k", id="1"))
    assert people.find("name", "Eve") == []
    assert people.get("1") == [Tombstone(id="1")]


def at_each_look(monkeypatch, act, times):
    """Have something happen just before a record is read from its place, so many times."""
    pread, left = os.pread, [times]

    def disturbed(descriptor, size, offset):
        if left[0]:
            left[0] -= 1
            act()
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", disturbed)


def test_get_and_find_answer_for_one_state_of_a_file_that_changes_under_them(people, monkeypatch):
    later = people.content.replace(b"Ann", b"Annabel").replace(b"Bo", b"Bob")
    at_each_look(monkeypatch, lambda: people.path.write_bytes(later), 1)
    (first, second) = people.get("1", "2", fields=["name"])
    assert (first.fields["name"], second.fields["name"]) == ("Annabel", "Bob")
    at_each_look(monkeypatch, lambda: people.path.write_bytes(later.replace(b"Bob", b"B")), 1)
    assert people.find("name", "B", "Bob") == ["2"]


def test_a_file_that_changes_at_each_look_is_given_up(people, monkeypatch):
    versions = iter([people.content.replace(b"Ann", b"A" * length) for length in range(1, 99)])
    at_each_look(monkeypatch, lambda: people.path.write_bytes(next(versions)), 99)
    with pytest.raises(TransientError, match="changed while"):
        people.get("1")
    with pytest.raises(TransientError, match="changed while"):
        people.find("email", "bo@example.com")
    with pytest.raises(TransientError, match="changed while"):
        people.write(Delete(key="k", id="1"))


def test_find_compares_at_least_exactly_and_forgives_case_and_space(desk):
    office = desk("id,name\n1,Ann\n2, ANN \n3,Anna\n4,Straße\n5,é\n6,e\u0301\n,Ann\n")
    assert office.find("name", "ann")[:2] == ["1", "2"]
    assert office.find("name", "ann")[2:] == office.provisional()
    assert office.find("name", "STRASSE", "nobody") == ["4"]
    assert office.find("name", "e\u0301") == ["5", "6"]
    assert office.find("name", "Ann", "Anna", "Ann")[:3] == ["1", "2", "3"]
    assert office.find("id", 5) == ["5"]
    assert office.find("name", object(), b"x") == []
    assert office.find("name") == []


def test_find_in_jsonl_looks_past_the_type(desk):
    office = desk(
        '{"id":1,"n":5}\n{"id":2,"n":"5"}\n{"id":3,"n":5.0}\n{"id":4,"n":1.50}\n{"id":5}\n{"id":6,"n":null}\n', "people.jsonl"
    )
    assert office.find("n", 5) == ["1", "2", "3"]
    assert office.find("n", "5") == ["1", "2", "3"]
    assert office.find("n", Decimal("1.5")) == ["4"]
    assert office.find("n", True) == []
    assert set(office.find("n", None)) == {"5", "6"}


def test_find_gives_the_fields_that_are_asked_for(people):
    (record,) = people.connector.find(people.name, "name", ["Bo"], fields=["email"])
    assert record == Record(id="2", fields={"email": "bo@example.com"})
