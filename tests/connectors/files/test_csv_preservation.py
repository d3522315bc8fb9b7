"""Whatever a CSV file looks like, a write changes the cells it is about and not one byte more."""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.csv import plugin
from syncengine.connector import Context, Create, Delete, Expected, Update, Written

ENCODINGS = {
    "utf-8": (b"", "utf-8", None),
    "utf-8 with mark": (codecs.BOM_UTF8, "utf-8", None),
    "utf-16-le": (codecs.BOM_UTF16_LE, "utf-16-le", None),
    "utf-16-be": (codecs.BOM_UTF16_BE, "utf-16-be", None),
    "utf-16-le without mark": (b"", "utf-16-le", None),
    "latin-1": (b"", "latin-1", "latin-1"),
    "cp1252": (b"", "cp1252", "windows-1252"),
    "shift_jis": (b"", "shift_jis", "shift_jis"),
}
ODD = '"""\r\n\t,;| =+-@\'\\\x0b\x1c\x85\u2028éß'


@dataclass
class Row:
    """One row of the model: what it says, and how each cell is written. `end` is its line end."""

    values: list[str]
    raw: list[str]
    end: str

    def text(self, delimiter: str) -> str:
        return delimiter.join(self.raw) + self.end


@dataclass
class Sheet:
    """A CSV file as the test knows it; `rows` are records, or texts that are nobody's."""

    mark: bytes
    codec: str
    option: str | None
    delimiter: str
    newline: str
    header: str
    names: list[str]
    rows: list[Row | str] = field(default_factory=list)

    def content(self) -> bytes:
        text = self.header + "".join(row if isinstance(row, str) else row.text(self.delimiter) for row in self.rows)
        return self.mark + text.encode(self.codec)


@st.composite
def sheets(draw) -> Sheet:
    mark, codec, option = ENCODINGS[draw(st.sampled_from(sorted(ENCODINGS)))]
    delimiter = draw(st.sampled_from([",", ";", "\t", "|"]))
    newline = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    letters = st.one_of(st.sampled_from(ODD), st.characters(exclude_characters="\0", exclude_categories=["Cs"])).filter(
        lambda letter: encodable(letter, codec)
    )
    cells = st.one_of(st.just(""), st.text(letters, max_size=6))
    quote_all = draw(st.booleans())

    def written(value: str) -> str:
        special = value.startswith('"') or any(letter in value for letter in (delimiter, "\r", "\n"))
        # A quote inside a bare cell is legal for readers, if not for writers.
        quote = special or quote_all or draw(st.booleans())
        return '"' + value.replace('"', '""') + '"' if quote else value

    names = ["id", "name", "note", "more"][: draw(st.integers(2, 4))]
    header = delimiter.join(f'"{name}"' if quote_all else name for name in names) + newline
    sheet = Sheet(mark, codec, option, delimiter, newline, header, names)
    ids = draw(
        st.one_of(
            st.lists(st.integers(0, 10**6).map(str), unique=True, max_size=6),
            st.lists(st.text(letters, min_size=1, max_size=4).filter(str.strip), unique=True, max_size=6),
        )
    )
    for id_ in ids:
        values = [id_, *(draw(cells) for _ in names[1:])]
        sheet.rows.append(Row(values, [written(value) for value in values], newline))
        if draw(st.integers(0, 5)) == 0:
            sheet.rows.append(draw(st.sampled_from([newline, delimiter * 2 + newline])))
    if draw(st.booleans()) and sheet.rows and isinstance(sheet.rows[-1], Row):
        sheet.rows[-1].end = ""
    return sheet


def encodable(text: str, codec: str) -> bool:
    try:
        return text.encode(codec).decode(codec) == text
    except UnicodeError:
        return False


