"""What compiled pairs know: types, directions, columns, keys, labels, references, digests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from syncengine.connector import ABSENT, Choice, Field, FieldType
from syncengine.core.mapping import Unmappable, Unresolved, UnresolvedKey
from syncengine.core.model import Condition, Deletes, Direction, Guards, Keyless, Limit, Policy, Side, Test
from syncengine.core.values import Reference
from tests.support.pairs import compiled, kind, mapped, nowhere, pair, read, resource, rule_of, unlinked, written

T = FieldType
LEFT, RIGHT = Side.LEFT, Side.RIGHT
TO_RIGHT, TO_LEFT = Direction.LEFT_TO_RIGHT, Direction.RIGHT_TO_LEFT
CELL = kind()


@pytest.mark.parametrize(
    ("left", "right", "options", "expected"),
    [
        (CELL, CELL, {}, T.TEXT),
        (kind(T.DATE), CELL, {}, T.DATE),
        (CELL, kind(T.MONEY), {}, T.MONEY),
        (kind(T.INTEGER), kind(T.INTEGER), {}, T.INTEGER),
        (kind(T.INTEGER), kind(T.DECIMAL), {}, T.DECIMAL),
        (kind(T.INTEGER), kind(T.MONEY), {}, T.MONEY),
        (kind(T.TEXT), kind(T.EMAIL), {}, T.EMAIL),
        (kind(T.PHONE), kind(T.TEXT), {}, T.PHONE),
        (kind(T.TEXT), kind(T.CHOICE), {}, T.CHOICE),
        (CELL, kind(T.CHOICE), {"type": T.TEXT}, T.CHOICE),
        (kind(T.SET), kind(T.LIST), {}, T.SET),
        (kind(T.LIST), kind(T.JSON), {}, T.LIST),
        (kind(T.CHOICE, many=True), CELL, {}, T.SET),
        (kind(T.TEXT), kind(T.DATE), {"type": T.DATE}, T.DATE),
        (kind(T.DATE), kind(T.DATETIME, naive=True), {"type": T.DATE}, T.DATE),
        (kind(T.INTEGER), kind(T.TEXT), {"type": T.TEXT, "direction": TO_RIGHT}, T.TEXT),
        (kind(T.REFERENCE), kind(T.INTEGER), {"references": "people"}, T.REFERENCE),
        (kind(T.REFERENCE), kind(T.TEXT), {"type": T.TEXT}, T.TEXT),
        (CELL, CELL, {"values": {"a": "b"}}, T.CHOICE),
        (kind(T.SET), CELL, {"values": {"a": "b"}}, T.SET),
        (CELL, kind(T.INTEGER), {"values": {"Won": "1"}}, T.CHOICE),
    ],
)
def test_the_type_of_a_field_is_the_typed_sides_or_what_both_can_hold(left, right, options, expected):
    assert rule_of(left, right, **options).type is expected


@pytest.mark.parametrize(
    ("left", "right", "options", "scale"),
    [
        (kind(T.DECIMAL, scale=4), kind(T.DECIMAL, scale=2), {}, 2),
        (kind(T.DECIMAL, scale=4), CELL, {"scale": 3}, 3),
        (kind(T.DECIMAL, scale=2), CELL, {"scale": 3}, 2),
        (kind(T.DECIMAL), CELL, {}, None),
        (kind(T.DECIMAL), kind(T.INTEGER), {}, 0),
        (kind(T.MONEY), CELL, {}, None),
        (kind(T.MONEY, scale=2), CELL, {}, 2),
        (kind(T.TEXT), CELL, {}, None),
    ],
)
def test_the_scale_is_the_coarser_of_both_sides(left, right, options, scale):
    assert rule_of(left, right, **options).scale == scale


@pytest.mark.parametrize(
    ("left", "right", "options", "left_writable", "right_writable", "noted"),
    [
        (CELL, CELL, {}, True, True, False),
        (kind(read_only=True), CELL, {}, False, True, True),
        (CELL, kind(read_only=True), {}, True, False, True),
        (CELL, CELL, {"direction": TO_RIGHT}, False, True, False),
        (kind(read_only=True), CELL, {"direction": TO_RIGHT}, False, True, False),
    ],
)
def test_a_read_only_side_makes_a_field_one_way_and_says_so(left, right, options, left_writable, right_writable, noted):
    spec = pair(mapped("value", "l", "r", **options))
    rule = compiled(spec, resource("id", replace(left, name="l")), resource("id", replace(right, name="r")))
    field = rule.fields[1]
    assert (field.writable(LEFT), field.writable(RIGHT)) == (left_writable, right_writable)
    assert bool(rule.notes) is noted
    assert all("read-only" in note and "pairs.people.fields.value" in note for note in rule.notes)


def test_a_match_field_that_is_read_only_on_both_sides_only_matches():
    left = resource(Field(name="id", read_only=True))
    rule = compiled(pair(), left, left)
    assert not rule.fields[0].writable(LEFT)
    assert not rule.fields[0].writable(RIGHT)
    assert "only matches records" in rule.notes[0]


def test_newer_without_clocks_is_noted():
    blind = resource("id")
    blind = replace(blind, capabilities=replace(blind.capabilities, clock_resolution=None))
    assert "office.people cannot tell when" in compiled(pair(conflicts=Policy.NEWER), resource("id"), blind).notes[0]


def test_columns_are_the_mapped_and_filtered_fields_in_a_fixed_order_and_constants_are_not_read():
    where = Condition(field="zone", test=Test.IS, value="x")
    spec = pair(
        mapped("b", "b", "beta"),
        mapped("a", "a", "alpha"),
        mapped("origin", None, "origin", is_constant=True, constant="crm"),
        filters={LEFT: (where,)},
    )
    rule = compiled(spec, resource("id", "a", "b", "zone", "other"), resource("id", "alpha", "beta", "origin"))
    assert rule.columns(LEFT) == ("a", "b", "id", "zone")
    assert rule.columns(RIGHT) == ("alpha", "beta", "id")
    assert rule.constants == {LEFT: {}, RIGHT: {"origin": "crm"}}
    assert [field.name for field in rule.fields] == ["id", "b", "a"]


@pytest.mark.parametrize(
    ("field", "constant", "native"),
    [
        (kind(), "crm", "crm"),
        (kind(T.INTEGER), 5, 5),
        (kind(T.DECIMAL, scale=2), 1.5, Decimal("1.50")),
        (kind(T.BOOLEAN), "yes", True),
        (kind(T.SET), ["a", "b"], ["a", "b"]),
        (kind(T.CHOICE, choices=(Choice(value="u1", label="Won"),)), "Won", "u1"),
        (kind(T.REFERENCE), "owner-1", "owner-1"),
    ],
)
def test_a_constant_is_written_as_its_side_wants_it(field, constant, native):
    spec = pair(mapped("c", None, "c", is_constant=True, constant=constant))
    assert compiled(spec, resource("id"), resource("id", replace(field, name="c"))).constants[RIGHT] == {"c": native}


TRACKS = pair(
    mapped("name"),
    mapped("album", references="albums"),
    mapped("number", type=T.DECIMAL),
    match=("name", "album"),
)


def tracks():
    return compiled(TRACKS, resource("name", "album", "number"), resource("name", "album", "number"))


def linked(pair, side, id):
    return {("albums", LEFT, "a1"): 7, ("albums", RIGHT, "b9"): 7}.get((pair, side, id))


def test_a_key_joins_its_parts_and_a_reference_counts_by_its_link():
    rule = tracks()
    left = rule.key(LEFT, {"name": " Caf\u00e9  del Mar", "album": "a1"}, linked)
    assert left == rule.key(RIGHT, {"name": "cafe\u0301 DEL MAR", "album": "b9"}, linked)
    assert left == '["caf\u00e9 del mar","#7"]'


@pytest.mark.parametrize(
    "native", [{}, {"name": ""}, {"name": "x"}, {"name": None, "album": "a1"}, {"name": ABSENT, "album": "a1"}]
)
def test_a_blank_or_absent_part_leaves_a_record_without_a_key(native):
    assert tracks().key(LEFT, native, linked) is None


def test_an_unlinked_reference_leaves_the_key_open():
    with pytest.raises(UnresolvedKey, match="'album'"):
        tracks().key(LEFT, {"name": "x", "album": "a2"}, linked)


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        (kind(T.EMAIL), " Ann@X.org", "ann@x.org"),
        (kind(T.PHONE), "+1 (312) 555-0100", "+13125550100"),
        (kind(T.DECIMAL), Decimal("1.50"), 1.5),
        (kind(T.INTEGER), 0, "0"),
        (kind(T.DECIMAL), Decimal("1" * 40), "1" * 40),
        (kind(T.BOOLEAN), True, "yes"),
        (kind(T.DATE), None, None),
        (kind(T.DATE), date(2026, 1, 31), "2026-01-31"),
        (kind(T.DATETIME), datetime(2026, 1, 31, 12, tzinfo=UTC), "2026-01-31T13:00:00+01:00"),
    ],
)
def test_keys_follow_meaning_not_spelling(field, one, other):
    rule = compiled(pair(), resource(replace(field, name="id")), resource("id"))
    assert rule.key(LEFT, {"id": one}, unlinked) == rule.key(RIGHT, {"id": other}, unlinked)


def test_long_numbers_that_differ_have_different_keys():
    rule = compiled(pair(), resource(Field(name="id", type=T.DECIMAL)), resource("id"))
    assert rule.key(LEFT, {"id": 10**40 + 1}, unlinked) != rule.key(LEFT, {"id": 10**40}, unlinked)


def test_a_key_part_without_a_meaning_is_unmappable():
    rule = compiled(pair(), resource("id"), resource("id"))
    with pytest.raises(Unmappable):
        rule.key(LEFT, {"id": "\ud800"}, unlinked)


@pytest.mark.parametrize(
    ("native", "label"),
    [
        ({"name": " Ada\nLovelace ", "album": "a1"}, "Ada Lovelace"),
        ({"name": "", "album": "a1"}, "a1"),
        ({"name": None}, ""),
        ({}, ""),
    ],
)
def test_a_label_is_what_people_typed(native, label):
    assert tracks().label(LEFT, native) == label


def test_a_reference_is_read_with_its_link_and_written_as_the_other_sides_id():
    rule = rule_of(kind(T.REFERENCE), kind(T.INTEGER), references="albums")
    value = rule.canonical(LEFT, "a1", linked)
    assert value == Reference(side=LEFT, id="a1", link=7)
    assert rule.to_native(RIGHT, value, lambda pair, side, link: "9") == 9
    assert rule.to_native(LEFT, value, nowhere) == "a1"
    assert rule.canonical(LEFT, ["a1"], linked) == value
    assert rule.canonical(RIGHT, 9, unlinked) == Reference(side=RIGHT, id="9")


def test_no_reference_is_null_and_travels_as_null():
    rule = rule_of(kind(T.REFERENCE), CELL, references="albums")
    for blank in (None, "", " "):
        assert rule.canonical(RIGHT, blank, linked) is None
    assert rule.to_native(LEFT, None, nowhere) is None


@pytest.mark.parametrize("link", [None, 7])
def test_a_reference_without_an_id_on_the_other_side_is_unresolved(link):
    rule = rule_of(kind(T.REFERENCE), CELL, references="albums")
    with pytest.raises(Unresolved, match="'albums'"):
        rule.to_native(RIGHT, Reference(side=LEFT, id="a1", link=link), nowhere)


def test_many_references_travel_together():
    rule = rule_of(kind(T.REFERENCE, many=True), CELL, references="albums")
    value = rule.canonical(LEFT, ["a1", "a2", "a1"], linked)
    assert value == (Reference(side=LEFT, id="a1", link=7), Reference(side=LEFT, id="a2"))
    assert rule.to_native(LEFT, value, nowhere) == ["a1", "a2"]
    assert rule.to_native(RIGHT, value[:1], lambda *_: "b9") == "b9"
    assert rule.canonical(RIGHT, "b9; b8", linked)[0] == Reference(side=RIGHT, id="b9", link=7)
    assert rule.canonical(LEFT, [], linked) == rule.canonical(RIGHT, None, linked) == ()
    with pytest.raises(Unresolved):
        rule.to_native(RIGHT, value, nowhere)


def test_several_references_do_not_fit_a_field_for_one():
    rule = rule_of(kind(T.REFERENCE, many=True), kind(T.INTEGER), references="albums")
    with pytest.raises(Unmappable, match="several"):
        rule.to_native(RIGHT, (Reference(side=RIGHT, id="1"), Reference(side=RIGHT, id="2")), nowhere)
    assert rule.to_native(RIGHT, (Reference(side=RIGHT, id="1"),), nowhere) == 1
    assert rule.to_native(RIGHT, (), nowhere) is None
    with pytest.raises(Unmappable, match="not a number"):
        rule.to_native(RIGHT, (Reference(side=RIGHT, id="x1"),), nowhere)


def test_text_is_not_a_reference():
    with pytest.raises(Unmappable, match="not a reference"):
        rule_of(kind(T.REFERENCE), CELL, references="albums").to_native(LEFT, "a1", nowhere)


def table(values, left=CELL, right=CELL, **options):
    return rule_of(left, right, values=values, **options)


def test_a_table_of_values_maps_both_ways_and_leaves_other_words_alone():
    rule = table({"Won": "closed_won"})
    assert read(rule, LEFT, "Won") == read(rule, RIGHT, "closed_won") == "Won"
    assert written(rule, RIGHT, "Won") == "closed_won"
    assert written(rule, LEFT, read(rule, RIGHT, "closed_won")) == "Won"
    assert written(rule, RIGHT, read(rule, LEFT, "Open")) == "Open"
    assert read(rule, LEFT, " won") == "Won"


@pytest.mark.parametrize(("side", "word"), [(RIGHT, "Won"), (LEFT, "closed_won")])
def test_a_word_that_could_not_come_back_is_unmappable(side, word):
    with pytest.raises(Unmappable, match="`values`"):
        read(table({"Won": "closed_won"}), side, word)


def test_swapped_words_are_swapped():
    rule = table({"a": "b", "b": "a"})
    assert [written(rule, RIGHT, read(rule, LEFT, word)) for word in "ab"] == ["b", "a"]
    assert [written(rule, LEFT, read(rule, RIGHT, word)) for word in "ab"] == ["b", "a"]


def test_a_filler_stands_for_nothing_and_never_flows_back():
    rule = table({"": "Unknown"})
    assert written(rule, RIGHT, read(rule, LEFT, None)) == "Unknown"
    assert read(rule, RIGHT, "Unknown") is None
    assert read(rule, RIGHT, "") is None


def test_a_table_may_speak_of_values_or_labels_of_choices():
    stage = kind(T.CHOICE, choices=(Choice(value="u1", label="Won"), Choice(value="u2", label="Lost")))
    for key in ("Won", "u1"):
        rule = table({key: "closed_won"}, left=stage)
        assert read(rule, LEFT, "u1") == read(rule, RIGHT, "closed_won") == "Won"
        assert written(rule, LEFT, "Won") == "u1"
        assert written(rule, RIGHT, "Won") == "closed_won"
    rule = table({"closed_won": "Won"}, right=stage)
    assert read(rule, RIGHT, "u1") == "closed_won"
    assert written(rule, RIGHT, "closed_won") == "u1"
    assert read(rule, RIGHT, "u2") == "Lost"
    assert written(rule, RIGHT, "Lost") == "u2"


def test_several_words_may_become_one_on_a_one_way_field():
    rule = table({"Won": "closed", "Lost": "closed"}, direction=TO_RIGHT)
    assert read(rule, LEFT, "Won") == read(rule, LEFT, "Lost") == read(rule, RIGHT, "closed") == "closed"
    assert written(rule, RIGHT, "closed") == "closed"


def test_words_of_numbered_choices_are_written_as_numbers():
    rule = table({"Won": "1", "Lost": "2"}, right=kind(T.INTEGER))
    assert read(rule, RIGHT, 1) == "Won"
    assert written(rule, RIGHT, "Lost") == 2
    rule = table({"Won": "true", "Lost": "false"}, right=kind(T.BOOLEAN))
    assert read(rule, RIGHT, False) == "Lost"
    assert written(rule, RIGHT, "Won") is True


def test_choices_on_both_sides_meet_by_value_or_by_label_whichever_they_share():
    german = kind(T.CHOICE, choices=(Choice(value="de", label="Deutschland"), Choice(value="at", label="\u00d6sterreich")))
    english = kind(T.CHOICE, choices=(Choice(value="de", label="Germany"), Choice(value="at", label="Austria")))
    by_value = rule_of(german, english)
    assert written(by_value, RIGHT, read(by_value, LEFT, "at")) == "at"
    numbered = kind(T.CHOICE, choices=(Choice(value="1", label="Germany"), Choice(value="2", label="Austria")))
    by_label = rule_of(numbered, english)
    assert written(by_label, RIGHT, read(by_label, LEFT, "2")) == "at"
    assert written(by_label, LEFT, read(by_label, RIGHT, "de")) == "1"


def test_choices_that_share_a_label_are_told_apart_by_their_values():
    twins = kind(T.CHOICE, choices=(Choice(value="1", label="Open"), Choice(value="2", label="Open")))
    rule = rule_of(twins, CELL)
    assert read(rule, LEFT, "2") == "2"
    assert written(rule, LEFT, "2") == "2"
    with pytest.raises(Unmappable, match="not one of its choices"):
        written(rule, LEFT, "Open")


def test_sets_of_choices_are_mapped_member_by_member():
    tags = kind(T.CHOICE, many=True, choices=(Choice(value="t1", label="VIP"), Choice(value="t2", label="New")))
    rule = rule_of(tags, CELL)
    assert read(rule, LEFT, ["t2", "t1"]) == ("New", "VIP")
    assert written(rule, RIGHT, ("New", "VIP")) == "New;VIP"
    assert written(rule, LEFT, read(rule, RIGHT, "vip; New")) == ["t1", "t2"]
    with pytest.raises(Unmappable, match="'VIP', 'New'"):
        written(rule, LEFT, ("Old",))


def digests(spec, left=None, right=None, **zones):
    fields = ["id", "a", "b", "c"]
    return compiled(spec, left or resource(*fields), right or resource(*fields), **zones)


BASE = pair(mapped("a"), mapped("b"))


def test_a_digest_is_stable_and_sixteen_bytes():
    assert digests(BASE).digest == digests(pair(mapped("a"), mapped("b"))).digest
    assert len(digests(BASE).digest) == 16


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        (pair(mapped("a")), "mapping"),
        (pair(mapped("a"), mapped("b", "c")), "mapping"),
        (pair(mapped("a", type=T.INTEGER), mapped("b")), "mapping"),
        (pair(mapped("a", direction=TO_LEFT), mapped("b")), "mapping"),
        (pair(mapped("a", values={"x": "y"}), mapped("b")), "mapping"),
        (pair(mapped("a"), mapped("b"), mapped("c", None, is_constant=True, constant="x")), "mapping"),
        (replace(BASE, filters={LEFT: (Condition(field="a", test=Test.IS, value=1),)}), "filters"),
        (replace(BASE, match=("id", "a")), "match"),
        (replace(BASE, keyless=Keyless.CREATE), "match"),
        (replace(BASE, conflicts=Policy.LEFT), "policies"),
        (pair(mapped("a", conflicts=Policy.RIGHT), mapped("b")), "policies"),
        (replace(BASE, deletes=Deletes.IGNORE), "policies"),
    ],
)
def test_what_changes_decisions_changes_the_digest_and_the_part_is_named(spec, part):
    before, after = digests(BASE), digests(spec)
    assert before.digest != after.digest
    assert {name for name in before.parts if before.parts[name] != after.parts[name]} - {"schema"} == {part}


def test_a_time_zone_changes_the_mapping():
    spec = pair(mapped("a", type=T.DATETIME))
    assert digests(spec).digest != digests(spec, left_zone="UTC").digest


@pytest.mark.parametrize(
    "spec",
    [
        pair(mapped("b"), mapped("a")),
        replace(BASE, schedule="every 5 minutes"),
        replace(BASE, guards=Guards(deletes=Limit(share=1, number=1))),
        replace(BASE, full_sweep=1.0),
        pair(mapped("a", was="old"), mapped("b")),
    ],
)
def test_what_changes_no_decision_leaves_the_digest_alone(spec):
    assert digests(spec).digest == digests(BASE).digest


def test_numbers_and_their_text_are_different_filter_values():
    one, other = (replace(BASE, filters={LEFT: (Condition(field="a", test=Test.IS, value=value),)}) for value in (1, "1"))
    assert digests(one).digest != digests(other).digest


def test_required_and_native_fields_are_known_by_side():
    rule = rule_of(kind(required=True), kind(T.INTEGER))
    assert (rule.required(LEFT), rule.required(RIGHT)) == (True, False)
    assert (rule.native(LEFT), rule.native(RIGHT), rule.field(RIGHT).type) == ("l", "r", T.INTEGER)
    assert rule.policy is Policy.ASK


def test_in_scope_without_a_filter_is_everything():
    assert digests(BASE).in_scope(LEFT, {})
