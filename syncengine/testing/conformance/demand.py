"""
What a test of the kit is about and what it asks for, as decorators; no pytest in here.

`sentence(3)` names the numbered sentences of the contract that the test holds a connector to, `quality("lag")` a field of
`Capabilities`, `clause("...")` quotes any other words of `syncengine.connector`. `requires` names capabilities and skills
without which the test has nothing to say, `needs` what the author's test file may give beyond the connector.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from syncengine import connector
from syncengine.connector import Capabilities

Test = TypeVar("Test", bound=Callable[..., None])

_ATTRIBUTE = "__conformance__"

SKILLS: Mapping[str, str] = {each: each for each in ("read", "write", "get", "find", "combine", "hints")}
"""What `requires` may name besides capabilities: the method that makes the skill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """
    What one test is about, and what it asks for.

    `requires` holds alternatives: each tuple is satisfied by any of its names. `parameters` are the ids of a test that
    runs once for each row of a table.
    """

    sentences: tuple[int, ...] = ()
    qualities: tuple[str, ...] = ()
    clauses: tuple[str, ...] = ()
    requires: tuple[tuple[str, ...], ...] = ()
    needs: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    argument: str = ""


def demand_of(test: Callable[..., object]) -> Demand:
    """What a test demands; nothing at all where no decorator was used."""
    found = getattr(test, _ATTRIBUTE, None)
    return found if isinstance(found, Demand) else Demand()


def sentence(*numbers: int) -> Callable[[Test], Test]:
    """The test holds a connector to these numbered sentences."""
    return _adding(lambda demand: replace(demand, sentences=demand.sentences + numbers))


def quality(*names: str) -> Callable[[Test], Test]:
    """The test is about these fields of `Capabilities`."""
    unknown = set(names) - {each.name for each in fields(Capabilities)}
    assert not unknown, f"Capabilities has no {sorted(unknown)}"
    return _adding(lambda demand: replace(demand, qualities=demand.qualities + names))


def clause(words: str) -> Callable[[Test], Test]:
    """The test is about these words of `syncengine.connector`, quoted as they stand there."""
    return _adding(lambda demand: replace(demand, clauses=(*demand.clauses, words)))


def requires(*names: str) -> Callable[[Test], Test]:
    """Skip the test unless the connector declares, or can do, all of these; "archives or deletes" takes either."""
    alternatives = tuple(tuple(name.split(" or ")) for name in names)
    known = {each.name for each in fields(Capabilities)} | SKILLS.keys()
    unknown = {name for alternative in alternatives for name in alternative} - known
    assert not unknown, f"no capability or skill is called {sorted(unknown)}"
    return _adding(lambda demand: replace(demand, requires=demand.requires + alternatives))


def needs(*names: str) -> Callable[[Test], Test]:
    """Skip the test unless the author's test file gives these: a method of `far_side`, or `reopen`, or `records`."""
    return _adding(lambda demand: replace(demand, needs=demand.needs + names))


def over(argument: str, table: Mapping[str, Any]) -> Callable[[Test], Test]:
    """Run the test once for each row; the row's name stands in brackets behind the test's."""
    return _adding(lambda demand: replace(demand, argument=argument, parameters=table))


def sentences_of_the_contract() -> dict[int, str]:
    """The numbered sentences as they stand in `syncengine.connector`."""
    text = connector.__doc__ or ""
    found = re.findall(r"^ ?(\d+)\. (.*?)(?=^ ?\d+\. |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    return {int(number): " ".join(words.split()) for number, words in found}


def names_of(test_name: str, demand: Demand) -> Sequence[str]:
    """The names under which a test appears in a report: once, or once for each row of its table."""
    return [f"{test_name}[{row}]" for row in demand.parameters] if demand.parameters else [test_name]


def _adding(change: Callable[[Demand], Demand]) -> Callable[[Test], Test]:
    def decorate(test: Test) -> Test:
        setattr(test, _ATTRIBUTE, change(demand_of(test)))
        return test

    return decorate
