"""A state of every earlier schema is brought up to date: a backup first, nothing lost, nothing half done."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import structlog.testing

from syncengine.errors import StateError
from syncengine.store import care, database, opening
from syncengine.store.identity import Access
from syncengine.store.invariants import Gravity
from syncengine.store.migrations import SCHEMA_VERSION, migrations
from syncengine.store.store import Store
from tests.store.test_state_care import Office

EARLIER = range(1, SCHEMA_VERSION)


@pytest.fixture(params=EARLIER, ids="schema-{}".format)
def older(request, tmp_path, monkeypatch):
    """An office whose state was made, filled and left by the program of an earlier schema: (the office, its schema)."""
    office, schema = Office(tmp_path), request.param
    with monkeypatch.context() as program:
        for module in (database, opening):
            program.setattr(module, "SCHEMA_VERSION", schema)
        program.setattr(migrations(), "_migrations", migrations()._migrations[:schema])
        for name in ("ada", "bob", "cyd"):
            office.bench.left.insert(email=f"{name}@example.com", name=name.title(), phone="1", tags=["x"])
        office.settle()
        ada = next(id_ for id_, row in office.bench.left.records().items() if row["email"] == "ada@example.com")
        office.bench.left.edit(ada, name="Countess")
        office.bench.right.edit(next(iter(office.bench.right.records())), name="Lovelace")
        office.sync()
    assert tables(office.path)["PRAGMA user_version"] == [(schema,)]
    return office, schema


def tables(path):
    """Every row of every table; the marks that change with each opening left out."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY name")]
        found = {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in names if name[0] != "_"}
        found["PRAGMA user_version"] = connection.execute("PRAGMA user_version").fetchall()
    marks = ("generation", "home", "backup", "checked")
    found["meta"] = [row for row in found["meta"] if row[0] not in marks and not row[0].startswith("open ")]
    found.pop("sqlite_sequence", None)
    return found


def backups(path: Path) -> list[Path]:
    return sorted(found for found in path.parent.glob(f"{path.name}.schema-*") if found.suffix != ".part")


def upgraded(path, now=1_800_000_000.0):
    with structlog.testing.capture_logs() as logs, closing(Store.open(path, now=now)):
        pass
    return logs


def test_an_upgrade_keeps_every_row_and_makes_the_new_tables(older):
    office, _ = older
    before = tables(office.path)
    upgraded(office.path)
    after = tables(office.path)
    assert after.pop("PRAGMA user_version") == [(SCHEMA_VERSION,)]
    before.pop("PRAGMA user_version")
    assert {name: after[name] for name in before} == before
    assert before["link"]
    assert before["intent"]
    assert before["inbox"]
    with closing(Store.memory()) as fresh:
        wanted = {row[0] for row in fresh.database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'index')")}
    with closing(sqlite3.connect(office.path)) as connection:
        assert {row[0] for row in connection.execute("SELECT name FROM sqlite_master")} >= wanted


def test_the_state_goes_on_where_it_was_after_an_upgrade(older):
    """No write is repeated, no question is lost, and every invariant holds."""
    office, _ = older
    writes = office.bench.writes()
    report = office.sync()
    assert (report.written, report.inbox_open, office.bench.writes()) == ({}, 1, writes)
    faults = [
        finding.text for finding in care.check(office.path, now=office.bench.clock.now()) if finding.gravity is Gravity.FAULT
    ]
    assert faults == []


def test_a_backup_is_made_before_the_first_change(older):
    """It holds every row as it was, is for its owner only, is named in the log, and is taken for a backup by any program."""
    office, schema = older
    before = tables(office.path)
    logs = upgraded(office.path)
    [backup] = backups(office.path)
    assert re.fullmatch(rf"people\.db\.schema-{schema}\.2027-01-15T080000Z", backup.name)
    assert tables(backup) == before
    assert backup.stat().st_mode & 0o777 == 0o600
    assert [(log["event"], log["backup"]) for log in logs] == [("state.upgraded", str(backup))]
    backup_alone = backup.rename(office.path.with_name("alone.db"))
    with pytest.raises(StateError, match="is a backup, taken at 2027-01-15T08:00:00Z"):
        Store.open(backup_alone, now=0.0)


def test_a_second_opening_upgrades_nothing(older):
    office, _ = older
    upgraded(office.path)
    assert upgraded(office.path, now=1_900_000_000.0) == []
    assert len(backups(office.path)) == 1


def test_without_room_for_a_backup_nothing_is_changed(older, monkeypatch):
    office, schema = older
    before = tables(office.path)
    office.path.with_name(f"{office.path.name}.schema-{schema}.2027-01-15T080000Z.part").mkdir()
    with pytest.raises(StateError, match=r"no backup of it can be made first: .* nothing was changed"):
        Store.open(office.path, now=1_800_000_000.0)
    assert tables(office.path) == before
    assert backups(office.path) == []


def test_an_upgrade_cut_short_leaves_the_old_schema(older, monkeypatch):
    """The disk fills up, or the process dies, in the middle of the migration: the next opening does it whole."""
    office, _ = older
    before = tables(office.path)

    def full(db):
        db.conn.execute("CREATE TABLE half (a)")
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        broken = [*migrations()._migrations[:-1], type(migrations()._migrations[-1])("broken", full)]
        patch.setattr(migrations(), "_migrations", broken)
        with pytest.raises(StateError):
            Store.open(office.path, now=1_800_000_000.0)
    assert tables(office.path) == before
    assert len(backups(office.path)) == 1
    upgraded(office.path, now=1_800_000_060.0)
    assert tables(office.path)["PRAGMA user_version"] == [(SCHEMA_VERSION,)]


def test_two_processes_that_open_at_once_upgrade_once(older):
    """The second one waits for the lock and finds the work done: one backup, no error."""
    office, _ = older
    with closing(opening.connect(office.path, Access.WRITE)) as late:
        assert late.value("PRAGMA user_version") < SCHEMA_VERSION
        upgraded(office.path)
        opening._upgrade(late, office.path, 1_800_000_001.0)
    assert len(backups(office.path)) == 1


def test_an_older_state_can_not_be_read_before_it_is_upgraded(older):
    office, schema = older
    with pytest.raises(StateError, match=rf"older syncengine \(schema {schema}, this program needs {SCHEMA_VERSION}\)"):
        Store.open(office.path, now=0.0, access=Access.READ)
    assert backups(office.path) == []


def test_a_state_of_an_earlier_schema_can_be_rebuilt(older):
    office, _ = older
    rebuilt = care.rebuild(office.path, now=1_800_000_000.0)
    assert (rebuilt.links, rebuilt.unread) == (3, "")
    assert tables(office.path)["PRAGMA user_version"] == [(SCHEMA_VERSION,)]


def test_a_new_state_needs_no_backup(tmp_path):
    assert upgraded(tmp_path / "people.db") == []
    assert backups(tmp_path / "people.db") == []
