"""Section 4 of records-api.md: what each of the 24 field types takes and gives, and what it refuses."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.kizen.server import RecordsServer
from connectors.kizen.server.metadata import FIELD_TYPES
from tests.connectors.records_server.client import COMPANIES, CONTACTS, NO_TLS, Client, named

OPTION_TYPES = ("dropdown", "radio", "choices", "status", "selector")


def make(api: Client, kind: str, **more: Any) -> str:
    """A field of this type on companies; its api_name."""
    return api.server.add_field(COMPANIES, f"A {kind}", kind, **more).name


def round_trip(api: Client, kind: str, value: Any, **more: Any) -> Any:
    """What is read after a value was written; also what the write itself and a search row say, which must agree."""
    name = make(api, kind, **more)
    record_id = api.new(COMPANIES, name="Acme")
    answer = api.write(COMPANIES, record_id, **{name: value})
    assert answer.status_code == 200, answer.text
    read = api.read(COMPANIES, record_id)[name]
    assert named(answer.json())[name] == read == api.search(COMPANIES)[-1][name]
    return read


def refusal(api: Client, kind: str, value: Any, **more: Any) -> str:
    """The code with which a value is refused."""
    name = make(api, kind, **more)
    answer = api.write(COMPANIES, api.new(COMPANIES, name="Acme"), **{name: value})
    assert answer.status_code == 400, answer.text
    return str(answer.json()["fields"][0]["value"][0]["code"])


def option(api: Client, name: str, label: str) -> Any:
    return next(one for one in api.server.field(COMPANIES, name).options if one.name == label)


def test_there_are_24_field_types() -> None:
    """Section 4: the full enum."""
    assert len(FIELD_TYPES) == 24


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        ("text", "Ünï €", "Ünï €"),
        ("longtext", "a\nb" * 500, "a\nb" * 500),
        ("wysiwyg", "# Title", "# Title"),
        ("email", "Ann@Example.com", "Ann@Example.com"),
        ("phonenumber", "+13125550100", "+13125550100"),
        ("phonenumber", "(312) 555-0100", "+13125550100"),
        ("integer", -(2**31), -(2**31)),
        ("decimal", 5, 5.0),
        ("decimal", 320.81, 320.81),
        ("money", 1250.5, {"currency": "USD", "symbol": "$", "amount": 1250.5}),
        ("date", "2024-02-29", "2024-02-29"),
        ("datetime", "2026-04-01T09:00:00.000Z", "2026-04-01T04:00:00.000000-05:00"),
        ("datetime", "2026-01-01T00:00:00.123456+02:00", "2025-12-31T16:00:00.123456-06:00"),
        ("checkbox", True, True),
        ("checkbox", False, False),
        ("rating", 4, 4),
        ("rating", "4", 4),
        ("timezone", "America/Chicago", {"id": "America/Chicago", "code": "America/Chicago", "name": "America/Chicago"}),
    ],
)
def test_write_and_read_shapes(api: Client, kind: str, value: Any, read: Any) -> None:
    """Section 4: the table of types."""
    assert round_trip(api, kind, value) == read


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        ("text", "x" * 256, "max_length"),
        ("text", 5, "invalid"),
        ("text", "a\0b", "null_characters_not_allowed"),
        ("email", "ann", "invalid"),
        ("phonenumber", "12", "invalid"),
        ("phonenumber", "+13125550100 ext. 5", "invalid"),
        ("integer", 2**31, "limit_exceeded"),
        ("integer", 1.5, "invalid"),
        ("integer", True, "invalid"),
        ("integer", "", "invalid"),
        ("decimal", "NaN", "invalid"),
        ("decimal", [], "invalid"),
        ("money", {"amount": 5}, "invalid"),
        ("date", "2026-02-30", "invalid"),
        ("date", "2026-02-03T00:00:00Z", "invalid"),
        ("datetime", "2026-02-03", "invalid"),
        ("datetime", "soon", "invalid"),
        ("checkbox", "true", "invalid"),
        ("rating", 6, "limit_exceeded"),
        ("timezone", "Mars/Olympus", "invalid"),
        ("team_selector", "0b8f6d0e-2f7a-4c52-9c6f-3a3c2d6f7a10", "does_not_exist"),
        ("dropdown", {"name": "Nope"}, "does_not_exist"),
        ("checkboxes", "x", "not_a_list"),
    ],
)
def test_what_does_not_fit_is_refused(api: Client, kind: str, value: Any, code: str) -> None:
    """Section 4: limits and formats; nothing is coerced silently."""
    assert refusal(api, kind, value) == code


def test_wysiwyg_becomes_longtext(api: Client) -> None:
    """Section 4: not a real type on objects; rich text is longtext with meta.is_markdown."""
    name = make(api, "wysiwyg")
    field = api.fields(COMPANIES)[name]

    assert (field["field_type"], field["meta"]) == ("longtext", {"is_markdown": True})


@pytest.mark.parametrize("kind", OPTION_TYPES)
@pytest.mark.parametrize("form", ["bare", "id", "name"])
def test_options_are_written_in_three_forms(api: Client, kind: str, form: str) -> None:
    """C4: a bare id, {"id"}, {"name"}; read as {"id", "code", "name"}."""
    name = make(api, kind, options=["Open", "Closed"])
    closed = option(api, name, "Closed")
    value = {"bare": closed.id, "id": {"id": closed.id}, "name": {"name": "closed"}}[form]
    record_id = api.new(COMPANIES, name="Acme", **{name: value})

    assert api.read(COMPANIES, record_id)[name] == {"id": closed.id, "code": "", "name": "Closed"}


@pytest.mark.parametrize(("form", "bare", "wrapped"), [("bare", 200, 400), ("object", 400, 200)])
def test_only_one_form_may_be_accepted(api: Client, form: str, bare: int, wrapped: int) -> None:
    """C4: the sources name different forms: switch."""
    api.server.switch("option_write", form)
    name = make(api, "dropdown", options=["Open"])
    record_id = api.new(COMPANIES, name="Acme")

    assert api.write(COMPANIES, record_id, **{name: option(api, name, "Open").id}).status_code == bare
    assert api.write(COMPANIES, record_id, **{name: {"id": option(api, name, "Open").id}}).status_code == wrapped


def test_yesnomaybe_has_coded_options(api: Client) -> None:
    """Section 4: codes yes, no, maybe."""
    name = make(api, "yesnomaybe")
    record_id = api.new(COMPANIES, name="Acme", **{name: {"name": "Maybe"}})

    assert [one["code"] for one in api.fields(COMPANIES)[name]["options"]] == ["yes", "no", "maybe"]
    assert api.read(COMPANIES, record_id)[name]["code"] == "maybe"


@pytest.mark.parametrize("kind", ["checkboxes", "dynamictags"])
def test_several_options_read_as_a_list_of_id_and_name(api: Client, kind: str) -> None:
    """Section 4."""
    name = make(api, kind, options=["One", "Two"])
    one, two = option(api, name, "One"), option(api, name, "Two")
    record_id = api.new(COMPANIES, name="Acme", **{name: [two.id, {"id": one.id}, {"name": "Two"}]})

    assert api.read(COMPANIES, record_id)[name] == [{"id": two.id, "name": "Two"}, {"id": one.id, "name": "One"}]


def test_an_unknown_tag_is_refused(api: Client) -> None:
    """Section 15.10: whether writing a tag by name creates it is not documented; refused by default."""
    assert refusal(api, "dynamictags", [{"name": "New"}]) == "does_not_exist"


def test_an_unknown_tag_may_be_created(api: Client) -> None:
    """Section 15.10, the other way."""
    api.server.switch("create_tags_on_write", True)
    names = [tag["name"] for tag in round_trip(api, "dynamictags", [{"name": "New"}, {"name": "new"}])]

    assert names == ["New"]


def test_an_option_that_was_removed_reads_as_blank(api: Client) -> None:
    """Schema drift: a value whose option is gone shows nothing."""
    name = make(api, "dropdown", options=["Open"])
    record_id = api.new(COMPANIES, name="Acme", **{name: {"name": "Open"}})
    api.server.remove_option(COMPANIES, name, "Open")

    assert name not in api.read(COMPANIES, record_id)


@pytest.mark.parametrize(("judge", "status"), [("possible", 200), ("valid", 400)])
def test_phone_numbers_are_judged_by_form_or_by_plan(api: Client, judge: str, status: int) -> None:
    """Section 4: an invalid number fails the write; how strictly is open: by default a fictional one passes."""
    api.server.switch("phone_numbers", judge)
    name = make(api, "phonenumber")

    assert api.write(COMPANIES, api.new(COMPANIES, name="Acme"), **{name: "+13125550100"}).status_code == 200
    assert api.write(COMPANIES, api.new(COMPANIES, name="Acme"), **{name: "+10005550100"}).status_code == status


def test_decimals_and_amounts_may_be_strings(api: Client) -> None:
    """C3: numbers in the captures, strings in one document."""
    api.server.switch("decimals", "string")

    assert round_trip(api, "decimal", 5.25) == "5.25"
    assert round_trip(api, "money", 7)["amount"] == "7"


def test_the_currency_belongs_to_the_field(api: Client) -> None:
    """Section 4."""
    read = round_trip(api, "money", 3, settings={"currency": "EUR", "symbol": "€"})

    assert read == {"currency": "EUR", "symbol": "€", "amount": 3.0}


def test_decimal_places_and_bounds(api: Client) -> None:
    """Section 4: options of the field; excess places are refused, or rounded by switch."""
    shape = {"decimal_places": 2, "min_value": 0, "max_value": 100}

    assert refusal(api, "decimal", 1.005, settings=shape) == "max_decimal_places"
    assert refusal(api, "decimal", 101, settings=shape) == "limit_exceeded"
    api.server.switch("decimal_excess", "round")
    assert round_trip(api, "decimal", 1.005, settings=shape) == 1.01


def test_a_datetime_without_offset_is_in_the_zone_of_the_business(api: Client) -> None:
    assert round_trip(api, "datetime", "2026-07-01T12:00:00") == "2026-07-01T12:00:00.000000-05:00"


def test_a_checkbox_never_set_is_blank(api: Client) -> None:
    """Section 4: null means unchecked."""
    name = make(api, "checkbox")

    assert name not in api.read(COMPANIES, api.new(COMPANIES, name="Acme"))


@pytest.mark.parametrize("form", ["integer", "string", "option"])
def test_a_rating_is_read_in_one_of_three_shapes(api: Client, form: str) -> None:
    """Section 15.9: not captured; options have codes "1".. ."""
    api.server.switch("rating_read", form)
    read = round_trip(api, "rating", 3)

    assert (read if form != "option" else read["code"]) == (3 if form == "integer" else "3")


def test_a_rating_scale_may_have_ten_steps(api: Client) -> None:
    """Section 4: 1-5 or 1-10."""
    assert round_trip(api, "rating", 9, settings={"max_value": 10}) == 9


def test_a_timezone_may_be_read_as_a_string(api: Client) -> None:
    """Section 15.9."""
    api.server.switch("timezone_read", "string")

    assert round_trip(api, "timezone", "Europe/Berlin") == "Europe/Berlin"


def test_team_selector(api: Client) -> None:
    """Section 4: written as the employee's UUID, read as a person; only active employees can be chosen."""
    ann = api.server.add_employee("ann@example.com", first_name="Ann", last_name="Lee")
    gone = api.server.add_employee("gone@example.com", active=False)

    assert round_trip(api, "team_selector", ann) == {
        "id": ann,
        "deleted": False,
        "first_name": "Ann",
        "last_name": "Lee",
        "email": "ann@example.com",
    }
    assert refusal(api, "team_selector", gone) == "does_not_exist"


