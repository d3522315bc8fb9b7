"""What stands between the engine and a connector: retrying, read-only, checking, logging; and the executor of production."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from syncengine.connector import Create, Failed, Getter, Outcome, Page, Record, Tombstone, Written
from syncengine.engine.ports import RandomTokens, SystemClock, Threads
from syncengine.engine.wrap import Checked, Logged, ReadOnly, Retrying, Unwatched
from syncengine.errors import AuthError, OutcomeUnknown, ProtocolError, Rejected, ResourceError, TransientError
from tests.support.engine import TestClock


class Scripted:
    """A connector that answers what a test says: each answer a value to return or an exception to raise."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls = 0

    def _next(self) -> Any:
        self.calls += 1
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def check(self) -> Any:
        return self._next()

    def write(self, resource: str, changes: Any) -> Any:
        return self._next()

    def get(self, resource: str, ids: Any, *, fields: Any) -> Any:
        return self._next()

    def read(self, resource: str, *, fields: Any, cursor: str | None = None) -> Iterator[Page]:
        for answer in self._next():
            if isinstance(answer, BaseException):
                raise answer
            yield answer

    def close(self) -> None:
        self.calls += 100


def page(*ids: str, **options: Any) -> Page:
    return Page(fields=("a",), ids=list(ids), rows=[("x",) for _ in ids], **options)


DOWN = TransientError("503")


def test_retrying_waits_longer_each_time_and_gives_up() -> None:
    clock = TestClock()
    started = clock.time
    inner = Scripted(DOWN, DOWN, "there")
    assert Retrying(inner, clock).check() == "there"
    assert clock.time - started == 0.5 + 1.0
    hopeless = Scripted(DOWN, DOWN, DOWN, DOWN, "never asked")
    with pytest.raises(TransientError):
        Retrying(hopeless, clock).check()
    assert hopeless.calls == 4


def test_describing_a_resource_is_tried_again_like_any_call_and_one_that_is_not_there_is_not() -> None:
    class Busy(dict[str, str]):
        troubles = 2

        def __missing__(self, name: str) -> str:
            raise KeyError(name)

        def __getitem__(self, name: str) -> str:
            if self.troubles:
                self.troubles -= 1
                raise DOWN
            return super().__getitem__(name)

    described = Busy(people="described")

    class Inner:
        def resources(self) -> Busy:
            return described

    clock = TestClock()
    resources = Checked(Retrying(Inner(), clock)).resources()
    assert resources["people"] == "described"
    assert list(resources) == ["people"]
    assert len(resources) == 1
    waited = clock.time
    with pytest.raises(KeyError):
        resources["nobody"]
    assert clock.time == waited


def test_retrying_waits_as_long_as_the_system_asks_but_not_for_ever() -> None:
    clock = TestClock()
    started = clock.time
    assert Retrying(Scripted(TransientError("429", retry_after=7.0), "there"), clock).check() == "there"
    assert clock.time - started == 7.0
    patient = Scripted(TransientError("quota", retry_after=5000.0), "never asked")
    with pytest.raises(TransientError):
        Retrying(patient, clock).check()
    assert patient.calls == 1


@pytest.mark.parametrize("error", [OutcomeUnknown("?"), AuthError("401"), Rejected("422"), ValueError("a bug")])
def test_retrying_repeats_nothing_that_may_have_been_applied_or_will_fail_again(error: Exception) -> None:
    inner = Scripted(error, "never asked")
    with pytest.raises(type(error)):
        Retrying(inner, TestClock()).write("people", [])
    assert inner.calls == 1


def test_a_read_starts_over_only_before_its_first_page() -> None:
    inner = Scripted([DOWN], [page("1"), page("2", complete=True)])
    assert [list(each.ids) for each in Retrying(inner, TestClock()).read("people", fields=["a"])] == [["1"], ["2"]]
    broken = Scripted([page("1"), DOWN], [page("1")])
    pages = Retrying(broken, TestClock()).read("people", fields=["a"])
    assert next(pages).ids == ["1"]
    with pytest.raises(TransientError):
        next(pages)
    assert broken.calls == 1


