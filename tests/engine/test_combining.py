"""How changes are divided into calls: by `max_batch`, or as a connector with the skill puts together what is alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from syncengine.connector import Archive, Capabilities, Change, Resource
from syncengine.core.model import End, Side
from syncengine.engine.remote import Remote
from syncengine.errors import ProtocolError

CHANGES = [Archive(key=f"k{n}", id=str(n)) for n in range(5)]
Combine = Callable[[str, Sequence[Change]], Sequence[Sequence[Change]]]


class Combining:
    def __init__(self, combine: Combine) -> None:
        self.combine = combine


def remote(connector: Any, max_batch: int = 2) -> Remote:
    resource = Resource(name="people", fields={}, capabilities=Capabilities(max_batch=max_batch))
    end = End(system="crm", resource="people")
    return Remote(side=Side.LEFT, end=end, connector=connector, resource=resource, columns=(), account="a")


def sizes(remote: Remote) -> list[int]:
    return [len(batch) for batch in remote.divided(CHANGES)]


def test_without_the_skill_max_batch_divides_them() -> None:
    assert sizes(remote(object())) == [2, 2, 1]


def test_with_the_skill_the_connector_does() -> None:
    """In an order of its own, and above max_batch."""
    assert sizes(remote(Combining(lambda _, changes: [changes[2:], changes[:1], changes[1:2]]))) == [3, 1, 1]


@pytest.mark.parametrize(
    "combine", [lambda _, changes: [changes[1:]], lambda _, changes: [changes, changes[:1]], lambda _, changes: []]
)
def test_a_change_forgotten_or_named_twice_stops_before_anything_is_sent(combine: Combine) -> None:
    with pytest.raises(ProtocolError, match="each of the 5 changes"):
        remote(Combining(combine)).divided(CHANGES)
