"""The daemon as a process: it starts, runs on schedule, is told, reloads, stops, dies, and goes on; nothing is lost or doubled."""

from __future__ import annotations

import base64
import json
import os
import platform
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from connectors.kizen.server import RecordsServer
from syncengine.http.signatures import sign
from tests.support.daemons import Daemon, daemon, settings
from tests.support.disks import remount, small_disk
from tests.support.running import run
from tests.support.town import FIELDS, Town

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ...").decode()
HOOKS = f'[daemon.hooks.office]\nsecret = "{SECRET}"'


@pytest.fixture
def town(tmp_path: Path) -> Town:
    made = Town(tmp_path / "town")
    fill(made, 20)
    settings(made.folder)
    return made


def fill(town: Town, people: int) -> None:
    town.write_left([{"id": str(n), **dict.fromkeys(FIELDS, str(n)), "email": f"p{n}@example.com"} for n in range(1, people + 1)])


def arrived(town: Town) -> int:
    with closing(sqlite3.connect(town.folder / "office.db", timeout=30)) as base:
        count, distinct = base.execute("SELECT count(*), count(DISTINCT email) FROM people").fetchone()
    assert count == distinct
    return int(count)


def phone(town: Town, ref: str) -> str:
    return next(row["phone"] for row in town.right() if row["ref"] == ref)


def post(url: str, document: object, *, id: str = "msg_1", secret: str = SECRET, at: float | None = None) -> httpx.Response:
    body = json.dumps(document).encode()
    headers = sign(secret, id=id, at=int(time.time() if at is None else at), body=body)
    return httpx.post(url, content=body, headers=headers, timeout=30)


def office_id(town: Town, ref: str) -> str:
    with closing(sqlite3.connect(town.folder / "office.db")) as base:
        return str(base.execute("SELECT id FROM people WHERE ref=?", (ref,)).fetchone()[0])


def assert_in_order(town: Town) -> None:
    """Nothing is left open in a state that was left as it should be."""
    assert not town.faults()
    with closing(sqlite3.connect(town.state)) as state:
        assert state.execute("SELECT count(*) FROM intent WHERE state<>'done'").fetchone() == (0,)
        assert state.execute("SELECT count(*) FROM lease WHERE until>0").fetchone() == (0,)
        assert state.execute("SELECT count(*) FROM meta WHERE name LIKE 'open %'").fetchone() == (0,)


# Start, run, stop


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_on_schedule_and_stops_in_order(town: Town, sign: signal.Signals) -> None:
    with daemon(town.folder) as running:
        running.until(lambda: arrived(town) == 20, "everybody is there")
        town.edit("left", "7", phone="changed")
        running.until(lambda: phone(town, "7") == "changed", "the edit is there")
        assert running.stop(sign) == 0, running.log
        assert "daemon.stopped" in running.log
        assert "Traceback" not in running.log
    assert_in_order(town)
    assert "written  nothing" in run(town.folder, "sync").stdout


def test_a_stop_in_the_middle_of_a_run_ends_after_its_batch_and_the_next_start_goes_on(town: Town) -> None:
    fill(town, 4000)
    with daemon(town.folder) as running:
        running.until(lambda: arrived(town) > 0, "the first rows are there")
        assert running.stop() == 0, running.log
    some = arrived(town)
    assert 0 < some < 4000
    assert_in_order(town)
    with daemon(town.folder) as running:
        running.until(lambda: arrived(town) == 4000, "everybody is there")
        assert running.stop() == 0


def test_killed_in_the_middle_of_a_run_it_goes_on_at_once_when_started_again(town: Town) -> None:
    fill(town, 4000)
    with daemon(town.folder) as running:
        running.until(lambda: arrived(town) > 0, "the first rows are there")
        running.kill()
    with daemon(town.folder) as running:
        running.until(lambda: arrived(town) == 4000, "everybody is there")
        running.until_more_runs()
        assert running.stop() == 0
    assert_in_order(town)
    assert len(town.sides()["right"]) == 4000


