"""
Alerts out: a webhook is called when a pair fails, is refused, or is degraded, and when it has recovered. Each is told once.

What was told stands in the state, so a restart repeats nothing; what could not be delivered is tried again later. A message
holds the pair, the reason and the command to look further, and no data of records.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import structlog

from syncengine.app import App
from syncengine.config import AlertsConfig, Config
from syncengine.daemon.board import Board, PairActivity
from syncengine.daemon.news import Cause, Chore, RunEnded
from syncengine.engine.ports import Clock
from syncengine.engine.report import Exit, PairStatus, RunLine
from syncengine.engine.text import counted, lasted
from syncengine.errors import ConfigError, Problem, SyncError
from syncengine.http import Effect, HttpClient
from syncengine.http.signatures import sign, signing_key
from syncengine.store.alerts import Alert
from syncengine.store.alerts import Alerts as AlertStore

EVERY: Final = 15.0
"""How often the pairs are looked at, in seconds."""

_DEADLINE: Final = 10.0
_MOST_ANSWER: Final = 64 * 1024
_FIRST_PAUSE: Final = 30.0
_LONGEST_PAUSE: Final = 3600.0
_LOOKED_AT: Final = 20
_WHOLE: Final = frozenset({Cause.SCHEDULE, Cause.PERSON})
"""Runs over the whole pair: one over some records tells nothing of the rest."""


class Condition(Enum):
    """How a pair is, from fine to failed."""

    FINE = "fine"
    DEGRADED = "degraded"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The condition of a pair, why, and where to look further; `level` counts what waits."""

    condition: Condition
    reason: str = ""
    level: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message; `id` is the same each time it is tried. `kind` is failed, refused, degraded or recovered."""

    id: str
    pair: str
    kind: str
    reason: str
    since: datetime
    command: str

    def document(self, at: datetime) -> Mapping[str, Any]:
        """The body, after Standard Webhooks; `text` is what chat services show."""
        text = f"syncengine: {self.pair} {self.kind}" + (f": {self.reason}" if self.reason else "") + f" ({self.command})"
        data = {
            "pair": self.pair,
            "condition": self.kind,
            "reason": self.reason,
            "since": self.since.isoformat(),
            "command": self.command,
        }
        return {"type": f"pair.{self.kind}", "timestamp": at.isoformat(), "text": text, "data": data}


class Receiver(Protocol):
    """Where alerts go. `deliver` raises SyncError where it could not be delivered, or nobody knows."""

    def deliver(self, notice: Notice, *, now: float) -> None: ...


class Webhook:
    """
    Calls an address: https, or a program of this machine. Redirects are not followed, and an answer has ten seconds.

    Raises ConfigError, naming `daemon.alerts`, for an address or a secret that cannot be used.
    """

    def __init__(self, settings: AlertsConfig) -> None:
        assert settings.url is not None
        parts = urlsplit(settings.url)
        self._url = settings.url
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._secret = settings.secret
        if self._secret is not None:
            try:
                signing_key(self._secret)
            except ValueError as error:
                cure = "make one with: echo whsec_$(openssl rand -base64 32)"
                problem = Problem(
                    place="daemon.alerts.secret", wrong=f"deliveries cannot be signed with it: it {error}", cure=cure
                )
                raise ConfigError([problem]) from None
        try:
            self._client({}).close()
        except ConfigError:
            wrong, cure = "alerts cannot be sent to this address", "write https://HOST/PATH, or http:// for this machine"
            raise ConfigError([Problem(place="daemon.alerts.url", wrong=wrong, cure=cure)]) from None

    def deliver(self, notice: Notice, *, now: float) -> None:
        """POST it; anything but a 2xx is a failure."""
        body = json.dumps(notice.document(datetime.fromtimestamp(now, UTC)), ensure_ascii=False).encode()
        headers = sign(self._secret, id=notice.id, at=int(now), body=body) if self._secret else {"webhook-id": notice.id}
        client = self._client(headers)
        try:
            reply = client.call(Effect.WRITE, "POST", self._url, content=body)
            if not reply.ok:
                raise reply.error()
        finally:
            client.close()

    def _client(self, headers: Mapping[str, str]) -> HttpClient:
        return HttpClient(self._origin, headers=headers, deadline=_DEADLINE, max_body=_MOST_ANSWER, connections=1)


def receiver_of(config: Config) -> Receiver | None:
    """Where the alerts of a config go; None where that is the log alone. Raises ConfigError."""
    return Webhook(config.daemon.alerts) if config.daemon.alerts.url is not None else None


class Alerts:
    """
    Looks at the pairs now and then, and tells what changed. `heard` is called by workers, the chore on its own thread.

    `receiver` is asked for the place where alerts go as of now.
    """

    def __init__(self, config: Callable[[], Config], board: Board, clock: Clock, receiver: Callable[[], Receiver | None]) -> None:
        self._config = config
        self._board = board
        self._clock = clock
        self._receiver = receiver
        self._began = clock.now()
        self._seen: dict[str, RunEnded] = {}
        self._log = structlog.get_logger()

    @property
    def chore(self) -> Chore:
        return Chore(name="alerts", every=EVERY, work=self.work)

    def heard(self, news: RunEnded) -> None:
        """A run ended. Where there is no schedule, those over single records may be all there are."""
        spec = self._config().pairs.get(news.pair)
        if news.cause in _WHOLE or (spec is not None and spec.schedule is None):
            self._seen[news.pair] = news

    def work(self, app: App, now: float) -> None:
        """Look at every pair, and deliver what is due. Raises StateError where the state cannot be used."""
        store, config = app.store.alerts, self._config()
        known = store.all()
        activities = {activity.pair: activity for activity in self._board.activities()}
        for status in app.desk.status().pairs:
            activity = activities.get(status.pair)
            if activity is None or status.pair not in config.pairs:
                continue
            before = known.get(status.pair)
            found = self._finding(app, status, activity, before, now)
            if found.condition is Condition.FINE and (before is None or before.told == Condition.FINE.value):
                if before is not None:
                    store.forget([status.pair])  # it was over before anybody was told
                continue
            alert = _noted(store, status.pair, found, before, now)
            if _is_news(alert) and alert.next_at <= now:
                self._tell(app, alert, status, now)
        store.forget(known.keys() - config.pairs.keys())

    # What to tell

    def _finding(self, app: App, status: PairStatus, activity: PairActivity, before: Alert | None, now: float) -> Finding:
        """How a pair is: the gravest first."""
        news = self._seen.get(status.pair)
        if activity.failures:
            times = f" ({activity.failures} times in a row)" if activity.failures > 1 else ""
            return Finding(condition=Condition.FAILED, reason=f"{activity.trouble}{times}")
        if news is not None and news.report is not None:
            code: Exit | None = news.report.exit
            trouble = news.report.error
            refused: Sequence[str] = [trip.message for trip in news.report.refused]
        elif before is not None and before.condition in (Condition.FAILED.value, Condition.REFUSED.value):
            return Finding(condition=Condition(before.condition), reason=before.reason)  # until a whole run says otherwise
        else:
            code, trouble, refused = _as_stored(_finished(app, status))
        if code is Exit.FAILED:
            return Finding(condition=Condition.FAILED, reason=trouble)
        if code is Exit.REFUSED:
            return Finding(condition=Condition.REFUSED, reason="; ".join(refused))
        return self._degraded(status, activity, now)

    def _degraded(self, status: PairStatus, activity: PairActivity, now: float) -> Finding:
        quarantined = status.pending.get("quarantined", 0)
        reasons = []
        if status.inbox_open:
            reasons.append(f"{counted(status.inbox_open, 'question')} in the inbox")
        if quarantined:
            reasons.append(f"{counted(quarantined, 'record')} in quarantine")
        limit = self._config().daemon.alerts.stale_after
        # What stood still while no daemon ran is no news when one has just begun.
        age = now - max(self._began, 0.0 if status.fresh_at is None else status.fresh_at.timestamp())
        if activity.next_at is not None and age > limit:
            reasons.append(f"the last good run began {_span(age)} ago (the limit is {_span(limit)})")
        level = status.inbox_open + quarantined
        return Finding(condition=Condition.DEGRADED if reasons else Condition.FINE, reason="; ".join(reasons), level=level)

    # Telling

    def _tell(self, app: App, alert: Alert, status: PairStatus, now: float) -> None:
        notice = _notice(alert, _finished(app, status), parked=status.pending.get("quarantined", 0) > status.inbox_open)
        receiver = self._receiver()
        try:
            if receiver is not None:
                receiver.deliver(notice, now=now)
        except SyncError as error:
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(alert.tries, 10))
            app.store.alerts.put_off(alert, until=now + pause)
            self._log.warning("alert.failed", pair=alert.subject, kind=notice.kind, why=str(error), again_in=pause)
            return
        app.store.alerts.told(alert, at=now)
        if alert.condition == Condition.FINE.value:
            app.store.alerts.forget([alert.subject])
        self._log.warning("alert.sent", pair=alert.subject, kind=notice.kind, reason=notice.reason, look=notice.command)


def _noted(store: AlertStore, pair: str, found: Finding, before: Alert | None, now: float) -> Alert:
    """The condition as the state has it; nothing is written where it has it already."""
    condition = found.condition.value
    if before is not None and (before.condition, before.reason, before.level) == (condition, found.reason, found.level):
        return before
    return store.note(pair, condition, found.reason, level=found.level, fine=Condition.FINE.value, now=now)


def _span(seconds: float) -> str:
    return lasted(timedelta(seconds=round(seconds)))


def _is_news(alert: Alert) -> bool:
    """Whether the receiver does not know it yet: another condition, or twice as much of the same."""
    if alert.condition != alert.told:
        return True
    return alert.condition == Condition.DEGRADED.value and alert.level > alert.told_level and alert.level >= 2 * alert.told_level


def _notice(alert: Alert, last: RunLine | None, *, parked: bool) -> Notice:
    kind = "recovered" if alert.condition == Condition.FINE.value else alert.condition
    has_begun = last is not None and (alert.condition != Condition.FAILED.value or last.exit is Exit.FAILED)
    look = f"syncengine log {last.run}" if last is not None and has_begun else "syncengine check"
    if alert.condition == Condition.DEGRADED.value and alert.level:
        look = f"syncengine quarantine list {alert.subject}" if parked else f"syncengine conflicts list {alert.subject}"
    return Notice(
        id=f"alert_{alert.number}_{alert.message}_{kind}",
        pair=alert.subject,
        kind=kind,
        reason=alert.reason,
        since=datetime.fromtimestamp(alert.since, UTC),
        command=look,
    )


def _finished(app: App, status: PairStatus) -> RunLine | None:
    """The latest run that came to its end: the very latest may be at work."""
    if status.last is None or status.last.exit is not None:
        return status.last
    return next((line for line in app.desk.runs(_LOOKED_AT, status.pair) if line.exit is not None), None)


def _as_stored(line: RunLine | None) -> tuple[Exit | None, str, Sequence[str]]:
    """Exit, trouble and trips of a run that the state remembers."""
    if line is None or line.report is None:
        return None, "", ()
    refused = line.report.get("refused")
    return line.exit, str(line.report.get("error", "")), [str(each) for each in refused] if isinstance(refused, list) else ()
