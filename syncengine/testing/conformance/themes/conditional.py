"""Conditional writes: what is stale is refused, and refused means untouched."""

from __future__ import annotations

import pytest

from syncengine.connector import Archive, Delete, Expected
from syncengine.errors import NotFound, VersionConflict
from syncengine.testing.conformance.bench import Bench
from syncengine.testing.conformance.demand import needs, quality, requires, sentence


class ConditionalWrites:
    """Sentence 8."""

    @sentence(8)
    @quality("conditional_writes")
    @requires("conditional_writes", "updates", "get or read")
    @needs("records")
    def test_a_write_that_expects_what_is_there_goes_through(self, bench: Bench) -> None:
        """The version, or the old values, of a fresh reading hold."""
        id = bench.make_one()
        bench.update(id, "kit edited", expected=bench.expected(id))
        assert bench.holds(bench.there(id), bench.world.editable, "kit edited"), "a conditional update was not applied"

    @sentence(8)
    @quality("conditional_writes")
    @requires("conditional_writes", "updates", "get or read")
    @needs("records", "edits")
    def test_a_stale_update_changes_nothing(self, bench: Bench) -> None:
        """Somebody edited the record since it was read: `VersionConflict`, and the edit stands."""
        id = bench.make_one()
        stale = bench.expected(id)
        bench.edit(id, "kit by somebody else")
        before = bench.there(id)
        change = bench.update_of(id, {bench.world.editable: "kit by us"}, expected=stale)
        bench.refused(bench.send_one(change), VersionConflict)
        assert bench.same_record(before, bench.there(id)), "a stale update changed the record (sentence 8)"

    @sentence(8)
    @requires("conditional_writes", "archives or deletes", "get or read")
    @needs("records", "edits")
    def test_a_stale_removal_leaves_the_record(self, bench: Bench) -> None:
        """An edit that nobody saw is never deleted or archived."""
        for kind, declared in ((Archive, "archives"), (Delete, "deletes")):
            if not bench.has(declared):
                continue
            id = bench.make_one()
            stale = bench.expected(id)
            bench.edit(id, "kit by somebody else")
            bench.refused(bench.send_one(kind(key=bench.key(), id=id, expected=stale)), VersionConflict)
            record = bench.there(id)
            assert bench.holds(record, bench.world.editable, "kit by somebody else"), "a stale removal changed the record"

    @sentence(8)
    @requires("conditional_writes", "archives or deletes", "get or read")
    @needs("records")
    def test_a_removal_that_expects_what_is_there_goes_through(self, bench: Bench) -> None:
        """The version, or the old values, of a fresh reading hold for a removal too."""
        id = bench.make_one()
        bench.done(bench.send_one(bench.removal(id, expected=bench.expected(id))))
        bench.gone(id)

    @sentence(8)
    @requires("conditional_writes", "updates", "archives or deletes", "get or read")
    @needs("records")
    def test_a_conditional_update_makes_no_record(self, bench: Bench) -> None:
        """A record that went is not brought back by a write that expects it."""
        id = bench.make_one()
        expected = bench.expected(id)
        update = bench.update_of(id, {bench.world.editable: "kit"}, expected=expected)
        bench.done(bench.send_one(bench.removal(id)))
        bench.refused(bench.send_one(update), VersionConflict, NotFound)
        bench.gone(id)

    @sentence(6, 8)
    @requires("conditional_writes", "updates", "get or read")
    @needs("records", "batches", "edits")
    def test_one_stale_change_leaves_its_neighbours_alone(self, bench: Bench) -> None:
        """In a batch only the stale change is refused."""
        first, stale, last = bench.make(3)
        name = bench.world.editable
        changes = [bench.update_of(id, {name: f"kit {id}"}, expected=bench.expected(id)) for id in (first, stale, last)]
        bench.edit(stale, "kit by somebody else")
        outcomes = bench.send(*changes)
        bench.done(outcomes[0])
        bench.refused(outcomes[1], VersionConflict)
        bench.done(outcomes[2])
        assert bench.holds(bench.there(first), name, f"kit {first}"), "a change beside a stale one was not applied"
        assert bench.holds(bench.there(stale), name, "kit by somebody else"), "a stale change was applied (sentence 8)"
        assert bench.holds(bench.there(last), name, f"kit {last}"), "a change beside a stale one was not applied"

    @sentence(8, 9)
    @requires("conditional_writes", "updates", "get or read")
    @needs("records")
    def test_what_a_write_returned_holds_for_the_next(self, bench: Bench) -> None:
        """`Written.version`, or else the returned values, is what the next change may expect."""
        id = bench.make_one()
        written = bench.update(id, "kit one")
        if written.version is not None:
            expected = Expected(version=written.version)
        elif written.record is not None and bench.there(id).version is None:
            expected = Expected(fields={bench.world.editable: written.record[bench.world.editable]})
        else:
            pytest.skip("a write tells neither version nor values here")
        bench.update(id, "kit two", expected=expected)

    @sentence(8)
    @requires("conditional_writes", "updates", "get or read")
    @needs("records", "edits")
    def test_an_empty_value_can_be_expected(self, bench: Bench) -> None:
        """Where values are compared, "it was null" holds for a null and for nothing else (SQL's `= NULL` never does)."""
        name = bench.world.editable
        if not bench.resource.fields[name].nullable or bench.resource.fields[name].required:
            pytest.skip("World.editable is never null")
        id = bench.make_one(**{name: None})
        record = bench.there(id)
        if record.version is not None:
            pytest.skip("records carry a version, so values are not compared")
        expected = Expected(fields={name: record.fields.get(name)})
        bench.update(id, "kit edited", expected=expected)
        change = bench.update_of(id, {name: "kit by us"}, expected=expected)
        bench.refused(bench.send_one(change), VersionConflict)
        assert bench.holds(bench.there(id), name, "kit edited"), "a stale update changed the record (sentence 8)"
