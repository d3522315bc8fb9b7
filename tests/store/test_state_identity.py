"""The state file is opened only when it is the one to use; each refusal has its own words and way out."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from syncengine.errors import StateError, StateLocked
from syncengine.store.identity import Access, read_sidecar, sidecar_of
from syncengine.store.migrations import SCHEMA_VERSION
from syncengine.store.store import Store

NOW = 1_800_000_000.0
DAY = 86_400.0


def use(path: Path, *, pair: str = "people", now: float = NOW) -> None:
    """A process that opens the state, changes something and leaves."""
    with closing(Store.open(path, now=now)) as store, store.database.transaction():
        store.runs.pair(pair)


def read(path: Path) -> list[str]:
    with closing(Store.open(path, now=NOW, access=Access.READ)) as store:
        return [pair.name for pair in store.runs.pairs()]


def refusal(path: Path, *, patience: float = 0.0) -> str:
    """What both a writer and a reader are told; the file stays as it is."""
    told = set()
    before = digest(path.parent)
    for access in Access:
        with pytest.raises(StateError) as caught:
            Store.open(path, now=NOW, access=access, patience=patience)
        told.add(str(caught.value))
    assert digest(path.parent) == before
    (message,) = told
    return message


def digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.blake2b(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state that was used once and left in order."""
    path = tmp_path / "people.db"
    use(path)
    return path


