"""Section 5.3 of records-api.md: bodies, field narrowing, text search, ordering, filters clause by clause."""

from __future__ import annotations

from typing import Any

import pytest

from tests.connectors.records_server.client import COMPANIES, CONTACTS, Client, clause, custom


def code(answer: Any) -> tuple[int, str]:
    """Status and the code of the first complaint."""
    body = answer.json()
    return answer.status_code, next(iter(body.values()))[0]["code"]


def test_an_empty_body_returns_everything_live(api: Client) -> None:
    """{} and {"query": []} return everything; archived records never."""
    api.server.archive(api.new(COMPANIES, name="Gone"))
    api.new(COMPANIES, name="Acme")

    assert api.names(COMPANIES, {}) == api.names(COMPANIES, {"query": []}) == ["Acme"]


def test_fields_are_narrowed_and_unknown_names_dropped_silently(api: Client) -> None:
    """Unknown api_names are dropped with 200; labels and UUIDs there match nothing; an empty list gives no fields."""
    api.new(COMPANIES, name="Acme")
    name = api.server.field(COMPANIES, "name")

    assert set(api.search(COMPANIES, {"field_names": ["name", "nope"]})[0]) == {"id", "name"}
    assert set(api.search(COMPANIES, {"field_names": [name.display_name, name.id]})[0]) == {"id"}
    assert set(api.search(COMPANIES, {"field_names": []})[0]) == {"id"}
    assert set(api.search(COMPANIES, {"field_ids": [name.id]})[0]) == {"id", "name"}


def test_only_one_of_the_two_field_lists(api: Client) -> None:
    assert code(api.post(f"/records/{COMPANIES}/search", {"field_names": [], "field_ids": []})) == (400, "invalid")
    both = {"search_within_field_names": ["name"], "search_within_field_ids": []}
    assert code(api.post(f"/records/{COMPANIES}/search", both)) == (400, "invalid")
    assert code(api.post(f"/records/{COMPANIES}/search", {"field_names": "name"})) == (400, "not_a_list")


def test_a_hidden_field_comes_when_it_is_named(api: Client) -> None:
    """The parameter include_hidden_fields is documented for GET only; here naming the field is enough."""
    api.server.add_field(COMPANIES, "Secret", "text", hidden=True)
    api.server.add_record(COMPANIES, name="Acme", secret="x")

    assert "secret" not in api.search(COMPANIES)[0]
    assert api.search(COMPANIES, {"field_names": ["secret"]})[0]["secret"] == "x"
    assert api.search(COMPANIES, include_hidden_fields="true")[0]["secret"] == "x"


def test_text_search_looks_into_the_default_columns(api: Client) -> None:
    """`name` for objects; email, names and phones for contacts; a substring."""
    api.new(COMPANIES, name="Acme Tools")
    ann = api.new(CONTACTS, email="ann@example.com", mobile_phone="+13125550100")
    api.new(CONTACTS, email="bo@example.com", first_name="Joanna")

    assert api.names(COMPANIES, search="ME TO") == ["Acme Tools"]
    assert api.names(CONTACTS, search="ann") == ["ann@example.com", "bo@example.com"]
    assert [row["id"] for row in api.search(CONTACTS, search="5550100")] == [ann]


def test_text_search_may_be_restricted(api: Client) -> None:
    """search_within_field_names / search_within_field_ids."""
    api.new(CONTACTS, email="ann@example.com", first_name="Bo")
    first = api.server.field(CONTACTS, "first_name").id

    assert api.names(CONTACTS, {"search_within_field_names": ["first_name"]}, search="ann") == []
    assert api.names(CONTACTS, {"search_within_field_ids": [first]}, search="bo") == ["ann@example.com"]


# Order


@pytest.fixture
def ranked(api: Client) -> Client:
    """Three companies with a rank, one of them blank."""
    api.server.add_field(COMPANIES, "Rank", "integer")
    for name, rank in (("B", 2), ("a", 10), ("C", None)):
        api.server.add_record(COMPANIES, name=name, rank=rank)
    return api


