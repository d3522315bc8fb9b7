"""
The systems of a config within reach: connectors in their wrappers, one rate per system, and the rule that joins two sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncengine.config import Config
from syncengine.connector import Resource
from syncengine.core.mapping import PairRule, compile_known_pair, compile_pair, mapping_digest
from syncengine.core.model import PairSpec, Side
from syncengine.engine.pacing import Allowance, Pacer
from syncengine.engine.ports import Clock
from syncengine.engine.remote import LONGEST_CALL, Remote
from syncengine.engine.wrap import Checked, Logged, Paced, ReadOnly, Retrying, Unwatched, Watcher
from syncengine.errors import ConfigError, Problem
from syncengine.registry import Registry, open_system
from syncengine.store.runs import Runs


class Systems:
    """
    Opens a system when it is first used, and keeps it open.

    `runs` tells what the state knows of accounts and rates; `pacers`, by system, may be shared with others; `watcher` hears of
    every call.
    """

    def __init__(
        self,
        config: Config,
        registry: Registry,
        clock: Clock,
        runs: Runs,
        *,
        pacers: dict[str, Pacer],
        watcher: Watcher | None = None,
    ) -> None:
        self._config = config
        self._registry = registry
        self._clock = clock
        self._runs = runs
        self._pacers = pacers
        self._watcher = watcher or Unwatched()
        self._allowances: dict[str, Allowance] = {}
        self._connectors: dict[tuple[str, int], Any] = {}
        self._accounts: dict[tuple[str, int], str] = {}

    def close(self) -> None:
        """Close every connector."""
        for connector in self._connectors.values():
            connector.close()
        self._connectors.clear()
        self._accounts.clear()

    def begin(self) -> None:
        """A run begins: what it may call of each system is counted anew."""
        for allowance in self._allowances.values():
            allowance.begin()

    def learned_rates(self) -> dict[str, float]:
        """The limits that were found out, in calls a second, by system."""
        return {system: pacer.learned for system, pacer in self._pacers.items() if pacer.learned is not None}

    def guarantee(self, system: str) -> str | None:
        """What the connector of a system promises, in its own words."""
        return self._registry.load(self._config.systems[system].connector).guarantee

    def connector(self, system: str, instance: int = 0) -> Any:
        """The system's connector in its wrappers; a second instance where both sides of a pair are one system."""
        key = (system, instance)
        if key not in self._connectors:
            settings, clock = self._config.systems[system], self._clock
            bare = open_system(settings, self._registry, base=self._config.base, state=self._config.state)
            inner: Any = Logged(bare, clock, system=system, watcher=self._watcher)
            if settings.read_only:
                inner = ReadOnly(inner)
            allowance = self._allowance(system, getattr(bare, "limits", settings.limits))
            if hasattr(bare, "gate"):
                bare.gate = allowance
            elif settings.limits.requests_per_second is not None or settings.limits.max_calls is not None:
                inner = Paced(inner, allowance)
            self._connectors[key] = Checked(Retrying(inner, clock))
        return self._connectors[key]

    def _allowance(self, system: str, limits: Any) -> Allowance:
        """What a run may call of a system, both its instances together."""
        if system not in self._allowances:
            most = self._config.systems[system].limits.max_calls or limits.max_calls
            self._allowances[system] = Allowance(self._pacer(system, limits), most)
            self._watcher.allowed(system, self._allowances[system])
        return self._allowances[system]

    def _pacer(self, system: str, limits: Any) -> Pacer:
        """One rate per system, whatever speaks to it; a limit learned in an earlier run is where this one starts."""
        if system not in self._pacers:
            configured = self._config.systems[system].limits
            learned = self._runs.note(f"rate:{system}")
            pacer = Pacer(
                self._clock,
                rate=configured.requests_per_second or limits.requests_per_second,
                learned=float(learned) if learned is not None else None,
            )
            return self._pacers.setdefault(system, pacer)  # another app of this process may have been faster
        return self._pacers[system]

    def remotes(self, spec: PairSpec) -> tuple[PairRule, Mapping[Side, Remote]]:
        """Both sides of a pair within reach, and the rule compiled against them; raises ConfigError with all problems."""
        instances = {Side.LEFT: 0, Side.RIGHT: int(spec.left.system == spec.right.system)}
        connectors = {side: self.connector(spec.end(side).system, instances[side]) for side in Side}
        accounts = {side: self._account(spec, side, (spec.end(side).system, instances[side])) for side in Side}
        resources = {side: self._resource(spec, side, connectors[side]) for side in Side}
        zones = {side: self._config.systems[spec.end(side).system].timezone for side in Side}
        state = self._runs.find_pair(spec.name)
        is_known = state is not None and state.parts.get("mapping") == mapping_digest(spec)
        made = compile_known_pair if is_known else compile_pair
        rule = made(spec, resources[Side.LEFT], resources[Side.RIGHT], timezones=zones)
        return rule, {
            side: Remote(
                side=side,
                end=spec.end(side),
                connector=connectors[side],
                resource=resources[side],
                columns=rule.columns(side),
                account=accounts[side],
                deadline=getattr(connectors[side], "deadline", LONGEST_CALL),
            )
            for side in Side
        }

    def _account(self, spec: PairSpec, side: Side, key: tuple[str, int]) -> str:
        """
        Who we are in a system. Where the config alone tells (a connector's `place`), and the state knows that account from a run
        that went through, no call is spent on it: with other credentials the next call is refused.
        """
        if key not in self._accounts:
            connector = self.connector(*key)
            state = self._runs.find_pair(spec.name)
            place: str | None = getattr(connector, "place", None)
            is_known = place is not None and state is not None and state.accounts[side] == place
            self._accounts[key] = place if place is not None and is_known else connector.check().id
        return self._accounts[key]

    def _resource(self, spec: PairSpec, side: Side, connector: Any) -> Resource:
        end = spec.end(side)
        resources = connector.resources()
        try:
            described: Resource = resources[end.resource]
        except KeyError:
            names = ", ".join(sorted(resources)[:20]) or "none at all"
            problem = Problem(
                place=f"pairs.{spec.name}.{side.value}",
                wrong=f"the system {end.system!r} has no resource {end.resource!r}",
                cure=f"it has: {names}",
            )
            raise ConfigError([problem]) from None
        return described


def _unreadable(spec: PairSpec, side: Side, connector: Any, resource: Resource) -> list[Problem]:
    """What speaks against a system that can only be written: it must be the target, and meet records by the match key itself."""
    if hasattr(connector, "read") or hasattr(connector, "get"):
        return []
    place, end = f"pairs.{spec.name}.{side.value}", spec.end(side)
    problems = []
    if spec.direction.allows(side.other):
        wrong = f"the system {end.system!r} cannot be read, so nothing can travel from it"
        cure = f'set direction = "{"left_to_right" if side is Side.RIGHT else "right_to_left"}"'
        problems.append(Problem(place=place, wrong=wrong, cure=cure))
    keys = {field.native(side) for field in spec.fields if field.name in spec.match}
    if len(spec.match) != 1 or not keys <= set(resource.capabilities.upsert_keys):
        wrong = f"the system {end.system!r} cannot be read and has no upsert by {', '.join(spec.match)}: records would be doubled"
        cure = f"match by one of: {', '.join(resource.capabilities.upsert_keys) or 'nothing, it has no upsert keys'}"
        problems.append(Problem(place=place, wrong=wrong, cure=cure))
    return problems
