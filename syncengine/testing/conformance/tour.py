"""Two walks through a connector: everything it can do, and every way of being refused. No pytest in here."""

from __future__ import annotations

from syncengine.connector import Expected, Restore, Update
from syncengine.errors import ConnectorError
from syncengine.testing.conformance.bench import Bench, records_of


def tour(bench: Bench, text: str) -> None:
    """Check, describe, read, and whatever else is declared, once; `text` is written and looked for."""
    connector, resource = bench.connector, bench.world.resource
    name = bench.world.editable
    connector.check()
    dict(connector.resources()[resource].fields)
    made = bench.make(1, **{name: text}) if bench.has("creates") or hasattr(bench.far_side, "insert") else []
    if bench.has("read"):
        pages = list(connector.read(resource, fields=bench.names))
        cursor = next((page.cursor for page in reversed(pages) if page.cursor is not None), None)
        if cursor is not None:
            list(connector.read(resource, fields=bench.names, cursor=cursor))
    for id in made:
        if bench.has("get"):
            connector.get(resource, [id, "kit-no-such-record"], fields=bench.names)
        if bench.has("updates"):
            bench.send_one(bench.update_of(id, {name: f"{text} edited"}))
        if bench.has("archives"):
            bench.send_one(bench.archival(id))
        if bench.has("restores"):
            bench.send_one(Restore(key=bench.key(), id=id))
        if bench.has("deletes"):
            bench.send_one(bench.removal(id))
    if bench.has("find"):
        connector.find(resource, name, [text], fields=bench.names)
    if bench.has("write"):
        provoked(bench, text)


def provoked(bench: Bench, text: str) -> list[ConnectorError]:
    """The errors of every refusal that the description lets one foresee, with `text` among the values refused."""
    name = bench.world.editable
    errors: list[ConnectorError | None] = []
    if bench.has("updates"):
        errors.append(bench.attempt(Update(key=bench.key(), id="kit-no-such-record", fields={name: text})))
    if bench.has("creates"):
        for unique in bench.unique_fields:
            values = bench.values(**{name: text})
            if isinstance(values[unique], str):
                values[unique] = f"{text}{values[unique]}"
            bench.attempt(bench.creation(values))
            errors.append(bench.attempt(bench.creation(values)))
        lacking = [{**bench.values(**{name: text}), field: None} for field in bench.required_fields]
        errors += [bench.attempt(bench.creation(values)) for values in lacking]
        for field, each in bench.writable.items():
            if each.max_length is not None and field in bench.world.seed_fields:
                long = text * (each.max_length // len(text) + 1)
                errors.append(bench.attempt(bench.creation(bench.values(**{field: long}))))
            elif each.choices:
                errors.append(bench.attempt(bench.creation(bench.values(**{field: text}))))
        if bench.world.rejected is not None:
            errors.append(bench.attempt(bench.creation(bench.values(**{name: text, **bench.world.rejected}))))
    if bench.has("conditional_writes") and bench.has("updates") and (bench.has("get") or bench.has("read")):
        [id] = bench.make(1, **{name: text})
        record = bench.there(id)
        stale = Expected(version=text) if record.version is not None else Expected(fields={name: f"{text} stale"})
        errors.append(bench.attempt(bench.update_of(id, {name: f"{text} new"}, expected=stale)))
    for trouble in ("fail_write", "lose_answer"):
        if hasattr(bench.far_side, trouble) and bench.has("creates"):
            before = records_of(bench.pages()).keys() if bench.has("read") else set()
            getattr(bench.far_side, trouble)()
            errors.append(bench.attempt(bench.creation(bench.values(**{name: text}))))
            if bench.has("read"):
                bench.noticed(records_of(bench.pages()).keys() - before)
    return [error for error in errors if error is not None]
