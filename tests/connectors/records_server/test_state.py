"""The state file: what was acknowledged is there after a kill; one process at a time; identities are kept."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.kizen.server import Credentials, RecordsServer
from connectors.kizen.server.storage import StateUnusable
from tests.connectors.records_server.client import COMPANIES, CONTACTS, NO_TLS, Client, Clock

ROOT = Path(__file__).parents[3]
KEY = Credentials(api_key="k", business_id="0b8f6d0e-2f7a-4c52-9c6f-3a3c2d6f7a10", user_id="0b8f6d0e-2f7a-4c52-9c6f-3a3c2d6f7a11")


@contextmanager
def process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The command as a process of its own, with what it printed until `ready`."""
    command = [sys.executable, "-m", "connectors.kizen.server", "--port", "0", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            printed = {}
            for line in child.stdout:
                if line.strip() == "ready":
                    break
                name, _, value = line.strip().partition(" ")
                printed[name] = value.strip()
            yield child, printed
        finally:
            child.kill()


def headers(printed: dict[str, str]) -> dict[str, str]:
    return {"X-API-KEY": printed["api_key"], "X-BUSINESS-ID": printed["business_id"], "X-USER-ID": printed["user_id"]}


def everything(server: RecordsServer) -> dict[str, Any]:
    """All that a restart must bring back."""
    names = [obj.name for obj in server.world.objects.values()]
    return {
        "records": {name: server.records(name) for name in names},
        "archived": {name: server.records(name, archived=True) for name in names},
        "fields": {name: server.object(name).fields for name in names},
        "stages": {name: server.object(name).stages for name in names},
        "team": server.world.employees,
        "workflows": server.world.workflows,
        "jobs": server.world.jobs,
        "business": server.world.business,
    }


def test_a_restart_brings_everything_back(start: Callable[..., Client], tmp_path: Path, clock: Clock) -> None:
    """Objects, fields of every kind, records, archived ones, people, workflows, accepted bulk calls."""
    path = tmp_path / "state.db"
    api = start(state=path, people=12)
    server = api.server
    server.add_object("Deals", object_type="pipeline")
    for kind in ("decimal", "money", "datetime", "checkboxes", "rating", "files", "checkbox", "team_selector"):
        server.add_field("deals", f"A {kind}", kind, options=["S", "M"] if kind == "checkboxes" else ())
    server.add_record(
        "deals",
        name="First",
        a_decimal="1.10",
        a_money=5,
        a_datetime="2026-01-01T00:00:00Z",
        a_checkboxes=["S"],
        a_rating=3,
        a_files=[{"id": "f"}],
        a_checkbox=False,
        a_team_selector="api@example.com",
    )
    server.add_workflow(CONTACTS, when="email", set="last_name", value="x", delay=50)
    gone, busy = server.add_record(COMPANIES, name="Gone"), server.add_record(COMPANIES, name="Busy")
    server.archive(gone)
    server.add_record(CONTACTS, email="slow@example.com")
    api.post(f"/custom-objects/{server.object(COMPANIES).id}/bulk-archive-entity-record", {"record_ids": [busy]})
    before = everything(server)
    server.stop()
    again = start(state=path).server

    assert everything(again) == before
    assert again.credentials == server.credentials
    clock.advance(60)
    assert "Busy" in {row["name"] for row in again.records(COMPANIES, archived=True)}
    assert again.records(CONTACTS)[-1]["last_name"] == "x"
    assert again.add_record(COMPANIES, name="New") not in {row["id"] for rows in before["records"].values() for row in rows}


def test_a_kill_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """kill -9 between requests, several times."""
    path = str(tmp_path / "state.db")
    names = []
    for round_ in range(2):
        with process("--state", path) as (child, printed):
            with httpx.Client(base_url=printed["url"], headers=headers(printed), verify=NO_TLS) as http:
                for step in range(5):
                    name = f"{round_}.{step}"
                    body = {"fields": [{"name": "name", "value": name}]}
                    assert http.post(f"/records/{COMPANIES}/add", json=body).status_code == 201
                    names.append(name)
            os.kill(child.pid, signal.SIGKILL)
            child.wait()

    with RecordsServer(state=path) as again:
        assert [row["name"] for row in again.records(COMPANIES)] == names


def test_one_state_belongs_to_one_process(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with RecordsServer(state=path), pytest.raises(StateUnusable, match="locked"):
        RecordsServer(state=path)


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to look at", None])
def test_a_foreign_file_is_refused_and_left_alone(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "state.db"
    if content is None:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE mine (x)")
        connection.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(StateUnusable, match=r"state\.db"):
        RecordsServer(state=path)

    assert path.read_bytes() == before


def test_a_state_belongs_to_one_business(tmp_path: Path) -> None:
    """The key may change, the account may not."""
    path = tmp_path / "state.db"
    RecordsServer(state=path, credentials=KEY).stop()
    RecordsServer(state=path, credentials=replace(KEY, api_key="another")).stop()
    other = Credentials(api_key="k", business_id=KEY.user_id, user_id=KEY.user_id)
    with pytest.raises(ValueError, match="belongs to business"):
        RecordsServer(state=path, credentials=other)


# The command


def test_the_command(tmp_path: Path) -> None:
    """Prints address and credentials, then `ready`; stops on SIGTERM with 0."""
    arguments = ["--api-key", "k", "--business-id", KEY.business_id, "--user-id", KEY.user_id]
    with process(*arguments, "--people", "3", "--set", "add_status=200", "--rate", "1000", "--control") as (child, printed):
        assert printed["api_key"] == "k"
        with httpx.Client(base_url=printed["url"], headers=headers(printed), verify=NO_TLS) as http:
            assert http.post(f"/records/{CONTACTS}/search", json={}).json()["count"] == 3
            assert httpx.get(printed["page"], verify=NO_TLS).status_code == 200
            control = printed["url"].removesuffix("/api") + "/_control/switches"
            values = {one["name"]: one["value"] for one in httpx.get(control, headers=headers(printed), verify=NO_TLS).json()}
            assert (values["add_status"], values["rate"]) == (200, 1000)
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate(timeout=20)

    assert (child.returncode, errors) == (0, "")
