"""Many histories: over seeds and processes, with a table of what they exercised."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from syncengine.heap import spare_the_collector
from syncengine.testing.simulate.describe import ENGINE_RUNS, KILL_POINTS, WORLDS
from syncengine.testing.simulate.history import simulate
from syncengine.testing.simulate.setup import Fault, World

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
    spare_the_collector()
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


INVARIANTS: Mapping[str, str] = {
    "I1": "no update overwrites what a person wrote, unseen and unkept",
    "I2": "no removal takes what a person wrote, unseen and unkept",
    "I3": "the shadows of a link agree",
    "I4": "a write has a cause",
    "I5": "a record has one counterpart",
    "I6": "no create beside a record with its key",
    "I7": "what a person deleted does not come back unedited",
    "I8": "nothing is deleted whose partner lives",
    "I9": "no more is removed within a day than the guard lets pass unapproved",
    "I10": "every effect has an open intent, committed before",
    "I11": "a link has one open intent",
    "I12": "the before-image is in the journal",
    "I13": "what a cursor has passed is settled or waits",
    "I14": "a write goes out under a lease that outlasts it, and the pairs of a resource take turns",
    "I15": "an update that is done has moved both shadows",
    "I16": "the attic holds what writes replaced, each value once",
    "I17": "a changed config writes nothing unapproved, and nothing outside of it",
    "I18": "what the journal holds puts back what was overwritten or taken away",
    "L3": "every record is linked, or listed with its reason",
    "L4": "no intent stays in doubt",
    "L5": "what a system refuses keeps nothing else from its end",
    "L6": "what was written is bounded by what people did",
    "converged": "both sides agree, and a quiet run writes nothing",
    "nothing lost": "what a person wrote last is on a side, in the inbox or in the attic",
    "nothing doubled": "no record that we made is left over",
    "accounted": "records read = the sum of the buckets",
}
"""What is checked, by the names of the reliability reference; each is counted every time it is."""

_GROUPS = (
    ("config changes", "config changed: "),
    ("kill points", "killed: "),
    ("calls", "call: "),
    ("answers in the inbox", "answered: "),
    ("excused, for no protocol can prevent it", "excused: "),
    ("what waits for people at the end", "waits at the end: "),
    ("manners", "manner: "),
)


def table(tally: Tally) -> list[str]:
    """The tally in words and numbers."""
    left = dict(tally.counts)
    amounts = {"histories": tally.runs} | {name: left.pop(name, 0) for name in (ENGINE_RUNS, KILL_POINTS)}
    rates = {name: count / tally.seconds if tally.seconds else 0.0 for name, count in amounts.items()}
    lines = ["; ".join(f"{count} {name}, {rates[name]:.0f} per second" for name, count in amounts.items()) + " of CPU"]
    lines += ["", "invariants, and how often each was checked:"]
    lines += [f"  {left.pop(name, 0):>10}  {name}: {what}" for name, what in INVARIANTS.items()]
    # A fault that never struck proves nothing, and so its line stays.
    lines += ["", "faults:", *(f"  {left.pop(f'fault: {fault.value}', 0):>10}  {fault.value}" for fault in Fault)]
    lines += ["", "histories with:", *(f"  {left.pop(f'world: {what}', 0):>10}  {what}" for what in WORLDS)]
    for title, prefix in _GROUPS:
        found = {name.removeprefix(prefix): left.pop(name) for name in sorted(left) if name.startswith(prefix)}
        if found:
            lines += ["", f"{title}:", *(f"  {count:>10}  {name}" for name, count in found.items())]
    lines += ["", "what else happened:", *(f"  {left[name]:>10}  {name}" for name in sorted(left))]
    lines += [
        "",
        "rounds until nothing was written any more: " + ", ".join(f"{n}: {tally.rounds[n]}" for n in sorted(tally.rounds)),
    ]
    lines += ["", f"violations: {len(tally.failures)}"]
    lines += [f"  seed {failure.seed}: {failure.rule}: {failure.story}" for failure in tally.failures]
    return lines
