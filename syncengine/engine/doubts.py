"""What recovery leaves open, and deciding leaves alone."""

from __future__ import annotations

from dataclasses import dataclass, field

from syncengine.core.model import Side


@dataclass(slots=True, kw_only=True)
class Doubts:
    """
    What may not be touched while an outcome is unknown: links with an open intent, and the match keys of creates in doubt.

    `keyless`: a create without a key is in doubt on that side, so no keyless record of it may be adopted. `newer`: a create is in
    doubt on that side, so a record first seen after the one with the first number (and up to the second, once it is parked)
    may be ours, whatever key it has got by now.
    """

    links: set[int] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    keyless: set[Side] = field(default_factory=set)
    newer: dict[Side, list[tuple[int, int | None]]] = field(default_factory=dict)
