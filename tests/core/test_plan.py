"""From what both sides hold to what a run intends: presence by presence, policy by policy; laws M3 (locality) and M7 (order)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.connector import Capabilities, Field, FieldType, Native
from syncengine.core.creates import create_fields
from syncengine.core.decision import AskKind, Bucket, Decision, LinkState, Op, Wait
from syncengine.core.detect import Presence
from syncengine.core.ground import Ground
from syncengine.core.mapping import PairRule
from syncengine.core.merge import Choice, Half, Pick
from syncengine.core.model import Condition, Deletes, Direction, Keyless, Policy, Side, Test
from syncengine.core.plan import decide_link
from syncengine.core.singles import decide_single
from tests.support.pairs import ALL_ABLE, compiled, mapped, nowhere, pair, resource, unlinked

L, R = Side.LEFT, Side.RIGHT
HERE = dict.fromkeys(Side, Presence.PRESENT)
GERMAN = (Condition(field="country", test=Test.IS, value="DE"),)


def rule_of(*extra: Any, fields: tuple[Field, ...] = (), right: Mapping[str, Any] | None = None, **options: Any) -> PairRule:
    """People by email, with a name and a country; `right` describes the right's fields differently."""
    names = ("email", "name", "country")
    specs = (*(mapped(name) for name in names), *extra)
    described = [Field(name=name) for name in names] + list(fields)
    there = [replace(field, **(right or {}).get(field.name, {})) for field in described]
    return compiled(pair(*specs, match=("email",), **options), resource(*described), resource(*there))


def ground_of(rule: PairRule, *, left_can: Capabilities = ALL_ABLE, right_can: Capabilities = ALL_ABLE, **options: Any) -> Ground:
    values: dict[str, Any] = {
        "resolve": unlinked,
        "locate": nowhere,
        "follow": unlinked,
        "capabilities": {L: left_can, R: right_can},
        "creates": {side: create_fields(rule, side) for side in Side},
    }
    return Ground(**(values | options))


ADA: dict[str, Native] = {"email": "ada@x.org", "name": "Ada", "country": "DE"}


def half(now: Mapping[str, Native] | None = ADA, base: Mapping[str, Native] | None = ADA, *, id: str | None = "1") -> Half:
    return Half(id=id, now=now, base={} if base is None else base, fingerprint=b"f" if now is not None else None)


def decided(
    rule: PairRule,
    left: Half,
    right: Half,
    *,
    state: LinkState = LinkState.LIVE,
    link: int | None = 1,
    presence: Mapping[Side, Presence] | None = None,
    **options: Any,
) -> Decision:
    if presence is None:
        presence = {side: Presence.PRESENT if each.now is not None else Presence.GONE for side, each in ((L, left), (R, right))}
    return decide_link(rule, ground_of(rule, **options), link=link, state=state, left=left, right=right, presence=presence)


def ops(decision: Decision) -> list[tuple[Op, Side]]:
    return [(write.op, write.side) for write in decision.writes]


# Both there


def test_an_edit_on_each_side_becomes_one_write_on_each() -> None:
    decision = decided(rule_of(), half(ADA | {"name": "L"}), half(ADA | {"country": "FR"}))
    assert ops(decision) == [(Op.UPDATE, L), (Op.UPDATE, R)]
    left, right = decision.write(L), decision.write(R)
    assert left is not None
    assert right is not None
    assert (left.fields, left.before, left.source) == ({"country": "FR"}, {"country": "DE"}, {"country": "FR"})
    assert (right.fields, right.before, right.whys) == ({"name": "L"}, {"name": "Ada"}, {"name": "changed on the left"})
    assert decision.buckets == {L: Bucket.RECEIVED, R: Bucket.RECEIVED}
    assert decision.state is None


