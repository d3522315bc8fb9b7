"""From an error to what a person reads and the exit code: one function decides, and no mistake of a user shows a traceback."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from typing import TYPE_CHECKING

import typer

from syncengine.errors import AuthError, ConfigError, ConnectorError, Interrupted, ProtocolError, Refused, SyncError
from syncengine.wording import harmless

if TYPE_CHECKING:
    from syncengine.cli.context import Invocation

FAILED = 1
USAGE = 2
REFUSED = 3
PARTIAL = 4
INTERRUPTED = 130


def explain(error: BaseException) -> tuple[str, int]:
    """The sentence and the exit code for an error; the empty sentence for one that is a bug."""
    match error:
        case ConfigError(problems=[_]):
            return f"{error}", USAGE
        case ConfigError(problems=problems):
            return f"There are {len(problems)} problems:\n" + "\n".join(f"  {problem}" for problem in problems), USAGE
        case Refused(approval=approval) if approval:
            return f"Refused: {error}\nTo go on nevertheless: syncengine sync --approve {approval}", REFUSED
        case Refused():
            return f"Refused: {error}", REFUSED
        case ProtocolError():
            return f"A connector or its system answered nonsense: {error}", FAILED
        case AuthError():
            return f"Access refused: {error}", FAILED
        case Interrupted():
            return f"Stopped on request: {error}", PARTIAL
        case ConnectorError() | SyncError():
            return f"Failed: {error}", FAILED
        case typer.Abort() | KeyboardInterrupt():
            return "Stopped.", INTERRUPTED
        case OSError() if error.strerror:
            return f"Failed: {error.strerror}" + (f": {error.filename}" if error.filename else ""), FAILED
        case _:
            return "", FAILED


def report(error: BaseException, invocation: Invocation) -> int:
    """Print what became of an error to stderr; returns the exit code."""
    if isinstance(error, typer.TyperException):
        _show_usage(error)
        return USAGE
    sentence, code = explain(error)
    redact = invocation.redactor().text
    if sentence:
        lines = redact(sentence).split("\n")
        sys.stderr.write("\n".join(harmless(line) for line in lines) + "\n")
        if invocation.log_level == "debug" and code == FAILED:
            sys.stderr.write(redact(_trace(error)))
        return code
    trace = redact(_trace(error))
    where = "" if invocation.log_level == "debug" else f" What happened is in {_keep(trace)}."
    sys.stderr.write(f"This is a bug in syncengine or in a connector ({type(error).__name__}).{where}\n")
    if not where:
        sys.stderr.write(trace)
    return code


def _show_usage(error: typer.TyperException) -> None:
    """What was wrong with the words of the command line: usage, a hint, the mistake."""
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if context is not None and message != context.get_help():
        sys.stderr.write(f"{context.get_usage()}\nFor help: {context.command_path} --help\n\n")
    sys.stderr.write("\n".join(harmless(line) for line in message.split("\n")) + "\n")


def _trace(error: BaseException) -> str:
    lines = "".join(traceback.format_exception(error)).split("\n")
    return "\n".join(harmless(line) for line in lines)


def _keep(trace: str) -> str:
    """Keep a traceback in a file of its own that only its owner can read: it may quote a value."""
    handle, path = tempfile.mkstemp(prefix="syncengine-bug-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(trace)
    return path
