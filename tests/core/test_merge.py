"""The three-way merge of one field: every row of the decision table (reliability reference 2.5), and its laws M1, M2, M4, M5, M6."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.connector import ABSENT, Field, FieldType, Native
from syncengine.core.mapping import FieldRule
from syncengine.core.merge import Choice, FieldResult, Half, Pick, Verdict, merge_field
from syncengine.core.model import Direction, Policy, Side
from tests.support.pairs import kind, nowhere, rule_of, unlinked

NO_BASE = object()
L, R = Side.LEFT, Side.RIGHT
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NAMES = {L: "l", R: "r"}


def text_rule(**options: Any) -> FieldRule:
    return rule_of(kind(FieldType.TEXT), kind(FieldType.TEXT), **options)


def half(side: Side, now: Native, base: object = NO_BASE, **options: Any) -> Half:
    name = NAMES[side]
    held = {} if now is ABSENT else {name: now}
    return Half(id=side.value, now=held, base={} if base is NO_BASE else {name: base}, **options)


def merged(
    rule: FieldRule,
    left: tuple[Native, object],
    right: tuple[Native, object],
    *,
    resolve: Any = unlinked,
    locate: Any = nowhere,
    follow: Any = unlinked,
    choice: Choice | None = None,
    clock_slack: float | None = None,
    left_options: dict[str, Any] | None = None,
    right_options: dict[str, Any] | None = None,
) -> FieldResult:
    """Merge (now, base) of the left with (now, base) of the right."""
    return merge_field(
        rule,
        half(L, *left, **(left_options or {})),
        half(R, *right, **(right_options or {})),
        resolve=resolve,
        locate=locate,
        follow=follow,
        choice=choice,
        clock_slack=clock_slack,
    )


TABLE = {
    "same, same": (("a", "a"), ("a", "a"), Verdict.SAME, {}),
    "same, same though they differ": (("a", "a"), ("b", "b"), Verdict.SAME, {}),
    "changed, same": (("b", "a"), ("a", "a"), Verdict.TRAVELS, {R: "b"}),
    "same, changed": (("a", "a"), ("b", "a"), Verdict.TRAVELS, {L: "b"}),
    "changed, changed, agree": (("b", "a"), ("b", "a"), Verdict.AGREED, {}),
    "changed to what the other held": (("b", "a"), ("b", "b"), Verdict.AGREED, {}),
    "changed, changed, not agree": (("b", "a"), ("c", "a"), Verdict.ASK, {}),
    "cleared, same": ((None, "a"), ("a", "a"), Verdict.TRAVELS, {R: None}),
    "cleared, changed": ((None, "a"), ("b", "a"), Verdict.ASK, {}),
    "cleared on both": ((None, "a"), (None, "a"), Verdict.AGREED, {}),
    "absent, changed": ((ABSENT, "a"), ("b", "a"), Verdict.TRAVELS, {L: "b"}),
    "absent, same": ((ABSENT, "a"), ("a", "a"), Verdict.SAME, {}),
    "first contact, equal": (("a", NO_BASE), ("a", NO_BASE), Verdict.AGREED, {}),
    "first contact, blank on the right": (("a", NO_BASE), (None, NO_BASE), Verdict.TRAVELS, {R: "a"}),
    "first contact, blank on the left": (("", NO_BASE), ("a", NO_BASE), Verdict.TRAVELS, {L: "a"}),
    "first contact, blank on both": ((None, NO_BASE), (ABSENT, NO_BASE), Verdict.AGREED, {}),
    "first contact, different": (("a", NO_BASE), ("b", NO_BASE), Verdict.ASK, {}),
    "a base on one side only, different": (("a", "a"), ("b", NO_BASE), Verdict.ASK, {}),
}


@pytest.mark.parametrize("row", TABLE)
def test_every_row_of_the_decision_table(row: str) -> None:
    left, right, verdict, writes = TABLE[row]
    result = merged(text_rule(), left, right)
    assert (result.verdict, dict(result.writes)) == (verdict, writes)


def test_a_value_travels_as_it_was_typed() -> None:
    rule = rule_of(kind(FieldType.EMAIL), kind(FieldType.EMAIL))
    assert merged(rule, (" New@X.org", "a@x.org"), ("a@x.org", "a@x.org")).writes == {R: " New@X.org"}


def test_another_way_of_writing_the_same_moves_the_shadow_and_writes_nothing() -> None:
    rule = rule_of(kind(FieldType.EMAIL), kind(FieldType.EMAIL))
    result = merged(rule, ("A@X.org", "a@x.org"), ("a@x.org", "a@x.org"))
    assert (result.verdict, result.quiet, result.writes) == (Verdict.SAME, (L,), {})


def test_what_the_system_made_of_our_own_write_is_no_edit() -> None:
    for options in ({"unmoved": True}, {}):
        now = "Long text tha" if not options else "something quite different"
        result = merged(
            text_rule(), ("x", "x"), (now, "Long text that was cut"), right_options={"unconfirmed": frozenset({"r"}), **options}
        )
        assert (result.verdict, result.quiet) == (Verdict.SAME, (R,))
    edited = merged(text_rule(), ("x", "x"), ("another", "Long text"), right_options={"unconfirmed": frozenset({"r"})})
    assert edited.writes == {L: "another"}


POLICIES = {
    Policy.LEFT: (Verdict.TRAVELS, {R: "b"}, (R,)),
    Policy.RIGHT: (Verdict.TRAVELS, {L: "c"}, (L,)),
    Policy.ASK: (Verdict.ASK, {}, ()),
    Policy.FILL: (Verdict.ASK, {}, ()),
    Policy.NEWER: (Verdict.ASK, {}, ()),
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("base", ["a", NO_BASE], ids=["edited", "first contact"])
def test_every_policy_settles_a_conflict_and_names_the_loser(policy: Policy, base: object) -> None:
    result = merged(text_rule(conflicts=policy), ("b", base), ("c", base))
    assert (result.verdict, dict(result.writes), result.losers) == POLICIES[policy]


@pytest.mark.parametrize(("policy", "left", "right", "writes"), [
    (Policy.FILL, None, "b", {L: "b"}),
    (Policy.FILL, "b", "", {R: "b"}),
    (Policy.LEFT, None, "b", {R: None}),
])  # fmt: skip
def test_a_cleared_value_against_an_edit(policy: Policy, left: Native, right: Native, writes: dict[Side, Native]) -> None:
    assert merged(text_rule(conflicts=policy), (left, "a"), (right, "a")).writes == writes


@pytest.mark.parametrize(("lead", "slack", "winner"), [
    (10.0, 2.0, L), (-10.0, 2.0, R), (2.0, 2.0, None), (2.1, 2.0, L), (1000.0, None, None), (None, 2.0, None),
])  # fmt: skip
def test_newer_decides_only_where_the_clocks_can_tell(lead: float | None, slack: float | None, winner: Side | None) -> None:
    result = merged(
        text_rule(conflicts=Policy.NEWER),
        ("b", "a"),
        ("c", "a"),
        clock_slack=slack,
        left_options={"modified_at": None if lead is None else NOON + timedelta(seconds=lead)},
        right_options={"modified_at": NOON},
    )
    if winner is None:
        assert result.verdict is Verdict.ASK
        assert "clocks" in result.why
    else:
        assert result.writes == {winner.other: {L: "b", R: "c"}[winner]}


def sets(**options: Any) -> FieldRule:
    return rule_of(kind(FieldType.SET, many=True), kind(FieldType.SET, many=True), conflicts=Policy.UNION, **options)


@pytest.mark.parametrize(("left", "right", "base", "expected"), [
    (["x", "a"], ["x", "b"], ["x"], {"x", "a", "b"}),
    (["a"], ["x", "b"], ["x"], {"a", "b"}),
    (["a"], ["b"], NO_BASE, {"a", "b"}),
    ([], ["x", "b"], ["x"], {"b"}),
])  # fmt: skip
def test_a_union_keeps_what_was_added_and_drops_what_was_removed(left: Any, right: Any, base: object, expected: set[str]) -> None:
    result = merged(sets(), (left, base), (right, base))
    assert result.verdict is Verdict.TRAVELS
    for side, held in ((L, left), (R, right)):
        assert set(result.writes.get(side, held)) == expected  # type: ignore[call-overload]


def test_a_union_needs_both_sides_to_be_written() -> None:
    closed = replace(sets(), right_field=Field(name="r", type=FieldType.SET, many=True, read_only=True))
    result = merged(closed, (["a"], ["x"]), (["b"], ["x"]))
    assert result.writes == {L: ["b"]}  # the read-only side wins in a field that goes one way


ONE_WAY = {
    "the source changed": (("b", "a"), ("a", "a"), Verdict.TRAVELS, {R: "b"}, ()),
    "the target changed": (("a", "a"), ("b", "a"), Verdict.KEPT, {}, ()),
    "both changed": (("b", "a"), ("c", "a"), Verdict.TRAVELS, {R: "b"}, (R,)),
    "the target only has a value": ((None, NO_BASE), ("c", NO_BASE), Verdict.KEPT, {}, ()),
    "first contact, different": (("b", NO_BASE), ("c", NO_BASE), Verdict.TRAVELS, {R: "b"}, (R,)),
}


@pytest.mark.parametrize("row", ONE_WAY)
def test_a_field_that_goes_one_way(row: str) -> None:
    left, right, verdict, writes, losers = ONE_WAY[row]
    result = merged(text_rule(direction=Direction.LEFT_TO_RIGHT), left, right)
    assert (result.verdict, dict(result.writes), result.losers) == (verdict, writes, losers)


def test_a_field_that_neither_side_can_be_written_in_is_kept_as_it_is() -> None:
    rule = text_rule()
    closed = replace(
        rule, left_field=replace(rule.left_field, read_only=True), right_field=replace(rule.right_field, read_only=True)
    )
    for left, right in ((("b", "a"), ("c", "a")), (("b", "a"), ("a", "a"))):
        assert merged(closed, left, right).verdict is Verdict.KEPT


def test_a_value_that_cannot_be_mapped_blocks_the_field() -> None:
    rule = rule_of(kind(FieldType.TEXT), kind(FieldType.INTEGER), type=FieldType.INTEGER)
    unread = merged(rule, ("no number", "1"), (1, 1))
    assert (unread.verdict, unread.writes) == (Verdict.BLOCKED, {})
    assert unread.why.startswith("left field 'l': ")
    assert merged(rule, ("no number", "no number"), (2, 1)).verdict is Verdict.BLOCKED
    assert merged(rule, ("no number", "no number"), (1, 1)).verdict is Verdict.SAME
    short = rule_of(kind(FieldType.INTEGER), kind(FieldType.BOOLEAN), type=FieldType.BOOLEAN)
    unwritable = merged(short, (7, 1), (True, True))
    assert unwritable.verdict is Verdict.BLOCKED


def test_a_base_that_the_mapping_no_longer_reads_is_no_base() -> None:
    rule = rule_of(kind(FieldType.TEXT), kind(FieldType.INTEGER), type=FieldType.INTEGER)
    assert merged(rule, ("5", "no number"), (5, 5)).verdict is Verdict.AGREED
    assert merged(rule, ("6", "no number"), (5, 5)).verdict is Verdict.ASK


def test_a_value_that_the_target_cannot_say_blocks_the_field() -> None:
    rule = rule_of(kind(FieldType.TEXT), kind(FieldType.TEXT), values={"Won": "closed_won"})
    result = merged(rule, ("closed_won", "Won"), ("closed_won", "closed_won"))
    assert (result.verdict, result.writes) == (Verdict.BLOCKED, {})


def reference_rule() -> FieldRule:
    return rule_of(kind(FieldType.REFERENCE), kind(FieldType.REFERENCE), references="companies")


def linked(pair: str, side: Side, id_: str) -> int | None:
    """Left 10 is right 20, link 1; left 11 has a link whose right record is being made."""
    return {(L, "10"): 1, (R, "20"): 1, (L, "11"): 2}.get((side, id_))


def located(pair: str, side: Side, link: int) -> str | None:
    return {(L, 1): "10", (R, 1): "20"}.get((side, link))


@pytest.mark.parametrize(("left", "right", "verdict", "writes"), [
    (("10", None), (None, None), Verdict.TRAVELS, {R: "20"}),
    (("10", "10"), ("20", "20"), Verdict.SAME, {}),
    (("10", NO_BASE), ("20", NO_BASE), Verdict.AGREED, {}),
    (("99", None), (None, None), Verdict.PENDING, {}),
    (("11", None), (None, None), Verdict.PENDING, {}),
    (("99", NO_BASE), ("20", NO_BASE), Verdict.ASK, {}),
    ((None, "10"), ("20", "20"), Verdict.TRAVELS, {R: None}),
])  # fmt: skip
def test_a_reference_travels_by_its_link_and_waits_where_it_has_none(
    left: Any, right: Any, verdict: Verdict, writes: Any
) -> None:
    result = merged(reference_rule(), left, right, resolve=linked, locate=located)
    assert (result.verdict, dict(result.writes)) == (verdict, writes)


def test_references_to_several_records_wait_for_the_last_of_them_and_unions_too() -> None:
    many = kind(FieldType.REFERENCE, many=True)
    rule = rule_of(many, many, references="companies", conflicts=Policy.UNION)
    assert merged(rule, (["10"], []), ([], []), resolve=linked, locate=located).writes == {R: ["20"]}
    waiting = merged(rule, (["10", "99"], []), ([], []), resolve=linked, locate=located)
    assert waiting.verdict is Verdict.PENDING
    union = merged(rule, (["99"], NO_BASE), (["20"], NO_BASE), resolve=linked, locate=located)
    assert union.verdict is Verdict.PENDING


def made_anew(pair: str, side: Side, id_: str) -> int | None:
    """Left 8 and right 18 were made anew as left 10 and right 20; left 9, for another link, as one that is being made anew again."""
    return {(L, "8"): 1, (R, "18"): 1, (L, "9"): 2}.get((side, id_))


@pytest.mark.parametrize(("left", "right", "direction", "writes"), [
    ("8", "18", None, {L: "10", R: "20"}),
    ("8", "18", Direction.LEFT_TO_RIGHT, {R: "20"}),
    ("8", "20", None, {L: "10"}),
    ("8", "19", None, {}),
    ("9", "18", None, {}),
])  # fmt: skip
def test_a_reference_follows_what_was_made_anew_on_both_sides(
    left: str, right: str, direction: Direction | None, writes: Mapping[Side, str]
) -> None:
    """Neither side's reference tells who is meant any more; what both were made anew for does, where it is the same."""
    rule = rule_of(kind(FieldType.REFERENCE), kind(FieldType.REFERENCE), references="companies", direction=direction)
    result = merged(rule, (left, left), (right, right), resolve=linked, locate=located, follow=made_anew)
    assert (dict(result.writes), result.losers) == (writes, ())
    assert result.verdict is (Verdict.TRAVELS if writes else Verdict.SAME)