@pytest.mark.parametrize(
    ("ordering", "names"),
    [("name", "aBC"), ("-name", "CBa"), ("rank", "BaC"), ("-rank", "CaB"), ("created", "BaC"), ("nope", "BaC"), ("", "BaC")],
)
def test_ordering(ranked: Client, ordering: str, names: str) -> None:
    """`-name` is descending; which columns work is not documented (15.5): all of them here, unknown ones do nothing."""
    assert "".join(ranked.names(COMPANIES, ordering=ordering)) == names


@pytest.mark.parametrize(("mode", "by_name", "by_rank"), [("names", "aBC", "BaC"), ("ignored", "BaC", "BaC")])
def test_ordering_may_be_obeyed_in_part_or_not_at_all(ranked: Client, mode: str, by_name: str, by_rank: str) -> None:
    """Section 15.5: switch."""
    ranked.server.switch("ordering", mode)

    assert "".join(ranked.names(COMPANIES, ordering="name")) == by_name
    assert "".join(ranked.names(COMPANIES, ordering="rank")) == by_rank


def test_the_default_order_may_follow_the_last_change(ranked: Client) -> None:
    """Section 15.5: a column that changes during a scan moves rows between pages (2.2)."""
    ranked.server.switch("default_order", "updated")

    assert "".join(ranked.names(COMPANIES)) == "CaB"


# How clauses are spelled


def spelled(type: str, subtype: str, field: str, **more: Any) -> dict[str, Any]:
    return {"query": [{"filters": [{"type": type, "subtype": subtype, "field": field, "condition": "=", "value": "x", **more}]}]}


@pytest.mark.parametrize("form", ["any", "quoted", "bare"])
def test_spellings_of_clauses(api: Client, form: str) -> None:
    """C10: `fields` with "custom"::uuid in one source, `fields_v2` with custom::uuid in the other; both by default."""
    api.server.switch("clause_form", form)
    field = api.server.add_field(COMPANIES, "Motto", "text").id
    path = f"/records/{COMPANIES}/search"
    spellings = {
        "quoted": [spelled("fields", "non_custom", "name"), spelled("fields_v2", "custom", f'"custom"::{field}')],
        "bare": [spelled("fields_v2", "non_custom", "name"), spelled("fields_v2", "custom", f"custom::{field}")],
    }
    for kind, bodies in spellings.items():
        for body in bodies:
            assert api.post(path, body).status_code == (200 if form in ("any", kind) else 400)


@pytest.mark.parametrize(
    "body",
    [
        clause("name", "=", None),
        clause("name", "~", "x"),
        clause("name", "=", 5),
        clause("nope", "=", "x"),
        clause("updated", "is_blank", True),
        clause("updated", ">=", "soon"),
        clause("name", "is_blank", "yes"),
        {"query": {}},
        {"query": ["x"]},
        {"query": [{"filters": ["x"]}]},
        {"query": [{"filters": {}}]},
        spelled("fields", "other", "name"),
        spelled("fields_v2", "custom", "name"),
    ],
)
def test_bad_filters_are_refused(api: Client, body: dict[str, Any]) -> None:
    """400 on a bad filter; `value: null` is rejected."""
    assert code(api.post(f"/records/{COMPANIES}/search", body))[0] == 400


def test_groups_are_combined_as_they_say(api: Client) -> None:
    """Inside a group `and` chooses; the top `and` combines groups."""
    for name in ("ab", "a", "b", "c"):
        api.new(COMPANIES, name=name)

    def part(text: str) -> dict[str, Any]:
        return {"type": "fields", "subtype": "non_custom", "field": "name", "condition": "contains", "value": text}

    def found(inner: bool, outer: bool) -> list[str]:
        groups = [{"and": inner, "filters": [part("a"), part("b")]}, {"and": True, "filters": [part("a")]}]
        return api.names(COMPANIES, {"query": groups, "and": outer})

    assert found(inner=True, outer=True) == ["ab"]
    assert found(inner=False, outer=True) == ["ab", "a"]
    assert found(inner=True, outer=False) == ["ab", "a"]
    assert found(inner=False, outer=False) == ["ab", "a", "b"]


# The conditions of each type