def test_a_state_is_made_for_its_owner_only_and_every_process_that_writes_raises_its_generation(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    generations = []
    for _ in range(3):
        use(path)
        sidecar = read_sidecar(path)
        assert sidecar is not None
        generations.append(sidecar.generation)
    assert generations == sorted(set(generations))
    assert {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {
        "people.db": 0o600,
        "people.db.generation": 0o600,
    }


def test_reading_changes_no_byte_and_makes_no_file(state: Path) -> None:
    before = digest(state.parent)
    assert read(state) == ["people"]
    assert digest(state.parent) == before


def test_reading_a_state_that_is_not_there_or_empty_is_an_empty_state(tmp_path: Path) -> None:
    assert read(tmp_path / "none.db") == []
    (tmp_path / "empty.db").touch()
    assert read(tmp_path / "empty.db") == []
    assert [path.name for path in tmp_path.iterdir()] == ["empty.db"]


def test_reading_after_a_kill_sees_what_was_committed_and_leaves_the_log_alone(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    killed(path, 'store.runs.pair("late")')
    kept = {name: print_ for name, print_ in digest(tmp_path).items() if not name.endswith("-shm")}
    assert "people.db-wal" in kept
    assert read(path) == ["late"]
    assert {name: print_ for name, print_ in digest(tmp_path).items() if not name.endswith("-shm")} == kept
    use(path)
    assert sorted(read(path)) == ["late", "people"]


def test_a_copy_put_back_is_recognised_however_it_was_taken(state: Path) -> None:
    """Taken between two processes, or while one was at work."""
    between = state.with_name("between.db")
    shutil.copy(state, between)
    with closing(Store.open(state, now=NOW)) as store:
        with store.database.transaction():
            store.runs.pair("first")
        store.database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        during = state.with_name("during.db")
        shutil.copy(state, during)
        with store.database.transaction():
            store.runs.pair("second")
    newest = state.with_name("newest.db")
    shutil.copy(state, newest)
    for old in (between, during):
        state.write_bytes(old.read_bytes())
        message = refusal(state)
        assert "an older copy was put back" in message
        assert "syncengine state rebuild" in message
    state.write_bytes(newest.read_bytes())
    assert sorted(read(state)) == ["first", "people", "second"]


def test_a_long_process_tells_copies_taken_between_its_commands(state: Path) -> None:
    """A daemon raises the generation with each command, not only when it ends."""
    with closing(Store.open(state, now=NOW)) as store:
        store.database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        copy = state.with_name("copy.db")
        shutil.copy(state, copy)
        with store.database.transaction():
            store.runs.pair("later")
        store.database.advance()
        sidecar = read_sidecar(state)
        assert sidecar is not None
        with closing(sqlite3.connect(copy)) as connection:
            (generation,) = connection.execute("SELECT value FROM meta WHERE name='generation'").fetchone()
        assert int(generation) < sidecar.generation
        store.database.advance()
        assert read_sidecar(state) == sidecar, "nothing changed since"


def test_a_copy_beside_the_original_is_refused(state: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for file in (state, sidecar_of(state)):
        shutil.copy(file, elsewhere / file.name)
    message = refusal(elsewhere / state.name)
    assert f"is a copy; the original was last used as {state}" in message
    assert "syncengine state adopt" in message
    use(state)


def test_a_state_renamed_together_with_its_sidecar_is_still_the_state(state: Path) -> None:
    renamed = state.with_name("renamed.db")
    sidecar_of(state).rename(sidecar_of(renamed))
    state.rename(renamed)
    use(renamed, pair="more")
    assert read(renamed) == ["people", "more"]


def test_a_state_without_its_sidecar_is_not_believed(state: Path) -> None:
    sidecar_of(state).unlink()
    assert "people.db.generation, which belongs beside it, is missing" in refusal(state)
    sidecar_of(state).write_text("{")
    assert "people.db.generation, which belongs beside it, is missing" in refusal(state)


def test_a_state_in_the_place_of_another_is_refused(state: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    use(other)
    state.write_bytes(other.read_bytes())
    assert "another state was last used in this place" in refusal(state)


def test_a_deleted_state_starts_anew_whatever_its_sidecar_says(state: Path) -> None:
    use(state)
    state.unlink()
    use(state, pair="new")
    assert read(state) == ["new"]


def test_the_same_inode_on_another_machine_is_a_copy(state: Path) -> None:
    """The image of a whole machine is a copy too; another device number is only another boot."""
    with closing(sqlite3.connect(state)) as connection, connection:
        (home,) = connection.execute("SELECT value FROM meta WHERE name='home'").fetchone()
        noted = json.loads(home)
        rebooted = json.dumps(noted | {"device": noted["device"] + 1})
        connection.execute("UPDATE meta SET value=? WHERE name='home'", (rebooted,))
    assert read(state) == ["people"]
    if not noted["machine"]:
        pytest.skip("this machine has no /etc/machine-id")
    with closing(sqlite3.connect(state)) as connection, connection:
        connection.execute("UPDATE meta SET value=? WHERE name='home'", (json.dumps(noted | {"machine": "another"}),))
    assert "is a copy" in refusal(state)


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database" * 100)


def _holes(path: Path) -> None:
    """Overwrite the pages after the first, as a failing disk would."""
    with closing(Store.open(path, now=NOW)) as store, store.database.transaction():
        for number in range(300):
            store.runs.pair(f"pair {number}")
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))


def _foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY)")


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")


def _trigger(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TRIGGER t AFTER INSERT ON run BEGIN DELETE FROM attic; END")


def _symlink(path: Path) -> None:
    path.rename(path.with_name("real.db"))
    path.symlink_to("real.db")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _stranger(path: Path) -> None:
    os.chown(path, os.geteuid() + 1, -1)


@pytest.mark.parametrize(
    ("spoil", "says", "cure"),
    [
        pytest.param(_garbage, "corrupt or not a state file", "state rebuild", id="garbage"),
        pytest.param(_foreign, "is the database of another program", "state =", id="another program's"),
        pytest.param(_newer, "written by a newer syncengine", "upgrade syncengine", id="newer"),
        pytest.param(_trigger, "holds triggers or views", "state rebuild", id="altered"),
        pytest.param(_symlink, "is a symbolic link", "name the file that it points to", id="symlink"),
        pytest.param(_folder, "is a folder", "people.db/state.db", id="folder"),
        pytest.param(_pipe, "is a device, a pipe or a socket", "state =", id="pipe"),
        pytest.param(
            _stranger,
            "belongs to another user",
            "run syncengine as that user",
            id="stranger",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away"),
        ),
    ],
)
def test_a_file_that_is_no_state_is_refused_with_its_reason_and_cure(
    state: Path, spoil: Callable[[Path], None], says: str, cure: str
) -> None:
    spoil(state)
    if state.is_fifo():  # not to be opened, which would wait for a writer
        with pytest.raises(StateError, match=says):
            Store.open(state, now=NOW)
        return
    message = refusal(state)
    assert message.startswith(f"state file {state}: ")
    assert says in message
    assert cure in message


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"there is no folder .*nowhere"):
        Store.open(tmp_path / "nowhere" / "people.db", now=NOW)


def test_pages_are_checked_after_an_unclean_stop_and_once_a_day(state: Path) -> None:
    """In between a start costs no more for a large state than for a small one: damage shows when it is read."""

    def checks(path: Path, now: float) -> bool:
        with closing(Store.open(path, now=now)) as store:
            (checked,) = store.database.one("SELECT value FROM meta WHERE name='checked'")
            return float(checked) == now

    assert not checks(state, NOW + DAY - 1)
    assert checks(state, NOW + DAY + 2)
    assert not checks(state, NOW + DAY + 3)
    killed(state, "pass", now=NOW + DAY + 4)
    assert checks(state, NOW + DAY + 5)
    assert not checks(state, NOW + DAY + 6)


def test_damaged_pages_are_found_by_the_check(state: Path) -> None:
    _holes(state)
    for access in Access:
        with pytest.raises(StateError, match=r"corrupt or not a state file .*state rebuild"):
            Store.open(state, now=NOW + DAY, access=access)


def test_a_writer_beside_a_living_one_is_no_unclean_stop(state: Path) -> None:
    with closing(Store.open(state, now=NOW)), closing(Store.open(state, now=NOW + 5)) as second:
        (checked,) = second.database.one("SELECT value FROM meta WHERE name='checked'")
        assert float(checked) == NOW


def test_a_file_locked_by_another_program_is_named_as_such(state: Path) -> None:
    with closing(sqlite3.connect(state, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        for access in Access:
            with pytest.raises(StateLocked, match="locked by another program; close it or wait"):
                Store.open(state, now=NOW, access=access, patience=0.0)


def killed(path: Path, statement: str, *, now: float = NOW) -> None:
    """A process that opens the state, does something and is killed with -9."""
    script = (
        "import os, signal\nfrom pathlib import Path\nfrom syncengine.store.store import Store\n"
        f"store = Store.open(Path({str(path)!r}), now={now!r})\n{statement}\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
