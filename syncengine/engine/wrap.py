"""
Wrappers around a connector: retrying, pacing, checking, refusing writes, logging. Each has the connector's own interface.

A wrapper intercepts the calls that reach the system and passes everything else through, so that optional skills stay
visible exactly where the connector has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

import structlog

from syncengine.connector import Change, Failed, Outcome, Page, Resource, Written
from syncengine.core.verdict import Fate, verdict
from syncengine.engine.pacing import Allowance, Pacer, wait
from syncengine.engine.ports import Clock
from syncengine.errors import AuthError, OutcomeUnknown, ProtocolError, SyncError, TransientError

T = TypeVar("T")

_CALLS = frozenset({"check", "read", "write", "get", "find"})


class Wrapper:
    """Base: `around` gets the name of the call, the call itself, and its arguments."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if name not in _CALLS:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            return self.around(name, found, args, kwargs)

        return call

    def around(self, name: str, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        del name
        return call(*args, **kwargs)


class ReadOnly(Wrapper):
    """A system that must not be written: `write` never reaches it."""

    def around(self, name: str, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name == "write":
            msg = "the system is configured read_only: a write was refused; remove `read_only = true` or make the pair one-way"
            raise AuthError(msg)
        return call(*args, **kwargs)


class Retrying(Wrapper):
    """
    Tries a call again that applied nothing: at most `tries` times, with capped exponential delays or as the system asks.

    A read that fails between pages starts over only when no page was handed out yet; later the whole read fails, because the
    pages already handed out may not fit together with a second listing.
    """

    def __init__(
        self, inner: Any, clock: Clock, *, tries: int = 4, base: float = 0.5, cap: float = 30.0, patience: float = 900.0
    ):
        super().__init__(inner)
        self._clock, self._tries, self._base, self._cap, self._patience = clock, tries, base, cap, patience

    def around(self, name: str, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name == "read":
            return self._read(call, args, kwargs)
        return self.again(lambda: call(*args, **kwargs))

    def resources(self) -> Mapping[str, Resource]:
        """The inner one's; describing a resource is a call like any other."""
        return _Described(self.again(self.inner.resources), self.again)

    def again(self, call: Callable[[], T]) -> T:
        """The result of a call that may be repeated."""
        for attempt in range(self._tries):
            try:
                return call()
            except TransientError as error:
                if attempt + 1 == self._tries:
                    raise
                delay = min(self._cap, self._base * 2**attempt) if error.retry_after is None else error.retry_after
                if delay > self._patience:
                    raise
                wait(self._clock, max(0.0, delay))
        raise AssertionError("unreachable")

    def _read(self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Page]:
        def first() -> tuple[Iterator[Page], Page | None]:
            pages = iter(call(*args, **kwargs))
            return pages, next(pages, None)

        pages, page = self.again(first)
        while page is not None:
            yield page
            page = next(pages, None)


class _Described(Mapping[str, Resource]):
    """Resources by name, each look tried again like a call."""

    def __init__(self, inner: Mapping[str, Resource], again: Callable[[Callable[[], Any]], Any]) -> None:
        self._inner, self._again = inner, again

    def __getitem__(self, name: str) -> Resource:
        found: Resource = self._again(lambda: self._inner[name])
        return found

    def __iter__(self) -> Iterator[str]:
        names: list[str] = self._again(lambda: list(self._inner))
        return iter(names)

    def __len__(self) -> int:
        length: int = self._again(lambda: len(self._inner))
        return length


class Paced(Wrapper):
    """Asks a pacer around every call; for connectors that make one request a call and take no `gate` of their own."""

    def __init__(self, inner: Any, pacer: Pacer | Allowance) -> None:
        super().__init__(inner)
        self._pacer = pacer

    def around(self, name: str, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name == "read":
            return self._read(iter(call(*args, **kwargs)))
        return self._paced(lambda: call(*args, **kwargs))

    def _read(self, pages: Iterator[Page]) -> Iterator[Page]:
        while (page := self._paced(lambda: next(pages, None))) is not None:
            yield page

    def _paced(self, call: Callable[[], Any]) -> Any:
        self._pacer.before()
        try:
            result = call()
        except TransientError as error:
            self._pacer.after(_TOO_MANY if error.throttled else None, error.retry_after)
            raise
        self._pacer.after(_PASSED, None)
        return result


_TOO_MANY = 429
_PASSED = 200


_ROUNDS: Final = 100
"""Times that one page may come again in a listing: many more than any listing is begun anew."""
_EMPTY_ROUNDS: Final = 10_000
"""Some systems page first and filter then: most of their pages may be empty."""


class Checked(Wrapper):
    """
    Does not trust the connector: the cheap sentences of the contract are verified in production.

    A breach is a ProtocolError worded for the connector's author, and so is an exception that no connector may raise; a breach in
    the answer to a write leaves every change of the call in doubt, because nobody knows what was applied.
    """

    def around(self, name: str, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name == "read":
            return self._pages(lambda: iter(call(*args, **kwargs)))
        try:
            result = call(*args, **kwargs)
        except SyncError:
            raise
        except Exception as bug:
            raise _escaped(name, bug) from bug
        if name == "write":
            return self._outcomes(args[1], result)
        if name == "get":
            ids = list(args[1])
            if [answer.id for answer in result] != ids:
                msg = f"get was asked for {len(ids)} ids and must answer each once, in order (contract sentence 10)"
                raise ProtocolError(msg)
        return result

    def _pages(self, open_: Callable[[], Iterator[Page]]) -> Iterator[Page]:
        complete = False
        loop = _Loop()
        pages: Iterator[Page] | None = None
        while True:
            try:
                pages = open_() if pages is None else pages
                page = next(pages, None)
            except SyncError:
                raise
            except Exception as bug:
                raise _escaped("read", bug) from bug
            if page is None:
                return
            if complete:
                msg = "read went on after a page marked complete (contract sentence 2)"
                raise ProtocolError(msg)
            complete = page.complete
            width = len(page.fields)
            if len(page.ids) != len(page.rows) or any(len(row) != width for row in page.rows):
                msg = "a page must have one row per id and one value per field (class Page)"
                raise ProtocolError(msg)
            for given in (page.versions, page.modified_at):
                if given is not None and len(given) != len(page.ids):
                    msg = "a page must have one version and one modified_at per id, or none (class Page)"
                    raise ProtocolError(msg)
            if not all(page.ids):
                msg = "a page has an empty id (contract sentence 4)"
                raise ProtocolError(msg)
            loop.take(page)
            yield page

    def _outcomes(self, changes: Sequence[Change], outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        keys = [change.key for change in changes]
        if [outcome.key for outcome in outcomes] != keys:
            msg = f"write was given {len(keys)} changes and must return one outcome for each, in order (contract sentence 6)"
            doubt = OutcomeUnknown(msg)
            return [Failed(key=key, error=doubt) for key in keys]
        checked: list[Outcome] = []
        for outcome in outcomes:
            if isinstance(outcome, Written) and not outcome.id:
                msg = "a Written outcome has no id (contract sentence 4)"
                checked.append(Failed(key=outcome.key, error=OutcomeUnknown(msg)))
            elif isinstance(outcome, Failed) and verdict(outcome.error) is Fate.STOP:
                msg = f"a Failed outcome may only hold a record's error, not {type(outcome.error).__name__} (contract sentence 6)"
                checked.append(Failed(key=outcome.key, error=OutcomeUnknown(msg)))
            else:
                checked.append(outcome)
        return checked


class _Loop:
    """
    Notices a listing that goes round in a circle: a system whose next page is always the same, or leads back.

    One page is kept, and another one in its place after twice as many pages each time, so that a circle of any length is noticed
    in the end. Listings that are begun anew, and repeat themselves a few times, are none.
    """

    def __init__(self) -> None:
        self._kept: Page | None = None
        self._seen = self._again = 0
        self._until = 1

    def take(self, page: Page) -> None:
        """Raises ProtocolError once it is certain."""
        if self._kept is not None and _is_same(page, self._kept):
            self._again += 1
            if self._again >= (_ROUNDS if page.ids or page.deleted else _EMPTY_ROUNDS):
                msg = f"read delivered the very same page {self._again} times: the listing goes round in a circle and never ends"
                raise ProtocolError(msg)
        self._seen += 1
        if self._seen >= self._until:
            self._kept, self._again, self._seen, self._until = page, 0, 0, 2 * self._until


def _is_same(one: Page, other: Page) -> bool:
    return (
        one.cursor == other.cursor
        and list(one.ids) == list(other.ids)
        and list(one.deleted) == list(other.deleted)
        and list(one.rows) == list(other.rows)
    )


def _escaped(name: str, bug: Exception) -> ProtocolError:
    """Its text may hold a record's values; the traceback in the log tells the rest."""
    msg = f"{name} raised {type(bug).__name__}, which is no error of the contract (errors.py): a bug in the connector"
    return ProtocolError(msg)


class Watcher(Protocol):
    """
    Hears of every call, on the thread that made it; must be quick. `call` is the name of the method ("read": one page), `status`
    "ok" or the class of the error, `seconds` how long it took.
    """

    def called(self, system: str, call: str, status: str, seconds: float) -> None: ...

    def allowed(self, system: str, allowance: Allowance) -> None:
        """An App has this allowance of calls from now on."""
        ...


class Unwatched:
    """Nobody wants to know."""

    def called(self, system: str, call: str, status: str, seconds: float) -> None: ...

    def allowed(self, system: str, allowance: Allowance) -> None: ...


class Logged(Wrapper):
    """Says what is called and how it ended, at debug level and to a watcher: names and numbers, never values."""

    def __init__(self, inner: Any, clock: Clock, *, system: str, watcher: Watcher | None = None) -> None:
        super().__init__(inner)
        self._clock, self._log = clock, structlog.get_logger().bind(system=system)
        self._system, self._watcher = system, watcher or Unwatched()

    def around(self, name: str, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name == "read":
            return self._pages(call(*args, **kwargs), str(args[0]))
        size = len(args[1]) if len(args) > 1 and name in ("write", "get") else None
        result, seconds = self._timed(name, lambda: call(*args, **kwargs), size=size)
        self._log.debug("call.ended", call=name, size=size, seconds=round(seconds, 4))
        return result

    def _pages(self, pages: Iterator[Page], resource: str) -> Iterator[Page]:
        pages = iter(pages)
        while (page := self._timed("read", lambda: next(pages, None), resource=resource)[0]) is not None:
            self._log.debug("page.read", resource=resource, size=len(page.ids), complete=page.complete)
            yield page

    def _timed(self, name: str, call: Callable[[], Any], **about: object) -> tuple[Any, float]:
        started = self._clock.monotonic()
        try:
            result = call()
        except Exception as error:
            self._log.debug("call.failed", call=name, error=type(error).__name__, **about)
            self._watcher.called(self._system, name, type(error).__name__, self._clock.monotonic() - started)
            raise
        seconds = self._clock.monotonic() - started
        if not (name == "read" and result is None):  # past its last page a listing asks nothing of the system
            self._watcher.called(self._system, name, "ok", seconds)
        return result, seconds