def test_every_member_follows_what_was_made_anew() -> None:
    many = kind(FieldType.REFERENCE, many=True)
    rule = rule_of(many, many, references="companies")
    result = merged(rule, (["8"], ["8"]), (["18"], ["18"]), resolve=linked, locate=located, follow=made_anew)
    assert result.writes == {L: ["10"], R: ["20"]}


def test_a_member_that_the_other_side_cannot_say_blocks_a_union() -> None:
    from syncengine.connector import Choice as Offered

    closed = kind(FieldType.SET, many=True, choices=(Offered(value="a"),))
    rule = rule_of(kind(FieldType.SET, many=True), closed, conflicts=Policy.UNION)
    result = merged(rule, (["b"], NO_BASE), (["a"], NO_BASE))
    assert (result.verdict, result.writes) == (Verdict.BLOCKED, {})


# A human's word

SHOWN = {"left": "b", "right": "c"}


@pytest.mark.parametrize(("choice", "verdict", "writes", "losers"), [
    (Choice(pick=Pick.LEFT, **SHOWN), Verdict.TRAVELS, {R: "b"}, (R,)),
    (Choice(pick=Pick.RIGHT, **SHOWN), Verdict.TRAVELS, {L: "c"}, (L,)),
    (Choice(pick=Pick.APART, **SHOWN), Verdict.APART, {}, ()),
    (Choice(pick=Pick.VALUE, value="d", **SHOWN), Verdict.TRAVELS, {L: "d", R: "d"}, (L, R)),
    (Choice(pick=Pick.VALUE, value="b", **SHOWN), Verdict.TRAVELS, {R: "b"}, (R,)),
    (Choice(pick=Pick.LEFT, left="b", right="other"), Verdict.ASK, {}, ()),
    (Choice(pick=Pick.VALUE, value="d", left="other", right="c"), Verdict.ASK, {}, ()),
])  # fmt: skip
def test_a_humans_word_counts_while_both_sides_hold_what_was_shown(
    choice: Choice, verdict: Verdict, writes: Any, losers: Any
) -> None:
    result = merged(text_rule(), ("b", "a"), ("c", "a"), choice=choice)
    assert (result.verdict, dict(result.writes), result.losers) == (verdict, writes, losers)


