"""The platform changes under us, or refuses a field or a record: only that is blocked (failure modes 16 and 18)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from syncengine.engine.report import Exit, RunReport
from syncengine.errors import ConfigError
from tests.support.records import CONTACTS, Shop, people

Open = Callable[..., Shop]
FIELDS = """
note = { left = "nickname", right = "note" }
level = { left = "level", right = "level" }
"""


def filled(open_shop: Open, **options: object) -> Shop:
    """Ada and Bob with a nickname and a level, in sync."""
    shop = open_shop(people(fields=FIELDS), **options)
    shop.server.add_field(CONTACTS, "Nickname", "text", name="nickname")
    shop.server.add_field(CONTACTS, "Level", "dropdown", name="level", options=["Gold", "Silver"])
    shop.sql(
        "INSERT INTO people (email, first_name, note, level) VALUES ('ada@example.com', 'Ada', 'A', 'Gold'), "
        "('bob@example.com', 'Bob', 'B', 'Silver')"
    )
    shop.sync()
    assert len(shop.server.records(CONTACTS)) == 2
    return shop


def assert_going_on(shop: Shop) -> RunReport:
    """First names still travel in both directions, and nothing was cleared on either side."""
    shop.sql("UPDATE people SET first_name='Robert' WHERE email='bob@example.com'")
    shop.server.edit(shop.contact("ada@example.com")["id"], first_name="Augusta")
    report = shop.run()["people"]
    assert not report.error, report.error
    assert shop.value("first_name", "ada@example.com") == "Augusta"
    assert shop.contact("bob@example.com")["first_name"] == "Robert"
    assert shop.rows("note, level") == [("A", "Gold"), ("B", "Silver")]
    return report


def test_a_field_removed_between_two_runs_blocks_only_itself(open_shop: Open) -> None:
    """The metadata no longer lists it: the run says so, clears nothing, and everything else goes on."""
    shop = filled(open_shop)
    shop.server.remove_field(CONTACTS, "nickname")
    report = assert_going_on(shop)
    assert any("nickname" in note for note in report.notes)
    shop.assert_quiet()


def test_a_field_removed_in_the_middle_of_a_run_clears_nothing(open_shop: Open) -> None:
    """It vanishes between our look at the metadata and our listing: no value is taken for cleared."""
    steps: list[Callable[[], None]] = []
    shop = filled(open_shop, between=lambda: steps.pop()() if steps else None)
    steps.append(lambda: shop.server.remove_field(CONTACTS, "nickname"))
    shop.server.fault("latency", method="POST", path="/search$")
    report = shop.run()["people"]
    assert not steps
    assert "nickname vanished" in report.error
    assert shop.rows("note, level") == [("A", "Gold"), ("B", "Silver")]
    assert_going_on(shop)
    shop.assert_quiet()


def test_a_renamed_field_blocks_only_itself(open_shop: Open) -> None:
    """Its api_name changed: it counts as gone until the mapping follows, and then nothing needs to be written."""
    shop = filled(open_shop)
    shop.server.change_field(CONTACTS, "nickname", name="pet_name")
    assert_going_on(shop)
    shop.configure(people(fields=FIELDS.replace('"nickname"', '"pet_name"')))
    shop.sync()
    assert shop.rows("note, level") == [("A", "Gold"), ("B", "Silver")]
    shop.assert_quiet()


def test_a_field_made_read_only_blocks_only_its_own_way_there(open_shop: Open) -> None:
    """It can't be written any more: edits of it here stay here, the others travel, and its own edits still come over."""
    shop = filled(open_shop)
    shop.server.change_field(CONTACTS, "nickname", read_only=True)
    assert_going_on(shop)
    shop.sql("UPDATE people SET note='ours', last_name='King' WHERE email='ada@example.com'")
    shop.run()
    now = shop.contact("ada@example.com")
    assert (now["nickname"], now["last_name"]) == ("A", "King")
    shop.server.edit(shop.contact("bob@example.com")["id"], nickname="Bobby")
    shop.run()
    assert shop.value("note", "bob@example.com") == "Bobby"
    assert shop.value("note", "ada@example.com") == "ours"
    shop.assert_quiet()


