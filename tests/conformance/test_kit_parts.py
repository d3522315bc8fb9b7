"""The parts that the kit judges by: equality of values, plain types, sources read for what is forbidden, like calls each run."""

from __future__ import annotations

import textwrap
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.connector import ABSENT, Choice, Field, FieldType
from syncengine.testing.conformance import Waiver, World
from syncengine.testing.conformance.bench import Bench
from syncengine.testing.conformance.source import modules_of, trespasses
from syncengine.testing.conformance.tour import tour
from syncengine.testing.conformance.values import HOSTILE_TEXT, is_plain, same, samples_of, samples_with_offsets
from syncengine.testing.memory import FULL, MemoryConnector, MemoryFarSide, MemoryWorld
from tests.conformance.mutants import Prints

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
A_SET = Field(name="f", type=FieldType.SET)
A_LIST = Field(name="f", type=FieldType.LIST)


@pytest.mark.parametrize(
    ("one", "other", "field", "expected"),
    [
        (None, ABSENT, None, True),
        (None, "", None, False),
        (0, None, None, False),
        (True, 1, None, False),
        (True, True, None, True),
        (NOON, NOON.astimezone(timezone(timedelta(hours=2))), None, True),
        (NOON, NOON.replace(tzinfo=None), None, False),
        (Decimal("1.0"), Decimal("1.00"), None, True),
        (Decimal("0.1"), 0.1, None, True),
        (Decimal("0.1"), 0.2, None, False),
        (1.0, "1.0", None, False),
        (1, Decimal(1), None, True),
        (["a", "b"], ["b", "a"], A_SET, True),
        (["a", "b"], ["b", "a"], A_LIST, False),
        (["a", "a"], ["a"], A_SET, False),
        (("a",), ["a"], A_LIST, True),
        ("Zoe\u0308", "Zo\u00eb", None, False),
    ],
)
def test_values_are_the_same_when_they_say_the_same(one, other, field, expected):
    assert same(one, other, field) is expected
    assert same(other, one, field) is expected


@given(st.one_of(st.text(), st.integers(), st.booleans(), st.none(), st.decimals(allow_nan=False), st.lists(st.text())))
def test_every_value_is_the_same_as_itself_and_plain(value):
    assert same(value, value, A_SET)
    assert is_plain(value)


@pytest.mark.parametrize(
    "value", [(1, 2), {1: "a"}, {"a": {1, 2}}, [object()], [ABSENT], type("Own", (str,), {})("x"), frozenset()]
)
def test_what_is_no_plain_value_is_noticed(value):
    assert not is_plain(value)


@pytest.mark.parametrize("kind", [kind for kind in FieldType if kind is not FieldType.JSON])
@pytest.mark.parametrize("many", [False, True])
def test_samples_fit_their_type(kind, many):
    for value in samples_of(Field(name="f", type=kind, many=many)):
        assert is_plain(value)
        assert isinstance(value, list) or not many


def test_samples_keep_to_scale_and_choices():
    assert all(
        value == value.quantize(Decimal("0.1")) for value in samples_of(Field(name="f", type=FieldType.DECIMAL, scale=1))[:3]
    )
    choices = (Choice(value="a"), Choice(value="b"))
    assert samples_of(Field(name="f", type=FieldType.CHOICE, choices=choices)) == ["a", "b"]
    assert samples_of(Field(name="f", type=FieldType.SET, choices=choices)) == [["a", "b"], ["a"], []]
    assert samples_of(Field(name="f", type=FieldType.DATETIME, naive=True))[0].tzinfo is None
    assert samples_of(Field(name="f", type=FieldType.DATE))[-1] == date(1900, 1, 1)


def test_one_instant_has_three_offsets():
    assert len(set(samples_with_offsets())) == 1
    assert len({value.utcoffset() for value in samples_with_offsets()}) == 3


def test_hostile_texts_differ_and_can_be_encoded():
    assert len(set(HOSTILE_TEXT.values())) == len(HOSTILE_TEXT)
    assert len(HOSTILE_TEXT["ten_kilobytes"]) == 10_000
    for text in HOSTILE_TEXT.values():
        assert text.encode().decode() == text


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import time\ntime.sleep(1)", ["m:2: time.sleep"]),
        ("from time import monotonic as tick\ntick()", ["m:2: time.monotonic"]),
        ("import datetime as dt\ndt.datetime.now(dt.UTC)", ["m:2: datetime.datetime.now"]),
        ("from datetime import datetime, date\ndatetime.fromisoformat('x')\ndate.today()", ["m:3: datetime.date.today"]),
        ("def f():\n    print('x')", ["m:2: print"]),
        ("import stamina", ["m:1: stamina"]),
        ("from tenacity import retry", ["m:1: tenacity"]),
        ("self.print()\nsleep = 1\nx.time.sleep", []),
    ],
)
def test_a_source_is_searched_for_what_is_forbidden(tmp_path, source, found):
    path = tmp_path / "m.py"
    path.write_text(textwrap.dedent(source))
    module = ModuleType("m")
    module.__file__ = str(path)
    module.__loader__ = None
    assert list(trespasses(module)) == found


def test_a_module_without_source_has_nothing_to_find():
    assert list(trespasses(ModuleType("made_up"))) == []


def test_a_connector_is_made_of_its_own_modules_and_not_of_the_contract():
    found = modules_of(Prints)
    assert "tests.conformance.mutants" in found
    assert "syncengine.testing.memory.connector" in found
    assert "syncengine.testing.memory.history" in found
    assert "syncengine.connector" not in found
    assert "time" not in found


def a_bench(**more):
    world = MemoryWorld()
    fields = [Field(name="email", unique=True), Field(name="name", type=FieldType.TEXT)]
    table = world.add("people", fields, capabilities=FULL)
    seed = more.pop("seed", {"email": "ada@example.com", "name": "Ada"})
    described = World(resource="people", seed_fields=seed, editable="name", **more)
    return world, Bench(MemoryConnector(world), described, far_side=MemoryFarSide(world, table), test="test_x")


def test_every_run_makes_the_same_calls_so_that_a_cassette_fits():
    runs = []
    for _ in range(2):
        world, bench = a_bench()
        tour(bench, "text")
        runs.append(world.calls)
    assert runs[0] == runs[1]
    assert len(runs[0]) > 10


def test_another_namespace_has_other_keys_and_other_unique_values():
    (_, one), (_, other) = a_bench(namespace="a"), a_bench(namespace="b")
    assert one.key() != other.key()
    assert one.values()["email"] != other.values()["email"]
    assert one.proposal() != other.proposal()


def test_unique_values_are_varied_by_number_or_by_the_author():
    _, bench = a_bench(namespace="n")
    assert [bench.values()["email"] for _ in range(2)] == ["adan1@example.com", "adan2@example.com"]
    _, bench = a_bench(seed={"email": lambda number: f"own{number}", "name": "Ada"})
    assert bench.values()["email"] == "own1"
    _, bench = a_bench(seed={"email": 100, "name": "Ada"})
    assert bench.values()["email"] == 101
    _, bench = a_bench(seed={"email": Decimal(1), "name": "Ada"})
    with pytest.raises(TypeError, match="function of the number"):
        bench.values()


def test_a_person_may_not_know_the_id_of_what_they_added():
    world, bench = a_bench()
    bench.far_side.insert = lambda fields: world["people"].insert(**fields) and None
    id = bench.insert(bench.values())
    assert bench.look(id).fields["name"] == "Ada"


def test_a_waiver_is_a_value():
    assert Waiver("test_x", reason="so") == Waiver("test_x", reason="so") != Waiver("test_x", reason="because")
