"""What the author of a connector tells the kit: the remote it runs against, the far side, and what is waived."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from syncengine.connector import Fields, Native

Seed: TypeAlias = Native | Callable[[int], Native]
"""A value for every record made, or a function from the record's number to its value."""

FarSide: TypeAlias = Any
"""
The system as a person, or trouble, gets at it past the connector. Every method is optional; a test that needs one that is not
there is skipped and says so.

    insert(fields) -> id                a person adds a record; None: it is up to the system what its id is
    edit(id, fields), remove(id)        a person changes a record, or deletes it for good
    conceal(id)                         from now on nobody can tell whether this record is there
    expire_cursors()                    no cursor minted so far can be resumed
    fail_page(number)                   page number so-and-so of the next listing (from 0) cannot be read
    fail_write()                        the next write is refused before anything of it is applied
    lose_answer()                       the next write is applied, its answer lost
    step_in(action)                     call `action` when the next write is applied and not yet answered
    refuse_credentials()                from now on nobody is let in
    calls() -> int                      requests received so far
    deliver(hint) -> (headers, body)    a webhook as the system sends it
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """
    The remote that the kit runs against. It describes; it never says "skip".

    resource: the resource to test, empty at the start of each test, or with records of others if `shared`.
    seed_fields: values that make a record, required ones included; a plain value of a unique field is varied by number.
    editable: a writable text field, not unique, that the kit may set to anything.
    eventual: waits, given the connector, until every write shows in `read` and `find`; None where they show at once.
    normalises: what the system makes of what is written to a field (trims, lower-cases), where it does.
    samples: values to try in a field; needed for references, welcome elsewhere.
    rejected: values that the system refuses, where the kit can't tell from the description.
    ids: ids to propose, by number, where `chooses_ids` and only some forms will do.
    secrets: words that must stand in no error: passwords, keys.
    most_records: how many records a test may make.
    namespace: sets the keys and unique values of this run apart; fixed with cassettes, another one in each live run.
    shared: the resource holds other records too; the kit deletes (or archives) what it made.
    """

    resource: str
    seed_fields: Mapping[str, Seed]
    editable: str
    eventual: Callable[[Any], None] | None = None
    normalises: Mapping[str, Callable[[Native], Native]] = field(default_factory=dict)
    samples: Mapping[str, Sequence[Native]] = field(default_factory=dict)
    rejected: Fields | None = None
    ids: Callable[[int], str] | None = None
    secrets: tuple[str, ...] = ()
    most_records: int = 30
    namespace: str = ""
    shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """
    A test of the kit that this connector cannot pass, by its name as reported (`test_hostile_text[nul]`), and why.

    Strict: a waived test that passes is a failure, so a waiver never outlives its reason.
    """

    test: str
    reason: str

    def __init__(self, test: str, /, *, reason: str) -> None:
        object.__setattr__(self, "test", test)
        object.__setattr__(self, "reason", reason)
