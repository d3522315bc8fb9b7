"""
A config once it is read and found right: what the rest of the program works with.

Nothing here knows TOML. Secrets stand in `SystemConfig.options` and `Config.secrets` only, and neither shows in a repr.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from syncengine.core.model import PairSpec

Toml: TypeAlias = Mapping[str, object]
"""A table of a TOML document: values are str, int, float, bool, dates, lists and tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a system may be asked for: calls at once, calls a second, calls in one run. None: no limit of ours."""

    max_concurrency: int | None = None
    requests_per_second: float | None = None
    max_calls: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemConfig:
    """
    One `[systems.NAME]` table. `options` is what the connector's own model validates, secrets filled in.

    `timezone` is the zone of naive times of the whole system (an IANA name).
    """

    name: str
    connector: str
    options: Toml = field(default_factory=dict, repr=False)
    read_only: bool = False
    timezone: str | None = None
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """
    A config file, validated. `base` is the folder that its relative paths start from.

    `region` is the country (ISO 3166, two letters) of phone numbers written without a country code. `written` is the
    document as it stands in the file, placeholders unfilled. `secrets` are the values that must never be shown.
    """

    path: Path
    base: Path
    state: Path
    systems: Mapping[str, SystemConfig]
    pairs: Mapping[str, PairSpec]
    region: str | None = None
    daemon: Toml = field(default_factory=dict, repr=False)
    written: Toml = field(default_factory=dict, repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
