"""Compaction: what is over and old goes, what is open or needed stays, and the file gets its room back."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from syncengine.core.decision import Op
from syncengine.core.model import Side
from syncengine.store import care, compaction
from syncengine.store.compaction import compact
from syncengine.store.events import Delivery
from syncengine.store.invariants import Gravity
from syncengine.store.journal import AtticValue, Intent, IntentState
from syncengine.store.store import Store
from tests.store.test_state_care import Office

DAY = 86_400.0
KEEP = 90 * DAY


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """A year of edits: a run a day for a while, two years ago, and some last week."""
    made = Office(tmp_path)
    for name in ("ada", "bob", "cyd"):
        made.bench.left.insert(email=f"{name}@example.com", name=name.title(), phone="1", tags=["x"])
    made.settle()
    for turn in range(8):
        for id_ in made.bench.left.records():
            made.bench.left.edit(id_, name=f"turn {turn}")
        made.sync()
        made.bench.clock.time += DAY
    return made


def counts(path):
    tables = ("run", "intent", "attic", "inbox", "link", "record", "event", "event_record", "pending")
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}


def compacted(path, now, keep=KEEP):
    with closing(Store.open(path, now=now)) as store:
        return compact(store.database, now=now, keep=keep)


def test_old_runs_and_their_journal_go_and_the_pair_goes_on_as_before(office):
    """Links, shadows and records stay: the next run writes nothing, and one after an edit writes just that."""
    before = counts(office.path)
    office.bench.clock.time += 365 * DAY
    done = compacted(office.path, office.bench.clock.now())
    after = counts(office.path)
    assert (after["link"], after["record"]) == (before["link"], before["record"])
    assert before["intent"] - after["intent"] == done.removed["journal entries"] >= 24
    assert before["run"] - after["run"] == done.removed["runs"] >= 8
    assert after["run"] <= 3
    assert [
        finding.text for finding in care.check(office.path, now=office.bench.clock.now()) if finding.gravity is Gravity.FAULT
    ] == []
    assert office.sync().written == {}
    ada = next(iter(office.bench.left.records()))
    office.bench.left.edit(ada, name="Countess")
    report = office.sync()
    assert report.written == {"right.update": 1}
    with closing(sqlite3.connect(office.path)) as connection:
        assert connection.execute("SELECT count(*) FROM run WHERE id=?", (report.run,)).fetchone() == (1,)
        assert connection.execute("SELECT max(id) FROM run").fetchone() == (report.run,)


def test_what_is_younger_than_the_horizon_stays(office):
    before = counts(office.path)
    done = compacted(office.path, office.bench.clock.now())
    assert (sum(done.removed.values()), counts(office.path)) == (0, before)


def test_a_horizon_below_a_day_is_a_day(office):
    """The guard on deletes counts the deletes of a day."""
    compacted(office.path, office.bench.clock.now() - DAY + 60, keep=0.0)
    assert counts(office.path)["intent"] >= 3


def intent(pair, number, **more):
    values = {
        "run": 1,
        "pair": pair,
        "side": Side.RIGHT,
        "op": Op.CREATE,
        "link": None,
        "record": None,
        "idempotency_key": f"key-{number}",
        "match_key": None,
        "label": "x",
        "payload": {"name": "x"},
        "before": {},
        "source": {},
        "whys": {},
        "version": None,
        "newest": 0,
        "sent_at": 1_000.0,
    }
    return Intent(**(values | more))


def test_what_is_open_stays_whatever_its_age(office):
    """Writes in doubt, questions, parked records, and the runs that they belong to."""
    now = office.bench.clock.now() + 3650 * DAY
    with closing(Store.open(office.path, now=now)) as store, store.database.transaction():
        pair = store.runs.pair("people").number
        run = store.runs.start(pair, 1_000.0)
        open_ = [IntentState.SENT, IntentState.UNKNOWN, IntentState.PARKED]
        store.journal.add([intent(pair, number, run=run, state=state) for number, state in enumerate(open_)])
        store.journal.add([intent(pair, 9, run=run, state=IntentState.CLOSED)])
        store.database.execute(
            "INSERT INTO inbox (pair, subject, kind, label, shown, why, status, opened_at) VALUES (?, 'key:x', 'conflict', 'x', x'', '', 'open', 1)",
            (pair,),
        )
        store.database.execute(
            "INSERT INTO inbox (pair, subject, kind, label, shown, why, status, opened_at, closed_at) "
            "VALUES (?, 'key:y', 'conflict', 'x', x'', '', 'closed', 1, 2)",
            (pair,),
        )
        store.database.execute(
            "INSERT INTO inbox (pair, subject, kind, label, shown, why, status, opened_at) VALUES (?, 'key:z', 'conflict', 'x', x'', '', 'chosen', 3)",
            (pair,),
        )
        store.database.execute(
            "INSERT INTO pending (end, id, reason, detail, label, since) VALUES (?, 'p', 'quarantined', '', '', 1)", (2 * pair,)
        )
    compacted(office.path, now)
    with closing(sqlite3.connect(office.path)) as connection:
        assert connection.execute("SELECT state FROM intent WHERE run=? ORDER BY id", (run,)).fetchall()[:3] == [
            ("sent",),
            ("unknown",),
            ("parked",),
        ]
        assert connection.execute("SELECT count(*) FROM run WHERE id=?", (run,)).fetchone() == (1,)
        assert connection.execute("SELECT subject FROM inbox ORDER BY id").fetchall() == [("key:x",), ("key:z",)]
        assert connection.execute("SELECT count(*) FROM pending WHERE id='p'").fetchone() == (1,)


def test_a_refused_run_that_can_still_be_approved_keeps_its_approval_and_an_expired_one_does_not(office):
    now = office.bench.clock.now()
    with closing(Store.open(office.path, now=now)) as store, store.database.transaction():
        pair = store.runs.pair("people").number
        store.runs.ask_approval(pair, "good", ["a"], now + 10)
        store.runs.ask_approval(pair, "late", ["a"], now - 10)
    compacted(office.path, now)
    with closing(Store.open(office.path, now=now)) as store:
        assert store.runs.has_approval(pair, "good", now)
        assert store.database.execute("SELECT hash FROM approval_item").fetchall() == [("good",)]


def test_old_events_go_and_the_records_that_they_add_up_to_stay(tmp_path):
    """An id is known for a week at least, because senders try again for days."""
    path, now = tmp_path / "state.db", 1_800_000_000.0

    def delivery(number, at):
        return Delivery(
            system="s", event=f"e{number}", digest=hashlib.blake2b(bytes([number]), digest_size=16).digest(), form="json", at=at
        )

    with closing(Store.open(path, now=now)) as store:
        for number, age in enumerate((100, 8, 6, 1)):
            store.events.accept(delivery(number, now - age * DAY), f"r{number}", {"name": "x"})
        store.events.refuse(delivery(9, now - 100 * DAY), b"{}", "bad")
        store.events.refuse(delivery(10, now - 6 * DAY), b"{}", "bad")
        compact(store.database, now=now, keep=DAY)
        assert [row.event for row in store.events.recent(10)] == ["e10", "e3", "e2"]
        assert [record.id for record in store.events.page("s", after=0, limit=10)] == ["r0", "r1", "r2", "r3"]
        store.events.accept(delivery(11, now), "r9", {"name": "y"})
        assert [record.n for record in store.events.page("s", after=4, limit=10)] == [5], "no number is given out twice"


def filled(path, rows, *, at=1_000.0):
    """A state with so many old attic values of a kilobyte each, and one that is new."""
    with closing(Store.open(path, now=1_800_000_000.0)) as store, store.database.transaction():
        pair = store.runs.pair("people").number

        def value(at):
            return AtticValue(
                run=1, pair=pair, link=None, side=Side.LEFT, record="1", label="x", field="f", value="v" * 1000, why="", at=at
            )

        store.journal.keep([value(at)] * rows)
        store.journal.keep([value(1_800_000_000.0)])


def test_the_file_gets_its_room_back_and_is_whole(tmp_path):
    path, now = tmp_path / "state.db", 1_800_000_000.0
    filled(path, 5_000)
    inode = path.stat().st_ino
    done = compacted(path, now)
    assert (done.removed["attic values"], done.why_not) == (5_000, "")
    assert done.before > 5_000_000
    assert done.after < 400_000
    assert path.stat().st_size + sum(part.stat().st_size for part in path.parent.glob("state.db-wal")) < 400_000
    assert path.stat().st_ino == inode, "the state knows itself by its inode"
    assert [finding.text for finding in care.check(path, now=now) if finding.gravity is Gravity.FAULT] == []
    Store.open(path, now=now).close()


def test_a_little_room_is_not_worth_the_writing(tmp_path):
    path = tmp_path / "state.db"
    filled(path, 100)
    done = compacted(path, 1_800_000_000.0)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone()[0] > 0
    assert (done.removed["attic values"], done.why_not) == (100, "")


def test_a_file_in_use_is_not_written_anew_but_what_is_old_goes(tmp_path):
    path, now = tmp_path / "state.db", 1_800_000_000.0
    filled(path, 5_000)
    with closing(Store.open(path, now=now)) as other:
        lease = other.leases.acquire(["account/people"], holder="h", place="elsewhere pid 1 [:]", now=now, ttl=300.0)
        done = compacted(path, now)
        assert (done.removed["attic values"], done.why_not) == (5_000, "a run is at work in the state")
        with other.commit(lease):
            other.runs.set_note("still", "here")
        other.leases.release(lease)
        other.leases.acquire(["daemon"], holder="d", place="elsewhere pid 1 [:]", now=now, ttl=300.0)
        assert compacted(path, now).why_not == "", "the daemon's own seat is no run"
        assert other.runs.note("still") == "here", "a connection that was open goes on"


def test_without_room_for_a_second_copy_the_file_stays_as_it_is(tmp_path, monkeypatch):
    path = tmp_path / "state.db"
    filled(path, 5_000)
    usage = os.statvfs(tmp_path)
    monkeypatch.setattr(compaction.shutil, "disk_usage", lambda _: type("usage", (), {"free": usage.f_frsize}))
    assert compacted(path, 1_800_000_000.0).why_not == "the disk has no room for a second copy of the state"


def test_it_goes_in_small_commits_so_that_others_get_their_turn(tmp_path, monkeypatch):
    path, now = tmp_path / "state.db", 1_800_000_000.0
    monkeypatch.setattr(compaction, "_BATCH", 500)
    filled(path, 2_200)
    commits = []
    with closing(Store.open(path, now=now, on_commit=commits.append)) as store:
        commits.clear()
        compact(store.database, now=now, keep=KEEP)
    assert commits.count("after") >= 5
