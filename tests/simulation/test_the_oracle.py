"""The oracle is itself tested: an engine that lacks a rule is noticed, and the failing history is told short."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncengine.testing.simulate.history import simulate
from syncengine.testing.simulate.mutant import Mutant
from syncengine.testing.simulate.mutants import MUTANTS
from syncengine.testing.simulate.scenario import load
from syncengine.testing.simulate.setup import World
from syncengine.testing.simulate.shrink import shrink
from syncengine.testing.simulate.worldly_mutants import WORLDLY

QUICK = {
    "no_recovery", "no_intent", "no_attic", "single_base", "adopt_current", "early_cursor", "first_hit", "blind_retry",
    "settled_too_soon", "sent_instead", "same_key", "no_pre_image", "held_forgotten", "gone_forgotten", "adopt_in_doubt",
    "no_budget", "kept_twice", "half_effect", "image_as_shown", "never_park", "delete_wins",
    "doubt_is_failure", "doubt_is_success", "no_noise", "all_noise",
}  # fmt: skip
"""Those that few seeds notice; `python -m syncengine.testing.simulate --mutants --runs 4000` hunts them all."""

RARE = {
    "a-record-that-appeared-while-a-create-was-in-doubt-may-be-ours": "ours_unseen",
    "a-side-of-which-nothing-can-be-found-is-read-whole": "health_forgotten",
    "what-a-lost-create-made-under-the-id-of-another": "reborn_unseen",
    "what-a-listing-leaves-out-is-asked-for-by-id": "absent_unconfirmed",
}
"""Those that hardly any seed notices, by the kept history that does."""


@pytest.mark.parametrize("mutant", [mutant for mutant in MUTANTS if mutant.name in QUICK], ids=lambda mutant: mutant.name)
def test_an_engine_without_the_rule_is_noticed(mutant: Mutant) -> None:
    assert mutant.hunt(1000) is not None, f"nothing noticed that this rule is gone: {mutant.rule}"


@pytest.mark.parametrize("mutant", WORLDLY, ids=lambda mutant: mutant.name)
def test_an_engine_without_a_rule_of_a_certain_world_is_noticed(mutant: Mutant) -> None:
    assert mutant.hunt(6000) is not None, f"nothing noticed that this rule is gone: {mutant.rule}"


@pytest.mark.parametrize("name", RARE)
def test_an_engine_without_a_rule_that_hardly_any_seed_needs_is_noticed_in_a_kept_history(name: str) -> None:
    scenario = load(Path(__file__).parent.parent / "scenarios" / f"{name}.json")
    with next(mutant for mutant in MUTANTS if mutant.name == RARE[name]).applied():
        violation = scenario.replay().violation
    assert violation is not None
    assert violation.rule == scenario.rule


def test_there_are_many_mutants_and_each_says_which_rule_it_takes_out() -> None:
    assert len(MUTANTS) >= 20
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert all(mutant.rule for mutant in MUTANTS)


def test_a_failing_history_is_shrunk_to_what_matters() -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == "no_intent")
    with mutant.applied():
        seed = next(seed for seed in range(50) if simulate(seed, World.HOSTILE).violation is not None)
        result = simulate(seed, World.HOSTILE)
        assert result.violation is not None
        tape = shrink(result.slots, World.HOSTILE, result.violation.rule, seconds=5.0)
        again = simulate(0, World.HOSTILE, recorded=tape)
    assert again.violation is not None
    assert again.violation.rule == result.violation.rule
    assert sum(1 for slot in tape if slot) < sum(1 for slot in result.slots if slot) / 2
