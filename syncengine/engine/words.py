"""
The words for what reports count: one word for each kind, bucket and outcome, whoever shows it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from syncengine.core.values import Lack, Shortfall
from syncengine.engine.report import Exit
from syncengine.engine.text import counted, plain

DONE = {
    "create": "created",
    "update": "updated",
    "archive": "archived",
    "delete": "deleted",
    "restore": "restored",
    "link": "linked",
    "unlink": "unlinked",
    "identify": "given an id",
}
"""What was done to a record, by the kind of the action."""
WAITS = {
    "conflict": ("conflict", "conflicts"),
    "ambiguous": ("ambiguous match", "ambiguous matches"),
    "reference": ("reference to a record that is not linked yet", "references to records that are not linked yet"),
    "blocked": ("field that cannot be mapped", "fields that cannot be mapped"),
    "in_doubt": ("write in doubt", "writes in doubt"),
    "failed": ("failed write", "failed writes"),
    "quarantined": ("in quarantine", "in quarantine"),
    "delete": ("delete", "deletes"),
    "deferred": ("put off to the next run", "put off to the next run"),
    "unread": ("not read", "not read"),
}
"""What a record that is not settled waits for, one and many, by reason."""
BUCKETS = {
    "unchanged": "unchanged",
    "linked": "linked for the first time",
    "created": "new: created on the other side",
    "sent": "changed: sent to the other side",
    "received": "changed by the other side",
    "agreed": "changed alike on both sides",
    "deleted": "deleted, as on the other side",
    "skipped": "left alone, as the config says",
    "conflicted": "in conflict",
    "ambiguous": "ambiguous match",
    "waiting": "waiting",
    "quarantined": "in quarantine",
    "failed": "failed",
    "in_doubt": "in doubt",
}
"""What became of a record that was read, in the order in which a summary tells it."""
OUTCOMES = {
    Exit.DONE: "done, in sync",
    Exit.FAILED: "failed",
    Exit.USAGE: "wrong config",
    Exit.REFUSED: "refused",
    Exit.PARTIAL: "done in part",
    Exit.CHANGES: "changes found",
}
INTERRUPTED = "was interrupted"
"""The outcome of a run that never came to its end."""


def names(left: str, right: str) -> Mapping[str, str]:
    """What people call the sides: the systems, unless both ends are in the same one."""
    systems = {"left": left.partition(".")[0], "right": right.partition(".")[0]}
    return {"left": left, "right": right} if systems["left"] == systems["right"] else systems


def lacking(field: str, lack: Shortfall, whose: str = "") -> str:
    """`cut first_name of ada@example.com from 300 to 255 characters`; it quotes no value."""
    of = f"{plain(field)} of {plain(whose)}" if whose else plain(field)
    match lack.lack:
        case Lack.CUT:
            return f"cut {of} from {lack.sent:,} to {counted(lack.kept, 'character')}"
        case Lack.ROUNDED if lack.kept < lack.sent:
            return f"rounded {of} from {lack.sent} to {counted(lack.kept, 'decimal place')}"
        case Lack.ROUNDED:
            return f"rounded {of}"
        case Lack.MEMBERS:
            return f"kept {lack.kept} of {counted(lack.sent, 'member')} of {of}"
        case Lack.NOTHING:
            return f"stored nothing in {of}"
        case Lack.OTHER:
            return f"stored something else in {of} than it was sent"


def fell_short(called: str, label: str, field: str, lack: Shortfall) -> str:
    """What a system, called so, did not store of what it was sent."""
    return f"{plain(called)} {lacking(field, lack, label or '(no name)')}"


def fields_by_side(numbers: Mapping[str, int], called: Mapping[str, str]) -> str:
    """`office: first_name 2, price 1` of numbers like `right.first_name`, whose field may hold dots."""
    sides: dict[str, list[str]] = {}
    for name, number in sorted(numbers.items()):
        side, _, field = name.partition(".")
        sides.setdefault(plain(called.get(side, side)), []).append(f"{plain(field)} {number:,}")
    return "; ".join(f"{side}: {', '.join(fields)}" for side, fields in sorted(sides.items()))


def counts(numbers: Mapping[str, int], called: Mapping[str, str], words: Mapping[str, str]) -> str:
    """`office: 2 created, 1 updated; crm: 1 updated` of numbers like `right.create`."""
    sides: dict[str, list[str]] = {}
    for name, number in sorted(numbers.items(), reverse=True):
        side, dot, kind = name.rpartition(".")
        if number:
            sides.setdefault(plain(called.get(side, side)) if dot else "", []).append(f"{number:,} {words.get(kind, kind)}")
    parts = [(f"{side}: " if side else "") + ", ".join(texts) for side, texts in sorted(sides.items())]
    return "; ".join(parts) or "nothing"