def test_killed_again_and_again_while_people_edit_it_loses_and_doubles_nothing(town: Town) -> None:
    settings(town.folder, "every second")
    for turn in range(6):
        with daemon(town.folder) as running:
            for person in range(3):
                town.edit("right", str(1 + turn * 3 + person), phone=f"turn {turn}") if arrived(town) == 20 else None
            if turn % 2:
                running.until_more_runs()
            running.kill()
    with daemon(town.folder) as running:
        running.until_more_runs(3)
        assert running.stop() == 0
    sides = town.sides()
    assert sides["left"] == sides["right"]
    assert_in_order(town)


# One at a time


def test_a_second_daemon_is_refused_with_pid_and_host_of_the_first(town: Town) -> None:
    with daemon(town.folder) as first:
        first.until_more_runs()
        second = run(town.folder, "daemon")
        assert second.returncode == 1
        assert f"a daemon runs on this state already ({platform.node()} pid {first.process.pid})" in second.stderr
        assert "Traceback" not in second.stderr
        first.until_more_runs()
        assert first.stop() == 0
    with daemon(town.folder) as third:
        assert third.stop() == 0


def test_a_killed_daemon_keeps_no_other_out(town: Town) -> None:
    with daemon(town.folder) as first:
        first.kill()
    with daemon(town.folder) as second:
        second.until_more_runs()
        assert second.stop() == 0


def test_a_one_shot_sync_and_the_daemon_take_turns(town: Town) -> None:
    with daemon(town.folder, "--no-web") as running:
        running.until_more_runs()
        for turn in range(5):
            town.edit("left", "3", phone=f"turn {turn}")
            done = run(town.folder, "sync")
            assert done.returncode in (0, 1), done.stderr
            assert done.returncode == 0 or "is being synchronised by another run" in done.stderr
        running.until(lambda: phone(town, "3") == "turn 4", "the last edit is there")
        assert "run.failed" not in running.log
        assert running.url == ""
        assert running.stop() == 0
    assert_in_order(town)


# Reloading


def test_a_changed_file_is_taken_and_a_wrong_one_reported(town: Town) -> None:
    settings(town.folder, "every 1 hour")
    with daemon(town.folder) as running:
        running.until(lambda: arrived(town) == 20, "everybody is there")
        good = (town.folder / "syncengine.toml").read_text()
        (town.folder / "syncengine.toml").write_text(good.replace("every 1 hour", "every blue moon"))
        running.until_logged("config.refused")
        assert "pairs.people.schedule" in running.log
        assert "did you mean" in running.log or "is not a schedule" in running.log
        assert running.process.poll() is None
        settings(town.folder, "every second")
        running.until_logged("config.reloaded")
        town.edit("left", "7", phone="changed")
        running.until(lambda: phone(town, "7") == "changed", "the new schedule is kept")
        assert running.stop() == 0


def test_sighup_reads_the_config_anew_with_secrets_that_are_not_watched(town: Town) -> None:
    (town.folder / "secret").write_text("first-" + "x" * 24)
    settings(town.folder, "every 1 hour", 'token = "${file:secret}"')
    with daemon(town.folder) as running:
        for turn in range(1, 3):
            (town.folder / "secret").write_text(f"secret {turn} " + "y" * 24)
            running.process.send_signal(signal.SIGHUP)
            running.until_logged("config.reloaded", turn)
        assert "y" * 24 not in running.log
        assert running.stop() == 0


def test_a_reload_moves_to_another_address_and_refuses_another_state(town: Town) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        busy = taken.getsockname()[1]
        settings(town.folder, "every 1 hour")
        path = town.folder / "syncengine.toml"
        with daemon(town.folder) as running:
            before = running.url
            path.write_text(path.read_text().replace("127.0.0.1:0", f"127.0.0.1:{busy}"))
            running.until_logged("config.refused")
            assert f"cannot listen on 127.0.0.1:{busy}" in running.log
            assert httpx.get(f"{before}/").status_code < 500
            path.write_text(path.read_text().replace(f"127.0.0.1:{busy}", "127.0.0.1:0").replace("state.db", "other.db"))
            running.until_logged("config.refused", 2)
            assert "the state cannot change while the daemon runs on it" in running.log
            taken.close()
            path.write_text(path.read_text().replace("127.0.0.1:0", f"127.0.0.1:{busy}").replace("other.db", "state.db"))
            running.until_logged("config.reloaded")
            assert httpx.get(f"http://127.0.0.1:{busy}/").status_code < 500
            with pytest.raises(httpx.ConnectError):
                httpx.get(f"{before}/")
            assert running.stop() == 0