def test_a_read_only_system_is_read_and_never_written() -> None:
    inner = Scripted("there", "never asked")
    guarded = ReadOnly(inner)
    assert guarded.check() == "there"
    with pytest.raises(AuthError, match="read_only"):
        guarded.write("people", [])
    assert inner.calls == 1


def test_a_wrapper_passes_through_what_it_does_not_know_and_has_no_skill_of_its_own() -> None:
    inner = Scripted()
    ReadOnly(inner).close()
    assert inner.calls == 100
    assert hasattr(ReadOnly(inner), "get")
    assert not hasattr(ReadOnly(inner), "find")


BAD_PAGES = {
    "goes on after complete": [page("1", complete=True), page("2")],
    "rows and ids": [Page(fields=("a",), ids=["1"], rows=[])],
    "row too short": [Page(fields=("a", "b"), ids=["1"], rows=[("x",)])],
    "versions": [page("1", versions=["1", "2"])],
    "modified_at": [page("1", modified_at=[])],
    "empty id": [page("")],
    "a bug": [KeyError("a value")],
}


@pytest.mark.parametrize("name", BAD_PAGES)
def test_a_page_that_breaks_the_contract_is_refused_and_no_value_is_told(name: str) -> None:
    with pytest.raises(ProtocolError) as refusal:
        list(Checked(Scripted(BAD_PAGES[name])).read("people", fields=["a"]))
    assert "a value" not in str(refusal.value)


@pytest.mark.parametrize("circle", [1, 2, 7, 30])
def test_a_listing_that_goes_round_in_a_circle_ends_in_the_end(circle: int) -> None:
    """A token for the next page that never changes, or leads back, must not hold a run for ever."""
    endless = itertools.chain([page("first")], itertools.cycle([page(str(number)) for number in range(circle)]))
    pages = Checked(Scripted(endless)).read("people", fields=["a"])
    with pytest.raises(ProtocolError, match="in a circle"):
        deque(itertools.islice(pages, 1000 * (circle + 1)), maxlen=0)


def test_empty_pages_that_never_end_end_in_the_end() -> None:
    pages = Checked(Scripted(itertools.repeat(page()))).read("people", fields=["a"])
    with pytest.raises(ProtocolError, match="in a circle"):
        deque(itertools.islice(pages, 50_000), maxlen=0)


def test_a_listing_that_is_begun_anew_or_pages_through_nothing_is_no_circle() -> None:
    anew = [page(str(number)) for number in range(40)] * 20
    sparse = [page()] * 5_000 + [page("1")]
    feed = [page("1", cursor=str(number)) for number in range(500)]
    for pages in (anew, sparse, feed):
        assert len(list(Checked(Scripted(pages)).read("people", fields=["a"]))) == len(pages)


def test_a_good_listing_passes_and_its_classed_errors_do() -> None:
    good = [page("1", versions=["v"], modified_at=[datetime(2026, 1, 1, tzinfo=UTC)]), page(complete=True)]
    assert list(Checked(Scripted(good)).read("people", fields=["a"])) == good
    with pytest.raises(TransientError):
        list(Checked(Scripted([DOWN])).read("people", fields=["a"]))


CREATE = Create(key="k", fields={})


@pytest.mark.parametrize("answer", [
    [], [Written(key="other", id="1")], [Written(key="k", id="")], [Failed(key="k", error=AuthError("401"))],
    [Failed(key="k", error=ResourceError("gone"))], [Written(key="k", id="1"), Written(key="k", id="1")],
])  # fmt: skip
def test_an_answer_to_a_write_that_breaks_the_contract_leaves_doubt(answer: list[Outcome]) -> None:
    (outcome,) = Checked(Scripted(answer)).write("people", [CREATE])
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, OutcomeUnknown)


def test_a_right_answer_to_a_write_passes_as_it_is() -> None:
    for answer in (Written(key="k", id="1"), Failed(key="k", error=Rejected("422"))):
        assert Checked(Scripted([answer])).write("people", [CREATE]) == [answer]


