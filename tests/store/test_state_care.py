"""Backup, check, rebuild and adopt: what becomes of the state file, and that no record is lost, doubled or deleted by it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from syncengine.core.codec import encode
from syncengine.core.model import Keyless, Policy, Side
from syncengine.engine.report import Exit, RunReport
from syncengine.errors import StateError
from syncengine.store import care
from syncengine.store.identity import Access, sidecar_of
from syncengine.store.invariants import Gravity
from syncengine.store.store import Store
from tests.support.engine import PEOPLE, Bench, people_spec

NOW = 1_800_000_000.0


class Office:
    """Two systems kept the same through a state file, which tests lose, copy and spoil."""

    def __init__(self, folder: Path, **spec: object) -> None:
        self.path = folder / "people.db"
        self.bench = Bench(people_spec(**spec), store=Store.memory())
        self.bench.store.close()

    def sync(self, approve: str | None = None) -> RunReport:
        """A process of its own: opens the state, runs once, leaves."""
        with closing(Store.open(self.path, now=self.bench.clock.now())) as store:
            self.bench.store = store
            report = self.bench.run(approve=approve)
            store.database.advance()
        assert not report.error
        return report

    def settle(self) -> list[RunReport]:
        """Runs until nothing more is to do; a first contact is refused, then approved."""
        reports = [self.sync()]
        if reports[-1].exit is Exit.REFUSED:
            assert {trip.guard for trip in reports[-1].refused} == {"first_contact"}
            reports.append(self.sync(reports[-1].approval))
        reports.append(self.sync())
        assert reports[-1].written == {}
        return reports


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Three people on both sides, in sync."""
    made = Office(tmp_path)
    for name in ("ada", "bob", "cyd"):
        made.bench.left.insert(email=f"{name}@example.com", name=name.title(), phone="1", tags=["x"])
    assert made.settle()[0].written == {"right.create": 3}
    return made


def faults(path: Path) -> list[str]:
    return [finding.text for finding in care.check(path, now=NOW) if finding.gravity is Gravity.FAULT]


def deletes(reports: list[RunReport]) -> int:
    return sum(count for report in reports for kind, count in report.written.items() if kind.endswith((".delete", ".archive")))


# A lost state


def test_after_the_state_was_deleted_nothing_is_deleted_and_equal_records_cause_no_write(office: Office) -> None:
    office.path.unlink()
    before = office.bench.writes()
    refused, approved, *_ = office.settle()
    assert refused.exit is Exit.REFUSED
    assert approved.exit is Exit.DONE
    assert office.bench.writes() == before
    assert office.bench.sides()[0] == office.bench.sides()[1]


def test_after_the_state_was_deleted_a_difference_is_asked_and_a_deleted_record_comes_back(office: Office) -> None:
    """Nothing proves who was right: values are never guessed, and a deletion that was not carried over is not repeated."""
    left = {row["email"]: id_ for id_, row in office.bench.left.records().items()}
    office.bench.left.edit(left["ada@example.com"], name="Countess")
    office.bench.left.remove(left["bob@example.com"])
    office.path.unlink()
    reports = office.settle()
    assert deletes(reports) == 0
    assert reports[-1].inbox_open == 1
    assert {row["email"] for row in office.bench.left.records().values()} == {
        f"{name}@example.com" for name in ("ada", "bob", "cyd")
    }
    assert len(office.bench.right) == 3


# Rebuild


def test_a_rebuilt_state_links_by_key_writes_nothing_for_equal_records_and_deletes_nothing(office: Office) -> None:
    before = office.bench.writes()
    rebuilt = care.rebuild(office.path, now=NOW)
    assert rebuilt.old.name == "people.db.2027-01-15T080000Z"
    assert (rebuilt.links, rebuilt.doubtful, rebuilt.unread) == (3, 0, "")
    reports = office.settle()
    assert [report.exit for report in reports] == [Exit.REFUSED, Exit.DONE, Exit.DONE]
    assert office.bench.writes() == before
    office.bench.left.remove(next(iter(office.bench.left.records())))
    assert office.sync().inbox_open == 1, "from now on a deletion is one"


