"""CSV and JSON Lines files keep the contract."""

from __future__ import annotations

import csv
import io
import json

import pytest

import connectors.csv
import connectors.files.connector
import connectors.files.index
import connectors.jsonl
from syncengine.connector import Context
from syncengine.testing.conformance import ConnectorConformance, Waiver, World

SEED = {"email": "ada@example.com", "name": "Ada", "city": "London"}


class FileFarSide:
    """A person with an editor: the whole file is read, changed and saved anew."""

    def __init__(self, path):
        self.path = path

    def insert(self, fields):
        self.save([*self.rows(), dict(fields)])

    def edit(self, id, fields):
        self.save([row | fields if str(row.get("id")) == id else row for row in self.rows()])

    def remove(self, id):
        self.save([row for row in self.rows() if str(row.get("id")) != id])

    def save(self, rows):
        beside = self.path.with_suffix(".new")
        beside.write_bytes(self.text_of(rows).encode())
        beside.replace(self.path)


class CsvFarSide(FileFarSide):
    columns = ("id", "email", "name", "city", "note")

    def rows(self):
        with self.path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def text_of(self, rows):
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.columns)
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()


class JsonlFarSide(FileFarSide):
    def rows(self):
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").split("\n") if line]

    def text_of(self, rows):
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


class FileConformance(ConnectorConformance):
    """What both kinds of file share; pages are made small, so that a test fills several."""

    @pytest.fixture(autouse=True)
    def small_pages(self, monkeypatch):
        for module in (connectors.files.connector, connectors.files.index):
            monkeypatch.setattr(module, "BATCH", 3)

    @pytest.fixture
    def reopen(self, plugin, far_side):
        options = plugin.options(**{"path": far_side.path.name, **self.options})
        return lambda: plugin.connect(options, Context(system="office", base=far_side.path.parent))

    @pytest.fixture
    def connector(self, reopen):
        connector = reopen()
        yield connector
        connector.close()


class TestCsv(FileConformance):
    world = World(resource="people", seed_fields=SEED, editable="name")
    waivers = (Waiver("test_hostile_text[nul]", reason="a NUL has no place in a CSV file; it is refused"),)
    options = {}  # noqa: RUF012 - read only

    @pytest.fixture
    def plugin(self):
        return connectors.csv.plugin

    @pytest.fixture
    def far_side(self, tmp_path):
        far_side = CsvFarSide(tmp_path / "people.csv")
        far_side.save([])
        return far_side


class TestCsvByEmail(TestCsv):
    """Without a column for ids the match key serves as id."""

    @pytest.fixture
    def far_side(self, tmp_path):
        far_side = CsvFarSide(tmp_path / "people.csv")
        far_side.columns = ("email", "name", "city")
        far_side.edit = lambda email, fields: far_side.save(
            [row | fields if row["email"] == email else row for row in far_side.rows()]
        )
        far_side.save([])
        return far_side


class TestJsonl(FileConformance):
    world = World(resource="people", seed_fields={**SEED, "age": 36}, editable="name")
    options = {  # noqa: RUF012 - read only
        "fields": {"email": "text", "name": "text", "city": "text", "age": "integer", "score": "decimal", "on": "boolean"}
    }

    @pytest.fixture
    def plugin(self):
        return connectors.jsonl.plugin

    @pytest.fixture
    def far_side(self, tmp_path):
        far_side = JsonlFarSide(tmp_path / "people.jsonl")
        far_side.save([])
        return far_side
