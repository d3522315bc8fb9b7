"""The guide for authors of connectors is followed letter by letter."""

from __future__ import annotations

from syncengine.connector import Capabilities
from syncengine.testing.skeleton import skeleton
from tests.support.documents import ROOT, Shell, assert_shown, blocks

GUIDE = ROOT / "docs" / "write-a-connector.md"


def without_blank_lines(text):
    return [line for line in text.splitlines() if line.strip()]


def test_the_guide_builds_the_connector_of_the_skeleton():
    """The Python blocks of its middle part, one after the other, are the module that `connectors new` writes."""
    parts = [block.text for block in blocks(GUIDE) if block.language == "python" and block.heading[0] in "234567"]
    files = skeleton("acme")
    assert without_blank_lines("".join(parts)) == without_blank_lines(files["syncengine_acme/__init__.py"])
    [settings] = [block.text for block in blocks(GUIDE) if block.language == "toml"]
    assert settings in files["pyproject.toml"]
    [tested] = [block.text for block in blocks(GUIDE) if block.text.startswith("class Test")]
    assert tested in files["tests/test_acme.py"]


def test_the_guide_names_only_capabilities_that_there_are():
    told = GUIDE.read_text("utf-8").partition("## 4.")[2].partition("```")[0]
    names = set(Capabilities.__dataclass_fields__)
    listed = [word for line in told.splitlines() if line.startswith("- ") for word in line.partition(":")[0].split("`")[1::2]]
    assert len(listed) == 7
    assert set(listed) - {"unique"} <= names


def test_every_command_of_the_guide_does_what_it_shows(tmp_path):
    """From `connectors new` to the card, in a fresh folder and an environment into which the package is installed."""
    shell, output = Shell(tmp_path), ""
    for block in blocks(GUIDE):
        if block.language == "sh":
            code, output = shell.run(block.text)
            broken = block.text.startswith("sed ")
            assert code == (1 if broken else 0), output
        elif block.language == "text":
            assert_shown(block.text, output)
