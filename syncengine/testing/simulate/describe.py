"""A simulated world in words, as its story begins."""

from __future__ import annotations

from syncengine.core.model import Side
from syncengine.testing.simulate.setup import Setup


def describe_setup(setup: Setup) -> list[str]:
    """The world in words."""
    lines = [
        f"pair: fields {', '.join(shape.name for shape in setup.shapes)}; conflicts {setup.spec.conflicts.value}; deletes "
        f"{setup.spec.deletes.value}; {setup.spec.direction.value}; keyless {setup.spec.keyless.value}; "
        f"guard on deletes {setup.spec.guards.deletes.share:.0%} and {setup.spec.guards.deletes.number}"
    ]
    for side in Side:
        can, manners = setup.capabilities(side), setup.manners[side]
        flags = [
            name for name in (
                "incremental", "reports_deletions", "archives", "restores", "partial_updates", "conditional_writes",
                "idempotent_creates", "chooses_ids", "set_deltas", "returns_record",
            ) if getattr(can, name)
        ]  # fmt: skip
        ways = [name for name in ("gets", "finds", "versions", "returns_version", "returns_whole", "unique", "folds", "repeats")
                if getattr(manners, name)]  # fmt: skip
        lines.append(
            f"{side.value}: {' '.join(flags)}; batch {can.max_batch}, page {can.page_size}, late {can.late_arrival:.0f} s, "
            f"lag {can.lag:.0f} s, clock {can.clock_resolution}; {' '.join(ways)}; {manners.paging.value}; "
            f"stores {', '.join(f'{name} {how.value}' for name, how in manners.normalise.items()) or 'as sent'}"
        )
    on = ", ".join(f"{fault.value} {rate:.1%}" for fault, rate in setup.rates.items() if rate)
    lines.append(f"faults: {on or 'none'}; people in between {setup.busy:.1%}")
    return lines
