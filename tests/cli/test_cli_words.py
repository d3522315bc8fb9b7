"""Values and reports as text: one line, harmless, telling; TOML and JSON that others can read back."""

import json
import tomllib
import unicodedata
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.cli import render, toml
from syncengine.cli.output import Output, _chunks, jsonable
from syncengine.cli.text import Style, Table, counted, lasted, plain, shown, written
from syncengine.connector import ABSENT
from syncengine.core.guard import Trip
from syncengine.engine.report import ActionLine, Exit, FieldDiff, Forecast, InboxEntry, PlanReport, QuarantineEntry, RunReport
from syncengine.wording import harmless, listed, nearest, quoted, without_password

VALUES = [
    (None, "(blank)"),
    (ABSENT, "(none)"),
    ("", '""'),
    ("+1 555 0100", '"+1 555 0100"'),
    ('say "hi"', '"say \\"hi\\""'),
    ("two\nlines\x1b[2J", '"two\\u000alines\\u001b[2J"'),
    ("a" * 200, '"' + "a" * 160 + '... (200 characters)"'),
    (True, "true"),
    (12, "12"),
    (Decimal("1.20"), "1.20"),
    (Decimal("1E+3"), "1000"),
    (Decimal("NaN"), "NaN"),
    (Decimal("1E+999999"), "1E+999999"),
    (date(2020, 1, 31), "2020-01-31"),
    (datetime(2020, 1, 31, 12, 0, tzinfo=UTC), "2020-01-31 12:00:00+00:00"),
    (time(12, 30), "12:30:00"),
    (b"\x00\x01", "(2 bytes)"),
    (["a", 1, None], '["a", 1, (blank)]'),
    (("a",), '["a"]'),
    ({"b", "a"}, '["a", "b"]'),
    ({"k": ["v"]}, '{k: ["v"]}'),
    (list(range(20)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, and 8 more]"),
]


@pytest.mark.parametrize(("value", "text"), VALUES, ids=[str(index) for index in range(len(VALUES))])
def test_a_value_is_shown_so_that_people_recognise_it(value, text):
    assert shown(value) == text


NATIVE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text()
    | st.binary()
    | st.dates()
    | st.datetimes()
    | st.times(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(NATIVE)
def test_whatever_the_value_it_is_one_line_that_steers_nothing(value):
    assert all(unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in shown(value))


@settings(deadline=None)
@given(NATIVE)
def test_whatever_the_value_its_json_can_be_read(value):
    json.loads("".join(_chunks({"value": value})))


def test_json_keeps_exact_numbers_as_text():
    assert jsonable(Decimal("1.20")) == "1.20"
    assert jsonable(2**60) == str(2**60)
    assert jsonable(2**52) == 2**52
    assert jsonable(ABSENT) is None


PLAIN = st.recursive(
    st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | st.text(alphabet=st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(alphabet=st.characters(codec="utf-8")), inner, min_size=1, max_size=4)
    ),
    max_leaves=10,
)


def filled(value):
    """Less what `document` leaves out."""
    if isinstance(value, dict):
        return {key: filled(child) for key, child in value.items()}
    return [filled(child) for child in value] if isinstance(value, list) else value


@settings(deadline=None)
@given(st.dictionaries(st.text(alphabet=st.characters(codec="utf-8")), PLAIN, max_size=5))
def test_toml_that_is_written_reads_back(tables):
    assert tomllib.loads(toml.document(tables)) == filled(tables)


def test_toml_leaves_out_what_has_no_value():
    text = toml.document({"a": None, "b": {}, "pairs": {"c": {"x": 1, "fields": {"email": "email"}, "filter": {"left": []}}}})
    assert text == '[pairs.c]\nx = 1\nfilter = { left = [] }\n\n[pairs.c.fields]\nemail = "email"\n'


CALLED = {"left": "crm", "right": "office"}
DIFFS = (FieldDiff(field="phone", before="1", after="2"), FieldDiff(field="name", before=None, after="Ada"))

ACTIONS = [
    (
        ActionLine(kind="update", side="left", label="ada@example.com", id="1", diffs=DIFFS),
        ['  crm <- office  ada@example.com  phone  "1" -> "2"', '  crm <- office  ada@example.com  name  (blank) -> "Ada"'],
    ),
    (
        ActionLine(kind="create", side="right", label="ada", id=None, diffs=DIFFS, why="new on the left"),
        ['  office <- crm  ada  create  phone "2", name "Ada"  (new on the left)'],
    ),
    (ActionLine(kind="delete", side="right", label="ada", id="9"), ["  office <- crm  ada  delete"]),
    (ActionLine(kind="link", side="right", label="ada", id="9", why="same key"), ["  office = crm  ada  link  (same key)"]),
    (ActionLine(kind="unlink", side="right", label="ada", id="9"), ["  office | crm  ada  unlink"]),
    (ActionLine(kind="identify", side="left", label="", id=None), ["  crm  (no name)  identify"]),
    (
        ActionLine(kind="update", side="right", label="ada", id="9", diffs=DIFFS[:1], outcome="failed", why="too long"),
        ['  office <- crm  ada  phone  "1" -> "2"  failed  (too long)'],
    ),
    (
        ActionLine(kind="archive", side="right", label="a\x1b[2J", id="9", outcome="done"),
        ["  office <- crm  a\\u001b[2J  archive"],
    ),
]


@pytest.mark.parametrize(("action", "lines"), ACTIONS)
def test_an_action_reads_as_a_sentence_about_names_and_values(action, lines):
    assert [written(line) for line in render.action(action, CALLED)] == lines


def test_a_message_is_shown_whole_however_long():
    """Values are cut to a readable length; what explains a failure is not."""
    why = "the name is too long; " * 30
    line = ActionLine(kind="update", side="right", label="ada", id="9", diffs=DIFFS[:1], outcome="failed", why=why)
    [shown_line] = render.action(line, CALLED)
    assert written(shown_line).endswith(f"({why})")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    parked = QuarantineEntry(id="p:left:9", pair="p", side="left", label="ada", record="9", reason=why, since=at, tries=1)
    assert why in render.quarantine([parked]).rows[0]


def test_sides_are_called_by_their_system_unless_it_is_the_same():
    assert render.names("crm.a", "office.b") == {"left": "crm", "right": "office"}
    assert render.names("files.a", "files.b") == {"left": "files.a", "right": "files.b"}


NO_PLAN = PlanReport(
    pair="contacts",
    left="crm.a",
    right="office.b",
    counts={},
    actions=lambda: iter(()),
    read={"left": 1200, "right": 7},
    conflicts=0,
    trips=(),
    approval="",
    forecast=Forecast(calls={"left": 0, "right": 0}),
)


def test_a_plan_sums_up_what_it_would_do_and_cost():
    report = replace(
        NO_PLAN,
        counts={"right.create": 1000, "left.update": 2, "link": 3, "left.identify": 1},
        conflicts=2,
        forecast=Forecast(calls={"left": 2, "right": 11}, seconds=90),
        notes=("the email is read-only",),
        trips=(Trip(guard="creates", message="too many creates", count=1000, limit=100),),
        approval="abc",
    )
    assert [written(line) for line in render.plan(report)] == [
        "  read     crm 1,200, office 7",
        "  planned  3 link; crm: 2 update, 1 new id; office: 1,000 create",
        "  asks     2 questions for the inbox",
        "  costs    2 calls to crm, 11 calls to office, about 1 min 30 s",
        "  note     the email is read-only",
        "  refused  too many creates",
        "  if this is what you want: syncengine sync contacts, which keeps it for your approval",
    ]


def test_a_plan_without_work_says_so():
    assert [written(line) for line in render.plan(NO_PLAN)][1:] == ["  planned  nothing", "  costs    no calls"]


def test_a_run_that_did_not_finish_says_what_is_left():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    report = RunReport(
        run=7,
        pair="contacts",
        left="crm.a",
        right="office.b",
        started_at=start,
        finished_at=start + timedelta(seconds=75),
        read={"left": 3},
        buckets={"left": {"unchanged": 2, "skipped": 1}, "right": {}},
        written={"right.update": 1},
        failed=("ada: too long",),
        inbox_open=1,
        quarantined=2,
        pending={"conflict": 1, "quarantined": 2},
        error="office: the connection was lost",
        exit=Exit.FAILED,
        notes=("stopped on request",),
        shortfalls={"right.price": 1, "right.first.name": 1200, "left.phone": 2},
    )
    assert [written(line) for line in render.run(report)] == [
        "  read     crm 3",
        "  written  office: 1 updated",
        "  skipped  crm: 1 left alone",
        "  short    crm: phone 2; office: first.name 1,200, price 1",
        "  waiting  1 conflict, 2 in quarantine",
        "  inbox    1 question: syncengine conflicts list",
        "  parked   2 records: syncengine quarantine list",
        "  failed   ada: too long",
        "  note     stopped on request",
        "  error    office: the connection was lost",
        "  failed (run 7, 1 min 15 s)",
    ]


@pytest.mark.parametrize(
    ("kind", "field", "answer"),
    [
        ("conflict", "phone", "answer with one of: syncengine conflicts resolve 3 left | right | apart | --value TEXT"),
        ("delete", None, "answer with one of: syncengine conflicts resolve 3 left | right | apart"),
        ("duplicate", None, "put it away with: syncengine conflicts resolve 3 apart"),
    ],
)
def test_a_question_says_how_it_is_answered(kind, field, answer):
    at = datetime(2026, 1, 1, tzinfo=UTC)
    entry = InboxEntry(
        id=3, pair="p", kind=kind, label="ada", field=field, left=None, right=None, base=None, why="w", opened_at=at
    )
    assert written(list(render.conflict(entry, CALLED))[-1]).strip() == answer


def test_a_table_in_a_pipe_is_padded_and_has_no_frame(capsys):
    Output().table(Table(columns=("id", "name"), rows=[["1", ("ada", Style.BAD)], ["12", ""]]))
    assert capsys.readouterr().out == "id  name\n1   ada\n12\n"


def test_small_words():
    assert counted(1, "record") == "1 record"
    assert counted(2000, "entry", "entries") == "2,000 entries"
    assert [lasted(timedelta(seconds=seconds)) for seconds in (0.04, 59.94, 75, 3700)] == [
        "0.0 s",
        "59.9 s",
        "1 min 15 s",
        "1 h 1 min",
    ]
    assert plain("a\tb") == "a\\u0009b"


def test_names_are_quoted_listed_and_corrected():
    assert quoted('a"b') == '"a\\"b"'
    assert quoted("x" * 70) == '"' + "x" * 60 + '..."'
    assert listed(["a"]) == '"a"'
    assert listed(["a", "b", "c"]) == '"a", "b" or "c"'
    assert listed("abcdefghij").endswith('"h", ...')
    assert listed([]) == ""
    assert nearest("Emial", ["email", "name"]) == 'did you mean "email"?'
    assert nearest("zzz", ["email", "name"]) == 'use "email" or "name"'
    assert nearest("zzz", []) == ""


def test_passwords_in_urls_are_masked():
    assert without_password("postgresql://me:p@ss@db/x") == "postgresql://me:***@db/x"
    assert without_password("see https://me:pw@x and https://y") == "see https://me:***@x and https://y"


@settings(deadline=None)
@given(st.text())
def test_harmless_text_keeps_what_is_harmless(text):
    kept = harmless(text)
    assert harmless(kept) == kept
    if text.isascii() and text.isprintable():
        assert kept == text
