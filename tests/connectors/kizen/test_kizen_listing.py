"""Listings lose nothing, cost what they must, and claim only what they can prove."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from syncengine.connector import Page
from syncengine.errors import AuthError, CursorExpired, ProtocolError, ResourceError, TransientError
from tests.connectors.kizen.crm import COMPANIES, CONTACTS, THINGS, Crm


def fill(crm: Crm, number: int) -> list[str]:
    return [crm.server.add_record(COMPANIES, name=f"Company {each}") for each in range(number)]


def ids(pages: Sequence[Page]) -> list[str]:
    return [id_ for page in pages for id_ in page.ids]


def frozen() -> datetime:
    """A clock that stands still: the server then tells records apart by single microseconds."""
    return datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


def ticking() -> Callable[[], datetime]:
    """A clock that moves a minute whenever it is looked at, so that few records share an overlap."""
    minutes = itertools.count()
    return lambda: datetime.fromtimestamp(1_700_000_000 + next(minutes) * 60, tz=UTC)


def spaced() -> Callable[[], datetime]:
    """The time of day, but no two records share a millisecond."""
    looks = itertools.count()
    return lambda: datetime.now(UTC) + next(looks) * timedelta(milliseconds=2)


# What a full read costs and proves


@pytest.mark.parametrize("number", [0, 1, 9, 10, 11, 30])
def test_a_full_read_of_n_records_makes_n_by_page_size_searches_and_is_complete(start: Callable[..., Crm], number: int) -> None:
    crm = start({"page_size": 10})
    made = fill(crm, number)
    pages = crm.pages(COMPANIES, "name")
    assert crm.actions() == ["fields"] + ["search"] * max(1, math.ceil(number / 10))
    assert ids(pages) == made[::-1]
    assert [page.complete for page in pages] == [False] * (len(pages) - 1) + [True]
    assert [page.cursor is not None for page in pages] == [False] * (len(pages) - 1) + [True]
    assert {page.total for page in pages} == {number}


def test_a_page_holds_a_thousand_records(start: Callable[..., Crm]) -> None:
    crm = start(people=2500)
    crm.kizen.resources()[CONTACTS]
    pages = crm.pages(CONTACTS, "email")
    assert [len(page.ids) for page in pages] == [1000, 1000, 500]
    assert pages[-1].complete
    assert crm.actions() == ["fields", "search", "search", "search"]


@pytest.mark.parametrize("order", ["created", "updated", "shuffled"])
@pytest.mark.parametrize("ordering", ["all", "names", "ignored"])
def test_a_listing_is_proved_complete_whatever_order_the_server_keeps(
    start: Callable[..., Crm], order: str, ordering: str
) -> None:
    crm = start({"page_size": 10}, clock=ticking(), switches={"default_order": order, "ordering": ordering})
    made = fill(crm, 45)
    for id_ in made[::7]:
        crm.server.edit(id_, name=f"edited {id_}")
    pages = crm.pages(COMPANIES, "name")
    assert set(ids(pages)) == set(made)
    assert pages[-1].complete
    assert pages[-1].cursor is not None
    # In order it costs a call a page, otherwise two and some to find the windows.
    assert crm.actions().count("search") <= (5 if ordering == "all" else 25)


@pytest.mark.parametrize(
    "switches",
    [{"max_page_size": 4}, {"page_past_end": "empty"}, {"next_base": "http://elsewhere.example"}, {"clause_form": "bare"}],
)
def test_manners_of_paging_do_not_matter(start: Callable[..., Crm], switches: dict[str, object]) -> None:
    crm = start({"page_size": 10}, switches=switches)
    made = fill(crm, 25)
    pages = crm.pages(COMPANIES, "name")
    assert ids(pages) == made[::-1]
    assert pages[-1].complete
    crm.server.edit(made[0], name="edited")
    assert made[0] in ids(crm.pages(COMPANIES, "name", cursor=pages[-1].cursor))


def test_more_records_of_one_millisecond_than_a_page_holds_are_listed_in_order(start: Callable[..., Crm]) -> None:
    crm = start({"page_size": 10}, clock=frozen)
    made = fill(crm, 25)
    pages = crm.pages(COMPANIES, "name")
    assert ids(pages) == made[::-1]
    assert pages[-1].complete


def test_more_records_of_one_millisecond_than_a_page_holds_are_not_called_complete_without_order(
    start: Callable[..., Crm],
) -> None:
    crm = start({"page_size": 10}, clock=frozen, switches={"default_order": "shuffled", "ordering": "ignored"})
    made = set(fill(crm, 45))
    pages = crm.pages(COMPANIES, "name")
    found = set(ids(pages))
    assert found <= made
    assert pages[-1].complete is (found == made)
    assert (pages[-1].cursor is None) is not pages[-1].complete


# Rows that move


def test_what_slips_over_a_border_is_read_all_the_same(start: Callable[..., Crm]) -> None:
    crm = start({"page_size": 10})
    made = fill(crm, 35)
    pages: list[Page] = []
    for number, page in enumerate(crm.kizen.read(COMPANIES, fields=["name"])):
        pages.append(page)
        if number == 0:
            for id_ in made[-3:]:
                crm.server.archive(id_)
    assert ids(pages) == made[::-1]
    assert pages[-1].complete


def test_the_last_page_may_vanish_while_it_is_approached(start: Callable[..., Crm]) -> None:
    for past_end in ("not_found", "empty"):
        crm = start({"page_size": 10}, switches={"page_past_end": past_end})
        made = fill(crm, 22)
        seen: list[str] = []
        for number, page in enumerate(crm.kizen.read(COMPANIES, fields=["name"])):
            seen += page.ids
            if number == 0:
                for id_ in made[-4:]:
                    crm.server.archive(id_)
        assert sorted(seen) == sorted(made)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("ordering", ["all", "ignored"])
def test_every_record_that_lives_throughout_is_yielded_and_every_change_is_in_the_pages_or_after_the_cursor(
    start: Callable[..., Crm], seed: int, ordering: str
) -> None:
    chance = random.Random(seed)
    crm = start(
        {"page_size": 7, "overlap": 0.0},
        clock=spaced(),
        switches={"ordering": ordering, "default_order": chance.choice(["created", "updated", "shuffled"])},
    )
    alive = fill(crm, 40)
    throughout, edited = set(alive), {}
    seen: dict[str, str] = {}
    cursor = None
    complete = False
    for page in crm.kizen.read(COMPANIES, fields=["name"]):
        seen |= {record.id: str(record.fields["name"]) for record in page.records()}
        cursor, complete = page.cursor, page.complete
        for _ in range(chance.randrange(3)):
            match chance.choice(["archive", "create", "edit"]):
                case "archive" if alive:
                    gone = alive.pop(chance.randrange(len(alive)))
                    crm.server.archive(gone)
                    throughout.discard(gone)
                    edited.pop(gone, None)
                case "create":
                    alive.append(crm.server.add_record(COMPANIES, name=f"new {len(alive)}"))
                    edited[alive[-1]] = f"new {len(alive) - 1}"
                case _:
                    changed = chance.choice(alive)
                    edited[changed] = f"edit {chance.random()}"
                    crm.server.edit(changed, name=edited[changed])
    if complete:
        assert throughout <= seen.keys()
    if cursor is not None:
        later = crm.rows(COMPANIES, "name", cursor=cursor)
        for id_, name in edited.items():
            assert name in {seen.get(id_), later.get(id_, {}).get("name")}
    if ordering == "all":
        assert throughout <= seen.keys()


def test_a_listing_that_comes_up_short_is_not_called_complete_and_gives_no_cursor(start: Callable[..., Crm]) -> None:
    for skip in (0, 1, 2):
        for kind in ("short", "empty"):
            if kind == "empty" and skip == 0:
                continue  # an answer of nothing at all is consistent in itself: the engine's guards are for that
            crm = start({"page_size": 10})
            fill(crm, 25)
            crm.server.fault(kind, path="/search$", skip=skip)
            pages = crm.pages(COMPANIES, "name")
            assert not any(page.complete for page in pages)
            assert all(page.cursor is None for page in pages)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("error", TransientError),
        ("reset", TransientError),
        ("truncate", TransientError),
        ("garbage", ProtocolError),
        ("html", TransientError),
    ],
)
def test_a_page_that_cannot_be_read_raises(start: Callable[..., Crm], kind: str, error: type[Exception]) -> None:
    crm = start({"page_size": 10})
    fill(crm, 25)
    crm.server.fault(kind, path="/search$", skip=1)
    pages = crm.kizen.read(COMPANIES, fields=["name"])
    next(pages)
    with pytest.raises(error):
        next(pages)


# Incremental


def test_an_incremental_read_with_nothing_new_is_one_search_and_at_most_one_look_at_the_metadata(
    start: Callable[..., Crm],
) -> None:
    crm = start(clock=ticking())
    fill(crm, 25)
    cursor = crm.pages(COMPANIES, "name")[-1].cursor
    for _ in range(2):
        mark = crm.mark
        (page,) = crm.pages(COMPANIES, "name", cursor=cursor)
        assert crm.actions(mark) == ["fields", "search"]
        assert not page.complete
        assert page.cursor is not None
        cursor = page.cursor


def test_an_incremental_read_brings_what_changed_and_not_everything(start: Callable[..., Crm]) -> None:
    crm = start({"overlap": 0.0}, clock=ticking())
    made = fill(crm, 25)
    cursor = crm.pages(COMPANIES, "name")[-1].cursor
    # The first cursor is cautious (the server's clock, and the first page); the next ones are close.
    cursor = crm.pages(COMPANIES, "name", cursor=cursor)[-1].cursor
    crm.server.edit(made[3], name="edited")
    new = crm.server.add_record(COMPANIES, name="new")
    found = crm.rows(COMPANIES, "name", cursor=cursor)
    assert {made[3], new} <= found.keys()
    assert len(found) <= 4
    assert found[made[3]] == {"name": "edited"}


@pytest.mark.parametrize("order", ["created", "shuffled"])
@pytest.mark.parametrize("ordering", ["all", "ignored"])
def test_more_changes_than_a_page_holds_all_come_and_cursors_only_grow(
    start: Callable[..., Crm], order: str, ordering: str
) -> None:
    crm = start({"page_size": 10}, clock=ticking(), switches={"default_order": order, "ordering": ordering})
    made = fill(crm, 5)
    cursor = crm.pages(COMPANIES, "name")[-1].cursor
    made += fill(crm, 60)
    pages = crm.pages(COMPANIES, "name", cursor=cursor)
    assert set(made[5:]) <= set(ids(pages)) <= set(made)
    cursors = [json.loads(page.cursor)["updated"] for page in pages if page.cursor is not None]
    assert cursors == sorted(cursors)
    assert pages[-1].cursor is not None


def test_a_read_that_breaks_off_resumes_from_the_cursor_of_its_last_page_without_a_gap(start: Callable[..., Crm]) -> None:
    crm = start({"page_size": 10, "overlap": 0.0})
    fill(crm, 1)
    cursor = crm.pages(COMPANIES, "name")[-1].cursor
    made = fill(crm, 60)
    for broken in range(1, 6):
        pages = list(itertools.islice(crm.kizen.read(COMPANIES, fields=["name"], cursor=cursor), broken))
        rest = crm.pages(COMPANIES, "name", cursor=pages[-1].cursor)
        assert set(made) <= {*ids(pages), *ids(rest)}


def test_a_record_edited_while_the_changes_are_read_is_not_missed(start: Callable[..., Crm]) -> None:
    for ordering in ("all", "ignored"):
        crm = start({"page_size": 10, "overlap": 0.0}, switches={"ordering": ordering})
        fill(crm, 1)
        cursor = crm.pages(COMPANIES, "name")[-1].cursor
        made = fill(crm, 50)
        seen: dict[str, object] = {}
        for number, page in enumerate(crm.kizen.read(COMPANIES, fields=["name"], cursor=cursor)):
            seen |= {record.id: record.fields["name"] for record in page.records()}
            cursor = page.cursor or cursor
            if number < 4:
                crm.server.edit(made[number * 9], name=f"edited {number}")
        seen |= {id_: fields["name"] for id_, fields in crm.rows(COMPANIES, "name", cursor=cursor).items()}
        for number in range(4):
            assert seen[made[number * 9]] == f"edited {number}"
        assert set(made) <= seen.keys()


def test_the_overlap_brings_what_was_committed_late(start: Callable[..., Crm]) -> None:
    crm = start({"overlap": 300.0}, switches={"search_lag_searches": 1})
    fill(crm, 3)
    cursor = crm.pages(COMPANIES, "name")[-1].cursor
    late = crm.server.add_record(COMPANIES, name="late")
    newer = crm.server.add_record(COMPANIES, name="newer")
    found: set[str] = set()
    for _ in range(3):
        pages = crm.pages(COMPANIES, "name", cursor=cursor)
        cursor = pages[-1].cursor or cursor
        found.update(ids(pages))
    assert {late, newer} <= found


@pytest.mark.parametrize(
    "cursor", ["", "x", "{}", "[]", '{"updated": "x", "of": "y"}', '{"updated": "2026-01-01", "of": "y"}', "null"]
)
def test_a_cursor_that_is_none_of_ours_has_expired(crm: Crm, cursor: str) -> None:
    with pytest.raises(CursorExpired):
        crm.pages(COMPANIES, "name", cursor=cursor)


def test_a_cursor_of_another_object_has_expired(crm: Crm) -> None:
    fill(crm, 1)
    cursor = crm.pages(COMPANIES, "name")[-1].cursor
    with pytest.raises(CursorExpired):
        crm.pages(THINGS, "name", cursor=cursor)


def test_archived_records_are_in_no_listing_and_are_tombstones_by_id(crm: Crm) -> None:
    made = fill(crm, 3)
    cursor = crm.pages(COMPANIES, "name")[-1].cursor
    crm.server.archive(made[1])
    assert made[1] not in ids(crm.pages(COMPANIES, "name", cursor=cursor))
    assert set(crm.rows(COMPANIES, "name")) == {made[0], made[2]}


# What may be seen


def test_rights_that_end_stop_the_side(crm: Crm) -> None:
    fill(crm, 1)
    crm.server.switch("api_keys_allowed", False)
    with pytest.raises(AuthError):
        crm.pages(COMPANIES, "name")


def test_an_object_that_is_not_there_is_a_resource_error_with_the_cure(crm: Crm) -> None:
    with pytest.raises(ResourceError, match="api_name"):
        crm.pages("nothing", "name")


def test_a_field_that_vanishes_between_two_reads_is_seen_as_vanished(crm: Crm) -> None:
    box = crm.server.add_record(THINGS, name="Box", line="x")
    assert crm.rows(THINGS, "name", "line") == {box: {"name": "Box", "line": "x"}}
    crm.server.remove_field(THINGS, "line")
    assert crm.rows(THINGS, "name", "line") == {box: {"name": "Box"}}
    assert "line" not in crm.kizen.resources()[THINGS].fields


def test_modified_at_is_the_stamp_of_the_platform(crm: Crm) -> None:
    box = crm.server.add_record(THINGS, name="Box")
    (page,) = crm.pages(THINGS, "name", "updated")
    assert page.modified_at == [page.rows[0][1]]
    assert crm.get(THINGS, box).modified_at == page.modified_at[0]


def test_pages_are_made_when_they_are_asked_for(start: Callable[..., Crm]) -> None:
    crm = start({"page_size": 10})
    fill(crm, 35)
    pages: Iterator[Page] = crm.kizen.read(COMPANIES, fields=["name"])
    next(pages)
    assert crm.actions().count("search") == 1