@pytest.mark.parametrize(("left", "right", "link", "buckets"), [
    (ADA, ADA, 1, (Bucket.UNCHANGED, Bucket.UNCHANGED)),
    (ADA | {"name": "X"}, ADA | {"name": "X"}, 1, (Bucket.AGREED, Bucket.AGREED)),
    (ADA | {"name": "X"}, ADA, 1, (Bucket.SENT, Bucket.RECEIVED)),
    (ADA | {"name": "X"}, ADA | {"name": "Y"}, 1, (Bucket.CONFLICTED, Bucket.CONFLICTED)),
])  # fmt: skip
def test_each_record_ends_in_one_bucket(left: Any, right: Any, link: int | None, buckets: tuple[Bucket, Bucket]) -> None:
    decision = decided(rule_of(), half(left), half(right), link=link)
    assert decision.buckets == dict(zip(Side, buckets, strict=True))


def test_a_new_link_has_no_base_and_is_live() -> None:
    decision = decided(rule_of(), half(base=None), half(base=None), link=None)
    assert (decision.state, decision.writes, decision.buckets) == (LinkState.LIVE, (), dict.fromkeys(Side, Bucket.LINKED))
    assert decision.bases == {L: ADA, R: ADA}


def test_a_conflict_asks_shows_both_and_the_base_and_waits_on_both_sides() -> None:
    decision = decided(rule_of(), half(ADA | {"name": "L"}), half(ADA | {"name": "R"}))
    (ask,) = decision.asks
    assert (ask.kind, ask.field, ask.left, ask.right, ask.base) == (AskKind.CONFLICT, "name", "L", "R", "Ada")
    assert decision.waits == dict.fromkeys(Side, (Wait.CONFLICT, "name: both sides changed it"))
    assert not decision.writes


def test_a_settled_conflict_names_what_is_lost() -> None:
    decision = decided(rule_of(conflicts=Policy.RIGHT), half(ADA | {"name": "L"}), half(ADA | {"name": "R"}))
    assert [(loss.side, loss.field, loss.value) for loss in decision.losses] == [(L, "name", "L")]
    assert ops(decision) == [(Op.UPDATE, L)]


def test_agreed_values_move_the_shadows_and_absent_ones_count_as_null() -> None:
    lacking = {name: value for name, value in ADA.items() if name != "name"}
    decision = decided(
        rule_of(), half(lacking | {"country": "FR"}, ADA | {"name": None}), half(ADA | {"name": None, "country": "FR"})
    )
    assert decision.bases[L]["country"] == "FR"
    first = decided(rule_of(), half(lacking, None), half(lacking, None), link=None)
    assert first.bases[L]["name"] is None


def test_a_dead_or_suspended_link_whose_records_are_both_there_lives_again() -> None:
    for state in (LinkState.DEAD, LinkState.SUSPENDED):
        assert decided(rule_of(), half(), half(), state=state).state is LinkState.LIVE


@pytest.mark.parametrize("side", list(Side))
def test_a_record_out_of_scope_suspends_the_link_and_nothing_travels(side: Side) -> None:
    rule = rule_of(filters={side: GERMAN})
    away = {each: half(ADA | ({"country": "FR"} if each is side else {"name": "Edited"})) for each in Side}
    decision = decided(rule, away[L], away[R])
    assert (decision.state, decision.writes, decision.bases) == (LinkState.SUSPENDED, (), {})
    assert decision.buckets == dict.fromkeys(Side, Bucket.SKIPPED)


def test_what_blocks_and_what_waits_is_named_field_by_field() -> None:
    company = Field(name="company", type=FieldType.REFERENCE)
    age = Field(name="age", type=FieldType.TEXT)
    rule = rule_of(
        mapped("company", references="companies"),
        mapped("age", type=FieldType.INTEGER),
        fields=(company, age),
        right={"age": {"type": FieldType.INTEGER}},
    )
    fields = ADA | {"company": None, "age": None}
    blocked = decided(rule, half(fields | {"age": "old"}, fields), half(fields, fields))
    assert blocked.waits[L][0] is Wait.BLOCKED
    assert blocked.waits[L][1].startswith("age: ")
    assert blocked.buckets[L] is Bucket.WAITING
    pending = decided(rule, half(fields | {"company": "9"}, fields), half(fields, fields))
    assert pending.waits[L] == (Wait.REFERENCE, "company: the companies record it points to has no link yet")


# Somebody gone


