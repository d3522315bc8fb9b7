"""A folder with a config and two memory systems, and the command line run in it, in this process or as a user runs it."""

import json
import os
import pty
import re
import select
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from syncengine.testing.memory import load_world, save_world

SKILLS = ["creates", "updates", "deletes", "archives", "restores", "returns_record", "conditional_writes", "chooses_ids"]
CAPABILITIES = {**dict.fromkeys(SKILLS, True), "max_batch": 50, "calls_per_page": 1, "calls_per_write": 1}
CONFIG = """
[systems.crm]
connector = "memory"
path = "crm.json"
[systems.office]
connector = "memory"
path = "office.json"
[pairs.contacts]
left = "crm.people"
right = "office.people"
match = "email"
[pairs.contacts.fields]
email = "email"
first_name = { left = "first_name", right = "given_name" }
phone = "phone"
"""
ADA = {"email": "ada@example.com", "first_name": "Ada", "phone": "+1 555 0100"}
BOB = {"email": "bob@example.com", "first_name": "Bob", "phone": ""}


class Desk:
    """The folder; `crm` starts with Ada and Bob, `office` is empty."""

    def __init__(self, folder: Path, *, people=(ADA, BOB), config: str = CONFIG):
        self.folder = folder
        self.config = folder / "syncengine.toml"
        self.config.write_text(config)
        self.fill("crm", people)
        self.fill("office", ())

    def fill(self, name, people):
        """Make a system anew, with these records."""
        fields = {"email": {"type": "email"}, "first_name" if name == "crm" else "given_name": {}, "phone": {}}
        records = [{"id": str(number), "fields": dict(person)} for number, person in enumerate(people, start=1)]
        resource = {"fields": fields, "capabilities": CAPABILITIES, "records": records}
        (self.folder / f"{name}.json").write_text(json.dumps({"name": name, "resources": {"people": resource}}))

    def records(self, name):
        """What a system holds, by email."""
        told = json.loads((self.folder / f"{name}.json").read_text())
        return {record["fields"]["email"]: record["fields"] for record in told["resources"]["people"]["records"]}

    def edit(self, name, email, **changes):
        """A person edits a record."""
        with self._opened(name) as people:
            people.edit(self._id(people, email), **changes)

    def remove(self, name, email):
        """A person deletes a record."""
        with self._opened(name) as people:
            people.remove(self._id(people, email))

    @contextmanager
    def _opened(self, name):
        world = load_world(self.folder / f"{name}.json")
        yield world["people"]
        save_world(world, self.folder / f"{name}.json")

    def _id(self, people, email):
        return next(id_ for id_, fields in people.records().items() if fields["email"] == email)

    def user(self, *arguments, env=None, text=""):
        """The command line as a user runs it, its output into pipes."""
        return subprocess.run(
            [sys.executable, "-m", "syncengine.cli.main", *arguments],
            cwd=self.folder,
            env={**_environment(), **(env or {})},
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def started(self, *arguments):
        """The command line, running, its output in pipes of text."""
        command = [sys.executable, "-m", "syncengine.cli.main", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=self.folder, env=_environment(), **pipes)

    def terminal(self, *arguments, env=None, keys=""):
        """The command line on a terminal of 100 columns: exit code and everything that was shown."""
        parent, child = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "syncengine.cli.main", *arguments],
            cwd=self.folder,
            env={**_environment(), "TERM": "xterm-256color", "COLUMNS": "100", **(env or {})},
            stdin=child,
            stdout=child,
            stderr=child,
            close_fds=True,
        )
        os.close(child)
        os.write(parent, keys.encode())
        shown = b""
        while True:
            ready, _, _ = select.select([parent], [], [], 60)
            assert ready, "the command does not end"
            try:
                part = os.read(parent, 65536)
            except OSError:  # the last writer is gone
                break
            if not part:
                break
            shown += part
        os.close(parent)
        return process.wait(timeout=60), shown.decode()


def _environment():
    kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"}}
    return {**kept, "TZ": "UTC"}


def without_colors(text):
    """What a terminal shows, less its control sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