def table(content: bytes, sheet: Sheet) -> list[list[str]]:
    """The file as the standard library's reader sees it."""
    assert content.startswith(sheet.mark)
    text = content[len(sheet.mark) :].decode(sheet.codec)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=sheet.delimiter, strict=True)
    return [row for row in rows if any(row)]


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(sheet=sheets(), data=st.data())
def test_only_touched_cells_change_and_any_reader_sees_what_was_written(tmp_path: Path, sheet: Sheet, data: st.DataObject):
    path = tmp_path / "people.csv"
    path.write_bytes(sheet.content())
    options = {"path": "people.csv"} | ({"encoding": sheet.option} if sheet.option else {})
    connector = plugin.connect(plugin.options.model_validate(options), Context(system="office", base=tmp_path))
    records = [row for row in sheet.rows if isinstance(row, Row)]

    (*_, last) = pages = list(connector.read("people", fields=sheet.names))
    assert last.complete
    assert [list(row) for page in pages for row in page.rows] == [row.values for row in records]

    new_text = st.text(
        st.one_of(st.sampled_from(ODD), st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=6
    ).filter(lambda text: encodable(text, sheet.codec))
    changes, expected = [], [sheet.names]
    pattern = re.escape(sheet.header)
    cell = rf'(?:"(?:[^"]|"")*"|[^{re.escape(sheet.delimiter)}\r\n]*)'
    for row in sheet.rows:
        if isinstance(row, str):
            pattern += re.escape(row)
            continue
        fate = data.draw(st.sampled_from(["keep", "update", "update", "delete"]))
        if fate == "keep":
            pattern += re.escape(row.text(sheet.delimiter))
            expected.append(row.values)
        elif fate == "delete":
            changes.append(Delete(key=f"d{len(changes)}", id=row.values[0]))
        else:
            columns = data.draw(st.sets(st.integers(1, len(sheet.names) - 1), min_size=1))
            new = {column: data.draw(new_text) for column in sorted(columns)}
            was = Expected(fields=dict(zip(sheet.names, row.values, strict=True)))
            fields = {sheet.names[column]: value for column, value in new.items()}
            changes.append(Update(key=f"u{len(changes)}", id=row.values[0], fields=fields, expected=was))
            changed = {column for column, value in new.items() if value != row.values[column]}
            pieces = [cell if column in changed else re.escape(raw) for column, raw in enumerate(row.raw)]
            pattern += re.escape(sheet.delimiter).join(pieces) + re.escape(row.end)
            expected.append([new.get(column, value) for column, value in enumerate(row.values)])
    creates = data.draw(st.lists(st.tuples(*[new_text] * (len(sheet.names) - 1)), max_size=2))
    for number, values in enumerate(creates):
        id_ = f"new {number}"
        changes.append(Create(key=id_, id=id_, fields=dict(zip(sheet.names[1:], values, strict=True))))
        expected.append([id_, *values])
    if creates:
        ended = (
            not sheet.rows
            or isinstance(sheet.rows[-1], str)
            or sheet.rows[-1].end
            or (isinstance(changes[-len(creates) - 1 :][0], Delete) and changes[-len(creates) - 1].id == sheet.rows[-1].values[0])
        )
        pattern += "" if ended else re.escape(sheet.newline)
        pattern += (re.escape(sheet.delimiter).join([cell] * len(sheet.names)) + re.escape(sheet.newline)) * len(creates)

    outcomes = connector.write("people", changes)

    assert [type(outcome) for outcome in outcomes] == [Written] * len(changes)
    content = path.read_bytes()
    assert table(content, sheet) == expected
    assert re.fullmatch(pattern, content[len(sheet.mark) :].decode(sheet.codec))
    again = [list(row) for page in connector.read("people", fields=sheet.names) for row in page.rows]
    assert again == expected[1:]
    stored = {row[0]: dict(zip(sheet.names, row, strict=True)) for row in expected[1:]}
    for outcome in outcomes:
        assert outcome.record == stored.get(outcome.id)


def test_one_changed_cell_is_the_whole_difference(desk):
    before = b'\xef\xbb\xbf"id";name;"unknown column"\r\n1;"Ann";"x, ""y"""\r\n\r\n2;Bo ;\' =1+1\r\n3;"Cy";""'
    office = desk(before)
    office.write(Update(key="k", id="2", fields={"name": "Bob"}))
    assert office.content == before.replace(b"Bo ;", b"Bob;")


def test_new_cells_are_quoted_as_their_column_is(desk):
    office = desk('"id","name","n","note"\n1,"Ann",5,"a,b"\n2,"Bo",,c\n')
    office.write(Create(key="k", fields={"name": "Cy", "n": 7, "note": "d"}), Update(key="u", id="1", fields={"note": "e"}))
    assert office.content == b'"id","name","n","note"\n1,"Ann",5,e\n2,"Bo",,c\n3,"Cy",7,d\n'


def test_a_file_that_quotes_everything_stays_so(desk):
    office = desk('"id","name","note"\r\n"1","Ann","x"\r\n')
    office.write(Create(key="k", fields={"name": None}), Update(key="u", id="1", fields={"note": ""}))
    assert office.content == b'"id","name","note"\r\n"1","Ann",""\r\n"2","",""\r\n'


def test_a_quoted_header_alone_tells_the_habit(desk):
    office = desk('"id","name"\n')
    office.write(Create(key="k", fields={"name": "Ann"}))
    assert office.content == b'"id","name"\n"1","Ann"\n'


def test_a_bare_file_stays_bare_and_empty_cells_stay_empty(desk):
    office = desk("id,name,note\n1,Ann,x\n")
    office.write(Update(key="u", id="1", fields={"note": None}), Create(key="c", fields={"note": "a b"}))
    assert office.content == b"id,name,note\n1,Ann,\n2,,a b\n"


def test_the_missing_newline_of_the_last_line_is_kept_until_a_row_is_appended(desk):
    office = desk("id,name\r\n1,Ann\r\n2,Bo")
    office.write(Update(key="u", id="2", fields={"name": "Bob"}))
    assert office.content == b"id,name\r\n1,Ann\r\n2,Bob"
    office.write(Create(key="c", fields={"name": "Cy"}))
    assert office.content == b"id,name\r\n1,Ann\r\n2,Bob\r\n3,Cy\r\n"


def test_a_header_without_newline_gets_one_with_the_first_row(desk):
    office = desk("id,name")
    office.write(Create(key="c", fields={"name": "Cy"}))
    assert office.content == b"id,name\n1,Cy\n"


def test_the_last_row_without_newline_can_be_replaced_by_a_new_one(desk):
    office = desk("id,name\n1,Ann\n2,Bo")
    office.write(Delete(key="d", id="2"), Create(key="c", id="9", fields={"name": "Cy"}))
    assert office.content == b"id,name\n1,Ann\n9,Cy\n"


def test_a_write_that_changes_nothing_leaves_the_file_alone(desk):
    office = desk("id,name\n1,Ann\n")
    before = office.path.stat()
    office.write(Update(key="u", id="1", fields={"name": "Ann"}))
    after = office.path.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_row_that_its_encoding_would_write_otherwise_is_not_rewritten(desk):
    """cp932 has some characters twice: both read as one and the same, and only one of them is ever written."""
    before = b"id,name,note\n1,\x87\x90,x\n2,Ann,y\n"
    office = desk(before, encoding="cp932")
    refused, fine, new = office.write(
        Update(key="a", id="1", fields={"note": "z"}),
        Update(key="b", id="2", fields={"note": "z"}),
        Create(key="c", fields={"name": "Bo"}),
    )
    assert "UTF-8" in str(refused.error)
    assert isinstance(fine, Written)
    assert isinstance(new, Written)
    assert office.content == b"id,name,note\n1,\x87\x90,x\n2,Ann,z\n3,Bo,\n"