def test_nobody_there_ends_the_link() -> None:
    decision = decided(rule_of(), half(None), half(None))
    assert (decision.state, decision.writes, decision.buckets) == (LinkState.ENDED, (), {})


def test_nothing_is_decided_while_a_side_cannot_tell() -> None:
    presence = {L: Presence.UNKNOWN, R: Presence.PRESENT}
    decision = decided(rule_of(deletes=Deletes.PROPAGATE), half(), half(), presence=presence)
    assert decision.writes == ()
    assert decision.state is None
    assert decision.waits == dict.fromkeys(Side, (Wait.UNREAD, "a side could not be read by id"))
    alone = decided(rule_of(), half(None, id=None), half(), presence={L: Presence.UNKNOWN, R: Presence.PRESENT})
    assert set(alone.waits) == {R}


NO_DELETE = replace(ALL_ABLE, deletes=False)
NOTHING = replace(ALL_ABLE, deletes=False, archives=False)
QUIET: tuple[AskKind, ...] = ()
ASKS = (AskKind.DELETE,)
SURVIVED = (AskKind.EDIT_SURVIVED,)

GONE: dict[str, tuple[dict[str, Any], dict[str, Native], dict[str, Any], list[Any], LinkState, tuple[AskKind, ...]]] = {
    "ask": ({"deletes": Deletes.ASK}, ADA, {}, [], LinkState.DEAD, ASKS),
    "ignore": ({"deletes": Deletes.IGNORE}, ADA, {}, [], LinkState.DEAD, QUIET),
    "propagate": ({"deletes": Deletes.PROPAGATE}, ADA, {}, [(Op.DELETE, R)], LinkState.ENDED, QUIET),
    "propagate, archives only": ({"deletes": Deletes.PROPAGATE}, ADA, {"right_can": NO_DELETE}, [(Op.ARCHIVE, R)], LinkState.ENDED, QUIET),
    "propagate, can do neither": (
        {"deletes": Deletes.PROPAGATE, "direction": Direction.BOTH}, ADA, {"right_can": NOTHING}, [], LinkState.DEAD, ASKS),
    "archive": ({"deletes": Deletes.ARCHIVE}, ADA, {}, [(Op.ARCHIVE, R)], LinkState.ENDED, QUIET),
    "edited, ask": ({"deletes": Deletes.ASK}, ADA | {"name": "X"}, {}, [(Op.RESTORE, L)], LinkState.LIVE, SURVIVED),
    "edited, propagate": ({"deletes": Deletes.PROPAGATE}, ADA | {"name": "X"}, {}, [(Op.RESTORE, L)], LinkState.LIVE, SURVIVED),
    "edited, ignore": ({"deletes": Deletes.IGNORE}, ADA | {"name": "X"}, {}, [], LinkState.DEAD, QUIET),
    "edited, cannot restore": (
        {"deletes": Deletes.PROPAGATE}, ADA | {"name": "X"}, {"left_can": replace(ALL_ABLE, restores=False)},
        [(Op.CREATE, L)], LinkState.LIVE, SURVIVED),
    "edited, cannot even create": (
        {"deletes": Deletes.PROPAGATE}, ADA | {"name": "X"}, {"left_can": replace(ALL_ABLE, restores=False, creates=False)},
        [], LinkState.DEAD, ASKS),
    "never written to the survivor": (
        {"deletes": Deletes.PROPAGATE, "direction": Direction.RIGHT_TO_LEFT}, ADA, {}, [], LinkState.DEAD, QUIET),
    "one way, target edited": (
        {"deletes": Deletes.PROPAGATE, "direction": Direction.LEFT_TO_RIGHT}, ADA | {"name": "X"}, {}, [], LinkState.DEAD, ASKS),
    "survivor out of scope": (
        {"deletes": Deletes.PROPAGATE, "filters": {R: GERMAN}}, ADA | {"country": "FR"}, {}, [], LinkState.DEAD, QUIET),
}  # fmt: skip


