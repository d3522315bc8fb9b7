"""The connection itself: who we are, what there is, looking things up, hints, options, secrets, the gate."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.kizen import plugin
from connectors.kizen.connector import Kizen
from connectors.kizen.hints import HEADER
from connectors.kizen.options import KizenOptions
from syncengine.connector import (
    Context,
    Failed,
    FieldType,
    Finder,
    Getter,
    Hint,
    HintReceiver,
    Native,
    Record,
    Tombstone,
    Unknown,
)
from syncengine.errors import AuthError, ConfigError, ConnectorError, ProtocolError, ResourceError, TransientError
from syncengine.http import Limits
from tests.connectors.kizen.crm import COMPANIES, CONTACTS, DEALS, THINGS, Crm, create, update

NOWHERE = "00000000-0000-4000-8000-000000000000"
CREDENTIALS = {"api_key": "k", "business_id": "b", "user_id": "u"}


# Who we are, and what there is


def test_the_account_is_the_business(crm: Crm) -> None:
    account = crm.kizen.check()
    assert account.id == crm.server.credentials.business_id.lower()
    assert "Local business" in account.label


def test_refused_credentials_are_an_auth_error_that_shows_none(start: Callable[..., Crm]) -> None:
    crm = start({"api_key": "canary-4711"})
    with pytest.raises(AuthError) as caught:
        crm.kizen.check()
    assert "canary" not in str(caught.value)
    allowed = start()
    allowed.server.switch("api_keys_allowed", False)
    with pytest.raises(AuthError):
        allowed.kizen.check()


def test_names_cost_one_call_a_description_one_more_and_both_are_kept(crm: Crm) -> None:
    assert set(crm.kizen.resources()) == {CONTACTS, COMPANIES, THINGS, DEALS}
    assert crm.actions() == ["objects"]
    for _ in range(2):
        assert crm.kizen.resources()[THINGS].name == THINGS
    assert crm.actions() == ["objects", "fields"]
    assert crm.kizen.resources()[DEALS].fields["stage"].choices
    assert crm.actions() == ["objects", "fields", "fields"]


@pytest.mark.parametrize(("shown", "calls"), [(True, ["fields"]), (False, ["fields", "object"])])
def test_describing_a_pipeline_costs_one_call_where_its_fields_tell_all(crm: Crm, shown: bool, calls: list[str]) -> None:
    """Where metadata does not say that the stage is a default field, the kind of the object has to tell."""
    crm.server.switch("defaults_shown", shown)
    assert crm.kizen.resources()[DEALS].fields["stage"].choices
    assert crm.actions() == calls


def test_a_resource_goes_by_its_uuid_too(crm: Crm) -> None:
    by_id = crm.kizen.resources()[crm.server.object(THINGS).id]
    assert by_id.fields == crm.kizen.resources()[THINGS].fields
    contacts = crm.kizen.resources()[crm.server.object(CONTACTS).id]
    assert contacts.capabilities.upsert_keys == ("email",)


def test_a_name_that_does_not_exist_is_a_key_error(crm: Crm) -> None:
    with pytest.raises(KeyError):
        crm.kizen.resources()["nothing"]
    assert "nothing" not in crm.kizen.resources()
    assert THINGS in crm.kizen.resources()


def test_a_resource_says_what_it_can_and_cannot_do(start: Callable[..., Crm]) -> None:
    crm = start({"max_concurrency": 7, "page_size": 50})
    contacts = crm.kizen.resources()[CONTACTS]
    assert contacts.blank_is_null
    able = contacts.capabilities
    assert (able.incremental, able.creates, able.updates, able.archives, able.restores, able.set_deltas) == (True,) * 6
    assert (able.deletes, able.conditional_writes, able.idempotent_creates, able.reports_deletions) == (False,) * 4
    assert (able.max_batch, able.max_concurrency, able.page_size, able.late_arrival) == (1, 7, 50, 60.0)
    assert contacts.fields["email"].unique
    assert not crm.kizen.resources()[COMPANIES].fields["name"].unique
    assert crm.kizen.resources()[COMPANIES].fields["name"].required
    assert not crm.kizen.resources()[COMPANIES].fields["owner"].required
    assert isinstance(crm.kizen, Getter)
    assert isinstance(crm.kizen, Finder)
    assert isinstance(crm.kizen, HintReceiver)


def test_fields_are_described_as_people_know_them(crm: Crm) -> None:
    fields = crm.kizen.resources()[THINGS].fields
    types = {name: one.type for name, one in fields.items()}
    assert types["line"] is FieldType.TEXT
    assert types["mail"] is FieldType.EMAIL
    assert types["phone"] is FieldType.PHONE
    assert types["colour"] is FieldType.CHOICE
    assert types["labels"] is FieldType.SET
    assert types["keeper"] is FieldType.EMAIL
    assert types["maker"] is FieldType.REFERENCE
    assert fields["line"].label == "Line"
    assert fields["line"].max_length == 255
    assert fields["ratio"].scale == 4
    assert "secret_note" in fields
    assert all(fields[name].read_only for name in ("created", "updated", "display_name", "papers"))


def test_hidden_objects_are_not_there(crm: Crm) -> None:
    crm.server.permit_object(THINGS, visible=False)
    assert THINGS not in set(crm.kizen.resources())
    with pytest.raises(ResourceError):
        crm.get(THINGS, NOWHERE)


# By id


def test_get_tells_there_gone_and_could_not_tell_apart(crm: Crm) -> None:
    boxes = [crm.server.add_record(THINGS, name=name) for name in "abc"]
    crm.server.archive(boxes[1])
    asked = [boxes[0], NOWHERE, boxes[1], "no id at all", boxes[2].upper()]
    answers = crm.kizen.get(THINGS, asked, fields=["name"])
    assert [type(one) for one in answers] == [Record, Tombstone, Tombstone, Tombstone, Record]
    assert [one.id for one in answers[:4]] == asked[:4]
    for status, expected in ((403, Unknown), (500, TransientError), (401, AuthError)):
        crm.server.fault("error", path=f"/{boxes[0]}", status=status)
        if expected is Unknown:
            assert isinstance(crm.get(THINGS, boxes[0], "name"), Unknown)
        else:
            with pytest.raises(expected):
                crm.get(THINGS, boxes[0], "name")


def test_an_error_page_is_never_an_absence(crm: Crm) -> None:
    box = crm.server.add_record(THINGS, name="Box")
    crm.server.fault("html", path=f"/{box}", status=404)
    with pytest.raises(ProtocolError):
        crm.get(THINGS, box, "name")
    crm.server.fault("html", path="/lookup$", status=404)
    with pytest.raises(ProtocolError):
        crm.kizen.write(THINGS, [create(name="New")])
    with closing(crm.connect(url=crm.server.url + "/elsewhere")) as wrong, pytest.raises(ProtocolError):
        wrong.get(THINGS, [box], fields=["name"])


def test_many_fields_still_fit_the_request(start: Callable[..., Crm]) -> None:
    crm = start()
    for number in range(120):
        crm.server.add_field(THINGS, f"Extra {number}", "text")
    box = crm.server.add_record(THINGS, name="Box", extra_119="x", secret_note="y")
    names = list(crm.kizen.resources()[THINGS].fields)
    fields = crm.get(THINGS, box, *names).fields
    assert (fields["extra_119"], fields["secret_note"], fields["extra_0"]) == ("x", "y", None)


# By value


@pytest.mark.parametrize("filters", ["insensitive", "sensitive"])
@pytest.mark.parametrize("lookup", ["normalized", "exact"])
@pytest.mark.parametrize("clauses", ["any", "quoted", "bare"])
def test_records_are_found_by_the_exact_value_whatever_the_server_compares(
    start: Callable[..., Crm], filters: str, lookup: str, clauses: str
) -> None:
    crm = start(switches={"text_filters": filters, "lookup_mode": lookup, "clause_form": clauses})
    twins = {crm.server.add_record(COMPANIES, name="Acme") for _ in range(2)}
    other = crm.server.add_record(COMPANIES, name='Other, Inc. "quoted"')
    assert {one.id for one in crm.find(COMPANIES, "name", "Acme", "None such")} == twins
    assert {one.id for one in crm.find(COMPANIES, "name", "Acme", 'Other, Inc. "quoted"')} == {*twins, other}
    ada = crm.server.add_record(CONTACTS, email="ada@example.com")
    assert [one.id for one in crm.find(CONTACTS, "email", "ada@example.com")] == [ada]
    assert crm.find(CONTACTS, "email", "Ada@example.com") == [] or filters == "insensitive" or lookup == "normalized"


FINDABLE: list[tuple[str, Native]] = [
    ("line", "x"),
    ("mail", "ada@example.com"),
    ("phone", "+13125550100"),
    ("whole", 5),
    ("colour", "Blue"),
    ("zone", "Europe/Berlin"),
    ("ticked", True),
]


@pytest.mark.parametrize(("field", "value"), FINDABLE)
def test_any_field_that_filters_compare_can_be_found_by(crm: Crm, field: str, value: Native) -> None:
    box = crm.server.add_record(THINGS, {"name": "Box", field: value})
    crm.server.add_record(THINGS, name="Bare")
    assert [one.id for one in crm.find(THINGS, field, value)] == [box]
    assert crm.find(THINGS, field, None, "") == []


@pytest.mark.parametrize(("field", "value"), [("story", "x"), ("labels", "VIP"), ("maker", NOWHERE), ("nothing", "x")])
def test_a_field_that_no_filter_compares_is_a_resource_error(crm: Crm, field: str, value: Native) -> None:
    with pytest.raises(ResourceError):
        crm.find(THINGS, field, value)


def test_values_are_asked_for_twenty_at_once_and_pages_are_followed(start: Callable[..., Crm]) -> None:
    crm = start({"page_size": 7})
    made = {crm.server.add_record(COMPANIES, name=f"C{number}"): f"C{number}" for number in range(45)}
    crm.kizen.resources()[COMPANIES]
    mark = crm.mark
    found = {one.id: one.fields["name"] for one in crm.find(COMPANIES, "name", *made.values())}
    assert found == made
    assert crm.actions(mark) == ["search"] * (3 + 3 + 1)


def test_only_the_fields_asked_for_come_back(crm: Crm) -> None:
    crm.server.add_record(THINGS, name="Box", line="x")
    (found,) = crm.kizen.find(THINGS, "name", ["Box"], fields=["line"])
    assert dict(found.fields) == {"line": "x"}
    assert found.modified_at is not None


def test_a_record_that_search_does_not_show_yet_is_found_by_looking_it_up(crm: Crm) -> None:
    crm.server.switch("search_lag_searches", 5)
    ada = crm.server.add_record(CONTACTS, email="ada@example.com")
    assert [one.id for one in crm.find(CONTACTS, "email", "ada@example.com")] == [ada]


# Hints

SECRET = "a-shared-secret-of-some-length"


def hints(crm: Crm, body: Any, secret: str | None = SECRET, header: str = HEADER) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return crm.kizen.hints({} if secret is None else {header: secret}, raw)


def test_a_genuine_delivery_is_a_hint(start: Callable[..., Crm]) -> None:
    crm = start({"webhook_secret": SECRET})
    body = {"object": CONTACTS, "record_id": NOWHERE, "event": "7", "email": "never looked at"}
    assert hints(crm, body) == [Hint(resource=CONTACTS, id=NOWHERE, event="7")]
    assert hints(crm, {"object": CONTACTS, "record_id": NOWHERE}, header="x-webhook-SECRET")[0].event is None


@pytest.mark.parametrize("secret", [None, "", "wrong", SECRET[:-1], SECRET + "x", SECRET.upper(), "ä", "\udcff"])
def test_a_delivery_without_the_secret_is_refused(start: Callable[..., Crm], secret: str | None) -> None:
    with pytest.raises(AuthError):
        hints(start({"webhook_secret": SECRET}), {"object": CONTACTS, "record_id": NOWHERE}, secret)


def test_without_a_configured_secret_no_delivery_is_genuine(crm: Crm) -> None:
    for secret in (None, "", SECRET):
        with pytest.raises(AuthError):
            hints(crm, {"object": CONTACTS, "record_id": NOWHERE}, secret)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"<html>", [], 5, {}, {"object": CONTACTS}, {"object": 5, "record_id": 5}, {"object": "", "record_id": ""}],
)
def test_a_genuine_delivery_that_makes_no_sense_is_a_protocol_error(start: Callable[..., Crm], body: Any) -> None:
    with pytest.raises(ProtocolError):
        hints(start({"webhook_secret": SECRET}), body)


# Options


def test_the_defaults_are_those_of_production() -> None:
    options = KizenOptions.model_validate(CREDENTIALS)
    assert options.url == "https://app.go.kizen.com/api"
    assert (options.max_concurrency, options.requests_per_second, options.max_calls) == (4, None, None)
    assert (options.overlap, options.page_size, options.on_archived.value) == (300.0, 1000, "ask")


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_key": None},
        {"business_id": ""},
        {"user_id": None},
        {"page_size": 1001},
        {"page_size": 0},
        {"max_concurrency": 0},
        {"requests_per_second": 0},
        {"on_archived": "delete"},
        {"webhook_secret": "short"},
        {"unknown": 1},
        {"people": 5},
    ],
)
def test_wrong_options_are_refused_without_showing_a_secret(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        KizenOptions.model_validate({**CREDENTIALS, "api_key": "canary-4711", **wrong})
    assert "canary" not in str(caught.value)


def test_a_key_from_a_file_may_end_in_a_newline() -> None:
    options = KizenOptions.model_validate({**CREDENTIALS, "api_key": "k\n", "business_id": " b "})
    assert options.api_key is not None
    assert (options.api_key.get_secret_value(), options.business_id) == ("k", "b")
    assert "k\n" not in repr(options)


def test_plain_http_to_another_machine_has_to_be_allowed() -> None:
    context = Context(system="crm", base=Path())
    connector = Kizen(KizenOptions.model_validate({**CREDENTIALS, "url": "http://records.example/api"}), context)
    with pytest.raises(ConfigError):
        connector.check()


def test_the_limits_of_the_config_are_shown() -> None:
    options = KizenOptions.model_validate({**CREDENTIALS, "requests_per_second": 5, "max_calls": 100, "max_concurrency": 2})
    connector = plugin.connect(options, Context(system="crm", base=Path()))
    assert connector.limits == Limits(requests_per_second=5.0, max_calls=100, max_concurrency=2)
    connector.close()


def test_opening_touches_nothing_and_closing_twice_is_fine() -> None:
    options = KizenOptions.model_validate({**CREDENTIALS, "url": "https://nowhere.invalid/api"})
    connector = plugin.connect(options, Context(system="crm", base=Path()))
    connector.close()
    connector.close()


def test_an_embedded_server_needs_no_account_and_keeps_its_records_in_a_file(tmp_path: Path) -> None:
    context = Context(system="crm", base=tmp_path)
    found = []
    for _ in range(2):
        connector = plugin.connect(KizenOptions(url="embedded:crm.db", people=5), context)
        (page,) = connector.read(CONTACTS, fields=["email"])
        found.append((connector.check().id, sorted(page.ids)))
        connector.close()
        connector.close()
    assert found[0] == found[1]
    assert len(found[0][1]) == 5
    assert (tmp_path / "crm.db").exists()


def test_an_embedded_server_is_filled_from_a_document(tmp_path: Path) -> None:
    (tmp_path / "seed.json").write_text(json.dumps({"records": {COMPANIES: [{"name": "Acme"}]}}))
    connector = plugin.connect(KizenOptions(url="embedded", data="seed.json"), Context(system="crm", base=tmp_path))
    assert [one.fields["name"] for one in connector.find(COMPANIES, "name", ["Acme"], fields=["name"])] == ["Acme"]
    assert sum(len(page.ids) for page in connector.read(CONTACTS, fields=["email"])) == 0
    connector.close()
    broken = plugin.connect(KizenOptions(url="embedded", data="missing.json"), Context(system="crm", base=tmp_path))
    with pytest.raises(ResourceError):
        broken.check()


@pytest.mark.parametrize(
    ("imported", "absent"),
    [("connectors.kizen.server", "connectors.kizen.connector"), ("connectors.kizen.connector", "connectors.kizen.server")],
)
def test_the_server_and_the_connector_do_not_import_each_other(imported: str, absent: str) -> None:
    code = f"import sys, {imported}; sys.exit({absent!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Secrets, and the gate


def test_no_secret_and_no_value_is_ever_logged_or_shown(
    start: Callable[..., Crm], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    key = "canary-4711-key"
    from connectors.kizen.server import Credentials

    credentials = Credentials(api_key=key, business_id=NOWHERE, user_id=NOWHERE.replace("0000-4", "0001-4"))
    crm = start({"webhook_secret": "canary-4711-webhook-secret-long"}, credentials=credentials)
    errors: list[Exception] = []
    for kind in ("error", "html", "reset", "truncate", "garbage", "throttle"):
        for path in ("/lookup$", "/add$", "/search$"):
            crm.server.fault(kind, path=path)
            try:
                for fields in ({"email": "private@example.com", "birthday": "x"}, {"email": "private@example.com"}):
                    outcomes = crm.kizen.write(CONTACTS, [create(**fields)])
                    errors += [one.error for one in outcomes if isinstance(one, Failed)]
                crm.find(CONTACTS, "email", "private@example.com", "private too")
            except ConnectorError as error:
                errors.append(error)
            crm.server.calm()
    shown = [*map(str, errors), *map(repr, errors), caplog.text, *capsys.readouterr(), repr(crm.kizen), repr(crm.kizen._options)]
    assert len(errors) > 10
    for text in shown:
        assert "canary" not in text
        assert "private" not in text


class _Counter:
    def __init__(self) -> None:
        self.asked = self.told = 0

    def before(self) -> None:
        self.asked += 1

    def after(self, status: int | None, retry_after: float | None) -> None:
        self.told += 1


def test_a_gate_sees_every_request_even_one_set_before_the_first_call(crm: Crm) -> None:
    first = crm.kizen.gate = _Counter()
    crm.pages(THINGS, "name")
    assert first.asked == first.told == len(crm.calls()) == 2
    second = crm.kizen.gate = _Counter()
    box = crm.written(THINGS, create(name="Box"))
    crm.written(THINGS, update(box.id, line="x"))
    assert second.asked == 3
    assert first.asked == 2
