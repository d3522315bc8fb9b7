"""`config show` tells the effective config and no secret."""

import json

import pytest

from syncengine.config import load, show
from syncengine.registry import Registry
from tests.support.plugins import plugin

TEXT = """
[systems.crm]
connector = "web"
url = "https://me:canary-in-url@crm.example"
api_key = "canary-in-file"
second_key = "${KEY}"
[systems.office]
connector = "web"
url = "${URL}"
api_key = "canary-too"
page_size = 7
[pairs.contacts]
left = "crm.a"
right = "office.b"
match = "email"
filter.left = [{ field = "age", above = 17 }, { any = [{ field = "b", one_of = ["x", 1] }] }]
[pairs.contacts.fields]
email = "email"
price = { as = "decimal(2)", decimal = { right = "," } }
[daemon]
token = "${TOKEN}"
"""
WEB = Registry(plugins={"web": plugin})


@pytest.fixture
def config(tmp_path):
    (tmp_path / "s.toml").write_text(TEXT)
    return load(
        tmp_path / "s.toml",
        environ={"KEY": "canary-1", "URL": "http://x/canary-2", "TOKEN": "canary-3-of-twenty-four-characters"},
        registry=WEB,
    )


@pytest.mark.parametrize("registry", [WEB, None])
def test_no_secret_is_shown(config, registry):
    assert "canary" not in json.dumps(show(config, registry))


def test_secrets_of_the_file_are_known_to_redactors(config):
    assert {
        "canary-in-file",
        "canary-1",
        "canary-too",
        "http://x/canary-2",
        "canary-3-of-twenty-four-characters",
    } <= config.secrets


def test_systems_show_what_is_written_and_mask_what_is_secret(config):
    systems = show(config, WEB)["systems"]
    assert systems["crm"]["url"] == "https://me:***@crm.example"
    assert systems["crm"]["api_key"] == "********"
    assert systems["crm"]["second_key"] == "${KEY}"
    assert (systems["office"]["url"], systems["office"]["page_size"]) == ("${URL}", 7)


def test_pairs_show_their_defaults(config):
    pair = show(config, WEB)["pairs"]["contacts"]
    assert (pair["conflicts"], pair["deletes"], pair["direction"], pair["keyless"]) == ("ask", "ask", "both", "skip")
    assert pair["guards"]["deletes"] == {"share": "5%", "number": 10}
    assert pair["fields"]["price"] == {"left": "price", "right": "price", "as": "decimal(2)", "decimal": {"right": ","}}
    assert pair["filter"] == {
        "left": [{"field": "age", "above": 17}, {"any": [{"field": "b", "one_of": ["x", 1]}]}],
        "right": [],
    }
