"""Creates, updates, archives and restores: what is called, what comes back, and what a refusal is taken for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from connectors.kizen.encoding import Entry
from connectors.kizen.metadata import FieldInfo, Kind
from connectors.kizen.refusals import Doing, error_of, parse
from syncengine.connector import Create, Delete, Failed, Identify, Record, Tombstone
from syncengine.errors import (
    AlreadyExists,
    AuthError,
    NotFound,
    OutcomeUnknown,
    ProtocolError,
    Rejected,
    TransientError,
    VersionConflict,
)
from syncengine.http import Effect, Reply
from tests.connectors.kizen.crm import COMPANIES, CONTACTS, DEALS, THINGS, Crm, archive, create, restore, update

NOWHERE = "00000000-0000-4000-8000-000000000000"


# Create


@pytest.mark.parametrize("status", [201, 200])
@pytest.mark.parametrize("by_name", ["refused", "allowed"])
def test_a_contact_is_added_by_field_ids_after_a_look(start: Callable[..., Crm], status: int, by_name: str) -> None:
    crm = start(switches={"add_status": status, "contact_add_by_name": by_name})
    crm.kizen.resources()[CONTACTS]
    mark = crm.mark
    made = crm.written(CONTACTS, create(email="ada@example.com", first_name="Ada"))
    assert crm.actions(mark) == ["lookup", "add"]
    assert made.record == {"email": "ada@example.com", "first_name": "Ada"}
    assert not made.met
    assert crm.server.record(made.id)["email"] == "ada@example.com"


def test_an_object_is_upserted_by_name_after_a_look(crm: Crm) -> None:
    crm.kizen.resources()[THINGS]
    mark = crm.mark
    made = crm.written(THINGS, create(name="Box", line="x"))
    assert crm.actions(mark) == ["lookup", "upsert"]
    assert not made.met


@pytest.mark.parametrize("resource", [CONTACTS, COMPANIES])
@pytest.mark.parametrize("lookup", ["normalized", "exact"])
@pytest.mark.parametrize("unique", [True, False])
def test_a_create_never_makes_a_twin(start: Callable[..., Crm], resource: str, lookup: str, unique: bool) -> None:
    crm = start(switches={"lookup_mode": lookup, "enforce_unique_names": unique})
    key = "email" if resource == CONTACTS else "name"
    there = crm.server.add_record(resource, {key: "Ada@example.com"})
    same = crm.error(resource, create(**{key: "Ada@example.com"}))
    assert isinstance(same, AlreadyExists)
    assert (same.id, same.field) == (there, key)
    outcome = crm.outcome(resource, create(**{key: "ADA@example.com"}))
    if isinstance(outcome, Failed):
        assert isinstance(outcome.error, AlreadyExists)
    else:
        assert (outcome.id, outcome.met) == (there, True)
    assert len(crm.server.records(resource)) == 1


def test_a_twin_that_comes_between_the_look_and_the_write_is_met_and_not_doubled(start: Callable[..., Crm]) -> None:
    for resource, key in ((CONTACTS, "email"), (COMPANIES, "name")):
        crm = start()
        crm.kizen.resources()[resource]
        look = crm.kizen._open().api.lookup

        def race(*given: Any, _crm: Crm = crm, _look: Any = look, _of: tuple[str, str] = (resource, key)) -> Reply:
            reply = _look(*given)
            if not _crm.server.records(_of[0]):
                _crm.server.add_record(_of[0], {_of[1]: "ada@example.com"})
            return reply

        crm.kizen._open().api.lookup = race
        outcome = crm.outcome(resource, create(**{key: "ada@example.com"}))
        (there,) = crm.server.records(resource)
        if isinstance(outcome, Failed):
            assert isinstance(outcome.error, AlreadyExists)
            assert outcome.error.id == there["id"]
        else:
            assert (outcome.id, outcome.met) == (there["id"], True)


@pytest.mark.parametrize("by_name", ["refused", "allowed"])
def test_an_upsert_meets_the_record_that_is_there(start: Callable[..., Crm], by_name: str) -> None:
    crm = start(switches={"contact_upsert_by_name": by_name})
    for resource, key in ((CONTACTS, "email"), (COMPANIES, "name")):
        there = crm.server.add_record(resource, {key: "ada@example.com"})
        met = crm.written(resource, create(upsert_on=key, **{key: "ada@example.com"}))
        assert (met.id, met.met) == (there, True)
        made = crm.written(resource, create(upsert_on=key, **{key: "bo@example.com"}))
        assert not made.met
        assert len(crm.server.records(resource)) == 2


def test_contacts_without_email_are_added_and_objects_without_name_refused(crm: Crm) -> None:
    first = crm.written(CONTACTS, create(first_name="Ada"))
    assert crm.written(CONTACTS, create(first_name="Ada")).id != first.id
    for fields in ({}, {"name": ""}, {"name": None}, {"line": "x"}):
        error = crm.error(THINGS, Create(key="k", fields=fields))
        assert isinstance(error, Rejected)
        assert error.field == "name"


def test_a_record_that_this_user_may_not_see_is_no_absence(crm: Crm) -> None:
    hidden = crm.server.add_record(COMPANIES, name="Acme")
    crm.server.permit(hidden, visible=False)
    error = crm.error(COMPANIES, create(name="Acme"))
    assert isinstance(error, Rejected)
    assert not isinstance(error, AlreadyExists)
    assert crm.server.requests.writes() == []


# Archived twins


@pytest.mark.parametrize("positional", ["coded", "plain"])
def test_an_archived_twin_is_asked_about(start: Callable[..., Crm], positional: str) -> None:
    crm = start({"on_archived": "ask"}, switches={"positional_errors": positional})
    for resource, key in ((CONTACTS, "email"), (COMPANIES, "name")):
        there = crm.server.add_record(resource, {key: "ada@example.com"})
        crm.server.archive(there)
        error = crm.error(resource, create(**{key: "ada@example.com"}))
        assert isinstance(error, Rejected)
        assert error.field == key
        assert "on_archived" in str(error)
        assert crm.server.records(resource) == []


@pytest.mark.parametrize("values", ["fill_blank", "overwrite", "ignore"])
@pytest.mark.parametrize("resource", [CONTACTS, COMPANIES])
def test_an_archived_twin_is_brought_back_with_our_values_in_force(start: Callable[..., Crm], values: str, resource: str) -> None:
    crm = start({"on_archived": "unarchive"}, switches={"unarchive_values": values})
    key, other = ("email", "first_name") if resource == CONTACTS else ("name", "owner")
    old, new = ("Old", "New") if resource == CONTACTS else ("ann@example.com", "bob@example.com")
    there = crm.server.add_record(resource, {key: "ada@example.com", other: old})
    crm.server.archive(there)
    met = crm.written(resource, create(**{key: "ada@example.com", other: new}))
    assert (met.id, met.met) == (there, True)
    assert met.record == {key: "ada@example.com", other: new}
    assert crm.server.record(there)[other] == new


def test_an_archived_twin_is_left_and_a_new_record_made(start: Callable[..., Crm]) -> None:
    crm = start({"on_archived": "overwrite"})
    for resource, key in ((CONTACTS, "email"), (COMPANIES, "name")):
        there = crm.server.add_record(resource, {key: "ada@example.com"})
        crm.server.archive(there)
        made = crm.written(resource, create(**{key: "ada@example.com"}))
        assert made.id != there
        assert not made.met


@pytest.mark.parametrize("choice", ["ask", "unarchive", "overwrite"])
def test_a_rename_to_the_name_of_an_archived_record_is_asked_about_or_done(start: Callable[..., Crm], choice: str) -> None:
    crm = start({"on_archived": choice})
    crm.server.archive(crm.server.add_record(COMPANIES, name="Acme"))
    other = crm.server.add_record(COMPANIES, name="Other")
    if choice == "overwrite":
        assert crm.written(COMPANIES, update(other, name="Acme")).record == {"name": "Acme"}
    else:
        error = crm.error(COMPANIES, update(other, name="Acme"))
        assert type(error) is Rejected
        assert error.field == "name"


# Update, archive, restore


def test_an_update_changes_the_fields_it_names_in_one_call(crm: Crm) -> None:
    box = crm.server.add_record(THINGS, name="Box", line="a", whole=1)
    crm.kizen.resources()[THINGS]
    mark = crm.mark
    assert crm.written(THINGS, update(box, line="b")).record == {"line": "b"}
    assert crm.actions(mark) == ["patch"]
    shown = crm.server.record(box)
    assert (shown["name"], shown["line"], shown["whole"]) == ("Box", "b", 1)


def test_what_the_platform_made_of_a_value_is_what_was_stored(start: Callable[..., Crm]) -> None:
    crm = start(switches={"trim_text": True, "lowercase_emails": True, "text_overflow": "truncate"})
    made = crm.written(THINGS, create(name=" Box ", line="x" * 300, mail="ADA@Example.com"))
    assert made.record == {"name": "Box", "line": "x" * 255, "mail": "ada@example.com"}


def test_a_workflow_that_changes_another_field_is_not_taken_for_our_write(start: Callable[..., Crm]) -> None:
    crm = start()
    crm.server.add_workflow(THINGS, when="line", set="whole", value=7)
    made = crm.written(THINGS, create(name="Box", line="x"))
    assert made.record == {"name": "Box", "line": "x"}
    assert crm.get(THINGS, made.id, "whole").fields == {"whole": 7}


def test_archive_and_restore_keep_the_id(crm: Crm) -> None:
    box = crm.server.add_record(THINGS, name="Box")
    assert crm.written(THINGS, archive(box)).id == box
    assert crm.get(THINGS, box) == Tombstone(id=box)
    assert isinstance(crm.error(THINGS, archive(box)), NotFound)
    assert isinstance(crm.error(THINGS, update(box, line="x")), NotFound)
    assert crm.written(THINGS, restore(box)).id == box
    assert isinstance(crm.get(THINGS, box), Record)
    assert isinstance(crm.error(THINGS, restore(box)), Rejected)
    assert isinstance(crm.error(THINGS, restore(NOWHERE)), NotFound)


def test_deletes_and_new_ids_are_refused(crm: Crm) -> None:
    box = crm.server.add_record(THINGS, name="Box")
    assert isinstance(crm.error(THINGS, Delete(key="k", id=box)), Rejected)
    assert isinstance(crm.error(THINGS, Identify(key="k", id=box)), Rejected)
    assert crm.server.requests.writes() == []


def test_a_bad_change_does_not_hurt_its_neighbours(crm: Crm) -> None:
    box = crm.server.add_record(THINGS, name="Box")
    outcomes = crm.kizen.write(THINGS, [update(NOWHERE, line="x"), update(box, whole="x"), update(box, line="y")])
    assert [isinstance(one, Failed) for one in outcomes] == [True, True, False]


# Refusals


@pytest.mark.parametrize("status", [409, 400])
def test_a_race_with_somebody_who_archives_is_a_conflict(start: Callable[..., Crm], status: int) -> None:
    crm = start(switches={"archive_race": status})
    box = crm.server.add_record(THINGS, name="Box")
    for change in (update(box, line="x"), archive(box)):
        crm.server.fault("conflict", path=f"/{box}")
        assert isinstance(crm.error(THINGS, change), VersionConflict)


@pytest.mark.parametrize("positional", ["coded", "plain"])
@pytest.mark.parametrize("refusal", ["403", "403_detail", "400"])
def test_a_field_that_may_not_be_written_is_named(start: Callable[..., Crm], positional: str, refusal: str) -> None:
    crm = start(switches={"positional_errors": positional, "field_refusal": refusal})
    box = crm.server.add_record(THINGS, name="Box")
    crm.kizen.resources()[THINGS]
    crm.server.change_field(THINGS, "whole", editable=False)
    error = crm.error(THINGS, update(box, line="x", whole=5))
    assert type(error) is Rejected
    if refusal != "403_detail":
        assert error.field == "whole"
        assert '"Whole" (whole)' in str(error)
    assert "line" not in crm.server.record(box)


@pytest.mark.parametrize("positional", ["coded", "plain"])
def test_a_value_that_the_platform_does_not_take_names_its_field_and_shows_no_value(
    start: Callable[..., Crm], positional: str
) -> None:
    crm = start(switches={"positional_errors": positional})
    box = crm.server.add_record(THINGS, name="Box")
    for field, value in (("mail", "no-address-4711"), ("phone", "4711"), ("zone", "Moon/4711"), ("maker", NOWHERE)):
        error = crm.error(THINGS, update(box, line="fine", **{field: value}))
        assert type(error) is Rejected
        assert error.field == field
        assert "4711" not in str(error)


@pytest.mark.parametrize("positional", ["coded", "plain"])
def test_a_taken_email_is_already_exists_with_its_field(start: Callable[..., Crm], positional: str) -> None:
    """A refusal without a code says nothing: the holder is looked up, and named."""
    crm = start(switches={"positional_errors": positional})
    ada = crm.server.add_record(CONTACTS, email="ada@example.com")
    other = crm.server.add_record(CONTACTS, email="bo@example.com")
    error = crm.error(CONTACTS, update(other, email="ada@example.com"))
    assert isinstance(error, AlreadyExists)
    assert (error.id, error.field) == (ada, "email")


def test_a_record_that_may_only_be_looked_at_is_refused_and_others_go_on(crm: Crm) -> None:
    box = crm.server.add_record(THINGS, name="Box")
    crm.server.permit(box, editable=False)
    assert type(crm.error(THINGS, update(box, line="x"))) is Rejected
    crm.server.permit(box, visible=False)
    assert isinstance(crm.error(THINGS, update(box, line="x")), NotFound)


def test_an_option_that_was_added_meanwhile_is_found_and_one_that_is_gone_is_looked_for_once(crm: Crm) -> None:
    box = crm.server.add_record(THINGS, name="Box")
    crm.kizen.resources()[THINGS]
    crm.server.add_option(THINGS, "colour", "Green")
    assert crm.written(THINGS, update(box, colour="Green")).record == {"colour": "Green"}
    mark = crm.mark
    for _ in range(3):
        error = crm.error(THINGS, update(box, colour="Gone"))
        assert isinstance(error, Rejected)
        assert error.field == "colour"
    assert crm.actions(mark) == []


def test_a_field_that_vanished_blocks_only_itself(crm: Crm) -> None:
    box = crm.server.add_record(THINGS, name="Box")
    crm.kizen.resources()[THINGS]
    crm.server.remove_field(THINGS, "line")
    error = crm.error(THINGS, update(box, line="x"))
    assert isinstance(error, Rejected)
    assert error.field == "line"
    assert crm.written(THINGS, update(box, whole=5)).record == {"whole": 5}


SENT = [
    Entry(
        field=FieldInfo(
            id=f"id-{name}",
            name=name,
            label=name.title(),
            type="text",
            kind=Kind.TEXT,
            system=False,
            required=False,
            read_only=False,
            hidden=False,
            allows_nulls=True,
            allows_empty=True,
            scale=None,
            options=(),
            relation=None,
        ),
        key="value",
        value="x",
    )
    for name in ("name", "line")
]

REFUSALS: list[tuple[int, Any, Doing, type[Exception], str | None]] = [
    (400, {"fields": [{}, {"value": ["no"]}]}, Doing.WRITE, Rejected, "line"),
    (400, {"fields": [{}, {"value": [{"message": "no", "code": "invalid"}]}]}, Doing.WRITE, Rejected, "line"),
    (400, {"fields": [{"value": [{"message": "taken", "code": "unique"}]}, {}]}, Doing.CREATE, AlreadyExists, "name"),
    (400, {"name": [{"message": "taken", "code": "unique"}]}, Doing.CREATE, AlreadyExists, "name"),
    (400, {"errors": [{"message": "taken", "code": "unique"}]}, Doing.CREATE, AlreadyExists, "name"),
    (400, [{"message": "taken", "code": "unique"}], Doing.CREATE, AlreadyExists, "name"),
    (400, ["no"], Doing.CREATE, Rejected, None),
    (400, {"lookup_value": ["no"]}, Doing.CREATE, Rejected, None),
    (400, {"detail": "no", "code": "conflict"}, Doing.WRITE, VersionConflict, None),
    (400, {"detail": "no", "code": "conflict"}, Doing.RENAME, Rejected, "name"),
    (400, {"non_field_errors": [{"message": "archived", "code": "conflict"}], "fields": []}, Doing.CREATE, Rejected, "name"),
    (409, {"detail": "no", "code": "conflict"}, Doing.RENAME, VersionConflict, None),
    (409, None, Doing.WRITE, VersionConflict, None),
    (403, {"fields": [{}, {"value": [{"message": "no", "code": "forbidden_field_write"}]}]}, Doing.WRITE, Rejected, "line"),
    (403, {"detail": "no", "code": "permission_required"}, Doing.WRITE, Rejected, None),
    (404, {"detail": "no", "code": "not_found"}, Doing.WRITE, NotFound, None),
    (404, "<html>", Doing.WRITE, ProtocolError, None),
    (405, {"detail": "no"}, Doing.WRITE, Rejected, None),
    (413, {"detail": "no", "code": "payload_exceeded"}, Doing.WRITE, Rejected, None),
    (400, "<html>", Doing.WRITE, Rejected, None),
    (400, {"fields": "strange"}, Doing.WRITE, Rejected, None),
    (400, {"fields": [{}, {}, {}, {"value": ["no"]}]}, Doing.WRITE, Rejected, None),
]


@pytest.mark.parametrize(("status", "body", "doing", "error", "field"), REFUSALS)
def test_every_shape_of_a_refusal_becomes_its_error(
    status: int, body: Any, doing: Doing, error: type[Exception], field: str | None
) -> None:
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    reply = Reply(effect=Effect.WRITE, status=status, headers={}, body=raw, place="PATCH /x")
    found = error_of(reply, SENT, SENT[0].field, doing)
    assert type(found) is error
    assert getattr(found, "field", None) == field


def test_a_code_that_is_no_code_is_not_shown() -> None:
    assert parse({"code": "Ada's phone is 4711"}).codes == frozenset()


# Lost answers


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("change", ["create", "update", "archive", "restore", "move"])
def test_a_lost_answer_is_doubt_whether_or_not_it_was_done(start: Callable[..., Crm], committed: bool, change: str) -> None:
    crm = start()
    box = crm.server.add_record(THINGS, name="Box")
    deal = crm.server.add_record(DEALS, name="Deal")
    made = {
        "create": (THINGS, create(name="New"), "/upsert$"),
        "update": (THINGS, update(box, line="x"), f"/{box}$"),
        "archive": (THINGS, archive(box), f"/{box}$"),
        "restore": (THINGS, restore(box), "/unarchive$"),
        "move": (DEALS, update(deal, stage="Won"), "/move$"),
    }
    resource, wanted, path = made[change]
    if change == "restore":
        crm.server.archive(box)
    crm.kizen.resources()[resource]
    for kind in ("reset", "error"):
        crm.server.fault(kind, path=path, committed=committed, method=None)
        assert isinstance(crm.error(resource, wanted), OutcomeUnknown)
        if committed:
            break  # what is done can't be done again


@pytest.mark.parametrize("kind", ["truncate", "garbage"])
def test_a_success_that_cannot_be_read_is_doubt(start: Callable[..., Crm], kind: str) -> None:
    crm = start()
    box = crm.server.add_record(THINGS, name="Box")
    crm.server.fault(kind, path=f"/{box}$")
    assert isinstance(crm.error(THINGS, update(box, line="x")), OutcomeUnknown)
    assert crm.server.record(box)["line"] == "x"


def test_a_change_of_several_calls_that_breaks_off_is_doubt(start: Callable[..., Crm]) -> None:
    crm = start()
    crm.server.fault("throttle", path="/move$")
    error = crm.error(DEALS, create(name="Deal", stage="Won"))
    assert isinstance(error, OutcomeUnknown)
    assert len(crm.server.records(DEALS)) == 1


@pytest.mark.parametrize("form", [3, "date", None])
def test_throttling_raises_before_anything_was_done(crm: Crm, form: object) -> None:
    crm.server.fault("throttle", path="/add$", retry_after=form)
    with pytest.raises(TransientError) as caught:
        crm.kizen.write(CONTACTS, [create(email="ada@example.com")])
    assert caught.value.throttled
    assert caught.value.retry_after in {3: {3.0}, "date": {0.0, 1.0, 2.0}, None: {None}}[form]
    assert crm.server.records(CONTACTS) == []


def test_a_look_that_fails_creates_nothing(crm: Crm) -> None:
    crm.kizen.resources()[CONTACTS]
    for kind in ("error", "html", "reset", "truncate", "garbage", "throttle"):
        crm.server.fault(kind, path="/lookup$")
        with pytest.raises((TransientError, ProtocolError)):
            crm.kizen.write(CONTACTS, [create(email="ada@example.com")])
    assert crm.server.requests.writes() == []


def test_a_key_that_is_revoked_stops_the_side(crm: Crm) -> None:
    crm.kizen.resources()[CONTACTS]
    crm.kizen._http._headers["X-API-KEY"] = "revoked"
    with pytest.raises(AuthError):
        crm.kizen.write(CONTACTS, [create(email="ada@example.com")])


def test_a_member_that_this_user_may_not_see_is_named_as_the_reason(crm: Crm) -> None:
    """Without the right to see the team the platform shows nobody but oneself: nothing is sent."""
    crm.server.switch("team_visible", False)
    error = crm.error(THINGS, create(name="Box", keeper="bob@example.com"))
    assert isinstance(error, Rejected)
    assert error.field == "keeper"
    assert crm.server.records(THINGS) == []


def test_a_create_sends_no_blanks(start: Callable[..., Crm]) -> None:
    """A new record is blank by itself, and not every platform takes null; what is told as stored holds the blanks all the same."""
    crm = start({"on_archived": "unarchive"}, switches={"null_clears": False})
    made = crm.written(CONTACTS, create(email="ada@example.com", birthday=None, first_name="Ada"))
    assert made.record == {"email": "ada@example.com", "birthday": None, "first_name": "Ada"}
    crm.written(CONTACTS, archive(made.id))
    again = crm.written(CONTACTS, create(email="ada@example.com", birthday=None, first_name="Augusta"))
    assert (again.id, again.met) == (made.id, True)
    assert crm.server.record(made.id)["first_name"] == "Augusta"
