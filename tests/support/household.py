"""A daemon's service over systems in memory, on a clock that only the test moves, with workers that work on the test's own thread."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, tzinfo
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel

from syncengine.app import App
from syncengine.config import Config, load
from syncengine.connector import Context, Field, FieldType, Plugin
from syncengine.core.model import Side
from syncengine.daemon.board import PairActivity
from syncengine.daemon.news import RunEnded
from syncengine.daemon.roster import Job
from syncengine.daemon.service import Service
from syncengine.daemon.workers import Result, Worker, known_of
from syncengine.engine.context import Ports
from syncengine.engine.ports import RandomTokens
from syncengine.errors import StateError
from syncengine.registry import Registry
from syncengine.store.hints import Told
from syncengine.store.store import Store
from syncengine.testing.memory import FULL, Call, MemoryConnector, MemoryResource, MemoryWorld, Moment
from tests.support.engine import OneByOne, TestClock

START = 1_800_000_000.0  # 2027-01-15 08:00 UTC, a Friday
PERSON = (Field(name="email", type=FieldType.EMAIL), Field(name="name", type=FieldType.TEXT))

PAIR = """
[pairs.{name}]
left = "{left}"
right = "{right}"
match = "email"
{more}
[pairs.{name}.fields]
email = "email"
name = "name"
"""


def pair(name: str = "people", *more: str, left: str = "one.people", right: str = "two.people") -> str:
    """A pair of people, with more lines of its own."""
    return PAIR.format(name=name, left=left, right=right, more="\n".join(more))


class WorldOptions(BaseModel):
    """The options of the connector `world`."""

    world: str


class Household:
    """
    `pairs` and `daemon` go into the config; its systems are the worlds it names, each with the resource that it names.

    `news` is what listeners heard. Time passes in `live`, in which everything that can run, runs.
    """

    def __init__(
        self, folder: Path, pairs: str, daemon: str = "jitter = 0", *, zone: tzinfo = UTC, worlds: str = "one two"
    ) -> None:
        self.clock = TestClock(START)
        self.zone = zone
        self.worlds = {name: MemoryWorld(name=name, clock=self.clock) for name in worlds.split()}
        self.news: list[RunEnded] = []
        self.path = folder / "house.toml"
        self._registry = Registry(plugins={"world": Plugin(title="World", options=WorldOptions, connect=self._connect)})
        self.pacers: dict[str, Any] = {}
        self.configure(pairs, daemon)
        self.begin()

    def _connect(self, options: WorldOptions, context: Context) -> MemoryConnector:
        del context
        return MemoryConnector(self.worlds[options.world])

    def configure(self, pairs: str, daemon: str = "jitter = 0") -> Config:
        """Write the config, and read it."""
        systems = "".join(f'[systems.{name}]\nconnector = "world"\nworld = "{name}"\n' for name in self.worlds)
        self.path.write_text(f'state = "house.db"\n{systems}{pairs}\n[daemon]\n{daemon}\n')
        config = load(self.path, environ={}, registry=self._registry)
        for spec in config.pairs.values():
            for end in (spec.left, spec.right):
                if end.resource not in self.worlds[end.system].resources:
                    self.worlds[end.system].add(end.resource, PERSON, capabilities=FULL)
        return config

    # Life

    def begin(self) -> None:
        """The daemon starts."""
        config = load(self.path, environ={}, registry=self._registry)
        store = Store.open(config.state, now=self.clock.now())
        try:
            known, hints = known_of(store, config.pairs), store.hints.counts()
        finally:
            store.close()
        self.service = Service(config, self.clock, zone=self.zone, known=known, hints=hints)
        self.service.listeners = [self.news.append]
        left: set[str] = set()
        self.workers = [Worker(self.open_app, self.service.is_stopping, left) for _ in range(config.daemon.parallel)]

    def end(self) -> None:
        """The daemon stops."""
        self.service.stop()
        for worker in self.workers:
            worker.close()

    def open_app(self) -> App:
        config = self.service.config
        stop = self.service.is_stopping
        ports = Ports(clock=self.clock, tokens=RandomTokens(), executor=OneByOne(), progress=self.service, stop=stop)
        store = Store.open(config.state, now=self.clock.now(), patience=0.1)
        return App(config, self._registry, store, ports, pacers=self.pacers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(StateError):
            self.end()

    # Time

    def live(self, seconds: float, *, step: float = 1.0) -> list[RunEnded]:
        """Time passes, tick by tick; returns what was heard of meanwhile."""
        before, until = len(self.news), self.clock.time + seconds
        while self.clock.time < until:
            self.clock.time = min(until, self.clock.time + step)
            self.tick()
        return self.news[before:]

    def tick(self) -> None:
        """One tick, and everything that can run because of it."""
        self.service.tick()
        self.work()

    def work(self) -> None:
        """Do whatever waits and may begin."""
        while self.do_one():
            pass

    def do_one(self) -> bool:
        """Let the first worker that finds something do it; tells whether there was anything."""
        for number, worker in enumerate(self.workers):
            job = self.service.next_job(number, wait=False)
            if job is not None:
                self.service.ended(job, worker.perform(job), 0.0)
                return True
        return False

    def jobs(self) -> list[Job]:
        """What workers would begin right now, each one job; none of it is done."""
        return [job for number in range(len(self.workers)) if (job := self.service.next_job(number, wait=False)) is not None]

    def finish(self, job: Job) -> Result:
        """Do a job that was taken."""
        result = self.workers[0].perform(job)
        self.service.ended(job, result, 0.0)
        return result

    # What is seen

    def activity(self, name: str = "people") -> PairActivity:
        return next(each for each in self.service.activities() if each.pair == name)

    def people(self, world: str, resource: str = "people") -> MemoryResource:
        return self.worlds[world][resource]

    def fail(self, world: str, error: Exception | None) -> None:
        """Let every call of a world fail from now on, or none."""

        def on_call(call: Call, moment: Moment) -> None:
            if error is not None and moment is Moment.BEFORE:
                raise error

        self.worlds[world].on_call = on_call


def started(news: Iterable[RunEnded]) -> list[tuple[str, int]]:
    """Which pair ran, and when, in whole seconds since the household began."""
    return [(each.pair, round(each.now - START)) for each in news]


def tell(house: Household, *ids: str, side: Side = Side.LEFT, name: str = "people", event: str | None = None) -> bool:
    """A delivery was stored, as the web does it."""
    told = Told(system="one", event=event, at=house.clock.now(), records=[(name, side, id_) for id_ in ids])
    store = Store.open(house.service.config.state, now=house.clock.now())
    try:
        [news] = store.hints.add([told])
    finally:
        store.close()
    if news:
        house.service.told([name])
    return news
