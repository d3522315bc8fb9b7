"""The watermark: whoever stamps a row within the overlap, the read after its commit delivers it. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sql.cursors import Cursor, Watermark, parse_cursor
from connectors.sql.describe import describe
from connectors.sql.facts import ColumnFacts, TableFacts
from connectors.sql.keys import KeyKind
from connectors.sql.options import SqlOptions, options_for
from connectors.sql.sqlite import SQLite, shape_of
from connectors.sql.values import instant, stamp
from syncengine.errors import CursorExpired

START = datetime(2026, 3, 1, tzinfo=UTC)
OVERLAP = 5.0


def table(name="people", column="changed", zone=UTC):
    """A described table that is read incrementally."""
    columns = tuple(
        ColumnFacts(name=each, shape=shape_of(type_), nullable=True, filled=False, generated=False, key_kind=KeyKind.LOOSE)
        for each, type_ in (("id", "INTEGER"), (column, "DATETIME"))
    )
    facts = TableFacts(
        schema="main", name=name, columns=columns, primary_key=("id",), numbered=True, unique=(("id",),), foreign_keys=()
    )
    options = SqlOptions.model_validate({"url": "sqlite:///x.db", "updated_at": column, "overlap": OVERLAP})
    return replace(describe(facts, options_for(name, options), traits=SQLite.traits), zone=zone)


PEOPLE = table()


@st.composite
def histories(draw):
    """Writes, each with the time it stamps and the time it commits, of a clock that is behind by up to some hours; and reads."""
    behind = timedelta(hours=draw(st.sampled_from([0, 0, 1, 5, 12])))
    writes = []
    for _ in range(draw(st.integers(0, 12))):
        stamped = draw(st.floats(0, 300_000))
        writes.append((START + timedelta(seconds=stamped), timedelta(seconds=draw(st.floats(0, OVERLAP - 0.1)))))
    reads = sorted(START + timedelta(seconds=draw(st.floats(0, 300_000))) for _ in range(draw(st.integers(2, 6))))
    return behind, writes, reads


@given(histories())
def test_every_change_is_delivered_by_the_read_after_its_commit(history):
    """Whatever the clock that stamps, as long as it is the same for all and transactions end within the overlap."""
    behind, writes, reads = history
    rows = [(begun - behind, begun + lasting) for begun, lasting in writes]
    cursor = None
    delivered = set()
    for now in reads:
        there = {number: stamped for number, (stamped, committed) in enumerate(rows) if committed <= now}
        if cursor is None:
            found = there
        else:
            since = cursor.since(PEOPLE)
            found = {number: stamped for number, stamped in there.items() if stamped >= since}
        mark = Watermark(PEOPLE, now=now, before=cursor)
        mark.saw(list(found.values()), sortable=True)
        cursor = parse_cursor(mark.cursor(), PEOPLE)
        delivered |= found.keys()

        assert delivered == there.keys()


def test_a_table_filled_at_one_instant_is_not_read_for_ever():
    """Once a read found no newer row, the mark moves on with the database's clock: the window empties."""
    first = Watermark(PEOPLE, now=START + timedelta(seconds=2), before=None)
    first.saw([START], sortable=True)
    second = Watermark(PEOPLE, now=START + timedelta(hours=1), before=parse_cursor(first.cursor(), PEOPLE))
    second.saw([], sortable=True)

    assert parse_cursor(second.cursor(), PEOPLE).since(PEOPLE) > START


def test_a_row_from_the_future_does_not_move_the_mark():
    """A stamp of the year 2099 must not make all other changes look old."""
    mark = Watermark(PEOPLE, now=START, before=None)
    mark.saw([datetime(2099, 1, 1, tzinfo=UTC), START - timedelta(hours=1), None], sortable=True)

    assert parse_cursor(mark.cursor(), PEOPLE).mark == START - timedelta(hours=1)


def test_times_that_do_not_sort_make_no_cursor():
    """Where the database would compare texts that are not times, the next read has to be a whole one."""
    mark = Watermark(PEOPLE, now=START, before=None)
    mark.saw([START], sortable=False)
    mark.saw([START], sortable=True)

    assert mark.cursor() is None


@pytest.mark.parametrize("minutes", range(-180, 181, 15))
def test_the_hour_that_comes_twice_is_read_twice(minutes):
    """Local stamps of the hour after clocks went back lie before those of the hour before: none may be missed."""
    berlin = table(zone=ZoneInfo("Europe/Berlin"))
    back = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)
    mark = back + timedelta(minutes=minutes)
    since = Cursor(mark=mark, lag=timedelta()).since(berlin).astimezone(berlin.zone).replace(tzinfo=None)

    for later in range(0, 300, 5):
        local = (mark + timedelta(minutes=later)).astimezone(berlin.zone).replace(tzinfo=None)
        assert local >= since


@pytest.mark.parametrize(
    "text",
    ["", "x", "{}", "[]", "null", '{"format": 1}', '{"format": 1, "table": "people", "column": "changed", "mark": 5, "lag": 0}'],
)
def test_what_is_no_cursor_is_refused(text):
    """Damaged text ends in CursorExpired."""
    with pytest.raises(CursorExpired):
        parse_cursor(text, PEOPLE)


@pytest.mark.parametrize("other", [table(name="others"), table(column="touched")])
def test_a_cursor_of_another_table_or_column_is_refused(other):
    """A changed config does not resume where another column stood."""
    mark = Watermark(other, now=START, before=None)

    with pytest.raises(CursorExpired):
        parse_cursor(mark.cursor(), PEOPLE)


@pytest.mark.parametrize(
    ("value", "zone", "expected"),
    [
        ("2024-01-05 10:00:00", UTC, datetime(2024, 1, 5, 10, tzinfo=UTC)),
        ("2024-01-05T10:00:00+02:00", UTC, datetime(2024, 1, 5, 8, tzinfo=UTC)),
        ("2024-01-05", UTC, datetime(2024, 1, 5, tzinfo=UTC)),
        ("2024-07-05 10:00:00", ZoneInfo("Europe/Berlin"), datetime(2024, 7, 5, 8, tzinfo=UTC)),
        ("infinity", UTC, None),
        (1700000000, UTC, None),
        (None, UTC, None),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=3))), UTC, None),
    ],
)
def test_instants_of_what_is_delivered(value, zone, expected):
    """Texts, dates, naive and aware times; what is none has no instant."""
    assert instant(value, zone) == expected


@pytest.mark.parametrize(
    ("declared", "zone", "expected"),
    [
        ("DATETIME", UTC, "2024-07-05 10:11:12.345678"),
        ("DATETIME", ZoneInfo("Europe/Berlin"), "2024-07-05 12:11:12.345678"),
        ("DATE", ZoneInfo("Europe/Berlin"), "2024-07-05"),
        ("TIMESTAMP WITH TIME ZONE", ZoneInfo("Europe/Berlin"), "2024-07-05 10:11:12.345678+00:00"),
    ],
)
def test_stamps_suit_their_column(declared, zone, expected):
    """The database's clock, as the column keeps times."""
    shape = shape_of(declared)

    assert shape.store(stamp(datetime(2024, 7, 5, 10, 11, 12, 345678, tzinfo=UTC), shape, zone)) == expected
