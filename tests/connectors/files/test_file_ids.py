"""Ids of rows: given, continued, derived, provisional, and what serves when there is no column for them."""

from __future__ import annotations

import errno
import hashlib
import os
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.files import ids as ids_module
from connectors.files.ids import Counter, IdKind, Repeats, TextIndex, choose_rule
from syncengine.connector import Create, Delete, Expected, Identify, Record, Tombstone, Unknown, Update
from syncengine.errors import AlreadyExists, NotFound, Rejected, ResourceError


@pytest.mark.parametrize(
    ("columns", "option", "make", "expected"),
    [
        (["id", "ID", "email"], None, None, ("id", IdKind.MADE)),
        (["name", "ID"], None, None, ("ID", IdKind.MADE)),
        (["name", "email"], None, None, ("email", IdKind.KEY)),
        (["Name", "phone"], None, None, ("Name", IdKind.KEY)),
        (["phone"], None, None, None),
        (["email", "id"], "email", None, ("email", IdKind.FILLED)),
        (["Customer ID"], "customer id", None, ("Customer ID", IdKind.MADE)),
        (["number"], "number", True, ("number", IdKind.MADE)),
        (["id"], None, False, ("id", IdKind.FILLED)),
        (["email"], "id", None, None),
        (["email"], "number", None, None),
    ],
)
def test_the_column_that_holds_ids(columns, option, make, expected):
    rule = choose_rule(columns, option, make)
    assert (rule and (rule.column, rule.kind)) == expected


@pytest.mark.parametrize(
    ("present", "following"),
    [
        (["1", "7", "3"], "8"),
        (["007", "010"], "011"),
        (["099", "0100"], "0101"),
        (["10", ""], "11"),
        (["99999999999999999999"], "100000000000000000000"),
    ],
)
def test_whole_numbers_continue_the_column(desk, present, following):
    office = desk("id,name\n" + "".join(f"{id_},x\n" for id_ in present))
    (outcome,) = office.write(Create(key="k", fields={"name": "new"}))
    assert outcome.id == following
    assert office.listing("name")[following] == ("new",)


@pytest.mark.parametrize("present", [["1", "x2"], ["-5"], ["1.0"], ["²"], ["1", "2 "], ["9" * 40]])
def test_other_ids_are_derived_from_the_key_of_the_change(desk, present):
    office = desk("id,name\n" + "".join(f"{id_},x\n" for id_ in present))
    first, second = office.write(Create(key="intent 1", fields={}), Create(key="intent 2", fields={}))
    digest = hashlib.sha256(b"intent 1").hexdigest()
    assert first.id == digest[:12]
    assert second.id != first.id
    (again,) = office.write(Create(key="intent 1", fields={}))
    assert again.id == digest[:16]


def test_several_new_rows_of_one_batch_get_ids_one_after_the_other(desk):
    office = desk("id,name\n4,x\n,y\n")
    (provisional,) = office.provisional()
    outcomes = office.write(
        Create(key="a", fields={}),
        Identify(key="b", id=provisional),
        Create(key="c", id="9", fields={}),
        Create(key="d", fields={}),
    )
    assert [outcome.id for outcome in outcomes] == ["5", "6", "9", "10"]


def test_a_write_that_did_not_happen_uses_up_no_id(desk, monkeypatch):
    office = desk("id,name\n4,x\n")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(os, "fsync", full)
        with pytest.raises(ResourceError):
            office.write(Create(key="a", fields={}))
    (outcome,) = office.write(Create(key="b", fields={}))
    assert outcome.id == "5"


@pytest.mark.parametrize("value", [[1], {"a": 1}, True, 1.5])
def test_what_cannot_be_an_id_is_rejected(desk, value):
    office = desk('{"id": 1}\n{"n": 1}\n', "people.jsonl")
    outcomes = office.write(
        Create(key="a", fields={"id": value}),
        Update(key="b", id="1", fields={"id": value}),
        Update(key="c", id=office.provisional()[0], fields={"id": value}),
    )
    assert [type(outcome.error) for outcome in outcomes] == [Rejected] * 3


def test_an_empty_column_begins_with_one(desk):
    (outcome,) = desk("id,name\n").write(Create(key="k", fields={"name": "Ann"}))
    assert outcome.id == "1"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (Create(key="k", id="abc", fields={"name": "x"}), "abc"),
        (Create(key="k", fields={"id": "abc", "name": "x"}), "abc"),
        (Create(key="k", id="abc", fields={"id": "abc"}), "abc"),
        (Create(key="k", id="abc", fields={"id": ""}), "abc"),
        (Create(key="k", id="abc", fields={"id": None}), "abc"),
        (Create(key="k", fields={"id": 7}), "7"),
    ],
)
@pytest.mark.parametrize("name", ["people.csv", "people.jsonl"])
def test_an_id_that_is_brought_along_is_kept(desk, change, expected, name):
    office = desk("id,name\nz,x\n" if name.endswith("csv") else '{"id": "z"}\n', name)
    (outcome,) = office.write(change)
    assert outcome.id == expected
    assert office.get(expected)[0].id == expected