@pytest.mark.parametrize("case", GONE)
def test_the_left_record_is_gone(case: str) -> None:
    spec, survivor, options, writes, state, asks = GONE[case]
    decision = decided(rule_of(**spec), half(None), half(survivor), **options)
    assert ops(decision) == writes
    assert decision.state is state
    assert tuple(ask.kind for ask in decision.asks) == asks
    assert (R in decision.waits) == (asks == ASKS)
    if not writes:
        assert decision.buckets[R] is (Bucket.WAITING if asks == ASKS else Bucket.SKIPPED)


@pytest.mark.parametrize("deletes", list(Deletes))
def test_a_suspended_link_whose_record_is_gone_is_dead_whatever_the_policy(deletes: Deletes) -> None:
    decision = decided(rule_of(deletes=deletes), half(None), half(ADA | {"name": "X"}), state=LinkState.SUSPENDED)
    assert (decision.state, decision.writes, decision.asks) == (LinkState.DEAD, (), ())


@pytest.mark.parametrize(("deletes", "asked", "asks"), [
    (Deletes.ASK, True, 1), (Deletes.ASK, False, 0), (Deletes.IGNORE, True, 0), (Deletes.PROPAGATE, True, 1),
    (Deletes.PROPAGATE, False, 0),
])  # fmt: skip
def test_a_dead_link_keeps_its_question_open_and_never_opens_it_again(deletes: Deletes, asked: bool, asks: int) -> None:
    decision = decided(rule_of(deletes=deletes), half(None), half(ADA | {"name": "X"}), state=LinkState.DEAD, asked=asked)
    assert (decision.state, decision.writes, len(decision.asks)) == (LinkState.DEAD, (), asks)


@pytest.mark.parametrize(("pick", "options", "writes", "state"), [
    (Pick.APART, {}, [], LinkState.DEAD),
    (Pick.RIGHT, {}, [(Op.RESTORE, L)], LinkState.LIVE),
    (Pick.LEFT, {}, [(Op.DELETE, R)], LinkState.ENDED),
    (Pick.LEFT, {"right_can": NO_DELETE}, [(Op.ARCHIVE, R)], LinkState.ENDED),
    (Pick.LEFT, {"right_can": NOTHING}, [], LinkState.DEAD),
])  # fmt: skip
def test_a_person_decides_about_a_deletion(pick: Pick, options: Any, writes: Any, state: LinkState) -> None:
    choices = {None: Choice(pick=pick)}
    decision = decided(rule_of(), half(None), half(ADA | {"name": "X"}), state=LinkState.DEAD, choices=choices, **options)
    assert (ops(decision), decision.state, decision.asks) == (writes, state, ())
    if writes and writes[0][0] in (Op.DELETE, Op.ARCHIVE):
        assert [(loss.field, loss.value) for loss in decision.losses] == [("name", "X")]


def test_deletes_and_creates_mirror_each_other() -> None:
    rule = rule_of(deletes=Deletes.PROPAGATE)
    for side in Side:
        sides = {side: half(None), side.other: half()}
        assert ops(decided(rule, sides[L], sides[R])) == [(Op.DELETE, side.other)]
        edited = {side: half(None), side.other: half(ADA | {"name": "X"})}
        assert ops(decided(rule, edited[L], edited[R])) == [(Op.RESTORE, side)]


# Alone


def single(rule: PairRule, now: Mapping[str, Native], side: Side = L, key: str | None = "ada@x.org", **options: Any) -> Decision:
    return decide_single(rule, ground_of(rule, **options), side=side, half=half(now, None), key=key)


@pytest.mark.parametrize("side", list(Side))
def test_a_new_record_is_made_on_the_other_side_without_its_blanks(side: Side) -> None:
    decision = single(rule_of(), ADA | {"name": "", "country": None}, side)
    (write,) = decision.writes
    assert (write.op, write.side, write.id) == (Op.CREATE, side.other, None)
    assert write.fields == write.source == {"email": "ada@x.org"}
    assert decision.buckets == {side: Bucket.CREATED}
    assert decision.state is LinkState.LIVE


