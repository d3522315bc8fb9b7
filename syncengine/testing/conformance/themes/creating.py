"""Creating: one record for one intent, and none where the system already has it."""

from __future__ import annotations

import pytest

from syncengine.errors import AlreadyExists, RecordError
from syncengine.testing.conformance.bench import Bench, records_of
from syncengine.testing.conformance.demand import clause, needs, quality, requires, sentence


class Creating:
    """Creates, with all that keeps them from doubling."""

    @sentence(6)
    @quality("creates")
    @requires("creates", "get or read")
    def test_each_create_makes_a_record_of_its_own(self, bench: Bench) -> None:
        """Two creates with two keys make two records with the values that each names."""
        name = bench.world.editable
        first, second = (bench.done(bench.create(bench.values(**{name: text}))) for text in ("kit one", "kit two"))
        assert first.id != second.id, "two creates ended in one record"
        assert not first.met, "`Written.met` is for creates that met a record, not for new ones"
        assert bench.holds(bench.there(first.id), name, "kit one"), "a create did not store what it names"
        assert bench.holds(bench.there(second.id), name, "kit two"), "a create did not store what it names"

    @sentence(6)
    @quality("idempotent_creates")
    @requires("creates", "idempotent_creates", "get or read")
    def test_the_same_key_makes_one_record(self, bench: Bench) -> None:
        """A create sent again after a lost answer tells the record of the first time."""
        before = records_of(bench.pages()).keys() if bench.has("read") else set()
        change = bench.creation()
        first, second = (bench.done(bench.send_one(change)) for _ in range(2))
        assert first.id == second.id, "the same key made a second record (Capabilities.idempotent_creates)"
        bench.there(first.id)
        if bench.has("read"):
            made = records_of(bench.pages()).keys() - before
            assert made == {first.id}, "the same key made a second record (Capabilities.idempotent_creates)"

    @sentence(6)
    @clause("the system itself refuses a second live record with")
    @requires("creates", "get or read")
    @needs("unique_field")
    def test_a_taken_unique_value_already_exists(self, bench: Bench) -> None:
        """A second record with a unique value is refused as `AlreadyExists`, with the id of the holder or none."""
        for name in bench.unique_fields:
            values = bench.values()
            holder = bench.done(bench.create(values)).id
            kept = bench.there(holder)
            before = records_of(bench.pages()).keys() if bench.has("read") else set()
            error = bench.refused(bench.create(bench.values(**{name: values[name]})), AlreadyExists)
            assert isinstance(error, AlreadyExists)
            assert error.id in (None, holder), "`AlreadyExists.id` is the id of the record that holds the value"
            assert error.field in (None, name), "`AlreadyExists.field` is the unique field"
            assert bench.same_record(kept, bench.there(holder)), "a refused create changed the holder of the value"
            if bench.has("read"):
                assert records_of(bench.pages()).keys() == before, "a refused create left a record behind (sentence 6)"

    @sentence(6)
    @clause("the system itself refuses a second live record with")
    @requires("creates", "updates", "get or read")
    @needs("unique_field")
    def test_an_update_to_a_taken_unique_value_already_exists(self, bench: Bench) -> None:
        """An update meets the same refusal, and changes nothing."""
        name = bench.unique_fields[0]
        if name not in bench.writable:
            pytest.skip("the unique field cannot be updated")
        values = bench.values()
        bench.done(bench.create(values))
        other = bench.make_one()
        before = bench.there(other)
        fields = {name: values[name], bench.world.editable: "kit edited"}
        bench.refused(bench.send_one(bench.update_of(other, fields)), AlreadyExists)
        assert bench.same_record(before, bench.there(other)), "a refused update changed the record (sentence 6)"

    @sentence(4)
    @quality("chooses_ids")
    @requires("creates", "chooses_ids", "get or read")
    def test_a_proposed_id_is_used(self, bench: Bench) -> None:
        """The record is found under the id that `Create.id` proposed, and a taken one makes no second record."""
        proposed = bench.proposal()
        written = bench.done(bench.create(id=proposed))
        assert written.id == proposed, "`Create.id` was not used (Capabilities.chooses_ids)"
        before = bench.there(proposed)
        bench.refused(bench.create(id=proposed), AlreadyExists)
        assert bench.same_record(before, bench.there(proposed)), "a create with a taken id changed the record that holds it"

    @sentence(4)
    @quality("chooses_ids")
    @clause("chooses_ids: the engine may propose `Create.id`.")
    @requires("creates", "chooses_ids", "get or read")
    def test_an_id_need_not_be_proposed(self, bench: Bench) -> None:
        """A create without an id gets one from the system."""
        written = bench.done(bench.create(id=None))
        bench.there(written.id)

    @sentence(7)
    @quality("upsert_keys")
    @requires("creates", "upsert_keys", "get or read")
    def test_an_upsert_meets_the_record_that_is_there(self, bench: Bench) -> None:
        """A create with `upsert_on` sets its fields in the existing record, says `met`, and doubles nothing."""
        for name in bench.can.upsert_keys:
            values = bench.values(**{bench.world.editable: "kit one"})
            if name not in values:
                pytest.skip(f"World.seed_fields lacks the upsert key {name!r}")
            new = bench.done(bench.create(values, upsert_on=name))
            assert not new.met, "an upsert without a record to meet makes a new one: `met` is False"
            before = records_of(bench.pages()).keys() if bench.has("read") else set()
            kept = bench.there(new.id)
            met = bench.done(bench.create({name: values[name], bench.world.editable: "kit two"}, upsert_on=name))
            assert met.id == new.id, "an upsert made a second record (Capabilities.upsert_keys)"
            assert met.met, "an upsert that met a record says so in `Written.met`"
            after = bench.there(new.id)
            assert bench.holds(after, bench.world.editable, "kit two"), "an upsert did not set the fields that it names"
            for other in bench.other_fields if bench.can.partial_updates else ():
                same = bench.alike(other, kept.fields.get(other), after.fields.get(other))
                assert same, f"an upsert changed {other!r}, which it does not name (sentence 7)"
            if bench.has("read"):
                assert records_of(bench.pages()).keys() == before, "an upsert doubled the record"

    @sentence(6)
    @clause("`required` fields need a value on")
    @requires("creates", "get or read")
    @needs("required_field")
    def test_a_create_without_a_required_value_is_refused(self, bench: Bench) -> None:
        """A missing value of a `required` field fails that record, and leaves nothing behind."""
        before = records_of(bench.pages()).keys() if bench.has("read") else set()
        for name in bench.required_fields:
            values = bench.values()
            values.pop(name, None)
            bench.refused(bench.create(values), RecordError)
        if bench.has("read"):
            assert records_of(bench.pages()).keys() == before, "a refused create left a record behind (sentence 6)"

    @sentence(6)
    @requires("creates", "get or read")
    def test_fields_that_are_not_required_can_be_left_out(self, bench: Bench) -> None:
        """A create with the required (and unique, and id) fields alone goes through: the description tells all."""
        keep = {*bench.required_fields, *bench.unique_fields, *bench.resource.id_fields}
        values = bench.values()
        few = {name: value for name, value in values.items() if name in keep} or {bench.world.editable: "kit"}
        bench.there(bench.done(bench.create(few)).id)
