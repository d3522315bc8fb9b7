"""
Relationship fields and their mirrors (records-api.md section 4, "Relation cardinality").

One fact is shown by two fields. Setting either side changes the other record too, and a to-one side that is taken lets
go of its former partner. Pure over `Overlay`: nothing is stored here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from connectors.kizen.server.metadata import Field, Stored
from connectors.kizen.server.world import World


@dataclass(slots=True)
class Overlay:
    """Values about to be written, on top of what the world holds: record id, field id, value (None clears)."""

    world: World
    changes: dict[str, dict[str, Stored | None]] = field(default_factory=dict)

    def get(self, record_id: str, field_id: str) -> tuple[str, ...]:
        changed = self.changes.get(record_id)
        if changed is not None and field_id in changed:
            value = changed[field_id]
        else:
            record = self.world.record(record_id)
            value = None if record is None else record.values.get(field_id)
        return value if isinstance(value, tuple) else ()

    def set(self, record_id: str, field_id: str, value: Stored | None) -> None:
        self.changes.setdefault(record_id, {})[field_id] = value

    def others(self, record_id: str) -> Iterator[tuple[str, Mapping[str, Stored | None]]]:
        """What changes on records other than this one."""
        return ((other, values) for other, values in self.changes.items() if other != record_id)


def relate(overlay: Overlay, record_id: str, side: Field, wanted: tuple[str, ...]) -> None:
    """Set one side of a relationship and keep the other side in step."""
    assert side.relation is not None
    other_object = overlay.world.objects[side.relation.object_id]
    mirror = other_object.fields.get(side.relation.mirror_id)
    current = overlay.get(record_id, side.id)
    overlay.set(record_id, side.id, wanted or None)
    if mirror is None or mirror.relation is None:
        return
    for gone in current:
        if gone not in wanted:
            _drop(overlay, gone, mirror, record_id)
    for new in wanted:
        if new in current:
            continue
        if not mirror.relation.to_many:
            for former in overlay.get(new, mirror.id):
                if former != record_id:
                    _drop(overlay, former, side, new)
            overlay.set(new, mirror.id, (record_id,))
        elif record_id not in overlay.get(new, mirror.id):
            overlay.set(new, mirror.id, (*overlay.get(new, mirror.id), record_id))


def _drop(overlay: Overlay, record_id: str, side: Field, gone: str) -> None:
    overlay.set(record_id, side.id, tuple(one for one in overlay.get(record_id, side.id) if one != gone) or None)
