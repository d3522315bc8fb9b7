"""The JSON Schema accepts what `load` accepts, knows every key, and refuses what an editor should underline."""

import json
import tomllib
from pathlib import Path

import pytest

from syncengine.config import config_schema
from syncengine.registry import Registry
from tests.support.json_schema import faults
from tests.support.plugins import plugin

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "config").glob("**/*.toml"))
WEB = Registry(plugins={"web": plugin})

GOOD = """
state = "x.db"
region = "DE"
[systems.crm]
connector = "web"
url = "https://crm.example"
api_key = "k"
read_only = false
limits.max_calls = 3
[systems.office]
connector = "other"
anything = [1, 2]
[pairs.contacts]
left = "crm.a"
right = "office.b"
match = "email"
conflicts = "newer"
tolerance = "2 seconds"
full_sweep = 5
schedule = "every 5 minutes"
filter.left = [{ field = "a", is = true }, { any = [{ field = "b", one_of = ["x", 1] }] }]
guards = { deletes = "5%", updates = { share = "1%", number = 3 } }
[pairs.contacts.fields]
email = "email"
price = { left = "a", right = "b", as = "decimal(2)", decimal = { right = "," } }
born = { as = "date", format = "%d.%m.%Y", timezone = { left = "UTC" } }
origin = { right = "origin", constant = 5 }
state = { values = { a = "b" }, conflicts = "union", direction = "both", was = "old", references = "contacts" }
[daemon]
listen = "x"
"""


@pytest.mark.parametrize("registry", [None, WEB])
def test_the_schema_accepts_a_file_with_every_feature(registry):
    assert faults(tomllib.loads(GOOD), config_schema(registry)) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_schema_accepts_the_examples(path):
    assert faults(tomllib.loads(path.read_text("utf-8")), config_schema()) == []


WRONG = [
    ('region = "DE"', 'region = "Germany"', "$.region"),
    ('conflicts = "newer"', 'conflicts = "newest"', "$.pairs.contacts.conflicts"),
    ('match = "email"', "", "$.pairs.contacts: match is missing"),
    ('match = "email"', "macht = 1", "$.pairs.contacts.macht"),
    ('"decimal(2)"', '"number"', "$.pairs.contacts.fields.price"),
    ('deletes = "5%"', 'deletes = "5"', "$.pairs.contacts.guards.deletes"),
    ("limits.max_calls = 3", "limits.max_calls = 0", "$.systems.crm.limits.max_calls"),
    ('connector = "other"', "", "$.systems.office: connector is missing"),
    ('api_key = "k"', "", "$.systems.crm: api_key is missing"),
    ('api_key = "k"', 'api_key = "k"\napi_kee = 1', "$.systems.crm.api_kee"),
]


@pytest.mark.parametrize(("right", "wrong", "place"), WRONG)
def test_the_schema_refuses_a_mistake_where_it_stands(right, wrong, place):
    assert right in GOOD
    found = faults(tomllib.loads(GOOD.replace(right, wrong, 1)), config_schema(WEB))
    assert any(fault.startswith(place) for fault in found), found


def test_the_schema_describes_every_key_and_is_plain_json():
    schema = config_schema(WEB)
    json.dumps(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for table in ("PairTable", "FieldTable", "SystemTable"):
        properties = schema["$defs"][table]["properties"]
        undescribed = [key for key, part in properties.items() if "description" not in part and "$ref" not in part]
        assert not undescribed, table
    assert "null" not in json.dumps(schema)