def test_a_typed_value_that_means_nothing_blocks_and_one_that_a_side_does_not_take_is_kept() -> None:
    rule = rule_of(kind(FieldType.INTEGER), kind(FieldType.INTEGER))
    choice = Choice(pick=Pick.VALUE, left=2, right=3, value="no number")
    assert merged(rule, (2, 1), (3, 1), choice=choice).verdict is Verdict.BLOCKED
    one_way = text_rule(direction=Direction.LEFT_TO_RIGHT)
    typed = Choice(pick=Pick.VALUE, value="d", **SHOWN)
    assert merged(one_way, ("b", "a"), ("c", "a"), choice=typed).verdict is Verdict.KEPT


def test_a_signalling_nan_is_a_value_without_meaning_not_a_crash() -> None:
    rule = rule_of(kind(FieldType.DECIMAL), kind(FieldType.DECIMAL))
    result = merged(rule, (Decimal("sNaN"), Decimal("sNaN")), (Decimal(1), Decimal(1)))
    assert result.verdict is Verdict.BLOCKED


# Laws

words = st.sampled_from([None, "", " ", "a", "b", "A", "Zo\u00eb", "Zoe\u0308", "a long text", "a long", ABSENT])
bases = words | st.just(NO_BASE)
policies = st.sampled_from([Policy.ASK, Policy.LEFT, Policy.RIGHT, Policy.NEWER, Policy.FILL])
directions = st.sampled_from([None, *Direction])
moments = st.none() | st.sampled_from([NOON, NOON + timedelta(seconds=1), NOON + timedelta(hours=1)])
MIRRORED = {Policy.LEFT: Policy.RIGHT, Policy.RIGHT: Policy.LEFT}
TURNED = {Direction.LEFT_TO_RIGHT: Direction.RIGHT_TO_LEFT, Direction.RIGHT_TO_LEFT: Direction.LEFT_TO_RIGHT}
RULES = {
    (policy, direction): text_rule(conflicts=policy, **({} if direction is None else {"direction": direction}))
    for policy in (Policy.ASK, Policy.LEFT, Policy.RIGHT, Policy.NEWER, Policy.FILL)
    for direction in (None, *Direction)
}


