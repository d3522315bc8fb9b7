"""Values: whatever was stored is what comes back, and what cannot be stored is refused, never bent."""

from __future__ import annotations

from typing import Any

import pytest

from syncengine.connector import ABSENT, FieldType, Written
from syncengine.errors import RecordError
from syncengine.testing.conformance.bench import Bench
from syncengine.testing.conformance.demand import clause, needs, over, requires, sentence
from syncengine.testing.conformance.values import HOSTILE_TEXT, is_plain, samples_of, samples_with_offsets


class Values:
    """Sentence 5, both ways."""

    @sentence(5)
    @requires("creates or updates", "get or read")
    @over("text", HOSTILE_TEXT)
    def test_hostile_text(self, bench: Bench, text: str) -> None:
        """Text is data: it comes back letter by letter (or as World.normalises says)."""
        self._fits(bench, text)
        outcome = bench.put(bench.world.editable, text)
        record = bench.there(bench.done(outcome).id)
        assert bench.holds(record, bench.world.editable, text), "text came back as something else than was sent (sentence 5)"

    @sentence(5, 6)
    @requires("creates or updates", "get or read")
    def test_text_that_is_waived_is_refused_and_not_bent(self, bench: Bench) -> None:
        """A waiver of `test_hostile_text` is for text that fails its record; text stored as something else is never right."""
        waived = [text for row, text in HOSTILE_TEXT.items() if f"test_hostile_text[{row}]" in bench.waived]
        if not waived:
            pytest.skip("no hostile text is waived")
        for text in waived:
            outcome = bench.put(bench.world.editable, text)
            if isinstance(outcome, Written):
                record = bench.there(outcome.id)
                assert bench.holds(record, bench.world.editable, text), "waived text was stored as something else than was sent"
            else:
                bench.refused(outcome, RecordError)

    @sentence(5)
    @requires("creates or updates", "get or read")
    @over("kind", {each.value: each for each in FieldType})
    def test_values_of_each_declared_type_come_back(self, bench: Bench, kind: FieldType) -> None:
        """What a field of this type was given is what a reading shows: numbers exactly, instants to the second."""
        tried = False
        for name, field in bench.writable.items():
            if field.type is not kind:
                continue
            for value in bench.world.samples.get(name, samples_of(field)):
                tried = True
                record = bench.there(bench.done(bench.put(name, value)).id)
                assert is_plain(record.fields.get(name)), f"{name!r} is not of a plain type when it comes back (sentence 5)"
                assert bench.holds(record, name, value), f"a {kind.value} came back as something else than was sent (sentence 5)"
        if not tried:
            pytest.skip(f"there is no writable field of type {kind.value}, or World.samples has nothing for it")

    @sentence(5)
    @requires("creates or updates", "get or read")
    def test_an_instant_is_the_same_whatever_its_offset(self, bench: Bench) -> None:
        """Noon in London, in Delhi and in San Francisco's morning are one moment, stored as such."""
        names = [name for name, each in bench.writable.items() if each.type is FieldType.DATETIME and not each.many]
        names = [name for name in names if not bench.resource.fields[name].naive]
        if not names:
            pytest.skip("there is no writable datetime field with an offset")
        for value in samples_with_offsets():
            record = bench.there(bench.done(bench.put(names[0], value)).id)
            assert bench.holds(record, names[0], value), "an instant came back as another one (sentence 5)"

    @sentence(5)
    @requires("creates or updates", "get or read")
    def test_null_can_be_stored(self, bench: Bench) -> None:
        """A nullable field that is set to None is null (or absent) afterwards, not blank text."""
        name = bench.world.editable
        field = bench.resource.fields[name]
        if field.required or not field.nullable:
            pytest.skip("World.editable is never null")
        record = bench.there(bench.done(bench.put(name, None)).id)
        found = record.fields.get(name, ABSENT)
        empty = (None, ABSENT, "") if bench.resource.blank_is_null else (None, ABSENT)
        assert any(found is each or found == each for each in empty), "null came back as a value (sentence 5)"

    @clause('this system does not tell "" from null.')
    @sentence(5)
    @requires("creates or updates", "get or read")
    def test_blank_is_told_from_null_unless_declared(self, bench: Bench) -> None:
        """Where `blank_is_null` is not declared, blank text and null are two things when they come back."""
        name = bench.world.editable
        field = bench.resource.fields[name]
        if field.required or not field.nullable:
            pytest.skip("World.editable is never null")
        found = [bench.there(bench.done(bench.put(name, value)).id).fields.get(name) for value in ("", None)]
        told_apart = found[0] != found[1]
        assert told_apart != bench.resource.blank_is_null, "Resource.blank_is_null does not say how blank and null come back"

    @sentence(5)
    @requires("creates", "get or read")
    @needs("other_field")
    def test_a_field_never_given_is_null_or_absent(self, bench: Bench) -> None:
        """A field that a create does not name has no made-up value, unless the system has a default and tells it."""
        keep = {*bench.required_fields, *bench.unique_fields, *bench.resource.id_fields}
        name = bench.world.editable
        if name in keep:
            pytest.skip("World.editable has to be given")
        values: dict[str, Any] = {each: value for each, value in bench.values().items() if each != name}
        found = bench.there(bench.done(bench.create(values)).id).fields.get(name, ABSENT)
        blank = (None, ABSENT, "") if bench.resource.blank_is_null else (None, ABSENT)
        assert any(found is each or found == each for each in blank), "a field that was never given has a value (sentence 5)"

    def _fits(self, bench: Bench, text: str) -> None:
        longest = bench.resource.fields[bench.world.editable].max_length
        if longest is not None and len(text) > longest:
            pytest.skip(f"World.editable takes at most {longest} characters")
