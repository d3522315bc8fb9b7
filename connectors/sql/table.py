"""A described table: the resource that others see, and what reading and writing need to know. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from enum import Enum, auto

from connectors.sql.facts import ForeignKey
from connectors.sql.keys import Key
from connectors.sql.values import Shape
from syncengine.connector import Native, Resource


class ArchiveMark(Enum):
    """How a row says that it is archived."""

    TIME = auto()
    """A timestamp that is not NULL."""
    FLAG = auto()
    """A flag that is neither NULL nor false."""


class VersionMark(Enum):
    """Who changes the version column."""

    OURS = auto()
    """A whole number that whoever writes increments."""
    DATABASE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column that can be read. `required`: NOT NULL, and nothing fills it."""

    name: str
    shape: Shape
    nullable: bool
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """
    A table or view with its key.

    `columns` are those that can be read. `numbered`: the database hands out the key. `certain_ids`: the database itself
    keeps the key unique and not NULL. `unique` and `foreign_keys` serve to name the column at fault. `updated_at`,
    `archived_at` and `version` are the columns that the options chose; `zone` and `overlap` go with `updated_at`.
    """

    resource: Resource
    schema: str
    columns: Mapping[str, Column]
    key: Key
    numbered: bool
    certain_ids: bool
    unique: tuple[tuple[str, ...], ...]
    foreign_keys: tuple[ForeignKey, ...]
    zone: tzinfo
    overlap: float
    updated_at: Column | None = None
    archived_at: Column | None = None
    archive_mark: ArchiveMark = ArchiveMark.TIME
    version: Column | None = None
    version_mark: VersionMark = VersionMark.DATABASE

    @property
    def name(self) -> str:
        return self.resource.name

    def is_archived(self, value: Native) -> bool:
        """Whether a row with this native in `archived_at` is archived."""
        if self.archive_mark is ArchiveMark.TIME:
            return value is not None
        return value is not None and value != 0
