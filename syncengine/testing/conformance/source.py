"""Reading a connector's source: which modules are its own, and what in them sentence 11 forbids. No pytest in here."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType

_FORBIDDEN: Mapping[str, frozenset[str]] = {
    "time": frozenset(
        {"sleep", "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "localtime", "gmtime"}
    ),
    "asyncio": frozenset({"sleep"}),
    "datetime.datetime": frozenset({"now", "utcnow", "today"}),
    "datetime.date": frozenset({"today"}),
}
_MODULES = frozenset({"stamina", "tenacity", "backoff", "retrying"})
"""Libraries whose whole purpose is to try again."""


def modules_of(kind: type) -> Sequence[str]:
    """
    The loaded modules that a connector is made of: those its classes stand in and what these import of their own package.

    Neither the contract's modules nor other top-level packages count.
    """
    own = [each.__module__ for each in kind.__mro__ if each is not object and each.__module__.partition(".")[0] not in _COMMON]
    kit = [each.__module__ for each in kind.__mro__ if each.__module__.startswith(_KIT)]
    waiting, found = [*own, *kit], dict[str, None]()
    while waiting:
        name = waiting.pop()
        if name in found or name not in sys.modules:
            continue
        found[name] = None
        near = _KIT if name.startswith(_KIT) else name.partition(".")[0]
        waiting += [each for each in _imported(sys.modules[name]) if each == near or each.startswith(near + ".")]
    return list(found)


_KIT = "syncengine.testing.memory"
_COMMON = frozenset({"syncengine", "typing", "abc", "collections"})


@functools.cache
def trespasses(module: ModuleType) -> Sequence[str]:
    """Where a module prints, sleeps, reads a clock or tries again, as `file:line: what`."""
    tree = _tree(module)
    names: dict[str, str] = {}
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {each.asname or each.name: each.name for each in node.names}
            found += [_at(module, node, each.name) for each in node.names if each.name.partition(".")[0] in _MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
            if node.module.partition(".")[0] in _MODULES:
                found.append(_at(module, node, node.module))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = _dotted(node.func, names)
            owner, _, last = called.rpartition(".")
            if called == "print" or last in _FORBIDDEN.get(owner, ()):
                found.append(_at(module, node, called))
    return found


@functools.cache
def _tree(module: ModuleType) -> ast.Module:
    try:
        return ast.parse(inspect.getsource(module))
    except (OSError, TypeError):
        return ast.Module(body=[], type_ignores=[])  # compiled, or made up by a test: there is no source to read


@functools.cache
def _imported(module: ModuleType) -> Sequence[str]:
    found: list[str] = []
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            found += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found += [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
    return found


def _dotted(node: ast.expr, names: Mapping[str, str]) -> str:
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, names)}.{node.attr}"
    return ""


def _at(module: ModuleType, node: ast.AST, what: str) -> str:
    return f"{module.__name__}:{getattr(node, 'lineno', 0)}: {what}"