def test_an_id_field_that_contradicts_the_proposed_id_is_rejected(people):
    (outcome,) = people.write(Create(key="k", id="abc", fields={"id": "abd"}))
    assert isinstance(outcome.error, Rejected)
    assert outcome.error.field == "id"


def test_a_taken_id_names_its_holder(people):
    outcomes = people.write(
        Create(key="a", id="2", fields={}), Create(key="b", id="n", fields={}), Create(key="c", id="n", fields={})
    )
    assert isinstance(outcomes[0].error, AlreadyExists)
    assert outcomes[0].error.id == "2"
    assert outcomes[1].id == "n"
    assert outcomes[2].error.id == "n"
    assert list(people.listing()) == ["1", "2", "3", "n"]


def test_a_deleted_id_is_free_again_in_the_same_batch(people):
    _, outcome = people.write(Delete(key="a", id="2"), Create(key="b", id="2", fields={"name": "New"}))
    assert outcome.id == "2"
    assert people.listing("name") == {"1": ("Ann",), "3": ("Cy",), "2": ("New",)}


def test_the_id_column_stays_as_it_is_once_made(people):
    same, other = people.write(
        Update(key="a", id="1", fields={"id": "1", "name": "A"}), Update(key="b", id="2", fields={"id": "9"})
    )
    assert same.id == "1"
    assert isinstance(other.error, Rejected)
    assert people.listing("name") == {"1": ("A",), "2": ("Bo",), "3": ("Cy",)}


def test_numbers_stay_numbers_in_jsonl(desk):
    office = desk('{"id": 7}\n{"n": 1}\n', "people.jsonl")
    office.write(Identify(key="a", id=office.provisional()[0]), Create(key="b", fields={}), Create(key="c", id="007", fields={}))
    assert office.content == b'{"id": 7}\n{"n": 1, "id": 8}\n{"id": 9}\n{"id": "007"}\n'


ROWS_WITHOUT_ID = {
    "people.csv": "id,name\n1,Ann\n,Bo\n  ,Cy\n,Bo\n",
    "people.jsonl": '{"id":"1","name":"Ann"}\n{"name":"Bo"}\n{"id":"  ","name":"Cy"}\n{"name":"Bo"}\n',
}


@pytest.fixture(params=sorted(ROWS_WITHOUT_ID))
def unfinished(request, desk):
    """Rows of which three have no id, two of them equal."""
    return desk(ROWS_WITHOUT_ID[request.param], request.param)


def test_rows_without_an_id_are_listed_under_provisional_ones(unfinished):
    before = unfinished.content
    listing = unfinished.listing("name")
    assert list(listing.values()) == [("Ann",), ("Bo",), ("Cy",), ("Bo",)]
    assert unfinished.provisional() == list(listing)[1:]
    assert list(unfinished.listing("name")) == list(listing)
    assert unfinished.content == before


def test_a_provisional_id_does_not_depend_on_the_fields_that_are_read(unfinished):
    assert list(unfinished.listing()) == list(unfinished.listing("name", "id"))


def test_identify_gives_each_of_them_a_lasting_id(unfinished):
    provisional = unfinished.provisional()
    outcomes = unfinished.write(*(Identify(key=f"k{n}", id=id_) for n, id_ in enumerate(provisional)))
    assert [outcome.id for outcome in outcomes] == ["2", "3", "4"]
    assert unfinished.listing("name") == {"1": ("Ann",), "2": ("Bo",), "3": ("Cy",), "4": ("Bo",)}
    assert [outcome.record["id"] for outcome in outcomes] == ["2", "3", "4"]


def test_identify_finds_its_row_after_rows_were_put_before_it(unfinished):
    _, cy, _ = unfinished.provisional()
    header, rest = unfinished.content.split(b"1", 1)
    if unfinished.path.suffix == ".csv":
        unfinished.path.write_bytes(header + b"0,New\n1" + rest)
    else:
        unfinished.path.write_bytes(b'{"id":"0"}\n' + header + b"1" + rest)
    (outcome,) = unfinished.write(Identify(key="k", id=cy))
    assert unfinished.listing("name")[outcome.id] == ("Cy",)


def test_identify_of_a_row_that_changed_or_went_is_not_found(unfinished):
    bo, cy, bo_too = unfinished.provisional()
    unfinished.path.write_bytes(unfinished.content.replace(b"Cy", b"Cyd"))
    first, gone = unfinished.write(Identify(key="a", id=bo), Identify(key="b", id=cy))
    assert isinstance(gone.error, NotFound)
    (answer,) = unfinished.get(cy)
    assert isinstance(answer, Unknown)
    second, third = unfinished.write(Identify(key="c", id=bo_too), Identify(key="d", id=bo))
    assert second.id != first.id
    assert isinstance(third.error, NotFound)


