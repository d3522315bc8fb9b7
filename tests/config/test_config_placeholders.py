"""`${NAME}`, `${file:PATH}` and `.env`: filled in where they stand, missing ones named, values never shown."""

from pathlib import Path

import pytest

from syncengine.config import load
from syncengine.config.source import parse_env
from syncengine.errors import ConfigError

CONFIG = """
[systems.crm]
connector = "kizen"
api_key = {value}
[systems.office]
connector = "sql"
[pairs.contacts]
left = "crm.a"
right = "office.b"
match = "email"
fields.email = "email"
"""
SECRET = "hunter2-canary"


def write(folder: Path, value: str) -> Path:
    (folder / "s.toml").write_text(CONFIG.replace("{value}", value))
    return folder / "s.toml"


def api_key(folder: Path, value: str, **environ: str) -> object:
    return load(write(folder, value), environ=environ).systems["crm"].options["api_key"]


@pytest.mark.parametrize(
    ("written", "filled"),
    [
        ('"${KEY}"', "abc"),
        ('"x-${KEY}-${OTHER}"', "x-abc-def"),
        ('"$${KEY}"', "${KEY}"),
        ('"$KEY"', "$KEY"),
        ('["${KEY}", { deep = "${OTHER}" }]', ["abc", {"deep": "def"}]),
        ("'${KEY}'", "abc"),
    ],
)
def test_a_placeholder_is_filled_from_the_environment(tmp_path, written, filled):
    assert api_key(tmp_path, written, KEY="abc", OTHER="def") == filled


def test_what_is_filled_in_is_not_filled_again(tmp_path):
    assert api_key(tmp_path, '"${KEY}"', KEY="${OTHER}", OTHER="x") == "${OTHER}"


def test_the_environment_wins_over_the_env_file(tmp_path):
    (tmp_path / ".env").write_text("KEY=from-file\nOTHER='also # from file'\n")
    assert api_key(tmp_path, '"${KEY}/${OTHER}"', KEY="from-environment") == "from-environment/also # from file"


def test_a_secret_file_is_read_without_its_line_end(tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key").write_text(SECRET + "\n")
    assert api_key(tmp_path, '"${file:secrets/key}"') == SECRET
    assert api_key(tmp_path, f'"${{file:{tmp_path}/secrets/key}}"') == SECRET


MISSING = [
    ('"${NO_SUCH}"', "the environment variable NO_SUCH is not set", "write NO_SUCH=... into"),
    ('"${not a name}"', '"${not a name}" names no environment variable', "${NAME}"),
    ('"${}"', '"${}" names no environment variable', "${NAME}"),
    ('"${\\u001b[2J}"', '"${\\u001b[2J}" names no environment variable', "${NAME}"),
    ('"${file:none}"', 'the secret file "none" cannot be read: No such file or directory', "check its path"),
    ('"${file:.}"', 'the secret file "." cannot be read: Is a directory', "check its path"),
    ('"${file:bad}"', 'the secret file "bad" holds no UTF-8 text', "only the secret"),
    ('"${file:huge}"', 'the secret file "huge" is larger than 64 KiB', "only the secret"),
    ('"${file:nul\\u0000}"', 'the secret file "nul\\u0000" holds no UTF-8 text', "only the secret"),
]


@pytest.mark.parametrize(("written", "wrong", "cure"), MISSING)
def test_a_placeholder_without_a_value_is_named(tmp_path, written, wrong, cure):
    (tmp_path / "bad").write_bytes(b"\xff\xfe")
    (tmp_path / "huge").write_bytes(b"x" * (1 << 16) + b"x")
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, written), environ={})
    [problem] = caught.value.problems
    assert problem.place == "systems.crm.api_key"
    assert problem.wrong == wrong
    assert cure in problem.cure


def test_a_broken_env_file_is_only_a_problem_when_it_is_needed(tmp_path):
    (tmp_path / ".env").write_text("this is not a variable\nKEY=x\n")
    assert api_key(tmp_path, '"${KEY}"', KEY="y") == "y"
    with pytest.raises(ConfigError, match=r"^\.env line 1: this line is not KEY=VALUE"):
        api_key(tmp_path, '"${KEY}"')


ENV_LINES = [
    ("A=b", "b"),
    ("  export A = b ", "b"),
    ("A=", ""),
    ("A=b c # comment", "b c"),
    ("A=b#c", "b#c"),
    ("A=#c", ""),
    ("A='b # c'", "b # c"),
    ("A='b\\n' # c", "b\\n"),
    ('A="b \\"c\\" \\n\\t\\\\ #"', 'b "c" \n\t\\ #'),
    ('A="b" # c', "b"),
    ("A=1\nA=2", "2"),
    ("# only\n\nA=x=y", "x=y"),
    ("\ufeffA=b".removeprefix("\ufeff"), "b"),
]


@pytest.mark.parametrize(("text", "value"), ENV_LINES)
def test_env_lines_are_read_as_people_write_them(text, value):
    assert parse_env(text) == ({"A": value}, [])


@pytest.mark.parametrize("text", ["A", "1A=b", "A-B=c", "A='b", 'A="b', "A='b'c", "=x"])
def test_a_line_that_is_no_variable_is_counted_not_guessed(text):
    assert parse_env(f"\n{text}\n") == ({}, [2])


@pytest.mark.parametrize(
    "line",
    [
        'state = 5\n[systems.crm]\nconnector = "csv"\nread_only = "${SECRET}"',
        '[systems."a"]\nconnector = "csv"\ntimezone = "${SECRET}"',
        '[pairs.p]\nleft = "${SECRET}"\nmatch = "${SECRET}"\nconflicts = "${SECRET}"\nfields.x = { as = "${SECRET}" }',
        '[pairs.p]\nleft = "a.${SECRET}"\nright = "a.${SECRET}"\nfields.x = { values = { a = "${SECRET}", b = "${SECRET}" } }',
        '[pairs.p]\nschedule = "${SECRET}"\nguards.deletes = "${SECRET}"\nfilter.left = [{ field = "x", blank = "${SECRET}" }]',
        '[pairs.p]\nleft = "${SECRET}.a"\nfields.x = { left = "${SECRET}", right = "a" }\n'
        'fields.y = { left = "${SECRET}", right = "b" }',
        'region = "${SECRET}"\ndaemon = "${SECRET}"\nstate = "${SECRET}"',
    ],
)
def test_no_message_shows_what_a_placeholder_was_filled_with(tmp_path, line):
    (tmp_path / "s.toml").write_text(line)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "s.toml", environ={"SECRET": SECRET})
    assert SECRET not in str(caught.value)
    assert "${SECRET}" in str(caught.value)


def test_secrets_are_gathered_and_stand_in_no_repr(tmp_path):
    path = write(tmp_path, '"postgresql://u:${KEY}@h/db"')
    config = load(path, environ={"KEY": "p%40ss-canary"})
    assert {"p%40ss-canary", "p@ss-canary", "postgresql://u:p%40ss-canary@h/db"} <= config.secrets
    assert "canary" not in repr(config)
