"""Reading a config file: every mistake in it at once, or a `Config`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from syncengine.config.build import build_pairs, build_systems, state_path
from syncengine.config.daemon import build_daemon, daemon_secrets
from syncengine.config.document import DocumentTable
from syncengine.config.model import Config
from syncengine.config.source import read_document
from syncengine.config.validate import validate

if TYPE_CHECKING:  # the registry imports this package
    from syncengine.registry import Registry


def load(path: Path, *, environ: Mapping[str, str], registry: Registry | None = None) -> Config:
    """
    Read a config file. With a registry, the connectors' names and options are validated as well.

    Raises ConfigError with everything that is wrong. Reads the file, the secret files it names and, for variables that
    `environ` lacks, the `.env` beside it; nothing else.
    """
    path = path.absolute()
    document = read_document(path, environ=environ)
    problems = document.problems
    filled = {key: _without_decimals(value) if key != "pairs" else value for key, value in document.filled.items()}
    table = validate(DocumentTable, filled, problems)
    assert table is not None, "no key of a document is required by its model"
    systems = build_systems(table, problems)
    pairs = build_pairs(table, problems)
    daemon = build_daemon(table, problems)
    secrets = document.secrets | daemon_secrets(daemon)
    if registry is not None:
        for system in systems.values():
            secrets |= registry.check_options(system, problems)
    if problems:
        raise problems.error()
    return Config(
        path=path,
        base=path.parent,
        state=state_path(table, path),
        systems=systems,
        pairs=pairs,
        region=table.region,
        daemon=daemon,
        written=document.written,
        secrets=frozenset(secrets),
    )


def _without_decimals(value: object) -> object:
    """Options of connectors get floats, as TOML says; filters and constants keep the exact decimals that people wrote."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: _without_decimals(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_without_decimals(child) for child in value]
    return value
