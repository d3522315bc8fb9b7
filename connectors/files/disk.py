"""
What files do on disk: opening, telling whether one has changed, locking, and replacing one atomically.

The lock is an advisory `flock` on the data file itself, never waited for: it leaves no extra file behind in a folder that
people look into, and it ends with the process. Since a write renames a new file over the old one, the holder checks that
the path still leads to the file it locked.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from connectors.files.spreadsheets import refuse_open_elsewhere
from syncengine.errors import ConnectorError, ResourceError, TransientError

BLOCK = 1 << 20
REOPENS = 10


class ChangedError(Exception):
    """The file is not the one that was read; whoever catches this reads it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What tells one state of a file from another without reading it."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        return cls(
            device=status.st_dev,
            inode=status.st_ino,
            size=status.st_size,
            modified=status.st_mtime_ns,
            changed=status.st_ctime_ns,
        )


def failure(error: OSError, path: Path, doing: str) -> ConnectorError:
    """The classed error for what the operating system said while `doing` ("read", "write") something to `path`."""
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return ResourceError(f"{path} does not exist: correct `path`, or make the file")
        case errno.EACCES | errno.EPERM:
            return ResourceError(f"no permission to {doing} {path}: let the user that runs syncengine {doing} it")
        case errno.EROFS:
            return ResourceError(f"{path} cannot be written: it is on a read-only file system; mount it writable")
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            why = error.strerror or "no room"
            return ResourceError(f"no room to {doing} {path} ({why}): make room, nothing was changed")
        case errno.EISDIR:
            return ResourceError(f"{path} is a folder where a file is expected: correct `path`")
        case errno.ELOOP | errno.ENAMETOOLONG:
            return ResourceError(f"{path} cannot be followed ({error.strerror}): correct `path`")
        case errno.ENOLCK | errno.EOPNOTSUPP:
            return ResourceError(f"{path} cannot be locked on this file system ({error.strerror}): move it to a local disk")
        case _:
            return TransientError(f"could not {doing} {path}: {error.strerror or type(error).__name__}")


def opened(path: Path, *, flags: int = os.O_RDONLY, doing: str = "read") -> io.FileIO:
    """Open a regular file, unbuffered; anything else at that path is a `ResourceError`."""
    try:
        # O_NONBLOCK: opening a named pipe would otherwise wait for its writer.
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise failure(error, path, doing) from error
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return io.FileIO(descriptor, "r" if flags == os.O_RDONLY else "r+")
    os.close(descriptor)
    kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
    raise ResourceError(f"{path} is {kind} where a file is expected: correct `path`")


def stamp_of(file: io.FileIO) -> Stamp:
    return Stamp.of(os.fstat(file.fileno()))


def unchanged(file: io.FileIO, path: Path, stamp: Stamp) -> bool:
    """Whether both the open file and whatever the path leads to now are still in the state of `stamp`."""
    try:
        return stamp_of(file) == stamp and Stamp.of(path.stat()) == stamp
    except FileNotFoundError:
        return False
    except OSError as error:
        raise failure(error, path, "read") from error


@contextlib.contextmanager
def held(path: Path) -> Iterator[io.FileIO]:
    """
    The file, open and locked against other processes of ours.

    Raises `TransientError` when another one holds it. `path` is a real path: a symbolic link would be replaced.
    """
    refuse_open_elsewhere(path)
    for _ in range(REOPENS):
        with opened(path, flags=os.O_RDWR, doing="write") as file:
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise TransientError(f"{path} is being written by another syncengine process; try again later") from error
            except OSError as error:
                raise failure(error, path, "write") from error
            try:
                here = path.stat()
            except OSError as error:
                raise failure(error, path, "write") from error
            if os.path.samestat(here, os.fstat(file.fileno())):
                yield file
                return
    raise TransientError(f"{path} was replaced again and again while it was being locked; try again later")


@dataclass(frozen=True, slots=True, kw_only=True)
class Splice:
    """New content `put` in place of the bytes from `start` up to `end` of the old file."""

    start: int
    end: int
    put: bytes


def replace(path: Path, file: io.FileIO, stamp: Stamp, digest: bytes, splices: Sequence[Splice]) -> bool:
    """
    Put a changed copy of the file in its place, atomically; true when the new name is also known to be durable.

    `file` is the locked old file, `digest` the BLAKE2b-128 of the content that `splices` were worked out from, in
    ascending order without overlap. Raises `ChangedError` if the old file is not in that state any more, or a classed error; then
    the old file is as it was and no temporary file stays behind. Between the last look at the old file and the rename lie
    microseconds in which another program's save would be lost; POSIX offers nothing that closes this window.
    """
    # Named after the file we hold locked: nobody else writes under this name, and what a crash left is found again.
    temporary = path.with_name(f".{path.name}.{stamp.inode}.syncengine")
    try:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise failure(error, path.parent, "write") from error
    try:
        with os.fdopen(descriptor, "wb", buffering=BLOCK) as out:
            as_read = _copy(file, out, splices) == digest
            out.flush()
            _keep_attributes(file.fileno(), out.fileno())
            os.fsync(out.fileno())
        refuse_open_elsewhere(path)
        if as_read and unchanged(file, path, stamp):
            temporary.replace(path)
            return _make_durable(path.parent)
    except OSError as error:
        _discard(temporary)
        raise failure(error, path, "write") from error
    except BaseException:
        _discard(temporary)
        raise
    _discard(temporary)
    raise ChangedError


def _discard(temporary: Path) -> None:
    with contextlib.suppress(OSError):  # the trouble on its way up matters more; the next write removes it
        temporary.unlink(missing_ok=True)


def _copy(file: io.FileIO, out: BinaryIO, splices: Sequence[Splice]) -> bytes:
    """Write the old content with the splices in it; gives the digest of the old content as it was read for that."""
    seen = hashlib.blake2b(digest_size=16)
    file.seek(0)
    position = 0
    for splice in splices:
        for block in _blocks(file, splice.start - position):
            seen.update(block)
            out.write(block)
        out.write(splice.put)
        for block in _blocks(file, splice.end - splice.start):
            seen.update(block)
        position = splice.end
    while block := file.read(BLOCK):
        seen.update(block)
        out.write(block)
    return seen.digest()


def _blocks(file: io.FileIO, size: int) -> Iterator[bytes]:
    while size > 0 and (block := file.read(min(size, BLOCK))):
        size -= len(block)
        yield block


def _keep_attributes(old: int, new: int) -> None:
    status = os.fstat(old)
    # Only root may give a file away, and some file systems keep no owners or attributes: what can be kept is kept.
    with contextlib.suppress(OSError):
        os.fchown(new, -1, status.st_gid)
    with contextlib.suppress(OSError):
        os.fchown(new, status.st_uid, -1)
    os.fchmod(new, stat.S_IMODE(status.st_mode))
    with contextlib.suppress(OSError):
        for name in os.listxattr(old):
            with contextlib.suppress(OSError):
                os.setxattr(new, name, os.getxattr(old, name))


def _make_durable(folder: Path) -> bool:
    """Whether the folder's new entry surely survives a power cut."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        return error.errno == errno.EINVAL  # a file system without folder syncs: its renames are as durable as they get
    return True
