"""How the kit treats its users: skips with reasons, strict waivers, no overriding, a report of what was tested."""

from __future__ import annotations

import sys
import textwrap
from importlib.metadata import entry_points

import pytest

from syncengine.testing.conformance import ConnectorConformance, Waiver, World
from syncengine.testing.conformance.report import Note, Observed, Standing, note_from, standings, summary

WORLD = World(resource="people", seed_fields={"email": "a@x", "name": "Ada"}, editable="name")

PLUGIN = (
    []
    if any(each.value == "syncengine.testing.plugin" for each in entry_points(group="pytest11"))
    else ["-p", "syncengine.testing.plugin"]
)
"""The plugin loads by itself where the installed package says so; asking for it twice is an error."""

FILE = """
import pytest
from syncengine.connector import Field, FieldType
from syncengine.testing.conformance import ConnectorConformance, Waiver, World
from syncengine.testing.memory import SIMPLE, FULL, Manners, MemoryConnector, MemoryWorld, trim

class TestAcme(ConnectorConformance):
    world = World(resource="people", seed_fields={"email": "a@x", "name": "Ada"}, editable="name")
    waivers = (%s)

    @pytest.fixture
    def connector(self):
        world = MemoryWorld()
        fields = [Field(name="email", unique=True), Field(name="name", type=FieldType.TEXT)]
        world.add("people", fields, capabilities=%s, manners=Manners(normalise={"name": trim} if %s else {}))
        connector = MemoryConnector(world)
        yield connector
        connector.close()
"""


