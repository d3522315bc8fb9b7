"""Many histories: over seeds and processes, with a table of what they exercised."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from syncengine.testing.simulate.history import simulate
from syncengine.testing.simulate.setup import World

_CHUNK = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A seed that broke a rule."""

    seed: int
    rule: str
    story: str


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a campaign did. `rounds`: quiet rounds until nothing was written any more; `seconds` of CPU, over all processes."""

    runs: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    rounds: Counter[int] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: Tally) -> None:
        self.runs += other.runs
        self.counts.update(other.counts)
        self.rounds.update(other.rounds)
        self.failures += other.failures
        self.seconds += other.seconds


def run_seeds(world: World, seeds: range) -> Tally:
    """These seeds, one after the other."""
    tally = Tally()
    started = time.process_time()
    for seed in seeds:
        result = simulate(seed, world)
        tally.runs += 1
        tally.counts.update(result.counts)
        if result.violation is not None:
            tally.failures.append(Failure(seed=seed, rule=result.violation.rule, story=result.violation.story))
        else:
            tally.rounds[result.rounds] += 1
    tally.seconds = time.process_time() - started
    return tally


def campaign(world: World, *, first: int, runs: int, jobs: int = 1, patience: int = 20) -> Iterator[Tally]:
    """Seeds from `first` on, in chunks; each yield is the tally so far. Stops early after `patience` failures."""
    total = Tally()
    chunks = [(world, range(start, min(start + _CHUNK, first + runs))) for start in range(first, first + runs, _CHUNK)]
    if jobs <= 1:
        for chunk in chunks:
            total.add(run_seeds(*chunk))
            yield total
            if len(total.failures) >= patience:
                return
        return
    with multiprocessing.get_context("spawn").Pool(min(jobs, os.cpu_count() or 1)) as pool:
        for tally in pool.imap_unordered(_chunk, chunks):
            total.add(tally)
            yield total
            if len(total.failures) >= patience:
                return


def _chunk(arguments: tuple[World, range]) -> Tally:
    return run_seeds(*arguments)


_GROUPS = (
    ("faults", "fault: "),
    ("kill points", "killed: "),
    ("calls", "call: "),
    ("answers in the inbox", "answered: "),
    ("excused, for no protocol can prevent it", "excused: "),
    ("what waits for people at the end", "waits at the end: "),
    ("manners", "manner: "),
)


def table(tally: Tally) -> list[str]:
    """The tally in words and numbers."""
    rate = tally.runs / tally.seconds if tally.seconds else 0.0
    lines = [f"{tally.runs} histories, {rate:.0f} per second of CPU"]
    left = dict(tally.counts)
    for title, prefix in _GROUPS:
        found = {name.removeprefix(prefix): left.pop(name) for name in sorted(left) if name.startswith(prefix)}
        if found:
            lines += ["", f"{title}:", *(f"  {count:>10}  {name}" for name, count in found.items())]
    lines += ["", "checked, and what happened:", *(f"  {left[name]:>10}  {name}" for name in sorted(left))]
    lines += [
        "",
        "rounds until nothing was written any more: " + ", ".join(f"{n}: {tally.rounds[n]}" for n in sorted(tally.rounds)),
    ]
    lines += ["", f"violations: {len(tally.failures)}"]
    lines += [f"  seed {failure.seed}: {failure.rule}: {failure.story}" for failure in tally.failures]
    return lines
