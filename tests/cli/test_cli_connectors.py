"""The way in for authors: a skeleton that works, a sandbox held to the contract, and the card that `check` and `plan` show."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from syncengine.cli.text import written
from syncengine.core.model import End
from syncengine.engine.cards import card_lines, card_path
from syncengine.testing.memory import load_world
from syncengine.testing.skeleton import skeleton


def test_a_new_connector_is_written_and_what_is_next_is_said(desk, here):
    code, out, _ = here("connectors", "new", "my-crm")
    assert code == 0
    lines = out.splitlines()
    assert lines[-1] == "Next: cd syncengine-my-crm && pip install --editable '.[dev]' && pytest"
    assert sorted(lines[:-1]) == sorted(f"syncengine-my-crm/{path}" for path in skeleton("my-crm"))
    assert all((desk.folder / line).is_file() for line in lines[:-1])
    code, _, err = here("connectors", "new", "my-crm")
    assert (code, err) == (1, "Failed: syncengine-my-crm is there already: take another name, or --folder another place\n")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("csv", "is installed already"),
        ("My-CRM", "cannot name a connector"),
        ("a b", "cannot name a connector"),
        ("../up", "cannot name a connector"),
        ("x" * 50, "cannot name a connector"),
        ("class", "cannot name a connector"),
    ],
)
def test_a_name_that_cannot_be_is_refused_before_anything_is_written(desk, here, name, said):
    before = sorted(desk.folder.rglob("*"))
    code, _, err = here("connectors", "new", name)
    assert code == 1
    assert said in err
    assert sorted(desk.folder.rglob("*")) == before


def test_a_folder_that_is_not_there_is_named(here):
    code, _, err = here("connectors", "new", "acme", "--folder", "nowhere")
    assert (code, err) == (1, "Failed: there is no folder nowhere: make it first\n")


def test_only_the_name_differs_between_two_skeletons():
    one, other = skeleton("acme"), skeleton("my-crm")
    for path, text in one.items():
        renamed = path.replace("acme", "my_crm")
        expected = text.replace("syncengine_acme", "syncengine_my_crm").replace("TestAcme", "TestMyCrm").replace("acme", "my-crm")
        assert other[renamed] == expected.replace("test_my-crm", "test_my_crm")
        assert "acme" not in other[renamed].casefold()


@pytest.mark.parametrize("name", ["acme", "my-rather-long-name-of-a-crm"])
def test_the_skeleton_passes_ruff_and_mypy(tmp_path, name):
    """Its own tests are run by the guide's; the length of a name breaks no line."""
    for tool in ("ruff", "mypy"):
        if importlib.util.find_spec(tool) is None:
            pytest.skip(f"{tool} is not installed (extra `dev`)")
    for path, text in skeleton(name).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    for command in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]):
        done = subprocess.run([sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr


# connectors test


def test_a_sandbox_is_tried_only_with_a_persons_word(desk, here):
    code, _, err = here("connectors", "test", "crm")
    assert code == 2
    assert "makes, changes and removes records of its own in crm.people" in err
    assert "The pair contacts keeps it the same" in err
    assert "--yes" in err
    assert len(desk.records("crm")) == 2
    assert not card_path(desk.folder, "crm").exists()


def test_on_a_terminal_it_is_asked(desk):
    code, shown = desk.terminal("connectors", "test", "crm", keys="n\n")
    assert "Is it a sandbox?" in shown
    assert code == 130
    assert not card_path(desk.folder, "crm").exists()


def test_a_sandbox_that_keeps_the_contract_gets_its_card_and_is_left_as_it_was(desk):
    before = load_world(desk.folder / "crm.json")["people"].records()
    done = desk.user("connectors", "test", "crm", "--yes")
    assert done.returncode == 0, done.stderr
    assert load_world(desk.folder / "crm.json")["people"].records() == before
    assert "0 tests fail" in done.stdout
    assert done.stdout.splitlines()[-1] == "card      crm.card.json"
    told = json.loads(card_path(desk.folder, "crm").read_text())
    assert (told["system"], told["connector"]) == ("crm", "memory")
    card = told["resources"]["people"]
    assert card["contract"]["failed"] == []
    assert card["contract"]["passed"] > 50
    assert "ada@example.com" not in json.dumps(told)


@pytest.fixture
def quick(monkeypatch):
    """Cards only: the kit is run above."""
    monkeypatch.setattr("syncengine.testing.live.can_run", lambda: False)


def test_check_and_plan_show_what_the_card_found(desk, here, quick):
    crm = desk.folder / "crm.json"
    told = json.loads(crm.read_text())
    told["resources"]["people"]["manners"] = {"normalise": {"first_name": "trim"}}
    crm.write_text(json.dumps(told))
    code, out, _ = here("connectors", "test", "crm", "--yes")
    assert code == 0
    assert "not tested: that needs pytest" in out
    _, out, _ = here("check")
    [line] = [line for line in out.splitlines() if "by its card of" in line]
    assert line.startswith("ok    pairs.contacts.left: crm.people: by its card of ")
    assert "text: blanks at the ends (is trimmed)" in line
    _, out, _ = here("plan")
    [line] = [line for line in out.splitlines() if "by its card of" in line]
    assert line.startswith("  note     crm.people: by its card of ")


def test_cards_of_other_resources_stay_and_another_file_may_be_named(desk, here, quick):
    path = card_path(desk.folder, "crm")
    path.write_text(json.dumps({"system": "crm", "resources": {"deals": {"kept": True}}}))
    assert here("connectors", "test", "crm", "--yes")[0] == 0
    assert json.loads(path.read_text())["resources"].keys() == {"deals", "people"}
    code, out, _ = here("connectors", "test", "crm", "--yes", "--card", "here.json", "--json")
    assert code == 0
    assert json.loads(out)["card"] == "here.json"
    path.write_text("no card")
    code, _, err = here("connectors", "test", "crm", "--yes")
    assert code == 1
    assert "is no capability card" in err
    assert path.read_text() == "no card"


def test_what_is_not_there_or_must_not_be_written_is_said(desk, here, quick):
    assert "name one of: crm, office" in here("connectors", "test", "memory", "--yes")[2]
    assert "there is no system 'shop'" in here("connectors", "test", "shop", "--yes")[2]
    assert "--resource takes one of: people" in here("connectors", "test", "crm", "--resource", "deals", "--yes")[2]
    desk.config.write_text(desk.config.read_text().replace('path = "crm.json"', 'path = "crm.json"\nread_only = true'))
    code, _, err = here("connectors", "test", "crm", "--yes")
    assert code == 2
    assert "systems.crm: is read_only, and a test writes" in err


def test_a_resource_whose_records_cannot_be_made_up_needs_a_test_file(desk, here, quick):
    crm = desk.folder / "crm.json"
    crm.write_text(
        crm.read_text().replace('"phone": {}', '"phone": {"choices": ["only this"], "required": true, "max_length": 1}')
    )
    code, _, err = here("connectors", "test", "crm", "--yes")
    assert code == 1
    assert "it needs a test file of its own" in err
    assert not card_path(desk.folder, "crm").exists()


# cards


FINDING = {"subject": "text: nul", "verdict": "cannot", "declared": None, "surprising": False, "detail": "Rejected"}
CARD = {"measured_at": "2026-11-23T10:00:00+00:00", "account": "1", "findings": [FINDING]}
PEOPLE = End(system="crm", resource="people")


def lines_of(path, card, account="1"):
    path.write_text(json.dumps({"resources": {"people": card}}))
    return card_lines(path, PEOPLE, place="p", account=account)


def test_a_card_says_what_is_not_possible_and_what_is_otherwise_than_declared(tmp_path):
    path = tmp_path / "crm.card.json"
    [line] = lines_of(path, CARD)
    assert (line.ok, line.text) == (True, "crm.people: by its card of 2026-11-23, not possible: text: nul (Rejected)")
    [line] = lines_of(path, CARD, account="2")
    assert "taken on another account" in line.text
    boast = FINDING | {"subject": "restores", "declared": True, "surprising": True}
    [line] = lines_of(path, CARD | {"findings": [boast]})
    assert (line.ok, line.text) == (False, "crm.people: by its card of 2026-11-23, restores: declared, and not so")
    assert "connectors test" in line.cure
    [line] = lines_of(path, CARD | {"findings": [], "contract": {"failed": [{"test": "test_x", "why": "it lost a record"}]}})
    assert not line.ok
    assert line.text.endswith("breaks its contract: it lost a record (test_x)")


def test_without_a_card_nothing_is_said_and_a_broken_one_is_named(tmp_path):
    path = tmp_path / "crm.card.json"
    assert card_lines(path, PEOPLE, place="p", account="1") == []
    assert card_lines(path, PEOPLE, place="p", account="1") == []
    path.write_text(json.dumps({"resources": {}}))
    assert card_lines(path, PEOPLE, place="p", account="1") == []
    for text in ("", "[]", "{}", '{"resources": []}', '{"resources": {"people": {}}}', '{"resources": {"people": []}}'):
        path.write_text(text)
        [line] = card_lines(path, PEOPLE, place="p", account="1")
        assert not line.ok
        assert str(path) in line.text
        assert line.cure


def test_a_broken_contract_is_named_by_test_in_the_kits_words():
    """A connector that forgets what it was sent fails the kit, and the summary says on what."""
    from syncengine.cli.trial import _lines
    from syncengine.connector import Capabilities
    from syncengine.testing.card import CapabilityCard
    from syncengine.testing.live import Verdicts

    card = CapabilityCard(account="1", resource="people", declared=Capabilities(), findings=())
    kit = Verdicts(passed=3, skipped=2, failed={"test_x": "a listing lacks a record (sentence 1)"})
    lines = [written(line) for line in _lines(card, kit, Path("c.json"))]
    assert lines[1:3] == [
        "contract  1 test fails, 3 pass, 2 do not apply here",
        "  FAIL  test_x: a listing lacks a record (sentence 1)",
    ]


def test_the_kit_finds_a_liar_live(tmp_path):
    """Run in a process of its own, as the command does: pytest inside pytest shares too much."""
    code = """
from dataclasses import replace
from syncengine.connector import Field
from syncengine.testing.card import world_for
from syncengine.testing.live import Sandbox, run_kit
from syncengine.testing.memory import SIMPLE, MemoryConnector, MemoryWorld

world = MemoryWorld()
world.add("people", [Field(name="email", unique=True), Field(name="name")], capabilities=SIMPLE)

class Liar(MemoryConnector):
    def read(self, resource, *, fields, cursor=None):
        for page in super().read(resource, fields=fields, cursor=cursor):
            yield replace(page, ids=page.ids[1:], rows=page.rows[1:], versions=None, modified_at=None)

resource = MemoryConnector(world).resources()["people"]
verdicts = run_kit(Sandbox(open=lambda: Liar(world), world=lambda n: world_for(resource, namespace=f"t{n}x")))
print(verdicts.failed["test_every_live_record_is_listed"])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout == "the listing lacks a live record (sentence 1)\n", done.stdout + done.stderr
