"""The registry: names without imports, clear words for what cannot be used, options validated by the plugin's model."""

import sys
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path

import pytest

from syncengine.config.model import SystemConfig
from syncengine.connector import Context
from syncengine.errors import ConfigError
from syncengine.registry import Registry, open_system
from tests.support.plugins import plugin

WEB = Registry(plugins={"web": plugin})


class Named(Distribution):
    """A distribution of which only the name matters."""

    def __init__(self, name):
        self._named = name

    @property
    def name(self):
        return self._named

    def read_text(self, filename):
        return None

    def locate_file(self, path):
        raise NotImplementedError


def entry(name: str, value: str, distribution: str = "acme") -> EntryPoint:
    point = EntryPoint(name=name, value=value, group="syncengine.connectors")
    return point._for(Named(distribution))


def refusal(registry: Registry, name: str) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        registry.load(name)
    [problem] = caught.value.problems
    return problem.wrong, problem.cure


def test_our_own_connectors_are_found_by_entry_points_only():
    assert {"csv", "jsonl", "memory", "sql"} <= set(Registry.installed().names())
    assert Registry.installed().distribution("csv") == "syncengine"


def test_names_import_nothing():
    registry = Registry([entry("zzz", "no_such_module_zzz:plugin"), entry("aaa", "tests.support.plugins:plugin")])
    assert registry.names() == ("aaa", "zzz")
    assert "no_such_module_zzz" not in sys.modules


def test_a_plugin_is_imported_once_and_returned():
    registry = Registry([entry("web", "tests.support.plugins:plugin")])
    assert registry.load("web") is plugin
    assert registry.load("web") is plugin


def test_an_unknown_connector_names_the_nearest():
    assert refusal(WEB, "webb") == ('there is no connector "webb"', 'did you mean "web"?')
    assert refusal(Registry(), "x") == ('there is no connector "x"', "install a package that brings it")


def test_a_plugin_that_fails_to_import_names_its_package():
    wrong, cure = refusal(Registry([entry("x", "no_such_module_zzz:plugin")]), "x")
    assert (
        wrong
        == "the connector \"x\" of the package acme cannot be imported: ModuleNotFoundError: No module named 'no_such_module_zzz'"
    )
    assert cure == "install what it needs, or update acme"


def test_an_entry_point_that_is_no_plugin_names_its_package():
    wrong, cure = refusal(Registry([entry("x", "json:dumps")]), "x")
    assert (wrong, cure) == ("json:dumps of the package acme is no syncengine Plugin", "update acme")


def test_a_name_that_two_packages_claim_is_refused():
    wrong, cure = refusal(Registry([entry("x", "json:dumps"), entry("x", "json:loads", "rival")]), "x")
    assert (wrong, cure) == ('the connector "x" is registered twice, by acme and rival', "uninstall one of the packages")


def test_the_same_entry_point_seen_twice_is_one():
    """An editable install may be listed by two metadata folders."""
    point = entry("web", "tests.support.plugins:plugin")
    assert Registry([point, point]).load("web") is plugin


def test_a_system_is_opened_with_its_options_and_its_folder(tmp_path: Path):
    system = SystemConfig(name="crm", connector="web", options={"url": "u", "api_key": "k"})
    opened = open_system(system, WEB, base=tmp_path)
    assert opened.options.api_key.get_secret_value() == "k"
    assert opened.context == Context(system="crm", base=tmp_path)


WRONG_OPTIONS = [
    ({"url": "u"}, "systems.crm.api_key", "this key is missing", "add api_key = ..."),
    ({"url": 3, "api_key": "canary"}, "systems.crm.url", "3 is not text", "write it in quotes"),
    ({"url": "u", "api_key": 12345678}, "systems.crm.api_key", "this value is not text", "write it in quotes"),
    ({"url": "u", "api_kee": "canary", "api_key": "canary"}, "systems.crm.api_kee", "unknown key", 'did you mean "api_key"?'),
    ({"url": "u", "api_key": "canary", "page_size": 0}, "systems.crm.page_size", "0 is below 1", "write a number from 1"),
    ({"url": "u", "api_key": "canary", "page_size": "x"}, "systems.crm.page_size", '"x" is not a whole number', "without quotes"),
    ({"url": "u", "api_key": "canary", "second_key": "canary"}, "systems.crm", "api_key and second_key are the same", ""),
]  # fmt: skip


@pytest.mark.parametrize(("options", "place", "wrong", "cure"), WRONG_OPTIONS)
def test_a_wrong_option_is_named_with_its_cure_and_no_secret(tmp_path, options, place, wrong, cure):
    system = SystemConfig(name="crm", connector="web", options=options)
    with pytest.raises(ConfigError) as caught:
        open_system(system, WEB, base=tmp_path)
    [problem] = caught.value.problems
    assert (problem.place, problem.wrong) == (place, wrong)
    assert problem.cure.endswith(cure)
    assert "canary" not in str(caught.value)
    assert "12345678" not in str(caught.value)


def test_secret_options_are_known_by_name():
    assert WEB.secret_options("web") == {"api_key", "second_key"}
