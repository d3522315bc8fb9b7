"""
A config once it is read and found right: what the rest of the program works with.

Nothing here knows TOML. Secrets stand in `SystemConfig.options`, in `DaemonConfig` and in `Config.secrets`; none shows in a repr.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
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
class Address:
    """Where the daemon listens. `port` 0 takes a free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsConfig:
    """Where alerts go; `stale_after` is how old the last good run of a pair may be, in seconds."""

    url: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    stale_after: float = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonConfig:
    """
    The `[daemon]` table. `hooks` are the secrets of signed webhooks by system, `jitter`, `stop_within` and `keep` seconds.

    `timezone` is that of cron lines that name none; None is the zone of the machine. `hosts` are the names that the pages answer
    to besides bare addresses and localhost.
    """

    listen: Address = Address(host="127.0.0.1", port=8080)
    web: bool = True
    parallel: int = 2
    jitter: float = 10.0
    timezone: str | None = None
    token: str | None = field(default=None, repr=False)
    proxy_user_header: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    stop_within: float = 30.0
    keep: float = 7_776_000.0
    alerts: AlertsConfig = AlertsConfig()
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)


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
    daemon: DaemonConfig = DaemonConfig()
    written: Toml = field(default_factory=dict, repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    def in_order(self) -> list[PairSpec]:
        """The pairs, those that others refer to first."""
        ordered: list[PairSpec] = []

        def visit(spec: PairSpec, path: tuple[str, ...]) -> None:
            if spec in ordered or spec.name in path:
                return
            for name in sorted({one.references for one in spec.fields if one.references} & set(self.pairs)):
                visit(self.pairs[name], (*path, spec.name))
            ordered.append(spec)

        for spec in self.pairs.values():
            visit(spec, ())
        return ordered
