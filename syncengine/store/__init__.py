"""The state store: one SQLite file. No SQL and no row number leaves this folder."""
