"""What a right config comes to: systems and pair specifications, shorthands spelled out, defaults filled in."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from syncengine.config import Limits, load
from syncengine.connector import FieldType
from syncengine.core.model import (
    AnyOf,
    Condition,
    Deletes,
    Direction,
    End,
    FieldSpec,
    Guards,
    Keyless,
    Limit,
    PairSpec,
    Policy,
    Side,
    Test,
)

WHOLE = """
state = "state/people.db"
region = "US"

[systems.crm]
connector = "kizen"
api_key = "k"
timeout = 1.5
read_only = true
timezone = "Europe/Berlin"
limits = { requests_per_second = 5, max_concurrency = 4, max_calls = 1000 }

[systems.office]
connector = "sql"
url = "sqlite:///office.db"

[pairs.contacts]
left = "crm.client_client"
right = "office.public.people"
match = ["email", "name"]
direction = "both"
conflicts = "newer"
deletes = "propagate"
keyless = "create"
schedule = "every 5 minutes"
tolerance = "3 seconds"
full_sweep = "12 hours"
was = "people"
filter.right = [
    { field = "active", is = true },
    { field = "age", above = 17, below = 99.5 },
    { any = [{ field = "country", one_of = ["DE", "FR"] }, { field = "vip", blank = false }] },
]

[pairs.contacts.fields]
email = "email"
name = { as = "text" }
first_name = { left = "first_name", right = "given_name", was = "given" }
tags = { left = "tags", right = "labels", as = "set", conflicts = "union" }
company = { left = "company_primary", right = "company_id", references = "companies" }
country = { left = "country", right = "country", direction = "left_to_right" }
birthday = { left = "birthday", right = "born", as = "date", format = { right = "%d.%m.%Y" } }
price = { left = "price", right = "preis", as = "decimal(2)", decimal = { left = ".", right = "," } }
seen = { left = "seen", right = "seen_at", as = "datetime", timezone = "UTC", format = "%Y-%m-%d %H:%M" }
status = { left = "stage", right = "status", values = { Won = "closed_won" } }
origin = { right = "origin", constant = "crm" }

[pairs.contacts.guards]
deletes = "5%"
updates = { share = "12.5%", number = 7 }

[pairs.companies]
left = "crm.companies"
right = "office.companies"
match = "name"
fields = { name = "name" }

