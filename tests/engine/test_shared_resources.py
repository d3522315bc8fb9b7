"""Pairs that meet in one resource: what is in doubt for one is untouchable for the other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncengine.core.decision import AskKind
from syncengine.core.model import End, Policy, Side
from syncengine.errors import OutcomeUnknown
from syncengine.store.journal import IntentState
from syncengine.testing.memory import CallKind, Moment
from tests.support.engine import Bench, able, failing, filled, once, people_spec


def test_a_create_in_doubt_blocks_its_key_for_the_other_pair_on_the_resource() -> None:
    bench = Bench()
    bench.left.insert(email="ada@example.com", name="Ada")
    bench.left.insert(email="bob@example.com", name="Bob")
    other = bench.store.runs.pair("other").number
    bench.store.database.execute(
        "INSERT INTO intent (run, pair, side, op, idempotency_key, match_key, label, payload, before, source, whys, newest, state, "
        "sent_at) SELECT 1, ?, 'left', 'create', 'k', r.key, '', x'', x'', x'', '{}', 0, 'unknown', 0 "
        "FROM (SELECT ? AS key) r",
        (other, bench.context().rule.key(Side.LEFT, {"email": "ada@example.com"}, lambda *_: None)),
    )
    bench.sharing = {Side.RIGHT: [("other", Side.LEFT)]}

    report = bench.run()

    assert [row["name"] for row in bench.right.records().values()] == ["Bob"]
    assert report.pending == {"in_doubt": 1}
    bench.store.database.execute("UPDATE intent SET state='closed' WHERE pair=?", (other,))
    bench.run()
    assert sorted(str(row["name"]) for row in bench.right.records().values()) == ["Ada", "Bob"]


@pytest.mark.parametrize("is_theirs", [True, False])
def test_what_the_other_pair_wrote_is_not_what_the_system_made_of_a_write_in_doubt(is_theirs: bool) -> None:
    bench, left, right = filled("ada")
    bench.sharing = {Side.RIGHT: [("other", Side.LEFT)]}
    bench.left.edit(left["ada"], name="Countess")
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.AFTER, failing(OutcomeUnknown("no answer came")))
    (ours,) = bench.store.journal.of_run(bench.run().run)
    bench.clock.time += 3600
    bench.right.edit(right["ada"], name="Count")
    if is_theirs:
        other = bench.store.runs.pair("other").number
        payload = {"name": "Count"}
        theirs = replace(ours, pair=other, side=Side.LEFT, link=None, idempotency_key="theirs", payload=payload, source={})
        (number,) = bench.store.journal.add([theirs])
        bench.store.journal.close([(number, IntentState.DONE, bench.clock.time, right["ada"], None)])

    bench.settle()

    # "Count" may be all that a system kept of "Countess", unless somebody sent it as it is.
    assert [entry.ask.kind for entry in bench.inbox()] == [AskKind.CONFLICT] * is_theirs
    bench.assert_quiet()


def test_what_the_other_pair_wrote_over_ours_is_not_what_the_system_made_of_ours() -> None:
    """No answer told what became of "Countess", and "Count" may be all that is left of it; but somebody sent "Count" as it is."""
    bench, left, right = filled("ada", right=able(returns_record=False))
    third = End(system="one", resource="third")
    other = Bench(people_spec(name="other", left=third, conflicts=Policy.LEFT), beside=bench)
    bench.sharing = {Side.RIGHT: [("other", Side.RIGHT)]}
    other.sharing = {Side.RIGHT: [("people", Side.RIGHT)]}
    beyond = other.left.insert(email="ada@example.com", name="Ada", phone="1", tags=["x"])
    other.settle()
    bench.left.edit(left["ada"], name="Countess")
    bench.run()
    other.left.edit(beyond, name="Count")
    other.settle()
    assert bench.right[right["ada"]]["name"] == "Count"
    bench.settle()
    assert bench.left[left["ada"]]["name"] == "Count"
    bench.assert_quiet()
    other.assert_quiet()