@st.composite
def cases(draw: st.DrawFn) -> tuple[Policy, Direction | None, Half, Half]:
    def one(side: Side) -> Half:
        base = draw(bases)
        base = None if base is ABSENT else base
        unconfirmed = frozenset({NAMES[side]} if draw(st.booleans()) else ())
        return half(side, draw(words), base, modified_at=draw(moments), unconfirmed=unconfirmed, unmoved=draw(st.booleans()))

    return draw(policies), draw(directions), one(L), one(R)


def result_of(policy: Policy, direction: Direction | None, left: Half, right: Half) -> FieldResult:
    return merge_field(RULES[policy, direction], left, right, resolve=unlinked, locate=nowhere, follow=unlinked, clock_slack=2.0)


def after(result: FieldResult, halves: dict[Side, Half]) -> dict[Side, Half]:
    """Both sides and shadows once everything was written and stored exactly as sent."""
    moved: dict[Side, Half] = {}
    for side, each in halves.items():
        name = NAMES[side]
        now, base = dict(each.now or {}), dict(each.base)
        if side in result.writes:
            now[name] = base[name] = result.writes[side]
        elif (name in now or name not in base) and (
            result.writes or result.verdict in (Verdict.AGREED, Verdict.APART) or side in result.quiet
        ):
            base[name] = now.get(name)
        moved[side] = replace(each, now=now, base=base)
    return moved