def test_a_rebuilt_state_knows_records_without_a_key_by_id_and_doubles_none(tmp_path: Path) -> None:
    office = Office(tmp_path, keyless=Keyless.CREATE)
    for name in ("ann", "ben"):
        office.bench.left.insert(email=None, name=name, phone="1", tags=["x"])
    office.settle()
    before = office.bench.writes()
    care.rebuild(office.path, now=NOW)
    care.rebuild(office.path, now=NOW)
    reports = office.settle()
    assert office.bench.writes() == before
    assert len(office.bench.left) == len(office.bench.right) == 2
    assert [report.exit for report in reports] == [Exit.REFUSED, Exit.DONE, Exit.DONE]


@pytest.fixture
def keyless(tmp_path: Path) -> Office:
    """Two people without a key on both sides, in sync."""
    made = Office(tmp_path, keyless=Keyless.CREATE)
    for name in ("ann", "ben"):
        made.bench.left.insert(email=None, name=name, phone="1", tags=["x"])
    made.settle()
    return made


def give_bob(office: Office, side: Side, key: str | None) -> None:
    resource = office.bench.resources[side]
    (bob,) = (id_ for id_, row in resource.records().items() if row["name"] == "Bob")
    resource.edit(bob, email=key)


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("key", ["zoe@example.com", "aaa@example.com"])
def test_a_rebuilt_state_knows_by_id_whose_key_changed_and_asks_which_one_counts(office: Office, side: Side, key: str) -> None:
    give_bob(office, side, key)
    before = office.bench.writes()
    care.rebuild(office.path, now=NOW)
    reports = office.settle()
    assert office.bench.writes() == before
    assert [report.exit for report in reports] == [Exit.REFUSED, Exit.PARTIAL, Exit.PARTIAL]
    assert [report.inbox_open for report in reports] == [0, 1, 1]


@pytest.mark.parametrize("side", list(Side))
def test_a_rebuilt_state_knows_by_id_who_lost_its_key(office: Office, side: Side) -> None:
    give_bob(office, side, None)
    care.rebuild(office.path, now=NOW)
    assert [report.written for report in office.settle()] == [{}, {f"{side.value}.update": 1}, {}]
    assert office.bench.sides()[0] == office.bench.sides()[1]
    assert len(office.bench.left) == 3


def test_a_rebuilt_state_takes_nobody_for_who_had_the_id_before(office: Office) -> None:
    """A table that counts its rows gave the id out again, and the new record differs in most."""
    (last,) = (id_ for id_, row in office.bench.left.records().items() if row["name"] == "Cyd")
    office.bench.left.remove(last)
    office.bench.left.insert(last, email="eve@example.com", name="Eve", phone="7", tags=["x"])
    care.rebuild(office.path, now=NOW)
    office.settle()
    for resource in office.bench.resources.values():
        assert sorted(str(row["name"]) for row in resource.records().values()) == ["Ada", "Bob", "Cyd", "Eve"]


def test_a_rebuilt_state_asks_for_a_partner_that_a_listing_does_not_show_yet(keyless: Office) -> None:
    right = keyless.bench.right
    right.redefine(replace(right.resource, capabilities=replace(right.resource.capabilities, lag=3600.0)))
    keyless.bench.reconnect()
    care.rebuild(keyless.path, now=NOW)
    keyless.sync()
    assert len(keyless.bench.left) == len(right) == 2
    keyless.bench.clock.time += 7200
    keyless.settle()
    assert len(keyless.bench.left) == len(right) == 2


def test_a_rebuilt_state_knows_by_id_also_in_the_next_run_who_could_not_be_linked_in_this_one(keyless: Office) -> None:
    keyless.bench.spec = replace(keyless.bench.spec, conflicts=Policy.LEFT)
    ann = next(iter(keyless.bench.left.records()))
    keyless.bench.left.edit(ann, phone="2")
    care.rebuild(keyless.path, now=NOW)
    keyless.bench.left.conceal(ann)
    keyless.sync(keyless.sync().approval)
    keyless.bench.left.concealed.clear()
    assert keyless.sync().written == {"right.update": 1}
    assert len(keyless.bench.left) == len(keyless.bench.right) == 2


