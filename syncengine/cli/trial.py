"""`connectors test`: a configured system held to its connector's contract, and its capability card."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from syncengine.cli.context import Invocation
from syncengine.cli.run import Json

if TYPE_CHECKING:
    from syncengine.cli.text import Line
    from syncengine.config import Config
    from syncengine.connector import Resource
    from syncengine.engine.ports import Clock
    from syncengine.testing.card import CapabilityCard
    from syncengine.testing.conformance import World
    from syncengine.testing.live import Verdicts


def try_out(
    context: typer.Context,
    system: Annotated[str, typer.Argument(metavar="NAME", help="A system of the config, or its connector if only one uses it.")],
    resource: Annotated[
        str | None, typer.Option("--resource", metavar="RESOURCE", help="What to try; needed where the system has several.")
    ] = None,
    card: Annotated[
        Path | None, typer.Option("--card", metavar="FILE", help="Where the card goes; else NAME.card.json beside the config.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: yes, this is a sandbox.")] = False,
    json: Json = False,
) -> int:
    """
    Hold a sandbox system to the contract, and write down what it can and cannot do.

    Makes, changes and removes records of its own there. `check` and `plan` show the card. Exit code 0: the contract holds; 1:
    it does not.
    """
    from syncengine.engine.cards import card_path
    from syncengine.engine.pacing import Allowance, Pacer
    from syncengine.engine.ports import SystemClock
    from syncengine.registry import open_system
    from syncengine.testing.card import capability_card
    from syncengine.testing.live import Sandbox, can_run, run_kit

    invocation = Invocation.of(context)
    output, registry = invocation.output(), invocation.registry()
    config = invocation.load(registry)
    name = _system(config, system)
    settings, clock = config.systems[name], SystemClock()
    gate: Allowance | None = None

    def opened() -> Any:
        nonlocal gate
        connector = open_system(settings, registry, base=config.base, state=config.state)
        if hasattr(connector, "gate"):
            limits = getattr(connector, "limits", settings.limits)
            rate = settings.limits.requests_per_second or limits.requests_per_second
            gate = gate or Allowance(Pacer(clock, rate=rate), settings.limits.max_calls or limits.max_calls)
            connector.gate = gate
        return connector

    connector = opened()
    try:
        described = _resource(connector, name, resource)
        worlds = _worlds(connector.resources()[described], clock)
        _agree(config, f"{name}.{described}", yes=yes)
        found = capability_card(connector, worlds(0))
    finally:
        connector.close()
    _prove_made(found, f"{name}.{described}")
    kit = run_kit(Sandbox(open=opened, world=worlds)) if can_run() else None
    path = card or card_path(config.base, name)
    told = {"measured_at": datetime.fromtimestamp(clock.now(), UTC).isoformat(timespec="seconds"), **found.as_dict()}
    told |= {"contract": kit.as_dict()} if kit is not None else {}
    _keep(path, {"system": name, "connector": config.systems[name].connector}, described, told)
    if json:
        output.json({"card": str(path), **told})
    else:
        output.lines(_lines(found, kit, path))
    output.flush()
    broken = any(each.surprising and each.declared for each in found.findings) or bool(kit and kit.failed)
    return int(broken)


def _system(config: Config, name: str) -> str:
    """The system that a name means; raises ConfigError with those that there are."""
    from syncengine.errors import ConfigError, Problem

    found = [name] if name in config.systems else [key for key, each in config.systems.items() if each.connector == name]
    if len(found) != 1:
        wrong = f"{len(found)} systems use the connector {name!r}" if found else f"there is no system {name!r}"
        cure = f"name one of: {', '.join(found or config.systems)}"
        raise ConfigError([Problem(place="systems", wrong=wrong, cure=cure)])
    if config.systems[found[0]].read_only:
        wrong = "is read_only, and a test writes"
        raise ConfigError([Problem(place=f"systems.{found[0]}", wrong=wrong, cure="give the sandbox a table of its own")])
    return found[0]


def _resource(connector: Any, system: str, wanted: str | None) -> str:
    from syncengine.errors import ConfigError, Problem

    names = [wanted] if wanted is not None else list(connector.resources())
    if wanted is not None and wanted not in list(connector.resources()):
        wrong = f"the system has no resource {wanted!r}"
    elif len(names) == 1:
        return names[0]
    else:
        wrong = "the system has several resources" if names else "the system has no resource"
    shown = ", ".join(sorted(connector.resources())[:20]) or "none"
    raise ConfigError([Problem(place=f"systems.{system}", wrong=wrong, cure=f"--resource takes one of: {shown}")])


def _worlds(resource: Resource, clock: Clock) -> Callable[[int], World]:
    """The worlds of this run by number; raises SyncError where none can be made up."""
    from syncengine.engine.ports import RandomTokens
    from syncengine.errors import SyncError
    from syncengine.testing.card import world_for

    run, lag = RandomTokens().token()[:6], resource.capabilities.lag

    def numbered(number: int) -> World:
        world = world_for(resource, namespace=f"{run}x{number}x")
        return replace(world, eventual=(lambda _: clock.sleep(lag)) if lag else None)

    try:
        numbered(0)
    except ValueError as error:
        msg = f"{error}: this resource needs a test file of its own, see docs/write-a-connector.md"
        raise SyncError(msg) from error
    return numbered


def _agree(config: Config, place: str, *, yes: bool) -> None:
    """A person says that this place is a sandbox, or nothing is done."""
    if yes:
        return
    pairs = [pair.name for pair in config.pairs.values() if place in (str(pair.left), str(pair.right))]
    synced = f" The pair {', '.join(pairs)} keeps it the same with another system." if pairs else ""
    question = f"This makes, changes and removes records of its own in {place}.{synced} Is it a sandbox?"
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"{question} Then say --yes")
    typer.confirm(question, abort=True)


def _prove_made(found: CapabilityCard, place: str) -> None:
    """Where not one record could be made, nothing was found out; raises SyncError."""
    from syncengine.errors import SyncError

    refused = [each for each in found.findings if each.subject == "creates" and each.surprising]
    if refused:
        msg = (
            f"{place} refused the record that was made up for it ({refused[0].detail}), so nothing was found out: it needs a "
            "test file of its own, which knows what its records need; see docs/write-a-connector.md"
        )
        raise SyncError(msg)


def _keep(path: Path, head: Mapping[str, str], resource: str, told: Mapping[str, Any]) -> None:
    """Write the card of one resource; those of the system's others stay."""
    from syncengine.errors import SyncError

    try:
        others = json.loads(path.read_bytes())["resources"] if path.exists() else {}
        document = {**head, "resources": {**others, resource: told}}
        beside = path.with_name(f"{path.name}.new")
        beside.write_text(json.dumps(document, indent=2, default=str) + "\n", encoding="utf-8")
        beside.replace(path)
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{path} is there and is no capability card: remove it, or name another file with --card"
        raise SyncError(msg) from error


