"""
What must hold in every state, as far as the state alone can tell: the invariants I3, I9, I11, I14 and I15 of the reliability
reference, in words for people. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from syncengine.core.codec import decode
from syncengine.core.model import Guards, Side
from syncengine.store.database import Database
from syncengine.store.links import shadows
from syncengine.store.process import is_dead, shown

_DAY = 86_400.0
_REPORT = "this is a bug in syncengine: please report it; `syncengine state rebuild` starts a new state from this one"
_SHOWN = 5


class Gravity(Enum):
    """How a finding is to be taken."""

    FINE = "fine"
    NOTE = "note"
    FAULT = "fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found out about a state; `cure` says what to do about a fault."""

    gravity: Gravity
    text: str
    cure: str = ""


def examine(database: Database, *, now: float) -> Iterator[Finding]:
    """Every invariant in turn: one finding each where it holds, one per breach where it does not."""
    for name, check in (
        ("every record belongs to at most one link, every link to at most one open write", _links),
        ("both sides of every link are remembered together", _shadows),
        ("every write that is done is in the shadows of its link", _effects),
        ("every write in doubt has a link to return to", _doubts),
        ("the references between the tables hold", _references),
    ):
        found = [Finding(gravity=Gravity.FAULT, text=text, cure=_REPORT) for text in check(database)]
        yield from found or [Finding(gravity=Gravity.FINE, text=name)]
    yield from _leases(database, now)
    yield from _runs(database, now)
    yield from _deletes(database, now)


def _links(database: Database) -> Iterator[str]:
    """I11. The indexes that hold it are bypassed, so that a damaged index does not vouch for itself."""
    for side in Side:
        rows = database.execute(
            f"SELECT p.name, count(*), group_concat(l.id) FROM link l NOT INDEXED JOIN pair p ON p.id=l.pair "
            f"WHERE l.state<>'dead' AND l.{side.value}_id IS NOT NULL GROUP BY l.pair, l.{side.value}_id HAVING count(*)>1 "
            "LIMIT ?",
            (_SHOWN,),
        )
        for pair, count, links in rows:
            yield f"{pair}: {count} links share one {side.value} record (links {links})"
    rows = database.execute(
        "SELECT link, group_concat(id) FROM intent NOT INDEXED WHERE state IN ('sent','unknown','parked') AND link IS NOT NULL "
        "GROUP BY link HAVING count(*)>1 LIMIT ?",
        (_SHOWN,),
    )
    for link, intents in rows:
        yield f"link {link} has several open writes at once ({intents})"
    rows = database.execute(
        "SELECT id, state FROM link NOT INDEXED WHERE state IN ('live','suspended') AND (left_id IS NULL OR right_id IS NULL) "
        "LIMIT ?",
        (_SHOWN,),
    )
    for link, state in rows:
        yield f"link {link} is {state} but lacks a side"


def _shadows(database: Database) -> Iterator[str]:
    """I3, its shape: whether the values agree only the mapping can tell."""
    count = 0
    rows = database.execute(
        "SELECT id, left_shadow, right_shadow, left_unconfirmed, right_unconfirmed FROM link WHERE state='live' ORDER BY id"
    )
    for link, left, right, *unconfirmed in rows:
        wrong = ""
        try:
            both = shadows(left, right) if (left is None) == (right is None) else ({}, {})
        except ValueError:
            wrong = f"link {link}: a shadow cannot be read"
        else:
            if (left is None) != (right is None):
                wrong = f"link {link}: one side has a shadow, the other has none"
            for shadow, names in zip(both, unconfirmed, strict=True):
                if names and not set(names.split("\n")) <= set(shadow):
                    wrong = f"link {link}: a field waits to be confirmed but is not in the shadow"
        if wrong:
            yield wrong
            count += 1
        if count >= _SHOWN:
            return


