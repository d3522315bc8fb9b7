"""A disk that is full, refuses, or may only be read: nothing is lost, the message says what to do, and the next run converges."""

from __future__ import annotations

import ctypes
import resource
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from syncengine.engine.report import Exit
from syncengine.errors import StateError
from syncengine.store.store import Store
from tests.support.disks import IS_ROOT, remount, small_disk
from tests.support.engine import Bench
from tests.support.running import run
from tests.support.town import FIELDS, Town

PEOPLE = 600
_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 24, 1, 2  # linux/prctl.h, linux/capability.h


def fill(town: Town) -> None:
    town.write_left([{"id": str(n), **dict.fromkeys(FIELDS, str(n)), "email": f"p{n}@example.com"} for n in range(1, PEOPLE + 1)])


def assert_all_arrived_once(town: Town) -> None:
    sides = town.sides()
    assert len(sides["left"]) == PEOPLE
    assert sides["left"] == sides["right"]
    assert not town.faults()


def assert_failed(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 1, (result.stdout, result.stderr)
    assert "Traceback" not in result.stderr
    assert "bug in syncengine" not in result.stderr
    for word in words:
        assert word in result.stderr


def test_a_disk_that_fills_up_in_the_middle_of_a_sync(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "300k"):
        town = Town(tmp_path / "town", state=str(tmp_path / "small" / "state.db"))
        fill(town)
        assert_failed(run(town.folder, "sync"), "the disk is full; nothing was lost, free some space and run again")
        remount(tmp_path / "small", "size=30m")
        resumed = run(town.folder, "sync")
        assert resumed.returncode == 0, resumed.stderr
        assert_all_arrived_once(town)
        assert "written  nothing" in run(town.folder, "sync").stdout


def test_a_disk_that_is_full_from_the_start(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "100k"):
        town = Town(tmp_path / "town", state=str(tmp_path / "small" / "state.db"))
        fill(town)
        (tmp_path / "small" / "ballast").write_bytes(b"x" * 100 * 1024)
        assert_failed(run(town.folder, "sync"), "free", "space")
        assert town.right() == []
        (tmp_path / "small" / "ballast").unlink()
        remount(tmp_path / "small", "size=30m")
        assert run(town.folder, "sync").returncode == 0
        assert_all_arrived_once(town)


def test_a_disk_that_became_read_only(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "30m"):
        town = Town(tmp_path / "town", state=str(tmp_path / "small" / "state.db"))
        fill(town)
        assert run(town.folder, "sync").returncode == 0
        town.edit("left", "7", phone="changed")
        remount(tmp_path / "small", "ro")
        assert_failed(run(town.folder, "sync"), "cannot be written", "check its permissions and those of its folder")
        planned = run(town.folder, "plan")
        assert planned.returncode == 5, planned.stderr
        assert '"7" -> "changed"' in planned.stdout
        remount(tmp_path / "small", "rw")
        assert run(town.folder, "sync").returncode == 0
        assert_all_arrived_once(town)


def test_a_limit_on_the_size_of_files(tmp_path: Path) -> None:
    """A quota answers otherwise than a full disk does."""
    town = Town(tmp_path / "town")
    fill(town)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))

    assert_failed(run(town.folder, "sync", preexec_fn=limit), "the disk refused", "nothing was lost")
    assert not town.faults()
    assert run(town.folder, "sync").returncode == 0
    assert_all_arrived_once(town)


