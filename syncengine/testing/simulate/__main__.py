"""
`python -m syncengine.testing.simulate --runs N --seed S`: run histories, print what they exercised; exit code 1 on a violation.

A failing seed is played again with its story, shrunk, and can be kept as a scenario file (`--keep FOLDER`).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from syncengine.testing.simulate.campaign import Tally, campaign, table
from syncengine.testing.simulate.history import simulate
from syncengine.testing.simulate.scenario import Scenario, save
from syncengine.testing.simulate.setup import World
from syncengine.testing.simulate.shrink import shrink


def main(arguments: list[str] | None = None) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m syncengine.testing.simulate", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="how many histories")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes")
    parser.add_argument("--world", choices=[world.value for world in World], default=World.HOSTILE.value)
    parser.add_argument("--patience", type=int, default=20, help="stop after so many violations")
    parser.add_argument("--story", action="store_true", help="tell the story of one seed and stop")
    parser.add_argument("--shrink", type=float, default=20.0, metavar="SECONDS", help="how long to shrink the first violation")
    parser.add_argument("--keep", type=Path, help="write the shrunk violation into this folder")
    parser.add_argument(
        "--mutants", action="store_true", help="remove one rule of the engine after the other; each must be noticed"
    )
    parser.add_argument(
        "--exhaustive", action="store_true", help="every boundary of the canonical scenarios, every kind of failure"
    )
    options = parser.parse_args(arguments)
    world = World(options.world)
    if options.story:
        result = simulate(options.seed, world, story=True)
        _say("\n".join(result.story))
        return int(result.violation is not None)
    if options.mutants:
        from syncengine.testing.simulate.mutants import hunt

        return hunt(_say, most=options.runs)
    if options.exhaustive:
        from syncengine.testing.simulate.exhaustive import sweep

        return sweep(_say)
    tally = Tally()
    for tally in campaign(world, first=options.seed, runs=options.runs, jobs=options.jobs, patience=options.patience):
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{tally.runs} histories, {len(tally.failures)} violations")
    _say("\n".join(table(tally)))
    if not tally.failures:
        return 0
    first = tally.failures[0]
    _say(f"\nthe story of seed {first.seed}, shrunk:\n")
    tape = shrink(simulate(first.seed, world).slots, world, first.rule, seconds=options.shrink)
    _say("\n".join(simulate(0, world, recorded=tape, story=True).story))
    if options.keep is not None:
        path = options.keep / f"{first.rule.lower()}-{world.value}-{first.seed}.json"
        save(path, Scenario(title=first.story, world=world, rule=first.rule, tape=tuple(tape)))
        _say(f"\nkept as {path}")
    return 1


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
