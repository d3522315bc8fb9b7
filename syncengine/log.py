"""
Logging: structlog to stderr, one event a line.

Events are named `noun.verb_past` and carry fields. Records' values are never logged, secrets are masked wherever they
turn up, and nothing that is logged can steer a terminal or forge a line.
"""

from __future__ import annotations

import base64
import logging
import sys
from collections.abc import Iterable
from contextlib import suppress
from enum import Enum
from typing import TextIO
from urllib.parse import quote, quote_plus

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from syncengine.wording import harmless, without_password

MASK = "********"
_SHORTEST_SECRET = 4
_LONGEST = 2000
_DEEPEST = 6
# Fields that would hold what people stored; their names are all that a log may tell.
_PAYLOADS = frozenset(
    {"payload", "body", "record", "records", "row", "rows", "fields", "value", "values", "before", "after", "params"}
)
_SECRET_NAMES = ("password", "secret", "token", "api_key", "apikey", "authorization", "cookie", "credential")


class Format(Enum):
    """How log lines are written."""

    CONSOLE = "console"
    JSON = "json"


class Level(Enum):
    """The least level that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def number(self) -> int:
        return logging.getLevelNamesMapping()[self.name]


class Redactor:
    """Masks known secrets in text: as they are, percent-encoded and in base64. More can be added while it is in use."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: tuple[str, ...] = ()
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Learn secrets; those shorter than four characters are left, as masking them would garble everything."""
        forms = {form for secret in secrets if len(secret) >= _SHORTEST_SECRET for form in _forms(secret)}
        # The longest first, so that a secret that holds another one is masked whole.
        self._forms = tuple(sorted({*self._forms, *forms}, key=len, reverse=True))

    def text(self, text: str) -> str:
        """The text without secrets, those in URLs included."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return without_password(text)

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """As a processor: masks and neutralises every field of an event."""
        return {self._line(key): self._field(key, value) for key, value in event.items()}

    def _field(self, key: str, value: object, depth: int = 0) -> object:
        name = key.casefold()
        if name in _PAYLOADS and not isinstance(value, int):
            return "(not logged)"
        if any(secret in name for secret in _SECRET_NAMES) and isinstance(value, str):
            return MASK
        if name == "exception" and isinstance(value, str):
            return "\n".join(harmless(line) for line in self.text(value).split("\n"))
        return self._clean(value, depth)

    def _clean(self, value: object, depth: int) -> object:
        if value is None or isinstance(value, bool | int | float):
            return value
        if depth < _DEEPEST:
            if isinstance(value, dict):
                return {self._line(str(key)): self._field(str(key), child, depth + 1) for key, child in value.items()}
            if isinstance(value, list | tuple | set | frozenset):
                return [self._clean(child, depth + 1) for child in value]
        return self._line(str(value))

    def _line(self, text: str) -> str:
        return harmless(self.text(text)[:_LONGEST])


def _forms(secret: str) -> set[str]:
    plain = secret.encode("utf-8", "surrogatepass")
    return {
        secret,
        quote(plain, safe=""),
        quote_plus(plain),
        base64.b64encode(plain).decode().rstrip("="),
        base64.urlsafe_b64encode(plain).decode().rstrip("="),
    }


def configure(
    *,
    format: Format = Format.CONSOLE,
    level: Level = Level.WARNING,
    redactor: Redactor | None = None,
    stream: TextIO | None = None,
    color: bool = False,
) -> None:
    """
    Set logging up for this process; a second call replaces the first.

    Without a stream lines go to whatever `sys.stderr` is when they are written. What libraries log from WARNING on
    comes out in the same form, as the event `library.logged`.
    """
    redactor = redactor or Redactor()
    renderer: Processor = structlog.processors.JSONRenderer()
    if format is Format.CONSOLE:
        renderer = structlog.dev.ConsoleRenderer(colors=color, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redactor,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level.number),
        logger_factory=lambda *_names: _Stderr(stream),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _FromLibraries)]:
        root.removeHandler(handler)
    root.addHandler(_FromLibraries(level=max(level.number, logging.WARNING)))


class _Stderr:
    """Writes lines; whole ones, so that threads do not mix theirs."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        stream = self._stream or sys.stderr
        # A log on a full disk, or whose reader is gone, ends nobody's work: there is no other place to complain to.
        with suppress(OSError):
            stream.write(line + "\n")
            stream.flush()

    debug = info = warning = error = critical = msg


class _FromLibraries(logging.Handler):
    """Hands the warnings of libraries on to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        log.log(record.levelno, "library.logged", library=record.name, message=record.getMessage())
