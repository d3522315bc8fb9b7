"""The pytest plugin works in a stranger's folder, and nobody who merely has syncengine installed notices it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

KIT = """
import pytest
from syncengine.connector import Field
from syncengine.testing.conformance import ConnectorConformance, World
from syncengine.testing.memory import SIMPLE, MemoryConnector, MemoryWorld


class TestMine(ConnectorConformance):
    world = World(resource="people", seed_fields={"name": "Ada"}, editable="name")

    @pytest.fixture
    def connector(self):
        world = MemoryWorld()
        world.add("people", [Field(name="name")], capabilities=SIMPLE)
        yield MemoryConnector(world)
"""


@pytest.fixture(autouse=True)
def _installed():
    """The plugin is found by its entry point, as pytest finds it."""
    if not any(each.value == "syncengine.testing.plugin" for each in entry_points(group="pytest11")):
        pytest.fail("the entry point `pytest11` is not installed: pip install --editable . --no-deps")


def run(folder, *arguments):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, timeout=300, check=False)


def test_a_connectors_test_file_is_all_that_is_needed(tmp_path):
    """No conftest, no setting: the kit is marked, run, and reported capability by capability."""
    (tmp_path / "test_mine.py").write_text(KIT)
    done = run(tmp_path, "-q", "--strict-markers", "-W", "error")
    assert done.returncode == 0, done.stdout
    assert "connector conformance" in done.stdout
    assert "TestMine (test_mine.py)" in done.stdout
    assert re.search(r"^  tested: .*updates", done.stdout, re.MULTILINE)
    whole = run(tmp_path, "-q", "--collect-only", "-m", "conformance")
    none = run(tmp_path, "-q", "--collect-only", "-m", "not conformance")
    assert "test_mine.py::TestMine::test_hostile_text[nul]" in whole.stdout
    assert "no tests collected" in none.stdout


@pytest.mark.parametrize("outcome", ["pass", "fail"])
def test_an_ordinary_run_is_what_it_was(tmp_path, outcome):
    """The same output with and without the plugin, and nothing of ours but two small modules is imported."""
    (tmp_path / "test_ordinary.py").write_text(
        "import sys\n\n\ndef test_ordinary(record_property):\n"
        "    record_property('conformance', 'another meaning')\n"
        f"    assert {outcome == 'pass'}\n"
    )
    (tmp_path / "conftest.py").write_text(
        "import atexit, sys\n"
        "def told():\n"
        "    print('LOADED', *sorted(m for m in sys.modules if m.startswith(('syncengine', 'pydantic', 'httpx', 'structlog'))))\n"
        "atexit.register(told)\n"
    )
    arguments = ("-q", "--strict-markers", "--strict-config", "-W", "error")
    with_plugin = run(tmp_path, *arguments)
    without = run(tmp_path, *arguments, "-p", "no:syncengine")
    assert with_plugin.returncode == without.returncode == (outcome == "fail")
    printed, _, loaded = with_plugin.stdout.partition("LOADED")
    assert without_times(printed) == without_times(without.stdout.partition("LOADED")[0])
    ours = {name for name in loaded.split() if name.startswith("syncengine")}
    assert ours <= {"syncengine", "syncengine.testing", "syncengine.testing.plugin"}


def without_times(text):
    return re.sub(r"0x[0-9a-f]+", "ADDRESS", re.sub(r"\d+\.\d+s", "T", text))


def test_reports_can_be_switched_off_and_short(tmp_path):
    (tmp_path / "test_mine.py").write_text(KIT)
    off = run(tmp_path, "-q", "-k", "test_every_live_record_is_listed", "--conformance-report=off")
    short = run(tmp_path, "-q", "-k", "test_every_live_record_is_listed", "--conformance-report=short")
    assert "connector conformance" not in off.stdout
    assert re.search(r"^TestMine \(test_mine\.py\): \d+ ", short.stdout, re.MULTILINE)
