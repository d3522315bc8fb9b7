"""From the catalogue's facts and the options to a described table. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from difflib import get_close_matches
from typing import Final
from zoneinfo import ZoneInfo

from connectors.sql.dialect import Traits
from connectors.sql.facts import ColumnFacts, TableFacts
from connectors.sql.keys import Key, KeyKind
from connectors.sql.options import Chosen
from connectors.sql.table import ArchiveMark, Column, Table, VersionMark
from connectors.sql.values import text
from syncengine.connector import Capabilities, Field, FieldType, Resource
from syncengine.errors import ResourceError

MAX_BATCH: Final = 1000
ID_LENGTH: Final = 32
"""Characters that a proposed id may need."""

SECONDS_OF_A_DAY: Final = 86_400.0
SYSTEM_VERSION: Final = "xmin"
"""The transaction that wrote a row of PostgreSQL last: there without being declared."""

_TIMES: Final = frozenset({FieldType.DATE, FieldType.DATETIME})
_FLAGS: Final = frozenset({FieldType.BOOLEAN, FieldType.INTEGER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A table that is described but cannot be read; `why` names the cure."""

    resource: Resource
    why: str


def describe(facts: TableFacts, chosen: Chosen, *, traits: Traits) -> Table | Unreadable:
    """The described table. Raises ResourceError for options that name a column which is not there or does not fit."""
    by_name = {column.name: column for column in facts.columns}
    notes: list[str] = []

    def pick(wanted: str | None, option: str) -> ColumnFacts | None:
        if wanted is None:
            return None
        found = by_name.get(wanted)
        if found is None and wanted in chosen.asked:
            raise ResourceError(_no_column(facts.name, wanted, option, list(by_name)))
        return found

    updated_at = pick(chosen.updated_at, "updated_at")
    archived_at = pick(chosen.archived_at, "archived_at")
    if chosen.version == SYSTEM_VERSION and SYSTEM_VERSION not in by_name and traits.system_version:
        version: ColumnFacts | None = ColumnFacts(
            name=SYSTEM_VERSION, shape=text(), nullable=False, filled=True, generated=True, key_kind=None
        )
    else:
        version = pick(chosen.version, "version")
    if updated_at is not None and not _tells_time(updated_at, traits):
        raise ResourceError(
            f"table {facts.name}: column {updated_at.name} (option updated_at) is no timestamp; name one that is, or leave it out"
        )
    mark = ArchiveMark.TIME
    if archived_at is not None:
        mark = _archive_mark(facts.name, archived_at, traits)

    key_columns = chosen.id or facts.primary_key
    missing = [name for name in key_columns if name not in by_name]
    if missing:
        raise ResourceError(_no_column(facts.name, missing[0], "id", list(by_name)))
    key_facts = [by_name[name] for name in key_columns]
    numbered = facts.numbered and tuple(key_columns) == facts.primary_key
    certain = bool(key_columns) and (
        numbered
        or (set(key_columns) in [set(each) for each in facts.unique] and not any(column.nullable for column in key_facts))
    )
    # SQLite lets a primary key be NULL; it is unique all the same, and a NULL in it stops the listing
    backed = bool(key_columns) and set(key_columns) in [set(each) for each in facts.unique]
    read_only = facts.read_only or ("" if backed else "no unique key of the table backs its id")

    ours = {column.name for column in (updated_at, archived_at, version) if column is not None}
    columns: dict[str, Column] = {}
    fields: dict[str, Field] = {}
    for column in facts.columns:
        fields[column.name] = _field(column, facts, ours=ours, read_only=bool(read_only))
        if not column.shape.unusable:
            columns[column.name] = Column(
                name=column.name,
                shape=column.shape,
                nullable=column.nullable,
                required=not column.nullable and not column.filled and not column.generated,
            )

    chooses_ids = not read_only and len(key_facts) == 1 and _chooses_ids(key_facts[0], facts, fields[key_columns[0]])
    if chooses_ids:
        fields[key_columns[0]] = replace(fields[key_columns[0]], required=False)
    if facts.read_only:
        notes.append(f"cannot be written: {facts.read_only}")
    elif read_only and key_columns:
        notes.append(f"cannot be written: {read_only}; make {', '.join(key_columns)} its primary key")
    if updated_at is None:
        notes.append("no updated_at column is configured: each run reads the whole table")
    else:
        notes.append(
            f"changes are found by {updated_at.name}: deleted rows, and rows changed without moving it, "
            "are seen by the full sweep only"
        )
    unusable_keys = [column.name for column in key_facts if column.key_kind is None]
    why = ""
    if not key_columns:
        why = (
            f"table {facts.name} has no primary key, so its rows have no ids; name the identifying columns in the config: "
            f'[systems.NAME.tables.{facts.name}] id = ["..."]'
        )
    elif unusable_keys:
        why = f"table {facts.name}: the type of column {unusable_keys[0]} cannot be part of an id; name other columns as `id`"
    if why:
        notes.append(why)

    resource = Resource(
        name=facts.name,
        fields=fields,
        capabilities=_capabilities(
            facts,
            traits,
            writable=not read_only and not why,
            updated_at=updated_at,
            archived_at=archived_at,
            chooses_ids=chooses_ids,
            fields=fields,
            page_size=chosen.page_size,
        ),
        id_fields=tuple(key_columns),
        notes=tuple(notes),
    )
    if why:
        return Unreadable(resource=resource, why=why)

    def known(column: ColumnFacts | None) -> Column | None:
        if column is None:
            return None
        return columns.get(column.name) or Column(name=column.name, shape=column.shape, nullable=False, required=False)

    return Table(
        resource=resource,
        schema=facts.schema,
        columns=columns,
        key=Key(columns=tuple(key_columns), kinds=tuple(column.key_kind or KeyKind.ANY for column in key_facts)),
        numbered=numbered,
        certain_ids=certain,
        unique=facts.unique,
        foreign_keys=facts.foreign_keys,
        zone=ZoneInfo(chosen.timezone) if chosen.timezone else UTC,
        overlap=chosen.overlap if chosen.overlap is not None else traits.overlap,
        updated_at=known(updated_at),
        archived_at=known(archived_at),
        archive_mark=mark,
        version=known(version),
        version_mark=(
            VersionMark.OURS
            if version is not None and version.shape.type is FieldType.INTEGER and not version.generated
            else VersionMark.DATABASE
        ),
    )