def test_identify_of_a_row_that_has_an_id_tells_it(people):
    before = people.content
    (outcome,) = people.write(Identify(key="k", id="2"))
    assert (outcome.id, outcome.record["name"]) == ("2", "Bo")
    assert people.content == before


def test_a_row_without_id_can_be_read_changed_and_deleted(unfinished):
    bo, cy, bo_too = unfinished.provisional()
    records = unfinished.get(bo, cy, fields=["name"])
    assert [record.fields["name"] for record in records] == ["Bo", "Cy"]
    changed, deleted, again = unfinished.write(
        Update(key="a", id=cy, fields={"name": "Cyd"}, expected=Expected(fields={"name": "Cy"})),
        Delete(key="b", id=bo),
        Delete(key="c", id=bo_too),
    )
    assert unfinished.get(changed.id, fields=["name"])[0].fields["name"] == "Cyd"
    assert (deleted.id, again.id) == (bo, bo_too)
    assert list(unfinished.listing("name").values()) == [("Ann",), ("Cyd",)]


def test_an_update_may_give_a_row_its_first_id(unfinished):
    _, cy, _ = unfinished.provisional()
    taken, given = unfinished.write(Update(key="a", id=cy, fields={"id": "1"}), Update(key="b", id=cy, fields={"id": "50"}))
    assert taken.error.id == "1"
    assert given.id == "50"
    assert unfinished.listing("name")["50"] == ("Cy",)


class TestKeyAsId:
    """A CSV file without a column for ids: the match key serves."""

    CONTENT = "name,email\nAnn, Ann@Example.com\nBo,\nAnn again,ann@example.COM\nCy,cy@example.com\n"

    def test_the_key_trimmed_and_case_folded_is_the_id(self, desk):
        office = desk(self.CONTENT)
        listing = office.listing("name")
        assert [id_ for id_ in listing if id_ not in office.provisional()] == ["ann@example.com", "cy@example.com"]
        assert list(listing.values()) == [("Ann",), ("Bo",), ("Ann again",), ("Cy",)]
        assert office.get("ann@example.com", fields=["name"])[0].fields == {"name": "Ann"}

    def test_the_resource_says_what_that_costs(self, desk):
        resource = desk(self.CONTENT).resource()
        assert not resource.capabilities.chooses_ids
        assert resource.fields["email"].required
        assert "a changed email looks like one row deleted and another made" in resource.notes[0]

    def test_rows_without_key_and_rows_with_a_repeated_key_cannot_be_identified(self, desk):
        office = desk(self.CONTENT)
        before = office.content
        outcomes = office.write(*(Identify(key=id_, id=id_) for id_ in office.provisional()))
        assert [type(outcome.error) for outcome in outcomes] == [Rejected, Rejected]
        assert office.content == before

    def test_a_repeated_row_can_be_read_changed_and_deleted(self, desk):
        office = desk(self.CONTENT)
        _, twin = office.provisional()
        assert office.get(twin, fields=["name"])[0].fields == {"name": "Ann again"}
        (outcome,) = office.write(Update(key="a", id=twin, fields={"name": "Other"}))
        assert office.get(outcome.id, fields=["name"])[0].fields == {"name": "Other"}
        (outcome,) = office.write(Update(key="b", id=outcome.id, fields={"email": "other@example.com"}))
        assert outcome.id == "other@example.com"
        assert office.listing("name")["other@example.com"] == ("Other",)

    def test_a_changed_key_is_a_changed_id(self, desk):
        office = desk(self.CONTENT)
        moved, taken, emptied = office.write(
            Update(key="a", id="cy@example.com", fields={"email": "Cyd@example.com"}),
            Update(key="b", id="cyd@example.com", fields={"email": "ANN@example.com"}),
            Update(key="c", id="cyd@example.com", fields={"email": ""}),
        )
        assert moved.id == "cyd@example.com"
        assert taken.error.id == "ann@example.com"
        assert isinstance(emptied.error, Rejected)
        assert isinstance(office.get("cy@example.com")[0], Tombstone)

    def test_a_new_row_needs_a_key_of_its_own(self, desk):
        office = desk(self.CONTENT)
        made, taken, keyless = office.write(
            Create(key="a", fields={"email": "Dee@example.com", "name": "Dee"}),
            Create(key="b", fields={"email": " CY@example.com"}),
            Create(key="c", fields={"name": "Eve"}),
        )
        assert made.id == "dee@example.com"
        assert taken.error.id == "cy@example.com"
        assert isinstance(keyless.error, Rejected)

    def test_a_key_whose_first_row_goes_is_still_taken_by_the_second(self, desk):
        office = desk(self.CONTENT)
        _, outcome, gone = office.write(
            Delete(key="a", id="ann@example.com"),
            Create(key="b", fields={"email": "ann@example.com"}),
            Delete(key="c", id="ann@example.com"),
        )
        assert isinstance(outcome.error, AlreadyExists)
        assert isinstance(gone.error, NotFound)