def _lines(card: CapabilityCard, kit: Verdicts | None, path: Path) -> Iterator[Line]:
    from syncengine.cli.text import Style, counted
    from syncengine.wording import harmless

    signs = {"can": ("yes    ", Style.GOOD), "cannot": ("no     ", Style.PLAIN), "unclear": ("unclear", Style.CAUTION)}
    yield [(harmless(card.resource), Style.STRONG)]
    # That a text comes back as it was sent is worth one line, that it does not is worth its own.
    sent = [each for each in card.findings if each.subject.startswith("text: ") and each.verdict.value == "can"]
    if sent:
        yield ["  ", signs["can"], f"  {counted(len(sent), 'kind')} of hostile text come back as sent"]
    for each in (each for each in card.findings if each not in sent):
        detail = f"  ({harmless(each.detail)})" if each.detail else ""
        declared = ("  the connector declares otherwise", Style.BAD) if each.surprising else ""
        yield ["  ", signs[each.verdict.value], "  ", harmless(each.subject), (detail, Style.FAINT), declared]
    if kit is None:
        yield ["contract  not tested: that needs pytest (pip install pytest)"]
    else:
        failed = counted(len(kit.failed), "test fails", "tests fail")
        style = Style.BAD if kit.failed else Style.GOOD
        yield ["contract  ", (failed, style), f", {kit.passed} pass, {kit.skipped} do not apply here"]
        for name, why in kit.failed.items():
            yield [("  FAIL  ", Style.BAD), harmless(name), f": {harmless(why)}"]
    here = Path.cwd()
    yield [f"card      {path.relative_to(here) if path.is_relative_to(here) else path}"]
