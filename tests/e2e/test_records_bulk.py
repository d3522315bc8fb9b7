"""Many alike changes in one call: bulk archive and bulk change of one value, counted and proved at the CRM's side."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from syncengine.engine.report import Exit
from tests.support.records import COMPANIES, CONTACTS, Shop, firms, people

Open = Callable[..., Shop]
POLICIES = 'deletes = "propagate"\nguards = { deletes = "100%", updates = "100%" }'
SAME = "UPDATE people SET last_name='Same'"
FIFTEEN_GO = "DELETE FROM people WHERE email < 'p15'"
NUMBER = 20


def filled(open_shop: Open, number: int = NUMBER, **options: object) -> Shop:
    """People in sync, all of whom know their first name."""
    shop = open_shop(people(POLICIES), **options)
    shop.sql(*(f"INSERT INTO people (email, first_name) VALUES ('p{n:02}@example.com', 'P{n:02}')" for n in range(number)))
    shop.sync()
    return shop


def called(shop: Shop) -> list[str]:
    """What the latest run asked for, the reads right before the writes left out."""
    return [one.action for one in shop.server.requests.select(after=shop.mark)]


def last_names(shop: Shop) -> list[str | None]:
    return sorted(str(one.get("last_name")) for one in shop.server.records(CONTACTS))


def expected(change: str) -> list[str]:
    """The last names in the CRM once a change of the office has arrived."""
    return ["None"] * 5 if change == FIFTEEN_GO else ["Same"] * NUMBER


def test_archives_share_a_call(open_shop: Open) -> None:
    """Twenty rows go: one bulk call, and three to prove it; no DELETE at all."""
    shop = filled(open_shop)
    shop.sql("DELETE FROM people WHERE email < 'p12'")
    report = shop.sync()["people"]
    assert report.written == {"left.archive": 12}
    assert shop.actions(None) == ["bulk_archive"]
    assert called(shop).count("jobs") == 2
    assert called(shop).count("get") == 12 + 1
    assert len(shop.server.records(CONTACTS)) == NUMBER - 12
    shop.assert_quiet()


def test_one_value_for_many_shares_a_call(open_shop: Open) -> None:
    """Twenty rows get the same last name: one bulk call; somebody with another change is written singly."""
    shop = filled(open_shop)
    shop.sql(SAME, "UPDATE people SET first_name='Other' WHERE email='p03@example.com'")
    report = shop.sync()["people"]
    assert report.written == {"left.update": NUMBER}
    assert sorted(shop.actions(None)) == ["bulk_change", "patch"]
    assert last_names(shop) == ["Same"] * NUMBER
    shop.assert_quiet()


@pytest.mark.parametrize("number", [1, 7])
def test_few_go_one_by_one(open_shop: Open, number: int) -> None:
    """Where the proof would cost as many calls as the writes."""
    shop = filled(open_shop)
    shop.sql(f"DELETE FROM people WHERE email < 'p{number:02}'")
    shop.sync()
    assert shop.actions(None) == ["delete"] * number
    shop.assert_quiet()


def test_objects_have_it_too(open_shop: Open) -> None:
    shop = open_shop(firms(fields='city = "city"'))
    shop.server.add_field(COMPANIES, "City", "text", name="city")
    shop.sql(*(f"INSERT INTO firms (name, city) VALUES ('Firm {n}', 'Bonn')" for n in range(10)))
    shop.sync()
    shop.sql("UPDATE firms SET city='Berlin'")
    shop.sync()
    assert shop.actions(None) == ["bulk_change"]
    assert {one["city"] for one in shop.server.records(COMPANIES)} == {"Berlin"}
    shop.assert_quiet()


def test_a_job_that_takes_its_time_is_waited_for(open_shop: Open) -> None:
    """Five seconds instead of two: one look more each two seconds, and proved all the same."""
    shop = filled(open_shop, switches={"bulk_delay": 5.0})
    shop.sql(SAME)
    assert shop.sync()["people"].exit is Exit.DONE
    assert called(shop).count("jobs") == 1 + 3
    assert last_names(shop) == ["Same"] * NUMBER
    shop.assert_quiet()


@pytest.mark.parametrize("delay", [30.0, 3000.0])
@pytest.mark.parametrize("change", [SAME, FIFTEEN_GO])
def test_a_job_that_nobody_sees_done_is_in_doubt(open_shop: Open, change: str, delay: float) -> None:
    """Eight seconds are not enough: every record is in doubt, nothing is written again meanwhile, and in the end all is as it should be."""
    shop = filled(open_shop, switches={"bulk_delay": delay})
    shop.sql(change)
    report = shop.sync()["people"]
    assert report.exit is Exit.PARTIAL
    assert not report.written
    for _ in range(3):
        shop.later(70)
        shop.sync()
        assert "bulk_" not in " ".join(shop.actions(None))
    shop.later(delay)
    shop.sync()
    assert last_names(shop) == expected(change)
    shop.assert_quiet()


def test_one_bad_record_among_them_gets_its_own_reason(open_shop: Open) -> None:
    """One of twenty may not be written: the job fails for it alone; it is tried singly, and parked with what the platform says."""
    shop = filled(open_shop)
    locked = shop.contact("p05@example.com")["id"]
    shop.server.permit(locked, editable=False)
    shop.sql(SAME)
    report = shop.run()["people"]
    assert report.exit is Exit.PARTIAL
    assert len(report.failed) == 1
    assert "p05@example.com" in report.failed[0]
    assert shop.actions(None) == ["bulk_change", "patch"]
    assert last_names(shop) == ["None", *["Same"] * (NUMBER - 1)]
    shop.server.permit(locked)
    with shop.app() as app:
        app.desk.release([entry.id for entry in app.desk.quarantine()])
    shop.sync()
    assert last_names(shop) == ["Same"] * NUMBER
    shop.assert_quiet()


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("change", [SAME, FIFTEEN_GO])
def test_a_lost_answer_is_looked_up(open_shop: Open, change: str, committed: bool) -> None:
    """The connection breaks around the bulk call: nothing is sent again until it is known what became of it."""
    shop = filled(open_shop)
    shop.server.fault("reset", path="/bulk-(change|archive)", committed=committed)
    shop.sql(change)
    assert shop.sync()["people"].exit is Exit.PARTIAL
    assert len(shop.writes(None)) == 1
    for _ in range(3):
        shop.later(70)
        shop.sync()
    assert last_names(shop) == expected(change)
    assert sum(one.action == "bulk_archive" for one in shop.server.requests) <= 2
    shop.assert_quiet()


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("change", [SAME, FIFTEEN_GO])
def test_a_process_that_dies_around_it_loses_and_repeats_nothing(open_shop: Open, change: str, after: bool) -> None:
    shop = filled(open_shop)
    shop.sql(change)
    shop.die(after=after)
    shop.later(600)  # as long as the lease of the dead
    for _ in range(3):
        shop.sync()
    assert last_names(shop) == expected(change)
    assert len(shop.rows("*")) == len(expected(change))
    shop.assert_quiet()


@pytest.mark.parametrize("path", ["/bulk-action-progress$", "/bulk-(change|archive)"])
@pytest.mark.parametrize("status", [403, 404])
def test_where_the_platform_refuses_it_all_go_one_by_one(open_shop: Open, path: str, status: int) -> None:
    """A user who may not see the jobs, or start them: nothing is lost but the saving, and it is tried once a session."""
    shop = filled(open_shop, 40)
    shop.server.fault("error", path=path, status=status, times=None)
    shop.sql(SAME)
    assert shop.sync()["people"].exit is Exit.DONE
    assert [one for one in shop.actions(None) if one == "patch"] == ["patch"] * 40
    assert called(shop).count("jobs") == 1
    assert last_names(shop) == ["Same"] * 40
    shop.server.calm()
    shop.assert_quiet()


def test_an_edit_right_after_the_job_is_not_written_over(open_shop: Open) -> None:
    """A person writes another last name before the job is proved: it stays, both values are asked about, the others are done."""
    shop = filled(open_shop)
    sleep = shop.clock.sleep

    def sleeping(seconds: float) -> None:
        sleep(seconds)
        shop.server.settle()
        edited = shop.contact("p19@example.com")
        if edited.get("last_name") == "Same":
            shop.server.edit(edited["id"], last_name="Person")

    shop.clock.sleep = sleeping  # type: ignore[method-assign]
    shop.sql(SAME)
    assert shop.run()["people"].written == {"left.update": NUMBER - 1}
    shop.later(70)
    shop.sync()
    assert shop.contact("p19@example.com")["last_name"] == "Person"
    assert shop.value("last_name", "p19@example.com") == "Same"
    assert [(entry.label, entry.field) for entry in shop.inbox()] == [("p19@example.com", "last_name")]
    assert last_names(shop) == ["Person", *["Same"] * (NUMBER - 1)]
    shop.assert_quiet()


def test_an_edit_before_the_job_counts_as_in_any_other_write(open_shop: Open) -> None:
    """What the read right before finds is merged, not overwritten: that record is left out of the bulk call."""
    shop = filled(open_shop)
    shop.server.edit(shop.contact("p07@example.com")["id"], last_name="Person")
    shop.sql(SAME)
    shop.sync()
    assert shop.contact("p07@example.com")["last_name"] == "Person"
    assert [(entry.label, entry.field) for entry in shop.inbox()] == [("p07@example.com", "last_name")]
    assert shop.actions(None) == ["bulk_change"]
    shop.assert_quiet()
