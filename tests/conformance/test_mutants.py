"""Who tests the tests: every mutant of the memory connector fails a test of the kit that names what it breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncengine.testing.conformance.base import kit_tests
from syncengine.testing.conformance.demand import Demand, demand_of
from tests.conformance.mutants import MUTANTS


class Court:
    """Selects the tests that have to do with what a mutant breaks, and takes down which of them failed."""

    def __init__(self) -> None:
        self.failed: dict[str, set[str]] = {name: set() for name in MUTANTS}
        self.ran = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, collector: object, name: str, obj: object) -> list[pytest.Item] | None:
        beside_the_point = isinstance(collector, pytest.Class) and name.startswith("test_") and callable(obj)
        if beside_the_point and not accuses(mutant_of(collector.nodeid), name, demand_of(obj)):
            return []
        return None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.ran += report.when == "call"
        if report.failed and report.when == "call":
            self.failed[mutant_of(report.nodeid)].add(report.nodeid.rpartition("::")[2])


def mutant_of(nodeid: str) -> str:
    return nodeid.split("::")[1].removeprefix("Test")


def accuses(mutant_name: str, test_name: str, demand: Demand) -> bool:
    """Whether a test is about what the mutant breaks."""
    mutant = MUTANTS[mutant_name]
    if test_name == "test_the_source_keeps_off_clock_sleep_print_and_chance":
        return mutant.in_its_source
    same_words = bool(mutant.words) and mutant.words in demand.clauses
    return bool(mutant.sentences & set(demand.sentences) or mutant.qualities & set(demand.qualities) or same_words)


@pytest.fixture(scope="module")
def court() -> Court:
    court = Court()
    file = Path(__file__).with_name("mutants.py")
    quiet = ["--tb=no", "-q", "--no-header", "--no-summary", "-p", "no:cacheprovider"]
    options = ["-o", "addopts=", "-o", "python_files=mutants.py", "--import-mode=importlib"]
    pytest.main([str(file), *quiet, *options], plugins=[court])
    assert court.ran, "the mutants were not tried"
    return court


@pytest.mark.parametrize("name", MUTANTS)
def test_each_mutant_fails_a_test_that_names_what_it_breaks(court: Court, name: str) -> None:
    assert court.failed[name], f"the kit does not notice {name}"


def test_every_theme_of_the_contract_has_mutants() -> None:
    """Every numbered sentence is broken by some mutant."""
    broken = set().union(*(mutant.sentences for mutant in MUTANTS.values()))
    named = {number for test in kit_tests().values() for number in demand_of(test).sentences}
    assert broken == named
