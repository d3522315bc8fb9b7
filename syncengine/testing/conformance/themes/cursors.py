"""Cursors: what was delivered up to a page, and what its cursor returns later, is everything."""

from __future__ import annotations

import json

import pytest

from syncengine.connector import Archive, Delete, Restore
from syncengine.errors import CursorExpired
from syncengine.testing.conformance.bench import Bench, last_cursor, records_of
from syncengine.testing.conformance.demand import needs, quality, requires, sentence


class Cursors:
    """Sentence 3."""

    @sentence(3)
    @quality("incremental")
    @requires("read", "incremental")
    @needs("records")
    def test_with_nothing_new_a_cursor_returns_nothing_new(self, bench: Bench) -> None:
        """What an overlap repeats is what was delivered before; no live record is called deleted."""
        bench.make(2)
        pages = bench.pages()
        before = records_of(pages)
        again = bench.pages(last_cursor(pages))
        for id, record in records_of(again).items():
            assert id in before, "an incremental read returned a record that is not new (sentence 3)"
            assert bench.same_record(record, before[id]), "an incremental read returned a value that nobody wrote (sentence 3)"
        assert not {id for page in again for id in page.deleted} & before.keys(), "a live record was called deleted (sentence 3)"

    @sentence(3)
    @quality("incremental")
    @requires("read", "incremental")
    @needs("records", "edits")
    def test_a_change_after_the_cursor_appears(self, bench: Bench) -> None:
        """New records and edited ones come with the next read, with their new values."""
        edited, _ = bench.make(2)
        cursor = last_cursor(bench.pages())
        bench.edit(edited, "kit edited")
        made = bench.make_one()
        found = records_of(bench.pages(cursor))
        assert made in found, "a record made after the cursor is missing (sentence 3)"
        assert edited in found, "a record edited after the cursor is missing (sentence 3)"
        assert bench.holds(found[edited], bench.world.editable, "kit edited"), "an incremental read returned the old value"

    @sentence(3)
    @requires("read", "incremental")
    @needs("records")
    def test_neighbours_of_the_same_moment_are_not_lost(self, bench: Bench) -> None:
        """Records written right after a cursor was minted, within the same tick of the far side's clock, still come."""
        bench.make()
        cursor = last_cursor(bench.pages())
        for _ in range(4):
            made = bench.make_one()
            pages = bench.pages(cursor)
            assert made in records_of(pages), "a record written in the same moment as the cursor is missing (sentence 3)"
            cursor = last_cursor(pages)

    @sentence(3)
    @requires("read", "incremental")
    @needs("records")
    def test_resuming_from_any_page_misses_nothing(self, bench: Bench) -> None:
        """For every page with a cursor: what came up to it and what its cursor returns is everything."""
        bench.make()
        start = last_cursor(bench.pages())
        made = set(bench.make(bench.several_pages))
        for pages in (bench.pages(), bench.pages(start)):
            for index, page in enumerate(pages):
                if page.cursor is not None:
                    known = records_of(pages[: index + 1]).keys() | records_of(bench.pages(page.cursor)).keys()
                    assert made <= known, "resuming from a page's cursor leaves a gap (sentence 3)"

    @sentence(3)
    @requires("read", "incremental")
    @needs("records", "edits")
    def test_a_change_during_a_listing_is_not_lost(self, bench: Bench) -> None:
        """An edit of a record that a page has delivered already comes with that listing's cursor, or the listing raises."""
        ids = bench.make(bench.several_pages)
        bench.settle()
        pages = iter(bench.connector.read(bench.world.resource, fields=bench.names))
        first = next(pages)
        edited = next((id for id in first.ids if id in ids), ids[0])
        bench.edit(edited, "kit edited meanwhile")
        made = bench.make_one()
        rest = bench.rest_of(pages)
        if rest is None:
            return
        listed = [first, *rest]
        known = records_of(listed) | records_of(bench.pages(last_cursor(listed)))
        assert made in known, "a record made during the listing is in neither it nor its cursor's changes (sentence 3)"
        assert bench.holds(known[edited], bench.world.editable, "kit edited meanwhile"), (
            "an edit made during the listing is in neither it nor its cursor's changes (sentence 3)"
        )

    @sentence(3)
    @requires("read", "incremental")
    @needs("records")
    def test_a_cursor_can_be_used_again(self, bench: Bench) -> None:
        """A cursor that was read from once returns the same changes again: a run may have failed in between."""
        bench.make()
        cursor = last_cursor(bench.pages())
        made = set(bench.make(2))
        first = records_of(bench.pages(cursor)).keys()
        second = records_of(bench.pages(cursor)).keys()
        assert made <= first, "a record made after the cursor is missing (sentence 3)"
        assert made <= second, "a cursor returned less when it was used a second time (sentence 3)"

    @sentence(3)
    @requires("read", "incremental")
    @needs("records")
    def test_a_cursor_survives_being_stored(self, bench: Bench) -> None:
        """A cursor is text that JSON and another opening of the connector leave as it is."""
        bench.make()
        cursor = last_cursor(bench.pages())
        assert type(cursor) is str, "a cursor is a string (sentence 3)"
        assert cursor, "a cursor is not empty (sentence 3)"
        assert "\x00" not in cursor, "a cursor is text that every database stores (sentence 3)"
        made = bench.make_one()
        bench.settle()
        stored = json.loads(json.dumps(cursor))
        later = bench.reopen() if bench.reopen is not None else bench.connector
        try:
            found = records_of(list(later.read(bench.world.resource, fields=bench.names, cursor=stored)))
        finally:
            if later is not bench.connector:
                later.close()
        assert made in found, "a stored cursor does not work for a connector opened later (sentence 3)"

    @sentence(3)
    @requires("read", "incremental")
    @needs("records", "expire_cursors")
    def test_an_expired_cursor_raises(self, bench: Bench) -> None:
        """A cursor that the far side has forgotten ends in `CursorExpired`, not in fewer records."""
        bench.make()
        cursor = last_cursor(bench.pages())
        bench.far_side.expire_cursors()
        with pytest.raises(CursorExpired):
            bench.pages(cursor)

    @sentence(3)
    @requires("read", "incremental")
    def test_a_cursor_that_was_never_minted_raises(self, bench: Bench) -> None:
        """Text that is no cursor of this resource cannot be resumed from."""
        with pytest.raises(CursorExpired):
            bench.pages("no cursor of this resource")

    @sentence(3)
    @quality("reports_deletions")
    @requires("read", "reports_deletions", "archives or deletes")
    @needs("records")
    def test_a_deletion_after_the_cursor_is_reported(self, bench: Bench) -> None:
        """The id of a record that went, in whatever way is taken, stands in `Page.deleted`; that of a live one does not."""
        for kind, declared in ((Archive, "archives"), (Delete, "deletes")):
            if not bench.has(declared):
                continue
            gone, kept = bench.make(2)
            cursor = last_cursor(bench.pages())
            bench.done(bench.send_one(kind(key=bench.key(), id=gone)))
            pages = bench.pages(cursor)
            deleted = {id for page in pages for id in page.deleted}
            assert gone in deleted, f"a cursor does not tell of what went by {kind.__name__} (Capabilities.reports_deletions)"
            assert kept not in deleted, "an incremental read calls a live record deleted (sentence 3)"
            assert gone not in records_of(pages), "an incremental read returns a deleted record (sentence 3)"

    @sentence(3)
    @quality("restores")
    @requires("read", "incremental", "archives", "restores")
    @needs("records")
    def test_a_restored_record_appears_after_the_cursor(self, bench: Bench) -> None:
        """Coming back is a change like any other."""
        id = bench.make_one()
        bench.done(bench.send_one(bench.archival(id)))
        cursor = last_cursor(bench.pages())
        bench.done(bench.send_one(Restore(key=bench.key(), id=id)))
        pages = bench.pages(cursor)
        assert id in records_of(pages), "a record restored after the cursor is missing (sentence 3)"

    @sentence(2)
    @requires("read", "incremental")
    @needs("records")
    def test_an_incremental_read_is_complete_only_if_it_holds_everything(self, bench: Bench) -> None:
        """`complete` after a cursor would make every unchanged record look deleted."""
        ids = set(bench.make(2))
        pages = bench.pages()
        later = bench.pages(last_cursor(pages))
        if any(page.complete for page in later):
            assert ids <= records_of(later).keys(), "an incremental read says `complete` and lacks live records (sentence 2)"

    @quality("incremental")
    @requires("read")
    @needs("records")
    def test_pages_carry_a_cursor_exactly_where_declared(self, bench: Bench) -> None:
        """An incremental resource's listing ends with a cursor; any other resource's has none."""
        bench.make()
        cursors = [page.cursor for page in bench.pages()]
        if bench.can.incremental:
            assert cursors[-1] is not None, "the last page of a listing lacks a cursor (Capabilities.incremental)"
        else:
            assert cursors == [None] * len(cursors), "a page carries a cursor, and Capabilities.incremental is not declared"
