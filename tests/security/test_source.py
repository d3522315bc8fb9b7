"""What the source must not do, and what it is made of: no code from data, no switched-off checks, no idle dependency."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted(path for package in ("syncengine", "connectors") for path in (ROOT / package).rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

OURS = {"syncengine", "connectors", "tests"}

FORBIDDEN_MODULES = {
    "pickle": "reading it runs what it holds",
    "shelve": "it is pickle",
    "marshal": "reading it may crash the interpreter",
    "dill": "it is pickle",
    "yaml": "configs are TOML; its loaders make objects, and its aliases bombs",
    "xml": "no system here speaks it; entities are bombs",
    "lxml": "no system here speaks it",
    "zipfile": "archives are not read: nothing to unpack, no bomb",
    "tarfile": "archives are not read",
    "subprocess": "no program is run",
    "ctypes": "nothing below Python is called",
    "telnetlib": "unencrypted",
    "ftplib": "unencrypted",
    "random": "keys and ids come from `secrets`",
}
MAY_IMPORT = {
    ("random", "syncengine/testing/simulate/"): "the simulator's chance is meant to be reproducible",
    ("random", "connectors/kizen/server/"): "the practice server's faults and sample people are reproducible",
}
FORBIDDEN_CALLS = frozenset({"eval", "exec", "compile", "__import__", "input", "breakpoint"})
NEVER_OFF = re.compile(
    r"verify\s*=\s*False|CERT_NONE|check_hostname\s*=\s*False|_create_unverified_context|PROTOCOL_SSLv|shell\s*=\s*True"
)


def trees() -> Iterator[tuple[str, ast.AST]]:
    for path in SHIPPED:
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))


def modules_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_nothing_is_imported_that_runs_data_or_unpacks_archives() -> None:
    found = [
        (name, module)
        for name, tree in trees()
        for module in {module.partition(".")[0] for module in modules_of(tree)}
        if module in FORBIDDEN_MODULES and not any(module == what and name.startswith(where) for what, where in MAY_IMPORT)
    ]
    assert found == []


def test_no_text_is_ever_run_as_code() -> None:
    found = [
        (name, node.lineno, node.func.id)
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS
    ]
    assert found == []


def test_no_check_of_a_certificate_can_be_switched_off() -> None:
    """There is no option for it either: a private authority is added by SSL_CERT_FILE."""
    assert [path.relative_to(ROOT) for path in SHIPPED if NEVER_OFF.search(path.read_text("utf-8"))] == []


def test_sql_is_never_put_together_from_values() -> None:
    """Ruff's rule S608 finds statements made with `%`, `+` or f-strings; pyproject.toml names the exceptions with their reasons."""
    if shutil.which("ruff", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("ruff is not installed (extra `dev`)")
    ruff = Path(sys.executable).parent / "ruff"
    done = subprocess.run(
        [ruff, "check", "--no-cache", "--select", "S608,S102,S301,S307,S501,S506,S602,S605", "syncengine", "connectors"],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


# Dependencies


def declared() -> dict[str, list[Requirement]]:
    groups = {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
    return {group: [Requirement(text) for text in texts] for group, texts in groups.items()}


def test_every_dependency_has_a_lower_bound() -> None:
    """Below it are versions that nobody tried. tzdata is data, and any edition of it is right."""
    loose = [
        requirement.name
        for requirements in declared().values()
        for requirement in requirements
        if requirement.name not in {"tzdata", PROJECT["name"]}
        and not any(each.operator in {">=", "==", "~="} for each in requirement.specifier)
    ]
    assert loose == []


def test_what_is_installed_here_is_within_the_bounds() -> None:
    """So that what the tests prove is proved of versions that the bounds permit."""
    for requirements in declared().values():
        for requirement in requirements:
            try:
                installed = importlib.metadata.version(requirement.name)
            except importlib.metadata.PackageNotFoundError:
                continue
            if requirement.name != PROJECT["name"]:
                assert requirement.specifier.contains(installed, prereleases=True), (requirement.name, installed)


NOT_IMPORTED = {
    "tzdata": "read by `zoneinfo` where the machine has no time zones of its own",
}
RUN = {
    "import-linter": "CI runs it",
    "mypy": "CI runs it",
    "ruff": "CI runs it",
    "pytest-xdist": "the README's test command names it",
    PROJECT["name"]: "an extra that draws in another",
}
"""Commands, which nothing imports."""

FOR_TESTS = ("test", "dev")
"""The extras of people who work on the project; everything else is for those who use it."""


def providers() -> dict[str, set[str]]:
    """Module -> the packages that bring it."""
    return {
        module: {canonicalize_name(name) for name in names}
        for module, names in importlib.metadata.packages_distributions().items()
    }


def named(*groups: str) -> set[str]:
    return {canonicalize_name(each.name) for group in groups for each in declared()[group]}


def used_by(trees: Iterable[tuple[str, ast.AST]]) -> dict[str, set[str]]:
    """Module of somebody else's -> the files that import it."""
    found: dict[str, set[str]] = {}
    for name, tree in trees:
        for module in {module.partition(".")[0] for module in modules_of(tree)} - sys.stdlib_module_names - OURS:
            found.setdefault(module, set()).add(name)
    return found


def test_every_dependency_is_used() -> None:
    brings = providers()
    shipped = {package for module in used_by(trees()) for package in brings.get(module, ())}
    tests = ((str(path), ast.parse(path.read_text("utf-8"))) for path in (ROOT / "tests").rglob("*.py"))
    tested = shipped | {package for module in used_by(tests) for package in brings.get(module, ())}
    # SQLAlchemy loads a driver by the name that stands in our source.
    source = "\n".join(path.read_text("utf-8") for path in SHIPPED)
    drivers = {driver for driver in named("postgres", "mysql") if driver in source}
    runtime = named(*(group for group in declared() if group not in FOR_TESTS))
    assert runtime - shipped - drivers - set(NOT_IMPORTED) == set()
    assert named(*FOR_TESTS) - tested - drivers - {canonicalize_name(each) for each in RUN} == set()


def test_everything_that_is_shipped_uses_only_what_is_declared() -> None:
    """Or what a declared package cannot do without."""
    brings = providers()
    known = named(*declared())
    strange = {
        module: sorted(files)
        for module, files in used_by(trees()).items()
        if not brings.get(module, set()) & known and module not in DRAWN_IN
    }
    assert strange == {}
    assert {canonicalize_name(package) for package in DRAWN_IN.values()} <= known


DRAWN_IN = {
    "httpcore": "httpx",
    "anyio": "starlette",
    "pydantic_core": "pydantic",
    "h11": "uvicorn",
}
"""Modules that come with a declared package, which names theirs among what it requires."""


@pytest.mark.parametrize("module", DRAWN_IN)
def test_what_is_drawn_in_is_required_by_what_is_declared(module: str) -> None:
    needed = {canonicalize_name(Requirement(text).name) for text in importlib.metadata.requires(DRAWN_IN[module]) or ()}
    assert needed & providers()[module]
