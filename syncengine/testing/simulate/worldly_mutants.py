"""Mutants that only some worlds notice: with chains of pairs, configs that change, rebuilt states, ids given out again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from syncengine.app import App, app
from syncengine.core import plan
from syncengine.core.codec import Fingerprinter
from syncengine.core.decision import LinkState
from syncengine.core.mapping import PairRule
from syncengine.core.model import Side
from syncengine.engine import decide, linked, run
from syncengine.engine.unlinked import Unlinked
from syncengine.engine.vacancies import Vacancies
from syncengine.store import records
from syncengine.store.leases import Leases
from syncengine.testing.simulate import caretaker, process
from syncengine.testing.simulate.mutant import Mutant, Patch
from syncengine.testing.simulate.setup import Setup, World


def _chain(setup: Setup) -> bool:
    return setup.is_chain


def _changing(setup: Setup) -> bool:
    return setup.is_changing


def _reusing(setup: Setup) -> bool:
    return any(manners.reuses_ids for manners in setup.manners.values())


def _config_unnoticed() -> list[Patch]:
    original = run._read  # noqa: SLF001

    def read_on(context: Any, scope: Any) -> None:
        known = context.pair
        if known.digest is not None:
            context.pair = replace(known, digest=context.rule.digest)
        original(context, scope)
        context.pair = known

    def same(_: bytes) -> Fingerprinter:
        return Fingerprinter(b"any config")

    return [(run, "_read", read_on), (app, "Fingerprinter", same)]


def _config_unguarded() -> list[Patch]:
    original = run._tally  # noqa: SLF001
    return [(run, "_tally", lambda *head, **counts: replace(original(*head, **counts), changed_config=()))]


def _suspended_goes() -> list[Patch]:
    original = plan.decide_link

    def decide_link(*head: Any, **about: Any) -> Any:
        if about["state"] is LinkState.SUSPENDED:
            about["state"] = LinkState.LIVE
        return original(*head, **about)

    return [(decide, "decide_link", decide_link), (linked, "decide_link", decide_link)]


def _shared_records() -> list[Patch]:
    """The first pair's records are everybody's."""

    def end_of(_: int, side: Side) -> int:
        return 2 + (side is Side.RIGHT)

    return [(records, "end_of", end_of)]


def _lease_of_a_pair() -> list[Patch]:
    original = Leases.acquire

    def acquire(self: Any, resources: Any, **by: Any) -> Any:
        return original(self, [" and ".join(sorted(resources))], **by)

    return [(Leases, "acquire", acquire)]


def _former_forgotten() -> list[Patch]:
    original = process.rebuild

    def rebuild(connection: Any, backup: Any = None) -> Any:
        old = original(connection, backup)
        connection.execute("DELETE FROM former")
        return old

    return [(caretaker, "rebuild", rebuild)]


WORLDLY: tuple[Mutant, ...] = (
    Mutant(
        name="own_doubts", rule="a create in doubt blocks its key in its resource for every pair",
        patches=lambda: [(App, "_sharing", lambda *_: [])], needs=_chain,
    ),
    Mutant(
        name="lease_of_a_pair", rule="there is one lease per resource, whatever pair writes to it",
        patches=_lease_of_a_pair, needs=_chain,
    ),
    Mutant(name="shared_records", rule="what a side is known to hold is each pair's own", patches=_shared_records, needs=_chain),
    Mutant(
        name="filter_ignored", rule="a record outside the filter is left alone",
        patches=lambda: [(PairRule, "in_scope", lambda *_: True)], needs=_changing,
    ),
    Mutant(
        name="suspended_goes", rule="what was deleted while a filter had suspended its link is no deletion",
        patches=_suspended_goes, needs=_changing, world=World.QUIET,
    ),
    Mutant(name="config_unnoticed", rule="a changed config has everything read anew", patches=_config_unnoticed, needs=_changing),
    Mutant(
        name="config_unguarded", rule="what a changed config would write is approved first", patches=_config_unguarded,
        needs=_changing,
    ),
    Mutant(
        name="former_forgotten", rule="a rebuilt state knows by their ids what has no key", patches=_former_forgotten,
        needs=lambda setup: setup.is_rebuilding,
    ),
    Mutant(
        name="key_over_id", rule="a rebuilt state knows by their ids whose keys changed",
        patches=lambda: [(Unlinked, "_is_another", lambda _, row, partner: row.key != partner.key)],
        needs=lambda setup: setup.is_rebuilding,
    ),
    Mutant(
        name="ids_for_ever", rule="what was decided about an id does not stand once a new record has it",
        patches=lambda: [(Vacancies, "is_stale", lambda *_: False), (Vacancies, "has_made", lambda *_: False)], needs=_reusing,
    ),
)  # fmt: skip
"""What is taken out, one at a time."""
