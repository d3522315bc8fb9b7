"""What somebody else sends, or leaves lying about, has bounds: size, depth, number; and what is in doubt is not written."""

from __future__ import annotations

import os
import socket
import sqlite3
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from syncengine.config import load
from syncengine.connector import Context
from syncengine.engine import run as engine
from syncengine.engine.report import Exit
from syncengine.errors import ConfigError, ConnectorError, StateError
from syncengine.http import parse_json
from syncengine.registry import Registry
from syncengine.store.identity import Access
from syncengine.store.opening import connect, prove_ours
from syncengine.store.store import Store
from tests.support.engine import Bench, filled
from tests.support.proxy import Proxy
from tests.support.records import CONTACTS, Shop, people

CANARY = "canary-of-an-unmapped-field"


# Files that a config leads to


def config(folder: Path, text: str) -> ConfigError:
    path = folder / "syncengine.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path, environ={})
    return caught.value


def test_an_env_file_of_any_size_is_read_up_to_a_bound(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=1\n" * 400_000)
    assert "larger than 1 MiB" in str(config(tmp_path, 'state = "${B}"\n'))


def test_a_secret_file_that_never_ends_is_read_up_to_a_bound(tmp_path: Path) -> None:
    error = config(tmp_path, 'state = "${file:/dev/zero}"\n')
    assert "larger than 64 KiB" in str(error)


def test_a_config_that_never_ends_is_read_up_to_a_bound() -> None:
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        load(Path("/dev/zero"), environ={})


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 100_000, "[" + "a." * 50_000 + "b]", "a = " + "{b=" * 50_000, "a = 1e999999999", "a = " + "9" * 100_000],
)
def test_a_config_that_means_to_exhaust_the_reader_is_refused(tmp_path: Path, text: str) -> None:
    assert config(tmp_path, text).problems


@pytest.mark.parametrize("connector", ["csv", "jsonl"])
@pytest.mark.parametrize("kind", ["fifo", "socket", "device"])
def test_what_is_no_ordinary_file_is_refused_at_once(tmp_path: Path, connector: str, kind: str) -> None:
    """A pipe without a writer would make us wait for ever."""
    path = Path("/dev/zero") if kind == "device" else tmp_path / f"people.{connector}"
    if kind == "fifo":
        os.mkfifo(path)
    with closing(socket.socket(socket.AF_UNIX)) as other:
        if kind == "socket":
            other.bind(str(path))
        plugin = Registry.installed().load(connector)
        files = plugin.connect(plugin.options(path=str(path)), Context(system="files", base=tmp_path))
        with pytest.raises(ConnectorError):
            files.check()
        with pytest.raises(ConnectorError):
            list(files.read(path.stem, fields=("a",)))


# JSON


@pytest.mark.parametrize(
    "body", [b"[" * 1_000_000, b'{"a":' * 1_000_000, b"1" * 1_000_000, b"1e999999999", b'"' + b"\\u00" * 100_000]
)
def test_json_that_means_to_exhaust_the_reader_is_refused_in_little_memory(body: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError):
            parse_json(body)
        assert tracemalloc.get_traced_memory()[1] < 20 * len(body) + 100_000
    finally:
        tracemalloc.stop()


# The state


def test_the_state_does_not_trust_what_is_written_in_its_schema(tmp_path: Path) -> None:
    """No function of a schema runs, cells are checked as they are read, and no library can be loaded."""
    path = tmp_path / "state.db"
    Store.open(path, now=0.0).close()
    database = connect(path, Access.WRITE)
    try:
        prove_ours(database, path)
        assert database.value("PRAGMA trusted_schema") == 0
        assert database.value("PRAGMA cell_size_check") == 1
        with pytest.raises(sqlite3.OperationalError, match="not authorized"):
            database.execute("SELECT load_extension('x')")
    finally:
        database.disconnect()


@pytest.mark.parametrize(
    "statement", ["CREATE VIEW v AS SELECT 1", "CREATE TRIGGER t AFTER INSERT ON run BEGIN DELETE FROM link; END"]
)
def test_a_state_that_somebody_put_code_into_is_refused(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "state.db"
    Store.open(path, now=0.0).close()
    with closing(sqlite3.connect(path)) as other, other:
        other.execute(statement)
    with pytest.raises(StateError, match="somebody altered it"):
        Store.open(path, now=0.0)


# In doubt: nothing


@pytest.mark.parametrize("gate", ["check", "_check_accounts", "_survey", "Recovery"])
def test_a_guard_that_itself_breaks_lets_nothing_pass(monkeypatch: pytest.MonkeyPatch, gate: str) -> None:
    """Whatever proves that writing is safe: where it fails, nothing is written, and the next run does it all."""
    bench, left, _ = filled("ada", "bob")
    bench.left.edit(left["ada"], name="Countess")
    for number in range(300):
        bench.left.insert(email=f"p{number}@example.com")
    before = bench.writes()

    def broken(*_arguments: object, **_named: object) -> object:
        raise RuntimeError("a bug in a guard")

    with monkeypatch.context() as patched:
        patched.setattr(engine, gate, broken)
        with pytest.raises(RuntimeError, match="a bug in a guard"):
            bench.run(holder="first")
    assert bench.writes() == before
    bench.clock.time += 600
    report = bench.run(holder="second")
    report = bench.run(holder="second", approve=report.approval) if report.approval else report
    assert report.exit is Exit.DONE, report
    bench.assert_quiet()


# Data in bulk


def test_a_value_of_megabytes_travels_like_any_other() -> None:
    bench, left, right = filled("ada")
    large = "x" * 5_000_000 + "é"
    bench.left.edit(left["ada"], name=large)
    assert bench.sync().exit is Exit.DONE
    assert bench.right[right["ada"]]["name"] == large
    bench.assert_quiet()


def test_thousands_with_the_same_key_are_one_question_each_and_no_record() -> None:
    """In time that grows with their number, not with its square: this would take hours."""
    bench = Bench()
    for number in range(3000):
        bench.left.insert(email="same@example.com", name=str(number))
    report = bench.run()
    assert report.exit is Exit.PARTIAL
    assert not report.written
    assert len(bench.right) == 0
    assert report.buckets["left"] == {"ambiguous": 3000}


# Only what is mapped


def test_a_field_that_nobody_mapped_is_never_sent_anywhere(open_shop: Callable[..., Shop]) -> None:
    """What the CRM tells besides goes neither back to it nor to the other side."""
    shop = open_shop(people())
    shop.server.add_field(CONTACTS, "Diagnosis", "text")
    shop.server.add_record(CONTACTS, {"email": "ada@example.com", "first_name": "Ada", "diagnosis": CANARY})
    with Proxy(shop.server.port) as proxy:
        shop.path.write_text(shop.path.read_text().replace(f"http://127.0.0.1:{shop.server.port}", proxy.url))
        shop.sync()
        shop.sql("UPDATE people SET last_name='Lovelace', first_name='Augusta'")
        shop.sync()
        assert shop.contact("ada@example.com")["last_name"] == "Lovelace"
        assert shop.contact("ada@example.com")["diagnosis"] == CANARY
        sent = b"".join(proxy.received)
    assert CANARY.encode() not in sent
    assert CANARY not in str(shop.rows("*"))
    assert all(CANARY.encode() not in path.read_bytes() for path in shop.path.parent.glob("state.db*"))