@pytest.mark.parametrize("refusal", ["403", "403_detail", "400"])
def test_a_field_that_this_user_may_not_write_is_named(open_shop: Open, refusal: str) -> None:
    """The metadata says nothing, the write is refused: that record is parked with the field's name, others go on."""
    steps: list[Callable[[], object]] = []
    shop = filled(open_shop, switches={"field_refusal": refusal}, between=lambda: steps.pop()() if steps else None)
    steps.append(lambda: shop.server.change_field(CONTACTS, "nickname", editable=False))
    shop.server.fault("latency", method="PATCH")
    shop.sql(
        "UPDATE people SET note='ours' WHERE email='ada@example.com'",
        "UPDATE people SET first_name='Robert' WHERE first_name='Bob'",
    )
    report = shop.run()["people"]
    assert not steps
    assert report.exit is Exit.PARTIAL
    assert report.quarantined == 2  # the contact and its row
    assert refusal == "403_detail" or "nickname" in report.failed[0]
    assert shop.contact("bob@example.com")["first_name"] == "Robert"
    assert shop.contact("ada@example.com")["nickname"] == "A"
    assert shop.value("note", "ada@example.com") == "ours"
    shop.run()
    assert [one for one in shop.writes() if one.changed] == []


def test_an_option_removed_blocks_only_its_records(open_shop: Open) -> None:
    """Gold is no option any more: whoever is to get it is parked with the reason, the others go on, nothing is blanked."""
    shop = filled(open_shop)
    shop.server.remove_option(CONTACTS, "level", "Gold")
    shop.sql(
        "UPDATE people SET level='Gold' WHERE email='bob@example.com'",
        "UPDATE people SET first_name='Augusta' WHERE first_name='Ada'",
    )
    report = shop.run()["people"]
    assert report.exit is Exit.PARTIAL
    assert shop.contact("ada@example.com")["first_name"] == "Augusta"
    assert shop.contact("bob@example.com")["level"] == "Silver"
    assert shop.value("level", "bob@example.com") == "Gold"


def test_an_option_renamed_is_no_loss(open_shop: Open) -> None:
    """The platform renames Gold to Premium by adding and removing: what records show is what comes over."""
    shop = filled(open_shop)
    shop.server.add_option(CONTACTS, "level", "Premium")
    shop.server.edit(shop.contact("ada@example.com")["id"], level="Premium")
    shop.server.remove_option(CONTACTS, "level", "Gold")
    shop.sync()
    assert shop.value("level", "ada@example.com") == "Premium"
    shop.assert_quiet()


def test_the_match_field_removed_stops_the_pair_with_the_reason(open_shop: Open) -> None:
    """Without the key nothing can be told apart: the run stops before any write, with the field named."""
    pair = (
        people()
        .replace('match = "email"', 'match = "note"')
        .replace("[pairs.people.fields]", '[pairs.people.fields]\nnote = { left = "code", right = "note" }')
    )
    shop = open_shop(pair)
    shop.server.add_field(CONTACTS, "Code", "text", name="code")
    shop.server.add_record(CONTACTS, email="ada@example.com", code="1")
    shop.sync()
    shop.server.remove_field(CONTACTS, "code")
    with pytest.raises(ConfigError, match="code"):
        shop.run()
    assert len(shop.rows("*")) == 1


def test_one_refused_record_does_not_hold_up_the_others(open_shop: Open) -> None:
    """One of forty has a phone number that the platform refuses: 39 arrive, one is parked with its words, and stays parked."""
    shop = open_shop(people())
    values = ", ".join(f"('p{n:02}@example.com', 'P', '{'12' if n == 7 else '+1212555' + str(1000 + n)}')" for n in range(40))
    shop.sql(f"INSERT INTO people (email, first_name, phone) VALUES {values}")
    report = shop.run()["people"]
    assert report.exit is Exit.PARTIAL
    assert report.quarantined == 1
    assert len(report.failed) == 1
    assert "p07@example.com" in report.failed[0]
    assert "mobile_phone" in report.failed[0]
    assert len(shop.server.records(CONTACTS)) == 39
    assert shop.run()["people"].exit is Exit.PARTIAL
    assert shop.writes() == []
    shop.sql("UPDATE people SET phone='+12125551007' WHERE email='p07@example.com'")
    assert shop.sync()["people"].exit is Exit.DONE
    assert len(shop.server.records(CONTACTS)) == 40
    shop.assert_quiet()


