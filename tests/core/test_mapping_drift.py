"""A system that changed under a config that was in order: the field at fault is left out, the others go on."""

from dataclasses import replace

import pytest

from syncengine.connector import Field, FieldType
from syncengine.core.mapping import SCHEMA, compile_known_pair, compile_pair, mapping_digest
from syncengine.core.model import Side
from syncengine.errors import ConfigError
from tests.support.pairs import kind, mapped, pair, resource

SPEC = pair(mapped("a"), mapped("b", type=FieldType.DATE, format={Side.RIGHT: "%d.%m.%Y"}))
FIELDS = ("id", Field(name="a"), Field(name="b"))
ZONES = dict.fromkeys(Side)


def known(spec, *left):
    return compile_known_pair(spec, resource(*left), resource(*FIELDS), timezones=ZONES)


def test_a_field_that_vanished_is_left_out_and_named():
    rule = known(SPEC, "id", "b")
    assert [field.name for field in rule.fields] == ["id", "b"]
    (drift,) = rule.drift
    assert drift.startswith("a: crm.people (left) has no field 'a'")
    assert rule.drift == rule.notes


def test_a_field_that_became_something_else_is_left_out():
    rule = known(SPEC, "id", "a", replace(kind(FieldType.BOOLEAN), name="b"))
    assert [field.name for field in rule.fields] == ["id", "a"]


def test_without_drift_it_is_the_same_rule():
    one, two = known(SPEC, *FIELDS), compile_pair(SPEC, resource(*FIELDS), resource(*FIELDS), timezones=ZONES)
    assert (one.drift, one.digest, one.parts) == ((), two.digest, two.parts)


def test_the_match_key_is_never_left_out():
    with pytest.raises(ConfigError, match="id"):
        known(SPEC, "a", "b")


def test_a_mistake_about_the_whole_pair_is_none_of_a_field():
    with pytest.raises(ConfigError, match="match"):
        known(replace(SPEC, match=("nobody",)), "id", "b")


def test_drift_changes_the_schema_and_no_part_of_the_config():
    before, after = known(SPEC, *FIELDS), known(SPEC, "id", "b")
    assert before.digest != after.digest
    assert {name for name in before.parts if before.parts[name] != after.parts[name]} == {SCHEMA}


def test_the_digest_of_a_mapping_needs_no_description():
    assert known(SPEC, *FIELDS).parts["mapping"] == mapping_digest(SPEC)
    assert mapping_digest(SPEC) != mapping_digest(pair(mapped("a")))


def test_a_renamed_field_is_the_same_mapping():
    assert mapping_digest(pair(mapped("a", was="x"))) == mapping_digest(pair(mapped("a")))
