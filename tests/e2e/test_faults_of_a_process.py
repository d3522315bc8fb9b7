"""
The command itself against a CRM in trouble: it ends in time, its exit code and summary are true, it shows no key and no traceback.

Faults one by one are in `test_http_faults`; here is what only a process of its own shows: signals, exit codes, what is printed.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import sqlite3
import ssl
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from tests.support.certificates import Authority, needs_openssl
from tests.support.crm_town import CrmTown
from tests.support.proxy import Proxy, Spoiler, drip, flood, refuse, reset, say, stall
from tests.support.running import run, start
from tests.support.zygote import Zygote

TIMEOUT = 1.0
PERSON = {"ref": "r1", "email": "ada@example.com", "name": "Ada", "phone": "1", "note": "-"}
OTHER = {"ref": "r2", "email": "bob@example.com", "name": "Bob", "phone": "2", "note": "-"}


class Behind(CrmTown):
    """A town whose CRM is reached through a proxy, with one person in sync and one to be carried to the CRM."""

    proxy: Proxy

    def fill(self, zygote: Zygote) -> None:
        config = self.folder / "syncengine.toml"
        self.proxy = Proxy(self.server.port)
        self.proxy.__enter__()
        self.address(self.proxy.url)
        config.write_text(config.read_text().replace('connector = "kizen"', f'connector = "kizen"\ntimeout = {TIMEOUT}'))
        self.add("left", PERSON)
        assert zygote.command(self.folder, "sync")["code"] == 0
        self.add("right", OTHER)

    def address(self, url: str) -> None:
        """The CRM is at another address from now on."""
        config = self.folder / "syncengine.toml"
        config.write_text(re.sub(r'url = "https?://[^/]*/api"', f'url = "{url}/api"', config.read_text()))

    @property
    def key(self) -> str:
        return self.server.credentials.api_key

    def close(self) -> None:
        self.proxy.close()
        super().close()


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote() as made:
        yield made


@pytest.fixture
def town(tmp_path: Path, zygote: Zygote) -> Iterator[Behind]:
    made = Behind(tmp_path / "town")
    made.fill(zygote)
    yield made
    made.close()


def assert_harmless(town: Behind, *texts: str) -> None:
    for text in texts:
        assert town.key not in text
        assert "Traceback" not in text
        assert "bug in syncengine" not in text


# Asked to stop while it waits


@contextmanager
def waiting(town: Behind, line: str, spoiler: Spoiler) -> Iterator[subprocess.Popen[str]]:
    """A sync that has been told to come back later, and waits."""
    plan = town.proxy.spoil(line, spoiler)
    process = start(town.folder, "sync")
    deadline = time.monotonic() + 60
    while not plan.hits:
        assert time.monotonic() < deadline, "it never came so far"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.05)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


WAITS = {
    "reading, 503": ("POST .*/search", refuse("503 Busy", "Retry-After: 60")),
    "reading, 429": ("POST .*/search", refuse("429 Slow", "Retry-After: 60")),
    "writing, 429": ("POST .*/add", refuse("429 Slow", "Retry-After: 60")),
}


@pytest.mark.parametrize("wait", WAITS)
def test_a_sync_that_waits_for_a_busy_system_ends_soon_after_it_is_asked_to(town: Behind, zygote: Zygote, wait: str) -> None:
    """The system said: in a minute. SIGTERM comes, and the process leaves within seconds, with a true summary."""
    with waiting(town, *WAITS[wait]) as process:
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        assert time.monotonic() - asked < 15
    assert process.returncode == 4, (out, err)
    assert "stopped on request" in out
    assert "written  nothing" in out
    assert_harmless(town, out, err)
    assert len(town.left()) == 1
    assert not town.faults()
    town.proxy.calm()
    assert zygote.command(town.folder, "sync")["code"] == 0
    assert {one["ref"] for one in town.left()} == {"r1", "r2"}


def test_a_plan_that_waits_ends_as_well(town: Behind) -> None:
    plan = town.proxy.spoil("POST .*/search", refuse("503 Busy", "Retry-After: 60"))
    process = start(town.folder, "plan")
    deadline = time.monotonic() + 60
    while not plan.hits:
        assert time.monotonic() < deadline
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=15)
    assert process.returncode == 4, (out, err)
    assert "Stopped on request" in err
    assert_harmless(town, out, err)


# Exit code and summary


READING: dict[str, tuple[Spoiler, str]] = {
    "resets": (reset(applied=False), "the answer was lost"),
    "silence": (stall(applied=False), "the answer was lost"),
    "a drip": (drip(after=b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"), "the answer was lost"),
    "a log-in page": (say(b"<html>Log in</html>"), "a page for people, not JSON"),
    "a body without end": (flood(80), "larger than"),
    "a revoked key": (refuse("401 Unauthorized"), "the credentials are refused"),
    "an outage": (refuse("503 Busy", "Retry-After: 1"), "the system is in trouble"),
}


@pytest.mark.parametrize("fault", READING)
def test_a_sync_that_cannot_read_ends_in_time_with_1_and_says_why(town: Behind, zygote: Zygote, fault: str) -> None:
    spoiler, words = READING[fault]
    town.proxy.spoil("POST .*/search", spoiler)
    told = zygote.command(town.folder, "sync", "--json")
    assert told["code"] == 1, told
    assert told["seconds"] < 4 * TIMEOUT + 15
    [pair] = json.loads(told["out"])["pairs"]
    assert words in pair["error"]
    assert pair["written"] == {}
    assert_harmless(town, told["out"], told["err"])
    assert len(town.left()) == 1
    log = zygote.command(town.folder, "log")
    assert "failed" in log["out"]
    town.proxy.calm()
    assert zygote.command(town.folder, "sync")["code"] == 0
    assert len(town.left()) == 2


def test_a_sync_whose_write_is_not_answered_ends_with_4_and_counts_it(town: Behind, zygote: Zygote) -> None:
    town.proxy.spoil("POST .*/add", reset(applied=True))
    told = zygote.command(town.folder, "sync", "--json")
    assert told["code"] == 4, told
    [pair] = json.loads(told["out"])["pairs"]
    assert pair["written"] == {}
    assert pair["pending"] == {"in_doubt": 1}
    assert_harmless(town, told["out"], told["err"])
    town.proxy.calm()
    assert town.sync_until(zygote, 0)["code"] == 0
    assert {one["ref"] for one in town.left()} == {"r1", "r2"}


@contextmanager
def black_hole() -> Iterator[str]:
    """An address where connections are neither taken nor refused: the queue of its listener is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def at(place: str) -> Iterator[str]:
    yield place


