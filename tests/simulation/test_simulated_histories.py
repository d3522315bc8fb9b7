"""The real engine in seeded worlds: nothing is lost, nothing doubled, everything converges, whatever happens on the way."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys

import pytest

from syncengine.testing.simulate.campaign import run_seeds, table
from syncengine.testing.simulate.chain import draw_setup
from syncengine.testing.simulate.describe import WORLDS
from syncengine.testing.simulate.history import simulate
from syncengine.testing.simulate.reconfigure import KINDS
from syncengine.testing.simulate.setup import Fault, World, draw_pair
from syncengine.testing.simulate.tape import Tape

RUNS = {World.QUIET: 300, World.STANDARD: 1200, World.HOSTILE: 2000}
"""A sample for every push; a million is run by hand: `python -m syncengine.testing.simulate --runs 1000000 --jobs 2`."""


@pytest.mark.parametrize("world", World)
def test_no_history_breaks_a_rule(world: World) -> None:
    tally = run_seeds(world, range(RUNS[world]))
    assert not tally.failures, "\n".join(table(tally))


def test_a_hostile_sample_meets_every_fault_that_there_is() -> None:
    """A million quiet runs would prove nothing."""
    tally = run_seeds(World.HOSTILE, range(10_000, 10_250))
    met = {name.removeprefix("fault: ") for name in tally.counts if name.startswith("fault: ")}
    assert {fault.value for fault in Fault} <= met
    assert tally.counts["late arrivals"] > 0
    assert sum(count for name, count in tally.counts.items() if name.startswith("killed: ")) > 100


def test_a_hostile_sample_has_chains_of_pairs_and_every_sort_of_change_to_a_config() -> None:
    tally = run_seeds(World.HOSTILE, range(20_000, 20_320))
    assert all(tally.counts[f"world: {what}"] > 10 for what in WORLDS)
    assert all(tally.counts[f"config changed: {kind}"] > 0 for kind in KINDS)
    assert tally.counts["I17"] > 10


def test_the_table_tells_how_much_of_what_there_was_and_how_fast() -> None:
    """
    Each history ends with two quiet runs of the engine at least, and hardly any comes to that without another one before; in each
    run the process may die before and after some calls and commits.
    """
    tally = run_seeds(World.STANDARD, range(10))
    told = (
        r"10 histories, \d+ per second; (\d+) runs of the engine, \d+ per second; (\d+) kill points passed, \d+ per second of CPU"
    )
    found = re.fullmatch(told, table(tally)[0])
    assert found is not None
    results = [simulate(seed, World.STANDARD).counts for seed in range(10)]
    passes, moments = (sum(counts[name] for counts in results) for name in ("runs of the engine", "kill points passed"))
    assert (int(found[1]), int(found[2])) == (passes, moments)
    assert passes > 30
    assert moments > 10 * passes


def test_a_benign_tape_has_one_pair_and_one_config() -> None:
    """What was kept before there were chains means what it meant: a decision below four is no more than a number of rounds."""
    for rounds in range(4):
        blank = draw_setup(Tape(0, ()), World.HOSTILE)
        tape = Tape(0, ())
        draw_pair(tape, World.HOSTILE)
        setup = draw_setup(Tape(0, [*tape.slots[:-1], rounds]), World.HOSTILE)
        assert (setup.is_chain, setup.is_changing) == (False, False)
        assert (setup.rounds, setup.spec) == (3 + rounds, blank.spec)


def story_hash(seed: int) -> str:
    return hashlib.blake2b("\n".join(simulate(seed, World.HOSTILE, story=True).story).encode()).hexdigest()


def test_one_number_reproduces_a_history() -> None:
    assert [story_hash(seed) for seed in range(5)] == [story_hash(seed) for seed in range(5)]


def test_a_history_does_not_depend_on_how_python_hashes() -> None:
    told = []
    for hash_seed in ("1", "2"):
        command = [sys.executable, "-m", "syncengine.testing.simulate", "--story", "--seed", "7"]
        done = subprocess.run(
            command, env=os.environ | {"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=False
        )
        told.append(done.stdout)
    assert told[0] == told[1]
    assert "healing" in told[0]


def test_a_tape_replays_what_its_seed_did() -> None:
    for seed in range(10):
        first = simulate(seed, World.HOSTILE, story=True)
        again = simulate(999, World.HOSTILE, recorded=first.slots, story=True)
        assert again.story == first.story
