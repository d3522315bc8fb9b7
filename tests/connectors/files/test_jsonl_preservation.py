"""Whatever a JSON Lines file looks like, a write changes the members it is about and not one byte more."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.jsonl import plugin
from syncengine.connector import ABSENT, Context, Create, Delete, Expected, FieldType, Update, Written

NAMES = ["name", "n", "tags", "né", 'q"']
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
NUMBERS = st.one_of(st.integers(), st.decimals(allow_nan=False, allow_infinity=False, places=2), st.integers(10**30, 10**31))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(TEXT, inner, max_size=2)),
    max_leaves=4,
)


def raw_json(value, draw) -> str:
    """JSON text in one of its many ways of writing."""
    space = draw(st.sampled_from(["", " ", "\t"]))
    if isinstance(value, Decimal):
        return draw(st.sampled_from([format(value, "f"), format(value, "E")])) if value.as_tuple().exponent else f"{value}.0"
    if isinstance(value, list):
        return "[" + space + f"{space},".join(raw_json(member, draw) for member in value) + "]"
    if isinstance(value, dict):
        return "{" + f",{space}".join(f"{raw_json(k, draw)}:{space}{raw_json(v, draw)}" for k, v in value.items()) + "}"
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


@dataclass
class Line:
    values: dict
    raw: dict[str, str]
    colon: str
    comma: str
    end: str

    def member(self, name: str) -> str:
        return json.dumps(name, ensure_ascii=False) + self.colon + self.raw[name]

    def text(self) -> str:
        return "{" + self.comma.join(map(self.member, self.raw)) + "}" + self.end


def read_back(text: str) -> list[dict]:
    return [json.loads(line, parse_float=Decimal) for line in text.split("\n") if line.strip()]


def exact(value) -> str:
    """A text that differs where two values differ, scale and type included."""
    return repr(value) if not isinstance(value, Decimal) else format(value, "f")


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_only_touched_members_change_and_any_reader_sees_what_was_written(tmp_path: Path, data: st.DataObject):
    draw = data.draw
    end = draw(st.sampled_from(["\n", "\r\n"]))
    space = draw(st.sampled_from(["", " ", "  "]))
    lines: list[Line | str] = []
    for id_ in draw(st.lists(st.one_of(st.integers(0, 99), TEXT.filter(str.strip)), unique_by=str, max_size=4)):
        names = draw(st.lists(st.sampled_from(NAMES), unique=True))
        values = {"id": id_, **{name: draw(VALUES) for name in names}}
        raw = {name: raw_json(value, draw) for name, value in values.items()}
        lines.append(
            Line(values, raw, draw(st.sampled_from([":", ": ", " : "])), draw(st.sampled_from([",", ", "])) + space, end)
        )
        if draw(st.integers(0, 4)) == 0:
            lines.append(end)
    if lines and isinstance(lines[-1], Line) and draw(st.booleans()):
        lines[-1].end = ""
    path = tmp_path / "people.jsonl"
    path.write_bytes("".join(line if isinstance(line, str) else line.text() for line in lines).encode())
    options = plugin.options.model_validate({"path": "people.jsonl", "id": "id"})
    connector = plugin.connect(options, Context(system="office", base=tmp_path))

    changes, expected, pattern = [], [], ""
    for line in lines:
        if isinstance(line, str):
            pattern += re.escape(line)
            continue
        fate = draw(st.sampled_from(["keep", "update", "update", "delete"]))
        if fate == "keep":
            pattern += re.escape(line.text())
            expected.append(line.values)
        elif fate == "delete":
            changes.append(Delete(key=f"d{len(changes)}", id=str(line.values["id"])))
        else:
            new = draw(st.dictionaries(st.sampled_from(NAMES), st.one_of(VALUES, st.just(ABSENT)), min_size=1))
            was = read_back(line.text())[0]
            changes.append(Update(key=f"u{len(changes)}", id=str(line.values["id"]), fields=new, expected=Expected(fields=was)))
            after = {name: new.get(name, value) for name, value in was.items()} | new
            expected.append({name: value for name, value in after.items() if value is not ABSENT})
            kept = [
                re.escape(line.member(name)) if name not in new else f"{re.escape(json.dumps(name, ensure_ascii=False))}.*"
                for name in line.raw
                if new.get(name) is not ABSENT
            ]
            pattern += r"\{" + ".*".join(kept) + r".*\}" + re.escape(line.end)
    creates = draw(st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES), max_size=2))
    for number, fields in enumerate(creates):
        changes.append(Create(key=f"c{number}", id=f"new {number}", fields=fields))
        expected.append({**fields, "id": f"new {number}"})
        pattern += (r"(?:\r?\n)?" if not number else "") + r"\{.*\}\r?\n"

    outcomes = connector.write("people", changes)

    assert [type(outcome) for outcome in outcomes] == [Written] * len(changes)
    text = path.read_bytes().decode()
    stored = read_back(text)
    assert [exact_object(row) for row in stored] == [exact_object(row) for row in normal(expected)]
    assert re.fullmatch(pattern, text)
    by_id = {str(row["id"]): exact_object(row) for row in stored}
    for change, outcome in zip(changes, outcomes, strict=True):
        if not isinstance(change, Delete):
            assert exact_object(outcome.record) == by_id[outcome.id]


def normal(rows: list[dict]) -> list[dict]:
    """Values as JSON delivers them: a Decimal without a point comes back as a whole number."""
    return [json.loads(plain(row), parse_float=Decimal) for row in rows]


def plain(value) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{plain(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(plain, value)) + "]"
    return json.dumps(value)


def exact_object(row) -> dict[str, str]:
    return {name: plain(value) for name, value in row.items()}


def test_a_touched_line_keeps_order_spacing_and_the_text_of_its_other_members(desk):
    before = '{ "big":12345678901234567890123, "id" : 1,"price": 1.10 , "x":1e2, "n":"\\u00e9","unknown":{"a" :[ 1 ]} }\n'
    office = desk(before + '\n{"id":2}', "people.jsonl")
    office.write(Update(key="u", id="1", fields={"price": Decimal("1.20")}))
    assert office.content.decode() == before.replace("1.10", "1.20") + '\n{"id":2}'


def test_types_are_told_apart(desk):
    office = desk(
        '{"id": 1, "i": 5, "d": 1.10, "b": true, "z": null, "l": [1, 2.50], "o": {"a": "b"}, "s": "5"}\n{"id": 2}\n',
        "people.jsonl",
    )
    fields = ["i", "d", "b", "z", "l", "o", "s"]
    listing = office.listing(*fields)
    assert listing["1"] == (5, Decimal("1.10"), True, None, [1, Decimal("2.50")], {"a": "b"}, "5")
    assert str(listing["1"][1]) == "1.10"
    assert listing["2"] == (ABSENT,) * 7
    types = {name: field.type for name, field in office.resource().fields.items()}
    assert types == {
        "id": None,
        "i": FieldType.INTEGER,
        "d": FieldType.DECIMAL,
        "b": FieldType.BOOLEAN,
        "z": None,
        "l": FieldType.LIST,
        "o": FieldType.JSON,
        "s": None,
    }


def test_fields_of_every_line_are_found_and_mixed_ones_have_no_type(desk):
    lines = [f'{{"id": {n}, "n": {n}}}' for n in range(900)] + ['{"id": 900, "n": "x", "late": 1}', '{"id": 901, "late": 2.5}']
    big = '{"id": 902, "big": 123456789012345678901234567890}'
    fields = desk("\n".join([*lines, big]), "people.jsonl").resource().fields
    assert [(name, field.type) for name, field in fields.items()] == [
        ("id", None),
        ("n", None),
        ("late", FieldType.DECIMAL),
        ("big", FieldType.INTEGER),
    ]


def test_the_option_fields_names_what_no_record_tells(desk):
    office = desk("", "people.jsonl", fields={"email": "email", "age": "integer"})
    assert {name: field.type for name, field in office.resource().fields.items()} == {
        "id": None,
        "email": FieldType.EMAIL,
        "age": FieldType.INTEGER,
    }
    office.write(Create(key="k", id="a", fields={"age": 5, "email": "x@y"}))
    assert office.content == b'{"age": 5, "email": "x@y", "id": "a"}\n'
    assert "option `fields`" in desk("", "empty.jsonl").resource().notes[0]


def test_an_empty_file_is_an_empty_complete_listing(desk):
    assert desk("", "people.jsonl").listing("name") == {}
    assert desk("\n\r\n", "people.jsonl").listing("name") == {}


def test_values_are_written_in_their_own_types(desk):
    office = desk('{"id": 1}\n', "people.jsonl")
    fields = {
        "d": Decimal("1E+3"),
        "f": 0.5,
        "day": date(2026, 11, 23),
        "at": datetime(2026, 11, 23, 9, 30, tzinfo=UTC),
        "none": None,
        "gone": ABSENT,
        "list": (1, Decimal("1.50"), [date(2026, 1, 2)]),
    }
    (outcome,) = office.write(Update(key="u", id="1", fields=fields))
    assert office.content.decode() == (
        '{"id": 1, "d": 1000, "f": 0.5, "day": "2026-11-23", "at": "2026-11-23T09:30:00+00:00", "none": null,'
        ' "list": [1, 1.50, ["2026-01-02"]]}\n'
    )
    assert outcome.record["list"] == [1, Decimal("1.50"), ["2026-01-02"]]


def test_the_habit_of_escaping_and_spacing_is_kept(desk):
    office = desk('{"id":"a","n":"\\u00e9"}\r\n', "people.jsonl")
    office.write(Create(key="k", id="b", fields={"n": "ü", "l": [1, 2]}), Update(key="u", id="a", fields={"n": "ß"}))
    assert office.content == b'{"id":"a","n":"\\u00df"}\r\n{"id":"b","n":"\\u00fc","l":[1,2]}\r\n'


def test_a_line_that_is_written_another_way_than_the_first_stays_so(desk):
    office = desk('{"id": 1, "n": 1}\n{"id":2,"n":[1,2]}\n', "people.jsonl")
    office.write(Update(key="u", id="2", fields={"n": [3, 4], "m": 5}))
    assert office.content == b'{"id": 1, "n": 1}\n{"id":2,"n":[3,4],"m":5}\n'


def test_new_records_have_their_members_in_the_files_order(desk):
    office = desk('{"name": "Ann", "id": 1, "email": "a"}\n', "people.jsonl")
    office.write(Create(key="k", fields={"email": "b", "new": 1, "name": "Bo"}))
    assert office.content.endswith(b'\n{"name": "Bo", "id": 2, "email": "b", "new": 1}\n')


def test_a_line_that_names_a_field_twice_is_read_and_never_changed(desk):
    office = desk('{"id": 1, "n": 1, "n": 2}\n', "people.jsonl")
    assert office.listing("n") == {"1": (2,)}
    (outcome,) = office.write(Update(key="u", id="1", fields={"n": 3}))
    assert "twice" in str(outcome.error)
    assert office.content == b'{"id": 1, "n": 1, "n": 2}\n'


def test_a_value_may_hold_what_text_files_cannot(desk):
    office = desk('{"id": 1}\n', "people.jsonl")
    office.write(Update(key="u", id="1", fields={"n": "a\0b\nc\u2028"}))
    assert office.listing("n") == {"1": ("a\0b\nc\u2028",)}


def test_a_member_that_a_row_lacks_is_read_as_null_and_written_as_such(tmp_path: Path):
    path = tmp_path / "people.jsonl"
    path.write_text('{"id":"1","name":"a"}\n')
    connector = plugin.connect(
        plugin.options.model_validate({"path": "people.jsonl", "id": "id"}), Context(system="o", base=tmp_path)
    )
    change = Update(key="u", id="1", fields={"n": "new"}, expected=Expected(fields={"name": "a", "n": None}))
    [outcome] = connector.write("people", [change])
    assert isinstance(outcome, Written)
    assert path.read_text() == '{"id":"1","name":"a","n":"new"}\n'
