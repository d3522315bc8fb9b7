"""Every command-line test works in a folder of its own and leaves logging as it was."""

import logging

import pytest
import structlog

from tests.support.desk import Desk


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


@pytest.fixture(autouse=True)
def _logging_as_before():
    handlers = list(logging.getLogger().handlers)
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers


@pytest.fixture
def here(desk, monkeypatch, capsys):
    """Runs a command in this process, in the desk's folder; returns exit code, standard output and standard error."""
    from syncengine.cli.main import execute

    monkeypatch.chdir(desk.folder)
    monkeypatch.setenv("TZ", "UTC")

    def run(*arguments):
        capsys.readouterr()
        code = execute(list(arguments))
        out, err = capsys.readouterr()
        return code, out, err

    return run
