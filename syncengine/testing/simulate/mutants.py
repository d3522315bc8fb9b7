"""
The oracle is itself tested: each mutant takes one rule out of the engine, and must be noticed.

A mutant that survives means that the oracle is blind there, or that another rule does the same work; where two rules guard
one thing, they are taken out together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from syncengine.connector import Record, Tombstone
from syncengine.core import merge, plan
from syncengine.core.decision import Bucket, Op, Wait
from syncengine.core.detect import Delta
from syncengine.core.matching import Match
from syncengine.core.model import Side
from syncengine.engine import apply, commit, ends, linked, read, recover, run, unlinked
from syncengine.engine.candidates import Candidates
from syncengine.engine.changes import change_of
from syncengine.engine.commit import Commit
from syncengine.engine.context import Context
from syncengine.engine.doubts import Doubts
from syncengine.engine.evidence import Evidence
from syncengine.engine.recover import Recovery
from syncengine.engine.settle import Settling
from syncengine.engine.shadows import store_write
from syncengine.engine.unlinked import Unlinked
from syncengine.engine.work import Work
from syncengine.store.journal import IntentState, Journal
from syncengine.store.leases import Leases
from syncengine.store.records import Records
from syncengine.store.runs import Runs
from syncengine.testing.simulate.mutant import Mutant, Patch
from syncengine.testing.simulate.worldly_mutants import WORLDLY


def _nothing(*_: Any, **__: Any) -> None:
    """In the place of a method that does something."""


def _sent_instead() -> list[Patch]:
    original = store_write

    def store(rule: Any, link: Any, write: Any, _: Any) -> None:
        original(rule, link, write, None)
        link.side(write.side).unconfirmed = frozenset()

    return [(commit, "store_write", store), (ends, "store_write", store)]


def _single_base() -> list[Patch]:
    original = store_write

    def store(rule: Any, link: Any, write: Any, stored: Any) -> None:
        original(rule, link, write, stored)
        for each in rule.fields:
            if each.left in link.left.shadow:
                link.right.shadow[each.right] = link.left.shadow[each.left]
        link.right.unconfirmed = frozenset()

    return [(commit, "store_write", store), (ends, "store_write", store)]


def _adopt_current() -> list[Patch]:
    original = Recovery._there  # noqa: SLF001 - mutants reach into what they mutate, here and below

    def there(self: Any, intent: Any, record: Any) -> None:
        if intent.op is Op.UPDATE:
            self._ends.done(intent, record.id, stored=record.fields)
        else:
            original(self, intent, record)

    return [(Recovery, "_there", there)]


def _early_cursor() -> list[Patch]:
    original = run._read  # noqa: SLF001

    def read_and_move(context: Any, scope: Any) -> None:
        original(context, scope)
        if scope.ids is None:
            with context.store.commit(context.held_lease):
                run._move_on(context, scope)  # noqa: SLF001

    return [(run, "_read", read_and_move)]


def _always_complete() -> list[Patch]:
    original = read._take  # noqa: SLF001

    def take(context: Any, side: Side, page: Any) -> None:
        original(context, side, page)
        context.listings[side].complete = True

    return [(read, "_take", take)]


def _believing() -> list[Patch]:
    def healthy(*_: Any) -> bool:
        return True

    return [(read, "is_healthy", healthy), (recover, "is_healthy", healthy), *_no_guards()]


def _no_guards() -> list[Patch]:
    return [(run, "_guard", lambda *_: ((), ""))]


def _first_hit() -> list[Patch]:
    def match(group: Any, side: Side) -> Match:
        theirs = group[side.other]
        if not theirs:
            return Match.NEW
        return Match.TAKEN if theirs[0].spoken_for else Match.PAIR

    return [(unlinked, "match", match)]


def _blind_retry() -> list[Patch]:
    def create(self: Any, intent: Any, **_: Any) -> None:
        self._ends.close(intent, "made again")

    return [(Recovery, "_create", create)]


def _adopting_in_doubt() -> list[Patch]:
    original = Recovery.doubts

    def doubts(self: Any) -> Doubts:
        return Doubts(links=original(self).links)

    return [(Recovery, "doubts", doubts)]


def _delete_wins() -> list[Patch]:
    original = plan._one_gone  # noqa: SLF001

    def one_gone(*arguments: Any) -> Any:
        *head, _, label = arguments
        unedited: Any = (*head, Delta.UNCHANGED, label)
        return replace(original(*unedited), losses=())

    return [(plan, "_one_gone", one_gone)]


def _settled_too_soon() -> list[Patch]:
    original = Commit.settle

    def settle(self: Any, works: Any) -> None:
        for work in works:
            work.waits = {}
        original(self, works)

    return [(Commit, "settle", settle)]


def _unconditional() -> list[Patch]:
    original = change_of

    def change(context: Any, side: Side, work: Work) -> Any:
        made: Any = original(context, side, work)
        return replace(made, expected=None) if hasattr(made, "expected") else made

    return [(apply, "change_of", change)]


def _no_replay() -> list[Patch]:
    original = Recovery._create  # noqa: SLF001

    def create(self: Any, intent: Any, *, healthy: bool) -> None:
        with patch.object(Recovery, "_replay", lambda recovery, each: recovery._ends.close(each, "made again")):  # noqa: SLF001
            original(self, intent, healthy=healthy)

    return [(Recovery, "_create", create)]


def _presence_only() -> list[Patch]:
    def trouble(self: Any, wait: Any, why: str, bucket: Any) -> None:
        self.todo.clear()
        self.bucket = bucket
        for side in Side:
            half = self.decision.half(side)
            if half.id is not None and half.now is not None:
                self.waits[side] = (wait, why)

    return [(Work, "trouble", trouble)]


def _absent_unconfirmed() -> list[Patch]:
    original = read.fetch

    def fetch(context: Any, side: Side, ids: Any, *, absent: bool = False) -> int:
        if not absent:
            return original(context, side, ids)
        remote = context.remotes[side]
        gone = replace(remote, connector=_Gone())
        context.remotes = {**context.remotes, side: gone}
        try:
            return original(context, side, ids, absent=True)
        finally:
            context.remotes = {**context.remotes, side: remote}

    return [(read, "fetch", fetch)]


class _Gone:
    def get(self, _: str, ids: Any, *, fields: Any) -> list[Tombstone]:
        del fields
        return [Tombstone(id=id_) for id_ in ids]


def _no_pre_image() -> list[Patch]:
    original = Commit._intent  # noqa: SLF001
    return [(Commit, "_intent", lambda *arguments: replace(original(*arguments), before={}))]


def _same_key() -> list[Patch]:
    original = Commit._intent  # noqa: SLF001

    def intent(self: Any, work: Any, write: Any, newest: int, now: float) -> Any:
        made = original(self, work, write, newest, now)
        work.key = f"link-{made.link}"
        return replace(made, idempotency_key=work.key)

    return [(Commit, "_intent", intent)]


def _doubt_is_failure() -> list[Patch]:
    def doubted(self: Any, work: Any, error: Exception) -> None:
        self.failed(work, error, Wait.FAILED, Bucket.FAILED)

    return [(Commit, "doubted", doubted)]


def _doubt_is_success() -> list[Patch]:
    return [(Recovery, "_holds", lambda *_: True), (Recovery, "_stayed", lambda *_: False)]


def _forgets_intents() -> list[Patch]:
    def add(self: Any, intents: Any) -> list[int]:
        return Journal_add(self, [replace(each, state=IntentState.CLOSED) for each in intents])

    Journal_add = Journal.add  # noqa: N806 - the method that is wrapped
    return [(Journal, "add", add)]


def _gets_do_not_count() -> list[Patch]:
    original = Evidence._stands  # noqa: SLF001

    def stands(self: Any, side: Side, work: Any, fresh: Any) -> bool:
        return bool(original(self, side, work, {key: each for key, each in fresh.items() if not isinstance(each, Record)}))

    return [(Evidence, "_stands", stands)]


def _no_margin() -> list[Patch]:
    return [(Context, "write", lambda self, side, changes: self.remotes[side].write(changes))]


def _kept_twice() -> list[Patch]:
    original = Journal.keep
    return [(Journal, "keep", lambda self, values: original(self, [*values, *values]))]


def _half_effect() -> list[Patch]:
    original = store_write

    def store(rule: Any, link: Any, write: Any, stored: Any) -> None:
        original(rule, link, replace(write, source=dict.fromkeys(write.source)) if write.op is Op.UPDATE else write, stored)

    return [(commit, "store_write", store)]


def _image_as_shown() -> list[Patch]:
    original = Commit._intent  # noqa: SLF001

    def intent(*arguments: Any) -> Any:
        made = original(*arguments)
        shown = {name: value.strip() if isinstance(value, str) else value for name, value in made.before.items()}
        return replace(made, before=shown)

    return [(Commit, "_intent", intent)]


def _short_is_enough() -> list[Patch]:
    original = Runs.set_full_at
    return [(Runs, "set_full_at", lambda self, number, side, at: original(self, number, side, at) if at is not None else None)]


MUTANTS: tuple[Mutant, ...] = (
    Mutant(name="sent_instead", rule="commit what came back, not what was sent", patches=_sent_instead),
    Mutant(name="single_base", rule="one shadow per side", patches=_single_base),
    Mutant(
        name="no_recovery", rule="open intents are resolved first",
        patches=lambda: [(Recovery, "resolve", _nothing)],
    ),
    Mutant(name="adopt_current", rule="recovery never takes the current value as base", patches=_adopt_current),
    Mutant(name="no_intent", rule="the intent is committed, and open, before the first byte leaves", patches=_forgets_intents),
    Mutant(name="early_cursor", rule="the cursor moves last", patches=_early_cursor),
    Mutant(
        name="absence_believed", rule="absence counts only in a complete listing, and is confirmed by id",
        patches=lambda: [*_always_complete(), *_absent_unconfirmed()],
    ),
    Mutant(name="believing", rule="a gone counts only from a healthy side (and the guards)", patches=_believing),
    Mutant(name="no_guards", rule="guards stop a run before its first write", patches=_no_guards),
    Mutant(name="first_hit", rule="several records with one key are ambiguous", patches=_first_hit),
    Mutant(
        name="no_probe", rule="a create is preceded by a probe for its key",
        patches=lambda: [(Evidence, "_without_twins", lambda _, __, works, ___: works)],
    ),
    Mutant(name="no_evidence", rule="evidence right before an unconditional write", patches=_gets_do_not_count),
    Mutant(
        name="no_attic", rule="the loser is kept before it is overwritten",
        patches=lambda: [(Commit, "_keep_losers", _nothing)],
    ),
    Mutant(name="blind_retry", rule="a create in doubt is never simply made again", patches=_blind_retry),
    Mutant(
        name="no_late_wait", rule="a request that timed out may land until the horizon has passed",
        patches=lambda: [(Recovery, "_late", lambda *_: True)],
    ),
    Mutant(name="adopt_in_doubt", rule="nothing is adopted while a create for its key is in doubt", patches=_adopting_in_doubt),
    Mutant(
        name="ours_unseen", rule="a record that appeared while a create was in doubt may be ours",
        patches=lambda: [(Unlinked, "_may_be_ours", lambda *_: False)],
    ),
    Mutant(
        name="never_park", rule="where nobody can tell whether a record is ours, a human decides",
        patches=lambda: [(Candidates, "perhaps_ours", lambda *_: [])],
    ),
    Mutant(name="delete_wins", rule="an edit survives a deletion, and a deleted edit is kept", patches=_delete_wins),
    Mutant(
        name="no_fence", rule="every commit is fenced by the lease",
        patches=lambda: [(Leases, "confirm", _nothing)],
    ),
    Mutant(
        name="pending_unread", rule="what is pending is read again in every run",
        patches=lambda: [(read, "_fetch_pending", _nothing)],
    ),
    Mutant(name="settled_too_soon", rule="a fingerprint is stored only once the record is settled", patches=_settled_too_soon),
    Mutant(name="same_key", rule="an idempotency key is used for one write only", patches=_same_key),
    Mutant(name="unconditional", rule="conditional writes carry what they expect", patches=_unconditional),
    Mutant(name="no_replay", rule="an idempotent create in doubt is replayed under its own key", patches=_no_replay),
    Mutant(
        name="held_forgotten", rule="a held record waits durably",
        patches=lambda: [(Settling, "hold", _nothing)],
    ),
    Mutant(name="gone_forgotten", rule="a gone record waits as well when its decision is put off", patches=_presence_only),
    Mutant(name="absent_unconfirmed", rule="absence from a listing is confirmed by id", patches=_absent_unconfirmed),
    Mutant(name="no_pre_image", rule="the before-image is in the journal before the overwrite", patches=_no_pre_image),
    Mutant(name="doubt_is_failure", rule="in doubt is not failed", patches=_doubt_is_failure),
    Mutant(name="doubt_is_success", rule="an update in doubt is proved by what the record holds", patches=_doubt_is_success),
    Mutant(
        name="no_noise", rule="what a system made of our write is no edit",
        patches=lambda: [
            (merge, "is_noise", lambda *_: False),
        ],
    ),
    Mutant(
        name="all_noise", rule="an edit right after our write is no noise",
        patches=lambda: [(merge, "is_noise", lambda rule, side, half, *_: rule.native(side) in half.unconfirmed)],
    ),
    Mutant(
        name="health_forgotten", rule="a record that could not be read waits",
        patches=lambda: [(Records, "unread", lambda *_: 0)],
    ),
    Mutant(
        name="reborn_unseen", rule="while a create is in doubt, what has its key may be new, though its id is not",
        patches=lambda: [(module, "is_another", lambda *_: False) for module in (linked, recover)]),
    *WORLDLY,
    Mutant(
        name="no_budget", rule="deletes add up over a day",
        patches=lambda: [(Journal, "deletes_since", lambda *_: 0)],
    ),
    Mutant(name="no_margin", rule="a write begins only while the lease will outlast it", patches=_no_margin),
    Mutant(name="kept_twice", rule="the attic keeps a value once", patches=_kept_twice),
    Mutant(name="half_effect", rule="what closes a write moves both shadows", patches=_half_effect),
    Mutant(name="image_as_shown", rule="the before-image is kept to the letter", patches=_image_as_shown),
    Mutant(
        name="short_is_enough", rule="a listing that did not come to its end accepts no config for what it left out",
        patches=_short_is_enough,
    ),
)  # fmt: skip
"""What is taken out, one at a time."""


def hunt(say: Callable[[str], None], *, most: int) -> int:
    """Hunt every mutant over so many seeds and say how many each needed; 1 if one survives."""
    survivors = []
    for mutant in MUTANTS:
        seed = mutant.hunt(most)
        if seed is None:
            survivors.append(mutant.name)
        told = f"noticed at seed {seed}" if seed is not None else f"SURVIVED {most} seeds"
        say(f"{mutant.name:20} {told:28} {mutant.rule}")
    say(f"{len(MUTANTS) - len(survivors)} of {len(MUTANTS)} noticed")
    return int(bool(survivors))