def test_a_state_that_can_grow_no_more_at_any_page_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Wherever the disk fills up, before an effect or after it, the next run finds out and converges."""
    full = 0
    for spare in range(0, 60, 6):
        bench = Bench(store=Store.memory())
        bench.store.close()
        path = tmp_path / f"state{spare}.db"
        for number in range(120):
            bench.left.insert(email=f"p{number}@example.com", name="x" * 200, phone=str(number), tags=["x"])
        Store.open(path, now=bench.clock.now()).close()
        with closing(Store.open(path, now=bench.clock.now())) as bench.store:
            pages = bench.store.database.value("PRAGMA page_count")
            bench.store.database.execute(f"PRAGMA max_page_count={pages + spare}")
            try:
                with bench.store.database.translated():
                    bench.run()
            except StateError as error:
                assert "the disk is full; nothing was lost" in str(error)  # noqa: PT017 - the last sizes are large enough
                full += 1
        with closing(Store.open(path, now=bench.clock.now())) as bench.store:
            bench.clock.time += 600
            report = bench.run()
            assert report.exit is Exit.DONE, report
            left, right = bench.sides()
            assert left == right
            assert len(right) == 120
            bench.assert_quiet()
    assert full > 3


def obey_permissions() -> None:
    """For a child process before it starts: without the capabilities that let root pass by all permissions."""
    if IS_ROOT:
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
            assert ctypes.CDLL(None, use_errno=True).prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) == 0


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    town = Town(tmp_path / "town", state=str(tmp_path / "closed" / "state.db"))
    fill(town)
    (tmp_path / "closed").chmod(0o555)
    assert_failed(run(town.folder, "sync", preexec_fn=obey_permissions), "closed cannot be written")
    assert run(town.folder, "plan", preexec_fn=obey_permissions).returncode == 5
    (tmp_path / "closed").chmod(0o755)
    assert run(town.folder, "sync", preexec_fn=obey_permissions).returncode == 0
    (tmp_path / "closed").chmod(0o555)
    assert_failed(run(town.folder, "sync", preexec_fn=obey_permissions), "cannot be written", "its folder")
    planned = run(town.folder, "plan", preexec_fn=obey_permissions)
    assert planned.returncode == 0, planned.stderr
    (tmp_path / "closed").chmod(0o755)


def test_a_state_that_is_a_folder(tmp_path: Path) -> None:
    town = Town(tmp_path / "town")
    town.state.mkdir()
    for command in ("sync", "plan", "status"):
        assert_failed(run(town.folder, command), "is a folder", "state.db/state.db")


def test_a_plan_changes_no_byte_anywhere(tmp_path: Path) -> None:
    town = Town(tmp_path / "town")
    fill(town)
    before = contents(town.folder)
    assert run(town.folder, "plan").returncode == 5
    assert contents(town.folder) == before
    assert run(town.folder, "sync").returncode == 0
    town.edit("left", "7", phone="changed")
    before = contents(town.folder)
    for command in (("plan",), ("status",)):
        assert run(town.folder, *command).returncode in (0, 5)
        assert contents(town.folder) == before, command


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_state_locked_by_another_program(tmp_path: Path) -> None:
    town = Town(tmp_path / "town")
    assert run(town.folder, "sync").returncode == 0
    with closing(sqlite3.connect(town.state, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        assert_failed(run(town.folder, "sync"), "locked by another program; close it or wait, then run again")


def test_a_state_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    """It says which program wrote it, every command refuses it, and no byte of it changes."""
    town = Town(tmp_path / "town")
    fill(town)
    assert run(town.folder, "sync").returncode == 0
    with closing(sqlite3.connect(town.state)) as other:
        version = other.execute("PRAGMA user_version").fetchone()[0]
        other.execute(f"PRAGMA user_version={version + 1}")
    before = town.state.read_bytes()
    for command in ("sync", "plan", "status"):
        assert_failed(run(town.folder, command), "written by a newer syncengine", "upgrade syncengine, or name another file")
    assert town.state.read_bytes() == before


def test_a_state_that_was_written_by_something_else_is_left_alone(tmp_path: Path) -> None:
    """Somebody's database under our name: it is never taken over, nor put aside."""
    town = Town(tmp_path / "town")
    with closing(sqlite3.connect(town.state)) as other, other:
        other.execute("CREATE TABLE invoices (id INTEGER)")
    before = town.state.read_bytes()
    for command in (("sync",), ("plan",), ("state", "rebuild")):
        assert_failed(run(town.folder, *command), "the database of another program")
    assert town.state.read_bytes() == before
