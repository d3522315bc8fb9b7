"""Logs: one event a line, no secret in any form, no record's values, nothing that steers a terminal."""

import base64
import io
import json
import logging
import urllib.parse
from contextlib import suppress
from pathlib import Path

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine import log

SECRET = "s3cret/canary=="


@pytest.fixture(autouse=True)
def _as_before():
    handlers = list(logging.getLogger().handlers)
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers


def logged(format: log.Format, level: log.Level = log.Level.INFO, *, event: str = "run.finished", **fields: object) -> str:
    stream = io.StringIO()
    log.configure(format=format, level=level, redactor=log.Redactor([SECRET]), stream=stream)
    structlog.get_logger().info(event, **fields)
    return stream.getvalue()


def test_json_lines_hold_the_event_its_level_its_time_and_its_fields():
    line = json.loads(logged(log.Format.JSON, pair="contacts", count=3))
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "run.finished", "level": "info", "pair": "contacts", "count": 3}


def test_console_lines_read_like_text():
    assert "[info     ] run.finished" in (line := logged(log.Format.CONSOLE, pair="contacts"))
    assert "pair=contacts" in line


def test_a_level_keeps_lesser_events_out():
    assert logged(log.Format.JSON, log.Level.WARNING) == ""


FORMS = [
    SECRET,
    f"before {SECRET} after",
    urllib.parse.quote(SECRET, safe=""),
    urllib.parse.quote_plus(SECRET),
    base64.b64encode(SECRET.encode()).decode(),
    base64.urlsafe_b64encode(SECRET.encode()).decode(),
]


@pytest.mark.parametrize("format", list(log.Format))
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "wrap", [lambda text: text, lambda text: {"deep": [text]}, lambda text: ValueError(text), lambda text: {text: 1}]
)
def test_a_known_secret_never_shows_in_any_form(format, form, wrap):
    line = logged(format, detail=wrap(form), event=f"x.seen {form}")
    assert not any(other in line for other in FORMS)
    assert log.MASK in line


def test_a_secret_in_a_traceback_is_masked(capsys):
    stream = io.StringIO()
    log.configure(format=log.Format.JSON, redactor=log.Redactor([SECRET]), stream=stream)
    try:
        int(SECRET)
    except ValueError:
        structlog.get_logger().exception("run.failed")
    assert "'********'" in json.loads(stream.getvalue())["exception"]


def test_fields_named_like_secrets_are_masked_though_nobody_registered_them():
    line = json.loads(logged(log.Format.JSON, api_key="x", headers={"Authorization": "y", "Accept": "z"}))
    assert line["api_key"] == log.MASK
    assert line["headers"] == {"Authorization": log.MASK, "Accept": "z"}


def test_passwords_in_urls_are_masked_though_nobody_registered_them():
    assert "hunter2" not in logged(log.Format.JSON, url="postgresql://me:hunter2@db/x")


def test_values_of_records_are_never_logged_but_counts_are():
    line = json.loads(logged(log.Format.JSON, record={"email": "ada@example.com"}, values=["ada"], before="ada", records=12))
    assert "ada" not in json.dumps(line)
    assert line["records"] == 12


@settings(deadline=None)
@given(st.text(), st.text(min_size=1))
def test_one_event_is_one_line_whatever_it_holds(text, key):
    for format in log.Format:
        output = logged(format, pair=text, extra={key: [text]})
        assert output.count("\n") == 1
        assert output.removesuffix("\n").isprintable() or not any(ord(char) < 32 or ord(char) == 127 for char in output[:-1])
    json.loads(logged(log.Format.JSON, pair=text))


def test_a_log_that_cannot_be_written_ends_nobodys_work():
    with Path("/dev/full").open("w") as full:
        log.configure(format=log.Format.JSON, redactor=log.Redactor([]), stream=full)
        for _ in range(3):
            structlog.get_logger().error("run.broke")
        with suppress(OSError):
            full.close()  # what it still holds does not fit either


def test_warnings_of_libraries_come_out_in_the_same_form(capsys):
    stream = io.StringIO()
    log.configure(format=log.Format.JSON, redactor=log.Redactor([SECRET]), stream=stream)
    logging.getLogger("some.library").warning("pool of %s", SECRET)
    logging.getLogger("some.library").info("chatter")
    line = json.loads(stream.getvalue())
    assert (line["event"], line["library"], line["message"]) == ("library.logged", "some.library", "pool of ********")


def test_configuring_again_replaces_and_does_not_double():
    for _ in range(3):
        stream = io.StringIO()
        log.configure(format=log.Format.JSON, stream=stream)
    logging.getLogger("x").warning("once")
    assert stream.getvalue().count("once") == 1


def test_without_a_stream_lines_go_to_stderr(capsys):
    log.configure(format=log.Format.JSON)
    structlog.get_logger().warning("x.seen")
    assert "x.seen" in capsys.readouterr().err


def test_short_words_are_no_secrets():
    assert log.Redactor(["", "a", "abc"]).text("abc a") == "abc a"


def test_a_secret_that_holds_another_is_masked_whole():
    assert log.Redactor(["hunter2", "hunter2-long"]).text("hunter2-long") == log.MASK