class Results:
    def __init__(self):
        self.reports = []

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.skipped or report.failed:
            self.reports.append(report)

    def of(self, name):
        [report] = [each for each in self.reports if each.nodeid.endswith(f"::{name}")]
        return report


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    """Run the kit on a memory connector in a pytest of its own: results and what was printed."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def run(chosen, *, waivers="", capabilities="SIMPLE", trims=False, options=()):
        file = tmp_path / "test_acme.py"
        file.write_text(textwrap.dedent(FILE) % (waivers, capabilities, trims))
        monkeypatch.delitem(sys.modules, "test_acme", raising=False)
        results = Results()
        plugin = [*PLUGIN, "-p", "no:cacheprovider", "-o", "addopts=", "--rootdir", str(tmp_path)]
        code = pytest.main(
            [str(file), "-k", chosen, "-rsx", "-c", str(tmp_path / "none.ini"), *plugin, *options], plugins=[results]
        )
        return code, results, capsys.readouterr().out

    (tmp_path / "none.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    return run


def test_what_is_not_declared_is_skipped_with_the_reason(run):
    code, results, printed = run("test_a_stale_update_changes_nothing")
    assert code == pytest.ExitCode.OK
    assert results.of("test_a_stale_update_changes_nothing").longrepr[2] == "Skipped: does not declare conditional_writes"
    assert "does not declare conditional_writes" in printed


def test_what_the_test_file_does_not_give_is_skipped_with_the_reason(run):
    _, results, _ = run("test_an_expired_cursor_raises or outlives_the_connector", capabilities="FULL")
    assert "far_side has no `expire_cursors`" in results.of("test_an_expired_cursor_raises").longrepr[2]
    assert "`reopen`" in results.of("test_an_id_outlives_the_connector").longrepr[2]


def test_a_waived_test_that_fails_is_expected_and_reported(run):
    waivers = 'Waiver("test_hostile_text[blanks_at_the_ends]", reason="it trims"),'
    code, results, printed = run("test_hostile_text and blanks_at", waivers=waivers, trims=True)
    assert code == pytest.ExitCode.OK
    assert results.of("test_hostile_text[blanks_at_the_ends]").wasxfail == "waived: it trims"
    assert "waiver of test_hostile_text[blanks_at_the_ends]: it trims" in printed


def test_a_waived_test_that_passes_is_a_failure(run):
    waivers = 'Waiver("test_hostile_text[blanks_at_the_ends]", reason="it trims"),'
    code, results, _ = run("test_hostile_text and blanks_at", waivers=waivers)
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "XPASS(strict)" in str(results.of("test_hostile_text[blanks_at_the_ends]").longrepr)


@pytest.mark.parametrize(("row", "ending"), [("blanks_at_the_ends", pytest.ExitCode.TESTS_FAILED), ("no_such", None)])
def test_a_waiver_is_no_licence_to_bend_text(run, row, ending):
    """Waived text has to be refused: what is stored as something else fails another test, and so does a made-up waiver."""
    waivers = f'Waiver("test_hostile_text[{row}]", reason="it trims"),'
    code, _, printed = run("test_text_that_is_waived", waivers=waivers, trims=True)
    assert code == (ending or pytest.ExitCode.INTERRUPTED)
    assert ("stored as something else" if ending else "no such test") in printed


def test_the_report_lists_tested_undeclared_and_failed(run):
    _, _, printed = run("partial or deleted or stale or hostile_text or unnamed or does_not_name", options=["-m", "conformance"])
    report = printed.partition("connector conformance")[2]
    assert "TestAcme" in report
    assert "tested: updates, partial_updates, deletes" in report
    assert "undeclared: conditional_writes" in report


def test_the_report_can_be_short_or_off(run):
    chosen = "test_a_deleted_record_is_gone"
    assert "1 tested" in run(chosen, options=["--conformance-report=short"])[2]
    assert "connector conformance" not in run(chosen, options=["--conformance-report=off"])[2]


def test_a_kit_test_cannot_be_overridden():
    with pytest.raises(TypeError, match="test_nothing_is_printed"):

        class Silenced(ConnectorConformance):
            world = WORLD

            def test_nothing_is_printed(self): ...


@pytest.mark.parametrize(
    ("waiver", "wrong"),
    [
        (Waiver("test_nothing_is_printed", reason=" "), "needs a reason"),
        (Waiver("test_no_such_thing", reason="because"), "no such test"),
        (Waiver("test_hostile_text[no_such_row]", reason="because"), "no such test"),
        (Waiver("test_hostile_text", reason="because"), "no such test"),
    ],
)
def test_a_waiver_needs_a_reason_and_a_test(waiver, wrong):
    with pytest.raises(TypeError, match=wrong):
        type("Waived", (ConnectorConformance,), {"world": WORLD, "waivers": (waiver,)})


def note(*qualities, undeclared=(), waiver=""):
    return Note(
        kind="TestAcme",
        sentences=(1,),
        qualities=qualities,
        undeclared=undeclared,
        missing=(),
        lacking=(),
        waiver=waiver,
        reason="so",
    )


@pytest.mark.parametrize(
    ("seen", "standing"),
    [
        ([("passed", ()), ("passed", ())], Standing.TESTED),
        ([("passed", ()), ("failed", ()), ("xfailed", ())], Standing.FAILED),
        ([("passed", ()), ("xfailed", ())], Standing.WAIVED),
        ([("skipped", ())], Standing.UNTESTED),
        ([("skipped", ("lag",))], Standing.UNDECLARED),
        ([("skipped", ("lag",)), ("passed", ("lag",))], Standing.UNDECLARED),
        ([], Standing.UNTESTED),
    ],
)
def test_a_capability_stands_as_its_loudest_test(seen, standing):
    observed = [Observed(note=note("lag", undeclared=undeclared), ended=ended) for ended, undeclared in seen]
    assert standings(observed)["lag"] is standing


def test_a_note_crosses_processes():
    """pytest-xdist turns tuples into lists on the way."""
    kept = note("lag", waiver="test_x")
    name, value = kept.as_property()
    travelled = {key: list(each) if isinstance(each, tuple) else each for key, each in value.items()}
    assert note_from([("other", 1), (name, travelled)]) == kept
    assert note_from([("other", 1)]) is None


def test_a_summary_names_waivers_with_their_reasons():
    lines = summary("TestAcme", [Observed(note=note("lag", waiver="test_x"), ended="xfailed")])
    assert lines[0] == "TestAcme"
    assert "  waived: lag" in lines
    assert lines[-1] == "  waiver of test_x: so"
