"""Help is complete, quick to give, and no package can break it."""

import subprocess
import sys
from importlib.metadata import Distribution, EntryPoint

import pytest
import typer

from syncengine.cli import commands
from syncengine.cli.commands import OURS, _import
from syncengine.cli.main import execute

OURS_HEAVY = {"syncengine.app", "syncengine.config", "syncengine.engine", "syncengine.registry", "syncengine.log"}
HEAVY = OURS_HEAVY | {"sqlalchemy", "structlog", "rich", "orjson", "httpx"}


def test_help_lists_every_command_with_what_it_does(capsys):
    assert execute(["--help"]) == 0
    out = capsys.readouterr().out
    listed = out.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in listed[: len(OURS)]] == list(OURS)


@pytest.mark.parametrize("name", OURS)
def test_the_listed_line_is_the_first_of_the_commands_own_help(name):
    target, about = OURS[name]
    loaded = _import(target)
    own = typer.main.get_command(loaded).help if isinstance(loaded, typer.Typer) else loaded.__doc__
    assert own.strip().split("\n\n")[0] == about


@pytest.mark.parametrize("name", OURS)
def test_every_command_has_help(name, capsys):
    assert execute([name, "--help"]) == 0
    assert f"Usage: syncengine {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], HEAVY | {"pydantic", "syncengine.cli.run"}),
        (["--version"], HEAVY | {"pydantic"}),
        # typer itself needs pydantic for the parameters of a command.
        (["plan", "--help"], HEAVY),
        (["conflicts", "--help"], HEAVY),
    ],
)
def test_help_imports_nothing_heavy(arguments, heavy):
    code = f"import sys; from syncengine.cli.main import execute; execute({arguments!r}); print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    modules = set(result.stdout.splitlines()[-1].split())
    assert modules.isdisjoint(heavy)


def test_the_version_is_shown(capsys):
    from syncengine import __version__

    assert execute(["--version"]) == 0
    assert capsys.readouterr().out == f"syncengine {__version__}\n"


class Acme(Distribution):
    """A distribution of which only the name matters."""

    name = "acme"

    def read_text(self, filename):
        return None

    def locate_file(self, path):
        raise NotImplementedError


def brought(monkeypatch, **targets):
    entries = {name: EntryPoint(name=name, value=value, group=commands.GROUP)._for(Acme()) for name, value in targets.items()}
    monkeypatch.setattr(commands, "_installed", lambda: entries)


def test_a_package_brings_a_function_or_a_typer_app(monkeypatch, capsys):
    brought(monkeypatch, hello="tests.support.commands:hello", tools="tests.support.commands:tools")
    assert execute(["hello", "--loud", "--config", "x.toml"]) == 7
    assert capsys.readouterr().out == "HELLO x.toml\n"
    assert execute(["tools", "one"]) == 0
    assert capsys.readouterr().out == "one\n"


def test_listing_the_commands_of_packages_imports_none(monkeypatch, capsys):
    brought(monkeypatch, broken="no_such_module_zzz:app")
    assert execute(["--help"]) == 0
    assert "broken      Brought by the package acme." in capsys.readouterr().out


def test_a_package_whose_command_cannot_be_imported_is_named(monkeypatch, capsys):
    brought(monkeypatch, broken="no_such_module_zzz:app")
    assert execute(["broken"]) == 2
    err = capsys.readouterr().err
    assert "syncengine broken: the command of the package acme cannot be imported: ModuleNotFoundError" in err
    assert "Traceback" not in err


def test_a_misspelt_command_of_a_package_is_suggested(monkeypatch, capsys):
    brought(monkeypatch, frobnicate="tests.support.commands:hello")
    assert execute(["frobnicat"]) == 2
    assert "Did you mean 'frobnicate'?" in capsys.readouterr().err


def test_our_commands_win_over_those_of_packages(monkeypatch, capsys):
    brought(monkeypatch, plan="no_such_module_zzz:app")
    assert execute(["plan", "--help"]) == 0
    assert "what a sync would change" in capsys.readouterr().out