UNREACHABLE = {
    "a name that does not resolve": lambda: at("nowhere.invalid"),
    "a port where nobody listens": lambda: at("127.0.0.1:1"),
    "a network that swallows everything": black_hole,
}


@pytest.mark.parametrize("where", UNREACHABLE)
def test_a_system_that_cannot_be_reached_is_named_and_nothing_is_sent(town: Behind, zygote: Zygote, where: str) -> None:
    with UNREACHABLE[where]() as place:
        town.address(f"https://{place}")
        told = zygote.command(town.folder, "sync")
    assert told["code"] == 1, told
    assert told["seconds"] < 4 * TIMEOUT + 20
    assert f"{place.partition(':')[0]} can't be reached" in told["out"] + told["err"]
    assert "nothing was sent" in told["out"] + told["err"]
    assert_harmless(town, told["out"], told["err"])


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def context(authority: Authority, **options: object) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*authority.issue(**options))
    return made


BAD: dict[str, dict[str, object]] = {
    "self-signed": {"self_signed": True},
    "of an authority that nobody trusts": {"trusted": False},
    "expired": {"days": (-30, -1)},
    "not valid yet": {"days": (10, 30)},
    "for another name": {"names": ("crm.example.com",)},
    "for a name alike": {"names": ("localhost.example.com", "alocalhost")},
}


