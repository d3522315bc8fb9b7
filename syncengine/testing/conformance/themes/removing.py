"""Removing: archived or deleted is gone from every listing, once, and only what was named."""

from __future__ import annotations

from syncengine.connector import Archive, Delete, Failed, Restore, Tombstone, Update, Written
from syncengine.errors import AlreadyExists, NotFound
from syncengine.testing.conformance.bench import Bench, records_of
from syncengine.testing.conformance.demand import clause, needs, quality, requires, sentence


class Removing:
    """Archive, delete, restore."""

    @sentence(1)
    @quality("archives")
    @requires("archives", "get or read")
    @needs("records")
    def test_an_archived_record_is_out_of_sight(self, bench: Bench) -> None:
        """An archived record is in no listing, and a get says that it is gone; its neighbour stays."""
        self._removed(bench, Archive)

    @sentence(1)
    @quality("deletes")
    @requires("deletes", "get or read")
    @needs("records")
    def test_a_deleted_record_is_gone(self, bench: Bench) -> None:
        """A deleted record is in no listing, and a get says that it is gone; its neighbour stays."""
        self._removed(bench, Delete)

    def _removed(self, bench: Bench, kind: type[Archive | Delete]) -> None:
        id, kept = bench.make(2)
        before = bench.there(kept)
        written = bench.done(bench.send_one(kind(key=bench.key(), id=id)))
        assert written.id == id, "the outcome of a removal names the record removed"
        bench.gone(id)
        assert bench.same_record(before, bench.there(kept)), "a removal changed another record"
        if bench.has("read"):
            found = records_of(bench.pages()).keys()
            assert id not in found, "a removed record is still listed (sentence 1: live records)"
            assert kept in found, "a removal took another record with it"

    @sentence(6)
    @quality("archives", "deletes")
    @clause("No live record has this id.")
    @requires("archives or deletes")
    @needs("records")
    def test_removing_twice_is_not_found(self, bench: Bench) -> None:
        """The second removal of a record fails by itself as `NotFound`."""
        for kind, declared in ((Archive, "archives"), (Delete, "deletes")):
            if bench.has(declared):
                id = bench.make_one()
                bench.done(bench.send_one(kind(key=bench.key(), id=id)))
                bench.refused(bench.send_one(kind(key=bench.key(), id=id)), NotFound)

    @sentence(6)
    @requires("archives or deletes")
    def test_removing_an_unknown_record_is_not_found(self, bench: Bench) -> None:
        """An id that never was is `NotFound`, not done."""
        bench.refused(bench.send_one(bench.removal("kit-no-such-record")), NotFound)

    @sentence(6)
    @requires("updates", "archives or deletes", "get or read")
    @needs("records")
    def test_an_update_does_not_bring_a_removed_record_back(self, bench: Bench) -> None:
        """A change of a record that went is `NotFound`, and the record stays gone."""
        id = bench.make_one()
        change = bench.update_of(id, {bench.world.editable: "kit edited"})
        bench.done(bench.send_one(bench.removal(id)))
        bench.refused(bench.send_one(change), NotFound)
        bench.gone(id)

    @sentence(4)
    @quality("restores")
    @clause("Bring an archived record back under its old id.")
    @requires("archives", "restores", "get or read")
    @needs("records")
    def test_a_restored_record_has_its_old_id_and_values(self, bench: Bench) -> None:
        """What was archived comes back as it went."""
        id = bench.make_one()
        before = bench.there(id)
        bench.done(bench.send_one(bench.archival(id)))
        bench.gone(id)
        written = bench.done(bench.send_one(Restore(key=bench.key(), id=id)))
        assert written.id == id, "a restored record has another id (sentence 4)"
        after = bench.there(id)
        for name in bench.writable:
            same = bench.alike(name, before.fields.get(name), after.fields.get(name))
            assert same, f"a restored record has another {name!r} than it was archived with"
        if bench.has("read"):
            assert id in records_of(bench.pages()), "a restored record is not listed (sentence 1)"
        if bench.has("updates"):
            bench.update(id, "kit edited")
            assert bench.holds(bench.there(id), bench.world.editable, "kit edited")

    @sentence(6)
    @requires("restores")
    def test_restoring_an_unknown_record_is_not_found(self, bench: Bench) -> None:
        """There is nothing to bring back under an id that never was."""
        bench.refused(bench.send_one(Restore(key=bench.key(), id="kit-no-such-record")), NotFound)

    @sentence(6)
    @requires("creates", "archives or deletes", "get or read")
    def test_the_values_of_a_removed_record_can_be_used_again(self, bench: Bench) -> None:
        """
        Creating after a removal gives a live record: a new one, or the archived one brought back (`met`). Where an archived
        record keeps its unique values, `AlreadyExists` names it, so that it can be restored.
        """
        for kind, declared in ((Archive, "archives"), (Delete, "deletes")):
            if not bench.has(declared):
                continue
            values = bench.values()
            first = bench.done(bench.create(values)).id
            bench.done(bench.send_one(kind(key=bench.key(), id=first)))
            outcome = bench.create(values)
            if kind is Archive and isinstance(outcome, Failed):
                error = bench.refused(outcome, AlreadyExists)
                told = isinstance(error, AlreadyExists) and error.id == first
                assert told or not bench.has("restores"), "`AlreadyExists` does not name the archived record, to be restored"
                continue
            again = bench.done(outcome)
            record = bench.there(again.id)
            if again.id != first:
                bench.gone(first)
            else:
                by_fields = bool(bench.resource.id_fields)
                assert again.met or by_fields, "a create that brought an archived record back says so in `Written.met`"
            for name, value in values.items():
                assert bench.holds(record, name, value), f"a record made again has another {name!r} than was sent"

    @sentence(6)
    @requires("creates", "updates", "archives or deletes", "get or read")
    @needs("batches")
    def test_changes_of_several_kinds_go_in_one_batch(self, bench: Bench) -> None:
        """A batch may mix creates, updates and removals; each has its own outcome."""
        updated, removed = bench.make(2)
        outcomes = bench.send(
            bench.creation(),
            bench.removal(removed),
            Update(key=bench.key(), id="kit-no-such-record", fields={bench.world.editable: "kit"}),
            bench.update_of(updated, {bench.world.editable: "kit edited"}),
        )
        assert [isinstance(outcome, Written) for outcome in outcomes] == [True, True, False, True], (
            "each change of a mixed batch has its own outcome (sentence 6)"
        )
        bench.there(bench.done(outcomes[0]).id)
        bench.gone(removed)
        assert bench.holds(bench.there(updated), bench.world.editable, "kit edited"), "a change of a mixed batch was not applied"

    @sentence(10)
    @requires("get", "archives or deletes")
    @needs("records")
    def test_a_get_of_a_removed_record_is_a_tombstone(self, bench: Bench) -> None:
        """The evidence for a deletion: a `Tombstone` with the id, at once, whatever listings still show."""
        id = bench.make_one()
        bench.done(bench.send_one(bench.removal(id)))
        [answer] = bench.connector.get(bench.world.resource, [id], fields=bench.names)
        assert answer == Tombstone(id=id), "a get of a removed record says that it is gone (sentence 10)"
