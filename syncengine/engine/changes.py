"""What is sent for a write: the change in the words of the contract, as much of it as the target understands."""

from __future__ import annotations

import hashlib

from syncengine.connector import (
    Archive,
    Change,
    Create,
    Delete,
    Expected,
    Fields,
    Identify,
    Native,
    Restore,
    SetChange,
    Update,
)
from syncengine.core.decision import Op, Write
from syncengine.core.filters import fields_of
from syncengine.core.merge import Half
from syncengine.core.model import Side
from syncengine.engine.context import Context
from syncengine.engine.remote import Remote
from syncengine.engine.shadows import set_fields
from syncengine.engine.work import Work


def change_of(context: Context, side: Side, work: Work) -> Change:
    """The change for the next write of a work; conditional on what was last read, where the target takes conditions."""
    write, capabilities = work.todo[0], context.remotes[side].capabilities
    half = work.decision.half(side)
    expected = None
    if capabilities.conditional_writes and write.op is not Op.CREATE:
        before = {**_in_scope(context, side, half), **work.whole, **write.before} if half.version is None else {}
        expected = Expected(version=half.version, fields=before)
    match write.op:
        case Op.CREATE:
            remote = context.remotes[side]
            upsert_on = None if remote.is_readable else context.rule.match[0].native(side)
            id_ = proposed_id(remote, work.key, write.fields)
            return Create(key=work.key, fields=write.fields, upsert_on=upsert_on, id=id_)
        case Op.IDENTIFY:
            assert write.id is not None
            return Identify(key=work.key, id=write.id)
        case Op.RESTORE:
            assert write.id is not None
            return Restore(key=work.key, id=write.id)
        case Op.ARCHIVE | Op.DELETE:
            assert write.id is not None
            kind = Archive if write.op is Op.ARCHIVE else Delete
            return kind(key=work.key, id=write.id, expected=expected)
        case Op.UPDATE:
            assert write.id is not None
            fields: Fields = write.fields
            if not capabilities.partial_updates:
                fields = {**work.whole, **fields}
            elif capabilities.set_deltas:
                fields = _as_deltas(context, side, write)
            return Update(key=work.key, id=write.id, fields=fields, expected=expected)


def _in_scope(context: Context, side: Side, half: Half) -> Fields:
    """What the filter of a side let pass, as far as it is known: a record that has left it since is not to be written to."""
    now = half.now or {}
    return {name: now[name] for name in fields_of(context.rule.spec.filters.get(side, ())) if name in now}


def _as_deltas(context: Context, side: Side, write: Write) -> Fields:
    """Sets as what is added and removed, so that members which somebody else touches meanwhile stay."""
    sets = set_fields(context.rule, side)
    fields: dict[str, Native] = {}
    for name, value in write.fields.items():
        before = write.before.get(name)
        if name in sets and isinstance(value, list) and isinstance(before, list):
            add = tuple(member for member in value if member not in before)
            remove = tuple(member for member in before if member not in value)
            fields[name] = SetChange(add=add, remove=remove)
        else:
            fields[name] = value
    return fields


def proposed_id(remote: Remote, key: str, fields: Fields) -> str | None:
    """
    The id proposed for a create: derived from the intent's key, so that a lost create is found by reading it.

    None where the system chooses, or where the mapping itself writes what ids are made of.
    """
    if not remote.capabilities.chooses_ids or not fields.keys().isdisjoint(remote.resource.id_fields):
        return None
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
