"""What one run over one pair works with, handed from stage to stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Protocol

from syncengine.connector import Change, Outcome
from syncengine.core.codec import Fingerprinter
from syncengine.core.decision import Bucket
from syncengine.core.mapping import PairRule
from syncengine.core.merge import Half
from syncengine.core.model import Side
from syncengine.core.values import Shortfall
from syncengine.engine.pacing import begun_by
from syncengine.engine.ports import Clock, Executor, Tokens
from syncengine.engine.remote import Remote
from syncengine.engine.words import fell_short, names
from syncengine.errors import TransientError
from syncengine.store.leases import Lease
from syncengine.store.runs import PairState
from syncengine.store.staging import Staged
from syncengine.store.store import Store

_TOLD_SHORTFALLS: Final = 20
"""A column that is too narrow cuts a value of every record: names enough to find it, and the rest as a number."""


class Progress(Protocol):
    """Told how far a run is; `total` is None where nobody knows."""

    def update(self, pair: str, stage: str, done: int, total: int | None) -> None: ...


class Silent:
    """A progress that nobody watches."""

    def update(self, pair: str, stage: str, done: int, total: int | None) -> None:
        del pair, stage, done, total


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything that is not decided by the state and the systems."""

    clock: Clock
    tokens: Tokens
    executor: Executor
    progress: Progress = field(default_factory=Silent)
    stop: Callable[[], bool] = lambda: False


@dataclass(slots=True)
class Seen:
    """Which known records a listing delivered, by record number: one byte each, so that a million cost a megabyte."""

    marks: bytearray = field(default_factory=bytearray)
    unchanged: int = 0
    staged: int = 0

    UNCHANGED: ClassVar[int] = 1
    STAGED: ClassVar[int] = 2

    def leave(self, n: int) -> None:
        """The record is as the state settled it."""
        self._reach(n)
        if not self.marks[n]:
            self.marks[n] = self.UNCHANGED
            self.unchanged += 1

    def pass_over(self, numbers: Sequence[int]) -> bool:
        """Leave a whole page of records with consecutive numbers, if none of them was seen before; tells whether it did."""
        first, size = numbers[0], len(numbers)
        if numbers != tuple(range(first, first + size)) or self.marks.count(0, first, first + size) != size:
            return False
        self.marks[first : first + size] = bytes((self.UNCHANGED,)) * size
        self.unchanged += size
        return True

    def _reach(self, n: int) -> None:
        """Another run may have added records since: a plan takes no lease, and a run that stalled may have lost its own."""
        if n >= len(self.marks):
            self.marks.extend(bytes(n + 1 - len(self.marks)))

    def stage(self, n: int) -> None:
        """The record is staged, unchanged though it may have looked before."""
        self._reach(n)
        if self.marks[n] == self.UNCHANGED:
            self.unchanged -= 1
        if self.marks[n] != self.STAGED:
            self.staged += 1
        self.marks[n] = self.STAGED


@dataclass(slots=True, kw_only=True)
class Listing:
    """
    What reading one side brought. `full`: it was read from the beginning. `complete`: it provably held every live record.
    `narrow`: only some records were read by id, so that what is new on the side cannot be known. `begun`: when, in epoch seconds.
    `known`: live records in the state before. `healthy`: the side showed that it can still see what it held before, so that
    its negative answers count.
    """

    seen: Seen = field(default_factory=Seen)
    complete: bool = False
    full: bool = False
    narrow: bool = False
    begun: float = 0.0
    healthy: bool = False
    known: int = 0
    cursor: str | None = None


