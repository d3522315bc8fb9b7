"""Waiting: a run that is asked to stop does not sit out a long wait, and no call begins when its lease may be somebody else's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from syncengine.core.model import Side
from syncengine.engine.pacing import Pacer, begun_by
from syncengine.engine.ports import SystemClock
from syncengine.engine.report import Exit
from syncengine.engine.wrap import Retrying
from syncengine.errors import Interrupted, TransientError
from syncengine.testing.memory import Call, CallKind, Moment
from tests.support.engine import Bench, TestClock, failing, filled, once


class Switch:
    """Whether to stop; counts how often it was asked."""

    def __init__(self, *, on: bool = False) -> None:
        self.on = on
        self.asked = threading.Event()

    def __call__(self) -> bool:
        self.asked.set()
        return self.on


def seconds(call: Callable[[], object]) -> float:
    started = time.monotonic()
    call()
    return time.monotonic() - started


def test_a_sleep_that_nobody_interrupts_lasts_as_long_as_it_should() -> None:
    assert 0.3 <= seconds(lambda: SystemClock(Switch()).sleep(0.3)) < 5


def test_a_long_sleep_on_a_thread_of_its_own_ends_soon_after_stop_was_asked() -> None:
    switch = Switch()
    with ThreadPoolExecutor(1) as pool:
        sleeper = pool.submit(SystemClock(switch).sleep, 600)
        assert switch.asked.wait(10)
        switch.on = True
        assert isinstance(sleeper.exception(timeout=10), Interrupted)


def test_the_last_seconds_of_a_wait_are_sat_out_so_that_a_batch_is_finished_at_its_pace() -> None:
    SystemClock(Switch(on=True)).sleep(0.3)


def test_an_interrupted_wait_is_not_followed_by_another_try() -> None:
    calls = []

    class Busy:
        def write(self, resource: str, changes: object) -> None:
            calls.append(changes)
            raise TransientError("503", retry_after=60.0)

    with pytest.raises(Interrupted, match="60 seconds"):
        Retrying(Busy(), SystemClock(Switch(on=True))).write("people", [])
    assert len(calls) == 1


def test_a_pacer_that_was_told_to_wait_lets_go_when_asked_to_stop() -> None:
    pacer = Pacer(SystemClock(Switch(on=True)))
    pacer.before()
    pacer.after(429, 60.0)
    with pytest.raises(Interrupted):
        pacer.before()


class Stopping(TestClock):
    """A person asks to stop as soon as the run sleeps."""

    def __init__(self, start: float) -> None:
        super().__init__(start)
        self.stopped = False

    def sleep(self, seconds: float) -> None:
        self.stopped = True
        raise Interrupted(f"asked to stop with {seconds:.0f} seconds to wait")

    def interrupting(self, bench: Bench) -> Bench:
        bench.clock = self
        bench.ports = replace(bench.ports, clock=self, stop=lambda: self.stopped)
        return bench


@pytest.mark.parametrize("kind", [CallKind.PAGE, CallKind.WRITE, CallKind.GET])
def test_a_run_that_is_stopped_while_it_waits_says_so_and_the_next_one_does_the_rest(kind: CallKind) -> None:
    """Reading, looking before a write, and writing: nothing failed, nothing is in doubt, nothing is written twice."""
    bench, left, right = filled("ada", "bob", retrying=True)
    ordinary, ports = bench.clock, bench.ports
    bench.left.edit(left["ada"], name="Countess")
    bench.left.insert(email="new@example.com", name="New")
    Stopping(bench.clock.time).interrupting(bench)
    once(bench.worlds[Side.RIGHT], kind, Moment.BEFORE, failing(TransientError("503", retry_after=60.0)))
    report = bench.run()
    assert report.exit is Exit.PARTIAL
    assert not report.error
    assert not report.failed
    assert any("stopped on request" in note for note in report.notes)
    bench.clock, bench.ports = ordinary, ports
    bench.worlds[Side.RIGHT].on_call = None
    assert bench.settle().exit is Exit.DONE
    assert bench.right[right["ada"]]["name"] == "Countess"
    assert len(bench.right) == 3
    bench.assert_quiet()


def test_a_long_listing_is_left_when_asked_to_stop() -> None:
    """Between two pages, before anything is decided: the cursor stays where it was."""
    bench, left, _ = filled("ada", "bob")
    bench.left.edit(left["ada"], name="Countess")
    asked = False

    def stop() -> bool:
        return asked

    def ask(call: Call) -> None:
        nonlocal asked
        asked = True

    ports = bench.ports
    bench.ports = replace(ports, stop=stop)
    once(bench.worlds[Side.LEFT], CallKind.PAGE, Moment.BEFORE, ask)
    report = bench.run()
    assert report.exit is Exit.PARTIAL
    assert not report.written
    bench.ports = ports
    assert bench.sync().written == {"right.update": 1}
    bench.assert_quiet()


def test_a_write_that_would_begin_when_the_lease_is_over_is_not_made() -> None:
    """
    The system says: in ten minutes. By then another run may hold the lease, have looked in vain, and have made the record.
    """
    bench, *_ = filled("ada", retrying=True)
    bench.left.insert(email="new@example.com", name="New")
    before = bench.calls(Side.RIGHT, CallKind.WRITE)
    once(bench.worlds[Side.RIGHT], CallKind.WRITE, Moment.BEFORE, failing(TransientError("429", retry_after=600.0)))
    started = bench.clock.time
    report = bench.run()
    assert report.exit is Exit.PARTIAL
    assert "the lease would end" in report.failed[0]
    assert bench.clock.time - started < 120
    assert bench.calls(Side.RIGHT, CallKind.WRITE) == before + 1
    assert bench.settle().exit is Exit.DONE
    assert bench.creates(Side.RIGHT) == 2
    bench.assert_quiet()


def test_a_pacer_lets_no_call_begin_after_the_moment_that_was_set() -> None:
    """Whether it has to wait for it or not: a change may be several requests, and each may have been slow."""
    clock = TestClock()
    pacer = Pacer(clock)
    with begun_by(lambda: clock.now() + 30):
        pacer.before()
        pacer.after(429, 60.0)
        with pytest.raises(TransientError, match="the lease would end"):
            pacer.before()
    with begun_by(lambda: clock.now() - 1), pytest.raises(TransientError, match="the lease would end"):
        Pacer(clock).before()
    pacer.before()
    assert clock.time >= 1_800_000_060
