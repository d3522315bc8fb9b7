"""The config: TOML to `Config`, its JSON Schema, and showing it without secrets."""

from syncengine.config.load import load
from syncengine.config.model import Address, AlertsConfig, Config, DaemonConfig, Limits, SystemConfig
from syncengine.config.show import config_schema, show
from syncengine.config.source import fill_document

__all__ = [
    "Address",
    "AlertsConfig",
    "Config",
    "DaemonConfig",
    "Limits",
    "SystemConfig",
    "config_schema",
    "fill_document",
    "load",
    "show",
]