def test_a_rebuilt_state_knows_by_id_whom_a_record_in_quarantine_belongs_to(keyless: Office) -> None:
    """The partner has a key for a while, so that another one was to be made, and was refused; then the key is gone again."""
    bench = keyless.bench
    ann = next(iter(bench.left.records()))
    (there,) = (id_ for id_, row in bench.right.records().items() if row["name"] == "ann")
    bench.redefine(Side.RIGHT, replace(PEOPLE[2], max_length=3))
    bench.right.edit(there, email="ann@example.com")
    bench.right.insert(email="ann@example.com")
    bench.left.edit(ann, phone="much too long")
    care.rebuild(keyless.path, now=NOW)
    keyless.sync(keyless.sync().approval)
    bench.right.edit(there, email=None)
    report = keyless.sync()
    assert (report.written, report.inbox_open) == ({"left.create": 1}, 1)
    assert len(bench.left) == len(bench.right) == 3


def test_a_record_without_a_key_whose_partner_is_gone_is_made_anew_not_deleted(tmp_path: Path) -> None:
    office = Office(tmp_path, keyless=Keyless.CREATE)
    for name in ("ann", "ben"):
        office.bench.left.insert(email=None, name=name, phone="1", tags=["x"])
    office.settle()
    office.bench.right.remove(next(iter(office.bench.right.records())))
    care.rebuild(office.path, now=NOW)
    assert deletes(office.settle()) == 0
    assert office.bench.sides()[0] == office.bench.sides()[1]
    assert len(office.bench.right) == 2


def test_the_old_state_can_be_looked_at_but_never_comes_back_unnoticed(office: Office) -> None:
    rebuilt = care.rebuild(office.path, now=NOW)
    with closing(sqlite3.connect(rebuilt.old)) as connection:
        assert connection.execute("SELECT count(*) FROM link").fetchone() == (3,)
    rebuilt.old.rename(office.path)
    with pytest.raises(StateError, match="another state was last used in this place"):
        office.sync()


@pytest.mark.parametrize("spoil", [b"", b"no database at all" * 300], ids=["empty", "garbage"])
def test_what_cannot_be_read_is_put_aside_too(office: Office, spoil: bytes) -> None:
    office.path.write_bytes(spoil)
    if not spoil:
        with pytest.raises(StateError, match="is empty; the next sync fills it"):
            care.rebuild(office.path, now=NOW)
        return
    rebuilt = care.rebuild(office.path, now=NOW)
    assert "corrupt or not a state file" in rebuilt.unread
    assert rebuilt.old.read_bytes() == spoil
    assert deletes(office.settle()) == 0


def test_a_state_killed_at_work_is_rebuilt_with_all_it_had_committed(office: Office) -> None:
    """What stands only in the log belongs to the state: the links of a killed process are known afterwards."""
    script = (
        "import os, signal\nfrom pathlib import Path\nfrom syncengine.store.store import Store\n"
        f"store = Store.open(Path({str(office.path)!r}), now={NOW!r})\n"
        "store.database.execute(\"INSERT INTO link (pair, state, left_id, right_id) VALUES (1, 'live', 'l9', 'r9')\")\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert office.path.with_name("people.db-wal").stat().st_size > 0
    assert care.rebuild(office.path, now=NOW).links == 4
    assert sorted(file.name for file in office.path.parent.iterdir()) == [
        "people.db",
        "people.db.2027-01-15T080000Z",
        "people.db.generation",
    ]


def test_a_state_whose_file_is_taken_away_can_be_left(office: Office) -> None:
    """A daemon lets go of it and looks again; that must not end the daemon."""
    store = Store.open(office.path, now=office.bench.clock.now())
    with store.database.transaction():
        store.runs.set_note("any", "thing")
    away = office.path.rename(office.path.with_name("away.db"))
    store.close()
    away.rename(office.path)
    assert office.sync().exit is Exit.DONE


def test_nothing_is_rebuilt_or_adopted_while_somebody_is_at_work(office: Office) -> None:
    with closing(Store.open(office.path, now=NOW)):
        for act in (care.rebuild, care.adopt):
            with pytest.raises(StateError, match=rf"is in use by \S+ pid {os.getpid()}; stop that process first"):
                act(office.path, now=NOW)
    assert sorted(file.name for file in office.path.parent.iterdir()) == ["people.db", "people.db.generation"]
    assert office.sync().exit is Exit.DONE


def test_the_database_of_another_program_is_never_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "office.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY)")
    for act in (care.rebuild, care.adopt):
        with pytest.raises(StateError, match="is the database of another program"):
            act(path, now=NOW)
    assert [file.name for file in tmp_path.iterdir()] == ["office.db"]
    assert faults(path) == [
        f"state file {path}: is the database of another program; syncengine needs a file of its own, name another one with "
        "`state =`"
    ]


