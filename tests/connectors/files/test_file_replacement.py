"""A write replaces the file as a whole or not at all, and never over somebody else's work."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from connectors.files import disk
from syncengine.connector import Delete, Expected, Failed, Update, Written
from syncengine.errors import OutcomeUnknown, ResourceError, TransientError

CHANGE = Update(key="k", id="1", fields={"name": "Anna"})


def leftovers(people):
    return sorted(path.name for path in people.path.parent.iterdir() if path != people.path)


def at_the_rename(monkeypatch, act, times=1):
    """Have something happen after the new content is written and before the last look at the old file."""
    fsync, left = os.fsync, [times]

    def disturbed(descriptor):
        fsync(descriptor)
        if left[0] and stat.S_ISREG(os.fstat(descriptor).st_mode):
            left[0] -= 1
            act()

    monkeypatch.setattr(os, "fsync", disturbed)
    return left


def appended(people, name):
    line = f"7,{name},\n" if people.path.suffix == ".csv" else f'{{"id": 7, "name": "{name}"}}\n'
    with people.path.open("a") as file:
        file.write(line)


def test_an_edit_between_reading_and_renaming_survives(people, monkeypatch):
    at_the_rename(monkeypatch, lambda: appended(people, "Theirs"))
    (outcome,) = people.write(CHANGE)
    assert isinstance(outcome, Written)
    assert people.listing("name") == {"1": ("Anna",), "2": ("Bo",), "3": ("Cy",), "7": ("Theirs",)}
    assert leftovers(people) == []


def test_a_save_by_rename_between_reading_and_renaming_survives(people, monkeypatch):
    def save():
        new = people.path.with_suffix(".saved")
        new.write_bytes(people.content.replace(b"Bo", b"Bob"))
        new.replace(people.path)

    at_the_rename(monkeypatch, save)
    people.write(CHANGE)
    assert people.listing("name") == {"1": ("Anna",), "2": ("Bob",), "3": ("Cy",)}


def test_changes_are_worked_out_anew_against_the_edited_file(people, monkeypatch):
    at_the_rename(monkeypatch, lambda: people.path.write_bytes(people.content.replace(b"Ann", b"Eve")))
    (outcome,) = people.write(Update(key="k", id="1", fields={"email": "x"}, expected=Expected(fields={"name": "Ann"})))
    assert isinstance(outcome, Failed)
    assert people.listing("name", "email")["1"] == ("Eve", "ann@example.com")


def test_an_edit_of_equal_size_and_time_is_noticed_by_its_content(people, monkeypatch):
    """What a coarse clock hides: same inode, size and times, other bytes."""
    people.get("1")
    frozen = disk.Stamp.of(people.path.stat())
    monkeypatch.setattr(disk.Stamp, "of", classmethod(lambda cls, status: frozen))
    people.path.write_bytes(people.content.replace(b"Bo", b"Al"))
    with pytest.raises(TransientError, match="changed while"):
        people.write(CHANGE)
    assert b"Al" in people.content
    assert b"Anna" not in people.content


def test_a_file_that_never_rests_is_given_up_with_nothing_applied(people, monkeypatch):
    left = at_the_rename(monkeypatch, lambda: appended(people, "again"), times=100)
    with pytest.raises((TransientError, ResourceError)):
        people.write(CHANGE)
    assert left[0] > 90
    assert b"Anna" not in people.content
    assert leftovers(people) == []


def test_a_file_that_is_removed_meanwhile_is_not_made_again(people, monkeypatch):
    at_the_rename(monkeypatch, people.path.unlink)
    with pytest.raises((ResourceError, TransientError)):
        people.write(CHANGE)
    assert not people.path.exists()
    assert leftovers(people) == []


def test_permissions_and_attributes_are_kept(people):
    people.path.chmod(0o640)
    try:
        os.setxattr(people.path, "user.origin", b"crm")
    except OSError:
        pytest.skip("this file system keeps no extended attributes")
    people.write(CHANGE)
    assert stat.S_IMODE(people.path.stat().st_mode) == 0o640
    assert os.getxattr(people.path, "user.origin") == b"crm"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_owner_and_group_are_kept(people):
    os.chown(people.path, 12345, 23456)
    people.write(CHANGE)
    status = people.path.stat()
    assert (status.st_uid, status.st_gid) == (12345, 23456)


def test_a_symbolic_link_is_followed_and_stays_one(people, tmp_path):
    real = tmp_path / "elsewhere"
    real.mkdir()
    target = real / people.path.name
    people.path.rename(target)
    people.path.symlink_to(target)
    people.write(CHANGE)
    assert people.path.is_symlink()
    assert b"Anna" in target.read_bytes()
    assert people.listing("name")["1"] == ("Anna",)


@pytest.mark.parametrize(
    ("lock", "content", "words"),
    [
        (".~lock.{}#", b",ada,desk7,23.11.2026 10:00,file:///home/ada;", ["LibreOffice", "by ada on desk7"]),
        (".~lock.{}#", b"Ada L.,ada,desk7,x,y;", ["by Ada L. on desk7"]),
        (".~lock.{}#", b"", ["LibreOffice:", "close it"]),
        (".~lock.{}#", b"\xff\x00\x1b[31m,,,", ["LibreOffice"]),
        ("~${}", b"\x0cAda Lovelace" + b" " * 42, ["Excel", "by Ada Lovelace"]),
        ("~${}", b"", ["Excel:"]),
    ],
)
def test_a_file_that_a_spreadsheet_program_has_open_is_left_alone(people, lock, content, words):
    lock_file = people.path.with_name(lock.format(people.path.name))
    lock_file.write_bytes(content)
    with pytest.raises(TransientError) as raised:
        people.write(CHANGE)
    for word in (*words, str(people.path), lock_file.name):
        assert word in str(raised.value)
    assert str(raised.value).isprintable()
    assert b"Anna" not in people.content
    assert people.listing("name")["1"] == ("Ann",)
    lock_file.unlink()
    people.write(CHANGE)
    assert people.listing("name")["1"] == ("Anna",)


def test_a_spreadsheet_opened_during_the_write_stops_it(people, monkeypatch):
    lock_file = people.path.with_name(f".~lock.{people.path.name}#")
    at_the_rename(monkeypatch, lock_file.touch)
    with pytest.raises(TransientError, match="open in LibreOffice"):
        people.write(CHANGE)
    assert b"Anna" not in people.content
    assert leftovers(people) == [lock_file.name]


def test_two_processes_take_turns(people):
    with people.path.open("rb+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(TransientError, match="another syncengine process"):
            people.write(CHANGE)
    people.write(CHANGE)
    assert people.listing("name")["1"] == ("Anna",)


def test_what_a_crash_left_behind_is_cleared_away(people):
    stale = people.path.with_name(f".{people.path.name}.{people.path.stat().st_ino}.syncengine")
    stale.write_bytes(b"half")
    people.write(CHANGE)
    assert leftovers(people) == []


@pytest.mark.parametrize(
    ("error", "classed"),
    [(errno.ENOSPC, ResourceError), (errno.EDQUOT, ResourceError), (errno.EROFS, ResourceError), (errno.EIO, TransientError)],
)
def test_trouble_while_writing_leaves_the_original_and_nothing_else(people, monkeypatch, error, classed):
    before = people.content

    def failing(descriptor):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(classed, match=people.path.name):
        people.write(CHANGE)
    assert people.content == before
    assert leftovers(people) == []


def test_a_disk_that_fills_up_leaves_the_original(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("id,name\n" + "".join(f"{number},Ann\n" for number in range(10_000)))
    before = path.read_bytes()
    script = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
from pathlib import Path
from connectors.csv import plugin
from syncengine.connector import Context, Delete
from syncengine.errors import ResourceError
connector = plugin.connect(plugin.options(path="people.csv"), Context(system="s", base=Path({str(tmp_path)!r})))
try:
    connector.write("people", [Delete(key="k", id="1")])
except ResourceError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "no room to write" in done.stdout
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_rename_that_may_not_be_durable_is_in_doubt(people, monkeypatch):
    fsync = os.fsync

    def failing_on_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing_on_folders)
    changed, missing = people.write(CHANGE, Delete(key="d", id="77"))
    assert isinstance(changed.error, OutcomeUnknown)
    assert not isinstance(missing.error, OutcomeUnknown)


def test_a_file_system_without_folder_syncs_is_no_trouble(people, monkeypatch):
    fsync = os.fsync

    def failing_on_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing_on_folders)
    (outcome,) = people.write(CHANGE)
    assert isinstance(outcome, Written)


@pytest.fixture
def nobody():
    """An unprivileged user in a folder of its own; root may do everything."""
    if os.geteuid() != 0:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
        return
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(0)


def test_a_file_without_permission_is_an_error_with_the_cure(nobody, opened_at):
    office = opened_at(nobody / "people.csv", "id,name\n1,Ann\n")
    office.path.chmod(0)
    for ask in (office.listing, office.resource, office.connector.check, lambda: office.write(CHANGE)):
        with pytest.raises(ResourceError, match=r"no permission to (read|write) .*people.csv"):
            ask()
    office.path.chmod(0o644)


def test_a_read_only_file_is_read_and_never_written(nobody, opened_at):
    office = opened_at(nobody / "people.csv", "id,name\n1,Ann\n")
    office.path.chmod(0o444)
    assert office.listing("name") == {"1": ("Ann",)}
    assert "read-only" in office.connector.check().notes[0]
    assert "read-only" in office.resource().notes[0]
    with pytest.raises(ResourceError, match="no permission to write"):
        office.write(CHANGE)


def test_a_read_only_folder_is_read_and_never_written(nobody, opened_at):
    office = opened_at(nobody / "people.csv", "id,name\n1,Ann\n")
    nobody.chmod(0o555)
    assert office.listing("name") == {"1": ("Ann",)}
    assert "cannot be replaced" in office.connector.check().notes[0]
    with pytest.raises(ResourceError, match="no permission to write"):
        office.write(CHANGE)
    nobody.chmod(0o755)
    assert office.content == b"id,name\n1,Ann\n"


def test_memory_does_not_grow_with_the_file(tmp_path):
    """Ten times the rows take less than a fifth more memory to list, and little more to write to."""
    script = """
import resource, sys
from pathlib import Path
from connectors.csv import plugin
from syncengine.connector import Context, Update
connector = plugin.connect(plugin.options(path=sys.argv[1] + ".csv"), Context(system="s", base=Path(sys.argv[2])))
for page in connector.read(sys.argv[1], fields=["name", "note"]):
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
(outcome,) = connector.write(sys.argv[1], [Update(key="k", id="5", fields={"name": "x"})])
assert outcome.id == "5"
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    peaks = {}
    for name, rows in (("small", 10_000), ("large", 100_000)):
        with (tmp_path / f"{name}.csv").open("w") as file:
            file.write("id,name,note\n")
            file.writelines(f"{number},Ann {number},some longer note to fill the line with {number}\n" for number in range(rows))
        done = subprocess.run([sys.executable, "-c", script, name, str(tmp_path)], capture_output=True, text=True, check=True)
        peaks[name] = [int(line) for line in done.stdout.split()]
    assert peaks["large"][0] < 1.2 * peaks["small"][0]
    assert peaks["large"][1] < 1.3 * peaks["small"][1]
