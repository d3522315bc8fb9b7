"""Looking: strong reads by id with three answers, searches that find, hints that are verified."""

from __future__ import annotations

import pytest

from syncengine.connector import Hint, Record, Tombstone, Unknown
from syncengine.errors import AuthError
from syncengine.testing.conformance.bench import Bench, records_of
from syncengine.testing.conformance.demand import clause, needs, over, requires, sentence
from syncengine.testing.conformance.values import FINDABLE_TEXT


class Looking:
    """The skills: sentence 10, `Finder`, `HintReceiver`."""

    @sentence(10)
    @requires("get")
    @needs("records")
    def test_get_answers_each_id_in_order(self, bench: Bench) -> None:
        """There and gone in the order of the ids, with each id once for each time it was asked."""
        first, gone, last = bench.make(3)
        if bench.has("archives") or bench.has("deletes"):
            bench.done(bench.send_one(bench.removal(gone)))
            there = [first, last]
        else:
            there = [first, gone, last]
        asked = [last, gone, "kit-no-such-record", first, last]
        answers = list(bench.connector.get(bench.world.resource, asked, fields=bench.names))
        assert [answer.id for answer in answers] == asked, "one answer per id, in order (sentence 10)"
        for id, answer in zip(asked, answers, strict=True):
            kind = Record if id in there else Tombstone
            assert isinstance(answer, kind), f"a get answered {type(answer).__name__} instead of {kind.__name__} (sentence 10)"

    @sentence(10)
    @requires("get")
    def test_get_of_nothing_is_nothing(self, bench: Bench) -> None:
        """No ids, no answers."""
        assert list(bench.connector.get(bench.world.resource, [], fields=bench.names)) == [], "no ids, no answers (sentence 10)"

    @sentence(10)
    @requires("get")
    @needs("records", "conceal")
    def test_get_says_when_it_could_not_tell(self, bench: Bench) -> None:
        """A record that cannot be looked at is `Unknown`: not gone, and no trouble for its neighbours."""
        hidden, there = bench.make(2)
        bench.far_side.conceal(hidden)
        answers = list(bench.connector.get(bench.world.resource, [hidden, there], fields=bench.names))
        assert isinstance(answers[0], Unknown), "a get that could not tell says `Unknown` (sentence 10)"
        assert isinstance(answers[1], Record), "a record that could not be told hid its neighbour (sentence 10)"

    @sentence(10)
    @clause("`get` is always strong")
    @requires("get")
    @needs("records", "edits")
    def test_get_shows_a_write_at_once(self, bench: Bench) -> None:
        """Whatever listings lag behind, a get by id shows what is stored now."""
        id = bench.make_one()
        assert isinstance(bench.look(id), Record), "a get does not show a record made just now (sentence 10)"
        bench.edit(id, "kit edited")
        assert bench.holds(bench.there(id), bench.world.editable, "kit edited"), "a get shows the value before the last write"

    @sentence(10)
    @requires("get", "read")
    @needs("records")
    def test_get_and_listing_tell_the_same(self, bench: Bench) -> None:
        """A record read by id has the values, version and moment that the listing gave it."""
        ids = bench.make(2)
        listed = records_of(bench.pages())
        for id in ids:
            found = bench.there(id)
            assert bench.same_record(found, listed[id]), "a get and a listing tell different values of one record (sentence 10)"
            assert found.version == listed[id].version, "a get and a listing tell different versions of one record"
            assert found.modified_at == listed[id].modified_at, "a get and a listing tell different `modified_at`"

    @sentence(10)
    @requires("get")
    @needs("records")
    def test_get_gives_the_fields_asked_for(self, bench: Bench) -> None:
        """Asking for one field gives that one with its value."""
        id = bench.make_one(**{bench.world.editable: "kit text"})
        [answer] = bench.connector.get(bench.world.resource, [id], fields=[bench.world.editable])
        assert isinstance(answer, Record), "a get of a live record gives the record (sentence 10)"
        assert set(answer.fields) == {bench.world.editable}, "a get gives the fields asked for and no other"
        assert bench.holds(answer, bench.world.editable, "kit text"), "a field asked for alone has another value"

    @clause("Every live record whose `field` holds one of `values`")
    @requires("find")
    @needs("records")
    def test_find_finds_every_holder_of_a_value(self, bench: Bench) -> None:
        """All records with one of the values come, with their values; removed ones do not."""
        name = bench.world.editable
        ids = [bench.make_one(**{name: text}) for text in ("kit one", "kit two", "kit one", "kit three")]
        bench.settle()
        found = list(bench.connector.find(bench.world.resource, name, ["kit one", "kit two"], fields=bench.names))
        assert set(ids[:3]) <= {record.id for record in found}, "a find missed a record that holds the value exactly"
        for record in found:
            if record.id in ids[:3]:
                text = {ids[0]: "kit one", ids[1]: "kit two", ids[2]: "kit one"}[record.id]
                assert bench.holds(record, name, text), "a find told another value than the record has"
        if bench.has("archives") or bench.has("deletes"):
            bench.done(bench.send_one(bench.removal(ids[0])))
            bench.settle()
            left = {record.id for record in bench.connector.find(bench.world.resource, name, ["kit one"], fields=())}
            assert ids[0] not in left, "a find returned a record that is not live"
            assert ids[2] in left, "a find missed a record that holds the value exactly"

    @clause("Every live record whose `field` holds one of `values`")
    @requires("find")
    def test_find_of_an_unknown_value_is_empty_of_ours(self, bench: Bench) -> None:
        """No value, or one that nobody holds, finds nothing of its kind."""
        name = bench.world.editable
        assert list(bench.connector.find(bench.world.resource, name, [], fields=bench.names)) == [], "no values, no records"
        for record in bench.connector.find(bench.world.resource, name, ["kit nobody holds this"], fields=bench.names):
            assert not bench.holds(record, name, "kit nobody holds this"), "a find made a record up"

    @clause("compared at least exactly.")
    @requires("find", "creates or updates", "get or read")
    @over("text", FINDABLE_TEXT)
    def test_find_takes_text_by_the_letter(self, bench: Bench, text: str) -> None:
        """Quotes, wildcards and operators are part of the value, not of a query."""
        name = bench.world.editable
        outcome = bench.put(name, text)
        if not bench.holds(bench.there(bench.done(outcome).id), name, text):
            pytest.skip("this text is not stored as sent here")
        bench.settle()
        value = bench.stored(name, text)
        found = {record.id for record in bench.connector.find(bench.world.resource, name, [value], fields=[name])}
        assert bench.done(outcome).id in found, "a find missed a record that holds the value exactly"

    @clause("Verify the delivery (AuthError if it is not genuine) and tell which records to look at.")
    @requires("hints")
    @needs("deliver")
    def test_hints_are_verified(self, bench: Bench) -> None:
        """A genuine delivery tells its record; one that was tampered with, or has no proof, is refused."""
        hint = Hint(resource=bench.world.resource, id="kit-record", event="kit-event")
        headers, body = bench.far_side.deliver(hint)
        assert list(bench.connector.hints(headers, body)) == [hint], "a genuine delivery tells which record to look at"
        for bad_headers, bad_body in ((headers, body + b" "), ({}, body), (dict.fromkeys(headers, "0"), body)):
            with pytest.raises(AuthError):
                bench.connector.hints(bad_headers, bad_body)
