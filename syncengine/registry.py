"""
The installed connectors, found by entry points of the group `syncengine.connectors`.

Ours have no privilege: whatever a distribution registers there is a connector. Nothing is imported before it is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from syncengine.config.model import SystemConfig
from syncengine.config.problems import Place, Problems
from syncengine.config.validate import validate
from syncengine.connector import Context, Plugin
from syncengine.errors import ConfigError, Problem
from syncengine.wording import nearest, quoted

GROUP = "syncengine.connectors"


class Registry:
    """Connectors by name. `plugins` adds some that are not installed, for tests and for embedding."""

    def __init__(self, found: Iterable[EntryPoint] = (), *, plugins: Mapping[str, Plugin] | None = None) -> None:
        self._found: dict[str, list[EntryPoint]] = {}
        for entry in found:
            known = self._found.setdefault(entry.name, [])
            if all(other.value != entry.value for other in known):
                known.append(entry)
        self._loaded: dict[str, Plugin] = dict(plugins or {})

    @classmethod
    def installed(cls) -> Registry:
        """The connectors that the installed distributions register."""
        return cls(entry_points(group=GROUP))

    def names(self) -> tuple[str, ...]:
        """Every name, in order, without importing anything."""
        return tuple(sorted({*self._found, *self._loaded}))

    def distribution(self, name: str) -> str:
        """The distribution that registers a connector, for people; empty when it is not an installed one."""
        entries = self._found.get(name, [])
        return entries[0].dist.name if entries and entries[0].dist else ""

    def load(self, name: str, *, place: Place = ("connectors",)) -> Plugin:
        """Import a connector. ConfigError for an unknown name, a name taken twice, and a plugin that cannot be imported."""
        if name not in self._loaded:
            problems = Problems({})
            plugin = self._import(name, place, problems)
            if plugin is None:
                raise problems.error()
            self._loaded[name] = plugin
        return self._loaded[name]

    def _import(self, name: str, place: Place, problems: Problems) -> Plugin | None:
        entries = self._found.get(name)
        if not entries:
            problems.add(
                place,
                f"there is no connector {quoted(name)}",
                nearest(name, self.names()) or "install a package that brings it",
            )
            return None
        source = " and ".join(sorted({entry.dist.name if entry.dist else entry.value for entry in entries}))
        if len(entries) > 1:
            problems.add(place, f"the connector {quoted(name)} is registered twice, by {source}", "uninstall one of the packages")
            return None
        try:
            plugin = entries[0].load()
        except Exception as error:  # noqa: BLE001 - a plugin may fail in any way; the package that brings it is named
            problems.add(
                place,
                f"the connector {quoted(name)} of the package {source} cannot be imported: {type(error).__name__}: {error}",
                f"install what it needs, or update {source}",
            )
            return None
        if not isinstance(plugin, Plugin):
            problems.add(place, f"{entries[0].value} of the package {source} is no syncengine Plugin", f"update {source}")
            return None
        return plugin

    def check_options(self, system: SystemConfig, problems: Problems) -> set[str]:
        """
        Validate the options of a system; what is wrong is added at `systems.NAME.KEY`. Returns the secrets among them.

        A connector that cannot be used is a problem as well.
        """
        place: Place = ("systems", system.name)
        if not system.connector:
            return set()
        try:
            plugin = self.load(system.connector)
        except ConfigError as error:
            for problem in error.problems:
                problems.add((*place, "connector"), problem.wrong, problem.cure)
            return set()
        secret = self.secret_options(system.connector)
        validate(plugin.options, system.options, problems, at=place, hidden=secret)
        return {value for key in secret if isinstance(value := system.options.get(key), str) and value}

    def secret_options(self, name: str) -> frozenset[str]:
        """The options of a connector that hold secrets, under the names a config uses."""
        fields = self.load(name).options.model_fields
        return frozenset(field.alias or key for key, field in fields.items() if _is_secret(field.annotation))

    def options_schema(self, name: str) -> dict[str, Any]:
        """The JSON Schema of a connector's options; its definitions are named `NAME.MODEL`."""
        return self.load(name).options.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")


def _is_secret(kind: object) -> bool:
    if isinstance(kind, type) and issubclass(kind, SecretStr | SecretBytes | Secret):
        return True
    return any(_is_secret(part) for part in get_args(kind))


def open_system(system: SystemConfig, registry: Registry, *, base: Path, state: Path | None = None) -> Any:
    """
    The connector of a system, opened but not connected: a Source, a Target or both.

    Raises ConfigError with each wrong option at `systems.NAME.KEY`.
    """
    plugin = registry.load(system.connector, place=("systems", system.name, "connector"))
    given = dict(system.options)
    if system.timezone is not None and "timezone" in plugin.options.model_fields:
        given["timezone"] = system.timezone  # said once for the system, and needed by some connectors to read their own clock
    problems = Problems({"systems": {system.name: given}})
    options: BaseModel | None = validate(
        plugin.options,
        given,
        problems,
        at=("systems", system.name),
        hidden=registry.secret_options(system.connector),
    )
    if problems or options is None:
        raise (
            problems.error()
            if problems
            else ConfigError([Problem(place=f"systems.{system.name}", wrong="the options cannot be used")])
        )
    return plugin.connect(options, Context(system=system.name, base=base, state=state))
