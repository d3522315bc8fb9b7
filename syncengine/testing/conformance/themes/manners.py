"""Manners: no output, no sleep, no second try, no secret let slip; and a close that may be repeated."""

from __future__ import annotations

import asyncio
import logging
import sys
import time

import pytest

from syncengine.connector import Update
from syncengine.errors import AuthError, ConnectorError
from syncengine.testing.conformance.bench import Bench
from syncengine.testing.conformance.demand import clause, needs, quality, requires, sentence
from syncengine.testing.conformance.source import modules_of, trespasses
from syncengine.testing.conformance.tour import provoked, tour

NEEDLE = "kit-needle-7261"
"""A value that stands in no message by accident."""


class Manners:
    """Sentence 11."""

    @sentence(11)
    @needs("reopen")
    def test_closing_twice_is_fine(self, bench: Bench) -> None:
        """A connector can be closed before any call, after calls, and again."""
        assert bench.reopen is not None
        unused = bench.reopen()
        unused.close()
        unused.close()
        used = bench.reopen()
        used.check()
        used.close()
        used.close()

    @sentence(11)
    def test_closing_the_connector_twice_is_fine(self, bench: Bench) -> None:
        """The second `close` of a used connector does nothing."""
        bench.connector.check()
        bench.leave()
        bench.connector.close()
        bench.connector.close()

    @sentence(11)
    def test_nothing_is_printed(self, bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
        """A tour of all that the connector can do leaves stdout and stderr as they were."""
        capfd.readouterr()
        tour(bench, NEEDLE)
        assert capfd.readouterr() == ("", ""), "a connector prints nothing (sentence 11)"

    @sentence(11)
    def test_nothing_is_slept(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """A tour of all that the connector can do never sleeps."""

        def slept(*_: object, **__: object) -> None:
            raise AssertionError("a connector does not sleep (sentence 11)")

        with monkeypatch.context() as patch:
            for module in (time, asyncio):
                patch.setattr(module, "sleep", slept)
            for loaded in modules_of(type(bench.connector)):
                if getattr(sys.modules[loaded], "sleep", None) is time.sleep:
                    patch.setattr(sys.modules[loaded], "sleep", slept)
            tour(bench, NEEDLE)

    @sentence(11)
    def test_no_record_value_is_logged(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        """A tour with logging at its most talkative shows no value in what the connector's own modules log."""
        with caplog.at_level(logging.DEBUG):
            tour(bench, NEEDLE)
        own = {getattr(sys.modules[name], "__file__", None) for name in modules_of(type(bench.connector))}
        for record in caplog.records:
            leaked = record.pathname in own and NEEDLE in record.getMessage()
            assert not leaked, f"a connector does not log record values (sentence 11): {record.pathname}:{record.lineno}"

    @sentence(11)
    def test_the_source_keeps_off_clock_sleep_print_and_chance(self, bench: Bench) -> None:
        """The connector's own modules do not name what sentence 11 forbids."""
        found = [each for name in modules_of(type(bench.connector)) for each in trespasses(sys.modules[name])]
        assert not found, f"connectors do not sleep, print, or read the clock (sentence 11): {'; '.join(found)}"

    @sentence(11)
    @requires("write")
    def test_no_record_value_stands_in_an_error(self, bench: Bench) -> None:
        """Whatever way a write is refused, its error quotes no value of it."""
        errors = provoked(bench, NEEDLE)
        if not errors:
            pytest.skip("no way of being refused is known here")
        for error in errors:
            for text in (str(error), repr(error.args), *getattr(error, "__notes__", ())):
                assert NEEDLE not in text, f"the {type(error).__name__} quotes a record's value (sentence 11)"

    @sentence(11)
    @needs("secrets")
    def test_no_secret_is_let_slip(self, bench: Bench) -> None:
        """Account, description, representation and errors hold none of World.secrets."""
        account = bench.connector.check()
        texts = [str(account), repr(bench.connector), repr(bench.resource)]
        if bench.has("write"):
            texts += [str(error) for error in provoked(bench, NEEDLE)]
        if hasattr(bench.far_side, "refuse_credentials"):
            bench.tidy()
            bench.leave()
            bench.far_side.refuse_credentials()
            with pytest.raises(ConnectorError) as refused:
                bench.connector.check()
            texts.append(str(refused.value))
        for secret in bench.world.secrets:
            assert not any(secret in text for text in texts), "a secret stands in an error or a description (sentence 11)"

    @sentence(11)
    @quality("calls_per_write")
    @requires("updates")
    @needs("records", "calls", "fail_write")
    def test_a_refused_write_is_not_tried_again(self, bench: Bench) -> None:
        """Trying again is the engine's: a call that failed was sent once."""
        id = bench.make_one()
        change = bench.update_of(id, {bench.world.editable: "kit edited"})
        bench.far_side.fail_write()
        before = bench.far_side.calls()
        error = bench.attempt(change)
        assert error is not None, "a write that the far side refused was called written (sentence 6)"
        sent = bench.far_side.calls() - before
        most = max(1, round(bench.can.calls_per_write))
        assert sent <= most, "a failed write was sent more than once (sentence 11), or Capabilities.calls_per_write is too low"

    @quality("calls_per_page", "calls_per_write")
    @requires("read")
    @needs("records", "calls")
    def test_the_forecast_of_calls_comes_true(self, bench: Bench) -> None:
        """A listing costs `calls_per_page` a page, a write `calls_per_write`."""
        bench.make(bench.several_pages)
        bench.settle()
        before = bench.far_side.calls()
        pages = bench.pages()
        spent = bench.far_side.calls() - before
        assert spent == round(len(pages) * bench.can.calls_per_page), "Capabilities.calls_per_page does not fit what was spent"
        if bench.has("updates"):
            change = bench.update_of(bench.make_one(), {bench.world.editable: "kit"})
            before = bench.far_side.calls()
            bench.send_one(change)
            spent = bench.far_side.calls() - before
            assert spent == round(bench.can.calls_per_write), "Capabilities.calls_per_write does not fit what was spent"

    @clause("An unknown name raises KeyError from the mapping.")
    def test_an_unknown_resource_is_a_classed_error(self, bench: Bench) -> None:
        """A name that is not there is KeyError from the mapping, and a ConnectorError from any call."""
        with pytest.raises(KeyError):
            bench.connector.resources()["kit-no-such-resource"]
        if bench.has("read"):
            with pytest.raises(ConnectorError):
                list(bench.connector.read("kit-no-such-resource", fields=[]))
        if bench.has("write"):
            change = Update(key=bench.key(), id="kit", fields={bench.world.editable: "kit"})
            with pytest.raises(ConnectorError):
                bench.connector.write("kit-no-such-resource", [change])

    @clause("Prove that the system is reachable and lets us in; else raise a classed error.")
    @needs("refuse_credentials")
    def test_refused_credentials_are_an_auth_error(self, bench: Bench) -> None:
        """`check` tells wrong credentials from any other trouble."""
        bench.leave()
        bench.far_side.refuse_credentials()
        with pytest.raises(AuthError):
            bench.connector.check()
