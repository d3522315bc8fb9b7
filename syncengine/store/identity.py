"""
What makes a file *the* state: not an older copy put back, not a copy used beside the original, not somebody else's.

The state counts its generations: one more for each process that writes, each command of it, and its end. The count stands in
the state and, durably, in a sidecar file `STATE.generation`. It is raised in the state first, so a state below its sidecar is
an older copy. The state also notes which file it is: a copy is another file.
"""

from __future__ import annotations

import os
import stat
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import orjson

from syncengine.errors import StateError
from syncengine.store.process import is_dead, this_place

_DAY = 86_400.0
_MACHINE = Path("/etc/machine-id")
_FRESH = 0
"""The generation of a state in which nothing has happened yet: its sidecar may be missing, or be that of a deleted state."""

REBUILD = "`syncengine state rebuild` starts a new one that links the records again and deletes nothing"
ADOPT = "`syncengine state adopt` makes it the one to use"


class Access(Enum):
    """What a state is opened for."""

    READ = "read"
    WRITE = "write"


class Verdict(Enum):
    """What the marks of a state say about it."""

    GOOD = "good"
    BACKUP = "backup"
    ROLLED_BACK = "rolled back"
    REPLACED = "replaced"
    ALONE = "alone"
    COPIED = "copied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """The generation that a state had reached, kept outside it."""

    state: str
    generation: int


class Rows(Protocol):
    """What is needed of the database: statements, and transactions."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Any: ...

    def transaction(self) -> AbstractContextManager[None]: ...


def inspect(path: Path, access: Access) -> None:
    """Look at the file before SQLite does; raises StateError for what must not be opened. A missing file is fine."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        if not path.parent.is_dir():
            msg = f"state file {path}: there is no folder {path.parent}; make it, or name another file with `state =`"
            raise StateError(msg) from None
        if access is Access.WRITE and not os.access(path.parent, os.W_OK | os.X_OK):
            msg = f"state file {path}: the folder {path.parent} cannot be written; change its permissions, or name another place"
            raise StateError(msg) from None
        return
    except OSError as error:
        msg = f"state file {path}: cannot be looked at ({error.strerror}); check the path after `state =`"
        raise StateError(msg) from error
    if stat.S_ISLNK(found.st_mode):
        msg = (
            f"state file {path}: is a symbolic link, beside which SQLite would keep a second journal; name the file that it "
            "points to with `state =`"
        )
        raise StateError(msg)
    if stat.S_ISDIR(found.st_mode):
        msg = f"state file {path}: is a folder; name a file in it with `state =`, {path.name}/state.db for example"
        raise StateError(msg)
    if not stat.S_ISREG(found.st_mode):
        msg = f"state file {path}: is a device, a pipe or a socket; name an ordinary file with `state =`"
        raise StateError(msg)
    if found.st_uid != os.geteuid():
        msg = (
            f"state file {path}: belongs to another user (number {found.st_uid}, we are {os.geteuid()}); run syncengine as that "
            "user, or name another file with `state =`"
        )
        raise StateError(msg)


def create(path: Path) -> None:
    """Make an empty file that only its owner may read: SQLite gives its journals the same permissions."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
    except FileExistsError:
        inspect(path, Access.WRITE)  # another process was faster
    except OSError as error:
        raise _failed(path, error) from error


def sidecar_of(path: Path) -> Path:
    """Where the generation of a state is mirrored."""
    return path.with_name(f"{path.name}.generation")


