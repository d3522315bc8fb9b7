"""
When pairs run. Pure: no thread and no clock, every moment is handed in, in epoch seconds.

A schedule is a set of moments that depends on nothing but the calendar, so a restart changes nothing: a pair is due when one of
its moments lies between the run before and now. However many there are, they are one run: a late one is never dropped, and never
stacked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from syncengine.config.scalars import AtStart, Cron, Every, parse_schedule
from syncengine.core.model import PairSpec

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ALL_HOURS: Final = frozenset(range(24))
_JUST_AFTER: Final = 0.001
"""Seconds by which a search begins after a moment, so that it does not find the same one again."""

_SET_BACK: Final = 1.0
"""A clock that runs back by more than this was set, by a person or by the network."""

_NEARBY: Final = 4 * 3600.0
"""More than clocks are ever put forward or back, in seconds."""

_FIRST_PAUSES: Final = (10.0, 300.0)
"""The least and the most seconds after which a run that failed is tried again for the first time: else as often as it runs."""

_LONGEST_PAUSE: Final = 3600.0
_SWEEP_PAUSE: Final = 60.0
"""The least time between two runs of which the first was to read everything and did not."""

_FIRST_LOOK: Final = 1.0
_LONGEST_LOOK: Final = 30.0


class Timing(Protocol):
    """The moments of a schedule."""

    def after(self, moment: float) -> float | None:
        """The first moment after this one, None where there is none."""
        ...


class Calendar:
    """The moments that APScheduler's triggers name in their zone."""

    def __init__(self, triggers: Sequence[BaseTrigger]) -> None:
        self._triggers = triggers

    def after(self, moment: float) -> float | None:
        """The first moment after this one."""
        start = datetime.fromtimestamp(moment + _JUST_AFTER, UTC)
        found = [at.timestamp() for trigger in self._triggers if (at := trigger.get_next_fire_time(None, start)) is not None]
        return min(found, default=None)


class Clockface:
    """
    The moments at which the clocks of a zone show certain times of day.

    One that daylight saving leaves out comes as late as the clocks were put forward (APScheduler loses it where that is at
    midnight); one that it brings twice counts once. `triggers` are those of UTC: they are asked for times of day only.
    """

    def __init__(self, triggers: Sequence[BaseTrigger], zone: tzinfo) -> None:
        self._shown = Calendar(triggers)
        self._zone = zone

    def after(self, moment: float) -> float | None:
        """The first moment after this one."""
        shown = self._face(moment - (_NEARBY if self._is_put(moment) else 0.0))
        best = until = None
        while (next_ := self._shown.after(shown)) is not None:
            shown = next_
            if until is not None and shown > until:
                break
            at = self._moment(shown)
            if at > moment and (best is None or at < best):
                best, until = at, shown + _NEARBY if until is None else until
                if not self._is_put(best):
                    break
        return best

    def _is_put(self, moment: float) -> bool:
        """Whether the clocks are put forward or back near a moment."""
        return self._face(moment + _NEARBY) - self._face(moment - _NEARBY) != 2 * _NEARBY

    def _face(self, moment: float) -> float:
        """What the clocks show, as the moment at which those of UTC show it."""
        return datetime.fromtimestamp(moment, self._zone).replace(tzinfo=UTC).timestamp()

    def _moment(self, face: float) -> float:
        return datetime.fromtimestamp(face, UTC).replace(tzinfo=self._zone, fold=0).timestamp()


class Once:
    """One moment."""

    def __init__(self, at: float) -> None:
        self._at = at

    def after(self, moment: float) -> float | None:
        return self._at if self._at > moment else None


def timing(text: str, *, zone: tzinfo, start: float) -> Timing:
    """The moments of a valid schedule; `zone` is that of cron lines that name none, `start` when the daemon started."""
    match parse_schedule(text):
        case AtStart():
            return Once(start)
        case Every(seconds=seconds):
            return Calendar([IntervalTrigger(seconds=seconds, start_date=_EPOCH, timezone=UTC)])
        case Cron() as line:
            zone = ZoneInfo(line.timezone) if line.timezone is not None else zone
            if line.hours == _ALL_HOURS:
                return Calendar(_cron_triggers(line, zone))  # it runs in every hour, also in one that comes twice
            return Clockface(_cron_triggers(line, UTC), zone)


