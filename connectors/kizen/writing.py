"""
One change, and the calls that make it (records-api.md section 5).

Everything that can be known to be wrong is refused before the first call. A change of several calls that breaks off after the
first is `OutcomeUnknown`: a part of it is there. What a write's own answer says is handed back, for the written fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, assert_never

from connectors.kizen.api import RecordsApi, values_of
from connectors.kizen.catalogue import Catalogue, People
from connectors.kizen.decoding import decoder
from connectors.kizen.encoding import Entry, Shapes, UnknownOption, entries_for, option_named
from connectors.kizen.finding import lookup
from connectors.kizen.metadata import FieldInfo, Kind, ObjectInfo, is_record_id
from connectors.kizen.options import OnArchived
from connectors.kizen.refusals import Doing, error_of, parse
from connectors.kizen.rows import RowReader
from syncengine.connector import Archive, Change, Create, Delete, Fields, Identify, Native, Restore, Update, Written
from syncengine.errors import AlreadyExists, ConnectorError, NotFound, OutcomeUnknown, ProtocolError, Rejected
from syncengine.http import Reply

_ON_CREATE: Final = {
    OnArchived.ASK: "prompt",
    OnArchived.UNARCHIVE: "unarchive",
    OnArchived.OVERWRITE: "overwrite",
}

Send = Callable[[Sequence[Mapping[str, Any]]], Reply]


class Writer:
    """Makes changes; remembers which shapes of values the platform takes, and names it has resolved."""

    def __init__(self, api: RecordsApi, catalogue: Catalogue, on_archived: OnArchived) -> None:
        self._api = api
        self._catalogue = catalogue
        self._on_archived = on_archived
        self._shapes = Shapes()
        self._options_proved = False
        self._blanks_proved = False
        self._names: dict[tuple[str, str], str] = {}

    def apply(self, resource: str, change: Change) -> Written:
        """Make one change. Raises the classed error of what became of it."""
        info = self._catalogue.info(resource)
        if not isinstance(change, Create) and not is_record_id(change.id):
            raise NotFound(f"{resource} has no record of this id: ids of the platform are UUIDs")
        match change:
            case Create():
                return self._create(info, change)
            case Update():
                return self._update(info, change)
            case Archive():
                return self._archive(info, change)
            case Restore():
                return self._restore(info, change)
            case Delete():
                raise Rejected("the platform has no way to delete a record for good; archive it")
            case Identify():
                raise Rejected("every record of the platform has a lasting id from the start")
            case _:
                assert_never(change)

    def entry(self, info: ObjectInfo, fields: Fields) -> tuple[ObjectInfo, Entry]:
        """
        What is sent for a single field that has a single value, and the object as it is known by then.

        Raises RecordError where it can't be sent.
        """
        info, (entry,), _ = self._prepared(info, fields)
        return info, entry

    # Create

    def _create(self, info: ObjectInfo, change: Create) -> Written:
        info, entries, stage = self._prepared(info, change.fields)
        identifier = info.identifier
        name = None if identifier is None else change.fields.get(identifier.name)
        if not info.is_contacts and not name:
            raise Rejected(f"a record of {info.path} needs a name", field="name")
        known = isinstance(name, str) and bool(name.strip())
        # A new record is blank by itself, and whether null is taken is not documented (section 15.7).
        sent = tuple(entry for entry in entries if entry.value is not None)
        if known and change.upsert_on is None:
            self._make_sure_of_absence(info, str(name))
        if known and (change.upsert_on is not None or not info.is_contacts):
            reply = self._send(sent, lambda wires: self._upsert(info, str(name), wires, sent))
        else:
            archived = _ON_CREATE[self._on_archived]
            reply = self._send(sent, lambda wires: self._api.add(info.path, wires, archived))
        if not reply.ok:
            raise self._refused_create(info, reply, sent, str(name) if known else None)
        body = _answer(reply)
        id_, action = _id(reply, body), body.get("action")
        if action == "unarchived":
            # Whether the archived values or ours are in force now is not documented (section 5.11).
            with _partly_done(reply):
                reply = self._rewrite(info, id_, entries, sent)
                body = _answer(reply, id_)
        record = _stored(body, entries)
        if stage is not None:
            with _partly_done(reply):
                record = {**record, **self._move(info, id_, stage)}
        met = action in {"updated", "unarchived"} or (action is None and change.upsert_on is not None and reply.status == 200)
        return Written(key=change.key, id=id_, record=record, met=met)

    def _rewrite(self, info: ObjectInfo, id_: str, entries: Sequence[Entry], filled: Sequence[Entry]) -> Reply:
        """Write all that a restored record is to hold; without its blanks where the platform does not take those."""
        try:
            return self._patch(info, id_, entries)
        except Rejected:
            if len(filled) == len(entries):
                raise
            return self._patch(info, id_, filled)

    def _make_sure_of_absence(self, info: ObjectInfo, name: str) -> None:
        holder = self._holder(info, name)
        if holder is not None:
            assert info.identifier is not None
            said = f"a record of {info.path} with this value in {info.identifier.shown} exists; nothing was written"
            raise AlreadyExists(said, field=info.identifier.name, id=holder)

    def _holder(self, info: ObjectInfo, name: str) -> str | None:
        found = lookup(self._api, info, name, RowReader(self._api, info, ()))
        return None if found is None else found.id

    def _upsert(self, info: ObjectInfo, name: str, wires: Sequence[Mapping[str, Any]], entries: Sequence[Entry]) -> Reply:
        archived = _ON_CREATE[self._on_archived]
        return self._api.upsert(info.path, name, wires, archived=archived, all_fields=_may_ask_for_all(entries))

    def _refused_create(self, info: ObjectInfo, reply: Reply, entries: Sequence[Entry], name: str | None) -> ConnectorError:
        return self._or_taken(info, reply, error_of(reply, entries, info.identifier, Doing.CREATE), name)

    def _or_taken(
        self, info: ObjectInfo, reply: Reply, error: ConnectorError, name: str | None, *, by: str | None = None
    ) -> ConnectorError:
        """The error of a refused name or email: not every refusal for a twin says so by a code, and none names the other one."""
        doubtful = isinstance(error, AlreadyExists) or (type(error) is Rejected and error.field in {None, _name(info.identifier)})
        if name is None or reply.status not in {400, 409} or not doubtful:
            return error
        try:
            holder = self._holder(info, name)
        except ConnectorError:
            return error
        if holder is None or holder == by:
            return error
        return AlreadyExists(str(error), field=_name(info.identifier), id=holder)

    # Update, archive, restore

    def _update(self, info: ObjectInfo, change: Update) -> Written:
        info, entries, stage = self._prepared(info, change.fields)
        record: dict[str, Native] = {}
        if entries or stage is None:
            reply = self._patch(info, change.id, entries)
            record = _stored(_answer(reply, change.id), entries)
            if stage is not None:
                with _partly_done(reply):
                    record |= self._move(info, change.id, stage)
        else:
            record = self._move(info, change.id, stage)
        return Written(key=change.key, id=change.id, record=record)

    def _patch(self, info: ObjectInfo, id_: str, entries: Sequence[Entry]) -> Reply:
        renames = any(entry.field == info.identifier for entry in entries)
        archived = "overwrite" if renames and self._on_archived is OnArchived.OVERWRITE else None
        all_fields = _may_ask_for_all(entries)
        reply = self._send(
            entries, lambda wires: self._api.patch(info.path, id_, wires, archived=archived, all_fields=all_fields)
        )
        if not reply.ok:
            doing = Doing.RENAME if renames and archived is None else Doing.WRITE
            error = error_of(reply, entries, info.identifier, doing)
            wanted = next((entry.value for entry in entries if entry.field == info.identifier), None)
            raise self._or_taken(info, reply, error, wanted if isinstance(wanted, str) else None, by=id_)
        return reply

    def _move(self, info: ObjectInfo, id_: str, stage: tuple[FieldInfo, str]) -> dict[str, Native]:
        field, stage_id = stage
        reply = self._api.move(info.path, id_, stage_id)
        if not reply.ok:
            if reply.status == 400:
                raise Rejected(f"{reply.place} answered 400: the platform does not take this stage", field=field.name)
            raise error_of(reply, (), info.identifier, Doing.WRITE)
        return _stored(_answer(reply, id_, unnamed=True), [Entry(field=field, key="value", value=stage_id)])

    def _archive(self, info: ObjectInfo, change: Archive) -> Written:
        reply = self._api.archive(info.path, change.id)
        if not reply.ok:
            raise error_of(reply, (), info.identifier, Doing.WRITE)
        return Written(key=change.key, id=change.id)

    def _restore(self, info: ObjectInfo, change: Restore) -> Written:
        reply = self._api.unarchive(info.path, change.id)
        if reply.status == 400:
            said = f"{reply.place} answered 400: it is not archived, or a live record has its name by now"
            raise Rejected(said, field=_name(info.identifier))
        if not reply.ok:
            raise error_of(reply, (), info.identifier, Doing.WRITE)
        return Written(key=change.key, id=change.id)

    # What goes out

    def _prepared(self, info: ObjectInfo, fields: Fields) -> tuple[ObjectInfo, tuple[Entry, ...], tuple[FieldInfo, str] | None]:
        """The entries of a change, and the stage to move to. A field or option that is not known is looked for once more."""
        try:
            return info, *self._encoded(info, fields)
        except UnknownOption:
            info = self._catalogue.info_again(info.path)
            return info, *self._encoded(info, fields)

    def _encoded(self, info: ObjectInfo, fields: Fields) -> tuple[tuple[Entry, ...], tuple[FieldInfo, str] | None]:
        people = People(self._api, self._catalogue, info, self._names)
        entries: list[Entry] = []
        stage = None
        for name, native in fields.items():
            field = info.fields.get(name)
            if field is None:
                raise UnknownOption(f"{info.path} has no field {name!r} any more; take it out of the mapping", field=name)
            if field.kind is Kind.STAGE:
                if not isinstance(native, str):
                    raise Rejected(f"the field {field.shown} takes the name of a stage", field=name)
                stage = field, option_named(field, native).id
            else:
                entries += entries_for(field, native, people)
        return tuple(entries), stage

    def _send(self, entries: Sequence[Entry], send: Send) -> Reply:
        """
        Send entries in the shapes that the platform is known to take.

        A refusal has changed nothing, so a value that is refused in a shape not proved yet is sent once in the other (C4).
        """
        reply = send([entry.wire(self._shapes) for entry in entries])
        if reply.ok:
            self._prove(entries)
            return reply
        if reply.status != 400:
            return reply
        refused = [entries[position] for position in parse(reply.refusal()).positions if position < len(entries)]
        option = not self._options_proved and any(entry.has_options for entry in refused)
        blank = not self._blanks_proved and any(entry.is_blank for entry in refused)
        if not option and not blank:
            return reply
        other = self._shapes.alternative(option=option, blank=blank)
        second = send([entry.wire(other) for entry in entries])
        if not second.ok:
            return reply
        self._shapes = other
        self._prove(entries)
        return second

    def _prove(self, entries: Sequence[Entry]) -> None:
        self._options_proved = self._options_proved or any(entry.has_options for entry in entries)
        self._blanks_proved = self._blanks_proved or any(entry.is_blank for entry in entries)


def _name(field: FieldInfo | None) -> str | None:
    return None if field is None else field.name


def _may_ask_for_all(entries: Sequence[Entry]) -> bool:
    """Hidden fields are not among all fields (section 5.1), but are shown among those written."""
    return not any(entry.field.hidden for entry in entries)


def _answer(reply: Reply, id_: str | None = None, *, unnamed: bool = False) -> Mapping[str, Any]:
    """
    The record in the answer to a write; it may be empty, and `unnamed` where its shape is not documented.

    Raises OutcomeUnknown where it is none, or another one: some gateways answer 200 with an error in it.
    """
    body = reply.json() if reply.body else {}
    if not isinstance(body, Mapping):
        raise reply.nonsense("its body is not the record written")
    if id_ is not None and reply.body and str(body.get("id", id_ if unnamed else "")).lower() != id_.lower():
        raise reply.nonsense("its body is not the record written")
    return body


def _id(reply: Reply, body: Mapping[str, Any]) -> str:
    if not body.get("id"):
        raise reply.nonsense("its body has no id")
    return str(body["id"])


def _stored(body: Mapping[str, Any], entries: Sequence[Entry]) -> dict[str, Native]:
    """
    What the answer says of the fields written.

    A field that is missing there is blank (C5), but for a relationship that was set: some answers leave those out (C8). One
    that is only counted is left out too: its values would come from a later read.
    """
    if "fields" not in body:
        return {}
    try:
        found = values_of(body)
        record: dict[str, Native] = {}
        for entry in entries:
            field = entry.field
            shown = found.get(field.id)
            if shown is not None and "value" not in shown:
                continue
            if shown is None and field.kind is Kind.RELATION and entry.value:
                continue
            record[field.name] = decoder(field)(None if shown is None else shown["value"])
        return record
    except ProtocolError as error:
        raise OutcomeUnknown(f"the write was answered with a success, but {error}") from error


@contextmanager
def _partly_done(reply: Reply) -> Iterator[None]:
    try:
        yield
    except ConnectorError as error:
        raise OutcomeUnknown(f"{reply.place} was applied, but what belongs to it was not: {error}") from error
