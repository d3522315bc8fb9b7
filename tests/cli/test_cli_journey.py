"""What a user does with the command line, from the first plan to answering a conflict, in one process and real ones."""

import json

import pytest

from tests.support.desk import ADA, BOB, CONFIG, Desk, without_colors


def test_plan_shows_what_sync_then_does_and_the_second_sync_is_silent(desk, here):
    code, planned, _ = here("plan")
    assert code == 5
    assert planned.splitlines()[:3] == [
        "contacts: crm.people <-> office.people",
        '  office <- crm  ada@example.com  create  email "ada@example.com", first_name "Ada", phone "+1 555 0100"  '
        "(new on the left)",
        '  office <- crm  bob@example.com  create  email "bob@example.com", first_name "Bob"  (new on the left)',
    ]
    assert "  planned  office: 2 create" in planned.splitlines()
    assert desk.records("office") == {}
    assert not (desk.folder / "syncengine.db").exists()

    code, done, _ = here("sync")
    assert code == 0
    assert "  written  office: 2 created" in done.splitlines()
    assert desk.records("office")["ada@example.com"]["given_name"] == "Ada"

    code, again, _ = here("sync")
    assert code == 0
    assert "  written  nothing" in again.splitlines()
    assert "  done, in sync (run 2" in again
    assert here("plan")[0] == 0


SECOND = """
[systems.home]
connector = "memory"
path = "home.json"
[pairs.friends]
left = "crm.people"
right = "home.{resource}"
match = "email"
[pairs.friends.fields]
email = "email"
first_name = {{ left = "first_name", right = "given_name" }}
"""


def test_a_pair_that_is_new_to_the_state_is_planned_like_any_other(desk, here):
    here("sync")
    desk.fill("home", ())
    desk.config.write_text(CONFIG + SECOND.format(resource="people"))
    code, planned, _ = here("plan", "friends")
    assert code == 5
    assert '  home <- crm  bob@example.com  create  email "bob@example.com", first_name "Bob"  (new on the left)' in planned
    assert json.loads(here("plan", "--json")[1])["pairs"][1]["actions"]


def test_nothing_is_written_while_one_pair_of_several_is_wrong(desk, here):
    desk.fill("home", ())
    desk.config.write_text(CONFIG + SECOND.format(resource="peple"))
    code, out, err = here("sync")
    assert (code, out) == (2, "")
    assert "the system 'home' has no resource 'peple'" in err
    assert desk.records("office") == {}
    assert here("sync", "contacts")[0] == 0


def test_a_field_that_cannot_be_mapped_is_named_with_its_record_and_the_cure_and_without_its_value(desk, here):
    desk.config.write_text(CONFIG.replace('phone = "phone"', 'phone = { left = "phone", right = "phone", as = "integer" }'))
    told = "  note     ada@example.com: phone: left field 'phone'"
    for shown in (here("plan")[1], here("sync")[1], here("sync")[1], here("log", "2")[1]):
        [note] = [line for line in shown.splitlines() if line.startswith(told)]
        assert ": the text is not a" in note
        assert "555" not in note


def test_each_field_is_shown_with_its_own_reason(desk, here):
    desk.config.write_text(CONFIG.replace('match = "email"\n', 'match = "email"\nconflicts = "left"\n'))
    here("sync")
    desk.edit("crm", "ada@example.com", first_name="Augusta", phone="+1 555 0101")
    desk.edit("office", "ada@example.com", given_name="Countess")
    for shown in (here("plan")[1], here("sync")[1]):
        [name] = [line for line in shown.splitlines() if "  first_name  " in line]
        assert name.endswith('"Augusta"  (the left wins)')
        [phone] = [line for line in shown.splitlines() if "  phone  " in line]
        assert phone.endswith('"+1 555 0101"  (changed on the left)')


def test_an_edit_travels_field_by_field_and_is_shown_so(desk, here):
    here("sync")
    desk.edit("office", "ada@example.com", phone="+1 555 0199")
    code, planned, _ = here("plan")
    assert code == 5
    assert '  crm <- office  ada@example.com  phone  "+1 555 0100" -> "+1 555 0199"' in planned
    assert here("sync")[0] == 0
    assert desk.records("crm")["ada@example.com"] == {**ADA, "phone": "+1 555 0199"}
    code, log, _ = here("log", "2")
    assert code == 0
    assert '  crm <- office  ada@example.com  phone  "+1 555 0100" -> "+1 555 0199"' in log