# Backup


def test_a_backup_is_whole_and_is_recognised_wherever_it_is_used(office: Office, tmp_path: Path) -> None:
    target = tmp_path / "safe" / "people.backup"
    target.parent.mkdir()
    with closing(Store.open(office.path, now=NOW)):
        care.backup(office.path, target, now=NOW)
    assert [file.name for file in target.parent.iterdir()] == ["people.backup"]
    assert target.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM link").fetchone() == (3,)
    office.path.write_bytes(target.read_bytes())
    with pytest.raises(StateError, match=r"is a backup, taken at 2027-01-15T08:00:00Z; .*state rebuild"):
        office.sync()
    with pytest.raises(StateError, match="is a backup"):
        care.adopt(office.path, now=NOW)
    assert care.rebuild(office.path, now=NOW).links == 3
    assert deletes(office.settle()) == 0


def test_a_backup_replaces_nothing(office: Office, tmp_path: Path) -> None:
    target = tmp_path / "there"
    target.write_text("precious")
    with pytest.raises(StateError, match="this file exists already"):
        care.backup(office.path, target, now=NOW)
    assert target.read_text() == "precious"
    with pytest.raises(StateError, match=r"is not there"):
        care.backup(tmp_path / "none.db", tmp_path / "new", now=NOW)


# Adopt


def test_a_moved_state_is_adopted_and_the_place_it_left_is_no_longer_its_own(office: Office, tmp_path: Path) -> None:
    office.sync()
    elsewhere = tmp_path / "elsewhere" / "people.db"
    elsewhere.parent.mkdir()
    shutil.copy(office.path, elsewhere)
    origin, office.path = office.path, elsewhere
    with pytest.raises(StateError, match="which belongs beside it, is missing"):
        office.sync()
    care.adopt(elsewhere, now=NOW)
    assert office.sync().written == {}
    shutil.copy(elsewhere, origin)
    office.path = origin
    with pytest.raises(StateError, match="is a copy; the original was last used as"):
        office.sync()


