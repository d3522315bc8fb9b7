"""Which files a configured `path` means, and what the operating system lets us do with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from connectors.files.disk import failure, opened
from connectors.files.layout import Format, R
from syncengine.connector import Account, Resource
from syncengine.errors import ResourceError


class Places:
    """One file, or the files with the kind's suffix in one folder; resources are named by file stem."""

    def __init__(self, path: Path, kind: Format[R]) -> None:
        self._path = path
        self._suffix = kind.suffix
        self._cure = kind.missing_cure

    def names(self) -> list[str]:
        """The resources that are there."""
        return sorted(self._files())

    def path(self, name: str) -> Path:
        """The real path of a resource's file. Raises `ResourceError` if there is none."""
        try:
            path = self._files()[name]
        except KeyError:
            raise ResourceError(self._missing(name)) from None
        try:
            return path.resolve(strict=True)
        except OSError as error:
            raise failure(error, path, "read") from error
        except RuntimeError as error:  # a loop of symbolic links, in Python 3.11 and 3.12
            raise ResourceError(f"{path} is a symbolic link that leads back to itself: correct `path`") from error

    def require(self, name: str) -> None:
        """Raise KeyError, with the cure, for a resource that is not there."""
        if name not in self._files():
            raise KeyError(self._missing(name))

    def check(self) -> Account:
        """Prove that every file can be opened; say what cannot be written."""
        files = self._files()
        notes: list[str] = []
        if self._path.is_dir() and not files:
            notes.append(f"the folder {self._path} has no *{self._suffix} file yet: {self._cure}")
        for name in sorted(files):
            opened(files[name]).close()
            notes.extend(self.write_notes(files[name].resolve()))
        return Account(id=str(self._path.resolve()), label=str(self._path), notes=tuple(notes))

    def write_notes(self, path: Path) -> tuple[str, ...]:
        """What stands in the way of writing the file."""
        if not os.access(path, os.W_OK, effective_ids=True):
            return (f"{path} is read-only for this user: it can be read from, not written to",)
        if not os.access(path.parent, os.W_OK, effective_ids=True):
            return (f"the folder {path.parent} is read-only for this user: {path.name} cannot be replaced there",)
        return ()

    def _missing(self, name: str) -> str:
        if self._path.is_dir():
            return f"{self._path} has no file {name}{self._suffix}: {self._cure}, or correct the resource's name"
        return f"{self._path} is one file, the resource {self._path.stem!r}; there is no resource {name!r} in it"

    def _files(self) -> dict[str, Path]:
        try:
            if not self._path.is_dir():
                self._path.lstat()
                return {self._path.stem: self._path}
            with os.scandir(self._path) as entries:
                found = [Path(entry.path) for entry in entries if not entry.name.startswith((".", "~$"))]
        except FileNotFoundError as error:
            raise ResourceError(f"{self._path} does not exist: correct `path`, or {self._cure}") from error
        except OSError as error:
            raise failure(error, self._path, "read") from error
        files: dict[str, Path] = {}
        for path in sorted(found):
            if path.suffix.casefold() != self._suffix or path.is_dir():
                continue
            if path.stem in files:
                raise ResourceError(f"{path} and {files[path.stem]} are the same resource {path.stem!r}: rename one of them")
            files[path.stem] = path
        return files


class Resources(Mapping[str, Resource]):
    """The resources of a place, described when they are looked up."""

    def __init__(self, places: Places, describe: Callable[[str], Resource]) -> None:
        self._places = places
        self._describe = describe

    def __getitem__(self, name: str) -> Resource:
        self._places.require(name)
        return self._describe(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places.names())

    def __len__(self) -> int:
        return len(self._places.names())

    def __contains__(self, name: object) -> bool:
        return name in self._places.names()
