"""
SQL databases: SQLite, PostgreSQL, MariaDB and MySQL.

    [systems.office]
    connector = "sql"
    url = "sqlite:///office.db"
    updated_at = "updated_at"                 # tables that have this column are read incrementally

    [systems.office.tables.people]
    archived_at = "deleted_at"

See `options` for everything that can be said, `keys` for what ids look like, `cursors` for what an incremental read may miss.
"""

from __future__ import annotations

from connectors.sql.connector import SqlConnector
from connectors.sql.database import Database
from connectors.sql.options import SqlOptions
from connectors.sql.places import dialect_for
from syncengine.connector import Context, Plugin

GUARANTEE = (
    "No lost updates: each write compares the row with what was read, under a lock, in the transaction that writes it. "
    "No duplicates where the match key has a unique index, or where the engine chooses a text primary key; else a create "
    "whose commit was never confirmed is looked for by its match key before it is repeated."
)


def connect(options: SqlOptions, context: Context) -> SqlConnector:
    """Open the connector; the database is first touched by its first call."""
    return SqlConnector(Database(dialect_for(options, context)), options)


plugin = Plugin(
    title="SQL database (SQLite, PostgreSQL, MariaDB, MySQL)", options=SqlOptions, connect=connect, guarantee=GUARANTEE
)
