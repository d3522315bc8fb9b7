"""Sections 4 and 5.8 of records-api.md: relationships, their mirror fields, summaries above 100 values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.kizen.server import RecordsServer
from tests.connectors.records_server.client import COMPANIES, CONTACTS, NO_TLS, Client

CARDINALITIES = {
    "one_to_one": ("one_to_one", "one_to_one"),
    "primary": ("many_to_one", "one_to_many"),
    "primary_for": ("one_to_many", "many_to_one"),
    "additional": ("many_to_many", "many_to_many"),
    "additional_for": ("many_to_many", "many_to_many"),
}


def relate(api: Client, kind: str) -> tuple[str, str]:
    """Objects artists and albums tied by a field on albums; the api_names of the field and of its mirror."""
    api.server.add_object("Artists")
    api.server.add_object("Albums")
    relation = {"to": "artists", "type": kind, "related_name": "Albums"}
    field = api.server.add_field("albums", "Artist", "relationship", relation=relation)
    assert field.relation is not None
    return field.name, api.server.object("artists").fields[field.relation.mirror_id].name


def ids(value: Any) -> list[str]:
    """The ids in a relationship value of either cardinality."""
    return [] if value is None else [one["id"] for one in (value if isinstance(value, list) else [value])]


@pytest.mark.parametrize("kind", list(CARDINALITIES))
def test_creating_a_relationship_creates_its_mirror(api: Client, kind: str) -> None:
    """Section 4: cardinality follows from relation_type; the mirror field is created on the other object."""
    field, mirror = relate(api, kind)
    here, there = api.fields("albums")[field]["relation"], api.fields("artists")[mirror]["relation"]

    assert (here["cardinality"], there["cardinality"]) == CARDINALITIES[kind]
    assert here["related_field"] == api.fields("artists")[mirror]["id"]
    assert there["related_field"] == api.fields("albums")[field]["id"]
    assert here["related_object_object_name"] == "artists"


def test_the_metadata_of_a_relationship(api: Client) -> None:
    """Section 7: the relation block."""
    relate(api, "primary")

    assert set(api.fields("albums")["artist"]["relation"]) >= {
        "related_object",
        "related_object_name",
        "related_object_object_name",
        "related_field",
        "related_category",
        "related_name",
        "related_entity_name",
        "relation_type",
        "cardinality",
        "fetch_url",
    }


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: {"id": one}, lambda one: {"name": "queen"}])
def test_to_one_is_written_as_a_scalar_and_read_as_an_object(api: Client, wrap: Any) -> None:
    """Section 4, C4: bare id, {"id"} or {"name"}; read {"id", "name"}."""
    relate(api, "primary")
    queen = api.new("artists", name="Queen")
    album = api.new("albums", name="Jazz", artist=wrap(queen))

    assert api.read("albums", album)["artist"] == {"id": queen, "name": "Queen"}
    assert api.write("albums", album, artist=[queen]).status_code == 400


def test_a_related_contact_reads_with_name_and_email(api: Client) -> None:
    """Section 4."""
    company = api.new(COMPANIES, name="Acme")
    ann = api.new(CONTACTS, email="ann@example.com", first_name="Ann", last_name="Lee", company_primary=company)

    assert api.read(COMPANIES, company)["contacts"] == [
        {"id": ann, "first_name": "Ann", "last_name": "Lee", "email": "ann@example.com"}
    ]


def test_to_many_is_written_as_a_list(api: Client) -> None:
    """Section 4."""
    relate(api, "additional")
    one, two = api.new("artists", name="One"), api.new("artists", name="Two")
    album = api.new("albums", name="Duo", artist=[one, {"id": two}])

    assert ids(api.read("albums", album)["artist"]) == [one, two]
    assert ids(api.read("artists", one)["albums"]) == [album]
    assert api.write("albums", album, artist=one).status_code == 400


def test_writing_one_side_changes_the_other(api: Client) -> None:
    """Section 4: in both directions, and when the partner changes."""
    relate(api, "primary")
    one, two = api.new("artists", name="One"), api.new("artists", name="Two")
    album = api.new("albums", name="Jazz", artist=one)
    api.write("albums", album, artist=two)

    assert "albums" not in api.read("artists", one)
    assert ids(api.read("artists", two)["albums"]) == [album]
    api.write("artists", one, albums=[album])
    assert ids(api.read("albums", album)["artist"]) == [one]
    assert "albums" not in api.read("artists", two)
    api.write("artists", one, albums=[])
    assert "artist" not in api.read("albums", album)


def test_one_to_one_lets_go_of_the_former_partner(api: Client) -> None:
    """Section 4: both sides hold one."""
    relate(api, "one_to_one")
    artist = api.new("artists", name="One")
    first, second = api.new("albums", name="A", artist=artist), api.new("albums", name="B", artist=artist)

    assert "artist" not in api.read("albums", first)
    assert ids(api.read("artists", artist)["albums"]) == [second]


def test_a_relation_may_lead_to_the_same_object(api: Client) -> None:
    """Contacts that report to contacts: two fields of one object."""
    relation = {"to": CONTACTS, "type": "primary", "related_name": "Reports"}
    api.server.add_field(CONTACTS, "Manager", "relationship", relation=relation)
    boss = api.new(CONTACTS, email="boss@example.com")
    ann = api.new(CONTACTS, email="ann@example.com", manager=boss)

    assert ids(api.read(CONTACTS, boss)["reports"]) == [ann]


@pytest.mark.parametrize("bad", ["0b8f6d0e-2f7a-4c52-9c6f-3a3c2d6f7a10", {"name": "nobody"}, "archived", "invisible"])
def test_what_cannot_be_referenced_is_refused(api: Client, bad: Any) -> None:
    """Section 2.3: does_not_exist is a referenced id inside the body that does not resolve."""
    relate(api, "primary")
    artist = api.new("artists", name="One")
    if bad == "archived":
        api.server.archive(artist)
    elif bad == "invisible":
        api.server.permit(artist, visible=False)
    answer = api.add("albums", {"name": "Jazz", "artist": artist if bad in ("archived", "invisible") else bad})

    assert answer.status_code == 400
    assert answer.json()["fields"][1]["value"][0]["code"] == "does_not_exist"


def test_an_archived_partner_is_not_shown_until_it_is_back(api: Client) -> None:
    """Section 5.11: existing relationships survive archiving and return with the record."""
    relate(api, "primary")
    artist = api.new("artists", name="One")
    album = api.new("albums", name="Jazz", artist=artist)
    api.server.archive(artist)

    assert "artist" not in api.read("albums", album)
    api.server.unarchive(artist)
    assert ids(api.read("albums", album)["artist"]) == [artist]


@pytest.mark.parametrize("bumps", [True, False])
def test_whether_the_other_side_counts_as_updated(api: Client, bumps: bool) -> None:
    """Section 15.6: whether a change on the other side moves `updated` is not documented: switch."""
    api.server.switch("mirror_bumps_updated", bumps)
    relate(api, "primary")
    artist = api.new("artists", name="One")
    before = api.read("artists", artist)["updated"]
    api.new("albums", name="Jazz", artist=artist)

    assert (api.read("artists", artist)["updated"] > before) is bumps


def test_values_above_100_are_summarised(api: Client) -> None:
    """Section 4: value_summary {"count": N} instead of value above 100 values; 5.8 has them all."""
    company = api.new(COMPANIES, name="Acme")
    for number in range(101):
        contact = api.server.add_record(CONTACTS, email=f"c{number:03}@example.com", company_primary=company)
        if number == 99:
            assert len(api.read(COMPANIES, company)["contacts"]) == 100
    field = api.server.field(COMPANIES, "contacts").id
    entry = api.get(f"/records/{COMPANIES}/{company}").json()["fields"][field]
    first = api.get(f"/records/{company}/field-values/{field}", page_size=60).json()
    rest = api.http.get(first["next"]).json()

    assert "value" not in entry
    assert entry["value_summary"] == {"count": 101}
    assert first["count"] == 101
    assert len({one["id"] for one in first["results"] + rest["results"]}) == 101
    assert set(first["results"][0]) == {"id", "first_name", "last_name", "full_name", "email", "display_name"}
    api.server.archive(contact)
    assert len(api.read(COMPANIES, company)["contacts"]) == 100


def test_field_values_of_custom_objects(api: Client) -> None:
    """Section 5.8: items are {id, name, display_name}; `search` narrows."""
    relate(api, "additional")
    one, two = api.new("artists", name="One"), api.new("artists", name="Two")
    album = api.new("albums", name="Duo", artist=[one, two])
    path = f"/records/{album}/field-values/{api.server.field('albums', 'artist').id}"

    assert api.get(path).json()["results"] == [
        {"id": one, "name": "One", "display_name": "One"},
        {"id": two, "name": "Two", "display_name": "Two"},
    ]
    assert [row["id"] for row in api.get(path, search="tw").json()["results"]] == [two]
    assert api.get(f"/records/{album}/field-values/{api.server.field('albums', 'name').id}").status_code == 404


def test_related_pipeline_records(api: Client) -> None:
    """Section 5.9: the pipeline records tied to a record, paginated."""
    relation = {"to": COMPANIES, "type": "primary", "related_name": "Deals"}
    deals = api.server.add_object("Deals", object_type="pipeline")
    api.server.add_field("deals", "Company", "relationship", relation=relation)
    company = api.new(COMPANIES, name="Acme")
    deal = api.new("deals", name="First", company=company)
    path = f"/records/{company}/related-pipeline-records"

    assert [row["id"] for row in api.post(path).json()["results"]] == [deal]
    assert [row["id"] for row in api.post(path, {"object_ids": [deals.id]}).json()["results"]] == [deal]
    assert api.post(path, {"object_ids": []}).json()["results"] == []


# The two sides never disagree


@pytest.fixture(scope="module")
def shared() -> Iterator[Client]:
    with RecordsServer() as server, httpx.Client(base_url=server.url, headers=server.credentials.headers, verify=NO_TLS) as http:
        yield Client(server, http)


@pytest.mark.parametrize("kind", list(CARDINALITIES))
def test_both_sides_always_tell_the_same(shared: Client, kind: str) -> None:
    """Section 4: after any sequence of writes on either side, the mirror is the exact inverse, within its cardinality."""
    server = shared.server
    left, right = server.add_object(f"Left {kind}"), server.add_object(f"Right {kind}")
    relation = {"to": right.name, "type": kind, "related_name": "Lefts"}
    field = server.add_field(left.name, "Rights", "relationship", relation=relation)
    assert field.relation is not None
    mirror = right.fields[field.relation.mirror_id]
    sides = {
        0: (field, [server.add_record(left.name, name=f"L{n}") for n in range(4)]),
        1: (mirror, [server.add_record(right.name, name=f"R{n}") for n in range(4)]),
    }
    step = st.tuples(st.integers(0, 1), st.integers(0, 3), st.lists(st.integers(0, 3), unique=True))

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(step, max_size=8))
    def run(steps: list[tuple[int, int, list[int]]]) -> None:
        for side, record, partners in steps:
            one, mine = sides[side]
            chosen = [sides[1 - side][1][number] for number in partners]
            server.edit(mine[record], {one.name: chosen if one.multiple else next(iter(chosen), None)})
        links = [
            {
                (mine, other) if side == 0 else (other, mine)
                for mine in sides[side][1]
                for value in [server.record(mine).get(sides[side][0].name, ())]
                for other in (value if isinstance(value, tuple) else (value,))
            }
            for side in (0, 1)
        ]
        assert links[0] == links[1]

    run()


def test_the_threshold_of_summaries_is_adjustable(api: Client) -> None:
    """Section 4: any multi-value above the threshold, tags included; 5.8 lists those too."""
    api.server.switch("summary_threshold", 1)
    for name in ("one", "two"):
        api.server.add_option(CONTACTS, "tags", name)
    contact = api.server.add_record(CONTACTS, email="ann@example.com", tags=["one", "two"])
    path = f"/records/{contact}/field-values/{api.server.field(CONTACTS, 'tags').id}"

    assert api.read(CONTACTS, contact)["tags"] == {"count": 2}
    assert [one["display_name"] for one in api.get(path).json()["results"]] == ["one", "two"]
