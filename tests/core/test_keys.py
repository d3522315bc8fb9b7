"""Match keys: what counts as the same, and what never does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.core.keys import composite_key, email_key, text_key
from syncengine.core.unmappable import Unmappable
from tests.support.pairs import HOSTILE_TEXTS, texts

everything = texts | st.text(st.characters(exclude_categories=["Cs"], min_codepoint=0x80), max_size=8)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Ann@X.org ", "ann@x.org"),
        ("ann@x.org", "\u200bann@x.org\ufeff"),
        ("ann@x.org", "\u00a0ann@x.org\u00a0"),
        ("ANN@B\u00dcCHER.de", "ann@b\u00fccher.de"),
        ("ann@b\u00fccher.de", "ann@xn--bcher-kva.de"),
        ("ann@bu\u0308cher.de", "ann@b\u00fccher.de"),
        ("jos\u00e9@x.org", "jose\u0301@x.org"),
        ("\u202eann@x.org", "ann@x.org"),
    ],
)
def test_emails_that_are_one_address_share_a_key(one, two):
    assert email_key(one) == email_key(two) is not None


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("a.nn@x.org", "ann@x.org"),
        ("ann+news@x.org", "ann@x.org"),
        ("ann@x.org", "ann@y.org"),
        ("ann@x.org", "ann\uff20x.org"),
        ("jose@x.org", "jos\u00e9@x.org"),
        ("ill@x.org", "\u0131ll@x.org"),
    ],
)
def test_emails_that_are_two_addresses_have_two_keys(one, two):
    assert email_key(one) != email_key(two)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("ACME", "Acme "),
        ("Acme  Ltd", "acme ltd"),
        ("Acme\u00a0Ltd", "acme\tltd"),
        ("Stra\u00dfe", "STRASSE"),
        ("Zoe\u0308", "ZO\u00cb"),
        ("Ac\u00adme", "acme"),
        ("\u0130", "i\u0307"),
    ],
)
def test_names_that_read_the_same_share_a_key(one, two):
    assert text_key(one) == text_key(two) is not None


@pytest.mark.parametrize("blank", ["", " ", "\t\r\n", "\u00a0", "\u200b", "\ufeff \u200d", "\u202e"])
def test_blank_text_has_no_key(blank):
    assert text_key(blank) is None
    assert email_key(blank) is None


@pytest.mark.parametrize("make", [text_key, email_key])
@pytest.mark.parametrize("broken", ["\ud800", "ann\udfff@x.org"])
def test_half_a_surrogate_pair_is_unmappable(make, broken):
    with pytest.raises(Unmappable, match="surrogate"):
        make(broken)


@pytest.mark.parametrize("make", [text_key, email_key])
@settings(deadline=None, max_examples=500)
@given(text=everything)
def test_a_key_is_its_own_key(make, text):
    key = make(text)
    assert key is None or make(key) == key


@pytest.mark.parametrize("make", [text_key, email_key])
def test_every_letter_and_mark_by_itself_and_after_a_letter_has_a_stable_key(make):
    cased_or_composed = [(0, 0x3400), (0xA4D0, 0xAC00), (0xF900, 0x10000), (0x10400, 0x10600), (0x1D000, 0x1F200)]
    for code in (code for first, last in cased_or_composed for code in range(first, last)):
        for text in (chr(code), "a" + chr(code), f"a{chr(code)}@{chr(code)}b.org"):
            key = make(text)
            assert key is None or make(key) == key, hex(code)


@settings(deadline=None)
@given(everything)
def test_case_and_outer_space_never_change_a_key(text):
    assert text_key(f" {text}\t") == text_key(text)
    assert text_key(text.casefold()) == text_key(text)
    assert email_key(f"  {text} ") == email_key(text)


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=ascii)
def test_hostile_text_has_a_key_or_none(text):
    assert isinstance(text_key(text), str | None)
    assert isinstance(email_key(f"{text}@{text}"), str | None)


@given(st.lists(st.text(min_size=1), min_size=2, max_size=4), st.lists(st.text(min_size=1), min_size=2, max_size=4))
def test_composite_keys_are_equal_only_when_every_part_is(one, two):
    assert (composite_key(one) == composite_key(two)) is (one == two)


def test_one_part_is_its_own_key_and_several_are_a_json_list():
    assert composite_key(["ann@x.org"]) == "ann@x.org"
    assert json.loads(composite_key(["a", "b"])) == ["a", "b"]


@pytest.mark.parametrize("parts", [[], [None], [""], ["a", None], [None, "b"], ["a", ""]])
def test_a_blank_part_makes_the_whole_key_none(parts):
    assert composite_key(parts) is None
