"""A file that is not sound is a classed error with place and cure, never a short or empty listing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from syncengine.connector import Create, Delete
from syncengine.errors import ResourceError, TransientError


def complaint(office, *fields):
    """What `read`, `get` and `write` say about a file; all must refuse it."""
    with pytest.raises(ResourceError) as read:
        office.pages(*fields)
    with pytest.raises(ResourceError):
        office.get("1")
    before = office.path.read_bytes() if office.path.is_file() else None
    with pytest.raises(ResourceError):
        office.write(Create(key="k", id="77", fields={}), Delete(key="d", id="1"))
    assert before is None or office.content == before
    return str(read.value)


CSV = {
    "ragged, short": (b"id,name\n1,Ann\n2\n", ["line 3", "1 cells where the header has 2"]),
    "ragged, long": (b'id,name\n1,"A\nnn"\n2,a,b\n', ["line 4", "3 cells", "quote cells"]),
    "ragged in the last of many rows": (b"id,name\n" + b"".join(b"%d,x\n" % n for n in range(700)) + b"9", ["line 702"]),
    "truncated within quotes": (b'id,name\n1,Ann\n2,"Bo and then noth', ["line 3", "not closed", "cut short"]),
    "truncated in the second page": (b"id,n\n" + b"".join(b"%d,x\n" % n for n in range(700)) + b'x,"', ["line 702"]),
    "text after a closing quote": (b'id,name\n1,"Ann" Lee\n', ["line 2", "after a closing quote"]),
    "a NUL": (b"id,name\n1,A\0nn\n", ["line 2", "byte 11", "NUL"]),
    "NULs at the end, as after a power cut": (b"id,name\n1,Ann\n" + b"\0" * 4096, ["line 3", "NUL"]),
    "a NUL far into the file": (b"id,n\n" + b"".join(b"%d,x\n" % n for n in range(70_000)) + b"x,\0\n", ["line 70002"]),
    "two columns of one name": (b"id,name,phone, name\n1,a,b,c\n", ["columns 2 and 4", "'name'", "rename"]),
    "another encoding": ("id,name\n1,Ann\n2,Zoë\n".encode("latin-1"), ["line 3", "byte 18", "encoding"]),
    "half an UTF-16 character": ("id,name\n1,Ann\n".encode("utf-16") + b"x", ["utf-16-le", "encoding"]),
    "empty": (b"", ["is empty", "header"]),
    "only a byte order mark": (b"\xef\xbb\xbf", ["is empty"]),
    "only white space": (b"\n \n", ["is empty"]),
    "an empty first line": (b"\nid,name\n1,Ann\n", ["line 1 is empty", "header"]),
    "a header with open quotes": (b'id,"name\n1,Ann\n', ["line 1", "quoting of the header"]),
    "a workbook": (b"PK\x03\x04rest", ["workbook", "save it as CSV"]),
    "an id twice": (b"id,name\n1,a\n2,b\n\n1,c\n", ["lines 2 and 5", "'id'"]),
    "an id twice, far apart, in no order": (
        b"id,n\n5,x\n" + b"".join(b"a%d,x\n" % n for n in range(1500)) + b"5,y\n",
        ["lines 2 and 1503"],
    ),
    "no column for ids": (b"mail,phone\na,b\n", ['id = "<a column that never repeats>"', "mail, phone"]),
}


@pytest.mark.parametrize(("content", "words"), CSV.values(), ids=CSV)
def test_a_broken_csv_file_is_refused_with_place_and_cure(desk, content, words):
    office = desk(content)
    said = complaint(office)
    assert str(office.path) in said
    for word in words:
        assert word in said


JSONL = {
    "truncated": (b'{"id": 1}\n{"id": 2, "na', ["line 2", "cut short"]),
    "an array": (b'{"id": 1}\n[1]\n', ["line 2", "not an object"]),
    "two objects on a line": (b'{"id": 1} {"id": 2}\n', ["line 1"]),
    "not JSON": (b'{"id": 1}\n\nid,name\n', ["line 3"]),
    "not a number": (b'{"id": 1, "n": NaN}\n', ["line 1", "NaN"]),
    "half a surrogate pair": (b'{"id": 1, "n": "\\ud83d"}\n', ["line 1", "surrogate"]),
    "too deep": (b'{"id": 1, "n": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", ["line 1", "deep"]),
    "too many digits": (b'{"id": 1, "n": ' + b"9" * 5000 + b"}\n", ["line 1"]),
    "a NUL": (b'{"id": 1}\n\0\n', ["line 2", "NUL"]),
    "another encoding": ('{"id": 1}\n{"id": "ë"}\n'.encode("latin-1"), ["line 2", "byte 18", "encoding"]),
    "an id that is a list": (b'{"id": 1}\n\n{"id": [1]}\n', ["line 3", "neither text nor a whole number"]),
    "an id twice, as number and as text": (b'{"id": 1}\n{"id": "1"}\n', ["lines 1 and 2"]),
}


@pytest.mark.parametrize(("content", "words"), JSONL.values(), ids=JSONL)
def test_a_broken_jsonl_file_is_refused_with_place_and_cure(desk, content, words):
    office = desk(content, "people.jsonl")
    said = complaint(office)
    assert str(office.path) in said
    for word in words:
        assert word in said


@pytest.mark.parametrize("content", [b'{"id": 1}\n{"id": "x\xff"}\n', b'{"id": 1}\nno\n'])
def test_a_broken_jsonl_file_is_not_described(desk, content):
    with pytest.raises(ResourceError, match="line 2"):
        desk(content, "people.jsonl").resource()


def test_no_complaint_quotes_a_value(desk):
    for content in (
        b'id,name\n1,secret\n2,"secret',
        b"id,name\nsecret,1\nsecret,2\n",
        b"id,name\n1,secret,\n",
        b"id,n\n1,secr\0et\n",
    ):
        assert "secr" not in complaint(desk(content)).replace("secret.csv", "")
    assert "secret" not in complaint(desk(b'{"id": 1, "n": "secret"\n', "people.jsonl"))


@pytest.mark.parametrize("name", ["people.csv", "people.jsonl"])
class TestPlaces:
    """Where there is no readable file."""

    def test_a_missing_file(self, desk, name):
        office = desk(b"", name)
        office.path.unlink()
        assert "does not exist" in complaint(office)
        with pytest.raises(ResourceError, match="does not exist"):
            office.connector.check()
        with pytest.raises(ResourceError, match="does not exist"):
            office.resource()

    def test_a_folder_where_a_file_is_expected(self, desk, name, tmp_path):
        office = desk(b"", name)
        office.path.unlink()
        office.path.mkdir()
        assert "has no file" in complaint(office)

    def test_a_named_pipe_is_not_waited_for(self, desk, name):
        office = desk(b"", name)
        office.path.unlink()
        os.mkfifo(office.path)
        assert "no regular file" in complaint(office)

    def test_a_symbolic_link_to_itself(self, desk, name):
        office = desk(b"", name)
        office.path.unlink()
        office.path.symlink_to(office.path.name)
        assert "people" in complaint(office)


def test_a_column_that_is_gone_is_named(desk):
    office = desk("id,name\n1,Ann\n")
    with pytest.raises(ResourceError, match=r"no column 'phone'; it has id, name"):
        office.pages("name", "phone")
    with pytest.raises(ResourceError, match="no column 'phone'"):
        office.get("1", fields=["phone"])
    with pytest.raises(ResourceError, match="no column 'phone'"):
        office.find("phone", "1")


ROWS = b"".join(b"%d,x\n" % number for number in range(1500))


@pytest.mark.parametrize(
    "disturb",
    [
        lambda path: path.write_bytes(path.read_bytes() + b"9999,x\n"),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: (path.with_suffix(".new").write_bytes(path.read_bytes()), path.with_suffix(".new").replace(path)),
        lambda path: path.write_bytes(path.read_bytes()[:-3]),
        lambda path: path.write_bytes(b"id,n\n" + b'"' * 20_000),
    ],
    ids=["appended to", "truncated to nothing", "removed", "replaced by a copy", "cut short", "overwritten with nonsense"],
)
def test_a_file_that_changes_while_it_is_listed_is_never_completed(desk, disturb):
    office = desk(b"id,n\n" + ROWS)
    pages = office.connector.read("people", fields=["n"])
    first = next(pages)
    assert not first.complete
    disturb(office.path)
    with pytest.raises(TransientError, match="changed while"):
        list(pages)


def test_a_listing_that_is_given_up_leaves_no_file_open(desk):
    office = desk(b"id,n\n" + ROWS)

    def open_files():
        return {link.resolve() for link in Path("/proc/self/fd").iterdir()}

    pages = office.connector.read("people", fields=["n"])
    next(pages)
    assert office.path in open_files()
    pages.close()
    assert office.path not in open_files()
