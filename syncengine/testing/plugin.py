"""
The pytest plugin of the kit: the marker `conformance`, and after the run what each connector was held to.

`-m conformance` selects the kit's tests. The report names every capability of every class as tested, undeclared, waived,
failed, or declared but not tested; `--conformance-report=full|short|off`, by default short where there are many classes.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

import pytest

_ENDINGS = ("passed", "failed", "skipped", "xfailed")
_MANY = 8
_PROPERTY = "conformance"
"""Mirrors `syncengine.testing.conformance.report.PROPERTY`, which is dear to import."""

# The kit asserts in the words of the contract; rewritten, its assertions show the values too.
pytest.register_assert_rewrite("syncengine.testing.conformance")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much the report says."""
    group = parser.getgroup("syncengine")
    group.addoption(
        "--conformance-report",
        choices=("auto", "full", "short", "off"),
        default="auto",
        help="what the conformance kit's report says: every capability (full), one line a class (short), nothing (off)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "conformance: a test of syncengine's conformance kit, on a connector")


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Mark the kit's tests."""
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item.function, "__conformance__"):
            item.add_marker("conformance")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the kit's skips stand in one place, so that a run's summary counts each reason once."""
    report = yield
    if item.get_closest_marker("conformance") is not None and report.skipped and isinstance(report.longrepr, tuple):
        report.longrepr = ("conformance kit", 0, report.longrepr[2])
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the report."""
    wanted = config.getoption("conformance_report")
    noted = [
        (ended, report)
        for ended in _ENDINGS
        for report in terminalreporter.stats.get(ended, ())
        if any(_is_ours(name, value) for name, value in getattr(report, "user_properties", ()))
    ]
    if wanted == "off" or not noted:
        return
    # Imported here: whoever has syncengine installed and tests something else shall not pay for the kit.
    from syncengine.testing.conformance.report import Observed, note_from, standings, summary

    observed: dict[str, list[Observed]] = {}
    for ended, report in noted:
        note = note_from(report.user_properties)
        if note is not None:
            file = report.nodeid.partition("::")[0]
            observed.setdefault(f"{note.kind} ({file})", []).append(Observed(note=note, ended=ended))
    terminalreporter.section("connector conformance")
    for kind, each in observed.items():
        if wanted == "full" or (wanted == "auto" and len(observed) <= _MANY):
            for line in summary(kind, each):
                terminalreporter.write_line(line)
        else:
            found = list(standings(each).values())
            counts = ", ".join(f"{found.count(one)} {one.value}" for one in dict.fromkeys(found))
            terminalreporter.write_line(f"{kind}: {counts}")
    if wanted == "auto" and len(observed) > _MANY:
        terminalreporter.write_line("--conformance-report=full names the capabilities")


def _is_ours(name: str, value: object) -> bool:
    """Whether a property of a test is a note of the kit; others may use the word too."""
    return name == _PROPERTY and isinstance(value, dict) and {"kind", "sentences", "qualities"} <= value.keys()