def _effects(database: Database) -> Iterator[str]:
    """
    I15: the fields of each update that is done stand in the shadow of its side. A create that met a record, or was adopted
    without proof, starts with an empty shadow and is left out.
    """
    count = 0
    rows = database.execute(
        "SELECT i.id, i.side, i.payload, l.left_shadow, l.right_shadow "
        "FROM intent i JOIN link l ON l.id=i.link AND l.state='live' "
        "WHERE i.op='update' AND i.state='done' AND i.record=CASE i.side WHEN 'left' THEN l.left_id ELSE l.right_id END"
    )
    for intent, side, payload, left, right in rows:
        wrong = ""
        try:
            known = dict(zip(("left", "right"), shadows(left, right), strict=True))[side]
            missing = set(decode(payload)) - set(known) if known else set()
        except ValueError:
            wrong = f"write {intent}: its payload or its shadow cannot be read"
        else:
            if missing:
                wrong = f"write {intent} to the {side} is done, but its shadow does not know {', '.join(sorted(missing))}"
        if wrong:
            yield wrong
            count += 1
        if count >= _SHOWN:
            return


def _doubts(database: Database) -> Iterator[str]:
    """A link that is being created hangs for ever unless a write is under way for it."""
    rows = database.execute(
        "SELECT l.id FROM link l WHERE l.state='creating' AND NOT EXISTS (SELECT 1 FROM intent i WHERE i.link=l.id "
        "AND i.state IN ('sent','unknown','parked')) LIMIT ?",
        (_SHOWN,),
    )
    for (link,) in rows:
        yield f"link {link} is being created, but no write is under way for it"
    rows = database.execute(
        "SELECT i.id FROM intent i WHERE i.state IN ('sent','unknown','parked') AND i.link IS NOT NULL AND NOT EXISTS "
        "(SELECT 1 FROM link l WHERE l.id=i.link) LIMIT ?",
        (_SHOWN,),
    )
    for (intent,) in rows:
        yield f"write {intent} is in doubt, but its link is gone"


def _references(database: Database) -> Iterator[str]:
    for table, _, parent, _ in database.execute("PRAGMA foreign_key_check").fetchmany(_SHOWN):
        yield f"a row of {table} refers to a {parent} that is not there"
    for table in ("record", "pending"):
        if database.value(f"SELECT 1 FROM {table} WHERE end/2 NOT IN (SELECT id FROM pair) LIMIT 1"):
            yield f"a row of {table} refers to a pair that is not there"


def _leases(database: Database, now: float) -> Iterator[Finding]:
    """I14: every lease has a fencing number; who holds one is told."""
    for resource, place, epoch, until in database.execute("SELECT resource, place, epoch, until FROM lease ORDER BY resource"):
        if epoch < 1:
            yield Finding(gravity=Gravity.FAULT, text=f"the lease on {resource} has no fencing number", cure=_REPORT)
        elif until > now:
            how = (
                "which is dead; the next run takes it over" if is_dead(place) else f"for {until - now:.0f} more seconds at least"
            )
            yield Finding(gravity=Gravity.NOTE, text=f"{resource} is held by {shown(place)}, {how}")


def _runs(database: Database, now: float) -> Iterator[Finding]:
    rows = database.execute(
        "SELECT p.name, count(*) FROM run r JOIN pair p ON p.id=r.pair WHERE r.finished_at IS NULL AND r.started_at<=? "
        "GROUP BY p.id ORDER BY p.name",
        (now,),
    )
    for pair, count in rows:
        yield Finding(gravity=Gravity.NOTE, text=f"{pair}: {count} runs did not come to their end (killed, or at work now)")
    rows = database.execute(
        "SELECT p.name, count(*) FROM intent i JOIN pair p ON p.id=i.pair WHERE i.state IN ('sent','unknown') "
        "GROUP BY p.id ORDER BY p.name"
    )
    for pair, count in rows:
        yield Finding(gravity=Gravity.NOTE, text=f"{pair}: {count} writes are in doubt; the next run looks what became of them")


def _deletes(database: Database, now: float) -> Iterator[Finding]:
    """I9, against the usual limits: more than these needed somebody's approval, or limits of the config's own."""
    usual = Guards().deletes
    rows = database.execute(
        "SELECT p.name, (SELECT count(*) FROM intent i WHERE i.pair=p.id AND i.op IN ('archive','delete') AND i.state<>'closed' "
        "AND i.sent_at>?), (SELECT count(*) FROM link l WHERE l.pair=p.id AND l.state IN ('live','suspended')) FROM pair p",
        (now - _DAY,),
    )
    for pair, deletes, links in rows:
        limit = max(usual.number, int(usual.share * (links + deletes)))
        if deletes > limit:
            text = f"{pair}: {deletes} deletes in the last 24 hours, above the usual limit of {limit}: an approval let them pass"
            yield Finding(gravity=Gravity.NOTE, text=text)