@pytest.mark.parametrize(("spec", "options", "key"), [
    ({"direction": Direction.RIGHT_TO_LEFT}, {}, "k"),
    ({}, {"right_can": replace(ALL_ABLE, creates=False)}, "k"),
    ({"filters": {L: (Condition(field="country", test=Test.IS, value="FR"),)}}, {}, "k"),
    ({"filters": {R: (Condition(field="country", test=Test.IS, value="FR"),)}}, {}, "k"),
    ({"keyless": Keyless.SKIP}, {}, None),
])  # fmt: skip
def test_what_is_left_alone(spec: Any, options: Any, key: str | None) -> None:
    decision = single(rule_of(**spec), ADA, key=key, **options)
    assert (decision.writes, decision.state, decision.buckets) == ((), None, {L: Bucket.SKIPPED})


def test_a_keyless_record_is_made_where_the_pair_says_so() -> None:
    assert ops(single(rule_of(keyless=Keyless.CREATE), ADA | {"email": None}, key=None)) == [(Op.CREATE, R)]


def test_constants_come_with_a_create_and_lose_to_nothing() -> None:
    origin = mapped("origin", None, "origin", constant="crm", is_constant=True)
    rule = rule_of(origin, fields=(Field(name="origin"),))
    (write,) = single(rule, ADA).writes
    assert write.fields["origin"] == "crm"
    (back,) = single(rule, ADA, R).writes
    assert "origin" not in back.fields


def reference(required: bool) -> PairRule:
    company = Field(name="company", type=FieldType.REFERENCE)
    return rule_of(mapped("company", references="companies"), fields=(company,), right={"company": {"required": required}})


def test_a_reference_that_is_not_known_yet_is_left_out_unless_the_target_needs_it() -> None:
    fields = ADA | {"company": "9"}
    late = single(reference(False), fields)
    assert "company" not in late.writes[0].fields
    assert late.waits[L][0] is Wait.REFERENCE
    needed = single(reference(True), fields)
    assert (needed.writes, needed.buckets) == ((), {L: Bucket.WAITING})
    assert needed.waits[L][0] is Wait.REFERENCE


def aged(required: bool) -> PairRule:
    age = Field(name="age", type=FieldType.TEXT)
    return rule_of(
        mapped("age", type=FieldType.INTEGER), fields=(age,), right={"age": {"type": FieldType.INTEGER, "required": required}}
    )


def test_a_value_that_cannot_be_mapped_is_left_out_unless_the_target_needs_it() -> None:
    late = single(aged(False), ADA | {"age": "old"})
    assert "age" not in late.writes[0].fields
    assert late.waits[L][0] is Wait.BLOCKED
    needed = single(aged(True), ADA | {"age": "old"})
    assert (needed.writes, needed.buckets) == ((), {L: Bucket.QUARANTINED})
    assert needed.waits[L][0] is Wait.QUARANTINED


def test_a_revival_that_lacks_what_the_target_needs_asks_instead() -> None:
    decision = decided(
        reference(True),
        half(ADA | {"company": "9"}, ADA),
        half(None),
        left_can=ALL_ABLE,
        right_can=replace(ALL_ABLE, restores=False),
    )
    assert (decision.state, decision.writes) == (LinkState.DEAD, ())
    assert [ask.kind for ask in decision.asks] == [AskKind.DELETE]


def test_a_decision_is_labelled_by_whichever_side_has_a_key() -> None:
    assert decided(rule_of(), half(ADA | {"email": None}), half(ADA | {"email": "right@x.org"})).label == "right@x.org"
    assert decided(rule_of(), half(None), half(None)).label == "ada@x.org"
    assert decided(rule_of(), half(None, None), half(None, None)).label == ""


# Laws

words = st.sampled_from([None, "", "a", "b", "c"])
records = st.fixed_dictionaries({"email": st.just("ada@x.org"), "name": words, "country": words})
rules = st.sampled_from([rule_of(conflicts=policy) for policy in (Policy.ASK, Policy.LEFT, Policy.RIGHT, Policy.FILL)])