class TestFilledColumn:
    """The option `id` names a column that people fill."""

    def test_ids_are_exact_and_never_made_up(self, desk):
        office = desk("email,name\nA@x,Ann\n,Bo\n", id="email")
        (provisional,) = office.provisional()
        assert list(office.listing()) == ["A@x", provisional]
        assert not office.resource().capabilities.chooses_ids
        outcomes = office.write(
            Identify(key="a", id=provisional), Create(key="b", fields={"name": "Cy"}), Create(key="c", fields={"email": "c@x"})
        )
        assert [type(outcome.error) for outcome in outcomes[:2]] == [Rejected, Rejected]
        assert outcomes[2].id == "c@x"

    def test_the_engine_may_change_it_like_any_field(self, desk):
        office = desk("email,name\na@x,Ann\nb@x,Bo\n", id="email")
        moved, taken = office.write(
            Update(key="a", id="a@x", fields={"email": "c@x"}), Update(key="b", id="b@x", fields={"email": "c@x"})
        )
        assert moved.id == "c@x"
        assert taken.error.id == "c@x"

    def test_whole_numbers_are_continued_all_the_same(self, desk):
        (outcome,) = desk("number,name\n3,Ann\n", id="number").write(Create(key="a", fields={"name": "Bo"}))
        assert outcome.id == "4"

    def test_a_missing_column_is_an_error_and_not_replaced_by_a_key(self, desk):
        with pytest.raises(ResourceError, match="no column 'number'"):
            desk("email,name\na@x,Ann\n", id="number").listing()

    def test_rows_of_a_jsonl_file_get_the_field_if_nothing_else_can_serve(self, desk):
        office = desk('{"n": 1}\n', "people.jsonl")
        assert office.resource().capabilities.chooses_ids
        office.write(Identify(key="k", id=office.provisional()[0]))
        assert office.content == b'{"n": 1, "id": "1"}\n'


IDS = st.lists(st.text(string.ascii_letters + string.digits, min_size=1, max_size=2), max_size=60)


@given(IDS, st.integers(1, 7))
def test_repeats_suspects_exactly_the_lists_with_a_repeat(texts, size):
    repeats = Repeats()
    for start in range(0, len(texts), size):
        repeats.add(texts[start : start + size])
    assert repeats.suspected() == (len(set(texts)) < len(texts))


@given(st.lists(st.integers(0, 10**12).map(str), unique=True), st.data())
def test_repeats_finds_one_repeat_among_many_runs(texts, data):
    repeats = Repeats()
    repeats.add(texts)
    assert not repeats.suspected()
    if texts:
        repeats.add([data.draw(st.sampled_from(texts))])
        assert repeats.suspected()


@given(IDS, st.integers(1, 9))
def test_a_text_index_finds_every_row_in_runs_of_any_size(texts, run):
    index = TextIndex()
    for row, text in enumerate(texts):
        index.add([text], row)
        if row % run == 0:
            index._end_run()
    groups = index.seal()
    for text in {*texts, "absent"}:
        assert [row for row in index.candidates(text) if texts[row] == text] == [n for n, t in enumerate(texts) if t == text]
    expected = {tuple(n for n, t in enumerate(texts) if t == text) for text in texts if texts.count(text) > 1}
    assert {tuple(group) for group in groups} >= expected or not expected


def test_a_text_index_of_many_rows_is_exact(monkeypatch):
    monkeypatch.setattr(ids_module, "RUN", 100)
    index = TextIndex()
    for start in range(0, 5000, 50):
        index.add([f"t{n % 2500}" for n in range(start, start + 50)], start)
    groups = index.seal()
    assert sorted(groups) == [[n, n + 2500] for n in range(2500)]
    assert index.candidates("t7") == [7, 2507]


@given(st.lists(st.one_of(st.just(""), st.integers(0, 999).map(str), st.from_regex(r"[0-9a]{1,3}", fullmatch=True))))
def test_the_counter_never_proposes_an_id_that_is_there(texts):
    counter = Counter()
    for text in texts:
        counter.add([text])
    if counter.whole:
        assert counter.after() not in texts


def test_equal_answers_for_the_same_id_asked_twice(people):
    first, second = people.get("1", "1", fields=["name"])
    assert first == second == Record(id="1", fields={"name": "Ann"})
