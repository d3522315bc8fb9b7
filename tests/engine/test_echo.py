"""Our own writes seen again are never a change; what a system does because of them is (failure mode 1)."""

from __future__ import annotations

import pytest

from syncengine.core.model import Side
from syncengine.errors import TransientError
from syncengine.testing.memory import CallKind, Manners, Moment, appended, chained, lower, trim, truncated
from tests.support.engine import Bench, able, failing, filled, once, people_spec


def test_what_we_wrote_comes_back_in_the_change_feed_and_causes_nothing() -> None:
    bench, left, right = filled("ada", "bob")
    bench.left.edit(left["ada"], name="Countess")
    assert bench.sync().written == {"right.update": 1}
    assert bench.right[right["ada"]]["name"] == "Countess"
    bench.assert_quiet()
    bench.assert_same()


def test_a_workflow_that_changes_another_field_because_of_our_write_travels_once() -> None:
    bench, left, right = filled("ada")

    def workflow(call: object) -> None:
        bench.right.edit(right["ada"], phone="set by a workflow")

    bench.left.edit(left["ada"], name="Countess")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.AFTER, workflow)
    bench.sync()
    assert bench.sync().written == {"left.update": 1}
    assert bench.left[left["ada"]] == {
        "email": "ada@example.com",
        "name": "Countess",
        "phone": "set by a workflow",
        "tags": ["x"],
    }
    bench.assert_quiet()
    bench.assert_same()


def test_a_workflow_that_overwrites_the_very_field_we_wrote_is_an_edit_and_travels_back_once() -> None:
    bench, left, right = filled("ada")
    bench.left.edit(left["ada"], name="Countess")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.AFTER, lambda call: bench.right.edit(right["ada"], name="Someone"))
    bench.sync()
    assert bench.sync().written == {"left.update": 1}
    assert bench.left[left["ada"]]["name"] == "Someone"
    bench.assert_quiet()


def test_an_echo_is_known_by_its_content_also_where_the_system_makes_a_new_version_of_everything() -> None:
    bench, left, _ = filled("ada", "bob", right=able(manners=Manners(touches=True)))
    bench.left.edit(left["ada"], name="Countess")
    bench.sync()
    for id_ in bench.right.records():
        bench.right.edit(id_, phone="1")  # an edit that changes nothing, yet shows in the feed with a new version
    bench.assert_quiet()
    bench.assert_same()


def test_a_value_that_goes_and_comes_back_within_a_day_is_sent_each_time() -> None:
    bench, left, right = filled("ada")
    for name in ("X", "Y", "X"):
        bench.left.edit(left["ada"], name=name)
        assert bench.sync().written == {"right.update": 1}
        assert bench.right[right["ada"]]["name"] == name
    bench.assert_quiet()


def test_what_a_system_makes_of_our_value_becomes_its_shadow_and_never_travels_back() -> None:
    normalise = {"name": chained(trim, lower), "phone": truncated(5)}
    for answers in ({"returns_record": True}, {"returns_record": False}):
        bench, left, _ = filled("ada", right=able(manners=Manners(normalise=normalise), **answers))
        bench.left.edit(left["ada"], name="  The Countess ", phone="123456789")
        bench.sync()
        bench.assert_quiet()
        assert bench.left[left["ada"]]["name"] == "  The Countess "
        assert bench.left[left["ada"]]["phone"] == "123456789"
        assert bench.writes()[Side.LEFT] == 0


def test_a_normaliser_that_never_rests_does_not_make_us_chase_our_own_tail() -> None:
    normalise = {"name": appended("!")}
    for answers in ({"returns_record": True}, {"returns_record": False}):
        bench, left, right = filled("ada", right=able(manners=Manners(normalise=normalise), **answers))
        bench.left.edit(left["ada"], name="Countess")
        bench.settle()
        bench.assert_quiet()
        assert bench.right[right["ada"]]["name"] == "Countess!"


