"""`state`: the state is looked after from the command line."""

import json

from tests.support.desk import ADA, BOB


def test_a_good_state_is_found_good_backed_up_and_left_as_it_was(desk, here):
    assert here("sync")[0] == 0
    code, out, _ = here("state", "check")
    assert code == 0
    assert all(line.startswith("ok") for line in out.splitlines())
    code, out, _ = here("state", "backup", "monday.db")
    assert code == 0
    assert (desk.folder / "monday.db").stat().st_mode & 0o077 == 0
    code, _, err = here("state", "backup", "monday.db")
    assert code == 1
    assert "exists already" in err
    assert here("sync")[0] == 0


def test_a_state_that_is_not_there_yet_is_a_note(here):
    code, out, _ = here("state", "check")
    assert code == 0
    assert out.startswith("note  ")
    code, _, err = here("state", "rebuild")
    assert code == 1
    assert "is not there" in err


def test_a_broken_state_is_a_fault_and_is_rebuilt_beside_the_old_one(desk, here):
    assert here("sync")[0] == 0
    state = desk.folder / "syncengine.db"
    state.write_text("no database at all " * 40)
    code, out, _ = here("state", "check", "--json")
    assert code == 1
    told = json.loads(out)
    assert told["exit"] == 1
    assert told["findings"][0]["gravity"] == "fault"
    code, out, _ = here("state", "rebuild")
    assert code == 0
    assert "Nothing could be taken over from it" in out
    assert here("state", "check")[0] == 0
    assert len(list(desk.folder.glob("syncengine.db.2*"))) == 1


def test_rebuilding_takes_the_links_over_and_the_next_sync_writes_nothing(desk, here):
    desk.fill("crm", [ADA, BOB | {"phone": "+1 555 0101"}])
    assert here("sync")[0] == 0
    code, out, _ = here("state", "rebuild")
    assert code == 0
    assert "2 links taken over by id." in out
    code, out, _ = here("sync")
    assert code == 3
    approval = out.partition("--approve ")[2].split()[0]
    code, out, _ = here("sync", "--approve", approval)
    assert code == 0
    assert "written  nothing" in out


def test_a_moved_state_is_adopted(desk, here):
    assert here("sync")[0] == 0
    state = desk.folder / "syncengine.db"
    copy = desk.folder / "copy.db"
    copy.write_bytes(state.read_bytes())
    copy.replace(state)
    code, _, err = here("sync")
    assert code == 1
    assert "is a copy" in err
    code, out, _ = here("state", "adopt")
    assert (code, out) == (0, f"The state {state} is the one to use from now on.\n")
    assert here("sync")[0] == 0
