"""
Care of the state file between runs: a backup, a check, a new state from a lost one, and a word for one that was moved.

Each works on the file alone, without the config and the systems, and refuses while somebody else is at work in it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from syncengine.errors import StateError
from syncengine.store.copying import copy, moment, told
from syncengine.store.database import Database, corrupt, unusable
from syncengine.store.identity import Access, Identity, Verdict, create, inspect, sync_folder
from syncengine.store.invariants import Finding, Gravity, examine
from syncengine.store.opening import connect, is_made, open_file, prove_ours
from syncengine.store.process import is_dead, shown, this_place

_LOGS = ("-wal", "-shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """
    A new state in the place of the old one. `old` is where that is kept now; `links` how many of its links are known by id;
    `doubtful` how many of its writes had no proved outcome; `unread` says why nothing could be taken over, if so.
    """

    old: Path
    links: int
    doubtful: int
    unread: str = ""


def backup(path: Path, target: Path, *, now: float) -> None:
    """
    Copy the state to a new file while others go on working in it; whoever opens the copy is told that it is one.

    Raises StateError where the state cannot be read or the target is there already.
    """
    _prove_there(path)
    with _open(path, Access.READ) as database:
        copy(database.connection, target, now=now)


def check(path: Path, *, now: float) -> tuple[Finding, ...]:
    """Everything that can be told about a state without the systems; changes nothing, raises nothing about the file."""
    try:
        inspect(path, Access.READ)
        if not path.exists():
            return (Finding(gravity=Gravity.NOTE, text=f"{path}: there is no state yet; the first sync makes it"),)
        with _open(path, Access.READ) as database:
            return tuple(_findings(database, path, now))
    except _Empty as error:
        return (Finding(gravity=Gravity.NOTE, text=str(error)),)
    except StateError as error:
        return (Finding(gravity=Gravity.FAULT, text=str(error)),)


def _findings(database: Database, path: Path, now: float) -> Iterator[Finding]:
    identity = Identity(database, path)
    complaint = identity.complaint(identity.verdict())
    if complaint:
        yield Finding(gravity=Gravity.FAULT, text=complaint)
    else:
        text = f"{path}: the newest copy, in its place (generation {identity.generation})"
        yield Finding(gravity=Gravity.FINE, text=text)
    broken = [str(row[0]) for row in database.execute("PRAGMA integrity_check(5)") if row[0] != "ok"]
    for found in broken:
        yield Finding(gravity=Gravity.FAULT, text=str(corrupt(path, found)))
    if not broken:
        yield Finding(gravity=Gravity.FINE, text="every page and index is whole")
        yield from examine(database, now=now)


def rebuild(path: Path, *, now: float) -> Rebuilt:
    """
    Put a new, empty state in the place of this one, which is kept beside it under a dated name.

    The next run reads both sides as if they met for the first time: it links by key, and by id where there is no key; it
    deletes nothing, and equal records cause no write. Raises StateError while somebody is at work in the state.
    """
    inspect(path, Access.WRITE)
    _prove_there(path)
    fresh = path.with_name(f"{path.name}.rebuilt")
    _discard(fresh)
    unread, links, doubtful = "", 0, 0
    try:
        create(fresh)
        with told(path), closing(connect(fresh, Access.WRITE)) as new:
            new.execute("PRAGMA journal_mode=WAL")
            new.prepare()
            Identity(new, fresh).begin()
            try:
                with _open(path, Access.WRITE) as old:
                    elsewhere = Identity(old, path).verdict() in (Verdict.COPIED, Verdict.BACKUP)
                    if not elsewhere:  # a copy knows the processes of its original
                        _prove_idle(old, path, now)
                    links, doubtful = take_over(old, new)
            except _Unreadable as error:
                unread = str(error)
        with told(path):
            old_path = _put_away(path, now)
            fresh.rename(path)
            sync_folder(path.parent)
    except BaseException:
        _discard(fresh)
        raise
    open_file(path, now=now).close()
    return Rebuilt(old=old_path, links=links, doubtful=doubtful, unread=unread)


def adopt(path: Path, *, now: float) -> None:
    """
    Make a state that was moved here, or lost its sidecar, the one to use.

    Raises StateError for an older copy, which only `rebuild` may go on from, and while the original is in use.
    """
    inspect(path, Access.WRITE)
    _prove_there(path)
    with _open(path, Access.WRITE) as database:
        identity = Identity(database, path)
        verdict = identity.verdict()
        if verdict in (Verdict.BACKUP, Verdict.ROLLED_BACK, Verdict.REPLACED):
            raise StateError(identity.complaint(verdict))
        _prove_idle(database, path, now)
        found = database.value("PRAGMA integrity_check(1)")
        if found != "ok":
            raise corrupt(path, str(found))
        if verdict is not Verdict.GOOD:
            identity.settle_here()


class _Empty(StateError):
    """The making of the file was cut short; nothing has happened in it."""


class _Unreadable(StateError):
    """The file is no database any more; there is nothing to take over."""


@contextmanager
def _open(path: Path, access: Access) -> Iterator[Database]:
    """The state as it is, whatever its marks say; raises StateError, or _Unreadable where it is no database any more."""
    try:
        database = connect(path, access)
    except sqlite3.Error as error:
        raise unusable(path, error) from error
    try:
        prove_ours(database, path)
        if not is_made(database):
            msg = f"state file {path}: is empty; the next sync fills it"
            raise _Empty(msg)
        yield database
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise _Unreadable(str(corrupt(path, str(error)))) from error
        raise unusable(path, error) from error
    finally:
        database.disconnect()


def _prove_there(path: Path) -> None:
    if not path.exists():
        msg = f"state file {path}: is not there; the first sync makes it"
        raise StateError(msg)


def _prove_idle(database: Database, path: Path, now: float) -> None:
    """Raise StateError while a living process has the state open, or one that cannot be told holds a lease."""
    places = [place for place in Identity(database, path).writers().values() if not is_dead(place)]
    held = {row[0] for row in database.execute("SELECT place FROM lease WHERE until>?", (now,))}
    here = this_place().partition(" ")[0]
    for place in places:
        if place.partition(" ")[0] == here or place in held:
            msg = f"state file {path}: is in use by {shown(place)}; stop that process first"
            raise StateError(msg)


def take_over(old: Database, new: Database) -> tuple[int, int]:
    """
    Copy what a new state needs to recognise old acquaintances: the pairs, their accounts, and which ids were linked.

    Returns how many links are remembered, and how many writes of the old state were in doubt.
    """
    doubtful = int(old.value("SELECT count(*) FROM intent WHERE state IN ('sent','unknown','parked')"))
    with new.transaction():
        new.executemany(
            "INSERT INTO pair (id, name, left_account, right_account) VALUES (?,?,?,?)",
            old.execute("SELECT id, name, left_account, right_account FROM pair"),
        )
        for source in (
            "SELECT pair, left_id, right_id FROM link WHERE state IN ('live','suspended')",
            # Rebuilt before: whoever is linked to another one by now is not to be met again.
            "SELECT pair, left_id, right_id FROM former f WHERE NOT EXISTS (SELECT 1 FROM link l WHERE l.pair=f.pair "
            "AND l.state IN ('live','suspended') AND (l.left_id=f.left_id OR l.right_id=f.right_id))",
        ):
            new.executemany("INSERT OR IGNORE INTO former (pair, left_id, right_id) VALUES (?,?,?)", old.execute(source))
        _take_over_events(old, new)
    return int(new.value("SELECT count(*) FROM former")), doubtful


def _take_over_events(old: Database, new: Database) -> None:
    """Copy what was sent to us: it is nowhere else. A state of an older schema has none."""
    for table in ("event", "event_record"):
        if old.value("SELECT 1 FROM sqlite_master WHERE name=?", (table,)):
            names = [row[1] for row in new.execute(f"PRAGMA table_info({table})")]
            marks = ",".join("?" * len(names))
            rows = old.execute(f"SELECT {','.join(names)} FROM {table}")
            new.executemany(f"INSERT INTO {table} ({','.join(names)}) VALUES ({marks})", rows)


def _put_away(path: Path, now: float) -> Path:
    """Rename the old state and its logs; the logs first, because a log must never meet another database."""
    stem = f"{path.name}.{moment(now).replace(':', '')}"
    old = path.with_name(stem)
    number = 1
    while old.exists():
        number += 1
        old = path.with_name(f"{stem}-{number}")
    for log in _LOGS:
        with suppress(FileNotFoundError):
            path.with_name(f"{path.name}{log}").rename(old.with_name(f"{old.name}{log}"))
    path.rename(old)
    return old


def _discard(path: Path) -> None:
    for suffix in ("", *_LOGS):
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
