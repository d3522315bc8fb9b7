"""Writing: one outcome per change, in order; each change does what it names and nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from syncengine.connector import Failed, SetChange, Update, Written
from syncengine.errors import NotFound, OutcomeUnknown, RecordError
from syncengine.testing.conformance.bench import Bench, records_of
from syncengine.testing.conformance.demand import clause, needs, quality, requires, sentence


class Writing:
    """Sentences 6, 7 and 9."""

    @sentence(6)
    @requires("write")
    def test_no_changes_have_no_outcomes(self, bench: Bench) -> None:
        """An empty batch is answered with an empty list."""
        assert list(bench.connector.write(bench.world.resource, [])) == [], "no changes, no outcomes (sentence 6)"

    @sentence(6)
    @quality("creates")
    @requires("creates")
    @needs("batches")
    def test_outcomes_stand_in_the_order_of_their_changes(self, bench: Bench) -> None:
        """The outcome at a place is that of the change at that place: its key, its id, its values."""
        texts = ["kit one", "kit two", "kit three"]
        changes = [bench.creation(bench.values(**{bench.world.editable: text})) for text in texts]
        outcomes = [bench.done(outcome) for outcome in bench.send(*changes)]
        assert len({outcome.id for outcome in outcomes}) == 3, "two outcomes of one batch have the same id (sentence 6)"
        if bench.has("get") or bench.has("read"):
            for outcome, text in zip(outcomes, texts, strict=True):
                record = bench.there(outcome.id)
                assert bench.holds(record, bench.world.editable, text), "an outcome has the id of another change (sentence 6)"

    @sentence(6)
    @requires("updates", "get or read")
    @needs("records", "batches")
    def test_one_bad_change_leaves_its_neighbours_alone(self, bench: Bench) -> None:
        """A change for a record that is not there fails by itself, between two that are written."""
        first, gone, last = bench.make(3)
        if bench.has("archives") or bench.has("deletes"):
            bench.done(bench.send_one(bench.removal(gone)))
        else:
            gone = "kit-no-such-record"
        name = bench.world.editable
        changes = [
            bench.update_of(first, {name: "kit first"}),
            Update(key=bench.key(), id=gone, fields={name: "kit none"}),
            bench.update_of(last, {name: "kit last"}),
        ]
        outcomes = bench.send(*changes)
        assert isinstance(outcomes[1], Failed), "an update of a record that is not there should fail (sentence 6)"
        assert isinstance(outcomes[1].error, RecordError), "a bad change fails with a RecordError (sentence 6)"
        for id, outcome, text in ((first, outcomes[0], "kit first"), (last, outcomes[2], "kit last")):
            assert isinstance(outcome, Written), "a bad change took its neighbour down (sentence 6)"
            assert bench.holds(bench.there(id), name, text), "an outcome says written, and nothing was (sentence 6)"

    @sentence(6)
    @requires("creates", "get or read")
    @needs("rejected", "batches")
    def test_one_refused_record_leaves_its_neighbours_alone(self, bench: Bench) -> None:
        """Values that the system refuses fail by themselves, and leave nothing behind."""
        bad = {**bench.values(), **(bench.rejected or {})}
        before = records_of(bench.pages()).keys() if bench.has("read") else set()
        outcomes = bench.send(
            bench.creation(),
            bench.creation(bad),
            bench.creation(),
        )
        bench.refused(outcomes[1], RecordError)
        ids = {bench.done(outcome).id for outcome in (outcomes[0], outcomes[2])}
        for id in ids:
            bench.there(id)
        if bench.has("read"):
            assert records_of(bench.pages()).keys() - before == ids, "a refused create left a record behind (sentence 6)"

    @sentence(6)
    @requires("updates", "get or read")
    @needs("records", "rejected")
    def test_a_refused_update_changes_nothing(self, bench: Bench) -> None:
        """Not even the good values of a change are written when one of them is refused."""
        id = bench.make_one()
        before = bench.there(id)
        fields = {bench.world.editable: "kit edited", **(bench.rejected or {})}
        bench.refused(bench.send_one(bench.update_of(id, fields)), RecordError)
        assert bench.same_record(before, bench.there(id)), "a refused update changed the record (sentence 6)"

    @sentence(6)
    @quality("max_batch")
    @requires("creates")
    def test_a_batch_of_the_declared_size_is_taken(self, bench: Bench) -> None:
        """`max_batch` changes go through in one call."""
        count = min(bench.can.max_batch, bench.world.most_records)
        changes = [bench.creation() for _ in range(count)]
        outcomes = bench.send(*changes)
        assert len({bench.done(outcome).id for outcome in outcomes}) == count, "a full batch was not written record by record"

    @sentence(6)
    @clause("The changes divided into calls of `write`, each change once;")
    @requires("combine", "updates", "get or read")
    @needs("records")
    def test_changes_that_share_a_call_are_written_like_others(self, bench: Bench) -> None:
        """As many alike changes as the test may make, one of them for a record that is not there: each has its own outcome."""
        *there, gone = bench.make(bench.world.most_records)
        if bench.has("archives") or bench.has("deletes"):
            bench.done(bench.send_one(bench.removal(gone)))
        else:
            gone = "kit-no-such-record"
        name = bench.world.editable
        alike = [bench.update_of(id, {name: "kit alike"}) for id in there]
        changes = [*alike, Update(key=bench.key(), id=gone, fields={name: "kit alike"})]
        calls = bench.connector.combine(bench.world.resource, changes)
        keys = sorted(change.key for call in calls for change in call)
        assert keys == sorted(change.key for change in changes), "combine forgot a change or named one twice (class Combiner)"
        outcomes = {outcome.key: outcome for call in calls for outcome in bench.connector.write(bench.world.resource, call)}
        assert isinstance(outcomes.pop(changes[-1].key), Failed), (
            "an update of a record that is not there should fail (sentence 6)"
        )
        assert len(outcomes) == len(there), "write must return one outcome for each change (sentence 6)"
        for outcome in outcomes.values():
            assert isinstance(outcome, Written), "a bad change took its neighbour down (sentence 6)"
            assert bench.holds(bench.there(outcome.id), name, "kit alike"), (
                "an outcome says written, and nothing was (sentence 6)"
            )

    @sentence(6)
    @quality("max_concurrency")
    @requires("creates", "get or read")
    def test_as_many_calls_at_once_as_declared_do_not_disturb_each_other(self, bench: Bench) -> None:
        """`max_concurrency` threads write at the same time; everything lands once."""
        threads = min(bench.can.max_concurrency, 8)
        if threads == 1:
            pytest.skip("max_concurrency is 1: calls come one at a time")
        changes = [bench.creation() for _ in range(threads * 2)]
        with ThreadPoolExecutor(threads) as pool:
            answers = list(pool.map(lambda change: bench.connector.write(bench.world.resource, [change]), changes))
        ids = [bench.done(outcome).id for [outcome] in answers]
        bench.noticed(ids)
        assert len(set(ids)) == len(changes), "calls at once gave one id to two records (Capabilities.max_concurrency)"
        for id in ids:
            bench.there(id)

    @sentence(6)
    @clause("No live record has this id.")
    @requires("updates")
    def test_an_update_of_an_unknown_record_is_not_found(self, bench: Bench) -> None:
        """Nothing is made of a change whose record is not there."""
        change = Update(key=bench.key(), id="kit-no-such-record", fields={bench.world.editable: "kit"})
        bench.refused(bench.send_one(change), NotFound)

    @sentence(7)
    @quality("updates", "partial_updates")
    @requires("updates", "partial_updates", "get or read")
    @needs("records", "other_field")
    def test_an_update_leaves_what_it_does_not_name(self, bench: Bench) -> None:
        """Every field but the named one has the value that it had."""
        id = bench.make_one()
        before = bench.there(id)
        bench.update(id, "kit edited")
        after = bench.there(id)
        assert bench.holds(after, bench.world.editable, "kit edited"), "an update did not set the field it names (sentence 7)"
        for name in bench.other_fields:
            assert bench.alike(name, before.fields.get(name), after.fields.get(name)), (
                f"an update changed {name!r}, which it does not name (sentence 7)"
            )

    @sentence(7)
    @quality("updates")
    @requires("updates", "get or read")
    @needs("records")
    def test_an_update_leaves_the_other_records(self, bench: Bench) -> None:
        """A change reaches the record it names and no other."""
        id, other = bench.make(2)
        before = bench.there(other)
        bench.update(id, "kit edited")
        assert bench.holds(bench.there(id), bench.world.editable, "kit edited"), "an update was not applied (sentence 7)"
        assert bench.same_record(before, bench.there(other)), "an update changed another record (sentence 7)"

    @sentence(7)
    @requires("updates", "get or read")
    @needs("records")
    def test_writing_the_same_value_again_is_no_error(self, bench: Bench) -> None:
        """An update that changes nothing is written like any other."""
        id = bench.make_one()
        bench.update(id, "kit edited")
        bench.update(id, "kit edited")
        assert bench.holds(bench.there(id), bench.world.editable, "kit edited")

    @sentence(9)
    @quality("returns_record")
    @requires("returns_record", "creates or updates", "get or read")
    def test_the_returned_record_is_what_is_stored(self, bench: Bench) -> None:
        """`Written.record` holds at least the written fields, with the values that a reading then shows."""
        name = bench.world.editable
        outcomes = []
        if bench.has("creates"):
            outcomes.append((bench.done(bench.create(bench.values(**{name: "  Kit Made  "}))), set(bench.world.seed_fields)))
        if bench.has("updates"):
            outcomes.append((bench.update(bench.make_one(), "  Kit Edited  "), {name}))
        for written, named in outcomes:
            assert written.record is not None, "Capabilities.returns_record is declared, and `Written.record` is None"
            assert named <= written.record.keys(), "`Written.record` lacks a field that was written (sentence 9)"
            stored = bench.there(written.id).fields
            for each in written.record.keys() & set(bench.names):
                told = written.record[each]
                assert bench.alike(each, told, stored.get(each)), f"`Written.record` tells another {each!r} than is stored"

    @sentence(9)
    @requires("updates", "returns_record")
    @needs("records", "edit", "step_in")
    def test_the_returned_record_is_not_a_later_reading(self, bench: Bench) -> None:
        """What somebody else writes after our write and before its answer is not in `Written.record`."""
        id = bench.make_one()
        name = bench.world.editable
        bench.far_side.step_in(lambda: bench.far_side.edit(id, {name: "kit by somebody else"}))
        written = bench.update(id, "kit by us")
        assert written.record is not None, "Capabilities.returns_record is declared, and `Written.record` is None"
        assert bench.holds(written.record, name, "kit by us"), "`Written.record` holds what a later reading showed (sentence 9)"

    @clause("`version` is compared for equality only")
    @requires("updates", "get or read")
    @needs("records")
    def test_a_version_moves_with_its_record(self, bench: Bench) -> None:
        """A version differs after a change, stays where nothing happened, and is the one that `Written` told."""
        id = bench.make_one()
        before = bench.there(id)
        if before.version is None:
            pytest.skip("records carry no version here")
        assert bench.there(id).version == before.version, "a version moved though nothing happened"
        written = bench.update(id, "kit edited")
        after = bench.there(id)
        assert after.version != before.version, "a version did not move when its record changed"
        assert written.version in (None, after.version), "`Written.version` is not the version of the record it wrote"

    @sentence(6)
    @quality("late_arrival")
    @requires("creates", "read")
    @needs("lose_answer")
    def test_a_lost_answer_is_an_unknown_outcome(self, bench: Bench) -> None:
        """A change that may have been applied fails with `OutcomeUnknown`; nobody sends it again."""
        before = records_of(bench.pages()).keys()
        bench.far_side.lose_answer()
        bench.refused(bench.create(), OutcomeUnknown)
        made = records_of(bench.pages()).keys() - before
        bench.noticed(made)
        assert len(made) <= 1, "a create whose answer was lost was sent again (sentence 11)"
        if bench.can.late_arrival == 0:
            again = records_of(bench.pages()).keys() - before
            assert again == made, "a write landed after its call was over, and Capabilities.late_arrival is 0"

    @sentence(6)
    @requires("creates", "read")
    @needs("fail_write")
    def test_raising_means_that_nothing_was_applied(self, bench: Bench) -> None:
        """A call that is refused as a whole raises, or fails each change with TransientError; nothing is there afterwards."""
        before = records_of(bench.pages()).keys()
        bench.far_side.fail_write()
        error = bench.attempt(bench.creation())
        assert error is not None, "a write that the far side refused was called written (sentence 6)"
        known = not isinstance(error, OutcomeUnknown | RecordError)
        assert known, "a call that was refused as a whole raises, or fails each change with TransientError (sentence 6)"
        assert records_of(bench.pages()).keys() == before, "`write` raised, and something was applied (sentence 6)"

    @sentence(7)
    @quality("set_deltas")
    @requires("updates", "set_deltas", "get or read")
    @needs("records", "set_field")
    def test_a_set_change_leaves_the_other_members(self, bench: Bench) -> None:
        """Members that are neither added nor removed stay, whoever put them there."""
        name = bench.set_field or ""
        id = bench.make_one(**{name: ["kit a", "kit b"]})
        change = bench.update_of(id, {name: SetChange(add=("kit c",), remove=("kit a",))})
        bench.done(bench.send_one(change))
        assert bench.holds(bench.there(id), name, ["kit b", "kit c"]), "a SetChange did more, or less, than it says (sentence 7)"
