"""The kit and the contract cover each other: no sentence without a test, no test without a sentence."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

import syncengine.connector
from syncengine.connector import Capabilities
from syncengine.testing.conformance.base import kit_tests
from syncengine.testing.conformance.demand import demand_of, names_of, needs, over, quality, requires, sentences_of_the_contract

TESTS = kit_tests()
DEMANDS = {name: demand_of(test) for name, test in TESTS.items()}


def plain(text):
    return " ".join(text.split())


def test_the_contract_has_eleven_sentences():
    assert list(sentences_of_the_contract()) == list(range(1, 12))


def test_every_sentence_has_a_test_and_every_number_is_a_sentence():
    named = {number for demand in DEMANDS.values() for number in demand.sentences}
    assert named == sentences_of_the_contract().keys()


def test_every_capability_has_a_test():
    named = {name for demand in DEMANDS.values() for name in demand.qualities}
    assert named == {each.name for each in fields(Capabilities)}


def test_every_capability_that_is_a_flag_has_a_test_that_tries_it():
    """Reflection alone proves nothing: a flag's test asks for the flag, or for what it does."""
    tried = {name for demand in DEMANDS.values() if demand.requires for name in demand.qualities}
    flags = {
        each.name for each in fields(Capabilities) if each.default is False or each.name in {"partial_updates", "upsert_keys"}
    }
    assert flags - tried == {"rewrites_whole"}


@pytest.mark.parametrize("name", TESTS)
def test_every_test_says_what_it_holds_a_connector_to(name):
    demand = DEMANDS[name]
    assert demand.sentences or demand.qualities or demand.clauses
    assert inspect.getdoc(TESTS[name])
    assert "bench" in inspect.signature(TESTS[name]).parameters


@pytest.mark.parametrize("name", TESTS)
def test_every_quoted_clause_stands_in_the_contract(name):
    contract = plain(inspect.getsource(syncengine.connector) + inspect.getsource(syncengine.errors))
    for words in DEMANDS[name].clauses:
        assert plain(words) in contract


def test_no_two_themes_share_a_test_name():
    names = [name for kind in kinds() for name in vars(kind) if name.startswith("test_")]
    assert len(names) == len(set(names)) == len(TESTS)


def kinds():
    from syncengine.testing.conformance import ConnectorConformance

    return [kind for kind in ConnectorConformance.__mro__ if kind.__module__.startswith("syncengine.testing.conformance")]


@pytest.mark.parametrize("decorate", [lambda: quality("speed"), lambda: requires("courage")])
def test_a_demand_for_what_does_not_exist_is_an_error(decorate):
    with pytest.raises(AssertionError):
        decorate()


def test_a_table_gives_a_test_one_name_a_row():
    @over("text", {"one": 1, "two": 2})
    @needs("records")
    def test_something(self, bench, text): ...

    assert list(names_of("test_something", demand_of(test_something))) == ["test_something[one]", "test_something[two]"]
    assert demand_of(test_something).needs == ("records",)