@given(rules, records, records, records, records, words, words)
def test_m3_what_happens_to_one_field_does_not_depend_on_another(
    rule: PairRule, left: Any, right: Any, left_base: Any, right_base: Any, first: Native, second: Native
) -> None:
    def of_name(country: tuple[Native, Native]) -> tuple[Any, ...]:
        sides = {
            side: half(now | {"country": country[index]}, base | {"country": country[index]})
            for index, (side, now, base) in enumerate(((L, left, left_base), (R, right, right_base)))
        }
        decision = decided(rule, sides[L], sides[R])
        return (
            {write.side: write.fields for write in decision.writes},
            [ask.field for ask in decision.asks],
            [(loss.side, loss.field) for loss in decision.losses],
        )

    assert of_name((None, None)) == of_name((first, second))


@given(rules, st.lists(st.tuples(records, records, records, records), min_size=2, max_size=4))
def test_m7_links_are_decided_each_for_itself_in_any_order(rule: PairRule, links: list[tuple[Any, Any, Any, Any]]) -> None:
    def decisions(order: list[tuple[Any, Any, Any, Any]]) -> list[Decision]:
        return [decided(rule, half(left, base), half(right, other)) for left, right, base, other in order]

    assert decisions(links) == decisions(links[::-1])[::-1]


@given(rules, records, records, records, records)
def test_an_update_names_what_it_replaces_and_where_it_comes_from(
    rule: PairRule, left: Any, right: Any, left_base: Any, right_base: Any
) -> None:
    decision = decided(rule, half(left, left_base), half(right, right_base))
    held = {L: left, R: right}
    for write in decision.writes:
        assert write.before == {name: held[write.side][name] for name in write.fields}
        assert write.source == {name: held[write.side.other][name] for name in write.fields}
        assert all(write.fields[name] == held[write.side.other][name] for name in write.fields)
    for side, fields in decision.bases.items():
        assert all(held[side][name] == value for name, value in fields.items())


def kept_apart(field: Field, there: Mapping[str, Any], left_base: Native, right: Native) -> Decision:
    """The left is gone; the two sides of one field had different shadows, and the right still holds its own."""
    rule = rule_of(
        mapped(field.name, type=there.get("type")), fields=(field,), right={field.name: there}, deletes=Deletes.PROPAGATE
    )
    return decided(rule, half(None, ADA | {field.name: left_base}), half(ADA | {field.name: right}, ADA | {field.name: right}))


def test_a_record_that_came_without_a_field_still_loses_the_value_that_it_held() -> None:
    without = {name: value for name, value in ADA.items() if name != "name"}
    decision = decided(rule_of(), half(without), half(ADA | {"name": "R"}, ADA | {"name": "apart"}))
    assert [(loss.side, loss.field, loss.value) for loss in decision.losses] == [(L, "name", "Ada")]


def test_a_delete_keeps_what_was_never_on_the_other_side() -> None:
    note = Field(name="note")
    assert [loss.value for loss in kept_apart(note, {}, "left", "right").losses] == ["right"]
    assert not kept_apart(note, {}, "same", "same").losses
    assert not kept_apart(note, {}, "Same", "same").losses  # what a system makes of it is no second value
    assert not kept_apart(note, {}, "left", None).losses


def test_a_delete_keeps_what_nobody_can_compare_any_more() -> None:
    age = Field(name="age", type=FieldType.TEXT)
    decision = kept_apart(age, {"type": FieldType.INTEGER}, "old", 7)
    assert [loss.value for loss in decision.losses] == [7]


def test_a_record_that_is_made_anew_does_not_point_to_what_it_replaces() -> None:
    boss = Field(name="boss", type=FieldType.REFERENCE)
    rule = rule_of(mapped("boss", references="people"), fields=(boss,), deletes=Deletes.PROPAGATE)

    def locate(pair: str, side: Side, number: int) -> str:
        return f"{side.value} {number}"

    def resolve(pair: str, side: Side, id_: str) -> int:
        return int(id_)

    for number, expected in ((1, None), (2, "left 2")):
        now = ADA | {"boss": str(number), "name": "Edited"}
        decision = decided(
            rule, half(None), half(now), left_can=replace(ALL_ABLE, restores=False), resolve=resolve, locate=locate
        )
        assert decision.writes[0].fields.get("boss") == expected