# Webhooks


def test_a_signed_webhook_brings_its_record_over_at_once_and_a_forged_one_nothing(town: Town) -> None:
    settings(town.folder, "every 1 hour", HOOKS)
    with daemon(town.folder) as running:
        running.until(lambda: arrived(town) == 20, "everybody is there")
        running.until(lambda: running.runs() >= 1, "the first run is over")
        town.edit("right", "5", phone="told")
        town.edit("right", "6", phone="not told")
        told = {"resource": "people", "id": office_id(town, "5")}
        url = f"{running.url}/hooks/office"
        assert post(url, told, secret="whsec_" + base64.b64encode(b"another secret of enough bytes").decode()).status_code == 401
        assert post(url, told, at=time.time() - 301).status_code == 401
        assert post(url, told).json() == {"status": "accepted"}
        running.until(lambda: any(row["ref"] == "5" and row["phone"] == "told" for row in town.left()), "it is over")
        assert not any(row["phone"] == "not told" for row in town.left())
        assert post(url, told).json() == {"status": "repeated"}
        assert httpx.post(f"{running.url}/hooks/files", content=b"{}").status_code == 404
        assert running.stop() == 0


def test_a_webhook_that_was_answered_is_acted_on_after_a_crash(town: Town) -> None:
    settings(town.folder, "every 1 hour", HOOKS)
    with daemon(town.folder) as running:
        running.until(lambda: running.runs() >= 1, "the first run is over")
        town.edit("right", "5", phone="told")
        told = {"resource": "people", "id": office_id(town, "5")}
        answer = post(f"{running.url}/hooks/office", told)
        running.kill()
        assert answer.status_code == 202
    with daemon(town.folder) as running:
        running.until(lambda: any(row["ref"] == "5" and row["phone"] == "told" for row in town.left()), "it is over")
        assert post(f"{running.url}/hooks/office", told).json() == {"status": "repeated"}
        assert running.stop() == 0


# Trouble


def test_a_full_disk_stops_no_daemon_and_everything_arrives_once_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "400k"):
        town = Town(tmp_path / "town", state=str(tmp_path / "small" / "state.db"))
        settings(town.folder, "every second", HOOKS)
        fill(town, 2000)
        with daemon(town.folder) as running:
            running.until(lambda: "the disk is full; nothing was lost" in running.log, "the full disk is noticed")
            full = httpx.get(f"{running.url}/")
            assert full.status_code in (200, 503)
            remount(tmp_path / "small", "size=60m")
            assert running.process.poll() is None
            running.process.send_signal(signal.SIGHUP)
            running.until(lambda: arrived(town) == 2000, "everybody is there")
            running.until_more_runs()
            assert running.stop() == 0, running.log
            assert "Traceback" not in running.log
        assert not town.faults()
        assert "written  nothing" in run(town.folder, "sync").stdout


def test_what_is_wrong_from_the_start_is_said_before_anything_runs(town: Town) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        found = run(town.folder, "daemon", "--listen", address)
        assert (found.returncode, "Traceback" in found.stderr) == (2, False)
        assert f"cannot listen on {address}" in found.stderr
    for listen, words in (("0.0.0.0:0", "nothing tells who may come in"), ("nowhere", "is not an address to listen on")):
        found = run(town.folder, "daemon", "--listen", listen)
        assert (found.returncode, words in found.stderr) == (2, True), found.stderr
    assert town.right() == []
    assert_in_order(town)


# The service manager


