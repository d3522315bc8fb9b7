"""What a plan would cost in calls."""

from __future__ import annotations

from collections import Counter
from math import ceil

from syncengine.core.decision import Op
from syncengine.core.model import Side
from syncengine.engine.context import Context
from syncengine.engine.read import records_read
from syncengine.engine.report import Forecast


def forecast(context: Context, counts: Counter[str]) -> Forecast:
    """Calls that applying the plan would make: the listings again, the writes, and the reads right before them."""
    calls: dict[str, int] = {}
    for side in Side:
        capabilities = context.remotes[side].capabilities
        pages = max(1, ceil(records_read(context, side) / capabilities.page_size))
        creates = counts[f"{side.value}.create"]
        others = sum(counts[f"{side.value}.{op.value}"] for op in Op) - creates
        batches = ceil(creates / capabilities.max_batch) + ceil(others / capabilities.max_batch)
        evidence = 0 if capabilities.conditional_writes else ceil(others / capabilities.max_batch)
        calls[side.value] = ceil(
            pages * capabilities.calls_per_page + (batches + evidence) * max(capabilities.calls_per_write, 0)
        )
    return Forecast(calls=calls)