@given(cases())
def test_m1_once_carried_out_there_is_nothing_left_to_do(case: tuple[Policy, Direction | None, Half, Half]) -> None:
    policy, direction, left, right = case
    result = result_of(policy, direction, left, right)
    done = after(result, {L: left, R: right})
    again = result_of(policy, direction, done[L], done[R])
    assert not again.writes
    if result.writes or result.verdict is Verdict.AGREED:
        assert again.verdict is Verdict.SAME


@given(cases())
def test_m2_swapped_sides_give_the_swapped_result(case: tuple[Policy, Direction | None, Half, Half]) -> None:
    policy, direction, left, right = case
    result = result_of(policy, direction, left, right)

    def turned(each: Half, to: Side) -> Half:
        name = NAMES[to]
        return replace(
            each,
            now=dict.fromkeys([name] if each.now else [], *(each.now or {}).values()),
            base=dict.fromkeys([name] if each.base else [], *each.base.values()),
            unconfirmed=frozenset({name} if each.unconfirmed else ()),
        )

    turned_direction = None if direction is None else TURNED.get(direction, direction)
    mirror = result_of(MIRRORED.get(policy, policy), turned_direction, turned(right, L), turned(left, R))
    assert mirror.verdict is result.verdict
    assert mirror.writes == {side.other: value for side, value in result.writes.items()}
    assert set(mirror.losers) == {side.other for side in result.losers}
    assert set(mirror.quiet) == {side.other for side in result.quiet}