@pytest.mark.parametrize(
    ("condition", "value", "names"),
    [
        ("=", "acme", "Acme"),
        ("!=", "acme", "Bolt"),
        ("contains", "OL", "Bolt"),
        ("!contains", "ol", "Acme"),
        ("starts_with", "ac", "Acme"),
        ("ends_with", "LT", "Bolt"),
        ("!starts_with", "Ac", "Bolt"),
        ("!ends_with", "t", "Acme"),
    ],
)
def test_text_conditions(api: Client, condition: str, value: str, names: str) -> None:
    """Case is folded by default; not documented (15.8)."""
    api.new(COMPANIES, name="Acme")
    api.new(COMPANIES, name="Bolt")

    assert api.names(COMPANIES, clause("name", condition, value)) == [names]


def test_text_conditions_may_mind_the_case(api: Client) -> None:
    """Section 15.8: switch."""
    api.server.switch("text_filters", "sensitive")
    api.new(COMPANIES, name="Acme")

    assert api.names(COMPANIES, clause("name", "=", "acme")) == []
    assert api.names(COMPANIES, clause("name", "=", "Acme")) == ["Acme"]


SHOP: dict[str, Any] = {
    "n": ("integer", {}, 5),
    "money": ("money", {}, 12.5),
    "day": ("date", {}, "2026-03-08"),
    "moment": ("datetime", {}, "2026-03-08T07:30:00Z"),
    "flag": ("checkbox", {}, True),
    "one": ("dropdown", {"options": ["Red", "Blue"]}, "Red"),
    "many": ("checkboxes", {"options": ["S", "M", "L"]}, ["S", "M"]),
    "stars": ("rating", {}, 4),
    "zone": ("timezone", {}, "Asia/Tokyo"),
    "who": ("team_selector", {}, "api@example.com"),
    "docs": ("files", {}, [{"id": "f1"}, {"id": "f2"}]),
    "people": ("relationship", {"relation": {"to": CONTACTS, "type": "additional", "related_name": "Shops"}}, ["ann@x.org"]),
}


@pytest.fixture
def shop(api: Client) -> Client:
    """A company with a value in a field of every kind, and one with none."""
    api.server.add_record(CONTACTS, email="ann@x.org")
    for name, (kind, more, _) in SHOP.items():
        api.server.add_field(COMPANIES, name, kind, name=name, **more)
    api.server.add_record(COMPANIES, {"name": "Full", **{name: value for name, (_, _, value) in SHOP.items()}})
    api.server.add_record(COMPANIES, name="Bare")
    return api


def resolve(api: Client, field: str, value: Any) -> Any:
    """Labels in a condition's value, in pointed brackets, by their ids."""
    if isinstance(value, list):
        return [resolve(api, field, one) for one in value]
    if value == "<ann>":
        return api.server.records(CONTACTS)[0]["id"]
    if value == "<me>":
        return api.server.credentials.user_id
    if isinstance(value, str) and value.startswith("<"):
        return next(one.id for one in api.server.field(COMPANIES, field).options if one.name == value[1:-1])
    return value