class Resolver:
    """
    Which link a referenced record belongs to, and the other way round, answered by the state and remembered while it holds.

    `sides` turns this pair's sides into those of the referenced pair, which may name the two systems the other way round.
    """

    def __init__(self, store: Store, sides: Mapping[str, Mapping[Side, Side]]) -> None:
        self._store = store
        self._sides = sides
        self._numbers: dict[str, int | None] = {}
        self._links: dict[tuple[str, Side, str], int] = {}
        self._ids: dict[tuple[str, Side, int], str] = {}
        self._replaced: dict[str, Mapping[Side, Mapping[str, int]]] = {}

    def resolve(self, pair: str, side: Side, id_: str) -> int | None:
        """The link of a record, None while it has none. Only hits are remembered: links come up during the run."""
        key = (pair, side, id_)
        if key in self._links:
            return self._links[key]
        number = self._pair(pair)
        if number is None:
            return None
        link = self._store.links.live_of(number, self._sides[pair][side], [id_]).get(id_)
        if link is not None:
            self._links[key] = link
        return link

    def locate(self, pair: str, side: Side, link: int) -> str | None:
        """The record of a link on this side; None while its create is under way."""
        key = (pair, side, link)
        if key in self._ids:
            return self._ids[key]
        number = self._pair(pair)
        if number is None:
            return None
        id_ = self._store.links.partners(number, self._sides[pair][side], [link]).get(link)
        if id_ is not None:
            self._ids[key] = id_
        return id_

    def follow(self, pair: str, side: Side, id_: str) -> int | None:
        """
        The link for which the record that had this id was made anew, where that link lives; None where it was not.

        It takes a look at the whole journal, once, so that it is asked only where nothing else tells who is meant.
        """
        number = self._pair(pair)
        if number is None:
            return None
        if pair not in self._replaced:
            self._replaced[pair], _ = self._store.journal.replaced(number, after=0)
        link = self._replaced[pair][self._sides[pair][side]].get(id_)
        return link if link is not None and self.locate(pair, side, link) is not None else None

    def side_of(self, pair: str, side: Side) -> Side:
        """Which side of a referenced pair a side of this pair is."""
        return self._sides[pair][side]

    def _pair(self, name: str) -> int | None:
        if self._numbers.get(name) is None:
            found = self._store.runs.find_pair(name)
            self._numbers[name] = None if found is None else found.number
        return self._numbers[name]

    def forget(self) -> None:
        """Drop what was remembered: links were ended."""
        self._links.clear()
        self._ids.clear()
        self._replaced.clear()


@dataclass(slots=True, kw_only=True)
class Context:
    """
    One run. `number` is 0 in a plan, which is not stored; `lease` is None there too.

    `sharing`: per side, the names of other pairs that write to the same resource, with the side it is to them. `notes_to_set` are
    remembered once the run went through. `shortfalls`: values that a system did not store as they were sent, by side and field.
    """

    store: Store
    rule: PairRule
    pair: PairState
    remotes: Mapping[Side, Remote]
    ports: Ports
    resolver: Resolver
    fingerprinter: Fingerprinter
    number: int = 0
    lease: Lease | None = None
    sharing: Mapping[Side, Sequence[tuple[str, Side]]] = field(default_factory=dict)
    listings: dict[Side, Listing] = field(default_factory=lambda: {side: Listing() for side in Side})
    reread: dict[Side, list[str]] = field(default_factory=lambda: {side: [] for side in Side})
    buckets: dict[Side, Counter[Bucket]] = field(default_factory=lambda: {side: Counter() for side in Side})
    written: Counter[str] = field(default_factory=Counter)
    skips: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    notes_to_set: dict[str, str] = field(default_factory=dict)
    shortfalls: Counter[str] = field(default_factory=Counter)

    def told_skips(self) -> list[str]:
        """Why records were left alone, with how many."""
        return [f"{count} left alone: {why}" for why, count in sorted(self.skips.items())]

    def tell_shortfall(self, side: Side, label: str, name: str, lack: Shortfall) -> None:
        """Count a value that a system did not store as it was sent; the first ones of a run are told by name."""
        self.shortfalls[f"{side.value}.{name}"] += 1
        if self.shortfalls.total() <= _TOLD_SHORTFALLS:
            left, right = (str(self.remotes[each].end) for each in Side)
            self.notes.append(fell_short(names(left, right)[side.value], label, name, lack))

    def told_shortfalls(self) -> list[str]:
        """How many more there were than were told by name."""
        more = self.shortfalls.total() - _TOLD_SHORTFALLS
        return [f"{more:,} more values were not stored as they were sent"] if more > 0 else []

    def tell_others(self, side: Side, id_: str, fields: Collection[str]) -> None:
        """
        The other pairs on the resource of a side learn that fields of a record were written, or may have been: what these hold is
        an edit to them from here on, and not what became of their own write (inside a transaction).
        """
        for pair, theirs in self.sharing.get(side, ()):
            self.store.links.overwritten(pair, theirs, id_, fields)

    @property
    def held_lease(self) -> Lease:
        """The lease of a run that writes."""
        assert self.lease is not None
        return self.lease

    def write(self, side: Side, changes: Sequence[Change]) -> Sequence[Outcome]:
        """
        Write to a side. May run on a worker thread: touches nothing but the connector.

        Raises what the connector raises, and TransientError where the lease would end before the call does: nothing was sent.
        """
        lease, remote = self.held_lease, self.remotes[side]
        if lease.until - self.ports.clock.now() < remote.deadline:
            msg = f"{remote.end}: the lease would end before the call does; the rest waits for the next run"
            raise TransientError(msg)
        with begun_by(lambda: lease.until - remote.deadline):
            return remote.write(changes)

    def half(self, staged: Staged) -> Half:
        """A delivered record as the core sees it, without a link."""
        return Half(
            id=staged.id,
            now=staged.fields,
            version=staged.version,
            modified_at=staged.modified_at,
            fingerprint=staged.fingerprint,
            key=staged.key,
            provisional=staged.provisional,
        )
