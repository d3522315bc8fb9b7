"""
The lock files that spreadsheet programs put beside a file they have open.

LibreOffice: `.~lock.NAME#`, one line `author,user,host,time,profile;`. Excel: `~$NAME`, a length byte and the user's name.
Both are removed when the program closes the file. A write under an open spreadsheet would be undone by its next save.
"""

from __future__ import annotations

from pathlib import Path

from syncengine.errors import TransientError

READ_AT_MOST = 4096


def refuse_open_elsewhere(path: Path) -> None:
    """Raise `TransientError` if a spreadsheet program has the file open, saying who and where if its lock file tells."""
    for program, lock, owner in (
        ("LibreOffice", path.with_name(f".~lock.{path.name}#"), _libreoffice_owner),
        ("Excel", path.with_name(f"~${path.name}"), _excel_owner),
    ):
        try:
            with lock.open("rb") as file:
                content = file.read(READ_AT_MOST)
        except FileNotFoundError:
            continue
        except OSError:
            content = b""  # it is there, and that is enough
        who = "".join(letter for letter in owner(content) if letter.isprintable()).strip()[:80]
        by = f" by {who}" if who else ""
        raise TransientError(
            f"{path} is open in {program}{by}: close it there, or delete {lock} if no program has the file open any more"
        )


def _libreoffice_owner(content: bytes) -> str:
    parts = content.decode("utf-8", "replace").split(",")
    author, user, host = (part.strip() for part in (*parts, "", "", "")[:3])
    name = author or user
    return f"{name} on {host}" if name and host else name


def _excel_owner(content: bytes) -> str:
    length = content[0] if content else 0
    return content[1 : 1 + length].decode("cp1252", "replace")
