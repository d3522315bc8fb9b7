"""What a listing of a CSV file delivers, whatever dialect the file is in."""

from __future__ import annotations

import codecs

import pytest

from syncengine.connector import Capabilities
from syncengine.errors import CursorExpired

ROWS = {"1": ("Ann", "=SUM(A1)"), "2": ('Zoë; the "2nd"', "+49 30"), "3": ("", "two\nlines")}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (b"", "utf-16-le"),
        (b"", "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
    ],
)
def test_delimiter_encoding_and_line_ends_are_detected(desk, delimiter, newline, mark, encoding):
    lines = ["id,name,note", "1,Ann,=SUM(A1)", '2,"Zoë; the ""2nd""",+49 30', '3,,"two\nlines"', ""]
    text = newline.join(line.replace(",", delimiter) for line in lines)
    office = desk(mark + text.encode(encoding))
    assert office.listing("name", "note") == ROWS


def test_an_encoding_that_cannot_be_told_is_named_in_the_option(desk):
    office = desk("id,name\n1,Zoë\n".encode("cp1252"), encoding="cp1252")
    assert office.listing("name") == {"1": ("Zoë",)}


def test_a_delimiter_that_cannot_be_told_is_named_in_the_option(desk):
    assert desk("id:name\n1:Ann\n", delimiter=":").listing("name") == {"1": ("Ann",)}
    assert desk("id\tname,x\n1\ta,b\n", delimiter="tab").listing("name,x") == {"1": ("a,b",)}


def test_the_delimiter_line_of_excel_is_no_header(desk):
    assert desk("sep=!\r\nid!name\r\n1!Ann\r\n").listing("name") == {"1": ("Ann",)}


def test_a_delimiter_inside_cells_does_not_mislead(desk):
    assert desk("id;name\n1;a,b,c\n2;d,e,f\n").listing("name") == {"1": ("a,b,c",), "2": ("d,e,f",)}


def test_a_file_of_one_column_has_rows_of_one_cell(desk):
    assert desk("id\n1\n2\n").listing("id") == {"1": ("1",), "2": ("2",)}


def test_a_header_alone_is_an_empty_complete_listing(desk):
    (page,) = desk("id,name").pages("name")
    assert (page.ids, page.rows, page.complete) == ((), (), True)


def test_empty_lines_and_rows_of_bare_delimiters_are_nobody(desk):
    assert desk("id,name\n\n1,Ann\n,\n   \n2,Bo\n,,,\n\n").listing("name") == {"1": ("Ann",), "2": ("Bo",)}


def test_fields_come_in_the_order_they_are_asked_for(desk):
    office = desk("id,a,b\n1,x,y\n")
    assert office.listing("b", "id", "a") == {"1": ("y", "1", "x")}
    assert office.listing("id", "a", "b") == {"1": ("1", "x", "y")}
    assert office.listing() == {"1": ()}


def test_column_names_are_trimmed_and_columns_without_a_name_are_no_fields(desk):
    office = desk('id, name ,,"note"\n1,Ann,x,y\n')
    assert office.listing("name", "note") == {"1": ("Ann", "y")}
    assert list(office.resource().fields) == ["id", "name", "note"]
    assert "column 3 has no name" in office.resource().notes[0]


def test_a_long_file_comes_in_pages_in_file_order(desk):
    office = desk("id,n\n" + "".join(f"{n},{n * n}\n" for n in range(1201)))
    pages = office.pages("n")
    assert [len(page.ids) for page in pages] == [500, 500, 201]
    assert [id_ for page in pages for id_ in page.ids] == [str(n) for n in range(1201)]
    assert pages[-1].total == 1201


def test_a_file_whose_length_is_a_multiple_of_the_page_ends_with_a_complete_page(desk):
    assert [page.complete for page in desk("id\n" + "".join(f"{n}\n" for n in range(1000))).pages("id")] == [False, True]


def test_a_cell_may_be_longer_than_the_standard_library_allows_by_default(desk):
    long = "x" * 200_000
    assert desk(f"id,note\n1,{long}\n").listing("note") == {"1": (long,)}


def test_the_resource_says_what_a_csv_file_can_do(desk):
    resource = desk("id,name\n1,Ann\n").resource()
    assert resource.capabilities == Capabilities(
        creates=True,
        updates=True,
        deletes=True,
        conditional_writes=True,
        returns_record=True,
        max_batch=100_000,
        chooses_ids=False,
        late_arrival=0.0,
        rewrites_whole=True,
        page_size=500,
    )
    assert (resource.blank_is_null, resource.id_fields) == (True, ("id",))
    assert [(field.type, field.unique, field.required) for field in resource.fields.values()] == [
        (None, True, False),
        (None, False, False),
    ]


def test_a_description_follows_the_header(desk):
    office = desk("id,name\n")
    assert list(office.resource().fields) == ["id", "name"]
    office.path.write_text("id,name,phone\n")
    assert list(office.resource().fields) == ["id", "name", "phone"]


def test_a_cursor_is_refused(desk):
    with pytest.raises(CursorExpired):
        list(desk("id\n1\n").connector.read("people", fields=["id"], cursor="x"))


def test_close_may_be_called_twice_and_leaves_the_connector_usable(desk):
    office = desk("id\n1\n")
    office.connector.close()
    office.connector.close()
    assert office.listing("id") == {"1": ("1",)}
