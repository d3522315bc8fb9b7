"""`syncengine` as a process of its own, and scripts that stand for it where a test must hold it at an exact place."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "syncengine.cli.main"]


def environment() -> dict[str, str]:
    """The tests' environment, with the repository on the path."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "TZ": "UTC"}


def run(
    folder: Path, *arguments: str, variables: Mapping[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with more environment variables."""
    told = {**environment(), **(variables or {})}
    return subprocess.run(
        [*COMMAND, *arguments], cwd=folder, env=told, capture_output=True, text=True, timeout=120, check=False, **options
    )


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a command; the caller waits for it."""
    return _popen([*COMMAND, *arguments], folder)


def start_script(folder: Path, script: str) -> subprocess.Popen[str]:
    """Start a Python script in a folder; the caller waits for it."""
    return _popen([sys.executable, "-c", script], folder)


def _popen(command: list[str], folder: Path) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environment(), stdin=pipe, stdout=pipe, stderr=pipe, text=True)
