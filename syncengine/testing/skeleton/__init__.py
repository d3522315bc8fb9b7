"""
The skeleton of a connector's package: a small, working connector with its conformance test, under another name.

The templates beside this module are about a connector called `acme`; `write` puts another name in its place.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from syncengine.errors import SyncError

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 40
_FILES: Mapping[str, str] = {
    "pyproject.toml": "pyproject.toml.template",
    "README.md": "README.md.template",
    "syncengine_acme/__init__.py": "module.py.template",
    "syncengine_acme/py.typed": "",
    "tests/test_acme.py": "tests.py.template",
}
"""Where each file goes, and its template."""


def skeleton(name: str) -> dict[str, str]:
    """
    The files of a package that brings the connector `name`, by path.

    Raises SyncError for a name that configs, distributions and modules could not all share.
    """
    if not _NAME.fullmatch(name) or len(name) > _LONGEST or keyword.iskeyword(name):
        msg = f"{name!r} cannot name a connector: take small letters, digits and single dashes, such as my-crm"
        raise SyncError(msg)
    folder = files(__name__)
    return {
        _renamed(path, name): _renamed((folder / template).read_text("utf-8"), name) if template else ""
        for path, template in _FILES.items()
    }


def write(name: str, parent: Path) -> list[Path]:
    """Write the package `syncengine-NAME` into a folder; returns what was written. Raises SyncError if it is there."""
    contents = skeleton(name)
    target = parent / f"syncengine-{name}"
    try:
        target.mkdir()
    except FileExistsError:
        msg = f"{target} is there already: take another name, or --folder another place"
        raise SyncError(msg) from None
    except FileNotFoundError:
        msg = f"there is no folder {parent}: make it first"
        raise SyncError(msg) from None
    written = []
    for path, text in contents.items():
        file = target / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        written.append(file)
    return written


def _renamed(text: str, name: str) -> str:
    module = name.replace("-", "_")
    text = text.replace("syncengine_acme", f"syncengine_{module}").replace("test_acme", f"test_{module}")
    return text.replace("TestAcme", f"Test{name.title().replace('-', '')}").replace("acme", name)
