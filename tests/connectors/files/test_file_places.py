"""Which files a `path` means, how they are listed, and what options are taken."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import pytest
from pydantic import ValidationError

from connectors.csv import plugin as csv_plugin
from connectors.jsonl import plugin as jsonl_plugin
from syncengine.connector import Context, Finder, Getter, Plugin
from syncengine.errors import ResourceError


def connected(base: Path, path: str, plugin: Plugin = csv_plugin, **options):
    return plugin.connect(plugin.options.model_validate({"path": path, **options}), Context(system="office", base=base))


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "people"
    folder.mkdir()
    for name in ("b.csv", "a.csv", "c.CSV", "notes.txt", ".hidden.csv", "~$a.csv", "d.jsonl"):
        (folder / name).write_text("id,name\n1,Ann\n")
    (folder / "sub.csv").mkdir()
    return folder


def test_a_folder_lists_its_csv_files_by_stem(folder):
    resources = connected(folder.parent, "people/").resources()
    assert list(resources) == ["a", "b", "c"]
    assert len(resources) == 3
    assert "b" in resources
    assert "notes" not in resources
    assert resources["c"].name == "c"


def test_a_jsonl_folder_lists_its_own(folder):
    assert list(connected(folder.parent, "people", jsonl_plugin).resources()) == ["d"]


def test_a_single_file_is_one_resource_whatever_its_suffix(tmp_path):
    (tmp_path / "export.txt").write_text("id\tname\n1\tAnn\n")
    connector = connected(tmp_path, "export.txt")
    assert list(connector.resources()) == ["export"]
    assert [page.rows for page in connector.read("export", fields=["name"])] == [[("Ann",)]]


def test_an_unknown_name_is_a_key_error_that_tells_the_cure(folder):
    with pytest.raises(KeyError, match=r"no file z\.csv: make the file with a header line"):
        connected(folder.parent, "people").resources()["z"]
    with pytest.raises(KeyError, match="one file, the resource 'a'"):
        connected(folder, "a.csv").resources()["z"]


def test_a_resource_whose_file_does_not_exist_yet_says_to_make_one(folder):
    connector = connected(folder.parent, "people")
    for call in (
        lambda: list(connector.read("z", fields=[])),
        lambda: connector.write("z", []),
        lambda: connector.get("z", [], fields=[]),
    ):
        with pytest.raises(ResourceError, match="make the file with a header line, such as id,email,name"):
            call()
    with pytest.raises(ResourceError, match="make an empty file"):
        list(connected(folder.parent, "people", jsonl_plugin).read("z", fields=[]))


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a.csv", "a/../a", ".hidden", "sub"])
def test_a_resource_name_never_leads_out_of_the_folder(folder, name):
    (folder.parent / "secret.csv").write_text("id\n1\n")
    with pytest.raises(ResourceError):
        list(connected(folder.parent, "people").read(name, fields=[]))


def test_two_files_of_one_stem_are_an_error(folder):
    (folder / "A.csv").write_text("id\n")
    assert "A" in connected(folder.parent, "people").resources()
    (folder / "a.CSV").write_text("id\n")
    with pytest.raises(ResourceError, match="same resource 'a'"):
        list(connected(folder.parent, "people").resources())


def test_check_tells_where_we_are_and_what_is_missing(folder, tmp_path):
    account = connected(tmp_path, "people").check()
    assert (account.id, account.notes) == (str(folder.resolve()), ())
    (tmp_path / "empty").mkdir()
    assert "has no *.csv file yet" in connected(tmp_path, "empty").check().notes[0]
    with pytest.raises(ResourceError, match="does not exist"):
        connected(tmp_path, "nowhere").check()


def test_the_same_place_by_another_way_is_the_same_account(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert connected(tmp_path, "link").check().id == connected(tmp_path, "people").check().id
    assert connected(tmp_path, "./people/../people").check().id == connected(tmp_path, "people").check().id


def test_connecting_touches_nothing(tmp_path):
    connector = connected(tmp_path, "nowhere/at/all")
    assert isinstance(connector, Getter)
    assert isinstance(connector, Finder)
    connector.resources()
    connector.close()


def test_an_absolute_path_stands_for_itself(folder):
    assert list(connected(Path("/"), str(folder)).resources()) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({}, "path"),
        ({"path": "x", "delimiter": ",,"}, "one character"),
        ({"path": "x", "delimiter": '"'}, "one character"),
        ({"path": "x", "encoding": "utf-9"}, "utf-9"),
        ({"path": "x", "encoding": "rot13"}, "rot13"),
        ({"path": "x", "encoding": "utf-7"}, "utf-7"),
        ({"path": "x", "encoding": "iso2022_jp"}, "iso2022_jp"),
        ({"path": "x", "id": ""}, "id"),
        ({"path": "x", "idd": "y"}, "idd"),
    ],
)
def test_wrong_options_are_named(options, word):
    with pytest.raises(ValidationError, match=word):
        csv_plugin.options.model_validate(options)


@pytest.mark.parametrize("name", ["csv", "jsonl"])
def test_the_plugins_are_found_by_entry_point(name):
    (entry,) = entry_points(group="syncengine.connectors", name=name)
    assert isinstance(entry.load(), Plugin)
