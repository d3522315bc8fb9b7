"""Lists that a statement takes as one parameter."""

from __future__ import annotations

import re

from syncengine.testing.simulate.history import History
from syncengine.testing.simulate.setup import World
from syncengine.testing.simulate.tape import Tape


def test_a_list_reaches_json_each_as_text() -> None:
    """
    Property: no statement that the engine makes gives `json_each` bytes.

    Since 3.45 SQLite takes bytes for its own binary JSON where they look like that, as `["r1"]` and `[1234]` do, and then calls
    them malformed or reads other values. A trace spells bytes as `x'...'`, so that any version of SQLite shows them.
    """
    made: set[str] = set()
    for seed in range(25):
        history = History(Tape(seed), World.HOSTILE)
        history.connection.set_trace_callback(made.add)
        try:
            history.play()
        finally:
            history.connection.set_trace_callback(None)
            history.close()
    over_lists = [statement for statement in made if "json_each(" in statement]
    asked = {table for statement in over_lists for table in re.findall(r"FROM ([a-z.]+)(?! *json_each)", statement)}
    assert {"link", "record", "temp.staged", "pending"} <= asked
    assert [statement for statement in over_lists if re.search(r"json_each\((?!'\[)", statement)] == []
