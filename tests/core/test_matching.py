"""Who is who, given everybody who shares a key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.core.matching import Match, Member, match
from syncengine.core.model import Side

FREE = Member(id="free")
LINKED = Member(id="linked", link=1, spoken_for=True)
SURVIVOR = Member(id="survivor", link=2, spoken_for=False)


@pytest.mark.parametrize(("mine", "theirs", "expected"), [
    ([FREE], [], Match.NEW),
    ([FREE], [FREE], Match.PAIR),
    ([FREE], [SURVIVOR], Match.PAIR),
    ([FREE], [LINKED], Match.TAKEN),
    ([FREE, FREE], [], Match.AMBIGUOUS),
    ([FREE, LINKED], [LINKED], Match.AMBIGUOUS),
    ([FREE], [FREE, FREE], Match.AMBIGUOUS),
    ([FREE], [LINKED, FREE], Match.AMBIGUOUS),
    ([FREE, FREE], [FREE, FREE], Match.AMBIGUOUS),
])  # fmt: skip
def test_only_one_on_each_side_is_the_same_thing(mine: list[Member], theirs: list[Member], expected: Match) -> None:
    for side in Side:
        assert match({side: mine, side.other: theirs}, side) is expected


members = st.builds(lambda free: FREE if free else SURVIVOR, st.booleans()) | st.just(LINKED)
groups = st.fixed_dictionaries({side: st.lists(members, max_size=3) for side in Side})


@given(groups)
def test_a_pair_is_a_pair_from_both_sides_and_nothing_is_new_that_has_a_namesake(group: dict[Side, list[Member]]) -> None:
    for side in Side:
        if not group[side]:
            continue
        found = match(group, side)
        if found is Match.PAIR and not group[side][0].spoken_for:
            assert match(group, side.other) is Match.PAIR
        if found is Match.NEW:
            assert len(group[side]) == 1
            assert not group[side.other]
