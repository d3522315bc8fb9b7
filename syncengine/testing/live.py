"""
The conformance kit against a live sandbox, without a test file: what `syncengine connectors test` does where pytest is there.

The rows of hostile text are left to the capability card: what a system makes of them is its manner, not a breach.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from syncengine.testing.conformance.world import World

_OF_THE_CARD = frozenset({"test_hostile_text", "test_text_that_is_waived_is_refused_and_not_bent"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """
    A place to try things in: `open` gives a connector of its own to each test, `world` describes the resource to the test
    with this number. Worlds differ in their namespace: what an archive remembers of one test is not to trouble the next.
    """

    open: Callable[[], Any]
    world: Callable[[int], World]


@dataclass(slots=True, kw_only=True)
class Verdicts:
    """How the kit's tests ended; `failed` holds, by test, the contract's words for what was broken."""

    passed: int = 0
    skipped: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """In values that JSON has."""
        failed = [{"test": test, "why": why} for test, why in self.failed.items()]
        return {"passed": self.passed, "skipped": self.skipped, "failed": failed}


def can_run() -> bool:
    """Whether pytest is installed, without which there are only cards."""
    return importlib.util.find_spec("pytest") is not None


def run_kit(sandbox: Sandbox) -> Verdicts:
    """Put a sandbox to every test of the kit that suits it."""
    import pytest

    from syncengine.testing import live_contract

    class Plugin:
        """Hands the sandbox to the tests, and takes down how they end."""

        def __init__(self) -> None:
            self.verdicts = Verdicts()
            self._tests = 0

        @pytest.fixture(scope="session")
        def sandbox(self) -> Sandbox:
            return sandbox

        @pytest.fixture
        def sandbox_world(self) -> World:
            self._tests += 1
            return sandbox.world(self._tests)

        def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
            items[:] = [item for item in items if getattr(item, "originalname", "") not in _OF_THE_CARD]

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            name = report.nodeid.rpartition("::")[2]
            if report.failed:
                self.verdicts.failed[name] = _why(report)
            elif report.skipped:
                self.verdicts.skipped += 1
            elif report.when == "call":
                self.verdicts.passed += 1

    plugin = Plugin()
    with tempfile.TemporaryDirectory(prefix="syncengine-kit-") as folder:
        config = Path(folder) / "pytest.ini"
        config.write_text("[pytest]\n", encoding="utf-8")
        # The settings and plugins of whatever project the command is called in are no business of this run.
        arguments = ["-c", str(config), f"--rootdir={folder}", "-p", "no:cacheprovider", "-p", "no:terminal"]
        status = pytest.main([*arguments, "--import-mode=importlib", str(live_contract.__file__)], plugins=[plugin])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        plugin.verdicts.failed.setdefault("the run itself", f"it did not come to its end ({pytest.ExitCode(status).name})")
    return plugin.verdicts


def _why(report: Any) -> str:
    """The first line of what a test complained about: the kit's own words, free of values."""
    crash = getattr(report.longrepr, "reprcrash", None)
    message: str = crash.message if crash is not None else str(report.longrepr)
    return message.split("\n", 1)[0].removeprefix("AssertionError: ")
