"""A write whose answer is lost, and a process that dies around a write: nothing twice, nothing lost (failure modes 2 and 3)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from syncengine.engine.report import Exit
from tests.support.records import COMPANIES, CONTACTS, Shop, firms, people

Open = Callable[..., Shop]
ADA = "INSERT INTO people (email, first_name) VALUES ('ada@example.com', 'Ada')"
ACME = "INSERT INTO firms (name) VALUES ('Acme')"
LOSSES = {
    "before": {"kind": "reset", "committed": False},
    "after": {"kind": "reset", "committed": True},
    "truncated": {"kind": "truncate"},
    "garbled": {"kind": "garbage"},
    "late": {"kind": "late", "seconds": 40},
    "gateway": {"kind": "html", "status": 502, "committed": True},
}
"""What may become of a request: all that the caller sees is that no answer came."""

_APPLIED = {"before": False, "after": True, "truncated": True, "garbled": True, "late": False, "gateway": True}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_contact_whose_create_was_not_answered_exists_once(open_shop: Open, loss: str) -> None:
    """Nothing is created again before it is certain whether the first request arrived; then exactly one contact exists."""
    shop = open_shop(people())
    shop.sql(ADA)
    shop.server.fault(method="POST", path="/client_client/add$", **LOSSES[loss])
    first = shop.run()["people"]
    assert first.exit is Exit.PARTIAL
    assert len(shop.server.records(CONTACTS)) == _APPLIED[loss]
    shop.run()
    if shop.clock.now() < first.started_at.timestamp() + 60:
        assert shop.actions() == []
    shop.later(70)
    shop.sync()
    assert shop.actions() == (["add"] if loss == "before" else [])
    assert [one["first_name"] for one in shop.server.records(CONTACTS)] == ["Ada"]
    shop.assert_quiet()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_company_whose_create_was_not_answered_exists_once(open_shop: Open, loss: str) -> None:
    """The same where the platform does not refuse a second one of the same name."""
    shop = open_shop(firms())
    shop.sql(ACME)
    shop.server.fault(method="POST", path="/companies_company/upsert$", **LOSSES[loss])
    assert shop.run()["firms"].exit is Exit.PARTIAL
    shop.run()
    shop.later(70)
    shop.sync()
    assert shop.actions(COMPANIES) == (["upsert"] if loss == "before" else [])
    assert [one["name"] for one in shop.server.records(COMPANIES)] == ["Acme"]
    shop.assert_quiet()


def test_nothing_is_created_again_while_the_first_request_may_still_arrive(open_shop: Open) -> None:
    """Ten seconds after the lost answer nobody can know: the record waits, and neither side gets a second one."""
    shop = open_shop(people())
    shop.sql(ADA)
    shop.server.fault("late", method="POST", path="/client_client/add$", seconds=55)
    shop.run()
    for _ in range(2):
        shop.clock.time -= 55  # a run is a minute after the one before; here it comes after five seconds
        shop.run()
        assert shop.actions() == []
    shop.later(70)
    shop.sync()
    assert shop.actions() == []
    assert len(shop.server.records(CONTACTS)) == len(shop.rows("*")) == 1
    shop.assert_quiet()


def test_a_person_edits_what_a_lost_create_made(open_shop: Open) -> None:
    """
    The contact exists, its answer was lost, and somebody edits it before we look. Whether we made it or they did can't be told:
    what differs is asked, what is blank is filled, and nothing is overwritten.
    """
    shop = open_shop(people())
    shop.sql(ADA)
    shop.server.fault("reset", method="POST", path="/client_client/add$", committed=True)
    shop.run()
    shop.server.edit(shop.contact("ada@example.com")["id"], first_name="Augusta", last_name="King")
    shop.later(70)
    shop.sync()
    assert shop.actions() == []
    assert shop.rows("first_name, last_name") == [("Ada", "King")]
    assert [(entry.field, entry.left, entry.right) for entry in shop.inbox()] == [("first_name", "Augusta", "Ada")]
    shop.assert_quiet()
    shop.resolve("left")
    shop.sync()
    assert shop.actions() == []
    assert shop.rows("first_name, last_name") == [("Augusta", "King")]
    shop.assert_quiet()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_lost_answer_to_an_update_or_an_archive_is_looked_up(open_shop: Open, loss: str, method: str) -> None:
    """It is read by id and repeated only if it did not arrive; at the end both sides agree."""
    shop = open_shop(people('deletes = "propagate"'))
    shop.sql(ADA, "INSERT INTO people (email, first_name) VALUES ('bob@example.com', 'Bob')")
    shop.sync()
    shop.sql(
        "UPDATE people SET first_name='Augusta' WHERE first_name='Ada'"
        if method == "PATCH"
        else "DELETE FROM people WHERE first_name='Ada'"
    )
    shop.server.fault(method=method, path="/records/client_client/", **LOSSES[loss])
    shop.run()
    shop.run()
    shop.later(70)
    shop.sync()
    names = sorted(one["first_name"] for one in shop.server.records(CONTACTS))
    assert names == (["Augusta", "Bob"] if method == "PATCH" else ["Bob"])
    assert sorted(name for (name,) in shop.rows("first_name")) == names
    applied = [one for one in shop.server.requests.writes(CONTACTS) if one.changed and one.method == method]
    assert len(applied) == (0 if loss == "late" else 1)  # the log can't know yet what a late request will do
    shop.assert_quiet()


def test_an_edit_after_a_lost_update_survives(open_shop: Open) -> None:
    """Our update arrived unseen, then a person changed the field again: theirs is the newer and comes over."""
    shop = open_shop(people())
    shop.sql(ADA)
    shop.sync()
    shop.sql("UPDATE people SET first_name='Augusta'")
    shop.server.fault("reset", method="PATCH", committed=True)
    shop.run()
    shop.server.edit(shop.contact("ada@example.com")["id"], first_name="Lovelace")
    shop.later(70)
    shop.sync()
    # Nobody can tell whether the person saw our value: both are kept until somebody decides.
    if shop.inbox():
        assert {entry.field for entry in shop.inbox()} == {"first_name"}
        shop.resolve("left")
        shop.sync()
    assert shop.rows("first_name") == [("Lovelace",)]
    assert shop.contact("ada@example.com")["first_name"] == "Lovelace"
    shop.assert_quiet()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("work", ["create", "update", "archive", "row"])
def test_a_process_that_dies_around_a_write_leaves_nothing_twice(open_shop: Open, work: str, after: bool) -> None:
    """Killed right before or right after the far side acted: the next runs end where a run without the crash would have."""
    shop = open_shop(people('deletes = "propagate"'))
    shop.sql("INSERT INTO people (email, first_name) VALUES ('bob@example.com', 'Bob'), ('eve@example.com', 'Eve')")
    shop.sync()
    match work:
        case "create":
            shop.sql(ADA)
        case "update":
            shop.sql("UPDATE people SET first_name='Robert' WHERE first_name='Bob'")
        case "archive":
            shop.sql("DELETE FROM people WHERE first_name='Bob'")
        case "row":
            shop.server.add_record(CONTACTS, email="cyd@example.com", first_name="Cyd")
    before = shop.server.requests.total
    shop.die(after=after)
    shop.later(500)  # in this test the dead process lives on, so its lease has to end by itself
    shop.run()
    shop.sync()
    names = {one["first_name"] for one in shop.server.records(CONTACTS)}
    expected = {
        "create": {"Ada", "Bob", "Eve"},
        "update": {"Robert", "Eve"},
        "archive": {"Eve"},
        "row": {"Bob", "Cyd", "Eve"},
    }[work]
    assert names == expected
    assert {name for (name,) in shop.rows("first_name")} == expected
    assert len(shop.server.records(CONTACTS)) == len(shop.rows("*")) == len(expected)
    assert sum(one.changed for one in shop.server.requests.writes(CONTACTS, after=before)) == (0 if work == "row" else 1)
    shop.assert_quiet()
