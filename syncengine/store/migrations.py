"""
The schema of the state, as migrations; the constraints that matter most are in the schema, not in code.

An end is one side of a pair: `2 * pair + (0 for left, 1 for right)`. Record ids are stored as integers where they are whole
numbers in plain form, so that a listing in numeric order is a range of the table.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # dear to import, and needed only where a schema is made or changed
    from sqlite_utils import Database, Migrations

SCHEMA_VERSION = 2
APPLICATION_ID = 0x73796E63
"""What tells a state from the databases of other programs: "sync" in the header of the file."""

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE pair (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    digest BLOB,
    parts TEXT NOT NULL DEFAULT '{}',
    left_account TEXT, right_account TEXT,
    left_cursor TEXT, right_cursor TEXT,
    left_full_at REAL, right_full_at REAL
);

-- Every live record that was ever read, linked or not. `fingerprint` is NULL until the record is settled. `n` counts
-- records per end in order of first sight: it indexes the bitmap of a listing, and tells what is newer than an intent.
CREATE TABLE record (
    end INTEGER NOT NULL,
    id NOT NULL,
    n INTEGER NOT NULL,
    fingerprint BLOB,
    key TEXT,
    PRIMARY KEY (end, id)
) WITHOUT ROWID;
CREATE INDEX record_key ON record (end, key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX record_n ON record (end, n);

CREATE TABLE link (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: the journal, the inbox and the attic name links by it
    pair INTEGER NOT NULL REFERENCES pair (id),
    state TEXT NOT NULL CHECK (state IN ('creating', 'live', 'suspended', 'dead')),
    left_id, right_id,
    left_shadow BLOB, right_shadow BLOB,
    left_aside BLOB, right_aside BLOB,
    left_version TEXT, right_version TEXT,
    left_unconfirmed TEXT, right_unconfirmed TEXT,
    CHECK (state NOT IN ('live', 'suspended') OR (left_id IS NOT NULL AND right_id IS NOT NULL)),
    CHECK (left_id IS NOT NULL OR right_id IS NOT NULL)
);
CREATE UNIQUE INDEX link_left ON link (pair, left_id) WHERE state <> 'dead' AND left_id IS NOT NULL;
CREATE UNIQUE INDEX link_right ON link (pair, right_id) WHERE state <> 'dead' AND right_id IS NOT NULL;
CREATE INDEX link_left_dead ON link (pair, left_id) WHERE state = 'dead';
CREATE INDEX link_right_dead ON link (pair, right_id) WHERE state = 'dead';

-- What a state knew before it was rebuilt: which records were linked. It decides only where no match key can.
CREATE TABLE former (
    pair INTEGER NOT NULL REFERENCES pair (id),
    left_id NOT NULL,
    right_id NOT NULL,
    PRIMARY KEY (pair, left_id)
) WITHOUT ROWID;
CREATE INDEX former_right ON former (pair, right_id);

-- Why a record is not settled. `fingerprint` says at which value it was quarantined.
CREATE TABLE pending (
    end INTEGER NOT NULL,
    id NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    label TEXT NOT NULL,
    fingerprint BLOB,
    since REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (end, id)
) WITHOUT ROWID;

-- The journal: one row per write, committed before its first byte leaves, with all that is needed to resolve or undo it.
CREATE TABLE intent (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    pair INTEGER NOT NULL REFERENCES pair (id),
    side TEXT NOT NULL CHECK (side IN ('left', 'right')),
    op TEXT NOT NULL CHECK (op IN ('create', 'update', 'archive', 'delete', 'restore', 'identify')),
    link INTEGER,
    record,
    idempotency_key TEXT NOT NULL UNIQUE,
    match_key TEXT,
    label TEXT NOT NULL,
    payload BLOB NOT NULL,
    before BLOB NOT NULL,
    source BLOB NOT NULL,
    whys TEXT NOT NULL,
    version TEXT,
    newest INTEGER NOT NULL,
    upto INTEGER,
    state TEXT NOT NULL CHECK (state IN ('sent', 'unknown', 'parked', 'done', 'closed')),
    sent_at REAL NOT NULL,
    closed_at REAL,
    result,
    error TEXT
);
-- At most one open intent per link, and the way to all that are open, which are few. (A second index for that, by pair and side,
-- cost half of what writing and closing an intent did.)
CREATE UNIQUE INDEX intent_open ON intent (link) WHERE state IN ('sent', 'unknown', 'parked');
CREATE INDEX intent_run ON intent (run);
CREATE INDEX intent_deletes ON intent (pair, sent_at) WHERE op IN ('archive', 'delete') AND state <> 'closed';

CREATE TABLE attic (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    pair INTEGER NOT NULL REFERENCES pair (id),
    link INTEGER,
    side TEXT NOT NULL,
    record,
    label TEXT NOT NULL,
    field TEXT NOT NULL,
    value BLOB NOT NULL,
    why TEXT NOT NULL,
    at REAL NOT NULL
);

-- One entry per record (or key) and field: re-runs refresh it, they never add a second one.
CREATE TABLE inbox (
    id INTEGER PRIMARY KEY,
    pair INTEGER NOT NULL REFERENCES pair (id),
    subject TEXT NOT NULL,
    link INTEGER,
    kind TEXT NOT NULL,
    field TEXT NOT NULL DEFAULT '',
    label TEXT NOT NULL,
    shown BLOB NOT NULL,
    why TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('open', 'chosen', 'closed')),
    pick TEXT,
    value BLOB,
    opened_at REAL NOT NULL,
    closed_at REAL
);
CREATE UNIQUE INDEX inbox_open ON inbox (pair, subject, kind, field) WHERE status IN ('open', 'chosen');

CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    pair INTEGER NOT NULL REFERENCES pair (id),
    started_at REAL NOT NULL,
    finished_at REAL,
    exit INTEGER,
    report BLOB
);

CREATE TABLE lease (
    resource TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    place TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    until REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE approval (
    hash TEXT NOT NULL,
    pair INTEGER NOT NULL REFERENCES pair (id),
    expires_at REAL NOT NULL,
    approved INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (pair, hash)
) WITHOUT ROWID;
CREATE TABLE approval_item (
    pair INTEGER NOT NULL,
    hash TEXT NOT NULL,
    item TEXT NOT NULL,
    PRIMARY KEY (pair, hash, item)
) WITHOUT ROWID;
"""


