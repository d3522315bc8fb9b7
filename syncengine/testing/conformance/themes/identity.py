"""Identity: ids that last, and an account that is told the same each time."""

from __future__ import annotations

import pytest

from syncengine.connector import Failed, Identify
from syncengine.testing.conformance.bench import Bench, records_of
from syncengine.testing.conformance.demand import clause, needs, quality, requires, sentence


class Identity:
    """Sentence 4, and who we are."""

    @sentence(1, 4)
    @quality("creates")
    @requires("creates", "read")
    def test_a_created_record_is_listed_under_its_id(self, bench: Bench) -> None:
        """The id of `Written` is the id of the listing."""
        [id] = bench.make()
        record = records_of(bench.pages()).get(id)
        assert record is not None, "a record that was created does not show in the listing under the id of its `Written`"
        for name in bench.world.seed_fields:
            assert name in record.fields, f"the created record is listed without {name!r}"

    @sentence(4)
    @requires("read")
    @needs("records")
    def test_ids_are_text_and_told_apart(self, bench: Bench) -> None:
        """Every id is a non-empty string, and no two records share one."""
        ids = bench.make(3)
        assert len(set(ids)) == 3, "records that differ have ids that differ (sentence 4)"
        for page in bench.pages():
            for id in [*page.ids, *page.deleted]:
                assert type(id) is str, "an id is a string (sentence 4)"
                assert id, "an id is not empty (sentence 4)"

    @sentence(4)
    @requires("read")
    @needs("records", "edits")
    def test_an_id_outlives_edits_and_new_neighbours(self, bench: Bench) -> None:
        """Editing a record and adding others leaves every id as it was."""
        first, second = bench.make(2)
        before = records_of(bench.pages())
        bench.edit(first, "kit edited")
        third = bench.make_one()
        after = records_of(bench.pages())
        assert {first, second} <= before.keys(), "a record is not listed under its id (sentence 4)"
        assert {first, second, third} <= after.keys(), "an id changed when a record was edited or added (sentence 4)"
        assert bench.holds(after[first], bench.world.editable, "kit edited"), "an id moved to another record (sentence 4)"
        assert bench.same_record(before[second], after[second]), "an id moved to another record (sentence 4)"

    @sentence(4)
    @requires("read")
    @needs("records", "reopen")
    def test_an_id_outlives_the_connector(self, bench: Bench) -> None:
        """A connector opened anew tells the same ids."""
        ids = bench.make(2)
        bench.settle()
        assert bench.reopen is not None
        again = bench.reopen()
        try:
            pages = list(again.read(bench.world.resource, fields=bench.names))
        finally:
            again.close()
        assert set(ids) <= records_of(pages).keys(), "a record has another id when the connector is opened again (sentence 4)"

    @sentence(4)
    @requires("read", "write")
    @needs("insert")
    def test_a_provisional_id_gives_way_to_a_lasting_one(self, bench: Bench) -> None:
        """`Identify` turns a provisional id into one that the next listing shows, and no longer as provisional."""
        id = bench.insert(bench.values())
        before = bench.pages()
        provisional = {each for page in before for each in page.provisional}
        assert provisional <= records_of(before).keys(), "`Page.provisional` names an id that is not of the page"
        if id not in provisional:
            pytest.skip("records that a person adds have lasting ids here")
        lasting = bench.done(bench.send_one(Identify(key=bench.key(), id=id))).id
        after = bench.pages()
        ids = [each for page in after for each in page.ids]
        assert lasting in ids, "the lasting id of `Identify` does not show in the listing (sentence 4)"
        assert id not in ids or id == lasting, "the provisional id still shows after `Identify` (sentence 4)"
        assert all(lasting not in page.provisional for page in after), "the lasting id is called provisional (sentence 4)"
        failed = bench.send_one(Identify(key=bench.key(), id="no-such-record"))
        assert isinstance(failed, Failed), "`Identify` of a record that is not there should fail"

    @clause("`id` is stable and unique per account or place")
    @needs("reopen")
    def test_the_account_is_the_same_at_each_opening(self, bench: Bench) -> None:
        """`check` tells one account however often it is asked."""
        first = bench.connector.check()
        assert first.id, "Account.id is not empty"
        assert bench.connector.check().id == first.id, "Account.id changed between two calls of one connector"
        assert bench.reopen is not None
        again = bench.reopen()
        try:
            assert again.check().id == first.id, "Account.id changed when the connector was opened again"
        finally:
            again.close()
