"""What is made of a config, and made anew when it changes: the web application, hooks, event queues, alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.types import ASGIApp

from syncengine.config import Config
from syncengine.daemon.alerts import Alerts, Receiver, receiver_of
from syncengine.daemon.health import Pulse, health_routes
from syncengine.daemon.hooks import Gatherer, Hook, hook_route, hooks_of
from syncengine.daemon.ingest import EventQueue, ingest_route, queues
from syncengine.daemon.keeper import StateKeeper
from syncengine.daemon.metrics import Metrics, Standing, metrics_route
from syncengine.daemon.news import Chore, Listener
from syncengine.daemon.server import Current
from syncengine.daemon.service import Service
from syncengine.daemon.upkeep import Upkeep
from syncengine.daemon.web import SharedDesk, build
from syncengine.engine.ports import Clock, Tokens
from syncengine.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What was made of a config that is not in use yet."""

    hooks: Mapping[str, Hook]
    queues: Mapping[str, EventQueue]
    app: ASGIApp
    receiver: Receiver | None


class Parts:
    """The parts of a daemon that follow its config."""

    def __init__(
        self, config: Config, registry: Registry, service: Service, keeper: StateKeeper, clock: Clock, tokens: Tokens
    ) -> None:
        self._registry, self._service, self._keeper, self._clock, self._tokens = registry, service, keeper, clock, tokens
        self._secret = tokens.token() + tokens.token()
        self._desk = SharedDesk(lambda: service.config, clock)
        self._gatherer = Gatherer(keeper, service.told)
        self._receiver: Receiver | None = None
        self.pulse = Pulse(clock)
        self.metrics = Metrics()
        self.metrics.registry.register(Standing(lambda: service.config, registry, service, keeper, clock, self.metrics))
        alerts = Alerts(lambda: service.config, service, clock, lambda: self._receiver)
        self.listeners: Sequence[Listener] = (self.metrics.ended, alerts.heard)
        self.chores: Sequence[Chore] = (alerts.chore, Upkeep(lambda: service.config).chore)
        self.app = Current()
        self.take(self.prepared(config))

    def prepared(self, config: Config) -> Prepared:
        """Make everything, and change nothing. Raises ConfigError."""
        hooks = hooks_of(config, self._registry, self._clock)
        events = queues(config, self._registry, self._keeper, self._clock)
        routes = [
            hook_route(lambda: hooks, self._gatherer, self._clock),
            ingest_route(lambda: events, self._service.told, self.metrics.received),
            *health_routes(self._service, self._keeper, self.pulse),
        ]
        app = build(
            self._service,
            self._desk,
            config.daemon,
            clock=self._clock,
            tokens=self._tokens,
            routes=routes,
            guarded=[metrics_route(self.metrics.registry)],
            secret=self._secret,
        )
        return Prepared(hooks=hooks, queues=events, app=app, receiver=receiver_of(config))

    def take(self, prepared: Prepared) -> None:
        """Use what was made."""
        self.app.app = prepared.app
        self._receiver = prepared.receiver

    def close(self) -> None:
        """Let go of the state."""
        self._desk.close()