@pytest.mark.parametrize(
    ("field", "condition", "value", "names"),
    [
        ("n", "=", 5, "Full"),
        ("n", "!=", 5, "Bare"),
        ("n", "<", 6, "Full"),
        ("n", "<=", 4, ""),
        ("n", ">", 4.5, "Full"),
        ("n", "between", [5, 6], "Full"),
        ("money", ">=", 12.5, "Full"),
        ("day", "=", "2026-03-08", "Full"),
        ("day", "between", ["2026-03-01", "2026-03-08"], "Full"),
        ("day", "<", "2026-03-08", ""),
        ("day", "month_equals", 3, "Full"),
        ("moment", "=", "2026-03-08T07:30:00.000Z", "Full"),
        ("moment", "=", "2026-03-08", "Full"),  # the day as the business counts it: 01:30 there
        ("moment", "<", "2026-03-08", ""),
        ("moment", "<=", "2026-03-08", "Full"),
        ("moment", ">", "2026-03-08", ""),
        ("moment", "!=", "2026-03-08", "Bare"),
        ("moment", "between", ["2026-03-07", "2026-03-08"], "Full"),
        ("moment", "month_equals", 3, "Full"),
        ("flag", "=", True, "Full"),
        ("flag", "=", False, "Bare"),  # null means unchecked (section 4)
        ("one", "=", "<Red>", "Full"),
        ("one", "!=", "<Red>", "Bare"),
        ("one", "is_any_of", ["<Red>", "<Blue>"], "Full"),
        ("one", "is_none_of", ["<Blue>"], "Full Bare"),
        ("many", "has", ["<S>", "<M>"], "Full"),
        ("many", "has", ["<S>", "<L>"], ""),
        ("many", "!has", ["<S>", "<L>"], "Full Bare"),
        ("many", "has_any", ["<S>", "<L>"], "Full"),
        ("many", "!has_any", ["<L>"], "Full Bare"),
        ("stars", ">=", "4", "Full"),
        ("stars", "is_any_of", ["1", "4"], "Full"),
        ("zone", "=", "Asia/Tokyo", "Full"),
        ("zone", "!=", "Asia/Tokyo", "Bare"),
        ("who", "=", "is_me", "Full"),
        ("who", "is_any_of", ["<me>"], "Full"),
        ("docs", ">", 1, "Full"),
        ("docs", "<", 1, "Bare"),
        ("people", "contains", ["<ann>"], "Full"),
        ("people", "!contains", ["<ann>"], "Bare"),
        ("people", "is_none_of", ["<ann>"], "Bare"),
        *((name, "is_blank", True, "Bare") for name in SHOP if name != "flag"),
        *((name, "is_blank", False, "Full") for name in SHOP if name != "flag"),
    ],
)
def test_conditions_of_custom_fields(shop: Client, field: str, condition: str, value: Any, names: str) -> None:
    """The table of conditions, type by type."""
    body = custom(shop.server.field(COMPANIES, field).id, condition, resolve(shop, field, value))

    assert " ".join(shop.names(COMPANIES, body)) == names


@pytest.mark.parametrize(
    ("field", "condition", "value"),
    [
        ("n", "contains", 5),
        ("n", "=", "5"),
        ("n", "between", [1]),
        ("day", "=", "08.03.2026"),
        ("day", "month_equals", 13),
        ("flag", "!=", True),
        ("flag", "=", "yes"),
        ("one", "=", {"id": "x"}),
        ("one", "has", []),
        ("many", "has", "x"),
        ("stars", "=", 4),
        ("docs", "=", 1),
        ("people", "=", ["x"]),
    ],
)
def test_conditions_that_do_not_exist(shop: Client, field: str, condition: str, value: Any) -> None:
    """400: option values are bare ids, ratings are numbers as strings, checkboxes know only `=`."""
    body = custom(shop.server.field(COMPANIES, field).id, condition, value)

    assert shop.post(f"/records/{COMPANIES}/search", body).status_code == 400


def test_owner_of_default_fields(api: Client) -> None:
    """owner = is_me."""
    api.new(COMPANIES, name="Mine")
    api.server.add_record(COMPANIES, name="Nobody's")

    assert api.names(COMPANIES, clause("owner", "=", "is_me")) == ["Mine"]


def test_email_status_is_filtered_by_slug(api: Client) -> None:
    """A slug string, not an option id."""
    api.new(CONTACTS, email="ann@example.com", email_status={"name": "Opted In"})

    assert api.names(CONTACTS, clause("email_status", "=", "opted_in")) == ["ann@example.com"]
    assert api.post(f"/records/{CONTACTS}/search", clause("email_status", "=", "Opted In")).status_code == 400


def test_stage_is_filtered_with_overwrite(api: Client) -> None:
    """{"overwrite": {"type": "stage"}}, value a stage id."""
    deals = api.server.add_object("Deals", object_type="pipeline")
    api.new("deals", name="First")
    body = spelled("fields_v2", "non_custom", "stage", value=deals.stages[0].id, overwrite={"type": "stage"})

    assert api.names("deals", body) == ["First"]
    assert api.post("/records/deals/search", spelled("fields_v2", "non_custom", "stage")).status_code == 400


def test_results_are_fresh_after_every_change(api: Client) -> None:
    """Section 11: search right after a write sees it, although results are kept between the pages of a scan."""
    record_id = api.new(COMPANIES, name="Acme")
    assert api.names(COMPANIES) == ["Acme"]
    api.write(COMPANIES, record_id, name="Bolt")
    assert api.names(COMPANIES) == ["Bolt"]
    api.server.archive(record_id)
    assert api.names(COMPANIES) == []
