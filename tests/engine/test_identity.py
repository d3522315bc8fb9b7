"""Who is who: links by id outlive keys, ambiguity goes to a human, nothing is doubled (failure modes 11, 12)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncengine.connector import Field, FieldType
from syncengine.core.decision import AskKind
from syncengine.core.model import Keyless, Side
from syncengine.engine.report import Exit
from syncengine.testing.memory import CallKind, Manners, Moment
from tests.support.engine import PEOPLE, Bench, able, fill, filled, once, people_spec, same_fields

UNIQUE = (replace(PEOPLE[0], unique=True), *PEOPLE[1:])


def test_a_key_is_compared_normalised_and_kept_as_it_was_typed() -> None:
    bench = Bench()
    left = bench.left.insert(email=" Ann@X.org ", name="Ann")
    right = bench.right.insert(email="ann@x.org", name="Ann")
    assert not bench.sync().written
    assert bench.other(Side.LEFT, left) == right
    assert bench.left[left]["email"] == " Ann@X.org "
    bench.assert_quiet()


@pytest.mark.parametrize(("one", "two"), [("ACME", "Acme "), ("Café", "Cafe\u0301"), ("a  b", "A B"), ("Straße", "STRASSE")])
def test_objects_are_matched_by_name_whatever_their_case_space_and_form(one: str, two: str) -> None:
    bench = Bench(people_spec(match=("name",)))
    left = bench.left.insert(email="a@x.org", name=one)
    right = bench.right.insert(email="a@x.org", name=two)
    bench.sync()
    assert bench.other(Side.LEFT, left) == right
    assert len(bench.left) == len(bench.right) == 1
    bench.assert_quiet()


def test_a_link_outlives_a_changed_key() -> None:
    bench, left, right = filled("ada", "bob")
    bench.left.edit(left["ada"], email="countess@example.com")
    assert bench.sync().written == {"right.update": 1}
    assert bench.right[right["ada"]]["email"] == "countess@example.com"
    assert bench.other(Side.LEFT, left["ada"]) == right["ada"]
    assert len(bench.right) == 2
    bench.assert_quiet()


def test_a_swap_of_two_keys_does_not_cross_the_links() -> None:
    bench, left, right = filled("ada", "bob")
    bench.left.edit(left["ada"], email="bob@example.com")
    bench.left.edit(left["bob"], email="ada@example.com")
    bench.sync()
    for name, email in (("ada", "bob@example.com"), ("bob", "ada@example.com")):
        assert bench.other(Side.LEFT, left[name]) == right[name]
        assert bench.right[right[name]] == bench.left[left[name]]
        assert bench.right[right[name]]["email"] == email
    assert bench.writes()[Side.RIGHT] == 2 + 2
    bench.assert_quiet()


def test_a_key_that_moves_on_from_one_record_to_another_frees_the_way_step_by_step() -> None:
    bench = Bench(people_spec(), fields=UNIQUE)
    left = fill(bench, "ada", "bob")
    bench.left.edit(left["ada"], email="new@example.com")
    bench.left.edit(left["bob"], email="ada@example.com")
    for _ in range(3):
        bench.sync()
    bench.assert_same()
    bench.assert_quiet()


def test_a_new_record_with_the_key_that_another_one_just_gave_up_is_made_once() -> None:
    bench, left, right = filled("ada")
    bench.left.edit(left["ada"], email="new@example.com")
    newcomer = bench.left.insert(email="ada@example.com", name="Another")
    for _ in range(3):
        bench.sync()
    assert bench.other(Side.LEFT, left["ada"]) == right["ada"]
    assert bench.other(Side.LEFT, newcomer) is not None
    assert len(bench.right) == 2
    bench.assert_quiet()
    bench.assert_same()


def test_a_key_edited_differently_on_both_sides_is_a_conflict_of_that_field_alone() -> None:
    bench, left, right = filled("ada")
    bench.left.edit(left["ada"], email="l@example.com", phone="5")
    bench.right.edit(right["ada"], email="r@example.com")
    report = bench.sync()
    assert [entry.ask.field for entry in bench.inbox()] == ["email"]
    assert report.inbox_open == 1
    assert bench.right[right["ada"]]["phone"] == "5"
    assert len(bench.left) == len(bench.right) == 1
    bench.assert_quiet()


@pytest.mark.parametrize("side", list(Side))
def test_duplicates_make_nothing_and_go_to_the_inbox_once(side: Side) -> None:
    bench, _, _ = filled("ada")
    resource = bench.resources[side]
    ids = [resource.insert(email=email, name=email) for email in ("two@example.com", "TWO@example.com", "two@example.com ")]
    report = bench.sync()
    assert report.exit is Exit.PARTIAL
    assert report.buckets[side.value]["ambiguous"] == 3
    assert [entry.ask.kind for entry in bench.inbox()] == [AskKind.DUPLICATE]
    assert "3 on the" in bench.inbox()[0].ask.why
    assert bench.creates(side.other) == (1 if side is Side.LEFT else 0)
    bench.assert_quiet()
    resource.remove(ids[0])
    resource.edit(ids[1], email="three@example.com")
    bench.settle()
    assert bench.sync(sweep=True).exit is Exit.DONE
    assert len(bench.left) == len(bench.right) == 3
    assert not bench.inbox()
    bench.assert_quiet()
    bench.assert_same()


def test_a_second_record_with_the_key_of_a_linked_one_is_a_duplicate_not_somebody_new() -> None:
    bench, left, right = filled("ada")
    bench.left.insert(email="ADA@example.com", name="Twin")
    bench.left.edit(left["ada"], phone="5")
    report = bench.sync()
    assert len(bench.right) == 1
    assert bench.right[right["ada"]]["phone"] == "5"  # the link goes on
    assert report.buckets["left"]["ambiguous"] == 1
    bench.assert_quiet()


def test_several_on_both_sides_are_left_alone() -> None:
    bench = Bench()
    for resource in (bench.left, bench.right):
        for number in range(2):
            resource.insert(email="same@example.com", name=f"N{number}")
    bench.sync()
    assert bench.writes() == {Side.LEFT: 0, Side.RIGHT: 0}
    assert not bench.link_states()
    bench.assert_quiet()


def test_two_records_of_one_side_never_share_a_partner() -> None:
    bench = Bench()
    bench.left.insert(email="ada@example.com", name="One")
    bench.left.insert(email="ADA@example.com", name="Two")
    bench.right.insert(email="ada@example.com", name="Three")
    report = bench.sync()
    assert report.buckets["left"] == {"ambiguous": 2}
    assert not bench.link_states()
    bench.assert_quiet()


@pytest.mark.parametrize("blank", [None, "", "   "])
def test_a_record_without_a_key_is_skipped_by_default(blank: str | None) -> None:
    bench = Bench()
    bench.left.insert(email=blank, name="Nobody")
    bench.right.insert(email=blank, name="Nobody")
    report = bench.sync()
    assert report.exit is Exit.DONE
    assert report.buckets == {"left": {"skipped": 1}, "right": {"skipped": 1}}
    assert bench.writes() == {Side.LEFT: 0, Side.RIGHT: 0}
    bench.assert_quiet()


def test_keyless_records_are_created_where_the_pair_says_so_and_never_matched_with_each_other() -> None:
    bench = Bench(people_spec(keyless=Keyless.CREATE))
    left = bench.left.insert(email=None, name="Nobody")
    right = bench.right.insert(email=None, name="Nobody")
    bench.settle()
    assert len(bench.left) == len(bench.right) == 2
    assert bench.other(Side.LEFT, left) not in (None, right)
    bench.assert_quiet()
    bench.left.edit(left, name="Somebody")
    bench.sync()
    assert bench.right[str(bench.other(Side.LEFT, left))]["name"] == "Somebody"
    bench.assert_quiet()


def test_a_keyless_record_that_gets_a_key_later_is_matched_by_it() -> None:
    bench = Bench()
    left = bench.left.insert(email=None, name="Ada")
    right = bench.right.insert(email="ada@example.com", name="Ada")
    bench.sync()
    twin = next(id_ for id_ in bench.left.records() if id_ != left)
    bench.left.edit(left, email="ada@example.com")
    report = bench.sync()
    assert report.buckets["left"]["ambiguous"] == 1
    bench.left.remove(twin)
    for _ in range(3):
        bench.sync()
    assert bench.other(Side.LEFT, left) == right
    assert not bench.inbox()
    bench.assert_quiet()


def test_a_record_with_the_key_that_appears_between_the_reading_and_the_create_is_linked() -> None:
    for can in (able(), able(lag=5.0)):
        bench = Bench(people_spec(), right_options=can)
        left = bench.left.insert(email="ada@example.com", name="Ada")
        made: list[str] = []

        def person(call: object, bench: Bench = bench, made: list[str] = made) -> None:
            made.append(bench.right.insert(email="ada@example.com", name="Ada"))

        once(bench.worlds[Side.RIGHT], CallKind.PAGE, Moment.AFTER, person)
        for _ in range(3):
            bench.sync()
        bench.clock.time += 60
        bench.settle()
        if can["capabilities"].lag == 0:
            assert len(bench.right) == 1
            assert bench.other(Side.LEFT, left) == made[0]
        bench.assert_quiet()


@pytest.mark.parametrize("tells", [True, False])
def test_a_create_refused_because_its_key_is_taken_is_matched_in_the_next_pass(tells: bool) -> None:
    bench = Bench(people_spec(), fields=UNIQUE, right_options=able(manners=Manners(tells_holder=tells)))
    left = bench.left.insert(email="ada@example.com", name="Ada")
    once(
        bench.worlds[Side.RIGHT],
        CallKind.WRITE,
        Moment.BEFORE,
        lambda call: bench.right.insert(email="ada@example.com", name="Ada"),
    )
    report = bench.sync()
    assert report.exit is Exit.PARTIAL
    bench.settle()
    assert len(bench.right) == 1
    assert bench.other(Side.LEFT, left) is not None
    bench.assert_quiet()


def test_a_value_that_somebody_else_holds_over_there_waits_until_it_is_free() -> None:
    bench = Bench()
    bench.redefine(Side.RIGHT, replace(PEOPLE[2], unique=True))
    bench.right.insert(email="other@example.com", name="Other", phone="1")
    bench.sync()
    left = bench.left.insert(email="ada@example.com", name="Ada", phone="2")
    bench.sync()
    other = next(id_ for id_, row in bench.right.records().items() if row["name"] == "Other")
    bench.left.edit(left, phone="1")
    report = bench.sync()
    assert report.exit is Exit.PARTIAL
    bench.assert_quiet(trying=True)
    bench.right.edit(other, phone="3")
    bench.settle()
    bench.assert_same()
    bench.assert_quiet()


def test_a_composite_key_matches_only_where_every_part_does() -> None:
    bench = Bench(people_spec(match=("email", "phone")))
    left = bench.left.insert(email="ada@example.com", phone="1", name="Ada")
    other = bench.right.insert(email="ada@example.com", phone="2", name="Ada 2")
    right = bench.right.insert(email="ADA@example.com", phone="1", name="Ada")
    halfway = bench.left.insert(email="bob@example.com", phone=None, name="no whole key")
    bench.sync()
    assert bench.other(Side.LEFT, left) == right
    assert bench.other(Side.RIGHT, other) is not None
    assert bench.other(Side.LEFT, halfway) is None
    assert len(bench.left) == 3
    bench.assert_quiet()


def test_a_swap_of_keys_that_the_target_keeps_unique_crosses_no_links_and_loses_nothing() -> None:
    bench = Bench(people_spec(), fields=UNIQUE)
    left = fill(bench, "ada", "bob")
    right = {name: str(bench.other(Side.LEFT, id_)) for name, id_ in left.items()}
    bench.left.edit(left["ada"], email="parked@example.com")
    bench.left.edit(left["bob"], email="ada@example.com", name="Bobby")
    bench.left.edit(left["ada"], email="bob@example.com", name="Ida")
    bench.settle()
    for name in left:
        assert bench.other(Side.LEFT, left[name]) == right[name]
    assert len(bench.right) == 2
    bench.assert_same()
    bench.assert_quiet()


def test_a_merge_of_two_linked_records_leaves_the_other_partner_as_a_question() -> None:
    bench, left, right = filled("ada", "bob")
    bench.left.edit(left["ada"], phone="merged")
    bench.left.remove(left["bob"])
    bench.settle()
    assert bench.right[right["ada"]]["phone"] == "merged"
    assert right["bob"] in bench.right
    assert [entry.ask.kind for entry in bench.inbox()] == [AskKind.DELETE]
    bench.assert_quiet()


def test_a_number_can_be_the_key() -> None:
    numbered = (*PEOPLE, Field(name="code", type=FieldType.INTEGER))
    bench = Bench(people_spec(match=("code",), fields=same_fields(*numbered)), fields=numbered)
    bench.left.insert(code=7, name="Seven")
    bench.right.insert(code=7, name="Seven")
    bench.sync()
    assert bench.writes() == {Side.LEFT: 0, Side.RIGHT: 0}
    bench.assert_quiet()


def test_a_linked_record_that_cannot_be_read_just_now_has_its_key_all_the_same() -> None:
    unique = (replace(PEOPLE[0], unique=True), *PEOPLE[1:])  # nothing is probed there
    bench = Bench(people_spec(), fields=unique)
    old = bench.left.insert(email="ada@example.com", name="Ada")
    bench.settle()
    (partner,) = bench.right.records()
    bench.right.edit(partner, phone="2")
    bench.right.conceal(partner)
    bench.left.remove(old)
    bench.left.insert(email="ADA@example.com", name="Another")
    bench.run(ids={Side.LEFT: [old], Side.RIGHT: []})
    bench.run(ids={Side.LEFT: sorted(bench.left.records()), Side.RIGHT: [partner]})
    assert sorted(bench.right.records()) == [partner]