def read_sidecar(path: Path) -> Sidecar | None:
    """The sidecar of a state; None where it is missing or is none."""
    try:
        told = orjson.loads(sidecar_of(path).read_bytes())
        return Sidecar(state=str(told["state"]), generation=int(told["generation"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    except OSError as error:
        raise _failed(sidecar_of(path), error) from error


def write_sidecar(path: Path, sidecar: Sidecar) -> None:
    """Replace the sidecar, so that a power cut leaves the old or the new one whole."""
    target = sidecar_of(path)
    fresh = target.with_name(f"{target.name}.new")
    document = orjson.dumps({"state": sidecar.state, "generation": sidecar.generation}, option=orjson.OPT_APPEND_NEWLINE)
    try:
        handle = os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(target)
        sync_folder(path.parent)
    except OSError as error:
        raise _failed(target, error) from error


def sync_folder(folder: Path) -> None:
    """Make what was renamed in a folder outlast a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Identity:
    """The marks of one state file, through the connection that is open on it."""

    def __init__(self, rows: Rows, path: Path) -> None:
        self._rows = rows
        self._path = path
        self._entry = ""

    # The marks

    def mark(self, name: str) -> str | None:
        """A mark of the state, None where it is not set."""
        row = self._rows.execute("SELECT value FROM meta WHERE name=?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def put(self, name: str, value: str) -> None:
        """Set a mark; inside a transaction."""
        sql = "INSERT INTO meta (name, value) VALUES (?,?) ON CONFLICT (name) DO UPDATE SET value=excluded.value"
        self._rows.execute(sql, (name, value))

    def drop(self, name: str) -> None:
        """Remove a mark; inside a transaction."""
        self._rows.execute("DELETE FROM meta WHERE name=?", (name,))

    @property
    def state(self) -> str:
        """The number that every copy of this state shares; empty before the first writer."""
        return self.mark("state") or ""

    @property
    def generation(self) -> int:
        return int(self.mark("generation") or _FRESH)

    # Proving

    def verdict(self) -> Verdict:
        """What the marks say; the gravest first."""
        if self.mark("backup") is not None:
            return Verdict.BACKUP
        if self.generation == _FRESH:
            return Verdict.GOOD
        sidecar = read_sidecar(self._path)
        if sidecar is None:
            return Verdict.ALONE
        if sidecar.state != self.state:
            return Verdict.REPLACED
        if self.generation < sidecar.generation:
            return Verdict.ROLLED_BACK
        return Verdict.GOOD if self._is_at_home() else Verdict.COPIED

    def verify(self) -> None:
        """Raise StateError, with the way out, unless this file is the one to use."""
        message = self.complaint(self.verdict())
        if message:
            raise StateError(message)

    def complaint(self, verdict: Verdict) -> str:
        """What is wrong and what to do about it; empty for a good state."""
        name, beside = f"state file {self._path}", sidecar_of(self._path).name
        match verdict:
            case Verdict.GOOD:
                return ""
            case Verdict.BACKUP:
                return f"{name}: is a backup, taken at {self.mark('backup')}; what happened since is not in it. {REBUILD}"
            case Verdict.ROLLED_BACK:
                return (
                    f"{name}: an older copy was put back ({beside} knows a newer one); a sync from it would undo or double what "
                    f"was done since. Put the newest one back, or go on from here: {REBUILD}"
                )
            case Verdict.REPLACED:
                return (
                    f"{name}: another state was last used in this place ({beside} names it). Put that one back, or go on from "
                    f"this one: {REBUILD}"
                )
            case Verdict.ALONE:
                return (
                    f"{name}: {beside}, which belongs beside it, is missing, so nothing tells whether this is its newest copy. "
                    f"Bring that file; or, if you are sure: {ADOPT}; else: {REBUILD}"
                )
            case Verdict.COPIED:
                return (
                    f"{name}: is a copy; the original was last used as {self._home()}. Two copies in use would undo each other's "
                    f"work. If the state was moved and the original is gone: {ADOPT}. If it is older than the original: {REBUILD}"
                )

    def _is_at_home(self) -> bool:
        """
        Whether this is the very file that was noted. Its inode tells; the device number does not, since many file systems get
        another one at each boot. A copy of a whole machine has the same inode on another machine.
        """
        noted, now = orjson.loads(self.mark("home") or "{}"), _home_of(self._path)
        machines = {noted.get("machine"), now["machine"]} - {"", None}
        return noted.get("inode") == now["inode"] and len(machines) <= 1

    def _home(self) -> str:
        noted = orjson.loads(self.mark("home") or "{}")
        return f"{noted.get('path', 'an unknown file')} on {noted.get('host', 'an unknown host')}"

    # Whether it was left in order

    def writers(self) -> dict[str, str]:
        """The places of the processes that opened the state for writing and have not left, by mark."""
        rows = self._rows.execute("SELECT name, value FROM meta WHERE name >= 'open ' AND name < 'open!' ORDER BY name")
        return dict(rows.fetchall())

    def wants_check(self, now: float) -> bool:
        """Whether its pages should be checked: a writer ended without leaving, or the last check is a day old."""
        here = _host_of(this_place())
        gone = any(is_dead(place) or _host_of(place) != here for place in self.writers().values())
        checked = self.mark("checked")
        return gone or checked is None or not 0 <= now - float(checked) < _DAY

    # Writing

    def begin(self) -> None:
        """Give a new state its number."""
        if self.mark("state") is not None:
            return
        with self._rows.transaction():
            if self.mark("state") is None:
                self.put("state", self._fresh_token())
                self.put("generation", str(_FRESH))

    def enter(self, now: float, *, checked: bool) -> None:
        """Note that this process writes from now on. The sidecar of a deleted state is replaced."""
        self.begin()
        if self.generation == _FRESH:
            self.mirror()
        with self._rows.transaction():
            self._entry = f"open {self._fresh_token()}"
            here = _host_of(this_place())
            for mark, place in self.writers().items():
                if is_dead(place) or _host_of(place) != here:
                    self.drop(mark)
            self.put(self._entry, this_place())
            if checked:
                self.put("checked", repr(now))
            self._raise()
        self.mirror()

    def advance(self) -> None:
        """One generation more, so that any copy taken before is told from the state as it is now."""
        with self._rows.transaction():
            self._raise()
        self.mirror()

    def leave(self, *, moved: bool) -> None:
        """Note that this process is done; `moved`: it changed something since the last generation."""
        with self._rows.transaction():
            self.drop(self._entry)
            if moved:
                self._raise()
        if moved:
            self.mirror()

    def settle_here(self) -> None:
        """Make this file the one to use, wherever it came from."""
        with self._rows.transaction():
            for mark in self.writers():
                self.drop(mark)
            self._raise()
        self.mirror()

    def mirror(self) -> None:
        """Bring the sidecar up to the state; under the write lock, so that an older count never replaces a newer one."""
        with self._rows.transaction():
            write_sidecar(self._path, Sidecar(state=self.state, generation=self.generation))

    def _raise(self) -> None:
        self.put("generation", str(self.generation + 1))
        self.put("home", orjson.dumps(_home_of(self._path)).decode())

    def _fresh_token(self) -> str:
        # SQLite's own generator: these tokens only tell states and processes apart, no decision depends on them.
        return str(self._rows.execute("SELECT lower(hex(randomblob(16)))").fetchone()[0])


def _home_of(path: Path) -> dict[str, Any]:
    found = path.stat()
    try:
        machine = _MACHINE.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        machine = ""
    host = this_place().partition(" ")[0]
    return {"inode": found.st_ino, "device": found.st_dev, "machine": machine, "path": str(path.absolute()), "host": host}


def _host_of(place: str) -> str:
    """The host and the process namespace of a place: beyond them nothing can be told about a process."""
    return place.partition(" ")[0] + place.partition("[")[2].partition(":")[0]


def _failed(path: Path, error: OSError) -> StateError:
    return StateError(
        f"{path}: cannot be written ({error.strerror}); nothing was lost: free space or change permissions, run again"
    )