@contextmanager
def manager(folder: Path) -> Iterator[tuple[socket.socket, str]]:
    """What systemd listens with."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        listening.bind(str(folder / "notify"))
        listening.settimeout(0.05)
        yield listening, str(folder / "notify")


def heard(listening: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(listening.recv(4096).decode())
        except TimeoutError:
            return found


def test_the_service_manager_hears_that_it_is_ready_reloads_lives_and_stops(town: Town) -> None:
    with manager(town.folder) as (listening, address):
        variables = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000000"}
        with daemon(town.folder, variables=variables) as running:
            told: list[str] = []
            running.until(lambda: told.extend(heard(listening)) or told.count("WATCHDOG=1") >= 3, "it says that it lives")
            assert "READY=1" in told
            running.process.send_signal(signal.SIGHUP)
            told.clear()
            running.until(lambda: told.extend(heard(listening)) or "READY=1" in told, "it is ready again")
            assert re.search(r"RELOADING=1\nMONOTONIC_USEC=\d+", "\n".join(told))
            assert running.stop() == 0
            assert any(each.startswith("STOPPING=1") for each in heard(listening))


def test_the_unit_runs_this_config(tmp_path: Path) -> None:
    town = Town(tmp_path / "a 100% town")
    shown = run(town.folder, "daemon", "--unit")
    assert shown.returncode == 0, shown.stderr
    unit = shown.stdout
    folder = str(town.folder).replace("%", "%%")
    assert f"--config '{folder}/syncengine.toml'" in unit
    assert "Type=notify\n" in unit
    assert "WatchdogSec=" in unit
    assert f"WorkingDirectory={folder}\n" in unit
    command = re.search(r"^ExecStart=(\S+) ", unit, re.MULTILINE)
    assert command is not None
    assert os.access(command[1], os.X_OK)
    if shutil.which("systemd-analyze") is not None:
        (tmp_path / "syncengine.service").write_text(unit)
        verify = ["systemd-analyze", "verify", str(tmp_path / "syncengine.service")]
        told = subprocess.run(verify, capture_output=True, text=True, check=False, timeout=60)
        assert "syncengine.service" not in told.stderr, told.stderr


# Stopping while a system does not answer


@contextmanager
def waiting_for_the_crm(folder: Path) -> Iterator[tuple[RecordsServer, Daemon]]:
    """A daemon in the middle of a create that the CRM has applied and does not answer."""
    with RecordsServer(page=False) as server:
        town = Town(folder)
        who = server.credentials
        text = (town.folder / "syncengine.toml").read_text().partition("[pairs.people]")[0]
        crm = f'[systems.crm]\nconnector = "kizen"\nurl = "{server.url}"\napi_key = "{who.api_key}"\nbusiness_id = "{who.business_id}"\nuser_id = "{who.user_id}"\n'
        pairs = '[pairs.people]\nleft = "files.people"\nright = "crm.client_client"\nmatch = "email"\n[pairs.people.fields]\nemail = "email"\nname = { left = "name", right = "last_name" }\n'
        (town.folder / "syncengine.toml").write_text(text + crm + pairs)
        settings(town.folder, "every second", 'stop_within = "1 second"')
        with daemon(town.folder) as running:
            running.until_more_runs()
            server.fault("latency", method="POST", path="/add", seconds=25.0, committed=True)
            fill(town, 1)
            running.until(lambda: server.records("client_client"), "the create is under way")
            yield server, running


def test_a_stop_takes_no_longer_than_it_may_and_the_next_start_finds_out_what_became_of_the_call(tmp_path: Path) -> None:
    with waiting_for_the_crm(tmp_path / "town") as (server, running):
        asked = time.monotonic()
        assert running.stop() == 1
        assert time.monotonic() - asked < 10
        assert "daemon.stopped_late" in running.log
        server.calm()
        with daemon(running.folder) as again:
            again.until_more_runs()
            assert again.stop() == 0, again.log
        assert [each["email"] for each in server.records("client_client")] == ["p1@example.com"]


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with waiting_for_the_crm(tmp_path / "town") as (server, running):
        settings(running.folder, "every second", 'stop_within = "10 minutes"')
        running.until_logged("config.reloaded")
        running.process.send_signal(signal.SIGTERM)
        running.until_logged("daemon.stopping")
        assert running.stop() == -signal.SIGTERM
        assert len(server.records("client_client")) == 1