_DAEMON = """
-- Records that somebody told us to look at, one row each however often they were named. A hint that comes while its record is
-- being looked at replaces the row, so its number tells it from the one that is being answered.
CREATE TABLE hint (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pair TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('left', 'right')),
    record TEXT NOT NULL,
    at REAL NOT NULL,
    UNIQUE (pair, side, record)
);
CREATE TABLE hint_event (
    system TEXT NOT NULL,
    event TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (system, event)
) WITHOUT ROWID;
CREATE INDEX hint_event_at ON hint_event (at);

-- Deliveries to `POST /ingest/SYSTEM`. `event` is the id that the sender gave it. `body` is kept of a refused one only.
CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    system TEXT NOT NULL,
    event TEXT,
    digest BLOB NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('accepted', 'refused')),
    received_at REAL NOT NULL,
    record TEXT,
    fields BLOB,
    form TEXT NOT NULL,
    body BLOB,
    why TEXT NOT NULL DEFAULT '',
    CHECK ((status = 'accepted') = (record IS NOT NULL)),
    CHECK ((status = 'refused') = (body IS NOT NULL))
);
CREATE UNIQUE INDEX event_once ON event (system, event) WHERE event IS NOT NULL;
CREATE INDEX event_refused ON event (system, digest) WHERE status = 'refused';

-- What the accepted events add up to, one row per key: the latest value of every field that one of them named. `n` counts
-- the changes of a system, and is the cursor of its readers.
CREATE TABLE event_record (
    system TEXT NOT NULL,
    id TEXT NOT NULL,
    n INTEGER NOT NULL,
    fields BLOB NOT NULL,
    changed_at REAL NOT NULL,
    PRIMARY KEY (system, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX event_record_n ON event_record (system, n);

-- What is wrong with a pair, and what the operator was told of it, so that a restart repeats nothing. `told` is the condition
-- that the receiver last took note of, `message` counts what it was sent.
CREATE TABLE alert (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT NOT NULL UNIQUE,
    condition TEXT NOT NULL,
    reason TEXT NOT NULL,
    level INTEGER NOT NULL,
    since REAL NOT NULL,
    message INTEGER NOT NULL,
    told TEXT NOT NULL,
    told_level INTEGER NOT NULL,
    told_at REAL,
    tries INTEGER NOT NULL DEFAULT 0,
    next_at REAL NOT NULL DEFAULT 0
);
"""
"""What the daemon needs to last longer than a process."""


@cache
def migrations() -> Migrations:
    """All migrations, in order."""
    from sqlite_utils import Migrations

    found = Migrations("syncengine")
    for step in (m001_first_schema, m002_daemon):
        found()(step)
    return found


def m001_first_schema(db: Database) -> None:
    _execute(db, _SCHEMA)


def m002_daemon(db: Database) -> None:
    _execute(db, _DAEMON)


def _execute(db: Database, statements: str) -> None:
    for statement in statements.split(";"):
        if statement.strip():
            db.conn.execute(statement)


STAGING = """
CREATE TEMP TABLE IF NOT EXISTS staged (
    side INTEGER NOT NULL,
    id NOT NULL,
    presence TEXT NOT NULL,
    doc BLOB,
    fingerprint BLOB,
    key TEXT,
    link INTEGER,
    version TEXT,
    modified_at REAL,
    provisional INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (side, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS temp.staged_link ON staged (link) WHERE link IS NOT NULL;
CREATE INDEX IF NOT EXISTS temp.staged_key ON staged (key) WHERE key IS NOT NULL;
"""
"""The rows of one run that need a decision. Temporary tables live in a file of their own that SQLite deletes."""
