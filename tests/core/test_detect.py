"""What one side did since its shadow."""

from __future__ import annotations

from decimal import Decimal

import pytest

from syncengine.connector import ABSENT, FieldType, Native
from syncengine.core.detect import Delta, Presence, detect
from syncengine.core.mapping import PairRule
from syncengine.core.merge import Half
from syncengine.core.model import Side
from tests.support.pairs import compiled, kind, mapped, pair, resource, unlinked

HERE = Presence.PRESENT


def people() -> PairRule:
    from dataclasses import replace

    fields = [replace(kind(type_), name=name) for name, type_ in (("email", FieldType.EMAIL), ("age", FieldType.INTEGER))]
    spec = pair(mapped("email"), mapped("age"), match=("email",))
    return compiled(spec, resource(*fields), resource(*fields))


@pytest.mark.parametrize(("now", "base", "presence", "expected"), [
    ({"email": "a@x.org", "age": 1}, {"email": "a@x.org", "age": 1}, HERE, Delta.UNCHANGED),
    ({"email": "A@X.org ", "age": 1}, {"email": "a@x.org", "age": 1}, HERE, Delta.UNCHANGED),
    ({"email": "b@x.org", "age": 1}, {"email": "a@x.org", "age": 1}, HERE, Delta.MODIFIED),
    ({"email": "a@x.org"}, {"email": "a@x.org", "age": 1}, HERE, Delta.UNCHANGED),
    ({"email": "a@x.org", "age": ABSENT}, {"email": "a@x.org", "age": 1}, HERE, Delta.UNCHANGED),
    ({"email": "a@x.org", "age": None}, {"email": "a@x.org", "age": 1}, HERE, Delta.MODIFIED),
    ({"email": "a@x.org", "age": None}, {"email": "a@x.org"}, HERE, Delta.UNCHANGED),
    ({"email": "a@x.org", "age": 3}, {"email": "a@x.org"}, HERE, Delta.MODIFIED),
    ({"email": "a@x.org", "age": "many"}, {"email": "a@x.org"}, HERE, Delta.MODIFIED),
    ({"email": "a@x.org", "age": "many"}, {"email": "a@x.org", "age": 1}, HERE, Delta.MODIFIED),
    ({"email": "a@x.org", "age": 2.0}, {"email": "a@x.org", "age": 1}, HERE, Delta.MODIFIED),
    ({"email": "a@x.org", "age": "1"}, {"email": "a@x.org", "age": 1}, HERE, Delta.UNCHANGED),
    ({"email": "a@x.org"}, {}, HERE, Delta.CREATED),
    (None, {"email": "a@x.org"}, HERE, Delta.DELETED),
    (None, {"email": "a@x.org"}, Presence.GONE, Delta.DELETED),
    ({"email": "a@x.org"}, {"email": "a@x.org"}, Presence.GONE, Delta.DELETED),
    ({"email": "a@x.org"}, {"email": "b@x.org"}, Presence.UNKNOWN, Delta.UNKNOWN),
    (None, {}, Presence.UNKNOWN, Delta.UNKNOWN),
])  # fmt: skip
@pytest.mark.parametrize("side", list(Side))
def test_every_delta(
    side: Side, now: dict[str, Native] | None, base: dict[str, Native], presence: Presence, expected: Delta
) -> None:
    half = Half(id="1", now=now, base=base)
    assert detect(people(), side, half, presence, unlinked) is expected


def test_what_the_system_made_of_our_write_is_no_edit() -> None:
    rule = people()
    base, now = {"email": "Ada.Lovelace@x.org"}, {"email": "ada.lovelace"}
    assert detect(rule, Side.LEFT, Half(id="1", now=now, base=base), HERE, unlinked) is Delta.MODIFIED
    sent = frozenset({"email"})
    assert detect(rule, Side.LEFT, Half(id="1", now=now, base=base, unconfirmed=sent), HERE, unlinked) is Delta.UNCHANGED


def test_a_value_that_equals_nothing_is_an_edit_not_a_crash() -> None:
    nan = Decimal("sNaN")
    half = Half(id="1", now={"email": "a", "age": nan}, base={"email": "a", "age": Decimal("sNaN")})
    assert detect(people(), Side.LEFT, half, HERE, unlinked) is Delta.MODIFIED