def _cron_triggers(line: Cron, zone: tzinfo) -> list[CronTrigger]:
    # APScheduler counts weekdays from Monday, cron from Sunday.
    weekdays = _numbers({(day - 1) % 7 for day in line.weekdays}, 7)
    days = _numbers(line.days, 31)
    both = [(days, "*"), ("*", weekdays)] if line.any_day else [(days, weekdays)]
    return [
        CronTrigger(
            month=_numbers(line.months, 12),
            day=day,
            day_of_week=weekday,
            hour=_numbers(line.hours, 24),
            minute=_numbers(line.minutes, 60),
            second=0,
            timezone=zone,
        )
        for day, weekday in both
    ]


def _numbers(allowed: Iterable[int], all_: int) -> str:
    numbers = sorted(allowed)
    return "*" if len(numbers) == all_ else ",".join(map(str, numbers))


def offset(pair: str, spec_text: str | None, jitter: float) -> float:
    """How much later than its moments a pair starts: always the same, so that pairs of one schedule do not start together."""
    schedule = parse_schedule(spec_text) if spec_text is not None else None
    most = min(jitter, schedule.seconds / 2) if isinstance(schedule, Every) else jitter
    share = int.from_bytes(hashlib.blake2b(pair.encode(), digest_size=8).digest()) / 2**64
    return share * most


@dataclass(slots=True, kw_only=True)
class Entry:
    """
    One pair of the timetable. `moments` is None where only people and hints start it. `next_at` is when its schedule does,
    `sweep_at` when its age asks for everything to be read, `doubt_at` when a whole run may prove what became of a write in doubt.
    `doubts`: 0 where nothing is in doubt, else one more than whole runs could not prove it.

    `retry_at`: a pair that failed, or found its resources held by somebody else, waits until then, whatever its schedule says.
    `is_again`: then it starts by itself, also without a schedule, since what failed was a run over the whole pair.
    """

    moments: Callable[[float], float | None] | None
    full_sweep: float
    pace: float = 0.0
    next_at: float | None = None
    sweep_at: float | None = None
    doubt_at: float | None = None
    retry_at: float | None = None
    is_again: bool = False
    doubts: int = 0
    failures: int = 0
    locked: int = 0
    trouble: str = ""

    def is_due(self, now: float) -> bool:
        if self.retry_at is not None and (self.retry_at > now or self.moments is not None or self.is_again):
            return self.retry_at <= now
        return self.due_at is not None and self.due_at <= now

    @property
    def due_at(self) -> float | None:
        """When it starts by itself, unless it has to wait."""
        return min((at for at in (self.next_at, self.sweep_at, self.doubt_at) if at is not None), default=None)

    @property
    def is_backing_off(self) -> bool:
        return self.failures > 0 and self.retry_at is not None


@dataclass(slots=True, kw_only=True)
class Known:
    """
    What the state knows of a pair: when its last scheduled run began, when both sides were last read whole, and whether a write
    is in doubt.
    """

    last: float | None = None
    full_at: float | None = None
    in_doubt: bool = False


