"""An id that a system gives out twice: the newcomer is not the one who left."""

from __future__ import annotations

from syncengine.core.model import Deletes
from tests.support.engine import Bench, people_spec


def test_a_newcomer_under_a_deleted_records_id_does_not_inherit_its_partner() -> None:
    bench = Bench(people_spec(deletes=Deletes.IGNORE))
    first = bench.left.insert("7", email="ada@example.com", name="Ada")
    bench.left.insert("8", email="bob@example.com", name="Bob")
    bench.sync()
    bench.left.remove(first)
    bench.sync()
    bench.left.insert("7", email="new@example.com", name="Somebody else")
    bench.sync()
    bench.sync()

    names = sorted(str(row["name"]) for row in bench.right.records().values())
    assert names == ["Ada", "Bob", "Somebody else"]
    bench.assert_quiet()


def test_a_record_that_comes_back_as_itself_finds_its_partner() -> None:
    bench = Bench(people_spec(deletes=Deletes.IGNORE))
    first = bench.left.insert("7", email="ada@example.com", name="Ada")
    bench.left.insert("8", email="bob@example.com", name="Bob")
    bench.sync()
    bench.left.remove(first)
    bench.sync()
    bench.left.insert("7", email="Ada@example.com", name="Ada again")
    bench.sync()

    names = sorted(str(row["name"]) for row in bench.right.records().values())
    assert names == ["Ada again", "Bob"]
    bench.assert_quiet()
