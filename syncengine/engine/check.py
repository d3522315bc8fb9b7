"""
What `check` finds out about a pair by reading both sides: duplicate keys, records without a key, what may not be promised.

It reads into a store that nothing outlives, so that neither the systems nor the state are written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from syncengine.connector import Finder, Getter
from syncengine.core.detect import Presence
from syncengine.core.model import Keyless, Side
from syncengine.engine.context import Context
from syncengine.engine.read import read_both
from syncengine.engine.report import CheckLine

_SHOWN = 5


def check_pair(context: Context, *, guaranteed: Collection[Side] = ()) -> Iterator[CheckLine]:
    """
    Read both sides whole and tell what a person should know; `context` works on a store in memory.

    `guaranteed`: sides whose connector says in its own words what it promises about lost updates and duplicates.
    """
    rule, place = context.rule, f"pairs.{context.rule.name}"
    for note in rule.notes:
        yield CheckLine(place=place, ok=note not in rule.drift, text=note)
    read_both(context, cursors=dict.fromkeys(Side))
    for side in Side:
        remote = context.remotes[side]
        records = context.store.staging.count(side, Presence.PRESENT)
        listing = context.listings[side]
        if not remote.is_readable:
            text = f"{remote.end} can only be written: edits made there are never seen, and may be overwritten"
            yield CheckLine(place=f"{place}.{side.value}", ok=True, text=text)
            continue
        whole = "" if listing.complete else ", but the listing did not prove to be complete: absences mean nothing"
        yield CheckLine(place=f"{place}.{side.value}", ok=listing.complete, text=f"{remote.end}: {_records(records)} read{whole}")
        yield from _keys(context, side, place)
        yield from _promises(context, side, place, told=side in guaranteed)


def _keys(context: Context, side: Side, place: str) -> Iterator[CheckLine]:
    end, fields = context.remotes[side].end, ", ".join(context.rule.spec.match)
    shared = context.store.staging.shared_keys(side)
    if shared:
        shown = ", ".join(f"{key} ({count} records)" for key, count in shared[:_SHOWN])
        more = f" and {len(shared) - _SHOWN} more" if len(shared) > _SHOWN else ""
        yield CheckLine(
            place=f"{place}.match",
            ok=False,
            text=f"{end}: {len(shared)} values of {fields} stand more than once: {shown}{more}",
            cure="merge these records, or match by more fields; until then they go to the inbox and nothing is created for them",
        )
    if missing := context.store.staging.without_key(side):
        what = "left alone" if context.rule.spec.keyless is Keyless.SKIP else "created on the other side, never matched"
        yield CheckLine(place=f"{place}.match", ok=True, text=f"{end}: {_records(missing)} without {fields}: {what}")


def _records(number: int) -> str:
    return f"{number} record" if number == 1 else f"{number} records"


def _promises(context: Context, side: Side, place: str, *, told: bool) -> Iterator[CheckLine]:
    remote, capabilities = context.remotes[side], context.remotes[side].capabilities
    writes = any(rule.writable(side) for rule in context.rule.fields)
    where = f"{place}.{side.value}"
    if not writes:
        return
    if not capabilities.conditional_writes and not told:
        text = (
            f"{remote.end}: no conditional writes: an edit of the same field in the moment between our read and our write is lost"
        )
        yield CheckLine(place=where, ok=True, text=text)
    unique = len(context.rule.match) == 1 and remote.resource.fields[context.rule.match[0].native(side)].unique
    safe = told or capabilities.idempotent_creates or capabilities.chooses_ids or unique
    if not safe and capabilities.late_arrival:
        text = (
            f"{remote.end}: a create whose answer is lost is looked up by {', '.join(context.rule.spec.match)} after "
            f"{capabilities.late_arrival:.0f} seconds, and parked for you where that cannot tell"
        )
        yield CheckLine(place=where, ok=True, text=text)
    if not isinstance(remote.connector, Getter):
        yield CheckLine(place=where, ok=True, text=f"{remote.end}: no reads by id: it is read whole before each batch of writes")
    if not isinstance(remote.connector, Finder):
        yield CheckLine(place=where, ok=True, text=f"{remote.end}: no look-up by key: it is read whole before creates")
