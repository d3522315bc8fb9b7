"""
Reports of the engine as lines and tables. Pure.

What came from a system goes through `shown` (values) or `plain` (names), which cut it short; sentences go through `harmless`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from syncengine.cli.text import Line, Piece, Style, Table, counted, joined, lasted, moment, plain, shown
from syncengine.connector import Native
from syncengine.core.guard import Trip
from syncengine.engine.report import (
    ActionLine,
    CheckReport,
    Exit,
    FieldDiff,
    InboxEntry,
    PairStatus,
    PlanReport,
    QuarantineEntry,
    RunDetail,
    RunLine,
    RunReport,
    StatusReport,
)
from syncengine.engine.words import DONE, INTERRUPTED, OUTCOMES, WAITS, counts, fields_by_side, names
from syncengine.wording import harmless

_KIND_STYLE = {"create": Style.GOOD, "restore": Style.GOOD, "archive": Style.GONE, "delete": Style.GONE}
_STYLES = {
    Exit.DONE: Style.GOOD,
    Exit.FAILED: Style.BAD,
    Exit.USAGE: Style.BAD,
    Exit.REFUSED: Style.BAD,
    Exit.PARTIAL: Style.CAUTION,
    Exit.CHANGES: Style.CAUTION,
}
_ALONE = "skipped"
"""The bucket of records that the config leaves alone: out of the filter, without a key, target-only in a one-way pair."""
_ANSWERS = {
    "conflict": "answer with one of: left | right | apart | --value TEXT",
    "delete": "answer with one of: left | right | apart",
}
INDENT = "  "


def heading(pair: str, left: str, right: str) -> Line:
    """`contacts: crm.contacts <-> office.people`."""
    return [(plain(pair), Style.STRONG), f": {plain(left)} <-> {plain(right)}"]


def action(line: ActionLine, called: Mapping[str, str]) -> Iterator[Line]:
    """One action: an update gives a line for each field, anything else one line."""
    start: list[Piece] = [INDENT, (_ends(line, called), Style.NAME), INDENT, plain(line.label) or "(no name)", INDENT]
    end: list[Piece] = []
    if line.outcome not in ("", "done"):
        end.append((f"{INDENT}{line.outcome}", Style.BAD))
    if line.kind == "update" and line.diffs:
        for diff in line.diffs:
            yield [*start, plain(diff.field), INDENT, *_change(diff), *end, *_why(diff.why or line.why)]
        return
    kind: Piece = (line.kind, _KIND_STYLE.get(line.kind, Style.PLAIN))
    values = joined((f"{plain(diff.field)} {shown(diff.after)}" for diff in line.diffs if diff.after not in (None, "")), "")
    yield [*start, kind, *([INDENT, values] if values else []), *end, *_why(line.why)]


def _why(why: str) -> list[Piece]:
    return [(f"{INDENT}({harmless(why)})", Style.FAINT)] if why else []


def _ends(line: ActionLine, called: Mapping[str, str]) -> str:
    other = "left" if line.side == "right" else "right"
    target, source = plain(called.get(line.side, line.side)), plain(called.get(other, other))
    match line.kind:
        case "link":
            return f"{target} = {source}"
        case "unlink":
            return f"{target} | {source}"
        case "identify":
            return target
        case _:
            return f"{target} <- {source}"


def _change(diff: FieldDiff) -> list[Piece]:
    return [(shown(diff.before), Style.GONE), " -> ", (shown(diff.after), Style.GOOD)]


def _read(numbers: Mapping[str, int], called: Mapping[str, str]) -> str:
    return joined(f"{plain(called.get(side, side))} {number:,}" for side, number in numbers.items())


def plan(report: PlanReport) -> Iterator[Line]:
    """What stands below the actions of a plan."""
    called = names(report.left, report.right)
    yield [f"{INDENT}read     ", _read(report.read, called)]
    planned = {kind: kind for kind in DONE}
    yield [f"{INDENT}planned  ", counts(report.counts, called, {**planned, "link": "link", "identify": "new id"})]
    if report.conflicts:
        yield [f"{INDENT}asks     ", (counted(report.conflicts, "question") + " for the inbox", Style.CAUTION)]
    yield [f"{INDENT}costs    ", _forecast(report, called)]
    yield from _notes(report.notes)
    yield from _trips(report.trips, report.pair, "")
    if report.approval:
        yield [f"{INDENT}if this is what you want: syncengine sync {plain(report.pair)}, which keeps it for your approval"]


def _forecast(report: PlanReport, called: Mapping[str, str]) -> str:
    sides = [(plain(called.get(side, side)), number) for side, number in report.forecast.calls.items() if number]
    calls = [f"{counted(number, 'call')} to {side}" for side, number in sides]
    length = [] if report.forecast.seconds is None else [f"about {lasted(timedelta(seconds=report.forecast.seconds))}"]
    return joined([*calls, *length], "no calls")


def _trips(trips: Iterable[Trip], pair: str, approval: str) -> Iterator[Line]:
    trips = tuple(trips)
    for trip in trips:
        yield [(f"{INDENT}refused  ", Style.BAD), harmless(trip.message)]
    if trips and approval:
        yield [f"{INDENT}if this is what you want: syncengine sync {plain(pair)} --approve {approval}"]


def _notes(notes: Iterable[str]) -> Iterator[Line]:
    for note in notes:
        yield [(f"{INDENT}note     ", Style.FAINT), harmless(note)]


def _short(numbers: object, called: Mapping[str, str]) -> Iterator[Line]:
    if isinstance(numbers, Mapping) and numbers:
        yield [f"{INDENT}short    ", (fields_by_side(numbers, called), Style.CAUTION)]


def run(report: RunReport) -> Iterator[Line]:
    """What a run did, and what is left to do."""
    called = names(report.left, report.right)
    if report.read:
        yield [f"{INDENT}read     ", _read(report.read, called)]
    yield [f"{INDENT}written  ", counts(report.written, called, DONE)]
    alone = {f"{side}.{_ALONE}": buckets.get(_ALONE, 0) for side, buckets in report.buckets.items()}
    if any(alone.values()):
        yield [f"{INDENT}skipped  ", counts(alone, called, {_ALONE: "left alone"})]
    yield from _short(report.shortfalls, called)
    waiting = [counted(number, *WAITS.get(reason, (reason, reason))) for reason, number in report.pending.items() if number]
    if waiting:
        yield [f"{INDENT}waiting  ", (joined(waiting), Style.CAUTION)]
    if report.inbox_open:
        yield [f"{INDENT}inbox    ", (counted(report.inbox_open, "question"), Style.CAUTION), ": syncengine conflicts list"]
    if report.quarantined:
        yield [f"{INDENT}parked   ", (counted(report.quarantined, "record"), Style.CAUTION), ": syncengine quarantine list"]
    for message in report.failed:
        yield [(f"{INDENT}failed   ", Style.BAD), harmless(message)]
    yield from _notes(report.notes)
    yield from _trips(report.refused, report.pair, report.approval)
    if report.error:
        yield [(f"{INDENT}error    ", Style.BAD), harmless(report.error)]
    took = lasted(report.finished_at - report.started_at)
    yield [INDENT, (OUTCOMES[report.exit], _STYLES[report.exit]), f" (run {report.run}, {took})"]


def check(report: CheckReport) -> Iterator[Line]:
    """Each finding on a line of its own, the cure below what is wrong."""
    for line in report.lines:
        sign: Piece = ("ok  ", Style.GOOD) if line.ok else ("FAIL", Style.BAD)
        yield [sign, INDENT, (plain(line.place), Style.STRONG), f": {harmless(line.text)}"]
        if line.cure:
            yield [f"      {harmless(line.cure)}"]


def status(report: StatusReport) -> Table:
    """A row for each pair."""
    columns = ("pair", "sides", "links", "waiting", "inbox", "last run")
    return Table(columns=columns, rows=[_status(pair) for pair in report.pairs])


def _status(status: PairStatus) -> list[Piece]:
    waiting = sum(status.pending.values())
    return [
        (plain(status.pair), Style.STRONG),
        f"{plain(status.left)} <-> {plain(status.right)}",
        f"{status.links:,}",
        (f"{waiting:,}", Style.CAUTION if waiting else Style.PLAIN),
        (f"{status.inbox_open:,}", Style.CAUTION if status.inbox_open else Style.PLAIN),
        "never" if status.last is None else f"{moment(status.last.started_at)}, {_outcome(status.last)[0]}",
    ]


def _outcome(line: RunLine) -> tuple[str, Style]:
    return (INTERRUPTED, Style.BAD) if line.exit is None else (OUTCOMES[line.exit], _STYLES[line.exit])


def runs(lines: Iterable[RunLine]) -> Table:
    """A row for each run, the latest first."""
    return Table(columns=("run", "pair", "started", "took", "outcome", "written"), rows=[_run(line) for line in lines])


def _run(line: RunLine) -> list[Piece]:
    written = (line.report or {}).get("written")
    numbers = written if isinstance(written, Mapping) else {}
    return [
        str(line.run),
        plain(line.pair),
        moment(line.started_at),
        "" if line.finished_at is None else lasted(line.finished_at - line.started_at),
        _outcome(line),
        counts(numbers, {"left": "left", "right": "right"}, DONE),
    ]


def detail(detail: RunDetail, called: Mapping[str, str]) -> Iterator[Line]:
    """A past run: how it ended, then every write."""
    line = detail.line
    yield [(f"run {line.run}", Style.STRONG), f" of {plain(line.pair)}, {moment(line.started_at)}: ", _outcome(line)]
    for entry in detail.actions:
        yield from action(entry, called)
    if not detail.actions:
        yield [f"{INDENT}nothing was written"]
    report = line.report or {}
    yield from _short(report.get("shortfalls"), called)
    notes = report.get("notes")
    yield from _notes(notes if isinstance(notes, list) else ())


def conflicts(entries: Iterable[InboxEntry]) -> Table:
    """A row for each open question."""
    rows: list[list[Piece]] = [
        [
            str(entry.id),
            plain(entry.pair),
            (plain(entry.label), Style.STRONG),
            plain(entry.field or entry.kind.replace("_", " ")),
            shown(entry.left),
            shown(entry.right),
            age(entry.opened_at),
        ]
        for entry in entries
    ]
    return Table(columns=("id", "pair", "record", "field", "left", "right", "since"), rows=rows)


def conflict(entry: InboxEntry, called: Mapping[str, str]) -> Iterator[Line]:
    """One question with everything needed to answer it."""
    yield [(f"{entry.id}", Style.STRONG), f"  {plain(entry.pair)}  ", (plain(entry.label), Style.STRONG)]
    yield [f"{INDENT}{plain(entry.kind.replace('_', ' '))}" + (f" in {plain(entry.field)}" if entry.field else "")]
    if entry.why:
        yield [INDENT, harmless(entry.why)]
    values: list[tuple[str, Native]] = [
        (f"left ({called['left']})", entry.left),
        (f"right ({called['right']})", entry.right),
        ("before", entry.base),
    ]
    width = max(len(name) for name, _ in values)
    for name, value in values if any(value is not None for _, value in values) else ():
        yield [f"{INDENT}{plain(name).ljust(width)}  ", shown(value)]
    yield [f"{INDENT}since {moment(entry.opened_at)}"]
    yield [
        f"{INDENT}{_ANSWERS.get(entry.kind, 'put it away with: apart')}".replace(
            ": ", f": syncengine conflicts resolve {entry.id} "
        )
    ]


def quarantine(entries: Iterable[QuarantineEntry]) -> Table:
    """A row for each parked record."""
    rows: list[list[Piece]] = [
        [plain(entry.id), (plain(entry.label), Style.STRONG), harmless(entry.reason), age(entry.since), str(entry.tries)]
        for entry in entries
    ]
    return Table(columns=("id", "record", "reason", "since", "tries"), rows=rows)


def age(at: datetime) -> str:
    """When something began, to the minute."""
    return moment(at)[:-3]
