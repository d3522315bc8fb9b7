"""A secret in the config is used and nowhere to be found: not in output, logs, state, backups or errors, in no form."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from connectors.kizen.server import RecordsServer
from connectors.kizen.server.http import Credentials
from syncengine.log import _forms
from tests.support.zygote import Zygote

KEY = "canary/k3y+of=the&crm%20?"
PASSWORD = "canary:p@ss/word"
PERSON = "Ada-canary-of-a-value"
CONFIG = """
state = "state.db"
[systems.crm]
connector = "kizen"
url = "{url}"
api_key = "${{CRM_KEY}}"
business_id = "{business}"
user_id = "{user}"
[systems.office]
connector = "sql"
url = "{office}"
[pairs.people]
left = "crm.client_client"
right = "office.people"
match = "email"
[pairs.people.fields]
email = "email"
name = {{ left = "first_name", right = "name" }}
"""


class Place:
    """A folder with a config, whose secrets stand in `.env`, and everything that any command printed there."""

    def __init__(self, folder: Path, zygote: Zygote, server: RecordsServer) -> None:
        self.folder, self._zygote, self._server = folder, zygote, server
        self.printed: list[str] = []
        (folder / ".env").write_text(f"CRM_KEY='{KEY}'\nDB_PASSWORD='{PASSWORD}'\n")
        with closing(sqlite3.connect(folder / "office.db")) as base, base:
            base.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT, name TEXT)")
            base.execute("INSERT INTO people (email, name) VALUES ('ada@example.com', ?)", (PERSON,))
        self.configure()

    def configure(self, *, url: str | None = None, office: str = "sqlite:///office.db") -> None:
        who = self._server.credentials
        text = CONFIG.format(url=url or self._server.url, business=who.business_id, user=who.user_id, office=office)
        (self.folder / "syncengine.toml").write_text(text)

    def command(self, *words: str) -> int:
        told: dict[str, Any] = self._zygote.command(self.folder, *words, "--log-level", "debug", "--log-format", "json")
        self.printed += [told["out"], told["err"]]
        self.log = told["err"]
        return int(told["code"])

    def assert_kept(self) -> None:
        """No form of a secret stands in what was printed, nor in any file but the one that people keep it in."""
        texts = [text.encode() for text in self.printed]
        texts += [path.read_bytes() for path in self.folder.rglob("*") if path.is_file() and path.name != ".env"]
        for secret in (KEY, PASSWORD):
            for form in _forms(secret):
                assert not any(form.encode() in text for text in texts), form


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote() as made:
        yield made


@pytest.fixture
def place(tmp_path: Path, zygote: Zygote) -> Iterator[Place]:
    folder = tmp_path / "place"
    folder.mkdir()
    who = Credentials(
        api_key=KEY, business_id="3f0c1f6e-9f6a-4f6e-8a52-0d3a1b8c9d10", user_id="6f0c1f6e-9f6a-4f6e-8a52-0d3a1b8c9d11"
    )
    with RecordsServer(credentials=who, page=False) as server:
        yield Place(folder, zygote, server)


def test_every_command_keeps_it_to_itself(place: Place) -> None:
    assert place.command("sync") == 0
    assert "call.ended" in place.log, "the log was on, at its most talkative"
    for words in (
        ("check",),
        ("plan",),
        ("status", "--json"),
        ("log",),
        ("log", "1", "--json"),
        ("config", "show"),
        ("config", "show", "--json"),
        ("conflicts", "list"),
        ("state", "check"),
        ("state", "backup", "copy.db"),
    ):
        assert place.command(*words) in (0, 3, 4, 5), words
    place.assert_kept()


def test_logs_hold_no_values_of_records(place: Place) -> None:
    assert place.command("sync") == 0
    assert PERSON not in place.log
    assert "ada@example.com" not in place.log


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://127.0.0.1:1/api"},
        {"url": "https://nowhere.invalid/api"},
        {"url": "https://me:${DB_PASSWORD}@crm.example.com/api"},
        {"url": "https://crm.example.com/api?key=${CRM_KEY}"},
        {"url": "http://crm.example.com/${CRM_KEY}"},
        {"office": "sqlite:///${CRM_KEY}.db"},
        {"office": "postgresql://me:${DB_PASSWORD}@127.0.0.1:1/office"},
        {"office": "mysql://me:${DB_PASSWORD}@127.0.0.1:1/office"},
        {"office": "nonsense://me:${DB_PASSWORD}@127.0.0.1/office"},
        {"office": "postgresql://me:${DB_PASSWORD}@[::1/office"},
    ],
    ids=str,
)
def test_every_trouble_keeps_it_to_itself(place: Place, wrong: dict[str, str]) -> None:
    place.configure(**wrong)
    assert place.command("sync") in (1, 2), place.printed[-2:]
    for words in (("check",), ("config", "show")):
        place.command(*words)
    place.assert_kept()


def test_a_refused_key_is_not_told(place: Place) -> None:
    (place.folder / ".env").write_text(f"CRM_KEY='{KEY}x'\n")
    assert place.command("sync") == 1
    assert "credentials are refused" in "".join(place.printed[-2:])
    place.assert_kept()


def test_a_message_that_would_quote_it_masks_it(place: Place) -> None:
    """Whoever put it there: here a person, who pasted it into the wrong place."""
    assert place.command("sync", "--record", KEY) == 1
    assert "no record of people has this email" in place.printed[-1]
    place.assert_kept()