def test_files_are_read_only(api: Client) -> None:
    """Section 9: treat `files` as read-only; a list of file objects."""
    name = make(api, "files")
    file = {"id": "0b8f6d0e-2f7a-4c52-9c6f-3a3c2d6f7a10", "name": "offer.pdf"}
    record_id = api.server.add_record(COMPANIES, {"name": "Acme", name: [file]})

    assert api.read(COMPANIES, record_id)[name] == [file]
    assert api.write(COMPANIES, record_id, **{name: []}).status_code == 403


def test_email_status_of_contacts(api: Client) -> None:
    """Section 4: fixed options with slugs as codes."""
    codes = [one["code"] for one in api.fields(CONTACTS)["email_status"]["options"]]
    record_id = api.new(CONTACTS, email="ann@example.com", email_status={"name": "Opted In"})

    assert codes == ["opted_in", "not_opted_in", "unsubscribed", "suppression_list"]
    assert api.read(CONTACTS, record_id)["email_status"]["code"] == "opted_in"


def test_stage_is_moved_never_written(api: Client) -> None:
    """Sections 4 and 5.9: use the move endpoint; read as {"id", "name", "status", "order"}."""
    deals = api.server.add_object("Deals", object_type="pipeline", stages=[{"name": "New"}, {"name": "Won", "status": "won"}])
    record_id = api.new("deals", name="First")
    won = deals.stages[1]

    assert api.read("deals", record_id)["stage"] == {"id": deals.stages[0].id, "name": "New", "status": "open", "order": 0}
    assert api.write("deals", record_id, stage=won.id).status_code == 403
    assert api.patch(f"/records/deals/{record_id}/move", {"stage_id": won.id}).status_code == 200
    record = api.read("deals", record_id)
    assert (record["stage"]["name"], "actual_close_date" in record) == ("Won", True)
    assert api.patch(f"/records/deals/{record_id}/move", {"stage_id": "x"}).json()["stage_id"][0]["code"] == "does_not_exist"
    assert api.patch(f"/records/deals/{record_id}/move", {}).json()["stage_id"][0]["code"] == "required"