@given(cases())
def test_m4_nothing_is_written_that_no_side_held(case: tuple[Policy, Direction | None, Half, Half]) -> None:
    policy, direction, left, right = case
    rule, result = RULES[policy, direction], result_of(policy, direction, left, right)
    for side, value in result.writes.items():
        source = {L: right, R: left}[side]
        held = (source.now or {}).get(NAMES[side.other], source.base.get(NAMES[side.other]))
        assert rule.same(rule.canonical(side, value, unlinked), rule.canonical(side.other, held, unlinked))
        assert rule.writable(side)


@given(cases())
def test_m5_a_conflict_is_two_changes_that_do_not_agree(case: tuple[Policy, Direction | None, Half, Half]) -> None:
    _, _, left, right = case
    result = result_of(Policy.ASK, None, left, right)
    rule = RULES[Policy.ASK, None]
    changed, values = {}, {}
    for side, each in ((L, left), (R, right)):
        name = NAMES[side]
        now = (each.now or {}).get(name, each.base.get(name))
        known = name in each.base
        alone = merge_field(
            rule,
            *[replace(each, id=None) if one is side else half(one, "same", "same") for one in Side],
            resolve=unlinked,
            locate=nowhere,
            follow=unlinked,
        )
        changed[side] = known and alone.verdict is not Verdict.SAME
        values[side] = rule.canonical(side, now, unlinked)
    has_base = "l" in left.base and "r" in right.base
    agree = rule.same(values[L], values[R])
    if has_base:
        assert (result.verdict is Verdict.ASK) == (changed[L] and changed[R] and not agree)
    else:
        blank = {side: rule.blank(values[side]) for side in Side}
        assert (result.verdict is Verdict.ASK) == (not agree and blank[L] == blank[R])


@given(cases(), words.filter(lambda word: word is not ABSENT))
def test_m6_where_both_hold_the_same_the_base_does_not_matter(
    case: tuple[Policy, Direction | None, Half, Half], word: Native
) -> None:
    policy, direction, left, right = case
    result = result_of(policy, direction, replace(left, now={"l": word}), replace(right, now={"r": word}))
    assert result.verdict in (Verdict.SAME, Verdict.AGREED)
    assert not result.writes


@given(cases())
def test_a_loser_is_a_value_that_is_really_overwritten(case: tuple[Policy, Direction | None, Half, Half]) -> None:
    policy, direction, left, right = case
    result = result_of(policy, direction, left, right)
    for side in result.losers:
        half = {L: left, R: right}[side]
        held = (half.now or {}).get(NAMES[side], ABSENT)
        if held is ABSENT:
            held = half.base.get(NAMES[side])
        assert side in result.writes
        assert result.writes[side] != held


members = st.lists(st.sampled_from(["a", "b", "c", "d", " a"]), max_size=4, unique=True)


@given(members, members, members)
def test_a_union_holds_exactly_the_base_less_what_was_removed_plus_what_was_added(
    left: list[str], right: list[str], base: list[str]
) -> None:
    rule = sets()
    result = merged(rule, (left, base), (right, base))
    plain = [{member.strip() for member in each} for each in (left, right, base)]
    expected = (plain[0] | plain[1]) - (plain[2] - plain[0]) - (plain[2] - plain[1])
    for side, held in ((L, left), (R, right)):
        got = {str(member).strip() for member in result.writes.get(side, held)}  # type: ignore[attr-defined]
        if plain[0] != plain[2] and plain[1] != plain[2] and plain[0] != plain[1]:
            assert got == expected
