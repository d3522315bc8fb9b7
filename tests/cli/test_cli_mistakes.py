"""A user's mistake ends in a sentence and exit code 2 (or 1), never in a traceback; a bug says that it is one."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from syncengine.cli.failure import explain
from syncengine.cli.main import hoisted
from syncengine.errors import (
    AuthError,
    ConfigError,
    Problem,
    ProtocolError,
    Refused,
    ResourceError,
    StateError,
    SyncError,
    TransientError,
)
from tests.support.desk import CONFIG


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["plna"], 2, "No such command 'plna'. Did you mean 'plan'?"),
        (["conflicts", "shw"], 2, "No such command 'shw'. Did you mean 'show'?"),
        (["plan", "--nope"], 2, "No such option: --nope"),
        (["plan", "contcts"], 2, "there is no pair 'contcts'"),
        (["conflicts", "list", "contcts"], 2, "there is no pair 'contcts'"),
        (["quarantine", "list", "contcts"], 2, "there is no pair 'contcts'"),
        (["conflicts", "resolve", "1"], 2, "say left, right or apart"),
        (["conflicts", "resolve", "1", "left", "--value", "x"], 2, "say left, right or apart"),
        (["conflicts", "resolve", "1", "middle"], 2, "middle"),
        (["conflicts", "resolve", "7", "left"], 1, "no question with the number 7 waits"),
        (["conflicts", "show", "7"], 1, "no question with the number 7 waits"),
        (["quarantine", "retry", "contacts:left:9"], 1, "nothing in quarantine has the id"),
        (["quarantine", "release", "contacts:left:9"], 1, "nothing in quarantine has the id"),
        (["log", "99"], 1, "there is no run 99"),
        (["log", "x"], 2, "a valid integer"),
        (["sync", "--record", "nobody@example.com"], 1, "no record of contacts has this email or id"),
        (["plan", "--config", "none.toml"], 2, "none.toml: there is no such file"),
        (["plan", "--config", "."], 2, "this is a folder"),
        (["plan", "--log-level", "loud"], 2, "'loud' is not one of"),
        (["plan", "--config"], 2, "requires an argument"),
    ],
)
def test_a_mistake_on_the_command_line_is_answered_in_a_sentence(desk, here, arguments, code, words):
    got, out, err = here(*arguments)
    assert (got, out) == (code, "")
    assert words in err
    assert "Traceback" not in err


def test_all_problems_of_a_config_are_listed_at_once(desk, here):
    text = CONFIG.replace('"office.people"', '"offices.people"').replace('match = "email"', 'match = "emial"')
    desk.config.write_text(text.replace("memory", "memroy", 1) + "state = 5\n")
    code, out, err = here("sync")
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "There are 4 problems:",
        '  systems.crm.connector: there is no connector "memroy" (did you mean "memory"?)',
        '  pairs.contacts.right: "offices.people" names no system of this file (did you mean "office"?)',
        '  pairs.contacts.match: "emial" is not a mapped field of this pair (did you mean "email"?)',
        "  pairs.contacts.fields.state: 5 does not map a field "
        '(write the name both sides use, or { left = "...", right = "..." })',
    ]


def test_a_missing_variable_is_named_and_a_config_cannot_steer_the_terminal(desk):
    text = CONFIG.replace('path = "crm.json"', 'path = "${NO_SUCH_VARIABLE}"')
    desk.config.write_text('"\\u001b[2Jkey" = 1\n' + text)
    result = desk.user("check")
    assert result.returncode == 2
    assert "systems.crm.path: the environment variable NO_SUCH_VARIABLE is not set" in result.stderr
    assert '"\\u001b[2Jkey": unknown key' in result.stderr
    assert "\x1b" not in result.stderr


def test_global_options_stand_before_or_after_the_command():
    assert hoisted(["plan", "--config", "x", "contacts"]) == ["--config", "x", "plan", "contacts"]
    assert hoisted(["plan", "--config=x", "--no-color", "--json"]) == ["--config=x", "--no-color", "plan", "--json"]
    assert hoisted(["--log-level", "debug", "plan"]) == ["--log-level", "debug", "plan"]
    assert hoisted(["plan", "--", "--config"]) == ["plan", "--", "--config"]
    assert hoisted(["plan", "--config"]) == ["--config"]


def test_logs_go_to_stderr_as_json_and_name_what_happened(desk, here):
    _, out, err = here("sync", "--json", "--log-format", "json", "--log-level", "debug")
    json.loads(out)
    assert all(json.loads(line)["event"] for line in err.splitlines())


ONE = Problem(place="pairs.x", wrong="is wrong", cure="do this")


@pytest.mark.parametrize(
    ("error", "sentence", "code"),
    [
        (ConfigError([ONE]), "pairs.x: is wrong (do this)", 2),
        (ConfigError([ONE, ONE]), "There are 2 problems:\n  pairs.x: is wrong (do this)\n  pairs.x: is wrong (do this)", 2),
        (Refused("too much", approval="abc"), "Refused: too much\nTo go on nevertheless: syncengine sync --approve abc", 3),
        (Refused("other account"), "Refused: other account", 3),
        (StateError("the state is corrupt"), "Failed: the state is corrupt", 1),
        (TransientError("down"), "Failed: down", 1),
        (ResourceError("no table"), "Failed: no table", 1),
        (AuthError("wrong password"), "Access refused: wrong password", 1),
        (ProtocolError("nonsense"), "A connector or its system answered nonsense: nonsense", 1),
        (SyncError("plain"), "Failed: plain", 1),
        (OSError(28, "No space left on device", "x.db"), "Failed: No space left on device: x.db", 1),
        (KeyboardInterrupt(), "Stopped.", 130),
        (KeyError("x"), "", 1),
    ],
)
def test_one_function_gives_every_error_its_sentence_and_exit_code(error, sentence, code):
    assert explain(error) == (sentence, code)


BROKEN = 'import syncengine.app.desk\nsyncengine.app.desk.Desk.status = lambda self: {}["canary-\\x1b[2J"]\n'
RUN_BROKEN = BROKEN + "from syncengine.cli.main import main\nmain()\n"


def broken(desk, *arguments):
    environment = {**os.environ, "TMPDIR": str(desk.folder)}
    command = [sys.executable, "-c", RUN_BROKEN, *arguments]
    return subprocess.run(command, cwd=desk.folder, env=environment, capture_output=True, text=True, timeout=60)


def test_a_bug_says_so_and_keeps_what_happened_in_a_private_file(desk):
    result = broken(desk, "status")
    assert result.returncode == 1
    [line] = result.stderr.splitlines()
    assert line.startswith("This is a bug in syncengine or in a connector (KeyError). What happened is in ")
    [kept] = desk.folder.glob("syncengine-bug-*.txt")
    assert kept.stat().st_mode & 0o077 == 0
    assert "KeyError" in kept.read_text()
    assert "\x1b" not in kept.read_text()


def test_at_debug_level_a_bug_shows_its_traceback(desk):
    result = broken(desk, "status", "--log-level", "debug")
    assert result.returncode == 1
    assert "Traceback (most recent call last)" in result.stderr
    assert "\x1b" not in result.stderr
    assert not list(desk.folder.glob("syncengine-bug-*.txt"))


def test_a_reader_that_goes_away_ends_nothing_in_a_traceback(desk):
    """`syncengine plan | head -0`."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "syncengine.cli.main", "plan"]
    result = subprocess.run(command, cwd=desk.folder, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert result.stderr == ""
    assert result.returncode == 5


STOPPABLE = textwrap.dedent(
    """
    import sys
    from syncengine.cli.stop import stopping
    with stopping() as stop:
        print("ready", flush=True)
        while not stop():
            pass
        print("stopped", flush=True)
        if sys.argv[1] == "stubborn":
            while True:
                pass
    """
)


def started(manner):
    command = [sys.executable, "-c", STOPPABLE, manner]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_to_stop(number):
    with started("polite") as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "stopped\n")
    assert err == "Stopping after the current batch. Once more ends at once.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_the_process_at_once(number):
    with started("stubborn") as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.readline() == "stopped\n"
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == -number


def test_handlers_are_put_back():
    from syncengine.cli.stop import stopping

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with stopping() as stop:
        assert not stop()
        assert signal.getsignal(signal.SIGTERM) is not before[1]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