def test_default_fields_of_a_pipeline(api: Client) -> None:
    """Section 4: stage, entity_value, close dates, percentage, reasons lost."""
    api.server.add_object("Deals", object_type="pipeline")
    wanted = {"stage", "entity_value", "estimated_close_date", "actual_close_date", "percentage_chance_to_close", "reasons_lost"}

    assert wanted <= set(api.fields("deals"))
    assert api.read("deals", api.new("deals", name="First"))["percentage_chance_to_close"] == 10


# What some systems do to values


def test_texts_may_be_trimmed_lowered_and_cut(api: Client) -> None:
    """Section 15.11: normalisation is not documented: switches, so that an engine meets a system that rewrites."""
    api.server.switch("trim_text", True)
    api.server.switch("lowercase_emails", True)
    api.server.switch("text_overflow", "truncate")

    assert round_trip(api, "text", "  Acme ") == "Acme"
    assert round_trip(api, "email", " Ann@Example.COM ") == "ann@example.com"
    assert round_trip(api, "text", "x" * 300) == "x" * 255


# Any value comes back


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Client, dict[str, str]]]:
    """One server for all examples, with a record and a field of every plain type."""
    with RecordsServer() as server, httpx.Client(base_url=server.url, headers=server.credentials.headers, verify=NO_TLS) as http:
        client = Client(server, http)
        kinds = ("text", "longtext", "integer", "decimal", "money", "date", "datetime", "checkbox", "rating", "timezone")
        names = {kind: make(client, kind) for kind in kinds}
        names["id"] = client.new(COMPANIES, name="Acme")
        yield client, names


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=200)
numbers = st.decimals(-(10**9), 10**9, places=4).map(float)
instants = st.integers(-(10**15), 10**16).map(
    lambda number: dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=number)
)
examples: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "text": (texts, lambda value: value, lambda read: read),
    "longtext": (texts, lambda value: value, lambda read: read),
    "integer": (st.integers(-(2**31), 2**31 - 1), lambda value: value, lambda read: read),
    "decimal": (numbers, lambda value: value, lambda read: read),
    "money": (numbers, lambda value: value, lambda read: read["amount"]),
    "date": (st.dates(dt.date(1900, 1, 1)), dt.date.isoformat, dt.date.fromisoformat),
    "datetime": (instants, dt.datetime.isoformat, dt.datetime.fromisoformat),
    "checkbox": (st.booleans(), lambda value: value, lambda read: read),
    "rating": (st.integers(1, 5), lambda value: value, lambda read: read),
    "timezone": (st.sampled_from(["UTC", "Asia/Tokyo"]), lambda value: value, lambda read: read["id"]),
}


@pytest.mark.parametrize("kind", list(examples))
def test_any_value_comes_back(shared: tuple[Client, dict[str, str]], kind: str) -> None:
    """Section 4: what is written is what is read, value by value."""
    api, names = shared
    strategy, to_wire, from_wire = examples[kind]

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(strategy)
    def run(value: Any) -> None:
        answer = api.write(COMPANIES, names["id"], **{names[kind]: to_wire(value)})
        assert answer.status_code == 200, answer.text
        assert from_wire(api.read(COMPANIES, names["id"])[names[kind]]) == value

    run()


def test_numbers_are_stored_as_they_were_sent(api: Client) -> None:
    """Section 2.4: Decimal(str(x)); 0.1 stays 0.1."""
    name = make(api, "decimal")
    record_id = api.new(COMPANIES, name="Acme", **{name: 0.1})

    assert api.server.record(record_id)[name] == Decimal("0.1")
