"""Reading: a listing holds every live record, says when it is whole, and never passes off trouble as shortness."""

from __future__ import annotations

import pytest

from syncengine.testing.conformance.bench import Bench, records_of
from syncengine.testing.conformance.demand import clause, needs, quality, requires, sentence
from syncengine.testing.conformance.values import is_plain


class Reading:
    """Sentences 1, 2 and 5."""

    @sentence(1)
    @requires("read")
    @needs("records")
    def test_every_live_record_is_listed(self, bench: Bench) -> None:
        """Each record made is in the listing, with its values."""
        ids = bench.make(3, **{bench.world.editable: "kit text"})
        found = records_of(bench.pages())
        assert set(ids) <= found.keys(), "the listing lacks a live record (sentence 1)"
        for id in ids:
            assert bench.holds(found[id], bench.world.editable, "kit text"), "the listing shows another value than was written"

    @sentence(1)
    @quality("page_size")
    @requires("read")
    @needs("records", "pages")
    def test_a_listing_of_several_pages_lacks_nothing(self, bench: Bench) -> None:
        """More records than `page_size` come in more than one page, and all of them come."""
        ids = bench.make(bench.several_pages)
        pages = bench.pages()
        found = records_of(pages)
        assert set(ids) <= found.keys(), "a listing of several pages lacks a live record (sentence 1)"
        fewest = -(-len(found) // bench.can.page_size)
        assert fewest <= len(pages) <= fewest + 1, "the number of pages does not fit Capabilities.page_size (forecast of calls)"

    @sentence(2)
    @requires("read")
    @needs("records")
    def test_complete_stands_on_the_last_page_only(self, bench: Bench) -> None:
        """No page before the last one says that the listing is complete."""
        bench.make(bench.several_pages)
        pages = bench.pages()
        assert not any(page.complete for page in pages[:-1]), "a page before the last one says `complete` (sentence 2)"

    @sentence(2)
    @requires("read")
    @needs("records", "fail_page")
    def test_a_page_that_cannot_be_read_raises(self, bench: Bench) -> None:
        """Trouble at any page ends the listing with a classed error, never as a short or complete one."""
        bench.make(bench.several_pages)
        bench.settle()
        for number in range(-(-bench.several_pages // bench.can.page_size)):
            bench.far_side.fail_page(number)
            pages, error = bench.read_on()
            assert error is not None, "a page could not be read, and the listing ended as if it were all (sentence 2)"
            assert not any(page.complete for page in pages), "a listing that failed said `complete` (sentence 2)"

    @sentence(2)
    @requires("read")
    @needs("records", "emptiness")
    def test_an_empty_listing_is_as_complete_as_a_full_one(self, bench: Bench) -> None:
        """Where a filled resource is proved whole, an empty one is too: a page without rows says so."""
        empty = bench.pages()
        assert not records_of(empty), "the resource should be empty at the start of a test (or World.shared)"
        bench.make()
        filled = bench.pages()
        assert filled[-1].complete == (bool(empty) and empty[-1].complete), (
            "an empty listing needs its last page too (sentence 2)"
        )

    @sentence(1)
    @clause("`rows[i]` are the values of `fields` for the record `ids[i]`")
    @requires("read")
    @needs("records")
    def test_a_page_has_the_shape_that_was_asked_for(self, bench: Bench) -> None:
        """Columns are the fields asked for, in that order; every column of the page is as long as `ids`."""
        bench.make(2)
        for names in (bench.names, bench.names[::-1], bench.names[:1], ()):
            for page in bench.pages(fields=names):
                assert page.fields == tuple(names), "`Page.fields` are not the fields asked for, in their order"
                assert len(page.rows) == len(page.ids), "`Page.rows` and `Page.ids` differ in length"
                assert all(len(row) == len(page.fields) for row in page.rows), "a row is not as long as `Page.fields`"
                for column in (page.versions, page.modified_at):
                    assert column is None or len(column) == len(page.ids), "a column of the page is not as long as `ids`"

    @sentence(1)
    @requires("read")
    @needs("records")
    def test_a_value_is_the_same_whichever_fields_are_asked_for(self, bench: Bench) -> None:
        """Asking for one field gives the value that asking for all gives."""
        id = bench.make_one(**{bench.world.editable: "kit text"})
        whole = records_of(bench.pages())[id]
        for name in bench.names:
            alone = records_of(bench.pages(fields=[name]))[id]
            assert alone.fields.get(name) == whole.fields.get(name), f"{name!r} asked for alone has another value"
            assert alone.version == whole.version, "the version depends on the fields asked for"

    @sentence(1)
    @requires("read")
    @needs("records")
    def test_an_abandoned_listing_leaves_the_next_one_whole(self, bench: Bench) -> None:
        """A listing that is dropped after its first page, and two that run side by side, do not disturb each other."""
        ids = bench.make(bench.several_pages)
        bench.settle()
        dropped = iter(bench.connector.read(bench.world.resource, fields=bench.names))
        next(dropped)
        beside = iter(bench.connector.read(bench.world.resource, fields=bench.names))
        first = next(beside)
        assert set(ids) <= records_of(bench.pages()).keys(), "a listing lacks records when another one was begun (sentence 1)"
        assert set(ids) <= records_of([first, *beside]).keys(), "two listings at once disturb each other (sentence 1)"
        close = getattr(dropped, "close", None)
        if close is not None:
            close()

    @sentence(1, 2)
    @requires("read")
    @needs("records", "edits", "pages")
    def test_an_edit_between_two_pages_hides_no_record(self, bench: Bench) -> None:
        """Records that move because somebody edits them are listed all the same, or the listing raises."""
        ids = bench.make(bench.several_pages)
        bench.settle()
        pages = iter(bench.connector.read(bench.world.resource, fields=bench.names))
        first = next(pages)
        later = [id for id in ids if id not in first.ids]
        for id in [*first.ids[:1], *later[:1]]:
            if id in ids:
                bench.edit(id, "kit edited between pages")
        rest = bench.rest_of(pages)
        found = records_of(bench.pages() if rest is None else [first, *rest])
        assert set(ids) <= found.keys(), "an edit between two pages made a record slip (sentence 1)"

    @sentence(1, 2)
    @requires("read", "archives or deletes")
    @needs("records", "pages")
    def test_a_deletion_between_two_pages_hides_no_other_record(self, bench: Bench) -> None:
        """A record deleted while the listing is paged through moves the others: they are listed, or the listing raises."""
        ids = bench.make(bench.several_pages)
        bench.settle()
        pages = iter(bench.connector.read(bench.world.resource, fields=bench.names))
        first = next(pages)
        gone = next((id for id in first.ids if id in ids), None)
        if gone is None:
            pytest.skip("the first page holds records of others only")
        bench.done(bench.send_one(bench.removal(gone)))
        rest = bench.rest_of(pages)
        found = records_of(bench.pages() if rest is None else [first, *rest])
        assert set(ids) - {gone} <= found.keys(), "a deletion between two pages made a record slip (sentence 1)"

    @sentence(5)
    @requires("read")
    @needs("records")
    def test_values_are_plain_python(self, bench: Bench) -> None:
        """Nothing but the types of sentence 5 comes out of a listing or a get."""
        id = bench.make_one()
        records = [*records_of(bench.pages()).values(), bench.there(id)]
        for record in records:
            for name, value in record.fields.items():
                assert is_plain(value), f"{name!r} is a {type(value).__module__}.{type(value).__name__} (sentence 5)"
            assert record.version is None or type(record.version) is str, "a version is a string"

    @quality("lag")
    @requires("read")
    @needs("records", "edits")
    def test_a_write_shows_in_a_listing_at_once_unless_a_lag_is_declared(self, bench: Bench) -> None:
        """With `lag` 0 the next listing shows a write, whatever was listed before; else it does once the lag has passed."""
        id = bench.make_one()
        assert id in records_of(bench.pages()), "a write does not show in the next listing"
        bench.edit(id, "kit edited")
        if bench.can.lag > 0:
            bench.settle()
        pages = list(bench.connector.read(bench.world.resource, fields=bench.names))
        found = records_of(pages).get(id)
        assert found is not None, "a write does not show in the next listing, and Capabilities.lag does not say so"
        assert bench.holds(found, bench.world.editable, "kit edited"), "a listing shows the value before the last write"

    @quality("clock_resolution")
    @requires("read")
    @needs("records", "edits")
    def test_modified_at_is_aware_and_never_runs_back(self, bench: Bench) -> None:
        """Where a resolution is declared every record tells a moment with its zone; else none does."""
        id = bench.make_one()
        before = records_of(bench.pages())[id].modified_at
        bench.edit(id, "kit edited")
        after = records_of(bench.pages())[id].modified_at
        if bench.can.clock_resolution is None:
            assert before is None, "there is a `modified_at`, and Capabilities.clock_resolution is None"
            return
        assert before is not None, "Capabilities.clock_resolution is declared, and a record has no `modified_at`"
        assert after is not None, "an edited record has no `modified_at`"
        assert before.tzinfo is not None, "`modified_at` is aware"
        assert after >= before, "`modified_at` ran back when the record was edited"