def test_a_value_that_a_system_cuts_is_told_by_the_run_that_wrote_it_and_by_the_log_and_never_again(desk, here):
    office = desk.folder / "office.json"
    told = json.loads(office.read_text())
    told["resources"]["people"]["manners"] = {"normalise": {"given_name": "truncate 12"}}
    office.write_text(json.dumps(told))
    here("sync")
    desk.edit("crm", "ada@example.com", first_name="Augusta Ada King, Countess")
    code, done, _ = here("sync")
    assert code == 0
    assert done.splitlines()[3:6] == [
        "  written  office: 1 updated",
        "  short    office: first_name 1",
        "  note     office cut first_name of ada@example.com from 26 to 12 characters",
    ]
    code, log, _ = here("log", "2")
    first, *rest = log.splitlines()[1:]
    assert first.endswith("(changed on the left; cut first_name from 26 to 12 characters)")
    assert rest == done.splitlines()[4:6]
    report = json.loads(here("log", "2", "--json")[1])["report"]
    assert report["shortfalls"] == {"right.first_name": 1}
    assert "Countess" not in json.dumps(report)

    (again,) = json.loads(here("sync", "--json")[1])["pairs"]
    assert (again["written"], again["notes"], again["shortfalls"]) == ({}, [], {})


def test_a_conflict_is_listed_shown_and_answered(desk, here):
    here("sync")
    desk.edit("crm", "ada@example.com", phone="1")
    desk.edit("office", "ada@example.com", phone="2")
    code, done, _ = here("sync")
    assert code == 4
    assert "  inbox    1 question: syncengine conflicts list" in done.splitlines()
    assert here("status")[0] == 4

    code, listed, _ = here("conflicts", "list")
    assert code == 4
    header, row = listed.splitlines()[:2]
    assert header.split() == ["id", "pair", "record", "field", "left", "right", "since"]
    number = row.split()[0]
    assert row.split()[1:6] == ["contacts", "ada@example.com", "phone", '"1"', '"2"']

    code, shown, _ = here("conflicts", "show", number)
    assert code == 0
    assert '  left (crm.people)      "1"' in shown.splitlines()
    assert '  before                 "+1 555 0100"' in shown.splitlines()
    assert f"syncengine conflicts resolve {number} left | right" in shown

    assert here("conflicts", "resolve", number, "right")[0] == 0
    assert here("sync")[0] == 0
    assert desk.records("crm")["ada@example.com"]["phone"] == "2"
    assert here("conflicts", "list")[:2] == (0, "Nothing waits for an answer.\n")
    assert here("status")[0] == 0


def test_a_conflict_can_be_answered_with_another_value(desk, here):
    here("sync")
    desk.edit("crm", "ada@example.com", phone="1")
    desk.edit("office", "ada@example.com", phone="2")
    here("sync")
    [entry] = json.loads(here("conflicts", "list", "--json")[1])["conflicts"]
    assert here("conflicts", "resolve", str(entry["id"]), "--value", "3")[0] == 0
    assert here("sync")[0] == 0
    assert desk.records("crm")["ada@example.com"]["phone"] == desk.records("office")["ada@example.com"]["phone"] == "3"


def test_a_refused_run_says_why_and_how_to_go_on(desk, here):
    desk.fill("office", [{"email": "ada@example.com", "given_name": "A."}])
    code, refused, _ = here("sync")
    assert code == 3
    assert "  refused  first contact between two filled sides" in refused
    assert desk.records("crm")["ada@example.com"]["first_name"] == "Ada"
    [command] = [line for line in refused.splitlines() if "--approve" in line]
    approval = command.rpartition(" ")[2]
    assert command == f"  if this is what you want: syncengine sync contacts --approve {approval}"
    assert here("plan")[0] == 3
    assert here("sync", "contacts", "--approve", approval)[0] == 4
    assert desk.records("office")["bob@example.com"]["given_name"] == "Bob"


def test_one_record_can_be_synced_alone(desk, here):
    assert here("sync", "--record", "bob@example.com")[0] == 0
    assert desk.records("office").keys() == {"bob@example.com"}


KEYS = {
    "plan": "pair left right read counts conflicts refused approval forecast notes exit actions",
    "sync": "run pair left right started_at finished_at read buckets written failed inbox_open quarantined pending "
    "refused approval error exit notes shortfalls doubt_ends_at",
}


@pytest.mark.parametrize("command", KEYS)
def test_json_documents_keep_their_keys(here, command):
    _, out, _ = here(command, "--json")
    assert out.count("\n") == 1
    [pair] = json.loads(out)["pairs"]
    assert pair.keys() == set(KEYS[command].split(" "))


def test_actions_in_json_hold_the_values(desk, here):
    [pair] = json.loads(here("plan", "--json")[1])["pairs"]
    assert pair["actions"][1] == {
        "kind": "create",
        "side": "right",
        "label": "bob@example.com",
        "id": None,
        "fields": [
            {"field": "email", "before": None, "after": "bob@example.com", "why": "new on the left"},
            {"field": "first_name", "before": None, "after": "Bob", "why": "new on the left"},
        ],
        "why": "new on the left",
        "outcome": "",
    }


REPORTS = {"status": "pairs", "log": "runs", "log 1": "actions", "conflicts list": "conflicts", "quarantine list": "quarantine"}


@pytest.mark.parametrize(("command", "key"), REPORTS.items())
def test_everything_that_reports_has_json(desk, here, command, key):
    here("sync")
    _, out, _ = here(*command.split(), "--json")
    assert key in json.loads(out)


