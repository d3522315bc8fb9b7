"""The options of `connector = "sql"`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

Columns: TypeAlias = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    Field(min_length=1),
]
"""One column name, or a list of them."""


def _known_zone(value: str | None) -> str | None:
    if value is not None:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{value!r} is no time zone; write one like Europe/Berlin, or UTC") from None
    return value


Zone: TypeAlias = Annotated[str | None, AfterValidator(_known_zone)]


class TableOptions(BaseModel):
    """
    What is said of one table: `[systems.office.tables.people]`. What is not given here is taken from the system.

    `id` names the columns that identify a row, where the table has no primary key (or another one is wanted).
    `updated_at` names the column that tells when a row was last changed; `false` says that this table has none.
    `archived_at` names a nullable timestamp, or a flag; a row that has it set is archived and not live.
    `version` names a column that changes with every change of the row: a whole number, which our writes increment, or one
    the database keeps (`xmin` on PostgreSQL).
    `overlap` is how many seconds a transaction may take between stamping a row and committing it.
    `timezone` is the zone of `updated_at` where that column has no offset; UTC otherwise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    id: Columns | None = None
    updated_at: str | Literal[False] | None = None
    archived_at: str | Literal[False] | None = None
    version: str | Literal[False] | None = None
    overlap: float | None = Field(default=None, ge=0, le=86_400)
    timezone: Zone = None


class SqlOptions(BaseModel):
    """
    The system's table of the config.

    `url`: `sqlite:///office.db` (relative to the config file), `postgresql://user:password@host:5432/database`,
    `mysql://...` or `mariadb://...`. `schema` is PostgreSQL's schema or MariaDB's database, where not the default one.
    `updated_at`, `archived_at` and `version` name a column for all tables that have it, or are a table of table name ->
    column name. `page_size` is rows per page: less for very wide rows. `timeout` is how many seconds one statement may
    take, `lock_timeout` how many it waits for a lock.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, populate_by_name=True)

    url: SecretStr
    schema_: str | None = Field(default=None, alias="schema", min_length=1)
    updated_at: str | dict[str, str] | None = None
    archived_at: str | dict[str, str] | None = None
    version: str | dict[str, str] | None = None
    overlap: float | None = Field(default=None, ge=0, le=86_400)
    timezone: Zone = None
    page_size: int = Field(default=2000, ge=1, le=100_000)
    timeout: float = Field(default=60.0, gt=0, le=600)
    lock_timeout: float = Field(default=5.0, gt=0)
    tables: dict[str, TableOptions] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """
    What holds for one table once the system's options and the table's own are put together.

    `asked` names the columns that this table must have: those that were named for it alone.
    """

    id: tuple[str, ...] | None
    updated_at: str | None
    archived_at: str | None
    version: str | None
    asked: frozenset[str]
    overlap: float | None
    timezone: str | None
    page_size: int


def options_for(table: str, options: SqlOptions) -> Chosen:
    """The options of one table."""
    own = options.tables.get(table, TableOptions())
    asked: set[str] = set()

    def column(mine: str | Literal[False] | None, common: str | dict[str, str] | None) -> str | None:
        if mine is False:
            return None
        named = mine if mine is not None else common.get(table) if isinstance(common, dict) else None
        if named is not None:
            asked.add(named)
            return named
        return common if isinstance(common, str) else None

    return Chosen(
        id=own.id,
        updated_at=column(own.updated_at, options.updated_at),
        archived_at=column(own.archived_at, options.archived_at),
        version=column(own.version, options.version),
        asked=frozenset(asked),
        overlap=own.overlap if own.overlap is not None else options.overlap,
        timezone=own.timezone or options.timezone,
        page_size=options.page_size,
    )
