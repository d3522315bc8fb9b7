"""A target that cannot be read: it is written by upsert key, and never doubled."""

from __future__ import annotations

from dataclasses import replace

from syncengine.connector import Field, FieldType
from syncengine.core.model import Deletes, Direction, Side
from syncengine.engine.report import Exit
from syncengine.errors import OutcomeUnknown
from syncengine.testing.memory import FULL, Call, CallKind, Moment, skilled
from tests.support.engine import PEOPLE, Bench, people_spec

FIELDS = (Field(name="email", type=FieldType.EMAIL, unique=True), *PEOPLE[1:])
UPSERTS = replace(
    FULL, upsert_keys=("email",), chooses_ids=False, idempotent_creates=False, conditional_writes=False, late_arrival=30
)


def bench() -> Bench:
    made = Bench(
        people_spec(direction=Direction.LEFT_TO_RIGHT, deletes=Deletes.PROPAGATE),
        fields=FIELDS,
        right_options={"capabilities": UPSERTS},
    )
    made.connectors[Side.RIGHT] = skilled(made.worlds[Side.RIGHT], reads=False, gets=False, finds=False)
    return made


def test_a_write_only_target_follows_its_source() -> None:
    pair = bench()
    known = pair.right.insert(email="ada@example.com", name="old", phone="7")
    ada = pair.left.insert(email="ada@example.com", name="Ada")
    bob = pair.left.insert(email="bob@example.com", name="Bob")
    assert pair.sync().exit is Exit.DONE
    assert len(pair.right) == 2
    assert pair.right[known]["name"] == "Ada"
    pair.assert_quiet()

    pair.left.edit(ada, phone="1")
    pair.left.remove(bob)
    assert pair.sync().written == {"right.update": 1, "right.delete": 1}
    assert [row["phone"] for row in pair.right.records().values()] == ["1"]
    pair.assert_quiet()


def test_a_lost_answer_does_not_double_the_record() -> None:
    pair = bench()
    pair.left.insert(email="ada@example.com", name="Ada")

    def lose(call: Call, moment: Moment) -> None:
        if call.kind is CallKind.WRITE and moment is Moment.AFTER:
            pair.worlds[Side.RIGHT].on_call = None
            raise OutcomeUnknown("the answer was lost")

    pair.worlds[Side.RIGHT].on_call = lose
    assert pair.sync().exit is Exit.PARTIAL
    pair.clock.time += 60
    assert pair.sync().exit is Exit.DONE
    assert len(pair.right) == 1
    pair.assert_quiet()
