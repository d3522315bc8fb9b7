"""The pages that show: overview, a pair, a run, inbox and quarantine. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from syncengine.app.desk import Desk
from syncengine.core.model import Side
from syncengine.daemon.board import Activity, Board, PairActivity
from syncengine.daemon.web import wording
from syncengine.daemon.web.desks import Desks
from syncengine.daemon.web.questions import Question, asked
from syncengine.daemon.web.render import Renderer, mapping, static
from syncengine.daemon.web.visit import Wrong, visit_of
from syncengine.daemon.web.wording import Standing
from syncengine.engine.report import Exit, InboxEntry, PairStatus, RunLine
from syncengine.engine.words import BUCKETS, DONE, counts, names

RUNS, ACTIONS, QUESTIONS, PARKED = 30, 100, 25, 50
"""How many of each stand on one page."""

_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PairView:
    """A pair on the overview. `place` is its number there; `is_stale`: its last good run is longer ago than it should be."""

    place: int
    status: PairStatus
    activity: PairActivity | None
    standing: Standing
    is_stale: bool

    @property
    def is_running(self) -> bool:
        return self.activity is not None and self.activity.activity is Activity.RUNNING

    @property
    def is_busy(self) -> bool:
        return self.activity is not None and self.activity.activity in (Activity.RUNNING, Activity.QUEUED)

    @property
    def announcement(self) -> str:
        return wording.announcement(self.activity, self.standing)

    @property
    def parked(self) -> int:
        return self.status.pending.get("quarantined", 0)

    @property
    def backlog(self) -> str:
        """What waits, less what stands in the inbox and in quarantine, which have lines of their own."""
        return wording.backlog(self.status.pending)


class Pages:
    """Each method is an endpoint; they run in the web's threads."""

    def __init__(self, board: Board, desk: Desks, renderer: Renderer, *, stale_after: float) -> None:
        self._board = board
        self._desk = desk
        self._renderer = renderer
        self._stale_after = timedelta(seconds=stale_after)

    def static(self, request: Request) -> Response:
        """A style, a script, a picture."""
        asset = self._renderer.asset(request.path_params["name"])
        if asset is None:
            raise not_found()
        return static(asset)

    # Pairs

    def overview(self, request: Request) -> Response:
        """Every pair: how it stands, what waits, when it runs."""
        with self._desk() as desk:
            views = self._views(desk)
            frame = self.frame(desk)
        is_busy = any(view.is_busy for view in views)
        return self._live(request, "overview.html", "_pairs.html", frame, views=views, address="/", is_busy=is_busy)

    def pair(self, request: Request) -> Response:
        """One pair, and its latest runs."""
        name, before = request.path_params["pair"], number_of(request.query_params.get("before"))
        with self._desk() as desk:
            view = self._view(desk, name)
            lines = desk.runs(RUNS + 1, name, before=before)
            frame = self.frame(desk)
        called = names(view.status.left, view.status.right)
        rows = [self._row(line, called, view) for line in lines[:RUNS]]
        more = lines[RUNS - 1].run if len(lines) > RUNS else None
        values: dict[str, Any] = {"view": view, "rows": rows, "more": more, "before": before, "is_busy": view.is_busy}
        return self._live(request, "pair.html", "_pair.html", frame, **values)

    def _row(self, line: RunLine, called: Mapping[str, str], view: PairView) -> Mapping[str, Any]:
        written = counts(mapping(mapping(line.report).get("written")), called, DONE)
        return {"line": line, "ending": self._ending(line, view), "written": written}

    def _ending(self, line: RunLine, view: PairView | None) -> Standing:
        """How a run ended, or that it is the one under way."""
        last = view.status.last if view is not None else None
        if (
            view is not None
            and view.activity
            and view.is_running
            and last is not None
            and last.run == line.run
            and line.exit is None
        ):
            return Standing(mood="busy", words="running", more=wording.progress(view.activity))
        return wording.ending(line)

    def _views(self, desk: Desk) -> list[PairView]:
        activities = {activity.pair: activity for activity in self._board.activities()}
        statuses = enumerate(desk.status().pairs, start=1)
        return [self._viewed(desk, place, status, activities.get(status.pair)) for place, status in statuses]

    def _viewed(self, desk: Desk, place: int, status: PairStatus, activity: PairActivity | None) -> PairView:
        declined = False
        if status.last is not None and status.last.exit is Exit.REFUSED:
            refusal = desk.refusal(status.last.run, limit=0)
            declined = refusal is not None and refusal.declined_at is not None
        return PairView(
            place=place,
            status=status,
            activity=activity,
            standing=wording.standing(status, activity, declined=declined),
            is_stale=status.fresh_at is not None and self._renderer.now() - status.fresh_at > self._stale_after,
        )

    def _view(self, desk: Desk, name: str) -> PairView:
        for view in self._views(desk):
            if view.status.pair == name:
                return view
        raise not_found("There is no pair of this name in the config.")

    # Runs

    def run(self, request: Request) -> Response:
        """A run: what was read and what became of it, every write, and what was refused."""
        number, after = path_number(request, "run"), number_of(request.query_params.get("after")) or 0
        with self._desk() as desk:
            line, actions = found(desk, number, after)
            refusal = desk.refusal(number)
            view = next((view for view in self._views(desk) if view.status.pair == line.pair), None)
            left, right = desk.ends(line.pair)
            frame = self.frame(desk)
        ending = self._ending(line, view)
        called = names(left, right)
        report = mapping(line.report)
        latest = view.status.last.run if view is not None and view.status.last is not None else line.run
        values = {
            "line": line,
            "ending": ending,
            "ends": (left, right),
            "called": called,
            "report": report,
            "written": counts(mapping(report.get("written")), called, DONE),
            "left_over": wording.left_over(int(report.get("inbox_open") or 0), mapping(report.get("pending"))),
            "balance": balance(report, refused=line.exit is Exit.REFUSED),
            "refusal": refusal,
            "latest": latest,
            "is_latest": latest == line.run,
            "actions": [action for _, action in actions[:ACTIONS]],
            "more": actions[ACTIONS - 1][0] if len(actions) > ACTIONS else None,
            "after": after,
            "done_words": DONE,
            "is_busy": ending.mood == "busy",
        }
        return self._live(request, "run.html", "_run.html", frame, **values)

    # What waits for people

    def inbox(self, request: Request) -> Response:
        """Every question, the oldest first."""
        after, noted = number_of(request.query_params.get("after")) or 0, number_of(request.query_params.get("noted"))
        with self._desk() as desk:
            entries = desk.some_conflicts(after=after, limit=QUESTIONS + 1)
            questions = [self.question(desk, entry) for entry in entries[:QUESTIONS]]
            frame = self.frame(desk)
        more = entries[QUESTIONS - 1].id if len(entries) > QUESTIONS else None
        values: dict[str, Any] = {"questions": questions, "more": more, "noted": noted, "after": after}
        return self._renderer.page("inbox.html", visit_of(request), **frame, **values)

    def question(self, desk: Desk, entry: InboxEntry) -> Question:
        """An entry in words."""
        return asked(entry, names(*desk.ends(entry.pair)))

    def quarantine(self, request: Request) -> Response:
        """The parked records of every pair, or some more of one side."""
        released = number_of(request.query_params.get("released"))
        groups = []
        with self._desk() as desk:
            for status in desk.status().pairs:
                called = names(status.left, status.right)
                parked = desk.parked(status.pair)
                if not any(parked.values()):
                    continue
                rows = [(side, entry) for side in Side for entry in desk.some_parked(status.pair, side, limit=PARKED)]
                shown = [(called[side.value], entry) for side, entry in rows]
                groups.append({"pair": status.pair, "rows": shown, "total": sum(parked.values())})
            frame = self.frame(desk)
        return self._renderer.page("quarantine.html", visit_of(request), groups=groups, released=released, **frame)

    # What all pages have

    def frame(self, desk: Desk) -> Mapping[str, Any]:
        """The counts beside the ways to other pages, and whether the daemon is at work."""
        inbox, parked = desk.waiting()
        problems = list(self._board.config_problems)
        return {"inbox": inbox, "parked": parked, "is_ready": self._board.is_ready, "problems": problems}

    def _live(self, request: Request, page: str, part: str, frame: Mapping[str, Any], **values: Any) -> Response:
        """A page whose part is asked for again every few seconds."""
        visit = visit_of(request)
        values = {**values, "announcements": _announcements(values)}
        if visit.is_part:
            return self._renderer.part(part, visit, seen=request.query_params.get("seen", ""), **frame, **values)
        seen = self._renderer.digest(part, visit, **frame, **values)
        return self._renderer.page(page, visit, part=part, seen=seen, is_update=False, **frame, **values)


