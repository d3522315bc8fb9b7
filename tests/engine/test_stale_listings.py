"""A listing that lags behind, after a deletion: what is gone stays gone (failure mode 7)."""

from __future__ import annotations

import pytest

from syncengine.core.model import Deletes, Side
from tests.support.engine import Bench, able, people_spec


@pytest.mark.parametrize("told", [True, False], ids=["told in the feed", "not told"])
@pytest.mark.parametrize("sweep", [True, False], ids=["whole listing", "incremental"])
def test_a_deleted_record_that_a_stale_listing_still_shows_does_not_come_back(sweep: bool, told: bool) -> None:
    """A person deletes on the right, we delete on the left, and the left goes on listing the record for minutes."""
    can = able(lag=500.0, reports_deletions=told)
    bench = Bench(people_spec(deletes=Deletes.PROPAGATE), left_options=can)
    ada, *_ = (bench.left.insert(email=f"{name}@example.com", name=name) for name in ("ada", "bob", "cyd", "dan"))
    bench.clock.time += 1000
    bench.sync()
    bench.sync(sweep=True)
    bench.right.remove(str(bench.other(Side.LEFT, ada)))
    bench.sync(sweep=True)
    assert ada not in bench.left
    made = bench.creates(Side.LEFT), bench.creates(Side.RIGHT)
    for _ in range(4):
        bench.sync(sweep=sweep)
        assert (bench.creates(Side.LEFT), bench.creates(Side.RIGHT)) == made
    bench.clock.time += 1000
    bench.sync(sweep=True)
    assert (bench.creates(Side.LEFT), bench.creates(Side.RIGHT)) == made
    assert len(bench.left) == len(bench.right) == 3
    bench.assert_quiet()