def test_the_log_lists_runs_the_latest_first(desk, here):
    assert here("log")[1] == "There was no run yet.\n"
    here("sync")
    here("sync")
    code, out, _ = here("log")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["run", "2", "1"]
    assert here("log", "--limit", "1")[1].splitlines()[1].startswith("2 ")


def test_status_before_the_first_run_says_never(desk, here):
    code, out, _ = here("status")
    assert code == 0
    assert out.splitlines()[1].endswith("never")


def test_a_user_gets_the_same_through_pipes_without_any_control_sequence(desk):
    result = desk.user("sync")
    assert (result.returncode, result.stderr) == (0, "")
    assert "\x1b" not in result.stdout
    assert "  written  office: 2 created" in result.stdout.splitlines()


def test_a_terminal_gets_colours_and_the_same_words(desk):
    code, shown = desk.terminal("sync")
    assert code == 0
    assert "\x1b[" in shown
    assert "written  office: 2 created" in without_colors(shown)
    code, shown = desk.terminal("status")
    assert code == 0
    assert "contacts" in without_colors(shown)


@pytest.mark.parametrize("way", [{"arguments": ["--no-color"]}, {"env": {"NO_COLOR": "1"}}])
def test_colours_can_be_switched_off(desk, way):
    code, shown = desk.terminal("plan", *way.get("arguments", []), env=way.get("env"))
    assert code == 5
    assert not any(f"\x1b[{number}" in shown for number in (*range(30, 50), *range(90, 110)))


HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202eevil[bold red]x[/] :smile:"


def test_data_can_neither_steer_the_terminal_nor_forge_lines_or_markup(tmp_path):
    person = {"email": "eve@example.com", "first_name": HOSTILE + "\n  crm <- office  fake", "phone": ""}
    desk = Desk(tmp_path, people=[person])
    for command in ("plan", "sync"):
        _, shown = desk.terminal(command)
        assert "\x1b]0;owned" not in shown
        assert "\x1b[2J" not in shown
        assert "\u202e" not in shown
        assert "[bold red]x[/] :smile:" in without_colors(shown)
        assert not any(line.startswith("  crm <- office") for line in without_colors(shown).splitlines())
    assert desk.records("office")["eve@example.com"]["given_name"] == person["first_name"]


def test_a_long_plan_is_shortened_on_a_terminal_and_whole_in_a_pipe(tmp_path):
    people = [{"email": f"p{number:03}@example.com", "first_name": "P", "phone": ""} for number in range(100)]
    desk = Desk(tmp_path, people=people)
    code, shown = desk.terminal("plan")
    assert code == 5
    assert "... and 40 lines more: syncengine plan contacts --all" in without_colors(shown)
    assert without_colors(desk.terminal("plan", "--all")[1]).count("  create  ") == 100
    assert desk.user("plan").stdout.count("  create  ") == 100


def test_two_pairs_are_shown_one_after_the_other_and_the_gravest_exit_code_wins(tmp_path, desk, here):
    more = CONFIG.replace("[pairs.contacts", "[pairs.others").partition("[pairs.others]")[2].replace("people", "others")
    text = CONFIG + "[pairs.others]" + more
    desk.config.write_text(text)
    for name in ("crm", "office"):
        told = json.loads((desk.folder / f"{name}.json").read_text())
        told["resources"]["others"] = {**told["resources"]["people"], "records": []}
        (desk.folder / f"{name}.json").write_text(json.dumps(told))
    code, out, _ = here("plan")
    assert code == 5
    assert [line for line in out.splitlines() if not line.startswith(" ")] == [
        "contacts: crm.people <-> office.people",
        "others: crm.others <-> office.others",
    ]
    assert here("plan", "others")[0] == 0
    code, _, err = here("sync", "--record", "ada@example.com")
    assert code == 2
    assert "--record needs the name of the pair" in err


def test_bob_has_no_phone_and_none_is_shown(desk, here):
    assert BOB["phone"] == ""
    assert "phone" not in next(line for line in here("plan")[1].splitlines() if "bob@" in line)


def test_a_pipe_that_takes_only_ascii_gets_escapes_instead_of_an_error(tmp_path):
    desk = Desk(tmp_path, people=[{**ADA, "first_name": "Zoë"}])
    result = desk.user("plan", env={"PYTHONIOENCODING": "ascii"})
    assert result.returncode == 5
    assert 'first_name "Zo\\xeb"' in result.stdout


def test_a_reader_that_goes_away_in_the_middle_does_not_hurt_the_run(tmp_path):
    """`syncengine sync --json | head -c 10`: the run is complete, and its exit code counts."""
    people = [{"email": f"p{number:05}@example.com", "first_name": "P" * 100, "phone": ""} for number in range(800)]
    desk = Desk(tmp_path, people=people)
    with desk.started("plan") as process:
        assert process.stdout.read(10) == "contacts: "
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(timeout=60) == 5
    assert errors == ""
