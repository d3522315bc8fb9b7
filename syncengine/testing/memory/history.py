"""The records of one memory resource through time: what is live, what was, and what a lagging index still shows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from syncengine.connector import Native


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One state of one record. `number` is the place of the change in the history, `at` its moment in seconds."""

    id: str
    fields: Mapping[str, Native]
    number: int
    at: float
    provisional: bool = False

    @property
    def version(self) -> str:
        return f"v{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change in the history: the live states before and after; None: not live."""

    number: int
    at: float
    id: str
    before: Stored | None
    after: Stored | None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What `read` and `find` see: the live records, and the number of the last change they show."""

    records: Mapping[str, Stored]
    number: int


class History:
    """Live and archived records, and every change that led to them, in order."""

    def __init__(self) -> None:
        self.live: dict[str, Stored] = {}
        self.archived: dict[str, Stored] = {}
        self.events: list[Event] = []
        self.number = 0

    def put(self, state: Stored) -> None:
        """Make this the live state of its record."""
        before = self.live.get(state.id)
        self.live[state.id] = state
        self.archived.pop(state.id, None)
        self.append(Event(number=state.number, at=state.at, id=state.id, before=before, after=state))

    def drop(self, id: str, *, at: float, to_archive: bool) -> None:
        """Take a live record away, for good or into the archive."""
        before = self.live.pop(id)
        if to_archive:
            self.archived[id] = before
        self.append(Event(number=self.number + 1, at=at, id=id, before=before, after=None))

    def append(self, event: Event) -> None:
        """Note a change."""
        assert event.number > self.number, "changes are numbered in the order they happen"
        self.number = event.number
        self.events.append(event)

    def view(self, at: float | None) -> View:
        """What was there at a moment; None: now."""
        fresh = 0
        if at is not None:
            while fresh < len(self.events) and self.events[-1 - fresh].at > at:
                fresh += 1
        if not fresh:
            return View(records=self.live, number=self.number)
        records = dict(self.live)
        for event in reversed(self.events[-fresh:]):
            if event.before is None:
                records.pop(event.id, None)
            else:
                records[event.id] = event.before
        return View(records=records, number=self.events[-fresh].number - 1)

    def changes(self, *, after: int, until: int) -> list[Event]:
        """The last change of each record with `after` < number <= `until`, in order."""
        start = bisect_right(self.events, after, key=lambda event: event.number)
        stop = bisect_right(self.events, until, key=lambda event: event.number)
        latest: dict[str, Event] = {}
        for event in self.events[start:stop]:
            latest.pop(event.id, None)
            latest[event.id] = event
        return list(latest.values())