@needs_openssl
@pytest.mark.parametrize("certificate", BAD)
def test_a_certificate_that_is_not_right_ends_the_sync_before_anything_is_sent(
    town: Behind, authority: Authority, certificate: str
) -> None:
    with Proxy(town.server.port, tls=context(authority, **BAD[certificate])) as proxy:
        town.address(proxy.url.replace("127.0.0.1", "localhost"))
        done = run(town.folder, "sync", variables=authority.variables)
        assert proxy.received == []
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert "the certificate of localhost can't be trusted" in done.stderr + done.stdout
    assert "nothing was sent" in done.stderr + done.stdout
    assert_harmless(town, done.stdout, done.stderr)


@needs_openssl
def test_a_certificate_of_an_authority_that_the_machine_trusts_is_fine(town: Behind, authority: Authority) -> None:
    """A private authority is added by the variable SSL_CERT_FILE, as for every program that uses OpenSSL."""
    with Proxy(town.server.port, tls=context(authority)) as proxy:
        town.address(proxy.url.replace("127.0.0.1", "localhost"))
        done = run(town.folder, "sync", variables=authority.variables)
        assert done.returncode == 0, (done.stdout, done.stderr)
        assert proxy.received
    assert len(town.left()) == 2


@needs_openssl
def test_an_old_version_of_tls_is_not_spoken(town: Behind, authority: Authority) -> None:
    old = context(authority)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with Proxy(town.server.port, tls=old) as proxy:
        town.address(proxy.url.replace("127.0.0.1", "localhost"))
        done = run(town.folder, "sync", variables=authority.variables)
        assert proxy.received == []
    assert done.returncode == 1
    assert "nothing was sent" in done.stderr + done.stdout


def test_a_system_that_speaks_no_tls_where_it_should_hears_no_key(town: Behind, zygote: Zygote) -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        town.address(f"https://127.0.0.1:{listener.getsockname()[1]}")
        process = start(town.folder, "sync")
        connection, _ = listener.accept()
        with connection:
            heard.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        listener.close()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1, (out, err)
    assert town.key.encode() not in b"".join(heard)
    assert_harmless(town, out, err)


# Several pairs


SECOND = """
[systems.files]
connector = "csv"
path = "files"
[systems.shop]
connector = "sql"
url = "sqlite:///shop.db"
[pairs.things]
left = "files.things"
right = "shop.things"
match = "name"
[pairs.things.fields]
name = "name"
"""


def add_second_pair(town: Behind) -> None:
    """A pair that has nothing to do with the CRM."""
    (town.folder / "files").mkdir(exist_ok=True)
    (town.folder / "files" / "things.csv").write_text("id,name\n1,Hammer\n")
    with closing(sqlite3.connect(town.folder / "shop.db")) as base, base:
        base.execute("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT)")
    config = town.folder / "syncengine.toml"
    config.write_text(config.read_text() + SECOND)


def things(town: Behind) -> int:
    with closing(sqlite3.connect(town.folder / "shop.db")) as base:
        return int(base.execute("SELECT count(*) FROM things").fetchone()[0])


def test_a_pair_whose_system_is_down_takes_no_other_pair_with_it(town: Behind, zygote: Zygote) -> None:
    """Each has its own summary; the exit code is the gravest; `status` and `log` tell of the one that could not begin."""
    add_second_pair(town)
    town.proxy.close()
    told = zygote.command(town.folder, "sync", "--json")
    assert told["code"] == 1, told
    people, other = json.loads(told["out"])["pairs"]
    assert "can't be reached" in people["error"]
    assert people["exit"] == 1
    assert other["exit"] == 0
    assert other["written"] == {"right.create": 1}
    assert things(town) == 1
    [last] = [
        pair["last"]
        for pair in json.loads(zygote.command(town.folder, "status", "--json")["out"])["pairs"]
        if pair["pair"] == "people"
    ]
    assert last["exit"] == 1
    assert last["run"] == people["run"]


def test_a_stop_that_comes_in_the_first_pair_leaves_a_summary_for_each(town: Behind) -> None:
    add_second_pair(town)
    with waiting(town, *WAITS["reading, 503"]) as process:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 4, (out, err)
    assert "stopped on request; the next run goes on where this one left off" in out
    assert "stopped on request before it began" in out
    assert things(town) == 0
