"""A CRM whose clock is a day off, or jumps: what changed is found by its own stamps, and ours say nothing about it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.records import DAY, Shop, people


@pytest.mark.parametrize("skew", [-DAY, DAY], ids=["a day behind", "a day ahead"])
def test_every_edit_is_found_by_incremental_runs_and_once(open_shop: Callable[..., Shop], skew: float) -> None:
    shop = open_shop(people())
    shop.skew = skew
    shop.sql("INSERT INTO people (email, first_name) VALUES ('ada@example.com', 'Ada')")
    shop.sync()
    shop.assert_quiet()
    for turn in range(3):
        shop.server.edit(shop.contact("ada@example.com")["id"], first_name=f"Ada {turn}")
        assert shop.sync()["people"].written == {"right.update": 1}
        shop.sql(f"UPDATE people SET last_name='L{turn}'")
        assert shop.sync()["people"].written == {"left.update": 1}
        shop.assert_quiet()
    assert shop.rows("first_name, last_name") == [("Ada 2", "L2")]


@pytest.mark.parametrize("jump", [-DAY, DAY], ids=["back", "ahead"])
def test_a_clock_that_jumps_between_two_runs_hides_no_edit_for_longer_than_a_sweep(
    open_shop: Callable[..., Shop], jump: float
) -> None:
    shop = open_shop(people())
    shop.sql("INSERT INTO people (email, first_name) VALUES ('ada@example.com', 'Ada'), ('bob@example.com', 'Bob')")
    shop.sync()
    shop.skew = jump
    shop.server.edit(shop.contact("ada@example.com")["id"], first_name="Edited")
    shop.sync()
    shop.sweep()
    assert shop.rows("first_name") == [("Edited",), ("Bob",)]
    shop.assert_quiet()


@pytest.mark.parametrize("skew", [-DAY, DAY], ids=["a day behind", "a day ahead"])
def test_a_lost_create_is_looked_for_after_its_time_by_our_clock(open_shop: Callable[..., Shop], skew: float) -> None:
    shop = open_shop(people())
    shop.skew = skew
    shop.server.fault("late", method="POST", path="/client_client/add$", seconds=55)
    shop.sql("INSERT INTO people (email, first_name) VALUES ('ada@example.com', 'Ada')")
    assert shop.run()["people"].pending == {"in_doubt": 1}
    shop.later(70)
    shop.sync()
    shop.sync()
    assert list(shop.contacts()) == ["ada@example.com"]
    shop.assert_quiet()
