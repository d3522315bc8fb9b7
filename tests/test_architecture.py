"""What holds the parts apart: imports point one way, chance and time come through the ports, modules stay readable."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("syncengine", "connectors")
MODULES = sorted(path.relative_to(ROOT).as_posix() for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

NONDETERMINISTIC = frozenset(
    {"time", "random", "secrets", "uuid", "threading", "asyncio", "concurrent", "multiprocessing", "_thread"}
)
CLOCKS = re.compile(r"\b(datetime\.(now|utcnow|today)|date\.today|os\.urandom|getrandom)\(")
EXEMPT = {
    "syncengine/engine/ports.py": "these are the ports",
    "syncengine/engine/pacing.py": "a lock: pool threads share one pacer; its time comes from the clock port",
    "syncengine/http/": "deadlines of requests, measured by the monotonic clock; no decision of a sync hangs on them",
    "syncengine/daemon/life.py": "the daemon's threads begin and end here; its time comes from the clock port",
    "syncengine/daemon/chores.py": "a thread of its own, which waits to be woken; its time comes from the clock port",
    "syncengine/daemon/server.py": "uvicorn's thread",
    "syncengine/daemon/service.py": "a condition: workers wait at it for jobs; its time comes from the clock port",
    "syncengine/daemon/keeper.py": "a lock: the web's threads share one connection to the state",
    "syncengine/daemon/metrics.py": "a lock: every thread counts",
    "syncengine/daemon/hooks.py": "deliveries wait on the web's event loop for the commit they share",
    "syncengine/daemon/bodies.py": "a slow sender is cut off",
    "syncengine/log.py": "log lines carry the time",
    "syncengine/testing/simulate/": "its chance is one seeded generator; it times itself to say how fast it is",
    "syncengine/testing/conformance/themes/": "sends from several threads, and takes `sleep` away from connectors",
    "syncengine/testing/memory/": "a lock: connectors are called from several threads",
    "connectors/sql/": "a lock, and UUID as the type of a value; none is made",
    "connectors/kizen/server/": "the far side: a server with a clock, ids, faults and lag of its own",
}
"""Modules, or folders, that may import what is nondeterministic, with the reason."""

MOST_LINES = 400
LONG = {
    "syncengine/connector.py": "the contract is one file, so that an author reads one file",
    "syncengine/testing/conformance/bench.py": "everything that the kit's tests say, in one vocabulary",
    "syncengine/testing/memory/resource.py": "the reference implementation of every capability",
    "connectors/kizen/listing.py": "the platform's three ways to list, which share their cursors",
    "connectors/sql/mariadb.py": "one dialect, one file",
    "connectors/sql/postgres.py": "one dialect, one file",
}
"""Modules that are longer than one sitting, with the reason."""


def test_imports_point_one_way():
    """The contracts of import-linter in pyproject.toml hold."""
    if importlib.util.find_spec("importlinter") is None:
        pytest.skip("import-linter is not installed (extra `dev`)")
    linter = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert linter is not None
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_time_chance_and_threads_come_through_the_ports():
    """One number reproduces a simulated run because nothing else asks the machine."""
    found = {}
    for name in MODULES:
        text = (ROOT / name).read_text("utf-8")
        uses = set(imported(ast.parse(text))) & NONDETERMINISTIC | {match[0] for match in CLOCKS.finditer(text)}
        if uses and not any(name.startswith(exempt) for exempt in EXEMPT):
            found[name] = sorted(uses)
    assert found == {}


def test_modules_can_be_read_in_one_sitting():
    lengths = {name: len((ROOT / name).read_text("utf-8").splitlines()) for name in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES and name not in LONG} == {}


def test_exemptions_name_what_there_is():
    assert [name for name in (*EXEMPT, *LONG) if not (ROOT / name).exists()] == []


def test_nothing_is_left_for_later():
    """No mark of unfinished work in what is shipped, tested or documented."""
    marks = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "HA" + "CK")))
    files = [ROOT / name for name in MODULES] + [
        ROOT / "README.md",
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "tests").rglob("*.py"),
    ]
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if re.search(rf"\b(?:{marks.pattern})\b", line)
    ]
    assert found == []