[daemon]
listen = "127.0.0.1:8080"
"""


@pytest.fixture
def config(tmp_path: Path):
    path = tmp_path / "syncengine.toml"
    path.write_text(WHOLE)
    return load(path, environ={})


def test_a_whole_pair_becomes_its_specification(config):
    assert config.pairs["contacts"] == PairSpec(
        name="contacts",
        left=End(system="crm", resource="client_client"),
        right=End(system="office", resource="public.people"),
        match=("email", "name"),
        fields=(
            FieldSpec(name="email", left="email", right="email"),
            FieldSpec(name="name", left="name", right="name", type=FieldType.TEXT),
            FieldSpec(name="first_name", left="first_name", right="given_name", was="given"),
            FieldSpec(name="tags", left="tags", right="labels", type=FieldType.SET, conflicts=Policy.UNION),
            FieldSpec(
                name="company", left="company_primary", right="company_id", type=FieldType.REFERENCE, references="companies"
            ),
            FieldSpec(name="country", left="country", right="country", direction=Direction.LEFT_TO_RIGHT),
            FieldSpec(name="birthday", left="birthday", right="born", type=FieldType.DATE, format={Side.RIGHT: "%d.%m.%Y"}),
            FieldSpec(
                name="price",
                left="price",
                right="preis",
                type=FieldType.DECIMAL,
                scale=2,
                decimal={Side.LEFT: ".", Side.RIGHT: ","},
            ),
            FieldSpec(
                name="seen",
                left="seen",
                right="seen_at",
                type=FieldType.DATETIME,
                timezone={Side.LEFT: "UTC", Side.RIGHT: "UTC"},
                format={Side.LEFT: "%Y-%m-%d %H:%M", Side.RIGHT: "%Y-%m-%d %H:%M"},
            ),
            FieldSpec(name="status", left="stage", right="status", values={"Won": "closed_won"}),
            FieldSpec(name="origin", left=None, right="origin", constant="crm", is_constant=True),
        ),
        direction=Direction.BOTH,
        conflicts=Policy.NEWER,
        deletes=Deletes.PROPAGATE,
        keyless=Keyless.CREATE,
        filters={
            Side.RIGHT: (
                Condition(field="active", test=Test.IS, value=True),
                Condition(field="age", test=Test.ABOVE, value=17),
                Condition(field="age", test=Test.BELOW, value=Decimal("99.5")),
                AnyOf(
                    conditions=(
                        Condition(field="country", test=Test.ONE_OF, value=("DE", "FR")),
                        Condition(field="vip", test=Test.BLANK, value=False),
                    )
                ),
            )
        },
        guards=Guards(deletes=Limit(share=0.05, number=10), updates=Limit(share=0.125, number=7)),
        tolerance=3.0,
        schedule="every 5 minutes",
        full_sweep=43200.0,
        was="people",
    )


def test_a_pair_of_the_least_words_gets_the_safe_defaults(config):
    assert config.pairs["companies"] == PairSpec(
        name="companies",
        left=End(system="crm", resource="companies"),
        right=End(system="office", resource="companies"),
        match=("name",),
        fields=(FieldSpec(name="name", left="name", right="name"),),
        conflicts=Policy.ASK,
        deletes=Deletes.ASK,
        keyless=Keyless.SKIP,
        guards=Guards(
            deletes=Limit(share=0.05, number=10), updates=Limit(share=0.5, number=100), creates=Limit(share=0.5, number=100)
        ),
    )


def test_a_system_keeps_the_options_of_its_connector_apart(config):
    crm = config.systems["crm"]
    assert crm.connector == "kizen"
    assert crm.options == {"api_key": "k", "timeout": 1.5}
    assert (crm.read_only, crm.timezone) == (True, "Europe/Berlin")
    assert crm.limits == Limits(max_concurrency=4, requests_per_second=5.0, max_calls=1000)
    assert config.systems["office"].options == {"url": "sqlite:///office.db"}
    assert config.systems["office"].limits == Limits()


def test_paths_start_from_the_folder_of_the_file(config, tmp_path):
    assert config.path == tmp_path / "syncengine.toml"
    assert config.base == tmp_path
    assert config.state == tmp_path / "state" / "people.db"


def test_the_state_stands_beside_the_config_under_its_name(tmp_path):
    (tmp_path / "people.toml").write_text(WHOLE.replace('state = "state/people.db"', ""))
    assert load(tmp_path / "people.toml", environ={}).state == tmp_path / "people.db"


def test_the_rest_of_the_file_is_kept(config):
    assert config.region == "US"
    assert str(config.daemon.listen) == "127.0.0.1:8080"


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path):
    (tmp_path / "s.toml").write_bytes(b"\xef\xbb\xbf" + WHOLE.replace("\n", "\r\n").encode())
    assert load(tmp_path / "s.toml", environ={}).pairs.keys() == {"contacts", "companies"}


@pytest.mark.parametrize("value", ["2020-01-31", "2020-01-31T12:00:00Z", "12:30:00"])
def test_filters_take_dates_and_times(tmp_path, value):
    (tmp_path / "s.toml").write_text(WHOLE.replace("above = 17", f"above = {value}"))
    condition = load(tmp_path / "s.toml", environ={}).pairs["contacts"].filters[Side.RIGHT][1]
    assert isinstance(condition.value, dt.date | dt.datetime | dt.time)


def test_two_one_way_fields_may_read_the_same_field(tmp_path):
    text = WHOLE.replace(
        "origin = {", 'greeting = { left = "first_name", right = "greeting", direction = "left_to_right" }\norigin = {'
    )
    (tmp_path / "s.toml").write_text(text)
    assert len(load(tmp_path / "s.toml", environ={}).pairs["contacts"].fields) == 12


def test_many_to_one_values_are_fine_one_way(tmp_path):
    text = WHOLE.replace('values = { Won = "closed_won" }', 'direction = "left_to_right", values = { Won = "x", Lost = "x" }')
    (tmp_path / "s.toml").write_text(text)
    assert load(tmp_path / "s.toml", environ={}).pairs["contacts"].fields[-2].values == {"Won": "x", "Lost": "x"}


@pytest.mark.parametrize("field", [
    'phone = { as = "decimal", format = "1.234,56" }', 'phone = { as = "boolean", format = "ja/nein" }',
    'phone = { as = "set", format = ";" }', 'phone = { as = "phone", format = "DE" }', 'phone = { format = ";" }',
    'phone = { as = "date", timezone = "Europe/Berlin" }', 'phone = { as = "reference", references = "contacts", conflicts = "union" }',
])  # fmt: skip
def test_formats_and_zones_that_fit_the_type_are_left_to_the_mapping_to_judge(tmp_path: Path, field: str) -> None:
    text = (
        '[systems.a]\nconnector = "csv"\n[systems.b]\nconnector = "csv"\n'
        '[pairs.contacts]\nleft = "a.people"\nright = "b.people"\nmatch = "email"\n'
        f'[pairs.contacts.fields]\nemail = "email"\n{field}\n'
    )
    (tmp_path / "c.toml").write_text(text)
    assert load(tmp_path / "c.toml", environ={}).pairs["contacts"].fields[1].name == "phone"