def test_a_copy_is_adopted_only_when_its_original_is_not_in_use(office: Office, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with closing(Store.open(office.path, now=NOW)) as store:
        store.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(office.path, copy)
        shutil.copy(sidecar_of(office.path), sidecar_of(copy))
        with pytest.raises(StateError, match="is in use by"):
            care.adopt(copy, now=NOW)


def test_an_older_copy_is_not_adopted(office: Office, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    shutil.copy(office.path, copy)
    office.sync()
    office.path.write_bytes(copy.read_bytes())
    with pytest.raises(StateError, match=r"an older copy was put back .*state rebuild"):
        care.adopt(office.path, now=NOW)
    assert care.rebuild(office.path, now=NOW).links == 3


def test_adopting_the_right_state_changes_nothing(office: Office) -> None:
    before = sidecar_of(office.path).read_bytes()
    care.adopt(office.path, now=NOW)
    assert sidecar_of(office.path).read_bytes() == before


# Check


def test_a_healthy_state_has_no_faults_and_is_not_touched(office: Office) -> None:
    before = office.path.read_bytes()
    findings = care.check(office.path, now=NOW)
    assert {finding.gravity for finding in findings} == {Gravity.FINE}
    assert office.path.read_bytes() == before
    assert sorted(file.name for file in office.path.parent.iterdir()) == ["people.db", "people.db.generation"]


def test_a_state_that_is_not_there_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "cut-short.db").touch()
    for name in ("none.db", "cut-short.db"):
        (finding,) = care.check(tmp_path / name, now=NOW)
        assert finding.gravity is Gravity.NOTE


def intent(op: str, link: int, key: str, state: str, *, record: str = "1", fields: dict[str, str] | None = None) -> str:
    """A row of the journal."""
    columns = "run, pair, side, op, link, record, idempotency_key, label, payload, before, source, whys, newest, state, sent_at"
    payload, empty = (encode(each).hex() for each in (fields or {}, {}))
    values = (
        f"1, 1, 'right', '{op}', {link}, {record}, '{key}', '', x'{payload}', x'{empty}', x'{empty}', '{{}}', 0, '{state}', 0"
    )
    return f"INSERT INTO intent ({columns}) VALUES ({values})"


TWIN = "INSERT INTO link (pair, state, left_id, right_id) SELECT pair, state, left_id, 99 FROM link WHERE id=1"
RECORD = "(SELECT right_id FROM link WHERE id=1)"
BREACHES = {
    "two links share a record": (["DROP INDEX link_left", TWIN], "people: 2 links share one left record (links 1,4)"),
    "two open writes": (
        ["DROP INDEX intent_open", *(intent("update", 1, key, "sent") for key in "ab")],
        "link 1 has several open writes at once (4,5)",
    ),
    "half a shadow": (["UPDATE link SET left_shadow=NULL WHERE id=2"], "link 2: one side has a shadow, the other has none"),
    "a spoilt shadow": (["UPDATE link SET left_shadow=x'ff' WHERE id=2"], "link 2: a shadow cannot be read"),
    "an unknown field unconfirmed": (
        ["UPDATE link SET right_unconfirmed='nobody' WHERE id=2"],
        "link 2: a field waits to be confirmed but is not in the shadow",
    ),
    "an effect that no shadow knows": (
        [intent("update", 1, "a", "done", record=RECORD, fields={"fax": "1"})],
        "write 4 to the right is done, but its shadow does not know fax",
    ),
    "a spoilt payload": (
        [intent("update", 1, "a", "done", record=RECORD), "UPDATE intent SET payload=x'ff' WHERE id=4"],
        "write 4: its payload or its shadow cannot be read",
    ),
    "a create that hangs": (
        ["UPDATE link SET state='creating' WHERE id=3"],
        "link 3 is being created, but no write is under way for it",
    ),
    "a doubt without a link": ([intent("create", 77, "a", "unknown")], "write 4 is in doubt, but its link is gone"),
    "a run of no pair": (
        ["PRAGMA foreign_keys=OFF", "UPDATE run SET pair=9 WHERE id=1"],
        "a row of run refers to a pair that is not there",
    ),
    "a record of no pair": (["UPDATE record SET end=19 WHERE end=3"], "a row of record refers to a pair that is not there"),
    "a lease without a number": (
        ["INSERT INTO lease VALUES ('x/people', 'h', 'p', 0, 0)"],
        "the lease on x/people has no fencing number",
    ),
}


@pytest.mark.parametrize(("damage", "says"), BREACHES.values(), ids=BREACHES)
def test_every_breach_of_an_invariant_is_named(office: Office, damage: list[str], says: str) -> None:
    with closing(sqlite3.connect(office.path, isolation_level=None)) as connection:
        for statement in damage:
            connection.execute(statement)
    assert says in faults(office.path)


def test_damaged_pages_are_a_fault(office: Office) -> None:
    with office.path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(os.urandom(4 * 4096))
    assert any("corrupt or not a state file" in text and "state rebuild" in text for text in faults(office.path))


def test_notes_tell_who_holds_it_what_is_in_doubt_and_what_was_deleted(office: Office) -> None:
    with closing(sqlite3.connect(office.path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO lease VALUES ('x/people', 'h', 'host-9 pid 12 [1:2]', 1, ?)", (NOW + 100,))
        connection.execute("INSERT INTO run (pair, started_at) VALUES (1, ?)", (NOW - 10,))
        connection.execute(intent("update", 1, "a", "sent"))
        for number in range(11):
            connection.execute(intent("delete", 100 + number, f"d{number}", "done"))
        connection.execute("UPDATE intent SET sent_at=? WHERE op='delete'", (NOW - 100,))
    notes = [finding.text for finding in care.check(office.path, now=NOW) if finding.gravity is Gravity.NOTE]
    assert notes == [
        "x/people is held by host-9 pid 12, for 100 more seconds at least",
        "people: 1 runs did not come to their end (killed, or at work now)",
        "people: 1 writes are in doubt; the next run looks what became of them",
        "people: 11 deletes in the last 24 hours, above the usual limit of 10: an approval let them pass",
    ]


def test_a_plan_may_read_a_state_while_it_is_checked_and_written(office: Office) -> None:
    with closing(Store.open(office.path, now=NOW)), closing(Store.open(office.path, now=NOW, access=Access.READ)) as reader:
        assert not [finding for finding in care.check(office.path, now=NOW) if finding.gravity is Gravity.FAULT]
        assert reader.links.count(1) == 3
    assert office.bench.writes()[Side.LEFT] == 0
