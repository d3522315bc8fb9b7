"""Times, values and states as the pages say them. Pure; the words themselves are those of `syncengine.engine.words`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from syncengine.connector import Native
from syncengine.daemon.board import Activity, PairActivity
from syncengine.engine.report import Exit, PairStatus, RunLine
from syncengine.engine.text import counted, joined
from syncengine.engine.words import INTERRUPTED, OUTCOMES, WAITS
from syncengine.wording import harmless

_CUT = 160
_WHOLE = 20_000
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_STAGES = {"read": "reading", "write": "writing"}
_MOODS = {
    Exit.DONE: "good",
    Exit.FAILED: "bad",
    Exit.USAGE: "bad",
    Exit.REFUSED: "bad",
    Exit.PARTIAL: "caution",
    Exit.CHANGES: "caution",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How things are with a pair or a run: `mood` is good, busy, caution, bad or calm; `words` say it, `more` says why."""

    mood: str
    words: str
    more: str = ""


def standing(status: PairStatus, activity: PairActivity | None, *, declined: bool) -> Standing:
    """Where a pair stands, the most urgent first."""
    last = status.last
    if activity is not None and activity.activity is Activity.RUNNING:
        return Standing(mood="busy", words="Running", more=progress(activity))
    if activity is not None and activity.activity is Activity.QUEUED:
        return Standing(mood="busy", words="About to run", more="as soon as a worker is free")
    if activity is not None and activity.failures:
        times = "Failed" if activity.failures == 1 else f"Failed {activity.failures:,} times"
        return Standing(mood="bad", words=times, more=harmless(activity.trouble))
    if last is None:
        return Standing(mood="calm", words="Never ran")
    if last.exit is Exit.REFUSED:
        said_no = "you said no to it; nothing is written while it would do the same"
        more = said_no if declined else "a guard stopped it; it waits for your word"
        return Standing(mood="bad", words="Refused", more=more)
    if last.exit is Exit.FAILED:
        return Standing(mood="bad", words="Failed", more=harmless(str((last.report or {}).get("error") or "")))
    if last.exit is None:
        return ending(last)
    if status.pending or status.inbox_open:
        return Standing(mood="caution", words="In sync, but for what waits")
    return Standing(mood="good", words="In sync") if last.exit is Exit.DONE else ending(last)


def ending(line: RunLine) -> Standing:
    """How a run ended."""
    if line.exit is None:
        return Standing(
            mood="bad", words=INTERRUPTED, more="the next run resolves what it left; unless another program is at it right now"
        )
    return Standing(mood=_MOODS[line.exit], words=OUTCOMES[line.exit])


def progress(activity: PairActivity) -> str:
    """`reading: 1,200 of 5,000 records`."""
    if not activity.stage:
        return "starting"
    stage = _STAGES.get(activity.stage, harmless(activity.stage))
    if activity.total:
        return f"{stage}: {activity.done:,} of {counted(activity.total, 'record')}"
    return f"{stage}: {counted(activity.done, 'record')}" if activity.done else stage


def announcement(activity: PairActivity | None, at: Standing) -> str:
    """What a screen reader is told of a pair: the state, and progress in quarters, so that it is not told every second."""
    if activity is not None and activity.activity is Activity.RUNNING and activity.total:
        quarter = 25 * (4 * min(activity.done, activity.total) // activity.total)
        return f"{at.words}, {_STAGES.get(activity.stage, harmless(activity.stage))}, {quarter} %"
    return at.words


def waits(pending: Mapping[str, int]) -> str:
    """`2 conflicts, 1 in quarantine` of records by reason."""
    return joined((counted(number, *WAITS.get(reason, (reason, reason))) for reason, number in pending.items() if number), "")


_ASKED = frozenset({"conflict", "delete", "ambiguous"})
"""Reasons whose records the inbox asks about: one question is about two records."""


def left_over(questions: int, pending: Mapping[str, int]) -> str:
    """`2 questions, 1 in quarantine`: what a run leaves to people and to later runs."""
    asked = [counted(questions, "question")] if questions else []
    return joined([*asked, *filter(None, [waits({reason: n for reason, n in pending.items() if reason not in _ASKED})])], "")


def backlog(pending: Mapping[str, int]) -> str:
    """What waits for later runs, not for people."""
    return waits({reason: number for reason, number in pending.items() if reason not in _ASKED | {"quarantined"}})


def ago(at: datetime, now: datetime) -> str:
    """`5 minutes ago`, `in 2 hours`: to one figure, as people say it."""
    seconds = (now - at).total_seconds()
    length = abs(seconds)
    if length < 10:
        return "just now" if seconds >= 0 else "now"
    if length < _MINUTE:
        said = counted(int(length), "second")
    elif length < _HOUR:
        said = counted(int(length / _MINUTE), "minute")
    elif length < 2 * _DAY:
        said = counted(int(length / _HOUR), "hour")
    else:
        said = counted(int(length / _DAY), "day")
    return f"{said} ago" if seconds >= 0 else f"in {said}"


def clock_time(at: datetime, now: datetime) -> str:
    """`19:46`, with the date where it is another day; in the zone of this machine."""
    here, today = at.astimezone(), now.astimezone()
    if here.date() == today.date():
        return here.strftime("%H:%M:%S")
    return here.strftime("%Y-%m-%d %H:%M:%S")


def zone(now: datetime) -> str:
    """The name of the zone that times are told in."""
    return now.astimezone().tzname() or "local time"


def is_long(value: Native) -> bool:
    """Whether a value does not show whole on one line."""
    return isinstance(value, str) and (len(value) > _CUT or "\n" in value)


def whole(value: str) -> str:
    """A text with its own line breaks, made harmless, cut only where nobody reads on."""
    cut = value if len(value) <= _WHOLE else f"{value[:_WHOLE]}\n... ({len(value):,} characters)"
    return "\n".join(harmless(line) for line in cut.splitlines())


def is_nothing(value: Native) -> bool:
    return value is None or value == ""
