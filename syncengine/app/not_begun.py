"""A run that could not begin: a system was out of reach, a key was refused, or the stop came first."""

from __future__ import annotations

from datetime import UTC, datetime

from syncengine.core.model import PairSpec
from syncengine.engine.report import Exit, RunReport, document
from syncengine.errors import ConnectorError, Interrupted
from syncengine.store.store import Store


def not_begun(store: Store, spec: PairSpec, *, started: float, now: float, error: ConnectorError) -> RunReport:
    """Its report, kept among those of all runs, so that `status` and `log` show it; times in epoch seconds."""
    stopped = isinstance(error, Interrupted)
    pair = store.runs.pair(spec.name, was=spec.was).number
    pending = store.records.waiting(pair)
    with store.database.transaction():
        number = store.runs.start(pair, started)
        report = RunReport(
            run=number,
            pair=spec.name,
            left=str(spec.left),
            right=str(spec.right),
            started_at=datetime.fromtimestamp(started, UTC),
            finished_at=datetime.fromtimestamp(now, UTC),
            inbox_open=store.inbox.count(pair),
            quarantined=pending.get("quarantined", 0),
            pending=pending,
            error="" if stopped else str(error),
            exit=Exit.PARTIAL if stopped else Exit.FAILED,
            notes=("stopped on request before it began",) if stopped else (),
        )
        store.runs.finish(number, now, report.exit, document(report))
    return report
