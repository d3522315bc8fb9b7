"""Whatever a file holds, loading it ends in a Config or in a ConfigError whose text is safe to print."""

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from syncengine.config import load, show
from syncengine.errors import ConfigError
from syncengine.wording import harmless

SCALARS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["5%", "every 5 minutes", "at start", "* * * * *", "crm.a", "office.b", "email", "ask", "${X}", "${file:x}", "decimal(2)"]
    ),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.datetimes(),
    st.dates(),
    st.times(),
)
WORDS = """
state region systems pairs daemon connector read_only timezone limits left right match fields direction conflicts deletes keyless
filter guards schedule tolerance full_sweep was as references format decimal values constant field is any one_of blank share
number updates creates crm office email max_calls
"""
KEYS = st.one_of(st.sampled_from(WORDS.split()), st.text(max_size=6))
TREES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=6)), max_leaves=40
)
DOCUMENTS = st.dictionaries(KEYS, TREES, max_size=6)
PAIRS = st.fixed_dictionaries(
    {
        "systems": st.fixed_dictionaries({"crm": st.just({"connector": "csv"}), "office": TREES}),
        "pairs": st.dictionaries(KEYS, st.dictionaries(KEYS, TREES, max_size=8), max_size=3),
    }
)


def toml(value: object) -> str:
    """TOML of a plain value, every table inline."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + "".join(f"\\U{ord(char):08x}" for char in value if not 0xD800 <= ord(char) < 0xE000) + '"'
        case dict():
            return "{" + ", ".join(f"{toml(key)} = {toml(child)}" for key, child in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case int() | float():
            return repr(value)
        case _:
            return value.isoformat()


def outcome(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.toml"
        path.write_bytes(content)
        with contextlib.suppress(ConfigError):
            show(load(path, environ={}))
            return
        with pytest.raises(ConfigError) as caught:
            load(path, environ={})
        assert caught.value.problems
        assert all(harmless(line) == line for line in str(caught.value).split("\n"))


@settings(deadline=None)
@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf")
@example(b"a = " + b"[" * 5000)
@example(b"a = " + b"[" * 60 + b"]" * 60)
@example(b"a = " + b"9" * 5000)
@example(b"a = 0x" + b"f" * 5000)
@example(b"state = 0x" + b"f" * 5000)
@example(b"state = 1e999999999999")
@example(b"a" + b".a" * 3000 + b" = 1")
@example(b"a = nan\nstate = -inf")
def test_any_bytes_end_in_a_config_or_its_problems(content):
    outcome(content)


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("[]{}=\"'.,#\n ab1-_$:\\"), max_size=80))
def test_any_toml_like_text_ends_in_a_config_or_its_problems(text):
    outcome(text.encode())


@settings(deadline=None)
@given(DOCUMENTS | PAIRS)
@example({"[key]": []})
@example({"pairs": {"p": {"fields": {"": "", "[key]": 3}}}})
def test_any_toml_document_ends_in_a_config_or_its_problems(document):
    lines = [f"{toml(key)} = {toml(value)}" for key, value in document.items()]
    outcome("\n".join(lines).encode())
