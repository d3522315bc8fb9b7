"""The pacer against servers with a limit, all in virtual time: how much of the limit is used, how many calls are refused."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.engine.pacing import Allowance, Pacer
from syncengine.errors import TransientError


@dataclass
class Bucket:
    """A token bucket: `rate` a second, `burst` at once."""

    rate: float
    burst: float
    tokens: float = 0.0
    at: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def allows(self, now: float) -> float | None:
        """None, or the seconds until the next call."""
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens >= 1 - 1e-9:
            self.tokens -= 1
            return None
        return (1 - self.tokens) / self.rate


@dataclass
class Window:
    """So many calls in each whole second."""

    rate: float
    second: int = -1
    used: int = 0

    def allows(self, now: float) -> float | None:
        if int(now) != self.second:
            self.second, self.used = int(now), 0
        self.used += 1
        return None if self.used <= self.rate else self.second + 1 - now


@dataclass
class Line:
    """Calls over a line with `latency`, `at_once` at a time; the clock of the pacer stands in here."""

    server: Bucket | Window
    latency: Callable[[int], float]
    at_once: int = 4
    retry_after: bool = True
    time: float = 0.0
    passed: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    _under_way: list[tuple[float, int, int, float | None]] = field(default_factory=list)
    _number: int = 0
    _pacer: Pacer | None = None

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self._advance(self.time + seconds)

    def _advance(self, until: float) -> None:
        while self._under_way and self._under_way[0][0] <= until:
            self.time, _, status, wait = heapq.heappop(self._under_way)
            assert self._pacer is not None
            self._pacer.after(status, wait)
        self.time = until

    def run(self, pacer: Pacer, seconds: float) -> tuple[float, float]:
        """Call as fast as the pacer lets us: the share of the limit that was used, and the share of calls that were refused."""
        self._pacer, begun = pacer, self.time
        passed, refused = len(self.passed), len(self.refused)
        while self.time < begun + seconds:
            if len(self._under_way) >= self.at_once:
                self._advance(self._under_way[0][0])
                continue
            pacer.before()
            wait = self.server.allows(self.time)
            (self.passed if wait is None else self.refused).append(self.time)
            self._number += 1
            told = float(math.ceil(wait)) if wait is not None and self.retry_after else None
            answer = (self.time + self.latency(self._number), self._number, 200 if wait is None else 429, told)
            heapq.heappush(self._under_way, answer)
        new, lost = len(self.passed) - passed, len(self.refused) - refused
        return new / (self.server.rate * (self.time - begun)), lost / max(1, new + lost)


def quick(_: int) -> float:
    return 0.01


SERVERS = {
    "bucket": lambda rate: Bucket(rate, rate),
    "small burst": lambda rate: Bucket(rate, max(2.0, rate / 10)),
    "large burst": lambda rate: Bucket(rate, 5 * rate),
    "window": Window,
}


@pytest.mark.parametrize("rate", [2, 5, 20, 50, 200])
@pytest.mark.parametrize("kind", SERVERS)
def test_a_configured_rate_is_used_whole_and_never_refused(kind: str, rate: int) -> None:
    """From the first call on: at least 95 % of the limit, at most 1 % refused."""
    line = Line(SERVERS[kind](rate), quick)
    used, refused = line.run(Pacer(line, rate=rate), 30)
    assert used >= 0.95
    assert refused <= 0.01


@pytest.mark.parametrize("told", [True, False], ids=["told", "not told"])
@pytest.mark.parametrize("rate", [5, 20, 50, 200])
@pytest.mark.parametrize("kind", SERVERS)
def test_an_unknown_limit_is_found_and_remembered(kind: str, rate: int, told: bool) -> None:
    """After two minutes of learning, and in a second process that is told what the first learned: 95 % used, 1 % refused."""
    line = Line(SERVERS[kind](rate), quick, retry_after=told)
    first = Pacer(line)
    _, wasted = line.run(first, 120)
    assert wasted <= 0.04
    assert first.learned is not None
    used, refused = line.run(first, 60)
    assert (used >= 0.95, refused <= 0.01) == (True, True), (used, refused, first.learned)
    line.time += 600
    second = Pacer(line, learned=first.learned)
    used, refused = line.run(second, 60)
    assert (used >= 0.95, refused <= 0.01) == (True, True), (used, refused, second.learned)


@pytest.mark.parametrize("rate", [20, 50])
@pytest.mark.parametrize("kind", SERVERS)
def test_a_cold_start_finds_the_limit_within_seconds(kind: str, rate: int) -> None:
    """Twenty-five seconds from nothing, learning included: most of the limit used, few refusals."""
    line = Line(SERVERS[kind](rate), quick)
    used, refused = line.run(Pacer(line), 25)
    assert used >= 0.7
    assert refused <= 0.02


@pytest.mark.parametrize("latency", [0.05, 0.3, 1.0, 3.0])
def test_slow_answers_never_slow_the_pace(latency: float) -> None:
    """The rate of a server that becomes slow is as high as its slowness permits; once it is quick again, the full rate is used."""
    slow_from, quick_from = 200, 600
    line = Line(Bucket(20, 20), lambda number: latency if slow_from <= number < quick_from else 0.01, at_once=4)
    pacer = Pacer(line, learned=20.0)
    line.run(pacer, 10)
    before = pacer.rate
    line.run(pacer, 400 * latency / 4 + 20)
    assert pacer.rate >= before
    used, refused = line.run(pacer, 20)
    assert used >= 0.95
    assert refused <= 0.01


def test_a_slow_start_does_not_pile_up_a_rate_that_is_not_used() -> None:
    """While answers take seconds nothing is learned; when they are quick at last, there is no great leap over the limit."""
    line = Line(Bucket(20, 20), lambda number: 2.0 if number < 200 else 0.01)
    pacer = Pacer(line)
    line.run(pacer, 110)
    assert pacer.rate < 40
    _, refused = line.run(pacer, 60)
    assert refused <= 0.01


def test_a_limit_that_is_lowered_is_found_again() -> None:
    line = Line(Bucket(50, 50), quick)
    pacer = Pacer(line, learned=50.0)
    line.run(pacer, 30)
    line.server = Bucket(10, 10, at=line.time)
    line.run(pacer, 60)
    used, refused = line.run(pacer, 60)
    assert used >= 0.9
    assert refused <= 0.01


def test_a_limit_that_is_raised_is_found_in_time() -> None:
    """A higher rate is tested now and then; within the hour most of the new limit is used."""
    line = Line(Bucket(10, 10), quick)
    pacer = Pacer(line)
    line.run(pacer, 60)
    line.server = Bucket(20, 20, at=line.time)
    line.run(pacer, 1200)
    used, refused = line.run(pacer, 60)
    assert used >= 0.9
    assert refused <= 0.01


def test_idle_time_is_not_taken_for_a_low_limit() -> None:
    """A call an hour, and then a burst that is refused: the limit is not thought to be a call an hour."""
    line = Line(Bucket(20, 20), quick)
    pacer = Pacer(line, learned=30.0)
    for _ in range(5):
        line.time += 3600
        pacer.before()
        line.server.allows(line.time)
        pacer.after(200, None)
    line.run(pacer, 60)
    used, refused = line.run(pacer, 60)
    assert used >= 0.95
    assert refused <= 0.01


@dataclass
class Quota:
    """So many calls in each span of many seconds: all of it at once, and then nothing for long."""

    rate: float
    seconds: float
    span: int = -1
    used: int = 0

    def allows(self, now: float) -> float | None:
        if int(now / self.seconds) != self.span:
            self.span, self.used = int(now / self.seconds), 0
        self.used += 1
        return None if self.used <= self.rate * self.seconds else (self.span + 1) * self.seconds - now


@pytest.mark.parametrize(("seconds", "told"), [(10, True), (10, False), (60, True), (60, False)])
@pytest.mark.parametrize("rate", [10, 20, 50])
def test_a_limit_by_the_minute_is_not_taken_for_one_of_hardly_any_calls(rate: int, seconds: float, told: bool) -> None:
    """
    Where the quota is used up, a system refuses for long: each refusal after the first is that one still, asked for less and less.
    """
    line = Line(Quota(rate, seconds), quick, retry_after=told)
    first = Pacer(line)
    line.run(first, 180)
    used, refused = line.run(first, 120)
    assert used >= 0.85 if seconds == 10 or told else used >= 0.7
    assert refused <= 0.02
    line.time += 600
    used, refused = line.run(Pacer(line, learned=first.learned), 300)
    assert used >= 0.9
    assert refused <= 0.02


@pytest.mark.parametrize("rate", [3, 4, 6, 10])
@pytest.mark.parametrize("latency", [0.005, 0.1, 0.3])
@pytest.mark.parametrize("offset", [0.0, 0.37, 0.81])
@pytest.mark.parametrize("kind", SERVERS)
def test_a_remembered_limit_is_used_from_the_start(kind: str, offset: float, latency: float, rate: int) -> None:
    """Low limits, with any latency and wherever in its second the server is: 95 % in the first fifteen seconds, 1 % refused in a minute."""
    line = Line(SERVERS[kind](rate), lambda _: latency, time=offset)
    first = Pacer(line)
    line.run(first, 120)
    for seconds, share in ((15, 0.95), (45, 0.95)):
        other = Line(SERVERS[kind](rate), lambda _: latency, time=offset)
        used, refused = other.run(Pacer(other, learned=first.learned), seconds)
        assert used >= share, (used, first.learned)
        assert refused <= 0.01, (refused, first.learned)


def test_the_time_that_the_server_names_is_kept() -> None:
    """Nothing goes out before Retry-After is over, however many calls wait."""
    line = Line(Bucket(1000, 1000), quick)
    pacer = Pacer(line, rate=100)
    pacer.before()
    pacer.after(429, 7.0)
    began = line.time
    pacer.before()
    assert line.time >= began + 7.0


def test_the_calls_of_a_run_are_counted() -> None:
    """`max_calls` ends the run with a reason, and not one call later."""
    line = Line(Bucket(1000, 1000), quick)
    pacer = Pacer(line, rate=100)
    first, second = Allowance(pacer, 3), Allowance(pacer, 3)
    for _ in range(2):
        for _ in range(3):
            first.before()
        with pytest.raises(TransientError, match="max_calls"):
            first.before()
        assert first.calls == 3
        first.begin()
    second.before()
    assert second.calls == 1, "who shares the pace does not use up another's calls"


@given(
    st.lists(
        st.tuples(st.sampled_from([200, 404, 429, 500, None]), st.none() | st.floats(0, 100), st.floats(0, 20)), max_size=60
    ),
    st.none() | st.floats(0.5, 500),
)
def test_whatever_is_answered_the_rate_stays_sane(
    answers: list[tuple[int | None, float | None, float]], learned: float | None
) -> None:
    """Any mixture of answers, times and pauses leaves a positive, finite rate, and time never runs backwards."""
    line = Line(Bucket(1000, 1000), quick)
    pacer = Pacer(line, learned=learned)
    for status, retry_after, wait in answers:
        before = line.time
        pacer.before()
        assert line.time >= before
        line.time += wait
        pacer.after(status, retry_after)
        assert 0.4 <= pacer.rate < 1e6