@dataclass(slots=True, kw_only=True)
class Timetable:
    """
    When each pair of a config runs next. `known` by pair is from the state; `before` is the timetable that this one replaces,
    whose failures it goes on counting.
    """

    pairs: Mapping[str, PairSpec]
    zone: tzinfo
    jitter: float
    now: float
    known: Mapping[str, Known] = field(default_factory=dict)
    before: Timetable | None = None
    entries: dict[str, Entry] = field(init=False)
    _latest: float = field(init=False)

    def __post_init__(self) -> None:
        self._latest = self.now
        self.entries = {name: self._entry(spec, self.known.get(name, Known())) for name, spec in self.pairs.items()}

    def _entry(self, spec: PairSpec, known: Known) -> Entry:
        old = self.before.entries.get(spec.name) if self.before is not None else None
        doubts, doubt_at = (1, self.now) if known.in_doubt else (0, None)
        if spec.schedule is None:
            entry = Entry(moments=None, full_sweep=spec.full_sweep, doubts=doubts, doubt_at=doubt_at)
            return self._taken_over(entry, old)
        moments = timing(spec.schedule, zone=self.zone, start=self.now)
        later = offset(spec.name, spec.schedule, self.jitter)
        schedule = parse_schedule(spec.schedule)

        def after(moment: float) -> float | None:
            found = moments.after(moment - later)
            return None if found is None else found + later

        entry = Entry(
            moments=after,
            full_sweep=spec.full_sweep,
            doubts=doubts,
            doubt_at=doubt_at,
            pace=schedule.seconds if isinstance(schedule, Every) else 0.0,
        )
        if isinstance(schedule, AtStart):
            entry.next_at = self.now if old is None else old.next_at
        elif known.last is None and isinstance(schedule, Every):
            entry.next_at = self.now
        else:
            # A moment that passed while no daemon ran is late, not lost.
            entry.next_at = after(min(self.now, known.last if known.last is not None else self.now))
        if known.full_at is not None:
            entry.sweep_at = known.full_at + spec.full_sweep
        return self._taken_over(entry, old)

    def _taken_over(self, entry: Entry, old: Entry | None) -> Entry:
        if old is not None:
            # What was wrong may be what was put right: there is no waiting after a reload.
            entry.retry_at = self.now if old.retry_at is not None else None
            entry.failures, entry.trouble, entry.is_again = old.failures, old.trouble, old.is_again
        return entry

    def due(self, now: float) -> list[str]:
        """The pairs whose time has come; each stays due until it is started."""
        if now < self._latest - _SET_BACK:
            self._set_back(now)
        self._latest = now
        return [name for name, entry in self.entries.items() if entry.is_due(now)]

    def _set_back(self, now: float) -> None:
        """The clock was set back: nobody waits for the time that comes again."""
        for entry in self.entries.values():
            if entry.moments is not None and entry.next_at is not None:
                entry.next_at = entry.moments(now)
            if entry.sweep_at is not None:
                entry.sweep_at = min(entry.sweep_at, now + entry.full_sweep)
            if entry.doubt_at is not None:
                entry.doubt_at = min(entry.doubt_at, now + _LONGEST_PAUSE)
            if entry.retry_at is not None:
                entry.retry_at = min(entry.retry_at, now + _LONGEST_PAUSE)

    def started(self, pair: str, now: float) -> None:
        """A run that covers the whole pair begins."""
        entry = self.entries[pair]
        entry.retry_at = None
        entry.next_at = entry.moments(now) if entry.moments is not None else None
        entry.sweep_at = entry.doubt_at = None

    def ended(self, pair: str, now: float, *, full_at: float | None) -> None:
        """A run went through, or was refused: both leave nothing to try again by itself."""
        entry = self.entries[pair]
        entry.failures, entry.locked, entry.trouble, entry.retry_at = 0, 0, "", None
        if entry.moments is not None and full_at is not None:
            # A sweep that is due and did not come about is no reason to run at once again.
            entry.sweep_at = max(full_at + entry.full_sweep, now + _SWEEP_PAUSE)

    def failed(self, pair: str, now: float, trouble: str, *, is_whole: bool = True) -> None:
        """A run failed: it is tried again after a pause that doubles each time, up to an hour."""
        entry = self.entries[pair]
        entry.failures, entry.locked, entry.trouble = entry.failures + 1, 0, trouble
        entry.is_again = is_whole or (entry.is_again and entry.failures > 1)
        least, most = _FIRST_PAUSES
        first = min(max(entry.pace, least), most)
        entry.retry_at = now + min(_LONGEST_PAUSE, first * 2.0 ** min(entry.failures - 1, 10))
        if entry.doubts:
            entry.doubt_at = entry.retry_at

    def doubted(self, pair: str, now: float, ends_at: float | None, *, is_whole: bool) -> None:
        """
        A run left writes in doubt that a whole run may prove from `ends_at` on, or none: who sent word of one record waits for
        that, and not for the schedule. What could be proved and was not is looked at ever more rarely, down to once an hour.
        """
        entry = self.entries[pair]
        if ends_at is None:
            entry.doubts, entry.doubt_at = 0, None
            return
        entry.doubts = max(1, entry.doubts + is_whole)
        at = min(max(ends_at, now + _FIRST_LOOK * 2.0 ** min(entry.doubts - 1, 12)), now + _LONGEST_PAUSE)
        entry.doubt_at = at if entry.doubt_at is None else min(entry.doubt_at, at)

    def held_up(self, pair: str, now: float) -> None:
        """Somebody else holds its resources: no failure, it looks again soon."""
        entry = self.entries[pair]
        entry.locked += 1
        entry.retry_at = now + min(_LONGEST_LOOK, _FIRST_LOOK * 2.0 ** min(entry.locked - 1, 5))

    def next_at(self, pair: str) -> float | None:
        """When a pair starts next by itself, None where only hints and people start it."""
        entry = self.entries[pair]
        return entry.retry_at if entry.retry_at is not None else entry.due_at