def test_an_edit_after_a_rewritten_value_is_told_from_the_rewriting() -> None:
    bench, left, right = filled("ada", right=able(manners=Manners(normalise={"name": lower}), returns_record=False))
    bench.left.edit(left["ada"], name="COUNTESS")
    bench.sync()
    bench.sync()
    bench.right.edit(right["ada"], name="count")  # a prefix of what was sent, but typed by a person later
    bench.sync()
    assert bench.left[left["ada"]]["name"] == "count"
    bench.assert_quiet()


def test_both_sides_rewriting_each_other_comes_to_rest() -> None:
    bench = Bench(
        people_spec(),
        left_options=able(manners=Manners(normalise={"name": lower})),
        right_options=able(manners=Manners(normalise={"name": lambda value: value.upper() if isinstance(value, str) else value})),
    )
    left = bench.left.insert(email="ada@example.com", name="Ada")
    bench.sync()
    bench.assert_quiet()
    bench.right.edit(str(bench.other(Side.LEFT, left)), name="Countess")
    bench.settle()
    assert bench.left[left]["name"] == "countess"
    bench.assert_quiet()


@pytest.mark.parametrize("conditional", [True, False])
def test_a_value_that_was_cut_off_stays_noise_when_the_look_that_judged_it_ended_in_trouble(conditional: bool) -> None:
    can = able(manners=Manners(normalise={"name": truncated(5)}), returns_record=False, conditional_writes=conditional)
    bench, left, right = filled("ada", right=can)
    bench.left.edit(left["ada"], name="Ada, the Countess")
    bench.sync()
    bench.right.edit(right["ada"], phone="theirs")
    once(bench.worlds[Side.LEFT], CallKind.WRITE, Moment.BEFORE, failing(TransientError("503")))
    bench.run()
    bench.settle()
    assert bench.left[left["ada"]]["phone"] == "theirs"
    assert bench.left[left["ada"]]["name"] == "Ada, the Countess"
    bench.assert_quiet()


def test_an_edit_that_a_write_conditional_on_its_own_field_alone_did_not_look_at_is_no_echo() -> None:
    bench, left, right = filled("ada", right=able(returns_record=False, lag=500.0))
    bench.clock.time += 1000
    bench.settle()
    bench.left.edit(left["ada"], name="Countess")
    bench.sync()
    bench.right.edit(right["ada"], email="ADA@example.com")
    bench.left.edit(left["ada"], phone="2")
    bench.sync()  # a version that somebody else made lay between this write and the one before
    bench.right.edit(right["ada"], name="Someone")
    bench.left.edit(left["ada"], phone="3")
    assert bench.sync().written == {"right.update": 1}
    bench.clock.time += 1000
    bench.settle()
    assert bench.left[left["ada"]]["name"] == "Someone"
    bench.assert_quiet()


def test_a_value_that_was_cut_off_stays_noise_while_its_field_is_not_mapped() -> None:
    bench, left, right = filled("ada", right=able(manners=Manners(normalise={"name": truncated(5)}), returns_record=False))
    bench.left.edit(left["ada"], name="Ada, the Countess", phone="2")
    bench.sync()
    whole = bench.spec
    bench.spec = people_spec(fields=tuple(each for each in whole.fields if each.name != "name"))
    bench.right.edit(right["ada"], phone="theirs")
    bench.settle()
    assert bench.left[left["ada"]]["phone"] == "theirs"
    bench.spec = whole
    bench.settle()
    assert bench.left[left["ada"]]["name"] == "Ada, the Countess"
    bench.assert_quiet()


def test_an_edit_of_a_field_that_is_not_mapped_is_no_noise_once_it_is_mapped_again() -> None:
    bench, left, right = filled("ada", right=able(returns_record=False))
    bench.left.edit(left["ada"], name="Countess")
    bench.sync()
    whole = bench.spec
    bench.spec = people_spec(fields=tuple(each for each in whole.fields if each.name != "name"))
    bench.right.edit(right["ada"], name="Someone")
    bench.settle()
    bench.spec = whole
    bench.settle()
    assert bench.left[left["ada"]]["name"] == "Someone"
    bench.assert_quiet()
    bench.assert_same()
