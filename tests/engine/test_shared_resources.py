"""Pairs that meet in one resource: what is in doubt for one is untouchable for the other."""

from __future__ import annotations

from syncengine.core.model import Side
from tests.support.engine import Bench


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