@pytest.mark.parametrize("answer", [[], [Tombstone(id="2")], [Record(id="1", fields={}), Record(id="1", fields={})]])
def test_get_answers_every_id_once_and_in_order(answer: list[Any]) -> None:
    with pytest.raises(ProtocolError, match="in order"):
        Checked(Scripted(answer)).get("people", ["1"], fields=[])
    assert Checked(Scripted([Tombstone(id="1")])).get("people", ["1"], fields=[]) == [Tombstone(id="1")]
    assert issubclass(Scripted, Getter)


@pytest.mark.parametrize("bug", [KeyError("secret"), ValueError("secret"), OSError("secret")])
def test_an_exception_that_no_connector_may_raise_is_named_without_its_text(bug: Exception) -> None:
    with pytest.raises(ProtocolError) as refusal:
        Checked(Scripted(bug)).check()
    assert type(bug).__name__ in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_logging_changes_nothing() -> None:
    inner = Scripted("there", [page("1", complete=True)], [Tombstone(id="1")], DOWN)
    logged = Logged(inner, TestClock(), system="crm")
    assert logged.check() == "there"
    assert [each.ids for each in logged.read("people", fields=["a"])] == [["1"]]
    assert logged.get("people", ["1"], fields=[]) == [Tombstone(id="1")]
    with pytest.raises(TransientError):
        logged.write("people", [])


def test_a_watcher_hears_of_every_call_and_page_once_with_its_status() -> None:
    """What is asked of a listing past its last page is no call."""

    class Heard(Unwatched):
        calls: ClassVar[list[tuple[str, str, str]]] = []

        def called(self, system: str, call: str, status: str, seconds: float) -> None:
            assert seconds >= 0
            self.calls.append((system, call, status))

    inner = Scripted("there", [page("1"), page("2", complete=True)], DOWN)
    logged = Logged(inner, TestClock(), system="crm", watcher=Heard())
    logged.check()
    assert len(list(logged.read("people", fields=["a"]))) == 2
    with pytest.raises(TransientError):
        logged.write("people", [])
    reads = [("crm", "read", "ok")] * 2
    assert Heard.calls == [("crm", "check", "ok"), *reads, ("crm", "write", "TransientError")]


# The executor of production


def test_both_sides_are_read_beside_each_other_each_in_its_own_order() -> None:
    gate = threading.Barrier(2, timeout=10)

    def pages(side: str) -> Iterator[str]:
        gate.wait()  # neither gets on before the other has started
        for number in range(10):
            yield f"{side}{number}"

    found: dict[str, list[str]] = {"l": [], "r": []}
    for key, item in Threads().interleave({"l": pages("l"), "r": pages("r")}):
        found[key].append(item)
    assert found == {side: [f"{side}{number}" for number in range(10)] for side in "lr"}


def test_what_a_reader_raises_is_raised_by_the_one_who_listens_and_the_other_reader_ends() -> None:
    def endless() -> Iterator[int]:
        number = 0
        while True:
            number += 1
            yield number

    def broken() -> Iterator[int]:
        yield 1
        raise DOWN

    before = threading.active_count()
    with pytest.raises(TransientError):
        for _ in Threads().interleave({"l": endless(), "r": broken()}):
            pass
    assert threading.active_count() == before


def test_a_listener_that_goes_away_ends_the_readers() -> None:
    before = threading.active_count()
    pages = Threads().interleave({"l": iter(range(1000)), "r": iter(range(1000))})
    next(pages)
    pages.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


@pytest.mark.parametrize("at_once", [1, 4])
def test_calls_run_at_most_so_many_at_once_and_an_error_is_an_outcome(at_once: int) -> None:
    lock, running, most = threading.Lock(), 0, 0

    def call(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        with lock:
            running -= 1
        if number == 3:
            raise DOWN
        return number

    calls = [lambda number=number: call(number) for number in range(8)]
    outcomes = dict(Threads().run(calls, at_once=at_once))
    assert most <= at_once
    assert outcomes.pop(3) is DOWN
    assert outcomes == {number: number for number in range(8) if number != 3}


def test_the_ports_of_production() -> None:
    clock = SystemClock()
    first = clock.monotonic()
    clock.sleep(0)
    assert clock.monotonic() >= first
    assert clock.now() > 1_700_000_000
    assert RandomTokens().token() != RandomTokens().token()