def _field(column: ColumnFacts, facts: TableFacts, *, ours: set[str], read_only: bool) -> Field:
    shape = column.shape
    target = next((each for each in facts.foreign_keys if each.columns == (column.name,) and each.to_key), None)
    references = target.table if target is not None else None
    return Field(
        name=column.name,
        type=FieldType.REFERENCE if references is not None and not shape.unusable else shape.type,
        required=not column.nullable and not column.filled and not column.generated and column.name not in ours,
        read_only=read_only or column.generated or column.name in ours,
        unique=(column.name,) in facts.unique,
        nullable=column.nullable,
        naive=shape.naive,
        many=shape.many,
        max_length=shape.max_length,
        scale=shape.scale,
        choices=shape.choices,
        references=references,
        unusable=shape.unusable,
    )


def _capabilities(
    facts: TableFacts,
    traits: Traits,
    *,
    writable: bool,
    updated_at: ColumnFacts | None,
    archived_at: ColumnFacts | None,
    chooses_ids: bool,
    fields: dict[str, Field],
    page_size: int,
) -> Capabilities:
    resolution = None
    if updated_at is not None:
        kept = SECONDS_OF_A_DAY if updated_at.shape.type is FieldType.DATE else 10.0**-updated_at.shape.precision
        resolution = max(kept, traits.clock_resolution)
    shapes = {column.name: column.shape for column in facts.columns}
    return Capabilities(
        incremental=updated_at is not None,
        # archived rows are told, but a row deleted for good leaves no trace
        reports_deletions=False,
        creates=writable,
        updates=writable,
        archives=writable and archived_at is not None,
        deletes=writable,
        restores=writable and archived_at is not None,
        conditional_writes=writable,
        upsert_keys=tuple(
            name
            for name, field in fields.items()
            if writable and field.unique and not field.read_only and not field.unusable and shapes[name].comparable
        ),
        returns_record=writable,
        max_batch=MAX_BATCH if writable else 1,
        max_concurrency=traits.max_concurrency,
        chooses_ids=chooses_ids,
        late_arrival=traits.late_arrival,
        clock_resolution=resolution,
        page_size=page_size,
    )


def _chooses_ids(key: ColumnFacts, facts: TableFacts, field: Field) -> bool:
    return (
        key.key_kind is KeyKind.TEXT
        and field.type is FieldType.TEXT
        and not key.filled
        and not field.read_only
        and (key.shape.max_length is None or key.shape.max_length >= ID_LENGTH)
        and not any(key.name in each.columns for each in facts.foreign_keys)
    )


def _tells_time(column: ColumnFacts, traits: Traits) -> bool:
    return column.shape.type in _TIMES or (traits.times_as_text and column.shape.type is FieldType.TEXT)


def _archive_mark(table: str, column: ColumnFacts, traits: Traits) -> ArchiveMark:
    if column.shape.type in _FLAGS:
        return ArchiveMark.FLAG
    if _tells_time(column, traits) and column.nullable:
        return ArchiveMark.TIME
    raise ResourceError(
        f"table {table}: column {column.name} (option archived_at) is neither a flag nor a timestamp that may be NULL; "
        "name one that is, or leave it out"
    )


def _no_column(table: str, wanted: str, option: str, names: Sequence[str]) -> str:
    near = get_close_matches(wanted, names, n=1)
    cure = f"did you mean {near[0]}?" if near else f"its columns are {', '.join(names)}"
    return f"table {table} has no column {wanted} (option {option}); {cure}"