def test_a_record_that_this_user_may_only_look_at_is_parked(open_shop: Open) -> None:
    """403 for one record: its edit waits with the reason, nothing else is touched."""
    shop = filled(open_shop)
    shop.server.permit(shop.contact("ada@example.com")["id"], editable=False)
    shop.sql("UPDATE people SET first_name = first_name || '!'")
    report = shop.run()["people"]
    assert report.exit is Exit.PARTIAL
    assert [one["first_name"] for one in shop.server.records(CONTACTS)] in (["Ada", "Bob!"], ["Bob!", "Ada"])
    assert [name for (name,) in shop.rows("first_name")] == ["Ada!", "Bob!"]
    shop.server.permit(shop.contact("ada@example.com")["id"])
    with shop.app() as app:
        app.desk.release([entry.id for entry in app.desk.quarantine()])
    shop.sync()
    assert shop.contact("ada@example.com")["first_name"] == "Ada!"
    shop.assert_quiet()


@pytest.mark.parametrize("status", [409, 400])
def test_a_record_that_is_being_archived_just_now_waits_for_the_next_run(open_shop: Open, status: int) -> None:
    """A conflict with somebody else's archive (C6) is no failure of the values: it is decided again."""
    shop = filled(open_shop, switches={"archive_race": status})
    shop.server.fault("conflict", method="PATCH", times=1)
    shop.sql("UPDATE people SET first_name='Augusta' WHERE first_name='Ada'")
    shop.sync()
    shop.sync()
    assert shop.contact("ada@example.com")["first_name"] == "Augusta"
    shop.assert_quiet()


class Vanishing:
    """Ada and Bob in sync; once armed, the nickname is removed while the next call of a kind is under way, metadata long read."""

    def __init__(self, open_shop: Open, **switches: object) -> None:
        self.steps: list[Callable[[], None]] = []
        self.shop = filled(open_shop, switches=switches, between=lambda: self.steps.pop()() if self.steps else None)

    def arm(self, method: str, path: str) -> None:
        self.steps.append(lambda: self.shop.server.remove_field(CONTACTS, "nickname"))
        self.shop.server.fault("latency", method=method, path=path)

    def assert_nothing_cleared(self, notes: str = "AB") -> None:
        """Nothing is cleared, in this run and later ones; from the next run on the nickname is drift and nothing else."""
        assert not self.steps
        for _ in range(3):
            assert self.shop.rows("note, level") == [(notes[0], "Gold"), (notes[1], "Silver")]
            self.shop.sync()
        self.shop.assert_quiet()


@pytest.mark.parametrize("blanks", ["omit", "include"])
def test_a_field_removed_before_a_read_by_id_clears_nothing(open_shop: Open, blanks: str) -> None:
    """It vanishes between the listing and the read right before a write, which leaves it out like a blank."""
    vanishing = Vanishing(open_shop, get_blanks=blanks, search_blanks=blanks)
    shop = vanishing.shop
    vanishing.arm("GET", "/records/client_client/")
    shop.sql("UPDATE people SET first_name='Augusta' WHERE first_name='Ada'")
    report = shop.run()["people"]
    assert not report.error, report.error
    assert shop.contact("ada@example.com")["first_name"] == "Augusta"
    vanishing.assert_nothing_cleared()


def test_a_field_removed_before_our_own_write_of_it_clears_nothing(open_shop: Open) -> None:
    """The record is read, then the field goes, then we write it: refused, and our side keeps what it has."""
    vanishing = Vanishing(open_shop)
    vanishing.arm("PATCH", "/records/client_client/")
    vanishing.shop.sql("UPDATE people SET note='X' WHERE first_name='Ada'")
    vanishing.shop.run()
    vanishing.assert_nothing_cleared("XB")


def test_a_field_removed_before_records_in_doubt_are_read_clears_nothing(open_shop: Open) -> None:
    """Records whose last write was never answered are read by id at the start of a run."""
    vanishing = Vanishing(open_shop)
    shop = vanishing.shop
    shop.server.fault("reset", method="PATCH", committed=True, times=None)
    shop.sql("UPDATE people SET first_name = first_name || '!'")
    shop.run()
    shop.server.calm()
    shop.later(70)
    vanishing.arm("GET", "/records/client_client/")
    shop.run()
    vanishing.assert_nothing_cleared()


def test_a_blank_that_is_one_still_travels(open_shop: Open) -> None:
    """A person clears a nickname: the answers leave it out just the same, the metadata still has it, and our side is cleared."""
    shop = filled(open_shop, switches={"search_blanks": "omit"})
    for one in shop.server.records(CONTACTS):
        shop.server.edit(one["id"], nickname=None)
    shop.sync()
    assert shop.rows("note, level") == [(None, "Gold"), (None, "Silver")]
    shop.assert_quiet()
