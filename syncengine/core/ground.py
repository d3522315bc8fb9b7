"""What decisions stand on besides the records. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from syncengine.connector import Capabilities
from syncengine.core.creates import CreateField
from syncengine.core.mapping import Locate, Resolve
from syncengine.core.merge import Choice
from syncengine.core.model import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """
    What decisions stand on besides the two records: how references resolve, what each side can do, how clocks compare.

    `follow` tells for which link the record that had an id was made anew, if it was. `choices` are what people chose for this
    link, by field (None: the whole record). `asked`: whether to delete the partner of a gone record has been asked, and waits for
    an answer.
    """

    resolve: Resolve
    locate: Locate
    follow: Resolve
    capabilities: Mapping[Side, Capabilities]
    clock_slack: float | None = None
    choices: Mapping[str | None, Choice] = field(default_factory=dict)
    asked: bool = False
    creates: Mapping[Side, tuple[CreateField, ...]] = field(default_factory=dict)