def _announcements(values: Mapping[str, Any]) -> str:
    views: list[PairView] = values["views"] if "views" in values else [values["view"]] if "view" in values else []
    if views:
        return "; ".join(f"{view.status.pair}: {view.announcement}" for view in views)
    return f"Run {values['line'].run}: {values['ending'].words}" if "line" in values else ""


def balance(report: Mapping[str, Any], *, refused: bool) -> Mapping[str, Any]:
    """
    What was read on each side and in which buckets it ended, as rows of (words, left, right); `rest` is what a run that did not
    go through left undecided.
    """
    sides = {side.value: mapping(mapping(report.get("buckets")).get(side.value)) for side in Side}
    kinds = [*BUCKETS, *sorted({*sides["left"], *sides["right"]} - set(BUCKETS))]
    rows = [(BUCKETS.get(kind, kind), *(int(sides[side.value].get(kind, 0)) for side in Side)) for kind in kinds]
    read = [int(mapping(report.get("read")).get(side.value, 0)) for side in Side]
    rest = [total - sum(sides[side.value].values()) for side, total in zip(Side, read, strict=True)]
    words = "Every record that was read is accounted for."
    if any(rest):
        words = (
            "The guard held back all that would have changed." if refused else "The run ended before all of it was gone through."
        )
    return {
        "rows": [row for row in rows if any(row[1:])],
        "rest": rest if any(rest) else [],
        "rest_words": "held back" if refused else "not gone through",
        "read": read,
        "words": words,
    }


def found(desk: Desk, number: int, after: int) -> Any:
    """A run with some of its writes; raises Wrong where there is none of this number."""
    if not desk.has_run(number):
        raise not_found("There is no run of this number; it may be so old that it was cleared away.")
    return desk.part_of_run(number, after=after, limit=ACTIONS + 1)


def number_of(text: str | None) -> int | None:
    """A plain number of an address; None for anything else."""
    if text is None or not (text.isascii() and text.isdecimal()) or len(text) > 19:
        return None
    return min(int(text), _LARGEST)


def path_number(request: Request, name: str) -> int:
    """A number in the path; raises Wrong for anything else."""
    number = number_of(request.path_params[name])
    if number is None:
        raise not_found()
    return number


def not_found(text: str = "There is no such page.") -> Wrong:
    return Wrong(404, "Not found", text)
