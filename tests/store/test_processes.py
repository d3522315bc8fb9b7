"""A place names a process; it is called dead only on proof."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from syncengine.store import process
from syncengine.store.process import is_dead, shown, this_place


def place_of_another() -> tuple[str, subprocess.Popen[str]]:
    script = "from syncengine.store.process import this_place\nprint(this_place(), flush=True)\ninput()"
    child = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    return child.stdout.readline().rstrip("\n"), child


def test_a_living_process_is_not_dead_and_a_killed_one_is() -> None:
    assert not is_dead(this_place())
    place, child = place_of_another()
    with child:
        assert not is_dead(place)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_dead(place), "killed, and nobody has asked for its exit code yet"
        child.wait()
        assert is_dead(place)


def test_a_number_that_was_given_to_another_process_does_not_bring_the_first_back() -> None:
    host, rest = this_place().split(" [")
    namespace, start = rest.rstrip("]").split(":")
    assert is_dead(f"{host} [{namespace}:{int(start) - 1}]")


@pytest.mark.parametrize(
    "change",
    [
        lambda place: "other-" + place,
        lambda place: place.replace("[", "[9"),
        lambda place: "simulated",
        lambda place: shown(place),
        lambda place: "",
    ],
    ids=["another host", "another container", "other words", "no marks", "nothing"],
)
def test_what_cannot_be_told_is_not_dead(change) -> None:
    place, child = place_of_another()
    with child:
        child.kill()
        child.wait()
    assert is_dead(place)
    assert not is_dead(change(place))


def test_people_are_shown_the_host_and_the_number() -> None:
    assert shown("build-7 pid 4242 [4026531836:99]") == "build-7 pid 4242"
    assert shown("simulated") == "simulated"


def test_without_a_proc_folder_only_a_number_that_is_free_proves_an_end(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(process, "_PROC", tmp_path / "none")
    place = this_place()
    assert place.endswith(" [:]")
    assert not is_dead(place)
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert is_dead(f"{place.partition(' ')[0]} pid {child.pid} [:]")
