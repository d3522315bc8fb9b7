"""The commands around the sync: connectors, config, quarantine, check."""

import json
import tomllib
from dataclasses import replace

from syncengine.config import config_schema
from syncengine.registry import Registry
from tests.support.desk import ADA, CONFIG, without_colors
from tests.support.json_schema import faults

EVE = {"email": "eve@example.com", "first_name": "Evelyn", "phone": ""}


def test_the_installed_connectors_are_listed_with_what_they_guarantee(here):
    code, out, _ = here("connectors", "list")
    assert code == 0
    assert "memory  Memory (for tests)  (syncengine)" in out.splitlines()
    listed = json.loads(here("connectors", "list", "--json")[1])["connectors"]
    assert [entry["name"] for entry in listed] == list(Registry.installed().names())
    assert all(entry["guarantee"] and not entry["error"] for entry in listed)


def test_a_connector_that_cannot_be_imported_says_why_and_hides_no_other(here, monkeypatch):
    from tests.support.plugins import plugin

    broken = Registry([*_broken()], plugins={"web": plugin})
    monkeypatch.setattr(Registry, "installed", classmethod(lambda cls: broken))
    code, out, _ = here("connectors", "list")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["broken", "(acme)"]
    assert "cannot be imported: ModuleNotFoundError" in lines[1]
    assert lines[2].split() == ["web", "Web"]
    assert here("config", "schema")[0] == 0


def _broken():
    from tests.test_registry import entry

    return [entry("broken", "no_such_module_zzz:plugin")]


def test_the_schema_is_printed_whole(here):
    code, out, _ = here("config", "schema")
    assert code == 0
    schema = json.loads(out)
    assert schema == json.loads(json.dumps(config_schema(Registry.installed())))
    assert faults(tomllib.loads(CONFIG), schema) == []


def test_the_config_is_shown_with_its_defaults_as_toml_and_json(desk, here):
    code, out, _ = here("config", "show")
    assert code == 0
    shown = tomllib.loads(out)
    assert shown["pairs"]["contacts"]["conflicts"] == "ask"
    assert shown["state"] == str(desk.folder / "syncengine.db")
    assert json.loads(here("config", "show", "--json")[1])["pairs"]["contacts"]["deletes"] == "ask"


def test_no_secret_is_shown_in_the_config_or_an_error(desk, here, monkeypatch):
    monkeypatch.setenv("CANARY", "canary-value")
    desk.config.write_text(CONFIG.replace('"crm.json"', '"${CANARY}"'))
    code, out, _ = here("config", "show")
    assert code == 0
    assert 'path = "${CANARY}"' in out
    code, out, err = here("plan")
    assert code == 1
    assert "canary-value" not in out + err
    code, out, err = here("plan", "--log-level", "debug")
    assert "canary-value" not in out + err
    assert "Traceback" in err


def test_quarantine_lists_releases_and_retries(desk, here):
    """The far side takes names of three letters, and refuses this one."""
    desk.fill("crm", [ADA, EVE])
    office = desk.folder / "office.json"
    office.write_text(office.read_text().replace('"given_name": {}', '"given_name": {"max_length": 3}'))
    assert here("sync")[0] == 4
    code, out, _ = here("quarantine", "list")
    assert code == 4
    header, row = out.splitlines()
    assert header.split() == ["id", "record", "reason", "since", "tries"]
    [entry] = json.loads(here("quarantine", "list", "--json")[1])["quarantine"]
    assert row.startswith(entry["id"])
    assert (entry["pair"], entry["side"]) == ("contacts", "left")

    assert here("quarantine", "release", entry["id"])[:2] == (0, "Released 1 record; the next sync tries again.\n")
    assert here("sync")[0] == 4
    code, out, _ = here("quarantine", "retry", entry["id"])
    assert code == 4
    assert out.splitlines()[-1].startswith("  done in part")

    desk.edit("crm", "eve@example.com", first_name="Eve")
    assert here("sync")[0] == 0
    assert here("quarantine", "list")[:2] == (0, "Nothing is in quarantine.\n")


def test_who_releases_one_record_of_a_refused_update_releases_its_partner_too(desk, here):
    office = desk.folder / "office.json"

    def allow(letters):
        told = json.loads(office.read_text())
        told["resources"]["people"]["fields"]["given_name"] = {"max_length": letters}
        office.write_text(json.dumps(told))

    here("sync")
    allow(3)
    desk.edit("crm", "ada@example.com", first_name="Augusta")
    assert here("sync")[0] == 4
    ids = [entry["id"] for entry in json.loads(here("quarantine", "list", "--json")[1])["quarantine"]]
    assert [id_.split(":")[1] for id_ in ids] == ["left", "right"]
    assert here("quarantine", "release", *ids)[0] == 0
    assert here("sync")[0] == 4
    allow(30)
    assert here("quarantine", "retry", ids[0])[0] == 0
    assert desk.records("office")["ada@example.com"]["given_name"] == "Augusta"


def test_check_fails_where_a_field_of_a_known_pair_is_gone(desk, here):
    here("sync")
    office = desk.folder / "office.json"
    told = json.loads(office.read_text())
    people = told["resources"]["people"]
    del people["fields"]["phone"]
    for record in people["records"]:
        record["fields"].pop("phone", None)
    office.write_text(json.dumps(told))
    code, out, _ = here("check")
    assert code == 1
    [line] = [line for line in out.splitlines() if "has no field 'phone'" in line]
    assert line.startswith("FAIL")
    assert "left alone until it is back" in line


def test_tables_on_a_terminal_are_tables(desk):
    assert desk.user("sync").returncode == 0
    code, shown = desk.terminal("log")
    assert code == 0
    assert "run" in without_colors(shown)
    assert "─" in shown


def test_check_says_each_thing_once(desk, here, monkeypatch):
    """A connector that words its own guarantee is not contradicted in other words; one without is given the engine's."""
    crm = desk.folder / "crm.json"
    crm.write_text(crm.read_text().replace('"conditional_writes": true', '"conditional_writes": false'))
    lines = json.loads(here("check", "--json")[1])["lines"]
    texts = [line["text"] for line in lines]
    assert not any("no conditional writes" in text for text in texts)

    memory = Registry.installed().load("memory")
    silent = Registry(plugins={"memory": replace(memory, guarantee="")})
    monkeypatch.setattr(Registry, "installed", classmethod(lambda cls: silent))
    texts = [line["text"] for line in json.loads(here("check", "--json")[1])["lines"]]
    assert sum("no conditional writes" in text for text in texts) == 1


def test_check_says_what_is_well_and_what_is_not(desk, here):
    code, out, _ = here("check")
    assert code == 0
    assert all(line.startswith(("ok", " ")) for line in out.splitlines())
    report = json.loads(here("check", "--json")[1])
    assert report["exit"] == 0
    assert {"place", "ok", "text", "cure"} == report["lines"][0].keys()

    (desk.folder / "office.json").unlink()
    code, out, _ = here("check")
    assert code == 1
    assert any(line.startswith("FAIL") and "office" in line for line in out.splitlines())
    assert not (desk.folder / "syncengine.db").exists()
